//! Blocks that no flush has written yet, of all branches.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::{Address, B256, U256};

use crate::{
    block::{Block, RecoveredBlock, SealedHeader},
    clique::Snapshot,
    error::ChainError,
    reader::{KnownBlock, Recent, SideBlock, View},
    replay::{Ancestors, Rules},
    store::{StoredBlock, schema::BlockRow, snapshots::Ancestry},
};

/// A block above the flushed one, or of a branch below it.
#[derive(Debug)]
pub(super) struct TreeBlock {
    held: Held,
    pub(super) signer: Address,
    pub(super) row: BlockRow,
}

#[derive(Debug, Clone)]
enum Held {
    Side(Arc<SideBlock>),
    Run(Arc<Recent>),
}

impl TreeBlock {
    pub(super) fn side(block: RecoveredBlock, signer: Address, row: BlockRow) -> Self {
        let total_difficulty = row.total_difficulty;
        let side = SideBlock { block, total_difficulty, signer };
        Self { held: Held::Side(Arc::new(side)), signer, row }
    }

    pub(super) fn run(recent: Arc<Recent>, row: BlockRow) -> Self {
        let signer = recent.executed.signer;
        Self { held: Held::Run(recent), signer, row }
    }

    /// A block that the tables gave back.
    pub(super) fn stored(stored: StoredBlock, rules: &Rules) -> Result<Self, ChainError> {
        let signer = rules.author(stored.block.header())?;
        Ok(Self::side(stored.block, signer, stored.row))
    }

    pub(super) fn block(&self) -> &RecoveredBlock {
        match &self.held {
            Held::Side(side) => &side.block,
            Held::Run(recent) => &recent.executed.block,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.block().header().number
    }

    /// What running it left behind, if it was run.
    pub(super) const fn recent(&self) -> Option<&Arc<Recent>> {
        match &self.held {
            Held::Side(_) => None,
            Held::Run(recent) => Some(recent),
        }
    }

    pub(super) fn known(&self) -> KnownBlock {
        match &self.held {
            Held::Side(side) => KnownBlock::Side(side.clone()),
            Held::Run(recent) => KnownBlock::Executed(recent.executed.clone()),
        }
    }
}

/// Blocks of all branches, for snapshots.
pub(super) struct TreeAncestry<'a> {
    pub(super) tree: &'a HashMap<B256, TreeBlock>,
    pub(super) view: Arc<View>,
}

impl Ancestry for TreeAncestry<'_> {
    fn sealed(&self, hash: B256) -> Result<Option<(SealedHeader, Address)>, ChainError> {
        match self.tree.get(&hash) {
            Some(found) => Ok(Some((found.block().clone_sealed_header(), found.signer))),
            None => self.view.sealed(hash),
        }
    }

    fn stored_snapshot(&self, hash: B256) -> Result<Option<Snapshot>, ChainError> {
        self.view.stored_snapshot(hash)
    }
}

impl Ancestors for TreeAncestry<'_> {
    fn block(&self, hash: B256) -> Result<Option<(Block, U256)>, ChainError> {
        if let Some(found) = self.tree.get(&hash) {
            return Ok(Some((found.block().clone_block(), found.row.total_difficulty)));
        }
        let found = self.view.known_block(hash)?;
        Ok(found.map(|found| (found.block().clone_block(), found.total_difficulty())))
    }
}
