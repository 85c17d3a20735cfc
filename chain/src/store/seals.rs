//! The signer's journal seen from outside: what each key sealed last, and how an operator puts the journal away.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256};

use super::{
    schema::{SealFrame, decode, kind},
    take_lock,
};
use crate::{
    disk::{Disk, OpenMode},
    error::ChainError,
    log::{
        io_error,
        scan::{ScanEnd, scan_file},
    },
};

/// What a journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seals {
    /// How many seals of each key there are, and the last one written.
    pub by_signer: BTreeMap<Address, (u64, SealFrame)>,
    /// Where it stops being readable, and why.
    pub broken: Option<String>,
}

/// Reads a journal and changes nothing; a node may run.
///
/// # Errors
/// [`ChainError::IncompatibleGenesis`], [`ChainError::Io`].
pub fn seals(disk: &dyn Disk, folder: &Path, genesis: B256) -> Result<Seals, ChainError> {
    let path = folder.join("signer.journal");
    let mut found = Seals::default();
    match disk.open(&path, OpenMode::Read) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(io_error("open", &path, error)),
    }
    let mut wrong = None;
    let end = scan_file(disk, &path, genesis, 0, &mut |offset, payload| {
        let seal = match payload.split_first() {
            Some((&kind::SEAL, bytes)) => decode::<SealFrame>("seal frame", bytes),
            _ => return Ok(()),
        };
        match seal {
            Ok(seal) => {
                let entry = found.by_signer.entry(seal.signer).or_insert((0, seal));
                *entry = (entry.0 + 1, seal);
            }
            Err(error) => {
                wrong.get_or_insert_with(|| format!("offset {offset}: {error}"));
            }
        }
        Ok(())
    })?;
    found.broken = match end {
        ScanEnd::Broken { offset, reason, .. } => {
            Some(wrong.unwrap_or_else(|| format!("offset {offset}: {reason}")))
        }
        ScanEnd::Whole(_) => wrong,
    };
    Ok(found)
}

/// Puts the journal away under a name ending in `stamp`; the next start begins an empty one. The answer is its path.
///
/// # Errors
/// [`ChainError::DatadirInUse`], [`ChainError::Io`].
pub fn set_aside(disk: &dyn Disk, folder: &Path, stamp: u64) -> Result<PathBuf, ChainError> {
    let _lock = take_lock(disk, &folder.join("LOCK"))?;
    let path = folder.join("signer.journal");
    let to = folder.join(format!("signer.journal.{stamp}"));
    let run = disk.rename(&path, &to).and_then(|()| disk.sync_folder(folder));
    run.map_err(|error| io_error("rename", &path, error))?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{disk::OsDisk, store::journal::Journal};

    fn seal(number: u64) -> SealFrame {
        let hash = B256::from(alloy_primitives::U256::from(number));
        SealFrame {
            signer: Address::repeat_byte(1),
            parent_hash: hash,
            number,
            seal_hash: hash,
            block_hash: hash,
        }
    }

    #[test]
    fn the_last_seal_is_shown_and_the_journal_put_away_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (path, genesis) = (folder.path().join("signer.journal"), B256::repeat_byte(9));
        assert_eq!(seals(&OsDisk, folder.path(), genesis).unwrap(), Seals::default());
        let mut journal = Journal::open(&OsDisk, &path, genesis).unwrap();
        for number in [5, 6, 4] {
            journal.record(seal(number)).unwrap();
        }
        drop(journal);
        let found = seals(&OsDisk, folder.path(), genesis).unwrap();
        assert_eq!(found.by_signer, [(Address::repeat_byte(1), (3, seal(4)))].into());
        assert_eq!(found.broken, None);

        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let found = seals(&OsDisk, folder.path(), genesis).unwrap();
        assert_eq!(found.by_signer[&Address::repeat_byte(1)].0, 2);
        assert!(found.broken.unwrap().contains("checksum"));

        let kept = set_aside(&OsDisk, folder.path(), 17).unwrap();
        assert_eq!(std::fs::read(kept).unwrap(), bytes);
        assert!(!path.exists());
    }
}
