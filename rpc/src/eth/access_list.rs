//! What a call touches, as geth's `eth_createAccessList` counts it: by instructions.
//!
//! The caller, the callee and precompiled contracts are warm anyhow, so they are in the list for their slots alone.

use std::collections::{BTreeMap, BTreeSet};

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256};
use chain::executor::rerun::Watched;
use revm::{
    bytecode::opcode,
    interpreter::{
        Interpreter,
        interpreter_types::{InputsTr as _, Jumps as _},
    },
    precompile::{PrecompileSpecId, Precompiles},
};

use crate::debug::hooks::{Enter, Tracer, word_address};

/// Collects addresses and slots.
#[derive(Debug)]
pub struct AccessTracer {
    touched: BTreeMap<Address, BTreeSet<B256>>,
    warm: BTreeSet<Address>,
    is_started: bool,
}

impl AccessTracer {
    /// Goes on from a list.
    pub fn new(list: &AccessList, from: Option<Address>) -> Self {
        let mut touched: BTreeMap<Address, BTreeSet<B256>> = BTreeMap::new();
        for item in list.iter() {
            touched.entry(item.address).or_default().extend(&item.storage_keys);
        }
        Self { touched, warm: BTreeSet::from([from.unwrap_or_default()]), is_started: false }
    }

    /// The list, ascending.
    pub fn into_list(self) -> AccessList {
        let Self { touched, warm, .. } = self;
        let is_shown = |(address, slots): &(Address, BTreeSet<B256>)| {
            !slots.is_empty() || !warm.contains(address)
        };
        let item = |(address, slots): (Address, BTreeSet<B256>)| AccessListItem {
            address,
            storage_keys: slots.into_iter().collect(),
        };
        AccessList(touched.into_iter().filter(is_shown).map(item).collect())
    }

    fn touch(&mut self, address: Address) {
        if !self.warm.contains(&address) {
            self.touched.entry(address).or_default();
        }
    }
}

impl Tracer for AccessTracer {
    fn enter(&mut self, enter: &Enter, context: &mut Watched) {
        if !self.is_started {
            self.is_started = true;
            self.warm.insert(enter.to);
            let known = Precompiles::new(PrecompileSpecId::from_spec_id(context.cfg.spec));
            self.warm.extend(known.addresses());
        }
    }

    fn step(&mut self, interpreter: &Interpreter, _: usize, _: &mut Watched) {
        let stack = interpreter.stack.data();
        let at = |index: usize| stack.len().checked_sub(index + 1).map(|at| stack[at]);
        match interpreter.bytecode.opcode() {
            opcode::SLOAD | opcode::SSTORE => {
                if let Some(slot) = at(0) {
                    let this = interpreter.input.target_address();
                    self.touched.entry(this).or_default().insert(B256::from(slot));
                }
            }
            opcode::EXTCODECOPY
            | opcode::EXTCODEHASH
            | opcode::EXTCODESIZE
            | opcode::BALANCE
            | opcode::SELFDESTRUCT => {
                if let Some(word) = at(0) {
                    self.touch(word_address(word));
                }
            }
            opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => {
                if let (Some(word), true) = (at(1), stack.len() >= 5) {
                    self.touch(word_address(word));
                }
            }
            _ => {}
        }
    }
}
