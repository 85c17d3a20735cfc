//! Sorted key-value tables with two kinds: redb on disk, `BTreeMap` in memory.
//!
//! Readers hold a [`KvRead`], an unmoving picture of all tables; one writer commits a [`Batch`] at a time, wholly or not
//! at all. Which bytes stand in which table is written in [`crate::store::schema`].

use std::{
    collections::BTreeMap,
    fmt, io,
    ops::Bound,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use redb::{Database, ReadOnlyTable, ReadableDatabase as _, StorageBackend, TableDefinition};

use crate::{
    disk::{Disk, DiskFile, OpenMode, parent},
    error::ChainError,
    log::io_error,
};

/// Memory that redb may use for its pages, bytes; nine tenths of all reads end in layers above it.
const REDB_CACHE_BYTES: usize = 64 * 1024 * 1024;

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
}

impl Table {
    /// Every table, ascending.
    pub const ALL: [Self; 10] = [
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
pub struct RedbKv {
    database: Database,
}

impl fmt::Debug for RedbKv {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedbKv").finish_non_exhaustive()
    }
}

/// A file of ours as redb asks for one. The store's `LOCK` keeps other processes out.
#[derive(Debug)]
struct Backend(Arc<dyn DiskFile>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }
}

impl RedbKv {
    /// Opens the file, or makes it with all tables.
    ///
    /// # Errors
    /// [`ChainError::Db`] if the file is not redb's, is damaged or cannot be written.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, ChainError> {
        let file = disk
            .open(path, OpenMode::Create)
            .and_then(|file| disk.sync_folder(parent(path)).map(|()| file))
            .map_err(|error| io_error("open", path, error))?;
        let database = Database::builder()
            .set_cache_size(REDB_CACHE_BYTES)
            .create_with_backend(Backend(file))
            .map_err(|source| db_error("open", source))?;
        let kv = Self { database };
        kv.write(|transaction| {
            for table in Table::ALL {
                transaction.open_table(table.definition())?;
            }
            Ok(())
        })?;
        Ok(kv)
    }

    fn write(
        &self,
        work: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), ChainError> {
        let run = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_quick_repair(true);
            work(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        run().map_err(|source| db_error("commit", source))
    }
}

type RedbTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

struct RedbSnapshot {
    tables: Vec<RedbTable>,
}

impl fmt::Debug for RedbSnapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedbSnapshot").finish_non_exhaustive()
    }
}

impl Kv for RedbKv {
    fn snapshot(&self) -> Result<Arc<dyn KvRead>, ChainError> {
        let open = || -> Result<Vec<RedbTable>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let open_one = |table: Table| Ok(transaction.open_table(table.definition())?);
            Table::ALL.into_iter().map(open_one).collect()
        };
        let tables = open().map_err(|source| db_error("read", source))?;
        Ok(Arc::new(RedbSnapshot { tables }))
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
        let found =
            self.tables[table as usize].get(key).map_err(|source| db_error("read", source))?;
        Ok(found.map(|guard| guard.value().to_vec()))
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
        let pairs = self.tables[table as usize]
            .range::<&[u8]>((Bound::Included(from), upper))
            .map_err(|source| db_error("read", source))?;
        for pair in pairs {
            let (key, value) = pair.map_err(|source| db_error("read", source))?;
            if !visit(key.value(), value.value())? {
                break;
            }
        }
        Ok(())
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

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(prefix_end(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(prefix_end(&[1, 255]), Some(vec![2]));
        assert_eq!(prefix_end(&[255, 255]), None);
    }
}
