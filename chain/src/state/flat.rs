//! Accounts, slots and code by key, as they stood at the flushed block: what lies under the layers of recent blocks.
//!
//! A key that is absent is an account that does not exist or a slot that is zero. The bytes are in
//! [`crate::store::schema`].

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};
use alloy_trie::EMPTY_ROOT_HASH;

use crate::{
    error::ChainError,
    kv::{Batch, KvRead, Table, prefix_end},
};

/// An account as the state trie holds it (Yellow Paper 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Number of transactions sent, or of contracts made.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// Root of the storage trie.
    pub storage_root: B256,
    /// keccak256 of the code; of the empty string for an account without code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            nonce: 0,
            balance: U256::ZERO,
            storage_root: EMPTY_ROOT_HASH,
            code_hash: KECCAK256_EMPTY,
        }
    }
}

impl Account {
    /// RLP `[nonce, balance, storage root, code hash]`: the leaf of the state trie.
    pub fn to_trie_rlp(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(110);
        self.encode_trie_rlp(&mut out);
        out
    }

    /// Appends [`Self::to_trie_rlp`].
    pub fn encode_trie_rlp(&self, out: &mut Vec<u8>) {
        let roots = 2 * (1 + 32);
        let payload_length = self.nonce.length() + self.balance.length() + roots;
        RlpHeader { list: true, payload_length }.encode(out);
        self.nonce.encode(out);
        self.balance.encode(out);
        self.storage_root.encode(out);
        self.code_hash.encode(out);
    }

    /// RLP `[nonce, balance, storage root or empty, code hash or empty]`: what the store keeps.
    pub fn to_slim_rlp(&self) -> Vec<u8> {
        let storage_root = slim(&self.storage_root, &EMPTY_ROOT_HASH);
        let code_hash = slim(&self.code_hash, &KECCAK256_EMPTY);
        let payload_length = self.nonce.length()
            + self.balance.length()
            + storage_root.length()
            + code_hash.length();
        let mut out = Vec::with_capacity(payload_length + 2);
        RlpHeader { list: true, payload_length }.encode(&mut out);
        self.nonce.encode(&mut out);
        self.balance.encode(&mut out);
        storage_root.encode(&mut out);
        code_hash.encode(&mut out);
        out
    }

    /// Reads [`Self::to_slim_rlp`].
    ///
    /// # Errors
    /// An RLP error if the bytes are anything else.
    pub fn from_slim_rlp(mut bytes: &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = RlpHeader::decode_bytes(&mut bytes, true)?;
        let account = Self {
            nonce: u64::decode(&mut payload)?,
            balance: U256::decode(&mut payload)?,
            storage_root: unslim(&mut payload, EMPTY_ROOT_HASH)?,
            code_hash: unslim(&mut payload, KECCAK256_EMPTY)?,
        };
        if !payload.is_empty() || !bytes.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        Ok(account)
    }
}

fn slim<'a>(hash: &'a B256, usual: &B256) -> &'a [u8] {
    if hash == usual { &[] } else { hash.as_slice() }
}

fn unslim(bytes: &mut &[u8], usual: B256) -> alloy_rlp::Result<B256> {
    let found = RlpHeader::decode_bytes(bytes, false)?;
    if found.is_empty() {
        return Ok(usual);
    }
    B256::try_from(found).map_err(|_| alloy_rlp::Error::UnexpectedLength)
}

/// The tables `accounts`, `slots` and `code` at one commit.
#[derive(Debug, Clone)]
pub struct Flat {
    kv: Arc<dyn KvRead>,
}

impl Flat {
    /// Reads from this picture of the store.
    pub fn new(kv: Arc<dyn KvRead>) -> Self {
        Self { kv }
    }

    /// The picture of the store that this reads.
    pub fn kv(&self) -> &Arc<dyn KvRead> {
        &self.kv
    }

    /// An account, or `None` if it does not exist.
    ///
    /// # Errors
    /// [`ChainError::Db`] if the disk fails, [`ChainError::Corrupt`] if the bytes are no account.
    pub fn account(&self, address: Address) -> Result<Option<Account>, ChainError> {
        let found = self.kv.get(Table::Accounts, address.as_slice())?;
        found.map(|bytes| decode_account(&address, &bytes)).transpose()
    }

    /// A slot's value, zero if it was never set.
    ///
    /// # Errors
    /// [`ChainError::Db`] if the disk fails, [`ChainError::Corrupt`] if the bytes are no value.
    pub fn slot(&self, address: Address, slot: U256) -> Result<U256, ChainError> {
        let key = slot_key(address, slot);
        let found = self.kv.get(Table::Slots, &key)?;
        found.map_or(Ok(U256::ZERO), |bytes| decode_value(&key, &bytes))
    }

    /// All slots of an account that are not zero.
    ///
    /// # Errors
    /// As [`Self::slot`].
    pub fn slots_of(&self, address: Address) -> Result<BTreeMap<U256, U256>, ChainError> {
        let mut slots = BTreeMap::new();
        let end = prefix_end(address.as_slice());
        let mut visit = |key: &[u8], value: &[u8]| {
            let slot =
                key.get(20..52).ok_or_else(|| damaged("slots", key, "key is not 52 bytes"))?;
            slots.insert(U256::from_be_slice(slot), decode_value(key, value)?);
            Ok(true)
        };
        self.kv.range(Table::Slots, address.as_slice(), end.as_deref(), &mut visit)?;
        Ok(slots)
    }

    /// The code with this hash, `None` if no account ever had it.
    ///
    /// # Errors
    /// [`ChainError::Db`] if the disk fails.
    pub fn code(&self, hash: B256) -> Result<Option<Bytes>, ChainError> {
        Ok(self.kv.get(Table::Code, hash.as_slice())?.map(Bytes::from))
    }

    /// Shows every account, ascending by address.
    ///
    /// # Errors
    /// As [`Self::account`].
    pub fn accounts(&self, mut show: impl FnMut(Address, Account)) -> Result<(), ChainError> {
        let mut visit = |key: &[u8], value: &[u8]| {
            let address = Address::try_from(key)
                .map_err(|_| damaged("accounts", key, "key is not 20 bytes"))?;
            show(address, decode_account(&address, value)?);
            Ok(true)
        };
        self.kv.range(Table::Accounts, &[], None, &mut visit)
    }
}

/// Adds an account's new value to a batch; `None` deletes it.
pub fn put_account(batch: &mut Batch, address: Address, account: Option<&Account>) {
    match account {
        Some(account) => batch.put(Table::Accounts, address.as_slice(), account.to_slim_rlp()),
        None => batch.delete(Table::Accounts, address.as_slice()),
    }
}

/// Adds a slot's new value to a batch; zero deletes it.
pub fn put_slot(batch: &mut Batch, address: Address, slot: U256, value: U256) {
    let key = slot_key(address, slot);
    if value.is_zero() {
        batch.delete(Table::Slots, key);
    } else {
        batch.put(Table::Slots, key, value.to_be_bytes_trimmed_vec());
    }
}

/// `address 20 ‖ slot 32`.
pub fn slot_key(address: Address, slot: U256) -> [u8; 52] {
    let mut key = [0; 52];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

fn decode_account(address: &Address, bytes: &[u8]) -> Result<Account, ChainError> {
    Account::from_slim_rlp(bytes)
        .map_err(|error| damaged("accounts", address.as_slice(), &error.to_string()))
}

fn decode_value(key: &[u8], bytes: &[u8]) -> Result<U256, ChainError> {
    U256::try_from_be_slice(bytes).ok_or_else(|| damaged("slots", key, "value is over 32 bytes"))
}

fn damaged(table: &str, key: &[u8], reason: &str) -> ChainError {
    let key = alloy_primitives::hex::encode(key);
    ChainError::Corrupt { place: format!("table {table} at {key}"), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Kv as _, MemoryKv};

    fn sample() -> Account {
        Account {
            nonce: 7,
            balance: U256::from(1_000_000_007_u64),
            storage_root: B256::repeat_byte(3),
            code_hash: B256::repeat_byte(4),
        }
    }

    #[test]
    fn slim_form_round_trips_and_shortens_the_usual_hashes() {
        for account in [sample(), Account::default(), Account { nonce: 0, ..sample() }] {
            let bytes = account.to_slim_rlp();
            assert_eq!(Account::from_slim_rlp(&bytes), Ok(account));
            assert!(Account::from_slim_rlp(&bytes[..bytes.len() - 1]).is_err());
            assert!(Account::from_slim_rlp(&[bytes, vec![0]].concat()).is_err());
        }
        assert_eq!(Account::default().to_slim_rlp().len(), 5);
    }

    #[test]
    fn trie_form_is_alloys() {
        let account = sample();
        let theirs = alloy_trie::TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root: account.storage_root,
            code_hash: account.code_hash,
        };
        assert_eq!(account.to_trie_rlp(), alloy_rlp::encode(theirs));
    }

    #[test]
    fn reads_back_what_was_put() {
        let (kv, address) = (MemoryKv::default(), Address::repeat_byte(0xff));
        let mut batch = Batch::default();
        put_account(&mut batch, address, Some(&sample()));
        put_slot(&mut batch, address, U256::MAX, U256::from(256));
        put_slot(&mut batch, address, U256::ZERO, U256::MAX);
        put_slot(&mut batch, address, U256::from(1), U256::ZERO);
        kv.commit(batch).unwrap();
        let flat = Flat::new(kv.snapshot().unwrap());
        assert_eq!(flat.account(address).unwrap(), Some(sample()));
        assert_eq!(flat.account(Address::ZERO).unwrap(), None);
        assert_eq!(flat.slot(address, U256::MAX).unwrap(), U256::from(256));
        assert_eq!(flat.slot(address, U256::from(1)).unwrap(), U256::ZERO);
        let slots = flat.slots_of(address).unwrap();
        assert_eq!(slots, [(U256::ZERO, U256::MAX), (U256::MAX, U256::from(256))].into());
        let mut seen = Vec::new();
        flat.accounts(|address, account| seen.push((address, account))).unwrap();
        assert_eq!(seen, [(address, sample())]);
    }
}
