use alloy_rlp::Encodable as _;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::spec::{CliqueConfig, Forks};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/clique/");

fn vector(name: &str) -> Vec<u8> {
    let path = format!("{VECTORS}{name}");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rlp_hex(header: &Header) -> String {
    let mut rlp = Vec::new();
    header.encode(&mut rlp);
    alloy_primitives::hex::encode_prefixed(rlp)
}

#[test]
fn the_four_public_networks_have_their_published_hashes() {
    let expected: Value = serde_json::from_slice(&vector("genesis/expected.json")).unwrap();
    for (name, want) in expected.as_object().unwrap() {
        let genesis = Genesis::from_json(&vector(&format!("genesis/{name}.json"))).unwrap();
        assert_eq!(genesis.header.state_root.to_string(), want["state_root"], "{name}");
        assert_eq!(genesis.hash().to_string(), want["genesis_hash"], "{name}");
        assert_eq!(rlp_hex(&genesis.header), want["header_rlp"], "{name}");
        assert_eq!(genesis.alloc.len() as u64, want["accounts"].as_u64().unwrap(), "{name}");
        assert_eq!(genesis.spec.chain_id, want["chain_id"].as_u64().unwrap(), "{name}");
        assert!(genesis.warnings.is_empty(), "{name}: {:?}", genesis.warnings);
    }
    assert_eq!(expected.as_object().unwrap().len(), 4);
}

#[test]
fn writing_and_reading_again_keeps_every_field() {
    for name in ["goerli", "rinkeby", "sepolia", "mainnet"] {
        let genesis = Genesis::from_json(&vector(&format!("genesis/{name}.json"))).unwrap();
        let again = Genesis::from_json(&to_json(&genesis)).unwrap();
        assert_eq!(again.hash(), genesis.hash(), "{name}");
        assert_eq!(again, genesis, "{name}");
    }
}

/// The dev network without contract accounts: ten funded accounts of the public test phrase and the
/// two system accounts.
pub(crate) const BARE_DEV: &str = r#"{
  "config": {
    "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
    "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
    "berlinBlock": 0, "londonBlock": 0, "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0,
    "osakaTime": 0, "clique": {"period": 1, "epoch": 30000},
    "msnet": {"finality": false, "zeroBaseFee": true}
  },
  "extraData": "0x0000000000000000000000000000000000000000000000000000000000000000f39fd6e51aad88f6f4ce6ab8827279cfffb922660000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
  "gasLimit": "1000000000", "difficulty": 1, "baseFeePerGas": "0x0", "timestamp": 0,
  "alloc": {
    "f39Fd6e51aad88F6F4ce6aB8827279cffFb92266": {"balance": "10000000000000000000000"},
    "70997970C51812dc3A010C7d01b50e0d17dc79C8": {"balance": "10000000000000000000000"},
    "3C44CdDdB6a900fa2b585dd299e03d12FA4293BC": {"balance": "10000000000000000000000"},
    "90F79bf6EB2c4f870365E785982E1f101E93b906": {"balance": "10000000000000000000000"},
    "15d34AAf54267DB7D7c367839AAf71A00a2C6A65": {"balance": "10000000000000000000000"},
    "9965507D1a55bcC2695C58ba16FB37d819B0A4dc": {"balance": "10000000000000000000000"},
    "976EA74026E726554dB657fA54763abd0C3a0aa9": {"balance": "10000000000000000000000"},
    "14dC79964da2C08b23698B3D3cc7Ca32193d9955": {"balance": "10000000000000000000000"},
    "23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f": {"balance": "10000000000000000000000"},
    "a0Ee7A142d267C1f36714E4a8F75612F20a79720": {"balance": "10000000000000000000000"},
    "0x0000F90827F1C53a10cb7A02335B175320002935": {"balance": "0", "nonce": 1, "code": "HISTORY"},
    "0x4e59b44847b379578588920cA78FbF26c0B4956C": {"balance": "0x0", "nonce": "0x1", "code": "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"}
  }
}"#;

#[test]
fn bare_dev_has_the_hash_of_the_design() {
    let code = alloy_eips::eip2935::HISTORY_STORAGE_CODE.to_string();
    let genesis = Genesis::from_json(BARE_DEV.replace("HISTORY", &code).as_bytes()).unwrap();
    let history = genesis.alloc.values().find(|account| account.code.len() > 80).unwrap();
    assert_eq!(
        history.code_hash().to_string(),
        "0x6e49e66782037c0555897870e29fa5e552daf4719552131a0abce779daec0a5d"
    );
    assert_eq!(
        genesis.header.state_root.to_string(),
        "0x6c7aa4671415683cdf6b008cbb028f2781d5e111e75b7b2c2159e93d4d7dda1c"
    );
    assert_eq!(genesis.header.length(), 619);
    assert_eq!(
        genesis.hash().to_string(),
        "0xcb298e53b79768259d2c23805a15e1e2d97e8f905d1b55eede36f66da2570aa9"
    );
    genesis.validate_runnable().unwrap();
}

/// A genesis that runs; each `(from, to)` changes its text.
fn edited(edits: &[(&str, &str)]) -> Result<Genesis, ChainError> {
    let mut text = BARE_DEV.replace("HISTORY", "0x00");
    for (from, to) in edits {
        assert!(text.contains(from), "{from} is not in the file");
        text = text.replacen(from, to, 1);
    }
    Genesis::from_json(text.as_bytes())
}

#[test]
fn refusals_name_the_path_and_the_rule() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("\"gasLimit\": \"1000000000\",", "")], "missing required field 'gasLimit' for Genesis"),
        (&[("\"difficulty\": 1,", "")], "missing required field 'difficulty' for Genesis"),
        (&[("\"alloc\"", "\"other\"")], "missing required field 'alloc' for Genesis"),
        (&[("\"config\"", "\"konfig\"")], "genesis has no chain configuration"),
        (&[("\"balance\": \"0\",", "")], "missing required field 'balance' for GenesisAccount"),
        (&[("\"chainId\": 1337,", "")], "missing required field 'chainId' for ChainConfig"),
        (
            &[("\"timestamp\": 0", "\"timestamp\": 0, \"Timestamp\": 0")],
            "genesis Timestamp: duplicate key",
        ),
        (
            &[("\"epoch\": 30000", "\"epoch\": 30000, \"epoch\": 1")],
            "genesis config.clique.epoch: duplicate key",
        ),
        (
            &[(
                "70997970C5",
                "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\": {\"balance\": 1}, \"70997970C5",
            )],
            "genesis alloc.0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266: duplicate key",
        ),
        (
            &[("\"osakaTime\": 0", "\"amsterdamTime\": 0")],
            "genesis config.amsterdamTime: unknown fork, this program implements forks up to \
             osakaTime",
        ),
        (
            &[("\"finality\"", "\"finalty\"")],
            "genesis config.msnet.finalty: unknown key in the msnet section",
        ),
        (
            &[("\"finality\": false", "\"finality\": 1")],
            "genesis config.msnet.finality: expected true or false",
        ),
        (
            &[("\"finality\"", "\"periodTransitions\": [], \"finality\"")],
            "genesis config.msnet.periodTransitions: not supported",
        ),
        (
            &[("\"1000000000\"", "\"1e9\"")],
            "genesis gasLimit: expected an integer, a decimal string or a 0x string",
        ),
        (
            &[("\"1000000000\"", "-1")],
            "genesis gasLimit: expected an integer, a decimal string or a 0x string",
        ),
        (
            &[("\"1000000000\"", "18446744073709551616")],
            "genesis gasLimit: number is wider than 64 bits",
        ),
        (
            &[(
                "\"difficulty\": 1",
                "\"difficulty\": \"0x10000000000000000000000000000000000000000000000000000000000000000\"",
            )],
            "genesis difficulty: number is wider than 256 bits",
        ),
        (
            &[("f39Fd6e51aad88F6F4", "f39Fd6e51aad88F6F")],
            "genesis alloc.f39Fd6e51aad88F6Fce6aB8827279cffFb92266: expected an address of 40 hex digits as key",
        ),
        (
            &[("\"londonBlock\": 0", "\"londonBlock\": 1")],
            "genesis baseFeePerGas: a base fee in block 0 needs londonBlock 0",
        ),
        (
            &[("\"alloc\": {", "\"alloc\": [{")],
            "genesis is not JSON: expected `,` or `]` at line 25 column 1",
        ),
    ];
    for (edits, want) in cases {
        let error = edited(edits).expect_err(want);
        assert_eq!(error.to_string(), *want);
    }
}

#[test]
fn what_cannot_run_can_still_be_hashed() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("\"clique\"", "\"aura\"")],
            "genesis has no config.clique section, so no block can be sealed or verified",
        ),
        (
            &[("f39fd6e51aad88f6f4ce6ab8827279cfffb92266", "")],
            "can't start clique chain without signers",
        ),
        (
            &[("f39fd6e51aad88f6f4ce6ab8827279cfffb92266", "f3")],
            "can't start clique chain without signers",
        ),
        (
            &[("\"timestamp\"", "\"number\": 1, \"timestamp\"")],
            "can't commit genesis block with number > 0",
        ),
        (
            &[("\"berlinBlock\": 0,", "")],
            "unsupported fork ordering: berlinBlock not enabled, but londonBlock enabled at block 0",
        ),
        (
            &[("\"berlinBlock\": 0", "\"berlinBlock\": 4")],
            "unsupported fork ordering: berlinBlock enabled at block 4, but londonBlock enabled at \
             block 0",
        ),
        (
            &[("\"cancunTime\": 0", "\"cancunTime\": 9")],
            "unsupported fork ordering: cancunTime enabled at timestamp 9, but pragueTime enabled \
             at timestamp 0",
        ),
        (
            &[("\"shanghaiTime\": 0,", "")],
            "unsupported fork ordering: shanghaiTime not enabled, but cancunTime enabled at \
             timestamp 0",
        ),
        (
            &[("\"baseFeePerGas\": \"0x0\"", "\"baseFeePerGas\": \"0x7\"")],
            "genesis config.msnet.zeroBaseFee needs londonBlock 0 and baseFeePerGas 0",
        ),
        (
            &[("\"finality\": false", "\"finality\": true")],
            "genesis config.msnet.finality: finality votes are not implemented, set it to false",
        ),
    ];
    for (edits, want) in cases {
        let genesis = edited(edits).expect(want);
        assert_eq!(genesis.validate_runnable().expect_err(want).to_string(), *want);
    }
    let apart = edited(&[("\"constantinopleBlock\": 0", "\"constantinopleBlock\": null")]).unwrap();
    let error = apart.spec.validate_fork_order().unwrap_err().to_string();
    assert_eq!(
        error,
        "unsupported fork ordering: constantinopleBlock not enabled, but petersburgBlock enabled \
         at block 0"
    );
}

#[test]
fn each_section_refuses_what_it_does_not_know() {
    let expected = "expected an integer, a decimal string or a 0x string";
    let cases: [(&str, &str, String); 17] = [
        ("\"period\": 1", "\"period\": \"soon\"", format!("genesis config.clique.period: {expected}")),
        ("\"period\": 1", "\"period\": 1.5", format!("genesis config.clique.period: {expected}")),
        ("\"epoch\": 30000", "\"epoch\": true", format!("genesis config.clique.epoch: {expected}")),
        ("{\"period\": 1, \"epoch\": 30000}", "[]", "genesis config.clique: expected an object".to_owned()),
        ("\"chainId\": 1337", "\"chainId\": \"0x\"", format!("genesis config.chainId: {expected}")),
        ("\"homesteadBlock\": 0", "\"homesteadBlock\": {}", format!("genesis config.homesteadBlock: {expected}")),
        (
            "\"osakaTime\": 0",
            "\"osakaTime\": 0, \"verkleTime\": 7",
            "genesis config.verkleTime: unknown fork, this program implements forks up to osakaTime".to_owned(),
        ),
        (
            "\"osakaTime\": 0",
            "\"osakaTime\": 0, \"futureBlock\": 0",
            "genesis config.futureBlock: unknown fork, this program implements forks up to osakaTime".to_owned(),
        ),
        ("\"zeroBaseFee\": true", "\"zeroBaseFee\": \"yes\"", "genesis config.msnet.zeroBaseFee: expected true or false".to_owned()),
        (
            "\"zeroBaseFee\": true",
            "\"zeroBaseFee\": true, \"zerobasefee\": true",
            "genesis config.msnet.zerobasefee: duplicate key".to_owned(),
        ),
        ("\"timestamp\": 0", "\"timestamp\": 0, \"mixHash\": \"0x00\"", "genesis mixHash: expected 32 bytes".to_owned()),
        ("\"timestamp\": 0", "\"timestamp\": 0, \"coinbase\": \"0x00\"", "genesis coinbase: expected 20 bytes".to_owned()),
        ("\"extraData\": \"0x", "\"extraData\": \"", "genesis extraData: expected a 0x string of whole bytes".to_owned()),
        (
            "\"nonce\": 1, \"code\": \"0x00\"",
            "\"nonce\": 1, \"code\": \"0x0\"",
            "genesis alloc.0x0000F90827F1C53a10cb7A02335B175320002935.code: expected a 0x string of whole bytes".to_owned(),
        ),
        (
            "\"code\": \"0x00\"",
            "\"code\": \"0x00\", \"storage\": {\"0x1\": \"0x1\", \"0x01\": \"0x2\"}",
            "genesis alloc.0x0000F90827F1C53a10cb7A02335B175320002935.storage.0x01: duplicate key".to_owned(),
        ),
        (
            "\"code\": \"0x00\"",
            "\"code\": \"0x00\", \"storage\": {\"0xg\": \"0x1\"}",
            "genesis alloc.0x0000F90827F1C53a10cb7A02335B175320002935.storage.0xg: expected a slot of at most 32 bytes in hex as key".to_owned(),
        ),
        ("\"nonce\": 1", "\"nonce\": \"18446744073709551616\"", "genesis alloc.0x0000F90827F1C53a10cb7A02335B175320002935.nonce: number is wider than 64 bits".to_owned()),
    ];
    let have: Vec<_> = cases
        .iter()
        .map(|(from, to, _)| {
            edited(&[(from, to)]).map_or_else(|e| e.to_string(), |_| format!("{to} passed"))
        })
        .collect();
    let want: Vec<_> = cases.iter().map(|(_, _, want)| want.clone()).collect();
    assert_eq!(have, want);
}

#[test]
fn operators_are_told_what_others_cannot_follow() {
    let warnings = edited(&[]).unwrap().start_warnings();
    assert_eq!(
        warnings,
        [
            "evm forks after london are scheduled: go-ethereum peers cannot follow this network",
            "the base fee is 0 in every block: go-ethereum peers leave at the first block over half full",
            "1 of at least 4 advised signers: one copied key can fork this network",
        ]
    );
    let goerli = Genesis::from_json(&vector("genesis/goerli.json")).unwrap();
    assert!(goerli.start_warnings().iter().all(|warning| !warning.contains("base fee")));
}

#[test]
fn what_is_ignored_is_said() {
    let genesis = edited(&[
        ("\"timestamp\": 0", "\"timestamp\": 0, \"comment\": \"ours\""),
        ("\"period\": 1", "\"period\": 1, \"limit\": 3"),
        ("\"chainId\": 1337", "\"chainId\": 1337, \"ethash\": {}, \"daoForkBlock\": 3"),
    ])
    .unwrap();
    assert_eq!(
        genesis.warnings,
        [
            "genesis comment: unknown key, ignored",
            "genesis config.clique.limit: unknown key, ignored"
        ]
    );
}

#[test]
fn storage_is_padded_and_zero_slots_vanish() {
    let genesis = edited(&[(
        "\"code\": \"0x00\"",
        "\"code\": \"0x00\", \"storage\": {\"0x1\": \"0x0a\", \"02\": \"ff\", \"03\": \"0x0\"}",
    )])
    .unwrap();
    let account = genesis.alloc.values().find(|account| !account.storage.is_empty()).unwrap();
    let want = BTreeMap::from([(U256::ONE, U256::from(10)), (U256::from(2), U256::from(255))]);
    assert_eq!(account.storage, want);
    assert_eq!(Genesis::from_json(&to_json(&genesis)).unwrap(), genesis);
}

fn any_genesis() -> impl Strategy<Value = Genesis> {
    let word = any::<[u8; 32]>().prop_map(U256::from_be_bytes);
    let storage = proptest::collection::btree_map(
        word.clone(),
        word.clone().prop_filter("no zero slots", |value| !value.is_zero()),
        0..4,
    );
    let account = (any::<u64>(), word.clone(), any::<Vec<u8>>(), storage).prop_map(
        |(nonce, balance, code, storage)| GenesisAccount {
            nonce,
            balance,
            code: code.into(),
            storage,
        },
    );
    let address = any::<[u8; 20]>().prop_map(Address::from);
    let alloc = proptest::collection::btree_map(address, account, 0..6);
    let forks =
        any::<[Option<u64>; 4]>().prop_map(|[london, shanghai_time, cancun_time, osaka]| Forks {
            homestead: Some(0),
            london: london.map(|height| height % 2),
            shanghai_time,
            cancun_time,
            osaka_time: osaka,
            ..Forks::default()
        });
    let numbers = any::<[u64; 6]>();
    let extra = any::<Vec<u8>>();
    let spec = (
        any::<u64>(),
        forks,
        any::<Option<(u64, u64)>>(),
        proptest::option::of(word),
        any::<[bool; 3]>(),
    );
    (spec, alloc, numbers, extra).prop_map(|(spec, alloc, numbers, extra)| {
        let (chain_id, forks, clique, terminal_total_difficulty, [has_msnet_section, a, b]) = spec;
        let clique =
            clique.map(|(period_secs, epoch)| CliqueConfig { period_secs, epoch: epoch.max(1) });
        let spec = ChainSpec {
            chain_id,
            forks,
            clique,
            terminal_total_difficulty,
            has_msnet_section,
            finality: has_msnet_section && a,
            zero_base_fee: has_msnet_section && b,
        };
        let [gas_limit, timestamp, nonce, difficulty, gas_used, base_fee] = numbers;
        let header = Header {
            gas_limit,
            timestamp,
            nonce: nonce.into(),
            difficulty: U256::from(difficulty),
            gas_used,
            base_fee_per_gas: (base_fee % 2 == 0).then_some(base_fee),
            extra_data: extra.into(),
            ..Header::default()
        };
        Genesis::new(spec, header, alloc)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_genesis_round_trips(genesis in any_genesis()) {
        let again = Genesis::from_json(&to_json(&genesis)).unwrap();
        prop_assert_eq!(again, genesis);
    }

    /// A file with some bytes changed, cut or doubled reads or is refused; it never ends the program.
    #[test]
    fn damaged_files_are_read_or_refused(
        edits in proptest::collection::vec((any::<usize>(), 0_u8..4, any::<u8>(), 0_usize..40), 1..6),
    ) {
        let mut bytes = BARE_DEV.replace("HISTORY", "0x00").into_bytes();
        for (at, kind, byte, length) in edits {
            let at = at % bytes.len();
            let end = (at + length).min(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes[at] = b"{}[]\",:x0-9"[usize::from(byte) % 11],
                2 => drop(bytes.drain(at..end)),
                _ => {
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
            if bytes.is_empty() {
                bytes.push(byte);
            }
        }
        if let Ok(genesis) = Genesis::from_json(&bytes) {
            let _ = genesis.validate_runnable();
            prop_assert_eq!(Genesis::from_json(&to_json(&genesis)).unwrap().hash(), genesis.hash());
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in any::<Vec<u8>>()) {
        prop_assert!(Genesis::from_json(&bytes).is_err());
    }
}
