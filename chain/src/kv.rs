//! Sorted key-value tables with two kinds: redb on disk, `BTreeMap` in memory.
//!
//! Readers hold a [`KvRead`], an unmoving picture of all tables; one writer commits a [`Batch`] at a time, wholly or not
//! at all. Which bytes stand in which table is written in [`crate::store::schema`].

use std::{
    collections::BTreeMap,
    fmt, io,
    ops::Bound,
    path::Path,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use redb::{Database, ReadOnlyTable, ReadableDatabase as _, StorageBackend, TableDefinition};

use crate::{
    disk::{Disk, DiskFile, OpenMode, parent},
    error::ChainError,
    log::io_error,
};

/// Memory that redb may use for its pages, bytes; nine tenths of all reads end in layers above it.
const REDB_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// A file up to this size is checked whole when it opens, which takes less than a second; beyond, `db verify` does it.
const CHECKED_BYTES: u64 = 256 * 1024 * 1024;

/// The tables, in the order of [`crate::store::schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// Facts about the store itself.
    Meta,
    /// Where each block lies in the log, all branches.
    Blocks,
    /// Block hash to number.
    Hashes,
    /// Number to hash of the canonical block.
    Canon,
    /// Transaction hash to its place, canonical only.
    Txs,
    /// Accounts at the flushed block.
    Accounts,
    /// Storage slots at the flushed block.
    Slots,
    /// Contract code by hash.
    Code,
    /// In which blocks an account or slot changed.
    Changed,
    /// Clique snapshots.
    Snapshots,
    /// In which blocks an address or topic is logged.
    Logs,
}

impl Table {
    /// Every table, ascending.
    pub const ALL: [Self; 11] = [
        Self::Meta,
        Self::Blocks,
        Self::Hashes,
        Self::Canon,
        Self::Txs,
        Self::Accounts,
        Self::Slots,
        Self::Code,
        Self::Changed,
        Self::Snapshots,
        Self::Logs,
    ];

    /// The table's name on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Blocks => "blocks",
            Self::Hashes => "hashes",
            Self::Canon => "canon",
            Self::Txs => "txs",
            Self::Accounts => "accounts",
            Self::Slots => "slots",
            Self::Code => "code",
            Self::Changed => "changed",
            Self::Snapshots => "snapshots",
            Self::Logs => "logs",
        }
    }

    const fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

/// Puts and deletes that become visible and durable together; the last write to a key wins.
#[derive(Debug, Default)]
pub struct Batch {
    writes: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.insert((table, key.into()), Some(value.into()));
    }

    /// Removes `key`; no error if it is absent.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.writes.insert((table, key.into()), None);
    }

    /// Every key that the batch writes, with its new value if it keeps one.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        self.writes.iter().map(|((table, key), value)| (*table, key.as_slice(), value.as_deref()))
    }
}

/// What [`KvRead::range`] does with a pair; `Ok(false)` ends the walk.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool, ChainError> + 'a;

/// All tables as they stood at one commit.
pub trait KvRead: Send + Sync + fmt::Debug {
    /// The value of `key`.
    ///
    /// # Errors
    /// [`ChainError::Db`] if the disk fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError>;

    /// Shows `visit` every pair with `from ≤ key`, and `key < to` if given, ascending.
    ///
    /// # Errors
    /// [`ChainError::Db`] if the disk fails; whatever `visit` returns.
    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), ChainError>;
}

/// The one handle that writes.
pub trait Kv: Send + Sync + fmt::Debug {
    /// A picture of all tables that later commits do not change.
    ///
    /// # Errors
    /// [`ChainError::Db`] if the disk fails.
    fn snapshot(&self) -> Result<Arc<dyn KvRead>, ChainError>;

    /// Writes the batch wholly or not at all; durable when it returns, on the kind that has a disk.
    ///
    /// # Errors
    /// [`ChainError::Db`] if the disk fails; the tables are then as before.
    fn commit(&self, batch: Batch) -> Result<(), ChainError>;
}

/// The end of the keys that start with `prefix`; `None` if no key lies behind them.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

type Tables = BTreeMap<Table, Arc<BTreeMap<Vec<u8>, Vec<u8>>>>;

/// The kind without files, for tests and for chains that need not outlive the process.
#[derive(Debug, Default)]
pub struct MemoryKv {
    tables: RwLock<Tables>,
}

#[derive(Debug)]
struct MemorySnapshot(Tables);

impl Kv for MemoryKv {
    fn snapshot(&self) -> Result<Arc<dyn KvRead>, ChainError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::new(MemorySnapshot(tables.clone())))
    }

    fn commit(&self, batch: Batch) -> Result<(), ChainError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        for ((table, key), value) in batch.writes {
            let map = Arc::make_mut(tables.entry(table).or_default());
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }
}

impl KvRead for MemorySnapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError> {
        Ok(self.0.get(&table).and_then(|map| map.get(key)).cloned())
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), ChainError> {
        let Some(map) = self.0.get(&table) else { return Ok(()) };
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        let upper = to.map_or(Bound::Unbounded, Bound::Excluded);
        for (key, value) in map.range::<[u8], _>((Bound::Included(from), upper)) {
            if !visit(key, value)? {
                break;
            }
        }
        Ok(())
    }
}

/// The kind on disk: one redb file.
#[derive(Debug)]
pub struct RedbKv(Arc<Redb>);

/// A redb file that opens again by itself after the disk was full: redb refuses everything, reads too, once any call on
/// its file failed.
struct Redb {
    file: Arc<Backend>,
    /// None between a failure and the next use.
    database: RwLock<Option<Database>>,
    /// Commits so far, so that a snapshot knows whether it is still the newest.
    commits: AtomicU64,
}

impl fmt::Debug for Redb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redb").field("file", &self.file).finish_non_exhaustive()
    }
}

/// A file of ours as redb asks for one. The store's `LOCK` keeps other processes out.
#[derive(Debug)]
struct Backend {
    file: Arc<dyn DiskFile>,
    /// What is on disk is unknown from then on.
    has_sync_failed: AtomicBool,
}

/// Handed to redb; the file stays with us.
#[derive(Debug)]
struct Lent(Arc<Backend>);

impl StorageBackend for Lent {
    fn len(&self) -> io::Result<u64> {
        self.0.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.file.read_at(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.file.sync().inspect_err(|_| self.0.has_sync_failed.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.file.write_at(offset, bytes)
    }
}

impl RedbKv {
    /// Opens the file, or makes it with all tables. A file of up to 256 MiB is read whole and its checksums compared.
    ///
    /// # Errors
    /// [`ChainError::Db`] if the file is not redb's, is damaged or cannot be written.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, ChainError> {
        let opened = match disk.open(path, OpenMode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_file(disk, path)?;
                disk.open(path, OpenMode::Write)
            }
            opened => opened,
        };
        let synced = opened.and_then(|file| disk.sync_folder(parent(path)).map(|()| file));
        Self::with_file(synced.map_err(|error| io_error("open", path, error))?)
    }

    fn with_file(file: Arc<dyn DiskFile>) -> Result<Self, ChainError> {
        let file = Arc::new(Backend { file, has_sync_failed: AtomicBool::new(false) });
        let is_small = file.file.len().is_ok_and(|length| length <= CHECKED_BYTES);
        let database = RwLock::new(Some(open_database(&file, is_small)?));
        let kv = Self(Arc::new(Redb { file, database, commits: AtomicU64::new(0) }));
        kv.write(|transaction| {
            for table in Table::ALL {
                transaction.open_table(table.definition())?;
            }
            Ok(())
        })?;
        Ok(kv)
    }

    /// Gives back space that no row uses; long on a large file.
    ///
    /// # Errors
    /// [`ChainError::Db`] if the disk fails.
    pub fn compact(&mut self) -> Result<(), ChainError> {
        let mut open = self.0.database.write().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = &mut *open else { return Ok(()) };
        while database.compact().map_err(|source| db_error("compact", source))? {}
        Ok(())
    }

    /// One transaction, durable when it returns: redb syncs at a commit unless told otherwise, and quick-repair keeps two
    /// whole versions, so that no scan is needed after a crash.
    fn write(
        &self,
        work: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), ChainError> {
        let run = |database: &Database| -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(true);
            work(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        let result = self.0.with(run).map_err(|source| db_error("commit", source));
        match &result {
            Ok(()) => {
                self.0.commits.fetch_add(1, Ordering::AcqRel);
            }
            Err(error) if error.is_disk_full() => self.0.close(),
            Err(_) => {}
        }
        result
    }
}

/// Makes a file with empty tables under its name. redb itself cannot open what a crash leaves of its first writes.
fn make_file(disk: &dyn Disk, path: &Path) -> Result<(), ChainError> {
    let aside = path.with_extension("redb.new");
    let failed = |error| io_error("create", &aside, error);
    let file = disk.open(&aside, OpenMode::Truncate).map_err(failed)?;
    drop(RedbKv::with_file(file.clone())?);
    file.sync().map_err(failed)?;
    disk.rename(&aside, path).map_err(failed)?;
    disk.sync_folder(parent(path)).map_err(failed)
}

impl Redb {
    /// Runs `work` on the database, which is opened again if the disk was full.
    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &*open {
            return work(database);
        }
        drop(open);
        let mut closed = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if closed.is_none() {
            *closed = Some(open_database(&self.file, false).map_err(|error| match error {
                ChainError::Db { source, .. } => *source,
                other => redb::Error::Io(io::Error::other(other)),
            })?);
        }
        work(closed.as_ref().expect("opened above"))
    }

    /// Lets go of a database that failed, unless a failed sync forbids to go on.
    fn close(&self) {
        if !self.file.has_sync_failed.load(Ordering::Acquire) {
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn tables(&self) -> Result<Vec<RedbTable>, redb::Error> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let open_one = |table: Table| Ok(transaction.open_table(table.definition())?);
            Table::ALL.into_iter().map(open_one).collect()
        })
    }
}

fn open_database(file: &Arc<Backend>, is_checked: bool) -> Result<Database, ChainError> {
    Database::builder()
        .set_cache_size(REDB_CACHE_BYTES)
        .set_check_integrity_on_open(is_checked)
        .create_with_backend(Lent(file.clone()))
        .map_err(|source| db_error("open", source))
}

type RedbTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

struct RedbSnapshot {
    tables: Vec<RedbTable>,
    kv: Arc<Redb>,
    /// Commits when it was taken.
    commits: u64,
    /// The same tables in the database as it was opened again.
    again: OnceLock<Vec<RedbTable>>,
}

impl fmt::Debug for RedbSnapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedbSnapshot").finish_non_exhaustive()
    }
}

impl RedbSnapshot {
    /// Reads; once more from the database as it was opened again, if nothing was committed since this snapshot.
    fn read<T>(
        &self,
        table: Table,
        mut work: impl FnMut(&RedbTable) -> Result<T, redb::Error>,
    ) -> Result<T, ChainError> {
        let mut result = work(&self.tables[table as usize]);
        if matches!(result, Err(redb::Error::PreviousIo | redb::Error::DatabaseClosed))
            && self.kv.commits.load(Ordering::Acquire) == self.commits
        {
            let tables = match self.again.get() {
                Some(tables) => Ok(tables),
                None => self.kv.tables().map(|tables| self.again.get_or_init(|| tables)),
            };
            result = tables.and_then(|tables| work(&tables[table as usize]));
        }
        result.map_err(|source| db_error("read", source))
    }
}

impl Kv for RedbKv {
    fn snapshot(&self) -> Result<Arc<dyn KvRead>, ChainError> {
        let commits = self.0.commits.load(Ordering::Acquire);
        let tables = self.0.tables().map_err(|source| db_error("read", source))?;
        let (kv, again) = (self.0.clone(), OnceLock::new());
        Ok(Arc::new(RedbSnapshot { tables, kv, commits, again }))
    }

    fn commit(&self, batch: Batch) -> Result<(), ChainError> {
        self.write(|transaction| {
            let mut writes = batch.writes.into_iter().peekable();
            while let Some(&((table, _), _)) = writes.peek() {
                let mut open = transaction.open_table(table.definition())?;
                while let Some(((_, key), value)) = writes.next_if(|((next, _), _)| *next == table)
                {
                    match value {
                        Some(value) => open.insert(key.as_slice(), value.as_slice())?,
                        None => open.remove(key.as_slice())?,
                    };
                }
            }
            Ok(())
        })
    }
}

impl KvRead for RedbSnapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError> {
        self.read(table, |table| Ok(table.get(key)?.map(|guard| guard.value().to_vec())))
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), ChainError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        let upper = to.map_or(Bound::Unbounded, Bound::Excluded);
        // Begins behind the last pair shown, so that a second try shows none twice.
        let mut after: Option<Vec<u8>> = None;
        let walked = self.read(table, |table| {
            let lower = after.clone().map_or(Bound::Included(from.to_vec()), Bound::Excluded);
            let lower = lower.as_ref().map(Vec::as_slice);
            for pair in table.range::<&[u8]>((lower, upper))? {
                let (key, value) = pair?;
                after = Some(key.value().to_vec());
                match visit(key.value(), value.value()) {
                    Ok(true) => {}
                    other => return Ok(other.map(|_| ())),
                }
            }
            Ok(Ok(()))
        });
        walked?
    }
}

fn db_error(doing: &'static str, source: impl Into<redb::Error>) -> ChainError {
    ChainError::Db { doing, source: Box::new(source.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{OsDisk, SimDisk};

    /// The suite that every kind passes.
    fn check(kv: &dyn Kv) {
        let mut batch = Batch::default();
        for key in [[1u8, 0], [1, 255], [2, 0], [2, 7]] {
            batch.put(Table::Slots, key, [key[0], key[1], 9]);
        }
        batch.put(Table::Accounts, [2u8, 0], [1u8]);
        batch.put(Table::Meta, [0u8], []);
        kv.commit(batch).unwrap();
        let before = kv.snapshot().unwrap();

        let mut batch = Batch::default();
        batch.delete(Table::Slots, [2u8, 0]);
        batch.delete(Table::Slots, [9u8]);
        batch.put(Table::Slots, [2u8, 7], [5u8]);
        batch.put(Table::Slots, [2u8, 8], [6u8]);
        batch.delete(Table::Slots, [2u8, 8]);
        kv.commit(batch).unwrap();
        let after = kv.snapshot().unwrap();

        assert_eq!(before.get(Table::Slots, &[2, 0]).unwrap(), Some(vec![2, 0, 9]));
        assert_eq!(after.get(Table::Slots, &[2, 0]).unwrap(), None);
        assert_eq!(after.get(Table::Slots, &[2, 7]).unwrap(), Some(vec![5]));
        assert_eq!(after.get(Table::Slots, &[2, 8]).unwrap(), None, "the last write wins");
        assert_eq!(after.get(Table::Accounts, &[2, 0]).unwrap(), Some(vec![1]));
        assert_eq!(after.get(Table::Meta, &[0]).unwrap(), Some(vec![]));
        assert_eq!(after.get(Table::Code, &[0]).unwrap(), None);

        let keys = |from: &[u8], to: Option<&[u8]>, limit: usize| {
            let mut keys = Vec::new();
            let mut visit = |key: &[u8], _: &[u8]| {
                keys.push(key.to_vec());
                Ok(keys.len() < limit)
            };
            before.range(Table::Slots, from, to, &mut visit).unwrap();
            keys
        };
        assert_eq!(keys(&[1], prefix_end(&[1]).as_deref(), 9), [vec![1, 0], vec![1, 255]]);
        assert_eq!(keys(&[1, 1], None, 2), [vec![1, 255], vec![2, 0]]);
        assert_eq!(keys(&[3], Some(&[3]), 9), Vec::<Vec<u8>>::new());
        assert_eq!(keys(&[3], Some(&[2]), 9), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn memory_passes_the_suite() {
        check(&MemoryKv::default());
    }

    #[test]
    fn redb_passes_the_suite_and_keeps_what_was_committed() {
        let folder = tempfile::tempdir().unwrap();
        let sim = SimDisk::new(1);
        sim.create_dir_all(folder.path()).unwrap();
        let path = folder.path().join("state.redb");
        for disk in [&OsDisk as &dyn Disk, &sim] {
            check(&RedbKv::open(disk, &path).unwrap());
            let again = RedbKv::open(disk, &path).unwrap().snapshot().unwrap();
            assert_eq!(again.get(Table::Slots, &[2, 7]).unwrap(), Some(vec![5]));
        }
    }

    /// Any batches, applied to both kinds: the same tables after each, also through a reopening.
    fn check_pair(batches: &[Vec<(u8, u8, Option<u8>)>]) {
        let disk = SimDisk::new(1);
        let mut filed = RedbKv::open(&disk, Path::new("/state.redb")).unwrap();
        let memory = MemoryKv::default();
        let batch = |writes: &[(u8, u8, Option<u8>)]| {
            let mut batch = Batch::default();
            for &(table, key, value) in writes {
                let table = Table::ALL[table as usize % Table::ALL.len()];
                match value {
                    Some(value) => batch.put(table, [key], vec![value; value as usize]),
                    None => batch.delete(table, [key]),
                }
            }
            batch
        };
        let all = |kv: &dyn Kv, from: u8| {
            let (tables, mut pairs) = (kv.snapshot().unwrap(), Vec::new());
            for table in Table::ALL {
                let mut visit = |key: &[u8], value: &[u8]| {
                    pairs.push((table, key.to_vec(), value.to_vec()));
                    Ok(true)
                };
                tables.range(table, &[from], None, &mut visit).unwrap();
            }
            pairs
        };
        for (round, writes) in batches.iter().enumerate() {
            filed.commit(batch(writes)).unwrap();
            memory.commit(batch(writes)).unwrap();
            for from in [0, 100] {
                assert_eq!(all(&filed, from), all(&memory, from));
            }
            if round % 3 == 2 {
                drop(filed);
                filed = RedbKv::open(&disk.cut(round as u64), Path::new("/state.redb")).unwrap();
                assert_eq!(all(&filed, 0), all(&memory, 0), "after a power cut");
                drop(filed);
                filed = RedbKv::open(&disk, Path::new("/state.redb")).unwrap();
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

        #[test]
        fn both_kinds_hold_the_same(
            batches in proptest::collection::vec(
                proptest::collection::vec(proptest::prelude::any::<(u8, u8, Option<u8>)>(), 0..40),
                1..8,
            ),
        ) {
            check_pair(&batches);
        }
    }

    /// A commit that finds no space leaves everything readable and succeeds once there is some.
    #[test]
    fn a_full_disk_is_no_lasting_harm() {
        let disk = SimDisk::new(1);
        let kv = RedbKv::open(&disk, Path::new("/state.redb")).unwrap();
        let batch = |size: usize| {
            let mut batch = Batch::default();
            (0..200u8).for_each(|key| batch.put(Table::Slots, [key], vec![key; size]));
            batch
        };
        kv.commit(batch(10)).unwrap();
        let before = kv.snapshot().unwrap();
        let mut refused = 0;
        for room in [0, 100, 5_000, 100_000] {
            disk.set_capacity(disk.used() + room);
            let error = kv.commit(batch(20_000)).unwrap_err();
            assert!(error.is_disk_full(), "{error}");
            refused += 1;
            for tables in [&before, &kv.snapshot().unwrap()] {
                for key in 0..200 {
                    assert_eq!(tables.get(Table::Slots, &[key]).unwrap(), Some(vec![key; 10]));
                }
            }
        }
        assert_eq!(refused, 4);
        disk.set_capacity(u64::MAX);
        kv.commit(batch(20_000)).unwrap();
        let after = kv.snapshot().unwrap();
        assert_eq!(after.get(Table::Slots, &[7]).unwrap(), Some(vec![7; 20_000]));
        let again = RedbKv::open(&disk.cut(1), Path::new("/state.redb")).unwrap();
        let again = again.snapshot().unwrap();
        assert_eq!(again.get(Table::Slots, &[7]).unwrap(), Some(vec![7; 20_000]));
    }

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(prefix_end(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(prefix_end(&[1, 255]), Some(vec![2]));
        assert_eq!(prefix_end(&[255, 255]), None);
    }
}
