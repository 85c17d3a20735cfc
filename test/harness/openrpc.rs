//! Holds an answer to Ethereum's JSON-RPC standard: `test/vectors/rpc/openrpc.json`.
//!
//! Every answer of every test comes by here. Not judged: what is about the pending block, methods that the document
//! lacks, and errors beyond their form. Of JSON Schema (draft 2019-09) this knows what the document uses, and says so if
//! it uses more; the proxy of `test/clients` judges the same answers with Ajv.

use std::{collections::HashMap, sync::LazyLock};

use serde_json::Value;

static JUDGES: LazyLock<HashMap<String, Value>> = LazyLock::new(|| {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let at = ["test/vectors/rpc/openrpc.json", "../test/vectors/rpc/openrpc.json"];
    let text = at.iter().find_map(|file| std::fs::read_to_string(root.join(file)).ok());
    let document: Value =
        serde_json::from_str(&text.expect("the document is there")).expect("JSON");
    let methods = document["methods"].as_array().expect("a list of methods").iter();
    let judge = |method: &Value| {
        let name = method["name"].as_str().expect("a name").to_owned();
        (name, method["result"]["schema"].clone())
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
    let (Some(result), Some(schema), false) = (result, JUDGES.get(method), is_pending) else {
        return;
    };
    // the document gives a waiting transaction no null fields, and of a filled one it wants a gasPrice that its own
    // recorded exchange gives as null
    let is_waiting =
        method.starts_with("eth_getTransactionBy") && result.get("blockHash") == Some(&Value::Null);
    if is_waiting || method == "eth_fillTransaction" {
        return;
    }
    if let Err(misfit) = fits(schema, result, "") {
        panic!("{method} {params}: {misfit}: {result}");
    }
}

/// Why a value is not what the schema says.
fn fits(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let is_all = schema.as_bool().is_some_and(|is_all| is_all);
    let Some(rules) = schema.as_object().filter(|_| !is_all) else {
        return if is_all { Ok(()) } else { Err(format!("{at}: nothing may stand here")) };
    };
    for (rule, wanted) in rules {
        let wrong = || Err(format!("{at}: {rule} {wanted} does not hold for {value}"));
        let fit = |schema: &Value| fits(schema, value, at).is_ok();
        let list = || wanted.as_array().expect("a list of schemas").iter();
        let is_held = match rule.as_str() {
            "title" | "description" | "required" => true,
            "type" => match wanted.as_str() {
                Some("object") => value.is_object(),
                Some("array") => value.is_array(),
                Some("string") => value.is_string(),
                Some("null") => value.is_null(),
                Some("boolean") => value.is_boolean(),
                Some("integer") => value.is_i64() || value.is_u64(),
                Some("number") => value.is_number(),
                _ => return wrong(),
            },
            "pattern" => value
                .as_str()
                .is_none_or(|text| matches(wanted.as_str().expect("a pattern is text"), text)),
            "minimum" => value.as_f64().is_none_or(|number| Some(number) >= wanted.as_f64()),
            "maximum" => value.as_f64().is_none_or(|number| Some(number) <= wanted.as_f64()),
            "enum" => list().any(|one| one == value),
            "const" => wanted == value,
            // an empty list is one of hashes as well as one of logs, so more than one may fit
            "oneOf" | "anyOf" => list().any(fit),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(wanted, item, &format!("{at}/{index}"))?;
                }
                true
            }
            "properties" => {
                for (name, schema) in wanted.as_object().expect("members") {
                    if let Some(member) = value.get(name) {
                        fits(schema, member, &format!("{at}/{name}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = |name: &String| schema["properties"].get(name).is_some();
                let members = value.as_object().into_iter().flatten();
                for (name, member) in members.filter(|(name, _)| !known(name)) {
                    fits(wanted, member, &format!("{at}/{name}"))?;
                }
                true
            }
            other => panic!("the document has a rule that is not known here: {other}"),
        };
        if !is_held {
            return wrong();
        }
    }
    // geth 1.13 knows no blockTimestamp in transactions, and Clique chains speak as it does
    let required = schema["required"].as_array().into_iter().flatten();
    let missing = required.filter(|name| **name != "blockTimestamp").find(|name| {
        value.is_object() && value.get(name.as_str().expect("a name is text")).is_none()
    });
    missing.map_or(Ok(()), |name| Err(format!("{at}: {name} is missing")))
}

/// The patterns of the document: `^`, a fixed start, a class of characters with a count, `$`.
fn matches(pattern: &str, text: &str) -> bool {
    let inner = pattern.strip_prefix('^').expect("patterns begin at the start");
    let Some(inner) = inner.strip_suffix('$') else {
        return text.starts_with(inner.strip_suffix(".*").expect("a start and anything"));
    };
    // a number without leading zeros
    if let Some((prefix, digits)) = inner.split_once("(0|[1-9") {
        let digits = digits.strip_suffix(')').expect("it ends there");
        let (_, counted) = digits.split_once(']').expect("a class");
        let Some(number) = text.strip_prefix(prefix) else { return false };
        let is_first = |digit: char| {
            digit != '0'
                && matches(
                    &format!("^{}$", &counted[..counted.find(']').expect("a class") + 1]),
                    &digit.to_string(),
                )
        };
        let mut rest = number.chars();
        return match rest.next() {
            Some('0') => number.len() == 1,
            Some(first) => is_first(first) && matches(&format!("^{counted}$"), rest.as_str()),
            None => false,
        };
    }
    let Some((prefix, class)) = inner.split_once('[') else { return text == inner };
    let (class, count) = class.split_once(']').expect("a class");
    let is_upper_allowed = match class {
        "0-9a-f" => false,
        "0-9a-fA-F" => true,
        "0-9" => {
            let digits = text.strip_prefix(prefix);
            return digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        }
        other => panic!("a class that is not known here: {other}"),
    };
    let (least, most) = match count.trim_matches(['{', '}']) {
        "*" => (0, usize::MAX),
        "" => (1, 1),
        range => {
            let number = |text: &str| text.parse().expect("a count");
            range.split_once(',').map_or_else(
                || (number(range), number(range)),
                |(least, most)| (number(least), number(most)),
            )
        }
    };
    let is_digit = |byte: u8| {
        byte.is_ascii_digit()
            || (b'a'..=b'f').contains(&byte)
            || (is_upper_allowed && byte.is_ascii_hexdigit())
    };
    text.strip_prefix(prefix)
        .is_some_and(|rest| (least..=most).contains(&rest.len()) && rest.bytes().all(is_digit))
}
