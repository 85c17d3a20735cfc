//! Clique snapshots by block hash: the last ones in memory, the others made again from the nearest stored one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::{Address, B256};

use crate::{
    block::SealedHeader,
    clique::{CliqueError, Snapshot},
    error::ChainError,
    spec::CliqueConfig,
};

/// Snapshots kept in memory, as in geth.
const CACHED_SNAPSHOTS: usize = 128;
/// Every so many blocks one is stored, and at epoch blocks.
pub const STORED_EVERY: u64 = 1_024;

/// Where snapshots are made from.
pub trait Ancestry {
    /// A header and the signer of its seal, `None` if the block is not known.
    ///
    /// # Errors
    /// What the store says if it fails.
    fn sealed(&self, hash: B256) -> Result<Option<(SealedHeader, Address)>, ChainError>;

    /// A snapshot that was stored.
    ///
    /// # Errors
    /// What the store says if it fails.
    fn stored_snapshot(&self, hash: B256) -> Result<Option<Snapshot>, ChainError>;
}

/// The cache, shared by the writer and all readers.
#[derive(Debug)]
pub struct Snapshots {
    config: CliqueConfig,
    cached: Mutex<BTreeMap<(u64, B256), Arc<Snapshot>>>,
    genesis: Arc<Snapshot>,
}

impl Snapshots {
    /// Starts with the snapshot after genesis.
    pub fn new(genesis: Snapshot) -> Self {
        Self { config: genesis.config, cached: Mutex::default(), genesis: Arc::new(genesis) }
    }

    /// Period and epoch.
    pub const fn config(&self) -> CliqueConfig {
        self.config
    }

    /// Keeps a snapshot; the lowest one goes if there are too many.
    pub fn put(&self, snapshot: Arc<Snapshot>) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.insert((snapshot.number, snapshot.hash), snapshot);
        while cached.len() > CACHED_SNAPSHOTS {
            cached.pop_first();
        }
    }

    /// True if a snapshot after block `number` is worth storing; never in a replay, which has no signers.
    pub fn is_stored(&self, number: u64) -> bool {
        !self.genesis.signers.is_empty()
            && (number.is_multiple_of(STORED_EVERY) || number.is_multiple_of(self.config.epoch))
    }

    /// The snapshot after a block, from the cache, the store, or the headers since one of them.
    ///
    /// # Errors
    /// [`CliqueError::UnknownAncestor`] if the block or an ancestor is not known; what the store says if it fails.
    pub fn after(&self, hash: B256, ancestry: &impl Ancestry) -> Result<Arc<Snapshot>, ChainError> {
        let mut pending = Vec::new();
        let mut at = hash;
        let mut snapshot = loop {
            if let Some(found) = self.find(at, pending.last(), ancestry)? {
                break found;
            }
            let (header, signer) = ancestry.sealed(at)?.ok_or(CliqueError::UnknownAncestor)?;
            at = header.parent_hash;
            pending.push((header, signer));
        };
        while let Some((header, signer)) = pending.pop() {
            snapshot = Arc::new(snapshot.apply(&header, signer)?);
            self.put(snapshot.clone());
        }
        Ok(snapshot)
    }

    fn find(
        &self,
        hash: B256,
        child: Option<&(SealedHeader, Address)>,
        ancestry: &impl Ancestry,
    ) -> Result<Option<Arc<Snapshot>>, ChainError> {
        if hash == self.genesis.hash {
            return Ok(Some(self.genesis.clone()));
        }
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match child {
            Some((header, _)) => cached.get(&(header.number.saturating_sub(1), hash)).cloned(),
            None => cached.values().find(|snapshot| snapshot.hash == hash).cloned(),
        };
        drop(cached);
        match found {
            Some(snapshot) => Ok(Some(snapshot)),
            None => Ok(ancestry.stored_snapshot(hash)?.map(Arc::new)),
        }
    }
}
