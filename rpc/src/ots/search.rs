//! `ots_searchTransactions…`: pages of an address' transactions, newest first, always whole blocks.

use alloy_primitives::Address;
use serde_json::{Value, json};

use super::{Count, index::Position};
use crate::{
    context::Context,
    error::{RpcError, RpcResult},
    eth::transaction::{render_mined, render_receipt},
    limits,
    param::Args,
    render::quantity,
};

/// `ots_searchTransactionsBefore`: those before a block; 0 means from the head on.
pub fn before(context: &Context, args: &Args) -> RpcResult {
    let (address, Count(block), Count(size)): (Address, Count, Count) = args.read()?;
    let all = positions(context, address, size)?;
    let end = match u64::try_from(block).unwrap_or(u64::MAX) {
        0 => all.len(),
        block => all.partition_point(|(number, _)| *number < block),
    };
    let shown = last_page(&all[..end], size);
    let is_last = shown.len() == end;
    render(context, shown, block == 0, is_last)
}

/// `ots_searchTransactionsAfter`: those after a block; 0 means from the first on.
pub fn after(context: &Context, args: &Args) -> RpcResult {
    let (address, Count(block), Count(size)): (Address, Count, Count) = args.read()?;
    let all = positions(context, address, size)?;
    let start = match u64::try_from(block).unwrap_or(u64::MAX) {
        0 => 0,
        block => all.partition_point(|(number, _)| *number <= block),
    };
    let shown = first_page(&all[start..], size);
    let is_first = start + shown.len() == all.len();
    render(context, shown, is_first, block == 0)
}

fn positions(context: &Context, address: Address, size: usize) -> Result<Vec<Position>, RpcError> {
    if size == 0 || size > limits::OTS_PAGE {
        return Err(RpcError::Params(format!("page size must be 1 to {}", limits::OTS_PAGE)));
    }
    context.addresses.positions(context, address)
}

/// At least `size` from the end, down to a block's beginning.
fn last_page(all: &[Position], size: usize) -> &[Position] {
    let mut start = all.len().saturating_sub(size);
    while start > 0 && all[start - 1].0 == all[start].0 {
        start -= 1;
    }
    &all[start..]
}

/// At least `size` from the front, up to a block's end.
fn first_page(all: &[Position], size: usize) -> &[Position] {
    let mut end = size.min(all.len());
    while end > 0 && end < all.len() && all[end - 1].0 == all[end].0 {
        end += 1;
    }
    &all[..end]
}

fn render(context: &Context, shown: &[Position], is_first: bool, is_last: bool) -> RpcResult {
    let (mut txs, mut receipts) = (Vec::new(), Vec::new());
    for &(number, index) in shown.iter().rev() {
        let Some(block) = context.chain().block_by_number(number)? else { continue };
        if index >= block.receipts.len() {
            continue;
        }
        txs.push(render_mined(&block, index, context.voice()));
        let mut receipt = render_receipt(&block, index, context);
        receipt["timestamp"] = quantity(block.block.header().timestamp);
        receipts.push(receipt);
    }
    Ok(json!({
        "txs": Value::Array(txs),
        "receipts": Value::Array(receipts),
        "firstPage": is_first,
        "lastPage": is_last,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_whole_blocks() {
        let all: Vec<Position> = vec![(1, 0), (2, 0), (2, 1), (2, 5), (7, 0)];
        assert_eq!(last_page(&all, 2), &all[1..]);
        assert_eq!(last_page(&all, 1), &all[4..]);
        assert_eq!(last_page(&all, 25), &all[..]);
        assert_eq!(first_page(&all, 2), &all[..4]);
        assert_eq!(first_page(&all, 1), &all[..1]);
        assert!(first_page(&[], 3).is_empty());
        assert!(last_page(&[], 3).is_empty());
    }
}
