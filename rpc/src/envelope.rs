//! The outer form of a request body: one call or a list of calls, each with an id that comes back
//! byte for byte.
//!
//! jsonrpsee's `Id` holds text and 64-bit numbers alone, and serde takes the last of two equal
//! keys; a filter in front of the node may take the first. So the envelope is read here, strictly,
//! and only the inner call goes to jsonrpsee.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{error::RpcError, limits};

/// A whole body.
#[derive(Debug)]
pub enum Envelope<'a> {
    /// One request.
    Single(Entry<'a>),
    /// A list with at least one entry.
    Batch(Vec<Entry<'a>>),
}

/// One request.
#[derive(Debug)]
pub enum Entry<'a> {
    /// It has an id and gets an answer.
    Call(Call<'a>),
    /// It has no id and gets no answer.
    Notification,
    /// It is no request; the error goes out under the id, if that at least could be read.
    Invalid {
        /// The id as it came, or `null`.
        id: &'a str,
        /// Why it is none.
        error: RpcError,
    },
}

/// A request that gets an answer.
#[derive(Debug)]
pub struct Call<'a> {
    /// The id as it came.
    pub id: &'a str,
    /// Method name.
    pub method: Cow<'a, str>,
    /// Parameters as they came.
    pub params: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// -32700 if it is not exactly one JSON value of sane depth, -32600 if it is an empty list.
    pub fn parse(body: &'a [u8]) -> Result<Self, RpcError> {
        let text = std::str::from_utf8(body).map_err(|_| RpcError::Parse)?;
        if exceeds_depth(text) {
            return Err(RpcError::Parse);
        }
        // nearly every body is one sound request: it is read once
        if let Ok(Members(members)) = serde_json::from_str(text) {
            return Ok(Self::Single(Entry::new(&members)));
        }
        let value: &RawValue = serde_json::from_str(text).map_err(|_| RpcError::Parse)?;
        if !value.get().starts_with('[') {
            return Ok(Self::Single(Entry::parse(value)));
        }
        let entries: Vec<&RawValue> =
            serde_json::from_str(value.get()).map_err(|_| RpcError::Parse)?;
        if entries.is_empty() {
            return Err(RpcError::InvalidRequest("empty batch"));
        }
        Ok(Self::Batch(entries.into_iter().map(Entry::parse).collect()))
    }
}

impl<'a> Entry<'a> {
    fn parse(value: &'a RawValue) -> Self {
        match serde_json::from_str(value.get()) {
            Ok(Members(members)) => Self::new(&members),
            Err(_) => Self::invalid("null"),
        }
    }

    fn invalid(id: &'a str) -> Self {
        Self::Invalid { id, error: RpcError::InvalidRequest("invalid request") }
    }

    fn new(members: &[(Key<'a>, &'a RawValue)]) -> Self {
        let invalid = Self::invalid;
        let get = |name: &str| {
            members.iter().find(|(key, _)| key.0 == name).map(|(_, value)| value.get())
        };
        let id = get("id");
        let Ok(id) = id.map(validate_id).transpose() else { return invalid("null") };
        let method = get("method").and_then(text).filter(|method| !method.is_empty());
        let is_version_2 = get("jsonrpc").and_then(text).as_deref() == Some("2.0");
        match (id, method) {
            _ if !is_version_2 || has_duplicate(members) => invalid(id.unwrap_or("null")),
            (_, None) => invalid(id.unwrap_or("null")),
            (None, Some(_)) => Self::Notification,
            (Some(id), Some(method)) => Self::Call(Call { id, method, params: get("params") }),
        }
    }

    /// The id to answer under.
    pub fn id(&self) -> &'a str {
        match self {
            Self::Call(call) => call.id,
            Self::Notification => "null",
            Self::Invalid { id, .. } => id,
        }
    }
}

/// Any scalar of bounded length may be an id.
fn validate_id(raw: &str) -> Result<&str, ()> {
    let is_scalar = !raw.starts_with(['{', '[']);
    if is_scalar && raw.len() <= limits::ID_BYTES { Ok(raw) } else { Err(()) }
}

fn has_duplicate(members: &[(Key<'_>, &RawValue)]) -> bool {
    let is_earlier = |index: usize, key: &Key<'_>| {
        members[..index].iter().any(|(earlier, _)| earlier.0 == key.0)
    };
    members.iter().enumerate().any(|(index, (key, _))| is_earlier(index, key))
}

/// The text of a JSON string, borrowed if nothing in it is escaped.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// True if lists and objects nest deeper than [`limits::JSON_DEPTH`]; brackets inside of strings do
/// not count.
fn exceeds_depth(text: &str) -> bool {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits::JSON_DEPTH {
            return true;
        }
    }
    false
}

/// An object with all of its members, in order, equal keys included.
struct Members<'a>(Vec<(Key<'a>, &'a RawValue)>);

/// The name of a member.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = Key<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a member")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a request object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                /// No request of ours has more members; the rest could only cost time.
                const MEMBERS: usize = 32;
                let mut members = Vec::with_capacity(4);
                while let Some(member) = map.next_entry()? {
                    if members.len() == MEMBERS {
                        return Err(serde::de::Error::custom("too many members"));
                    }
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(body: &str) -> String {
        match Envelope::parse(body.as_bytes()) {
            Ok(Envelope::Single(Entry::Call(call))) => {
                format!("{} {} {}", call.id, call.method, call.params.unwrap_or("-"))
            }
            Ok(Envelope::Single(Entry::Notification)) => "notification".to_owned(),
            Ok(Envelope::Single(Entry::Invalid { id, error })) => format!("{id} {}", error.code()),
            Ok(Envelope::Batch(entries)) => format!("batch of {}", entries.len()),
            Err(error) => format!("{} {error}", error.code()),
        }
    }

    #[test]
    fn ids_are_kept_as_they_came() {
        let digits = "7".repeat(30);
        for id in ["1", "1.0", "-7", "1e3", "true", "null", "\"a\\u0062\"", &digits] {
            let body = format!(r#"{{"jsonrpc":"2.0","id": {id} ,"method":"m"}}"#);
            assert_eq!(single(&body), format!("{id} m -"));
        }
    }

    #[test]
    fn what_is_no_request_says_so() {
        for (body, expected) in [
            ("", "-32700 parse error"),
            ("{", "-32700 parse error"),
            ("{} {}", "-32700 parse error"),
            ("[]", "-32600 empty batch"),
            ("1", "null -32600"),
            (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, "null -32600"),
            (r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, "1 -32600"),
            (r#"{"id":1,"method":"m"}"#, "1 -32600"),
            (r#"{"jsonrpc":"2.0","id":1}"#, "1 -32600"),
            (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, "1 -32600"),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "1 -32600"),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, "1 -32600"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","m\u0065thod":"n"}"#, "1 -32600"),
            (r#"{"jsonrpc":"2.0","method":"m"}"#, "notification"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#, "1 m [1]"),
            (r#"[1,{"jsonrpc":"2.0","id":1,"method":"m"}]"#, "batch of 2"),
        ] {
            assert_eq!(single(body), expected, "{body}");
        }
        assert!(matches!(Envelope::parse(b"\xff"), Err(RpcError::Parse)));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"[[\"[","params":{open}{close}}}"#)
        };
        assert!(single(&nested(limits::JSON_DEPTH - 1)).starts_with("1 "));
        assert_eq!(single(&nested(limits::JSON_DEPTH)), "-32700 parse error");
    }
}
