//! Calls without a block: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.

use std::sync::Arc;

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256};
use chain::{
    block::Header,
    error::ChainError,
    executor::{
        call::{CallOutcome, CallRequest, CallStatus},
        rerun::Watched,
    },
    state::{Account, overlay::Overlay},
};
use revm::Inspector;
use serde_json::{Value, json};

use crate::{
    block_id::{BlockId, BlockNumber},
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
    pending::{Pending, pending},
    render::{address, data, quantity},
};

/// A call on top of one block, with what-ifs.
#[derive(Debug)]
pub struct Scene<'a> {
    /// What a handler can reach.
    pub context: &'a Context,
    /// Block after which the call runs.
    pub block: B256,
    /// What waits on top of it, if that counts.
    pub pending: Option<Arc<Pending>>,
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
        self.watch(&request, &mut hooks)?;
        let error = hooks.tracer.into_inner().and_then(|frame| frame.error);
        Ok(error.unwrap_or_else(|| "out of gas".to_owned()))
    }

    fn watch(
        &self,
        request: &CallRequest,
        inspector: impl Inspector<Watched>,
    ) -> Result<(), ChainError> {
        let (chain, state, header) = (self.context.chain(), &self.state.0, &self.header.0);
        match self.over() {
            Some(over) => chain.watch_call_over(over, request, state, header, inspector)?,
            None => chain.watch_call((self.block, None), request, state, header, inspector)?,
        };
        Ok(())
    }

    fn over(&self) -> Option<(Overlay, &Header, Address)> {
        let pending = self.pending.as_ref()?;
        Some((pending.overlay.clone(), &pending.header, pending.author))
    }

    fn run_with(&self, gas: u64, access_list: AccessList) -> Result<CallOutcome, ChainError> {
        let request = self.call.request(gas, access_list);
        let (chain, state, header) = (self.context.chain(), &self.state.0, &self.header.0);
        match self.over() {
            Some(over) => chain.call_over(over, &request, state, header),
            None => chain.call(self.block, &request, state, header),
        }
    }

    /// An account before the call, overrides aside.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn account(&self, address: Address) -> Result<Option<Account>, ChainError> {
        match self.over() {
            Some((mut overlay, ..)) => overlay.account(address),
            None => self.context.chain().state(self.block)?.account(address),
        }
    }
}

/// What waits, if a call is to run after it.
///
/// # Errors
/// What the store says if it fails.
pub fn pending_of(context: &Context, id: BlockId) -> Result<Option<Arc<Pending>>, RpcError> {
    match id {
        BlockId::Number(BlockNumber::Pending) => pending(context),
        _ => Ok(None),
    }
}

/// `eth_call`.
pub fn call(context: &Context, args: &Args) -> RpcResult {
    let (call, id, state, header): (CallObject, Option<BlockId>, Overrides, BlockOverride) =
        args.read()?;
    let id = id.unwrap_or_default();
    let (block, pending) = (id.state_block(context)?.block.hash(), pending_of(context, id)?);
    let gas = call.gas.unwrap_or(context.limits.call_gas).min(context.limits.call_gas);
    let scene = Scene { context, block, pending, call: &call, state: &state, header: &header };
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
    let id = id.unwrap_or_default();
    let (block, pending) = (id.state_block(context)?.hash(), pending_of(context, id)?);
    let gas = call.gas.unwrap_or(context.limits.call_gas).min(context.limits.call_gas);
    let header = BlockOverride::default();
    let scene = Scene { context, block, pending, call: &call, state: &state, header: &header };
    let request = |list: &AccessList| call.request(gas, list.clone());
    let mut list = call.access_list.clone().unwrap_or_default();
    for _ in 0..limits::ACCESS_LIST_ROUNDS {
        let mut hooks = Hooks::new(AccessTracer::new(&list, call.from), deadline(None));
        scene.watch(&request(&list), &mut hooks)?;
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
