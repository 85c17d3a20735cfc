//! Where rooms meet: the Rust half of the tests that need more than one room, in one binary that links once.

mod architecture;
mod bad_input;
mod demo;
mod harness;
mod node;
mod operator;
