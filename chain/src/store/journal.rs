//! `signer.journal`: what this key signed, on disk before anybody hears of it.
//!
//! One seal per *parent*. One per height would be wrong: after a switch to a lower head the only eligible signer may have
//! sealed that height elsewhere, and the chain would stall.

use std::{collections::BTreeMap, path::Path};

use alloy_primitives::{Address, B256};

use crate::{
    disk::{Disk, parent},
    error::ChainError,
    log::{BeginsAppend, Tail, frame_bytes, io_error, open_segment, segment_header},
    store::schema::{SealFrame, decode, kind, with_kind},
};

/// Seals kept in memory: far more than a reorganisation can reach back to.
const KEPT_SEALS: usize = 4_096;

/// A longer file is rewritten with the kept seals when it opens, so that a start stays quick: four times their bytes.
const REWRITE_BYTES: u64 = 4 * 4_096 * 140;

/// The seals of this node's keys.
#[derive(Debug)]
pub struct Journal {
    /// (number, signer, parent) → what was sealed.
    seals: BTreeMap<(u64, Address, B256), SealFrame>,
    tail: Option<Tail>,
}

impl Journal {
    /// A journal without a file.
    pub const fn in_memory() -> Self {
        Self { seals: BTreeMap::new(), tail: None }
    }

    /// Opens the journal, or starts one; a torn tail is cut off.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`], [`ChainError::IncompatibleGenesis`], [`ChainError::Io`].
    pub fn open(disk: &dyn Disk, path: &Path, genesis: B256) -> Result<Self, ChainError> {
        let mut journal = Self::in_memory();
        let begins_append: BeginsAppend = |_| true;
        let end = open_segment(disk, path, genesis, 0, Some(begins_append), &mut |_, payload| {
            if let Some((&kind::SEAL, bytes)) = payload.split_first() {
                journal.remember(decode("seal frame", bytes)?);
            }
            Ok(())
        })?;
        disk.sync_folder(parent(path)).map_err(|error| io_error("sync", parent(path), error))?;
        let end = if end > REWRITE_BYTES { journal.rewrite(disk, path, genesis)? } else { end };
        journal.tail = Some(Tail::open(disk, path, end)?);
        Ok(journal)
    }

    /// Replaces the file by one that holds what is kept in memory. Returns its length.
    fn rewrite(&self, disk: &dyn Disk, path: &Path, genesis: B256) -> Result<u64, ChainError> {
        let mut bytes = segment_header(genesis).to_vec();
        for seal in self.seals.values() {
            bytes.extend(frame_bytes(&with_kind(kind::SEAL, seal)));
        }
        disk.replace(path, &bytes).map_err(|error| io_error("replace", path, error))?;
        Ok(bytes.len() as u64)
    }

    /// What this key sealed on a parent, if it did.
    pub fn sealed_on(&self, signer: Address, number: u64, parent: B256) -> Option<&SealFrame> {
        self.seals.get(&(number, signer, parent))
    }

    /// True if any seal of this key is known.
    pub fn knows(&self, signer: Address) -> bool {
        self.seals.keys().any(|(_, sealer, _)| *sealer == signer)
    }

    /// True if this key sealed any block of this height: the question that must not be asked.
    #[cfg(test)]
    pub(crate) fn has_sealed_number(&self, signer: Address, number: u64) -> bool {
        self.seals.keys().any(|(sealed, by, _)| *sealed == number && *by == signer)
    }

    /// Records a seal; durable when it returns. Recording the same seal again is no error.
    ///
    /// # Errors
    /// [`ChainError::AlreadySealed`] if the key sealed another block on the same parent; [`ChainError::Io`].
    pub fn record(&mut self, seal: SealFrame) -> Result<(), ChainError> {
        match self.sealed_on(seal.signer, seal.number, seal.parent_hash) {
            Some(earlier) if *earlier == seal => return Ok(()),
            Some(_) => {
                let SealFrame { signer, parent_hash: parent, .. } = seal;
                return Err(ChainError::AlreadySealed { signer, parent });
            }
            None => {}
        }
        #[cfg(test)]
        if crate::planted::is(crate::planted::Bug::JournalNotSynced) {
            self.remember(seal);
            return Ok(());
        }
        if let Some(tail) = &mut self.tail {
            tail.append(&frame_bytes(&with_kind(kind::SEAL, &seal)))?;
        }
        self.remember(seal);
        Ok(())
    }

    /// Number of seals in memory.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.seals.len()
    }

    fn remember(&mut self, seal: SealFrame) {
        self.seals.insert((seal.number, seal.signer, seal.parent_hash), seal);
        while self.seals.len() > KEPT_SEALS {
            self.seals.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{OsDisk, SimDisk};

    fn seal(number: u64, parent: u8, block: u8) -> SealFrame {
        SealFrame {
            signer: Address::repeat_byte(1),
            parent_hash: B256::repeat_byte(parent),
            number,
            seal_hash: B256::repeat_byte(block),
            block_hash: B256::repeat_byte(block),
        }
    }

    #[test]
    fn one_seal_per_parent_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signer.journal");
        let genesis = B256::repeat_byte(9);
        let mut journal = Journal::open(&OsDisk, &path, genesis).unwrap();
        journal.record(seal(5, 4, 50)).unwrap();
        journal.record(seal(5, 3, 51)).unwrap();
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(&[1, 2, 3]);
        std::fs::write(&path, bytes).unwrap();

        let mut journal = Journal::open(&OsDisk, &path, genesis).unwrap();
        assert_eq!(
            journal.sealed_on(Address::repeat_byte(1), 5, B256::repeat_byte(3)),
            Some(&seal(5, 3, 51))
        );
        journal.record(seal(5, 4, 50)).unwrap();
        let error = journal.record(seal(5, 4, 52)).unwrap_err();
        assert!(matches!(error, ChainError::AlreadySealed { .. }), "{error}");
        assert!(Journal::open(&OsDisk, &path, B256::ZERO).is_err());
    }

    #[test]
    fn a_long_journal_is_rewritten_and_keeps_the_newest() {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new("/j")).unwrap();
        let (path, genesis) = (Path::new("/j/signer.journal"), B256::repeat_byte(9));
        let mut journal = Journal::open(&disk, path, genesis).unwrap();
        let count = 5 * KEPT_SEALS as u64;
        for number in 1..=count {
            journal.record(seal(number, 4, 50)).unwrap();
        }
        drop(journal);
        let long = disk.used();
        assert!(long > REWRITE_BYTES, "{long}");
        let mut journal = Journal::open(&disk, path, genesis).unwrap();
        assert!(disk.cut(1).used() < long / 3);
        let (signer, parent) = (Address::repeat_byte(1), B256::repeat_byte(4));
        for number in [count, count - KEPT_SEALS as u64 + 1] {
            assert!(journal.sealed_on(signer, number, parent).is_some());
        }
        journal.record(seal(count + 1, 4, 50)).unwrap();
        let journal = Journal::open(&disk.cut(2), path, genesis).unwrap();
        assert!(journal.sealed_on(signer, count + 1, parent).is_some());
    }
}
