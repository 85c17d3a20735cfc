//! `msnet db stat`: how much is stored, table by table and file by file.

use std::{path::Path, sync::Arc};

use alloy_primitives::{B256, U256};

use super::{
    LogRecord, check_format,
    schema::{BlockRow, Flushed, block_key, decode, meta},
    shelf::read_record,
    take_lock,
};
use crate::{
    disk::{Disk, OpenMode},
    error::ChainError,
    genesis::Genesis,
    kv::{Kv as _, RedbKv, Table},
    log::{
        io_error,
        scan::{position, scan_file, segments},
        segment_path,
    },
};

/// How much is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Rows and bytes (keys and values) of each table.
    pub tables: Vec<TableStat>,
    /// Size of `state.redb`.
    pub redb_bytes: u64,
    /// Segments of the block log, and their bytes.
    pub log: (u64, u64),
    /// Segments of the diffs, and their bytes.
    pub diffs: (u64, u64),
    /// Number and hash of the block that the tables stand at.
    pub flushed: (u64, B256),
    /// Number and hash of the heaviest block of the log; the next start decides whether it is the head.
    pub newest: (u64, B256),
    /// The lowest block whose state before it can still be read.
    pub oldest_diff: Option<u64>,
}

/// One table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableStat {
    /// Its name.
    pub name: &'static str,
    /// Pairs.
    pub rows: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// Counts a store that no process uses.
///
/// # Errors
/// [`ChainError::DatadirInUse`], [`ChainError::UnknownFormat`], [`ChainError::IncompatibleGenesis`], [`ChainError::Io`],
/// [`ChainError::Db`], [`ChainError::Corrupt`].
pub fn stat(disk: &Arc<dyn Disk>, folder: &Path, genesis: &Genesis) -> Result<Stat, ChainError> {
    let _lock = take_lock(disk.as_ref(), &folder.join("LOCK"))?;
    check_format(disk.as_ref(), &folder.join("FORMAT"))?;
    let path = folder.join("state.redb");
    let size = disk.open(&path, OpenMode::Read).and_then(|file| file.len());
    let redb_bytes = size.map_err(|error| io_error("open", &path, error))?;
    // a picture of the tables can be read only while the database is open
    let database = RedbKv::open(disk.as_ref(), &path)?;
    let kv = database.snapshot()?;
    let flushed = kv.get(Table::Meta, meta::FLUSHED)?.unwrap_or_default();
    let flushed: Flushed = decode("table meta at flushed", &flushed)?;
    let mut tables = Vec::new();
    for table in Table::ALL {
        let (mut rows, mut bytes) = (0, 0);
        kv.range(table, &[], None, &mut |key, value| {
            rows += 1;
            bytes += (key.len() + value.len()) as u64;
            Ok(true)
        })?;
        tables.push(TableStat { name: table.name(), rows, bytes });
    }
    let sizes = |name: &str| -> Result<(u64, u64), ChainError> {
        let found = segments(disk.as_ref(), &folder.join(name))?;
        Ok((found.len() as u64, found.iter().map(|&(_, bytes)| bytes).sum()))
    };
    let mut newest = (U256::ZERO, (flushed.number, flushed.hash));
    let row = kv.get(Table::Blocks, &block_key(flushed.number, flushed.hash))?;
    if let Some(row) = row {
        newest.0 = BlockRow::decode(&row)?.total_difficulty;
    }
    heaviest(disk.as_ref(), folder, genesis.hash(), &flushed, &mut newest)?;
    let mut oldest_diff = None;
    kv.range(Table::Blocks, &[], None, &mut |key, row| {
        let has_diff = BlockRow::decode(row)?.diff.is_some();
        oldest_diff = key.first_chunk::<8>().filter(|_| has_diff).map(|n| u64::from_be_bytes(*n));
        Ok(oldest_diff.is_none())
    })?;
    Ok(Stat {
        tables,
        redb_bytes,
        log: sizes("blocks")?,
        diffs: sizes("diffs")?,
        flushed: (flushed.number, flushed.hash),
        newest: newest.1,
        oldest_diff,
    })
}

/// The block of the highest total difficulty among those that are not flushed.
fn heaviest(
    disk: &dyn Disk,
    folder: &Path,
    genesis: B256,
    flushed: &Flushed,
    newest: &mut (U256, (u64, B256)),
) -> Result<(), ChainError> {
    let folder = folder.join("blocks");
    for (segment, _) in segments(disk, &folder)? {
        if segment < flushed.log_segment {
            continue;
        }
        let start = if segment == flushed.log_segment { flushed.log_offset } else { 0 };
        let path = segment_path(&folder, segment);
        scan_file(disk, &path, genesis, start, &mut |offset, payload| {
            let at = position(segment, offset, payload);
            if let LogRecord::Block(block, total_difficulty, _) = read_record(at, payload)?
                && total_difficulty > newest.0
            {
                *newest = (total_difficulty, (block.header().number, block.hash()));
            }
            Ok(())
        })?;
    }
    Ok(())
}
