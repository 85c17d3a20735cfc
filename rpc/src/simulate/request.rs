//! What a client asks of `eth_simulateV1`.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use chain::executor::call::BlockOverrides;
use serde_json::Value;

use crate::{
    eth::request::{BlockOverride, CallObject, Overrides},
    param::{Flaw, Param, member},
};

/// The object parameter.
#[derive(Debug, Clone, Default)]
pub struct Simulate {
    /// The blocks, in order.
    pub blocks: Vec<BlockCalls>,
    /// Plain transfers stand among the events.
    pub trace_transfers: bool,
    /// Nonces and fees are checked as in a real block.
    pub validation: bool,
    /// Transactions whole, not their hashes.
    pub full_transactions: bool,
}

/// One block.
#[derive(Debug, Clone, Default)]
pub struct BlockCalls {
    /// What the header shall be.
    pub header: BlockOverrides,
    /// Wei a unit of blob gas costs.
    pub blob_base_fee: Option<u128>,
    /// Root of the beacon block before it.
    pub beacon_root: Option<B256>,
    /// What accounts shall be.
    pub state: Overrides,
    /// Precompiled contracts that move: from, to.
    pub moves: BTreeMap<Address, Address>,
    /// The calls, in order.
    pub calls: Vec<CallObject>,
}

impl Param for Simulate {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        if !value.is_object() {
            return Err("non-object".into());
        }
        let blocks = match value.get("blockStateCalls") {
            Some(Value::Array(blocks)) => blocks,
            None | Some(Value::Null) => return Err("missing blockStateCalls".into()),
            Some(_) => return Err("non-array".into()),
        };
        let flag = |name| Ok::<_, Flaw>(member::<bool>(value, name)?.unwrap_or(false));
        Ok(Self {
            blocks: blocks.iter().map(BlockCalls::from_json).collect::<Result<_, _>>()?,
            trace_transfers: flag("traceTransfers")?,
            validation: flag("validation")?,
            full_transactions: flag("returnFullTransactions")?,
        })
    }
}

impl Param for BlockCalls {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        if !value.is_object() {
            return Err("non-object".into());
        }
        let absent = Value::Null;
        let header = value.get("blockOverrides").unwrap_or(&absent);
        let blob_base_fee = match header.is_object() {
            true => member::<U256>(header, "blobBaseFee")?,
            false => None,
        };
        let state = value.get("stateOverrides").unwrap_or(&absent);
        let mut moves = BTreeMap::new();
        for (from, change) in state.as_object().into_iter().flatten() {
            if let Some(to) = member::<Address>(change, "movePrecompileToAddress")? {
                moves.insert(Address::from_json(&Value::String(from.clone()))?, to);
            }
        }
        let calls = match value.get("calls") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(calls)) => {
                calls.iter().map(CallObject::from_json).collect::<Result<_, _>>()?
            }
            Some(_) => return Err("non-array".into()),
        };
        let beacon_root = match header.is_object() {
            true => member(header, "beaconRoot")?,
            false => None,
        };
        Ok(Self {
            header: BlockOverride::from_json(header)?.0,
            blob_base_fee: blob_base_fee.map(|fee| u128::try_from(fee).unwrap_or(u128::MAX)),
            beacon_root,
            state: Overrides::from_json(state)?,
            moves,
            calls,
        })
    }
}
