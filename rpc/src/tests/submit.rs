//! Many transactions in one batch are answered as if each came alone.

use alloy_consensus::{SignableTransaction as _, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, Signature, TxKind, U256, hex};
use node::dev_accounts;
use serde_json::{Value, json};

use super::{Dev, INSTANT};

/// No development account has this number, so the node seals nothing and what waits stays.
const NOBODY: usize = 99;

fn raw(account: usize, nonce: u64, chain_id: Option<u64>, gas_limit: u64) -> String {
    let transaction = TxLegacy {
        chain_id,
        nonce,
        gas_price: 2_000_000_000,
        gas_limit,
        to: TxKind::Call(Address::repeat_byte(9)),
        ..TxLegacy::default()
    };
    let key = &dev_accounts::keys()[account];
    let bytes = key.sign(transaction.signature_hash()).expect("a valid key");
    let (r, s) = (U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..64]));
    let signed: TxEnvelope = transaction.into_signed(Signature::new(r, s, bytes[64] == 1)).into();
    hex::encode_prefixed(signed.encoded_2718())
}

/// Calls of every fate, with ids of every kind; three neighbours at least in each run of submissions.
fn calls() -> Vec<String> {
    let good = |account, nonce| raw(account, nonce, Some(1337), 21_000);
    let forged = good(3, 0).replace("a0", "a1");
    let params = [
        json!([good(0, 0)]),
        json!([good(0, 1)]),
        json!([good(0, 0)]),
        json!([good(1, 7)]),
        json!([raw(1, 0, None, 21_000)]),
        json!([raw(1, 0, Some(1), 21_000)]),
        json!([raw(1, 0, Some(1337), 20_999)]),
        json!([raw(1, 0, Some(1337), 2_000_000_000)]),
        json!([forged]),
        json!(["0x"]),
        json!(["0xzz"]),
        json!(["0x02c0"]),
        json!([]),
        json!({}),
        json!([good(2, 0), 1]),
        json!([good(2, 0)]),
    ];
    let submit = |(index, params): (usize, &Value)| {
        let id = ["1", "1.50", "\"x\"", "null", "-7"][index % 5];
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_sendRawTransaction","params":{params}}}"#
        )
    };
    let mut calls: Vec<String> = params.iter().enumerate().map(submit).collect();
    let nonce = json!([dev_accounts::keys()[0].address().expect("a valid key"), "pending"]);
    let count = format!(
        r#"{{"jsonrpc":"2.0","id":9,"method":"eth_getTransactionCount","params":{nonce}}}"#
    );
    calls.insert(3, count.clone());
    calls.push(count);
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_like_its_calls() {
    let (one_by_one, together) =
        (Dev::start_as(INSTANT, NOBODY).await, Dev::start_as(INSTANT, NOBODY).await);
    let mut answers = Vec::new();
    for call in calls() {
        answers.push(one_by_one.raw(&call).await);
    }
    let want = format!("[{}]", answers.join(","));
    for text in ["already known", "intrinsic gas too low", "rlp: ", "only replay-protected"] {
        assert!(want.contains(text), "{want}");
    }
    assert_eq!(together.raw(&format!("[{}]", calls().join(","))).await, want);
    let counts = together.node.handle().recover_counts();
    assert_eq!(counts.recover_repeated_total, 0);
    one_by_one.stop().await;
    together.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_answer_a_batch_like_http() {
    let (http, socket) =
        (Dev::start_as(INSTANT, NOBODY).await, Dev::start_as(INSTANT, NOBODY).await);
    let calls: Vec<String> = calls()
        .into_iter()
        .filter(|call| call.contains("eth_sendRaw"))
        .map(|call| call.replace(r#""id":1.50"#, r#""id":6"#).replace(r#""id":-7"#, r#""id":"z""#))
        .collect();
    let body = format!("[{}]", calls.join(","));
    let want: Value = serde_json::from_str(&http.raw(&body).await).expect("an answer is JSON");
    let mut client = socket.websocket().await;
    client.send(&body).await;
    assert_eq!(client.receive().await, want);
    drop(client);
    http.stop().await;
    socket.stop().await;
}
