use super::*;
use crate::ingest;
use crate::model::Severity;
use crate::model::json::{self, Value};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(ROOT).join(folder);
    let mut out: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("entry").path())
        .filter(|path| ingest::declared_by_name(&path.to_string_lossy()).is_some())
        .collect();
    out.sort();
    out
}

fn read(path: &Path) -> Vec<Item> {
    let bytes = std::fs::read(path).expect("file");
    let declared = ingest::declared_by_name(&path.to_string_lossy());
    ingest::read("urn:test:source", declared, &bytes)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn text(form: Form, text: &str) -> Result<Standardized, Vec<Issue>> {
    standardize(&Item::new("urn:test:source", form, text.as_bytes().to_vec()), &Tables::shipped())
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Object(members) => members.iter().map(|(_, member)| leaves(member)).sum(),
        _ => 1,
    }
}

/// Counts source leaves without the mapper: the coverage must add up to this.
fn source_leaves(item: &Item) -> usize {
    match item.form {
        Form::Hl7v2 => {
            let (message, _) = ingest::hl7v2::Message::parse(&item.bytes).expect("message");
            message.leaves().len()
        }
        Form::FhirJson => leaves(&json::parse(&item.bytes).expect("json")),
        Form::Ccda => {
            let text = ingest::ccda::text(&item.bytes).expect("text");
            let document = ingest::ccda::parse(&text).expect("document");
            ingest::ccda::leaves(&document).len()
        }
        Form::Csv => panic!("rows are counted by their own tests"),
        Form::Note => 1 + ingest::note::parse(&item.bytes).expect("note").header.len(),
    }
}

/// Everything of a good item that must hold, whatever the form.
fn check(item: &Item) -> Standardized {
    let tables = Tables::shipped();
    let out = standardize(item, &tables).unwrap_or_else(|issues| panic!("{issues:?}"));
    assert_eq!(out, standardize(item, &tables).expect("again"), "same bytes in, same records out");
    assert_eq!(out.coverage.total(), source_leaves(item), "coverage adds up");
    assert!(out.coverage.mapped > 0);
    let mut ids = BTreeSet::new();
    for record in &out.records {
        assert!(ids.insert(record.stable_id), "one record per stable id");
        let findings = validate::validate(&record.resource);
        assert!(findings.is_empty(), "{findings:?} {}", record.resource);
        assert_eq!(
            record.resource.str_at("id"),
            Some(crate::model::ids::uuid_text(&record.stable_id).as_str())
        );
        // What is hashed can be read back.
        let bytes = crate::model::canonical::to_bytes(&record.resource);
        assert_eq!(
            crate::model::canonical::to_bytes(&json::parse(&bytes).expect("canonical")),
            bytes
        );
    }
    assert!(out.records.iter().any(|record| record.resource_type == "Provenance"));
    out
}

#[test]
fn every_shipped_record_standardizes() {
    let mut patients = BTreeMap::new();
    for hospital in ["a", "b"] {
        for path in files(&format!("edge/data/demo/hospital-{hospital}")) {
            for item in read(&path) {
                for record in check(&item).records {
                    let diabetes = record.keywords.iter().any(|k| k.code == "DOID:9352");
                    let owner = record.patient.filter(|_| diabetes).map(|p| (p.system, p.value));
                    patients.entry(hospital).or_insert_with(BTreeSet::new).extend(owner);
                }
            }
        }
    }
    assert!(patients["a"].len() >= 24, "{} patients share the condition", patients["a"].len());
}

#[test]
fn every_sample_standardizes() {
    let mut count = 0;
    for folder in ["test/samples/hl7v2", "test/samples/ccda"] {
        for path in files(folder) {
            for item in read(&path) {
                check(&item);
                count += 1;
            }
        }
    }
    assert!(count >= 36, "{count} samples");
}

/// Hostile messages by their manifest (`test/vectors/attacks/hl7v2`).
#[test]
fn hostile_hl7v2() {
    attacks("hl7v2", Form::Hl7v2, &["36-mllp-nested-start.bin", "37-mllp-garbage-before.bin"]);
}

/// Hostile resources by their manifest (`test/vectors/attacks/fhir-json`).
#[test]
fn hostile_fhir_json() {
    attacks("fhir-json", Form::FhirJson, &[]);
}

/// Any text goes through every form, and keywords are looked for in it (`test/vectors/attacks/strings`).
#[test]
fn hostile_strings() {
    let path = Path::new(ROOT).join("test/vectors/attacks/strings/strings.json");
    let list = json::parse(&std::fs::read(path).expect("file")).expect("JSON");
    let terms = Tables::shipped().terminology.clone();
    let mut count = 0;
    for case in list.as_array().expect("cases") {
        let hex = case.str_at("utf8_hex").expect("hex");
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
            .collect();
        let mut message = ORU.as_bytes().to_vec();
        message.extend_from_slice(b"OBX|9|ST|8251-1^Comment^LN||");
        message.extend_from_slice(&bytes);
        message.extend_from_slice(b"||||||F\r");
        let (records, _) = outcome(&message, Form::Hl7v2);
        assert!(!records.is_empty(), "{hex}: the good segments stay");
        for record in &records {
            assert!(json::parse(record.to_string().as_bytes()).is_ok(), "{hex}");
            assert!(validate::validate(record).is_empty(), "{hex}");
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let text = format!("No fever {text} heart attack.");
            for found in
                crate::extract::mention::mentions(&text, crate::model::Assertion::Present, &terms)
            {
                assert!(text.get(found.range).is_some(), "{hex}");
            }
            let resource = Value::object([
                ("resourceType", "Basic".into()),
                ("code", Value::object([("text", text.as_str().into())])),
            ]);
            let _ = outcome(resource.to_string().as_bytes(), Form::FhirJson);
        }
        count += 1;
    }
    assert!(count > 20, "{count} strings");
}

/// Sanitized, without a connection, whatever the XML says (`test/vectors/attacks/xml`).
#[test]
fn hostile_xml() {
    attacks("xml", Form::Ccda, &[]);
}

fn attacks(topic: &str, form: Form, elsewhere: &[&str]) {
    let folder = Path::new(ROOT).join("test/vectors/attacks").join(topic);
    let manifest = json::parse(&std::fs::read(folder.join("manifest.json")).expect("manifest"));
    for case in manifest.expect("manifest").as_array().expect("cases") {
        let file = case.str_at("file").expect("file");
        if elsewhere.contains(&file) {
            continue;
        }
        let bytes = std::fs::read(folder.join(file)).expect("case");
        let (records, issues) = outcome(&bytes, form);
        let printed: String = records.iter().map(Value::to_string).collect();
        match case.str_at("expect").expect("expect") {
            "accept" => assert!(!records.is_empty(), "{file} must be accepted: {issues:?}"),
            "reject" => assert!(records.is_empty(), "{file} must be refused"),
            "partial" => {
                assert!(!records.is_empty(), "{file} must be kept in part: {issues:?}");
                assert!(!issues.is_empty(), "{file} must leave an issue");
            }
            "sanitize" => {
                for bad in ["<script", "javascript:", "onerror", "onload", "onclick", "http://127"]
                {
                    assert!(!printed.contains(bad), "{file}: {bad}");
                }
            }
            // either, no-fetch, reject-or-safe, reject-or-fast, idempotent, server-sets, timeout: no panic is the claim here
            _ => {}
        }
        if let Some(wanted) = case.str_at("must_contain") {
            assert!(printed.contains(wanted), "{file} must contain {wanted}");
        }
        if let Some(unwanted) = case.str_at("must_not_contain_segment") {
            assert!(!printed.starts_with(unwanted), "{file}");
        }
    }
}

fn outcome(bytes: &[u8], form: Form) -> (Vec<Value>, Vec<Issue>) {
    let items = match ingest::read_with_issues("urn:test:source", Some(form), bytes) {
        Ok((items, issues)) => (items, issues),
        Err(issue) => return (Vec::new(), vec![issue]),
    };
    let (items, mut issues) = items;
    let mut records = Vec::new();
    for item in items {
        match standardize(&item, &Tables::shipped()) {
            Ok(out) => {
                records.extend(out.records.into_iter().map(|record| record.resource));
                issues.extend(out.issues);
            }
            Err(refused) => issues.extend(refused),
        }
    }
    for issue in &issues {
        assert!(!issue.text.is_empty());
    }
    (records, issues)
}

const ORU: &str = "MSH|^~\\&|LAB|HOSP|||20240305101112+0100||ORU^R01|77|P|2.5.1\r\
PID|1||4711^^^HOSP&1.2.3.4&ISO^MR||Doe^Jane||19700203|F\r\
OBR|1|P1|F1|4548-4^HbA1c^LN|||20240305|||||||||||||||||F\r\
OBX|1|NM|4548-4^HbA1c^LN||7.10|%^percent^UCUM|4.0-6.0|H|||F|||202403050900\r\
NTE|1||Repeat in three months\r\
OBX|2|NM|2345-7^Glucose^LN||high|mg/dL|||||F\r\
OBX|3|CWE|600-7^Culture^LN||112283007^E. coli^SCT||||||P\r\
OBX|4|ST|8251-1^Comment^LN||||||||X\r";

fn of_type<'a>(out: &'a Standardized, kind: &str) -> Vec<&'a Value> {
    out.records.iter().filter(|r| r.resource_type == kind).map(|r| &r.resource).collect()
}

#[test]
fn a_result_becomes_observations() {
    let out = text(Form::Hl7v2, ORU).expect("standardized");
    let observations = of_type(&out, "Observation");
    let first = observations[0];
    assert_eq!(first.at("valueQuantity.value").and_then(Value::as_number), Some("7.10"));
    assert_eq!(first.str_at("valueQuantity.code"), Some("%"));
    assert_eq!(first.str_at("effectiveDateTime"), Some("2024-03-05T09:00:00+01:00"));
    assert_eq!(first.str_at("interpretation.0.coding.0.code"), Some("H"));
    assert_eq!(first.str_at("note.0.text"), Some("Repeat in three months"));
    assert_eq!(observations[1].str_at("valueString"), Some("high"));
    assert_eq!(observations[1].str_at("effectiveDateTime"), Some("2024-03-05"), "from OBR-7");
    assert_eq!(observations[2].str_at("valueCodeableConcept.coding.0.code"), Some("112283007"));
    assert_eq!(observations[3].str_at("status"), Some("cancelled"));
    assert_eq!(observations[3].str_at("dataAbsentReason.coding.0.code"), Some("not-performed"));
    let report = of_type(&out, "DiagnosticReport")[0];
    assert_eq!(report.items("result").len(), 4);
    let patient = of_type(&out, "Patient")[0];
    assert_eq!(patient.str_at("birthDate"), Some("1970-02-03"));
    assert_eq!(patient.str_at("identifier.0.system"), Some("urn:oid:1.2.3.4"));
    assert!(out.issues.iter().any(|issue| issue.rule == "hl7v2-number"));
    assert!(out.records.iter().all(|r| r.patient.is_some()), "all of it is about one patient");
}

#[test]
fn one_person_is_one_patient_in_every_form() {
    let v2 = text(Form::Hl7v2, ORU).expect("v2");
    let fhir = text(
        Form::FhirJson,
        r#"{"resourceType":"Patient","id":"x","identifier":[{"system":"urn:oid:1.2.3.4","value":"4711"}]}"#,
    )
    .expect("fhir");
    let note = text(Form::Note, "patient: urn:oid:1.2.3.4|4711\ntype: 11506-3\n\nNo fever.")
        .expect("note");
    let id = |out: &Standardized| {
        of_type(out, "Patient").first().and_then(|p| p.str_at("id")).map(str::to_owned)
    };
    assert_eq!(id(&v2), id(&fhir));
    let subject = of_type(&note, "DocumentReference")[0].str_at("subject.reference");
    assert_eq!(subject, id(&v2).map(|id| format!("Patient/{id}")).as_deref());
    assert_eq!(v2.records[0].patient, note.records[0].patient);
}

#[test]
fn another_patient_in_the_message_refuses_it() {
    let second = format!("{ORU}PID|2||4712^^^HOSP&1.2.3.4&ISO^MR||Roe^Rick\r");
    let issues = text(Form::Hl7v2, &second).expect_err("refused");
    let last = issues.last().expect("issue");
    assert_eq!((last.rule, last.severity), ("hl7v2-multi-patient", Severity::Fatal));
    assert!(!last.text.contains("Roe") && !last.text.contains("4712"));
}

#[test]
fn references_within_a_bundle_follow_the_new_ids() {
    let out = text(
        Form::FhirJson,
        r#"{"resourceType":"Bundle","type":"collection","entry":[
        {"fullUrl":"urn:uuid:11111111-1111-4111-8111-111111111111","resource":{"resourceType":"Patient","identifier":[{"system":"urn:s","value":"1"}]}},
        {"resource":{"resourceType":"Condition","id":"c1","meta":{"versionId":"7"},"subject":{"reference":"urn:uuid:11111111-1111-4111-8111-111111111111"},
          "recorder":{"reference":"Practitioner/9"},"encounter":{"reference":"Encounter?identifier=urn:e|5"},"code":{"text":"asthma"}}}]}"#,
    )
    .expect("bundle");
    let patient = of_type(&out, "Patient")[0].str_at("id").expect("id");
    let condition = of_type(&out, "Condition")[0];
    assert_eq!(condition.str_at("subject.reference"), Some(format!("Patient/{patient}").as_str()));
    assert_eq!(
        condition.str_at("recorder.reference"),
        Some("Practitioner/9"),
        "others keep their text"
    );
    assert_eq!(condition.str_at("encounter.identifier.value"), Some("5"));
    assert_eq!(condition.get("meta"), None);
    assert!(out.records.iter().all(|record| record.patient.is_some()));
}

/// A good item of each form, to be damaged.
fn good_items() -> Vec<(Form, Vec<u8>)> {
    let demo = Path::new(ROOT).join("edge/data/demo");
    let read = |name: &str| std::fs::read(demo.join(name)).expect("demo file");
    let ndjson = read("hospital-a/type2-diabetes.ndjson");
    let line = ndjson.split(|byte| *byte == b'\n').next().expect("line").to_vec();
    vec![
        (Form::Hl7v2, ORU.as_bytes().to_vec()),
        (Form::Hl7v2, read("hospital-b/adt-a04.hl7")),
        (Form::FhirJson, line),
        (Form::Note, read("hospital-a/follow-up.txt")),
        (Form::Ccda, read("hospital-b/history-and-physical.xml")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Damaged items are refused or standardized into valid resources, and their coverage still adds up.
    #[test]
    fn damaged_items_never_panic(
        which in 0usize..5,
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..40, ".{0,3}"), 1..4),
    ) {
        let (form, mut bytes) = good_items().swap_remove(which);
        for (at, length, insert) in cuts {
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, insert.into_bytes());
            bytes.push(b' ');
        }
        let item = Item::new("urn:test:source", form, bytes);
        if let Ok(out) = standardize(&item, &Tables::shipped()) {
            prop_assert_eq!(out.coverage.total(), source_leaves(&item));
            for record in &out.records {
                prop_assert!(validate::validate(&record.resource).is_empty());
            }
        }
    }
}
