//! Code systems that may not be shipped, read from the files an institution owns.
//!
//! | kind | what is given | used |
//! |---|---|---|
//! | `snomed` | folder of an RF2 snapshot | active concepts, descriptions with the language refset, is-a, extended maps to ICD-10 and ICD-10-CM |
//! | `loinc` | `Loinc.csv` | names, classes |
//! | `rxnorm` | folder with `RXNCONSO.RRF` and `RXNREL.RRF` | names of RxNorm's own, brand → ingredient, clinical drug → ingredient |
//! | `icd10cm` | folder or file of CMS: order file, tabular XML | codes, titles, inclusion terms |
//! | `icd` | ClaML XML (WHO, national) | codes, titles, inclusion terms, hierarchy |
//! | `cvx` | CDC's pipe-separated file | vaccines |
//! | `table` | TSV with the header `code display synonyms parent` | anything else |
//!
//! Files are read whole, line by line; a file that is not of its kind is refused with its line, and a line that is cut or
//! names a code twice is never half used. Nothing that a file names is opened.
mod cvx;
mod icd;
mod loinc;
mod rf2;
mod rxnorm;
mod table;

use super::system::{Row, Source, System};
use crate::error::EdgeError;
use std::path::{Path, PathBuf};

/// Largest file; SNOMED CT's descriptions take 300 MB.
pub const MAX_FILE_BYTES: u64 = 2 << 30;

/// Which files an institution gives for which system: `KIND[@SYSTEM]=PATH`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TermFiles {
    kind: Kind,
    system: Option<String>,
    path: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Snomed,
    Loinc,
    Rxnorm,
    Icd10cm,
    Icd,
    Cvx,
    Table,
}

const KINDS: [(&str, Kind); 7] = [
    ("snomed", Kind::Snomed),
    ("loinc", Kind::Loinc),
    ("rxnorm", Kind::Rxnorm),
    ("icd10cm", Kind::Icd10cm),
    ("icd", Kind::Icd),
    ("cvx", Kind::Cvx),
    ("table", Kind::Table),
];

/// ICD-10 of the WHO.
pub(super) const ICD10: &str = "http://hl7.org/fhir/sid/icd-10";
/// Vaccines, CDC.
pub(super) const CVX: &str = "http://hl7.org/fhir/sid/cvx";

impl std::str::FromStr for TermFiles {
    type Err = String;

    /// `snomed=/data/SnomedCT_…`, `table@urn:our:lab=/data/lab.tsv`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (what, path) = text.split_once('=').ok_or("write KIND=PATH")?;
        let (kind, system) = what.split_once('@').map_or((what, None), |(k, s)| (k, Some(s)));
        let known = KINDS.iter().find(|(name, _)| *name == kind);
        let names = || KINDS.map(|(name, _)| name).join(", ");
        let (_, kind) = known.ok_or_else(|| format!("the kinds are {}", names()))?;
        if *kind == Kind::Table && system.is_none() {
            return Err("a table needs the URI of its system: table@URI=PATH".into());
        }
        Ok(Self { kind: *kind, system: system.map(str::to_owned), path: path.into() })
    }
}

/// What a loader made of its files.
struct Found {
    system: &'static str,
    version: String,
    rows: Vec<Row>,
}

/// Reads the files of one system.
///
/// # Errors
/// [`EdgeError::Input`] with file and line if they are not of their kind, [`EdgeError::Io`].
pub fn load(files: &TermFiles) -> Result<System, EdgeError> {
    let mut input = Input::new(&files.path)?;
    let found = match files.kind {
        Kind::Snomed => rf2::load(&mut input),
        Kind::Loinc => loinc::load(&mut input),
        Kind::Rxnorm => rxnorm::load(&mut input),
        Kind::Icd10cm => icd::load_cms(&mut input),
        Kind::Icd => icd::load_claml(&mut input),
        Kind::Cvx => cvx::load(&mut input),
        Kind::Table => table::load(&mut input),
    }?;
    if found.rows.is_empty() {
        return Err(input.wrong("no code in it", "check which file it is"));
    }
    let system = files.system.clone().unwrap_or_else(|| found.system.to_owned());
    let source = Source { system, version: found.version, sha256: input.sha256() };
    Ok(System::new(source, found.rows))
}

/// The files of one system; what is read of them goes into one hash.
struct Input {
    root: PathBuf,
    /// Files below the root, sorted.
    files: Vec<PathBuf>,
    hash: aws_lc_rs::digest::Context,
}

/// Folders within each other that are looked into.
const MAX_DEPTH: usize = 6;

impl Input {
    fn new(root: &Path) -> Result<Self, EdgeError> {
        let mut files = Vec::new();
        walk(root, MAX_DEPTH, &mut files)?;
        files.sort();
        let hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        Ok(Self { root: root.to_owned(), files, hash })
    }

    fn wrong(&self, what: impl Into<String>, fix: &str) -> EdgeError {
        EdgeError::input(what, self.root.display().to_string(), fix)
    }

    /// The one file whose name begins and ends so, whatever its case; the first of several.
    fn named(&self, start: &str, end: &str) -> Option<PathBuf> {
        let is_it = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            name.starts_with(&start.to_lowercase()) && name.ends_with(&end.to_lowercase())
        };
        self.files.iter().find(is_it).cloned()
    }

    /// The text of a file, UTF-8 with or without a byte-order mark.
    fn read(&mut self, path: &Path) -> Result<String, EdgeError> {
        let wrong = |what: &str, fix: &str| EdgeError::input(what, path.display().to_string(), fix);
        let length = std::fs::metadata(path).map_err(|e| EdgeError::io(path, e))?.len();
        if length > MAX_FILE_BYTES {
            return Err(wrong("larger than 2 GiB", "give the release's own file"));
        }
        let bytes = std::fs::read(path).map_err(|e| EdgeError::io(path, e))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.hash.update(name.as_bytes());
        self.hash.update(&bytes);
        let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8", "convert it first"))?;
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }

    fn sha256(self) -> String {
        crate::model::ids::hex(self.hash.finish().as_ref())
    }
}

fn walk(path: &Path, depth: usize, out: &mut Vec<PathBuf>) -> Result<(), EdgeError> {
    let io = |error| EdgeError::io(path, error);
    if std::fs::metadata(path).map_err(io)?.is_file() {
        out.push(path.to_owned());
    } else if depth > 0 {
        for entry in std::fs::read_dir(path).map_err(io)? {
            let entry = entry.map_err(io)?;
            // a link could lead anywhere
            if !entry.file_type().map_err(io)?.is_symlink() {
                walk(&entry.path(), depth - 1, out)?;
            }
        }
    }
    Ok(())
}

/// The rows of a file of lines cut by one character, with the columns that its header names.
fn columns<'a>(
    text: &'a str,
    delimiter: char,
    names: &[&str],
    path: &Path,
) -> Result<impl Iterator<Item = Vec<&'a str>>, EdgeError> {
    let header: Vec<&str> = text.lines().next().unwrap_or_default().split(delimiter).collect();
    let mut places = Vec::new();
    for name in names {
        let place = header.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        places.push(place.ok_or_else(|| {
            let what = format!("line 1: no column {name}");
            EdgeError::input(what, path.display().to_string(), "check which file it is")
        })?);
    }
    let width = header.len();
    Ok(text.lines().skip(1).filter_map(move |line| {
        let cells: Vec<&str> = line.split(delimiter).collect();
        // a cut line says something else than it should
        (cells.len() == width).then(|| places.iter().map(|place| cells[*place]).collect())
    }))
}

/// Digits behind the last `_` or within a file's name: the release date.
fn version_in(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut runs = name.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() >= 4);
    runs.next_back().unwrap_or("unversioned").to_owned()
}

#[cfg(test)]
#[path = "load_test.rs"]
mod tests;
