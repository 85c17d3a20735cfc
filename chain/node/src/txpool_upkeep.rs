//! The pool's own thread: tells it the time, and keeps its journal.
//!
//! The pool collects what was submitted; twice a second this thread writes it down, so that no
//! submission waits for the disk. At the start it brings back what an earlier run left: signatures
//! are recovered and every rule is asked as if it came anew.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Weak,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use chain::block::Transaction;
use tokio::runtime::Handle;

use crate::{
    handle::{NodeHandle, Shared},
    sealer::now_ms,
    txpool_journal::Journal,
};

/// Time between two looks at the pool.
const PAUSE: Duration = Duration::from_millis(500);
/// Transactions of the journal whose senders are recovered together.
const BATCH: usize = 64;

/// Where the journal lies and how often it is rewritten.
#[derive(Debug)]
pub(crate) struct JournalSettings {
    pub(crate) path: PathBuf,
    pub(crate) rejournal: Duration,
}

/// The running thread; dropping it ends the thread without waiting.
#[derive(Debug)]
pub(crate) struct Upkeep {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Upkeep {
    /// Starts the thread; called on a thread of the runtime, which recovers senders.
    pub(crate) fn start(handle: NodeHandle, settings: Option<JournalSettings>) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let shared = Arc::downgrade(&handle.shared);
        handle.shared.pool().on_time(now_ms() / 1_000);
        handle.shared.pool().keep_submitted(settings.is_some());
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("txpool".to_owned()).spawn(move || {
            let keeper =
                settings.and_then(|settings| Keeper::open(settings, &handle, &runtime, &stopped));
            if keeper.is_none() {
                handle.shared.pool().keep_submitted(false);
            }
            // whoever drops the node without a word takes it along
            drop(handle);
            run(&shared, keeper, &stopped);
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread after a last rewriting of the journal.
    pub(crate) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the pool's thread panicked; its journal may be old");
        }
    }
}

fn run(shared: &Weak<Shared>, mut keeper: Option<Keeper>, stopped: &Receiver<()>) {
    while matches!(stopped.recv_timeout(PAUSE), Err(RecvTimeoutError::Timeout)) {
        let Some(shared) = shared.upgrade() else { return };
        let expired = shared.pool().on_time(now_ms() / 1_000);
        if !expired.is_empty() {
            tracing::debug!(count = expired.len(), "transactions behind a gap waited too long");
        }
        if let Some(keeper) = &mut keeper {
            keeper.keep(&shared);
        }
    }
    if let (Some(shared), Some(keeper)) = (shared.upgrade(), &mut keeper) {
        keeper.rewrite(&shared);
    }
}

/// Writes the journal.
#[derive(Debug)]
struct Keeper {
    journal: Journal,
    rejournal: Duration,
    rewritten: Instant,
}

impl Keeper {
    /// Brings back what the file holds and begins a new one. A file that cannot be read, or not
    /// before the node stops, is left alone, and there is no journal then.
    fn open(
        settings: JournalSettings,
        handle: &NodeHandle,
        runtime: &Handle,
        stopped: &Receiver<()>,
    ) -> Option<Self> {
        let JournalSettings { path, rejournal } = settings;
        let journal = Journal::new(path);
        let items = match journal.read() {
            Ok(items) => items,
            Err(error) => {
                let path = journal.path().display();
                tracing::warn!(%path, %error, "cannot read the journal of transactions; none is kept");
                return None;
            }
        };
        let (mut batch, mut total, mut admitted) = (Vec::with_capacity(BATCH), 0_usize, 0_usize);
        for item in items {
            match item {
                Ok(transaction) => batch.push(transaction),
                Err(error) => {
                    let path = journal.path().display();
                    tracing::warn!(%path, %error, "the rest of the journal of transactions is lost");
                }
            }
            if batch.len() == BATCH {
                if matches!(stopped.try_recv(), Err(TryRecvError::Disconnected)) {
                    return None;
                }
                total += batch.len();
                admitted += runtime.block_on(readmit(handle, std::mem::take(&mut batch)));
            }
        }
        total += batch.len();
        admitted += runtime.block_on(readmit(handle, batch));
        if total > 0 {
            tracing::info!(total, admitted, "brought back the journal of transactions");
        }
        let mut keeper = Self { journal, rejournal, rewritten: Instant::now() };
        keeper.rewrite(&handle.shared);
        Some(keeper)
    }

    fn keep(&mut self, shared: &Shared) {
        let is_due = self.rewritten.elapsed() >= self.rejournal;
        let submitted = shared.pool().take_submitted();
        let Some(submitted) = submitted.filter(|_| !is_due) else { return self.rewrite(shared) };
        if submitted.is_empty() {
            return;
        }
        match self.journal.append(&submitted) {
            Ok(true) => {}
            Ok(false) => self.rewrite(shared),
            Err(error) => self.warn(&error),
        }
    }

    fn rewrite(&mut self, shared: &Shared) {
        self.rewritten = Instant::now();
        let transactions = {
            let mut pool = shared.pool();
            // they are in the other list too
            drop(pool.take_submitted());
            pool.submitted()
        };
        if let Err(error) = self.journal.rewrite(&transactions) {
            self.warn(&error);
        }
    }

    fn warn(&self, error: &io::Error) {
        let path = self.journal.path().display();
        tracing::warn!(%path, %error, "cannot write the journal of transactions; a restart forgets some");
    }
}

/// Submits transactions again; returns how many the pool took. Refusals are the normal case: most
/// were mined before the restart.
async fn readmit(handle: &NodeHandle, batch: Vec<Transaction>) -> usize {
    let verdicts = handle.submit_many(batch).await;
    verdicts.iter().filter(|verdict| verdict.is_ok()).count()
}
