//! [`Genesis`] → geth's genesis JSON, keys in geth's order.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B64, B256, Bytes, U256};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Genesis, GenesisAccount};
use crate::spec::{ChainSpec, CliqueConfig};

/// Writes pretty JSON that [`Genesis::from_json`] and `geth init` read back to the same block 0.
pub fn to_json(genesis: &Genesis) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(&File::from(genesis))
        .expect("maps with string keys and plain values always serialize");
    json.push(b'\n');
    json
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    config: Config,
    nonce: B64,
    timestamp: String,
    extra_data: Bytes,
    gas_limit: String,
    difficulty: String,
    mix_hash: B256,
    coinbase: Address,
    number: String,
    gas_used: String,
    parent_hash: B256,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_fee_per_gas: Option<String>,
    alloc: BTreeMap<Address, Account>,
}

/// geth reads these as plain JSON integers and refuses strings.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    chain_id: u64,
    #[serde(flatten)]
    forks: Forks,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_total_difficulty: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clique: Option<Clique>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msnet: Option<Msnet>,
}

#[derive(Serialize)]
struct Clique {
    period: u64,
    epoch: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Msnet {
    finality: bool,
    zero_base_fee: bool,
}

#[derive(Serialize)]
struct Account {
    balance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Bytes>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<B256, B256>,
}

impl From<&Genesis> for File {
    fn from(genesis: &Genesis) -> Self {
        let header = &genesis.header;
        Self {
            config: Config::from(&genesis.spec),
            nonce: header.nonce,
            timestamp: hex(header.timestamp),
            extra_data: header.extra_data.clone(),
            gas_limit: hex(header.gas_limit),
            difficulty: format!("{:#x}", header.difficulty),
            mix_hash: header.mix_hash,
            coinbase: header.beneficiary,
            number: hex(header.number),
            gas_used: hex(header.gas_used),
            parent_hash: header.parent_hash,
            base_fee_per_gas: header.base_fee_per_gas.map(hex),
            alloc: genesis.alloc.iter().map(|(&a, account)| (a, Account::from(account))).collect(),
        }
    }
}

impl From<&ChainSpec> for Config {
    fn from(spec: &ChainSpec) -> Self {
        let clique =
            |CliqueConfig { period_secs: period, epoch }: CliqueConfig| Clique { period, epoch };
        let msnet = || Msnet { finality: spec.finality, zero_base_fee: spec.zero_base_fee };
        Self {
            chain_id: spec.chain_id,
            forks: Forks(spec.scheduled_forks().collect()),
            terminal_total_difficulty: spec.terminal_total_difficulty.map(integer),
            clique: spec.clique.map(clique),
            msnet: spec.has_msnet_section.then(msnet),
        }
    }
}

impl From<&GenesisAccount> for Account {
    fn from(account: &GenesisAccount) -> Self {
        let slots = account.storage.iter();
        Self {
            balance: format!("{:#x}", account.balance),
            nonce: (account.nonce != 0).then(|| hex(account.nonce)),
            code: (!account.code.is_empty()).then(|| account.code.clone()),
            storage: slots.map(|(&slot, &value)| (slot.into(), value.into())).collect(),
        }
    }
}

/// Forks by geth's key, those that never start left out.
struct Forks(Vec<(&'static str, u64)>);

impl Serialize for Forks {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}

fn integer(value: U256) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("decimal digits are JSON")
}
