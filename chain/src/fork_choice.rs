//! Which of two heads wins: a total order, so that nodes that know the same blocks agree.
//!
//! EIP-3436 as Besu implements it (`CliqueHelpers.installCliqueBlockChoiceRule`): higher total
//! difficulty, then lower number, then the signer nearest behind its turn, then the lower hash.
//! The EIP's sentence says "largest" for the third rule; Besu's code and the EIP's own rationale take
//! the smallest distance, and so do we. geth tosses a coin there, which can stall a network whose
//! signers come to sit on different heads.

use std::cmp::Reverse;

use alloy_primitives::{Address, B256, U256};

use crate::{block::SealedHeader, clique::Snapshot};

/// The rank of a head; the greatest wins. Fields are compared in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadKey {
    /// Sum of the difficulties from genesis.
    pub total_difficulty: U256,
    /// Height; at equal difficulty the shorter chain has more in-turn blocks.
    pub number: Reverse<u64>,
    /// How far the signer's turn lies back, 0 if it was in turn.
    pub distance: Reverse<u64>,
    /// Block hash as a number.
    pub hash: Reverse<B256>,
}

impl HeadKey {
    /// The key of a block sealed by `signer`, with the snapshot **after** it.
    pub fn new(
        total_difficulty: U256,
        header: &SealedHeader,
        signer: Address,
        after: &Snapshot,
    ) -> Self {
        Self {
            total_difficulty,
            number: Reverse(header.number),
            distance: Reverse(turn_distance(header.number, signer, after)),
            hash: Reverse(header.hash()),
        }
    }
}

/// (number − index) mod N; a signer that just left counts as index N, an empty set as distance 0.
fn turn_distance(number: u64, signer: Address, after: &Snapshot) -> u64 {
    let count = after.signers.len() as u64;
    let index = after.index_of(signer).map_or(count, |index| index as u64);
    let Some(turn) = number.checked_rem(count) else { return 0 };
    (turn + count - index) % count
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use alloy_consensus::Header;
    use proptest::prelude::*;

    use super::*;
    use crate::spec::CliqueConfig;

    fn snapshot(count: u8) -> Snapshot {
        Snapshot {
            config: CliqueConfig { period_secs: 1, epoch: 30_000 },
            number: 8,
            hash: B256::ZERO,
            signers: (0..count).map(Address::repeat_byte).collect::<BTreeSet<_>>(),
            recents: BTreeMap::new(),
            votes: Vec::new(),
            tally: BTreeMap::new(),
        }
    }

    fn head(number: u64, salt: u64) -> SealedHeader {
        SealedHeader::seal_slow(Header { number, timestamp: salt, ..Header::default() })
    }

    fn key(total: u64, number: u64, index: u8, count: u8, salt: u64) -> HeadKey {
        let signer = Address::repeat_byte(index);
        HeadKey::new(U256::from(total), &head(number, salt), signer, &snapshot(count))
    }

    /// Besu's `CliqueBlockChoiceTests`: eight signers, number 8, index 3 beats index 2.
    #[test]
    fn besus_case() {
        assert!(key(16, 8, 3, 8, 0) > key(16, 8, 2, 8, 0));
        assert_eq!(key(16, 8, 3, 8, 0).distance.0, 5);
        assert_eq!(key(16, 8, 2, 8, 0).distance.0, 6);
    }

    #[test]
    fn rules_in_their_order() {
        let winners_first = [
            key(17, 9, 2, 8, 0),
            key(16, 8, 0, 8, 0),
            key(16, 8, 7, 8, 0),
            key(16, 8, 1, 8, 0),
            key(16, 9, 1, 8, 0),
            key(15, 7, 7, 8, 0),
        ];
        assert!(winners_first.is_sorted_by(|a, b| a > b));
        // a signer that just left stands after the last, an empty set has no turns
        assert_eq!(key(16, 9, 99, 8, 0).distance.0, 1);
        assert_eq!(key(16, 9, 99, 0, 0).distance.0, 0);
    }

    #[test]
    fn the_lower_hash_breaks_the_last_tie() {
        let (a, b) = (head(8, 1), head(8, 2));
        let (low, high) = if a.hash() < b.hash() { (a, b) } else { (b, a) };
        let key = |head| HeadKey::new(U256::ONE, head, Address::ZERO, &snapshot(3));
        assert!(key(&low) > key(&high));
    }

    proptest! {
        /// Nodes that learn the same heads in any order choose the same one, and no two different
        /// heads are equal.
        #[test]
        fn the_best_head_does_not_depend_on_arrival(
            parts in proptest::collection::hash_set((0_u64..3, 0_u64..4, 0_u8..5, 0_u64..3), 2..12),
            seed in any::<u64>(),
        ) {
            let keys: Vec<_> =
                parts.iter().map(|&(td, n, index, salt)| key(td, n, index, 4, salt)).collect();
            let mut shuffled = keys.clone();
            shuffled.sort_by_key(|key| alloy_primitives::keccak256(
                [&seed.to_be_bytes()[..], &key.hash.0[..], &key.distance.0.to_be_bytes()].concat(),
            ));
            let follow = |keys: &[HeadKey]| {
                keys.iter().fold(keys[0], |best, &next| if next > best { next } else { best })
            };
            prop_assert_eq!(follow(&keys), follow(&shuffled));
            for a in &keys {
                for b in &keys {
                    prop_assert_eq!(a > b, b < a);
                    if a == b {
                        prop_assert_eq!(a.hash, b.hash);
                    }
                }
            }
        }
    }
}
