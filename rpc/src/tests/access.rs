//! Who may call what: method sets, tokens, the socket of the data folder, rates, health, metrics.

use std::{net::SocketAddr, time::SystemTime};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use node::{Node, NodeConfig, dev_accounts};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

use super::{
    INSTANT, PATIENCE,
    client::{WebSocket, request},
};
use crate::{
    RpcConfig, RpcServer,
    config::IpcConfig,
    jwt::{JwtScope, Secret},
    serve,
};

/// A node that signs for nobody, behind a server with these settings.
async fn start(config: RpcConfig) -> (Node, RpcServer) {
    let signer = dev_accounts::keys().into_iter().next();
    let node = Node::start(NodeConfig { signer, ..NodeConfig::new(INSTANT.genesis()) }).await;
    let node = node.expect("the node starts");
    let config = RpcConfig { addr: ([127, 0, 0, 1], 0).into(), ..config };
    let server = serve(node.handle(), config).await.expect("the server starts");
    (node, server)
}

async fn stop(node: Node, server: RpcServer) {
    server.stop().await;
    node.stop().await.expect("the node stops");
}

fn call(method: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": []}).to_string()
}

async fn post(addr: SocketAddr, more: &str, body: &str) -> (u16, String, String) {
    let head = format!("Host: localhost\r\nContent-Type: application/json\r\n{more}");
    request(addr, "POST", "/", &head, body).await
}

async fn code(addr: SocketAddr, more: &str, method: &str) -> Value {
    let (status, _, body) = post(addr, more, &call(method)).await;
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).expect("an answer is JSON");
    answer["error"]["code"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_opens_what_it_names() {
    let api = Some(vec!["eth".to_owned(), "net".to_owned()]);
    let (node, server) = start(RpcConfig { http_api: api, ..RpcConfig::default() }).await;
    let addr = server.local_addr();
    assert_eq!(code(addr, "", "eth_chainId").await, Value::Null);
    for closed in ["web3_clientVersion", "txpool_status", "clique_getSigners", "admin_peers"] {
        assert_eq!(code(addr, "", closed).await, -32601, "{closed}");
    }
    let (_, _, body) = post(addr, "", &call("rpc_modules")).await;
    let answer: Value = serde_json::from_str(&body).expect("an answer is JSON");
    assert_eq!(answer["result"], json!({"eth": "1.0", "net": "1.0", "rpc": "1.0"}));
    let mut socket = WebSocket::connect(addr).await;
    assert_eq!(socket.call("web3_clientVersion", json!([])).await["error"]["code"], -32601);
    assert_eq!(socket.call("rpc_modules", json!([])).await["result"], answer["result"]);
    stop(node, server).await;
}

fn token(secret: &[u8; 32]) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let jose = encode(r#"{"typ":"JWT","alg":"HS256"}"#.to_owned());
    let signed = format!("{jose}.{}", encode(format!(r#"{{"iat":{}}}"#, now.as_secs())));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("Authorization: Bearer {signed}.{}\r\n", URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_the_admin_set_or_everything() {
    let secret = [7; 32];
    for scope in [JwtScope::Admin, JwtScope::All] {
        let jwt = Some(Secret::new(&secret));
        let config = RpcConfig { jwt, jwt_scope: scope, ..RpcConfig::default() };
        let (node, server) = start(config).await;
        let addr = server.local_addr();
        let (status, ..) = post(addr, "", &call("eth_chainId")).await;
        assert_eq!(status, if scope == JwtScope::All { 401 } else { 200 });
        assert_eq!(code(addr, &token(&secret), "eth_chainId").await, Value::Null);
        let (status, ..) = post(addr, &token(&[8; 32]), &call("eth_chainId")).await;
        assert_eq!(status, 401, "a token that is shown must be valid");
        let upgrade = "Host: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n";
        if scope == JwtScope::All {
            assert_eq!(request(addr, "GET", "/", upgrade, "").await.0, 401);
        }
        let (status, _, body) = request(addr, "GET", "/liveness", "Host: localhost\r\n", "").await;
        assert_eq!((status, body.as_str()), (200, r#"{"alive":true}"#), "outside of tokens");
        stop(node, server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_of_the_folder_speaks_as_geths() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("msnet.ipc");
    std::os::unix::net::UnixListener::bind(&path).expect("a socket that nobody serves");
    let ipc = Some(IpcConfig { path: path.clone(), is_asked_for: true });
    let (node, server) = start(RpcConfig { ipc: ipc.clone(), ..RpcConfig::default() }).await;
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = RpcConfig { addr: ([127, 0, 0, 1], 0).into(), ipc, ..RpcConfig::default() };
    assert!(serve(node.handle(), again).await.is_err(), "a socket in use stays");

    let (read, mut write) = UnixStream::connect(&path).await.expect("it listens").into_split();
    let mut lines = BufReader::new(read).lines();
    let mut next = async || -> Value {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time");
        serde_json::from_str(&line.expect("a line").expect("not the end")).expect("JSON")
    };
    let calls = r#"{"jsonrpc":"2.0","id":1.0,"method":"eth_chainId"}[{"jsonrpc":"2.0","id":2,"method":"txpool_content"}]
        {"jsonrpc":"2.0","id":3,"method":"eth_subscribe","params":["newHeads"]}"#;
    write.write_all(calls.as_bytes()).await.expect("it reads");
    assert_eq!(next().await["result"], "0x539");
    assert_eq!(next().await[0]["result"]["pending"], json!({}), "all namespaces");
    let id = next().await["result"].clone();
    assert!(id.is_string());
    let unsubscribe = json!({"jsonrpc": "2.0", "id": 4, "method": "eth_unsubscribe", "params": [id]});
    write.write_all(unsubscribe.to_string().as_bytes()).await.expect("it reads");
    assert_eq!(next().await["result"], true);
    write.write_all(b"nonsense").await.expect("it reads");
    assert_eq!(next().await["error"]["code"], -32700);
    stop(node, server).await;
    assert!(!path.exists(), "it goes with the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_counted_behind_a_proxy() {
    let trusted_proxies = vec![std::net::Ipv4Addr::LOCALHOST.into()];
    let (node, server) = start(RpcConfig { trusted_proxies, ..RpcConfig::default() }).await;
    let addr = server.local_addr();
    let logs = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [{}]});
    let batch = Value::Array(vec![logs.clone(); 300]).to_string();
    let stranger = "X-Forwarded-For: 203.0.113.9\r\n";
    let (status, _, body) = post(addr, stranger, &batch).await;
    assert_eq!(status, 200, "some calls had units left");
    let answers: Vec<Value> = serde_json::from_str(&body).expect("a list");
    let refused = answers.iter().filter(|answer| answer["error"]["code"] == -32005).count();
    assert!((1..=100).contains(&refused), "{refused} of 300 logs at 10 units each");
    let (status, head, body) = post(addr, stranger, &Value::Array(vec![logs; 3]).to_string()).await;
    assert_eq!(status, 429, "{body}");
    assert!(head.contains("retry-after: ") && body.contains("rate limit exceeded"), "{head}{body}");
    let other = "X-Forwarded-For: 203.0.113.10\r\n";
    assert_eq!(code(addr, other, "eth_chainId").await, Value::Null, "another client");
    assert_eq!(code(addr, "", "eth_chainId").await, Value::Null, "this machine");
    stop(node, server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_told() {
    let metrics = Some(([127, 0, 0, 1], 0).into());
    let ws = Some(([127, 0, 0, 1], 0).into());
    let (node, server) = start(RpcConfig { metrics, ws, ..RpcConfig::default() }).await;
    let get = async |addr, path: &str| request(addr, "GET", path, "Host: localhost\r\n", "").await;
    let addr = server.local_addr();
    let (status, _, body) = get(addr, "/readiness").await;
    let told: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &told["ready"]), (200, &json!(true)), "the only signer: {body}");
    let (status, _, body) = get(addr, "/readiness?minPeers=1").await;
    let told: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &told["checks"]["peers"]), (503, &json!(false)), "{body}");
    assert_eq!(get(addr, "/readiness?minPeers=x").await.0, 400);
    assert_eq!(get(addr, "/metrics").await.0, 404, "not among the calls");

    let ws_addr = server.ws_addr().expect("a port of its own");
    let mut socket = WebSocket::connect(ws_addr).await;
    assert_eq!(socket.call("eth_chainId", json!([])).await["result"], "0x539");
    assert_eq!(post(ws_addr, "", &call("eth_chainId")).await.0, 404);
    let upgrade = "Host: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n";
    assert_eq!(request(addr, "GET", "/", upgrade, "").await.0, 404);
    code(addr, "", "no_such").await;

    let measured = server.metrics_addr().expect("a listener of its own");
    let (status, _, body) = get(measured, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "rpc_request_seconds_count{method=\"eth_chainId\",code=\"0\"} 1",
        "rpc_request_seconds_count{method=\"other\",code=\"-32601\"} 1",
        "rpc_open_connections{transport=\"ws\"} 1",
        "chain_head_number 0",
        "# TYPE rpc_queue_seconds histogram",
    ] {
        assert!(body.lines().any(|one| one == line), "{line} is not in\n{body}");
    }
    stop(node, server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_running_calls_end() {
    let (node, server) = start(RpcConfig::default()).await;
    let addr = server.local_addr();
    // JUMPDEST PUSH1 0 JUMP until the gas is gone
    let endless = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"data": "0x5b600056"}, "latest"]});
    let endless = endless.to_string();
    let asked = tokio::spawn(async move { post(addr, "", &endless).await });
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    server.stop().await;
    let (status, _, body) = asked.await.expect("no panic");
    assert_eq!(status, 200);
    assert!(body.contains("out of gas"), "{body}");
    node.stop().await.expect("the node stops");
}
