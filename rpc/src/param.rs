//! Strict parameters: raw JSON in, typed values out, geth's words for what is wrong.
//!
//! Quantities are `0x` and hex digits without a leading zero (EIP-1474), data is `0x` and pairs of
//! digits; the letter case of digits is free, that of the prefix is not. alloy's own types are more
//! lenient, so nothing is read through them.

use std::net::IpAddr;

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::Value;

use crate::error::RpcError;

/// The parameters of one call, in order.
#[derive(Debug, Clone)]
pub struct Args {
    values: Vec<Value>,
    /// Whose call it is, unless this machine's own.
    pub caller: Option<IpAddr>,
}

impl Args {
    /// Reads the raw `params` member; absent or `null` is an empty list.
    ///
    /// # Errors
    /// -32602 if it is anything but a list.
    pub fn parse(raw: Option<&str>) -> Result<Self, RpcError> {
        match raw.map(serde_json::from_str) {
            None | Some(Ok(Value::Null)) => Ok(Self { values: Vec::new(), caller: None }),
            Some(Ok(Value::Array(values))) => Ok(Self { values, caller: None }),
            Some(Ok(_)) => Err(RpcError::Params("non-array args".to_owned())),
            Some(Err(_)) => Err(RpcError::Parse),
        }
    }

    /// The same, of this caller.
    #[must_use]
    pub fn of(self, caller: Option<IpAddr>) -> Self {
        Self { caller, ..self }
    }

    /// Reads a tuple of parameters.
    ///
    /// # Errors
    /// -32602 naming the first parameter that is wrong or absent, or that there are too many.
    pub fn read<T: Params>(&self) -> Result<T, RpcError> {
        T::read(&self.values)
    }

    fn get<T: Param>(values: &[Value], index: usize) -> Result<T, RpcError> {
        match values.get(index) {
            None => T::absent().ok_or_else(|| {
                RpcError::Params(format!("missing value for required argument {index}"))
            }),
            Some(value) => T::from_json(value).map_err(|text| match text {
                Flaw::Form(text) => RpcError::argument(index, text),
                Flaw::Whole(error) => error,
            }),
        }
    }
}

/// Why a value is not of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Words to follow `invalid argument N: `.
    Form(String),
    /// An error that stands for itself.
    Whole(RpcError),
}

impl From<&str> for Flaw {
    fn from(text: &str) -> Self {
        Self::Form(text.to_owned())
    }
}

impl From<String> for Flaw {
    fn from(text: String) -> Self {
        Self::Form(text)
    }
}

impl From<RpcError> for Flaw {
    fn from(error: RpcError) -> Self {
        Self::Whole(error)
    }
}

/// One parameter.
pub trait Param: Sized {
    /// Reads it from its JSON value.
    ///
    /// # Errors
    /// The [`Flaw`] in geth's words.
    fn from_json(value: &Value) -> Result<Self, Flaw>;

    /// Its value if the list ends before it; `None` if it is required.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Param> Param for Option<T> {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        if value.is_null() { Ok(None) } else { T::from_json(value).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// A tuple of parameters.
pub trait Params: Sized {
    /// Reads all of them.
    ///
    /// # Errors
    /// As [`Args::read`].
    fn read(values: &[Value]) -> Result<Self, RpcError>;
}

macro_rules! params_of_tuples {
    ($($count:literal: $($name:ident $index:literal),*;)*) => {$(
        impl<$($name: Param),*> Params for ($($name,)*) {
            fn read(values: &[Value]) -> Result<Self, RpcError> {
                let tuple = ($(Args::get::<$name>(values, $index)?,)*);
                if values.len() > $count {
                    let text = format!("too many arguments, want at most {}", $count);
                    return Err(RpcError::Params(text));
                }
                Ok(tuple)
            }
        }
    )*};
}

params_of_tuples! {
    0: ;
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
}

/// A number of at most 64 bits.
pub fn quantity_u64(text: &str) -> Result<u64, Flaw> {
    let digits = quantity_digits(text)?;
    if digits.len() > 16 {
        return Err("hex number > 64 bits".into());
    }
    u64::from_str_radix(digits, 16).map_err(|_| "invalid hex string".into())
}

/// A number of at most 256 bits.
pub fn quantity_u256(text: &str) -> Result<U256, Flaw> {
    let digits = quantity_digits(text)?;
    if digits.len() > 64 {
        return Err("hex number > 256 bits".into());
    }
    U256::from_str_radix(digits, 16).map_err(|_| "invalid hex string".into())
}

fn quantity_digits(text: &str) -> Result<&str, Flaw> {
    let digits = strip_prefix(text)?;
    match digits {
        "" => Err("hex string \"0x\"".into()),
        _ if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Err("invalid hex string".into())
        }
        _ if digits.len() > 1 && digits.starts_with('0') => {
            Err("hex number with leading zero digits".into())
        }
        _ => Ok(digits),
    }
}

fn strip_prefix(text: &str) -> Result<&str, Flaw> {
    if text.is_empty() {
        return Err("empty hex string".into());
    }
    text.strip_prefix("0x").ok_or_else(|| "hex string without 0x prefix".into())
}

/// Bytes of any length.
pub fn data_bytes(text: &str) -> Result<Vec<u8>, Flaw> {
    let digits = strip_prefix(text)?;
    if digits.len() % 2 == 1 {
        return Err("hex string of odd length".into());
    }
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        // alloy's decoder would take a second prefix.
        return Err("invalid hex string".into());
    }
    hex::decode(digits.as_bytes()).map_err(|_| "invalid hex string".into())
}

/// Bytes of exactly `N`.
pub fn fixed_bytes<const N: usize>(text: &str) -> Result<[u8; N], Flaw> {
    let bytes = data_bytes(text)?;
    <[u8; N]>::try_from(bytes.as_slice())
        .map_err(|_| format!("hex string has length {}, want {}", bytes.len() * 2, N * 2).into())
}

/// The text of a JSON string.
pub fn text(value: &Value) -> Result<&str, Flaw> {
    value.as_str().ok_or_else(|| "non-string".into())
}

impl Param for u64 {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        quantity_u64(text(value)?)
    }
}

impl Param for U256 {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        quantity_u256(text(value)?)
    }
}

impl Param for Address {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        fixed_bytes(text(value)?).map(Self::new)
    }
}

impl Param for B256 {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        fixed_bytes(text(value)?).map(Self::new)
    }
}

impl Param for Bytes {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        data_bytes(text(value)?).map(Self::from)
    }
}

impl Param for String {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        text(value).map(str::to_owned)
    }
}

impl Param for Value {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        Ok(value.clone())
    }
}

/// A flag; `null` is false.
impl Param for bool {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match value {
            Value::Bool(flag) => Ok(*flag),
            Value::Null => Ok(false),
            _ => Err("non-boolean".into()),
        }
    }
}

/// A member of an object parameter; absent or `null` is `None`.
pub fn member<T: Param>(object: &Value, name: &str) -> Result<Option<T>, Flaw> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::from_json(value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Params + std::fmt::Debug + PartialEq>(raw: &str, expected: Result<T, &str>) {
        let got = Args::parse(Some(raw)).and_then(|args| args.read::<T>());
        let got = got.map_err(|error| {
            assert_eq!(error.code(), -32602, "{raw}");
            error.to_string()
        });
        assert_eq!(got, expected.map_err(str::to_owned), "{raw}");
    }

    #[test]
    fn quantities_are_strict() {
        check::<(u64,)>(r#"["0x0"]"#, Ok((0,)));
        check::<(u64,)>(r#"["0xfF"]"#, Ok((255,)));
        check::<(u64,)>(r#"["0xffffffffffffffff"]"#, Ok((u64::MAX,)));
        for (raw, text) in [
            (r#"["0x"]"#, "hex string \"0x\""),
            (r#"["0x01"]"#, "hex number with leading zero digits"),
            (r#"["0X1"]"#, "hex string without 0x prefix"),
            (r#"["1"]"#, "hex string without 0x prefix"),
            (r#"["-0x1"]"#, "hex string without 0x prefix"),
            (r#"["0x+1"]"#, "invalid hex string"),
            (r#"["0xg"]"#, "invalid hex string"),
            (r#"[""]"#, "empty hex string"),
            (r#"["0x10000000000000000"]"#, "hex number > 64 bits"),
            ("[1]", "non-string"),
            ("[null]", "non-string"),
        ] {
            check::<(u64,)>(raw, Err(&format!("invalid argument 0: {text}")));
        }
    }

    #[test]
    fn data_is_strict() {
        check::<(Bytes,)>(r#"["0x"]"#, Ok((Bytes::new(),)));
        check::<(Bytes,)>(r#"["0x0Ab1"]"#, Ok((Bytes::from(vec![0x0a, 0xb1]),)));
        check::<(Bytes,)>(r#"["0xabc"]"#, Err("invalid argument 0: hex string of odd length"));
        check::<(Bytes,)>(r#"["0x0x12"]"#, Err("invalid argument 0: invalid hex string"));
        check::<(Address,)>(
            r#"["0x1234"]"#,
            Err("invalid argument 0: hex string has length 4, want 40"),
        );
        let bare = format!("[\"{}\"]", "ab".repeat(20));
        check::<(Address,)>(&bare, Err("invalid argument 0: hex string without 0x prefix"));
    }

    #[test]
    fn counts_are_checked() {
        check::<(u64, Option<bool>)>(r#"["0x1"]"#, Ok((1, None)));
        check::<(u64, Option<bool>)>(r#"["0x1", null]"#, Ok((1, None)));
        check::<(u64, Option<bool>)>("[]", Err("missing value for required argument 0"));
        check::<(u64,)>(r#"["0x1", null]"#, Err("too many arguments, want at most 1"));
        check::<()>("[1]", Err("too many arguments, want at most 0"));
        check::<()>("{}", Err("non-array args"));
        check::<()>("null", Ok(()));
        assert!(Args::parse(None).and_then(|args| args.read::<()>()).is_ok());
    }
}
