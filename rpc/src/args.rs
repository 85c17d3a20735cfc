//! Flags of the JSON-RPC server, in geth's words.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use crate::{
    config::{DEFAULT_PORT, IpcConfig, METRICS_ADDR, RpcConfig, RpcStartError},
    ipc::SOCKET_FILE,
    jwt::{JwtScope, Secret},
    limits::{self, Limits},
};

/// `--http.*`, `--ws.*`, `--ipc*`, `--rpc.*`, `--metrics*`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "JSON-RPC")]
pub struct RpcArgs {
    /// Address to listen on; anything but loopback also needs --allow-remote
    #[arg(
        long = "http.addr",
        env = "MSNET_HTTP_ADDR",
        value_name = "IP",
        default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST)
    )]
    pub addr: IpAddr,
    /// Port for HTTP and WebSocket; 0 takes a free one
    #[arg(
        long = "http.port",
        env = "MSNET_HTTP_PORT",
        value_name = "PORT",
        default_value_t = DEFAULT_PORT
    )]
    pub port: u16,
    /// Namespaces over HTTP, separated by commas [default: eth,net,web3,rpc,clique,med, and on loopback ots,erigon,debug,trace]
    #[arg(
        long = "http.api",
        env = "MSNET_HTTP_API",
        value_name = "NAMESPACES",
        value_delimiter = ','
    )]
    pub http_api: Option<Vec<String>>,
    /// Origins whose pages may call, separated by commas
    #[arg(
        long = "http.corsdomain",
        env = "MSNET_HTTP_CORSDOMAIN",
        value_name = "ORIGINS",
        value_delimiter = ','
    )]
    pub cors: Vec<String>,
    /// Host names to answer to beside localhost and IP addresses, separated by commas
    #[arg(
        long = "http.vhosts",
        env = "MSNET_HTTP_VHOSTS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub vhosts: Vec<String>,
    /// Proxies whose X-Forwarded-For names the client, separated by commas
    #[arg(
        long = "http.trustedproxies",
        env = "MSNET_HTTP_TRUSTEDPROXIES",
        value_name = "IPS",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<IpAddr>,
    /// Namespaces over WebSocket, separated by commas [default: those over HTTP]
    #[arg(long = "ws.api", env = "MSNET_WS_API", value_name = "NAMESPACES", value_delimiter = ',')]
    pub ws_api: Option<Vec<String>>,
    /// Port for WebSocket alone; 0 takes a free one [default: HTTP's]
    #[arg(long = "ws.port", env = "MSNET_WS_PORT", value_name = "PORT")]
    pub ws_port: Option<u16>,
    /// Socket for the owner of the data folder, with all namespaces [default: msnet.ipc in the data folder]
    #[arg(long = "ipcpath", env = "MSNET_IPCPATH", value_name = "FILE")]
    pub ipc_path: Option<PathBuf>,
    /// Open no socket
    #[arg(long = "ipcdisable", env = "MSNET_IPCDISABLE", conflicts_with = "ipc_path")]
    pub ipc_disable: bool,
    /// File with the secret of tokens: 64 hex digits
    #[arg(long = "rpc.jwtsecret", env = "MSNET_RPC_JWTSECRET", value_name = "FILE")]
    pub jwt_secret: Option<PathBuf>,
    /// Who needs a token over TCP
    #[arg(long = "rpc.jwt", env = "MSNET_RPC_JWT", value_name = "WHO", default_value = "admin")]
    pub jwt: JwtScope,
    /// Calls in one batch
    #[arg(
        long = "rpc.batch-request-limit",
        env = "MSNET_RPC_BATCH_REQUEST_LIMIT",
        value_name = "COUNT",
        default_value_t = limits::BATCH_CALLS
    )]
    pub batch_calls: usize,
    /// Gas of one eth_call or estimate
    #[arg(
        long = "rpc.gascap",
        env = "MSNET_RPC_GASCAP",
        value_name = "GAS",
        default_value_t = limits::CALL_GAS
    )]
    pub gas_cap: u64,
    /// Seconds that one eth_call, estimate or trace may take
    #[arg(
        long = "rpc.evmtimeout",
        env = "MSNET_RPC_EVMTIMEOUT",
        value_name = "SECONDS",
        default_value_t = limits::CALL_TIME.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=60)
    )]
    pub evm_timeout: u64,
    /// Blocks of one eth_getLogs from another machine
    #[arg(
        long = "rpc.logs.range",
        env = "MSNET_RPC_LOGS_RANGE",
        value_name = "BLOCKS",
        default_value_t = limits::LOG_RANGE
    )]
    pub log_range: u64,
    /// Serve metrics for Prometheus, on a listener of their own
    #[arg(long, env = "MSNET_METRICS")]
    pub metrics: bool,
    /// Address of the metrics
    #[arg(
        long = "metrics.addr",
        env = "MSNET_METRICS_ADDR",
        value_name = "IP",
        default_value_t = METRICS_ADDR.ip()
    )]
    pub metrics_addr: IpAddr,
    /// Port of the metrics; 0 takes a free one
    #[arg(
        long = "metrics.port",
        env = "MSNET_METRICS_PORT",
        value_name = "PORT",
        default_value_t = METRICS_ADDR.port()
    )]
    pub metrics_port: u16,
    /// Allow an address that other machines can reach
    #[arg(long = "allow-remote", env = "MSNET_ALLOW_REMOTE")]
    pub allow_remote: bool,
}

impl RpcArgs {
    /// The settings these flags ask for, without signing keys. The socket stands in the data folder, if there is one.
    ///
    /// # Errors
    /// [`RpcStartError::BadSecret`].
    pub fn config(&self, datadir: Option<&Path>) -> Result<RpcConfig, RpcStartError> {
        let read = |path: &PathBuf| {
            Secret::read(path)
                .map_err(|reason| RpcStartError::BadSecret { path: path.clone(), reason })
        };
        let usual = datadir.map(|folder| folder.join(SOCKET_FILE));
        let ipc = self.ipc_path.clone().or(usual).filter(|_| !self.ipc_disable);
        let is_asked_for = self.ipc_path.is_some();
        Ok(RpcConfig {
            addr: SocketAddr::new(self.addr, self.port),
            dev_keys: Vec::new(),
            allow_remote: self.allow_remote,
            vhosts: self.vhosts.clone(),
            cors: self.cors.clone(),
            http_api: self.http_api.clone(),
            ws_api: self.ws_api.clone(),
            ws_port: self.ws_port,
            ipc: ipc.map(|path| IpcConfig { path, is_asked_for }),
            jwt: self.jwt_secret.as_ref().map(read).transpose()?,
            jwt_scope: self.jwt,
            trusted_proxies: self.trusted_proxies.clone(),
            metrics: self.metrics.then(|| SocketAddr::new(self.metrics_addr, self.metrics_port)),
            limits: Limits {
                batch_calls: self.batch_calls,
                call_gas: self.gas_cap,
                call_time: Duration::from_secs(self.evm_timeout),
                log_range: self.log_range,
            },
        })
    }
}
