//! Where rooms meet: the Rust half of the tests that need more than one room, in one binary that links once.

mod architecture;
mod bad_input;
mod conformance;
mod crash;
mod demo;
mod fuzz;
mod harness;
mod jsonrpc;
#[path = "judges/mod.rs"]
mod judge;
mod ledger_vectors;
mod node;
mod operator;
