//! Kind `fork-choice`. Two shapes:
//!
//! * geth's forks (`test/vectors/clique/geth-chain/README.md`): `runs[]` and `orders[]`, with `genesis.json`,
//!   `chain.rlp.gz` and `forks.rlp.gz` beside the file. Each order is imported into a chain of its own; after each step the
//!   head has the stated total difficulty and number, and the stated hash unless geth tossed a `coin` there.
//! * `cases[]`: `{name?, signers, heads[], winner}`. `signers` is a number N or the list of N addresses after the heads; a
//!   case may state it once for all heads, a head for itself. A head is `{td | totalDifficulty, number, hash, index |
//!   signer}`: its signer by position in the ascending list, or by address (one that is not in the list has just left
//!   and counts as N; likewise `index` null). `winner` (also `expect`, `best`) is the best head's hash or its position in
//!   `heads`. `order` (a list of positions, best first) is optional. Heads are offered in the order given and in reverse.

use std::{cmp::Reverse, collections::BTreeSet, path::Path};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256};
use chain::{
    block::{RecoveredBlock, SealedHeader},
    blockchain::{Blockchain, Storage},
    clique::Snapshot,
    fork_choice::HeadKey,
    genesis::Genesis,
    reader::ChainReader,
    spec::CliqueConfig,
};
use serde_json::Value;

use super::{
    Verdict, Verdicts, address,
    clique::NOW_MS,
    clique_chain::{beside, compare_snapshot, decode_all, genesis},
    hash, list, number, same, same_if, small, text,
};

pub(crate) fn judge(json: &Value, path: &Path) -> Result<Verdicts, String> {
    if let Some(cases) = json["cases"].as_array() {
        let name = |index: usize, case: &Value| {
            format!("case {index} {}", case["name"].as_str().unwrap_or_default())
        };
        let cases = cases.iter().enumerate();
        return Ok(cases.map(|(index, case)| (name(index, case), check_case(case))).collect());
    }
    if json["orders"].is_array() {
        return judge_orders(json, path);
    }
    Err("neither cases nor orders in it".to_owned())
}

fn check_case(case: &Value) -> Verdict {
    let heads = list(case, "heads")?;
    let keys: Result<Vec<_>, String> = heads.iter().map(|head| head_key(case, head)).collect();
    let keys = keys?;
    let follow = |best: HeadKey, next: &HeadKey| if *next > best { *next } else { best };
    let first = *keys.first().ok_or("no heads")?;
    let best = keys.iter().fold(first, follow);
    let backwards = keys.iter().rev().fold(keys[keys.len() - 1], follow);
    same("winner in reverse order", &backwards.hash.0, &best.hash.0)?;
    let winner = ["winner", "expect", "best"].into_iter().find(|key| !case[*key].is_null());
    let winner = &case[winner.ok_or("the case names no winner")?];
    let want = match winner.as_u64() {
        Some(index) => keys.get(usize::try_from(index).map_err(text)?).map(|key| key.hash.0),
        None => hash(if winner.is_object() { &winner["hash"] } else { winner })?,
    };
    same("winner", &best.hash.0, &want.ok_or("the winner is none of the heads")?)?;
    let Some(order) = case["order"].as_array() else { return Ok(()) };
    let mut sorted: Vec<usize> = (0..keys.len()).collect();
    sorted.sort_by_key(|&index| Reverse(keys[index]));
    let order: Option<Vec<usize>> =
        order.iter().map(|index| usize::try_from(index.as_u64()?).ok()).collect();
    same("order", &Some(sorted), &order)
}

fn head_key(case: &Value, head: &Value) -> Result<HeadKey, String> {
    let signers = if head["signers"].is_null() { &case["signers"] } else { &head["signers"] };
    let signers: BTreeSet<Address> = match signers {
        Value::Array(items) => {
            let items: Result<Vec<_>, String> = items.iter().map(address).collect();
            items?.into_iter().flatten().collect()
        }
        other => {
            let count = small(other)?.ok_or("signers are neither a number nor a list")?;
            if count > 10_000 {
                return Err(format!("{count} signers are too many"));
            }
            (0..count).map(|index| Address::left_padding_from(&index.to_be_bytes())).collect()
        }
    };
    let signer = match (address(&head["signer"])?, small(&head["index"])?) {
        (Some(signer), _) => Some(signer),
        (None, Some(index)) => signers.iter().nth(usize::try_from(index).map_err(text)?).copied(),
        (None, None) => None,
    };
    let stranger = Address::repeat_byte(0xff);
    let total = if head["td"].is_null() { &head["totalDifficulty"] } else { &head["td"] };
    let total = number(total)?.ok_or("a head without td")?;
    let height = small(&head["number"])?.ok_or("a head without number")?;
    let hash: B256 = hash(&head["hash"])?.ok_or("a head without hash")?;
    let header = Header { number: height, ..Header::default() };
    let after = Snapshot {
        config: CliqueConfig { period_secs: 1, epoch: 30_000 },
        number: height,
        hash,
        signers,
        recents: Default::default(),
        votes: Vec::new(),
        tally: Default::default(),
    };
    let header = SealedHeader::new(header, hash);
    Ok(HeadKey::new(total, &header, signer.unwrap_or(stranger), &after))
}

/// The blocks of a file of forks.
struct Forks<'a> {
    genesis: Genesis,
    main: Vec<RecoveredBlock>,
    runs: Vec<(Vec<RecoveredBlock>, &'a Value)>,
}

fn judge_orders(json: &Value, path: &Path) -> Result<Verdicts, String> {
    let side = beside(path, "forks")?;
    let mut runs = Vec::new();
    for run in list(json, "runs")? {
        let at = |key: &str| {
            let value = small(&run[key])?.ok_or_else(|| format!("a run without {key}"))?;
            usize::try_from(value).map_err(text)
        };
        let (start, length) = (at("offset")?, at("bytes")?);
        let rlp = side.get(start..start.saturating_add(length)).ok_or("a run beyond its file")?;
        runs.push((decode_all(rlp)?, run));
    }
    let main = decode_all(&beside(path, "chain")?)?;
    let forks = Forks { genesis: genesis(json, path)?, main, runs };
    let orders = list(json, "orders")?.iter().enumerate();
    let mut verdicts: Verdicts = orders
        .map(|(index, order)| {
            let note = order["note"].as_str().unwrap_or_default();
            (format!("order {index} {note}"), check_order(&forks, order))
        })
        .collect();
    let after: Verdict = check_all_after_main(&forks, json);
    verdicts.push(("all runs after the main chain".to_owned(), after));
    Ok(verdicts)
}

fn import(chain: &mut Blockchain, blocks: &[RecoveredBlock]) -> Verdict {
    for block in blocks {
        let number = block.header().number;
        chain
            .import(block.clone(), NOW_MS)
            .map_err(|error| format!("block {number} {}: {error}", block.hash()))?;
    }
    Ok(())
}

fn run_of<'a>(
    forks: &'a Forks<'_>,
    id: &Value,
) -> Result<&'a (Vec<RecoveredBlock>, &'a Value), String> {
    forks.runs.iter().find(|(_, run)| run["id"] == *id).ok_or_else(|| format!("no run {id}"))
}

fn check_order(forks: &Forks<'_>, order: &Value) -> Verdict {
    let mut chain = Blockchain::open(&forks.genesis, Storage::Memory).map_err(text)?;
    let reader = chain.reader();
    for (index, step) in list(order, "steps")?.iter().enumerate() {
        let at = |why: String| format!("step {index}: {why}");
        if let Some(range) = step["main"].as_array() {
            let end = |i: usize| {
                let number = small(range.get(i).unwrap_or(&Value::Null)).ok().flatten();
                number.and_then(|number| usize::try_from(number).ok()).ok_or("main is [from, to]")
            };
            let (from, to) = (end(0)?, end(1)?);
            let blocks =
                forks.main.get(from.saturating_sub(1)..to).ok_or("main beyond the chain")?;
            import(&mut chain, blocks).map_err(at)?;
        } else {
            let (blocks, _) = run_of(forks, &step["run"])?;
            import(&mut chain, blocks).map_err(at)?;
        }
        check_head(&reader, &step["head"], order["coin"].is_null()).map_err(at)?;
    }
    Ok(())
}

/// `is_sure`: nothing was left to chance, so that the hash is certain too.
fn check_head(reader: &ChainReader, want: &Value, is_sure: bool) -> Verdict {
    let head = reader.head();
    same_if("total difficulty", &head.total_difficulty, number(&want["totalDifficulty"])?)?;
    same_if("number", &head.number(), small(&want["number"])?)?;
    if is_sure { same_if("hash", &head.hash(), hash(&want["hash"])?) } else { Ok(()) }
}

fn check_all_after_main(forks: &Forks<'_>, json: &Value) -> Verdict {
    let mut chain = Blockchain::open(&forks.genesis, Storage::Memory).map_err(text)?;
    let reader = chain.reader();
    import(&mut chain, &forks.main)?;
    for (blocks, run) in &forks.runs {
        import(&mut chain, blocks).map_err(|why| format!("run {}: {why}", run["id"]))?;
        if run["snapshot"].is_object() {
            let tip = blocks.last().ok_or("a run without blocks")?;
            let snapshot = reader.snapshot(tip.hash());
            // a branch that was never head was not run, and has no snapshot for readers
            if let Ok(snapshot) = snapshot {
                compare_snapshot(&snapshot, &run["snapshot"])?;
            }
        }
    }
    if json["head"].is_object() { check_head(&reader, &json["head"], true) } else { Ok(()) }
}
