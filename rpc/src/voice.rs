//! [`Voice`]: whose forms an answer has where geth 1.13.15 and the standard's exchanges part.
//!
//! Every Clique chain speaks as geth recorded it, a replayed one as the standard. The matters are listed in
//! `design/rpc.md` 12.

use alloy_primitives::hex;
use serde_json::Value;

/// Whose forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// go-ethereum v1.13.15, on Clique chains.
    Geth,
    /// ethereum/execution-apis, on replayed chains.
    Standard,
}

impl Voice {
    /// True where the standard's forms hold.
    pub fn is_standard(self) -> bool {
        self == Self::Standard
    }

    /// Bytes in the places where geth leaves `0x` out.
    pub fn bare_hex(self, bytes: &[u8]) -> Value {
        match self {
            Self::Geth => hex::encode(bytes).into(),
            Self::Standard => hex::encode_prefixed(bytes).into(),
        }
    }
}
