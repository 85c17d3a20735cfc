//! The state: accounts, their storage and code, at any block of the canonical chain.
//!
//! ```text
//!   overlay   what the block being run has changed so far
//!   layers    what each block since the last flush changed      in memory, shared
//!   flat      accounts, slots, code at the flushed block        redb or memory
//!   history   old values of every earlier block                 the way back
//! ```
//!
//! [`StateDb`] reads through the lower three and never changes. The Merkle-Patricia tries ([`root`]) stand beside it:
//! nothing is read from them, they give roots and proofs.

mod arena;
pub mod cache;
pub mod code;
pub mod diff;
pub mod flat;
mod hashing;
pub mod keccak_x8;
pub mod layers;
pub mod node;
pub mod overlay;
pub mod proof;
pub mod root;
pub mod stop;
pub mod trie;

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use revm::{
    DatabaseRef, bytecode::Bytecode, database_interface::DBErrorMarker, state::AccountInfo,
};

use self::code::bytecode_of;
pub use self::{
    code::bytecode,
    diff::{Change, Changes, Diff, History},
    flat::{Account, Flat},
    layers::{Layer, Layers},
};
use crate::{error::ChainError, kv::Table};

impl DBErrorMarker for ChainError {}

/// The state after one block; cheap to clone, never changes, readable from any thread.
#[derive(Debug, Clone)]
pub struct StateDb {
    flat: Flat,
    flushed: u64,
    number: u64,
    layers: Arc<Layers>,
    past: Option<History>,
}

impl StateDb {
    /// The state after the last of `layers`, which follow block `flushed` one by one.
    pub fn new(flat: Flat, flushed: u64, layers: Vec<Arc<Layer>>) -> Self {
        let layers = Arc::new(Layers::new(layers));
        let number = layers.newest().unwrap_or(flushed);
        Self { flat, flushed, number, layers, past: None }
    }

    /// The state after block `number`, which lies before the flushed one.
    pub fn in_the_past(flat: Flat, flushed: u64, number: u64, history: History) -> Self {
        let layers = Arc::default();
        Self { flat, flushed, number, layers, past: Some(history) }
    }

    /// The state after block `number`: that of the flushed block with as many of these layers as it takes.
    pub const fn layered(flat: Flat, flushed: u64, layers: Arc<Layers>, number: u64) -> Self {
        Self { flat, flushed, number, layers, past: None }
    }

    /// Number of the block whose state this is.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The state after block `number`: that of the flushed block with as many of these layers as it takes.
    #[must_use]
    pub fn under(mut self, layers: Arc<Layers>, number: u64) -> Self {
        (self.layers, self.number) = (layers, number);
        self
    }

    /// The same state with one more block on top.
    #[must_use]
    pub fn with_layer(&self, layer: Arc<Layer>) -> Self {
        let number = layer.number;
        self.clone().under(Arc::new(self.layers.with(layer)), number)
    }

    /// An account, or `None` if it does not exist.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn account(&self, address: Address) -> Result<Option<Account>, ChainError> {
        if let Some(account) = self.layers.account(self.number, address) {
            return Ok(account);
        }
        if let Some(history) = &self.past
            && let Some(old) = history.account(self.number, address)?
        {
            return Ok(old);
        }
        self.flat.account(address)
    }

    /// A slot's value, zero if it is not set.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn storage(&self, address: Address, slot: U256) -> Result<U256, ChainError> {
        if let Some(value) = self.layers.slot(self.number, (address, slot)) {
            return Ok(value);
        }
        if let Some(history) = &self.past
            && let Some(old) = history.slot(self.number, address, slot)?
        {
            return Ok(old);
        }
        self.flat.slot(address, slot)
    }

    /// All slots of an account that are not zero.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn slots_of(&self, address: Address) -> Result<BTreeMap<U256, U256>, ChainError> {
        let mut slots = self.flat.slots_of(address)?;
        // Who changes a slot changes the account's storage root: most layers need no look at their slots.
        let layers = self.layers.candidates(self.number, address).iter();
        for layer in layers.filter(|layer| layer.changes.accounts.contains_key(&address)) {
            for (&(owner, slot), change) in &layer.changes.slots {
                if owner != address {
                    continue;
                }
                if change.new.is_zero() {
                    slots.remove(&slot);
                } else {
                    slots.insert(slot, change.new);
                }
            }
        }
        if let Some(history) = &self.past {
            history.rewind_slots(self.number, address, &mut slots)?;
        }
        Ok(slots)
    }

    /// Shows every account that exists, once each, in no order.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn accounts(&self, mut show: impl FnMut(Address, Account)) -> Result<(), ChainError> {
        let mut newest: BTreeMap<Address, Option<Account>> = BTreeMap::new();
        if let Some(history) = &self.past {
            newest = history.accounts_changed_since(self.number)?;
        }
        for layer in self.layers.up_to(self.number) {
            newest.extend(layer.changes.accounts.iter().map(|(&key, change)| (key, change.new)));
        }
        self.flat.accounts(|address, account| {
            if !newest.contains_key(&address) {
                show(address, account);
            }
        })?;
        for (address, account) in newest {
            if let Some(account) = account {
                show(address, account);
            }
        }
        Ok(())
    }

    /// The code with this hash; empty for the hash of nothing.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] if an account names code that the store lacks.
    pub fn code(&self, hash: B256) -> Result<Bytes, ChainError> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytes::new());
        }
        if let Some(code) = self.layers.code(self.number, hash) {
            return Ok(code);
        }
        self.flat.code(hash)?.ok_or_else(|| ChainError::Corrupt {
            place: format!("table code at {hash}"),
            reason: "an account has this code, but it is not stored".to_owned(),
        })
    }

    /// The code with this hash in revm's form.
    ///
    /// # Errors
    /// As [`Self::code`].
    pub fn bytecode(&self, hash: B256) -> Result<Bytecode, ChainError> {
        bytecode_of(hash, || self.code(hash))
    }

    /// Hash of canonical block `number`, if it is not above this state's block.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        if number > self.number() {
            return Ok(None);
        }
        if number > self.flushed {
            let layer = self.layers.up_to(number).last();
            return Ok(layer.map(|layer| layer.hash));
        }
        let found = self.flat.kv().get(Table::Canon, &number.to_be_bytes())?;
        Ok(found.and_then(|bytes| B256::try_from(bytes.as_slice()).ok()))
    }
}

/// revm's form of an account, its code left to be fetched by hash.
pub fn account_info(account: &Account) -> AccountInfo {
    AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        code_hash: account.code_hash,
        code: None,
        account_id: None,
    }
}

impl DatabaseRef for StateDb {
    type Error = ChainError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ChainError> {
        Ok(self.account(address)?.as_ref().map(account_info))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, ChainError> {
        self.bytecode(code_hash)
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, ChainError> {
        self.storage(address, index)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, ChainError> {
        Ok(self.block_hash(number)?.unwrap_or_default())
    }
}
