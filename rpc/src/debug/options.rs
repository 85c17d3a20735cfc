//! The last parameter of `debug_trace…`: which tracer, with which switches, for how long.

use std::time::Duration;

use serde_json::Value;

use super::{
    calls::CallConfig, flat::FlatConfig, prestate::PrestateConfig, struct_log::StructLogConfig,
};
use crate::{
    error::RpcError,
    eth::request::{BlockOverride, Overrides},
    param::{Flaw, Param, member},
};

/// `tracerConfig`: switches that are off when absent.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a>(pub &'a Value);

impl Options<'_> {
    /// A switch.
    ///
    /// # Errors
    /// -32000 if it is there and not a boolean.
    pub fn switch(&self, name: &str) -> Result<bool, RpcError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(RpcError::Server(format!("tracerConfig: {name} is not a boolean"))),
        }
    }
}

/// Which tracer.
#[derive(Debug, Clone)]
pub enum Choice {
    /// Step by step.
    StructLog(StructLogConfig),
    /// `callTracer`.
    Calls(CallConfig),
    /// `flatCallTracer`.
    Flat(FlatConfig),
    /// `prestateTracer`.
    Prestate(PrestateConfig),
    /// `4byteTracer`.
    FourByte,
    /// `noopTracer`.
    Noop,
    /// `muxTracer`: several by name.
    Mux(Vec<(String, Choice)>),
}

/// What a client asked for.
#[derive(Debug, Clone, Default)]
pub struct TraceOptions {
    tracer: Option<String>,
    config: Value,
    steps: StructLogConfig,
    timeout: Option<String>,
    /// Accounts that are otherwise (`debug_traceCall`).
    pub state: Overrides,
    /// Block fields that are otherwise (`debug_traceCall`).
    pub header: BlockOverride,
    /// The call stands before this transaction of the block (`debug_traceCall`).
    pub index: Option<u64>,
}

impl Param for TraceOptions {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(_) => {}
            _ => return Err("non-object".into()),
        }
        Ok(Self {
            tracer: member(value, "tracer")?,
            config: value.get("tracerConfig").cloned().unwrap_or_default(),
            steps: StructLogConfig::read(value)?,
            timeout: member(value, "timeout")?,
            state: member(value, "stateOverrides")?.unwrap_or_default(),
            header: member(value, "blockOverrides")?.unwrap_or_default(),
            index: member(value, "txIndex")?,
        })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl TraceOptions {
    /// The tracer.
    ///
    /// # Errors
    /// -32000 for a name that nobody knows, and for switches of the wrong type.
    pub fn choice(&self) -> Result<Choice, RpcError> {
        match self.tracer.as_deref() {
            None | Some("") => Ok(Choice::StructLog(self.steps.clone())),
            Some(name) => choose(name, &self.config),
        }
    }

    /// How long it may take; absent: as long as this node allows.
    ///
    /// # Errors
    /// -32000 in geth's words if it is no duration.
    pub fn timeout(&self) -> Result<Option<Duration>, RpcError> {
        let Some(text) = &self.timeout else { return Ok(None) };
        let invalid = || RpcError::Server(format!("time: invalid duration {text:?}"));
        duration(text).map(Some).ok_or_else(invalid)
    }
}

fn choose(name: &str, config: &Value) -> Result<Choice, RpcError> {
    let options = Options(config);
    Ok(match name {
        "callTracer" => Choice::Calls(CallConfig::read(&options)?),
        "flatCallTracer" => Choice::Flat(FlatConfig::read(&options)?),
        "prestateTracer" => Choice::Prestate(PrestateConfig::read(&options)?),
        "4byteTracer" => Choice::FourByte,
        "noopTracer" => Choice::Noop,
        "muxTracer" => {
            let parts = config.as_object().into_iter().flatten();
            let part = |(name, config): (&String, &Value)| {
                if name == "muxTracer" {
                    // one level is enough for every use, and bounds the work
                    return Err(RpcError::Server("muxTracer inside of muxTracer".to_owned()));
                }
                Ok((name.clone(), choose(name, config)?))
            };
            Choice::Mux(parts.map(part).collect::<Result<_, RpcError>>()?)
        }
        _ => return Err(RpcError::Server("tracer not found".to_owned())),
    })
}

/// Go's durations: numbers with units, `1m30s`, `500ms`, `0`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut sum) = (text.strip_prefix('+').unwrap_or(text), 0.0_f64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..unit_at].parse().ok()?;
        rest = &rest[unit_at..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let seconds = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        sum += number * seconds;
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(sum).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, expected) in [
            ("5s", Some(5_000)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1_500)),
            ("250ms", Some(250)),
            ("0", Some(0)),
            ("x", None),
            ("", None),
            ("5", None),
            ("5 s", None),
        ] {
            let have = duration(text).map(|found| found.as_millis());
            assert_eq!(have, expected, "{text}");
        }
    }

    #[test]
    fn tracers_by_name() {
        let choice = |value: Value| {
            TraceOptions::from_json(&value).expect("options").choice().map_err(|e| e.to_string())
        };
        assert!(matches!(choice(json!({})), Ok(Choice::StructLog(_))));
        assert!(matches!(choice(json!({"tracer": "noopTracer"})), Ok(Choice::Noop)));
        assert!(matches!(
            choice(json!({"tracer": "x"})), Err(text) if text == "tracer not found"
        ));
        let mux = json!({"tracer": "muxTracer", "tracerConfig": {"4byteTracer": {}}});
        assert!(matches!(choice(mux), Ok(Choice::Mux(parts)) if parts.len() == 1));
        let wrong = json!({"tracer": "callTracer", "tracerConfig": {"withLog": 1}});
        assert!(choice(wrong).is_err());
    }
}
