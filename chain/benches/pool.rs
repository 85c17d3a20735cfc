//! What the pool costs: letting in, taking the best, following a head with 10,000 mined.
//!
//! `cargo bench -p chain --bench pool [-- SENDERS]` prints medians of five runs in µs a transaction
//! and what that is a second, for both orders. Signatures are not in it, nor is reading the state.
#![expect(clippy::print_stdout, reason = "a measurement's output")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock")]

use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, Signature, TxKind, U256};
use chain::{
    block::Transaction,
    pool::{AccountState, Order, Pool, PoolConfig, PoolHead, SpecId, Walk},
};

/// A full pool.
const COUNT: usize = 65_536;
/// Transactions of the block that the head brings.
const MINED: usize = 10_000;
const RUNS: usize = 5;
const HEAD: PoolHead = PoolHead { chain_id: 7, spec_id: SpecId::OSAKA, gas_limit: 1_000_000_000 };

fn main() {
    let senders = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(4_096);
    println!("{COUNT} transactions of {senders} senders, median of {RUNS}");
    for order in [Order::Price, Order::Fair] {
        let runs: Vec<_> = (0..RUNS).map(|_| run(order, senders)).collect();
        let median = |pick: fn(&Run) -> Duration| {
            let mut times: Vec<_> = runs.iter().map(pick).collect();
            times.sort_unstable();
            times[RUNS / 2]
        };
        println!("{order:?}");
        line("insert", COUNT, median(|run| run.insert));
        line("open a walk, other base fee", 1, median(|run| run.reopen));
        line("open a walk, same base fee", 1, median(|run| run.open));
        line("take the best", MINED, median(|run| run.take));
        line("new head, 10,000 mined", MINED, median(|run| run.head));
        line("displace in a full pool", MINED, median(|run| run.displace));
        line("copy of the order for readers", 1, median(|run| run.copy));
    }
}

fn line(what: &str, count: usize, time: Duration) {
    let micros = time.as_secs_f64() * 1e6;
    let (each, rate) = (micros / count as f64, count as f64 / time.as_secs_f64());
    println!("  {what:<32} {:>9.3} ms  {each:>9.3} us each  {rate:>11.0} a second", micros / 1e3);
}

/// Times of one run.
struct Run {
    insert: Duration,
    reopen: Duration,
    open: Duration,
    take: Duration,
    head: Duration,
    displace: Duration,
    copy: Duration,
}

fn run(order: Order, senders: usize) -> Run {
    let config = PoolConfig { order, account_slots: 1, ..PoolConfig::for_network(false) };
    let mut pool = Pool::new(config, HEAD);
    let rich = |nonce| AccountState { nonce, balance: U256::MAX, is_delegated: false };
    let fresh = |_| Ok(rich(0));
    let transactions: Vec<_> = (0..COUNT)
        .map(|index| transfer(index % senders, (index / senders) as u64, 1 + index % 97))
        .collect();
    let newcomers: Vec<_> = (0..MINED).map(|index| transfer(senders + index, 0, 1_000)).collect();

    let insert = time(|| {
        for (transaction, sender) in transactions {
            pool.add(transaction, sender, &fresh).expect("there is room");
        }
    });
    let copy = time(|| assert_eq!(pool.best(3).count(), COUNT));
    let reopen = time(|| drop(Walk::open(&mut pool, 7)));
    let mut walk = Walk::open(&mut pool, 7);
    let mut mined = Vec::with_capacity(MINED);
    let take = time(|| {
        for _ in 0..MINED {
            mined.push(walk.next(|| &mut pool).expect("the pool is full"));
        }
    });
    let open = time(|| drop(Walk::open(&mut pool, 7)));
    let mut nonces = std::collections::HashMap::new();
    for pooled in &mined {
        nonces.insert(pooled.sender, pooled.nonce() + 1);
    }
    let view = |sender| Ok(rich(nonces.get(&sender).copied().unwrap_or(0)));
    let changed: Vec<_> = nonces.keys().copied().collect();
    let head = time(|| drop(pool.on_new_head(HEAD, changed, &view).expect("a readable state")));
    assert_eq!(pool.status().0, COUNT - MINED);
    // full again, then each newcomer takes another's place
    for index in 0..MINED {
        let (transaction, sender) = transfer(senders + MINED + index, 0, 1);
        pool.add(transaction, sender, &fresh).expect("there is room");
    }
    let displace = time(|| {
        for (transaction, sender) in newcomers {
            // in fair order there is an end once nobody holds more than the guarantee
            let _ = pool.add(transaction, sender, &fresh);
        }
    });
    Run { insert, reopen, open, take, head, displace, copy }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn transfer(sender: usize, nonce: u64, tip: usize) -> (Transaction, Address) {
    let sender = Address::left_padding_from(&(sender + 1).to_be_bytes());
    let transaction = TxEip1559 {
        chain_id: 7,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 10_000,
        max_priority_fee_per_gas: tip as u128,
        to: TxKind::Call(sender),
        ..TxEip1559::default()
    };
    let transaction: Transaction = transaction.into_signed(Signature::test_signature()).into();
    // the hash is known before a transaction comes to the pool
    let _ = transaction.tx_hash();
    (transaction, sender)
}
