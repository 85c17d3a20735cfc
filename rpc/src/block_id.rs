//! Which block a call means: a word, a number, a hash, or EIP-1898's object.

use std::sync::Arc;

use alloy_primitives::B256;
use chain::blockchain::ExecutedBlock;
use serde_json::Value;

use crate::{
    context::Context,
    error::RpcError,
    param::{self, Flaw, Param},
};

/// A block by word or number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockNumber {
    /// The head.
    Latest,
    /// The head and what waits for the next block.
    Pending,
    /// Block 0: nothing is pruned yet.
    Earliest,
    /// Latest justified block.
    Safe,
    /// Latest final block.
    Finalized,
    /// A height.
    Number(u64),
}

/// A block by word, number or hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// By word or number.
    Number(BlockNumber),
    /// By hash.
    Hash {
        /// The hash.
        hash: B256,
        /// True if the block must be on the present chain.
        require_canonical: bool,
    },
}

impl Default for BlockId {
    fn default() -> Self {
        Self::Number(BlockNumber::Latest)
    }
}

impl Param for BlockNumber {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let Some(text) = value.as_str() else { return Err("hex string without 0x prefix".into()) };
        match text {
            "latest" => Ok(Self::Latest),
            "pending" => Ok(Self::Pending),
            "earliest" => Ok(Self::Earliest),
            "safe" => Ok(Self::Safe),
            "finalized" => Ok(Self::Finalized),
            _ => match param::quantity_u64(text)? {
                number if i64::try_from(number).is_ok() => Ok(Self::Number(number)),
                _ => Err("block number larger than int64".into()),
            },
        }
    }
}

impl Param for BlockId {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match value {
            Value::Object(_) => from_object(value),
            // A bare hash is as long as no quantity of 64 bits can be.
            Value::String(text) if text.len() == 66 && text.starts_with("0x") => {
                Ok(Self::Hash { hash: B256::from_json(value)?, require_canonical: false })
            }
            _ => BlockNumber::from_json(value).map(Self::Number),
        }
    }
}

/// EIP-1898: `{blockHash, requireCanonical?}` or `{blockNumber}`.
fn from_object(value: &Value) -> Result<BlockId, Flaw> {
    let hash = param::member::<B256>(value, "blockHash")?;
    let number = param::member::<BlockNumber>(value, "blockNumber")?;
    let require_canonical = param::member(value, "requireCanonical")?.unwrap_or(false);
    match (hash, number) {
        (Some(_), Some(_)) => {
            Err("cannot specify both BlockHash and BlockNumber, choose one or the other".into())
        }
        (Some(hash), None) => Ok(BlockId::Hash { hash, require_canonical }),
        (None, Some(number)) => Ok(BlockId::Number(number)),
        (None, None) => {
            let text = "invalid arguments; neither block nor hash specified";
            Err(RpcError::Server(text.to_owned()).into())
        }
    }
}

impl BlockNumber {
    /// The block, or `None` above the head. `pending` is the head here: callers that know a pending
    /// block ask before.
    ///
    /// # Errors
    /// -32000 for `safe` and `finalized`, as no votes are counted yet.
    pub fn block(self, context: &Context) -> Result<Option<Arc<ExecutedBlock>>, RpcError> {
        let chain = context.chain();
        match self {
            Self::Latest | Self::Pending => Ok(Some(chain.head())),
            Self::Earliest => Ok(chain.block_by_number(0)?),
            Self::Number(number) => Ok(chain.block_by_number(number)?),
            Self::Safe => match context.node.marked() {
                Some((safe, _)) => Ok(chain.block_by_hash(safe)?),
                None => Err(RpcError::Server("safe block not found".to_owned())),
            },
            Self::Finalized => match context.node.marked() {
                Some((_, finalized)) => Ok(chain.block_by_hash(finalized)?),
                None => Err(RpcError::Server("finalized block not found".to_owned())),
            },
        }
    }
}

impl BlockId {
    /// The block, or `None` if there is none.
    ///
    /// # Errors
    /// -32000 for `safe`, `finalized`, and a block off the chain where one on it is required.
    pub fn block(self, context: &Context) -> Result<Option<Arc<ExecutedBlock>>, RpcError> {
        let (hash, require_canonical) = match self {
            Self::Number(number) => return number.block(context),
            Self::Hash { hash, require_canonical } => (hash, require_canonical),
        };
        let Some(block) = context.chain().block_by_hash(hash)? else { return Ok(None) };
        let is_canonical = context.chain().canonical_hash(block.number())? == Some(hash);
        if require_canonical && !is_canonical {
            return Err(RpcError::Server("hash is not currently canonical".to_owned()));
        }
        Ok(Some(block))
    }

    /// The block whose state is asked for.
    ///
    /// # Errors
    /// As [`BlockId::block`], and -32000 if there is none.
    pub fn state_block(self, context: &Context) -> Result<Arc<ExecutedBlock>, RpcError> {
        let text = match self {
            Self::Number(_) => "header not found",
            Self::Hash { .. } => "header for hash not found",
        };
        self.block(context)?.ok_or_else(|| RpcError::Server(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_numbers_and_hashes() {
        let number = |number| BlockId::Number(BlockNumber::Number(number));
        let hash = B256::repeat_byte(0xab);
        for (value, expected) in [
            (json!("latest"), BlockId::default()),
            (json!("0x0"), number(0)),
            (json!("0x7fffffffffffffff"), number(i64::MAX.unsigned_abs())),
            (json!(hash), BlockId::Hash { hash, require_canonical: false }),
            (
                json!({"blockHash": hash, "requireCanonical": true}),
                BlockId::Hash { hash, require_canonical: true },
            ),
            (json!({"blockNumber": "0x10"}), number(16)),
        ] {
            assert_eq!(BlockId::from_json(&value), Ok(expected), "{value}");
        }
        for (value, text) in [
            (json!("newest"), "hex string without 0x prefix"),
            (json!(1), "hex string without 0x prefix"),
            (json!("0x01"), "hex number with leading zero digits"),
            (json!("0x8000000000000000"), "block number larger than int64"),
        ] {
            assert_eq!(BlockId::from_json(&value), Err(text.into()), "{value}");
        }
        assert!(matches!(BlockId::from_json(&json!({})), Err(Flaw::Whole(RpcError::Server(_)))));
    }
}
