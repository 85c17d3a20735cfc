//! What is done to a store at leisure: blocks packed anew, segments given back, keys changed.
//!
//! Each patient moves in one step: new blocks are durable in the growing segment, then one commit of the catalogue names
//! them in place of the old ones. A crash leaves the patient before or after that, never between.
use std::collections::{BTreeMap, HashMap};

use super::{
    Inner, Patient, SHARED, Vault, block,
    change::Joint,
    damaged_catalogue,
    dictionary::REST_LEVEL,
    flush::{groups, put_patient},
    keys::{self, PatientKey, joint_block_key},
    original::{self, Piece},
    patient::{PatientState, Place},
    row::StoredRecord,
};
use crate::{
    error::EdgeError,
    model::PatientNo,
    stores::redb::{Batch, Table},
    vault::crypt::Secret,
};

/// Rows of one block that is packed at leisure.
const REST_ROWS: usize = 512;
/// A segment with fewer live bytes than one in so many is copied out and removed.
const LIVE_SHARE: u64 = 2;

/// What a compaction did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Compacted {
    /// Patients whose blocks were packed anew.
    pub patients: usize,
    /// Bytes of segments before and after.
    pub before: u64,
    /// See `before`.
    pub after: u64,
}

impl Vault {
    /// Packs what lies in small blocks into large ones and removes segments of which little is still in use.
    /// `progress` is told how many patients of how many are done.
    ///
    /// # Errors
    /// As reading and writing; what was done before the error stays done, nothing is lost.
    pub fn compact(&self, mut progress: impl FnMut(usize, usize)) -> Result<Compacted, EdgeError> {
        let before = {
            let mut inner = self.inner()?;
            inner.flush()?;
            let before = inner.segments.total()?;
            inner.segments.roll()?;
            before
        };
        let numbers = self.inner()?.patient_numbers()?;
        let mut patients = 0;
        for (done, number) in numbers.iter().enumerate() {
            // Between two patients others may read and write.
            let mut inner = self.inner()?;
            inner.flush()?;
            patients += usize::from(inner.tidy(*number)?);
            progress(done + 1, numbers.len());
        }
        let mut inner = self.inner()?;
        inner.flush()?;
        inner.free_segments()?;
        Ok(Compacted { patients, before, after: inner.segments.total()? })
    }

    /// Gives every patient a new key and seals all their blocks anew; the old keys are gone afterwards.
    ///
    /// # Errors
    /// As [`Vault::compact`]; doing it again goes on where it stopped.
    pub fn rotate_patient_keys(
        &self,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<usize, EdgeError> {
        let numbers = {
            let mut inner = self.inner()?;
            inner.flush()?;
            inner.segments.roll()?;
            inner.patient_numbers()?
        };
        for (done, number) in numbers.iter().enumerate() {
            let mut inner = self.inner()?;
            inner.flush()?;
            inner.rotate(*number)?;
            progress(done + 1, numbers.len());
        }
        let mut inner = self.inner()?;
        inner.flush()?;
        inner.rewrite_key_log()?;
        inner.catalogue.compact()?;
        inner.free_segments()?;
        Ok(numbers.len())
    }

    /// Wraps every patient's key under another KEK; no block is touched.
    ///
    /// # Errors
    /// [`EdgeError::Storage`], [`EdgeError::Io`]: the catalogue changes whole or not at all.
    pub fn rewrap(&self, kek: &Secret) -> Result<(), EdgeError> {
        let mut inner = self.inner()?;
        inner.flush()?; // so that the log carries no key
        let mut batch = Batch::default();
        for number in inner.patient_numbers()? {
            if let Some(mut patient) = inner.load(number)? {
                patient.key = patient.key.wrapped_by(kek);
                put_patient(&mut batch, &inner, number, &patient.key, &patient.state);
            }
        }
        inner.catalogue.commit(batch)?;
        inner.keys.kek = kek.clone();
        inner.rewrite_key_log()?;
        inner.catalogue.compact()
    }
}

impl Inner {
    /// Packs a patient anew if that is worth it.
    fn tidy(&mut self, number: PatientNo) -> Result<bool, EdgeError> {
        let Some(patient) = self.load(number)?.filter(|patient| !patient.state.rested) else {
            return Ok(false);
        };
        let key = patient.key.clone();
        let mut batch = Batch::default();
        self.rewrite(&patient, &key, &mut batch)?;
        self.put_counters(&mut batch);
        self.catalogue.commit(batch)?;
        Ok(true)
    }

    /// Seals everything of a patient anew under `key`.
    fn rewrite(
        &mut self,
        patient: &Patient,
        key: &PatientKey,
        batch: &mut Batch,
    ) -> Result<(), EdgeError> {
        let mut rows: BTreeMap<u32, StoredRecord> = BTreeMap::new();
        for block in &patient.state.blocks {
            for row in self.rows(patient, block.place)? {
                rows.insert(row.meta.local_no, row);
            }
        }
        let ids = self.ids_of(patient)?;
        let pieces = self.pieces_of(patient)?;
        let groups = groups(&rows.values().collect::<Vec<_>>(), REST_ROWS);
        let ids = (!patient.state.ids.is_empty()).then(|| ids.whole_image());
        let mut sealed = self.seal_all(key, &groups, ids, &pieces, REST_LEVEL);
        let blocks = std::mem::take(&mut sealed.blocks);
        let mut places = self.segments.append(&blocks)?.into_iter();
        let state = &patient.state;
        let mut state = PatientState {
            blocks: Vec::new(),
            ids: Vec::new(),
            originals: Vec::new(),
            rested: true,
            ..state.clone()
        };
        sealed.place(&mut places, &mut state);
        put_patient(batch, self, key.patient, key, &state);
        Ok(())
    }

    /// The original bytes kept among a patient's, in their order.
    fn pieces_of(&self, patient: &Patient) -> Result<Vec<Piece>, EdgeError> {
        let mut pieces = Vec::new();
        for (place, _) in &patient.state.originals {
            let image = self.open_place(patient.key.dek(), *place)?;
            let read = original::from_image(&image, &self.dictionaries);
            pieces.extend(read.map_err(|error| self.damaged(error, *place))?);
        }
        Ok(pieces)
    }

    /// Gives a patient a new key.
    fn rotate(&mut self, number: PatientNo) -> Result<(), EdgeError> {
        let Some(patient) = self.load(number)? else { return Ok(()) };
        let key = patient.key.next(&self.keys.kek);
        let mut batch = Batch::default();
        self.rewrite(&patient, &key, &mut batch)?;
        let mut joints = Vec::new();
        self.each_joint(|joint, places| {
            joints.extend(joint.owners.contains(&number).then_some((joint, places)));
            Ok(())
        })?;
        for (joint, places) in joints {
            self.reseal_joint(&joint, &places, &key, &mut batch)?;
        }
        self.put_counters(&mut batch);
        keys::append_log(&self.dir.join("keys.log"), &[&key])?;
        self.catalogue.commit(batch)
    }

    /// Seals the bytes of an item of several patients anew, one of whom gets a new key.
    fn reseal_joint(
        &mut self,
        joint: &Joint,
        places: &[Place],
        new: &PatientKey,
        batch: &mut Batch,
    ) -> Result<(), EdgeError> {
        let mut old_keys = Vec::new();
        for owner in &joint.owners {
            let loaded = self.load(*owner)?;
            old_keys.push(loaded.ok_or_else(|| damaged_catalogue(Table::Items))?.key);
        }
        let new_keys: Vec<&PatientKey> =
            old_keys.iter().map(|old| if old.patient == new.patient { new } else { old }).collect();
        let old = joint_block_key(&old_keys.iter().collect::<Vec<_>>());
        let key = joint_block_key(&new_keys);
        let mut sealed = Vec::new();
        for place in places {
            let image = self.open_place(&old.secret, *place)?;
            sealed.push(block::seal(&self.keys.store_id, &key, 0, &image));
        }
        let places = self.segments.append(&sealed)?;
        self.put_joint(batch, &joint.item_id, &joint.owners, &places);
        Ok(())
    }

    /// Writes `keys.log` anew with the keys that are in use.
    pub(super) fn rewrite_key_log(&self) -> Result<(), EdgeError> {
        let mut all = Vec::new();
        for number in self.patient_numbers()? {
            all.extend(self.load(number)?.map(|patient| patient.key));
        }
        keys::replace_log(&self.dir.join("keys.log"), &all)
    }

    /// Copies blocks out of segments that are mostly unused, then removes segments that nothing names.
    pub(super) fn free_segments(&mut self) -> Result<(), EdgeError> {
        let live = self.live_bytes()?;
        let (growing, _) = self.segments.growing();
        let mut sparse = Vec::new();
        for (number, length) in self.segments.list()? {
            let used = live.get(&number).copied().unwrap_or(0);
            if number != growing && used > 0 && used < length / LIVE_SHARE {
                sparse.push(number);
            }
        }
        for number in self.patient_numbers()? {
            self.copy_out(number, &sparse)?;
        }
        self.copy_joints_out(&sparse)?;
        let live = self.live_bytes()?;
        let (growing, _) = self.segments.growing();
        let mut batch = Batch::default();
        let mut unused = Vec::new();
        for (number, _) in self.segments.list()? {
            if number != growing && !live.contains_key(&number) {
                batch.delete(Table::Segments, number.to_be_bytes());
                unused.push(number);
            }
        }
        self.catalogue.commit(batch)?;
        unused.into_iter().try_for_each(|number| self.segments.remove(number))
    }

    fn copy_out(&mut self, number: PatientNo, sparse: &[u64]) -> Result<(), EdgeError> {
        let Some(patient) = self.load(number)? else { return Ok(()) };
        let old: Vec<Place> =
            patient.state.places().filter(|place| sparse.contains(&place.segment)).collect();
        if old.is_empty() {
            return Ok(());
        }
        let moved = self.copy(&old)?;
        let mut state = patient.state;
        let places = state.blocks.iter_mut().map(|block| &mut block.place);
        let places = places.chain(&mut state.ids).chain(state.originals.iter_mut().map(|(p, _)| p));
        for place in places {
            *place = moved.get(place).copied().unwrap_or(*place);
        }
        let mut batch = Batch::default();
        put_patient(&mut batch, self, number, &patient.key, &state);
        self.put_counters(&mut batch);
        self.catalogue.commit(batch)
    }

    fn copy_joints_out(&mut self, sparse: &[u64]) -> Result<(), EdgeError> {
        let mut joints = Vec::new();
        self.each_joint(|joint, places| {
            let concerned = places.iter().any(|place| sparse.contains(&place.segment));
            joints.extend(concerned.then_some((joint, places)));
            Ok(())
        })?;
        let mut batch = Batch::default();
        for (joint, places) in joints {
            let moved = self.copy(&places)?;
            let places: Vec<Place> = places.iter().map(|place| moved[place]).collect();
            self.put_joint(&mut batch, &joint.item_id, &joint.owners, &places);
        }
        self.put_counters(&mut batch);
        self.catalogue.commit(batch)
    }

    /// Copies blocks as they are to the growing segment.
    fn copy(&mut self, old: &[Place]) -> Result<HashMap<Place, Place>, EdgeError> {
        let blocks =
            old.iter().map(|place| self.segments.read(*place)).collect::<Result<Vec<_>, _>>()?;
        let new = self.segments.append(&blocks)?;
        Ok(old.iter().copied().zip(new).collect())
    }

    /// Bytes of each segment that somebody names.
    pub(super) fn live_bytes(&self) -> Result<HashMap<u64, u64>, EdgeError> {
        let mut live: HashMap<u64, u64> = HashMap::new();
        let mut add =
            |place: Place| *live.entry(place.segment).or_default() += u64::from(place.length);
        for number in self.patient_numbers()? {
            if let Some(patient) = self.load(number)? {
                patient.state.places().for_each(&mut add);
            }
        }
        self.each_joint(|_, places| {
            places.into_iter().for_each(&mut add);
            Ok(())
        })?;
        Ok(live)
    }

    /// Patients but the one that stands for shared records.
    pub(super) fn people(&self) -> Result<Vec<PatientNo>, EdgeError> {
        let mut numbers = self.patient_numbers()?;
        numbers.retain(|number| *number != SHARED);
        Ok(numbers)
    }
}
