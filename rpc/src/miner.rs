//! `miner_*`, in geth's words: what may change about own blocks while the node runs.

use alloy_primitives::{Address, U256};
use node::error::MinerError;
use serde_json::Value;

use crate::{
    context::Context,
    error::{RpcError, RpcResult},
    param::{Args, Flaw, Param},
};

/// A count that geth takes and Clique has no use for.
#[derive(Debug)]
struct Threads;

impl Param for Threads {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        if value.is_null() || value.is_u64() { Ok(Self) } else { Err("non-integer".into()) }
    }

    fn absent() -> Option<Self> {
        Some(Self)
    }
}

fn refused(error: MinerError) -> RpcError {
    RpcError::Server(error.to_string())
}

/// `miner_start`: goes on sealing.
pub fn start(context: &Context, args: &Args) -> RpcResult {
    let (Threads,) = args.read()?;
    context.node.start_sealing().map_err(refused)?;
    Ok(Value::Null)
}

/// `miner_stop`: seals no more until it is told to, or started again.
pub fn stop(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    context.node.stop_sealing();
    Ok(Value::Null)
}

/// `miner_setGasPrice`: the least tip that is suggested and taken; what waits for less goes.
pub fn set_gas_price(context: &Context, args: &Args) -> RpcResult {
    let (wei,): (U256,) = args.read()?;
    let wei = u128::try_from(wei).map_err(|_| RpcError::argument(0, "hex number > 128 bits"))?;
    context.node.set_gas_price(wei);
    Ok(Value::Bool(true))
}

/// `miner_setGasLimit`: what the gas limit of own blocks walks toward.
pub fn set_gas_limit(context: &Context, args: &Args) -> RpcResult {
    let (gas,): (u64,) = args.read()?;
    context.node.set_gas_limit(gas).map_err(refused)?;
    Ok(Value::Bool(true))
}

/// `miner_setExtra`: the free text of own blocks.
pub fn set_extra(context: &Context, args: &Args) -> RpcResult {
    let (text,): (String,) = args.read()?;
    context.node.set_vanity(text.as_bytes()).map_err(refused)?;
    Ok(Value::Bool(true))
}

/// `miner_setEtherbase`: true for the account of the key that seals, which no other can be.
pub fn set_etherbase(context: &Context, args: &Args) -> RpcResult {
    let (account,): (Address,) = args.read()?;
    context.node.check_etherbase(account).map_err(refused)?;
    Ok(Value::Bool(true))
}
