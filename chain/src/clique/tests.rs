//! The voting stories of EIP-225, real headers of two networks, and a chain that geth sealed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Read as _,
};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_rlp::{Decodable as _, Encodable as _};
use secp256k1::SecretKey;
use serde_json::Value;

use super::{
    snapshot::Tally,
    testing::{address, key, sealed},
    *,
};
use crate::{
    block::{self, Block, SealedHeader},
    error::ChainError,
    fork_choice::HeadKey,
    genesis::{Genesis, GenesisAccount},
    spec::{ChainSpec, CliqueConfig, Forks},
    validate::validate_body,
};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/clique/");
/// After every header of the vectors, ms.
const NOW_MS: u64 = 4_000_000_000_000;

fn bytes(name: &str) -> Vec<u8> {
    let path = format!("{VECTORS}{name}");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

fn unzipped(name: &str) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&bytes(name)[..]).read_to_end(&mut plain).unwrap();
    plain
}

/// The accounts of one story: a key per label, drawn anew each time, so that their order changes.
struct Cast {
    draw: u64,
    keys: HashMap<Address, SecretKey>,
}

impl Cast {
    fn address(&mut self, label: &str) -> Address {
        if let Ok(address) = label.parse() {
            return address;
        }
        let key = key(label, self.draw);
        self.keys.insert(address(&key), key);
        address(&key)
    }

    fn set(&mut self, labels: &Value) -> BTreeSet<Address> {
        let labels = labels.as_array().unwrap();
        labels.iter().map(|label| self.address(label.as_str().unwrap())).collect()
    }
}

fn list_bytes(signers: &BTreeSet<Address>) -> Vec<u8> {
    signers.iter().flat_map(|signer| signer.0.0).collect()
}

fn extra_data(signers: &BTreeSet<Address>) -> Bytes {
    [vec![0; VANITY_BYTES], list_bytes(signers), vec![0; SEAL_BYTES]].concat().into()
}

fn story_spec(epoch: u64) -> ChainSpec {
    ChainSpec {
        chain_id: 1337,
        forks: Forks { homestead: Some(0), ..Forks::default() },
        clique: Some(CliqueConfig { period_secs: 1, epoch }),
        terminal_total_difficulty: None,
        has_msnet_section: false,
        finality: false,
        zero_base_fee: false,
    }
}

/// Plays a story; `whole` seals real headers and checks every rule of them, otherwise only the
/// snapshot is moved.
fn play(case: &Value, draw: u64, whole: bool) {
    let name = format!("{} (draw {draw}, whole headers: {whole})", case["name"]);
    let mut cast = Cast { draw, keys: HashMap::new() };
    let spec = story_spec(case["epoch"].as_u64().unwrap());
    let first = Header {
        difficulty: U256::ONE,
        gas_limit: 8_000_000,
        extra_data: extra_data(&cast.set(&case["signers"])),
        ..Header::default()
    };
    let mut parent = SealedHeader::seal_slow(first);
    let mut snapshot = Snapshot::genesis(&parent, spec.clique.unwrap()).unwrap();
    for (number, block) in (1..).zip(case["blocks"].as_array().unwrap()) {
        let signer = cast.address(block["signer"].as_str().unwrap());
        let header = story_header(&mut cast, &parent, &snapshot, signer, block);
        let (header, result) = if whole {
            let header = sealed(header, &cast.keys[&signer]);
            let result = verify::verify_header(&spec, &header, &parent, &snapshot, NOW_MS);
            (header, result)
        } else {
            (SealedHeader::seal_slow(header), Ok(signer))
        };
        let next = result.and_then(|signer| Ok(snapshot.apply(&header, signer)?));
        let is_last = case["expect"]["at_block"] == number;
        match (next, is_last) {
            (Ok(next), false) => (parent, snapshot) = (header, next),
            (Err(error), true) => return assert_error(&error, &case["expect"]["error"], &name),
            (Ok(_), true) => panic!("{name}: block {number} passed"),
            (Err(error), false) => panic!("{name}: block {number}: {error}"),
        }
        if let Some(want) = case["trace"].get(number as usize - 1) {
            assert_trace(&mut cast, &snapshot, want, &name);
        }
    }
    assert_eq!(snapshot.signers, cast.set(&case["expect"]["signers"]), "{name}");
}

fn story_header(
    cast: &mut Cast,
    parent: &SealedHeader,
    snapshot: &Snapshot,
    signer: Address,
    block: &Value,
) -> Header {
    let number = parent.number + 1;
    let (beneficiary, nonce) = match block["vote"].as_object() {
        None => (Address::ZERO, NONCE_DROP),
        Some(vote) => {
            let nonce = if vote["authorize"] == true { NONCE_ADD } else { NONCE_DROP };
            (cast.address(vote["target"].as_str().unwrap()), nonce)
        }
    };
    let list = match &block["checkpoint"] {
        Value::Null => BTreeSet::new(),
        labels => cast.set(labels),
    };
    Header {
        parent_hash: parent.hash(),
        number,
        timestamp: parent.timestamp + 1,
        gas_limit: parent.gas_limit,
        difficulty: U256::from(prepare::difficulty(snapshot, number, signer)),
        beneficiary,
        nonce,
        extra_data: extra_data(&list),
        ..Header::default()
    }
}

fn assert_error(error: &ChainError, want: &Value, name: &str) {
    let want = match want.as_str().unwrap() {
        "unauthorized_signer" => CliqueError::UnauthorizedSigner,
        "recently_signed" => CliqueError::RecentlySigned,
        other => panic!("{name}: unknown error {other}"),
    };
    assert!(matches!(error, ChainError::Clique(got) if *got == want), "{name}: {error}");
}

fn assert_trace(cast: &mut Cast, snapshot: &Snapshot, want: &Value, name: &str) {
    assert_eq!(snapshot.number, want["block"].as_u64().unwrap(), "{name}");
    assert_eq!(snapshot.signers, cast.set(&want["signers"]), "{name}");
    let recents: BTreeMap<u64, Address> = entries(&want["recents"])
        .map(|(number, label)| (number.parse().unwrap(), cast.address(label.as_str().unwrap())))
        .collect();
    assert_eq!(snapshot.recents, recents, "{name} at block {}", snapshot.number);
    let tally: BTreeMap<Address, Tally> = entries(&want["tally"])
        .map(|(label, tally)| {
            let votes = usize::try_from(tally["votes"].as_u64().unwrap()).unwrap();
            (cast.address(label), Tally { authorize: tally["authorize"] == true, votes })
        })
        .collect();
    assert_eq!(snapshot.tally, tally, "{name} at block {}", snapshot.number);
    assert_eq!(
        snapshot.votes.len(),
        tally.values().map(|tally| tally.votes).sum::<usize>(),
        "{name}"
    );
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().unwrap().iter()
}

#[test]
fn all_voting_stories_end_as_told() {
    let mut count = 0;
    for file in ["snapshot_cases.json", "extra_cases.json"] {
        for case in json(file)["cases"].as_array().unwrap() {
            for draw in 0..4 {
                play(case, draw, false);
                play(case, draw, true);
            }
            count += 1;
        }
    }
    assert_eq!(count, 24 + 12);
}

#[test]
fn real_headers_have_their_published_signers() {
    let file = json("real_headers.json");
    let headers = file["headers"].as_array().unwrap();
    for want in headers {
        let name = format!("{} {}", want["network"], want["number"]);
        let rlp = hex::decode(want["header_rlp"].as_str().unwrap()).unwrap();
        let header = Header::decode(&mut &rlp[..]).unwrap();
        assert_eq!(alloy_rlp::encode(&header), rlp, "{name}");
        assert_eq!(header.hash_slow().to_string(), want["hash"], "{name}");
        assert_eq!(seal::seal_hash(&header).to_string(), want["seal_hash"], "{name}");
        let signer = seal::recover_signer(&header).unwrap();
        assert_eq!(format!("{signer:#x}"), want["signer"], "{name}");
        if let Some(list) = want["checkpoint_signers"].as_array() {
            let listed = snapshot::listed_signers(&header.extra_data).unwrap();
            let listed: Vec<_> = listed.iter().map(|signer| format!("{signer:#x}")).collect();
            assert_eq!(listed, list.iter().map(|s| s.as_str().unwrap()).collect::<Vec<_>>());
        }
        verify::verify_standalone(&story_spec(30_000), &header, NOW_MS).unwrap();
    }
    assert_eq!(headers.len(), 18);
}

#[test]
fn the_first_blocks_of_rinkeby_and_goerli_follow_their_genesis() {
    let file = json("real_headers.json");
    for (network, last) in [("rinkeby", 5), ("goerli", 7)] {
        let genesis = Genesis::from_json(&bytes(&format!("genesis/{network}.json"))).unwrap();
        let runnable = genesis.validate_runnable();
        // Rinkeby ran EIP-1283 for a while, which is not implemented
        assert_eq!(runnable.is_ok(), network == "goerli");
        let mut parent = genesis.sealed_header();
        let mut snapshot = Snapshot::genesis(&parent, genesis.spec.clique.unwrap()).unwrap();
        let is_wanted =
            |want: &&Value| want["network"] == network && want["number"].as_u64().unwrap() <= last;
        for want in file["headers"].as_array().unwrap().iter().filter(is_wanted) {
            let rlp = hex::decode(want["header_rlp"].as_str().unwrap()).unwrap();
            let header = SealedHeader::seal_slow(Header::decode(&mut &rlp[..]).unwrap());
            let signer =
                verify::verify_header(&genesis.spec, &header, &parent, &snapshot, NOW_MS).unwrap();
            let is_in_turn = snapshot.is_in_turn(header.number, signer);
            assert_eq!(is_in_turn, want["in_turn"].as_bool().unwrap());
            snapshot = snapshot.apply(&header, signer).unwrap();
            parent = header;
        }
        assert_eq!(snapshot.number, last, "{network}");
    }
}

/// geth's own test: every field zero, even the uncle hash.
#[test]
fn seal_hash_of_the_empty_header() {
    let header = Header {
        ommers_hash: B256::ZERO,
        transactions_root: B256::ZERO,
        receipts_root: B256::ZERO,
        state_root: B256::ZERO,
        extra_data: vec![0; 97].into(),
        base_fee_per_gas: Some(0),
        ..Header::default()
    };
    assert_eq!(
        seal::seal_hash(&header).to_string(),
        "0xbd3d1fa43fbc4c5bfcc91b179ec92e2861df3654de60468beb908ff805359e8f"
    );
}

/// Blocks with their standing, as a node that knows them would hold it.
struct Tree {
    spec: ChainSpec,
    nodes: HashMap<B256, (SealedHeader, Snapshot, U256, Address)>,
}

impl Tree {
    fn new(genesis: &Genesis) -> Self {
        let header = genesis.sealed_header();
        let snapshot = Snapshot::genesis(&header, genesis.spec.clique.unwrap()).unwrap();
        let difficulty = header.difficulty;
        let nodes = HashMap::from([(header.hash(), (header, snapshot, difficulty, Address::ZERO))]);
        Self { spec: genesis.spec.clone(), nodes }
    }

    fn import(&mut self, block: &Block) -> (B256, Address) {
        let (parent, snapshot, total, _) = &self.nodes[&block.header.parent_hash];
        let header = SealedHeader::seal_slow(block.header.clone());
        let signer = verify::verify_header(&self.spec, &header, parent, snapshot, NOW_MS).unwrap();
        validate_body(&self.spec, &block.header, &block.body).unwrap();
        let after = snapshot.apply(&header, signer).unwrap();
        let (hash, total) = (header.hash(), *total + header.difficulty);
        self.nodes.insert(hash, (header, after, total, signer));
        (hash, signer)
    }

    fn key(&self, hash: B256) -> HeadKey {
        let (header, after, total, signer) = &self.nodes[&hash];
        HeadKey::new(*total, header, *signer, after)
    }

    fn assert_snapshot(&self, want: &Value) {
        let hash: B256 = want["hash"].as_str().unwrap().parse().unwrap();
        let (_, snapshot, _, _) = &self.nodes[&hash];
        let signers: BTreeSet<Address> =
            entries(&want["signers"]).map(|(signer, _)| signer.parse().unwrap()).collect();
        assert_eq!(snapshot.signers, signers);
        let recents: BTreeMap<u64, Address> = entries(&want["recents"])
            .map(|(n, signer)| (n.parse().unwrap(), signer.as_str().unwrap().parse().unwrap()))
            .collect();
        assert_eq!(snapshot.recents, recents);
        let votes = want["votes"].as_array().map_or(0, Vec::len);
        assert_eq!(snapshot.votes.len(), votes);
        for (address, tally) in entries(&want["tally"]) {
            let have = snapshot.tally[&address.parse::<Address>().unwrap()];
            assert_eq!(have.votes as u64, tally["votes"].as_u64().unwrap());
            assert_eq!(have.authorize, tally["authorize"] == true);
        }
        assert_eq!(snapshot.tally.len(), entries(&want["tally"]).count());
    }
}

fn decode_all(mut rlp: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    while !rlp.is_empty() {
        blocks.push(Block::decode(&mut rlp).unwrap());
    }
    blocks
}

#[test]
fn a_chain_sealed_by_geth_verifies_with_votes_epochs_and_forks() {
    let genesis = Genesis::from_json(&bytes("geth-chain/genesis.json")).unwrap();
    let (facts, forks) = (json("geth-chain/facts.json"), json("geth-chain/forks.json"));
    assert_eq!(genesis.hash().to_string(), facts["genesis"]["hash"]);
    assert!(genesis.alloc.values().any(|account| *account == GenesisAccount::default()));
    let mut tree = Tree::new(&genesis);
    let main = decode_all(&unzipped("geth-chain/chain.rlp.gz"));
    for (block, want) in main.iter().zip(&facts["blocks"].as_array().unwrap()[1..]) {
        let (hash, signer) = tree.import(block);
        assert_eq!(hash.to_string(), want["hash"]);
        assert_eq!(format!("{signer:#x}"), want["signer"]);
        assert_eq!(tree.nodes[&hash].2, U256::from(want["totalDifficulty"].as_u64().unwrap()));
        let mut rlp = Vec::new();
        block.encode(&mut rlp);
        assert_eq!(rlp.len() as u64, want["size"].as_u64().unwrap());
        block::recover(block.clone()).unwrap();
    }
    assert_eq!(main.len(), 184);
    for want in facts["snapshots"].as_array().unwrap() {
        tree.assert_snapshot(want);
    }

    let side = unzipped("geth-chain/forks.rlp.gz");
    for run in forks["runs"].as_array().unwrap() {
        let at = |field: &str| usize::try_from(run[field].as_u64().unwrap()).unwrap();
        for block in decode_all(&side[at("offset")..at("offset") + at("bytes")]) {
            tree.import(&block);
        }
        tree.assert_snapshot(&run["snapshot"]);
    }
    heads_are_geths_where_geth_has_no_coin(&tree, &main, &forks);
}

/// Plays the import orders of the file: after each step our best block is geth's head.
fn heads_are_geths_where_geth_has_no_coin(tree: &Tree, main: &[Block], forks: &Value) {
    let mut compared = 0;
    for order in forks["orders"].as_array().unwrap() {
        let mut known = BTreeSet::new();
        for step in order["steps"].as_array().unwrap() {
            if let Some(range) = step["main"].as_array() {
                let at = |i: usize| usize::try_from(range[i].as_u64().unwrap()).unwrap();
                let blocks = &main[at(0) - 1..at(1)];
                known.extend(blocks.iter().map(|block| tree.key(block.header.hash_slow())));
            } else {
                let run = usize::try_from(step["run"].as_u64().unwrap()).unwrap();
                let blocks = forks["runs"][run]["blocks"].as_array().unwrap();
                let hash = |block: &Value| block["hash"].as_str().unwrap().parse().unwrap();
                known.extend(blocks.iter().map(|block| tree.key(hash(block))));
            }
            let best: &HeadKey = known.last().unwrap();
            let want = &step["head"];
            let total = U256::from(want["totalDifficulty"].as_u64().unwrap());
            assert_eq!(best.total_difficulty, total);
            assert_eq!(best.number.0, want["number"].as_u64().unwrap());
            if order["coin"].is_null() {
                assert_eq!(best.hash.0.to_string(), want["hash"]);
                compared += 1;
            }
        }
    }
    assert!(compared > 10, "{compared}");
}

#[test]
fn the_chain_sealed_by_besu_verifies() {
    let file = json("besu_london_chain.json");
    let genesis = Genesis::from_json(file["genesis"].to_string().as_bytes()).unwrap();
    let mut tree = Tree::new(&genesis);
    let blocks = file["blocks"].as_array().unwrap();
    assert_eq!(genesis.hash().to_string(), blocks[0]["hash"]);
    for want in &blocks[1..] {
        let rlp = hex::decode(want["block_rlp"].as_str().unwrap()).unwrap();
        let block = block::decode(&rlp).unwrap();
        let (hash, signer) = tree.import(&block);
        assert_eq!(hash.to_string(), want["hash"]);
        assert_eq!(format!("{signer:#x}"), want["signer"]);
        assert_eq!(tree.nodes[&hash].2, U256::from(want["total_difficulty"].as_u64().unwrap()));
        let recovered = block::recover(block).unwrap();
        let transactions = want["transactions"].as_array().unwrap();
        assert_eq!(recovered.senders().len(), transactions.len());
    }
    assert_eq!(blocks.len(), 5);
}
