//! Events of a simulated call; plain transfers too, where they are asked for (as ERC-7528's address would emit them).

use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256, address, b256};
use chain::executor::rerun::Watched;
use serde_json::{Value, json};

use crate::{
    debug::hooks::{Enter, Exit, Kind, Tracer},
    render::{address as render_address, data, quantity},
    voice::Voice,
};

/// Who emits transfers of ether (ERC-7528).
const ETHER: Address = address!("0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE");
/// `Transfer(address,address,uint256)`.
const TRANSFER: B256 = b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// Collects events of frames that do not fail.
#[derive(Debug, Default)]
pub struct Events {
    with_transfers: bool,
    /// Events so far, those of failed frames included: numbers are never given twice.
    next: usize,
    kept: Vec<(usize, Log)>,
    /// How many were kept when each open frame began.
    open: Vec<usize>,
    fault: Option<String>,
    first: usize,
}

/// Where a simulated transaction stands.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Number of the block.
    pub number: u64,
    /// Its time.
    pub timestamp: u64,
    /// Hash of the transaction.
    pub hash: B256,
    /// Position in the block.
    pub index: usize,
}

impl Events {
    /// Numbers go on from `first`.
    pub fn new(with_transfers: bool, first: usize) -> Self {
        Self { with_transfers, next: first, first, ..Self::default() }
    }

    /// The events, and why the call failed if it did.
    pub fn finish(mut self) -> (Self, Option<String>) {
        let fault = self.fault.take();
        (self, fault)
    }

    /// How many numbers were given.
    pub const fn count(&self) -> usize {
        self.next - self.first
    }

    /// The events; the hash of their block comes later.
    pub fn render(&self, place: Place, voice: Voice) -> Value {
        let one = |(index, log): &(usize, Log)| {
            let topics: Vec<Value> = log.topics().iter().map(data).collect();
            let mut out = json!({
                "address": render_address(log.address),
                "topics": topics,
                "data": data(&log.data.data),
                "blockNumber": quantity(place.number),
                "transactionHash": data(place.hash),
                "transactionIndex": quantity(place.index),
                "blockHash": null,
                "logIndex": quantity(*index),
                "removed": false,
            });
            if voice.is_standard() {
                out["blockTimestamp"] = quantity(place.timestamp);
            }
            out
        };
        self.kept.iter().map(one).collect()
    }

    fn keep(&mut self, log: Log) {
        self.kept.push((self.next, log));
        self.next += 1;
    }
}

impl Tracer for Events {
    fn enter(&mut self, enter: &Enter, _: &mut Watched) {
        self.open.push(self.kept.len());
        let value = enter.value.filter(|value| !value.is_zero());
        if let (true, Some(value)) = (self.with_transfers, value)
            && enter.kind != Kind::DelegateCall
        {
            self.keep(transfer(enter.from, enter.to, value));
        }
    }

    fn refused(&mut self) {
        if let Some(before) = self.open.pop() {
            self.kept.truncate(before);
        }
    }

    fn exit(&mut self, exit: &Exit) {
        let Some(before) = self.open.pop() else { return };
        if exit.error.is_some() {
            self.kept.truncate(before);
        }
        if self.open.is_empty() {
            self.fault = exit.error.clone();
        }
    }

    fn log(&mut self, log: &Log) {
        self.keep(log.clone());
    }
}

fn transfer(from: Address, to: Address, value: U256) -> Log {
    let topics = vec![TRANSFER, from.into_word(), to.into_word()];
    let data = Bytes::from(value.to_be_bytes::<32>());
    Log { address: ETHER, data: LogData::new_unchecked(topics, data) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_an_event_of_ether() {
        let log = transfer(Address::repeat_byte(1), Address::repeat_byte(2), U256::from(1_000));
        assert_eq!(
            log.topics()[0],
            alloy_primitives::keccak256("Transfer(address,address,uint256)")
        );
        assert_eq!(log.data.data.len(), 32);
    }
}
