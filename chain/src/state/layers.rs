//! [`Layers`]: what each block since the last flush changed, and where not to look.
//!
//! A key that no recent block touched would have to be looked for in the map of every one of up to a hundred blocks. A
//! table of *hints* says for the hash of a key which block was the last one that may have changed it:
//!
//! ```text
//!   hints[hash of key, low bits]  ┐
//!   hints[hash of key, high bits] ┴─ the lesser of the two: no later block changed this key; 0: none did
//! ```
//!
//! A hint may be too high, for two keys can share a place, but never too low. So one table serves all views of the chain:
//! a new block only raises hints, which does an older view no harm.

use std::{
    fmt,
    hash::{BuildHasher as _, Hash},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use alloy_primitives::{Address, B256, Bytes, U256, map::DefaultHashBuilder};

use crate::state::{Account, Changes};

/// Places per key when a table is made; below a quarter of that it is made anew.
const PLACES_PER_KEY: usize = 8;

/// The smallest table.
const LEAST_PLACES: usize = 1_024;

/// One block's changes above the flat state.
#[derive(Debug)]
pub struct Layer {
    /// The block's number.
    pub number: u64,
    /// The block's hash.
    pub hash: B256,
    /// What it changed.
    pub changes: Changes,
}

struct Hints {
    places: Box<[AtomicU32]>,
    hasher: DefaultHashBuilder,
}

impl fmt::Debug for Hints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hints").field("places", &self.places.len()).finish_non_exhaustive()
    }
}

impl Hints {
    fn new(keys: usize) -> Self {
        let places = (keys * PLACES_PER_KEY).max(LEAST_PLACES).next_power_of_two();
        let places = (0..places).map(|_| AtomicU32::new(0)).collect();
        Self { places, hasher: DefaultHashBuilder::default() }
    }

    fn has_room_for(&self, keys: usize) -> bool {
        keys * PLACES_PER_KEY / 4 <= self.places.len()
    }

    fn both(&self, key: impl Hash) -> [&AtomicU32; 2] {
        let hash = self.hasher.hash_one(key);
        let mask = self.places.len() as u64 - 1;
        [hash, hash >> 32].map(|hash| {
            let place = usize::try_from(hash & mask).expect("a table fits into memory");
            &self.places[place]
        })
    }

    fn note(&self, layer: &Layer) {
        // Heights beyond 32 bits share one hint: slow, never wrong.
        let number = u32::try_from(layer.number).unwrap_or(u32::MAX);
        let raise = |places: [&AtomicU32; 2]| {
            for place in places {
                place.fetch_max(number, Ordering::Relaxed);
            }
        };
        layer.changes.accounts.keys().for_each(|key| raise(self.both(key)));
        layer.changes.slots.keys().for_each(|key| raise(self.both(key)));
    }

    fn last_change(&self, key: impl Hash) -> u64 {
        let [a, b] = self.both(key).map(|place| place.load(Ordering::Relaxed));
        match a.min(b) {
            u32::MAX => u64::MAX,
            number => u64::from(number),
        }
    }
}

/// The changes of consecutive blocks, oldest first; never changes.
#[derive(Debug, Clone)]
pub struct Layers {
    list: Vec<Arc<Layer>>,
    keys: usize,
    hints: Arc<Hints>,
}

impl Default for Layers {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Layers {
    /// Layers of consecutive blocks, oldest first.
    pub fn new(list: Vec<Arc<Layer>>) -> Self {
        let keys = list.iter().map(|layer| keys_of(layer)).sum();
        let hints = Hints::new(keys);
        list.iter().for_each(|layer| hints.note(layer));
        Self { list, keys, hints: Arc::new(hints) }
    }

    /// The same with one more block on top.
    #[must_use]
    pub fn with(&self, layer: Arc<Layer>) -> Self {
        let mut list = Vec::with_capacity(self.list.len() + 1);
        list.extend_from_slice(&self.list);
        let keys = self.keys + keys_of(&layer);
        list.push(layer.clone());
        if !self.hints.has_room_for(keys) {
            return Self::new(list);
        }
        self.hints.note(&layer);
        Self { list, keys, hints: self.hints.clone() }
    }

    /// The same without the newest block.
    #[must_use]
    pub fn without_last(&self) -> Self {
        let mut less = self.clone();
        less.keys -= less.list.pop().map_or(0, |layer| keys_of(&layer));
        less
    }

    /// The blocks above `number`. Hints at the others stay: they lead to nothing.
    #[must_use]
    pub fn above(&self, number: u64) -> Self {
        let above = self.list.iter().filter(|layer| layer.number > number);
        let list: Vec<_> = above.cloned().collect();
        let keys = list.iter().map(|layer| keys_of(layer)).sum();
        Self { list, keys, hints: self.hints.clone() }
    }

    /// The layers up to block `number`, oldest first.
    pub fn up_to(&self, number: u64) -> &[Arc<Layer>] {
        &self.list[..self.count_up_to(number)]
    }

    /// Number of the newest block, if there is one.
    pub fn newest(&self) -> Option<u64> {
        self.list.last().map(|layer| layer.number)
    }

    /// An account after block `number`, `None` if no layer up to it changed it.
    pub fn account(&self, number: u64, address: Address) -> Option<Option<Account>> {
        let layers = self.candidates(number, address);
        layers.iter().rev().find_map(|layer| Some(layer.changes.accounts.get(&address)?.new))
    }

    /// A slot after block `number`, `None` if no layer up to it changed it.
    pub fn slot(&self, number: u64, key: (Address, U256)) -> Option<U256> {
        let layers = self.candidates(number, key);
        layers.iter().rev().find_map(|layer| Some(layer.changes.slots.get(&key)?.new))
    }

    /// Code that a block up to `number` brought in.
    pub fn code(&self, number: u64, hash: B256) -> Option<Bytes> {
        self.up_to(number).iter().rev().find_map(|layer| layer.changes.code.get(&hash).cloned())
    }

    /// The layers up to block `number` that may hold the key, an address or an address with a slot.
    pub fn candidates(&self, number: u64, key: impl Hash) -> &[Arc<Layer>] {
        if self.list.is_empty() {
            return &[];
        }
        self.up_to(number.min(self.hints.last_change(key)))
    }

    fn count_up_to(&self, number: u64) -> usize {
        let Some(first) = self.list.first() else { return 0 };
        let count = number.saturating_add(1).saturating_sub(first.number);
        usize::try_from(count).map_or(self.list.len(), |count| count.min(self.list.len()))
    }
}

fn keys_of(layer: &Layer) -> usize {
    layer.changes.accounts.len() + layer.changes.slots.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::Change;

    fn layer(number: u64, keys: &[u8]) -> Arc<Layer> {
        let mut changes = Changes::default();
        for &key in keys {
            let address = Address::with_last_byte(key);
            let new = Some(Account { nonce: number, ..Account::default() });
            changes.accounts.insert(address, Change { old: None, new });
            let slot = Change { old: U256::ZERO, new: U256::from(number) };
            changes.slots.insert((address, U256::from(key)), slot);
        }
        Arc::new(Layer { number, hash: B256::ZERO, changes })
    }

    proptest! {
        /// Blocks come, go, are replaced by others and are flushed; a look finds what a scan of all maps finds.
        #[test]
        fn hints_hide_nothing(steps in prop::collection::vec((0u8..4, prop::collection::vec(any::<u8>(), 0..9)), 1..60)) {
            let mut views = vec![Layers::new(vec![layer(7, &[1, 2])])];
            for (step, keys) in steps {
                let last = views.last().unwrap();
                let next = last.newest().map_or(20, |newest| newest + 1);
                views.push(match step {
                    0 => last.without_last(),
                    1 if keys.len() == 8 => last.above(next - 2),
                    _ => last.with(layer(next, &keys)),
                });
            }
            for view in views {
                for number in 6..view.newest().unwrap_or(0) + 2 {
                    for key in 0..=255 {
                        let address = Address::with_last_byte(key);
                        let layers = view.list.iter().rev().filter(|layer| layer.number <= number);
                        let found = layers
                            .filter(|layer| layer.changes.accounts.contains_key(&address))
                            .map(|layer| layer.number)
                            .next();
                        let account = view.account(number, address).flatten();
                        prop_assert_eq!(account.map(|account| account.nonce), found);
                        let slot = view.slot(number, (address, U256::from(key)));
                        prop_assert_eq!(slot, found.map(U256::from));
                    }
                }
            }
        }
    }
}
