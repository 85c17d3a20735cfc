//! A branch that loses: its logs are taken back, its transactions enter the other branch.

use serde_json::{Value, json};

use super::{Dev, ECHO_ADDRESS, INSTANT, Network, accounts};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_block_is_taken_back_and_its_transaction_comes_again() {
    let network = Network { has_two_signers: true, ..INSTANT };
    // Signers in order: account 1, account 0. So block 1 is the turn of account 0, block 2 that of
    // account 1.
    let winner = Dev::start_as(network, 0).await;
    let loser = Dev::start_as(network, 1).await;
    let mut socket = loser.websocket().await;
    let id =
        socket.call("eth_subscribe", json!(["logs", {"address": ECHO_ADDRESS}])).await["result"]
            .clone();
    let filter = loser.call("eth_newFilter", json!([{"address": ECHO_ADDRESS}])).await;

    let lost = loser.transact(json!({"to": ECHO_ADDRESS})).await;
    let told = socket.notification(&id).await;
    assert_eq!(told, lost["logs"][0]);
    assert_eq!(loser.call("eth_getFilterChanges", json!([filter])).await, json!([told]));

    let hash = winner
        .call("eth_sendTransaction", json!([{"from": accounts()[2], "to": accounts()[2]}]))
        .await;
    winner.receipt(&hash).await;
    let better = winner.node.handle().reader().head();
    loser.node.handle().import(better.block.clone()).await.expect("a valid block");

    let mut taken_back = told.clone();
    taken_back["removed"] = Value::Bool(true);
    assert_eq!(socket.notification(&id).await, taken_back);
    let again = socket.notification(&id).await;
    assert_eq!((&again["blockNumber"], &again["removed"]), (&json!("0x2"), &json!(false)));
    assert_eq!(again["transactionHash"], told["transactionHash"]);
    assert_eq!(
        loser.call("eth_getFilterChanges", json!([filter])).await,
        json!([taken_back, again])
    );
    let block = loser.call("eth_getBlockByNumber", json!(["0x1", false])).await;
    assert_eq!(block["hash"], json!(better.block.hash()));
    winner.stop().await;
    loser.stop().await;
}
