//! The accept loop: sockets in, HTTP/1.1 with time limits and upgrades, an orderly end.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::response::Response;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, Sleep},
};

use crate::{
    limits,
    metrics::{Metrics, Transport},
};

/// How long the loop rests after the system refused to hand out a socket (no file descriptors, as a
/// rule).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What a client hears for which there is no place.
const NO_PLACE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 21\r\n\r\ntoo many connections\n";

/// Who is at the other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What answers the requests of a listener.
pub(crate) trait Front: Clone + Send + Sync + 'static {
    /// Answers one.
    fn answer(
        &self,
        peer: Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response> + Send;
}

/// What a listener needs beside its socket.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) metrics: Arc<Metrics>,
    /// Their connections are not counted by address.
    pub(crate) trusted_proxies: Arc<[IpAddr]>,
}

/// Serves connections until `stop` turns true, then lets running requests end within
/// [`limits::STOP_TIME`].
pub(crate) async fn accept_until(
    listener: TcpListener,
    front: impl Front,
    rules: Rules,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let addresses = Arc::new(Addresses::default());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((mut socket, peer)) => {
                let is_counted =
                    !peer.ip().is_loopback() && !rules.trusted_proxies.contains(&peer.ip());
                let place = Arc::clone(&permits).try_acquire_owned().ok();
                let place = place.zip(is_counted.then(|| peer.ip()).map_or(Some(None), |ip| {
                    Addresses::take(&addresses, ip, limits::CONNECTIONS_PER_ADDRESS).map(Some)
                }));
                let Some(place) = place else {
                    rules.metrics.count_refused("connections");
                    // it is told if it listens; nobody waits for that
                    let _ = socket.try_write(NO_PLACE);
                    drop(socket.shutdown().await);
                    continue;
                };
                let open = rules.metrics.open(Transport::Http);
                let serve = serve(socket, peer, front.clone(), stop.clone());
                connections.spawn(async move {
                    serve.await;
                    drop((place, open));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits::STOP_TIME, all_ended).await.is_err() {
        connections.shutdown().await;
    }
}

/// Waits until the server is told to stop, or is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    front: impl Front,
    mut stop: watch::Receiver<bool>,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot turn off Nagle's algorithm");
    }
    let service = service_fn(|request: Request<Incoming>| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer(Peer(peer), request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_TIME)
        .max_buf_size(limits::HEADER_BYTES)
        .max_headers(limits::HEADER_COUNT)
        .serve_connection(TokioIo::new(Patient::new(socket, limits::WRITE_TIME)), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Something that each address may have so many of.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<HashMap<IpAddr, usize>>);

/// A place of an address, free again when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Addresses>, IpAddr);

impl Addresses {
    /// A place for this address, if it has fewer than `most`.
    pub(crate) fn take(addresses: &Arc<Self>, address: IpAddr, most: usize) -> Option<Place> {
        let mut counts = addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place(Arc::clone(addresses), address))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let address = self.1;
        let mut counts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// A socket that waits so long for its reader, no longer.
#[derive(Debug)]
struct Patient {
    socket: TcpStream,
    patience: Duration,
    /// Runs while a write waits.
    waits: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    const fn new(socket: TcpStream, patience: Duration) -> Self {
        Self { socket, patience, waits: None }
    }

    /// Ends a write that has waited too long.
    fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waits = None;
            return result;
        }
        let until = Instant::now() + self.patience;
        let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        match waits.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        self.judge(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.socket).poll_shutdown(context);
        self.judge(context, ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places() {
        let addresses = Arc::new(Addresses::default());
        let take = |text: &str| {
            let address = text.parse().expect("an address");
            Addresses::take(&addresses, address, 100)
        };
        let mut places: Vec<_> = (0..100).map(|_| take("203.0.113.1").expect("a place")).collect();
        assert!(take("203.0.113.1").is_none());
        assert!(take("203.0.113.2").is_some());
        places.pop();
        assert!(take("203.0.113.1").is_some());
        drop(places);
        assert!(addresses.0.lock().expect("no panic").is_empty(), "nothing is remembered");
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let addr = listener.local_addr().expect("bound");
        let _reader = TcpStream::connect(addr).await.expect("it listens");
        let (socket, _) = listener.accept().await.expect("a connection");
        let mut patient = Patient::new(socket, Duration::from_millis(50));
        let whole = vec![0; 64 * 1024 * 1024];
        let error = patient.write_all(&whole).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
