//! `txpool_*`: what waits for a block, in geth's shape.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
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
    let show = |pooled: &PoolTransaction| render_waiting(&pooled.transaction, pooled.sender);
    Ok(json!({"pending": by_sender(&pending, &show), "queued": by_sender(&queued, &show)}))
}

/// `txpool_contentFrom`: nonce (decimal) → transaction, of one sender.
pub fn content_from(context: &Context, args: &Args) -> RpcResult {
    let (sender,): (Address,) = args.read()?;
    let (pending, queued) = context.node.pool_content();
    let of_sender = |transactions: &[Arc<PoolTransaction>]| {
        let mut by_sender = by_sender(transactions, &|pooled: &PoolTransaction| {
            render_waiting(&pooled.transaction, pooled.sender)
        });
        by_sender.get_mut(sender.to_checksum(None)).map_or_else(|| json!({}), Value::take)
    };
    Ok(json!({"pending": of_sender(&pending), "queued": of_sender(&queued)}))
}

/// `txpool_inspect`: as `txpool_content`, a line for each transaction.
pub fn inspect(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let (pending, queued) = context.node.pool_content();
    let line = |pooled: &PoolTransaction| {
        let transaction = &pooled.transaction;
        let to = transaction.to().map_or("contract creation".to_owned(), |to| to.to_string());
        Value::from(format!(
            "{to}: {} wei + {} gas × {} wei",
            transaction.value(),
            transaction.gas_limit(),
            transaction.max_fee_per_gas()
        ))
    };
    Ok(json!({"pending": by_sender(&pending, &line), "queued": by_sender(&queued, &line)}))
}

fn by_sender(
    transactions: &[Arc<PoolTransaction>],
    show: &dyn Fn(&PoolTransaction) -> Value,
) -> Value {
    let mut out = Map::new();
    for pooled in transactions {
        let sender = out.entry(pooled.sender.to_checksum(None)).or_insert_with(|| json!({}));
        sender[pooled.nonce().to_string()] = show(pooled);
    }
    Value::Object(out)
}
