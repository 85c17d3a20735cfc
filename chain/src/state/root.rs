//! [`StateTrie`]: the account trie and the storage tries in use, following the state block by block.
//!
//! It stands at the head's state, or one block above it while that block is not accepted yet: an open block's changes
//! arrive in parts while its transactions run ([`StateTrie::stage`]), its root is computed in place, and everything is
//! taken back if another block wins. No trie node is stored: the account trie is rebuilt from the flat state at start, a
//! storage trie at its first use. A storage trie that is not in memory is just its root.

use std::hash::Hash;

use alloy_primitives::{
    Address, B256, U256, keccak256,
    map::{AddressMap, AddressSet, HashMap},
};
use alloy_rlp::Encodable as _;
use alloy_trie::EMPTY_ROOT_HASH;

use crate::{
    error::ChainError,
    state::{
        Account, Change, Changes, StateDb,
        arena::TOP,
        hashing::hash_keys,
        node::{Value, nibble},
        proof::Copied,
        trie::{Effort, Entry, Job, Trie, run},
    },
};

/// Storage tries kept in memory; the least recently used go first.
const MAX_HOT_STORAGES: usize = 4_096;

/// Nodes of storage tries kept in memory, about 110 bytes each. The trie used last stays, whatever its size.
const MAX_HOT_NODES: usize = 8_000_000;

/// RLP of the trie nodes of one proof, top first.
pub type Nodes = Vec<Vec<u8>>;

/// An account as a leaf; most have neither code nor storage, and need no room for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountLeaf {
    nonce: u64,
    balance: U256,
    /// Storage root and code hash, unless both are those of nothing.
    contract: Option<Box<(B256, B256)>>,
}

impl From<&Account> for AccountLeaf {
    fn from(account: &Account) -> Self {
        let plain = Account::default();
        let (storage_root, code_hash) = (account.storage_root, account.code_hash);
        let is_plain = storage_root == plain.storage_root && code_hash == plain.code_hash;
        let contract = (!is_plain).then(|| Box::new((storage_root, code_hash)));
        Self { nonce: account.nonce, balance: account.balance, contract }
    }
}

impl Value for AccountLeaf {
    fn encode(&self, out: &mut Vec<u8>) {
        let plain = Account::default();
        let (storage_root, code_hash) =
            self.contract.as_deref().copied().unwrap_or((plain.storage_root, plain.code_hash));
        let Self { nonce, balance, .. } = *self;
        Account { nonce, balance, storage_root, code_hash }.encode_trie_rlp(out);
    }
}

/// A slot as a leaf: the RLP of its value, which is not zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlotLeaf(U256);

impl Value for SlotLeaf {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

fn slot_leaf(value: U256) -> Option<SlotLeaf> {
    (!value.is_zero()).then_some(SlotLeaf(value))
}

#[derive(Debug, Default)]
struct HotStorage {
    trie: Trie<SlotLeaf>,
    last_used: u64,
}

/// What is applied and not accepted.
#[derive(Debug, Default)]
struct Pending {
    /// The open block whose parts these are, if it is not closed yet.
    stage: Option<u64>,
    /// The root, once all parts are applied.
    root: Option<B256>,
    /// What takes everything back.
    back: Changes,
}

/// All tries of one state.
#[derive(Debug, Default)]
pub struct StateTrie {
    accounts: Trie<AccountLeaf>,
    storages: AddressMap<HotStorage>,
    pending: Option<Pending>,
    uses: u64,
    stages: u64,
    effort: Effort,
}

/// A storage trie that is worked on, and its changes by hashed slot.
struct Work {
    address: Address,
    hot: HotStorage,
    changes: Vec<Entry<SlotLeaf>>,
}

impl StateTrie {
    /// Builds the account trie of a state. Its root must be that of the block, else the store is damaged.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] if the root is not `expected`; what the store says if it fails.
    pub fn rebuild(state: &StateDb, expected: B256) -> Result<Self, ChainError> {
        Self::rebuild_with(state, expected, Effort::best())
    }

    /// [`Self::rebuild`] with this effort, now and later.
    ///
    /// # Errors
    /// As [`Self::rebuild`].
    pub fn rebuild_with(
        state: &StateDb,
        expected: B256,
        effort: Effort,
    ) -> Result<Self, ChainError> {
        let (mut addresses, mut leaves) = (Vec::new(), Vec::new());
        state.accounts(|address, account| {
            addresses.push(address.0.0);
            leaves.push(AccountLeaf::from(&account));
        })?;
        let keys = hash_keys(effort.lanes, &addresses);
        drop(addresses);
        let accounts = Trie::build(keys.into_iter().zip(leaves), effort);
        let root = accounts.hashed_root();
        if root != expected {
            let place = format!("the state after block {}", state.number());
            let reason = format!("its root is {root}, the block's header says {expected}");
            return Err(ChainError::Corrupt { place, reason });
        }
        Ok(Self { accounts, effort, ..Self::default() })
    }

    /// A name for an open block whose changes will arrive in parts; the one before it is forgotten.
    pub fn open_stage(&mut self) -> u64 {
        self.stages += 1;
        self.stages
    }

    /// Takes a part of an open block's changes, so that little is left to do when it closes. Later parts may hold the same
    /// keys with newer values, but always with the parent's as the old ones. Parts of a block that is thrown away need no
    /// farewell: the next use takes them back. Parts of a block that is closed or forgotten do nothing.
    ///
    /// # Errors
    /// What the store says if a storage trie cannot be loaded; the block's root will be right all the same.
    pub fn stage(
        &mut self,
        stage: u64,
        parent: &StateDb,
        part: &Changes,
    ) -> Result<(), ChainError> {
        if stage != self.stages {
            return Ok(());
        }
        self.settle_unless(stage);
        self.warm(parent, part)?;
        let pending = self.pending.get_or_insert_default();
        pending.stage = Some(stage);
        for (&key, change) in &part.accounts {
            pending.back.accounts.entry(key).or_insert(change.inverse()).old = change.new;
        }
        for (&key, change) in &part.slots {
            pending.back.slots.entry(key).or_insert(change.inverse()).old = change.new;
        }
        // The top levels change with every part; what lies below is mostly touched once.
        let from = TOP + depth_of(self.accounts.leaf_count()).saturating_sub(1);
        self.apply_slots(part, from);
        self.apply_accounts(part, from);
        Ok(())
    }

    /// The root after a block on top of `parent`, whose storage roots are filled into `changes`; accounts that turn out
    /// unchanged are dropped from them. Without [`Self::accept`] the next call takes the block back first.
    ///
    /// # Errors
    /// What the store says if a storage trie cannot be loaded; the tries then stand at the parent.
    pub fn root_after(
        &mut self,
        parent: &StateDb,
        changes: &mut Changes,
    ) -> Result<B256, ChainError> {
        self.settle();
        self.stages += 1;
        self.close(Changes::default(), parent, changes)
    }

    /// [`Self::root_after`] for a block whose changes came in parts before; `changes` are all of them.
    ///
    /// # Errors
    /// As [`Self::root_after`].
    pub fn root_of_stage(
        &mut self,
        stage: u64,
        parent: &StateDb,
        changes: &mut Changes,
    ) -> Result<B256, ChainError> {
        self.settle_unless(stage);
        self.stages += 1;
        let staged = self.pending.take().unwrap_or_default();
        self.close(staged.back, parent, changes)
    }

    /// `staged` takes back what parts of the block have set.
    fn close(
        &mut self,
        staged: Changes,
        parent: &StateDb,
        changes: &mut Changes,
    ) -> Result<B256, ChainError> {
        if let Err(error) = self.warm(parent, changes) {
            self.apply(&staged);
            return Err(error);
        }
        let mut staged_storages: AddressSet =
            staged.slots.keys().map(|&(owner, _)| owner).collect();
        staged_storages.extend(changes.slots.keys().map(|&(owner, _)| owner));
        let slots = what_is_left(&changes.slots, &staged.slots);
        self.set_slots(slots, TOP);
        for address in staged_storages {
            let account = changes.accounts.get_mut(&address).and_then(|change| change.new.as_mut());
            if let (Some(account), Some(hot)) = (account, self.storages.get_mut(&address)) {
                account.storage_root = hot.trie.root(self.effort);
            }
        }
        changes.accounts.retain(|_, change| change.old != change.new);
        self.set_accounts(&what_is_left(&changes.accounts, &staged.accounts), TOP);
        self.drop_destroyed(changes);
        let root = self.accounts.hashed_root();
        self.pending = Some(Pending { stage: None, root: Some(root), back: changes.inverse() });
        Ok(root)
    }

    /// Moves on to the state after a block that has become head. Costs nothing if it is the one applied last.
    pub fn accept(&mut self, changes: &Changes, state_root: B256) {
        if self.pending.as_ref().is_some_and(|pending| pending.root == Some(state_root)) {
            self.pending = None;
        } else {
            self.settle();
            self.apply(changes);
        }
        self.forget_cold();
    }

    /// Takes back an accepted block, the newest one that is left.
    pub fn undo(&mut self, changes: &Changes) {
        self.settle();
        self.apply(&changes.inverse());
    }

    /// The paths to `keys` in a sixteenth of the account trie, and what takes back an open block there.
    pub(crate) fn copy_accounts(
        &self,
        index: usize,
        keys: impl Iterator<Item = B256>,
    ) -> Copied<AccountLeaf> {
        let back = self.pending.iter().flat_map(|pending| &pending.back.accounts);
        let back = back.map(|(key, c)| (keccak256(key), c.new.as_ref().map(AccountLeaf::from)));
        let pending = back.filter(|(key, _)| nibble(key, 0) == index).collect();
        Copied::new(self.accounts.subtrie(index), keys, pending)
    }

    /// The paths to `slots` in a storage trie as it is at the head, if it is in memory.
    pub(crate) fn copy_storage(
        &self,
        address: Address,
        slots: impl Iterator<Item = U256>,
    ) -> Option<Trie<SlotLeaf>> {
        let hot = self.storages.get(&address)?;
        let key = |slot: U256| keccak256(slot.to_be_bytes::<32>());
        let back = self.pending.iter().flat_map(|pending| &pending.back.slots);
        let back = back.filter(|((owner, _), _)| *owner == address);
        let back: Vec<_> = back.map(|((_, slot), c)| (key(*slot), slot_leaf(c.new))).collect();
        let keys: Vec<B256> = slots.map(key).collect();
        let mut copy = Trie::default();
        for index in 0..16 {
            let is_here = |key: &B256| nibble(key, 0) == index;
            let pending = back.iter().filter(|(key, _)| is_here(key)).cloned().collect();
            let keys = keys.iter().filter(|key| is_here(key)).copied();
            copy.put(index, Copied::new(hot.trie.subtrie(index), keys, pending).taken_back());
        }
        Some(copy)
    }

    /// The tries of a state, as far as they are there; storage tries that are not are loaded when they are needed.
    pub(crate) fn of_parts(
        accounts: Trie<AccountLeaf>,
        storages: impl IntoIterator<Item = (Address, Trie<SlotLeaf>)>,
    ) -> Self {
        let hot = |(address, trie)| (address, HotStorage { trie, last_used: 0 });
        Self { accounts, storages: storages.into_iter().map(hot).collect(), ..Self::default() }
    }

    /// Goes back to the head's state.
    fn settle(&mut self) {
        if let Some(Pending { back, .. }) = self.pending.take() {
            self.apply(&back);
        }
    }

    fn settle_unless(&mut self, stage: u64) {
        if self.pending.as_ref().is_some_and(|pending| pending.stage != Some(stage)) {
            self.settle();
        }
    }

    fn apply(&mut self, changes: &Changes) {
        self.apply_slots(changes, TOP);
        self.apply_accounts(changes, TOP);
        self.drop_destroyed(changes);
    }

    fn drop_destroyed(&mut self, changes: &Changes) {
        for (address, change) in &changes.accounts {
            if change.new.is_none() {
                self.storages.remove(address);
            }
        }
    }

    fn apply_accounts(&mut self, changes: &Changes, from: usize) {
        let accounts: Vec<_> =
            changes.accounts.iter().map(|(&address, change)| (address, change.new)).collect();
        self.set_accounts(&accounts, from);
    }

    fn apply_slots(&mut self, changes: &Changes, from: usize) {
        let slots = changes.slots.iter().map(|(&key, change)| (key, change.new));
        self.set_slots(slots.collect(), from);
    }

    fn set_accounts(&mut self, accounts: &[(Address, Option<Account>)], from: usize) {
        let addresses: Vec<[u8; 20]> = accounts.iter().map(|(address, _)| address.0.0).collect();
        let keys = hash_keys(self.effort.lanes, &addresses);
        let leaves = accounts.iter().map(|(_, account)| account.as_ref().map(AccountLeaf::from));
        let mut changes: Vec<_> = keys.into_iter().zip(leaves).collect();
        changes.sort_unstable_by_key(|(key, _)| *key);
        run(self.accounts.jobs(&changes), self.effort, from);
    }

    /// Changes the storage tries that are in memory, all at once; the others are just their root.
    fn set_slots(&mut self, mut slots: Vec<((Address, U256), U256)>, from: usize) {
        slots.sort_unstable_by_key(|(key, _)| *key);
        let keys: Vec<[u8; 32]> = slots.iter().map(|((_, slot), _)| slot.to_be_bytes()).collect();
        let mut hashed = hash_keys(self.effort.lanes, &keys).into_iter();
        let mut works = Vec::new();
        for group in slots.chunk_by(|(a, _), (b, _)| a.0 == b.0) {
            let keys = hashed.by_ref().take(group.len());
            let mut changes: Vec<_> =
                keys.zip(group).map(|(key, (_, value))| (key, slot_leaf(*value))).collect();
            let address = group[0].0.0;
            let Some(hot) = self.storages.remove(&address) else { continue };
            changes.sort_unstable_by_key(|(key, _)| *key);
            works.push(Work { address, hot, changes });
        }
        let jobs: Vec<Job<'_, SlotLeaf>> =
            works.iter_mut().flat_map(|work| work.hot.trie.jobs(&work.changes)).collect();
        run(jobs, self.effort, from);
        self.storages.extend(works.into_iter().map(|work| (work.address, work.hot)));
    }

    /// Loads the storage tries whose accounts outlive the changes.
    fn warm(&mut self, parent: &StateDb, changes: &Changes) -> Result<(), ChainError> {
        for &(address, _) in changes.slots.keys() {
            let lives_on = changes.accounts.get(&address).is_none_or(|change| change.new.is_some());
            if lives_on {
                self.load(parent, address)?;
            }
        }
        Ok(())
    }

    fn load(&mut self, state: &StateDb, address: Address) -> Result<(), ChainError> {
        self.uses += 1;
        if let Some(hot) = self.storages.get_mut(&address) {
            hot.last_used = self.uses;
            return Ok(());
        }
        let trie = storage_trie(state, address, self.effort)?;
        let hot = HotStorage { trie, last_used: self.uses };
        self.storages.insert(address, hot);
        Ok(())
    }

    fn forget_cold(&mut self) {
        let count = |hot: &HotStorage| hot.trie.node_count();
        let nodes: usize = self.storages.values().map(count).sum();
        if self.storages.len() <= MAX_HOT_STORAGES && nodes <= MAX_HOT_NODES {
            return;
        }
        let mut by_use: Vec<(u64, usize)> =
            self.storages.values().map(|hot| (hot.last_used, count(hot))).collect();
        by_use.sort_unstable_by(|a, b| b.cmp(a));
        let (mut kept, mut sum) = (0, 0);
        for (_, nodes) in by_use.iter().take(MAX_HOT_STORAGES) {
            sum += nodes;
            if kept > 0 && sum > MAX_HOT_NODES {
                break;
            }
            kept += 1;
        }
        let newest_dropped = by_use.get(kept).map_or(0, |(last_used, _)| *last_used);
        self.storages.retain(|_, hot| hot.last_used > newest_dropped);
    }
}

/// The storage trie of an account.
pub(crate) fn storage_trie(
    state: &StateDb,
    address: Address,
    effort: Effort,
) -> Result<Trie<SlotLeaf>, ChainError> {
    let root = state.account(address)?.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
    if root == EMPTY_ROOT_HASH {
        return Ok(Trie::default());
    }
    let slots = state.slots_of(address)?;
    let keys: Vec<[u8; 32]> = slots.keys().map(U256::to_be_bytes).collect();
    let keys = hash_keys(effort.lanes, &keys);
    Ok(Trie::build(keys.into_iter().zip(slots.into_values().map(SlotLeaf)), effort))
}

/// The values to set so that all of `changes` are applied and nothing else, after `staged` was: what a part held and the
/// whole block does not was set back by a later transaction.
fn what_is_left<K: Copy + Eq + Hash, T: Copy + PartialEq>(
    changes: &HashMap<K, Change<T>>,
    staged: &HashMap<K, Change<T>>,
) -> Vec<(K, T)> {
    let news = changes.iter().map(|(&key, change)| (key, change.new));
    let is_left = |(key, new): &(K, T)| staged.get(key).is_none_or(|back| back.old != *new);
    let restored = staged.iter().filter(|(key, _)| !changes.contains_key(*key));
    news.filter(is_left).chain(restored.map(|(&key, back)| (key, back.new))).collect()
}

/// Depth at which most leaves of a trie with so many random keys stand.
fn depth_of(leaves: usize) -> usize {
    leaves.checked_ilog(16).map_or(0, |depth| depth as usize)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use alloy_consensus::proofs::{state_root_unhashed, storage_root_unhashed};
    use alloy_trie::TrieAccount;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        kv::{Kv as _, MemoryKv},
        state::{Flat, Layer},
    };

    /// Balance, and slots that are not zero.
    type Model = BTreeMap<Address, (U256, BTreeMap<U256, U256>)>;

    fn storage_root(slots: &BTreeMap<U256, U256>) -> B256 {
        storage_root_unhashed(slots.iter().map(|(&slot, &value)| (B256::from(slot), value)))
    }

    fn account(model: &Model, address: Address) -> Option<Account> {
        let (balance, slots) = model.get(&address)?;
        let storage_root = storage_root(slots);
        Some(Account { balance: *balance, storage_root, ..Account::default() })
    }

    fn alloys_root(model: &Model) -> B256 {
        state_root_unhashed(model.keys().map(|&address| {
            let Account { nonce, balance, storage_root, code_hash } =
                account(model, address).unwrap();
            (address, TrieAccount { nonce, balance, storage_root, code_hash })
        }))
    }

    /// What leads from one model to the other, as a block's overlay tells it: storage roots are the old ones.
    fn changes(from: &Model, to: &Model) -> Changes {
        let mut changes = Changes::default();
        for &address in from.keys().chain(to.keys()) {
            let none = BTreeMap::new();
            let slots = |model: &Model| model.get(&address).map_or(none.clone(), |a| a.1.clone());
            let (before, after) = (slots(from), slots(to));
            for &slot in before.keys().chain(after.keys()) {
                let value = |slots: &BTreeMap<U256, U256>| slots.get(&slot).copied();
                let old = value(&before).unwrap_or_default();
                let new = value(&after).unwrap_or_default();
                if old != new {
                    changes.slots.insert((address, slot), Change { old, new });
                }
            }
            let old = account(from, address);
            let mut new = account(to, address);
            if let Some(new) = &mut new {
                new.storage_root =
                    old.map_or(Account::default().storage_root, |old| old.storage_root);
            }
            if from.get(&address) != to.get(&address) {
                changes.accounts.insert(address, Change { old, new });
            }
        }
        changes
    }

    #[derive(Debug, Clone)]
    enum Op {
        Pay(u8, u64),
        Set(u8, u8, u8),
        Destroy(u8),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => (0u8..12, any::<u64>()).prop_map(|(who, wei)| Op::Pay(who, wei)),
            6 => (0u8..4, 0u8..20, 0u8..3).prop_map(|(who, slot, value)| Op::Set(who, slot, value)),
            1 => (0u8..12).prop_map(Op::Destroy),
        ]
    }

    fn apply(model: &mut Model, ops: &[Op]) {
        for op in ops {
            match *op {
                Op::Pay(who, wei) => {
                    model.entry(Address::with_last_byte(who)).or_default().0 = U256::from(wei);
                }
                Op::Set(who, slot, value) => {
                    let slots = &mut model.entry(Address::with_last_byte(who)).or_default().1;
                    slots.remove(&U256::from(slot));
                    if value > 0 {
                        slots.insert(U256::from(slot), U256::from(value));
                    }
                }
                Op::Destroy(who) => drop(model.remove(&Address::with_last_byte(who))),
            }
        }
    }

    proptest! {
        /// Blocks in parts, blocks thrown away, blocks taken back: always alloy's root.
        #[test]
        fn follows_the_state_wherever_it_goes(
            blocks in prop::collection::vec((prop::collection::vec(op(), 0..12), 0u8..4, 0usize..12), 1..10),
        ) {
            let flat = Flat::new(MemoryKv::default().snapshot().unwrap());
            let mut state = StateDb::new(flat, 0, Vec::new());
            let mut trie = StateTrie::rebuild(&state, alloys_root(&Model::new())).unwrap();
            let mut models = vec![Model::new()];
            let mut layers: Vec<Arc<Layer>> = Vec::new();
            for (ops, mode, cut) in blocks {
                let model = models.last().unwrap().clone();
                let mut after = model.clone();
                apply(&mut after, &ops);
                let mut all = changes(&model, &after);
                let root = if mode == 0 {
                    trie.root_after(&state, &mut all).unwrap()
                } else {
                    // First the block as it stood after some of its operations, with values that later ones replace.
                    let mut halfway = model.clone();
                    apply(&mut halfway, &ops[..cut.min(ops.len())]);
                    let stage = trie.open_stage();
                    trie.stage(stage, &state, &changes(&model, &halfway)).unwrap();
                    if mode == 1 {
                        trie.settle();
                    }
                    trie.root_of_stage(stage, &state, &mut all).unwrap()
                };
                prop_assert_eq!(root, alloys_root(&after));
                if mode == 3 {
                    // Another block wins, and is taken back as well.
                    let mut other = changes(&model, &model);
                    prop_assert_eq!(trie.root_after(&state, &mut other).unwrap(), alloys_root(&model));
                    continue;
                }
                trie.accept(&all, root);
                let number = state.number() + 1;
                let layer = Arc::new(Layer { number, hash: B256::ZERO, changes: all });
                layers.push(layer.clone());
                state = state.with_layer(layer);
                models.push(after);
            }
            let rebuilt = StateTrie::rebuild(&state, alloys_root(models.last().unwrap()));
            prop_assert!(rebuilt.is_ok());
            while let Some(layer) = layers.pop() {
                trie.undo(&layer.changes);
                models.pop();
                prop_assert_eq!(trie.accounts.hashed_root(), alloys_root(models.last().unwrap()));
            }
        }
    }

    /// More contracts than tries are kept for; the first ones are built again from their slots when they are used again.
    #[test]
    fn storage_tries_that_are_not_used_go_and_come_back() {
        let flat = Flat::new(MemoryKv::default().snapshot().unwrap());
        let mut state = StateDb::new(flat, 0, Vec::new());
        let mut trie = StateTrie::rebuild(&state, EMPTY_ROOT_HASH).unwrap();
        let contract = |number: u64| Address::left_padding_from(&number.to_be_bytes());
        let all = MAX_HOT_STORAGES as u64 + 100;
        let mut model = Model::new();
        for (from, to, slot) in [(0, all / 2, 1u64), (all / 2, all, 2), (0, 50, 3)] {
            let before = model.clone();
            for number in from..to {
                let slots = &mut model.entry(contract(number)).or_default().1;
                slots.insert(U256::from(slot), U256::from(number + 1));
            }
            let mut block = changes(&before, &model);
            let root = trie.root_after(&state, &mut block).unwrap();
            assert_eq!(root, alloys_root(&model));
            trie.accept(&block, root);
            assert!(trie.storages.len() <= MAX_HOT_STORAGES);
            let number = state.number() + 1;
            let layer = Layer { number, hash: B256::ZERO, changes: block };
            state = state.with_layer(Arc::new(layer));
        }
        assert!((0..50).all(|number| trie.storages.contains_key(&contract(number))));
        let gone = (0..all).filter(|&number| !trie.storages.contains_key(&contract(number)));
        assert_eq!(gone.filter(|&number| number < all / 2).count(), 100);
    }
}
