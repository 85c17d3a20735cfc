//! Finding records by code, concept, word, kind and date. Sealed like everything at rest, and rebuilt from the vault.
//!
//! | field | type | role |
//! |---|---|---|
//! | `patient_no`, `local_no` | u64, indexed, fast | address, deletion, distinct patients |
//! | `kind`, `confidentiality` | u64, indexed, fast | filters |
//! | `code` | `system\|code` | every code in the resource, affirmed or not |
//! | `keyword` | `system\|code` | affirmed concepts, and the resource's own codes unless the resource denies them |
//! | `negated`, `family`, `past`, `possible` | `system\|code` | concepts in context |
//! | `text` | words with positions | displays, narrative, note text, by the normaliser of the terminology |
//! | `date` | i64 seconds, indexed, fast | ranges |
//!
//! Nothing but the address is stored; text is read from the vault. [`directory`] seals the files, [`tantivy`] writes and
//! searches, [`query`] says what can be asked.
pub mod directory;
pub mod query;
pub mod tantivy;

use std::collections::BTreeSet;

pub use self::{
    query::{Hit, Hits, Query},
    tantivy::Index,
};
use crate::{
    model::{
        Assertion, Keyword,
        json::{self, Value},
    },
    standardize,
    vault::{RecordMeta, StoredRecord},
};

/// What the index is told about a record.
#[derive(Clone, Debug)]
pub struct IndexDoc {
    /// Whose it is, which it is, what kind, when.
    pub meta: RecordMeta,
    codes: BTreeSet<String>,
    keywords: BTreeSet<String>,
    negated: BTreeSet<String>,
    family: BTreeSet<String>,
    past: BTreeSet<String>,
    possible: BTreeSet<String>,
    text: String,
}

impl IndexDoc {
    /// The document of a record; a record whose bytes are not JSON is found by its keywords only.
    pub fn of(record: &StoredRecord) -> Self {
        let resource = json::parse(&record.bytes).unwrap_or(Value::Null);
        let mut codes = BTreeSet::new();
        collect_codes(&resource, &mut codes);
        let with = |wanted: &[Assertion]| -> BTreeSet<String> {
            let wanted = |keyword: &&Keyword| wanted.contains(&keyword.assertion);
            record.keywords.iter().filter(wanted).map(|k| term(&k.system, &k.code)).collect()
        };
        let mut keywords = with(&[Assertion::Present, Assertion::Past]);
        if affirms(&resource) {
            keywords.extend(codes.iter().cloned());
        }
        Self {
            meta: record.meta.clone(),
            codes,
            keywords,
            negated: with(&[Assertion::Negated]),
            family: with(&[Assertion::Family]),
            past: with(&[Assertion::Past]),
            possible: with(&[Assertion::Possible, Assertion::Hypothetical]),
            text: standardize::search_text(&resource),
        }
    }
}

/// `system|code`, FHIR's way to write a token.
fn term(system: &str, code: &str) -> String {
    format!("{system}|{code}")
}

/// Every Coding in a resource; status codes and the like are plain strings and no Codings.
fn collect_codes(value: &Value, codes: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_codes(item, codes)),
        Value::Object(members) => {
            if let (Some(system), Some(code)) = (value.str_at("system"), value.str_at("code")) {
                codes.insert(term(system, code));
            }
            members.iter().for_each(|(_, member)| collect_codes(member, codes));
        }
        _ => {}
    }
}

/// Whether a resource says of its patient what its codes say: not if it is refuted, wrong, not done or about a relative.
fn affirms(resource: &Value) -> bool {
    const DENIED: [&str; 4] = ["refuted", "entered-in-error", "not-done", "cancelled"];
    let denied = |code: Option<&str>| code.is_some_and(|code| DENIED.contains(&code));
    let verification = resource.get("verificationStatus").map_or(&[][..], |v| v.items("coding"));
    resource.str_at("resourceType") != Some("FamilyMemberHistory")
        && !denied(resource.str_at("status"))
        && !verification.iter().any(|coding| denied(coding.str_at("code")))
}
