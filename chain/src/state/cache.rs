//! [`CachedKv`]: accounts and slots that were read or written lately, over tables on disk.
//!
//! Snapshots of several commits are read at once, so each cached value says since which commit it holds:
//!
//! ```text
//!   epoch      even: at rest; odd: a commit is under way. One more than twice the commits so far.
//!   a snapshot remembers the epoch at which it was taken; one taken during a commit goes past the cache
//!   a read     believes values that hold since its own epoch or earlier
//!              puts in what it found only if no commit came since
//!   a commit   puts in every value it wrote, as of the new epoch, before that epoch starts
//! ```
//!
//! So whatever stands in the cache at epoch e is the value as of e, and older snapshots just do not see newer ones. Sixteen
//! times four parts have a lock each, held for one look-up. A part forgets by generations: what was not asked for while
//! half its room was filled anew goes.

use std::{
    collections::HashMap,
    fmt,
    hash::BuildHasher as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_primitives::map::DefaultHashBuilder;

use crate::{
    error::ChainError,
    kv::{Batch, Kv, KvRead, Table, Visit},
};

/// Parts with a lock of their own.
const PARTS: usize = 64;

/// What an entry weighs besides its bytes: two allocations, and its place in a map.
const ENTRY_BYTES: usize = 112;

/// Tables with a cache in front of them.
#[derive(Debug)]
pub struct CachedKv<K> {
    tables: K,
    cache: Arc<Cache>,
    /// Held by a commit: epochs count them one by one.
    committing: Mutex<()>,
}

impl<K: Kv> CachedKv<K> {
    /// Keeps up to about `bytes` in memory.
    pub fn new(tables: K, bytes: usize) -> Self {
        let parts = (0..PARTS).map(|_| Mutex::default()).collect();
        let (epoch, half_bytes) = (AtomicU64::new(0), bytes / PARTS / 2);
        let hasher = DefaultHashBuilder::default();
        let cache = Arc::new(Cache { parts, epoch, hasher, half_bytes });
        Self { tables, cache, committing: Mutex::new(()) }
    }
}

impl<K: Kv> Kv for CachedKv<K> {
    fn snapshot(&self) -> Result<Arc<dyn KvRead>, ChainError> {
        let epoch = self.cache.epoch.load(Ordering::SeqCst);
        let tables = self.tables.snapshot()?;
        if epoch % 2 == 1 || epoch != self.cache.epoch.load(Ordering::SeqCst) {
            return Ok(tables);
        }
        Ok(Arc::new(CachedSnapshot { tables, cache: self.cache.clone(), epoch }))
    }

    fn commit(&self, batch: Batch) -> Result<(), ChainError> {
        let cached = |(table, _, _): &(Table, &[u8], Option<&[u8]>)| is_cached(*table);
        let writes: Vec<_> = batch
            .writes()
            .filter(cached)
            .map(|(table, key, value)| {
                (table, Box::<[u8]>::from(key), value.map(Box::<[u8]>::from))
            })
            .collect();
        let _alone = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.cache.epoch.fetch_add(1, Ordering::SeqCst);
        let done = self.tables.commit(batch);
        if done.is_ok() {
            for (table, key, value) in writes {
                let mut part = self.cache.part(table, &key);
                part.put(key, Cached { value, since: old + 2 }, self.cache.half_bytes);
            }
        }
        self.cache.epoch.store(old + 2, Ordering::SeqCst);
        done
    }
}

const fn is_cached(table: Table) -> bool {
    matches!(table, Table::Accounts | Table::Slots)
}

struct Cache {
    parts: Box<[Mutex<Part>]>,
    epoch: AtomicU64,
    hasher: DefaultHashBuilder,
    half_bytes: usize,
}

impl fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cache").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Cache {
    fn part(&self, table: Table, key: &[u8]) -> MutexGuard<'_, Part> {
        let hash = self.hasher.hash_one((table.name(), key));
        let index = usize::try_from(hash % PARTS as u64).expect("below 64");
        self.parts[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone)]
struct Cached {
    value: Option<Box<[u8]>>,
    since: u64,
}

type Entries = HashMap<Box<[u8]>, Cached, DefaultHashBuilder>;

/// Accounts and slots have keys of different lengths and share the maps.
#[derive(Debug, Default)]
struct Part {
    young: Entries,
    old: Entries,
    young_bytes: usize,
}

impl Part {
    fn get(&mut self, key: &[u8], half_bytes: usize) -> Option<Cached> {
        if let Some(found) = self.young.get(key) {
            return Some(found.clone());
        }
        let (key, found) = self.old.remove_entry(key)?;
        self.put(key, found.clone(), half_bytes);
        Some(found)
    }

    fn put(&mut self, key: Box<[u8]>, cached: Cached, half_bytes: usize) {
        let bytes = |key: &[u8], cached: &Cached| {
            key.len() + cached.value.as_ref().map_or(0, |value| value.len()) + ENTRY_BYTES
        };
        self.old.remove(&key);
        self.young_bytes += bytes(&key, &cached);
        let length = key.len();
        if let Some(before) = self.young.insert(key, cached) {
            self.young_bytes -= length + before.value.map_or(0, |value| value.len()) + ENTRY_BYTES;
        }
        if self.young_bytes > half_bytes {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

#[derive(Debug)]
struct CachedSnapshot {
    tables: Arc<dyn KvRead>,
    cache: Arc<Cache>,
    epoch: u64,
}

impl KvRead for CachedSnapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError> {
        if !is_cached(table) {
            return self.tables.get(table, key);
        }
        let half_bytes = self.cache.half_bytes;
        let found = self.cache.part(table, key).get(key, half_bytes);
        if let Some(found) = found.filter(|found| found.since <= self.epoch) {
            return Ok(found.value.map(Vec::from));
        }
        let value = self.tables.get(table, key)?;
        let mut part = self.cache.part(table, key);
        // A commit that starts after this look puts its values in later, under the same lock.
        if self.cache.epoch.load(Ordering::SeqCst) == self.epoch {
            let cached = Cached { value: value.as_deref().map(Into::into), since: self.epoch };
            part.put(key.into(), cached, half_bytes);
        }
        Ok(value)
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), ChainError> {
        self.tables.range(table, from, to, visit)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;
    use crate::kv::MemoryKv;

    fn batch(writes: &[(u8, Option<u8>)]) -> Batch {
        let mut batch = Batch::default();
        for &(key, value) in writes {
            match value {
                Some(value) => batch.put(Table::Accounts, [key; 20], [value; 9]),
                None => batch.delete(Table::Accounts, [key; 20]),
            }
        }
        batch
    }

    proptest! {
        /// Every snapshot, however old, goes on answering as the tables alone would, whatever was cached or forgotten.
        #[test]
        fn answers_as_the_tables_do(
            commits in prop::collection::vec(prop::collection::vec((0u8..40, any::<Option<u8>>()), 0..20), 1..8),
            reads in prop::collection::vec((any::<prop::sample::Index>(), 0u8..40), 0..300),
            bytes in prop_oneof![Just(0usize), Just(64 * 2 * 400), Just(1 << 20)],
        ) {
            let (plain, cached) = (MemoryKv::default(), CachedKv::new(MemoryKv::default(), bytes));
            let mut snapshots = Vec::new();
            let per_commit = reads.len() / commits.len();
            for (index, writes) in commits.iter().enumerate() {
                plain.commit(batch(writes)).unwrap();
                cached.commit(batch(writes)).unwrap();
                snapshots.push((plain.snapshot().unwrap(), cached.snapshot().unwrap()));
                for (snapshot, key) in &reads[index * per_commit..][..per_commit] {
                    let (plain, cached) = snapshot.get(&snapshots);
                    let want = plain.get(Table::Accounts, &[*key; 20]).unwrap();
                    prop_assert_eq!(cached.get(Table::Accounts, &[*key; 20]).unwrap(), want);
                }
            }
            for part in &cached.cache.parts {
                let part = part.lock().unwrap();
                prop_assert!(part.young_bytes <= bytes / PARTS / 2);
            }
        }
    }

    /// All keys of one commit have one value; nobody may see two of them mixed.
    #[test]
    fn no_snapshot_sees_half_a_commit_while_others_read_and_write() {
        const COMMITS: u8 = 200;
        let kv = CachedKv::new(MemoryKv::default(), 1 << 20);
        let all = |value| (0..30).map(|key| (key, Some(value))).collect::<Vec<_>>();
        kv.commit(batch(&all(0))).unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        let snapshot = kv.snapshot().unwrap();
                        let value = |key: u8| snapshot.get(Table::Accounts, &[key; 20]).unwrap();
                        let first = value(0).unwrap();
                        for key in (0..30).chain(0..30) {
                            assert_eq!(value(key).as_ref(), Some(&first));
                        }
                        if first[0] == COMMITS {
                            break;
                        }
                    }
                });
            }
            for value in 1..=COMMITS {
                kv.commit(batch(&all(value))).unwrap();
            }
        });
    }
}
