//! Proofs at the head and in the past: geth's answers about its own chain, and alloy's verdict on ours.

use alloy_primitives::keccak256;
use alloy_trie::{Nibbles, proof::verify_proof};
use serde_json::Value;

use super::{
    recorded::{blocks, hash, json, unzip},
    *,
};

fn genesis() -> Genesis {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/clique/geth-chain/genesis.json");
    Genesis::from_json(&std::fs::read(path).unwrap()).unwrap()
}

fn nodes(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|node| node.as_str().unwrap().to_owned()).collect()
}

fn quantity(value: &Value) -> U256 {
    value.as_str().unwrap().parse().unwrap()
}

/// Slots as a caller may write them: any number of leading zeros.
fn slot(value: &Value) -> U256 {
    U256::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn block(reader: &ChainReader, asked: &Value) -> B256 {
    match asked {
        Value::String(tag) if tag == "latest" => reader.head().hash(),
        Value::String(number) => {
            let number = u64::from_str_radix(number.trim_start_matches("0x"), 16).unwrap();
            reader.canonical_hash(number).unwrap().unwrap()
        }
        object => hash(&object["blockHash"]),
    }
}

#[test]
fn geths_proofs_now_and_back_to_its_genesis() {
    let folder = tempfile::tempdir().unwrap();
    for storage in storages(folder.path()) {
        let mut chain = Blockchain::open(&genesis(), storage).unwrap();
        for block in blocks(&unzip("geth-chain/chain.rlp.gz")) {
            chain.import(block, NOW_MS).unwrap();
        }
        let reader = chain.reader();
        let answers = json("geth-chain/proofs.json");
        let answers = answers.as_array().unwrap();
        for answer in answers {
            let (name, params, want) = (&answer["name"], &answer["params"], &answer["result"]);
            let address: Address = params[0].as_str().unwrap().parse().unwrap();
            let slots: Vec<U256> = params[1].as_array().into_iter().flatten().map(slot).collect();
            let have = reader.proof(block(&reader, &params[2]), address, &slots).unwrap();
            let strings = |nodes: &[Bytes]| nodes.iter().map(Bytes::to_string).collect::<Vec<_>>();
            assert_eq!(strings(&have.nodes), nodes(&want["accountProof"]), "{name}");
            assert_eq!(have.account.balance, quantity(&want["balance"]), "{name}");
            assert_eq!(U256::from(have.account.nonce), quantity(&want["nonce"]), "{name}");
            let exists = hash(&want["codeHash"]) != B256::ZERO;
            if exists {
                assert_eq!(have.account.code_hash, hash(&want["codeHash"]), "{name}");
                assert_eq!(have.account.storage_root, hash(&want["storageHash"]), "{name}");
            }
            let storage = want["storageProof"].as_array().unwrap();
            assert_eq!(have.storage.len(), storage.len(), "{name}");
            for (have, want) in have.storage.iter().zip(storage) {
                assert_eq!(have.value, quantity(&want["value"]), "{name}");
                assert_eq!(strings(&have.nodes), nodes(&want["proof"]), "{name}");
            }
        }
        assert_eq!(answers.len(), 11);
    }
}

/// Flushed and unflushed blocks, with an open block's parts in the trie meanwhile.
#[test]
fn every_block_of_our_own_chain_can_be_proved() {
    let net = Net::new(3, London);
    let mut chain = net.open(Storage::Memory);
    for turn in 0..70 {
        net.seal_empty_or_not(&mut chain, turn, 9);
    }
    assert!(chain.store.flushed().number > 0);
    let reader = chain.reader();
    let stage = chain.trie().open_stage();
    let mut part = crate::state::Changes::default();
    let user = Wallet::new(0).address();
    let old = reader.head_state().account(user).unwrap();
    part.accounts.insert(user, crate::state::Change { old, new: None });
    for number in 0..=reader.head().number() {
        chain.trie().stage(stage, &reader.head_state(), &part).unwrap();
        let block = reader.block_by_number(number).unwrap().unwrap();
        for address in [STORE, user, Address::repeat_byte(0xee)] {
            let slots = [U256::ZERO, U256::from(3), U256::from(99)];
            let proof = reader.proof(block.hash(), address, &slots).unwrap();
            let exists = reader.state(block.hash()).unwrap().account(address).unwrap().is_some();
            let leaf = exists.then(|| proof.account.to_trie_rlp());
            let root = block.block.header().state_root;
            verify_proof(root, Nibbles::unpack(keccak256(address)), leaf, &proof.nodes).unwrap();
            for slot in &proof.storage {
                let key = Nibbles::unpack(keccak256(slot.slot.to_be_bytes::<32>()));
                let leaf = (!slot.value.is_zero()).then(|| alloy_rlp::encode(slot.value));
                verify_proof(proof.account.storage_root, key, leaf, &slot.nodes).unwrap();
            }
        }
    }
}
