//! When to seal, and what goes into the block. Runs on the writer's thread, between imports.
//!
//! *When* is `chain::clique::prepare`'s business: at the slot after the parent, later by rank if it
//! is another signer's turn; with period 0 as soon as a transaction waits. *What* is the pool's
//! order, until the block is full or the time for filling is over.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256};
use chain::{
    blockchain::{Blockchain, HeadChange},
    clique::prepare::{SealerSettings, earliest_seal_ms, prepare_header},
    error::ChainError,
    executor::{ExecError, build::OpenBlock},
    pool::PoolTransaction,
};

use crate::{config::SignerKey, handle::Shared};

/// Share of the period that filling a block may take, so that it is out early in its slot.
const FILL_SHARE: u32 = 4;
/// Time for filling a block of period 0.
const FILL_TIME: Duration = Duration::from_millis(250);
/// Rest after a failure that is not a matter of turns (a full disk, as a rule).
const FAILURE_PAUSE_MS: u64 = 1_000;
/// Rest after a try that found nothing it could put into a block (a fee cap below the base fee, as
/// a rule).
const IDLE_PAUSE_MS: u64 = 200;
/// Gas of the cheapest transaction: with less left no block is worth filling further.
const LEAST_GAS: u64 = 21_000;

/// The sealing half of the writer.
#[derive(Debug)]
pub(crate) struct Sealer {
    key: SignerKey,
    settings: SealerSettings,
    /// Head that `ready_ms` belongs to.
    parent: B256,
    /// When that block became head or, with period 0, when work appeared on it.
    ready_ms: Option<u64>,
    /// No attempt before this moment.
    paused_until_ms: u64,
    /// Parent on which this key sealed before; a second seal would be an equivocation.
    sealed_parent: Option<B256>,
}

/// ms since the epoch by the system's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Sealer {
    pub(crate) fn new(key: SignerKey, settings: SealerSettings) -> Self {
        let parent = B256::ZERO;
        Self { key, settings, parent, ready_ms: None, paused_until_ms: 0, sealed_parent: None }
    }

    /// Seals nothing before this moment, ms since the epoch.
    pub(crate) const fn wait_until(&mut self, at_ms: u64) {
        self.paused_until_ms = at_ms;
    }

    /// When the next block is due, in ms since the epoch; `None` until the head moves or work
    /// appears.
    pub(crate) fn due_ms(
        &mut self,
        shared: &Shared,
        now_ms: u64,
    ) -> Result<Option<u64>, ChainError> {
        let (spec, head) = (shared.reader.spec(), shared.reader.head());
        let parent = head.block.sealed_header();
        if self.parent != parent.hash() {
            self.parent = parent.hash();
            self.ready_ms = None;
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
        let snapshot = shared.reader.snapshot(self.parent)?;
        let due = earliest_seal_ms(spec, parent, &snapshot, self.settings.signer, ready_ms);
        Ok(due.map(|due| due.max(self.paused_until_ms)))
    }

    /// Builds, signs and imports one block on the head. `None` if there was nothing to seal after
    /// all.
    pub(crate) fn seal(
        &mut self,
        chain: &mut Blockchain,
        shared: &Shared,
    ) -> Result<Option<HeadChange>, ChainError> {
        let outcome = self.try_seal(chain, shared);
        match &outcome {
            Ok(Some(_)) => {}
            Ok(None) => self.paused_until_ms = now_ms().saturating_add(IDLE_PAUSE_MS),
            Err(ChainError::KeyInUse { .. }) => self.paused_until_ms = u64::MAX,
            Err(ChainError::AlreadySealed { parent, .. }) => self.sealed_parent = Some(*parent),
            Err(_) => self.paused_until_ms = now_ms().saturating_add(FAILURE_PAUSE_MS),
        }
        outcome
    }

    fn try_seal(
        &self,
        chain: &mut Blockchain,
        shared: &Shared,
    ) -> Result<Option<HeadChange>, ChainError> {
        let (spec, head) = (shared.reader.spec(), shared.reader.head());
        let snapshot = shared.reader.snapshot(head.block.hash())?;
        let parent = head.block.sealed_header();
        let proposals = shared.proposals().votes().clone();
        let settings = SealerSettings { proposals, ..self.settings.clone() };
        let header = prepare_header(spec, parent, &snapshot, &settings, now_ms() / 1_000)?;
        let base_fee = header.base_fee_per_gas.unwrap_or(0);
        let period = Duration::from_secs(spec.clique.map_or(0, |clique| clique.period_secs));
        let fill_time = if period.is_zero() { FILL_TIME } else { period / FILL_SHARE };
        let mut open = chain.open_block(header, self.settings.signer)?;
        let count = fill(&mut open, shared, base_fee, Instant::now() + fill_time)?;
        if period.is_zero() && count == 0 {
            return Ok(None);
        }
        let sign = |digest| {
            self.key.sign(digest).map_err(|_| chain::clique::CliqueError::RecoveryFailed.into())
        };
        chain.seal_and_import(open.close()?, sign, now_ms()).map(Some)
    }
}

/// Takes the pool's best until nothing fits or the time is over; returns how many it took. What can
/// never run leaves the pool, so that it does not come up in every block.
fn fill(
    open: &mut OpenBlock,
    shared: &Shared,
    base_fee: u64,
    until: Instant,
) -> Result<usize, ChainError> {
    let mut best = shared.pool().best(base_fee);
    let mut count = 0;
    while open.gas_left() >= LEAST_GAS && Instant::now() < until {
        let Some(pooled) = best.next() else { break };
        match open.push(&pooled.transaction, pooled.sender) {
            Ok(_) => count += 1,
            Err(ExecError::Skip(_)) => best.skip_sender(),
            Err(ExecError::Invalid(why)) => {
                best.skip_sender();
                drop_from_pool(shared, &pooled, &why);
            }
            Err(ExecError::Store(error)) => return Err(error),
        }
    }
    Ok(count)
}

fn drop_from_pool(shared: &Shared, pooled: &PoolTransaction, why: &str) {
    let (hash, sender): (B256, Address) = (pooled.hash(), pooled.sender);
    tracing::debug!(%hash, %sender, why, "transaction cannot run and leaves the pool");
    shared.pool().remove(&hash);
}
