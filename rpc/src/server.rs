//! One port for HTTP and WebSocket: axum in front, jsonrpsee's table of methods behind.
//!
//! ```text
//! accept ▶ Host ▶ path ▶ Origin (upgrade) ▶ verb ▶ token ▶ type ▶ body (size, time) ▶ envelope ▶ method ▶ CORS
//! ```
//!
//! Whatever reaches a method is answered with HTTP 200, errors too, but for a request that is refused as a whole for its
//! rate (429); 4xx means that it never reached one, and carries plain text. Metrics have a listener of their own, the
//! data folder a socket ([`crate::ipc`]).

use std::{
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use alloy_primitives::{B128, U128};
use axum::{
    BoxError, Router,
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use jsonrpsee::{core::traits::IdProvider, types::SubscriptionId};
use node::handle::NodeHandle;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tower::ServiceExt as _;

use crate::{
    access::{Access, Trust},
    auth::Gate,
    config::{IpcConfig, RpcConfig, RpcStartError},
    context::Context,
    dispatch::Table,
    health, ipc,
    jwt::{JwtScope, Secret},
    layer::{self, Caller, Door},
    limits,
    listener::{self, Front, Peer, Rules},
    metrics::{Metrics, Transport},
    rate::Rate,
    websocket,
};

/// Names the client behind a proxy.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// A running server. Dropping it leaves its tasks to the runtime; [`RpcServer::stop`] ends them.
#[derive(Debug)]
pub struct RpcServer {
    local_addr: SocketAddr,
    ws_addr: Option<SocketAddr>,
    metrics_addr: Option<SocketAddr>,
    ipc_path: Option<PathBuf>,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    /// Closed once every WebSocket is.
    websockets: mpsc::Receiver<()>,
}

/// Opens the ports and the socket, and answers from then on.
///
/// # Errors
/// [`RpcStartError`] if the settings let in somebody by accident, or an address cannot be listened on.
pub async fn serve(handle: NodeHandle, config: RpcConfig) -> Result<RpcServer, RpcStartError> {
    config.validate()?;
    let (http_access, ws_access) = (config.http_access()?, config.ws_access()?);
    let (listener, local_addr) = bind(config.addr).await?;
    if !config.is_loopback() {
        let open = http_access.names();
        tracing::warn!(%local_addr, open, "JSON-RPC is open to other machines");
    }
    let context = Arc::new(Context::new(handle, &config)?);
    let table = Arc::new(Table::new(Arc::clone(&context)));
    let metrics = Metrics::new(table.names().chain([layer::MODULES]));
    let rate = Arc::new(Rate::default());
    let door = |access: Access| {
        let (context, table) = (Arc::clone(&context), Arc::clone(&table));
        let (metrics, rate) = (Arc::clone(&metrics), Arc::clone(&rate));
        Arc::new(Door { context, table, access, metrics, rate })
    };
    let rules = Rules {
        metrics: Arc::clone(&metrics),
        trusted_proxies: config.trusted_proxies.clone().into(),
    };
    let (stop, stopped) = watch::channel(false);
    let (alive, websockets) = mpsc::channel(1);
    let (http_door, ws_door) = (door(http_access), door(ws_access));
    let frame = |http: Option<&Arc<Door>>, websocket: Option<&Arc<Door>>| {
        let frame = Frame {
            gate: config.gate(),
            http: http.cloned(),
            websocket: websocket.cloned(),
            jwt: config.jwt.clone(),
            jwt_scope: config.jwt_scope,
            trusted_proxies: Arc::clone(&rules.trusted_proxies),
            stop: stopped.clone(),
            alive: alive.clone(),
        };
        let frame = Arc::new(frame);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&frame));
        Calls { frame, router }
    };
    let listen = |listener, front| {
        tokio::spawn(listener::accept_until(listener, front, rules.clone(), stopped.clone()))
    };
    let mut listeners = Vec::new();
    let mut ws_addr = None;
    if let Some(ws) = config.ws {
        let (ws_listener, addr) = bind(ws).await?;
        ws_addr = Some(addr);
        listeners.push(listen(ws_listener, frame(None, Some(&ws_door))));
        listeners.push(listen(listener, frame(Some(&http_door), None)));
    } else {
        listeners.push(listen(listener, frame(Some(&http_door), Some(&ws_door))));
    }
    let mut metrics_addr = None;
    if let Some(addr) = config.metrics {
        let (listener, addr) = bind(addr).await?;
        metrics_addr = Some(addr);
        let router = Router::new().fallback(measure).with_state(Arc::clone(&http_door));
        let accept =
            listener::accept_until(listener, Pages(router), rules.clone(), stopped.clone());
        listeners.push(tokio::spawn(accept));
    }
    let mut ipc_path = None;
    if let Some(IpcConfig { path, is_asked_for }) = config.ipc.clone() {
        match ipc::bind(&path) {
            Ok(socket) => {
                let (door, stopped) = (door(Access::all()), stopped.clone());
                let accept = ipc::accept_until(socket, path.clone(), door, stopped);
                listeners.push(tokio::spawn(accept));
                ipc_path = Some(path);
            }
            Err(source) if is_asked_for => return Err(RpcStartError::Ipc { path, source }),
            // a path may be too long for a socket, a file system may have none
            Err(error) => tracing::warn!(%error, path = %path.display(), "no IPC (see --ipcpath)"),
        }
    }
    Ok(RpcServer { local_addr, ws_addr, metrics_addr, ipc_path, stop, listeners, websockets })
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), RpcStartError> {
    let failed = |source| RpcStartError::Bind { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

impl RpcServer {
    /// Where it listens; the port is the real one if 0 was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where WebSockets go, if not where HTTP goes.
    pub const fn ws_addr(&self) -> Option<SocketAddr> {
        self.ws_addr
    }

    /// Where metrics are.
    pub const fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// The socket of the data folder.
    pub fn ipc_path(&self) -> Option<&Path> {
        self.ipc_path.as_deref()
    }

    /// Takes no more requests, lets running ones end within [`limits::STOP_TIME`], closes every connection.
    pub async fn stop(mut self) {
        // fails only if the other side is gone already, which is what is asked for
        let _ = self.stop.send(true);
        for listener in self.listeners {
            if let Err(error) = listener.await {
                tracing::error!(%error, "an accept loop ended badly");
            }
        }
        if tokio::time::timeout(limits::STOP_TIME * 2, self.websockets.recv()).await.is_err() {
            tracing::debug!("a WebSocket did not close in time");
        }
    }
}

/// What every request of a listener needs.
struct Frame {
    gate: Gate,
    /// What POST reaches, if anything.
    http: Option<Arc<Door>>,
    /// What an upgrade reaches, if anything.
    websocket: Option<Arc<Door>>,
    jwt: Option<Secret>,
    jwt_scope: JwtScope,
    trusted_proxies: Arc<[IpAddr]>,
    stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

/// Ids as geth draws them: `0x` and up to 128 random bits without a leading zero digit.
#[derive(Debug)]
pub struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(random_id().into())
    }
}

/// A fresh id for a subscription or a filter; nobody can guess a stranger's.
pub fn random_id() -> String {
    format!("{:#x}", U128::from_be_bytes(B128::random().0))
}

/// JSON-RPC: calls on the short way, everything else by the router.
#[derive(Clone)]
struct Calls {
    frame: Arc<Frame>,
    router: Router,
}

impl Front for Calls {
    async fn answer(&self, peer: Peer, request: http::Request<Incoming>) -> Response {
        if *request.method() == Method::POST && request.uri().path() == "/" {
            return answer_from(&self.frame, Some(peer), request).await;
        }
        Pages(self.router.clone()).answer(peer, request).await
    }
}

/// Everything by a router.
#[derive(Clone)]
struct Pages(Router);

impl Front for Pages {
    async fn answer(&self, peer: Peer, request: http::Request<Incoming>) -> Response {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

async fn answer(State(frame): State<Arc<Frame>>, request: Request) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    answer_from(&frame, peer, request).await
}

async fn answer_from<B>(frame: &Frame, peer: Option<Peer>, request: http::Request<B>) -> Response
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = route(frame, peer, request).await;
    frame.gate.add_cors(origin.as_ref(), response.headers_mut());
    let why = match response.status() {
        StatusCode::UNAUTHORIZED => "token",
        StatusCode::FORBIDDEN => "host_or_origin",
        StatusCode::PAYLOAD_TOO_LARGE => "size",
        StatusCode::REQUEST_TIMEOUT => "time",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "type",
        _ => return response,
    };
    if let Some(door) = frame.http.as_ref().or(frame.websocket.as_ref()) {
        door.metrics.count_refused(why);
    }
    response
}

async fn route<B>(frame: &Frame, peer: Option<Peer>, request: http::Request<B>) -> Response
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let headers = request.headers();
    if !frame.gate.is_host_allowed(headers) {
        return refuse(StatusCode::FORBIDDEN, "invalid host specified");
    }
    match (request.uri().path(), &frame.http) {
        ("/", _) => {}
        (health::LIVENESS, Some(door)) => return health::liveness(&door.context).await,
        (health::READINESS, Some(door)) => {
            return health::readiness(&door.context, request.uri().query().unwrap_or_default());
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    }
    let is_upgrade = is_websocket(headers);
    if is_upgrade && !frame.gate.is_upgrade_allowed(headers) {
        return refuse(StatusCode::FORBIDDEN, "this Origin is not allowed (--http.corsdomain)");
    }
    if *request.method() == Method::OPTIONS {
        let mut response = StatusCode::OK.into_response();
        if frame.gate.has_cors() {
            frame.gate.add_preflight(response.headers_mut());
        }
        return response;
    }
    let Ok(caller) = frame.caller(headers, peer) else {
        return refuse(StatusCode::UNAUTHORIZED, "a valid token is needed (--rpc.jwtsecret)");
    };
    match (is_upgrade, &frame.http, &frame.websocket) {
        (true, _, Some(door)) => frame.upgrade(door, caller, request),
        (true, _, None) => refuse(StatusCode::NOT_FOUND, "WebSocket has another port (--ws.port)"),
        (false, Some(door), _) if *request.method() == Method::POST => {
            post(door, &caller, request).await
        }
        (false, ..) if *request.method() == Method::GET => StatusCode::OK.into_response(),
        (false, None, _) if *request.method() == Method::POST => {
            refuse(StatusCode::NOT_FOUND, "HTTP has another port (--http.port)")
        }
        _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"),
    }
}

impl Frame {
    /// Who sends this request. A token that is shown must be valid.
    fn caller(&self, headers: &HeaderMap, peer: Option<Peer>) -> Result<Caller, ()> {
        let is_shown = headers.contains_key(header::AUTHORIZATION);
        let trust = match &self.jwt {
            Some(secret) if is_shown && secret.verify(headers) => Trust::Token,
            Some(_) if is_shown || self.jwt_scope == JwtScope::All => return Err(()),
            _ => Trust::Open,
        };
        let address = peer.map(|peer| client(peer.0.ip(), headers, &self.trusted_proxies));
        let charged = address.filter(|address| !address.is_loopback());
        Ok(Caller { trust, charged, session: None })
    }

    /// The socket belongs to [`websocket`] from here on.
    fn upgrade<B>(&self, door: &Arc<Door>, caller: Caller, request: http::Request<B>) -> Response {
        let open = door.metrics.open(Transport::WebSocket);
        let alive = self.alive.clone();
        websocket::upgrade(Arc::clone(door), caller, request, self.stop.clone(), (open, alive))
    }
}

async fn post<B>(door: &Door, caller: &Caller, request: http::Request<B>) -> Response
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if !is_json(request.headers()) {
        let text = "invalid content type, only application/json is supported";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    }
    let body = match read_body(request.into_body()).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    door.metrics.count_body(body.len());
    let answer = layer::answer(door, caller, &body).await;
    let body = answer.reply.map_or_else(Body::empty, crate::reply::Reply::into_body);
    let mut response = Response::new(body);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if let Some(wait) = answer.retry_after {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        let secs = wait.as_secs() + 1;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

/// The client behind trusted proxies: the last address of `X-Forwarded-For` that is no trusted proxy itself.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let names = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.rsplit(','));
    let mut address = peer;
    for name in names {
        let Ok(next) = name.trim().parse() else { return address };
        address = next;
        if !trusted.contains(&next) {
            break;
        }
    }
    address
}

/// Answers on the listener of metrics.
async fn measure(State(door): State<Arc<Door>>, request: Request) -> Response {
    match request.uri().path() {
        "/metrics" | "/debug/metrics/prometheus" => {
            let mut response = Response::new(Body::from(door.metrics.render(&door.context)));
            let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, text);
            response
        }
        health::LIVENESS => health::liveness(&door.context).await,
        health::READINESS => {
            health::readiness(&door.context, request.uri().query().unwrap_or_default())
        }
        _ => StatusCode::NOT_FOUND.into_response(),
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

async fn read_body<B>(body: B) -> Result<Bytes, Response>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let most = limits::BODY_BYTES as u64;
    let too_large = |bytes: u64| {
        let text = format!("content length too large ({bytes}>{most})");
        (StatusCode::PAYLOAD_TOO_LARGE, text).into_response()
    };
    let announced = body.size_hint().lower();
    if announced > most {
        return Err(too_large(announced));
    }
    let mut collect = pin!(Limited::new(body, limits::BODY_BYTES).collect());
    // a small body is here with its head as a rule: no timer for that
    let at_once = poll_fn(|context| Poll::Ready(collect.as_mut().poll(context))).await;
    let collected = match at_once {
        Poll::Ready(collected) => Ok(collected),
        Poll::Pending => tokio::time::timeout(limits::BODY_TIME, collect).await,
    };
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(most + 1)),
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
    fn proxies_name_the_client() {
        let trusted = ["127.0.0.1", "10.0.0.1"].map(|text| text.parse().expect("an address"));
        for (peer, forwarded, expected) in [
            ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
            ("127.0.0.1", "203.0.113.9, 10.0.0.1", "203.0.113.9"),
            ("127.0.0.1", "nonsense", "127.0.0.1"),
            ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ] {
            let value = HeaderValue::from_str(forwarded).expect("an ASCII test value");
            let name = http::HeaderName::from_static(FORWARDED_FOR);
            let headers = HeaderMap::from_iter([(name, value)]);
            let got = client(peer.parse().expect("an address"), &headers, &trusted);
            assert_eq!(got.to_string(), expected, "{peer} {forwarded}");
        }
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
