//! Calls without a block: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256};
use chain::{
    error::ChainError,
    executor::call::{CallOutcome, CallStatus},
};
use serde_json::{Value, json};

use crate::{
    block_id::BlockId,
    context::Context,
    error::{RpcError, RpcResult},
    eth::{
        estimate,
        request::{BlockOverride, CallObject, Overrides},
    },
    limits,
    param::Args,
    render::{address, data, quantity},
};

/// Last address that a precompile may have (EIP-7951 is at 0x100).
const LAST_PRECOMPILE: u64 = 0x100;

/// A call on top of one block, with what-ifs.
#[derive(Debug)]
pub struct Scene<'a> {
    /// What a handler can reach.
    pub context: &'a Context,
    /// Block after which the call runs.
    pub block: B256,
    /// The call.
    pub call: &'a CallObject,
    /// Accounts that are otherwise.
    pub state: &'a Overrides,
    /// Block fields that are otherwise.
    pub header: &'a BlockOverride,
}

impl Scene<'_> {
    /// Runs the call with this gas limit.
    ///
    /// # Errors
    /// [`ChainError::CallRefused`] if it cannot take its first step; what the store says if it fails.
    pub fn run(&self, gas: u64) -> Result<CallOutcome, ChainError> {
        self.run_with(gas, self.call.access_list.clone().unwrap_or_default())
    }

    fn run_with(&self, gas: u64, access_list: AccessList) -> Result<CallOutcome, ChainError> {
        let request = self.call.request(gas, access_list);
        self.context.chain().call(self.block, &request, &self.state.0, &self.header.0)
    }
}

/// `eth_call`.
pub fn call(context: &Context, args: &Args) -> RpcResult {
    let (call, id, state, header): (CallObject, Option<BlockId>, Overrides, BlockOverride) =
        args.read()?;
    let block = id.unwrap_or_default().state_block(context)?.block.hash();
    let gas = call.gas.unwrap_or(context.limits.call_gas).min(context.limits.call_gas);
    let scene = Scene { context, block, call: &call, state: &state, header: &header };
    let outcome = scene.run(gas).map_err(|error| match error {
        ChainError::CallRefused { reason } => {
            RpcError::Server(format!("err: {reason} (supplied gas {gas})"))
        }
        other => other.into(),
    })?;
    match outcome.status {
        CallStatus::Success => Ok(data(outcome.output)),
        _ => Err(failure(outcome)),
    }
}

/// The error of a call that began and did not succeed.
pub fn failure(outcome: CallOutcome) -> RpcError {
    match outcome.status {
        CallStatus::Revert => RpcError::Revert(outcome.output),
        CallStatus::OutOfGas => RpcError::Server("out of gas".to_owned()),
        CallStatus::Halt(reason) => RpcError::Server(reason),
        CallStatus::Success => RpcError::Internal("a success is no failure".to_owned()),
    }
}

/// `eth_estimateGas`.
pub fn estimate_gas(context: &Context, args: &Args) -> RpcResult {
    let (call, id, state, header): (CallObject, Option<BlockId>, Overrides, BlockOverride) =
        args.read()?;
    estimate::estimate(context, &call, id.unwrap_or_default(), &state, &header).map(quantity)
}

/// `eth_createAccessList`: what the call touches, found by running it until the list is stable.
pub fn create_access_list(context: &Context, args: &Args) -> RpcResult {
    let (call, id, state): (CallObject, Option<BlockId>, Overrides) = args.read()?;
    let block = id.unwrap_or_default().state_block(context)?;
    let gas = call.gas.unwrap_or(context.limits.call_gas).min(context.limits.call_gas);
    let header = BlockOverride::default();
    let scene = Scene { context, block: block.hash(), call: &call, state: &state, header: &header };
    let mut list = call.access_list.clone().unwrap_or_default();
    let mut outcome = scene.run_with(gas, list.clone())?;
    for _ in 0..limits::ACCESS_LIST_ROUNDS {
        let next = touched(&call, block.signer, &outcome);
        if next == list {
            break;
        }
        list = next;
        outcome = scene.run_with(gas, list.clone())?;
    }
    let mut out = json!({"accessList": render_list(&list), "gasUsed": quantity(outcome.gas_used)});
    match outcome.status {
        CallStatus::Success => {}
        CallStatus::Revert => out["error"] = Value::from("execution reverted"),
        CallStatus::OutOfGas => out["error"] = Value::from("out of gas"),
        CallStatus::Halt(reason) => out["error"] = Value::from(reason),
    }
    Ok(out)
}

/// Accounts and slots of a run, without those that are warm anyhow: sender, precompiles, and the
/// callee and the fee's recipient without slots.
fn touched(call: &CallObject, signer: Address, outcome: &CallOutcome) -> AccessList {
    let is_warm = |address: &Address| {
        let is_precompile =
            address[..12].iter().all(|byte| *byte == 0) && low_bytes(address) <= LAST_PRECOMPILE;
        *address == call.from.unwrap_or_default() || is_precompile
    };
    let callee = call.to.or(outcome.created);
    let items = outcome
        .accessed
        .iter()
        .filter(|(address, slots)| {
            !is_warm(address)
                && (!slots.is_empty() || (callee != Some(**address) && signer != **address))
        })
        .map(|(address, slots)| {
            let mut storage_keys: Vec<B256> = slots.iter().map(|slot| B256::from(*slot)).collect();
            storage_keys.sort_unstable();
            AccessListItem { address: *address, storage_keys }
        });
    AccessList(items.collect())
}

/// The last eight bytes as a number.
fn low_bytes(address: &Address) -> u64 {
    address[12..].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn render_list(list: &AccessList) -> Value {
    let item = |item: &AccessListItem| {
        let keys: Vec<Value> = item.storage_keys.iter().map(data).collect();
        json!({"address": address(item.address), "storageKeys": keys})
    };
    list.iter().map(item).collect()
}
