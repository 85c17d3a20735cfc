//! What an institution has, as items: detect the form, split batches, keep the original bytes, name problems by position.
//!
//! Detection, first match wins; a declared form that contradicts it is an error, never a guess:
//!
//! | begins with (after a byte-order mark) | form |
//! |---|---|
//! | `MSH`, `FHS` or `BHS` and a separator | HL7 v2 ([`hl7v2`]) |
//! | `{` | FHIR JSON, or NDJSON when a complete value is followed by a line break and `{` ([`fhir`]) |
//! | `<` | XML; only C-CDA is read ([`ccda`]) |
//! | anything else | a note, if it was declared as one ([`note`]) |
//!
//! Nothing named inside a record is ever fetched: no URL, reference, pointer or schema location.
//! Decoders return what is good together with issues; an [`Issue`] never quotes a value.
pub mod ack;
pub mod ccda;
pub mod csv;
pub mod fhir;
pub mod file;
pub mod hl7v2;
pub mod mllp;
pub mod note;
mod xml;

use crate::model::{At, Form, Issue, Item, Severity};

/// Largest v2 message and C-CDA document: room for a scanned letter of 24 MiB as base64.
pub const MAX_ITEM_BYTES: usize = 32 << 20;
/// Largest FHIR Bundle; single resources are held to [`MAX_ITEM_BYTES`].
pub const MAX_BUNDLE_BYTES: usize = 256 << 20;
/// Largest note: two hundred thousand words.
pub const MAX_NOTE_BYTES: usize = 4 << 20;
/// Items of one call; a larger file is cut by its sender.
pub const MAX_ITEMS: usize = 1_000_000;

/// Splits what a source sent into items. Envelope issues are left out; [`read_with_issues`] returns them too.
///
/// `declared` is the form the sender named (content type, file name); `None` means "look".
///
/// # Errors
/// A fatal [`Issue`] with its position: unknown or contradicted form, over a limit, broken envelope.
pub fn read(source: &str, declared: Option<Form>, bytes: &[u8]) -> Result<Vec<Item>, Issue> {
    read_with_issues(source, declared, bytes).map(|(items, _)| items)
}

/// As [`read`], with the issues of the envelope, such as a batch trailer whose count differs.
///
/// # Errors
/// As [`read`].
pub fn read_with_issues(
    source: &str,
    declared: Option<Form>,
    bytes: &[u8],
) -> Result<(Vec<Item>, Vec<Issue>), Issue> {
    let bytes = strip_bom(bytes);
    let form = detect(bytes, declared)?;
    let limit = match form {
        Form::FhirJson => MAX_BUNDLE_BYTES,
        Form::Note => MAX_NOTE_BYTES,
        Form::Hl7v2 | Form::Ccda | Form::Csv => usize::MAX,
    };
    if bytes.len() > limit {
        return Err(too_long(At::default(), limit));
    }
    let mut issues = Vec::new();
    let parts: Vec<&[u8]> = match form {
        Form::Hl7v2 => hl7v2::split(bytes, &mut issues)?,
        Form::FhirJson => fhir::split(bytes)?,
        Form::Ccda | Form::Note | Form::Csv => vec![bytes],
    };
    if parts.len() > MAX_ITEMS {
        return Err(too_long(At::default(), MAX_ITEMS));
    }
    if matches!(form, Form::Hl7v2 | Form::Ccda) && parts.iter().any(|p| p.len() > MAX_ITEM_BYTES) {
        return Err(too_long(At::default(), MAX_ITEM_BYTES));
    }
    let items = parts.into_iter().map(|part| Item::new(source, form, part.to_vec())).collect();
    Ok((items, issues))
}

/// The form that a file's name declares: `.hl7`, `.json`, `.ndjson`, `.xml`, `.txt`.
pub fn declared_by_name(name: &str) -> Option<Form> {
    let extension = name.rsplit_once('.')?.1.to_ascii_lowercase();
    match extension.as_str() {
        "hl7" => Some(Form::Hl7v2),
        "json" | "ndjson" => Some(Form::FhirJson),
        "xml" => Some(Form::Ccda),
        "txt" => Some(Form::Note),
        "csv" | "tsv" => Some(Form::Csv),
        _ => None,
    }
}

/// The form of `bytes`, which have no byte-order mark.
fn detect(bytes: &[u8], declared: Option<Form>) -> Result<Form, Issue> {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace());
    let text = start.and_then(|start| bytes.get(start..)).unwrap_or_default();
    let refuse = |rule, text: &str| {
        Err(Issue::new(Severity::Fatal, "not-supported", rule, At::in_bytes(bytes, 0, ""), text))
    };
    let utf16 = bytes.starts_with(b"\xfe\xff") || bytes.starts_with(b"\xff\xfe");
    let seen = match text {
        [] => return refuse("empty", "the item is empty"),
        [0x0b, ..] => return refuse("mllp", "an MLLP frame outside of an MLLP connection"),
        [b'M', b'S', b'H', ..] | [b'F', b'H', b'S', ..] | [b'B', b'H', b'S', ..] => {
            Some(Form::Hl7v2)
        }
        [b'{', ..] => Some(Form::FhirJson),
        [b'<', ..] => Some(Form::Ccda),
        _ if utf16 || text.starts_with(b"\0<") => Some(Form::Ccda),
        _ => None,
    };
    match (seen, declared) {
        // A note may begin with any character; it is known by its header.
        (_, Some(form @ (Form::Note | Form::Csv))) => Ok(form),
        (Some(seen), Some(declared)) if seen != declared => {
            refuse("form-contradicts", "the declared form and the bytes disagree")
        }
        (Some(seen), _) => Ok(seen),
        (None, Some(_)) => refuse("form-contradicts", "the bytes are not of the declared form"),
        (None, None) => refuse("unknown-form", "neither HL7 v2, FHIR JSON nor C-CDA, and no note"),
    }
}

fn strip_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

pub(crate) fn too_long(at: At, limit: usize) -> Issue {
    Issue::new(Severity::Fatal, "too-long", "limit", at, format!("more than {limit} allowed"))
}

#[cfg(test)]
#[path = "ingest_test.rs"]
mod tests;
