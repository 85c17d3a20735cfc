//! SNOMED CT, RF2 snapshot (Release File Specification 5): tab-separated files in `Terminology` and `Refset`.
use super::super::system::{Map, Rows};
use super::super::{Equivalence, ICD10CM, SNOMED};
use super::{Found, ICD10, Input, columns, version_in};
use crate::error::EdgeError;
use std::collections::HashMap;

const FULLY_SPECIFIED: &str = "900000000000003001";
const SYNONYM: &str = "900000000000013009";
const PREFERRED: &str = "900000000000548007";
const IS_A: &str = "116680003";
/// Extended map to ICD-10 (international) and to ICD-10-CM (US edition).
const MAPS: [(&str, &str); 2] = [("447562003", ICD10), ("6011000124106", ICD10CM)];
/// Concepts of these kinds are named in notes; the others' names are too common as words.
const NAMED: [&str; 4] = ["disorder", "finding", "procedure", "morphologic abnormality"];

pub(super) fn load(input: &mut Input) -> Result<Found, EdgeError> {
    let missing = |input: &Input, what: &str| {
        let fix = "give the folder of an RF2 release that holds Snapshot/Terminology";
        input.wrong(format!("no file {what}"), fix)
    };
    let mut rows = Rows::default();
    let path = input
        .named("sct2_Concept_Snapshot", ".txt")
        .ok_or_else(|| missing(input, "sct2_Concept_Snapshot_….txt"))?;
    let version = version_in(&path);
    let text = input.read(&path)?;
    for row in columns(&text, '\t', &["id", "active"], &path)? {
        if row[1] == "1" {
            rows.at(row[0]);
        }
    }
    let preferred = preferred(input)?;
    let path = input
        .named("sct2_Description_Snapshot", ".txt")
        .ok_or_else(|| missing(input, "sct2_Description_Snapshot-….txt"))?;
    let text = input.read(&path)?;
    for cells in columns(&text, '\t', &["id", "active", "conceptId", "typeId", "term"], &path)? {
        let [id, "1", concept, kind, term] = cells.as_slice() else { continue };
        let Some(row) = rows.get(concept) else { continue };
        if *kind == FULLY_SPECIFIED {
            let tag = term.rsplit_once('(').and_then(|(_, tag)| tag.strip_suffix(')'));
            row.is_named = tag.is_some_and(|tag| NAMED.contains(&tag));
            if row.display.is_empty() {
                row.display = (*term).to_owned();
            }
        } else if *kind == SYNONYM && preferred.contains_key(*id) {
            // The name of the fully specified one stays only until a preferred synonym comes.
            if row.display.is_empty() || row.display.ends_with(')') {
                row.display = (*term).to_owned();
            } else {
                row.synonyms.push((*term).to_owned());
            }
        } else if *kind == SYNONYM {
            row.synonyms.push((*term).to_owned());
        }
    }
    is_a(input, &mut rows)?;
    extended_maps(input, &mut rows)?;
    Ok(Found { system: SNOMED, version, rows: rows.into_rows() })
}

/// Ids of the descriptions that the language refset prefers; without a refset every synonym is one.
fn preferred(input: &mut Input) -> Result<HashMap<String, ()>, EdgeError> {
    let mut out = HashMap::new();
    let Some(path) = input.named("der2_cRefset_Language", ".txt") else { return Ok(out) };
    let text = input.read(&path)?;
    let names = ["active", "referencedComponentId", "acceptabilityId"];
    for row in columns(&text, '\t', &names, &path)? {
        if row[0] == "1" && row[2] == PREFERRED {
            out.insert(row[1].to_owned(), ());
        }
    }
    Ok(out)
}

fn is_a(input: &mut Input, rows: &mut Rows) -> Result<(), EdgeError> {
    let Some(path) = input.named("sct2_Relationship_Snapshot", ".txt") else { return Ok(()) };
    let text = input.read(&path)?;
    let names = ["active", "sourceId", "destinationId", "typeId"];
    for row in columns(&text, '\t', &names, &path)? {
        if row[0] == "1"
            && row[3] == IS_A
            && let Some(source) = rows.get(row[1])
        {
            source.parents.push(row[2].to_owned());
        }
    }
    Ok(())
}

/// Only what holds without asking about the patient: rules `TRUE` and `OTHERWISE TRUE`. A classification's class holds more
/// than the concept that is put into it, so the target is wider.
fn extended_maps(input: &mut Input, rows: &mut Rows) -> Result<(), EdgeError> {
    let Some(path) = input.named("der2_iisssccRefset_ExtendedMap", ".txt") else { return Ok(()) };
    let text = input.read(&path)?;
    let names = ["active", "refsetId", "referencedComponentId", "mapRule", "mapTarget"];
    for row in columns(&text, '\t', &names, &path)? {
        let system = MAPS.iter().find(|(refset, _)| *refset == row[1]);
        let holds = matches!(row[3], "TRUE" | "OTHERWISE TRUE");
        if let (true, "1", Some((_, system))) = (holds && !row[4].is_empty(), row[0], system)
            && let Some(concept) = rows.get(row[2])
        {
            // `?` marks a target that a coder has to complete.
            let code = row[4].trim_end_matches('?').to_owned();
            let map = Map { system: (*system).into(), code, equivalence: Equivalence::Wider };
            if !concept.maps.contains(&map) {
                concept.maps.push(map);
            }
        }
    }
    Ok(())
}
