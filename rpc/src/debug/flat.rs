//! `flatCallTracer`: the frames of a transaction one after the other, each with its place, as Parity wrote them.

use serde_json::{Map, Value, json};

use super::{calls::Frame, hooks::Kind, options::Options};
use crate::{
    error::RpcError,
    render::{address, data, quantity},
};

/// Where the transaction stands; nowhere in a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// Hash and number of the block, if it has one.
    pub block: Option<(alloy_primitives::B256, u64)>,
    /// Hash of the transaction, if it has one.
    pub transaction: Option<alloy_primitives::B256>,
    /// Position in the block.
    pub index: usize,
}

/// What `flatCallTracer` shall show.
#[derive(Debug, Clone, Copy, Default)]
pub struct FlatConfig {
    /// Parity's words for errors.
    pub convert_parity_errors: bool,
    /// Calls to precompiled contracts too.
    pub include_precompiles: bool,
}

impl FlatConfig {
    /// Reads `tracerConfig`.
    ///
    /// # Errors
    /// -32000 if a switch is not a boolean.
    pub fn read(config: &Options<'_>) -> Result<Self, RpcError> {
        Ok(Self {
            convert_parity_errors: config.switch("convertParityErrors")?,
            include_precompiles: config.switch("includePrecompiles")?,
        })
    }
}

/// The frame and all below it, in the order of their beginnings.
pub fn render(frame: &Frame, config: FlatConfig, place: Place) -> Value {
    let mut out = Vec::new();
    push(frame, config, place, &mut Vec::new(), &mut out);
    Value::Array(out)
}

fn push(
    frame: &Frame,
    config: FlatConfig,
    place: Place,
    trace_address: &mut Vec<usize>,
    out: &mut Vec<Value>,
) {
    let is_shown = |call: &&Frame| {
        let is_dropped = call.is_precompile && matches!(call.kind, Kind::Call | Kind::StaticCall);
        config.include_precompiles || !is_dropped
    };
    let calls: Vec<&Frame> = frame.calls.iter().filter(is_shown).collect();
    let mut item = Map::new();
    let mut put = |name: &str, value: Value| {
        item.insert(name.to_owned(), value);
    };
    put("action", action(frame));
    put("blockHash", place.block.map_or(Value::Null, |(hash, _)| data(hash)));
    put("blockNumber", place.block.map_or(0, |(_, number)| number).into());
    put("subtraces", calls.len().into());
    put("traceAddress", trace_address.as_slice().into());
    put("transactionHash", place.transaction.map_or(Value::Null, data));
    put("transactionPosition", place.index.into());
    put("type", kind(frame.kind).into());
    if let Some(error) = &frame.error {
        let words = if config.convert_parity_errors { parity_error(error) } else { error };
        put("error", words.into());
    }
    let is_revert = frame.error.as_deref() == Some("execution reverted");
    if (frame.error.is_none() || is_revert) && frame.kind != Kind::SelfDestruct {
        put("result", result(frame));
    }
    out.push(Value::Object(item));
    for (index, call) in calls.into_iter().enumerate() {
        trace_address.push(index);
        push(call, config, place, trace_address, out);
        trace_address.pop();
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Create | Kind::Create2 => "create",
        Kind::SelfDestruct => "suicide",
        _ => "call",
    }
}

fn action(frame: &Frame) -> Value {
    let value = quantity(frame.value.unwrap_or_default());
    let to = frame.to.map_or(Value::Null, address);
    match frame.kind {
        Kind::Create | Kind::Create2 => json!({
            "from": address(frame.from),
            "gas": quantity(frame.gas),
            "value": value,
            "init": data(&frame.input),
        }),
        Kind::SelfDestruct => {
            json!({"address": address(frame.from), "balance": value, "refundAddress": to})
        }
        kind => json!({
            "callType": kind.name().to_lowercase(),
            "from": address(frame.from),
            "to": to,
            "gas": quantity(frame.gas),
            "value": value,
            "input": data(&frame.input),
        }),
    }
}

fn result(frame: &Frame) -> Value {
    let gas_used = quantity(frame.gas_used);
    if !frame.kind.is_create() {
        return json!({"gasUsed": gas_used, "output": data(&frame.output)});
    }
    let mut out = json!({"gasUsed": gas_used, "code": data(&frame.output)});
    if let Some(created) = frame.to {
        out["address"] = address(created);
    }
    out
}

/// Parity's words.
fn parity_error(error: &str) -> &str {
    match error {
        "contract creation code storage out of gas"
        | "out of gas"
        | "gas uint64 overflow"
        | "max code size exceeded" => "Out of gas",
        "invalid jump destination" => "Bad jump destination",
        "execution reverted" => "Reverted",
        "return data out of bounds" => "Out of bounds",
        "stack limit reached 1024 (1023)" => "Out of stack",
        "precompiled failed" | "invalid input length" => "Built-in failed",
        _ if error.starts_with("invalid opcode:") => "Bad instruction",
        _ if error.starts_with("stack underflow") => "Stack underflow",
        other => other,
    }
}
