//! What happens around the transactions of a replayed block.

use alloy_consensus::constants::ETH_TO_WEI;
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS, eip4895::GWEI_TO_WEI,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{
    context::{BlockEnv, CfgEnv, ContextTr as _},
    context_interface::block::BlobExcessGasAndPrice,
    primitives::hardfork::SpecId,
};

use super::{
    ReplayError, ReplayRules, instructions, is_eip1283,
    requests::{CONSOLIDATION_TYPE, DEPOSIT_TYPE, WITHDRAWAL_TYPE, deposits, requests_hash},
};
use crate::{
    block::{Block, Header},
    error::ChainError,
    executor::{BlockExecutor, env::Evm},
    spec::ChainSpec,
};

impl ReplayRules {
    /// What contracts and transactions see of the block, where it differs from a network of ours.
    pub(crate) fn adjust(
        &self,
        spec: &ChainSpec,
        header: &Header,
        cfg: &mut CfgEnv,
        block: &mut BlockEnv,
    ) {
        block.prevrandao = self.is_merged(header).then_some(header.mix_hash);
        if is_eip1283(spec, header.number) {
            cfg.set_gas_params(instructions::gas_params());
        }
        let params = self.blob_params(header.timestamp);
        block.blob_excess_gas_and_price = params.map(|params| {
            let excess_blob_gas = header.excess_blob_gas.unwrap_or_default();
            let blob_gasprice = params.calc_blob_fee(excess_blob_gas);
            BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice }
        });
        cfg.max_blobs_per_tx = params.map(|params| params.max_blobs_per_tx);
        cfg.blob_base_fee_update_fraction =
            params.and_then(|params| u64::try_from(params.update_fraction).ok());
    }

    /// Puts instructions in place that revm does not have.
    pub(crate) fn install(&self, spec: &ChainSpec, header: &Header, evm: &mut Evm) {
        let spec_id = self.spec_id(spec, header);
        instructions::install(evm, spec_id, is_eip1283(spec, header.number));
    }

    /// The calls before the first transaction.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub(crate) fn begin(
        &self,
        executor: &mut BlockExecutor,
        header: &Header,
    ) -> Result<(), ChainError> {
        if let Some(root) = header.parent_beacon_block_root {
            executor.call_system(BEACON_ROOTS_ADDRESS, root.into())?;
        }
        if executor.spec_id.is_enabled_in(SpecId::PRAGUE) {
            executor.call_system(HISTORY_STORAGE_ADDRESS, header.parent_hash.into())?;
        }
        Ok(())
    }

    /// Rewards, withdrawals and requests, after the last transaction.
    ///
    /// # Errors
    /// [`ChainError::Replay`] if a contract fails or the requests are not the header's; what the store says if it fails.
    pub(crate) fn end(
        &self,
        executor: &mut BlockExecutor,
        spec: &ChainSpec,
        block: &Block,
    ) -> Result<(), ChainError> {
        let header = &block.header;
        if self.reward && !self.is_merged(header) {
            for (address, wei) in rewards(spec, block) {
                add_balance(executor, address, wei)?;
            }
        }
        for withdrawal in block.body.withdrawals.iter().flat_map(|list| list.iter()) {
            let wei = U256::from(withdrawal.amount) * U256::from(GWEI_TO_WEI);
            add_balance(executor, withdrawal.address, wei)?;
        }
        let Some(remote) = header.requests_hash else { return Ok(()) };
        let local = self.ask_requests(executor)?;
        if remote != local {
            return Err(ReplayError::RequestsHash { remote, local }.into());
        }
        Ok(())
    }

    /// Pays whoever made a block without uncles, if it was made before the merge.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub(crate) fn reward(
        &self,
        executor: &mut BlockExecutor,
        spec: &ChainSpec,
        header: &Header,
    ) -> Result<(), ChainError> {
        if self.reward && !self.is_merged(header) {
            let block = Block { header: header.clone(), body: Default::default() };
            for (address, wei) in rewards(spec, &block) {
                add_balance(executor, address, wei)?;
            }
        }
        Ok(())
    }

    /// The hash over the requests of the block that has just been run.
    ///
    /// # Errors
    /// [`ChainError::Replay`] if a contract fails; what the store says if it fails.
    pub(crate) fn ask_requests(&self, executor: &mut BlockExecutor) -> Result<B256, ChainError> {
        let requests = [
            (DEPOSIT_TYPE, deposits(&executor.receipts, self.deposit_contract)?),
            (
                WITHDRAWAL_TYPE,
                ask(executor, "withdrawal requests", WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS)?,
            ),
            (
                CONSOLIDATION_TYPE,
                ask(executor, "consolidation requests", CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS)?,
            ),
        ];
        Ok(requests_hash(&requests))
    }
}

/// Who gets what for a block with work (Yellow Paper 11.3, EIP-649, EIP-1234).
fn rewards(spec: &ChainSpec, block: &Block) -> Vec<(Address, U256)> {
    let Block { header, body } = block;
    let from = |fork: Option<u64>| fork.is_some_and(|at| at <= header.number);
    let ether: u64 = if super::is_constantinople(spec, header.number) {
        2
    } else if from(spec.forks.byzantium) {
        3
    } else {
        5
    };
    let full = U256::from(ether) * U256::from(ETH_TO_WEI);
    let mut rewards = Vec::new();
    let mut miner = full;
    for uncle in &body.ommers {
        // the header check keeps an uncle within seven generations
        let share = (uncle.number + 8).saturating_sub(header.number);
        rewards.push((uncle.beneficiary, full * U256::from(share) / U256::from(8)));
        miner += full / U256::from(32);
    }
    rewards.push((header.beneficiary, miner));
    rewards
}

/// Adds wei to an account; one that stays empty goes (EIP-161).
fn add_balance(
    executor: &mut BlockExecutor,
    address: Address,
    wei: U256,
) -> Result<(), ChainError> {
    let overlay = executor.evm.ctx.db_mut();
    let account = overlay.account(address)?.unwrap_or_default();
    let balance = account.balance.checked_add(wei).ok_or(ReplayError::BalanceOverflow)?;
    overlay.set_account(address, account.nonce, balance, None)?;
    overlay.clear_if_empty(address)
}

/// Calls a contract that must be there and must answer.
fn ask(
    executor: &mut BlockExecutor,
    name: &'static str,
    address: Address,
) -> Result<Vec<u8>, ChainError> {
    match executor.call_system(address, Bytes::new())? {
        Some(Ok(output)) => Ok(output.into()),
        Some(Err(reason)) => Err(ReplayError::SystemContract { name, reason }.into()),
        None => {
            Err(ReplayError::SystemContract { name, reason: "it has no code".to_owned() }.into())
        }
    }
}
