//! JSON-RPC 2.0 at `/rpc`: which method belongs to whom, and its parameters.
//!
//! | who | methods |
//! |---|---|
//! | anyone | `edge_info`, `edge_overview` |
//! | other edges, signed, one call a request | `edge_pull`, `edge_receipt`, `peer_request`, `peer_search` |
//! | the operator, with the token | `edge_listRequests`, `edge_decideRequest`, `edge_revokeGrant`, `edge_federatedSearch`, `edge_pullGrant`, `edge_acknowledge`, `edge_fileComplaint`, `edge_listQuarantine`, `edge_retryQuarantine`, `edge_discardQuarantine` |

use alloy_primitives::B256;
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Problem, reply, signed};
use crate::{access::refusal::NOT_SIGNED_IN, error::EdgeError, service::Edge};

/// Calls of one batch at most.
const MAX_BATCH: usize = 50;

/// Answers a body: one call, or a batch of unsigned ones.
pub async fn answer(State(edge): State<Edge>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = match serde_json::from_slice::<Value>(&body) {
        Err(_) => Some(error_of(&Value::Null, -32_700, "the body is not JSON")),
        Ok(Value::Array(calls)) if calls.is_empty() || calls.len() > MAX_BATCH => {
            Some(error_of(&Value::Null, -32_600, "a batch holds 1 to 50 calls"))
        }
        Ok(Value::Array(calls)) => {
            let mut answers = Vec::new();
            for call in &calls {
                answers.extend(one(&edge, &headers, &body, call, true).await);
            }
            (!answers.is_empty()).then_some(Value::Array(answers))
        }
        Ok(call) => one(&edge, &headers, &body, &call, false).await,
    };
    let text = answer.map(|answer| answer.to_string()).unwrap_or_default();
    reply(&edge, &headers, 200, "application/json", text.into_bytes())
}

fn error_of(id: &Value, code: i64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

/// One call; `None` for a notification, which gets no answer.
async fn one(
    edge: &Edge,
    headers: &HeaderMap,
    body: &[u8],
    call: &Value,
    in_batch: bool,
) -> Option<Value> {
    let id = call.get("id").cloned();
    let shown = id.clone().unwrap_or(Value::Null);
    let method = call.get("method").and_then(Value::as_str);
    let (Some(method), Some("2.0")) = (method, call.get("jsonrpc").and_then(Value::as_str)) else {
        return Some(error_of(&shown, -32_600, "this is not a JSON-RPC 2.0 call"));
    };
    let params = call.get("params").cloned().unwrap_or_else(|| json!([]));
    let result = match method {
        "edge_info" => edge.info().await,
        "edge_overview" => edge.overview().await,
        "edge_pull" | "edge_receipt" | "peer_request" | "peer_search" => {
            if in_batch {
                return Some(error_of(&shown, -32_600, "a signed call comes alone"));
            }
            match signed(edge, "POST", "/rpc", headers, body) {
                Ok(signed) => peer(edge, &signed, method, params).await,
                Err(error) => Err(error),
            }
        }
        "edge_listRequests"
        | "edge_decideRequest"
        | "edge_revokeGrant"
        | "edge_federatedSearch"
        | "edge_pullGrant"
        | "edge_acknowledge"
        | "edge_fileComplaint"
        | "edge_listQuarantine"
        | "edge_retryQuarantine"
        | "edge_discardQuarantine" => match check_token(edge, headers) {
            Ok(()) => operator(edge, method, params).await,
            Err(error) => Err(error),
        },
        _ => {
            return id.map(|id| error_of(&id, -32_601, &format!("there is no method {method}")));
        }
    };
    let id = id?;
    Some(match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": Problem::of(&error).error()}),
    })
}

/// Methods of other edges.
async fn peer(
    edge: &Edge,
    signed: &crate::service::facts::Signed,
    method: &str,
    params: Value,
) -> Result<Value, EdgeError> {
    match method {
        "edge_pull" => to_json(&edge.answer_pull(signed, first(params)?).await?),
        "edge_receipt" => to_json(&edge.answer_receipt(signed, first(params)?).await?),
        "peer_request" => {
            edge.take_request(signed, first(params)?).await.map(|()| json!("accepted"))
        }
        _ => to_json(&edge.answer_search(signed, first(params)?).await?),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GrantParam {
    grant_id: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryParam {
    delivery_id: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RevokeParam {
    grant_id: B256,
    reason_code: u8,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct RetryParam {
    /// Without them, those that another version may understand.
    ids: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct DiscardParam {
    id: String,
    reason: String,
}

#[derive(Deserialize)]
struct QueryParam {
    query: String,
}

/// Methods of this edge's operator.
async fn operator(edge: &Edge, method: &str, params: Value) -> Result<Value, EdgeError> {
    let sent =
        |sent: &crate::onchain::submit::Sent| json!({"tx": sent.hash, "block": sent.block_number});
    match method {
        "edge_listRequests" => to_json(&edge.list_requests()),
        "edge_decideRequest" => {
            let GrantParam { grant_id } = first(params)?;
            Ok(sent(&edge.accept(grant_id).await?))
        }
        "edge_revokeGrant" => {
            let revoke: RevokeParam = first(params)?;
            let done = edge.revoke(revoke.grant_id, revoke.reason_code, &revoke.reason).await?;
            Ok(sent(&done))
        }
        "edge_federatedSearch" => {
            let QueryParam { query } = first(params)?;
            to_json(&edge.search_peers(&query).await?)
        }
        "edge_pullGrant" => {
            let GrantParam { grant_id } = first(params)?;
            let pulled = edge.pull(grant_id).await?;
            let records: Vec<Value> = pulled
                .records
                .iter()
                .map(|r| {
                    json!({"handle": r.handle.to_string(), "resourceType": r.resource_type,
                           "ok": r.ok, "verdict": r.verdict, "why": r.why})
                })
                .collect();
            Ok(json!({
                "deliveryId": pulled.delivery_id, "offerHash": pulled.offer_hash,
                "seq": pulled.seq, "size": pulled.size, "verdict": pulled.verdict,
                "why": pulled.why, "records": records,
            }))
        }
        "edge_listQuarantine" => to_json(&edge.list_quarantine()?),
        "edge_retryQuarantine" => {
            let RetryParam { ids } = first(params)?;
            to_json(&edge.retry_quarantine(ids).await?)
        }
        "edge_discardQuarantine" => {
            let DiscardParam { id, reason } = first(params)?;
            to_json(&edge.discard_quarantine(&id, "operator", &reason)?)
        }
        "edge_acknowledge" => {
            let DeliveryParam { delivery_id } = first(params)?;
            Ok(sent(&edge.acknowledge(delivery_id).await?))
        }
        _ => {
            let DeliveryParam { delivery_id } = first(params)?;
            let case = edge.file_complaint(delivery_id).await?;
            Ok(json!({
                "caseId": case.case_id, "fault": case.fault, "ruling": case.ruling,
                "severity": case.severity, "before": case.before, "after": case.after,
            }))
        }
    }
}

/// The operator's token, compared without telling how much of it was right.
fn check_token(edge: &Edge, headers: &HeaderMap) -> Result<(), EdgeError> {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let own = edge.operator_token().as_bytes();
    if aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), own).is_ok() {
        return Ok(());
    }
    Err(NOT_SIGNED_IN.into())
}

/// The one parameter of our methods: the first of an array, or the object itself.
fn first<T: DeserializeOwned>(params: Value) -> Result<T, EdgeError> {
    let value = match params {
        Value::Array(mut items) if !items.is_empty() => items.swap_remove(0),
        Value::Array(_) => Value::Null,
        other => other,
    };
    serde_json::from_value(value)
        .map_err(|e| EdgeError::input(e.to_string(), "params", "see the method's message"))
}

fn to_json(value: &impl serde::Serialize) -> Result<Value, EdgeError> {
    serde_json::to_value(value).map_err(|e| EdgeError::Internal(e.to_string()))
}
