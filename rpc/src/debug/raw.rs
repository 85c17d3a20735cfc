//! `debug_getRaw…` and `debug_getBadBlocks`: consensus bytes.

use std::sync::Arc;

use chain::reader::ExecutedBlock;
use serde_json::{Value, json};

use crate::{
    block_id::BlockId,
    context::Context,
    error::{RpcError, RpcResult},
    eth::{block as eth_block, transaction},
    param::Args,
    render::data,
};

fn asked(context: &Context, args: &Args) -> Result<Arc<ExecutedBlock>, RpcError> {
    let (id,): (BlockId,) = args.read()?;
    id.block(context)?.ok_or_else(RpcError::header_not_found)
}

/// `debug_getRawHeader`.
pub fn header(context: &Context, args: &Args) -> RpcResult {
    Ok(data(alloy_rlp::encode(asked(context, args)?.block.header())))
}

/// `debug_getRawBlock`.
pub fn block(context: &Context, args: &Args) -> RpcResult {
    Ok(data(alloy_rlp::encode(asked(context, args)?.block.clone_block())))
}

/// `debug_getRawReceipts`: EIP-2718 bytes of each.
pub fn receipts(context: &Context, args: &Args) -> RpcResult {
    let block = asked(context, args)?;
    let encode = |receipt: &chain::block::Receipt| {
        let mut bytes = Vec::new();
        receipt.encode_2718(&mut bytes);
        data(bytes)
    };
    Ok(block.receipts.iter().map(encode).collect())
}

/// `debug_getRawTransaction`: mined or waiting.
pub fn raw_transaction(context: &Context, args: &Args) -> RpcResult {
    transaction::raw_by_hash(context, args)
}

/// `debug_getBadBlocks`: the last blocks that broke a rule, newest first.
pub fn bad_blocks(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let mut out = Vec::new();
    for bad in context.chain().bad_blocks()? {
        let Some(block) = bad.block else { continue };
        let rlp = data(alloy_rlp::encode(&block));
        let rendered = eth_block::render_bad(&block, bad.hash);
        out.push(json!({"hash": data(bad.hash), "block": rendered, "rlp": rlp}));
    }
    Ok(Value::Array(out))
}
