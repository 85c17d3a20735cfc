//! Edge to edge: JSON-RPC 2.0 at `/rpc` of the registered endpoint, signed by RFC 9421 in both directions.
//!
//! [`signature`] is the wire form, [`nonce`] remembers what was used; here is the client that calls other edges. A call
//! names the ground it stands on (a grant, a search) and its purpose; the answer counts only with a valid signature of the
//! institution that was asked, whose key comes from the chain and not from the answer.

pub mod nonce;
pub mod signature;

use std::time::Duration;

use alloy_primitives::B256;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::{
    delivery::random_bytes,
    error::EdgeError,
    keys::Keys,
    onchain::{InstId, innermost},
};
use signature::{Basis, MAX_LIFE_SECS, RequestParts, SignatureFault, verify_response};

/// How long another edge may take to answer; an offer waits for a block on its side.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest JSON answer that is read.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Who this edge is to others.
#[derive(Debug)]
pub struct Identity {
    /// Its keys, of which the transport key speaks here.
    pub keys: Keys,
    /// KeyRegistry id of the transport key.
    pub key_id: B256,
    /// The credential that acts: the institution itself, whose own account may act in all roles.
    pub actor: InstId,
}

/// Another edge, as the chain describes it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its institution.
    pub institution: InstId,
    /// Its registered endpoint, `http://host:port`.
    pub endpoint: String,
    /// Its transport keys that are valid now, by KeyRegistry id.
    pub keys: Vec<(B256, Vec<u8>)>,
}

/// The client that calls other edges.
#[derive(Debug)]
pub struct PeerClient {
    http: reqwest::Client,
    identity: Identity,
}

/// What a request to a peer stands on.
#[derive(Debug, Clone, Copy)]
pub struct Ground {
    /// Grant or search.
    pub basis: Basis,
    /// HL7 PurposeOfUse number.
    pub purpose: u16,
}

impl PeerClient {
    /// A client that speaks as `identity`.
    ///
    /// # Errors
    /// [`EdgeError::Internal`] if no HTTP client can be made.
    pub fn new(identity: Identity) -> Result<PeerClient, EdgeError> {
        let http = reqwest::Client::builder()
            .timeout(PEER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| EdgeError::Internal(e.to_string()))?;
        Ok(PeerClient { http, identity })
    }

    /// Who this edge is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Calls a method of another edge.
    ///
    /// # Errors
    /// [`EdgeError::Refused`] with the peer's code if it said no, [`EdgeError::Peer`] if it is away or its answer does not
    /// verify.
    pub async fn call(
        &self,
        peer: &Peer,
        ground: Ground,
        method: &str,
        params: Value,
        now: u64,
    ) -> Result<Value, EdgeError> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": [params]});
        let body = serde_json::to_vec(&body).map_err(|e| EdgeError::Internal(e.to_string()))?;
        let answer = self.exchange(peer, ground, "POST", "/rpc", body, now).await?;
        let mut answer: Value = serde_json::from_slice(&answer)
            .map_err(|_| EdgeError::peer(&peer.endpoint, "its answer is not JSON"))?;
        if let Some(error) = answer.get("error") {
            return Err(refusal(peer, error));
        }
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(EdgeError::peer(&peer.endpoint, "its answer is not JSON-RPC")),
        }
    }

    /// Fetches a part of a delivery: `head` or a chunk's number.
    ///
    /// # Errors
    /// As for [`PeerClient::call`].
    pub async fn fetch(
        &self,
        peer: &Peer,
        ground: Ground,
        offer_hash: B256,
        part: &str,
        now: u64,
    ) -> Result<Vec<u8>, EdgeError> {
        let path = format!("/delivery/{offer_hash}/{part}");
        self.exchange(peer, ground, "GET", &path, Vec::new(), now).await
    }

    /// One signed request and its verified answer.
    async fn exchange(
        &self,
        peer: &Peer,
        ground: Ground,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
        now: u64,
    ) -> Result<Vec<u8>, EdgeError> {
        let away = |why: String| EdgeError::peer(&peer.endpoint, why);
        let target_uri = format!("{}{path}", peer.endpoint.trim_end_matches('/'));
        let url = reqwest::Url::parse(&target_uri)
            .map_err(|e| away(format!("its registered endpoint is no address: {e}")))?;
        let parts = RequestParts {
            method: method.into(),
            authority: authority(&url),
            target_uri,
            basis: ground.basis,
            purpose: ground.purpose,
            actor: self.identity.actor,
            created: now,
            expires: now + MAX_LIFE_SECS,
            nonce: random_bytes()?,
            key_id: self.identity.key_id,
        };
        let signed = parts.sign(|base| self.identity.keys.sign_transport(base), &body);
        let own_signature = signed
            .iter()
            .find(|(name, _)| *name == "signature")
            .map(|(_, value)| value.clone())
            .unwrap_or_default();
        let mut request = match method {
            "GET" => self.http.get(url),
            _ => self.http.post(url).header("content-type", "application/json").body(body),
        };
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(|e| away(innermost(&e)))?;
        let status = response.status().as_u16();
        let headers: HeaderMap = response.headers().clone();
        let mut answer = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|e| away(innermost(&e)))? {
            if answer.len() + part.len() > MAX_ANSWER_BYTES {
                return Err(away(format!("its answer is longer than {MAX_ANSWER_BYTES} bytes")));
            }
            answer.extend_from_slice(&part);
        }
        let key_of =
            |id| peer.keys.iter().find(|(known, _)| *known == id).map(|(_, key)| key.clone());
        verify_response(status, &headers, &answer, &own_signature, key_of).map_err(|fault| {
            away(match fault {
                SignatureFault::Invalid(why) => format!("answered {status}, but {why}"),
                _ => format!("answered {status} with a key that is not its own"),
            })
        })?;
        if method == "GET" && status != 200 {
            let problem: Value = serde_json::from_slice(&answer).unwrap_or_default();
            return Err(problem_refusal(peer, &problem));
        }
        Ok(answer)
    }
}

/// `host:port` as the request's `Host` header has it.
pub fn authority(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// A JSON-RPC error of a peer: a refusal if it carries a stable code.
fn refusal(peer: &Peer, error: &Value) -> EdgeError {
    let title = error.get("message").and_then(Value::as_str).unwrap_or("no reason given");
    let data = error.get("data").cloned().unwrap_or_default();
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    if text("code").is_empty() {
        return EdgeError::peer(&peer.endpoint, format!("it answered: {title}"));
    }
    let step = data.get("step").and_then(Value::as_u64).unwrap_or(0);
    EdgeError::Refused {
        code: text("code"),
        step: u8::try_from(step).unwrap_or(0),
        title: title.to_owned(),
        fix: text("fix"),
    }
}

/// A problem body (RFC 9457) of a plain route.
fn problem_refusal(peer: &Peer, problem: &Value) -> EdgeError {
    let kind = problem.get("type").and_then(Value::as_str).unwrap_or("");
    let code = kind.strip_prefix("urn:msnet:refusal:").unwrap_or("");
    let title = problem.get("title").and_then(Value::as_str).unwrap_or("no reason given");
    refusal(
        peer,
        &json!({"message": title, "data": {
            "code": code, "step": problem.get("step"), "fix": problem.get("fix"),
        }}),
    )
}
