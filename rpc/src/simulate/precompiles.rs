//! Precompiled contracts elsewhere: an override takes one away from its address, a move brings it to another.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, Log};
use chain::executor::rerun::Watched;
use revm::{
    Inspector,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Gas, InstructionResult, Interpreter,
        InterpreterResult,
    },
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};

use crate::{error::RpcError, eth::request::Overrides};

/// An address where no precompiled contract is, nor anything else: the last one.
const NOWHERE: Address = Address::repeat_byte(0xff);

/// Where precompiled contracts are now, if not where they belong.
#[derive(Debug, Clone, Default)]
pub struct Moves {
    /// New address → own address.
    at: BTreeMap<Address, Address>,
    /// Own addresses that are plain accounts now.
    gone: BTreeSet<Address>,
}

impl Moves {
    /// Takes what one block's overrides say.
    ///
    /// # Errors
    /// -32000 if what shall move is no precompiled contract, or its goal is overridden as well; -38022 onto itself.
    pub fn apply(
        &mut self,
        accounts: &Overrides,
        moves: &BTreeMap<Address, Address>,
        spec: SpecId,
    ) -> Result<(), RpcError> {
        let known = Precompiles::new(PrecompileSpecId::from_spec_id(spec));
        let mut arrived = BTreeMap::new();
        for account in accounts.0.keys() {
            let own = self.at.get(account).copied();
            let own = own.or_else(|| {
                (known.contains(account) && !self.gone.contains(account)).then_some(*account)
            });
            if let Some(to) = moves.get(account) {
                let Some(own) = own else {
                    return Err(RpcError::Server(format!("account {account} is not a precompile")));
                };
                if to == account {
                    let text = format!("account {account} is moved onto itself");
                    return Err(super::coded(-38022, text));
                }
                if accounts.0.contains_key(to) {
                    return Err(RpcError::Server(format!("account {to} is already overridden")));
                }
                arrived.insert(*to, own);
            }
            if own.is_some() {
                self.at.remove(account);
                self.gone.insert(*account);
            }
        }
        for (to, own) in arrived {
            self.gone.remove(&to);
            self.at.insert(to, own);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.at.is_empty() && self.gone.is_empty()
    }
}

/// An inspector that also sends calls where precompiled contracts are now.
#[derive(Debug)]
pub struct Rerouted<'a, I> {
    inner: I,
    moves: &'a Moves,
}

impl<'a, I> Rerouted<'a, I> {
    /// Around another inspector.
    pub const fn new(inner: I, moves: &'a Moves) -> Self {
        Self { inner, moves }
    }

    /// The other inspector.
    pub fn into_inner(self) -> I {
        self.inner
    }
}

fn run_precompile(own: Address, inputs: &CallInputs, context: &mut Watched) -> Option<CallOutcome> {
    let known = Precompiles::new(PrecompileSpecId::from_spec_id(context.cfg.spec));
    let input = inputs.input.bytes(context);
    let output = known.get(&own)?.execute(&input, inputs.gas_limit, inputs.reservoir).ok()?;
    let mut gas = Gas::new(inputs.gas_limit);
    let (result, bytes) = match output.halt_reason() {
        Some(_) => {
            gas.spend_all();
            (InstructionResult::PrecompileError, Default::default())
        }
        None if gas.record_regular_cost(output.gas_used) => {
            (InstructionResult::Return, output.bytes.clone())
        }
        None => {
            gas.spend_all();
            (InstructionResult::PrecompileOOG, Default::default())
        }
    };
    let result = InterpreterResult::new(result, bytes, gas);
    let mut outcome = CallOutcome::new(result, inputs.return_memory_offset.clone());
    outcome.was_precompile_called = true;
    Some(outcome)
}

impl<I: Inspector<Watched>> Inspector<Watched> for Rerouted<'_, I> {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut Watched) {
        self.inner.initialize_interp(interpreter, context);
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut Watched) {
        self.inner.step(interpreter, context);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut Watched) {
        self.inner.step_end(interpreter, context);
    }

    fn log(&mut self, context: &mut Watched, log: Log) {
        self.inner.log(context, log);
    }

    fn call(&mut self, context: &mut Watched, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let outcome = self.inner.call(context, inputs);
        if outcome.is_some() || self.moves.is_empty() {
            return outcome;
        }
        let callee = inputs.bytecode_address;
        if let Some(own) = self.moves.at.get(&callee) {
            return run_precompile(*own, inputs, context);
        }
        if self.moves.gone.contains(&callee) {
            // The code is in the inputs already; only the look-up of precompiled contracts goes by this address.
            inputs.bytecode_address = NOWHERE;
        }
        None
    }

    fn call_end(&mut self, context: &mut Watched, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.inner.call_end(context, inputs, outcome);
    }

    fn create(
        &mut self,
        context: &mut Watched,
        inputs: &mut CreateInputs,
    ) -> Option<CreateOutcome> {
        self.inner.create(context, inputs)
    }

    fn create_end(
        &mut self,
        context: &mut Watched,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.inner.create_end(context, inputs, outcome);
    }
}

#[cfg(test)]
mod tests {
    use chain::executor::call::AccountOverride;

    use super::*;

    fn address(last: u8) -> Address {
        Address::with_last_byte(last)
    }

    #[test]
    fn only_precompiled_contracts_move() {
        let accounts = |list: &[Address]| {
            Overrides(list.iter().map(|one| (*one, AccountOverride::default())).collect())
        };
        let mut moves = Moves::default();
        let to = address(0xcc);
        let sha = BTreeMap::from([(address(2), to)]);
        assert!(moves.apply(&accounts(&[address(2)]), &sha, SpecId::LONDON).is_ok());
        assert_eq!(moves.at.get(&to), Some(&address(2)));
        assert!(moves.gone.contains(&address(2)));
        let nobody = BTreeMap::from([(address(0xdd), to)]);
        let error = moves.apply(&accounts(&[address(0xdd)]), &nobody, SpecId::LONDON);
        assert!(error.is_err_and(|error| error.to_string().ends_with("is not a precompile")));
        let both = BTreeMap::from([(address(3), address(4))]);
        let error = moves.apply(&accounts(&[address(3), address(4)]), &both, SpecId::LONDON);
        assert!(error.is_err_and(|error| error.to_string().ends_with("is already overridden")));
    }
}
