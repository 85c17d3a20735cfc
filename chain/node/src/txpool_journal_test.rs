use alloy_consensus::{
    SignableTransaction as _, TxEip1559, TxEip2930, TxEip7702, TxLegacy, TypedTransaction,
};
use alloy_primitives::{Bytes, Signature, TxKind, U256, address, hex};
use chain::pool::{AccountState, Pool, PoolConfig, PoolHead, SpecId};
use proptest::prelude::*;

use super::*;

fn signed(transaction: TypedTransaction) -> Transaction {
    transaction.into_signed(Signature::test_signature()).into()
}

fn of_kind(kind: u8, nonce: u64, input: Vec<u8>) -> Transaction {
    let (input, to) =
        (Bytes::from(input), TxKind::Call(address!("00000000000000000000000000000000000000aa")));
    let (gas_limit, value) = (1_000_000, U256::from(nonce));
    signed(match kind {
        0 => {
            TxLegacy { nonce, input, to, gas_limit, value, chain_id: Some(7), gas_price: 0 }.into()
        }
        1 => TxEip2930 { nonce, input, to, gas_limit, value, chain_id: 7, ..TxEip2930::default() }
            .into(),
        2 => TxEip1559 { nonce, input, to, gas_limit, value, chain_id: 7, ..TxEip1559::default() }
            .into(),
        _ => {
            TxEip7702 { nonce, input, gas_limit, value, chain_id: 7, ..TxEip7702::default() }.into()
        }
    })
}

fn encoded(transactions: &[Transaction]) -> Vec<u8> {
    let mut out = Vec::new();
    for transaction in transactions {
        transaction.encode(&mut out);
    }
    out
}

fn read(bytes: &[u8]) -> (Vec<Transaction>, Option<JournalError>) {
    let (mut read, mut error) = (Vec::new(), None);
    for item in Items::new(bytes) {
        assert!(error.is_none(), "nothing comes after an error");
        match item {
            Ok(transaction) => read.push(transaction),
            Err(why) => error = Some(why),
        }
    }
    (read, error)
}

/// The examples of EIP-155 and of EIP-2718's envelope: a list as it is, a typed one in a byte string.
#[test]
fn items_have_geths_form() {
    let legacy = hex!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    );
    let (transactions, error) = read(&legacy);
    assert!(error.is_none());
    assert_eq!(
        transactions[0].tx_hash().to_string(),
        "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788"
    );
    assert_eq!(encoded(&transactions), legacy);
    let typed = encoded(&[of_kind(2, 1, vec![])]);
    assert!((0xb8..0xc0).contains(&typed[0]), "a byte string");
    assert_eq!(typed[2], 2, "of the type byte and what follows it");
}

#[test]
fn what_is_no_journal_ends_it() {
    let good = encoded(&[of_kind(0, 1, vec![])]);
    let check = |tail: &[u8], want: &str| {
        let (transactions, error) = read(&[&good[..], tail].concat());
        assert_eq!(transactions.len(), 1);
        let error = error.expect(want).to_string();
        assert!(error.contains(want), "{error}");
    };
    check(&[0xc0], "not a transaction");
    check(&[0x05], "not a transaction");
    check(&[0x80], "not a transaction");
    check(&[0xf8], "cut off");
    check(&good[..good.len() - 1], "cut off");
    // the length is refused before anything of that length is read
    check(&[0xff; 9], "limit 131081");
    check(&[0xfa, 0x02, 0x00, 0x06], "an item of 131082 bytes is no transaction");
    check(&[0xfa, 0x02, 0x00, 0x05], "cut off");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read(
        kinds in proptest::collection::vec((0_u8..4, any::<u64>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..8),
        cut: prop::sample::Index,
    ) {
        let transactions: Vec<_> =
            kinds.into_iter().map(|(kind, nonce, input)| of_kind(kind, nonce, input)).collect();
        let bytes = encoded(&transactions);
        let (back, error) = read(&bytes);
        prop_assert!(error.is_none());
        prop_assert_eq!(&back, &transactions);
        // a torn tail costs the torn one alone
        let cut = cut.index(bytes.len() + 1);
        let (back, error) = read(&bytes[..cut]);
        let whole = (0..=transactions.len()).rev()
            .find(|&count| encoded(&transactions[..count]).len() <= cut).unwrap_or(0);
        prop_assert_eq!(&back[..], &transactions[..whole]);
        prop_assert_eq!(error.is_none(), encoded(&transactions[..whole]).len() == cut);
    }

    /// Any bytes, and any change of good ones, are read to an end without a panic.
    #[test]
    fn any_bytes_are_read(
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let count = read(&noise).0.len();
        prop_assert!(count <= noise.len());
        let mut bytes = encoded(&[of_kind(1, 5, noise.clone()), of_kind(0, 6, noise)]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let (back, _) = read(&bytes);
        prop_assert!(back.len() <= bytes.len());
    }
}

#[test]
fn the_file_is_replaced_and_appended_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Journal::new(folder.path().join("transactions.rlp"));
    assert_eq!(journal.read().expect("an absent file is empty").count(), 0);
    let head = PoolHead { chain_id: 7, spec_id: SpecId::OSAKA, gas_limit: 30_000_000 };
    let mut pool = Pool::new(PoolConfig::for_network(true), head);
    let view = |_| Ok(AccountState { balance: U256::MAX, ..AccountState::default() });
    let mut pooled = |nonce| {
        let sender = address!("00000000000000000000000000000000000000bb");
        pool.add(of_kind(2, nonce, vec![]), sender, &view).expect("it fits").transaction
    };
    assert!(!journal.append(&[pooled(0)]).expect("no file yet"), "asks to be rewritten");
    journal.rewrite(&[pooled(1), pooled(2)]).expect("a writable folder");
    assert!(journal.append(&[pooled(3)]).expect("a writable file"));
    let nonces = |journal: &Journal| -> Vec<u64> {
        let items = journal.read().expect("a readable file");
        items.map(|item| alloy_consensus::Transaction::nonce(&item.expect("good"))).collect()
    };
    assert_eq!(nonces(&journal), [1, 2, 3]);
    journal.rewrite(&[pooled(4)]).expect("a writable folder");
    assert_eq!(nonces(&journal), [4]);
    journal.bytes = JOURNAL_BYTES;
    assert!(!journal.append(&[pooled(5)]).expect("a writable file"), "too long: to be rewritten");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "no draft is left");
}
