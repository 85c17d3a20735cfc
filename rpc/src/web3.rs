//! `web3_*`: who answers, and Keccak.

use alloy_primitives::{Bytes, keccak256};
use serde_json::Value;

use crate::{context::Context, error::RpcResult, param::Args, render};

/// `web3_clientVersion`: name, version and platform, in geth's form.
pub fn client_version(_: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    let (version, rust) = (env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_RUST_VERSION"));
    Ok(Value::String(format!("msnet/v{version}/{arch}-{os}/rust{rust}")))
}

/// `web3_sha3`: Keccak-256 of the bytes.
pub fn sha3(_: &Context, args: &Args) -> RpcResult {
    let (bytes,): (Bytes,) = args.read()?;
    Ok(render::data(keccak256(bytes)))
}
