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
    kv::{KvRead, Table, prefix_end},
    state::flat::{Account, slot_key},
};

/// Blocks per row of the table `changed`: a position in a section fits one byte.
pub const SECTION_BLOCKS: u64 = 256;
/// Bytes of the section's number in a row of the table `changed`.
const SECTION_BYTES: usize = 4;
/// A slot's row in the table `changed`: address, slot, section.
const SLOT_ROW_BYTES: usize = 20 + 32 + SECTION_BYTES;

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
    /// Accounts and slots that changed.
    pub fn len(&self) -> usize {
        self.accounts.len() + self.slots.len()
    }

    /// True if no account and no slot changed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

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
        let end = prefix_end(address.as_slice());
        let mut first_changes: BTreeMap<U256, u64> = BTreeMap::new();
        let mut visit = |row: &[u8], offsets: &[u8]| {
            let slot = row.get(20..52).filter(|_| row.len() == SLOT_ROW_BYTES);
            if let (Some(slot), Some(at)) = (slot, first_after(number, row, offsets)) {
                first_changes.entry(U256::from_be_slice(slot)).or_insert(at);
            }
            Ok(true)
        };
        self.kv.range(Table::Changed, address.as_slice(), end.as_deref(), &mut visit)?;
        let mut by_block: Vec<_> = first_changes.into_iter().map(|(slot, at)| (at, slot)).collect();
        by_block.sort_unstable();
        for (at, slot) in by_block {
            match (self.load)(at)?.slots.get(&(address, slot)) {
                Some(old) if old.is_zero() => slots.remove(&slot),
                Some(&old) => slots.insert(slot, old),
                None => None,
            };
        }
        Ok(())
    }

    /// Every account that changed since block `number`, as it was then.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn accounts_changed_since(
        &self,
        number: u64,
    ) -> Result<BTreeMap<Address, Option<Account>>, ChainError> {
        let mut accounts = BTreeMap::new();
        for at in number + 1..=self.flushed {
            for (&address, &old) in &(self.load)(at)?.accounts {
                accounts.entry(address).or_insert(old);
            }
        }
        Ok(accounts)
    }

    fn first_change_after(&self, number: u64, key: &[u8]) -> Result<Option<u64>, ChainError> {
        let first = number + 1;
        let from = changed_key(key, first / SECTION_BLOCKS);
        let to = changed_key(key, self.flushed / SECTION_BLOCKS + 1);
        let mut found = None;
        let mut visit = |row: &[u8], offsets: &[u8]| {
            // The rows of an account's slots may stand between its own.
            if row.len() == key.len() + SECTION_BYTES {
                found = first_after(number, row, offsets);
            }
            Ok(found.is_none())
        };
        self.kv.range(Table::Changed, &from, Some(&to), &mut visit)?;
        Ok(found)
    }
}

/// The first block above `number` that a row of table `changed` names.
fn first_after(number: u64, row: &[u8], offsets: &[u8]) -> Option<u64> {
    let start = section_of(row) * SECTION_BLOCKS;
    offsets.iter().map(|&offset| start + u64::from(offset)).find(|&changed| changed > number)
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
    use crate::kv::{Batch, Kv as _, MemoryKv};

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

    /// A contract's slots with small numbers have rows between those of its account.
    #[test]
    fn rows_of_slots_do_not_answer_for_their_account() {
        let address = Address::repeat_byte(7);
        let slot = U256::from(5);
        let old = |nonce| Some(Account { nonce, ..Account::default() });
        let (kv, mut batch) = (MemoryKv::default(), Batch::default());
        batch.put(Table::Changed, changed_key(address.as_slice(), 0), [9]);
        batch.put(Table::Changed, changed_key(address.as_slice(), 1), [0, 44]);
        batch.put(Table::Changed, changed_key(&slot_key(address, slot), 0), [9]);
        batch.put(Table::Changed, changed_key(&slot_key(address, slot), 1), [44]);
        batch.put(Table::Changed, changed_key(&slot_key(address, slot), 2), [3]);
        kv.commit(batch).unwrap();
        let load = move |number| {
            let value = U256::from(number);
            let (account, slots) = (old(number), [((address, slot), value)].into());
            Ok(Arc::new(match number {
                256 => Diff { accounts: [(address, account)].into(), ..Diff::default() },
                9 | 300 => Diff { accounts: [(address, account)].into(), slots },
                515 => Diff { slots, ..Diff::default() },
                _ => return Err(ChainError::UnknownBlock { block: number.to_string() }),
            }))
        };
        let history = History::new(kv.snapshot().unwrap(), 600, Arc::new(load));
        for (number, account, value) in [
            (3, Some(9), Some(9)),
            (9, Some(256), Some(300)),
            (256, Some(300), Some(300)),
            (300, None, Some(515)),
            (515, None, None),
        ] {
            assert_eq!(history.account(number, address).unwrap(), account.map(old));
            let value = value.map(U256::from);
            assert_eq!(history.slot(number, address, slot).unwrap(), value);
            let mut slots = BTreeMap::from([(slot, U256::MAX)]);
            history.rewind_slots(number, address, &mut slots).unwrap();
            assert_eq!(slots[&slot], value.unwrap_or(U256::MAX));
        }
    }
}
