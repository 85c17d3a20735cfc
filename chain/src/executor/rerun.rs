//! Blocks run again, and calls run under the eye of an inspector: what traces are made of.
//!
//! A [`Rerun`] stands inside a block, before its first transaction or after some of them. Nothing that it does leaves its
//! own overlay.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use revm::{
    DatabaseCommit as _, ExecuteCommitEvm as _, InspectEvm as _, Inspector,
    context::{
        BlockEnv, ContextTr as _, TxEnv,
        result::{EVMError, ExecutionResult, ResultAndState},
    },
    handler::MainnetContext,
    state::EvmState,
};

use crate::{
    block::{Header, Transaction},
    error::ChainError,
    executor::{
        BlockExecutor,
        call::Call,
        env::{self, Evm},
    },
    replay::Rules,
    spec::ChainSpec,
    state::{StateDb, overlay::Overlay, root::StateTrie},
};

/// What an inspector sees beside the interpreter: the journal, the block, and the state before the transaction.
pub type Watched = MainnetContext<Overlay>;

/// A block that is run again.
#[derive(Debug)]
pub struct Rerun {
    /// Absent while it is in an inspector's hands.
    evm: Option<Evm>,
}

impl Rerun {
    /// Stands before the first transaction; what the block's rules do before it is done.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn new(
        rules: &Rules,
        spec: &ChainSpec,
        parent: StateDb,
        header: &Header,
        author: Address,
    ) -> Result<Self, ChainError> {
        // Nothing here asks for a root.
        let trie = Arc::default();
        let executor = BlockExecutor::under(rules, spec, parent, header, author, trie)?;
        Ok(Self { evm: Some(executor.evm) })
    }

    fn evm(&mut self) -> &mut Evm {
        self.evm.as_mut().expect("every method gives it back")
    }

    /// Runs the next transaction.
    ///
    /// # Errors
    /// [`ChainError::CallRefused`] with geth's text if it cannot run here; what the store says if it fails.
    pub fn apply(
        &mut self,
        transaction: &Transaction,
        sender: Address,
    ) -> Result<ExecutionResult, ChainError> {
        let tx = env::tx_env(transaction, sender);
        let evm = self.evm();
        let result = evm.transact_commit(tx.clone());
        result.map_err(|error| refused(error, &tx, &evm.ctx.block))
    }

    /// Runs the next transaction under the eye of an inspector. Its effects stay if they are [committed](Self::commit).
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn watch(
        &mut self,
        transaction: &Transaction,
        sender: Address,
        inspector: impl Inspector<Watched>,
    ) -> Result<ResultAndState, ChainError> {
        let tx = env::tx_env(transaction, sender);
        let evm = self.evm.take().expect("every method gives it back");
        let mut evm = evm.with_inspector(inspector);
        let ran = evm.inspect_tx(tx.clone());
        let evm = self.evm.insert(evm.with_inspector(()));
        ran.map_err(|error| refused(error, &tx, &evm.ctx.block))
    }

    /// Keeps what a watched transaction did.
    pub fn commit(&mut self, state: EvmState) {
        self.overlay().commit(state);
    }

    /// The state as of now.
    pub fn overlay(&mut self) -> &mut Overlay {
        self.evm().ctx.db_mut()
    }

    /// Root of the state as of now. `trie` must stand at the state before the block.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn root(&mut self, trie: &mut StateTrie) -> Result<B256, ChainError> {
        let overlay = self.overlay();
        let parent = overlay.parent().clone();
        let mut changes = overlay.clone().into_changes()?;
        trie.root_after(&parent, &mut changes)
    }
}

/// Runs a call under the eye of an inspector; nothing stays. The overlay is the state before it, overrides included.
///
/// # Errors
/// [`ChainError::CallRefused`] with geth's text if the call cannot start; what the store says if it fails.
pub fn watch_call<I: Inspector<Watched>>(
    call: &Call<'_>,
    overlay: Overlay,
    inspector: I,
) -> Result<(ResultAndState, Overlay), ChainError> {
    let (evm, tx) = call.prepare(overlay)?;
    let mut evm = evm.with_inspector(inspector);
    let ran = evm.inspect_tx(tx.clone());
    let ran = ran.map_err(|error| refused(error, &tx, &evm.ctx.block))?;
    Ok((ran, evm.ctx.journaled_state.database))
}

fn refused(error: EVMError<ChainError>, tx: &TxEnv, block: &BlockEnv) -> ChainError {
    match error {
        EVMError::Database(error) => error,
        EVMError::Transaction(invalid) => {
            ChainError::CallRefused { reason: env::reason(&invalid, tx, block) }
        }
        other => ChainError::CallRefused { reason: other.to_string() },
    }
}
