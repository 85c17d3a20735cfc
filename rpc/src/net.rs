//! `net_*` and what `eth_*` says of the node itself: chain id, syncing, mining.

use serde_json::Value;

use crate::{
    context::Context,
    error::{RpcError, RpcResult},
    param::Args,
    render,
};

/// `net_version`: the chain id in decimal.
pub fn version(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(Value::String(context.spec().chain_id.to_string()))
}

/// `net_listening`: true, as in every client.
pub fn listening(_: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(Value::Bool(true))
}

/// `net_peerCount`.
pub fn peer_count(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(render::quantity(context.node.peer_count()))
}

/// `eth_chainId`.
pub fn chain_id(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(render::quantity(context.spec().chain_id))
}

/// `eth_syncing`: false, since there is nobody to catch up with.
pub fn syncing(_: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(sync_status())
}

/// How far the node is behind others; false, since there is nobody to catch up with.
pub fn sync_status() -> Value {
    Value::Bool(false)
}

/// `eth_mining`: whether this node seals.
pub fn mining(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(Value::Bool(context.node.is_sealing()))
}

/// `eth_hashrate`: no work is done.
pub fn hashrate(_: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(render::quantity(0_u64))
}

/// `eth_coinbase`: the account that seals here and gets the fees.
pub fn coinbase(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let signer = context.node.signer().filter(|_| context.node.is_sealing());
    signer
        .map(render::address)
        .ok_or_else(|| RpcError::Server("etherbase must be explicitly specified".to_owned()))
}
