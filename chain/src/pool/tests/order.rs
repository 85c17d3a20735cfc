//! Both orders are total, and the builder's walk is the same as the copy for readers.

use super::{limits::small, *};

fn order_of(pool: &Pool, base_fee: u64) -> Vec<(Address, u64)> {
    pool.best(base_fee).map(|pooled| (pooled.sender, pooled.nonce())).collect()
}

#[test]
fn price_order_takes_the_best_tip_and_keeps_nonces() {
    let (mut pool, state) = (paid(), State::default());
    for (sender, nonce, tip, cap) in [
        (ALICE, 0, 1, 100),
        (ALICE, 1, 50, 100),
        (BOB, 0, 20, 100),
        (CAROL, 0, 20, 100),
        (BOB, 1, 90, 95),
        (CAROL, 1, 90, 89),
    ] {
        let _ = pool.add(transfer(sender, nonce, tip, cap), sender, &state);
    }
    // at base fee 90 the second of Bob pays 5
    let want = [(BOB, 0), (CAROL, 0), (BOB, 1), (ALICE, 0), (ALICE, 1)];
    assert_eq!(order_of(&pool, 90), want.map(|(sender, nonce)| (sender, nonce)));
    // at 96 it cannot be taken at all
    assert_eq!(order_of(&pool, 96), [(BOB, 0), (CAROL, 0), (ALICE, 0), (ALICE, 1)]);
    assert_eq!(order_of(&pool, 101), []);
}

#[test]
fn fair_order_goes_round_by_arrival_whatever_the_tip() {
    let (mut pool, state) = (free(), State::default());
    for (sender, nonce, tip) in [
        (CAROL, 0, 0),
        (CAROL, 1, 9),
        (CAROL, 2, 9),
        (ALICE, 0, 0),
        (BOB, 0, 9),
        (BOB, 1, 9),
        (ALICE, 2, 9),
    ] {
        pool.add(transfer(sender, nonce, tip, tip), sender, &state).unwrap();
    }
    let want = [(CAROL, 0), (ALICE, 0), (BOB, 0), (CAROL, 1), (BOB, 1), (CAROL, 2)];
    assert_eq!(order_of(&pool, 0), want);
    let mut best = pool.best(0);
    assert_eq!(best.next().unwrap().sender, CAROL);
    best.skip_sender();
    let rest: Vec<_> = best.map(|pooled| pooled.sender).collect();
    assert_eq!(rest, [ALICE, BOB, BOB]);
}

fn walk_order(pool: &mut Pool, base_fee: u64) -> Vec<(Address, u64)> {
    let mut walk = Walk::open(pool, base_fee);
    let take = || walk.next(|| &mut *pool).map(|pooled| (pooled.sender, pooled.nonce()));
    std::iter::from_fn(take).collect()
}

#[test]
fn a_walk_meets_what_arrives_and_begins_anew() {
    for order in [Order::Price, Order::Fair] {
        let config = PoolConfig { order, ..PoolConfig::for_network(false) };
        let (mut pool, state) = (Pool::new(config, HEAD), State::default());
        pool.add(transfer(ALICE, 0, 1, 9), ALICE, &state).unwrap();
        let mut walk = Walk::open(&mut pool, 0);
        assert_eq!(walk.next(|| &mut pool).unwrap().sender, ALICE);
        assert!(walk.next(|| &mut pool).is_none());
        // one that was taken is not taken again, nor is what replaces it
        pool.add(transfer(ALICE, 0, 2, 18), ALICE, &state).unwrap();
        assert!(walk.next(|| &mut pool).is_none());
        pool.add(transfer(ALICE, 2, 5, 9), ALICE, &state).unwrap();
        pool.add(transfer(BOB, 0, 1, 9), BOB, &state).unwrap();
        pool.add(transfer(ALICE, 1, 1, 9), ALICE, &state).unwrap();
        let next = walk.next(|| &mut pool).unwrap();
        assert_eq!((next.sender, next.nonce()), (BOB, 0));
        assert_eq!(walk.next(|| &mut pool).unwrap().nonce(), 1);
        walk.skip_sender(|| &mut pool);
        assert!(walk.next(|| &mut pool).is_none());
        // the next block begins with all of them
        assert_eq!(walk_order(&mut pool, 0), order_of(&pool, 0));
        assert_eq!(order_of(&pool, 0).len(), 4);
        let mut walk = Walk::open(&mut pool, 0);
        pool.on_new_head(HEAD, [], &state).unwrap();
        assert!(walk.next(|| &mut pool).is_none(), "a new head ends it");
        let mut old = Walk::open(&mut pool, 0);
        let mut walk = Walk::open(&mut pool, 0);
        assert!(old.next(|| &mut pool).is_none(), "another ends it");
        old.skip_sender(|| &mut pool);
        assert!(walk.next(|| &mut pool).is_some());
        pool.check();
    }
}

#[test]
fn who_comes_to_the_ring_stands_at_its_back() {
    let (mut pool, state) = (free(), State::default());
    for nonce in 0..60 {
        pool.add(transfer(ALICE, nonce, 0, 0), ALICE, &state).unwrap();
        pool.add(transfer(BOB, nonce, 0, 0), BOB, &state).unwrap();
    }
    let mut walk = Walk::open(&mut pool, 0);
    for _ in 0..ready::WALK_CHUNK {
        walk.next(|| &mut pool).unwrap();
    }
    for nonce in 0..60 {
        pool.add(transfer(CAROL, nonce, 0, 0), CAROL, &state).unwrap();
    }
    let mut next = || walk.next(|| &mut pool).unwrap().sender;
    // no matter how many turns it missed, it has one at a time
    assert_eq!([next(), next(), next(), next(), next()], [CAROL, ALICE, BOB, CAROL, ALICE]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever arrives in whatever order: each executable transaction is taken exactly once, nonces
    /// ascend from the account's, two runs agree, and the counts fit what is there.
    #[test]
    fn pool_order_is_total_and_the_counts_hold(
        arrivals in proptest::collection::vec((0_u8..4, 0_u64..8, 0_u64..5, any::<bool>()), 0..60),
        fair: bool,
        slots in 8_usize..40,
    ) {
        let order = if fair { Order::Fair } else { Order::Price };
        let (mut pool, state) = (small(order, slots), State::default());
        for (sender, nonce, tip, is_head) in arrivals {
            let sender = Address::repeat_byte(sender);
            let _ = pool.add(transfer(sender, nonce, tip.into(), 50), sender, &state);
            if is_head && nonce == 7 {
                let next = state.account(sender).unwrap().nonce + 1;
                state.set(sender, next, ETHER);
                pool.on_new_head(HEAD, [sender], &state).unwrap();
            }
            pool.check();
        }
        let taken = order_of(&pool, 1);
        prop_assert_eq!(&taken, &order_of(&pool, 1));
        for base_fee in [0, 3, 1] {
            prop_assert_eq!(walk_order(&mut pool, base_fee), order_of(&pool, base_fee));
            pool.check();
        }
        prop_assert_eq!(taken.len(), pool.pending().count());
        let mut next: BTreeMap<Address, u64> = BTreeMap::new();
        for (sender, nonce) in taken {
            let start = state.account(sender).unwrap().nonce;
            let expected = next.entry(sender).or_insert(start);
            prop_assert_eq!(nonce, *expected);
            *expected += 1;
        }
    }
}
