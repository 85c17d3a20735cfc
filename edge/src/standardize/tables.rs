//! The mapping tables, compiled in and checked when they are first used; a bad row names its file and line.
use crate::terminology::Terminology;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A target of the v2-to-FHIR concept maps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// FHIR code system.
    pub system: String,
    /// FHIR code.
    pub code: String,
    /// Its name.
    pub display: String,
}

/// One row of `ccda/map.tsv`: entries of a section and the resource they become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CcdaRow {
    /// LOINC code of the section.
    pub section: String,
    /// Path from the entry to the statement that becomes the resource.
    pub path: String,
    /// FHIR resource type.
    pub resource_type: String,
    /// The rule in `ccda.rs` that maps it.
    pub rule: String,
}

/// Everything standardizing looks up.
#[derive(Debug)]
pub struct Tables {
    /// The loaded code systems.
    pub terminology: Arc<Terminology>,
    /// Map name, v2 code → target.
    codes: HashMap<(String, String), Target>,
    ccda: Vec<CcdaRow>,
}

impl Tables {
    /// The shipped tables, read once per process.
    ///
    /// # Panics
    /// If a table that was compiled in is not well-formed; a test reads them all.
    pub fn shipped() -> Arc<Self> {
        static SHIPPED: OnceLock<Arc<Tables>> = OnceLock::new();
        Arc::clone(SHIPPED.get_or_init(|| Arc::new(Self::read())))
    }

    fn read() -> Self {
        let codes =
            rows("v2-to-fhir/codes.tsv", include_str!("../../data/v2-to-fhir/codes.tsv"), 8);
        let ccda = rows("ccda/map.tsv", include_str!("../../data/ccda/map.tsv"), 4);
        let mut out =
            Self { terminology: Terminology::shipped(), codes: HashMap::new(), ccda: Vec::new() };
        for row in codes {
            let [map, _, v2_code, _, system, code, display, ..] = row.as_slice() else { continue };
            if code.is_empty() {
                continue;
            }
            let target = Target {
                system: (*system).into(),
                code: (*code).into(),
                display: (*display).into(),
            };
            out.codes.entry(((*map).into(), (*v2_code).into())).or_insert(target);
        }
        for row in ccda {
            let [section, path, resource_type, rule] = row.as_slice() else { continue };
            out.ccda.push(CcdaRow {
                section: (*section).into(),
                path: (*path).into(),
                resource_type: (*resource_type).into(),
                rule: (*rule).into(),
            });
        }
        out
    }

    /// The target of a v2 code in one of the guide's concept maps.
    pub fn code(&self, map: &str, v2_code: &str) -> Option<&Target> {
        self.codes.get(&(map.to_owned(), v2_code.to_owned()))
    }

    /// The rows for a section.
    pub fn ccda<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a CcdaRow> {
        self.ccda.iter().filter(move |row| row.section == section)
    }
}

/// The rows below the header line.
fn rows<'a>(file: &str, text: &'a str, columns: usize) -> Vec<Vec<&'a str>> {
    let lines = text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            let row: Vec<&str> = line.split('\t').collect();
            assert!(row.len() == columns, "{file}, line {}: not {columns} columns", number + 1);
            row
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_read_and_answer() {
        let tables = Tables::shipped();
        let female = tables.code("AdministrativeSex", "F").expect("row");
        assert_eq!(female.code, "female");
        assert_eq!(tables.code("AdministrativeSex", "?"), None);
        assert!(tables.ccda("11450-4").next().is_some());
    }
}
