//! Packing, giving back, new keys, checks: every record stays what it was, and what is gone is gone.
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    check::Depth,
    crypt::Secret,
    vault_test::{MARKER, files, files_with, folder, item, patient_item, record},
    *,
};
use crate::keys::Keys;

fn open(dir: &Path, keys: &Keys) -> Vault {
    Vault::open(dir, keys.store_keys()).expect("opens")
}

/// Everything in a store, by handle.
fn all(vault: &Vault) -> BTreeMap<Handle, StoredRecord> {
    let mut records = BTreeMap::new();
    vault
        .for_each(|record| {
            records.insert(record.meta.handle, record);
            Ok(())
        })
        .expect("read");
    records
}

/// A store of three patients and two items that two of them share, written in many small steps.
fn scattered(vault: &Vault) -> Vec<crate::model::Standardized> {
    let mut items = Vec::new();
    for round in 0..6 {
        for name in ["a", "b", "c"] {
            let label = format!("{name}{round}");
            let records = (0..20).map(|n| {
                record(
                    "Observation",
                    &format!("{label}-{n}"),
                    Some(name),
                    &label,
                    &[("Patient", name)],
                )
            });
            items.push(item(&label, records.collect()));
        }
        vault
            .accept_all(&items)
            .expect("stored")
            .into_iter()
            .for_each(|one| drop(one.expect("accepted")));
        vault.flush().expect("flushed");
    }
    for label in ["one", "two"] {
        let of =
            |name: &str| record("Condition", &format!("{label}-{name}"), Some(name), label, &[]);
        items.push(item(label, vec![of("a"), of("b")]));
        vault.accept(items.last().expect("pushed")).expect("accepted");
    }
    vault.flush().expect("flushed");
    items
}

fn originals_hold(vault: &Vault, items: &[crate::model::Standardized]) {
    for item in items {
        let bytes = vault.original(&item.item.item_id).expect("read");
        assert_eq!(bytes.as_ref(), Some(&item.item.bytes));
    }
    let some = vault.iter_metas().expect("read");
    for meta in some.iter().filter(|meta| meta.patient_no != SHARED) {
        let bytes = vault.original_of(meta.handle).expect("read").expect("there");
        assert!(bytes.starts_with(MARKER.as_bytes()));
    }
}

#[test]
fn packing_keeps_everything_and_gives_back_room() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    let items = scattered(&vault);
    let before = all(&vault);
    assert_eq!(before.len(), 3 * 120 + 4);
    let mut told = Vec::new();
    let done = vault.compact(|done, of| told.push((done, of))).expect("packed");
    assert!(done.after < done.before / 2, "{done:?}");
    assert_eq!((done.patients, told.last()), (3, Some(&(3, 3))));
    for _ in 0..2 {
        assert!(all(&vault) == before);
        originals_hold(&vault, &items);
        let checked = vault.check(Depth::Full, false).expect("checked");
        assert_eq!((checked.records, checked.findings), (364, Vec::<String>::new()));
        assert_eq!(vault.compact(|_, _| ()).expect("again").patients, 0, "nothing is left to do");
    }
    drop(vault);
    let vault = open(dir.path(), &keys);
    assert!(all(&vault) == before);
    assert!(items.iter().all(|item| vault.accept(item).expect("answered").repeated));
    let more = vault.accept(&patient_item("a", 3)).expect("accepted");
    assert_eq!(vault.compact(|_, _| ()).expect("packed").patients, 1);
    assert!(vault.get(more.records[2].handle).expect("read").is_some());
}

#[test]
fn new_keys_open_what_the_old_ones_did() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    let items = scattered(&vault);
    let before = all(&vault);
    let log = |dir: &Path| std::fs::read(dir.join("keys.log")).expect("there");
    let old = log(dir.path());
    assert_eq!(vault.rotate_patient_keys(|_, _| ()).expect("rotated"), 3);
    assert!(all(&vault) == before);
    originals_hold(&vault, &items);
    for entry in old.chunks(72) {
        let wrapped = &entry[28..68];
        assert_eq!(files_with(dir.path(), wrapped), Vec::<PathBuf>::new(), "old keys are gone");
        assert_eq!(
            log(dir.path()).chunks(72).filter(|new| new[16..24] == entry[16..24]).count(),
            1
        );
    }
    let kek = Secret::random();
    vault.rewrap(&kek).expect("wrapped anew");
    let between = log(dir.path());
    drop(vault);
    assert!(Vault::open(dir.path(), keys.store_keys()).and_then(|v| v.iter_metas()).is_err());
    let mut new = keys.store_keys().clone();
    new.kek = kek;
    let vault = Vault::open(dir.path(), &new).expect("opens");
    assert!(all(&vault) == before);
    assert_ne!(between, old);
    let checked = vault.check(Depth::Full, false).expect("checked");
    assert_eq!(checked.findings, Vec::<String>::new());
}

#[test]
fn a_check_names_what_does_not_fit_and_repairs_what_can_be() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    scattered(&vault);
    vault.compact(|_, _| ()).expect("packed");
    let segment = files(&dir.path().join("segments")).remove(0);
    std::fs::write(dir.path().join("keys.log"), b"").expect("emptied");
    let stray = dir.path().join("segments").join(format!("{:016x}.seg", 99));
    std::fs::write(&stray, b"left over").expect("written");
    let found = vault.check(Depth::Quick, false).expect("checked").findings;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("3 keys are missing") && found[1].contains("1 segments"),
        "{found:?}"
    );
    vault.check(Depth::Quick, true).expect("repaired");
    assert!(!stray.exists());
    assert_eq!(vault.check(Depth::Quick, false).expect("checked").findings, Vec::<String>::new());
    let mut bytes = std::fs::read(&segment).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    let found = vault.check(Depth::Full, false).expect("checked").findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("damage") && found[0].contains(".seg, offset"), "{found:?}");
}

#[test]
fn after_an_erasure_nothing_of_the_patient_opens_and_nothing_lies_in_clear() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    let items = scattered(&vault);
    vault.accept(&patient_item("a", 5)).expect("in the log only");
    let scan = || {
        for plain in [MARKER, &MARKER.to_lowercase(), "Observation", "disease of the heart"] {
            assert_eq!(files_with(dir.path(), plain.as_bytes()), Vec::<PathBuf>::new(), "{plain}");
        }
    };
    scan();
    let metas = vault.iter_metas().expect("read");
    let of_a = vault.accept(&items[0]).expect("answered").records[0].patient_no;
    let erased = vault.erase_patient(of_a).expect("erased");
    assert_eq!(erased.handles.len(), metas.iter().filter(|m| m.patient_no == of_a).count());
    vault.compact(|_, _| ()).expect("packed");
    scan();
    for meta in metas {
        let is_there = vault.get(meta.handle).expect("answered").is_some();
        assert_eq!(is_there, meta.patient_no != of_a);
    }
    for item in &items[items.len() - 2..] {
        assert_eq!(
            vault.original(&item.item.item_id).expect("read"),
            None,
            "shared with the erased"
        );
    }
    let sizes = vault.sizes().expect("measured");
    assert_eq!(sizes.patients, 2);
    let checked = vault.check(Depth::Full, false).expect("checked");
    assert_eq!(checked.findings, Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any order of storing, flushing, packing, new keys and kills reads like a map of what was acknowledged.
    #[test]
    fn any_interleaving_equals_a_map(steps in proptest::collection::vec((0_u8..8, 0_u8..5), 1..14)) {
        let (dir, keys) = folder();
        let mut vault = open(dir.path(), &keys);
        let mut expected: BTreeMap<Handle, StoredRecord> = BTreeMap::new();
        for (step, (kind, which)) in steps.into_iter().enumerate() {
            match kind {
                0..=3 => {
                    let name = format!("p{which}");
                    let value = format!("value {}", step % 3);
                    let one = record("Condition", "c", Some(&name), &value, &[("Patient", &name)]);
                    let accepted = vault.accept(&item(&step.to_string(), vec![one])).expect("accepted");
                    for meta in accepted.records {
                        let record = vault.get(meta.handle).expect("read").expect("there");
                        if let Some(old) = meta.prev.and_then(|prev| expected.get_mut(&prev)) {
                            old.meta.current = false;
                        }
                        expected.insert(meta.handle, record);
                    }
                }
                4 => vault.flush().expect("flushed"),
                5 => assert!(vault.compact(|_, _| ()).expect("packed").patients <= 6),
                6 => assert!(vault.rotate_patient_keys(|_, _| ()).expect("rotated") <= 6),
                _ => {
                    drop(vault);
                    vault = open(dir.path(), &keys);
                }
            }
            prop_assert!(all(&vault) == expected);
        }
    }
}
