//! The chain that geth sealed, with the branches it left, in any order of arrival.

use proptest::prelude::*;
use serde_json::Value;

use super::{
    recorded::{VECTORS, blocks, hash, json, unzip},
    *,
};
use crate::store::schema::encode_block;

/// The main chain, and the runs of blocks beside it.
struct Recorded {
    genesis: Genesis,
    main: Vec<RecoveredBlock>,
    runs: Vec<Vec<RecoveredBlock>>,
    json: Value,
}

impl Recorded {
    fn load() -> Self {
        let genesis = std::fs::read(format!("{VECTORS}geth-chain/genesis.json")).unwrap();
        let (forks, json) = (unzip("geth-chain/forks.rlp.gz"), json("geth-chain/forks.json"));
        let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let runs = json["runs"].as_array().unwrap().iter().map(|run| {
            let start = number(&run["offset"]);
            blocks(&forks[start..start + number(&run["bytes"])])
        });
        Self {
            genesis: Genesis::from_json(&genesis).unwrap(),
            main: blocks(&unzip("geth-chain/chain.rlp.gz")),
            runs: runs.collect(),
            json,
        }
    }

    fn open(&self, storage: Storage) -> Blockchain {
        Blockchain::open(&self.genesis, storage).unwrap()
    }

    fn all(&self) -> Vec<&RecoveredBlock> {
        self.main.iter().chain(self.runs.iter().flatten()).collect()
    }
}

/// A chain that is offered blocks in any order, and the best of them by the total order alone.
struct Arrivals<'a> {
    chain: Blockchain,
    waiting: Vec<&'a RecoveredBlock>,
    best: Option<(HeadKey, B256)>,
    reorganisations: usize,
}

impl<'a> Arrivals<'a> {
    fn new(chain: Blockchain) -> Self {
        Self { chain, waiting: Vec::new(), best: None, reorganisations: 0 }
    }

    /// Imports a block, and those that waited for it; or lets it wait for its parent.
    fn arrive(&mut self, block: &'a RecoveredBlock) {
        let mut next = vec![block];
        while let Some(block) = next.pop() {
            match self.chain.import(block.clone(), NOW_MS) {
                Ok(Imported::Head(change)) => {
                    self.reorganisations += usize::from(!change.removed.is_empty());
                }
                Ok(Imported::Known | Imported::Side) => {}
                Err(ChainError::Clique(CliqueError::UnknownAncestor)) => {
                    self.waiting.push(block);
                    continue;
                }
                Err(error) => panic!("block {}: {error}", block.header().number),
            }
            let known = self.chain.reader().known_block(block.hash()).unwrap().unwrap();
            let (total, signer) = (known.total_difficulty(), known.signer());
            let key = self.chain.key_of(block.sealed_header(), total, signer).unwrap();
            self.best = self.best.max(Some((key, block.hash())));
            let is_child = |child: &mut &RecoveredBlock| child.header().parent_hash == block.hash();
            next.extend(self.waiting.extract_if(.., is_child));
        }
        if let Some((_, best)) = self.best {
            assert_eq!(self.chain.reader().head().hash(), best);
        }
    }
}

/// Every branch is offered as soon as its parent is there, so that the head leaves the main chain and comes back.
#[test]
fn geths_chain_with_all_its_branches_ends_at_geths_head() {
    let recorded = Recorded::load();
    let folder = tempfile::tempdir().unwrap();
    for storage in storages(folder.path()) {
        let mut arrivals = Arrivals::new(recorded.open(storage.clone()));
        arrivals.waiting = recorded.runs.iter().flatten().collect();
        for block in &recorded.main {
            arrivals.arrive(block);
        }
        let Arrivals { chain, waiting, reorganisations, .. } = arrivals;
        assert!(waiting.is_empty());
        assert!(reorganisations >= 4, "{reorganisations}");
        let head = recorded.main.last().unwrap().hash();
        assert_eq!(chain.reader().head().hash(), head);
        check_against_facts(&chain.reader());
        let rlp: Vec<u8> = (1..=184)
            .flat_map(|number| {
                encode_block(&chain.reader().block_by_number(number).unwrap().unwrap().block)
            })
            .collect();
        assert_eq!(rlp, unzip("geth-chain/chain.rlp.gz"), "an export is geth's, byte for byte");
        drop(chain);
        if !matches!(storage, Storage::Memory) {
            let chain = recorded.open(storage);
            assert_eq!(chain.reader().head().hash(), head);
            check_against_facts(&chain.reader());
            check_snapshots(&chain.reader(), &recorded.json);
        }
    }
}

/// geth's own heads after each step of each order it was tried with. Where it tosses a coin, ours is the same block
/// whatever came first.
#[test]
fn heads_move_as_geths_did_in_every_recorded_order() {
    let recorded = Recorded::load();
    let (mut steps, mut coins) = (0, 0);
    for order in recorded.json["orders"].as_array().unwrap() {
        let mut arrivals = Arrivals::new(recorded.open(Storage::Memory));
        for step in order["steps"].as_array().unwrap() {
            let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
            let blocks = match (step.get("main"), step.get("run")) {
                (Some(main), _) => &recorded.main[number(&main[0]) - 1..number(&main[1])],
                (None, run) => &recorded.runs[number(run.unwrap())],
            };
            blocks.iter().for_each(|block| arrivals.arrive(block));
            let (head, want) = (arrivals.chain.reader().head(), &step["head"]);
            assert_eq!(
                head.total_difficulty,
                U256::from(want["totalDifficulty"].as_u64().unwrap())
            );
            assert_eq!(head.number(), want["number"].as_u64().unwrap());
            let is_coin = order.get("coin").is_some();
            assert!(is_coin || head.hash() == hash(&want["hash"]), "{order}");
            steps += 1;
            coins += usize::from(is_coin);
        }
    }
    assert!(steps > 200 && coins > 3, "{steps} steps, {coins} coins");
    let mut chain = recorded.open(Storage::Memory);
    for block in &recorded.main {
        chain.import(block.clone(), NOW_MS).unwrap();
    }
    for step in recorded.json["all_after_main"].as_array().unwrap() {
        for block in &recorded.runs[usize::try_from(step["run"].as_u64().unwrap()).unwrap()] {
            chain.import(block.clone(), NOW_MS).unwrap();
        }
        assert_eq!(chain.reader().head().hash(), hash(&step["head"]["hash"]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// All blocks in any order, children before parents too: the head is always the best of those that could be imported,
    /// and the end is geth's.
    #[test]
    fn any_order_of_arrival_ends_at_geths_head(keys in prop::collection::vec(any::<u32>(), 222)) {
        let recorded = Recorded::load();
        let all = recorded.all();
        prop_assert_eq!(all.len(), keys.len());
        let mut order: Vec<_> = keys.into_iter().zip(all.iter().copied()).collect();
        order.sort_by_key(|&(key, _)| key);
        let mut arrivals = Arrivals::new(recorded.open(Storage::Memory));
        order.into_iter().for_each(|(_, block)| arrivals.arrive(block));
        let Arrivals { chain, waiting, .. } = arrivals;
        prop_assert!(waiting.is_empty());
        prop_assert_eq!(chain.reader().head().hash(), recorded.main.last().unwrap().hash());
        check_against_facts(&chain.reader());
    }
}

/// The snapshots at the tips of the branches, whose signers the main chain never had.
fn check_snapshots(reader: &ChainReader, forks: &Value) {
    for run in forks["runs"].as_array().unwrap() {
        let tip = hash(&run["blocks"].as_array().unwrap().last().unwrap()["hash"]);
        let snapshot = reader.snapshot(tip).unwrap();
        let want = run["snapshot"]["signers"].as_object().unwrap();
        let have: Vec<_> =
            snapshot.signers.iter().map(|signer| signer.to_string().to_lowercase()).collect();
        let mut want: Vec<_> = want.keys().map(|signer| signer.to_lowercase()).collect();
        want.sort();
        assert_eq!(have, want, "signers after {tip}");
    }
}

fn check_against_facts(reader: &ChainReader) {
    for fact in json("geth-chain/facts.json")["blocks"].as_array().unwrap().iter().skip(1) {
        let block = reader.block_by_hash(hash(&fact["hash"])).unwrap().unwrap();
        let number = block.number();
        assert_eq!(reader.canonical_hash(number).unwrap(), Some(block.hash()));
        assert_eq!(
            block.signer.to_string().to_lowercase(),
            fact["signer"].as_str().unwrap().to_lowercase()
        );
        assert_eq!(block.total_difficulty, U256::from(fact["totalDifficulty"].as_u64().unwrap()));
        let mut gas_used = 0;
        for (index, tx) in fact["txs"].as_array().unwrap().iter().enumerate() {
            let (found, at) = reader.transaction(hash(&tx["hash"])).unwrap().unwrap();
            assert_eq!((found.number(), at), (number, index));
            gas_used += tx["gasUsed"].as_u64().unwrap();
            let receipt = &block.receipts[index];
            let have = (receipt.success, receipt.cumulative_gas_used, receipt.logs.len() as u64);
            let want = (tx["status"] == 1, gas_used, tx["logs"].as_u64().unwrap());
            assert_eq!(have, want, "block {number}, transaction {index}: {}", tx["note"]);
        }
    }
}
