//! Blocks and headers by number and hash, and how they look.

use std::sync::Arc;

use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::B256;
use alloy_rlp::Encodable as _;
use chain::{
    block::{Block, BlockBody, Header},
    blockchain::ExecutedBlock,
    pool::PoolTransaction,
};
use serde_json::{Map, Value, json};

use crate::{
    block_id::BlockNumber,
    context::Context,
    error::{RpcError, RpcResult},
    eth::transaction,
    param::Args,
    pending::{Pending, pending_block},
    render::{address, data, or_null, quantity},
    voice::Voice,
};

/// `eth_blockNumber`.
pub fn number(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(quantity(context.chain().head().block.header().number))
}

/// `eth_getBlockByNumber`.
pub fn by_number(context: &Context, args: &Args) -> RpcResult {
    let (number, is_full): (BlockNumber, bool) = args.read()?;
    if let Some(pending) = waiting(context, number)? {
        return Ok(Value::Object(render_pending(&pending, is_full, context.voice())));
    }
    Ok(or_null(number.block(context)?, |block| render_block(&block, is_full, context.voice())))
}

/// `eth_getBlockByHash`.
pub fn by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash, is_full): (B256, bool) = args.read()?;
    Ok(or_null(context.chain().block_by_hash(hash)?, |block| {
        render_block(&block, is_full, context.voice())
    }))
}

/// `eth_getHeaderByNumber`.
pub fn header_by_number(context: &Context, args: &Args) -> RpcResult {
    let (number,): (BlockNumber,) = args.read()?;
    if let Some(pending) = waiting(context, number)? {
        return Ok(Value::Object(pending_header(&pending, context.voice())));
    }
    Ok(or_null(number.block(context)?, |block| Value::Object(header_in(&block, context.voice()))))
}

/// `eth_getHeaderByHash`.
pub fn header_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    let block = context.chain().block_by_hash(hash)?;
    Ok(or_null(block, |block| Value::Object(header_in(&block, context.voice()))))
}

/// `eth_getBlockTransactionCountByNumber`.
pub fn transaction_count_by_number(context: &Context, args: &Args) -> RpcResult {
    let (number,): (BlockNumber,) = args.read()?;
    if let Some(pending) = waiting(context, number)? {
        return Ok(quantity(pending.transactions.len()));
    }
    Ok(or_null(number.block(context)?, |block| quantity(block.receipts.len())))
}

/// `eth_getBlockTransactionCountByHash`.
pub fn transaction_count_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    Ok(or_null(context.chain().block_by_hash(hash)?, |block| quantity(block.receipts.len())))
}

/// `eth_getUncleCountByBlockNumber`: zero for every block of a Clique chain.
pub fn uncle_count_by_number(context: &Context, args: &Args) -> RpcResult {
    let (number,): (BlockNumber,) = args.read()?;
    Ok(or_null(number.block(context)?, |block| quantity(block.block.body().ommers.len())))
}

/// `eth_getUncleCountByBlockHash`: zero for every block of a Clique chain.
pub fn uncle_count_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    let block = context.chain().block_by_hash(hash)?;
    Ok(or_null(block, |block| quantity(block.block.body().ommers.len())))
}

/// `eth_getUncleByBlockNumberAndIndex`: there are none on a Clique chain.
pub fn uncle_by_number(context: &Context, args: &Args) -> RpcResult {
    let (number, index): (BlockNumber, u64) = args.read()?;
    Ok(number.block(context)?.and_then(|block| uncle(&block, index)).unwrap_or_default())
}

/// `eth_getUncleByBlockHashAndIndex`: there are none on a Clique chain.
pub fn uncle_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash, index): (B256, u64) = args.read()?;
    let block = context.chain().block_by_hash(hash)?;
    Ok(block.and_then(|block| uncle(&block, index)).unwrap_or_default())
}

/// An uncle as a block without a body.
fn uncle(block: &ExecutedBlock, index: u64) -> Option<Value> {
    let header = block.block.body().ommers.get(usize::try_from(index).ok()?)?;
    let mut out = header_fields(header, header.hash_slow());
    let empty = Block { header: header.clone(), body: Default::default() };
    out.insert("size".to_owned(), quantity(empty.length()));
    out.insert("uncles".to_owned(), json!([]));
    Some(Value::Object(out))
}

/// The block that would come next, if it is asked for and there is one.
///
/// # Errors
/// What the store says if it fails.
pub fn waiting(context: &Context, number: BlockNumber) -> Result<Option<Arc<Pending>>, RpcError> {
    match number {
        BlockNumber::Pending => pending_block(context),
        _ => Ok(None),
    }
}

/// A header that nobody has signed: what only a signature gives is `null`.
fn pending_header(pending: &Pending, voice: Voice) -> Map<String, Value> {
    let mut out = header_fields(&pending.header, B256::ZERO);
    for name in ["hash", "nonce", "miner"] {
        out.insert(name.to_owned(), Value::Null);
    }
    if voice == Voice::Geth {
        out.insert("totalDifficulty".to_owned(), Value::Null);
    }
    out
}

/// The block that would come next.
fn render_pending(pending: &Pending, is_full: bool, voice: Voice) -> Map<String, Value> {
    let mut out = pending_header(pending, voice);
    let one = |pooled: &Arc<PoolTransaction>| match is_full {
        true => transaction::render_waiting(&pooled.transaction, pooled.sender),
        false => data(pooled.hash()),
    };
    let body = BlockBody {
        transactions: pending
            .transactions
            .iter()
            .map(|pooled| pooled.transaction.clone())
            .collect(),
        ..BlockBody::default()
    };
    let block = Block { header: pending.header.clone(), body };
    out.insert("size".to_owned(), quantity(block.length()));
    out.insert("transactions".to_owned(), pending.transactions.iter().map(one).collect());
    out.insert("uncles".to_owned(), json!([]));
    out
}

/// A header of a Clique chain, for those who follow it.
pub fn render_header(block: &ExecutedBlock) -> Map<String, Value> {
    header_in(block, Voice::Geth)
}

/// A header with its hash and, on a Clique chain, the total difficulty up to it.
fn header_in(block: &ExecutedBlock, voice: Voice) -> Map<String, Value> {
    let mut out = header_fields(block.block.header(), block.block.hash());
    if voice == Voice::Geth {
        out.insert("totalDifficulty".to_owned(), quantity(block.total_difficulty));
    }
    out
}

/// A header by its fields; those that its fork lacks are absent.
pub fn header_fields(header: &Header, hash: B256) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("number", quantity(header.number));
    put("hash", data(hash));
    put("parentHash", data(header.parent_hash));
    put("nonce", data(header.nonce));
    put("sha3Uncles", data(header.ommers_hash));
    put("logsBloom", data(header.logs_bloom));
    put("transactionsRoot", data(header.transactions_root));
    put("stateRoot", data(header.state_root));
    put("receiptsRoot", data(header.receipts_root));
    put("miner", address(header.beneficiary));
    put("difficulty", quantity(header.difficulty));
    put("extraData", data(&header.extra_data));
    put("mixHash", data(header.mix_hash));
    put("gasLimit", quantity(header.gas_limit));
    put("gasUsed", quantity(header.gas_used));
    put("timestamp", quantity(header.timestamp));
    let numbers = [
        ("baseFeePerGas", header.base_fee_per_gas),
        ("blobGasUsed", header.blob_gas_used),
        ("excessBlobGas", header.excess_blob_gas),
    ];
    let hashes = [
        ("withdrawalsRoot", header.withdrawals_root),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root),
        ("requestsHash", header.requests_hash),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            put(name, quantity(number));
        }
    }
    for (name, hash) in hashes {
        if let Some(hash) = hash {
            put(name, data(hash));
        }
    }
    out
}

/// A block with the hashes of its transactions, or with all of them.
pub fn render_block(block: &ExecutedBlock, is_full: bool, voice: Voice) -> Value {
    let transactions: Vec<Value> = (0..block.receipts.len())
        .map(|index| match is_full {
            true => transaction::render_mined(block, index, voice),
            false => data(transaction::hash_at(block, index)),
        })
        .collect();
    let mut out = header_in(block, voice);
    out.insert("size".to_owned(), quantity(block.block.sealed_block().clone_block().length()));
    out.insert("transactions".to_owned(), Value::Array(transactions));
    let body = block.block.body();
    out.insert("uncles".to_owned(), uncles(&body.ommers));
    if let Some(withdrawals) = &body.withdrawals {
        out.insert("withdrawals".to_owned(), render_withdrawals(withdrawals));
    }
    Value::Object(out)
}

fn uncles(ommers: &[Header]) -> Value {
    ommers.iter().map(|ommer| data(ommer.hash_slow())).collect()
}

/// The withdrawals of a replayed block.
pub fn render_withdrawals(withdrawals: &[Withdrawal]) -> Value {
    let one = |withdrawal: &Withdrawal| {
        json!({
            "index": quantity(withdrawal.index),
            "validatorIndex": quantity(withdrawal.validator_index),
            "address": address(withdrawal.address),
            "amount": quantity(withdrawal.amount),
        })
    };
    withdrawals.iter().map(one).collect()
}

/// A block that broke a rule, with the hashes of its transactions.
pub fn render_bad(block: &Block, hash: B256) -> Value {
    let mut out = header_fields(&block.header, hash);
    let hashes = block.body.transactions.iter().map(|transaction| data(transaction.tx_hash()));
    out.insert("size".to_owned(), quantity(block.length()));
    out.insert("transactions".to_owned(), hashes.collect());
    out.insert("uncles".to_owned(), uncles(&block.body.ommers));
    Value::Object(out)
}
