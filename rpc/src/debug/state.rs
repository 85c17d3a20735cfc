//! `debug_*` over the state: slots in the order of their hashes, accounts that changed, roots, preimages, code.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use chain::reader::ExecutedBlock;
use node::error::SetHeadError;
use serde_json::{Map, Value, json};

use super::trace::{advance, late, position};
use crate::{
    block_id::BlockId,
    context::Context,
    error::{RpcError, RpcResult},
    limits,
    param::{Args, Flaw, Param},
    render::{address, data},
};

/// A JSON integer.
#[derive(Debug, Clone, Copy)]
struct Integer(u64);

impl Param for Integer {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        value.as_u64().map(Self).ok_or_else(|| "non-integer".into())
    }
}

fn server(text: String) -> RpcError {
    RpcError::Server(text)
}

/// `debug_storageRangeAt`: slots of an account before a transaction, in the order of their hashes.
pub fn storage_range_at(context: &Context, args: &Args) -> RpcResult {
    let (id, Integer(index), account, start, Integer(limit)): (
        BlockId,
        Integer,
        Address,
        Bytes,
        Integer,
    ) = args.read()?;
    let block = id.state_block(context)?;
    if block.number() == 0 {
        return Err(server("no transaction in genesis".to_owned()));
    }
    let index = position(&block, index)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(limits::STORAGE_RANGE);
    let mut rerun = context.chain().rerun(block.hash())?;
    advance(&mut rerun, &block.block, index)?;
    let slots = rerun.overlay().slots_of(account)?;
    let hashed: BTreeMap<B256, (U256, U256)> = slots
        .into_iter()
        .map(|(slot, value)| (keccak256(slot.to_be_bytes::<32>()), (slot, value)))
        .collect();
    let mut rest = hashed.iter().skip_while(|(hash, _)| hash.as_slice() < start.as_ref());
    let mut storage = Map::new();
    for (hash, (slot, value)) in rest.by_ref().take(limit) {
        let word = |word: &U256| data(word.to_be_bytes::<32>());
        let entry = json!({"key": word(slot), "value": word(value)});
        storage.insert(hash.to_string(), entry);
    }
    let next = rest.next().map_or(Value::Null, |(hash, _)| data(hash));
    Ok(json!({"storage": storage, "nextKey": next}))
}

/// `debug_getModifiedAccountsByNumber`.
pub fn modified_by_number(context: &Context, args: &Args) -> RpcResult {
    let (Integer(from), to): (Integer, Option<Integer>) = args.read()?;
    let chain = context.chain();
    let start = chain.block_by_number(from)?;
    let start = start.ok_or_else(|| server(format!("start block {from:x} not found")))?;
    let end = match to {
        None => None,
        Some(Integer(to)) => {
            let end = chain.block_by_number(to)?;
            Some(end.ok_or_else(|| server(format!("end block {to} not found")))?)
        }
    };
    modified(context, &start, end.as_deref())
}

/// `debug_getModifiedAccountsByHash`.
pub fn modified_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (from, to): (B256, Option<B256>) = args.read()?;
    let find = |hash: B256, what: &str| {
        let block = context.chain().block_by_hash(hash)?;
        block.ok_or_else(|| server(format!("{what} block {hash:x} not found")))
    };
    let start = find(from, "start")?;
    let end = to.map(|to| find(to, "end")).transpose()?;
    modified(context, &start, end.as_deref())
}

/// Accounts that differ between two blocks and exist after the second, by hashed address.
fn modified(context: &Context, start: &ExecutedBlock, end: Option<&ExecutedBlock>) -> RpcResult {
    let (from, to, end) = match end {
        Some(end) => (start.number(), end.number(), end),
        None => match start.number().checked_sub(1) {
            Some(parent) => (parent, start.number(), start),
            None => return Err(server("block 0 has no parent".to_owned())),
        },
    };
    if from >= to {
        let text = format!("start block height ({from}) must be less than end block height ({to})");
        return Err(server(text));
    }
    if to - from > limits::MODIFIED_RANGE {
        return Err(RpcError::Limit(format!("range exceeds {} blocks", limits::MODIFIED_RANGE)));
    }
    let chain = context.chain();
    let first = chain.canonical_hash(from)?.ok_or_else(RpcError::header_not_found)?;
    let (before, after) = (chain.state(first)?, chain.state(end.hash())?);
    let mut found = BTreeMap::new();
    for number in from + 1..=to {
        for account in chain.changed_accounts(number)? {
            let (old, new) = (before.account(account)?, after.account(account)?);
            if new.is_some() && old != new {
                found.insert(keccak256(account), account);
            }
        }
    }
    Ok(found.into_values().map(address).collect())
}

/// `debug_intermediateRoots`: the state root after each transaction.
pub fn intermediate_roots(context: &Context, args: &Args) -> RpcResult {
    let (hash, _): (B256, Option<Value>) = args.read()?;
    let block = context.chain().block_by_hash(hash)?;
    let block = block.ok_or_else(|| server(format!("block {hash} not found")))?;
    if block.number() == 0 {
        return Err(server("genesis is not traceable".to_owned()));
    }
    Ok(context.chain().intermediate_roots(hash)?.iter().map(data).collect())
}

/// `debug_preimage`: the address or slot behind a hash, looked for in the state of the head.
pub fn preimage(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    let deadline = Instant::now() + limits::TRACE_TIME;
    let state = context.chain().head_state();
    let (mut found, mut owners) = (None, Vec::new());
    state.accounts(|account, held| {
        if keccak256(account) == hash {
            found = Some(account);
        }
        if held.storage_root != alloy_consensus::constants::EMPTY_ROOT_HASH {
            owners.push(account);
        }
    })?;
    if let Some(found) = found {
        return Ok(data(found));
    }
    for owner in owners {
        if Instant::now() > deadline {
            return Err(late());
        }
        let slots = state.slots_of(owner)?;
        let mut slots = slots.into_keys().map(|slot| slot.to_be_bytes::<32>());
        if let Some(slot) = slots.find(|slot| keccak256(slot) == hash) {
            return Ok(data(slot));
        }
    }
    Err(server("unknown preimage".to_owned()))
}

/// `debug_setHead`: takes the blocks above a number off the chain.
pub async fn set_head(context: Arc<Context>, args: Args) -> RpcResult {
    let (number,): (u64,) = args.read()?;
    match context.node.set_head(number).await {
        Ok(()) => Ok(Value::Null),
        Err(SetHeadError::Chain(error)) => Err(error.into()),
        Err(error @ SetHeadError::Stopped) => Err(RpcError::Internal(error.to_string())),
        Err(error) => Err(server(error.to_string())),
    }
}

/// `debug_codeByHash`.
pub fn code_by_hash(context: &Context, args: &Args) -> RpcResult {
    let (hash,): (B256,) = args.read()?;
    match context.chain().head_state().code(hash) {
        Ok(code) => Ok(data(code)),
        Err(chain::error::ChainError::Corrupt { .. }) => {
            Err(server(format!("no code with hash {hash}")))
        }
        Err(error) => Err(error.into()),
    }
}
