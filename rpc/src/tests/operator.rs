//! What rules the node: allowlists, the chain file, own blocks, the head. Each method, taken and refused.

use std::path::Path;

use alloy_primitives::Address;
use node::{Node, NodeConfig, dev_accounts};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

use super::{Dev, INSTANT, Network, PATIENCE, accounts};
use crate::{RpcConfig, config::IpcConfig, serve};

const NODE: &str = "enode://6f8a80d14311c39f35f516fa664deaaaa13e85b2f7493f37f6144d86991ec012937307647bd3b9a82abe2974e1407241d54947bbb39763a4cac9f77166ad92a0@10.3.58.6:30303";

/// A development node over a folder whose allowlists are these; `signer` is the account that seals, if it is one.
async fn start(folder: &Path, permissions: &str, signer: usize) -> Dev {
    let ledger = folder.join("msnet");
    std::fs::create_dir_all(&ledger).expect("a folder");
    std::fs::write(ledger.join("permissions.toml"), permissions).expect("written");
    let signer = dev_accounts::keys().into_iter().nth(signer);
    let datadir = Some(folder.to_owned());
    let config = NodeConfig { signer, datadir, ..NodeConfig::new(INSTANT.genesis()) };
    let node = Node::start(config).await.expect("the node starts");
    let config = RpcConfig {
        addr: ([127, 0, 0, 1], 0).into(),
        dev_keys: dev_accounts::keys(),
        ipc: Some(IpcConfig { path: folder.join("msnet.ipc"), is_asked_for: true }),
        ..RpcConfig::default()
    };
    let server = serve(node.handle(), config).await.expect("the server starts");
    Dev { node, server }
}

/// One call through the socket of the folder.
async fn ask(folder: &Path, method: &str, params: Value) -> Value {
    let socket = UnixStream::connect(folder.join("msnet.ipc")).await.expect("it listens");
    let (read, mut write) = socket.into_split();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    write.write_all(call.to_string().as_bytes()).await.expect("it reads");
    let mut lines = BufReader::new(read).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time");
    serde_json::from_str(&line.expect("a line").expect("not the end")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn allowlists_are_read_changed_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = [accounts()[0], accounts()[1]];
    let lists = format!("accounts-allowlist=[\"{first}\"]\nnodes-allowlist=[]\n");
    let dev = start(folder.path(), &lists, 0).await;
    let ok = async |method: &str, params: Value| {
        assert_eq!(dev.call(method, params).await, "Success", "{method}");
    };
    let refused = async |method: &str, params: Value, code: i64, text: &str| {
        let got = dev.error(method, params).await;
        assert_eq!(got, (code, text.to_owned()), "{method}");
    };
    let accounts = async || dev.call("perm_getAccountsAllowlist", json!([])).await;
    let nodes = async || dev.call("perm_getNodesAllowlist", json!([])).await;
    assert_eq!((accounts().await, nodes().await), (json!([first]), json!([])));

    let transfer = json!([{"from": second, "to": second, "gas": "0x5208"}]);
    let text = "sender account not authorized to send transactions";
    refused("eth_sendTransaction", transfer.clone(), -32000, text).await;
    ok("perm_addAccountsToAllowlist", json!([[second]])).await;
    assert_eq!(accounts().await, json!([first, second]));
    dev.receipt(&dev.call("eth_sendTransaction", transfer.clone()).await).await;
    ok("perm_removeAccountsFromAllowlist", json!([[second]])).await;
    refused("eth_sendTransaction", transfer, -32000, text).await;
    ok("perm_addNodesToAllowlist", json!([[NODE]])).await;
    assert_eq!(nodes().await, json!([NODE]));
    ok("perm_removeNodesFromAllowlist", json!([[NODE]])).await;
    assert_eq!(nodes().await, json!([]));

    let too_many = json!([vec![second; 1_001]]);
    for (method, params, code, text) in [
        (
            "perm_addAccountsToAllowlist",
            json!([[first]]),
            -32000,
            "Cannot add an existing account to allowlist",
        ),
        (
            "perm_addAccountsToAllowlist",
            json!([[second, second]]),
            -32000,
            "Request contains duplicates",
        ),
        ("perm_addAccountsToAllowlist", json!([[]]), -32000, "Null/empty params list"),
        ("perm_addAccountsToAllowlist", json!([null]), -32000, "Null/empty params list"),
        ("perm_addAccountsToAllowlist", json!([]), -32602, "missing value for required argument 0"),
        ("perm_addAccountsToAllowlist", json!([first]), -32602, "invalid argument 0: non-array"),
        (
            "perm_addAccountsToAllowlist",
            json!([["0x12"]]),
            -32602,
            "invalid argument 0: hex string has length 2, want 40",
        ),
        ("perm_addAccountsToAllowlist", too_many, -32005, "list exceeds 1000 entries"),
        (
            "perm_removeAccountsFromAllowlist",
            json!([[second]]),
            -32000,
            "Cannot remove an absent account from allowlist",
        ),
        ("perm_removeAccountsFromAllowlist", json!([[]]), -32000, "Null/empty params list"),
        (
            "perm_addNodesToAllowlist",
            json!([["enode://x"]]),
            -32000,
            "Request contains an invalid node",
        ),
        ("perm_addNodesToAllowlist", json!([[1]]), -32602, "invalid argument 0: non-string"),
        (
            "perm_removeNodesFromAllowlist",
            json!([[NODE]]),
            -32000,
            "Cannot remove an absent node from allowlist",
        ),
        ("perm_getAccountsAllowlist", json!([1]), -32602, "too many arguments, want at most 0"),
        ("perm_getNodesAllowlist", json!([1]), -32602, "too many arguments, want at most 0"),
    ] {
        refused(method, params, code, text).await;
    }

    // what changed is in the file, and the file is read again
    let file = folder.path().join("msnet/permissions.toml");
    let kept = std::fs::read_to_string(&file).expect("there").to_lowercase();
    assert!(kept.contains(&first.to_string().to_lowercase()), "{kept}");
    assert!(!kept.contains(&second.to_string().to_lowercase()), "{kept}");
    std::fs::write(&file, format!("accounts-allowlist=[\"{second}\"]\n")).expect("written");
    ok("perm_reloadPermissionsFromFile", json!([])).await;
    assert_eq!(accounts().await, json!([second]));
    refused("perm_getNodesAllowlist", json!([]), -32000, "Node Permissioning has not been enabled")
        .await;
    refused(
        "perm_addNodesToAllowlist",
        json!([[NODE]]),
        -32000,
        "Node Permissioning has not been enabled",
    )
    .await;
    std::fs::write(&file, "nonsense").expect("written");
    refused("perm_reloadPermissionsFromFile", json!([]), -32603, "internal error").await;
    assert_eq!(accounts().await, json!([second]), "they stay as they were");
    std::fs::write(&file, "").expect("written");
    ok("perm_reloadPermissionsFromFile", json!([])).await;
    refused(
        "perm_getAccountsAllowlist",
        json!([]),
        -32000,
        "Account Permissioning has not been enabled",
    )
    .await;
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_goes_into_a_file_and_comes_back() {
    let (folder, other) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("one"));
    let dev = start(folder.path(), "", 0).await;
    for _ in 0..3 {
        dev.transact(json!({"to": accounts()[1], "value": "0x1"})).await;
    }
    let head = dev.call("eth_getBlockByNumber", json!(["latest", false])).await;
    let (all, part) = (folder.path().join("all.rlp"), folder.path().join("part.rlp"));
    let export = async |params: Value| ask(folder.path(), "admin_exportChain", params).await;
    assert_eq!(export(json!([all])).await["result"], true);
    assert_eq!(export(json!([part, "0x1", "0x2"])).await["result"], true);
    let lengths = [&all, &part].map(|file| std::fs::metadata(file).expect("there").len());
    assert!(lengths[0] > lengths[1] && lengths[1] > 0, "{lengths:?}");
    let again = export(json!([all])).await;
    assert_eq!(again["error"]["code"], -32000, "never overwritten: {again}");
    assert_eq!(export(json!([])).await["error"]["code"], -32602);
    assert_eq!(export(json!([1])).await["error"]["code"], -32602);
    let nowhere = folder.path().join("no/such/place");
    assert_eq!(export(json!([nowhere])).await["error"]["code"], -32000);
    // over TCP there is no such method, not even on a development chain
    assert_eq!(dev.error("admin_exportChain", json!([all])).await.0, -32601);
    assert_eq!(dev.error("admin_importChain", json!([all])).await.0, -32601);

    let info = dev.call("admin_nodeInfo", json!([])).await;
    let eth = &info["protocols"]["eth"];
    assert_eq!((&eth["network"], &eth["head"]), (&json!(1337), &head["hash"]), "{info}");
    assert_eq!(dev.call("admin_peers", json!([])).await, json!([]));
    for method in ["admin_nodeInfo", "admin_peers"] {
        let text = "too many arguments, want at most 0".to_owned();
        assert_eq!(dev.error(method, json!([1])).await, (-32602, text));
    }

    let empty = start(other.path(), "", 99).await;
    let import = async |file: &Path| ask(other.path(), "admin_importChain", json!([file])).await;
    assert_eq!(import(&all).await["result"], true);
    assert_eq!(empty.call("eth_getBlockByNumber", json!(["latest", false])).await, head);
    assert_eq!(import(&all).await["result"], true, "what is there is passed over");
    assert_eq!(import(&nowhere).await["error"]["code"], -32000);
    let garbage = other.path().join("garbage");
    std::fs::write(&garbage, [0xff; 9]).expect("written");
    let refused = import(&garbage).await;
    assert!(refused["error"]["message"].as_str().is_some_and(|text| text.contains("is damaged")));
    dev.stop().await;
    empty.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_blocks_change_while_the_node_runs() {
    let dev = Dev::start(INSTANT).await;
    let signer = accounts()[0];
    assert_eq!(dev.call("miner_setExtra", json!(["north"])).await, true);
    assert_eq!(dev.call("miner_setGasLimit", json!(["0x1312d00"])).await, true);
    assert_eq!(dev.call("miner_setEtherbase", json!([signer])).await, true);
    let before = dev.call("eth_getBlockByNumber", json!(["latest", false])).await;
    dev.transact(json!({"to": signer})).await;
    let block = dev.call("eth_getBlockByNumber", json!(["latest", false])).await;
    let extra = block["extraData"].as_str().expect("bytes");
    assert!(extra.starts_with("0x6e6f7274680000"), "{extra}");
    let gas = |block: &Value| {
        let text = block["gasLimit"].as_str().expect("a quantity").to_owned();
        u64::from_str_radix(&text[2..], 16).expect("hex")
    };
    assert!(gas(&block) < gas(&before), "it walks towards 20 million");

    assert_eq!(dev.call("miner_stop", json!([])).await, Value::Null);
    assert_eq!(dev.call("eth_mining", json!([])).await, false);
    let waits = json!([{"from": signer, "to": signer, "gas": "0x5208"}]);
    let hash = dev.call("eth_sendTransaction", waits).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(dev.call("eth_getTransactionReceipt", json!([hash])).await.is_null());
    assert_eq!(dev.call("miner_start", json!([1])).await, Value::Null);
    assert_eq!(dev.receipt(&hash).await["status"], "0x1");

    // a limit above what waits throws it out
    dev.call("miner_stop", json!([])).await;
    let cheap = json!([{"from": signer, "to": signer, "gas": "0x5208", "maxPriorityFeePerGas": "0x5", "maxFeePerGas": "0x77359400"}]);
    let hash = dev.call("eth_sendTransaction", cheap.clone()).await;
    assert!(!dev.call("eth_getTransactionByHash", json!([hash])).await.is_null());
    assert_eq!(dev.call("miner_setGasPrice", json!(["0x3b9aca00"])).await, true);
    assert!(dev.call("eth_getTransactionByHash", json!([hash])).await.is_null());
    let text = "transaction underpriced: gas tip cap 5, minimum needed 1000000000".to_owned();
    assert_eq!(dev.error("eth_sendTransaction", cheap).await, (-32000, text));

    let other = accounts()[1];
    let not_ours = format!("etherbase is {signer}: blocks are sealed by the account of the key");
    for (method, params, code, text) in [
        ("miner_setEtherbase", json!([other]), -32000, not_ours.as_str()),
        ("miner_setEtherbase", json!([]), -32602, "missing value for required argument 0"),
        ("miner_setExtra", json!(["x".repeat(33)]), -32000, "extra exceeds max length. 33 > 32"),
        ("miner_setExtra", json!([7]), -32602, "invalid argument 0: non-string"),
        (
            "miner_setGasLimit",
            json!(["0x1"]),
            -32000,
            "gas limit 1 is out of range, the least is 5000",
        ),
        ("miner_setGasPrice", json!([5]), -32602, "invalid argument 0: non-string"),
        ("miner_start", json!(["all"]), -32602, "invalid argument 0: non-integer"),
        ("miner_stop", json!([1]), -32602, "too many arguments, want at most 0"),
    ] {
        assert_eq!(dev.error(method, params).await, (code, text.to_owned()), "{method}");
    }
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_key_seals_nothing() {
    let dev = Dev::start_as(INSTANT, 99).await;
    let text = "etherbase missing: this node has no key to seal with".to_owned();
    assert_eq!(dev.error("miner_start", json!([])).await, (-32000, text.clone()));
    assert_eq!(dev.error("miner_setEtherbase", json!([Address::ZERO])).await, (-32000, text));
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_is_set_back_and_comes_again() {
    let network = Network { has_two_signers: true, ..INSTANT };
    let (maker, taker) = (Dev::start_as(network, 0).await, Dev::start_as(network, 99).await);
    let mut blocks = Vec::new();
    // two signers, one of them here: every other block is the other's, so there is one
    maker.transact(json!({"to": accounts()[1]})).await;
    blocks.push(maker.node.handle().reader().head());
    for block in &blocks {
        taker.node.handle().import(block.block.clone()).await.expect("a valid block");
    }
    assert_eq!(taker.call("eth_blockNumber", json!([])).await, "0x1");
    assert_eq!(taker.call("debug_setHead", json!(["0x0"])).await, Value::Null);
    assert_eq!(taker.call("eth_blockNumber", json!([])).await, "0x0");
    assert!(taker.call("eth_getBlockByNumber", json!(["0x1", false])).await.is_null());
    let account = accounts()[1];
    let rich = json!("0x21e19e0c9bab2400000");
    assert_eq!(taker.call("eth_getBalance", json!([account, "latest"])).await, rich);
    assert_eq!(taker.call("debug_setHead", json!(["0x0"])).await, Value::Null, "it is there");
    taker.node.handle().import(blocks[0].block.clone()).await.expect("known, and better");
    assert_eq!(taker.call("eth_blockNumber", json!([])).await, "0x1");

    let text = "cannot set the head to block 9: the head is block 1".to_owned();
    assert_eq!(taker.error("debug_setHead", json!(["0x9"])).await, (-32000, text));
    assert_eq!(taker.error("debug_setHead", json!([1])).await.0, -32602);
    assert_eq!(taker.error("debug_setHead", json!([])).await.0, -32602);
    let alone = Dev::start(INSTANT).await;
    alone.transact(json!({"to": account})).await;
    let (code, text) = alone.error("debug_setHead", json!(["0x0"])).await;
    assert!(code == -32000 && text.contains("the only signer"), "{text}");
    maker.stop().await;
    taker.stop().await;
    alone.stop().await;
}
