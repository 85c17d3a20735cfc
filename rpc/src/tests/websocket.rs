//! Subscriptions, and calls on the same socket.

use serde_json::json;

use super::{Dev, INSTANT, Network, accounts};

#[tokio::test(flavor = "multi_thread")]
async fn heads_logs_and_pending_transactions_arrive() {
    let dev = Dev::start(INSTANT).await;
    let echo = dev.deploy_echo().await;
    let mut heads = dev.websocket().await;
    let mut logs = dev.websocket().await;
    let mut pending = dev.websocket().await;
    let head_id = heads.call("eth_subscribe", json!(["newHeads"])).await["result"].clone();
    let log_id =
        logs.call("eth_subscribe", json!(["logs", {"address": echo}])).await["result"].clone();
    let pending_id =
        pending.call("eth_subscribe", json!(["newPendingTransactions"])).await["result"].clone();
    let receipt = dev.transact(json!({"to": echo})).await;

    let head = heads.notification(&head_id).await;
    assert_eq!((&head["hash"], &head["number"]), (&receipt["blockHash"], &json!("0x2")));
    assert!(head.get("transactions").is_none());
    assert_eq!(logs.notification(&log_id).await, receipt["logs"][0]);
    assert_eq!(pending.notification(&pending_id).await, receipt["transactionHash"]);

    let gone = heads.call("eth_unsubscribe", json!([head_id])).await;
    assert_eq!(gone["result"], true);
    let again = heads.call("eth_unsubscribe", json!([head_id])).await;
    assert_eq!(again["error"], json!({"code": -32000, "message": "subscription not found"}));
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_come_each_second() {
    let dev = Dev::start(Network { period_secs: 1, is_free: true, ..INSTANT }).await;
    let mut socket = dev.websocket().await;
    let id = socket.call("eth_subscribe", json!(["newHeads"])).await["result"].clone();
    let (first, second) = (socket.notification(&id).await, socket.notification(&id).await);
    assert_eq!(second["parentHash"], first["hash"]);
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_errors_are_those_of_http() {
    let dev = Dev::start(INSTANT).await;
    let mut socket = dev.websocket().await;
    for (method, params) in [
        ("eth_chainId", json!([])),
        ("eth_getBalance", json!([accounts()[0], "latest"])),
        ("eth_call", json!([{"to": accounts()[0]}])),
        ("eth_getBalance", json!([])),
        ("eth_nothing", json!([])),
    ] {
        let mut over_http = dev.answer(method, params.clone()).await;
        over_http["id"] = json!("call");
        assert_eq!(socket.call(method, params).await, over_http, "{method}");
    }
    let kind = socket.call("eth_subscribe", json!(["nothing"])).await;
    assert_eq!(kind["error"]["code"], -32602);
    socket.send(r#"[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},{"jsonrpc":"2.0","id":2,"method":"no"}]"#).await;
    let batch = socket.receive().await;
    assert_eq!(
        (&batch[0]["result"], &batch[1]["error"]["code"]),
        (&json!("0x539"), &json!(-32601))
    );
    dev.stop().await;
}
