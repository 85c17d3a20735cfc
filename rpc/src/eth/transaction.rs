//! Transactions and receipts by hash or position, and how they look.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_eips::{
    eip2718::{Encodable2718 as _, Typed2718 as _},
    eip4844::DATA_GAS_PER_BLOB,
};
use alloy_primitives::{Address, B256, Signature, U256};
use chain::{block::Transaction, blockchain::ExecutedBlock, pool::PoolTransaction};
use serde_json::{Map, Value, json};

use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    error::{RpcError, RpcResult},
    eth::{block::waiting, fee, log},
    param::Args,
    pending::Pending,
    render::{address, data, or_null, quantity},
    voice::Voice,
};

/// `eth_getTransactionByHash`: mined or waiting.
pub fn by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    // The pool first: a transaction mined in between is then found on the chain, and the chain's
    // answer counts.
    let waiting = context.node.pool_transaction(&hash);
    if let Some((block, index)) = context.chain().transaction(hash)? {
        return Ok(render_mined(&block, index, context.voice()));
    }
    Ok(or_null(waiting, |pooled| render_waiting(&pooled.transaction, pooled.sender)))
}

/// `eth_getRawTransactionByHash`: EIP-2718 bytes, `0x` of an unknown one.
pub fn raw_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    let waiting = context.node.pool_transaction(&hash);
    if let Some((block, index)) = context.chain().transaction(hash)? {
        return Ok(data(block.block.body().transactions[index].encoded_2718()));
    }
    Ok(waiting.map_or_else(|| data([]), |pooled| data(pooled.transaction.encoded_2718())))
}

/// `eth_getRawTransactionByBlockNumberAndIndex`: `0x` where there is none.
pub fn raw_by_block_number(context: &Context, args: &Args) -> RpcResult {
    let (number, index): (BlockNumber, u64) = args.read()?;
    if let Some(pending) = waiting(context, number)? {
        let found = pending_at(&pending, index);
        return Ok(found.map_or_else(|| data([]), |found| data(found.transaction.encoded_2718())));
    }
    Ok(raw_at(number.block(context)?, index))
}

/// `eth_getRawTransactionByBlockHashAndIndex`: `0x` where there is none.
pub fn raw_by_block_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash, index): (B256, u64) = args.read()?;
    Ok(raw_at(context.chain().block_by_hash(hash)?, index))
}

fn raw_at(block: Option<Arc<ExecutedBlock>>, index: u64) -> Value {
    let index = usize::try_from(index).ok();
    let found = block.as_ref().zip(index);
    let found = found.and_then(|(block, index)| block.block.body().transactions.get(index));
    found.map_or_else(|| data([]), |transaction| data(transaction.encoded_2718()))
}

/// `eth_getTransactionBySenderAndNonce`: mined or waiting.
pub fn by_sender_and_nonce(context: &Context, args: &Args) -> RpcResult {
    let (sender, nonce): (Address, u64) = args.read()?;
    if let Some((block, index)) = find_by_nonce(context, sender, nonce)? {
        return Ok(render_mined(&block, index, context.voice()));
    }
    let (pending, queued) = context.node.pool_content();
    let waiting = pending.into_iter().chain(queued);
    let mut matching = waiting.filter(|pooled| pooled.sender == sender && pooled.nonce() == nonce);
    Ok(or_null(matching.next(), |pooled| render_waiting(&pooled.transaction, pooled.sender)))
}

/// The mined transaction of a sender with this nonce: the first block after which the account's nonce exceeds it, found by
/// halving, holds it.
///
/// # Errors
/// What the store says if it fails.
pub fn find_by_nonce(
    context: &Context,
    sender: Address,
    nonce: u64,
) -> Result<Option<(Arc<ExecutedBlock>, usize)>, RpcError> {
    let chain = context.chain();
    let nonce_after = |number: u64| -> Result<u64, RpcError> {
        let Some(hash) = chain.canonical_hash(number)? else { return Ok(0) };
        Ok(chain.state(hash)?.account(sender)?.map_or(0, |account| account.nonce))
    };
    let (mut low, mut high) = (chain.oldest_state(), chain.head().number());
    if nonce_after(high)? <= nonce {
        return Ok(None);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if nonce_after(middle)? > nonce { high = middle } else { low = middle + 1 }
    }
    let Some(block) = chain.block_by_number(low)? else { return Ok(None) };
    let body = block.block.body().transactions.iter().zip(block.block.senders());
    let index = body
        .into_iter()
        .position(|(transaction, from)| *from == sender && transaction.nonce() == nonce);
    Ok(index.map(|index| (block, index)))
}

/// `eth_getTransactionByBlockNumberAndIndex`.
pub fn by_block_number(context: &Context, args: &Args) -> RpcResult {
    let (number, index): (BlockNumber, u64) = args.read()?;
    if let Some(pending) = waiting(context, number)? {
        let found = pending_at(&pending, index);
        return Ok(or_null(found, |found| render_waiting(&found.transaction, found.sender)));
    }
    Ok(or_null(number.block(context)?, |block| at(&block, index, context.voice())))
}

/// `eth_getTransactionByBlockHashAndIndex`.
pub fn by_block_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash, index): (B256, u64) = args.read()?;
    Ok(or_null(context.chain().block_by_hash(hash)?, |block| at(&block, index, context.voice())))
}

fn pending_at(pending: &Pending, index: u64) -> Option<&Arc<PoolTransaction>> {
    pending.transactions.get(usize::try_from(index).ok()?)
}

fn at(block: &ExecutedBlock, index: u64, voice: Voice) -> Value {
    let index = usize::try_from(index).ok().filter(|index| *index < block.receipts.len());
    or_null(index, |index| render_mined(block, index, voice))
}

/// `eth_getTransactionReceipt`.
pub fn receipt(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    let found = context.chain().transaction(hash)?;
    Ok(or_null(found, |(block, index)| render_receipt(&block, index, context)))
}

/// `eth_getBlockReceipts`.
pub fn block_receipts(context: &Context, args: &Args) -> RpcResult {
    let (id,): (BlockId,) = args.read()?;
    if id == BlockId::Number(BlockNumber::Pending) && context.voice() == Voice::Geth {
        // nobody has one yet
        return Ok(Value::Null);
    }
    let all = |block: std::sync::Arc<ExecutedBlock>| {
        Value::Array(
            (0..block.receipts.len()).map(|i| render_receipt(&block, i, context)).collect(),
        )
    };
    Ok(or_null(id.block(context)?, all))
}

/// Hash of the transaction at this position, which must exist.
pub fn hash_at(block: &ExecutedBlock, index: usize) -> B256 {
    *block.block.body().transactions[index].tx_hash()
}

/// A transaction inside of its block; the position must exist.
pub fn render_mined(block: &ExecutedBlock, index: usize, voice: Voice) -> Value {
    let header = block.block.header();
    let (transaction, sender) =
        (&block.block.body().transactions[index], block.block.senders()[index]);
    let mut out = render_common(transaction, sender);
    out.insert("blockHash".to_owned(), data(block.block.hash()));
    out.insert("blockNumber".to_owned(), quantity(header.number));
    out.insert("transactionIndex".to_owned(), quantity(index));
    let price = effective_gas_price(transaction, header.base_fee_per_gas);
    out.insert("gasPrice".to_owned(), quantity(price));
    if voice.is_standard() {
        out.insert("blockTimestamp".to_owned(), quantity(header.timestamp));
    }
    Value::Object(out)
}

/// A transaction of the pool: its place is `null`, its price the cap.
pub fn render_waiting(transaction: &Transaction, sender: Address) -> Value {
    let mut out = render_common(transaction, sender);
    for name in ["blockHash", "blockNumber", "transactionIndex"] {
        out.insert(name.to_owned(), Value::Null);
    }
    out.insert("gasPrice".to_owned(), quantity(transaction.max_fee_per_gas()));
    Value::Object(out)
}

/// The fields that do not depend on a place.
pub fn render_common(transaction: &Transaction, sender: Address) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("type", quantity(transaction.ty()));
    put("hash", data(transaction.tx_hash()));
    put("from", address(sender));
    put("to", or_null(transaction.to(), address));
    put("nonce", quantity(transaction.nonce()));
    put("gas", quantity(transaction.gas_limit()));
    put("value", quantity(transaction.value()));
    put("input", data(transaction.input()));
    if let Some(chain_id) = transaction.chain_id() {
        put("chainId", quantity(chain_id));
    }
    if transaction.is_dynamic_fee() {
        put("maxFeePerGas", quantity(transaction.max_fee_per_gas()));
        put("maxPriorityFeePerGas", quantity(transaction.max_priority_fee_per_gas().unwrap_or(0)));
    }
    if let Some(list) = transaction.access_list() {
        let items = list.iter().map(|item| {
            let keys: Vec<Value> = item.storage_keys.iter().map(data).collect();
            json!({"address": address(item.address), "storageKeys": keys})
        });
        put("accessList", Value::Array(items.collect()));
    }
    if let Some(hashes) = transaction.blob_versioned_hashes() {
        put("blobVersionedHashes", hashes.iter().map(data).collect());
        put("maxFeePerBlobGas", quantity(transaction.max_fee_per_blob_gas().unwrap_or(0)));
    }
    if let Some(authorizations) = transaction.authorization_list() {
        let items = authorizations.iter().map(|signed| {
            json!({
                "chainId": quantity(*signed.chain_id()),
                "address": address(*signed.address()),
                "nonce": quantity(signed.nonce()),
                "yParity": quantity(signed.y_parity()),
                "r": quantity(signed.r()),
                "s": quantity(signed.s()),
            })
        });
        put("authorizationList", Value::Array(items.collect()));
    }
    let signature = signature(transaction);
    put("r", quantity(signature.r()));
    put("s", quantity(signature.s()));
    put("v", quantity(v_value(transaction, signature)));
    if !transaction.is_legacy() {
        put("yParity", quantity(u8::from(signature.v())));
    }
    out
}

fn signature(transaction: &Transaction) -> &Signature {
    transaction.signature()
}

/// Legacy: 27 or 28, with a chain id 35 + 2·id or one more (EIP-155). Typed: the parity.
fn v_value(transaction: &Transaction, signature: &Signature) -> U256 {
    let parity = U256::from(u8::from(signature.v()));
    match (transaction.is_legacy(), transaction.chain_id()) {
        (false, _) => parity,
        (true, None) => parity + U256::from(27),
        (true, Some(chain_id)) => parity + U256::from(35) + U256::from(2) * U256::from(chain_id),
    }
}

/// What a unit of gas costs in a block with this base fee.
pub fn effective_gas_price(transaction: &Transaction, base_fee: Option<u64>) -> u128 {
    transaction.effective_gas_price(base_fee)
}

/// The receipt of the transaction at this position, which must exist.
pub fn render_receipt(block: &ExecutedBlock, index: usize, context: &Context) -> Value {
    let voice = context.voice();
    let (header, receipt) = (block.block.header(), &block.receipts[index]);
    let (transaction, sender) =
        (&block.block.body().transactions[index], block.block.senders()[index]);
    let gas_before = index.checked_sub(1).map_or(0, |i| block.receipts[i].cumulative_gas_used);
    let created = transaction.to().is_none().then(|| sender.create(transaction.nonce()));
    let log_start: usize = block.receipts[..index].iter().map(|receipt| receipt.logs.len()).sum();
    let logs: Vec<Value> = (0..receipt.logs.len())
        .map(|i| log::Position { transaction: index, log: i, log_index: log_start + i })
        .map(|position| log::render(block, position, false, voice))
        .collect();
    let mut out = json!({
        "type": quantity(receipt.tx_type),
        "transactionHash": data(transaction.tx_hash()),
        "transactionIndex": quantity(index),
        "blockHash": data(block.block.hash()),
        "blockNumber": quantity(header.number),
        "from": address(sender),
        "to": or_null(transaction.to(), address),
        "contractAddress": or_null(created, address),
        "cumulativeGasUsed": quantity(receipt.cumulative_gas_used),
        "gasUsed": quantity(receipt.cumulative_gas_used - gas_before),
        "effectiveGasPrice":
            quantity(effective_gas_price(transaction, header.base_fee_per_gas)),
        "logs": logs,
        "logsBloom": data(receipt.bloom()),
    });
    if let Some(hashes) = transaction.blob_versioned_hashes() {
        let gas = u64::try_from(hashes.len()).unwrap_or(u64::MAX).saturating_mul(DATA_GAS_PER_BLOB);
        out["blobGasUsed"] = quantity(gas);
        out["blobGasPrice"] = quantity(fee::blob_price(context, header));
    }
    match receipt.post_state {
        Some(root) => out["root"] = data(root),
        None => out["status"] = quantity(u8::from(receipt.success)),
    }
    out
}
