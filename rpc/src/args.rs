//! Flags of the JSON-RPC server, in geth's words.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_primitives::Address;
use clap::Args;
use contracts::networks::DIRECTORY;

use crate::{
    config::{DEFAULT_PORT, DEFAULT_WS_PORT, IpcConfig, METRICS_ADDR, RpcConfig, RpcStartError},
    ipc::SOCKET_FILE,
    jwt::{JwtScope, Secret},
    limits::{self, Limits},
};

/// `--http.*`, `--ws.*`, `--ipc*`, `--rpc.*`, `--metrics*`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "JSON-RPC")]
pub struct RpcArgs {
    /// Accepted for geth's sake: HTTP is always served
    #[arg(long, env = "MSNET_HTTP")]
    pub http: bool,
    /// Accepted for geth's sake: WebSocket is always served, at HTTP's port unless --ws.port says otherwise
    #[arg(long, env = "MSNET_WS")]
    pub ws: bool,
    /// Accepted for geth's sake: the sealer's key signs headers alone, so no account is ever unlocked for callers
    #[arg(long = "allow-insecure-unlock", env = "MSNET_ALLOW_INSECURE_UNLOCK")]
    pub allow_insecure_unlock: bool,
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
    /// Address for WebSocket alone [default: HTTP's]
    #[arg(long = "ws.addr", env = "MSNET_WS_ADDR", value_name = "IP")]
    pub ws_addr: Option<IpAddr>,
    /// Origins whose pages may open WebSockets, beside those of --http.corsdomain, separated by commas
    #[arg(
        long = "ws.origins",
        env = "MSNET_WS_ORIGINS",
        value_name = "ORIGINS",
        value_delimiter = ','
    )]
    pub ws_origins: Vec<String>,
    /// Port for WebSocket alone; 0 takes a free one [default: HTTP's; 8546 with an address of its own]
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
    /// Gas of one eth_call or estimate; 0 is no limit
    #[arg(
        long = "rpc.gascap",
        env = "MSNET_RPC_GASCAP",
        value_name = "GAS",
        default_value_t = limits::CALL_GAS
    )]
    pub gas_cap: u64,
    /// Time that one eth_call, estimate, simulation or trace may take, 1s to 60s
    #[arg(
        long = "rpc.evmtimeout",
        env = "MSNET_RPC_EVMTIMEOUT",
        value_name = "TIME",
        default_value = "5s",
        value_parser = evm_timeout
    )]
    pub evm_timeout: Duration,
    /// Most that the gas of a transaction may cost that is sent here, in ether; 0 is no limit
    #[arg(
        long = "rpc.txfeecap",
        env = "MSNET_RPC_TXFEECAP",
        value_name = "ETHER",
        default_value = "1",
        value_parser = ether
    )]
    pub tx_fee_cap: u128,
    /// Take transactions that are valid on any chain (without EIP-155)
    #[arg(long = "rpc.allow-unprotected-txs", env = "MSNET_RPC_ALLOW_UNPROTECTED_TXS")]
    pub allow_unprotected: bool,
    /// Blocks of one eth_getLogs from another machine
    #[arg(
        long = "rpc.logs.range",
        env = "MSNET_RPC_LOGS_RANGE",
        value_name = "BLOCKS",
        default_value_t = limits::LOG_RANGE
    )]
    pub log_range: u64,
    /// Where the directory of msnet's contracts stands, for med_*; on other networks than those that msnet genesis makes
    #[arg(
        long = "med.directory",
        env = "MSNET_MED_DIRECTORY",
        value_name = "ADDRESS",
        default_value_t = DIRECTORY
    )]
    pub med_directory: Address,
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
            ws_origins: self.ws_origins.clone(),
            ws: self.ws(),
            ipc: ipc.map(|path| IpcConfig { path, is_asked_for }),
            jwt: self.jwt_secret.as_ref().map(read).transpose()?,
            jwt_scope: self.jwt,
            trusted_proxies: self.trusted_proxies.clone(),
            metrics: self.metrics.then(|| SocketAddr::new(self.metrics_addr, self.metrics_port)),
            directory: self.med_directory,
            limits: Limits {
                batch_calls: self.batch_calls,
                call_gas: if self.gas_cap == 0 { NO_GAS_CAP } else { self.gas_cap },
                call_time: self.evm_timeout,
                log_range: self.log_range,
                tx_fee: if self.tx_fee_cap == 0 { u128::MAX } else { self.tx_fee_cap },
                takes_unprotected: self.allow_unprotected,
            },
        })
    }

    /// Where WebSocket has a listener of its own, if it has one.
    fn ws(&self) -> Option<SocketAddr> {
        let addr = self.ws_addr.unwrap_or(self.addr);
        match self.ws_port {
            Some(port) if port == self.port && addr == self.addr && port != 0 => None,
            Some(port) => Some(SocketAddr::new(addr, port)),
            None => (addr != self.addr).then(|| SocketAddr::new(addr, DEFAULT_WS_PORT)),
        }
    }
}

/// Gas of a call on a node without a cap: geth's, which leaves room to add.
const NO_GAS_CAP: u64 = u64::MAX / 2;

/// Seconds, with geth's unit or without: `5s`, `5`.
fn evm_timeout(text: &str) -> Result<Duration, String> {
    let secs = text.strip_suffix('s').unwrap_or(text).parse::<u64>().ok();
    let secs = secs.filter(|secs| (1..=60).contains(secs));
    secs.map(Duration::from_secs).ok_or_else(|| "expected 1s to 60s".to_owned())
}

/// Ether as a decimal number, in wei.
fn ether(text: &str) -> Result<u128, String> {
    const DECIMALS: usize = 18;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || whole.is_empty() || part.len() > DECIMALS {
        return Err("expected ether as a decimal number, such as 1 or 0.25".to_owned());
    }
    format!("{whole}{part:0<DECIMALS$}").parse().map_err(|_| "that is too much ether".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        rpc: RpcArgs,
    }

    fn config(flags: &[&str]) -> Result<RpcConfig, String> {
        let cli = Cli::try_parse_from(["msnet"].iter().chain(flags));
        let cli = cli.map_err(|error| error.to_string())?;
        cli.rpc.config(None).map_err(|error| error.to_string())
    }

    #[test]
    fn geths_switches_change_nothing() {
        let (plain, pasted) = (
            config(&[]).expect("no flags are needed"),
            config(&["--http", "--ws", "--allow-insecure-unlock"]).expect("known switches"),
        );
        assert_eq!((plain.addr, plain.ws, plain.limits), (pasted.addr, pasted.ws, pasted.limits));
        assert_eq!(plain.limits, Limits::default());
    }

    #[test]
    fn websocket_may_have_a_listener_of_its_own() {
        let ws = |flags: &[&str]| config(flags).expect("known flags").ws.map(|at| at.to_string());
        assert_eq!(ws(&["--ws", "--ws.addr", "127.0.0.1"]), None);
        assert_eq!(ws(&["--ws.port", "8545"]), None, "HTTP's");
        assert_eq!(ws(&["--ws.port", "8546"]).as_deref(), Some("127.0.0.1:8546"));
        assert_eq!(ws(&["--ws.addr", "::1"]).as_deref(), Some("[::1]:8546"));
        let flags = ["--ws.addr", "127.0.0.2", "--ws.port", "9"];
        assert_eq!(ws(&flags).as_deref(), Some("127.0.0.2:9"));
    }

    #[test]
    fn limits_have_units() {
        let limits = |flags: &[&str]| config(flags).map(|config| config.limits);
        let time = |text: &str| limits(&["--rpc.evmtimeout", text]).map(|l| l.call_time.as_secs());
        assert_eq!((time("7s"), time("60")), (Ok(7), Ok(60)));
        for text in ["0s", "61s", "1m", "x", ""] {
            assert!(time(text).is_err_and(|error| error.contains("1s to 60s")), "{text}");
        }
        let fee = |text: &str| limits(&["--rpc.txfeecap", text]).map(|l| l.tx_fee);
        assert_eq!(fee("0.25"), Ok(250_000_000_000_000_000));
        assert_eq!((fee("0"), fee("0.0")), (Ok(u128::MAX), Ok(u128::MAX)));
        for text in ["-1", "1e3", ".5", "1.0000000000000000001", "one"] {
            assert!(limits(&[&format!("--rpc.txfeecap={text}")]).is_err(), "{text}");
        }
        assert_eq!(limits(&["--rpc.gascap", "0"]).map(|l| l.call_gas), Ok(NO_GAS_CAP));
    }
}
