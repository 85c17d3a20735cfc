//! The default tracer: each step with its gas, stack and, where asked for, memory, storage and returned bytes.
//!
//! An instruction that fails before it runs, for its stack or its gas, has an `error`; one that fails while it runs has
//! none. An undefined one costs nothing.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256, hex};
use chain::executor::rerun::Watched;
use revm::{
    bytecode::opcode,
    context::ContextTr as _,
    interpreter::{
        InstructionResult, Interpreter,
        interpreter_types::{InputsTr as _, Jumps as _, MemoryTr as _, ReturnData as _},
    },
};
use serde_json::{Map, Value, json};

use super::{
    cost,
    hooks::{Enter, Exit, StepEnd, Tracer},
};
use crate::{
    fault, limits,
    param::{Flaw, member},
    voice::Voice,
};

/// What a step shows.
#[derive(Debug, Clone, Default)]
pub struct StructLogConfig {
    enable_memory: bool,
    disable_stack: bool,
    disable_storage: bool,
    enable_return_data: bool,
    limit: usize,
}

impl StructLogConfig {
    /// Reads the switches beside `tracer`.
    ///
    /// # Errors
    /// The [`Flaw`] of a switch of the wrong type.
    pub fn read(value: &Value) -> Result<Self, Flaw> {
        let switch = |name: &str| Ok::<_, Flaw>(member::<bool>(value, name)?.unwrap_or(false));
        let limit = match value.get("limit") {
            None | Some(Value::Null) => 0,
            Some(limit) => limit.as_u64().ok_or("limit is not an integer")?,
        };
        Ok(Self {
            enable_memory: switch("enableMemory")?,
            disable_stack: switch("disableStack")?,
            disable_storage: switch("disableStorage")?,
            enable_return_data: switch("enableReturnData")?,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        })
    }
}

/// Collects steps.
#[derive(Debug)]
pub struct StructLog {
    config: StructLogConfig,
    voice: Voice,
    steps: Vec<Map<String, Value>>,
    /// Slots that each contract has looked at or written so far.
    storage: BTreeMap<Address, BTreeMap<U256, U256>>,
    /// The step that runs, and how much gas there was.
    open: Option<Map<String, Value>>,
    written: Option<(U256, U256)>,
    read: Option<U256>,
    depth: usize,
    output: Vec<u8>,
    is_failed: bool,
    is_full: bool,
}

impl StructLog {
    /// Shows what `config` says.
    pub fn new(config: StructLogConfig, voice: Voice) -> Self {
        Self {
            config,
            voice,
            steps: Vec::new(),
            storage: BTreeMap::new(),
            open: None,
            written: None,
            read: None,
            depth: 0,
            output: Vec::new(),
            is_failed: false,
            is_full: false,
        }
    }

    /// True if more steps were taken than an answer may hold.
    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Gas, outcome and steps.
    pub fn render(self, gas_used: u64) -> Value {
        let steps: Vec<Value> = self.steps.into_iter().map(Value::Object).collect();
        json!({
            "gas": gas_used,
            "failed": self.is_failed,
            "returnValue": self.voice.bare_hex(&self.output),
            "structLogs": steps,
        })
    }

    fn word(&self, word: U256) -> Value {
        self.voice.bare_hex(&word.to_be_bytes::<32>())
    }

    /// What this contract has looked at so far, this slot included.
    fn storage_with(&mut self, this: Address, slot: U256, value: U256) -> Value {
        let slots = self.storage.entry(this).or_default();
        slots.insert(slot, value);
        let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
        let slots = self.storage[&this].clone();
        let slots = slots.iter().map(|(slot, value)| (text(self.word(*slot)), self.word(*value)));
        Value::Object(slots.collect())
    }
}

impl Tracer for StructLog {
    fn enter(&mut self, _: &Enter, _: &mut Watched) {
        self.depth += 1;
    }

    fn refused(&mut self) {
        self.depth -= 1;
    }

    fn exit(&mut self, exit: &Exit) {
        self.depth -= 1;
        if self.depth == 0 {
            self.is_failed = exit.error.is_some();
            self.output = exit.output.to_vec();
        }
    }

    fn step(&mut self, interpreter: &Interpreter, depth: usize, _: &mut Watched) {
        self.open = None;
        if self.config.limit != 0 && self.steps.len() >= self.config.limit {
            return;
        }
        if self.steps.len() >= limits::TRACE_STEPS {
            self.is_full = true;
            return;
        }
        let (opcode, stack) = (interpreter.bytecode.opcode(), interpreter.stack.data());
        let mut out = Map::new();
        out.insert("pc".to_owned(), interpreter.bytecode.pc().into());
        out.insert("op".to_owned(), fault::opcode_name(opcode).into());
        out.insert("gas".to_owned(), interpreter.gas.remaining().into());
        out.insert("depth".to_owned(), depth.into());
        if !self.config.disable_stack {
            let words = stack.iter().map(|word| Value::from(format!("{word:#x}")));
            out.insert("stack".to_owned(), words.collect());
        }
        let returned = interpreter.return_data.buffer();
        if self.config.enable_return_data && !returned.is_empty() {
            out.insert("returnData".to_owned(), hex::encode_prefixed(returned).into());
        }
        if self.config.enable_memory {
            let bytes = interpreter.memory.slice(0..interpreter.memory.size());
            let words = bytes.chunks_exact(32).map(|word| self.voice.bare_hex(word));
            out.insert("memory".to_owned(), words.collect());
        }
        let at = |index: usize| stack.len().checked_sub(index + 1).map(|at| stack[at]);
        (self.read, self.written) = (None, None);
        match opcode {
            opcode::SLOAD => self.read = at(0),
            opcode::SSTORE => self.written = at(0).zip(at(1)),
            _ => {}
        }
        self.open = Some(out);
    }

    fn step_end(&mut self, end: &StepEnd<'_>, context: &mut Watched) {
        let Some(mut out) = self.open.take() else { return };
        let this = end.interpreter.input.target_address();
        if !self.config.disable_storage {
            if let Some(slot) = self.read {
                let value = match (end.failure, end.interpreter.stack.data().last()) {
                    (None, Some(value)) => *value,
                    _ => value_now(context, this, slot),
                };
                out.insert("storage".to_owned(), self.storage_with(this, slot, value));
            } else if let Some((slot, value)) = self.written {
                out.insert("storage".to_owned(), self.storage_with(this, slot, value));
            }
        }
        let (cost, error) = match end.failure {
            None => (end.cost, None),
            Some(failure) => failed_step(failure, end, context),
        };
        out.insert("gasCost".to_owned(), cost.into());
        if let Some(error) = error {
            out.insert("error".to_owned(), error.into());
        }
        if end.refund > 0 {
            out.insert("refund".to_owned(), end.refund.into());
        }
        self.steps.push(out);
    }
}

/// Cost and error of a step that ended its frame.
fn failed_step(
    failure: InstructionResult,
    end: &StepEnd<'_>,
    context: &Watched,
) -> (u64, Option<String>) {
    use InstructionResult as Result;
    if matches!(failure, Result::OpcodeNotFound | Result::NotActivated | Result::InvalidFEOpcode) {
        return (0, None);
    }
    let constant = cost::constant(end.step.opcode, context);
    if let Some(flaw) = fault::stack_flaw(end.step) {
        return (constant, Some(flaw));
    }
    match end.failed_before() {
        true => (constant.max(end.cost), Some(fault::describe(failure, Some(end.step)))),
        false => (end.cost, None),
    }
}

/// A slot as the transaction sees it now.
fn value_now(context: &mut Watched, this: Address, slot: U256) -> U256 {
    let account = context.journaled_state.inner.state.get(&this);
    match account.and_then(|account| account.storage.get(&slot)) {
        Some(found) => found.present_value,
        None => context.db_mut().slot(this, slot).unwrap_or_default(),
    }
}
