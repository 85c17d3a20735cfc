//! `msnet blocktest FILE…`: public BlockchainTests through the ledger's own import, under the replay rules.
//!
//! A file is one JSON object of cases by name. Cases are read and run one after the other, so memory holds one file and
//! one chain at a time. A network that is not implemented is named and counted as skipped.

mod case;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use serde::{
    Deserializer as _,
    de::{IgnoredAny, MapAccess, Visitor},
};

use self::case::Case;

/// A file or folder of tests that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the tests in {}: {why}", path.display())]
pub struct BlocktestError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl BlocktestError {
    fn new(path: &Path, why: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), why: why.to_string() }
    }
}

/// Command line of `msnet blocktest`.
#[derive(Debug, clap::Args)]
pub struct BlocktestArgs {
    /// Files of BlockchainTests, or folders that hold some.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run only cases whose name contains this.
    #[arg(long)]
    run: Option<String>,
    /// Print every case, not only what fails.
    #[arg(long)]
    all: bool,
}

/// How one case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As the file says.
    Passed,
    /// Otherwise, in a sentence.
    Failed(String),
    /// Not run, for a reason.
    Skipped(String),
}

/// One case that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// Its name in the file.
    pub name: String,
    /// Its network, such as `Cancun`.
    pub network: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// Cases by fork.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Runs every case of some files and folders and prints what fails, then the counts by fork. True if nothing failed.
///
/// # Errors
/// [`BlocktestError`] if a file or folder cannot be read or holds no cases.
pub fn run(args: &BlocktestArgs, mut print: impl FnMut(&str)) -> Result<bool, BlocktestError> {
    let mut files = Vec::new();
    for path in &args.files {
        collect(path, &mut files)?;
    }
    let (mut counts, mut reasons) = (BTreeMap::<String, Count>::new(), BTreeSet::new());
    let mut is_fine = true;
    for path in &files {
        let outcome = run_file(path, args.run.as_deref(), |report| {
            let CaseReport { name, network, outcome } = report;
            let count = counts.entry(network.clone()).or_default();
            match outcome {
                Outcome::Passed => {
                    count.passed += 1;
                    if args.all {
                        print(&format!("ok   {name}"));
                    }
                }
                Outcome::Failed(why) => {
                    count.failed += 1;
                    print(&format!("FAIL {}: {name}: {why}", path.display()));
                }
                Outcome::Skipped(why) => {
                    count.skipped += 1;
                    reasons.insert(format!("{network}: {why}"));
                }
            }
        });
        if let Err(error) = outcome {
            is_fine = false;
            print(&format!("FAIL {error}"));
        }
    }
    let mut total = Count::default();
    for (network, count) in &counts {
        print(&line(network, *count));
        total.passed += count.passed;
        total.failed += count.failed;
        total.skipped += count.skipped;
    }
    for reason in &reasons {
        print(&format!("skipped {reason}"));
    }
    print(&line("total", total));
    Ok(is_fine && total.failed == 0)
}

fn line(name: &str, count: Count) -> String {
    let Count { passed, failed, skipped } = count;
    let mut text = format!("{name}: {passed}/{} passed", passed + failed);
    if skipped > 0 {
        text.push_str(&format!(", {skipped} skipped"));
    }
    text
}

/// Runs the cases of one file, in their order, and shows how each ended.
///
/// # Errors
/// [`BlocktestError`] if it cannot be read or is not JSON of this shape.
pub fn run_file(
    path: &Path,
    filter: Option<&str>,
    show: impl FnMut(CaseReport),
) -> Result<(), BlocktestError> {
    let bytes = std::fs::read(path).map_err(|error| BlocktestError::new(path, error))?;
    let mut reader = serde_json::Deserializer::from_slice(&bytes);
    let mut found = 0_usize;
    reader
        .deserialize_map(Cases { filter, show, found: &mut found })
        .and_then(|()| reader.end())
        .map_err(|error| BlocktestError::new(path, error))?;
    if found == 0 && filter.is_none() {
        return Err(BlocktestError::new(path, "it holds no cases"));
    }
    Ok(())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), BlocktestError> {
    let fail = |error: std::io::Error| BlocktestError::new(path, error);
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        inside.push(entry.map_err(fail)?.path());
    }
    inside.sort();
    for path in inside {
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        if path.is_dir() || is_json {
            collect(&path, files)?;
        }
    }
    Ok(())
}

/// Runs cases while they are read.
struct Cases<'a, F> {
    filter: Option<&'a str>,
    show: F,
    found: &'a mut usize,
}

impl<'de, F: FnMut(CaseReport)> Visitor<'de> for Cases<'_, F> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of BlockchainTests cases")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let is_wanted = self.filter.is_none_or(|part| name.contains(part));
            if name.starts_with('_') || !is_wanted {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let case = map.next_value::<Case>()?;
            *self.found += 1;
            let outcome = case.run();
            let network = case.network;
            (self.show)(CaseReport { name, network, outcome });
        }
        Ok(())
    }
}
