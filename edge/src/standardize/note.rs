//! A note → one DocumentReference with the text as its attachment.
use super::coverage::{Fate, Ledger};
use super::draft::{Drafts, absent, concept, reference, resource, set};
use super::time::epoch_seconds;
use crate::ingest::note;
use crate::model::json::Value;
use crate::model::{At, Coverage, Issue, Item, Severity, ids};
use crate::terminology::{LOINC, Terminology};
use base64::Engine as _;

/// The natural key of a patient: the identifier by which all forms find the same person.
pub(crate) fn patient_key(system: &str, value: &str) -> String {
    format!("{system}|{value}")
}

pub(crate) fn map(
    item: &Item,
    terminology: &Terminology,
    drafts: &mut Drafts<'_>,
) -> Result<Coverage, Issue> {
    let note = note::parse(&item.bytes)?;
    let ledger = Ledger::default();
    let mut document = resource("DocumentReference");
    document.set("status", "current".into());
    let mut kind = concept(LOINC, &note.loinc);
    set(&mut kind, "text", terminology.display(LOINC, &note.loinc));
    document.set("type", kind);
    let key = patient_key(&note.patient.system, &note.patient.value);
    let mut subject = reference(&drafts.reference("Patient", &key));
    subject.set(
        "identifier",
        Value::object([
            ("system", note.patient.system.as_str().into()),
            ("value", note.patient.value.as_str().into()),
        ]),
    );
    document.set("subject", subject);
    let mut attachment = Value::object([
        ("contentType", "text/plain; charset=utf-8".into()),
        ("data", base64::engine::general_purpose::STANDARD.encode(note.text.as_bytes()).into()),
    ]);
    let mut recorded = None;
    for entry in &note.header {
        let mut fate = Fate::Mapped;
        match entry.key.as_str() {
            "patient" | "type" => {}
            "date" if is_fhir_time(&entry.value) => {
                let period = Value::object([("start", entry.value.as_str().into())]);
                document.set("context", Value::object([("period", period)]));
                if entry.value.contains('T') {
                    document.set("date", entry.value.as_str().into());
                    recorded = Some(entry.value.clone());
                }
            }
            "title" => document.set("description", entry.value.as_str().into()),
            "author" => {
                let author = Value::object([("display", entry.value.as_str().into())]);
                document.set("author", Value::Array(vec![author]));
            }
            "language" => attachment.set("language", entry.value.as_str().into()),
            _ => {
                fate = Fate::Raw;
                let at = At::in_bytes(&item.bytes, entry.range.start, "");
                let text = "a header line that is not known or not of its type; kept raw";
                drafts.issues.push(Issue::new(Severity::Warning, "value", "note-header", at, text));
            }
        }
        ledger.report(entry.range.clone(), fate);
    }
    if document.get("description").is_none() && document.get("context").is_none() {
        document.set("_date", absent("unknown"));
    }
    document.set("content", Value::Array(vec![Value::object([("attachment", attachment)])]));
    let body = note.text_at..item.bytes.len();
    ledger.report(body.clone(), Fate::Mapped);
    let patient = note.patient.clone();
    drafts.add(&ids::uuid_text(&item.item_id), Some(&patient), document);
    drafts.add_provenance(item, &item.source, recorded.as_deref());
    let mut leaves: Vec<_> = note.header.iter().map(|entry| entry.range.clone()).collect();
    leaves.retain(|range| !range.is_empty());
    leaves.push(body);
    drafts
        .unmapped_leaves(&ledger, &leaves, |byte| At::in_bytes(&item.bytes, byte, "").to_string());
    Ok(ledger.count(&leaves))
}

/// `YYYY[-MM[-DD[Thh:mm:ss[.s]zone]]]`
fn is_fhir_time(text: &str) -> bool {
    let compact: String = text.chars().filter(|c| !matches!(c, 'T' | ':')).collect();
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let hl7_date: String = date.split('-').collect();
    let shape = matches!((date.len(), compact.is_ascii()), (4 | 7 | 10, true));
    let clock = time.is_empty() || time.len() >= 9 && date.len() == 10;
    shape
        && clock
        && super::time::from_hl7(&hl7_date, None).is_some()
        && epoch_seconds(text).is_some()
}
