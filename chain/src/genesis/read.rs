//! geth's genesis JSON → [`Genesis`].

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::collections::BTreeMap;

use alloy_primitives::{Address, B64, U256};

use super::{
    Genesis, GenesisAccount, GenesisError, MAX_FILE_BYTES,
    json::{self, Node, Object},
};
use crate::{
    block::Header,
    spec::{ChainSpec, CliqueConfig, DEFAULT_EPOCH, Forks},
};

/// Keys of the file's top object.
const TOP_KEYS: [&str; 13] = [
    "config",
    "nonce",
    "timestamp",
    "extraData",
    "gasLimit",
    "difficulty",
    "mixHash",
    "coinbase",
    "alloc",
    "number",
    "gasUsed",
    "parentHash",
    "baseFeePerGas",
];
/// Keys of `config` that set a rule.
const CONFIG_KEYS: [&str; 18] = [
    "chainId",
    "homesteadBlock",
    "eip150Block",
    "eip155Block",
    "eip158Block",
    "byzantiumBlock",
    "constantinopleBlock",
    "petersburgBlock",
    "istanbulBlock",
    "berlinBlock",
    "londonBlock",
    "shanghaiTime",
    "cancunTime",
    "pragueTime",
    "osakaTime",
    "terminalTotalDifficulty",
    "clique",
    "msnet",
];
/// Keys of `config` that geth knows and that change nothing under Clique.
const CONFIG_KEYS_WITHOUT_EFFECT: [&str; 10] = [
    "ethash",
    "blobSchedule",
    "depositContractAddress",
    "daoForkBlock",
    "daoForkSupport",
    "muirGlacierBlock",
    "arrowGlacierBlock",
    "grayGlacierBlock",
    "mergeNetsplitBlock",
    "terminalTotalDifficultyPassed",
];
/// Keys of an account; `secretKey` is geth's and for tests.
const ACCOUNT_KEYS: [&str; 5] = ["balance", "nonce", "code", "storage", "secretKey"];

pub(super) fn read(bytes: &[u8]) -> Result<Genesis, GenesisError> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(GenesisError::TooLong { bytes: bytes.len() });
    }
    let top = json::parse(bytes)?.object()?;
    let mut warnings = Vec::new();
    warn_unknown(&top, &TOP_KEYS, &mut warnings);

    let config = top.get("config").ok_or(GenesisError::NoConfig)?;
    let spec = read_config(&config.object()?, &mut warnings)?;
    let header = read_header(&top, &spec)?;
    let alloc = read_alloc(required(&top, "alloc", "Genesis")?, &mut warnings)?;
    Ok(Genesis { warnings, ..Genesis::new(spec, header, alloc) })
}

fn read_header(top: &Object<'_>, spec: &ChainSpec) -> Result<Header, GenesisError> {
    let base_fee = top.get("baseFeePerGas");
    if let Some(node) = base_fee
        && !spec.is_london(0)
    {
        return node.fail("a base fee in block 0 needs londonBlock 0");
    }
    Ok(Header {
        parent_hash: optional(top, "parentHash", Node::hash)?.unwrap_or_default(),
        beneficiary: optional(top, "coinbase", Node::address)?.unwrap_or_default(),
        difficulty: required(top, "difficulty", "Genesis")?.u256()?,
        number: optional(top, "number", Node::u64)?.unwrap_or_default(),
        gas_limit: required(top, "gasLimit", "Genesis")?.u64()?,
        gas_used: optional(top, "gasUsed", Node::u64)?.unwrap_or_default(),
        timestamp: optional(top, "timestamp", Node::u64)?.unwrap_or_default(),
        extra_data: optional(top, "extraData", Node::bytes)?.unwrap_or_default(),
        mix_hash: optional(top, "mixHash", Node::hash)?.unwrap_or_default(),
        nonce: B64::from(optional(top, "nonce", Node::u64)?.unwrap_or_default()),
        base_fee_per_gas: base_fee.map(Node::u64).transpose()?,
        ..Header::default()
    })
}

fn read_config(config: &Object<'_>, warnings: &mut Vec<String>) -> Result<ChainSpec, GenesisError> {
    for (key, node) in config.others(&CONFIG_KEYS) {
        if CONFIG_KEYS_WITHOUT_EFFECT.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            continue;
        }
        let lower = key.to_ascii_lowercase();
        if !node.is_null() && (lower.ends_with("block") || lower.ends_with("time")) {
            return Err(GenesisError::UnknownFork { path: node.path().to_owned() });
        }
        warnings.push(ignored(node));
    }
    let clique = match config.get("clique") {
        Some(node) => Some(read_clique(&node.object()?, warnings)?),
        None => None,
    };
    let msnet = match config.get("msnet") {
        Some(node) => Some(read_msnet(&node.object()?)?),
        None => None,
    };
    Ok(ChainSpec {
        chain_id: required(config, "chainId", "ChainConfig")?.u64()?,
        forks: read_forks(config)?,
        clique,
        terminal_total_difficulty: optional(config, "terminalTotalDifficulty", Node::u256)?,
        has_msnet_section: msnet.is_some(),
        finality: msnet.is_some_and(|msnet| msnet.finality),
        zero_base_fee: msnet.is_some_and(|msnet| msnet.zero_base_fee),
    })
}

fn read_forks(config: &Object<'_>) -> Result<Forks, GenesisError> {
    let at = |name| optional(config, name, Node::u64);
    Ok(Forks {
        homestead: at("homesteadBlock")?,
        eip150: at("eip150Block")?,
        eip155: at("eip155Block")?,
        eip158: at("eip158Block")?,
        byzantium: at("byzantiumBlock")?,
        constantinople: at("constantinopleBlock")?,
        petersburg: at("petersburgBlock")?,
        istanbul: at("istanbulBlock")?,
        berlin: at("berlinBlock")?,
        london: at("londonBlock")?,
        shanghai_time: at("shanghaiTime")?,
        cancun_time: at("cancunTime")?,
        prague_time: at("pragueTime")?,
        osaka_time: at("osakaTime")?,
    })
}

fn read_clique(
    clique: &Object<'_>,
    warnings: &mut Vec<String>,
) -> Result<CliqueConfig, GenesisError> {
    warn_unknown(clique, &["period", "epoch"], warnings);
    let epoch = optional(clique, "epoch", Node::u64)?.unwrap_or_default();
    Ok(CliqueConfig {
        period_secs: optional(clique, "period", Node::u64)?.unwrap_or_default(),
        epoch: if epoch == 0 { DEFAULT_EPOCH } else { epoch },
    })
}

/// Our own section; nothing in it is guessed or ignored.
#[derive(Debug, Clone, Copy)]
struct Msnet {
    finality: bool,
    zero_base_fee: bool,
}

fn read_msnet(msnet: &Object<'_>) -> Result<Msnet, GenesisError> {
    if let Some((_, node)) = msnet.others(&["finality", "zeroBaseFee", "periodTransitions"]).next()
    {
        return node.fail("unknown key in the msnet section");
    }
    if let Some(node) = msnet.get("periodTransitions") {
        return node.fail("not supported");
    }
    Ok(Msnet {
        finality: optional(msnet, "finality", Node::boolean)?.unwrap_or_default(),
        zero_base_fee: optional(msnet, "zeroBaseFee", Node::boolean)?.unwrap_or_default(),
    })
}

fn read_alloc(
    alloc: &Node<'_>,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<Address, GenesisAccount>, GenesisError> {
    let mut accounts = BTreeMap::new();
    for (key, node) in alloc.object()?.members() {
        let address = node.key_address(key)?;
        let account = read_account(&node.object()?, warnings)?;
        if accounts.insert(address, account).is_some() {
            return Err(GenesisError::DuplicateKey { path: node.path().to_owned() });
        }
    }
    Ok(accounts)
}

fn read_account(
    account: &Object<'_>,
    warnings: &mut Vec<String>,
) -> Result<GenesisAccount, GenesisError> {
    warn_unknown(account, &ACCOUNT_KEYS, warnings);
    Ok(GenesisAccount {
        balance: required(account, "balance", "GenesisAccount")?.u256()?,
        nonce: optional(account, "nonce", Node::u64)?.unwrap_or_default(),
        code: optional(account, "code", Node::bytes)?.unwrap_or_default(),
        storage: optional(account, "storage", read_storage)?.unwrap_or_default(),
    })
}

fn read_storage(storage: &Node<'_>) -> Result<BTreeMap<U256, U256>, GenesisError> {
    let mut slots = BTreeMap::new();
    for (key, node) in storage.object()?.members() {
        if slots.insert(node.key_word(key)?, node.word()?).is_some() {
            return Err(GenesisError::DuplicateKey { path: node.path().to_owned() });
        }
    }
    slots.retain(|_, value| !value.is_zero());
    Ok(slots)
}

fn required<'o, 'a>(
    object: &'o Object<'a>,
    field: &'static str,
    name: &'static str,
) -> Result<&'o Node<'a>, GenesisError> {
    object.get(field).ok_or(GenesisError::MissingField { field, object: name })
}

fn optional<'a, T>(
    object: &Object<'a>,
    field: &str,
    read: impl FnOnce(&Node<'a>) -> Result<T, GenesisError>,
) -> Result<Option<T>, GenesisError> {
    object.get(field).map(read).transpose()
}

fn warn_unknown(object: &Object<'_>, known: &[&str], warnings: &mut Vec<String>) {
    warnings.extend(object.others(known).map(|(_, node)| ignored(node)));
}

fn ignored(node: &Node<'_>) -> String {
    format!("genesis {}: unknown key, ignored", node.path())
}
