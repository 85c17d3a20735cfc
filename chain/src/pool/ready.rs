//! The order of the next block, kept up to date: each sender's next executable transaction stands in
//! one sorted set, so that the builder takes the best without a copy of the pool and meets what
//! arrives while it builds.
//!
//! ```text
//! let mut walk = Walk::open(&mut pool, base_fee);        // once a block: O(what the last walk took)
//! while let Some(next) = walk.next(|| shared.pool()) {   // a lock each WALK_CHUNK transactions
//!     … run it; if it does not fit or cannot run:
//!     walk.skip_sender(|| shared.pool());
//! }
//! // None: nothing executable is left now. What arrives later is seen by the next call.
//! ```
//!
//! One walk is open at a time: opening another, or a new head, ends it, and it finds nothing more.

use std::{
    collections::{BTreeSet, VecDeque},
    ops::DerefMut,
    sync::Arc,
};

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;

use super::{Pool, PoolTransaction, order::Order, sender::Sender};

/// Transactions that a walk takes under one lock: enough that locking costs nothing, few enough
/// that a better one which arrives meanwhile waits for little.
pub const WALK_CHUNK: usize = 32;

/// When a sender's next transaction is due; the least comes first and no two are equal.
///
/// The first part is the inverted effective tip (price) or the round (fair), the second an arrival.
type Due = (u128, u64, Address);

/// Where a sender stands.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// First nonce that the open walk did not take.
    taken_to: u64,
    /// The open walk takes no more from it.
    is_skipped: bool,
    /// Fair order: round of its next turn, and the arrival by which it stands in that round.
    ring: (u128, u64),
    /// True if it differs from what it would be before a walk.
    is_touched: bool,
    due: Option<Due>,
}

/// All senders that have something to take.
#[derive(Debug)]
pub(super) struct Ready {
    order: Order,
    base_fee: u64,
    due: BTreeSet<Due>,
    /// Whose places the open walk changed.
    touched: Vec<Address>,
    /// Fair order: round of the last turn.
    round: u128,
    /// Number of the open walk.
    walk: u64,
}

impl Ready {
    pub(super) const fn new(order: Order) -> Self {
        Self { order, base_fee: 0, due: BTreeSet::new(), touched: Vec::new(), round: 0, walk: 0 }
    }

    /// Puts a sender where it belongs after any change of its transactions.
    pub(super) fn place(&mut self, address: Address, sender: &mut Sender) {
        let due = self.due_of(address, sender);
        if due == sender.place.due {
            return;
        }
        if let Some(old) = &sender.place.due {
            self.due.remove(old);
        }
        self.due.extend(due);
        sender.place.due = due;
    }

    /// Forgets a sender that has nothing here any more.
    pub(super) fn forget(&mut self, sender: &Sender) {
        if let Some(old) = &sender.place.due {
            self.due.remove(old);
        }
    }

    fn due_of(&mut self, address: Address, sender: &mut Sender) -> Option<Due> {
        let bounds = sender.bounds;
        let nonce = bounds.state_nonce.max(sender.place.taken_to);
        if sender.place.is_skipped || nonce >= bounds.pending_end {
            return None;
        }
        let next = sender.by_nonce.get(&nonce)?;
        let tip = next.transaction.effective_tip_per_gas(self.base_fee)?;
        let arrival = next.arrival;
        match self.order {
            Order::Price => Some((u128::MAX - tip, arrival, address)),
            Order::Fair => {
                let place = &mut sender.place;
                if !place.is_touched && self.round == 0 {
                    place.ring = (0, arrival);
                } else if place.due.is_none() {
                    // it comes to the ring while turns are taken: at the back of this round
                    place.ring = (place.ring.0.max(self.round), arrival);
                    self.touch(address, sender);
                }
                let (round, arrival) = sender.place.ring;
                Some((round, arrival, address))
            }
        }
    }

    fn touch(&mut self, address: Address, sender: &mut Sender) {
        if !sender.place.is_touched {
            sender.place.is_touched = true;
            self.touched.push(address);
        }
    }

    /// Takes the best of one sender off; what follows it finds its place.
    fn take(&mut self, address: Address, sender: &mut Sender) -> Option<Arc<PoolTransaction>> {
        let nonce = sender.bounds.state_nonce.max(sender.place.taken_to);
        let taken = sender.by_nonce.get(&nonce).cloned()?;
        self.touch(address, sender);
        self.round = self.round.max(sender.place.ring.0);
        sender.place.taken_to = nonce + 1;
        sender.place.ring.0 += 1;
        self.place(address, sender);
        Some(taken)
    }
}

/// The number of a walk, which a new head or another walk makes void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WalkId(u64);

impl Pool {
    /// Ends the open walk: what it took and skipped stands where it would without it.
    pub(super) fn end_walk(&mut self) {
        self.ready.walk += 1;
        self.ready.round = 0;
        for address in std::mem::take(&mut self.ready.touched) {
            let Some(sender) = self.senders.get_mut(&address) else { continue };
            self.ready.forget(sender);
            sender.place = Place::default();
            self.ready.place(address, sender);
        }
    }

    fn open_walk(&mut self, base_fee: u64) -> WalkId {
        self.end_walk();
        if self.ready.base_fee != base_fee {
            // every effective tip moved
            self.ready.base_fee = base_fee;
            self.ready.due.clear();
            for (&address, sender) in &mut self.senders {
                sender.place = Place::default();
                sender.place.due = self.ready.due_of(address, sender);
            }
            self.ready.due = self.senders.values().filter_map(|sender| sender.place.due).collect();
        }
        WalkId(self.ready.walk)
    }

    fn take(&mut self, walk: WalkId, count: usize) -> VecDeque<Arc<PoolTransaction>> {
        let mut taken = VecDeque::with_capacity(count);
        while walk.0 == self.ready.walk
            && taken.len() < count
            && let Some(&(_, _, address)) = self.ready.due.first()
        {
            let is_permitted = self.is_permitted(address);
            let Some(sender) = self.senders.get_mut(&address) else { break };
            if is_permitted {
                taken.extend(self.ready.take(address, sender));
            } else {
                self.skip(walk, address);
            }
        }
        taken
    }

    fn skip(&mut self, walk: WalkId, address: Address) {
        if walk.0 != self.ready.walk {
            return;
        }
        let Some(sender) = self.senders.get_mut(&address) else { return };
        self.ready.touch(address, sender);
        sender.place.is_skipped = true;
        self.ready.place(address, sender);
    }
}

/// The builder's way through the pool, best first, for one block.
#[derive(Debug)]
pub struct Walk {
    id: WalkId,
    chunk: VecDeque<Arc<PoolTransaction>>,
    last_sender: Option<Address>,
}

impl Walk {
    /// Begins again at the best for a block with this base fee; a walk that was open finds nothing
    /// more.
    ///
    /// Costs what the walk before it took; after another base fee in price order, one pass over the
    /// senders.
    pub fn open(pool: &mut Pool, base_fee: u64) -> Self {
        Self { id: pool.open_walk(base_fee), chunk: VecDeque::new(), last_sender: None }
    }

    /// The best that this walk did not take yet, whatever came since; `None` if there is none now,
    /// or for good once the walk is void. `pool` is called (and locks) once in [`WALK_CHUNK`] times.
    pub fn next<P: DerefMut<Target = Pool>>(
        &mut self,
        pool: impl FnOnce() -> P,
    ) -> Option<Arc<PoolTransaction>> {
        if self.chunk.is_empty() {
            self.chunk = pool().take(self.id, WALK_CHUNK);
        }
        let next = self.chunk.pop_front()?;
        self.last_sender = Some(next.sender);
        Some(next)
    }

    /// Leaves out what remains of the sender of the last transaction: it did not fit or cannot run,
    /// so the later ones have no place in this block either.
    pub fn skip_sender<P: DerefMut<Target = Pool>>(&mut self, pool: impl FnOnce() -> P) {
        if let Some(sender) = self.last_sender.take() {
            self.chunk.retain(|pooled| pooled.sender != sender);
            pool().skip(self.id, sender);
        }
    }
}
