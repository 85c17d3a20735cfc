//! The least client there can be, so that the node is what is measured: one kept connection, raw HTTP or WebSocket.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    host: String,
    is_websocket: bool,
    buffer: Vec<u8>,
    request: Vec<u8>,
    asked: Vec<u8>,
}

/// The bytes of an answer.
#[derive(Debug)]
pub(crate) struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn has(&self, part: &[u8]) -> bool {
        let start = self.0.get(..self.0.len().min(400)).unwrap_or_default();
        start.windows(part.len()).any(|window| window == part)
    }

    pub(crate) fn start(&self) -> String {
        String::from_utf8_lossy(self.0.get(..self.0.len().min(200)).unwrap_or_default())
            .into_owned()
    }
}

impl Wire {
    pub(crate) fn connect(url: &str, is_websocket: bool) -> Result<Self> {
        let host = url.strip_prefix("http://").context("an http address")?.trim_end_matches('/');
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (buffer, request, asked) = (Vec::new(), Vec::new(), Vec::new());
        let mut wire = Self { stream, host: host.to_owned(), is_websocket, buffer, request, asked };
        if is_websocket {
            wire.shake_hands()?;
        }
        Ok(wire)
    }

    fn shake_hands(&mut self) -> Result<()> {
        let text = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.host
        );
        self.stream.write_all(text.as_bytes())?;
        let mut byte = [0];
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Ok(())
    }

    /// Sends a body and waits for what comes back.
    pub(crate) fn call(&mut self, body: &[u8]) -> Result<Answer<'_>> {
        self.send(body)?;
        self.receive()
    }

    /// Sends a body.
    pub(crate) fn send(&mut self, body: &[u8]) -> Result<()> {
        if self.asked != body {
            self.asked = body.to_vec();
            self.request = if self.is_websocket { frame(body) } else { self.post(body) };
        }
        Ok(self.stream.write_all(&self.request)?)
    }

    /// Sends bytes as they stand, and waits half a second at most for room.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.set_write_timeout(Some(Duration::from_millis(500)))?;
        Ok(self.stream.write_all(bytes)?)
    }

    fn post(&self, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// Waits for the next answer or message.
    pub(crate) fn receive(&mut self) -> Result<Answer<'_>> {
        self.buffer.clear();
        if self.is_websocket {
            return self.receive_frame();
        }
        let body_at = loop {
            self.fill()?;
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..body_at]).to_lowercase();
        ensure!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        if let Some(length) = length {
            let whole = body_at + length.trim().parse::<usize>()?;
            while self.buffer.len() < whole {
                self.fill()?;
            }
        } else {
            ensure!(head.contains("chunked"), "no length: {head}");
            while !self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                self.fill()?;
            }
        }
        Ok(Answer(&self.buffer[body_at..]))
    }

    fn receive_frame(&mut self) -> Result<Answer<'_>> {
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head)?;
            let length = match head[1] & 0x7f {
                126 => {
                    let mut bytes = [0; 2];
                    self.stream.read_exact(&mut bytes)?;
                    u16::from_be_bytes(bytes).into()
                }
                127 => {
                    let mut bytes = [0; 8];
                    self.stream.read_exact(&mut bytes)?;
                    u64::from_be_bytes(bytes)
                }
                short => short.into(),
            };
            self.buffer.resize(usize::try_from(length)?, 0);
            self.stream.read_exact(&mut self.buffer)?;
            match head[0] & 0x0f {
                1 | 2 => return Ok(Answer(&self.buffer)),
                8 => bail!("the node closed the WebSocket"),
                9 => {
                    let mut pong = frame(&self.buffer);
                    pong[0] = 0x8a;
                    self.stream.write_all(&pong)?;
                }
                _ => {}
            }
        }
    }

    fn fill(&mut self) -> Result<()> {
        let filled = self.buffer.len();
        self.buffer.resize(filled + 256 * 1024, 0);
        let read = self.stream.read(&mut self.buffer[filled..])?;
        self.buffer.truncate(filled + read);
        ensure!(read > 0, "the node closed the connection");
        Ok(())
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// One text frame, masked by zeros.
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x81];
    match (u8::try_from(body.len()), u16::try_from(body.len())) {
        (Ok(length), _) if length < 126 => out.push(0x80 | length),
        (_, Ok(length)) => {
            out.push(0x80 | 126);
            out.extend(length.to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend((body.len() as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(body);
    out
}
