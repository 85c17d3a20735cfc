//! What a seed decides before its run begins: the network, its faults and its genesis.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use secp256k1::SecretKey;

use super::random::Random;
use crate::{
    block::Header,
    clique::testing,
    genesis::{Genesis, GenesisAccount},
    spec::{ChainSpec, CliqueConfig, Forks},
};

/// Second of block 0.
pub(super) const START_SECS: u64 = 1_700_000_000;
/// Height that a run has to reach.
const BLOCKS: u64 = 300;
/// Accounts that send transfers.
pub(super) const USERS: u64 = 3;

/// A run's circumstances.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// Signers of the genesis.
    pub(super) signers: usize,
    /// Nodes that follow and may be voted in.
    pub(super) followers: usize,
    pub(super) period_secs: u64,
    pub(super) epoch: u64,
    pub(super) blocks: u64,
    /// After a heal exactly ⌊N/2⌋ + 1 signers are online; the set does not change.
    pub(super) is_edge: bool,
    /// Real secp256k1 seals instead of keyed hashes.
    pub(super) has_real_seals: bool,
    pub(super) loss_percent: u64,
    pub(super) duplicate_percent: u64,
    /// Longest way of a message before a heal.
    pub(super) delay_ms: u64,
    /// Clocks are wrong by up to this.
    pub(super) skew_ms: u64,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x706c_616e);
        let sizes = [3, 4, 4, 4, 5, 5, 5, 6, 7, 7, 8, 9, 10];
        let signers = sizes[random.index(sizes.len())];
        let is_edge = seed.is_multiple_of(2);
        Self {
            seed,
            signers,
            followers: if is_edge { 0 } else { random.index(3) },
            period_secs: random.between(1, 5),
            epoch: if random.chance(70) { 30 } else { random.between(5, 60) },
            blocks: BLOCKS,
            is_edge,
            has_real_seals: seed % 100 == 99,
            loss_percent: random.between(0, 20),
            duplicate_percent: random.between(0, 10),
            delay_ms: random.between(100, 4_000),
            skew_ms: if random.chance(50) { random.between(0, 500) } else { 10_000 },
        }
    }

    pub(super) const fn nodes(&self) -> usize {
        self.signers + self.followers
    }

    pub(super) const fn period_ms(&self) -> u64 {
        self.period_secs * 1_000
    }

    /// The keys of all nodes; those of the signers come first.
    pub(super) fn keys(&self) -> Vec<SecretKey> {
        (0..self.nodes() as u64).map(|draw| testing::key("simulated node", draw)).collect()
    }

    pub(super) fn genesis(&self) -> Genesis {
        let mut list: Vec<_> =
            self.keys().iter().take(self.signers).map(testing::address).collect();
        list.sort();
        let list: Vec<u8> = list.iter().flat_map(|signer| signer.0.0).collect();
        let spec = ChainSpec {
            chain_id: 1337,
            forks: Forks::all_at_genesis(),
            clique: Some(CliqueConfig { period_secs: self.period_secs, epoch: self.epoch }),
            terminal_total_difficulty: None,
            has_msnet_section: true,
            finality: false,
            zero_base_fee: true,
        };
        let header = Header {
            difficulty: U256::ONE,
            gas_limit: 30_000_000,
            timestamp: START_SECS,
            extra_data: [vec![0; 32], list, vec![0; 65]].concat().into(),
            base_fee_per_gas: Some(0),
            ..Header::default()
        };
        let rich = GenesisAccount { balance: U256::from(10u128.pow(24)), ..Default::default() };
        let alloc: BTreeMap<_, _> =
            (0..USERS).map(|user| (user_address(user), rich.clone())).collect();
        Genesis::new(spec, header, alloc)
    }
}

/// The account of a sender of transfers.
pub(super) fn user_address(user: u64) -> Address {
    Address::left_padding_from(&(0x5500_0000 + user).to_be_bytes())
}
