//! Keys and seals for tests of this room.

use alloy_primitives::{Address, keccak256};
use secp256k1::{Message, SECP256K1, SecretKey};

use super::seal::{attach_seal, seal_hash};
use crate::block::{Header, SealedHeader};

/// A key that depends on nothing but its label and the number of the draw.
pub(crate) fn key(label: &str, draw: u64) -> SecretKey {
    let digest = keccak256(format!("msnet test key {label} {draw}"));
    SecretKey::from_byte_array(digest.0).expect("a digest is a valid scalar but for 1 in 2^128")
}

/// The account of a key.
pub(crate) fn address(key: &SecretKey) -> Address {
    let [_, point @ ..] = key.public_key(SECP256K1).serialize_uncompressed();
    Address::from_raw_public_key(&point)
}

/// The 65-byte signature over a seal hash.
pub(crate) fn sign(key: &SecretKey, hash: alloy_primitives::B256) -> [u8; 65] {
    let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), key);
    let (id, compact) = signature.serialize_compact();
    let mut seal = [0; 65];
    seal[..64].copy_from_slice(&compact);
    seal[64] = u8::try_from(i32::from(id)).expect("a recovery id is 0 to 3");
    seal
}

/// The header with a seal of this key.
pub(crate) fn sealed(mut header: Header, key: &SecretKey) -> SealedHeader {
    let seal = sign(key, seal_hash(&header));
    attach_seal(&mut header, seal).expect("extra-data has room for a seal");
    SealedHeader::seal_slow(header)
}
