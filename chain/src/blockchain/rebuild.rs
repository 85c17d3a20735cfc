//! Going back because an operator says so, and running a log again from its beginning.

use super::Blockchain;
use crate::{clique::CliqueError, error::ChainError, store::LogRecord};

/// Blocks that are taken back in one transaction of the tables.
const STEP_BLOCKS: u64 = 128;

impl Blockchain {
    /// Takes the chain back to canonical block `number` and forgets all blocks above it, of any branch. The log keeps their
    /// bytes and the order to pass over them; the signer's journal keeps what was sealed. `show` gets the head after each
    /// step. After a crash the next start goes on.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] above the head; what the store says if it fails.
    pub fn rewind(&mut self, number: u64, show: &mut dyn FnMut(u64)) -> Result<(), ChainError> {
        self.flush()?;
        if self.view().canonical_hash(number)?.is_none() {
            return Err(ChainError::UnknownBlock { block: number.to_string() });
        }
        self.store.append_rewind(number)?;
        self.drop_above(number, show)?;
        let waiting = self.tree.values().map(|found| found.row.block).min();
        self.store.read_log_from(waiting)
    }

    /// The order of a rewind, given now or read from the log.
    pub(super) fn drop_above(
        &mut self,
        number: u64,
        show: &mut dyn FnMut(u64),
    ) -> Result<(), ChainError> {
        self.wait_for_flush()?;
        loop {
            let view = self.view();
            let head = view.head().number();
            let target = number.max(head.saturating_sub(STEP_BLOCKS));
            if head > target {
                let hash = view.canonical_hash(target)?.ok_or(CliqueError::UnknownAncestor)?;
                self.adopt(hash)?;
                show(target);
            }
            self.tree.retain(|_, found| found.number() <= target);
            self.store.forget_above(target)?;
            if head <= number || target == number {
                return Ok(());
            }
        }
    }

    /// Runs the next records of a log whose tables are made again, and flushes.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub(crate) fn absorb(&mut self, records: Vec<LogRecord>) -> Result<(), ChainError> {
        self.replay(records)?;
        self.flush()
    }
}
