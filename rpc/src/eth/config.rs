//! What this node knows and by which rules: `eth_config` (EIP-7910), `eth_capabilities`.

use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, eip7840::BlobParams,
};
use alloy_primitives::{Address, hex};
use chain::{fork_id::ForkId, replay::Rules, state::proof};
use revm::{
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};
use serde_json::{Map, Value, json};

use crate::{
    context::Context,
    error::{RpcError, RpcResult},
    param::Args,
    render::{address, data, quantity},
};

/// Names of precompiled contracts by their addresses as numbers (EIP-7910).
const PRECOMPILES: [(u64, &str); 18] = [
    (0x01, "ECREC"),
    (0x02, "SHA256"),
    (0x03, "RIPEMD160"),
    (0x04, "ID"),
    (0x05, "MODEXP"),
    (0x06, "BN254_ADD"),
    (0x07, "BN254_MUL"),
    (0x08, "BN254_PAIRING"),
    (0x09, "BLAKE2F"),
    (0x0a, "KZG_POINT_EVALUATION"),
    (0x0b, "BLS12_G1ADD"),
    (0x0c, "BLS12_G1MSM"),
    (0x0d, "BLS12_G2ADD"),
    (0x0e, "BLS12_G2MSM"),
    (0x0f, "BLS12_PAIRING_CHECK"),
    (0x10, "BLS12_MAP_FP_TO_G1"),
    (0x11, "BLS12_MAP_FP2_TO_G2"),
    (0x100, "P256VERIFY"),
];

/// `eth_config`: the rule set in force, and those that are scheduled.
pub fn config(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let (head, times) = (context.chain().head(), fork_times(context));
    let now = head.block.header().timestamp;
    let start = times.iter().rev().find(|time| **time <= now).copied().unwrap_or(0);
    let at = |time: Option<&u64>| time.map_or(Ok(Value::Null), |time| at_time(context, *time));
    let later: Vec<u64> = times.into_iter().filter(|time| *time > now).collect();
    Ok(json!({
        "current": at_time(context, start)?,
        "next": at(later.first())?,
        "last": at(later.last())?,
    }))
}

/// Times at which rules change after genesis, ascending.
fn fork_times(context: &Context) -> Vec<u64> {
    let forks = &context.spec().forks;
    let named = [forks.shanghai_time, forks.cancun_time, forks.prague_time, forks.osaka_time];
    let mut times: Vec<u64> = named.into_iter().flatten().collect();
    if let Rules::Replay(rules) = context.chain().rules() {
        times.extend(rules.blob_schedule.iter().map(|(time, _)| *time));
    }
    times.sort_unstable();
    times.dedup();
    times.retain(|time| *time > 0);
    times
}

/// The rule set that starts at a time.
fn at_time(context: &Context, time: u64) -> RpcResult {
    let (spec, rules) = (context.spec(), context.chain().rules());
    let number = context.chain().head().number();
    let spec_id = spec.spec_id(number, time);
    let genesis = context.chain().block_by_number(0)?.ok_or_else(RpcError::header_not_found)?;
    let genesis = (genesis.hash(), genesis.block.header().timestamp);
    let fork_id = ForkId::under(&rules, spec, genesis, (number, time));
    let blobs = match &rules {
        Rules::Clique => None,
        Rules::Replay(rules) => rules.blob_params(time),
    };
    Ok(json!({
        "activationTime": time,
        "blobSchedule": blob_schedule(blobs),
        "chainId": quantity(spec.chain_id),
        "forkId": hex::encode_prefixed(fork_id.hash),
        "precompiles": precompiles(spec_id),
        "systemContracts": system_contracts(&rules, spec_id),
    }))
}

fn blob_schedule(params: Option<BlobParams>) -> Value {
    match params {
        None => json!({"target": 0, "max": 0, "baseFeeUpdateFraction": 0}),
        Some(params) => json!({
            "target": params.target_blob_count,
            "max": params.max_blob_count,
            "baseFeeUpdateFraction": u64::try_from(params.update_fraction).unwrap_or(u64::MAX),
        }),
    }
}

fn precompiles(spec_id: SpecId) -> Value {
    let known = Precompiles::new(PrecompileSpecId::from_spec_id(spec_id));
    let all = PRECOMPILES.iter().map(|(number, name)| {
        let mut bytes = [0; 20];
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        (*name, Address::new(bytes))
    });
    let active = all.filter(|(_, place)| known.contains(place));
    Value::Object(active.map(|(name, place)| (name.to_owned(), address(place))).collect())
}

fn system_contracts(rules: &Rules, spec_id: SpecId) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, place: Address| {
        out.insert(name.to_owned(), address(place));
    };
    if spec_id.is_enabled_in(SpecId::PRAGUE) {
        put("HISTORY_STORAGE_ADDRESS", HISTORY_STORAGE_ADDRESS);
    }
    if let Rules::Replay(rules) = rules {
        if spec_id.is_enabled_in(SpecId::CANCUN) {
            put("BEACON_ROOTS_ADDRESS", BEACON_ROOTS_ADDRESS);
        }
        if spec_id.is_enabled_in(SpecId::PRAGUE) {
            put("CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS", CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS);
            put("DEPOSIT_CONTRACT_ADDRESS", rules.deposit_contract);
            put("WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS", WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
        }
    }
    Value::Object(out)
}

/// `eth_capabilities`: from which block on each kind of data is here.
pub fn capabilities(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let chain = context.chain();
    let head = chain.head();
    let whole = || json!({"disabled": false, "oldestBlock": "0x0"});
    let oldest_proof = head.number().saturating_sub(proof::MAX_BLOCKS).max(chain.oldest_state());
    Ok(json!({
        "head": {"number": quantity(head.number()), "hash": data(head.hash())},
        "state": {"disabled": false, "oldestBlock": quantity(chain.oldest_state())},
        "tx": whole(),
        "logs": whole(),
        "receipts": whole(),
        "blocks": whole(),
        "stateproofs": {
            "disabled": false,
            "oldestBlock": quantity(oldest_proof),
            "deleteStrategy": {
                "type": "window",
                "retentionBlocks": quantity(proof::MAX_BLOCKS),
            },
        },
    }))
}
