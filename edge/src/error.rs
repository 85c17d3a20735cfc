//! What can go wrong in an edge, by whose fault it is.
//!
//! The kind decides the behaviour: a user's fault becomes -32602 or 4xx, a refusal carries the stable code of
//! `protocol.md` 4, ours becomes -32603 or 5xx. The one mapping to HTTP and JSON-RPC is in `api/mod.rs`.
//! No message quotes a record, a key or the name of a person.

use std::path::PathBuf;

/// Every failure an edge reports.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Something given by a user or a peer cannot be used as it is.
    #[error("{what} ({where_}); {fix}")]
    Input {
        /// What is wrong.
        what: String,
        /// Where it was found: a parameter, a file, a line.
        where_: String,
        /// What to do about it.
        fix: String,
    },
    /// The release check or a right said no (`protocol.md` 4).
    #[error("refused at step {step}: {title} [{code}]")]
    Permission {
        /// Stable refusal code, such as `BASIS_ENDED`.
        code: &'static str,
        /// Number of the step of the release check that failed; 0 outside of it.
        step: u8,
        /// One sentence for a person.
        title: String,
        /// What would have to change.
        fix: String,
    },
    /// Another edge refused: its answer, as it gave it.
    #[error("the other edge refused at step {step}: {title} [{code}]")]
    Refused {
        /// Stable refusal code the peer sent.
        code: String,
        /// Step of the peer's release check.
        step: u8,
        /// The peer's sentence.
        title: String,
        /// The peer's advice.
        fix: String,
    },
    /// The chain cannot be reached, is another chain, or refused a transaction.
    #[error("chain: {0}")]
    Chain(String),
    /// Another edge cannot be reached or answered something that is not the protocol.
    #[error("peer {peer}: {what}")]
    Peer {
        /// Address or id of the peer.
        peer: String,
        /// What happened.
        what: String,
    },
    /// The edge's own stores do not work or are locked.
    #[error("storage: {what} ({where_}); {fix}")]
    Storage {
        /// What is wrong.
        what: String,
        /// Which store, table or file.
        where_: String,
        /// What to do about it.
        fix: String,
    },
    /// Bytes at rest are not what was written, or something received does not prove.
    #[error("damage: {what} ({where_})")]
    Integrity {
        /// What does not match.
        what: String,
        /// Which file, record or message, by id.
        where_: String,
    },
    /// The operating system refused a file operation.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why, in the system's words.
        source: std::io::Error,
    },
    /// A wrong turn of our own: a bug, never caused by input.
    #[error("internal: {0}")]
    Internal(String),
}

impl EdgeError {
    /// An [`EdgeError::Input`] from three texts.
    pub fn input(
        what: impl Into<String>,
        where_: impl Into<String>,
        fix: impl Into<String>,
    ) -> EdgeError {
        EdgeError::Input { what: what.into(), where_: where_.into(), fix: fix.into() }
    }

    /// An [`EdgeError::Storage`] from three texts.
    pub fn storage(
        what: impl Into<String>,
        where_: impl Into<String>,
        fix: impl Into<String>,
    ) -> EdgeError {
        EdgeError::Storage { what: what.into(), where_: where_.into(), fix: fix.into() }
    }

    /// An [`EdgeError::Integrity`] from two texts.
    pub fn integrity(what: impl Into<String>, where_: impl Into<String>) -> EdgeError {
        EdgeError::Integrity { what: what.into(), where_: where_.into() }
    }

    /// An [`EdgeError::Io`] about `path`.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> EdgeError {
        EdgeError::Io { path: path.into(), source }
    }

    /// An [`EdgeError::Peer`] from two texts.
    pub fn peer(peer: impl Into<String>, what: impl Into<String>) -> EdgeError {
        EdgeError::Peer { peer: peer.into(), what: what.into() }
    }

    /// The exit code of the command line (`edge.md` 10).
    pub fn exit_code(&self) -> u8 {
        match self {
            EdgeError::Input { .. } | EdgeError::Internal(_) => 2,
            EdgeError::Chain(_) | EdgeError::Peer { .. } => 3,
            EdgeError::Storage { .. } | EdgeError::Io { .. } => 4,
            EdgeError::Integrity { .. } => 5,
            EdgeError::Permission { .. } | EdgeError::Refused { .. } => 6,
        }
    }
}
