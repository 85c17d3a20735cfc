//! `eth_subscribe` over WebSocket: heads, logs, pending transactions.
//!
//! Each subscription is a task on the node's broadcast of events. It sends with back-pressure and
//! never holds the chain up: a reader that falls 256 heads behind, or takes no message for ten
//! seconds, loses its subscription.

use std::{sync::Arc, time::Duration};

use chain::blockchain::HeadChange;
use jsonrpsee::{
    PendingSubscriptionSink, RpcModule, SubscriptionSink, core::RegisterMethodError,
    types::ErrorObjectOwned,
};
use node::events::{ChainEvent, PendingTransactions};
use serde_json::{Value, value::to_raw_value};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    context::Context,
    error::RpcError,
    eth::{
        block::render_header,
        log::{self, Criteria, LogFilter},
        transaction::render_waiting,
    },
    param::{Args, Param as _},
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
}

impl Kind {
    fn read(args: &Args) -> Result<Self, RpcError> {
        let (name, option): (String, Option<Value>) = args.read()?;
        match name.as_str() {
            "newHeads" => Ok(Self::NewHeads),
            "logs" => {
                let filter =
                    LogFilter::from_json(&option.unwrap_or_default()).map_err(
                        |flaw| match flaw {
                            crate::param::Flaw::Form(text) => RpcError::argument(1, text),
                            crate::param::Flaw::Whole(error) => error,
                        },
                    )?;
                Ok(Self::Logs(filter.criteria))
            }
            "newPendingTransactions" => match option {
                None => Ok(Self::Pending { is_full: false }),
                Some(Value::Bool(is_full)) => Ok(Self::Pending { is_full }),
                Some(_) => Err(RpcError::argument(1, "non-boolean")),
            },
            _ => {
                let name: String = name.chars().take(64).flat_map(char::escape_default).collect();
                Err(RpcError::Params(format!("no \"{name}\" subscription in eth namespace")))
            }
        }
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
        |params, pending, context: Arc<Context>, _| async move {
            let kind = Args::parse(params.as_str()).and_then(|args| Kind::read(&args));
            match kind {
                Ok(kind) => run(kind, pending, &context).await,
                Err(error) => pending.reject(ErrorObjectOwned::from(error)).await,
            }
        },
    )?;
    Ok(())
}

async fn run(kind: Kind, pending: PendingSubscriptionSink, context: &Context) {
    // Subscribe before the answer goes out, so that nothing after it is missed.
    match kind {
        Kind::NewHeads => {
            let events = context.node.subscribe();
            let render = |change: &HeadChange| {
                change.added.iter().map(|block| Value::Object(render_header(block))).collect()
            };
            follow_heads(pending, events, render).await;
        }
        Kind::Logs(criteria) => {
            let events = context.node.subscribe();
            follow_heads(pending, events, |change| logs_of(change, &criteria)).await;
        }
        Kind::Pending { is_full } => {
            let events = context.node.subscribe_pending();
            follow_pending(pending, events, is_full).await;
        }
    }
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
) {
    let Ok(sink) = pending.accept().await else { return };
    while let Some(event) = next(&sink, &mut events).await {
        let ChainEvent::NewHead(change) = event else { continue };
        for value in render(&change) {
            if !send(&sink, &value).await {
                return;
            }
        }
    }
}

async fn follow_pending(
    pending: PendingSubscriptionSink,
    mut events: Receiver<PendingTransactions>,
    is_full: bool,
) {
    let Ok(sink) = pending.accept().await else { return };
    while let Some(PendingTransactions(batch)) = next(&sink, &mut events).await {
        for pooled in batch.iter() {
            let value = match is_full {
                true => render_waiting(&pooled.transaction, pooled.sender),
                false => data(pooled.hash()),
            };
            if !send(&sink, &value).await {
                return;
            }
        }
    }
}

/// The next event; `None` when the reader left, fell too far behind, or the node ends.
async fn next<T: Clone>(sink: &SubscriptionSink, events: &mut Receiver<T>) -> Option<T> {
    let received = tokio::select! {
        received = events.recv() => received,
        () = sink.closed() => return None,
    };
    match received {
        Ok(event) => Some(event),
        Err(RecvError::Lagged(missed)) => {
            tracing::debug!(missed, "a subscriber fell behind and loses its subscription");
            None
        }
        Err(RecvError::Closed) => None,
    }
}

async fn send(sink: &SubscriptionSink, value: &Value) -> bool {
    let message = to_raw_value(value).expect("a JSON value can be written");
    sink.send_timeout(message, SEND_TIME).await.is_ok()
}
