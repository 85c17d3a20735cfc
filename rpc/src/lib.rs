//! The answers: JSON-RPC over a node, as wallets and libraries know it. This room owns no state.
//!
//! [`server::serve`] opens one port for HTTP and WebSocket, and the socket of the data folder. A request passes
//! `listener` (sockets), [`server`] (HTTP) with [`auth`] (Host, Origin) and [`jwt`], or `session` (`websocket`, `ipc`),
//! then [`envelope`] and [`layer`] (ids, batches; [`access`], [`rate`], [`metrics`]), [`dispatch`] (the table of methods),
//! and ends in a handler: [`eth`], [`net`], [`web3`], [`txpool`], [`clique`], [`debug`], [`trace`], [`ots`], [`simulate`],
//! [`admin`], [`perm`], [`miner`], [`med`], or a subscription of [`subscribe`]; recent blocks are [`ready`] as JSON. [`fault`] words what went
//! wrong in a contract, [`voice`] says whose forms hold. Handlers read their parameters through [`param`] and [`block_id`],
//! find everything in [`context`], do long work on [`work`]'s threads, write numbers through [`render`],
//! and fail with [`error`]'s codes. [`limits`] bounds what a client can ask for.
//!
//! Reads go to the ledger's reader; a command travels through `node::NodeHandle`. [`args`],
//! [`config`] and [`cli`] are for the front door. Names and forms follow ethereum/execution-apis,
//! and go-ethereum v1.13.15 where that is silent.
#![forbid(unsafe_code)]

pub mod access;
pub mod admin;
pub mod args;
pub mod auth;
pub mod block_id;
pub mod cli;
pub mod clique;
pub mod config;
pub mod context;
pub mod debug;
pub mod dispatch;
pub mod envelope;
pub mod error;
pub mod eth;
pub mod fault;
mod health;
mod ipc;
pub mod jwt;
pub mod layer;
pub mod limits;
mod listener;
pub mod med;
pub mod metrics;
pub mod miner;
pub mod net;
pub mod ots;
pub mod param;
pub mod pending;
pub mod perm;
pub mod rate;
pub mod ready;
pub mod render;
pub mod reply;
pub mod server;
mod session;
pub mod simulate;
pub mod subscribe;
pub mod trace;
pub mod txpool;
pub mod voice;
pub mod web3;
mod websocket;
pub mod work;

#[cfg(test)]
mod tests;

pub use config::{RpcConfig, RpcStartError};
pub use server::{RpcServer, serve};
