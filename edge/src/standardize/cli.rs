//! Files in, FHIR R4 as NDJSON out: to look at what standardizing makes, and to hand it to other people's validators.
use super::{Tables, Unmapped, standardize};
use crate::error::EdgeError;
use crate::ingest;
use crate::model::{Coverage, Issue, Severity, Standardized};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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

/// What one file becomes, as `msnet edge standardize FILE… --json` prints it: an object a file.
///
/// ```text
/// {"file", "outcome": "accepted" | "partly" | "quarantined", "items", "refused",
///  "bundle": {"resourceType": "Bundle", "type": "collection", "entry": […]},
///  "issues": [{"item", "severity", "code", "rule", "at": {"byte", "line", "column", "path"}, "text"}],
///  "coverage": {"mapped", "raw", "dropped", "total", "percentMapped", "percentAccounted", "unmapped": [{"item", "at", "fate"}]}}
/// ```
/// `issues` of a refused item end with the one that refused it, of severity `fatal`; its bytes would go to quarantine whole.
#[derive(Clone, Default, Debug)]
pub struct FileReport {
    /// The file's name as it was given.
    pub file: String,
    /// Items in it.
    pub items: usize,
    /// Items that were refused.
    pub refused: usize,
    /// What became of the source leaves of the items that were accepted.
    pub coverage: Coverage,
    /// Resources by type.
    pub resources: BTreeMap<String, usize>,
    issues: Vec<(usize, Issue)>,
    unmapped: Vec<(usize, Unmapped)>,
    /// In order of first appearance; a later version of a resource takes the place of an earlier one.
    entries: Vec<String>,
    by_id: HashMap<[u8; 16], usize>,
}

/// Fields of one file that are listed; more are counted.
const MAX_LISTED: usize = 100_000;

/// Standardizes one file without any store.
///
/// # Errors
/// As [`crate::ingest::file::read`]; what cannot be read of the content is part of the report.
pub fn standardize_file(
    path: &Path,
    source: &str,
    mapping: Option<&super::csv::Mapping>,
    tables: &Tables,
) -> Result<FileReport, EdgeError> {
    let bytes = crate::ingest::file::read(path)?;
    let mut report = FileReport { file: path.display().to_string(), ..FileReport::default() };
    if let Some(mapping) = mapping {
        match super::csv::standardize_table(&bytes, mapping, source, tables) {
            Ok(rows) => rows.into_iter().for_each(|row| {
                report.items += 1;
                report.outcome_of(row.map_err(|issue| vec![issue]));
            }),
            Err(issue) => {
                report.items = 1;
                report.outcome_of(Err(vec![issue]));
            }
        }
        return Ok(report);
    }
    let declared = ingest::declared_by_name(&crate::ingest::file::form_name(path));
    match ingest::read_with_issues(source, declared, &bytes) {
        Err(issue) => {
            report.items = 1;
            report.refused = 1;
            report.issues.push((1, issue));
        }
        Ok((items, issues)) => {
            report.issues.extend(issues.into_iter().map(|issue| (0, issue)));
            for item in &items {
                report.add(item, tables);
            }
        }
    }
    Ok(report)
}

impl FileReport {
    fn add(&mut self, item: &crate::model::Item, tables: &Tables) {
        self.items += 1;
        self.outcome_of(super::standardize_listed(item, tables));
    }

    /// Adds what became of the last item.
    fn outcome_of(&mut self, outcome: Result<(Standardized, Vec<Unmapped>), Vec<Issue>>) {
        let number = self.items;
        let (done, unmapped) = match outcome {
            Ok(done) => done,
            Err(issues) => {
                self.refused += 1;
                self.issues.extend(issues.into_iter().map(|issue| (number, issue)));
                return;
            }
        };
        self.coverage.mapped += done.coverage.mapped;
        self.coverage.raw += done.coverage.raw;
        self.coverage.dropped += done.coverage.dropped;
        self.issues.extend(done.issues.into_iter().map(|issue| (number, issue)));
        let room = MAX_LISTED.saturating_sub(self.unmapped.len());
        self.unmapped.extend(unmapped.into_iter().take(room).map(|field| (number, field)));
        for record in done.records {
            let id = crate::model::ids::uuid_text(&record.stable_id);
            let entry =
                format!("{{\"fullUrl\":\"urn:uuid:{id}\",\"resource\":{}}}", record.resource);
            match self.by_id.get(&record.stable_id) {
                Some(at) => self.entries[*at] = entry,
                None => {
                    self.by_id.insert(record.stable_id, self.entries.len());
                    self.entries.push(entry);
                    *self.resources.entry(record.resource_type).or_default() += 1;
                }
            }
        }
    }

    /// Whether something was refused.
    pub const fn is_clean(&self) -> bool {
        self.refused == 0
    }

    /// Whether something is worth a look: refused items, or issues of warning level and above.
    pub fn has_findings(&self) -> bool {
        self.refused > 0 || self.issues.iter().any(|(_, issue)| issue.severity >= Severity::Warning)
    }

    const fn outcome(&self) -> &'static str {
        match self.refused {
            0 => "accepted",
            refused if refused == self.items => "quarantined",
            _ => "partly",
        }
    }

    /// One JSON object. Resources go in as they are; another parser would lose digits.
    pub fn to_json(&self) -> String {
        let issues = self.issues.iter().map(|(item, issue)| {
            json!({
                "item": item,
                "severity": severity(issue.severity),
                "code": issue.code,
                "rule": issue.rule,
                "at": {
                    "byte": issue.at.byte,
                    "line": issue.at.line,
                    "column": issue.at.column,
                    "path": issue.at.path,
                },
                "text": issue.text,
            })
        });
        let unmapped = self.unmapped.iter();
        let unmapped =
            unmapped.map(|(item, field)| json!({"item": item, "at": field.at, "fate": field.fate}));
        let Coverage { mapped, raw, dropped } = self.coverage;
        let coverage = json!({
            "mapped": mapped,
            "raw": raw,
            "dropped": dropped,
            "total": self.coverage.total(),
            "percentMapped": percent(mapped, self.coverage.total()),
            "percentAccounted": percent(mapped + raw + dropped, self.coverage.total()),
            "unmapped": unmapped.collect::<Vec<_>>(),
        });
        format!(
            "{{\"file\":{},\"outcome\":\"{}\",\"items\":{},\"refused\":{},\
             \"bundle\":{{\"resourceType\":\"Bundle\",\"type\":\"collection\"{}}},\"issues\":{},\"coverage\":{}}}",
            json!(self.file),
            self.outcome(),
            self.items,
            self.refused,
            // FHIR has no empty arrays.
            match self.entries.as_slice() {
                [] => String::new(),
                entries => format!(",\"entry\":[{}]", entries.join(",")),
            },
            json!(issues.collect::<Vec<_>>()),
            coverage,
        )
    }

    /// Lines for a person: what was made, how much of the source was mapped, what was found.
    pub fn to_lines(&self) -> Vec<String> {
        let kinds: Vec<String> =
            self.resources.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let Coverage { mapped, raw, dropped } = self.coverage;
        let mut out = vec![format!(
            "{}: {}, {} items, {} refused; {}",
            self.file,
            self.outcome(),
            self.items,
            self.refused,
            if kinds.is_empty() { "no resources".to_owned() } else { kinds.join(", ") },
        )];
        if self.coverage.total() > 0 {
            out.push(format!(
                "  {mapped} of {} source values mapped ({:.1} %), {raw} kept raw, {dropped} dropped",
                self.coverage.total(),
                percent(mapped, self.coverage.total()),
            ));
        }
        out.extend(self.issues.iter().map(|(item, issue)| {
            let name = severity(issue.severity);
            if self.items > 1 && *item > 0 {
                format!("  item {item}: {name}: {issue}")
            } else {
                format!("  {name}: {issue}")
            }
        }));
        out
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Information => "information",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Fatal => "fatal",
    }
}

/// To two digits behind the point; nothing of nothing is everything.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn percent(part: usize, total: usize) -> f64 {
    if total == 0 { 100.0 } else { (part as f64 * 10_000.0 / total as f64).round() / 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, bytes: &[u8]) -> FileReport {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("write");
        standardize_file(&path, "urn:test:source", None, &Tables::shipped()).expect("a file")
    }

    const TWO: &str = "MSH|^~\\&|LAB|X|||20240101||ADT^A08|1|P|2.5\rPID|1||7^^^H^MR||A^B||19700101|F|||||||||||||||||||||||||||X\r\
                       MSH|^~\\&|LAB|X|||20240102||ADT^A08|2|P|2.5\rPID|1||7^^^H^MR||A^C||19700101|F\r\
                       MSH|^~\\&|LAB|X|||20240102||ADT^A08|3|P|2.5\rEVN||1\r";

    #[test]
    fn a_file_becomes_one_object() {
        let report = report("two.hl7", TWO.as_bytes());
        assert_eq!((report.items, report.refused, report.outcome()), (3, 1, "partly"));
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
        let entries = json["bundle"]["entry"].as_array().expect("entries");
        let urls: std::collections::BTreeSet<&str> =
            entries.iter().filter_map(|entry| entry["fullUrl"].as_str()).collect();
        assert_eq!(urls.len(), entries.len(), "no resource twice");
        let patient = entries.iter().find(|e| e["resource"]["resourceType"] == "Patient");
        let given = &patient.expect("the patient")["resource"]["name"][0]["given"][0];
        assert_eq!(given, "C", "the later version");
        let coverage = &json["coverage"];
        let count = |key: &str| coverage[key].as_u64().expect("a number");
        assert_eq!(count("mapped") + count("raw") + count("dropped"), count("total"));
        let unmapped = coverage["unmapped"].as_array().expect("a list");
        assert_eq!(unmapped.len() as u64, count("raw") + count("dropped"));
        let names: Vec<&str> = unmapped.iter().filter_map(|field| field["at"].as_str()).collect();
        assert!(names.contains(&"PID[1]-35"), "{names:?}");
        let fatal = json["issues"].as_array().expect("issues").last().expect("an issue").clone();
        assert_eq!((&fatal["severity"], &fatal["item"]), (&json!("fatal"), &json!(3)));
    }

    #[test]
    fn what_cannot_be_read_has_a_position() {
        let report = report("bad.json", b"{\"resourceType\": \"Patient\",\n \"a\": }");
        assert_eq!((report.outcome(), report.is_clean()), ("quarantined", false));
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
        assert_eq!(json["issues"][0]["at"]["line"], 2);
        assert!(json["bundle"].get("entry").is_none(), "no empty array");
    }
}
