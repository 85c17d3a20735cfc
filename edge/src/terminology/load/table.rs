//! Any code system as a table: tab-separated, header `code display synonyms parent`; synonyms and parents joined by `|`.
use super::super::system::Row;
use super::{Found, Input, columns, version_in};
use crate::error::EdgeError;

pub(super) fn load(input: &mut Input) -> Result<Found, EdgeError> {
    let path = input.files.first().cloned();
    let path = path.ok_or_else(|| input.wrong("no file", "give a TSV file"))?;
    let text = input.read(&path)?;
    let many = |cell: &str| {
        let parts = cell.split('|').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect::<Vec<_>>()
    };
    let rows = columns(&text, '\t', &["code", "display", "synonyms", "parent"], &path)?;
    let rows = rows.map(|cells| Row {
        code: cells[0].trim().to_owned(),
        display: cells[1].trim().to_owned(),
        synonyms: many(cells[2]),
        parents: many(cells[3]),
        is_named: true,
        ..Row::default()
    });
    Ok(Found { system: "", version: version_in(&path), rows: rows.collect() })
}
