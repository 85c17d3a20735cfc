//! The replay rules: Ethereum's own chains, from Frontier to the blob-parameter forks, run as a judge of our executor.
//!
//! Public test chains are sealed by proof of work or not at all, pay rewards, know uncles, withdrawals, blobs and
//! requests. None of that exists in a network of ours, so [`Rules`] is chosen when a chain is opened and stands at the few
//! points where the two differ: who is the author, what a header and a body must be, what happens before the first and
//! after the last transaction, and which head wins. Everything between is the same code.
//!
//! | | Clique | replay |
//! |---|---|---|
//! | seal | recovered and checked | not checked |
//! | author | the signer | the header's `coinbase` |
//! | header | 15 or 16 fields | Ethereum's fields, by fork |
//! | difficulty | 1 or 2 | by formula; 0 after the merge |
//! | uncles, reward | none | until the merge |
//! | end of block | nothing | withdrawals (EIP-4895), requests (EIP-6110, 7002, 7251, 7685) |
//! | head | [`crate::fork_choice`] | greatest total difficulty, first seen at a tie; after the merge the last one imported |
//!
//! Side blocks are run when they arrive, so that a wrong one is refused at once. Not implemented: the DAO fork's state
//! change and proof of work itself.

mod body;
mod difficulty;
mod error;
mod genesis;
mod header;
mod instructions;
mod network;
mod requests;
mod run;
mod transaction;
mod wide_price;

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::transaction::SignerRecoverable as _;
pub use alloy_eips::eip7840::BlobParams;
use alloy_primitives::{Address, B256, U256, address};
pub use revm::primitives::hardfork::SpecId;

pub use self::{
    error::ReplayError,
    genesis::genesis,
    header::Ancestors,
    network::network,
    transaction::{CheckedTransaction, check_transaction},
};
use crate::{
    block::{Block, Header, RecoveredBlock, SealedHeader},
    clique::{Snapshot, seal},
    error::ChainError,
    fork_choice::HeadKey,
    genesis::GenesisError,
    spec::{ChainSpec, CliqueConfig},
};

/// The deposit contract of Ethereum's main network (EIP-6110).
pub const MAINNET_DEPOSIT_CONTRACT: Address =
    address!("0x00000000219ab540356cBB839Cbe05303d7705Fa");

/// Which consensus a chain follows; a store remembers it.
#[derive(Debug, Clone, Default)]
pub enum Rules {
    /// Clique, the rules of every network of ours.
    #[default]
    Clique,
    /// Ethereum's, to judge the executor by public test chains.
    Replay(Arc<ReplayRules>),
}

/// What Ethereum's rules need beside a [`ChainSpec`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayRules {
    /// Pay miners and uncles before the merge.
    pub reward: bool,
    /// Total difficulty of a parent from which blocks have no work; 0 merges at block 1, `None` never.
    pub terminal_total_difficulty: Option<U256>,
    /// `muirGlacierBlock`, EIP-2384.
    pub muir_glacier: Option<u64>,
    /// `arrowGlacierBlock`, EIP-4345.
    pub arrow_glacier: Option<u64>,
    /// `grayGlacierBlock`, EIP-5133.
    pub gray_glacier: Option<u64>,
    /// `mergeNetsplitBlock`: nothing but a part of the fork id.
    pub merge_netsplit: Option<u64>,
    /// Blob parameters by the time from which they hold, ascending (EIP-7892).
    pub blob_schedule: Vec<(u64, BlobParams)>,
    /// Whose logs are deposits (EIP-6110).
    pub deposit_contract: Address,
}

impl Default for ReplayRules {
    fn default() -> Self {
        Self {
            reward: true,
            terminal_total_difficulty: None,
            muir_glacier: None,
            arrow_glacier: None,
            gray_glacier: None,
            merge_netsplit: None,
            blob_schedule: Vec::new(),
            deposit_contract: MAINNET_DEPOSIT_CONTRACT,
        }
    }
}

impl ReplayRules {
    /// True if a block was made after the merge. Verification holds the difficulty to that.
    pub fn is_merged(&self, header: &Header) -> bool {
        self.terminal_total_difficulty.is_some() && header.difficulty.is_zero() && header.number > 0
    }

    /// The blob parameters at a time; `None` before Cancun.
    pub fn blob_params(&self, timestamp: u64) -> Option<BlobParams> {
        let active = self.blob_schedule.iter().rev().find(|&&(from, _)| from <= timestamp);
        active.map(|&(_, params)| params)
    }

    /// The newest rule set of the EVM in a block. revm has no Constantinople: it is Petersburg with EIP-1283's `SSTORE`.
    pub(crate) fn spec_id(&self, spec: &ChainSpec, header: &Header) -> SpecId {
        match spec.spec_id(header.number, header.timestamp) {
            SpecId::LONDON if self.is_merged(header) => SpecId::MERGE,
            SpecId::BYZANTIUM if is_constantinople(spec, header.number) => SpecId::PETERSBURG,
            id => id,
        }
    }
}

/// True from Constantinople on, Petersburg or not.
fn is_constantinople(spec: &ChainSpec, number: u64) -> bool {
    let forks = &spec.forks;
    [forks.constantinople, forks.petersburg].into_iter().flatten().any(|at| at <= number)
}

/// True where `SSTORE` follows EIP-1283.
fn is_eip1283(spec: &ChainSpec, number: u64) -> bool {
    let is_petersburg = spec.forks.petersburg.is_some_and(|at| at <= number);
    is_constantinople(spec, number) && !is_petersburg
}

impl Rules {
    /// The name that a store keeps under `meta.engine`.
    pub const fn engine(&self) -> &'static str {
        match self {
            Self::Clique => "clique",
            Self::Replay(_) => "replay",
        }
    }

    /// Who made a stored block and gets its fees.
    ///
    /// # Errors
    /// [`ChainError::Clique`] if a seal does not recover.
    pub(crate) fn author(&self, header: &Header) -> Result<Address, ChainError> {
        match self {
            Self::Clique => Ok(seal::recover_signer(header)?),
            Self::Replay(_) => Ok(header.beneficiary),
        }
    }

    /// The signers after genesis; none in a replay.
    ///
    /// # Errors
    /// [`GenesisError::NotClique`], or what is wrong with the list.
    pub(crate) fn genesis_snapshot(
        &self,
        spec: &ChainSpec,
        header: &SealedHeader,
    ) -> Result<Snapshot, ChainError> {
        if matches!(self, Self::Clique) {
            let config = spec.clique.ok_or(GenesisError::NotClique)?;
            return Ok(Snapshot::genesis(header, config)?);
        }
        Ok(Snapshot {
            config: CliqueConfig { period_secs: 0, epoch: u64::MAX },
            number: header.number,
            hash: header.hash(),
            signers: Default::default(),
            recents: BTreeMap::new(),
            votes: Vec::new(),
            tally: BTreeMap::new(),
        })
    }

    /// The rank of a replayed head; ties are left to [`Self::prefers`]. `None` under Clique.
    pub(crate) fn head_key(&self, total_difficulty: U256) -> Option<HeadKey> {
        let key = HeadKey {
            total_difficulty,
            number: std::cmp::Reverse(0),
            distance: std::cmp::Reverse(0),
            hash: std::cmp::Reverse(B256::ZERO),
        };
        matches!(self, Self::Replay(_)).then_some(key)
    }

    /// True if a block that does not extend the head becomes head.
    pub(crate) fn prefers(&self, new: &HeadKey, header: &Header, head: &HeadKey) -> bool {
        match self {
            Self::Replay(rules) if rules.is_merged(header) => true,
            _ => new > head,
        }
    }

    /// True if blocks are run when they arrive even if they are not to become head.
    pub(crate) const fn runs_side_blocks(&self) -> bool {
        matches!(self, Self::Replay(_))
    }
}

/// Hashes a block and recovers its senders under Ethereum's rules: before Homestead a high `s` is fine (EIP-2), before
/// Spurious Dragon a chain id is not (EIP-155).
///
/// # Errors
/// [`ChainError::InvalidSender`] names the first transaction whose signature does not fit.
pub fn recover(spec: &ChainSpec, block: Block) -> Result<RecoveredBlock, ChainError> {
    let spec_id = spec.spec_id(block.header.number, block.header.timestamp);
    let mut senders = Vec::with_capacity(block.body.transactions.len());
    for (index, transaction) in block.body.transactions.iter().enumerate() {
        let is_early = !spec_id.is_enabled_in(SpecId::SPURIOUS_DRAGON)
            && transaction.is_legacy()
            && alloy_consensus::Transaction::chain_id(transaction).is_some();
        let sender = if spec_id.is_enabled_in(SpecId::HOMESTEAD) {
            transaction.recover_signer()
        } else {
            transaction.recover_signer_unchecked()
        };
        match sender {
            Ok(sender) if !is_early => senders.push(sender),
            _ => return Err(ChainError::InvalidSender { index, hash: *transaction.tx_hash() }),
        }
    }
    let hash = block.header.hash_slow();
    Ok(RecoveredBlock::new(block, senders, hash))
}
