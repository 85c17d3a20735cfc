//! [`Shelf`]: reads of the tables as they stood at one flush, and of the logs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::{B256, U256};

use super::{
    LogRecord, StoredBlock,
    schema::{
        self, BadFrame, BlockFrame, BlockRow, DiffFrame, Flushed, ReceiptsFrame, RewindFrame,
        block_key, kind,
    },
};
use crate::{
    block::{Block, Receipt},
    clique::Snapshot,
    error::ChainError,
    kv::{KvRead, Table},
    log::{LogReader, Position},
    spec::CliqueConfig,
    state::{Diff, Flat, History, StateDb},
};

/// Diffs kept decoded for reads of the past.
const CACHED_DIFFS: usize = 64;

/// The tables as they stood at one flush, and the logs; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shelf {
    pub(super) config: CliqueConfig,
    pub(super) kv: Arc<dyn KvRead>,
    pub(super) log: LogReader,
    pub(super) diffs: LogReader,
    pub(super) flushed: Flushed,
    /// First block whose diff is kept.
    pub(super) diff_from: u64,
    pub(super) cache: DiffCache,
}

impl Shelf {
    /// The block that the tables stand at.
    pub const fn flushed(&self) -> Flushed {
        self.flushed
    }

    /// Accounts, slots and code at the flushed block.
    pub fn flat(&self) -> Flat {
        Flat::new(self.kv.clone())
    }

    /// The state after canonical block `number`, which is not above the flushed one.
    pub fn state(&self, number: u64) -> StateDb {
        let flat = Flat::new(self.kv.clone());
        let flushed = self.flushed.number;
        if number >= flushed {
            return StateDb::new(flat, flushed, Vec::new());
        }
        let shelf = self.clone();
        let load = Arc::new(move |number| shelf.diff(number));
        let history = History::new(self.kv.clone(), flushed, load);
        StateDb::in_the_past(flat, flushed, number, history)
    }

    /// Hash of canonical block `number`, if it is flushed.
    ///
    /// # Errors
    /// [`ChainError::Db`].
    pub fn canonical_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        let found = self.kv.get(Table::Canon, &number.to_be_bytes())?;
        Ok(found.and_then(|bytes| B256::try_from(bytes.as_slice()).ok()))
    }

    /// Number of a stored block of any branch.
    ///
    /// # Errors
    /// [`ChainError::Db`].
    pub fn number_of(&self, hash: B256) -> Result<Option<u64>, ChainError> {
        let found = self.kv.get(Table::Hashes, hash.as_slice())?;
        Ok(found.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?))))
    }

    /// A stored block of any branch; never genesis.
    ///
    /// # Errors
    /// [`ChainError::Io`], [`ChainError::Db`], [`ChainError::Corrupt`].
    pub fn block(&self, hash: B256) -> Result<Option<StoredBlock>, ChainError> {
        let Some(number) = self.number_of(hash)? else { return Ok(None) };
        let row = self.kv.get(Table::Blocks, &block_key(number, hash))?;
        row.map(|row| self.read_block(BlockRow::decode(&row)?)).transpose()
    }

    /// Canonical block `number`, if it is flushed; never genesis.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub fn canonical_block(&self, number: u64) -> Result<Option<StoredBlock>, ChainError> {
        match self.canonical_hash(number)? {
            Some(hash) => self.block(hash),
            None => Ok(None),
        }
    }

    /// The receipts of a block, `None` if it was never run.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub fn receipts(&self, stored: &StoredBlock) -> Result<Option<Vec<Receipt>>, ChainError> {
        let Some(position) = stored.row.receipts else { return Ok(None) };
        let payload = self.log.read(position)?;
        let bytes = payload.get(1..).unwrap_or_default();
        let frame: ReceiptsFrame = schema::decode("receipts frame", bytes)?;
        Ok(Some(frame.into_receipts(&stored.block.clone_block())))
    }

    /// Number and index of a canonical, flushed transaction.
    ///
    /// # Errors
    /// [`ChainError::Db`].
    pub fn transaction(&self, hash: B256) -> Result<Option<(u64, usize)>, ChainError> {
        let found = self.kv.get(Table::Txs, hash.as_slice())?;
        Ok(found.and_then(|bytes| {
            let (number, index) = bytes.split_first_chunk::<8>()?;
            let index = u32::from_be_bytes(index.try_into().ok()?);
            Some((u64::from_be_bytes(*number), usize::try_from(index).ok()?))
        }))
    }

    /// A stored Clique snapshot.
    ///
    /// # Errors
    /// [`ChainError::Db`], [`ChainError::Corrupt`].
    pub fn snapshot(&self, hash: B256) -> Result<Option<Snapshot>, ChainError> {
        let found = self.kv.get(Table::Snapshots, hash.as_slice())?;
        found.map(|bytes| schema::decode_snapshot(&bytes, self.config)).transpose()
    }

    /// Number of the oldest block whose state can be read.
    pub const fn oldest_state(&self) -> u64 {
        self.diff_from.saturating_sub(1)
    }

    /// Total difficulty of a stored block of any branch; never genesis.
    ///
    /// # Errors
    /// [`ChainError::Db`], [`ChainError::Corrupt`].
    pub fn total_difficulty(&self, hash: B256) -> Result<Option<U256>, ChainError> {
        let Some(number) = self.number_of(hash)? else { return Ok(None) };
        let row = self.kv.get(Table::Blocks, &block_key(number, hash))?;
        row.map(|row| Ok(BlockRow::decode(&row)?.total_difficulty)).transpose()
    }

    /// A block that broke a rule, if its frame holds it.
    ///
    /// # Errors
    /// [`ChainError::Io`], [`ChainError::Corrupt`].
    pub fn bad_block(&self, position: Position) -> Result<Option<Block>, ChainError> {
        let payload = self.log.read(position)?;
        let bytes = payload.get(1..).unwrap_or_default();
        let frame: BadFrame = schema::decode("bad frame", bytes)?;
        frame.block.map(|bytes| schema::decode("block in a bad frame", &bytes)).transpose()
    }

    /// Where the diff of canonical, flushed block `number` lies.
    pub(super) fn diff_position(&self, number: u64) -> Result<Option<Position>, ChainError> {
        let Some(hash) = self.canonical_hash(number)? else { return Ok(None) };
        let row = self.kv.get(Table::Blocks, &block_key(number, hash))?;
        Ok(row.map(|row| BlockRow::decode(&row)).transpose()?.and_then(|row| row.diff))
    }

    /// What canonical, flushed block `number` changed.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] if the diff is missing or damaged; [`ChainError::Io`], [`ChainError::Db`].
    pub fn diff(&self, number: u64) -> Result<Arc<Diff>, ChainError> {
        let missing = || ChainError::Corrupt {
            place: format!("table blocks at {number}"),
            reason: "a flushed canonical block has no diff".to_owned(),
        };
        let hash = self.canonical_hash(number)?.ok_or_else(missing)?;
        if let Some(diff) = self.cache.get(number, hash) {
            return Ok(diff);
        }
        let position = self.diff_position(number)?.ok_or_else(missing)?;
        let diff = Arc::new(self.read_diff(position)?);
        self.cache.put(number, hash, diff.clone());
        Ok(diff)
    }

    /// Every stored, flushed block of height `number`, all branches.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub fn blocks_at(&self, number: u64) -> Result<Vec<StoredBlock>, ChainError> {
        let (from, to) = (number.to_be_bytes(), number.checked_add(1).map(u64::to_be_bytes));
        let mut rows = Vec::new();
        self.kv.range(Table::Blocks, &from, to.as_ref().map(|to| &to[..]), &mut |_, row| {
            rows.push(BlockRow::decode(row)?);
            Ok(true)
        })?;
        rows.into_iter().map(|row| self.read_block(row)).collect()
    }

    fn read_diff(&self, first: Position) -> Result<Diff, ChainError> {
        let mut frame = DiffFrame::decode(&self.diffs.read(first)?)?;
        let mut at = first;
        while frame.part + 1 < frame.parts {
            let (next, payload) = self.diffs.read_next(at)?;
            frame.join(DiffFrame::decode(&payload)?)?;
            at = next;
        }
        Ok(frame.diff)
    }

    /// Every stored block above `number`, all branches, ascending by number.
    pub(crate) fn blocks_above(&self, number: u64) -> Result<Vec<StoredBlock>, ChainError> {
        let mut rows = Vec::new();
        let from = (number + 1).to_be_bytes();
        self.kv.range(Table::Blocks, &from, None, &mut |_, row| {
            rows.push(BlockRow::decode(row)?);
            Ok(true)
        })?;
        rows.into_iter().map(|row| self.read_block(row)).collect()
    }

    /// Shows the section of each row of the table `changed`.
    #[cfg(test)]
    pub(crate) fn each_changed(&self, mut show: impl FnMut(u32)) {
        let mut visit = |row: &[u8], _: &[u8]| {
            show(u32::from_be_bytes(*row.last_chunk().unwrap()));
            Ok(true)
        };
        self.kv.range(Table::Changed, &[], None, &mut visit).unwrap();
    }

    fn read_block(&self, row: BlockRow) -> Result<StoredBlock, ChainError> {
        match read_record(row.block, &self.log.read(row.block)?)? {
            LogRecord::Block(block, total_difficulty, _) => {
                Ok(StoredBlock { block: *block, total_difficulty, row })
            }
            _ => Err(ChainError::Corrupt {
                place: format!("block log at {:?}", row.block),
                reason: "not a block frame".to_owned(),
            }),
        }
    }
}

/// The diffs read last, by number and hash, shared by all readers.
#[derive(Debug, Clone, Default)]
pub(super) struct DiffCache(Arc<Mutex<DiffsByBlock>>);

type DiffsByBlock = BTreeMap<(u64, B256), Arc<Diff>>;

impl DiffCache {
    fn get(&self, number: u64, hash: B256) -> Option<Arc<Diff>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(number, hash)).cloned()
    }

    fn put(&self, number: u64, hash: B256, diff: Arc<Diff>) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cached.insert((number, hash), diff);
        while cached.len() > CACHED_DIFFS {
            cached.pop_first();
        }
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

pub(super) fn read_record(position: Position, payload: &[u8]) -> Result<LogRecord, ChainError> {
    let unknown = |reason: String| ChainError::Corrupt {
        place: format!("block log segment {} at offset {}", position.segment, position.offset),
        reason,
    };
    let (kind, bytes) = payload.split_first().ok_or_else(|| unknown("empty frame".to_owned()))?;
    match *kind {
        kind::BLOCK => {
            let frame: BlockFrame = schema::decode("block frame", bytes)?;
            let (block, total_difficulty) = frame.into_block();
            Ok(LogRecord::Block(Box::new(block), total_difficulty, position))
        }
        kind::RECEIPTS => {
            let frame: ReceiptsFrame = schema::decode("receipts frame", bytes)?;
            Ok(LogRecord::Receipts(frame.block_hash, position))
        }
        kind::BAD => {
            let frame: BadFrame = schema::decode("bad frame", bytes)?;
            Ok(LogRecord::Bad(frame.block_hash, frame.text, position))
        }
        kind::REWIND => {
            let frame: RewindFrame = schema::decode("rewind frame", bytes)?;
            Ok(LogRecord::Rewind(frame.number))
        }
        other => Err(unknown(format!("unknown frame kind {other}"))),
    }
}
