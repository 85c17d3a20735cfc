//! The built program against kill -9 and a disk that fills up. Power cuts and failing calls are tested inside `chain`, on
//! a simulated disk.

mod full;
mod kill;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

const FIRST: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
const SECOND: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

/// One connection to a node, kept open; errors are answers.
struct Client {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: String,
}

impl Client {
    fn new(port: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build();
        Self {
            runtime: runtime.expect("a runtime"),
            client: client.expect("a client"),
            url: format!("http://127.0.0.1:{port}/"),
        }
    }

    /// The whole answer; `None` if the node is not there.
    fn ask(&self, method: &str, params: &Value) -> Option<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.runtime.block_on(async {
            self.client.post(&self.url).json(&body).send().await.ok()?.json().await.ok()
        })
    }

    /// The result; `None` if the node is not there. An error answer fails the test.
    fn result(&self, method: &str, params: &Value) -> Option<Value> {
        let answer = self.ask(method, params)?;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        Some(answer["result"].clone())
    }

    fn send_one_wei(&self) -> Option<Value> {
        let params = json!([{"from": FIRST, "to": SECOND, "value": "0x1"}]);
        self.ask("eth_sendTransaction", &params)
    }

    /// Waits until the node answers; returns how long that took.
    fn wait(&self, since: Instant) -> Duration {
        while self.ask("eth_blockNumber", &json!([])).is_none() {
            assert!(since.elapsed() < Duration::from_secs(120), "the node does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        since.elapsed()
    }
}
