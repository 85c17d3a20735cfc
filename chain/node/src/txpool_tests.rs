//! The pool around a running node: its journal over a restart, its allowlist.

use std::{path::Path, time::Instant};

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, Signature, TxKind};
use chain::block::Transaction;

use crate::{
    Node, NodeConfig, NodeHandle, SignerKey, dev_accounts,
    permissions::PermissionError,
    tests::{PATIENCE, config},
};

/// A transfer of the funded account.
fn transfer(key: &SignerKey, nonce: u64) -> Transaction {
    let transaction = TxEip1559 {
        chain_id: 1337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::ZERO),
        ..TxEip1559::default()
    };
    let signature = key.sign(transaction.signature_hash()).expect("a valid key");
    let signature = Signature::from_raw(&signature).expect("65 bytes");
    transaction.into_signed(signature).into()
}

/// A node that seals nothing, so that what is submitted waits.
fn reader(folder: &Path) -> NodeConfig {
    NodeConfig { signer: None, datadir: Some(folder.to_owned()), ..config(1) }
}

async fn wait_for(what: &str, is_true: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn key() -> SignerKey {
    dev_accounts::keys().swap_remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_submitted_waits_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("msnet/transactions.rlp");
    let length = || std::fs::metadata(&file).map_or(0, |found| found.len());
    let node = Node::start(reader(folder.path())).await.expect("the node starts");
    let mut hashes = Vec::new();
    for nonce in [0, 1, 5] {
        hashes.push(node.handle().submit(transfer(&key(), nonce)).await.expect("it is good"));
    }
    wait_for("three transactions are appended", || length() > 300).await;
    let appended = std::fs::read(&file).expect("a journal");
    node.stop().await.expect("the node stops");
    assert_eq!(std::fs::read(&file).expect("a journal").len(), appended.len());

    // as a kill leaves it: with a torn tail
    std::fs::write(&file, [&appended[..], &appended[..50]].concat()).expect("a writable file");
    let node = Node::start(reader(folder.path())).await.expect("it starts again");
    let handle = node.handle();
    wait_for("all three are back", || handle.pool_status() == (2, 1)).await;
    assert!(hashes.iter().all(|hash| handle.pool_transaction(hash).is_some()));
    wait_for("the torn tail is gone", || length() == appended.len() as u64).await;
    node.stop().await.expect("the node stops");

    // what a block took meanwhile does not come back, and the file forgets it
    let node = Node::start(NodeConfig { signer: Some(key()), ..reader(folder.path()) }).await;
    let node = node.expect("it starts and seals");
    let handle = node.handle();
    wait_for("two are mined", || handle.pool_status() == (0, 1)).await;
    node.stop().await.expect("the node stops");
    assert!(length() > 0 && length() < appended.len() as u64 / 2);
    let no_locals = crate::txpool_args::TxPoolArgs { no_locals: true, ..Default::default() };
    let node = Node::start(NodeConfig { txpool: no_locals, ..reader(folder.path()) }).await;
    let node = node.expect("it starts without a journal");
    assert_eq!(node.handle().pool_status(), (0, 0));
    node.stop().await.expect("the node stops");
    assert!(length() > 0, "and leaves the file alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_permitted_sends() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("msnet/permissions.toml");
    std::fs::create_dir(folder.path().join("msnet")).expect("a writable folder");
    std::fs::write(&file, "accounts-allowlist = []\n").expect("a writable folder");
    let node = Node::start(reader(folder.path())).await.expect("the node starts");
    let (handle, account) = (node.handle(), key().address().expect("a valid key"));
    let refused = async |handle: &NodeHandle, nonce| {
        let error = handle.submit(transfer(&key(), nonce)).await.expect_err("not permitted");
        assert_eq!(error.to_string(), "sender account not authorized to send transactions");
    };
    refused(&handle, 0).await;
    handle.permit_accounts(&[account]).expect("a writable file");
    handle.submit(transfer(&key(), 0)).await.expect("it is permitted");
    let written = std::fs::read_to_string(&file).expect("a file");
    assert!(written.to_lowercase().contains(&format!("{account:?}")), "{written}");
    assert_eq!(handle.pool_best(0).len(), 1);
    handle.forbid_accounts(&[account]).expect("a writable file");
    refused(&handle, 1).await;
    assert!(handle.pool_best(0).is_empty(), "a block takes none of a forbidden account");
    let absent = handle.forbid_accounts(&[account]);
    assert!(matches!(absent, Err(PermissionError::AccountAbsent)), "{absent:?}");
    let open = handle.permit_nodes(&["enode://".to_owned()]);
    assert!(matches!(open, Err(PermissionError::InvalidNode)), "{open:?}");
    let open = handle.permit_nodes(&[format!("enode://{}@h:1", "ab".repeat(64))]);
    assert!(matches!(open, Err(PermissionError::NodesOpen)), "{open:?}");

    std::fs::write(&file, "accounts-allow = []\n").expect("a writable file");
    handle.reload_permissions().expect_err("no such key");
    assert_eq!(handle.permissions().accounts_allowlist, Some(vec![]), "what held still holds");
    std::fs::remove_file(&file).expect("a file");
    handle.reload_permissions().expect("an absent file lets everybody in");
    handle.submit(transfer(&key(), 1)).await.expect("it is permitted");
    node.stop().await.expect("the node stops");

    std::fs::write(&file, "accounts-allow = []\n").expect("a writable file");
    let error = Node::start(reader(folder.path())).await.expect_err("no such key").to_string();
    assert!(error.contains("permissions.toml") && error.contains("do:"), "{error}");
}
