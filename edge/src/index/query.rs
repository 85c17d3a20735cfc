//! What can be asked, and what comes back.
use crate::model::{Handle, Kind, PatientNo};

/// A question about single records: every part must hold.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Query {
    /// Concepts as `(system, code)`: of each inner list at least one, affirmed. An empty inner list is met by nothing.
    pub all: Vec<Vec<(String, String)>>,
    /// Concepts of which none may be affirmed.
    pub none: Vec<Vec<(String, String)>>,
    /// Concepts that must be denied ("no fever").
    pub negated: Vec<(String, String)>,
    /// Words or phrases that must stand in the text.
    pub words: Vec<String>,
    /// Codes of [`Kind`]; `None` for all.
    pub kinds: Option<Vec<u16>>,
    /// Not before this moment, seconds since 1970 UTC.
    pub from: Option<i64>,
    /// Not after this moment.
    pub to: Option<i64>,
}

/// One record that answers a question.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// The record.
    pub handle: Handle,
    /// Its kind.
    pub kind: Kind,
    /// Whose it is.
    pub patient_no: PatientNo,
    /// Its number among the patient's records.
    pub local_no: u32,
    /// BM25 score; comparable within one answer only.
    pub score: f32,
    /// Which parts of the question it meets: `http://…|E11.9`, `no …`, `text "…"`.
    pub why: Vec<String>,
}

/// The answer.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Hits {
    /// The best records.
    pub hits: Vec<Hit>,
    /// How many distinct patients have a record that answers; shared records belong to nobody.
    pub patients: u64,
}
