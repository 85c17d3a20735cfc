//! The genesis of a replayed chain: geth's JSON, with the parts that mean nothing under Clique.

use serde_json::Value;

use super::{BlobParams, MAINNET_DEPOSIT_CONTRACT, ReplayRules};
use crate::{
    error::ChainError,
    genesis::{Genesis, GenesisError},
};

/// What holds where a file is silent.
type Usual = fn() -> BlobParams;

/// Names of the forks that set blob parameters, and what holds where `blobSchedule` is silent.
const BLOB_FORKS: [(&str, Usual); 8] = [
    ("cancun", BlobParams::cancun),
    ("prague", BlobParams::prague),
    ("osaka", BlobParams::osaka),
    ("bpo1", BlobParams::bpo1),
    ("bpo2", BlobParams::bpo2),
    ("bpo3", BlobParams::bpo2),
    ("bpo4", BlobParams::bpo2),
    ("bpo5", BlobParams::bpo2),
];

/// Reads a genesis file of a chain with Ethereum's own consensus.
///
/// # Errors
/// [`GenesisError`] names what is missing or wrong, and where.
pub fn genesis(bytes: &[u8]) -> Result<(Genesis, ReplayRules), ChainError> {
    let not_json = |error: serde_json::Error| GenesisError::NotJson { text: error.to_string() };
    let mut file: Value = serde_json::from_slice(bytes).map_err(not_json)?;
    let rules = rules(&file["config"])?;
    // Forks of blob parameters alone change nothing else, and a chain spec does not know them.
    if let Some(config) = file["config"].as_object_mut() {
        config.retain(|key, _| !(key.starts_with("bpo") && key.ends_with("Time")));
    }
    let known = serde_json::to_vec(&file).map_err(not_json)?;
    Ok((Genesis::from_json(&known)?, rules))
}

fn rules(config: &Value) -> Result<ReplayRules, GenesisError> {
    let mut blob_schedule = Vec::new();
    for (name, usual) in BLOB_FORKS {
        if let Some(time) = number(config, &format!("{name}Time"))? {
            let params = blobs(&config["blobSchedule"][name], usual())?;
            blob_schedule.push((time, params));
        }
    }
    blob_schedule.sort_by_key(|(time, _)| *time);
    let deposits = config["depositContractAddress"].as_str();
    let deposits = deposits.map(|text| text.parse().map_err(|_| wrong("depositContractAddress")));
    let terminal = &config["terminalTotalDifficulty"];
    let terminal = match terminal {
        Value::Null => None,
        Value::String(text) => Some(text.parse()),
        other => Some(other.to_string().parse()),
    };
    let terminal = terminal.transpose().map_err(|_| wrong("terminalTotalDifficulty"))?;
    Ok(ReplayRules {
        reward: true,
        terminal_total_difficulty: terminal,
        muir_glacier: number(config, "muirGlacierBlock")?,
        arrow_glacier: number(config, "arrowGlacierBlock")?,
        gray_glacier: number(config, "grayGlacierBlock")?,
        merge_netsplit: number(config, "mergeNetsplitBlock")?,
        blob_schedule,
        deposit_contract: deposits.transpose()?.unwrap_or(MAINNET_DEPOSIT_CONTRACT),
    })
}

fn blobs(stated: &Value, usual: BlobParams) -> Result<BlobParams, GenesisError> {
    let stated_or = |name: &str, usual: u64| Ok(number(stated, name)?.unwrap_or(usual));
    let fraction = u64::try_from(usual.update_fraction).unwrap_or(u64::MAX);
    Ok(BlobParams {
        target_blob_count: stated_or("target", usual.target_blob_count)?,
        max_blob_count: stated_or("max", usual.max_blob_count)?,
        update_fraction: stated_or("baseFeeUpdateFraction", fraction)?.into(),
        ..usual
    })
}

fn number(object: &Value, key: &str) -> Result<Option<u64>, GenesisError> {
    match &object[key] {
        Value::Null => Ok(None),
        value => value.as_u64().map(Some).ok_or_else(|| wrong(key)),
    }
}

fn wrong(key: &str) -> GenesisError {
    let (path, text) = (format!("config.{key}"), "not what it should be".to_owned());
    GenesisError::Value { path, text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_beside_the_spec_are_read() {
        let file = json!({
            "config": {
                "chainId": 7, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
                "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 1,
                "petersburgBlock": 2, "istanbulBlock": 3, "berlinBlock": 4, "londonBlock": 5,
                "mergeNetsplitBlock": 6, "terminalTotalDifficulty": 9, "shanghaiTime": 10,
                "cancunTime": 20, "bpo1Time": 30, "ethash": {},
                "blobSchedule": {"cancun": {"target": 1, "max": 2, "baseFeeUpdateFraction": 3}},
            },
            "difficulty": "0x20000", "gasLimit": "0x1000000", "alloc": {},
        });
        let (genesis, rules) = genesis(file.to_string().as_bytes()).expect("a genesis");
        assert_eq!(genesis.spec.forks.cancun_time, Some(20));
        assert_eq!(rules.terminal_total_difficulty, Some(alloy_primitives::U256::from(9)));
        assert_eq!(rules.merge_netsplit, Some(6));
        let times: Vec<u64> = rules.blob_schedule.iter().map(|(time, _)| *time).collect();
        assert_eq!(times, [20, 30]);
        assert_eq!(rules.blob_schedule[0].1.max_blob_count, 2);
        assert_eq!(rules.blob_schedule[1].1.max_blob_count, BlobParams::bpo1().max_blob_count);
    }
}
