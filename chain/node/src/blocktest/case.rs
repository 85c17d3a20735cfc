//! One case: a genesis, blocks that must import or must not, and the state at the end.

use std::{collections::BTreeMap, str::FromStr};

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use chain::{
    block,
    blockchain::{Blockchain, Storage},
    error::ChainError,
    genesis::{Genesis, GenesisAccount},
    replay::{self, BlobParams, Rules},
};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::Outcome;

/// The clock that a test sees: no block is too early.
const NOW_MS: u64 = u64::MAX;

/// A case as the file states it; whatever else stands there is not needed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Case {
    /// Absent where the file is of another kind of tests.
    #[serde(default)]
    pub(super) network: String,
    #[serde(rename = "genesisRLP")]
    genesis_rlp: Option<Hex>,
    genesis_block_header: Option<StatedHeader>,
    #[serde(default)]
    pre: BTreeMap<Hex, StatedAccount>,
    blocks: Option<Vec<StatedBlock>>,
    lastblockhash: Option<Hex>,
    post_state: Option<BTreeMap<Hex, StatedAccount>>,
    post_state_hash: Option<Hex>,
    config: Option<StatedConfig>,
}

#[derive(Debug, Deserialize)]
struct StatedHeader {
    hash: Option<Hex>,
}

/// A block; one that must not import has an expected exception, or no header beside its bytes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatedBlock {
    rlp: Hex,
    block_header: Option<StatedHeader>,
    expect_exception: Option<String>,
    #[serde(rename = "expectExceptionALL")]
    expect_exception_all: Option<String>,
}

#[derive(Debug, Deserialize)]
struct StatedAccount {
    #[serde(default)]
    nonce: Hex,
    #[serde(default)]
    balance: Hex,
    #[serde(default)]
    code: Hex,
    #[serde(default)]
    storage: BTreeMap<Hex, Hex>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatedConfig {
    #[serde(alias = "chainId")]
    chainid: Option<Hex>,
    #[serde(default)]
    blob_schedule: BTreeMap<String, StatedBlobs>,
    deposit_contract_address: Option<Hex>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatedBlobs {
    target: Hex,
    max: Hex,
    base_fee_update_fraction: Hex,
}

/// A number or bytes: `0x` and hex digits, sometimes without `0x`, sometimes empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Hex(String);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stated {
            Text(String),
            Number(u64),
        }
        let text = match Stated::deserialize(deserializer)? {
            Stated::Text(text) => text,
            Stated::Number(number) => return Ok(Self(format!("{number:x}"))),
        };
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(D::Error::custom(format!("{text:?} is not hexadecimal")));
        }
        Ok(Self(digits.to_ascii_lowercase()))
    }
}

impl Hex {
    fn number(&self) -> Result<U256, String> {
        if self.0.is_empty() {
            return Ok(U256::ZERO);
        }
        U256::from_str_radix(&self.0, 16).map_err(|error| format!("number {}: {error}", self.0))
    }

    fn u64(&self) -> Result<u64, String> {
        self.number()?.try_into().map_err(|_| format!("number {} exceeds 64 bits", self.0))
    }

    fn bytes(&self) -> Result<Bytes, String> {
        Ok(hex::decode(&self.0).map_err(|error| format!("bytes: {error}"))?.into())
    }

    fn hash(&self) -> Result<B256, String> {
        B256::from_str(&self.0).map_err(|error| format!("hash {}: {error}", self.0))
    }

    fn address(&self) -> Result<Address, String> {
        Address::from_str(&self.0).map_err(|error| format!("address {}: {error}", self.0))
    }
}

impl StatedAccount {
    fn account(&self) -> Result<GenesisAccount, String> {
        let mut storage = BTreeMap::new();
        for (slot, value) in &self.storage {
            storage.insert(slot.number()?, value.number()?);
        }
        storage.retain(|_, value| !value.is_zero());
        Ok(GenesisAccount {
            nonce: self.nonce.u64()?,
            balance: self.balance.number()?,
            code: self.code.bytes()?,
            storage,
        })
    }
}

impl StatedBlock {
    fn exception(&self) -> Option<&str> {
        let stated = self.expect_exception.as_deref().or(self.expect_exception_all.as_deref());
        stated.or_else(|| self.block_header.is_none().then_some("any, as the block has no header"))
    }
}

impl Case {
    /// Runs it on a chain of its own.
    pub(super) fn run(&self) -> Outcome {
        let Some(blocks) = &self.blocks else {
            return Outcome::Skipped("not a case of BlockchainTests".to_owned());
        };
        let rules = match self.rules() {
            Ok(Some(rules)) => rules,
            Ok(None) => return Outcome::Skipped("this network is not implemented".to_owned()),
            Err(why) => return Outcome::Failed(why),
        };
        match self.run_blocks(blocks, rules) {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why),
        }
    }

    fn rules(&self) -> Result<Option<(chain::spec::ChainSpec, replay::ReplayRules)>, String> {
        let (mut blobs, mut chain_id, mut deposits) = (Vec::new(), 1, None);
        if let Some(config) = &self.config {
            for (fork, stated) in &config.blob_schedule {
                let params = BlobParams {
                    target_blob_count: stated.target.u64()?,
                    max_blob_count: stated.max.u64()?,
                    update_fraction: stated.base_fee_update_fraction.u64()?.into(),
                    ..BlobParams::cancun()
                };
                blobs.push((fork.clone(), params));
            }
            chain_id = config.chainid.as_ref().map_or(Ok(1), Hex::u64)?;
            deposits = config.deposit_contract_address.as_ref().map(Hex::address).transpose()?;
        }
        let Some((spec, mut rules)) = replay::network(&self.network, chain_id, &blobs) else {
            return Ok(None);
        };
        rules.deposit_contract = deposits.unwrap_or(rules.deposit_contract);
        Ok(Some((spec, rules)))
    }

    fn genesis(&self, spec: chain::spec::ChainSpec) -> Result<Genesis, String> {
        let rlp = self.genesis_rlp.as_ref().ok_or("the case has no genesisRLP")?.bytes()?;
        let header = block::decode(&rlp).map_err(|error| format!("genesis: {error}"))?.header;
        let stated = self.genesis_block_header.as_ref().and_then(|header| header.hash.as_ref());
        let (got, want) = (header.hash_slow(), stated.map(Hex::hash).transpose()?);
        if want.is_some_and(|want| want != got) {
            return Err(format!("genesis hash: have {got}, want {}", want.unwrap_or_default()));
        }
        let mut alloc = BTreeMap::new();
        for (address, account) in &self.pre {
            alloc.insert(address.address()?, account.account()?);
        }
        Ok(Genesis { spec, header, alloc, warnings: Vec::new() })
    }

    fn run_blocks(
        &self,
        blocks: &[StatedBlock],
        (spec, rules): (chain::spec::ChainSpec, replay::ReplayRules),
    ) -> Result<(), String> {
        let genesis = self.genesis(spec)?;
        let rules = Rules::Replay(rules.into());
        let mut chain = Blockchain::open_with(&genesis, Storage::Memory, rules)
            .map_err(|error| format!("genesis: {error}"))?;
        for (index, stated) in blocks.iter().enumerate() {
            let at = |why: String| format!("block {}: {why}", index + 1);
            match (import(&mut chain, stated), stated.exception()) {
                (Ok(hash), None) => {
                    let want = stated.block_header.as_ref().and_then(|header| header.hash.as_ref());
                    let want = want.map(Hex::hash).transpose().map_err(at)?;
                    if want.is_some_and(|want| want != hash) {
                        return Err(at(format!(
                            "hash: have {hash}, want {}",
                            want.unwrap_or_default()
                        )));
                    }
                }
                (Ok(_), Some(exception)) => {
                    return Err(at(format!("imported, but must fail: {exception}")));
                }
                (Err(_), Some(_)) => {}
                (Err(error), None) => return Err(at(error)),
            }
        }
        self.check_end(&chain)
    }

    fn check_end(&self, chain: &Blockchain) -> Result<(), String> {
        let reader = chain.reader();
        let head = reader.head();
        if let Some(want) = &self.lastblockhash {
            let (have, want) = (head.hash(), want.hash()?);
            if have != want {
                return Err(format!("last block: have {have}, want {want}"));
            }
        }
        if let Some(want) = &self.post_state_hash {
            let (have, want) = (head.block.header().state_root, want.hash()?);
            if have != want {
                return Err(format!("post state root: have {have}, want {want}"));
            }
        }
        let Some(stated) = &self.post_state else { return Ok(()) };
        let state = reader.head_state();
        let mut count = 0_usize;
        let failed = |error: ChainError| format!("state: {error}");
        state.accounts(|_, _| count += 1).map_err(failed)?;
        for (address, want) in stated {
            let (address, want) = (address.address()?, want.account()?);
            let account = state.account(address).map_err(failed)?;
            let account = account.ok_or_else(|| format!("post state: {address} is missing"))?;
            let have = GenesisAccount {
                nonce: account.nonce,
                balance: account.balance,
                code: state.code(account.code_hash).map_err(failed)?,
                storage: state.slots_of(address).map_err(failed)?,
            };
            if have != want {
                return Err(format!("post state of {address}: have {have:?}, want {want:?}"));
            }
        }
        if count == stated.len() {
            Ok(())
        } else {
            Err(format!("post state: have {count} accounts, want {}", stated.len()))
        }
    }
}

/// Decodes a block and imports it; its hash, or what is wrong with it.
fn import(chain: &mut Blockchain, stated: &StatedBlock) -> Result<B256, String> {
    let block = block::decode(&stated.rlp.bytes()?).map_err(|error| error.to_string())?;
    let block = replay::recover(chain.spec(), block).map_err(|error| error.to_string())?;
    let hash = block.hash();
    chain.import(block, NOW_MS).map_err(|error| error.to_string())?;
    Ok(hash)
}
