//! [`Reply`]: the bytes of an answer, ready made parts of it never copied.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, SizeHint};
use serde_json::Value;

use crate::error::RpcError;

/// Room for a small answer beside its id.
const RESULT_BYTES: usize = 160;

/// The answer to one call, or to a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// All of it.
    Text(String),
    /// A result that is kept ready, between the two ends of its envelope.
    Ready([Bytes; 3]),
}

impl Reply {
    /// The answer with this result.
    pub fn ready(id: &str, result: Bytes) -> Self {
        let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#);
        Self::Ready([head.into(), result, Bytes::from_static(b"}")])
    }

    /// The answer with this result, written in one go.
    pub fn result(id: &str, result: &Value) -> Self {
        let mut out = Vec::with_capacity(RESULT_BYTES + id.len());
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(br#","result":"#);
        serde_json::to_writer(&mut out, result).expect("a value of JSON is written into memory");
        out.push(b'}');
        Self::Text(String::from_utf8(out).expect("JSON of ours is text"))
    }

    /// The answer with this error.
    pub fn failure(id: &str, error: &RpcError) -> Self {
        Self::Text(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, error.to_json()))
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Ready(parts) => parts.iter().map(Bytes::len).sum(),
        }
    }

    /// True if it says nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it in one piece.
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            parts @ Self::Ready(_) => {
                let mut out = String::with_capacity(parts.len());
                parts.append_to(&mut out);
                out
            }
        }
    }

    /// Writes it behind what is there.
    pub fn append_to(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Ready(parts) => {
                for part in parts {
                    out.push_str(std::str::from_utf8(part).expect("JSON of ours is text"));
                }
            }
        }
    }

    /// As the body of an HTTP response.
    pub fn into_body(self) -> axum::body::Body {
        match self {
            Self::Text(text) => text.into(),
            Self::Ready(parts) => axum::body::Body::new(UnsyncBoxBody::new(Parts {
                left: parts.iter().map(Bytes::len).sum::<usize>() as u64,
                parts: parts.into_iter(),
            })),
        }
    }
}

/// Parts one after the other, of known length together.
struct Parts {
    parts: std::array::IntoIter<Bytes, 3>,
    left: u64,
}

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.parts.next();
        self.left -= next.as_ref().map_or(0, |part| part.len() as u64);
        Poll::Ready(next.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn a_result_stands_in_its_envelope() {
        let reply = Reply::result("1.0", &serde_json::json!({"a": ["0x1", null]}));
        let expected = r#"{"jsonrpc":"2.0","id":1.0,"result":{"a":["0x1",null]}}"#;
        assert_eq!(reply.into_text(), expected);
    }

    #[tokio::test]
    async fn parts_are_one_text() {
        let reply = Reply::ready("\"a\"", Bytes::from_static(b"[1,2]"));
        let expected = r#"{"jsonrpc":"2.0","id":"a","result":[1,2]}"#;
        assert_eq!(reply.len(), expected.len());
        assert_eq!(reply.clone().into_text(), expected);
        let body = reply.into_body();
        assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
        assert_eq!(body.collect().await.expect("no faults").to_bytes(), expected);
    }
}
