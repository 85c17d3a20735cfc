//! When to seal, and what goes into the block. Runs on the writer's thread, between imports.
//!
//! *When* is `chain::clique::prepare`'s business: at the slot after the parent, later by rank if it
//! is another signer's turn; with period 0 as soon as a transaction waits. *What* is the pool's
//! order: from the moment its parent is head a block stands open and runs transactions as they
//! arrive, so that at its slot it only has to be closed.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, B256};
use chain::{
    blockchain::{Blockchain, HeadChange},
    clique::prepare::{SealerSettings, earliest_seal_ms, prepare_header, rank},
    error::ChainError,
    executor::{ExecError, build::OpenBlock},
    pool::{PoolTransaction, Walk},
};

use crate::{config::SignerKey, handle::Shared};

/// Share of the period that a block may be late for the sake of what waits, if it was opened late itself.
const LATE_SHARE: u32 = 4;
/// The same for a block of period 0, from the moment when work appeared.
const FILL_TIME: Duration = Duration::from_millis(250);
/// The writer looks for other work after so long.
const SLICE: Duration = Duration::from_millis(10);
/// Transactions between two looks at the clock.
const SLICE_STEP: usize = 32;
/// A block whose time lags by more than this, or by more than its period, is opened again.
const LONGEST_LAG_SECS: u64 = 5;
/// Rest after a failure that is not a matter of turns (a full disk, as a rule).
const FAILURE_PAUSE_MS: u64 = 1_000;
/// Rest after a try that found nothing it could put into a block (a fee cap below the base fee, as
/// a rule).
const IDLE_PAUSE_MS: u64 = 200;
/// Transactions whose changes go to the state trie together: what is hashed before the block closes need not be then, and
/// smaller parts would hash the upper nodes once more each.
const PART_TRANSACTIONS: usize = 2_048;
/// Gas of the cheapest transaction: with less left no block is worth filling further.
const LEAST_GAS: u64 = 21_000;

/// The sealing half of the writer.
#[derive(Debug)]
pub(crate) struct Sealer {
    key: SignerKey,
    settings: SealerSettings,
    /// Head that `ready_ms` and `building` belong to.
    parent: B256,
    /// When that block became head or, with period 0, when work appeared on it.
    ready_ms: Option<u64>,
    /// No attempt before this moment.
    paused_until_ms: u64,
    /// Parent on which this key sealed before; a second seal would be an equivocation.
    sealed_parent: Option<B256>,
    building: Option<Building>,
}

/// When this signer's next block is to be opened and to be closed, in ms since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) opens_ms: u64,
    pub(crate) due_ms: u64,
}

/// The open block, and where it stands in the pool's order.
#[derive(Debug)]
struct Building {
    open: OpenBlock,
    walk: Walk,
    /// Transactions whose changes the trie knows.
    parted: usize,
    /// Until then it may wait for transactions that are there already.
    full_until_ms: u64,
}

/// ms since the epoch by the system's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Sealer {
    /// Seals with this key, nothing before `from_ms`.
    pub(crate) fn new(key: SignerKey, settings: SealerSettings, from_ms: u64) -> Self {
        Self {
            key,
            settings,
            parent: B256::ZERO,
            ready_ms: None,
            paused_until_ms: from_ms,
            sealed_parent: None,
            building: None,
        }
    }

    /// The slot of the next block; `None` until the head moves or work appears. Another head than the last time discards
    /// the open block: its transactions never left the pool.
    pub(crate) fn slot(
        &mut self,
        shared: &Shared,
        now_ms: u64,
    ) -> Result<Option<Slot>, ChainError> {
        let (spec, head) = (shared.reader.spec(), shared.reader.head());
        let parent = head.block.sealed_header();
        if self.parent != parent.hash() {
            self.parent = parent.hash();
            self.ready_ms = None;
            self.building = None;
        }
        if self.sealed_parent == Some(self.parent) {
            return Ok(None);
        }
        let is_on_demand = spec.clique.is_some_and(|clique| clique.period_secs == 0);
        if is_on_demand && shared.pool().status().0 == 0 {
            self.ready_ms = None;
            return Ok(None);
        }
        let ready_ms = *self.ready_ms.get_or_insert(now_ms);
        let (signer, snapshot) = (self.settings.signer, shared.reader.snapshot(self.parent)?);
        let Some(rank) = rank(&snapshot, parent.number + 1, signer) else { return Ok(None) };
        let due = earliest_seal_ms(spec, parent, &snapshot, &self.settings, ready_ms);
        let Some(due_ms) = due.map(|due| due.max(self.paused_until_ms)) else { return Ok(None) };
        // Out of turn there is nothing to do until the others have missed theirs.
        let opens_ms =
            if rank == 0 { 0 } else { due_ms.saturating_sub(rank * self.settings.slot_ms) };
        Ok(Some(Slot { opens_ms: opens_ms.max(self.paused_until_ms), due_ms }))
    }

    /// Opens the block of this slot, if it does not stand open yet, and runs what has arrived, for a while. True if more
    /// is waiting and the block should wait for it.
    pub(crate) fn build(
        &mut self,
        chain: &Blockchain,
        shared: &Shared,
        slot: Slot,
        now_ms: u64,
    ) -> Result<bool, ChainError> {
        shared.is_work_noted.store(false, Ordering::Release);
        if self.building.as_ref().is_some_and(|building| building.lags(shared, now_ms)) {
            tracing::debug!("the open block is out of date and opened again");
            self.building = None;
        }
        let built = match self.building.take() {
            Some(building) => Ok(building),
            None => Building::open(chain, shared, &self.settings, slot, now_ms),
        };
        let ran = built.and_then(|mut building| {
            let is_more = building.run(shared, Instant::now() + SLICE)?;
            let is_worth_waiting = is_more && now_ms < building.full_until_ms;
            self.building = Some(building);
            Ok(is_worth_waiting)
        });
        ran.inspect_err(|error| self.rest_after(error))
    }

    /// Closes the open block, signs it and makes it head. `None` if there was nothing to seal after all.
    pub(crate) fn seal(
        &mut self,
        chain: &mut Blockchain,
        shared: &Shared,
    ) -> Result<Option<HeadChange>, ChainError> {
        let Some(building) = self.building.take() else { return Ok(None) };
        let is_on_demand =
            shared.reader.spec().clique.is_some_and(|clique| clique.period_secs == 0);
        if is_on_demand && building.open.transactions().is_empty() {
            self.paused_until_ms = now_ms().saturating_add(IDLE_PAUSE_MS);
            return Ok(None);
        }
        let outcome = self.close_and_import(chain, building.open);
        outcome.map(Some).inspect_err(|error| self.rest_after(error))
    }

    fn close_and_import(
        &self,
        chain: &mut Blockchain,
        open: OpenBlock,
    ) -> Result<HeadChange, ChainError> {
        let sign = |digest| {
            self.key.sign(digest).map_err(|_| chain::clique::CliqueError::RecoveryFailed.into())
        };
        let started = Instant::now();
        let built = open.close()?;
        let closed = started.elapsed();
        let change = chain.seal_and_import(built, sign, now_ms())?;
        tracing::debug!(close = ?closed, import = ?started.elapsed() - closed, "closed a block");
        Ok(change)
    }

    fn rest_after(&mut self, error: &ChainError) {
        match error {
            ChainError::AlreadySealed { parent, .. } => self.sealed_parent = Some(*parent),
            ChainError::KeyInUse { .. } => self.paused_until_ms = u64::MAX,
            _ => self.paused_until_ms = now_ms().saturating_add(FAILURE_PAUSE_MS),
        }
    }
}

impl Building {
    fn open(
        chain: &Blockchain,
        shared: &Shared,
        settings: &SealerSettings,
        slot: Slot,
        now_ms: u64,
    ) -> Result<Self, ChainError> {
        let (spec, head) = (shared.reader.spec(), shared.reader.head());
        let snapshot = shared.reader.snapshot(head.block.hash())?;
        let parent = head.block.sealed_header();
        let proposals = shared.proposals().votes().clone();
        let miner = shared.miner().clone();
        let settings = SealerSettings {
            proposals,
            gas_limit_target: miner.gas_limit.unwrap_or(settings.gas_limit_target),
            vanity: miner.vanity.unwrap_or(settings.vanity),
            ..settings.clone()
        };
        let header = prepare_header(spec, parent, &snapshot, &settings, now_ms / 1_000)?;
        let base_fee = header.base_fee_per_gas.unwrap_or(0);
        let period = Duration::from_secs(spec.clique.map_or(0, |clique| clique.period_secs));
        let late = if period.is_zero() { FILL_TIME } else { period / LATE_SHARE };
        let open = chain.open_block(header, settings.signer)?;
        let walk = Walk::open(&mut shared.pool(), base_fee);
        let full_until_ms = slot.due_ms.max(now_ms).saturating_add(millis(late));
        Ok(Self { open, walk, parted: 0, full_until_ms })
    }

    /// True if contracts would see a time that is long over.
    fn lags(&self, shared: &Shared, now_ms: u64) -> bool {
        let period_secs = shared.reader.spec().clique.map_or(0, |clique| clique.period_secs);
        let limit = period_secs.max(LONGEST_LAG_SECS);
        now_ms / 1_000 > self.open.header().timestamp.saturating_add(limit)
    }

    /// Runs what is executable until nothing is left, nothing fits or the time is over: then the answer is true.
    fn run(&mut self, shared: &Shared, until: Instant) -> Result<bool, ChainError> {
        while self.open.gas_left() >= LEAST_GAS {
            for _ in 0..SLICE_STEP {
                let Some(pooled) = self.walk.next(|| shared.pool()) else { return Ok(false) };
                self.take(shared, &pooled)?;
            }
            self.hash_part()?;
            if Instant::now() >= until {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Brings what ran to the trie, if it is worth it.
    fn hash_part(&mut self) -> Result<(), ChainError> {
        let count = self.open.transactions().len();
        if count - self.parted >= PART_TRANSACTIONS {
            self.parted = count;
            self.open.take_part()?.apply()?;
        }
        Ok(())
    }

    /// Runs one transaction. What does not fit waits for the next block; what can never run leaves the pool, so that it
    /// does not come up in every block. Either way its sender's later ones have no place.
    fn take(&mut self, shared: &Shared, pooled: &PoolTransaction) -> Result<(), ChainError> {
        match self.open.push(&pooled.transaction, pooled.sender) {
            Ok(()) => return Ok(()),
            Err(ExecError::Store(error)) => return Err(error),
            Err(ExecError::Skip(_)) => self.walk.skip_sender(|| shared.pool()),
            Err(ExecError::Invalid(why)) => {
                self.walk.skip_sender(|| shared.pool());
                drop_from_pool(shared, pooled, &why);
            }
        }
        Ok(())
    }
}

fn drop_from_pool(shared: &Shared, pooled: &PoolTransaction, why: &str) {
    let (hash, sender): (B256, Address) = (pooled.hash(), pooled.sender);
    tracing::debug!(%hash, %sender, why, "transaction cannot run and leaves the pool");
    shared.pool().remove(&hash);
}
