//! The seal: which bytes are signed, by whom, and where the signature stands.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_rlp::Encodable as _;
use secp256k1::{
    Message,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use super::{CliqueError, SEAL_BYTES, VANITY_BYTES};
use crate::block::Header;

/// The three parts of extra-data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtraData<'a> {
    /// 32 bytes, free to use.
    pub vanity: &'a [u8],
    /// On epoch blocks the signers, 20 bytes each; else empty.
    pub signers: &'a [u8],
    /// r ‖ s ‖ v.
    pub seal: &'a [u8; SEAL_BYTES],
}

/// Splits extra-data into its parts, whatever the length of the signer list.
///
/// # Errors
/// [`CliqueError::MissingVanity`] below 32 bytes, [`CliqueError::MissingSeal`] below 97.
pub fn split_extra_data(extra_data: &[u8]) -> Result<ExtraData<'_>, CliqueError> {
    let (vanity, rest) =
        extra_data.split_at_checked(VANITY_BYTES).ok_or(CliqueError::MissingVanity)?;
    let (signers, seal) = rest.split_last_chunk().ok_or(CliqueError::MissingSeal)?;
    Ok(ExtraData { vanity, signers, seal })
}

/// Hash that a signer signs: keccak256 of the header's RLP, its extra-data without the seal.
///
/// A header too short to carry a seal is hashed with empty extra-data: no seal fits it anyway.
pub fn seal_hash(header: &Header) -> B256 {
    let signed_bytes = header.extra_data.len().saturating_sub(SEAL_BYTES);
    let unsealed = Header { extra_data: header.extra_data.slice(..signed_bytes), ..header.clone() };
    let mut rlp = Vec::with_capacity(unsealed.length());
    unsealed.encode(&mut rlp);
    keccak256(&rlp)
}

/// Recovers the signer of a sealed header.
///
/// `v` may be 0 to 3 and s of either half, as in geth; [`is_high_s`] tells the two apart.
///
/// # Errors
/// [`CliqueError::MissingSeal`] (or `MissingVanity`) if extra-data is shorter than 97 bytes;
/// [`CliqueError::InvalidRecoveryId`] if `v` > 3; [`CliqueError::RecoveryFailed`] if no key fits.
pub fn recover_signer(header: &Header) -> Result<Address, CliqueError> {
    let extra_data = split_extra_data(&header.extra_data)?;
    recover(seal_hash(header), extra_data.seal)
}

/// Recovers the address whose key made the 65-byte signature `r ‖ s ‖ v` over `hash`.
///
/// # Errors
/// As [`recover_signer`].
pub fn recover(hash: B256, signature: &[u8; SEAL_BYTES]) -> Result<Address, CliqueError> {
    #[cfg(test)]
    if let Some(signer) = super::testing::keyed_signer(hash, signature) {
        return signer;
    }
    let [compact @ .., v] = signature;
    let recovery_id =
        RecoveryId::try_from(i32::from(*v)).map_err(|_| CliqueError::InvalidRecoveryId)?;
    let signature = RecoverableSignature::from_compact(compact, recovery_id)
        .map_err(|_| CliqueError::RecoveryFailed)?;
    let key = secp256k1::SECP256K1
        .recover_ecdsa(Message::from_digest(hash.0), &signature)
        .map_err(|_| CliqueError::RecoveryFailed)?;
    let [_, point @ ..] = key.serialize_uncompressed();
    Ok(Address::from_raw_public_key(&point))
}

/// True if s of the signature is in the upper half of the curve's order (EIP-2), so that a second
/// signature of the same key over the same hash exists for everybody to compute.
pub fn is_high_s(signature: &[u8; SEAL_BYTES]) -> bool {
    const HALF_ORDER: [u8; 32] =
        alloy_primitives::hex!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
    signature[32..64] > HALF_ORDER[..]
}

/// Writes a seal into the last 65 bytes of extra-data, which [`super::prepare`] left zero.
///
/// # Errors
/// [`CliqueError::MissingSeal`] (or `MissingVanity`) if there is no room for it.
pub fn attach_seal(header: &mut Header, seal: [u8; SEAL_BYTES]) -> Result<(), CliqueError> {
    let ExtraData { vanity, signers, .. } = split_extra_data(&header.extra_data)?;
    header.extra_data = Bytes::from([vanity, signers, &seal[..]].concat());
    Ok(())
}
