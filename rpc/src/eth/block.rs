//! Blocks and headers by number and hash, and how they look.

use alloy_primitives::B256;
use alloy_rlp::Encodable as _;
use chain::blockchain::ExecutedBlock;
use serde_json::{Map, Value, json};

use crate::{
    block_id::BlockNumber,
    context::Context,
    error::RpcResult,
    eth::transaction,
    param::Args,
    render::{address, data, or_null, quantity},
};

/// `eth_blockNumber`.
pub fn number(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(quantity(context.chain().head().block.header().number))
}

/// `eth_getBlockByNumber`.
pub fn by_number(context: &Context, args: &Args) -> RpcResult {
    let (number, is_full): (BlockNumber, bool) = args.read()?;
    Ok(or_null(number.block(context)?, |block| render_block(&block, is_full)))
}

/// `eth_getBlockByHash`.
pub fn by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash, is_full): (B256, bool) = args.read()?;
    Ok(or_null(context.chain().block_by_hash(hash)?, |block| render_block(&block, is_full)))
}

/// `eth_getHeaderByNumber`.
pub fn header_by_number(context: &Context, args: &Args) -> RpcResult {
    let (number,): (BlockNumber,) = args.read()?;
    Ok(or_null(number.block(context)?, |block| Value::Object(render_header(&block))))
}

/// `eth_getHeaderByHash`.
pub fn header_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    let block = context.chain().block_by_hash(hash)?;
    Ok(or_null(block, |block| Value::Object(render_header(&block))))
}

/// `eth_getBlockTransactionCountByNumber`.
pub fn transaction_count_by_number(context: &Context, args: &Args) -> RpcResult {
    let (number,): (BlockNumber,) = args.read()?;
    Ok(or_null(number.block(context)?, |block| quantity(block.receipts.len())))
}

/// `eth_getBlockTransactionCountByHash`.
pub fn transaction_count_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    Ok(or_null(context.chain().block_by_hash(hash)?, |block| quantity(block.receipts.len())))
}

/// `eth_getUncleCountByBlockNumber`: zero for every block there is.
pub fn uncle_count_by_number(context: &Context, args: &Args) -> RpcResult {
    let (number,): (BlockNumber,) = args.read()?;
    Ok(or_null(number.block(context)?, |_| quantity(0_u64)))
}

/// `eth_getUncleCountByBlockHash`: zero for every block there is.
pub fn uncle_count_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    Ok(or_null(context.chain().block_by_hash(hash)?, |_| quantity(0_u64)))
}

/// `eth_getUncleByBlockNumberAndIndex`: there are none.
pub fn uncle_by_number(_: &Context, args: &Args) -> RpcResult {
    let (_, _): (BlockNumber, u64) = args.read()?;
    Ok(Value::Null)
}

/// `eth_getUncleByBlockHashAndIndex`: there are none.
pub fn uncle_by_hash(_: &Context, args: &Args) -> RpcResult {
    let (_, _): (B256, u64) = args.read()?;
    Ok(Value::Null)
}

/// A header with its hash and the total difficulty up to it.
pub fn render_header(block: &ExecutedBlock) -> Map<String, Value> {
    let header = block.block.header();
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("number", quantity(header.number));
    put("hash", data(block.block.hash()));
    put("parentHash", data(header.parent_hash));
    put("nonce", data(header.nonce));
    put("sha3Uncles", data(header.ommers_hash));
    put("logsBloom", data(header.logs_bloom));
    put("transactionsRoot", data(header.transactions_root));
    put("stateRoot", data(header.state_root));
    put("receiptsRoot", data(header.receipts_root));
    put("miner", address(header.beneficiary));
    put("difficulty", quantity(header.difficulty));
    put("totalDifficulty", quantity(block.total_difficulty));
    put("extraData", data(&header.extra_data));
    put("mixHash", data(header.mix_hash));
    put("gasLimit", quantity(header.gas_limit));
    put("gasUsed", quantity(header.gas_used));
    put("timestamp", quantity(header.timestamp));
    if let Some(base_fee) = header.base_fee_per_gas {
        put("baseFeePerGas", quantity(base_fee));
    }
    out
}

/// A block with the hashes of its transactions, or with all of them.
pub fn render_block(block: &ExecutedBlock, is_full: bool) -> Value {
    let transactions: Vec<Value> = (0..block.receipts.len())
        .map(|index| match is_full {
            true => transaction::render_mined(block, index),
            false => data(transaction::hash_at(block, index)),
        })
        .collect();
    let mut out = render_header(block);
    out.insert("size".to_owned(), quantity(block.block.sealed_block().clone_block().length()));
    out.insert("transactions".to_owned(), Value::Array(transactions));
    out.insert("uncles".to_owned(), json!([]));
    Value::Object(out)
}
