//! What an instruction costs before anything about it is known but its name.

use chain::executor::rerun::Watched;
use revm::interpreter::instructions::gas_table_spec;

/// The part of the cost that is the same at every use (geth's `constantGas`).
pub fn constant(opcode: u8, context: &Watched) -> u64 {
    u64::from(gas_table_spec(context.cfg.spec)[usize::from(opcode)])
}
