//! Where bytes lie: the catalogue ([`redb`]), whole files ([`local`]) and append-only logs ([`log`]).
//!
//! Nothing here knows what a record is, and nothing here sees plain content: every value that is not a random number or a
//! keyed hash arrives sealed. There is one kind of each so far; the traits of `edge.md` 8 arrive with the second.
pub mod local;
pub mod log;
pub mod redb;
