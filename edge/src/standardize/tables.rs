//! The mapping tables, compiled in and checked when they are first used; a bad row names its file and line.
use crate::error::EdgeError;
use crate::ingest::hl7v2::Segment;
use crate::model::ids::sha256_hex;
use crate::terminology::{Terminology, load::TermFiles};
use std::collections::{HashMap, HashSet};
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

/// One row of `v2-to-fhir/segments.tsv`: where a field goes, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentRow {
    /// `NK1-3`.
    pub field: String,
    /// Data type of v2.
    pub v2_type: String,
    /// Path within the resource, in the guide's notation.
    pub fhir_path: String,
    /// Concept map, or empty.
    pub vocabulary: String,
    /// Fixed value with its quotation marks, or empty.
    pub assignment: String,
    /// When the row applies, in the guide's words; empty is always.
    pub condition: String,
}

impl SegmentRow {
    /// The number of the field.
    pub fn field_number(&self) -> Option<usize> {
        self.field.split_once('-')?.1.parse().ok()
    }

    /// The fixed value, without its quotation marks.
    pub fn fixed(&self) -> Option<&str> {
        (!self.assignment.is_empty()).then(|| self.assignment.trim_matches('"'))
    }

    /// The names of a plain path, and the resource in parentheses behind it; `None` for other notations.
    pub fn path(&self) -> Option<(Vec<String>, Option<&str>)> {
        let (path, target) = match self.fhir_path.split_once('(') {
            None => (self.fhir_path.as_str(), None),
            Some((path, rest)) => (path, Some(rest.strip_suffix(')')?)),
        };
        let is_plain = !path.is_empty()
            && path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'[' | b']'))
            && !path.contains("extension")
            && !path.contains(".coding");
        let names: Vec<String> = path
            .split('.')
            .map(|step| step.split('[').next().unwrap_or_default().to_owned())
            .collect();
        // A requester in a role of an institution is known by its person.
        let target = target.map(|t| t.strip_suffix("[1]").unwrap_or(t));
        (is_plain && names.iter().all(|name| !name.is_empty())).then_some((names, target))
    }

    /// Whether the row applies: `None` if its condition is prose.
    pub fn condition_holds(&self, segment: Segment<'_>) -> Option<bool> {
        let text = self.condition.trim();
        if text.is_empty() {
            return Some(true);
        }
        let formal = text.strip_prefix("IF ")?;
        let mut any = false;
        for part in formal.split(" OR ") {
            let mut all = true;
            for atom in part.split(" AND ") {
                all &= self.atom(atom.trim(), segment)?;
            }
            any |= all;
        }
        Some(any)
    }

    /// `[SEG-n[.m]] [IS] [NOT] VALUED | EQUALS "x" | = "x" | IS "x" | IN ("x", "y")`
    fn atom(&self, atom: &str, segment: Segment<'_>) -> Option<bool> {
        let (first, rest) = atom.split_once(' ').unwrap_or((atom, ""));
        let (field, mut rest) = match first.split_once('-') {
            Some((name, _)) if name.len() == 3 => (first, rest),
            _ => (self.field.as_str(), atom),
        };
        let (name, number) = field.split_once('-')?;
        let (number, component) = match number.split_once('.') {
            Some((number, component)) => (number, Some(component.parse::<usize>().ok()?)),
            None => (number, None),
        };
        let node = segment.field(number.parse().ok()?);
        let node = component.map_or(node, |at| node.component(at));
        if name != segment.name() {
            return None;
        }
        rest = rest.strip_prefix("IS ").unwrap_or(rest);
        let is_denied = rest.starts_with("NOT ");
        rest = rest.strip_prefix("NOT ").unwrap_or(rest);
        let unquote = |text: &str| text.trim().trim_matches(['"', '\'', '“', '”']).to_owned();
        let holds = if rest == "VALUED" {
            node.is_valued()
        } else if let Some(list) = rest.strip_prefix("IN ") {
            let list = list.trim().strip_prefix('(')?.strip_suffix(')')?;
            let value = node.component(1).text(&mut Vec::new()).unwrap_or_default();
            list.split(',').any(|item| unquote(item) == value)
        } else {
            let wanted = rest.strip_prefix("EQUALS ").or(rest.strip_prefix("= ")).unwrap_or(rest);
            if !wanted.starts_with(['"', '\'', '“']) {
                return None;
            }
            node.component(1).text(&mut Vec::new()).unwrap_or_default() == unquote(wanted)
        };
        Some(holds != is_denied)
    }
}

/// Everything standardizing looks up.
#[derive(Debug)]
pub struct Tables {
    /// The loaded code systems.
    pub terminology: Arc<Terminology>,
    /// Map name, v2 code → target.
    codes: HashMap<(String, String), Target>,
    ccda: Vec<CcdaRow>,
    /// Names of the concept maps.
    maps: HashSet<String>,
    /// Segment map (`NK1[RelatedPerson]`) → its rows, overrides applied.
    segments: HashMap<String, Vec<SegmentRow>>,
    /// Program, mapping tables and terminology in one word.
    versions: String,
}

impl Tables {
    /// The shipped tables, read once per process.
    ///
    /// # Panics
    /// If a table that was compiled in is not well-formed; a test reads them all.
    pub fn shipped() -> Arc<Self> {
        static SHIPPED: OnceLock<Arc<Tables>> = OnceLock::new();
        Arc::clone(SHIPPED.get_or_init(|| Arc::new(Self::read(Terminology::shipped()))))
    }

    /// The shipped tables over the shipped vocabularies and the files an institution owns.
    ///
    /// # Errors
    /// As [`crate::terminology::load::load`].
    pub fn open(terms: &[TermFiles]) -> Result<Arc<Self>, EdgeError> {
        if terms.is_empty() {
            return Ok(Self::shipped());
        }
        Ok(Arc::new(Self::read(Terminology::open(terms)?)))
    }

    fn read(terminology: Arc<Terminology>) -> Self {
        let codes =
            rows("v2-to-fhir/codes.tsv", include_str!("../../data/v2-to-fhir/codes.tsv"), 8);
        let ccda = rows("ccda/map.tsv", include_str!("../../data/ccda/map.tsv"), 4);
        let segments =
            rows("v2-to-fhir/segments.tsv", include_str!("../../data/v2-to-fhir/segments.tsv"), 10);
        let ours = include_str!("../../data/v2-to-fhir/segments_msnet.tsv");
        let ours = rows("v2-to-fhir/segments_msnet.tsv", ours, 10);
        let overrides = rows(
            "v2-to-fhir/overrides.tsv",
            include_str!("../../data/v2-to-fhir/overrides.tsv"),
            5,
        );
        let mut out = Self {
            terminology,
            codes: HashMap::new(),
            ccda: Vec::new(),
            maps: HashSet::new(),
            segments: HashMap::new(),
            versions: String::new(),
        };
        out.versions = versions(&out.terminology);
        for row in segments.into_iter().chain(ours) {
            let [map, field, _, v2_type, path, _, _, vocabulary, assignment, condition] =
                row.as_slice()
            else {
                continue;
            };
            let is_never = |row: &Vec<&str>| {
                let name = path.split(['[', '(']).next().unwrap_or_default();
                row[0] == "never" && row[1] == *map && row[2] == *field && row[3] == name
            };
            if overrides.iter().any(is_never) {
                continue;
            }
            out.segments.entry((*map).into()).or_default().push(SegmentRow {
                field: (*field).into(),
                v2_type: (*v2_type).into(),
                fhir_path: (*path).into(),
                vocabulary: (*vocabulary).into(),
                assignment: (*assignment).into(),
                condition: (*condition).into(),
            });
        }
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
            out.maps.insert((*map).into());
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

    /// What decides how an item is read besides its bytes: program, mapping tables, terminology. A change is worth a retry
    /// of what could not be read.
    pub fn versions(&self) -> String {
        self.versions.clone()
    }

    /// The target of a v2 code in one of the guide's concept maps.
    pub fn code(&self, map: &str, v2_code: &str) -> Option<&Target> {
        self.codes.get(&(map.to_owned(), v2_code.to_owned()))
    }

    /// Whether there is a concept map of this name.
    pub fn has_map(&self, map: &str) -> bool {
        self.maps.contains(map)
    }

    /// The rows of a segment map.
    pub fn segment(&self, map: &str) -> &[SegmentRow] {
        self.segments.get(map).map_or(&[], Vec::as_slice)
    }

    /// The rows for a section.
    pub fn ccda<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a CcdaRow> {
        self.ccda.iter().filter(move |row| row.section == section)
    }
}

fn versions(terminology: &Terminology) -> String {
    let maps = [
        include_str!("../../data/v2-to-fhir/codes.tsv"),
        include_str!("../../data/v2-to-fhir/segments.tsv"),
        include_str!("../../data/v2-to-fhir/segments_msnet.tsv"),
        include_str!("../../data/v2-to-fhir/overrides.tsv"),
        include_str!("../../data/ccda/map.tsv"),
    ];
    let maps = sha256_hex(maps.join("\u{0}").as_bytes());
    let program = env!("CARGO_PKG_VERSION");
    format!("msnet {program}, maps {}, terms {}", &maps[..16], terminology.id())
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
