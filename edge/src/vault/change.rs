//! One change of the vault: all that one item brings, written to the log as one frame before it is acknowledged.
//!
//! ```text
//! frame payload = varint count ‖ key entry (68, `keys.rs`)*  ‖ varint count ‖ {length-prefixed block}* ‖ length-prefixed block
//!                 keys of the patients in it                  parts, then joint originals               the shared block, last
//! shared block, under the store key = varint 2 ‖ u8 is_joint ‖ [item_id 16 ‖ varint count ‖ {owner patient_no BE8}*]
//!       ‖ varint count ‖ {alias 16 ‖ patient_no BE8}*
//! part, under the patient's key = varint 2 ‖ patient_no BE8 ‖ leaf_secret 32 ‖ u8 altered
//!       ‖ varint count ‖ {resource key 8 ‖ varint first}*
//!       ‖ u8 has_item ‖ [item_id[..8] ‖ u8 joint ‖ numbers: local*]
//!       ‖ u8 has_piece ‖ [item_id[..8] ‖ varint number ‖ varint pieces ‖ varint raw_len ‖ length-prefixed zstd frame]
//!       ‖ length-prefixed rows (`row.rs`)
//! ```
//!
//! A frame is complete in itself: replaying it needs no catalogue, only the KEK and the store key.
use super::{
    block::{self, BlockError, FLAG_LOG_FRAME},
    codec::{Malformed, Reader, put_bytes, put_varint},
    crypt::Secret,
    handle::Handles,
    keys::{PatientKey, store_block_key},
    original::Piece,
    patient::{ItemEntry, ResourceKey, put_numbers, read_numbers},
    row::{self, StoredRecord},
};
use crate::{keys::StoreKeys, model::PatientNo};

const FORMAT: u64 = 2;

/// Original bytes that belong to several patients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Joint {
    pub(super) item_id: [u8; 16],
    /// Whose keys together open the bytes, by number.
    pub(super) owners: Vec<PatientNo>,
    /// Blocks with the pieces, in their final form.
    pub(super) sealed: Vec<Vec<u8>>,
}

/// What is new about one patient; a patient may have several parts in a change.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) key: PatientKey,
    pub(super) leaf_secret: Secret,
    /// The rows replace rows that are there (the demo's alteration): nothing new is to be anchored.
    pub(super) altered: bool,
    /// Numbers given to resources, those that are only named included.
    pub(super) named: Vec<(ResourceKey, u32)>,
    pub(super) item: Option<ItemEntry>,
    pub(super) piece: Option<Piece>,
    pub(super) rows: Vec<StoredRecord>,
}

impl Part {
    pub(super) const fn of(key: PatientKey, leaf_secret: Secret) -> Self {
        Self {
            key,
            leaf_secret,
            altered: false,
            named: Vec::new(),
            item: None,
            piece: None,
            rows: Vec::new(),
        }
    }

    /// The same patient's next part.
    pub(super) fn another(&self) -> Self {
        Self::of(self.key.clone(), self.leaf_secret.clone())
    }
}

/// One change.
#[derive(Default, Debug)]
pub(super) struct Change {
    pub(super) joint: Option<Joint>,
    pub(super) aliases: Vec<([u8; 16], PatientNo)>,
    pub(super) parts: Vec<Part>,
}

impl Change {
    /// Seals the change into a frame's payload.
    pub(super) fn to_payload(&self, keys: &StoreKeys, handles: &Handles) -> Vec<u8> {
        let originals = self.joint.as_ref().map_or(&[][..], |joint| &joint.sealed);
        let mut out = Vec::new();
        put_varint(&mut out, self.parts.len() as u64);
        self.parts.iter().for_each(|part| out.extend_from_slice(&part.key.to_entry()));
        put_varint(&mut out, (self.parts.len() + originals.len()) as u64);
        for part in &self.parts {
            let image = part.to_image(handles);
            let sealed = block::seal(&keys.store_id, &part.key.block_key(), FLAG_LOG_FRAME, &image);
            put_bytes(&mut out, &sealed);
        }
        originals.iter().for_each(|sealed| put_bytes(&mut out, sealed));
        let image = self.shared_image();
        let sealed = block::seal(&keys.store_id, &store_block_key(keys), FLAG_LOG_FRAME, &image);
        put_bytes(&mut out, &sealed); // last, so that a frame ends in a tag
        out
    }

    /// Opens a frame's payload.
    pub(super) fn from_payload(
        payload: &[u8],
        keys: &StoreKeys,
        handles: &Handles,
    ) -> Result<Self, FrameError> {
        let mut reader = Reader::new(payload);
        let count = reader.count()?;
        let patient_keys = (0..count)
            .map(|_| PatientKey::read(&mut reader, keys))
            .collect::<Result<Vec<_>, _>>()?;
        let count = reader.count()?;
        let blocks = (0..count).map(|_| reader.bytes()).collect::<Result<Vec<_>, _>>()?;
        let shared = reader.bytes()?;
        reader.end()?;
        let (parts, originals) = blocks.split_at_checked(patient_keys.len()).ok_or(Malformed)?;
        let mut change = Self::default();
        change.read_shared(&block::open(&keys.store_id, &keys.store, shared)?)?;
        match &mut change.joint {
            Some(joint) => joint.sealed = originals.iter().map(|sealed| sealed.to_vec()).collect(),
            None if originals.is_empty() => {}
            None => return Err(Malformed.into()),
        }
        for (key, sealed) in patient_keys.into_iter().zip(parts) {
            let image = block::open(&keys.store_id, key.dek(), sealed)?;
            change.parts.push(Part::from_image(&image, key, handles)?);
        }
        Ok(change)
    }

    fn shared_image(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, FORMAT);
        out.push(self.joint.is_some().into());
        if let Some(joint) = &self.joint {
            out.extend_from_slice(&joint.item_id);
            put_varint(&mut out, joint.owners.len() as u64);
            joint.owners.iter().for_each(|owner| out.extend_from_slice(&owner.0.to_be_bytes()));
        }
        put_varint(&mut out, self.aliases.len() as u64);
        for (alias, patient) in &self.aliases {
            out.extend_from_slice(alias);
            out.extend_from_slice(&patient.0.to_be_bytes());
        }
        out
    }

    fn read_shared(&mut self, image: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(image);
        if reader.varint()? != FORMAT {
            return Err(Malformed);
        }
        if reader.byte()? == 1 {
            let item_id = reader.array()?;
            let count = reader.count()?;
            let owners = (0..count).map(|_| read_patient(&mut reader)).collect::<Result<_, _>>()?;
            self.joint = Some(Joint { item_id, owners, sealed: Vec::new() });
        }
        for _ in 0..reader.count()? {
            self.aliases.push((reader.array()?, read_patient(&mut reader)?));
        }
        reader.end()
    }
}

impl Part {
    fn to_image(&self, handles: &Handles) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, FORMAT);
        out.extend_from_slice(&self.key.patient.0.to_be_bytes());
        out.extend_from_slice(self.leaf_secret.expose());
        out.push(self.altered.into());
        put_varint(&mut out, self.named.len() as u64);
        for (key, first) in &self.named {
            out.extend_from_slice(key);
            put_varint(&mut out, (*first).into());
        }
        out.push(self.item.is_some().into());
        if let Some(item) = &self.item {
            out.extend_from_slice(&item.key);
            out.push(item.joint.into());
            put_numbers(&mut out, item.locals.iter().copied());
        }
        out.push(self.piece.is_some().into());
        if let Some(piece) = &self.piece {
            out.extend_from_slice(&piece.item);
            put_varint(&mut out, piece.number.into());
            put_varint(&mut out, piece.pieces.into());
            row::compress(&mut out, &piece.bytes);
        }
        put_bytes(&mut out, &row::to_log(&self.rows, handles));
        out
    }

    fn from_image(image: &[u8], key: PatientKey, handles: &Handles) -> Result<Self, Malformed> {
        let mut reader = Reader::new(image);
        if reader.varint()? != FORMAT || read_patient(&mut reader)? != key.patient {
            return Err(Malformed);
        }
        let mut part = Self::of(key, Secret::new(reader.array()?));
        part.altered = reader.byte()? == 1;
        for _ in 0..reader.count()? {
            part.named.push((reader.array()?, reader.varint32()?));
        }
        if reader.byte()? == 1 {
            let (key, joint) = (reader.array()?, reader.byte()? == 1);
            part.item = Some(ItemEntry { key, joint, locals: read_numbers(&mut reader)? });
        }
        if reader.byte()? == 1 {
            let item = reader.array()?;
            let (number, pieces) = (reader.varint32()?, reader.varint32()?);
            let bytes = row::decompress(&mut reader)?;
            part.piece = Some(Piece { item, number, pieces, bytes });
        }
        part.rows = row::from_log(reader.bytes()?, part.key.patient, handles)?;
        reader.end()?;
        Ok(part)
    }
}

fn read_patient(reader: &mut Reader<'_>) -> Result<PatientNo, Malformed> {
    Ok(PatientNo(u64::from_be_bytes(reader.array()?)))
}

/// Why a frame cannot be replayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Block(#[from] BlockError),
}
