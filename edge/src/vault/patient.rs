//! What the vault keeps about a patient beside the records: the state in the catalogue, and the id tables in segments.
//!
//! ```text
//! state = varint 2 ‖ patient_no BE8 ‖ leaf_secret 32 ‖ pack (`dictionary.rs`, level 3) of
//!         u8 rested ‖ varint next_local ‖ numbers, pairs: {first ‖ latest}*        resources of which there are several versions
//!       ‖ numbers: first*                                              resources that are named and have not arrived
//!       ‖ varint count ‖ {place ‖ numbers: local*}*                    blocks of rows, oldest first: a later row replaces
//!       ‖ varint count ‖ place*                                        id tables
//!       ‖ varint count ‖ {place ‖ varint items}*                       original bytes (`original.rs`)
//! place = varint segment ‖ varint offset ‖ varint length
//! numbers = varint count ‖ zz difference to the one before*
//!
//! id table = varint 201 ‖ varint count ‖ {key 8 ‖ zz difference of the number}*
//!          ‖ varint count ‖ {item_id[..8] ‖ u8 joint ‖ numbers: local*}*
//! ```
//!
//! The key of a resource is `HMAC-SHA-256(alias_key, "msnet stable id v1" ‖ stable id)[..8]`: it tells an update from a new
//! resource, and nobody outside can look for two that collide.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    codec::{Malformed, Reader, put_signed, put_varint},
    crypt::Secret,
    dictionary::{Dictionaries, pack},
};
use crate::model::PatientNo;

const FORMAT: u64 = 2;
const ID_TABLE: u64 = 201;
const STATE_LEVEL: i32 = 3;

/// Decides "new or update" within a patient.
pub(super) type ResourceKey = [u8; 8];
/// The first half of an item's id.
pub(super) type ItemKey = [u8; 8];

/// Where a block lies, and which rows are in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BlockRef {
    pub(super) place: Place,
    pub(super) locals: Vec<u32>,
}

/// A byte range of a segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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
    /// First → latest version, of resources that have several.
    pub(super) updated: BTreeMap<u32, u32>,
    /// First versions that others name and that have not arrived.
    pub(super) waiting: BTreeSet<u32>,
    /// Blocks of rows, oldest first.
    pub(super) blocks: Vec<BlockRef>,
    /// Id tables, oldest first.
    pub(super) ids: Vec<Place>,
    /// Original bytes, and how many items begin in each block.
    pub(super) originals: Vec<(Place, u32)>,
    /// Packed at leisure, and nothing came since.
    pub(super) rested: bool,
}

impl PatientState {
    pub(super) const fn new(leaf_secret: Secret) -> Self {
        Self {
            leaf_secret,
            next_local: 1,
            updated: BTreeMap::new(),
            waiting: BTreeSet::new(),
            blocks: Vec::new(),
            ids: Vec::new(),
            originals: Vec::new(),
            rested: false,
        }
    }

    /// Where a row lies now.
    pub(super) fn place(&self, local_no: u32) -> Option<Place> {
        let holds = |block: &&BlockRef| block.locals.contains(&local_no);
        self.blocks.iter().rev().find(holds).map(|block| block.place)
    }

    /// The latest version of a resource; `None` while it is only named.
    pub(super) fn latest(&self, first: u32) -> Option<u32> {
        let arrived = !self.waiting.contains(&first);
        arrived.then(|| self.updated.get(&first).copied().unwrap_or(first))
    }

    /// A version of a resource has arrived.
    pub(super) fn note(&mut self, first: u32, local_no: u32) {
        self.waiting.remove(&first);
        self.next_local = self.next_local.max(local_no.max(first) + 1);
        if local_no > self.latest(first).unwrap_or(0) {
            self.updated.insert(first, local_no);
        }
    }

    /// Every block there is.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let rows = self.blocks.iter().map(|block| block.place);
        rows.chain(self.ids.iter().copied()).chain(self.originals.iter().map(|(place, _)| *place))
    }

    pub(super) fn to_image(&self, patient: PatientNo) -> Vec<u8> {
        let mut inside = Vec::new();
        inside.push(self.rested.into());
        put_varint(&mut inside, self.next_local.into());
        put_numbers(&mut inside, self.updated.iter().flat_map(|(first, latest)| [*first, *latest]));
        put_numbers(&mut inside, self.waiting.iter().copied());
        put_varint(&mut inside, self.blocks.len() as u64);
        for block in &self.blocks {
            block.place.put(&mut inside);
            put_numbers(&mut inside, block.locals.iter().copied());
        }
        put_varint(&mut inside, self.ids.len() as u64);
        self.ids.iter().for_each(|place| place.put(&mut inside));
        put_varint(&mut inside, self.originals.len() as u64);
        for (place, items) in &self.originals {
            place.put(&mut inside);
            put_varint(&mut inside, (*items).into());
        }
        let mut out = Vec::new();
        put_varint(&mut out, FORMAT);
        out.extend_from_slice(&patient.0.to_be_bytes());
        out.extend_from_slice(self.leaf_secret.expose());
        pack(&mut out, &inside, None, STATE_LEVEL);
        out
    }

    pub(super) fn from_image(image: &[u8], patient: PatientNo) -> Result<Self, Malformed> {
        let mut reader = Reader::new(image);
        if reader.varint()? != FORMAT || reader.array()? != patient.0.to_be_bytes() {
            return Err(Malformed);
        }
        let mut state = Self::new(Secret::new(reader.array()?));
        let inside = Dictionaries::default().unpack(&mut reader)?;
        reader.end()?;
        let mut reader = Reader::new(&inside);
        state.rested = reader.byte()? == 1;
        state.next_local = reader.varint32()?;
        let updated = read_numbers(&mut reader)?;
        let pairs = updated.chunks(2).map(|pair| match pair {
            [first, latest] => Ok((*first, *latest)),
            _ => Err(Malformed),
        });
        state.updated = pairs.collect::<Result<_, _>>()?;
        state.waiting = read_numbers(&mut reader)?.into_iter().collect();
        for _ in 0..reader.count()? {
            let place = Place::read(&mut reader)?;
            state.blocks.push(BlockRef { place, locals: read_numbers(&mut reader)? });
        }
        for _ in 0..reader.count()? {
            state.ids.push(Place::read(&mut reader)?);
        }
        for _ in 0..reader.count()? {
            state.originals.push((Place::read(&mut reader)?, reader.varint32()?));
        }
        reader.end()?;
        Ok(state)
    }
}

/// What became of an item, as far as one patient is concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ItemEntry {
    pub(super) key: ItemKey,
    /// Its bytes are kept under the keys of several patients, not among this one's.
    pub(super) joint: bool,
    /// Its records, those that were there already included.
    pub(super) locals: Vec<u32>,
}

/// Which resources and items of a patient are known.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Ids {
    pub(super) resources: HashMap<ResourceKey, u32>,
    pub(super) items: Vec<ItemEntry>,
    by_key: HashMap<ItemKey, usize>,
    /// How many of `items` stand in segments.
    flushed_items: usize,
    /// Resources that stand in no segment yet.
    fresh: Vec<(ResourceKey, u32)>,
}

impl Ids {
    pub(super) fn name(&mut self, key: ResourceKey, first: u32) {
        if self.resources.insert(key, first).is_none() {
            self.fresh.push((key, first));
        }
    }

    pub(super) fn add_item(&mut self, entry: ItemEntry) {
        if !self.by_key.contains_key(&entry.key) {
            self.by_key.insert(entry.key, self.items.len());
            self.items.push(entry);
        }
    }

    pub(super) fn item(&self, key: &ItemKey) -> Option<&ItemEntry> {
        self.items.get(*self.by_key.get(key)?)
    }

    /// The id table of what is fresh; `None` if nothing is.
    pub(super) fn fresh_image(&self) -> Option<Vec<u8>> {
        let items = &self.items[self.flushed_items..];
        let something = !self.fresh.is_empty() || !items.is_empty();
        something.then(|| id_table(&self.fresh, items))
    }

    /// One id table of everything.
    pub(super) fn whole_image(&self) -> Vec<u8> {
        let mut all: Vec<(ResourceKey, u32)> =
            self.resources.iter().map(|(key, first)| (*key, *first)).collect();
        all.sort_unstable_by_key(|(_, first)| *first);
        id_table(&all, &self.items)
    }

    /// Reads an id table into what is known; it stands in a segment.
    pub(super) fn read(&mut self, image: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(image);
        if reader.varint()? != ID_TABLE {
            return Err(Malformed);
        }
        let mut last = 0_i64;
        for _ in 0..reader.count()? {
            let key = reader.array()?;
            last = last.checked_add(reader.signed()?).ok_or(Malformed)?;
            self.resources.insert(key, u32::try_from(last).map_err(|_| Malformed)?);
        }
        for _ in 0..reader.count()? {
            let (key, joint) = (reader.array()?, reader.byte()? == 1);
            self.add_item(ItemEntry { key, joint, locals: read_numbers(&mut reader)? });
        }
        self.flushed_items = self.items.len();
        reader.end()
    }
}

fn id_table(resources: &[(ResourceKey, u32)], items: &[ItemEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, ID_TABLE);
    put_varint(&mut out, resources.len() as u64);
    let mut last = 0_i64;
    for (key, first) in resources {
        out.extend_from_slice(key);
        put_signed(&mut out, i64::from(*first) - last);
        last = i64::from(*first);
    }
    put_varint(&mut out, items.len() as u64);
    for item in items {
        out.extend_from_slice(&item.key);
        out.push(item.joint.into());
        put_numbers(&mut out, item.locals.iter().copied());
    }
    out
}

/// Numbers of records: mostly each the one after the last, so runs stay short in a frame of zstd, and bare they are a byte.
pub(super) fn put_numbers(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>) {
    let numbers: Vec<u32> = numbers.collect();
    put_varint(out, numbers.len() as u64);
    let mut last = 0_i64;
    for number in numbers {
        put_signed(out, i64::from(number) - last);
        last = i64::from(number);
    }
}

pub(super) fn read_numbers(reader: &mut Reader<'_>) -> Result<Vec<u32>, Malformed> {
    let mut last = 0_i64;
    let next = |reader: &mut Reader<'_>| {
        last = last.checked_add(reader.signed()?).ok_or(Malformed)?;
        u32::try_from(last).map_err(|_| Malformed)
    };
    let count = reader.count()?;
    let mut next = next;
    (0..count).map(|_| next(reader)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_round_trips_and_belongs_to_its_patient() {
        let mut state = PatientState::new(Secret::random());
        state.note(3, 3);
        state.note(3, 8);
        state.waiting.insert(9);
        let place = |offset| Place { segment: 1, offset, length: 300 };
        state.blocks.push(BlockRef { place: place(64), locals: vec![1, 3, 8] });
        state.blocks.push(BlockRef { place: place(364), locals: vec![3] });
        state.ids.push(place(700));
        state.originals.push((place(900), 2));
        let image = state.to_image(PatientNo(4));
        assert_eq!(PatientState::from_image(&image, PatientNo(4)), Ok(state.clone()));
        assert!(PatientState::from_image(&image, PatientNo(5)).is_err());
        assert!(PatientState::from_image(&image[..image.len() - 1], PatientNo(4)).is_err());
        assert_eq!((state.place(3), state.place(8)), (Some(place(364)), Some(place(64))));
        assert_eq!((state.latest(3), state.latest(1), state.latest(9)), (Some(8), Some(1), None));
        assert_eq!(state.next_local, 9);
        assert_eq!(state.places().count(), 4);
    }

    #[test]
    fn id_tables_add_up() {
        let mut ids = Ids::default();
        assert_eq!(ids.fresh_image(), None);
        ids.name([1; 8], 5);
        ids.name([2; 8], 2);
        ids.add_item(ItemEntry { key: [7; 8], joint: true, locals: vec![5, 2, 3] });
        let first = ids.fresh_image().expect("something");
        let mut read = Ids::default();
        read.read(&first).expect("ours");
        assert_eq!(read.fresh_image(), None);
        read.name([3; 8], 9);
        read.name([1; 8], 5);
        let second = read.fresh_image().expect("something");
        assert!(second.len() < first.len());
        let mut both = Ids::default();
        both.read(&first).and_then(|()| both.read(&second)).expect("ours");
        let mut whole = Ids::default();
        whole.read(&read.whole_image()).expect("ours");
        for ids in [both, whole] {
            assert_eq!(ids.resources.len(), 3);
            assert_eq!(ids.resources[&[1; 8]], 5);
            assert_eq!(ids.item(&[7; 8]).map(|item| item.locals.clone()), Some(vec![5, 2, 3]));
        }
    }
}
