//! `txpool_*`: what waits for a block, in geth's shape.

use std::sync::Arc;

use chain::pool::PoolTransaction;
use serde_json::{Map, Value, json};

use crate::{
    context::Context, error::RpcResult, eth::transaction::render_waiting, param::Args,
    render::quantity,
};

/// `txpool_status`: counts.
pub fn status(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let (pending, queued) = context.node.pool_status();
    Ok(json!({"pending": quantity(pending), "queued": quantity(queued)}))
}

/// `txpool_content`: sender (checksummed) → nonce (decimal) → transaction.
pub fn content(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let (pending, queued) = context.node.pool_content();
    Ok(json!({"pending": by_sender(&pending), "queued": by_sender(&queued)}))
}

fn by_sender(transactions: &[Arc<PoolTransaction>]) -> Value {
    let mut out = Map::new();
    for pooled in transactions {
        let sender = out.entry(pooled.sender.to_checksum(None)).or_insert_with(|| json!({}));
        sender[pooled.nonce().to_string()] = render_waiting(&pooled.transaction, pooled.sender);
    }
    Value::Object(out)
}
