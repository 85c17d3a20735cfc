//! `SSTORE` of Constantinople: EIP-1283, which Petersburg took out again at the same height of the main network.
//!
//! revm goes from Byzantium to Petersburg. EIP-2200 (Istanbul) is EIP-1283 with another price of a read and a least gas,
//! which revm asks for from Istanbul on; so prices and accounting are all that differs here.

use revm::{
    bytecode::opcode::SSTORE,
    context_interface::{
        cfg::{GasId, GasParams},
        host::Host as _,
    },
    handler::MainnetContext,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::host::sstore_with_gas_accounting, interpreter::EthInterpreter,
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

/// Puts the instruction in place.
pub(super) fn install(evm: &mut Evm) {
    evm.instruction.insert_instruction(SSTORE, Instruction::new(sstore), 0);
}

fn sstore(context: Context<'_>) -> InstructionExecResult {
    sstore_with_gas_accounting(context, |context: &mut Context<'_>, _, load| {
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
