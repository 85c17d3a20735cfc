//! Header and body rules of any engine: sizes, gas limit, base fee (EIP-1559), body roots.
//!
//! Pure comparisons of a header with its parent and of a body with its header. The order of rules
//! across this file and [`crate::clique::verify`] is geth's and is kept there.

use alloy_primitives::B256;
use revm::primitives::hardfork::SpecId;

use crate::{
    block::{Block, BlockBody, Header, Transaction, transactions_root},
    spec::ChainSpec,
};

/// Base fee of the first block with one, wei per gas (EIP-1559).
pub const INITIAL_BASE_FEE: u64 = 1_000_000_000;
/// A base fee moves by at most one part in this many per block (EIP-1559).
pub const BASE_FEE_CHANGE_DENOMINATOR: u64 = 8;
/// The gas target is the limit divided by this (EIP-1559).
pub const ELASTICITY_MULTIPLIER: u64 = 2;
/// A gas limit differs from its parent's by less than one part in this many (Yellow Paper).
pub const GAS_LIMIT_BOUND_DIVISOR: u64 = 1_024;
/// Least gas limit of a block.
pub const MIN_GAS_LIMIT: u64 = 5_000;
/// Greatest gas limit of a block: 2⁶³ − 1.
pub const MAX_GAS_LIMIT: u64 = i64::MAX.unsigned_abs();
/// Longest extra-data geth decodes, bytes.
pub const MAX_EXTRA_DATA_BYTES: usize = 100 * 1_024;
/// Widest difficulty geth decodes, bits.
pub const MAX_DIFFICULTY_BITS: usize = 80;
/// Largest block in RLP from Osaka on, bytes (EIP-7934 without the beacon chain's margin added).
pub const MAX_BLOCK_RLP_BYTES: usize = 8_388_608;

/// A rule of headers or bodies that a block broke, in geth's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text says which rule broke with which values")]
pub enum BlockError {
    #[error("too large block extradata: size {size}")]
    ExtraDataTooLarge { size: usize },
    #[error("too large block difficulty: bitlen {bits}")]
    DifficultyTooLarge { bits: usize },
    #[error("invalid gasLimit: have {have}, max 9223372036854775807")]
    GasLimitTooLarge { have: u64 },
    #[error("invalid gasUsed: have {have}, gasLimit {limit}")]
    GasUsedAboveLimit { have: u64, limit: u64 },
    #[error("invalid gas limit: have {have}, want {want} +-= {bound}")]
    GasLimitOutOfBounds { have: u64, want: u64, bound: u64 },
    #[error("invalid gas limit below 5000")]
    GasLimitTooLow { have: u64 },
    #[error("invalid baseFee before fork: have {have}, want <nil>")]
    BaseFeeBeforeLondon { have: u64 },
    #[error("header is missing baseFee")]
    BaseFeeMissing,
    #[error(
        "invalid baseFee: have {have}, want {want}, parentBaseFee {parent_base_fee}, \
         parentGasUsed {parent_gas_used}"
    )]
    BaseFeeMismatch { have: u64, want: u64, parent_base_fee: u64, parent_gas_used: u64 },
    #[error("invalid {field}: have {have}, expected nil")]
    FieldAfterBaseFee { field: &'static str, have: String },
    #[error("invalid parentBeaconRoot, have {have}, expected nil")]
    ParentBeaconRoot { have: B256 },
    #[error("uncles not allowed")]
    UnclesNotAllowed,
    #[error("withdrawals present in block body")]
    WithdrawalsPresent,
    #[error("transaction root hash mismatch (header value {header:x}, calculated {calculated:x})")]
    TransactionRootMismatch { header: B256, calculated: B256 },
    #[error(
        "could not apply tx {index} [{hash}]: transaction type not supported: blob transactions \
         (type 3) are not accepted on this network"
    )]
    BlobTransaction { index: usize, hash: B256 },
    #[error("block RLP-encoded size exceeds maximum")]
    RlpTooLarge { size: usize, max: usize },
}

/// Sizes that geth checks before any other rule (`SanityCheck`).
///
/// # Errors
/// [`BlockError::ExtraDataTooLarge`], [`BlockError::DifficultyTooLarge`].
pub fn validate_sizes(header: &Header) -> Result<(), BlockError> {
    let bits = header.difficulty.bit_len();
    if bits > MAX_DIFFICULTY_BITS {
        return Err(BlockError::DifficultyTooLarge { bits });
    }
    let size = header.extra_data.len();
    if size > MAX_EXTRA_DATA_BYTES {
        return Err(BlockError::ExtraDataTooLarge { size });
    }
    Ok(())
}

/// Refuses every field that headers got after London (rule 10 of the design): the header of all our
/// networks ends with the base fee, whatever the forks.
///
/// # Errors
/// [`BlockError::FieldAfterBaseFee`] or [`BlockError::ParentBeaconRoot`] names the first of them.
pub fn validate_no_later_fields(header: &Header) -> Result<(), BlockError> {
    if let Some(have) = header.parent_beacon_block_root
        && header.withdrawals_root.is_none()
        && header.excess_blob_gas.is_none()
        && header.blob_gas_used.is_none()
    {
        return Err(BlockError::ParentBeaconRoot { have });
    }
    let fields = [
        ("withdrawalsHash", header.withdrawals_root.map(|hash| format!("{hash:x}"))),
        ("excessBlobGas", header.excess_blob_gas.map(|gas| gas.to_string())),
        ("blobGasUsed", header.blob_gas_used.map(|gas| gas.to_string())),
        ("requestsHash", header.requests_hash.map(|hash| format!("{hash:x}"))),
        ("blockAccessListHash", header.block_access_list_hash.map(|hash| format!("{hash:x}"))),
        ("slotNumber", header.slot_number.map(|slot| slot.to_string())),
    ];
    match fields.into_iter().find_map(|(field, have)| Some((field, have?))) {
        Some((field, have)) => Err(BlockError::FieldAfterBaseFee { field, have }),
        None => Ok(()),
    }
}

/// Gas used, gas limit and base fee against the parent (rules 13 and 14).
///
/// # Errors
/// The first broken rule, in geth's order.
pub fn validate_gas(spec: &ChainSpec, header: &Header, parent: &Header) -> Result<(), BlockError> {
    if header.gas_used > header.gas_limit {
        let (have, limit) = (header.gas_used, header.gas_limit);
        return Err(BlockError::GasUsedAboveLimit { have, limit });
    }
    if !spec.is_london(header.number)
        && let Some(have) = header.base_fee_per_gas
    {
        return Err(BlockError::BaseFeeBeforeLondon { have });
    }
    validate_gas_limit(header.gas_limit, parent_gas_limit(spec, parent))?;
    let Some(want) = next_base_fee(spec, parent) else { return Ok(()) };
    let have = header.base_fee_per_gas.ok_or(BlockError::BaseFeeMissing)?;
    if have != want {
        return Err(BlockError::BaseFeeMismatch {
            have,
            want,
            parent_base_fee: parent.base_fee_per_gas.unwrap_or_default(),
            parent_gas_used: parent.gas_used,
        });
    }
    Ok(())
}

/// The parent's gas limit as the next block sees it: doubled in London's first block, where the
/// limit turns from a target into twice the target.
fn parent_gas_limit(spec: &ChainSpec, parent: &Header) -> u64 {
    let is_first =
        !spec.is_london(parent.number) && spec.is_london(parent.number.saturating_add(1));
    if is_first { parent.gas_limit.saturating_mul(ELASTICITY_MULTIPLIER) } else { parent.gas_limit }
}

fn validate_gas_limit(have: u64, want: u64) -> Result<(), BlockError> {
    let bound = want / GAS_LIMIT_BOUND_DIVISOR;
    if have.abs_diff(want) >= bound {
        let bound = bound.saturating_sub(1);
        return Err(BlockError::GasLimitOutOfBounds { have, want, bound });
    }
    if have < MIN_GAS_LIMIT {
        return Err(BlockError::GasLimitTooLow { have });
    }
    Ok(())
}

/// Base fee of the block after `parent`, wei per gas; none before London (EIP-1559).
///
/// 0 in every block of a network with `zeroBaseFee`.
pub fn next_base_fee(spec: &ChainSpec, parent: &Header) -> Option<u64> {
    if !spec.is_london(parent.number.saturating_add(1)) {
        return None;
    }
    if spec.zero_base_fee {
        return Some(0);
    }
    if !spec.is_london(parent.number) {
        return Some(INITIAL_BASE_FEE);
    }
    let fee = parent.base_fee_per_gas.unwrap_or_default();
    let target = parent.gas_limit / ELASTICITY_MULTIPLIER;
    if target == 0 {
        return Some(fee);
    }
    let used = parent.gas_used;
    let change = |gas: u64| {
        u128::from(fee) * u128::from(gas)
            / u128::from(target)
            / u128::from(BASE_FEE_CHANGE_DENOMINATOR)
    };
    let next = if used > target {
        u128::from(fee) + change(used - target).max(1)
    } else {
        u128::from(fee).saturating_sub(change(target - used))
    };
    Some(u64::try_from(next).unwrap_or(u64::MAX))
}

/// Gas limit of the block after `parent`: as near to `target` as one step may go.
pub fn next_gas_limit(spec: &ChainSpec, parent: &Header, target: u64) -> u64 {
    let from = parent_gas_limit(spec, parent);
    let step = (from / GAS_LIMIT_BOUND_DIVISOR).saturating_sub(1);
    let target = target.clamp(MIN_GAS_LIMIT, MAX_GAS_LIMIT);
    target.clamp(from.saturating_sub(step), from.saturating_add(step))
}

/// The body against its header: no uncles, the transactions' root, no withdrawals, no blob
/// transactions, the size limit of Osaka (EIP-7934).
///
/// # Errors
/// The first broken rule, in geth's order.
pub fn validate_body(
    spec: &ChainSpec,
    header: &Header,
    body: &BlockBody,
) -> Result<(), BlockError> {
    if !body.ommers.is_empty() {
        return Err(BlockError::UnclesNotAllowed);
    }
    let calculated = transactions_root(&body.transactions);
    if calculated != header.transactions_root {
        let header = header.transactions_root;
        return Err(BlockError::TransactionRootMismatch { header, calculated });
    }
    if body.withdrawals.is_some() {
        return Err(BlockError::WithdrawalsPresent);
    }
    let blob = body.transactions.iter().position(Transaction::is_eip4844);
    if let Some((index, transaction)) = blob.and_then(|at| Some((at, body.transactions.get(at)?))) {
        return Err(BlockError::BlobTransaction { index, hash: *transaction.tx_hash() });
    }
    if spec.spec_id(header.number, header.timestamp) >= SpecId::OSAKA {
        let (size, max) = (Block::rlp_length_for(header, body), MAX_BLOCK_RLP_BYTES);
        if size > max {
            return Err(BlockError::RlpTooLarge { size, max });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{BlockBody, SignableTransaction as _, TxEip4844, TxLegacy};
    use alloy_primitives::{Bytes, Signature};

    use super::*;
    use crate::spec::Forks;

    fn spec(forks: Forks) -> ChainSpec {
        ChainSpec {
            chain_id: 1,
            forks,
            clique: None,
            terminal_total_difficulty: None,
            has_msnet_section: false,
            finality: false,
            zero_base_fee: false,
        }
    }

    fn london(height: u64) -> ChainSpec {
        spec(Forks { london: Some(height), ..Forks::default() })
    }

    fn parent(base_fee: u64, gas_limit: u64, gas_used: u64) -> Header {
        Header {
            number: 10,
            base_fee_per_gas: Some(base_fee),
            gas_limit,
            gas_used,
            ..Header::default()
        }
    }

    /// First three: geth `consensus/misc/eip1559` `TestCalcBaseFee`; the rest from the formula.
    #[test]
    fn base_fee_follows_eip_1559() {
        let cases = [
            (1_000_000_000, 20_000_000, 10_000_000, 1_000_000_000),
            (1_000_000_000, 20_000_000, 9_000_000, 987_500_000),
            (1_000_000_000, 20_000_000, 11_000_000, 1_012_500_000),
            (1_000_000_000, 20_000_000, 20_000_000, 1_125_000_000),
            (1_000_000_000, 20_000_000, 0, 875_000_000),
            (7, 20_000_000, 0, 7),
            (8, 20_000_000, 0, 7),
            (0, 20_000_000, 10_000_000, 0),
            (0, 20_000_000, 10_000_001, 1),
            (u64::MAX, 20_000_000, 20_000_000, u64::MAX),
            (5, 1, 1, 5),
        ];
        for (fee, limit, used, want) in cases {
            assert_eq!(next_base_fee(&london(0), &parent(fee, limit, used)), Some(want), "{fee}");
        }
        assert_eq!(next_base_fee(&london(12), &parent(9, 2, 1)), None);
        assert_eq!(next_base_fee(&london(11), &parent(9, 2, 1)), Some(INITIAL_BASE_FEE));
    }

    #[test]
    fn zero_base_fee_stays_zero_and_is_checked() {
        let spec = ChainSpec { zero_base_fee: true, ..london(0) };
        let parent = parent(0, 20_000_000, 20_000_000);
        assert_eq!(next_base_fee(&spec, &parent), Some(0));
        let header = Header {
            number: 11,
            gas_limit: 20_000_000,
            base_fee_per_gas: Some(1),
            ..Header::default()
        };
        assert_eq!(
            validate_gas(&spec, &header, &parent).unwrap_err().to_string(),
            "invalid baseFee: have 1, want 0, parentBaseFee 0, parentGasUsed 20000000"
        );
    }

    #[test]
    fn gas_limit_walks_to_its_target_by_allowed_steps() {
        let spec = london(0);
        let from = parent(7, 8_000_000, 0);
        for (target, want) in [
            (30_000_000, 8_007_811),
            (8_000_100, 8_000_100),
            (7_999_900, 7_999_900),
            (1, 7_992_189),
            (8_000_000, 8_000_000),
        ] {
            let have = next_gas_limit(&spec, &from, target);
            assert_eq!(have, want);
            validate_gas_limit(have, from.gas_limit).unwrap();
        }
        assert_eq!(
            validate_gas_limit(4_999, 5_000).unwrap_err().to_string(),
            "invalid gas limit below 5000"
        );
    }

    fn block(transactions: Vec<Transaction>) -> Block {
        let header =
            Header { transactions_root: transactions_root(&transactions), ..Header::default() };
        Block { header, body: BlockBody { transactions, ommers: Vec::new(), withdrawals: None } }
    }

    fn legacy(input: Vec<u8>) -> Transaction {
        TxLegacy { input: Bytes::from(input), ..TxLegacy::default() }
            .into_signed(Signature::test_signature())
            .into()
    }

    #[test]
    fn bodies_fit_their_headers() {
        let osaka = spec(Forks { london: Some(0), osaka_time: Some(0), ..Forks::default() });
        let check =
            |spec: &ChainSpec, block: &Block| validate_body(spec, &block.header, &block.body);
        check(&osaka, &block(vec![legacy(vec![1])])).unwrap();
        let error = |block: &Block| check(&osaka, block).unwrap_err().to_string();

        let mut uncle = block(Vec::new());
        uncle.body.ommers.push(Header::default());
        assert_eq!(error(&uncle), "uncles not allowed");

        let mut other = block(vec![legacy(vec![1])]);
        other.body.transactions = vec![legacy(vec![2])];
        assert!(error(&other).starts_with("transaction root hash mismatch (header value "));

        let mut withdrawn = block(Vec::new());
        withdrawn.body.withdrawals = Some(Default::default());
        assert_eq!(error(&withdrawn), "withdrawals present in block body");

        let blob = TxEip4844::default().into_signed(Signature::test_signature());
        assert!(
            error(&block(vec![legacy(vec![]), blob.into()])).starts_with("could not apply tx 1 [")
        );

        let big = block(vec![legacy(vec![1; MAX_BLOCK_RLP_BYTES])]);
        assert_eq!(error(&big), "block RLP-encoded size exceeds maximum");
        check(&london(0), &big).unwrap();
    }
}
