//! Foreign answers to the ledger: what `./test/judge` and `msnet blocktest` say of `test/vectors`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use node::blocktest::{Outcome, run_file};

use crate::judge::judge;

fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("test/vectors").join(name)
}

/// Judges a file and asserts that all of its `count` cases pass.
fn check(kind: &str, file: &str, count: usize) {
    let verdicts = judge(kind, &vectors(file)).unwrap();
    let failed: Vec<_> = verdicts
        .iter()
        .filter_map(|(name, verdict)| Some((name, verdict.as_ref().err()?)))
        .collect();
    assert!(failed.is_empty(), "{file}: {failed:#?}");
    assert_eq!(verdicts.len(), count, "{file}");
}

#[test]
fn clique_files() {
    check("clique", "clique/snapshot_cases.json", 24);
    check("clique", "clique/extra_cases.json", 12);
    check("clique", "clique/real_headers.json", 18);
    check("clique", "clique/besu_london_chain.json", 5);
    // genesis, 184 blocks, 42 snapshots, head, final signers
    check("clique", "clique/geth-chain/facts.json", 1 + 184 + 42 + 1 + 1);
}

#[test]
fn fork_choice_files() {
    check("fork-choice", "clique/geth-chain/forks.json", FORK_ORDERS + 1);
    check("fork-choice", "clique/fork_choice.json", 8);
}

/// Orders of import in `forks.json`.
const FORK_ORDERS: usize = 132;

#[test]
fn transaction_files() {
    check("transactions", "ethereum-tests/TransactionTests.json", 483);
}

#[test]
fn rlp_files() {
    check("rlp", "ethereum-tests/RLPTests/rlptest.json", 28);
    check("rlp", "ethereum-tests/RLPTests/invalidRLPTest.json", 26);
    check("rlp", "ethereum-tests/RLPTests/RandomRLPTests/example.json", 1);
}

#[test]
fn trie_files() {
    let files = [
        ("hex_encoded_securetrie_test", 3),
        ("trieanyorder", 7),
        ("trieanyorder_secureTrie", 7),
        ("trietest", 5),
        ("trietest_secureTrie", 3),
        ("trietestnextprev", 1),
    ];
    for (file, count) in files {
        check("trie", &format!("ethereum-tests/TrieTests/{file}.json"), count);
    }
}

#[test]
fn key_files() {
    check("keystore", "ethereum-tests/KeyStoreTests/basic_tests.json", 5);
}

#[test]
fn a_file_of_another_kind_is_an_error_with_its_name() {
    let file = vectors("clique/real_headers.json");
    for kind in ["fork-choice", "transactions", "trie", "keystore", "rlp", "colours"] {
        let error = judge(kind, &file).unwrap_err();
        assert!(error.contains("real_headers.json"), "{error}");
    }
}

#[test]
fn whole_chains_of_ethereums_tests() {
    let mut passed = 0;
    let mut folders = vec![
        vectors("ethereum-tests/blockchain-sample"),
        vectors("ethereum-tests/blockchain-forks"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            run_file(&path, None, |report| {
                assert_eq!(report.outcome, Outcome::Passed, "{}: {}", path.display(), report.name);
                passed += 1;
            })
            .unwrap();
        }
    }
    assert_eq!(passed, 37 + FORK_CASES);
}

/// Cases of `blockchain-forks`.
const FORK_CASES: usize = 63;
