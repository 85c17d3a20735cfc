//! `clique_*`: who may seal, who did, who is voted on. Snapshot numbers are plain JSON integers, as
//! geth prints them.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, hex};
use alloy_rlp::Decodable as _;
use chain::{
    block::{Block, Header},
    blockchain::ExecutedBlock,
    clique::{seal::recover_signer, snapshot::Snapshot},
};
use node::error::ProposalError;
use serde_json::{Map, Value, json};

use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    error::{RpcError, RpcResult},
    param::{self, Args, Flaw, Param},
    render::{address, data, quantity},
};

/// Blocks that `clique_status` looks back on.
const STATUS_BLOCKS: u64 = 64;
/// Blocks that `clique_getSignerMetrics` looks at, at most and by default.
const METRICS_BLOCKS: u64 = 1_000;

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

/// What `clique_getSigner` is asked about.
enum Sealed {
    /// A block of ours, and how the client wrote it.
    Block(BlockId, String),
    /// A header that the client brings along.
    Header(Box<Header>),
}

impl Param for Sealed {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let Value::String(text) = value else {
            return Ok(Self::Block(BlockId::from_json(value)?, value.to_string()));
        };
        match BlockId::from_json(value) {
            Ok(id) => Ok(Self::Block(id, text.clone())),
            // No number fits so many digits, so it is RLP.
            Err(flaw) => match header_of(text) {
                Some(header) => Ok(Self::Header(Box::new(header))),
                None => Err(flaw),
            },
        }
    }
}

/// The header in the RLP of a block or of a header.
fn header_of(text: &str) -> Option<Header> {
    let bytes = param::data_bytes(text).ok()?;
    let block = Block::decode(&mut bytes.as_slice()).map(|block| block.header);
    block.or_else(|_| Header::decode(&mut bytes.as_slice())).ok()
}

/// `clique_getSigner`: who sealed a block.
pub fn signer(context: &Context, args: &Args) -> RpcResult {
    let (sealed,): (Sealed,) = args.read()?;
    let failed = || RpcError::Server("recovery failed".to_owned());
    match sealed {
        Sealed::Header(header) => recover_signer(&header)
            .map(address)
            .map_err(|error| RpcError::Server(error.to_string())),
        Sealed::Block(id, asked) => {
            let missing = || RpcError::Server(format!("missing block {asked}"));
            let block = id.block(context)?.ok_or_else(missing)?;
            if block.number() == 0 { Err(failed()) } else { Ok(address(block.signer)) }
        }
    }
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
    let percent = percent(in_turn, blocks);
    let activity: Map<String, Value> = activity
        .into_iter()
        .map(|(signer, count)| (hex::encode_prefixed(signer), count.into()))
        .collect();
    Ok(json!({"inturnPercent": percent, "sealerActivity": activity, "numBlocks": blocks}))
}

#[expect(clippy::cast_precision_loss, reason = "at most 64 blocks")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// `clique_getSignerMetrics`: how many blocks each signer made, and its last one.
pub fn signer_metrics(context: &Context, args: &Args) -> RpcResult {
    let (from, to): (Option<BlockNumber>, Option<BlockNumber>) = args.read()?;
    let number = |end: BlockNumber| -> Result<u64, RpcError> {
        Ok(end.block(context)?.ok_or_else(unknown_block)?.number())
    };
    let to = number(to.unwrap_or(BlockNumber::Latest))?;
    let from = match from {
        Some(from) => number(from)?,
        None => to.saturating_sub(METRICS_BLOCKS - 1),
    };
    if from > to {
        return Err(RpcError::Server("invalid block range params".to_owned()));
    }
    if to - from >= METRICS_BLOCKS {
        return Err(RpcError::Limit(format!("range exceeds {METRICS_BLOCKS} blocks")));
    }
    let last = context.chain().canonical_hash(to)?.ok_or_else(unknown_block)?;
    let signers = &context.chain().snapshot(last)?.signers;
    let mut made: BTreeMap<Address, (u64, u64)> =
        signers.iter().map(|signer| (*signer, (0, 0))).collect();
    for number in from.max(1)..=to {
        let Some(block) = context.chain().block_by_number(number)? else { continue };
        let (count, last) = made.entry(block.signer).or_default();
        *count += 1;
        *last = number;
    }
    let one = |(signer, (count, last)): (Address, (u64, u64))| {
        json!({
            "address": address(signer),
            "proposedBlockCount": quantity(count),
            "lastProposedBlockNumber": quantity(last),
        })
    };
    Ok(made.into_iter().map(one).collect())
}

/// `clique_proposals`: the votes that this node casts.
pub fn proposals(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let votes = context.node.proposals().into_iter();
    let votes = votes.map(|(account, vote)| (hex::encode_prefixed(account), vote.into()));
    Ok(Value::Object(votes.collect()))
}

/// `clique_propose`: a vote in each own block from now on, for (`true`) or against an account as signer.
pub fn propose(context: &Context, args: &Args) -> RpcResult {
    let (account, vote): (Address, bool) = args.read()?;
    context.node.propose(account, vote).map_err(refused)?;
    Ok(Value::Null)
}

/// `clique_discard`: takes a proposal back.
pub fn discard(context: &Context, args: &Args) -> RpcResult {
    let (account,): (Address,) = args.read()?;
    context.node.discard(account).map_err(refused)?;
    Ok(Value::Null)
}

fn refused(error: ProposalError) -> RpcError {
    match error {
        ProposalError::ZeroAddress | ProposalError::LastSigner { .. } => {
            let text = error.to_string();
            RpcError::Server(text.lines().next().unwrap_or_default().to_owned())
        }
        other => RpcError::Internal(other.to_string()),
    }
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
