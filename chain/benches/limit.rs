//! The limit of this machine: sender recovery, execution and state root of full blocks on two cores, and nothing else.
//!
//! `cargo bench -p chain -p msnet --bench limit [transactions]`. What the whole node reaches is told as a share of this.
//! One thread recovers ahead; the other runs block after block and recovers too while it has to wait.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction as _, TxLegacy, transaction::SignerRecoverable as _};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, address, bytes, keccak256};
use chain::{
    block::{Header, Transaction},
    blockchain::{Blockchain, Storage},
    executor::BlockExecutor,
    genesis::{Genesis, GenesisAccount},
    spec::{ChainSpec, CliqueConfig, Forks},
    state::{Layer, StateDb, root::StateTrie},
};
use secp256k1::{Message, SECP256K1, SecretKey};

const CHAIN_ID: u64 = 1337;
const SENDERS: u64 = 100;
const BLOCK_TRANSACTIONS: usize = 5_000;
/// Transactions that a thread takes at once for recovery.
const CHUNK: usize = 64;
const GAS_LIMIT: u64 = 1_000_000_000;

/// `transfer(address,uint256)` of a token: balances at keccak256(holder ‖ 0), both read and written, and the event.
///
/// ```text
///   balance[caller] -= amount    33 5f52 6040 5f20  80 54 6024 35 90 03 90 55
///   balance[to] += amount        6004 35 5f52 6040 5f20  80 54 6024 35 01 90 55
///   Transfer(caller, to, amount) 6024 35 6060 52  6004 35 33 7fddf2… 6020 6060 a3
///   return true                  6001 5f52 6020 5ff3
/// ```
const TOKEN_CODE: Bytes = bytes!(
    "335f5260405f208054602435900390556004355f5260405f20805460243501905560243560605260043533"
    "7fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60206060a360015f5260205ff3"
);
const TOKEN: Address = address!("0x7070000000000000000000000000000000000007");

#[derive(Clone, Copy)]
enum Kind {
    Transfer,
    Token,
}

fn main() {
    let asked = std::env::args().skip(1).find_map(|text| text.parse().ok());
    let count: usize = asked.unwrap_or(30_000);
    for (name, kind) in [("transfers", Kind::Transfer), ("token transfers", Kind::Token)] {
        let transactions: Vec<_> = (0..count as u64).map(|index| signed(kind, index)).collect();
        let mut times: Vec<_> = (0..3).map(|_| run(&transactions)).collect();
        times.sort_unstable_by_key(|times| times.whole);
        let Times { whole, recover, execute, root } = times[1];
        let per = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        println!(
            "{name}: {:.0} a second on two cores; one core alone, µs each: recover {:.1}, execute {:.1}, root {:.1}",
            count as f64 / whole.as_secs_f64(),
            per(recover),
            per(execute),
            per(root),
        );
    }
}

#[derive(Clone, Copy)]
struct Times {
    whole: Duration,
    recover: Duration,
    execute: Duration,
    root: Duration,
}

/// Senders, filled in by whoever comes first.
struct Recovery<'a> {
    transactions: &'a [Transaction],
    senders: Vec<OnceLock<Address>>,
    next: AtomicUsize,
}

impl Recovery<'_> {
    /// Recovers one more chunk; false if none is left.
    fn step(&self) -> bool {
        let from = self.next.fetch_add(CHUNK, Ordering::Relaxed);
        let to = (from + CHUNK).min(self.transactions.len());
        for index in from..to {
            let sender = self.transactions[index].recover_signer().expect("signed below");
            self.senders[index].set(sender).expect("each chunk is taken once");
        }
        from < to
    }

    fn sender(&self, index: usize) -> Address {
        loop {
            if let Some(sender) = self.senders[index].get() {
                return *sender;
            }
            if !self.step() {
                std::hint::spin_loop();
            }
        }
    }
}

fn run(transactions: &[Transaction]) -> Times {
    let senders = transactions.iter().map(|_| OnceLock::new()).collect();
    let recovery = Recovery { transactions, senders, next: AtomicUsize::new(0) };
    let (from, mut ledger) = (Instant::now(), Ledger::new());
    let made = from.elapsed();
    let from = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| while recovery.step() {});
        for first in (0..transactions.len()).step_by(BLOCK_TRANSACTIONS) {
            let last = (first + BLOCK_TRANSACTIONS).min(transactions.len());
            for index in first..last {
                recovery.sender(index);
            }
            ledger.block(&recovery, first..last);
        }
    });
    let whole = from.elapsed();
    assert!(made < Duration::from_secs(60), "the genesis is small");
    // The same again without company, part by part.
    let from = Instant::now();
    for transaction in transactions.iter().take(BLOCK_TRANSACTIONS) {
        std::hint::black_box(transaction.recover_signer().expect("signed below"));
    }
    let recover = from.elapsed()
        * u32::try_from(transactions.len().div_ceil(BLOCK_TRANSACTIONS)).expect("few");
    let mut alone = Ledger::new();
    for first in (0..transactions.len()).step_by(BLOCK_TRANSACTIONS) {
        alone.block(&recovery, first..(first + BLOCK_TRANSACTIONS).min(transactions.len()));
    }
    Times { whole, recover, execute: alone.execute, root: alone.root }
}

/// A chain's state without its blocks.
struct Ledger {
    spec: Arc<ChainSpec>,
    state: StateDb,
    trie: Arc<Mutex<StateTrie>>,
    execute: Duration,
    root: Duration,
}

impl Ledger {
    fn new() -> Self {
        let genesis = genesis();
        let chain = Blockchain::open(&genesis, Storage::Memory).expect("a chain in memory opens");
        let state = chain.reader().head_state();
        let trie =
            StateTrie::rebuild(&state, genesis.header.state_root).expect("the root is right");
        let trie = Arc::new(Mutex::new(trie));
        let zero = Duration::ZERO;
        Self { spec: chain.spec().clone(), state, trie, execute: zero, root: zero }
    }

    fn block(&mut self, recovery: &Recovery<'_>, range: std::ops::Range<usize>) {
        let number = self.state.number() + 1;
        let header = Header {
            number,
            timestamp: number,
            gas_limit: GAS_LIMIT,
            difficulty: U256::ONE,
            base_fee_per_gas: Some(0),
            ..Header::default()
        };
        let from = Instant::now();
        let (state, trie) = (self.state.clone(), self.trie.clone());
        let mut executor = BlockExecutor::new(&self.spec, state, &header, Address::ZERO, trie)
            .expect("a block starts");
        for index in range {
            let sender = recovery.sender(index);
            let transaction = &recovery.transactions[index];
            let receipt = executor.transact(transaction, sender).expect("the sender can pay");
            assert!(receipt.success, "the transaction at {index} runs");
        }
        self.execute += from.elapsed();
        let from = Instant::now();
        let executed = executor.finish().expect("nothing fails in memory");
        let mut trie = self.trie.lock().expect("nobody panicked");
        trie.accept(&executed.changes, executed.state_root);
        drop(trie);
        self.root += from.elapsed();
        let layer = Layer { number, hash: B256::ZERO, changes: executed.changes };
        self.state = self.state.with_layer(Arc::new(layer));
    }
}

fn key(draw: u64) -> SecretKey {
    let digest = keccak256(draw.to_be_bytes());
    SecretKey::from_byte_array(digest.0).expect("a digest is a scalar but for 1 in 2^128")
}

fn account(key: &SecretKey) -> Address {
    let point = key.public_key(SECP256K1).serialize_uncompressed();
    Address::from_raw_public_key(&point[1..])
}

fn signed(kind: Kind, index: u64) -> Transaction {
    let to = Address::from_word(keccak256((index % 5_000).to_be_bytes()));
    let (to, value, input) = match kind {
        Kind::Transfer => (to, U256::ONE, Bytes::new()),
        Kind::Token => {
            let words = [to.into_word(), B256::with_last_byte(1)].concat();
            (TOKEN, U256::ZERO, [&[0xa9, 0x05, 0x9c, 0xbb][..], &words].concat().into())
        }
    };
    let transaction = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce: index / SENDERS,
        gas_price: 1,
        gas_limit: 100_000,
        to: to.into(),
        value,
        input,
    };
    let message = Message::from_digest(transaction.signature_hash().0);
    let signature = SECP256K1.sign_ecdsa_recoverable(message, &key(index % SENDERS));
    let (id, bytes) = signature.serialize_compact();
    let signature = Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1);
    transaction.into_signed(signature).into()
}

fn genesis() -> Genesis {
    let spec = ChainSpec {
        chain_id: CHAIN_ID,
        forks: Forks::all_at_genesis(),
        clique: Some(CliqueConfig { period_secs: 1, epoch: 30_000 }),
        terminal_total_difficulty: None,
        has_msnet_section: true,
        finality: false,
        zero_base_fee: true,
    };
    let header = Header {
        difficulty: U256::ONE,
        gas_limit: GAS_LIMIT,
        base_fee_per_gas: Some(0),
        extra_data: [vec![0; 32], vec![1; 20], vec![0; 65]].concat().into(),
        ..Header::default()
    };
    let rich = GenesisAccount { balance: U256::from(10).pow(U256::from(24)), ..Default::default() };
    let mut alloc: BTreeMap<_, _> =
        (0..SENDERS).map(|draw| (account(&key(draw)), rich.clone())).collect();
    let code = TOKEN_CODE.clone();
    alloc.insert(TOKEN, GenesisAccount { nonce: 1, code, ..Default::default() });
    Genesis::new(spec, header, alloc)
}
