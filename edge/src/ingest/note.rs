//! Free text with a declared patient, date and type.
//!
//! A note is a header of `key: value` lines, an empty line, and the text:
//!
//! ```text
//! patient: urn:oid:1.2.3|4711
//! date: 2024-03-05
//! type: 11506-3
//! title: Progress note
//!
//! HISTORY: …
//! ```
//!
//! `patient` (system `|` value) and `type` (a LOINC code) are required; `date` is a FHIR date or dateTime; `title`, `author`
//! and `language` (BCP 47) may follow. Unknown keys are kept raw and reported.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use crate::model::{At, Identifier, Issue, Severity};
use std::borrow::Cow;
use std::ops::Range;

/// Lines of one note.
pub const MAX_LINES: usize = 100_000;

/// One header line: byte range of the value within the item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Key in lower case.
    pub key: String,
    /// Value, trimmed.
    pub value: String,
    /// Where the value stands.
    pub range: Range<usize>,
}

/// A parsed note.
#[derive(Clone, PartialEq, Eq)]
pub struct Note<'a> {
    /// Whose note.
    pub patient: Identifier,
    /// LOINC code of the document's type.
    pub loinc: String,
    /// The header, in order.
    pub header: Vec<Entry>,
    /// The text.
    pub text: Cow<'a, str>,
    /// Where the text begins.
    pub text_at: usize,
}

impl std::fmt::Debug for Note<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Note").field("text_bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl Note<'_> {
    /// The value of a header key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.header.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }
}

/// Reads a note.
///
/// # Errors
/// A fatal issue if the bytes are not UTF-8, there are too many lines, or patient or type are missing or malformed.
pub fn parse(bytes: &[u8]) -> Result<Note<'_>, Issue> {
    let fatal = |byte, code, rule, text: &str| {
        Issue::new(Severity::Fatal, code, rule, At::in_bytes(bytes, byte, ""), text)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        fatal(error.valid_up_to(), "value", "note-utf8", "the note is not UTF-8")
    })?;
    if text.contains('\0') {
        return Err(fatal(0, "value", "note-nul", "the note holds a NUL character"));
    }
    if text.lines().count() > MAX_LINES {
        return Err(super::too_long(At::default(), MAX_LINES));
    }
    let mut header: Vec<Entry> = Vec::new();
    let mut at = 0usize;
    for line in text.split_inclusive('\n') {
        let start = at;
        at = at.saturating_add(line.len());
        if line.trim().is_empty() {
            break;
        }
        let Some((key, value)) = line.split_once(':') else {
            return Err(fatal(start, "structure", "note-header", "a header line without a colon"));
        };
        let lead = value.len().saturating_sub(value.trim_start().len());
        let from = start.saturating_add(key.len()).saturating_add(1).saturating_add(lead);
        let value = value.trim().to_owned();
        let key = key.trim().to_ascii_lowercase();
        if header.iter().any(|entry| entry.key == key) {
            return Err(fatal(start, "structure", "note-header", "a header key given twice"));
        }
        header.push(Entry { key, range: from..from.saturating_add(value.len()), value });
    }
    let find = |key| header.iter().find(|entry| entry.key == key);
    let patient = find("patient").and_then(|entry| entry.value.split_once('|'));
    let Some((system, value)) =
        patient.filter(|(s, v)| !s.trim().is_empty() && !v.trim().is_empty())
    else {
        return Err(fatal(0, "required", "note-patient", "no header line `patient: system|value`"));
    };
    let patient = Identifier { system: system.trim().into(), value: value.trim().into() };
    let Some(loinc) = find("type").map(|e| e.value.clone()).filter(|code| is_loinc(code)) else {
        return Err(fatal(0, "required", "note-type", "no header line `type:` with a LOINC code"));
    };
    let body = text.get(at..).unwrap_or_default();
    if body.trim().is_empty() {
        return Err(fatal(at, "required", "note-text", "the note has no text"));
    }
    Ok(Note { patient, loinc, header, text: Cow::Borrowed(body), text_at: at })
}

/// Digits, a hyphen and a check digit (mod 10, as in the LOINC manual).
fn is_loinc(code: &str) -> bool {
    let Some((digits, check)) = code.split_once('-') else { return false };
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(digits) || digits.len() > 7 || check.len() != 1 || !all_digits(check) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            let digit = u32::from(byte.saturating_sub(b'0'));
            let twice = digit.saturating_mul(2);
            match (index % 2, twice) {
                (0, 10..) => twice.saturating_sub(9),
                (0, _) => twice,
                _ => digit,
            }
        })
        .fold(0, u32::saturating_add);
    let want = 10u32.saturating_sub(sum % 10) % 10;
    check.parse() == Ok(want)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTE: &str =
        "patient: urn:oid:1.2.3|4711\r\ndate: 2024-03-05\nType: 11506-3\n\nNo fever.\nStable.\n";

    #[test]
    fn header_and_text() {
        let note = parse(NOTE.as_bytes()).expect("note");
        assert_eq!(
            (note.patient.system.as_str(), note.patient.value.as_str()),
            ("urn:oid:1.2.3", "4711")
        );
        assert_eq!(note.get("date"), Some("2024-03-05"));
        assert_eq!(note.text, "No fever.\nStable.\n");
        for entry in &note.header {
            assert_eq!(&NOTE[entry.range.clone()], entry.value);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, rule) in [
            ("date: 2024\n\nx", "note-patient"),
            ("patient: a|b\n\nx", "note-type"),
            ("patient: a|b\ntype: 11506-4\n\nx", "note-type"),
            ("patient: a|b\ntype: 11506-3\n\n \n", "note-text"),
            ("no header", "note-header"),
        ] {
            assert_eq!(parse(text.as_bytes()).expect_err(rule).rule, rule);
        }
    }

    proptest! {
        #[test]
        fn any_text_never_panics(text in "(patient|type|date)?:?[a-z|:\\n\\r -]{0,80}", raw: Vec<u8>) {
            let _ = parse(text.as_bytes());
            let _ = parse(&raw);
        }
    }
}
