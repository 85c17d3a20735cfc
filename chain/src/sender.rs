//! Who signed a transaction: the one place where that is computed, in libsecp256k1.
//!
//! A recovery costs more than everything else a transfer asks of a node, so callers with a choice keep the answer: the
//! node's cache, the senders beside a block in the log.

use alloy_primitives::{Address, B256};

use crate::{
    block::Transaction,
    clique::{SEAL_BYTES, seal},
};

/// The account whose key signed `transaction`; none if no key fits the signature, or if its s is in the upper half
/// (EIP-2).
pub fn recover(transaction: &Transaction) -> Option<Address> {
    let hash: B256 = transaction.signature_hash();
    let signature = signature_bytes(transaction);
    if seal::is_high_s(&signature) {
        return None;
    }
    seal::recover(hash, &signature).ok()
}

/// `r ‖ s ‖ v`, v 0 or 1.
fn signature_bytes(transaction: &Transaction) -> [u8; SEAL_BYTES] {
    let signature = transaction.signature();
    let mut bytes = [0; SEAL_BYTES];
    bytes[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    bytes[32..64].copy_from_slice(&signature.s().to_be_bytes::<32>());
    bytes[64] = u8::from(signature.v());
    bytes
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{
        SignableTransaction as _, TxEip1559, TxEip2930, TxEip7702, TxLegacy,
        transaction::SignerRecoverable as _,
    };
    use alloy_primitives::{Signature, U256};
    use proptest::prelude::*;

    use super::*;

    fn transaction(kind: u8, nonce: u64, signature: Signature) -> Transaction {
        match kind % 5 {
            0 => TxLegacy { nonce, ..TxLegacy::default() }.into_signed(signature).into(),
            1 => TxLegacy { chain_id: Some(7), nonce, ..TxLegacy::default() }
                .into_signed(signature)
                .into(),
            2 => TxEip2930 { nonce, ..TxEip2930::default() }.into_signed(signature).into(),
            3 => TxEip1559 { nonce, ..TxEip1559::default() }.into_signed(signature).into(),
            _ => TxEip7702 { nonce, ..TxEip7702::default() }.into_signed(signature).into(),
        }
    }

    proptest! {
        /// alloy's own recovery is the oracle: for signatures of keys, and for any three numbers.
        #[test]
        fn agrees_with_alloy(kind: u8, nonce: u64, r: [u8; 32], s: [u8; 32], v: bool, key in 1_u8..255) {
            let any = Signature::new(U256::from_be_bytes(r), U256::from_be_bytes(s), v);
            let drawn = transaction(kind, nonce, any);
            prop_assert_eq!(recover(&drawn), drawn.recover_signer().ok());

            let key = secp256k1::SecretKey::from_byte_array([key; 32]).unwrap();
            let digest = secp256k1::Message::from_digest(drawn.signature_hash().0);
            let made = secp256k1::SECP256K1.sign_ecdsa_recoverable(digest, &key);
            let (parity, compact) = made.serialize_compact();
            let (r, s) = compact.split_at(32);
            let (r, s) = (U256::from_be_slice(r), U256::from_be_slice(s));
            let signed = transaction(kind, nonce, Signature::new(r, s, i32::from(parity) == 1));
            let public = secp256k1::PublicKey::from_secret_key(secp256k1::SECP256K1, &key);
            let want = Address::from_raw_public_key(&public.serialize_uncompressed()[1..]);
            prop_assert_eq!(recover(&signed), Some(want));
            prop_assert_eq!(signed.recover_signer().ok(), Some(want));
        }
    }
}
