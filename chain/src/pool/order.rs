//! Which waiting transaction the next block takes first.
//!
//! Both orders keep each sender's nonces ascending and are total, so that two runs over the same pool
//! build the same block. *Price*: the highest effective tip, then the earliest arrival. *Fair*, where
//! nothing is paid: senders stand in a ring by the arrival of their first executable transaction;
//! each turn takes one transaction, then the sender goes to the back.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, map::AddressMap};

use super::PoolTransaction;

/// How the builder takes transactions (`--miner.order`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By effective tip.
    Price,
    /// By turns of the senders.
    Fair,
}

/// When a sender's first remaining transaction is due; the least key comes first.
///
/// The first part is the inverted tip (price) or the ticket drawn at the back of the ring (fair), the second the
/// arrival, which no two transactions share.
type Due = (u128, u64, Address);

/// The executable transactions of one moment, best first. Later changes of the pool show only as far as they are
/// [offered](Best::offer).
#[derive(Debug)]
pub struct Best {
    order: Order,
    base_fee: u64,
    due: BTreeSet<Due>,
    /// Every sender seen, those with nothing left too: their next nonce is known by that.
    runs: AddressMap<Run>,
    tickets: u128,
    last_sender: Option<Address>,
}

/// One sender's executable transactions by ascending nonce.
#[derive(Debug)]
struct Run {
    waiting: VecDeque<Arc<PoolTransaction>>,
    /// Nonce of the first one waiting, or of the one to come.
    next_nonce: u64,
    /// The key in [`Best::due`].
    due: Option<Due>,
    is_left_out: bool,
}

impl Run {
    const fn starting_at(next_nonce: u64) -> Self {
        Self { waiting: VecDeque::new(), next_nonce, due: None, is_left_out: false }
    }
}

impl Best {
    /// Orders the executable transactions of each sender, given by ascending nonce. One whose fee
    /// cap is below `base_fee` cannot be taken, nor can its sender's later ones.
    pub(super) fn new(
        order: Order,
        base_fee: u64,
        executable: impl Iterator<Item = (Address, Vec<Arc<PoolTransaction>>)>,
    ) -> Self {
        let (due, runs) = (BTreeSet::new(), AddressMap::default());
        let mut best = Self { order, base_fee, due, runs, tickets: 0, last_sender: None };
        let mut senders = Vec::new();
        for (sender, transactions) in executable {
            let Some(first) = transactions.first() else { continue };
            senders.push((first.arrival, sender));
            let mut run = Run::starting_at(first.nonce());
            run.waiting = transactions.into();
            best.runs.insert(sender, run);
        }
        senders.sort_unstable();
        for (_, sender) in senders {
            best.enter(sender);
        }
        best
    }

    /// Takes a transaction that has become executable, or replaces another one, since the moment of this picture. What
    /// was taken already, what follows a gap and what a left-out sender sends changes nothing.
    pub fn offer(&mut self, pooled: Arc<PoolTransaction>) {
        let (sender, nonce) = (pooled.sender, pooled.nonce());
        let run = self.runs.entry(sender).or_insert(Run::starting_at(nonce));
        let Some(place) = nonce.checked_sub(run.next_nonce) else { return };
        let Ok(place) = usize::try_from(place) else { return };
        if run.is_left_out || place > run.waiting.len() {
            return;
        }
        match run.waiting.get_mut(place) {
            Some(old) => *old = pooled,
            None => run.waiting.push_back(pooled),
        }
        // A replacement of the first one may pay more; anything else keeps its sender's place.
        if place == 0 && (run.due.is_none() || self.order == Order::Price) {
            self.enter(sender);
        }
    }

    /// Leaves out what remains and what is still to come of a sender: one of its transactions cannot run or did not
    /// fit, so the later ones have no place either.
    pub fn leave_out(&mut self, sender: Address) {
        let Some(run) = self.runs.get_mut(&sender) else { return };
        run.is_left_out = true;
        run.waiting.clear();
        if let Some(due) = run.due.take() {
            self.due.remove(&due);
        }
    }

    /// True if nothing of this sender is taken any more.
    pub fn is_left_out(&self, sender: Address) -> bool {
        self.runs.get(&sender).is_some_and(|run| run.is_left_out)
    }

    /// [Leaves out](Self::leave_out) the sender of the last transaction.
    pub fn skip_sender(&mut self) {
        if let Some(sender) = self.last_sender.take() {
            self.leave_out(sender);
        }
    }

    /// Gives the sender's first waiting transaction its place: by its tip, or at the back of the ring.
    fn enter(&mut self, sender: Address) {
        let Some(run) = self.runs.get_mut(&sender) else { return };
        if let Some(due) = run.due.take() {
            self.due.remove(&due);
        }
        let Some(next) = run.waiting.front() else { return };
        let Some(tip) = next.transaction.effective_tip_per_gas(self.base_fee) else { return };
        let first = match self.order {
            Order::Price => u128::MAX - tip,
            Order::Fair => self.tickets,
        };
        self.tickets += 1;
        let due = (first, next.arrival, sender);
        self.due.insert(due);
        run.due = Some(due);
    }
}

impl Iterator for Best {
    type Item = Arc<PoolTransaction>;

    fn next(&mut self) -> Option<Self::Item> {
        let (_, _, sender) = self.due.pop_first()?;
        let run = self.runs.get_mut(&sender)?;
        run.due = None;
        let transaction = run.waiting.pop_front()?;
        run.next_nonce = transaction.nonce() + 1;
        self.enter(sender);
        self.last_sender = Some(sender);
        Some(transaction)
    }
}
