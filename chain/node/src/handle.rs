//! [`NodeHandle`]: the door everybody else holds. Reads are cheap and never wait for the writer.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, TrySendError},
    },
};

use alloy_primitives::{Address, B256};
use chain::{
    block::{Block, RecoveredBlock, Transaction},
    blockchain::Imported,
    error::ChainError,
    pool::{AccountState, AccountView, Pool, PoolHead, PoolTransaction},
    reader::ChainReader,
};
use tokio::sync::{Notify, broadcast, oneshot};

use crate::{
    disk_watch::{DiskWatch, ReadOnly},
    error::{MinerError, ProposalError, SetHeadError, SubmitError},
    events::{ChainEvent, Events, PendingTransactions},
    miner::Miner,
    permissions::Guard,
    proposals::Proposals,
    recover::{RecoverCounts, Recovered, Recovery, Stopped},
    replay::Marked,
};

/// Transactions that enter the pool under one lock: well below a millisecond, so that the builder hardly waits.
const ADMIT_BATCH: usize = 128;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// The pool has something executable.
    Work,
    /// Verify a block and make it part of the chain.
    Import(Box<RecoveredBlock>, oneshot::Sender<Result<Imported, ChainError>>),
    /// Take blocks off the chain.
    SetHead(u64, oneshot::Sender<Result<(), ChainError>>),
    /// Say that you are there.
    Ping(oneshot::Sender<()>),
    /// End.
    Stop,
}

/// What the writer and all handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) reader: ChainReader,
    pub(crate) pool: Mutex<Pool>,
    pub(crate) events: Events,
    /// The writer was woken and has not looked since.
    pub(crate) is_work_noted: AtomicBool,
    /// The writer's end.
    pub(crate) ended: Notify,
    pub(crate) guard: Mutex<Guard>,
    pub(crate) signer: Option<Address>,
    pub(crate) miner: Mutex<Miner>,
    pub(crate) disk: DiskWatch,
    pub(crate) proposals: Mutex<Proposals>,
    /// The safe and the final block of a recorded chain.
    pub(crate) marked: Option<Marked>,
}

impl Shared {
    /// How own blocks are made; a panic elsewhere leaves it whole.
    pub(crate) fn miner(&self) -> MutexGuard<'_, Miner> {
        self.miner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The proposals; a panic elsewhere leaves them as they were on disk.
    pub(crate) fn proposals(&self) -> MutexGuard<'_, Proposals> {
        self.proposals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool. A panic elsewhere cannot leave it half changed in a way that matters: at worst a
    /// transaction is lost.
    pub(crate) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node, as the rest of the program sees it. Clones are cheap.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: SyncSender<Command>,
    pub(crate) recovery: Recovery,
}

impl NodeHandle {
    /// The chain as it is now.
    pub fn reader(&self) -> &ChainReader {
        &self.shared.reader
    }

    /// Brings a signed transaction to the pool and wakes the sealer. Admission is not durable,
    /// inclusion is.
    ///
    /// # Errors
    /// [`SubmitError`] with the first rule of the pool that broke.
    pub async fn submit(&self, transaction: Transaction) -> Result<B256, SubmitError> {
        let mut verdicts = self.submit_many(vec![transaction]).await;
        verdicts.pop().unwrap_or(Err(SubmitError::Stopped))
    }

    /// [Submits](Self::submit) transactions in their order, as one batch: a verdict for each, the same as if each came
    /// alone.
    pub async fn submit_many(
        &self,
        transactions: Vec<Transaction>,
    ) -> Vec<Result<B256, SubmitError>> {
        let count = transactions.len();
        if let Err(read_only) = self.shared.disk.check() {
            return (0..count).map(|_| Err(read_only.into())).collect();
        }
        match self.recovery.recover(transactions).await {
            Ok(recovered) => self.admit(recovered),
            Err(Stopped) => (0..count).map(|_| Err(SubmitError::Stopped)).collect(),
        }
    }

    fn admit(&self, recovered: Vec<Recovered>) -> Vec<Result<B256, SubmitError>> {
        let mut verdicts = Vec::with_capacity(recovered.len());
        let (mut recovered, mut executable) = (recovered.into_iter(), Vec::new());
        while !recovered.as_slice().is_empty() {
            let mut pool = self.shared.pool();
            // Under the lock, so that the accounts are never older than the head that the pool knows.
            let view = HeadAccounts::new(&self.shared.reader);
            for (transaction, sender) in recovered.by_ref().take(ADMIT_BATCH) {
                let Some(sender) = sender else {
                    verdicts.push(Err(SubmitError::InvalidSender));
                    continue;
                };
                verdicts.push(match pool.add(transaction, sender, &view) {
                    Ok(added) => {
                        executable.extend(added.executable);
                        Ok(added.transaction.hash())
                    }
                    Err(error) => Err(error.into()),
                });
            }
        }
        if !executable.is_empty() {
            tracing::debug!(executable = executable.len(), "transactions entered the pool");
            self.shared.events.announce_pending(PendingTransactions(executable.into()));
            self.wake_sealer();
        }
        verdicts
    }

    /// Finds out who signed the transactions of a block, as far as that is not known already.
    ///
    /// # Errors
    /// [`ChainError::InvalidSender`] names the first transaction whose signature does not recover;
    /// [`SubmitError::Stopped`] if the node ends first.
    pub async fn recover(&self, block: Block) -> Result<RecoveredBlock, SubmitError> {
        let Block { header, mut body } = block;
        let transactions = std::mem::take(&mut body.transactions);
        let recovered =
            self.recovery.recover(transactions).await.map_err(|Stopped| SubmitError::Stopped)?;
        let mut senders = Vec::with_capacity(recovered.len());
        for (index, (transaction, sender)) in recovered.into_iter().enumerate() {
            let hash = *transaction.tx_hash();
            senders.push(sender.ok_or(ChainError::InvalidSender { index, hash })?);
            body.transactions.push(transaction);
        }
        Ok(RecoveredBlock::new_unhashed(Block { header, body }, senders))
    }

    /// What the recovery of senders has done since the start.
    pub fn recover_counts(&self) -> RecoverCounts {
        self.recovery.counts()
    }

    /// Hands a foreign block to the writer and waits for its verdict.
    ///
    /// # Errors
    /// [`SubmitError::Chain`] with the rule the block broke, [`SubmitError::Stopped`] if the node ends first.
    pub async fn import(&self, block: RecoveredBlock) -> Result<Imported, SubmitError> {
        self.shared.disk.check()?;
        let (reply, verdict) = oneshot::channel();
        let (commands, command) = (self.commands.clone(), Command::Import(Box::new(block), reply));
        let send = move || commands.send(command).map_err(|_| SubmitError::Stopped);
        tokio::task::spawn_blocking(send).await.map_err(|_| SubmitError::Stopped)??;
        Ok(verdict.await.map_err(|_| SubmitError::Stopped)??)
    }

    /// True once the thread that writes the chain has answered; false if it has ended, or its queue is full.
    pub async fn ping(&self) -> bool {
        let (reply, answered) = oneshot::channel();
        self.commands.try_send(Command::Ping(reply)).is_ok() && answered.await.is_ok()
    }

    /// Once until the writer looks; a full queue of commands wakes it as well.
    fn wake_sealer(&self) {
        if !self.shared.is_work_noted.swap(true, Ordering::AcqRel)
            && let Err(TrySendError::Disconnected(_)) = self.commands.try_send(Command::Work)
        {
            tracing::debug!("the writer has ended");
        }
    }

    /// Head changes from now on. A listener more than [`crate::events::HEAD_CAPACITY`] behind is
    /// told so.
    pub fn subscribe(&self) -> broadcast::Receiver<ChainEvent> {
        self.shared.events.subscribe()
    }

    /// Votes for an account to become a signer (`true`) or to be one no more, in each own block from now on until the set
    /// is so. On disk when it returns.
    ///
    /// # Errors
    /// [`ProposalError`] if the vote would harm the chain, or cannot be kept.
    pub fn propose(&self, address: Address, authorize: bool) -> Result<(), ProposalError> {
        let snapshot = self.shared.reader.snapshot(self.shared.reader.head().hash())?;
        self.shared.proposals().propose(address, authorize, &snapshot)
    }

    /// Takes a proposal back; one that is not there is no error.
    ///
    /// # Errors
    /// [`ProposalError`] if the change cannot be kept.
    pub fn discard(&self, address: Address) -> Result<(), ProposalError> {
        self.shared.proposals().discard(address)
    }

    /// The votes that this node casts, by account.
    pub fn proposals(&self) -> BTreeMap<Address, bool> {
        self.shared.proposals().votes().clone()
    }

    /// Executable transactions from now on.
    pub fn subscribe_pending(&self) -> broadcast::Receiver<PendingTransactions> {
        self.shared.events.subscribe_pending()
    }

    /// The safe and the final block, where a recorded chain is served.
    pub fn marked(&self) -> Option<Marked> {
        self.shared.marked
    }

    /// A waiting transaction.
    pub fn pool_transaction(&self, hash: &B256) -> Option<Arc<PoolTransaction>> {
        self.shared.pool().get(hash).cloned()
    }

    /// Numbers of pending and queued transactions.
    pub fn pool_status(&self) -> (usize, usize) {
        self.shared.pool().status()
    }

    /// Pending and queued transactions, each by sender and nonce.
    pub fn pool_content(&self) -> (Vec<Arc<PoolTransaction>>, Vec<Arc<PoolTransaction>>) {
        let pool = self.shared.pool();
        (pool.pending().cloned().collect(), pool.queued().cloned().collect())
    }

    /// Executable transactions in the order in which a block takes them.
    pub fn pool_best(&self, base_fee: u64) -> Vec<Arc<PoolTransaction>> {
        let best = self.shared.pool().best(base_fee);
        best.collect()
    }

    /// Nonce for the account's next transaction, given the one of its state.
    pub fn pending_nonce(&self, account: Address, state_nonce: u64) -> u64 {
        self.shared.pool().pending_nonce(account, state_nonce)
    }

    /// Least tip that this node suggests, wei per gas; 0 where nothing is paid.
    pub fn gas_price_floor(&self) -> u128 {
        self.shared.miner().gas_price_floor
    }

    /// The account of this node's sealing key.
    pub fn signer(&self) -> Option<Address> {
        self.shared.signer
    }

    /// True if this node has the key of a present signer, and was not told to stop.
    pub fn is_sealing(&self) -> bool {
        self.has_turns() && !self.shared.miner().is_stopped
    }

    fn has_turns(&self) -> bool {
        let head = self.shared.reader.head().block.hash();
        let is_member = |signer: Address| {
            self.shared
                .reader
                .snapshot(head)
                .is_ok_and(|snapshot| snapshot.signers.contains(&signer))
        };
        self.shared.signer.is_some_and(is_member)
    }

    /// Goes on sealing.
    ///
    /// # Errors
    /// [`MinerError::NoKey`].
    pub fn start_sealing(&self) -> Result<(), MinerError> {
        self.signer().ok_or(MinerError::NoKey)?;
        self.shared.miner().is_stopped = false;
        self.wake_sealer();
        Ok(())
    }

    /// Seals no more blocks until it is told to, or started again.
    pub fn stop_sealing(&self) {
        self.shared.miner().is_stopped = true;
        self.wake_sealer();
    }

    /// Sets the gas limit that own blocks walk toward, from the next one on.
    ///
    /// # Errors
    /// [`MinerError::GasLimit`].
    pub fn set_gas_limit(&self, gas: u64) -> Result<(), MinerError> {
        self.shared.miner().set_gas_limit(gas)
    }

    /// Sets the free text of own blocks, from the next one on.
    ///
    /// # Errors
    /// [`MinerError::LongVanity`].
    pub fn set_vanity(&self, text: &[u8]) -> Result<(), MinerError> {
        self.shared.miner().set_vanity(text)
    }

    /// Sets the least tip that is suggested and taken, wei per gas; what waits for less goes.
    pub fn set_gas_price(&self, wei: u128) {
        self.shared.miner().gas_price_floor = wei;
        let gone = self.shared.pool().set_price_limit(wei);
        if !gone.is_empty() {
            tracing::info!(
                transactions = gone.len(),
                wei,
                "transactions pay less than the new limit and go"
            );
        }
    }

    /// Says who seals: only the key's account can.
    ///
    /// # Errors
    /// [`MinerError::NoKey`], [`MinerError::OtherAccount`].
    pub fn check_etherbase(&self, address: Address) -> Result<(), MinerError> {
        let have = self.signer().ok_or(MinerError::NoKey)?;
        if have == address { Ok(()) } else { Err(MinerError::OtherAccount { have }) }
    }

    /// Takes the blocks above `number` off the chain; they stay known.
    ///
    /// # Errors
    /// [`SetHeadError`].
    pub async fn set_head(&self, number: u64) -> Result<(), SetHeadError> {
        let head = self.shared.reader.head();
        if number > head.number() {
            return Err(SetHeadError::AboveHead { number, head: head.number() });
        }
        if let Some((_, finalized)) = self.marked()
            && let Some(block) = self.shared.reader.block_by_hash(finalized)?
            && number < block.number()
        {
            return Err(SetHeadError::BelowFinal { number, finalized: block.number() });
        }
        let signers = self.shared.reader.snapshot(head.hash()).map(|s| s.signers.len());
        if number < head.number() && self.has_turns() && signers.is_ok_and(|count| count == 1) {
            return Err(SetHeadError::OnlySigner { number });
        }
        let (reply, verdict) = oneshot::channel();
        let (commands, command) = (self.commands.clone(), Command::SetHead(number, reply));
        let send = move || commands.send(command).map_err(|_| SetHeadError::Stopped);
        tokio::task::spawn_blocking(send).await.map_err(|_| SetHeadError::Stopped)??;
        Ok(verdict.await.map_err(|_| SetHeadError::Stopped)??)
    }

    /// Why this node writes nothing at the moment, if so: its disk is nearly full. It goes on by itself.
    pub fn read_only(&self) -> Option<ReadOnly> {
        self.shared.disk.check().err()
    }

    /// True if this node writes nothing at the moment; a node that is ready for its clients does.
    pub fn is_read_only(&self) -> bool {
        self.read_only().is_some()
    }

    /// Number of connected nodes: there is no networking yet.
    pub fn peer_count(&self) -> u64 {
        0
    }
}

/// Accounts after the head, as the pool asks for them.
pub(crate) struct HeadAccounts(chain::reader::StateAt);

impl HeadAccounts {
    pub(crate) fn new(reader: &ChainReader) -> Self {
        Self(reader.head_state())
    }
}

impl AccountView for HeadAccounts {
    fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        let Some(account) = self.0.account(address)? else { return Ok(AccountState::default()) };
        let code = self.0.code(account.code_hash)?;
        let is_delegated = code.starts_with(&DELEGATION_PREFIX);
        Ok(AccountState { nonce: account.nonce, balance: account.balance, is_delegated })
    }
}

/// First bytes of the code of an account that an EIP-7702 transaction delegated.
const DELEGATION_PREFIX: [u8; 3] = [0xef, 0x01, 0x00];

/// What the pool must know of the block after the head.
pub(crate) fn pool_head(reader: &ChainReader, now_secs: u64) -> PoolHead {
    let (spec, head) = (reader.spec(), reader.head());
    let header = head.block.header();
    let timestamp = now_secs.max(header.timestamp);
    PoolHead {
        chain_id: spec.chain_id,
        spec_id: spec.spec_id(header.number + 1, timestamp),
        gas_limit: header.gas_limit,
    }
}
