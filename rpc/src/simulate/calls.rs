//! A call as a transaction that nobody signed.

use alloy_consensus::{
    EthereumTxEnvelope, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip4844Variant, TxLegacy,
};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Bytes, Signature, TxKind, U256, keccak256};
use alloy_rlp::Encodable as _;
use chain::block::Transaction;
use revm::context::result::ExecutionResult;

use crate::{context::Context, error::RpcError, eth::request::CallObject};

/// The transaction and its EIP-2718 bytes. Type 2 unless a price or blobs say otherwise.
///
/// # Errors
/// -32000 for another chain's id.
pub fn transaction(
    context: &Context,
    call: &CallObject,
    nonce: u64,
    gas_limit: u64,
) -> Result<(Transaction, Bytes), RpcError> {
    let chain_id = context.spec().chain_id;
    if let Some(have) = call.chain_id.filter(|have| *have != chain_id) {
        let text = format!("chainId does not match node's (have={have}, want={chain_id})");
        return Err(RpcError::Server(text));
    }
    let unsigned = Signature::new(U256::ZERO, U256::ZERO, false);
    let to = call.to.map_or(TxKind::Create, TxKind::Call);
    let (value, input) = (call.value.unwrap_or_default(), call.data.clone());
    let access_list = call.access_list.clone().unwrap_or_default();
    if let Some(gas_price) = call.gas_price {
        let transaction =
            TxLegacy { chain_id: None, nonce, gas_price, gas_limit, to, value, input };
        let raw = legacy_with_zeros(&transaction);
        let signed = Signed::new_unchecked(transaction, unsigned, keccak256(&raw));
        return Ok((EthereumTxEnvelope::Legacy(signed), raw));
    }
    let max_fee_per_gas = call.max_fee_per_gas.unwrap_or(0);
    let max_priority_fee_per_gas = call.max_priority_fee_per_gas.unwrap_or(0);
    let envelope: Transaction = match (&call.blob_versioned_hashes, call.to) {
        (Some(hashes), Some(to)) => {
            let transaction = TxEip4844 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                blob_versioned_hashes: hashes.clone(),
                max_fee_per_blob_gas: call.max_fee_per_blob_gas.unwrap_or(0),
                input,
            };
            let transaction = TxEip4844Variant::TxEip4844(transaction);
            EthereumTxEnvelope::Eip4844(Signed::new_unhashed(transaction, unsigned))
        }
        _ if !context.spec().is_london(context.chain().head().number() + 1) => {
            let transaction = TxEip2930 {
                chain_id,
                nonce,
                gas_price: 0,
                gas_limit,
                to,
                value,
                access_list,
                input,
            };
            EthereumTxEnvelope::Eip2930(Signed::new_unhashed(transaction, unsigned))
        }
        _ => {
            let transaction = TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                input,
            };
            EthereumTxEnvelope::Eip1559(Signed::new_unhashed(transaction, unsigned))
        }
    };
    let raw = Bytes::from(envelope.encoded_2718());
    Ok((envelope, raw))
}

/// A legacy transaction whose v, r and s are zero: not even 27.
pub fn legacy_with_zeros(legacy: &TxLegacy) -> Bytes {
    let mut payload = Vec::new();
    legacy.nonce.encode(&mut payload);
    legacy.gas_price.encode(&mut payload);
    legacy.gas_limit.encode(&mut payload);
    legacy.to.encode(&mut payload);
    legacy.value.encode(&mut payload);
    legacy.input.encode(&mut payload);
    payload.extend([alloy_rlp::EMPTY_STRING_CODE; 3]);
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out.into()
}

/// Gas that was paid for, and the most that was needed on the way.
pub fn gas_of(result: &ExecutionResult) -> (u64, u64) {
    let gas = result.gas();
    (result.tx_gas_used(), gas.total_gas_spent().max(gas.floor_gas()))
}
