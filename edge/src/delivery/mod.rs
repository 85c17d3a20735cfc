//! The only way out: ciphertext first, a receipt, then the key (`protocol.md` 5).
//!
//! The recipient pulls with a fresh key; the owner packs the granted records as [`frame`]s into a [`container`], signs an
//! [`offer`] and puts its digest on chain; the recipient fetches the ciphertext, checks it against the offer and signs a
//! receipt; only then comes the key, sealed to the pull's own key ([`release`]). What was delivered is checked record by
//! record in `verify`.

pub mod container;
pub mod frame;
pub mod offer;
pub mod release;

use crate::error::EdgeError;

/// Fills `bytes` with randomness of the system.
///
/// # Errors
/// [`EdgeError::Internal`] if there is none.
pub fn random(bytes: &mut [u8]) -> Result<(), EdgeError> {
    aws_lc_rs::rand::fill(bytes)
        .map_err(|_| EdgeError::Internal("the system has no randomness".into()))
}

/// `N` random bytes.
///
/// # Errors
/// As for [`random`].
pub fn random_bytes<const N: usize>() -> Result<[u8; N], EdgeError> {
    let mut bytes = [0; N];
    random(&mut bytes)?;
    Ok(bytes)
}
