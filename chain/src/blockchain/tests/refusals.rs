//! What no network of ours takes, in words; and stores of other rules.

use alloy_consensus::{TxEip4844, TxEip4844Variant};

use super::*;
use crate::{block::transactions_root, replay::Rules};

/// The same block with another body, sealed again.
fn with_body(net: &Net, block: &ExecutedBlock, body: BlockBody) -> RecoveredBlock {
    let transactions_root = transactions_root(&body.transactions);
    let header = Header { transactions_root, ..block.block.header().clone() };
    let header = testing::sealed(header, &net.keys[0]).into_header();
    let senders = vec![Address::ZERO; body.transactions.len()];
    RecoveredBlock::new_unhashed(Block { header, body }, senders)
}

#[test]
fn blobs_and_withdrawals_are_refused_in_words() {
    for forks in [London, Osaka] {
        let net = Net::new(1, forks);
        let sealed = net.seal(&mut net.open(Storage::Memory), &[]);
        let mut chain = net.open(Storage::Memory);
        let mut refusal =
            |body| chain.import(with_body(&net, &sealed, body), NOW_MS).unwrap_err().to_string();
        let withdrawals = Some(Vec::new().into());
        let error = refusal(BlockBody { withdrawals, ..BlockBody::default() });
        assert_eq!(error, "withdrawals present in block body");
        let blob: TxEip4844Variant = TxEip4844Variant::TxEip4844(TxEip4844::default());
        let blob: Transaction = blob.into_signed(Signature::test_signature()).into();
        let hash = *blob.tx_hash();
        let error = refusal(BlockBody { transactions: vec![blob], ..BlockBody::default() });
        let want = format!(
            "could not apply tx 0 [{hash}]: transaction type not supported: blob transactions (type 3) are not accepted on this network"
        );
        assert_eq!(error, want);
        assert_eq!(chain.reader().head().number(), 0);
        let good = with_body(&net, &sealed, BlockBody::default());
        assert!(matches!(chain.import(good, NOW_MS).unwrap(), Imported::Head(_)));
    }
}

#[test]
fn a_store_belongs_to_one_engine() {
    let folder = tempfile::tempdir().unwrap();
    let net = Net::new(1, London);
    let storage = Storage::Dir(folder.path().to_owned());
    net.open(storage.clone()).close().unwrap();
    let replay = Rules::Replay(Arc::default());
    let error = Blockchain::open_with(&net.genesis, storage.clone(), replay).unwrap_err();
    let want = "the store was made by the engine clique, this start asked for replay";
    assert_eq!(error.to_string(), want);
    net.open(storage).close().unwrap();
}
