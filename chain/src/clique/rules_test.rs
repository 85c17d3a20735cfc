//! One test a rule: a real header of Rinkeby or Goerli is put onto a parent and a set of signers that fit it, one thing
//! about it is changed, and a key of ours seals it again. So that rule alone is broken, and its text is asked for.

use std::collections::{BTreeMap, BTreeSet};

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{Address, B64, B256, Bytes, U256, hex};
use alloy_rlp::Decodable as _;
use secp256k1::SecretKey;

use super::{
    testing::{address, key, sign},
    *,
};
use crate::{
    block::{Header, SealedHeader},
    error::ChainError,
    spec::{ChainSpec, CliqueConfig, Forks},
};

const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/clique/real_headers.json");
const PERIOD: u64 = 15;
const SIGNERS: u64 = 4;

/// Goerli before London, between epochs.
const BETWEEN: (&str, u64) = ("goerli", 7);
/// An epoch block of Rinkeby.
const EPOCH: (&str, u64) = ("rinkeby", 30_000);
/// Goerli under London.
const LONDON: (&str, u64) = ("goerli", 5_102_442);

/// A real header with everything that decides about it.
#[derive(Clone)]
struct Case {
    spec: ChainSpec,
    now_ms: u64,
    parent: Header,
    snapshot: Snapshot,
    header: Header,
    key: SecretKey,
    /// Instead of a signature of the key.
    seal: Option<[u8; 65]>,
    /// The header points at its parent, unless a test wants it not to.
    is_linked: bool,
}

fn real_header((network, number): (&str, u64)) -> Header {
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(REAL).unwrap()).unwrap();
    let headers = file["headers"].as_array().unwrap();
    let is_wanted =
        |found: &&serde_json::Value| found["network"] == network && found["number"] == number;
    let found = headers.iter().find(is_wanted).unwrap();
    let rlp = hex::decode(found["header_rlp"].as_str().unwrap()).unwrap();
    Header::decode(&mut &rlp[..]).unwrap()
}

fn keys() -> Vec<SecretKey> {
    let mut keys: Vec<_> = (0..SIGNERS).map(|draw| key("rule", draw)).collect();
    keys.sort_by_key(address);
    keys
}

impl Case {
    fn new(real: (&str, u64)) -> Self {
        let header = real_header(real);
        let (keys, number) = (keys(), header.number);
        let signers: BTreeSet<Address> = keys.iter().map(address).collect();
        let member = |turn: u64| keys[usize::try_from(turn % SIGNERS).unwrap()];
        let in_turn = header.difficulty == U256::from(DIFFICULTY_IN_TURN);
        let config = CliqueConfig { period_secs: PERIOD, epoch: 30_000 };
        let spec = ChainSpec {
            chain_id: 5,
            forks: Forks { london: header.base_fee_per_gas.map(|_| 5_062_605), ..Forks::default() },
            clique: Some(config),
            terminal_total_difficulty: None,
            has_msnet_section: false,
            finality: false,
            zero_base_fee: false,
        };
        let parent = Header {
            number: number - 1,
            timestamp: header.timestamp - PERIOD,
            gas_limit: header.gas_limit,
            // just the target, so that the base fee stays
            gas_used: header.gas_limit / 2,
            base_fee_per_gas: header.base_fee_per_gas,
            ..Header::default()
        };
        let snapshot = Snapshot {
            config,
            number: number - 1,
            hash: B256::ZERO,
            signers,
            recents: BTreeMap::from([
                (number - 2, address(&member(number + 2))),
                (number - 1, address(&member(number + 3))),
            ]),
            votes: Vec::new(),
            tally: BTreeMap::new(),
        };
        let mut case = Self {
            spec,
            now_ms: header.timestamp * 1_000,
            parent,
            key: member(if in_turn { number } else { number + 1 }),
            header,
            snapshot,
            seal: None,
            is_linked: true,
        };
        if number.is_multiple_of(config.epoch) {
            let list = case.snapshot.signer_bytes();
            case.set_list(&list);
        }
        case
    }

    fn set_list(&mut self, list: &[u8]) {
        let mut vanity = self.header.extra_data.to_vec();
        vanity.resize(32, 0);
        self.header.extra_data = [&vanity, list, &[0; 65]].concat().into();
    }

    fn verify(&self) -> Result<Address, ChainError> {
        let parent = SealedHeader::seal_slow(self.parent.clone());
        let mut header = self.header.clone();
        if self.is_linked {
            header.parent_hash = parent.hash();
        }
        if header.extra_data.len() >= 97 {
            let seal = self.seal.unwrap_or_else(|| sign(&self.key, seal::seal_hash(&header)));
            seal::attach_seal(&mut header, seal).unwrap();
        }
        verify::verify_header(&self.spec, &header, &parent, &self.snapshot, self.now_ms)
    }

    fn text(&self) -> String {
        self.verify().expect_err("a broken rule").to_string()
    }
}

type Change = fn(&mut Case);

fn seal_with(case: &mut Case, v: u8, r_and_s: u8) {
    let mut seal = [r_and_s; 65];
    seal[64] = v;
    case.seal = Some(seal);
}

fn seal_again(case: &mut Case) {
    let number = case.header.number;
    case.snapshot.recents.insert(number - 1, address(&case.key));
}

/// Row of the design's table, the real header, what is changed, geth's text.
const RULES: [(u8, (&str, u64), Change, &str); 37] = [
    (
        0,
        BETWEEN,
        |c| c.header.difficulty = U256::ONE << 80,
        "too large block difficulty: bitlen 81",
    ),
    (0, BETWEEN, |c| c.set_list(&[0; 102_304]), "too large block extradata: size 102401"),
    (1, BETWEEN, |c| c.now_ms -= 1_001, "block in the future"),
    (
        2,
        EPOCH,
        |c| c.header.beneficiary = Address::repeat_byte(1),
        "beneficiary in checkpoint block non-zero",
    ),
    (3, BETWEEN, |c| c.header.nonce = B64::with_last_byte(1), "vote nonce not 0x00..0 or 0xff..f"),
    (4, EPOCH, |c| c.header.nonce = NONCE_ADD, "vote nonce in checkpoint block non-zero"),
    (
        5,
        BETWEEN,
        |c| c.header.extra_data = Bytes::from(vec![0; 31]),
        "extra-data 32 byte vanity prefix missing",
    ),
    (
        5,
        EPOCH,
        |c| c.header.extra_data = Bytes::from(vec![0; 96]),
        "extra-data 65 byte signature suffix missing",
    ),
    (6, BETWEEN, |c| c.set_list(&[7; 20]), "non-checkpoint block contains extra signer list"),
    (6, EPOCH, |c| c.set_list(&[7; 81]), "invalid signer list on checkpoint block"),
    (7, BETWEEN, |c| c.header.mix_hash = B256::with_last_byte(1), "non-zero mix digest"),
    (7, BETWEEN, |c| c.header.ommers_hash = B256::ZERO, "non empty uncle hash"),
    (8, BETWEEN, |c| c.header.difficulty = U256::from(3), "invalid difficulty"),
    (8, BETWEEN, |c| c.header.difficulty = U256::ZERO, "invalid difficulty"),
    (
        9,
        BETWEEN,
        |c| c.header.gas_limit = 1 << 63,
        "invalid gasLimit: have 9223372036854775808, max 9223372036854775807",
    ),
    (
        10,
        LONDON,
        |c| c.header.withdrawals_root = Some(B256::ZERO),
        "invalid withdrawalsHash: have 0000000000000000000000000000000000000000000000000000000000000000, expected nil",
    ),
    (
        10,
        LONDON,
        |c| c.header.excess_blob_gas = Some(7),
        "invalid excessBlobGas: have 7, expected nil",
    ),
    (10, LONDON, |c| c.header.blob_gas_used = Some(8), "invalid blobGasUsed: have 8, expected nil"),
    (
        10,
        LONDON,
        |c| c.header.parent_beacon_block_root = Some(B256::ZERO),
        "invalid parentBeaconRoot, have 0x0000000000000000000000000000000000000000000000000000000000000000, expected nil",
    ),
    (
        10,
        LONDON,
        |c| c.header.requests_hash = Some(B256::ZERO),
        "invalid requestsHash: have 0000000000000000000000000000000000000000000000000000000000000000, expected nil",
    ),
    (11, BETWEEN, |c| c.is_linked = false, "unknown ancestor"),
    (11, BETWEEN, |c| c.header.number += 120_000, "unknown ancestor"),
    (12, BETWEEN, |c| c.header.timestamp -= 1, "invalid timestamp"),
    (12, BETWEEN, |c| c.parent.timestamp = u64::MAX - 3, "invalid timestamp"),
    (
        13,
        BETWEEN,
        |c| c.header.gas_used = 10_414_298,
        "invalid gasUsed: have 10414298, gasLimit 10414297",
    ),
    (
        14,
        BETWEEN,
        |c| c.header.base_fee_per_gas = Some(7),
        "invalid baseFee before fork: have 7, want <nil>",
    ),
    (
        14,
        BETWEEN,
        |c| c.parent.gas_limit = 8_000_000,
        "invalid gas limit: have 10414297, want 8000000 +-= 7811",
    ),
    (
        14,
        BETWEEN,
        |c| (c.parent.gas_limit, c.header.gas_limit, c.header.gas_used) = (5_001, 4_999, 0),
        "invalid gas limit below 5000",
    ),
    (14, LONDON, |c| c.header.base_fee_per_gas = None, "header is missing baseFee"),
    (
        14,
        LONDON,
        |c| c.header.base_fee_per_gas = Some(6),
        "invalid baseFee: have 6, want 7, parentBaseFee 7, parentGasUsed 15000000",
    ),
    (15, EPOCH, |c| c.set_list(&[7; 80]), "mismatching signer list on checkpoint block"),
    (16, BETWEEN, |c| seal_with(c, 4, 1), "invalid signature recovery id"),
    (16, LONDON, |c| seal_with(c, 0, 0), "recovery failed"),
    (16, EPOCH, |c| c.key = key("stranger", 0), "unauthorized signer"),
    (17, BETWEEN, seal_again, "recently signed"),
    (17, EPOCH, seal_again, "recently signed"),
    (18, BETWEEN, |c| c.header.difficulty = U256::ONE, "wrong difficulty"),
];

#[test]
fn each_rule_broken_alone_is_named() {
    for real in [BETWEEN, EPOCH, LONDON] {
        let case = Case::new(real);
        assert_eq!(case.verify().unwrap(), address(&case.key), "{real:?}");
        assert_eq!(case.header.ommers_hash, EMPTY_OMMER_ROOT_HASH);
    }
    let text = |real, change: Change| {
        let mut case = Case::new(real);
        change(&mut case);
        case.text()
    };
    let have: Vec<_> =
        RULES.iter().map(|(row, real, change, _)| (*row, text(*real, *change))).collect();
    let want: Vec<_> = RULES.iter().map(|(row, .., want)| (*row, (*want).to_owned())).collect();
    assert_eq!(have, want);
    let rows: BTreeSet<u8> = RULES.iter().map(|(row, ..)| *row).collect();
    assert_eq!(rows, (0..=18).collect());
}

/// Two rules broken: the one that stands higher in the table speaks. Changes of the same thing have no order.
#[test]
fn the_higher_of_two_broken_rules_is_named() {
    let mut pairs = 0;
    for (at, (row, real, first, want)) in RULES.iter().enumerate() {
        for (below, _, second, want_below) in &RULES[at + 1..] {
            let mut case = Case::new(*real);
            second(&mut case);
            // on this header the second change may break another rule, or none
            let alone = case.verify().err().map(|error| error.to_string());
            if row == below || alone.as_deref() != Some(*want_below) {
                continue;
            }
            first(&mut case);
            let mut other = Case::new(*real);
            first(&mut other);
            second(&mut other);
            if !is_same(&case, &other) || is_alone(&case, *real) {
                continue;
            }
            assert_eq!(case.text(), *want, "rows {row} and {below}, {want}");
            pairs += 1;
        }
    }
    assert!(pairs > 100, "{pairs}");
}

fn is_same(a: &Case, b: &Case) -> bool {
    let parts = |c: &Case| {
        let recents = c.snapshot.recents.clone();
        (c.header.clone(), c.parent.clone(), recents, c.seal, c.is_linked, c.now_ms, c.key)
    };
    parts(a) == parts(b)
}

/// One change alone gives what both give: it wrote over the other.
fn is_alone(both: &Case, real: (&str, u64)) -> bool {
    RULES.iter().any(|(_, _, change, _)| {
        let mut alone = Case::new(real);
        change(&mut alone);
        is_same(&alone, both)
    })
}

/// geth takes the coming second as the limit, not a tolerance: to the millisecond.
#[test]
fn a_header_counts_from_its_second_on() {
    let mut case = Case::new(BETWEEN);
    case.verify().unwrap();
    for early_ms in [1, 9_999, 10_001] {
        case.now_ms = case.header.timestamp * 1_000 - early_ms;
        assert_eq!(case.text(), "block in the future");
    }
    case.now_ms = u64::MAX;
    case.verify().unwrap();
}

/// Near genesis the window begins before block 0; geth's subtraction wraps there and lets a signer repeat.
#[test]
fn the_window_holds_from_block_one_on() {
    let case = Case::new(BETWEEN);
    let mut snapshot = case.snapshot.clone();
    let signer = address(&case.key);
    for (sealed, number, is_recent) in
        [(1, 2, true), (1, 3, true), (1, 4, false), (5, 7, true), (4, 7, false)]
    {
        snapshot.recents = BTreeMap::from([(sealed, signer)]);
        assert_eq!(snapshot.is_recent(number, signer), is_recent, "{sealed} and {number}");
    }
}
