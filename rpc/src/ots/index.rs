//! Which transactions touch an address: an index in memory, made by running the blocks again, behind the head.
//!
//! It grows when it is asked, a bounded time at once, until it has caught up; what a reorganisation takes back is
//! forgotten. Every frame of a transaction counts with both of its ends.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256};

use crate::{
    context::Context,
    debug::{calls::Frame, hooks::deadline},
    error::RpcError,
    trace::methods::frames_of,
};

/// How long one question lets the index grow.
const GROWTH: Duration = Duration::from_secs(2);
/// Blocks that can be forgotten again.
const UNDO_BLOCKS: usize = 1_024;

/// Where a transaction stands: block and position.
pub type Position = (u64, usize);

#[derive(Debug, Default)]
struct Table {
    /// Positions of each address, ascending.
    by_address: HashMap<Address, Vec<Position>>,
    /// The last blocks, oldest first: number, hash, addresses.
    recent: VecDeque<(u64, B256, BTreeSet<Address>)>,
    /// The next block to look at.
    next: u64,
}

/// The index of one listener.
#[derive(Debug, Default)]
pub struct Index(Mutex<Table>);

impl Index {
    /// Positions of an address, ascending.
    ///
    /// # Errors
    /// -32002 with the percentage while it is being built; what the store says if it fails.
    pub fn positions(
        &self,
        context: &Context,
        address: Address,
    ) -> Result<Vec<Position>, RpcError> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.forget(context)?;
        let head = context.chain().head().number();
        let until = Instant::now() + GROWTH;
        while table.next <= head {
            if Instant::now() > until {
                let percent = 100 * table.next / (head + 1);
                return Err(RpcError::Coded {
                    code: -32002,
                    message: format!("index is being built: {percent} %"),
                    data: None,
                });
            }
            table.grow(context)?;
        }
        Ok(table.by_address.get(&address).cloned().unwrap_or_default())
    }
}

impl Table {
    /// Takes back what is no longer canonical.
    fn forget(&mut self, context: &Context) -> Result<(), RpcError> {
        while let Some((number, hash, addresses)) = self.recent.back() {
            if context.chain().canonical_hash(*number)? == Some(*hash) {
                return Ok(());
            }
            for address in addresses {
                if let Some(positions) = self.by_address.get_mut(address) {
                    positions.retain(|(block, _)| block != number);
                }
            }
            self.next = *number;
            self.recent.pop_back();
        }
        if self.next > 0 {
            // More was taken back than is remembered.
            *self = Self::default();
        }
        Ok(())
    }

    fn grow(&mut self, context: &Context) -> Result<(), RpcError> {
        let number = self.next;
        let Some(block) = context.chain().block_by_number(number)? else {
            return Err(RpcError::header_not_found());
        };
        let mut all = BTreeSet::new();
        for (index, frame) in
            frames_of(context, &block, deadline(context, None))?.iter().enumerate()
        {
            let mut touched = BTreeSet::new();
            ends(frame, &mut touched);
            for address in &touched {
                self.by_address.entry(*address).or_default().push((number, index));
            }
            all.extend(touched);
        }
        self.recent.push_back((number, block.hash(), all));
        if self.recent.len() > UNDO_BLOCKS {
            self.recent.pop_front();
        }
        self.next = number + 1;
        Ok(())
    }
}

fn ends(frame: &Frame, out: &mut BTreeSet<Address>) {
    out.insert(frame.from);
    out.extend(frame.to);
    frame.calls.iter().for_each(|call| ends(call, out));
}
