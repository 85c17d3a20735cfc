//! The node: everything around the ledger that waits, measures time or holds a key.
//!
//! [`Node::start`](service::Node::start) takes a [`config::NodeConfig`], opens the ledger and starts one writer thread that
//! owns it: own blocks of the [`sealer`] and blocks of others pass there, one after the other.
//! Everybody else holds a [`handle::NodeHandle`]: cheap reads of the head,
//! [`submit`](handle::NodeHandle::submit) for transactions, and [`events`] for what changed.
//!
//! In reading order: [`config`] and [`args`] say what to run; [`service`] starts and stops it;
//! [`handle`] and [`events`] are its doors; [`sealer`] decides when to seal and what goes in;
//! [`storage_args`] say how much is kept, [`txpool_args`] are the pool's settings, [`permissions`] says who may use this node;
//! [`recover`] finds out who signed a transaction; [`disk_watch`] makes the node read-only while its disk is nearly
//! full; [`dev_accounts`] are the ten public keys of a development chain; [`error`] says what went wrong; [`blocktest`]
//! judges the ledger by public test chains.
//!
//! Peers are not part of this room yet: a node is its network's only one, or a reader of its own
//! folder.
#![forbid(unsafe_code)]

pub mod account;
pub mod args;
pub mod blocktest;
pub mod chainfile;
pub mod config;
pub mod db;
pub mod dev_accounts;
pub mod disk_watch;
pub mod error;
pub mod events;
pub mod files;
pub mod geth_flags;
pub mod handle;
pub mod keystore;
mod miner;
pub mod network;
pub mod permissions;
pub mod progress;
pub mod prompt;
mod proposals;
pub mod recover;
pub mod replay;
pub mod sealer;
pub mod service;
pub mod settings;
pub mod signer;
pub mod storage_args;
pub mod txpool_args;
mod txpool_journal;
mod txpool_upkeep;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod txpool_tests;

pub use config::{NodeConfig, SignerKey};
pub use error::NodeError;
pub use events::ChainEvent;
pub use handle::NodeHandle;
pub use service::Node;
