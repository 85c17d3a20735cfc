//! What a block changed: [`Changes`] with old and new values, and [`Diff`], its old half, sorted.
//!
//! One record serves three ends: undo a block in a reorganisation, feed the trie and the store, read the past. The state
//! after block B at key K is the old value in the first diff after B that holds K, else the present value; the table
//! `changed` says which diffs hold K.

use std::{collections::BTreeMap, fmt, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, U256, map::HashMap};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};

use crate::{
    error::ChainError,
    kv::{KvRead, Table},
    state::flat::{Account, slot_key},
};

/// Blocks per row of the table `changed`: a position in a section fits one byte.
pub const SECTION_BLOCKS: u64 = 256;

/// A value before and after a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<T> {
    /// Before.
    pub old: T,
    /// After.
    pub new: T,
}

impl<T: Copy> Change<T> {
    /// The change that takes this one back.
    #[must_use]
    pub const fn inverse(&self) -> Self {
        Self { old: self.new, new: self.old }
    }
}

/// Everything that one block changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Accounts; `None` is an account that does not exist.
    pub accounts: HashMap<Address, Change<Option<Account>>>,
    /// Slots; zero is a slot that is not set.
    pub slots: HashMap<(Address, U256), Change<U256>>,
    /// Code that the block brought in, by hash.
    pub code: HashMap<B256, Bytes>,
}

impl Changes {
    /// The changes that take these back. Code stays: other accounts may share it.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let accounts = self.accounts.iter();
        let slots = self.slots.iter();
        Self {
            accounts: accounts.map(|(&key, change)| (key, change.inverse())).collect(),
            slots: slots.map(|(&key, change)| (key, change.inverse())).collect(),
            code: HashMap::default(),
        }
    }

    /// The old values, sorted.
    pub fn diff(&self) -> Diff {
        Diff {
            accounts: self
                .accounts
                .iter()
                .map(|(&address, change)| (address, change.old))
                .collect(),
            slots: self.slots.iter().map(|(&key, change)| (key, change.old)).collect(),
        }
    }
}

/// The old values of all keys that one block changed.
///
/// RLP `[[[address, slim account or empty], …], [[address, slot, value], …]]`, each list ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Accounts before the block.
    pub accounts: BTreeMap<Address, Option<Account>>,
    /// Slots before the block.
    pub slots: BTreeMap<(Address, U256), U256>,
}

impl Diff {
    /// Appends the two lists.
    pub fn encode_lists(&self, out: &mut Vec<u8>) {
        let mut accounts = Vec::new();
        for (address, account) in &self.accounts {
            let slim = account.map_or_else(Vec::new, |account| account.to_slim_rlp());
            list(&mut accounts, |item| {
                address.encode(item);
                slim.as_slice().encode(item);
            });
        }
        let mut slots = Vec::new();
        for ((address, slot), value) in &self.slots {
            list(&mut slots, |item| {
                address.encode(item);
                slot.encode(item);
                value.encode(item);
            });
        }
        list(out, |payload| payload.extend_from_slice(&accounts));
        list(out, |payload| payload.extend_from_slice(&slots));
    }

    /// Reads the two lists from the front of `bytes`.
    ///
    /// # Errors
    /// An RLP error if they are anything else.
    pub fn decode_lists(bytes: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut diff = Self::default();
        let mut accounts = RlpHeader::decode_bytes(bytes, true)?;
        while !accounts.is_empty() {
            let mut item = RlpHeader::decode_bytes(&mut accounts, true)?;
            let address = Address::decode(&mut item)?;
            let slim = RlpHeader::decode_bytes(&mut item, false)?;
            let account = if slim.is_empty() { None } else { Some(Account::from_slim_rlp(slim)?) };
            diff.accounts.insert(address, account);
        }
        let mut slots = RlpHeader::decode_bytes(bytes, true)?;
        while !slots.is_empty() {
            let mut item = RlpHeader::decode_bytes(&mut slots, true)?;
            let key = (Address::decode(&mut item)?, U256::decode(&mut item)?);
            diff.slots.insert(key, U256::decode(&mut item)?);
        }
        Ok(diff)
    }
}

fn list(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut payload = Vec::new();
    fill(&mut payload);
    RlpHeader { list: true, payload_length: payload.len() }.encode(out);
    out.extend_from_slice(&payload);
}

impl From<&Diff> for Changes {
    /// Changes that know only what was before: enough to take the block back.
    fn from(diff: &Diff) -> Self {
        let accounts = diff.accounts.iter();
        let slots = diff.slots.iter();
        Self {
            accounts: accounts.map(|(&key, &old)| (key, Change { old, new: old })).collect(),
            slots: slots.map(|(&key, &old)| (key, Change { old, new: old })).collect(),
            code: HashMap::default(),
        }
    }
}

/// Fetches the diff of a canonical, flushed block by its number.
pub type LoadDiff = dyn Fn(u64) -> Result<Arc<Diff>, ChainError> + Send + Sync;

/// The way back from the flushed block to any earlier one.
#[derive(Clone)]
pub struct History {
    kv: Arc<dyn KvRead>,
    flushed: u64,
    load: Arc<LoadDiff>,
}

impl fmt::Debug for History {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("History").field("flushed", &self.flushed).finish_non_exhaustive()
    }
}

impl History {
    /// `kv` must be the picture of the store whose flat state is that of block `flushed`.
    pub fn new(kv: Arc<dyn KvRead>, flushed: u64, load: Arc<LoadDiff>) -> Self {
        Self { kv, flushed, load }
    }

    /// The account after block `number`, or `None` if the present value holds.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn account(
        &self,
        number: u64,
        address: Address,
    ) -> Result<Option<Option<Account>>, ChainError> {
        let Some(at) = self.first_change_after(number, address.as_slice())? else {
            return Ok(None);
        };
        Ok((self.load)(at)?.accounts.get(&address).copied())
    }

    /// The slot after block `number`, or `None` if the present value holds.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn slot(
        &self,
        number: u64,
        address: Address,
        slot: U256,
    ) -> Result<Option<U256>, ChainError> {
        let Some(at) = self.first_change_after(number, &slot_key(address, slot))? else {
            return Ok(None);
        };
        Ok((self.load)(at)?.slots.get(&(address, slot)).copied())
    }

    /// Takes `slots`, the present ones of an account, back to block `number`.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn rewind_slots(
        &self,
        number: u64,
        address: Address,
        slots: &mut BTreeMap<U256, U256>,
    ) -> Result<(), ChainError> {
        for at in (number + 1..=self.flushed).rev() {
            let diff = (self.load)(at)?;
            for (&(_, slot), &old) in diff.slots.range((address, U256::ZERO)..=(address, U256::MAX))
            {
                if old.is_zero() {
                    slots.remove(&slot);
                } else {
                    slots.insert(slot, old);
                }
            }
        }
        Ok(())
    }

    fn first_change_after(&self, number: u64, key: &[u8]) -> Result<Option<u64>, ChainError> {
        let first = number + 1;
        let from = changed_key(key, first / SECTION_BLOCKS);
        let to = changed_key(key, self.flushed / SECTION_BLOCKS + 1);
        let mut found = None;
        let mut visit = |row: &[u8], offsets: &[u8]| {
            let section = section_of(row);
            let numbers =
                offsets.iter().map(|&offset| section * SECTION_BLOCKS + u64::from(offset));
            found = numbers.into_iter().find(|&changed| changed >= first);
            Ok(found.is_none())
        };
        self.kv.range(Table::Changed, &from, Some(&to), &mut visit)?;
        Ok(found)
    }
}

/// `key ‖ section u32`, the row of table `changed` for one section.
pub fn changed_key(key: &[u8], section: u64) -> Vec<u8> {
    let section = u32::try_from(section).unwrap_or(u32::MAX);
    [key, &section.to_be_bytes()].concat()
}

fn section_of(row: &[u8]) -> u64 {
    row.last_chunk::<4>().map_or(0, |bytes| u64::from(u32::from_be_bytes(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_round_trip() {
        let address = Address::repeat_byte(7);
        let diff = Diff {
            accounts: [(address, None), (Address::ZERO, Some(Account::default()))].into(),
            slots: [((address, U256::MAX), U256::ZERO), ((address, U256::ZERO), U256::MAX)].into(),
        };
        let mut bytes = Vec::new();
        diff.encode_lists(&mut bytes);
        let mut rest = bytes.as_slice();
        assert_eq!(Diff::decode_lists(&mut rest), Ok(diff));
        assert!(rest.is_empty());
        for end in 0..bytes.len() {
            assert!(Diff::decode_lists(&mut &bytes[..end]).is_err(), "cut at {end}");
        }
    }
}
