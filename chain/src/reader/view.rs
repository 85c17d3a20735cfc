//! [`View`]: the canonical chain as seen from one head, and the other branches beside it.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::{Address, B256, Bloom, U256};

use super::{ExecutedBlock, KnownBlock, SideBlock};
use crate::{
    block::SealedHeader,
    clique::Snapshot,
    error::ChainError,
    replay::Rules,
    state::{Layer, Layers, StateDb, proof::Scratch},
    store::{BadBlocks, Shelf, StoredBlock, log_index::LogKey, snapshots::Ancestry},
};

/// A canonical block above the flushed one.
#[derive(Debug)]
pub(crate) struct Recent {
    pub(crate) executed: Arc<ExecutedBlock>,
    pub(crate) layer: Arc<Layer>,
    transactions: HashMap<B256, usize>,
}

impl Recent {
    pub(crate) fn new(executed: Arc<ExecutedBlock>, layer: Arc<Layer>) -> Self {
        let transactions = executed.block.body().transactions.iter().enumerate();
        let transactions = transactions.map(|(index, tx)| (*tx.tx_hash(), index)).collect();
        Self { executed, layer, transactions }
    }
}

/// The canonical chain as seen from one head.
#[derive(Debug, Clone)]
pub(crate) struct View {
    genesis: Arc<ExecutedBlock>,
    head: Arc<ExecutedBlock>,
    /// The blocks above the flushed one, ascending without gaps.
    recent: Vec<Arc<Recent>>,
    /// What they changed.
    layers: Arc<Layers>,
    /// Blocks of other branches that no flush has written yet.
    aside: Arc<HashMap<B256, KnownBlock>>,
    bad: Arc<BadBlocks>,
    shelf: Shelf,
    rules: Rules,
}

impl View {
    /// The chain up to the flushed block.
    pub(crate) fn flushed(
        genesis: Arc<ExecutedBlock>,
        shelf: Shelf,
        rules: Rules,
    ) -> Result<Self, ChainError> {
        let mut view = Self {
            head: genesis.clone(),
            genesis,
            recent: Vec::new(),
            layers: Arc::default(),
            aside: Arc::default(),
            bad: Arc::default(),
            shelf,
            rules,
        };
        let hash = view.shelf.flushed().hash;
        view.head = view.block_by_hash(hash)?.ok_or_else(|| ChainError::Corrupt {
            place: "table meta at flushed".to_owned(),
            reason: format!("block {hash} is not stored"),
        })?;
        Ok(view)
    }

    pub(crate) const fn head(&self) -> &Arc<ExecutedBlock> {
        &self.head
    }

    pub(crate) fn recent(&self) -> &[Arc<Recent>] {
        &self.recent
    }

    pub(crate) const fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The state after the head.
    pub(crate) fn state(&self) -> StateDb {
        self.state_at(self.head.number())
    }

    /// With one more block on top.
    pub(crate) fn push(&mut self, recent: Arc<Recent>) {
        self.head = recent.executed.clone();
        if self.aside.contains_key(&recent.executed.hash()) {
            Arc::make_mut(&mut self.aside).remove(&recent.executed.hash());
        }
        self.layers = Arc::new(self.layers.with(recent.layer.clone()));
        self.recent.push(recent);
    }

    /// With the head taken off, which must be above the flushed block; `parent` becomes head.
    pub(crate) fn pop(&mut self, parent: Arc<ExecutedBlock>) {
        let Some(recent) = self.recent.pop() else { return };
        self.layers = Arc::new(self.layers.without_last());
        self.put_aside(recent.executed.hash(), KnownBlock::Executed(recent.executed.clone()));
        self.head = parent;
    }

    /// With one more block that is not canonical.
    pub(crate) fn put_aside(&mut self, hash: B256, block: KnownBlock) {
        Arc::make_mut(&mut self.aside).insert(hash, block);
    }

    /// The same chain over newer tables. `is_left` says which blocks the tables still lack.
    pub(crate) fn reshelve(&mut self, shelf: Shelf, is_left: impl Fn(B256) -> bool) {
        let flushed = shelf.flushed().number;
        self.recent.retain(|recent| recent.executed.number() > flushed);
        self.layers = Arc::new(self.layers.above(flushed));
        if !self.aside.is_empty() {
            Arc::make_mut(&mut self.aside).retain(|&hash, _| is_left(hash));
        }
        self.shelf = shelf;
    }

    /// The flushed block as head over tables that were taken back to it; everything above is aside now.
    pub(crate) fn unwound(&self, shelf: Shelf) -> Result<Self, ChainError> {
        let mut view = Self::flushed(self.genesis.clone(), shelf, self.rules.clone())?;
        (view.aside, view.bad) = (self.aside.clone(), self.bad.clone());
        for recent in &self.recent {
            view.put_aside(recent.executed.hash(), KnownBlock::Executed(recent.executed.clone()));
        }
        Ok(view)
    }

    pub(crate) const fn bad(&self) -> &Arc<BadBlocks> {
        &self.bad
    }

    /// With other bad blocks.
    pub(crate) fn set_bad(&mut self, bad: Arc<BadBlocks>) {
        self.bad = bad;
    }

    pub(crate) fn canonical_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        if number > self.head.number() {
            return Ok(None);
        }
        match self.recent_at(number) {
            Some(recent) => Ok(Some(recent.executed.hash())),
            None => self.shelf.canonical_hash(number),
        }
    }

    pub(crate) fn is_canonical(&self, number: u64, hash: B256) -> Result<bool, ChainError> {
        Ok(self.canonical_hash(number)? == Some(hash))
    }

    /// A block of any branch that is in memory.
    fn in_memory(&self, hash: B256) -> Option<KnownBlock> {
        if hash == self.genesis.hash() {
            return Some(KnownBlock::Executed(self.genesis.clone()));
        }
        let mut recents = self.recent.iter().rev();
        if let Some(found) = recents.find(|recent| recent.executed.hash() == hash) {
            return Some(KnownBlock::Executed(found.executed.clone()));
        }
        self.aside.get(&hash).cloned()
    }

    /// A block of any branch, run or not.
    pub(crate) fn known_block(&self, hash: B256) -> Result<Option<KnownBlock>, ChainError> {
        if let Some(found) = self.in_memory(hash) {
            return Ok(Some(found));
        }
        let stored = self.shelf.block(hash)?;
        stored.map(|stored| self.load(stored)).transpose()
    }

    pub(crate) fn block_by_hash(
        &self,
        hash: B256,
    ) -> Result<Option<Arc<ExecutedBlock>>, ChainError> {
        Ok(self.known_block(hash)?.and_then(KnownBlock::executed))
    }

    pub(crate) fn total_difficulty(&self, hash: B256) -> Result<Option<U256>, ChainError> {
        match self.in_memory(hash) {
            Some(found) => Ok(Some(found.total_difficulty())),
            None => self.shelf.total_difficulty(hash),
        }
    }

    pub(crate) fn block_by_number(
        &self,
        number: u64,
    ) -> Result<Option<Arc<ExecutedBlock>>, ChainError> {
        match self.canonical_hash(number)? {
            Some(hash) => self.block_by_hash(hash),
            None => Ok(None),
        }
    }

    pub(crate) fn transaction(
        &self,
        hash: B256,
    ) -> Result<Option<(Arc<ExecutedBlock>, usize)>, ChainError> {
        for recent in self.recent.iter().rev() {
            if let Some(&index) = recent.transactions.get(&hash) {
                return Ok(Some((recent.executed.clone(), index)));
            }
        }
        let Some((number, index)) = self.shelf.transaction(hash)? else { return Ok(None) };
        Ok(self.block_by_number(number)?.map(|block| (block, index)))
    }

    /// As [`super::ChainReader::log_blocks`].
    pub(crate) fn log_blocks(
        &self,
        from: u64,
        to: u64,
        sets: &[Vec<LogKey>],
        may_have: impl Fn(&Bloom) -> bool,
        most: usize,
    ) -> Result<Vec<u64>, ChainError> {
        let flushed = self.shelf.flushed().number;
        let indexed = self.shelf.logs_from()?;
        // a store made before there was an index: its first blocks are looked at one by one
        let before = (from..indexed.min(flushed + 1).min(to.saturating_add(1))).take(most);
        let mut found: Vec<u64> = before.collect();
        if found.len() < most {
            let left = most - found.len();
            let (from, to) = (from.max(indexed), to.min(flushed));
            found.extend(self.shelf.log_blocks(from, to, sets, left)?);
        }
        let recent = self.recent.iter().filter(|recent| {
            let header = recent.executed.block.header();
            (from..=to).contains(&header.number) && may_have(&header.logs_bloom)
        });
        let left = most.saturating_sub(found.len());
        found.extend(recent.take(left).map(|recent| recent.executed.number()));
        Ok(found)
    }

    /// The state after a canonical block whose way back is kept.
    pub(crate) fn state_at(&self, number: u64) -> StateDb {
        if number < self.shelf.flushed().number {
            return self.shelf.state(number);
        }
        StateDb::layered(
            self.shelf.flat(),
            self.shelf.flushed().number,
            self.layers.clone(),
            number,
        )
    }

    /// Hands over what the accounts that block `number` changed were before it.
    pub(crate) fn take_back(&self, number: u64, scratch: &mut Scratch) -> Result<(), ChainError> {
        if let Some(recent) = self.recent_at(number) {
            let accounts = recent.layer.changes.accounts.iter();
            return scratch.take_back(accounts.map(|(&address, change)| (address, change.old)));
        }
        let diff = self.shelf.diff(number)?;
        scratch.take_back(diff.accounts.iter().map(|(&address, &old)| (address, old)))
    }

    /// Accounts that block `number` changed, if the way back before it is kept.
    pub(crate) fn changed_accounts(&self, number: u64) -> Result<Vec<Address>, ChainError> {
        if let Some(recent) = self.recent_at(number) {
            return Ok(recent.layer.changes.accounts.keys().copied().collect());
        }
        Ok(self.shelf.diff(number)?.accounts.keys().copied().collect())
    }

    /// As [`Self::state_at`].
    ///
    /// # Errors
    /// [`ChainError::HistoryPruned`] if the way back is not kept.
    pub(crate) fn kept_state_at(&self, number: u64) -> Result<StateDb, ChainError> {
        let oldest = self.shelf.oldest_state();
        if number < oldest {
            return Err(ChainError::HistoryPruned { number, oldest });
        }
        Ok(self.state_at(number))
    }

    fn recent_at(&self, number: u64) -> Option<&Arc<Recent>> {
        let index = number.checked_sub(self.shelf.flushed().number + 1)?;
        self.recent.get(usize::try_from(index).ok()?)
    }

    fn load(&self, stored: StoredBlock) -> Result<KnownBlock, ChainError> {
        let receipts = self.shelf.receipts(&stored)?;
        let signer = self.rules.author(stored.block.header())?;
        let StoredBlock { block, total_difficulty, .. } = stored;
        Ok(match receipts {
            Some(receipts) => {
                let executed = ExecutedBlock { block, receipts, total_difficulty, signer };
                KnownBlock::Executed(Arc::new(executed))
            }
            None => KnownBlock::Side(Arc::new(SideBlock { block, total_difficulty, signer })),
        })
    }
}

impl Ancestry for View {
    fn sealed(&self, hash: B256) -> Result<Option<(SealedHeader, Address)>, ChainError> {
        if let Some(found) = self.in_memory(hash) {
            return Ok(Some((found.block().clone_sealed_header(), found.signer())));
        }
        let Some(stored) = self.shelf.block(hash)? else { return Ok(None) };
        let signer = self.rules.author(stored.block.header())?;
        Ok(Some((stored.block.clone_sealed_header(), signer)))
    }

    fn stored_snapshot(&self, hash: B256) -> Result<Option<Snapshot>, ChainError> {
        self.shelf.snapshot(hash)
    }
}
