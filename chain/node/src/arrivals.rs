//! [`Arrivals`]: what became executable since the builder looked last.
//!
//! The builder keeps a picture of the pool for as long as a block is open. What comes later reaches it through here, so
//! that it need not take that picture again, nor hold the pool's lock while transactions run.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use chain::pool::PoolTransaction;

/// Arrivals kept for the builder, an `Arc` each; with more it takes a new picture of the pool.
const CAPACITY: usize = 16_384;

/// Transactions on their way from the pool to the open block.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    fresh: Mutex<Fresh>,
    is_noted: AtomicBool,
}

/// What arrived, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    pub(crate) transactions: Vec<Arc<PoolTransaction>>,
    /// More came than were kept.
    pub(crate) is_incomplete: bool,
}

impl Arrivals {
    /// Adds what became executable. To be called under the pool's lock, so that a sender's nonces arrive in their order.
    pub(crate) fn push(&self, executable: &[Arc<PoolTransaction>]) {
        let mut fresh = self.fresh();
        if fresh.transactions.len() + executable.len() > CAPACITY {
            fresh.transactions = Vec::new();
            fresh.is_incomplete = true;
        } else {
            fresh.transactions.extend_from_slice(executable);
        }
    }

    /// Takes all of it.
    pub(crate) fn take(&self) -> Fresh {
        std::mem::take(&mut *self.fresh())
    }

    /// True if the writer is to be woken: it has not been since it [looked](Self::look) last.
    pub(crate) fn note(&self) -> bool {
        !self.is_noted.swap(true, Ordering::AcqRel)
    }

    /// The writer is about to look; true if there was a note since the last time.
    pub(crate) fn look(&self) -> bool {
        self.is_noted.swap(false, Ordering::AcqRel)
    }

    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
