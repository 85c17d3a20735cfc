//! The pool beside a naive model: every table against what it should say, and a chain that goes
//! forth and back.

use super::*;

impl Pool {
    /// Everything that is kept up to date, against what it is made of.
    #[track_caller]
    pub(super) fn check(&self) {
        let all = || {
            self.senders.iter().flat_map(|(address, own)| {
                own.by_nonce.values().map(move |pooled| (*address, own, pooled))
            })
        };
        assert_eq!(self.by_hash.len(), all().count());
        let (mut slots, mut queued, mut bytes) = (0, 0, 0);
        let mut eviction = Eviction::default();
        for (address, own, pooled) in all() {
            assert_eq!(pooled.sender, address);
            let is_pending = (own.bounds.state_nonce..=pooled.nonce())
                .all(|nonce| own.by_nonce.contains_key(&nonce));
            let class = own.bounds.class(pooled.nonce());
            assert_eq!(class != Class::Queued, is_pending, "nonce {}", pooled.nonce());
            let place = pooled.nonce() - own.bounds.state_nonce;
            let is_guaranteed = is_pending && place < self.config.account_slots as u64;
            assert_eq!(class == Class::Guaranteed, is_guaranteed);
            slots += if is_pending { pooled.slots() } else { 0 };
            queued += usize::from(!is_pending);
            bytes += pooled.size;
            assert!(pooled.cost() <= own.cost_cap);
            assert!(pooled.transaction.gas_limit() <= self.gas_cap);
            if !self.config.locals.contains(&address) {
                eviction.enter(self.config.order, pooled, class);
            }
        }
        let mut by_wait = BTreeSet::new();
        for (&address, own) in &self.senders {
            assert!(!own.by_nonce.is_empty());
            assert_eq!(own.cost, own.by_nonce.values().map(|pooled| pooled.cost()).sum::<U256>());
            let counts = (own.pending().count(), own.queued().count());
            if !self.config.locals.contains(&address) {
                eviction.recount(self.config.order, address, (0, 0), counts);
            }
            assert_eq!(own.queued_since.is_some(), counts.1 > 0);
            by_wait.extend(own.queued_since.map(|since| (since, address)));
            assert!(own.by_nonce.len() <= self.config.sender_count());
            assert!(counts.1 <= self.config.account_queue);
        }
        assert_eq!((self.pending_slots, self.queued_count, self.bytes), (slots, queued, bytes));
        assert_eq!(self.eviction, eviction);
        assert_eq!(self.by_wait, by_wait);
        assert!(bytes <= self.config.max_bytes);
        assert!(slots <= self.config.global_slots && queued <= self.config.global_queue);
    }
}

/// A pool as one would write it without a thought for speed: all that was let in and is still
/// payable, by sender and nonce.
#[derive(Default)]
struct Model {
    by_place: BTreeMap<(Address, u64), Transaction>,
}

impl Model {
    fn follow(&mut self, state: &State) {
        self.by_place.retain(|(sender, nonce), transaction| {
            let account = state.account(*sender).unwrap();
            let cost = U256::from(transaction.max_fee_per_gas()) * U256::from(21_000)
                + transaction.value();
            *nonce >= account.nonce && cost <= account.balance
        });
    }

    fn pending(&self, state: &State) -> Vec<(Address, u64)> {
        let is_pending = |&&(sender, nonce): &&(Address, u64)| {
            let start = state.account(sender).unwrap().nonce;
            (start..=nonce).all(|nonce| self.by_place.contains_key(&(sender, nonce)))
        };
        self.by_place.keys().filter(is_pending).copied().collect()
    }
}

/// What happens to pool and chain in one step of the property below.
#[derive(Debug, Clone)]
enum Step {
    Add {
        sender: u8,
        nonce: u64,
        tip: u128,
    },
    /// The first so many of the order are mined.
    Mine(usize),
    /// So many blocks leave the chain; their transactions come back.
    Unwind(usize),
    /// An account has so much left.
    Spend {
        sender: u8,
        wei: u64,
    },
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u8..4, 0_u64..10, 1_u128..9).prop_map(|(sender, nonce, tip)| Step::Add { sender, nonce, tip }),
        2 => (0_usize..6).prop_map(Step::Mine),
        1 => (1_usize..3).prop_map(Step::Unwind),
        1 => (0_u8..4, 0_u64..200_000).prop_map(|(sender, wei)| Step::Spend { sender, wei }),
        1 => (0_usize..20).prop_map(Step::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Mined ones leave, those of blocks that left the chain return, balances decide anew, gaps
    /// open and close: the pool holds and calls executable what the model does.
    #[test]
    fn pool_does_what_the_model_does(
        steps in proptest::collection::vec(step(), 0..60),
        fair: bool,
    ) {
        let order = if fair { Order::Fair } else { Order::Price };
        let config = PoolConfig { order, account_slots: 2, ..PoolConfig::for_network(false) };
        let (mut pool, mut model, state) = (Pool::new(config, HEAD), Model::default(), State::default());
        let mut blocks: Vec<Vec<(Address, Transaction)>> = Vec::new();
        for step in steps {
            match step {
                Step::Add { sender, nonce, tip } => {
                    let sender = Address::repeat_byte(sender);
                    let transaction = transfer(sender, nonce, tip, tip);
                    if pool.add(transaction.clone(), sender, &state).is_ok() {
                        model.by_place.insert((sender, nonce), transaction);
                    }
                }
                Step::Mine(count) => {
                    let mut walk = Walk::open(&mut pool, 1);
                    let block: Vec<_> = (0..count).map_while(|_| walk.next(|| &mut pool))
                        .map(|pooled| (pooled.sender, pooled.transaction.clone())).collect();
                    for (sender, transaction) in &block {
                        state.set_nonce(*sender, transaction.nonce() + 1);
                    }
                    let changed: Vec<_> = block.iter().map(|(sender, _)| *sender).collect();
                    pool.on_new_head(HEAD, changed, &state).unwrap();
                    model.follow(&state);
                    blocks.push(block);
                }
                Step::Unwind(count) => {
                    let removed = blocks.split_off(blocks.len().saturating_sub(count)).concat();
                    for (sender, transaction) in removed.iter().rev() {
                        state.set_nonce(*sender, transaction.nonce());
                    }
                    let changed: Vec<_> = removed.iter().map(|(sender, _)| *sender).collect();
                    pool.on_new_head(HEAD, changed, &state).unwrap();
                    for (sender, transaction) in removed {
                        let nonce = transaction.nonce();
                        if pool.add_from(Origin::Elsewhere, transaction.clone(), sender, &state).is_ok() {
                            model.by_place.insert((sender, nonce), transaction);
                        }
                    }
                    model.follow(&state);
                }
                Step::Spend { sender, wei } => {
                    let sender = Address::repeat_byte(sender);
                    let nonce = state.account(sender).unwrap().nonce;
                    state.set(sender, nonce, wei);
                    pool.on_new_head(HEAD, [sender], &state).unwrap();
                    model.follow(&state);
                }
                Step::Remove(index) => {
                    let found = model.by_place.iter().nth(index).map(|(place, t)| (*place, *t.tx_hash()));
                    if let Some((place, hash)) = found {
                        prop_assert!(pool.remove(&hash).is_some());
                        model.by_place.remove(&place);
                    }
                }
            }
            pool.check();
            let place = |pooled: &Arc<PoolTransaction>| (pooled.sender, pooled.nonce());
            prop_assert_eq!(pool.pending().map(place).collect::<Vec<_>>(), model.pending(&state));
            prop_assert_eq!(pool.by_hash.len(), model.by_place.len());
            for (&(sender, nonce), transaction) in &model.by_place {
                let pooled = pool.get(transaction.tx_hash()).expect("the model has it");
                prop_assert_eq!((pooled.sender, pooled.nonce()), (sender, nonce));
            }
        }
    }

    /// Different senders may come in any order: who is let in and what is executable is the same, as
    /// long as there is room for all; in price order with distinct tips who is left in a full pool
    /// too.
    #[test]
    fn order_of_different_senders_does_not_change_who_fits(
        tips in proptest::collection::btree_set(1_u128..1_000, 1..24),
        shuffle in proptest::collection::vec(any::<prop::sample::Index>(), 24),
    ) {
        let tips: Vec<u128> = tips.into_iter().collect();
        let mut order: Vec<usize> = (0..tips.len()).collect();
        for (place, other) in shuffle.iter().enumerate().take(tips.len()) {
            let other = other.index(tips.len());
            order.swap(place, other);
        }
        let state = State::default();
        let mut left = Vec::new();
        for order in [(0..tips.len()).collect(), order] {
            let mut pool = super::limits::small(Order::Price, 8);
            for index in order {
                let sender = Address::repeat_byte(u8::try_from(index).unwrap());
                let _ = pool.add(transfer(sender, 0, tips[index], 1_000), sender, &state);
                pool.check();
            }
            left.push(pool.pending().map(|pooled| pooled.hash()).collect::<Vec<_>>());
        }
        prop_assert_eq!(&left[0], &left[1]);
        prop_assert_eq!(left[0].len(), tips.len().min(8));
    }
}
