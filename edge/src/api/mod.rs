//! The edge's one HTTP server: `/rpc` (JSON-RPC 2.0), `/delivery/{offerHash}/{part}`, `/health`, and the page at `/`.
//!
//! Who asks is decided here: anyone may read what the chain says anyway, other edges sign by RFC 9421, the operator of this
//! edge carries the token that lies in its folder. What may be answered is decided in `access`. [`Problem`] is the one
//! place where an [`EdgeError`] becomes a JSON-RPC error or a problem body (RFC 9457). Every answer to a signed request is
//! signed. Browsers' sessions (ERC-4361), uploads, FHIR and events come later.

pub mod mllp;
pub mod rpc;
pub mod web;

use std::time::Duration;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    access::refusal::{self, class_of},
    error::EdgeError,
    peer::signature::{SignatureFault, sign_response},
    service::{Edge, facts::Signed, now_secs},
};

/// Longest request body.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Longest time for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Serves until `stop` says so, then finishes what is under way.
pub async fn serve(edge: Edge, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let router = Router::new()
        .route("/", get(web::page))
        .route("/{asset}", get(web::asset))
        .route("/health", get(health))
        .route("/rpc", post(rpc::answer))
        .route("/delivery/{offer_hash}/{part}", get(delivery))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(edge.clone(), guard))
        .with_state(edge);
    let stopped = async move {
        // an error means that the sender is gone, which is a stop as well
        let _ = stop.wait_for(|stopping| *stopping).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the server ended");
    }
}

/// What every answer passes: the host it was asked under, a time limit, headers that keep a browser strict.
async fn guard(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let addr = edge.addr();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let known =
        host.is_some_and(|h| h == addr.to_string() || h == format!("localhost:{}", addr.port()));
    let mut response = if !known {
        // a page of somebody else's that points a name at this address gets nothing
        (StatusCode::MISDIRECTED_REQUEST, "this server does not go by that name\n").into_response()
    } else {
        match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
            Ok(response) => response,
            Err(_) => (StatusCode::GATEWAY_TIMEOUT, "no answer within 30 s\n").into_response(),
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Each part of the edge with its state; 503 while one of them does not work.
async fn health(State(edge): State<Edge>) -> Response {
    let parts = edge.health().await;
    let ready = parts.iter().all(|part| part.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({"ready": ready, "parts": parts}))).into_response()
}

/// `GET /delivery/{offerHash}/{head|number}`: ciphertext for its recipient.
async fn delivery(
    State(edge): State<Edge>,
    Path((offer_hash, part)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let path = format!("/delivery/{offer_hash}/{part}");
    let answer = async {
        let signed = signed(&edge, "GET", &path, &headers, &[])?;
        let offer_hash = offer_hash.parse().map_err(|_| EdgeError::from(refusal::NOT_AVAILABLE))?;
        edge.answer_part(&signed, offer_hash, &part).await
    };
    let (status, content_type, body) = match answer.await {
        Ok(bytes) => (200, "application/vnd.msnet.container; v=1", bytes),
        Err(error) => {
            let problem = Problem::of(&error);
            (problem.http, "application/problem+json", problem.body())
        }
    };
    reply(&edge, &headers, status, content_type, body)
}

/// A request of another edge: its signature checked, else the refusal of step 1.
fn signed(
    edge: &Edge,
    method: &str,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Signed, EdgeError> {
    edge.check_signature(method, path, headers, body)?.map_err(|fault| {
        let class = match fault {
            SignatureFault::Invalid(why) => {
                return EdgeError::Permission {
                    code: refusal::SIGNATURE_INVALID.code,
                    step: 1,
                    title: format!("{}: {why}", refusal::SIGNATURE_INVALID.title),
                    fix: refusal::SIGNATURE_INVALID.fix.into(),
                };
            }
            SignatureFault::Expired => refusal::SIGNATURE_EXPIRED,
            SignatureFault::Replayed => refusal::NONCE_REPLAYED,
            SignatureFault::KeyNotValid => refusal::KEY_NOT_VALID,
        };
        class.into()
    })
}

/// An answer, signed if the request was.
fn reply(
    edge: &Edge,
    request: &HeaderMap,
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(asked) = request.get("signature").and_then(|value| value.to_str().ok()) {
        let sign = |base: &[u8]| edge.keys().sign_transport(base);
        let id = edge.transport_key_id();
        for (name, value) in sign_response(sign, id, now_secs(), status, &body, asked) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, headers, Bytes::from(body)).into_response()
}

/// What a failure looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status of plain routes.
    pub http: u16,
    /// JSON-RPC error number.
    pub rpc: i64,
    /// Stable code, of a refusal.
    pub code: String,
    /// One sentence.
    pub title: String,
    /// Step of the release check.
    pub step: u8,
    /// What to do.
    pub fix: String,
    /// Seconds after which to ask again.
    pub retry_after: Option<u32>,
}

impl Problem {
    /// The one mapping: a user's fault says what to do, ours says nothing but that it is ours.
    pub fn of(error: &EdgeError) -> Problem {
        let plain = |http: u16, rpc: i64, code: &str, title: String, fix: &str| Problem {
            http,
            rpc,
            code: code.into(),
            title,
            step: 0,
            fix: fix.into(),
            retry_after: None,
        };
        match error {
            EdgeError::Permission { code, step, title, fix } => {
                let class = class_of(code);
                Problem {
                    http: class.map_or(403, |class| class.http),
                    rpc: class.map_or(-32_021, |class| class.rpc),
                    code: (*code).to_owned(),
                    title: title.clone(),
                    step: *step,
                    fix: fix.clone(),
                    retry_after: class.and_then(|class| class.retry_after),
                }
            }
            EdgeError::Refused { code, step, title, fix } => Problem {
                http: 403,
                rpc: class_of(code).map_or(-32_021, |class| class.rpc),
                code: code.clone(),
                title: format!("the other edge refused: {title}"),
                step: *step,
                fix: fix.clone(),
                retry_after: None,
            },
            EdgeError::Input { what, where_, fix } => {
                plain(400, -32_602, "", format!("{what} ({where_})"), fix)
            }
            EdgeError::Chain(why) => plain(503, -32_030, "", format!("chain: {why}"), ""),
            EdgeError::Peer { .. } => plain(502, -32_030, "", error.to_string(), "ask again later"),
            EdgeError::Storage { .. }
            | EdgeError::Integrity { .. }
            | EdgeError::Io { .. }
            | EdgeError::Internal(_) => {
                tracing::error!(%error, "a request failed by our own fault");
                let title = "this edge could not answer; its log says why".to_owned();
                plain(500, -32_603, "", title, "ask its operator")
            }
        }
    }

    /// RFC 9457.
    fn body(&self) -> Vec<u8> {
        let kind = match self.code.as_str() {
            "" => "about:blank".to_owned(),
            code => format!("urn:msnet:refusal:{code}"),
        };
        json!({
            "type": kind, "title": self.title, "status": self.http, "step": self.step,
            "fix": self.fix, "retryAfter": self.retry_after,
        })
        .to_string()
        .into_bytes()
    }

    /// The `error` member of a JSON-RPC answer.
    fn error(&self) -> Value {
        let code = (!self.code.is_empty()).then_some(&self.code);
        json!({
            "code": self.rpc, "message": self.title,
            "data": {"code": code, "step": self.step, "fix": self.fix, "retryAfter": self.retry_after},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_code_step_and_advice() {
        let problem = Problem::of(&refusal::BASIS_ENDED.into());
        assert_eq!((problem.http, problem.rpc, problem.step), (403, -32_023, 4));
        let body: Value = serde_json::from_slice(&problem.body()).unwrap();
        assert_eq!(body["type"], "urn:msnet:refusal:BASIS_ENDED");
        assert_eq!(problem.error()["data"]["code"], "BASIS_ENDED");
        let replay = Problem::of(&refusal::BASIS_NOT_FINAL.into());
        assert_eq!((replay.http, replay.retry_after), (409, Some(2)));
    }

    #[test]
    fn our_own_faults_say_nothing_of_what_they_saw() {
        let error = EdgeError::integrity("the block does not open", "segments/7, record 12");
        let problem = Problem::of(&error);
        assert_eq!((problem.http, problem.rpc), (500, -32_603));
        assert!(!problem.title.contains("segments") && !problem.title.contains("block"));
        let input = Problem::of(&EdgeError::input("no such grant", "grantId", "name another"));
        assert_eq!((input.http, input.rpc, input.fix.as_str()), (400, -32_602, "name another"));
    }
}
