//! When the tables follow, and on which thread.
//!
//! ```text
//!   … ── f ── ░ ── ░ ── ░ ── t ── ▒ ── ▒ ── head        f flushed, t target of the flush that runs, ░ its blocks
//! ```
//!
//! A chain in a folder flushes on a thread of its own, so that no block waits for the tables; the writer goes on with
//! layers above the old tables and takes the new ones up when they are done. A chain in memory flushes in place, so that
//! it does the same each time.

use std::{
    collections::HashSet,
    io,
    path::Path,
    thread::{Builder, JoinHandle},
};

use alloy_primitives::B256;

use super::Blockchain;
use crate::{
    error::ChainError,
    log::io_error,
    store::{Flush, FlushBlock, FlushDone, FlushWork},
};

/// A flush starts when so many blocks wait for one,
const FLUSH_BLOCKS: usize = 32;
/// or so many changed accounts and slots,
const FLUSH_CHANGES: usize = 200_000;
/// or so long after the last one.
const FLUSH_EVERY_MS: u64 = 60_000;
/// Blocks below the head that stay unflushed, so that a usual reorganisation costs no disk.
const UNFLUSHED_BLOCKS: u64 = 16;
/// A block that finds more unflushed ones waits until the flush that runs is done: memory is bounded.
const MAX_UNFLUSHED_BLOCKS: usize = 100;
/// The same for changed accounts and slots.
const MAX_UNFLUSHED_CHANGES: usize = 400_000;
/// How far the flusher steps back behind the threads that somebody waits for.
const NICE: i32 = 5;

/// The flush that runs, and when the last one was.
#[derive(Debug)]
pub(super) struct Flusher {
    has_thread: bool,
    running: Option<Running>,
    last_ms: Option<u64>,
    /// After a failure the next one runs in place: no block is taken until it succeeds.
    has_failed: bool,
}

#[derive(Debug)]
struct Running {
    thread: JoinHandle<Result<FlushDone, ChainError>>,
    plan: Plan,
}

/// Which blocks leave the tree when the flush is done.
#[derive(Debug)]
struct Plan {
    target: u64,
    hashes: Vec<B256>,
}

impl Flusher {
    pub(super) const fn new(has_thread: bool) -> Self {
        Self { has_thread, running: None, last_ms: None, has_failed: false }
    }
}

impl Drop for Flusher {
    /// Files are closed when the chain is gone, also if nobody closed it.
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.thread.join();
        }
    }
}

impl Blockchain {
    /// Writes all but the newest blocks into the tables and waits until it is done.
    ///
    /// # Errors
    /// What the store says if it fails; nothing is lost then, the log has every block.
    pub fn flush(&mut self) -> Result<(), ChainError> {
        self.wait_for_flush()?;
        let target = self.flush_target();
        if target <= self.store.flushed().number {
            return Ok(());
        }
        let (flush, plan) = self.plan_flush(target)?;
        let done = flush.run();
        self.flusher.has_failed = done.is_err();
        self.follow_flush(&done?, &plan)
    }

    /// Starts a flush if one is due (32 blocks, 200,000 changes or 60 s since the last), and takes up one that is done.
    /// Each import does so by itself; a caller with a clock calls it while no block comes. It waits only if too much is
    /// unflushed.
    ///
    /// # Errors
    /// What the store says if a flush failed. No block is taken until one succeeds.
    pub fn flush_if_due(&mut self, now_ms: u64) -> Result<(), ChainError> {
        if self.flusher.running.as_ref().is_some_and(|running| running.thread.is_finished()) {
            self.wait_for_flush()?;
        }
        if self.flusher.has_failed {
            return self.flush();
        }
        let last_ms = *self.flusher.last_ms.get_or_insert(now_ms);
        loop {
            let is_full = self.is_full();
            let target = self.flush_target();
            if self.flusher.running.is_some() {
                if !is_full {
                    return Ok(());
                }
                self.wait_for_flush()?;
                continue;
            }
            let is_late = now_ms.saturating_sub(last_ms) >= FLUSH_EVERY_MS;
            let has_any = target > self.store.flushed().number;
            if !has_any || !(is_full || is_late || self.has_enough_for_a_flush(target)) {
                return Ok(());
            }
            self.flusher.last_ms = Some(now_ms);
            self.start_flush(target)?;
            if !is_full {
                return Ok(());
            }
        }
    }

    /// Waits for the flush that runs, if one does, and takes it up.
    pub(super) fn wait_for_flush(&mut self) -> Result<(), ChainError> {
        let Some(Running { thread, plan }) = self.flusher.running.take() else { return Ok(()) };
        let panicked = |_| {
            let error = io::Error::other("the flusher panicked; see the log");
            Err(io_error("flush", Path::new("state.redb"), error))
        };
        let done = thread.join().unwrap_or_else(panicked);
        self.flusher.has_failed = done.is_err();
        self.follow_flush(&done?, &plan)
    }

    /// The target of the flush that runs.
    pub(super) fn flush_in_progress(&self) -> Option<u64> {
        self.flusher.running.as_ref().map(|running| running.plan.target)
    }

    fn start_flush(&mut self, target: u64) -> Result<(), ChainError> {
        let (flush, plan) = self.plan_flush(target)?;
        if !self.flusher.has_thread {
            let done = flush.run();
            self.flusher.has_failed = done.is_err();
            return self.follow_flush(&done?, &plan);
        }
        let run = move || {
            // A kernel that refuses only makes the flush quicker.
            let _ = rustix::process::nice(NICE);
            flush.run()
        };
        let thread = Builder::new().name("flusher".to_owned()).spawn(run);
        let thread = thread.map_err(|error| {
            io_error("start a thread that flushes", Path::new("state.redb"), error)
        })?;
        self.flusher.running = Some(Running { thread, plan });
        Ok(())
    }

    /// Up to 16 blocks behind the head, or fewer if those hold half of what memory takes.
    fn flush_target(&self) -> u64 {
        let view = self.view();
        let mut changes = 0;
        for recent in view.recent().iter().rev() {
            let number = recent.executed.number();
            changes += recent.layer.changes.len();
            if number + UNFLUSHED_BLOCKS <= view.head().number()
                || changes > MAX_UNFLUSHED_CHANGES / 2
            {
                return number;
            }
        }
        view.shelf().flushed().number
    }

    fn is_full(&self) -> bool {
        let view = self.view();
        let changes = view.recent().iter().map(|recent| recent.layer.changes.len()).sum::<usize>();
        view.recent().len() > MAX_UNFLUSHED_BLOCKS || changes > MAX_UNFLUSHED_CHANGES
    }

    fn has_enough_for_a_flush(&self, target: u64) -> bool {
        let view = self.view();
        let waiting = view.recent().iter().take_while(|recent| recent.executed.number() <= target);
        let changes: Vec<_> = waiting.map(|recent| recent.layer.changes.len()).collect();
        changes.len() >= FLUSH_BLOCKS || changes.iter().sum::<usize>() >= FLUSH_CHANGES
    }

    fn plan_flush(&self, target: u64) -> Result<(Flush, Plan), ChainError> {
        let view = self.view();
        let (mut blocks, mut canonical) = (Vec::new(), HashSet::new());
        for recent in view.recent().iter().filter(|recent| recent.executed.number() <= target) {
            let (number, hash) = (recent.executed.number(), recent.executed.hash());
            let row = self.tree.get(&hash).map(|found| found.row);
            let row = row.ok_or_else(|| ChainError::UnknownBlock { block: hash.to_string() })?;
            let canonical_parts = Some((recent.executed.clone(), recent.layer.clone()));
            blocks.push(FlushBlock { number, hash, row, canonical: canonical_parts });
            canonical.insert(hash);
        }
        // A block that comes while the flush runs lies behind this place, also on a low branch.
        let mut log_from = self.store.log_end();
        for (&hash, found) in &self.tree {
            let (number, row) = (found.number(), found.row);
            if number > target {
                log_from = log_from.min((row.block.segment, row.block.offset));
            } else if !canonical.contains(&hash) {
                blocks.push(FlushBlock { number, hash, row, canonical: None });
            }
        }
        let mut snapshots = Vec::new();
        for item in blocks.iter().filter(|item| item.canonical.is_some()) {
            if self.shared.snapshots.is_stored(item.number) {
                snapshots.push(self.shared.snapshots.after(item.hash, &self.ancestry())?);
            }
        }
        let hashes = blocks.iter().map(|item| item.hash).collect();
        let (bad, history) = (view.bad().clone(), self.history);
        let work = FlushWork { blocks, snapshots, log_from, bad, history };
        let flush = self.store.prepare_flush(work, self.shared.snapshots.config())?;
        Ok((flush, Plan { target, hashes }))
    }

    fn follow_flush(&mut self, done: &FlushDone, plan: &Plan) -> Result<(), ChainError> {
        self.store.follow_flush(done);
        for hash in &plan.hashes {
            self.tree.remove(hash);
        }
        let mut next = (*self.view()).clone();
        let shelf = self.store.shelf(self.shared.snapshots.config())?;
        next.reshelve(shelf, |hash| self.tree.contains_key(&hash));
        self.shared.publish(next);
        Ok(())
    }
}
