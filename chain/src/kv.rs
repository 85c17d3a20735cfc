//! Sorted key-value tables with two kinds: redb on disk, `BTreeMap` in memory.
//!
//! Readers hold a [`KvRead`], an unmoving picture of all tables; one writer commits a [`Batch`] at a time, wholly or not
//! at all. Which bytes stand in which table is written in [`crate::store::schema`].

mod redb;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock},
};

pub use self::redb::RedbKv;
use crate::error::ChainError;

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
}

/// Puts and deletes that become visible and durable together; the last write to a key wins.
///
/// Keys and values stand one after another in one buffer, and are sorted once, at the commit.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    writes: Vec<Write>,
}

/// Where a write's key and value stand.
#[derive(Debug, Clone, Copy)]
struct Write {
    table: Table,
    /// The key's first eight bytes, zeros where it is shorter: what most comparisons need.
    prefix: u64,
    /// Where the key begins; the value follows it.
    from: usize,
    key_bytes: usize,
    /// None removes the key.
    value_bytes: Option<usize>,
}

impl Batch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.write(table, key.as_ref(), Some(value.as_ref()));
    }

    /// Removes `key`; no error if it is absent.
    pub fn delete(&mut self, table: Table, key: impl AsRef<[u8]>) {
        self.write(table, key.as_ref(), None);
    }

    fn write(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        let mut prefix = [0; 8];
        prefix.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        self.writes.push(Write {
            table,
            prefix: u64::from_be_bytes(prefix),
            from: self.bytes.len(),
            key_bytes: key.len(),
            value_bytes: value.map(<[u8]>::len),
        });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    /// Every write in the order in which it was made, with its new value if it keeps one.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        self.writes.iter().map(|write| (write.table, self.key(write), self.value(write)))
    }

    /// The last write to each key, ascending by table and key.
    fn sorted(&mut self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        let bytes = &self.bytes;
        let key = |write: &Write| &bytes[write.from..write.from + write.key_bytes];
        let order = |a: &Write, b: &Write| {
            let short = (a.table, a.prefix).cmp(&(b.table, b.prefix));
            short.then_with(|| key(a).cmp(key(b)))
        };
        self.writes.sort_by(order);
        let is_last = |at: &usize| {
            let next = self.writes.get(at + 1);
            next.is_none_or(|next| order(&self.writes[*at], next).is_ne())
        };
        let last: Vec<_> = (0..self.writes.len()).filter(is_last).collect();
        last.into_iter().map(|at| {
            let write = &self.writes[at];
            (write.table, self.key(write), self.value(write))
        })
    }

    fn key(&self, write: &Write) -> &[u8] {
        &self.bytes[write.from..write.from + write.key_bytes]
    }

    fn value(&self, write: &Write) -> Option<&[u8]> {
        let from = write.from + write.key_bytes;
        write.value_bytes.map(|length| &self.bytes[from..from + length])
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
        for (table, key, value) in batch.writes() {
            let map = Arc::make_mut(tables.entry(table).or_default());
            match value {
                Some(value) => map.insert(key.to_vec(), value.to_vec()),
                None => map.remove(key),
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
