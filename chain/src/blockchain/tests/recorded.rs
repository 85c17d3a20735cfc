//! Chains that other programs sealed import to their roots.

use std::io::Read as _;

use alloy_primitives::hex;
use alloy_rlp::Decodable as _;
use serde_json::Value;

use super::*;
use crate::block::recover;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/clique/");

pub(super) fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(format!("{VECTORS}{name}")).unwrap()).unwrap()
}

pub(super) fn hash(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

pub(super) fn unzip(name: &str) -> Vec<u8> {
    let bytes = std::fs::read(format!("{VECTORS}{name}")).unwrap();
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
    plain
}

pub(super) fn blocks(mut rlp: &[u8]) -> Vec<RecoveredBlock> {
    let mut blocks = Vec::new();
    while !rlp.is_empty() {
        blocks.push(recover(Block::decode(&mut rlp).unwrap()).unwrap());
    }
    blocks
}

#[test]
fn besus_london_chain_imports_to_its_roots() {
    let vector = json("besu_london_chain.json");
    let genesis = Genesis::from_json(vector["genesis"].to_string().as_bytes()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for storage in storages(folder.path()) {
        let mut chain = Blockchain::open(&genesis, storage).unwrap();
        for expected in vector["blocks"].as_array().unwrap().iter().skip(1) {
            let rlp = hex::decode(expected["block_rlp"].as_str().unwrap()).unwrap();
            let block = recover(Block::decode(&mut &rlp[..]).unwrap()).unwrap();
            let Imported::Head(change) = chain.import(block.clone(), NOW_MS).unwrap() else {
                panic!("block {} is not head", expected["number"]);
            };
            let head = &change.added[0];
            assert_eq!(head.hash(), hash(&expected["hash"]));
            assert_eq!(head.block.header().state_root, hash(&expected["state_root"]));
            assert_eq!(
                head.total_difficulty,
                U256::from(expected["total_difficulty"].as_u64().unwrap())
            );
            assert_eq!(
                head.signer.to_string().to_lowercase(),
                expected["signer"].as_str().unwrap()
            );
            assert!(matches!(chain.import(block, NOW_MS).unwrap(), Imported::Known));
        }
        assert_eq!(chain.reader().head().number(), 4);
    }
}

/// Every branch is offered as soon as its parent is there, so that the head leaves the main chain and comes back.
#[test]
fn geths_chain_with_all_its_branches_ends_at_geths_head() {
    let genesis =
        Genesis::from_json(&std::fs::read(format!("{VECTORS}geth-chain/genesis.json")).unwrap())
            .unwrap();
    let (main, forks) =
        (blocks(&unzip("geth-chain/chain.rlp.gz")), unzip("geth-chain/forks.rlp.gz"));
    let runs = json("geth-chain/forks.json")["runs"].as_array().unwrap().clone();
    let folder = tempfile::tempdir().unwrap();
    let mut reorganisations = 0;
    for storage in storages(folder.path()) {
        let mut chain = Blockchain::open(&genesis, storage.clone()).unwrap();
        let mut waiting = runs.clone();
        for block in &main {
            reorganisations += is_reorganisation(&mut chain, block.clone());
            loop {
                let is_ready = |run: &Value| chain.is_known(hash(&run["parent"]["hash"])).unwrap();
                let Some(index) = waiting.iter().position(is_ready) else { break };
                let run = waiting.remove(index);
                let start = usize::try_from(run["offset"].as_u64().unwrap()).unwrap();
                let length = usize::try_from(run["bytes"].as_u64().unwrap()).unwrap();
                for block in blocks(&forks[start..start + length]) {
                    reorganisations += is_reorganisation(&mut chain, block);
                }
            }
        }
        assert!(waiting.is_empty());
        let head = hash(
            &json("geth-chain/facts.json")["blocks"].as_array().unwrap().last().unwrap()["hash"],
        );
        assert_eq!(chain.reader().head().hash(), head);
        check_against_facts(&chain.reader());
        drop(chain);
        if !matches!(storage, Storage::Memory) {
            let chain = Blockchain::open(&genesis, storage).unwrap();
            assert_eq!(chain.reader().head().hash(), head);
            check_against_facts(&chain.reader());
        }
    }
    assert!(reorganisations >= 4, "{reorganisations}");
}

/// 1 if the head left its branch.
fn is_reorganisation(chain: &mut Blockchain, block: RecoveredBlock) -> usize {
    match chain.import(block, NOW_MS).unwrap() {
        Imported::Head(change) => usize::from(!change.removed.is_empty()),
        Imported::Known | Imported::Side => 0,
    }
}

fn check_against_facts(reader: &ChainReader) {
    for fact in json("geth-chain/facts.json")["blocks"].as_array().unwrap().iter().skip(1) {
        let block = reader.block_by_hash(hash(&fact["hash"])).unwrap().unwrap();
        let number = block.number();
        assert_eq!(reader.canonical_hash(number).unwrap(), Some(block.hash()));
        assert_eq!(
            block.signer.to_string().to_lowercase(),
            fact["signer"].as_str().unwrap().to_lowercase()
        );
        assert_eq!(block.total_difficulty, U256::from(fact["totalDifficulty"].as_u64().unwrap()));
        let mut gas_used = 0;
        for (index, tx) in fact["txs"].as_array().unwrap().iter().enumerate() {
            let (found, at) = reader.transaction(hash(&tx["hash"])).unwrap().unwrap();
            assert_eq!((found.number(), at), (number, index));
            gas_used += tx["gasUsed"].as_u64().unwrap();
            let receipt = &block.receipts[index];
            let have = (receipt.success, receipt.cumulative_gas_used, receipt.logs.len() as u64);
            let want = (tx["status"] == 1, gas_used, tx["logs"].as_u64().unwrap());
            assert_eq!(have, want, "block {number}, transaction {index}: {}", tx["note"]);
        }
    }
}
