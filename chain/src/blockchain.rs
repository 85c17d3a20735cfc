//! [`Blockchain`], the one writer: verify → execute → compare → append → choose head → tell.
//!
//! A block that extends the head is run before it is stored. Any other one is stored unexecuted and runs when its branch
//! is about to win: the blocks of the old branch are taken back by their diffs, the new ones run, and only then do
//! readers see anything. If one of them fails it is remembered as bad and the old branch stands again.
//!
//! What an import returns is on disk. Tables follow by batches ([`Blockchain::flush`]), some blocks behind the head, and
//! a start runs the blocks of the log again that they lack.

mod reorg;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, B256, U256};

use crate::{
    block::{Block, BlockBody, Header, RecoveredBlock, SealedHeader},
    clique::{CliqueError, Snapshot, seal, verify::verify_header},
    error::ChainError,
    executor::{
        Executed,
        build::{BuiltBlock, OpenBlock},
        execute_under,
    },
    fork_choice::HeadKey,
    genesis::Genesis,
    reader::{ChainReader, Recent, Shared, View},
    replay::{Ancestors, Rules},
    spec::ChainSpec,
    state::{Layer, root::StateTrie},
    store::{
        FlushBlock, LogRecord, Store,
        schema::{BlockRow, SealFrame},
        snapshots::{Ancestry, Snapshots},
    },
    validate::validate_body,
};

pub use crate::{reader::ExecutedBlock, store::Storage};

/// A flush happens when so many blocks wait for one.
const FLUSH_BLOCKS: u64 = 32;
/// Blocks below the head that stay unflushed, so that a usual reorganisation costs no disk.
const UNFLUSHED_BLOCKS: u64 = 16;
/// Bad blocks remembered by hash.
const MAX_BAD_BLOCKS: usize = 1_024;

/// What an import did.
#[derive(Debug)]
pub enum Imported {
    /// The block was there before.
    Known,
    /// It is stored, on a branch that is not the best.
    Side,
    /// It is the new head.
    Head(HeadChange),
}

/// How the head moved; both lists ascend.
#[derive(Debug, Clone)]
pub struct HeadChange {
    /// Blocks that are canonical no more.
    pub removed: Vec<Arc<ExecutedBlock>>,
    /// Blocks that have become canonical; the last one is the head.
    pub added: Vec<Arc<ExecutedBlock>>,
}

/// A block above the flushed one, of any branch.
#[derive(Debug)]
struct TreeBlock {
    block: Arc<RecoveredBlock>,
    signer: Address,
    row: BlockRow,
    /// Set once the block was run.
    run: Option<Arc<Recent>>,
}

/// The chain and its state, with the exclusive right to change them.
#[derive(Debug)]
pub struct Blockchain {
    shared: Arc<Shared>,
    store: Store,
    tree: HashMap<B256, TreeBlock>,
    bad: HashMap<B256, String>,
    head_key: HeadKey,
    reexecutes: bool,
}

impl Blockchain {
    /// Opens a chain, or starts one at its genesis: takes the lock, checks that the state has the root it should have, and
    /// runs the blocks of the log that the tables lack.
    ///
    /// # Errors
    /// [`ChainError::Genesis`] if this is no network that can run; [`ChainError::DatadirInUse`],
    /// [`ChainError::IncompatibleGenesis`], [`ChainError::UnknownFormat`], [`ChainError::Corrupt`], [`ChainError::Io`],
    /// [`ChainError::Db`] by the store.
    pub fn open(genesis: &Genesis, storage: Storage) -> Result<Self, ChainError> {
        Self::open_with(genesis, storage, Rules::Clique)
    }

    /// [`Self::open`] under given rules; what they are stays with the store.
    ///
    /// # Errors
    /// As [`Self::open`]; [`ChainError::OtherEngine`] if the store was made under other rules.
    pub fn open_with(
        genesis: &Genesis,
        storage: Storage,
        rules: Rules,
    ) -> Result<Self, ChainError> {
        if matches!(rules, Rules::Clique) {
            genesis.validate_runnable()?;
        }
        let (mut store, records) = Store::open(&storage, genesis)?;
        store.check_engine(rules.engine())?;
        let spec = Arc::new(genesis.spec.clone());
        let header = genesis.sealed_header();
        let first = rules.genesis_snapshot(&spec, &header)?;
        let config = first.config;
        let snapshots = Snapshots::new(first);
        let block = Block { header: genesis.header.clone(), body: BlockBody::default() };
        let genesis_block = Arc::new(ExecutedBlock {
            block: RecoveredBlock::new(block, Vec::new(), header.hash()),
            receipts: Vec::new(),
            total_difficulty: header.difficulty,
            signer: Address::ZERO,
        });
        let view = View::flushed(genesis_block, store.shelf(config)?, rules)?;
        let trie = StateTrie::rebuild(&view.state(), view.head().block.header().state_root)?;
        let shared = Shared::new(spec, header.hash(), snapshots, trie, view);
        let head_key = HeadKey::new(
            header.difficulty,
            &header,
            Address::ZERO,
            &*shared.snapshots.after(header.hash(), &*shared.view())?,
        );
        let (tree, bad) = (HashMap::new(), HashMap::new());
        let mut chain =
            Self { shared: Arc::new(shared), store, tree, bad, head_key, reexecutes: false };
        let head = chain.view().head().clone();
        chain.head_key =
            chain.key_of(&head.block.clone_sealed_header(), head.total_difficulty, head.signer)?;
        chain.replay(records)?;
        Ok(chain)
    }

    /// The rules of the network.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.shared.spec
    }

    /// Runs own blocks a second time, as a stranger would, before they are stored: a difference between the build and
    /// the rules then refuses the block instead of splitting the network. For debugging: it costs what execution costs.
    pub fn reexecute_own_blocks(&mut self) {
        self.reexecutes = true;
    }

    /// A handle for everybody else.
    pub fn reader(&self) -> ChainReader {
        ChainReader(self.shared.clone())
    }

    /// Opens a block on the head. `header` comes from [`crate::clique::prepare`]; `signer` will seal it and gets the fees.
    ///
    /// # Errors
    /// [`ChainError::StaleBuild`] if the header does not build on the head; what the store says if it fails.
    pub fn open_block(&self, header: Header, signer: Address) -> Result<OpenBlock, ChainError> {
        let view = self.view();
        check_parent(&header, &view)?;
        let trie = self.shared.trie.clone();
        OpenBlock::new(&self.shared.spec, view.state(), header, signer, trie)
    }

    /// Seals a closed block and makes it head without running it again. `sign` gets the seal hash and gives
    /// `r ‖ s ‖ v`, v 0 or 1. Block and journal are on disk when this returns.
    ///
    /// # Errors
    /// [`ChainError::StaleBuild`] if the head moved; [`ChainError::AlreadySealed`] if the key sealed another block on this
    /// parent; [`ChainError::WrongSigner`]; a broken rule, if the caller prepared the header wrongly; what `sign` or the
    /// store says.
    pub fn seal_and_import(
        &mut self,
        built: BuiltBlock,
        sign: impl FnOnce(B256) -> Result<[u8; 65], ChainError>,
        now_ms: u64,
    ) -> Result<HeadChange, ChainError> {
        self.flush_if_due()?;
        let BuiltBlock { mut header, signer: want, transactions, senders, executed } = built;
        check_parent(&header, &self.view())?;
        let (number, parent_hash) = (header.number, header.parent_hash);
        if self.has_sealed_on(want, number, parent_hash) {
            return Err(ChainError::AlreadySealed { signer: want, parent: parent_hash });
        }
        let seal_hash = seal::seal_hash(&header);
        seal::attach_seal(&mut header, sign(seal_hash)?)?;
        let body = BlockBody { transactions, ..BlockBody::default() };
        let block = RecoveredBlock::new_unhashed(Block { header, body }, senders);
        // The body made the header: its roots need no second look.
        let got = self.verify_with(&block, now_ms, |_| Ok(()))?;
        if got != want {
            return Err(ChainError::WrongSigner { want, got });
        }
        if self.reexecutes {
            validate_body(&self.shared.spec, &block.clone_block())?;
            let (view, trie) = (self.view(), self.shared.trie.clone());
            execute_under(view.rules(), &self.shared.spec, &block, got, view.state(), trie)?;
        }
        self.extend(block, got, executed, |store, block_hash| {
            store.journal.record(SealFrame {
                signer: got,
                parent_hash,
                number,
                seal_hash,
                block_hash,
            })
        })
    }

    /// Takes a block of anybody. `now_ms` is the caller's clock.
    ///
    /// # Errors
    /// The rule that the block broke ([`ChainError::is_bad_block`]), or what the store says if it fails; the chain is then
    /// as before.
    pub fn import(&mut self, block: RecoveredBlock, now_ms: u64) -> Result<Imported, ChainError> {
        let hash = block.hash();
        if self.is_known(hash)? {
            return Ok(Imported::Known);
        }
        self.check_not_bad(hash, block.header().parent_hash)?;
        let signer = self.verify(&block, now_ms)?;
        self.flush_if_due()?;
        if block.header().parent_hash == self.view().head().hash() {
            let state = self.view().state();
            let trie = self.shared.trie.clone();
            let (view, spec) = (self.view(), &self.shared.spec);
            let executed = execute_under(view.rules(), spec, &block, signer, state, trie)
                .inspect_err(|error| self.remember_bad(hash, error))?;
            Ok(Imported::Head(self.extend(block, signer, executed, |_, _| Ok(()))?))
        } else {
            self.import_aside(block, signer)
        }
    }

    /// Writes all but the newest blocks into the tables. The writer does so by itself every 32 blocks; a caller with a
    /// clock may do so more often.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn flush(&mut self) -> Result<(), ChainError> {
        let target = self.view().head().number().saturating_sub(UNFLUSHED_BLOCKS);
        if target > self.store.flushed().number {
            self.flush_to(target)?;
        }
        Ok(())
    }

    /// Flushes and lets go of the folder.
    ///
    /// # Errors
    /// What the store says if it fails; nothing is lost then, the next start replays more.
    pub fn close(mut self) -> Result<(), ChainError> {
        self.flush()
    }

    /// The log knows of seals that a crash kept out of the journal.
    fn has_sealed_on(&self, signer: Address, number: u64, parent: B256) -> bool {
        #[cfg(test)]
        if crate::planted::is(crate::planted::Bug::OneSealPerHeight)
            && self.store.journal.has_sealed_number(signer, number)
        {
            return true;
        }
        let is_ours = |found: &TreeBlock| {
            found.signer == signer && found.block.header().parent_hash == parent
        };
        self.store.journal.sealed_on(signer, number, parent).is_some()
            || self.tree.values().any(is_ours)
    }

    fn view(&self) -> Arc<View> {
        self.shared.view()
    }

    fn trie(&self) -> MutexGuard<'_, StateTrie> {
        lock(&self.shared.trie)
    }

    fn is_known(&self, hash: B256) -> Result<bool, ChainError> {
        Ok(self.tree.contains_key(&hash) || self.view().shelf().number_of(hash)?.is_some())
    }

    fn check_not_bad(&self, hash: B256, parent: B256) -> Result<(), ChainError> {
        let found = self.bad.get(&hash).map(|reason| (hash, reason));
        match found.or_else(|| self.bad.get(&parent).map(|reason| (parent, reason))) {
            Some((hash, reason)) => Err(ChainError::KnownBad { hash, reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// All rules that need no execution. Keeps the snapshot after the block.
    fn verify(&self, block: &RecoveredBlock, now_ms: u64) -> Result<Address, ChainError> {
        self.verify_with(block, now_ms, |spec| Ok(validate_body(spec, &block.clone_block())?))
    }

    /// [`Self::verify`] with this look at the body.
    fn verify_with(
        &self,
        block: &RecoveredBlock,
        now_ms: u64,
        validate_body: impl FnOnce(&ChainSpec) -> Result<(), ChainError>,
    ) -> Result<Address, ChainError> {
        let spec = &self.shared.spec;
        let header = block.header();
        let ancestry = self.ancestry();
        if let Rules::Replay(rules) = ancestry.view.rules() {
            rules.verify(spec, &block.clone_block(), &ancestry)?;
            return Ok(header.beneficiary);
        }
        let (parent, _) =
            ancestry.sealed(header.parent_hash)?.ok_or(CliqueError::UnknownAncestor)?;
        let snapshot = self.shared.snapshots.after(header.parent_hash, &ancestry)?;
        let signer = verify_header(spec, header, &parent, &snapshot, now_ms)?;
        validate_body(spec)?;
        if let Some(terminal) = spec.terminal_total_difficulty
            && self.total_difficulty(header.parent_hash)? >= terminal
        {
            return Err(ChainError::LeftClique);
        }
        let after = snapshot.apply(&block.clone_sealed_header(), signer)?;
        self.shared.snapshots.put(Arc::new(after));
        Ok(signer)
    }

    fn key_of(
        &self,
        header: &SealedHeader,
        total_difficulty: U256,
        signer: Address,
    ) -> Result<HeadKey, ChainError> {
        if let Some(key) = self.view().rules().head_key(total_difficulty) {
            return Ok(key);
        }
        let after = self.shared.snapshots.after(header.hash(), &self.ancestry())?;
        Ok(HeadKey::new(total_difficulty, header, signer, &after))
    }

    fn total_difficulty(&self, hash: B256) -> Result<U256, ChainError> {
        if let Some(found) = self.tree.get(&hash) {
            return Ok(found.row.total_difficulty);
        }
        let view = self.view();
        if view.head().hash() == hash {
            return Ok(view.head().total_difficulty);
        }
        if let Some(stored) = view.shelf().block(hash)? {
            return Ok(stored.total_difficulty);
        }
        let found = view.block_by_hash(hash)?;
        found.map(|executed| executed.total_difficulty).ok_or(CliqueError::UnknownAncestor.into())
    }

    /// Stores a block that was run on the head and makes it head. `before_visible` runs when it is on disk.
    fn extend(
        &mut self,
        block: RecoveredBlock,
        signer: Address,
        executed: Executed,
        before_visible: impl FnOnce(&mut Store, B256) -> Result<(), ChainError>,
    ) -> Result<HeadChange, ChainError> {
        let total_difficulty =
            self.total_difficulty(block.header().parent_hash)? + block.header().difficulty;
        let key = self.key_of(&block.clone_sealed_header(), total_difficulty, signer)?;
        let row = self.store.append_block(&block, total_difficulty, Some(&executed.receipts))?;
        before_visible(&mut self.store, block.hash())?;
        let recent = recent_block(block.clone(), signer, total_difficulty, executed);
        let mut view = (*self.view()).clone();
        view.push(recent.clone());
        self.tree.insert(
            block.hash(),
            TreeBlock { block: Arc::new(block), signer, row, run: Some(recent.clone()) },
        );
        self.head_key = key;
        let mut trie = lock(&self.shared.trie);
        trie.accept(&recent.layer.changes, recent.executed.block.header().state_root);
        self.shared.publish(view);
        drop(trie);
        Ok(HeadChange { removed: Vec::new(), added: vec![recent.executed.clone()] })
    }

    /// Stores a block that does not build on the head; switches to it if it is better.
    fn import_aside(
        &mut self,
        block: RecoveredBlock,
        signer: Address,
    ) -> Result<Imported, ChainError> {
        let (hash, header) = (block.hash(), block.clone_sealed_header());
        let total_difficulty = self.total_difficulty(header.parent_hash)? + header.difficulty;
        let row = self.store.append_block(&block, total_difficulty, None)?;
        self.tree.insert(hash, TreeBlock { block: Arc::new(block), signer, row, run: None });
        let key = self.key_of(&header, total_difficulty, signer)?;
        let old = self.view();
        let stays = !old.rules().prefers(&key, &header, &self.head_key);
        #[cfg(test)]
        let stays = self.planted_tie(&key).unwrap_or(stays);
        if !stays {
            return Ok(Imported::Head(self.adopt(hash)?));
        }
        if old.rules().runs_side_blocks() {
            self.adopt(hash)?;
            self.adopt(old.head().hash())?;
        }
        Ok(Imported::Side)
    }

    /// What a planted bug says of a head of equal total difficulty: true to stay.
    #[cfg(test)]
    fn planted_tie(&self, key: &HeadKey) -> Option<bool> {
        use crate::planted::{Bug, coin, planted};
        if key.total_difficulty != self.head_key.total_difficulty {
            return None;
        }
        let head = self.view().head().clone();
        let (signer, number, parent) =
            (head.signer, head.number(), head.block.header().parent_hash);
        match planted()? {
            Bug::NoTieRule => Some(true),
            Bug::CoinToss => Some(coin()),
            Bug::OwnBlockPreferred => {
                self.store.journal.sealed_on(signer, number, parent).map(|_| true)
            }
            _ => None,
        }
    }

    /// Remembers that a block broke a rule; faults of our own are not the block's.
    fn remember_bad(&mut self, hash: B256, error: &ChainError) {
        if !error.is_bad_block() {
            return;
        }
        if self.bad.len() >= MAX_BAD_BLOCKS {
            self.bad.clear();
        }
        tracing::warn!(%hash, %error, "bad block");
        self.bad.insert(hash, error.to_string());
        if let Err(error) = self.store.append_bad(hash, error.to_string()) {
            tracing::error!(%hash, %error, "a bad block is not recorded");
        }
    }

    /// Puts the log's blocks into the tree and goes to the best head among them.
    fn replay(&mut self, records: Vec<LogRecord>) -> Result<(), ChainError> {
        for record in records {
            self.take_record(record)?;
        }
        let mut candidates = BTreeMap::new();
        for (&hash, found) in &self.tree {
            let header = found.block.clone_sealed_header();
            let key = self.key_of(&header, found.row.total_difficulty, found.signer)?;
            candidates.insert(key, hash);
        }
        for (key, hash) in candidates.into_iter().rev() {
            if key <= self.head_key {
                break;
            }
            match self.adopt(hash) {
                Ok(_) => break,
                Err(error) if error.is_bad_block() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take_record(&mut self, record: LogRecord) -> Result<(), ChainError> {
        match record {
            LogRecord::Block(block, total_difficulty, position) => {
                let (hash, parent) = (block.hash(), block.header().parent_hash);
                let is_flushed = self.view().shelf().number_of(hash)?.is_some()
                    && block.header().number <= self.store.flushed().number;
                if is_flushed {
                    return Ok(());
                }
                if !self.is_known(parent)? {
                    return Err(ChainError::Corrupt {
                        place: format!(
                            "block log segment {} at offset {}",
                            position.segment, position.offset
                        ),
                        reason: format!("the parent {parent} of block {hash} is not stored"),
                    });
                }
                let signer = self.view().rules().author(block.header())?;
                let row =
                    BlockRow { total_difficulty, block: position, receipts: None, diff: None };
                let block = Arc::new(*block);
                self.tree.insert(hash, TreeBlock { block, signer, row, run: None });
            }
            LogRecord::Receipts(hash, position) => {
                if let Some(found) = self.tree.get_mut(&hash) {
                    found.row.receipts = Some(position);
                }
            }
            LogRecord::Bad(hash, reason) => {
                self.bad.insert(hash, reason);
            }
        }
        Ok(())
    }

    /// Before a block is taken, so that a store that fails refuses the block instead of hiding a moved head.
    fn flush_if_due(&mut self) -> Result<(), ChainError> {
        let waiting = self.view().head().number().saturating_sub(self.store.flushed().number);
        if waiting >= FLUSH_BLOCKS + UNFLUSHED_BLOCKS { self.flush() } else { Ok(()) }
    }

    fn flush_to(&mut self, target: u64) -> Result<(), ChainError> {
        let view = self.view();
        let mut blocks = Vec::new();
        for recent in view.recent().iter().filter(|recent| recent.executed.number() <= target) {
            let block = &recent.executed.block;
            let Some(found) = self.tree.get(&block.hash()) else { continue };
            blocks.push(FlushBlock { block, row: found.row, layer: Some(&*recent.layer) });
        }
        let canonical: Vec<B256> = blocks.iter().map(|item| item.block.hash()).collect();
        for (hash, found) in &self.tree {
            if found.block.header().number <= target && !canonical.contains(hash) {
                blocks.push(FlushBlock { block: &found.block, row: found.row, layer: None });
            }
        }
        let mut snapshots = Vec::new();
        for item in blocks.iter().filter(|item| item.layer.is_some()) {
            if self.shared.snapshots.is_stored(item.block.header().number) {
                snapshots.push(self.shared.snapshots.after(item.block.hash(), &self.ancestry())?);
            }
        }
        let left = self.tree.values().filter(|found| found.block.header().number > target);
        let log_from = left.map(|found| found.row.block).min();
        self.store.flush(&blocks, &snapshots, log_from)?;
        self.tree.retain(|_, found| found.block.header().number > target);
        let mut next = (*view).clone();
        next.reshelve(self.store.shelf(self.shared.snapshots.config())?);
        self.shared.publish(next);
        Ok(())
    }

    fn ancestry(&self) -> TreeAncestry<'_> {
        TreeAncestry { tree: &self.tree, view: self.view() }
    }
}

/// Blocks of all branches, for snapshots.
struct TreeAncestry<'a> {
    tree: &'a HashMap<B256, TreeBlock>,
    view: Arc<View>,
}

impl Ancestry for TreeAncestry<'_> {
    fn sealed(&self, hash: B256) -> Result<Option<(SealedHeader, Address)>, ChainError> {
        if let Some(found) = self.tree.get(&hash) {
            return Ok(Some((found.block.clone_sealed_header(), found.signer)));
        }
        if let Some(found) = self.view.sealed(hash)? {
            return Ok(Some(found));
        }
        let Some(stored) = self.view.shelf().block(hash)? else { return Ok(None) };
        let signer = self.view.rules().author(stored.block.header())?;
        Ok(Some((stored.block.clone_sealed_header(), signer)))
    }

    fn stored_snapshot(&self, hash: B256) -> Result<Option<Snapshot>, ChainError> {
        self.view.stored_snapshot(hash)
    }
}

impl Ancestors for TreeAncestry<'_> {
    fn block(&self, hash: B256) -> Result<Option<(Block, U256)>, ChainError> {
        if let Some(found) = self.tree.get(&hash) {
            return Ok(Some((found.block.clone_block(), found.row.total_difficulty)));
        }
        if let Some(found) = self.view.block_by_hash(hash)? {
            return Ok(Some((found.block.clone_block(), found.total_difficulty)));
        }
        let stored = self.view.shelf().block(hash)?;
        Ok(stored.map(|stored| (stored.block.clone_block(), stored.total_difficulty)))
    }
}

fn lock(trie: &Mutex<StateTrie>) -> MutexGuard<'_, StateTrie> {
    trie.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_parent(header: &Header, view: &View) -> Result<(), ChainError> {
    let (parent, head) = (header.parent_hash, view.head().hash());
    if parent == head { Ok(()) } else { Err(ChainError::StaleBuild { parent, head }) }
}

fn recent_block(
    block: RecoveredBlock,
    signer: Address,
    total_difficulty: U256,
    executed: Executed,
) -> Arc<Recent> {
    let Executed { receipts, changes, .. } = executed;
    let layer = Layer { number: block.header().number, hash: block.hash(), changes };
    let executed = ExecutedBlock { block, receipts, total_difficulty, signer };
    Arc::new(Recent::new(Arc::new(executed), Arc::new(layer)))
}
