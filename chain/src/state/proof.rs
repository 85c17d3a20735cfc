//! Proofs of accounts and slots (EIP-1186).

use alloy_primitives::{Address, Bytes, U256};

use crate::{
    error::ChainError,
    state::{
        Account, StateDb,
        root::{Nodes, StateTrie},
    },
};

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

/// Proves an account and slots of the state that `trie` stands at, which must be `state`.
///
/// # Errors
/// What the store says if it fails.
pub fn prove(
    trie: &mut StateTrie,
    state: &StateDb,
    address: Address,
    slots: &[U256],
) -> Result<AccountProof, ChainError> {
    let bytes = |nodes: Nodes| nodes.into_iter().map(Bytes::from).collect();
    let (nodes, storage_nodes) = trie.proof(state, address, slots)?;
    let mut storage = Vec::with_capacity(slots.len());
    for (&slot, nodes) in slots.iter().zip(storage_nodes) {
        storage.push(SlotProof { slot, value: state.storage(address, slot)?, nodes: bytes(nodes) });
    }
    let account = state.account(address)?.unwrap_or_default();
    Ok(AccountProof { address, account, nodes: bytes(nodes), storage })
}
