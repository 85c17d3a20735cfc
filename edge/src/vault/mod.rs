//! The store of records: blocks of one patient, sealed under that patient's key.
//!
//! ```text
//! <data>/LOCK                   taken while the store is open
//!        catalogue.redb         which block, item and batch lies where (`stores/redb.rs`)
//!        keys.log               every patient's wrapped key (`keys.rs`)
//!        wal/<16 hex>.wal       changes not yet in segments (`stores/log.rs`, magic MSNVWAL\0; `change.rs`)
//!        segments/<16 hex>.seg  sealed blocks (`segment.rs`, `block.rs`)
//! ```
//!
//! **Writing.** An item is acknowledged after its frame is fsynced in the log; its rows are readable at once, from memory.
//! A flush writes blocks and fsyncs the segment, appends new keys to `keys.log`, starts the next log file, commits the
//! catalogue (which names the new log file), and only then removes the old log. Opening replays the log; replay is
//! idempotent by item_id.
//!
//! **Damage** is told from a torn end (`stores/log.rs`), named with file and offset, and refuses the store or the record.
//!
//! **Later**: shapes and columns in place of JSON rows (image version 1), shared tables and dictionaries, original bytes as
//! a difference to the rows, compaction, key rotation, group commit. Nothing around the image changes for them.
pub mod block;
mod change;
mod codec;
pub mod crypt;
mod erase;
mod flush;
mod handle;
mod keys;
mod patient;
mod row;
mod segment;
mod summary;
mod write;

#[cfg(test)]
pub(crate) mod vault_test;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

use zeroize::Zeroizing;

use self::{
    change::{Change, ItemResult},
    crypt::Secret,
    keys::{PatientKey, original_block_key},
    patient::{PatientState, Place, Versions},
    segment::Segments,
};
pub(crate) use self::{
    codec::{Malformed, Reader, put_bytes, put_varint},
    keys::store_block_key,
};
pub use self::{
    erase::Erased,
    handle::Handles,
    row::{RecordMeta, StoredRecord},
    write::Accepted,
};
use crate::{
    error::EdgeError,
    keys::StoreKeys,
    model::{Handle, PatientNo},
    stores::{
        local,
        log::FrameLog,
        redb::{Batch, Catalogue, Table},
    },
};

/// The patient number of records that belong to nobody: Practitioner, Organization, Location.
pub const SHARED: PatientNo = PatientNo(0);
/// Rows whose compressed form may grow beyond this are refused when read.
const MAX_RAW_BYTES: usize = 64 << 20;
const WAL_MAGIC: &[u8; 8] = b"MSNVWAL\0";

/// An open store. All methods take `&self`; one lock inside orders them.
#[derive(Debug)]
pub struct Vault {
    inner: Mutex<Inner>,
    keys: StoreKeys,
    handles: Handles,
    _lock: File,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    keys: StoreKeys,
    handles: Handles,
    catalogue: Catalogue,
    segments: Segments,
    wal: FrameLog,
    wal_no: u64,
    /// Counts rows ever written, alterations and erasures included: says whether the index has seen everything.
    change_no: u64,
    /// Patients touched since the last flush.
    patients: HashMap<PatientNo, Patient>,
    aliases: HashMap<[u8; 16], PatientNo>,
    items: HashMap<[u8; 16], FreshItem>,
    pending: Vec<Handle>,
    fresh_rows: usize,
}

/// A patient with rows that are in the log only.
#[derive(Clone, Debug)]
struct Patient {
    key: PatientKey,
    state: PatientState,
    fresh: BTreeMap<u32, StoredRecord>,
    /// Not in the catalogue yet.
    new: bool,
}

#[derive(Debug)]
struct FreshItem {
    result: ItemResult,
    originals: Vec<Vec<u8>>,
}

impl Vault {
    /// Opens the store in `dir`, or makes an empty one, and replays its log.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if another process holds it, [`EdgeError::Integrity`] naming the file and offset of damage
    /// (nothing is changed then), [`EdgeError::Io`] for what the system refuses.
    pub fn open(dir: &Path, keys: &StoreKeys) -> Result<Self, EdgeError> {
        local::create_folder(dir)?;
        let lock = local::lock(&dir.join("LOCK"))?;
        let inner = Inner::open(dir, keys)?;
        let handles = inner.handles.clone();
        Ok(Self { inner: Mutex::new(inner), keys: keys.clone(), handles, _lock: lock })
    }

    /// A record, if this store has it.
    ///
    /// # Errors
    /// [`EdgeError::Integrity`] naming the segment and offset if its block is damaged.
    pub fn get(&self, handle: Handle) -> Result<Option<StoredRecord>, EdgeError> {
        match self.handles.open(handle) {
            Some((patient, local_no)) => self.inner().record(patient, local_no),
            None => Ok(None),
        }
    }

    /// Calls `each` with every record, patient by patient, until it fails. The store is locked meanwhile.
    ///
    /// # Errors
    /// As [`Vault::get`], or what `each` returned.
    pub fn for_each(
        &self,
        mut each: impl FnMut(StoredRecord) -> Result<(), EdgeError>,
    ) -> Result<(), EdgeError> {
        let inner = self.inner();
        for patient in inner.patient_numbers()? {
            inner.records_of(patient)?.into_iter().try_for_each(&mut each)?;
        }
        Ok(())
    }

    /// The metas of all records, superseded versions included.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub fn iter_metas(&self) -> Result<Vec<RecordMeta>, EdgeError> {
        let mut metas = Vec::new();
        self.for_each(|record| {
            metas.push(record.meta);
            Ok(())
        })?;
        Ok(metas)
    }

    /// How many patients have records; shared records are nobody's.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the catalogue cannot be read.
    pub fn patient_count(&self) -> Result<usize, EdgeError> {
        Ok(self.inner().patient_numbers()?.iter().filter(|no| **no != SHARED).count())
    }

    /// The bytes of an item as they arrived, or `None` if it never did or one of its patients was erased.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub fn original(&self, item_id: &[u8; 16]) -> Result<Option<Vec<u8>>, EdgeError> {
        self.inner().original(item_id)
    }

    /// How many rows were ever written; grows with every change.
    pub fn change_no(&self) -> u64 {
        self.inner().change_no
    }

    /// Makes and reads handles.
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// What nonces and salts of a patient's leaves are derived from; `None` for an unknown or erased patient.
    pub(crate) fn leaf_secret(&self, patient: PatientNo) -> Result<Option<Secret>, EdgeError> {
        let inner = self.inner();
        Ok(match inner.patients.get(&patient) {
            Some(patient) => Some(patient.state.leaf_secret.clone()),
            None => inner.load(patient)?.map(|patient| patient.state.leaf_secret),
        })
    }

    /// Records in segments that wait to be anchored.
    pub(crate) fn pending(&self) -> Result<Vec<Handle>, EdgeError> {
        let mut handles = Vec::new();
        self.inner().catalogue.scan(Table::Pending, |key, _| {
            handles.push(Handle(key.try_into().map_err(|_| damaged_catalogue(Table::Pending))?));
            Ok(())
        })?;
        Ok(handles)
    }

    /// Puts a value under the store key: the table's and key's names are sealed with it, so rows cannot be exchanged.
    pub(crate) fn put_sealed(&self, batch: &mut Batch, table: Table, key: &[u8], value: &[u8]) {
        batch.put(table, key, seal_value(&self.keys, table, key, value));
    }

    /// Reads all values that [`Vault::put_sealed`] put into a table.
    pub(crate) fn scan_sealed(
        &self,
        table: Table,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), EdgeError>,
    ) -> Result<(), EdgeError> {
        self.inner().catalogue.scan(table, |key, value| {
            let value = open_value(&self.keys, table, value)?;
            each(key, value_of(&value, table, key)?)
        })
    }

    /// Commits writes to the catalogue.
    pub(crate) fn commit(&self, batch: Batch) -> Result<(), EdgeError> {
        self.inner().catalogue.commit(batch)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no thread panics while it changes the vault")
    }
}

impl Inner {
    fn open(dir: &Path, keys: &StoreKeys) -> Result<Self, EdgeError> {
        let (wal_dir, segment_dir) = (dir.join("wal"), dir.join("segments"));
        local::create_folder(&wal_dir)?;
        local::create_folder(&segment_dir)?;
        let catalogue_path = dir.join("catalogue.redb");
        let in_use = |folder: &Path| folder.read_dir().is_ok_and(|mut dir| dir.next().is_some());
        if !catalogue_path.exists() && (in_use(&wal_dir) || in_use(&segment_dir)) {
            return Err(EdgeError::integrity(
                "the catalogue is missing while segments or logs are there; restore it from a backup",
                catalogue_path.display().to_string(),
            ));
        }
        let catalogue = Catalogue::open(&catalogue_path)?;
        let growing = last_segment(&catalogue)?;
        let change_no = counter(&catalogue, "change_no")?.unwrap_or(0);
        let (wal, wal_no, payloads) = flush::open_wal(&wal_dir, &catalogue, &keys.store_id)?;
        let mut inner = Self {
            dir: dir.to_owned(),
            keys: keys.clone(),
            handles: Handles::new(keys.handle.clone()),
            catalogue,
            segments: Segments::open(&segment_dir, keys.store_id, growing)?,
            wal,
            wal_no,
            change_no,
            patients: HashMap::new(),
            aliases: HashMap::new(),
            items: HashMap::new(),
            pending: Vec::new(),
            fresh_rows: 0,
        };
        for (number, payload) in payloads.iter().enumerate() {
            inner.replay(number, payload)?;
        }
        Ok(inner)
    }

    fn replay(&mut self, number: usize, payload: &[u8]) -> Result<(), EdgeError> {
        let change = Change::from_payload(payload, &self.keys, &self.handles).map_err(|error| {
            let wal = flush::wal_path(&self.dir.join("wal"), self.wal_no);
            EdgeError::integrity(error.to_string(), format!("{}, frame {number}", wal.display()))
        })?;
        let known = match &change.item {
            Some(item) => self.item(&item.item_id)?.is_some(),
            None => false,
        };
        if !known {
            for part in &change.parts {
                self.touch(part.key.patient)?;
            }
            self.apply(change);
        }
        Ok(())
    }

    /// Brings a known patient into memory, so that rows can be added.
    fn touch(&mut self, patient: PatientNo) -> Result<(), EdgeError> {
        if !self.patients.contains_key(&patient)
            && let Some(loaded) = self.load(patient)?
        {
            self.patients.insert(patient, loaded);
        }
        Ok(())
    }

    /// Takes a change that is durable into memory. The patients in it were [`Inner::touch`]ed before.
    fn apply(&mut self, change: Change) {
        self.aliases.extend(change.aliases);
        for part in change.parts {
            let number = part.key.patient;
            let patient = self.patients.entry(number).or_insert_with(|| Patient {
                key: part.key,
                state: PatientState::new(part.leaf_secret),
                fresh: BTreeMap::new(),
                new: true,
            });
            for (stable_id, local_no) in part.reserved {
                patient.note(stable_id, Versions { first: local_no, latest: 0, digest: [0; 16] });
            }
            for row in part.rows {
                self.change_no += 1;
                self.fresh_rows += 1;
                if !part.altered {
                    self.pending.push(row.meta.handle);
                }
                patient.add(row);
            }
        }
        if let Some(result) = change.item {
            let fresh = FreshItem { originals: change.originals, result };
            self.items.insert(fresh.result.item_id, fresh);
        }
    }

    /// A patient as the catalogue has them.
    fn load(&self, number: PatientNo) -> Result<Option<Patient>, EdgeError> {
        let Some(value) = self.catalogue.get(Table::Patients, &number.0.to_be_bytes())? else {
            return Ok(None);
        };
        let damaged = || damaged_catalogue(Table::Patients);
        let mut reader = Reader::new(&value);
        let key = PatientKey::read(&mut reader, &self.keys.kek).map_err(|_| damaged())?;
        let sealed = reader.bytes().map_err(|_| damaged())?;
        let image = block::open(&self.keys.store_id, key.dek(), sealed).map_err(|_| damaged())?;
        let state = PatientState::from_image(&image, number).map_err(|_| damaged())?;
        Ok(Some(Patient { key, state, fresh: BTreeMap::new(), new: false }))
    }

    /// Runs `with` on a patient in memory or from the catalogue.
    fn with_patient<T>(
        &self,
        number: PatientNo,
        with: impl FnOnce(&Patient) -> Result<T, EdgeError>,
    ) -> Result<Option<T>, EdgeError> {
        match self.patients.get(&number) {
            Some(patient) => with(patient).map(Some),
            None => self.load(number)?.map(|patient| with(&patient)).transpose(),
        }
    }

    fn patient_numbers(&self) -> Result<Vec<PatientNo>, EdgeError> {
        let mut numbers = Vec::new();
        self.catalogue.scan(Table::Patients, |key, _| {
            let key = key.try_into().map_err(|_| damaged_catalogue(Table::Patients))?;
            numbers.push(PatientNo(u64::from_be_bytes(key)));
            Ok(())
        })?;
        numbers.extend(self.patients.keys());
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    fn record(&self, number: PatientNo, local_no: u32) -> Result<Option<StoredRecord>, EdgeError> {
        let found = self.with_patient(number, |patient| {
            let record = match (patient.fresh.get(&local_no), patient.state.place(local_no)) {
                (Some(fresh), _) => Some(fresh.clone()),
                (None, Some(place)) => {
                    self.rows(patient, place)?.into_iter().find(|row| row.meta.local_no == local_no)
                }
                (None, None) => None,
            };
            Ok(record.map(|row| patient.marked(row)))
        })?;
        Ok(found.flatten())
    }

    /// A patient's records in the order of their numbers, each as it is now.
    fn records_of(&self, number: PatientNo) -> Result<Vec<StoredRecord>, EdgeError> {
        let records = self.with_patient(number, |patient| {
            let mut rows = BTreeMap::new();
            for block in &patient.state.blocks {
                for row in self.rows(patient, block.place)? {
                    rows.insert(row.meta.local_no, row);
                }
            }
            rows.extend(patient.fresh.clone());
            Ok(rows.into_values().map(|row| patient.marked(row)).collect())
        })?;
        Ok(records.unwrap_or_default())
    }

    fn rows(&self, patient: &Patient, place: Place) -> Result<Vec<StoredRecord>, EdgeError> {
        let sealed = self.segments.read(place)?;
        let image = self.open_block(patient.key.dek(), &sealed, place)?;
        row::from_image(&image, patient.key.patient, &self.handles)
            .map_err(|error| EdgeError::integrity(error.to_string(), self.segments.name(place)))
    }

    fn open_block(
        &self,
        secret: &Secret,
        sealed: &[u8],
        place: Place,
    ) -> Result<Zeroizing<Vec<u8>>, EdgeError> {
        block::open(&self.keys.store_id, secret, sealed)
            .map_err(|error| EdgeError::integrity(error.to_string(), self.segments.name(place)))
    }

    /// What an item became, if it is known.
    fn item(&self, item_id: &[u8; 16]) -> Result<Option<ItemResult>, EdgeError> {
        if let Some(fresh) = self.items.get(item_id) {
            return Ok(Some(fresh.result.clone()));
        }
        Ok(self.flushed_item(item_id)?.map(|(result, _)| result))
    }

    fn flushed_item(
        &self,
        item_id: &[u8; 16],
    ) -> Result<Option<(ItemResult, Vec<Place>)>, EdgeError> {
        let Some(value) = self.catalogue.get(Table::Items, item_id)? else {
            return Ok(None);
        };
        let value = open_value(&self.keys, Table::Items, &value)?;
        flush::read_item(value_of(&value, Table::Items, item_id)?)
            .map(Some)
            .map_err(|_| damaged_catalogue(Table::Items))
    }

    fn original(&self, item_id: &[u8; 16]) -> Result<Option<Vec<u8>>, EdgeError> {
        let (result, sealed) = match (self.items.get(item_id), self.flushed_item(item_id)?) {
            (Some(fresh), _) => (fresh.result.clone(), fresh.originals.clone()),
            (None, Some((result, places))) => {
                let read = places.iter().map(|place| self.segments.read(*place));
                (result, read.collect::<Result<_, _>>()?)
            }
            (None, None) => return Ok(None),
        };
        let mut owners = Vec::new();
        for owner in &result.owners {
            match self.with_patient(*owner, |patient| Ok(patient.key.clone()))? {
                Some(key) => owners.push(key),
                None => return Ok(None),
            }
        }
        let key = original_block_key(&owners.iter().collect::<Vec<_>>());
        let place = || format!("original of item {}", crate::model::ids::uuid_text(item_id));
        write::read_original(&self.keys.store_id, &key, &sealed, item_id)
            .map(Some)
            .map_err(|error| EdgeError::integrity(error.to_string(), place()))
    }
}

impl Patient {
    /// Takes a row into memory and notes its version.
    fn add(&mut self, row: StoredRecord) {
        let local_no = row.meta.local_no;
        let known = self.state.ids.get(&row.meta.stable_id).copied();
        if known.is_none_or(|versions| local_no >= versions.latest) {
            let first = known.map_or(local_no, |versions| versions.first);
            let digest = write::digest(&row.bytes);
            self.note(row.meta.stable_id, Versions { first, latest: local_no, digest });
        }
        self.fresh.insert(local_no, row);
    }

    fn note(&mut self, stable_id: [u8; 16], versions: Versions) {
        let last = versions.first.max(versions.latest);
        self.state.next_local = self.state.next_local.max(last + 1);
        self.state.ids.insert(stable_id, versions);
    }

    fn marked(&self, mut row: StoredRecord) -> StoredRecord {
        row.meta.current = self.state.is_current(&row.meta.stable_id, row.meta.local_no);
        row
    }
}

fn last_segment(catalogue: &Catalogue) -> Result<Option<(u64, u64)>, EdgeError> {
    let mut last = None;
    catalogue.scan(Table::Segments, |key, value| {
        let damaged = |_| damaged_catalogue(Table::Segments);
        let number = u64::from_be_bytes(key.try_into().map_err(damaged)?);
        last = Some((number, u64::from_le_bytes(value.try_into().map_err(damaged)?)));
        Ok(())
    })?;
    Ok(last)
}

fn counter(catalogue: &Catalogue, name: &str) -> Result<Option<u64>, EdgeError> {
    let Some(value) = catalogue.get(Table::Meta, name.as_bytes())? else {
        return Ok(None);
    };
    let bytes = value.try_into().map_err(|_| damaged_catalogue(Table::Meta))?;
    Ok(Some(u64::from_le_bytes(bytes)))
}

fn damaged_catalogue(table: Table) -> EdgeError {
    EdgeError::integrity(
        "a value is not as this program seals it under this store's keys",
        format!("catalogue.redb, table {}", table.name()),
    )
}

fn seal_value(keys: &StoreKeys, table: Table, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut image = Zeroizing::new(Vec::new());
    put_bytes(&mut image, table.name().as_bytes());
    put_bytes(&mut image, key);
    image.extend_from_slice(value);
    block::seal(&keys.store_id, &store_block_key(keys), 0, &image)
}

fn open_value(
    keys: &StoreKeys,
    table: Table,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EdgeError> {
    block::open(&keys.store_id, &keys.store, sealed).map_err(|_| damaged_catalogue(table))
}

/// The value inside an opened image, after its table and key are checked.
fn value_of<'a>(image: &'a [u8], table: Table, key: &[u8]) -> Result<&'a [u8], EdgeError> {
    let read = || {
        let mut reader = Reader::new(image);
        let names = reader.bytes()? == table.name().as_bytes() && reader.bytes()? == key;
        if names { Ok(reader.rest()) } else { Err(Malformed) }
    };
    read().map_err(|_| damaged_catalogue(table))
}
