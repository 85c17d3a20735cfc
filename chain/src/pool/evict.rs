//! What a full pool gives up.
//!
//! *Price*: the cheapest tip cap, among equals the latest arrival; first of senders that hold more
//! than their guaranteed slots, then of anybody. *Fair*: the newest of the sender that holds most,
//! never below its guaranteed slots. A queued transaction makes room among queued ones alone. A
//! newcomer must be better than what goes for it, and nothing goes for it that its sender needs.
//! Local accounts (`--txpool.locals`) do not appear here.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use alloy_primitives::Address;

use super::{
    PoolConfig, PoolError, PoolTransaction,
    order::Order,
    sender::{Class, Sender},
};

/// Cheapest first, among equals the latest arrival; sender and nonce find the transaction.
type Rank = (u128, Reverse<u64>, Address, u64);

/// Most transactions that one newcomer may displace: one of full size has the room of a thousand
/// transfers.
const VICTIM_COUNT: usize = 2_048;

/// Who goes first, kept up to date with every change; only the rows of the pool's order are used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Eviction {
    /// Price order: guaranteed, over, queued.
    by_price: [BTreeSet<Rank>; 3],
    /// Fair order: senders by number of pending, of queued transactions.
    by_count: [BTreeSet<(usize, Address)>; 2],
}

/// Room that a newcomer lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shortage {
    /// Slots of pending transactions.
    pub(super) slots: usize,
    /// Queued transactions.
    pub(super) queued: usize,
    /// Bytes in all.
    pub(super) bytes: usize,
}

impl Shortage {
    const fn is_none(&self) -> bool {
        self.slots == 0 && self.queued == 0 && self.bytes == 0
    }

    /// What is still lacking once `pooled` is gone.
    const fn without(self, pooled: &PoolTransaction, class: Class) -> Self {
        let bytes = self.bytes.saturating_sub(pooled.size);
        match class {
            Class::Queued => Self { queued: self.queued.saturating_sub(1), bytes, ..self },
            _ => Self { slots: self.slots.saturating_sub(pooled.slots()), bytes, ..self },
        }
    }
}

/// What the choice of victims looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) config: &'a PoolConfig,
    pub(super) senders: &'a HashMap<Address, Sender>,
}

impl Eviction {
    pub(super) fn enter(&mut self, order: Order, pooled: &PoolTransaction, class: Class) {
        if order == Order::Price {
            self.by_price[row(class)].insert(rank(pooled));
        }
    }

    pub(super) fn leave(&mut self, order: Order, pooled: &PoolTransaction, class: Class) {
        if order == Order::Price {
            self.by_price[row(class)].remove(&rank(pooled));
        }
    }

    /// Moves a sender from one pair of counts (pending, queued) to another.
    pub(super) fn recount(
        &mut self,
        order: Order,
        address: Address,
        before: (usize, usize),
        after: (usize, usize),
    ) {
        if order == Order::Price {
            return;
        }
        let [pending, queued] = &mut self.by_count;
        for (row, before, after) in [(pending, before.0, after.0), (queued, before.1, after.1)] {
            if before == after {
                continue;
            }
            row.remove(&(before, address));
            if after > 0 {
                row.insert((after, address));
            }
        }
    }

    /// The transactions to give up for a new one.
    ///
    /// # Errors
    /// [`PoolError`] if nothing that may go would make enough room.
    pub(super) fn victims(
        &self,
        scene: Scene<'_>,
        new: &PoolTransaction,
        new_class: Class,
        shortage: Shortage,
    ) -> Result<Vec<Arc<PoolTransaction>>, PoolError> {
        if shortage.is_none() {
            return Ok(Vec::new());
        }
        match scene.config.order {
            Order::Price => self.cheapest(scene, new, new_class, shortage),
            Order::Fair => self.newest_of_longest(scene, new, new_class, shortage),
        }
    }

    fn cheapest(
        &self,
        scene: Scene<'_>,
        new: &PoolTransaction,
        new_class: Class,
        shortage: Shortage,
    ) -> Result<Vec<Arc<PoolTransaction>>, PoolError> {
        let classes: &[Class] = match new_class {
            Class::Queued => &[Class::Queued],
            _ if shortage.slots > 0 => &[Class::Over, Class::Guaranteed],
            _ => &[Class::Queued, Class::Over, Class::Guaranteed],
        };
        let may_go = |&&(tip, _, sender, _): &&Rank| tip < new.tip_cap() && sender != new.sender;
        let (mut left, mut victims) = (shortage, Vec::new());
        for &class in classes {
            // the set is sorted by tip, so the look ends at the first that is not cheaper
            let cheaper =
                self.by_price[row(class)].iter().take_while(|rank| rank.0 < new.tip_cap());
            for &(_, _, sender, nonce) in cheaper.filter(may_go) {
                let Some(victim) = scene.at(sender, nonce) else { continue };
                left = left.without(victim, class);
                victims.push(Arc::clone(victim));
                if left.is_none() {
                    return Ok(victims);
                }
                if victims.len() == VICTIM_COUNT {
                    return Err(PoolError::Full);
                }
            }
        }
        let has_cheaper_pending = || {
            [Class::Over, Class::Guaranteed].into_iter().any(|class| {
                let ranks = self.by_price[row(class)].iter();
                ranks.take_while(|rank| rank.0 < new.tip_cap()).any(|rank| may_go(&rank))
            })
        };
        if new_class == Class::Queued && shortage.queued == 0 && has_cheaper_pending() {
            return Err(PoolError::FutureReplacesPending);
        }
        Err(PoolError::Underpriced)
    }

    fn newest_of_longest(
        &self,
        scene: Scene<'_>,
        new: &PoolTransaction,
        new_class: Class,
        shortage: Shortage,
    ) -> Result<Vec<Arc<PoolTransaction>>, PoolError> {
        let own = scene.senders.get(&new.sender);
        let own_pending = own.map_or(0, Sender::pending_count);
        let own_queued = own.map_or(0, Sender::queued_count);
        let (mut left, mut victims) = (shortage, Vec::new());
        if let Some((count, longest)) = scene.longest(&self.by_count[1])
            && shortage.slots == 0
        {
            // a pending newcomer outranks every queued one, a queued one has to be of fewer
            let keep = if new_class == Class::Queued { own_queued + 1 } else { 0 };
            let newest = longest.queued_newest_first().take(count.saturating_sub(keep));
            if take_until_enough(&mut left, &mut victims, newest, Class::Queued) {
                return Ok(victims);
            }
        }
        let Some((count, longest)) = scene.longest(&self.by_count[0]) else {
            return Err(PoolError::Full);
        };
        let keep = (own_pending + 1).max(scene.config.account_slots);
        if new_class == Class::Queued {
            let is_pending_in_the_way = shortage.queued == 0 && count > keep;
            return Err(if is_pending_in_the_way {
                PoolError::FutureReplacesPending
            } else {
                PoolError::Full
            });
        }
        let newest = longest.pending_newest_first().take(count.saturating_sub(keep));
        if take_until_enough(&mut left, &mut victims, newest, Class::Over) {
            return Ok(victims);
        }
        Err(PoolError::Full)
    }

    /// The one to drop when a new head left more than there is room for.
    pub(super) fn worst(&self, scene: Scene<'_>, class: Class) -> Option<Arc<PoolTransaction>> {
        let is_queued = class == Class::Queued;
        match scene.config.order {
            Order::Price => {
                let classes: &[Class] =
                    if is_queued { &[Class::Queued] } else { &[Class::Over, Class::Guaranteed] };
                let firsts = classes.iter().filter_map(|&class| self.by_price[row(class)].first());
                let &(_, _, sender, nonce) = firsts.into_iter().next()?;
                scene.at(sender, nonce).cloned()
            }
            Order::Fair if is_queued => {
                let (_, longest) = scene.longest(&self.by_count[1])?;
                longest.queued_newest_first().next().cloned()
            }
            Order::Fair => {
                let (_, longest) = scene.longest(&self.by_count[0])?;
                longest.pending_newest_first().next().cloned()
            }
        }
    }
}

impl<'a> Scene<'a> {
    fn at(self, sender: Address, nonce: u64) -> Option<&'a Arc<PoolTransaction>> {
        self.senders.get(&sender)?.by_nonce.get(&nonce)
    }

    fn longest(self, by_count: &BTreeSet<(usize, Address)>) -> Option<(usize, &'a Sender)> {
        let &(count, address) = by_count.last()?;
        Some((count, self.senders.get(&address)?))
    }
}

/// Adds victims until nothing is lacking; true if that was reached.
fn take_until_enough<'a>(
    left: &mut Shortage,
    victims: &mut Vec<Arc<PoolTransaction>>,
    candidates: impl Iterator<Item = &'a Arc<PoolTransaction>>,
    class: Class,
) -> bool {
    for victim in candidates.take(VICTIM_COUNT) {
        *left = left.without(victim, class);
        victims.push(Arc::clone(victim));
        if left.is_none() {
            return true;
        }
    }
    false
}

fn rank(pooled: &PoolTransaction) -> Rank {
    (pooled.tip_cap(), Reverse(pooled.arrival), pooled.sender, pooled.nonce())
}

const fn row(class: Class) -> usize {
    match class {
        Class::Guaranteed => 0,
        Class::Over => 1,
        Class::Queued => 2,
    }
}
