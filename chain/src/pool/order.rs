//! Which waiting transaction the next block takes first.
//!
//! Both orders keep each sender's nonces ascending and are total, so that two runs over the same pool
//! build the same block. *Price*: the highest effective tip, then the earliest arrival. *Fair*, where
//! nothing is paid: senders stand in a ring by the arrival of their first executable transaction;
//! each turn takes one transaction, then the sender goes to the back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;

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
/// The first part is the inverted tip (price) or the turn (fair), the second the arrival, which no
/// two transactions share.
type Due = (u128, u64, Address);

/// A snapshot of the executable transactions, best first. Later changes of the pool do not show.
#[derive(Debug)]
pub struct Best {
    order: Order,
    base_fee: u64,
    due: BTreeSet<Due>,
    waiting: BTreeMap<Address, Run>,
    last_sender: Option<Address>,
}

/// One sender's executable transactions, next one last.
#[derive(Debug)]
struct Run {
    reversed: Vec<Arc<PoolTransaction>>,
    turn: u128,
    first_arrival: u64,
}

impl Best {
    /// Orders the executable transactions of each sender, given by ascending nonce. One whose fee
    /// cap is below `base_fee` cannot be taken, nor can its sender's later ones.
    pub(super) fn new(
        order: Order,
        base_fee: u64,
        executable: impl Iterator<Item = (Address, Vec<Arc<PoolTransaction>>)>,
    ) -> Self {
        let (due, waiting) = (BTreeSet::new(), BTreeMap::new());
        let mut best = Self { order, base_fee, due, waiting, last_sender: None };
        for (sender, mut transactions) in executable {
            let Some(first_arrival) = transactions.first().map(|first| first.arrival) else {
                continue;
            };
            transactions.reverse();
            best.enter(sender, Run { reversed: transactions, turn: 0, first_arrival });
        }
        best
    }

    /// Leaves out what remains of the sender of the last transaction: it did not fit, so the later
    /// ones have no place either.
    pub fn skip_sender(&mut self) {
        if let Some(sender) = self.last_sender.take()
            && self.waiting.remove(&sender).is_some()
        {
            self.due.retain(|&(_, _, due)| due != sender);
        }
    }

    fn enter(&mut self, sender: Address, run: Run) {
        let Some(next) = run.reversed.last() else { return };
        let Some(tip) = next.transaction.effective_tip_per_gas(self.base_fee) else { return };
        let due = match self.order {
            Order::Price => (u128::MAX - tip, next.arrival, sender),
            Order::Fair => (run.turn, run.first_arrival, sender),
        };
        self.due.insert(due);
        self.waiting.insert(sender, run);
    }
}

impl Iterator for Best {
    type Item = Arc<PoolTransaction>;

    fn next(&mut self) -> Option<Self::Item> {
        let (_, _, sender) = self.due.pop_first()?;
        let mut run = self.waiting.remove(&sender)?;
        let transaction = run.reversed.pop()?;
        run.turn += 1;
        self.enter(sender, run);
        self.last_sender = Some(sender);
        Some(transaction)
    }
}
