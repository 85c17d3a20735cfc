//! [`StateTrie`]: the account trie and the storage tries in use, following the state block by block.
//!
//! It stands at the head's state, or one block above it while that block is not accepted yet: an open block's root is
//! computed in place, and taken back if another block wins. No trie node is stored: the account trie is rebuilt from the
//! flat state at start, a storage trie at its first use.

use alloy_primitives::{Address, B256, U256, keccak256, map::AddressMap};

use crate::{
    error::ChainError,
    state::{Account, Changes, StateDb, trie::Trie},
};

/// Storage tries kept in memory; the least recently used go first.
const MAX_HOT_STORAGES: usize = 1_024;

/// RLP of the trie nodes of one proof, top first.
pub type Nodes = Vec<Vec<u8>>;

#[derive(Debug, Default)]
struct HotStorage {
    trie: Trie,
    last_used: u64,
}

/// All tries of one state.
#[derive(Debug, Default)]
pub struct StateTrie {
    accounts: Trie,
    storages: AddressMap<HotStorage>,
    /// The root after a block that is applied but not accepted, and what takes it back.
    pending: Option<(B256, Changes)>,
    uses: u64,
}

impl StateTrie {
    /// Builds the account trie of a state. Its root must be that of the block, else the store is damaged.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] if the root is not `expected`; what the store says if it fails.
    pub fn rebuild(state: &StateDb, expected: B256) -> Result<Self, ChainError> {
        let mut this = Self::default();
        state.accounts(|address, account| {
            this.accounts.set(keccak256(address), account.to_trie_rlp());
        })?;
        let root = this.accounts.root();
        if root != expected {
            let place = format!("the state after block {}", state.number());
            let reason = format!("its root is {root}, the block's header says {expected}");
            return Err(ChainError::Corrupt { place, reason });
        }
        Ok(this)
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
        self.warm(parent, changes)?;
        self.apply_slots(changes);
        for (address, change) in &mut changes.accounts {
            match (&mut change.new, self.storages.get_mut(address)) {
                (Some(account), Some(hot)) => account.storage_root = hot.trie.root(),
                (None, _) => drop(self.storages.remove(address)),
                (Some(_), None) => {}
            }
        }
        changes.accounts.retain(|_, change| change.old != change.new);
        self.apply_accounts(changes);
        let root = self.accounts.root();
        self.pending = Some((root, changes.inverse()));
        Ok(root)
    }

    /// Moves on to the state after a block that has become head. Costs nothing if it is the one applied last.
    pub fn accept(&mut self, changes: &Changes, state_root: B256) {
        if self.pending.as_ref().is_some_and(|(root, _)| *root == state_root) {
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

    /// The nodes that prove an account, and those that prove some of its slots, of the state the tries stand at. `state`
    /// must be that state.
    ///
    /// # Errors
    /// What the store says if the storage trie cannot be loaded.
    pub fn proof(
        &mut self,
        state: &StateDb,
        address: Address,
        slots: &[U256],
    ) -> Result<(Nodes, Vec<Nodes>), ChainError> {
        self.settle();
        let account = self.accounts.proof(&keccak256(address));
        let mut storage = Vec::with_capacity(slots.len());
        if !slots.is_empty() {
            self.load(state, address)?;
        }
        for slot in slots {
            let key = slot_hash(*slot);
            let hot = self.storages.get_mut(&address);
            storage.push(hot.map(|hot| hot.trie.proof(&key)).unwrap_or_default());
        }
        Ok((account, storage))
    }

    /// Goes back to the head's state.
    fn settle(&mut self) {
        if let Some((_, back)) = self.pending.take() {
            self.apply(&back);
        }
    }

    fn apply(&mut self, changes: &Changes) {
        self.apply_slots(changes);
        self.apply_accounts(changes);
        for (address, change) in &changes.accounts {
            if change.new.is_none() {
                self.storages.remove(address);
            }
        }
    }

    fn apply_accounts(&mut self, changes: &Changes) {
        for (address, change) in &changes.accounts {
            let leaf = change.new.as_ref().map(Account::to_trie_rlp).unwrap_or_default();
            self.accounts.set(keccak256(address), leaf);
        }
    }

    /// Changes the storage tries that are in memory; the others are just their root.
    fn apply_slots(&mut self, changes: &Changes) {
        for (&(address, slot), change) in &changes.slots {
            if let Some(hot) = self.storages.get_mut(&address) {
                hot.trie.set(slot_hash(slot), slot_leaf(change.new));
            }
        }
    }

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
        let mut hot = HotStorage { last_used: self.uses, ..HotStorage::default() };
        for (slot, value) in state.slots_of(address)? {
            hot.trie.set(slot_hash(slot), slot_leaf(value));
        }
        self.storages.insert(address, hot);
        Ok(())
    }

    fn forget_cold(&mut self) {
        if self.storages.len() <= MAX_HOT_STORAGES {
            return;
        }
        let mut uses: Vec<u64> = self.storages.values().map(|hot| hot.last_used).collect();
        uses.sort_unstable();
        let oldest_kept = uses[uses.len() - MAX_HOT_STORAGES];
        self.storages.retain(|_, hot| hot.last_used >= oldest_kept);
    }
}

fn slot_hash(slot: U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

/// The leaf of a slot: RLP of its value, nothing if it is zero.
fn slot_leaf(value: U256) -> Vec<u8> {
    if value.is_zero() { Vec::new() } else { alloy_rlp::encode(value) }
}
