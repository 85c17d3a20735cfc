//! The call object of `eth_call`, `eth_estimateGas`, `eth_createAccessList` and
//! `eth_sendTransaction`, and its overrides.

use std::collections::BTreeMap;

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, U256};
use chain::executor::call::{AccountOverride, BlockOverrides, CallRequest, StateOverrides};
use serde_json::Value;

use crate::{
    error::RpcError,
    limits,
    param::{Flaw, Param, member},
};

/// A call as a client wrote it. Members that no call needs (`type`, blob and authorization fields)
/// are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallObject {
    /// Caller; zero if absent.
    pub from: Option<Address>,
    /// Callee; absent for a creation.
    pub to: Option<Address>,
    /// Gas limit.
    pub gas: Option<u64>,
    /// Price of the types with one price, wei per gas.
    pub gas_price: Option<u128>,
    /// Fee cap, wei per gas.
    pub max_fee_per_gas: Option<u128>,
    /// Tip cap, wei per gas.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Wei that move along.
    pub value: Option<U256>,
    /// Calldata or initcode.
    pub data: Bytes,
    /// Nonce; calls do not check it.
    pub nonce: Option<u64>,
    /// Chain the caller believes to be on.
    pub chain_id: Option<u64>,
    /// EIP-2930 list.
    pub access_list: Option<AccessList>,
    /// Hashes of blobs; simulations of replayed chains alone know them.
    pub blob_versioned_hashes: Option<Vec<B256>>,
    /// Most that a unit of blob gas may cost, wei.
    pub max_fee_per_blob_gas: Option<u128>,
}

impl Param for CallObject {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(_) => {}
            _ => return Err("non-object".into()),
        }
        let call = Self {
            from: member(value, "from")?,
            to: member(value, "to")?,
            gas: member(value, "gas")?,
            gas_price: fee(value, "gasPrice")?,
            max_fee_per_gas: fee(value, "maxFeePerGas")?,
            max_priority_fee_per_gas: fee(value, "maxPriorityFeePerGas")?,
            value: member(value, "value")?,
            data: data(value)?,
            nonce: member(value, "nonce")?,
            chain_id: member(value, "chainId")?,
            access_list: access_list(value)?,
            blob_versioned_hashes: blob_hashes(value)?,
            max_fee_per_blob_gas: fee(value, "maxFeePerBlobGas")?,
        };
        let has_caps = call.max_fee_per_gas.is_some() || call.max_priority_fee_per_gas.is_some();
        if call.gas_price.is_some() && has_caps {
            let text = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
            return Err(RpcError::Server(text.to_owned()).into());
        }
        Ok(call)
    }
}

impl CallObject {
    /// The price of a unit of gas that the caller names, if any: its price or its fee cap.
    pub fn named_price(&self) -> Option<u128> {
        self.gas_price.or(self.max_fee_per_gas)
    }

    /// The call with this gas limit and list, as the ledger runs it.
    pub fn request(&self, gas: u64, access_list: AccessList) -> CallRequest {
        CallRequest {
            from: self.from.unwrap_or_default(),
            to: self.to,
            gas,
            gas_price: self.gas_price,
            max_fee_per_gas: self.max_fee_per_gas,
            max_priority_fee_per_gas: self.max_priority_fee_per_gas,
            value: self.value.unwrap_or_default(),
            data: self.data.clone(),
            access_list,
            authorization_list: Vec::new(),
        }
    }
}

/// Fees above 2¹²⁸ − 1 wei exist in no block; they are cut, so that the balance check refuses them.
fn fee(object: &Value, name: &str) -> Result<Option<u128>, Flaw> {
    let fee = member::<U256>(object, name)?;
    Ok(fee.map(|fee| u128::try_from(fee).unwrap_or(u128::MAX)))
}

/// `data` and `input` mean the same and may both be there if they agree.
fn data(object: &Value) -> Result<Bytes, Flaw> {
    match (member::<Bytes>(object, "data")?, member::<Bytes>(object, "input")?) {
        (Some(data), Some(input)) if data != input => {
            let text = "both \"data\" and \"input\" are set and not equal";
            Err(RpcError::Params(text.to_owned()).into())
        }
        (data, input) => Ok(input.or(data).unwrap_or_default()),
    }
}

fn blob_hashes(object: &Value) -> Result<Option<Vec<B256>>, Flaw> {
    match object.get("blobVersionedHashes") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => {
            list.iter().map(B256::from_json).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err("non-array".into()),
    }
}

fn access_list(object: &Value) -> Result<Option<AccessList>, Flaw> {
    let list = match object.get("accessList") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("non-array".into()),
    };
    let item = |value: &Value| -> Result<AccessListItem, Flaw> {
        let missing = |name| Flaw::from(format!("missing required field '{name}' for AccessTuple"));
        let address = member::<Address>(value, "address")?.ok_or_else(|| missing("address"))?;
        let keys = value.get("storageKeys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| missing("storageKeys"))?;
        let storage_keys = keys.iter().map(B256::from_json).collect::<Result<_, _>>()?;
        Ok(AccessListItem { address, storage_keys })
    };
    list.iter().map(item).collect::<Result<_, _>>().map(|items| Some(AccessList(items)))
}

/// What accounts shall be during a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(pub StateOverrides);

impl Param for Overrides {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let object = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(object) => object,
            _ => return Err("non-object".into()),
        };
        if object.len() > limits::OVERRIDE_ACCOUNTS {
            let text = format!("state overrides exceed {} accounts", limits::OVERRIDE_ACCOUNTS);
            return Err(RpcError::Limit(text).into());
        }
        let one = |(address, value): (&String, &Value)| {
            let address = Address::from_json(&Value::String(address.clone()))?;
            Ok((address, account_override(address, value)?))
        };
        object.iter().map(one).collect::<Result<_, Flaw>>().map(Self)
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

fn account_override(address: Address, value: &Value) -> Result<AccountOverride, Flaw> {
    let slots = |name: &str| -> Result<Option<BTreeMap<U256, U256>>, Flaw> {
        let object = match value.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(object)) => object,
            Some(_) => return Err("non-object".into()),
        };
        let word = |value: &Value| B256::from_json(value).map(|word| U256::from_be_bytes(word.0));
        let slot = |(slot, value): (&String, &Value)| {
            Ok((word(&Value::String(slot.clone()))?, word(value)?))
        };
        object.iter().map(slot).collect::<Result<_, Flaw>>().map(Some)
    };
    let (state, state_diff) = (slots("state")?, slots("stateDiff")?);
    if state.is_some() && state_diff.is_some() {
        let text = format!("account {address} has both 'state' and 'stateDiff'");
        return Err(RpcError::Server(text).into());
    }
    Ok(AccountOverride {
        balance: member(value, "balance")?,
        nonce: member(value, "nonce")?,
        code: member(value, "code")?,
        state,
        state_diff: state_diff.unwrap_or_default(),
    })
}

/// What the block shall be during a call; everything else stays the block's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockOverride(pub BlockOverrides);

impl Param for BlockOverride {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(_) => {}
            _ => return Err("non-object".into()),
        }
        let either = |one: &str, other: &str| {
            if value.get(one).is_some() { one.to_owned() } else { other.to_owned() }
        };
        Ok(Self(BlockOverrides {
            number: member(value, "number")?,
            time: member(value, "time")?,
            gas_limit: member(value, "gasLimit")?,
            fee_recipient: member(value, &either("feeRecipient", "coinbase"))?,
            base_fee_per_gas: member(value, &either("baseFeePerGas", "baseFee"))?,
            prev_randao: member(value, &either("prevRandao", "random"))?,
            difficulty: member(value, "difficulty")?,
        }))
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls() {
        let call = CallObject::from_json(&json!({
            "from": Address::ZERO, "data": "0x01", "input": "0x01", "value": "0x5", "type": "0x2",
            "maxFeePerGas": "0x7", "unknown": [1],
            "accessList": [{"address": Address::ZERO, "storageKeys": [B256::ZERO]}],
        }))
        .expect("a call");
        assert_eq!(call.data.as_ref(), [1]);
        assert_eq!((call.value, call.named_price()), (Some(U256::from(5)), Some(7)));
        assert_eq!(call.access_list.map(|list| list.0.len()), Some(1));
        assert_eq!(CallObject::from_json(&Value::Null), Ok(CallObject::default()));
    }

    #[test]
    fn contradictions() {
        for (call, text) in [
            (
                json!({"data": "0x01", "input": "0x02"}),
                "both \"data\" and \"input\" are set and not equal",
            ),
            (
                json!({"gasPrice": "0x1", "maxFeePerGas": "0x1"}),
                "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
            ),
        ] {
            match CallObject::from_json(&call) {
                Err(Flaw::Whole(error)) => assert_eq!(error.to_string(), text),
                other => panic!("{call}: {other:?}"),
            }
        }
        let tuple = json!({"accessList": [{"address": Address::ZERO}]});
        let text = "missing required field 'storageKeys' for AccessTuple";
        assert_eq!(CallObject::from_json(&tuple), Err(text.into()));
        let both = json!({Address::ZERO.to_string(): {"state": {}, "stateDiff": {}}});
        assert!(matches!(Overrides::from_json(&both), Err(Flaw::Whole(RpcError::Server(_)))));
    }
}
