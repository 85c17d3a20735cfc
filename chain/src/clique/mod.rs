//! Clique, proof of authority (EIP-225), in one page.
//!
//! A set of *signers* seals blocks. The signer of block n is *in turn* if n mod N is its position in
//! the ascending list of N signers; in-turn blocks have difficulty 2, others 1, so that the chain
//! where everybody kept their turn is the heaviest. A signer seals at most one block in any
//! ⌊N/2⌋ + 1 consecutive ones (the *window*; `recents` remembers them).
//!
//! Each block may carry one vote: `coinbase` names an account, `nonce` says add or drop. More than
//! half of the signers decide. Every `epoch` blocks the votes are forgotten and `extra_data` lists
//! the signers.
//!
//! ```text
//! extra_data = vanity (32) ‖ on epoch blocks: signers (20·k, ascending) ‖ seal (65: r ‖ s ‖ v)
//! ```
//!
//! [`seal`] signs and recovers, [`snapshot`] counts, [`verify`] checks a header, [`prepare`] makes one.
//!
//! We differ from geth v1.13.15 in two rules: the window is strict from block 1 (as in Besu; geth's
//! subtraction wraps and the branch dies one block later), and networks with an `msnet` section
//! refuse a seal with high s, which any stranger can make of a good one.

pub mod prepare;
pub mod seal;
pub mod snapshot;
pub mod verify;

pub use snapshot::Snapshot;

/// Difficulty of a block whose signer was in turn.
pub const DIFFICULTY_IN_TURN: u64 = 2;
/// Difficulty of a block whose signer was out of turn.
pub const DIFFICULTY_OUT_OF_TURN: u64 = 1;
/// Bytes before the signer list in extra-data, free to use.
pub const VANITY_BYTES: usize = 32;
/// Bytes of the signature at the end of extra-data.
pub const SEAL_BYTES: usize = 65;
/// Nonce of a vote to add `coinbase` to the signers.
pub const NONCE_ADD: alloy_primitives::B64 = alloy_primitives::B64::repeat_byte(0xff);
/// Nonce of a vote to drop `coinbase`, or of no vote.
pub const NONCE_DROP: alloy_primitives::B64 = alloy_primitives::B64::ZERO;
/// How far ahead of the clock a header may wait for its second, ms; beyond it is refused.
pub const FUTURE_QUEUE_MS: u64 = 10_000;

/// A rule of EIP-225 that a header broke, in geth's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CliqueError {
    /// Header time is ahead of the clock; a caller may keep it up to [`FUTURE_QUEUE_MS`].
    #[error("block in the future")]
    FutureBlock,
    /// An epoch block votes.
    #[error("beneficiary in checkpoint block non-zero")]
    CheckpointBeneficiary,
    /// The nonce is neither of the two votes.
    #[error("vote nonce not 0x00..0 or 0xff..f")]
    InvalidVote,
    /// The nonce of an epoch block is not zero.
    #[error("vote nonce in checkpoint block non-zero")]
    InvalidCheckpointVote,
    /// Extra-data is shorter than 32 bytes.
    #[error("extra-data 32 byte vanity prefix missing")]
    MissingVanity,
    /// Extra-data is shorter than 97 bytes.
    #[error("extra-data 65 byte signature suffix missing")]
    MissingSeal,
    /// A block between epochs lists signers.
    #[error("non-checkpoint block contains extra signer list")]
    ExtraSigners,
    /// The list on an epoch block is not a multiple of 20 bytes.
    #[error("invalid signer list on checkpoint block")]
    InvalidCheckpointSigners,
    /// The list on an epoch block is not the signers after its parent.
    #[error("mismatching signer list on checkpoint block")]
    MismatchingCheckpointSigners,
    /// `mix_hash` is not zero.
    #[error("non-zero mix digest")]
    InvalidMixDigest,
    /// `ommers_hash` is not the hash of the empty list.
    #[error("non empty uncle hash")]
    InvalidUncleHash,
    /// Difficulty is neither 1 nor 2.
    #[error("invalid difficulty")]
    InvalidDifficulty,
    /// Difficulty does not fit the signer's turn.
    #[error("wrong difficulty")]
    WrongDifficulty,
    /// Parent unknown, or number or hash do not lead to it.
    #[error("unknown ancestor")]
    UnknownAncestor,
    /// Less than a period after the parent.
    #[error("invalid timestamp")]
    InvalidTimestamp,
    /// Headers handed to the snapshot do not follow each other.
    #[error("invalid voting chain")]
    InvalidVotingChain,
    /// `v` of the seal is above 3.
    #[error("invalid signature recovery id")]
    InvalidRecoveryId,
    /// r, s and v are no signature of any key.
    #[error("recovery failed")]
    RecoveryFailed,
    /// s is in the upper half, in a network that refuses it.
    #[error("invalid seal: high s")]
    HighS,
    /// The signer is not in the set.
    #[error("unauthorized signer")]
    UnauthorizedSigner,
    /// The signer sealed a block of the window already.
    #[error("recently signed")]
    RecentlySigned,
    /// The network has no `clique` section, so nothing can be verified.
    #[error("this network has no clique section")]
    NotClique,
}

#[cfg(test)]
mod replay_test;
#[cfg(test)]
mod rules_test;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
