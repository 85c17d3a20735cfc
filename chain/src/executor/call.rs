//! Read-only runs: `eth_call`, gas estimates and access lists, on any state, with what-ifs.
//!
//! A call differs from a transaction: nonce, chain id, sender's code and the block's gas limit are not checked, and where
//! no price is named the base fee is zero, so that no balance beyond `value` is needed.

use std::collections::BTreeMap;

use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};
use revm::{
    ExecuteEvm as _,
    context::{
        BlockEnv, CfgEnv, TxEnv,
        either::Either,
        result::{EVMError, ExecutionResult, Output},
    },
};

use crate::{
    block::Header,
    error::ChainError,
    executor::{env, stop},
    replay::Rules,
    spec::ChainSpec,
    state::{StateDb, overlay::Overlay, stop::Stop},
};

/// What to call, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Caller; needs no key.
    pub from: Address,
    /// Callee; `None` creates a contract.
    pub to: Option<Address>,
    /// Gas limit.
    pub gas: u64,
    /// Price of a legacy or type 1 call, wei.
    pub gas_price: Option<u128>,
    /// Highest total price of a type 2 call, wei.
    pub max_fee_per_gas: Option<u128>,
    /// Highest tip of a type 2 call, wei.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Wei sent along.
    pub value: U256,
    /// Input, or init code of a creation.
    pub data: Bytes,
    /// Addresses and slots that are warm from the start (EIP-2930).
    pub access_list: AccessList,
    /// Delegations to set first (EIP-7702).
    pub authorization_list: Vec<SignedAuthorization>,
}

/// What if an account were otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// Balance, wei.
    pub balance: Option<U256>,
    /// Nonce.
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// All of its storage.
    pub state: Option<BTreeMap<U256, U256>>,
    /// Single slots of its storage.
    pub state_diff: BTreeMap<U256, U256>,
}

/// What if accounts were otherwise.
pub type StateOverrides = BTreeMap<Address, AccountOverride>;

/// What if the block were otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockOverrides {
    /// Height.
    pub number: Option<u64>,
    /// Seconds since the epoch.
    pub time: Option<u64>,
    /// Gas limit as contracts see it.
    pub gas_limit: Option<u64>,
    /// COINBASE.
    pub fee_recipient: Option<Address>,
    /// Wei per gas.
    pub base_fee_per_gas: Option<u64>,
    /// PREVRANDAO.
    pub prev_randao: Option<B256>,
    /// DIFFICULTY, before Shanghai.
    pub difficulty: Option<U256>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallStatus {
    /// It returned.
    Success,
    /// It reverted; the output says why.
    Revert,
    /// It ran out of gas.
    OutOfGas,
    /// Another exceptional halt, with its reason.
    Halt(String),
    /// It was ended from outside.
    Stopped,
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOutcome {
    /// How it ended.
    pub status: CallStatus,
    /// Returned or reverted bytes; the code of a creation.
    pub output: Bytes,
    /// Gas a transaction would pay for.
    pub gas_used: u64,
    /// Gas that was given back at the end.
    pub gas_refunded: u64,
    /// Events, in order.
    pub logs: Vec<Log>,
    /// The contract it created.
    pub created: Option<Address>,
    /// Every account it looked at, with the slots it looked at: the raw material of an access list.
    pub accessed: BTreeMap<Address, Vec<U256>>,
}

/// A call and where it runs: in the block after whose execution the state stands.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Consensus of the chain.
    pub rules: &'a Rules,
    /// Rules of the network.
    pub spec: &'a ChainSpec,
    /// The block.
    pub header: &'a Header,
    /// Who made it: COINBASE.
    pub author: Address,
    /// What to call.
    pub request: &'a CallRequest,
    /// Accounts that are otherwise.
    pub overrides: &'a StateOverrides,
    /// Block fields that are otherwise.
    pub block_overrides: &'a BlockOverrides,
}

impl Call<'_> {
    /// An EVM that is ready for the call, and the call as a transaction.
    pub(crate) fn prepare(&self, mut overlay: Overlay) -> Result<(env::Evm, TxEnv), ChainError> {
        let Self { spec, header, block_overrides, .. } = self;
        let tx = tx_env(self.request)?;
        let has_price = tx.gas_price > 0;
        let number = block_overrides.number.unwrap_or(header.number);
        let timestamp = block_overrides.time.unwrap_or(header.timestamp);
        let spec_id = match self.rules {
            Rules::Clique => spec.spec_id(number, timestamp),
            Rules::Replay(replay) => replay.spec_id(spec, header),
        };
        let mut cfg = env::cfg_env(spec, spec_id);
        let mut block = env::block_env(spec_id, header, self.author);
        if let Rules::Replay(replay) = self.rules {
            replay.adjust(spec, header, &mut cfg, &mut block);
        }
        relax(&mut cfg, has_price);
        override_block(&mut block, block_overrides);
        if !has_price {
            block.basefee = 0;
        }
        override_state(&mut overlay, self.overrides)?;
        Ok((env::new_evm(overlay, cfg, block), tx))
    }

    /// Runs it, until `stop` ends it if there is one.
    ///
    /// # Errors
    /// [`ChainError::CallRefused`] with geth's text if the call cannot start; what the store says if it fails.
    pub fn run(&self, state: StateDb, stop: Option<Stop>) -> Result<CallOutcome, ChainError> {
        self.run_over(Overlay::new(state), stop)
    }

    /// Runs it on a state that something was written over already.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_over(
        &self,
        overlay: Overlay,
        stop: Option<Stop>,
    ) -> Result<CallOutcome, ChainError> {
        let (mut evm, tx) = self.prepare(overlay)?;
        if let Some(stop) = stop {
            stop::listen(&mut evm, stop);
        }
        match evm.transact(tx.clone()) {
            Ok(outcome) => {
                let slots =
                    |account: &revm::state::Account| account.storage.keys().copied().collect();
                let accessed =
                    outcome.state.iter().map(|(&address, account)| (address, slots(account)));
                let mut told = describe(outcome.result, accessed.collect());
                if stop::has_ended(&evm) {
                    told.status = CallStatus::Stopped;
                }
                Ok(told)
            }
            Err(EVMError::Database(error)) => Err(error),
            Err(EVMError::Transaction(invalid)) => {
                Err(ChainError::CallRefused { reason: env::reason(&invalid, &tx, &evm.ctx.block) })
            }
            Err(other) => Err(ChainError::CallRefused { reason: other.to_string() }),
        }
    }
}

fn tx_env(request: &CallRequest) -> Result<TxEnv, ChainError> {
    let mut tx = TxEnv {
        caller: request.from,
        gas_limit: request.gas,
        gas_price: request.gas_price.or(request.max_fee_per_gas).unwrap_or_default(),
        gas_priority_fee: request.max_priority_fee_per_gas.or(request.max_fee_per_gas.map(|_| 0)),
        kind: request.to.map_or(TxKind::Create, TxKind::Call),
        value: request.value,
        data: request.data.clone(),
        chain_id: None,
        access_list: request.access_list.clone(),
        authorization_list: request.authorization_list.iter().cloned().map(Either::Left).collect(),
        ..TxEnv::default()
    };
    match tx.derive_tx_type() {
        Ok(()) => Ok(tx),
        Err(error) => Err(ChainError::CallRefused { reason: error.to_string() }),
    }
}

fn relax(cfg: &mut CfgEnv, has_price: bool) {
    cfg.tx_chain_id_check = false;
    cfg.disable_nonce_check = true;
    cfg.disable_eip3607 = true;
    cfg.disable_block_gas_limit = true;
    cfg.disable_base_fee = !has_price;
    cfg.tx_gas_limit_cap = Some(u64::MAX);
}

fn override_block(block: &mut BlockEnv, overrides: &BlockOverrides) {
    let BlockOverrides { number, time, gas_limit, .. } = overrides;
    block.number = number.map_or(block.number, U256::from);
    block.timestamp = time.map_or(block.timestamp, U256::from);
    block.gas_limit = gas_limit.unwrap_or(block.gas_limit);
    block.beneficiary = overrides.fee_recipient.unwrap_or(block.beneficiary);
    block.basefee = overrides.base_fee_per_gas.unwrap_or(block.basefee);
    // One instruction reads both, whatever it is called under the rules in force.
    let random = overrides.prev_randao.or(overrides.difficulty.map(B256::from));
    block.difficulty = random.map_or(block.difficulty, |random| U256::from_be_bytes(random.0));
    if block.prevrandao.is_some() {
        block.prevrandao = random.or(block.prevrandao);
    }
}

/// Makes accounts otherwise.
pub(crate) fn override_state(
    overlay: &mut Overlay,
    overrides: &StateOverrides,
) -> Result<(), ChainError> {
    for (&address, change) in overrides {
        if change.nonce.is_some() || change.balance.is_some() || change.code.is_some() {
            let account = overlay.account(address)?.unwrap_or_default();
            let nonce = change.nonce.unwrap_or(account.nonce);
            let balance = change.balance.unwrap_or(account.balance);
            overlay.set_account(address, nonce, balance, change.code.clone())?;
        }
        if let Some(state) = &change.state {
            overlay.wipe_storage(address);
            state.iter().for_each(|(&slot, &value)| overlay.set_slot(address, slot, value));
        }
        for (&slot, &value) in &change.state_diff {
            overlay.set_slot(address, slot, value);
        }
    }
    Ok(())
}

fn describe(result: ExecutionResult, accessed: BTreeMap<Address, Vec<U256>>) -> CallOutcome {
    let (gas_used, gas_refunded) = (result.tx_gas_used(), result.gas().final_refunded());
    let (status, output, logs, created) = match result {
        ExecutionResult::Success { output, logs, .. } => {
            let created = match &output {
                Output::Create(_, address) => *address,
                Output::Call(_) => None,
            };
            (CallStatus::Success, output.into_data(), logs, created)
        }
        ExecutionResult::Revert { output, .. } => (CallStatus::Revert, output, Vec::new(), None),
        ExecutionResult::Halt { reason, .. } => {
            let status = match reason {
                revm::context::result::HaltReason::OutOfGas(_) => CallStatus::OutOfGas,
                other => CallStatus::Halt(other.to_string()),
            };
            (status, Bytes::new(), Vec::new(), None)
        }
    };
    CallOutcome { status, output, gas_used, gas_refunded, logs, created, accessed }
}
