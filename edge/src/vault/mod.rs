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
//! catalogue (which names the new log file), and only then removes the old log. Opening replays the log that the catalogue
//! names; nothing of it stands in a segment yet.
//!
//! **Blocks** hold rows of one patient in columns (`image.rs`), id tables (`patient.rs`) or original bytes (`original.rs`).
//!
//! **Damage** is told from a torn end (`stores/log.rs`), named with file and offset, and refuses the store or the record.
pub mod block;
mod change;
pub mod check;
mod codec;
mod column;
pub mod crypt;
mod dictionary;
mod erase;
mod flush;
mod handle;
mod image;
mod keys;
pub mod maintain;
mod moment;
mod original;
mod patient;
mod row;
pub mod savings;
mod segment;
mod skeleton;
mod summary;
mod write;

#[cfg(test)]
mod kill_test;
#[cfg(test)]
mod maintain_test;
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
    change::{Change, Joint},
    crypt::Secret,
    dictionary::{Dictionaries, Learner},
    keys::{PatientKey, joint_block_key},
    original::Piece,
    patient::{Ids, PatientState, Place},
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
    joints: Vec<Joint>,
    pending: Vec<Handle>,
    fresh_rows: usize,
    dictionaries: Dictionaries,
    learner: Learner,
    /// A write to the log failed: memory may hold what is not on disk, so nothing is told until the store is opened anew.
    failed: bool,
}

/// A patient in memory: what is in segments, and what is in the log only.
#[derive(Clone, Debug)]
struct Patient {
    key: PatientKey,
    state: PatientState,
    ids: Ids,
    fresh: BTreeMap<u32, StoredRecord>,
    /// Original bytes that are in the log only.
    pieces: Vec<Piece>,
    /// Not in the catalogue yet.
    new: bool,
    /// Something of it is in the log only.
    changed: bool,
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
            Some((patient, local_no)) => self.inner()?.record(patient, local_no),
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
        let inner = self.inner()?;
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
        Ok(self.inner()?.patient_numbers()?.iter().filter(|no| **no != SHARED).count())
    }

    /// The bytes of an item as they arrived, or `None` if it never did or one of its patients was erased.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub fn original(&self, item_id: &[u8; 16]) -> Result<Option<Vec<u8>>, EdgeError> {
        self.inner()?.original(item_id)
    }

    /// The bytes that a record arrived in, or `None` if there is no such record or one of their patients was erased.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub fn original_of(&self, handle: Handle) -> Result<Option<Vec<u8>>, EdgeError> {
        let Some((number, local_no)) = self.handles.open(handle) else { return Ok(None) };
        let inner = self.inner()?;
        let found = inner.with_patient(number, |patient| {
            let ids = inner.known_ids(patient)?;
            let item = ids.items.iter().find(|item| item.locals.contains(&local_no)).cloned();
            match item {
                None => Ok(None),
                Some(item) if item.joint => inner.joint_by_key(&item.key),
                Some(item) => inner.own_original(patient, &item.key),
            }
        })?;
        Ok(found.flatten())
    }

    /// How many rows were ever written; grows with every change.
    pub fn change_no(&self) -> u64 {
        self.held().change_no
    }

    /// Makes and reads handles.
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// What nonces and salts of a patient's leaves are derived from; `None` for an unknown or erased patient.
    pub(crate) fn leaf_secret(&self, patient: PatientNo) -> Result<Option<Secret>, EdgeError> {
        let inner = self.inner()?;
        Ok(match inner.patients.get(&patient) {
            Some(patient) => Some(patient.state.leaf_secret.clone()),
            None => inner.load(patient)?.map(|patient| patient.state.leaf_secret),
        })
    }

    /// Records in segments that wait to be anchored.
    pub(crate) fn pending(&self) -> Result<Vec<Handle>, EdgeError> {
        let mut handles = Vec::new();
        self.inner()?.catalogue.scan(Table::Pending, |key, _| {
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
        self.inner()?.catalogue.scan(table, |key, value| {
            let value = open_value(&self.keys, table, value)?;
            each(key, value_of(&value, table, key)?)
        })
    }

    /// Commits writes to the catalogue.
    pub(crate) fn commit(&self, batch: Batch) -> Result<(), EdgeError> {
        self.inner()?.catalogue.commit(batch)
    }

    fn held(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no thread panics while it changes the vault")
    }

    fn inner(&self) -> Result<MutexGuard<'_, Inner>, EdgeError> {
        let inner = self.held();
        if inner.failed {
            return Err(EdgeError::storage(
                "an earlier write failed, so nothing more is accepted or told",
                inner.dir.display().to_string(),
                "free or replace the disk, then start the edge again",
            ));
        }
        Ok(inner)
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
            joints: Vec::new(),
            pending: Vec::new(),
            fresh_rows: 0,
            dictionaries: Dictionaries::default(),
            learner: Learner::default(),
            failed: false,
        };
        inner.load_dictionaries()?;
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
        for part in &change.parts {
            self.touch(part.key.patient)?;
        }
        self.apply(change);
        Ok(())
    }

    fn load_dictionaries(&mut self) -> Result<(), EdgeError> {
        let (keys, dictionaries) = (&self.keys, &mut self.dictionaries);
        self.catalogue.scan(Table::Shared, |key, sealed| {
            let value = open_value(keys, Table::Shared, sealed)?;
            let content = value_of(&value, Table::Shared, key)?;
            let number = key.try_into().map_err(|_| damaged_catalogue(Table::Shared))?;
            dictionaries.add(u64::from_be_bytes(number), content);
            Ok(())
        })
    }

    /// Makes frames durable.
    fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), EdgeError> {
        let written = self.wal.append(payloads);
        self.failed = written.is_err();
        written
    }

    /// Brings a known patient into memory, so that rows can be added.
    fn touch(&mut self, patient: PatientNo) -> Result<(), EdgeError> {
        if !self.patients.contains_key(&patient)
            && let Some(mut loaded) = self.load(patient)?
        {
            loaded.ids = self.ids_of(&loaded)?;
            self.patients.insert(patient, loaded);
        }
        Ok(())
    }

    /// The id tables of a patient, read from their segments.
    fn ids_of(&self, patient: &Patient) -> Result<Ids, EdgeError> {
        let mut ids = Ids::default();
        for place in &patient.state.ids {
            let image = self.open_place(patient.key.dek(), *place)?;
            ids.read(&image).map_err(|error| self.damaged(error, *place))?;
        }
        Ok(ids)
    }

    /// Takes a change into memory; it is durable, or about to be. The patients in it were [`Inner::touch`]ed before.
    fn apply(&mut self, change: Change) {
        self.aliases.extend(change.aliases);
        self.joints.extend(change.joint);
        for part in change.parts {
            let number = part.key.patient;
            let patient = self.patients.entry(number).or_insert_with(|| Patient {
                key: part.key,
                state: PatientState::new(part.leaf_secret),
                ids: Ids::default(),
                fresh: BTreeMap::new(),
                pieces: Vec::new(),
                new: true,
                changed: true,
            });
            patient.changed = true;
            for (key, first) in part.named {
                patient.state.waiting.insert(first);
                patient.state.next_local = patient.state.next_local.max(first + 1);
                patient.ids.name(key, first);
            }
            for row in part.rows {
                self.change_no += 1;
                self.fresh_rows += 1;
                if !part.altered {
                    self.pending.push(row.meta.handle);
                    patient.state.note(row.meta.first_no, row.meta.local_no);
                }
                patient.fresh.insert(row.meta.local_no, row);
            }
            part.item.into_iter().for_each(|item| patient.ids.add_item(item));
            patient.pieces.extend(part.piece);
        }
    }

    /// A patient as the catalogue has them.
    fn load(&self, number: PatientNo) -> Result<Option<Patient>, EdgeError> {
        let Some(value) = self.catalogue.get(Table::Patients, &number.0.to_be_bytes())? else {
            return Ok(None);
        };
        let damaged = || damaged_catalogue(Table::Patients);
        let mut reader = Reader::new(&value);
        let key = PatientKey::read(&mut reader, &self.keys).map_err(|_| damaged())?;
        let sealed = reader.bytes().map_err(|_| damaged())?;
        let image = block::open(&self.keys.store_id, key.dek(), sealed).map_err(|_| damaged())?;
        let state = PatientState::from_image(&image, number).map_err(|_| damaged())?;
        Ok(Some(Patient {
            key,
            state,
            ids: Ids::default(),
            fresh: BTreeMap::new(),
            pieces: Vec::new(),
            new: false,
            changed: false,
        }))
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
                (None, Some(place)) => self.row(patient, place, local_no)?,
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
        let image = self.open_place(patient.key.dek(), place)?;
        image::from_image(&image, patient.key.patient, &self.handles, &self.dictionaries)
            .map_err(|error| self.damaged(error, place))
    }

    fn row(
        &self,
        patient: &Patient,
        place: Place,
        local_no: u32,
    ) -> Result<Option<StoredRecord>, EdgeError> {
        let image = self.open_place(patient.key.dek(), place)?;
        let number = patient.key.patient;
        image::row_from_image(&image, local_no, number, &self.handles, &self.dictionaries)
            .map_err(|error| self.damaged(error, place))
    }

    fn open_place(&self, secret: &Secret, place: Place) -> Result<Zeroizing<Vec<u8>>, EdgeError> {
        let sealed = self.segments.read(place)?;
        block::open(&self.keys.store_id, secret, &sealed)
            .map_err(|error| self.damaged(error, place))
    }

    fn damaged(&self, error: impl std::fmt::Display, place: Place) -> EdgeError {
        EdgeError::integrity(error.to_string(), self.segments.name(place))
    }

    /// Where the original bytes of an item with several patients lie.
    fn joint(&self, item_id: &[u8; 16]) -> Result<Option<(Joint, Vec<Place>)>, EdgeError> {
        if let Some(fresh) = self.joints.iter().find(|joint| joint.item_id == *item_id) {
            return Ok(Some((fresh.clone(), Vec::new())));
        }
        let Some(value) = self.catalogue.get(Table::Items, item_id)? else {
            return Ok(None);
        };
        let value = open_value(&self.keys, Table::Items, &value)?;
        flush::read_joint(*item_id, value_of(&value, Table::Items, item_id)?)
            .map(Some)
            .map_err(|_| damaged_catalogue(Table::Items))
    }

    fn original(&self, item_id: &[u8; 16]) -> Result<Option<Vec<u8>>, EdgeError> {
        if let Some((joint, places)) = self.joint(item_id)? {
            return self.joint_original(joint, &places);
        }
        for number in self.patient_numbers()? {
            let key = original::key_of(item_id);
            let found = self.with_patient(number, |patient| self.own_original(patient, &key))?;
            if let Some(bytes) = found.flatten() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn joint_original(
        &self,
        mut joint: Joint,
        places: &[Place],
    ) -> Result<Option<Vec<u8>>, EdgeError> {
        let mut owners = Vec::new();
        for owner in &joint.owners {
            match self.with_patient(*owner, |patient| Ok(patient.key.clone()))? {
                Some(key) => owners.push(key),
                None => return Ok(None),
            }
        }
        let key = joint_block_key(&owners.iter().collect::<Vec<_>>());
        for place in places {
            joint.sealed.push(self.segments.read(*place)?);
        }
        let of_item = format!("original of item {}", crate::model::ids::uuid_text(&joint.item_id));
        let damaged = |error: &dyn std::fmt::Display| {
            EdgeError::integrity(error.to_string(), of_item.clone())
        };
        let mut pieces = Vec::new();
        for sealed in &joint.sealed {
            let image = block::open(&self.keys.store_id, &key.secret, sealed)
                .map_err(|error| damaged(&error))?;
            let read = original::from_image(&image, &self.dictionaries);
            pieces.extend(read.map_err(|error| damaged(&error))?);
        }
        let bytes = original::join(&original::key_of(&joint.item_id), pieces.iter());
        bytes.map(Some).ok_or_else(|| damaged(&"a piece is missing"))
    }

    fn joint_by_key(&self, key: &patient::ItemKey) -> Result<Option<Vec<u8>>, EdgeError> {
        let of_item = |joint: &Joint| original::key_of(&joint.item_id) == *key;
        if let Some(joint) = self.joints.iter().find(|joint| of_item(joint)) {
            return self.joint_original(joint.clone(), &[]);
        }
        let mut found = None;
        self.each_joint(|joint, places| {
            if of_item(&joint) {
                found = self.joint_original(joint, &places)?;
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// What is known of a patient: in memory if something is fresh, else as the segments have it.
    fn known_ids(&self, patient: &Patient) -> Result<Ids, EdgeError> {
        if patient.changed { Ok(patient.ids.clone()) } else { self.ids_of(patient) }
    }

    /// The bytes of an item among those of one patient.
    fn own_original(
        &self,
        patient: &Patient,
        key: &patient::ItemKey,
    ) -> Result<Option<Vec<u8>>, EdgeError> {
        if let Some(bytes) = original::join(key, patient.pieces.iter()) {
            return Ok(Some(bytes));
        }
        let known = self.known_ids(patient)?;
        let own: Vec<_> = known.items.iter().filter(|item| !item.joint).collect();
        let Some(position) = own.iter().position(|item| item.key == *key) else {
            return Ok(None);
        };
        // Blocks hold the items in their order; the pieces of a large one follow in blocks where none begins.
        let mut begun = 0;
        let mut pieces = Vec::new();
        for (place, items) in &patient.state.originals {
            let before = begun;
            begun += *items as usize;
            if begun > position && (before <= position || *items == 0) {
                let image = self.open_place(patient.key.dek(), *place)?;
                let read = original::from_image(&image, &self.dictionaries);
                pieces.extend(read.map_err(|error| self.damaged(error, *place))?);
                if let Some(bytes) = original::join(key, pieces.iter()) {
                    return Ok(Some(bytes));
                }
            }
        }
        Err(EdgeError::integrity(
            "the original bytes of an item are missing",
            format!("patient {}", patient.key.patient),
        ))
    }
}

impl Patient {
    fn marked(&self, mut row: StoredRecord) -> StoredRecord {
        row.meta = self.marked_meta(row.meta);
        row
    }

    /// Says whether a row is the latest version of its resource.
    fn marked_meta(&self, mut meta: RecordMeta) -> RecordMeta {
        meta.current = self.state.latest(meta.first_no) == Some(meta.local_no);
        meta
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
