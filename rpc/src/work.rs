//! Long work off the runtime's threads: EVM runs and log walks, a few at a time, with a bounded
//! queue.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::Semaphore;

use crate::{error::RpcError, limits, metrics::Histogram};

/// Permits for long work.
#[derive(Debug)]
pub struct Work {
    threads: Arc<Semaphore>,
    waiting: AtomicUsize,
    waits: Mutex<Histogram>,
}

impl Default for Work {
    /// One thread is left to the sealer, but there is always one.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = Arc::new(Semaphore::new(cores.saturating_sub(1).max(1)));
        Self { threads, waiting: AtomicUsize::new(0), waits: Mutex::default() }
    }
}

impl Work {
    /// Runs `job` on a thread where it may take its time.
    ///
    /// # Errors
    /// Those of the job; -32005 if the queue is full or the wait is too long; -32603 if the job
    /// panics.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, RpcError> + Send + 'static,
    ) -> Result<T, RpcError> {
        let begun = Instant::now();
        let busy = || RpcError::Limit("server is busy, try again later".to_owned());
        let _place = Place::take(&self.waiting).ok_or_else(busy)?;
        let acquire = Arc::clone(&self.threads).acquire_owned();
        let permit = tokio::time::timeout(limits::WORK_WAIT, acquire).await.map_err(|_| busy())?;
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).add(begun.elapsed());
        let done = tokio::task::spawn_blocking(move || {
            let answer = job();
            drop(permit);
            answer
        });
        done.await.map_err(|error| RpcError::Internal(error.to_string()))?
    }

    /// How long work waited for a thread.
    pub fn waits(&self) -> Histogram {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A place in the queue, free again when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        let before = waiting.fetch_add(1, Ordering::AcqRel);
        (before < limits::WORK_QUEUE).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
