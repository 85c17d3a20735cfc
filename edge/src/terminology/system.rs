//! A code system that an institution supplied: its rows, found by code, with parents, children and maps.
//!
//! Every loader ([`super::load`]) writes the same rows: code, display, synonyms, parents, maps, and whether its names may be
//! looked for in text. Values of a cell are joined by `|`, which foreign texts lose.
use super::Equivalence;
use super::lists::List;
use std::collections::HashMap;

/// One concept while a file is read.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Row {
    /// Its code.
    pub code: String,
    /// Its preferred name.
    pub display: String,
    /// Other names.
    pub synonyms: Vec<String>,
    /// Codes of the concepts right above it.
    pub parents: Vec<String>,
    /// Codes of other systems that stand for it.
    pub maps: Vec<Map>,
    /// Whether its names may be looked for in text.
    pub is_named: bool,
}

/// A code of another system, and what it is to the concept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Map {
    /// Its code system.
    pub system: String,
    /// Its code.
    pub code: String,
    /// What the target is to the source.
    pub equivalence: Equivalence,
}

/// Where the rows came from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Source {
    /// Code system, a URI.
    pub system: String,
    /// Version as the files name it.
    pub version: String,
    /// SHA-256 of the files, in hex.
    pub sha256: String,
}

/// A loaded code system.
#[derive(Debug)]
pub struct System {
    /// What it is and which files made it.
    pub source: Source,
    rows: List,
    /// (parent's row, child's row), sorted.
    children: Vec<(u32, u32)>,
}

impl System {
    /// A system of rows; of rows with one code the first counts, rows without a code are left out.
    pub fn new(source: Source, rows: impl IntoIterator<Item = Row>) -> Self {
        let mut text = String::from("code\tdisplay\tsynonyms\tparents\tmaps\tnamed\n");
        for row in rows {
            if row.code.is_empty() {
                continue;
            }
            let joined = |parts: &mut dyn Iterator<Item = String>| {
                parts.map(|part| plain(&part)).collect::<Vec<_>>().join("|")
            };
            let maps = row
                .maps
                .iter()
                .map(|map| format!("{} {} {}", map.equivalence.as_str(), map.system, map.code));
            let columns = [
                plain(&row.code),
                plain(&row.display),
                joined(&mut row.synonyms.iter().cloned()),
                joined(&mut row.parents.iter().cloned()),
                joined(&mut maps.into_iter()),
                u8::from(row.is_named).to_string(),
            ];
            text.push_str(&columns.join("\t"));
            text.push('\n');
        }
        let rows = List::of(text);
        let mut children = Vec::new();
        for (child, row) in rows.rows().enumerate() {
            for parent in split(row.get(3)) {
                if let (Some(parent), Ok(child)) = (rows.index(parent), u32::try_from(child)) {
                    children.push((parent, child));
                }
            }
        }
        children.sort_unstable();
        Self { source, rows, children }
    }

    /// How many concepts there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The preferred name of a code.
    pub fn display(&self, code: &str) -> Option<&str> {
        self.rows.get(code)?.get(1).copied().filter(|name| !name.is_empty())
    }

    /// Codes right above a code.
    pub fn parents<'a>(&'a self, code: &str) -> impl Iterator<Item = &'a str> {
        let cell = self.rows.get(code).and_then(|row| row.get(3).copied());
        split(cell.as_ref()).collect::<Vec<_>>().into_iter()
    }

    /// Codes right below a code.
    pub fn children<'a>(&'a self, code: &str) -> impl Iterator<Item = &'a str> {
        let parent = self.rows.index(code);
        let from = self.children.partition_point(|(row, _)| Some(*row) < parent);
        let rest = self.children[from..].iter().take_while(move |(row, _)| Some(*row) == parent);
        rest.filter_map(|(_, child)| self.rows.code_at(*child))
    }

    /// Codes of other systems for a code, as the files map it.
    pub fn maps(&self, code: &str) -> Vec<Map> {
        let cell = self.rows.get(code).and_then(|row| row.get(4).copied());
        let read = |text: &str| {
            let mut parts = text.splitn(3, ' ');
            let equivalence = Equivalence::named(parts.next()?)?;
            let (system, code) = (parts.next()?.to_owned(), parts.next()?.to_owned());
            Some(Map { system, code, equivalence })
        };
        split(cell.as_ref()).filter_map(read).collect()
    }

    /// Names that may be looked for in text, each with its code.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rows.rows().filter(|row| row.get(5) == Some(&"1")).flat_map(|row| {
            let code = row[0];
            let synonyms = split(row.get(2)).collect::<Vec<_>>();
            std::iter::once(row[1]).chain(synonyms).map(move |name| (name, code))
        })
    }
}

/// The values of a cell.
fn split<'a>(cell: Option<&&'a str>) -> impl Iterator<Item = &'a str> {
    cell.copied().unwrap_or_default().split('|').filter(|part| !part.is_empty())
}

/// Text without the characters that cells are made of.
fn plain(text: &str) -> String {
    text.replace(['\t', '\r', '\n', '|'], " ").trim().to_owned()
}

/// Rows by code while a file is read, in the order in which the codes came.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
    by_code: HashMap<String, usize>,
}

impl Rows {
    /// The row of a code, made if it is not there.
    pub(super) fn at(&mut self, code: &str) -> &mut Row {
        let next = self.rows.len();
        let index = *self.by_code.entry(code.to_owned()).or_insert(next);
        if index == next {
            self.rows.push(Row { code: code.to_owned(), ..Row::default() });
        }
        &mut self.rows[index]
    }

    /// The row of a code, if it is there.
    pub(super) fn get(&mut self, code: &str) -> Option<&mut Row> {
        self.by_code.get(code).map(|index| &mut self.rows[*index])
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(code: &str, parents: &[&str]) -> Row {
        Row {
            code: code.into(),
            display: format!("name of {code}"),
            parents: parents.iter().map(ToString::to_string).collect(),
            ..Row::default()
        }
    }

    fn system(rows: Vec<Row>) -> System {
        let source = Source { system: "urn:x".into(), version: "1".into(), sha256: String::new() };
        System::new(source, rows)
    }

    #[test]
    fn rows_are_found_up_and_down() {
        let map = Map {
            system: "http://hl7.org/fhir/sid/icd-10".into(),
            code: "I21.9".into(),
            equivalence: Equivalence::Wider,
        };
        let mut named = row("3", &["1", "2"]);
        (named.is_named, named.synonyms, named.maps) =
            (true, vec!["a|b\tc".into()], vec![map.clone()]);
        let system = system(vec![row("2", &["1"]), named, row("1", &["missing"]), row("1", &[])]);
        assert_eq!(system.display("1"), Some("name of 1"));
        assert_eq!(system.children("1").collect::<Vec<_>>(), ["2", "3"]);
        assert_eq!(system.children("3").count() + system.children("nobody").count(), 0);
        assert_eq!(system.parents("3").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(system.maps("3"), [map]);
        assert_eq!(system.names().collect::<Vec<_>>(), [("name of 3", "3"), ("a b c", "3")]);
    }
}
