//! How numbers and bytes look in an answer (EIP-1474): quantities without leading zeros, data with
//! every digit.

use std::fmt::LowerHex;

use alloy_primitives::{Address, hex};
use serde_json::Value;

/// `0x` and the number in hex without leading zeros; zero is `0x0`.
pub fn quantity(number: impl LowerHex) -> Value {
    Value::String(format!("{number:#x}"))
}

/// `0x` and two digits for each byte; nothing is `0x`.
pub fn data(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(hex::encode_prefixed(bytes))
}

/// The address in lower case, as geth writes it in results.
pub fn address(address: Address) -> Value {
    data(address)
}

/// The item's own form, or `null`.
pub fn or_null<T>(item: Option<T>, render: impl FnOnce(T) -> Value) -> Value {
    item.map_or(Value::Null, render)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    #[test]
    fn quantities_have_no_leading_zero() {
        assert_eq!(quantity(0u64), "0x0");
        assert_eq!(quantity(1_024u64), "0x400");
        assert_eq!(quantity(U256::MAX), format!("0x{}", "f".repeat(64)));
    }

    #[test]
    fn data_keeps_every_digit() {
        assert_eq!(data([]), "0x");
        assert_eq!(data([0, 1, 255]), "0x0001ff");
        assert_eq!(address(Address::repeat_byte(0xAB)), format!("0x{}", "ab".repeat(20)));
    }
}
