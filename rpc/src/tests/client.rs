//! The least HTTP and WebSocket (RFC 6455) client that the tests need: no library between them and
//! the bytes.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::PATIENCE;

/// Posts a body as JSON; returns status and body.
pub(super) async fn post(addr: SocketAddr, body: &str) -> (u16, String) {
    let head = "Host: localhost\r\nContent-Type: application/json\r\n";
    let (status, _, body) = request(addr, "POST", "/", head, body).await;
    (status, body)
}

/// Sends one request on a connection of its own; returns status, header lines and body.
pub(super) async fn request(
    addr: SocketAddr,
    verb: &str,
    path: &str,
    head: &str,
    body: &str,
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(addr).await.expect("the server listens");
    let length = body.len();
    let text = format!(
        "{verb} {path} HTTP/1.1\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.expect("the request is taken");
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.expect("an answer in time").expect("an answer");
    let answer = String::from_utf8(answer).expect("an answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), head.to_lowercase(), body.to_owned())
}

/// An open WebSocket.
pub(super) struct WebSocket(TcpStream);

impl WebSocket {
    pub(super) async fn connect(addr: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(addr).await.expect("the server listens");
        let text = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(text.as_bytes()).await.expect("the request is taken");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    /// Sends one text frame, masked by zeros.
    pub(super) async fn send(&mut self, text: &str) {
        let length = u16::try_from(text.len()).expect("short test messages");
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend(length.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.0.write_all(&frame).await.expect("the frame is taken");
    }

    /// The next text message.
    pub(super) async fn receive(&mut self) -> Value {
        let text = tokio::time::timeout(PATIENCE, self.read_text()).await.expect("in time");
        serde_json::from_slice(&text).expect("a message is JSON")
    }

    async fn read_text(&mut self) -> Vec<u8> {
        const TEXT: u8 = 1;
        loop {
            let opcode = self.0.read_u8().await.expect("a frame") & 0x0f;
            let length = match self.0.read_u8().await.expect("a length") {
                126 => self.0.read_u16().await.expect("a length").into(),
                127 => self.0.read_u64().await.expect("a length"),
                short => short.into(),
            };
            let mut payload = vec![0; usize::try_from(length).expect("a length fits")];
            self.0.read_exact(&mut payload).await.expect("a payload");
            if opcode == TEXT {
                return payload;
            }
        }
    }

    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        let call = json!({"jsonrpc": "2.0", "id": "call", "method": method, "params": params});
        self.send(&call.to_string()).await;
        loop {
            let message = self.receive().await;
            if message["id"] == "call" {
                return message;
            }
        }
    }

    /// The next notification of this subscription.
    pub(super) async fn notification(&mut self, id: &Value) -> Value {
        loop {
            let message = self.receive().await;
            if message["method"] == "eth_subscription" && message["params"]["subscription"] == *id {
                return message["params"]["result"].clone();
            }
        }
    }
}
