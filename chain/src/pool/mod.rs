//! What waits for a block: pending and queued transactions per sender.
//!
//! A sender's transactions are *pending* from its account's nonce on without a gap, and *queued*
//! behind a gap. The pool is bounded in every direction: per sender, in slots, in bytes. It neither
//! recovers senders nor reads clocks; the caller hands in both the sender and the head state.
//!
//! [`validate`] decides what may enter, [`order`] what leaves first.

pub mod order;
pub mod validate;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, U256};
use revm::primitives::hardfork::SpecId;

pub use order::{Best, Order};
pub use validate::{AccountState, AccountView, PoolError};

use crate::block::Transaction;
use validate::{Waiting, validate_account, validate_transaction};

/// Bytes of a transaction that count as one slot.
pub const SLOT_BYTES: usize = 32 * 1_024;
/// Slots in all, pending and queued (`--txpool.globalslots` + `globalqueue`).
pub const GLOBAL_SLOTS: usize = 65_536 + 16_384;
/// Queued transactions in all: a gap may never be filled, so they get the smaller part.
pub const GLOBAL_QUEUE: usize = 16_384;
/// Queued transactions per sender (`--txpool.accountqueue`).
pub const ACCOUNT_QUEUE: usize = 1_024;
/// Transactions per sender (`--txpool.senderlimit`), and never more than a quarter of the slots.
pub const SENDER_LIMIT: usize = 8_192;
/// Bytes in all.
pub const MAX_BYTES: usize = 128 << 20;
/// By how much a replacement must raise both caps, percent (`--txpool.pricebump`).
pub const PRICE_BUMP_PERCENT: u128 = 10;

/// Limits and policy of one node's pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Least tip cap, wei per gas.
    pub price_limit: u128,
    /// How much a replacement must raise both caps, percent.
    pub price_bump_percent: u128,
    /// Slots in all.
    pub global_slots: usize,
    /// Queued transactions in all.
    pub global_queue: usize,
    /// Queued transactions per sender.
    pub account_queue: usize,
    /// Transactions per sender.
    pub sender_limit: usize,
    /// Bytes in all.
    pub max_bytes: usize,
    /// How blocks are filled, and what a full pool gives up.
    pub order: Order,
}

impl PoolConfig {
    /// The defaults of a network: without a base fee nothing is paid, so the price limit is 0 and
    /// senders take turns.
    pub fn for_network(zero_base_fee: bool) -> Self {
        Self {
            price_limit: if zero_base_fee { 0 } else { 1 },
            price_bump_percent: PRICE_BUMP_PERCENT,
            global_slots: GLOBAL_SLOTS,
            global_queue: GLOBAL_QUEUE,
            account_queue: ACCOUNT_QUEUE,
            sender_limit: SENDER_LIMIT,
            max_bytes: MAX_BYTES,
            order: if zero_base_fee { Order::Fair } else { Order::Price },
        }
    }

    fn sender_limit(&self) -> usize {
        self.sender_limit.min(self.global_slots / 4)
    }
}

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

/// A waiting transaction.
#[derive(Debug, Clone)]
pub struct PoolTransaction {
    /// The signed transaction.
    pub transaction: Transaction,
    /// Its recovered sender.
    pub sender: Address,
    /// Position in the order of arrival at this pool.
    pub arrival: u64,
    /// Bytes of its EIP-2718 form.
    pub size: usize,
}

impl PoolTransaction {
    fn new(transaction: Transaction, sender: Address, arrival: u64) -> Self {
        let size = transaction.encode_2718_len();
        Self { transaction, sender, arrival, size }
    }

    /// Transaction hash.
    pub fn hash(&self) -> B256 {
        *self.transaction.tx_hash()
    }

    /// Sender's nonce.
    pub fn nonce(&self) -> u64 {
        self.transaction.nonce()
    }

    /// The most it may cost, wei: gas limit · fee cap + value.
    pub fn cost(&self) -> U256 {
        let fee = U256::from(self.transaction.gas_limit())
            .saturating_mul(U256::from(self.transaction.max_fee_per_gas()));
        fee.saturating_add(self.transaction.value())
    }

    /// Tip cap, or gas price of the types that have no tip, wei per gas.
    pub fn tip_cap(&self) -> u128 {
        self.transaction.priority_fee_or_price()
    }

    fn slots(&self) -> usize {
        self.size.div_ceil(SLOT_BYTES)
    }
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
    /// The one that a full pool gave up for it.
    pub evicted: Option<Arc<PoolTransaction>>,
}

/// One sender's transactions by nonce; those below `pending_end` are executable.
#[derive(Debug, Clone, Default)]
struct Sender {
    by_nonce: BTreeMap<u64, Arc<PoolTransaction>>,
    /// Nonce of the account after the head.
    state_nonce: u64,
    /// First nonce from `state_nonce` on that is not here.
    pending_end: u64,
    /// Sum of the costs.
    cost: U256,
}

impl Sender {
    fn pending(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.by_nonce.range(..self.pending_end).map(|(_, pooled)| pooled)
    }

    fn queued(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.by_nonce.range(self.pending_end..).map(|(_, pooled)| pooled)
    }

    fn queued_count(&self) -> usize {
        // pending ones are gapless from state_nonce on
        let pending = usize::try_from(self.pending_end - self.state_nonce).unwrap_or(usize::MAX);
        self.by_nonce.len().saturating_sub(pending)
    }

    fn insert(&mut self, pooled: Arc<PoolTransaction>) {
        self.cost = self.cost.saturating_add(pooled.cost());
        self.by_nonce.insert(pooled.nonce(), pooled);
        self.extend_pending();
    }

    fn remove(&mut self, pooled: &PoolTransaction) {
        self.cost = self.cost.saturating_sub(pooled.cost());
        self.by_nonce.remove(&pooled.nonce());
        self.pending_end = self.pending_end.min(pooled.nonce()).max(self.state_nonce);
    }

    fn set_state_nonce(&mut self, state_nonce: u64) {
        self.state_nonce = state_nonce;
        self.pending_end = state_nonce;
        self.extend_pending();
    }

    fn extend_pending(&mut self) {
        while self.by_nonce.contains_key(&self.pending_end) {
            self.pending_end += 1;
        }
    }
}

/// All waiting transactions of one node.
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    head: PoolHead,
    senders: BTreeMap<Address, Sender>,
    by_hash: HashMap<B256, Arc<PoolTransaction>>,
    /// Cheapest first, for eviction by price.
    by_price: BTreeSet<(u128, Reverse<u64>, B256)>,
    /// Senders by number of transactions, for eviction by turns.
    by_count: BTreeSet<(usize, Address)>,
    /// Nonces replaced at price 0 since the head came.
    free_replacements: HashSet<(Address, u64)>,
    slots: usize,
    bytes: usize,
    queued_count: usize,
    arrivals: u64,
}

impl Pool {
    /// An empty pool for the block after `head`.
    pub fn new(config: PoolConfig, head: PoolHead) -> Self {
        Self {
            config,
            head,
            senders: BTreeMap::new(),
            by_hash: HashMap::new(),
            by_price: BTreeSet::new(),
            by_count: BTreeSet::new(),
            free_replacements: HashSet::new(),
            slots: 0,
            bytes: 0,
            queued_count: 0,
            arrivals: 0,
        }
    }

    /// Takes a transaction whose `sender` was recovered from its signature.
    ///
    /// # Errors
    /// [`PoolError`] with the first rule that broke; the pool is then unchanged.
    pub fn add(
        &mut self,
        transaction: Transaction,
        sender: Address,
        view: &impl AccountView,
    ) -> Result<Added, PoolError> {
        if self.by_hash.contains_key(transaction.tx_hash()) {
            return Err(PoolError::AlreadyKnown);
        }
        let pooled = Arc::new(PoolTransaction::new(transaction, sender, self.arrivals));
        validate_transaction(&pooled, &self.head, &self.config)?;
        let account = view.account(sender)?;
        if self.senders.get(&sender).is_some_and(|own| own.state_nonce != account.nonce) {
            // the view is newer than the last head that the pool was told of
            self.refresh(sender, account, false);
        }
        let replaced = self.at(sender, pooled.nonce());
        let waiting = self.waiting(sender, replaced.as_deref());
        validate_account(&pooled, account, waiting, self.config.sender_limit())?;
        let is_free = self.validate_replacement(&pooled, replaced.as_deref())?;
        let evicted = match &replaced {
            Some(_) => None,
            None => self.make_room(&pooled, account.nonce)?,
        };

        if is_free {
            self.free_replacements.insert((sender, pooled.nonce()));
        }
        for leaving in [&replaced, &evicted].into_iter().flatten() {
            self.unlink(leaving);
        }
        self.link(Arc::clone(&pooled), account.nonce);
        let mut executable = self.pending_from(sender, pooled.nonce());
        if replaced.is_some() {
            executable.truncate(1);
        }
        self.arrivals += 1;
        Ok(Added { transaction: pooled, executable, replaced, evicted })
    }

    /// Follows the chain to a new head: `changed` are the accounts that it touched.
    ///
    /// Mined and unpayable transactions go; what follows a gap becomes queued; what a gap no longer
    /// holds back becomes executable and is returned. Transactions of blocks that left the chain
    /// come back through [`Pool::add`].
    ///
    /// # Errors
    /// Whatever reading the accounts fails with; senders not reached keep their old state.
    pub fn on_new_head(
        &mut self,
        head: PoolHead,
        changed: impl IntoIterator<Item = Address>,
        view: &impl AccountView,
    ) -> Result<Vec<Arc<PoolTransaction>>, PoolError> {
        let narrower = head.gas_limit < self.head.gas_limit || head.spec_id != self.head.spec_id;
        self.head = head;
        self.free_replacements.clear();
        let changed: BTreeSet<Address> = if narrower {
            self.senders.keys().copied().collect()
        } else {
            changed.into_iter().filter(|sender| self.senders.contains_key(sender)).collect()
        };
        let mut executable = Vec::new();
        for sender in changed {
            executable.extend(self.refresh(sender, view.account(sender)?, narrower));
        }
        Ok(executable)
    }

    /// Takes out one transaction, such as one that the builder found to fail. Later ones of its
    /// sender become queued.
    pub fn remove(&mut self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        let pooled = self.by_hash.get(hash).cloned()?;
        self.unlink(&pooled);
        Some(pooled)
    }

    /// The executable transactions as they are now, in the order in which a block takes them.
    pub fn best(&self, base_fee: u64) -> Best {
        let executable = self
            .senders
            .iter()
            .map(|(&address, sender)| (address, sender.pending().cloned().collect()));
        Best::new(self.config.order, base_fee, executable)
    }

    /// Nonce for the sender's next transaction: after its pending ones, else that of its account.
    pub fn pending_nonce(&self, sender: Address, state_nonce: u64) -> u64 {
        let pending_end = self.senders.get(&sender).map(|sender| sender.pending_end);
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
        self.senders.values().flat_map(Sender::pending)
    }

    /// Transactions behind a gap by sender and nonce.
    pub fn queued(&self) -> impl Iterator<Item = &Arc<PoolTransaction>> {
        self.senders.values().flat_map(Sender::queued)
    }

    /// The limits and policy it was made with.
    pub const fn config(&self) -> &PoolConfig {
        &self.config
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

    /// Finds the transaction to give up for a new one, if the pool is full.
    fn make_room(
        &self,
        new: &PoolTransaction,
        state_nonce: u64,
    ) -> Result<Option<Arc<PoolTransaction>>, PoolError> {
        let own = self.senders.get(&new.sender);
        let is_queued = new.nonce() > own.map_or(state_nonce, |own| own.pending_end);
        if is_queued {
            let pooled = own.map_or(0, Sender::queued_count);
            if pooled >= self.config.account_queue {
                return Err(PoolError::AccountLimitExceeded { pooled });
            }
            if self.queued_count >= self.config.global_queue {
                return Err(PoolError::Full);
            }
        }
        let has_room = self.slots + new.slots() <= self.config.global_slots
            && self.bytes + new.size <= self.config.max_bytes;
        if has_room {
            return Ok(None);
        }
        let victim = match self.config.order {
            Order::Price => self.cheapest_below(new)?,
            Order::Fair => self.newest_of_longest(new)?,
        };
        if is_queued && self.is_pending(&victim) {
            return Err(PoolError::FutureReplacesPending);
        }
        let slots = self.slots - victim.slots() + new.slots();
        let bytes = self.bytes - victim.size + new.size;
        if slots > self.config.global_slots || bytes > self.config.max_bytes {
            return Err(PoolError::Full);
        }
        Ok(Some(victim))
    }

    fn cheapest_below(&self, new: &PoolTransaction) -> Result<Arc<PoolTransaction>, PoolError> {
        let (tip, _, hash) = self.by_price.first().ok_or(PoolError::Full)?;
        if new.tip_cap() <= *tip {
            return Err(PoolError::Underpriced);
        }
        self.by_hash.get(hash).cloned().ok_or(PoolError::Full)
    }

    fn newest_of_longest(&self, new: &PoolTransaction) -> Result<Arc<PoolTransaction>, PoolError> {
        let &(count, longest) = self.by_count.last().ok_or(PoolError::Full)?;
        let own_count = self.senders.get(&new.sender).map_or(0, |own| own.by_nonce.len());
        if own_count + 1 >= count {
            return Err(PoolError::Full);
        }
        let longest = self.senders.get(&longest).ok_or(PoolError::Full)?;
        longest.by_nonce.last_key_value().map(|(_, last)| Arc::clone(last)).ok_or(PoolError::Full)
    }

    fn is_pending(&self, pooled: &PoolTransaction) -> bool {
        self.senders.get(&pooled.sender).is_some_and(|sender| pooled.nonce() < sender.pending_end)
    }

    /// Brings one sender to its account's state after the head; returns what became executable.
    fn refresh(
        &mut self,
        address: Address,
        account: AccountState,
        rules_changed: bool,
    ) -> Vec<Arc<PoolTransaction>> {
        let Some(sender) = self.senders.get(&address) else { return Vec::new() };
        let pending_end = sender.pending_end;
        let is_gone = |pooled: &PoolTransaction| {
            pooled.nonce() < account.nonce
                || pooled.cost() > account.balance
                || rules_changed && validate_transaction(pooled, &self.head, &self.config).is_err()
        };
        let gone: Vec<_> =
            sender.by_nonce.values().filter(|pooled| is_gone(pooled)).cloned().collect();
        for pooled in gone {
            self.unlink(&pooled);
        }
        self.change(address, |sender| sender.set_state_nonce(account.nonce));
        self.trim_queue(address);
        self.pending_from(address, pending_end)
    }

    /// Demotion may leave more queued transactions than a sender is allowed: the highest nonces go.
    fn trim_queue(&mut self, address: Address) {
        while let Some(sender) = self.senders.get(&address)
            && sender.queued_count() > self.config.account_queue
            && let Some((_, last)) = sender.by_nonce.last_key_value()
        {
            let last = Arc::clone(last);
            self.unlink(&last);
        }
    }

    /// The sender's executable transactions from a nonce on.
    fn pending_from(&self, address: Address, nonce: u64) -> Vec<Arc<PoolTransaction>> {
        let Some(sender) = self.senders.get(&address) else { return Vec::new() };
        let pending = sender.by_nonce.range(nonce.min(sender.pending_end)..sender.pending_end);
        pending.map(|(_, pooled)| Arc::clone(pooled)).collect()
    }

    fn link(&mut self, pooled: Arc<PoolTransaction>, state_nonce: u64) {
        self.slots += pooled.slots();
        self.bytes += pooled.size;
        self.by_price.insert(price_key(&pooled));
        self.by_hash.insert(pooled.hash(), Arc::clone(&pooled));
        self.change(pooled.sender, |sender| {
            if sender.by_nonce.is_empty() {
                sender.set_state_nonce(state_nonce);
            }
            sender.insert(pooled);
        });
    }

    fn unlink(&mut self, pooled: &PoolTransaction) {
        if self.by_hash.remove(&pooled.hash()).is_none() {
            return;
        }
        self.slots -= pooled.slots();
        self.bytes -= pooled.size;
        self.by_price.remove(&price_key(pooled));
        self.change(pooled.sender, |sender| sender.remove(pooled));
    }

    /// Changes one sender and keeps the counts beside it; an empty sender disappears.
    fn change(&mut self, address: Address, change: impl FnOnce(&mut Sender)) {
        let sender = self.senders.entry(address).or_default();
        let (count, queued) = (sender.by_nonce.len(), sender.queued_count());
        change(sender);
        self.queued_count = self.queued_count - queued + sender.queued_count();
        self.by_count.remove(&(count, address));
        if sender.by_nonce.is_empty() {
            self.senders.remove(&address);
        } else {
            self.by_count.insert((sender.by_nonce.len(), address));
        }
    }
}

/// Lowest tip cap first, among equals the latest arrival.
fn price_key(pooled: &PoolTransaction) -> (u128, Reverse<u64>, B256) {
    (pooled.tip_cap(), Reverse(pooled.arrival), pooled.hash())
}

/// True if the new value exceeds the old one by at least the bump.
fn is_raised((old, new): (u128, u128), bump_percent: u128) -> bool {
    let needed = U256::from(old) * U256::from(100 + bump_percent) / U256::from(100);
    new > old && U256::from(new) >= needed
}

#[cfg(test)]
mod tests;
