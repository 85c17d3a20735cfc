//! `msnet node --replay GENESIS CHAIN.rlp [HEADFCU.json]`: a recorded chain of Ethereum's own consensus, served from memory.
//!
//! Nobody seals, nothing is stored, no peer is asked. Safe and final are the blocks that the forkchoice file names, else
//! the head.

use std::path::{Path, PathBuf};

use alloy_primitives::B256;
use alloy_rlp::Decodable as _;
use chain::{
    block::Block,
    blockchain::{Blockchain, Storage},
    replay::{self, Rules},
};
use serde_json::Value;

use crate::error::NodeError;

/// The clock that a recorded chain sees: no block is too early.
const NOW_MS: u64 = u64::MAX;

/// What to replay.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The blocks, each its RLP, one after the other.
    pub chain: PathBuf,
    /// An `engine_forkchoiceUpdated` request that names the safe and the final block.
    pub forkchoice: Option<PathBuf>,
}

/// The safe and the final block.
pub type Marked = (B256, B256);

impl Replay {
    /// Imports the chain, and says which blocks are safe and final.
    ///
    /// # Errors
    /// [`NodeError::Unreadable`], [`NodeError::BadReplay`], or the rule that a block broke.
    pub(crate) fn open(&self, genesis: &[u8]) -> Result<(Blockchain, Marked), NodeError> {
        let (genesis, rules) = replay::genesis(genesis)?;
        let mut chain =
            Blockchain::open_with(&genesis, Storage::Memory, Rules::Replay(rules.into()))?;
        let bytes = read("the recorded chain", &self.chain)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let block = Block::decode(&mut rest).map_err(|error| NodeError::BadReplay {
                path: self.chain.clone(),
                reason: format!("{} bytes before its end: {error}", rest.len()),
            })?;
            chain.import(replay::recover(&genesis.spec, block)?, NOW_MS)?;
        }
        let head = chain.reader().head().hash();
        let marked = match &self.forkchoice {
            Some(path) => marked(path)?,
            None => (head, head),
        };
        Ok((chain, marked))
    }
}

fn marked(path: &Path) -> Result<Marked, NodeError> {
    let bytes = read("the forkchoice", path)?;
    let bad = |reason: String| NodeError::BadReplay { path: path.to_owned(), reason };
    let json: Value = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
    let hash = |name: &str| {
        let text = json["params"][0][name].as_str().unwrap_or_default();
        text.parse::<B256>().map_err(|_| bad(format!("params[0].{name} is not a hash")))
    };
    Ok((hash("safeBlockHash")?, hash("finalizedBlockHash")?))
}

pub(crate) fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, NodeError> {
    std::fs::read(path).map_err(|source| NodeError::Unreadable {
        what,
        path: path.to_owned(),
        source,
    })
}
