//! A record's leaf, and the proof that it stands in an anchored batch.
//!
//! Nonces and salt are `HKDF-Expand-SHA-256(leaf_secret, label ‖ handle, 32)` of the patient's leaf secret; nothing is
//! stored per record. The leaf is always computed from the record's current bytes: a record that was changed after
//! anchoring gives a leaf that does not prove, which [`Anchors::proof`] notices before anything is handed out.
use std::sync::Arc;

use alloy_primitives::{B256, FixedBytes};
use contracts::leaf::{RecordLeaf, Tree, commit, leaf_hash};

use super::{Anchors, Inner, batch::SCHEMA};
use crate::{
    error::EdgeError,
    model::Handle,
    stores::local,
    vault::{
        StoredRecord,
        crypt::{self, Secret},
    },
};

/// Leaf format 1: `msnet-c14n/1` JSON.
const FORMAT: u16 = 1;
/// Version of the leaf.
const LEAF_VERSION: u16 = 1;

/// All that a stranger needs, beside the content and the anchored root, to check one record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordProof {
    /// The batch.
    pub batch_seq: u64,
    /// The leaf's position in it.
    pub index: u32,
    /// The leaf, made from the record as it is now.
    pub leaf: RecordLeaf,
    /// Opens `leaf.contentHash` to the canonical bytes.
    pub content_nonce: B256,
    /// Opens `leaf.summaryHash` to the canonical summary.
    pub summary_nonce: B256,
    /// Siblings on the way to the root, the leaf's level first.
    pub siblings: Vec<B256>,
    /// The batch's root, as this edge anchored it.
    pub root: B256,
}

/// What hides a leaf's content, and tells equal content apart.
pub(super) struct LeafSecrets {
    content_nonce: B256,
    summary_nonce: B256,
    salt: B256,
}

impl LeafSecrets {
    fn derive(leaf_secret: &Secret, handle: Handle) -> Self {
        let word =
            |label: &[u8]| B256::new(*crypt::expand(leaf_secret, &[label, &handle.0]).expose());
        Self {
            content_nonce: word(b"msnet content nonce v1"),
            summary_nonce: word(b"msnet summary nonce v1"),
            salt: word(b"msnet leaf salt v1"),
        }
    }
}

/// The leaf of a record (`contracts.md` 4).
pub(super) fn leaf(record: &StoredRecord, secrets: &LeafSecrets, consent_epoch: u32) -> RecordLeaf {
    let meta = &record.meta;
    RecordLeaf {
        version: LEAF_VERSION,
        handle: FixedBytes(meta.handle.0),
        prevHandle: meta.prev.map_or(FixedBytes::ZERO, |handle| FixedBytes(handle.0)),
        kind: meta.kind.code(),
        schema: SCHEMA,
        format: FORMAT,
        contentHash: commit("msnet/content/1", secrets.content_nonce, &record.bytes),
        summaryHash: commit("msnet/summary/1", secrets.summary_nonce, &record.summary),
        qualityLabel: meta.quality,
        consentEpoch: consent_epoch,
        salt: secrets.salt,
    }
}

impl Anchors {
    /// The proof of a record, or `None` if it is unknown or not in a batch yet.
    ///
    /// # Errors
    /// [`EdgeError::Integrity`] naming the record if it no longer matches its leaf (unless [`Anchors::set_insider`] is
    /// on), or naming the leaves file if that is damaged.
    pub fn proof(&self, handle: Handle) -> Result<Option<RecordProof>, EdgeError> {
        let Some(record) = self.vault.get(handle)? else { return Ok(None) };
        self.proof_of(&record)
    }

    /// [`Anchors::proof`] of a record that was read already.
    ///
    /// # Errors
    /// As [`Anchors::proof`].
    pub fn proof_of(&self, record: &StoredRecord) -> Result<Option<RecordProof>, EdgeError> {
        let handle = record.meta.handle;
        let mut inner = self.inner();
        let Some((batch_seq, index)) = inner.positions.get(&handle).copied() else {
            return Ok(None);
        };
        let row = inner.batches.get(&batch_seq).expect("positions name known batches");
        let (root, size_log2, epoch) = (row.root, row.size_log2, row.consent_epoch);
        let tree = self.tree(&mut inner, batch_seq, root)?;
        let siblings =
            tree.proof(index as usize).map_err(|e| EdgeError::Internal(e.to_string()))?;
        let secrets = self.leaf_secrets(record)?;
        let leaf = leaf(record, &secrets, epoch);
        let proves = contracts::leaf::verify(root, size_log2, leaf_hash(&leaf), index, &siblings);
        if !proves && !self.insider.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(EdgeError::integrity(
                "the record is not the one that was anchored, so it is not handed out",
                format!("record {handle}, batch {batch_seq}"),
            ));
        }
        let LeafSecrets { content_nonce, summary_nonce, .. } = secrets;
        Ok(Some(RecordProof {
            batch_seq,
            index,
            leaf,
            content_nonce,
            summary_nonce,
            siblings,
            root,
        }))
    }

    pub(super) fn leaf_secrets(&self, record: &StoredRecord) -> Result<LeafSecrets, EdgeError> {
        let secret = self.vault.leaf_secret(record.meta.patient_no)?.ok_or_else(|| {
            EdgeError::integrity("the record's patient is unknown", record.meta.handle.to_string())
        })?;
        Ok(LeafSecrets::derive(&secret, record.meta.handle))
    }

    /// A batch's tree, read from its leaves file and checked against its root.
    fn tree(&self, inner: &mut Inner, seq: u64, root: B256) -> Result<Arc<Tree>, EdgeError> {
        if let Some((known, tree)) = &inner.tree
            && *known == seq
        {
            return Ok(Arc::clone(tree));
        }
        let path = self.leaves_path(seq);
        let bytes = local::read(&path)?;
        let leaves: Vec<B256> = bytes.chunks_exact(32).map(B256::from_slice).collect();
        let tree = Tree::new(&leaves).ok().filter(|tree| tree.root() == root);
        let tree = Arc::new(tree.ok_or_else(|| {
            EdgeError::integrity(
                "the leaves do not give the batch's root",
                path.display().to_string(),
            )
        })?);
        inner.tree = Some((seq, Arc::clone(&tree)));
        Ok(tree)
    }
}
