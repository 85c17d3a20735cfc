//! Chains that other programs sealed import to their roots.

use std::io::Read as _;

use alloy_primitives::hex;
use alloy_rlp::Decodable as _;
use serde_json::Value;

use super::*;
use crate::block::recover;

pub(super) const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/clique/");

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
