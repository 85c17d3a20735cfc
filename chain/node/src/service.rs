//! [`Node`]: start order, the writer's thread, stop order.
//!
//! One thread named `writer` owns the ledger. It takes commands from a bounded queue and, between
//! them, runs what arrives in its open block and seals it when it is due. Nothing is told before it is on disk and readers see it:
//! ledger, then pool, then [`ChainEvent`]s.
//!
//! [`ChainEvent`]: crate::events::ChainEvent

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use alloy_primitives::Address;
use chain::{
    block::RecoveredBlock,
    blockchain::{Blockchain, ExecutedBlock, HeadChange, Imported, Storage},
    clique::prepare::{SLOT_MS, SealerSettings},
    disk::Disk,
    error::ChainError,
    genesis::Genesis,
    pool::{Origin, Pool, PoolError},
};
use tokio::sync::Notify;

use crate::{
    config::{MinerConfig, NodeConfig},
    disk_watch::DiskWatch,
    error::NodeError,
    events::{Events, PendingTransactions},
    handle::{Command, HeadAccounts, NodeHandle, Shared, pool_head},
    miner::Miner,
    network,
    permissions::{Guard, PERMISSIONS_FILE},
    proposals::Proposals,
    recover::Recovery,
    replay::Replay,
    sealer::{Sealer, now_ms},
    txpool_args::TxPoolArgs,
    txpool_upkeep::{JournalSettings, Upkeep},
};

/// Commands that may wait for the writer; a sender of imports waits, a wake-up is dropped as the
/// writer is awake.
const COMMANDS: usize = 64;
/// Longest sleep of the writer, so that a clock that was set does not stop the chain.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Arrivals are run together that come within this time, unless a block is due: a wake-up costs as much as a transfer.
const BUILD_PAUSE: Duration = Duration::from_millis(4);
/// Time the writer has to end: the block it is at, the flush that runs, and the last one.
const STOP_TIME: Duration = Duration::from_secs(8);
/// Least tip suggested where gas has a price: 1 gwei (`--miner.gasprice`).
const GAS_PRICE_FLOOR: u128 = 1_000_000_000;
/// Folder of the ledger inside the data folder.
pub(crate) const STORE_FOLDER: &str = "msnet";

/// A running node. Dropping it without [`Node::stop`] ends the writer at its next command, without
/// waiting.
#[derive(Debug)]
pub struct Node {
    handle: NodeHandle,
    writer: JoinHandle<Result<(), ChainError>>,
    workers: Vec<JoinHandle<()>>,
    upkeep: Upkeep,
}

impl Node {
    /// Opens the ledger (replaying what a crash left) and starts the writer.
    ///
    /// # Errors
    /// [`NodeError`] if the genesis is none, does not fit the folder, the folder is used or damaged, or the key is none.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let start = tokio::task::spawn_blocking(move || Self::open(config)).await;
        start.map_err(|_| NodeError::Stop("opening the ledger panicked"))?
    }

    fn open(config: NodeConfig) -> Result<Self, NodeError> {
        if let Some(replay) = &config.replay {
            return Self::replay(replay, &config);
        }
        let mut genesis = Genesis::from_json(&config.genesis)?;
        if let (Some(secs), Some(clique)) = (config.period_override, &mut genesis.spec.clique) {
            clique.period_secs = secs;
        }
        genesis.validate_runnable()?;
        for warning in genesis.warnings.iter().chain(&genesis.start_warnings()) {
            tracing::warn!(%warning, "genesis");
        }
        let signer = config.signer.as_ref().map(crate::SignerKey::address).transpose()?;
        let place = config.datadir.map(|folder| (config.disk, folder.join(STORE_FOLDER)));
        let folder = place.as_ref().map(|(_, folder)| folder.clone());
        let mut chain =
            Blockchain::open_with(&genesis, storage(place.clone()), config.storage.options())?;
        chain.keep_history(config.storage.history_state())?;
        if let Some((disk, folder)) = &place {
            network::remember(disk.as_ref(), folder, &config.genesis)?;
        }
        let disk = DiskWatch::new(place, config.min_free_disk_mib);
        if config.reexecutes {
            chain.reexecute_own_blocks();
        }
        let guard = Guard::open(folder.as_ref().map(|folder| folder.join(PERMISSIONS_FILE)))?;
        for flag in config.txpool.raised() {
            tracing::warn!(flag, "above the default: more memory and time than was measured");
        }
        let proposals = Proposals::open(folder.as_deref())?;
        let kept = Kept { guard, disk, proposals };
        let shared = Arc::new(share(&chain, signer, &config.txpool, &config.miner, kept));
        let settings = config.signer.zip(signer).map(|(key, signer)| {
            let gas_limit = config.miner.gas_limit.unwrap_or(genesis.header.gas_limit);
            let settings = SealerSettings {
                vanity: config.miner.vanity(),
                slot_ms: config.miner.slot_ms.unwrap_or(SLOT_MS),
                ..SealerSettings::new(signer, gas_limit)
            };
            (key, settings)
        });
        let from_ms = signer.map(|signer| take_key(&mut chain, signer)).transpose()?.unwrap_or(0);
        let (commands, inbox) = sync_channel(COMMANDS);
        let (recovery, workers) = Recovery::start().map_err(NodeError::Thread)?;
        let to_write = Arc::clone(&shared);
        // The open block stays on its thread: the EVM shares its memory without locks.
        let write = move || {
            let _told = EndTold(Arc::clone(&to_write));
            let sealer = settings.map(|(key, settings)| Sealer::new(key, settings, from_ms));
            Writer { chain, sealer, shared: to_write, inbox, built: Instant::now() }.run()
        };
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(write)
            .map_err(NodeError::Thread)?;
        let handle = NodeHandle { shared, commands, recovery };
        let path = folder.zip(config.txpool.journal()).map(|(folder, file)| folder.join(file));
        let rejournal = config.txpool.rejournal();
        let journal = path.map(|path| JournalSettings { path, rejournal });
        let upkeep = Upkeep::start(handle.clone(), journal).map_err(NodeError::Thread)?;
        Ok(Self { handle, writer, workers, upkeep })
    }

    /// Serves a recorded chain.
    fn replay(replay: &Replay, config: &NodeConfig) -> Result<Self, NodeError> {
        let (chain, marked) = replay.open(&config.genesis)?;
        let (guard, proposals) = (Guard::open(None)?, Proposals::default());
        let disk = DiskWatch::new(None, config.min_free_disk_mib);
        let kept = Kept { guard, disk, proposals };
        let mut shared = share(&chain, None, &config.txpool, &config.miner, kept);
        shared.marked = Some(marked);
        let shared = Arc::new(shared);
        let (commands, inbox) = sync_channel(COMMANDS);
        let (recovery, workers) = Recovery::start().map_err(NodeError::Thread)?;
        let to_write = Arc::clone(&shared);
        let write = move || {
            let _told = EndTold(Arc::clone(&to_write));
            Writer { chain, sealer: None, shared: to_write, inbox, built: Instant::now() }.run()
        };
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(write)
            .map_err(NodeError::Thread)?;
        let handle = NodeHandle { shared, commands, recovery };
        let upkeep = Upkeep::start(handle.clone(), None).map_err(NodeError::Thread)?;
        Ok(Self { handle, writer, workers, upkeep })
    }

    /// A door to this node.
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Done when the writer has ended by itself, which it does on a fault that it must not seal over;
    /// [`Node::stop`] says which. For one waiter.
    pub async fn ended(&self) {
        self.handle.shared.ended.notified().await;
    }

    /// Ends the writer after the block it is at, and flushes the ledger. Handles that live on
    /// answer reads alone.
    ///
    /// # Errors
    /// [`NodeError::Chain`] if the last flush failed; [`NodeError::Stop`] if the writer is not done after eight seconds.
    pub async fn stop(self) -> Result<(), NodeError> {
        let Self { handle, writer, workers, upkeep } = self;
        let end = move || {
            let stopped = stop_writer(&handle.commands, &writer);
            // after the writer, so that what it mined last is not in the journal
            upkeep.stop();
            // last: until here both may have asked for senders
            handle.recovery.stop(workers);
            stopped?;
            writer
                .join()
                .map_err(|_| NodeError::Stop("it panicked; see the log"))?
                .map_err(NodeError::from)
        };
        tokio::task::spawn_blocking(end).await.map_err(|_| NodeError::Stop("its join panicked"))?
    }
}

/// Tells those who wait for it that the writer has ended, however it did.
struct EndTold(Arc<Shared>);

impl Drop for EndTold {
    fn drop(&mut self) {
        self.0.ended.notify_one();
    }
}

/// Sends [`Command::Stop`] and waits until the thread is done, both within [`STOP_TIME`].
fn stop_writer(
    commands: &SyncSender<Command>,
    writer: &JoinHandle<Result<(), ChainError>>,
) -> Result<(), NodeError> {
    const STEP: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + STOP_TIME;
    let mut is_sent = false;
    while !writer.is_finished() {
        if Instant::now() > deadline {
            return Err(NodeError::Stop(
                "it is still busy after 8 s; the block log on disk is complete",
            ));
        }
        is_sent = is_sent || commands.try_send(Command::Stop).is_ok();
        std::thread::sleep(STEP);
    }
    Ok(())
}

/// Makes sure that what this key sealed is known; says so if it has to stay silent for a while.
fn take_key(chain: &mut Blockchain, signer: Address) -> Result<u64, ChainError> {
    let now = now_ms();
    let from_ms = chain.take_key(signer, now)?;
    if from_ms > now {
        let secs = (from_ms - now) / 1_000;
        tracing::warn!(%signer, secs, "the journal knows no seal of this key: listening before the first one");
    }
    Ok(from_ms)
}

fn storage(place: Option<(Arc<dyn Disk>, PathBuf)>) -> Storage {
    place.map_or(Storage::Memory, |(disk, folder)| Storage::Disk(disk, folder))
}

/// What lies in the ledger's folder beside the chain.
struct Kept {
    guard: Guard,
    disk: DiskWatch,
    proposals: Proposals,
}

fn share(
    chain: &Blockchain,
    signer: Option<Address>,
    txpool: &TxPoolArgs,
    miner: &MinerConfig,
    Kept { guard, disk, proposals }: Kept,
) -> Shared {
    let (reader, spec) = (chain.reader(), chain.spec());
    let mut config = txpool.pool_config(spec.zero_base_fee);
    config.price_limit = miner.gas_price.unwrap_or(config.price_limit);
    config.order = miner.order.unwrap_or(config.order);
    config.takes_blobs = spec.clique.is_none();
    let mut pool = Pool::new(config, pool_head(&reader, now_ms() / 1_000));
    let accounts = guard.lists.accounts_allowlist.as_ref();
    pool.permit(accounts.map(|accounts| accounts.iter().copied().collect()));
    let usual_price = if spec.zero_base_fee { 0 } else { GAS_PRICE_FLOOR };
    let gas_price_floor = miner.gas_price.unwrap_or(usual_price);
    Shared {
        reader,
        pool: Mutex::new(pool),
        is_work_noted: AtomicBool::new(false),
        ended: Notify::new(),
        events: Events::default(),
        guard: Mutex::new(guard),
        signer,
        miner: Mutex::new(Miner { gas_price_floor, ..Miner::default() }),
        disk,
        proposals: Mutex::new(proposals),
        marked: None,
    }
}

/// The one thread that changes the ledger.
struct Writer {
    chain: Blockchain,
    sealer: Option<Sealer>,
    shared: Arc<Shared>,
    inbox: Receiver<Command>,
    /// When the open block was looked after last.
    built: Instant,
}

impl Writer {
    fn run(mut self) -> Result<(), ChainError> {
        loop {
            let sleep = self.build_and_seal()?;
            match self.inbox.recv_timeout(sleep) {
                Ok(Command::Work) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Command::Import(block, reply)) => {
                    let verdict = self.import(*block);
                    // Whoever asked may have left; the block stays.
                    let _ = reply.send(verdict);
                }
                Ok(Command::SetHead(number, reply)) => {
                    let verdict = self.set_head(number);
                    // whoever asked may have left
                    let _ = reply.send(verdict);
                }
                // whoever asked may have left
                Ok(Command::Ping(reply)) => drop(reply.send(())),
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Err(error) = self.chain.flush_if_due(now_ms()) {
                tracing::error!(%error, "the tables do not follow the chain: no block is taken until they do");
            }
        }
        self.chain.close()
    }

    /// Runs what has arrived, seals if it is time, and says how long there is nothing to do.
    ///
    /// # Errors
    /// An own block did something else when it ran a second time; nothing of it is stored.
    fn build_and_seal(&mut self) -> Result<Duration, ChainError> {
        let Some(sealer) = &mut self.sealer else { return Ok(LONGEST_SLEEP) };
        if self.shared.disk.check().is_err() {
            return Ok(LONGEST_SLEEP);
        }
        if self.shared.miner().is_stopped {
            self.shared.is_work_noted.store(false, Ordering::Release);
            return Ok(LONGEST_SLEEP);
        }
        let now = now_ms();
        let slot = match sealer.slot(&self.shared, now) {
            Ok(Some(slot)) => slot,
            Ok(None) => {
                self.shared.is_work_noted.store(false, Ordering::Release);
                return Ok(LONGEST_SLEEP);
            }
            Err(error) => {
                tracing::error!(%error, "cannot tell when to seal");
                return Ok(LONGEST_SLEEP);
            }
        };
        if slot.opens_ms > now {
            return Ok(Duration::from_millis(slot.opens_ms - now).min(LONGEST_SLEEP));
        }
        let left = Duration::from_millis(slot.due_ms.saturating_sub(now));
        let rest = BUILD_PAUSE.saturating_sub(self.built.elapsed()).min(left);
        if !rest.is_zero() {
            return Ok(rest);
        }
        let is_more = match sealer.build(&self.chain, &self.shared, slot, now) {
            Ok(is_more) => is_more,
            Err(error) => {
                self.shared.disk.note(&error);
                tracing::error!(%error, "cannot build a block");
                return Ok(LONGEST_SLEEP);
            }
        };
        self.built = Instant::now();
        if is_more {
            return Ok(Duration::ZERO);
        }
        if left.is_zero() {
            self.seal()?;
            return Ok(Duration::ZERO);
        }
        Ok(left.min(LONGEST_SLEEP))
    }

    fn seal(&mut self) -> Result<(), ChainError> {
        let Some(sealer) = &mut self.sealer else { return Ok(()) };
        let started = Instant::now();
        match sealer.seal(&mut self.chain, &self.shared) {
            Ok(Some(change)) => {
                if let Some(head) = change.added.last() {
                    log_block("sealed block", head, started);
                }
                self.follow(change);
            }
            Ok(None) => {}
            Err(error @ ChainError::AlreadySealed { .. }) => {
                tracing::warn!(%error, "waiting for another signer's block");
            }
            Err(error @ ChainError::Execution(_)) => {
                tracing::error!(%error, "an own block does not do what it says; the writer ends");
                return Err(error);
            }
            Err(error) => {
                self.shared.disk.note(&error);
                tracing::error!(%error, "cannot seal a block");
            }
        }
        Ok(())
    }

    fn import(&mut self, block: RecoveredBlock) -> Result<Imported, ChainError> {
        let started = Instant::now();
        let imported = self.chain.import(block, now_ms());
        let imported = imported.inspect_err(|error| self.shared.disk.note(error))?;
        if let Imported::Head(change) = &imported {
            if let Some(head) = change.added.last() {
                log_block("imported block", head, started);
            }
            self.follow(change.clone());
        }
        Ok(imported)
    }

    /// Takes blocks off the chain.
    fn set_head(&mut self, number: u64) -> Result<(), ChainError> {
        let change = self.chain.set_head(number)?;
        if !change.removed.is_empty() {
            tracing::warn!(number, removed = change.removed.len(), "the head was set back");
            self.follow(change);
        }
        Ok(())
    }

    /// After the head moved: the pool, then the listeners.
    fn follow(&self, change: HeadChange) {
        if let Err(error) = self.refresh_pool(&change) {
            tracing::error!(%error, "the pool did not follow the head");
        }
        self.shared.events.announce_head(Arc::new(change));
    }

    /// Drops what was mined, brings back what left the chain.
    fn refresh_pool(&self, change: &HeadChange) -> Result<(), PoolError> {
        let view = HeadAccounts::new(&self.shared.reader);
        let head = pool_head(&self.shared.reader, now_ms() / 1_000);
        let mut pool = self.shared.pool();
        let mut executable = pool.on_new_head(head, senders(change), &view)?;
        for block in &change.removed {
            let body = block.block.body().transactions.iter().zip(block.block.senders());
            for (transaction, sender) in body {
                // Most are in the new branch too, so a refusal is the normal case.
                let origin = Origin::Elsewhere;
                if let Ok(added) = pool.add_from(origin, transaction.clone(), *sender, &view) {
                    executable.extend(added.executable);
                }
            }
        }
        drop(pool);
        if !executable.is_empty() {
            self.shared.events.announce_pending(PendingTransactions(executable.into()));
        }
        Ok(())
    }
}

/// Accounts whose nonce moved. Others may have gained or lost balance; the pool finds that out when
/// it builds.
fn senders(change: &HeadChange) -> BTreeSet<Address> {
    let blocks = change.removed.iter().chain(&change.added);
    blocks.flat_map(|block| block.block.senders().iter().copied()).collect()
}

fn log_block(what: &'static str, head: &ExecutedBlock, started: Instant) {
    let header = head.block.header();
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        number = header.number,
        hash = %head.block.hash(),
        txs = head.receipts.len(),
        gas = header.gas_used,
        elapsed_ms,
        "{what}"
    );
}
