//! [`RpcError`]: code, message and data of a failed call (EIP-1474; 3 is geth's code for a revert).
//!
//! The words are geth's, because ethers, viem and web3.py tell errors apart by them. Our own faults
//! say `internal error` to the client and the rest to the log.

use std::time::Duration;

use alloy_primitives::{Bytes, U256, hex};
use chain::error::ChainError;
use jsonrpsee::types::ErrorObjectOwned;
use node::error::SubmitError;
use serde_json::{Value, json};

/// What every handler answers.
pub type RpcResult = Result<Value, RpcError>;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The body is not one JSON value (-32700).
    #[error("parse error")]
    Parse,
    /// The JSON is not a request (-32600).
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// No such method here (-32601).
    #[error("the method {} does not exist/is not available", shorten(.0))]
    MethodNotFound(String),
    /// Subscriptions need a connection that stays open (-32601).
    #[error("notifications not supported")]
    NotificationsNotSupported,
    /// Parameters of the wrong count, type or form (-32602).
    #[error("{0}")]
    Params(String),
    /// The chain, the pool or the state says no (-32000).
    #[error("{0}")]
    Server(String),
    /// The called contract reverted with these bytes (3).
    #[error("execution reverted{}", reason_suffix(.0))]
    Revert(Bytes),
    /// A limit of `limits.rs` is exceeded (-32005).
    #[error("{0}")]
    Limit(String),
    /// A WebSocket or IPC message is larger than it may be (-32007).
    #[error("Request is too big")]
    TooLargeMessage,
    /// A batch took too long, and the rest of it was not run (-32002).
    #[error("request timed out after {}s", .0.as_secs())]
    Timeout(Duration),
    /// A run of the EVM took too long and was stopped (-32000).
    #[error("execution aborted (timeout = {})", go_duration(*.0))]
    Aborted(Duration),
    /// A trace took too long and was stopped (-32000).
    #[error("execution timeout")]
    TraceTimeout,
    /// An error with a code and data of its own.
    #[error("{message}")]
    Coded {
        /// The code.
        code: i32,
        /// The words.
        message: String,
        /// What stands beside them, if anything.
        data: Option<Value>,
    },
    /// The answer is larger than a client may ask for (-32003).
    #[error("response exceeds 25 MB")]
    TooLarge,
    /// Our fault (-32603); the text is for the log alone.
    #[error("internal error")]
    Internal(String),
}

impl RpcError {
    /// The error for text `text` in position `index` of the parameters, counted from 0.
    pub fn argument(index: usize, text: impl std::fmt::Display) -> Self {
        Self::Params(format!("invalid argument {index}: {text}"))
    }

    /// -32000 with geth's words for a state that nobody has.
    pub fn header_not_found() -> Self {
        Self::Server("header not found".to_owned())
    }

    /// The JSON-RPC error code.
    pub const fn code(&self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::InvalidRequest(_) => -32600,
            Self::MethodNotFound(_) | Self::NotificationsNotSupported => -32601,
            Self::Params(_) => -32602,
            Self::Internal(_) => -32603,
            Self::Server(_) | Self::Aborted(_) | Self::TraceTimeout => -32000,
            Self::Timeout(_) => -32002,
            Self::Coded { code, .. } => *code,
            Self::TooLarge => -32003,
            Self::TooLargeMessage => -32007,
            Self::Limit(_) => -32005,
            Self::Revert(_) => 3,
        }
    }

    /// Tells the log what a client is not told.
    pub fn log_fault(&self) {
        if let Self::Internal(why) = self {
            tracing::error!(%why, "a call failed by our fault");
        }
    }

    /// The error object as it stands in an answer.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Revert(output) => {
                let data = hex::encode_prefixed(output);
                json!({"code": self.code(), "message": self.to_string(), "data": data})
            }
            Self::Coded { data: Some(data), .. } => {
                json!({"code": self.code(), "message": self.to_string(), "data": data})
            }
            _ => json!({"code": self.code(), "message": self.to_string()}),
        }
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        error.log_fault();
        let data = match &error {
            RpcError::Revert(output) => Some(Value::from(hex::encode_prefixed(output))),
            RpcError::Coded { data, .. } => data.clone(),
            _ => None,
        };
        Self::owned(error.code(), error.to_string(), data)
    }
}

impl From<ChainError> for RpcError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::CallRefused { reason } => Self::Server(reason),
            pruned @ ChainError::HistoryPruned { .. } => Self::Server(pruned.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<SubmitError> for RpcError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Stopped => Self::Internal(error.to_string()),
            other => Self::Server(other.to_string()),
        }
    }
}

/// Whole seconds as Go writes them: `5s`, `1m30s`.
fn go_duration(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, secs) => format!("{secs}s"),
        (minutes, secs) => format!("{minutes}m{secs}s"),
    }
}

/// A method name of a stranger, escaped and cut, so that an answer never grows with it.
fn shorten(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_default).collect()
}

fn reason_suffix(output: &Bytes) -> String {
    revert_reason(output).map(|reason| format!(": {reason}")).unwrap_or_default()
}

/// The words of a revert: of `Error(string)` the string, of `Panic(uint256)` the name of its code;
/// of custom errors none.
pub fn revert_reason(output: &[u8]) -> Option<String> {
    const ERROR_STRING: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
    const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];
    let (selector, body) = output.split_first_chunk::<4>()?;
    match *selector {
        ERROR_STRING => decode_string(body),
        PANIC => Some(panic_name(U256::from_be_slice(body.get(..32)?))),
        _ => None,
    }
}

/// Decodes the one `string` of an ABI body: offset, length, bytes.
fn decode_string(body: &[u8]) -> Option<String> {
    let word = |at: usize| {
        let end = at.checked_add(32)?;
        usize::try_from(U256::from_be_slice(body.get(at..end)?)).ok()
    };
    let length_at = word(0)?;
    let start = length_at.checked_add(32)?;
    let end = start.checked_add(word(length_at)?)?;
    Some(String::from_utf8_lossy(body.get(start..end)?).into_owned())
}

/// Names of Solidity's panic codes, in geth's words.
fn panic_name(code: U256) -> String {
    let name = match u64::try_from(code).unwrap_or(u64::MAX) {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_string(text: &str) -> Vec<u8> {
        let mut bytes = vec![0x08, 0xc3, 0x79, 0xa0];
        bytes.extend(U256::from(32).to_be_bytes::<32>());
        bytes.extend(U256::from(text.len()).to_be_bytes::<32>());
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(32) + 4, 0);
        bytes
    }

    #[test]
    fn revert_says_its_reason() {
        let error = RpcError::Revert(error_string("not yours").into());
        assert_eq!(error.to_string(), "execution reverted: not yours");
        assert_eq!(error.code(), 3);
        assert_eq!(error.to_json()["data"].as_str().map(|data| &data[..10]), Some("0x08c379a0"));
    }

    #[test]
    fn panic_codes_have_names() {
        let mut bytes = vec![0x4e, 0x48, 0x7b, 0x71];
        bytes.extend(U256::from(0x11).to_be_bytes::<32>());
        assert_eq!(revert_reason(&bytes).as_deref(), Some("arithmetic underflow or overflow"));
        bytes[35] = 0x77;
        assert_eq!(revert_reason(&bytes).as_deref(), Some("unknown panic code: 0x77"));
    }

    #[test]
    fn a_stopped_run_says_what_geth_says() {
        for (secs, text) in [(5, "5s"), (60, "1m0s"), (90, "1m30s")] {
            let error = RpcError::Aborted(Duration::from_secs(secs));
            let want = format!("execution aborted (timeout = {text})");
            assert_eq!((error.code(), error.to_string()), (-32000, want));
        }
    }

    #[test]
    fn broken_reasons_are_no_reasons() {
        let whole = error_string("a reason that is cut");
        for length in 0..whole.len() - 32 {
            assert_eq!(revert_reason(&whole[..length]), None, "{length}");
        }
        let mut far = whole;
        far[4..36].fill(0xff);
        assert_eq!(revert_reason(&far), None);
        assert_eq!(RpcError::Revert(Bytes::new()).to_json()["data"], "0x");
    }

    #[test]
    fn method_names_are_escaped_and_cut() {
        let error = RpcError::MethodNotFound("a\n".repeat(100));
        assert!(error.to_string().contains("a\\na\\n"));
        assert!(error.to_string().len() < 200);
    }
}
