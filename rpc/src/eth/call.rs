//! Calls without a block: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256};
use chain::{
    block::Header,
    error::ChainError,
    executor::{
        call::{CallOutcome, CallRequest, CallStatus},
        rerun::Watched,
    },
    state::{Account, overlay::Overlay, stop::Stop},
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
    work,
};

/// Calldata of a call that is tried at once, bytes.
const SHORT_INPUT: usize = 4_096;

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
    /// When all of its runs together must have ended.
    pub until: Instant,
}

impl Scene<'_> {
    /// The error of a call that took too long.
    pub const fn late(&self) -> RpcError {
        RpcError::Aborted(self.context.limits.call_time)
    }

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
            CallStatus::Stopped => self.late(),
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
        let mut hooks = Hooks::new(calls, self.until);
        self.watch(&request, &mut hooks)?;
        if hooks.is_late() {
            return Err(self.late());
        }
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
        self.run_until(gas, access_list, work::stop(self.until))
    }

    fn run_until(
        &self,
        gas: u64,
        access_list: AccessList,
        stop: Stop,
    ) -> Result<CallOutcome, ChainError> {
        let request = self.call.request(gas, access_list);
        let stop = Some(stop);
        let (chain, state, header) = (self.context.chain(), &self.state.0, &self.header.0);
        match self.over() {
            Some(over) => chain.call_over(over, &request, state, header, stop),
            None => chain.call(self.block, &request, state, header, stop),
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
    let (state, header, until) = (&state, &header, deadline(context, None));
    let scene = Scene { context, block, pending, call: &call, state, header, until };
    let outcome = scene.run(gas).map_err(|error| not_begun(error, gas))?;
    match outcome.status {
        CallStatus::Success => Ok(data(outcome.output)),
        _ => Err(scene.failure(gas, outcome)?),
    }
}

fn not_begun(error: ChainError, gas: u64) -> RpcError {
    match error {
        ChainError::CallRefused { reason } => {
            RpcError::Server(format!("err: {reason} (supplied gas {gas})"))
        }
        other => other.into(),
    }
}

/// `eth_call` on the thread that asks, if it is a plain one at the head and short: most are, and handing them to another
/// thread costs more than running them. `None` leaves it to that other thread, which begins anew.
pub fn at_once(context: &Context, args: &Args) -> Option<RpcResult> {
    let (call, id, state, header): (CallObject, Option<BlockId>, Overrides, BlockOverride) =
        args.read().ok()?;
    let is_plain = state.0.is_empty()
        && header == BlockOverride::default()
        && matches!(id.unwrap_or_default(), BlockId::Number(BlockNumber::Latest))
        && call.to.is_some_and(|to| !is_low(to))
        && call.data.len() <= SHORT_INPUT
        && call.access_list.is_none();
    if !is_plain {
        return None;
    }
    let gas = call.gas.unwrap_or(context.limits.call_gas).min(context.limits.call_gas);
    let (block, until) = (context.head_hash(), Instant::now() + limits::CALL_AT_ONCE);
    let (state, header) = (&state, &header);
    let scene = Scene { context, block, pending: None, call: &call, state, header, until };
    let run = || match scene.run_until(gas, AccessList::default(), work::stop(until).in_a_hurry()) {
        Ok(CallOutcome { status: CallStatus::Success, output, .. }) => Some(Ok(data(output))),
        Ok(CallOutcome { status: CallStatus::Revert, output, .. }) => {
            Some(Err(RpcError::Revert(output)))
        }
        // the words for other failures need a second run
        Ok(_) => None,
        Err(error) => Some(Err(not_begun(error, gas))),
    };
    catch_unwind(AssertUnwindSafe(run)).ok().flatten()
}

/// Where precompiled contracts stand: the price of some says little about their time.
fn is_low(to: Address) -> bool {
    to.0[..18].iter().all(|byte| *byte == 0)
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
    let (state, header, until) = (&state, &header, deadline(context, None));
    let scene = Scene { context, block, pending, call: &call, state, header, until };
    let request = |list: &AccessList| call.request(gas, list.clone());
    let mut list = call.access_list.clone().unwrap_or_default();
    for _ in 0..limits::ACCESS_LIST_ROUNDS {
        let mut hooks = Hooks::new(AccessTracer::new(&list, call.from), until);
        scene.watch(&request(&list), &mut hooks)?;
        if hooks.is_late() {
            return Err(scene.late());
        }
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
        CallStatus::Stopped => return Err(scene.late()),
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
