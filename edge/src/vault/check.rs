//! `fsck` and the sizes of a store: every block is found, opened and read; what does not fit is named.
use std::collections::HashSet;

use super::{
    Inner, Patient, Vault, block, image, original,
    patient::{Ids, Place},
};
use crate::{
    error::EdgeError,
    stores::{
        local,
        redb::{Table, TableSize},
    },
};

/// How thoroughly to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Headers and checksums of all blocks.
    Quick,
    /// Every block opened and every row read.
    Full,
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Checked {
    /// Patients.
    pub patients: usize,
    /// Blocks of all sorts.
    pub blocks: usize,
    /// Rows read.
    pub records: usize,
    /// What does not fit, with its place and what to do.
    pub findings: Vec<String>,
}

/// What a store takes, by part, in bytes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Sizes {
    /// Records, old versions included.
    pub records: u64,
    /// Patients, the shared records not counted.
    pub patients: u64,
    /// Canonical bytes of all records.
    pub canonical: u64,
    /// Blocks of rows, as they lie on disk: header, padding and tag included.
    pub rows: u64,
    /// How much of `rows` is header, padding and tag.
    pub sealing: u64,
    /// Id tables, sealed.
    pub ids: u64,
    /// Original bytes, sealed, those of several patients included.
    pub originals: u64,
    /// Original bytes as they arrived.
    pub original_bytes: u64,
    /// Blocks that nothing names any more, and headers of segments.
    pub unused: u64,
    /// Keys and values of the catalogue but `pending` and `batches`.
    pub catalogue: u64,
    /// The trees around them, with the room their pages leave free.
    pub catalogue_around: u64,
    /// What anchoring keeps: `pending`, `batches`.
    pub anchoring: u64,
    /// `keys.log`.
    pub key_log: u64,
    /// The log.
    pub log: u64,
}

impl Sizes {
    /// Everything records need: rows, ids, catalogue and keys, without originals and proofs.
    pub const fn all_in(&self) -> u64 {
        self.rows + self.ids + self.catalogue + self.catalogue_around + self.key_log
    }
}

impl Vault {
    /// Looks at everything. `repair` writes `keys.log` anew and removes segments that nothing names; damage is never hidden.
    ///
    /// # Errors
    /// Only if looking itself fails; what does not fit stands in the result.
    pub fn check(&self, depth: Depth, repair: bool) -> Result<Checked, EdgeError> {
        let mut inner = self.inner()?;
        inner.flush()?;
        let mut checked = Checked::default();
        for number in inner.patient_numbers()? {
            checked.patients += 1;
            match inner.load(number) {
                Ok(Some(patient)) => inner.check_patient(&patient, depth, &mut checked),
                Ok(None) => {}
                Err(error) => checked.findings.push(format!("{error}; restore it from a backup")),
            }
        }
        inner.check_joints(&mut checked)?;
        inner.check_aliases(&mut checked)?;
        inner.check_keys(repair, &mut checked)?;
        inner.check_segments(repair, &mut checked)?;
        Ok(checked)
    }

    /// Measures the store.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub fn sizes(&self) -> Result<Sizes, EdgeError> {
        let mut inner = self.inner()?;
        inner.flush()?;
        inner.sizes()
    }
}

impl Inner {
    fn check_patient(&self, patient: &Patient, depth: Depth, checked: &mut Checked) {
        for place in patient.state.places() {
            checked.blocks += 1;
            if let Err(error) = self.check_header(place) {
                let advice = "restore the segment from a backup; other blocks are not concerned";
                checked.findings.push(format!("{error}; {advice}"));
            }
        }
        if depth == Depth::Full {
            let mut read = || -> Result<(), EdgeError> {
                let mut seen = HashSet::new();
                for block in &patient.state.blocks {
                    let rows = self.rows(patient, block.place)?;
                    let locals: Vec<u32> = rows.iter().map(|row| row.meta.local_no).collect();
                    if locals != block.locals {
                        return Err(self
                            .damaged("a block holds other rows than the state says", block.place));
                    }
                    seen.extend(locals);
                }
                checked.records += seen.len();
                let ids: Ids = self.ids_of(patient)?;
                let lost = ids
                    .resources
                    .values()
                    .find(|first| !seen.contains(first) && !patient.state.waiting.contains(first));
                if let Some(first) = lost {
                    let handle = self.handles.seal(patient.key.patient, *first);
                    return Err(EdgeError::integrity(
                        "a record that is known has no row",
                        handle.to_string(),
                    ));
                }
                for (place, _) in &patient.state.originals {
                    let image = self.open_place(patient.key.dek(), *place)?;
                    original::from_image(&image, &self.dictionaries)
                        .map_err(|error| self.damaged(error, *place))?;
                }
                Ok(())
            };
            if let Err(error) = read() {
                checked.findings.push(error.to_string());
            }
        }
    }

    fn check_header(&self, place: Place) -> Result<(), EdgeError> {
        let sealed = self.segments.read(place)?;
        let header = block::read_header(&sealed).map_err(|error| self.damaged(error, place))?;
        if header.block_len() == sealed.len() {
            return Ok(());
        }
        Err(self.damaged("the block's length is not the catalogue's", place))
    }

    fn check_joints(&self, checked: &mut Checked) -> Result<(), EdgeError> {
        self.each_joint(|joint, places| {
            checked.blocks += places.len();
            if let Err(error) = self.joint_original(joint, &places) {
                checked.findings.push(error.to_string());
            }
            Ok(())
        })
    }

    fn check_aliases(&self, checked: &mut Checked) -> Result<(), EdgeError> {
        let known: HashSet<u64> = self.patient_numbers()?.iter().map(|number| number.0).collect();
        let mut lost = 0_usize;
        self.catalogue.scan(Table::Alias, |_, value| {
            let number = value.try_into().map(u64::from_be_bytes);
            lost += usize::from(!number.is_ok_and(|number| known.contains(&number)));
            Ok(())
        })?;
        if lost > 0 {
            checked
                .findings
                .push(format!("{lost} aliases lead to no patient (catalogue.redb, table alias)"));
        }
        Ok(())
    }

    fn check_keys(&self, repair: bool, checked: &mut Checked) -> Result<(), EdgeError> {
        let path = self.dir.join("keys.log");
        let bytes = if path.exists() { local::read(&path)? } else { Vec::new() };
        let logged: HashSet<[u8; 16]> = super::keys::logged_ids(&bytes).into_iter().collect();
        let mut known = HashSet::new();
        for number in self.patient_numbers()? {
            if let Ok(Some(patient)) = self.load(number) {
                known.insert(patient.key.dek_id);
            }
        }
        let (missing, old) = (known.difference(&logged).count(), logged.difference(&known).count());
        if missing + old == 0 {
            return Ok(());
        }
        let what =
            format!("{}: {missing} keys are missing, {old} are no longer in use", path.display());
        if repair {
            self.rewrite_key_log()?;
            checked.findings.push(format!("{what}; written anew"));
        } else {
            checked.findings.push(format!("{what}; --repair writes it anew"));
        }
        Ok(())
    }

    fn check_segments(&mut self, repair: bool, checked: &mut Checked) -> Result<(), EdgeError> {
        let live = self.live_bytes()?;
        let (growing, _) = self.segments.growing();
        let listed = self.segments.list()?;
        let unused = listed.iter().filter(|(n, _)| *n != growing && !live.contains_key(n)).count();
        if unused > 0 && repair {
            self.free_segments()?;
            checked.findings.push(format!("{unused} segments that nothing named were removed"));
        } else if unused > 0 {
            checked
                .findings
                .push(format!("{unused} segments that nothing names; --repair removes them"));
        }
        Ok(())
    }

    pub(super) fn sizes(&self) -> Result<Sizes, EdgeError> {
        let mut sizes = Sizes { patients: self.people()?.len() as u64, ..Sizes::default() };
        for number in self.patient_numbers()? {
            let Some(patient) = self.load(number)? else { continue };
            for block in &patient.state.blocks {
                let length = u64::from(block.place.length);
                let packed = self.open_place(patient.key.dek(), block.place)?;
                sizes.rows += length;
                sizes.sealing += length - packed.len() as u64;
                let number = patient.key.patient;
                let rows = image::from_image(&packed, number, &self.handles, &self.dictionaries);
                for row in rows.map_err(|error| self.damaged(error, block.place))? {
                    sizes.records += 1;
                    sizes.canonical += row.bytes.len() as u64;
                }
            }
            sizes.ids += patient.state.ids.iter().map(|place| u64::from(place.length)).sum::<u64>();
            for (place, _) in &patient.state.originals {
                sizes.originals += u64::from(place.length);
                let packed = self.open_place(patient.key.dek(), *place)?;
                let pieces = original::from_image(&packed, &self.dictionaries);
                let pieces = pieces.map_err(|error| self.damaged(error, *place))?;
                sizes.original_bytes +=
                    pieces.iter().map(|piece| piece.bytes.len() as u64).sum::<u64>();
            }
        }
        self.each_joint(|joint, places| {
            sizes.originals += places.iter().map(|place| u64::from(place.length)).sum::<u64>();
            let bytes = self.joint_original(joint, &places)?;
            sizes.original_bytes += bytes.map_or(0, |bytes| bytes.len() as u64);
            Ok(())
        })?;
        let used = sizes.rows + sizes.ids + sizes.originals;
        sizes.unused = self.segments.total()?.saturating_sub(used);
        for table in Table::ALL {
            let TableSize { stored, around, .. } = self.catalogue.size(table)?;
            if matches!(table, Table::Pending | Table::Batches) {
                sizes.anchoring += stored + around;
            } else {
                sizes.catalogue += stored;
                sizes.catalogue_around += around;
            }
        }
        sizes.key_log = self.dir.join("keys.log").metadata().map_or(0, |meta| meta.len());
        sizes.log = self.wal.len_bytes();
        Ok(sizes)
    }
}
