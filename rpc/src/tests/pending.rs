//! The block that would come next, and what is signed for accounts that are held here.

use alloy_primitives::hex;
use serde_json::{Value, json};

use super::{Dev, INSTANT, Network, accounts};

/// No development account has this number, so the node seals nothing and what waits stays.
const NOBODY: usize = 99;

#[tokio::test(flavor = "multi_thread")]
async fn pending_is_a_block_that_nobody_signed() {
    let dev = Dev::start_as(INSTANT, NOBODY).await;
    let (from, to) = (accounts()[0], accounts()[1]);
    let block = async |full: bool| dev.call("eth_getBlockByNumber", json!(["pending", full])).await;
    let empty = block(false).await;
    let genesis = dev.call("eth_getBlockByNumber", json!(["0x0", false])).await;
    assert_eq!((&empty["number"], &empty["parentHash"]), (&json!("0x1"), &genesis["hash"]));
    for name in ["hash", "nonce", "miner", "totalDifficulty"] {
        assert_eq!(empty.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!((&empty["transactions"], &empty["gasUsed"]), (&json!([]), &json!("0x0")));

    let mut hashes = Vec::new();
    for nonce in 0..3 {
        let sent = json!([{"from": from, "to": to, "value": "0x7", "gas": "0x5208", "nonce": format!("{nonce:#x}")}]);
        hashes.push(dev.call("eth_sendTransaction", sent).await);
    }
    let gap = json!([{"from": from, "to": to, "gas": "0x5208", "nonce": "0x9"}]);
    dev.call("eth_sendTransaction", gap).await;
    let waiting = block(false).await;
    assert_eq!(waiting["transactions"], json!(hashes), "what waits behind a gap is not in it");
    assert_eq!(waiting["gasUsed"], format!("{:#x}", 3 * 21_000));
    assert_ne!(waiting["transactionsRoot"], empty["transactionsRoot"]);
    assert_ne!(waiting["size"], empty["size"]);
    let full = block(true).await;
    let first = &full["transactions"][0];
    assert_eq!((&first["hash"], &first["blockHash"]), (&hashes[0], &Value::Null));
    let header = dev.call("eth_getHeaderByNumber", json!(["pending"])).await;
    assert_eq!((&header["number"], &header["hash"]), (&json!("0x1"), &Value::Null));
    assert!(header.get("transactions").is_none());
    let count = "eth_getBlockTransactionCountByNumber";
    assert_eq!(dev.call(count, json!(["pending"])).await, "0x3");
    let at = "eth_getTransactionByBlockNumberAndIndex";
    assert_eq!(dev.call(at, json!(["pending", "0x1"])).await["hash"], hashes[1]);
    assert_eq!(dev.call(at, json!(["pending", "0x3"])).await, Value::Null);
    let raw = "eth_getRawTransactionByBlockNumberAndIndex";
    let bytes = dev.call("eth_getRawTransactionByHash", json!([hashes[2]])).await;
    assert_eq!(dev.call(raw, json!(["pending", "0x2"])).await, bytes);
    assert_eq!(dev.call("eth_getUncleCountByBlockNumber", json!(["pending"])).await, "0x0");
    assert_eq!(dev.call("eth_getBlockReceipts", json!(["pending"])).await, Value::Null);
    // the state agrees with it
    let value = dev.call("eth_getBalance", json!([to, "pending"])).await;
    assert_eq!(value, "0x21e19e0c9bab2400015");
    assert_eq!(dev.call("eth_getTransactionCount", json!([from, "pending"])).await, "0x3");
    assert_eq!(dev.call("eth_blockNumber", json!([])).await, "0x0");
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_root_is_that_of_the_block_that_follows() {
    let dev = Dev::start(Network { is_free: true, ..INSTANT }).await;
    let (from, to) = (accounts()[0], accounts()[1]);
    for value in 1..4 {
        let call = json!({"from": from, "to": to, "value": format!("{value:#x}"), "gas": "0x5208", "maxFeePerGas": "0x0"});
        let asked = json!([{"blockStateCalls": [{"calls": [call]}], "validation": false}]);
        let simulated = dev.call("eth_simulateV1", asked).await;
        dev.transact(json!({"to": to, "value": format!("{value:#x}"), "gas": "0x5208"})).await;
        let block = dev.call("eth_getBlockByNumber", json!(["latest", false])).await;
        assert_eq!(simulated[0]["stateRoot"], block["stateRoot"]);
        let roots = dev.call("debug_intermediateRoots", json!([block["hash"]])).await;
        assert_eq!(roots, json!([block["stateRoot"]]));
    }
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_data_is_signed_for_held_accounts() {
    let dev = Dev::start(INSTANT).await;
    let document = json!({
        "types": {
            "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
            "Grant": [{"name": "id", "type": "bytes32"}, {"name": "until", "type": "uint64"}],
        },
        "primaryType": "Grant",
        "domain": {"name": "msnet", "chainId": 1337},
        "message": {"id": format!("0x{:064x}", 7), "until": "1700000000"},
    });
    let method = "eth_signTypedData_v4";
    let signed = dev.call(method, json!([accounts()[0], document])).await;
    let as_text = dev.call(method, json!([accounts()[0], document.to_string()])).await;
    assert_eq!(signed, as_text);
    let bytes = hex::decode(signed.as_str().expect("bytes")).expect("hex");
    assert!(bytes.len() == 65 && [27, 28].contains(&bytes[64]), "{signed}");
    for (params, code, text) in [
        (json!([accounts()[0]]), -32602, "missing value for required argument 1"),
        (json!([alloy_primitives::Address::ZERO, document]), -32000, "unknown account"),
        (json!([accounts()[0], "{"]), -32602, "invalid argument 1: invalid JSON"),
        (json!([accounts()[0], {}]), -32602, "invalid argument 1: missing object 'types'"),
    ] {
        assert_eq!(dev.error(method, params).await, (code, text.to_owned()));
    }
    dev.stop().await;
}
