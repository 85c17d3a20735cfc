//! Record → keywords with what is said about each: present, negated, family, past, possible, hypothetical.
//!
//! Structured codes first, each as its preferred concept (weight 3), then titles and displays (2), then running text (1):
//! sentences, words, longest dictionary match, context. "No fever" is not fever; "family history of diabetes" is family.
mod abbreviation;
pub mod context;
pub mod deidentify;
pub mod epoch;
pub mod mention;
pub mod rank;
pub mod sentence;
mod tagger;

use crate::model::json::Value;
use crate::model::{Assertion, Keyword};
use crate::terminology::normalise::tokens;
use crate::terminology::{Concept, DOID, ICD10CM, LOINC, RXNORM, SYMP, Terminology};

/// Weight of a structured code.
const WEIGHT_CODE: u32 = 3;
/// Weight of a mention in a title or display.
const WEIGHT_TITLE: u32 = 2;
/// Weight of a mention in running text.
const WEIGHT_TEXT: u32 = 1;
/// Text of one record that is read, in bytes; a note's limit.
const MAX_TEXT: usize = 4 << 20;

/// Elements that hold what a resource is about.
const CODED: [(&str, &[&str]); 12] = [
    ("Condition", &["code"]),
    ("Observation", &["code", "valueCodeableConcept"]),
    ("MedicationRequest", &["medicationCodeableConcept"]),
    ("MedicationStatement", &["medicationCodeableConcept"]),
    ("MedicationAdministration", &["medicationCodeableConcept"]),
    ("MedicationDispense", &["medicationCodeableConcept"]),
    ("Medication", &["code"]),
    ("Immunization", &["vaccineCode"]),
    ("Procedure", &["code"]),
    ("AllergyIntolerance", &["code"]),
    ("DiagnosticReport", &["code"]),
    ("FamilyMemberHistory", &[]),
];

/// A keyword and why it is one: codes as `system|code in field`, words of the text as `"words" in the text`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// The keyword.
    pub keyword: Keyword,
    /// Why, at most [`MAX_REASONS`] of them.
    pub reasons: Vec<String>,
}

/// Reasons that are told for one keyword.
pub const MAX_REASONS: usize = 8;

/// The keywords of one resource; `text` is its running text (note, narrative, string results).
pub fn keywords(resource: &Value, text: &str, terminology: &Terminology) -> Vec<Keyword> {
    explained(resource, text, terminology).into_iter().map(|found| found.keyword).collect()
}

/// As [`keywords`], with the reasons. They quote the record, so they are for those who may read it.
pub fn explained(resource: &Value, text: &str, terminology: &Terminology) -> Vec<Explained> {
    let mut found = Found::default();
    if let Some(assertion) = assertion_of(resource) {
        let resource_type = resource.str_at("resourceType").unwrap_or_default();
        let fields =
            CODED.iter().find(|(name, _)| *name == resource_type).map(|(_, fields)| *fields);
        for field in fields.unwrap_or_default() {
            if let Some(concept) = resource.get(field) {
                found.codeable_concept(concept, field, assertion, terminology);
            }
        }
        for condition in resource.items("condition") {
            if let Some(concept) = condition.get("code") {
                found.codeable_concept(concept, "condition.code", Assertion::Family, terminology);
            }
        }
        found.text(text, "the text", assertion, WEIGHT_TEXT, terminology);
    }
    found.0
}

/// The codes a searcher's words stand for: the named concepts, all narrower ones, and codes written as such.
///
/// `heart attack` gives myocardial infarction and its kinds; `E11.9` gives type 2 diabetes mellitus.
pub fn query_terms(text: &str, terminology: &Terminology) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut add = |system: &str, code: &str| {
        let term = (system.to_owned(), code.to_owned());
        if !out.contains(&term) {
            out.push(term);
        }
    };
    let mut concepts: Vec<Concept> = Vec::new();
    for word in text.split_whitespace() {
        for system in [ICD10CM, LOINC, DOID, SYMP, RXNORM] {
            // A bare number is a count more often than an RxNorm code.
            let is_code = system != RXNORM || word.len() >= 4;
            if is_code && terminology.display(system, word).is_some() {
                add(system, word);
                concepts.push(terminology.preferred(system, word));
            }
        }
    }
    concepts.extend(terminology.find(&tokens(text)).into_iter().map(|(concept, _)| concept));
    for concept in concepts {
        add(&concept.system, &concept.code);
        for narrower in terminology.narrower(&concept.system, &concept.code) {
            add(&concept.system, &narrower);
        }
    }
    out
}

/// What the resource itself says about its codes; `None` for a resource entered in error.
fn assertion_of(resource: &Value) -> Option<Assertion> {
    let code = |path: &str| resource.str_at(path).unwrap_or_default();
    if [code("status"), code("verificationStatus.coding.0.code")].contains(&"entered-in-error") {
        return None;
    }
    if code("resourceType") == "FamilyMemberHistory" {
        return Some(Assertion::Family);
    }
    if matches!(code("status"), "not-done" | "cancelled" | "not-taken") {
        return Some(Assertion::Negated);
    }
    Some(match (code("verificationStatus.coding.0.code"), code("clinicalStatus.coding.0.code")) {
        ("refuted", _) => Assertion::Negated,
        ("provisional" | "differential" | "unconfirmed", _) => Assertion::Possible,
        (_, "resolved" | "inactive" | "remission") => Assertion::Past,
        _ => Assertion::Present,
    })
}

#[derive(Default)]
struct Found(Vec<Explained>);

impl Found {
    fn add(&mut self, concept: Concept, assertion: Assertion, weight: u32, reason: String) {
        let same = |found: &&mut Explained| {
            let keyword = &found.keyword;
            keyword.code == concept.code
                && keyword.system == concept.system
                && keyword.assertion == assertion
        };
        match self.0.iter_mut().find(same) {
            Some(found) => {
                found.keyword.weight = found.keyword.weight.saturating_add(weight);
                if found.reasons.len() < MAX_REASONS && !found.reasons.contains(&reason) {
                    found.reasons.push(reason);
                }
            }
            None => {
                let keyword = Keyword {
                    system: concept.system,
                    code: concept.code,
                    display: concept.display,
                    assertion,
                    weight,
                };
                self.0.push(Explained { keyword, reasons: vec![reason] });
            }
        }
    }

    fn codeable_concept(
        &mut self,
        concept: &Value,
        field: &str,
        assertion: Assertion,
        terms: &Terminology,
    ) {
        let mut titles: Vec<&str> = Vec::new();
        for coding in concept.items("coding") {
            if let (Some(system), Some(code)) = (coding.str_at("system"), coding.str_at("code")) {
                let reason = format!("{system}|{code} in {field}");
                self.add(terms.preferred(system, code), assertion, WEIGHT_CODE, reason);
            }
            titles.extend(coding.str_at("display"));
        }
        titles.extend(concept.str_at("text"));
        // A title that says the same as a display counts once.
        titles.sort_unstable();
        titles.dedup();
        for title in titles {
            self.text(title, field, assertion, WEIGHT_TITLE, terms);
        }
    }

    fn text(
        &mut self,
        text: &str,
        place: &str,
        default: Assertion,
        weight: u32,
        terms: &Terminology,
    ) {
        let cut = (0..=MAX_TEXT.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
        let text = &text[..cut.unwrap_or(0)];
        for found in mention::named(text, default, terms) {
            let reason = format!("{:?} in {place}", &text[found.range]);
            self.add(found.concept, found.said.assertion(), weight, reason);
        }
    }
}

#[cfg(test)]
#[path = "extract_test.rs"]
mod tests;
