//! Calls without a block: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::B256;
use chain::{
    error::ChainError,
    executor::call::{CallOutcome, CallStatus},
};
use serde_json::{Value, json};

use crate::{
    block_id::BlockId,
    context::Context,
    debug::{
        calls::{CallConfig, Calls},
        hooks::{Hooks, deadline},
    },
    error::{RpcError, RpcResult},
    eth::{
        access_list::AccessTracer,
        estimate,
        request::{BlockOverride, CallObject, Overrides},
    },
    limits,
    param::Args,
    render::{address, data, quantity},
};

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

    /// The error of a call that began with this gas limit and did not succeed.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn failure(&self, gas: u64, outcome: CallOutcome) -> Result<RpcError, RpcError> {
        Ok(match outcome.status {
            CallStatus::Revert => RpcError::Revert(outcome.output),
            _ => RpcError::Server(self.fault(gas)?),
        })
    }

    /// Why a call with this gas limit fails, in geth's words: it is run once more and watched, since revm's reasons lack
    /// what the words need.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn fault(&self, gas: u64) -> Result<String, RpcError> {
        let request = self.call.request(gas, self.call.access_list.clone().unwrap_or_default());
        let calls = Calls::new(CallConfig { only_top_call: true, with_log: false });
        let mut hooks = Hooks::new(calls, deadline(None));
        let (chain, at) = (self.context.chain(), (self.block, None));
        chain.watch_call(at, &request, &self.state.0, &self.header.0, &mut hooks)?;
        let error = hooks.tracer.into_inner().and_then(|frame| frame.error);
        Ok(error.unwrap_or_else(|| "out of gas".to_owned()))
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
        _ => Err(scene.failure(gas, outcome)?),
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
    let request = |list: &AccessList| call.request(gas, list.clone());
    let mut list = call.access_list.clone().unwrap_or_default();
    for _ in 0..limits::ACCESS_LIST_ROUNDS {
        let mut hooks = Hooks::new(AccessTracer::new(&list, call.from), deadline(None));
        let (chain, at) = (context.chain(), (block.hash(), None));
        chain.watch_call(at, &request(&list), &state.0, &header.0, &mut hooks)?;
        let next = hooks.tracer.into_list();
        if next == list {
            break;
        }
        list = next;
    }
    let outcome = scene.run_with(gas, list.clone())?;
    let mut out = json!({"accessList": render_list(&list), "gasUsed": quantity(outcome.gas_used)});
    match outcome.status {
        CallStatus::Success => {}
        CallStatus::Revert => out["error"] = Value::from("execution reverted"),
        _ => out["error"] = Value::from(scene.fault(gas)?),
    }
    Ok(out)
}

fn render_list(list: &AccessList) -> Value {
    let item = |item: &AccessListItem| {
        let keys: Vec<Value> = item.storage_keys.iter().map(data).collect();
        json!({"address": address(item.address), "storageKeys": keys})
    };
    list.iter().map(item).collect()
}
