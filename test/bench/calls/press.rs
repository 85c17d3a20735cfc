//! What no peer is needed for: idle WebSockets by the thousand, and clients that press against each limit.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    owe,
    rpc::Rpc,
    wire::{Wire, frame},
};

/// Requests a second of the healthy client beside idle WebSockets.
const RATE: u32 = 500;
/// How long it asks.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// A node of a development chain.
pub(crate) struct Started {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Started {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts one with this period.
pub(crate) fn start(program: &Path, period: u64) -> Result<Started> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let (port_text, period) = (port.to_string(), period.to_string());
    let mut command = Command::new(program);
    command.args(["node", "--dev", "--dev.period", &period, "--http.port", &port_text]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let started = Started { child, url: format!("http://127.0.0.1:{port}") };
    let until = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(Instant::now() < until, "the node does not listen");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(started)
}

/// A payment from the first account of a development chain to itself.
pub(crate) async fn pay(rpc: &Rpc, nonce: u64) -> Result<()> {
    let from = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
    let payment = json!([{"from": from, "to": from, "value": "0x1", "gas": "0x5208", "nonce": format!("{nonce:#x}")}]);
    rpc.call("eth_sendTransaction", payment).await.map(|_| ())
}

fn body(method: &str, params: Value) -> Vec<u8> {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    call.to_string().into_bytes()
}

/// Asks at a steady rate; the times of the answers, ascending.
fn ask(url: &str, per_s: u32, until: Instant) -> Result<Vec<Duration>> {
    let mut wire = Wire::connect(url, false)?;
    let call = body("eth_blockNumber", json!([]));
    let (step, mut next, mut times) = (Duration::from_secs(1) / per_s, Instant::now(), Vec::new());
    while Instant::now() < until {
        let due = next;
        next += step;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let answer = wire.call(&call)?;
        ensure!(answer.has(b"\"result\""), "no number: {}", answer.start());
        // from when it was due: a late answer delays those behind it, and they count too
        times.push(due.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

fn at(times: &[Duration], permille: usize) -> f64 {
    let index = (times.len() * permille / 1_000).min(times.len().saturating_sub(1));
    times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// Times of the blocks of a height range, seconds.
async fn block_times(rpc: &Rpc, from: u64, to: u64) -> Result<Vec<u64>> {
    let mut times = Vec::new();
    for number in from..=to {
        let block =
            rpc.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await?;
        let text = block["timestamp"].as_str().context("a time")?;
        times.push(u64::from_str_radix(text.trim_start_matches("0x"), 16)?);
    }
    Ok(times)
}

fn memory_mib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().next().context("no number")?.parse::<u64>()? / 1_024)
}

/// Thousands of WebSockets that do nothing, and one client that asks.
pub(crate) async fn idle(program: &Path, count: usize) -> Result<()> {
    let node = start(program, 1)?;
    let rpc = Rpc::new(&node.url)?;
    let before = memory_mib(node.child.id())?;
    let mut sockets = Vec::with_capacity(count);
    // the healthy client and the node's own questions need a few as well
    for _ in 0..count.saturating_sub(8) {
        sockets.push(Wire::connect(&node.url, true)?);
    }
    // one of them watches the heads
    let mut watch = Wire::connect(&node.url, true)?;
    watch.call(&body("eth_subscribe", json!(["newHeads"])))?;
    let from = rpc.quantity("eth_blockNumber", json!([])).await?;
    let until = Instant::now() + IDLE_TIME;
    let heads = thread::spawn(move || {
        let mut seen = Vec::new();
        while Instant::now() < until && watch.receive().is_ok() {
            seen.push(Instant::now());
        }
        seen
    });
    let times = ask(&node.url, RATE, until)?;
    let heads = heads.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))?;
    let intervals: Vec<f64> =
        heads.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    let drift = intervals.iter().map(|secs| (secs - 1.0).abs()).fold(0.0, f64::max);
    let mean = intervals.iter().sum::<f64>() / (intervals.len().max(1) as f64);
    let to = rpc.quantity("eth_blockNumber", json!([])).await?;
    let memory = memory_mib(node.child.id())?;
    println!(
        "idle: {} WebSockets, {RATE} req/s: p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms; {} blocks in {} s, interval {mean:.3} s, off by {:.0} % at worst; {memory} MiB ({before} before)",
        sockets.len() + 1,
        at(&times, 500),
        at(&times, 990),
        at(&times, 1_000),
        to - from,
        IDLE_TIME.as_secs(),
        drift * 100.0,
    );
    owe("idle: p99 of eth_blockNumber", at(&times, 990), 50.0, false, " ms");
    owe("idle: drift of the block interval", (mean - 1.0).abs() * 100.0, 10.0, false, " %");
    owe("idle: memory", memory as f64, 1_024.0, false, " MiB");
    Ok(())
}

type Attack = fn(&str, &AtomicBool) -> Result<()>;

/// Each attack at twice its limit or more, with a client that only asks for the head's number.
pub(crate) async fn attacks(program: &Path, time: Duration) -> Result<()> {
    let attacks: [(&str, Attack); 10] = [
        ("nobody", |_, _| Ok(())),
        ("400 half-open requests", half_open),
        ("2,000 calls that never end", endless_calls),
        ("batches of 1,000 and 2,000 traces", traces),
        ("logs of the whole chain, 128 at once", all_logs),
        ("20,000 filters", filters),
        ("256 sockets with 256 subscriptions that nobody reads", unread),
        ("bodies of 10 MiB", large_bodies),
        ("sockets that send calls and read nothing", unread_calls),
        ("half-open requests, traces, logs, filters and unread sockets at once", all_at_once),
    ];
    println!("| attack | healthy p50 ms | p99 ms | worst ms | blocks | turns missed | MiB |");
    println!("|---|---|---|---|---|---|---|");
    let mut owed = Vec::new();
    for (name, attack) in attacks {
        let node = start(program, 1)?;
        let rpc = Rpc::new(&node.url)?;
        for nonce in 0..50 {
            pay(&rpc, nonce).await?;
        }
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let from = rpc.quantity("eth_blockNumber", json!([])).await?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (url, over) = (node.url.clone(), Arc::clone(&is_over));
        let attacker = thread::spawn(move || attack(&url, &over));
        thread::sleep(Duration::from_millis(500));
        let times = ask(&node.url, 50, Instant::now() + time)?;
        let memory = memory_mib(node.child.id())?;
        is_over.store(true, Ordering::Relaxed);
        // an attacker that is thrown out is no failure
        if let Ok(Err(error)) = attacker.join() {
            eprintln!("{name}: {error:#}");
        }
        let to = rpc.quantity("eth_blockNumber", json!([])).await?;
        let blocks = block_times(&rpc, from, to).await?;
        let missed: u64 = blocks.windows(2).map(|pair| pair[1] - pair[0] - 1).sum();
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} | {} | {missed} | {memory} |",
            at(&times, 500),
            at(&times, 990),
            at(&times, 1_000),
            to - from,
        );
        owed.push((name, at(&times, 990), missed));
    }
    println!();
    for (name, p99, missed) in owed {
        owe(&format!("{name}: turns missed"), missed as f64, 1.0, false, "");
        owe(&format!("{name}: p99 of others"), p99, 1_000.0, false, " ms");
    }
    Ok(())
}

fn host(url: &str) -> &str {
    url.trim_start_matches("http://")
}

fn half_open(url: &str, over: &AtomicBool) -> Result<()> {
    let mut sockets = Vec::new();
    for _ in 0..400 {
        let mut socket = TcpStream::connect(host(url))?;
        socket.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Len")?;
        sockets.push(socket);
    }
    wait(over);
    Ok(())
}

fn wait(over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a body again and again from so many connections.
fn hammer(url: &str, over: &AtomicBool, connections: usize, body: &[u8]) {
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let Ok(mut wire) = Wire::connect(url, false) else { return };
                    while !over.load(Ordering::Relaxed) && wire.call(body).is_ok() {}
                }
            });
        }
    });
}

fn endless_calls(url: &str, over: &AtomicBool) -> Result<()> {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"data": "0x5b600056"}, "latest"]});
    let batch = Value::Array(vec![call; 20]).to_string();
    hammer(url, over, 100, batch.as_bytes());
    Ok(())
}

fn traces(url: &str, over: &AtomicBool) -> Result<()> {
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "debug_traceBlockByNumber", "params": ["0x1"]});
    let (one, two) = (vec![call.clone(); 1_000], vec![call; 2_000]);
    let (one, two) = (Value::Array(one).to_string(), Value::Array(two).to_string());
    thread::scope(|scope| {
        scope.spawn(|| hammer(url, over, 4, one.as_bytes()));
        scope.spawn(|| hammer(url, over, 4, two.as_bytes()));
    });
    Ok(())
}

fn all_logs(url: &str, over: &AtomicBool) -> Result<()> {
    hammer(
        url,
        over,
        128,
        &body("eth_getLogs", json!([{"fromBlock": "0x0", "toBlock": "latest"}])),
    );
    Ok(())
}

fn filters(url: &str, over: &AtomicBool) -> Result<()> {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_newFilter", "params": [{}]});
    let batch = Value::Array(vec![call; 1_000]).to_string();
    let mut wire = Wire::connect(url, false)?;
    for _ in 0..20 {
        wire.call(batch.as_bytes())?;
    }
    hammer(url, over, 4, batch.as_bytes());
    Ok(())
}

fn unread(url: &str, over: &AtomicBool) -> Result<()> {
    let kinds = [json!(["newHeads"]), json!(["newPendingTransactions"])];
    let calls: Vec<u8> =
        (0..256).flat_map(|i| frame(&body("eth_subscribe", kinds[i % 2].clone()))).collect();
    let mut sockets = Vec::new();
    for _ in 0..256 {
        let Ok(wire) = Wire::connect(url, true) else { break };
        sockets.push(wire);
    }
    for wire in &mut sockets {
        // one that is closed meanwhile is no failure
        let _ = wire.send_raw(&calls);
    }
    wait(over);
    Ok(())
}

fn all_at_once(url: &str, over: &AtomicBool) -> Result<()> {
    let parts: [Attack; 5] = [half_open, traces, all_logs, filters, unread];
    thread::scope(|scope| {
        for part in parts {
            // one that is thrown out leaves the others
            scope.spawn(move || drop(part(url, over)));
        }
    });
    Ok(())
}

fn large_bodies(url: &str, over: &AtomicBool) -> Result<()> {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let Ok(mut socket) = TcpStream::connect(host(url)) else { return };
                    let head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
                    let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
                    if socket.write_all(head).is_err() {
                        continue;
                    }
                    for _ in 0..160 {
                        if socket.write_all(&chunk).is_err() {
                            break;
                        }
                    }
                    let mut answer = [0; 64];
                    // it may be closed by now
                    let _ = socket.read(&mut answer);
                }
            });
        }
    });
    Ok(())
}

fn unread_calls(url: &str, over: &AtomicBool) -> Result<()> {
    let call = frame(&body("eth_getBlockByNumber", json!(["0x1", true])));
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let Ok(mut wire) = Wire::connect(url, true) else { return };
                while !over.load(Ordering::Relaxed) {
                    if wire.send_raw(&call).is_err() {
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
    });
    Ok(())
}
