//! `msnet edge import|get|find|export|erase|compact|fsck|stats|keys|audit|rebuild`: what an operator does with a data folder
//! whose edge is stopped. No chain is needed.
use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, FixedBytes, hex};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::{
    audit::{Act, AuditLog, Entry, Phase},
    error::EdgeError,
    extract::query_terms,
    index::Query,
    ingest::{self, file},
    intake::Intake,
    keys::Keys,
    model::{
        Handle, Standardized, canonical,
        json::{self, Value},
    },
    standardize::{Tables, standardize},
    stores::local,
    vault::{Vault, check::Depth},
};

/// Items that share one fsync.
const BATCH_ITEMS: usize = 512;
/// Bytes of items that share one fsync, about.
const BATCH_BYTES: usize = 1 << 20;
/// Batches that may wait between standardizing and storing.
const WAITING_BATCHES: usize = 4;
/// Between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// A data folder.
#[derive(Debug, Args)]
pub struct FolderArgs {
    /// The edge's own folder.
    #[arg(long, env = "MSNET_EDGE_DATADIR", default_value = "data/edge")]
    pub datadir: PathBuf,
    /// JSON, an object a line, instead of lines for a person.
    #[arg(long)]
    pub json: bool,
}

/// What can be done at the desk.
#[derive(Debug, Subcommand)]
pub enum DeskVerb {
    /// Read files into the stores of a stopped edge: bulk FHIR, HL7 v2, C-CDA, notes. What is told as stored is on disk.
    ///
    /// Stopped at any moment, the same command goes on: what is known is answered from the first result.
    Import {
        /// The folder.
        #[command(flatten)]
        folder: FolderArgs,
        /// Name of the sender, a namespace for its identifiers.
        #[arg(long, default_value = "urn:msnet:local")]
        source: String,
        /// Files, or folders of files; `-` is standard input, `.gz` is unpacked.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Show a record.
    Get {
        /// The folder.
        #[command(flatten)]
        folder: FolderArgs,
        /// The record: 32 hex digits.
        handle: String,
        /// The bytes that it came in, as they arrived, instead.
        #[arg(long)]
        original: bool,
    },
    /// Find records by words and codes; `no:fever` finds where it is denied. Each hit says why it is one.
    Find {
        /// The folder.
        #[command(flatten)]
        folder: FolderArgs,
        /// Words, a code, or `no:` and words.
        query: String,
        /// Hits shown.
        #[arg(long, default_value_t = 10)]
        limit: usize,
    },
    /// Write records as NDJSON, one resource a line.
    Export {
        /// The folder.
        #[command(flatten)]
        folder: FolderArgs,
        /// Where to; `-` is standard output.
        #[arg(long, default_value = "-")]
        out: PathBuf,
        /// The patient whose record this is, alone.
        #[arg(long)]
        patient: Option<String>,
        /// Superseded versions too.
        #[arg(long)]
        all: bool,
    },
    /// Forget a patient: keys, names, index entries. Prints a signed certificate.
    Erase {
        /// The folder.
        #[command(flatten)]
        folder: FolderArgs,
        /// Any record of the patient: 32 hex digits.
        record: String,
        /// On which ground, in a word: consent-withdrawn, objection, unlawful, obligation.
        #[arg(long)]
        basis: String,
    },
    /// Pack small blocks into large ones, and give back room.
    Compact(FolderArgs),
    /// Look at every block; ends with 5 if something is damaged.
    Fsck {
        /// The folder.
        #[command(flatten)]
        folder: FolderArgs,
        /// Headers and checksums alone.
        #[arg(long)]
        quick: bool,
        /// Write the key log anew, remove what nothing names, rebuild an index that is behind.
        #[arg(long)]
        repair: bool,
    },
    /// What a store holds and takes.
    Stats {
        /// The folder.
        #[command(flatten)]
        folder: FolderArgs,
        /// What each technique saves, beside what common tools make of the same records.
        #[arg(long)]
        savings: bool,
        /// The same as a picture.
        #[arg(long, value_name = "FILE", requires = "savings")]
        svg: Option<PathBuf>,
    },
    /// Change keys.
    Keys {
        /// The folder.
        #[command(flatten)]
        folder: FolderArgs,
        /// What to do.
        #[arg(value_enum)]
        act: KeyAct,
        /// Which keys: the one that wraps all others, or the patients'.
        #[arg(value_enum)]
        which: KeyKind,
    },
    /// The access log.
    Audit {
        /// The folder.
        #[command(flatten)]
        folder: FolderArgs,
        /// What to do.
        #[arg(value_enum)]
        act: AuditAct,
    },
    /// Build the search index anew from the records.
    Rebuild(FolderArgs),
}

/// What is done to keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum KeyAct {
    /// Draw new ones.
    Rotate,
}

/// Which keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum KeyKind {
    /// The key-encryption key: all others are wrapped anew, no record is touched.
    Kek,
    /// Each patient's key: all blocks are sealed anew.
    Dek,
}

/// What is done to the access log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum AuditAct {
    /// Follow the chain of entries and name the first bad one.
    Verify,
}

/// Runs a verb; returns how the program ends if nothing failed.
///
/// # Errors
/// Whatever the verb reports; [`EdgeError::exit_code`] says how the program ends.
pub fn run(verb: DeskVerb, print: &dyn Fn(&str)) -> Result<u8, EdgeError> {
    match verb {
        DeskVerb::Import { folder, source, paths } => import(&folder, &source, &paths, print),
        DeskVerb::Get { folder, handle, original } => get(&folder, &handle, original, print),
        DeskVerb::Find { folder, query, limit } => find(&folder, &query, limit, print),
        DeskVerb::Export { folder, out, patient, all } => {
            export(&folder, &out, patient.as_deref(), all, print)
        }
        DeskVerb::Erase { folder, record, basis } => erase(&folder, &record, &basis, print),
        DeskVerb::Compact(folder) => compact(&folder, print),
        DeskVerb::Fsck { folder, quick, repair } => fsck(&folder, quick, repair, print),
        DeskVerb::Stats { folder, savings, svg } => match savings {
            true => show_savings(&folder, svg.as_deref(), print),
            false => stats(&folder, print),
        },
        DeskVerb::Keys { folder, act: KeyAct::Rotate, which } => rotate(&folder, which, print),
        DeskVerb::Audit { folder, act: AuditAct::Verify } => verify_audit(&folder, print),
        DeskVerb::Rebuild(folder) => rebuild(&folder, print),
    }
}

fn import(
    folder: &FolderArgs,
    source: &str,
    paths: &[PathBuf],
    print: &dyn Fn(&str),
) -> Result<u8, EdgeError> {
    let keys = Keys::open_or_create(&folder.datadir, None)?;
    let intake = Intake::open(&folder.datadir, &keys)?;
    let files = files_of(paths)?;
    let total: u64 = files.iter().map(|path| path.metadata().map_or(0, |meta| meta.len())).sum();
    let mut progress = Progress::start("importing", total);
    let started = Instant::now();
    let mut sums = Imported::default();
    std::thread::scope(|scope| {
        let (batches, incoming) = mpsc::sync_channel::<Batch>(WAITING_BATCHES);
        let files = &files;
        let reader = scope.spawn(move || read_files(files, source, &batches));
        for batch in incoming {
            sums.refused.extend(batch.refused);
            sums.items += batch.items.len();
            sums.bytes += batch.bytes;
            for accepted in intake.accept_all(batch.items)? {
                match accepted {
                    Ok(accepted) => {
                        sums.repeated += usize::from(accepted.repeated);
                        sums.records += if accepted.repeated { 0 } else { accepted.records.len() };
                    }
                    Err(error) => sums.refused.push(error.to_string()),
                }
            }
            if folder.json {
                print(&json!({"stored": sums.items, "records": sums.records}).to_string());
            }
            progress.show(sums.bytes, &format!("{} records", sums.records));
        }
        reader.join().map_err(|_| EdgeError::Internal("the reader of the files died".into()))?
    })?;
    intake.vault().flush()?;
    intake.index().commit()?;
    drop(progress);
    for refused in &sums.refused {
        print(&if folder.json {
            json!({"refused": refused}).to_string()
        } else {
            format!("refused: {refused}")
        });
    }
    let seconds = started.elapsed().as_secs_f64();
    if folder.json {
        let done = json!({"files": files.len(), "items": sums.items, "repeated": sums.repeated,
            "records": sums.records, "refused": sums.refused.len(), "seconds": seconds});
        print(&done.to_string());
    } else {
        print(&format!(
            "{} files, {} items ({} known before), {} new records, {} refused, {seconds:.1} s",
            files.len(),
            sums.items,
            sums.repeated,
            sums.records,
            sums.refused.len()
        ));
    }
    Ok(u8::from(!sums.refused.is_empty()))
}

#[derive(Default)]
struct Imported {
    items: usize,
    repeated: usize,
    records: usize,
    bytes: u64,
    refused: Vec<String>,
}

/// Items that are stored together.
#[derive(Default)]
struct Batch {
    items: Vec<Standardized>,
    refused: Vec<String>,
    bytes: u64,
}

/// Reads and standardizes all files; stops early if nobody stores any more.
fn read_files(
    files: &[PathBuf],
    source: &str,
    batches: &mpsc::SyncSender<Batch>,
) -> Result<(), EdgeError> {
    let tables = Tables::shipped();
    let mut batch = Batch::default();
    for path in files {
        let bytes = file::read(path)?;
        let name = file::form_name(path);
        let items = match ingest::read(source, ingest::declared_by_name(&name), &bytes) {
            Ok(items) => items,
            Err(issue) => {
                batch.refused.push(format!("{}: {issue}", path.display()));
                continue;
            }
        };
        for item in items {
            batch.bytes += item.bytes.len() as u64;
            match standardize(&item, &tables) {
                Ok(standardized) => batch.items.push(standardized),
                Err(issues) => {
                    let why = issues.last().map(ToString::to_string).unwrap_or_default();
                    batch.refused.push(format!("{}: {why}", path.display()));
                }
            }
            let held: usize = batch.items.iter().map(|done| done.item.bytes.len()).sum();
            let full = batch.items.len() >= BATCH_ITEMS || held >= BATCH_BYTES;
            if full && batches.send(std::mem::take(&mut batch)).is_err() {
                return Ok(());
            }
        }
    }
    // nobody listens only if storing failed, which is told there
    let _ = batches.send(batch);
    Ok(())
}

/// The files behind paths: a folder stands for the plain files in it, by name.
fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, EdgeError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = |source| EdgeError::io(path, source);
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.path().is_file() && !entry.file_name().to_string_lossy().starts_with('.') {
                inside.push(entry.path());
            }
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

fn get(
    folder: &FolderArgs,
    handle: &str,
    original: bool,
    print: &dyn Fn(&str),
) -> Result<u8, EdgeError> {
    let (vault, _) = open(folder)?;
    let handle = parse_handle(handle)?;
    let unknown =
        || EdgeError::input("no such record", handle.to_string(), "give a handle of this edge");
    if original {
        let bytes = vault.original_of(handle)?.ok_or_else(unknown)?;
        // nobody is left to tell if standard output is gone
        let _ = std::io::stdout().write_all(&bytes);
        return Ok(0);
    }
    let record = vault.get(handle)?.ok_or_else(unknown)?;
    print(&String::from_utf8_lossy(&record.bytes));
    Ok(0)
}

fn find(
    folder: &FolderArgs,
    query: &str,
    limit: usize,
    print: &dyn Fn(&str),
) -> Result<u8, EdgeError> {
    let keys = Keys::open(&folder.datadir)?;
    let intake = Intake::open(&folder.datadir, &keys)?;
    let tables = Tables::shipped();
    let denied = query.strip_prefix("no:");
    let words = denied.unwrap_or(query);
    let terms = query_terms(words, &tables.terminology);
    let question = match (denied, terms.is_empty()) {
        (Some(_), false) => Query { negated: terms, ..Query::default() },
        // no concept has this name, so nothing denies it
        (Some(_), true) => Query { all: vec![Vec::new()], ..Query::default() },
        (None, true) => Query { words: vec![words.to_owned()], ..Query::default() },
        (None, false) => Query { all: vec![terms], ..Query::default() },
    };
    let found = intake.index().search(&question, limit)?;
    for hit in &found.hits {
        if folder.json {
            let hit = json!({"record": hit.handle.to_string(), "type": hit.kind.name(),
                "score": hit.score, "why": hit.why});
            print(&hit.to_string());
        } else {
            print(&format!("{} {:<20} {}", hit.handle, hit.kind.name(), hit.why.join("; ")));
        }
    }
    if folder.json {
        print(&json!({"patients": found.patients}).to_string());
    } else {
        print(&format!("{} patients", found.patients));
    }
    Ok(0)
}

fn export(
    folder: &FolderArgs,
    out: &Path,
    patient: Option<&str>,
    all: bool,
    print: &dyn Fn(&str),
) -> Result<u8, EdgeError> {
    let (vault, keys) = open(folder)?;
    let only = patient.map(|handle| owner_of(&vault, handle)).transpose()?;
    log(folder, &keys, Act::Export, Vec::new(), None)?;
    let (mut text, mut count) = (Vec::new(), 0_usize);
    vault.for_each(|record| {
        let wanted = only.is_none_or(|only| record.meta.patient_no == only);
        if wanted && (all || record.meta.current) {
            count += 1;
            text.extend_from_slice(&record.bytes);
            text.push(b'\n');
        }
        Ok(())
    })?;
    if out == Path::new("-") {
        // nobody is left to tell if standard output is gone
        let _ = std::io::stdout().write_all(&text);
        return Ok(0);
    }
    local::replace(out, &text)?;
    print(&if folder.json {
        json!({"records": count, "bytes": text.len()}).to_string()
    } else {
        format!("{count} records, {} bytes in {}", text.len(), out.display())
    });
    Ok(0)
}

fn erase(
    folder: &FolderArgs,
    record: &str,
    basis: &str,
    print: &dyn Fn(&str),
) -> Result<u8, EdgeError> {
    let keys = Keys::open(&folder.datadir)?;
    let intake = Intake::open(&folder.datadir, &keys)?;
    let patient = owner_of(intake.vault(), record)?;
    let name = intake.vault().handles().seal(patient, 0);
    // Written down first: an erasure that was cut short is known, and erasing again finishes it.
    let entry = log(folder, &keys, Act::Key, vec![name], Some(format!("ERASE:{basis}")))?;
    let erased = intake.erase_patient(patient)?;
    let number = |n: u64| Value::Number(n.to_string());
    let mut certificate = Value::object([
        ("v", number(1)),
        ("type", Value::string("msnet erasure certificate")),
        ("store", Value::string(hex::encode(keys.store_keys().store_id))),
        ("patient", Value::string(name.to_string())),
        ("records", number(erased as u64)),
        ("basis", Value::string(basis)),
        ("auditEntry", number(entry)),
        ("at", number(crate::service::now_secs())),
        (
            "done",
            Value::string(
                "wrapped keys, names, index entries and log frames are removed; sealed blocks that remain open \
                 under no key; copies in backups die with the KEK of their time",
            ),
        ),
        ("key", Value::string(hex::encode(keys.transport_public()))),
    ]);
    let signature = keys.sign_transport(&canonical::to_bytes(&certificate));
    certificate.set("signature", Value::string(hex::encode(signature)));
    print(&String::from_utf8_lossy(&canonical::to_bytes(&certificate)));
    Ok(0)
}

/// Whether a certificate was signed by the key in it and says what was signed.
///
/// # Errors
/// [`EdgeError::Input`] if it is not a certificate.
pub fn verify_certificate(text: &[u8]) -> Result<bool, EdgeError> {
    let bad =
        || EdgeError::input("this is no certificate", "certificate", "give it as it was printed");
    let mut certificate = json::parse(text).map_err(|_| bad())?;
    let read =
        |name: &str| hex::decode(certificate.str_at(name).unwrap_or_default()).map_err(|_| bad());
    let (key, signature) = (read("key")?, read("signature")?);
    certificate.remove("signature");
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key);
    Ok(key.verify(&canonical::to_bytes(&certificate), &signature).is_ok())
}

fn compact(folder: &FolderArgs, print: &dyn Fn(&str)) -> Result<u8, EdgeError> {
    let (vault, _) = open(folder)?;
    let mut progress = Progress::start("packing", 0);
    let done = vault.compact(|done, all| progress.show_of(done as u64, all as u64, "patients"))?;
    drop(progress);
    print(&if folder.json {
        json!({"patients": done.patients, "before": done.before, "after": done.after}).to_string()
    } else {
        format!(
            "{} patients packed anew; segments {} → {} bytes",
            done.patients, done.before, done.after
        )
    });
    Ok(0)
}

fn fsck(
    folder: &FolderArgs,
    quick: bool,
    repair: bool,
    print: &dyn Fn(&str),
) -> Result<u8, EdgeError> {
    let (vault, keys) = open(folder)?;
    let depth = if quick { Depth::Quick } else { Depth::Full };
    let mut checked = vault.check(depth, repair)?;
    let damaged = checked.findings.iter().any(|finding| finding.starts_with("damage"));
    let index = crate::index::Index::open(&folder.datadir, keys.store_keys());
    let behind = match &index {
        Ok(index) => index.change_no() != vault.change_no(),
        Err(_) => true,
    };
    drop((index, vault));
    if behind && repair {
        drop(Intake::open(&folder.datadir, &keys)?);
        checked.findings.push("the index had not seen everything; rebuilt".into());
    } else if behind {
        checked
            .findings
            .push("the index has not seen everything; the next start rebuilds it".into());
    }
    if let Err(error) = AuditLog::open(&folder.datadir, keys.store_keys()) {
        checked.findings.push(error.to_string());
    }
    if folder.json {
        let found = json!({"patients": checked.patients, "blocks": checked.blocks,
            "records": checked.records, "findings": checked.findings});
        print(&found.to_string());
    } else {
        checked.findings.iter().for_each(|finding| print(finding));
        print(&format!(
            "{} patients, {} blocks, {} records read, {} findings",
            checked.patients,
            checked.blocks,
            checked.records,
            checked.findings.len()
        ));
    }
    Ok(if damaged { 5 } else { u8::from(!checked.findings.is_empty()) })
}

fn stats(folder: &FolderArgs, print: &dyn Fn(&str)) -> Result<u8, EdgeError> {
    let (vault, _) = open(folder)?;
    let sizes = vault.sizes()?;
    let parts = [
        ("records", sizes.records),
        ("patients", sizes.patients),
        ("canonical bytes", sizes.canonical),
        ("rows", sizes.rows),
        ("of which header, padding, tag", sizes.sealing),
        ("id tables", sizes.ids),
        ("catalogue", sizes.catalogue),
        ("trees around it", sizes.catalogue_around),
        ("key log", sizes.key_log),
        ("all of it for records", sizes.all_in()),
        ("originals", sizes.originals),
        ("as they arrived", sizes.original_bytes),
        ("anchoring", sizes.anchoring),
        ("unused", sizes.unused),
        ("log", sizes.log),
    ];
    if folder.json {
        let members = parts.iter().map(|(name, bytes)| ((*name).to_owned(), json!(bytes)));
        print(&serde_json::Value::Object(members.collect()).to_string());
        return Ok(0);
    }
    let per_mille = |bytes: u64| bytes.saturating_mul(10) / sizes.records.max(1);
    for (name, bytes) in parts {
        let each = per_mille(bytes);
        print(&format!("{name:<32}{bytes:>14}   {:>6}.{} a record", each / 10, each % 10));
    }
    Ok(0)
}

fn show_savings(
    folder: &FolderArgs,
    svg: Option<&Path>,
    print: &dyn Fn(&str),
) -> Result<u8, EdgeError> {
    let (vault, _) = open(folder)?;
    let savings = vault.savings()?;
    if let Some(path) = svg {
        local::replace(path, savings.to_svg().as_bytes())?;
    }
    if folder.json {
        let lines = savings.lines.iter();
        let lines =
            lines.map(|l| json!({"what": l.what, "bytes": l.bytes, "baseline": l.baseline}));
        let all = json!({"records": savings.records, "patients": savings.patients,
            "lines": lines.collect::<Vec<_>>()});
        print(&all.to_string());
    } else {
        savings.to_lines().iter().for_each(|line| print(line));
    }
    Ok(0)
}

fn rotate(folder: &FolderArgs, which: KeyKind, print: &dyn Fn(&str)) -> Result<u8, EdgeError> {
    let told = match which {
        KeyKind::Kek => {
            let vault = open(folder)?.0;
            Keys::rotate_kek(&folder.datadir, |store| {
                drop(vault); // opened anew with both KEKs
                Vault::open(&folder.datadir, store)?.rewrap(&store.kek)
            })?;
            "a new key wraps all others; the old one is gone from this folder".to_owned()
        }
        KeyKind::Dek => {
            let (vault, _) = open(folder)?;
            let mut progress = Progress::start("sealing anew", 0);
            let done = vault.rotate_patient_keys(|done, all| {
                progress.show_of(done as u64, all as u64, "patients")
            })?;
            drop(progress);
            format!("{done} patients have new keys; everything of theirs is sealed anew")
        }
    };
    let keys = Keys::open(&folder.datadir)?;
    log(folder, &keys, Act::Key, Vec::new(), Some("ROTATE".into()))?;
    print(&if folder.json { json!({"done": told}).to_string() } else { told });
    Ok(0)
}

fn verify_audit(folder: &FolderArgs, print: &dyn Fn(&str)) -> Result<u8, EdgeError> {
    let (_vault, keys) = open(folder)?;
    let log = AuditLog::open(&folder.datadir, keys.store_keys())?;
    let entries = log.verify()?;
    let last = entries.last().map_or(B256::ZERO, |entry| entry.leaf);
    print(&if folder.json {
        json!({"entries": entries.len(), "leaf": last.to_string()}).to_string()
    } else {
        format!("{} entries, each linked to the one before; the last leaf is {last}", entries.len())
    });
    Ok(0)
}

fn rebuild(folder: &FolderArgs, print: &dyn Fn(&str)) -> Result<u8, EdgeError> {
    let keys = Keys::open(&folder.datadir)?;
    let index = folder.datadir.join("index");
    {
        let _held = Vault::open(&folder.datadir, keys.store_keys())?; // nobody else uses the folder
        if index.exists() {
            std::fs::remove_dir_all(&index).map_err(|source| EdgeError::io(&index, source))?;
        }
    }
    let intake = Intake::open(&folder.datadir, &keys)?;
    let records = intake.vault().iter_metas()?.iter().filter(|meta| meta.current).count();
    print(&if folder.json {
        json!({"records": records}).to_string()
    } else {
        format!("{records} records indexed")
    });
    Ok(0)
}

fn open(folder: &FolderArgs) -> Result<(Vault, Keys), EdgeError> {
    if !folder.datadir.join("kek.json").exists() {
        return Err(EdgeError::input(
            "there is no edge in this folder",
            folder.datadir.display().to_string(),
            "give the folder of an edge with --datadir, or import something into a new one",
        ));
    }
    let keys = Keys::open(&folder.datadir)?;
    Ok((Vault::open(&folder.datadir, keys.store_keys())?, keys))
}

fn parse_handle(text: &str) -> Result<Handle, EdgeError> {
    text.parse().map_err(|()| {
        EdgeError::input(
            "this is no record's name",
            text,
            "give 32 hex digits, as `find` prints them",
        )
    })
}

fn owner_of(vault: &Vault, record: &str) -> Result<crate::model::PatientNo, EdgeError> {
    let handle = parse_handle(record)?;
    let (patient, _) = vault.handles().open(handle).ok_or_else(|| {
        EdgeError::input("no such record", handle.to_string(), "give a handle of this edge")
    })?;
    Ok(patient)
}

/// Writes an entry of the operator into the access log.
fn log(
    folder: &FolderArgs,
    keys: &Keys,
    act: Act,
    handles: Vec<Handle>,
    code: Option<String>,
) -> Result<u64, EdgeError> {
    let log = AuditLog::open(&folder.datadir, keys.store_keys())?;
    log.append(&Entry {
        at: crate::service::now_secs(),
        act,
        lane: "care",
        party: FixedBytes::ZERO,
        actor: "operator".into(),
        basis: "own".into(),
        basis_id: B256::ZERO,
        purpose: 0,
        handles,
        phase: Phase::Intended,
        code,
        stale: false,
    })
}

/// How far a long act is: a bar on a terminal, else a line now and then; both on standard error.
struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    total: u64,
    last: Instant,
}

impl Progress {
    fn start(what: &'static str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
            let style = "{prefix} {wide_bar} {percent:>3} %  {msg}  {elapsed_precise}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.set_prefix(what);
            bar
        });
        Self { what, bar, total, last: Instant::now() }
    }

    fn show(&mut self, done: u64, news: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(self.total.max(1));
            bar.set_position(done.min(self.total));
            bar.set_message(news.to_owned());
        } else if self.last.elapsed() >= BETWEEN_LINES {
            self.last = Instant::now();
            let percent = done.saturating_mul(100) / self.total.max(1);
            // a line that nobody reads is no reason to stop
            let _ = writeln!(std::io::stderr(), "{} {percent} %, {news}", self.what);
        }
    }

    fn show_of(&mut self, done: u64, total: u64, what: &str) {
        self.total = total;
        self.show(done, &format!("{done} of {total} {what}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
