//! Kind `trie`: TrieTests. `{name: {in, root}}`, `in` an object (any order) or a list of pairs, `null` deletes; text or
//! `0x` hex. The root is that of the plain trie or of the one keyed by keccak256 ("secure"): a file holds one sort, so the
//! case passes if either has the root. `{name: {in: [key], tests: [[at, previous, next]]}}` is iteration.
//!
//! Secure roots come from the ledger's own trie, in two orders; its keys are always hashed, so plain ones come from a small
//! trie of this file.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, hex, keccak256};
use alloy_rlp::{Encodable as _, Header};
use chain::state::trie::{Effort, Trie};
use serde_json::Value;

use super::{Verdict, Verdicts, hash, list, same};

type Pairs = Vec<(Vec<u8>, Option<Vec<u8>>)>;

pub(crate) fn judge(json: &Value) -> Result<Verdicts, String> {
    let cases = json.as_object().ok_or("not an object of cases")?;
    let cases = cases.iter().filter(|(_, case)| case.get("in").is_some());
    Ok(cases.map(|(name, case)| (name.clone(), check(case))).collect())
}

fn check(case: &Value) -> Verdict {
    if case.get("tests").is_some() {
        return check_neighbours(case);
    }
    let want = hash(&case["root"])?.ok_or("root is not a hash")?;
    let pairs = pairs(&case["in"])?;
    let mut last: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut secure = Trie::<Vec<u8>>::default();
    for (key, value) in &pairs {
        secure.set(keccak256(key), value.as_ref());
        match value {
            Some(value) => last.insert(key.clone(), value.clone()),
            None => last.remove(key),
        };
    }
    let leaves = last.iter().map(|(key, value)| (keccak256(key), value.clone()));
    let root = secure.root(Effort::best());
    let built = Trie::build(leaves.clone(), Effort::least()).root(Effort::least());
    same("secure root in two orders", &root, &built)?;
    let hashed = leaves.map(|(key, value)| (key.to_vec(), value)).collect();
    same("secure root by the plain trie", &plain_root(&hashed), &root)?;
    let plain = plain_root(&last);
    if [root, plain].contains(&want) {
        return Ok(());
    }
    Err(format!("have {plain} (plain) and {root} (secure), want {want}"))
}

fn pairs(stated: &Value) -> Result<Pairs, String> {
    let pair = |key: &str, value: &Value| {
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(raw(text)?).filter(|bytes| !bytes.is_empty()),
            other => return Err(format!("{other} is no value")),
        };
        Ok((raw(key)?, value))
    };
    match stated {
        Value::Object(members) => members.iter().map(|(key, value)| pair(key, value)).collect(),
        Value::Array(items) => {
            let one = |item: &Value| pair(item[0].as_str().ok_or("a key is no text")?, &item[1]);
            items.iter().map(one).collect()
        }
        other => Err(format!("in {other} is neither an object nor a list")),
    }
}

fn raw(text: &str) -> Result<Vec<u8>, String> {
    match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).map_err(|error| format!("{text}: {error}")),
        None => Ok(text.as_bytes().to_vec()),
    }
}

/// The greatest key below and the least one above, as text; empty if there is none.
fn check_neighbours(case: &Value) -> Verdict {
    let keys: BTreeSet<&str> = list(case, "in")?.iter().filter_map(Value::as_str).collect();
    for test in list(case, "tests")? {
        let at = |index: usize| test[index].as_str().ok_or("a test is three texts");
        let key = at(0)?;
        let previous = keys.range(..key).next_back().copied().unwrap_or_default();
        let above = (std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded);
        let next = keys.range::<str, _>(above).next().copied().unwrap_or_default();
        same(&format!("neighbours of {key:?}"), &(previous, next), &(at(1)?, at(2)?))?;
    }
    Ok(())
}

/// The root of a trie with keys of any length (Yellow Paper, appendix D).
fn plain_root(leaves: &BTreeMap<Vec<u8>, Vec<u8>>) -> B256 {
    let nibbles = |key: &[u8]| key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
    let leaves: Vec<(Vec<u8>, &[u8])> =
        leaves.iter().map(|(key, value)| (nibbles(key), value.as_slice())).collect();
    keccak256(node(&leaves, 0))
}

/// RLP of the node over ascending leaves whose keys are alike up to `depth`.
fn node(leaves: &[(Vec<u8>, &[u8])], depth: usize) -> Vec<u8> {
    let [first, .., last] = leaves else {
        return match leaves {
            [(key, value)] => rlp_list(&[rlp(&compact(&key[depth..], true)), rlp(value)]),
            _ => rlp(&[]),
        };
    };
    let shared = first.0.iter().zip(&last.0).take_while(|(a, b)| a == b).count();
    if shared > depth {
        let path = rlp(&compact(&first.0[depth..shared], false));
        return rlp_list(&[path, reference(node(leaves, shared))]);
    }
    let mut items = Vec::new();
    for nibble in 0..16 {
        let below: Vec<_> =
            leaves.iter().filter(|(key, _)| key.get(depth) == Some(&nibble)).cloned().collect();
        items.push(reference(node(&below, depth + 1)));
    }
    items.push(rlp(if first.0.len() == depth { first.1 } else { &[] }));
    rlp_list(&items)
}

fn reference(node: Vec<u8>) -> Vec<u8> {
    if node.len() < 32 { node } else { rlp(keccak256(node).as_slice()) }
}

/// Hex-prefix coding.
fn compact(nibbles: &[u8], is_leaf: bool) -> Vec<u8> {
    let flag = if is_leaf { 0x20 } else { 0 };
    let (head, rest) = match nibbles.split_first() {
        Some((first, rest)) if nibbles.len() % 2 == 1 => (flag | 0x10 | first, rest),
        _ => (flag, nibbles),
    };
    std::iter::once(head).chain(rest.chunks(2).map(|pair| pair[0] << 4 | pair[1])).collect()
}

fn rlp(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes.encode(&mut out);
    out
}

fn rlp_list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(&payload);
    out
}
