//! What a call costs, and how much a client may ask for in a second.
//!
//! Each address has a bucket of units that refills steadily; a call takes its cost out, each call of a batch for itself.
//! Clients on this machine are not counted.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::limits;

/// Buckets kept; beyond, those that are full again are forgotten.
const BUCKETS: usize = 65_536;

/// Units that a call costs: a plain read is one.
pub fn cost(method: &str) -> u32 {
    match method {
        "eth_sendRawTransaction" | "eth_sendRawTransactionSync" | "eth_sendTransaction" => 2,
        "eth_call"
        | "eth_estimateGas"
        | "eth_createAccessList"
        | "eth_getProof"
        | "eth_fillTransaction"
        | "eth_feeHistory" => 5,
        "eth_getLogs" | "eth_getFilterLogs" | "eth_getFilterChanges" => 10,
        "eth_simulateV1" => 20,
        _ => match method.split_once('_') {
            Some(("debug", rest)) if !rest.starts_with("getRaw") => 50,
            Some(("trace", _)) => 50,
            Some(("med" | "ots", _)) => 10,
            _ => 1,
        },
    }
}

/// The buckets of one listener.
#[derive(Debug)]
pub struct Rate {
    units_per_sec: f64,
    burst: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    units: f64,
    at: Instant,
}

impl Default for Rate {
    fn default() -> Self {
        Self::new(limits::RATE_UNITS_PER_SEC, limits::RATE_BURST)
    }
}

impl Rate {
    /// Buckets of `burst` units that refill at `units_per_sec`.
    pub fn new(units_per_sec: u32, burst: u32) -> Self {
        Self { units_per_sec: units_per_sec.into(), burst: burst.into(), buckets: Mutex::default() }
    }

    /// Takes units out of the bucket of an address.
    ///
    /// # Errors
    /// The time after which they would be there.
    pub fn charge(&self, address: IpAddr, units: u32) -> Result<(), Duration> {
        self.charge_at(address, units, Instant::now())
    }

    fn charge_at(&self, address: IpAddr, units: u32, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS {
            buckets.retain(|_, bucket| self.units_at(bucket, now) < self.burst);
        }
        let full = Bucket { units: self.burst, at: now };
        let bucket = buckets.entry(network(address)).or_insert(full);
        let there = self.units_at(bucket, now);
        let left = there - f64::from(units);
        if left < 0.0 {
            return Err(Duration::from_secs_f64(-left / self.units_per_sec));
        }
        *bucket = Bucket { units: left, at: now };
        Ok(())
    }

    fn units_at(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.units + since * self.units_per_sec).min(self.burst)
    }
}

/// Whose bucket it is: an IPv6 client has a whole /64.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn buckets_empty_and_refill() {
        let (rate, now) = (Rate::new(10, 20), Instant::now());
        let charge = |units, at| rate.charge_at(ip("203.0.113.1"), units, at);
        assert_eq!(charge(20, now), Ok(()));
        assert_eq!(charge(5, now), Err(Duration::from_millis(500)));
        assert_eq!(rate.charge_at(ip("203.0.113.2"), 5, now), Ok(()), "another client");
        assert_eq!(charge(5, now + Duration::from_millis(500)), Ok(()));
        assert_eq!(charge(21, now + Duration::from_secs(3_600)), Err(Duration::from_millis(100)));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        assert_eq!(network(ip("2001:db8:1:2:3::4")), network(ip("2001:db8:1:2:ffff::")));
        assert_ne!(network(ip("2001:db8:1:2::")), network(ip("2001:db8:1:3::")));
        assert_eq!(network(ip("::ffff:203.0.113.1")), ip("203.0.113.1"));
    }

    #[test]
    fn costs_follow_the_work() {
        for (method, units) in [
            ("eth_blockNumber", 1),
            ("eth_sendRawTransaction", 2),
            ("eth_call", 5),
            ("eth_getLogs", 10),
            ("med_getGrant", 10),
            ("eth_simulateV1", 20),
            ("debug_traceTransaction", 50),
            ("debug_getRawBlock", 1),
            ("trace_block", 50),
            ("nothing", 1),
        ] {
            assert_eq!(cost(method), units, "{method}");
        }
    }
}
