//! `eth_*`: the chain, its accounts, calls, fees, logs and submissions.
//!
//! What a Clique chain never has is answered as such: no uncles, no blobs, no withdrawals; `miner`
//! is the header's beneficiary (zero, or the account a vote is about), not the signer, whom
//! `clique_getSigner` names.

pub mod access_list;
pub mod account;
pub mod block;
pub mod call;
pub mod config;
pub mod estimate;
pub mod fee;
pub mod fill;
pub mod filter;
pub mod log;
pub mod request;
pub mod submit;
pub mod sync;
pub mod transaction;
pub mod typed_data;
