//! The tracer that a client chose, and what it says at the end.

use alloy_primitives::Log;
use chain::executor::rerun::Watched;
use revm::{context::result::ResultAndState, interpreter::Interpreter};
use serde_json::{Map, Value, json};

use super::{
    calls::{CallConfig, Calls},
    flat::{self, FlatConfig, Place},
    four_byte::FourByte,
    hooks::{Enter, Exit, StepEnd, Tracer},
    options::Choice,
    prestate::Prestate,
    struct_log::StructLog,
};
use crate::{
    error::{RpcError, RpcResult},
    limits,
    voice::Voice,
};

/// A tracer at work.
#[derive(Debug)]
pub enum Chosen {
    /// Step by step.
    StructLog(StructLog),
    /// `callTracer`.
    Calls(Calls),
    /// `flatCallTracer`.
    Flat(Calls, FlatConfig),
    /// `prestateTracer`.
    Prestate(Prestate),
    /// `4byteTracer`.
    FourByte(FourByte),
    /// `noopTracer`.
    Noop,
    /// `muxTracer`.
    Mux(Vec<(String, Chosen)>),
}

/// What a tracer is told at the end.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// Gas limit of the transaction.
    pub gas: u64,
    /// Outcome and touched accounts.
    pub ran: &'a ResultAndState,
    /// Where it stands.
    pub place: Place,
}

impl Chosen {
    /// For one transaction.
    pub fn new(choice: &Choice, voice: Voice) -> Self {
        match choice {
            Choice::StructLog(config) => Self::StructLog(StructLog::new(config.clone(), voice)),
            Choice::Calls(config) => Self::Calls(Calls::new(*config)),
            Choice::Flat(config) => Self::Flat(Calls::new(CallConfig::default()), *config),
            Choice::Prestate(config) => Self::Prestate(Prestate::new(*config)),
            Choice::FourByte => Self::FourByte(FourByte::default()),
            Choice::Noop => Self::Noop,
            Choice::Mux(parts) => {
                let part =
                    |(name, choice): &(String, Choice)| (name.clone(), Self::new(choice, voice));
                Self::Mux(parts.iter().map(part).collect())
            }
        }
    }

    /// What it saw.
    ///
    /// # Errors
    /// -32005 if it saw too much; what the store said if it failed.
    pub fn render(self, ending: Ending<'_>) -> RpcResult {
        let gas_used = ending.ran.result.tx_gas_used();
        Ok(match self {
            Self::StructLog(steps) if steps.is_full() => {
                let text = format!("trace exceeds {} steps", limits::TRACE_STEPS);
                return Err(RpcError::Limit(text));
            }
            Self::StructLog(steps) => steps.render(gas_used),
            Self::Calls(calls) => calls.render(ending.gas, gas_used),
            Self::Flat(calls, config) => match calls.into_frame(ending.gas, gas_used) {
                Some(frame) => flat::render(&frame, config, ending.place),
                None => json!([]),
            },
            Self::Prestate(accounts) => accounts.render(&ending.ran.state)?,
            Self::FourByte(counts) => counts.render(),
            Self::Noop => json!({}),
            Self::Mux(parts) => {
                let mut out = Map::new();
                for (name, part) in parts {
                    out.insert(name, part.render(ending)?);
                }
                Value::Object(out)
            }
        })
    }

    fn each(&mut self, tell: &mut dyn FnMut(&mut dyn Tracer)) {
        match self {
            Self::StructLog(tracer) => tell(tracer),
            Self::Calls(tracer) | Self::Flat(tracer, _) => tell(tracer),
            Self::Prestate(tracer) => tell(tracer),
            Self::FourByte(tracer) => tell(tracer),
            Self::Noop => {}
            Self::Mux(parts) => parts.iter_mut().for_each(|(_, part)| part.each(tell)),
        }
    }
}

impl Tracer for Chosen {
    fn enter(&mut self, enter: &Enter, context: &mut Watched) {
        self.each(&mut |tracer| tracer.enter(enter, context));
    }

    fn refused(&mut self) {
        self.each(&mut |tracer| tracer.refused());
    }

    fn exit(&mut self, exit: &Exit) {
        self.each(&mut |tracer| tracer.exit(exit));
    }

    fn step(&mut self, interpreter: &Interpreter, depth: usize, context: &mut Watched) {
        match self {
            Self::Noop | Self::Calls(_) | Self::Flat(..) | Self::FourByte(_) => {}
            _ => self.each(&mut |tracer| tracer.step(interpreter, depth, context)),
        }
    }

    fn step_end(&mut self, end: &StepEnd<'_>, context: &mut Watched) {
        self.each(&mut |tracer| tracer.step_end(end, context));
    }

    fn log(&mut self, log: &Log) {
        self.each(&mut |tracer| tracer.log(log));
    }
}
