//! Proof that records were there and have not changed: batches of leaves, one root a batch on chain.
//!
//! A record waits until its batch closes, then its leaf stands at a secret position of a padded tree; the root goes to
//! `RecordRegistry` and the batch moves *closed → submitted → anchored*. [`batch`] makes trees, [`proof`] makes leaves and
//! their proofs. Nonces and salts derive from the patient's leaf secret, so erasing the patient unlinks the leaves.
//!
//! Kept per batch: `anchors/<seq>.leaves` (32 bytes a leaf, padding included, since a neighbour's proof must survive an
//! erasure) and a sealed row in the catalogue with the handles. Handles and positions are held in memory, about 40 bytes a
//! record.
pub mod batch;
pub mod proof;

#[cfg(test)]
mod anchor_test;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use alloy_primitives::B256;
use contracts::leaf::Tree;

use self::batch::BatchRow;
pub use self::{
    batch::{BatchState, ClosedBatch},
    proof::RecordProof,
};
use crate::{
    error::EdgeError,
    keys::StoreKeys,
    model::Handle,
    stores::{
        local,
        redb::{Batch, Table},
    },
    vault::{Vault, crypt::Secret},
};

/// The batches of one edge.
#[derive(Debug)]
pub struct Anchors {
    vault: Arc<Vault>,
    folder: PathBuf,
    /// Orders the leaves of a batch.
    order_secret: Secret,
    /// Hands out proofs of records that no longer match their leaf. For the demo alone.
    insider: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default, Debug)]
struct Inner {
    batches: BTreeMap<u64, BatchRow>,
    /// Batch and position of each anchored record.
    positions: HashMap<Handle, (u64, u32)>,
    /// The tree asked for last: deliveries ask for many proofs of one batch.
    tree: Option<(u64, Arc<Tree>)>,
}

impl Anchors {
    /// Opens the batches of a store. `dir` is the edge's data folder.
    ///
    /// # Errors
    /// [`EdgeError::Integrity`] if a batch's row is damaged, [`EdgeError::Io`].
    pub fn open(dir: &Path, vault: Arc<Vault>, keys: &StoreKeys) -> Result<Self, EdgeError> {
        let folder = dir.join("anchors");
        local::create_folder(&folder)?;
        let mut inner = Inner::default();
        vault.scan_sealed(Table::Batches, |key, value| {
            let damaged = || {
                EdgeError::integrity("a batch's row is damaged", "catalogue.redb, table batches")
            };
            let seq = u64::from_be_bytes(key.try_into().map_err(|_| damaged())?);
            let row = BatchRow::read(value).map_err(|_| damaged())?;
            inner.add(seq, row, &keys.secret);
            Ok(())
        })?;
        let inner = Mutex::new(inner);
        let order_secret = keys.secret.clone();
        Ok(Self { vault, folder, order_secret, insider: AtomicBool::new(false), inner })
    }

    /// Switches the self-check of [`Anchors::proof`] off or on. For the demo of an insider alone.
    pub fn set_insider(&self, insider: bool) {
        self.insider.store(insider, Ordering::Relaxed);
    }

    /// How many records wait for a batch, as far as they are flushed to segments.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the catalogue cannot be read.
    pub fn pending_count(&self) -> Result<usize, EdgeError> {
        self.vault.flush()?;
        Ok(self.vault.pending()?.len())
    }

    /// Batches that are closed and not yet anchored, oldest first: what is to be submitted, or submitted again.
    pub fn unanchored(&self) -> Vec<(ClosedBatch, BatchState)> {
        let inner = self.inner();
        let waiting = inner.batches.iter().filter(|(_, row)| !row.state.is_anchored());
        waiting.map(|(seq, row)| (row.closed(*seq), row.state)).collect()
    }

    /// A batch and its state.
    pub fn batch(&self, seq: u64) -> Option<(ClosedBatch, BatchState)> {
        self.inner().batches.get(&seq).map(|row| (row.closed(seq), row.state))
    }

    /// Notes the transaction that carries a batch's root.
    ///
    /// # Errors
    /// [`EdgeError::Input`] for an unknown batch, [`EdgeError::Storage`].
    pub fn mark_submitted(&self, seq: u64, tx: B256) -> Result<(), EdgeError> {
        self.mark(seq, BatchState::Submitted { tx })
    }

    /// Notes the final block in which a batch's root stands.
    ///
    /// # Errors
    /// [`EdgeError::Input`] for an unknown batch, [`EdgeError::Storage`].
    pub fn mark_anchored(&self, seq: u64, tx: B256, block: u64) -> Result<(), EdgeError> {
        self.mark(seq, BatchState::Anchored { tx, block })
    }

    /// Where a record is anchored, or `None` while it waits: batch and its state.
    pub fn state_of(&self, handle: Handle) -> Option<(u64, BatchState)> {
        let inner = self.inner();
        let (seq, _) = inner.positions.get(&handle)?;
        inner.batches.get(seq).map(|row| (*seq, row.state))
    }

    /// Takes erased records out of the rows; their leaves stay, and lead to nobody.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the catalogue cannot be written.
    pub fn forget(&self, handles: &[Handle]) -> Result<(), EdgeError> {
        let mut inner = self.inner();
        let mut batch = Batch::default();
        for handle in handles {
            let Some((seq, _)) = inner.positions.remove(handle) else { continue };
            let row = inner.batches.get_mut(&seq).expect("positions name known batches");
            row.forget(*handle);
        }
        for (seq, row) in &inner.batches {
            self.vault.put_sealed(&mut batch, Table::Batches, &seq.to_be_bytes(), &row.to_bytes());
        }
        self.vault.commit(batch)
    }

    fn mark(&self, seq: u64, state: BatchState) -> Result<(), EdgeError> {
        let mut inner = self.inner();
        let row = inner.batches.get_mut(&seq).ok_or_else(|| {
            EdgeError::input("no such batch", seq.to_string(), "close it before it is submitted")
        })?;
        let changed = BatchRow { state, ..row.clone() };
        let mut batch = Batch::default();
        let key = seq.to_be_bytes();
        self.vault.put_sealed(&mut batch, Table::Batches, &key, &changed.to_bytes());
        self.vault.commit(batch)?;
        *row = changed;
        Ok(())
    }

    fn leaves_path(&self, seq: u64) -> PathBuf {
        self.folder.join(format!("{seq:016x}.leaves"))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no thread panics while it changes the batches")
    }
}

impl Inner {
    fn add(&mut self, seq: u64, row: BatchRow, order_secret: &Secret) {
        let order = batch::order(order_secret, seq, row.size_log2);
        for (handle, index) in row.handles.iter().zip(order) {
            if *handle != batch::ERASED {
                self.positions.insert(*handle, (seq, index));
            }
        }
        self.batches.insert(seq, row);
    }
}
