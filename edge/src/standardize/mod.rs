//! Items → FHIR R4 4.0.1 records, value by value: nothing guessed, nothing lost silently, same bytes in, same records out.
//!
//! Reads no clock, no randomness, no store. Ids in the result are stable ids; a required value that the source does not say
//! is `data-absent-reason`; one Provenance per patient and item names the original bytes by hash.
//!
//! | form | module | becomes |
//! |---|---|---|
//! | HL7 v2 ADT, ORU | [`hl7v2`], [`types`] | Patient, Encounter, Condition, AllergyIntolerance, DiagnosticReport, Observation, … |
//! | FHIR JSON | [`fhir`] | the same resources under stable ids |
//! | C-CDA | [`ccda`] | Patient and the entries of the sections in `edge/data/ccda/map.tsv` |
//! | note | [`note`] | DocumentReference |
//!
//! Code maps are HL7's v2-to-FHIR tables as published (`edge/data/v2-to-fhir`); which field goes where follows their segment
//! tables and is written out in Rust, until the tables' condition language is interpreted.
mod ccda;
mod ccda_entries;
mod cda_types;
pub mod cli;
mod coverage;
pub mod csv;
mod draft;
mod fhir;
mod hl7v2;
mod hl7v2_results;
mod hl7v2_tables;
mod note;
pub mod tables;
mod time;
mod types;
pub mod validate;

use crate::model::{Form, Issue, Item, Standardized};
pub use cli::{Report, cli};
pub use coverage::Unmapped;
use draft::Drafts;
pub use tables::Tables;

/// Parses an item and maps it to records with keywords. Pure and deterministic.
///
/// # Errors
/// The issues that refuse the item, the fatal one last: not parsable, no patient, two patients in one message, over a limit.
pub fn standardize(item: &Item, tables: &Tables) -> Result<Standardized, Vec<Issue>> {
    run(item, tables, Drafts::new(&item.source)).map(|(done, _)| done)
}

/// As [`standardize`], with the source fields that are kept raw or dropped, in the order of the source.
///
/// # Errors
/// As [`standardize`].
pub fn standardize_listed(
    item: &Item,
    tables: &Tables,
) -> Result<(Standardized, Vec<Unmapped>), Vec<Issue>> {
    let mut drafts = Drafts::new(&item.source);
    drafts.unmapped = Some(Vec::new());
    run(item, tables, drafts)
}

fn run(
    item: &Item,
    tables: &Tables,
    mut drafts: Drafts<'_>,
) -> Result<(Standardized, Vec<Unmapped>), Vec<Issue>> {
    let mapped = match item.form {
        Form::Hl7v2 => hl7v2::map(item, tables, &mut drafts),
        Form::FhirJson => fhir::map(item, &mut drafts),
        Form::Ccda => ccda::map(item, tables, &mut drafts),
        Form::Note => note::map(item, &tables.terminology, &mut drafts),
        Form::Csv => Err(Issue::new(
            crate::model::Severity::Fatal,
            "not-supported",
            "csv-mapping",
            crate::model::At::default(),
            "a table needs its mapping file",
        )),
    };
    let coverage = match mapped {
        Ok(coverage) => coverage,
        Err(fatal) => {
            let mut issues = drafts.issues;
            issues.push(fatal);
            return Err(issues);
        }
    };
    let unmapped = drafts.unmapped.take().unwrap_or_default();
    let (records, issues) = drafts.finish(&tables.terminology);
    Ok((Standardized { item: item.clone(), records, issues, coverage }, unmapped))
}

/// The words by which a resource is found: displays, titles, and what somebody wrote in it; nothing of people.
pub fn search_text(resource: &crate::model::json::Value) -> String {
    let (mut words, running) = draft::texts(resource);
    words.push(running);
    words.join("\n").trim().to_owned()
}

/// What somebody wrote in sentences in a resource: notes, narrative results, attached plain text.
pub fn running_text(resource: &crate::model::json::Value) -> String {
    draft::texts(resource).1
}

#[cfg(test)]
#[path = "attacks_test.rs"]
mod attacks;
#[cfg(test)]
#[path = "standardize_test.rs"]
mod tests;
