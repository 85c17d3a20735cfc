//! Blocks that nobody made: `eth_simulateV1` runs calls in them, one block on the other.
//!
//! [`Simulation`] keeps one overlay over the state that it starts from; a block of it is a [`SimulatedBlock`] that gives the
//! overlay back. Headers are the caller's, and only what execution finds out is told to it.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use revm::{
    DatabaseCommit as _, InspectEvm as _, Inspector,
    context::{
        ContextTr as _,
        result::{EVMError, InvalidTransaction, ResultAndState},
    },
    primitives::hardfork::SpecId,
};

use crate::{
    block::{Header, Receipt, Transaction},
    error::ChainError,
    executor::{
        BlockExecutor,
        call::{StateOverrides, override_state},
        env::{self, Evm},
        rerun::Watched,
    },
    replay::Rules,
    spec::ChainSpec,
    state::{Changes, StateDb, overlay::Overlay},
};

/// Why a call has no place in its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its nonce was used.
    NonceTooLow,
    /// Its nonce is not due yet.
    NonceTooHigh,
    /// It pays less than the base fee.
    FeeTooLow,
    /// Less gas than it costs before its first step.
    IntrinsicGas,
    /// The sender cannot pay.
    Funds,
    /// Init code longer than the rules allow.
    InitCode,
    /// The sender is a contract.
    SenderNotEoa,
    /// Fields that contradict each other.
    Fields,
    /// Anything else.
    Other,
}

/// A call that could not start, or a store that failed.
#[derive(Debug)]
pub enum Refused {
    /// With geth's text.
    Call(Fault, String),
    /// Our fault.
    Store(ChainError),
}

impl From<ChainError> for Refused {
    fn from(error: ChainError) -> Self {
        Self::Store(error)
    }
}

/// Simulated blocks over the state after a real one.
#[derive(Debug)]
pub struct Simulation {
    pub(crate) rules: Rules,
    pub(crate) spec: Arc<ChainSpec>,
    overlay: Overlay,
}

impl Simulation {
    pub(crate) fn new(rules: Rules, spec: Arc<ChainSpec>, state: StateDb) -> Self {
        Self { rules, spec, overlay: Overlay::new(state) }
    }

    /// The state as of now.
    pub const fn overlay(&mut self) -> &mut Overlay {
        &mut self.overlay
    }

    /// Makes accounts otherwise.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn override_accounts(&mut self, accounts: &StateOverrides) -> Result<(), ChainError> {
        override_state(&mut self.overlay, accounts)
    }

    /// Begins a block, with what its rules do before the first transaction. `author` is what COINBASE says.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn begin(
        &mut self,
        header: &Header,
        author: Address,
        blob_price: Option<u128>,
        validates: bool,
    ) -> Result<SimulatedBlock, ChainError> {
        let overlay = self.overlay.clone();
        let (rules, spec, trie) = (&self.rules, &self.spec, Arc::default());
        let executor = BlockExecutor::over(rules, spec, overlay, header, author, trie)?;
        let (mut evm, spec_id) = executor.into_parts();
        let cfg = &mut evm.ctx.cfg;
        cfg.tx_chain_id_check = false;
        cfg.disable_nonce_check = !validates;
        cfg.disable_eip3607 = true;
        cfg.disable_block_gas_limit = true;
        cfg.tx_gas_limit_cap = Some(u64::MAX);
        if let (Some(price), Some(known)) =
            (blob_price, evm.ctx.block.blob_excess_gas_and_price.as_mut())
        {
            known.blob_gasprice = price;
        }
        Ok(SimulatedBlock { evm: Some(evm), spec_id, receipts: Vec::new(), validates })
    }

    /// Ends a block: before the merge there is a reward, withdrawals there are none, the requests are asked for. Returns
    /// their hash where there are any.
    ///
    /// # Errors
    /// [`ChainError::Replay`] if a system contract fails; what the store says if it fails.
    pub fn end(
        &mut self,
        block: SimulatedBlock,
        header: &Header,
    ) -> Result<Option<B256>, ChainError> {
        let SimulatedBlock { evm, spec_id, receipts, .. } = block;
        let evm = evm.expect("every method gives it back");
        let mut executor = BlockExecutor::from_parts(evm, spec_id, receipts);
        if let Rules::Replay(replay) = &self.rules {
            replay.reward(&mut executor, &self.spec, header)?;
        }
        let requests = match &self.rules {
            Rules::Replay(replay) if spec_id.is_enabled_in(SpecId::PRAGUE) => {
                Some(replay.ask_requests(&mut executor)?)
            }
            _ => None,
        };
        self.overlay = executor.evm.ctx.journaled_state.database;
        Ok(requests)
    }

    /// Lets BLOCKHASH and the next blocks know a simulated block.
    pub fn remember(&mut self, number: u64, hash: B256) {
        self.overlay.remember_hash(number, hash);
    }

    /// The state that the simulation starts from, and what was changed since.
    pub(crate) fn changes(&self) -> Result<(StateDb, Changes), ChainError> {
        Ok((self.overlay.parent().clone(), self.overlay.clone().into_changes()?))
    }
}

/// A simulated block while it runs.
#[derive(Debug)]
pub struct SimulatedBlock {
    /// Absent while it is in an inspector's hands.
    evm: Option<Evm>,
    spec_id: SpecId,
    receipts: Vec<Receipt>,
    validates: bool,
}

impl SimulatedBlock {
    fn evm(&mut self) -> &mut Evm {
        self.evm.as_mut().expect("every method gives it back")
    }

    /// The nonce that the account's next transaction has.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn nonce(&mut self, account: Address) -> Result<u64, ChainError> {
        let found = self.evm().ctx.db_mut().account(account)?;
        Ok(found.map_or(0, |found| found.nonce))
    }

    /// Runs a transaction under the eye of an inspector; its effects stay.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn run(
        &mut self,
        transaction: &Transaction,
        sender: Address,
        inspector: impl Inspector<Watched>,
    ) -> Result<ResultAndState, Refused> {
        let mut tx = env::tx_env(transaction, sender);
        // Where nonces are not checked the last one wraps around, as in geth.
        let wraps = !self.validates && tx.nonce == u64::MAX && self.nonce(sender)? == u64::MAX;
        tx.nonce = if wraps { 0 } else { tx.nonce };
        let pays = tx.gas_price > 0 || tx.gas_priority_fee.is_some_and(|tip| tip > 0);
        let mut evm = self.evm.take().expect("every method gives it back");
        evm.ctx.cfg.disable_base_fee = !self.validates && !pays;
        let mut evm = evm.with_inspector(inspector);
        let ran = evm.inspect_tx(tx.clone());
        let evm = self.evm.insert(evm.with_inspector(()));
        match ran {
            Ok(ran) => {
                let overlay = evm.ctx.db_mut();
                overlay.commit(ran.state.clone());
                if wraps {
                    let balance = overlay.account(sender)?.unwrap_or_default().balance;
                    overlay.set_account(sender, 0, balance, None)?;
                }
                Ok(ran)
            }
            Err(EVMError::Database(error)) => Err(error.into()),
            Err(EVMError::Transaction(invalid)) => {
                let text = env::reason(&invalid, &tx, &evm.ctx.block);
                Err(Refused::Call(fault(&invalid), text))
            }
            Err(other) => Err(Refused::Call(Fault::Other, other.to_string())),
        }
    }

    /// Keeps the receipt of the transaction that ran last.
    pub fn push_receipt(&mut self, receipt: Receipt) {
        self.receipts.push(receipt);
    }

    /// The receipts so far.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }
}

const fn fault(invalid: &InvalidTransaction) -> Fault {
    use InvalidTransaction as Invalid;
    match invalid {
        Invalid::NonceTooLow { .. } => Fault::NonceTooLow,
        Invalid::NonceTooHigh { .. } => Fault::NonceTooHigh,
        Invalid::GasPriceLessThanBasefee => Fault::FeeTooLow,
        Invalid::CallGasCostMoreThanGasLimit { .. } | Invalid::GasFloorMoreThanGasLimit { .. } => {
            Fault::IntrinsicGas
        }
        Invalid::LackOfFundForMaxFee { .. } | Invalid::OverflowPaymentInTransaction => Fault::Funds,
        Invalid::CreateInitCodeSizeLimit => Fault::InitCode,
        Invalid::RejectCallerWithCode => Fault::SenderNotEoa,
        Invalid::PriorityFeeGreaterThanMaxFee => Fault::Fields,
        _ => Fault::Other,
    }
}
