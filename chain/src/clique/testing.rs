//! Keys and seals for tests of this room.

use alloy_primitives::{Address, B256, keccak256};
use secp256k1::{Message, SECP256K1, SecretKey};

use super::{
    CliqueError,
    seal::{attach_seal, seal_hash},
};
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
pub(crate) fn sign(key: &SecretKey, hash: B256) -> [u8; 65] {
    let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), key);
    let (id, compact) = signature.serialize_compact();
    let mut seal = [0; 65];
    seal[..64].copy_from_slice(&compact);
    seal[64] = u8::try_from(i32::from(id)).expect("a recovery id is 0 to 3");
    seal
}

/// First bytes of a keyed hash in place of a signature; no real r begins so but for 1 in 2^96.
const KEYED: [u8; 12] = *b"keyed hash:\0";

/// A seal that costs one hash instead of a signature: mark ‖ address ‖ keccak256(address ‖ hash), low s, v 0. Good
/// enough among nodes that do not forge.
pub(crate) fn keyed_seal(signer: Address, hash: B256) -> [u8; 65] {
    let mut seal = [0; 65];
    seal[..12].copy_from_slice(&KEYED);
    seal[12..32].copy_from_slice(signer.as_slice());
    seal[32..64]
        .copy_from_slice(keccak256([signer.as_slice(), hash.as_slice()].concat()).as_slice());
    seal[32] &= 0x3f;
    seal
}

/// Who made a keyed seal; none if it is a real signature.
pub(crate) fn keyed_signer(hash: B256, seal: &[u8; 65]) -> Option<Result<Address, CliqueError>> {
    let signer = Address::from_slice(&seal[12..32]);
    let is_right = *seal == keyed_seal(signer, hash);
    seal.starts_with(&KEYED).then_some(if is_right {
        Ok(signer)
    } else {
        Err(CliqueError::RecoveryFailed)
    })
}

/// The header with a seal of this key.
pub(crate) fn sealed(mut header: Header, key: &SecretKey) -> SealedHeader {
    let seal = sign(key, seal_hash(&header));
    attach_seal(&mut header, seal).expect("extra-data has room for a seal");
    SealedHeader::seal_slow(header)
}
