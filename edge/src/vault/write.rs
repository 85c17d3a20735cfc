//! What an item brings: patients are recognised, records numbered, references rewritten, and all of it becomes one change.
use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest as sha2;

use super::{
    Inner, Patient, RecordMeta, SHARED, Vault,
    block::{self, BlockKey},
    change::{Change, ItemResult, RowPart},
    codec::{Malformed, Reader, put_varint},
    crypt::{self, Secret},
    flush::BLOCK_BYTES,
    keys::{PatientKey, original_block_key},
    patient::{PatientState, Versions},
    row::{self, StoredRecord},
};
use crate::{
    error::EdgeError,
    model::{
        Coverage, Handle, Identifier, Issue, Item, PatientNo, StandardRecord, Standardized,
        canonical,
        json::{self, Value},
    },
};

/// A record's canonical bytes: below this a block always holds it.
const MAX_RECORD_BYTES: usize = 15 << 20;
/// Resource types whose records belong to nobody; a reference to one that has not arrived waits among the shared records.
const SHARED_TYPES: [&str; 6] =
    ["Device", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole"];

/// What became of an item. It is durable.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its records, those that were there already included.
    pub records: Vec<RecordMeta>,
    /// The same item was accepted before; this is the first result.
    pub repeated: bool,
    /// What standardizing noticed.
    pub issues: Vec<Issue>,
}

impl Vault {
    /// Stores an item: when this returns, the item is on disk and its records can be read.
    ///
    /// # Errors
    /// [`EdgeError::Input`] for a record of more than 15 MiB; [`EdgeError::Io`], [`EdgeError::Storage`] or
    /// [`EdgeError::Integrity`] if the store does not work: nothing of the item is kept then.
    pub fn accept(&self, standardized: &Standardized) -> Result<Accepted, EdgeError> {
        let mut inner = self.inner();
        let issues = standardized.issues.clone();
        let item_id = standardized.item.item_id;
        if let Some(result) = inner.item(&item_id)? {
            let records = inner.metas(&result)?;
            return Ok(Accepted { records, repeated: true, issues });
        }
        let mut draft = Draft::default();
        draft.number(&mut inner, &standardized.records)?;
        let records = draft.fill(&inner, &standardized.records, &standardized.coverage)?;
        let owners = standardized.records.iter().zip(&draft.patients);
        let owners: BTreeSet<_> =
            owners.filter(|(r, _)| r.patient.is_some()).map(|(_, patient)| *patient).collect();
        let result = ItemResult {
            item_id,
            records,
            owners: if owners.is_empty() { vec![SHARED] } else { owners.into_iter().collect() },
        };
        let change = draft.into_change(&mut inner, &standardized.item, result.clone())?;
        let payload = change.to_payload(&inner.keys, &inner.handles);
        inner.wal.append(&[payload])?;
        inner.apply(change);
        let records = inner.metas(&result)?;
        inner.flush_if_full()?;
        Ok(Accepted { records, repeated: false, issues })
    }

    /// Changes a record's content in place and seals it again, under the same handle: it opens, and no longer proves.
    ///
    /// A demonstration of what anchoring notices; nothing else calls it.
    ///
    /// # Errors
    /// [`EdgeError::Input`] for an unknown handle; otherwise as [`Vault::accept`].
    pub fn alter_for_demo(
        &self,
        handle: Handle,
        alter: impl FnOnce(&mut Value),
    ) -> Result<(), EdgeError> {
        let unknown =
            || EdgeError::input("no such record", handle.to_string(), "give a handle of this edge");
        let mut inner = self.inner();
        let (number, local_no) = inner.handles.open(handle).ok_or_else(unknown)?;
        let mut record = inner.record(number, local_no)?.ok_or_else(unknown)?;
        let mut content = json::parse(&record.bytes)
            .map_err(|error| EdgeError::integrity(error.to_string(), format!("record {handle}")))?;
        alter(&mut content);
        record.bytes = canonical::to_bytes(&content);
        inner.touch(number)?;
        let patient = inner.patients.get(&number).ok_or_else(unknown)?;
        let part = RowPart {
            key: patient.key.clone(),
            leaf_secret: patient.state.leaf_secret.clone(),
            altered: true,
            reserved: Vec::new(),
            rows: vec![record],
        };
        let change = Change { parts: vec![part], ..Change::default() };
        let payload = change.to_payload(&inner.keys, &inner.handles);
        inner.wal.append(&[payload])?;
        inner.apply(change);
        Ok(())
    }
}

impl Inner {
    fn metas(&self, result: &ItemResult) -> Result<Vec<RecordMeta>, EdgeError> {
        let mut metas = Vec::new();
        for (patient, local_no) in &result.records {
            metas.extend(self.record(*patient, *local_no)?.map(|record| record.meta));
        }
        Ok(metas)
    }

    fn alias(&self, identifier: &Identifier) -> [u8; 16] {
        let parts = [identifier.system.as_bytes(), &[0], identifier.value.as_bytes()];
        let hash = crypt::hmac(&self.keys.alias, &parts);
        hash[..16].try_into().expect("half of 32 bytes")
    }

    fn aliased(&self, alias: &[u8; 16]) -> Result<Option<PatientNo>, EdgeError> {
        if let Some(number) = self.aliases.get(alias) {
            return Ok(Some(*number));
        }
        let value = self.catalogue.get(super::Table::Alias, alias)?;
        value
            .map(|value| {
                let bytes =
                    value.try_into().map_err(|_| super::damaged_catalogue(super::Table::Alias))?;
                Ok(PatientNo(u64::from_be_bytes(bytes)))
            })
            .transpose()
    }

    fn is_patient(&self, number: PatientNo) -> Result<bool, EdgeError> {
        Ok(self.with_patient(number, |_| Ok(()))?.is_some())
    }
}

/// What one item adds to one patient.
#[derive(Debug)]
struct PatientDraft {
    key: PatientKey,
    leaf_secret: Secret,
    next_local: u32,
    /// Versions noted by this item; they hide those of the state.
    ids: BTreeMap<[u8; 16], Versions>,
    reserved: Vec<([u8; 16], u32)>,
    rows: Vec<StoredRecord>,
}

impl PatientDraft {
    fn take_number(&mut self) -> u32 {
        let local_no = self.next_local;
        self.next_local += 1;
        local_no
    }
}

/// What one item adds.
#[derive(Default, Debug)]
struct Draft {
    drafts: BTreeMap<PatientNo, PatientDraft>,
    aliases: BTreeMap<[u8; 16], PatientNo>,
    /// The patient of each record, in the order of the records.
    patients: Vec<PatientNo>,
    /// Where each resource of this item is found: references between them hold whatever their order.
    here: BTreeMap<[u8; 16], PatientNo>,
}

impl Draft {
    /// Recognises the patient of each record and gives each resource its first number.
    fn number(&mut self, inner: &mut Inner, records: &[StandardRecord]) -> Result<(), EdgeError> {
        self.begin(inner, SHARED)?; // any record may refer to a shared one
        for record in records {
            let patient = match &record.patient {
                None => SHARED,
                Some(identifier) => self.recognise(inner, identifier)?,
            };
            self.begin(inner, patient)?;
            self.patients.push(patient);
            self.here.insert(record.stable_id, patient);
            if self.versions(inner, patient, &record.stable_id).is_none() {
                let draft = self.drafts.get_mut(&patient).expect("begun above");
                let first = draft.take_number();
                let versions = Versions { first, latest: 0, digest: [0; 16] };
                draft.ids.insert(record.stable_id, versions);
            }
        }
        Ok(())
    }

    fn recognise(
        &mut self,
        inner: &Inner,
        identifier: &Identifier,
    ) -> Result<PatientNo, EdgeError> {
        let alias = inner.alias(identifier);
        if let Some(number) = self.aliases.get(&alias) {
            return Ok(*number);
        }
        if let Some(number) = inner.aliased(&alias)? {
            return Ok(number);
        }
        loop {
            let number = PatientNo(u64::from_be_bytes(crypt::random()));
            if number != SHARED && !inner.is_patient(number)? {
                self.aliases.insert(alias, number);
                return Ok(number);
            }
        }
    }

    fn begin(&mut self, inner: &mut Inner, number: PatientNo) -> Result<(), EdgeError> {
        if self.drafts.contains_key(&number) {
            return Ok(());
        }
        inner.touch(number)?;
        let (key, state) = match inner.patients.get(&number) {
            Some(Patient { key, state, .. }) => {
                (key.clone(), (state.leaf_secret.clone(), state.next_local))
            }
            None => {
                let key = PatientKey::draw(number, &inner.keys.kek);
                let state = PatientState::new(Secret::random());
                (key, (state.leaf_secret, state.next_local))
            }
        };
        let draft = PatientDraft {
            key,
            leaf_secret: state.0,
            next_local: state.1,
            ids: BTreeMap::new(),
            reserved: Vec::new(),
            rows: Vec::new(),
        };
        self.drafts.insert(number, draft);
        Ok(())
    }

    fn versions(&self, inner: &Inner, patient: PatientNo, id: &[u8; 16]) -> Option<Versions> {
        let drafted = self.drafts.get(&patient).and_then(|draft| draft.ids.get(id));
        let stored = || inner.patients.get(&patient).and_then(|known| known.state.ids.get(id));
        drafted.or_else(stored).copied()
    }

    /// Makes the rows; returns where each record is found, be it new or not.
    fn fill(
        &mut self,
        inner: &Inner,
        records: &[StandardRecord],
        coverage: &Coverage,
    ) -> Result<Vec<(PatientNo, u32)>, EdgeError> {
        let patients = self.patients.clone();
        let places = records.iter().zip(patients);
        places
            .map(|(record, patient)| Ok((patient, self.row(inner, record, patient, coverage)?)))
            .collect()
    }

    fn row(
        &mut self,
        inner: &Inner,
        record: &StandardRecord,
        patient: PatientNo,
        coverage: &Coverage,
    ) -> Result<u32, EdgeError> {
        let known = self.versions(inner, patient, &record.stable_id).expect("numbered before");
        let mut resource = record.resource.clone();
        let id = inner.handles.seal(patient, known.first).to_string();
        resource.set("id", Value::string(id));
        drop_last_updated(&mut resource);
        self.rewrite(inner, &mut resource, patient)?;
        let bytes = canonical::to_bytes(&resource);
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(EdgeError::input(
                format!("a {} of more than 15 MiB", record.resource_type),
                "standardized record",
                "split the attachment it carries",
            ));
        }
        let digest = digest(&bytes);
        // Rewriting may have noted other resources, not this one: `known` still holds.
        if known.latest != 0 && known.digest == digest {
            return Ok(known.latest);
        }
        let draft = self.drafts.get_mut(&patient).expect("begun with its number");
        let local_no = if known.latest == 0 { known.first } else { draft.take_number() };
        draft.ids.insert(record.stable_id, Versions { latest: local_no, digest, ..known });
        let handle = |local_no| inner.handles.seal(patient, local_no);
        let meta = RecordMeta {
            handle: handle(local_no),
            prev: (known.latest != 0).then(|| handle(known.latest)),
            kind: record.kind,
            patient_no: patient,
            local_no,
            resource_type: record.resource_type.clone(),
            stable_id: record.stable_id,
            quality: quality_label(record.quality, coverage),
            date: record.date,
            confidentiality: confidentiality(&resource),
            current: true,
        };
        let summary = super::summary::to_bytes(&meta, &record.keywords);
        draft.rows.push(StoredRecord {
            meta,
            bytes,
            keywords: record.keywords.clone(),
            text: record.text.clone(),
            summary,
        });
        Ok(local_no)
    }

    /// Rewrites references `Type/<stable id>` to handles, in place.
    fn rewrite(
        &mut self,
        inner: &Inner,
        value: &mut Value,
        patient: PatientNo,
    ) -> Result<(), EdgeError> {
        match value {
            Value::Array(items) => {
                items.iter_mut().try_for_each(|item| self.rewrite(inner, item, patient))
            }
            Value::Object(members) => {
                members.iter_mut().try_for_each(|(name, value)| match value {
                    Value::String(text) if name == "reference" => {
                        if let Some((kind, id)) = stable_reference(text) {
                            let handle = self.resolve(inner, kind, id, patient);
                            *text = format!("{kind}/{handle}");
                        }
                        Ok(())
                    }
                    value => self.rewrite(inner, value, patient),
                })
            }
            _ => Ok(()),
        }
    }

    /// The handle of a resource that is referred to; one that has not arrived is given its number now.
    ///
    /// A stable id derives from the person's data, so it may not stay in bytes that leave the edge.
    fn resolve(&mut self, inner: &Inner, kind: &str, id: [u8; 16], patient: PatientNo) -> Handle {
        let wanted = [self.here.get(&id).copied(), Some(patient), Some(SHARED)];
        for owner in wanted.into_iter().flatten() {
            if let Some(versions) = self.versions(inner, owner, &id) {
                return inner.handles.seal(owner, versions.first);
            }
        }
        let owner = if SHARED_TYPES.contains(&kind) { SHARED } else { patient };
        let draft = self.drafts.get_mut(&owner).expect("a draft for each patient of the item");
        let first = draft.take_number();
        draft.ids.insert(id, Versions { first, latest: 0, digest: [0; 16] });
        draft.reserved.push((id, first));
        inner.handles.seal(owner, first)
    }

    fn into_change(
        self,
        inner: &mut Inner,
        item: &Item,
        result: ItemResult,
    ) -> Result<Change, EdgeError> {
        let mut owners = Vec::new();
        for owner in &result.owners {
            match self.drafts.get(owner) {
                Some(draft) => owners.push(draft.key.clone()),
                None => {
                    // An item without records belongs to nobody: its bytes go under the shared key.
                    inner.touch(*owner)?;
                    let known = inner.patients.get(owner).map(|patient| patient.key.clone());
                    owners.push(known.unwrap_or_else(|| PatientKey::draw(*owner, &inner.keys.kek)));
                }
            }
        }
        let key = original_block_key(&owners.iter().collect::<Vec<_>>());
        let originals = seal_original(&inner.keys.store_id, &key, item);
        let adds = |draft: &PatientDraft| !draft.rows.is_empty() || !draft.reserved.is_empty();
        let drafts = self.drafts.into_values().filter(adds);
        let mut parts: Vec<RowPart> = drafts.flat_map(row_parts).collect();
        for owner in owners {
            if parts.iter().all(|part| part.key.patient != owner.patient) {
                parts.push(RowPart {
                    key: owner,
                    leaf_secret: Secret::random(),
                    altered: false,
                    reserved: Vec::new(),
                    rows: Vec::new(),
                });
            }
        }
        let aliases = self.aliases.into_iter().collect();
        Ok(Change { item: Some(result), aliases, parts, originals })
    }
}

/// A patient's draft in parts that each fit a block.
fn row_parts(draft: PatientDraft) -> Vec<RowPart> {
    let part = |reserved, rows| RowPart {
        key: draft.key.clone(),
        leaf_secret: draft.leaf_secret.clone(),
        altered: false,
        reserved,
        rows,
    };
    let mut parts = vec![part(draft.reserved.clone(), Vec::new())];
    let mut bytes = 0;
    for row in draft.rows {
        bytes += row.size();
        if bytes > BLOCK_BYTES {
            bytes = row.size();
            parts.push(part(Vec::new(), Vec::new()));
        }
        parts.last_mut().expect("begins with one").rows.push(row);
    }
    parts
}

/// Seals the bytes of an item in pieces: `item_id 16 ‖ varint piece ‖ varint pieces ‖ varint raw_len ‖ zstd frame`.
fn seal_original(store_id: &[u8; 16], key: &BlockKey, item: &Item) -> Vec<Vec<u8>> {
    let pieces: Vec<&[u8]> = item.bytes.chunks(BLOCK_BYTES).collect();
    let seal = |(number, piece): (usize, &&[u8])| {
        let mut image = item.item_id.to_vec();
        put_varint(&mut image, number as u64);
        put_varint(&mut image, pieces.len() as u64);
        row::compress(&mut image, piece, 9);
        block::seal(store_id, key, 0, &image)
    };
    pieces.iter().enumerate().map(seal).collect()
}

/// Opens what [`seal_original`] made.
pub(super) fn read_original(
    store_id: &[u8; 16],
    key: &BlockKey,
    sealed: &[Vec<u8>],
    item_id: &[u8; 16],
) -> Result<Vec<u8>, super::change::FrameError> {
    let (mut bytes, pieces) = (Vec::new(), sealed.len() as u64);
    for (number, sealed) in sealed.iter().enumerate() {
        let image = block::open(store_id, &key.secret, sealed)?;
        let mut reader = Reader::new(&image);
        let named = (reader.array()?, reader.varint()?, reader.varint()?);
        if named != (*item_id, number as u64, pieces) {
            return Err(Malformed.into());
        }
        bytes.extend(row::decompress(&mut reader)?);
    }
    Ok(bytes)
}

/// SHA-256 of canonical bytes, first half.
pub(super) fn digest(bytes: &[u8]) -> [u8; 16] {
    let hash = sha2::digest(&sha2::SHA256, bytes);
    hash.as_ref()[..16].try_into().expect("half of 32 bytes")
}

/// Completeness, conformance, timeliness, coverage, a byte 0–100 each.
///
/// The standardizer's one figure stands for completeness and conformance; timeliness is not measured yet and reads 0;
/// coverage is the mapped share of the item's source leaves.
fn quality_label(quality: u32, coverage: &Coverage) -> u32 {
    let quality = quality.min(100);
    let covered = (coverage.mapped * 100).checked_div(coverage.total()).unwrap_or(100);
    let covered = u32::try_from(covered.min(100)).expect("at most 100");
    quality << 24 | quality << 16 | covered
}

fn drop_last_updated(resource: &mut Value) {
    let Some(meta) = resource.get_mut("meta") else { return };
    meta.remove("lastUpdated");
    if meta.as_object().is_some_and(<[_]>::is_empty) {
        resource.remove("meta");
    }
}

/// The strongest confidentiality among `meta.security`.
fn confidentiality(resource: &Value) -> u8 {
    let labels = resource.get("meta").map_or(&[][..], |meta| meta.items("security"));
    labels
        .iter()
        .filter_map(|label| match label.str_at("code") {
            Some("R") => Some(1),
            Some("V") => Some(2),
            _ => None,
        })
        .max()
        .unwrap_or(0)
}

/// `Type/<UUIDv8>`: the form in which the standardizer names a resource by its stable id.
fn stable_reference(text: &str) -> Option<(&str, [u8; 16])> {
    let (kind, id) = text.split_once('/')?;
    let dashes = [8, 13, 18, 23];
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    let placed = id.len() == 36 && dashes.iter().all(|at| id.as_bytes()[*at] == b'-');
    let bytes = digits.parse::<Handle>().ok().filter(|_| placed)?.0;
    (bytes[6] >> 4 == 8 && bytes[8] >> 6 == 2).then_some((kind, bytes))
}
