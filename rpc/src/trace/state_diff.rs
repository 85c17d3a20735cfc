//! The kind `stateDiff`: what a transaction changed, old beside new.
//!
//! A value is `"="`, `{"*": {from, to}}`, `{"+": new}` where the account was not there, `{"-": old}` where it is gone.

use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY, U256, hex};
use chain::{error::ChainError, state::overlay::Overlay};
use revm::{Database as _, state::EvmState};
use serde_json::{Map, Value, json};

use crate::{
    error::RpcError,
    render::{data, quantity},
};

/// An account on one side of the transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Side {
    balance: U256,
    nonce: u64,
    code: Bytes,
}

/// What changed between the overlay and the state after the transaction.
///
/// # Errors
/// What the store says if it fails.
pub fn render(overlay: &mut Overlay, after: &EvmState) -> Result<Value, RpcError> {
    let mut out = Map::new();
    for (&address, account) in after.iter().filter(|(_, account)| account.is_touched()) {
        let before = side_before(overlay, address)?;
        let is_gone = account.is_selfdestructed() || account.is_empty();
        let code = match account.info.code_hash {
            KECCAK256_EMPTY => Bytes::new(),
            hash => match &account.info.code {
                Some(code) => code.original_bytes(),
                None => overlay.code_by_hash(hash)?.original_bytes(),
            },
        };
        let now = Side { balance: account.info.balance, nonce: account.info.nonce, code };
        let now = (!is_gone).then_some(now);
        let mut storage = Map::new();
        for (slot, value) in &account.storage {
            let (old, new) = (overlay.slot(address, *slot)?, value.present_value);
            if old != new && now.is_some() {
                let word = |word: U256| data(word.to_be_bytes::<32>());
                let change = match before {
                    None => json!({"+": word(new)}),
                    Some(_) => json!({"*": {"from": word(old), "to": word(new)}}),
                };
                storage.insert(hex::encode_prefixed(slot.to_be_bytes::<32>()), change);
            }
        }
        if before == now && storage.is_empty() {
            continue;
        }
        let field = |show: &dyn Fn(&Side) -> Value| change(before.as_ref(), now.as_ref(), show);
        let entry = json!({
            "balance": field(&|side| quantity(side.balance)),
            "nonce": field(&|side| quantity(side.nonce)),
            "code": field(&|side| data(&side.code)),
            "storage": storage,
        });
        out.insert(hex::encode_prefixed(address), entry);
    }
    Ok(Value::Object(out))
}

fn side_before(overlay: &mut Overlay, address: Address) -> Result<Option<Side>, ChainError> {
    let Some(account) = overlay.account(address)? else { return Ok(None) };
    let code = match account.code_hash {
        KECCAK256_EMPTY => Bytes::new(),
        hash => overlay.code_by_hash(hash)?.original_bytes(),
    };
    Ok(Some(Side { balance: account.balance, nonce: account.nonce, code }))
}

fn change(before: Option<&Side>, now: Option<&Side>, show: &dyn Fn(&Side) -> Value) -> Value {
    match (before.map(show), now.map(show)) {
        (Some(old), Some(new)) if old == new => "=".into(),
        (Some(old), Some(new)) => json!({"*": {"from": old, "to": new}}),
        (None, Some(new)) => json!({"+": new}),
        (Some(old), None) => json!({"-": old}),
        (None, None) => "=".into(),
    }
}
