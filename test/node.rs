//! `msnet node --dev` alone: blocks, a block per transaction, and the same head after a kill.

use serde_json::json;

use crate::harness::{Running, eventually, free_port, quantity, rpc, run, text};

const FIRST: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
const SECOND: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

fn start(more: &[&str]) -> (Running, String) {
    let port = free_port().to_string();
    let mut node = Running::start(&[&["node", "--dev", "--http.port", &port], more].concat());
    node.line("the address", |line| line.contains(&port));
    (node, format!("http://127.0.0.1:{port}/"))
}

fn send(url: &str) -> serde_json::Value {
    rpc(url, "eth_sendTransaction", json!([{"from": FIRST, "to": SECOND, "value": "0x1"}]))
}

#[test]
fn period_zero_makes_a_block_per_transaction() {
    let (_node, url) = start(&["--dev.period", "0"]);
    assert_eq!(rpc(&url, "eth_blockNumber", json!([])), json!("0x0"));
    let balance = rpc(&url, "eth_getBalance", json!([FIRST, "latest"]));
    assert_eq!(balance, json!("0x21e19e0c9bab2400000"), "10,000 ether");
    for number in 1..4 {
        let hash = send(&url);
        let receipt = eventually("a receipt", || {
            Some(rpc(&url, "eth_getTransactionReceipt", json!([hash])))
                .filter(|receipt| !receipt.is_null())
        });
        assert_eq!(quantity(&receipt["blockNumber"]), number);
        assert_eq!(receipt["status"], json!("0x1"));
    }
}

#[test]
fn a_killed_node_opens_at_the_head_it_announced() {
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path());
    let (mut node, url) = start(&["--dev.period", "0", "--datadir", datadir]);
    for _ in 0..5 {
        let hash = send(&url);
        eventually("a receipt", || {
            Some(rpc(&url, "eth_getTransactionReceipt", json!([hash])))
                .filter(|receipt| !receipt.is_null())
        });
    }
    let head = rpc(&url, "eth_getBlockByNumber", json!(["latest", true]));
    node.kill();

    let (_again, url) = start(&["--dev.period", "0", "--datadir", datadir]);
    assert_eq!(rpc(&url, "eth_getBlockByNumber", json!(["latest", true])), head);
    assert_eq!(rpc(&url, "eth_getTransactionCount", json!([FIRST, "latest"])), json!("0x5"));
}

#[test]
fn one_block_a_second_without_work() {
    let (_node, url) = start(&[]);
    eventually("two blocks", || {
        (quantity(&rpc(&url, "eth_blockNumber", json!([]))) >= 2).then_some(())
    });
    let one = rpc(&url, "eth_getBlockByNumber", json!(["0x1", false]));
    let two = rpc(&url, "eth_getBlockByNumber", json!(["0x2", false]));
    assert_eq!(quantity(&two["timestamp"]) - quantity(&one["timestamp"]), 1);
}

#[test]
fn the_built_in_network_is_what_its_makers_make() {
    let made = run(&["genesis", "--network", "dev"]);
    assert!(made.status.success(), "{made:#?}");
    let committed = include_str!("../contracts/networks/dev.json");
    assert!(
        made.stdout.trim() == committed.trim(),
        "msnet genesis --network dev --out contracts/networks/dev.json"
    );
}

#[test]
fn contracts_stand_at_their_genesis_addresses() {
    let (_node, url) = start(&["--dev.period", "0"]);
    let directory = "0x4d534e4554000000000000000000000000000003";
    // DAY()
    let day = rpc(&url, "eth_call", json!([{"to": directory, "data": "0x27cfe856"}, "latest"]));
    assert_eq!(quantity(&day), 86_400);
}

#[test]
fn ctrl_c_ends_it_in_order() {
    let (mut node, _) = start(&[]);
    node.interrupt();
    assert!(node.wait().success());
}
