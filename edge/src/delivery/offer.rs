//! The messages of a delivery and the documents in them: pull, offer, receipt, key.
//!
//! An envelope carries an EIP-712 document, the account that signed it and the signature. Integers are JSON numbers (all
//! far below 2^53), 32-byte values `0x` hex, longer bytes base64url (`protocol.md` 2).

use alloy_primitives::{Address, B256, Uint, keccak256};
use alloy_sol_types::SolValue;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::{
    networks,
    typed_data::{self, DeliveryOffer, Receipt},
};
use serde::{Deserialize, Serialize};

use super::{
    container::{Container, ContentKey},
    frame::{self, Frame},
};
use crate::{
    error::EdgeError,
    onchain::submit::{AccountKey, recover},
};

/// How long the recipient has for its receipt: 72 hours.
pub const RECEIPT_WITHIN_SECS: u64 = 259_200;
/// How long the owner then has for the key: 24 hours.
pub const KEY_WITHIN_SECS: u32 = 86_400;
/// How long the recipient then has to acknowledge: 72 hours.
pub const ACK_WITHIN_SECS: u32 = 259_200;

/// B → A: what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// Under which grant.
    pub grant_id: B256,
    /// The next number within it.
    pub seq: u32,
    /// A fresh X25519 public key, used once.
    pub recv_key: B256,
    /// Which page of the granted records.
    pub page: u32,
    /// Longest plaintext wanted.
    pub max_bytes: u64,
}

/// An offer's fields as JSON has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferDoc {
    /// Under which grant.
    pub grant_id: B256,
    /// Number within it.
    pub seq: u32,
    /// Root over the ciphertext's chunks.
    pub ct_root: B256,
    /// Root over the plaintext's entries.
    pub pt_root: B256,
    /// Bytes of the container.
    pub size: u64,
    /// Chunks of the container.
    pub chunk_count: u32,
    /// Commitment to the key.
    pub key_commit: B256,
    /// To which key it will be sealed.
    pub recv_key: B256,
    /// Offered at this second.
    pub offered_at: u64,
    /// A receipt counts until then.
    pub receipt_by: u64,
    /// Seconds from receipt to key.
    pub key_within: u32,
    /// Seconds from key to acknowledgement.
    pub ack_within: u32,
    /// Makes the digest unguessable.
    pub salt: B256,
}

impl OfferDoc {
    /// The document that is signed.
    ///
    /// # Errors
    /// [`EdgeError::Input`] if a window is longer than 24 bits hold.
    pub fn document(&self) -> Result<DeliveryOffer, EdgeError> {
        let window = |secs: u32, name: &str| {
            Uint::<24, 1>::try_from(secs).map_err(|_| {
                EdgeError::input(format!("{secs} s is too long"), name, "give 30 days at most")
            })
        };
        Ok(DeliveryOffer {
            grantId: self.grant_id,
            seq: self.seq,
            ctRoot: self.ct_root,
            ptRoot: self.pt_root,
            size: self.size,
            chunkCount: self.chunk_count,
            keyCommit: self.key_commit,
            recvKey: self.recv_key,
            offeredAt: self.offered_at,
            receiptBy: self.receipt_by,
            keyWithin: window(self.key_within, "keyWithin")?,
            ackWithin: window(self.ack_within, "ackWithin")?,
            salt: self.salt,
        })
    }

    /// The offer's digest and id.
    ///
    /// # Errors
    /// As for [`OfferDoc::document`].
    pub fn hash(&self, chain_id: u64) -> Result<B256, EdgeError> {
        Ok(digest(&self.document()?, chain_id))
    }

    /// The delivery this is the offer of.
    pub fn delivery_id(&self) -> B256 {
        delivery_id(self.grant_id, self.seq)
    }
}

/// A receipt's fields as JSON has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptDoc {
    /// For which delivery.
    pub delivery_id: B256,
    /// For which offer.
    pub offer_hash: B256,
    /// The ciphertext root as the recipient computed it.
    pub ct_root: B256,
    /// Received at this second.
    pub received_at: u64,
}

impl ReceiptDoc {
    /// The digest that is signed.
    pub fn hash(&self, chain_id: u64) -> B256 {
        let document = Receipt {
            deliveryId: self.delivery_id,
            offerHash: self.offer_hash,
            ctRoot: self.ct_root,
            receivedAt: self.received_at,
        };
        digest(&document, chain_id)
    }
}

/// A signed document on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<D> {
    /// The document's fields.
    pub doc: D,
    /// The account that signed.
    pub signer: Address,
    /// `r ‖ s ‖ v`, base64url.
    pub signature: String,
}

impl<D> Envelope<D> {
    /// Signs `digest`, which must be that of `doc`.
    pub fn sign(doc: D, digest: B256, key: &AccountKey) -> Envelope<D> {
        let signature = URL_SAFE_NO_PAD.encode(key.sign(digest));
        Envelope { doc, signer: key.address(), signature }
    }

    /// Checks that `signer` signed `digest`; whose account that is, only the chain can say.
    ///
    /// # Errors
    /// [`EdgeError::Input`] if not.
    pub fn check(&self, digest: B256, what: &str) -> Result<(), EdgeError> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.signature).unwrap_or_default();
        match recover(digest, &bytes) {
            Ok(address) if address == self.signer => Ok(()),
            _ => Err(EdgeError::input(
                format!("{} did not sign this", self.signer),
                what,
                "sign the document's EIP-712 digest with the account named as signer",
            )),
        }
    }
}

/// A → B: the signed offer and how many records it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferEnvelope {
    /// The signed document.
    #[serde(flatten)]
    pub offer: Envelope<OfferDoc>,
    /// Records in it.
    pub records: u32,
}

/// A → B: the sealed key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyEnvelope {
    /// HPKE `enc ‖ ciphertext`, base64url.
    pub sealed_key: String,
}

/// A delivery packed and offered, kept by its owner until it is fetched.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The offer.
    pub doc: OfferDoc,
    /// The ciphertext.
    pub container: Container,
    /// Its key, not yet given.
    pub key: ContentKey,
}

/// Packs frames into a container under a fresh key.
///
/// # Errors
/// [`EdgeError::Internal`] if the frames are out of order, [`EdgeError::Input`] if they are too large together.
pub fn pack(pull: &PullRequest, frames: &[Frame], now: u64) -> Result<Packed, EdgeError> {
    let plaintext = frame::encode(frames)?;
    let key = ContentKey::random()?;
    let prefix = super::random_bytes()?;
    let container = Container::seal(&key, pull.grant_id, pull.seq, prefix, &plaintext)?;
    let tree = frame::entry_tree(frames).map_err(|e| EdgeError::Internal(e.to_string()))?;
    let doc = OfferDoc {
        grant_id: pull.grant_id,
        seq: pull.seq,
        ct_root: container.ct_root()?,
        pt_root: tree.root(),
        size: container.size(),
        chunk_count: container.header.chunk_count,
        key_commit: key.commitment(),
        recv_key: pull.recv_key,
        offered_at: now,
        receipt_by: now + RECEIPT_WITHIN_SECS,
        key_within: KEY_WITHIN_SECS,
        ack_within: ACK_WITHIN_SECS,
        salt: B256::from(super::random_bytes::<32>()?),
    };
    Ok(Packed { doc, container, key })
}

/// `keccak256(abi.encode(grantId, seq))`.
pub fn delivery_id(grant_id: B256, seq: u32) -> B256 {
    keccak256((grant_id, seq).abi_encode())
}

/// Digest of a document of DeliveryLedger.
pub fn digest<D: alloy_sol_types::SolStruct>(document: &D, chain_id: u64) -> B256 {
    let domain = typed_data::domain("DeliveryLedger", chain_id, networks::DELIVERY_LEDGER);
    typed_data::digest(document, &domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    const GRANT: B256 = b256!("5b517b5d47d7aa6bc3a04d379bc0d542a07c858831858c79dbc57885d06f99fc");

    fn published() -> OfferDoc {
        OfferDoc {
            grant_id: GRANT,
            seq: 1,
            ct_root: B256::repeat_byte(4),
            pt_root: B256::repeat_byte(5),
            size: 73_816,
            chunk_count: 2,
            key_commit: b256!("5f30d839cba93366d169ff2ad4fc0d62623acb98cfbd5e6c75614d4c90e41bbe"),
            recv_key: b256!("a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209"),
            offered_at: 1_800_000_100,
            receipt_by: 1_800_259_300,
            key_within: 86_400,
            ack_within: 259_200,
            salt: B256::repeat_byte(6),
        }
    }

    #[test]
    fn the_published_offer() {
        let doc = published();
        assert_eq!(
            doc.hash(1337).unwrap(),
            b256!("a994e015dd6f27014e573d9cb535bb028527357477244de3f78825d0a9defc43")
        );
        assert_eq!(
            doc.delivery_id(),
            b256!("986a9c9141218c3f732190866fc1fc123cfc938a66195a7a9f1c24d9517210c3")
        );
        assert_ne!(doc.hash(1338).unwrap(), doc.hash(1337).unwrap());
        let long = OfferDoc { key_within: 1 << 24, ..doc };
        assert!(long.hash(1337).is_err());
    }

    #[test]
    fn an_envelope_counts_for_its_digest_and_signer_alone() {
        let key = AccountKey::from_bytes(&[5; 32]).unwrap();
        let digest = published().hash(1337).unwrap();
        let envelope = Envelope::sign(published(), digest, &key);
        assert!(envelope.check(digest, "offer").is_ok());
        assert!(envelope.check(B256::ZERO, "offer").is_err());
        let other = Envelope { signer: Address::ZERO, ..envelope.clone() };
        assert!(other.check(digest, "offer").is_err());
        let offer = OfferEnvelope { offer: envelope, records: 3 };
        let text = serde_json::to_string(&offer).unwrap();
        assert!(text.contains("\"ctRoot\":\"0x0404"), "{text}");
        assert_eq!(serde_json::from_str::<OfferEnvelope>(&text).unwrap(), offer);
    }

    #[test]
    fn packing_commits_to_what_it_holds() {
        let frame = Frame {
            inst: [1; 16].into(),
            batch_seq: 1,
            index: 3,
            preimage: [2; 384],
            content_nonce: B256::ZERO,
            siblings: vec![B256::ZERO; 4],
            content: b"{}".to_vec(),
        };
        let pull = PullRequest {
            grant_id: GRANT,
            seq: 1,
            recv_key: B256::ZERO,
            page: 0,
            max_bytes: 1 << 20,
        };
        let packed = pack(&pull, std::slice::from_ref(&frame), 77).unwrap();
        assert_eq!(packed.doc.size, 56 + 4_096 + 16);
        assert_eq!(packed.doc.ct_root, packed.container.ct_root().unwrap());
        assert_eq!(packed.doc.key_commit, packed.key.commitment());
        assert_eq!(packed.doc.pt_root, contracts::leaf::leaf_hash(&frame.entry()));
        assert!(pack(&pull, &[], 77).is_err());
    }
}
