//! The table: method name → handler, one screen per namespace.
//!
//! A *read* answers on the runtime's thread from what is in memory. *Work* runs the EVM or walks
//! blocks on a thread of its own ([`crate::work`]). A *command* waits for the node. A handler that
//! panics answers -32603. Subscriptions are jsonrpsee's: it keeps who has which.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
};

use alloy_primitives::map::HashMap;
use jsonrpsee::{MethodCallback, Methods, RpcModule};

use crate::{
    admin, clique,
    context::Context,
    debug::{raw, state as debug_state, trace as debug_trace},
    error::{RpcError, RpcResult},
    eth::{
        account, block, call, config, fee, fill, filter, log, submit, sync, transaction, typed_data,
    },
    layer::MODULES,
    med, miner, net,
    ots::{block as ots_block, search, transaction as ots_transaction},
    param::Args,
    perm, simulate, subscribe,
    trace::methods as trace,
    txpool, web3,
};

/// A method that answers from what is here.
pub type Read = fn(&Context, &Args) -> RpcResult;
/// A method that waits.
pub type Command = fn(Arc<Context>, Args) -> Pin<Box<dyn Future<Output = RpcResult> + Send>>;

const READS: &[(&str, Read)] = &[
    ("web3_clientVersion", web3::client_version),
    ("web3_sha3", web3::sha3),
    ("net_version", net::version),
    ("net_listening", net::listening),
    ("net_peerCount", net::peer_count),
    ("txpool_status", txpool::status),
    ("txpool_content", txpool::content),
    ("txpool_contentFrom", txpool::content_from),
    ("txpool_inspect", txpool::inspect),
    ("eth_chainId", net::chain_id),
    ("eth_syncing", net::syncing),
    ("eth_mining", net::mining),
    ("eth_hashrate", net::hashrate),
    ("eth_coinbase", net::coinbase),
    ("eth_accounts", submit::accounts),
    ("eth_sign", submit::sign),
    ("eth_signTypedData_v4", typed_data::sign),
    ("eth_pendingTransactions", submit::pending),
    ("eth_config", config::config),
    ("eth_capabilities", config::capabilities),
    ("eth_blockNumber", block::number),
    ("eth_getBlockByNumber", block::by_number),
    ("eth_getBlockByHash", block::by_hash),
    ("eth_getHeaderByNumber", block::header_by_number),
    ("eth_getHeaderByHash", block::header_by_hash),
    ("eth_getBlockTransactionCountByNumber", block::transaction_count_by_number),
    ("eth_getBlockTransactionCountByHash", block::transaction_count_by_hash),
    ("eth_getUncleCountByBlockNumber", block::uncle_count_by_number),
    ("eth_getUncleCountByBlockHash", block::uncle_count_by_hash),
    ("eth_getUncleByBlockNumberAndIndex", block::uncle_by_number),
    ("eth_getUncleByBlockHashAndIndex", block::uncle_by_hash),
    ("eth_getBlockReceipts", transaction::block_receipts),
    ("eth_getTransactionByHash", transaction::by_hash),
    ("eth_getTransactionByBlockNumberAndIndex", transaction::by_block_number),
    ("eth_getTransactionByBlockHashAndIndex", transaction::by_block_hash),
    ("eth_getRawTransactionByHash", transaction::raw_by_hash),
    ("eth_getRawTransactionByBlockNumberAndIndex", transaction::raw_by_block_number),
    ("eth_getRawTransactionByBlockHashAndIndex", transaction::raw_by_block_hash),
    ("eth_getTransactionReceipt", transaction::receipt),
    ("eth_getBalance", account::balance),
    ("eth_getTransactionCount", account::transaction_count),
    ("eth_getCode", account::code),
    ("eth_getStorageAt", account::storage_at),
    ("eth_gasPrice", fee::gas_price),
    ("eth_maxPriorityFeePerGas", fee::max_priority_fee),
    ("eth_baseFee", fee::base_fee),
    ("eth_blobBaseFee", fee::blob_base_fee),
    ("eth_newFilter", filter::new_filter),
    ("eth_newBlockFilter", filter::new_block_filter),
    ("eth_newPendingTransactionFilter", filter::new_pending_filter),
    ("eth_uninstallFilter", filter::uninstall),
    ("clique_getSnapshot", clique::snapshot),
    ("clique_getSnapshotAtHash", clique::snapshot_at_hash),
    ("clique_getSigners", clique::signers),
    ("clique_getSignersAtHash", clique::signers_at_hash),
    ("clique_getSigner", clique::signer),
    ("clique_status", clique::status),
    ("clique_proposals", clique::proposals),
    ("clique_getSignerMetrics", clique::signer_metrics),
    ("debug_getRawHeader", raw::header),
    ("debug_getRawBlock", raw::block),
    ("debug_getRawReceipts", raw::receipts),
    ("debug_getRawTransaction", raw::raw_transaction),
    ("debug_getBadBlocks", raw::bad_blocks),
    ("debug_codeByHash", debug_state::code_by_hash),
    ("ots_getApiLevel", ots_block::api_level),
    ("admin_nodeInfo", admin::node_info),
    ("admin_peers", admin::peers),
    ("perm_getAccountsAllowlist", perm::accounts),
    ("perm_getNodesAllowlist", perm::nodes),
    ("erigon_getHeaderByNumber", ots_block::header_by_number),
    ("miner_start", miner::start),
    ("miner_stop", miner::stop),
    ("miner_setGasPrice", miner::set_gas_price),
    ("miner_setGasLimit", miner::set_gas_limit),
    ("miner_setExtra", miner::set_extra),
    ("miner_setEtherbase", miner::set_etherbase),
];

const WORK: &[(&str, Read)] = &[
    ("eth_call", call::call),
    ("eth_estimateGas", call::estimate_gas),
    ("eth_createAccessList", call::create_access_list),
    ("eth_feeHistory", fee::history),
    ("eth_getLogs", log::get_logs),
    ("eth_getFilterChanges", filter::changes),
    ("eth_getFilterLogs", filter::logs),
    ("eth_getProof", account::proof),
    ("eth_getStorageValues", account::storage_values),
    ("eth_getAccountInfo", account::info),
    ("eth_getTransactionBySenderAndNonce", transaction::by_sender_and_nonce),
    ("eth_fillTransaction", fill::fill),
    ("eth_signTransaction", fill::sign),
    ("eth_simulateV1", simulate::simulate),
    ("clique_propose", clique::propose),
    ("admin_exportChain", admin::export_chain),
    ("perm_addAccountsToAllowlist", perm::add_accounts),
    ("perm_removeAccountsFromAllowlist", perm::remove_accounts),
    ("perm_addNodesToAllowlist", perm::add_nodes),
    ("perm_removeNodesFromAllowlist", perm::remove_nodes),
    ("perm_reloadPermissionsFromFile", perm::reload),
    ("clique_discard", clique::discard),
    ("debug_traceTransaction", debug_trace::transaction),
    ("debug_traceBlockByNumber", debug_trace::block_by_number),
    ("debug_traceBlockByHash", debug_trace::block_by_hash),
    ("debug_traceBlock", debug_trace::block),
    ("debug_traceCall", debug_trace::call),
    ("debug_storageRangeAt", debug_state::storage_range_at),
    ("debug_getModifiedAccountsByNumber", debug_state::modified_by_number),
    ("debug_getModifiedAccountsByHash", debug_state::modified_by_hash),
    ("debug_intermediateRoots", debug_state::intermediate_roots),
    ("debug_preimage", debug_state::preimage),
    ("trace_block", trace::block),
    ("trace_transaction", trace::transaction),
    ("trace_call", trace::call),
    ("trace_replayTransaction", trace::replay_transaction),
    ("trace_replayBlockTransactions", trace::replay_block),
    ("trace_filter", trace::filter),
    ("ots_hasCode", ots_transaction::has_code),
    ("ots_getTransactionError", ots_transaction::error),
    ("ots_traceTransaction", ots_transaction::trace),
    ("ots_getInternalOperations", ots_transaction::internal_operations),
    ("ots_getTransactionBySenderAndNonce", ots_transaction::by_sender_and_nonce),
    ("ots_getContractCreator", ots_transaction::contract_creator),
    ("ots_getBlockDetails", ots_block::details),
    ("ots_getBlockDetailsByHash", ots_block::details_by_hash),
    ("ots_getBlockTransactions", ots_block::transactions),
    ("ots_searchTransactionsBefore", search::before),
    ("ots_searchTransactionsAfter", search::after),
    ("med_contracts", med::contracts),
    ("med_getInstitution", med::institution),
    ("med_getInstitutions", med::institutions),
    ("med_getDataset", med::dataset),
    ("med_getDatasets", med::datasets),
    ("med_getGrant", med::grant),
    ("med_getGrants", med::grants),
    ("med_getDelivery", med::delivery),
    ("med_getDeliveries", med::deliveries),
    ("med_getComplaint", med::complaint),
    ("med_getComplaints", med::complaints),
    ("med_getScore", med::score),
    ("med_getJob", med::job),
    ("med_getJobs", med::jobs),
    ("med_getBatch", med::batch),
];

const COMMANDS: &[(&str, Command)] = &[
    ("eth_sendRawTransaction", |context, args| Box::pin(submit::send_raw(context, args))),
    ("eth_sendTransaction", |context, args| Box::pin(submit::send(context, args))),
    ("admin_importChain", |context, args| Box::pin(admin::import_chain(context, args))),
    ("eth_sendRawTransactionSync", |context, args| Box::pin(sync::send_raw(context, args))),
    ("debug_setHead", |context, args| Box::pin(debug_state::set_head(context, args))),
];

/// What the connection answers itself, beside the table: subscriptions, and what is open.
const BESIDE: [&str; 3] = ["eth_subscribe", "eth_unsubscribe", MODULES];

/// The names of all methods.
pub fn names() -> impl Iterator<Item = &'static str> {
    let reads = READS.iter().chain(WORK).map(|(name, _)| *name);
    reads.chain(COMMANDS.iter().map(|(name, _)| *name)).chain(BESIDE)
}

/// What answers a method.
#[derive(Debug, Clone, Copy)]
pub enum Handler {
    /// On the thread that asks.
    Read(Read),
    /// On a thread where it may take its time.
    Work(Read),
    /// It waits for the node.
    Command(Command),
}

/// All methods of a listener.
pub struct Table {
    handlers: HashMap<&'static str, Handler>,
    subscriptions: Methods,
}

impl fmt::Debug for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Table")
            .field("methods", &self.handlers.len())
            .finish_non_exhaustive()
    }
}

impl Table {
    /// All of them.
    pub fn new(context: Arc<Context>) -> Self {
        let reads = READS.iter().map(|&(name, read)| (name, Handler::Read(read)));
        let work = WORK.iter().map(|&(name, work)| (name, Handler::Work(work)));
        let commands = COMMANDS.iter().map(|&(name, command)| (name, Handler::Command(command)));
        let handlers = reads.chain(work).chain(commands).collect();
        let mut module = RpcModule::from_arc(context);
        subscribe::register(&mut module).expect("no name stands twice in the table");
        Self { handlers, subscriptions: module.into() }
    }

    /// What answers this method.
    pub fn handler(&self, name: &str) -> Option<Handler> {
        self.handlers.get(name).copied()
    }

    /// True if this method runs the EVM or walks blocks.
    pub fn is_work(&self, name: &str) -> bool {
        matches!(self.handler(name), Some(Handler::Work(_)))
    }

    /// What begins or ends subscriptions by this name.
    pub fn subscription(&self, name: &str) -> Option<&MethodCallback> {
        self.subscriptions.method(name)
    }

    /// The names of all methods.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.handlers.keys().copied().chain(self.subscriptions.method_names())
    }
}

impl Handler {
    /// Answers one call.
    ///
    /// # Errors
    /// Those of the method; -32603 if it panics.
    pub async fn answer(self, context: &Arc<Context>, args: Args) -> RpcResult {
        match self {
            Self::Read(read) => guard(|| read(context, &args)),
            Self::Work(work) => {
                let run = Arc::clone(context);
                context.work.run(move || guard(|| work(&run, &args))).await
            }
            Self::Command(command) => command(Arc::clone(context), args).await,
        }
    }
}

/// Turns a panic of ours into -32603; the message and place are in the log already.
pub fn guard(run: impl FnOnce() -> RpcResult) -> RpcResult {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(RpcError::Internal("a handler panicked".to_owned())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_stands_twice() {
        let names = READS.iter().map(|(name, _)| name);
        let names = names.chain(WORK.iter().map(|(name, _)| name));
        let names: Vec<_> = names.chain(COMMANDS.iter().map(|(name, _)| name)).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
