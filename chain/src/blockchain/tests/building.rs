//! Own blocks: transactions of all types, forks by time, refusals, calls and proofs on the result.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::Authorization,
};
use alloy_primitives::{hex, keccak256};
use alloy_trie::{Nibbles, proof::verify_proof};

use super::*;
use crate::{
    executor::{
        ExecError,
        call::{AccountOverride, BlockOverrides, CallRequest, CallStatus},
    },
    state::stop::Stop,
};

#[test]
fn transactions_of_all_types_run_and_leave_what_they_should() {
    let folder = tempfile::tempdir().unwrap();
    for storage in storages(folder.path()) {
        let net = Net::new(1, Osaka);
        let mut chain = net.open(storage);
        let (user, other, signer) =
            (Wallet::new(0), Wallet::new(1), testing::address(&net.keys[0]));
        let friend = Address::repeat_byte(0x77);
        // init code that returns one byte: STOP
        let creation = user.legacy(0, TxKind::Create, 0, bytes!("60015ff3"));
        let slot = AccessListItem { address: STORE, storage_keys: vec![B256::ZERO] };
        let listed = user.sign(TxEip2930 {
            chain_id: CHAIN_ID,
            nonce: 1,
            gas_price: 2 * GWEI,
            gas_limit: 100_000,
            to: STORE.into(),
            value: U256::ZERO,
            access_list: AccessList(vec![slot]),
            input: words(&[0, 11]),
        });
        let dynamic = user.sign(TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: 2,
            gas_limit: 21_000,
            max_fee_per_gas: 5 * GWEI,
            max_priority_fee_per_gas: GWEI,
            to: friend.into(),
            value: U256::from(12_345),
            ..TxEip1559::default()
        });
        let authorization =
            Authorization { chain_id: U256::from(CHAIN_ID), address: STORE, nonce: 0 };
        let delegation = other.signature(authorization.signature_hash());
        let set_code = user.sign(TxEip7702 {
            chain_id: CHAIN_ID,
            nonce: 3,
            gas_limit: 200_000,
            max_fee_per_gas: 5 * GWEI,
            max_priority_fee_per_gas: GWEI,
            to: other.address(),
            authorization_list: vec![authorization.into_signed(delegation)],
            input: words(&[3, 33]),
            ..TxEip7702::default()
        });
        let all = [creation, listed, dynamic, set_code];
        let block = net.seal(&mut chain, &all);
        assert!(block.receipts.iter().all(|receipt| receipt.success));
        assert_eq!(
            block.receipts.iter().map(|receipt| receipt.tx_type).collect::<Vec<_>>(),
            [0, 1, 2, 4]
        );
        assert_eq!(block.receipts[1].logs[0].address, STORE);
        assert_eq!(block.receipts[3].logs[0].address, other.address());

        let (reader, state) = (chain.reader(), chain.reader().head_state());
        let created = user.address().create(0);
        assert_eq!(
            state.code(state.account(created).unwrap().unwrap().code_hash).unwrap(),
            bytes!("00")
        );
        assert_eq!(state.storage(STORE, U256::ZERO).unwrap(), U256::from(11));
        assert_eq!(state.account(friend).unwrap().unwrap().balance, U256::from(12_345));
        assert_eq!(state.storage(other.address(), U256::from(3)).unwrap(), U256::from(33));
        let delegated = state.account(other.address()).unwrap().unwrap();
        let code = state.code(delegated.code_hash).unwrap();
        assert_eq!(code, [&hex!("ef0100")[..], STORE.as_slice()].concat());
        assert!(
            state.account(signer).unwrap().unwrap().balance > U256::ZERO,
            "fees go to the signer"
        );
        assert_eq!(reader.transaction(*all[2].tx_hash()).unwrap().unwrap().1, 2);

        // EIP-2935: the parent's hash stands in the history contract, and its root is part of ours.
        let parent = reader.canonical_hash(0).unwrap().unwrap();
        let stored = state.storage(HISTORY_STORAGE_ADDRESS, U256::ZERO).unwrap();
        assert_eq!(B256::from(stored), parent);

        check_proofs(&reader, &[STORE, other.address(), friend, Address::repeat_byte(0xee)]);
        check_calls(&reader, signer);
    }
}

fn check_proofs(reader: &ChainReader, addresses: &[Address]) {
    let head = reader.head();
    let slots = [U256::ZERO, U256::from(3), U256::from(99)];
    for &address in addresses {
        let proof = reader.proof(head.hash(), address, &slots).unwrap();
        let exists = reader.head_state().account(address).unwrap().is_some();
        let leaf = exists.then(|| proof.account.to_trie_rlp());
        let root = head.block.header().state_root;
        verify_proof(root, Nibbles::unpack(keccak256(address)), leaf, &proof.nodes).unwrap();
        for slot in &proof.storage {
            let key = keccak256(slot.slot.to_be_bytes::<32>());
            let leaf = (!slot.value.is_zero()).then(|| alloy_rlp::encode(slot.value));
            verify_proof(proof.account.storage_root, Nibbles::unpack(key), leaf, &slot.nodes)
                .unwrap();
        }
    }
    let stranger = B256::repeat_byte(7);
    assert!(matches!(reader.proof(stranger, STORE, &[]), Err(ChainError::UnknownBlock { .. })));
}

fn check_calls(reader: &ChainReader, signer: Address) {
    let head = reader.head().hash();
    let none = BTreeMap::new();
    let run =
        |request: &CallRequest,
         overrides: &BTreeMap<Address, AccountOverride>,
         block: &BlockOverrides| { reader.call(head, request, overrides, block, None) };
    let look = CallRequest { to: Some(LOOK), gas: 1_000_000, ..CallRequest::default() };
    let outcome = run(&look, &none, &BlockOverrides::default()).unwrap();
    assert_eq!(outcome.status, CallStatus::Success);
    assert_eq!(outcome.output[..32], [0; 32], "PREVRANDAO is mixHash");
    assert_eq!(outcome.output[44..64], signer[..]);
    assert_eq!(outcome.output[64..], [0; 32], "no price named: BASEFEE reads 0");
    assert!(outcome.accessed.contains_key(&LOOK));

    let block = BlockOverrides { prev_randao: Some(B256::repeat_byte(5)), ..Default::default() };
    let priced =
        CallRequest { gas_price: Some(2 * GWEI), from: Wallet::new(0).address(), ..look.clone() };
    let outcome = run(&priced, &none, &block).unwrap();
    assert_eq!(outcome.output[..32], [5; 32]);
    assert_ne!(outcome.output[64..], [0; 32]);

    let cheap = CallRequest { gas_price: Some(1), ..priced.clone() };
    let error = run(&cheap, &none, &BlockOverrides::default()).unwrap_err().to_string();
    assert!(error.starts_with("max fee per gas less than block base fee: address 0x"), "{error}");
    let poor = CallRequest { value: U256::MAX, ..look.clone() };
    let error = run(&poor, &none, &BlockOverrides::default()).unwrap_err().to_string();
    assert!(error.starts_with("insufficient funds for gas * price + value: address 0x"), "{error}");

    let fails = AccountOverride { code: Some(bytes!("60aa5f5260205ffd")), ..Default::default() };
    let outcome = run(&look, &[(LOOK, fails)].into(), &BlockOverrides::default()).unwrap();
    assert_eq!(outcome.status, CallStatus::Revert);
    assert_eq!(outcome.output, words(&[0xaa]));
    let reads = AccountOverride {
        code: Some(bytes!("5f545f526001546020526040 5ff3")),
        state: Some([(U256::from(1), U256::from(8))].into()),
        ..Default::default()
    };
    let store = CallRequest { to: Some(STORE), ..look.clone() };
    let outcome = run(&store, &[(STORE, reads)].into(), &BlockOverrides::default()).unwrap();
    assert_eq!(outcome.output, words(&[0, 8]), "`state` replaces all slots");
    assert_eq!(outcome.accessed[&STORE].len(), 2);
    let thirsty = CallRequest { gas: 21_010, ..look };
    assert_eq!(
        run(&thirsty, &none, &BlockOverrides::default()).unwrap().status,
        CallStatus::OutOfGas
    );
    let create = CallRequest { data: bytes!("60015ff3"), gas: 100_000, ..CallRequest::default() };
    assert!(run(&create, &none, &BlockOverrides::default()).unwrap().created.is_some());
    check_stops(reader);
}

/// Runs that would last until their gas is gone end when they are told to, whatever keeps them going.
fn check_stops(reader: &ChainReader) {
    let head = reader.head().hash();
    let run = |code: Bytes, stop: Stop| {
        let long = AccountOverride { code: Some(code), ..Default::default() };
        let request = CallRequest { to: Some(LOOK), gas: 1_000_000_000, ..CallRequest::default() };
        let overrides = [(LOOK, long)].into();
        let block = BlockOverrides::default();
        reader.call(head, &request, &overrides, &block, Some(stop)).unwrap().status
    };
    let asked = Arc::new(AtomicUsize::new(0));
    let after = |questions: usize| {
        let asked = Arc::clone(&asked);
        asked.store(0, Ordering::Relaxed);
        Stop::when(Arc::new(move || asked.fetch_add(1, Ordering::Relaxed) >= questions))
    };
    for (name, code) in [
        ("JUMPDEST PUSH0 JUMP", bytes!("5b5f56")),
        ("a call of itself in a loop", bytes!("5b5f5f5f5f5f305af1505f56")),
        ("a creation in a loop", bytes!("5b5f5f5ff0505f56")),
        ("KECCAK256 of 64 KiB in a loop", bytes!("5b620100005f20505f56")),
    ] {
        assert_eq!(run(code, after(3)), CallStatus::Stopped, "{name}");
        assert!(asked.load(Ordering::Relaxed) <= 5, "{name}: {asked:?}");
    }
    // a run that ends by itself is not told of
    let once = bytes!("5f5f5f5f5f30 5af1 00");
    assert_ne!(run(once, after(usize::MAX)), CallStatus::Stopped);
    // PUSH0 ×4, the address of MODEXP or of ECRECOVER, GAS, STATICCALL
    let (modexp, ecrecover) = (bytes!("5f5f5f5f60055afa"), bytes!("5f5f5f5f60015afa"));
    assert_eq!(run(modexp.clone(), after(usize::MAX).in_a_hurry()), CallStatus::Stopped);
    assert_eq!(run(modexp, after(usize::MAX)), CallStatus::Success);
    assert_eq!(run(ecrecover, after(usize::MAX).in_a_hurry()), CallStatus::Success);
}

#[test]
fn time_forks_start_at_their_second() {
    let net = Net::new(1, Staggered);
    let mut chain = net.open(Storage::Memory);
    let user = Wallet::new(0);
    // code → first second at which it runs: PUSH0, TLOAD, (2935), CLZ
    let codes = [(bytes!("5f00"), 2), (bytes!("60005c00"), 4), (bytes!("60011e00"), 8)];
    for second in 1..=9u64 {
        let nonce = user.nonce(&chain);
        let creations = codes.iter().zip(nonce..);
        let creations: Vec<_> = creations
            .map(|((code, _), nonce)| user.legacy(nonce, TxKind::Create, 0, code.clone()))
            .collect();
        let block = net.seal(&mut chain, &creations);
        assert_eq!(block.block.header().timestamp, second);
        for ((code, from), receipt) in codes.iter().zip(&block.receipts) {
            assert_eq!(receipt.success, second >= *from, "{code} at {second}");
        }
        let slot = U256::from(block.number() - 1);
        let stored = chain.reader().head_state().storage(HISTORY_STORAGE_ADDRESS, slot).unwrap();
        let expected = if second >= 6 { block.block.header().parent_hash } else { B256::ZERO };
        assert_eq!(B256::from(stored), expected, "EIP-2935 at {second}");
    }
}

#[test]
fn an_open_block_refuses_what_does_not_run_and_stays_as_it_was() {
    let net = Net::new(1, Osaka);
    let mut chain = net.open(Storage::Memory);
    let user = Wallet::new(0);
    let parent = chain.reader().head().block.clone_sealed_header();
    let snapshot = chain.reader().snapshot(parent.hash()).unwrap();
    let signer = testing::address(&net.keys[0]);
    let settings = SealerSettings::new(signer, 30_000_000);
    let header = prepare_header(chain.spec(), &parent, &snapshot, &settings, 0).unwrap();
    let mut open = chain.open_block(header.clone(), signer).unwrap();
    let mut refuse = |transaction: &Transaction, text: &str| {
        let error = open.push(transaction, recover_sender(transaction)).unwrap_err();
        assert!(matches!(error, ExecError::Invalid(_)), "{error}");
        assert!(error.to_string().starts_with(text), "{error}");
    };
    refuse(
        &user.set(1, 0, 1),
        &format!("nonce too high: address {}, tx: 1 state: 0", user.address()),
    );
    let price = |gas_price, gas_limit| {
        user.sign(TxLegacy {
            chain_id: Some(CHAIN_ID),
            gas_price,
            gas_limit,
            to: STORE.into(),
            ..TxLegacy::default()
        })
    };
    refuse(&price(1, 100_000), "max fee per gas less than block base fee: address 0x");
    refuse(&price(2 * GWEI, 20_000), "intrinsic gas too low: have 20000, want 21000");
    refuse(
        &price(2 * GWEI, 16_777_217),
        "transaction gas limit too high (cap: 16777216, tx: 16777217)",
    );
    refuse(
        &price(10u128.pow(20), 100_000),
        "insufficient funds for gas * price + value: address 0x",
    );
    let error = open.push(&price(2 * GWEI, 31_000_000), user.address()).unwrap_err();
    assert!(matches!(error, ExecError::Skip(_)), "{error}");
    open.push(&user.set(0, 0, 1), user.address()).unwrap();
    let built = open.close().unwrap();
    let stranger = testing::key("stranger", 0);
    let other = chain.open_block(header.clone(), signer).unwrap().close().unwrap();
    let error = chain
        .seal_and_import(other, |hash| Ok(testing::sign(&stranger, hash)), NOW_MS)
        .unwrap_err();
    assert_eq!(error.to_string(), "unauthorized signer");
    // The other block was closed last, so the trie stands above it: sealing the first one must not mind.
    let key = net.keys[0];
    chain.seal_and_import(built, |hash| Ok(testing::sign(&key, hash)), NOW_MS).unwrap();
    net.seal(&mut chain, &[user.set(1, 1, 2)]);
    assert!(matches!(chain.open_block(header, signer), Err(ChainError::StaleBuild { .. })));
}
