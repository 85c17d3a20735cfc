//! [`ChainReader`]: the chain as everybody but its writer sees it.
//!
//! All answers come from one [`View`], an unmoving picture of head, recent blocks, their receipts and the state. The
//! writer makes the next one beside it and swaps a pointer; no read ever waits for an import.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use alloy_primitives::{Address, B256, U256};

use crate::{
    block::{Receipt, RecoveredBlock, SealedHeader},
    clique::Snapshot,
    error::ChainError,
    executor::call::{BlockOverrides, CallOutcome, CallRequest, StateOverrides, call},
    replay::Rules,
    spec::ChainSpec,
    state::{
        Layer, Layers, StateDb,
        proof::{AccountProof, MAX_BLOCKS, Scratch, prove},
        root::{Nodes, StateTrie},
    },
    store::{
        Shelf, StoredBlock,
        snapshots::{Ancestry, Snapshots},
    },
};

/// How often a proof starts anew because the chain was reorganised meanwhile.
const PROOF_ATTEMPTS: usize = 8;

/// A block together with what running it left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedBlock {
    /// The block with its hash and senders.
    pub block: RecoveredBlock,
    /// One per transaction.
    pub receipts: Vec<Receipt>,
    /// Sum of the difficulties up to it.
    pub total_difficulty: U256,
    /// Who sealed it; zero for genesis.
    pub signer: Address,
}

impl ExecutedBlock {
    /// Height.
    pub fn number(&self) -> u64 {
        self.block.header().number
    }

    /// Block hash.
    pub fn hash(&self) -> B256 {
        self.block.hash()
    }
}

/// The state after one block.
pub type StateAt = StateDb;

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
    /// Blocks that were canonical and are not any more, until the next flush.
    aside: HashMap<B256, Arc<ExecutedBlock>>,
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
            aside: HashMap::new(),
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
        self.aside.remove(&recent.executed.hash());
        self.layers = Arc::new(self.layers.with(recent.layer.clone()));
        self.recent.push(recent);
    }

    /// With the head taken off, which must be above the flushed block; `parent` becomes head.
    pub(crate) fn pop(&mut self, parent: Arc<ExecutedBlock>) -> Option<Arc<Recent>> {
        let recent = self.recent.pop()?;
        self.layers = Arc::new(self.layers.without_last());
        self.aside.insert(recent.executed.hash(), recent.executed.clone());
        self.head = parent;
        Some(recent)
    }

    /// The same chain over newer tables.
    pub(crate) fn reshelve(&mut self, shelf: Shelf) {
        let flushed = shelf.flushed().number;
        self.recent.retain(|recent| recent.executed.number() > flushed);
        self.layers = Arc::new(self.layers.above(flushed));
        self.aside.retain(|_, executed| executed.number() > flushed);
        self.shelf = shelf;
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

    pub(crate) fn block_by_hash(
        &self,
        hash: B256,
    ) -> Result<Option<Arc<ExecutedBlock>>, ChainError> {
        if hash == self.genesis.hash() {
            return Ok(Some(self.genesis.clone()));
        }
        let mut recents = self.recent.iter().rev();
        if let Some(found) = recents.find(|recent| recent.executed.hash() == hash) {
            return Ok(Some(found.executed.clone()));
        }
        if let Some(found) = self.aside.get(&hash) {
            return Ok(Some(found.clone()));
        }
        let stored = self.shelf.block(hash)?;
        Ok(stored.map(|stored| self.load(stored)).transpose()?.flatten())
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

    fn transaction(&self, hash: B256) -> Result<Option<(Arc<ExecutedBlock>, usize)>, ChainError> {
        for recent in self.recent.iter().rev() {
            if let Some(&index) = recent.transactions.get(&hash) {
                return Ok(Some((recent.executed.clone(), index)));
            }
        }
        let Some((number, index)) = self.shelf.transaction(hash)? else { return Ok(None) };
        Ok(self.block_by_number(number)?.map(|block| (block, index)))
    }

    fn state_at(&self, number: u64) -> StateDb {
        let state = self.shelf.state(number);
        if number <= self.shelf.flushed().number {
            return state;
        }
        state.under(self.layers.clone(), number)
    }

    /// Hands over what the accounts that block `number` changed were before it.
    fn take_back(&self, number: u64, scratch: &mut Scratch) -> Result<(), ChainError> {
        if let Some(recent) = self.recent_at(number) {
            let accounts = recent.layer.changes.accounts.iter();
            return scratch.take_back(accounts.map(|(&address, change)| (address, change.old)));
        }
        let diff = self.shelf.diff(number)?;
        scratch.take_back(diff.accounts.iter().map(|(&address, &old)| (address, old)))
    }

    fn recent_at(&self, number: u64) -> Option<&Arc<Recent>> {
        let index = number.checked_sub(self.shelf.flushed().number + 1)?;
        self.recent.get(usize::try_from(index).ok()?)
    }

    fn load(&self, stored: StoredBlock) -> Result<Option<Arc<ExecutedBlock>>, ChainError> {
        let Some(receipts) = self.shelf.receipts(&stored)? else { return Ok(None) };
        let signer = self.rules.author(stored.block.header())?;
        let StoredBlock { block, total_difficulty, .. } = stored;
        Ok(Some(Arc::new(ExecutedBlock { block, receipts, total_difficulty, signer })))
    }
}

impl Ancestry for View {
    fn sealed(&self, hash: B256) -> Result<Option<(SealedHeader, Address)>, ChainError> {
        let found = self.block_by_hash(hash)?;
        Ok(found.map(|executed| (executed.block.clone_sealed_header(), executed.signer)))
    }

    fn stored_snapshot(&self, hash: B256) -> Result<Option<Snapshot>, ChainError> {
        self.shelf.snapshot(hash)
    }
}

/// What the writer and all readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) genesis_hash: B256,
    pub(crate) snapshots: Snapshots,
    pub(crate) trie: Arc<Mutex<StateTrie>>,
    view: RwLock<Arc<View>>,
}

impl Shared {
    pub(crate) fn new(
        spec: Arc<ChainSpec>,
        genesis_hash: B256,
        snapshots: Snapshots,
        trie: StateTrie,
        view: View,
    ) -> Self {
        let (trie, view) = (Arc::new(Mutex::new(trie)), RwLock::new(Arc::new(view)));
        Self { spec, genesis_hash, snapshots, trie, view }
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publish(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }
}

/// Cheap to clone, usable from any thread; each call sees one consistent picture of the chain.
#[derive(Debug, Clone)]
pub struct ChainReader(pub(crate) Arc<Shared>);

impl ChainReader {
    /// The rules of the network.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.0.spec
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.0.genesis_hash
    }

    /// The newest canonical block.
    pub fn head(&self) -> Arc<ExecutedBlock> {
        self.0.view().head().clone()
    }

    /// A block that was run, canonical or not.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn block_by_hash(&self, hash: B256) -> Result<Option<Arc<ExecutedBlock>>, ChainError> {
        self.0.view().block_by_hash(hash)
    }

    /// A canonical block.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn block_by_number(&self, number: u64) -> Result<Option<Arc<ExecutedBlock>>, ChainError> {
        self.0.view().block_by_number(number)
    }

    /// The header of a block that was run.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn header_by_hash(&self, hash: B256) -> Result<Option<SealedHeader>, ChainError> {
        Ok(self.block_by_hash(hash)?.map(|executed| executed.block.clone_sealed_header()))
    }

    /// The header of a canonical block.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn header_by_number(&self, number: u64) -> Result<Option<SealedHeader>, ChainError> {
        Ok(self.block_by_number(number)?.map(|executed| executed.block.clone_sealed_header()))
    }

    /// Hash of canonical block `number`; `None` above the head.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn canonical_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        self.0.view().canonical_hash(number)
    }

    /// The canonical block with a transaction, and its index there.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn transaction(
        &self,
        hash: B256,
    ) -> Result<Option<(Arc<ExecutedBlock>, usize)>, ChainError> {
        self.0.view().transaction(hash)
    }

    /// The Clique snapshot after a block that was run.
    ///
    /// # Errors
    /// [`crate::clique::CliqueError::UnknownAncestor`] if the block is not known; what the store says if it fails.
    pub fn snapshot(&self, hash: B256) -> Result<Arc<Snapshot>, ChainError> {
        self.0.snapshots.after(hash, &*self.0.view())
    }

    /// The state after a canonical block, however old.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] if the block is not canonical; what the store says if it fails.
    pub fn state(&self, block_hash: B256) -> Result<StateAt, ChainError> {
        let view = self.0.view();
        let executed = canonical(&view, block_hash)?;
        Ok(view.state_at(executed.number()))
    }

    /// The state after the head.
    pub fn head_state(&self) -> StateAt {
        self.0.view().state()
    }

    /// Runs a call on the state after a canonical block.
    ///
    /// # Errors
    /// [`ChainError::CallRefused`] with geth's text if the call cannot start; [`ChainError::UnknownBlock`]; what the
    /// store says if it fails.
    pub fn call(
        &self,
        block_hash: B256,
        request: &CallRequest,
        overrides: &StateOverrides,
        block_overrides: &BlockOverrides,
    ) -> Result<CallOutcome, ChainError> {
        let view = self.0.view();
        let executed = canonical(&view, block_hash)?;
        let state = view.state_at(executed.number());
        let header = executed.block.header();
        call(&self.0.spec, state, header, executed.signer, request, overrides, block_overrides)
    }

    /// Proves an account and slots under the state root of one of the last 1,024 blocks (EIP-1186).
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] if the block is not canonical, or the chain does not keep still;
    /// [`ChainError::ProofWindow`] if it lies too far back; what the store says if it fails.
    pub fn proof(
        &self,
        block_hash: B256,
        address: Address,
        slots: &[U256],
    ) -> Result<AccountProof, ChainError> {
        for _ in 0..PROOF_ATTEMPTS {
            let view = self.0.view();
            let executed = canonical(&view, block_hash)?;
            let number = executed.number();
            if view.head().number() - number > MAX_BLOCKS {
                return Err(ChainError::ProofWindow);
            }
            let root = executed.block.header().state_root;
            if let Some(nodes) = self.account_nodes(number, root, address)? {
                return prove(nodes, &view.state_at(number), address, slots);
            }
        }
        Err(ChainError::UnknownBlock { block: block_hash.to_string() })
    }

    /// The nodes that prove an account under `root`, that of block `number`; none if a reorganisation came between.
    fn account_nodes(
        &self,
        number: u64,
        root: B256,
        address: Address,
    ) -> Result<Option<Nodes>, ChainError> {
        let (mut scratch, mut reached) = (Scratch::new(address), number);
        for index in 0..16 {
            let copied = loop {
                let view = self.0.view();
                while reached < view.head().number() {
                    reached += 1;
                    view.take_back(reached, &mut scratch)?;
                }
                let trie = self.0.trie.lock().unwrap_or_else(PoisonError::into_inner);
                if self.0.view().head().hash() == view.head().hash() {
                    break scratch.copy(index, &trie);
                }
            };
            scratch.settle(index, copied);
        }
        Ok((scratch.root() == root).then(|| scratch.nodes()))
    }
}

fn canonical(view: &View, hash: B256) -> Result<Arc<ExecutedBlock>, ChainError> {
    let unknown = || ChainError::UnknownBlock { block: hash.to_string() };
    let executed = view.block_by_hash(hash)?.ok_or_else(unknown)?;
    if !view.is_canonical(executed.number(), hash)? {
        return Err(unknown());
    }
    Ok(executed)
}
