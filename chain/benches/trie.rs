//! The state trie with a million accounts: what a root costs, what a start costs, what it weighs.
//!
//! `cargo bench -p chain -p msnet --bench trie [accounts]`. Each figure stands beside the same work done by one thread
//! with the scalar keccak, in the same run.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock")]

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use chain::{
    block::Header,
    blockchain::{Blockchain, Storage},
    genesis::{Genesis, GenesisAccount},
    spec::{ChainSpec, CliqueConfig, Forks},
    state::{Account, Change, Changes, StateDb, keccak_x8::Lanes, root::StateTrie, trie::Effort},
};

/// Rounds of each measure; the median counts.
const ROUNDS: usize = 7;

fn main() {
    let asked = std::env::args().skip(1).find_map(|text| text.parse().ok());
    let accounts: u64 = asked.unwrap_or(1_000_000);
    keccak();
    let folder = tempfile::tempdir().expect("a folder for the store");
    let genesis = genesis(accounts);
    let storage = || Storage::Dir(folder.path().to_owned());
    let first = Blockchain::open(&genesis, storage()).expect("a new store opens");
    first.close().expect("a new store closes");

    let before = resident_bytes();
    let from = Instant::now();
    let chain = Blockchain::open(&genesis, storage()).expect("the store opens again");
    let whole = from.elapsed();
    let state = chain.reader().head_state();
    let root = genesis.header.state_root;
    println!("start with {accounts} accounts: {:.2} s (goal 3 s)", whole.as_secs_f64());
    let weight = resident_bytes().saturating_sub(before);
    println!("  memory of the process grew by {} bytes an account", weight / accounts.max(1));

    let rebuild = |effort| {
        let from = Instant::now();
        let trie = StateTrie::rebuild_with(&state, root, effort).expect("the root is right");
        (from.elapsed(), trie)
    };
    let (slow, mut least) = rebuild(Effort::least());
    let before = resident_bytes();
    let (fast, mut best) = rebuild(Effort::best());
    let weight = resident_bytes().saturating_sub(before);
    println!("  of that rebuilding the trie: {}", ratio(fast, slow));
    println!("  the trie holds {} bytes an account", weight / accounts.max(1));

    for changed in [500, 5_000, 12_000] {
        let fast = root_of(&mut best, &state, changed, accounts);
        let slow = root_of(&mut least, &state, changed, accounts);
        let leaf = fast.as_nanos() / u128::from(changed);
        println!("root of {changed} changed: {}, {leaf} ns a leaf", ratio(fast, slow));
        let (parts, close) = staged(&mut best, &state, changed, accounts);
        println!(
            "  in parts of 500 while transactions run: {:.1} ms, left at the close {:.1} ms",
            millis(parts),
            millis(close)
        );
    }
}

/// Nanoseconds for a message of a leaf's length.
fn keccak() {
    const MESSAGES: u32 = 80_000;
    let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    let mut one_by_one = 0.0;
    for lanes in Lanes::available() {
        let measure = || {
            let from = Instant::now();
            for round in 0..MESSAGES as usize / 8 {
                let at = round % 100;
                let messages = std::array::from_fn(|lane| &bytes[at + lane * 90..][..110]);
                black_box(lanes.keccak256_x8(&messages));
            }
            from.elapsed()
        };
        let each = median(measure).as_secs_f64() * 1e9 / f64::from(MESSAGES);
        if lanes == Lanes::Scalar {
            one_by_one = each;
        }
        let times = one_by_one / each;
        println!("keccak256 of 110 bytes, {lanes:?}: {each:.0} ns, {times:.1} x scalar");
    }
}

fn root_of(trie: &mut StateTrie, state: &StateDb, changed: u64, accounts: u64) -> Duration {
    let mut salt = 0;
    median(|| {
        salt += 1;
        let mut changes = transfers(state, changed, accounts, salt);
        let from = Instant::now();
        black_box(trie.root_after(state, &mut changes).expect("nothing is loaded"));
        let took = from.elapsed();
        // Taking it back is not part of the measure.
        trie.undo(&Changes::default());
        took
    })
}

fn staged(
    trie: &mut StateTrie,
    state: &StateDb,
    changed: u64,
    accounts: u64,
) -> (Duration, Duration) {
    let mut salt = 100;
    let (mut parts, mut closes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        salt += 1;
        let mut changes = transfers(state, changed, accounts, salt);
        let all: Vec<_> = changes.accounts.iter().map(|(&key, &change)| (key, change)).collect();
        let stage = trie.open_stage();
        let from = Instant::now();
        for part in all.chunks(500) {
            let accounts = part.iter().copied().collect();
            let part = Changes { accounts, ..Changes::default() };
            trie.stage(stage, state, &part).expect("nothing is loaded");
        }
        parts.push(from.elapsed());
        let from = Instant::now();
        let root = trie.root_of_stage(stage, state, &mut changes).expect("nothing is loaded");
        closes.push(from.elapsed());
        assert_eq!(root, trie.root_after(state, &mut changes).expect("nothing is loaded"));
        trie.undo(&Changes::default());
    }
    parts.sort_unstable();
    closes.sort_unstable();
    (parts[ROUNDS / 2], closes[ROUNDS / 2])
}

/// As many accounts with a new balance, spread by a hash.
fn transfers(state: &StateDb, changed: u64, accounts: u64, salt: u64) -> Changes {
    let draw = |index: u64| {
        let hash = keccak256([salt.to_be_bytes(), index.to_be_bytes()].concat());
        let bytes = hash.first_chunk::<8>().expect("a hash has 32 bytes");
        address(u64::from_be_bytes(*bytes) % accounts)
    };
    let accounts = (0..changed).map(|index| {
        let address = draw(index);
        let old = state.account(address).expect("the store reads");
        let before = old.unwrap_or_default();
        let balance = before.balance + U256::from(salt);
        (address, Change { old, new: Some(Account { balance, nonce: salt, ..before }) })
    });
    Changes { accounts: accounts.collect(), ..Changes::default() }
}

fn address(index: u64) -> Address {
    Address::from_word(keccak256(index.to_be_bytes()))
}

fn genesis(accounts: u64) -> Genesis {
    let spec = ChainSpec {
        chain_id: 1337,
        forks: Forks::all_at_genesis(),
        clique: Some(CliqueConfig { period_secs: 1, epoch: 30_000 }),
        terminal_total_difficulty: None,
        has_msnet_section: false,
        finality: false,
        zero_base_fee: false,
    };
    let extra_data = [vec![0; 32], vec![1; 20], vec![0; 65]].concat().into();
    let header = Header { difficulty: U256::ONE, extra_data, ..Header::default() };
    let rich = |index: u64| GenesisAccount {
        balance: U256::from(10).pow(U256::from(18)) + U256::from(index),
        ..GenesisAccount::default()
    };
    let alloc: BTreeMap<_, _> = (0..accounts).map(|index| (address(index), rich(index))).collect();
    let genesis = Genesis::new(spec, header, alloc);
    assert_ne!(genesis.header.state_root, B256::ZERO);
    genesis
}

fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<_> = (0..ROUNDS).map(|_| measure()).collect();
    all.sort_unstable();
    all[ROUNDS / 2]
}

fn ratio(fast: Duration, slow: Duration) -> String {
    let times = slow.as_secs_f64() / fast.as_secs_f64();
    format!("{:.1} ms, {times:.1} x one scalar thread", millis(fast))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Memory that the process has in use, by Linux's account; 0 elsewhere.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}
