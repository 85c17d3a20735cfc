//! Each limit, at it and one past it, and who has to go.

use super::*;
use crate::pool::limits::{
    POOL_ACCOUNT_COUNT, POOL_BUMP_PERCENT, POOL_BYTES, POOL_COUNT, POOL_GAP_COUNT, POOL_GAP_SECS,
    POOL_QUEUE_COUNT, POOL_SENDER_COUNT, POOL_SLOT_BYTES, TX_BYTES,
};
use alloy_eips::eip2718::Encodable2718 as _;

/// A pool of few slots, one of them guaranteed to each sender.
pub(super) fn small(order: Order, global_slots: usize) -> Pool {
    let config = PoolConfig {
        account_slots: 1,
        global_slots,
        ..PoolConfig::for_network(order == Order::Fair)
    };
    Pool::new(config, HEAD)
}

#[test]
fn a_full_pool_gives_up_the_cheapest() {
    let (mut pool, state) = (small(Order::Price, 8), State::default());
    for nonce in 0..2 {
        for (sender, tip) in [(ALICE, 5), (BOB, 3), (CAROL, 3), (Address::ZERO, 9)] {
            pool.add(transfer(sender, nonce, tip, 10), sender, &state).unwrap();
        }
    }
    let dave = Address::repeat_byte(0xdd);
    refused(&mut pool, transfer(dave, 0, 3, 10), dave, &state, "transaction underpriced");
    let added = pool.add(transfer(dave, 0, 4, 10), dave, &state).unwrap();
    let [evicted] = &added.evicted[..] else { panic!("one goes: {:?}", added.evicted) };
    // the latest of those with the lowest tip
    assert_eq!((evicted.sender, evicted.nonce()), (CAROL, 1));
    assert_eq!(pool.status(), (8, 0));
    let limit = "account limit exceeded: pooled 2 txs";
    refused(&mut pool, transfer(ALICE, 2, 9, 10), ALICE, &state, limit);
}

#[test]
fn a_full_pool_without_prices_takes_from_whoever_holds_most() {
    let (mut pool, state) = (small(Order::Fair, 12), State::default());
    for nonce in 0..3 {
        for sender in [ALICE, BOB, CAROL, Address::ZERO] {
            pool.add(transfer(sender, nonce, 0, 0), sender, &state).unwrap();
        }
    }
    let dave = Address::repeat_byte(0xdd);
    let added = pool.add(transfer(dave, 0, 0, 0), dave, &state).unwrap();
    let [evicted] = &added.evicted[..] else { panic!("one goes: {:?}", added.evicted) };
    assert_eq!((evicted.sender, evicted.nonce()), (CAROL, 2));
    pool.add(transfer(dave, 1, 0, 0), dave, &state).unwrap();
    // now everybody holds as much as the newcomer would
    refused(&mut pool, transfer(dave, 2, 0, 0), dave, &state, "txpool is full");
    assert_eq!(pool.status(), (12, 0));
}

#[test]
fn queues_and_bytes_are_bounded() {
    let state = State::default();
    let config = PoolConfig { account_queue: 2, global_queue: 3, ..PoolConfig::for_network(true) };
    let mut pool = Pool::new(config, HEAD);
    pool.add(transfer(ALICE, 1, 0, 0), ALICE, &state).unwrap();
    pool.add(transfer(ALICE, 2, 0, 0), ALICE, &state).unwrap();
    let limit = "account limit exceeded: pooled 2 txs";
    refused(&mut pool, transfer(ALICE, 3, 0, 0), ALICE, &state, limit);
    pool.add(transfer(BOB, 1, 0, 0), BOB, &state).unwrap();
    // the queue is full: who queues least comes in
    refused(&mut pool, transfer(BOB, 2, 0, 0), BOB, &state, "txpool is full");
    let added = pool.add(transfer(CAROL, 1, 0, 0), CAROL, &state).unwrap();
    assert_eq!((added.evicted[0].sender, added.evicted[0].nonce()), (ALICE, 2));
    refused(&mut pool, transfer(ALICE, 2, 0, 0), ALICE, &state, "txpool is full");
    pool.remove(&transfer(CAROL, 1, 0, 0).tx_hash().clone());
    pool.add(transfer(ALICE, 2, 0, 0), ALICE, &state).unwrap();
    // what fills a gap is not queued
    pool.add(transfer(ALICE, 0, 0, 0), ALICE, &state).unwrap();
    pool.add(transfer(ALICE, 3, 0, 0), ALICE, &state).unwrap();
    assert_eq!(pool.status(), (4, 1));
    // and a demotion leaves no more than a queue's length
    pool.remove(&transfer(ALICE, 0, 0, 0).tx_hash().clone());
    pool.on_new_head(HEAD, [ALICE], &state).unwrap();
    assert_eq!(pool.status(), (0, 3));

    let config = PoolConfig { max_bytes: 200, ..PoolConfig::for_network(true) };
    let mut pool = Pool::new(config, HEAD);
    pool.add(transfer(ALICE, 0, 0, 0), ALICE, &state).unwrap();
    let text = "txpool is full";
    let long = legacy(|t| {
        t.gas_limit = 100_000;
        t.input = Bytes::from(vec![1; 100]);
    });
    refused(&mut pool, long, BOB, &state, text);
}

/// A transfer with so many bytes of input that its EIP-2718 form is `size` long.
fn of_size(sender: Address, nonce: u64, tip: u128, size: usize) -> Transaction {
    let make = |input: usize| -> Transaction {
        let transaction = TxEip1559 {
            chain_id: 1337,
            nonce,
            gas_limit: 10_000_000,
            max_fee_per_gas: tip,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(sender),
            input: vec![0; input].into(),
            ..TxEip1559::default()
        };
        transaction.into_signed(Signature::test_signature()).into()
    };
    let overhead = make(size - 200).encode_2718_len() - (size - 200);
    make(size - overhead)
}

fn number(index: usize) -> Address {
    Address::left_padding_from(&(index + 1).to_be_bytes())
}

#[test]
fn the_constants_are_those_of_the_design() {
    let page = include_str!("../../../../design/security.md");
    let rows: Vec<(&str, u64)> = vec![
        ("TX_BYTES", TX_BYTES as u64),
        ("POOL_BUMP_PERCENT", u64::try_from(POOL_BUMP_PERCENT).unwrap()),
        ("POOL_COUNT", POOL_COUNT as u64),
        ("POOL_QUEUE_COUNT", POOL_QUEUE_COUNT as u64),
        ("POOL_BYTES", POOL_BYTES as u64),
        ("POOL_ACCOUNT_COUNT", POOL_ACCOUNT_COUNT as u64),
        ("POOL_GAP_COUNT", POOL_GAP_COUNT as u64),
        ("POOL_GAP_SECS", POOL_GAP_SECS),
    ];
    for (name, value) in rows {
        let row = page.lines().find(|line| line.contains(&format!("`{name}`"))).expect(name);
        let cells: Vec<_> = row.split('|').collect();
        let index = cells[1]
            .split('`')
            .filter(|word| word.chars().all(|c| c == '_' || c.is_ascii_uppercase()));
        let index =
            index.filter(|word| !word.is_empty()).position(|word| word == name).expect(name);
        let text = cells[2].split(" · ").nth(index).expect(name).replace(',', "");
        let digits: String = text.trim().chars().take_while(char::is_ascii_digit).collect();
        let unit = if text.contains("MiB") { 1 << 20 } else { 1 };
        assert_eq!(digits.parse::<u64>().unwrap() * unit, value, "{name}");
    }
    let senders = page.lines().find(|line| line.contains("`POOL_ACCOUNT_COUNT`")).unwrap();
    assert!(senders.contains("8,192") && POOL_SENDER_COUNT == 8_192);
}

#[test]
fn a_transaction_has_so_many_bytes() {
    let (mut pool, state) = (free(), State::default());
    pool.add(of_size(ALICE, 0, 0, TX_BYTES), ALICE, &state).unwrap();
    let text = "oversized data: transaction size 131073, limit 131072";
    refused(&mut pool, of_size(ALICE, 1, 0, TX_BYTES + 1), ALICE, &state, text);
    assert_eq!(pool.pending_slots, 4, "a slot for every 32 KiB");
    pool.add(of_size(BOB, 0, 0, POOL_SLOT_BYTES), BOB, &state).unwrap();
    assert_eq!(pool.pending_slots, 5);
    pool.add(of_size(BOB, 1, 0, POOL_SLOT_BYTES + 1), BOB, &state).unwrap();
    assert_eq!(pool.pending_slots, 7);
}

/// [`POOL_COUNT`], [`POOL_QUEUE_COUNT`]: full to the last place in both orders, then who goes.
#[test]
fn the_pool_holds_so_many_pending_and_so_many_queued() {
    let state = State::default();
    for order in [Order::Price, Order::Fair] {
        let config = PoolConfig { order, ..PoolConfig::for_network(order == Order::Fair) };
        let mut pool = Pool::new(config, HEAD);
        let tip = u128::from(order == Order::Price);
        for index in 0..POOL_COUNT {
            let sender = number(index / 32);
            pool.add(transfer(sender, (index % 32) as u64, tip, 9), sender, &state).unwrap();
        }
        for index in 0..POOL_QUEUE_COUNT {
            let sender = number(10_000 + index / 8);
            pool.add(transfer(sender, (index % 8) as u64 + 1, tip, 9), sender, &state).unwrap();
        }
        assert_eq!(pool.status(), (POOL_COUNT, POOL_QUEUE_COUNT));
        pool.check();
        let (other, text) = match order {
            Order::Price => (number(20_000), "transaction underpriced"),
            Order::Fair => (number(10_000), "txpool is full"),
        };
        refused(&mut pool, transfer(other, 40, tip, 9), other, &state, text);
        if order == Order::Price {
            refused(&mut pool, transfer(other, 0, tip, 9), other, &state, text);
        }
        let other = number(30_000);
        let added = pool.add(transfer(other, 0, tip + 1, 9), other, &state).unwrap();
        assert_eq!((added.evicted.len(), added.evicted[0].nonce()), (1, 31));
        let added = pool.add(transfer(other, 2, tip + 1, 9), other, &state).unwrap();
        assert_eq!((added.evicted.len(), added.evicted[0].nonce()), (1, 8));
        assert_eq!(pool.status(), (POOL_COUNT, POOL_QUEUE_COUNT));
        pool.check();
    }
}

#[test]
fn the_pool_holds_so_many_bytes() {
    let state = State::default();
    for order in [Order::Price, Order::Fair] {
        let config = PoolConfig { order, ..PoolConfig::for_network(order == Order::Fair) };
        let mut pool = Pool::new(config, HEAD);
        let tip = u128::from(order == Order::Price);
        // 1,024 of the greatest size are the 128 MiB
        for index in 0..POOL_BYTES / TX_BYTES {
            let sender = number(index / 32);
            let long = of_size(sender, (index % 32) as u64, tip, TX_BYTES);
            pool.add(long, sender, &state).unwrap();
        }
        assert_eq!(pool.bytes, POOL_BYTES);
        let (own, other) = (number(0), number(5_000));
        let text = if tip == 0 { "txpool is full" } else { "transaction underpriced" };
        refused(&mut pool, transfer(own, 32, tip, 9), own, &state, text);
        let text = "future transaction tries to replace pending";
        refused(&mut pool, transfer(other, 1, tip + 1, 9), other, &state, text);
        let added = pool.add(transfer(other, 0, tip + 1, 9), other, &state).unwrap();
        assert_eq!(added.evicted.len(), 1);
        // there is room now, and a queued one that takes it goes first when a pending one comes
        pool.add(transfer(other, 5, tip, 9), other, &state).unwrap();
        let third = number(6_000);
        let added = pool.add(of_size(third, 0, tip + 1, TX_BYTES), third, &state).unwrap();
        assert_eq!(added.evicted[0].nonce(), 5);
        pool.check();
    }
}

/// [`POOL_SENDER_COUNT`], and a quarter of the slots where that is less.
#[test]
fn a_sender_holds_so_many() {
    let state = State::default();
    state.set(ALICE, 0, u64::MAX);
    let mut pool = free();
    for nonce in 0..POOL_SENDER_COUNT as u64 {
        pool.add(transfer(ALICE, nonce, 0, 0), ALICE, &state).unwrap();
    }
    let text = "account limit exceeded: pooled 8192 txs";
    refused(&mut pool, transfer(ALICE, 8_192, 0, 0), ALICE, &state, text);
    let mut pool = small(Order::Fair, 40);
    for nonce in 0..10 {
        pool.add(transfer(ALICE, nonce, 0, 0), ALICE, &state).unwrap();
    }
    let text = "account limit exceeded: pooled 10 txs";
    refused(&mut pool, transfer(ALICE, 10, 0, 0), ALICE, &state, text);
}

/// [`POOL_GAP_COUNT`].
#[test]
fn a_sender_queues_so_many() {
    let (mut pool, state) = (free(), State::default());
    for nonce in 1..=POOL_GAP_COUNT as u64 {
        pool.add(transfer(ALICE, nonce, 0, 0), ALICE, &state).unwrap();
    }
    let text = "account limit exceeded: pooled 1024 txs";
    refused(&mut pool, transfer(ALICE, 1_025, 0, 0), ALICE, &state, text);
    let added = pool.add(transfer(ALICE, 0, 0, 0), ALICE, &state).unwrap();
    assert_eq!(added.executable.len(), 1_025);
    pool.check();
}

/// [`POOL_ACCOUNT_COUNT`]: a full pool takes from who holds more, whatever the price beside it.
#[test]
fn a_sender_keeps_so_many() {
    let state = State::default();
    let slots = 4 * (POOL_ACCOUNT_COUNT + 1);
    for order in [Order::Price, Order::Fair] {
        let config = PoolConfig {
            global_slots: slots,
            ..PoolConfig { order, ..PoolConfig::for_network(order == Order::Fair) }
        };
        let mut pool = Pool::new(config, HEAD);
        for nonce in 0..=POOL_ACCOUNT_COUNT as u64 {
            pool.add(transfer(ALICE, nonce, 5, 9), ALICE, &state).unwrap();
        }
        for index in 0..slots - POOL_ACCOUNT_COUNT - 1 {
            pool.add(transfer(number(index), 0, 1, 9), number(index), &state).unwrap();
        }
        assert_eq!(pool.status(), (slots, 0));
        // one of Alice's is beyond the guarantee, though others are cheaper
        let added = pool.add(transfer(BOB, 0, 6, 9), BOB, &state).unwrap();
        assert_eq!((added.evicted[0].sender, added.evicted[0].nonce()), (ALICE, 16));
        // then nobody holds more: the cheapest goes, or nobody
        match order {
            Order::Price => {
                let added = pool.add(transfer(CAROL, 0, 6, 9), CAROL, &state).unwrap();
                assert_eq!(added.evicted[0].tip_cap(), 1);
            }
            Order::Fair => {
                refused(&mut pool, transfer(CAROL, 0, 6, 9), CAROL, &state, "txpool is full");
            }
        }
        pool.check();
    }
}

/// [`POOL_GAP_SECS`]: since the last step forward, and for queued ones alone.
#[test]
fn queued_ones_wait_so_long() {
    let (mut pool, state) = (free(), State::default());
    pool.on_time(1_000);
    pool.add(transfer(ALICE, 0, 0, 0), ALICE, &state).unwrap();
    pool.add(transfer(ALICE, 2, 0, 0), ALICE, &state).unwrap();
    pool.add(transfer(BOB, 3, 0, 0), BOB, &state).unwrap();
    assert!(pool.on_time(1_000 + POOL_GAP_SECS - 1).is_empty());
    pool.add(transfer(BOB, 1, 0, 0), BOB, &state).unwrap();
    pool.add(transfer(ALICE, 1, 0, 0), ALICE, &state).unwrap();
    pool.add(transfer(ALICE, 4, 0, 0), ALICE, &state).unwrap();
    assert!(pool.on_time(1_000 + POOL_GAP_SECS).is_empty());
    let expired = pool.on_time(1_000 + POOL_GAP_SECS + 1);
    assert_eq!(
        expired.iter().map(|gone| (gone.sender, gone.nonce())).collect::<Vec<_>>(),
        [(BOB, 1), (BOB, 3)]
    );
    assert_eq!(pool.status(), (3, 1));
    pool.check();
    let expired = pool.on_time(1_000 + 2 * POOL_GAP_SECS);
    assert_eq!(nonces(&expired), [4]);
    assert_eq!(pool.status(), (3, 0));
}

#[test]
fn locals_need_no_price_and_lose_no_place() {
    let state = State::default();
    let config = PoolConfig {
        global_slots: 8,
        account_slots: 1,
        locals: [ALICE].into(),
        ..PoolConfig::for_network(false)
    };
    let mut pool = Pool::new(config, HEAD);
    pool.add(transfer(ALICE, 0, 0, 9), ALICE, &state).unwrap();
    pool.add(transfer(ALICE, 1, 0, 9), ALICE, &state).unwrap();
    let text = "transaction underpriced: gas tip cap 0, minimum needed 1";
    refused(&mut pool, transfer(BOB, 0, 0, 9), BOB, &state, text);
    for index in 0..6 {
        pool.add(transfer(number(index), 0, 2, 9), number(index), &state).unwrap();
    }
    let added = pool.add(transfer(BOB, 0, 3, 9), BOB, &state).unwrap();
    assert_ne!(added.evicted[0].sender, ALICE);
    let text = "account limit exceeded: pooled 2 txs";
    refused(&mut pool, transfer(ALICE, 2, 9, 9), ALICE, &state, text);
    pool.check();
}

#[test]
fn who_is_not_permitted_neither_enters_nor_is_taken() {
    let (mut pool, state) = (free(), State::default());
    pool.add(transfer(ALICE, 0, 0, 0), ALICE, &state).unwrap();
    pool.add(transfer(BOB, 0, 0, 0), BOB, &state).unwrap();
    pool.permit(Some([BOB].into()));
    let text = "sender account not authorized to send transactions";
    refused(&mut pool, transfer(ALICE, 1, 0, 0), ALICE, &state, text);
    pool.add(transfer(BOB, 1, 0, 0), BOB, &state).unwrap();
    let mut walk = Walk::open(&mut pool, 0);
    for nonce in 0..2 {
        let next = walk.next(|| &mut pool).unwrap();
        assert_eq!((next.sender, next.nonce()), (BOB, nonce));
    }
    assert!(walk.next(|| &mut pool).is_none());
    assert!(pool.best(0).all(|pooled| pooled.sender == BOB));
    pool.permit(None);
    let mut walk = Walk::open(&mut pool, 0);
    assert_eq!(walk.next(|| &mut pool).unwrap().sender, ALICE);
}
