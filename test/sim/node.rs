//! One node: the real ledger, the real preparation of seals, and the least synchronisation that can work.
//!
//! A node tells its head to everybody now and then. Who hears of an unknown head of at least its own total difficulty
//! asks for it and for what leads to it; a block whose parent is missing waits in a bounded basket meanwhile.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use alloy_consensus::{SignableTransaction as _, TxLegacy};
use alloy_primitives::{Address, B256, Signature, U256};
use secp256k1::SecretKey;

use super::{
    plan::{Plan, START_SECS, USERS, user_address},
    random::Random,
    referee::Referee,
    trace::{Named, Trace, What},
};
use crate::{
    block::{RecoveredBlock, Transaction},
    blockchain::{Blockchain, HeadChange, Imported, Storage},
    clique::{
        CliqueError, FUTURE_QUEUE_MS,
        prepare::{SealerSettings, earliest_seal_ms, prepare_header},
        testing,
    },
    disk::{Disk as _, Fault, SimDisk},
    error::ChainError,
    executor::build::{BuiltBlock, OpenBlock},
    genesis::Genesis,
    planted,
};

/// Blocks that wait for their second.
const EARLY_BLOCKS: usize = 256;
/// Parents for which blocks wait.
const ORPHANS: usize = 512;
/// Blocks of one answer.
const ANSWER_BLOCKS: usize = 128;
/// Blocks below its own head that a node asks for at first.
const OVERLAP_BLOCKS: u64 = 8;
/// A question is asked again after this.
const PATIENCE_MS: u64 = 2_000;

/// Where a node keeps its chain.
const FOLDER: &str = "/chain";
/// Newest blocks and seals that are looked for after a restart.
const CHECKED_BLOCKS: usize = 64;

/// Why a node stopped in the middle of something.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The ledger says so; a loss of power, if the disk was told to fail.
    Ledger(ChainError),
    /// A promise was broken.
    Broken(String),
}

impl From<ChainError> for Trouble {
    fn from(error: ChainError) -> Self {
        Self::Ledger(error)
    }
}

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Self::Broken(text)
    }
}

/// What nodes tell each other.
#[derive(Debug, Clone)]
pub(super) enum Message {
    Block(Arc<RecoveredBlock>),
    Head {
        hash: B256,
        total_difficulty: U256,
    },
    /// The chain that ends in `hash`, from above a height on.
    Want {
        hash: B256,
        above: u64,
    },
    Blocks(Vec<Arc<RecoveredBlock>>),
}

/// A message on its way out; to all if there is no receiver.
pub(super) type Outgoing = (Option<usize>, Message);

/// What a node needs of the world while it acts.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) now_ms: u64,
    pub(super) plan: &'a Plan,
    pub(super) random: &'a mut Random,
    pub(super) trace: &'a mut Trace,
    pub(super) referee: &'a mut Referee,
    pub(super) out: Vec<Outgoing>,
}

impl Around<'_> {
    fn note(&mut self, node: usize, what: What) {
        self.trace.note(self.now_ms - START_SECS * 1_000, Some(node), what);
    }
}

/// A clock that is off and runs too fast or too slow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    pub(super) offset_ms: i64,
    /// Parts in a million.
    pub(super) drift_ppm: i64,
    pub(super) since_ms: u64,
}

impl Clock {
    fn at(&self, now_ms: u64) -> u64 {
        let run = i64::try_from(now_ms - self.since_ms).expect("a run is short");
        now_ms.saturating_add_signed(self.offset_ms + run * self.drift_ppm / 1_000_000)
    }
}

#[derive(Debug)]
pub(super) struct Node {
    index: usize,
    pub(super) signer: Address,
    key: SecretKey,
    disk: SimDisk,
    /// The call of the disk that is to fail.
    failing_call: Option<u64>,
    /// None while the power is off.
    chain: Option<Blockchain>,
    pub(super) is_online: bool,
    pub(super) clock: Clock,
    pub(super) proposals: BTreeMap<Address, bool>,
    /// Head and when to seal on it, by the own clock.
    slot: Option<(B256, Option<u64>)>,
    known: HashSet<B256>,
    early: BTreeMap<(u64, B256), (usize, Arc<RecoveredBlock>)>,
    orphans: HashMap<B256, Vec<Arc<RecoveredBlock>>>,
    asked: HashMap<B256, u64>,
    /// No seal before this moment of the own clock.
    sealing_from_ms: u64,
    /// What must survive whatever happens: blocks it accepted, the head, parents it sealed on.
    kept: Vec<B256>,
    best: U256,
    sealed: Vec<(u64, B256)>,
}

impl Node {
    pub(super) fn new(index: usize, key: SecretKey, seed: u64) -> Self {
        Self {
            index,
            signer: testing::address(&key),
            key,
            disk: SimDisk::new(seed),
            failing_call: None,
            chain: None,
            is_online: true,
            clock: Clock::default(),
            proposals: BTreeMap::new(),
            slot: None,
            known: HashSet::new(),
            early: BTreeMap::new(),
            orphans: HashMap::new(),
            asked: HashMap::new(),
            sealing_from_ms: 0,
            kept: Vec::new(),
            best: U256::ZERO,
            sealed: Vec::new(),
        }
    }

    pub(super) const fn is_running(&self) -> bool {
        self.chain.is_some()
    }

    /// True if a call of the disk failed that was told to: what follows is a loss of power, not a violation.
    pub(super) fn has_failed(&self) -> bool {
        self.failing_call.is_some_and(|call| self.disk.calls() >= call)
    }

    pub(super) fn fail_soon(&mut self, calls: u64) {
        self.failing_call = Some(self.disk.calls() + calls);
        self.disk.fail_call(calls, Fault::Io);
    }

    /// No more failures: the network healed.
    pub(super) fn stay_up(&mut self) {
        self.failing_call = None;
        self.disk.fail_call(u64::MAX, Fault::Io);
    }

    /// The power goes: what was not synced is lost, torn or kept, by seed.
    pub(super) fn lose_power(&mut self, seed: u64) {
        self.chain = None;
        self.disk = self.disk.cut(seed);
        self.failing_call = None;
        self.slot = None;
        self.known.clear();
        self.early.clear();
        self.orphans.clear();
        self.asked.clear();
    }

    pub(super) fn lose_journal(&self) -> Result<(), String> {
        let path = Path::new(FOLDER).join("signer.journal");
        self.disk.remove(&path).map_err(|error| format!("no journal to lose: {error}"))
    }

    /// Opens what the disk holds, and looks whether all is there that must be.
    pub(super) fn start(
        &mut self,
        genesis: &Genesis,
        now_ms: u64,
        referee: &mut Referee,
    ) -> Result<(), String> {
        let storage = Storage::Disk(Arc::new(self.disk.clone()), FOLDER.into());
        let failed = |error| format!("node {} does not start: {error}", self.index);
        let mut chain = Blockchain::open(genesis, storage).map_err(failed)?;
        let own_ms = self.clock.at(now_ms);
        self.sealing_from_ms = chain.take_key(self.signer, own_ms).map_err(failed)?;
        for hash in self.kept.iter().rev().take(CHECKED_BLOCKS) {
            let block = referee.block(*hash).ok_or("a kept block was never judged")?;
            let known = chain.import((**block).clone(), own_ms).map_err(failed)?;
            if !matches!(known, Imported::Known) {
                let number = block.header().number;
                return Err(format!(
                    "node {} forgot block {number} {hash}, which it had accepted",
                    self.index
                ));
            }
        }
        for (number, parent) in self.sealed.iter().rev().take(CHECKED_BLOCKS) {
            if chain.journal().sealed_on(self.signer, *number, *parent).is_none() {
                return Err(format!(
                    "the journal of node {} has forgotten its seal on {parent} (number {number})",
                    self.index
                ));
            }
        }
        if chain.reader().head().total_difficulty < self.best {
            return Err(format!("node {} came back to a worse head than it had", self.index));
        }
        self.show_unseen(&chain, referee)?;
        self.chain = Some(chain);
        Ok(())
    }

    /// A seal that a crash cut short may be on disk and count now, though nobody saw it.
    fn show_unseen(&self, chain: &Blockchain, referee: &mut Referee) -> Result<(), String> {
        let reader = chain.reader();
        let failed =
            |error: ChainError| format!("node {} cannot read its chain: {error}", self.index);
        let (mut unseen, mut at) = (Vec::new(), reader.head());
        while at.number() > 0 && referee.block(at.hash()).is_none() {
            unseen.push(at.clone());
            let parent = at.block.header().parent_hash;
            at = reader.block_by_hash(parent).map_err(failed)?.ok_or("a head without a parent")?;
        }
        for executed in unseen.into_iter().rev() {
            let block = Arc::new(executed.block.clone());
            referee.accepted(&block, || reader.snapshot(block.hash()).map_err(failed))?;
        }
        Ok(())
    }

    fn chain(&self) -> &Blockchain {
        self.chain.as_ref().expect("a node without power does not act")
    }

    fn chain_mut(&mut self) -> &mut Blockchain {
        self.chain.as_mut().expect("a node without power does not act")
    }

    pub(super) fn head(&self) -> Named {
        let head = self.chain().reader().head();
        let total_difficulty = head.total_difficulty;
        Named { number: head.number(), hash: head.hash(), total_difficulty }
    }

    /// Balances and nonces of the users after the head.
    pub(super) fn accounts(&self) -> Result<Vec<(u64, U256)>, Trouble> {
        let state = self.chain().reader().head_state();
        (0..USERS)
            .map(|user| {
                let account = state.account(user_address(user))?;
                Ok(account.map_or((0, U256::ZERO), |found| (found.nonce, found.balance)))
            })
            .collect()
    }

    /// Takes what has become due and seals if it is time to.
    pub(super) fn tick(
        &mut self,
        is_sealing: bool,
        around: &mut Around<'_>,
    ) -> Result<(), Trouble> {
        let now_ms = self.clock.at(around.now_ms);
        while let Some(entry) = self.early.first_entry() {
            if entry.key().0 > now_ms {
                break;
            }
            let (from, block) = entry.remove();
            self.take(block, from, around)?;
        }
        if is_sealing { self.seal_if_due(now_ms, around) } else { Ok(()) }
    }

    pub(super) fn tell_head(&self, around: &mut Around<'_>) {
        let Named { hash, total_difficulty, .. } = self.head();
        around.out.push((None, Message::Head { hash, total_difficulty }));
    }

    pub(super) fn receive(
        &mut self,
        from: usize,
        message: Message,
        around: &mut Around<'_>,
    ) -> Result<(), Trouble> {
        match message {
            Message::Block(block) => self.take(block, from, around),
            Message::Blocks(blocks) => {
                blocks.into_iter().try_for_each(|block| self.take(block, from, around))
            }
            Message::Head { hash, total_difficulty } => {
                let head = self.head();
                let is_equal = total_difficulty == head.total_difficulty;
                let is_ignored = is_equal && planted::is(planted::Bug::EqualHeadsNotFetched);
                if total_difficulty >= head.total_difficulty && !is_ignored && !self.has(hash) {
                    self.ask(hash, head.number.saturating_sub(OVERLAP_BLOCKS), from, around);
                }
                Ok(())
            }
            Message::Want { hash, above } => self.answer(hash, above, from, around),
        }
    }

    fn has(&self, hash: B256) -> bool {
        self.known.contains(&hash) || self.early.keys().any(|(_, early)| *early == hash)
    }

    fn ask(&mut self, hash: B256, above: u64, from: usize, around: &mut Around<'_>) {
        let again_at = self.asked.get(&hash).map_or(0, |at| at + PATIENCE_MS);
        if around.now_ms >= again_at {
            self.asked.insert(hash, around.now_ms);
            around.out.push((Some(from), Message::Want { hash, above }));
        }
    }

    /// The oldest blocks come first, so that the asker can use them if there are more than fit.
    fn answer(
        &self,
        hash: B256,
        above: u64,
        from: usize,
        around: &mut Around<'_>,
    ) -> Result<(), Trouble> {
        let reader = self.chain().reader();
        let (mut blocks, mut at) = (Vec::new(), hash);
        while let Some(found) = reader.block_by_hash(at)? {
            if found.number() <= above {
                break;
            }
            at = found.block.header().parent_hash;
            blocks.push(Arc::new(found.block.clone()));
        }
        blocks.reverse();
        blocks.truncate(ANSWER_BLOCKS);
        if !blocks.is_empty() {
            around.out.push((Some(from), Message::Blocks(blocks)));
        }
        Ok(())
    }

    /// Imports a block and whatever waited for it.
    fn take(
        &mut self,
        block: Arc<RecoveredBlock>,
        from: usize,
        around: &mut Around<'_>,
    ) -> Result<(), Trouble> {
        let now_ms = self.clock.at(around.now_ms);
        let mut next = vec![block];
        while let Some(block) = next.pop() {
            let (hash, due_ms) = (block.hash(), block.header().timestamp * 1_000);
            if self.known.contains(&hash) {
                continue;
            }
            if due_ms > now_ms {
                if due_ms <= now_ms + FUTURE_QUEUE_MS && self.early.len() < EARLY_BLOCKS {
                    self.early.insert((due_ms, hash), (from, block));
                }
                continue;
            }
            match self.chain_mut().import((*block).clone(), now_ms) {
                Ok(imported) => {
                    self.follow(&block, imported, around)?;
                    next.extend(self.orphans.remove(&hash).unwrap_or_default());
                }
                Err(ChainError::Clique(CliqueError::UnknownAncestor)) => {
                    self.keep_orphan(block, from, around);
                }
                Err(error) if error.is_bad_block() => {
                    let text = format!("an honest block {hash} was refused: {error}");
                    return Err(Trouble::Broken(text));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn keep(&mut self, hash: B256) {
        self.known.insert(hash);
        self.kept.push(hash);
        self.best = self.best.max(self.head().total_difficulty);
    }

    fn keep_orphan(&mut self, block: Arc<RecoveredBlock>, from: usize, around: &mut Around<'_>) {
        let (parent, number) = (block.header().parent_hash, block.header().number);
        if self.orphans.len() >= ORPHANS {
            self.orphans.clear();
        }
        let waiting = self.orphans.entry(parent).or_default();
        if !waiting.contains(&block) {
            waiting.push(block);
        }
        let below = number.min(self.head().number);
        self.ask(parent, below.saturating_sub(ANSWER_BLOCKS as u64 / 2), from, around);
    }

    /// The block is on disk now: whatever happens, this node must not forget it.
    fn follow(
        &mut self,
        block: &Arc<RecoveredBlock>,
        imported: Imported,
        around: &mut Around<'_>,
    ) -> Result<(), Trouble> {
        let hash = block.hash();
        self.keep(hash);
        self.asked.remove(&hash);
        let reader = self.chain().reader();
        around.referee.accepted(block, || {
            reader.snapshot(hash).map_err(|error| format!("no snapshot after {hash}: {error}"))
        })?;
        let what = match imported {
            Imported::Known => return Ok(()),
            Imported::Side => What::Side { number: block.header().number, hash },
            Imported::Head(HeadChange { removed, .. }) => {
                self.tell_head(around);
                What::Head { block: self.head(), removed: removed.len() }
            }
        };
        around.note(self.index, what);
        Ok(())
    }

    fn seal_if_due(&mut self, now_ms: u64, around: &mut Around<'_>) -> Result<(), Trouble> {
        let reader = self.chain().reader();
        let head = reader.head();
        let parent = head.block.sealed_header();
        let due = match self.slot {
            Some((hash, due)) if hash == parent.hash() => due,
            _ => {
                let snapshot = reader.snapshot(parent.hash())?;
                let due =
                    earliest_seal_ms(reader.spec(), parent, &snapshot, &self.settings(), now_ms);
                self.slot = Some((parent.hash(), due));
                due
            }
        };
        if due.is_none_or(|due| due > now_ms) || now_ms < self.sealing_from_ms {
            return Ok(());
        }
        let built = self.build(now_ms, around)?;
        let (key, has_real_seals) = (self.key, around.plan.has_real_seals);
        let signer = self.signer;
        let sign = |hash| {
            Ok(if has_real_seals {
                testing::sign(&key, hash)
            } else {
                testing::keyed_seal(signer, hash)
            })
        };
        match self.chain_mut().seal_and_import(built, sign, now_ms) {
            Ok(change) => self.announce_own(change, around),
            Err(ChainError::AlreadySealed { .. }) => {
                self.slot = Some((parent.hash(), None));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn announce_own(&mut self, change: HeadChange, around: &mut Around<'_>) -> Result<(), Trouble> {
        let executed = change.added.last().ok_or("a seal moved no head".to_owned())?;
        let block = Arc::new(executed.block.clone());
        around.note(self.index, What::Sealed(self.head()));
        self.keep(block.hash());
        self.sealed.push((block.header().number, block.header().parent_hash));
        let reader = self.chain().reader();
        around.referee.accepted(&block, || {
            reader.snapshot(block.hash()).map_err(|error| format!("no snapshot: {error}"))
        })?;
        around.out.push((None, Message::Block(block.clone())));
        Ok(())
    }

    fn settings(&self) -> SealerSettings {
        let proposals = self.proposals.clone();
        SealerSettings { proposals, ..SealerSettings::new(self.signer, 30_000_000) }
    }

    /// An open block with up to two transfers.
    fn build(&self, now_ms: u64, around: &mut Around<'_>) -> Result<BuiltBlock, ChainError> {
        let reader = self.chain().reader();
        let head = reader.head();
        let parent = head.block.sealed_header();
        let settings = self.settings();
        let snapshot = reader.snapshot(parent.hash())?;
        let header = prepare_header(reader.spec(), parent, &snapshot, &settings, now_ms / 1_000)?;
        let mut open = self.chain().open_block(header, self.signer)?;
        for _ in 0..around.random.between(0, 2) {
            self.transfer(&mut open, around.random)?;
        }
        open.close()
    }

    fn transfer(&self, open: &mut OpenBlock, random: &mut Random) -> Result<(), ChainError> {
        let from = user_address(random.between(0, USERS - 1));
        let taken = open.transactions().len() as u64;
        let account = self.chain().reader().head_state().account(from)?;
        let nonce = account.map_or(0, |found| found.nonce);
        let transaction: Transaction = TxLegacy {
            chain_id: Some(1337),
            nonce,
            gas_price: 0,
            gas_limit: 21_000,
            to: user_address(random.between(0, USERS - 1)).into(),
            value: U256::from(random.between(1, 1_000)),
            input: Default::default(),
        }
        .into_signed(Signature::test_signature())
        .into();
        // The second of a pair may come from the same user; then its nonce is used and it stays out.
        match open.push(&transaction, from) {
            Err(crate::executor::ExecError::Store(error)) => Err(error),
            Err(_) if taken == 0 => {
                Err(ChainError::CallRefused { reason: "a transfer failed".to_owned() })
            }
            _ => Ok(()),
        }
    }
}
