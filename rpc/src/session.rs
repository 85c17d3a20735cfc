//! A connection that stays open: messages in, answers and notifications out, on WebSocket and IPC alike.
//!
//! One task a connection. What can be answered at once is answered in its turn; longer calls run beside, at most
//! [`limits::CALLS_IN_FLIGHT`] of them, and while there are that many nothing more is read. Nothing is read either while
//! the client does not take what is written: it holds itself up, nobody else.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
};

use futures_util::{Stream, StreamExt as _};
use jsonrpsee::{ConnectionId, core::server::BoundedSubscriptions};
use serde_json::value::RawValue;
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    time::{Instant, MissedTickBehavior},
};

use crate::{
    error::RpcError,
    layer::{self, Answer, Caller, Door, Session},
    limits,
    listener::stopped,
    reply::Reply,
};

/// Connections so far, so that each gets a number of its own.
static CONNECTIONS: AtomicU32 = AtomicU32::new(1);

/// What came in.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A message, whole.
    Message(Vec<u8>),
    /// The client is there.
    Alive,
    /// A message over [`limits::BODY_BYTES`], thrown away.
    TooLarge,
    /// Bytes that are no message; nothing behind them can be read.
    Broken,
}

/// Where messages go.
pub(crate) trait Wire: Send {
    /// True if a client that is there answers pings.
    const IS_PINGED: bool;
    /// Sends one.
    fn send(&mut self, reply: Reply) -> impl Future<Output = std::io::Result<()>> + Send;
    /// Asks whether the client is there.
    fn ping(&mut self) -> impl Future<Output = std::io::Result<()>> + Send;
    /// Says goodbye.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// Serves a connection until it or the server ends.
pub(crate) async fn serve<W: Wire>(
    door: Arc<Door>,
    mut caller: Caller,
    frames: impl Stream<Item = Incoming> + Send,
    mut wire: W,
    mut stop: watch::Receiver<bool>,
) {
    let hangup = Arc::new(Notify::new());
    caller.session = Some(Arc::new(Session {
        id: ConnectionId(CONNECTIONS.fetch_add(1, Ordering::Relaxed) as usize),
        subscriptions: BoundedSubscriptions::new(limits::SUBSCRIPTIONS_PER_CONNECTION),
        hangup: Arc::clone(&hangup),
    }));
    let (to_client, mut outbox) = mpsc::channel(limits::SEND_BUFFER);
    let places = Arc::new(Semaphore::new(limits::CALLS_IN_FLIGHT));
    let mut connection = Connection { door, caller, to_client, places };
    let mut frames = pin!(frames);
    let mut pings = tokio::time::interval_at(Instant::now() + limits::PING_TIME, limits::PING_TIME);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut place, mut seen) = (None, Instant::now());
    let is_polite = loop {
        tokio::select! {
            got = Arc::clone(&connection.places).acquire_owned(), if place.is_none() => {
                place = got.ok();
            }
            frame = frames.next(), if place.is_some() => {
                seen = Instant::now();
                let now = match frame {
                    Some(Incoming::Message(bytes)) => match place.take() {
                        Some(place) => connection.take(bytes, place).await,
                        None => Answer::default(),
                    },
                    Some(Incoming::Alive) => Answer::default(),
                    Some(Incoming::TooLarge) => failure(&RpcError::TooLargeMessage),
                    Some(Incoming::Broken) => {
                        if let Some(reply) = failure(&RpcError::Parse).reply {
                            // it may be gone already
                            let _ = wire.send(reply).await;
                        }
                        break true;
                    }
                    None => {
                        // the client may have closed its own direction alone
                        finish(&connection.places, &mut outbox, &mut wire).await;
                        break true;
                    }
                };
                if let Some(reply) = now.reply
                    && !send(&mut wire, reply, &hangup).await
                {
                    break false;
                }
                connection.stream(now.streams);
            }
            Some(reply) = outbox.recv() => {
                if !send(&mut wire, reply, &hangup).await {
                    break false;
                }
            }
            _ = pings.tick(), if W::IS_PINGED => {
                if seen.elapsed() > limits::SILENCE_TIME || wire.ping().await.is_err() {
                    break false;
                }
            }
            () = hangup.notified() => break false,
            () = stopped(&mut stop) => {
                drop(place.take());
                finish(&connection.places, &mut outbox, &mut wire).await;
                break true;
            }
        }
    };
    if is_polite {
        wire.close().await;
    }
}

/// Lets running calls end and their answers go out, within [`limits::STOP_TIME`].
async fn finish(places: &Semaphore, outbox: &mut mpsc::Receiver<Reply>, wire: &mut impl Wire) {
    let all = u32::try_from(limits::CALLS_IN_FLIGHT).unwrap_or(u32::MAX);
    let end = async {
        let mut ended = pin!(places.acquire_many(all));
        loop {
            tokio::select! {
                biased;
                Some(reply) = outbox.recv() => {
                    if wire.send(reply).await.is_err() {
                        return;
                    }
                }
                _ = &mut ended => return,
            }
        }
    };
    // what is not done by then is not done at all
    let _ = tokio::time::timeout(limits::STOP_TIME, end).await;
}

fn failure(error: &RpcError) -> Answer {
    Answer { reply: Some(Reply::failure("null", error)), ..Answer::default() }
}

/// False if the client takes nothing any more.
async fn send(wire: &mut impl Wire, reply: Reply, hangup: &Notify) -> bool {
    tokio::select! {
        // first, since it is nearly always done at once, and no timer is needed then
        biased;
        sent = wire.send(reply) => sent.is_ok(),
        () = hangup.notified() => false,
        () = tokio::time::sleep(limits::WRITE_TIME) => false,
    }
}

struct Connection {
    door: Arc<Door>,
    caller: Caller,
    to_client: mpsc::Sender<Reply>,
    places: Arc<Semaphore>,
}

impl Connection {
    /// Answers a message: at once if nothing has to be waited for, else on a task of its own.
    async fn take(&mut self, bytes: Vec<u8>, place: tokio::sync::OwnedSemaphorePermit) -> Answer {
        let (door, caller) = (Arc::clone(&self.door), self.caller.clone());
        let mut run = Box::pin(async move { layer::answer(&door, &caller, &bytes).await });
        let at_once = std::future::poll_fn(|context| Poll::Ready(run.as_mut().poll(context))).await;
        if let Poll::Ready(answer) = at_once {
            return answer;
        }
        let to_client = self.to_client.clone();
        tokio::spawn(async move {
            let answer = tokio::select! {
                answer = run => answer,
                () = to_client.closed() => return,
            };
            if let Some(reply) = answer.reply
                && to_client.send(reply).await.is_err()
            {
                return;
            }
            drop(place);
            forward_all(&to_client, answer.streams);
        });
        Answer::default()
    }

    fn stream(&self, streams: Vec<mpsc::Receiver<Box<RawValue>>>) {
        forward_all(&self.to_client, streams);
    }
}

/// Brings the messages of subscriptions to the client, behind the answers that named them.
fn forward_all(to_client: &mpsc::Sender<Reply>, streams: Vec<mpsc::Receiver<Box<RawValue>>>) {
    for mut stream in streams {
        let to_client = to_client.clone();
        tokio::spawn(async move {
            while let Some(message) = stream.recv().await {
                let text = String::from(Box::<str>::from(message));
                if to_client.send(Reply::Text(text)).await.is_err() {
                    return;
                }
            }
        });
    }
}
