//! A node by itself: it starts, seals, stops, and goes on where it was.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction as _, TxLegacy};
use alloy_primitives::{Address, Signature, TxKind, U256, hex};
use chain::{block::Transaction, disk::SimDisk, pool::PoolError, reader::ChainReader};

use crate::{ChainEvent, Node, NodeConfig, NodeError, SignerKey, dev_accounts, error::SubmitError};

/// Longest wait for something that a test expects.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

fn genesis(period_secs: u64) -> Vec<u8> {
    let signer = dev_accounts::keys()[0].address().expect("a valid key");
    let extra_data = hex::encode_prefixed([&[0; 32][..], signer.as_slice(), &[0; 65]].concat());
    let genesis = serde_json::json!({
        "config": {
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
            "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0,
            "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "clique": {"period": period_secs, "epoch": 30000},
        },
        "alloc": {signer.to_string(): {"balance": "0x21e19e0c9bab2400000"}},
        "difficulty": "0x1", "gasLimit": "0x1c9c380", "timestamp": "0x0", "extraData": extra_data,
    });
    genesis.to_string().into_bytes()
}

pub(crate) fn config(period_secs: u64) -> NodeConfig {
    let signer = dev_accounts::keys().into_iter().next();
    NodeConfig { signer, ..NodeConfig::new(genesis(period_secs)) }
}

async fn wait_for(reader: &ChainReader, number: u64) {
    let start = Instant::now();
    while reader.head().number() < number {
        assert!(start.elapsed() < PATIENCE, "no block {number}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seals_a_block_a_period_and_tells_of_it() {
    let node = Node::start(config(1)).await.expect("the node starts");
    let mut events = node.handle().subscribe();
    assert!(node.handle().is_sealing());
    for _ in 0..2 {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await.expect("in time");
        let ChainEvent::NewHead(change) = event.expect("the node runs");
        let head = change.added.last().expect("a new head");
        assert_eq!(Some(head.signer), node.handle().signer());
    }
    node.stop().await.expect("the node stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = NodeConfig { datadir: Some(folder.path().to_owned()), ..config(1) };
    let node = Node::start(config.clone()).await.expect("the node starts");
    wait_for(node.handle().reader(), 1).await;
    let second = Node::start(config.clone()).await.expect_err("the folder is in use");
    assert!(second.to_string().contains("another process"), "{second}");
    node.stop().await.expect("the node stops");

    let reader = NodeConfig { signer: None, ..config.clone() };
    let node = Node::start(reader).await.expect("it starts again");
    let head = node.handle().reader().head();
    assert!(head.number() >= 1 && !node.handle().is_sealing());
    node.stop().await.expect("the node stops");

    let other = NodeConfig { genesis: genesis(2), ..config.clone() };
    let node = Node::start(other).await.expect("the period is no part of block 0");
    wait_for(node.handle().reader(), head.number() + 1).await;
    let block = node.handle().reader().block_by_number(head.number()).expect("a readable store");
    assert_eq!(block.map(|block| block.hash()), Some(head.hash()));
    node.stop().await.expect("the node stops");
}

/// Read-only below the limit, and back ten seconds after there is space, without a restart; reads go on throughout.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_makes_it_read_only_for_a_while() {
    const MIB: u64 = 1_024 * 1_024;
    let disk = SimDisk::new(1);
    disk.set_capacity(100 * MIB);
    let config = NodeConfig {
        datadir: Some("/data".into()),
        disk: Arc::new(disk.clone()),
        min_free_disk_mib: 50,
        ..config(1)
    };
    let node = Node::start(config).await.expect("the node starts");
    let handle = node.handle();
    wait_for(handle.reader(), 1).await;
    assert!(!handle.is_read_only());

    disk.set_capacity(disk.used() + 20 * MIB);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let reason = handle.read_only().expect("20 MiB are fewer than 50").to_string();
    assert!(reason.starts_with("read-only: ") && reason.ends_with(" MiB free, needs 50 MiB"));
    let stood = handle.reader().head().number();
    let refused = handle.submit(transfer(0, 1)).await.expect_err("nothing enters the pool");
    assert!(refused.to_string().starts_with("read-only: "), "{refused}");
    let block = handle.reader().block_by_number(stood).expect("reads go on").expect("the head");
    let again = handle.import(block.block.clone()).await.expect_err("nothing is imported");
    assert!(again.to_string().starts_with("read-only: "), "{again}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(handle.reader().head().number(), stood, "no block is sealed");

    let freed = Instant::now();
    disk.set_capacity(1_000 * MIB);
    wait_for(handle.reader(), stood + 1).await;
    assert!(freed.elapsed() >= Duration::from_secs(10), "{:?}", freed.elapsed());
    handle.submit(transfer(0, 1)).await.expect("the pool takes transactions again");
    node.stop().await.expect("the node stops");
}

/// No space at all in the middle of a block: the same node goes on with the same chain.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_a_write_stops_nothing_for_good() {
    let disk = SimDisk::new(1);
    let config = NodeConfig {
        datadir: Some("/data".into()),
        disk: Arc::new(disk.clone()),
        min_free_disk_mib: 0,
        ..config(1)
    };
    let node = Node::start(config.clone()).await.expect("the node starts");
    let handle = node.handle();
    wait_for(handle.reader(), 1).await;
    disk.set_capacity(disk.used() + 100);
    let start = Instant::now();
    while !handle.is_read_only() {
        assert!(start.elapsed() < PATIENCE, "the disk was never full");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stood = handle.reader().head().number();
    disk.set_capacity(u64::MAX);
    wait_for(handle.reader(), stood + 2).await;
    let head = handle.reader().head().number();
    node.stop().await.expect("the node stops");
    let again = NodeConfig { disk: Arc::new(disk.cut(1)), signer: None, ..config };
    let node = Node::start(again).await.expect("it starts again");
    assert!(node.handle().reader().head().number() >= head);
    node.stop().await.expect("the node stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_starts_say_why() {
    let not_json = Node::start(NodeConfig::new(b"{".to_vec())).await.expect_err("no genesis");
    assert!(matches!(not_json, NodeError::Chain(_)), "{not_json}");
    let no_key = NodeConfig { signer: Some(SignerKey::new([0; 32])), ..config(1) };
    let no_key = Node::start(no_key).await.expect_err("zero is no key");
    assert!(matches!(no_key, NodeError::InvalidKey), "{no_key}");
}

fn transfer(nonce: u64, value: u64) -> Transaction {
    let transaction = TxLegacy {
        chain_id: Some(1337),
        nonce,
        gas_price: 2_000_000_000,
        gas_limit: 21_000,
        to: TxKind::Call(Address::repeat_byte(9)),
        value: U256::from(value),
        ..TxLegacy::default()
    };
    let bytes = dev_accounts::keys()[0].sign(transaction.signature_hash()).expect("a valid key");
    let (r, s) = (U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..64]));
    transaction.into_signed(Signature::new(r, s, bytes[64] == 1)).into()
}

/// Includes a block that is run a second time, a dear one that never runs, and one that another node then knows.
#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_run_once_and_recovered_once() {
    for period_secs in [0, 1] {
        let config = NodeConfig { reexecutes: true, ..config(period_secs) };
        let node = Node::start(config.clone()).await.expect("the node starts");
        let handle = node.handle();
        let mut batch: Vec<Transaction> = (0..300).map(|nonce| transfer(nonce, nonce)).collect();
        batch.push(transfer(0, 0));
        let verdicts = handle.submit_many(batch.clone()).await;
        assert!(verdicts[..300].iter().all(Result::is_ok), "{verdicts:?}");
        let again = &verdicts[300];
        assert!(
            matches!(
                again,
                Err(SubmitError::Pool(PoolError::AlreadyKnown | PoolError::NonceTooLow { .. }))
            ),
            "{again:?}"
        );
        let count = |head: &chain::blockchain::ExecutedBlock| head.block.senders().len();
        let mut mined_count = 0;
        let mut blocks = Vec::new();
        while mined_count < 300 {
            wait_for(handle.reader(), blocks.len() as u64 + 1).await;
            let next = handle.reader().block_by_number(blocks.len() as u64 + 1);
            let next = next.expect("readable").expect("at most the head");
            mined_count += count(&next);
            blocks.push(next.block.clone());
        }
        let mined = blocks.iter().flat_map(|block| &block.body().transactions);
        assert!(mined.eq(&batch[..300]), "in the order of their nonces");
        assert_eq!(handle.pool_status(), (0, 0));

        let follower = NodeConfig { signer: None, ..config };
        let follower = Node::start(follower).await.expect("a second node starts");
        follower.handle().submit_many(batch[..100].to_vec()).await;
        for block in blocks {
            let recovered = handle.recover(block.clone_block()).await.expect("known senders");
            assert_eq!(recovered, block);
            let block = follower.handle().recover(block.clone_block()).await.expect("signed");
            follower.handle().import(block).await.expect("a valid block");
        }
        for counts in [handle.recover_counts(), follower.handle().recover_counts()] {
            assert_eq!((counts.recovered_total, counts.recover_repeated_total), (300, 0));
        }
        assert_eq!(follower.handle().pool_status(), (0, 0));
        follower.stop().await.expect("the node stops");
        node.stop().await.expect("the node stops");
    }
}

#[tokio::test]
async fn proposals_reach_the_blocks_and_outlive_the_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let friend = dev_accounts::keys()[1].address().expect("a valid key");
    let kept = NodeConfig { datadir: Some(folder.path().to_owned()), ..config(1) };
    let node = Node::start(kept.clone()).await.expect("starts");
    let handle = node.handle();
    let own = dev_accounts::keys()[0].address().expect("a valid key");
    assert!(handle.propose(own, false).is_err(), "the last signer stays");
    handle.propose(friend, true).expect("a stranger may come");
    let start = Instant::now();
    let head = || handle.reader().head().hash();
    while !handle.reader().snapshot(head()).expect("known").signers.contains(&friend) {
        assert!(start.elapsed() < PATIENCE, "one of one is a majority");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.stop().await.expect("stops");

    let node = Node::start(kept).await.expect("starts again");
    assert_eq!(node.handle().proposals(), [(friend, true)].into());
    node.handle().discard(friend).expect("was there");
    assert!(node.handle().proposals().is_empty());
    node.stop().await.expect("stops");
}
