//! Kind `transactions`: `TransactionTests`, one file or many in one, nested as deep as it likes.
//!
//! A case is an object with `txbytes` and `result: {Fork: {hash, sender, intrinsicGas} or {exception}}`. Each fork of a
//! case counts; forks that this ledger does not know fail. The chain id is 1.

use chain::replay::{SpecId, check_transaction, network};
use serde_json::Value;

use super::{Verdict, Verdicts, address, bytes, hash, same_if, small};

pub(crate) fn judge(json: &Value) -> Result<Verdicts, String> {
    let mut verdicts = Vec::new();
    collect("", json, &mut verdicts);
    Ok(verdicts)
}

fn collect(name: &str, value: &Value, verdicts: &mut Verdicts) {
    let Some(members) = value.as_object() else { return };
    if let (Some(txbytes), Some(forks)) = (value.get("txbytes"), value["result"].as_object()) {
        for (fork, want) in forks {
            verdicts.push((format!("{name} [{fork}]"), check(fork, txbytes, want)));
        }
        return;
    }
    for (key, member) in members {
        let name = if name.is_empty() { key.clone() } else { format!("{name} {key}") };
        collect(&name, member, verdicts);
    }
}

fn spec_id(fork: &str) -> Result<SpecId, String> {
    let (spec, rules) = network(fork, 1, &[]).ok_or_else(|| format!("unknown fork {fork}"))?;
    let is_merged = rules.terminal_total_difficulty.is_some();
    Ok(match spec.spec_id(0, 0) {
        SpecId::LONDON if is_merged => SpecId::MERGE,
        SpecId::BYZANTIUM if spec.forks.constantinople.is_some() => SpecId::PETERSBURG,
        id => id,
    })
}

fn check(fork: &str, txbytes: &Value, want: &Value) -> Verdict {
    let txbytes = bytes(txbytes)?.ok_or("txbytes is not a string")?;
    let have = check_transaction(spec_id(fork)?, 1, &txbytes);
    match (have, want.get("exception")) {
        (Err(_), Some(_)) => Ok(()),
        (Ok(_), Some(exception)) => Err(format!("accepted, want {exception}")),
        (Err(why), None) => Err(format!("refused: {why}")),
        (Ok(have), None) => {
            same_if("hash", &have.hash, hash(&want["hash"])?)?;
            same_if("sender", &have.sender, address(&want["sender"])?)?;
            same_if("intrinsic gas", &have.intrinsic_gas, small(&want["intrinsicGas"])?)
        }
    }
}
