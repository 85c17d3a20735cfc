//! `./test/judge KIND FILE…`: files of known answers, whoever made them, against the ledger and the edge.
//!
//! A kind is a rule book, a file is told apart by its content. The shapes are described in `test/vectors/README.md` and in
//! the head of each kind's module; fields that a file leaves out are not compared. The test suite runs the same functions
//! over `test/vectors`.

mod clique;
mod clique_chain;
pub(crate) mod exchanges;
mod fork_choice;
pub(crate) mod http;
mod keystore;
mod keywords;
mod rlp;
pub(crate) mod rpc;
mod transactions;
mod trie;

use std::{
    fmt::{Debug, Display},
    path::Path,
};

use alloy_primitives::{Address, B256, U256, hex};
use serde_json::Value;

/// What is said about one case; `Err` is why it failed.
pub(crate) type Verdict = Result<(), String>;

/// Cases by name, in the order of the file.
pub(crate) type Verdicts = Vec<(String, Verdict)>;

/// The kinds by their names on the command line.
pub(crate) const KINDS: [&str; 7] =
    ["clique", "fork-choice", "transactions", "rlp", "trie", "keystore", "keywords"];

/// Judges all cases of one file. `Err` if the file cannot be read or is not of this kind.
pub(crate) fn judge(kind: &str, path: &Path) -> Result<Verdicts, String> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    if kind == "keywords" {
        return keywords::judge(&bytes).map_err(|why| format!("{name}: {why}"));
    }
    let json: Value =
        serde_json::from_slice(&bytes).map_err(|error| format!("{name} is not JSON: {error}"))?;
    let verdicts = match kind {
        "clique" => clique::judge(&json, path),
        "fork-choice" => fork_choice::judge(&json, path),
        "transactions" => transactions::judge(&json),
        "rlp" => rlp::judge(&json),
        "trie" => trie::judge(&json),
        "keystore" => keystore::judge(&json),
        other => Err(format!("there is no kind {other:?}; kinds are {}", KINDS.join(", "))),
    };
    let verdicts = verdicts.map_err(|why| format!("{name}: {why}"))?;
    if verdicts.is_empty() {
        return Err(format!("{name} holds no cases of the kind {kind}"));
    }
    Ok(verdicts)
}

/// `Ok` if both are equal.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, have: &T, want: &T) -> Verdict {
    if have == want { Ok(()) } else { Err(format!("{what}: have {have:?}, want {want:?}")) }
}

/// As [`same`], if the file says anything.
pub(crate) fn same_if<T: PartialEq + Debug>(what: &str, have: &T, want: Option<T>) -> Verdict {
    want.map_or(Ok(()), |want| same(what, have, &want))
}

/// An error as a sentence.
pub(crate) fn text(error: impl Display) -> String {
    error.to_string()
}

/// A list of the file, or an error that names it.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, String> {
    value[key].as_array().ok_or_else(|| format!("{key} is not a list"))
}

/// A string of the file, or an error that names it.
pub(crate) fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value[key].as_str().ok_or_else(|| format!("{key} is not a string"))
}

/// A number: JSON, decimal or `0x`; `None` if the file has none.
pub(crate) fn number(value: &Value) -> Result<Option<U256>, String> {
    let read = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.to_string().parse(),
        Value::String(text) if text == "0x" => Ok(U256::ZERO),
        Value::String(text) => text.parse(),
        _ => return Err(format!("{value} is not a number")),
    };
    read.map(Some).map_err(|error: alloy_primitives::ruint::ParseError| format!("{value}: {error}"))
}

/// A number of at most 64 bits.
pub(crate) fn small(value: &Value) -> Result<Option<u64>, String> {
    let Some(number) = number(value)? else { return Ok(None) };
    number.try_into().map(Some).map_err(|_| format!("{value} exceeds 64 bits"))
}

/// A hash; `None` if the file has none.
pub(crate) fn hash(value: &Value) -> Result<Option<B256>, String> {
    let Some(text) = value.as_str() else { return Ok(None) };
    text.parse().map(Some).map_err(|error| format!("{text}: {error}"))
}

/// An address; `None` if the file has none.
pub(crate) fn address(value: &Value) -> Result<Option<Address>, String> {
    let Some(text) = value.as_str() else { return Ok(None) };
    text.parse().map(Some).map_err(|error| format!("{text}: {error}"))
}

/// Bytes in hex; `None` if the file has none.
pub(crate) fn bytes(value: &Value) -> Result<Option<Vec<u8>>, String> {
    let Some(text) = value.as_str() else { return Ok(None) };
    hex::decode(text).map(Some).map_err(|error| format!("{error} in {text:.40}"))
}
