//! `msnet db verify`: reads everything that is stored once and says what does not fit. Nothing is changed, until a caller
//! asks for [`cut_at`].
//!
//! | checked | against |
//! |---|---|
//! | frames of log, diffs, journal | length and checksum |
//! | each block | its parent, total difficulty, body roots, number of senders, its signer and the window of signers |
//! | its receipts | the header's root |
//! | tables `blocks`, `hashes`, `canon` | the log, and one another |
//! | with state: accounts, slots, code | storage roots, code hashes, the state root of the flushed block |

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_consensus::{Typed2718 as _, proofs};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256, hex, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;

use super::{
    LogRecord, check_format,
    schema::{BlockRow, Flushed, ReceiptsFrame, block_key, decode, kind, meta},
    shelf::read_record,
    take_lock,
};
use crate::{
    block::{RecoveredBlock, receipts_root},
    clique::{Snapshot, seal::recover_signer},
    disk::{Disk, OpenMode, parent},
    error::ChainError,
    genesis::{Genesis, GenesisError},
    kv::{Kv as _, KvRead, RedbKv, Table},
    log::{
        Position, io_error,
        scan::{ScanEnd, position, scan_file, segments},
        segment_path,
    },
    spec::ChainSpec,
    state::{StateDb, flat::Flat, root::StateTrie},
    validate::validate_body,
};

/// Blocks below the newest that a branch may start from and still be checked against its parent.
const WINDOW_BLOCKS: u64 = 1_024;
/// Findings that are listed; the others are counted.
pub const MAX_FINDINGS: usize = 100;

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// File with offset, or table with key.
    pub place: String,
    /// The block it belongs to, if it belongs to one.
    pub block: Option<u64>,
    /// What does not fit.
    pub reason: String,
    /// True if something that was stored is lost or wrong; false for what a power cut leaves and the next start mends.
    pub is_damage: bool,
}

/// What a check saw.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Whole frames of all files.
    pub frames: u64,
    /// Blocks among them.
    pub blocks: u64,
    /// Bytes read from files of frames.
    pub bytes: u64,
    /// Accounts checked; 0 unless the state was.
    pub accounts: u64,
    /// The first [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many there are.
    pub finding_count: u64,
    /// How many of them are damage.
    pub damage_count: u64,
    /// Where the block log stops being good.
    pub cut: Option<Cut>,
}

/// A place in the block log from which on nothing is to be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// Number of the segment file.
    pub segment: u32,
    /// Byte in it.
    pub offset: u64,
}

/// How far a long walk is: bytes done, bytes in all, and the block it is at.
pub type ShowProgress<'a> = dyn FnMut(u64, u64, u64) + 'a;

impl Verified {
    fn find(&mut self, finding: Finding) {
        self.finding_count += 1;
        self.damage_count += u64::from(finding.is_damage);
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    fn damage(&mut self, place: String, block: Option<u64>, reason: impl Into<String>) {
        self.find(Finding { place, block, reason: reason.into(), is_damage: true });
    }
}

/// Checks a store that no process uses. `with_state` also computes the roots of all accounts and slots.
///
/// # Errors
/// [`ChainError::DatadirInUse`], [`ChainError::UnknownFormat`], [`ChainError::IncompatibleGenesis`], [`ChainError::Io`]
/// if it cannot be read at all; damage is no error but a finding.
pub fn verify(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    genesis: &Genesis,
    with_state: bool,
    show: &mut ShowProgress<'_>,
) -> Result<Verified, ChainError> {
    let _lock = take_lock(disk.as_ref(), &folder.join("LOCK"))?;
    check_format(disk.as_ref(), &folder.join("FORMAT"))?;
    let mut seen = Verified::default();
    // a picture of the tables can be read only while the database is open
    let (_database, tables) = open_tables(disk.as_ref(), folder, genesis, &mut seen)?.unzip();
    let mut walk = Walk::new(genesis, tables.as_ref(), &mut seen)?;
    walk.log(disk.as_ref(), &folder.join("blocks"), show)?;
    if let Some((kv, flushed)) = &tables {
        check_canon(kv.as_ref(), flushed, genesis.hash(), &mut seen)?;
    }
    let hash = genesis.hash();
    let diffs = folder.join("diffs");
    for (segment, _) in segments(disk.as_ref(), &diffs)? {
        frames_only(disk.as_ref(), &segment_path(&diffs, segment), hash, &mut seen)?;
    }
    let journal = folder.join("signer.journal");
    if exists(disk.as_ref(), &journal) {
        frames_only(disk.as_ref(), &journal, hash, &mut seen)?;
    }
    if let Some((kv, flushed)) = tables.as_ref().filter(|_| with_state) {
        check_state(kv, flushed, &mut seen)?;
    }
    Ok(seen)
}

/// Takes the block log back to `cut`. What stood behind it is kept beside it, in files ending in `.cut`; the answer is
/// their paths. The tables have to be made again afterwards.
///
/// # Errors
/// [`ChainError::DatadirInUse`]; [`ChainError::Io`].
pub fn cut_at(disk: &Arc<dyn Disk>, folder: &Path, cut: Cut) -> Result<Vec<PathBuf>, ChainError> {
    let _lock = take_lock(disk.as_ref(), &folder.join("LOCK"))?;
    let folder = folder.join("blocks");
    let mut kept = Vec::new();
    let later = segments(disk.as_ref(), &folder)?.into_iter().map(|(segment, _)| segment);
    for segment in later.filter(|&segment| segment > cut.segment).rev() {
        let (from, to) = (segment_path(&folder, segment), aside(&folder, segment, 0));
        disk.rename(&from, &to).map_err(|error| io_error("rename", &from, error))?;
        kept.push(to);
    }
    let path = segment_path(&folder, cut.segment);
    let to = aside(&folder, cut.segment, cut.offset);
    let run = || {
        let file = disk.open(&path, OpenMode::Write)?;
        let copy = disk.open(&to, OpenMode::Truncate)?;
        let (mut at, end) = (cut.offset, file.len()?);
        while at < end {
            let mut bytes = vec![0; usize::try_from(end - at).unwrap_or(usize::MAX).min(1 << 20)];
            file.read_at(at, &mut bytes)?;
            copy.write_at(at - cut.offset, &bytes)?;
            at += bytes.len() as u64;
        }
        copy.sync()?;
        disk.sync_folder(parent(&to))?;
        file.set_len(cut.offset)?;
        file.sync()
    };
    run().map_err(|error| io_error("cut", &path, error))?;
    kept.push(to);
    Ok(kept)
}

fn aside(folder: &Path, segment: u32, offset: u64) -> PathBuf {
    folder.join(format!("{segment:06}.{offset}.cut"))
}

fn exists(disk: &dyn Disk, path: &Path) -> bool {
    disk.open(path, OpenMode::Read).is_ok()
}

type Opened = Option<(RedbKv, (Arc<dyn KvRead>, Flushed))>;

/// The tables, if they are there and can be read.
fn open_tables(
    disk: &dyn Disk,
    folder: &Path,
    genesis: &Genesis,
    seen: &mut Verified,
) -> Result<Opened, ChainError> {
    let path = folder.join("state.redb");
    let place = path.display().to_string();
    if !exists(disk, &path) {
        let reason = "it is missing; msnet db reindex makes it again".to_owned();
        seen.find(Finding { place, block: None, reason, is_damage: false });
        return Ok(None);
    }
    let read = || -> Result<_, ChainError> {
        let database = RedbKv::open(disk, &path)?;
        let kv = database.snapshot()?;
        let have = kv.get(Table::Meta, meta::GENESIS)?.unwrap_or_default();
        let flushed = kv.get(Table::Meta, meta::FLUSHED)?.unwrap_or_default();
        Ok((database, kv, have, flushed))
    };
    let (database, kv, have, flushed) = match read() {
        Ok(read) => read,
        Err(ChainError::Io { doing, path, source }) => {
            return Err(ChainError::Io { doing, path, source });
        }
        Err(error) => {
            seen.damage(place, None, error.to_string());
            return Ok(None);
        }
    };
    if have != genesis.hash().as_slice() {
        let have = B256::try_from(have.as_slice()).unwrap_or_default();
        return Err(ChainError::IncompatibleGenesis { have, new: genesis.hash() });
    }
    match decode("table meta at flushed", &flushed) {
        Ok(flushed) => Ok(Some((database, (kv, flushed)))),
        Err(error) => {
            seen.damage(place, None, error.to_string());
            Ok(None)
        }
    }
}

/// A block that the walk came by.
struct Passed {
    total_difficulty: U256,
    timestamp: u64,
    receipts_root: B256,
    /// Type of each transaction.
    types: Vec<u8>,
    /// The signers after it, as long as every block before it fits.
    snapshot: Option<Arc<Snapshot>>,
}

/// The check of the block log, in the order in which it was written.
struct Walk<'a> {
    spec: &'a ChainSpec,
    genesis: B256,
    tables: Option<&'a (Arc<dyn KvRead>, Flushed)>,
    seen: &'a mut Verified,
    passed: BTreeMap<(u64, B256), Passed>,
    numbers: HashMap<B256, u64>,
}

impl<'a> Walk<'a> {
    fn new(
        genesis: &'a Genesis,
        tables: Option<&'a (Arc<dyn KvRead>, Flushed)>,
        seen: &'a mut Verified,
    ) -> Result<Self, ChainError> {
        let header = genesis.sealed_header();
        let config = genesis.spec.clique.ok_or(GenesisError::NotClique)?;
        let first = Passed {
            total_difficulty: header.difficulty,
            timestamp: header.timestamp,
            receipts_root: header.receipts_root,
            types: Vec::new(),
            snapshot: Some(Arc::new(Snapshot::genesis(&header, config)?)),
        };
        Ok(Self {
            spec: &genesis.spec,
            genesis: header.hash(),
            tables,
            seen,
            passed: BTreeMap::from([((0, header.hash()), first)]),
            numbers: HashMap::from([(header.hash(), 0)]),
        })
    }

    fn log(
        &mut self,
        disk: &dyn Disk,
        folder: &Path,
        show: &mut ShowProgress<'_>,
    ) -> Result<(), ChainError> {
        let found = segments(disk, folder)?;
        let total: u64 = found.iter().map(|&(_, bytes)| bytes).sum();
        let (mut before, mut expected) = (0, 0);
        let last = found.last().map(|&(segment, _)| segment);
        for (segment, bytes) in found {
            let path = segment_path(folder, segment);
            if segment != expected {
                let missing = segment_path(folder, expected).display().to_string();
                self.seen.damage(missing, None, "the segment is missing");
                self.cut(Cut { segment, offset: 0 });
                return Ok(());
            }
            expected = segment + 1;
            let end = scan_file(disk, &path, self.genesis, 0, &mut |offset, payload| {
                let at = position(segment, offset, payload);
                let number = self.frame(&path, at, payload);
                show(before + offset, total, number.unwrap_or(0));
                Ok(())
            })?;
            before += bytes;
            match end {
                ScanEnd::Whole(end) => self.seen.bytes += end,
                ScanEnd::Broken { offset, reason, left } => {
                    self.seen.bytes += offset;
                    let is_torn = Some(segment) == last && self.is_behind_flushed(segment, offset);
                    let place = format!("{} at offset {offset}", path.display());
                    let reason = format!("{reason}; {left} bytes from there on are not read");
                    self.seen.find(Finding { place, block: None, reason, is_damage: !is_torn });
                    if !is_torn {
                        self.cut(Cut { segment, offset });
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// What the tables rely on was synced; only what came later may be torn.
    fn is_behind_flushed(&self, segment: u32, offset: u64) -> bool {
        let flushed = self.tables.map(|(_, flushed)| (flushed.log_segment, flushed.log_offset));
        flushed.is_none_or(|flushed| (segment, offset) >= flushed)
    }

    fn cut(&mut self, cut: Cut) {
        self.seen.cut = Some(self.seen.cut.map_or(cut, |earlier| earlier.min(cut)));
    }

    /// Checks one frame; the number of its block if it has one.
    fn frame(&mut self, path: &Path, at: Position, payload: &[u8]) -> Option<u64> {
        self.seen.frames += 1;
        let place = || format!("{} at offset {}", path.display(), at.offset);
        let (number, result) = match read_record(at, payload) {
            Ok(LogRecord::Block(block, total_difficulty, at)) => {
                self.seen.blocks += 1;
                (Some(block.header().number), self.block(&block, total_difficulty, at))
            }
            Ok(LogRecord::Receipts(hash, _)) => {
                let number = self.numbers.get(&hash).copied();
                (number, number.map_or(Ok(()), |number| self.receipts(number, hash, payload)))
            }
            Ok(_) => (None, Ok(())),
            Err(error) => (None, Err(error.to_string())),
        };
        if let Err(reason) = result {
            self.seen.damage(place(), number, reason);
            self.cut(Cut { segment: at.segment, offset: at.offset });
        }
        number
    }

    fn block(
        &mut self,
        block: &RecoveredBlock,
        total_difficulty: U256,
        at: Position,
    ) -> Result<(), String> {
        let header = block.header();
        let (number, hash) = (header.number, block.hash());
        let parent = number.checked_sub(1).map(|below| (below, header.parent_hash));
        let parent = parent.and_then(|key| self.passed.get(&key));
        let known = parent.map(|parent| (parent.total_difficulty, parent.timestamp));
        let snapshot = parent.and_then(|parent| parent.snapshot.clone());
        let after = self.check_header(block, snapshot.as_deref());
        let passed = Passed {
            total_difficulty,
            timestamp: header.timestamp,
            receipts_root: header.receipts_root,
            types: block.body().transactions.iter().map(|tx| tx.ty()).collect(),
            snapshot: after.as_ref().ok().cloned().flatten(),
        };
        self.passed.insert((number, hash), passed);
        self.numbers.insert(hash, number);
        self.forget_old();
        let Some((parent_difficulty, parent_time)) = known else {
            let is_stored = self.tables.is_some_and(|(kv, _)| {
                kv.get(Table::Hashes, header.parent_hash.as_slice()).is_ok_and(|row| row.is_some())
            });
            return if is_stored {
                self.row(number, hash, at)
            } else {
                Err(format!("the parent {} of block {hash} is not stored", header.parent_hash))
            };
        };
        if header.timestamp < parent_time {
            return Err("the block is older than its parent".to_owned());
        }
        let want = parent_difficulty.saturating_add(header.difficulty);
        if total_difficulty != want {
            return Err(format!("total difficulty {total_difficulty}, {want} by its parent"));
        }
        after?;
        self.row(number, hash, at)
    }

    /// What the block says about itself: body, senders, seal. The signers after it, if those before are known.
    fn check_header(
        &self,
        block: &RecoveredBlock,
        before: Option<&Snapshot>,
    ) -> Result<Option<Arc<Snapshot>>, String> {
        let text = |error: ChainError| error.to_string();
        validate_body(self.spec, block.header(), block.body())
            .map_err(|error| error.to_string())?;
        let (senders, transactions) = (block.senders().len(), block.body().transactions.len());
        if senders != transactions {
            return Err(format!("{senders} senders for {transactions} transactions"));
        }
        let header = block.clone_sealed_header();
        let signer = recover_signer(&header).map_err(|error| text(error.into()))?;
        let after = before.map(|before| before.apply(&header, signer)).transpose();
        Ok(after.map_err(|error| text(error.into()))?.map(Arc::new))
    }

    fn receipts(&self, number: u64, hash: B256, payload: &[u8]) -> Result<(), String> {
        let Some(passed) = self.passed.get(&(number, hash)) else { return Ok(()) };
        let frame: ReceiptsFrame = decode("receipts frame", payload.get(1..).unwrap_or_default())
            .map_err(|error| error.to_string())?;
        let receipts = frame.with_types(passed.types.iter().copied());
        let got = receipts_root(&receipts);
        if receipts.len() == passed.types.len() && got == passed.receipts_root {
            return Ok(());
        }
        Err(format!("receipts root {got}, the block's header says {}", passed.receipts_root))
    }

    /// The tables point where the block lies.
    fn row(&self, number: u64, hash: B256, at: Position) -> Result<(), String> {
        let Some((kv, flushed)) = self.tables else { return Ok(()) };
        let row = kv.get(Table::Blocks, &block_key(number, hash));
        let row = row.map_err(|error| error.to_string())?;
        let place = format!("table blocks at {number}");
        match row.map(|row| BlockRow::decode(&row)).transpose() {
            Ok(Some(row)) if row.block == at => Ok(()),
            // an import that came twice, or a rewind: the tables know the newer frame
            Ok(Some(row)) if row.block > at => Ok(()),
            Ok(Some(row)) => Err(format!("{place} points to offset {} instead", row.block.offset)),
            Ok(None) if (at.segment, at.offset) < (flushed.log_segment, flushed.log_offset) => {
                let hashes = kv.get(Table::Canon, &number.to_be_bytes());
                let is_canonical =
                    hashes.is_ok_and(|found| found.as_deref() == Some(hash.as_slice()));
                if is_canonical { Err(format!("{place} lacks block {hash}")) } else { Ok(()) }
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn forget_old(&mut self) {
        let newest = self.passed.last_key_value().map_or(0, |((number, _), _)| *number);
        while let Some(entry) = self.passed.first_entry() {
            let (number, hash) = *entry.key();
            if number.saturating_add(WINDOW_BLOCKS) >= newest {
                break;
            }
            entry.remove();
            self.numbers.remove(&hash);
        }
    }
}

/// Numbers lead to hashes, hashes to rows, without a gap up to the flushed block.
fn check_canon(
    kv: &dyn KvRead,
    flushed: &Flushed,
    genesis: B256,
    seen: &mut Verified,
) -> Result<(), ChainError> {
    let mut next = 0u64;
    let mut wrong = Vec::new();
    kv.range(Table::Canon, &[], None, &mut |key, hash| {
        let number = key.try_into().map_or(u64::MAX, u64::from_be_bytes);
        let hash = B256::try_from(hash).unwrap_or_default();
        let has_row = number == 0 && hash == genesis
            || kv.get(Table::Blocks, &block_key(number, hash))?.is_some();
        let has_number =
            kv.get(Table::Hashes, hash.as_slice())?.as_deref() == Some(&number.to_be_bytes()[..]);
        if number != next {
            wrong.push((next, "a canonical number is missing"));
        } else if !has_row || !has_number {
            wrong.push((number, "the canonical block has no row in blocks or hashes"));
        }
        next = number.saturating_add(1);
        Ok(wrong.len() < MAX_FINDINGS)
    })?;
    if wrong.is_empty() && next != flushed.number + 1 {
        wrong.push((next, "the numbers do not end at the flushed block"));
    }
    for (number, reason) in wrong {
        seen.damage(format!("table canon at {number}"), Some(number), reason);
    }
    Ok(())
}

/// A file of which only the frames are checked: everything in it can be made again, or is checked where it is used.
fn frames_only(
    disk: &dyn Disk,
    path: &Path,
    genesis: B256,
    seen: &mut Verified,
) -> Result<(), ChainError> {
    let mut frames = 0;
    let end = scan_file(disk, path, genesis, 0, &mut |_, payload| {
        frames += 1;
        let known = [kind::DIFF, kind::SEAL];
        match payload.first() {
            Some(first) if known.contains(first) => {}
            other => tracing::debug!(kind = ?other, "a frame of another kind"),
        }
        Ok(())
    })?;
    seen.frames += frames;
    match end {
        ScanEnd::Whole(bytes) => seen.bytes += bytes,
        ScanEnd::Broken { offset, reason, left } => {
            seen.bytes += offset;
            let place = format!("{} at offset {offset}", path.display());
            let reason = format!("{reason}; {left} bytes from there on are not read");
            // the end of an append that a power cut left unfinished looks the same
            seen.find(Finding { place, block: None, reason, is_damage: left > 64 * 1024 });
        }
    }
    Ok(())
}

/// Every account with its storage and code, then the root over all of them.
fn check_state(
    kv: &Arc<dyn KvRead>,
    flushed: &Flushed,
    seen: &mut Verified,
) -> Result<(), ChainError> {
    let flat = Flat::new(kv.clone());
    let mut accounts = Vec::new();
    let mut count = 0;
    flat.accounts(|address, account| {
        count += 1;
        let (root, code) = (account.storage_root, account.code_hash);
        if root != EMPTY_ROOT_HASH || code != KECCAK256_EMPTY {
            accounts.push((address, root, code));
        }
    })?;
    seen.accounts = count;
    let block = Some(flushed.number);
    for &(address, storage_root, code_hash) in &accounts {
        let slots = flat.slots_of(address)?;
        let slots = slots.into_iter().map(|(slot, value)| (B256::from(slot), value));
        let got = proofs::storage_root_unhashed(slots);
        if got != storage_root {
            let reason = format!("the storage root is {got}, the account says {storage_root}");
            seen.damage(format!("table slots at {address:x}"), block, reason);
        }
        let code = if code_hash == KECCAK256_EMPTY { None } else { Some(flat.code(code_hash)?) };
        match code {
            Some(Some(code)) if keccak256(&code) == code_hash => {}
            Some(_) => {
                let place = format!("table code at {code_hash:x}");
                let reason = format!("the code of {address} is missing or another");
                seen.damage(place, block, reason);
            }
            None => {}
        }
    }
    let with_storage: BTreeMap<Address, B256> =
        accounts.into_iter().map(|(address, root, _)| (address, root)).collect();
    let mut last = None;
    kv.range(Table::Slots, &[], None, &mut |key, _| {
        let owner = key.get(..20).map(Address::from_slice);
        if owner != last {
            last = owner;
            let has = owner.and_then(|owner| with_storage.get(&owner));
            if has.is_none_or(|root| *root == EMPTY_ROOT_HASH) {
                let place = format!("table slots at {}", hex::encode(key));
                seen.damage(place, block, "no account has this storage");
            }
        }
        Ok(true)
    })?;
    let state = StateDb::new(flat, flushed.number, Vec::new());
    if let Err(error) = StateTrie::rebuild(&state, flushed.state_root) {
        seen.damage("table accounts".to_owned(), block, error.to_string());
    }
    Ok(())
}
