//! Chains that other programs sealed: each block imports and is what the file says of it.
//!
//! `genesis` in geth's form, or in `genesis.json` beside the file; `blocks[]` with `block_rlp`, or in `chain.rlp.gz` or
//! `chain.rlp` beside the file. Of a block: `number`, `hash`, `signer`, `state_root` or `stateRoot`, `total_difficulty` or
//! `totalDifficulty`, `txs[]` with `hash`, `status`, `gasUsed`, `logs`. `snapshots[]`: `number`, `hash`, `signers`,
//! `recents`, `tally` after some blocks; `head`, `finalSigners`: at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    path::Path,
};

use alloy_primitives::Address;
use alloy_rlp::Decodable as _;
use chain::{
    block::{self, Block, RecoveredBlock},
    blockchain::{Blockchain, Storage},
    clique::Snapshot,
    genesis::Genesis,
    reader::ChainReader,
};
use serde_json::Value;

use super::{
    Verdict, Verdicts, address, bytes, clique::NOW_MS, hash, number, same, same_if, small, text,
};

pub(crate) fn judge(json: &Value, path: &Path) -> Result<Verdicts, String> {
    let stated = json["blocks"].as_array().ok_or("no cases, headers or blocks in it")?;
    let genesis = genesis(json, path)?;
    let mut chain = Blockchain::open(&genesis, Storage::Memory).map_err(text)?;
    let blocks = blocks(stated, path)?;
    let mut verdicts = vec![("genesis".to_owned(), check_genesis(&genesis, json, stated))];
    let reader = chain.reader();
    for block in blocks {
        let number = block.header().number;
        let mut verdict = chain.import(block, NOW_MS).map(|_| ()).map_err(text);
        for want in stated.iter().filter(|want| want["number"].as_u64() == Some(number)) {
            verdict = verdict.and_then(|()| check_block(&reader, number, want));
        }
        verdicts.push((format!("block {number}"), verdict));
    }
    for want in json["snapshots"].as_array().into_iter().flatten() {
        verdicts.push((format!("snapshot {}", want["number"]), check_snapshot(&reader, want)));
    }
    if json["head"].is_object() {
        verdicts.push(("head".to_owned(), check_head(&reader, &json["head"])));
    }
    if let Some(stated) = json["finalSigners"].as_array() {
        verdicts.push(("final signers".to_owned(), check_signers(&reader, stated)));
    }
    Ok(verdicts)
}

/// The genesis in the file, or the one beside it.
pub(crate) fn genesis(json: &Value, path: &Path) -> Result<Genesis, String> {
    let stated = &json["genesis"];
    if stated["alloc"].is_object() {
        return Genesis::from_json(stated.to_string().as_bytes()).map_err(text);
    }
    let beside = path.with_file_name("genesis.json");
    let bytes = std::fs::read(&beside).map_err(|error| format!("{}: {error}", beside.display()))?;
    Genesis::from_json(&bytes).map_err(text)
}

/// The blocks of `<name>.rlp.gz` or `<name>.rlp` beside a file, unpacked.
pub(crate) fn beside(path: &Path, name: &str) -> Result<Vec<u8>, String> {
    let packed = path.with_file_name(format!("{name}.rlp.gz"));
    let mut plain = Vec::new();
    if let Ok(file) = std::fs::File::open(&packed) {
        let mut reader = flate2::read::GzDecoder::new(file);
        reader.read_to_end(&mut plain).map_err(|error| format!("{}: {error}", packed.display()))?;
        return Ok(plain);
    }
    let plain = path.with_file_name(format!("{name}.rlp"));
    std::fs::read(&plain).map_err(|error| format!("{}: {error}", plain.display()))
}

/// Blocks that follow each other in a file.
pub(crate) fn decode_all(mut rlp: &[u8]) -> Result<Vec<RecoveredBlock>, String> {
    let mut blocks = Vec::new();
    while !rlp.is_empty() {
        let block = Block::decode(&mut rlp).map_err(text)?;
        blocks.push(block::recover(block).map_err(text)?);
    }
    Ok(blocks)
}

fn blocks(stated: &[Value], path: &Path) -> Result<Vec<RecoveredBlock>, String> {
    if stated.iter().all(|want| want["block_rlp"].is_null()) {
        return decode_all(&beside(path, "chain")?);
    }
    let mut blocks = Vec::new();
    for want in stated.iter().filter(|want| small(&want["number"]) != Ok(Some(0))) {
        let rlp = bytes(&want["block_rlp"])?.ok_or("a block without block_rlp")?;
        let block = block::decode(&rlp).map_err(text)?;
        blocks.push(block::recover(block).map_err(text)?);
    }
    Ok(blocks)
}

fn check_genesis(genesis: &Genesis, json: &Value, stated: &[Value]) -> Verdict {
    same_if("hash", &genesis.hash(), hash(&json["genesis"]["hash"])?)?;
    same_if("state root", &genesis.header.state_root, hash(&json["genesis"]["stateRoot"])?)?;
    for want in stated.iter().filter(|want| want["number"].as_u64() == Some(0)) {
        same_if("hash", &genesis.hash(), hash(&want["hash"])?)?;
    }
    Ok(())
}

fn check_block(reader: &ChainReader, height: u64, want: &Value) -> Verdict {
    let found = reader.block_by_number(height).map_err(text)?.ok_or("not canonical")?;
    let header = found.block.header();
    same_if("hash", &found.hash(), hash(&want["hash"])?)?;
    same_if("signer", &found.signer, address(&want["signer"])?)?;
    for key in ["state_root", "stateRoot"] {
        same_if("state root", &header.state_root, hash(&want[key])?)?;
    }
    for key in ["total_difficulty", "totalDifficulty"] {
        same_if("total difficulty", &found.total_difficulty, number(&want[key])?)?;
    }
    let mut cumulative = 0;
    for (index, want) in want["txs"].as_array().into_iter().flatten().enumerate() {
        let receipt = found.receipts.get(index).ok_or("fewer transactions than stated")?;
        let transaction = &found.block.body().transactions[index];
        let gas_used = receipt.cumulative_gas_used - cumulative;
        cumulative = receipt.cumulative_gas_used;
        same_if("transaction hash", transaction.tx_hash(), hash(&want["hash"])?)?;
        same_if("status", &u64::from(receipt.success), small(&want["status"])?)?;
        same_if("gas used", &gas_used, small(&want["gasUsed"])?)?;
        same_if("logs", &(receipt.logs.len() as u64), want["logs"].as_u64())?;
    }
    Ok(())
}

fn check_head(reader: &ChainReader, want: &Value) -> Verdict {
    let head = reader.head();
    same_if("number", &head.number(), small(&want["number"])?)?;
    same_if("hash", &head.hash(), hash(&want["hash"])?)?;
    same_if("state root", &head.block.header().state_root, hash(&want["stateRoot"])?)?;
    same_if("total difficulty", &head.total_difficulty, number(&want["totalDifficulty"])?)
}

fn check_signers(reader: &ChainReader, stated: &[Value]) -> Verdict {
    let snapshot = reader.snapshot(reader.head().hash()).map_err(text)?;
    let stated: Result<Vec<_>, String> = stated.iter().map(address).collect();
    same("signers", &snapshot.signers, &stated?.into_iter().flatten().collect())
}

/// Compares a snapshot in geth's form with ours after the same block.
fn check_snapshot(reader: &ChainReader, want: &Value) -> Verdict {
    let block = hash(&want["hash"])?.ok_or("a snapshot without hash")?;
    let snapshot = reader.snapshot(block).map_err(text)?;
    compare_snapshot(&snapshot, want)
}

/// As `clique_getSnapshot` gives it: signers as keys or as a list, recents by number, votes, tally.
pub(crate) fn compare_snapshot(snapshot: &Snapshot, want: &Value) -> Verdict {
    same_if("number", &snapshot.number, small(&want["number"])?)?;
    let parse = |text: &str| text.parse::<Address>().map_err(|error| format!("{text}: {error}"));
    let signers: Option<Result<BTreeSet<Address>, String>> = match &want["signers"] {
        Value::Object(members) => Some(members.keys().map(|key| parse(key)).collect()),
        Value::Array(items) => {
            Some(items.iter().map(|item| parse(item.as_str().unwrap_or_default())).collect())
        }
        _ => None,
    };
    same_if("signers", &snapshot.signers, signers.transpose()?)?;
    if let Some(stated) = want["recents"].as_object() {
        let mut recents = BTreeMap::new();
        for (number, signer) in stated {
            let signer = parse(signer.as_str().unwrap_or_default())?;
            recents.insert(number.parse::<u64>().map_err(text)?, signer);
        }
        same("recents", &snapshot.recents, &recents)?;
    }
    if let Some(votes) = want["votes"].as_array() {
        same("number of votes", &snapshot.votes.len(), &votes.len())?;
    }
    if let Some(stated) = want["tally"].as_object() {
        let mut tally = BTreeMap::new();
        for (target, stated) in stated {
            let votes = small(&stated["votes"])?.unwrap_or_default();
            tally.insert(parse(target)?, (stated["authorize"] == true, votes));
        }
        let have = snapshot.tally.iter();
        let have = have.map(|(&target, tally)| (target, (tally.authorize, tally.votes as u64)));
        same("tally", &have.collect(), &tally)?;
    }
    Ok(())
}
