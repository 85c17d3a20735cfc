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
//! set.gender = { column = "sex", values = { "1" = "male", "2" = "female" } }
//! ```
//! The order of day and month, a decimal sign and a zone are declared, never guessed. A cell that is not what its mapping
//! says refuses its row, with line and column; the other rows go on. Identifiers are text: 007 is not 7.
use super::Unmapped;
use super::coverage::Fate;
use super::draft::{Drafts, coding, reference, resource};
use super::note::patient_key;
use super::tables::Tables;
use super::time::from_hl7;
use super::validate::{type_of, validate};
use crate::ingest::csv::{self, Row, Table, at_row};
use crate::model::json::Value;
use crate::model::{Coverage, Form, Identifier, Issue, Item, Severity, Standardized};
use crate::terminology::ucum;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Rows that a draft looks at.
const DRAFT_ROWS: usize = 10_000;

/// A mapping file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Whether a person has read it.
    confirmed: bool,
    table: TableRules,
    #[serde(default)]
    unmapped: UnmappedRules,
    #[serde(default)]
    map: Vec<ResourceRules>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableRules {
    delimiter: char,
    encoding: String,
    decimal: char,
    #[serde(default)]
    null: Vec<String>,
    zone: Option<String>,
    patient: PatientRules,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PatientRules {
    column: String,
    system: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnmappedRules {
    #[serde(default)]
    policy: Policy,
    #[serde(default)]
    drop: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Policy {
    /// What nobody maps stays in the row's original.
    #[default]
    Raw,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceRules {
    resource: String,
    key: Vec<String>,
    when: Option<String>,
    set: toml::Table,
}

/// What `set.<path>` says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    #[serde(rename = "const")]
    constant: Option<toml::Value>,
    column: Option<String>,
    unit: Option<String>,
    format: Option<String>,
    values: Option<BTreeMap<String, String>>,
    system: Option<String>,
    code: Option<String>,
}

/// One row: what it became, or why it is quarantined.
pub type RowOutcome = Result<(Standardized, Vec<Unmapped>), Issue>;

/// A path as its steps, and where its value comes from.
type Setting = (Vec<String>, Source);

fn fatal(rule: &'static str, text: impl Into<String>) -> Issue {
    Issue::new(Severity::Fatal, "invalid", rule, crate::model::At::path("mapping"), text)
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// A fatal issue: not TOML, an unknown word, an element that R4 does not have, or not confirmed by a person.
    pub fn parse(text: &str) -> Result<Self, Issue> {
        let mapping: Self =
            toml::from_str(text).map_err(|error| fatal("csv-mapping", error.to_string()))?;
        if !mapping.confirmed {
            return Err(fatal(
                "csv-unconfirmed",
                "a drafted mapping; read it, correct it, then write confirmed = true",
            ));
        }
        if mapping.table.zone.as_ref().is_some_and(|zone| !is_offset(zone)) {
            return Err(fatal("csv-mapping", "table.zone is not an offset such as +01:00"));
        }
        for rules in &mapping.map {
            for (path, _) in settings(rules)? {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                if type_of(&rules.resource, &names).is_none() {
                    let what = format!("{} has no element {}", rules.resource, path.join("."));
                    return Err(fatal("csv-mapping", what));
                }
            }
        }
        Ok(mapping)
    }
}

/// `+01:00`
fn is_offset(zone: &str) -> bool {
    let bytes = zone.as_bytes();
    bytes.len() == 6
        && matches!(bytes[0], b'+' | b'-')
        && bytes[3] == b':'
        && bytes.iter().enumerate().all(|(at, b)| matches!(at, 0 | 3) || b.is_ascii_digit())
}

/// The settings of a map: `set.a.b = {…}` is the path a.b.
fn settings(rules: &ResourceRules) -> Result<Vec<Setting>, Issue> {
    fn walk(table: &toml::Table, path: &[String], out: &mut Vec<Setting>) -> Result<(), Issue> {
        for (name, value) in table {
            let mut path = path.to_vec();
            path.push(name.clone());
            let toml::Value::Table(inner) = value else {
                return Err(fatal("csv-mapping", format!("set.{} is not a table", path.join("."))));
            };
            let is_source = ["const", "column", "code"]
                .iter()
                .any(|word| inner.get(*word).is_some_and(|value| !value.is_table()));
            if is_source {
                let source: Source =
                    value.clone().try_into().map_err(|error: toml::de::Error| {
                        fatal("csv-mapping", format!("set.{}: {error}", path.join(".")))
                    })?;
                out.push((path, source));
            } else {
                walk(inner, &path, out)?;
            }
        }
        Ok(())
    }
    let mut out = Vec::new();
    walk(&rules.set, &[], &mut out)?;
    Ok(out)
}

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
        keys.chain(settings.iter().filter_map(|(_, source)| source.column.as_deref()))
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
        let reader = RowReader { mapping, table: &table, row, used: vec![false; row.cells.len()] };
        let header = &text[table.header.range.clone()];
        let bytes = format!("{header}\n{}\n", &text[row.range.clone()]).into_bytes();
        let item = Item::new(source, Form::Csv, bytes);
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
        let PatientRules { column, system } = &self.mapping.table.patient;
        let Some((at, value)) = self.cell(column) else {
            return Err(self.fail(column, "no patient in this row"));
        };
        let patient = Identifier { system: system.clone(), value: value.to_owned() };
        self.used[at] = true;
        let mut drafts = Drafts::new(&item.source);
        let patient_id = patient_key(&patient.system, &patient.value);
        let mut subject = reference(&drafts.reference("Patient", &patient_id));
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
            drafts.add(&key, Some(&patient), out);
        }
        if drafts.len() == 0 {
            return Err(self.fail("", "no map of the mapping file applies to this row"));
        }
        drafts.add_provenance(item, &item.source, None);
        let (coverage, unmapped) = self.coverage();
        let (records, issues) = drafts.finish(&tables.terminology);
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

    /// `hgb not null and sex in ("1", "2") or x = "y"`; `and` binds closer.
    fn holds(&self, when: &str) -> Result<bool, Issue> {
        let mut any = false;
        for part in when.split(" or ") {
            let mut all = true;
            for atom in part.split(" and ") {
                all &= self.atom(atom.trim())?;
            }
            any |= all;
        }
        Ok(any)
    }

    fn atom(&self, atom: &str) -> Result<bool, Issue> {
        let wrong = || fatal("csv-when", format!("not a condition: {atom:?}"));
        let (column, rest) = atom.split_once(' ').ok_or_else(wrong)?;
        self.index(column).ok_or_else(wrong)?;
        let cell = self.cell(column).map(|(_, text)| text);
        let unquote = |text: &str| text.trim().trim_matches('"').to_owned();
        let rest = rest.trim();
        if rest == "not null" {
            Ok(cell.is_some())
        } else if rest == "null" {
            Ok(cell.is_none())
        } else if let Some(word) = rest.strip_prefix('=') {
            Ok(cell == Some(unquote(word).as_str()))
        } else if let Some(list) = rest.strip_prefix("in ") {
            let list = list.trim().strip_prefix('(').and_then(|l| l.strip_suffix(')'));
            let list = list.ok_or_else(wrong)?;
            Ok(list.split(',').any(|word| cell == Some(unquote(word).as_str())))
        } else {
            Err(wrong())
        }
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

    /// A cell as a value of its element's type.
    fn convert(&self, text: &str, kind: &str, source: &Source) -> Result<Value, &'static str> {
        let text = match &source.values {
            Some(values) => values.get(text).ok_or("a value that the mapping does not list")?,
            None => text,
        };
        match kind {
            "Quantity" => {
                let mut out = Value::object([("value", self.number(text)?)]);
                if let Some(unit) = &source.unit {
                    out.set("unit", unit.as_str().into());
                    if let Some(code) = ucum::code(unit) {
                        out.set("system", "http://unitsofmeasure.org".into());
                        out.set("code", code.into());
                    }
                }
                Ok(out)
            }
            "decimal" => self.number(text),
            "integer" | "positiveInt" | "unsignedInt" => match self.number(text)? {
                Value::Number(digits) if !digits.contains('.') => Ok(Value::Number(digits)),
                _ => Err("not a whole number"),
            },
            "boolean" => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "y" | "yes" => Ok(Value::Bool(true)),
                "false" | "0" | "n" | "no" => Ok(Value::Bool(false)),
                _ => Err("neither true nor false"),
            },
            "date" | "dateTime" | "instant" => self.time(text, kind, source.format.as_deref()),
            "CodeableConcept" => Ok(match &source.system {
                Some(system) => {
                    Value::object([("coding", Value::Array(vec![coding(system, text)]))])
                }
                None => Value::object([("text", text.into())]),
            }),
            "Coding" => Ok(coding(source.system.as_deref().unwrap_or_default(), text)),
            "Identifier" => {
                let mut out = Value::object([("value", text.into())]);
                if let Some(system) = &source.system {
                    out.set("system", system.as_str().into());
                }
                Ok(out)
            }
            "HumanName" => Ok(Value::object([("text", text.into())])),
            "Reference" => Ok(Value::object([("display", text.into())])),
            _ => Ok(text.into()),
        }
    }

    /// Digits with the declared decimal sign; nothing else, so that no separator of thousands is taken for one.
    fn number(&self, text: &str) -> Result<Value, &'static str> {
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
        let (whole, fraction) = match digits.split_once(self.mapping.table.decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (digits, None),
        };
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || fraction.is_some_and(|part| !is_digits(part)) {
            return Err("not a number with the declared decimal sign");
        }
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let fraction = fraction.map(|part| format!(".{part}")).unwrap_or_default();
        Ok(Value::Number(format!("{sign}{whole}{fraction}")))
    }

    fn time(&self, text: &str, kind: &str, format: Option<&str>) -> Result<Value, &'static str> {
        const WRONG: &str =
            "not a time of the declared format; without one only YYYY-MM-DD is read";
        let digits = match format {
            Some(format) => by_format(text, format).ok_or(WRONG)?,
            None => {
                let parts: Vec<&str> = text.split('-').collect();
                let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
                let is_date = matches!(lengths.as_slice(), [4] | [4, 2] | [4, 2, 2])
                    && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
                if !is_date {
                    return Err(WRONG);
                }
                parts.concat()
            }
        };
        let zone = self.mapping.table.zone.as_ref().map(|zone| zone.replace(':', ""));
        let time = from_hl7(&digits, zone.as_deref()).ok_or("no such day or time")?;
        match kind {
            "date" => Ok(time.date().into()),
            "instant" if !time.is_instant() => Err("an instant needs a clock time and table.zone"),
            _ => Ok(time.text.into()),
        }
    }
}

/// The digits of a time in HL7's order; `None` if the text is not of the format.
fn by_format(text: &str, format: &str) -> Option<String> {
    let mut parts: BTreeMap<char, String> = BTreeMap::new();
    let mut rest = text;
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            rest = rest.strip_prefix(letter)?;
            continue;
        }
        let name = letters.next()?;
        let most = match name {
            'Y' => 4,
            'm' | 'd' | 'H' | 'M' | 'S' => 2,
            _ => return None,
        };
        let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, behind) = rest.split_at_checked(count)?;
        if digits.is_empty() || name == 'Y' && digits.len() != 4 {
            return None;
        }
        parts.insert(name, format!("{digits:0>most$}"));
        rest = behind;
    }
    if !rest.is_empty() {
        return None;
    }
    let mut out = String::new();
    let mut is_open = true;
    for name in ['Y', 'm', 'd', 'H', 'M', 'S'] {
        match parts.get(&name) {
            Some(digits) if is_open => out.push_str(digits),
            Some(_) => return None,
            None => is_open = false,
        }
    }
    Some(out)
}

fn constant_value(constant: &toml::Value, kind: &str) -> Option<Value> {
    let text = match constant {
        toml::Value::String(text) => text.clone(),
        toml::Value::Boolean(truth) => return Some(Value::Bool(*truth)),
        toml::Value::Integer(number) => return Some(Value::Number(number.to_string())),
        toml::Value::Float(number) => return Some(Value::Number(number.to_string())),
        _ => return None,
    };
    Some(match kind {
        "CodeableConcept" => Value::object([("text", text.into())]),
        _ => text.into(),
    })
}

/// Headers that tell what a column holds: words, the resource, the setting.
const SYNONYMS: [(&[&str], &str, &str); 14] = [
    (&["dob", "birth_date", "birthdate", "date_of_birth"], "Patient", "birthDate"),
    (&["sex", "gender"], "Patient", "gender"),
    (&["hgb", "hb", "hemoglobin"], "718-7", "g/dL"),
    (&["hba1c", "a1c"], "4548-4", "%"),
    (&["glucose", "glu"], "2345-7", "mg/dL"),
    (&["creatinine", "scr", "crea"], "2160-0", "mg/dL"),
    (&["bun", "urea_nitrogen"], "3094-0", "mg/dL"),
    (&["tg", "triglycerides"], "2571-8", "mg/dL"),
    (&["wt", "weight", "weight_kg"], "29463-7", "kg"),
    (&["ht", "height", "height_cm"], "8302-2", "cm"),
    (&["sodium", "na"], "2951-2", "mmol/L"),
    (&["potassium", "k"], "2823-3", "mmol/L"),
    (&["wbc", "leukocytes"], "6690-2", "10*3/uL"),
    (&["plt", "platelets"], "777-3", "10*3/uL"),
];

/// Headers of a patient's identifier.
const PATIENT_COLUMNS: [&str; 8] =
    ["mrn", "patient_id", "patientid", "person_id", "patient", "seqn", "subject_id", "id"];

/// Drafts a mapping from header names and the first rows, with a confidence per guess; unusable until a person confirms it.
///
/// # Errors
/// As [`csv::read`].
pub fn draft(bytes: &[u8]) -> Result<String, Issue> {
    let text = csv::decode(bytes, "utf-8")?;
    let first = text.lines().next().unwrap_or_default();
    let delimiter = [',', ';', '\t', '|'].into_iter().max_by_key(|d| first.matches(*d).count());
    let delimiter = delimiter.unwrap_or(',');
    let table = csv::read(&text, delimiter)?;
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let names: Vec<&str> = table.header.cells.iter().map(|name| name.trim()).collect();
    let is_called = |name: &str, words: &[&str]| words.contains(&name.to_lowercase().as_str());
    let patient = PATIENT_COLUMNS
        .iter()
        .find_map(|word| names.iter().find(|name| name.to_lowercase() == **word));
    let mut out = format!(
        "# Drafted from {} rows. Read each line, correct it, then write true.\nconfirmed = false\n\
         table = {{ delimiter = {}, encoding = \"utf-8\", decimal = \".\", null = [\"\"], patient = {{ column = {}, system = \"urn:example:replace-me\" }} }}\n\
         unmapped = {{ policy = \"raw\" }}\n",
        table.rows.len().min(DRAFT_ROWS),
        quoted(&delimiter.to_string()),
        quoted(patient.copied().unwrap_or_default()),
    );
    for (at, name) in names.iter().enumerate() {
        let Some((_, what, how)) = SYNONYMS.iter().find(|(words, ..)| is_called(name, words))
        else {
            continue;
        };
        let cells: Vec<&str> = table
            .rows
            .iter()
            .take(DRAFT_ROWS)
            .filter_map(|row| row.cells.get(at).map(|cell| cell.trim()))
            .filter(|cell| !cell.is_empty())
            .collect();
        let numbers = cells.iter().filter(|cell| cell.parse::<f64>().is_ok()).count();
        let percent = (numbers * 100).checked_div(cells.len()).unwrap_or(0);
        if *what == "Patient" {
            out.push_str(&format!(
                "\n[[map]] # confidence: the header's name alone; declare its format or its values\n\
                 resource = \"Patient\"\nkey = []\nset.{how} = {{ column = {} }}\n",
                quoted(name)
            ));
            continue;
        }
        out.push_str(&format!(
            "\n[[map]] # confidence: the header's name, and {percent} % of its values are numbers; the unit is a guess\n\
             resource = \"Observation\"\nkey = [{}]\nwhen = {}\n\
             set.status = {{ const = \"unknown\" }}\nset.code = {{ system = \"http://loinc.org\", code = \"{what}\" }}\n\
             set.valueQuantity = {{ column = {}, unit = \"{how}\" }}\n",
            quoted(&format!("={name}")),
            quoted(&format!("{name} not null")),
            quoted(name),
        ));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = r#"
confirmed = true
table = { delimiter = ";", encoding = "utf-8", decimal = ",", null = ["", "NA"], patient = { column = "mrn", system = "urn:oid:1.2.3.4" } }
unmapped = { policy = "raw", drop = { row_no = "export artefact" } }
[[map]]
resource = "Observation"
key = ["sample", "=hgb"]
when = "hgb not null"
set.status = { const = "final" }
set.code = { system = "http://loinc.org", code = "718-7" }
set.valueQuantity = { column = "hgb", unit = "g/dL" }
set.effectiveDateTime = { column = "taken", format = "%d.%m.%Y" }
[[map]]
resource = "Patient"
key = []
when = "sex in (\"1\", \"2\")"
set.gender = { column = "sex", values = { "1" = "male", "2" = "female" } }
"#;

    fn run(rows: &str) -> Vec<RowOutcome> {
        let text = format!("row_no;mrn;sample;hgb;taken;sex;remark\n{rows}");
        let mapping = Mapping::parse(MAPPING).expect("mapping");
        standardize_table(text.as_bytes(), &mapping, "urn:test:source", &Tables::shipped())
            .expect("table")
    }

    #[test]
    fn a_row_becomes_records() {
        let rows = run(
            "1;007;S1;13,70;05.03.2024;2;fine\n2;7;S1;14;2024;;\n3;8;S3;1.300;05.03.2024;;\n4;;S4;1;05.03.2024;;\n5;9;S5;NA;;1;\n",
        );
        let (done, unmapped) = rows[0].as_ref().expect("a row");
        let observation = &done.records[0].resource;
        assert_eq!(observation.at("valueQuantity.value").and_then(Value::as_number), Some("13.70"));
        assert_eq!(observation.str_at("valueQuantity.code"), Some("g/dL"));
        assert_eq!(observation.str_at("effectiveDateTime"), Some("2024-03-05"));
        assert_eq!(
            observation.str_at("subject.identifier.value"),
            Some("007"),
            "identifiers are text"
        );
        let gender = done.records.iter().find_map(|record| record.resource.str_at("gender"));
        assert_eq!(gender, Some("female"));
        assert_eq!(done.coverage, Coverage { mapped: 4, raw: 2, dropped: 1 }, "{unmapped:?}");
        let why = |index: usize| rows[index].as_ref().expect_err("quarantined").to_string();
        assert!(why(1).contains("row 3, column \"taken\""), "{}", why(1));
        assert!(why(2).contains("column \"hgb\""), "no thousands: {}", why(2));
        assert!(why(3).contains("no patient"), "{}", why(3));
        assert_eq!(rows[4].as_ref().expect("the last").0.records.len(), 2, "a patient, its source");
    }

    #[test]
    fn mappings_are_read_by_a_person_first() {
        let rule = |text: &str| Mapping::parse(text).expect_err("refused").rule;
        assert_eq!(
            rule(&MAPPING.replace("confirmed = true", "confirmed = false")),
            "csv-unconfirmed"
        );
        assert_eq!(rule(&MAPPING.replace("set.gender", "set.gendre")), "csv-mapping");
        assert_eq!(rule(&MAPPING.replace("unit =", "unti =")), "csv-mapping");
        let mapping = Mapping::parse(MAPPING).expect("mapping");
        let lacking = standardize_table(b"a;b\n1;2\n", &mapping, "s", &Tables::shipped());
        assert_eq!(lacking.expect_err("columns").rule, "csv-column");
    }

    #[test]
    fn a_draft_is_a_mapping_that_waits() {
        let table = b"SEQN,WT,HT,BUN,SEX\n93703,13.7,88.6,,1\n93704,13.9,94.2,x,2\n";
        let drafted = draft(table).expect("draft");
        assert_eq!(Mapping::parse(&drafted).expect_err("waits").rule, "csv-unconfirmed");
        assert!(drafted.contains("29463-7") && drafted.contains("100 %"), "{drafted}");
        let confirmed = drafted.replace("confirmed = false", "confirmed = true").replace(
            "set.gender = { column = \"SEX\" }",
            "set.gender = { column = \"SEX\", values = { \"1\" = \"male\", \"2\" = \"female\" } }",
        );
        let mapping = Mapping::parse(&confirmed).expect("confirmed");
        let rows = standardize_table(table, &mapping, "s", &Tables::shipped()).expect("table");
        assert_eq!((rows[0].is_ok(), rows[1].is_err()), (true, true), "{rows:?}");
    }

    /// Hostile tables by their manifest (`test/vectors/attacks/csv`).
    #[test]
    fn hostile_tables() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/attacks/csv");
        let manifest = std::fs::read(format!("{folder}/manifest.json")).expect("manifest");
        let manifest = crate::model::json::parse(&manifest).expect("JSON");
        for case in manifest.as_array().expect("cases") {
            let (file, expect) =
                (case.str_at("file").expect("file"), case.str_at("expect").expect("expect"));
            let bytes = std::fs::read(format!("{folder}/{file}")).expect("case");
            let has = |column: &str| memchr::memmem::find(&bytes, column.as_bytes()).is_some();
            let mut mapping = "confirmed = true\ntable = { delimiter = \",\", encoding = \"utf-8\", decimal = \".\", \
                               patient = { column = \"patient_id\", system = \"urn:test\" } }\n\
                               [[map]]\nresource = \"Patient\"\nkey = []\n"
                .to_owned();
            for (column, set) in [("name", "set.name"), ("birthdate", "set.birthDate")] {
                if has(column) {
                    mapping.push_str(&format!("{set} = {{ column = \"{column}\" }}\n"));
                }
            }
            if !has("name") && !has("birthdate") {
                mapping.push_str("set.active = { const = true }\n");
            }
            let mapping = Mapping::parse(&mapping).expect("mapping");
            let rows = standardize_table(&bytes, &mapping, "s", &Tables::shipped());
            let (good, bad) = rows.as_ref().map_or((0, 0), |rows| {
                let good = rows.iter().filter(|row| row.is_ok()).count();
                (good, rows.len() - good)
            });
            match expect {
                "accept" => assert!(good > 0 && bad == 0, "{file}: {rows:?}"),
                "reject" => assert!(rows.is_err(), "{file}"),
                "partial" => assert!(bad > 0, "{file}: a row must be quarantined"),
                _ => {}
            }
            if file == "11-leading-zero-id.csv" {
                let ids: std::collections::BTreeSet<[u8; 16]> = rows
                    .expect("rows")
                    .into_iter()
                    .flat_map(|row| row.expect("a row").0.records)
                    .filter(|record| record.resource_type == "Patient")
                    .map(|record| record.stable_id)
                    .collect();
                assert_eq!(ids.len(), 2, "two patients");
            }
        }
    }

    #[test]
    fn formats_are_followed_to_the_letter() {
        assert_eq!(by_format("5.3.2024 07:09", "%d.%m.%Y %H:%M").as_deref(), Some("202403050709"));
        for (text, format) in
            [("05/03/24", "%d/%m/%Y"), ("2024", "%Y-%m"), ("x", "%d"), ("07", "%H")]
        {
            assert_eq!(by_format(text, format), None, "{text}");
        }
    }
}
