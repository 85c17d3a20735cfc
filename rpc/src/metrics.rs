//! Counts and times of a node's front, in Prometheus' text form.
//!
//! Names are `room_thing_unit`; a method outside of the table counts as `other`, so that strangers cannot make the page
//! grow.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{context::Context, limits};

/// Upper ends of the classes of times, microseconds.
const BUCKETS_US: [u64; 12] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 5_000_000];
/// What stands for methods that are none.
const OTHER: &str = "other";

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP.
    Http,
    /// WebSocket.
    WebSocket,
    /// The socket of the data folder.
    Ipc,
}

const TRANSPORTS: [(Transport, &str); 3] =
    [(Transport::Http, "http"), (Transport::WebSocket, "ws"), (Transport::Ipc, "ipc")];

/// Times of one kind of event.
#[derive(Debug, Default, Clone)]
pub struct Histogram {
    buckets: [u64; BUCKETS_US.len()],
    count: u64,
    sum_us: u64,
}

impl Histogram {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(index) = BUCKETS_US.iter().position(|end| us <= *end) {
            self.buckets[index] += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    fn write(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below = 0;
        for (end, count) in BUCKETS_US.iter().zip(self.buckets) {
            below += count;
            let end = seconds(*end);
            line(out, &format!("{name}_bucket{{{labels}{comma}le=\"{end}\"}}"), below);
        }
        line(out, &format!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}}"), self.count);
        line(out, &format!("{name}_sum{{{labels}}}"), seconds(self.sum_us));
        line(out, &format!("{name}_count{{{labels}}}"), self.count);
    }
}

fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    // writing into a string does not fail
    let _ = writeln!(out, "{name} {value}");
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// All of them.
#[derive(Debug)]
pub struct Metrics {
    calls: HashMap<&'static str, Mutex<BTreeMap<i32, Histogram>>>,
    open: [AtomicI64; TRANSPORTS.len()],
    refused: Mutex<BTreeMap<&'static str, u64>>,
    body_bytes: AtomicU64,
}

/// A connection that counts while this is kept.
#[derive(Debug)]
pub struct Open(Arc<Metrics>, usize);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open[self.1].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Nothing counted yet, for these methods.
    pub fn new(methods: impl Iterator<Item = &'static str>) -> Arc<Self> {
        Arc::new(Self {
            calls: methods.chain([OTHER]).map(|name| (name, Mutex::default())).collect(),
            open: Default::default(),
            refused: Mutex::default(),
            body_bytes: AtomicU64::new(0),
        })
    }

    /// A call ended; code 0 is success.
    pub fn count_call(&self, method: &str, code: i32, time: Duration) {
        let calls = self.calls.get(method).or_else(|| self.calls.get(OTHER));
        if let Some(calls) = calls {
            let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.entry(code).or_default().add(time);
        }
    }

    /// Something was refused before it was a call, or for its rate.
    pub fn count_refused(&self, why: &'static str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(why).or_default() += 1;
    }

    /// Bytes of bodies that were read.
    pub fn count_body(&self, bytes: usize) {
        self.body_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A connection opened.
    pub fn open(self: &Arc<Self>, transport: Transport) -> Open {
        let index = TRANSPORTS.iter().position(|(known, _)| *known == transport).unwrap_or(0);
        self.open[index].fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self), index)
    }

    /// The page.
    pub fn render(&self, context: &Context) -> String {
        let mut out = String::new();
        let head = |out: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        };
        let name = "rpc_request_seconds";
        head(
            &mut out,
            name,
            "histogram",
            "time to answer a call, by method and error code (0 is success)",
        );
        let mut calls: Vec<_> = self.calls.iter().collect();
        calls.sort_by_key(|(method, _)| **method);
        for (method, by_code) in calls {
            let by_code = by_code.lock().unwrap_or_else(PoisonError::into_inner);
            for (code, times) in by_code.iter() {
                times.write(&mut out, name, &format!("method=\"{method}\",code=\"{code}\""));
            }
        }
        head(&mut out, "rpc_queue_seconds", "histogram", "time that long work waited for a thread");
        context.work.waits().write(&mut out, "rpc_queue_seconds", "");
        head(&mut out, "rpc_open_connections", "gauge", "connections that are open");
        for ((_, label), open) in TRANSPORTS.iter().zip(&self.open) {
            let name = format!("rpc_open_connections{{transport=\"{label}\"}}");
            line(&mut out, &name, open.load(Ordering::Relaxed));
        }
        head(
            &mut out,
            "rpc_refused_total",
            "counter",
            "requests and connections refused before dispatch",
        );
        for (why, count) in self.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            line(&mut out, &format!("rpc_refused_total{{why=\"{why}\"}}"), count);
        }
        let node = &context.node;
        let chain = node.reader().head();
        let (pending, queued) = node.pool_status();
        let subscriptions = limits::SUBSCRIPTIONS - context.subscriptions.available_permits();
        let header = chain.block.header();
        for (name, kind, help, value) in [
            (
                "rpc_body_bytes_total",
                "counter",
                "bytes of request bodies",
                self.body_bytes.load(Ordering::Relaxed),
            ),
            ("rpc_subscriptions", "gauge", "subscriptions in force", subscriptions as u64),
            ("rpc_filters", "gauge", "polling filters in force", context.filters.count() as u64),
            ("chain_head_number", "gauge", "height of the head", header.number),
            ("chain_head_timestamp_seconds", "gauge", "time of the head", header.timestamp),
            ("chain_head_gas_used", "gauge", "gas used by the head", header.gas_used),
            ("txpool_pending", "gauge", "transactions that may enter a block", pending as u64),
            ("txpool_queued", "gauge", "transactions that wait for others", queued as u64),
            ("node_peers", "gauge", "connected nodes", node.peer_count()),
            (
                "node_read_only",
                "gauge",
                "1 while the disk is too full to write",
                node.is_read_only().into(),
            ),
            (
                "node_sealing",
                "gauge",
                "1 if this node has the key of a signer",
                node.is_sealing().into(),
            ),
        ] {
            head(&mut out, name, kind, help);
            line(&mut out, name, value);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_classes() {
        let metrics = Metrics::new(["eth_call"].into_iter());
        metrics.count_call("eth_call", 0, Duration::from_micros(60));
        metrics.count_call("eth_call", 3, Duration::from_secs(60));
        metrics.count_call("no_such", -32601, Duration::ZERO);
        let mut out = String::new();
        for (code, below_100_us, sum) in [(0, 1, "0.000060"), (3, 0, "60.000000")] {
            let by_code = metrics.calls["eth_call"].lock().expect("no panic");
            by_code[&code].write(&mut out, "t", "");
            assert!(
                out.contains(&format!("t_bucket{{le=\"0.000100\"}} {below_100_us}\n")),
                "{out}"
            );
            assert!(out.contains("t_bucket{le=\"+Inf\"} 1\n"), "{out}");
            assert!(out.contains(&format!("t_sum{{}} {sum}\n")), "{out}");
            out.clear();
        }
        assert_eq!(metrics.calls[OTHER].lock().expect("no panic")[&-32601].count, 1);
    }

    #[test]
    fn connections_count_while_they_are_open() {
        let metrics = Metrics::new(std::iter::empty());
        let one = metrics.open(Transport::Ipc);
        assert_eq!(metrics.open[2].load(Ordering::Relaxed), 1);
        drop(one);
        assert_eq!(metrics.open[2].load(Ordering::Relaxed), 0);
    }
}
