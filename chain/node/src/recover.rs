//! Who signed a transaction: found out once in its life, off the runtime's threads.
//!
//! ```text
//! submit_many, blocks ▶ queue of batches ▶ 2 workers below the sealer's priority ▶ hash → sender
//! ```
//!
//! Recovery costs more than anything else a transfer asks of the node. So the answer is kept for a while: an evicted and
//! re-sent transaction, the block of another signer that holds it, a reorganisation that brings it back cost nothing. Two
//! clients that send the same bytes at the same moment share one recovery as well.

use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use std::thread::JoinHandle;

use alloy_primitives::{
    Address, B256,
    map::{B256Map, B256Set},
};
use chain::{block::Transaction, sender};
use tokio::sync::{mpsc, oneshot};

/// Worker threads: two keep up with any client, and leave the writer its turn.
const WORKERS: usize = 2;
/// Transactions of one batch: short enough that a batch is no wait for the next one, long enough that handing it over
/// costs nothing.
pub(crate) const BATCH: usize = 64;
/// Batches that may wait; whoever brings more waits with them.
const QUEUE: usize = 256;
/// Senders remembered: more than a full pool and the blocks of the last seconds together.
pub(crate) const SENDERS: usize = 131_072;
/// How far the workers stand below the sealer, in the steps of nice(2).
const NICENESS: i32 = 5;

/// A transaction and who signed it; none if no key fits.
pub(crate) type Recovered = (Transaction, Option<Address>);

/// What the workers have done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecoverCounts {
    /// Senders computed.
    pub recovered_total: u64,
    /// Senders that were remembered.
    pub remembered_total: u64,
    /// Senders computed although they were remembered: must stay 0.
    pub recover_repeated_total: u64,
}

/// What a worker is asked to do.
enum Job {
    Batch(Vec<Transaction>, oneshot::Sender<Vec<Recovered>>),
    Stop,
}

/// Door to the recovery workers. Clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct Recovery {
    queue: mpsc::Sender<Job>,
    senders: Arc<Senders>,
}

/// The workers have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

impl Recovery {
    /// Starts the workers, named `recover`.
    pub(crate) fn start() -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (jobs, senders) = (Arc::new(Mutex::new(jobs)), Arc::new(Senders::default()));
        let start = |_| {
            let (jobs, senders) = (Arc::clone(&jobs), Arc::clone(&senders));
            let run = move || work(&jobs, &senders);
            std::thread::Builder::new().name("recover".to_owned()).spawn(run)
        };
        let workers = (0..WORKERS).map(start).collect::<Result<_, _>>()?;
        Ok((Self { queue, senders }, workers))
    }

    /// The same transactions in the same order, each with its sender.
    pub(crate) async fn recover(
        &self,
        transactions: Vec<Transaction>,
    ) -> Result<Vec<Recovered>, Stopped> {
        let count = transactions.len();
        let batches = count.div_ceil(BATCH).max(1);
        let mut rest = transactions.into_iter();
        let mut answers = Vec::with_capacity(batches);
        for _ in 0..batches {
            let batch = rest.by_ref().take(count.div_ceil(batches)).collect();
            let (reply, answer) = oneshot::channel();
            self.queue.send(Job::Batch(batch, reply)).await.map_err(|_| Stopped)?;
            answers.push(answer);
        }
        let mut recovered = Vec::with_capacity(count);
        for answer in answers {
            recovered.append(&mut answer.await.map_err(|_| Stopped)?);
        }
        Ok(recovered)
    }

    pub(crate) fn counts(&self) -> RecoverCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RecoverCounts {
            recovered_total: get(&self.senders.recovered),
            remembered_total: get(&self.senders.remembered),
            recover_repeated_total: get(&self.senders.repeated),
        }
    }

    /// Ends the workers after what is queued; handles that live on get [`Stopped`].
    pub(crate) fn stop(&self, workers: Vec<JoinHandle<()>>) {
        for _ in &workers {
            // A worker that is gone leaves its word to the others, or to nobody.
            let _ = self.queue.blocking_send(Job::Stop);
        }
        for worker in workers {
            if worker.join().is_err() {
                tracing::error!("a recovery worker panicked");
            }
        }
    }
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>, senders: &Senders) {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "recovery runs at the priority of everything else");
    }
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match job {
            Some(Job::Batch(transactions, reply)) => {
                let found = senders.of(&transactions);
                // Whoever asked may have left.
                let _ = reply.send(transactions.into_iter().zip(found).collect());
            }
            Some(Job::Stop) | None => break,
        }
    }
}

/// Hash → sender of the transactions seen last.
#[derive(Debug, Default)]
struct Senders {
    known: Mutex<Known>,
    finished: Condvar,
    recovered: AtomicU64,
    remembered: AtomicU64,
    repeated: AtomicU64,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
#[derive(Debug, Default)]
struct Known {
    young: B256Map<Address>,
    old: B256Map<Address>,
    /// Being computed by a worker.
    running: B256Set,
}

impl Known {
    fn get(&self, hash: &B256) -> Option<Address> {
        self.young.get(hash).or_else(|| self.old.get(hash)).copied()
    }

    fn insert(&mut self, hash: B256, sender: Address) {
        if self.young.len() >= SENDERS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, sender);
    }
}

/// Hashes that one worker computes; given up when dropped, so that nobody waits for a worker that is gone.
struct Claim<'a> {
    senders: &'a Senders,
    hashes: Vec<B256>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut known = self.senders.known();
        for hash in &self.hashes {
            known.running.remove(hash);
        }
        drop(known);
        self.senders.finished.notify_all();
    }
}

impl Senders {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The senders of these transactions, remembered or computed.
    fn of(&self, transactions: &[Transaction]) -> Vec<Option<Address>> {
        let mut found = vec![None; transactions.len()];
        let mut open: Vec<usize> = (0..transactions.len()).collect();
        while !open.is_empty() {
            open = self.step(transactions, &mut found, &open);
        }
        found
    }

    /// Looks up or computes those at `open`; returns the places of those that another worker, or this batch itself, had
    /// just begun: by then they are done.
    fn step(
        &self,
        transactions: &[Transaction],
        found: &mut [Option<Address>],
        open: &[usize],
    ) -> Vec<usize> {
        let hash = |&at: &usize| *transactions[at].tx_hash();
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        let mut claim = Claim { senders: self, hashes: Vec::new() };
        let mut known = self.known();
        for at in open {
            if let Some(sender) = known.get(&hash(at)) {
                found[*at] = Some(sender);
            } else if known.running.insert(hash(at)) {
                mine.push(*at);
                claim.hashes.push(hash(at));
            } else {
                theirs.push(*at);
            }
        }
        drop(known);
        self.remembered
            .fetch_add((open.len() - mine.len() - theirs.len()) as u64, Ordering::Relaxed);
        for &at in &mine {
            found[at] = sender::recover(&transactions[at]);
        }
        self.remember(mine.iter().filter_map(|at| Some((hash(at), found[*at]?))));
        drop(claim);
        let is_running =
            |known: &mut Known| theirs.iter().any(|at| known.running.contains(&hash(at)));
        if !theirs.is_empty() {
            let wait = self.finished.wait_while(self.known(), is_running);
            drop(wait.unwrap_or_else(PoisonError::into_inner));
        }
        theirs
    }

    fn remember(&self, computed: impl Iterator<Item = (B256, Address)>) {
        let mut known = self.known();
        for (hash, sender) in computed {
            self.recovered.fetch_add(1, Ordering::Relaxed);
            if known.get(&hash).is_some() {
                self.repeated.fetch_add(1, Ordering::Relaxed);
            }
            known.insert(hash, sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{SignableTransaction as _, TxLegacy};
    use alloy_primitives::{Signature, U256};

    use super::*;
    use crate::dev_accounts;

    fn signed(nonce: u64) -> Transaction {
        let key = &dev_accounts::keys()[0];
        let transaction = TxLegacy { chain_id: Some(1), nonce, ..TxLegacy::default() };
        let bytes = key.sign(transaction.signature_hash()).expect("a valid key");
        let (r, s) = (U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..64]));
        transaction.into_signed(Signature::new(r, s, bytes[64] == 1)).into()
    }

    fn forged() -> Transaction {
        TxLegacy::default().into_signed(Signature::new(U256::ZERO, U256::ONE, false)).into()
    }

    #[test]
    fn a_transaction_is_recovered_once_whoever_asks() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("threads");
        let (recovery, workers) = Recovery::start().expect("threads");
        let mut transactions: Vec<Transaction> = (0..150).map(signed).collect();
        transactions.push(signed(3));
        transactions.push(forged());
        let signer = dev_accounts::keys()[0].address().expect("a valid key");
        let ask = || {
            let (recovery, transactions) = (recovery.clone(), transactions.clone());
            async move { recovery.recover(transactions).await }
        };
        let answers = runtime.block_on(async {
            let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(ask())).collect();
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.expect("no panic").expect("the workers run"));
            }
            answers
        });
        for answer in answers {
            let (back, senders): (Vec<_>, Vec<_>) = answer.into_iter().unzip();
            assert_eq!(back, transactions);
            assert!(senders[..151].iter().all(|sender| *sender == Some(signer)));
            assert_eq!(senders[151], None);
        }
        let counts = recovery.counts();
        assert_eq!((counts.recovered_total, counts.recover_repeated_total), (150, 0));
        assert!(counts.remembered_total >= 3 * 150, "{counts:?}");
        recovery.stop(workers);
        assert_eq!(runtime.block_on(ask()), Err(Stopped));
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let mut known = Known::default();
        let hash = |n: usize| B256::from(U256::from(n));
        for n in 0..2 * SENDERS {
            known.insert(hash(n), Address::ZERO);
            assert!(known.young.len() + known.old.len() <= SENDERS);
        }
        assert_eq!(known.get(&hash(0)), None);
        assert!((2 * SENDERS - SENDERS / 2..2 * SENDERS).all(|n| known.get(&hash(n)).is_some()));
    }
}
