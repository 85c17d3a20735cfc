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
    store::schema::BlockRow,
};

impl Blockchain {
    /// Makes a stored block head, running what was not run yet. On an error the old head stands.
    pub(super) fn adopt(&mut self, tip: B256) -> Result<HeadChange, ChainError> {
        let mut old = self.view();
        let (mut path, mut ancestor) = self.path_to(tip, &old)?;
        if self.flush_in_progress().is_some_and(|target| target > ancestor.number()) {
            // What it writes is about to be taken back, so it has to be whole first.
            self.wait_for_flush()?;
            old = self.view();
            (path, ancestor) = self.path_to(tip, &old)?;
        }
        let oldest = old.shelf().oldest_state();
        if ancestor.number() < oldest {
            return Err(ChainError::HistoryPruned { number: ancestor.number(), oldest });
        }
        let removed = self.step_back(&old, &ancestor)?;
        let added = self.step_forth(&path, &old, &ancestor)?;
        Ok(HeadChange { removed, added })
    }

    /// Runs the new branch from `ancestor`, where trie and tables stand; goes back to the old one if it does not hold.
    fn step_forth(
        &mut self,
        path: &[B256],
        old: &Arc<View>,
        ancestor: &ExecutedBlock,
    ) -> Result<Vec<Arc<ExecutedBlock>>, ChainError> {
        let mut view = self.view_at(old, ancestor).inspect_err(|error| self.stop(error))?;
        let mut added = Vec::with_capacity(path.len());
        for &hash in path {
            match self.run(hash, &view) {
                Ok(recent) => {
                    added.push(recent.executed.clone());
                    view.push(recent);
                }
                Err(error) => {
                    self.return_to(old, view, ancestor).inspect_err(|error| self.stop(error))?;
                    self.remember_bad(hash, &error, None);
                    return Err(error);
                }
            }
        }
        let head = view.head().clone();
        let header = head.block.sealed_header();
        let key = self.key_of(header, head.total_difficulty, head.signer);
        self.head_key = key.inspect_err(|error| self.stop(error))?;
        let trie = lock(&self.shared.trie);
        self.shared.publish(view);
        drop(trie);
        Ok(added)
    }

    /// The view that has `ancestor` as head, over the tables as they are after [`Self::step_back`].
    fn view_at(&self, old: &View, ancestor: &ExecutedBlock) -> Result<View, ChainError> {
        let mut view = old.clone();
        if self.store.flushed() != old.shelf().flushed() {
            view = old.unwound(self.store.shelf(self.shared.snapshots.config())?)?;
        }
        while view.head().hash() != ancestor.hash() {
            let parent = self.parent_of(view.head(), old)?;
            view.pop(parent);
        }
        Ok(view)
    }

    /// After this nothing changes any more: what is in memory fits neither head.
    fn stop(&mut self, error: &ChainError) {
        tracing::error!(%error, "the ledger stopped in the middle of a change of head");
        self.stopped = Some(error.to_string());
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
            if view.is_canonical(found.number(), at)? {
                let executed = view.block_by_hash(at)?.ok_or(CliqueError::UnknownAncestor)?;
                path.reverse();
                return Ok((path, executed));
            }
            path.push(at);
            at = found.block().header().parent_hash;
        }
    }

    /// Brings a flushed block of a losing branch back into the tree.
    pub(super) fn fetch_into_tree(&mut self, hash: B256, view: &View) -> Result<(), ChainError> {
        let Some(stored) = view.shelf().block(hash)? else { return Ok(()) };
        if view.is_canonical(stored.block.header().number, hash)? {
            return Ok(());
        }
        self.tree.insert(hash, TreeBlock::stored(stored, view.rules())?);
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
                let (hash, found) = (stored.block.hash(), TreeBlock::stored(stored, view.rules())?);
                self.tree.entry(hash).or_insert(found);
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
        if let Some(recent) = found.recent().cloned() {
            let root = recent.executed.block.header().state_root;
            self.trie().accept(&recent.layer.changes, root);
            return Ok(recent);
        }
        let (known, signer, row) = (found.known(), found.signer, found.row);
        let block = known.block();
        self.check_not_bad(hash, block.header().parent_hash)?;
        let trie = self.shared.trie.clone();
        let (rules, spec) = (view.rules(), &self.shared.spec);
        let executed = execute_under(rules, spec, block, signer, view.state(), trie)?;
        let receipts = match row.receipts {
            Some(position) => position,
            None => self.store.append_receipts(hash, &executed.receipts)?,
        };
        let recent = recent_block(block.clone(), signer, row.total_difficulty, executed);
        self.trie().accept(&recent.layer.changes, block.header().state_root);
        let row = BlockRow { receipts: Some(receipts), ..row };
        self.tree.insert(hash, TreeBlock::run(recent.clone(), row));
        Ok(recent)
    }

    /// Goes back from a failed branch to the old head.
    fn return_to(
        &mut self,
        old: &View,
        mut view: View,
        ancestor: &ExecutedBlock,
    ) -> Result<(), ChainError> {
        for recent in view.recent().iter().rev() {
            if recent.executed.number() > ancestor.number() {
                self.trie().undo(&recent.layer.changes);
            }
        }
        while view.head().hash() != ancestor.hash() {
            let parent = self.parent_of(view.head(), &view)?;
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
