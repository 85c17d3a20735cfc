//! Every number that bounds what a client can ask for, each with its reason.
//!
//! Where operators differ a flag overrides the constant (`args.rs`).

use std::time::Duration;

/// Largest request body and WebSocket message, in bytes. A deployment of the largest init code (48
/// KiB) is 100 KiB of hex; a full batch of raw transactions fits too.
pub const BODY_BYTES: usize = 5 * 1024 * 1024;
/// Time a client has to send its body.
pub const BODY_TIME: Duration = Duration::from_secs(15);
/// Time a client has to send its header; also bounds an idle kept-alive connection.
pub const HEADER_TIME: Duration = Duration::from_secs(30);
/// Bytes of one request header block.
pub const HEADER_BYTES: usize = 16 * 1024;
/// Header lines of one request.
pub const HEADER_COUNT: usize = 64;
/// Nesting of a request, counted before it is parsed: no honest call is deeper than a dozen.
pub const JSON_DEPTH: usize = 64;
/// Bytes of a request id, which is sent back as it came.
pub const ID_BYTES: usize = 1024;
/// Calls in one batch.
pub const BATCH_CALLS: usize = 1_000;
/// Bytes of one answer, and of all answers of a batch together.
pub const ANSWER_BYTES: usize = 25 * 1024 * 1024;
/// Open connections of all clients together.
pub const CONNECTIONS: usize = 10_000;
/// Open connections of one address; this machine's own are not counted, nor those of a trusted proxy.
pub const CONNECTIONS_PER_ADDRESS: usize = 100;
/// Time a client may take nothing of what is written to it.
pub const WRITE_TIME: Duration = Duration::from_secs(30);
/// Time between two questions whether a WebSocket is still there.
pub const PING_TIME: Duration = Duration::from_secs(30);
/// A WebSocket that says nothing for longer is closed.
pub const SILENCE_TIME: Duration = Duration::from_secs(40);
/// Calls of one WebSocket or IPC connection that run at once; while there are so many, nothing more is read.
pub const CALLS_IN_FLIGHT: usize = 64;
/// Units that a stranger may use up in a second (`rate.rs` says what a call costs).
pub const RATE_UNITS_PER_SEC: u32 = 500;
/// Units that a stranger may use up at once after a rest.
pub const RATE_BURST: u32 = 2_000;
/// Subscriptions of all clients together.
pub const SUBSCRIPTIONS: usize = 10_000;
/// Subscriptions of one WebSocket.
pub const SUBSCRIPTIONS_PER_CONNECTION: u32 = 128;
/// Messages that wait for one slow WebSocket or IPC connection before its subscriptions wait too.
pub const SEND_BUFFER: usize = 1_024;
/// Transactions that one subscription to receipts may name.
pub const RECEIPTS_SUBSCRIBED: usize = 200;
/// Polling filters of all clients together.
pub const FILTERS: usize = 10_000;
/// Polling filters of one address; this machine's own are not counted.
pub const FILTERS_PER_ADDRESS: usize = 256;
/// Subscriptions of one address; this machine's own are not counted.
pub const SUBSCRIPTIONS_PER_ADDRESS: usize = 256;
/// A filter that nobody polls ends after this time.
pub const FILTER_LIFE: Duration = Duration::from_secs(5 * 60);
/// Hashes of arrived transactions kept for polling filters; a slower poller misses the oldest.
pub const PENDING_RING: usize = 65_536;
/// Gas of one `eth_call` or estimate.
pub const CALL_GAS: u64 = 50_000_000;
/// Time of one `eth_call`, estimate, simulation or trace.
pub const CALL_TIME: Duration = Duration::from_secs(5);
/// Time that an `eth_call` may take on the thread that answers everybody; one that is longer starts again on another.
pub const CALL_AT_ONCE: Duration = Duration::from_micros(300);
/// Time of all runs of the EVM of one batch.
pub const BATCH_TIME: Duration = Duration::from_secs(10);
/// Gas of one transaction under Osaka rules (EIP-7825).
pub const OSAKA_TX_GAS: u64 = 16_777_216;
/// Accounts in one set of state overrides.
pub const OVERRIDE_ACCOUNTS: usize = 1_024;
/// Runs of `eth_createAccessList` until its list is stable.
pub const ACCESS_LIST_ROUNDS: usize = 10;
/// Time of a search through the state that no index helps.
pub const TRACE_TIME: Duration = Duration::from_secs(5);
/// Steps that the default tracer shows of one transaction: about 100 MB of JSON.
pub const TRACE_STEPS: usize = 200_000;
/// Blocks of one `eth_simulateV1`, those between the asked ones included.
pub const SIMULATE_BLOCKS: u64 = 256;
/// Calls of one `eth_simulateV1`.
pub const SIMULATE_CALLS: usize = 1_000;
/// Execution that goes into a pending state.
pub const PENDING_TIME: Duration = Duration::from_millis(50);
/// Entries of one change of an allowlist (`perm_*`).
pub const PERMITTED: usize = 1_000;
/// Blocks of one `trace_filter`.
pub const TRACE_RANGE: u64 = 1_000;
/// Entries of one `trace_filter`.
pub const TRACE_ENTRIES: usize = 10_000;
/// Transactions of one page of Otterscan's.
pub const OTS_PAGE: usize = 25;
/// Slots of one `debug_storageRangeAt`.
pub const STORAGE_RANGE: usize = 1_024;
/// Blocks that `debug_getModifiedAccounts…` walks over.
pub const MODIFIED_RANGE: u64 = 1_000;
/// Storage keys of one `eth_getProof`, slots of one `eth_getStorageValues`.
pub const STORAGE_KEYS: usize = 1_024;
/// Logs of one answer.
pub const LOG_RESULTS: usize = 20_000;
/// Blocks of one `eth_getLogs` on a listener that strangers can reach; a loopback listener has no
/// such limit.
pub const LOG_RANGE: u64 = 10_000;
/// Addresses, and topics a position, of one log filter.
pub const LOG_CRITERIA: usize = 1_000;
/// Blocks of one `eth_feeHistory`.
pub const FEE_HISTORY_BLOCKS: u64 = 1_024;
/// Percentiles of one `eth_feeHistory`.
pub const FEE_HISTORY_PERCENTILES: usize = 100;
/// EVM work that may wait for a thread.
pub const WORK_QUEUE: usize = 1_024;
/// How long EVM work may wait for a thread.
pub const WORK_WAIT: Duration = Duration::from_secs(5);
/// Recent blocks whose JSON is kept ready.
pub const READY_BLOCKS: usize = 128;
/// Bytes of that JSON.
pub const READY_BYTES: usize = 256 * 1024 * 1024;
/// Most that a transaction's gas may cost, wei: one ether, against slipped digits.
pub const TX_FEE: u128 = 1_000_000_000_000_000_000;
/// Bytes of one raw transaction.
pub const RAW_TRANSACTION_BYTES: usize = 131_072;
/// Time running calls and connections have to end when the server stops: longer than any call may take.
pub const STOP_TIME: Duration = Duration::from_secs(6);

/// Limits that operators set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls in one batch (`--rpc.batch-request-limit`).
    pub batch_calls: usize,
    /// Gas of one call (`--rpc.gascap`).
    pub call_gas: u64,
    /// Time of one call (`--rpc.evmtimeout`).
    pub call_time: Duration,
    /// Blocks of one `eth_getLogs` on a listener that strangers can reach (`--rpc.logs.range`).
    pub log_range: u64,
    /// Most that the gas of a transaction may cost, wei (`--rpc.txfeecap`).
    pub tx_fee: u128,
    /// Transactions are taken that are valid on any chain (`--rpc.allow-unprotected-txs`).
    pub takes_unprotected: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_calls: BATCH_CALLS,
            call_gas: CALL_GAS,
            call_time: CALL_TIME,
            log_range: LOG_RANGE,
            tx_fee: TX_FEE,
            takes_unprotected: false,
        }
    }
}
