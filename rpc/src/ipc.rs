//! The socket of the data folder: JSON values one after another, as geth reads and writes them, for the folder's owner.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::stream;
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::{
    access::Trust,
    layer::{Caller, Door},
    limits,
    listener::stopped,
    metrics::{Open, Transport},
    reply::Reply,
    session::{self, Incoming, Wire},
};

/// Name of the socket in the data folder.
pub(crate) const SOCKET_FILE: &str = "msnet.ipc";
/// Bytes asked of the socket at once.
const READ_BYTES: usize = 64 * 1024;
/// Rest after the system refused to hand out a socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Opens the socket, for its owner alone. One that a dead process left is replaced, one in use is not.
///
/// # Errors
/// What the operating system says; [`io::ErrorKind::AddrInUse`] if a process listens there.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
        }
        fs::remove_file(path)?;
    }
    // Made in a folder that nobody else can enter, so that it is never open to others, not even for a moment.
    let name = format!(".{}-{}", SOCKET_FILE, std::process::id());
    let folder = path.parent().unwrap_or(Path::new(".")).join(name);
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let made = folder.join("s");
    let listen = || {
        let listener = UnixListener::bind(&made)?;
        fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
        fs::rename(&made, path)?;
        Ok(listener)
    };
    let listener = listen();
    // it is empty if all went well; if not there is an error to tell anyhow
    let _ = fs::remove_dir_all(&folder);
    listener
}

/// Serves whoever opens the socket until `stop` turns true, then removes it.
pub(crate) async fn accept_until(
    listener: UnixListener,
    path: PathBuf,
    door: Arc<Door>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((socket, _)) if connections.len() < limits::CONNECTIONS => {
                let open = door.metrics.open(Transport::Ipc);
                connections.spawn(serve(socket, Arc::clone(&door), stop.clone(), open));
            }
            Ok(_) => door.metrics.count_refused("connections"),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection over IPC");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if let Err(error) = fs::remove_file(&path) {
        tracing::debug!(%error, "the socket is gone already");
    }
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits::STOP_TIME * 2, all_ended).await.is_err() {
        connections.shutdown().await;
    }
}

async fn serve(socket: UnixStream, door: Arc<Door>, stop: watch::Receiver<bool>, open: Open) {
    let (read, write) = socket.into_split();
    let caller = Caller { trust: Trust::Local, charged: None, session: None };
    session::serve(door, caller, values(read), Values(write), stop).await;
    drop(open);
}

/// The values of a connection.
fn values(read: OwnedReadHalf) -> impl futures_util::Stream<Item = Incoming> + Send {
    let start = (Cutter::default(), read);
    stream::unfold(start, |(mut cutter, mut read)| async {
        loop {
            match cutter.next() {
                Cut::Value(value) => return Some((Incoming::Message(value), (cutter, read))),
                Cut::Broken => return Some((Incoming::Broken, (cutter, read))),
                Cut::More => {}
            }
            cutter.bytes.reserve(READ_BYTES);
            match read.read_buf(&mut cutter.bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    })
}

/// Finds where one value ends and the next begins.
#[derive(Debug, Default)]
struct Cutter {
    bytes: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Cut {
    /// A value, whole.
    Value(Vec<u8>),
    /// What is here is no value yet.
    More,
    /// What is here is no value and never will be, or is too long.
    Broken,
}

impl Cutter {
    fn next(&mut self) -> Cut {
        let mut values =
            serde_json::Deserializer::from_slice(&self.bytes).into_iter::<Box<RawValue>>();
        match values.next() {
            Some(Ok(value)) => {
                let end = values.byte_offset();
                self.bytes.drain(..end);
                Cut::Value(String::from(Box::<str>::from(value)).into_bytes())
            }
            Some(Err(error)) if !error.is_eof() => Cut::Broken,
            _ if self.bytes.len() > limits::BODY_BYTES => Cut::Broken,
            _ => Cut::More,
        }
    }
}

/// The way out: a line a message.
struct Values(OwnedWriteHalf);

impl Wire for Values {
    const IS_PINGED: bool = false;

    async fn send(&mut self, reply: Reply) -> io::Result<()> {
        let mut text = reply.into_text();
        text.push('\n');
        self.0.write_all(text.as_bytes()).await
    }

    async fn ping(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn close(&mut self) {
        // the client may be gone already
        let _ = self.0.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_apart() {
        let mut cutter = Cutter::default();
        let value = |text: &str| Cut::Value(text.as_bytes().to_vec());
        assert_eq!(cutter.next(), Cut::More);
        cutter.bytes.extend(br#"{"a":"}{"}[1,"#);
        assert_eq!(cutter.next(), value(r#"{"a":"}{"}"#));
        assert_eq!(cutter.next(), Cut::More);
        cutter.bytes.extend(b"2] \n {}");
        assert_eq!(cutter.next(), value("[1,2]"));
        assert_eq!(cutter.next(), value("{}"));
        assert_eq!(cutter.next(), Cut::More);
        cutter.bytes.extend(b"}");
        assert_eq!(cutter.next(), Cut::Broken);
    }
}
