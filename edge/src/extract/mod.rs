//! Record → keywords with what is said about each: present, negated, family, past, possible, hypothetical.
//!
//! Structured codes first, each as its preferred concept (weight 3), then titles and displays (2), then running text (1):
//! sentences, words, longest dictionary match, context. "No fever" is not fever; "family history of diabetes" is family.
pub mod context;
pub mod sentence;

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

/// The keywords of one resource; `text` is its running text (note, narrative, string results).
pub fn keywords(resource: &Value, text: &str, terminology: &Terminology) -> Vec<Keyword> {
    let mut found = Found::default();
    if let Some(assertion) = assertion_of(resource) {
        let resource_type = resource.str_at("resourceType").unwrap_or_default();
        let fields =
            CODED.iter().find(|(name, _)| *name == resource_type).map(|(_, fields)| *fields);
        for concept in fields.unwrap_or_default().iter().filter_map(|field| resource.get(field)) {
            found.codeable_concept(concept, assertion, terminology);
        }
        for condition in resource.items("condition") {
            if let Some(concept) = condition.get("code") {
                found.codeable_concept(concept, Assertion::Family, terminology);
            }
        }
        found.text(text, assertion, WEIGHT_TEXT, terminology);
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
struct Found(Vec<Keyword>);

impl Found {
    fn add(&mut self, concept: Concept, assertion: Assertion, weight: u32) {
        let same = |k: &&mut Keyword| {
            k.code == concept.code && k.system == concept.system && k.assertion == assertion
        };
        match self.0.iter_mut().find(same) {
            Some(keyword) => keyword.weight = keyword.weight.saturating_add(weight),
            None => self.0.push(Keyword {
                system: concept.system,
                code: concept.code,
                display: concept.display,
                assertion,
                weight,
            }),
        }
    }

    fn codeable_concept(&mut self, concept: &Value, assertion: Assertion, terms: &Terminology) {
        let mut titles: Vec<&str> = Vec::new();
        for coding in concept.items("coding") {
            if let (Some(system), Some(code)) = (coding.str_at("system"), coding.str_at("code")) {
                self.add(terms.preferred(system, code), assertion, WEIGHT_CODE);
            }
            titles.extend(coding.str_at("display"));
        }
        titles.extend(concept.str_at("text"));
        titles.sort_unstable();
        titles.dedup();
        for title in titles {
            self.text(title, assertion, WEIGHT_TITLE, terms);
        }
    }

    fn text(&mut self, text: &str, default: Assertion, weight: u32, terms: &Terminology) {
        let cut = (0..=MAX_TEXT.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
        let text = &text[..cut.unwrap_or(0)];
        for sentence in sentence::sentences(text) {
            let words = tokens(&text[sentence.range]);
            let (concepts, ranges): (Vec<_>, Vec<_>) = terms.find(&words).into_iter().unzip();
            if concepts.is_empty() {
                continue;
            }
            let said = match sentence.default {
                Assertion::Present => default,
                section => section,
            };
            let assertions = context::assertions(&words, &ranges, said);
            for (concept, assertion) in concepts.into_iter().zip(assertions) {
                self.add(concept, assertion, weight);
            }
        }
    }
}

#[cfg(test)]
#[path = "extract_test.rs"]
mod tests;
