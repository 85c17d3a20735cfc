//! Which block counts as final, when the chain itself does not say.
//!
//! `--finality=burial` (`protocol.md` 1): a block is final once ⌊2N/3⌋ + 1 distinct signers, its own included, have sealed
//! it and its descendants. N is the number of signers the genesis block names; with N = 1 the newest block is final. This
//! is weaker than votes, since a cloned key can undo it, and the edge says so in `edge_info` and in each receipt.

use std::collections::BTreeSet;

use alloy_consensus::Header;
use alloy_primitives::{Address, Signature, keccak256};

use super::{Chain, Head};
use crate::error::EdgeError;

/// Bytes of a Clique seal at the end of `extra_data` (EIP-225).
const SEAL_BYTES: usize = 65;
/// Bytes of vanity at its start.
const VANITY_BYTES: usize = 32;
/// How far back a final block is looked for before giving up.
const MAX_WALK: u64 = 1_024;

/// How an edge tells final blocks from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Finality {
    /// By burial under blocks of enough distinct signers.
    Burial,
}

impl Finality {
    /// The word used in `edge_info` and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Finality::Burial => "burial",
        }
    }
}

/// How many signers an epoch header lists (EIP-225); 0 if it is not one.
pub(super) fn signers_of(header: &Header) -> usize {
    header.extra_data.len().saturating_sub(VANITY_BYTES + SEAL_BYTES) / Address::len_bytes()
}

/// Distinct signers that make a block final: ⌊2N/3⌋ + 1.
pub fn quorum(signers: usize) -> usize {
    2 * signers / 3 + 1
}

/// The newest final block.
///
/// # Errors
/// [`EdgeError::Chain`] if the node does not answer, or a header carries no valid seal.
pub async fn final_head(chain: &Chain) -> Result<Head, EdgeError> {
    let newest = chain.head().await?;
    let want = quorum(chain.genesis_signers().max(1));
    if want == 1 {
        return Ok(newest);
    }
    let mut seen = BTreeSet::new();
    let mut number = newest.number;
    loop {
        let (header, head) = chain
            .block(number)
            .await?
            .ok_or_else(|| EdgeError::Chain(format!("block {number} vanished while reading")))?;
        if number == 0 {
            return Ok(head);
        }
        seen.insert(signer(&header)?);
        if seen.len() >= want {
            return Ok(head);
        }
        if newest.number - number >= MAX_WALK {
            return Err(EdgeError::Chain(format!(
                "the last {MAX_WALK} blocks carry seals of {} signers, {want} make a block final",
                seen.len()
            )));
        }
        number -= 1;
    }
}

/// The account that sealed a header: the seal signs the hash of the header without it (EIP-225).
fn signer(header: &Header) -> Result<Address, EdgeError> {
    let unsealed =
        || EdgeError::Chain(format!("block {} carries no valid Clique seal", header.number));
    let at = header.extra_data.len().checked_sub(SEAL_BYTES).ok_or_else(unsealed)?;
    let mut bare = header.clone();
    bare.extra_data = header.extra_data.slice(..at);
    let hash = keccak256(alloy_rlp::encode(&bare));
    let seal = Signature::from_raw(&header.extra_data[at..]).map_err(|_| unsealed())?;
    super::submit::recover(hash, &seal.as_bytes()).map_err(|_| unsealed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_more_than_two_thirds() {
        let quorums: Vec<usize> = (1..8).map(quorum).collect();
        assert_eq!(quorums, [1, 2, 3, 3, 4, 5, 5]);
    }

    #[test]
    fn a_sealed_header_names_its_signer() {
        let key = super::super::submit::AccountKey::from_bytes(&[7; 32]).unwrap();
        let mut header = Header { number: 9, ..Header::default() };
        header.extra_data = vec![0; VANITY_BYTES].into();
        let hash = keccak256(alloy_rlp::encode(&header));
        let mut seal = key.sign(hash);
        seal[64] -= 27;
        header.extra_data = [&[0; VANITY_BYTES][..], &seal].concat().into();
        assert_eq!(signer(&header).unwrap(), key.address());
        header.extra_data = vec![0; 10].into();
        assert!(signer(&header).is_err());
    }

    #[test]
    fn a_genesis_header_counts_its_signers() {
        let with =
            |n: usize| Header { extra_data: vec![0; 97 + 20 * n].into(), ..Header::default() };
        assert_eq!(signers_of(&with(0)), 0);
        assert_eq!(signers_of(&with(3)), 3);
        assert_eq!(signers_of(&Header::default()), 0);
    }
}
