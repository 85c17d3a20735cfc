//! Holds an answer to Ethereum's JSON-RPC standard: `test/vectors/rpc/openrpc.json`, JSON Schema draft 2019-09.
//!
//! Every answer of every test comes by here. Not judged: what is about the pending block, methods that the document
//! lacks, and errors beyond their form.

use std::{collections::HashMap, sync::LazyLock};

use jsonschema::{Draft, Validator};
use serde_json::Value;

static JUDGES: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let root = std::path::Path::new(path);
    let at = ["test/vectors/rpc/openrpc.json", "../test/vectors/rpc/openrpc.json"];
    let text = at.iter().find_map(|file| std::fs::read_to_string(root.join(file)).ok());
    let document: Value = serde_json::from_str(&text.expect("the document is there")).expect("JSON");
    let methods = document["methods"].as_array().expect("a list of methods").iter();
    let judge = |method: &Value| {
        let name = method["name"].as_str().expect("a name").to_owned();
        let schema = &method["result"]["schema"];
        let made = jsonschema::options().with_draft(Draft::Draft201909).build(schema);
        (name, made.expect("a schema"))
    };
    methods.map(judge).collect()
});

/// Fails the test if the answer to a call is none of the standard's.
pub(crate) fn judge(method: &str, params: &Value, answer: &Value) {
    let object = answer.as_object().unwrap_or_else(|| panic!("{method}: no object: {answer}"));
    assert_eq!(object.get("jsonrpc"), Some(&Value::from("2.0")), "{method}: {answer}");
    let (result, error) = (object.get("result"), object.get("error"));
    assert!(result.is_some() != error.is_some(), "{method}: result or error: {answer}");
    assert!(object.contains_key("id") && object.len() == 3, "{method}: other members: {answer}");
    if let Some(error) = error {
        let is_error = error["code"].is_i64() && error["message"].is_string();
        assert!(is_error, "{method}: no error object: {answer}");
    }
    let is_pending = params.to_string().contains("\"pending\"")
        && (method.contains("Block") || method.contains("Transaction"));
    let (Some(result), Some(judge), false) = (result, JUDGES.get(method), is_pending) else {
        return;
    };
    if let Err(misfit) = judge.validate(result) {
        panic!("{method} {params}: {misfit} at {}: {result}", misfit.instance_path());
    }
}
