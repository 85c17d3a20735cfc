//! The chain as an edge sees it: a JSON-RPC address, a chain id, a head, and what of it is final.
//!
//! An edge asks for standard `eth_*` methods alone, so any Ethereum node with Cancun's opcodes could stand in. Permit
//! reads are made at the final block's hash (EIP-1898, `requireCanonical`), ends of rights are looked for in the latest
//! state (`protocol.md` 1). [`submit`] sends this institution's own transactions, [`follower`] keeps
//! [`tables`] of what the contracts said through [`events`], [`finality`] says which block counts as final, [`revert`] what a
//! contract's refusal means.

pub mod events;
pub mod finality;
pub mod follower;
pub mod revert;
pub mod submit;
pub mod tables;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, FixedBytes, hex};
use alloy_sol_types::SolCall;
use serde_json::{Value, json};

use crate::error::EdgeError;

/// An institution's id: 16 random bytes.
pub type InstId = FixedBytes<16>;

/// How long one JSON-RPC call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a JSON-RPC call brought no result.
#[derive(Debug)]
pub enum RpcFailure {
    /// Nobody answered, or not with JSON-RPC.
    Unreachable(String),
    /// The node answered with an error object.
    Answer {
        /// JSON-RPC error code; 3 is a revert.
        code: i64,
        /// The node's text.
        message: String,
        /// Bytes of a revert, if it was one.
        data: Option<Bytes>,
    },
}

impl From<RpcFailure> for EdgeError {
    fn from(failure: RpcFailure) -> EdgeError {
        match failure {
            RpcFailure::Unreachable(text) => EdgeError::Chain(text),
            RpcFailure::Answer { code, message, data } => EdgeError::Chain(match data {
                Some(data) if !data.is_empty() => revert::explain(&data),
                _ => format!("the node answered {code}: {message}"),
            }),
        }
    }
}

/// A JSON-RPC 2.0 client of one node.
#[derive(Debug)]
pub struct Rpc {
    client: reqwest::Client,
    url: String,
    next_id: AtomicU64,
}

impl Rpc {
    /// A client of the node at `url` (`http://host:port`).
    ///
    /// # Errors
    /// [`EdgeError::Input`] if `url` is not an http address.
    pub fn new(url: &str) -> Result<Rpc, EdgeError> {
        let bad = |why: String| {
            EdgeError::input(
                format!("{url} is not the address of a node: {why}"),
                "--rpc",
                "give an address like http://127.0.0.1:8545",
            )
        };
        let parsed = reqwest::Url::parse(url).map_err(|e| bad(e.to_string()))?;
        if parsed.scheme() != "http" {
            return Err(bad("it does not begin with http://".into()));
        }
        let client = reqwest::Client::builder()
            .timeout(CALL_TIMEOUT)
            .build()
            .map_err(|e| EdgeError::Internal(e.to_string()))?;
        Ok(Rpc { client, url: url.to_owned(), next_id: AtomicU64::new(1) })
    }

    /// One call.
    ///
    /// # Errors
    /// [`RpcFailure`] as it happened.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFailure> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let away = |e: reqwest::Error| {
            RpcFailure::Unreachable(format!("no node answers at {}: {}", self.url, innermost(&e)))
        };
        let response = self.client.post(&self.url).json(&body).send().await.map_err(away)?;
        let mut answer: Value = response.json().await.map_err(away)?;
        if let Some(error) = answer.get("error") {
            return Err(RpcFailure::Answer {
                code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
                message: error.get("message").and_then(Value::as_str).unwrap_or("").to_owned(),
                data: error
                    .get("data")
                    .and_then(Value::as_str)
                    .and_then(|text| hex::decode(text).ok())
                    .map(Bytes::from),
            });
        }
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(RpcFailure::Unreachable(format!(
                "what answers at {} does not speak JSON-RPC",
                self.url
            ))),
        }
    }

    /// The address this client calls.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// The innermost cause of an error: "connection refused" instead of "error sending request".
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// A block this edge looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Seconds since 1970, as the block says.
    pub timestamp: u64,
}

/// At which state a view is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The newest block: where an end of a right is seen.
    Latest,
    /// This block, which must still be canonical: where a right has to be live.
    Block(B256),
}

/// The chain behind one JSON-RPC address.
#[derive(Debug)]
pub struct Chain {
    rpc: Rpc,
    chain_id: u64,
    genesis_hash: B256,
    genesis_signers: usize,
}

impl Chain {
    /// Connects, and refuses another chain than the one expected.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] if nobody answers, or the chain id is not `expected`.
    pub async fn connect(url: &str, expected: Option<u64>) -> Result<Chain, EdgeError> {
        let rpc = Rpc::new(url)?;
        let chain_id = quantity(&rpc.call("eth_chainId", json!([])).await?)?;
        if let Some(want) = expected.filter(|want| *want != chain_id) {
            return Err(EdgeError::Chain(format!(
                "the node at {url} is on chain {chain_id}, this edge's folder belongs to chain {want}; \
                 point --rpc at a node of chain {want}, or start with an empty --datadir"
            )));
        }
        let (header, genesis_hash) = header(&rpc, json!("0x0"))
            .await?
            .ok_or_else(|| EdgeError::Chain(format!("the node at {url} has no genesis block")))?;
        Ok(Chain { rpc, chain_id, genesis_hash, genesis_signers: finality::signers_of(&header) })
    }

    /// EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.genesis_hash
    }

    /// Number of signers the genesis block names (EIP-225).
    pub fn genesis_signers(&self) -> usize {
        self.genesis_signers
    }

    /// The client below.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The newest block.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] if the node does not answer.
    pub async fn head(&self) -> Result<Head, EdgeError> {
        self.block_or_fail(json!("latest")).await.map(|(_, head)| head)
    }

    /// The block at a height, if there is one.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] if the node does not answer.
    pub async fn block(&self, number: u64) -> Result<Option<(Header, Head)>, EdgeError> {
        let found = header(&self.rpc, json!(format!("{number:#x}"))).await?;
        Ok(found.map(|(header, hash)| {
            let head = Head { number: header.number, hash, timestamp: header.timestamp };
            (header, head)
        }))
    }

    async fn block_or_fail(&self, tag: Value) -> Result<(Header, Head), EdgeError> {
        let (header, hash) = header(&self.rpc, tag.clone())
            .await?
            .ok_or_else(|| EdgeError::Chain(format!("the node has no block {tag}")))?;
        let head = Head { number: header.number, hash, timestamp: header.timestamp };
        Ok((header, head))
    }

    /// Reads a view of a contract.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] with the contract's own error in words, or if there is no such contract.
    pub async fn read<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
        at: At,
    ) -> Result<C::Return, EdgeError> {
        let tag = match at {
            At::Latest => json!("latest"),
            At::Block(hash) => json!({"blockHash": hash, "requireCanonical": true}),
        };
        let data = Bytes::from(call.abi_encode());
        let params = json!([{"to": contract, "data": data}, tag]);
        let answer = self.rpc.call("eth_call", params).await?;
        let bytes = answer
            .as_str()
            .and_then(|text| hex::decode(text).ok())
            .ok_or_else(|| EdgeError::Chain("the answer to eth_call is not hex".into()))?;
        C::abi_decode_returns(&bytes).map_err(|_| {
            EdgeError::Chain(format!(
                "{contract} does not answer {}; is this a chain with msnet's contracts?",
                C::SIGNATURE
            ))
        })
    }
}

/// A block's header with its hash, by number or tag.
async fn header(rpc: &Rpc, tag: Value) -> Result<Option<(Header, B256)>, EdgeError> {
    let block = rpc.call("eth_getBlockByNumber", json!([tag, false])).await?;
    if block.is_null() {
        return Ok(None);
    }
    let hash = block.get("hash").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let header = serde_json::from_value::<Header>(block);
    match (header, hash) {
        (Ok(header), Some(hash)) => Ok(Some((header, hash))),
        _ => Err(EdgeError::Chain("the node's block is not an Ethereum block".into())),
    }
}

/// Reads a JSON-RPC quantity (`"0x1f"`).
pub(crate) fn quantity(value: &Value) -> Result<u64, EdgeError> {
    value
        .as_str()
        .and_then(|text| text.strip_prefix("0x"))
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| {
            EdgeError::Chain(format!("the node answered {value} where a number belongs"))
        })
}
