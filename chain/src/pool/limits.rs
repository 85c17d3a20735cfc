//! How much may wait: the constants of design/security.md 2 and the settings that replace them.

use std::collections::HashSet;

use alloy_primitives::Address;

use super::order::Order;

/// Longest transaction, bytes of its EIP-2718 form: four slots.
pub const TX_BYTES: usize = 131_072;
/// By how much a replacement must raise fee cap and tip, percent (`--txpool.pricebump`).
pub const POOL_BUMP_PERCENT: u128 = 10;
/// Slots of pending transactions (`--txpool.globalslots`); most transactions take one.
pub const POOL_COUNT: usize = 65_536;
/// Bytes of a transaction that count as one slot.
pub const POOL_SLOT_BYTES: usize = 32 * 1_024;
/// Queued transactions in all (`--txpool.globalqueue`): a gap may never be filled, so they get the
/// smaller part.
pub const POOL_QUEUE_COUNT: usize = 16_384;
/// Bytes in all: that many full slots would be 2 GiB.
pub const POOL_BYTES: usize = 128 << 20;
/// Pending transactions that a sender keeps as long as another holds more
/// (`--txpool.accountslots`).
pub const POOL_ACCOUNT_COUNT: usize = 16;
/// Transactions of one sender (`--txpool.senderlimit`), and never more than a quarter of the slots.
pub const POOL_SENDER_COUNT: usize = 8_192;
/// Queued transactions of one sender (`--txpool.accountqueue`).
pub const POOL_GAP_COUNT: usize = 1_024;
/// Seconds that a sender's queued transactions wait for their gap to fill (`--txpool.lifetime`).
pub const POOL_GAP_SECS: u64 = 10_800;

/// Limits and policy of one node's pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Least tip cap, wei per gas.
    pub price_limit: u128,
    /// How much a replacement must raise both caps, percent.
    pub price_bump_percent: u128,
    /// Pending transactions that a sender keeps as long as another holds more.
    pub account_slots: usize,
    /// Slots of pending transactions.
    pub global_slots: usize,
    /// Queued transactions in all.
    pub global_queue: usize,
    /// Queued transactions per sender.
    pub account_queue: usize,
    /// Transactions per sender.
    pub sender_limit: usize,
    /// Bytes in all.
    pub max_bytes: usize,
    /// Seconds that a sender's queued transactions wait for their gap to fill.
    pub lifetime_secs: u64,
    /// Accounts that need not reach the price limit and lose nothing to a full pool
    /// (`--txpool.locals`).
    pub locals: HashSet<Address>,
    /// How blocks are filled, and what a full pool gives up.
    pub order: Order,
    /// Takes type 3: where a recorded chain is served, nowhere else.
    pub takes_blobs: bool,
}

impl PoolConfig {
    /// The defaults of a network: without a base fee nothing is paid, so the price limit is 0 and
    /// senders take turns.
    pub fn for_network(zero_base_fee: bool) -> Self {
        Self {
            price_limit: if zero_base_fee { 0 } else { 1 },
            price_bump_percent: POOL_BUMP_PERCENT,
            account_slots: POOL_ACCOUNT_COUNT,
            global_slots: POOL_COUNT,
            global_queue: POOL_QUEUE_COUNT,
            account_queue: POOL_GAP_COUNT,
            sender_limit: POOL_SENDER_COUNT,
            max_bytes: POOL_BYTES,
            lifetime_secs: POOL_GAP_SECS,
            locals: HashSet::new(),
            order: if zero_base_fee { Order::Fair } else { Order::Price },
            takes_blobs: false,
        }
    }

    /// Transactions that one sender may have here.
    pub(super) fn sender_count(&self) -> usize {
        self.sender_limit.min(self.global_slots / 4)
    }
}
