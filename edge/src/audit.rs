//! The audit log: every look, release, refusal, search and decision, written down before it takes effect.
//!
//! ```text
//! audit/0000000000000001.log = header, frames (`stores/log.rs`, magic MSNAUDIT); frame number = seq
//! frame  = block (`vault/block.rs`) under the store key
//! image  = varint 1 ‖ prev 32 ‖ nonce 32 ‖ salt 32 ‖ canonical entry
//!
//! eventHash = commit("msnet/event/1", nonce, canonical entry)
//! leaf      = AuditLeaf(1, seq, loggedAt, prev, eventHash, salt), prev = the leaf before, 0 at first    (`contracts.md` 4)
//! ```
//!
//! Whoever changes, drops or exchanges entries breaks the chain of leaves at that place. Cutting entries off the end shows
//! once hourly roots stand on chain, which come later.
use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

use alloy_primitives::{B256, FixedBytes};
use contracts::leaf::{AuditLeaf, commit, leaf_hash};

use crate::{
    error::EdgeError,
    keys::StoreKeys,
    model::{
        Handle, canonical,
        json::{self, Value},
    },
    stores::{local, log::FrameLog},
    vault::{Malformed, Reader, block, crypt, put_varint, store_block_key},
};

const MAGIC: &[u8; 8] = b"MSNAUDIT";
const FILE_NUMBER: u64 = 1;
const FORMAT: u64 = 1;

/// What was done (`protocol.md` 8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// A record was looked at by own staff.
    Look,
    /// Records or a key went out.
    Release,
    /// A request was refused.
    Refuse,
    /// A search was answered.
    Search,
    /// A compute job ran.
    Job,
    /// Emergency access.
    BreakGlass,
    /// A request was decided.
    Decide,
    /// A rule was changed.
    Policy,
    /// A key was made, used for a release, or retired.
    Key,
    /// Records were exported.
    Export,
    /// Somebody signed in.
    Login,
}

impl Act {
    /// The word in the entry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Release => "release",
            Self::Refuse => "refuse",
            Self::Search => "search",
            Self::Job => "job",
            Self::BreakGlass => "breakGlass",
            Self::Decide => "decide",
            Self::Policy => "policy",
            Self::Key => "key",
            Self::Export => "export",
            Self::Login => "login",
        }
    }
}

/// Whether it happened yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// About to happen: written before bytes leave.
    Intended,
    /// It happened.
    Sent,
    /// It did not happen.
    NotSent,
}

impl Phase {
    /// The word in the entry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Sent => "sent",
            Self::NotSent => "notSent",
        }
    }
}

/// One entry, without its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When, seconds since 1970 UTC.
    pub at: u64,
    /// What.
    pub act: Act,
    /// `care` or `project`.
    pub lane: &'static str,
    /// Institution it was done for.
    pub party: FixedBytes<16>,
    /// Credential of the person or key that did it.
    pub actor: String,
    /// What allowed it: `grant`, `agreement`, `breakGlass`, `own`; empty for a refusal without any.
    pub basis: String,
    /// Id of that grant or agreement; 0 = none.
    pub basis_id: B256,
    /// Purpose code; 0 = none.
    pub purpose: u16,
    /// The records concerned.
    pub handles: Vec<Handle>,
    /// Whether it happened yet.
    pub phase: Phase,
    /// Refusal code.
    pub code: Option<String>,
    /// The chain's head was old when it was decided.
    pub stale: bool,
}

impl Entry {
    /// The canonical bytes that are committed to.
    fn to_bytes(&self, seq: u64) -> Vec<u8> {
        let number = |n: u64| Value::Number(n.to_string());
        let handles = self.handles.iter().map(|handle| Value::string(format!("0x{handle}")));
        canonical::to_bytes(&Value::object([
            ("v", number(1)),
            ("seq", number(seq)),
            ("at", number(self.at)),
            ("act", Value::string(self.act.name())),
            ("lane", Value::string(self.lane)),
            ("party", Value::string(self.party.to_string())),
            ("actor", Value::string(self.actor.clone())),
            ("basis", Value::string(self.basis.clone())),
            ("basisId", Value::string(self.basis_id.to_string())),
            ("purpose", number(self.purpose.into())),
            ("handles", Value::Array(handles.collect())),
            ("phase", Value::string(self.phase.name())),
            ("code", self.code.clone().map_or(Value::Null, Value::string)),
            ("stale", Value::Bool(self.stale)),
        ]))
    }
}

/// One entry as it stands in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    /// Its number, from 0.
    pub seq: u64,
    /// Its leaf; the next entry's `prev`.
    pub leaf: B256,
    /// Opens the commitment inside the leaf.
    pub nonce: B256,
    /// The entry, parsed.
    pub entry: Value,
}

/// An open log.
#[derive(Debug)]
pub struct AuditLog {
    keys: StoreKeys,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    log: FrameLog,
    next_seq: u64,
    last_leaf: B256,
}

impl AuditLog {
    /// Opens the log in `dir/audit`, or starts it; a torn end is cut, everything else is verified.
    ///
    /// # Errors
    /// [`EdgeError::Integrity`] naming the first bad entry, [`EdgeError::Io`].
    pub fn open(dir: &Path, keys: &StoreKeys) -> Result<Self, EdgeError> {
        let folder = dir.join("audit");
        local::create_folder(&folder)?;
        let path = path(&folder);
        let (log, payloads) = if path.exists() {
            FrameLog::open(&path, MAGIC, FILE_NUMBER, &keys.store_id)?
        } else {
            (FrameLog::create(&path, MAGIC, FILE_NUMBER, &keys.store_id)?, Vec::new())
        };
        let last_leaf = check(&payloads, keys, &path)?.last().map_or(B256::ZERO, |e| e.leaf);
        let inner = Inner { log, next_seq: payloads.len() as u64, last_leaf };
        Ok(Self { keys: keys.clone(), inner: Mutex::new(inner) })
    }

    /// Writes an entry; it is on disk when this returns its number.
    ///
    /// # Errors
    /// [`EdgeError::Io`] or [`EdgeError::Storage`]: then what the entry announces must not happen.
    pub fn append(&self, entry: &Entry) -> Result<u64, EdgeError> {
        let mut inner = self.inner.lock().expect("no thread panics while it appends");
        let (seq, prev) = (inner.next_seq, inner.last_leaf);
        let (nonce, salt) = (B256::new(crypt::random()), B256::new(crypt::random()));
        let text = entry.to_bytes(seq);
        let mut image = Vec::new();
        put_varint(&mut image, FORMAT);
        [prev, nonce, salt].iter().for_each(|word| image.extend_from_slice(word.as_slice()));
        image.extend_from_slice(&text);
        let sealed = block::seal(&self.keys.store_id, &store_block_key(&self.keys), 0, &image);
        inner.log.append(&[sealed])?;
        inner.last_leaf = leaf(seq, entry.at, prev, nonce, salt, &text);
        inner.next_seq += 1;
        Ok(seq)
    }

    /// Reads the whole log again from disk and checks every link.
    ///
    /// # Errors
    /// [`EdgeError::Integrity`] naming the first bad entry.
    pub fn verify(&self) -> Result<Vec<Logged>, EdgeError> {
        let inner = self.inner.lock().expect("no thread panics while it appends");
        let path = inner.log.path();
        let payloads = FrameLog::read(path, MAGIC, FILE_NUMBER, &self.keys.store_id)?;
        let entries = check(&payloads, &self.keys, path)?;
        let last = entries.last().map_or(B256::ZERO, |entry| entry.leaf);
        if (entries.len() as u64, last) != (inner.next_seq, inner.last_leaf) {
            return Err(bad(path, entries.len() as u64, "the log ends before its last entry"));
        }
        Ok(entries)
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(format!("{FILE_NUMBER:016x}.log"))
}

fn bad(path: &Path, seq: u64, what: &str) -> EdgeError {
    EdgeError::integrity(what, format!("{}, entry {seq}", path.display()))
}

fn leaf(seq: u64, at: u64, prev: B256, nonce: B256, salt: B256, text: &[u8]) -> B256 {
    let event_hash = commit("msnet/event/1", nonce, text);
    leaf_hash(&AuditLeaf { version: 1, seq, loggedAt: at, prev, eventHash: event_hash, salt })
}

/// Opens the payloads one after another and follows the chain of leaves.
fn check(payloads: &[Vec<u8>], keys: &StoreKeys, path: &Path) -> Result<Vec<Logged>, EdgeError> {
    let mut entries: Vec<Logged> = Vec::with_capacity(payloads.len());
    for (seq, sealed) in (0..).zip(payloads) {
        let image = block::open(&keys.store_id, &keys.store, sealed)
            .map_err(|error| bad(path, seq, &error.to_string()))?;
        let (prev, logged) =
            read(&image, seq).map_err(|error| bad(path, seq, &error.to_string()))?;
        if prev != entries.last().map_or(B256::ZERO, |entry| entry.leaf) {
            return Err(bad(path, seq, "the entry does not follow the one before it"));
        }
        entries.push(logged);
    }
    Ok(entries)
}

fn read(image: &[u8], seq: u64) -> Result<(B256, Logged), Malformed> {
    let mut reader = Reader::new(image);
    if reader.varint()? != FORMAT {
        return Err(Malformed);
    }
    let mut word = || reader.array().map(B256::new);
    let (prev, nonce, salt) = (word()?, word()?, word()?);
    let text = reader.rest();
    let entry = json::parse(text).map_err(|_| Malformed)?;
    let number = |name: &str| entry.get(name).and_then(Value::as_number)?.parse::<u64>().ok();
    let at = number("at").ok_or(Malformed)?;
    if number("seq") != Some(seq) {
        return Err(Malformed);
    }
    let leaf = leaf(seq, at, prev, nonce, salt, text);
    Ok((prev, Logged { seq, leaf, nonce, entry }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keys::Keys,
        stores::log::{FILE_HEADER_BYTES, PREFIX_BYTES},
    };

    fn entry(at: u64) -> Entry {
        Entry {
            at,
            act: Act::Release,
            lane: "project",
            party: FixedBytes([1; 16]),
            actor: "0xmarker-actor".into(),
            basis: "grant".into(),
            basis_id: B256::repeat_byte(2),
            purpose: 5,
            handles: vec![Handle([3; 16])],
            phase: Phase::Intended,
            code: None,
            stale: false,
        }
    }

    fn written(count: u64) -> (tempfile::TempDir, Keys, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let keys = Keys::create(dir.path(), None).expect("keys");
        let log = AuditLog::open(dir.path(), keys.store_keys()).expect("opens");
        for at in 0..count {
            assert_eq!(log.append(&entry(at)).expect("appended"), at);
        }
        let path = path(&dir.path().join("audit"));
        (dir, keys, path)
    }

    #[test]
    fn entries_are_linked_sealed_and_there_after_a_kill() {
        let (dir, keys, path) = written(3);
        let log = AuditLog::open(dir.path(), keys.store_keys()).expect("opens");
        assert_eq!(log.append(&entry(9)).expect("appended"), 3);
        let entries = log.verify().expect("whole");
        assert_eq!(entries.len(), 4);
        assert_eq!(entries[3].entry.str_at("act"), Some("release"));
        assert_eq!(entries[3].entry.str_at("handles[0]"), None, "paths have no indexes here");
        let bytes = std::fs::read(path).expect("there");
        for plain in [&b"marker-actor"[..], b"release", b"intended"] {
            assert!(!bytes.windows(plain.len()).any(|window| window == plain));
        }
    }

    #[test]
    fn the_first_bad_entry_is_named() {
        let (dir, keys, path) = written(4);
        let bytes = std::fs::read(&path).expect("there");
        let frame = (bytes.len() - FILE_HEADER_BYTES) / 4;
        let at = |n: usize| FILE_HEADER_BYTES + n * frame;
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            AuditLog::open(dir.path(), keys.store_keys()).expect_err("bad").to_string()
        };
        // Entry 1 is taken out.
        let dropped = [&bytes[..at(1)], &bytes[at(2)..]].concat();
        assert!(refused(&dropped).contains("entry 1"));
        // Entries 1 and 2 are exchanged.
        let exchanged =
            [&bytes[..at(1)], &bytes[at(2)..at(3)], &bytes[at(1)..at(2)], &bytes[at(3)..]].concat();
        assert!(refused(&exchanged).contains("entry 1"));
        // A byte of entry 2 is flipped, and its checksum made right again.
        let mut flipped = bytes.clone();
        flipped[at(3) - 20] ^= 1;
        let payload = at(2) + PREFIX_BYTES..at(3);
        let crc = crc32c::crc32c(&flipped[payload]).to_le_bytes();
        flipped[at(2) + 4..at(2) + 8].copy_from_slice(&crc);
        let crc = crc32c::crc32c(&flipped[at(2)..at(2) + 8]).to_le_bytes();
        flipped[at(2) + 8..at(2) + 12].copy_from_slice(&crc);
        assert!(refused(&flipped).contains("entry 2"));
    }

    #[test]
    fn a_cut_end_is_noticed_while_the_log_is_open() {
        let (dir, keys, path) = written(2);
        let log = AuditLog::open(dir.path(), keys.store_keys()).expect("opens");
        let bytes = std::fs::read(&path).expect("there");
        let frame = (bytes.len() - FILE_HEADER_BYTES) / 2;
        std::fs::write(&path, &bytes[..bytes.len() - frame]).expect("written");
        assert!(log.verify().expect_err("short").to_string().contains("entry 1"));
    }
}
