//! JSON with paths: each value knows where it stands, keys come once, numbers keep their digits.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::GenesisError;

/// A JSON value with the path that leads to it.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    path: String,
    raw: &'a str,
}

/// The members of an object in the order of the file; keys that differ only in case are one key, as
/// for geth's decoder.
#[derive(Debug)]
pub(super) struct Object<'a> {
    members: Vec<(String, Node<'a>)>,
}

/// The whole file as one value.
pub(super) fn parse(bytes: &[u8]) -> Result<Node<'_>, GenesisError> {
    let raw: &RawValue = serde_json::from_slice(bytes)
        .map_err(|error| GenesisError::NotJson { text: error.to_string() })?;
    Ok(Node { path: String::new(), raw: raw.get() })
}

impl<'a> Node<'a> {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn fail<T>(&self, text: impl Into<String>) -> Result<T, GenesisError> {
        let path = if self.path.is_empty() { "file" } else { &self.path };
        Err(GenesisError::Value { path: path.to_owned(), text: text.into() })
    }

    pub(super) fn is_null(&self) -> bool {
        self.raw == "null"
    }

    pub(super) fn object(&self) -> Result<Object<'a>, GenesisError> {
        if !self.raw.starts_with('{') {
            return self.fail("expected an object");
        }
        let Members(members) = serde_json::from_str(self.raw)
            .map_err(|error| GenesisError::NotJson { text: error.to_string() })?;
        let place = |(key, raw): (String, &'a RawValue)| {
            let path = join(&self.path, &key);
            (key, Node { path, raw: raw.get() })
        };
        let object = Object { members: members.into_iter().map(place).collect() };
        object.refuse_duplicates()?;
        Ok(object)
    }

    pub(super) fn boolean(&self) -> Result<bool, GenesisError> {
        match self.raw {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => self.fail("expected true or false"),
        }
    }

    /// A JSON integer, a decimal string or a `0x` string, at most 256 bits.
    pub(super) fn u256(&self) -> Result<U256, GenesisError> {
        const EXPECTED: &str = "expected an integer, a decimal string or a 0x string";
        let text = if self.raw.starts_with('"') { self.string()? } else { self.raw.to_owned() };
        let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None => (text.as_str(), 10),
        };
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
            return self.fail(EXPECTED);
        }
        U256::from_str_radix(digits, u64::from(radix))
            .or_else(|_| self.fail("number is wider than 256 bits"))
    }

    /// As [`Node::u256`], at most 64 bits.
    pub(super) fn u64(&self) -> Result<u64, GenesisError> {
        u64::try_from(self.u256()?).or_else(|_| self.fail("number is wider than 64 bits"))
    }

    pub(super) fn bytes(&self) -> Result<Bytes, GenesisError> {
        const EXPECTED: &str = "expected a 0x string of whole bytes";
        let text = self.string()?;
        let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
            return self.fail(EXPECTED);
        };
        hex::decode(digits).map(Bytes::from).or_else(|_| self.fail(EXPECTED))
    }

    pub(super) fn hash(&self) -> Result<B256, GenesisError> {
        B256::try_from(self.bytes()?.as_ref()).or_else(|_| self.fail("expected 32 bytes"))
    }

    pub(super) fn address(&self) -> Result<Address, GenesisError> {
        Address::try_from(self.bytes()?.as_ref()).or_else(|_| self.fail("expected 20 bytes"))
    }

    /// A storage value: hex digits, `0x` optional, at most 32 bytes.
    pub(super) fn word(&self) -> Result<U256, GenesisError> {
        match parse_word(&self.string()?) {
            Some(word) => Ok(word),
            None => self.fail("expected at most 32 bytes in hex"),
        }
    }

    /// The last part of the path as an address: 40 hex digits, `0x` optional.
    pub(super) fn key_address(&self, key: &str) -> Result<Address, GenesisError> {
        let digits = without_0x(key);
        match hex::decode(digits).ok().and_then(|bytes| Address::try_from(&bytes[..]).ok()) {
            Some(address) => Ok(address),
            None => self.fail("expected an address of 40 hex digits as key"),
        }
    }

    /// The last part of the path as a storage slot.
    pub(super) fn key_word(&self, key: &str) -> Result<U256, GenesisError> {
        match parse_word(key) {
            Some(word) => Ok(word),
            None => self.fail("expected a slot of at most 32 bytes in hex as key"),
        }
    }

    fn string(&self) -> Result<String, GenesisError> {
        serde_json::from_str(self.raw).or_else(|_| self.fail("expected a string"))
    }
}

impl<'a> Object<'a> {
    pub(super) fn members(&self) -> &[(String, Node<'a>)] {
        &self.members
    }

    /// The member of this name; `null` counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&Node<'a>> {
        let named = |(key, _): &&(String, Node<'a>)| key.eq_ignore_ascii_case(name);
        self.members.iter().find(named).map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// Members whose name is none of `known`.
    pub(super) fn others(&self, known: &[&str]) -> impl Iterator<Item = &(String, Node<'a>)> {
        let is_known = |key: &str| known.iter().any(|name| name.eq_ignore_ascii_case(key));
        self.members.iter().filter(move |(key, _)| !is_known(key))
    }

    fn refuse_duplicates(&self) -> Result<(), GenesisError> {
        let mut seen = std::collections::HashSet::with_capacity(self.members.len());
        for (key, node) in &self.members {
            if !seen.insert(key.to_ascii_lowercase()) {
                return Err(GenesisError::DuplicateKey { path: node.path.clone() });
            }
        }
        Ok(())
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn without_0x(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

fn parse_word(text: &str) -> Option<U256> {
    let digits = without_0x(text);
    let is_hex = digits.chars().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex || digits.len() > 64 {
        return None;
    }
    if digits.is_empty() { Some(U256::ZERO) } else { U256::from_str_radix(digits, 16).ok() }
}

/// An object's members as they come, duplicates included, values unparsed.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
