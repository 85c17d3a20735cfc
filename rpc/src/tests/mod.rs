//! A node in memory behind a real port, driven by raw HTTP and WebSocket.

mod client;
mod http;
mod limits;
mod med;
#[path = "../../../test/harness/openrpc.rs"]
mod openrpc;
mod operator;
mod pending;
mod reorg;
mod submit;
mod table;
mod websocket;

use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, hex};
use node::{Node, NodeConfig, dev_accounts};
use serde_json::{Value, json};

use crate::{RpcConfig, RpcServer, serve};
use client::{WebSocket, post};

/// Longest wait for something that a test expects.
const PATIENCE: Duration = Duration::from_secs(20);

/// Without calldata it logs the word 42 under topic 7 and returns it; with calldata it reverts with
/// just that.
///
/// ```text
/// CALLDATASIZE PUSH1 15 JUMPI  42 → memory, LOG1, RETURN  15: JUMPDEST CALLDATACOPY REVERT
/// ```
const ECHO: [u8; 32] = hex!("36601557602a600052600760206000a160206000f35b366000600037366000fd");

/// Init code whose output is [`ECHO`].
fn echo_init_code() -> String {
    hex::encode_prefixed([&[0x7f][..], &ECHO, &hex!("60005260206000f3")].concat())
}

/// Where [`ECHO`] stands from block 0 on.
const ECHO_ADDRESS: Address = Address::repeat_byte(0xec);

/// A development network: the accounts are rich, the first or the first two of them sign.
#[derive(Clone, Copy)]
struct Network {
    period_secs: u64,
    is_free: bool,
    has_two_signers: bool,
}

/// A block per transaction, base fee from 1 gwei on.
const INSTANT: Network = Network { period_secs: 0, is_free: false, has_two_signers: false };

impl Network {
    fn genesis(&self) -> Vec<u8> {
        let accounts = accounts();
        let mut signers = accounts[..if self.has_two_signers { 2 } else { 1 }].to_vec();
        signers.sort_unstable();
        let signers = signers.into_iter().flat_map(|signer| signer.0).collect::<Vec<u8>>();
        let extra_data = [&[0; 32][..], &signers, &[0; 65]].concat();
        let rich =
            |account: &Address| (account.to_string(), json!({"balance": "0x21e19e0c9bab2400000"}));
        let mut alloc: serde_json::Map<String, Value> = accounts.iter().map(rich).collect();
        let echo = json!({"balance": "0x0", "code": hex::encode_prefixed(ECHO)});
        alloc.insert(ECHO_ADDRESS.to_string(), echo);
        let mut config = json!({
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
            "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0,
            "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0, "shanghaiTime": 0,
            "cancunTime": 0, "clique": {"period": self.period_secs, "epoch": 30000},
        });
        if self.is_free {
            config["msnet"] = json!({"zeroBaseFee": true});
        }
        let base_fee = if self.is_free { "0x0" } else { "0x3b9aca00" };
        let genesis = json!({
            "config": config, "alloc": alloc, "difficulty": "0x1", "gasLimit": "0x1c9c380",
            "timestamp": "0x0", "baseFeePerGas": base_fee,
            "extraData": hex::encode_prefixed(extra_data),
        });
        genesis.to_string().into_bytes()
    }
}

fn accounts() -> Vec<Address> {
    dev_accounts::keys().iter().map(|key| key.address().expect("a valid key")).collect()
}

/// A running node with its listener.
struct Dev {
    node: Node,
    server: RpcServer,
}

impl Dev {
    async fn start(network: Network) -> Self {
        Self::start_as(network, 0).await
    }

    /// `signer` is the development account that seals here.
    async fn start_as(network: Network, signer: usize) -> Self {
        let signer = dev_accounts::keys().into_iter().nth(signer);
        let config = NodeConfig { signer, ..NodeConfig::new(network.genesis()) };
        let node = Node::start(config).await.expect("the node starts");
        let config = RpcConfig {
            addr: ([127, 0, 0, 1], 0).into(),
            dev_keys: dev_accounts::keys(),
            ..RpcConfig::default()
        };
        let server = serve(node.handle(), config).await.expect("the server starts");
        Self { node, server }
    }

    async fn stop(self) {
        self.server.stop().await;
        self.node.stop().await.expect("the node stops");
    }

    /// The body of an answer to a body.
    async fn raw(&self, body: &str) -> String {
        let (status, answer) = post(self.server.local_addr(), body).await;
        assert_eq!(status, 200, "{body}");
        answer
    }

    async fn answer(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.raw(&body.to_string()).await;
        let answer = serde_json::from_str(&answer).expect("an answer is JSON");
        openrpc::judge(method, &body["params"], &answer);
        answer
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Code and message of an error.
    async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.answer(method, params).await;
        let error = &answer["error"];
        let code = error["code"].as_i64().unwrap_or_else(|| panic!("{method}: {answer}"));
        (code, error["message"].as_str().unwrap_or_default().to_owned())
    }

    /// Sends from the first account and waits for the receipt.
    async fn transact(&self, mut transaction: Value) -> Value {
        transaction["from"] = json!(accounts()[0]);
        let hash = self.call("eth_sendTransaction", json!([transaction])).await;
        self.receipt(&hash).await
    }

    async fn receipt(&self, hash: &Value) -> Value {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let receipt = self.call("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{hash} is not in a block after {PATIENCE:?}");
    }

    /// Deploys [`ECHO`] and returns its address.
    async fn deploy_echo(&self) -> Value {
        let receipt = self.transact(json!({"data": echo_init_code()})).await;
        assert_eq!(receipt["status"], "0x1");
        receipt["contractAddress"].clone()
    }

    async fn websocket(&self) -> WebSocket {
        WebSocket::connect(self.server.local_addr()).await
    }
}

/// The ABI form of Solidity's `Error(string)`, for reasons up to 32 bytes.
fn error_string(reason: &str) -> String {
    let mut text = [0; 32];
    text[..reason.len()].copy_from_slice(reason.as_bytes());
    let word = |n: usize| B256::left_padding_from(&n.to_be_bytes());
    let parts = [&hex!("08c379a0")[..], &word(32)[..], &word(reason.len())[..], &text].concat();
    hex::encode_prefixed(parts)
}
