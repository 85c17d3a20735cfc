//! What every call passes: the envelope over HTTP, geth's words over WebSocket, limits over both.
//!
//! Both transports share one jsonrpsee table of methods. An HTTP body is cut into calls here
//! ([`answer`]) and each is handed to its callback; a WebSocket belongs to jsonrpsee, and
//! [`RpcLayer`] stands between its frames and the callbacks.

use jsonrpsee::{
    ConnectionId, Extensions, MethodCallback, MethodResponse, Methods,
    core::middleware::{Batch, BatchEntry, Notification, RpcServiceT},
    core::server::BatchResponseBuilder,
    types::{Id, Params, Request},
};

use crate::{
    envelope::{Call, Entry, Envelope},
    error::RpcError,
    limits,
};

/// jsonrpsee's code of an answer that is too large.
const OVERSIZED_RESPONSE: i32 = -32008;
/// jsonrpsee's code of one subscription too many.
const TOO_MANY_SUBSCRIPTIONS: i32 = -32006;

/// Answers a whole HTTP body; `None` if it holds notifications alone.
pub async fn answer(methods: &Methods, body: &[u8]) -> Option<String> {
    match Envelope::parse(body) {
        Err(error) => Some(failure("null", &error)),
        Ok(Envelope::Single(entry)) => answer_entry(methods, &entry).await,
        Ok(Envelope::Batch(entries)) => answer_batch(methods, &entries).await,
    }
}

/// Answers in the order of the calls. Once the whole exceeds its limit, the remaining calls are not
/// run.
async fn answer_batch(methods: &Methods, entries: &[Entry<'_>]) -> Option<String> {
    if entries.len() > limits::BATCH_CALLS {
        let id = entries.first().map_or("null", Entry::id);
        let error = RpcError::InvalidRequest("batch too large");
        return Some(format!("[{}]", failure(id, &error)));
    }
    let mut out = String::from("[");
    for entry in entries {
        let answer = if out.len() > limits::ANSWER_BYTES {
            matches!(entry, Entry::Call(_)).then(|| failure(entry.id(), &RpcError::TooLarge))
        } else {
            answer_entry(methods, entry).await
        };
        let Some(answer) = answer else { continue };
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&answer);
    }
    out.push(']');
    (out.len() > 2).then_some(out)
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
    methods: Methods,
}

impl<S> RpcLayer<S> {
    /// Wraps the service of one connection.
    pub const fn new(inner: S, methods: Methods) -> Self {
        Self { inner, methods }
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
