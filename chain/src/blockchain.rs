//! [`Blockchain`], the one writer: verify → execute → compare → append → choose head → tell.
//!
//! A block that extends the head is run before it is stored. Any other one is stored unexecuted and runs when its branch
//! is about to win: the blocks of the old branch are taken back by their diffs, the new ones run, and only then do
//! readers see anything. If one of them fails it is remembered as bad and the old branch stands again.
//!
//! What an import returns is on disk. Tables follow by batches ([`Blockchain::flush`]), some blocks behind the head and
//! beside the writer, and a start runs the blocks of the log again that they lack.

mod flusher;
mod own_key;
mod rebuild;
mod reorg;
mod start;
#[cfg(test)]
mod tests;
mod tree;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, B256, U256};

use crate::{
    block::{Block, BlockBody, Header, RecoveredBlock, SealedHeader},
    clique::{CliqueError, seal, verify::verify_header},
    error::ChainError,
    executor::{
        Executed,
        build::{BuiltBlock, OpenBlock},
        execute_under,
    },
    fork_choice::HeadKey,
    reader::{ChainReader, Recent, Shared, View},
    replay::Rules,
    spec::ChainSpec,
    state::{Layer, root::StateTrie},
    store::{BadBlocks, Store, schema::SealFrame, snapshots::Ancestry as _},
    validate::validate_body,
};

pub use self::start::OpenOptions;
use self::{
    flusher::Flusher,
    tree::{TreeAncestry, TreeBlock},
};
pub use crate::{
    reader::{ExecutedBlock, KnownBlock},
    store::Storage,
};

/// Least number of blocks whose diffs stay: the depth to which a reorganisation and the past are always possible.
pub const MIN_HISTORY_BLOCKS: u64 = 4_096;

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

/// The chain and its state, with the exclusive right to change them.
#[derive(Debug)]
pub struct Blockchain {
    shared: Arc<Shared>,
    store: Store,
    flusher: Flusher,
    tree: HashMap<B256, TreeBlock>,
    bad: Arc<BadBlocks>,
    head_key: HeadKey,
    /// Blocks whose diffs stay; `None` keeps all.
    history: Option<u64>,
    /// Why nothing may change any more.
    stopped: Option<String>,
    /// Own blocks run a second time before they are stored.
    reexecutes: bool,
    own_key: Option<own_key::OwnKey>,
}

impl Blockchain {
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
    /// parent; [`ChainError::KeyInUse`]; [`ChainError::WrongSigner`]; a broken rule, if the caller prepared the header wrongly; what `sign` or the
    /// store says.
    pub fn seal_and_import(
        &mut self,
        built: BuiltBlock,
        sign: impl FnOnce(B256) -> Result<[u8; 65], ChainError>,
        now_ms: u64,
    ) -> Result<HeadChange, ChainError> {
        self.check_can_change()?;
        self.flush_if_due(now_ms)?;
        let BuiltBlock { mut header, signer: want, transactions, senders, executed } = built;
        check_parent(&header, &self.view())?;
        self.check_own_key(want)?;
        let (number, parent_hash) = (header.number, header.parent_hash);
        if self.has_sealed_on(want, number, parent_hash)? {
            return self.finish_seal(want, number, parent_hash);
        }
        let seal_hash = seal::seal_hash(&header);
        seal::attach_seal(&mut header, sign(seal_hash)?)?;
        let body = BlockBody { transactions, ..BlockBody::default() };
        let block = RecoveredBlock::new_unhashed(Block { header, body }, senders);
        // The body's root is the one that closing the block computed.
        let got = self.verify_sealed(block.sealed_header(), now_ms)?;
        if got != want {
            return Err(ChainError::WrongSigner { want, got });
        }
        if self.reexecutes {
            validate_body(&self.shared.spec, block.header(), block.body())?;
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
            return self.import_known(hash);
        }
        self.check_can_change()?;
        self.check_not_bad(hash, block.header().parent_hash)?;
        self.flush_if_due(now_ms)?;
        let signer = self.verify(&block, now_ms)?;
        self.watch_key(&block, signer)?;
        if block.header().parent_hash == self.view().head().hash() {
            let state = self.view().state();
            let trie = self.shared.trie.clone();
            let (view, spec) = (self.view(), &self.shared.spec);
            let executed = execute_under(view.rules(), spec, &block, signer, state, trie)
                .inspect_err(|error| self.remember_bad(hash, error, Some(&block)))?;
            Ok(Imported::Head(self.extend(block, signer, executed, |_, _| Ok(()))?))
        } else {
            self.import_aside(block, signer)
        }
    }

    /// Makes a canonical block head again. What stood above it stays known: a block of it that comes once more takes its
    /// place back, and so it does at a start, if no heavier branch has come meanwhile.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] above the head; [`ChainError::HistoryPruned`] if it lies too far back; what the store
    /// says if it fails.
    pub fn set_head(&mut self, number: u64) -> Result<HeadChange, ChainError> {
        self.check_can_change()?;
        let hash = self.view().canonical_hash(number)?;
        let hash = hash.ok_or_else(|| ChainError::UnknownBlock { block: number.to_string() })?;
        self.adopt(hash)
    }

    /// Keeps the diffs of the last `blocks` blocks, or all (`None`), from the next flush on. Older states cannot be read
    /// then, and no reorganisation goes below.
    ///
    /// # Errors
    /// [`ChainError::HistoryTooShort`] below [`MIN_HISTORY_BLOCKS`].
    pub const fn keep_history(&mut self, blocks: Option<u64>) -> Result<(), ChainError> {
        if let Some(have) = blocks
            && have < MIN_HISTORY_BLOCKS
        {
            return Err(ChainError::HistoryTooShort { have, least: MIN_HISTORY_BLOCKS });
        }
        self.history = blocks;
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
    fn has_sealed_on(
        &self,
        signer: Address,
        number: u64,
        parent: B256,
    ) -> Result<bool, ChainError> {
        #[cfg(test)]
        if crate::planted::is(crate::planted::Bug::OneSealPerHeight)
            && self.store.journal.has_sealed_number(signer, number)
        {
            return Ok(true);
        }
        let is_ours = |found: &TreeBlock| {
            found.signer == signer && found.block().header().parent_hash == parent
        };
        if self.store.journal.sealed_on(signer, number, parent).is_some()
            || self.tree.values().any(is_ours)
        {
            return Ok(true);
        }
        for stored in self.view().shelf().blocks_at(number)? {
            let header = stored.block.header();
            if header.parent_hash == parent && seal::recover_signer(header)? == signer {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Announces a block of ours on the head that reached the log, but not the journal, because the disk was full. If the
    /// journal names a seal on this parent, there is nothing to finish.
    fn finish_seal(
        &mut self,
        signer: Address,
        number: u64,
        parent_hash: B256,
    ) -> Result<HeadChange, ChainError> {
        let is_ours = |found: &&TreeBlock| {
            found.signer == signer && found.block().header().parent_hash == parent_hash
        };
        let found = self.tree.values().find(is_ours).map(TreeBlock::block);
        let Some(block) =
            found.filter(|_| self.store.journal.sealed_on(signer, number, parent_hash).is_none())
        else {
            return Err(ChainError::AlreadySealed { signer, parent: parent_hash });
        };
        let (seal_hash, block_hash) = (seal::seal_hash(block.header()), block.hash());
        let frame = SealFrame { signer, parent_hash, number, seal_hash, block_hash };
        self.store.journal.record(frame)?;
        self.adopt(block_hash)
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

    fn check_can_change(&self) -> Result<(), ChainError> {
        match &self.stopped {
            Some(reason) => Err(ChainError::Stopped { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn check_not_bad(&self, hash: B256, parent: B256) -> Result<(), ChainError> {
        for hash in [hash, parent] {
            if let Some(reason) = self.bad.reason(hash) {
                return Err(ChainError::KnownBad { hash, reason: reason.to_owned() });
            }
        }
        Ok(())
    }

    /// All rules that need no execution. Keeps the snapshot after the block.
    fn verify(&self, block: &RecoveredBlock, now_ms: u64) -> Result<Address, ChainError> {
        let ancestry = self.ancestry();
        if let Rules::Replay(rules) = ancestry.view.rules() {
            rules.verify(&self.shared.spec, &block.clone_block(), &ancestry)?;
            return Ok(block.header().beneficiary);
        }
        let signer = self.verify_sealed(block.sealed_header(), now_ms)?;
        validate_body(&self.shared.spec, block.header(), block.body())?;
        Ok(signer)
    }

    /// All rules of the header.
    fn verify_sealed(&self, header: &SealedHeader, now_ms: u64) -> Result<Address, ChainError> {
        let spec = &self.shared.spec;
        let ancestry = self.ancestry();
        let (parent, _) =
            ancestry.sealed(header.parent_hash)?.ok_or(CliqueError::UnknownAncestor)?;
        let snapshot = self.shared.snapshots.after(header.parent_hash, &ancestry)?;
        let signer = verify_header(spec, header, &parent, &snapshot, now_ms)?;
        if let Some(terminal) = spec.terminal_total_difficulty
            && self.total_difficulty(header.parent_hash)? >= terminal
        {
            return Err(ChainError::LeftClique);
        }
        self.shared.snapshots.put(Arc::new(snapshot.apply(header, signer)?));
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
        let found = self.view().total_difficulty(hash)?;
        found.ok_or(CliqueError::UnknownAncestor.into())
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
        if let Err(error) = before_visible(&mut self.store, block.hash()) {
            // It is in the log, so no other one may be sealed on this parent: `finish_seal` goes on with it.
            self.tree.insert(block.hash(), TreeBlock::side(block, signer, row));
            return Err(error);
        }
        let recent = recent_block(block, signer, total_difficulty, executed);
        let mut view = (*self.view()).clone();
        view.push(recent.clone());
        self.tree.insert(recent.executed.hash(), TreeBlock::run(recent.clone(), row));
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
        let found = TreeBlock::side(block, signer, row);
        let mut view = (*self.view()).clone();
        view.put_aside(hash, found.known());
        self.tree.insert(hash, found);
        self.shared.publish(view);
        let old = self.view();
        if !self.is_better(&header, total_difficulty, signer)? {
            if old.rules().runs_side_blocks() {
                self.adopt(hash)?;
                self.adopt(old.head().hash())?;
            }
            return Ok(Imported::Side);
        }
        match self.adopt(hash) {
            Ok(change) => Ok(Imported::Head(change)),
            Err(error @ ChainError::HistoryPruned { .. }) => {
                tracing::error!(%hash, %error, "a better branch leaves the chain too far back");
                Ok(Imported::Side)
            }
            Err(error) => Err(error),
        }
    }

    /// A block that is stored already. If the disk failed when it came, it may be better than the head and wait to be run.
    fn import_known(&mut self, hash: B256) -> Result<Imported, ChainError> {
        let view = self.view();
        if !self.tree.contains_key(&hash)
            && let Some(number) = view.shelf().number_of(hash)?
            && !view.is_canonical(number, hash)?
        {
            self.fetch_into_tree(hash, &view)?;
        }
        let found = self.tree.get(&hash);
        // one that was run stands on the chain, unless the head was set back below it
        let waiting = match found {
            Some(found) if view.is_canonical(found.number(), hash)? => None,
            found => found,
        };
        let Some((header, row, signer)) =
            waiting.map(|found| (found.block().clone_sealed_header(), found.row, found.signer))
        else {
            return Ok(Imported::Known);
        };
        if self.check_not_bad(hash, header.parent_hash).is_err()
            || !self.is_better(&header, row.total_difficulty, signer)?
        {
            return Ok(Imported::Known);
        }
        self.check_can_change()?;
        match self.adopt(hash) {
            Ok(change) => Ok(Imported::Head(change)),
            Err(ChainError::HistoryPruned { .. }) => Ok(Imported::Known),
            Err(error) => Err(error),
        }
    }

    /// True if this block is to be head in place of the present one.
    fn is_better(
        &self,
        header: &SealedHeader,
        total_difficulty: U256,
        signer: Address,
    ) -> Result<bool, ChainError> {
        let key = self.key_of(header, total_difficulty, signer)?;
        let stays = !self.view().rules().prefers(&key, header, &self.head_key);
        #[cfg(test)]
        let stays = self.planted_tie(&key).unwrap_or(stays);
        Ok(!stays)
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

    /// Remembers that a block broke a rule; faults of our own are not the block's. `block` is given if the log lacks it.
    fn remember_bad(&mut self, hash: B256, error: &ChainError, block: Option<&RecoveredBlock>) {
        if !error.is_bad_block() || self.bad.reason(hash).is_some() {
            return;
        }
        let reason = error.to_string();
        tracing::warn!(%hash, reason, "bad block");
        match self.store.append_bad(hash, reason.clone(), block) {
            Ok(position) => {
                Arc::make_mut(&mut self.bad).insert(hash, reason, position);
                let mut view = (*self.view()).clone();
                view.set_bad(self.bad.clone());
                self.shared.publish(view);
            }
            Err(error) => tracing::error!(%hash, %error, "a bad block is not recorded"),
        }
    }

    fn ancestry(&self) -> TreeAncestry<'_> {
        TreeAncestry { tree: &self.tree, view: self.view() }
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
