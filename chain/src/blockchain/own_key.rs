//! The key of this node: what it sealed is never forgotten, and nobody else may use it.
//!
//! The journal is written after the block log, so a crash may leave a block of ours that the journal lacks; and a
//! journal can be lost while the chain is kept. Both are mended when a key is taken into use.

use alloy_primitives::{Address, B256};

use super::Blockchain;
use crate::{
    block::{Header, RecoveredBlock},
    clique::seal::{recover_signer, seal_hash},
    error::ChainError,
    store::schema::SealFrame,
};

/// Blocks below the head that are searched for seals of a key.
const SEARCHED_BLOCKS: u64 = 1_024;
/// Without a journal a key stays silent for a window of periods and this, ms.
const LISTEN_MS: u64 = 10_000;
/// Blocks of this key that come from others and are not later than this after the start were made before it.
const OLD_SEALS_MS: u64 = 10_000;

/// The key that seals here.
#[derive(Debug)]
pub(super) struct OwnKey {
    signer: Address,
    /// A foreign block with our key after this moment shows that somebody else has the key.
    watched_from_ms: u64,
    /// Such a block.
    foreign: Option<B256>,
}

fn frame(header: &Header, block_hash: B256, signer: Address) -> SealFrame {
    let (parent_hash, number) = (header.parent_hash, header.number);
    SealFrame { signer, parent_hash, number, seal_hash: seal_hash(header), block_hash }
}

impl Blockchain {
    /// Takes a key into use. Seals of it among the newest blocks that the journal lacks are added to the journal. Returns
    /// the moment before which it must not seal: now, or after a time of listening if the journal knew nothing of the key
    /// although the chain is past genesis.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn take_key(&mut self, signer: Address, now_ms: u64) -> Result<u64, ChainError> {
        let head = self.view().head().clone();
        let is_lost = head.number() > 0 && !self.store.journal.knows(signer);
        for seal in self.stored_seals(signer)? {
            self.add_seal(seal)?;
        }
        let watched_from_ms = now_ms.saturating_add(OLD_SEALS_MS);
        self.own_key = Some(OwnKey { signer, watched_from_ms, foreign: None });
        if !is_lost {
            return Ok(now_ms);
        }
        let window = self.shared.snapshots.after(head.hash(), &self.ancestry())?.window();
        let period_ms = self.shared.snapshots.config().period_secs.max(1).saturating_mul(1_000);
        Ok(now_ms.saturating_add(window.saturating_mul(period_ms)).saturating_add(LISTEN_MS))
    }

    /// What this key sealed, on any branch, among the newest blocks.
    fn stored_seals(&self, signer: Address) -> Result<Vec<SealFrame>, ChainError> {
        let mut seals = Vec::new();
        for (&hash, found) in &self.tree {
            if found.signer == signer {
                seals.push(frame(found.block().header(), hash, signer));
            }
        }
        let view = self.view();
        let from = view.head().number().saturating_sub(SEARCHED_BLOCKS);
        for stored in view.shelf().blocks_above(from)? {
            if recover_signer(stored.block.header())? == signer {
                seals.push(frame(stored.block.header(), stored.block.hash(), signer));
            }
        }
        Ok(seals)
    }

    fn add_seal(&mut self, seal: SealFrame) -> Result<(), ChainError> {
        #[cfg(test)]
        if crate::planted::is(crate::planted::Bug::JournalNotSynced) {
            return Ok(());
        }
        match self.store.journal.sealed_on(seal.signer, seal.number, seal.parent_hash) {
            Some(_) => Ok(()),
            None => self.store.journal.record(seal),
        }
    }

    /// Looks at a block of somebody else before it is stored: if our key sealed it, we must not seal on its parent again,
    /// and if it is a new one, somebody else has our key.
    pub(super) fn watch_key(
        &mut self,
        block: &RecoveredBlock,
        signer: Address,
    ) -> Result<(), ChainError> {
        let Some(own) = self.own_key.as_ref().filter(|own| own.signer == signer) else {
            return Ok(());
        };
        let (header, watched_from_ms) = (block.header(), own.watched_from_ms);
        let seal = frame(header, block.hash(), signer);
        let is_foreign = match self.store.journal.sealed_on(signer, seal.number, seal.parent_hash) {
            // a second signature over the same header is anybody's, not another process's
            Some(known) => known.seal_hash != seal.seal_hash,
            None => {
                self.store.journal.record(seal)?;
                header.timestamp.saturating_mul(1_000) > watched_from_ms
            }
        };
        if is_foreign && let Some(own) = &mut self.own_key {
            own.foreign.get_or_insert(block.hash());
        }
        Ok(())
    }

    /// Refuses to seal with a key that somebody else uses.
    pub(super) fn check_own_key(&self, signer: Address) -> Result<(), ChainError> {
        let own = self.own_key.as_ref().filter(|own| own.signer == signer);
        match own.and_then(|own| own.foreign) {
            Some(block) => Err(ChainError::KeyInUse { signer, block }),
            None => Ok(()),
        }
    }

    /// What the keys of this node sealed.
    #[cfg(test)]
    pub(crate) const fn journal(&self) -> &crate::store::journal::Journal {
        &self.store.journal
    }
}
