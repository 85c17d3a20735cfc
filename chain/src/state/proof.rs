//! Proofs of accounts and slots (EIP-1186), at the head and some way back.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use crate::{
    error::ChainError,
    state::{
        Account, StateDb,
        arena::Subtrie,
        hashing::hash_keys,
        keccak_x8::Lanes,
        node::{Value, nibble},
        root::{AccountLeaf, Nodes, StateTrie, storage_trie},
        trie::{Effort, Entry, Trie, apply},
    },
};

/// Blocks that may lie between the head and a block to be proved.
pub const MAX_BLOCKS: u64 = 1_024;

/// Changes that may be taken back for a proof.
const MAX_CHANGES: usize = 400_000;

/// An account, some of its slots, and the trie nodes that prove them under a state root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountProof {
    /// Whose.
    pub address: Address,
    /// The account; the default one if it does not exist, which the nodes then prove.
    pub account: Account,
    /// Nodes from the state root down.
    pub nodes: Vec<Bytes>,
    /// One per slot asked for, in that order.
    pub storage: Vec<SlotProof>,
}

/// A slot and the trie nodes that prove it under the account's storage root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotProof {
    /// Which.
    pub slot: U256,
    /// Its value, zero if it is not set.
    pub value: U256,
    /// Nodes from the storage root down; none if the account has no storage.
    pub nodes: Vec<Bytes>,
}

/// The account trie as it stood some blocks ago: parts of the live one, with later changes taken back.
///
/// Of the live trie the paths to some accounts are copied, one sixteenth at a time, so that nobody waits long for it.
/// Blocks that arrive in between are taken back as well.
#[derive(Debug)]
pub struct Scratch {
    /// The accounts, by hashed address.
    keys: [BTreeSet<B256>; 16],
    /// Old values of the accounts that changed since, by hashed address.
    old: [BTreeMap<B256, Option<AccountLeaf>>; 16],
    count: usize,
    trie: Trie<AccountLeaf>,
}

impl Scratch {
    /// With the paths to these accounts.
    pub fn new(addresses: impl IntoIterator<Item = Address>) -> Self {
        let addresses: Vec<_> = addresses.into_iter().map(|address| address.0.0).collect();
        let mut keys: [BTreeSet<B256>; 16] = Default::default();
        for key in hash_keys(Lanes::best(), &addresses) {
            keys[nibble(&key, 0)].insert(key);
        }
        Self { keys, old: Default::default(), count: 0, trie: Trie::default() }
    }

    /// Takes the old values of the next block above those taken so far.
    ///
    /// # Errors
    /// [`ChainError::ProofWindow`] if they are too many.
    pub fn take_back(
        &mut self,
        accounts: impl Iterator<Item = (Address, Option<Account>)>,
    ) -> Result<(), ChainError> {
        let (addresses, olds): (Vec<_>, Vec<_>) =
            accounts.map(|(address, old)| (address.0.0, old)).unzip();
        self.count += addresses.len();
        if self.count > MAX_CHANGES {
            return Err(ChainError::ProofWindow);
        }
        for (key, old) in hash_keys(Lanes::best(), &addresses).into_iter().zip(olds) {
            let old = old.as_ref().map(AccountLeaf::from);
            self.old[nibble(&key, 0)].entry(key).or_insert(old);
        }
        Ok(())
    }

    /// Copies one sixteenth of the live trie.
    pub(crate) fn copy(&self, index: usize, live: &StateTrie) -> Copied<AccountLeaf> {
        let keys = self.keys[index].iter().chain(self.old[index].keys());
        live.copy_accounts(index, keys.copied())
    }

    /// Takes a copied sixteenth back.
    pub(crate) fn settle(&mut self, index: usize, mut copied: Copied<AccountLeaf>) {
        // What an open block has put there goes first: its keys' values are the head's then.
        let old = self.old[index].iter().map(|(key, value)| (*key, value.clone()));
        copied.pending.extend(old);
        self.trie.put(index, copied.taken_back());
    }

    /// The root of what was put together.
    pub fn root(&self) -> B256 {
        self.trie.hashed_root()
    }

    /// The nodes that prove one of the accounts.
    pub fn nodes(&mut self, address: Address) -> Nodes {
        self.trie.proof(&keccak256(address), Effort::best())
    }

    /// What was put together.
    pub(crate) fn into_trie(self) -> Trie<AccountLeaf> {
        self.trie
    }
}

/// Paths of a sixteenth of a live trie, and what takes back the block that it may stand above the head.
#[derive(Debug)]
pub(crate) struct Copied<V> {
    subtrie: Subtrie<V>,
    pending: Vec<Entry<V>>,
}

impl<V: Value> Copied<V> {
    /// The paths to `keys`, and to what is to be taken back.
    pub(crate) fn new(
        live: &Subtrie<V>,
        keys: impl Iterator<Item = B256>,
        pending: Vec<Entry<V>>,
    ) -> Self {
        let keys: BTreeSet<B256> = keys.chain(pending.iter().map(|(key, _)| *key)).collect();
        let keys: Vec<B256> = keys.into_iter().collect();
        Self { subtrie: live.paths(&keys), pending }
    }

    /// The sixteenth without what is to be taken back.
    pub(crate) fn taken_back(self) -> Subtrie<V> {
        let Self { mut subtrie, pending } = self;
        apply(&mut subtrie, &pending);
        subtrie
    }
}

/// Joins an account's nodes with what proves its slots in `state`, which must be the state that they are of.
///
/// # Errors
/// [`ChainError::Corrupt`] if the slots do not have the root that the account names; what the store says if it fails.
pub fn prove(
    nodes: Nodes,
    state: &StateDb,
    address: Address,
    slots: &[U256],
) -> Result<AccountProof, ChainError> {
    let account = state.account(address)?.unwrap_or_default();
    let bytes = |nodes: Nodes| nodes.into_iter().map(Bytes::from).collect();
    let mut storage = Vec::with_capacity(slots.len());
    if !slots.is_empty() {
        let effort = Effort::best();
        let mut trie = storage_trie(state, address, effort)?;
        let root = trie.hashed_root();
        if root != account.storage_root {
            let place = format!("the storage of {address} after block {}", state.number());
            let reason = format!("its root is {root}, the account says {}", account.storage_root);
            return Err(ChainError::Corrupt { place, reason });
        }
        for &slot in slots {
            let nodes = trie.proof(&keccak256(slot.to_be_bytes::<32>()), effort);
            let value = state.storage(address, slot)?;
            storage.push(SlotProof { slot, value, nodes: bytes(nodes) });
        }
    }
    Ok(AccountProof { address, account, nodes: bytes(nodes), storage })
}
