//! Header, spec and transaction as revm's environments.
//!
//! | revm | here |
//! |---|---|
//! | spec | [`ChainSpec::spec_id`], never revm's default |
//! | beneficiary | the recovered signer, never the header's `coinbase`, which is a vote (EIP-225) |
//! | opcode 0x44 | difficulty before Shanghai, then `mixHash`, which Clique holds at zero: not random |
//! | blob price | 1 wei from Cancun on; there are no blobs |

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U256};
use revm::{
    Context, MainBuilder as _,
    context::{BlockEnv, CfgEnv, TxEnv, either::Either, result::InvalidTransaction},
    context_interface::block::BlobExcessGasAndPrice,
    handler::{MainnetContext, MainnetEvm},
    primitives::hardfork::SpecId,
};

use crate::{
    block::{Header, Transaction},
    spec::ChainSpec,
    state::overlay::Overlay,
};

/// The EVM of this house: Ethereum's rules over an [`Overlay`].
pub(crate) type Evm = MainnetEvm<MainnetContext<Overlay>>;

/// An EVM for one block.
pub(crate) fn new_evm(overlay: Overlay, cfg: CfgEnv, block: BlockEnv) -> Evm {
    context(overlay, cfg, block).build_mainnet()
}

/// Everything an EVM for one block needs.
pub(crate) fn context(overlay: Overlay, cfg: CfgEnv, block: BlockEnv) -> MainnetContext<Overlay> {
    let mut context = Context::new(overlay, cfg.spec);
    context.block = block;
    context.with_cfg(cfg)
}

/// The rules in force, all checks on.
pub(crate) fn cfg_env(spec: &ChainSpec, spec_id: SpecId) -> CfgEnv {
    CfgEnv::new_with_spec(spec_id).with_chain_id(spec.chain_id)
}

/// What contracts see of the block.
pub(crate) fn block_env(spec_id: SpecId, header: &Header, beneficiary: Address) -> BlockEnv {
    let has_random = spec_id.is_enabled_in(SpecId::SHANGHAI);
    let has_blob_price = spec_id.is_enabled_in(SpecId::CANCUN);
    BlockEnv {
        number: U256::from(header.number),
        beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: header.difficulty,
        prevrandao: has_random.then_some(header.mix_hash),
        blob_excess_gas_and_price: has_blob_price
            .then_some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 1 }),
        slot_num: 0,
    }
}

/// A signed transaction, its sender known.
pub(crate) fn tx_env(transaction: &Transaction, sender: Address) -> TxEnv {
    let authorizations = transaction.authorization_list().unwrap_or_default();
    TxEnv {
        tx_type: transaction.tx_type().into(),
        caller: sender,
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        kind: transaction.kind(),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        blob_hashes: transaction.blob_versioned_hashes().unwrap_or_default().to_vec(),
        max_fee_per_blob_gas: transaction.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: authorizations.iter().cloned().map(Either::Left).collect(),
    }
}

/// Why a transaction cannot run, in geth's words (`core/error.go`).
pub(crate) fn reason(error: &InvalidTransaction, tx: &TxEnv, block: &BlockEnv) -> String {
    use InvalidTransaction as Invalid;
    let caller = tx.caller;
    match error {
        Invalid::NonceTooLow { tx, state } => {
            format!("nonce too low: address {caller}, tx: {tx} state: {state}")
        }
        Invalid::NonceTooHigh { tx, state } => {
            format!("nonce too high: address {caller}, tx: {tx} state: {state}")
        }
        Invalid::NonceOverflowInTransaction => {
            format!("nonce has max value: address {caller}, nonce: {}", tx.nonce)
        }
        Invalid::RejectCallerWithCode => format!("sender not an eoa: address {caller}"),
        Invalid::LackOfFundForMaxFee { fee, balance } => format!(
            "insufficient funds for gas * price + value: address {caller} have {balance} want {fee}"
        ),
        Invalid::OverflowPaymentInTransaction => {
            format!(
                "insufficient funds for gas * price + value: address {caller} required balance exceeds 256 bits"
            )
        }
        Invalid::PriorityFeeGreaterThanMaxFee => format!(
            "max priority fee per gas higher than max fee per gas: address {caller}, maxPriorityFeePerGas: {}, maxFeePerGas: {}",
            tx.gas_priority_fee.unwrap_or_default(),
            tx.gas_price
        ),
        Invalid::GasPriceLessThanBasefee => format!(
            "max fee per gas less than block base fee: address {caller}, maxFeePerGas: {}, baseFee: {}",
            tx.gas_price, block.basefee
        ),
        Invalid::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}")
        }
        Invalid::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            format!("insufficient gas for floor data gas cost: have {gas_limit}, want {gas_floor}")
        }
        Invalid::CallerGasLimitMoreThanBlock => "gas limit reached".to_owned(),
        Invalid::TxGasLimitGreaterThanCap { gas_limit, cap } => {
            format!("transaction gas limit too high (cap: {cap}, tx: {gas_limit})")
        }
        Invalid::CreateInitCodeSizeLimit => {
            format!("max initcode size exceeded: code size {} limit 49152", tx.data.len())
        }
        Invalid::InvalidChainId => "invalid chain id for signer".to_owned(),
        Invalid::EmptyAuthorizationList => {
            format!("EIP-7702 transaction with empty auth list (sender {caller})")
        }
        Invalid::Eip2930NotSupported
        | Invalid::AccessListNotSupported
        | Invalid::Eip1559NotSupported
        | Invalid::Eip7702NotSupported
        | Invalid::AuthorizationListNotSupported => "transaction type not supported".to_owned(),
        other => other.to_string(),
    }
}
