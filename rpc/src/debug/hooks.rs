//! [`Hooks`]: revm's events as geth's tracers know them.
//!
//! | geth | here |
//! |---|---|
//! | a frame refused before its first step (depth, funds, collision) is not seen | [`Tracer::refused`] takes it back |
//! | DELEGATECALL and CALLCODE come from the contract that runs | `from` |
//! | SELFDESTRUCT is a frame | [`Kind::SelfDestruct`] |
//! | a failed frame has used all of its gas | `gas_used` |

use std::time::Instant;

use alloy_primitives::{Address, B256, Bytes, Log, U256};
use chain::executor::rerun::Watched;
use revm::{
    Inspector,
    bytecode::opcode,
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, CreateScheme, Gas,
        InstructionResult, Interpreter, InterpreterResult,
        interpreter_types::{InputsTr as _, Jumps as _, LegacyBytecode as _, LoopControl as _},
    },
    precompile::{PrecompileSpecId, Precompiles},
};

use crate::{
    context::Context,
    fault::{self, Step},
    work,
};

/// Steps between two looks at the clock.
const STEPS_A_LOOK: u64 = 4_096;

/// How a frame came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `CALL`, or the transaction itself.
    Call,
    /// `CALLCODE`.
    CallCode,
    /// `DELEGATECALL`.
    DelegateCall,
    /// `STATICCALL`.
    StaticCall,
    /// `CREATE`, or the transaction itself.
    Create,
    /// `CREATE2`.
    Create2,
    /// `SELFDESTRUCT`, which moves what is left.
    SelfDestruct,
}

impl Kind {
    /// Name of the instruction.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "CALL",
            Self::CallCode => "CALLCODE",
            Self::DelegateCall => "DELEGATECALL",
            Self::StaticCall => "STATICCALL",
            Self::Create => "CREATE",
            Self::Create2 => "CREATE2",
            Self::SelfDestruct => "SELFDESTRUCT",
        }
    }

    /// True for creations.
    pub const fn is_create(self) -> bool {
        matches!(self, Self::Create | Self::Create2)
    }
}

/// A frame begins.
#[derive(Debug, Clone)]
pub struct Enter {
    /// How.
    pub kind: Kind,
    /// Who calls.
    pub from: Address,
    /// Whose code runs, or what is created, or who gets what is left.
    pub to: Address,
    /// Calldata or init code.
    pub input: Bytes,
    /// Gas of the frame.
    pub gas: u64,
    /// Wei; none in a `STATICCALL`.
    pub value: Option<U256>,
    /// A precompiled contract is called.
    pub is_precompile: bool,
}

/// A frame ends.
#[derive(Debug, Clone, Default)]
pub struct Exit {
    /// What it returned, reverted with, or left as code.
    pub output: Bytes,
    /// Gas it used.
    pub gas_used: u64,
    /// Why it failed, in geth's words.
    pub error: Option<String>,
    /// It failed by a revert.
    pub is_revert: bool,
}

/// What sees a transaction run. Frames nest; the first one is the transaction itself.
#[expect(unused_variables, reason = "a tracer looks at what it needs")]
pub trait Tracer {
    /// A frame begins.
    fn enter(&mut self, enter: &Enter, context: &mut Watched) {}
    /// The frame that began last never ran: as if it had not begun.
    fn refused(&mut self) {}
    /// A frame ends.
    fn exit(&mut self, exit: &Exit) {}
    /// An instruction is about to run.
    fn step(&mut self, interpreter: &Interpreter, depth: usize, context: &mut Watched) {}
    /// It ran, or failed.
    fn step_end(&mut self, end: &StepEnd<'_>, context: &mut Watched) {}
    /// An event was emitted.
    fn log(&mut self, log: &Log) {}
}

/// How an instruction went.
#[derive(Debug)]
pub struct StepEnd<'a> {
    /// The frame after it.
    pub interpreter: &'a Interpreter,
    /// What it was.
    pub step: Step,
    /// Gas it took.
    pub cost: u64,
    /// How it ended the frame in failure, if it did.
    pub failure: Option<InstructionResult>,
    /// Refunds up to here, of all frames.
    pub refund: u64,
}

impl StepEnd<'_> {
    /// It failed before it ran, for its stack or its gas; geth's tracers see such a step with an error.
    pub fn failed_before(&self) -> bool {
        use InstructionResult as Result;
        let is_gas = |failure| {
            matches!(
                failure,
                Result::OutOfGas
                    | Result::MemoryOOG
                    | Result::MemoryLimitOOG
                    | Result::InvalidOperandOOG
                    | Result::ReentrancySentryOOG
            )
        };
        self.failure
            .is_some_and(|failure| is_gas(failure) || fault::stack_flaw(self.step).is_some())
    }
}

/// A frame that runs.
#[derive(Debug, Default)]
struct Frame {
    step: Option<Step>,
    gas_before: u64,
    /// How its code ended; absent in a frame without steps.
    ended: Option<InstructionResult>,
    refund: i64,
    precompile: Option<(Address, Bytes, u64)>,
    destroyed: Option<(Address, Address, U256)>,
}

/// Feeds a [`Tracer`] from revm's events, and stops what takes too long.
#[derive(Debug)]
pub struct Hooks<T> {
    /// Who listens.
    pub tracer: T,
    frames: Vec<Frame>,
    precompiles: Option<&'static Precompiles>,
    deadline: Instant,
    steps: u64,
    is_late: bool,
}

impl<T: Tracer> Hooks<T> {
    /// For one transaction; it is stopped at the deadline.
    pub const fn new(tracer: T, deadline: Instant) -> Self {
        Self { tracer, frames: Vec::new(), precompiles: None, deadline, steps: 0, is_late: false }
    }

    fn is_precompile(&mut self, address: Address, context: &Watched) -> bool {
        let spec = PrecompileSpecId::from_spec_id(context.cfg.spec);
        self.precompiles.get_or_insert_with(|| Precompiles::new(spec)).contains(&address)
    }

    /// True if the run was stopped.
    pub const fn is_late(&self) -> bool {
        self.is_late
    }

    fn begin(&mut self, enter: &Enter, context: &mut Watched) {
        let mut frame = Frame::default();
        if enter.is_precompile {
            frame.precompile = Some((enter.to, enter.input.clone(), enter.gas));
        }
        self.frames.push(frame);
        self.tracer.enter(enter, context);
    }

    fn end(&mut self, limit: u64, result: &InterpreterResult) {
        let Some(frame) = self.frames.pop() else { return };
        if fault::is_refusal(result.result) && !self.frames.is_empty() {
            self.tracer.refused();
            return;
        }
        let is_revert = result.result == InstructionResult::Revert;
        let error = match (fault::is_success(result.result), &frame) {
            (true, _) => None,
            (false, Frame { ended: Some(ended), .. })
                if fault::is_success(*ended) && result.result == InstructionResult::OutOfGas =>
            {
                Some("contract creation code storage out of gas".to_owned())
            }
            (false, Frame { ended: Some(ended), .. }) if fault::is_success(*ended) => {
                Some(fault::describe(result.result, None))
            }
            (false, Frame { precompile: Some((address, input, gas)), .. })
                if result.result == InstructionResult::PrecompileError =>
            {
                Some(self.precompile_words(*address, input, *gas))
            }
            (false, _) => Some(fault::describe(result.result, frame.step)),
        };
        let keeps_gas = error.is_none() || is_revert;
        let gas_used = if keeps_gas { spent(&result.gas, limit) } else { limit };
        let output = if keeps_gas { result.output.clone() } else { Bytes::new() };
        self.tracer.exit(&Exit { output, gas_used, error, is_revert });
    }

    /// revm keeps these words for the outermost frame alone, so the contract is asked once more.
    fn precompile_words(&self, address: Address, input: &[u8], gas: u64) -> String {
        let contract = self.precompiles.and_then(|known| known.get(&address));
        let ran = contract.map(|contract| contract.execute(input, gas, 0));
        let halt = match &ran {
            Some(Ok(output)) => output.halt_reason().map(ToString::to_string),
            _ => None,
        };
        fault::precompile(halt.as_deref().unwrap_or("precompiled failed")).to_owned()
    }

    fn refund(&self) -> u64 {
        let sum: i64 = self.frames.iter().map(|frame| frame.refund).sum();
        u64::try_from(sum).unwrap_or(0)
    }
}

fn spent(gas: &Gas, limit: u64) -> u64 {
    limit.saturating_sub(gas.remaining())
}

/// The account as the transaction sees it now.
fn balance_now(context: &Watched, address: Address) -> U256 {
    let account = context.journaled_state.inner.state.get(&address);
    account.map_or(U256::ZERO, |account| account.info.balance)
}

/// The lower 20 bytes of a word.
pub fn word_address(word: U256) -> Address {
    Address::from_word(B256::from(word))
}

impl<T: Tracer> Inspector<Watched> for Hooks<T> {
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut Watched) {
        self.steps += 1;
        let is_time_to_look = self.steps.is_multiple_of(STEPS_A_LOOK);
        if self.is_late
            || (is_time_to_look && (Instant::now() > self.deadline || work::is_abandoned()))
        {
            self.is_late = true;
            interpreter.halt(InstructionResult::OutOfGas);
            return;
        }
        let depth = self.frames.len();
        if interpreter.bytecode.bytecode_len() == 0 {
            // geth does not step through code that is not there
            return;
        }
        let opcode = interpreter.bytecode.opcode();
        let step = Step { opcode, stack: interpreter.stack.data().len() };
        let target = interpreter.stack.data().last().copied();
        let this = interpreter.input.target_address();
        if let Some(frame) = self.frames.last_mut() {
            frame.step = Some(step);
            frame.gas_before = interpreter.gas.remaining();
            if let (opcode::SELFDESTRUCT, Some(target)) = (opcode, target) {
                frame.destroyed = Some((this, word_address(target), balance_now(context, this)));
            }
        }
        self.tracer.step(interpreter, depth, context);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut Watched) {
        if self.is_late || interpreter.bytecode.bytecode_len() == 0 {
            return;
        }
        let result = interpreter.bytecode.instruction_result();
        let Some(frame) = self.frames.last_mut() else { return };
        frame.refund = interpreter.gas.refunded();
        frame.ended = result;
        let cost = frame.gas_before.saturating_sub(interpreter.gas.remaining());
        let step = frame.step.unwrap_or_default();
        let destroyed = frame.destroyed.take();
        let failure = result
            .filter(|result| !fault::is_success(*result) && *result != InstructionResult::Revert);
        let refund = self.refund();
        let end = StepEnd { interpreter, step, cost, failure, refund };
        self.tracer.step_end(&end, context);
        if let (Some((from, to, balance)), Some(InstructionResult::SelfDestruct)) =
            (destroyed, result)
        {
            let value = Some(balance);
            let (input, kind) = (Bytes::new(), Kind::SelfDestruct);
            let enter = Enter { kind, from, to, input, gas: 0, value, is_precompile: false };
            self.tracer.enter(&enter, context);
            self.tracer.exit(&Exit::default());
        }
    }

    fn log(&mut self, _: &mut Watched, log: Log) {
        self.tracer.log(&log);
    }

    fn call(&mut self, context: &mut Watched, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let (kind, from) = match inputs.scheme {
            CallScheme::Call => (Kind::Call, inputs.caller),
            CallScheme::CallCode => (Kind::CallCode, inputs.caller),
            CallScheme::DelegateCall => (Kind::DelegateCall, inputs.target_address),
            CallScheme::StaticCall => (Kind::StaticCall, inputs.caller),
        };
        let to = inputs.bytecode_address;
        let enter = Enter {
            kind,
            from,
            to,
            input: inputs.input.bytes(context),
            gas: inputs.gas_limit,
            value: (kind != Kind::StaticCall).then(|| inputs.call_value()),
            is_precompile: self.is_precompile(to, context),
        };
        self.begin(&enter, context);
        None
    }

    fn call_end(&mut self, _: &mut Watched, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.end(inputs.gas_limit, &outcome.result);
    }

    fn create(
        &mut self,
        context: &mut Watched,
        inputs: &mut CreateInputs,
    ) -> Option<CreateOutcome> {
        let from = inputs.caller();
        let account = context.journaled_state.inner.state.get(&from);
        let to = inputs.created_address(account.map_or(0, |account| account.info.nonce));
        let kind = match inputs.scheme() {
            CreateScheme::Create2 { .. } => Kind::Create2,
            _ => Kind::Create,
        };
        let (gas, value) = (inputs.gas_limit(), Some(inputs.value()));
        let input = inputs.init_code().clone();
        let enter = Enter { kind, from, to, input, gas, value, is_precompile: false };
        self.begin(&enter, context);
        None
    }

    fn create_end(&mut self, _: &mut Watched, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end(inputs.gas_limit(), &outcome.result);
    }
}

/// When a run that begins now must have ended (`--rpc.evmtimeout`), or earlier if the client says so.
pub fn deadline(context: &Context, timeout: Option<std::time::Duration>) -> Instant {
    let most = context.limits.call_time;
    Instant::now() + timeout.unwrap_or(most).min(most)
}
