//! Calls of msnet beside other nodes: the same chain content on each, the same calls in turn, rates and node time, ratios.
//!
//! Rounds alternate between the nodes, since a machine drifts; medians count. For large answers client and kernel cost as
//! much as the node, so node processor time an answer stands beside the rate. Then what no peer is needed for: thousands
//! of idle WebSockets, and clients that press against each limit while a healthy one asks.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[path = "../load.rs"]
mod load;
#[path = "../nodes.rs"]
mod nodes;
mod press;
#[path = "../rpc.rs"]
mod rpc;
mod wire;

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use serde_json::{Value, json};

use crate::{
    nodes::{NodeKind, Running},
    rpc::Rpc,
    wire::Wire,
};

/// Measures calls.
#[derive(Debug, Parser)]
struct Args {
    /// The msnet program.
    #[arg(long)]
    msnet: PathBuf,
    /// File with the creation code of the ERC-20 contract, hex.
    #[arg(long)]
    token: PathBuf,
    /// Token transfers sent beforehand; the block with the most of them is asked for.
    #[arg(long, default_value_t = 8_000)]
    txs: usize,
    /// Rounds; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds of each measurement.
    #[arg(long, default_value_t = 1_000)]
    millis: u64,
    /// Whom to ask. What is not found is named and left out.
    #[arg(long, value_delimiter = ',', default_values_t = [NodeKind::Msnet, NodeKind::Anvil, NodeKind::Geth])]
    nodes: Vec<NodeKind>,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_values_t = ["calls".to_owned(), "length".to_owned(), "idle".to_owned(), "press".to_owned()])]
    parts: Vec<String>,
    /// WebSockets that do nothing.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Seconds of each attack.
    #[arg(long, default_value_t = 60)]
    secs: u64,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done =
        runtime.context("no runtime").and_then(|runtime| runtime.block_on(run(Args::parse())));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let has = |part: &str| args.parts.iter().any(|named| named == part);
    if has("calls") {
        compare(&args).await?;
    }
    if has("length") {
        length(&args).await?;
    }
    if has("idle") {
        press::idle(&args.msnet, args.idle).await?;
    }
    if has("press") {
        press::attacks(&args.msnet, Duration::from_secs(args.secs)).await?;
    }
    Ok(())
}

/// A node with content, and what to ask it.
struct Side {
    kind: NodeKind,
    node: Running,
    calls: Vec<Call>,
}

/// One kind of call.
struct Call {
    name: &'static str,
    body: Vec<u8>,
    connections: usize,
    is_websocket: bool,
}

/// What is owed beside another node, by the name of the call: the ratio, and what is compared.
#[derive(Debug, Clone, Copy)]
struct Goal {
    /// Calls whose names begin so.
    call: &'static str,
    /// Beside which node; none is the faster of both.
    beside: Option<NodeKind>,
    ratio: f64,
    /// Node time an answer instead of answers a second: loopback is what limits large ones.
    is_cpu: bool,
}

const fn goal(call: &'static str, beside: Option<NodeKind>, ratio: f64, is_cpu: bool) -> Goal {
    Goal { call, beside, ratio, is_cpu }
}

const GOALS: [Goal; 9] = [
    goal("eth_blockNumber", Some(NodeKind::Anvil), 0.9, false),
    goal("eth_blockNumber", Some(NodeKind::Geth), 3.0, false),
    goal("eth_getBalance", Some(NodeKind::Anvil), 0.9, false),
    goal("eth_getBalance", Some(NodeKind::Geth), 3.0, false),
    goal("eth_call", Some(NodeKind::Anvil), 0.9, false),
    goal("eth_call", Some(NodeKind::Geth), 2.0, false),
    goal("block, hashes", None, 5.0, true),
    goal("logs of the block", None, 10.0, true),
    goal("logs, nothing found", None, 5.0, false),
];

/// A figure beside what is owed.
fn owe(what: &str, have: f64, want: f64, is_least: bool, unit: &str) {
    let is_met = if is_least { have >= want } else { have < want };
    let sign = if is_least { ">=" } else { "<" };
    let verdict = if is_met { "met" } else { "MISSED" };
    println!("goal: {what}: {have:.2}{unit}, owed {sign} {want}{unit}: {verdict}");
}

/// What a measurement found.
#[derive(Debug, Clone, Copy)]
struct Figures {
    per_s: f64,
    p50_us: f64,
    cpu_us: f64,
    bytes: usize,
}

async fn compare(args: &Args) -> Result<()> {
    let token = alloy_primitives::hex::decode(fs::read_to_string(&args.token)?.trim())?;
    let mut sides = Vec::new();
    for &kind in &args.nodes {
        let Some(program) = nodes::program(kind, &args.msnet) else {
            eprintln!("skipped: {kind} was not found");
            continue;
        };
        let node = Running::start(kind, &program).await?;
        let plan = load::Plan {
            workload: load::Workload::Erc20,
            txs: args.txs,
            max_pending: 40_000,
            token: token.clone(),
        };
        load::run(&node, &plan).await?;
        let (calls, most) = calls(&node, kind).await?;
        eprintln!("{kind}: the fullest block has {most} transactions");
        sides.push(Side { kind, node, calls });
    }
    let count = sides.first().context("no node was found")?.calls.len();
    println!(
        "| call | node | answers/s | msnet over it | p50 us | node CPU us/answer | it over msnet | bytes |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut found: Vec<(&str, Vec<(NodeKind, Figures)>)> = Vec::new();
    for index in 0..count {
        let mut figures = vec![Vec::new(); sides.len()];
        for _ in 0..args.rounds {
            for (side, figures) in sides.iter().zip(&mut figures) {
                if let Some(call) = side.calls.get(index) {
                    let time = Duration::from_millis(args.millis);
                    figures.push(measure(&side.node, call, time)?);
                }
            }
        }
        let medians: Vec<Option<Figures>> = figures.into_iter().map(median).collect();
        let own = sides.iter().position(|side| side.kind == NodeKind::Msnet);
        let own = own.and_then(|own| medians[own]);
        let told = sides.iter().zip(&medians);
        let told = told.filter_map(|(side, figures)| Some((side.kind, (*figures)?)));
        found.push((sides[0].calls[index].name, told.collect()));
        for (side, figures) in sides.iter().zip(&medians) {
            let Some(figures) = figures else { continue };
            let over = own.map_or(f64::NAN, |own| own.per_s / figures.per_s);
            let cpu_over = own.map_or(f64::NAN, |own| figures.cpu_us / own.cpu_us.max(0.1));
            println!(
                "| {} | {} | {:.0} | {over:.2} | {:.0} | {:.1} | {cpu_over:.2} | {} |",
                side.calls[index].name,
                side.kind,
                figures.per_s,
                figures.p50_us,
                figures.cpu_us,
                figures.bytes,
            );
        }
    }
    println!();
    for (name, figures) in &found {
        let of =
            |kind| figures.iter().find(|(found, _)| *found == kind).map(|(_, figures)| *figures);
        let Some(own) = of(NodeKind::Msnet) else { continue };
        for goal in GOALS.iter().filter(|goal| name.starts_with(goal.call)) {
            let others = figures.iter().filter(|(kind, _)| match goal.beside {
                Some(beside) => *kind == beside,
                None => *kind != NodeKind::Msnet,
            });
            let ratio = |(_, other): &(NodeKind, Figures)| match goal.is_cpu {
                true => other.cpu_us / own.cpu_us.max(0.1),
                false => own.per_s / other.per_s,
            };
            // the faster of both is the one with the least ratio
            let Some(least) = others.map(ratio).min_by(f64::total_cmp) else { continue };
            let beside = goal.beside.map_or("the faster".to_owned(), |kind| kind.to_string());
            let measure = if goal.is_cpu { "node time" } else { "answers" };
            owe(&format!("{name}, {measure} beside {beside}"), least, goal.ratio, true, " x");
        }
    }
    Ok(())
}

fn median(mut figures: Vec<Figures>) -> Option<Figures> {
    figures.sort_by(|a, b| a.per_s.total_cmp(&b.per_s));
    let middle = figures.get(figures.len() / 2).copied()?;
    let mut cpu: Vec<f64> = figures.iter().map(|figures| figures.cpu_us).collect();
    cpu.sort_by(f64::total_cmp);
    Some(Figures { cpu_us: cpu[cpu.len() / 2], ..middle })
}

/// The calls of one node, and the transactions of its fullest block.
async fn calls(node: &Running, kind: NodeKind) -> Result<(Vec<Call>, usize)> {
    let rpc = Rpc::new(&node.url)?;
    let head = rpc.quantity("eth_blockNumber", json!([])).await?;
    let (mut fullest, mut most, mut token) = (0, 0, Value::Null);
    for number in 0..=head {
        let block =
            rpc.call("eth_getBlockByNumber", json!([format!("{number:#x}"), false])).await?;
        let hashes = block["transactions"].as_array().context("a list of hashes")?;
        if hashes.len() > most {
            let last = hashes.last().context("not empty")?;
            let receipt = rpc.call("eth_getTransactionReceipt", json!([last])).await?;
            (fullest, most, token) = (number, hashes.len(), receipt["to"].clone());
        }
    }
    let at = format!("{fullest:#x}");
    let holder = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let balance_of = format!("0x70a08231{:0>64}", &holder[2..].to_lowercase());
    let nothing = format!("0x{}", "ab".repeat(20));
    let block_logs = json!([{"fromBlock": at, "toBlock": at}]);
    let empty = json!([{"fromBlock": "0x0", "toBlock": "latest", "address": nothing}]);
    let mut calls = Vec::new();
    let mut add = |name, method: &str, params: Value, connections, is_websocket| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        calls.push(Call { name, body: body.to_string().into_bytes(), connections, is_websocket });
    };
    let call = json!([{"to": token, "data": balance_of}, "latest"]);
    add("eth_blockNumber, 1", "eth_blockNumber", json!([]), 1, false);
    add("eth_blockNumber, 8", "eth_blockNumber", json!([]), 8, false);
    add("eth_getBalance, 1", "eth_getBalance", json!([holder, "latest"]), 1, false);
    add("eth_getBalance, 8", "eth_getBalance", json!([holder, "latest"]), 8, false);
    add("eth_call balanceOf, 1", "eth_call", call.clone(), 1, false);
    add("eth_call balanceOf, 8", "eth_call", call.clone(), 8, false);
    add("block, hashes", "eth_getBlockByNumber", json!([at, false]), 4, false);
    add("block, transactions", "eth_getBlockByNumber", json!([at, true]), 4, false);
    add("block receipts", "eth_getBlockReceipts", json!([at]), 4, false);
    add("logs of the block", "eth_getLogs", block_logs, 4, false);
    add("logs, nothing found", "eth_getLogs", empty, 4, false);
    if kind != NodeKind::Geth {
        // geth has a port of its own for it
        add("eth_blockNumber, WebSocket, 1", "eth_blockNumber", json!([]), 1, true);
        add("eth_blockNumber, WebSocket, 8", "eth_blockNumber", json!([]), 8, true);
        add("eth_call, WebSocket, 8", "eth_call", call, 8, true);
    }
    Ok((calls, most))
}

/// Asks from several connections, each waiting for its answer before it asks again.
fn measure(node: &Running, call: &Call, time: Duration) -> Result<Figures> {
    let mut wires = Vec::new();
    for _ in 0..call.connections {
        let mut wire = Wire::connect(&node.url, call.is_websocket)?;
        let answer = wire.call(&call.body)?;
        ensure!(answer.has(b"\"result\""), "{}: no result: {}", call.name, answer.start());
        wires.push(wire);
    }
    let before = node.usage()?;
    let begun = Instant::now();
    let ask = |mut wire: Wire| -> Result<(Vec<Duration>, usize)> {
        let (mut times, mut bytes) = (Vec::new(), 0);
        while begun.elapsed() < time {
            let from = Instant::now();
            bytes = wire.call(&call.body)?.len();
            times.push(from.elapsed());
        }
        Ok((times, bytes))
    };
    let asked = thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> =
            wires.into_iter().map(|wire| scope.spawn(move || ask(wire))).collect();
        threads
            .into_iter()
            .map(|thread| {
                thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a client panicked")))
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let elapsed = begun.elapsed();
    let used = node.usage()?.cpu_us - before.cpu_us;
    let bytes = asked.first().map_or(0, |(_, bytes)| *bytes);
    let mut times: Vec<Duration> = asked.into_iter().flat_map(|(times, _)| times).collect();
    ensure!(!times.is_empty(), "{}: no answer in time", call.name);
    times.sort_unstable();
    Ok(Figures {
        per_s: times.len() as f64 / elapsed.as_secs_f64(),
        p50_us: times[times.len() / 2].as_secs_f64() * 1e6,
        cpu_us: used as f64 / times.len() as f64,
        bytes,
    })
}

/// A search that finds nothing must not know how long the chain is.
async fn length(args: &Args) -> Result<()> {
    let node = press::start(&args.msnet, 0)?;
    let rpc = Rpc::new(&node.url)?;
    let nothing = format!("0x{}", "ab".repeat(20));
    let params = json!([{"fromBlock": "0x0", "toBlock": "latest", "address": nothing}]);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": params});
    let call = Call {
        name: "logs, nothing found",
        body: body.to_string().into_bytes(),
        connections: 4,
        is_websocket: false,
    };
    println!("| blocks | empty answers/s |\n|---|---|");
    let (mut made, mut rates) = (0, Vec::new());
    for blocks in [100, 1_000, 5_000] {
        // payments that come quickly share a block
        while rpc.quantity("eth_blockNumber", json!([])).await? < blocks {
            press::pay(&rpc, made).await?;
            made += 1;
        }
        let mut figures = Vec::new();
        for _ in 0..args.rounds {
            figures.push(measure_url(&node, &call, Duration::from_millis(args.millis))?);
        }
        figures.sort_by(f64::total_cmp);
        println!("| {blocks} | {:.0} |", figures[figures.len() / 2]);
        rates.push(figures[figures.len() / 2]);
    }
    if let [first, .., last] = rates[..] {
        let what = "empty search, longest chain beside shortest";
        owe(what, last / first.max(1.0), 0.8, true, " x");
    }
    Ok(())
}

fn measure_url(node: &press::Started, call: &Call, time: Duration) -> Result<f64> {
    let begun = Instant::now();
    let ask = || -> Result<usize> {
        let mut wire = Wire::connect(&node.url, false)?;
        let mut count = 0;
        while begun.elapsed() < time {
            let answer = wire.call(&call.body)?;
            ensure!(answer.has(b"\"result\":[]"), "something was found: {}", answer.start());
            count += 1;
        }
        Ok(count)
    };
    let count: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..call.connections).map(|_| scope.spawn(ask)).collect();
        threads
            .into_iter()
            .map(|thread| {
                thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a client panicked")))
            })
            .sum::<Result<usize>>()
    })?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
