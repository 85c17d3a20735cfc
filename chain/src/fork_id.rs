//! Fork ids: what two nodes compare before they talk (EIP-2124, with time forks as in EIP-6122).

use std::collections::BTreeSet;

use alloy_primitives::B256;

use crate::{replay::Rules, spec::ChainSpec};

/// The forks behind a head in four bytes, and the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkId {
    /// CRC-32 of the genesis hash and of each passed fork's height or time, big-endian.
    pub hash: [u8; 4],
    /// Height or time of the next scheduled fork; 0 if there is none.
    pub next: u64,
}

impl ForkId {
    /// The id of a head. Forks at or before genesis are left out, forks at one height or time count once.
    pub fn new(spec: &ChainSpec, genesis: (B256, u64), head: (u64, u64)) -> Self {
        Self::with(spec, genesis, head, BTreeSet::new(), BTreeSet::new())
    }

    /// As [`Self::new`], with the forks that replayed chains know beside.
    pub fn under(rules: &Rules, spec: &ChainSpec, genesis: (B256, u64), head: (u64, u64)) -> Self {
        let Rules::Replay(rules) = rules else { return Self::new(spec, genesis, head) };
        let glaciers =
            [rules.muir_glacier, rules.arrow_glacier, rules.gray_glacier, rules.merge_netsplit];
        let times = rules.blob_schedule.iter().map(|(time, _)| *time);
        let times = times.filter(|time| *time > genesis.1).collect();
        Self::with(spec, genesis, head, glaciers.into_iter().flatten().collect(), times)
    }

    fn with(
        spec: &ChainSpec,
        genesis: (B256, u64),
        head: (u64, u64),
        mut heights: BTreeSet<u64>,
        mut times: BTreeSet<u64>,
    ) -> Self {
        let (genesis_hash, genesis_time) = genesis;
        let (number, time) = head;
        for (name, at) in spec.scheduled_forks() {
            if name.ends_with("Block") {
                heights.insert(at);
            } else if at > genesis_time {
                times.insert(at);
            }
        }
        heights.remove(&0);
        let mut crc = crc32(!0, genesis_hash.as_slice());
        let heights = heights.into_iter().map(|at| (at, at <= number));
        for (at, is_passed) in heights.chain(times.into_iter().map(|at| (at, at <= time))) {
            if !is_passed {
                return Self { hash: (!crc).to_be_bytes(), next: at };
            }
            crc = crc32(crc, &at.to_be_bytes());
        }
        Self { hash: (!crc).to_be_bytes(), next: 0 }
    }
}

/// CRC-32 of ISO 3309 (polynomial 0x04C11DB7, reflected), before the last complement.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        genesis::{Genesis, tests::BARE_DEV},
        spec::Forks,
    };

    fn vector(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/../test/vectors/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn id(genesis: &Genesis, number: u64, time: u64) -> (String, u64) {
        let start = (genesis.hash(), genesis.header.timestamp);
        let ForkId { hash, next } = ForkId::new(&genesis.spec, start, (number, time));
        (alloy_primitives::hex::encode_prefixed(hash), next)
    }

    #[test]
    fn ids_of_public_networks_are_geths() {
        let file: Value = serde_json::from_slice(&vector("devp2p/forkid.json")).unwrap();
        let mut count = 0;
        for (name, network) in file["networks"].as_object().unwrap() {
            let mut genesis = match name.as_str() {
                "besu_london_chain" => {
                    let file: Value =
                        serde_json::from_slice(&vector("clique/besu_london_chain.json")).unwrap();
                    Genesis::from_json(file["genesis"].to_string().as_bytes()).unwrap()
                }
                _ => {
                    let name = name.split('_').next().unwrap();
                    Genesis::from_json(&vector(&format!("clique/genesis/{name}.json"))).unwrap()
                }
            };
            assert_eq!(genesis.hash().to_string(), network["genesis_hash"]);
            let Forks { shanghai_time, cancun_time, .. } = &mut genesis.spec.forks;
            (*shanghai_time, *cancun_time) = (None, None);
            for case in network["cases"].as_array().unwrap() {
                let (hash, next) = id(&genesis, case["head"].as_u64().unwrap(), 0);
                assert_eq!(
                    (hash.as_str(), next),
                    (case["hash"].as_str().unwrap(), case["next"].as_u64().unwrap())
                );
                count += 1;
            }
        }
        assert_eq!(count, 20);
    }

    #[test]
    fn forks_of_block_zero_do_not_count_and_times_follow_heights() {
        let code = alloy_eips::eip2935::HISTORY_STORAGE_CODE.to_string();
        let mut dev = Genesis::from_json(BARE_DEV.replace("HISTORY", &code).as_bytes()).unwrap();
        assert_eq!(id(&dev, 0, 0), ("0xcbe6ba36".to_owned(), 0));
        dev.spec.forks.osaka_time = Some(50);
        assert_eq!(id(&dev, 9, 49), ("0xcbe6ba36".to_owned(), 50));
        let (hash, next) = id(&dev, 9, 50);
        assert_eq!(next, 0);
        assert_ne!(hash, "0xcbe6ba36");
    }
}
