//! One transaction by itself: may it stand in a block of some fork, whoever sends it?
//!
//! The rules of `TransactionTests`: strict RLP, types by fork, chain id, signature, limits of numbers, intrinsic gas.

use alloy_consensus::{
    EthereumTxEnvelope, Transaction as _, Typed2718 as _,
    crypto::secp256k1::{recover_signer, recover_signer_unchecked},
};
use alloy_eips::{
    eip2718::Decodable2718 as _,
    eip4844::{MAX_BLOBS_PER_BLOCK_DENCUN, VERSIONED_HASH_VERSION_KZG},
    eip7594::MAX_BLOBS_PER_TX_FUSAKA,
    eip7691::MAX_BLOBS_PER_BLOCK_ELECTRA,
};
use alloy_primitives::{Address, B256, U256, keccak256};
use revm::{handler::validation::validate_initial_tx_gas, primitives::hardfork::SpecId};

use super::wide_price::WidePrice;
use crate::{block::Transaction, executor::env};

/// Longest init code from Shanghai on, bytes (EIP-3860).
const MAX_INIT_CODE_BYTES: usize = 49_152;
/// Most gas of a transaction from Osaka on (EIP-7825).
const MAX_GAS: u64 = 1 << 24;

/// What a valid transaction says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedTransaction {
    /// keccak256 of its bytes.
    pub hash: B256,
    /// Who signed it.
    pub sender: Address,
    /// Gas it costs before it does anything.
    pub intrinsic_gas: u64,
}

/// Checks a transaction in the form that travels, `type ‖ RLP` or plain RLP, under the rules of a fork.
///
/// # Errors
/// A sentence about the first rule that broke.
pub fn check_transaction(
    spec_id: SpecId,
    chain_id: u64,
    bytes: &[u8],
) -> Result<CheckedTransaction, String> {
    let mut rest = bytes;
    let (transaction, signing_hash) = match Transaction::decode_2718(&mut rest) {
        Ok(_) if !rest.is_empty() => {
            return Err(format!("{} bytes after the transaction", rest.len()));
        }
        Ok(transaction) => {
            let signing_hash = transaction.signature_hash();
            (transaction, signing_hash)
        }
        Err(error) => {
            let wide = WidePrice::decode(bytes).ok_or_else(|| format!("cannot decode: {error}"))?;
            check_wide_price(&wide)?;
            (wide.transaction, wide.signing_hash)
        }
    };
    check_type(spec_id, chain_id, &transaction)?;
    let recover = if spec_id.is_enabled_in(SpecId::HOMESTEAD) {
        recover_signer
    } else {
        recover_signer_unchecked
    };
    let sender = recover(transaction.signature(), signing_hash)
        .map_err(|_| "invalid signature".to_owned())?;
    check_numbers(spec_id, &transaction)?;
    check_lists(spec_id, &transaction)?;
    let tx = env::tx_env(&transaction, sender);
    let gas = validate_initial_tx_gas(&tx, spec_id, false, false, u64::MAX, None)
        .map_err(|error| error.to_string())?;
    let intrinsic_gas = gas.initial_total_gas();
    Ok(CheckedTransaction { hash: keccak256(bytes), sender, intrinsic_gas })
}

fn check_type(spec_id: SpecId, chain_id: u64, transaction: &Transaction) -> Result<(), String> {
    let since = match transaction {
        EthereumTxEnvelope::Legacy(_) if transaction.chain_id().is_some() => {
            SpecId::SPURIOUS_DRAGON
        }
        EthereumTxEnvelope::Legacy(_) => SpecId::FRONTIER,
        EthereumTxEnvelope::Eip2930(_) => SpecId::BERLIN,
        EthereumTxEnvelope::Eip1559(_) => SpecId::LONDON,
        EthereumTxEnvelope::Eip4844(_) => SpecId::CANCUN,
        EthereumTxEnvelope::Eip7702(_) => SpecId::PRAGUE,
    };
    if !spec_id.is_enabled_in(since) {
        return Err(format!("transaction type {} is not supported", transaction.ty()));
    }
    match transaction.chain_id() {
        Some(have) if have != chain_id => {
            Err(format!("invalid chain id: have {have}, want {chain_id}"))
        }
        _ => Ok(()),
    }
}

fn check_wide_price(wide: &WidePrice) -> Result<(), String> {
    let price = wide.max_fee_per_gas;
    if wide.max_priority_fee_per_gas.is_some_and(|tip| tip > price) {
        return Err("max priority fee per gas higher than max fee per gas".to_owned());
    }
    let gas = U256::from(wide.transaction.gas_limit());
    match price.checked_mul(gas) {
        Some(_) => Ok(()),
        None => Err(format!("gas limit {gas} times price {price} exceeds 256 bits")),
    }
}

fn check_numbers(spec_id: SpecId, transaction: &Transaction) -> Result<(), String> {
    if transaction.nonce() == u64::MAX {
        return Err("nonce has max value".to_owned());
    }
    let gas = transaction.gas_limit();
    if spec_id.is_enabled_in(SpecId::OSAKA) && gas > MAX_GAS {
        return Err(format!("transaction gas limit too high (cap: {MAX_GAS}, tx: {gas})"));
    }
    let price = transaction.max_fee_per_gas();
    if transaction.max_priority_fee_per_gas().is_some_and(|tip| tip > price) {
        return Err("max priority fee per gas higher than max fee per gas".to_owned());
    }
    Ok(())
}

fn check_lists(spec_id: SpecId, transaction: &Transaction) -> Result<(), String> {
    let init_code_bytes = transaction.input().len();
    if spec_id.is_enabled_in(SpecId::SHANGHAI)
        && transaction.kind().is_create()
        && init_code_bytes > MAX_INIT_CODE_BYTES
    {
        return Err(format!("max initcode size exceeded: code size {init_code_bytes} limit 49152"));
    }
    if transaction.authorization_list().is_some_and(<[_]>::is_empty) {
        return Err("transaction with empty auth list".to_owned());
    }
    let Some(hashes) = transaction.blob_versioned_hashes() else { return Ok(()) };
    let most = if spec_id.is_enabled_in(SpecId::OSAKA) {
        MAX_BLOBS_PER_TX_FUSAKA
    } else if spec_id.is_enabled_in(SpecId::PRAGUE) {
        MAX_BLOBS_PER_BLOCK_ELECTRA
    } else {
        MAX_BLOBS_PER_BLOCK_DENCUN as u64
    };
    if hashes.is_empty() {
        return Err("blob transaction missing blob hashes".to_owned());
    }
    if hashes.len() as u64 > most {
        return Err(format!("blob transaction has too many blobs ({}, max {most})", hashes.len()));
    }
    match hashes.iter().position(|hash| hash[0] != VERSIONED_HASH_VERSION_KZG) {
        Some(index) => Err(format!("blob {index} hash version mismatch")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn foreign_bytes_are_refused_without_panic(
            bytes in any::<Vec<u8>>(),
            kind in proptest::option::of(0_u8..6),
        ) {
            let bytes: Vec<u8> = kind.into_iter().chain(bytes).collect();
            prop_assert!(check_transaction(SpecId::OSAKA, 1, &bytes).is_err());
        }
    }
}
