//! What an item brings: patients are recognised, records numbered, references rewritten, and all of it becomes one change.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Inner, Patient, RecordMeta, SHARED, Vault, block,
    change::{Change, Joint, Part},
    crypt::{self, Secret},
    dictionary::WRITE_LEVEL,
    flush::BLOCK_BYTES,
    keys::{PatientKey, joint_block_key},
    original::{self, Piece},
    patient::{ItemEntry, PatientState, ResourceKey},
    row::StoredRecord,
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
    /// Its records, those that were there already included; of a repeated item those of its patients.
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
        let accepted = self.accept_all(std::slice::from_ref(standardized))?.remove(0);
        self.flush_if_due()?;
        accepted
    }

    /// Stores items with one fsync: when this returns, all that were accepted are on disk. Each has its own result.
    /// The caller flushes when it has looked at them ([`Vault::flush_if_due`]).
    ///
    /// # Errors
    /// If the store does not work: then none of them is acknowledged. Those of one item stand in its place.
    pub fn accept_all(
        &self,
        items: &[Standardized],
    ) -> Result<Vec<Result<Accepted, EdgeError>>, EdgeError> {
        let mut inner = self.inner()?;
        let mut payloads = Vec::new();
        let taken: Vec<_> = items.iter().map(|item| inner.take_in(item, &mut payloads)).collect();
        if !payloads.is_empty() {
            inner.append(&payloads)?;
        }
        Ok(taken)
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
        let mut inner = self.inner()?;
        let (number, local_no) = inner.handles.open(handle).ok_or_else(unknown)?;
        let mut record = inner.record(number, local_no)?.ok_or_else(unknown)?;
        let mut content = json::parse(&record.bytes)
            .map_err(|error| EdgeError::integrity(error.to_string(), format!("record {handle}")))?;
        alter(&mut content);
        record.bytes = canonical::to_bytes(&content);
        inner.touch(number)?;
        let patient = inner.patients.get(&number).ok_or_else(unknown)?;
        let mut part = Part::of(patient.key.clone(), patient.state.leaf_secret.clone());
        part.altered = true;
        part.rows = vec![record];
        let change = Change { parts: vec![part], ..Change::default() };
        let payload = change.to_payload(&inner.keys, &inner.handles);
        inner.append(&[payload])?;
        inner.apply(change);
        Ok(())
    }
}

impl Inner {
    /// Takes an item into memory and adds its frame; the caller makes the frames durable before anything is told.
    fn take_in(
        &mut self,
        standardized: &Standardized,
        payloads: &mut Vec<Vec<u8>>,
    ) -> Result<Accepted, EdgeError> {
        let issues = standardized.issues.clone();
        let item = &standardized.item;
        let mut draft = Draft::default();
        draft.number(self, &standardized.records)?;
        if let Some(places) = self.known_item(item, &draft)? {
            let records = self.metas(&places)?;
            return Ok(Accepted { records, repeated: true, issues });
        }
        let places = draft.fill(self, &standardized.records, &standardized.coverage)?;
        let change = draft.into_change(self, item, &standardized.records, &places)?;
        payloads.push(change.to_payload(&self.keys, &self.handles));
        self.apply(change);
        let records = self.metas(&places)?;
        Ok(Accepted { records, repeated: false, issues })
    }

    /// What an item became when it came first, by the patients that are recognised in it.
    fn known_item(
        &self,
        item: &Item,
        draft: &Draft,
    ) -> Result<Option<Vec<(PatientNo, u32)>>, EdgeError> {
        let key = original::key_of(&item.item_id);
        let mut places = None;
        for number in draft.drafts.keys() {
            let known = self.patients.get(number).and_then(|patient| patient.ids.item(&key));
            if let Some(entry) = known {
                let locals = entry.locals.iter().map(|local| (*number, *local));
                places.get_or_insert_with(Vec::new).extend(locals);
            }
        }
        Ok(places)
    }

    fn metas(&self, places: &[(PatientNo, u32)]) -> Result<Vec<RecordMeta>, EdgeError> {
        let mut metas = Vec::new();
        for (number, local_no) in places {
            let patient = self.patients.get(number);
            match patient.and_then(|patient| Some((patient, patient.fresh.get(local_no)?))) {
                Some((patient, row)) => metas.push(patient.marked_meta(row.meta.clone())),
                None => metas.extend(self.record(*number, *local_no)?.map(|record| record.meta)),
            }
        }
        Ok(metas)
    }

    fn alias(&self, identifier: &Identifier) -> [u8; 16] {
        let parts = [identifier.system.as_bytes(), &[0], identifier.value.as_bytes()];
        let hash = crypt::hmac(&self.keys.alias, &parts);
        hash[..16].try_into().expect("half of 32 bytes")
    }

    fn resource_key(&self, stable_id: &[u8; 16]) -> ResourceKey {
        let hash = crypt::hmac(&self.keys.alias, &[b"msnet stable id v1", stable_id]);
        hash[..8].try_into().expect("a quarter of 32 bytes")
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
    /// Numbers from here on are given by this item.
    start: u32,
    /// Resources that this item names first.
    named: Vec<(ResourceKey, u32)>,
    known: HashMap<ResourceKey, u32>,
    /// First → latest version, of the resources this item brings.
    latest: BTreeMap<u32, u32>,
    rows: Vec<StoredRecord>,
}

impl PatientDraft {
    fn take_number(&mut self) -> u32 {
        let local_no = self.next_local;
        self.next_local += 1;
        local_no
    }

    fn name(&mut self, key: ResourceKey) -> u32 {
        let first = self.take_number();
        self.named.push((key, first));
        self.known.insert(key, first);
        first
    }
}

/// What one item adds.
#[derive(Default, Debug)]
struct Draft {
    drafts: BTreeMap<PatientNo, PatientDraft>,
    aliases: BTreeMap<[u8; 16], PatientNo>,
    /// The patient and the first version's number of each record, in the order of the records.
    places: Vec<(PatientNo, u32)>,
    /// Where each resource of this item is found: references between them hold whatever their order.
    here: BTreeMap<ResourceKey, PatientNo>,
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
            let key = inner.resource_key(&record.stable_id);
            self.here.insert(key, patient);
            let known = self.first(inner, patient, &key);
            let draft = self.drafts.get_mut(&patient).expect("begun above");
            self.places.push((patient, known.unwrap_or_else(|| draft.name(key))));
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
        let (key, leaf_secret, next_local) = match inner.patients.get(&number) {
            Some(Patient { key, state, .. }) => {
                (key.clone(), state.leaf_secret.clone(), state.next_local)
            }
            None => {
                let key = PatientKey::draw(number, &inner.keys.kek);
                let state = PatientState::new(Secret::random());
                (key, state.leaf_secret, state.next_local)
            }
        };
        let draft = PatientDraft {
            key,
            leaf_secret,
            next_local,
            start: next_local,
            named: Vec::new(),
            known: HashMap::new(),
            latest: BTreeMap::new(),
            rows: Vec::new(),
        };
        self.drafts.insert(number, draft);
        Ok(())
    }

    /// The first version's number of a resource, if the patient has it or this item names it.
    fn first(&self, inner: &Inner, patient: PatientNo, key: &ResourceKey) -> Option<u32> {
        let stored = inner.patients.get(&patient).and_then(|known| known.ids.resources.get(key));
        let drafted = || self.drafts.get(&patient)?.known.get(key);
        stored.or_else(drafted).copied()
    }

    /// The latest version of a resource, if one has arrived.
    fn latest(&self, inner: &Inner, patient: PatientNo, first: u32) -> Option<u32> {
        let draft = self.drafts.get(&patient)?;
        if let Some(latest) = draft.latest.get(&first) {
            return Some(*latest);
        }
        if first >= draft.start {
            return None;
        }
        inner.patients.get(&patient)?.state.latest(first)
    }

    /// Makes the rows; returns where each record is found, be it new or not.
    fn fill(
        &mut self,
        inner: &Inner,
        records: &[StandardRecord],
        coverage: &Coverage,
    ) -> Result<Vec<(PatientNo, u32)>, EdgeError> {
        let places = records.iter().zip(self.places.clone());
        places
            .map(|(record, (patient, first))| {
                Ok((patient, self.row(inner, record, patient, first, coverage)?))
            })
            .collect()
    }

    fn row(
        &mut self,
        inner: &Inner,
        record: &StandardRecord,
        patient: PatientNo,
        first_no: u32,
        coverage: &Coverage,
    ) -> Result<u32, EdgeError> {
        let mut resource = record.resource.clone();
        let id = inner.handles.seal(patient, first_no).to_string();
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
        let latest = self.latest(inner, patient, first_no);
        if let Some(latest) = latest
            && self.is_same(inner, patient, latest, &bytes)?
        {
            return Ok(latest);
        }
        let draft = self.drafts.get_mut(&patient).expect("begun with its number");
        let local_no = if latest.is_none() { first_no } else { draft.take_number() };
        draft.latest.insert(first_no, local_no);
        let handle = |local_no| inner.handles.seal(patient, local_no);
        let meta = RecordMeta {
            handle: handle(local_no),
            prev: latest.map(handle),
            kind: record.kind,
            patient_no: patient,
            local_no,
            first_no,
            resource_type: record.resource_type.clone(),
            quality: quality_label(record.quality, coverage),
            date: record.date,
            confidentiality: confidentiality(&resource),
            current: true,
        };
        let summary = super::summary::to_bytes(&meta, &record.keywords);
        draft.rows.push(StoredRecord { meta, bytes, keywords: record.keywords.clone(), summary });
        Ok(local_no)
    }

    /// Whether a version has these bytes.
    fn is_same(
        &self,
        inner: &Inner,
        patient: PatientNo,
        local_no: u32,
        bytes: &[u8],
    ) -> Result<bool, EdgeError> {
        let drafted = self.drafts.get(&patient).map_or(&[][..], |draft| &draft.rows);
        match drafted.iter().find(|row| row.meta.local_no == local_no) {
            Some(row) => Ok(row.bytes == bytes),
            None => Ok(inner.record(patient, local_no)?.is_some_and(|row| row.bytes == bytes)),
        }
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
        let key = inner.resource_key(&id);
        let wanted = [self.here.get(&key).copied(), Some(patient), Some(SHARED)];
        for owner in wanted.into_iter().flatten() {
            if let Some(first) = self.first(inner, owner, &key) {
                return inner.handles.seal(owner, first);
            }
        }
        let owner = if SHARED_TYPES.contains(&kind) { SHARED } else { patient };
        let draft = self.drafts.get_mut(&owner).expect("a draft for each patient of the item");
        let first = draft.name(key);
        inner.handles.seal(owner, first)
    }

    fn into_change(
        self,
        inner: &Inner,
        item: &Item,
        records: &[StandardRecord],
        places: &[(PatientNo, u32)],
    ) -> Result<Change, EdgeError> {
        let of_somebody = records.iter().zip(places).filter(|(r, _)| r.patient.is_some());
        let mut owners: BTreeSet<PatientNo> =
            of_somebody.map(|(_, (patient, _))| *patient).collect();
        if owners.is_empty() {
            owners.insert(SHARED); // an item that belongs to nobody: its bytes go under the shared key
        }
        let joint = (owners.len() > 1).then(|| {
            let keys: Vec<&PatientKey> =
                owners.iter().map(|owner| &self.drafts[owner].key).collect();
            Joint {
                item_id: item.item_id,
                owners: owners.iter().copied().collect(),
                sealed: seal_joint(inner, &keys, item),
            }
        });
        let mut parts = Vec::new();
        for (number, draft) in self.drafts {
            let locals: Vec<u32> = places
                .iter()
                .filter(|(owner, _)| *owner == number)
                .map(|(_, local)| *local)
                .collect();
            let owns = owners.contains(&number);
            let key = original::key_of(&item.item_id);
            let entry = owns.then(|| ItemEntry { key, joint: joint.is_some(), locals });
            let pieces = if owns && joint.is_none() { original::pieces(item) } else { Vec::new() };
            if entry.is_some() || !draft.named.is_empty() || !draft.rows.is_empty() {
                parts.extend(draft_parts(draft, entry, pieces));
            }
        }
        Ok(Change { joint, aliases: self.aliases.into_iter().collect(), parts })
    }
}

/// A patient's draft in parts that each fit a block.
fn draft_parts(draft: PatientDraft, item: Option<ItemEntry>, pieces: Vec<Piece>) -> Vec<Part> {
    let mut first = Part::of(draft.key, draft.leaf_secret);
    first.named = draft.named;
    first.item = item;
    let mut parts = vec![first];
    let mut bytes = 0;
    for row in draft.rows {
        bytes += row.size();
        if bytes > BLOCK_BYTES {
            bytes = row.size();
            parts.push(parts[0].another());
        }
        parts.last_mut().expect("begins with one").rows.push(row);
    }
    for piece in pieces {
        bytes += piece.bytes.len();
        if bytes > BLOCK_BYTES || parts.last().is_some_and(|part| part.piece.is_some()) {
            bytes = piece.bytes.len();
            parts.push(parts[0].another());
        }
        parts.last_mut().expect("begins with one").piece = Some(piece);
    }
    parts
}

/// Seals the bytes of an item under the keys of several patients.
fn seal_joint(inner: &Inner, keys: &[&PatientKey], item: &Item) -> Vec<Vec<u8>> {
    let key = joint_block_key(keys);
    let newest = inner.dictionaries.newest();
    let seal = |piece: &Piece| {
        let image = original::to_image(&[piece], newest, WRITE_LEVEL);
        block::seal(&inner.keys.store_id, &key, 0, &image)
    };
    original::pieces(item).iter().map(seal).collect()
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
