//! A record as the vault keeps it, and how rows lie in a frame of the log: quick to write, read once after a crash.
//!
//! ```text
//! log rows = varint raw_len ‖ length-prefixed zstd frame (level 1) of: varint count ‖ row*
//! row = varint local_no ‖ varint first version's ‖ varint previous version's (0 = none) ‖ type ‖ varint quality label
//!     ‖ u8 has_date ‖ [zz date] ‖ u8 confidentiality ‖ canonical bytes
//!     ‖ varint count ‖ {system ‖ code ‖ display ‖ u8 assertion ‖ varint weight}*          texts are length-prefixed
//! ```
//!
//! In segments rows lie in columns (`image.rs`).
use super::{
    codec::{Malformed, Reader, put_bytes, put_signed, put_varint},
    handle::Handles,
    summary,
};
use crate::model::{Assertion, Handle, Keyword, Kind, PatientNo};

/// zstd level in the log: what is written here is written again soon.
const LOG_LEVEL: i32 = 1;

/// What is known of a record without its content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordMeta {
    /// The record's name outside.
    pub handle: Handle,
    /// The version it supersedes.
    pub prev: Option<Handle>,
    /// Its kind.
    pub kind: Kind,
    /// Whose it is; 0 = shared.
    pub patient_no: PatientNo,
    /// Its number among the patient's records, from 1.
    pub local_no: u32,
    /// Number of the resource's first version, whose handle is its FHIR id.
    pub first_no: u32,
    /// FHIR resource type.
    pub resource_type: String,
    /// Completeness, conformance, timeliness, coverage: a byte 0–100 each, first the highest (`contracts.md` 4).
    pub quality: u32,
    /// Clinically relevant moment, seconds since 1970 UTC.
    pub date: Option<i64>,
    /// 0 normal, 1 restricted, 2 very restricted (FHIR `meta.security`, v3-Confidentiality N, R, V).
    pub confidentiality: u8,
    /// Whether no later version exists.
    pub current: bool,
}

/// A record with its content. Debug prints its meta and sizes only.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// What is known without the content.
    pub meta: RecordMeta,
    /// Canonical bytes (`msnet-c14n/1`), ids as handles.
    pub bytes: Vec<u8>,
    /// Concepts found in it.
    pub keywords: Vec<Keyword>,
    /// Canonical summary, hashed into the leaf.
    pub summary: Vec<u8>,
}

impl StoredRecord {
    /// About how many bytes the row takes before compression.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.summary.len() + 64 * (1 + self.keywords.len())
    }
}

impl std::fmt::Debug for StoredRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredRecord")
            .field("handle", &self.meta.handle)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// How a concept was said, by number.
pub(super) const ASSERTIONS: [Assertion; 6] = [
    Assertion::Present,
    Assertion::Negated,
    Assertion::Family,
    Assertion::Past,
    Assertion::Possible,
    Assertion::Hypothetical,
];

/// Makes the rows of a frame.
pub(super) fn to_log(rows: &[StoredRecord], handles: &Handles) -> Vec<u8> {
    let mut raw = Vec::new();
    put_varint(&mut raw, rows.len() as u64);
    rows.iter().for_each(|row| put_row(&mut raw, row, handles));
    let mut out = Vec::new();
    compress(&mut out, &raw);
    out
}

/// Reads the rows of a frame. `current` is left true: the patient's state knows.
pub(super) fn from_log(
    rows: &[u8],
    patient: PatientNo,
    handles: &Handles,
) -> Result<Vec<StoredRecord>, Malformed> {
    let mut reader = Reader::new(rows);
    let raw = decompress(&mut reader)?;
    reader.end()?;
    let mut reader = Reader::new(&raw);
    let count = reader.count()?;
    let rows = (0..count).map(|_| read_row(&mut reader, patient, handles)).collect();
    reader.end()?;
    rows
}

/// Appends `varint raw_len ‖ length-prefixed zstd frame`.
pub(super) fn compress(out: &mut Vec<u8>, raw: &[u8]) {
    put_varint(out, raw.len() as u64);
    let frame = zstd::bulk::compress(raw, LOG_LEVEL).expect("memory to memory");
    put_bytes(out, &frame);
}

/// Reads what [`compress`] wrote.
pub(super) fn decompress(reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    let raw_len = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
    if raw_len > super::MAX_RAW_BYTES {
        return Err(Malformed);
    }
    let raw = zstd::bulk::decompress(reader.bytes()?, raw_len).map_err(|_| Malformed)?;
    if raw.len() == raw_len { Ok(raw) } else { Err(Malformed) }
}

fn put_row(out: &mut Vec<u8>, row: &StoredRecord, handles: &Handles) {
    let meta = &row.meta;
    let prev = meta.prev.and_then(|handle| handles.open(handle)).map_or(0, |(_, local)| local);
    put_varint(out, meta.local_no.into());
    put_varint(out, meta.first_no.into());
    put_varint(out, prev.into());
    put_bytes(out, meta.resource_type.as_bytes());
    put_varint(out, meta.quality.into());
    out.push(meta.date.is_some().into());
    if let Some(date) = meta.date {
        put_signed(out, date);
    }
    out.push(meta.confidentiality);
    put_bytes(out, &row.bytes);
    put_varint(out, row.keywords.len() as u64);
    for keyword in &row.keywords {
        put_bytes(out, keyword.system.as_bytes());
        put_bytes(out, keyword.code.as_bytes());
        put_bytes(out, keyword.display.as_bytes());
        let assertion = ASSERTIONS.iter().position(|a| *a == keyword.assertion);
        out.push(assertion.and_then(|at| at.try_into().ok()).expect("six are listed"));
        put_varint(out, keyword.weight.into());
    }
}

fn read_row(
    reader: &mut Reader<'_>,
    patient_no: PatientNo,
    handles: &Handles,
) -> Result<StoredRecord, Malformed> {
    let (local_no, first_no) = (reader.varint32()?, reader.varint32()?);
    let prev = match reader.varint32()? {
        0 => None,
        local => Some(handles.seal(patient_no, local)),
    };
    let resource_type = reader.text()?;
    let quality = reader.varint32()?;
    let date = match reader.byte()? {
        0 => None,
        _ => Some(reader.signed()?),
    };
    let meta = RecordMeta {
        handle: handles.seal(patient_no, local_no),
        prev,
        kind: Kind::from_resource_type(&resource_type),
        patient_no,
        local_no,
        first_no,
        resource_type,
        quality,
        date,
        confidentiality: reader.byte()?,
        current: true,
    };
    let bytes = reader.bytes()?.to_vec();
    let count = reader.count()?;
    let keywords = (0..count).map(|_| read_keyword(reader)).collect::<Result<Vec<_>, _>>()?;
    let summary = summary::to_bytes(&meta, &keywords);
    Ok(StoredRecord { meta, bytes, keywords, summary })
}

fn read_keyword(reader: &mut Reader<'_>) -> Result<Keyword, Malformed> {
    Ok(Keyword {
        system: reader.text()?,
        code: reader.text()?,
        display: reader.text()?,
        assertion: *ASSERTIONS.get(usize::from(reader.byte()?)).ok_or(Malformed)?,
        weight: reader.varint32()?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vault::crypt::Secret;

    fn handles() -> Handles {
        Handles::new(Secret::new([1; 32]))
    }

    /// A record of patient 5 without content.
    pub(in crate::vault) fn plain_record(local_no: u32) -> StoredRecord {
        let meta = RecordMeta {
            handle: handles().seal(PatientNo(5), local_no),
            prev: None,
            kind: Kind::Condition,
            patient_no: PatientNo(5),
            local_no,
            first_no: local_no,
            resource_type: "Condition".into(),
            quality: 0,
            date: None,
            confidentiality: 0,
            current: true,
        };
        let summary = summary::to_bytes(&meta, &[]);
        StoredRecord { meta, bytes: b"{}".to_vec(), keywords: Vec::new(), summary }
    }

    prop_compose! {
        pub(in crate::vault) fn any_record()(
            local_no in 1_u32.., first_no in 1_u32.., prev in any::<Option<u32>>(),
            quality in any::<u32>(), date in any::<Option<i64>>(), confidentiality in 0_u8..3,
            bytes in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,30}",
            assertion in 0_usize..6, weight in any::<u32>(),
        ) -> StoredRecord {
            let mut record = plain_record(local_no);
            record.meta.prev = prev.filter(|n| *n > 0).map(|n| handles().seal(PatientNo(5), n));
            record.meta.first_no = first_no;
            record.meta.quality = quality;
            record.meta.date = date.map(|date| date >> 20);
            record.meta.confidentiality = confidentiality;
            record.bytes = bytes;
            record.keywords = vec![Keyword {
                system: text.clone(),
                code: "c".into(),
                display: text,
                assertion: ASSERTIONS[assertion],
                weight,
            }];
            record.summary = summary::to_bytes(&record.meta, &record.keywords);
            record
        }
    }

    proptest! {
        #[test]
        fn rows_round_trip(records in proptest::collection::vec(any_record(), 0..6)) {
            let rows = to_log(&records, &handles());
            prop_assert_eq!(from_log(&rows, PatientNo(5), &handles()), Ok(records));
        }

        #[test]
        fn foreign_rows_never_panic(rows in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = from_log(&rows, PatientNo(5), &handles());
        }
    }
}
