//! The body against its header: uncles' hash, transactions, withdrawals, blobs, size.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844Variant, proofs};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_rlp::Encodable as _;
use revm::primitives::hardfork::SpecId;

use super::{ReplayError, ReplayRules};
use crate::{
    block::{Block, transactions_root},
    error::ChainError,
    spec::ChainSpec,
    validate::{BlockError, MAX_BLOCK_RLP_BYTES},
};

/// Checks what a header says about its body.
pub(super) fn verify_body(
    rules: &ReplayRules,
    spec: &ChainSpec,
    block: &Block,
) -> Result<(), ChainError> {
    let Block { header, body } = block;
    let spec_id = rules.spec_id(spec, header);
    let calculated = proofs::calculate_ommers_root(&body.ommers);
    if calculated != header.ommers_hash {
        let header = header.ommers_hash;
        return Err(ReplayError::UncleHashMismatch { header, calculated }.into());
    }
    let calculated = transactions_root(&body.transactions);
    if calculated != header.transactions_root {
        let header = header.transactions_root;
        return Err(BlockError::TransactionRootMismatch { header, calculated }.into());
    }
    verify_withdrawals(block)?;
    verify_blobs(spec_id, block)?;
    let size = block.length();
    if spec_id.is_enabled_in(SpecId::OSAKA) && size > MAX_BLOCK_RLP_BYTES {
        return Err(BlockError::RlpTooLarge { size, max: MAX_BLOCK_RLP_BYTES }.into());
    }
    Ok(())
}

/// The header's fields were checked before, so they say which fork this is.
fn verify_withdrawals(block: &Block) -> Result<(), ReplayError> {
    match (block.header.withdrawals_root, &block.body.withdrawals) {
        (Some(header), Some(withdrawals)) => {
            let calculated = proofs::calculate_withdrawals_root(withdrawals);
            if header != calculated {
                return Err(ReplayError::WithdrawalsRootMismatch { header, calculated });
            }
            Ok(())
        }
        (None, None) => Ok(()),
        (Some(_), None) => {
            Err(ReplayError::WithdrawalsPresence { is: "absent", expected: "present" })
        }
        (None, Some(_)) => {
            Err(ReplayError::WithdrawalsPresence { is: "present", expected: "absent" })
        }
    }
}

fn verify_blobs(spec_id: SpecId, block: &Block) -> Result<(), ReplayError> {
    let mut blobs: u64 = 0;
    for (index, transaction) in block.body.transactions.iter().enumerate() {
        if let EthereumTxEnvelope::Eip4844(signed) = transaction
            && matches!(signed.tx(), TxEip4844Variant::TxEip4844WithSidecar(_))
        {
            return Err(ReplayError::BlobSidecar { index });
        }
        let hashes = transaction.blob_versioned_hashes().unwrap_or_default().len();
        blobs = blobs.saturating_add(hashes as u64);
    }
    let header = block.header.blob_gas_used.unwrap_or_default();
    let calculated = blobs.saturating_mul(DATA_GAS_PER_BLOB);
    if spec_id.is_enabled_in(SpecId::CANCUN) && header != calculated {
        return Err(ReplayError::BlobGasUsedMismatch { header, calculated });
    }
    Ok(())
}
