//! The key of a delivery, sealed to one recipient: HPKE mode_auth (RFC 9180), released only for a signed receipt.
//!
//! DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; recipient key = the pull's `recvKey`, sender key = the owner's
//! registered SEAL key, info = offerHash, aad = deliveryId, plaintext K; 80 bytes = enc 32 ‖ ciphertext 48. `recvKey` is
//! used once: if the key does not fit its commitment, revealing its secret proves that to anyone and opens nothing else.

use alloy_primitives::B256;
use hpke::{
    Deserializable, Kem as _, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256,
    kem::X25519HkdfSha256, single_shot_open, single_shot_seal,
};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::container::ContentKey;
use crate::error::EdgeError;

type Kem = X25519HkdfSha256;
type PrivateKey = <Kem as hpke::Kem>::PrivateKey;
type PublicKey = <Kem as hpke::Kem>::PublicKey;

/// Bytes of a sealed key.
pub const SEALED_KEY_BYTES: usize = 80;
/// Bytes of the encapsulated key in front of it.
const ENC_BYTES: usize = 32;

/// An X25519 secret. Debug prints `***`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SealSecret(pub [u8; 32]);

impl std::fmt::Debug for SealSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealSecret(***)")
    }
}

impl SealSecret {
    /// A fresh secret, for one pull.
    ///
    /// # Errors
    /// [`EdgeError::Internal`] if the system has no randomness.
    pub fn random() -> Result<SealSecret, EdgeError> {
        let mut secret = SealSecret([0; 32]);
        super::random(&mut secret.0)?;
        Ok(secret)
    }

    /// The public key others seal to.
    pub fn public_key(&self) -> B256 {
        let bytes = Kem::sk_to_pk(&self.private_key()).to_bytes();
        B256::from_slice(&bytes)
    }

    fn private_key(&self) -> PrivateKey {
        PrivateKey::from_bytes(&self.0).expect("any 32 bytes are an X25519 secret")
    }
}

/// Seals a content key to `recv_key`, bound to its offer and delivery.
///
/// # Errors
/// [`EdgeError::Input`] if `recv_key` is no usable X25519 key.
pub fn seal_key(
    key: &ContentKey,
    recv_key: B256,
    sender: &SealSecret,
    offer_hash: B256,
    delivery_id: B256,
) -> Result<[u8; SEALED_KEY_BYTES], EdgeError> {
    let unusable = || {
        EdgeError::input("recvKey is not a usable X25519 key", "recvKey", "pull with a fresh key")
    };
    let recipient = PublicKey::from_bytes(recv_key.as_slice()).map_err(|_| unusable())?;
    let secret = sender.private_key();
    let public = Kem::sk_to_pk(&secret);
    let (enc, ciphertext) = single_shot_seal::<AesGcm256, HkdfSha256, Kem>(
        &OpModeS::Auth((secret, public)),
        &recipient,
        offer_hash.as_slice(),
        &key.0,
        delivery_id.as_slice(),
    )
    .map_err(|_| unusable())?;
    let mut sealed = [0; SEALED_KEY_BYTES];
    let (head, tail) = sealed.split_at_mut(ENC_BYTES);
    head.copy_from_slice(&enc.to_bytes());
    tail.copy_from_slice(&ciphertext);
    Ok(sealed)
}

/// Opens a sealed key with the secret of this pull; `sender` is the owner's registered SEAL key.
///
/// # Errors
/// [`EdgeError::Integrity`] if it is not a key that owner sealed to this secret for this offer.
pub fn open_key(
    sealed: &[u8],
    recipient: &SealSecret,
    sender: B256,
    offer_hash: B256,
    delivery_id: B256,
) -> Result<ContentKey, EdgeError> {
    let bad =
        || EdgeError::integrity("the sealed key does not open", format!("delivery {delivery_id}"));
    let (enc, ciphertext) = match sealed.split_first_chunk::<ENC_BYTES>() {
        Some((enc, rest)) if rest.len() == SEALED_KEY_BYTES - ENC_BYTES => (enc, rest),
        _ => return Err(bad()),
    };
    let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(enc).map_err(|_| bad())?;
    let sender = PublicKey::from_bytes(sender.as_slice()).map_err(|_| bad())?;
    let mut opened = single_shot_open::<AesGcm256, HkdfSha256, Kem>(
        &OpModeR::Auth(sender),
        &recipient.private_key(),
        &enc,
        offer_hash.as_slice(),
        ciphertext,
        delivery_id.as_slice(),
    )
    .map_err(|_| bad())?;
    let key = opened.as_slice().try_into().map(ContentKey).map_err(|_| bad());
    opened.zeroize();
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{b256, hex};

    const OFFER: B256 = b256!("a994e015dd6f27014e573d9cb535bb028527357477244de3f78825d0a9defc43");
    const DELIVERY: B256 =
        b256!("986a9c9141218c3f732190866fc1fc123cfc938a66195a7a9f1c24d9517210c3");

    fn content_key() -> ContentKey {
        ContentKey(std::array::from_fn(|i| 0x80 + u8::try_from(i).unwrap()))
    }

    /// The vector's ephemeral secret cannot be handed to the library, so it is checked from the recipient's side.
    #[test]
    fn the_published_sealed_key_opens() {
        let sealed = hex!(
            "5dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22"
            "a3f0b6fc80455035f3342992990d0f05531c8bfe033798e498518e3fba1addcd03b93f06ffbcb41dcee1dfc031d74feb"
        );
        let recipient = SealSecret([1; 32]);
        assert_eq!(
            recipient.public_key(),
            b256!("a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209")
        );
        let sender = SealSecret([2; 32]).public_key();
        let key = open_key(&sealed, &recipient, sender, OFFER, DELIVERY).unwrap();
        assert!(key == content_key());
    }

    #[test]
    fn a_key_opens_for_its_recipient_sender_offer_and_delivery_alone() {
        let (recipient, sender) = (SealSecret([1; 32]), SealSecret([2; 32]));
        let sealed =
            seal_key(&content_key(), recipient.public_key(), &sender, OFFER, DELIVERY).unwrap();
        let from = sender.public_key();
        assert!(open_key(&sealed, &recipient, from, OFFER, DELIVERY).unwrap() == content_key());
        let other = SealSecret([3; 32]);
        assert!(open_key(&sealed, &other, from, OFFER, DELIVERY).is_err());
        assert!(open_key(&sealed, &recipient, other.public_key(), OFFER, DELIVERY).is_err());
        assert!(open_key(&sealed, &recipient, from, DELIVERY, DELIVERY).is_err());
        assert!(open_key(&sealed, &recipient, from, OFFER, OFFER).is_err());
        assert!(open_key(&sealed[1..], &recipient, from, OFFER, DELIVERY).is_err());
        let mut changed = sealed;
        changed[40] ^= 1;
        assert!(open_key(&changed, &recipient, from, OFFER, DELIVERY).is_err());
        assert!(seal_key(&content_key(), B256::ZERO, &sender, OFFER, DELIVERY).is_err());
    }
}
