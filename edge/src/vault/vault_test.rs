//! The store as a whole: what is acknowledged survives, what is damaged is named, nothing lies in clear.
use std::path::{Path, PathBuf};

use super::{crypt, *};
use crate::{
    keys::Keys,
    model::{
        Assertion, Coverage, Form, Identifier, Item, Keyword, Kind, StandardRecord, Standardized,
        canonical, ids,
        json::{self, Value},
    },
};

/// Stands in every text, code, name and identifier of the test records.
pub(crate) const MARKER: &str = "Zyxomarker";

/// A folder with keys.
pub(crate) fn folder() -> (tempfile::TempDir, Keys) {
    let dir = tempfile::tempdir().expect("a folder");
    let keys = Keys::create(dir.path(), None).expect("keys");
    (dir, keys)
}

pub(crate) fn stable(name: &str) -> [u8; 16] {
    ids::stable_id("test", "Any", name)
}

/// A record of `patient` (`None`: shared) that refers to others by name.
pub(crate) fn record(
    kind: &str,
    name: &str,
    patient: Option<&str>,
    value: &str,
    refers: &[(&str, &str)],
) -> StandardRecord {
    let references = refers.iter().map(|(kind, name)| {
        let text = format!("{kind}/{}", ids::uuid_text(&stable(name)));
        Value::object([("reference", Value::string(text))])
    });
    let coding = Value::object([
        ("system", Value::string("http://example.org/codes")),
        ("code", Value::string(format!("{MARKER}-code"))),
    ]);
    let resource = Value::object([
        ("resourceType", Value::string(kind)),
        ("id", Value::string(ids::uuid_text(&stable(name)))),
        ("conclusion", Value::string(format!("{MARKER} disease of the heart, {value}"))),
        ("code", Value::object([("coding", Value::Array(vec![coding]))])),
        ("basedOn", Value::Array(references.collect())),
    ]);
    let system = "http://example.org/mrn".to_owned();
    StandardRecord {
        resource_type: kind.into(),
        kind: Kind::from_resource_type(kind),
        stable_id: stable(name),
        patient: patient.map(|p| Identifier { system, value: format!("{MARKER}-{p}") }),
        resource,
        keywords: vec![Keyword {
            system: "http://example.org/concepts".into(),
            code: format!("{MARKER}-concept"),
            display: format!("{MARKER} disease"),
            assertion: Assertion::Present,
            weight: 3,
        }],
        text: format!("{MARKER} disease of the heart, {value}"),
        date: Some(1_700_000_000),
        quality: 90,
    }
}

pub(crate) fn item(bytes: &str, records: Vec<StandardRecord>) -> Standardized {
    let bytes = format!("{MARKER} original {bytes}").into_bytes();
    Standardized {
        item: Item::new("test", Form::FhirJson, bytes),
        records,
        issues: Vec::new(),
        coverage: Coverage { mapped: 3, raw: 1, dropped: 0 },
    }
}

/// An item with one patient and `count` observations.
pub(crate) fn patient_item(patient: &str, count: usize) -> Standardized {
    let mut records = vec![record("Patient", patient, Some(patient), "v", &[])];
    for n in 0..count {
        let name = format!("{patient}-{n}");
        records.push(record("Observation", &name, Some(patient), "v", &[("Patient", patient)]));
    }
    item(patient, records)
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Every file of a folder that holds `plain`.
pub(crate) fn files_with(dir: &Path, plain: &[u8]) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        let bytes = std::fs::read(path).expect("a file");
        bytes.windows(plain.len()).any(|window| window == plain)
    };
    files(dir).into_iter().filter(holds).collect()
}

fn open(dir: &Path, keys: &Keys) -> Vault {
    Vault::open(dir, keys.store_keys()).expect("opens")
}

#[test]
fn acknowledged_items_are_all_there_after_a_kill_at_any_moment() {
    let (dir, keys) = folder();
    let mut accepted = Vec::new();
    for round in 0..6 {
        // Dropped without a flush every time, with one in between: some rows in segments, some in the log.
        let vault = open(dir.path(), &keys);
        let item = patient_item(&format!("p{round}"), 40);
        let result = vault.accept(&item).expect("accepted");
        assert_eq!((result.records.len(), result.repeated), (41, false));
        accepted.push((item, result));
        if round == 3 {
            vault.flush().expect("flushed");
        }
    }
    let vault = open(dir.path(), &keys);
    assert_eq!(vault.patient_count().expect("counted"), 6);
    assert_eq!(vault.iter_metas().expect("read").len(), 6 * 41);
    for (item, result) in &accepted {
        for meta in &result.records {
            let record = vault.get(meta.handle).expect("read").expect("there");
            assert_eq!(record.meta, *meta);
        }
        assert!(vault.accept(item).expect("answered").repeated);
        let original = vault.original(&item.item.item_id).expect("read");
        assert_eq!(original, Some(item.item.bytes.clone()));
    }
    assert_eq!(vault.iter_metas().expect("read").len(), 6 * 41, "repeated items add nothing");
}

#[test]
fn ids_and_references_become_handles_whatever_the_order() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    let early = record(
        "Observation",
        "o",
        Some("p"),
        "v",
        &[("Patient", "p"), ("Practitioner", "dr"), ("Encounter", "late")],
    );
    let records = vec![
        early,
        record("Patient", "p", Some("p"), "v", &[]),
        record("Practitioner", "dr", None, "v", &[]),
    ];
    let accepted = vault.accept(&item("1", records)).expect("accepted").records;
    let late = item("2", vec![record("Encounter", "late", Some("p"), "v", &[])]);
    let late = vault.accept(&late).expect("accepted").records;
    let stored = vault.get(accepted[0].handle).expect("read").expect("there");
    // A shared record that is named before it arrives is found by all its patients under one handle.
    let names_lab =
        |patient| record("Observation", patient, Some(patient), "v", &[("Organization", "lab")]);
    let named = vault.accept(&item("3", vec![names_lab("x")])).expect("accepted").records;
    let lab = item("4", vec![record("Organization", "lab", None, "v", &[])]);
    let lab = vault.accept(&lab).expect("accepted").records.remove(0);
    let named = vault.get(named[0].handle).expect("read").expect("there");
    let text = String::from_utf8(named.bytes).expect("text");
    assert!(text.contains(&format!("Organization/{}", lab.handle)), "{text}");

    let resource = json::parse(&stored.bytes).expect("JSON");
    assert_eq!(resource.str_at("id"), Some(accepted[0].handle.to_string().as_str()));
    let references: Vec<&str> =
        resource.items("basedOn").iter().filter_map(|r| r.str_at("reference")).collect();
    let expected = [
        format!("Patient/{}", accepted[1].handle),
        format!("Practitioner/{}", accepted[2].handle),
        format!("Encounter/{}", late[0].handle),
    ];
    assert_eq!(references, expected);
    assert_eq!((accepted[1].patient_no, accepted[2].patient_no), (late[0].patient_no, SHARED));
    assert_eq!(stored.bytes, canonical::to_bytes(&resource), "canonical bytes are kept");
    assert_eq!(stored.meta.quality, 90 << 24 | 90 << 16 | 75);
}

#[test]
fn equal_bytes_change_nothing_and_other_bytes_make_a_new_version() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    let with = |bytes, value| item(bytes, vec![record("Condition", "c", Some("p"), value, &[])]);
    let first = vault.accept(&with("1", "old")).expect("accepted").records.remove(0);
    vault.flush().expect("flushed");
    let same = vault.accept(&with("2", "old")).expect("accepted").records.remove(0);
    assert_eq!(same, first);
    let second = vault.accept(&with("3", "new")).expect("accepted").records.remove(0);
    assert_eq!((second.prev, second.current), (Some(first.handle), true));
    let old = vault.get(first.handle).expect("read").expect("kept");
    assert!(!old.meta.current);
    let new = vault.get(second.handle).expect("read").expect("there");
    let id = json::parse(&new.bytes).expect("JSON").str_at("id").map(str::to_owned);
    assert_eq!(id, Some(first.handle.to_string()), "the FHIR id is the first version's handle");
    assert_eq!(vault.get(crate::model::Handle([9; 16])).expect("answered"), None);
}

#[test]
fn a_torn_log_is_a_clean_end_and_a_flipped_byte_is_named() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    vault.accept(&patient_item("a", 2)).expect("accepted");
    let wal = files(&dir.path().join("wal")).remove(0);
    let whole_a = std::fs::metadata(&wal).expect("there").len();
    vault.accept(&patient_item("b", 2)).expect("accepted");
    drop(vault);
    let bytes = std::fs::read(&wal).expect("there");
    std::fs::write(&wal, &bytes[..bytes.len() - 7]).expect("written");
    let vault = open(dir.path(), &keys);
    assert_eq!(vault.patient_count().expect("counted"), 1);
    assert_eq!(std::fs::metadata(&wal).expect("there").len(), whole_a);
    drop(vault);
    let mut flipped = bytes;
    flipped[100] ^= 1;
    std::fs::write(&wal, &flipped).expect("written");
    let error = Vault::open(dir.path(), keys.store_keys()).expect_err("damage").to_string();
    assert!(error.contains(".wal") && error.contains("offset 64"), "{error}");
    assert_eq!(std::fs::read(&wal).expect("there"), flipped, "nothing is cut from a damaged log");
}

#[test]
fn a_flipped_byte_of_a_segment_is_named_and_other_patients_are_read() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    let a = vault.accept(&patient_item("a", 3)).expect("accepted").records;
    vault.flush().expect("flushed");
    let segment = files(&dir.path().join("segments")).remove(0);
    let mut bytes = std::fs::read(&segment).expect("there");
    let b = vault.accept(&patient_item("b", 3)).expect("accepted").records;
    vault.flush().expect("flushed");
    let grown = std::fs::read(&segment).expect("there");
    assert_eq!(grown[..bytes.len()], bytes, "segments only grow");
    bytes = grown;
    bytes[64 + 200] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    let error = vault.get(a[0].handle).expect_err("damage").to_string();
    assert!(error.contains(".seg, offset 64"), "{error}");
    assert!(vault.get(b[0].handle).expect("read").is_some());
}

#[test]
fn a_missing_catalogue_or_a_cut_segment_refuses_the_store() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    vault.accept(&patient_item("a", 3)).expect("accepted");
    vault.flush().expect("flushed");
    assert!(matches!(Vault::open(dir.path(), keys.store_keys()), Err(EdgeError::Storage { .. })));
    drop(vault);
    let segment = files(&dir.path().join("segments")).remove(0);
    let bytes = std::fs::read(&segment).expect("there");
    std::fs::write(&segment, &bytes[..bytes.len() - 1]).expect("written");
    let error = Vault::open(dir.path(), keys.store_keys()).expect_err("damage").to_string();
    assert!(error.contains("1 bytes are missing"), "{error}");
    // What a flush left behind that was cut short is removed.
    std::fs::write(&segment, [bytes.as_slice(), b"half a block"].concat()).expect("written");
    drop(open(dir.path(), &keys));
    assert_eq!(std::fs::read(&segment).expect("there"), bytes);
    std::fs::remove_file(dir.path().join("catalogue.redb")).expect("removed");
    let error = Vault::open(dir.path(), keys.store_keys()).expect_err("damage").to_string();
    assert!(error.contains("catalogue is missing"), "{error}");
}

#[test]
fn an_altered_record_opens_and_stays_altered() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    let records = vault.accept(&patient_item("a", 2)).expect("accepted").records;
    vault.flush().expect("flushed");
    let alter = |value: &mut Value| value.set("conclusion", Value::string("changed"));
    vault.alter_for_demo(records[1].handle, alter).expect("altered");
    drop(vault);
    let vault = open(dir.path(), &keys);
    for _ in 0..2 {
        let altered = vault.get(records[1].handle).expect("read").expect("opens");
        let note =
            json::parse(&altered.bytes).expect("JSON").str_at("conclusion").map(str::to_owned);
        assert_eq!(note.as_deref(), Some("changed"));
        assert_eq!(vault.iter_metas().expect("read").len(), 3, "no record more");
        vault.flush().expect("flushed");
    }
    assert!(vault.alter_for_demo(crate::model::Handle([1; 16]), |_| ()).is_err());
}

#[test]
fn an_erased_patient_leaves_no_key_and_the_others_stay() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    let a = vault.accept(&patient_item("a", 2)).expect("accepted").records;
    let both = vec![
        record("Condition", "ca", Some("a"), "v", &[]),
        record("Condition", "cb", Some("b"), "v", &[]),
    ];
    let both = item("both", both);
    let b = vault.accept(&both).expect("accepted").records[1].clone();
    vault.flush().expect("flushed");
    assert!(vault.original(&both.item.item_id).expect("read").is_some());
    let entry = std::fs::read(dir.path().join("keys.log")).expect("there");
    let of_a = |entry: &&[u8]| entry[16..24] == a[0].patient_no.0.to_be_bytes();
    let wrapped = entry.chunks(72).find(of_a).expect("logged")[28..68].to_vec();
    assert_eq!(files_with(dir.path(), &wrapped).len(), 2, "catalogue and keys.log");
    let erased = vault.erase_patient(a[0].patient_no).expect("erased");
    assert_eq!(erased.handles.len(), 4);
    assert_eq!(files_with(dir.path(), &wrapped), Vec::<PathBuf>::new());
    for _ in 0..2 {
        assert_eq!(vault.get(a[0].handle).expect("answered"), None);
        assert!(vault.get(b.handle).expect("read").is_some());
        assert_eq!(vault.original(&both.item.item_id).expect("read"), None);
        assert_eq!(vault.patient_count().expect("counted"), 1);
        assert!(vault.accept(&both).expect("answered").repeated, "known items stay known");
        vault.flush().expect("flushed");
    }
    let again = vault.accept(&item("later", vec![record("Condition", "x", Some("a"), "v", &[])]));
    let again = again.expect("accepted").records.remove(0);
    assert_ne!(again.patient_no, a[0].patient_no, "the person is a stranger now");
}

#[test]
fn wrong_keys_do_not_open_a_store() {
    let (dir, keys) = folder();
    let vault = open(dir.path(), &keys);
    vault.accept(&patient_item("a", 1)).expect("accepted");
    drop(vault);
    let mut other = keys.store_keys().clone();
    other.store = crypt::Secret::random();
    let error = Vault::open(dir.path(), &other).expect_err("another key").to_string();
    assert!(error.contains("does not open"), "{error}");
}
