//! The mapping file of a table: what it may say, checked once.
use super::super::validate::type_of;
use crate::model::{At, Issue, Severity};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A mapping file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Whether a person has read it.
    pub(super) confirmed: bool,
    pub(super) table: TableRules,
    #[serde(default)]
    pub(super) unmapped: UnmappedRules,
    #[serde(default)]
    pub(super) map: Vec<ResourceRules>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableRules {
    pub(super) delimiter: char,
    pub(super) encoding: String,
    pub(super) decimal: char,
    #[serde(default)]
    pub(super) null: Vec<String>,
    pub(super) zone: Option<String>,
    pub(super) patient: PatientRules,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatientRules {
    pub(super) column: String,
    pub(super) system: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnmappedRules {
    #[serde(default)]
    pub(super) policy: Policy,
    #[serde(default)]
    pub(super) drop: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Policy {
    /// What nobody maps stays in the row's original.
    #[default]
    Raw,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResourceRules {
    pub(super) resource: String,
    pub(super) key: Vec<String>,
    pub(super) when: Option<String>,
    pub(super) set: toml::Table,
}

/// What `set.<path>` says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    #[serde(rename = "const")]
    pub(super) constant: Option<toml::Value>,
    pub(super) column: Option<String>,
    pub(super) unit: Option<String>,
    /// The column that holds each row's unit.
    pub(super) unit_column: Option<String>,
    /// The type of a record that this table makes under the key `[column]`, for a Reference.
    pub(super) reference: Option<String>,
    pub(super) format: Option<String>,
    pub(super) values: Option<BTreeMap<String, String>>,
    pub(super) system: Option<String>,
    pub(super) code: Option<String>,
}

/// A path as its steps, and where its value comes from.
pub(super) type Setting = (Vec<String>, Source);

pub(super) fn fatal(rule: &'static str, text: impl Into<String>) -> Issue {
    Issue::new(Severity::Fatal, "invalid", rule, At::path("mapping"), text)
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
pub(super) fn settings(rules: &ResourceRules) -> Result<Vec<Setting>, Issue> {
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
