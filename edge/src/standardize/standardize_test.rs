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
            let text = ingest::hl7v2::readable(&item.bytes);
            let (message, _) = ingest::hl7v2::Message::of(&text).expect("message");
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

pub(super) const ORU: &str = "MSH|^~\\&|LAB|HOSP|||20240305101112+0100||ORU^R01|77|P|2.5.1\r\
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
fn pharmacy_orders_and_dispenses_say_how_much() {
    let head = "MSH|^~\\&|PH|HOSP|||20240305101112+0100||RDS^O13|78|P|2.5.1\r\
PID|1||4711^^^HOSP&1.2.3.4&ISO^MR\rORC|RE|1^PH\r";
    let rxe = "RXE||1191^Aspirin^RXNORM|1|2|TAB^tablet||^with food|||30|TAB^tablet|2|||RX77\r";
    let rxd = "RXD|1|1191^Aspirin^RXNORM|20240305|30|TAB^tablet||RX77||after meals|9^Roe^Ann\r";
    let out = text(Form::Hl7v2, &format!("{head}{rxe}{rxd}")).expect("standardized");
    let order = of_type(&out, "MedicationRequest")[0];
    let dose = "dosageInstruction.0.doseAndRate.0.doseRange";
    assert_eq!(order.at(&format!("{dose}.low.value")).and_then(Value::as_number), Some("1"));
    assert_eq!(order.str_at(&format!("{dose}.high.unit")), Some("tablet"));
    assert_eq!(order.str_at("dosageInstruction.0.text"), Some("with food"));
    let repeats = order.at("dispenseRequest.numberOfRepeatsAllowed");
    assert_eq!(repeats.and_then(Value::as_number), Some("2"));
    let dispense = of_type(&out, "MedicationDispense")[0];
    assert_eq!(dispense.at("quantity.value").and_then(Value::as_number), Some("30"));
    assert_eq!(dispense.str_at("whenHandedOver"), Some("2024-03-05"));
    assert_eq!(dispense.str_at("note.0.text"), Some("after meals"));
    assert!(dispense.str_at("performer.0.actor.reference").is_some());
}

#[test]
fn a_merge_names_what_it_replaces() {
    let message = |event: &str, old: &str| {
        format!(
            "MSH|^~\\&|A|HOSP|||20240305||ADT^{event}|79|P|2.5.1\rPID|1||1^^^HOSP^MR\rMRG|{old}^^^HOSP^MR\r"
        )
    };
    let out = text(Form::Hl7v2, &message("A40", "2")).expect("standardized");
    let link = of_type(&out, "Patient")[0].at("link.0").expect("a link").clone();
    assert_eq!(
        (link.str_at("type"), link.str_at("other.identifier.value")),
        (Some("replaces"), Some("2"))
    );
    for (event, old) in [("A45", "2"), ("A40", "1")] {
        let out = text(Form::Hl7v2, &message(event, old)).expect("standardized");
        assert_eq!(of_type(&out, "Patient")[0].get("link"), None, "{event} {old}");
    }
}

/// What nobody said is said to be unknown, such as an appointment's times; of required codes whose value set has no word for
/// that, the three of `design/edge.md` 3 are fixed.
#[test]
fn required_codes_that_nobody_said_are_the_three_of_the_page() {
    let head = "MSH|^~\\&|A|HOSP|||20240305||";
    let siu = |event: &str, time: &str| {
        let message =
            format!("{head}SIU^{event}|80|P|2.5.1\rSCH|1|2||||||||^^^{time}\rPID|1||1^^^HOSP^MR\r");
        let message = message.replace("SCH|1|2||||||||", "SCH|1|2|||||||||");
        let out = text(Form::Hl7v2, &message).expect("standardized");
        of_type(&out, "Appointment")[0].clone()
    };
    let vague = siu("S12", "202403");
    assert_eq!(vague.str_at("status"), Some("booked"));
    assert!(
        vague.get("start").is_none()
            && vague.get("_start").is_some()
            && vague.get("_end").is_some()
    );
    assert_eq!(vague.str_at("participant.0.status"), Some("needs-action"));
    let unsaid = siu("S18", "20240305101500+0100");
    assert_eq!(unsaid.str_at("status"), Some("proposed"));
    assert_eq!(unsaid.str_at("start"), Some("2024-03-05T10:15:00+01:00"));
    let plan = format!("{head}ADT^A01|81|P|2.5.1\rPID|1||1^^^HOSP^MR\rIN1|1|P1|77|A Company\r");
    let out = text(Form::Hl7v2, &plan).expect("standardized");
    let coverage = of_type(&out, "Coverage")[0];
    assert_eq!(coverage.str_at("status"), Some("active"));
}

/// Multi-byte character sets are decoded before the message is cut (`MSH-18`).
#[test]
fn names_arrive_in_every_character_set() {
    for (declared, encoding, family) in [
        ("UNICODE UTF-8", encoding_rs::UTF_8, "Müller"),
        ("8859/1", encoding_rs::WINDOWS_1252, "Müller"),
        ("8859/5", encoding_rs::ISO_8859_5, "Иванов"),
        ("~ISO IR87", encoding_rs::ISO_2022_JP, "山田"),
        ("ISO IR14", encoding_rs::SHIFT_JIS, "ﾔﾏﾀﾞ"),
        ("GB 18030-2000", encoding_rs::GB18030, "張亅"),
        ("KS X 1001", encoding_rs::EUC_KR, "김"),
        ("BIG-5", encoding_rs::BIG5, "許功蓋"),
    ] {
        let message = format!(
            "MSH|^~\\&|A|HOSP|||20240305||ADT^A08|82|P|2.5.1||||||{declared}\rPID|1||1^^^HOSP^MR||{family}^Jo||19700101\r"
        );
        let (bytes, _, lossy) = encoding.encode(&message);
        assert!(!lossy, "{declared}");
        let item = Item::new("urn:test:source", Form::Hl7v2, bytes.into_owned());
        let out = check(&item);
        let patient = of_type(&out, "Patient")[0];
        assert_eq!(patient.str_at("name.0.family"), Some(family), "{declared}");
        assert_eq!(patient.str_at("birthDate"), Some("1970-01-01"), "{declared}");
        assert!(
            !out.issues.iter().any(|i| i.rule == "hl7v2-charset"),
            "{declared}: {:?}",
            out.issues
        );
    }
    for declared in ["UNICODE UTF-16", "CNS 11643-1992"] {
        let message = ORU.replace("|2.5.1", &format!("|2.5.1||||||{declared}"));
        let issues = text(Form::Hl7v2, &message).expect_err("refused");
        assert_eq!(issues.last().map(|i| i.rule), Some("hl7v2-charset"));
    }
    let broken = ORU.replace("|2.5.1", "|2.5.1||||||BIG-5").replace("Doe", "\u{0}");
    let broken: Vec<u8> = broken.bytes().map(|b| if b == 0 { 0xff } else { b }).collect();
    let out = standardize(&Item::new("s", Form::Hl7v2, broken), &Tables::shipped());
    let issues = out.expect("kept").issues;
    assert!(issues.iter().any(|i| i.rule == "hl7v2-charset" && i.severity == Severity::Error));
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
