//! What must hold in every step of a run, whatever breaks.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::{Address, B256};

use super::oracle::Oracle;
use crate::{
    block::RecoveredBlock,
    clique::{Snapshot, seal::recover_signer},
};

/// Sees every block that any node accepted.
#[derive(Debug)]
pub(super) struct Referee {
    pub(super) oracle: Oracle,
    blocks: HashMap<B256, Arc<RecoveredBlock>>,
    /// In the order in which they were first accepted.
    order: Vec<B256>,
    /// What a key sealed on a parent.
    seals: HashMap<(Address, B256), B256>,
}

impl Referee {
    pub(super) fn new(oracle: Oracle) -> Self {
        Self { oracle, blocks: HashMap::new(), order: Vec::new(), seals: HashMap::new() }
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = &Arc<RecoveredBlock>> {
        self.order.iter().map(|hash| &self.blocks[hash])
    }

    pub(super) fn block(&self, hash: B256) -> Option<&Arc<RecoveredBlock>> {
        self.blocks.get(&hash)
    }

    /// A node keeps this block. The first time it is judged: every rule of EIP-225, one seal of a key on a parent.
    pub(super) fn accepted(
        &mut self,
        block: &Arc<RecoveredBlock>,
        snapshot: impl FnOnce() -> Result<Arc<Snapshot>, String>,
    ) -> Result<(), String> {
        let (hash, header) = (block.hash(), block.header());
        if self.blocks.contains_key(&hash) {
            return Ok(());
        }
        let named = |why: String| format!("block {} {hash} was accepted, but {why}", header.number);
        let signer = recover_signer(header).map_err(|error| named(error.to_string()))?;
        self.oracle.judge(hash, header, signer).map_err(named)?;
        self.oracle.compare(hash, &*snapshot()?).map_err(named)?;
        let first = *self.seals.entry((signer, header.parent_hash)).or_insert(hash);
        if first != hash {
            let parent = header.parent_hash;
            return Err(format!(
                "{signer} sealed two blocks on {parent} (number {}): {first} and {hash}",
                header.number
            ));
        }
        self.blocks.insert(hash, block.clone());
        self.order.push(hash);
        Ok(())
    }
}
