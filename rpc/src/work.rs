//! Long work off the runtime's threads: EVM runs and log walks, a few at a time, with a bounded
//! queue.
//!
//! A run of the EVM ends when its time is over ([`stop`]), and when the client that asked has gone meanwhile.

use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use chain::state::stop::Stop;
use tokio::sync::Semaphore;

use crate::{error::RpcError, limits, metrics::Histogram};

thread_local! {
    /// True once nobody waits for the job of this thread.
    static ABANDONED: RefCell<Arc<AtomicBool>> = RefCell::default();
}

/// True if nobody waits for what this thread does.
pub fn is_abandoned() -> bool {
    ABANDONED.with_borrow(|abandoned| abandoned.load(Ordering::Relaxed))
}

/// Ends a run that begins on this thread: at this moment, or once nobody waits for it.
pub fn stop(until: Instant) -> Stop {
    let abandoned = ABANDONED.with_borrow(Arc::clone);
    Stop::when(Arc::new(move || abandoned.load(Ordering::Relaxed) || Instant::now() >= until))
}

/// Tells a job that nobody waits for it any more.
#[derive(Default)]
struct Waiter(Arc<AtomicBool>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

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
        let waiter = Waiter::default();
        let abandoned = Arc::clone(&waiter.0);
        let done = tokio::task::spawn_blocking(move || {
            ABANDONED.set(abandoned);
            let answer = job();
            ABANDONED.take();
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_job_learns_that_nobody_waits() {
        let (tell, told) = std::sync::mpsc::channel();
        let work = Arc::new(Work::default());
        let run = Arc::clone(&work);
        let job = tokio::spawn(async move {
            let wait = move || {
                let until = Instant::now() + Duration::from_secs(20);
                tell.send(is_abandoned()).expect("somebody listens");
                while !is_abandoned() && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(1));
                }
                tell.send(is_abandoned()).expect("somebody listens");
                Ok(())
            };
            run.run(wait).await
        });
        let told = tokio::task::spawn_blocking(move || {
            assert!(!told.recv().expect("it began"), "somebody waits at first");
            job.abort();
            told.recv().expect("it ended")
        });
        assert!(told.await.expect("no panic"));
        let after = work.run(|| Ok(is_abandoned())).await;
        assert_eq!(after, Ok(false), "the next job of the thread starts anew");
    }
}
