//! What takes too long is stopped, and what is too much is refused with the number.

use std::time::{Duration, Instant};

use alloy_primitives::Address;
use node::{Node, NodeConfig, dev_accounts};
use serde_json::{Value, json};

use super::{Dev, ECHO_ADDRESS, INSTANT, client::request, error_string};
use crate::{RpcConfig, limits::Limits, serve};

/// JUMPDEST PUSH1 0 JUMP
const ENDLESS: &str = "0x5b600056";

async fn start(limits: Limits) -> Dev {
    let signer = dev_accounts::keys().into_iter().next();
    let node = Node::start(NodeConfig { signer, ..NodeConfig::new(INSTANT.genesis()) }).await;
    let node = node.expect("the node starts");
    let config = RpcConfig {
        addr: ([127, 0, 0, 1], 0).into(),
        dev_keys: dev_accounts::keys(),
        trusted_proxies: vec![std::net::Ipv4Addr::LOCALHOST.into()],
        limits,
        ..RpcConfig::default()
    };
    let server = serve(node.handle(), config).await.expect("the server starts");
    Dev { node, server }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_evm_stops_when_its_time_is_over() {
    // without a cap on gas only the time is left
    let call_gas = u64::MAX / 2;
    let dev =
        start(Limits { call_time: Duration::from_secs(1), call_gas, ..Limits::default() }).await;
    let to = Address::repeat_byte(9);
    let code = json!({to.to_string(): {"code": ENDLESS}});
    let aborted = "execution aborted (timeout = 1s)";
    let call = json!({"to": to});
    let simulated = json!([{"blockStateCalls": [{"stateOverrides": code, "calls": [{"to": to, "gas": "0x1c9c380"}, {"to": to}]}]}]);
    for (method, params, text) in [
        ("eth_call", json!([call, "latest", code]), aborted),
        ("eth_call", json!([{"data": ENDLESS}, "latest"]), aborted),
        ("eth_call", json!([call, "pending", code]), aborted),
        ("eth_estimateGas", json!([call, "latest", code]), aborted),
        ("eth_createAccessList", json!([call, "latest", code]), aborted),
        (
            "debug_traceCall",
            json!([call, "latest", {"stateOverrides": code, "tracer": "callTracer"}]),
            "execution timeout",
        ),
        ("trace_call", json!([call, ["trace"], "latest", code]), "execution timeout"),
    ] {
        let begun = Instant::now();
        assert_eq!(dev.error(method, params).await, (-32000, text.to_owned()), "{method}");
        let took = begun.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_secs(20)).contains(&took), "{took:?}");
    }
    // the block's gas limit ends this one first, or its time does
    let answer = dev.answer("eth_simulateV1", simulated).await;
    assert!(answer.get("error").is_some() || answer["result"].is_array(), "{answer}");
    // a client may ask for less
    let begun = Instant::now();
    let short = json!([call, "latest", {"stateOverrides": code, "tracer": "callTracer", "timeout": "50ms"}]);
    assert_eq!(dev.error("debug_traceCall", short).await.1, "execution timeout");
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gas_cap_bounds_every_run() {
    let dev = start(Limits { call_gas: 100_000, ..Limits::default() }).await;
    let to = Address::repeat_byte(9);
    let code = json!({to.to_string(): {"code": ENDLESS}});
    let call = json!({"to": to, "gas": "0x1312d00"});
    assert_eq!(dev.error("eth_call", json!([call, "latest", code])).await.1, "out of gas");
    let text = "gas required exceeds allowance (100000)";
    assert_eq!(dev.error("eth_estimateGas", json!([call, "latest", code])).await.1, text);
    let options = json!({"stateOverrides": code, "tracer": "callTracer"});
    let traced = dev.call("debug_traceCall", json!([call, "latest", options])).await;
    assert_eq!((&traced["gas"], &traced["error"]), (&json!("0x186a0"), &json!("out of gas")));
    dev.stop().await;
}

/// Short calls are answered on the thread that asks: they must not differ from long ones.
#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_answer_like_others() {
    let dev = start(Limits::default()).await;
    let echo = ECHO_ADDRESS;
    let own = json!({echo.to_string(): {}});
    for call in [
        json!({"to": echo}),
        json!({"to": echo, "data": error_string("not yours")}),
        json!({"to": echo, "data": "0x00"}),
        json!({"to": echo, "gas": "0x5210"}),
        json!({"to": echo, "gas": "0x1"}),
        json!({"to": echo, "value": "0x1", "from": Address::repeat_byte(3)}),
        json!({"to": echo, "gasPrice": "0x1"}),
        json!({"to": Address::with_last_byte(4), "data": "0x1234"}),
        json!({"to": Address::with_last_byte(5), "data": "0x1234"}),
    ] {
        let at_once = dev.answer("eth_call", json!([call, "latest"])).await;
        // overrides take the other way
        let other = dev.answer("eth_call", json!([call, "latest", own])).await;
        assert_eq!(at_once, other, "{call}");
    }
    dev.stop().await;
}

fn batch(method: &str, params: &Value, count: usize) -> String {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    Value::Array(vec![call; count]).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_filters() {
    let dev = start(Limits::default()).await;
    let post = async |client: &str, body: &str| -> Vec<Value> {
        let head = format!(
            "Host: localhost\r\nContent-Type: application/json\r\nX-Forwarded-For: {client}\r\n"
        );
        let (_, _, body) = request(dev.server.local_addr(), "POST", "/", &head, body).await;
        serde_json::from_str(&body).expect("a list")
    };
    let answers = post("203.0.113.9", &batch("eth_newBlockFilter", &json!([]), 260)).await;
    let refused: Vec<&Value> =
        answers.iter().filter(|answer| answer.get("error").is_some()).collect();
    assert_eq!(refused.len(), 4);
    let text = "too many filters: 256 of one address (eth_uninstallFilter ends one, five minutes without a poll do too)";
    assert_eq!(refused[0]["error"], json!({"code": -32005, "message": text}));
    // one ended makes room for one
    let end = batch("eth_uninstallFilter", &json!([answers[0]["result"]]), 1);
    assert_eq!(post("203.0.113.9", &end).await[0]["result"], true);
    let again = post("203.0.113.9", &batch("eth_newFilter", &json!([{}]), 2)).await;
    assert!(again[0]["result"].is_string() && again[1]["error"].is_object(), "{again:?}");
    // others and this machine have their own
    for (client, count) in [("203.0.113.10", 2), ("127.0.0.1", 300)] {
        let answers = post(client, &batch("eth_newBlockFilter", &json!([]), count)).await;
        assert!(answers.iter().all(|answer| answer["result"].is_string()), "{client}");
    }
    dev.stop().await;
}
