//! What every kind of tables does, and what the one on disk survives.

use std::path::Path;

use super::*;
use crate::disk::{Disk, OsDisk, SimDisk};

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
