//! From the log into segments: what is fresh becomes blocks, then the catalogue names them, then the log starts anew.
use std::path::{Path, PathBuf};

use super::{
    Inner, Patient, Vault, WAL_MAGIC, block,
    change::Joint,
    codec::{Malformed, Reader, put_bytes, put_varint},
    counter,
    dictionary::WRITE_LEVEL,
    image, keys, original,
    patient::{BlockRef, PatientState, Place},
    row::StoredRecord,
    seal_value,
};
use crate::{
    error::EdgeError,
    model::{Handle, PatientNo},
    stores::{
        local,
        log::FrameLog,
        redb::{Batch, Catalogue, Table},
    },
};

/// Rows of one block when written.
pub(super) const BLOCK_ROWS: usize = 128;
/// From so many fresh rows on, a type has blocks of its own; below, types share the patient's mixed block.
const OWN_BLOCK_ROWS: usize = 32;
/// Row bytes of one block: far below the largest image even if nothing compresses.
pub(super) const BLOCK_BYTES: usize = 8 << 20;
/// Fresh rows that may wait in memory, and bytes in the log, before a flush: a restart replays no more than this.
const FLUSH_ROWS: usize = 8192;
const FLUSH_LOG_BYTES: u64 = 64 << 20;
/// So many id tables of a patient become one.
const MERGE_IDS: usize = 8;
/// Patients to learn the first dictionary from; each later one needs eight times as many.
const LEARN_PATIENTS: usize = 40;
/// Dictionaries of one store.
const MAX_DICTIONARIES: usize = 2;

impl Vault {
    /// Moves what is fresh from the log into segments.
    ///
    /// # Errors
    /// [`EdgeError::Io`] or [`EdgeError::Storage`]; everything acknowledged is still in the log then.
    pub fn flush(&self) -> Result<(), EdgeError> {
        self.inner()?.flush()
    }

    /// Flushes if enough has gathered.
    ///
    /// # Errors
    /// As [`Vault::flush`].
    pub fn flush_if_due(&self) -> Result<(), EdgeError> {
        let mut inner = self.inner()?;
        if inner.fresh_rows >= FLUSH_ROWS || inner.wal.len_bytes() >= FLUSH_LOG_BYTES {
            inner.flush()?;
        }
        Ok(())
    }
}

/// What a flush or a rewrite makes of one patient: the state without places, and how many blocks of each sort follow.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) blocks: Vec<Vec<u8>>,
    rows: Vec<Vec<u32>>,
    ids: bool,
    originals: Vec<u32>,
}

impl Sealed {
    /// Gives the blocks their places, in the order in which they were sealed.
    pub(super) fn place(self, places: &mut impl Iterator<Item = Place>, state: &mut PatientState) {
        let mut next = || places.next().expect("a place for each block");
        for locals in self.rows {
            state.blocks.push(BlockRef { place: next(), locals });
        }
        if self.ids {
            state.ids.push(next());
        }
        for items in self.originals {
            state.originals.push((next(), items));
        }
    }
}

impl Inner {
    pub(super) fn flush(&mut self) -> Result<(), EdgeError> {
        if self.wal.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        self.learn(&mut batch);
        let (mut new_keys, mut blocks, mut written) = (Vec::new(), Vec::new(), Vec::new());
        for (number, patient) in &self.patients {
            let mut state = PatientState { rested: false, ..patient.state.clone() };
            let sealed = self.seal_fresh(patient, &mut state);
            if patient.new {
                new_keys.push(&patient.key);
            }
            if patient.new || patient.changed {
                written.push((*number, state, sealed));
            }
        }
        for (_, _, sealed) in &mut written {
            blocks.append(&mut sealed.blocks);
        }
        blocks.extend(self.joints.iter().flat_map(|joint| joint.sealed.iter().cloned()));
        let mut places = self.segments.append(&blocks)?.into_iter();
        keys::append_log(&self.dir.join("keys.log"), &new_keys)?;

        for (number, mut state, sealed) in written {
            sealed.place(&mut places, &mut state);
            put_patient(&mut batch, self, number, &self.patients[&number].key, &state);
        }
        for joint in &self.joints {
            let places: Vec<Place> = places.by_ref().take(joint.sealed.len()).collect();
            self.put_joint(&mut batch, &joint.item_id, &joint.owners, &places);
        }
        for (alias, patient) in &self.aliases {
            batch.put(Table::Alias, *alias, patient.0.to_be_bytes());
        }
        for Handle(handle) in &self.pending {
            batch.put(Table::Pending, *handle, []);
        }
        self.put_counters(&mut batch);
        self.start_wal(batch)
    }

    /// Says how far the growing segment reaches, and how much was ever written.
    pub(super) fn put_counters(&self, batch: &mut Batch) {
        let (segment, length) = self.segments.growing();
        batch.put(Table::Segments, segment.to_be_bytes(), length.to_le_bytes());
        batch.put(Table::Meta, *b"change_no", self.change_no.to_le_bytes());
    }

    /// Seals what is fresh about a patient. An id table that joins the earlier ones takes them out of the state.
    fn seal_fresh(&self, patient: &Patient, state: &mut PatientState) -> Sealed {
        let rows = groups(&patient.fresh.values().collect::<Vec<_>>(), BLOCK_ROWS);
        let ids = patient.ids.fresh_image().map(|fresh| {
            if state.ids.len() + 1 < MERGE_IDS {
                return fresh;
            }
            state.ids.clear();
            patient.ids.whole_image()
        });
        self.seal_all(&patient.key, &rows, ids, &patient.pieces, WRITE_LEVEL)
    }

    /// Seals rows, an id table and original bytes of one patient.
    pub(super) fn seal_all(
        &self,
        key: &keys::PatientKey,
        rows: &[Vec<&StoredRecord>],
        ids: Option<Vec<u8>>,
        pieces: &[original::Piece],
        level: i32,
    ) -> Sealed {
        let newest = self.dictionaries.newest();
        let block_key = key.block_key();
        let seal = |image: Vec<u8>| block::seal(&self.keys.store_id, &block_key, 0, &image);
        let mut blocks: Vec<Vec<u8>> = rows
            .iter()
            .map(|group| seal(image::to_image(group, &self.handles, newest, level)))
            .collect();
        let has_ids = ids.is_some();
        blocks.extend(ids.map(seal));
        let pieces = original::groups(pieces);
        blocks.extend(pieces.iter().map(|group| seal(original::to_image(group, newest, level))));
        let begun = |group: &Vec<&original::Piece>| {
            u32::try_from(group.iter().filter(|piece| piece.number == 0).count())
                .expect("few items in a block")
        };
        Sealed {
            blocks,
            rows: rows
                .iter()
                .map(|group| group.iter().map(|row| row.meta.local_no).collect())
                .collect(),
            ids: has_ids,
            originals: pieces.iter().map(begun).collect(),
        }
    }

    /// Looks at what the fresh rows have in common; once enough patients were seen, a dictionary comes of it.
    fn learn(&mut self, batch: &mut Batch) {
        let known = self.dictionaries.len();
        if known >= MAX_DICTIONARIES {
            return;
        }
        for (number, patient) in &self.patients {
            let rows: Vec<&StoredRecord> = patient.fresh.values().collect();
            if !rows.is_empty() {
                let columns = image::columns(&rows, &self.handles);
                self.learner.see(*number, columns.entries());
            }
        }
        if self.learner.patients() < LEARN_PATIENTS << (3 * known) {
            return;
        }
        if let Some(content) = std::mem::take(&mut self.learner).content() {
            let number = known as u64 + 1;
            let key = number.to_be_bytes();
            batch.put(Table::Shared, key, seal_value(&self.keys, Table::Shared, &key, &content));
            self.dictionaries.add(number, &content);
        }
    }

    /// Writes where the original bytes of an item with several patients lie.
    pub(super) fn put_joint(
        &self,
        batch: &mut Batch,
        item_id: &[u8; 16],
        owners: &[PatientNo],
        places: &[Place],
    ) {
        let mut value = Vec::new();
        put_varint(&mut value, owners.len() as u64);
        owners.iter().for_each(|owner| value.extend_from_slice(&owner.0.to_be_bytes()));
        put_varint(&mut value, places.len() as u64);
        places.iter().for_each(|place| place.put(&mut value));
        batch.put(Table::Items, *item_id, seal_value(&self.keys, Table::Items, item_id, &value));
    }

    /// Commits a batch that covers the whole log, together with the number of a new, empty log.
    pub(super) fn start_wal(&mut self, mut batch: Batch) -> Result<(), EdgeError> {
        let wal_dir = self.dir.join("wal");
        let (old, next) = (self.wal_no, self.wal_no + 1);
        let path = wal_path(&wal_dir, next);
        local::remove(&path)?; // left by a flush that failed here
        let wal = FrameLog::create(&path, WAL_MAGIC, next, &self.keys.store_id)?;
        batch.put(Table::Meta, *b"wal", next.to_le_bytes());
        self.catalogue.commit(batch)?;
        self.wal = wal;
        self.wal_no = next;
        self.patients.clear();
        self.aliases.clear();
        self.joints.clear();
        self.pending.clear();
        self.fresh_rows = 0;
        local::remove(&wal_path(&wal_dir, old))
    }
}

/// Writes a patient's row in the catalogue.
pub(super) fn put_patient(
    batch: &mut Batch,
    inner: &Inner,
    number: PatientNo,
    key: &keys::PatientKey,
    state: &PatientState,
) {
    let image = state.to_image(number);
    let mut value = key.to_entry();
    put_bytes(&mut value, &block::seal(&inner.keys.store_id, &key.block_key(), 0, &image));
    batch.put(Table::Patients, number.0.to_be_bytes(), value);
}

/// Splits rows into blocks of at most `most` rows: types with many rows by themselves, the others together.
pub(super) fn groups<'a>(rows: &[&'a StoredRecord], most: usize) -> Vec<Vec<&'a StoredRecord>> {
    let mut by_type: std::collections::BTreeMap<&str, Vec<&StoredRecord>> = Default::default();
    for row in rows {
        by_type.entry(row.meta.resource_type.as_str()).or_default().push(row);
    }
    let few = |rows: &Vec<&StoredRecord>| rows.len() < OWN_BLOCK_ROWS;
    let mixed: Vec<&StoredRecord> =
        by_type.values().filter(|rows| few(rows)).flatten().copied().collect();
    let own = by_type.into_values().filter(|rows| !few(rows));
    let mut groups: Vec<Vec<&StoredRecord>> = Vec::new();
    for rows in own.chain((!mixed.is_empty()).then_some(mixed)) {
        let mut bytes = usize::MAX; // so that the first row opens a group
        for row in rows {
            bytes = bytes.saturating_add(row.size());
            match groups.last_mut() {
                Some(group) if bytes <= BLOCK_BYTES && group.len() < most => group.push(row),
                _ => {
                    bytes = row.size();
                    groups.push(vec![row]);
                }
            }
        }
    }
    groups
}

/// Reads what [`Inner::put_joint`] wrote; the blocks are left out.
pub(super) fn read_joint(
    item_id: [u8; 16],
    value: &[u8],
) -> Result<(Joint, Vec<Place>), Malformed> {
    let mut reader = Reader::new(value);
    let count = reader.count()?;
    let owners = (0..count)
        .map(|_| Ok(PatientNo(u64::from_be_bytes(reader.array()?))))
        .collect::<Result<_, Malformed>>()?;
    let count = reader.count()?;
    let places = (0..count).map(|_| Place::read(&mut reader)).collect::<Result<_, _>>()?;
    reader.end()?;
    Ok((Joint { item_id, owners, sealed: Vec::new() }, places))
}

pub(super) fn wal_path(wal_dir: &Path, number: u64) -> PathBuf {
    wal_dir.join(format!("{number:016x}.wal"))
}

/// Opens the log that the catalogue names, or starts the first one; other log files are covered by the catalogue or empty.
pub(super) fn open_wal(
    wal_dir: &Path,
    catalogue: &Catalogue,
    store_id: &[u8; 16],
) -> Result<(FrameLog, u64, Vec<Vec<u8>>), EdgeError> {
    let number = match counter(catalogue, "wal")? {
        Some(number) => number,
        None => {
            local::remove(&wal_path(wal_dir, 1))?;
            FrameLog::create(&wal_path(wal_dir, 1), WAL_MAGIC, 1, store_id)?;
            let mut batch = Batch::default();
            batch.put(Table::Meta, *b"wal", 1_u64.to_le_bytes());
            catalogue.commit(batch)?;
            1
        }
    };
    let path = wal_path(wal_dir, number);
    let (wal, payloads) = FrameLog::open(&path, WAL_MAGIC, number, store_id)?;
    if number > 1 {
        local::remove(&wal_path(wal_dir, number - 1))?;
    }
    local::remove(&wal_path(wal_dir, number + 1))?;
    Ok((wal, number, payloads))
}
