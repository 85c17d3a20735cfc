//! What an account holds: balance, nonce, code, storage.

use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    error::{RpcError, RpcResult},
    param::Args,
    render::{data, quantity},
};
use alloy_primitives::{Address, U256, hex};
use chain::reader::StateAt;

/// `eth_getBalance`.
pub fn balance(context: &Context, args: &Args) -> RpcResult {
    let (address, id): (Address, Option<BlockId>) = args.read()?;
    let account = state(context, id)?.account(address)?;
    Ok(quantity(account.map_or(U256::ZERO, |account| account.balance)))
}

/// `eth_getTransactionCount`; `pending` counts what the pool can run without a gap.
pub fn transaction_count(context: &Context, args: &Args) -> RpcResult {
    let (address, id): (Address, Option<BlockId>) = args.read()?;
    let nonce = state(context, id)?.account(address)?.map_or(0, |account| account.nonce);
    let is_pending = id == Some(BlockId::Number(BlockNumber::Pending));
    Ok(quantity(if is_pending { context.node.pending_nonce(address, nonce) } else { nonce }))
}

/// `eth_getCode`.
pub fn code(context: &Context, args: &Args) -> RpcResult {
    let (address, id): (Address, Option<BlockId>) = args.read()?;
    let state = state(context, id)?;
    match state.account(address)? {
        Some(account) => Ok(data(state.code(account.code_hash)?)),
        None => Ok(data([])),
    }
}

/// `eth_getStorageAt`: always 32 bytes.
pub fn storage_at(context: &Context, args: &Args) -> RpcResult {
    let (address, slot, id): (Address, String, Option<BlockId>) = args.read()?;
    let slot = storage_key(&slot)
        .map_err(|text| RpcError::Server(format!("unable to decode storage key: {text}")))?;
    let value = state(context, id)?.storage(address, slot)?;
    Ok(data(value.to_be_bytes::<32>()))
}

/// The state after a block, the head's by default.
fn state(context: &Context, id: Option<BlockId>) -> Result<StateAt, RpcError> {
    let block = id.unwrap_or_default().state_block(context)?;
    Ok(context.chain().state(block.block.hash())?)
}

/// A storage key may be shorter than 32 bytes, without prefix, of odd length: the one lenient
/// place, as in geth.
fn storage_key(text: &str) -> Result<U256, &'static str> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.len() > 64 {
        return Err("hex string too long, want at most 32 bytes");
    }
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("hex string invalid");
    }
    let padded = format!("{digits:0>64}");
    let bytes = hex::decode(padded).map_err(|_| "hex string invalid")?;
    Ok(U256::from_be_slice(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_keys_are_lenient() {
        for (text, expected) in
            [("0x0", 0_u64), ("0x", 0), ("1", 1), ("0x01", 1), ("0X10", 16), ("fff", 4_095)]
        {
            assert_eq!(storage_key(text), Ok(U256::from(expected)), "{text}");
        }
        assert_eq!(storage_key("0xzz"), Err("hex string invalid"));
        assert_eq!(storage_key(&"0".repeat(65)), Err("hex string too long, want at most 32 bytes"));
    }
}
