//! What the vault keeps about a patient beside the records: the state, sealed under the patient's key.
//!
//! ```text
//! state = varint 1 ‖ patient_no BE8 ‖ leaf_secret 32 ‖ varint next_local
//!       ‖ varint count ‖ {stable_id 16 ‖ varint first ‖ varint latest (0 = named, not arrived) ‖ digest 16}*
//!       ‖ varint count ‖ {varint segment ‖ varint offset ‖ varint length ‖ varint rows ‖ {varint local_no}*}*
//! ```
use std::collections::BTreeMap;

use super::{
    codec::{Malformed, Reader, put_varint},
    crypt::Secret,
};
use crate::model::PatientNo;

const FORMAT: u64 = 1;

/// The versions of one resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Versions {
    /// Number of the first version: its handle is the resource's FHIR id.
    pub(super) first: u32,
    /// Number of the latest version; 0 while the resource is only named by others.
    pub(super) latest: u32,
    /// SHA-256 of the latest canonical bytes, first half: tells an update from a repetition.
    pub(super) digest: [u8; 16],
}

/// Where a block lies, and which rows are in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BlockRef {
    pub(super) place: Place,
    pub(super) locals: Vec<u32>,
}

/// A byte range of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
}

impl Place {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.segment);
        put_varint(out, self.offset);
        put_varint(out, self.length.into());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (segment, offset) = (reader.varint()?, reader.varint()?);
        Ok(Self { segment, offset, length: reader.varint32()? })
    }
}

/// The state of one patient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PatientState {
    /// Source of the nonces and salts of the patient's leaves.
    pub(super) leaf_secret: Secret,
    /// The number the next record gets; counts from 1, since 0 names the patient.
    pub(super) next_local: u32,
    /// Resources by stable id.
    pub(super) ids: BTreeMap<[u8; 16], Versions>,
    /// Blocks, oldest first; a later block's row replaces an earlier one's.
    pub(super) blocks: Vec<BlockRef>,
}

impl PatientState {
    pub(super) fn new(leaf_secret: Secret) -> Self {
        Self { leaf_secret, next_local: 1, ids: BTreeMap::new(), blocks: Vec::new() }
    }

    /// Where a row lies now.
    pub(super) fn place(&self, local_no: u32) -> Option<Place> {
        let holds = |block: &&BlockRef| block.locals.contains(&local_no);
        self.blocks.iter().rev().find(holds).map(|block| block.place)
    }

    /// Whether a row is the latest version of its resource.
    pub(super) fn is_current(&self, stable_id: &[u8; 16], local_no: u32) -> bool {
        self.ids.get(stable_id).is_some_and(|versions| versions.latest == local_no)
    }

    pub(super) fn to_image(&self, patient: PatientNo) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, FORMAT);
        out.extend_from_slice(&patient.0.to_be_bytes());
        out.extend_from_slice(self.leaf_secret.expose());
        put_varint(&mut out, self.next_local.into());
        put_varint(&mut out, self.ids.len() as u64);
        for (stable_id, versions) in &self.ids {
            out.extend_from_slice(stable_id);
            put_varint(&mut out, versions.first.into());
            put_varint(&mut out, versions.latest.into());
            out.extend_from_slice(&versions.digest);
        }
        put_varint(&mut out, self.blocks.len() as u64);
        for block in &self.blocks {
            block.place.put(&mut out);
            put_varint(&mut out, block.locals.len() as u64);
            block.locals.iter().for_each(|local| put_varint(&mut out, (*local).into()));
        }
        out
    }

    pub(super) fn from_image(image: &[u8], patient: PatientNo) -> Result<Self, Malformed> {
        let mut reader = Reader::new(image);
        if reader.varint()? != FORMAT || reader.array()? != patient.0.to_be_bytes() {
            return Err(Malformed);
        }
        let mut state = Self::new(Secret::new(reader.array()?));
        state.next_local = reader.varint32()?;
        for _ in 0..reader.count()? {
            let stable_id = reader.array()?;
            let (first, latest) = (reader.varint32()?, reader.varint32()?);
            state.ids.insert(stable_id, Versions { first, latest, digest: reader.array()? });
        }
        for _ in 0..reader.count()? {
            let place = Place::read(&mut reader)?;
            let rows = reader.count()?;
            let locals = (0..rows).map(|_| reader.varint32()).collect::<Result<_, _>>()?;
            state.blocks.push(BlockRef { place, locals });
        }
        reader.end()?;
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_round_trips_and_belongs_to_its_patient() {
        let mut state = PatientState::new(Secret::random());
        state.next_local = 9;
        state.ids.insert([2; 16], Versions { first: 3, latest: 8, digest: [1; 16] });
        let place = |offset| Place { segment: 1, offset, length: 300 };
        state.blocks.push(BlockRef { place: place(64), locals: vec![1, 3, 8] });
        state.blocks.push(BlockRef { place: place(364), locals: vec![3] });
        let image = state.to_image(PatientNo(4));
        assert_eq!(PatientState::from_image(&image, PatientNo(4)), Ok(state.clone()));
        assert!(PatientState::from_image(&image, PatientNo(5)).is_err());
        assert!(PatientState::from_image(&image[..image.len() - 1], PatientNo(4)).is_err());
        assert_eq!((state.place(3), state.place(8)), (Some(place(364)), Some(place(64))));
        assert!(state.is_current(&[2; 16], 8) && !state.is_current(&[2; 16], 3));
    }
}
