//! The state that `pending` means: the head's, and on top of it what the pool can run, in the order of a block.
//!
//! It is made when it is asked for, within [`limits::PENDING_TIME`], and kept for a second per head. Where nothing waits it is the
//! head's.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy_consensus::{Transaction as _, Typed2718 as _, proofs::ordered_trie_root_with_encoder};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, U256};
use chain::{
    block::{Header, Receipt, logs_bloom, receipts_root},
    clique::{SEAL_BYTES, VANITY_BYTES},
    executor::simulate::Refused,
    pool::PoolTransaction,
    reader::ExecutedBlock,
    replay::Rules,
    state::overlay::Overlay,
};
use revm::inspector::NoOpInspector;

use crate::{context::Context, error::RpcError, eth::fee::next_base_fee_of, limits};

/// How long a pending state is good for.
const LIFE: Duration = Duration::from_secs(1);

/// A block that is not there yet, and the state after it.
#[derive(Debug)]
pub struct Pending {
    /// The state.
    pub overlay: Overlay,
    /// The header as calls see it.
    pub header: Header,
    /// Who would seal it: COINBASE.
    pub author: Address,
    /// What it holds.
    pub transactions: Vec<Arc<PoolTransaction>>,
}

/// What a pending state was made of.
type Key = (B256, (usize, usize));

/// The last one that was made.
#[derive(Debug, Default)]
pub struct PendingCache(Mutex<Option<(Key, Instant, Arc<Pending>)>>);

/// The pending state; none where it is the head's.
///
/// # Errors
/// What the store says if it fails.
pub fn pending(context: &Context) -> Result<Option<Arc<Pending>>, RpcError> {
    if context.node.pool_status().0 == 0 { Ok(None) } else { pending_block(context) }
}

/// The block that would come next, empty or not; none where a recorded chain is served, which no block follows.
///
/// # Errors
/// What the store says if it fails.
pub fn pending_block(context: &Context) -> Result<Option<Arc<Pending>>, RpcError> {
    if matches!(context.chain().rules(), Rules::Replay(_)) {
        return Ok(None);
    }
    let status = context.node.pool_status();
    let head = context.chain().head();
    let key = (head.hash(), status);
    let mut kept = context.pending.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, made, pending)) = &*kept
        && *of == key
        && made.elapsed() < LIFE
    {
        return Ok(Some(Arc::clone(pending)));
    }
    let pending = Arc::new(make(context, &head)?);
    *kept = Some((key, Instant::now(), Arc::clone(&pending)));
    Ok(Some(pending))
}

fn make(context: &Context, head: &ExecutedBlock) -> Result<Pending, RpcError> {
    let (spec, parent) = (context.spec(), head.block.header());
    let base_fee = next_base_fee_of(context, head);
    let period = spec.clique.map_or(0, |clique| clique.period_secs);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut header = Header {
        parent_hash: head.hash(),
        number: parent.number + 1,
        timestamp: now.max(parent.timestamp + period),
        gas_limit: parent.gas_limit,
        base_fee_per_gas: spec.is_london(parent.number + 1).then_some(base_fee),
        difficulty: U256::from(2),
        extra_data: vec![0; VANITY_BYTES + SEAL_BYTES].into(),
        ..Header::default()
    };
    let own = context.node.signer().filter(|_| context.node.is_sealing());
    let author = own.unwrap_or(head.signer);
    let mut simulation = context.chain().simulation(head.hash())?;
    let mut block = simulation.begin(&header, author, None, true)?;
    let (until, mut left) = (Instant::now() + limits::PENDING_TIME, header.gas_limit);
    let (mut transactions, mut receipts) = (Vec::new(), Vec::new());
    for pooled in context.node.pool_best(base_fee) {
        if Instant::now() > until {
            break;
        }
        if pooled.transaction.gas_limit() > left {
            continue;
        }
        match block.run(&pooled.transaction, pooled.sender, NoOpInspector) {
            Ok(ran) => {
                left = left.saturating_sub(ran.result.tx_gas_used());
                receipts.push(Receipt {
                    tx_type: pooled.transaction.ty(),
                    success: ran.result.is_success(),
                    post_state: None,
                    cumulative_gas_used: header.gas_limit - left,
                    logs: ran.result.into_logs(),
                });
                transactions.push(pooled);
            }
            // It does not fit here; a block would leave it out too.
            Err(Refused::Call(..)) => {}
            Err(Refused::Store(error)) => return Err(error.into()),
        }
    }
    simulation.end(block, &header)?;
    let raw: Vec<Vec<u8>> =
        transactions.iter().map(|pooled| pooled.transaction.encoded_2718()).collect();
    header.transactions_root =
        ordered_trie_root_with_encoder(&raw, |raw, out| out.extend_from_slice(raw));
    header.gas_used = header.gas_limit - left;
    (header.receipts_root, header.logs_bloom) = (receipts_root(&receipts), logs_bloom(&receipts));
    // as geth's: nobody computes a root before the block closes
    header.state_root = B256::ZERO;
    Ok(Pending { overlay: simulation.overlay().clone(), header, author, transactions })
}
