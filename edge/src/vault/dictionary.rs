//! What records of many patients have in common, as a dictionary for zstd: shapes, codes, names, units.
//!
//! A byte string enters only if 11 distinct patients hold it, so nothing of one erased person survives there. Dictionaries
//! are sealed with the store key in table `shared` (number BE8 → content); a block names the one it was packed with.
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
};

use super::codec::{Malformed, Reader, put_bytes, put_varint};
use crate::model::PatientNo;

/// Patients that must hold a byte string before it is shared.
pub(super) const SHARED_BY: usize = 11;
/// Content of one dictionary.
const MAX_BYTES: usize = 112 << 10;
/// The shortest string worth sharing: a match costs about three bytes.
const MIN_BYTES: usize = 6;
/// Distinct strings that are counted, about 50 MB of them.
const MAX_HELD: usize = 200_000;
/// Levels that dictionaries are prepared for: when written, and when packed anew at leisure.
const LEVELS: [i32; 2] = [WRITE_LEVEL, REST_LEVEL];
/// zstd level of blocks when written.
pub(super) const WRITE_LEVEL: i32 = 9;
/// zstd level of blocks that are packed anew.
pub(super) const REST_LEVEL: i32 = 19;

/// One dictionary, prepared.
pub(super) struct Dictionary {
    pub(super) number: u64,
    packers: [EncoderDictionary<'static>; 2],
    unpacker: DecoderDictionary<'static>,
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dictionary").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The dictionaries of a store; number 0 is none.
#[derive(Clone, Default, Debug)]
pub(super) struct Dictionaries(BTreeMap<u64, Arc<Dictionary>>);

impl Dictionaries {
    /// Adds a dictionary under its number.
    pub(super) fn add(&mut self, number: u64, content: &[u8]) {
        let dictionary = Dictionary {
            number,
            packers: LEVELS.map(|level| EncoderDictionary::copy(content, level)),
            unpacker: DecoderDictionary::copy(content),
        };
        self.0.insert(number, Arc::new(dictionary));
    }

    /// The newest: new blocks are packed with it.
    pub(super) fn newest(&self) -> Option<&Dictionary> {
        self.0.last_key_value().map(|(_, dictionary)| &**dictionary)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Unpacks what [`pack`] packed.
    pub(super) fn unpack(&self, reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
        let number = reader.varint()?;
        let raw_len = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
        if raw_len > super::MAX_RAW_BYTES {
            return Err(Malformed);
        }
        let frame = reader.bytes()?;
        let raw = match number {
            0 => zstd::bulk::decompress(frame, raw_len),
            number => {
                let dictionary = self.0.get(&number).ok_or(Malformed)?;
                Decompressor::with_prepared_dictionary(&dictionary.unpacker)
                    .and_then(|mut unpacker| unpacker.decompress(frame, raw_len))
            }
        };
        raw.ok().filter(|raw| raw.len() == raw_len).ok_or(Malformed)
    }
}

/// Appends `varint dictionary ‖ varint raw_len ‖ length-prefixed zstd frame`, without checksum or content size.
pub(super) fn pack(out: &mut Vec<u8>, raw: &[u8], dictionary: Option<&Dictionary>, level: i32) {
    let packer = match dictionary {
        Some(dictionary) => {
            let at = LEVELS.iter().position(|l| *l == level).unwrap_or(0);
            Compressor::with_prepared_dictionary(&dictionary.packers[at])
        }
        None => Compressor::new(level),
    };
    let frame = packer.and_then(|mut packer| {
        packer.include_contentsize(false)?;
        packer.include_checksum(false)?;
        packer.compress(raw)
    });
    put_varint(out, dictionary.map_or(0, |dictionary| dictionary.number));
    put_varint(out, raw.len() as u64);
    put_bytes(out, &frame.expect("memory to memory"));
}

/// Counts who holds what, then makes a dictionary of what enough patients hold.
#[derive(Default, Debug)]
pub(super) struct Learner {
    holders: HashMap<Vec<u8>, Holders>,
    patients: HashSet<PatientNo>,
}

/// Who holds a byte string: exactly as many as it takes to share it, above that about.
#[derive(Default, Debug)]
struct Holders {
    distinct: Vec<PatientNo>,
    times: u32,
}

impl Learner {
    /// A patient holds these byte strings.
    pub(super) fn see<'a>(&mut self, patient: PatientNo, entries: impl Iterator<Item = &'a [u8]>) {
        self.patients.insert(patient);
        for entry in entries.filter(|entry| (MIN_BYTES..=4_096).contains(&entry.len())) {
            let full = self.holders.len() >= MAX_HELD;
            let holders = match self.holders.get_mut(entry) {
                Some(holders) => holders,
                None if full => continue,
                None => self.holders.entry(entry.to_vec()).or_default(),
            };
            holders.times += 1;
            if holders.distinct.len() < SHARED_BY && !holders.distinct.contains(&patient) {
                holders.distinct.push(patient);
            }
        }
    }

    /// How many patients were seen.
    pub(super) fn patients(&self) -> usize {
        self.patients.len()
    }

    /// The content of a dictionary, the most useful at its end, where a match costs least; `None` if there is little.
    pub(super) fn content(self) -> Option<Vec<u8>> {
        let mut shared: Vec<(u32, Vec<u8>)> = self
            .holders
            .into_iter()
            .filter(|(_, holders)| holders.distinct.len() >= SHARED_BY)
            .map(|(entry, holders)| (holders.times, entry))
            .collect();
        shared.sort_unstable();
        let mut left = MAX_BYTES;
        let kept = shared.into_iter().rev().take_while(|(_, entry)| {
            left = left.saturating_sub(entry.len());
            left > 0
        });
        let mut kept: Vec<Vec<u8>> = kept.map(|(_, entry)| entry).collect();
        kept.reverse();
        let content = kept.concat();
        (content.len() >= 512).then_some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_eleven_patients_hold_is_shared() {
        let mut learner = Learner::default();
        let common: Vec<String> = (0..80).map(|n| format!("common entry {n}")).collect();
        for patient in 0..11 {
            learner.see(PatientNo(patient), common.iter().map(String::as_bytes));
            for rare in ["held by ten", "held twice by ten"] {
                let who = patient.min(9); // the tenth holds it twice
                learner.see(PatientNo(who), [rare.as_bytes()].into_iter());
            }
        }
        let content = String::from_utf8(learner.content().expect("enough")).expect("text");
        assert!(content.contains("common entry 79") && !content.contains("held"), "{content}");

        let mut dictionaries = Dictionaries::default();
        dictionaries.add(3, content.as_bytes());
        let raw = common[40..60].concat().into_bytes();
        let (mut with, mut without) = (Vec::new(), Vec::new());
        pack(&mut with, &raw, dictionaries.newest(), WRITE_LEVEL);
        pack(&mut without, &raw, None, WRITE_LEVEL);
        assert!(with.len() < without.len() / 2, "{} {}", with.len(), without.len());
        assert_eq!(dictionaries.unpack(&mut Reader::new(&with)), Ok(raw.clone()));
        assert_eq!(dictionaries.unpack(&mut Reader::new(&without)), Ok(raw));
        assert!(Dictionaries::default().unpack(&mut Reader::new(&with)).is_err());
    }
}
