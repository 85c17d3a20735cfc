//! EIP-712: what a document's digest is, from its types, its domain and its content in JSON.
//!
//! ```text
//!   digest      keccak256(0x1901 ‖ hashStruct(EIP712Domain, domain) ‖ hashStruct(primaryType, message))
//!   hashStruct  keccak256(keccak256(encodeType) ‖ a word for each member)
//!   a word      numbers, addresses and booleans as in the ABI; text and bytes hashed; structs as their hashStruct;
//!               lists as the hash of their items' words, one behind the other
//! ```
//!
//! As in wallets (`eth_signTypedData_v4`): numbers are JSON integers, decimal or hex text; a struct that is `null` or absent
//! is a word of zeros; the domain's type may be left out, then it is what the domain has.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, I256, U256, keccak256};
use serde_json::{Map, Value};

use crate::{
    context::Context,
    error::{RpcError, RpcResult},
    eth::submit,
    param::{self, Args, Flaw, Param},
    render::data,
};

/// Nesting of structs and lists in a document.
const MAX_DEPTH: usize = 32;
/// Structs of one document.
const MAX_TYPES: usize = 256;
/// The type of a domain.
const DOMAIN: &str = "EIP712Domain";
/// Members that a domain may have, in their order.
const DOMAIN_MEMBERS: [(&str, &str); 5] = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
];

/// A document as a wallet gets it.
#[derive(Debug)]
pub struct TypedData {
    types: BTreeMap<String, Vec<Member>>,
    primary: String,
    domain: Map<String, Value>,
    message: Map<String, Value>,
}

#[derive(Debug, Clone)]
struct Member {
    name: String,
    kind: String,
}

impl Param for TypedData {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let parsed;
        let value = match value {
            // many libraries send the document as text
            Value::String(text) => {
                parsed = serde_json::from_str(text).map_err(|_| Flaw::from("invalid JSON"))?;
                &parsed
            }
            other => other,
        };
        let object = |name: &str| match value.get(name) {
            Some(Value::Object(found)) => Ok(found.clone()),
            _ => Err(Flaw::from(format!("missing object '{name}'"))),
        };
        let mut types = BTreeMap::new();
        for (name, members) in object("types")? {
            let members = members.as_array().ok_or("non-array")?;
            let members = members.iter().map(Member::read).collect::<Result<_, _>>()?;
            types.insert(name, members);
        }
        if types.len() > MAX_TYPES {
            return Err(format!("more than {MAX_TYPES} types").into());
        }
        let domain = object("domain")?;
        let has = |name: &&(&str, &str)| domain.contains_key(name.0);
        let usual = DOMAIN_MEMBERS.iter().filter(has).map(|(name, kind)| Member::of(name, kind));
        types.entry(DOMAIN.to_owned()).or_insert_with(|| usual.collect());
        let primary: String =
            param::member(value, "primaryType")?.ok_or("missing 'primaryType'")?;
        if !types.contains_key(&primary) {
            return Err(format!("primary type {primary:?} is not among the types").into());
        }
        let message = if primary == DOMAIN { Map::new() } else { object("message")? };
        Ok(Self { types, primary, domain, message })
    }
}

impl Member {
    fn of(name: &str, kind: &str) -> Self {
        Self { name: name.to_owned(), kind: kind.to_owned() }
    }

    fn read(value: &Value) -> Result<Self, Flaw> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let (name, kind) = text("name").zip(text("type")).ok_or("a member lacks name or type")?;
        Ok(Self::of(name, kind))
    }
}

impl TypedData {
    /// What is signed.
    ///
    /// # Errors
    /// What does not fit its type.
    pub fn digest(&self) -> Result<B256, String> {
        let mut bytes = vec![0x19, 0x01];
        bytes.extend(self.hash_struct(DOMAIN, &self.domain, 0)?);
        if self.primary != DOMAIN {
            bytes.extend(self.hash_struct(&self.primary, &self.message, 0)?);
        }
        Ok(keccak256(bytes))
    }

    /// `Mail(Person from,Person to,string contents)Person(string name,address wallet)`: the type, then those it names, by
    /// name.
    fn encode_type(&self, name: &str) -> String {
        let mut named = BTreeSet::new();
        self.collect(name, &mut named);
        named.remove(name);
        std::iter::once(name).chain(named).map(|name| self.signature(name)).collect()
    }

    fn signature(&self, name: &str) -> String {
        let members = self.types.get(name).into_iter().flatten();
        let members: Vec<String> =
            members.map(|member| format!("{} {}", member.kind, member.name)).collect();
        format!("{name}({})", members.join(","))
    }

    fn collect<'a>(&'a self, name: &str, into: &mut BTreeSet<&'a str>) {
        let base = name.split('[').next().unwrap_or(name);
        let Some((known, members)) = self.types.get_key_value(base) else { return };
        if into.insert(known) {
            members.iter().for_each(|member| self.collect(&member.kind, into));
        }
    }

    fn hash_struct(
        &self,
        name: &str,
        content: &Map<String, Value>,
        depth: usize,
    ) -> Result<B256, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        let mut bytes = keccak256(self.encode_type(name)).to_vec();
        for member in self.types.get(name).into_iter().flatten() {
            let value = content.get(&member.name).unwrap_or(&Value::Null);
            let word = self.word(&member.kind, value, depth + 1);
            bytes.extend(word.map_err(|flaw| format!("{}: {flaw}", member.name))?);
        }
        Ok(keccak256(bytes))
    }

    fn word(&self, kind: &str, value: &Value, depth: usize) -> Result<B256, String> {
        if let Some((item, count)) = list(kind) {
            let items = value.as_array().ok_or_else(|| format!("{kind} wants a list"))?;
            if depth > MAX_DEPTH {
                return Err(format!("nested deeper than {MAX_DEPTH}"));
            }
            if !count.is_empty() && count.parse() != Ok(items.len()) {
                return Err(format!("{kind} has {} items", items.len()));
            }
            let mut words = Vec::with_capacity(items.len() * 32);
            for value in items {
                words.extend(self.word(item, value, depth + 1)?);
            }
            return Ok(keccak256(words));
        }
        if self.types.contains_key(kind) {
            return match value {
                Value::Object(content) => self.hash_struct(kind, content, depth),
                Value::Null => Ok(B256::ZERO),
                _ => Err(format!("{kind} wants an object")),
            };
        }
        atom(kind, value)
    }
}

/// `uint8[4]` is (`uint8`, `4`), `uint8[]` is (`uint8`, nothing).
fn list(kind: &str) -> Option<(&str, &str)> {
    kind.strip_suffix(']')?.rsplit_once('[')
}

/// A value that is no list and no struct.
fn atom(kind: &str, value: &Value) -> Result<B256, String> {
    let wants = |what: &str| format!("{kind} wants {what}");
    let text = |what: &str| value.as_str().ok_or_else(|| wants(what));
    let hex = |what: &str| param::data_bytes(text(what)?).map_err(|_| wants(what));
    match kind {
        "string" => Ok(keccak256(text("text")?)),
        "bytes" => Ok(keccak256(hex("hex")?)),
        "bool" => value
            .as_bool()
            .map(|flag| B256::with_last_byte(flag.into()))
            .ok_or_else(|| wants("true or false")),
        "address" => Address::from_json(value)
            .map(|address| address.into_word())
            .map_err(|_| wants("an address")),
        _ => {
            if let Some(bits) = bits(kind, "uint") {
                let number = unsigned(value).filter(|number| number.bit_len() <= bits);
                return number.map(B256::from).ok_or_else(|| wants("a number in its range"));
            }
            if let Some(bits) = bits(kind, "int") {
                let number = signed(value).filter(|number| number.bits() as usize <= bits);
                return number
                    .map(|n| B256::from(n.into_raw()))
                    .ok_or_else(|| wants("a number in its range"));
            }
            let length = kind.strip_prefix("bytes").and_then(|count| count.parse::<usize>().ok());
            let Some(length) = length.filter(|length| (1..=32).contains(length)) else {
                return Err(format!("{kind:?} is no type"));
            };
            let bytes = hex("hex")?;
            if bytes.len() != length {
                return Err(format!("{kind} has {} bytes", bytes.len()));
            }
            Ok(B256::right_padding_from(&bytes))
        }
    }
}

/// The width of `uint64`; without one it is 256.
fn bits(kind: &str, prefix: &str) -> Option<usize> {
    let digits = kind.strip_prefix(prefix)?;
    let bits = if digits.is_empty() { 256 } else { digits.parse().ok()? };
    (bits % 8 == 0 && (8..=256).contains(&bits)).then_some(bits)
}

fn unsigned(value: &Value) -> Option<U256> {
    match value {
        Value::Number(number) => number.as_u64().map(U256::from),
        Value::String(text) => match text.strip_prefix("0x") {
            Some(digits) if !digits.is_empty() => U256::from_str_radix(digits, 16).ok(),
            Some(_) => None,
            None if text.is_empty() => None,
            None => U256::from_str_radix(text, 10).ok(),
        },
        _ => None,
    }
}

fn signed(value: &Value) -> Option<I256> {
    match value {
        Value::Number(number) => number.as_i64().and_then(|number| I256::try_from(number).ok()),
        Value::String(text) => match text.strip_prefix('-') {
            Some(digits) => {
                let size = unsigned(&Value::from(digits))?;
                I256::checked_from_sign_and_abs(alloy_primitives::Sign::Negative, size)
            }
            None => I256::try_from(unsigned(value)?).ok(),
        },
        _ => None,
    }
}

/// `eth_signTypedData_v4`: where this server has keys, which is on a development chain.
pub fn sign(context: &Context, args: &Args) -> RpcResult {
    if context.keys.is_empty() {
        return Err(RpcError::MethodNotFound("eth_signTypedData_v4".to_owned()));
    }
    let (account, document): (Address, TypedData) = args.read()?;
    let key = submit::key(context, account)?;
    let digest = document.digest().map_err(|flaw| RpcError::argument(1, flaw))?;
    let mut signature = key.sign(digest).map_err(|error| RpcError::Internal(error.to_string()))?;
    signature[64] += 27;
    Ok(data(signature))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;
    use serde_json::json;

    use super::*;

    fn digest(document: &Value) -> Result<B256, String> {
        match TypedData::from_json(document) {
            Ok(document) => document.digest(),
            Err(Flaw::Form(text)) => Err(text),
            Err(Flaw::Whole(error)) => Err(error.to_string()),
        }
    }

    /// The example of EIP-712.
    fn mail() -> Value {
        json!({
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"}, {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"},
                ],
                "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
                "Mail": [
                    {"name": "from", "type": "Person"}, {"name": "to", "type": "Person"},
                    {"name": "contents", "type": "string"},
                ],
            },
            "primaryType": "Mail",
            "domain": {
                "name": "Ether Mail", "version": "1", "chainId": 1,
                "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
            },
            "message": {
                "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
                "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
                "contents": "Hello, Bob!",
            },
        })
    }

    #[test]
    fn the_example_of_the_standard() {
        let want = b256!("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
        assert_eq!(digest(&mail()), Ok(want));
        // as text, and without the domain's type
        assert_eq!(digest(&Value::from(mail().to_string())), Ok(want));
        let mut without = mail();
        without["types"].as_object_mut().map(|types| types.remove(DOMAIN));
        assert_eq!(digest(&without), Ok(want));
        without["domain"]["chainId"] = "0x1".into();
        assert_eq!(digest(&without), Ok(want));
    }

    #[test]
    fn what_does_not_fit_its_type_is_named() {
        let check = |kind: &str, value: Value, is_fine: bool| {
            let document = json!({
                "types": {"T": [{"name": "x", "type": kind}], "S": [{"name": "t", "type": "T"}]},
                "primaryType": "T", "domain": {}, "message": {"x": value},
            });
            let got = digest(&document);
            assert_eq!(got.is_ok(), is_fine, "{kind} {value}: {got:?}");
            if let Err(text) = got {
                assert!(text.starts_with("x: "), "{text}");
            }
        };
        for (kind, value, is_fine) in [
            ("uint8", json!(255), true),
            ("uint8", json!(256), false),
            (
                "uint256",
                json!(
                    "115792089237316195423570985008687907853269984665640564039457584007913129639935"
                ),
                true,
            ),
            ("uint256", json!("0x"), false),
            ("uint7", json!(1), false),
            ("int8", json!(-128), true),
            ("int8", json!(-129), false),
            ("int8", json!("127"), true),
            ("int8", json!(128), false),
            ("bytes4", json!("0x01020304"), true),
            ("bytes4", json!("0x010203"), false),
            ("bytes33", json!("0x01"), false),
            ("bool", json!("true"), false),
            ("address", json!("0x01"), false),
            ("uint8[2]", json!([1, 2]), true),
            ("uint8[2]", json!([1]), false),
            ("uint8[][]", json!([[1], []]), true),
            ("S", json!(null), true),
            ("S", json!({"t": {"x": null}}), true),
            ("S", json!([]), false),
            ("text", json!(""), false),
        ] {
            check(kind, value, is_fine);
        }
    }

    #[test]
    fn lists_of_structs_are_hashed_one_behind_the_other() {
        let document = |items: Value| {
            json!({
                "types": {"P": [{"name": "n", "type": "uint8"}], "M": [{"name": "p", "type": "P[]"}]},
                "primaryType": "M", "domain": {"name": "x"}, "message": {"p": items},
            })
        };
        let one = digest(&document(json!([{"n": 1}, {"n": 2}])));
        assert_ne!(one, digest(&document(json!([{"n": 2}, {"n": 1}]))));
        let read = TypedData::from_json(&document(json!([]))).expect("a document");
        assert_eq!(read.encode_type("M"), "M(P[] p)P(uint8 n)");
    }

    #[test]
    fn depth_is_bounded() {
        let mut content = json!(null);
        for _ in 0..40 {
            content = json!({"t": content});
        }
        let document = json!({
            "types": {"T": [{"name": "t", "type": "T"}]},
            "primaryType": "T", "domain": {}, "message": content,
        });
        assert!(digest(&document).is_err_and(|text| text.contains("nested deeper")));
    }
}
