//! LOINC, `Loinc.csv` of the release (LOINC Users' Guide, appendix A). Its names are long and are looked up by code, never
//! looked for in text; the class is the parent.
use super::super::{LOINC, system::Row};
use super::{Found, Input, version_in};
use crate::error::EdgeError;
use crate::ingest::csv;

pub(super) fn load(input: &mut Input) -> Result<Found, EdgeError> {
    let path = input
        .named("Loinc", ".csv")
        .ok_or_else(|| input.wrong("no file Loinc.csv", "give LoincTable/Loinc.csv"))?;
    let text = input.read(&path)?;
    let wrong = |what: String| {
        EdgeError::input(what, path.display().to_string(), "give LoincTable/Loinc.csv")
    };
    let table = csv::read(&text, ',').map_err(|issue| wrong(issue.to_string()))?;
    let place = |name: &str| {
        let at = table.header.cells.iter().position(|column| column.trim() == name);
        at.ok_or_else(|| wrong(format!("line 1: no column {name}")))
    };
    let [code, name, short, class, status] = [
        place("LOINC_NUM")?,
        place("LONG_COMMON_NAME")?,
        place("SHORTNAME")?,
        place("CLASS")?,
        place("STATUS")?,
    ];
    let changed = table.header.cells.iter().position(|c| c.trim() == "VersionLastChanged");
    let mut version = version_in(&path);
    let mut rows = Vec::new();
    for row in &table.rows {
        let cell = |at: usize| row.cells.get(at).map(String::as_str).unwrap_or_default();
        if let Some(at) = changed {
            // The newest change in the file is the release's own number.
            let of = |text: &str| text.parse::<f64>().unwrap_or(0.0);
            if of(cell(at)) > of(&version) || version == "unversioned" {
                version = cell(at).to_owned();
            }
        }
        if cell(status) == "DISCOURAGED" && cell(name).is_empty() {
            continue;
        }
        rows.push(Row {
            code: cell(code).to_owned(),
            display: cell(name).to_owned(),
            synonyms: Some(cell(short))
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .into_iter()
                .collect(),
            parents: Some(cell(class))
                .filter(|c| !c.is_empty())
                .map(str::to_owned)
                .into_iter()
                .collect(),
            ..Row::default()
        });
    }
    Ok(Found { system: LOINC, version, rows })
}
