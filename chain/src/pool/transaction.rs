//! [`PoolTransaction`]: what waits, with what is asked of it again and again.

use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, U256};

use super::limits::POOL_SLOT_BYTES;
use crate::block::Transaction;

/// Which way a transaction came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Submitted to this node: kept in its journal over a restart.
    Here,
    /// From a peer, or from a block that left the chain.
    Elsewhere,
}

/// A waiting transaction.
#[derive(Debug, Clone)]
pub struct PoolTransaction {
    /// The signed transaction.
    pub transaction: Transaction,
    /// Its recovered sender.
    pub sender: Address,
    /// Position in the order of arrival at this pool.
    pub arrival: u64,
    /// Bytes of its EIP-2718 form.
    pub size: usize,
    /// Which way it came.
    pub origin: Origin,
    cost: U256,
}

impl PoolTransaction {
    pub(super) fn new(
        transaction: Transaction,
        sender: Address,
        origin: Origin,
        arrival: u64,
    ) -> Self {
        let size = transaction.encode_2718_len();
        let fee = U256::from(transaction.gas_limit())
            .saturating_mul(U256::from(transaction.max_fee_per_gas()));
        let cost = fee.saturating_add(transaction.value());
        Self { transaction, sender, arrival, size, origin, cost }
    }

    /// Transaction hash.
    pub fn hash(&self) -> B256 {
        *self.transaction.tx_hash()
    }

    /// Sender's nonce.
    pub fn nonce(&self) -> u64 {
        self.transaction.nonce()
    }

    /// The most it may cost, wei: gas limit · fee cap + value.
    pub const fn cost(&self) -> U256 {
        self.cost
    }

    /// Tip cap, or gas price of the types that have no tip, wei per gas.
    pub fn tip_cap(&self) -> u128 {
        self.transaction.priority_fee_or_price()
    }

    /// Slots of [`POOL_SLOT_BYTES`] that it takes.
    pub(super) const fn slots(&self) -> usize {
        self.size.div_ceil(POOL_SLOT_BYTES)
    }
}
