//! WebSocket (RFC 6455): the upgrade, frames in, frames out. soketto does the framing.

use std::{io, sync::Arc};

use axum::{body::Body, response::Response};
use futures_util::stream;
use http::{Request, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use soketto::{
    Data,
    connection::{self, Error},
    data::ByteSlice125,
    handshake::http::Server,
};
use tokio::{
    io::{BufReader, BufWriter},
    sync::{mpsc, watch},
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use crate::{
    layer::{Caller, Door},
    limits,
    metrics::Open,
    reply::Reply,
    session::{self, Incoming, Wire},
};

/// Bytes kept for a connection in each direction; larger messages get what they need meanwhile.
const BUFFER_BYTES: usize = 1_024;

type Socket = Compat<BufReader<BufWriter<TokioIo<Upgraded>>>>;

/// Answers a request to upgrade, and serves the WebSocket from then on.
pub(crate) fn upgrade<B>(
    door: Arc<Door>,
    caller: Caller,
    mut request: Request<B>,
    stop: watch::Receiver<bool>,
    held: (Open, mpsc::Sender<()>),
) -> Response {
    let mut handshake = Server::new();
    let refuse = |text: &'static str| {
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    };
    let accepted = match handshake.receive_request(&request) {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::debug!(%error, "no request for a WebSocket");
            return refuse("this is no request for a WebSocket of version 13");
        }
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return refuse("this connection cannot become a WebSocket");
    };
    tokio::spawn(async move {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(%error, "a WebSocket did not come about");
                return;
            }
        };
        let io = BufWriter::with_capacity(BUFFER_BYTES, TokioIo::new(upgraded));
        let io = BufReader::with_capacity(BUFFER_BYTES, io).compat();
        let mut builder = handshake.into_builder(io);
        builder.set_max_message_size(limits::BODY_BYTES);
        builder.set_max_frame_size(limits::BODY_BYTES);
        let (sender, receiver) = builder.finish();
        session::serve(door, caller, frames(receiver), Frames(sender), stop).await;
        drop(held);
    });
    accepted.map(|()| Body::empty())
}

/// The messages of a connection.
fn frames(
    receiver: connection::Receiver<Socket>,
) -> impl futures_util::Stream<Item = Incoming> + Send {
    stream::unfold(receiver, |mut receiver| async {
        let mut bytes = Vec::new();
        let incoming = match receiver.receive(&mut bytes).await {
            Ok(soketto::Incoming::Data(Data::Text(_) | Data::Binary(_))) => {
                Incoming::Message(bytes)
            }
            Ok(soketto::Incoming::Pong(_)) => Incoming::Alive,
            Err(Error::MessageTooLarge { .. }) => Incoming::TooLarge,
            Ok(soketto::Incoming::Closed(_)) | Err(Error::Closed | Error::Io(_)) => return None,
            Err(error) => {
                tracing::debug!(%error, "a WebSocket spoke nonsense");
                return None;
            }
        };
        Some((incoming, receiver))
    })
}

/// The way out.
struct Frames(connection::Sender<Socket>);

fn broken(error: Error) -> io::Error {
    io::Error::other(error)
}

impl Wire for Frames {
    const IS_PINGED: bool = true;

    async fn send(&mut self, reply: Reply) -> io::Result<()> {
        self.0.send_text_owned(reply.into_text()).await.map_err(broken)?;
        self.0.flush().await.map_err(broken)
    }

    async fn ping(&mut self) -> io::Result<()> {
        let nothing = ByteSlice125::try_from(&[][..]).expect("nothing is short");
        self.0.send_ping(nothing).await.map_err(broken)?;
        self.0.flush().await.map_err(broken)
    }

    async fn close(&mut self) {
        // the client may be gone already
        let _ = tokio::time::timeout(limits::STOP_TIME, self.0.close()).await;
    }
}
