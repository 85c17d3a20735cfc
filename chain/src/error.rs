//! [`ChainError`]: the rule that broke, and whose fault it is.
//!
//! Each module names its own rules (`CliqueError`, `GenesisError`, `BlockError`, …); this enum joins
//! them, so that a caller matches on one type. The texts are geth's wherever geth has one, because
//! operators search for them.

use crate::{clique::CliqueError, genesis::GenesisError, validate::BlockError};

/// Everything the ledger can refuse or fail at.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A header or a signer broke a rule of EIP-225.
    #[error(transparent)]
    Clique(#[from] CliqueError),
    /// A genesis file cannot be read, or does not describe a network that this program can run.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// A header or a body broke a rule that holds under any engine.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A replayed block broke a rule of Ethereum's that no network of ours has.
    #[error(transparent)]
    Replay(#[from] crate::replay::ReplayError),
    /// The store holds a chain under other rules.
    #[error("the store was made by the engine {have}, this start asked for {new}")]
    OtherEngine {
        /// What the store says.
        have: String,
        /// What the start asked for.
        new: &'static str,
    },
    /// Foreign bytes are not the RLP of what they should be.
    #[error("cannot decode {what}: {source}")]
    Decode {
        /// The thing that was expected: `header`, `block`, `receipt`, …
        what: &'static str,
        /// What the decoder stumbled over.
        source: alloy_rlp::Error,
    },
    /// The sender of a transaction in a block cannot be recovered from its signature.
    #[error("could not apply tx {index} [{hash}]: invalid sender")]
    InvalidSender {
        /// Position in the block.
        index: usize,
        /// The transaction's hash.
        hash: alloy_primitives::B256,
    },
    /// A block does not do what its header says, or one of its transactions cannot run.
    #[error(transparent)]
    Execution(#[from] crate::executor::ExecutionError),
    /// A block that was found bad before, or that builds on one.
    #[error("block {hash} is known to be bad: {reason}")]
    KnownBad {
        /// The block's hash.
        hash: alloy_primitives::B256,
        /// Why it was refused the first time.
        reason: String,
    },
    /// A file or folder of the store cannot be used.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The verb: `open`, `write`, `sync`, …
        doing: &'static str,
        /// The file or folder.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The key-value store failed.
    #[error("cannot {doing} the state database: {source}")]
    Db {
        /// The verb: `open`, `read`, `commit`.
        doing: &'static str,
        /// What redb said.
        source: Box<redb::Error>,
    },
    /// Bytes of the store are not what was written.
    #[error("{place} is damaged: {reason}")]
    Corrupt {
        /// File with offset, or table with key.
        place: String,
        /// What does not fit.
        reason: String,
    },
    /// The tables are being made again, and that was interrupted.
    #[error("{} says that the tables are incomplete\n  do: let msnet db reindex finish", path.display())]
    ReindexUnfinished {
        /// The file that says so.
        path: std::path::PathBuf,
    },
    /// Another process runs on this folder.
    #[error("datadir already used by another process: {}", path.display())]
    DatadirInUse {
        /// The lock file that the other process holds.
        path: std::path::PathBuf,
    },
    /// The folder was written by a newer program.
    #[error("{} has format {have:?}, this program reads \"msnet 1\"", path.display())]
    UnknownFormat {
        /// The `FORMAT` file.
        path: std::path::PathBuf,
        /// Its first line.
        have: String,
    },
    /// The folder holds another network's chain.
    #[error("database contains incompatible genesis (have {have:x}, new {new:x})")]
    IncompatibleGenesis {
        /// Genesis hash of the folder.
        have: alloy_primitives::B256,
        /// Genesis hash that the start asked for.
        new: alloy_primitives::B256,
    },
    /// A proof for a block that lies too far back: more than 1,024 blocks, or 400,000 changes.
    #[error("distance to target block exceeds maximum proof window")]
    ProofWindow,
    /// The genesis file moves a fork that decided how stored blocks were run. The text is geth's.
    #[error(
        "mismatching {what} in database (have {unit} {have}, want {unit} {want}, rewindto {unit} {rewind_to})"
    )]
    ForkMismatch {
        /// `London fork block`, `Cancun fork timestamp`, …
        what: String,
        /// `block` or `timestamp`.
        unit: &'static str,
        /// What the chain was run under.
        have: String,
        /// What the start asked for.
        want: String,
        /// Where the chain would have to go back to.
        rewind_to: u64,
    },
    /// The state of a block whose way back is not kept any more.
    #[error("historical state {number} is not available, the oldest kept is {oldest}")]
    HistoryPruned {
        /// The block asked for.
        number: u64,
        /// The oldest block that has a state.
        oldest: u64,
    },
    /// A number of kept blocks that is too small.
    #[error("history of {have} blocks is too short: at least {least} stay")]
    HistoryTooShort {
        /// What was asked for.
        have: u64,
        /// The least number.
        least: u64,
    },
    /// The store failed in the middle of a change of head: what is in memory is not to be trusted.
    #[error("the ledger stopped: {reason}; a restart goes on from what is on disk")]
    Stopped {
        /// What failed.
        reason: String,
    },
    /// A question about a block that this chain does not have, or has not run.
    #[error("block {block} is not known or has no state")]
    UnknownBlock {
        /// Hash or number.
        block: String,
    },
    /// This key has sealed a block on this parent before; a second one would be an equivocation.
    #[error("signer {signer} already sealed a block on {parent}")]
    AlreadySealed {
        /// Our account.
        signer: alloy_primitives::Address,
        /// Hash of the parent.
        parent: alloy_primitives::B256,
    },
    /// A block came in that was sealed with our key, but not by us.
    #[error("another process uses this key: {signer} sealed block {block}")]
    KeyInUse {
        /// Our account.
        signer: alloy_primitives::Address,
        /// Hash of the other's block.
        block: alloy_primitives::B256,
    },
    /// The head moved while a block was being built.
    #[error("the open block builds on {parent}, but the head is {head}")]
    StaleBuild {
        /// Parent of the built block.
        parent: alloy_primitives::B256,
        /// Present head.
        head: alloy_primitives::B256,
    },
    /// The signature over a built block is not that of the account it was built for.
    #[error("the block was built for signer {want} but is signed by {got}")]
    WrongSigner {
        /// Account that gets the fees.
        want: alloy_primitives::Address,
        /// Account that signed.
        got: alloy_primitives::Address,
    },
    /// A call cannot start: the text is geth's.
    #[error("{reason}")]
    CallRefused {
        /// Why.
        reason: String,
    },
    /// The network stopped sealing with Clique before this block (Goerli's merge).
    #[error("terminal total difficulty reached: this network has left clique")]
    LeftClique,
    /// A call in a sandbox or a genesis constructor failed.
    #[error("{what}: {reason}")]
    Call {
        /// What was called.
        what: String,
        /// The EVM's reason.
        reason: String,
        /// Bytes the contract reverted with, empty if none.
        output: alloy_primitives::Bytes,
    },
}

impl ChainError {
    /// True if a file could not grow because the disk is full; it may succeed later.
    pub fn is_disk_full(&self) -> bool {
        let source = match self {
            Self::Io { source, .. } => source,
            Self::Db { source, .. } => match source.as_ref() {
                redb::Error::Io(source) => source,
                _ => return false,
            },
            _ => return false,
        };
        source.kind() == std::io::ErrorKind::StorageFull
    }

    /// True if a block of a stranger caused it, so that a peer's score may fall; false for our own
    /// faults (storage, configuration).
    pub const fn is_bad_block(&self) -> bool {
        matches!(
            self,
            Self::Clique(_)
                | Self::Block(_)
                | Self::Replay(_)
                | Self::Decode { .. }
                | Self::InvalidSender { .. }
                | Self::Execution(_)
                | Self::KnownBad { .. }
        )
    }
}
