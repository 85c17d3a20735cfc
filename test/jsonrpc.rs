//! Hostile JSON-RPC: every case of `test/vectors/attacks/jsonrpc` is answered as it says, one after another and 32 at
//! once, on a node with everything that loopback opens and on one with what strangers get; it stays up.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Mutex,
    thread,
    time::Duration,
};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::{Running, free_port, openrpc, rpc, run, text};

const CASES: &str = include_str!("vectors/attacks/jsonrpc/cases.jsonl");
const WORKERS: usize = 32;
const DEADLINE: Duration = Duration::from_secs(60);
/// What a stranger gets.
const PUBLIC: &str = "eth,net,web3,rpc,clique,med,txpool_status";

fn cases() -> Vec<Value> {
    CASES.lines().map(|line| serde_json::from_str(line).expect("a case is JSON")).collect()
}

/// The body of a case.
fn body(case: &Value) -> Vec<u8> {
    let request = &case["request"];
    if let Some(text) = request.as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(encoded) = request["base64"].as_str() {
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded);
        return decoded.expect("base64 of the vectors");
    }
    let count = |name: &str| {
        let number = request[name].as_u64().unwrap_or_else(|| panic!("no {name} in {case}"));
        usize::try_from(number).expect("64 bits")
    };
    let call = |method: &str, params: String| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
    };
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let zero = format!("\"0x{}\"", "0".repeat(40));
    let made = match request["generate"].as_str().expect("a generator") {
        "nest" => {
            let depth = count("depth");
            call("eth_chainId", format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
        }
        "pad" => {
            let chain_id = call("eth_chainId", "[]".to_owned());
            format!("{chain_id}{}", " ".repeat(count("bytes") - chain_id.len()))
        }
        "batch" => {
            let method = request["method"].as_str().expect("a method");
            list((0..count("count")).map(|_| call(method, "[]".to_owned())).collect())
        }
        "digits" => call("eth_getBalance", format!("[{},\"latest\"]", "1".repeat(count("count")))),
        "escapes" => {
            let name = "\\u0041".repeat(count("count"));
            call("eth_getBalance", format!("[\"{name}\",\"latest\"]"))
        }
        "keys" => {
            let members: Vec<_> = (0..count("count")).map(|i| format!("\"k{i}\":0")).collect();
            call("eth_call", format!("[{{{}}},\"latest\"]", members.join(",")))
        }
        "eth_getLogs" => {
            let addresses = list(vec![zero; count("addresses")]);
            call("eth_getLogs", format!("[{{\"address\":{addresses}}}]"))
        }
        "eth_sendRawTransaction" => {
            call("eth_sendRawTransaction", format!("[\"0x{}\"]", "02".repeat(count("data_bytes"))))
        }
        "eth_getProof" => {
            let keys = (0..count("keys")).map(|i| format!("\"{i:#x}\"")).collect();
            call("eth_getProof", format!("[{zero},{},\"latest\"]", list(keys)))
        }
        "eth_feeHistory" => {
            let most = count("percentiles");
            let step = |i: usize| format!("{}.{:02}", i * 100 / most, i * 10_000 / most % 100);
            let percentiles = list((0..most).map(step).collect());
            call("eth_feeHistory", format!("[\"0x1\",\"latest\",{percentiles}]"))
        }
        other => panic!("no generator is called {other}"),
    };
    made.into_bytes()
}

/// Status, header and body of an answer; none if the connection was closed without one.
fn send(port: u16, case: &Value) -> Option<(u64, String, String)> {
    let body = body(case);
    let mut headers = vec![
        ("Host".to_owned(), "localhost".to_owned()),
        ("Content-Type".to_owned(), "application/json".to_owned()),
        ("Content-Length".to_owned(), body.len().to_string()),
        ("Connection".to_owned(), "close".to_owned()),
    ];
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().expect("a header is text").to_owned();
        match headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some(header) => header.1 = value,
            None => headers.push((name.clone(), value)),
        }
    }
    let verb = case["http_method"].as_str().unwrap_or("POST");
    let mut head = format!("{verb} / HTTP/1.1\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the node listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket has time-outs");
    // a server may answer and close before it has read everything
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    assert!(!answer.is_empty() || read.is_ok() || case["or_closed"] == true, "{case}: {read:?}");
    let answer = String::from_utf8(answer).expect("an answer is text");
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Some((status.expect("a status"), head.to_lowercase(), body.to_owned()))
}

/// What is wrong with the answer to a case, if anything.
fn judge(case: &Value, got: Option<(u64, String, String)>) -> Result<(), String> {
    let Some((status, head, body)) = got else {
        let may_close = case["or_closed"] == true;
        return if may_close { Ok(()) } else { Err("the connection was closed".to_owned()) };
    };
    let statuses = case["http"].as_array();
    let is_listed = statuses.is_some_and(|list| list.contains(&json!(status)));
    if !is_listed && (statuses.is_some() || status != 200) && case["or_closed"] != true {
        return Err(format!("status {status}: {body}"));
    }
    if let Some(name) = case["absent_header"].as_str()
        && head.lines().any(|line| line.starts_with(name))
    {
        return Err(format!("{name} is there"));
    }
    if status != 200 {
        return Ok(());
    }
    let has_result = |answer: &Value| answer.get("result").is_some();
    match case["result"].as_str() {
        Some("empty") if body.is_empty() => return Ok(()),
        Some("empty") => return Err(format!("not empty: {body}")),
        _ => {}
    }
    let codes = case["error_codes"].as_array();
    if codes.is_none() && case.get("result").is_none() {
        return Ok(());
    }
    let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
    match case["result"].as_str() {
        Some("any") if has_result(&answer) => return Ok(()),
        Some("null") if answer.get("result") == Some(&Value::Null) => return Ok(()),
        _ => {}
    }
    let answers = match (case["batch"].as_u64(), answer) {
        (Some(count), Value::Array(list)) if list.len() as u64 == count => list,
        (Some(count), other) => return Err(format!("not {count} answers: {other}")),
        (None, Value::Array(list)) => list,
        (None, one) => vec![one],
    };
    for answer in &answers {
        openrpc::judge("a case", &Value::Null, answer);
        let is_expected_error = codes.is_some_and(|codes| codes.contains(&answer["error"]["code"]));
        let may_answer = case["or_result"] == true && has_result(answer);
        let may_be_empty = case["or_empty_list"] == true && answer["result"] == json!([]);
        if !(is_expected_error || may_answer || may_be_empty) {
            return Err(format!("{answer}"));
        }
    }
    Ok(())
}

/// A node of a network with fees, without keys that sign for others.
fn start(folder: &std::path::Path, more: &[&str]) -> (Running, u16) {
    let genesis = folder.join("genesis.json");
    let signer = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
    let made = run(&[
        "genesis",
        "--chainid",
        "4242",
        "--signer",
        signer,
        "--timestamp",
        "1700000000",
        "--out",
        text(&genesis),
    ]);
    assert!(made.status.success(), "{made:#?}");
    let port = free_port();
    let number = port.to_string();
    let flags = ["node", "--genesis", text(&genesis), "--http.port", &number];
    let mut node = Running::start(&[&flags[..], more].concat());
    node.line("the address", |line| line.contains(&number));
    (node, port)
}

fn run_all(port: u16) {
    let wrong = |case: &Value| {
        let verdict = judge(case, send(port, case));
        verdict.err().map(|why| format!("{} {}: {why}", case["id"], case["name"]))
    };
    let cases = cases();
    assert_eq!(cases.len(), 134);
    let mut failed: Vec<String> = cases.iter().filter_map(wrong).collect();
    let left = Mutex::new(cases);
    let together = thread::scope(|scope| {
        let work = || {
            let mut failed = Vec::new();
            loop {
                let Some(case) = left.lock().expect("no panic").pop() else { return failed };
                failed.extend(wrong(&case).map(|why| format!("at once: {why}")));
            }
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect::<Vec<_>>()
    });
    failed.extend(together);
    assert!(failed.is_empty(), "{} answers are wrong:\n{}", failed.len(), failed.join("\n"));
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(rpc(&url, "eth_chainId", json!([])), json!("0x1092"), "it is still up");
}

#[test]
fn hostile_calls_on_loopback_are_answered_as_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_node, port) = start(folder.path(), &[]);
    run_all(port);
}

#[test]
fn hostile_calls_of_strangers_are_answered_as_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_node, port) = start(folder.path(), &["--http.api", PUBLIC]);
    run_all(port);
}

#[test]
fn answers_are_held_to_the_standard() {
    let answer = |result: Value| json!({"jsonrpc": "2.0", "id": 1, "result": result});
    openrpc::judge("eth_chainId", &json!([]), &answer(json!("0x1")));
    openrpc::judge("eth_getBlockByNumber", &json!([]), &answer(Value::Null));
    openrpc::judge("eth_getLogs", &json!([]), &answer(json!([])));
    let refused = [("eth_chainId", "0x01"), ("eth_gasPrice", "0x"), ("eth_getCode", "0xAB")];
    for (method, result) in refused {
        let judge = || openrpc::judge(method, &json!([]), &answer(json!(result)));
        assert!(std::panic::catch_unwind(judge).is_err(), "{method} {result} passed");
    }
    for broken in [answer(json!(1)), json!({"jsonrpc": "2.0", "id": 1}), json!([])] {
        let judge = || openrpc::judge("eth_chainId", &json!([]), &broken);
        assert!(std::panic::catch_unwind(judge).is_err(), "{broken} passed");
    }
}
