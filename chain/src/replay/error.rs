//! [`ReplayError`]: the rules that hold in replayed chains alone.

use alloy_primitives::{B256, U256};

/// A rule of Ethereum's that no network of ours has, in geth's words where it has some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text says which rule broke with which values")]
pub enum ReplayError {
    #[error("extra-data too long: {bytes} > 32")]
    ExtraDataTooLong { bytes: usize },
    #[error("timestamp older than parent")]
    OlderBlockTime,
    #[error("invalid number: have {have}, parent {parent}")]
    InvalidNumber { have: u64, parent: u64 },
    #[error("invalid difficulty: have {have}, want {want}")]
    InvalidDifficulty { have: U256, want: U256 },
    #[error("invalid nonce after the merge: {have}")]
    InvalidNonce { have: u64 },
    #[error("header field {field} is {is}, expected {expected}")]
    FieldPresence { field: &'static str, is: &'static str, expected: &'static str },
    #[error("invalid excessBlobGas: have {have}, want {want}")]
    InvalidExcessBlobGas { have: u64, want: u64 },
    #[error("blob gas used {have} exceeds maximum allowance {max}")]
    TooMuchBlobGas { have: u64, max: u64 },
    #[error("blob gas used mismatch (header {header}, calculated {calculated})")]
    BlobGasUsedMismatch { header: u64, calculated: u64 },
    #[error("tx {index} carries blobs inside a block")]
    BlobSidecar { index: usize },
    #[error("uncle root hash mismatch (header value {header:x}, calculated {calculated:x})")]
    UncleHashMismatch { header: B256, calculated: B256 },
    #[error("too many uncles: {count}")]
    TooManyUncles { count: usize },
    #[error("duplicate uncle {hash}")]
    DuplicateUncle { hash: B256 },
    #[error("uncle {hash} is ancestor")]
    UncleIsAncestor { hash: B256 },
    #[error("uncle {hash}'s parent is not ancestor")]
    DanglingUncle { hash: B256 },
    #[error("withdrawals root hash mismatch (header value {header:x}, calculated {calculated:x})")]
    WithdrawalsRootMismatch { header: B256, calculated: B256 },
    #[error("withdrawals are {is} in the block body, expected {expected}")]
    WithdrawalsPresence { is: &'static str, expected: &'static str },
    #[error("system contract {name}: {reason}")]
    SystemContract { name: &'static str, reason: String },
    #[error("invalid deposit event layout in tx {index}")]
    DepositLayout { index: usize },
    #[error("invalid requests hash (remote: {remote:x} local: {local:x})")]
    RequestsHash { remote: B256, local: B256 },
    #[error("a withdrawal or reward overflows a balance")]
    BalanceOverflow,
}
