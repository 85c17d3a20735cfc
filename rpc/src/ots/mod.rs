//! `ots_*` and `erigon_getHeaderByNumber`: what Otterscan asks, API level 8.
//!
//! [`block`] has pages of a block, [`transaction`] looks inside of one, [`search`] finds those of an address by
//! [`index`]. `miner` is the recovered signer here, because Otterscan shows it. Block numbers are JSON integers or
//! quantities.

pub mod block;
pub mod index;
pub mod search;
pub mod transaction;

use serde_json::Value;

use crate::{
    block_id::BlockNumber,
    param::{Flaw, Param},
};

/// A block number, written in either way.
#[derive(Debug, Clone, Copy)]
pub struct Height(pub BlockNumber);

impl Param for Height {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match value.as_u64() {
            Some(number) => Ok(Self(BlockNumber::Number(number))),
            None => BlockNumber::from_json(value).map(Self),
        }
    }
}

/// A count, written in either way.
#[derive(Debug, Clone, Copy)]
pub struct Count(pub usize);

impl Param for Count {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let count = match value.as_u64() {
            Some(count) => count,
            None => u64::from_json(value)?,
        };
        usize::try_from(count).map(Self).map_err(|_| "too large".into())
    }
}
