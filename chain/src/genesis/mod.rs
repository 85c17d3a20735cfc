//! The first block: geth's genesis JSON in, geth's header, state root and hash out.
//!
//! [`read`](Genesis::from_json) is strict where geth shrugs: a duplicate key, a fork that this program
//! does not know or a number too wide is an error with its JSON path, so that two members of a
//! network cannot read one file in two ways. [`to_json`] writes a file that reads back to the same
//! hash. A file may be hashed without being runnable (mainnet's can);
//! [`Genesis::validate_runnable`] draws that line.

mod json;
mod read;
mod write;

use std::collections::BTreeMap;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, proofs};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256, keccak256};
use alloy_trie::TrieAccount;

pub use write::to_json;

use crate::{
    block::{Header, SealedHeader},
    clique::snapshot::listed_signers,
    error::ChainError,
    spec::ChainSpec,
    validate::INITIAL_BASE_FEE,
};

/// Longest file that is read, bytes.
pub const MAX_FILE_BYTES: usize = 256 << 20;
/// Below so many signers one copied key forks the chain.
const RESILIENT_SIGNERS: usize = 4;
/// Gas limit of block 0 where the file says 0 (geth's `GenesisGasLimit`).
pub const DEFAULT_GAS_LIMIT: u64 = 4_712_388;

/// Why a genesis cannot be read or cannot run. Texts are geth's where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The file is longer than [`MAX_FILE_BYTES`].
    #[error("genesis file of {bytes} bytes is longer than {MAX_FILE_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The bytes are not JSON.
    #[error("genesis is not JSON: {text}")]
    NotJson {
        /// What is wrong, with line and column.
        text: String,
    },
    /// A value has the wrong shape.
    #[error("genesis {path}: {text}")]
    Value {
        /// Where, such as `config.clique.period`.
        path: String,
        /// What is expected there.
        text: String,
    },
    /// Two keys of one object mean the same thing.
    #[error("genesis {path}: duplicate key")]
    DuplicateKey {
        /// The second key.
        path: String,
    },
    /// A key that geth requires is absent.
    #[error("missing required field '{field}' for {object}")]
    MissingField {
        /// The key.
        field: &'static str,
        /// geth's name of the object around it: `Genesis`, `GenesisAccount`, `ChainConfig`.
        object: &'static str,
    },
    /// The config schedules a fork that this program does not implement.
    #[error("genesis {path}: unknown fork, this program implements forks up to osakaTime")]
    UnknownFork {
        /// The key.
        path: String,
    },
    /// The file has no `config`.
    #[error("genesis has no chain configuration")]
    NoConfig,
    /// Forks leave a gap or run backwards.
    #[error("unsupported fork ordering: {text}")]
    ForkOrder {
        /// Both forks and where they stand.
        text: String,
    },
    /// Constantinople without Petersburg would need EIP-1283.
    #[error(
        "unsupported fork ordering: constantinopleBlock is {constantinople:?} but petersburgBlock \
         is {petersburg:?}; they must be equal, as EIP-1283 is not implemented"
    )]
    PetersburgDiffers {
        /// `constantinopleBlock`.
        constantinople: Option<u64>,
        /// `petersburgBlock`.
        petersburg: Option<u64>,
    },
    /// Nothing says how blocks are sealed.
    #[error("genesis has no config.clique section, so no block can be sealed or verified")]
    NotClique,
    /// Extra-data does not hold vanity, at least one signer and an empty seal.
    #[error("can't start clique chain without signers")]
    NoSigners,
    /// Block 0 claims another height.
    #[error("can't commit genesis block with number > 0")]
    NumberNotZero,
    /// `msnet.zeroBaseFee` in a network where the base fee would start above zero.
    #[error("genesis config.msnet.zeroBaseFee needs londonBlock 0 and baseFeePerGas 0")]
    ZeroBaseFee,
    /// `msnet.finality`: votes are not part of this version.
    #[error("genesis config.msnet.finality: finality votes are not implemented, set it to false")]
    FinalityUnsupported,
}

/// An account that exists before block 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Number of transactions sent; 1 for a contract (EIP-161).
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// Contract code, empty for an account with a key.
    pub code: Bytes,
    /// Slots whose value is not zero.
    pub storage: BTreeMap<U256, U256>,
}

impl GenesisAccount {
    /// keccak256 of the code.
    pub fn code_hash(&self) -> B256 {
        keccak256(&self.code)
    }

    /// Root of the trie of the storage.
    pub fn storage_root(&self) -> B256 {
        let slots = self.storage.iter().map(|(&slot, &value)| (B256::from(slot), value));
        proofs::storage_root_unhashed(slots)
    }
}

/// A network's rules, accounts and first header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The rules of every block.
    pub spec: ChainSpec,
    /// Header of block 0; its state root is that of `alloc`.
    pub header: Header,
    /// Accounts of block 0. Empty ones stay (no EIP-158 clearing in block 0).
    pub alloc: BTreeMap<Address, GenesisAccount>,
    /// What the reader saw and did not use, a sentence each, with its JSON path.
    pub warnings: Vec<String>,
}

impl Genesis {
    /// Reads geth's genesis JSON and computes the state root.
    ///
    /// # Errors
    /// [`ChainError::Genesis`] with the JSON path of the first thing that is wrong.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ChainError> {
        Ok(read::read(bytes)?)
    }

    /// Joins rules, header fields and accounts made by a program. Roots, blooms and the base fee of
    /// `header` are set here; everything else is taken as it is.
    pub fn new(
        spec: ChainSpec,
        mut header: Header,
        alloc: BTreeMap<Address, GenesisAccount>,
    ) -> Self {
        header.ommers_hash = EMPTY_OMMER_ROOT_HASH;
        header.transactions_root = EMPTY_ROOT_HASH;
        header.receipts_root = EMPTY_ROOT_HASH;
        header.logs_bloom = Bloom::ZERO;
        header.state_root = state_root(&alloc);
        if header.gas_limit == 0 {
            header.gas_limit = DEFAULT_GAS_LIMIT;
        }
        header.base_fee_per_gas =
            spec.is_london(0).then(|| header.base_fee_per_gas.unwrap_or(INITIAL_BASE_FEE));
        Self { spec, header, alloc, warnings: Vec::new() }
    }

    /// Hash of block 0.
    pub fn hash(&self) -> B256 {
        self.header.hash_slow()
    }

    /// The header together with its hash.
    pub fn sealed_header(&self) -> SealedHeader {
        SealedHeader::seal_slow(self.header.clone())
    }

    /// What an operator of this network should know before it runs, a sentence each.
    pub fn start_warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.spec.has_forks_after_london() {
            let text = "evm forks after london are scheduled: go-ethereum peers cannot follow this network";
            warnings.push(text.to_owned());
        }
        if self.spec.zero_base_fee {
            let text = "the base fee is 0 in every block: go-ethereum peers leave at the first block over half full";
            warnings.push(text.to_owned());
        }
        let signers = listed_signers(&self.header.extra_data).map_or(0, |signers| signers.len());
        if signers < RESILIENT_SIGNERS {
            warnings.push(format!(
                "{signers} of at least {RESILIENT_SIGNERS} advised signers: one copied key can fork this network"
            ));
        }
        warnings
    }

    /// Checks that a network can run on this genesis, which a file made for a mere hash need not.
    ///
    /// # Errors
    /// The first of: no `clique` section, no signers, number above 0, forks out of order, extras of
    /// the `msnet` section that do not fit or are not implemented.
    pub fn validate_runnable(&self) -> Result<(), ChainError> {
        if self.spec.clique.is_none() {
            return Err(GenesisError::NotClique.into());
        }
        if listed_signers(&self.header.extra_data).map_or(true, |signers| signers.is_empty()) {
            return Err(GenesisError::NoSigners.into());
        }
        if self.header.number != 0 {
            return Err(GenesisError::NumberNotZero.into());
        }
        self.spec.validate_fork_order()?;
        if self.spec.zero_base_fee && self.header.base_fee_per_gas != Some(0) {
            return Err(GenesisError::ZeroBaseFee.into());
        }
        if self.spec.finality {
            return Err(GenesisError::FinalityUnsupported.into());
        }
        Ok(())
    }
}

/// Root of the account trie over `alloc`.
pub fn state_root(alloc: &BTreeMap<Address, GenesisAccount>) -> B256 {
    let leaf = |(&address, account): (&Address, &GenesisAccount)| {
        let leaf = TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root: account.storage_root(),
            code_hash: account.code_hash(),
        };
        (address, leaf)
    };
    proofs::state_root_unhashed(alloc.iter().map(leaf))
}

#[cfg(test)]
pub(crate) mod tests;
