//! `med_*` on the built-in network: three institutions that founded it, and nothing else yet.

use alloy_primitives::{hex, keccak256};
use node::{Node, NodeConfig, dev_accounts};
use serde_json::{Value, json};

use super::{Dev, INSTANT, accounts};
use crate::{RpcConfig, serve};

/// The first institution of the built-in network; account 1 is its own.
const NORTH: &str = "0x5b83f027b14df2dd42c6efb27b217677";

async fn start() -> Dev {
    let genesis = contracts::networks::genesis("dev").expect("the built-in network").to_vec();
    let signer = dev_accounts::keys().into_iter().next();
    let node = Node::start(NodeConfig { signer, ..NodeConfig::new(genesis) }).await;
    let node = node.expect("the node starts");
    let config = RpcConfig {
        addr: ([127, 0, 0, 1], 0).into(),
        dev_keys: dev_accounts::keys(),
        ..RpcConfig::default()
    };
    let server = serve(node.handle(), config).await.expect("the server starts");
    Dev { node, server }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_say_what_the_contracts_say() {
    let dev = start().await;
    let set = dev.call("med_contracts", json!([])).await;
    let head = dev.call("eth_getBlockByNumber", json!([set["block"]["number"], false])).await;
    assert_eq!((&set["block"]["hash"], &set["block"]["finality"]), (&head["hash"], &json!("off")));
    for name in ["Lens", "InstitutionRegistry", "Supervision", "Council"] {
        let contract = &set["data"][name];
        let code = dev.call("eth_getCode", json!([contract["address"], "latest"])).await;
        let code = hex::decode(code.as_str().expect("bytes")).expect("hex");
        assert_eq!(contract["codeHash"], json!(keccak256(code)), "{name}");
        assert_eq!(
            (&contract["version"], &contract["stoppedUntil"]),
            (&json!("0x1"), &json!("0x0"))
        );
    }

    let page = dev.call("med_getInstitution", json!([NORTH, {"proof": true}])).await;
    assert_eq!((&page["data"]["id"], &page["data"]["status"]), (&json!(NORTH), &json!("Active")));
    let account = accounts()[1];
    // the head moves on meanwhile, and times with it
    let at = &page["block"]["number"];
    let by_account = dev.call("med_getInstitution", json!([account, {"at": at}])).await;
    assert_eq!(by_account["data"], page["data"], "its account says who it is");
    // the call that stands beside it gives the same bytes to anybody
    let raw = dev.call("eth_call", json!([page["call"], at])).await;
    assert!(raw.as_str().is_some_and(|raw| raw.len() > 64), "{raw}");

    // the proof is under the block that is named
    let proof = &page["proof"];
    let header = hex::decode(proof["header"].as_str().expect("bytes")).expect("hex");
    assert_eq!(json!(keccak256(&header)), page["block"]["hash"]);
    let accounts = proof["accounts"].as_array().expect("a list");
    assert!(accounts.len() >= 3, "the pages of Lens read several modules");
    let state_root = dev
        .call("eth_getBlockByNumber", json!([page["block"]["number"], false]))
        .await["stateRoot"]
        .clone();
    for account in accounts {
        let top = account["accountProof"][0].as_str().expect("a node");
        assert_eq!(json!(keccak256(hex::decode(top).expect("hex"))), state_root);
        for slot in account["storageProof"].as_array().expect("a list") {
            let top = slot["proof"][0].as_str().expect("a node");
            assert_eq!(json!(keccak256(hex::decode(top).expect("hex"))), account["storageHash"]);
        }
    }

    let score = dev.call("med_getScore", json!([NORTH])).await["data"].clone();
    let institution = &page["data"];
    assert_eq!(
        (&score["lcbBps"], &score["count"]),
        (&institution["lcbBps"], &institution["events"])
    );
    let unknown = format!("0x{:064x}", 7);
    for (method, params, place, want) in [
        ("med_getGrant", json!([unknown]), "/data/grant/status", "None"),
        ("med_getGrant", json!([unknown]), "/data/head/status", "None"),
        ("med_getDelivery", json!([unknown]), "/data/delivery/state", "None"),
        ("med_getComplaint", json!([unknown]), "/data/complaint/stage", "None"),
        ("med_getJob", json!([unknown]), "/data/job/state", "None"),
        ("med_getDataset", json!([format!("0x{:032x}", 7)]), "/data/status", "None"),
    ] {
        let answer = dev.call(method, params).await;
        assert_eq!(answer.pointer(place), Some(&json!(want)), "{method}: {answer}");
    }
    let batch = dev.call("med_getBatch", json!([NORTH, "0x1"])).await;
    assert_eq!(batch["data"]["root"], format!("0x{:064x}", 0));
    for method in [
        "med_getDatasets",
        "med_getGrants",
        "med_getDeliveries",
        "med_getComplaints",
        "med_getJobs",
    ] {
        let list = dev.call(method, json!([{}])).await;
        assert_eq!(list["data"], json!({"items": [], "next": null}), "{method}");
    }
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused() {
    let dev = start().await;
    let id = format!("0x{:032x}", 1);
    for (method, params, code, text) in [
        ("med_getInstitution", json!([]), -32602, "missing value for required argument 0"),
        (
            "med_getInstitution",
            json!(["0x12"]),
            -32602,
            "invalid argument 0: hex string has length 2, want 32",
        ),
        (
            "med_getGrant",
            json!([id]),
            -32602,
            "invalid argument 0: hex string has length 32, want 64",
        ),
        ("med_getScore", json!([id, 1]), -32602, "invalid argument 1: non-object"),
        ("med_getScore", json!([id, {"at": "0x99"}]), -32000, "header not found"),
        ("med_getScore", json!([id, {"at": "finalized"}]), -32000, "finalized block not found"),
        (
            "med_getGrants",
            json!([{"color": "red"}]),
            -32602,
            "invalid argument 0: no criterion \"color\", there are requester, owner, dataset, status",
        ),
        ("med_getBatch", json!([id]), -32602, "missing value for required argument 1"),
    ] {
        assert_eq!(dev.error(method, params).await, (code, text.to_owned()), "{method}");
    }
    dev.stop().await;
    let bare = Dev::start(INSTANT).await;
    let (code, text) = bare.error("med_contracts", json!([])).await;
    assert_eq!(
        (code, text.as_str()),
        (-32601, "the method med_contracts does not exist/is not available")
    );
    assert_eq!(bare.error("med_getGrants", json!([Value::Null])).await.0, -32601);
    bare.stop().await;
}
