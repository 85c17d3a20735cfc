//! `eth_sendRawTransactionSync` (EIP-7966): a submission that waits for its receipt.

use std::{sync::Arc, time::Duration};

use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, Bytes};
use serde_json::Value;

use crate::{
    context::Context,
    error::{RpcError, RpcResult},
    eth::{submit, transaction::render_receipt},
    param::{Args, Flaw, Param},
    render::data,
};

/// How long a call waits that does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(20);
/// How long a call may wait.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Code of a transaction that is still in the pool.
const STILL_WAITING: i32 = 4;
/// Code of a transaction that another one must precede.
const NONCE_GAP: i32 = 5;

/// Milliseconds: a JSON integer or a quantity.
#[derive(Debug, Clone, Copy)]
struct Wait(Duration);

impl Param for Wait {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let millis = match value {
            Value::Number(number) => number.as_u64().unwrap_or(0),
            other => u64::from_json(other)?,
        };
        Ok(Self(match millis {
            0 => DEFAULT_WAIT,
            _ => Duration::from_millis(millis).min(MAX_WAIT),
        }))
    }
}

/// `eth_sendRawTransactionSync`.
pub async fn send_raw(context: Arc<Context>, args: Args) -> RpcResult {
    let (raw, wait): (Bytes, Option<Wait>) = args.read()?;
    let wait = wait.map_or(DEFAULT_WAIT, |wait| wait.0);
    let transaction = submit::decode(&raw, context.voice())?;
    let nonce = transaction.nonce();
    // Before the submission, so that no head is missed.
    let mut heads = context.node.subscribe();
    let hash = submit::submit(&context, transaction).await?;
    let waiting = async {
        loop {
            if let Some(receipt) = receipt(&context, hash)? {
                return Ok::<_, RpcError>(receipt);
            }
            if let Some(next) = gap(&context, hash, nonce)? {
                let message = format!("the transaction is waiting for nonce {next}");
                return Err(RpcError::Coded { code: NONCE_GAP, message, data: Some(data(hash)) });
            }
            // A listener that fell behind looks at the head too.
            if let Err(tokio::sync::broadcast::error::RecvError::Closed) = heads.recv().await {
                return Err(RpcError::Internal("the node has stopped".to_owned()));
            }
        }
    };
    match tokio::time::timeout(wait, waiting).await {
        Ok(answer) => answer,
        Err(_) => Err(RpcError::Coded {
            code: STILL_WAITING,
            message: format!(
                "the transaction was added to the pool but not processed in {}",
                words(wait)
            ),
            data: Some(data(hash)),
        }),
    }
}

fn receipt(context: &Context, hash: B256) -> Result<Option<Value>, RpcError> {
    let found = context.chain().transaction(hash)?;
    Ok(found.map(|(block, index)| render_receipt(&block, index, context)))
}

/// The nonce that is missing before this waiting transaction.
fn gap(context: &Context, hash: B256, nonce: u64) -> Result<Option<u64>, RpcError> {
    let Some(pooled) = context.node.pool_transaction(&hash) else { return Ok(None) };
    let account = context.chain().head_state().account(pooled.sender)?;
    let next =
        context.node.pending_nonce(pooled.sender, account.map_or(0, |account| account.nonce));
    Ok((next < nonce).then_some(next))
}

/// `20s`, `1.5s`, `250ms`.
fn words(wait: Duration) -> String {
    match wait.as_millis() {
        millis if millis < 1_000 => format!("{millis}ms"),
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        _ => format!("{}s", wait.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn waits_are_bounded() {
        for (value, expected) in
            [(json!(0), 20_000), (json!(250), 250), (json!("0x64"), 100), (json!(900_000), 60_000)]
        {
            let Wait(wait) = Wait::from_json(&value).expect("a wait");
            assert_eq!(wait.as_millis(), expected, "{value}");
        }
        assert_eq!(words(DEFAULT_WAIT), "20s");
        assert_eq!(words(Duration::from_millis(1_500)), "1.5s");
        assert_eq!(words(Duration::from_millis(250)), "250ms");
    }
}
