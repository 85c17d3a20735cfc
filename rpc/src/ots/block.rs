//! Blocks for Otterscan: details without transactions, transactions in pages.

use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, U256};
use chain::reader::ExecutedBlock;
use serde_json::{Value, json};

use super::{Count, Height};
use crate::{
    context::Context,
    error::{RpcError, RpcResult},
    eth::{
        block::{render_block, render_header},
        transaction::{effective_gas_price, render_mined, render_receipt},
    },
    limits,
    param::Args,
    render::{address, or_null, quantity},
};

/// `ots_getApiLevel`.
pub fn api_level(_: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(json!(8))
}

/// `erigon_getHeaderByNumber`.
pub fn header_by_number(context: &Context, args: &Args) -> RpcResult {
    let (Height(number),): (Height,) = args.read()?;
    Ok(or_null(number.block(context)?, |block| Value::Object(render_header(&block))))
}

/// `ots_getBlockDetails`.
pub fn details(context: &Context, args: &Args) -> RpcResult {
    let (Height(number),): (Height,) = args.read()?;
    Ok(or_null(number.block(context)?, |block| render_details(&block, context)))
}

/// `ots_getBlockDetailsByHash`.
pub fn details_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    let block = context.chain().block_by_hash(hash)?;
    Ok(or_null(block, |block| render_details(&block, context)))
}

/// The block without transactions, with their number, who sealed it, and what all of them paid.
fn render_details(block: &ExecutedBlock, context: &Context) -> Value {
    let mut out = slim(block, context);
    out["transactionCount"] = quantity(block.receipts.len());
    if let Some(members) = out.as_object_mut() {
        members.remove("transactions");
    }
    let header = block.block.header();
    let mut fees = U256::ZERO;
    let mut before = 0;
    for (transaction, receipt) in block.block.body().transactions.iter().zip(&block.receipts) {
        let gas = receipt.cumulative_gas_used - before;
        before = receipt.cumulative_gas_used;
        let price = effective_gas_price(transaction, header.base_fee_per_gas);
        fees += U256::from(gas) * U256::from(price);
    }
    json!({
        "block": out,
        "issuance": {"blockReward": "0x0", "uncleReward": "0x0", "issuance": "0x0"},
        "totalFees": quantity(fees),
    })
}

/// The block with its signer as `miner`, without the bloom that Otterscan does not read.
fn slim(block: &ExecutedBlock, context: &Context) -> Value {
    let mut out = render_block(block, false, context.voice());
    out["miner"] = address(block.signer);
    out["logsBloom"] = Value::Null;
    out
}

/// `ots_getBlockTransactions`: one page, counted from 0, with receipts that have no logs.
pub fn transactions(context: &Context, args: &Args) -> RpcResult {
    let (Height(number), Count(page), Count(size)): (Height, Count, Count) = args.read()?;
    if size > limits::OTS_PAGE {
        return Err(RpcError::Params(format!("page size exceeds {}", limits::OTS_PAGE)));
    }
    let Some(block) = number.block(context)? else { return Ok(Value::Null) };
    let count = block.receipts.len();
    let start = page.saturating_mul(size).min(count);
    let shown = start..start.saturating_add(size).min(count);
    let mut full = slim(&block, context);
    full["transactionCount"] = quantity(count);
    full["transactions"] = shown
        .clone()
        .map(|index| {
            let mut transaction = render_mined(&block, index, context.voice());
            // a list shows which function is called, nothing of its arguments
            let input = block.block.body().transactions[index].input();
            let selector = input.get(..4).unwrap_or(input);
            transaction["input"] = crate::render::data(selector);
            transaction
        })
        .collect();
    let receipts: Vec<Value> = shown
        .map(|index| {
            let mut receipt = render_receipt(&block, index, context);
            receipt["logs"] = Value::Null;
            receipt["logsBloom"] = Value::Null;
            receipt
        })
        .collect();
    Ok(json!({"fullblock": full, "receipts": receipts}))
}
