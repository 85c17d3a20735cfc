//! The store: the block log, which is the truth, and the tables, which follow it flush by flush.
//!
//! [`Store`] writes and belongs to [`crate::blockchain::Blockchain`] alone; a [`Shelf`] reads the tables as they stood at
//! one flush, from any thread, however long. What lies where is in [`schema`]; what this key signed is in [`journal`].

mod bad;
mod compat;
mod flush;
pub mod journal;
pub mod log_index;
pub mod reindex;
mod rewind;
pub mod schema;
pub mod seals;
mod shelf;
pub mod snapshots;
pub mod stat;
pub mod verify;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use alloy_primitives::{B256, U256};

pub use self::{
    bad::BadBlocks,
    flush::{Flush, FlushBlock, FlushDone, FlushWork},
    shelf::Shelf,
};
use self::{
    compat::check_compatible,
    flush::{changed_rows, offset_in_section},
    journal::Journal,
    schema::{BadFrame, BlockFrame, BlockRow, FORMAT_LINE, Flushed, ReceiptsFrame, meta},
    shelf::{DiffCache, read_record},
};
use crate::{
    block::{Header, Receipt, RecoveredBlock},
    disk::{Disk, DiskLock, OsDisk},
    error::ChainError,
    genesis::{Genesis, GenesisAccount, to_json},
    kv::{Batch, Kv, MemoryKv, RedbKv, Table},
    log::{End, Log, LogReader, Position, SEGMENT_HEADER_BYTES, io_error},
    spec::CliqueConfig,
    state::{
        Account,
        cache::CachedKv,
        flat::{put_account, put_slot},
    },
};

/// Memory for accounts and slots that lie on disk, if nobody says another size.
pub const CACHE_BYTES: usize = 512 * 1024 * 1024;

/// Where a chain is kept.
#[derive(Debug, Clone)]
pub enum Storage {
    /// Nowhere: gone when the process ends.
    Memory,
    /// In this folder of the machine's file system, usually `<datadir>/msnet`.
    Dir(PathBuf),
    /// In this folder of that disk.
    Disk(Arc<dyn Disk>, PathBuf),
}

impl Storage {
    /// True if tables may be written beside the log.
    pub(crate) fn is_concurrent(&self) -> bool {
        match self {
            Self::Memory => false,
            Self::Dir(_) => true,
            Self::Disk(disk, _) => disk.is_concurrent(),
        }
    }
}

/// A frame of the block log, as replay sees it.
#[derive(Debug)]
pub enum LogRecord {
    /// A block with its total difficulty.
    Block(Box<RecoveredBlock>, U256, Position),
    /// The block with this hash was run.
    Receipts(B256, Position),
    /// The block with this hash broke a rule.
    Bad(B256, String, Position),
    /// Blocks above this number that came before are passed over.
    Rewind(u64),
}

/// A block as the store gives it back.
#[derive(Debug)]
pub struct StoredBlock {
    /// The block with its senders.
    pub block: RecoveredBlock,
    /// Sum of the difficulties up to it.
    pub total_difficulty: U256,
    /// Where its frames lie.
    pub row: BlockRow,
}

/// The one that writes.
#[derive(Debug)]
pub struct Store {
    kv: Arc<dyn Kv>,
    log: Log,
    /// Taken by one flush at a time.
    diffs: Arc<Mutex<Log>>,
    diff_reader: LogReader,
    /// What this node's keys signed.
    pub journal: Journal,
    flushed: Flushed,
    diff_from: u64,
    cache: DiffCache,
    _lock: Option<Box<dyn DiskLock>>,
}

impl Store {
    /// Takes the lock, opens or makes the files, and hands back the log since the last flush. `cache_bytes` are for what
    /// lies in the tables.
    ///
    /// # Errors
    /// [`ChainError::DatadirInUse`], [`ChainError::UnknownFormat`], [`ChainError::IncompatibleGenesis`],
    /// [`ChainError::Corrupt`], [`ChainError::Io`], [`ChainError::Db`].
    pub fn open(
        storage: &Storage,
        genesis: &Genesis,
        cache_bytes: usize,
    ) -> Result<(Self, Vec<LogRecord>), ChainError> {
        let hash = genesis.hash();
        let (disk, folder): (Arc<dyn Disk>, _) = match storage {
            Storage::Memory => return Ok((Self::in_memory(genesis)?, Vec::new())),
            Storage::Dir(folder) => (Arc::new(OsDisk), folder),
            Storage::Disk(disk, folder) => (disk.clone(), folder),
        };
        disk.create_dir_all(folder).map_err(|error| io_error("create", folder, error))?;
        let lock = take_lock(disk.as_ref(), &folder.join("LOCK"))?;
        check_format(disk.as_ref(), &folder.join("FORMAT"))?;
        reindex::refuse_unfinished(disk.as_ref(), folder)?;
        let tables = RedbKv::open(disk.as_ref(), &folder.join("state.redb"))?;
        let flushed = prepare_tables(&tables, genesis, hash)?;
        let kv = Arc::new(CachedKv::new(tables, cache_bytes));
        let mut records = Vec::new();
        let log_from = (flushed.log_segment, flushed.log_offset);
        let log = Log::open(
            &disk,
            &folder.join("blocks"),
            hash,
            log_from,
            begins_append,
            &mut |at, payload| {
                records.push(read_record(at, payload)?);
                Ok(())
            },
        )?;
        let diffs_from = (flushed.diff_segment, flushed.diff_offset);
        let diffs =
            Log::open(&disk, &folder.join("diffs"), hash, diffs_from, |_| false, &mut |_, _| {
                Ok(())
            })?;
        let journal = Journal::open(disk.as_ref(), &folder.join("signer.journal"), hash)?;
        let store = Self::new(kv, log, diffs, journal, flushed, Some(lock))?;
        records.splice(0..0, store.older_bad_blocks()?);
        Ok((store, records))
    }

    fn new(
        kv: Arc<dyn Kv>,
        log: Log,
        diffs: Log,
        journal: Journal,
        flushed: Flushed,
        lock: Option<Box<dyn DiskLock>>,
    ) -> Result<Self, ChainError> {
        let from = kv.snapshot()?.get(Table::Meta, meta::DIFF_FROM)?;
        let from = from.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
        Ok(Self {
            kv,
            log,
            diff_reader: diffs.reader(),
            diffs: Arc::new(Mutex::new(diffs)),
            journal,
            flushed,
            diff_from: from.unwrap_or(1),
            cache: DiffCache::default(),
            _lock: lock,
        })
    }

    /// The bad blocks whose frames stand before the place where the log was read from.
    fn older_bad_blocks(&self) -> Result<Vec<LogRecord>, ChainError> {
        let Some(bytes) = self.kv.snapshot()?.get(Table::Meta, meta::BAD)? else {
            return Ok(Vec::new());
        };
        let log = self.log.reader();
        let mut records = Vec::new();
        for position in BadBlocks::decode_positions(&bytes)? {
            let at = (position.segment, position.offset);
            if at < (self.flushed.log_segment, self.flushed.log_offset) {
                records.push(read_record(position, &log.read(position)?)?);
            }
        }
        Ok(records)
    }

    /// Compares the forks with those the chain was last run under; the new ones are kept for the next time. `number` and
    /// `timestamp` are the greatest of any stored block.
    ///
    /// # Errors
    /// [`ChainError::ForkMismatch`] if a fork moved that decided how a stored block was run; [`ChainError::Db`].
    pub fn follow_config(
        &self,
        genesis: &Genesis,
        number: u64,
        timestamp: u64,
    ) -> Result<(), ChainError> {
        let bare = Genesis::new(genesis.spec.clone(), genesis.header.clone(), BTreeMap::new());
        let new = to_json(&bare);
        let stored = self.kv.snapshot()?.get(Table::Meta, meta::CONFIG)?;
        if stored.as_ref() == Some(&new) {
            return Ok(());
        }
        if let Some(stored) = stored {
            let stored = Genesis::from_json(&stored).map_err(|error| ChainError::Corrupt {
                place: "table meta at config".to_owned(),
                reason: error.to_string(),
            })?;
            check_compatible(&stored.spec, &genesis.spec, number, timestamp)?;
        }
        let mut batch = Batch::default();
        batch.put(Table::Meta, meta::CONFIG, new);
        self.kv.commit(batch)
    }

    fn in_memory(genesis: &Genesis) -> Result<Self, ChainError> {
        let kv = Arc::new(MemoryKv::default());
        let flushed = prepare_tables(kv.as_ref(), genesis, genesis.hash())?;
        let (log, diffs) = (Log::in_memory(), Log::in_memory());
        Self::new(kv, log, diffs, Journal::in_memory(), flushed, None)
    }

    /// The block that the tables stand at.
    pub const fn flushed(&self) -> Flushed {
        self.flushed
    }

    /// Checks that the store was made under the same rules; a new one remembers them, one without the note is Clique's.
    ///
    /// # Errors
    /// [`ChainError::OtherEngine`]; [`ChainError::Db`].
    pub fn check_engine(&mut self, engine: &'static str) -> Result<(), ChainError> {
        let noted = self.kv.snapshot()?.get(Table::Meta, meta::ENGINE)?;
        let have = match noted {
            Some(have) => String::from_utf8_lossy(&have).into_owned(),
            None if self.flushed.number > 0 => "clique".to_owned(),
            None => {
                let mut batch = Batch::default();
                batch.put(Table::Meta, meta::ENGINE, engine.as_bytes());
                self.kv.commit(batch)?;
                return Ok(());
            }
        };
        if have == engine { Ok(()) } else { Err(ChainError::OtherEngine { have, new: engine }) }
    }

    /// Reads of the tables as they are now.
    ///
    /// # Errors
    /// [`ChainError::Db`].
    pub fn shelf(&self, config: CliqueConfig) -> Result<Shelf, ChainError> {
        Ok(Shelf {
            config,
            kv: self.kv.snapshot()?,
            log: self.log.reader(),
            diffs: self.diff_reader.clone(),
            flushed: self.flushed,
            diff_from: self.diff_from,
            cache: self.cache.clone(),
        })
    }

    /// Appends a block, with its receipts if it was run; durable when it returns.
    ///
    /// # Errors
    /// [`ChainError::Io`]; the log takes nothing more then.
    pub fn append_block(
        &mut self,
        block: &RecoveredBlock,
        total_difficulty: U256,
        receipts: Option<&[Receipt]>,
    ) -> Result<BlockRow, ChainError> {
        let mut frames = vec![BlockFrame::encode(block, total_difficulty)];
        frames.extend(receipts.map(|receipts| ReceiptsFrame::encode(block.hash(), receipts)));
        let positions = self.log.append(&frames)?;
        let receipts = positions.get(1).copied();
        Ok(BlockRow { total_difficulty, block: positions[0], receipts, diff: None })
    }

    /// Appends the receipts of a block that was stored before it was run.
    ///
    /// # Errors
    /// As [`Self::append_block`].
    pub fn append_receipts(
        &mut self,
        hash: B256,
        receipts: &[Receipt],
    ) -> Result<Position, ChainError> {
        Ok(self.log.append(&[ReceiptsFrame::encode(hash, receipts)])?[0])
    }

    /// Appends that a block is bad; `block` is given if it has no frame of its own.
    ///
    /// # Errors
    /// As [`Self::append_block`].
    pub fn append_bad(
        &mut self,
        block_hash: B256,
        text: String,
        block: Option<&RecoveredBlock>,
    ) -> Result<Position, ChainError> {
        let block = block.map(|block| schema::encode_block(block).into());
        Ok(self.log.append(&[BadFrame { block_hash, text, block }.encode()])?[0])
    }

    /// A flush that brings the tables to the last canonical block of `work`.
    ///
    /// # Errors
    /// [`ChainError::Db`].
    pub fn prepare_flush(
        &self,
        work: FlushWork,
        config: CliqueConfig,
    ) -> Result<Flush, ChainError> {
        let (kv, diffs) = (self.kv.clone(), self.diffs.clone());
        Ok(Flush { kv, diffs, shelf: self.shelf(config)?, work })
    }

    /// Takes note of a flush that is done.
    pub const fn follow_flush(&mut self, done: &FlushDone) {
        (self.flushed, self.diff_from) = (done.flushed, done.diff_from);
    }

    /// From now on the log of diffs takes nothing, as after a failed write.
    #[cfg(test)]
    pub(crate) fn break_diffs(&self) {
        self.diffs.lock().unwrap().poison();
    }

    /// Where the next frame of the block log will stand.
    pub fn log_end(&self) -> End {
        self.log.end()
    }

    /// Takes the tables back to canonical block `target`, for a reorganisation that reaches below the flushed one. `shelf`
    /// reads the tables as they are now. Returns all stored blocks above the target.
    ///
    /// # Errors
    /// [`ChainError::Io`], [`ChainError::Db`], [`ChainError::Corrupt`]; the tables are then as before.
    pub fn unwind(
        &mut self,
        target: &Header,
        shelf: &Shelf,
    ) -> Result<Vec<StoredBlock>, ChainError> {
        let above = shelf.blocks_above(target.number)?;
        let mut batch = Batch::default();
        let mut shortened: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for number in (target.number + 1..=self.flushed.number).rev() {
            let diff = shelf.diff(number)?;
            for (&address, account) in &diff.accounts {
                put_account(&mut batch, address, account.as_ref());
            }
            for (&(address, slot), &value) in &diff.slots {
                put_slot(&mut batch, address, slot, value);
            }
            for row in changed_rows(number, &diff) {
                let offsets = match shortened.remove(&row) {
                    Some(offsets) => offsets,
                    None => shelf.kv.get(Table::Changed, &row)?.unwrap_or_default(),
                };
                let offset = offset_in_section(number);
                let left = offsets.into_iter().filter(|&other| other != offset).collect();
                shortened.insert(row, left);
            }
            if let Some(stored) = shelf.canonical_block(number)? {
                let receipts = shelf.receipts(&stored)?.unwrap_or_default();
                log_index::delete_logs(&mut batch, number, &receipts);
                for transaction in &stored.block.body().transactions {
                    batch.delete(Table::Txs, transaction.tx_hash().as_slice());
                }
            }
            batch.delete(Table::Canon, number.to_be_bytes());
        }
        for (row, offsets) in shortened {
            if offsets.is_empty() {
                batch.delete(Table::Changed, row);
            } else {
                batch.put(Table::Changed, row, offsets);
            }
        }
        let first = above.iter().map(|stored| stored.row.block).min();
        let was = (self.flushed.log_segment, self.flushed.log_offset);
        let (log_segment, log_offset) = first.map_or(was, |at| (at.segment, at.offset)).min(was);
        let (number, state_root) = (target.number, target.state_root);
        let hash = target.hash_slow();
        let flushed = Flushed { number, hash, state_root, log_segment, log_offset, ..self.flushed };
        self.commit(batch, flushed)?;
        self.cache.clear();
        Ok(above)
    }

    fn commit(&mut self, mut batch: Batch, flushed: Flushed) -> Result<(), ChainError> {
        batch.put(Table::Meta, meta::FLUSHED, alloy_rlp::encode(flushed));
        self.kv.commit(batch)?;
        self.flushed = flushed;
        Ok(())
    }
}

/// A block is appended with its receipts or alone, receipts also alone.
fn begins_append(kind: u8) -> bool {
    kind != schema::kind::RECEIPTS
}

fn take_lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskLock>, ChainError> {
    disk.lock(path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => ChainError::DatadirInUse { path: path.to_owned() },
        _ => io_error("lock", path, error),
    })
}

fn check_format(disk: &dyn Disk, path: &Path) -> Result<(), ChainError> {
    match disk.read(path) {
        Ok(bytes) if bytes.trim_ascii_end() == FORMAT_LINE.as_bytes() => Ok(()),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let have = text.lines().next().unwrap_or_default().chars().take(40).collect();
            Err(ChainError::UnknownFormat { path: path.to_owned(), have })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let line = format!("{FORMAT_LINE}\n");
            disk.replace(path, line.as_bytes()).map_err(|error| io_error("write", path, error))
        }
        Err(error) => Err(io_error("read", path, error)),
    }
}

/// Checks that the tables are this network's, or fills empty ones with block 0.
fn prepare_tables(kv: &dyn Kv, genesis: &Genesis, hash: B256) -> Result<Flushed, ChainError> {
    let tables = kv.snapshot()?;
    if let Some(bytes) = tables.get(Table::Meta, meta::GENESIS)? {
        let have = B256::try_from(bytes.as_slice()).unwrap_or_default();
        if have != hash {
            return Err(ChainError::IncompatibleGenesis { have, new: hash });
        }
        let flushed = tables.get(Table::Meta, meta::FLUSHED)?.unwrap_or_default();
        return schema::decode("table meta at flushed", &flushed);
    }
    let flushed = Flushed {
        number: 0,
        hash,
        state_root: genesis.header.state_root,
        log_segment: 0,
        log_offset: SEGMENT_HEADER_BYTES,
        diff_segment: 0,
        diff_offset: SEGMENT_HEADER_BYTES,
    };
    let mut batch = Batch::default();
    batch.put(Table::Meta, meta::FORMAT, schema::FORMAT.to_be_bytes());
    batch.put(Table::Meta, meta::GENESIS, hash.as_slice());
    batch.put(Table::Meta, meta::FLUSHED, alloy_rlp::encode(flushed));
    batch.put(Table::Canon, 0u64.to_be_bytes(), hash.as_slice());
    batch.put(Table::Hashes, hash.as_slice(), 0u64.to_be_bytes());
    for (&address, account) in &genesis.alloc {
        let GenesisAccount { nonce, balance, code, storage } = account;
        let state = Account {
            nonce: *nonce,
            balance: *balance,
            storage_root: account.storage_root(),
            code_hash: account.code_hash(),
        };
        put_account(&mut batch, address, Some(&state));
        for (&slot, &value) in storage {
            put_slot(&mut batch, address, slot, value);
        }
        if !code.is_empty() {
            batch.put(Table::Code, state.code_hash.as_slice(), code.to_vec());
        }
    }
    kv.commit(batch)?;
    Ok(flushed)
}
