//! The kind `trace`: frames one after the other, their gas without what a transaction costs before its first step.

use serde_json::{Map, Value};

use crate::{
    debug::{
        calls::Frame,
        flat::{self, FlatConfig, Place},
    },
    render::data,
};

/// Parity's words, its choice of frames.
const PARITY: FlatConfig = FlatConfig { convert_parity_errors: true, include_precompiles: false };

/// The frames of a transaction without their place in the chain.
pub fn bare(frame: &Frame) -> Vec<Value> {
    entries(frame, Place::default()).into_iter().map(Value::Object).collect()
}

/// The frames of a transaction with their place in the chain.
pub fn placed(frame: &Frame, place: Place) -> Vec<Value> {
    let with_place = |mut entry: Map<String, Value>| {
        let (hash, number) = place.block.unwrap_or_default();
        entry.insert("blockHash".to_owned(), data(hash));
        entry.insert("blockNumber".to_owned(), number.into());
        let transaction = place.transaction.map_or(Value::Null, data);
        entry.insert("transactionHash".to_owned(), transaction);
        entry.insert("transactionPosition".to_owned(), place.index.into());
        Value::Object(entry)
    };
    entries(frame, place).into_iter().map(with_place).collect()
}

fn entries(frame: &Frame, place: Place) -> Vec<Map<String, Value>> {
    let Value::Array(items) = flat::render(frame, PARITY, place) else { return Vec::new() };
    let bare = |item: Value| {
        let Value::Object(mut entry) = item else { return Map::new() };
        for name in ["blockHash", "blockNumber", "transactionHash", "transactionPosition"] {
            entry.remove(name);
        }
        if entry.contains_key("error") {
            // Parity has no result beside an error, geth keeps that of a revert
            entry.insert("result".to_owned(), Value::Null);
        } else {
            entry.entry("result").or_insert(Value::Null);
        }
        entry
    };
    items.into_iter().map(bare).collect()
}
