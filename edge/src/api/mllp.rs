//! The HL7 v2 listener: MLLP frames in, an acknowledgement out once the message is on disk.
//!
//! One listener serves one source. Messages of one connection are answered in their order, one at a time, so that a sender
//! that waits and a sender that does not both get what they sent in sequence. There is no TLS here: a listener belongs on
//! loopback or behind a proxy that checks client certificates.
use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use crate::ingest::mllp::{Frames, frame};

/// Longest time from a frame's first byte to its last.
pub const MLLP_FRAME_SECS: u64 = 30;
/// Longest silence between frames.
pub const MLLP_IDLE_SECS: u64 = 300;
/// Connections at the same time; interface engines hold one or a few each.
pub const MLLP_CONNECTIONS: usize = 256;
/// Memory that unfinished frames of all connections may take together, in MiB: eight messages of the largest size.
pub const MLLP_HELD_MIB: u32 = 256;
/// Bytes asked of a connection at once.
const READ_BYTES: usize = 64 << 10;
const MIB: usize = 1 << 20;

/// Takes a message in and gives the answer to it, if the sender wants one. Called outside of the runtime's threads.
pub type Take = Arc<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// How long a listener waits.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Within a frame.
    pub frame: Duration,
    /// Between frames.
    pub idle: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            frame: Duration::from_secs(MLLP_FRAME_SECS),
            idle: Duration::from_secs(MLLP_IDLE_SECS),
        }
    }
}

/// Listens until `stop` says so; a message that is being taken in is finished and answered first.
pub async fn serve(
    listener: TcpListener,
    take: Take,
    waits: Waits,
    mut stop: watch::Receiver<bool>,
) {
    let seats = Arc::new(Semaphore::new(MLLP_CONNECTIONS));
    let memory = Arc::new(Semaphore::new(usize::try_from(MLLP_HELD_MIB).unwrap_or(256)));
    let mut open = JoinSet::new();
    let stopping = stop.clone();
    let accepting = async {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // out of file handles, say: others leave in a moment
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            while open.try_join_next().is_some() {}
            let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
                tracing::warn!(%peer, most = MLLP_CONNECTIONS, "too many connections, one was closed");
                continue;
            };
            let (take, memory, stop) = (Arc::clone(&take), Arc::clone(&memory), stopping.clone());
            open.spawn(async move {
                let _seat = seat;
                connection(stream, peer, take, memory, waits, stop).await;
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        _ = stop.wait_for(|stopping| *stopping) => {}
    }
    while open.join_next().await.is_some() {}
}

/// One sender, until it leaves, breaks a rule, or says nothing for too long.
async fn connection(
    mut stream: TcpStream,
    peer: SocketAddr,
    take: Take,
    memory: Arc<Semaphore>,
    waits: Waits,
    mut stop: watch::Receiver<bool>,
) {
    let (mut frames, mut buffer, mut ready) = (Frames::default(), vec![0; READ_BYTES], Vec::new());
    let mut held: Option<OwnedSemaphorePermit> = None;
    let mut frame_ends = tokio::time::Instant::now() + waits.idle;
    loop {
        let read = tokio::select! {
            read = timeout(frame_ends.saturating_duration_since(tokio::time::Instant::now()), stream.read(&mut buffer)) => read,
            _ = stop.wait_for(|stopping| *stopping) => return,
        };
        let count = match read {
            Ok(Ok(0)) => return,
            Ok(Ok(count)) => count,
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "a connection ended");
                return;
            }
            Err(_) => {
                tracing::warn!(%peer, in_frame = frames.is_inside(), "a connection was silent for too long");
                return;
            }
        };
        let was_inside = frames.is_inside();
        let broken = frames.push(&buffer[..count], &mut ready).err();
        let had_messages = !ready.is_empty();
        for message in ready.drain(..) {
            let take = Arc::clone(&take);
            // A panic in there was written down by the task; the sender gets no answer and sends again.
            let Ok(answer) = tokio::task::spawn_blocking(move || take(&message)).await else {
                return;
            };
            if let Some(answer) = answer
                && !matches!(
                    timeout(waits.frame, stream.write_all(&frame(&answer))).await,
                    Ok(Ok(()))
                )
            {
                return;
            }
        }
        if let Some(broken) = broken {
            tracing::warn!(%peer, %broken, "a connection was closed");
            return;
        }
        let wanted = frames.held_bytes() / MIB;
        if wanted < held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) {
            held = None;
        }
        let more = wanted - held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if more > 0 {
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            let Ok(permit) = Arc::clone(&memory).try_acquire_many_owned(more) else {
                tracing::warn!(%peer, "unfinished frames take too much memory, one was closed");
                return;
            };
            match &mut held {
                Some(held) => held.merge(permit),
                None => held = Some(permit),
            }
        }
        let now = tokio::time::Instant::now();
        if !frames.is_inside() {
            frame_ends = now + waits.idle;
        } else if !was_inside || had_messages {
            frame_ends = now + waits.frame;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/attacks/hl7v2");

    struct Listening {
        addr: SocketAddr,
        taken: Arc<Mutex<Vec<Vec<u8>>>>,
        stop: watch::Sender<bool>,
        task: tokio::task::JoinHandle<()>,
    }

    /// A listener that remembers what it took and answers each message by its length; the empty one gets no answer.
    async fn listening(waits: Waits) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let taken: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let seen = Arc::clone(&taken);
        let take: Take = Arc::new(move |message| {
            seen.lock().expect("no panic").push(message.to_vec());
            (!message.is_empty()).then(|| message.len().to_string().into_bytes())
        });
        let stop = watch::Sender::new(false);
        let task = tokio::spawn(serve(listener, take, waits, stop.subscribe()));
        Listening { addr, taken, stop, task }
    }

    fn short() -> Waits {
        Waits { frame: Duration::from_millis(300), idle: Duration::from_millis(300) }
    }

    /// Sends bytes and reads until the other side closes.
    async fn until_closed(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(addr).await.expect("connected");
        // the other side may close before it has read everything
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        let _ = read.expect("closed in time");
        answer
    }

    #[tokio::test]
    async fn messages_are_answered_in_order_and_silence_is_kept() {
        let there = listening(Waits::default()).await;
        let mut stream = TcpStream::connect(there.addr).await.expect("connected");
        let sent = [frame(b"one"), frame(b""), frame(b"three")].concat();
        for part in sent.chunks(4) {
            stream.write_all(part).await.expect("sent");
        }
        let want = [frame(b"3"), frame(b"5")].concat();
        let mut answer = vec![0; want.len()];
        stream.read_exact(&mut answer).await.expect("answered");
        assert_eq!(answer, want);
        assert_eq!(there.taken.lock().expect("no panic").len(), 3);
        there.stop.send_replace(true);
        timeout(Duration::from_secs(20), there.task).await.expect("it stops").expect("no panic");
    }

    /// `35-mllp-no-end`, `36-mllp-nested-start`, `37-mllp-garbage-before` of `test/vectors/attacks/hl7v2`.
    #[tokio::test]
    async fn hostile_frames_close_the_connection_and_nothing_is_taken() {
        let there = listening(short()).await;
        for file in ["35-mllp-no-end", "36-mllp-nested-start", "37-mllp-garbage-before"] {
            let bytes = std::fs::read(format!("{VECTORS}/{file}.bin")).expect("a vector");
            assert_eq!(until_closed(there.addr, &bytes).await, b"", "{file}");
        }
        assert!(there.taken.lock().expect("no panic").is_empty());
        // Others are served on.
        let good = until_closed(there.addr, &frame(b"good")).await;
        assert_eq!(good, frame(b"4"));
        there.stop.send_replace(true);
        timeout(Duration::from_secs(20), there.task).await.expect("it stops").expect("no panic");
    }

    #[tokio::test]
    async fn there_are_only_so_many_seats() {
        let there = listening(Waits::default()).await;
        let mut seated = Vec::new();
        for _ in 0..MLLP_CONNECTIONS {
            let mut stream = TcpStream::connect(there.addr).await.expect("connected");
            stream.write_all(&frame(b"here")).await.expect("sent");
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await.expect("answered");
            seated.push(stream);
        }
        assert_eq!(until_closed(there.addr, &frame(b"one too many")).await, b"");
        drop(seated.pop());
        let waited = async {
            loop {
                let mut stream = TcpStream::connect(there.addr).await.expect("connected");
                let _ = stream.write_all(&frame(b"next")).await;
                let mut answer = [0; 4];
                if stream.read_exact(&mut answer).await.is_ok() {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(20), waited).await.expect("the seat is free again");
    }
}
