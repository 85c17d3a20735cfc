//! Public exchange files against a running node: `judge exchanges FOLDER --url URL`.
//!
//! A file `METHOD/NAME.io` holds comments (`//`), requests (`>>`) and answers (`<<`). Judged as hive does: the JSON is
//! equal, the words of errors and their `data` aside; where a comment says `speconly:`, only result or error is compared.
//! Files are taken in the order of their names, since sent transactions build on each other.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{
    Verdict, Verdicts,
    http::{Request, address_of, send},
    rpc::Seen,
    text,
};

/// Judges every file below the folder.
pub(crate) fn judge(folder: &Path, url: &str, seen: Seen<'_>) -> Result<Verdicts, String> {
    let address = address_of(url)?;
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut verdicts = Vec::new();
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
        let content = std::fs::read_to_string(&file).map_err(text)?;
        verdicts.push((name, judge_file(&content, &address, seen)));
    }
    Ok(verdicts)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(text)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "io") {
            files.push(path);
        }
    }
    Ok(())
}

fn judge_file(content: &str, address: &str, seen: Seen<'_>) -> Verdict {
    let is_speconly = content.lines().any(|line| {
        line.strip_prefix("//").is_some_and(|comment| comment.trim().starts_with("speconly:"))
    });
    let mut answer: Option<Value> = None;
    for line in content.lines() {
        if let Some(request) = line.strip_prefix(">>") {
            let (status, body) = send(address, &Request::json(request.trim().as_bytes()))?;
            if status != 200 {
                return Err(format!("status {status}"));
            }
            let have: Value = serde_json::from_slice(&body).map_err(text)?;
            seen(&serde_json::from_str(request.trim()).map_err(text)?, &have);
            answer = Some(have);
        } else if let Some(want) = line.strip_prefix("<<") {
            let want: Value = serde_json::from_str(want.trim()).map_err(text)?;
            let have = answer.take().ok_or("an answer without a request")?;
            compare(&have, &want, is_speconly)?;
        }
    }
    Ok(())
}

fn compare(have: &Value, want: &Value, is_speconly: bool) -> Verdict {
    let is_error = |answer: &Value| answer.get("error").is_some();
    if is_error(have) != is_error(want) {
        return Err(format!("have {have:.300}, want {want:.300}"));
    }
    if is_speconly {
        return Ok(());
    }
    super::rpc::same(&without_words(have), &without_words(want))
}

/// The answer without what implementations word for themselves.
fn without_words(answer: &Value) -> Value {
    let mut out = answer.clone();
    if let Some(error) = out.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("message");
        error.remove("data");
    }
    if let Some(blocks) = out.get_mut("result") {
        forget_messages(blocks);
    }
    out
}

/// The messages of failed calls inside of a simulation.
fn forget_messages(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(forget_messages),
        Value::Object(members) => {
            if let Some(error) = members.get_mut("error").and_then(Value::as_object_mut) {
                error.remove("message");
                error.remove("data");
            }
            members.values_mut().for_each(forget_messages);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_aside_and_codes_are_not() {
        let error = |code: i64, message: &str| json!({"error": {"code": code, "message": message}});
        assert!(compare(&error(-1, "a"), &error(-1, "b"), false).is_ok());
        assert!(compare(&error(-1, "a"), &error(-2, "a"), false).is_err());
        assert!(compare(&error(-1, "a"), &error(-2, "a"), true).is_ok());
        assert!(compare(&json!({"result": 1}), &error(-2, "a"), true).is_err());
    }
}
