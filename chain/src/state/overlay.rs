//! [`Overlay`]: the state while a block runs, as revm's database.
//!
//! It remembers what it read from the parent's state and what the transactions wrote, and closes into [`Changes`].

use std::collections::BTreeMap;

use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256,
    map::{AddressMap, AddressSet, B256Map, HashMap, HashSet},
};
use alloy_trie::EMPTY_ROOT_HASH;
use revm::{
    Database, DatabaseCommit,
    bytecode::Bytecode,
    state::{Account as TouchedAccount, AccountInfo},
};

use crate::{
    error::ChainError,
    state::{Account, Change, Changes, StateDb, account_info, bytecode, stop::Stop},
};

type SlotKey = (Address, U256);

/// A parent's state and everything written since.
#[derive(Debug, Clone)]
pub struct Overlay {
    parent: StateDb,
    read_accounts: AddressMap<Option<Account>>,
    read_slots: HashMap<SlotKey, U256>,
    accounts: AddressMap<Option<Account>>,
    slots: HashMap<SlotKey, U256>,
    /// Accounts whose storage was dropped as a whole: what `slots` does not hold is zero.
    wiped: AddressSet,
    /// Code that the block brings in.
    code: B256Map<Bytecode>,
    storage_collides: bool,
    /// Hashes of blocks that are not in the chain.
    hashes: BTreeMap<u64, B256>,
    /// What was written since the last part was taken, once parts are taken at all.
    fresh: Option<Fresh>,
    /// What may end the run that this is the state of.
    pub(crate) stop: Option<Stop>,
}

#[derive(Debug, Clone, Default)]
struct Fresh {
    accounts: AddressSet,
    slots: HashSet<SlotKey>,
}

impl Overlay {
    /// Nothing written yet.
    pub fn new(parent: StateDb) -> Self {
        Self {
            parent,
            read_accounts: AddressMap::default(),
            read_slots: HashMap::default(),
            accounts: AddressMap::default(),
            slots: HashMap::default(),
            wiped: AddressSet::default(),
            code: B256Map::default(),
            storage_collides: false,
            hashes: BTreeMap::new(),
            fresh: None,
            stop: None,
        }
    }

    /// Refuses to create a contract at an address that has storage and nothing else (EIP-7610). geth v1.13.15 creates it,
    /// so only replays ask for this; such accounts come from a genesis alone.
    #[must_use]
    pub const fn with_storage_collision(mut self) -> Self {
        self.storage_collides = true;
        self
    }

    /// Gives a block that is not in the chain a hash.
    pub fn remember_hash(&mut self, number: u64, hash: B256) {
        self.hashes.insert(number, hash);
    }

    /// The state below.
    pub fn parent(&self) -> &StateDb {
        &self.parent
    }

    /// An account as of now. Its storage root is the parent's until the block closes.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn account(&mut self, address: Address) -> Result<Option<Account>, ChainError> {
        if let Some(account) = self.accounts.get(&address) {
            return Ok(*account);
        }
        self.parent_account(address)
    }

    /// A slot as of now.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn slot(&mut self, address: Address, slot: U256) -> Result<U256, ChainError> {
        if let Some(value) = self.slots.get(&(address, slot)) {
            return Ok(*value);
        }
        if self.wiped.contains(&address) {
            return Ok(U256::ZERO);
        }
        self.parent_slot(address, slot)
    }

    /// Accounts that were written, or whose storage was.
    pub fn touched(&self) -> AddressSet {
        let owners = self.slots.keys().map(|(owner, _)| *owner);
        self.accounts.keys().copied().chain(owners).chain(self.wiped.iter().copied()).collect()
    }

    /// All slots of an account that are not zero, as of now.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn slots_of(&self, address: Address) -> Result<BTreeMap<U256, U256>, ChainError> {
        let mut slots = match self.wiped.contains(&address) {
            true => BTreeMap::new(),
            false => self.parent.slots_of(address)?,
        };
        let written = self.slots.iter().filter(|((owner, _), _)| *owner == address);
        slots.extend(written.map(|(&(_, slot), &value)| (slot, value)));
        slots.retain(|_, value| !value.is_zero());
        Ok(slots)
    }

    /// Sets an account, with code if given; without, it keeps its code.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn set_account(
        &mut self,
        address: Address,
        nonce: u64,
        balance: U256,
        code: Option<Bytes>,
    ) -> Result<(), ChainError> {
        let mut account = self.account(address)?.unwrap_or_default();
        (account.nonce, account.balance) = (nonce, balance);
        if let Some(code) = code {
            let code = bytecode(code);
            account.code_hash = if code.is_empty() { KECCAK256_EMPTY } else { code.hash_slow() };
            self.code.insert(account.code_hash, code);
        }
        self.accounts.insert(address, Some(account));
        Ok(())
    }

    /// Takes an account away that holds nothing (EIP-161).
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn clear_if_empty(&mut self, address: Address) -> Result<(), ChainError> {
        let Some(account) = self.account(address)? else { return Ok(()) };
        if account.nonce == 0 && account.balance.is_zero() && account.code_hash == KECCAK256_EMPTY {
            self.wipe_storage(address);
            self.accounts.insert(address, None);
        }
        Ok(())
    }

    /// Sets one slot.
    pub fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        self.slots.insert((address, slot), value);
    }

    /// Sets all slots of an account to zero.
    pub fn wipe_storage(&mut self, address: Address) {
        self.slots.retain(|&(owner, _), _| owner != address);
        self.wiped.insert(address);
    }

    /// What was written since the last part was taken, old beside new: the old values are the parent's, always. Storage that
    /// was dropped as a whole comes with the block's end.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn take_part(&mut self) -> Result<Changes, ChainError> {
        let fresh = self.fresh.replace(Fresh::default()).unwrap_or_else(|| Fresh {
            accounts: self.accounts.keys().copied().collect(),
            slots: self.slots.keys().copied().collect(),
        });
        let mut part = Changes::default();
        for (address, slot) in fresh.slots {
            let (old, new) = (self.parent_slot(address, slot)?, self.slot(address, slot)?);
            part.slots.insert((address, slot), Change { old, new });
        }
        for address in fresh.accounts {
            let (old, new) = (self.parent_account(address)?, self.account(address)?);
            part.accounts.insert(address, Change { old, new });
        }
        Ok(part)
    }

    /// What was written, old beside new, without what ended as it began. Storage roots are the parent's: the caller
    /// computes them.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn into_changes(mut self) -> Result<Changes, ChainError> {
        let mut changes = Changes::default();
        for address in std::mem::take(&mut self.wiped) {
            for (slot, old) in self.parent.slots_of(address)? {
                self.read_slots.insert((address, slot), old);
                self.slots.entry((address, slot)).or_insert(U256::ZERO);
            }
        }
        for ((address, slot), new) in std::mem::take(&mut self.slots) {
            let old = self.parent_slot(address, slot)?;
            if old != new {
                changes.slots.insert((address, slot), Change { old, new });
            }
        }
        let mut touched: AddressSet = changes.slots.keys().map(|&(address, _)| address).collect();
        touched.extend(self.accounts.keys());
        for address in touched {
            let (old, new) = (self.parent_account(address)?, self.account(address)?);
            changes.accounts.insert(address, Change { old, new });
        }
        let code = self.code.into_iter().filter(|(hash, _)| *hash != KECCAK256_EMPTY);
        changes.code = code.map(|(hash, code)| (hash, code.original_bytes())).collect();
        Ok(changes)
    }

    fn parent_account(&mut self, address: Address) -> Result<Option<Account>, ChainError> {
        if let Some(account) = self.read_accounts.get(&address) {
            return Ok(*account);
        }
        let account = self.parent.account(address)?;
        self.read_accounts.insert(address, account);
        Ok(account)
    }

    fn parent_slot(&mut self, address: Address, slot: U256) -> Result<U256, ChainError> {
        if let Some(value) = self.read_slots.get(&(address, slot)) {
            return Ok(*value);
        }
        let value = self.parent.storage(address, slot)?;
        self.read_slots.insert((address, slot), value);
        Ok(value)
    }

    fn commit_one(&mut self, address: Address, touched: TouchedAccount) {
        if !touched.is_touched() {
            return;
        }
        if let Some(fresh) = &mut self.fresh {
            fresh.accounts.insert(address);
            fresh.slots.extend(touched.changed_storage_slots().map(|(&slot, _)| (address, slot)));
        }
        if touched.is_selfdestructed() {
            self.wipe_storage(address);
            self.accounts.insert(address, None);
            return;
        }
        // An account that is made anew starts without storage, whatever stood at its address before.
        if touched.is_created() {
            self.wipe_storage(address);
        } else if touched.is_empty() {
            // EIP-161: a touched empty account goes. revm unmarks them where that rule is not in force.
            self.accounts.insert(address, None);
            return;
        }
        for (&slot, value) in touched.changed_storage_slots() {
            self.slots.insert((address, slot), value.present_value);
        }
        let AccountInfo { balance, nonce, code_hash, code, .. } = touched.info;
        let known = self.accounts.get(&address).or_else(|| self.read_accounts.get(&address));
        let before = known.copied().flatten();
        let code_hash = if code_hash.is_zero() { KECCAK256_EMPTY } else { code_hash };
        if before.is_none_or(|before| before.code_hash != code_hash)
            && let Some(code) = code
        {
            self.code.insert(code_hash, code);
        }
        let storage_root = before.map_or(EMPTY_ROOT_HASH, |before| before.storage_root);
        self.accounts.insert(address, Some(Account { nonce, balance, storage_root, code_hash }));
    }
}

impl Database for Overlay {
    type Error = ChainError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ChainError> {
        let Some(account) = self.account(address)? else { return Ok(None) };
        let mut info = account_info(&account);
        let has_storage_alone = account.nonce == 0
            && account.code_hash == KECCAK256_EMPTY
            && account.storage_root != EMPTY_ROOT_HASH;
        if self.storage_collides && has_storage_alone {
            // revm takes the zero hash for no code, but not for a free address
            info.code_hash = B256::ZERO;
            info.code = Some(Bytecode::default());
        }
        Ok(Some(info))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ChainError> {
        if let Some(code) = self.code.get(&code_hash) {
            return Ok(code.clone());
        }
        self.parent.bytecode(code_hash)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, ChainError> {
        self.slot(address, index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ChainError> {
        match self.hashes.get(&number) {
            Some(hash) => Ok(*hash),
            None => Ok(self.parent.block_hash(number)?.unwrap_or_default()),
        }
    }
}

impl DatabaseCommit for Overlay {
    fn commit(&mut self, changes: AddressMap<TouchedAccount>) {
        for (address, touched) in changes {
            self.commit_one(address, touched);
        }
    }
}
