//! What an account holds: balance, nonce, code, storage.

use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    error::{RpcError, RpcResult},
    eth::call::pending_of,
    limits,
    param::{Args, Flaw, Param},
    render::{address, data, quantity},
};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use chain::{
    error::ChainError,
    reader::StateAt,
    state::{Account, overlay::Overlay},
};
use revm::Database as _;
use serde_json::{Map, Value, json};

/// `eth_getBalance`.
pub fn balance(context: &Context, args: &Args) -> RpcResult {
    let (address, id): (Address, Option<BlockId>) = args.read()?;
    let account = state(context, id)?.account(address)?;
    Ok(quantity(account.map_or(U256::ZERO, |account| account.balance)))
}

/// `eth_getTransactionCount`; `pending` counts what the pool can run without a gap.
pub fn transaction_count(context: &Context, args: &Args) -> RpcResult {
    let (address, id): (Address, Option<BlockId>) = args.read()?;
    // The pool alone tells what comes next; it needs the head's nonce for that.
    let is_pending = id == Some(BlockId::Number(BlockNumber::Pending));
    let mined = if is_pending { None } else { id };
    let nonce = state(context, mined)?.account(address)?.map_or(0, |account| account.nonce);
    Ok(quantity(if is_pending { context.node.pending_nonce(address, nonce) } else { nonce }))
}

/// `eth_getCode`.
pub fn code(context: &Context, args: &Args) -> RpcResult {
    let (address, id): (Address, Option<BlockId>) = args.read()?;
    let mut state = state(context, id)?;
    match state.account(address)? {
        Some(account) => Ok(data(state.code(account.code_hash)?)),
        None => Ok(data([])),
    }
}

/// `eth_getStorageAt`: always 32 bytes.
pub fn storage_at(context: &Context, args: &Args) -> RpcResult {
    let (address, slot, id): (Address, String, Option<BlockId>) = args.read()?;
    let slot = storage_key(&slot).map_err(|text| {
        let text = format!("unable to decode storage key: {text}");
        if context.voice().is_standard() { RpcError::Params(text) } else { RpcError::Server(text) }
    })?;
    let value = state(context, id)?.storage(address, slot)?;
    Ok(data(value.to_be_bytes::<32>()))
}

/// `eth_getStorageValues`: slots of several accounts at once.
pub fn storage_values(context: &Context, args: &Args) -> RpcResult {
    let (asked, id): (Value, Option<BlockId>) = args.read()?;
    let Value::Object(asked) = asked else { return Err(RpcError::argument(0, "non-object")) };
    if asked.is_empty() {
        return Err(RpcError::Params("empty request".to_owned()));
    }
    let mut wanted = Vec::with_capacity(asked.len());
    for (account, slots) in &asked {
        let flaw = |flaw| match flaw {
            Flaw::Form(text) => RpcError::argument(0, text),
            Flaw::Whole(error) => error,
        };
        let account = Address::from_json(&Value::String(account.clone())).map_err(flaw)?;
        let Value::Array(slots) = slots else { return Err(RpcError::argument(0, "non-array")) };
        let slots = slots.iter().map(B256::from_json).collect::<Result<Vec<_>, _>>();
        wanted.push((account, slots.map_err(flaw)?));
    }
    if wanted.iter().map(|(_, slots)| slots.len()).sum::<usize>() > limits::STORAGE_KEYS {
        let text = format!("too many slots (max {})", limits::STORAGE_KEYS);
        return Err(RpcError::Params(text));
    }
    let mut state = state(context, id)?;
    let mut out = Map::new();
    for (account, slots) in wanted {
        let mut values = Vec::with_capacity(slots.len());
        for slot in slots {
            let value = state.storage(account, U256::from_be_bytes(slot.0))?;
            values.push(data(value.to_be_bytes::<32>()));
        }
        out.insert(hex::encode_prefixed(account), Value::Array(values));
    }
    Ok(Value::Object(out))
}

/// `eth_getAccountInfo`: balance, nonce and code in one answer.
pub fn info(context: &Context, args: &Args) -> RpcResult {
    let (address, id): (Address, Option<BlockId>) = args.read()?;
    let mut state = state(context, id)?;
    let account = state.account(address)?.unwrap_or_default();
    let code = state.code(account.code_hash)?;
    let (balance, nonce) = (quantity(account.balance), quantity(account.nonce));
    Ok(json!({"balance": balance, "nonce": nonce, "code": data(code)}))
}

/// `eth_getProof` (EIP-1186).
pub fn proof(context: &Context, args: &Args) -> RpcResult {
    let (account, keys, id): (Address, Keys, Option<BlockId>) = args.read()?;
    if keys.0.len() > limits::STORAGE_KEYS {
        let text =
            format!("too many storage keys: {}, at most {}", keys.0.len(), limits::STORAGE_KEYS);
        return Err(RpcError::Limit(text));
    }
    let mut slots = Vec::with_capacity(keys.0.len());
    for key in &keys.0 {
        let digits = key.strip_prefix("0x").or_else(|| key.strip_prefix("0X")).unwrap_or(key);
        let slot = storage_key(key).map_err(|text| RpcError::Server(text.to_owned()))?;
        slots.push((slot, digits.len() == 64));
    }
    let block = id.unwrap_or_default().state_block(context)?;
    render_proof(context, block.hash(), account, &slots)
}

/// The proof of an account and slots under a block's state root. A key of full length comes back so, a shorter one as a
/// number.
///
/// # Errors
/// Those of [`chain::reader::ChainReader::proof`].
pub fn render_proof(
    context: &Context,
    block: B256,
    account: Address,
    keys: &[(U256, bool)],
) -> RpcResult {
    let slots: Vec<U256> = keys.iter().map(|(slot, _)| *slot).collect();
    let proof = context.chain().proof(block, account, &slots)?;
    let nodes = |nodes: &[Bytes]| Value::Array(nodes.iter().map(data).collect());
    let storage = keys.iter().zip(&proof.storage).map(|((_, is_whole), found)| {
        let key = match is_whole {
            true => data(found.slot.to_be_bytes::<32>()),
            false => quantity(found.slot),
        };
        json!({"key": key, "value": quantity(found.value), "proof": nodes(&found.nodes)})
    });
    let storage: Vec<Value> = storage.collect();
    let is_there = context.chain().state(block)?.account(account)?.is_some();
    // geth knows no hashes of an account that does not exist
    let hash = |hash: B256| data(if is_there { hash } else { B256::ZERO });
    Ok(json!({
        "address": address(account),
        "accountProof": nodes(&proof.nodes),
        "balance": quantity(proof.account.balance),
        "codeHash": hash(proof.account.code_hash),
        "nonce": quantity(proof.account.nonce),
        "storageHash": hash(proof.account.storage_root),
        "storageProof": storage,
    }))
}

/// Storage keys, lenient as geth's; `null` is none.
struct Keys(Vec<String>);

impl Param for Keys {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match value {
            Value::Null => Ok(Self(Vec::new())),
            Value::Array(keys) => {
                keys.iter().map(String::from_json).collect::<Result<_, _>>().map(Self)
            }
            _ => Err("non-array".into()),
        }
    }
}

/// The state after a block, or after what waits.
enum View {
    Mined(StateAt),
    Pending(Box<Overlay>),
}

impl View {
    fn account(&mut self, address: Address) -> Result<Option<Account>, ChainError> {
        match self {
            Self::Mined(state) => state.account(address),
            Self::Pending(overlay) => overlay.account(address),
        }
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ChainError> {
        match self {
            Self::Mined(state) => state.storage(address, slot),
            Self::Pending(overlay) => overlay.slot(address, slot),
        }
    }

    fn code(&mut self, hash: B256) -> Result<Bytes, ChainError> {
        match self {
            Self::Mined(state) => state.code(hash),
            Self::Pending(overlay) => Ok(overlay.code_by_hash(hash)?.original_bytes()),
        }
    }
}

/// The state after a block, the head's by default.
fn state(context: &Context, id: Option<BlockId>) -> Result<View, RpcError> {
    let id = id.unwrap_or_default();
    if let Some(pending) = pending_of(context, id)? {
        return Ok(View::Pending(Box::new(pending.overlay.clone())));
    }
    let block = id.state_block(context)?;
    Ok(View::Mined(context.chain().state(block.block.hash())?))
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
