//! Polling filters: what has happened since the last poll.
//!
//! A log or block filter is its criteria and the last block it told of; a poll walks from there to
//! the head, so its memory does not grow with traffic. Pending filters hold a position in one ring
//! of arrivals. Five minutes without a poll end a filter.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use alloy_primitives::B256;
use chain::{blockchain::ExecutedBlock, reader::ChainReader};
use node::{events::PendingTransactions, handle::NodeHandle};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use crate::{
    block_id::BlockNumber,
    context::Context,
    error::{RpcError, RpcResult},
    eth::log::{self, LogFilter, Range},
    limits,
    param::Args,
    rate,
    render::data,
    server::random_id,
};

/// The polling filters of one listener.
#[derive(Debug)]
pub struct Filters {
    by_id: Mutex<HashMap<String, Filter>>,
    arrivals: Arc<Mutex<Arrivals>>,
}

#[derive(Debug, Clone)]
struct Filter {
    kind: Kind,
    /// Whose it is, unless this machine's own.
    owner: Option<IpAddr>,
    last_poll: Instant,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Logs since this block.
    Logs(LogFilter, B256),
    /// Blocks since this one.
    Blocks(B256),
    /// Transactions since this position of the ring.
    Pending(u64),
}

/// Hashes of executable transactions in the order of their arrival.
#[derive(Debug, Default)]
struct Arrivals {
    /// Position of the first one still here.
    start: u64,
    hashes: VecDeque<B256>,
}

impl Arrivals {
    fn push(&mut self, hash: B256) {
        if self.hashes.len() == limits::PENDING_RING {
            self.hashes.pop_front();
            self.start += 1;
        }
        self.hashes.push_back(hash);
    }

    fn end(&self) -> u64 {
        self.start + self.hashes.len() as u64
    }

    fn since(&self, position: u64) -> Vec<B256> {
        let skip = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.hashes.iter().skip(skip).copied().collect()
    }
}

/// A lock whose holder panicked still guards a map that is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Filters {
    /// No filters yet; a task collects arrivals until the node's last handle or this listener is
    /// gone.
    pub fn new(node: &NodeHandle) -> Self {
        let arrivals = Arc::new(Mutex::new(Arrivals::default()));
        let (weak, mut pending) = (Arc::downgrade(&arrivals), node.subscribe_pending());
        tokio::spawn(async move {
            loop {
                let received = pending.recv().await;
                let Some(arrivals) = weak.upgrade() else { break };
                match received {
                    Ok(PendingTransactions(batch)) => {
                        let mut arrivals = lock(&arrivals);
                        batch.iter().for_each(|pooled| arrivals.push(pooled.hash()));
                    }
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "pending filters missed batches of arrivals");
                    }
                    Err(RecvError::Closed) => break,
                }
            }
        });
        Self { by_id: Mutex::default(), arrivals }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        lock(&self.by_id).len()
    }

    fn install(&self, kind: Kind, owner: Option<IpAddr>) -> RpcResult {
        let owner = owner.map(rate::network);
        let mut by_id = lock(&self.by_id);
        by_id.retain(|_, filter| filter.last_poll.elapsed() < limits::FILTER_LIFE);
        if by_id.len() >= limits::FILTERS {
            return Err(RpcError::Limit(format!("too many filters: {} in all", limits::FILTERS)));
        }
        let is_full = owner.is_some()
            && by_id.values().filter(|filter| filter.owner == owner).count()
                >= limits::FILTERS_PER_ADDRESS;
        if is_full {
            let most = limits::FILTERS_PER_ADDRESS;
            let text = format!(
                "too many filters: {most} of one address (eth_uninstallFilter ends one, five minutes without a poll do too)"
            );
            return Err(RpcError::Limit(text));
        }
        let id = random_id();
        by_id.insert(id.clone(), Filter { kind, owner, last_poll: Instant::now() });
        Ok(Value::String(id))
    }

    fn get(&self, id: &str) -> Result<Kind, RpcError> {
        let mut by_id = lock(&self.by_id);
        let not_found = || RpcError::Server("filter not found".to_owned());
        let filter = by_id.get_mut(id).ok_or_else(not_found)?;
        if filter.last_poll.elapsed() >= limits::FILTER_LIFE {
            by_id.remove(id);
            return Err(not_found());
        }
        filter.last_poll = Instant::now();
        Ok(filter.kind.clone())
    }

    fn set(&self, id: &str, kind: Kind) {
        if let Some(filter) = lock(&self.by_id).get_mut(id) {
            filter.kind = kind;
        }
    }
}

/// `eth_newFilter`.
pub fn new_filter(context: &Context, args: &Args) -> RpcResult {
    let (filter,): (LogFilter,) = args.read()?;
    context.filters.install(Kind::Logs(filter, context.head_hash()), args.caller)
}

/// `eth_newBlockFilter`.
pub fn new_block_filter(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    context.filters.install(Kind::Blocks(context.head_hash()), args.caller)
}

/// `eth_newPendingTransactionFilter`.
pub fn new_pending_filter(context: &Context, args: &Args) -> RpcResult {
    let (_,): (Option<bool>,) = args.read()?;
    let end = lock(&context.filters.arrivals).end();
    context.filters.install(Kind::Pending(end), args.caller)
}

/// `eth_uninstallFilter`.
pub fn uninstall(context: &Context, args: &Args) -> RpcResult {
    let (id,): (String,) = args.read()?;
    Ok(Value::Bool(lock(&context.filters.by_id).remove(&id).is_some()))
}

/// `eth_getFilterChanges`: what happened since the last call; logs of abandoned blocks first, as
/// removed.
pub fn changes(context: &Context, args: &Args) -> RpcResult {
    let (id,): (String,) = args.read()?;
    match context.filters.get(&id)? {
        Kind::Pending(position) => {
            let arrivals = lock(&context.filters.arrivals);
            context.filters.set(&id, Kind::Pending(arrivals.end()));
            Ok(arrivals.since(position).into_iter().map(data).collect())
        }
        Kind::Blocks(last) => {
            let walk = walk(context.chain(), last)?;
            context.filters.set(&id, Kind::Blocks(walk.head));
            Ok(walk.added.iter().map(|block| data(block.block.hash())).collect())
        }
        Kind::Logs(filter, last) => {
            let walk = walk(context.chain(), last)?;
            let mut logs = Vec::new();
            for block in &walk.removed {
                logs.extend(logs_in_range(block, &filter, true));
            }
            for block in &walk.added {
                logs.extend(logs_in_range(block, &filter, false));
            }
            context.filters.set(&id, Kind::Logs(filter, walk.head));
            Ok(Value::Array(logs))
        }
    }
}

/// `eth_getFilterLogs`: all logs of a log filter's range.
pub fn logs(context: &Context, args: &Args) -> RpcResult {
    let (id,): (String,) = args.read()?;
    match context.filters.get(&id)? {
        Kind::Logs(filter, _) => log::find(context, filter),
        _ => Err(RpcError::Server("filter not found".to_owned())),
    }
}

/// Wanted logs of a block, if the filter's range holds it. A range that ends at a word never ends.
fn logs_in_range(block: &Arc<ExecutedBlock>, filter: &LogFilter, is_removed: bool) -> Vec<Value> {
    let number = block.block.header().number;
    let is_inside = match filter.range {
        Range::Block(hash) => block.block.hash() == hash,
        Range::Between(from, to) => {
            let is_after = !matches!(from, BlockNumber::Number(from) if number < from);
            let is_before = !matches!(to, BlockNumber::Number(to) if number > to);
            is_after && is_before
        }
    };
    if is_inside { log::render_all(block, &filter.criteria, is_removed) } else { Vec::new() }
}

/// The way from one block to the head.
struct Walk {
    /// Blocks that left the chain, newest first.
    removed: Vec<Arc<ExecutedBlock>>,
    /// Blocks that joined it, oldest first.
    added: Vec<Arc<ExecutedBlock>>,
    head: B256,
}

fn walk(chain: &ChainReader, last: B256) -> Result<Walk, RpcError> {
    let head = chain.head();
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let known = |hash| -> Result<Arc<ExecutedBlock>, RpcError> {
        chain
            .block_by_hash(hash)?
            .ok_or_else(|| RpcError::Server("the blocks since the last poll are gone".to_owned()))
    };
    let mut old = known(last)?;
    let mut new = Arc::clone(&head);
    while old.block.hash() != new.block.hash() {
        let (old_number, new_number) = (old.block.header().number, new.block.header().number);
        if new_number >= old_number {
            let parent = new.block.header().parent_hash;
            added.push(std::mem::replace(&mut new, known(parent)?));
        }
        if old_number >= new_number {
            let parent = old.block.header().parent_hash;
            removed.push(std::mem::replace(&mut old, known(parent)?));
        }
    }
    added.reverse();
    Ok(Walk { removed, added, head: head.block.hash() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_of_arrivals_forgets_the_oldest() {
        let mut ring = Arrivals::default();
        let hash = |n: u64| B256::from(alloy_primitives::U256::from(n));
        for n in 0..limits::PENDING_RING as u64 + 10 {
            ring.push(hash(n));
        }
        assert_eq!(ring.start, 10);
        assert_eq!(ring.since(0).len(), limits::PENDING_RING);
        assert_eq!(ring.since(ring.end() - 1), [hash(ring.end() - 1)]);
        assert!(ring.since(ring.end()).is_empty());
    }
}
