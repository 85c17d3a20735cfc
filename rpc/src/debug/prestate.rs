//! `prestateTracer`: the accounts that a transaction looks at, as they were before it, and in the diff mode after it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, hex, keccak256};
use chain::{error::ChainError, executor::rerun::Watched, state::overlay::Overlay};
use revm::{
    bytecode::opcode,
    context::ContextTr as _,
    database_interface::Database as _,
    interpreter::{
        Interpreter,
        interpreter_types::{InputsTr as _, Jumps as _, MemoryTr as _},
    },
    state::EvmState,
};
use serde_json::{Map, Value, json};

use super::{
    hooks::{Enter, StepEnd, Tracer, word_address},
    options::Options,
};
use crate::{
    error::RpcError,
    render::{data, quantity},
};

/// Longest init code that is hashed to find the address that CREATE2 makes.
const MAX_INIT_CODE: usize = 1 << 20;

/// What `prestateTracer` shall show.
#[derive(Debug, Clone, Copy, Default)]
pub struct PrestateConfig {
    /// What changed, before and after.
    pub diff_mode: bool,
    /// No code.
    pub disable_code: bool,
    /// No storage.
    pub disable_storage: bool,
}

impl PrestateConfig {
    /// Reads `tracerConfig`.
    ///
    /// # Errors
    /// -32000 if a switch is not a boolean.
    pub fn read(config: &Options<'_>) -> Result<Self, RpcError> {
        Ok(Self {
            diff_mode: config.switch("diffMode")?,
            disable_code: config.switch("disableCode")?,
            disable_storage: config.switch("disableStorage")?,
        })
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    balance: U256,
    nonce: u64,
    code: Bytes,
    storage: BTreeMap<B256, B256>,
}

impl Seen {
    fn exists(&self) -> bool {
        self.nonce > 0
            || !self.code.is_empty()
            || !self.storage.is_empty()
            || !self.balance.is_zero()
    }
}

/// What an instruction looks at.
#[derive(Debug, Clone, Copy)]
enum Look {
    Account(Address),
    Slot(Address, U256),
    Created(Address),
    /// A contract ends, and who gets what is left.
    End(Address, Address),
}

/// Collects accounts.
#[derive(Debug, Default)]
pub struct Prestate {
    config: PrestateConfig,
    pre: BTreeMap<Address, Seen>,
    created: BTreeSet<Address>,
    deleted: BTreeSet<Address>,
    top_created: Option<Address>,
    depth: usize,
    looks_at: Option<Look>,
    failed: Option<ChainError>,
}

impl Prestate {
    /// Shows what `config` says.
    pub fn new(config: PrestateConfig) -> Self {
        Self { config, ..Self::default() }
    }

    fn keep<T>(&mut self, read: Result<T, ChainError>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    fn look_at(&mut self, address: Address, overlay: &mut Overlay) {
        if !self.pre.contains_key(&address) {
            let seen = read_account(overlay, address);
            let seen = self.keep(seen).unwrap_or_default();
            self.pre.insert(address, seen);
        }
    }

    fn look_at_slot(&mut self, address: Address, slot: U256, overlay: &mut Overlay) {
        self.look_at(address, overlay);
        let key = B256::from(slot);
        if !self.pre[&address].storage.contains_key(&key) {
            let value = self.keep(overlay.slot(address, slot)).unwrap_or_default();
            if let Some(seen) = self.pre.get_mut(&address) {
                seen.storage.insert(key, B256::from(value));
            }
        }
    }

    /// The accounts, given what the transaction left behind.
    ///
    /// # Errors
    /// What the store said if it failed meanwhile.
    pub fn render(mut self, after: &EvmState) -> Result<Value, RpcError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        if !self.config.diff_mode {
            if let Some(created) = self.top_created
                && self.pre.get(&created).is_some_and(|seen| !seen.exists())
            {
                self.pre.remove(&created);
            }
            return Ok(self.render_all(&self.pre));
        }
        let post = self.compare(after);
        for created in std::mem::take(&mut self.created) {
            if self.pre.get(&created).is_some_and(|seen| !seen.exists()) {
                self.pre.remove(&created);
            }
        }
        let post: Map<String, Value> = post
            .into_iter()
            .map(|(address, value)| (hex::encode_prefixed(address), value))
            .collect();
        Ok(json!({"pre": self.render_all(&self.pre), "post": post}))
    }

    /// Takes out what stayed as it was; what changed, as it is now.
    fn compare(&mut self, after: &EvmState) -> BTreeMap<Address, Value> {
        let mut post = BTreeMap::new();
        for (address, mut seen) in std::mem::take(&mut self.pre) {
            if self.deleted.contains(&address) {
                self.pre.insert(address, seen);
                continue;
            }
            let mut changed = Map::new();
            let now = after.get(&address);
            let (balance, nonce, code) = match now {
                None => (seen.balance, seen.nonce, seen.code.clone()),
                Some(account) => {
                    let code = account.info.code.as_ref();
                    let code = match code {
                        _ if account.info.code_hash == KECCAK256_EMPTY => Bytes::new(),
                        Some(code) => code.original_bytes(),
                        None => seen.code.clone(),
                    };
                    (account.info.balance, account.info.nonce, code)
                }
            };
            if balance != seen.balance {
                changed.insert("balance".to_owned(), quantity(balance));
            }
            let mut is_changed = !changed.is_empty();
            if nonce != seen.nonce {
                is_changed = true;
                if nonce > 0 {
                    changed.insert("nonce".to_owned(), nonce.into());
                }
            }
            if code != seen.code {
                is_changed = true;
                if !code.is_empty() && !self.config.disable_code {
                    changed.insert("code".to_owned(), data(&code));
                }
            }
            let mut slots = Map::new();
            seen.storage.retain(|slot, old| {
                let key = U256::from_be_bytes(slot.0);
                let value = now.and_then(|account| account.storage.get(&key));
                let new = value.map_or(*old, |value| B256::from(value.present_value));
                if new == *old {
                    return false;
                }
                is_changed = true;
                if !new.is_zero() {
                    slots.insert(hex::encode_prefixed(slot), data(new));
                }
                !old.is_zero()
            });
            if !slots.is_empty() && !self.config.disable_storage {
                changed.insert("storage".to_owned(), Value::Object(slots));
            }
            if is_changed {
                post.insert(address, Value::Object(changed));
                self.pre.insert(address, seen);
            }
        }
        post
    }

    fn render_all(&self, accounts: &BTreeMap<Address, Seen>) -> Value {
        let one = |(address, seen): (&Address, &Seen)| {
            let mut out = Map::new();
            out.insert("balance".to_owned(), quantity(seen.balance));
            if seen.nonce > 0 {
                out.insert("nonce".to_owned(), seen.nonce.into());
            }
            if !seen.code.is_empty() && !self.config.disable_code {
                out.insert("code".to_owned(), data(&seen.code));
            }
            if !seen.storage.is_empty() && !self.config.disable_storage {
                let slots = seen.storage.iter();
                let slots: Map<String, Value> =
                    slots.map(|(slot, value)| (hex::encode_prefixed(slot), data(value))).collect();
                out.insert("storage".to_owned(), Value::Object(slots));
            }
            (hex::encode_prefixed(address), Value::Object(out))
        };
        Value::Object(accounts.iter().map(one).collect())
    }
}

/// The account before the transaction: the overlay learns of it only when it has ended.
fn read_account(overlay: &mut Overlay, address: Address) -> Result<Seen, ChainError> {
    let Some(account) = overlay.account(address)? else { return Ok(Seen::default()) };
    let code = match account.code_hash {
        KECCAK256_EMPTY => Bytes::new(),
        hash => overlay.code_by_hash(hash)?.original_bytes(),
    };
    Ok(Seen { balance: account.balance, nonce: account.nonce, code, storage: BTreeMap::new() })
}

impl Tracer for Prestate {
    fn enter(&mut self, enter: &Enter, context: &mut Watched) {
        self.depth += 1;
        if self.depth > 1 {
            return;
        }
        let beneficiary = context.block.beneficiary;
        let overlay = context.db_mut();
        self.look_at(enter.from, overlay);
        self.look_at(enter.to, overlay);
        self.look_at(beneficiary, overlay);
        if enter.kind.is_create() {
            self.top_created = Some(enter.to);
            self.created.insert(enter.to);
            // geth looks when the account is made already
            if let Some(seen) = self.pre.get_mut(&enter.to) {
                seen.nonce = 1;
            }
        }
    }

    fn refused(&mut self) {
        self.depth -= 1;
    }

    fn exit(&mut self, _: &super::hooks::Exit) {
        self.depth -= 1;
    }

    fn step(&mut self, interpreter: &Interpreter, _: usize, context: &mut Watched) {
        self.looks_at = None;
        let stack = interpreter.stack.data();
        let at = |index: usize| stack.len().checked_sub(index + 1).map(|at| stack[at]);
        let this = interpreter.input.target_address();
        match interpreter.bytecode.opcode() {
            opcode::SLOAD | opcode::SSTORE => {
                self.looks_at = at(0).map(|slot| Look::Slot(this, slot));
            }
            opcode @ (opcode::EXTCODECOPY
            | opcode::EXTCODEHASH
            | opcode::EXTCODESIZE
            | opcode::BALANCE
            | opcode::SELFDESTRUCT) => {
                self.looks_at = at(0).map(|word| match opcode {
                    opcode::SELFDESTRUCT => Look::End(this, word_address(word)),
                    _ => Look::Account(word_address(word)),
                });
            }
            opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => {
                let callee = at(1).filter(|_| stack.len() >= 5);
                self.looks_at = callee.map(|word| Look::Account(word_address(word)));
            }
            opcode::CREATE => {
                let account = context.journaled_state.inner.state.get(&this);
                let created = this.create(account.map_or(0, |account| account.info.nonce));
                self.looks_at = Some(Look::Created(created));
            }
            opcode::CREATE2 => {
                if let (Some(offset), Some(size), Some(salt)) = (at(1), at(2), at(3)) {
                    let Some(init) = memory_padded(interpreter, offset, size) else { return };
                    let created = this.create2(salt.to_be_bytes(), keccak256(init));
                    self.looks_at = Some(Look::Created(created));
                }
            }
            _ => {}
        }
    }

    fn step_end(&mut self, end: &StepEnd<'_>, context: &mut Watched) {
        // What fails before it runs has looked at nothing.
        let Some(look) = self.looks_at.take().filter(|_| !end.failed_before()) else { return };
        match look {
            Look::Account(account) => self.look_at(account, context.db_mut()),
            Look::Slot(account, slot) => self.look_at_slot(account, slot, context.db_mut()),
            Look::Created(account) => {
                self.look_at(account, context.db_mut());
                self.created.insert(account);
            }
            Look::End(account, heir) => {
                self.look_at(heir, context.db_mut());
                self.deleted.insert(account);
            }
        }
    }
}

/// A range of the memory, zeros behind its end; none if it is too long.
fn memory_padded(interpreter: &Interpreter, offset: U256, size: U256) -> Option<Vec<u8>> {
    let size = usize::try_from(size).ok().filter(|size| *size <= MAX_INIT_CODE)?;
    if size == 0 {
        return Some(Vec::new());
    }
    let offset = usize::try_from(offset).ok()?;
    let length = interpreter.memory.size();
    let (start, end) = (offset.min(length), offset.saturating_add(size).min(length));
    let mut bytes = interpreter.memory.slice(start..end).to_vec();
    bytes.resize(size, 0);
    Some(bytes)
}
