//! [`RedbKv`]: the kind on disk.

use std::{
    fmt, io,
    ops::Bound,
    path::Path,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use redb::{Database, ReadOnlyTable, ReadableDatabase as _, StorageBackend, TableDefinition};

use super::{Batch, Kv, KvRead, Table, Visit};
use crate::{
    disk::{Disk, DiskFile, OpenMode, parent},
    error::ChainError,
    log::io_error,
};

/// Memory that redb may use for its pages, bytes; nine tenths of all reads end in layers above it.
const REDB_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// A file up to this size is checked whole when it opens, which takes less than a second; beyond, `db verify` does it.
const CHECKED_BYTES: u64 = 256 * 1024 * 1024;

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
                transaction.open_table(definition(table))?;
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
            let open_one = |table: Table| Ok(transaction.open_table(definition(table))?);
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

    fn commit(&self, mut batch: Batch) -> Result<(), ChainError> {
        self.write(|transaction| {
            let mut writes = batch.sorted().peekable();
            while let Some(&(table, ..)) = writes.peek() {
                let mut open = transaction.open_table(definition(table))?;
                while let Some((_, key, value)) = writes.next_if(|(next, ..)| *next == table) {
                    match value {
                        Some(value) => open.insert(key, value)?,
                        None => open.remove(key)?,
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

const fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

fn db_error(doing: &'static str, source: impl Into<redb::Error>) -> ChainError {
    ChainError::Db { doing, source: Box::new(source.into()) }
}
