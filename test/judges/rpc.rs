//! Recorded JSON-RPC exchanges against a running node: `judge rpc FILE --url URL [--differences FILE]`.
//!
//! A line is `{name, judge?, request | raw, http?, status?, response | response_text}` (the README of
//! `test/vectors/clique/geth-chain` has the shape). `judge`: `equal`, `set` (order inside lists aside), `shape` (result or
//! error, and its JSON type). The text of an error is not compared where the recorded one names types of Go.
//!
//! A file of differences is `[{lines: [n, …], geth, here, why}]`, lines counted from 1: such a line must answer otherwise,
//! else the list is out of date.

use std::{collections::BTreeMap, io::Read as _, path::Path};

use serde_json::Value;

use super::{
    Verdict, Verdicts,
    http::{Request, address_of, send},
    list, string, text,
};

/// Words that only Go's types bring into a text.
const GO_WORDS: [&str; 8] =
    ["json: ", " for common.", " for types.", " for hexutil.", "Go ", "<eval>", "ethapi.", "rpc."];

/// Who is shown each request and its answer, whatever the verdict.
pub(crate) type Seen<'a> = &'a mut dyn FnMut(&Value, &Value);

/// Judges every line of a file, in order.
pub(crate) fn judge(
    path: &Path,
    url: &str,
    differences: Option<&Path>,
    seen: Seen<'_>,
) -> Result<Verdicts, String> {
    let address = address_of(url)?;
    let known = differences.map(read_differences).transpose()?.unwrap_or_default();
    let mut verdicts = Vec::new();
    for (index, line) in unpacked(path)?.lines().enumerate() {
        let exchange: Value =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", index + 1))?;
        let name = format!("line {} ({})", index + 1, string(&exchange, "name")?);
        let verdict = judge_line(&exchange, &address, seen);
        let verdict = match (known.get(&(index + 1)), verdict) {
            (None, verdict) => verdict,
            (Some(_), Err(_)) => Ok(()),
            (Some(why), Ok(())) => Err(format!("answers as recorded, but is listed: {why}")),
        };
        verdicts.push((name, verdict));
    }
    Ok(verdicts)
}

pub(crate) fn read_differences(path: &Path) -> Result<BTreeMap<usize, String>, String> {
    let json: Value = serde_json::from_str(&unpacked(path)?).map_err(text)?;
    let mut known = BTreeMap::new();
    for entry in json.as_array().ok_or("the differences are not a list")? {
        let why = string(entry, "why")?;
        for line in list(entry, "lines")? {
            let line = line.as_u64().and_then(|line| usize::try_from(line).ok());
            known.insert(line.ok_or("a line is not a number")?, why.to_owned());
        }
    }
    Ok(known)
}

/// The text of a file, gzip or not.
pub(crate) fn unpacked(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut out = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut out).map_err(text)?;
    } else {
        out = String::from_utf8(bytes).map_err(text)?;
    }
    Ok(out)
}

fn judge_line(exchange: &Value, address: &str, seen: Seen<'_>) -> Verdict {
    let mut body = match (exchange.get("raw"), exchange.get("request")) {
        (Some(raw), _) => raw.as_str().unwrap_or_default().to_owned(),
        (None, Some(request)) => request.to_string(),
        (None, None) => return Err("nothing to send".to_owned()),
    };
    let http = &exchange["http"];
    if let Some(pad) = http["pad"].as_u64().and_then(|pad| usize::try_from(pad).ok()) {
        while body.len() < pad {
            body.push(' ');
        }
    }
    let mut request = Request::json(body.as_bytes());
    request.method = http["method"].as_str().unwrap_or(request.method);
    request.path = http["path"].as_str().unwrap_or(request.path);
    if let Some(headers) = http["headers"].as_object() {
        let header = |(name, value): (&String, &Value)| {
            (name.clone(), value.as_str().unwrap_or_default().to_owned())
        };
        request.headers = headers.iter().map(header).collect();
    }
    let (status, answer) = send(address, &request)?;
    let want = exchange["status"].as_u64().unwrap_or(200);
    if u64::from(status) != want {
        return Err(format!("status {status}, want {want}"));
    }
    let answer = String::from_utf8(answer).map_err(text)?;
    if let Some(want) = exchange["response_text"].as_str() {
        let (have, want) = (answer.trim_end(), want.trim_end());
        return if have == want { Ok(()) } else { Err(format!("text {have:?}, want {want:?}")) };
    }
    let have: Value = serde_json::from_str(&answer)
        .map_err(|error| format!("{error} in the answer {answer:.200?}"))?;
    if let Some(request) = exchange.get("request").filter(|request| request["method"].is_string()) {
        seen(request, &have);
    }
    let recorded = match &exchange["response"] {
        Value::String(text) => serde_json::from_str(text).map_err(|error| error.to_string())?,
        other => other.clone(),
    };
    compare(exchange["judge"].as_str().unwrap_or("equal"), &have, &recorded)
}

fn compare(judge: &str, have: &Value, want: &Value) -> Verdict {
    match judge {
        "equal" => same(&worded(have, want), want),
        "set" => same(&sorted(&worded(have, want)), &sorted(want)),
        "shape" if shape(have) == shape(want) || have.get("error").is_some() => Ok(()),
        "shape" => Err(format!("shape {}, want {}", shape(have), shape(want))),
        other => Err(format!("no judge {other:?}")),
    }
}

pub(crate) fn same(have: &Value, want: &Value) -> Verdict {
    if have == want {
        return Ok(());
    }
    let mut path = String::new();
    let (have, want) = first_difference(have, want, &mut path);
    let short = |value: &Value| format!("{:.400}", value.to_string());
    Err(format!("{path}: have {}, want {}", short(&have), short(&want)))
}

/// The first place at which two values differ.
fn first_difference(have: &Value, want: &Value, path: &mut String) -> (Value, Value) {
    match (have, want) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()) {
                let (x, y) = (a.get(key), b.get(key));
                if x != y {
                    path.push('.');
                    path.push_str(key);
                    return match (x, y) {
                        (Some(x), Some(y)) => first_difference(x, y, path),
                        (x, y) => {
                            path.push_str(if x.is_none() { " (absent)" } else { " (too much)" });
                            (x.cloned().unwrap_or_default(), y.cloned().unwrap_or_default())
                        }
                    };
                }
            }
            (have.clone(), want.clone())
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (x, y)) in a.iter().zip(b).enumerate() {
                if x != y {
                    path.push_str(&format!("[{index}]"));
                    return first_difference(x, y, path);
                }
            }
            (have.clone(), want.clone())
        }
        _ => (have.clone(), want.clone()),
    }
}

/// The answer with the recorded text in the place of ours wherever the recorded one names types of Go.
fn worded(have: &Value, want: &Value) -> Value {
    match (have, want) {
        (Value::Array(have), Value::Array(want)) if have.len() == want.len() => {
            have.iter().zip(want).map(|(have, want)| worded(have, want)).collect()
        }
        (Value::Object(_), Value::Object(_)) => {
            let mut out = have.clone();
            let recorded = want["error"]["message"].as_str().unwrap_or_default();
            let names_go = GO_WORDS.iter().any(|word| recorded.contains(word));
            if names_go && out["error"]["message"].is_string() {
                out["error"]["message"] = recorded.into();
            }
            out
        }
        _ => have.clone(),
    }
}

/// The value with every list in the order of its items' text.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(members) => {
            members.iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
        }
        other => other.clone(),
    }
}

/// Result or error, and the type of the result.
fn shape(answer: &Value) -> &'static str {
    match answer {
        Value::Array(_) => "batch",
        _ if answer.get("error").is_some() => "error",
        _ => match answer.get("result") {
            None => "nothing",
            Some(Value::Null) => "null",
            Some(Value::Bool(_)) => "boolean",
            Some(Value::Number(_)) => "number",
            Some(Value::String(_)) => "string",
            Some(Value::Array(_)) => "list",
            Some(Value::Object(_)) => "object",
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_of_go_are_set_aside_and_codes_are_not() {
        let error = |code: i64, message: &str| json!({"error": {"code": code, "message": message}});
        let go = error(-32602, "json: cannot unmarshal x into Go value of type y");
        assert!(compare("equal", &error(-32602, "x"), &go).is_ok());
        assert!(compare("equal", &error(-32000, "x"), &go).is_err());
        assert!(compare("equal", &error(3, "a"), &error(3, "b")).is_err());
        assert!(compare("set", &json!({"result": [1, 2]}), &json!({"result": [2, 1]})).is_ok());
        assert!(compare("equal", &json!({"result": [1, 2]}), &json!({"result": [2, 1]})).is_err());
        assert!(compare("shape", &json!({"result": "a"}), &json!({"result": "b"})).is_ok());
        assert!(compare("shape", &json!({"result": 1}), &json!({"result": "b"})).is_err());
    }

    #[test]
    fn the_first_difference_is_named() {
        let verdict = same(&json!({"a": [1, {"b": 2}]}), &json!({"a": [1, {"b": 3}]}));
        assert_eq!(verdict, Err(".a[1].b: have 2, want 3".to_owned()));
    }
}
