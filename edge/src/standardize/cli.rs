//! Files in, FHIR R4 as NDJSON out: to look at what standardizing makes, and to hand it to other people's validators.
use super::{Tables, standardize};
use crate::ingest;
use crate::model::Coverage;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

/// What became of some files.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// Items read.
    pub items: usize,
    /// Items refused, each with its file and reason.
    pub refused: Vec<String>,
    /// Resources by type.
    pub resources: BTreeMap<String, usize>,
    /// What became of the source leaves.
    pub coverage: Coverage,
    /// Issues of the items that were accepted.
    pub issues: usize,
}

/// Standardizes files and writes one resource a line.
///
/// # Errors
/// Only what reading a file or writing to `out` gives; an item that is refused is counted in the report.
pub fn cli(files: &[PathBuf], out: &mut dyn Write) -> io::Result<Report> {
    let tables = Tables::shipped();
    let mut report = Report::default();
    for path in files {
        let bytes = std::fs::read(path)?;
        let name = path.to_string_lossy();
        let items = match ingest::read("urn:msnet:cli", ingest::declared_by_name(&name), &bytes) {
            Ok(items) => items,
            Err(issue) => {
                report.refused.push(format!("{name}: {issue}"));
                continue;
            }
        };
        for item in items {
            report.items += 1;
            match standardize(&item, &tables) {
                Ok(done) => {
                    report.coverage.mapped += done.coverage.mapped;
                    report.coverage.raw += done.coverage.raw;
                    report.coverage.dropped += done.coverage.dropped;
                    report.issues += done.issues.len();
                    for record in done.records {
                        *report.resources.entry(record.resource_type).or_default() += 1;
                        writeln!(out, "{}", record.resource)?;
                    }
                }
                Err(issues) => {
                    let reason = issues.last().map(ToString::to_string).unwrap_or_default();
                    report.refused.push(format!("{name}: {reason}"));
                }
            }
        }
    }
    Ok(report)
}
