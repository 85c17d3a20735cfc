//! One port for HTTP and WebSocket: axum in front, jsonrpsee's table of methods behind.
//!
//! ```text
//! accept ▶ Host ▶ path ▶ Origin (upgrade) ▶ verb ▶ type ▶ body (size, time) ▶ envelope ▶ method ▶ CORS
//! ```
//!
//! Whatever reaches a method is answered with HTTP 200, errors too; 4xx means that it never did,
//! and carries plain text.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use alloy_primitives::{B128, U128};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jsonrpsee::{
    Methods,
    core::{middleware::RpcServiceBuilder, traits::IdProvider},
    server::{PingConfig, ServerBuilder, ServerConfig, ServerHandle, StopHandle, stop_channel},
    types::SubscriptionId,
};
use node::handle::NodeHandle;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tower::Service as _;

use crate::{
    auth::Gate,
    config::{RpcConfig, RpcStartError},
    context::Context,
    dispatch,
    layer::{self, RpcLayer},
    limits, listener,
};

/// A running server. Dropping it leaves its tasks to the runtime; [`RpcServer::stop`] ends them.
#[derive(Debug)]
pub struct RpcServer {
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    websockets: ServerHandle,
    accept: JoinHandle<()>,
}

/// Opens the port and answers from then on.
///
/// # Errors
/// [`RpcStartError`] if the address is not a loopback one and remote access was not allowed, or cannot be listened on.
pub async fn serve(handle: NodeHandle, config: RpcConfig) -> Result<RpcServer, RpcStartError> {
    config.validate()?;
    let bind = |source| RpcStartError::Bind { addr: config.addr, source };
    let listener = TcpListener::bind(config.addr).await.map_err(bind)?;
    let local_addr = listener.local_addr().map_err(bind)?;
    if !local_addr.ip().is_loopback() {
        tracing::warn!(%local_addr, "JSON-RPC is open to other machines: eth net web3 rpc clique");
    }
    let context = Arc::new(Context::new(handle, &config)?);
    let methods = dispatch::methods(Arc::clone(&context));
    let (stop_handle, websockets) = stop_channel();
    let (stop, stopped) = watch::channel(false);
    let frame = Frame {
        gate: config.gate(),
        context,
        methods,
        stop: stop_handle,
        sockets: sockets(),
        next_connection: AtomicU32::new(1),
    };
    let frame = Arc::new(frame);
    let router = Router::new().fallback(answer).with_state(frame);
    let accept = tokio::spawn(listener::accept_until(listener, router, stopped));
    Ok(RpcServer { local_addr, stop, websockets, accept })
}

impl RpcServer {
    /// Where it listens; the port is the real one if 0 was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Takes no more requests, lets running ones end within a second, closes every WebSocket.
    pub async fn stop(self) {
        // Both fail only if the other side is gone already, which is what is asked for.
        let _ = self.stop.send(true);
        let _ = self.websockets.stop();
        if let Err(error) = self.accept.await {
            tracing::error!(%error, "the accept loop ended badly");
        }
        if tokio::time::timeout(limits::STOP_TIME, self.websockets.stopped()).await.is_err() {
            tracing::debug!("a WebSocket did not close in time");
        }
    }
}

/// What every request of this listener needs.
struct Frame {
    gate: Gate,
    context: Arc<Context>,
    methods: Methods,
    stop: StopHandle,
    sockets: ServerConfig,
    /// Subscriptions belong to the connection of this number.
    next_connection: AtomicU32,
}

/// jsonrpsee's settings for WebSockets.
fn sockets() -> ServerConfig {
    ServerConfig::builder()
        .max_request_body_size(u32::try_from(limits::BODY_BYTES).expect("5 MiB fit in 32 bits"))
        .max_response_body_size(u32::try_from(limits::ANSWER_BYTES).expect("25 MiB fit in 32 bits"))
        .max_subscriptions_per_connection(limits::SUBSCRIPTIONS_PER_CONNECTION)
        .set_message_buffer_capacity(limits::SEND_BUFFER)
        .enable_ws_ping(PingConfig::new())
        .set_id_provider(HexIds)
        .ws_only()
        .build()
}

/// Ids as geth draws them: `0x` and up to 128 random bits without a leading zero digit.
#[derive(Debug)]
struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(random_id().into())
    }
}

/// A fresh id for a subscription or a filter; nobody can guess a stranger's.
pub fn random_id() -> String {
    format!("{:#x}", U128::from_be_bytes(B128::random().0))
}

async fn answer(State(frame): State<Arc<Frame>>, request: Request) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = route(&frame, request).await;
    frame.gate.add_cors(origin.as_ref(), response.headers_mut());
    response
}

async fn route(frame: &Frame, request: Request) -> Response {
    let headers = request.headers();
    if !frame.gate.is_host_allowed(headers) {
        return refuse(StatusCode::FORBIDDEN, "this Host is not served here (--http.vhosts)");
    }
    if request.uri().path() != "/" {
        return StatusCode::NOT_FOUND.into_response();
    }
    if is_websocket(headers) {
        if !frame.gate.is_upgrade_allowed(headers) {
            return refuse(StatusCode::FORBIDDEN, "this Origin is not allowed (--http.corsdomain)");
        }
        return frame.upgrade(request).await;
    }
    match *request.method() {
        Method::POST => frame.post(request).await,
        Method::GET => StatusCode::OK.into_response(),
        Method::OPTIONS => {
            let mut response = StatusCode::OK.into_response();
            if frame.gate.has_cors() {
                frame.gate.add_preflight(response.headers_mut());
            }
            response
        }
        _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "only POST and GET are answered"),
    }
}

impl Frame {
    async fn post(&self, request: Request) -> Response {
        if !is_json(request.headers()) {
            let text = "Content-Type must be application/json, without Content-Encoding";
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        }
        let body = match read_body(request.into_body()).await {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        let json = layer::answer(&self.context, &self.methods, &body).await.unwrap_or_default();
        let content_type = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, content_type)], json).into_response()
    }

    /// Hands the socket to jsonrpsee, which keeps it from here on.
    async fn upgrade(&self, request: Request) -> Response {
        let (context, methods) = (Arc::clone(&self.context), self.methods.clone());
        let wrap = RpcServiceBuilder::new()
            .layer_fn(move |service| RpcLayer::new(service, Arc::clone(&context), methods.clone()));
        let mut service = ServerBuilder::with_config(self.sockets.clone())
            .set_rpc_middleware(wrap)
            .to_service_builder()
            .connection_id(self.next_connection.fetch_add(1, Ordering::Relaxed))
            .build(self.methods.clone(), self.stop.clone());
        match service.call(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => {
                tracing::debug!(%error, "cannot upgrade to a WebSocket");
                refuse(StatusCode::BAD_REQUEST, "cannot upgrade to a WebSocket")
            }
        }
    }
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

/// True for the three content types that JSON-RPC goes by, with UTF-8 as the only charset.
fn is_json(headers: &HeaderMap) -> bool {
    const TYPES: [&str; 3] =
        ["application/json", "application/json-rpc", "application/jsonrequest"];
    let Some(text) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    let parameters = parameters.trim().to_ascii_lowercase();
    !headers.contains_key(header::CONTENT_ENCODING)
        && TYPES.iter().any(|known| kind.trim().eq_ignore_ascii_case(known))
        && ["", "charset=utf-8", "charset=\"utf-8\""].contains(&parameters.as_str())
}

async fn read_body(body: Body) -> Result<axum::body::Bytes, Response> {
    let collect = Limited::new(body, limits::BODY_BYTES).collect();
    match tokio::time::timeout(limits::BODY_TIME, collect).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body exceeds 5 MiB"))
        }
        Ok(Err(_)) => Err(refuse(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err(refuse(StatusCode::REQUEST_TIMEOUT, "the body took over 15 s")),
    }
}

fn refuse(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_quantities() {
        for _ in 0..200 {
            let id = random_id();
            assert!(id.starts_with("0x") && !id.starts_with("0x0") && id.len() <= 34, "{id}");
        }
        assert_ne!(random_id(), random_id());
    }

    #[test]
    fn content_types() {
        let check = |text: &str| {
            let value = HeaderValue::from_str(text).expect("an ASCII test value");
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
        };
        for text in ["application/json", "Application/JSON; charset=UTF-8", "application/json-rpc"]
        {
            assert!(check(text), "{text}");
        }
        for text in ["text/plain", "application/json; charset=latin1", "", "application/jsonx"] {
            assert!(!check(text), "{text}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
