//! `msnet demo` as its users meet it: the story holds, stays up, goes on after a kill.

use serde_json::{Value, json};

use crate::harness::{Running, eventually, get, quantity, rpc, run, text};

fn objects(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

/// The object that says where the demo can be visited.
fn visit(demo: &mut Running) -> Value {
    let line = demo.line("the addresses", |line| line.contains("\"page\""));
    serde_json::from_str(&line).expect("an object")
}

#[test]
fn every_step_holds_and_the_exit_is_zero() {
    let done = run(&["demo", "--once", "--json"]);
    assert!(done.status.success(), "{done:#?}");
    let steps: Vec<Value> =
        objects(&done.stdout).into_iter().filter(|object| object.get("step").is_some()).collect();
    let numbers: Vec<u64> = steps.iter().filter_map(|step| step["step"].as_u64()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7], "{steps:#?}");
    for step in &steps {
        assert_eq!(step["held"], json!(true), "{step}");
        assert!(
            step["block"].is_u64() && step["elapsed_ms"].is_u64() && step["told"].is_string(),
            "{step}"
        );
    }
}

#[test]
fn a_second_start_continues_the_same_chain_even_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path());

    let mut first = Running::start(&["demo", "--json", "--datadir", datadir]);
    let addresses = visit(&mut first);
    let url = addresses["rpc"].as_str().expect("an address").to_owned();
    let head = rpc(&url, "eth_getBlockByNumber", json!(["latest", false]));
    let page = get(addresses["page"].as_str().expect("an address"));
    assert!(page.contains("<main"), "{page}");
    first.kill();

    let mut second = Running::start(&["demo", "--json", "--datadir", datadir]);
    let url = visit(&mut second)["rpc"].as_str().expect("an address").to_owned();
    let again = rpc(&url, "eth_getBlockByNumber", json!([head["number"], false]));
    assert_eq!(again["hash"], head["hash"], "the block that was announced is still there");
    let before = quantity(&head["number"]);
    eventually("a new block", || {
        (quantity(&rpc(&url, "eth_blockNumber", json!([]))) > before).then_some(())
    });
    second.interrupt();
    assert!(second.wait().success());
}

#[test]
fn wallets_are_answered_while_it_is_up() {
    let mut demo = Running::start(&["demo", "--json"]);
    let url = visit(&mut demo)["rpc"].as_str().expect("an address").to_owned();
    let id = quantity(&rpc(&url, "eth_chainId", json!([])));
    assert_eq!(rpc(&url, "net_version", json!([])), json!(id.to_string()));
    assert_eq!(rpc(&url, "eth_gasPrice", json!([])), json!("0x0"));
    demo.interrupt();
    assert!(demo.wait().success());
}

#[test]
fn an_interrupted_story_did_not_hold() {
    let mut demo = Running::start(&["demo", "--once", "--json"]);
    demo.line("the first step", |line| line.contains("\"step\":1"));
    demo.interrupt();
    assert_eq!(demo.wait().code(), Some(1));
}
