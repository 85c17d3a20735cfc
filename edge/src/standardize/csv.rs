//! A table and its mapping file → records, row by row.
//!
//! ```toml
//! confirmed = true                                                    # a drafted mapping says false until a person has read it
//! table = { delimiter = ",", encoding = "utf-8", decimal = ".", null = ["", "NA"], zone = "+01:00", patient = { column = "mrn", system = "urn:oid:1.2.3.4" } }
//! unmapped = { policy = "raw", drop = { row_no = "export artefact" } }
//! [[map]]
//! resource = "Observation"
//! key = ["sample_id", "=hgb"]                                         # natural key; "=" marks a constant
//! when = "hgb not null"                                               # also: = "x", in ("x", "y"), joined by and / or
//! set.status = { const = "final" }
//! set.code = { system = "http://loinc.org", code = "718-7" }
//! set.valueQuantity = { column = "hgb", unit = "g/dL" }
//! set.effectiveDateTime = { column = "taken", format = "%d.%m.%Y" }   # %Y %m %d %H %M %S; without it only YYYY[-MM[-DD]]
//! set.encounter = { column = "visit", reference = "Encounter" }       # the Encounter that has the key ["visit"]
//! set.gender = { column = "sex", values = { "1" = "male", "2" = "female" } }
//! ```
//! The order of day and month, a decimal sign and a zone are declared, never guessed. A cell that is not what its mapping
//! says refuses its row, with line and column; the other rows go on. Identifiers are text: 007 is not 7.
mod cell;
mod condition;
mod draft;
mod mapping;

use super::Unmapped;
use super::coverage::Fate;
use super::draft::{Drafts, coding, reference, resource};
use super::note::patient_key;
use super::tables::Tables;
use super::validate::{type_of, validate};
use crate::ingest::csv::{self, Row, Table, at_row};
use crate::model::json::Value;
use crate::model::{Coverage, Form, Identifier, Issue, Item, Severity, Standardized};
use cell::constant_value;
pub use draft::draft;
pub use mapping::Mapping;
use mapping::{PatientRules, Policy, ResourceRules, Setting, Source, fatal, settings};

/// One row: what it became, or why it is quarantined.
pub type RowOutcome = Result<(Standardized, Vec<Unmapped>), Issue>;

/// Standardizes a table, row by row.
///
/// # Errors
/// A fatal issue about the table as a whole: its bytes, its header, a column that the mapping names and the table lacks.
pub fn standardize_table(
    bytes: &[u8],
    mapping: &Mapping,
    source: &str,
    tables: &Tables,
) -> Result<Vec<RowOutcome>, Issue> {
    let text = csv::decode(bytes, &mapping.table.encoding)?;
    let table = csv::read(&text, mapping.table.delimiter)?;
    let maps: Result<Vec<(&ResourceRules, Vec<Setting>)>, Issue> =
        mapping.map.iter().map(|rules| Ok((rules, settings(rules)?))).collect();
    let maps = maps?;
    let named = maps.iter().flat_map(|(rules, settings)| {
        let keys = rules.key.iter().filter(|key| !key.starts_with('=')).map(String::as_str);
        let columns = settings.iter().flat_map(|(_, source)| {
            [source.column.as_deref(), source.unit_column.as_deref()].into_iter().flatten()
        });
        keys.chain(columns)
    });
    for name in named.chain([mapping.table.patient.column.as_str()]) {
        if !table.header.cells.iter().any(|column| column.trim() == name) {
            let what = format!("the mapping names column {name:?}, which the table does not have");
            return Err(fatal("csv-column", what));
        }
    }
    let mut out: Vec<(usize, RowOutcome)> =
        table.refused.iter().map(|issue| (issue.at.line, Err(issue.clone()))).collect();
    for row in &table.rows {
        let header = &text[table.header.range.clone()];
        let bytes = format!("{header}\n{}\n", &text[row.range.clone()]).into_bytes();
        let item = Item::new(source, Form::Csv, bytes);
        let used = vec![false; row.cells.len()];
        let drafts = Drafts::new(&item.source);
        let patient =
            Identifier { system: mapping.table.patient.system.clone(), value: String::new() };
        let reader = RowReader { mapping, table: &table, row, used, drafts, patient };
        out.push((row.line, reader.standardize(&item, &maps, tables)));
    }
    out.sort_by_key(|(line, _)| *line);
    Ok(out.into_iter().map(|(_, outcome)| outcome).collect())
}

struct RowReader<'a> {
    mapping: &'a Mapping,
    table: &'a Table,
    row: &'a Row,
    /// Columns whose cell stands in a record.
    used: Vec<bool>,
    /// What the row becomes.
    drafts: Drafts<'a>,
    /// Whom it is about.
    patient: Identifier,
}

impl RowReader<'_> {
    fn fail(&self, column: &str, why: &str) -> Issue {
        Issue::new(Severity::Error, "value", "csv-value", at_row(self.row.line, column), why)
    }

    fn index(&self, column: &str) -> Option<usize> {
        self.table.header.cells.iter().position(|name| name.trim() == column)
    }

    /// A cell that says something.
    fn cell(&self, column: &str) -> Option<(usize, &str)> {
        let at = self.index(column)?;
        let text = self.row.cells.get(at)?.trim();
        let is_null = text.is_empty() || self.mapping.table.null.iter().any(|null| null == text);
        (!is_null).then_some((at, text))
    }

    fn standardize(
        mut self,
        item: &Item,
        maps: &[(&ResourceRules, Vec<Setting>)],
        tables: &Tables,
    ) -> RowOutcome {
        let PatientRules { column, .. } = &self.mapping.table.patient;
        let Some((at, value)) = self.cell(column) else {
            return Err(self.fail(column, "no patient in this row"));
        };
        self.patient.value = value.to_owned();
        let patient = self.patient.clone();
        self.used[at] = true;
        let patient_id = patient_key(&patient.system, &patient.value);
        let mut subject = reference(&self.drafts.reference("Patient", &patient_id));
        let identifier = Value::object([
            ("system", patient.system.as_str().into()),
            ("value", patient.value.as_str().into()),
        ]);
        subject.set("identifier", identifier.clone());
        for (rules, settings) in maps {
            if !rules.when.as_ref().map_or(Ok(true), |when| self.holds(when))? {
                continue;
            }
            let mut out = resource(&rules.resource);
            // The stable id takes this place; an empty one would not validate.
            out.set("id", "draft".into());
            for (path, source) in settings {
                self.set(&mut out, rules, path, source)?;
            }
            let is_patient = rules.resource == "Patient";
            if is_patient {
                out.set("identifier", Value::Array(vec![identifier.clone()]));
            }
            for name in ["subject", "patient", "beneficiary"] {
                if !is_patient
                    && let Some((kind, many)) = type_of(&rules.resource, &[name])
                    && kind == "Reference"
                    && out.get(name).is_none()
                    && many == [false]
                {
                    out.set(name, subject.clone());
                }
            }
            if let Some(first) = validate(&out).into_iter().next() {
                let why = format!("{} is not R4: {}", first.at.path, first.text);
                return Err(self.fail("", &why));
            }
            let key: Vec<String> = rules
                .key
                .iter()
                .map(|part| match part.strip_prefix('=') {
                    Some(constant) => constant.to_owned(),
                    None => self.cell(part).map(|(_, text)| text.to_owned()).unwrap_or_default(),
                })
                .collect();
            let key = if is_patient {
                patient_id.clone()
            } else {
                format!("{patient_id}|{}", key.join("|"))
            };
            self.drafts.add(&key, Some(&patient), out);
        }
        if self.drafts.len() == 0 {
            return Err(self.fail("", "no map of the mapping file applies to this row"));
        }
        self.drafts.add_provenance(item, &item.source, None);
        let (coverage, unmapped) = self.coverage();
        let (records, issues) = self.drafts.finish(&tables.terminology);
        Ok((Standardized { item: item.clone(), records, issues, coverage }, unmapped))
    }

    /// Every cell with something in it has one fate; null words count as empty.
    fn coverage(&self) -> (Coverage, Vec<Unmapped>) {
        let (mut coverage, mut unmapped) = (Coverage::default(), Vec::new());
        for (at, name) in self.table.header.cells.iter().enumerate() {
            let name = name.trim();
            if self.cell(name).is_none() {
                continue;
            }
            let fate = match (self.used.get(at), self.mapping.unmapped.drop.contains_key(name)) {
                (Some(true), _) => Fate::Mapped,
                (_, true) => Fate::Dropped,
                _ => match self.mapping.unmapped.policy {
                    Policy::Raw => Fate::Raw,
                },
            };
            match fate {
                Fate::Mapped => coverage.mapped += 1,
                Fate::Raw => coverage.raw += 1,
                Fate::Dropped => coverage.dropped += 1,
            }
            if fate != Fate::Mapped {
                let at = at_row(self.row.line, name).path;
                unmapped.push(Unmapped { at, fate: fate.as_str() });
            }
        }
        (coverage, unmapped)
    }

    fn set(
        &mut self,
        out: &mut Value,
        rules: &ResourceRules,
        path: &[String],
        source: &Source,
    ) -> Result<(), Issue> {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some((kind, many)) = type_of(&rules.resource, &names) else { return Ok(()) };
        let value = match (&source.constant, &source.column, &source.code) {
            (Some(constant), ..) => constant_value(constant, &kind),
            (None, Some(column), _) => {
                let Some((at, text)) = self.cell(column) else { return Ok(()) };
                let value =
                    self.convert(text, &kind, source).map_err(|why| self.fail(column, why))?;
                self.used[at] = true;
                if let Some((unit, _)) =
                    source.unit_column.as_ref().and_then(|name| self.cell(name))
                {
                    self.used[unit] = true;
                }
                Some(value)
            }
            (None, None, Some(code)) => {
                let coding = coding(source.system.as_deref().unwrap_or_default(), code);
                Some(match kind.as_str() {
                    "Coding" => coding,
                    _ => Value::object([("coding", Value::Array(vec![coding]))]),
                })
            }
            (None, None, None) => None,
        };
        if let Some(value) = value {
            super::hl7v2_tables::place(out, &names, &many, value);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "csv_test.rs"]
mod tests;
