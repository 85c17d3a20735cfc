//! What went wrong inside of a contract, in geth's words (`core/vm/errors.go`).
//!
//! revm and geth check the same things, some in another order, and revm's reasons carry no numbers. So the words are
//! found from the result together with the [`Step`] that failed: geth looks at the stack before anything else.

use revm::{bytecode::opcode::OpCode, interpreter::InstructionResult};

/// Items that fit on the stack.
const STACK_LIMIT: usize = 1024;
/// `SLOTNUM`, which no fork that we run has.
const SLOTNUM: u8 = 0x4b;

/// The instruction at which a frame ended, as the frame stood before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// The instruction.
    pub opcode: u8,
    /// Items on the stack.
    pub stack: usize,
}

/// Name of an instruction up to Osaka, whatever the rules; `opcode 0xc not defined` for the rest.
pub fn opcode_name(opcode: u8) -> String {
    let is_later = opcode == SLOTNUM || (0xe0..=0xef).contains(&opcode);
    match OpCode::new(opcode).filter(|_| !is_later) {
        Some(known) => known.as_str().to_owned(),
        None => format!("opcode {opcode:#x} not defined"),
    }
}

/// True if a frame that ended so did what it was to do.
pub const fn is_success(result: InstructionResult) -> bool {
    matches!(
        result,
        InstructionResult::Stop | InstructionResult::Return | InstructionResult::SelfDestruct
    )
}

/// True if a frame that ended so never began: depth, funds, an address that is taken.
pub const fn is_refusal(result: InstructionResult) -> bool {
    matches!(
        result,
        InstructionResult::CallTooDeep
            | InstructionResult::OutOfFunds
            | InstructionResult::OverflowPayment
            | InstructionResult::CreateCollision
            | InstructionResult::NonceOverflow
    )
}

/// The stack does not fit the instruction.
pub fn stack_flaw(step: Step) -> Option<String> {
    let known = OpCode::new(step.opcode)?;
    let (inputs, outputs) = (usize::from(known.inputs()), usize::from(known.outputs()));
    let most = STACK_LIMIT + inputs - outputs;
    if step.stack < inputs {
        Some(format!("stack underflow ({} <=> {inputs})", step.stack))
    } else if step.stack > most {
        Some(format!("stack limit reached {} ({most})", step.stack))
    } else {
        None
    }
}

/// Why a frame ended that did not succeed. `step` is its last one, if it took any.
pub fn describe(result: InstructionResult, step: Option<Step>) -> String {
    use InstructionResult as Result;
    let is_undefined =
        matches!(result, Result::OpcodeNotFound | Result::NotActivated | Result::InvalidFEOpcode);
    if let Some(step) = step {
        if is_undefined {
            return format!("invalid opcode: {}", opcode_name(step.opcode));
        }
        if result != Result::Revert
            && let Some(flaw) = stack_flaw(step)
        {
            return flaw;
        }
    }
    let words = match result {
        Result::Revert => "execution reverted",
        Result::CallTooDeep => "max call depth exceeded",
        Result::OutOfFunds | Result::OverflowPayment => "insufficient balance for transfer",
        Result::CreateCollision => "contract address collision",
        Result::NonceOverflow => "nonce uint64 overflow",
        Result::InvalidOperandOOG => "gas uint64 overflow",
        Result::InvalidJump => "invalid jump destination",
        Result::OutOfOffset => "return data out of bounds",
        Result::StateChangeDuringStaticCall | Result::CallNotAllowedInsideStatic => {
            "write protection"
        }
        Result::CreateContractSizeLimit => "max code size exceeded",
        Result::CreateContractStartingWithEF | Result::CreateInitCodeStartingEF00 => {
            "invalid code: must not begin with 0xef"
        }
        Result::CreateInitCodeSizeLimit => "max initcode size exceeded",
        Result::StackUnderflow => "stack underflow",
        Result::StackOverflow => "stack limit reached 1024 (1023)",
        Result::PrecompileError => "precompiled failed",
        Result::OpcodeNotFound | Result::NotActivated | Result::InvalidFEOpcode => "invalid opcode",
        _ => "out of gas",
    };
    words.to_owned()
}

/// geth's words for what a precompiled contract said.
pub fn precompile(words: &str) -> &str {
    match words {
        "wrong input length for blake2" => "invalid input length",
        "wrong final indicator flag for blake2" => "invalid final flag",
        "field point not a member of bn254 curve" => "bn256: coordinate exceeds modulus",
        "failed to create affine g point for bn254 curve" => "bn256: malformed point",
        "bn254 invalid pair length" => "bad elliptic curve pairing size",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(result: InstructionResult, opcode: u8, stack: usize, expected: &str) {
        assert_eq!(describe(result, Some(Step { opcode, stack })), expected);
    }

    #[test]
    fn words_are_geths() {
        use InstructionResult as Result;
        check(Result::StackUnderflow, 0x01, 0, "stack underflow (0 <=> 2)");
        check(Result::StackOverflow, 0x60, 1024, "stack limit reached 1024 (1023)");
        check(Result::OutOfGas, 0x60, 3, "out of gas");
        // geth sees the stack first
        check(Result::OutOfGas, 0x55, 1, "stack underflow (1 <=> 2)");
        check(Result::NotActivated, 0x5f, 0, "invalid opcode: PUSH0");
        check(Result::OpcodeNotFound, 0x0c, 0, "invalid opcode: opcode 0xc not defined");
        check(Result::InvalidFEOpcode, 0xfe, 0, "invalid opcode: INVALID");
        check(Result::Revert, 0xfd, 2, "execution reverted");
        assert_eq!(describe(Result::CallTooDeep, None), "max call depth exceeded");
    }

    #[test]
    fn dup_and_swap_name_what_they_need() {
        assert_eq!(
            stack_flaw(Step { opcode: 0x8f, stack: 15 }).as_deref(),
            Some("stack underflow (15 <=> 16)")
        );
        assert_eq!(
            stack_flaw(Step { opcode: 0x80, stack: 1024 }).as_deref(),
            Some("stack limit reached 1024 (1023)")
        );
        assert_eq!(stack_flaw(Step { opcode: 0x90, stack: 1024 }), None);
    }
}
