//! `clique_*`: who may seal, who did, who is voted on. Snapshot numbers are plain JSON integers, as
//! geth prints them.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, hex};
use chain::{blockchain::ExecutedBlock, clique::snapshot::Snapshot};
use serde_json::{Map, Value, json};

use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    error::{RpcError, RpcResult},
    param::Args,
    render::{address, data},
};

/// Blocks that `clique_status` looks back on.
const STATUS_BLOCKS: u64 = 64;

/// `clique_getSnapshot`.
pub fn snapshot(context: &Context, args: &Args) -> RpcResult {
    let (number,): (Option<BlockNumber>,) = args.read()?;
    Ok(render(&*of_number(context, number)?))
}

/// `clique_getSnapshotAtHash`.
pub fn snapshot_at_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    Ok(render(&*of_hash(context, hash)?))
}

/// `clique_getSigners`.
pub fn signers(context: &Context, args: &Args) -> RpcResult {
    let (number,): (Option<BlockNumber>,) = args.read()?;
    Ok(of_number(context, number)?.signers.iter().copied().map(address).collect())
}

/// `clique_getSignersAtHash`.
pub fn signers_at_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    Ok(of_hash(context, hash)?.signers.iter().copied().map(address).collect())
}

/// `clique_getSigner`: who sealed a block.
pub fn signer(context: &Context, args: &Args) -> RpcResult {
    let (id,): (BlockId,) = args.read()?;
    let missing = || {
        let asked = match id {
            BlockId::Number(BlockNumber::Number(number)) => format!("{number:#x}"),
            BlockId::Hash { hash, .. } => hex::encode_prefixed(hash),
            BlockId::Number(word) => format!("{word:?}").to_lowercase(),
        };
        RpcError::Server(format!("missing block {asked}"))
    };
    let block = id.block(context)?.ok_or_else(missing)?;
    if block.block.header().number == 0 {
        return Err(RpcError::Server("recovery failed".to_owned()));
    }
    Ok(address(block.signer))
}

/// `clique_status`: how the last 64 blocks were sealed.
pub fn status(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let head = context.chain().head();
    let number = head.block.header().number;
    let signers = &context.chain().snapshot(head.block.hash())?.signers;
    let mut activity: BTreeMap<Address, u64> = signers.iter().map(|signer| (*signer, 0)).collect();
    let (mut in_turn, mut blocks) = (0_u64, 0_u64);
    for number in number.saturating_sub(STATUS_BLOCKS).max(1)..number.max(1) {
        let Some(block) = context.chain().block_by_number(number)? else { continue };
        blocks += 1;
        in_turn += u64::from(block.block.header().difficulty == alloy_primitives::U256::from(2));
        *activity.entry(block.signer).or_default() += 1;
    }
    let percent = (100 * in_turn).checked_div(blocks).unwrap_or(0);
    let activity: Map<String, Value> = activity
        .into_iter()
        .map(|(signer, count)| (hex::encode_prefixed(signer), count.into()))
        .collect();
    Ok(json!({"inturnPercent": percent, "sealerActivity": activity, "numBlocks": blocks}))
}

/// `clique_proposals`: this node proposes nothing by itself.
pub fn proposals(_: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(json!({}))
}

fn unknown_block() -> RpcError {
    RpcError::Server("unknown block".to_owned())
}

fn of_number(context: &Context, number: Option<BlockNumber>) -> Result<Arc<Snapshot>, RpcError> {
    let number = number.unwrap_or(BlockNumber::Latest);
    let block: Arc<ExecutedBlock> = number.block(context)?.ok_or_else(unknown_block)?;
    Ok(context.chain().snapshot(block.block.hash())?)
}

fn of_hash(context: &Context, hash: B256) -> Result<Arc<Snapshot>, RpcError> {
    context.chain().block_by_hash(hash)?.ok_or_else(unknown_block)?;
    Ok(context.chain().snapshot(hash)?)
}

fn render(snapshot: &Snapshot) -> Value {
    let signers: Map<String, Value> =
        snapshot.signers.iter().map(|signer| (hex::encode_prefixed(signer), json!({}))).collect();
    let recents: Map<String, Value> = snapshot
        .recents
        .iter()
        .map(|(number, signer)| (number.to_string(), address(*signer)))
        .collect();
    let votes: Vec<Value> = snapshot
        .votes
        .iter()
        .map(|vote| {
            json!({
                "signer": address(vote.signer),
                "block": vote.block,
                "address": address(vote.address),
                "authorize": vote.authorize,
            })
        })
        .collect();
    let tally: Map<String, Value> = snapshot
        .tally
        .iter()
        .map(|(voted, tally)| {
            let tally = json!({"authorize": tally.authorize, "votes": tally.votes});
            (hex::encode_prefixed(voted), tally)
        })
        .collect();
    json!({
        "number": snapshot.number,
        "hash": data(snapshot.hash),
        "signers": signers,
        "recents": recents,
        "votes": votes,
        "tally": tally,
    })
}
