//! Reorganisation: from the head to another branch's tip, or back if that branch does not hold.
//!
//! ```text
//!   ancestor ── a1 ── a2 ── a3            old branch: taken back by its changes, newest first
//!           └── b1 ── b2 ── b3 ── b4      new branch: run, oldest first; blocks run before are just applied
//! ```
//!
//! Readers keep the old view until the new head is complete. Below the flushed block the tables are unwound first.

use std::sync::Arc;

use alloy_primitives::B256;

use super::{Blockchain, ExecutedBlock, HeadChange, TreeBlock, lock, recent_block};
use crate::{
    clique::CliqueError,
    error::ChainError,
    executor::execute_under,
    reader::{Recent, View},
    state::Changes,
};

impl Blockchain {
    /// Makes a stored block head, running what was not run yet. On an error the old head stands.
    pub(super) fn adopt(&mut self, tip: B256) -> Result<HeadChange, ChainError> {
        let old = self.view();
        let (path, ancestor) = self.path_to(tip, &old)?;
        let removed = self.step_back(&old, &ancestor)?;
        let mut view = (*self.view_after_unwinding(&old)?).clone();
        while view.head().hash() != ancestor.hash() {
            let parent = self.parent_of(view.head(), &old)?;
            view.pop(parent);
        }
        let mut added = Vec::with_capacity(path.len());
        for &hash in &path {
            match self.run(hash, &view) {
                Ok(recent) => {
                    added.push(recent.executed.clone());
                    view.push(recent);
                }
                Err(error) => {
                    self.return_to(&old, &view, &ancestor)?;
                    self.remember_bad(hash, &error);
                    return Err(error);
                }
            }
        }
        let head = view.head().clone();
        self.head_key =
            self.key_of(&head.block.clone_sealed_header(), head.total_difficulty, head.signer)?;
        let trie = lock(&self.shared.trie);
        self.shared.publish(view);
        drop(trie);
        Ok(HeadChange { removed, added })
    }

    /// The blocks from the canonical chain to `tip`, ascending, and the canonical block they start from.
    fn path_to(
        &mut self,
        tip: B256,
        view: &View,
    ) -> Result<(Vec<B256>, Arc<ExecutedBlock>), ChainError> {
        let (mut path, mut at) = (Vec::new(), tip);
        loop {
            if !self.tree.contains_key(&at) {
                self.fetch_into_tree(at, view)?;
            }
            let Some(found) = self.tree.get(&at) else {
                let executed = view.block_by_hash(at)?.ok_or(CliqueError::UnknownAncestor)?;
                path.reverse();
                return Ok((path, executed));
            };
            if view.is_canonical(found.block.header().number, at)? {
                let executed = view.block_by_hash(at)?.ok_or(CliqueError::UnknownAncestor)?;
                path.reverse();
                return Ok((path, executed));
            }
            path.push(at);
            at = found.block.header().parent_hash;
        }
    }

    /// Brings a flushed block of a losing branch back into the tree.
    fn fetch_into_tree(&mut self, hash: B256, view: &View) -> Result<(), ChainError> {
        let Some(stored) = view.shelf().block(hash)? else { return Ok(()) };
        if view.is_canonical(stored.block.header().number, hash)? {
            return Ok(());
        }
        let signer = view.rules().author(stored.block.header())?;
        let (block, row) = (Arc::new(stored.block), stored.row);
        self.tree.insert(hash, TreeBlock { block, signer, row, run: None });
        Ok(())
    }

    /// Takes trie and tables back to `ancestor`. Returns the blocks that were taken off, ascending.
    fn step_back(
        &mut self,
        view: &View,
        ancestor: &ExecutedBlock,
    ) -> Result<Vec<Arc<ExecutedBlock>>, ChainError> {
        let mut removed = Vec::new();
        for number in ancestor.number() + 1..=view.head().number() {
            let block = view.block_by_number(number)?.ok_or(CliqueError::UnknownAncestor)?;
            removed.push(block);
        }
        let mut undo: Vec<Changes> = Vec::new();
        for number in ancestor.number() + 1..=self.store.flushed().number {
            undo.push(Changes::from(&*view.shelf().diff(number)?));
        }
        if !undo.is_empty() {
            for stored in self.store.unwind(ancestor.block.header(), view.shelf())? {
                let signer = view.rules().author(stored.block.header())?;
                let (hash, block, row) = (stored.block.hash(), stored.block, stored.row);
                let block = Arc::new(block);
                self.tree.entry(hash).or_insert(TreeBlock { block, signer, row, run: None });
            }
        }
        let mut trie = self.trie();
        for recent in view.recent().iter().rev() {
            if recent.executed.number() > ancestor.number() {
                trie.undo(&recent.layer.changes);
            }
        }
        for changes in undo.iter().rev() {
            trie.undo(changes);
        }
        Ok(removed)
    }

    /// The old view, over the tables as they are after [`Self::step_back`].
    fn view_after_unwinding(&self, old: &Arc<View>) -> Result<Arc<View>, ChainError> {
        let flushed = self.store.flushed();
        if flushed == old.shelf().flushed() {
            return Ok(old.clone());
        }
        let genesis = old.block_by_number(0)?.ok_or(CliqueError::UnknownAncestor)?;
        let shelf = self.store.shelf(self.shared.snapshots.config())?;
        Ok(Arc::new(View::flushed(genesis, shelf, old.rules().clone())?))
    }

    fn parent_of(
        &self,
        executed: &ExecutedBlock,
        old: &View,
    ) -> Result<Arc<ExecutedBlock>, ChainError> {
        let parent = executed.block.header().parent_hash;
        old.block_by_hash(parent)?.ok_or(CliqueError::UnknownAncestor.into())
    }

    /// Runs a stored block on top of `view`, whose head is its parent; the trie moves along.
    fn run(&mut self, hash: B256, view: &View) -> Result<Arc<Recent>, ChainError> {
        let found = self.tree.get(&hash).ok_or(CliqueError::UnknownAncestor)?;
        if let Some(recent) = found.run.clone() {
            let root = recent.executed.block.header().state_root;
            self.trie().accept(&recent.layer.changes, root);
            return Ok(recent);
        }
        let (block, signer, row) = (found.block.clone(), found.signer, found.row);
        self.check_not_bad(hash, block.header().parent_hash)?;
        let trie = self.shared.trie.clone();
        let executed = {
            let (rules, spec) = (view.rules(), &self.shared.spec);
            execute_under(rules, spec, &block, signer, view.state(), trie)?
        };
        let receipts = match row.receipts {
            Some(position) => position,
            None => self.store.append_receipts(hash, &executed.receipts)?,
        };
        let recent = recent_block((*block).clone(), signer, row.total_difficulty, executed);
        self.trie().accept(&recent.layer.changes, block.header().state_root);
        if let Some(found) = self.tree.get_mut(&hash) {
            found.row.receipts = Some(receipts);
            found.run = Some(recent.clone());
        }
        Ok(recent)
    }

    /// Goes back from a failed branch to the old head.
    fn return_to(
        &mut self,
        old: &View,
        failed: &View,
        ancestor: &ExecutedBlock,
    ) -> Result<(), ChainError> {
        for recent in failed.recent().iter().rev() {
            if recent.executed.number() > ancestor.number() {
                self.trie().undo(&recent.layer.changes);
            }
        }
        let mut view = failed.clone();
        while view.head().hash() != ancestor.hash() {
            let parent = self.parent_of(view.head(), failed)?;
            view.pop(parent);
        }
        for number in ancestor.number() + 1..=old.head().number() {
            let hash = old.canonical_hash(number)?.ok_or(CliqueError::UnknownAncestor)?;
            let recent = self.run(hash, &view)?;
            view.push(recent);
        }
        let trie = lock(&self.shared.trie);
        self.shared.publish(view);
        drop(trie);
        Ok(())
    }
}
