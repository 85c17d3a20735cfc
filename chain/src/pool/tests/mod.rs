//! The pool's rules; limits, order and a model of the whole in the files beside this one.

mod limits;
mod model;
mod order;

use std::{cell::RefCell, collections::BTreeMap};

use alloy_consensus::{
    SignableTransaction as _, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Bytes, Signature, TxKind};
use proptest::prelude::*;

use super::*;
use crate::error::ChainError;

const ALICE: Address = Address::repeat_byte(0xaa);
const BOB: Address = Address::repeat_byte(0xbb);
const CAROL: Address = Address::repeat_byte(0xcc);
const ETHER: u64 = 1_000_000_000_000_000_000;
const HEAD: PoolHead = PoolHead { chain_id: 1337, spec_id: SpecId::OSAKA, gas_limit: 30_000_000 };

/// Head state of the tests: everybody has an ether and nonce 0 unless said otherwise.
#[derive(Default)]
struct State(RefCell<BTreeMap<Address, AccountState>>);

impl State {
    fn set(&self, address: Address, nonce: u64, balance: u64) {
        let balance = U256::from(balance);
        let account = AccountState { nonce, balance, is_delegated: false };
        self.0.borrow_mut().insert(address, account);
    }
}

impl State {
    fn set_nonce(&self, address: Address, nonce: u64) {
        let account = self.account(address).unwrap();
        self.0.borrow_mut().insert(address, AccountState { nonce, ..account });
    }
}

impl AccountView for State {
    fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        let rich = AccountState { balance: U256::from(ETHER), ..AccountState::default() };
        Ok(self.0.borrow().get(&address).copied().unwrap_or(rich))
    }
}

/// A transfer whose hash differs per sender, since the receiver is the sender.
fn transfer(sender: Address, nonce: u64, tip: u128, cap: u128) -> Transaction {
    let transaction = TxEip1559 {
        chain_id: 1337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: cap,
        max_priority_fee_per_gas: tip,
        to: TxKind::Call(sender),
        ..TxEip1559::default()
    };
    transaction.into_signed(Signature::test_signature()).into()
}

/// The same with other bytes, for replacements at an equal price.
fn other_transfer(sender: Address, nonce: u64, value: u64) -> Transaction {
    let transaction = TxEip1559 {
        chain_id: 1337,
        nonce,
        gas_limit: 21_000,
        value: U256::from(value),
        to: TxKind::Call(sender),
        ..TxEip1559::default()
    };
    transaction.into_signed(Signature::test_signature()).into()
}

fn paid() -> Pool {
    Pool::new(PoolConfig::for_network(false), HEAD)
}

fn free() -> Pool {
    Pool::new(PoolConfig::for_network(true), HEAD)
}

fn nonces(transactions: &[Arc<PoolTransaction>]) -> Vec<u64> {
    transactions.iter().map(|pooled| pooled.nonce()).collect()
}

#[track_caller]
fn refused(pool: &mut Pool, transaction: Transaction, sender: Address, state: &State, want: &str) {
    let before = pool.by_hash.len();
    let error = pool.add(transaction, sender, state).expect_err(want);
    assert_eq!(error.to_string(), want);
    assert_eq!(pool.by_hash.len(), before, "a refusal leaves the pool as it was");
    pool.check();
}

fn legacy(change: impl FnOnce(&mut TxLegacy)) -> Transaction {
    let mut transaction = TxLegacy {
        chain_id: Some(1337),
        gas_price: 1,
        gas_limit: 21_000,
        to: TxKind::Call(BOB),
        ..TxLegacy::default()
    };
    change(&mut transaction);
    transaction.into_signed(Signature::test_signature()).into()
}

#[test]
fn what_needs_no_account_is_refused_in_geths_words() {
    let (mut pool, state) = (paid(), State::default());
    pool.add(legacy(|_| ()), ALICE, &state).unwrap();
    let authorization = SignedAuthorization::new_unchecked(
        Authorization { chain_id: U256::ZERO, address: BOB, nonce: 0 },
        0,
        U256::ONE,
        U256::ONE,
    );
    let set_code = |list| {
        let transaction = TxEip7702 {
            chain_id: 1337,
            gas_limit: 45_999,
            max_fee_per_gas: 1,
            max_priority_fee_per_gas: 1,
            authorization_list: list,
            ..TxEip7702::default()
        };
        transaction.into_signed(Signature::test_signature()).into()
    };
    let item = AccessListItem { address: BOB, storage_keys: vec![B256::ZERO; 2] };
    let listed = TxEip2930 {
        chain_id: 1337,
        gas_limit: 27_199,
        gas_price: 1,
        access_list: AccessList(vec![item]),
        to: TxKind::Call(BOB),
        ..TxEip2930::default()
    };
    let cases: Vec<(Transaction, &str)> = vec![
        (legacy(|_| ()), "already known"),
        (
            TxEip4844::default().into_signed(Signature::test_signature()).into(),
            "transaction type not supported: blob transactions (type 3) are not accepted on this \
             network",
        ),
        (
            legacy(|t| t.input = vec![1; 131_073].into()),
            "oversized data: transaction size 131177, limit 131072",
        ),
        (
            legacy(|t| {
                t.to = TxKind::Create;
                t.input = vec![1; 49_153].into();
            }),
            "max initcode size exceeded: code size 49153, limit 49152",
        ),
        (
            legacy(|t| t.gas_limit = 16_777_217),
            "transaction gas limit too high (cap: 16777216, tx: 16777217)",
        ),
        (transfer(ALICE, 1, 2, 1), "max priority fee per gas higher than max fee per gas"),
        (legacy(|t| t.chain_id = Some(1)), "invalid sender"),
        (
            legacy(|t| t.gas_limit = 20_999),
            "intrinsic gas too low: gas 20999, minimum needed 21000",
        ),
        (
            // 21000 + 2400 + 2 · 1900 (EIP-2930)
            listed.into_signed(Signature::test_signature()).into(),
            "intrinsic gas too low: gas 27199, minimum needed 27200",
        ),
        (
            // 21000 + 32000 + 64 · 16 + 2 · 2 (EIP-3860)
            legacy(|t| {
                t.to = TxKind::Create;
                t.input = vec![1; 64].into();
            }),
            "intrinsic gas too low: gas 21000, minimum needed 54028",
        ),
        (
            // 21000 + 25000 (EIP-7702)
            set_code(vec![authorization]),
            "intrinsic gas too low: gas 45999, minimum needed 46000",
        ),
        (
            // 21000 + 10 · 4 · 100 (EIP-7623), where execution alone would cost 22600
            legacy(|t| {
                t.gas_limit = 24_999;
                t.input = vec![1; 100].into();
            }),
            "insufficient gas for floor data gas cost: gas 24999, minimum needed 25000",
        ),
        (set_code(vec![]), "set code tx must have at least one authorization tuple"),
        (transfer(ALICE, 1, 0, 9), "transaction underpriced: gas tip cap 0, minimum needed 1"),
        (legacy(|t| t.nonce = u64::MAX), "nonce has max value"),
    ];
    for (transaction, want) in cases {
        refused(&mut pool, transaction, ALICE, &state, want);
    }
}

#[test]
fn gas_has_a_cap_of_the_rules_and_one_of_the_block() {
    let state = State::default();
    let of_gas = |gas_limit| legacy(|t| t.gas_limit = gas_limit);
    let mut pool = paid();
    pool.add(of_gas(16_777_216), ALICE, &state).unwrap();
    let text = "transaction gas limit too high (cap: 16777216, tx: 30000001)";
    refused(&mut pool, of_gas(30_000_001), ALICE, &state, text);
    for (spec_id, gas_limit) in [(SpecId::PRAGUE, 30_000_000), (SpecId::OSAKA, 9_000_000)] {
        let mut pool =
            Pool::new(PoolConfig::for_network(false), PoolHead { spec_id, gas_limit, ..HEAD });
        refused(&mut pool, of_gas(gas_limit + 1), ALICE, &state, "exceeds block gas limit");
        pool.add(of_gas(gas_limit), ALICE, &state).unwrap();
    }
}

#[test]
fn types_wait_for_their_fork() {
    let state = State::default();
    let access = TxEip2930 { chain_id: 1337, ..TxEip2930::default() };
    let access: Transaction = access.into_signed(Signature::test_signature()).into();
    let set_code = TxEip7702 { chain_id: 1337, ..TxEip7702::default() };
    let set_code: Transaction = set_code.into_signed(Signature::test_signature()).into();
    let cases = [
        (SpecId::ISTANBUL, access, "type 1 rejected, pool not yet in Berlin"),
        (SpecId::BERLIN, transfer(ALICE, 0, 1, 1), "type 2 rejected, pool not yet in London"),
        (SpecId::CANCUN, set_code, "type 4 rejected, pool not yet in Prague"),
    ];
    for (spec_id, transaction, want) in cases {
        let mut pool = Pool::new(PoolConfig::for_network(false), PoolHead { spec_id, ..HEAD });
        let want = format!("transaction type not supported: {want}");
        refused(&mut pool, transaction, ALICE, &state, &want);
    }
}

#[test]
fn accounts_are_checked_with_all_that_waits() {
    let (mut pool, state) = (paid(), State::default());
    state.set(ALICE, 3, 50_000);
    let refuse = |pool: &mut Pool, transaction, want| {
        refused(pool, transaction, ALICE, &state, want);
    };
    refuse(&mut pool, transfer(ALICE, 2, 1, 1), "nonce too low: next nonce 3, tx nonce 2");
    refuse(
        &mut pool,
        transfer(ALICE, 3, 1, 3),
        "insufficient funds for gas * price + value: balance 50000, tx cost 63000, overshot 13000",
    );
    pool.add(transfer(ALICE, 3, 1, 1), ALICE, &state).unwrap();
    pool.add(transfer(ALICE, 4, 1, 1), ALICE, &state).unwrap();
    refuse(
        &mut pool,
        transfer(ALICE, 5, 1, 1),
        "insufficient funds for gas * price + value: balance 50000, queued cost 42000, tx cost \
         21000, overshot 13000",
    );
    // a replacement counts instead of the one that it replaces
    refuse(
        &mut pool,
        transfer(ALICE, 4, 2, 2),
        "insufficient funds for gas * price + value: balance 50000, queued cost 42000, tx \
         bumped 21000, overshot 13000",
    );
}

#[test]
fn delegated_accounts_have_one_in_flight() {
    let (mut pool, state) = (free(), State::default());
    let delegated = AccountState { is_delegated: true, ..AccountState::default() };
    state.0.borrow_mut().insert(ALICE, delegated);
    let gap = "gapped-nonce tx from delegated accounts";
    refused(&mut pool, transfer(ALICE, 1, 0, 0), ALICE, &state, gap);
    pool.add(transfer(ALICE, 0, 0, 0), ALICE, &state).unwrap();
    let limit = "in-flight transaction limit reached for delegated accounts";
    refused(&mut pool, transfer(ALICE, 1, 0, 0), ALICE, &state, limit);
}

#[test]
fn a_gap_waits_until_it_is_filled() {
    let (mut pool, state) = (paid(), State::default());
    let added = pool.add(transfer(ALICE, 2, 1, 1), ALICE, &state).unwrap();
    assert!(added.executable.is_empty());
    assert_eq!(pool.status(), (0, 1));
    assert_eq!(pool.pending_nonce(ALICE, 0), 0);
    pool.add(transfer(ALICE, 1, 1, 1), ALICE, &state).unwrap();
    let added = pool.add(transfer(ALICE, 0, 1, 1), ALICE, &state).unwrap();
    assert_eq!(nonces(&added.executable), [0, 1, 2]);
    assert_eq!(pool.status(), (3, 0));
    assert_eq!(pool.pending_nonce(ALICE, 0), 3);
    assert_eq!(pool.pending_nonce(BOB, 7), 7);
    // the builder finds the middle one to fail
    let middle = added.executable[1].hash();
    assert_eq!(pool.remove(&middle).unwrap().nonce(), 1);
    assert_eq!(pool.status(), (1, 1));
    assert_eq!(pool.pending_nonce(ALICE, 0), 1);
    assert!(pool.get(&middle).is_none());
    assert!(pool.remove(&middle).is_none());
    let waiting: Vec<_> = pool.queued().cloned().collect();
    assert_eq!(nonces(&waiting), [2]);
}

#[test]
fn a_new_head_takes_out_promotes_and_demotes() {
    let (mut pool, state) = (paid(), State::default());
    for nonce in [0, 1, 2, 4] {
        pool.add(transfer(ALICE, nonce, 1, 1), ALICE, &state).unwrap();
    }
    pool.add(transfer(BOB, 0, 1, 1), BOB, &state).unwrap();
    // blocks with nonces 0 to 3: ours and one that we never saw
    state.set(ALICE, 4, ETHER);
    let promoted = pool.on_new_head(HEAD, [ALICE, CAROL], &state).unwrap();
    assert_eq!(nonces(&promoted), [4]);
    assert_eq!(pool.status(), (2, 0));
    // the block leaves the chain again: nonce 4 is behind a gap until 3 returns
    state.set(ALICE, 3, ETHER);
    assert!(pool.on_new_head(HEAD, [ALICE], &state).unwrap().is_empty());
    assert_eq!(pool.status(), (1, 1));
    let added = pool.add(transfer(ALICE, 3, 1, 1), ALICE, &state).unwrap();
    assert_eq!(nonces(&added.executable), [3, 4]);
    // no money left: what cannot be paid goes
    state.set(ALICE, 3, 20_999);
    pool.on_new_head(HEAD, [ALICE], &state).unwrap();
    assert_eq!(pool.status(), (1, 0));
    // a smaller block: what does not fit any more goes, whoever sent it
    let small = PoolHead { gas_limit: 20_000, ..HEAD };
    pool.on_new_head(small, [], &state).unwrap();
    assert_eq!(pool.status(), (0, 0));
    let fresh = paid();
    assert_eq!((pool.pending_slots, pool.bytes, pool.senders.len()), (0, 0, 0));
    assert_eq!(pool.eviction, fresh.eviction);
    assert!(pool.by_wait.is_empty());
}

#[test]
fn a_view_newer_than_the_head_is_followed() {
    let (mut pool, state) = (paid(), State::default());
    pool.add(transfer(ALICE, 0, 1, 1), ALICE, &state).unwrap();
    state.set(ALICE, 1, ETHER);
    let added = pool.add(transfer(ALICE, 1, 1, 1), ALICE, &state).unwrap();
    assert_eq!(nonces(&added.executable), [1]);
    assert_eq!(pool.status(), (1, 0));
}

#[test]
fn replacements_pay_a_tenth_more_on_both_caps() {
    let (mut pool, state) = (paid(), State::default());
    pool.add(transfer(ALICE, 0, 100, 1_000), ALICE, &state).unwrap();
    let text = "replacement transaction underpriced";
    for (tip, cap) in [(109, 1_100), (110, 1_099), (110, 1_000), (99, 2_000)] {
        refused(&mut pool, transfer(ALICE, 0, tip, cap), ALICE, &state, text);
    }
    let added = pool.add(transfer(ALICE, 0, 110, 1_100), ALICE, &state).unwrap();
    assert_eq!(added.replaced.unwrap().tip_cap(), 100);
    assert_eq!(added.executable.len(), 1);
    assert_eq!(pool.status(), (1, 0));
    // caps too small for ten per cent must still rise
    pool.add(transfer(BOB, 0, 1, 1), BOB, &state).unwrap();
    pool.add(transfer(BOB, 0, 2, 2), BOB, &state).unwrap();
}

#[test]
fn at_price_zero_one_replacement_per_nonce_and_block_is_free() {
    let (mut pool, state) = (free(), State::default());
    pool.add(other_transfer(ALICE, 0, 1), ALICE, &state).unwrap();
    pool.add(other_transfer(ALICE, 1, 1), ALICE, &state).unwrap();
    pool.add(other_transfer(ALICE, 0, 2), ALICE, &state).unwrap();
    let text = "replacement transaction underpriced";
    refused(&mut pool, other_transfer(ALICE, 0, 3), ALICE, &state, text);
    pool.add(other_transfer(ALICE, 1, 2), ALICE, &state).unwrap();
    pool.on_new_head(HEAD, [], &state).unwrap();
    pool.add(other_transfer(ALICE, 0, 3), ALICE, &state).unwrap();
    assert_eq!(pool.status(), (2, 0));
}
