//! Snapshots by any way are equal: block by block, from genesis, from one that was stored, and as geth's code gives them.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, U256};
use proptest::prelude::*;

use super::*;
use crate::{
    block::{Header, SealedHeader},
    error::ChainError,
    sim::Oracle,
    spec::CliqueConfig,
    store::{
        schema::{decode_snapshot, encode_snapshot},
        snapshots::{Ancestry, Snapshots},
    },
};

/// A chain whose snapshots were stored at some heights.
#[derive(Default)]
struct Chain {
    headers: HashMap<B256, (SealedHeader, Address)>,
    stored: HashMap<B256, Snapshot>,
}

impl Ancestry for Chain {
    fn sealed(&self, hash: B256) -> Result<Option<(SealedHeader, Address)>, ChainError> {
        Ok(self.headers.get(&hash).cloned())
    }

    fn stored_snapshot(&self, hash: B256) -> Result<Option<Snapshot>, ChainError> {
        Ok(self.stored.get(&hash).cloned())
    }
}

fn genesis(count: u8) -> SealedHeader {
    let list: Vec<u8> = (1..=count).flat_map(|member| Address::repeat_byte(member).0.0).collect();
    SealedHeader::seal_slow(Header {
        extra_data: [&[0; 32][..], &list, &[0; 65]].concat().into(),
        ..Header::default()
    })
}

fn child(
    parent: &SealedHeader,
    snapshot: &Snapshot,
    signer: Address,
    vote: (u8, bool),
) -> SealedHeader {
    let number = parent.number + 1;
    let is_epoch = number.is_multiple_of(snapshot.config.epoch);
    let list = if is_epoch { snapshot.signer_bytes() } else { Vec::new() };
    let about = Address::repeat_byte(vote.0);
    let is_last = snapshot.signers.len() == 1 && snapshot.signers.contains(&about) && !vote.1;
    let votes = !is_epoch && !is_last;
    SealedHeader::seal_slow(Header {
        parent_hash: parent.hash(),
        number,
        timestamp: parent.timestamp + 1,
        difficulty: U256::from(prepare::difficulty(snapshot, number, signer)),
        beneficiary: if votes { about } else { Address::ZERO },
        nonce: if votes && vote.1 { NONCE_ADD } else { NONCE_DROP },
        extra_data: [vec![0; 32], list, vec![0; 65]].concat().into(),
        ..Header::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn apply_is_replay(
        count in 1_u8..7,
        epoch in 2_u64..20,
        steps in proptest::collection::vec((any::<usize>(), 1_u8..9, any::<bool>(), any::<bool>()), 1..80),
    ) {
        let config = CliqueConfig { period_secs: 1, epoch };
        let mut parent = genesis(count);
        let first = Snapshot::genesis(&parent, config).unwrap();
        let mut oracle = Oracle::new(1, epoch, &parent);
        let (mut snapshot, mut chain) = (first.clone(), Chain::default());
        for (pick, about, authorize, is_stored) in steps {
            let number = parent.number + 1;
            let may = |signer: &&Address| !snapshot.is_recent(number, **signer);
            let eligible: Vec<Address> = snapshot.signers.iter().filter(may).copied().collect();
            let signer = eligible[pick % eligible.len()];
            let header = child(&parent, &snapshot, signer, (about, authorize));
            snapshot = snapshot.apply(&header, signer).unwrap();
            oracle.judge(header.hash(), &header, signer).unwrap();
            oracle.compare(header.hash(), &snapshot).unwrap();
            let again = decode_snapshot(&encode_snapshot(&snapshot), config).unwrap();
            prop_assert_eq!(&again, &snapshot);
            if is_stored {
                chain.stored.insert(header.hash(), again);
            }
            chain.headers.insert(header.hash(), (header.clone(), signer));
            parent = header;
        }
        let near = Snapshots::new(first.clone()).after(parent.hash(), &chain).unwrap();
        prop_assert_eq!(&*near, &snapshot);
        chain.stored.clear();
        let far = Snapshots::new(first).after(parent.hash(), &chain).unwrap();
        prop_assert_eq!(&*far, &snapshot);
    }
}
