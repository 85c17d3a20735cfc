//! Our few own words: item, record, handle, kind, issue, keyword. Everything else is called what FHIR or HL7 call it.
//!
//! - **item**: the smallest unit that arrives and is acknowledged: one HL7 v2 message, one FHIR resource or Bundle, one
//!   NDJSON line, one C-CDA document, one note. `item_id = SHA-256(source ‖ 0x00 ‖ bytes)[..16]`.
//! - **record**: one version of one FHIR resource.
//! - **stable id**: decides "new or update". It derives from the person's data and never leaves the edge ([`ids`]).
//! - **handle**: what a record is called outside; random to everyone without the institution's handle key.
//!
//! [`json`] reads and prints JSON without losing a digit; [`canonical`] makes the bytes that are hashed.
pub mod canonical;
pub mod ids;
pub mod json;

use std::fmt;

/// A record's name outside of its edge: `AES-256(handle_key, patient_no BE8 ‖ local_no BE4 ‖ 0 BE4)`.
///
/// Prints as 32 lower-case hex digits, which is also the record's FHIR id on every surface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub [u8; 16]);

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

impl std::str::FromStr for Handle {
    type Err = ();

    /// Reads 32 hex digits of either case; anything else is `Err(())`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.as_bytes();
        let mut out = [0u8; 16];
        if digits.len() != 32 {
            return Err(());
        }
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return Err(()) };
            *byte = hex_digit(*high).ok_or(())? << 4 | hex_digit(*low).ok_or(())?;
        }
        Ok(Self(out))
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A patient inside one edge: a random number drawn once. 0 stands for shared records (Practitioner, Organization, …).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PatientNo(pub u64);

impl fmt::Display for PatientNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The resource types that have a code of their own in a leaf and in the index; every other type is [`Kind::Other`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u16)]
pub enum Kind {
    /// Any resource type without a code of its own.
    Other = 0,
    /// `Patient`
    Patient = 1,
    /// `Encounter`
    Encounter = 2,
    /// `Condition`
    Condition = 3,
    /// `Observation`
    Observation = 4,
    /// `MedicationRequest`
    MedicationRequest = 5,
    /// `Procedure`
    Procedure = 6,
    /// `Immunization`
    Immunization = 7,
    /// `AllergyIntolerance`
    AllergyIntolerance = 8,
    /// `DiagnosticReport`
    DiagnosticReport = 9,
    /// `DocumentReference`
    DocumentReference = 10,
    /// `ImagingStudy`
    ImagingStudy = 11,
}

impl Kind {
    /// Every kind with a resource type of its own, in the order of their codes.
    pub const ALL: [Self; 11] = [
        Self::Patient,
        Self::Encounter,
        Self::Condition,
        Self::Observation,
        Self::MedicationRequest,
        Self::Procedure,
        Self::Immunization,
        Self::AllergyIntolerance,
        Self::DiagnosticReport,
        Self::DocumentReference,
        Self::ImagingStudy,
    ];

    /// The kind of a FHIR resource type.
    pub fn from_resource_type(resource_type: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == resource_type).unwrap_or(Self::Other)
    }

    /// The kind of a code, [`Kind::Other`] if no kind has it.
    pub fn from_code(code: u16) -> Self {
        Self::ALL.into_iter().find(|kind| kind.code() == code).unwrap_or(Self::Other)
    }

    /// The number that stands in leaf and index.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The FHIR resource type, `Other` for [`Kind::Other`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other => "Other",
            Self::Patient => "Patient",
            Self::Encounter => "Encounter",
            Self::Condition => "Condition",
            Self::Observation => "Observation",
            Self::MedicationRequest => "MedicationRequest",
            Self::Procedure => "Procedure",
            Self::Immunization => "Immunization",
            Self::AllergyIntolerance => "AllergyIntolerance",
            Self::DiagnosticReport => "DiagnosticReport",
            Self::DocumentReference => "DocumentReference",
            Self::ImagingStudy => "ImagingStudy",
        }
    }
}

/// The forms in which items arrive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Form {
    /// One HL7 v2 message in ER7 ("pipes and hats").
    Hl7v2,
    /// One FHIR R4 resource or Bundle as JSON.
    FhirJson,
    /// One C-CDA document.
    Ccda,
    /// Free text with a small header that declares patient, date and type.
    Note,
    /// One row of a table, under its header line; its columns are declared by a mapping file.
    Csv,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hl7v2 => "HL7 v2",
            Self::FhirJson => "FHIR JSON",
            Self::Ccda => "C-CDA",
            Self::Note => "note",
            Self::Csv => "CSV",
        })
    }
}

/// One business identifier of a person or thing: FHIR `Identifier.system` and `.value`. Debug prints `***`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// The namespace, a URI.
    pub system: String,
    /// The value, unique within the system.
    pub value: String,
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier(***)")
    }
}

/// What a text or code says about a concept (ConText's dimensions in one word).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Assertion {
    /// The patient has it.
    Present,
    /// The patient does not have it.
    Negated,
    /// Somebody in the family has it.
    Family,
    /// The patient had it.
    Past,
    /// The patient may have it.
    Possible,
    /// Named as something that could happen ("return if fever").
    Hypothetical,
}

/// One concept found in a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keyword {
    /// Code system, a URI.
    pub system: String,
    /// Code in that system.
    pub code: String,
    /// The shipped list's name for the code; empty where the list may not be shipped.
    pub display: String,
    /// What is said about the concept.
    pub assertion: Assertion,
    /// Term frequency: a structured code counts 3, a title 2, a mention in text 1.
    pub weight: u32,
}

/// FHIR `IssueSeverity`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Information,
    /// Something is off; the item goes on.
    Warning,
    /// A part could not be used; it is kept aside or flagged.
    Error,
    /// The item is refused.
    Fatal,
}

/// A position in the bytes of an item. Lines and columns count from 1, columns in bytes; 0 means "not known".
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct At {
    /// Offset from the first byte of the item.
    pub byte: usize,
    /// Line.
    pub line: usize,
    /// Column in bytes.
    pub column: usize,
    /// `PID[1]-3[2].4.1`, `Bundle.entry[3].resource.status`, `/ClinicalDocument/component[2]`.
    pub path: String,
}

impl At {
    /// The position of `byte` in `bytes`, with a path.
    pub fn in_bytes(bytes: &[u8], byte: usize, path: impl Into<String>) -> Self {
        let before = bytes.get(..byte).unwrap_or(bytes);
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
        Self {
            byte,
            line: before.iter().filter(|b| **b == b'\n').count() + 1,
            column: before.len() - line_start + 1,
            path: path.into(),
        }
    }

    /// A position that is known by its path alone.
    pub fn path(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.path.as_str()) {
            (0, "") => f.write_str("the item"),
            (0, path) => f.write_str(path),
            (line, "") => write!(f, "line {line}, column {}", self.column),
            (line, path) => write!(f, "{path} (line {line}, column {})", self.column),
        }
    }
}

/// One finding about an item. Its text never quotes a value, so it may be logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issue {
    /// How bad.
    pub severity: Severity,
    /// FHIR `IssueType`: `invalid`, `structure`, `required`, `value`, `too-long`, `not-supported`, …
    pub code: &'static str,
    /// The rule's short name, stable across versions: `hl7v2-no-pid3`.
    pub rule: &'static str,
    /// Where.
    pub at: At,
    /// What is wrong and what was done about it.
    pub text: String,
}

impl Issue {
    /// An issue at a position.
    pub fn new(
        severity: Severity,
        code: &'static str,
        rule: &'static str,
        at: At,
        text: impl Into<String>,
    ) -> Self {
        Self { severity, code, rule, at, text: text.into() }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.at, self.text, self.rule)
    }
}

impl std::error::Error for Issue {}

/// One record as standardizing made it. Debug prints its type and sizes only.
#[derive(Clone, PartialEq, Eq)]
pub struct StandardRecord {
    /// FHIR resource type.
    pub resource_type: String,
    /// Its kind.
    pub kind: Kind,
    /// UUIDv8 that decides "new or update" ([`ids::stable_id`]).
    pub stable_id: [u8; 16],
    /// The patient it is about; `None` for shared records (Practitioner, Organization, Location).
    pub patient: Option<Identifier>,
    /// The resource. `id` is the stable id as UUID text, resolvable references read `Type/<uuid>`.
    pub resource: json::Value,
    /// Concepts found in it.
    pub keywords: Vec<Keyword>,
    /// Words to search: displays, narrative, note text.
    pub text: String,
    /// Clinically relevant moment, seconds since 1970 UTC; the start of the period where it is imprecise.
    pub date: Option<i64>,
    /// Quality label, 0 to 100: starts at 100 and loses points for issues and absent required data.
    pub quality: u32,
}

impl fmt::Debug for StandardRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandardRecord")
            .field("resource_type", &self.resource_type)
            .field("keywords", &self.keywords.len())
            .field("text_bytes", &self.text.len())
            .field("quality", &self.quality)
            .finish_non_exhaustive()
    }
}

/// One item as it arrived. Debug prints its id, form and size only.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    /// `SHA-256(source ‖ 0x00 ‖ bytes)[..16]`; a repeated item has the same id.
    pub item_id: [u8; 16],
    /// The name under which the sender is configured; namespaces its identifiers.
    pub source: String,
    /// The form of `bytes`.
    pub form: Form,
    /// The original bytes, kept for ever.
    pub bytes: Vec<u8>,
}

impl Item {
    /// An item with its id.
    pub fn new(source: &str, form: Form, bytes: Vec<u8>) -> Self {
        Self { item_id: ids::item_id(source, &bytes), source: source.to_owned(), form, bytes }
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("item_id", &ids::uuid_text(&self.item_id))
            .field("form", &self.form)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// What became of the non-empty leaves of an item's source. The three add up to the leaves a separate walker counts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Coverage {
    /// Leaves whose value stands in a resource.
    pub mapped: usize,
    /// Leaves that stand in the original bytes only.
    pub raw: usize,
    /// Leaves without information of their own: delimiters, counters, duplicates, unsafe markup.
    pub dropped: usize,
}

impl Coverage {
    /// All leaves.
    pub const fn total(&self) -> usize {
        self.mapped + self.raw + self.dropped
    }
}

/// The result of standardizing one item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standardized {
    /// The item itself.
    pub item: Item,
    /// Its records, patients and shared things first.
    pub records: Vec<StandardRecord>,
    /// What was noticed on the way.
    pub issues: Vec<Issue>,
    /// What became of each source leaf.
    pub coverage: Coverage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handle_text_round_trips() {
        let handle = Handle(*b"0123456789abcdef");
        assert_eq!(handle.to_string().parse(), Ok(handle));
        assert_eq!("12".parse::<Handle>(), Err(()));
        assert_eq!("zz".repeat(16).parse::<Handle>(), Err(()));
    }

    #[test]
    fn kinds_and_codes_agree() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.code()), index + 1);
            assert_eq!(Kind::from_code(kind.code()), kind);
            assert_eq!(Kind::from_resource_type(kind.name()), kind);
        }
        assert_eq!(Kind::from_resource_type("Basic"), Kind::Other);
    }

    #[test]
    fn secrets_do_not_print() {
        let id = Identifier { system: "urn:x".into(), value: "4711".into() };
        assert!(!format!("{id:?}").contains("4711"));
        let item = Item::new("urn:source", Form::Note, b"secret words".to_vec());
        assert!(!format!("{item:?}").contains("secret"));
    }

    #[test]
    fn positions_count_from_one() {
        let at = At::in_bytes(b"ab\ncd", 4, "");
        assert_eq!((at.line, at.column), (2, 2));
        assert_eq!(at.to_string(), "line 2, column 2");
    }
}
