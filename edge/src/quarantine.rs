//! Items that could not be taken in, kept until somebody decides: bytes, source, reason, position, versions, attempts.
//!
//! One sealed file an item, `quarantine/<item id>.item`; what lies there in clear is the item's id, its sealed length
//! (padded as the vault pads) and the time the file was written. A file is replaced whole, so a crash leaves the old one
//! or the new one.
//!
//! ```text
//! file   = "MSNQUAR1" ‖ salt 24 ‖ AES-256-GCM(body)         key HKDF-Expand(store key, "msnet quarantine v1" ‖ salt), nonce zero
//! body   = u32 head_len ‖ u32 bytes_len ‖ head ‖ bytes ‖ zeros          AAD = store_id ‖ item_id ‖ file[0..32]
//! head   = JSON: what [`Entry`] says
//! ```
//!
//! ```text
//! new ──retry fails──▶ retried ──┐            a retry that succeeds: resolved, the bytes are the vault's from then on
//!  └────────────────────────────┴──▶ resolved | discarded(by, reason)    the bytes go, what was decided stays
//! ```
//! Nothing expires. An item that is retried by a newer parser, mapping or terminology is retried because the versions it
//! was last tried with differ ([`Quarantine::stale`]).
use crate::{
    error::EdgeError,
    keys::StoreKeys,
    model::{Form, Issue, Item, Severity, ids},
    stores::local,
    vault::crypt,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const FOLDER: &str = "quarantine";
const MAGIC: &[u8; 8] = b"MSNQUAR1";
const SALT_BYTES: usize = 24;
const HEADER_BYTES: usize = MAGIC.len() + SALT_BYTES;
/// Smallest step by which a body is padded; larger ones are an eighth of their size.
const PAD_STEP: usize = 64;
/// Issues that are kept of one item; a broken file can have thousands.
const MAX_ISSUES: usize = 100;

/// Where an item stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum State {
    /// Nobody has tried again.
    New,
    /// Tried again, and refused again.
    Retried,
    /// Taken in by a later try.
    Resolved,
    /// Given up by a person.
    Discarded {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// A finding, as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// `warning`, `error` or `fatal`.
    pub severity: String,
    /// FHIR `IssueType`.
    pub code: String,
    /// The rule's short name.
    pub rule: String,
    /// Where: path, line and column.
    pub at: String,
    /// What is wrong; quotes no value.
    pub text: String,
}

impl Finding {
    fn of(issue: &Issue) -> Self {
        Self {
            severity: match issue.severity {
                Severity::Information => "information",
                Severity::Warning => "warning",
                Severity::Error => "error",
                Severity::Fatal => "fatal",
            }
            .into(),
            code: issue.code.into(),
            rule: issue.rule.into(),
            at: issue.at.to_string(),
            text: issue.text.clone(),
        }
    }
}

/// What is known of an item in quarantine, without its bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The item's id, 32 hex digits.
    pub item: String,
    /// Its sender.
    pub source: String,
    /// Its form, in words.
    pub form: String,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// When it came, seconds since 1970.
    pub since: u64,
    /// When it was tried last.
    pub tried: u64,
    /// Parser, mapping and terminology it was tried with last.
    pub versions: String,
    /// Why it was refused; the reason stands last.
    pub findings: Vec<Finding>,
    /// Length of its bytes.
    pub length: usize,
}

/// The folder of one edge.
pub struct Quarantine {
    folder: PathBuf,
    keys: StoreKeys,
    /// One change at a time, so that a retry and a discard of one item cannot cross.
    changing: Mutex<()>,
}

impl std::fmt::Debug for Quarantine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quarantine").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Quarantine {
    /// Opens the folder below `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// [`EdgeError::Io`].
    pub fn open(dir: &Path, keys: &StoreKeys) -> Result<Self, EdgeError> {
        let folder = dir.join(FOLDER);
        local::create_folder(&folder)?;
        Ok(Self { folder, keys: keys.clone(), changing: Mutex::default() })
    }

    /// Keeps an item that was refused for `issues`, the reason last. On disk when this returns; an item that is there
    /// already counts one attempt more.
    ///
    /// # Errors
    /// [`EdgeError::Io`]; [`EdgeError::Integrity`] if the item's file is there and damaged.
    pub fn put(
        &self,
        item: &Item,
        issues: &[Issue],
        now: u64,
        versions: &str,
    ) -> Result<Entry, EdgeError> {
        let _one = self.changing.lock().expect("no holder panics");
        let name = ids::hex(&item.item_id);
        let known = match self.path(&name).exists() {
            true => Some(self.open_file(&name)?.0),
            false => None,
        };
        let entry = self.refused(known, item, issues, now, versions);
        self.write(&entry, &item.bytes)?;
        Ok(entry)
    }

    fn refused(
        &self,
        known: Option<Entry>,
        item: &Item,
        issues: &[Issue],
        now: u64,
        versions: &str,
    ) -> Entry {
        let from = issues.len().saturating_sub(MAX_ISSUES);
        Entry {
            item: ids::hex(&item.item_id),
            source: item.source.clone(),
            form: item.form.to_string(),
            state: known.as_ref().map_or(State::New, |_| State::Retried),
            attempts: known.as_ref().map_or(1, |entry| entry.attempts.saturating_add(1)),
            since: known.map_or(now, |entry| entry.since),
            tried: now,
            versions: versions.into(),
            findings: issues[from..].iter().map(Finding::of).collect(),
            length: item.bytes.len(),
        }
    }

    /// All entries, the oldest first; what is damaged is an error naming its file.
    ///
    /// # Errors
    /// [`EdgeError::Io`], [`EdgeError::Integrity`].
    pub fn list(&self) -> Result<Vec<Entry>, EdgeError> {
        let io = |error| EdgeError::io(&self.folder, error);
        let mut out = Vec::new();
        for file in std::fs::read_dir(&self.folder).map_err(io)? {
            let name = file.map_err(io)?.file_name().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(".item") {
                out.push(self.open_file(name)?.0);
            }
        }
        out.sort_by(|a: &Entry, b| (a.since, &a.item).cmp(&(b.since, &b.item)));
        Ok(out)
    }

    /// Items that wait and were last tried with other versions than these.
    ///
    /// # Errors
    /// As [`Quarantine::list`].
    pub fn stale(&self, versions: &str) -> Result<Vec<Entry>, EdgeError> {
        let waits = |entry: &Entry| matches!(entry.state, State::New | State::Retried);
        let mut all = self.list()?;
        all.retain(|entry| waits(entry) && entry.versions != versions);
        Ok(all)
    }

    /// An entry with its item.
    ///
    /// # Errors
    /// [`EdgeError::Input`] if there is none or its bytes are gone, [`EdgeError::Integrity`], [`EdgeError::Io`].
    pub fn get(&self, item: &str) -> Result<(Entry, Item), EdgeError> {
        let (entry, bytes) = self.there(item)?;
        if !matches!(entry.state, State::New | State::Retried) {
            return Err(EdgeError::input(
                "this item is decided and its bytes are gone",
                item,
                "name an item that waits",
            ));
        }
        let form = form_named(&entry.form).ok_or_else(|| damaged(item))?;
        let item = Item::new(&entry.source, form, bytes);
        Ok((entry, item))
    }

    /// Tries an item again: `try_again` takes it in, or says why not.
    ///
    /// # Errors
    /// As [`Quarantine::get`], and whatever `try_again` reports of the stores.
    pub fn retry(
        &self,
        item: &str,
        now: u64,
        versions: &str,
        try_again: impl FnOnce(&Item) -> Result<Result<(), Vec<Issue>>, EdgeError>,
    ) -> Result<Entry, EdgeError> {
        let _one = self.changing.lock().expect("no holder panics");
        let (entry, item) = self.get(item)?;
        let next = match try_again(&item)? {
            Ok(()) => Entry {
                state: State::Resolved,
                attempts: entry.attempts.saturating_add(1),
                tried: now,
                versions: versions.into(),
                findings: Vec::new(),
                ..entry
            },
            Err(issues) => {
                let next = self.refused(Some(entry), &item, &issues, now, versions);
                self.write(&next, &item.bytes)?;
                return Ok(next);
            }
        };
        self.write(&next, &[])?;
        Ok(next)
    }

    /// Gives an item up; its bytes go.
    ///
    /// # Errors
    /// As [`Quarantine::get`]; [`EdgeError::Input`] without a reason.
    pub fn discard(&self, item: &str, by: &str, reason: &str) -> Result<Entry, EdgeError> {
        if reason.trim().is_empty() {
            return Err(EdgeError::input("no reason is given", item, "say why it is given up"));
        }
        let _one = self.changing.lock().expect("no holder panics");
        let (entry, _) = self.get(item)?;
        let state = State::Discarded { by: by.into(), reason: reason.into() };
        let next = Entry { state, ..entry };
        self.write(&next, &[])?;
        Ok(next)
    }

    fn path(&self, item: &str) -> PathBuf {
        self.folder.join(format!("{item}.item"))
    }

    fn there(&self, item: &str) -> Result<(Entry, Vec<u8>), EdgeError> {
        // The name becomes part of a path.
        let is_id = item.len() == 32 && item.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_id || !self.path(item).exists() {
            return Err(EdgeError::input(
                "there is no such item in quarantine",
                item.chars().take(40).collect::<String>(),
                "list the quarantine; an id has 32 hex digits",
            ));
        }
        self.open_file(item)
    }

    fn aad(&self, item: &str, header: &[u8]) -> Vec<u8> {
        [&self.keys.store_id[..], item.as_bytes(), header].concat()
    }

    fn write(&self, entry: &Entry, bytes: &[u8]) -> Result<(), EdgeError> {
        let head = serde_json::to_vec(entry).map_err(|e| EdgeError::Internal(e.to_string()))?;
        let length = |part: &[u8]| {
            u32::try_from(part.len())
                .map(u32::to_le_bytes)
                .map_err(|_| EdgeError::Internal("an item beyond 4 GiB".into()))
        };
        let mut body = [&length(&head)?, &length(bytes)?, &head[..], bytes].concat();
        body.resize(padded(body.len()), 0);
        let salt: [u8; SALT_BYTES] = crypt::random();
        let header = [&MAGIC[..], &salt].concat();
        let key = crypt::expand(&self.keys.store, &[b"msnet quarantine v1", &salt]);
        crypt::seal(&key, [0; 12], &self.aad(&entry.item, &header), &mut body);
        local::replace(&self.path(&entry.item), &[header, body].concat())
    }

    fn open_file(&self, item: &str) -> Result<(Entry, Vec<u8>), EdgeError> {
        let file = local::read(&self.path(item))?;
        let open = || {
            let (header, sealed) = file.split_at_checked(HEADER_BYTES)?;
            let salt = header.strip_prefix(&MAGIC[..])?;
            let key = crypt::expand(&self.keys.store, &[b"msnet quarantine v1", salt]);
            let body = crypt::open(&key, [0; 12], &self.aad(item, header), sealed).ok()?;
            let length = |at: usize| {
                let bytes: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
                usize::try_from(u32::from_le_bytes(bytes)).ok()
            };
            let (head, bytes) = (length(0)?, length(4)?);
            let entry: Entry = serde_json::from_slice(body.get(8..8 + head)?).ok()?;
            let bytes = body.get(8 + head..(8 + head).checked_add(bytes)?)?.to_vec();
            Some((entry, bytes))
        };
        open().ok_or_else(|| damaged(item))
    }
}

fn damaged(item: &str) -> EdgeError {
    EdgeError::integrity(
        "an item in quarantine does not open; restore its file from a backup or remove it",
        format!("quarantine/{item}.item"),
    )
}

fn form_named(name: &str) -> Option<Form> {
    [Form::Hl7v2, Form::FhirJson, Form::Ccda, Form::Note, Form::Csv]
        .into_iter()
        .find(|form| form.to_string() == name)
}

/// The next multiple of an eighth of the highest power of two below, 64 at least: lengths tell little.
fn padded(length: usize) -> usize {
    let power = usize::BITS - length.max(1).leading_zeros() - 1;
    let step = PAD_STEP.max(1 << power.saturating_sub(3));
    length.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;
    use crate::model::At;

    fn opened() -> (tempfile::TempDir, Quarantine) {
        let dir = tempfile::tempdir().expect("folder");
        let keys = Keys::create(dir.path(), None).expect("keys");
        let quarantine = Quarantine::open(dir.path(), keys.store_keys()).expect("opens");
        (dir, quarantine)
    }

    fn issues() -> Vec<Issue> {
        let at = At::path("PID[1]-3");
        vec![Issue::new(Severity::Fatal, "required", "hl7v2-no-pid3", at, "no identifier")]
    }

    fn item(text: &str) -> Item {
        Item::new("urn:test:lab", Form::Hl7v2, text.as_bytes().to_vec())
    }

    #[test]
    fn an_item_is_kept_retried_and_resolved() {
        let (dir, quarantine) = opened();
        let kept = item("MSH|SECRETNAME");
        let entry = quarantine.put(&kept, &issues(), 10, "1").expect("kept");
        assert_eq!((entry.state.clone(), entry.attempts, entry.since), (State::New, 1, 10));
        // Another process finds it, and nothing of it lies in clear.
        let keys = Keys::open(dir.path()).expect("keys");
        let again = Quarantine::open(dir.path(), keys.store_keys()).expect("opens");
        assert_eq!(again.list().expect("listed"), std::slice::from_ref(&entry));
        assert_eq!(again.get(&entry.item).expect("there").1, kept);
        for file in std::fs::read_dir(dir.path().join(FOLDER)).expect("folder") {
            let bytes = std::fs::read(file.expect("file").path()).expect("read");
            for word in ["SECRETNAME", "no identifier", "urn:test"] {
                assert!(memchr::memmem::find(&bytes, word.as_bytes()).is_none(), "{word}");
            }
        }
        assert!(again.stale("1").expect("listed").is_empty());
        assert_eq!(again.stale("2").expect("listed").len(), 1);
        let failed = again.retry(&entry.item, 20, "2", |_| Ok(Err(issues()))).expect("tried");
        assert_eq!((failed.state, failed.attempts, failed.since), (State::Retried, 2, 10));
        let done = again
            .retry(&entry.item, 30, "3", |found| {
                assert_eq!(*found, kept);
                Ok(Ok(()))
            })
            .expect("tried");
        assert_eq!((done.state, done.attempts, done.findings.len()), (State::Resolved, 3, 0));
        assert!(again.get(&entry.item).is_err(), "its bytes are gone");
        assert!(again.stale("4").expect("listed").is_empty());
    }

    #[test]
    fn giving_up_needs_a_reason_and_names_are_no_paths() {
        let (_dir, quarantine) = opened();
        let entry = quarantine.put(&item("a"), &issues(), 1, "1").expect("kept");
        assert!(quarantine.discard(&entry.item, "operator", " ").is_err());
        let gone = quarantine.discard(&entry.item, "operator", "test data").expect("discarded");
        assert!(matches!(gone.state, State::Discarded { .. }));
        assert!(quarantine.discard(&entry.item, "operator", "again").is_err());
        for name in ["../keys", "", "0", &"0".repeat(32), &"é".repeat(16)] {
            assert!(quarantine.get(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_store_that_fails_leaves_the_item_as_it_was() {
        let (_dir, quarantine) = opened();
        let entry = quarantine.put(&item("a"), &issues(), 1, "1").expect("kept");
        let fails = |_: &Item| Err(EdgeError::storage("full", "disk", "make room"));
        assert!(quarantine.retry(&entry.item, 2, "2", fails).is_err());
        assert_eq!(quarantine.list().expect("listed"), [entry]);
    }

    #[test]
    fn damage_and_foreign_files_are_named() {
        let (dir, quarantine) = opened();
        let entry = quarantine.put(&item("a"), &issues(), 1, "1").expect("kept");
        let path = dir.path().join(FOLDER).join(format!("{}.item", entry.item));
        let good = std::fs::read(&path).expect("read");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).expect("written");
            assert!(matches!(quarantine.list(), Err(EdgeError::Integrity { .. })), "{at}");
        }
        // Another item's file under this name does not open either.
        let other = quarantine.put(&item("b"), &issues(), 1, "1").expect("kept");
        let other = dir.path().join(FOLDER).join(format!("{}.item", other.item));
        std::fs::copy(other, &path).expect("copied");
        assert!(matches!(quarantine.list(), Err(EdgeError::Integrity { .. })));
    }

    #[test]
    fn lengths_are_padded() {
        for (length, want) in
            [(0, 0), (1, 64), (64, 64), (513, 576), (4_096, 4_096), (5_000, 5_120)]
        {
            assert_eq!(padded(length), want);
        }
    }
}
