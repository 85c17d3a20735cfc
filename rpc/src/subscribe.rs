//! `eth_subscribe` over WebSocket and IPC: heads, logs, pending transactions, receipts, syncing.
//!
//! Each subscription is a task on the node's broadcast of events. It sends with back-pressure and
//! never holds the chain up: a reader that falls 256 heads behind, or takes no message for ten
//! seconds, loses its connection, so that it knows.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use alloy_primitives::B256;

use chain::blockchain::HeadChange;
use jsonrpsee::{
    PendingSubscriptionSink, RpcModule, SubscriptionSink, core::RegisterMethodError,
    types::ErrorObjectOwned,
};
use node::events::{ChainEvent, PendingTransactions};
use serde_json::{Value, value::to_raw_value};
use tokio::sync::{
    Notify,
    broadcast::{Receiver, error::RecvError},
};

use crate::{
    context::Context,
    error::RpcError,
    eth::{
        block::render_header,
        log::{self, Criteria, LogFilter},
        transaction::{hash_at, render_receipt, render_waiting},
    },
    limits, net,
    param::{Args, Flaw, Param as _},
    render::data,
};

/// Longest wait for a reader that does not take its messages.
const SEND_TIME: Duration = Duration::from_secs(10);

/// What a subscriber asked for.
#[derive(Debug, Clone)]
enum Kind {
    /// A header for each block that joins the chain, ascending.
    NewHeads,
    /// Wanted logs; those of blocks that left the chain first, as removed.
    Logs(Criteria),
    /// Hashes of executable transactions, or the whole.
    Pending { is_full: bool },
    /// A list of the receipts of these transactions for each block that has some; none named are all.
    Receipts(BTreeSet<B256>),
    /// Whether the node catches up, and how far it is.
    Syncing,
}

impl Kind {
    fn read(args: &Args) -> Result<Self, RpcError> {
        let (name, option): (String, Option<Value>) = args.read()?;
        match name.as_str() {
            "newHeads" => Ok(Self::NewHeads),
            "logs" => {
                let filter = LogFilter::from_json(&option.unwrap_or_default()).map_err(second)?;
                Ok(Self::Logs(filter.criteria))
            }
            "newPendingTransactions" => match option {
                None => Ok(Self::Pending { is_full: false }),
                Some(Value::Bool(is_full)) => Ok(Self::Pending { is_full }),
                Some(_) => Err(RpcError::argument(1, "non-boolean")),
            },
            "transactionReceipts" => transactions(&option.unwrap_or_default()).map(Self::Receipts),
            "syncing" => Ok(Self::Syncing),
            _ => {
                let name: String = name.chars().take(64).flat_map(char::escape_default).collect();
                Err(RpcError::Params(format!("no \"{name}\" subscription in eth namespace")))
            }
        }
    }
}

/// What is wrong with the second parameter.
fn second(flaw: Flaw) -> RpcError {
    match flaw {
        Flaw::Form(text) => RpcError::argument(1, text),
        Flaw::Whole(error) => error,
    }
}

/// The member `transactionHashes` of the options, if there is one.
fn transactions(options: &Value) -> Result<BTreeSet<B256>, RpcError> {
    match options.get("transactionHashes") {
        None | Some(Value::Null) => Ok(BTreeSet::new()),
        Some(Value::Array(list)) if list.len() > limits::RECEIPTS_SUBSCRIBED => {
            let most = limits::RECEIPTS_SUBSCRIBED;
            Err(RpcError::Limit(format!("too many transaction hashes: {most} at most")))
        }
        Some(Value::Array(list)) => {
            list.iter().map(|hash| B256::from_json(hash).map_err(second)).collect()
        }
        Some(_) => Err(RpcError::argument(1, "non-array")),
    }
}

/// Adds `eth_subscribe` and `eth_unsubscribe`.
///
/// # Errors
/// If one of the names is taken.
pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, context: Arc<Context>, held| async move {
            let kind = Args::parse(params.as_str()).and_then(|args| Kind::read(&args));
            match kind {
                Ok(kind) => {
                    let is_lost = run(kind, pending, &context).await;
                    if is_lost && let Some(hangup) = held.get::<Arc<Notify>>() {
                        hangup.notify_one();
                    }
                }
                Err(error) => pending.reject(ErrorObjectOwned::from(error)).await,
            }
        },
    )?;
    Ok(())
}

/// True if the reader was lost on the way, though it had not left.
async fn run(kind: Kind, pending: PendingSubscriptionSink, context: &Context) -> bool {
    // Subscribe before the answer goes out, so that nothing after it is missed.
    match kind {
        Kind::NewHeads => {
            let events = context.node.subscribe();
            let render = |change: &HeadChange| {
                change.added.iter().map(|block| Value::Object(render_header(block))).collect()
            };
            follow_heads(pending, events, render).await
        }
        Kind::Logs(criteria) => {
            let events = context.node.subscribe();
            follow_heads(pending, events, |change| logs_of(change, &criteria)).await
        }
        Kind::Pending { is_full } => {
            let events = context.node.subscribe_pending();
            follow_pending(pending, events, is_full).await
        }
        Kind::Receipts(hashes) => {
            let events = context.node.subscribe();
            follow_heads(pending, events, |change| receipts_of(context, change, &hashes)).await
        }
        Kind::Syncing => {
            let Ok(sink) = pending.accept().await else { return false };
            let is_sent = send(&sink, &net::sync_status()).await;
            if is_sent {
                sink.closed().await;
            }
            !is_sent
        }
    }
}

/// The wanted receipts of each new block that has some.
fn receipts_of(context: &Context, change: &HeadChange, hashes: &BTreeSet<B256>) -> Vec<Value> {
    let of_block = |block: &Arc<chain::blockchain::ExecutedBlock>| {
        let all = 0..block.receipts.len();
        let wanted = all.filter(|i| hashes.is_empty() || hashes.contains(&hash_at(block, *i)));
        wanted.map(|i| render_receipt(block, i, context)).collect::<Vec<_>>()
    };
    let lists = change.added.iter().map(of_block).filter(|list| !list.is_empty());
    lists.map(Value::Array).collect()
}

/// Logs of a head change: what is taken back, newest first, then what is new.
fn logs_of(change: &HeadChange, criteria: &Criteria) -> Vec<Value> {
    let removed =
        change.removed.iter().rev().flat_map(|block| log::render_all(block, criteria, true));
    let added = change.added.iter().flat_map(|block| log::render_all(block, criteria, false));
    removed.chain(added).collect()
}

async fn follow_heads(
    pending: PendingSubscriptionSink,
    mut events: Receiver<ChainEvent>,
    render: impl Fn(&HeadChange) -> Vec<Value>,
) -> bool {
    let Ok(sink) = pending.accept().await else { return false };
    loop {
        let event = match next(&sink, &mut events).await {
            Next::Event(event) => event,
            Next::Behind => return true,
            Next::End => return false,
        };
        let ChainEvent::NewHead(change) = event else { continue };
        for value in render(&change) {
            if !send(&sink, &value).await {
                return !sink.is_closed();
            }
        }
    }
}

async fn follow_pending(
    pending: PendingSubscriptionSink,
    mut events: Receiver<PendingTransactions>,
    is_full: bool,
) -> bool {
    let Ok(sink) = pending.accept().await else { return false };
    loop {
        let batch = match next(&sink, &mut events).await {
            Next::Event(PendingTransactions(batch)) => batch,
            Next::Behind => return true,
            Next::End => return false,
        };
        for pooled in batch.iter() {
            let value = match is_full {
                true => render_waiting(&pooled.transaction, pooled.sender),
                false => data(pooled.hash()),
            };
            if !send(&sink, &value).await {
                return !sink.is_closed();
            }
        }
    }
}

/// What comes next.
enum Next<T> {
    /// This.
    Event(T),
    /// The reader fell too far behind.
    Behind,
    /// The reader left, or the node ends.
    End,
}

async fn next<T: Clone>(sink: &SubscriptionSink, events: &mut Receiver<T>) -> Next<T> {
    let received = tokio::select! {
        received = events.recv() => received,
        () = sink.closed() => return Next::End,
    };
    match received {
        Ok(event) => Next::Event(event),
        Err(RecvError::Lagged(missed)) => {
            tracing::debug!(missed, "a subscriber fell behind and loses its connection");
            Next::Behind
        }
        Err(RecvError::Closed) => Next::End,
    }
}

async fn send(sink: &SubscriptionSink, value: &Value) -> bool {
    let message = to_raw_value(value).expect("a JSON value can be written");
    sink.send_timeout(message, SEND_TIME).await.is_ok()
}
