//! Two instructions that replayed chains need otherwise than revm has them.
//!
//! `SSTORE` of Constantinople: EIP-1283, which Petersburg took out again at the same height of the main network. revm goes
//! from Byzantium to Petersburg. EIP-2200 (Istanbul) is EIP-1283 with another price of a read and a least gas, which revm
//! asks for from Istanbul on; so prices and accounting are all that differs here.
//!
//! `EXTCODEHASH` of an account that holds storage and nothing else: our overlay marks it by the zero hash, so that nobody
//! creates a contract over it (EIP-7610); the instruction must not show that.

use alloy_primitives::{Address, KECCAK256_EMPTY};
use revm::{
    bytecode::opcode::{EXTCODEHASH, SSTORE},
    context_interface::{
        cfg::{GasId, GasParams},
        host::Host as _,
    },
    handler::MainnetContext,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::{gas_table_spec, host},
        interpreter::EthInterpreter,
    },
    primitives::hardfork::SpecId,
};

use crate::{executor::env::Evm, state::overlay::Overlay};

type Context<'a> = InstructionContext<'a, MainnetContext<Overlay>, EthInterpreter>;

/// Petersburg's prices with those of EIP-1283: 200 for a change of nothing or of a changed slot, 20,000 and 5,000 in all
/// for the first change.
pub(super) fn gas_params() -> GasParams {
    let mut params = GasParams::new_spec(SpecId::PETERSBURG);
    params.override_gas([
        (GasId::sstore_static(), 200),
        (GasId::sstore_set_without_load_cost(), 19_800),
        (GasId::sstore_reset_without_cold_load_cost(), 4_800),
        (GasId::sstore_set_refund(), 19_800),
        (GasId::sstore_reset_refund(), 4_800),
        (GasId::sstore_clearing_slot_refund(), 15_000),
    ]);
    params
}

/// Puts the instructions of a block in place.
pub(super) fn install(evm: &mut Evm, spec_id: SpecId, is_eip1283: bool) {
    if is_eip1283 {
        evm.instruction.insert_instruction(SSTORE, Instruction::new(sstore), 0);
    }
    let gas = gas_table_spec(spec_id)[usize::from(EXTCODEHASH)];
    evm.instruction.insert_instruction(EXTCODEHASH, Instruction::new(extcodehash), gas);
}

fn extcodehash(context: Context<'_>) -> InstructionExecResult {
    let word = context.interpreter.stack.peek(0);
    let inner =
        InstructionContext { interpreter: &mut *context.interpreter, host: &mut *context.host };
    host::extcodehash(inner)?;
    let address = Address::from_word(word?.to_be_bytes().into());
    let is_zero = context.interpreter.stack.peek(0)?.is_zero();
    if is_zero && context.host.balance(address).is_some_and(|balance| !balance.data.is_zero()) {
        context.interpreter.stack.set(0, KECCAK256_EMPTY.into())?;
    }
    Ok(())
}

fn sstore(context: Context<'_>) -> InstructionExecResult {
    host::sstore_with_gas_accounting(context, |context: &mut Context<'_>, _, load| {
        let params = context.host.gas_params();
        let (gas, refund) = (
            params.sstore_dynamic_gas(true, &load.data, false),
            params.sstore_refund(true, &load.data),
        );
        if !context.interpreter.gas.record_regular_cost(gas) {
            return Err(InstructionResult::OutOfGas);
        }
        context.interpreter.gas.record_refund(refund);
        Ok(())
    })
}
