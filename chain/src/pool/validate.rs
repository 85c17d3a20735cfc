//! What a transaction must be to wait here: geth's checks in geth's order, in geth's words
//! (`core/txpool/validation.go`).
//!
//! [`validate_transaction`] needs the next block's rules only; [`validate_account`] the sender's
//! account and what it has waiting already.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, I256, U256};
use revm::{
    context_interface::cfg::gas::{InitialAndFloorGas, calculate_initial_tx_gas},
    primitives::hardfork::SpecId,
};

use super::{PoolConfig, PoolHead, PoolTransaction, limits::TX_BYTES};
use crate::error::ChainError;

/// Longest initcode from Shanghai on, bytes (EIP-3860).
pub const MAX_INITCODE_BYTES: usize = 49_152;
/// Most gas of one transaction from Osaka on (EIP-7825).
pub const MAX_TRANSACTION_GAS: u64 = 16_777_216;
const TYPE_BLOB: u8 = 3;

/// Why the pool refuses a transaction; each text is geth's.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text says which rule broke with which values")]
pub enum PoolError {
    #[error("already known")]
    AlreadyKnown,
    #[error(
        "transaction type not supported: blob transactions (type 3) are not accepted on this \
         network"
    )]
    BlobTransaction,
    #[error("transaction type not supported: type {tx_type} rejected, pool not yet in {fork}")]
    TypeNotActive { tx_type: u8, fork: &'static str },
    #[error("oversized data: transaction size {size}, limit {TX_BYTES}")]
    Oversized { size: usize },
    #[error("max initcode size exceeded: code size {size}, limit {MAX_INITCODE_BYTES}")]
    InitcodeTooLarge { size: usize },
    #[error("exceeds block gas limit")]
    ExceedsBlockGasLimit,
    #[error("transaction gas limit too high (cap: {MAX_TRANSACTION_GAS}, tx: {gas})")]
    GasLimitTooHigh { gas: u64 },
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFeeCap,
    #[error("invalid sender")]
    InvalidSender,
    #[error("intrinsic gas too low: gas {gas}, minimum needed {needed}")]
    IntrinsicGasTooLow { gas: u64, needed: u64 },
    #[error("insufficient gas for floor data gas cost: gas {gas}, minimum needed {needed}")]
    FloorGasTooLow { gas: u64, needed: u64 },
    #[error("set code tx must have at least one authorization tuple")]
    EmptyAuthorizations,
    #[error("transaction underpriced: gas tip cap {tip}, minimum needed {needed}")]
    TipTooLow { tip: u128, needed: u128 },
    #[error("nonce has max value")]
    NonceMax,
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow { next: u64, nonce: u64 },
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, overshot {}",
        .cost.saturating_sub(*.balance)
    )]
    InsufficientFunds { balance: U256, cost: U256 },
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx \
         cost {cost}, overshot {}",
        .queued.saturating_add(*.cost).saturating_sub(*.balance)
    )]
    InsufficientFundsForAll { balance: U256, queued: U256, cost: U256 },
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx \
         bumped {bump}, overshot {}",
        .queued.wrapping_add(.bump.into_raw()).wrapping_sub(*.balance)
    )]
    InsufficientFundsForBump { balance: U256, queued: U256, bump: I256 },
    #[error("account limit exceeded: pooled {pooled} txs")]
    AccountLimitExceeded { pooled: usize },
    #[error("in-flight transaction limit reached for delegated accounts")]
    DelegatedInFlight,
    #[error("gapped-nonce tx from delegated accounts")]
    DelegatedGap,
    #[error("sender account not authorized to send transactions")]
    NotPermitted,
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    #[error("transaction underpriced")]
    Underpriced,
    #[error("txpool is full")]
    Full,
    #[error("future transaction tries to replace pending")]
    FutureReplacesPending,
    /// The sender's account cannot be read: our fault, not the transaction's.
    #[error("cannot read the sender's account: {0}")]
    State(#[from] ChainError),
}

/// What the chain says about a sender after the head block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountState {
    /// Nonce of its next transaction.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// True if its code is an EIP-7702 delegation.
    pub is_delegated: bool,
}

/// Reads accounts of the head state; a closure will do.
pub trait AccountView {
    /// The account, all zero if it does not exist.
    ///
    /// # Errors
    /// Whatever reading the state may fail with.
    fn account(&self, address: Address) -> Result<AccountState, ChainError>;
}

impl<F: Fn(Address) -> Result<AccountState, ChainError>> AccountView for F {
    fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        self(address)
    }
}

/// Gas that a transaction costs before its first step, and the floor of EIP-7623, under a rule set.
pub fn intrinsic_gas(
    transaction: &impl alloy_consensus::Transaction,
    spec_id: SpecId,
) -> InitialAndFloorGas {
    let (addresses, slots) = transaction.access_list().map_or((0, 0), |list| {
        let slots: usize = list.iter().map(|item| item.storage_keys.len()).sum();
        (list.len() as u64, slots as u64)
    });
    let authorizations = transaction.authorization_list().map_or(0, |list| list.len() as u64);
    let (input, is_create) = (transaction.input(), transaction.is_create());
    calculate_initial_tx_gas(spec_id, input, is_create, addresses, slots, authorizations, None)
}

/// The checks that need no account, in geth's order.
///
/// # Errors
/// The first rule that broke.
pub fn validate_transaction(
    pooled: &PoolTransaction,
    head: &PoolHead,
    config: &PoolConfig,
) -> Result<(), PoolError> {
    let transaction = &pooled.transaction;
    validate_type(transaction.tx_type() as u8, head.spec_id, config.takes_blobs)?;
    if pooled.size > TX_BYTES {
        return Err(PoolError::Oversized { size: pooled.size });
    }
    let size = transaction.input().len();
    if head.spec_id >= SpecId::SHANGHAI && transaction.is_create() && size > MAX_INITCODE_BYTES {
        return Err(PoolError::InitcodeTooLarge { size });
    }
    let gas = transaction.gas_limit();
    if head.spec_id >= SpecId::OSAKA && gas > MAX_TRANSACTION_GAS {
        return Err(PoolError::GasLimitTooHigh { gas });
    }
    if gas > head.gas_limit {
        return Err(PoolError::ExceedsBlockGasLimit);
    }
    let tip = pooled.tip_cap();
    if tip > transaction.max_fee_per_gas() {
        return Err(PoolError::TipAboveFeeCap);
    }
    if transaction.chain_id().is_some_and(|id| id != head.chain_id) {
        return Err(PoolError::InvalidSender);
    }
    if transaction.nonce() == u64::MAX {
        return Err(PoolError::NonceMax);
    }
    validate_gas(pooled, head.spec_id)?;
    if tip < config.price_limit && !config.locals.contains(&pooled.sender) {
        return Err(PoolError::TipTooLow { tip, needed: config.price_limit });
    }
    if transaction.authorization_list().is_some_and(<[_]>::is_empty) {
        return Err(PoolError::EmptyAuthorizations);
    }
    Ok(())
}

fn validate_type(tx_type: u8, spec_id: SpecId, takes_blobs: bool) -> Result<(), PoolError> {
    let (needs, fork) = match tx_type {
        TYPE_BLOB if takes_blobs => (SpecId::CANCUN, "Cancun"),
        TYPE_BLOB => return Err(PoolError::BlobTransaction),
        1 => (SpecId::BERLIN, "Berlin"),
        2 => (SpecId::LONDON, "London"),
        4 => (SpecId::PRAGUE, "Prague"),
        _ => return Ok(()),
    };
    if spec_id < needs {
        return Err(PoolError::TypeNotActive { tx_type, fork });
    }
    Ok(())
}

fn validate_gas(pooled: &PoolTransaction, spec_id: SpecId) -> Result<(), PoolError> {
    let gas = pooled.transaction.gas_limit();
    let intrinsic = intrinsic_gas(&pooled.transaction, spec_id);
    let needed = intrinsic.initial_regular_gas;
    if gas < needed {
        return Err(PoolError::IntrinsicGasTooLow { gas, needed });
    }
    if spec_id >= SpecId::PRAGUE && gas < intrinsic.floor_gas {
        return Err(PoolError::FloorGasTooLow { gas, needed: intrinsic.floor_gas });
    }
    Ok(())
}

/// What a sender has waiting, as far as one more transaction is concerned.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waiting {
    /// How many transactions.
    pub(super) count: usize,
    /// Sum of their greatest costs, wei.
    pub(super) cost: U256,
    /// Cost of the one that the new one would replace.
    pub(super) replaced_cost: Option<U256>,
}

/// The checks against the sender's account, in geth's order.
pub(super) fn validate_account(
    pooled: &PoolTransaction,
    account: AccountState,
    waiting: Waiting,
    sender_limit: usize,
) -> Result<(), PoolError> {
    let nonce = pooled.nonce();
    if nonce < account.nonce {
        return Err(PoolError::NonceTooLow { next: account.nonce, nonce });
    }
    let (balance, cost) = (account.balance, pooled.cost());
    if balance < cost {
        return Err(PoolError::InsufficientFunds { balance, cost });
    }
    let queued = waiting.cost;
    if let Some(replaced) = waiting.replaced_cost {
        let needed = queued.saturating_sub(replaced).saturating_add(cost);
        if balance < needed {
            let bump = I256::from_raw(cost.wrapping_sub(replaced));
            return Err(PoolError::InsufficientFundsForBump { balance, queued, bump });
        }
        return Ok(());
    }
    if balance < queued.saturating_add(cost) {
        return Err(PoolError::InsufficientFundsForAll { balance, queued, cost });
    }
    if waiting.count >= sender_limit {
        return Err(PoolError::AccountLimitExceeded { pooled: waiting.count });
    }
    if account.is_delegated && waiting.count > 0 {
        return Err(PoolError::DelegatedInFlight);
    }
    if account.is_delegated && nonce > account.nonce {
        return Err(PoolError::DelegatedGap);
    }
    Ok(())
}
