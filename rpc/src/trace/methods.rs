//! `trace_block`, `trace_transaction`, `trace_call`, `trace_replay…`, `trace_filter`.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use alloy_primitives::{Address, B256, Bytes, Log};
use chain::{
    executor::rerun::{Rerun, Watched},
    reader::ExecutedBlock,
    state::overlay::Overlay,
};
use revm::{
    context::result::{ExecutionResult, ResultAndState},
    interpreter::Interpreter,
};
use serde_json::{Map, Value, json};

use super::{frames, state_diff, vm_trace::VmTrace};
use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    debug::{
        calls::{CallConfig, Calls, Frame},
        flat::Place,
        hooks::{Enter, Exit, Hooks, StepEnd, Tracer, deadline},
        trace::{advance, late, refused},
    },
    error::{RpcError, RpcResult},
    eth::request::{BlockOverride, CallObject, Overrides},
    limits,
    param::{Args, Flaw, Param, member},
    render::data,
};

/// Which kinds of traces are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kinds {
    trace: bool,
    state_diff: bool,
    vm_trace: bool,
}

impl Param for Kinds {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let Value::Array(names) = value else { return Err("non-array".into()) };
        let mut kinds = Self::default();
        for name in names {
            match name.as_str() {
                Some("trace") => kinds.trace = true,
                Some("stateDiff") => kinds.state_diff = true,
                Some("vmTrace") => kinds.vm_trace = true,
                _ => return Err("kinds are trace, stateDiff and vmTrace".into()),
            }
        }
        Ok(kinds)
    }
}

/// Frames always, steps where asked for.
#[derive(Debug, Default)]
struct Both {
    calls: Calls,
    steps: Option<VmTrace>,
}

impl Both {
    fn new(kinds: Kinds) -> Self {
        let calls = Calls::new(CallConfig::default());
        Self { calls, steps: kinds.vm_trace.then(VmTrace::default) }
    }
}

impl Tracer for Both {
    fn enter(&mut self, enter: &Enter, context: &mut Watched) {
        self.calls.enter(enter, context);
        if let Some(steps) = &mut self.steps {
            steps.enter(enter, context);
        }
    }

    fn refused(&mut self) {
        self.calls.refused();
        if let Some(steps) = &mut self.steps {
            steps.refused();
        }
    }

    fn exit(&mut self, exit: &Exit) {
        self.calls.exit(exit);
        if let Some(steps) = &mut self.steps {
            steps.exit(exit);
        }
    }

    fn step(&mut self, interpreter: &Interpreter, depth: usize, context: &mut Watched) {
        if let Some(steps) = &mut self.steps {
            steps.step(interpreter, depth, context);
        }
    }

    fn step_end(&mut self, end: &StepEnd<'_>, context: &mut Watched) {
        if let Some(steps) = &mut self.steps {
            steps.step_end(end, context);
        }
    }

    fn log(&mut self, _: &Log) {}
}

/// One transaction, watched.
struct Seen {
    frame: Frame,
    steps: Option<VmTrace>,
    ran: ResultAndState,
}

fn watched(
    ran: Result<ResultAndState, chain::error::ChainError>,
    hooks: Hooks<Both>,
) -> Result<Seen, RpcError> {
    let ran = ran.map_err(refused)?;
    if hooks.is_late() {
        return Err(late());
    }
    let Both { calls, steps } = hooks.tracer;
    if steps.as_ref().is_some_and(VmTrace::is_full) {
        return Err(RpcError::Limit(format!("trace exceeds {} steps", limits::TRACE_STEPS)));
    }
    let nothing = || RpcError::Internal("a transaction without a frame".to_owned());
    Ok(Seen { frame: calls.into_inner().ok_or_else(nothing)?, steps, ran })
}

/// Runs the next transaction of a block; its effects do not stay yet.
fn watch(
    rerun: &mut Rerun,
    block: &ExecutedBlock,
    index: usize,
    kinds: Kinds,
    until: Instant,
) -> Result<Seen, RpcError> {
    let transaction = &block.block.body().transactions[index];
    let mut hooks = Hooks::new(Both::new(kinds), until);
    let ran = rerun.watch(transaction, block.block.senders()[index], &mut hooks);
    watched(ran, hooks)
}

/// The answer of `trace_call` and `trace_replay…` for one transaction.
fn results(
    seen: Seen,
    kinds: Kinds,
    overlay: &mut Overlay,
) -> Result<Map<String, Value>, RpcError> {
    let output = match &seen.ran.result {
        ExecutionResult::Success { output, .. } => output.data().clone(),
        ExecutionResult::Revert { output, .. } => output.clone(),
        ExecutionResult::Halt { .. } => Bytes::new(),
    };
    let mut out = Map::new();
    out.insert("output".to_owned(), data(output));
    let trace = if kinds.trace { frames::bare(&seen.frame) } else { Vec::new() };
    out.insert("trace".to_owned(), Value::Array(trace));
    let diff = match kinds.state_diff {
        true => state_diff::render(overlay, &seen.ran.state)?,
        false => Value::Null,
    };
    out.insert("stateDiff".to_owned(), diff);
    out.insert("vmTrace".to_owned(), seen.steps.map_or(Value::Null, VmTrace::render));
    Ok(out)
}

fn place(block: &ExecutedBlock, index: usize) -> Place {
    let transaction = *block.block.body().transactions[index].tx_hash();
    let block = Some((block.hash(), block.number()));
    Place { block, transaction: Some(transaction), index }
}

/// The frames of each transaction of a block, outermost ones first.
///
/// # Errors
/// -32002 if it takes too long; what the store says if it fails.
pub fn frames_of(
    context: &Context,
    block: &ExecutedBlock,
    until: Instant,
) -> Result<Vec<Frame>, RpcError> {
    if block.receipts.is_empty() {
        return Ok(Vec::new());
    }
    let mut rerun = context.chain().rerun(block.hash())?;
    let mut out = Vec::with_capacity(block.receipts.len());
    for index in 0..block.receipts.len() {
        let seen = watch(&mut rerun, block, index, Kinds::default(), until)?;
        rerun.commit(seen.ran.state);
        out.push(seen.frame);
    }
    Ok(out)
}

/// The frames of one mined transaction, its place, and how it ended; none if it is unknown.
///
/// # Errors
/// As [`frames_of`].
#[expect(
    clippy::type_complexity,
    reason = "block, position, frames and outcome of one transaction"
)]
pub fn frames_of_transaction(
    context: &Context,
    hash: B256,
) -> Result<Option<(Arc<ExecutedBlock>, usize, Frame, ExecutionResult)>, RpcError> {
    let Some((block, index)) = context.chain().transaction(hash)? else { return Ok(None) };
    let mut rerun = context.chain().rerun(block.hash())?;
    advance(&mut rerun, &block.block, index)?;
    let seen = watch(&mut rerun, &block, index, Kinds::default(), deadline(context, None))?;
    Ok(Some((block, index, seen.frame, seen.ran.result)))
}

/// `trace_block`.
pub fn block(context: &Context, args: &Args) -> RpcResult {
    let (id,): (BlockId,) = args.read()?;
    let Some(block) = id.block(context)? else { return Ok(Value::Null) };
    let mut out = Vec::new();
    for (index, frame) in frames_of(context, &block, deadline(context, None))?.iter().enumerate() {
        out.extend(frames::placed(frame, place(&block, index)));
    }
    Ok(Value::Array(out))
}

/// `trace_transaction`.
pub fn transaction(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    let found = frames_of_transaction(context, hash)?;
    Ok(found.map_or(Value::Null, |(block, index, frame, _)| {
        Value::Array(frames::placed(&frame, place(&block, index)))
    }))
}

/// `trace_call`.
pub fn call(context: &Context, args: &Args) -> RpcResult {
    let (call, kinds, id, state, header): (
        CallObject,
        Kinds,
        Option<BlockId>,
        Overrides,
        BlockOverride,
    ) = args.read()?;
    let block = id.unwrap_or_default().state_block(context)?;
    let gas = call.gas.unwrap_or(context.limits.call_gas).min(context.limits.call_gas);
    let request = call.request(gas, call.access_list.clone().unwrap_or_default());
    let mut hooks = Hooks::new(Both::new(kinds), deadline(context, None));
    let at = (block.hash(), None);
    let (ran, mut overlay) = context
        .chain()
        .watch_call(at, &request, &state.0, &header.0, &mut hooks)
        .map_err(refused)?;
    let seen = watched(Ok(ran), hooks)?;
    results(seen, kinds, &mut overlay).map(Value::Object)
}

/// `trace_replayTransaction`.
pub fn replay_transaction(context: &Context, args: &Args) -> RpcResult {
    let (hash, kinds): (B256, Kinds) = args.read()?;
    let Some((block, index)) = context.chain().transaction(hash)? else {
        return Err(RpcError::Server("transaction not found".to_owned()));
    };
    let mut rerun = context.chain().rerun(block.hash())?;
    advance(&mut rerun, &block.block, index)?;
    let seen = watch(&mut rerun, &block, index, kinds, deadline(context, None))?;
    results(seen, kinds, rerun.overlay()).map(Value::Object)
}

/// `trace_replayBlockTransactions`.
pub fn replay_block(context: &Context, args: &Args) -> RpcResult {
    let (id, kinds): (BlockId, Kinds) = args.read()?;
    let block = id.state_block(context)?;
    if block.receipts.is_empty() {
        return Ok(json!([]));
    }
    let (mut rerun, until) = (context.chain().rerun(block.hash())?, deadline(context, None));
    let mut out = Vec::with_capacity(block.receipts.len());
    for (index, transaction) in block.block.body().transactions.iter().enumerate() {
        let seen = watch(&mut rerun, &block, index, kinds, until)?;
        let after = seen.ran.state.clone();
        let mut entry = results(seen, kinds, rerun.overlay())?;
        entry.insert("transactionHash".to_owned(), data(transaction.tx_hash()));
        rerun.commit(after);
        out.push(Value::Object(entry));
    }
    Ok(Value::Array(out))
}

/// The object parameter of `trace_filter`.
#[derive(Debug, Clone, Default)]
struct Wanted {
    from: Option<BlockNumber>,
    to: Option<BlockNumber>,
    from_addresses: BTreeSet<Address>,
    to_addresses: BTreeSet<Address>,
    after: usize,
    count: usize,
}

impl Param for Wanted {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        if !value.is_object() {
            return Err("non-object".into());
        }
        let addresses = |name: &str| -> Result<BTreeSet<Address>, Flaw> {
            match value.get(name) {
                None | Some(Value::Null) => Ok(BTreeSet::new()),
                Some(Value::Array(list)) => list.iter().map(Address::from_json).collect(),
                Some(_) => Err("non-array".into()),
            }
        };
        let number = |name: &str, absent: usize| match value.get(name) {
            None | Some(Value::Null) => Ok(absent),
            Some(number) => {
                let number = number.as_u64().and_then(|number| usize::try_from(number).ok());
                number.ok_or_else(|| Flaw::from(format!("{name} is not an integer")))
            }
        };
        Ok(Self {
            from: member(value, "fromBlock")?,
            to: member(value, "toBlock")?,
            from_addresses: addresses("fromAddress")?,
            to_addresses: addresses("toAddress")?,
            after: number("after", 0)?,
            count: number("count", limits::TRACE_ENTRIES)?,
        })
    }
}

impl Wanted {
    /// True if the entry's sender or recipient is wanted: of each list at least one, an empty list is any.
    fn matches(&self, entry: &Value) -> bool {
        let has = |wanted: &BTreeSet<Address>, names: &[&str]| {
            let found = names.iter().find_map(|path| entry.pointer(path)?.as_str()?.parse().ok());
            wanted.is_empty() || found.is_some_and(|address: Address| wanted.contains(&address))
        };
        has(&self.from_addresses, &["/action/from", "/action/address"])
            && has(&self.to_addresses, &["/action/to", "/result/address", "/action/refundAddress"])
    }
}

/// `trace_filter`.
pub fn filter(context: &Context, args: &Args) -> RpcResult {
    let (wanted,): (Wanted,) = args.read()?;
    let number = |end: Option<BlockNumber>| -> Result<u64, RpcError> {
        let block = end.unwrap_or(BlockNumber::Latest).block(context)?;
        Ok(block.ok_or_else(RpcError::header_not_found)?.number())
    };
    let (from, to) = (number(wanted.from)?, number(wanted.to)?);
    if from > to {
        return Err(RpcError::Server("invalid block range params".to_owned()));
    }
    if to - from >= limits::TRACE_RANGE {
        let text = format!("query exceeds max block range {}", limits::TRACE_RANGE);
        return Err(RpcError::Limit(text));
    }
    if wanted.count > limits::TRACE_ENTRIES {
        return Err(RpcError::Limit(format!("count exceeds {}", limits::TRACE_ENTRIES)));
    }
    let (until, mut skipped, mut out) = (deadline(context, None), 0, Vec::new());
    for number in from..=to {
        let Some(block) = context.chain().block_by_number(number)? else { break };
        for (index, frame) in frames_of(context, &block, until)?.iter().enumerate() {
            for entry in frames::placed(frame, place(&block, index)) {
                if !wanted.matches(&entry) {
                    continue;
                }
                if skipped < wanted.after {
                    skipped += 1;
                    continue;
                }
                if out.len() == wanted.count {
                    return Ok(Value::Array(out));
                }
                out.push(entry);
            }
        }
    }
    Ok(Value::Array(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_strict() {
        let kinds = Kinds::from_json(&json!(["vmTrace", "trace"])).expect("known kinds");
        assert_eq!(kinds, Kinds { trace: true, state_diff: false, vm_trace: true });
        assert!(Kinds::from_json(&json!(["Trace"])).is_err());
        assert!(Kinds::from_json(&json!("trace")).is_err());
    }

    #[test]
    fn filters_look_at_both_ends() {
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let entry = json!({"action": {"from": a, "to": b}});
        let check = |filter: Value, is_wanted: bool| {
            let wanted = Wanted::from_json(&filter).expect("a filter");
            assert_eq!(wanted.matches(&entry), is_wanted, "{filter}");
        };
        check(json!({}), true);
        check(json!({"fromAddress": [a]}), true);
        check(json!({"fromAddress": [b]}), false);
        check(json!({"fromAddress": [a], "toAddress": [a]}), false);
        check(json!({"toAddress": [a, b]}), true);
    }
}
