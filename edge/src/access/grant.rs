//! The documents behind the grants: scopes and terms, which the chain knows by their commitments only.
//!
//! Requests this edge sent and requests it received stand in one sealed file, `grants.sealed`, replaced as a whole on each
//! change: a scope names codes, and codes say what somebody is interested in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

use alloy_primitives::B256;

use super::request::RequestEnvelope;
use crate::{
    error::EdgeError,
    keys::StoreKeys,
    stores::local,
    vault::block::{self, BlockKey},
};

/// Envelopes kept at most; a stranger cannot fill the disk with requests.
const MAX_ENVELOPES: usize = 10_000;

/// Every request with its documents, by grant id.
#[derive(Debug)]
pub struct GrantBook {
    path: PathBuf,
    keys: StoreKeys,
    envelopes: Mutex<BTreeMap<B256, RequestEnvelope>>,
}

impl GrantBook {
    /// Opens `<folder>/grants.sealed`, or begins an empty book.
    ///
    /// # Errors
    /// [`EdgeError::Integrity`] if the file does not open under this edge's keys, [`EdgeError::Io`].
    pub fn open(folder: &Path, keys: &StoreKeys) -> Result<GrantBook, EdgeError> {
        let path = folder.join("grants.sealed");
        let envelopes = if path.exists() {
            let bytes = open_sealed(keys, &path)?;
            serde_json::from_slice(&bytes).map_err(|e| {
                EdgeError::integrity(format!("the book of grants does not read: {e}"), shown(&path))
            })?
        } else {
            BTreeMap::new()
        };
        Ok(GrantBook { path, keys: keys.clone(), envelopes: Mutex::new(envelopes) })
    }

    /// Keeps a checked envelope under its grant's id; repeating it changes nothing.
    ///
    /// # Errors
    /// [`EdgeError::Io`] if it cannot be written, [`EdgeError::Storage`] if the book is full.
    pub fn keep(&self, grant_id: B256, envelope: RequestEnvelope) -> Result<(), EdgeError> {
        let mut envelopes = self.lock();
        if envelopes.contains_key(&grant_id) {
            return Ok(());
        }
        if envelopes.len() >= MAX_ENVELOPES {
            return Err(EdgeError::storage(
                "the book of grants holds 10,000 requests",
                shown(&self.path),
                "answer or archive old requests",
            ));
        }
        envelopes.insert(grant_id, envelope);
        let bytes =
            serde_json::to_vec(&*envelopes).map_err(|e| EdgeError::Internal(e.to_string()))?;
        write_sealed(&self.keys, &self.path, &bytes).inspect_err(|_| {
            envelopes.remove(&grant_id);
        })
    }

    /// The envelope of a grant.
    pub fn get(&self, grant_id: B256) -> Option<RequestEnvelope> {
        self.lock().get(&grant_id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<B256, RequestEnvelope>> {
        self.envelopes.lock().expect("no holder of the lock panics")
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Reads a file sealed with the edge's store key.
///
/// # Errors
/// [`EdgeError::Integrity`] if it does not open, [`EdgeError::Io`].
pub fn open_sealed(keys: &StoreKeys, path: &Path) -> Result<Vec<u8>, EdgeError> {
    let bytes = local::read(path)?;
    block::open(&keys.store_id, &keys.store, &bytes)
        .map(|image| image.to_vec())
        .map_err(|e| EdgeError::integrity(e.to_string(), shown(path)))
}

/// Replaces a file by `bytes`, sealed with the edge's store key.
///
/// # Errors
/// [`EdgeError::Storage`] above 16 MiB, [`EdgeError::Io`].
pub fn write_sealed(keys: &StoreKeys, path: &Path, bytes: &[u8]) -> Result<(), EdgeError> {
    if bytes.len() > block::MAX_IMAGE_BYTES {
        return Err(EdgeError::storage(
            "a sealed file holds 16 MiB at most",
            shown(path),
            "ask for smaller pages",
        ));
    }
    let key = BlockKey {
        dek_id: [0; 16],
        epoch: 0,
        flags: block::FLAG_STORE_KEY,
        secret: keys.store.clone(),
    };
    local::replace(path, &block::seal(&keys.store_id, &key, 0, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;

    #[test]
    fn a_sealed_file_comes_back_and_shows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::create(folder.path(), None).unwrap();
        let path = folder.path().join("x.sealed");
        write_sealed(keys.store_keys(), &path, b"DOID:9351 asked for").unwrap();
        let raw = std::fs::read(&path).unwrap();
        assert!(!raw.windows(4).any(|w| w == b"9351"));
        assert_eq!(open_sealed(keys.store_keys(), &path).unwrap(), b"DOID:9351 asked for");
        let mut changed = raw;
        let last = changed.len() - 1;
        changed[last] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert!(open_sealed(keys.store_keys(), &path).is_err());
        let book = GrantBook::open(folder.path(), keys.store_keys()).unwrap();
        assert!(book.get(B256::ZERO).is_none());
        std::fs::write(folder.path().join("grants.sealed"), b"not sealed").unwrap();
        assert!(GrantBook::open(folder.path(), keys.store_keys()).is_err());
    }
}
