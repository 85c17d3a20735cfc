//! Every method is served that is promised, and promised that is served.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Dev, INSTANT};
use crate::dispatch;

const DESIGN: &str = include_str!("../../../design/rpc.md");
const STANDARD: &str = include_str!("../../../test/vectors/rpc/openrpc.json");
/// What the standard has and this node refuses, as `design/rpc.md` says: there is no engine, nobody's access lists, and
/// the testing namespace is for clients that build blocks on demand.
const REFUSED: [&str; 4] =
    ["engine_", "testing_", "eth_getBlockAccessList", "debug_getRawBlockAccessList"];

/// The table of `design/rpc.md`: a line for each namespace, its methods by their names, a full stop at the end of none.
fn promised() -> BTreeSet<String> {
    let (_, table) = DESIGN.split_once("| namespace | methods |\n").expect("the table");
    let lines = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let mut found = BTreeSet::new();
    for line in lines {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [namespace, methods] = cells[..] else { panic!("two cells: {line}") };
        let (namespace, count) = namespace.split_once(' ').expect("a name and a count");
        let names: Vec<String> = methods
            .split_whitespace()
            .map(|name| format!("{}_{}", namespace.trim_matches('`'), name.trim_matches('`')))
            .collect();
        assert_eq!(names.len().to_string(), count, "{namespace}");
        found.extend(names);
    }
    found
}

fn served() -> BTreeSet<String> {
    dispatch::names().map(str::to_owned).collect()
}

#[test]
fn what_is_served_is_promised_and_the_other_way_round() {
    let (promised, served) = (promised(), served());
    let missing: Vec<_> = promised.difference(&served).collect();
    let silent: Vec<_> = served.difference(&promised).collect();
    assert!(
        missing.is_empty() && silent.is_empty(),
        "not served {missing:?}, not promised {silent:?}"
    );
}

#[test]
fn the_standards_methods_are_served() {
    let document: Value = serde_json::from_str(STANDARD).expect("JSON");
    let methods = document["methods"].as_array().expect("a list of methods");
    let names = methods.iter().filter_map(|method| method["name"].as_str());
    let served = served();
    let missing: Vec<_> = names
        .filter(|name| !REFUSED.iter().any(|refused| name.starts_with(refused)))
        .filter(|name| !served.contains(*name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(methods.len() > 80, "{} methods in the standard", methods.len());
}

/// Each of them answers over the wire, to no parameters as to anything else, and is counted among its namespace.
#[tokio::test(flavor = "multi_thread")]
async fn every_method_answers() {
    let dev = Dev::start(INSTANT).await;
    let modules = dev.call("rpc_modules", json!([])).await;
    let mut by_namespace: BTreeMap<String, usize> = BTreeMap::new();
    for name in served() {
        let (namespace, _) = name.split_once('_').expect("a namespace");
        *by_namespace.entry(namespace.to_owned()).or_default() += 1;
        assert_eq!(modules[namespace], "1.0", "{name}");
        let is_elsewhere =
            ["admin_exportChain", "admin_importChain", "admin_changeLogLevel", "eth_subscribe"];
        if is_elsewhere.contains(&name.as_str()) {
            continue;
        }
        for params in [json!([]), json!([{}, {}, {}, {}, {}, {}, {}])] {
            let answer = dev.answer(&name, params).await;
            let code = &answer["error"]["code"];
            // these need the contracts, which this network has not
            let is_there = namespace == "med" || *code != -32601;
            assert!(is_there && *code != -32603, "{name}: {answer}");
        }
    }
    let namespaces: BTreeSet<&String> = by_namespace.keys().collect();
    let told: BTreeSet<&String> = modules.as_object().expect("an object").keys().collect();
    assert_eq!(namespaces, told);
    dev.stop().await;
}
