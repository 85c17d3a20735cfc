//! Transactions from clients: signed by them, or by an account of a development chain.

use std::sync::Arc;

use alloy_consensus::{Signed, Transaction as _, TxEip4844, TxEip4844Variant, TxEnvelope};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{Address, B256, Bytes};
use chain::block::Transaction;
use node::{SignerKey, error::SubmitError};
use serde_json::Value;

use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    error::{RpcError, RpcResult},
    eth::{
        estimate, fill,
        request::{BlockOverride, CallObject, Overrides},
        transaction::render_waiting,
    },
    limits,
    param::Args,
    render::{address, data},
    voice::Voice,
};

/// Wei of an ether.
const ETHER: u128 = 1_000_000_000_000_000_000;

/// What becomes of type 3, here as in pool and block.
const BLOBS_REFUSED: &str =
    "transaction type not supported: blob transactions (type 3) are not accepted on this network";

/// `eth_sendRawTransaction`.
pub async fn send_raw(context: Arc<Context>, args: Args) -> RpcResult {
    let (raw,): (Bytes,) = args.read()?;
    submit(&context, decode(&raw, context.voice())?).await.map(data)
}

/// `eth_sendRawTransaction` many times over, from the raw `params` of each call: they enter the pool as one batch, in
/// their order, and each is answered as if it came alone.
pub async fn send_raw_many(context: &Context, calls: &[Option<&str>]) -> Vec<RpcResult> {
    let read = |params: &Option<&str>| -> Result<Transaction, RpcError> {
        let (raw,): (Bytes,) = Args::parse(*params)?.read()?;
        let transaction = decode(&raw, context.voice())?;
        validate(context, &transaction)?;
        Ok(transaction)
    };
    let mut transactions = Vec::with_capacity(calls.len());
    let mut answers = Vec::with_capacity(calls.len());
    for call in calls {
        answers.push(match read(call) {
            Ok(transaction) => {
                transactions.push(transaction);
                Ok(Value::Null)
            }
            Err(error) => Err(error),
        });
    }
    let mut verdicts = context.node.submit_many(transactions).await.into_iter();
    for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
        let verdict = verdicts.next().unwrap_or(Err(SubmitError::Stopped));
        *answer = verdict.map(data).map_err(RpcError::from);
    }
    answers
}

/// Reads exactly one EIP-2718 envelope.
///
/// # Errors
/// -32000 with what is wrong, in geth's words.
pub fn decode(raw: &[u8], voice: Voice) -> Result<Transaction, RpcError> {
    let server = |text: &str| RpcError::Server(text.to_owned());
    let takes_blobs = voice.is_standard();
    if raw.len() > limits::RAW_TRANSACTION_BYTES && !takes_blobs {
        let (size, limit) = (raw.len(), limits::RAW_TRANSACTION_BYTES);
        return Err(server(&format!("oversized data: transaction size {size}, limit {limit}")));
    }
    match raw {
        [] | [_] => return Err(server("typed transaction too short")),
        [0x03, ..] if !takes_blobs => return Err(server(BLOBS_REFUSED)),
        [0x05..=0x7f, ..] => return Err(server("transaction type not supported")),
        _ => {}
    }
    let mut rest = raw;
    let transaction = TxEnvelope::decode_2718(&mut rest).map_err(|_| server(rlp_flaw(raw)))?;
    if rest.is_empty() {
        Ok(without_sidecar(transaction))
    } else {
        Err(server("rlp: input contains more than one value"))
    }
}

/// Blobs travel beside their transaction; here they are neither checked nor kept.
fn without_sidecar(transaction: Transaction) -> Transaction {
    let TxEnvelope::Eip4844(signed) = transaction else { return transaction };
    let (variant, signature, hash) = signed.into_parts();
    let plain = TxEip4844Variant::TxEip4844(TxEip4844::from(variant));
    TxEnvelope::Eip4844(Signed::new_unchecked(plain, signature, hash))
}

/// What is wrong with the RLP of a transaction that alloy refused, in geth's words.
fn rlp_flaw(raw: &[u8]) -> &'static str {
    let mut list = if raw[0] < 0xc0 { &raw[1..] } else { raw };
    match alloy_rlp::Header::decode(&mut list) {
        Err(alloy_rlp::Error::InputTooShort) => "rlp: value size exceeds available input length",
        Ok(header) if !header.list => "rlp: expected list",
        _ => "rlp: too few elements",
    }
}

/// Brings a signed transaction to the node; its hash.
///
/// # Errors
/// What this listener or the pool refuses.
pub async fn submit(context: &Context, transaction: Transaction) -> Result<B256, RpcError> {
    validate(context, &transaction)?;
    Ok(context.node.submit(transaction).await?)
}

/// Refuses a transaction whose gas would cost more than the cap.
///
/// # Errors
/// -32000 with both numbers.
pub fn check_fee(context: &Context, transaction: &Transaction) -> Result<(), RpcError> {
    let fee = transaction.max_fee_per_gas().saturating_mul(transaction.gas_limit().into());
    let cap = context.limits.tx_fee;
    if fee > cap {
        let ether = |wei: u128| format!("{}.{:02} ether", wei / ETHER, wei % ETHER * 100 / ETHER);
        let text = format!("tx fee ({}) exceeds the configured cap ({})", ether(fee), ether(cap));
        return Err(RpcError::Server(text));
    }
    Ok(())
}

/// What this listener refuses although the pool would take it.
fn validate(context: &Context, transaction: &Transaction) -> Result<(), RpcError> {
    check_fee(context, transaction)?;
    match transaction.chain_id() {
        None if context.limits.takes_unprotected => Ok(()),
        None => {
            let text = "only replay-protected (EIP-155) transactions allowed over RPC";
            Err(RpcError::Server(text.to_owned()))
        }
        Some(id) if id != context.spec().chain_id => {
            Err(RpcError::Server("invalid sender".to_owned()))
        }
        Some(_) => Ok(()),
    }
}

/// `eth_accounts`: those of a development chain, else none.
pub fn accounts(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(context.accounts.iter().copied().map(address).collect())
}

/// `eth_sign`: EIP-191 personal message.
pub fn sign(context: &Context, args: &Args) -> RpcResult {
    let (account, message): (Address, Bytes) = args.read()?;
    let signature = key(context, account)?.sign_message(&message);
    signature.map(data).map_err(|error| RpcError::Internal(error.to_string()))
}

/// A key of this listener.
///
/// # Errors
/// -32000 without it.
pub fn key(context: &Context, account: Address) -> Result<&SignerKey, RpcError> {
    context.keys.get(&account).ok_or_else(|| RpcError::Server("unknown account".to_owned()))
}

/// `eth_sendTransaction`: fills in what is absent, signs, submits.
pub async fn send(context: Arc<Context>, args: Args) -> RpcResult {
    let (call,): (CallObject,) = args.read()?;
    let from = call.from.unwrap_or_default();
    key(&context, from)?;
    // One at a time, so that two calls without nonce do not take the same one.
    let _turn = context.sending.lock().await;
    let gas = match call.gas {
        Some(gas) => gas,
        None => estimate_on_work_thread(&context, &call).await?,
    };
    let transaction = fill::signed(&context, from, fill::complete(&context, &call, gas)?)?;
    submit(&context, transaction).await.map(data)
}

async fn estimate_on_work_thread(
    context: &Arc<Context>,
    call: &CallObject,
) -> Result<u64, RpcError> {
    let (run, call) = (Arc::clone(context), call.clone());
    let estimate = move || {
        let block = BlockId::Number(BlockNumber::Pending);
        let (state, header) = (Overrides::default(), BlockOverride::default());
        estimate::estimate(&run, &call, block, &state, &header).map(Value::from)
    };
    let gas = context.work.run(estimate).await?;
    gas.as_u64().ok_or_else(|| RpcError::Internal("an estimate is a number".to_owned()))
}

/// `eth_pendingTransactions`: those that wait and whose senders' keys are here.
pub fn pending(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let (pending, _) = context.node.pool_content();
    let own = pending.iter().filter(|pooled| context.keys.contains_key(&pooled.sender));
    Ok(own.map(|pooled| render_waiting(&pooled.transaction, pooled.sender)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undecodable_transactions_say_why() {
        for (raw, text) in [
            (&[][..], "typed transaction too short"),
            (&[0x02], "typed transaction too short"),
            (&[0x03, 0xc0], BLOBS_REFUSED),
            (&[0x7f, 0xc0], "transaction type not supported"),
            (&[0xc1, 0x01], "rlp: too few elements"),
            (&[0x02, 0x01], "rlp: expected list"),
            (&[0xc9, 0x01], "rlp: value size exceeds available input length"),
        ] {
            let error = decode(raw, Voice::Geth).expect_err("no transaction");
            assert_eq!((error.code(), error.to_string().as_str()), (-32000, text), "{raw:x?}");
        }
    }
}
