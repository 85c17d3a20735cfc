//! Inside of a transaction: its frames, what moved, why it failed; and who made a contract.

use alloy_primitives::{Address, B256};
use revm::context::result::ExecutionResult;
use serde_json::{Value, json};

use crate::{
    block_id::BlockId,
    context::Context,
    debug::{
        calls::Frame,
        hooks::{Kind, deadline},
    },
    error::{RpcError, RpcResult},
    eth::transaction::find_by_nonce,
    param::Args,
    render::{address, data, quantity},
    trace::methods::{frames_of, frames_of_transaction},
};

/// `ots_hasCode`.
pub fn has_code(context: &Context, args: &Args) -> RpcResult {
    let (account, id): (Address, Option<BlockId>) = args.read()?;
    let block = id.unwrap_or_default().state_block(context)?;
    let state = context.chain().state(block.hash())?;
    let code = match state.account(account)? {
        Some(account) => state.code(account.code_hash)?,
        None => return Ok(false.into()),
    };
    Ok((!code.is_empty()).into())
}

/// `ots_getTransactionError`: what it reverted with, `0x` if it did not.
pub fn error(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    Ok(match frames_of_transaction(context, hash)? {
        None => Value::Null,
        Some((.., ExecutionResult::Revert { output, .. })) => data(output),
        Some(_) => data([]),
    })
}

/// `ots_traceTransaction`: the frames with their depth.
pub fn trace(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    let Some((_, _, frame, _)) = frames_of_transaction(context, hash)? else {
        return Ok(Value::Null);
    };
    let mut out = Vec::new();
    push(&frame, 0, &mut out);
    Ok(Value::Array(out))
}

fn push(frame: &Frame, depth: usize, out: &mut Vec<Value>) {
    let to = frame.to.map_or(Value::Null, address);
    let value = match frame.kind {
        Kind::StaticCall | Kind::DelegateCall => Value::Null,
        _ => quantity(frame.value.unwrap_or_default()),
    };
    out.push(json!({
        "type": frame.kind.name(),
        "depth": depth,
        "from": address(frame.from),
        "to": to,
        "value": value,
        "input": data(&frame.input),
        "output": data(&frame.output),
    }));
    for call in &frame.calls {
        push(call, depth + 1, out);
    }
}

/// `ots_getInternalOperations`: transfers, creations and ends inside of a transaction.
pub fn internal_operations(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    let Some((_, _, frame, _)) = frames_of_transaction(context, hash)? else {
        return Ok(Value::Null);
    };
    let mut out = Vec::new();
    match (frame.error.is_none(), frame.kind) {
        // a creation by the transaction itself is one of its operations, as anvil tells it too
        (true, Kind::Create) => operations(&frame, &mut out),
        (true, _) => frame.calls.iter().for_each(|call| operations(call, &mut out)),
        (false, _) => {}
    }
    Ok(Value::Array(out))
}

/// What a frame moved; one that failed moved nothing.
fn operations(frame: &Frame, out: &mut Vec<Value>) {
    if frame.error.is_some() {
        return;
    }
    let value = frame.value.unwrap_or_default();
    let number = match frame.kind {
        Kind::Call if !value.is_zero() => Some(0),
        Kind::SelfDestruct => Some(1),
        Kind::Create => Some(2),
        Kind::Create2 => Some(3),
        _ => None,
    };
    if let Some(number) = number {
        out.push(json!({
            "type": number,
            "from": address(frame.from),
            "to": frame.to.map_or(Value::Null, address),
            "value": quantity(value),
        }));
    }
    frame.calls.iter().for_each(|call| operations(call, out));
}

/// `ots_getTransactionBySenderAndNonce`: its hash.
pub fn by_sender_and_nonce(context: &Context, args: &Args) -> RpcResult {
    let (sender, super::Count(nonce)): (Address, super::Count) = args.read()?;
    let nonce = u64::try_from(nonce).unwrap_or(u64::MAX);
    let found = find_by_nonce(context, sender, nonce)?;
    Ok(found.map_or(Value::Null, |(block, index)| {
        data(block.block.body().transactions[index].tx_hash())
    }))
}

/// `ots_getContractCreator`: the first block after which the account has code, found by halving, holds the transaction.
pub fn contract_creator(context: &Context, args: &Args) -> RpcResult {
    let (account,): (Address,) = args.read()?;
    let chain = context.chain();
    let has_code = |number: u64| -> Result<bool, RpcError> {
        let Some(hash) = chain.canonical_hash(number)? else { return Ok(false) };
        let found = chain.state(hash)?.account(account)?;
        Ok(found.is_some_and(|found| found.code_hash != alloy_primitives::KECCAK256_EMPTY))
    };
    let (mut low, mut high) = (chain.oldest_state(), chain.head().number());
    if !has_code(high)? {
        return Ok(Value::Null);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if has_code(middle)? { high = middle } else { low = middle + 1 }
    }
    let Some(block) = chain.block_by_number(low)? else { return Ok(Value::Null) };
    for (index, frame) in frames_of(context, &block, deadline(context, None))?.iter().enumerate() {
        if let Some(creator) = creator(frame, account) {
            let hash = block.block.body().transactions[index].tx_hash();
            return Ok(json!({"hash": data(hash), "creator": address(creator)}));
        }
    }
    // It stood in the genesis.
    Ok(Value::Null)
}

/// Who made `account` in this frame or below.
fn creator(frame: &Frame, account: Address) -> Option<Address> {
    if frame.error.is_some() {
        return None;
    }
    if frame.kind.is_create() && frame.to == Some(account) {
        return Some(frame.from);
    }
    frame.calls.iter().find_map(|call| creator(call, account))
}
