//! From the log into segments: what is fresh becomes blocks, then the catalogue names them, then the log starts anew.
use std::path::{Path, PathBuf};

use super::{
    FreshItem, Inner, Patient, Vault, WAL_MAGIC, block,
    change::ItemResult,
    codec::{Malformed, Reader, put_bytes, put_varint},
    counter, keys,
    patient::{BlockRef, PatientState, Place},
    row::{self, StoredRecord},
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
const BLOCK_ROWS: usize = 128;
/// From so many fresh rows on, a type has blocks of its own; below, types share the patient's mixed block.
const OWN_BLOCK_ROWS: usize = 32;
/// Row bytes of one block: far below the largest image even if nothing compresses.
pub(super) const BLOCK_BYTES: usize = 8 << 20;
/// zstd level in segments.
const SEGMENT_LEVEL: i32 = 9;
/// Fresh rows that may wait in memory, and bytes in the log, before a flush: a restart replays no more than this.
const FLUSH_ROWS: usize = 4096;
const FLUSH_LOG_BYTES: u64 = 64 << 20;

impl Vault {
    /// Moves what is fresh from the log into segments.
    ///
    /// # Errors
    /// [`EdgeError::Io`] or [`EdgeError::Storage`]; everything acknowledged is still in the log then.
    pub fn flush(&self) -> Result<(), EdgeError> {
        self.inner().flush()
    }
}

impl Inner {
    /// Flushes if enough has gathered.
    pub(super) fn flush_if_full(&mut self) -> Result<(), EdgeError> {
        if self.fresh_rows >= FLUSH_ROWS || self.wal.len_bytes() >= FLUSH_LOG_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), EdgeError> {
        if self.wal.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        let mut new_keys = Vec::new();
        let mut blocks = Vec::new();
        let mut written = Vec::new();
        for (number, patient) in &self.patients {
            let groups = groups(&patient.fresh.values().collect::<Vec<_>>());
            for group in &groups {
                let image = row::to_image(group, &self.handles, SEGMENT_LEVEL);
                blocks.push(block::seal(&self.keys.store_id, &patient.key.block_key(), 0, &image));
            }
            let locals =
                |group: &Vec<&StoredRecord>| group.iter().map(|r| r.meta.local_no).collect();
            written.push((*number, groups.iter().map(locals).collect::<Vec<Vec<u32>>>()));
            if patient.new {
                new_keys.push(&patient.key);
            }
        }
        let items: Vec<&FreshItem> = self.items.values().collect();
        blocks.extend(items.iter().flat_map(|item| item.originals.iter().cloned()));
        let mut places = self.segments.append(&blocks)?.into_iter();
        keys::append_log(&self.dir.join("keys.log"), &new_keys)?;

        for (number, groups) in written {
            let patient = &self.patients[&number];
            let mut state = patient.state.clone();
            for locals in groups {
                let place = places.next().expect("a place for each block");
                state.blocks.push(BlockRef { place, locals });
            }
            put_patient(&mut batch, self, number, patient, &state);
        }
        for item in items {
            let places: Vec<Place> = places.by_ref().take(item.originals.len()).collect();
            let id = &item.result.item_id;
            let value = write_item(&item.result, &places);
            batch.put(Table::Items, *id, seal_value(&self.keys, Table::Items, id, &value));
        }
        for (alias, patient) in &self.aliases {
            batch.put(Table::Alias, *alias, patient.0.to_be_bytes());
        }
        for Handle(handle) in &self.pending {
            batch.put(Table::Pending, *handle, []);
        }
        let (segment, length) = self.segments.growing();
        batch.put(Table::Segments, segment.to_be_bytes(), length.to_le_bytes());
        batch.put(Table::Meta, *b"change_no", self.change_no.to_le_bytes());
        self.start_wal(batch)
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
        self.items.clear();
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
    patient: &Patient,
    state: &PatientState,
) {
    let image = state.to_image(number);
    let mut value = patient.key.to_entry();
    put_bytes(&mut value, &block::seal(&inner.keys.store_id, &patient.key.block_key(), 0, &image));
    batch.put(Table::Patients, number.0.to_be_bytes(), value);
    batch.put(Table::Dek, patient.key.dek_id, number.0.to_be_bytes());
}

/// Splits fresh rows into blocks: types with many rows by themselves, the others together.
fn groups<'a>(rows: &[&'a StoredRecord]) -> Vec<Vec<&'a StoredRecord>> {
    let count_of = |kind: &str| rows.iter().filter(|r| r.meta.resource_type == kind).count();
    let mut by_type: std::collections::BTreeMap<&str, Vec<&StoredRecord>> = Default::default();
    for row in rows {
        let kind = row.meta.resource_type.as_str();
        let own = by_type.contains_key(kind) || count_of(kind) >= OWN_BLOCK_ROWS;
        by_type.entry(if own { kind } else { "" }).or_default().push(row);
    }
    let mut groups: Vec<Vec<&StoredRecord>> = Vec::new();
    for rows in by_type.into_values() {
        let mut bytes = usize::MAX; // so that the first row opens a group
        for row in rows {
            bytes = bytes.saturating_add(row.size());
            match groups.last_mut() {
                Some(group) if bytes <= BLOCK_BYTES && group.len() < BLOCK_ROWS => group.push(row),
                _ => {
                    bytes = row.size();
                    groups.push(vec![row]);
                }
            }
        }
    }
    groups
}

pub(super) fn write_item(result: &ItemResult, places: &[Place]) -> Vec<u8> {
    let mut value = Vec::new();
    result.put(&mut value);
    put_varint(&mut value, places.len() as u64);
    places.iter().for_each(|place| place.put(&mut value));
    value
}

pub(super) fn read_item(value: &[u8]) -> Result<(ItemResult, Vec<Place>), Malformed> {
    let mut reader = Reader::new(value);
    let result = ItemResult::read(&mut reader)?;
    let count = reader.count()?;
    let places = (0..count).map(|_| Place::read(&mut reader)).collect::<Result<_, _>>()?;
    reader.end()?;
    Ok((result, places))
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
