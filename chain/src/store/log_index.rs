//! In which blocks an address or topic occurs in a log: a row each, so that a search reads only blocks with something to
//! find, and one that finds nothing reads none, however long the chain.
//!
//! ```text
//! key of table `logs`:  place 1 ‖ keccak(value) 8 ‖ block number 8      place 0 the address, 1 to 4 the topics, 5 any log
//! ```
//!
//! Two values of one hash only cost a look at a block too many: whoever searches looks at the logs themselves. Rows are
//! written with the flush; blocks above it are few, and found by their blooms.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, keccak256};

use super::{Shelf, schema::meta};
use crate::{
    block::Receipt,
    error::ChainError,
    kv::{Batch, Table},
};

/// An address or topic, as the index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogKey([u8; 9]);

impl LogKey {
    /// Stands for every log.
    pub const ANY: Self = Self([5, 0, 0, 0, 0, 0, 0, 0, 0]);

    /// Logs of this contract.
    pub fn address(address: Address) -> Self {
        Self::new(0, address.as_slice())
    }

    /// Logs with this topic at this position, counted from 0; there are four.
    pub fn topic(position: usize, topic: B256) -> Self {
        let place = u8::try_from(position + 1).unwrap_or(u8::MAX);
        Self::new(place, topic.as_slice())
    }

    fn new(place: u8, value: &[u8]) -> Self {
        let mut key = [place; 9];
        key[1..].copy_from_slice(&keccak256(value)[..8]);
        Self(key)
    }

    fn row(self, number: u64) -> [u8; 17] {
        let mut row = [0; 17];
        row[..9].copy_from_slice(&self.0);
        row[9..].copy_from_slice(&number.to_be_bytes());
        row
    }
}

/// Every key under which a block with these receipts is found.
fn keys_of(receipts: &[Receipt]) -> BTreeSet<LogKey> {
    let mut keys = BTreeSet::new();
    let (mut address, mut topics) = (None, [None; 4]);
    for log in receipts.iter().flat_map(|receipt| &receipt.logs) {
        keys.insert(LogKey::ANY);
        // most logs of a block are like the one before: nothing is hashed twice in a row
        if address != Some(log.address) {
            address = Some(log.address);
            keys.insert(LogKey::address(log.address));
        }
        for (position, topic) in log.topics().iter().enumerate().take(topics.len()) {
            if topics[position] != Some(*topic) {
                topics[position] = Some(*topic);
                keys.insert(LogKey::topic(position, *topic));
            }
        }
    }
    keys
}

/// Adds the rows of a canonical block.
pub(super) fn put_logs(batch: &mut Batch, number: u64, receipts: &[Receipt]) {
    for key in keys_of(receipts) {
        batch.put(Table::Logs, key.row(number), []);
    }
}

/// Removes the rows of a block that is canonical no more.
pub(super) fn delete_logs(batch: &mut Batch, number: u64, receipts: &[Receipt]) {
    for key in keys_of(receipts) {
        batch.delete(Table::Logs, key.row(number));
    }
}

impl Shelf {
    /// First block that the index knows; a store made before there was one begins later.
    ///
    /// # Errors
    /// [`ChainError::Db`].
    pub(crate) fn logs_from(&self) -> Result<u64, ChainError> {
        let from = self.kv.get(Table::Meta, meta::LOGS_FROM)?;
        let from = from.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
        Ok(from.unwrap_or(self.flushed.number + 1))
    }

    /// The first blocks between `from` and `to`, both included, with a log under some key of each set; at most `most`.
    ///
    /// # Errors
    /// [`ChainError::Db`].
    pub(crate) fn log_blocks(
        &self,
        from: u64,
        to: u64,
        sets: &[Vec<LogKey>],
        most: usize,
    ) -> Result<Vec<u64>, ChainError> {
        let (mut found, mut at) = (Vec::new(), from);
        'search: while found.len() < most {
            for set in sets {
                match self.next_of(set, at, to)? {
                    Some(next) if next == at => {}
                    // nothing before it has them all: ask every set again from there
                    Some(next) => {
                        at = next;
                        continue 'search;
                    }
                    None => break 'search,
                }
            }
            found.push(at);
            at += 1;
        }
        Ok(found)
    }

    /// The first block from `from` to `to` under some key of a set.
    fn next_of(&self, set: &[LogKey], from: u64, to: u64) -> Result<Option<u64>, ChainError> {
        let mut first: Option<u64> = None;
        for key in set {
            let (low, high) = (key.row(from), key.row(first.unwrap_or(to.saturating_add(1))));
            self.kv.range(Table::Logs, &low, Some(&high), &mut |row, _| {
                first = row.last_chunk::<8>().map(|number| u64::from_be_bytes(*number)).or(first);
                Ok(false)
            })?;
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Log, LogData};

    use super::*;
    use crate::{
        genesis::Genesis,
        kv::{Kv as _, MemoryKv},
        store::{Storage, Store},
    };

    fn receipt(logs: &[(u8, &[u8])]) -> Receipt {
        let log = |(address, topics): &(u8, &[u8])| {
            let topics = topics.iter().map(|topic| B256::repeat_byte(*topic)).collect();
            let data = LogData::new_unchecked(topics, vec![].into());
            Log { address: Address::repeat_byte(*address), data }
        };
        let logs = logs.iter().map(log).collect();
        Receipt { tx_type: 0, success: true, post_state: None, cumulative_gas_used: 0, logs }
    }

    fn shelf(blocks: &[(u64, Receipt)]) -> Shelf {
        let kv = MemoryKv::default();
        let mut batch = Batch::default();
        for (number, receipt) in blocks {
            put_logs(&mut batch, *number, std::slice::from_ref(receipt));
        }
        kv.commit(batch).expect("memory takes everything");
        let extra_data = format!("0x{}{}{}", "00".repeat(32), "11".repeat(20), "00".repeat(65));
        let genesis = serde_json::json!({
            "config": {"chainId": 1, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
                "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 0,
                "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
                "clique": {"period": 1, "epoch": 30000}},
            "difficulty": "0x1", "gasLimit": "0x1c9c380", "extraData": extra_data, "alloc": {},
        });
        let genesis = Genesis::from_json(genesis.to_string().as_bytes()).expect("a genesis");
        let clique = genesis.spec.clique.expect("it is Clique's");
        let (store, _) = Store::open(&Storage::Memory, &genesis, 1 << 20).expect("memory");
        let kv = kv.snapshot().expect("memory");
        Shelf { kv, ..store.shelf(clique).expect("memory") }
    }

    #[test]
    fn blocks_are_found_by_what_is_in_their_logs() {
        let blocks: Vec<(u64, Receipt)> = vec![
            (1, receipt(&[(1, &[7])])),
            (2, receipt(&[])),
            (3, receipt(&[(1, &[8]), (2, &[7, 9])])),
            (700, receipt(&[(1, &[7, 9]), (1, &[7, 9])])),
        ];
        let shelf = shelf(&blocks);
        let address = |byte| LogKey::address(Address::repeat_byte(byte));
        let topic = |position, byte| LogKey::topic(position, B256::repeat_byte(byte));
        for (sets, range, expected) in [
            (vec![vec![LogKey::ANY]], (0, 1_000), vec![1, 3, 700]),
            (vec![vec![address(1)]], (0, 1_000), vec![1, 3, 700]),
            (vec![vec![address(1)]], (2, 699), vec![3]),
            (vec![vec![address(2)]], (0, 1_000), vec![3]),
            (vec![vec![address(3)]], (0, 1_000), vec![]),
            (vec![vec![address(2), address(3), address(1)]], (1, 3), vec![1, 3]),
            // block 3 has both, though in two logs: the logs themselves decide
            (vec![vec![address(1)], vec![topic(0, 7)]], (0, 1_000), vec![1, 3, 700]),
            (vec![vec![address(1)], vec![topic(1, 9)]], (0, 1_000), vec![3, 700]),
            (vec![vec![topic(1, 9)], vec![address(2)]], (0, 1_000), vec![3]),
            (vec![vec![topic(0, 9)]], (0, 1_000), vec![]),
            (vec![vec![topic(0, 7)], vec![topic(1, 9)], vec![address(1)]], (4, 700), vec![700]),
        ] {
            let found = shelf.log_blocks(range.0, range.1, &sets, 100).expect("memory");
            assert_eq!(found, expected, "{sets:?} {range:?}");
            let one = shelf.log_blocks(range.0, range.1, &sets, 1).expect("memory");
            assert_eq!(one, expected.into_iter().take(1).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_go_as_they_came() {
        let kv = MemoryKv::default();
        let receipts = [receipt(&[(1, &[7, 8, 9, 10]), (2, &[])])];
        let (mut put, mut delete) = (Batch::default(), Batch::default());
        put_logs(&mut put, 9, &receipts);
        assert_eq!(put.writes().count(), 7);
        delete_logs(&mut delete, 9, &receipts);
        kv.commit(put).expect("memory takes everything");
        kv.commit(delete).expect("memory takes everything");
        let mut left = 0;
        let mut count = |_: &[u8], _: &[u8]| {
            left += 1;
            Ok(true)
        };
        kv.snapshot().expect("memory").range(Table::Logs, &[], None, &mut count).expect("memory");
        assert_eq!(left, 0);
    }
}
