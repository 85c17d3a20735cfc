//! Flags of the JSON-RPC listener, in geth's words.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;

use crate::config::{DEFAULT_PORT, RpcConfig};

/// `--http.*`: one listener for HTTP and WebSocket.
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
    /// Allow an address that other machines can reach
    #[arg(long = "allow-remote", env = "MSNET_ALLOW_REMOTE")]
    pub allow_remote: bool,
}

impl RpcArgs {
    /// The settings these flags ask for, without signing keys.
    pub fn config(&self) -> RpcConfig {
        RpcConfig {
            addr: SocketAddr::new(self.addr, self.port),
            dev_keys: Vec::new(),
            allow_remote: self.allow_remote,
            vhosts: self.vhosts.clone(),
            cors: self.cors.clone(),
        }
    }
}
