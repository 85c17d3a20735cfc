//! A key per patient, wrapped by the KEK; to erase a patient is to forget the key.
//!
//! ```text
//! entry    = dek_id 16 ‖ patient_no BE8 ‖ epoch LE4 ‖ wrapped DEK 40 (AES-256-KWP)              68 bytes
//! keys.log = { entry ‖ u32 CRC-32C of the entry }*                                              72 bytes each
//! ```
//!
//! An entry stands in the catalogue, in `keys.log` (from which a lost catalogue can be rebuilt), and in each frame of the
//! write-ahead log that needs it. All of it is random to whoever lacks the KEK.
use std::{fs::OpenOptions, io::Write, path::Path};

use super::{
    block::{BlockKey, FLAG_JOINT_KEY, FLAG_STORE_KEY},
    codec::{Malformed, Reader},
    crypt::{self, Secret, WRAPPED_BYTES},
};
use crate::{error::EdgeError, keys::StoreKeys, model::PatientNo, stores::local};

/// Length of an entry without its checksum.
const ENTRY_BYTES: usize = 68;
const JOINT_LABEL: &[u8] = b"msnet vault joint key v1";

/// A patient's data-encryption key (DEK), wrapped and open.
#[derive(Clone, Debug)]
pub(super) struct PatientKey {
    pub(super) patient: PatientNo,
    pub(super) dek_id: [u8; 16],
    pub(super) epoch: u32,
    wrapped: [u8; WRAPPED_BYTES],
    dek: Secret,
}

impl PatientKey {
    /// Draws a key for a new patient.
    pub(super) fn draw(patient: PatientNo, kek: &Secret) -> Self {
        let dek = Secret::random();
        let wrapped = crypt::wrap(kek, &dek);
        Self { patient, dek_id: crypt::random(), epoch: 0, wrapped, dek }
    }

    /// The same patient's next key.
    pub(super) fn next(&self, kek: &Secret) -> Self {
        Self { epoch: self.epoch + 1, ..Self::draw(self.patient, kek) }
    }

    /// The same key, wrapped by another KEK.
    pub(super) fn wrapped_by(&self, kek: &Secret) -> Self {
        Self { wrapped: crypt::wrap(kek, &self.dek), ..self.clone() }
    }

    pub(super) fn to_entry(&self) -> Vec<u8> {
        let mut entry = Vec::with_capacity(ENTRY_BYTES);
        entry.extend_from_slice(&self.dek_id);
        entry.extend_from_slice(&self.patient.0.to_be_bytes());
        entry.extend_from_slice(&self.epoch.to_le_bytes());
        entry.extend_from_slice(&self.wrapped);
        entry
    }

    /// Reads an entry and opens its key.
    pub(super) fn read(reader: &mut Reader<'_>, keys: &StoreKeys) -> Result<Self, Malformed> {
        let dek_id = reader.array()?;
        let patient = PatientNo(u64::from_be_bytes(reader.array()?));
        let epoch = u32::from_le_bytes(reader.array()?);
        let wrapped = reader.array()?;
        let previous = || crypt::unwrap(keys.previous_kek.as_ref()?, &wrapped).ok();
        let dek = crypt::unwrap(&keys.kek, &wrapped).ok().or_else(previous).ok_or(Malformed)?;
        Ok(Self { patient, dek_id, epoch, wrapped, dek })
    }

    /// For sealing this patient's blocks.
    pub(super) fn block_key(&self) -> BlockKey {
        BlockKey { dek_id: self.dek_id, epoch: self.epoch, flags: 0, secret: self.dek.clone() }
    }

    pub(super) fn dek(&self) -> &Secret {
        &self.dek
    }
}

/// For sealing what belongs to no patient.
pub(crate) fn store_block_key(keys: &StoreKeys) -> BlockKey {
    BlockKey { dek_id: [0; 16], epoch: 0, flags: FLAG_STORE_KEY, secret: keys.store.clone() }
}

/// The key of the original bytes of an item with several patients.
///
/// It is derived from all their DEKs, in the order of their numbers, so that forgetting any one of them makes the whole file
/// unreadable; nobody's text survives in somebody else's original.
pub(super) fn joint_block_key(owners: &[&PatientKey]) -> BlockKey {
    let joined = owners.iter().fold(Secret::new([0; 32]), |so_far, owner| {
        Secret::new(crypt::hmac(owner.dek(), &[JOINT_LABEL, so_far.expose()]))
    });
    BlockKey { dek_id: [0; 16], epoch: 0, flags: FLAG_JOINT_KEY, secret: joined }
}

/// Appends entries to `keys.log`, durably.
pub(super) fn append_log(path: &Path, keys: &[&PatientKey]) -> Result<(), EdgeError> {
    if keys.is_empty() {
        return Ok(());
    }
    let bytes: Vec<u8> = keys.iter().flat_map(|key| checked(&key.to_entry())).collect();
    let append = || {
        let mut options: OpenOptions = local::private();
        let mut file = options.create(true).append(true).open(path)?;
        // A torn last entry would shift all that follow: cut it first.
        let length = file.metadata()?.len();
        file.set_len(length - length % (ENTRY_BYTES as u64 + 4))?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        local::sync_folder(path)
    };
    append().map_err(|source| EdgeError::io(path, source))
}

/// Rewrites `keys.log` without the entries of one patient.
pub(super) fn forget(path: &Path, patient: PatientNo) -> Result<(), EdgeError> {
    if !path.exists() {
        return Ok(());
    }
    let bytes = local::read(path)?;
    let other = |entry: &&[u8]| entry[16..24] != patient.0.to_be_bytes();
    let kept: Vec<u8> =
        bytes.chunks_exact(ENTRY_BYTES + 4).filter(other).flatten().copied().collect();
    local::replace(path, &kept)
}

/// Replaces `keys.log` as a whole.
pub(super) fn replace_log(path: &Path, keys: &[PatientKey]) -> Result<(), EdgeError> {
    let bytes: Vec<u8> = keys.iter().flat_map(|key| checked(&key.to_entry())).collect();
    local::replace(path, &bytes)
}

/// The ids of the keys in the bytes of `keys.log`, those with a wrong checksum left out.
pub(super) fn logged_ids(bytes: &[u8]) -> Vec<[u8; 16]> {
    let whole = bytes.chunks_exact(ENTRY_BYTES + 4).filter(|e| checked(&e[..ENTRY_BYTES]) == **e);
    whole.map(|entry| entry[..16].try_into().expect("16 of 72 bytes")).collect()
}

fn checked(entry: &[u8]) -> Vec<u8> {
    [entry, &crc32c::crc32c(entry).to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_round_trip_under_the_same_kek_only() {
        let (_dir, keys) = crate::vault::vault_test::folder();
        let mut keys = keys.store_keys().clone();
        let key = PatientKey::draw(PatientNo(77), &keys.kek);
        let entry = key.to_entry();
        assert_eq!(entry.len(), ENTRY_BYTES);
        let read = PatientKey::read(&mut Reader::new(&entry), &keys).expect("ours");
        assert_eq!((read.dek(), read.patient), (key.dek(), PatientNo(77)));
        keys.previous_kek = Some(std::mem::replace(&mut keys.kek, Secret::random()));
        assert!(PatientKey::read(&mut Reader::new(&entry), &keys).is_ok(), "while a KEK rotates");
        keys.previous_kek = None;
        assert!(PatientKey::read(&mut Reader::new(&entry), &keys).is_err());
    }

    #[test]
    fn a_forgotten_key_is_gone_from_the_log() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("keys.log");
        let kek = Secret::random();
        let (a, b) = (PatientKey::draw(PatientNo(1), &kek), PatientKey::draw(PatientNo(2), &kek));
        append_log(&path, &[&a]).expect("written");
        append_log(&path, &[&b]).expect("written");
        forget(&path, PatientNo(1)).expect("rewritten");
        assert_eq!(local::read(&path).expect("there"), checked(&b.to_entry()));
    }

    #[test]
    fn a_joint_key_needs_every_owner() {
        let kek = Secret::random();
        let [a, b, c] = [1, 2, 3].map(|n| PatientKey::draw(PatientNo(n), &kek));
        let joint = joint_block_key(&[&a, &b]);
        assert_eq!(joint.secret, joint_block_key(&[&a, &b]).secret);
        assert_ne!(joint.secret, joint_block_key(&[&a, &c]).secret);
        assert_ne!(joint.secret, joint_block_key(&[&a]).secret);
    }
}
