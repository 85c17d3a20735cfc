//! What a server is started with, and why it may not start.

use std::net::{Ipv4Addr, SocketAddr};

use node::config::SignerKey;

use crate::auth::Gate;

/// Port of JSON-RPC over HTTP and WebSocket, as in every Ethereum client.
pub const DEFAULT_PORT: u16 = 8545;

/// Settings of one listener.
#[derive(Debug, Clone)]
pub struct RpcConfig {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Keys that sign for clients (`eth_accounts`, `eth_sendTransaction`, `eth_sign`): those of a
    /// development chain, or none.
    pub dev_keys: Vec<SignerKey>,
    /// Allows an address that other machines can reach.
    pub allow_remote: bool,
    /// Names beside `localhost` and IP literals that may stand in the Host header.
    pub vhosts: Vec<String>,
    /// Origins whose pages may read answers.
    pub cors: Vec<String>,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            dev_keys: Vec::new(),
            allow_remote: false,
            vhosts: Vec::new(),
            cors: Vec::new(),
        }
    }
}

impl RpcConfig {
    /// Checks that nobody is let in by accident.
    ///
    /// # Errors
    /// [`RpcStartError::NotLoopback`] for a reachable address without leave; [`RpcStartError::KeysInTheOpen`] for one with
    /// signing keys, leave or not.
    pub fn validate(&self) -> Result<(), RpcStartError> {
        let is_loopback = self.addr.ip().is_loopback();
        match (is_loopback, self.dev_keys.is_empty(), self.allow_remote) {
            (true, ..) | (false, true, true) => Ok(()),
            (false, false, _) => Err(RpcStartError::KeysInTheOpen { addr: self.addr }),
            (false, true, false) => Err(RpcStartError::NotLoopback { addr: self.addr }),
        }
    }

    pub(crate) fn gate(&self) -> Gate {
        let (vhosts, origins) = (self.vhosts.clone(), self.cors.clone());
        Gate { vhosts, origins, is_dev: !self.dev_keys.is_empty() }
    }
}

/// Why a listener does not start.
#[derive(Debug, thiserror::Error)]
pub enum RpcStartError {
    /// The address is taken, or not this machine's.
    #[error(
        "cannot listen on {addr} for JSON-RPC: {source}\n  do: stop the program that uses the address, or choose another \
         with --http.addr and --http.port (0 takes a free port)"
    )]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Other machines could reach it.
    #[error(
        "refusing to listen on {addr} for JSON-RPC: other machines could reach it\n  do: use --http.addr 127.0.0.1, or add \
         --allow-remote if a proxy or firewall guards it"
    )]
    NotLoopback {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// Other machines could sign with its keys.
    #[error(
        "refusing to listen on {addr} with --dev: anybody could sign with the keys of its accounts\n  do: use --http.addr \
         127.0.0.1"
    )]
    KeysInTheOpen {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// A key of `dev_keys` is no number of the curve.
    #[error("a signing key of this server is not a secp256k1 key")]
    InvalidKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_unless_allowed() {
        let config = |addr: &str, allow_remote, keys: usize| RpcConfig {
            addr: addr.parse().expect("a socket address"),
            allow_remote,
            dev_keys: vec![SignerKey::new([1; 32]); keys],
            ..RpcConfig::default()
        };
        for (config, is_allowed) in [
            (config("127.0.0.1:0", false, 0), true),
            (config("[::1]:0", false, 1), true),
            (config("0.0.0.0:0", false, 0), false),
            (config("192.0.2.1:8545", true, 0), true),
            (config("192.0.2.1:8545", true, 1), false),
        ] {
            assert_eq!(config.validate().is_ok(), is_allowed, "{config:?}");
        }
    }
}
