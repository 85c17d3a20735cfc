//! FHIR R4 JSON: splitting NDJSON, and the rules that FHIR adds to JSON.
//!
//! A Bundle may be any type that carries resources; its entries may ask for POST or PUT or nothing. Everything that would
//! make the reader *do* something else (DELETE, PATCH, GET, conditions) refuses the Bundle.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use crate::model::json::{self, Value};
use crate::model::{At, Issue, Severity};
use std::collections::HashSet;

/// Bundle types whose entries are records.
const BUNDLE_TYPES: [&str; 7] =
    ["collection", "document", "message", "searchset", "history", "transaction", "batch"];

/// Cuts NDJSON into lines; a single value is one part.
///
/// # Errors
/// A fatal issue if the first value is not JSON.
pub fn split(bytes: &[u8]) -> Result<Vec<&[u8]>, Issue> {
    let end = value_end(bytes);
    let rest = bytes.get(end..).unwrap_or_default();
    let next = rest.iter().position(|byte| !byte.is_ascii_whitespace());
    let gap = rest.get(..next.unwrap_or(rest.len())).unwrap_or_default();
    let is_ndjson = next.and_then(|n| rest.get(n)) == Some(&b'{') && gap.contains(&b'\n');
    if !is_ndjson {
        return Ok(vec![bytes]);
    }
    Ok(bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .collect())
}

/// Offset behind the first value: brackets balanced outside of strings. Whether it is JSON is for [`parse`] to say.
fn value_end(bytes: &[u8]) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index.saturating_add(1);
                }
            }
            _ => {}
        }
    }
    bytes.len()
}

/// Reads one resource and holds it to FHIR's own rules on JSON.
///
/// # Errors
/// A fatal issue: not JSON, or a rule of FHIR's JSON format, of ids, of contained resources or of Bundles is broken.
pub fn parse(bytes: &[u8]) -> Result<Value, Issue> {
    let value = json::parse(bytes).map_err(|error| {
        let at =
            At { byte: error.byte, line: error.line, column: error.column, path: String::new() };
        Issue::new(Severity::Fatal, "structure", "json", at, error.rule)
    })?;
    let resource_type = value.str_at("resourceType").unwrap_or_default().to_owned();
    if resource_type.is_empty() {
        return Err(refuse("required", "fhir-type", "", "no resourceType"));
    }
    if resource_type != "Bundle" && bytes.len() > super::MAX_ITEM_BYTES {
        return Err(super::too_long(At::path(resource_type), super::MAX_ITEM_BYTES));
    }
    check_value(&value, &resource_type, false)?;
    if resource_type == "Bundle" {
        check_bundle(&value)?;
    } else {
        check_resource(&value, &resource_type)?;
    }
    Ok(value)
}

/// The resources of a value: a Bundle's entries with their fullUrl, or the value itself.
pub fn resources(value: &Value) -> Vec<(Option<&str>, &Value)> {
    if value.str_at("resourceType") != Some("Bundle") {
        return vec![(None, value)];
    }
    value
        .items("entry")
        .iter()
        .filter_map(|entry| Some((entry.str_at("fullUrl"), entry.get("resource")?)))
        .collect()
}

fn refuse(code: &'static str, rule: &'static str, path: &str, text: &str) -> Issue {
    Issue::new(Severity::Fatal, code, rule, At::path(path), text)
}

/// No NUL, no empty object or array, null only beside a primitive's extensions, numbers finite.
fn check_value(value: &Value, path: &str, null_allowed: bool) -> Result<(), Issue> {
    match value {
        Value::Null if null_allowed => Ok(()),
        Value::Null => {
            Err(refuse("structure", "fhir-null", path, "null outside of a primitive array"))
        }
        Value::String(text) if text.contains('\0') => {
            Err(refuse("value", "fhir-nul", path, "a NUL character"))
        }
        Value::String(text) if text.is_empty() => {
            Err(refuse("structure", "fhir-empty", path, "an empty string"))
        }
        Value::Number(text) if !text.parse::<f64>().is_ok_and(f64::is_finite) => {
            Err(refuse("value", "fhir-number", path, "a number out of range"))
        }
        Value::Array(items) if items.is_empty() => {
            Err(refuse("structure", "fhir-empty", path, "an empty array"))
        }
        Value::Array(items) => {
            let has_value = items.iter().any(|item| !matches!(item, Value::Null));
            let is_primitive = !path.rsplit('.').next().is_some_and(|name| name.starts_with('_'))
                && items.iter().any(|item| matches!(item, Value::Object(_)));
            items.iter().enumerate().try_for_each(|(index, item)| {
                check_value(item, &format!("{path}[{index}]"), has_value && !is_primitive)
            })
        }
        Value::Object(members) if members.is_empty() => {
            Err(refuse("structure", "fhir-empty", path, "an empty object"))
        }
        Value::Object(members) => members
            .iter()
            .try_for_each(|(name, member)| check_value(member, &format!("{path}.{name}"), false)),
        _ => Ok(()),
    }
}

/// `[A-Za-z0-9\-.]{1,64}` (FHIR, `id`), and not a path component.
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && !id.bytes().all(|byte| byte == b'.')
}

fn check_resource(resource: &Value, path: &str) -> Result<(), Issue> {
    if let Some(id) = resource.get("id")
        && !id.as_str().is_some_and(is_id)
    {
        return Err(refuse("value", "fhir-id", &format!("{path}.id"), "not a FHIR id"));
    }
    let mut ids = HashSet::new();
    for (index, contained) in resource.items("contained").iter().enumerate() {
        let at = format!("{path}.contained[{index}]");
        if contained.get("contained").is_some() {
            return Err(refuse("structure", "fhir-contained", &at, "contained in contained"));
        }
        let id = contained.str_at("id").filter(|id| is_id(id));
        if id.is_none_or(|id| !ids.insert(id)) {
            return Err(refuse("value", "fhir-contained", &at, "no id of its own"));
        }
    }
    Ok(())
}

fn check_bundle(bundle: &Value) -> Result<(), Issue> {
    if !bundle.str_at("type").is_some_and(|kind| BUNDLE_TYPES.contains(&kind)) {
        return Err(refuse(
            "not-supported",
            "fhir-bundle",
            "Bundle.type",
            "not a type that is read",
        ));
    }
    let is_history = bundle.str_at("type") == Some("history");
    let mut seen = HashSet::new();
    for (index, entry) in bundle.items("entry").iter().enumerate() {
        let path = format!("Bundle.entry[{index}]");
        if let Some(url) = entry.str_at("fullUrl")
            && !seen.insert(url)
            && !is_history
        {
            return Err(refuse("duplicate", "fhir-full-url", &path, "a fullUrl used twice"));
        }
        if let Some(request) = entry.get("request") {
            let method = request.str_at("method").unwrap_or_default();
            let conditional = ["ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist"]
                .iter()
                .any(|name| request.get(name).is_some())
                || request.str_at("url").is_some_and(|url| url.contains('?'));
            if !matches!(method, "POST" | "PUT") || conditional {
                let at = format!("{path}.request");
                return Err(refuse(
                    "not-supported",
                    "fhir-request",
                    &at,
                    "only plain POST and PUT",
                ));
            }
        }
        if let Some(resource) = entry.get("resource") {
            if resource.str_at("resourceType").is_none() {
                return Err(refuse("required", "fhir-type", &path, "no resourceType"));
            }
            check_resource(resource, &format!("{path}.resource"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ndjson_is_cut_and_pretty_json_is_not() {
        let lines = split(b"{\"a\":1}\n{\"a\":2}\n\n").expect("split");
        assert_eq!(lines.len(), 2);
        assert_eq!(split(b"{\n \"a\":\n {\"b\":1}\n}\n").expect("split").len(), 1);
        assert_eq!(split(b"{} {}").expect("split").len(), 1);
    }

    #[test]
    fn null_stands_beside_primitives_only() {
        let good = br#"{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"id":"x"}]}]}"#;
        assert!(parse(good).is_ok());
        let bad = br#"{"resourceType":"Patient","name":[null,{"family":"A"}]}"#;
        assert_eq!(parse(bad).expect_err("null").rule, "fhir-null");
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(text in "\\{[\\[\\]{}\":,a-z\\\\n]{0,60}", raw: Vec<u8>) {
            for bytes in [text.as_bytes(), &raw] {
                let _ = split(bytes);
                let _ = parse(bytes);
            }
        }
    }
}
