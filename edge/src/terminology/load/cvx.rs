//! CVX, CDC's list of vaccines: `code|short name|full name|notes|status|…`, one a line.
use super::super::system::Row;
use super::{CVX, Found, Input, version_in};
use crate::error::EdgeError;

pub(super) fn load(input: &mut Input) -> Result<Found, EdgeError> {
    let path = input.files.first().cloned();
    let path = path.ok_or_else(|| input.wrong("no file", "give CDC's cvx.txt"))?;
    let text = input.read(&path)?;
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [code, short, full, ..] = cells.as_slice() else {
            let what = format!("line {}: not code|short name|full name|…", number + 1);
            return Err(input.wrong(what, "give CDC's pipe-separated file"));
        };
        if code.is_empty() || !code.bytes().all(|b| b.is_ascii_digit()) {
            let what = format!("line {}: no vaccine has this code", number + 1);
            return Err(input.wrong(what, "give CDC's pipe-separated file"));
        }
        rows.push(Row {
            code: (*code).to_owned(),
            display: (if full.is_empty() { short } else { full }).to_string(),
            synonyms: vec![(*short).to_owned()],
            ..Row::default()
        });
    }
    Ok(Found { system: CVX, version: version_in(&path), rows })
}
