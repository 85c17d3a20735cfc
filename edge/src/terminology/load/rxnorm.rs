//! RxNorm, RRF files (RxNorm Technical Documentation, section 12): fields end with `|`, so a line has one more than it shows.
//!
//! `RXNREL` reads from right to left: a line `A|…|B|…|RELA` says "B RELA A". A brand leads to its ingredient by
//! `tradename_of`, a clinical drug by `consists_of` (component) and `has_ingredient`.
use super::super::system::{Map, Rows};
use super::super::{Equivalence, RXNORM};
use super::{Found, Input, version_in};
use crate::error::EdgeError;
use std::collections::HashMap;

/// Term types of RxNorm's own names: ingredients, brands, drugs and their components.
const KINDS: [&str; 12] =
    ["IN", "PIN", "MIN", "BN", "SCD", "SBD", "SCDC", "SBDC", "SCDF", "SBDF", "GPCK", "BPCK"];

pub(super) fn load(input: &mut Input) -> Result<Found, EdgeError> {
    let fix = "give the folder rrf of a release";
    let path =
        input.named("RXNCONSO", ".RRF").ok_or_else(|| input.wrong("no file RXNCONSO.RRF", fix))?;
    let version = version_in(&input.root);
    let text = input.read(&path)?;
    let (mut rows, mut kinds) = (Rows::default(), HashMap::new());
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').collect();
        let [code, _, _, _, _, _, _, _, _, _, _, "RXNORM", kind, _, name, _, suppress, ..] =
            cells.as_slice()
        else {
            continue;
        };
        // E is left out by the editors, O is obsolete, Y is suppressed elsewhere.
        if cells.len() < 18 || *suppress != "N" || !KINDS.contains(kind) {
            continue;
        }
        kinds.insert((*code).to_owned(), (*kind).to_owned());
        let row = rows.at(code);
        row.is_named |= matches!(*kind, "IN" | "BN");
        if row.display.is_empty() {
            row.display = (*name).to_owned();
        } else if row.display != *name {
            row.synonyms.push((*name).to_owned());
        }
    }
    relate(input, &mut rows, &kinds)?;
    Ok(Found { system: RXNORM, version, rows: rows.into_rows() })
}

fn relate(
    input: &mut Input,
    rows: &mut Rows,
    kinds: &HashMap<String, String>,
) -> Result<(), EdgeError> {
    let Some(path) = input.named("RXNREL", ".RRF") else { return Ok(()) };
    let text = input.read(&path)?;
    let is = |code: &str, kind: &str| kinds.get(code).is_some_and(|found| found == kind);
    let mut ingredient: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut components: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').collect();
        let [right, _, _, _, left, _, _, how, _, _, "RXNORM", ..] = cells.as_slice() else {
            continue;
        };
        match *how {
            "tradename_of" if is(left, "BN") && is(right, "IN") => {
                ingredient.entry(left).or_default().push(right);
            }
            "has_ingredient" if is(right, "IN") => ingredient.entry(left).or_default().push(right),
            "consists_of" => components.entry(left).or_default().push(right),
            _ => {}
        }
    }
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for code in ingredient.keys().chain(components.keys()) {
        let own = ingredient.get(code).into_iter().flatten();
        let parts = components.get(code).into_iter().flatten();
        let through = parts.filter_map(|part| ingredient.get(part)).flatten();
        let mut all: Vec<&str> = own.chain(through).copied().collect();
        all.sort_unstable();
        all.dedup();
        found.push((code, all));
    }
    for (code, ingredients) in found {
        let Some(row) = rows.get(code) else { continue };
        row.parents = ingredients.iter().map(|&code| code.to_owned()).collect();
        row.maps = to_ingredients(&ingredients);
    }
    Ok(())
}

/// An only ingredient is the wider concept; of a mixture none stands for it.
fn to_ingredients(ingredients: &[&str]) -> Vec<Map> {
    let [only] = ingredients else { return Vec::new() };
    let code = (*only).to_owned();
    vec![Map { system: RXNORM.into(), code, equivalence: Equivalence::Wider }]
}
