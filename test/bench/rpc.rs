//! The few JSON-RPC calls a load needs, over one kept connection.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// One connection to a node.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    client: reqwest::Client,
    url: String,
}

impl Rpc {
    /// Connects at the first call.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let client = reqwest::Client::builder().pool_max_idle_per_host(1).no_proxy().build()?;
        Ok(Self { client, url: url.to_owned() })
    }

    /// Sends a body as it stands and reads the answer.
    pub(crate) async fn post(&self, body: Vec<u8>) -> Result<Value> {
        let request = self.client.post(&self.url).header("content-type", "application/json");
        let answer = request.body(body).send().await?.bytes().await?;
        serde_json::from_slice(&answer).context("the node did not answer in JSON")
    }

    /// One call.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Result<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer = self.post(serde_json::to_vec(&body)?).await?;
        if let Some(error) = answer.get("error") {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].take())
    }

    /// A quantity that a call answers.
    pub(crate) async fn quantity(&self, method: &str, params: Value) -> Result<u64> {
        let answer = self.call(method, params).await?;
        let text = answer.as_str().with_context(|| format!("{method} answered {answer}"))?;
        Ok(u64::from_str_radix(text.trim_start_matches("0x"), 16)?)
    }
}

/// A batch that submits raw transactions; ids are their places.
pub(crate) fn submit_body(raw: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::with_capacity(raw.len() * 400);
    for (index, bytes) in raw.iter().enumerate() {
        body.push(if index == 0 { b'[' } else { b',' });
        body.extend_from_slice(
            format!(
                r#"{{"jsonrpc":"2.0","id":{index},"method":"eth_sendRawTransaction","params":["0x{}"]}}"#,
                alloy_primitives::hex::encode(bytes)
            )
            .as_bytes(),
        );
    }
    body.push(b']');
    body
}
