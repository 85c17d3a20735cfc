//! `4byteTracer`: which selectors were called, with how many bytes behind them, how often.

use std::collections::BTreeMap;

use alloy_primitives::hex;
use chain::executor::rerun::Watched;
use serde_json::{Map, Value};

use super::hooks::{Enter, Exit, Kind, Tracer};

/// Counts selectors.
#[derive(Debug, Default)]
pub struct FourByte {
    counts: BTreeMap<String, u64>,
    depth: usize,
    /// The key that the last frame added, in case it is refused.
    last: Option<String>,
}

impl FourByte {
    /// `{"0x1ab06ee5-64": count}`.
    pub fn render(self) -> Value {
        let counts = self.counts.into_iter().filter(|(_, count)| *count > 0);
        Value::Object(counts.map(|(key, count)| (key, count.into())).collect::<Map<_, _>>())
    }
}

impl Tracer for FourByte {
    fn enter(&mut self, enter: &Enter, _: &mut Watched) {
        self.depth += 1;
        self.last = None;
        let is_outer = self.depth == 1;
        let is_call = !enter.kind.is_create() && enter.kind != Kind::SelfDestruct;
        if !is_outer && (!is_call || enter.is_precompile) {
            return;
        }
        if let Some((selector, rest)) = enter.input.split_first_chunk::<4>() {
            let key = format!("{}-{}", hex::encode_prefixed(selector), rest.len());
            *self.counts.entry(key.clone()).or_default() += 1;
            self.last = Some(key);
        }
    }

    fn refused(&mut self) {
        self.depth -= 1;
        if let Some(count) = self.last.take().and_then(|key| self.counts.get_mut(&key)) {
            *count -= 1;
        }
    }

    fn exit(&mut self, _: &Exit) {
        self.depth -= 1;
    }
}
