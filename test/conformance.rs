//! The running program against recorded answers of others: geth's on a chain that it sealed, and the standard's.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{
    harness::{Running, free_port, openrpc, run, text},
    judge::{Verdicts, exchanges, rpc},
};

/// Lines that may answer otherwise than geth, each with its reason in the file of differences.
const MOST_DIFFERENCES: usize = 40;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("test/vectors")
}

fn assert_passed(verdicts: &Verdicts) {
    let failed: Vec<String> = verdicts
        .iter()
        .filter_map(|(name, verdict)| verdict.as_ref().err().map(|why| format!("{name}: {why}")))
        .collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), verdicts.len());
}

/// Holds an answer to the standard's schema. The words of calls that fail inside of a simulation are not judged.
fn fits_standard(request: &Value, answer: &Value) {
    let method = request["method"].as_str().unwrap_or_default();
    let is_worded = method == "eth_simulateV1" && answer.to_string().contains("\"error\"");
    if !is_worded {
        openrpc::judge(method, &request["params"], answer);
    }
}

/// A node that serves geth's chain.
fn geth_chain(folder: &Path) -> (Running, String) {
    let geth = vectors().join("clique/geth-chain");
    let datadir = text(folder);
    for arguments in [
        vec!["init", text(&geth.join("genesis.json")), "--datadir", datadir],
        vec!["import", text(&geth.join("chain.rlp.gz")), "--datadir", datadir],
    ] {
        let finished = run(&arguments);
        assert!(finished.status.success(), "{arguments:?}: {}", finished.stderr);
    }
    let port = free_port().to_string();
    let opened = "eth,net,web3,debug,clique,txpool,trace,ots,erigon";
    let arguments =
        ["node", "--datadir", datadir, "--ipcdisable", "--http.port", &port, "--http.api", opened];
    let mut node = Running::start(&arguments);
    node.line("the address", |line| line.contains("JSON-RPC at"));
    (node, format!("http://127.0.0.1:{port}"))
}

#[test]
fn geths_recorded_answers_are_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_node, url) = geth_chain(folder.path());
    let file = vectors().join("clique/geth-chain/rpc.jsonl.gz");
    let differences = vectors().join("rpc/geth-differences.json");
    // geth's own forms count here, and not each of them is the standard's
    let verdicts =
        rpc::judge(&file, &url, Some(&differences), &mut |_, _| {}).expect("a file of exchanges");
    assert_eq!(verdicts.len(), 1_088);
    assert_passed(&verdicts);
    let listed = rpc::read_differences(&differences).expect("a list");
    assert!(listed.len() <= MOST_DIFFERENCES, "{} lines differ on purpose", listed.len());
}

#[test]
fn our_own_exchanges_for_clique_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_node, url) = geth_chain(folder.path());
    let verdicts = exchanges::judge(&vectors().join("rpc/exchanges"), &url, &mut fits_standard)
        .expect("exchanges");
    assert!(verdicts.len() >= 10, "{} exchanges", verdicts.len());
    assert_passed(&verdicts);
}

/// Runs where `MSNET_EXECUTION_APIS` names the folder `tests` of ethereum/execution-apis; that project's files do not lie
/// here.
#[test]
fn the_standards_exchanges_hold() {
    let Some(folder) = std::env::var_os("MSNET_EXECUTION_APIS").map(PathBuf::from) else {
        eprintln!("skipped: MSNET_EXECUTION_APIS does not name the folder of the exchanges");
        return;
    };
    let port = free_port().to_string();
    let files = ["genesis.json", "chain.rlp", "headfcu.json"].map(|name| folder.join(name));
    let [genesis, chain, forkchoice] = &files;
    let arguments = [
        "node",
        "--replay",
        text(genesis),
        text(chain),
        text(forkchoice),
        "--ipcdisable",
        "--http.api",
        "eth,net,debug,txpool",
        "--http.port",
        &port,
    ];
    let mut node = Running::start(&arguments);
    node.line("the address", |line| line.contains("JSON-RPC at"));
    let url = format!("http://127.0.0.1:{port}");
    let mut verdicts = exchanges::judge(&folder, &url, &mut fits_standard).expect("exchanges");
    // a method for tests of clients alone
    verdicts.retain(|(name, _)| !name.starts_with("testing_"));
    assert_passed(&verdicts);
}
