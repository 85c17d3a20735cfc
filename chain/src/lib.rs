//! The ledger: the same blocks in, the same state out.
//!
//! This room knows Clique (EIP-225), the EVM and how to keep what they produce. It never waits, reads a clock, draws a
//! random number or opens a socket: whoever calls passes the time and the signatures in.
//!
//! In reading order: [`spec`] and [`genesis`] say which network this is; [`block`] names the parts of a block,
//! [`sender`] finds out who signed one;
//! [`clique`] and [`validate`] decide whether a header may follow its parent; [`executor`] runs a block on revm over
//! [`state`]; [`fork_choice`] orders heads; [`blockchain`] is the one writer that joins them over [`log`], [`kv`] and
//! [`store`], all on a [`disk`]; [`reader`] is what everybody else sees; [`pool`] holds what waits for a block;
//! [`replay`] runs Ethereum's own chains, to judge the executor.
#![deny(unsafe_code)]

pub mod block;
pub mod blockchain;
pub mod clique;
pub mod disk;
pub mod error;
pub mod executor;
pub mod fork_choice;
pub mod fork_id;
pub mod genesis;
pub mod kv;
pub mod log;
pub mod pool;
pub mod reader;
pub mod replay;
pub mod sender;
pub mod spec;
pub mod state;
pub mod store;
pub mod validate;

#[cfg(test)]
pub(crate) mod planted;
#[cfg(test)]
#[path = "../../test/sim/mod.rs"]
mod sim;
