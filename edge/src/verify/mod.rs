//! What anyone can check about a record that was handed over, with nothing but the chain's roots.
//!
//! [`record`] looks at one delivered frame: its bytes against its leaf, its leaf against the owner's anchored root. The
//! verdicts are those of `contracts.md` 2, so that an acknowledgement on chain says the same to everybody.

pub mod record;
