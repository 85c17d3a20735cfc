//! One change of the vault: all that one item brings, written to the log as one frame before it is acknowledged.
//!
//! ```text
//! frame payload = varint count ‖ key entry (68, `keys.rs`)*  ‖ varint count ‖ {length-prefixed block}* ‖ length-prefixed block
//!                 keys of the patients in it                  row parts, then originals                  the item's block, last
//! item's block, under the store key  = varint 1 ‖ u8 has_item
//!       ‖ [item_id 16 ‖ varint count ‖ {patient_no BE8 ‖ varint local_no}* ‖ varint count ‖ {owner patient_no BE8}*]
//!       ‖ varint count ‖ {alias 16 ‖ patient_no BE8}*
//! row part, under the patient's key = varint 1 ‖ patient_no BE8 ‖ leaf_secret 32 ‖ u8 altered
//!       ‖ varint count ‖ {stable_id 16 ‖ varint local_no}* ‖ length-prefixed image of rows (`row.rs`)
//! ```
//!
//! A frame is complete in itself: replaying it needs no catalogue, only the KEK and the store key. Replay is idempotent by
//! item_id.
use super::{
    block::{self, BlockError, FLAG_LOG_FRAME},
    codec::{Malformed, Reader, put_bytes, put_varint},
    crypt::Secret,
    handle::Handles,
    keys::{PatientKey, store_block_key},
    row::{self, StoredRecord},
};
use crate::{keys::StoreKeys, model::PatientNo};

const FORMAT: u64 = 1;
/// zstd level in the log: speed first (`edge.md` 7).
const LOG_LEVEL: i32 = 3;

/// What an item became.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ItemResult {
    pub(super) item_id: [u8; 16],
    /// Its records, those that were there already included.
    pub(super) records: Vec<(PatientNo, u32)>,
    /// Whose keys open its original bytes, by number.
    pub(super) owners: Vec<PatientNo>,
}

impl ItemResult {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.item_id);
        put_varint(out, self.records.len() as u64);
        for (patient, local_no) in &self.records {
            out.extend_from_slice(&patient.0.to_be_bytes());
            put_varint(out, (*local_no).into());
        }
        put_varint(out, self.owners.len() as u64);
        self.owners.iter().for_each(|owner| out.extend_from_slice(&owner.0.to_be_bytes()));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let item_id = reader.array()?;
        let count = reader.count()?;
        let records = (0..count)
            .map(|_| Ok((read_patient(reader)?, reader.varint32()?)))
            .collect::<Result<_, _>>()?;
        let count = reader.count()?;
        let owners = (0..count).map(|_| read_patient(reader)).collect::<Result<_, _>>()?;
        Ok(Self { item_id, records, owners })
    }
}

/// New rows of one patient; a patient may have several parts in a change.
#[derive(Clone, Debug)]
pub(super) struct RowPart {
    pub(super) key: PatientKey,
    pub(super) leaf_secret: Secret,
    /// The rows replace rows that are there (the demo's alteration): nothing new is to be anchored.
    pub(super) altered: bool,
    /// Numbers set aside for resources that are referred to and have not arrived.
    pub(super) reserved: Vec<([u8; 16], u32)>,
    pub(super) rows: Vec<StoredRecord>,
}

/// One change.
#[derive(Default, Debug)]
pub(super) struct Change {
    pub(super) item: Option<ItemResult>,
    pub(super) aliases: Vec<([u8; 16], PatientNo)>,
    pub(super) parts: Vec<RowPart>,
    /// Blocks with the pieces of the original bytes, sealed in their final form.
    pub(super) originals: Vec<Vec<u8>>,
}

impl Change {
    /// Seals the change into a frame's payload.
    pub(super) fn to_payload(&self, keys: &StoreKeys, handles: &Handles) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.parts.len() as u64);
        self.parts.iter().for_each(|part| out.extend_from_slice(&part.key.to_entry()));
        put_varint(&mut out, (self.parts.len() + self.originals.len()) as u64);
        for part in &self.parts {
            let image = part.to_image(handles);
            let sealed = block::seal(&keys.store_id, &part.key.block_key(), FLAG_LOG_FRAME, &image);
            put_bytes(&mut out, &sealed);
        }
        self.originals.iter().for_each(|sealed| put_bytes(&mut out, sealed));
        let image = self.item_image();
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
            .map(|_| PatientKey::read(&mut reader, &keys.kek))
            .collect::<Result<Vec<_>, _>>()?;
        let count = reader.count()?;
        let blocks = (0..count).map(|_| reader.bytes()).collect::<Result<Vec<_>, _>>()?;
        let item_block = reader.bytes()?;
        reader.end()?;
        let (row_blocks, originals) =
            blocks.split_at_checked(patient_keys.len()).ok_or(Malformed)?;
        let mut change = Self {
            originals: originals.iter().map(|sealed| sealed.to_vec()).collect(),
            ..Self::default()
        };
        change.read_item_image(&block::open(&keys.store_id, &keys.store, item_block)?)?;
        for (key, sealed) in patient_keys.into_iter().zip(row_blocks) {
            let image = block::open(&keys.store_id, key.dek(), sealed)?;
            change.parts.push(RowPart::from_image(&image, key, handles)?);
        }
        Ok(change)
    }

    fn item_image(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, FORMAT);
        out.push(self.item.is_some().into());
        if let Some(item) = &self.item {
            item.put(&mut out);
        }
        put_varint(&mut out, self.aliases.len() as u64);
        for (alias, patient) in &self.aliases {
            out.extend_from_slice(alias);
            out.extend_from_slice(&patient.0.to_be_bytes());
        }
        out
    }

    fn read_item_image(&mut self, image: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(image);
        if reader.varint()? != FORMAT {
            return Err(Malformed);
        }
        if reader.byte()? == 1 {
            self.item = Some(ItemResult::read(&mut reader)?);
        }
        for _ in 0..reader.count()? {
            self.aliases.push((reader.array()?, read_patient(&mut reader)?));
        }
        reader.end()
    }
}

impl RowPart {
    fn to_image(&self, handles: &Handles) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, FORMAT);
        out.extend_from_slice(&self.key.patient.0.to_be_bytes());
        out.extend_from_slice(self.leaf_secret.expose());
        out.push(self.altered.into());
        put_varint(&mut out, self.reserved.len() as u64);
        for (stable_id, local_no) in &self.reserved {
            out.extend_from_slice(stable_id);
            put_varint(&mut out, (*local_no).into());
        }
        let rows: Vec<&StoredRecord> = self.rows.iter().collect();
        put_bytes(&mut out, &row::to_image(&rows, handles, LOG_LEVEL));
        out
    }

    fn from_image(image: &[u8], key: PatientKey, handles: &Handles) -> Result<Self, Malformed> {
        let mut reader = Reader::new(image);
        if reader.varint()? != FORMAT || read_patient(&mut reader)? != key.patient {
            return Err(Malformed);
        }
        let leaf_secret = Secret::new(reader.array()?);
        let altered = reader.byte()? == 1;
        let count = reader.count()?;
        let reserved = (0..count)
            .map(|_| Ok((reader.array()?, reader.varint32()?)))
            .collect::<Result<_, Malformed>>()?;
        let rows = row::from_image(reader.bytes()?, key.patient, handles)?;
        reader.end()?;
        Ok(Self { key, leaf_secret, altered, reserved, rows })
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
