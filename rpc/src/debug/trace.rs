//! `debug_trace…`: a transaction, a block, or a call.

use std::{sync::Arc, time::Instant};

use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable as _;
use chain::{
    block::{Block, RecoveredBlock, recover},
    error::ChainError,
    executor::rerun::Rerun,
    reader::ExecutedBlock,
};
use serde_json::{Value, json};

use super::{
    flat::Place,
    hooks::{Hooks, deadline},
    options::{Choice, TraceOptions},
    tracers::{Chosen, Ending},
};
use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    error::{RpcError, RpcResult},
    eth::request::CallObject,
    param::Args,
    render::data,
};

/// `debug_traceTransaction`.
pub fn transaction(context: &Context, args: &Args) -> RpcResult {
    let (hash, options): (B256, TraceOptions) = args.read()?;
    let found = context.chain().transaction(hash)?;
    let (block, index) =
        found.ok_or_else(|| RpcError::Server("transaction not found".to_owned()))?;
    let (choice, deadline) = (options.choice()?, deadline(context, options.timeout()?));
    let mut rerun = context.chain().rerun(block.hash())?;
    advance(&mut rerun, &block.block, index)?;
    one(context, &mut rerun, &block.block, index, &choice, deadline)
}

/// `debug_traceBlockByNumber`.
pub fn block_by_number(context: &Context, args: &Args) -> RpcResult {
    let (number, options): (BlockNumber, TraceOptions) = args.read()?;
    let block = found(number.block(context)?, BlockId::Number(number))?;
    all(context, &block, &options)
}

/// `debug_traceBlockByHash`.
pub fn block_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash, options): (B256, TraceOptions) = args.read()?;
    let id = BlockId::Hash { hash, require_canonical: false };
    let block = found(context.chain().block_by_hash(hash)?, id)?;
    all(context, &block, &options)
}

/// `debug_traceBlock`: a block that the client brings along, on a parent of ours.
pub fn block(context: &Context, args: &Args) -> RpcResult {
    let (rlp, options): (Bytes, TraceOptions) = args.read()?;
    let flaw = |text: &str| RpcError::Server(format!("could not decode block: {text}"));
    if rlp.first().is_none_or(|byte| *byte < 0xc0) {
        return Err(flaw("rlp: expected list"));
    }
    let mut rest = rlp.as_ref();
    let block = Block::decode(&mut rest).map_err(|error| flaw(&format!("rlp: {error}")))?;
    if block.header.number == 0 {
        return Err(genesis());
    }
    let block = recover(block)?;
    let parent = context.chain().block_by_hash(block.header().parent_hash)?;
    if parent.is_none() {
        let text = format!("parent {} not found", block.header().parent_hash);
        return Err(RpcError::Server(text));
    }
    let rerun = context.chain().rerun_foreign(block.header())?;
    each(context, rerun, &block, &options)
}

/// The block, or an error in geth's words.
///
/// # Errors
/// -32000 if there is none.
pub fn found(
    block: Option<Arc<ExecutedBlock>>,
    id: BlockId,
) -> Result<Arc<ExecutedBlock>, RpcError> {
    block.ok_or_else(|| {
        RpcError::Server(match id {
            BlockId::Hash { hash, .. } => format!("block {hash} not found"),
            BlockId::Number(BlockNumber::Number(number)) => format!("block #{number} not found"),
            BlockId::Number(_) => "block not found".to_owned(),
        })
    })
}

fn genesis() -> RpcError {
    RpcError::Server("genesis is not traceable".to_owned())
}

fn all(context: &Context, block: &ExecutedBlock, options: &TraceOptions) -> RpcResult {
    if block.number() == 0 {
        return Err(genesis());
    }
    let rerun = context.chain().rerun(block.hash())?;
    each(context, rerun, &block.block, options)
}

fn each(
    context: &Context,
    mut rerun: Rerun,
    block: &RecoveredBlock,
    options: &TraceOptions,
) -> RpcResult {
    let (choice, deadline) = (options.choice()?, deadline(context, options.timeout()?));
    let mut out = Vec::with_capacity(block.senders().len());
    for (index, transaction) in block.body().transactions.iter().enumerate() {
        let result = one(context, &mut rerun, block, index, &choice, deadline)?;
        out.push(json!({"txHash": data(transaction.tx_hash()), "result": result}));
    }
    Ok(Value::Array(out))
}

/// Runs the transactions before `index`.
///
/// # Errors
/// What the store says if it fails.
pub fn advance(rerun: &mut Rerun, block: &RecoveredBlock, index: usize) -> Result<(), RpcError> {
    let body = block.body().transactions.iter().zip(block.senders());
    for (transaction, &sender) in body.take(index) {
        rerun.apply(transaction, sender).map_err(refused)?;
    }
    Ok(())
}

fn one(
    context: &Context,
    rerun: &mut Rerun,
    block: &RecoveredBlock,
    index: usize,
    choice: &Choice,
    deadline: Instant,
) -> RpcResult {
    let (transaction, sender) = (&block.body().transactions[index], block.senders()[index]);
    let mut hooks = Hooks::new(Chosen::new(choice, context.voice()), deadline);
    let ran = rerun.watch(transaction, sender, &mut hooks).map_err(refused)?;
    if hooks.is_late() {
        return Err(late());
    }
    let place = Place {
        block: Some((block.hash(), block.header().number)),
        transaction: Some(*transaction.tx_hash()),
        index,
    };
    let answer = hooks.tracer.render(Ending { gas: transaction.gas_limit(), ran: &ran, place });
    rerun.commit(ran.state);
    answer
}

/// -32000 of a trace that took too long.
pub const fn late() -> RpcError {
    RpcError::TraceTimeout
}

/// Words of a transaction that cannot run where it is to be traced.
pub fn refused(error: ChainError) -> RpcError {
    match error {
        ChainError::CallRefused { reason } => RpcError::Server(format!("tracing failed: {reason}")),
        other => other.into(),
    }
}

/// `debug_traceCall`.
pub fn call(context: &Context, args: &Args) -> RpcResult {
    let (call, id, options): (CallObject, BlockId, TraceOptions) = args.read()?;
    if id == BlockId::Number(BlockNumber::Pending) {
        return Err(RpcError::Server("tracing on top of pending is not supported".to_owned()));
    }
    let block = found(id.block(context)?, id)?;
    let index = match options.index {
        None => None,
        Some(_) if block.number() == 0 => return Err(genesis()),
        Some(index) => Some(position(&block, index)?),
    };
    let gas = call.gas.unwrap_or(context.limits.call_gas).min(context.limits.call_gas);
    let (choice, deadline) = (options.choice()?, deadline(context, options.timeout()?));
    let request = call.request(gas, call.access_list.clone().unwrap_or_default());
    let mut hooks = Hooks::new(Chosen::new(&choice, context.voice()), deadline);
    let (state, header) = (&options.state.0, &options.header.0);
    let (ran, _) = context
        .chain()
        .watch_call((block.hash(), index), &request, state, header, &mut hooks)
        .map_err(refused)?;
    if hooks.is_late() {
        return Err(late());
    }
    hooks.tracer.render(Ending { gas, ran: &ran, place: Place::default() })
}

/// A position in the block, its end included.
pub fn position(block: &ExecutedBlock, index: u64) -> Result<usize, RpcError> {
    let found = usize::try_from(index).ok().filter(|index| *index <= block.receipts.len());
    found.ok_or_else(|| {
        let hash = block.hash();
        RpcError::Server(format!("transaction index {index} out of range for block {hash}"))
    })
}
