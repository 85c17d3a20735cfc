//! Calls over HTTP: what wallets and libraries do, and what goes wrong.

use alloy_primitives::Address;
use serde_json::{Value, json};

use super::{Dev, ECHO, INSTANT, Network, accounts, client::request, error_string};
use crate::{RpcConfig, RpcStartError, serve};

#[tokio::test(flavor = "multi_thread")]
async fn deploys_calls_and_reverts() {
    let dev = Dev::start(INSTANT).await;
    let echo = dev.deploy_echo().await;
    assert_eq!(
        dev.call("eth_getCode", json!([echo, "latest"])).await,
        alloy_primitives::hex::encode_prefixed(ECHO)
    );
    let word = format!("0x{:064x}", 42);
    assert_eq!(dev.call("eth_call", json!([{"to": echo}])).await, word);
    let receipt = dev.transact(json!({"to": echo})).await;
    let log = &receipt["logs"][0];
    assert_eq!((&log["data"], &log["address"]), (&json!(word), &echo));
    assert_eq!(log["topics"], json!([format!("0x{:064x}", 7)]));
    let logs = dev.call("eth_getLogs", json!([{"fromBlock": "0x0", "address": echo}])).await;
    assert_eq!(logs, json!([log]));

    let reason = error_string("not yours");
    let answer = dev.answer("eth_call", json!([{"to": echo, "data": reason}])).await;
    let expected = json!({"code": 3, "message": "execution reverted: not yours", "data": reason});
    assert_eq!(answer["error"], expected);
    let failed = dev.transact(json!({"to": echo, "data": reason, "gas": "0x186a0"})).await;
    assert_eq!((&failed["status"], &failed["logs"]), (&json!("0x0"), &json!([])));
    let (code, message) = dev.error("eth_estimateGas", json!([{"to": echo, "data": "0x00"}])).await;
    assert_eq!((code, message.as_str()), (3, "execution reverted"));
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_transactions_and_receipts_agree() {
    let dev = Dev::start(INSTANT).await;
    let to = Address::repeat_byte(9);
    let receipt = dev.transact(json!({"to": to, "value": "0x5"})).await;
    assert_eq!((&receipt["gasUsed"], &receipt["blockNumber"]), (&json!("0x5208"), &json!("0x1")));
    assert_eq!(dev.call("eth_blockNumber", json!([])).await, "0x1");
    assert_eq!(dev.call("eth_getBalance", json!([to, "latest"])).await, "0x5");
    assert_eq!(dev.call("eth_getBalance", json!([to, "0x0"])).await, "0x0");
    let by_number = dev.call("eth_getBlockByNumber", json!(["0x1", true])).await;
    let by_hash = dev.call("eth_getBlockByHash", json!([receipt["blockHash"], true])).await;
    assert_eq!(by_number, by_hash);
    let transaction =
        dev.call("eth_getTransactionByHash", json!([receipt["transactionHash"]])).await;
    assert_eq!(by_number["transactions"], json!([transaction]));
    assert_eq!((&transaction["type"], &transaction["value"]), (&json!("0x2"), &json!("0x5")));
    let hashes = dev.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(hashes["transactions"], json!([receipt["transactionHash"]]));
    assert_eq!(dev.call("eth_getBlockReceipts", json!(["0x1"])).await, json!([receipt]));
    assert_eq!(dev.call("eth_getBlockByNumber", json!(["0x99", false])).await, Value::Null);
    let signer = dev.call("clique_getSigner", json!(["0x1"])).await;
    assert_eq!(signer, json!(accounts()[0]));
    assert_eq!(dev.call("clique_getSigners", json!([])).await, json!([accounts()[0]]));
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonces_may_come_in_any_order() {
    let dev = Dev::start(Network { period_secs: 1, is_free: false, ..INSTANT }).await;
    let from = accounts()[1];
    let send = |nonce: &str| json!([{"from": from, "to": from, "nonce": nonce, "gas": "0x5208"}]);
    let second = dev.call("eth_sendTransaction", send("0x1")).await;
    assert_eq!(dev.call("eth_getTransactionCount", json!([from, "pending"])).await, "0x0");
    let first = dev.call("eth_sendTransaction", send("0x0")).await;
    let (one, two) = (dev.receipt(&first).await, dev.receipt(&second).await);
    assert_eq!((&one["status"], &two["status"]), (&json!("0x1"), &json!("0x1")));
    assert_eq!(dev.call("eth_getTransactionCount", json!([from, "pending"])).await, "0x2");
    assert_eq!(
        dev.call("txpool_status", json!([])).await,
        json!({"pending": "0x0", "queued": "0x0"})
    );
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_keep_order_and_ids() {
    let dev = Dev::start(INSTANT).await;
    let call =
        |id: &str, method: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#);
    let body = format!(
        "[{},1,{},{}]",
        call("1.0", "eth_chainId"),
        r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#,
        call("\"x\"", "eth_nothing"),
    );
    let expected = concat!(
        r#"[{"jsonrpc":"2.0","id":1.0,"result":"0x539"},"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request"}},"#,
        r#"{"jsonrpc":"2.0","id":"x","error":{"code":-32601,"message":"the method eth_nothing does not exist/is not available"}}]"#,
    );
    assert_eq!(dev.raw(&body).await, expected);
    assert_eq!(dev.raw(r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#).await, "");
    let parse_error =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}"#;
    assert_eq!(dev.raw("{").await, parse_error);
    let long = vec![call("7", "eth_chainId"); 1_001].join(",");
    let answer = dev.raw(&format!("[{long}]")).await;
    assert!(
        answer.contains("batch too large") && answer.starts_with(r#"[{"jsonrpc":"2.0","id":7,"#)
    );
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_geths_words() {
    let dev = Dev::start(INSTANT).await;
    let account = accounts()[0];
    for (method, params, code, text) in [
        ("eth_getBalance", json!([]), -32602, "missing value for required argument 0"),
        (
            "eth_getBalance",
            json!([account, "0x01"]),
            -32602,
            "invalid argument 1: hex number with leading zero digits",
        ),
        (
            "eth_getBalance",
            json!([account, "latest", 1]),
            -32602,
            "too many arguments, want at most 2",
        ),
        ("eth_getBalance", json!([account, "0x99"]), -32000, "header not found"),
        ("eth_getBalance", json!([account, "finalized"]), -32000, "finalized block not found"),
        ("eth_chainId", json!({}), -32602, "non-array args"),
        ("eth_sendRawTransaction", json!(["0x"]), -32000, "typed transaction too short"),
        ("eth_sendTransaction", json!([{"from": Address::ZERO}]), -32000, "unknown account"),
        ("eth_getFilterChanges", json!(["0x1"]), -32000, "filter not found"),
        ("eth_subscribe", json!(["newHeads"]), -32601, "notifications not supported"),
        (
            "anvil_nodeInfo",
            json!([]),
            -32601,
            "the method anvil_nodeInfo does not exist/is not available",
        ),
        (
            "eth_estimateGas",
            json!([{"from": Address::repeat_byte(5), "to": account, "value": "0x1"}]),
            -32000,
            "failed with 50000000 gas: insufficient funds for gas * price + value: address 0x0505050505050505050505050505050505050505 have 0 want 1",
        ),
    ] {
        assert_eq!(dev.error(method, params).await, (code, text.to_owned()), "{method}");
    }
    let low = json!([{"from": account, "to": account, "nonce": "0x0", "gas": "0x5208"}]);
    dev.transact(json!({"to": account})).await;
    let (code, text) = dev.error("eth_sendTransaction", low).await;
    assert_eq!((code, text.as_str()), (-32000, "nonce too low: next nonce 1, tx nonce 0"));
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_tell_what_is_new() {
    let dev = Dev::start(INSTANT).await;
    let echo = dev.deploy_echo().await;
    let logs = dev.call("eth_newFilter", json!([{"address": echo}])).await;
    let blocks = dev.call("eth_newBlockFilter", json!([])).await;
    let pending = dev.call("eth_newPendingTransactionFilter", json!([])).await;
    let receipt = dev.transact(json!({"to": echo})).await;
    let changes = async |id: &Value| dev.call("eth_getFilterChanges", json!([id])).await;
    assert_eq!(changes(&logs).await, receipt["logs"]);
    assert_eq!(changes(&blocks).await, json!([receipt["blockHash"]]));
    assert_eq!(changes(&pending).await, json!([receipt["transactionHash"]]));
    for id in [&logs, &blocks, &pending] {
        assert_eq!(changes(id).await, json!([]));
        assert_eq!(dev.call("eth_uninstallFilter", json!([id])).await, true);
        assert_eq!(dev.call("eth_uninstallFilter", json!([id])).await, false);
    }
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_follow_the_network() {
    let dev = Dev::start(INSTANT).await;
    dev.transact(json!({"to": accounts()[1]})).await;
    let history = dev.call("eth_feeHistory", json!(["0xa", "latest", [20]])).await;
    assert_eq!(history["oldestBlock"], "0x0");
    for (name, count) in [("baseFeePerGas", 3), ("gasUsedRatio", 2), ("reward", 2)] {
        assert_eq!(history[name].as_array().map(Vec::len), Some(count), "{name}");
    }
    assert_eq!(history["reward"], json!([["0x0"], ["0x3b9aca00"]]));
    assert_eq!(dev.call("eth_maxPriorityFeePerGas", json!([])).await, "0x3b9aca00");
    let next = dev.call("eth_baseFee", json!([])).await;
    assert_eq!(history["baseFeePerGas"][2], next);
    dev.stop().await;

    let free = Dev::start(Network { is_free: true, ..INSTANT }).await;
    for method in ["eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_baseFee", "eth_blobBaseFee"] {
        assert_eq!(free.call(method, json!([])).await, "0x0", "{method}");
    }
    let receipt = free.transact(json!({"to": accounts()[1]})).await;
    assert_eq!((&receipt["status"], &receipt["effectiveGasPrice"]), (&json!("0x1"), &json!("0x0")));
    free.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn estimates_and_overrides() {
    let dev = Dev::start(INSTANT).await;
    let to = Address::repeat_byte(9);
    assert_eq!(dev.call("eth_estimateGas", json!([{"to": to, "value": "0x0"}])).await, "0x5208");
    let code = alloy_primitives::hex::encode_prefixed(ECHO);
    let params = json!([{"to": to}, "latest", {to.to_string(): {"code": code}}]);
    assert_eq!(dev.call("eth_call", params).await, format!("0x{:064x}", 42));
    let echo = dev.deploy_echo().await;
    let gas = dev.call("eth_estimateGas", json!([{"to": echo, "from": accounts()[0]}])).await;
    let receipt = dev.transact(json!({"to": echo, "gas": gas})).await;
    assert_eq!(receipt["status"], "0x1");
    let list = dev.call("eth_createAccessList", json!([{"to": echo}])).await;
    assert_eq!(list["accessList"], json!([]));
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_is_guarded() {
    let dev = Dev::start(INSTANT).await;
    let addr = dev.server.local_addr();
    let json = "Content-Type: application/json\r\n";
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    for (verb, path, head, expected) in [
        ("POST", "/", format!("Host: evil.example\r\n{json}"), 403),
        ("POST", "/", "Host: localhost\r\nContent-Type: text/plain\r\n".to_owned(), 415),
        ("POST", "/other", format!("Host: localhost\r\n{json}"), 404),
        ("PUT", "/", format!("Host: localhost\r\n{json}"), 405),
        ("GET", "/", "Host: localhost\r\n".to_owned(), 200),
        ("GET", "/", "Host: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\nOrigin: https://evil.example\r\n".to_owned(), 403),
    ] {
        let (status, ..) = request(addr, verb, path, &head, body).await;
        assert_eq!(status, expected, "{verb} {path} {head}");
    }
    let cors = |origin| format!("Host: localhost\r\nOrigin: {origin}\r\n{json}");
    let (_, head, _) = request(addr, "POST", "/", &cors("http://localhost:3000"), body).await;
    assert!(head.contains("access-control-allow-origin: http://localhost:3000"), "{head}");
    let (status, head, _) = request(addr, "POST", "/", &cors("https://evil.example"), body).await;
    assert!(status == 200 && !head.contains("access-control"), "{head}");

    let config = RpcConfig { addr, ..RpcConfig::default() };
    let taken = serve(dev.node.handle(), config).await.expect_err("the port is in use");
    assert!(matches!(taken, RpcStartError::Bind { .. }));
    assert!(
        taken.to_string().contains(&addr.to_string()) && taken.to_string().contains("--http.port")
    );
    dev.stop().await;
}
