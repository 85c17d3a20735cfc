//! Transactions that are not signed yet: `eth_fillTransaction`, `eth_signTransaction`, and the choice of type and fees
//! that `eth_sendTransaction` shares with them.

use alloy_consensus::{
    SignableTransaction as _, Transaction as _, TxEip1559, TxEip2930, TxLegacy, TypedTransaction,
};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, keccak256};
use chain::block::Transaction;
use serde_json::{Value, json};

use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    error::{RpcError, RpcResult},
    eth::{
        estimate, fee,
        request::{BlockOverride, CallObject, Overrides},
        submit,
        transaction::render_common,
    },
    param::Args,
    render::{data, quantity},
    simulate::calls::legacy_with_zeros,
};

/// The transaction that a call describes, with what is absent filled in.
///
/// # Errors
/// -32000 for another chain's id; what reading the chain may fail with.
pub fn complete(
    context: &Context,
    call: &CallObject,
    gas_limit: u64,
) -> Result<TypedTransaction, RpcError> {
    let chain_id = context.spec().chain_id;
    if let Some(have) = call.chain_id.filter(|id| *id != chain_id) {
        let text = format!("chainId does not match node's (have={have}, want={chain_id})");
        return Err(RpcError::Server(text));
    }
    let (from, head) = (call.from.unwrap_or_default(), context.chain().head());
    let account = context.chain().head_state().account(from)?;
    let state_nonce = account.map_or(0, |account| account.nonce);
    let nonce = call.nonce.unwrap_or_else(|| context.node.pending_nonce(from, state_nonce));
    let to = call.to.map_or(TxKind::Create, TxKind::Call);
    let (value, input) = (call.value.unwrap_or(U256::ZERO), call.data.clone());
    let is_london = context.spec().is_london(head.number() + 1);
    let price = || call.gas_price.map_or_else(|| fee::suggest_gas_price(context), Ok);
    Ok(match (call.gas_price, call.access_list.clone()) {
        (None, access_list) if is_london => {
            let tip = match call.max_priority_fee_per_gas {
                Some(tip) => tip,
                None => fee::suggest_tip(context)?.min(call.max_fee_per_gas.unwrap_or(u128::MAX)),
            };
            let base_fee = u128::from(fee::next_base_fee_of(context, &head));
            let cap = call.max_fee_per_gas.unwrap_or(tip.saturating_add(base_fee * 2));
            TypedTransaction::Eip1559(TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: cap,
                max_priority_fee_per_gas: tip,
                to,
                value,
                access_list: access_list.unwrap_or_default(),
                input,
            })
        }
        (_, Some(access_list)) => {
            let gas_price = price()?;
            TypedTransaction::Eip2930(TxEip2930 {
                chain_id,
                nonce,
                gas_price,
                gas_limit,
                to,
                value,
                access_list,
                input,
            })
        }
        (_, None) => {
            let (gas_price, chain_id) = (price()?, Some(chain_id));
            TypedTransaction::Legacy(TxLegacy {
                chain_id,
                nonce,
                gas_price,
                gas_limit,
                to,
                value,
                input,
            })
        }
    })
}

/// Signs with a key of this listener.
///
/// # Errors
/// -32000 `unknown account` without the key.
pub fn signed(
    context: &Context,
    from: Address,
    transaction: TypedTransaction,
) -> Result<Transaction, RpcError> {
    let signature = submit::key(context, from)?
        .sign(transaction.signature_hash())
        .map_err(|error| RpcError::Internal(error.to_string()))?;
    let (r, s) = (U256::from_be_slice(&signature[..32]), U256::from_be_slice(&signature[32..64]));
    Ok(transaction.into_envelope(Signature::new(r, s, signature[64] == 1)))
}

/// `eth_fillTransaction`: what a wallet would sign, with a signature of zeros.
pub fn fill(context: &Context, args: &Args) -> RpcResult {
    let (call,): (CallObject,) = args.read()?;
    if call.to.is_none() && call.data.is_empty() {
        let text = "contract creation without any data provided";
        return Err(RpcError::Server(text.to_owned()));
    }
    check_caps(&call)?;
    let gas = match call.gas {
        Some(gas) => gas,
        None => {
            let block = BlockId::Number(BlockNumber::Pending);
            let (state, header) = (Overrides::default(), BlockOverride::default());
            estimate::estimate(context, &call, block, &state, &header)?
        }
    };
    let transaction = complete(context, &call, gas)?;
    let unsigned = Signature::new(U256::ZERO, U256::ZERO, false);
    let envelope = transaction.clone().into_envelope(unsigned);
    let raw = match &transaction {
        TypedTransaction::Legacy(legacy) => legacy_with_zeros(legacy),
        _ => Bytes::from(envelope.encoded_2718()),
    };
    let tx = described(&envelope, call.from.unwrap_or_default(), &raw);
    Ok(json!({"raw": data(&raw), "tx": tx}))
}

/// A tip above the cap helps nobody.
fn check_caps(call: &CallObject) -> Result<(), RpcError> {
    match (call.max_fee_per_gas, call.max_priority_fee_per_gas) {
        (Some(cap), Some(tip)) if cap < tip => {
            let text = format!("maxFeePerGas ({cap:#x}) < maxPriorityFeePerGas ({tip:#x})");
            Err(RpcError::Server(text))
        }
        _ => Ok(()),
    }
}

/// The transaction without sender and place; prices that its type lacks are `null`.
fn described(transaction: &Transaction, from: Address, raw: &[u8]) -> Value {
    let mut tx = render_common(transaction, from);
    tx.remove("from");
    tx.insert("hash".to_owned(), data(keccak256(raw)));
    if transaction.is_dynamic_fee() {
        tx.insert("gasPrice".to_owned(), Value::Null);
    } else {
        let price = transaction.gas_price().unwrap_or_default();
        tx.insert("gasPrice".to_owned(), quantity(price));
        tx.insert("maxFeePerGas".to_owned(), Value::Null);
        tx.insert("maxPriorityFeePerGas".to_owned(), Value::Null);
    }
    if transaction.signature().r().is_zero() {
        tx.insert("v".to_owned(), quantity(0_u64));
        if transaction.is_legacy() {
            tx.remove("chainId");
        }
    }
    Value::Object(tx)
}

/// `eth_signTransaction`: the caller names everything, this node only signs.
pub fn sign(context: &Context, args: &Args) -> RpcResult {
    let (call,): (CallObject,) = args.read()?;
    let lacks = |text: &str| Err(RpcError::Server(text.to_owned()));
    let Some(gas) = call.gas else { return lacks("gas not specified") };
    let has_caps = call.max_fee_per_gas.is_some() && call.max_priority_fee_per_gas.is_some();
    if call.gas_price.is_none() && !has_caps {
        return lacks("missing gasPrice or maxFeePerGas/maxPriorityFeePerGas");
    }
    if call.nonce.is_none() {
        return lacks("nonce not specified");
    }
    let from = call.from.unwrap_or_default();
    submit::key(context, from)?;
    let transaction = signed(context, from, complete(context, &call, gas)?)?;
    submit::check_fee(context, &transaction)?;
    let raw = transaction.encoded_2718();
    Ok(json!({"raw": data(&raw), "tx": described(&transaction, from, &raw)}))
}
