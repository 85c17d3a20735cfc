//! Runs a block on revm: the call before the first transaction, the transactions, and what they leave behind.
//!
//! There is no block reward, no withdrawal and no call at the end of a block; fees go to the signer. [`BlockExecutor`]
//! serves both ends: [`execute`] runs a finished block against its header, [`build::OpenBlock`] fills a new one.

pub mod build;
pub mod call;
pub mod env;
pub mod rerun;
pub mod sandbox;
pub mod simulate;
mod stop;

use std::sync::{Arc, Mutex, PoisonError};

use alloy_consensus::Typed2718 as _;
use alloy_eips::{eip2718::EIP4844_TX_TYPE_ID, eip2935::HISTORY_STORAGE_ADDRESS};
use alloy_primitives::{Address, B256, Bloom, Bytes, KECCAK256_EMPTY, TxKind};
use revm::{
    Database as _, DatabaseCommit as _, ExecuteCommitEvm as _, ExecuteEvm as _,
    context::{
        ContextSetters as _, ContextTr as _, TxEnv,
        result::{EVMError, ExecutionResult, ResultAndState},
    },
    handler::{Handler as _, MainnetHandler, SYSTEM_ADDRESS},
    primitives::hardfork::SpecId,
};

use crate::{
    block::{Header, Receipt, RecoveredBlock, Transaction, logs_bloom, receipts_root},
    error::ChainError,
    executor::env::Evm,
    replay::Rules,
    spec::ChainSpec,
    state::{Changes, StateDb, overlay::Overlay, root::StateTrie},
};

/// Gas of the call that stores the parent's hash (EIP-2935); it counts for nobody.
const SYSTEM_CALL_GAS: u64 = 30_000_000;

/// A block does not do what its header says, in geth's words and order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionError {
    /// A transaction cannot run at its place.
    #[error("could not apply tx {index} [{hash}]: {reason}")]
    CouldNotApply {
        /// Position in the block.
        index: usize,
        /// The transaction's hash.
        hash: B256,
        /// Why.
        reason: String,
    },
    /// The header's `gasUsed` is not the sum.
    #[error("invalid gas used (remote: {remote} local: {local})")]
    GasUsed {
        /// In the header.
        remote: u64,
        /// By execution.
        local: u64,
    },
    /// The header's `logsBloom` is not the receipts'.
    #[error("invalid bloom (remote: {r:x}  local: {l:x})", r = **remote, l = **local)]
    BloomMismatch {
        /// In the header.
        remote: Box<Bloom>,
        /// By execution.
        local: Box<Bloom>,
    },
    /// The header's `receiptsRoot` is not the receipts'.
    #[error("invalid receipt root hash (remote: {remote:x} local: {local:x})")]
    ReceiptRoot {
        /// In the header.
        remote: B256,
        /// By execution.
        local: B256,
    },
    /// The header's `stateRoot` is not the state's.
    #[error("invalid merkle root (remote: {remote:x} local: {local:x})")]
    StateRoot {
        /// In the header.
        remote: B256,
        /// By execution.
        local: B256,
    },
}

/// Why a transaction was not put into an open block.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It may fit into a later block.
    #[error("{0}")]
    Skip(String),
    /// It cannot run on this state.
    #[error("{0}")]
    Invalid(String),
    /// The store failed; nobody's transaction is at fault.
    #[error(transparent)]
    Store(#[from] ChainError),
}

/// What running a block left behind.
#[derive(Debug)]
pub struct Executed {
    /// One per transaction.
    pub receipts: Vec<Receipt>,
    /// Everything that changed, storage roots included.
    pub changes: Changes,
    /// Root of the state after the block.
    pub state_root: B256,
    /// Sum over all transactions.
    pub gas_used: u64,
}

/// A block while it runs. The trie must stand at the parent's state, or one unaccepted block above it.
pub struct BlockExecutor {
    pub(crate) evm: Evm,
    pub(crate) spec_id: SpecId,
    trie: Arc<Mutex<StateTrie>>,
    /// The trie's name for this block, once a part of its changes was taken.
    stage: Option<u64>,
    pub(crate) receipts: Vec<Receipt>,
    gas_used: u64,
    takes_blobs: bool,
}

/// What some transactions of an open block changed, on its way to the trie; any thread may bring it there.
#[derive(Debug)]
pub struct Part {
    trie: Arc<Mutex<StateTrie>>,
    stage: u64,
    parent: StateDb,
    changes: Changes,
}

impl Part {
    /// Applies and hashes the changes, so that less is left to do when the block closes. Nothing depends on it: a part that
    /// comes late, or never, costs time alone.
    ///
    /// # Errors
    /// What the store says if a storage trie cannot be loaded.
    pub fn apply(&self) -> Result<(), ChainError> {
        let mut trie = self.trie.lock().unwrap_or_else(PoisonError::into_inner);
        trie.stage(self.stage, &self.parent, &self.changes)
    }
}

impl std::fmt::Debug for BlockExecutor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BlockExecutor")
            .field("spec_id", &self.spec_id)
            .field("receipts", &self.receipts.len())
            .field("gas_used", &self.gas_used)
            .finish_non_exhaustive()
    }
}

impl BlockExecutor {
    /// Starts a block on its parent's state: from Prague on, the history contract learns the parent's hash (EIP-2935).
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn new(
        spec: &ChainSpec,
        parent: StateDb,
        header: &Header,
        signer: Address,
        trie: Arc<Mutex<StateTrie>>,
    ) -> Result<Self, ChainError> {
        Self::under(&Rules::Clique, spec, parent, header, signer, trie)
    }

    /// Starts a block under given rules.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn under(
        rules: &Rules,
        spec: &ChainSpec,
        parent: StateDb,
        header: &Header,
        signer: Address,
        trie: Arc<Mutex<StateTrie>>,
    ) -> Result<Self, ChainError> {
        Self::over(rules, spec, Overlay::new(parent), header, signer, trie)
    }

    /// As [`Self::under`], on a state that something was written over already.
    pub(crate) fn over(
        rules: &Rules,
        spec: &ChainSpec,
        mut overlay: Overlay,
        header: &Header,
        signer: Address,
        trie: Arc<Mutex<StateTrie>>,
    ) -> Result<Self, ChainError> {
        let spec_id = match rules {
            Rules::Clique => spec.spec_id(header.number, header.timestamp),
            Rules::Replay(replay) => replay.spec_id(spec, header),
        };
        let mut cfg = env::cfg_env(spec, spec_id);
        let mut block = env::block_env(spec_id, header, signer);
        if let Rules::Replay(replay) = rules {
            replay.adjust(spec, header, &mut cfg, &mut block);
        }
        if matches!(rules, Rules::Replay(_)) {
            overlay = overlay.with_storage_collision();
        }
        let evm = env::new_evm(overlay, cfg, block);
        let takes_blobs = matches!(rules, Rules::Replay(_));
        let receipts = Vec::new();
        let stage = None;
        let mut executor = Self { evm, spec_id, trie, stage, receipts, gas_used: 0, takes_blobs };
        match rules {
            Rules::Clique if spec_id.is_enabled_in(SpecId::PRAGUE) => {
                executor.call_system(HISTORY_STORAGE_ADDRESS, header.parent_hash.into())?;
            }
            Rules::Clique => {}
            Rules::Replay(replay) => {
                replay.install(spec, header, &mut executor.evm);
                replay.begin(&mut executor, header)?;
            }
        }
        Ok(executor)
    }

    /// The EVM after what comes before the first transaction, and its rules.
    pub(crate) fn into_parts(self) -> (Evm, SpecId) {
        (self.evm, self.spec_id)
    }

    /// The end of a block whose transactions were run elsewhere.
    pub(crate) fn from_parts(evm: Evm, spec_id: SpecId, receipts: Vec<Receipt>) -> Self {
        let (trie, stage) = (Arc::default(), None);
        let gas_used = receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used);
        Self { evm, spec_id, trie, stage, receipts, gas_used, takes_blobs: true }
    }

    /// Gas that later transactions may still ask for.
    pub fn gas_left(&self) -> u64 {
        self.evm.ctx.block.gas_limit.saturating_sub(self.gas_used)
    }

    /// Runs one transaction and keeps its effects; on an error nothing has changed.
    ///
    /// # Errors
    /// [`ExecError::Skip`] if its gas does not fit, [`ExecError::Invalid`] with geth's text if it cannot run here.
    pub fn transact(
        &mut self,
        transaction: &Transaction,
        sender: Address,
    ) -> Result<&Receipt, ExecError> {
        if transaction.ty() == EIP4844_TX_TYPE_ID && !self.takes_blobs {
            return Err(ExecError::Invalid(
                "transaction type not supported: blob transactions (type 3) are not accepted on this network".into(),
            ));
        }
        let tx = env::tx_env(transaction, sender);
        if tx.gas_limit > self.gas_left() {
            return Err(ExecError::Skip("gas limit reached".into()));
        }
        let result = match self.evm.transact_commit(tx.clone()) {
            Ok(result) => result,
            Err(EVMError::Database(error)) => return Err(ExecError::Store(error)),
            Err(EVMError::Transaction(invalid)) => {
                let reason = env::reason(&invalid, &tx, &self.evm.ctx.block);
                return Err(ExecError::Invalid(reason));
            }
            Err(other) => return Err(ExecError::Invalid(other.to_string())),
        };
        self.gas_used += result.tx_gas_used();
        let post_state = self.intermediate_root()?;
        self.receipts.push(Receipt {
            tx_type: transaction.ty(),
            success: result.is_success(),
            post_state,
            cumulative_gas_used: self.gas_used,
            logs: result.into_logs(),
        });
        Ok(self.receipts.last().expect("pushed the line before"))
    }

    /// Takes the receipts out, which [`Self::finish`] then lacks: it needs them for nothing.
    pub(crate) fn take_receipts(&mut self) -> Vec<Receipt> {
        std::mem::take(&mut self.receipts)
    }

    /// What the transactions since the last part changed. Applying it beside the next transactions leaves little for
    /// [`Self::finish`].
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn take_part(&mut self) -> Result<Part, ChainError> {
        let stage = *self.stage.get_or_insert_with(|| {
            self.trie.lock().unwrap_or_else(PoisonError::into_inner).open_stage()
        });
        let overlay = self.evm.ctx.db_mut();
        let (changes, parent) = (overlay.take_part()?, overlay.parent().clone());
        Ok(Part { trie: self.trie.clone(), stage, parent, changes })
    }

    /// Ends the block and computes the state root.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn finish(self) -> Result<Executed, ChainError> {
        let Self { evm, trie, stage, receipts, gas_used, .. } = self;
        let overlay = evm.ctx.journaled_state.database;
        let parent = overlay.parent().clone();
        let mut changes = overlay.into_changes()?;
        let mut trie = trie.lock().unwrap_or_else(PoisonError::into_inner);
        let state_root = match stage {
            Some(stage) => trie.root_of_stage(stage, &parent, &mut changes)?,
            None => trie.root_after(&parent, &mut changes)?,
        };
        Ok(Executed { receipts, changes, state_root, gas_used })
    }

    /// The state root that stands in a receipt before Byzantium (EIP-658), `None` since.
    fn intermediate_root(&mut self) -> Result<Option<B256>, ChainError> {
        if self.spec_id.is_enabled_in(SpecId::BYZANTIUM) {
            return Ok(None);
        }
        let overlay = self.evm.ctx.db_mut();
        let parent = overlay.parent().clone();
        let mut changes = overlay.clone().into_changes()?;
        let mut trie = self.trie.lock().unwrap_or_else(PoisonError::into_inner);
        trie.root_after(&parent, &mut changes).map(Some)
    }

    /// Calls a system contract outside of any transaction: what it returns, or why it failed; `None` if it has no code.
    /// One that fails has changed nothing.
    pub(crate) fn call_system(
        &mut self,
        contract: Address,
        data: Bytes,
    ) -> Result<Option<Result<Bytes, String>>, ChainError> {
        let account = self.evm.ctx.db_mut().basic(contract)?;
        if account.is_none_or(|account| account.code_hash == KECCAK256_EMPTY) {
            return Ok(None);
        }
        let call = system_call(&mut self.evm, SYSTEM_ADDRESS, contract, data, SYSTEM_CALL_GAS);
        Ok(Some(match call {
            Ok(ResultAndState { state, result }) => {
                self.evm.ctx.db_mut().commit(state);
                match result {
                    ExecutionResult::Success { output, .. } => Ok(output.into_data()),
                    ExecutionResult::Revert { .. } => Err("execution reverted".to_owned()),
                    ExecutionResult::Halt { reason, .. } => Err(reason.to_string()),
                }
            }
            Err(EVMError::Database(error)) => return Err(error),
            Err(other) => Err(other.to_string()),
        }))
    }
}

/// Calls a contract outside of any transaction: no nonce, fee, balance or gas of a block is checked or used.
pub(crate) fn system_call(
    evm: &mut Evm,
    caller: Address,
    to: Address,
    data: Bytes,
    gas_limit: u64,
) -> Result<ResultAndState, EVMError<ChainError>> {
    let kind = TxKind::Call(to);
    evm.ctx.set_tx(TxEnv { caller, kind, data, gas_limit, ..TxEnv::default() });
    let result: Result<ExecutionResult, _> = MainnetHandler::default().run_system_call(evm);
    let state = evm.finalize();
    result.map(|result| ResultAndState { result, state })
}

/// Runs a whole block on its parent's state and compares the result with its header.
///
/// # Errors
/// [`ExecutionError`] names the first thing that differs; else what the store says if it fails. The trie may then stand
/// one block too high, which its next use mends.
pub fn execute(
    spec: &ChainSpec,
    block: &RecoveredBlock,
    signer: Address,
    parent: StateDb,
    trie: Arc<Mutex<StateTrie>>,
) -> Result<Executed, ChainError> {
    execute_under(&Rules::Clique, spec, block, signer, parent, trie)
}

/// [`execute`] under given rules.
///
/// # Errors
/// As [`execute`]; [`ChainError::Replay`] for what replayed blocks do at their end.
pub fn execute_under(
    rules: &Rules,
    spec: &ChainSpec,
    block: &RecoveredBlock,
    signer: Address,
    parent: StateDb,
    trie: Arc<Mutex<StateTrie>>,
) -> Result<Executed, ChainError> {
    let header = block.header();
    let mut executor = BlockExecutor::under(rules, spec, parent, header, signer, trie)?;
    let transactions = block.body().transactions.iter().zip(block.senders());
    for (index, (transaction, &sender)) in transactions.enumerate() {
        executor.transact(transaction, sender).map_err(|error| match error {
            ExecError::Skip(reason) | ExecError::Invalid(reason) => {
                let hash = *transaction.tx_hash();
                ExecutionError::CouldNotApply { index, hash, reason }.into()
            }
            ExecError::Store(error) => error,
        })?;
    }
    if let Rules::Replay(replay) = rules {
        replay.end(&mut executor, spec, &block.clone_block())?;
    }
    let executed = executor.finish()?;
    compare(header, &executed)?;
    Ok(executed)
}

fn compare(header: &Header, executed: &Executed) -> Result<(), ExecutionError> {
    let (remote, local) = (header.gas_used, executed.gas_used);
    if remote != local {
        return Err(ExecutionError::GasUsed { remote, local });
    }
    let (remote, local) = (header.logs_bloom, logs_bloom(&executed.receipts));
    if remote != local {
        return Err(ExecutionError::BloomMismatch {
            remote: Box::new(remote),
            local: Box::new(local),
        });
    }
    let (remote, local) = (header.receipts_root, receipts_root(&executed.receipts));
    if remote != local {
        return Err(ExecutionError::ReceiptRoot { remote, local });
    }
    let (remote, local) = (header.state_root, executed.state_root);
    if remote != local {
        return Err(ExecutionError::StateRoot { remote, local });
    }
    Ok(())
}
