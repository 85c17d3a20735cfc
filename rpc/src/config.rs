//! What a server is started with, and why it may not start.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use alloy_primitives::Address;
use contracts::networks::DIRECTORY;
use node::config::SignerKey;

use crate::{
    access::Access,
    auth::Gate,
    jwt::{JwtScope, Secret},
    limits::Limits,
};

/// Port of JSON-RPC over HTTP and WebSocket, as in every Ethereum client.
pub const DEFAULT_PORT: u16 = 8545;

/// Port of WebSocket with an address of its own: geth's.
pub const DEFAULT_WS_PORT: u16 = 8546;

/// Where metrics are served, if they are: geth's port.
pub const METRICS_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6060);

/// The socket of the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpcConfig {
    /// Where it stands.
    pub path: PathBuf,
    /// True if it was asked for: then a server without it does not start.
    pub is_asked_for: bool,
}

/// Settings of one server.
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
    /// Namespaces over HTTP; none named are the usual ones.
    pub http_api: Option<Vec<String>>,
    /// Namespaces over WebSocket; none named are those of HTTP.
    pub ws_api: Option<Vec<String>>,
    /// Origins whose pages may open WebSockets, beside those of `cors`.
    pub ws_origins: Vec<String>,
    /// A listener of its own for WebSocket.
    pub ws: Option<SocketAddr>,
    /// The socket of the data folder, if there is one.
    pub ipc: Option<IpcConfig>,
    /// The secret of tokens.
    pub jwt: Option<Secret>,
    /// Who needs a token.
    pub jwt_scope: JwtScope,
    /// Proxies whose `X-Forwarded-For` names the client.
    pub trusted_proxies: Vec<IpAddr>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Where the contracts' directory stands.
    pub directory: Address,
    /// Limits that operators set.
    pub limits: Limits,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            dev_keys: Vec::new(),
            allow_remote: false,
            vhosts: Vec::new(),
            cors: Vec::new(),
            http_api: None,
            ws_api: None,
            ws_origins: Vec::new(),
            ws: None,
            ipc: None,
            jwt: None,
            jwt_scope: JwtScope::Admin,
            trusted_proxies: Vec::new(),
            metrics: None,
            directory: DIRECTORY,
            limits: Limits::default(),
        }
    }
}

impl RpcConfig {
    /// True if only this machine reaches it, calls over HTTP and WebSocket alike.
    pub fn is_loopback(&self) -> bool {
        self.addr.ip().is_loopback() && self.ws.is_none_or(|ws| ws.ip().is_loopback())
    }

    /// Checks that nobody is let in by accident.
    ///
    /// # Errors
    /// [`RpcStartError::NotLoopback`] for a reachable address without leave; [`RpcStartError::KeysInTheOpen`] for one with
    /// signing keys, leave or not; [`RpcStartError::UnknownNamespace`], [`RpcStartError::AdminWithoutToken`],
    /// [`RpcStartError::AnyOrigin`] for what is open; [`RpcStartError::NoSecret`] if tokens are needed and none can be made.
    pub fn validate(&self) -> Result<(), RpcStartError> {
        let mut open = [Some(self.addr), self.ws].into_iter().flatten();
        let open = open.find(|addr| !addr.ip().is_loopback());
        match (open, self.dev_keys.is_empty(), self.allow_remote) {
            (None, ..) | (Some(_), true, true) => {}
            (Some(addr), false, _) => return Err(RpcStartError::KeysInTheOpen { addr }),
            (Some(addr), true, false) => return Err(RpcStartError::NotLoopback { addr }),
        }
        if let Some(addr) = self.metrics.filter(|at| !at.ip().is_loopback() && !self.allow_remote) {
            return Err(RpcStartError::NotLoopback { addr });
        }
        if self.jwt_scope == JwtScope::All && self.jwt.is_none() {
            return Err(RpcStartError::NoSecret);
        }
        let is_any = self.cors.iter().chain(&self.ws_origins).any(|origin| origin == "*");
        for access in [self.http_access()?, self.ws_access()?] {
            if is_any && access.is_too_open_for_any_page() {
                return Err(RpcStartError::AnyOrigin);
            }
        }
        Ok(())
    }

    /// What is open over HTTP.
    ///
    /// # Errors
    /// As [`Access::new`].
    pub fn http_access(&self) -> Result<Access, RpcStartError> {
        self.access(self.http_api.as_deref(), self.addr)
    }

    /// What is open over WebSocket.
    ///
    /// # Errors
    /// As [`Access::new`].
    pub fn ws_access(&self) -> Result<Access, RpcStartError> {
        let named = self.ws_api.as_deref().or(self.http_api.as_deref());
        self.access(named, self.ws.unwrap_or(self.addr))
    }

    fn access(&self, named: Option<&[String]>, at: SocketAddr) -> Result<Access, RpcStartError> {
        let is_public = !at.ip().is_loopback();
        Access::new(named, is_public, !self.dev_keys.is_empty(), self.jwt.is_some())
    }

    pub(crate) fn gate(&self) -> Gate {
        let (vhosts, origins) = (self.vhosts.clone(), self.cors.clone());
        let (upgrades, is_dev) = (self.ws_origins.clone(), !self.dev_keys.is_empty());
        Gate { vhosts, origins, upgrades, is_dev }
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
    /// A flag names a namespace that there is not.
    #[error(
        "there is no namespace {name:?}\n  do: name some of eth, net, web3, rpc, clique, med, ots, erigon, debug, trace, \
         txpool, admin, perm, miner in --http.api and --ws.api"
    )]
    UnknownNamespace {
        /// What it names.
        name: String,
    },
    /// Whoever reaches the port could rule the node.
    #[error(
        "refusing to open {name} over TCP without tokens: a proxy makes loopback public\n  do: use the socket of the data \
         folder (IPC), or add --rpc.jwtsecret FILE"
    )]
    AdminWithoutToken {
        /// The namespace.
        name: String,
    },
    /// Every page that somebody visits could read what is open.
    #[error(
        "refusing '*' in --http.corsdomain and --ws.origins while debug, trace or the admin set is open\n  do: name the origins, or close those \
         namespaces with --http.api eth,net,web3"
    )]
    AnyOrigin,
    /// Tokens are needed and there is no secret.
    #[error("--rpc.jwt=all needs a secret\n  do: add --rpc.jwtsecret FILE (64 hex digits)")]
    NoSecret,
    /// The secret does not read.
    #[error("cannot use the secret {}: {reason}\n  do: write 64 random hex digits into it", path.display())]
    BadSecret {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The socket of the data folder cannot be opened.
    #[error(
        "cannot open the socket {}: {source}\n  do: choose another place with --ipcpath, or leave it out with --ipcdisable",
        path.display()
    )]
    Ipc {
        /// Where it should stand.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A key of `dev_keys` is no number of the curve.
    #[error("a signing key of this server is not a secp256k1 key")]
    InvalidKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_let_in_by_accident() {
        let names = |text: &str| Some(vec![text.to_owned()]);
        let base = RpcConfig::default;
        let any = vec!["*".to_owned()];
        for (config, error) in [
            (RpcConfig { http_api: names("admin"), ..base() }, Some("without tokens")),
            (RpcConfig { ws_api: names("nonsense"), ..base() }, Some("no namespace")),
            (RpcConfig { cors: any.clone(), ..base() }, Some("corsdomain")),
            (RpcConfig { cors: any, http_api: names("eth"), ..base() }, None),
            (RpcConfig { jwt_scope: JwtScope::All, ..base() }, Some("--rpc.jwtsecret")),
            (RpcConfig { metrics: "0.0.0.0:6060".parse().ok(), ..base() }, Some("--allow-remote")),
        ] {
            let said = config.validate().err().map(|error| error.to_string());
            match error {
                Some(words) => assert!(said.is_some_and(|text| text.contains(words)), "{words}"),
                None => assert_eq!(said, None),
            }
        }
    }

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
            (
                RpcConfig { ws: "192.0.2.1:0".parse().ok(), ..config("127.0.0.1:0", false, 0) },
                false,
            ),
            (RpcConfig { ws: "192.0.2.1:0".parse().ok(), ..config("127.0.0.1:0", true, 0) }, true),
        ] {
            assert_eq!(config.validate().is_ok(), is_allowed, "{config:?}");
        }
    }
}
