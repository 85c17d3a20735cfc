//! What every call passes: the envelope over HTTP, geth's words over WebSocket, limits over both.
//!
//! Both transports share one jsonrpsee table of methods. An HTTP body is cut into calls here
//! ([`answer`]) and each is handed to its callback; a WebSocket belongs to jsonrpsee, and
//! [`RpcLayer`] stands between its frames and the callbacks. Neighbouring `eth_sendRawTransaction` of a batch travel to
//! the node together; nobody can tell from the answers.

use std::sync::Arc;

use jsonrpsee::{
    ConnectionId, Extensions, MethodCallback, MethodResponse, Methods,
    core::middleware::{Batch, BatchEntry, Notification, RpcServiceT},
    core::server::{BatchResponseBuilder, ResponsePayload},
    types::{Id, Params, Request},
};

use serde_json::value::RawValue;

use crate::{
    context::Context,
    envelope::{Call, Entry, Envelope},
    error::RpcError,
    eth::submit,
    limits,
};

/// The method whose calls travel together.
const SUBMIT: &str = "eth_sendRawTransaction";
/// Room for the longest answer to one of them, its id aside: geth's words and a few numbers.
const SUBMIT_ANSWER_BYTES: usize = 1_024 + limits::ID_BYTES;

/// jsonrpsee's code of an answer that is too large.
const OVERSIZED_RESPONSE: i32 = -32008;
/// jsonrpsee's code of one subscription too many.
const TOO_MANY_SUBSCRIPTIONS: i32 = -32006;

/// Answers a whole HTTP body; `None` if it holds notifications alone.
pub async fn answer(context: &Context, methods: &Methods, body: &[u8]) -> Option<String> {
    match Envelope::parse(body) {
        Err(error) => Some(failure("null", &error)),
        Ok(Envelope::Single(entry)) => answer_entry(methods, &entry).await,
        Ok(Envelope::Batch(entries)) => answer_batch(context, methods, &entries).await,
    }
}

/// Answers in the order of the calls. Once the whole exceeds its limit, the remaining calls are not
/// run.
async fn answer_batch(
    context: &Context,
    methods: &Methods,
    entries: &[Entry<'_>],
) -> Option<String> {
    if entries.len() > limits::BATCH_CALLS {
        let id = entries.first().map_or("null", Entry::id);
        let error = RpcError::InvalidRequest("batch too large");
        return Some(format!("[{}]", failure(id, &error)));
    }
    let mut out = String::from("[");
    let mut rest = entries;
    while let Some((entry, later)) = rest.split_first() {
        let together = leading_submits(rest, out.len());
        if together > 1 {
            let (now, later) = rest.split_at(together);
            answer_submits(context, now, &mut out).await;
            rest = later;
            continue;
        }
        rest = later;
        let answer = if out.len() > limits::ANSWER_BYTES {
            matches!(entry, Entry::Call(_)).then(|| failure(entry.id(), &RpcError::TooLarge))
        } else {
            answer_entry(methods, entry).await
        };
        append(&mut out, answer.as_deref());
    }
    out.push(']');
    (out.len() > 2).then_some(out)
}

/// Adds an answer to a list that begins with `[`.
fn append(out: &mut String, answer: Option<&str>) {
    let Some(answer) = answer else { return };
    if out.len() > 1 {
        out.push(',');
    }
    out.push_str(answer);
}

/// How many calls at the front submit a transaction and have room for their answers.
fn leading_submits(entries: &[Entry<'_>], answer_bytes: usize) -> usize {
    let is_submit =
        |entry: &&Entry<'_>| matches!(entry, Entry::Call(call) if call.method == SUBMIT);
    let room = limits::ANSWER_BYTES.saturating_sub(answer_bytes) / SUBMIT_ANSWER_BYTES;
    entries.iter().take_while(is_submit).count().min(room)
}

async fn answer_submits(context: &Context, entries: &[Entry<'_>], out: &mut String) {
    let calls: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Call(call) => Some(call.params),
            Entry::Notification | Entry::Invalid { .. } => None,
        })
        .collect();
    let answers = submit::send_raw_many(context, &calls).await;
    for (entry, answer) in entries.iter().zip(answers) {
        let answer = match answer {
            Ok(value) => format!(r#"{{"jsonrpc":"2.0","id":{},"result":{value}}}"#, entry.id()),
            Err(error) => {
                error.log_fault();
                failure(entry.id(), &error)
            }
        };
        append(out, Some(&answer));
    }
}

async fn answer_entry(methods: &Methods, entry: &Entry<'_>) -> Option<String> {
    match entry {
        Entry::Notification => None,
        Entry::Invalid { id, error } => Some(failure(id, error)),
        Entry::Call(call) => Some(answer_call(methods, call).await),
    }
}

async fn answer_call(methods: &Methods, call: &Call<'_>) -> String {
    let Some(callback) = methods.method(&call.method) else {
        return failure(call.id, &RpcError::MethodNotFound(call.method.clone()));
    };
    let (id, params) = (Id::Number(0), Params::new(call.params));
    let (limit, extensions) = (limits::ANSWER_BYTES, Extensions::new());
    let response = match callback {
        MethodCallback::Sync(run) => run(id, params, limit, extensions),
        MethodCallback::Async(run) => {
            run(id, params.into_owned(), ConnectionId(0), limit, extensions).await
        }
        MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_) => {
            return failure(call.id, &RpcError::NotificationsNotSupported);
        }
    };
    if response.as_error_code() == Some(OVERSIZED_RESPONSE) {
        return failure(call.id, &RpcError::TooLarge);
    }
    with_id(call.id, response.as_json().get())
}

/// Puts the client's id in the place of ours.
fn with_id(id: &str, json: &str) -> String {
    const OURS: &str = r#"{"jsonrpc":"2.0","id":0,"#;
    let rest = json.strip_prefix(OURS).expect("jsonrpsee writes version and id first");
    format!(r#"{{"jsonrpc":"2.0","id":{id},{rest}"#)
}

/// An answer that is an error.
pub fn failure(id: &str, error: &RpcError) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, error.to_json())
}

/// Stands between jsonrpsee's WebSocket frames and the methods.
#[derive(Debug, Clone)]
pub struct RpcLayer<S> {
    inner: S,
    context: Arc<Context>,
    methods: Methods,
}

impl<S> RpcLayer<S> {
    /// Wraps the service of one connection.
    pub const fn new(inner: S, context: Arc<Context>, methods: Methods) -> Self {
        Self { inner, context, methods }
    }
}

impl<S> RpcLayer<S> {
    /// Answers a batch of [`SUBMIT`] alone.
    async fn submit_all(&self, batch: Batch<'_>) -> Vec<MethodResponse> {
        let calls: Vec<_> = batch
            .into_iter()
            .filter_map(|entry| match entry {
                Ok(BatchEntry::Call(request)) => Some((request.id.into_owned(), request.params)),
                _ => None,
            })
            .collect();
        let params: Vec<_> =
            calls.iter().map(|(_, params)| params.as_deref().map(RawValue::get)).collect();
        let answers = submit::send_raw_many(&self.context, &params).await;
        let respond = |((id, _), answer): ((Id<'static>, _), _)| match answer {
            Ok(value) => {
                MethodResponse::response(id, ResponsePayload::success(value), limits::ANSWER_BYTES)
            }
            Err(error) => MethodResponse::error(id, error),
        };
        calls.into_iter().zip(answers).map(respond).collect()
    }
}

impl<S> RpcServiceT for RpcLayer<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse, NotificationResponse = MethodResponse>
        + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            let id = request.id.clone().into_owned();
            let method = request.method.clone().into_owned();
            if this.methods.method(&method).is_none() {
                return MethodResponse::error(id, RpcError::MethodNotFound(method));
            }
            mend(id, &method, this.inner.call(request).await)
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            if batch.len() > limits::BATCH_CALLS {
                let error = RpcError::InvalidRequest("batch too large");
                return MethodResponse::error(Id::Null, error);
            }
            let mut out = BatchResponseBuilder::new_with_limit(limits::ANSWER_BYTES);
            // A batch of nothing else always has room for its answers.
            let is_submit = |entry: &Result<BatchEntry<'_>, _>| matches!(entry, Ok(BatchEntry::Call(request)) if request.method == SUBMIT);
            if batch.iter().all(is_submit) {
                for response in this.submit_all(batch).await {
                    if let Err(too_large) = out.append(response) {
                        return too_large;
                    }
                }
                return MethodResponse::from_batch(out.finish());
            }
            for entry in batch {
                let response = match entry {
                    Ok(BatchEntry::Call(request)) => this.call(request).await,
                    Ok(BatchEntry::Notification(_)) => continue,
                    Err(error) => {
                        let (_, id) = error.into_parts();
                        MethodResponse::error(id, RpcError::InvalidRequest("invalid request"))
                    }
                };
                if let Err(too_large) = out.append(response) {
                    return too_large;
                }
            }
            MethodResponse::from_batch(out.finish())
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}

/// Says in geth's words and codes what jsonrpsee answers by itself.
fn mend(id: Id<'static>, method: &str, response: MethodResponse) -> MethodResponse {
    let error = match response.as_error_code() {
        Some(OVERSIZED_RESPONSE) => RpcError::TooLarge,
        Some(TOO_MANY_SUBSCRIPTIONS) => RpcError::Limit(format!(
            "too many subscriptions: {} on one connection",
            limits::SUBSCRIPTIONS_PER_CONNECTION
        )),
        None if method == "eth_unsubscribe"
            && response.as_json().get().ends_with(r#""result":false}"#) =>
        {
            RpcError::Server("subscription not found".to_owned())
        }
        _ => return response,
    };
    MethodResponse::error(id, error)
}
