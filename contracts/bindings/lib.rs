#![forbid(unsafe_code)]
//! What Solidity and Rust must agree on: addresses, calls and events, signed documents, leaf bytes.
//!
//! Nothing here decides anything. [`abi`] is generated from the committed ABI files, [`events`] tells whose log is what,
//! [`typed_data`] holds the documents that people sign (EIP-712), [`leaf`] the bytes that are anchored, [`codes`] and [`roles`] the numbers both languages
//! use, [`score`] their arithmetic, [`networks`] where the contracts of a genesis-built network stand. The Solidity twin of every byte layout is tested
//! against the same vectors in `test/vectors/contracts`.

pub mod abi;
pub mod codes;
pub mod events;
pub mod leaf;
pub mod networks;
pub mod roles;
pub mod score;
pub mod typed_data;
