//! [`Sandbox`]: contracts run without blocks, to make the accounts of a genesis.
//!
//! A contract of a genesis stands at an address of our choice, with code and storage as its constructor would leave
//! them. So the constructor is run in place: its code is put at the address, called, and replaced by what it returns.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes, U256};
use revm::{
    DatabaseCommit as _,
    context::{
        ContextTr as _,
        result::{EVMError, ExecutionResult},
    },
    primitives::eip170,
};

use crate::{
    block::Header,
    error::ChainError,
    executor::{
        env::{self, Evm},
        system_call,
    },
    genesis::GenesisAccount,
    kv::{Kv as _, MemoryKv},
    spec::ChainSpec,
    state::{Flat, StateDb, overlay::Overlay},
};

/// Gas per call: enough for any constructor, little enough that an endless loop ends.
const CALL_GAS: u64 = 10_000_000_000;

/// An EVM over accounts that exist in memory alone. Callers need no balance, pay nothing and keep their nonce.
pub struct Sandbox {
    evm: Evm,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl Sandbox {
    /// An empty world under the rules that hold in block `number` at `timestamp` (seconds).
    ///
    /// # Errors
    /// None in practice: the memory store it stands on does not fail.
    pub fn new(spec: &ChainSpec, timestamp: u64, number: u64) -> Result<Self, ChainError> {
        let empty = StateDb::new(Flat::new(MemoryKv::default().snapshot()?), 0, Vec::new());
        let header = Header { number, timestamp, gas_limit: CALL_GAS, ..Header::default() };
        let spec_id = spec.spec_id(number, timestamp);
        let block = env::block_env(spec_id, &header, Address::ZERO);
        let evm = env::new_evm(Overlay::new(empty), env::cfg_env(spec, spec_id), block);
        Ok(Self { evm })
    }

    /// Puts an account in place, as the alloc of a genesis would.
    ///
    /// # Errors
    /// None in practice, as [`Self::new`].
    pub fn set_account(
        &mut self,
        address: Address,
        account: GenesisAccount,
    ) -> Result<(), ChainError> {
        let GenesisAccount { nonce, balance, code, storage } = account;
        let overlay = self.evm.ctx.db_mut();
        overlay.wipe_storage(address);
        overlay.set_account(address, nonce, balance, Some(code))?;
        for (slot, value) in storage {
            overlay.set_slot(address, slot, value);
        }
        Ok(())
    }

    /// Runs `init_code` (constructor with its arguments appended) at `address`, called by `from`; what it returns becomes
    /// the account's code. The account's nonce is 1, as after a creation (EIP-161).
    ///
    /// # Errors
    /// [`ChainError::Call`] if the constructor fails, with the bytes it reverted with, or if its code is over 24,576
    /// bytes (EIP-170).
    pub fn construct_at(
        &mut self,
        address: Address,
        init_code: Bytes,
        from: Address,
    ) -> Result<(), ChainError> {
        let balance = self.balance(address)?;
        self.evm.ctx.db_mut().set_account(address, 1, balance, Some(init_code))?;
        let what = format!("constructor at {address}");
        let code = self.run(&what, from, address, Bytes::new())?;
        if code.len() > eip170::MAX_CODE_SIZE {
            let reason = format!("max code size exceeded: code size {} limit 24576", code.len());
            return Err(ChainError::Call { what, reason, output: Bytes::new() });
        }
        let overlay = self.evm.ctx.db_mut();
        let account = overlay.account(address)?.unwrap_or_default();
        overlay.set_account(address, account.nonce, account.balance, Some(code))
    }

    /// Calls a contract and keeps what it changed.
    ///
    /// # Errors
    /// [`ChainError::Call`] if the call fails, with the bytes it reverted with; nothing has changed then.
    pub fn call(&mut self, from: Address, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        self.run(&format!("call of {to}"), from, to, data)
    }

    /// All accounts that exist, with their storage.
    ///
    /// # Errors
    /// None in practice, as [`Self::new`].
    pub fn into_alloc(self) -> Result<BTreeMap<Address, GenesisAccount>, ChainError> {
        let changes = self.evm.ctx.journaled_state.database.into_changes()?;
        let mut alloc = BTreeMap::new();
        for (&address, change) in &changes.accounts {
            let Some(account) = change.new else { continue };
            let code = changes.code.get(&account.code_hash).cloned().unwrap_or_default();
            let (nonce, balance) = (account.nonce, account.balance);
            alloc.insert(address, GenesisAccount { nonce, balance, code, ..Default::default() });
        }
        for (&(address, slot), change) in &changes.slots {
            if let Some(account) = alloc.get_mut(&address) {
                account.storage.insert(slot, change.new);
            }
        }
        Ok(alloc)
    }

    fn balance(&mut self, address: Address) -> Result<U256, ChainError> {
        Ok(self.evm.ctx.db_mut().account(address)?.unwrap_or_default().balance)
    }

    fn run(
        &mut self,
        what: &str,
        from: Address,
        to: Address,
        data: Bytes,
    ) -> Result<Bytes, ChainError> {
        let fail =
            |reason: String, output| ChainError::Call { what: what.to_owned(), reason, output };
        let outcome = match system_call(&mut self.evm, from, to, data, CALL_GAS) {
            Ok(outcome) => outcome,
            Err(EVMError::Database(error)) => return Err(error),
            Err(other) => return Err(fail(other.to_string(), Bytes::new())),
        };
        match outcome.result {
            ExecutionResult::Success { output, .. } => {
                self.evm.ctx.db_mut().commit(outcome.state);
                Ok(output.into_data())
            }
            ExecutionResult::Revert { output, .. } => {
                Err(fail(format!("execution reverted: {output}"), output))
            }
            ExecutionResult::Halt { reason, .. } => Err(fail(reason.to_string(), Bytes::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, bytes};

    use super::*;
    use crate::spec::Forks;

    const FROM: Address = address!("0x00000000000000000000000000000000000000aa");
    const AT: Address = address!("0x0000000000000000000000000000000000001234");

    fn sandbox() -> Sandbox {
        let zero = Some(0);
        let forks = Forks {
            homestead: zero,
            eip150: zero,
            eip155: zero,
            eip158: zero,
            byzantium: zero,
            constantinople: zero,
            petersburg: zero,
            istanbul: zero,
            berlin: zero,
            london: zero,
            shanghai_time: zero,
            cancun_time: zero,
            prague_time: zero,
            osaka_time: zero,
        };
        let spec = ChainSpec {
            chain_id: 1337,
            forks,
            clique: None,
            terminal_total_difficulty: None,
            has_msnet_section: false,
            finality: false,
            zero_base_fee: true,
        };
        Sandbox::new(&spec, 0, 0).unwrap()
    }

    /// `sstore(0, last word of the code)`, `sstore(1, caller)`, then returns code that adds 1 to slot 0 and returns it.
    fn init_code(argument: u8) -> Bytes {
        let copy_argument = bytes!("602060203803 5f 39 5f51 5f55 3360 0155");
        let runtime = bytes!("5f5460010180 5f55 5f52 60205ff3");
        let start = u8::try_from(copy_argument.len() + 10).unwrap();
        let length = u8::try_from(runtime.len()).unwrap();
        let return_runtime = [0x60, length, 0x60, start, 0x5f, 0x39, 0x60, length, 0x5f, 0xf3];
        let argument = U256::from(argument).to_be_bytes::<32>();
        [&copy_argument[..], &return_runtime, &runtime, &argument].concat().into()
    }

    #[test]
    fn a_constructor_leaves_code_and_storage_at_its_address() {
        let mut sandbox = sandbox();
        sandbox.construct_at(AT, init_code(41), FROM).unwrap();
        let answer = sandbox.call(FROM, AT, Bytes::new()).unwrap();
        assert_eq!(U256::from_be_slice(&answer), U256::from(42));
        let alloc = sandbox.into_alloc().unwrap();
        assert_eq!(alloc.keys().collect::<Vec<_>>(), [&AT], "the caller leaves no trace");
        let account = &alloc[&AT];
        assert_eq!(account.nonce, 1);
        assert_eq!(account.code.len(), 14);
        let caller = U256::from_be_slice(FROM.as_slice());
        assert_eq!(account.storage, [(U256::ZERO, U256::from(42)), (U256::from(1), caller)].into());
    }

    #[test]
    fn a_revert_hands_back_its_bytes_and_changes_nothing() {
        let mut sandbox = sandbox();
        let code = bytes!("60aa5f5560bb5f5260205ffd"); // sstore(0, 0xaa); mstore(0, 0xbb); revert(0, 32)
        let account = GenesisAccount { nonce: 1, code, ..GenesisAccount::default() };
        sandbox.set_account(AT, account).unwrap();
        let error = sandbox.call(FROM, AT, Bytes::new()).unwrap_err();
        let ChainError::Call { output, .. } = error else { panic!("{error}") };
        assert_eq!(U256::from_be_slice(&output), U256::from(0xbb));
        assert!(sandbox.into_alloc().unwrap()[&AT].storage.is_empty());
    }
}
