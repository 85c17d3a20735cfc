//! What a rewind and a reindex ask of the store beside what every day does.

use std::{path::Path, sync::Arc};

use super::{
    CACHE_BYTES, Journal, Store, begins_append, check_format, prepare_tables,
    schema::{RewindFrame, block_key, kind, with_kind},
    take_lock,
};
use crate::{
    disk::Disk,
    error::ChainError,
    genesis::Genesis,
    kv::{Batch, RedbKv, Table},
    log::{Log, Position},
    state::cache::CachedKv,
};

/// Rows that are removed in one transaction.
const BATCH_ROWS: usize = 10_000;

impl Store {
    /// Opens a store whose tables lack what the log holds, and passes over the log.
    pub(super) fn open_without_tables(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        genesis: &Genesis,
    ) -> Result<Self, ChainError> {
        let hash = genesis.hash();
        let lock = take_lock(disk.as_ref(), &folder.join("LOCK"))?;
        check_format(disk.as_ref(), &folder.join("FORMAT"))?;
        let kv = RedbKv::open(disk.as_ref(), &folder.join("state.redb"))?;
        let mut flushed = prepare_tables(&kv, genesis, hash)?;
        let log =
            Log::open(disk, &folder.join("blocks"), hash, (0, 0), begins_append, &mut |_, _| {
                Ok(())
            })?;
        (flushed.log_segment, flushed.log_offset) = log.end();
        let diffs_from = (flushed.diff_segment, flushed.diff_offset);
        let diffs = Log::open(
            disk,
            &folder.join("diffs"),
            hash,
            diffs_from,
            |_| false,
            &mut |_, _| Ok(()),
        )?;
        let journal = Journal::open(disk.as_ref(), &folder.join("signer.journal"), hash)?;
        let kv = Arc::new(CachedKv::new(kv, CACHE_BYTES));
        let mut store = Self::new(kv, log, diffs, journal, flushed, Some(lock))?;
        store.commit(Batch::default(), flushed)?;
        Ok(store)
    }

    /// Appends the order to pass over all blocks above `number`; durable when it returns.
    ///
    /// # Errors
    /// As [`Self::append_block`].
    pub fn append_rewind(&mut self, number: u64) -> Result<(), ChainError> {
        self.log.append(&[with_kind(kind::REWIND, &RewindFrame { number })])?;
        Ok(())
    }

    /// Removes the rows of all blocks above `number`, of any branch.
    ///
    /// # Errors
    /// [`ChainError::Db`].
    pub fn forget_above(&mut self, number: u64) -> Result<(), ChainError> {
        let from = block_key(number.saturating_add(1), alloy_primitives::B256::ZERO);
        loop {
            let mut keys = Vec::new();
            self.kv.snapshot()?.range(Table::Blocks, &from, None, &mut |key, _| {
                keys.push(key.to_vec());
                Ok(keys.len() < BATCH_ROWS)
            })?;
            if keys.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::default();
            for key in keys {
                batch.delete(Table::Hashes, key.get(8..).unwrap_or_default());
                batch.delete(Table::Blocks, key);
            }
            self.kv.commit(batch)?;
        }
    }

    /// The next start reads the log from here, or from its end.
    ///
    /// # Errors
    /// [`ChainError::Db`].
    pub fn read_log_from(&mut self, from: Option<Position>) -> Result<(), ChainError> {
        let mut flushed = self.flushed;
        (flushed.log_segment, flushed.log_offset) =
            from.map_or_else(|| self.log.end(), |at| (at.segment, at.offset));
        self.commit(Batch::default(), flushed)
    }
}
