//! The pool's books: what enters, leaves or moves is counted in every place that depends on it.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;

use super::{
    Pool, PoolTransaction,
    sender::{Bounds, Class, Sender},
};

impl Pool {
    /// Puts a new transaction in; returns what became executable.
    pub(super) fn link(
        &mut self,
        pooled: Arc<PoolTransaction>,
        state_nonce: u64,
    ) -> Vec<Arc<PoolTransaction>> {
        let (address, nonce) = (pooled.sender, pooled.nonce());
        let account_slots = self.config.account_slots;
        self.senders.entry(address).or_insert_with(|| Sender {
            bounds: Bounds::new(state_nonce, state_nonce, account_slots),
            ..Sender::default()
        });
        self.write(pooled);
        self.change(address, |sender| {
            (sender.bounds.state_nonce, sender.first_gap(sender.bounds.pending_end))
        });
        self.pending_from(address, nonce)
    }

    /// Puts a transaction in the place of another; returns it if it is executable.
    pub(super) fn replace(
        &mut self,
        old: &PoolTransaction,
        new: Arc<PoolTransaction>,
    ) -> Vec<Arc<PoolTransaction>> {
        let address = new.sender;
        self.erase(old);
        self.write(Arc::clone(&new));
        self.change(address, |sender| (sender.bounds.state_nonce, sender.bounds.pending_end));
        let is_pending = self
            .senders
            .get(&address)
            .is_some_and(|sender| sender.bounds.class(new.nonce()) != Class::Queued);
        if is_pending { vec![new] } else { Vec::new() }
    }

    /// Takes a transaction out; those behind it become queued.
    pub(super) fn unlink(&mut self, pooled: &PoolTransaction) {
        self.erase(pooled);
        self.change(pooled.sender, |sender| {
            let bounds = sender.bounds;
            let pending_end = bounds.pending_end.min(pooled.nonce().max(bounds.state_nonce));
            (bounds.state_nonce, pending_end)
        });
    }

    /// Writes a transaction into every table, as its sender's bounds say at present.
    pub(super) fn write(&mut self, pooled: Arc<PoolTransaction>) {
        let Some(sender) = self.senders.get_mut(&pooled.sender) else { return };
        let class = sender.bounds.class(pooled.nonce());
        sender.cost = sender.cost.saturating_add(pooled.cost());
        sender.cost_cap = sender.cost_cap.max(pooled.cost());
        sender.by_nonce.insert(pooled.nonce(), Arc::clone(&pooled));
        self.bytes += pooled.size;
        self.gas_cap = self.gas_cap.max(pooled.transaction.gas_limit());
        self.count_in(&pooled, class);
        self.by_hash.insert(pooled.hash(), pooled);
    }

    /// Erases a transaction from every table; [`Pool::change`] has to follow.
    pub(super) fn erase(&mut self, pooled: &PoolTransaction) {
        if self.by_hash.remove(&pooled.hash()).is_none() {
            return;
        }
        let Some(sender) = self.senders.get_mut(&pooled.sender) else { return };
        let class = sender.bounds.class(pooled.nonce());
        sender.cost = sender.cost.saturating_sub(pooled.cost());
        sender.by_nonce.remove(&pooled.nonce());
        self.bytes -= pooled.size;
        self.count_out(pooled, class);
    }

    pub(super) fn count_in(&mut self, pooled: &PoolTransaction, class: Class) {
        match class {
            Class::Queued => self.queued_count += 1,
            _ => self.pending_slots += pooled.slots(),
        }
        if !self.is_local(pooled.sender) {
            self.eviction.enter(self.config.order, pooled, class);
        }
    }

    pub(super) fn count_out(&mut self, pooled: &PoolTransaction, class: Class) {
        match class {
            Class::Queued => self.queued_count -= 1,
            _ => self.pending_slots -= pooled.slots(),
        }
        if !self.is_local(pooled.sender) {
            self.eviction.leave(self.config.order, pooled, class);
        }
    }

    pub(super) fn is_local(&self, sender: Address) -> bool {
        self.config.locals.contains(&sender)
    }

    /// Moves one sender's bounds to a state nonce and an end of its pending ones, and everything
    /// that depends on them; an empty sender disappears.
    pub(super) fn change(&mut self, address: Address, bounds: impl FnOnce(&Sender) -> (u64, u64)) {
        let Some(sender) = self.senders.get_mut(&address) else { return };
        let before = sender.bounds;
        let (state_nonce, pending_end) = bounds(sender);
        let after = Bounds::new(state_nonce, pending_end, self.config.account_slots);
        sender.bounds = after;
        let moved: Vec<_> = before
            .changed(&after)
            .into_iter()
            .flat_map(|nonces| sender.by_nonce.range(nonces))
            .map(|(_, pooled)| Arc::clone(pooled))
            .collect();
        for pooled in moved {
            let (from, to) = (before.class(pooled.nonce()), after.class(pooled.nonce()));
            if from != to {
                self.count_out(&pooled, from);
                self.count_in(&pooled, to);
            }
        }
        self.settle(
            address,
            after.state_nonce > before.state_nonce || after.pending_end > before.pending_end,
        );
    }

    /// Brings what is kept beside one sender up to its present transactions.
    pub(super) fn settle(&mut self, address: Address, has_advanced: bool) {
        let is_local = self.is_local(address);
        let Some(sender) = self.senders.get_mut(&address) else { return };
        let counts = (sender.pending_count(), sender.queued_count());
        if !is_local {
            self.eviction.recount(self.config.order, address, sender.counted, counts);
        }
        sender.counted = counts;
        let since = match sender.queued_since {
            _ if counts.1 == 0 => None,
            Some(since) if !has_advanced => Some(since),
            _ => Some(self.now_secs),
        };
        if since != sender.queued_since {
            if let Some(old) = sender.queued_since {
                self.by_wait.remove(&(old, address));
            }
            self.by_wait.extend(since.map(|since| (since, address)));
            sender.queued_since = since;
        }
        self.ready.place(address, sender);
        if sender.by_nonce.is_empty() {
            self.ready.forget(sender);
            self.senders.remove(&address);
        }
    }
}
