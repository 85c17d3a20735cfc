//! `msnet db reindex`: drops the tables and the diffs and makes them again from the block log, which is the truth.
//!
//! A file `REINDEX` stands in the folder until it is done; a node does not start there meanwhile. Run again, it reads the
//! log from its beginning but runs only the blocks that the new tables lack.

use std::{io, path::Path, sync::Arc};

use super::{LogRecord, Storage, Store, check_format, shelf::read_record, take_lock};
use crate::{
    blockchain::Blockchain,
    disk::{Disk, OpenMode, OsDisk},
    error::ChainError,
    genesis::Genesis,
    kv::RedbKv,
    log::{
        io_error,
        scan::{ScanEnd, position, scan_file, segments},
        segment_path,
    },
    replay::Rules,
    store::verify::ShowProgress,
};

/// Stands in the folder while the tables are incomplete.
const MARKER: &str = "REINDEX";
/// Blocks that are run between two flushes.
const STEP_BLOCKS: usize = 32;
/// Bytes of the log that are run between two flushes, or one block if it is larger.
const STEP_BYTES: usize = 16 * 1024 * 1024;

/// Makes the tables of a store again that no process uses. The chain that comes back is open.
///
/// # Errors
/// [`ChainError::DatadirInUse`]; [`ChainError::Corrupt`] if the block log is damaged (see `verify`); [`ChainError::Io`],
/// [`ChainError::Db`]. What was done before an error is not lost.
pub fn reindex(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    genesis: &Genesis,
    show: &mut ShowProgress<'_>,
) -> Result<Blockchain, ChainError> {
    drop_tables(disk.as_ref(), folder)?;
    let storage = Storage::Disk(disk.clone(), folder.to_owned());
    let store = Store::open_without_tables(disk, folder, genesis)?;
    let end = store.log_end();
    let mut chain = Blockchain::with_store(genesis, &storage, store, Vec::new(), Rules::Clique)?;
    let blocks = folder.join("blocks");
    let found = segments(disk.as_ref(), &blocks)?;
    let total: u64 = found.iter().map(|&(_, bytes)| bytes).sum();
    let mut before = 0;
    let mut step = Step::default();
    for (segment, bytes) in found {
        let path = segment_path(&blocks, segment);
        let scanned =
            scan_file(disk.as_ref(), &path, genesis.hash(), 0, &mut |offset, payload| {
                if (segment, offset) >= end {
                    // appended by this very run: receipts of a block that had none
                    return Ok(());
                }
                let record = read_record(position(segment, offset, payload), payload)?;
                if step.is_full() && matches!(record, LogRecord::Block(..)) {
                    let number = step.run(&mut chain)?;
                    show(before + offset, total, number);
                }
                step.take(record, payload.len());
                Ok(())
            })?;
        if let ScanEnd::Broken { offset, reason, .. } = scanned
            && (segment, offset) < end
        {
            let place = format!("{} at offset {offset}", path.display());
            return Err(ChainError::Corrupt { place, reason });
        }
        before += bytes;
    }
    step.run(&mut chain)?;
    let marker = folder.join(MARKER);
    let done = disk.remove(&marker).and_then(|()| disk.sync_folder(folder));
    done.map_err(|error| io_error("remove", &marker, error))?;
    Ok(chain)
}

/// Gives back what `state.redb` does not use; its size before and after.
///
/// # Errors
/// [`ChainError::DatadirInUse`], [`ChainError::Db`], [`ChainError::Io`].
pub fn compact(disk: &OsDisk, folder: &Path) -> Result<(u64, u64), ChainError> {
    let _lock = take_lock(disk, &folder.join("LOCK"))?;
    let path = folder.join("state.redb");
    let size = || {
        let size = disk.open(&path, OpenMode::Read).and_then(|file| file.len());
        size.map_err(|error| io_error("read", &path, error))
    };
    let before = size()?;
    let mut kv = RedbKv::open(disk, &path)?;
    kv.compact()?;
    drop(kv);
    Ok((before, size()?))
}

/// Refuses a store whose tables are incomplete.
///
/// # Errors
/// [`ChainError::ReindexUnfinished`].
pub(super) fn refuse_unfinished(disk: &dyn Disk, folder: &Path) -> Result<(), ChainError> {
    let path = folder.join(MARKER);
    match disk.open(&path, OpenMode::Read) {
        Ok(_) => Err(ChainError::ReindexUnfinished { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("open", &path, error)),
    }
}

/// Removes what can be made again, unless an earlier run did.
fn drop_tables(disk: &dyn Disk, folder: &Path) -> Result<(), ChainError> {
    let _lock = take_lock(disk, &folder.join("LOCK"))?;
    check_format(disk, &folder.join("FORMAT"))?;
    match refuse_unfinished(disk, folder) {
        Err(ChainError::ReindexUnfinished { .. }) => return Ok(()),
        other => other?,
    }
    let marker = folder.join(MARKER);
    disk.replace(&marker, b"msnet db reindex is not done\n")
        .map_err(|error| io_error("write", &marker, error))?;
    let diffs = folder.join("diffs");
    let segments = segments(disk, &diffs)?.into_iter();
    let files = segments.map(|(segment, _)| segment_path(&diffs, segment));
    for path in files.chain([folder.join("state.redb")]) {
        match disk.remove(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("remove", &path, error)),
        }
    }
    for folder in [diffs.as_path(), folder] {
        match disk.sync_folder(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("sync", folder, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Records that are run together.
#[derive(Default)]
struct Step {
    records: Vec<LogRecord>,
    blocks: usize,
    bytes: usize,
    newest: u64,
}

impl Step {
    const fn is_full(&self) -> bool {
        self.blocks >= STEP_BLOCKS || self.bytes >= STEP_BYTES
    }

    fn take(&mut self, record: LogRecord, bytes: usize) {
        if let LogRecord::Block(block, ..) = &record {
            self.blocks += 1;
            self.newest = block.header().number;
        }
        self.bytes += bytes;
        self.records.push(record);
    }

    /// The number of the last block.
    fn run(&mut self, chain: &mut Blockchain) -> Result<u64, ChainError> {
        let Self { records, newest, .. } = std::mem::take(self);
        chain.absorb(records)?;
        Ok(newest)
    }
}
