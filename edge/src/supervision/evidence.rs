//! The evidence bundle: one canonical JSON file that the complaint commits to (`protocol.md` 7).
//!
//! `evidenceHash = commit("msnet/evidence/1", nonce, file bytes)`; the file stays at this edge under the case's id. It holds
//! digests, proofs and the signed offer, no record. The case's id is the digest of the complaint, which names this hash, so
//! the file cannot contain it; the delivery it is about (`subject`) stands in its place. Sealing a copy for each panel
//! member comes with panels.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, hex};
use contracts::leaf::commit;
use serde_json::{Value, json};

use super::BadLeaf;
use crate::{
    access::request::canonical_bytes, delivery::random_bytes, error::EdgeError, onchain::Chain,
    stores::local,
};

/// A bundle ready to be committed to.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The file's bytes, canonical.
    pub bytes: Vec<u8>,
    /// `evidenceHash`.
    pub hash: B256,
}

/// The bundle for a record that contradicts its owner's root.
///
/// # Errors
/// [`EdgeError::Internal`] if it has no canonical bytes.
pub fn bad_leaf(
    proof: &BadLeaf,
    offer_hash: B256,
    signer: Address,
    signature: &str,
    preimage: &[u8],
    chain: &Chain,
) -> Result<Bundle, EdgeError> {
    let items = json!([
        {"id": "offer", "kind": "document", "doc": proof.offer, "hash": offer_hash,
         "signer": signer, "signature": signature},
        {"id": "entry", "kind": "entry", "index": proof.entry_index,
         "inst": proof.entry.inst, "batchSeq": proof.entry.batchSeq, "position": proof.entry.index,
         "leaf": proof.entry.leaf, "proofHash": proof.entry.proofHash, "proof": proof.entry_proof},
        {"id": "leaf", "kind": "leaf", "bytes": hex::encode_prefixed(preimage),
         "proof": proof.leaf_proof},
    ]);
    let claims = json!([
        {"type": "OFFERED", "items": ["offer"], "statement": "the owner signed this offer"},
        {"type": "BAD_LEAF", "items": ["offer", "entry", "leaf"],
         "statement": "the leaf was delivered under this offer and does not prove against the owner's anchored root"},
    ]);
    bundle(proof.offer.delivery_id(), &items, &claims, chain.chain_id(), chain.genesis_hash())
}

fn bundle(
    subject: B256,
    items: &Value,
    claims: &Value,
    chain_id: u64,
    genesis_hash: B256,
) -> Result<Bundle, EdgeError> {
    let nonce = B256::from(random_bytes::<32>()?);
    let bytes = canonical_bytes(&json!({
        "v": 1, "chainId": chain_id, "genesisHash": genesis_hash, "subject": subject,
        "nonce": nonce, "claims": claims, "items": items, "anchors": [],
    }))?;
    let hash = commit("msnet/evidence/1", nonce, &bytes);
    Ok(Bundle { bytes, hash })
}

impl Bundle {
    /// Writes the bundle to `<folder>/<case id>.json`, before the complaint is sent.
    ///
    /// # Errors
    /// [`EdgeError::Io`].
    pub fn keep(&self, folder: &Path, case_id: B256) -> Result<PathBuf, EdgeError> {
        local::create_folder(folder)?;
        let path = folder.join(format!("{}.json", hex::encode(case_id)));
        local::replace(&path, &self.bytes)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_commits_to_the_files_bytes() {
        let made = bundle(B256::repeat_byte(1), &json!([]), &json!([]), 1337, B256::ZERO).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = made.keep(folder.path(), B256::repeat_byte(2)).unwrap();
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes, made.bytes);
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let nonce = value["nonce"].as_str().unwrap().parse().unwrap();
        assert_eq!(commit("msnet/evidence/1", nonce, &bytes), made.hash);
        assert_ne!(commit("msnet/evidence/1", B256::ZERO, &bytes), made.hash);
        let again = bundle(B256::repeat_byte(1), &json!([]), &json!([]), 1337, B256::ZERO).unwrap();
        assert_ne!(again.hash, made.hash, "a fresh nonce each time");
    }
}
