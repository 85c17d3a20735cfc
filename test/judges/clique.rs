//! Kind `clique`. A file is told apart by its keys:
//!
//! * `cases[]`: voting stories, `{name, epoch, signers, blocks[], expect, trace?}` (`test/vectors/clique/README.md`). Each
//!   is played with real keys and seals through the header rules, with several drawings of the accounts, so that their
//!   order differs. `expect.error` is a rule of [`CliqueError`] in snake case.
//! * `headers[]`: real headers with their hashes, signers and lists.
//! * `genesis` and `blocks[]` with `block_rlp`, or with a `chain.rlp.gz` beside the file: a chain, see `clique_chain`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable as _;
use chain::{
    block::{self, SealedHeader},
    clique::{
        CliqueError, NONCE_ADD, NONCE_DROP, SEAL_BYTES, Snapshot, VANITY_BYTES, prepare, seal,
        snapshot::{Tally, listed_signers},
        verify,
    },
    error::ChainError,
    spec::{ChainSpec, CliqueConfig, Forks},
};
use node::SignerKey;
use serde_json::Value;

use super::{
    Verdict, Verdicts, address, bytes, clique_chain, hash, list, number, same, same_if, small,
    string, text,
};

/// After every header of any file, ms.
pub(crate) const NOW_MS: u64 = 4_000_000_000_000;
/// Drawings of the accounts of one story.
const DRAWS: u64 = 4;

pub(crate) fn judge(json: &Value, path: &Path) -> Result<Verdicts, String> {
    let verdict = |name: String, verdict: Verdict| (name, verdict);
    if let Some(cases) = json["cases"].as_array() {
        let cases = cases.iter().map(|case| {
            let name = format!("{} {}", case["id"], case["name"].as_str().unwrap_or_default());
            verdict(name, (0..DRAWS).try_for_each(|draw| play(case, draw)))
        });
        return Ok(cases.collect());
    }
    if let Some(headers) = json["headers"].as_array() {
        let headers = headers.iter().map(|want| {
            let name =
                format!("{} {}", want["network"].as_str().unwrap_or("header"), want["number"]);
            verdict(name, check_header(want))
        });
        return Ok(headers.collect());
    }
    clique_chain::judge(json, path)
}

/// The accounts of one story by label; a label may also be an address.
struct Cast {
    draw: u64,
    keys: HashMap<Address, SignerKey>,
}

impl Cast {
    fn address(&mut self, label: &Value) -> Result<Address, String> {
        let label = label.as_str().ok_or_else(|| format!("{label} is no label"))?;
        if let Ok(address) = label.parse() {
            return Ok(address);
        }
        let key = SignerKey::new(keccak256(format!("judge {label} {}", self.draw)).0);
        let address = key.address().map_err(text)?;
        self.keys.insert(address, key);
        Ok(address)
    }

    fn set(&mut self, labels: &Value) -> Result<BTreeSet<Address>, String> {
        let labels = labels.as_array().ok_or_else(|| format!("{labels} is no list of labels"))?;
        labels.iter().map(|label| self.address(label)).collect()
    }

    fn seal(&self, mut header: Header, signer: Address) -> Result<SealedHeader, String> {
        let key = self.keys.get(&signer).ok_or_else(|| format!("no key of {signer}"))?;
        let signature = key.sign(seal::seal_hash(&header)).map_err(text)?;
        seal::attach_seal(&mut header, signature).map_err(text)?;
        Ok(SealedHeader::seal_slow(header))
    }
}

fn extra_data(signers: &BTreeSet<Address>) -> Bytes {
    let list = signers.iter().flat_map(|signer| signer.0.0).collect();
    [vec![0; VANITY_BYTES], list, vec![0; SEAL_BYTES]].concat().into()
}

fn play(case: &Value, draw: u64) -> Verdict {
    let mut cast = Cast { draw, keys: HashMap::new() };
    let epoch = small(&case["epoch"])?.filter(|&epoch| epoch > 0).unwrap_or(30_000);
    let config = CliqueConfig { period_secs: 1, epoch };
    let spec = ChainSpec {
        chain_id: 1337,
        forks: Forks { homestead: Some(0), ..Forks::default() },
        clique: Some(config),
        terminal_total_difficulty: None,
        has_msnet_section: false,
        finality: false,
        zero_base_fee: false,
    };
    let first = Header {
        difficulty: U256::ONE,
        gas_limit: 8_000_000,
        extra_data: extra_data(&cast.set(&case["signers"])?),
        ..Header::default()
    };
    let mut parent = SealedHeader::seal_slow(first);
    let mut snapshot = Snapshot::genesis(&parent, config).map_err(text)?;
    let expect = &case["expect"];
    let fails_at = small(&expect["at_block"])?;
    for (number, stated) in (1_u64..).zip(list(case, "blocks")?) {
        let at = |why: String| format!("draw {draw}, block {number}: {why}");
        let signer = cast.address(&stated["signer"])?;
        let header = story_header(&mut cast, &parent, &snapshot, signer, stated).map_err(at)?;
        let header = cast.seal(header, signer)?;
        let next = verify::verify_header(&spec, &header, &parent, &snapshot, NOW_MS)
            .and_then(|signer| Ok(snapshot.apply(&header, signer)?));
        match (next, fails_at == Some(number)) {
            (Ok(next), false) => (parent, snapshot) = (header, next),
            (Err(error), true) => return check_error(&error, expect).map_err(at),
            (Ok(_), true) => return Err(at(format!("passed, want {}", expect["error"]))),
            // a file may leave out where a story fails
            (Err(error), false) if fails_at.is_none() && expect["error"].is_string() => {
                return check_error(&error, expect).map_err(at);
            }
            (Err(error), false) => return Err(at(error.to_string())),
        }
        let trace = case["trace"].as_array().into_iter().flatten();
        for want in trace.filter(|want| want["block"].as_u64() == Some(number)) {
            check_trace(&mut cast, &snapshot, want).map_err(at)?;
        }
    }
    if expect["error"].is_string() {
        return Err(format!("draw {draw}: no block failed, want {}", expect["error"]));
    }
    same("signers", &snapshot.signers, &cast.set(&expect["signers"])?)
}

fn story_header(
    cast: &mut Cast,
    parent: &SealedHeader,
    snapshot: &Snapshot,
    signer: Address,
    stated: &Value,
) -> Result<Header, String> {
    let number = parent.number + 1;
    let vote = &stated["vote"];
    let (beneficiary, nonce) = if vote.is_null() {
        (Address::ZERO, NONCE_DROP)
    } else {
        let nonce = if vote["authorize"] == true { NONCE_ADD } else { NONCE_DROP };
        (cast.address(&vote["target"])?, nonce)
    };
    let listed = match &stated["checkpoint"] {
        Value::Null => BTreeSet::new(),
        labels => cast.set(labels)?,
    };
    Ok(Header {
        parent_hash: parent.hash(),
        number,
        timestamp: parent.timestamp + 1,
        gas_limit: parent.gas_limit,
        difficulty: U256::from(prepare::difficulty(snapshot, number, signer)),
        beneficiary,
        nonce,
        extra_data: extra_data(&listed),
        ..Header::default()
    })
}

/// The rule that broke, as the file names it: `RecentlySigned` is `recently_signed`.
fn check_error(error: &ChainError, expect: &Value) -> Verdict {
    let ChainError::Clique(rule) = error else { return Err(error.to_string()) };
    let mut name = String::new();
    for letter in format!("{rule:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    let want = string(expect, "error")?;
    // a signer that may not seal in its turn and one that may not seal at all are told apart
    if name == want || *rule == CliqueError::UnauthorizedSigner && want == "unauthorized" {
        return Ok(());
    }
    Err(format!("{error}, want {want}"))
}

fn check_trace(cast: &mut Cast, snapshot: &Snapshot, want: &Value) -> Verdict {
    if !want["signers"].is_null() {
        same("signers", &snapshot.signers, &cast.set(&want["signers"])?)?;
    }
    if let Some(stated) = want["recents"].as_object() {
        let mut recents = BTreeMap::new();
        for (number, label) in stated {
            recents.insert(number.parse::<u64>().map_err(text)?, cast.address(label)?);
        }
        same("recents", &snapshot.recents, &recents)?;
    }
    if let Some(stated) = want["tally"].as_object() {
        let mut tally = BTreeMap::new();
        for (label, stated) in stated {
            let votes =
                usize::try_from(small(&stated["votes"])?.unwrap_or_default()).map_err(text)?;
            let authorize = stated["authorize"] == true;
            tally.insert(cast.address(&Value::from(label.as_str()))?, Tally { authorize, votes });
        }
        same("tally", &snapshot.tally, &tally)?;
    }
    Ok(())
}

fn check_header(want: &Value) -> Verdict {
    let rlp = bytes(&want["header_rlp"])?.ok_or("header_rlp is missing")?;
    let header = Header::decode(&mut &rlp[..]).map_err(text)?;
    same("header RLP", &alloy_rlp::encode(&header), &rlp)?;
    same_if("hash", &header.hash_slow(), hash(&want["hash"])?)?;
    same_if("seal hash", &seal::seal_hash(&header), hash(&want["seal_hash"])?)?;
    same_if("parent hash", &header.parent_hash, hash(&want["parent_hash"])?)?;
    same_if("state root", &header.state_root, hash(&want["state_root"])?)?;
    same_if("number", &header.number, small(&want["number"])?)?;
    same_if("difficulty", &header.difficulty, number(&want["difficulty"])?)?;
    same_if("timestamp", &header.timestamp, small(&want["timestamp"])?)?;
    same_if("extra data", &header.extra_data.to_vec(), bytes(&want["extra_data"])?)?;
    let signer = seal::recover_signer(&header).map_err(text)?;
    same_if("signer", &signer, address(&want["signer"])?)?;
    let v = header.extra_data.last().map(|&v| u64::from(v));
    same_if("signature v", &v, small(&want["signature_v"])?.map(Some))?;
    if let Some(stated) = want["checkpoint_signers"].as_array() {
        let stated: Result<Vec<_>, String> = stated.iter().map(address).collect();
        let stated: Vec<Address> = stated?.into_iter().flatten().collect();
        same("listed signers", &listed_signers(&header.extra_data).map_err(text)?, &stated)?;
    }
    if let (Some(set), Some(in_turn)) =
        (want["signer_set_before"].as_array(), want["in_turn"].as_bool())
    {
        let set: Result<BTreeSet<_>, String> = set.iter().map(address).collect();
        let set: Vec<Address> = set?.into_iter().flatten().collect();
        let index =
            set.iter().position(|&member| member == signer).ok_or("signer not in its set")?;
        let turn = header.number % set.len() as u64;
        same("in turn", &(turn == index as u64), &in_turn)?;
    }
    if let Some(rlp) = bytes(&want["block_rlp"])? {
        let block = block::decode(&rlp).map_err(text)?;
        same("header of the block", &block.header.hash_slow(), &header.hash_slow())?;
        let root: B256 = block::transactions_root(&block.body.transactions);
        same("transactions root", &root, &header.transactions_root)?;
    }
    Ok(())
}
