//! What waits for a block: pending and queued transactions per sender.
//!
//! A sender's transactions are *pending* from its account's nonce on without a gap, and *queued*
//! behind a gap. The pool is bounded in every direction: per sender, in slots, in bytes, in the time
//! that a queued one may wait. It neither recovers senders nor reads clocks; the caller hands in the
//! sender, the head state and the time.
//!
//! In reading order: [`limits`] and [`transaction`] name what is counted; [`validate`] decides what
//! may enter; [`ready`] is the order in which the builder takes ([`Walk`]), [`order`] the same as a
//! copy for readers; `evict` says what a full pool gives up, `sender` holds one account.
//!
//! A change costs O(log n) and what it moves between pending and queued; a new head that and the
//! senders that it names. Only other rules for all (a lower gas limit than something here needs, a
//! fork) look at everything.

mod book;
mod evict;
pub mod limits;
pub mod order;
pub mod ready;
mod sender;
pub mod transaction;
pub mod validate;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};

pub use limits::PoolConfig;
pub use order::{Best, Order};
pub use ready::Walk;
pub use revm::primitives::hardfork::SpecId;
pub use transaction::{Origin, PoolTransaction};
pub use validate::{AccountState, AccountView, PoolError};

use crate::block::Transaction;
use evict::{Eviction, Scene, Shortage};
use ready::Ready;
use sender::{Class, Sender};
use validate::{Waiting, validate_account, validate_transaction};

/// Submissions that are remembered for the journal between two questions.
const SUBMITTED_COUNT: usize = limits::POOL_COUNT;

/// What the pool must know of the block that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolHead {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Rules of the next block.
    pub spec_id: SpecId,
    /// Gas limit of the head.
    pub gas_limit: u64,
}

/// What became of a transaction that entered.
#[derive(Debug, Clone)]
pub struct Added {
    /// The transaction.
    pub transaction: Arc<PoolTransaction>,
    /// Transactions that became executable by it, itself first unless it waits behind a gap.
    pub executable: Vec<Arc<PoolTransaction>>,
    /// The one with the same nonce that it replaced.
    pub replaced: Option<Arc<PoolTransaction>>,
    /// Those that a full pool gave up for it.
    pub evicted: Vec<Arc<PoolTransaction>>,
}

/// All waiting transactions of one node.
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    head: PoolHead,
    /// Senders that may use this node; none lets everybody.
    permitted: Option<HashSet<Address>>,
    senders: HashMap<Address, Sender>,
    by_hash: HashMap<B256, Arc<PoolTransaction>>,
    ready: Ready,
    eviction: Eviction,
    /// Senders with queued transactions by the moment that these began to wait.
    by_wait: BTreeSet<(u64, Address)>,
    /// Nonces replaced at price 0 since the head came.
    free_replacements: HashSet<(Address, u64)>,
    pending_slots: usize,
    queued_count: usize,
    bytes: usize,
    /// At least the greatest gas limit here.
    gas_cap: u64,
    arrivals: u64,
    now_secs: u64,
    /// Submitted since the last question; none if nobody asks.
    submitted: Option<Vec<Arc<PoolTransaction>>>,
}

impl Pool {
    /// An empty pool for the block after `head`.
    pub fn new(config: PoolConfig, head: PoolHead) -> Self {
        Self {
            ready: Ready::new(config.order),
            config,
            head,
            permitted: None,
            senders: HashMap::new(),
            by_hash: HashMap::new(),
            eviction: Eviction::default(),
            by_wait: BTreeSet::new(),
            free_replacements: HashSet::new(),
            pending_slots: 0,
            queued_count: 0,
            bytes: 0,
            gas_cap: 0,
            arrivals: 0,
            now_secs: 0,
            submitted: None,
        }
    }

    /// Takes a transaction that was submitted to this node; `sender` was recovered from its
    /// signature.
    ///
    /// # Errors
    /// [`PoolError`] with the first rule that broke; the pool is then unchanged.
    pub fn add(
        &mut self,
        transaction: Transaction,
        sender: Address,
        view: &impl AccountView,
    ) -> Result<Added, PoolError> {
        self.add_from(Origin::Here, transaction, sender, view)
    }

    /// [`Pool::add`] for a transaction of either origin.
    ///
    /// # Errors
    /// As for [`Pool::add`].
    pub fn add_from(
        &mut self,
        origin: Origin,
        transaction: Transaction,
        sender: Address,
        view: &impl AccountView,
    ) -> Result<Added, PoolError> {
        if self.by_hash.contains_key(transaction.tx_hash()) {
            return Err(PoolError::AlreadyKnown);
        }
        let new = Arc::new(PoolTransaction::new(transaction, sender, origin, self.arrivals));
        validate_transaction(&new, &self.head, &self.config)?;
        let account = view.account(sender)?;
        if self.senders.get(&sender).is_some_and(|own| own.bounds.state_nonce != account.nonce) {
            // the view is newer than the last head that the pool was told of
            self.refresh(sender, account, false);
        }
        let replaced = self.at(sender, new.nonce());
        let waiting = self.waiting(sender, replaced.as_deref());
        validate_account(&new, account, waiting, self.config.sender_count())?;
        if !self.is_permitted(sender) {
            return Err(PoolError::NotPermitted);
        }
        let is_free = self.validate_replacement(&new, replaced.as_deref())?;
        let mut evicted = self.make_room(&new, replaced.as_deref(), account.nonce)?;

        if is_free {
            self.free_replacements.insert((sender, new.nonce()));
        }
        self.arrivals += 1;
        let executable = match &replaced {
            Some(old) => self.replace(old, Arc::clone(&new)),
            None => {
                for victim in evicted.clone() {
                    self.unlink(&victim);
                    evicted.extend(self.trim_queue(victim.sender));
                }
                self.link(Arc::clone(&new), account.nonce)
            }
        };
        evicted.extend(self.trim());
        if let Some(submitted) = &mut self.submitted
            && origin == Origin::Here
            && submitted.len() < SUBMITTED_COUNT
        {
            submitted.push(Arc::clone(&new));
        }
        Ok(Added { transaction: new, executable, replaced, evicted })
    }

    /// Follows the chain to a new head: `changed` are the accounts that it touched.
    ///
    /// Mined and unpayable transactions go; what follows a gap becomes queued; what a gap no longer
    /// holds back becomes executable and is returned. Transactions of blocks that left the chain
    /// come back through [`Pool::add_from`]. An open [`Walk`] ends.
    ///
    /// # Errors
    /// Whatever reading the accounts fails with; senders not reached keep their old state.
    pub fn on_new_head(
        &mut self,
        head: PoolHead,
        changed: impl IntoIterator<Item = Address>,
        view: &impl AccountView,
    ) -> Result<Vec<Arc<PoolTransaction>>, PoolError> {
        let is_narrower = head.gas_limit < self.gas_cap || head.spec_id != self.head.spec_id;
        self.head = head;
        self.free_replacements.clear();
        self.end_walk();
        let changed: BTreeSet<Address> = if is_narrower {
            self.gas_cap = 0;
            self.senders.keys().copied().collect()
        } else {
            changed.into_iter().filter(|sender| self.senders.contains_key(sender)).collect()
        };
        let mut executable = Vec::new();
        for sender in changed {
            let account = view.account(sender).inspect_err(|_| self.gas_cap = u64::MAX)?;
            executable.extend(self.refresh(sender, account, is_narrower));
        }
        self.trim();
        executable
            .retain(|pooled: &Arc<PoolTransaction>| self.by_hash.contains_key(&pooled.hash()));
        Ok(executable)
    }

    /// Tells the time, in s; queued transactions of senders that waited for longer than the lifetime
    /// without a step forward go and are returned.
    pub fn on_time(&mut self, now_secs: u64) -> Vec<Arc<PoolTransaction>> {
        self.now_secs = now_secs;
        let mut expired = Vec::new();
        while let Some(&(since, address)) = self.by_wait.first()
            && since.saturating_add(self.config.lifetime_secs) < now_secs
        {
            let Some(sender) = self.senders.get(&address) else { break };
            let queued: Vec<_> = sender.queued().cloned().collect();
            for pooled in queued {
                self.unlink(&pooled);
                expired.push(pooled);
            }
        }
        expired
    }

    /// Takes out one transaction, such as one that the builder found to fail. Later ones of its
    /// sender become queued.
    pub fn remove(&mut self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        let pooled = self.by_hash.get(hash).cloned()?;
        self.unlink(&pooled);
        self.trim_queue(pooled.sender);
        self.trim();
        Some(pooled)
    }

    /// Sets the least tip, wei per gas; what waits for less goes and is returned, unless its account is local.
    pub fn set_price_limit(&mut self, wei: u128) -> Vec<Arc<PoolTransaction>> {
        self.config.price_limit = wei;
        let is_cheap = |pooled: &&Arc<PoolTransaction>| {
            pooled.tip_cap() < wei && !self.config.locals.contains(&pooled.sender)
        };
        let cheap: Vec<B256> =
            self.by_hash.values().filter(is_cheap).map(|pooled| pooled.hash()).collect();
        cheap.iter().filter_map(|hash| self.remove(hash)).collect()
    }

    /// Sets who may send through this node; none lets everybody. Others' transactions that are here
    /// already stay, but no block of this node takes them.
    pub fn permit(&mut self, senders: Option<HashSet<Address>>) {
        self.permitted = senders;
        self.end_walk();
    }

    /// True if this node's policy lets the account send.
    pub fn is_permitted(&self, sender: Address) -> bool {
        self.permitted.as_ref().is_none_or(|permitted| permitted.contains(&sender))
    }

    /// A copy of the executable transactions as they are now, in the order in which a block takes
    /// them: O(n). The builder takes a [`Walk`].
    pub fn best(&self, base_fee: u64) -> Best {
        let permitted = self.senders.iter().filter(|&(&address, _)| self.is_permitted(address));
        let executable =
            permitted.map(|(&address, sender)| (address, sender.pending().cloned().collect()));
        Best::new(self.config.order, base_fee, executable)
    }

    /// Nonce for the sender's next transaction: after its pending ones, else that of its account.
    pub fn pending_nonce(&self, sender: Address, state_nonce: u64) -> u64 {
        let pending_end = self.senders.get(&sender).map(|sender| sender.bounds.pending_end);
        pending_end.unwrap_or(state_nonce).max(state_nonce)
    }

    /// A waiting transaction by its hash.
    pub fn get(&self, hash: &B256) -> Option<&Arc<PoolTransaction>> {
        self.by_hash.get(hash)
    }

    /// Numbers of pending and queued transactions.
    pub fn status(&self) -> (usize, usize) {
        (self.by_hash.len() - self.queued_count, self.queued_count)
    }

    /// Executable transactions by sender and nonce.
    pub fn pending(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.sorted_senders().into_iter().flat_map(Sender::pending)
    }

    /// Transactions behind a gap by sender and nonce.
    pub fn queued(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.sorted_senders().into_iter().flat_map(Sender::queued)
    }

    /// One sender's transactions, pending and queued, by nonce.
    pub fn of_sender(
        &self,
        sender: Address,
    ) -> (Vec<Arc<PoolTransaction>>, Vec<Arc<PoolTransaction>>) {
        let Some(sender) = self.senders.get(&sender) else { return Default::default() };
        (sender.pending().cloned().collect(), sender.queued().cloned().collect())
    }

    /// Begins or ends to remember what is submitted, for [`Pool::take_submitted`].
    pub fn keep_submitted(&mut self, is_kept: bool) {
        self.submitted = is_kept.then(Vec::new);
    }

    /// What was submitted to this node since the last question; `None` if it was too much to
    /// remember or nobody wanted it, so that [`Pool::submitted`] alone tells.
    pub fn take_submitted(&mut self) -> Option<Vec<Arc<PoolTransaction>>> {
        let taken = std::mem::take(self.submitted.as_mut()?);
        (taken.len() < SUBMITTED_COUNT).then_some(taken)
    }

    /// What was submitted to this node and waits still, by sender and nonce: the journal's content.
    pub fn submitted(&self) -> Vec<Arc<PoolTransaction>> {
        let senders = self.sorted_senders().into_iter();
        let all = senders.flat_map(|sender| sender.by_nonce.values());
        all.filter(|pooled| pooled.origin == Origin::Here).cloned().collect()
    }

    /// The limits and policy it was made with.
    pub const fn config(&self) -> &PoolConfig {
        &self.config
    }

    fn sorted_senders(&self) -> Vec<&Sender> {
        let mut senders: Vec<_> = self.senders.iter().collect();
        senders.sort_unstable_by_key(|(address, _)| **address);
        senders.into_iter().map(|(_, sender)| sender).collect()
    }

    fn at(&self, sender: Address, nonce: u64) -> Option<Arc<PoolTransaction>> {
        self.senders.get(&sender)?.by_nonce.get(&nonce).cloned()
    }

    fn waiting(&self, sender: Address, replaced: Option<&PoolTransaction>) -> Waiting {
        let Some(sender) = self.senders.get(&sender) else { return Waiting::default() };
        Waiting {
            count: sender.by_nonce.len(),
            cost: sender.cost,
            replaced_cost: replaced.map(PoolTransaction::cost),
        }
    }

    /// Both caps must rise by the bump. At price 0 there is nothing to raise: once per sender, nonce
    /// and block a replacement at price 0 is free, which is then the answer.
    fn validate_replacement(
        &self,
        new: &PoolTransaction,
        old: Option<&PoolTransaction>,
    ) -> Result<bool, PoolError> {
        let Some(old) = old else { return Ok(false) };
        let fee_caps = (old.transaction.max_fee_per_gas(), new.transaction.max_fee_per_gas());
        let tip_caps = (old.tip_cap(), new.tip_cap());
        let bump = self.config.price_bump_percent;
        if is_raised(fee_caps, bump) && is_raised(tip_caps, bump) {
            return Ok(false);
        }
        let is_free = fee_caps == (0, 0) && tip_caps == (0, 0);
        if is_free && !self.free_replacements.contains(&(new.sender, new.nonce())) {
            return Ok(true);
        }
        Err(PoolError::ReplacementUnderpriced)
    }

    /// Finds the transactions to give up for a new one, if the pool is full.
    fn make_room(
        &self,
        new: &PoolTransaction,
        replaced: Option<&PoolTransaction>,
        state_nonce: u64,
    ) -> Result<Vec<Arc<PoolTransaction>>, PoolError> {
        let own = self.senders.get(&new.sender);
        let pending_end = own.map_or(state_nonce, |own| own.bounds.pending_end);
        let class = if new.nonce() > pending_end { Class::Queued } else { Class::Over };
        let bytes = self.bytes - replaced.map_or(0, |old| old.size) + new.size;
        let mut shortage =
            Shortage { bytes: bytes.saturating_sub(self.config.max_bytes), ..Shortage::default() };
        if class == Class::Queued && replaced.is_none() {
            let pooled = own.map_or(0, Sender::queued_count);
            if pooled >= self.config.account_queue {
                return Err(PoolError::AccountLimitExceeded { pooled });
            }
            shortage.queued = (self.queued_count + 1).saturating_sub(self.config.global_queue);
        }
        if class != Class::Queued {
            // what it no longer holds back becomes pending with it
            let follows = |own: &Sender| {
                let end = own.first_gap(new.nonce().saturating_add(1));
                let run = own.by_nonce.range(new.nonce().saturating_add(1)..end);
                run.map(|(_, pooled)| pooled.slots()).sum()
            };
            let is_at_end = new.nonce() == pending_end;
            let followers = own.filter(|_| is_at_end).map_or(0, follows);
            let slots = self.pending_slots - replaced.map_or(0, PoolTransaction::slots)
                + new.slots()
                + followers;
            shortage.slots = slots.saturating_sub(self.config.global_slots);
        }
        if replaced.is_some() && shortage != Shortage::default() {
            // a longer form of what was here gets no other's room
            return Err(PoolError::Full);
        }
        self.eviction.victims(self.scene(), new, class, shortage)
    }

    const fn scene(&self) -> Scene<'_> {
        Scene { config: &self.config, senders: &self.senders }
    }

    /// Brings one sender to its account's state after the head; returns what became executable.
    fn refresh(
        &mut self,
        address: Address,
        account: AccountState,
        rules_changed: bool,
    ) -> Vec<Arc<PoolTransaction>> {
        let Some(sender) = self.senders.get(&address) else { return Vec::new() };
        let pending_end = sender.bounds.pending_end;
        let mined: Vec<_> =
            sender.by_nonce.range(..account.nonce).map(|(_, pooled)| Arc::clone(pooled)).collect();
        let may_lack = sender.cost_cap > account.balance;
        let is_gone = |pooled: &PoolTransaction| {
            may_lack && pooled.cost() > account.balance
                || rules_changed && validate_transaction(pooled, &self.head, &self.config).is_err()
        };
        let gone: Vec<_> = if may_lack || rules_changed {
            let rest = sender.by_nonce.range(account.nonce..).map(|(_, pooled)| pooled);
            rest.filter(|pooled| is_gone(pooled)).cloned().collect()
        } else {
            Vec::new()
        };
        for pooled in mined {
            self.erase(&pooled);
        }
        self.change(address, |sender| {
            let bounds = sender.bounds;
            let is_gapless = (bounds.state_nonce..=bounds.pending_end).contains(&account.nonce);
            let start = if is_gapless { bounds.pending_end } else { account.nonce };
            (account.nonce, sender.first_gap(start))
        });
        for pooled in gone {
            self.unlink(&pooled);
        }
        if let Some(sender) = self.senders.get_mut(&address)
            && may_lack
        {
            sender.cost_cap = account.balance;
        }
        if rules_changed && let Some(sender) = self.senders.get(&address) {
            let gas = sender.by_nonce.values().map(|pooled| pooled.transaction.gas_limit()).max();
            self.gas_cap = self.gas_cap.max(gas.unwrap_or(0));
        }
        self.trim_queue(address);
        self.pending_from(address, pending_end)
    }

    /// Demotion may leave more queued transactions than a sender is allowed: the highest nonces go.
    fn trim_queue(&mut self, address: Address) -> Vec<Arc<PoolTransaction>> {
        let mut dropped = Vec::new();
        while let Some(sender) = self.senders.get(&address)
            && sender.queued_count() > self.config.account_queue
            && let Some((_, last)) = sender.by_nonce.last_key_value()
        {
            let last = Arc::clone(last);
            self.unlink(&last);
            dropped.push(last);
        }
        dropped
    }

    /// A new head may promote and demote beyond the limits of all: the worst go.
    fn trim(&mut self) -> Vec<Arc<PoolTransaction>> {
        let mut dropped = Vec::new();
        while self.queued_count > self.config.global_queue
            && let Some(worst) = self.eviction.worst(self.scene(), Class::Queued)
        {
            self.unlink(&worst);
            dropped.push(worst);
        }
        while self.pending_slots > self.config.global_slots
            && let Some(worst) = self.eviction.worst(self.scene(), Class::Over)
        {
            self.unlink(&worst);
            dropped.extend(self.trim_queue(worst.sender));
            dropped.push(worst);
        }
        dropped
    }

    /// The sender's executable transactions from a nonce on.
    fn pending_from(&self, address: Address, nonce: u64) -> Vec<Arc<PoolTransaction>> {
        let Some(sender) = self.senders.get(&address) else { return Vec::new() };
        let end = sender.bounds.pending_end;
        let pending = sender.by_nonce.range(nonce.min(end)..end);
        pending.map(|(_, pooled)| Arc::clone(pooled)).collect()
    }
}

/// True if the new value exceeds the old one by at least the bump.
fn is_raised((old, new): (u128, u128), bump_percent: u128) -> bool {
    let needed = U256::from(old)
        .saturating_mul(U256::from(bump_percent).saturating_add(U256::from(100)))
        / U256::from(100);
    new > old && U256::from(new) >= needed
}

#[cfg(test)]
mod tests;
