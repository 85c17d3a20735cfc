//! What every call passes, over HTTP, WebSocket and IPC alike: envelope, method set, cost, metrics, size.
//!
//! ```text
//! envelope ▶ method set ▶ cost ▶ ready bytes, or the method ▶ size ▶ metrics
//! ```
//!
//! jsonrpsee keeps the subscriptions; the table of methods ([`crate::dispatch`]) and the envelope around a call are ours
//! ([`crate::envelope`]), so ids come back byte for byte and an answer is written once. Neighbouring `eth_sendRawTransaction` of a batch travel to the node together; nobody
//! can tell from the answers.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use jsonrpsee::{
    ConnectionId, Extensions, MethodCallback,
    core::server::{BoundedSubscriptions, MethodSink, SubscriptionState},
    types::{Id, Params},
};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};

use crate::{
    access::{Access, Trust},
    context::Context,
    dispatch::Table,
    envelope::{Call, Entry, Envelope},
    error::RpcError,
    eth::{call, submit},
    limits,
    listener::{Addresses, Place},
    metrics::Metrics,
    param::Args,
    rate::{self, Rate},
    ready,
    reply::Reply,
    server::HexIds,
};

/// The method whose calls travel together.
const SUBMIT: &str = "eth_sendRawTransaction";
/// The method that is answered at once if it is short.
const CALL: &str = "eth_call";
/// The method whose answer depends on the connection.
pub const MODULES: &str = "rpc_modules";
/// Room for the longest answer to one submission, its id aside: geth's words and a few numbers.
const SUBMIT_ANSWER_BYTES: usize = 1_024 + limits::ID_BYTES;
/// jsonrpsee's code of an answer that is too large.
const OVERSIZED_RESPONSE: i32 = -32008;
/// Messages of one subscription that wait for the connection.
const STREAM_BUFFER: usize = 16;

/// What all connections of one listener share.
#[derive(Debug)]
pub struct Door {
    /// What handlers reach.
    pub context: Arc<Context>,
    /// The table.
    pub table: Arc<Table>,
    /// Which of it is open here.
    pub access: Access,
    /// Counts and times.
    pub metrics: Arc<Metrics>,
    /// What strangers may ask for in a second.
    pub rate: Arc<Rate>,
}

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// How far it is trusted.
    pub trust: Trust,
    /// Whose units its calls cost; none for this machine's own.
    pub charged: Option<IpAddr>,
    /// What subscriptions need: a connection that stays open.
    pub session: Option<Arc<Session>>,
}

/// A connection that stays open.
#[derive(Debug)]
pub struct Session {
    /// Its number; subscriptions belong to it.
    pub id: ConnectionId,
    /// How many subscriptions it may have.
    pub subscriptions: BoundedSubscriptions,
    /// Told when a subscription of it fell too far behind.
    pub hangup: Arc<Notify>,
}

/// What becomes of a body.
#[derive(Debug, Default)]
pub struct Answer {
    /// What to send; none if the body holds notifications alone.
    pub reply: Option<Reply>,
    /// If every call was refused for its rate: when to come again.
    pub retry_after: Option<Duration>,
    /// Messages of the subscriptions that began; they go out behind the reply.
    pub streams: Vec<mpsc::Receiver<Box<RawValue>>>,
}

/// Answers a whole HTTP body or message.
pub async fn answer(door: &Door, caller: &Caller, body: &[u8]) -> Answer {
    let mut out = Answer::default();
    match Envelope::parse(body) {
        Err(error) => out.reply = Some(Reply::failure("null", &error)),
        Ok(Envelope::Single(entry)) => {
            out.reply = answer_entry(door, caller, &entry, &mut out).await;
        }
        Ok(Envelope::Batch(entries)) => {
            out.reply = answer_batch(door, caller, &entries, &mut out).await;
        }
    }
    out
}

/// Answers in the order of the calls. Once the whole exceeds its limit, the remaining calls are not
/// run.
async fn answer_batch(
    door: &Door,
    caller: &Caller,
    entries: &[Entry<'_>],
    answer: &mut Answer,
) -> Option<Reply> {
    if entries.len() > door.context.limits.batch_calls {
        let id = entries.first().map_or("null", Entry::id);
        let failure = Reply::failure(id, &RpcError::InvalidRequest("batch too large"));
        return Some(Reply::Text(format!("[{}]", failure.into_text())));
    }
    let mut out = String::from("[");
    let (mut rest, mut refused) = (entries, 0);
    let mut spent = Duration::ZERO;
    while let Some((entry, later)) = rest.split_first() {
        let together = leading_submits(rest, out.len());
        if together > 1 && admit_submits(door, caller, together).is_ok() {
            let (now, later) = rest.split_at(together);
            answer_submits(door, now, &mut out).await;
            rest = later;
            continue;
        }
        rest = later;
        let refuse = |error: &RpcError| {
            matches!(entry, Entry::Call(_)).then(|| Reply::failure(entry.id(), error))
        };
        let is_work = matches!(entry, Entry::Call(call) if door.table.is_work(&call.method));
        let reply = if out.len() > limits::ANSWER_BYTES {
            refuse(&RpcError::TooLarge)
        } else if is_work && spent > limits::BATCH_TIME {
            refuse(&RpcError::Timeout(limits::BATCH_TIME))
        } else {
            let begun = Instant::now();
            let reply = answer_entry(door, caller, entry, answer).await;
            spent += if is_work { begun.elapsed() } else { Duration::ZERO };
            reply
        };
        refused += usize::from(answer.retry_after.is_some());
        append(&mut out, reply.as_ref());
    }
    if refused < entries.len() {
        answer.retry_after = None;
    }
    out.push(']');
    (out.len() > 2).then_some(Reply::Text(out))
}

/// Adds an answer to a list that begins with `[`.
fn append(out: &mut String, reply: Option<&Reply>) {
    let Some(reply) = reply else { return };
    if out.len() > 1 {
        out.push(',');
    }
    reply.append_to(out);
}

/// How many calls at the front submit a transaction and have room for their answers.
fn leading_submits(entries: &[Entry<'_>], answer_bytes: usize) -> usize {
    let is_submit =
        |entry: &&Entry<'_>| matches!(entry, Entry::Call(call) if call.method == SUBMIT);
    let room = limits::ANSWER_BYTES.saturating_sub(answer_bytes) / SUBMIT_ANSWER_BYTES;
    entries.iter().take_while(is_submit).count().min(room)
}

fn admit_submits(door: &Door, caller: &Caller, count: usize) -> Result<(), RpcError> {
    if !door.access.allows(SUBMIT, caller.trust) {
        return Err(RpcError::MethodNotFound(SUBMIT.to_owned()));
    }
    let units = || rate::cost(SUBMIT).saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
    charge(door, caller, units).map_err(|_| RpcError::TooLarge)
}

async fn answer_submits(door: &Door, entries: &[Entry<'_>], out: &mut String) {
    let begun = Instant::now();
    let calls: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Call(call) => Some(call.params),
            Entry::Notification | Entry::Invalid { .. } => None,
        })
        .collect();
    let answers = submit::send_raw_many(&door.context, &calls).await;
    for (entry, answer) in entries.iter().zip(answers) {
        let (reply, code) = match answer {
            Ok(value) => {
                let text = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{value}}}"#, entry.id());
                (Reply::Text(text), 0)
            }
            Err(error) => {
                error.log_fault();
                (Reply::failure(entry.id(), &error), error.code())
            }
        };
        door.metrics.count_call(SUBMIT, code, begun.elapsed());
        append(out, Some(&reply));
    }
}

async fn answer_entry(
    door: &Door,
    caller: &Caller,
    entry: &Entry<'_>,
    answer: &mut Answer,
) -> Option<Reply> {
    answer.retry_after = None;
    match entry {
        Entry::Notification => None,
        Entry::Invalid { id, error } => {
            door.metrics.count_call("invalid", error.code(), Duration::ZERO);
            Some(Reply::failure(id, error))
        }
        Entry::Call(call) => {
            let begun = Instant::now();
            let (reply, code) = match answer_call(door, caller, call, answer).await {
                Ok(reply) if reply.len() > limits::ANSWER_BYTES => {
                    (Reply::failure(call.id, &RpcError::TooLarge), RpcError::TooLarge.code())
                }
                Ok(reply) => (reply, 0),
                Err(Refusal::Ours(error)) => {
                    error.log_fault();
                    (Reply::failure(call.id, &error), error.code())
                }
                Err(Refusal::Written(reply, code)) => (reply, code),
            };
            door.metrics.count_call(&call.method, code, begun.elapsed());
            Some(reply)
        }
    }
}

/// Why a call has no result.
enum Refusal {
    /// An error of ours.
    Ours(RpcError),
    /// An error that jsonrpsee has written already, and its code.
    Written(Reply, i32),
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Self {
        Self::Ours(error)
    }
}

/// Takes the units of a call.
fn charge(door: &Door, caller: &Caller, units: impl FnOnce() -> u32) -> Result<(), Duration> {
    caller.charged.map_or(Ok(()), |address| door.rate.charge(address, units()))
}

async fn answer_call(
    door: &Door,
    caller: &Caller,
    call: &Call<'_>,
    answer: &mut Answer,
) -> Result<Reply, Refusal> {
    let unknown = || RpcError::MethodNotFound(call.method.clone().into_owned());
    if !door.access.allows(&call.method, caller.trust) {
        return Err(unknown().into());
    }
    if let Err(wait) = charge(door, caller, || rate::cost(&call.method)) {
        answer.retry_after = Some(wait);
        door.metrics.count_refused("rate");
        let millis = wait.as_millis().max(1);
        return Err(RpcError::Limit(format!("rate limit exceeded, retry in {millis} ms")).into());
    }
    if call.method == MODULES {
        let () = Args::parse(call.params)?.read()?;
        let modules = door.access.modules(door.table.names(), caller.trust);
        return Ok(Reply::ready(call.id, modules.to_string().into()));
    }
    if ready::knows(&call.method)
        && let Some(result) = ready::answer(&door.context, &call.method, call.params).await
    {
        return Ok(Reply::ready(call.id, result?));
    }
    if let Some(handler) = door.table.handler(&call.method) {
        let args = Args::parse(call.params)?.of(caller.charged);
        if call.method == CALL
            && let Some(result) = call::at_once(&door.context, &args)
        {
            return Ok(Reply::result(call.id, &result?));
        }
        return Ok(Reply::result(call.id, &handler.answer(&door.context, args).await?));
    }
    subscribe_or_end(door, caller, call, answer).await
}

/// Begins or ends a subscription.
async fn subscribe_or_end(
    door: &Door,
    caller: &Caller,
    call: &Call<'_>,
    answer: &mut Answer,
) -> Result<Reply, Refusal> {
    let unknown = || RpcError::MethodNotFound(call.method.clone().into_owned());
    let callback = door.table.subscription(&call.method).ok_or_else(unknown)?;
    let (id, params) = (Id::Number(0), Params::new(call.params));
    let (limit, extensions) = (limits::ANSWER_BYTES, Extensions::new());
    let response = match callback {
        MethodCallback::Sync(_) | MethodCallback::Async(_) => return Err(unknown().into()),
        MethodCallback::Subscription(run) => {
            let session = caller.session.as_ref().ok_or(RpcError::NotificationsNotSupported)?;
            let permit = door.context.subscriptions.clone().try_acquire_owned();
            let permit =
                permit.map_err(|_| too_many_subscriptions("in all", limits::SUBSCRIPTIONS))?;
            let subscription_permit = session.subscriptions.acquire().ok_or_else(|| {
                let most = limits::SUBSCRIPTIONS_PER_CONNECTION as usize;
                too_many_subscriptions("on one connection", most)
            })?;
            let place = match caller.charged.map(rate::network) {
                None => None,
                Some(address) => Some(door.context.subscribers.take(address)?),
            };
            let (to_stream, mut stream) = mpsc::channel(STREAM_BUFFER);
            let state = SubscriptionState {
                conn_id: session.id,
                id_provider: &HexIds,
                subscription_permit,
            };
            let mut extensions = extensions;
            extensions.insert(Arc::new((permit, place)));
            extensions.insert(Arc::clone(&session.hangup));
            let response = run(id, params, MethodSink::new(to_stream), state, extensions).await;
            // the answer goes into the stream too
            stream.recv().await;
            if response.is_success() {
                answer.streams.push(stream);
            }
            response
        }
        MethodCallback::Unsubscription(run) => {
            // Without a connection that stays open there is no subscription to end.
            let unknown = || RpcError::Server("subscription not found".to_owned());
            let session = caller.session.as_ref().ok_or_else(unknown)?;
            let response = run(id, params, session.id, limit, extensions);
            if response.as_json().get().ends_with(r#""result":false}"#) {
                return Err(RpcError::Server("subscription not found".to_owned()).into());
            }
            response
        }
    };
    match response.as_error_code() {
        Some(OVERSIZED_RESPONSE) => Err(RpcError::TooLarge.into()),
        Some(code) => {
            Err(Refusal::Written(Reply::Text(with_id(call.id, response.as_json().get())), code))
        }
        None => Ok(Reply::Text(with_id(call.id, response.as_json().get()))),
    }
}

/// Who has how many subscriptions.
#[derive(Debug, Default)]
pub struct Subscribers(Arc<Addresses>);

impl Subscribers {
    /// A place for one more.
    fn take(&self, address: IpAddr) -> Result<Place, RpcError> {
        let most = limits::SUBSCRIPTIONS_PER_ADDRESS;
        let place = Addresses::take(&self.0, address, most);
        place.ok_or_else(|| too_many_subscriptions("of one address", most))
    }
}

fn too_many_subscriptions(of_what: &str, most: usize) -> RpcError {
    RpcError::Limit(format!("too many subscriptions: {most} {of_what}"))
}

/// Puts the client's id in the place of ours.
fn with_id(id: &str, json: &str) -> String {
    const OURS: &str = r#"{"jsonrpc":"2.0","id":0,"#;
    let rest = json.strip_prefix(OURS).expect("jsonrpsee writes version and id first");
    format!(r#"{{"jsonrpc":"2.0","id":{id},{rest}"#)
}
