//! The kind `vmTrace`: each instruction with what it cost and left on the stack, in memory and in storage.

use alloy_primitives::{Bytes, U256};
use chain::executor::rerun::Watched;
use revm::{
    bytecode::opcode::{self, OpCode},
    interpreter::{
        Interpreter,
        interpreter_types::{Jumps as _, LegacyBytecode as _, MemoryTr as _},
    },
};
use serde_json::{Value, json};

use crate::{
    debug::hooks::{Enter, Exit, StepEnd, Tracer},
    limits,
    render::{data, quantity},
};

/// The code of a frame and its steps.
#[derive(Debug, Default)]
struct Frame {
    code: Bytes,
    ops: Vec<Value>,
    /// The step that runs: its position, the memory and the slot that it may write.
    pc: usize,
    written: Option<(usize, usize)>,
    stored: Option<(U256, U256)>,
}

/// Collects steps.
#[derive(Debug, Default)]
pub struct VmTrace {
    open: Vec<Frame>,
    done: Option<Value>,
    steps: usize,
}

impl VmTrace {
    /// True if more steps were taken than an answer may hold.
    pub const fn is_full(&self) -> bool {
        self.steps >= limits::TRACE_STEPS
    }

    /// The outermost code with its steps; none of a plain transfer.
    pub fn render(self) -> Value {
        self.done.unwrap_or_default()
    }

    fn close(&mut self) {
        let Some(frame) = self.open.pop() else { return };
        let trace = json!({"code": data(&frame.code), "ops": frame.ops});
        match self.open.last_mut() {
            None => self.done = Some(trace),
            Some(parent) => {
                if let Some(op) = parent.ops.last_mut() {
                    op["sub"] = trace;
                }
            }
        }
    }
}

impl Tracer for VmTrace {
    fn enter(&mut self, _: &Enter, _: &mut Watched) {
        self.open.push(Frame::default());
    }

    fn refused(&mut self) {
        self.open.pop();
    }

    fn exit(&mut self, _: &Exit) {
        // A frame without code, of a plain transfer or a precompiled contract, has no trace.
        let has_steps = self.open.last().is_some_and(|frame| !frame.ops.is_empty());
        if has_steps {
            self.close();
        } else {
            self.open.pop();
        }
    }

    fn step(&mut self, interpreter: &Interpreter, _: usize, _: &mut Watched) {
        let stack = interpreter.stack.data();
        let at = |index: usize| stack.len().checked_sub(index + 1).map(|at| stack[at]);
        let size = |word: Option<U256>| word.and_then(|word| usize::try_from(word).ok());
        let Some(frame) = self.open.last_mut() else { return };
        if frame.code.is_empty() {
            frame.code = Bytes::copy_from_slice(interpreter.bytecode.bytecode_slice());
        }
        frame.pc = interpreter.bytecode.pc();
        frame.stored = None;
        frame.written = match interpreter.bytecode.opcode() {
            opcode::MSTORE | opcode::MLOAD => size(at(0)).map(|offset| (offset, 32)),
            opcode::MSTORE8 => size(at(0)).map(|offset| (offset, 1)),
            opcode::CALLDATACOPY | opcode::CODECOPY | opcode::RETURNDATACOPY | opcode::MCOPY => {
                size(at(0)).zip(size(at(2)))
            }
            opcode::EXTCODECOPY => size(at(1)).zip(size(at(3))),
            opcode::CALL | opcode::CALLCODE => size(at(5)).zip(size(at(6))),
            opcode::DELEGATECALL | opcode::STATICCALL => size(at(4)).zip(size(at(5))),
            opcode::SSTORE => {
                frame.stored = at(0).zip(at(1));
                None
            }
            _ => None,
        };
    }

    fn step_end(&mut self, end: &StepEnd<'_>, _: &mut Watched) {
        if self.is_full() {
            return;
        }
        self.steps += 1;
        let Some(frame) = self.open.last_mut() else { return };
        let stack = end.interpreter.stack.data();
        let pushed = OpCode::new(end.step.opcode).map_or(0, |op| usize::from(op.outputs()));
        let push: Vec<Value> =
            stack[stack.len().saturating_sub(pushed)..].iter().map(quantity).collect();
        let memory =
            frame.written.filter(|(_, length)| *length > 0).and_then(|(offset, length)| {
                let last = offset.checked_add(length)?;
                (last <= end.interpreter.memory.size()).then(|| {
                json!({"off": offset, "data": data(&*end.interpreter.memory.slice(offset..last))})
            })
            });
        let store =
            frame.stored.map(|(key, value)| json!({"key": quantity(key), "val": quantity(value)}));
        let effects = end.failure.is_none().then(|| {
            json!({
                "mem": memory,
                "push": push,
                "store": store,
                "used": end.interpreter.gas.remaining(),
            })
        });
        frame.ops.push(json!({"cost": end.cost, "ex": effects, "pc": frame.pc, "sub": null}));
    }
}
