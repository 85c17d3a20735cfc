//! [`Flush`]: brings the tables to a later block in one commit, beside the writer.
//!
//! It owns all it needs: blocks, layers and snapshots are shared, never copied. The diffs are synced before the commit
//! that relies on them; if anything fails the tables are as before, and diffs without a row are never read.

use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::B256;

use super::{
    BadBlocks, Shelf,
    log_index::put_logs,
    schema::{self, BlockRow, DiffFrame, Flushed, block_key, meta, tx_place},
};
use crate::{
    block::RecoveredBlock,
    clique::Snapshot,
    error::ChainError,
    kv::{Batch, Kv, Table},
    log::{End, Log},
    reader::ExecutedBlock,
    state::{
        Diff, Layer,
        diff::{SECTION_BLOCKS, changed_key},
        flat::{put_account, put_slot, slot_key},
    },
};

/// A block that a flush writes into the tables.
#[derive(Debug)]
pub struct FlushBlock {
    /// Height.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
    /// Where its frames lie; the flush adds the diff.
    pub row: BlockRow,
    /// The block and what it changed, if it is canonical.
    pub canonical: Option<(Arc<ExecutedBlock>, Arc<Layer>)>,
}

/// What a flush is to write.
#[derive(Debug)]
pub struct FlushWork {
    /// Blocks up to the new flushed one; the canonical ones follow the old flushed block, ascending. At least one is.
    pub blocks: Vec<FlushBlock>,
    /// Snapshots after some of them.
    pub snapshots: Vec<Arc<Snapshot>>,
    /// No frame of a block that stays unflushed stands before.
    pub log_from: End,
    /// The bad blocks to remember.
    pub bad: Arc<BadBlocks>,
    /// Blocks whose diffs stay; `None` keeps all.
    pub history: Option<u64>,
}

/// Where the tables stand after a flush.
#[derive(Debug, Clone, Copy)]
pub struct FlushDone {
    pub(super) flushed: Flushed,
    pub(super) diff_from: u64,
}

/// A flush that is ready to run, on any thread.
#[derive(Debug)]
pub struct Flush {
    pub(super) kv: Arc<dyn Kv>,
    pub(super) diffs: Arc<Mutex<Log>>,
    /// The tables as they stand before.
    pub(super) shelf: Shelf,
    pub(super) work: FlushWork,
}

impl Flush {
    /// Writes everything; durable when it returns.
    ///
    /// # Errors
    /// [`ChainError::Io`], [`ChainError::Db`], [`ChainError::Corrupt`]; the tables are then as before.
    pub fn run(self) -> Result<FlushDone, ChainError> {
        let Self { kv, diffs, shelf, work } = self;
        let canonical: Vec<_> = work
            .blocks
            .iter()
            .filter_map(|item| Some((item, item.canonical.as_ref()?)))
            .map(|(item, (block, layer))| (item, block, layer))
            .collect();
        let Some((newest, newest_block, _)) = canonical.last() else {
            return Ok(FlushDone { flushed: shelf.flushed, diff_from: shelf.diff_from });
        };
        let parts: Vec<_> = canonical.iter().map(|(_, _, layer)| diff_payloads(layer)).collect();
        let mut diffs = diffs.lock().unwrap_or_else(PoisonError::into_inner);
        let all = diffs.append(&parts.concat())?;
        let firsts = parts.iter().scan(0, |next, parts| {
            let first = *next;
            *next += parts.len();
            all.get(first).copied()
        });

        let mut batch = Batch::default();
        for item in work.blocks.iter().filter(|item| item.canonical.is_none()) {
            put_block(&mut batch, item, &item.row);
        }
        let mut changed = Vec::new();
        for (&(item, block, layer), diff) in canonical.iter().zip(firsts) {
            put_block(&mut batch, item, &BlockRow { diff: Some(diff), ..item.row });
            put_canonical(&mut batch, &block.block);
            put_changes(&mut batch, layer);
            put_logs(&mut batch, item.number, &block.receipts);
            collect_changed(&mut changed, layer);
        }
        changed.sort_unstable();
        for same in changed.chunk_by(|(one, _), (other, _)| one == other) {
            let row = &same[0].0;
            let mut all = shelf.kv.get(Table::Changed, row)?.unwrap_or_default();
            all.extend(same.iter().map(|(_, offset)| offset));
            batch.put(Table::Changed, row, all);
        }
        for snapshot in &work.snapshots {
            let value = schema::encode_snapshot(snapshot);
            batch.put(Table::Snapshots, snapshot.hash.as_slice(), value);
        }
        let diff_from = forget_section(&mut batch, &shelf, work.history, newest.number)?;
        batch.put(Table::Meta, meta::LOGS_FROM, shelf.logs_from()?.to_be_bytes());
        batch.put(Table::Meta, meta::BAD, work.bad.encode_positions());
        let ((log_segment, log_offset), (diff_segment, diff_offset)) = (work.log_from, diffs.end());
        let flushed = Flushed {
            number: newest.number,
            hash: newest.hash,
            state_root: newest_block.block.header().state_root,
            log_segment,
            log_offset,
            diff_segment,
            diff_offset,
        };
        batch.put(Table::Meta, meta::FLUSHED, alloy_rlp::encode(flushed));
        kv.commit(batch)?;
        if diff_from > shelf.diff_from
            && let Err(error) = remove_segments(&shelf, &mut diffs, diff_from)
        {
            // The tables are done, and nobody reads those files: the next section tries again.
            tracing::warn!(%error, "old diffs are not removed");
        }
        Ok(FlushDone { flushed, diff_from })
    }
}

/// Forgets the oldest section of history if all of it lies before the blocks whose diffs stay; a flush moves on by less
/// than a section, so one at a time keeps up. Returns the first block whose diff stays.
fn forget_section(
    batch: &mut Batch,
    shelf: &Shelf,
    history: Option<u64>,
    newest: u64,
) -> Result<u64, ChainError> {
    let first = shelf.diff_from;
    let next = (first / SECTION_BLOCKS + 1) * SECTION_BLOCKS;
    // Above the old flushed block the diff has no row yet that would name its segment.
    let is_over = history.is_some_and(|kept| newest.saturating_sub(kept) + 1 >= next)
        && next <= shelf.flushed.number;
    if !is_over {
        return Ok(first);
    }
    for number in first..next {
        for row in changed_rows(number, &*shelf.diff(number)?) {
            batch.delete(Table::Changed, row);
        }
    }
    batch.put(Table::Meta, meta::DIFF_FROM, next.to_be_bytes());
    Ok(next)
}

/// Removes the segments of diffs before that of block `diff_from`. Nothing reads them any more.
fn remove_segments(shelf: &Shelf, diffs: &mut Log, diff_from: u64) -> Result<(), ChainError> {
    let Some(position) = shelf.diff_position(diff_from)? else { return Ok(()) };
    diffs.remove_before(position.segment)
}

fn diff_payloads(layer: &Layer) -> Vec<Vec<u8>> {
    let diff = layer.changes.diff();
    let parts = DiffFrame::split(layer.number, layer.hash, diff, schema::DIFF_PART_KEYS);
    parts.iter().map(DiffFrame::encode).collect()
}

fn put_block(batch: &mut Batch, item: &FlushBlock, row: &BlockRow) {
    batch.put(Table::Blocks, block_key(item.number, item.hash), row.encode());
    batch.put(Table::Hashes, item.hash.as_slice(), item.number.to_be_bytes());
}

fn put_canonical(batch: &mut Batch, block: &RecoveredBlock) {
    let number = block.header().number;
    batch.put(Table::Canon, number.to_be_bytes(), block.hash().as_slice());
    for (index, transaction) in block.body().transactions.iter().enumerate() {
        batch.put(Table::Txs, transaction.tx_hash().as_slice(), tx_place(number, index));
    }
}

fn put_changes(batch: &mut Batch, layer: &Layer) {
    for (&address, change) in &layer.changes.accounts {
        put_account(batch, address, change.new.as_ref());
    }
    for (&(address, slot), change) in &layer.changes.slots {
        put_slot(batch, address, slot, change.new);
    }
    for (hash, code) in &layer.changes.code {
        batch.put(Table::Code, hash.as_slice(), code.to_vec());
    }
}

fn collect_changed(changed: &mut Vec<(Vec<u8>, u8)>, layer: &Layer) {
    let section = layer.number / SECTION_BLOCKS;
    let offset = offset_in_section(layer.number);
    let accounts =
        layer.changes.accounts.keys().map(|address| changed_key(address.as_slice(), section));
    let slots = layer.changes.slots.keys();
    let slots = slots.map(|&(address, slot)| changed_key(&slot_key(address, slot), section));
    changed.extend(accounts.chain(slots).map(|row| (row, offset)));
}

/// The rows of table `changed` that name block `number`.
pub(super) fn changed_rows(number: u64, diff: &Diff) -> Vec<Vec<u8>> {
    let section = number / SECTION_BLOCKS;
    let accounts = diff.accounts.keys().map(|address| changed_key(address.as_slice(), section));
    let slots = diff.slots.keys();
    let slots = slots.map(|&(address, slot)| changed_key(&slot_key(address, slot), section));
    accounts.chain(slots).collect()
}

/// The byte that stands for block `number` in its rows of table `changed`.
pub(super) fn offset_in_section(number: u64) -> u8 {
    u8::try_from(number % SECTION_BLOCKS).expect("a section has 256 blocks")
}
