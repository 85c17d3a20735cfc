//! Power cuts, failing calls, a full disk and rot, at every place of a life with imports, own seals, flushes and
//! reorganisations. What was acknowledged is there afterwards; what is there is right.
//!
//! `MSNET_CUTS=all` takes every power cut and every failing call instead of a spread of them.

use std::{collections::HashMap, path::PathBuf};

use super::*;
use crate::disk::{Disk as _, Fault, SimDisk};

const FOLDER: &str = "/msnet";
/// Power cuts that a usual run takes.
const CUTS: usize = 320;
/// Failing calls of each kind that a usual run takes.
const FAILURES: u64 = 120;
/// Flipped bits that a usual run takes.
const FLIPS: usize = 150;

/// What happens next to a chain.
#[derive(Debug, Clone)]
enum Step {
    /// A block of somebody else arrives.
    Import(Box<RecoveredBlock>),
    /// The chain seals a block of its own, and it is this one.
    Seal(u64, B256),
}

/// Storage of the test contract and the user's balance after a block.
type Facts = (BTreeMap<U256, U256>, U256);

/// A life of a chain: its steps, the head after each, and what every block's state holds.
struct Story {
    net: Net,
    steps: Vec<Step>,
    /// Head before the first step, then after each.
    heads: Vec<B256>,
    facts: HashMap<B256, Facts>,
}

impl Story {
    /// `trunk` blocks, of which `own` are sealed by the chain itself; a branch at each of `branches` (from block, up to
    /// block) takes over for a while.
    fn new(trunk: u64, own: std::ops::Range<u64>, branches: &[(u64, u64)]) -> Self {
        let net = Net::new(2, London);
        let mut facts = HashMap::new();
        let mut main = net.open(Storage::Memory);
        note(&mut facts, &main);
        let mut blocks = Vec::new();
        for turn in 0..trunk {
            blocks.push(net.seal_empty_or_not(&mut main, turn, 1));
            note(&mut facts, &main);
        }
        let mut steps = Vec::new();
        let mut next_branch = branches.iter().peekable();
        for (turn, block) in (0..trunk).zip(&blocks) {
            let is_own = own.contains(&turn);
            let import = Step::Import(Box::new(block.clone()));
            steps.push(if is_own { Step::Seal(turn, block.hash()) } else { import });
            // The branch arrives when the trunk is two blocks short of its end, and so wins.
            if let Some((from, to)) = next_branch.next_if(|(_, to)| turn + 3 == *to) {
                let mut side = net.open(Storage::Memory);
                for block in blocks.iter().zip(0..*from).map(|(block, _)| block) {
                    side.import(block.clone(), NOW_MS).unwrap();
                }
                for turn in *from..*to {
                    steps.push(Step::Import(Box::new(net.seal_empty_or_not(&mut side, turn, 2))));
                    note(&mut facts, &side);
                }
            }
        }
        assert!(next_branch.peek().is_none(), "every branch has its place");
        let mut story = Self { net, steps, heads: Vec::new(), facts };
        let mut twin = story.net.open(Storage::Memory);
        story.heads.push(twin.reader().head().hash());
        let mut left = 0;
        for step in story.steps.clone() {
            left += usize::from(!story.take(&mut twin, &step).unwrap().is_empty());
            story.heads.push(twin.reader().head().hash());
        }
        assert_eq!(left, 2 * branches.len(), "each branch wins and loses");
        story
    }

    /// Some 240 blocks: imports and own seals over several flushes, a reorganisation above the flushed block and one below.
    fn long() -> Self {
        Self::new(190, 60..85, &[(96, 104), (110, 152)])
    }

    /// One flush, own seals, one reorganisation.
    fn short() -> Self {
        Self::new(56, 40..46, &[(46, 51)])
    }

    fn open(&self, disk: &SimDisk) -> Result<Blockchain, ChainError> {
        let storage = Storage::Disk(Arc::new(disk.clone()), PathBuf::from(FOLDER));
        Blockchain::open(&self.net.genesis, storage)
    }

    /// Does one step. Returns the blocks that left the chain.
    fn take(&self, chain: &mut Blockchain, step: &Step) -> Result<Vec<B256>, ChainError> {
        let change = match step {
            Step::Import(block) => match chain.import((**block).clone(), NOW_MS)? {
                Imported::Head(change) => change,
                Imported::Known | Imported::Side => return Ok(Vec::new()),
            },
            Step::Seal(turn, hash) => {
                let transactions = self.net.transactions(chain, *turn, 1);
                let change = self.net.try_seal(chain, &transactions)?;
                assert_eq!(change.added.last().unwrap().hash(), *hash, "sealing is deterministic");
                change
            }
        };
        Ok(change.removed.iter().map(|block| block.hash()).collect())
    }

    /// Signer, number and parent of the own seals among the first `count` steps.
    fn seals(&self, count: usize) -> impl Iterator<Item = B256> {
        self.steps[..count].iter().filter_map(|step| match step {
            Step::Seal(_, hash) => Some(*hash),
            Step::Import(_) => None,
        })
    }

    /// After a crash with `done` steps acknowledged and perhaps the next one on disk: the chain stands where it was, its
    /// states are right, nothing of its own is sealed twice, and it goes on and keeps that.
    fn check(&self, disk: &SimDisk, done: usize, place: &str) {
        let mut chain = self.open(disk).unwrap_or_else(|error| panic!("{place}: {error}"));
        let head = chain.reader().head().hash();
        let next = self.heads.get(done + 1).copied();
        assert!(
            head == self.heads[done] || Some(head) == next,
            "{place}: head {} after {done} steps",
            chain.reader().head().number()
        );
        for step in &self.steps[..done] {
            if let Step::Import(block) = step {
                assert!(chain.is_known(block.hash()).unwrap(), "{place}: {} is lost", block.hash());
            }
        }
        self.check_state(&chain, place);
        for hash in self.seals((done + 1).min(self.steps.len())) {
            let sealed = chain.is_known(hash).unwrap().then(|| chain.view().block_by_hash(hash));
            let Some(block) = sealed.and_then(|found| found.unwrap()) else { continue };
            let (number, parent) = (block.number(), block.block.header().parent_hash);
            assert!(
                chain.has_sealed_on(block.signer, number, parent).unwrap(),
                "{place}: sealed twice"
            );
        }
        // A side block is there or not, the head does not tell.
        let is_there = |step: &Step| match step {
            Step::Import(block) => chain.is_known(block.hash()).unwrap(),
            Step::Seal(_, hash) => chain.is_known(*hash).unwrap(),
        };
        let from = done + usize::from(self.steps.get(done).is_some_and(is_there));
        let to = (from + 2).min(self.steps.len());
        for index in from..to {
            self.take(&mut chain, &self.steps[index])
                .unwrap_or_else(|error| panic!("{place}, going on with step {index}: {error}"));
            assert_eq!(chain.reader().head().hash(), self.heads[index + 1], "{place}");
        }
        drop(chain);
        let chain = self.open(&disk.cut(done as u64)).unwrap();
        assert_eq!(chain.reader().head().hash(), self.heads[to.max(from)], "{place}, once more");
    }

    /// The head's root, computed anew; states of three blocks of the past.
    fn check_state(&self, chain: &Blockchain, place: &str) {
        let reader = chain.reader();
        let head = reader.head();
        let root = head.block.header().state_root;
        StateTrie::rebuild(&reader.head_state(), root)
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        for number in [head.number(), head.number() / 2, chain.store.flushed().number] {
            let hash = reader.canonical_hash(number).unwrap().unwrap();
            assert_eq!(facts_of(&reader, hash).unwrap(), self.facts[&hash], "{place}: {number}");
        }
    }
}

impl Net {
    fn transactions(&self, chain: &Blockchain, turn: u64, value: u64) -> Vec<Transaction> {
        let user = Wallet::new(0);
        let set =
            |nonce| user.set(nonce, turn % 8, if turn % 5 == 4 { 0 } else { value * 1_000 + turn });
        if turn % 3 == 2 { Vec::new() } else { vec![set(user.nonce(chain))] }
    }
}

fn facts_of(reader: &ChainReader, hash: B256) -> Result<Facts, ChainError> {
    let state = reader.state(hash)?;
    let user = testing::address(&testing::key("user", 0));
    let balance = state.account(user)?.map(|account| account.balance).unwrap_or_default();
    Ok((state.slots_of(STORE)?, balance))
}

fn note(facts: &mut HashMap<B256, Facts>, chain: &Blockchain) {
    let hash = chain.reader().head().hash();
    facts.insert(hash, facts_of(&chain.reader(), hash).unwrap());
}

fn is_all() -> bool {
    std::env::var("MSNET_CUTS").is_ok_and(|value| value == "all")
}

/// `count` numbers below `total`, evenly spread; all of them if asked for.
fn spread(total: usize, count: usize) -> Vec<usize> {
    let count = if is_all() { total } else { count.min(total) };
    (0..count).map(|index| index * total / count).collect()
}

/// C2 of design/security.md.
#[test]
fn the_power_goes_anywhere_and_nothing_acknowledged_is_lost() {
    let story = Story::long();
    let disk = SimDisk::new(1);
    disk.record();
    let mut chain = story.open(&disk).unwrap();
    let mut acknowledged = vec![disk.recorded()];
    for step in &story.steps {
        story.take(&mut chain, step).unwrap();
        acknowledged.push(disk.recorded());
    }
    assert!(chain.store.flushed().number > 100);
    chain.close().unwrap();
    let total = disk.recorded();
    let mut cuts = disk.cuts();
    let places = spread(total + 1, CUTS);
    let rounds = if is_all() { 5 } else { 1 };
    for &place in &places {
        for round in 0..rounds {
            let seed = (place * rounds + round) as u64;
            let after = cuts.at(place, seed);
            match acknowledged.iter().rposition(|&mark| mark <= place) {
                Some(done) => story.check(&after, done, &format!("cut {place}, seed {seed}")),
                // Before the first opening was over: the next one starts at genesis, or goes on where it was.
                None => story.check(&after, 0, &format!("cut {place}, seed {seed}")),
            }
        }
    }
    eprintln!(
        "{} power cuts over {total} changes, {} steps",
        places.len() * rounds,
        story.steps.len()
    );
}

/// C3 of design/security.md.
#[test]
fn any_call_may_fail_and_nothing_acknowledged_is_lost() {
    let story = Story::short();
    let calls = {
        let disk = SimDisk::new(1);
        let mut chain = story.open(&disk).unwrap();
        story.steps.iter().for_each(|step| drop(story.take(&mut chain, step).unwrap()));
        drop(chain);
        disk.calls()
    };
    let mut resumed = 0;
    let mut places = 0;
    for (fault, shift) in [(Fault::Io, 0), (Fault::NoSpace, 1)] {
        let step = if is_all() { 1 } else { (calls / FAILURES).max(1) };
        let mut n = 1 + shift.min(step - 1);
        while n <= calls {
            resumed += usize::from(check_failure(&story, n, fault));
            places += 1;
            n += step;
        }
    }
    assert!(resumed > 0, "some failures were only a full disk");
    eprintln!("{places} failing calls of {calls}, {resumed} gone on without a restart");
}

/// One run whose `n`-th call fails. True if the chain went on by itself once there was space again.
fn check_failure(story: &Story, n: u64, fault: Fault) -> bool {
    let place = format!("call {n} fails with {fault:?}");
    let disk = SimDisk::new(n);
    disk.fail_call(n, fault);
    let mut done = 0;
    let mut has_resumed = false;
    if let Ok(mut chain) = story.open(&disk) {
        while done < story.steps.len() {
            match story.take(&mut chain, &story.steps[done]) {
                Ok(_) => {}
                Err(error) => {
                    assert!(!error.is_bad_block(), "{place}: {error}");
                    let head = chain.reader().head().hash();
                    assert_eq!(head, story.heads[done], "{place}: a failed step moved the head");
                    if let Err(error) = story.take(&mut chain, &story.steps[done]) {
                        assert!(!error.is_bad_block(), "{place}, again: {error}");
                        break;
                    }
                    has_resumed = true;
                }
            }
            done += 1;
            assert_eq!(chain.reader().head().hash(), story.heads[done], "{place}");
        }
        if has_resumed {
            story.check_state(&chain, &place);
        }
    }
    // Nothing fails from here on, should the call not have come.
    let call = disk.failed_call().unwrap_or_default();
    let place = format!("{place} ({call}) in step {done}");
    disk.fail_call(u64::MAX, fault);
    let after_cut = disk.cut(n);
    story.check(&disk, done, &format!("{place}, restarted"));
    story.check(&after_cut, done, &format!("{place}, power cut"));
    has_resumed
}

/// A disk that has little room left, then none, then a lot: the same chain goes on, and what it wrote is there.
#[test]
fn a_full_disk_stops_the_chain_and_room_lets_it_go_on() {
    let story = Story::short();
    let disk = SimDisk::new(1);
    let mut chain = story.open(&disk).unwrap();
    let mut refused = 0;
    for (index, step) in story.steps.iter().enumerate() {
        disk.set_capacity(disk.used() + index as u64 * 97 % 700);
        for room in [2_000, 200_000, 4_000_000, 1 << 40] {
            match story.take(&mut chain, step) {
                Ok(_) => break,
                Err(error) => {
                    assert!(error.is_disk_full(), "step {index}: {error}");
                    assert_eq!(chain.reader().head().hash(), story.heads[index]);
                    story.check_state(&chain, "while the disk is full");
                    refused += 1;
                    disk.set_capacity(disk.used() + room);
                }
            }
        }
        assert_eq!(chain.reader().head().hash(), story.heads[index + 1], "step {index}");
    }
    assert!(refused > story.steps.len() / 2, "{refused}");
    drop(chain);
    disk.set_capacity(u64::MAX);
    story.check(&disk.cut(5), story.steps.len(), "after a full disk");
}

/// C5 of design/security.md: one flipped bit in each kind of file.
///
/// In `FORMAT`, logs and journal every flip is noticed: opening refuses and names the file, or a read does, or the flip
/// is in the last append, which a torn one cannot be told from: the chain then stands one block lower, as after a power
/// cut. A flip in `state.redb` is noticed when it opens, or it lies in a page that nothing refers to; what is served is
/// right in any case.
#[test]
fn a_flipped_bit_is_noticed_and_never_served() {
    let story = Story::short();
    let disk = SimDisk::new(1);
    let mut chain = story.open(&disk).unwrap();
    story.steps.iter().for_each(|step| drop(story.take(&mut chain, step).unwrap()));
    chain.close().unwrap();
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let files = disk.files().into_iter().filter(|(path, _)| !path.ends_with("LOCK"));
    for (path, length) in files {
        let name = path.strip_prefix(FOLDER).unwrap().display().to_string();
        let bits = usize::try_from(length).unwrap() * 8;
        let wanted = if is_all() { 1_000 } else { FLIPS / 5 };
        for index in 0..wanted.min(bits) {
            // A step without a common divisor with the size, so that all bits of a byte and all places come up.
            let bit = (index * (bits / wanted.min(bits)) + index * 7) % bits;
            let is_noticed = check_flip(&story, &disk, &path, bit);
            counts.entry(name.clone()).or_default()[usize::from(is_noticed)] += 1;
        }
    }
    eprintln!("flips by file, [harmless, noticed]: {counts:?}");
    assert_eq!(counts.len(), 5);
    for (name, [harmless, noticed]) in counts {
        assert!(noticed > 0 || name == "state.redb", "{name}");
        assert!(harmless == 0 || name == "state.redb", "{name}: {harmless} flips went unnoticed");
    }
}

/// True if the flip was noticed; everything that is served is right.
fn check_flip(story: &Story, disk: &SimDisk, path: &Path, bit: usize) -> bool {
    let copy = disk.cut(0);
    copy.flip_bit(path, bit / 8, u32::try_from(bit % 8).unwrap()).unwrap();
    let name = path.display().to_string();
    let is_named = |error: &ChainError| {
        let text = error.to_string();
        let names = ["state database", "table ", "incompatible genesis"];
        assert!(text.contains(&name) || names.iter().any(|name| text.contains(name)), "{text}");
        true
    };
    let chain = match story.open(&copy) {
        Ok(chain) => chain,
        Err(error) => return is_named(&error),
    };
    let reader = chain.reader();
    let mut is_noticed = false;
    let last = *story.heads.last().unwrap();
    if reader.head().hash() != last {
        let is_one_lower =
            story.heads.iter().rev().take(3).any(|head| *head == reader.head().hash());
        assert!(is_one_lower && name.contains("blocks"), "{name}: head {}", reader.head().number());
        is_noticed = true;
    }
    for number in 0..=reader.head().number() {
        let served = reader.block_by_number(number).and_then(|block| {
            let hash = block.expect("canonical").hash();
            Ok((hash, facts_of(&reader, hash)?))
        });
        match served {
            Ok((hash, facts)) => {
                assert_eq!(story.facts[&hash], facts, "{name} bit {bit}: {number}")
            }
            Err(error) => is_noticed |= is_named(&error),
        }
    }
    let view = chain.view();
    let shelf = view.shelf();
    for step in &story.steps {
        let Step::Import(block) = step else { continue };
        let found = shelf.block(block.hash()).and_then(|found| {
            let Some(found) = found else { return Ok(()) };
            assert_eq!(found.block.hash(), block.hash(), "{name} bit {bit}");
            shelf.receipts(&found).map(drop)
        });
        is_noticed |= found.is_err_and(|error| is_named(&error));
    }
    for number in 1..=shelf.flushed().number {
        is_noticed |= shelf.diff(number).is_err_and(|error| is_named(&error));
    }
    let (was, now) = (disk.read(path).unwrap(), copy.read(path).unwrap());
    if name.ends_with(".log") && now.get(bit / 8) == was.get(bit / 8) {
        // The receipts of the last block were torn, cut off and made again.
        is_noticed = true;
    }
    if name.ends_with("journal") && !is_noticed {
        // The last frame cannot be told from a torn one; the log still knows of that seal.
        let known = story.seals(story.steps.len()).count();
        is_noticed = chain.store.journal.count() < known;
    }
    is_noticed
}
