//! A batch: the leaves of the records that wait, at secret positions, padded with random leaves to a power of two.
//!
//! The chain sees a root and a depth of 4 to 16, so volume shows as a power of two only. Record *i* of a batch stands at
//! position `order[i]`, where `order` sorts the positions by `HMAC-SHA-256(secret, "msnet anchor order v1" ‖ seq ‖ position)`;
//! positions need not be stored.
//!
//! ```text
//! row = varint 1 ‖ root 32 ‖ prev_root 32 ‖ u8 size_log2 ‖ varint consent_epoch ‖ u8 state ‖ [tx 32 ‖ [varint block]]
//!     ‖ varint count ‖ handle 16*          zeros stand for an erased record
//! ```
use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::B256;
use contracts::leaf::{Tree, leaf_hash};

use super::Anchors;
use crate::{
    error::EdgeError,
    model::Handle,
    stores::{
        local,
        redb::{Batch, Table},
    },
    vault::{
        Malformed, Reader,
        crypt::{self, Secret},
        put_varint,
    },
};

/// The smallest tree that goes on chain (`contracts.md` 3.4).
const MIN_SIZE_LOG2: u8 = 4;
/// The largest.
const MAX_SIZE_LOG2: u8 = 16;
/// Leaf schema 1: FHIR R4 4.0.1.
pub(super) const SCHEMA: u16 = 1;
/// A consent epoch is a UTC day.
const DAY_SECS: u64 = 86_400;
const FORMAT: u64 = 1;
const ORDER_LABEL: &[u8] = b"msnet anchor order v1";

/// Stands in a row for a record that was erased.
pub(super) const ERASED: Handle = Handle([0; 16]);

/// How far a batch has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchState {
    /// Its root is known to this edge alone.
    Closed,
    /// A transaction carries its root.
    Submitted {
        /// The transaction.
        tx: B256,
    },
    /// Its root stands in a final block.
    Anchored {
        /// The transaction.
        tx: B256,
        /// The block's number.
        block: u64,
    },
}

impl BatchState {
    /// Whether the root stands in a final block.
    pub const fn is_anchored(&self) -> bool {
        matches!(self, Self::Anchored { .. })
    }
}

/// What `RecordRegistry.anchor` is told about a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClosedBatch {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// The root of the batch before; 0 for the first.
    pub prev_root: B256,
    /// Its root.
    pub root: B256,
    /// Depth of its tree.
    pub size_log2: u8,
    /// 1 = FHIR R4.
    pub schema: u16,
    /// How many of its leaves are records; stays at home.
    pub records: usize,
}

/// A batch as the catalogue keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BatchRow {
    pub(super) root: B256,
    pub(super) prev_root: B256,
    pub(super) size_log2: u8,
    pub(super) consent_epoch: u32,
    pub(super) state: BatchState,
    pub(super) handles: Vec<Handle>,
}

impl Anchors {
    /// Closes a batch over all records that wait (65,536 at most), or returns `None` if none does.
    ///
    /// # Errors
    /// [`EdgeError::Io`], [`EdgeError::Storage`] or [`EdgeError::Integrity`]; the records wait on then.
    pub fn close_batch(&self) -> Result<Option<ClosedBatch>, EdgeError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let epoch = u32::try_from(now / DAY_SECS).unwrap_or(u32::MAX);
        self.close_batch_at(epoch)
    }

    /// [`Anchors::close_batch`] with the consent epoch (UTC day) that stands in its leaves.
    ///
    /// # Errors
    /// As [`Anchors::close_batch`].
    pub fn close_batch_at(&self, consent_epoch: u32) -> Result<Option<ClosedBatch>, EdgeError> {
        self.vault.flush()?;
        let mut inner = self.inner();
        let mut handles = self.vault.pending()?;
        handles.truncate(1 << MAX_SIZE_LOG2);
        let mut leaves = Vec::with_capacity(handles.len());
        for handle in &handles {
            let record = self.vault.get(*handle)?.ok_or_else(|| {
                EdgeError::integrity(
                    "a record that waits to be anchored is missing",
                    handle.to_string(),
                )
            })?;
            let secrets = self.leaf_secrets(&record)?;
            leaves.push(leaf_hash(&super::proof::leaf(&record, &secrets, consent_epoch)));
        }
        if handles.is_empty() {
            return Ok(None);
        }
        let last = inner.batches.last_key_value();
        let (seq, prev_root) = last.map_or((1, B256::ZERO), |(seq, row)| (seq + 1, row.root));
        let size_log2 = size_log2(handles.len());
        let placed = place(&leaves, &order(&self.order_secret, seq, size_log2));
        let tree = Tree::new(&placed).map_err(|e| EdgeError::Internal(e.to_string()))?;
        let state = BatchState::Closed;
        let row =
            BatchRow { root: tree.root(), prev_root, size_log2, consent_epoch, state, handles };
        local::replace(&self.leaves_path(seq), &placed.concat())?;
        let mut batch = Batch::default();
        let key = seq.to_be_bytes();
        self.vault.put_sealed(&mut batch, Table::Batches, &key, &row.to_bytes());
        for Handle(handle) in &row.handles {
            batch.delete(Table::Pending, *handle);
        }
        self.vault.commit(batch)?;
        let closed = row.closed(seq);
        inner.add(seq, row, &self.order_secret);
        inner.tree = Some((seq, tree.into()));
        Ok(Some(closed))
    }
}

impl BatchRow {
    pub(super) fn closed(&self, seq: u64) -> ClosedBatch {
        ClosedBatch {
            seq,
            prev_root: self.prev_root,
            root: self.root,
            size_log2: self.size_log2,
            schema: SCHEMA,
            records: self.handles.len(),
        }
    }

    pub(super) fn forget(&mut self, handle: Handle) {
        self.handles.iter_mut().filter(|known| **known == handle).for_each(|known| *known = ERASED);
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, FORMAT);
        out.extend_from_slice(self.root.as_slice());
        out.extend_from_slice(self.prev_root.as_slice());
        out.push(self.size_log2);
        put_varint(&mut out, self.consent_epoch.into());
        match self.state {
            BatchState::Closed => out.push(0),
            BatchState::Submitted { tx } => {
                out.push(1);
                out.extend_from_slice(tx.as_slice());
            }
            BatchState::Anchored { tx, block } => {
                out.push(2);
                out.extend_from_slice(tx.as_slice());
                put_varint(&mut out, block);
            }
        }
        put_varint(&mut out, self.handles.len() as u64);
        self.handles.iter().for_each(|handle| out.extend_from_slice(&handle.0));
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.varint()? != FORMAT {
            return Err(Malformed);
        }
        let (root, prev_root) = (B256::new(reader.array()?), B256::new(reader.array()?));
        let size_log2 = reader.byte()?;
        let consent_epoch = reader.varint32()?;
        let state = match reader.byte()? {
            0 => BatchState::Closed,
            1 => BatchState::Submitted { tx: B256::new(reader.array()?) },
            2 => BatchState::Anchored { tx: B256::new(reader.array()?), block: reader.varint()? },
            _ => return Err(Malformed),
        };
        let count = reader.count()?;
        let handles = (0..count).map(|_| reader.array().map(Handle)).collect::<Result<_, _>>()?;
        reader.end()?;
        if !(MIN_SIZE_LOG2..=MAX_SIZE_LOG2).contains(&size_log2) {
            return Err(Malformed);
        }
        Ok(Self { root, prev_root, size_log2, consent_epoch, state, handles })
    }
}

/// The depth of the tree that holds so many records.
fn size_log2(records: usize) -> u8 {
    let depth = u8::try_from(records.next_power_of_two().ilog2()).expect("below 64");
    depth.max(MIN_SIZE_LOG2)
}

/// All positions of a tree, in the order in which records take them.
pub(super) fn order(secret: &Secret, seq: u64, size_log2: u8) -> Vec<u32> {
    let mut positions: Vec<u32> = (0..1 << size_log2).collect();
    positions.sort_by_cached_key(|position| {
        crypt::hmac(secret, &[ORDER_LABEL, &seq.to_be_bytes(), &position.to_be_bytes()])
    });
    positions
}

/// Puts leaves at their positions and random words everywhere else.
fn place(leaves: &[B256], order: &[u32]) -> Vec<B256> {
    let mut placed: Vec<B256> = order.iter().map(|_| B256::new(crypt::random())).collect();
    for (leaf, position) in leaves.iter().zip(order) {
        placed[*position as usize] = *leaf;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_padded_to_powers_of_two_from_sixteen_on() {
        for (records, depth) in [(1, 4), (16, 4), (17, 5), (1000, 10), (65_536, 16)] {
            assert_eq!(size_log2(records), depth);
        }
    }

    #[test]
    fn the_order_is_a_permutation_and_keyed() {
        let (a, b) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let mut sorted = order(&a, 7, 6);
        assert_eq!(order(&a, 7, 6), sorted);
        assert_ne!(order(&b, 7, 6), sorted);
        assert_ne!(order(&a, 8, 6), sorted);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..64).collect::<Vec<_>>());
    }

    #[test]
    fn rows_round_trip() {
        let tx = B256::repeat_byte(3);
        for state in [
            BatchState::Closed,
            BatchState::Submitted { tx },
            BatchState::Anchored { tx, block: 300 },
        ] {
            let row = BatchRow {
                root: B256::repeat_byte(1),
                prev_root: B256::repeat_byte(2),
                size_log2: 5,
                consent_epoch: 20_454,
                state,
                handles: vec![Handle([1; 16]), ERASED],
            };
            assert_eq!(BatchRow::read(&row.to_bytes()), Ok(row));
        }
        assert!(BatchRow::read(&[1, 2, 3]).is_err());
    }
}
