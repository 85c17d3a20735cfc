//! What goes wrong in a node: at the start, at the stop, with a transaction.

use std::path::PathBuf;

use alloy_primitives::Address;
use chain::{error::ChainError, pool::PoolError};

use crate::permissions::PermissionError;

/// Why a node does not start or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The ledger refused: genesis, folder, storage.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The file of proposals cannot be used.
    #[error(transparent)]
    Proposals(#[from] ProposalError),
    /// A file of the command line cannot be read.
    #[error("cannot read {what} {}: {source}", path.display())]
    Unreadable {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A genesis file was read, but is none.
    #[error("{} is no genesis of a network: {source}\n  do: mend the file, or make one with msnet genesis", path.display())]
    BadGenesis {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where in it.
        source: ChainError,
    },
    /// A file of `--replay` was read, but does not hold what it should.
    #[error("cannot replay {}: {reason}", path.display())]
    BadReplay {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// No built-in network of this name.
    #[error("there is no built-in network {0:?}\n  do: name a genesis file with --genesis FILE")]
    UnknownNetwork(String),
    /// Neither a network nor a genesis was named.
    #[error(
        "no network was chosen\n  do: start a development chain with --dev, add --network NAME or --genesis FILE, or name a folder that msnet init made with --datadir"
    )]
    NoNetwork,
    /// A data folder that no network was stored in.
    #[error(
        "{} holds no chain\n  do: check --datadir, or make one there with msnet init FILE --datadir {}",
        datadir.display(),
        datadir.display()
    )]
    NoGenesis {
        /// The folder.
        datadir: PathBuf,
    },
    /// `--networkid` and the genesis differ.
    #[error(
        "the genesis has network id {have}, --networkid says {want}\n  do: check which network this should be; network id and chain id are one number here"
    )]
    OtherNetworkId {
        /// The genesis' chain id.
        have: u64,
        /// The flag's.
        want: u64,
    },
    /// `--mine` without a key.
    #[error(
        "nothing to seal with: --mine was given without a key\n  do: add --unlock ADDRESS --password FILE, or --signer KEYFILE"
    )]
    NoSigner,
    /// A key file does not open.
    #[error(transparent)]
    Keystore(#[from] crate::keystore::KeystoreError),
    /// No password.
    #[error(transparent)]
    Prompt(#[from] crate::prompt::PromptError),
    /// Not a secret key.
    #[error("the signer's key is not a secp256k1 secret key (64 hex digits, not zero)")]
    InvalidKey,
    /// A development chain that none of its accounts can seal.
    #[error(
        "none of the development accounts is a signer of this genesis; its signers are {signers:?}"
    )]
    NoDevSigner {
        /// Who could.
        signers: Vec<Address>,
    },
    /// The lists of who may use this node.
    #[error(transparent)]
    Permission(#[from] PermissionError),
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The writer did not end in time, or ended by a panic; the log on disk is complete
    /// nevertheless.
    #[error("the writer did not stop cleanly: {0}")]
    Stop(&'static str),
}

/// Why a transaction was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The pool's rules.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The signature belongs to nobody, or to another chain.
    #[error("invalid sender")]
    InvalidSender,
    /// The state could not be read.
    #[error("cannot read the state: {0}")]
    Chain(#[from] ChainError),
    /// The disk is nearly full.
    #[error(transparent)]
    ReadOnly(#[from] crate::disk_watch::ReadOnly),
    /// The node is about to end.
    #[error("the node is stopping")]
    Stopped,
}

/// Why own blocks cannot be as asked.
#[derive(Debug, thiserror::Error)]
pub enum MinerError {
    /// There is no key to seal with.
    #[error("etherbase missing: this node has no key to seal with")]
    NoKey,
    /// Blocks are sealed by the key's account alone.
    #[error("etherbase is {have}: blocks are sealed by the account of the key")]
    OtherAccount {
        /// The key's.
        have: alloy_primitives::Address,
    },
    /// No block can have such a gas limit.
    #[error("gas limit {gas} is out of range, the least is {least}")]
    GasLimit {
        /// As asked.
        gas: u64,
        /// The least.
        least: u64,
    },
    /// There are 32 bytes for it.
    #[error("extra exceeds max length. {have} > 32")]
    LongVanity {
        /// Its bytes.
        have: usize,
    },
}

/// Why the head cannot be set back.
#[derive(Debug, thiserror::Error)]
pub enum SetHeadError {
    /// It is not there yet.
    #[error("cannot set the head to block {number}: the head is block {head}")]
    AboveHead {
        /// As asked.
        number: u64,
        /// The head.
        head: u64,
    },
    /// Nobody may take it back.
    #[error("cannot set the head to block {number}: block {finalized} is final")]
    BelowFinal {
        /// As asked.
        number: u64,
        /// The latest final block.
        finalized: u64,
    },
    /// A key seals once on a parent, so nothing would follow.
    #[error(
        "cannot set the head to block {number}: this node is the only signer and has sealed on it already, so no block would follow"
    )]
    OnlySigner {
        /// As asked.
        number: u64,
    },
    /// What the ledger says.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The node is about to end.
    #[error("the node is stopping")]
    Stopped,
}

/// Why a proposal to change the signers is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ProposalError {
    /// geth counts votes about the zero address, Besu ignores them.
    #[error("the zero address cannot become a signer: clients disagree about votes on it")]
    ZeroAddress,
    /// The vote would end the chain.
    #[error(
        "{address} is the only signer: without it nobody could seal a block\n  do: vote another signer in first"
    )]
    LastSigner {
        /// The signer.
        address: Address,
    },
    /// The file was changed by something else, or the disk fails.
    #[error("cannot read the proposals in {}: {source}\n  do: mend or remove the file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The disk is full or fails.
    #[error("cannot write the proposals to {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The ledger cannot say who the signers are.
    #[error(transparent)]
    Chain(#[from] ChainError),
}
