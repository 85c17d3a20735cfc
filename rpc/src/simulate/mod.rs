//! `eth_simulateV1`: calls in blocks that nobody made, one block on the other.
//!
//! [`request`] is what a client asks, [`sequence`] numbers and dates the blocks, [`calls`] makes a transaction of each
//! call, [`precompiles`] moves precompiled contracts, [`watch`] collects events and transfers; this module runs them.

pub mod calls;
pub mod precompiles;
pub mod request;
pub mod sequence;
pub mod watch;

use alloy_consensus::proofs::ordered_trie_root_with_encoder;
use alloy_primitives::{Address, B256, Bytes, U256};
use chain::{
    block::{
        Block, BlockBody, Header, Receipt, RecoveredBlock, Transaction, logs_bloom, receipts_root,
    },
    executor::simulate::{Fault, Refused, SimulatedBlock, Simulation},
    reader::ExecutedBlock,
    replay::Rules,
    validate::next_base_fee,
};
use revm::{
    context::result::{ExecutionResult, Output},
    primitives::hardfork::SpecId,
};
use serde_json::{Value, json};

use self::{
    precompiles::{Moves, Rerouted},
    request::{BlockCalls, Simulate},
    watch::Events,
};
use crate::{
    block_id::BlockId,
    context::Context,
    debug::hooks::{Hooks, deadline},
    error::{RpcError, RpcResult, revert_reason},
    eth::{
        block::{header_fields, render_withdrawals},
        request::CallObject,
        transaction,
    },
    limits,
    param::Args,
    render::{data, quantity},
    voice::Voice,
};

/// Code of a call that failed inside of the EVM, otherwise than by a revert.
const VM_ERROR: i32 = -32015;
/// Root of a trie without entries.
const EMPTY_ROOT: B256 = alloy_consensus::constants::EMPTY_ROOT_HASH;

/// `eth_simulateV1`.
pub fn simulate(context: &Context, args: &Args) -> RpcResult {
    let (asked, id): (Simulate, Option<BlockId>) = args.read()?;
    let base = id.unwrap_or_default().state_block(context)?;
    let calls: usize = asked.blocks.iter().map(|block| block.calls.len()).sum();
    if calls > limits::SIMULATE_CALLS {
        return Err(coded(
            -38026,
            format!("too many calls, want at most {}", limits::SIMULATE_CALLS),
        ));
    }
    let step = sequence::step(context);
    let blocks =
        sequence::complete(&asked.blocks, base.number(), base.block.header().timestamp, step)?;
    let mut run = Run {
        context,
        asked: &asked,
        base: &base,
        simulation: context.chain().simulation(base.hash())?,
        moves: Moves::default(),
        gas_left: context.limits.call_gas,
        until: deadline(context, None),
    };
    let mut parent = (base.block.header().clone(), base.hash());
    let mut out = Vec::with_capacity(blocks.len());
    for block in &blocks {
        let (rendered, header, hash) = run.block(block, &parent.0, parent.1)?;
        out.push(rendered);
        parent = (header, hash);
    }
    Ok(Value::Array(out))
}

/// An error with a code of the standard's.
pub fn coded(code: i32, message: String) -> RpcError {
    RpcError::Coded { code, message, data: None }
}

struct Run<'a> {
    context: &'a Context,
    asked: &'a Simulate,
    base: &'a ExecutedBlock,
    simulation: Simulation,
    moves: Moves,
    gas_left: u64,
    until: std::time::Instant,
}

/// What the calls of a block left behind.
#[derive(Default)]
struct Ran {
    transactions: Vec<Transaction>,
    raw: Vec<Bytes>,
    senders: Vec<Address>,
    answers: Vec<Value>,
    gas_used: u64,
    blob_gas_used: u64,
    /// Events so far, to number the next.
    events: usize,
}

impl Run<'_> {
    fn block(
        &mut self,
        wanted: &BlockCalls,
        parent: &Header,
        parent_hash: B256,
    ) -> Result<(Value, Header, B256), RpcError> {
        let (mut header, author) = self.header(wanted, parent, parent_hash);
        let spec = self.spec_id(&header);
        self.moves = Moves::default();
        self.moves.apply(&wanted.state, &wanted.moves, spec)?;
        self.simulation.override_accounts(&wanted.state.0)?;
        let blob_price = wanted.blob_base_fee;
        let mut block =
            self.simulation.begin(&header, author, blob_price, self.asked.validation)?;
        let mut ran = Ran::default();
        for (index, call) in wanted.calls.iter().enumerate() {
            self.call(&mut block, &header, call, index, &mut ran)?;
        }
        let receipts = block.receipts().to_vec();
        header.requests_hash = self.simulation.end(block, &header)?;
        header.gas_used = ran.gas_used;
        header.blob_gas_used = header.excess_blob_gas.map(|_| ran.blob_gas_used);
        header.state_root = self.context.chain().simulated_root(&self.simulation)?;
        header.receipts_root = receipts_root(&receipts);
        header.logs_bloom = logs_bloom(&receipts);
        header.transactions_root =
            ordered_trie_root_with_encoder(&ran.raw, |raw, out| out.extend_from_slice(raw));
        let hash = header.hash_slow();
        self.simulation.remember(header.number, hash);
        let rendered = self.render(&header, hash, ran, receipts);
        Ok((rendered, header, hash))
    }

    fn spec_id(&self, header: &Header) -> SpecId {
        self.context.spec().spec_id(header.number, header.timestamp)
    }

    /// The header as far as it is known before the calls run, and who COINBASE is.
    fn header(&self, wanted: &BlockCalls, parent: &Header, parent_hash: B256) -> (Header, Address) {
        let (spec, overrides) = (self.context.spec(), &wanted.header);
        let number = overrides.number.unwrap_or(parent.number + 1);
        let timestamp = overrides.time.unwrap_or(parent.timestamp);
        let is_replay = matches!(self.context.chain().rules(), Rules::Replay(_));
        let usual_author = if is_replay { parent.beneficiary } else { self.base.signer };
        let author = overrides.fee_recipient.unwrap_or(usual_author);
        let base_fee = spec.is_london(number).then(|| match overrides.base_fee_per_gas {
            Some(fee) => fee,
            None if self.asked.validation => next_base_fee(spec, parent).unwrap_or(0),
            None => 0,
        });
        let mut header = Header {
            parent_hash,
            number,
            timestamp,
            beneficiary: author,
            gas_limit: overrides.gas_limit.unwrap_or(parent.gas_limit),
            base_fee_per_gas: base_fee,
            mix_hash: overrides.prev_randao.unwrap_or_default(),
            transactions_root: EMPTY_ROOT,
            receipts_root: EMPTY_ROOT,
            ..Header::default()
        };
        let Rules::Replay(rules) = self.context.chain().rules() else {
            header.difficulty = overrides.difficulty.unwrap_or(U256::from(2));
            header.extra_data =
                vec![0; chain::clique::VANITY_BYTES + chain::clique::SEAL_BYTES].into();
            return (header, author);
        };
        header.difficulty = overrides.difficulty.unwrap_or(parent.difficulty);
        let spec_id = self.spec_id(&header);
        if spec_id.is_enabled_in(SpecId::SHANGHAI) {
            header.withdrawals_root = Some(EMPTY_ROOT);
        }
        if spec_id.is_enabled_in(SpecId::CANCUN) {
            header.parent_beacon_block_root = Some(wanted.beacon_root.unwrap_or_default());
            let params = rules.blob_params(timestamp);
            let excess = params.and_then(|params| parent.next_block_excess_blob_gas(params));
            header.excess_blob_gas = Some(excess.unwrap_or(0));
            header.blob_gas_used = Some(0);
        }
        (header, author)
    }

    fn call(
        &mut self,
        block: &mut SimulatedBlock,
        header: &Header,
        call: &CallObject,
        index: usize,
        ran: &mut Ran,
    ) -> Result<(), RpcError> {
        let from = call.from.unwrap_or_default();
        let nonce = match call.nonce {
            Some(nonce) => nonce,
            None => block.nonce(from)?,
        };
        if self.asked.validation {
            check_nonce(block.nonce(from)?, nonce, from)?;
        }
        let room = header.gas_limit.saturating_sub(ran.gas_used);
        let gas = call.gas.unwrap_or(room);
        if gas > room {
            let text = format!("block gas limit reached: remaining: {room}, required: {gas}");
            return Err(coded(-38015, text));
        }
        let gas = gas.min(self.gas_left);
        let (transaction, raw) = calls::transaction(self.context, call, nonce, gas)?;
        let hash = *transaction.tx_hash();
        let events = Events::new(self.asked.trace_transfers, ran.events);
        let mut hooks = Rerouted::new(Hooks::new(events, self.until), &self.moves);
        let outcome =
            block.run(&transaction, from, &mut hooks).map_err(|error| refused(error, gas))?;
        let hooks = hooks.into_inner();
        if hooks.is_late() {
            return Err(RpcError::Aborted(self.context.limits.call_time));
        }
        let (gas_used, most) = calls::gas_of(&outcome.result);
        ran.gas_used += gas_used;
        self.gas_left = self.gas_left.saturating_sub(gas_used);
        ran.blob_gas_used += alloy_consensus::Transaction::blob_gas_used(&transaction).unwrap_or(0);
        let result = outcome.result;
        let mut answer = json!({
            "gasUsed": quantity(gas_used),
            "maxUsedGas": quantity(most),
            "status": quantity(u8::from(result.is_success())),
        });
        let (events, fault) = hooks.tracer.finish();
        let place =
            watch::Place { number: header.number, timestamp: header.timestamp, hash, index };
        answer["logs"] = events.render(place, self.context.voice());
        ran.events += events.count();
        answer["returnData"] = match &result {
            ExecutionResult::Success {
                output: Output::Call(bytes) | Output::Create(bytes, _),
                ..
            } => data(bytes),
            _ => data([]),
        };
        match &result {
            ExecutionResult::Success { .. } => {}
            ExecutionResult::Revert { output, .. } => {
                let reason = revert_reason(output).map(|reason| format!(": {reason}"));
                let message = format!("execution reverted{}", reason.unwrap_or_default());
                answer["error"] = json!({"code": 3, "message": message, "data": data(output)});
            }
            ExecutionResult::Halt { .. } => {
                let message = fault.unwrap_or_else(|| "out of gas".to_owned());
                answer["error"] = json!({"code": VM_ERROR, "message": message});
            }
        }
        let receipt = Receipt {
            tx_type: alloy_consensus::Typed2718::ty(&transaction),
            success: result.is_success(),
            post_state: None,
            cumulative_gas_used: ran.gas_used,
            logs: result.into_logs(),
        };
        block.push_receipt(receipt);
        ran.answers.push(answer);
        ran.transactions.push(transaction);
        ran.raw.push(raw);
        ran.senders.push(from);
        Ok(())
    }

    /// The block as it would be rendered if it existed, with what its calls answered.
    fn render(&self, header: &Header, hash: B256, ran: Ran, receipts: Vec<Receipt>) -> Value {
        let voice = self.context.voice();
        let Ran { transactions, raw, senders, mut answers, .. } = ran;
        for answer in &mut answers {
            for log in answer["logs"].as_array_mut().into_iter().flatten() {
                log["blockHash"] = data(hash);
            }
        }
        let mut out = header_fields(header, hash);
        let withdrawals = header.withdrawals_root.map(|_| Vec::new());
        let body = BlockBody {
            transactions,
            withdrawals: withdrawals.clone().map(Into::into),
            ..BlockBody::default()
        };
        let block = Block { header: header.clone(), body };
        out.insert("size".to_owned(), quantity(alloy_rlp::Encodable::length(&block)));
        let block = RecoveredBlock::new(block, senders, hash);
        let total_difficulty = self.base.total_difficulty + header.difficulty;
        let executed = ExecutedBlock { block, receipts, total_difficulty, signer: Address::ZERO };
        let transactions: Vec<Value> = (0..raw.len())
            .map(|index| match self.asked.full_transactions {
                true => unsigned(&executed, index, voice),
                false => data(transaction::hash_at(&executed, index)),
            })
            .collect();
        out.insert("transactions".to_owned(), Value::Array(transactions));
        out.insert("uncles".to_owned(), json!([]));
        if let Some(withdrawals) = withdrawals {
            out.insert("withdrawals".to_owned(), render_withdrawals(&withdrawals));
        }
        if voice == Voice::Geth {
            out.insert("totalDifficulty".to_owned(), quantity(executed.total_difficulty));
        }
        out.insert("calls".to_owned(), Value::Array(answers));
        Value::Object(out)
    }
}

/// A transaction that nobody signed: its signature is zero, even where 27 would be the least.
fn unsigned(block: &ExecutedBlock, index: usize, voice: Voice) -> Value {
    let mut out = transaction::render_mined(block, index, voice);
    out["v"] = quantity(0_u64);
    out
}

/// The nonce comes before everything else, as in geth.
fn check_nonce(state: u64, nonce: u64, from: Address) -> Result<(), RpcError> {
    let error = |code, text: String| Err(coded(code, format!("err: {text}")));
    if nonce > state {
        error(-38011, format!("nonce too high: address {from}, tx: {nonce} state: {state}"))
    } else if nonce < state {
        error(-38010, format!("nonce too low: address {from}, tx: {nonce} state: {state}"))
    } else if nonce == u64::MAX {
        error(-32603, format!("nonce has max value: address {from}, nonce: {nonce}"))
    } else {
        Ok(())
    }
}

fn refused(error: Refused, gas: u64) -> RpcError {
    let (fault, text) = match error {
        Refused::Store(error) => return error.into(),
        Refused::Call(fault, text) => (fault, format!("err: {text} (supplied gas {gas})")),
    };
    let code = match fault {
        Fault::NonceTooLow => -38010,
        Fault::NonceTooHigh => -38011,
        Fault::FeeTooLow => -38012,
        Fault::IntrinsicGas => -38013,
        Fault::Funds => -38014,
        Fault::SenderNotEoa => -38024,
        Fault::InitCode => -38025,
        Fault::Fields => -32602,
        Fault::Other => -32603,
    };
    coded(code, text)
}
