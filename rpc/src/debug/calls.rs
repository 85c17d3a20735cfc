//! `callTracer`: the frames of a transaction, nested.

use alloy_primitives::{Address, B256, Bytes, Log, U256};
use chain::executor::rerun::Watched;
use serde_json::{Map, Value, json};

use super::{
    hooks::{Enter, Exit, Kind, Tracer},
    options::Options,
};
use crate::{
    error::{RpcError, revert_reason},
    render::{address, data, quantity},
};

/// What `callTracer` shall show.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallConfig {
    /// The transaction's own frame alone.
    pub only_top_call: bool,
    /// Events with their frames.
    pub with_log: bool,
}

impl CallConfig {
    /// Reads `tracerConfig`.
    ///
    /// # Errors
    /// -32000 if a switch is not a boolean.
    pub fn read(config: &Options<'_>) -> Result<Self, RpcError> {
        Ok(Self {
            only_top_call: config.switch("onlyTopCall")?,
            with_log: config.switch("withLog")?,
        })
    }
}

/// An event of a frame.
#[derive(Debug, Clone)]
struct FrameLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    /// Calls of the frame before it.
    position: usize,
}

/// A frame with all below it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// How it came to be.
    pub kind: Kind,
    /// Who called.
    pub from: Address,
    /// Whose code ran; absent in a failed creation.
    pub to: Option<Address>,
    /// Calldata or init code.
    pub input: Bytes,
    /// Gas it got.
    pub gas: u64,
    /// Gas it used.
    pub gas_used: u64,
    /// Wei.
    pub value: Option<U256>,
    /// What it returned, reverted with, or left as code.
    pub output: Bytes,
    /// Why it failed.
    pub error: Option<String>,
    /// A precompiled contract.
    pub is_precompile: bool,
    /// The frames it made.
    pub calls: Vec<Frame>,
    logs: Vec<FrameLog>,
}

impl Frame {
    fn new(enter: &Enter) -> Self {
        Self {
            kind: enter.kind,
            from: enter.from,
            to: Some(enter.to),
            input: enter.input.clone(),
            gas: enter.gas,
            gas_used: 0,
            value: enter.value,
            output: Bytes::new(),
            error: None,
            is_precompile: enter.is_precompile,
            calls: Vec::new(),
            logs: Vec::new(),
        }
    }

    fn finish(&mut self, exit: &Exit) {
        self.gas_used = exit.gas_used;
        self.output = exit.output.clone();
        self.error = exit.error.clone();
        if self.error.is_some() && self.kind.is_create() {
            self.to = None;
        }
    }

    /// As geth writes it; events of frames that failed, or whose callers failed, are gone.
    fn render(&self, with_log: bool, is_failed: bool) -> Value {
        let is_failed = is_failed || self.error.is_some();
        let mut out = Map::new();
        let mut put = |name: &str, value: Value| {
            out.insert(name.to_owned(), value);
        };
        put("type", self.kind.name().into());
        put("from", address(self.from));
        if let Some(to) = self.to {
            put("to", address(to));
        }
        if let Some(value) = self.value {
            put("value", quantity(value));
        }
        put("gas", quantity(self.gas));
        put("gasUsed", quantity(self.gas_used));
        put("input", data(&self.input));
        if !self.output.is_empty() {
            put("output", data(&self.output));
        }
        if let Some(error) = &self.error {
            put("error", error.as_str().into());
            if let Some(reason) = revert_reason(&self.output) {
                put("revertReason", reason.into());
            }
        }
        if with_log && !is_failed && !self.logs.is_empty() {
            put("logs", self.logs.iter().map(render_log).collect());
        }
        if !self.calls.is_empty() {
            let calls = self.calls.iter().map(|call| call.render(with_log, is_failed));
            put("calls", calls.collect());
        }
        Value::Object(out)
    }
}

fn render_log(log: &FrameLog) -> Value {
    let topics: Vec<Value> = log.topics.iter().map(data).collect();
    json!({
        "address": address(log.address),
        "topics": topics,
        "data": data(&log.data),
        "position": quantity(log.position),
    })
}

/// Collects frames.
#[derive(Debug, Default)]
pub struct Calls {
    config: CallConfig,
    /// The open frames, the transaction's first.
    open: Vec<Frame>,
    /// How many frames below the only wanted one are open.
    skipped: usize,
    done: Option<Frame>,
}

impl Calls {
    /// Shows what `config` says.
    pub fn new(config: CallConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// The transaction's frame, its gas that of its code alone.
    pub fn into_inner(self) -> Option<Frame> {
        self.done
    }

    /// The transaction's frame. Its gas and gas used are those of the transaction.
    pub fn into_frame(self, gas: u64, gas_used: u64) -> Option<Frame> {
        let mut frame = self.done?;
        (frame.gas, frame.gas_used) = (gas, gas_used);
        Some(frame)
    }

    /// The transaction's frame as geth writes it.
    pub fn render(self, gas: u64, gas_used: u64) -> Value {
        let with_log = self.config.with_log;
        let frame = self.into_frame(gas, gas_used);
        frame.map_or(Value::Null, |frame| frame.render(with_log, false))
    }
}

impl Tracer for Calls {
    fn enter(&mut self, enter: &Enter, _: &mut Watched) {
        if self.config.only_top_call && !self.open.is_empty() {
            self.skipped += 1;
        } else {
            self.open.push(Frame::new(enter));
        }
    }

    fn refused(&mut self) {
        if self.skipped > 0 {
            self.skipped -= 1;
        } else {
            self.open.pop();
        }
    }

    fn exit(&mut self, exit: &Exit) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        let Some(mut frame) = self.open.pop() else { return };
        frame.finish(exit);
        match self.open.last_mut() {
            Some(parent) => parent.calls.push(frame),
            None => self.done = Some(frame),
        }
    }

    fn log(&mut self, log: &Log) {
        if !self.config.with_log || self.skipped > 0 {
            return;
        }
        if let Some(frame) = self.open.last_mut() {
            let position = frame.calls.len();
            let (topics, data) = (log.topics().to_vec(), log.data.data.clone());
            frame.logs.push(FrameLog { address: log.address, topics, data, position });
        }
    }
}
