//! [`Sender`]: one account's transactions by nonce, and where its pending ones end.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use alloy_primitives::U256;

use super::{ready::Place, transaction::PoolTransaction};

/// The three parts of a sender's nonces, from the account's nonce on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Executable, and among the first few that a sender keeps while another holds more.
    Guaranteed,
    /// Executable, beyond those.
    Over,
    /// Behind a gap.
    Queued,
}

/// Nonces at which the parts of a sender meet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Nonce of the account after the head.
    pub(super) state_nonce: u64,
    /// First nonce that is not guaranteed.
    guaranteed_end: u64,
    /// First nonce from `state_nonce` on that is not here.
    pub(super) pending_end: u64,
}

impl Bounds {
    pub(super) fn new(state_nonce: u64, pending_end: u64, account_slots: usize) -> Self {
        let slots = u64::try_from(account_slots).unwrap_or(u64::MAX);
        let guaranteed_end = state_nonce.saturating_add(slots).min(pending_end);
        Self { state_nonce, guaranteed_end, pending_end }
    }

    pub(super) const fn class(&self, nonce: u64) -> Class {
        if nonce >= self.pending_end {
            Class::Queued
        } else if nonce < self.guaranteed_end {
            Class::Guaranteed
        } else {
            Class::Over
        }
    }

    /// How many are pending: they have no gap, so their nonces tell.
    pub(super) fn pending_count(&self) -> usize {
        usize::try_from(self.pending_end - self.state_nonce).unwrap_or(usize::MAX)
    }

    /// The nonces whose class may differ between two bounds; the ranges do not overlap.
    pub(super) fn changed(&self, other: &Self) -> [Range<u64>; 2] {
        let between = |one: u64, two: u64| one.min(two)..one.max(two);
        let guaranteed = between(self.guaranteed_end, other.guaranteed_end);
        let pending = between(self.pending_end, other.pending_end);
        if guaranteed.end <= pending.start || pending.end <= guaranteed.start {
            return [guaranteed, pending];
        }
        [guaranteed.start.min(pending.start)..guaranteed.end.max(pending.end), 0..0]
    }
}

/// One account's waiting transactions.
#[derive(Debug, Default)]
pub(super) struct Sender {
    pub(super) by_nonce: BTreeMap<u64, Arc<PoolTransaction>>,
    pub(super) bounds: Bounds,
    /// Sum of the costs.
    pub(super) cost: U256,
    /// At least the greatest single cost here, so that most balances need no look at each.
    pub(super) cost_cap: U256,
    /// When its queued ones began to wait, s; none if it has none.
    pub(super) queued_since: Option<u64>,
    /// Pending and queued ones as the eviction knows them.
    pub(super) counted: (usize, usize),
    /// Where it stands in the order of the next block.
    pub(super) place: Place,
}

impl Sender {
    pub(super) fn pending(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.by_nonce.range(..self.bounds.pending_end).map(|(_, pooled)| pooled)
    }

    pub(super) fn queued(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.by_nonce.range(self.bounds.pending_end..).map(|(_, pooled)| pooled)
    }

    pub(super) fn pending_newest_first(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.by_nonce.range(..self.bounds.pending_end).rev().map(|(_, pooled)| pooled)
    }

    pub(super) fn queued_newest_first(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.by_nonce.range(self.bounds.pending_end..).rev().map(|(_, pooled)| pooled)
    }

    pub(super) fn pending_count(&self) -> usize {
        self.bounds.pending_count()
    }

    pub(super) fn queued_count(&self) -> usize {
        self.by_nonce.len() - self.pending_count()
    }

    /// First nonce from `start` on that is not here.
    pub(super) fn first_gap(&self, start: u64) -> u64 {
        let run = self.by_nonce.range(start..).zip(start..);
        let count = run.take_while(|((nonce, _), expected)| *nonce == expected).count();
        start.saturating_add(u64::try_from(count).unwrap_or(u64::MAX))
    }
}
