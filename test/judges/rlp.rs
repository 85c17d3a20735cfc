//! Kind `rlp`: RLPTests. `{name: {in, out}}`: `out` is hex; `in` is `VALID`, `INVALID`, or the item: a string, a number,
//! `#` and decimal digits, or a list of these. Valid bytes come back unchanged from reading and writing.

use alloy_rlp::{Encodable as _, Header};
use serde_json::Value;

use super::{Verdict, Verdicts, bytes, same, text};

/// Lists may stand in lists so deep.
const MAX_DEPTH: usize = 1_024;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Bytes(Vec<u8>),
    List(Vec<Item>),
}

pub(crate) fn judge(json: &Value) -> Result<Verdicts, String> {
    let cases = json.as_object().ok_or("not an object of cases")?;
    let cases = cases.iter().filter(|(_, case)| case.get("out").is_some());
    Ok(cases.map(|(name, case)| (name.clone(), check(case))).collect())
}

fn check(case: &Value) -> Verdict {
    let rlp = bytes(&case["out"])?.ok_or("out is not a string")?;
    let read = decode(&rlp);
    match &case["in"] {
        Value::String(word) if word == "INVALID" => match read {
            Ok(item) => Err(format!("read as {item:?}, want an error")),
            Err(_) => Ok(()),
        },
        Value::String(word) if word == "VALID" => same("bytes", &encode(&read?), &rlp),
        stated => {
            let item = item(stated)?;
            same("bytes", &encode(&item), &rlp)?;
            same("item", &read?, &item)
        }
    }
}

fn item(stated: &Value) -> Result<Item, String> {
    let number = |text: &str| Ok(Item::Bytes(big_endian(text)?));
    match stated {
        Value::Array(items) => Ok(Item::List(items.iter().map(item).collect::<Result<_, _>>()?)),
        Value::Number(digits) => number(&digits.to_string()),
        Value::String(string) => match string.strip_prefix('#') {
            Some(digits) => number(digits),
            None => Ok(Item::Bytes(string.as_bytes().to_vec())),
        },
        other => Err(format!("in {other} is no item")),
    }
}

/// A decimal number of any length as bytes without leading zeros.
fn big_endian(digits: &str) -> Result<Vec<u8>, String> {
    let mut bytes: Vec<u8> = Vec::new();
    for digit in digits.chars() {
        let mut carry = digit.to_digit(10).ok_or_else(|| format!("{digits} is no number"))?;
        for byte in bytes.iter_mut().rev() {
            let next = u32::from(*byte) * 10 + carry;
            *byte = u8::try_from(next % 256).map_err(text)?;
            carry = next / 256;
        }
        if carry > 0 {
            bytes.insert(0, u8::try_from(carry).map_err(text)?);
        }
    }
    Ok(bytes)
}

fn encode(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    match item {
        Item::Bytes(bytes) => bytes.as_slice().encode(&mut out),
        Item::List(items) => {
            let payload: Vec<u8> = items.iter().flat_map(encode).collect();
            Header { list: true, payload_length: payload.len() }.encode(&mut out);
            out.extend_from_slice(&payload);
        }
    }
    out
}

fn decode(mut rlp: &[u8]) -> Result<Item, String> {
    let item = decode_one(&mut rlp, 0)?;
    if rlp.is_empty() { Ok(item) } else { Err(format!("{} bytes after the item", rlp.len())) }
}

fn decode_one(rlp: &mut &[u8], depth: usize) -> Result<Item, String> {
    if depth > MAX_DEPTH {
        return Err(format!("lists deeper than {MAX_DEPTH}"));
    }
    let header = Header::decode(rlp).map_err(text)?;
    let (mut payload, rest) =
        rlp.split_at_checked(header.payload_length).ok_or("payload is cut off")?;
    *rlp = rest;
    if !header.list {
        return Ok(Item::Bytes(payload.to_vec()));
    }
    let mut items = Vec::new();
    while !payload.is_empty() {
        items.push(decode_one(&mut payload, depth + 1)?);
    }
    Ok(Item::List(items))
}
