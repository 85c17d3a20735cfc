//! Hostile inputs, answered as their manifests say (`test/vectors/attacks`, `test/vectors/fhir-bad`): every case of every
//! manifest is judged by its own word, and how many there were is checked, so that none is passed over.
use super::*;
use crate::ingest::{self, mllp};
use crate::model::json::{self, Value};
use crate::model::{Assertion, Severity};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors");

/// What became of a file: its resources, its issues, and how many items were refused.
struct Outcome {
    records: Vec<StandardRecordJson>,
    issues: Vec<Issue>,
    refused: usize,
}

struct StandardRecordJson {
    stable_id: [u8; 16],
    resource: Value,
}

fn outcome(bytes: &[u8], form: Form) -> Outcome {
    let mut out = Outcome { records: Vec::new(), issues: Vec::new(), refused: 0 };
    match ingest::read_with_issues("urn:test:source", Some(form), bytes) {
        Ok((items, issues)) => {
            out.issues.extend(issues);
            for item in items {
                match standardize(&item, &Tables::shipped()) {
                    Ok(done) => out.take(done),
                    Err(refused) => {
                        out.refused += 1;
                        out.issues.extend(refused);
                    }
                }
            }
        }
        Err(issue) => {
            out.refused += 1;
            out.issues.push(issue);
        }
    }
    assert!(out.issues.iter().all(|issue| !issue.text.is_empty() && !issue.rule.is_empty()));
    out
}

impl Outcome {
    fn take(&mut self, done: Standardized) {
        self.issues.extend(done.issues);
        let records = done.records.into_iter();
        self.records.extend(
            records.map(|r| StandardRecordJson { stable_id: r.stable_id, resource: r.resource }),
        );
    }

    fn printed(&self) -> String {
        self.records.iter().map(|record| record.resource.to_string()).collect()
    }

    fn ids(&self) -> BTreeSet<[u8; 16]> {
        self.records.iter().map(|record| record.stable_id).collect()
    }
}

/// One manifest: how many cases it has, all judged.
fn manifest(topic: &str, count: usize, judge: impl Fn(&str, &str, &[u8]) -> Outcome) {
    let folder = Path::new(VECTORS).join("attacks").join(topic);
    let text = std::fs::read(folder.join("manifest.json")).expect("manifest");
    let manifest = json::parse(&text).expect("manifest");
    let cases = manifest.as_array().expect("cases");
    for case in cases {
        let word = |name: &str| case.str_at(name).unwrap_or_default();
        let (file, expect) = (word("file"), word("expect"));
        let bytes = std::fs::read(folder.join(file)).expect("case");
        let out = judge(file, expect, &bytes);
        let issues = &out.issues;
        match expect {
            "accept" => assert!(
                out.refused == 0 && !out.records.is_empty(),
                "{topic}/{file} must be accepted: {issues:?}"
            ),
            "reject" => {
                assert!(out.records.is_empty(), "{topic}/{file} must be refused");
                assert!(
                    issues.iter().any(|i| i.severity >= Severity::Error),
                    "{topic}/{file} must name the rule"
                );
            }
            "partial" => {
                // Rows are quarantined one by one: a table all of whose rows are ragged keeps none.
                let is_kept = !out.records.is_empty() || topic == "csv" && out.refused > 0;
                assert!(is_kept, "{topic}/{file} must be kept in part: {issues:?}");
                assert!(!issues.is_empty(), "{topic}/{file} must leave an issue");
            }
            "sanitize" => {
                let printed = out.printed();
                for bad in ["<script", "javascript:", "onerror", "onload", "onclick", "http://127"]
                {
                    assert!(!printed.contains(bad), "{topic}/{file}: {bad}");
                }
            }
            "server-sets" => {
                for record in &out.records {
                    let meta = record.resource.get("meta");
                    let own =
                        meta.is_some_and(|m| m.get("versionId").or(m.get("lastUpdated")).is_some());
                    assert!(!own, "{topic}/{file}: meta is the server's");
                }
            }
            "idempotent" => {
                let again = judge(file, expect, &bytes);
                assert!(!out.records.is_empty() && out.ids() == again.ids(), "{topic}/{file}");
            }
            // Both answers are fine as long as there is one; that nothing is fetched is held by `test/architecture.rs`.
            "either" | "no-fetch" | "reject-or-fast" | "reject-or-safe" | "timeout" => {
                assert!(!out.records.is_empty() || !issues.is_empty(), "{topic}/{file}: no answer");
            }
            other => panic!("{topic}/{file}: nobody judges `{other}`"),
        }
        // Whatever was kept is valid and can be read again.
        for record in &out.records {
            let text = record.resource.to_string();
            assert!(json::parse(text.as_bytes()).is_ok(), "{topic}/{file}");
            assert!(validate::validate(&record.resource).is_empty(), "{topic}/{file}: {text}");
        }
        if let Some(wanted) = case.str_at("must_contain") {
            assert!(out.printed().contains(wanted), "{topic}/{file} must contain {wanted}");
        }
        if let Some(unwanted) = case.str_at("must_not_contain_segment") {
            let (name, number) = unwanted.split_once('|').expect("segment|number");
            let message = ingest::hl7v2::Message::parse(&bytes).expect("message").0;
            let found = message.segments().filter(|s| s.name() == name);
            let injected = found.into_iter().any(|s| s.field(1).raw() == number.as_bytes());
            assert!(!injected, "{topic}/{file}: {unwanted} was made of a value");
        }
    }
    assert_eq!(cases.len(), count, "{topic}: cases judged");
}

/// What a listener does with the bytes of a connection: frames, or the rule that closes it.
fn over_mllp(bytes: &[u8]) -> Outcome {
    let (mut frames, mut messages) = (mllp::Frames::default(), Vec::new());
    let closed = frames.push(bytes, &mut messages);
    let mut out = Outcome { records: Vec::new(), issues: Vec::new(), refused: 0 };
    for message in messages {
        let found = outcome(&message, Form::Hl7v2);
        out.records.extend(found.records);
        out.issues.extend(found.issues);
    }
    let why = match closed {
        Err(broken) => broken.to_string(),
        Ok(()) if frames.is_inside() => "the frame never ends; closed after the limit".to_owned(),
        Ok(()) => return out,
    };
    let at = crate::model::At::default();
    out.issues.push(Issue::new(Severity::Fatal, "structure", "mllp", at, why));
    out
}

#[test]
fn hl7v2() {
    manifest("hl7v2", 46, |file, _, bytes| {
        if file.ends_with(".bin") { over_mllp(bytes) } else { outcome(bytes, Form::Hl7v2) }
    });
}

/// Two messages in one payload are two items: what each of them says stays its own.
#[test]
fn two_messages_are_never_merged() {
    let bytes =
        std::fs::read(Path::new(VECTORS).join("attacks/hl7v2/31-two-msh.hl7")).expect("case");
    let out = outcome(&bytes, Form::Hl7v2);
    let of = |kind: &str| {
        let all = out.records.iter().filter(|r| r.resource.str_at("resourceType") == Some(kind));
        all.map(|r| r.stable_id).collect::<BTreeSet<_>>().len()
    };
    assert_eq!((of("Patient"), of("DiagnosticReport"), of("Provenance")), (1, 2, 2));
}

#[test]
fn xml() {
    manifest("xml", 35, |_, _, bytes| outcome(bytes, Form::Ccda));
}

#[test]
fn fhir_json() {
    manifest("fhir-json", 32, |_, _, bytes| outcome(bytes, Form::FhirJson));
}

#[test]
fn csv_tables() {
    manifest("csv", 15, |_, _, bytes| {
        let has = |column: &str| memchr::memmem::find(bytes, column.as_bytes()).is_some();
        let mut mapping = "confirmed = true\ntable = { delimiter = \",\", encoding = \"utf-8\", decimal = \".\", \
                           patient = { column = \"patient_id\", system = \"urn:test\" } }\n\
                           [[map]]\nresource = \"Patient\"\nkey = []\n"
            .to_owned();
        for (column, set) in [("name", "set.name"), ("birthdate", "set.birthDate")] {
            if has(column) {
                mapping.push_str(&format!("{set} = {{ column = \"{column}\" }}\n"));
            }
        }
        if !has("name") && !has("birthdate") {
            mapping.push_str("set.active = { const = true }\n");
        }
        let mapping = csv::Mapping::parse(&mapping).expect("mapping");
        let mut out = Outcome { records: Vec::new(), issues: Vec::new(), refused: 0 };
        match csv::standardize_table(bytes, &mapping, "s", &Tables::shipped()) {
            Ok(rows) => rows.into_iter().for_each(|row| match row {
                Ok((done, _)) => out.take(done),
                Err(issue) => {
                    out.refused += 1;
                    out.issues.push(issue);
                }
            }),
            Err(issue) => out.issues.push(issue),
        }
        out
    });
}

/// Archives are no form at all, and a gzip unpacks only so far.
#[test]
fn archives() {
    manifest("archive", 10, |file, _, bytes| {
        let folder = tempfile::tempdir().expect("folder");
        let path: PathBuf = folder.path().join(file);
        std::fs::write(&path, bytes).expect("written");
        let mut out = Outcome { records: Vec::new(), issues: Vec::new(), refused: 0 };
        let name = ingest::file::form_name(&path);
        let read = ingest::file::read(&path).map_err(|error| error.to_string());
        let read = read.and_then(|bytes| {
            let declared = ingest::declared_by_name(&name);
            ingest::read("s", declared, &bytes).map_err(|issue| issue.to_string())
        });
        match read {
            Ok(items) => items.iter().for_each(|item| {
                let found = outcome(&item.bytes, item.form);
                out.records.extend(found.records);
                out.issues.extend(found.issues);
            }),
            Err(why) => {
                let at = crate::model::At::default();
                out.issues.push(Issue::new(Severity::Fatal, "not-supported", "archive", at, why));
            }
        }
        out
    });
}

/// Any text goes through every form, and keywords are looked for in it (`strings/strings.json`).
#[test]
fn strings() {
    let path = Path::new(VECTORS).join("attacks/strings/strings.json");
    let list = json::parse(&std::fs::read(path).expect("file")).expect("JSON");
    let cases = list.as_array().expect("cases");
    let terms = Tables::shipped().terminology.clone();
    for case in cases {
        let hex = case.str_at("utf8_hex").expect("hex");
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"))
            .collect();
        let mut message = super::tests::ORU.as_bytes().to_vec();
        message.extend_from_slice(b"OBX|9|ST|8251-1^Comment^LN||");
        message.extend_from_slice(&bytes);
        message.extend_from_slice(b"||||||F\r");
        let out = outcome(&message, Form::Hl7v2);
        assert!(!out.records.is_empty(), "{hex}: the good segments stay");
        for record in &out.records {
            assert!(json::parse(record.resource.to_string().as_bytes()).is_ok(), "{hex}");
            assert!(validate::validate(&record.resource).is_empty(), "{hex}");
        }
        let answer = ingest::ack::acknowledge(&message, ingest::ack::Outcome::Stored, "1", "2024");
        let answer = answer.expect("an answer");
        assert!(answer.iter().all(|b| matches!(b, b' '..=b'~' | b'\r')), "{hex}");
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let text = format!("No fever {text} heart attack.");
            for found in crate::extract::mention::mentions(&text, Assertion::Present, &terms) {
                assert!(text.get(found.range).is_some(), "{hex}");
            }
            let resource = Value::object([
                ("resourceType", "Basic".into()),
                ("code", Value::object([("text", text.as_str().into())])),
            ]);
            let _ = outcome(resource.to_string().as_bytes(), Form::FhirJson);
            let note = format!(
                "patient: urn:s|1\ntype: 11506-3\ntitle: {}\n\n{text}",
                text.replace(['\r', '\n'], " ")
            );
            let _ = outcome(note.as_bytes(), Form::Note);
        }
    }
    assert_eq!(cases.len(), 59);
}

/// Modules that a reader without profiles and terminology server can judge.
const MODULES: [&str; 5] = ["fmt", "xhtml", "security", "json5", "bundle"];

/// Where we answer otherwise than the reference validator, and why.
const DIFFERENCES: [(&str, &str); 8] = [
    ("list-contained-bad.json", "dom-3 is an invariant; none is evaluated yet"),
    ("test-ndjson.ndjson", "its only error is an invariant"),
    (
        "bundle-duplicate-id.json",
        "entries are told apart by fullUrl; that ids repeat does no harm, since each gets a new one",
    ),
    (
        "bundle-id-search-3.json",
        "a fullUrl that ends in another id than the resource's: ids are replaced, so neither is used",
    ),
    ("bundle-id-search-4.json", "as bundle-id-search-3"),
    ("bundle-id-collection.json", "as bundle-id-search-3"),
    (
        "mni-patientOverview-bundle-example1.json",
        "as bundle-id-search-3; references are followed by fullUrl alone",
    ),
    (
        "bundle-with-contained.json",
        "its errors are about profiles and fullUrls of contained resources",
    ),
];

/// Faulty resources of other people, judged by whether the reference validator finds an error in them.
#[test]
fn fhir_bad() {
    let folder = Path::new(VECTORS).join("fhir-bad");
    let expected = std::fs::read(folder.join("expected.json")).expect("expectations");
    let expected = json::parse(&expected).expect("JSON");
    let (mut judged, mut wrong) = (0, Vec::new());
    for case in expected.as_array().expect("cases") {
        let word = |name: &str| case.str_at(name).unwrap_or_default();
        // Comments are never allowed here, so the runs that allow them say nothing about us.
        if !MODULES.contains(&word("module")) || case.at("options.allow-comments").is_some() {
            continue;
        }
        judged += 1;
        let file = word("file");
        let bytes = std::fs::read(folder.join(file)).expect("case");
        let out = outcome(&bytes, Form::FhirJson);
        let is_bad = case.at("issues.error").or(case.at("issues.fatal")).is_some();
        let is_found = out.issues.iter().any(|issue| issue.severity >= Severity::Warning);
        if is_bad != is_found && !DIFFERENCES.iter().any(|(name, _)| *name == file) {
            let rules: Vec<&str> = out.issues.iter().map(|issue| issue.rule).collect();
            wrong.push(format!("{file}: an error expected {is_bad}, found {is_found} {rules:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {judged}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(
        (judged, DIFFERENCES.len()),
        (20, 8),
        "twelve as the reference validator, eight with a reason"
    );
}
