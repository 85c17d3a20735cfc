//! Instructions that ask whether a run is over: what no long run gets around.
//!
//! A loop passes a JUMPDEST, a recursion a CALL or a CREATE, and KECCAK256 takes as long as its input is. All else is
//! bounded by the length of the code, and by the price of memory.

use revm::{
    bytecode::opcode,
    context::ContextTr as _,
    handler::MainnetContext,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::{InstructionTable, instruction_table},
        interpreter::EthInterpreter,
    },
};

use crate::{
    executor::env::Evm,
    state::{overlay::Overlay, stop::Stop},
};

type Host = MainnetContext<Overlay>;
type Running<'a> = InstructionContext<'a, Host, EthInterpreter>;

/// What every instruction does.
const USUAL: InstructionTable<EthInterpreter, Host> = instruction_table();

/// Lets `stop` end the runs of an EVM.
pub(crate) fn listen(evm: &mut Evm, stop: Stop) {
    evm.ctx.db_mut().stop = Some(stop);
    let table = evm.instruction.instruction_table_mut();
    table[usize::from(opcode::JUMPDEST)] = Instruction::new(jumpdest);
    table[usize::from(opcode::KECCAK256)] = Instruction::new(work::<{ opcode::KECCAK256 }>);
    table[usize::from(opcode::CREATE)] = Instruction::new(work::<{ opcode::CREATE }>);
    table[usize::from(opcode::CREATE2)] = Instruction::new(work::<{ opcode::CREATE2 }>);
    table[usize::from(opcode::CALL)] = Instruction::new(call::<{ opcode::CALL }>);
    table[usize::from(opcode::CALLCODE)] = Instruction::new(call::<{ opcode::CALLCODE }>);
    table[usize::from(opcode::DELEGATECALL)] = Instruction::new(call::<{ opcode::DELEGATECALL }>);
    table[usize::from(opcode::STATICCALL)] = Instruction::new(call::<{ opcode::STATICCALL }>);
}

/// True if a run of this EVM was ended.
pub(crate) fn has_ended(evm: &Evm) -> bool {
    evm.ctx.journaled_state.database.stop.as_ref().is_some_and(Stop::has_ended)
}

fn asked(context: &mut Running<'_>, ask: impl FnOnce(&mut Stop) -> bool) -> InstructionExecResult {
    let is_over = context.host.db_mut().stop.as_mut().is_some_and(ask);
    // the frames below find the same answer at their next step
    if is_over { Err(InstructionResult::OutOfGas) } else { Ok(()) }
}

fn jumpdest(mut context: Running<'_>) -> InstructionExecResult {
    asked(&mut context, Stop::at_loop)
}

fn work<const OPCODE: u8>(mut context: Running<'_>) -> InstructionExecResult {
    asked(&mut context, Stop::at_work)?;
    USUAL[usize::from(OPCODE)].execute(context)
}

fn call<const OPCODE: u8>(mut context: Running<'_>) -> InstructionExecResult {
    let to = context.interpreter.stack.data().iter().rev().nth(1);
    let to = to.and_then(|to| u64::try_from(*to).ok()).unwrap_or(u64::MAX);
    asked(&mut context, |stop| stop.at_call(to))?;
    USUAL[usize::from(OPCODE)].execute(context)
}
