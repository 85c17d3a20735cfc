//! Complaints from this institution's side: evidence kept, a rule asked, the answer read back.
//!
//! A record whose leaf does not prove needs no judge: `DeliveryLedger.proveBadLeaf` takes the signed offer's fields, the
//! record's entry and its two proofs, and finds by itself that the owner contradicts its own root. A complaint about it is
//! then closed by rule in one call that anyone may send. [`evidence`] is the bundle a complaint commits to.

pub mod evidence;

use alloy_primitives::{B256, FixedBytes};
use contracts::typed_data::Complaint;
use contracts::{codes::complaint_kind, networks, typed_data};

use crate::{
    delivery::{frame, offer::OfferDoc, random_bytes},
    error::EdgeError,
    onchain::InstId,
};
use contracts::leaf::DeliveryEntry;

/// What `proveBadLeaf` takes: everything about one delivered record that contradicts its owner's root.
#[derive(Debug, Clone)]
pub struct BadLeaf {
    /// The offer whose `ptRoot` the entry proves to.
    pub offer: OfferDoc,
    /// The record's entry.
    pub entry: DeliveryEntry,
    /// Its position among the delivery's entries.
    pub entry_index: u32,
    /// From the entry to `ptRoot`.
    pub entry_proof: Vec<B256>,
    /// From the leaf to the root the owner claims.
    pub leaf_proof: Vec<B256>,
}

impl BadLeaf {
    /// The proof about the frame at `index` of a delivery.
    ///
    /// # Errors
    /// [`EdgeError::Input`] if the delivery has no such frame.
    pub fn of(
        offer: &OfferDoc,
        frames: &[frame::Frame],
        index: usize,
    ) -> Result<BadLeaf, EdgeError> {
        let missing = || {
            EdgeError::input(
                format!("the delivery has no record {index}"),
                "record",
                "name a record of the delivery",
            )
        };
        let frame = frames.get(index).ok_or_else(missing)?;
        let tree = frame::entry_tree(frames).map_err(|e| EdgeError::Internal(e.to_string()))?;
        Ok(BadLeaf {
            offer: offer.clone(),
            entry: frame.entry(),
            entry_index: u32::try_from(index).map_err(|_| missing())?,
            entry_proof: tree.proof(index).map_err(|_| missing())?,
            leaf_proof: frame.siblings.clone(),
        })
    }
}

/// A complaint that a delivery's content does not match what was anchored.
///
/// # Errors
/// [`EdgeError::Internal`] if the system has no randomness.
pub fn hash_mismatch(
    complainant: InstId,
    respondent: InstId,
    delivery_id: B256,
    evidence_hash: B256,
    happened_at: u64,
) -> Result<Complaint, EdgeError> {
    Ok(Complaint {
        complainant: FixedBytes(complainant.0),
        respondent: FixedBytes(respondent.0),
        kind: complaint_kind::HASH_MISMATCH,
        subject: delivery_id,
        evidenceHash: evidence_hash,
        happenedAt: happened_at,
        salt: B256::from(random_bytes::<32>()?),
    })
}

/// A complaint's id: its digest.
pub fn case_id(complaint: &Complaint, chain_id: u64) -> B256 {
    let domain = typed_data::domain("Supervision", chain_id, networks::SUPERVISION);
    typed_data::digest(complaint, &domain)
}

/// A ruling in a word.
pub fn ruling_name(ruling: u8) -> &'static str {
    match ruling {
        1 => "upheld",
        2 => "dismissed",
        3 => "abusive",
        4 => "not proven",
        _ => "open",
    }
}

/// A severity in a word.
pub fn severity_name(severity: u8) -> &'static str {
    match severity {
        1 => "minor",
        2 => "major",
        3 => "critical",
        _ => "none",
    }
}

/// A sanction's level in words (`contracts.md` 3.11).
pub fn level_name(level: u8) -> &'static str {
    match level {
        1 => "warned",
        2 => "request quota cut",
        3 => "may not request",
        4 => "suspended",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::leaf::{leaf_hash, verify};

    #[test]
    fn the_proof_leads_from_the_record_to_the_offer() {
        let frames: Vec<frame::Frame> = (0..3)
            .map(|index| frame::Frame {
                inst: [0xaa; 16].into(),
                batch_seq: 1,
                index,
                preimage: [1; 384],
                content_nonce: B256::ZERO,
                siblings: vec![B256::repeat_byte(5); 4],
                content: vec![],
            })
            .collect();
        let offer = OfferDoc {
            grant_id: B256::ZERO,
            seq: 1,
            ct_root: B256::ZERO,
            pt_root: frame::entry_tree(&frames).unwrap().root(),
            size: 1,
            chunk_count: 1,
            key_commit: B256::ZERO,
            recv_key: B256::ZERO,
            offered_at: 1,
            receipt_by: 2,
            key_within: 1,
            ack_within: 1,
            salt: B256::ZERO,
        };
        let proof = BadLeaf::of(&offer, &frames, 2).unwrap();
        let depth = u8::try_from(proof.entry_proof.len()).unwrap();
        assert!(verify(offer.pt_root, depth, leaf_hash(&proof.entry), 2, &proof.entry_proof));
        assert!(!verify(offer.pt_root, depth, leaf_hash(&proof.entry), 1, &proof.entry_proof));
        assert_eq!(proof.entry.proofHash, contracts::leaf::proof_hash(&proof.leaf_proof));
        assert!(BadLeaf::of(&offer, &frames, 3).is_err());
    }
}
