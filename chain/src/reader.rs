//! [`ChainReader`]: the chain as everybody but its writer sees it.
//!
//! All answers come from one [`View`], an unmoving picture of head, recent blocks, their receipts and the state. The
//! writer makes the next one beside it and swaps a pointer; no read ever waits for an import.

mod view;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use alloy_primitives::{Address, B256, Bloom, U256, map::AddressSet};
use revm::{Inspector, context::result::ResultAndState};

use crate::{
    block::{Block, Header, Receipt, RecoveredBlock, SealedHeader},
    clique::Snapshot,
    error::ChainError,
    executor::{
        call::{BlockOverrides, Call, CallOutcome, CallRequest, StateOverrides},
        rerun::{Rerun, Watched, watch_call},
        simulate::Simulation,
    },
    replay::Rules,
    spec::ChainSpec,
    state::{
        StateDb,
        overlay::Overlay,
        proof::{AccountProof, MAX_BLOCKS, Scratch, prove},
        root::StateTrie,
        stop::Stop,
    },
    store::{
        log_index::LogKey,
        snapshots::{Ancestry as _, Snapshots},
    },
};

pub(crate) use self::view::{Recent, View};

/// How often a proof starts anew because the chain was reorganised meanwhile.
const PROOF_ATTEMPTS: usize = 8;

/// A block together with what running it left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedBlock {
    /// The block with its hash and senders.
    pub block: RecoveredBlock,
    /// One per transaction.
    pub receipts: Vec<Receipt>,
    /// Sum of the difficulties up to it.
    pub total_difficulty: U256,
    /// Who sealed it; zero for genesis.
    pub signer: Address,
}

impl ExecutedBlock {
    /// Height.
    pub fn number(&self) -> u64 {
        self.block.header().number
    }

    /// Block hash.
    pub fn hash(&self) -> B256 {
        self.block.hash()
    }
}

/// A block that was checked and stored, but never run: its branch was never the best.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideBlock {
    /// The block with its hash and senders.
    pub block: RecoveredBlock,
    /// Sum of the difficulties up to it.
    pub total_difficulty: U256,
    /// Who sealed it.
    pub signer: Address,
}

/// A block that this node has, of any branch.
#[derive(Debug, Clone)]
pub enum KnownBlock {
    /// It was run, and is or was canonical.
    Executed(Arc<ExecutedBlock>),
    /// It was never run.
    Side(Arc<SideBlock>),
}

impl KnownBlock {
    /// The block with its hash and senders.
    pub fn block(&self) -> &RecoveredBlock {
        match self {
            Self::Executed(found) => &found.block,
            Self::Side(found) => &found.block,
        }
    }

    /// Sum of the difficulties up to it.
    pub fn total_difficulty(&self) -> U256 {
        match self {
            Self::Executed(found) => found.total_difficulty,
            Self::Side(found) => found.total_difficulty,
        }
    }

    /// Who sealed it; zero for genesis.
    pub fn signer(&self) -> Address {
        match self {
            Self::Executed(found) => found.signer,
            Self::Side(found) => found.signer,
        }
    }

    /// What running it left behind, if it was run.
    pub fn executed(self) -> Option<Arc<ExecutedBlock>> {
        match self {
            Self::Executed(found) => Some(found),
            Self::Side(_) => None,
        }
    }
}

/// A block that broke a rule.
#[derive(Debug, Clone)]
pub struct BadBlock {
    /// Its hash.
    pub hash: B256,
    /// The rule, in geth's words.
    pub reason: String,
    /// The block itself, unless the disk refused to take it.
    pub block: Option<Block>,
}

/// Bad blocks that [`ChainReader::bad_blocks`] shows, as many as geth keeps.
const SHOWN_BAD_BLOCKS: usize = 10;

/// The state after one block.
pub type StateAt = StateDb;

/// What the writer and all readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) genesis_hash: B256,
    pub(crate) snapshots: Snapshots,
    pub(crate) trie: Arc<Mutex<StateTrie>>,
    view: RwLock<Arc<View>>,
}

impl Shared {
    pub(crate) fn new(
        spec: Arc<ChainSpec>,
        genesis_hash: B256,
        snapshots: Snapshots,
        trie: StateTrie,
        view: View,
    ) -> Self {
        let (trie, view) = (Arc::new(Mutex::new(trie)), RwLock::new(Arc::new(view)));
        Self { spec, genesis_hash, snapshots, trie, view }
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publish(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }
}

/// Cheap to clone, usable from any thread; each call sees one consistent picture of the chain.
#[derive(Debug, Clone)]
pub struct ChainReader(pub(crate) Arc<Shared>);

impl ChainReader {
    /// The rules of the network.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.0.spec
    }

    /// The consensus that the chain follows.
    pub fn rules(&self) -> Rules {
        self.0.view().rules().clone()
    }

    /// Hash of block 0.
    pub fn genesis_hash(&self) -> B256 {
        self.0.genesis_hash
    }

    /// The newest canonical block.
    pub fn head(&self) -> Arc<ExecutedBlock> {
        self.0.view().head().clone()
    }

    /// A block that was run, canonical or not.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn block_by_hash(&self, hash: B256) -> Result<Option<Arc<ExecutedBlock>>, ChainError> {
        self.0.view().block_by_hash(hash)
    }

    /// A canonical block.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn block_by_number(&self, number: u64) -> Result<Option<Arc<ExecutedBlock>>, ChainError> {
        self.0.view().block_by_number(number)
    }

    /// A block of any branch, run or not.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn known_block(&self, hash: B256) -> Result<Option<KnownBlock>, ChainError> {
        self.0.view().known_block(hash)
    }

    /// The header of a block of any branch, run or not.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn header_by_hash(&self, hash: B256) -> Result<Option<SealedHeader>, ChainError> {
        Ok(self.0.view().sealed(hash)?.map(|(header, _)| header))
    }

    /// Sum of the difficulties up to a block of any branch, run or not.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn total_difficulty(&self, hash: B256) -> Result<Option<U256>, ChainError> {
        self.0.view().total_difficulty(hash)
    }

    /// The blocks that broke a rule last, the newest first.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn bad_blocks(&self) -> Result<Vec<BadBlock>, ChainError> {
        let view = self.0.view();
        let mut shown = Vec::new();
        for (hash, reason, position) in view.bad().newest().take(SHOWN_BAD_BLOCKS) {
            let block = match view.known_block(hash)? {
                Some(found) => Some(found.block().clone_block()),
                None => view.shelf().bad_block(position)?,
            };
            shown.push(BadBlock { hash, reason: reason.to_owned(), block });
        }
        Ok(shown)
    }

    /// The oldest canonical block whose state can be read.
    pub fn oldest_state(&self) -> u64 {
        self.0.view().shelf().oldest_state()
    }

    /// The header of a canonical block.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn header_by_number(&self, number: u64) -> Result<Option<SealedHeader>, ChainError> {
        Ok(self.block_by_number(number)?.map(|executed| executed.block.clone_sealed_header()))
    }

    /// Hash of canonical block `number`; `None` above the head.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn canonical_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        self.0.view().canonical_hash(number)
    }

    /// The canonical block with a transaction, and its index there.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn transaction(
        &self,
        hash: B256,
    ) -> Result<Option<(Arc<ExecutedBlock>, usize)>, ChainError> {
        self.0.view().transaction(hash)
    }

    /// The first canonical blocks between `from` and `to`, both included, that may have a log under some key of each set;
    /// at most `most`. `may_have` says the same of a bloom, for blocks so young that no index has them. A block that has
    /// such a log is never left out; one that has none may be in.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn log_blocks(
        &self,
        from: u64,
        to: u64,
        sets: &[Vec<LogKey>],
        may_have: impl Fn(&Bloom) -> bool,
        most: usize,
    ) -> Result<Vec<u64>, ChainError> {
        self.0.view().log_blocks(from, to, sets, may_have, most)
    }

    /// The Clique snapshot after a block of any branch.
    ///
    /// # Errors
    /// [`crate::clique::CliqueError::UnknownAncestor`] if the block is not known; what the store says if it fails.
    pub fn snapshot(&self, hash: B256) -> Result<Arc<Snapshot>, ChainError> {
        self.0.snapshots.after(hash, &*self.0.view())
    }

    /// The state after a canonical block.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] if the block is not canonical; [`ChainError::HistoryPruned`] if it is too old; what the
    /// store says if it fails.
    pub fn state(&self, block_hash: B256) -> Result<StateAt, ChainError> {
        let view = self.0.view();
        let executed = canonical(&view, block_hash)?;
        view.kept_state_at(executed.number())
    }

    /// The state after the head.
    pub fn head_state(&self) -> StateAt {
        self.0.view().state()
    }

    /// Runs a call on the state after a canonical block, until `stop` ends it if there is one.
    ///
    /// # Errors
    /// [`ChainError::CallRefused`] with geth's text if the call cannot start; [`ChainError::UnknownBlock`],
    /// [`ChainError::HistoryPruned`]; what the store says if it fails.
    pub fn call(
        &self,
        block_hash: B256,
        request: &CallRequest,
        overrides: &StateOverrides,
        block_overrides: &BlockOverrides,
        stop: Option<Stop>,
    ) -> Result<CallOutcome, ChainError> {
        let view = self.0.view();
        let executed = canonical(&view, block_hash)?;
        let state = view.kept_state_at(executed.number())?;
        self.call_in(&view, &executed, request, overrides, block_overrides).run(state, stop)
    }

    fn call_in<'a>(
        &'a self,
        view: &'a View,
        executed: &'a ExecutedBlock,
        request: &'a CallRequest,
        overrides: &'a StateOverrides,
        block_overrides: &'a BlockOverrides,
    ) -> Call<'a> {
        let (rules, spec, author) = (view.rules(), &*self.0.spec, executed.signer);
        let header = executed.block.header();
        Call { rules, spec, header, author, request, overrides, block_overrides }
    }

    /// Runs a call in a block that is not there yet, on the state after it.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_over(
        &self,
        (overlay, header, author): (Overlay, &Header, Address),
        request: &CallRequest,
        overrides: &StateOverrides,
        block_overrides: &BlockOverrides,
        stop: Option<Stop>,
    ) -> Result<CallOutcome, ChainError> {
        let (rules, spec) = (&self.rules(), &*self.0.spec);
        let call = Call { rules, spec, header, author, request, overrides, block_overrides };
        call.run_over(overlay, stop)
    }

    /// As [`Self::call_over`], under the eye of an inspector.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn watch_call_over(
        &self,
        (overlay, header, author): (Overlay, &Header, Address),
        request: &CallRequest,
        overrides: &StateOverrides,
        block_overrides: &BlockOverrides,
        inspector: impl Inspector<Watched>,
    ) -> Result<(ResultAndState, Overlay), ChainError> {
        let (rules, spec) = (&self.rules(), &*self.0.spec);
        let call = Call { rules, spec, header, author, request, overrides, block_overrides };
        watch_call(&call, overlay, inspector)
    }

    /// Runs a call under the eye of an inspector, on the state after a canonical block, or, if `index` is given, on the
    /// state before its transaction of that index.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn watch_call(
        &self,
        (block_hash, index): (B256, Option<usize>),
        request: &CallRequest,
        overrides: &StateOverrides,
        block_overrides: &BlockOverrides,
        inspector: impl Inspector<Watched>,
    ) -> Result<(ResultAndState, Overlay), ChainError> {
        let view = self.0.view();
        let executed = canonical(&view, block_hash)?;
        let overlay = match index {
            None => Overlay::new(view.kept_state_at(executed.number())?),
            Some(index) => {
                let mut rerun = self.rerun(block_hash)?;
                let body = executed.block.body().transactions.iter().zip(executed.block.senders());
                for (transaction, &sender) in body.take(index) {
                    rerun.apply(transaction, sender)?;
                }
                rerun.overlay().clone()
            }
        };
        let call = self.call_in(&view, &executed, request, overrides, block_overrides);
        watch_call(&call, overlay, inspector)
    }

    /// Blocks that nobody made, on the state after a canonical one.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] if the block is not canonical; [`ChainError::HistoryPruned`] if it is too old; what the
    /// store says if it fails.
    pub fn simulation(&self, block_hash: B256) -> Result<Simulation, ChainError> {
        let view = self.0.view();
        let executed = canonical(&view, block_hash)?;
        let state = view.kept_state_at(executed.number())?;
        Ok(Simulation::new(view.rules().clone(), self.0.spec.clone(), state))
    }

    /// A block on a canonical parent, as it was before its first transaction.
    ///
    /// # Errors
    /// As [`Self::rerun`]; [`ChainError::Clique`] if the seal names nobody.
    pub fn rerun_foreign(&self, header: &Header) -> Result<Rerun, ChainError> {
        let view = self.0.view();
        let parent = canonical(&view, header.parent_hash)?;
        let (state, author) = (view.kept_state_at(parent.number())?, view.rules().author(header)?);
        Rerun::new(view.rules(), &self.0.spec, state, header, author)
    }

    /// Accounts that a canonical block changed.
    ///
    /// # Errors
    /// [`ChainError::HistoryPruned`] if nothing tells any more; what the store says if it fails.
    pub fn changed_accounts(&self, number: u64) -> Result<Vec<Address>, ChainError> {
        let view = self.0.view();
        view.kept_state_at(number.saturating_sub(1))?;
        view.changed_accounts(number)
    }

    /// Root of the state after each transaction of a canonical block.
    ///
    /// # Errors
    /// As [`Self::rerun`].
    pub fn intermediate_roots(&self, block_hash: B256) -> Result<Vec<B256>, ChainError> {
        let view = self.0.view();
        let executed = canonical(&view, block_hash)?;
        let mut rerun = self.rerun(block_hash)?;
        let parent = rerun.overlay().parent().clone();
        let body = executed.block.body().transactions.iter().zip(executed.block.senders());
        // what is touched is known once all of it has run
        for (transaction, &sender) in body.clone() {
            rerun.apply(transaction, sender)?;
        }
        let mut trie = self.tries(&parent, &rerun.overlay().touched(), &[])?;
        let mut rerun = self.rerun(block_hash)?;
        let mut roots = Vec::with_capacity(executed.receipts.len());
        for (transaction, &sender) in body {
            rerun.apply(transaction, sender)?;
            roots.push(rerun.root(&mut trie)?);
        }
        Ok(roots)
    }

    /// A canonical block as it was before its first transaction, to be run again.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] if the block is not canonical, or the genesis; [`ChainError::HistoryPruned`] if its
    /// parent's state is too old; what the store says if it fails.
    pub fn rerun(&self, block_hash: B256) -> Result<Rerun, ChainError> {
        let view = self.0.view();
        let executed = canonical(&view, block_hash)?;
        let parent = executed.number().checked_sub(1);
        let parent =
            parent.ok_or_else(|| ChainError::UnknownBlock { block: block_hash.to_string() })?;
        let (state, header) = (view.kept_state_at(parent)?, executed.block.header());
        Rerun::new(view.rules(), &self.0.spec, state, header, executed.signer)
    }

    /// Proves an account and slots under the state root of one of the last 1,024 blocks (EIP-1186).
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] if the block is not canonical, or the chain does not keep still;
    /// [`ChainError::ProofWindow`] if it lies too far back; what the store says if it fails.
    pub fn proof(
        &self,
        block_hash: B256,
        address: Address,
        slots: &[U256],
    ) -> Result<AccountProof, ChainError> {
        for _ in 0..PROOF_ATTEMPTS {
            let view = self.0.view();
            let executed = canonical(&view, block_hash)?;
            let number = executed.number();
            if view.head().number() - number > MAX_BLOCKS {
                return Err(ChainError::ProofWindow);
            }
            let root = executed.block.header().state_root;
            if let Some(mut scratch) = self.paths(number, root, [address])? {
                return prove(scratch.nodes(address), &view.state_at(number), address, slots);
            }
        }
        Err(ChainError::UnknownBlock { block: block_hash.to_string() })
    }

    /// The paths to some accounts under `root`, that of block `number`; none if a reorganisation came between.
    fn paths(
        &self,
        number: u64,
        root: B256,
        addresses: impl IntoIterator<Item = Address>,
    ) -> Result<Option<Scratch>, ChainError> {
        let (mut scratch, mut reached) = (Scratch::new(addresses), number);
        for index in 0..16 {
            let copied = loop {
                let view = self.0.view();
                while reached < view.head().number() {
                    reached += 1;
                    view.take_back(reached, &mut scratch)?;
                }
                let trie = self.0.trie.lock().unwrap_or_else(PoisonError::into_inner);
                if self.0.view().head().hash() == view.head().hash() {
                    break scratch.copy(index, &trie);
                }
            };
            scratch.settle(index, copied);
        }
        Ok((scratch.root() == root).then_some(scratch))
    }

    /// The tries of a canonical state, unfolded where these accounts stand, and these slots if it is the head's: as
    /// good as the whole for whatever happens to them, and copied from the live ones. Made anew from the state if it
    /// lies too far back.
    fn tries(
        &self,
        state: &StateDb,
        accounts: &AddressSet,
        slots: &[(Address, U256)],
    ) -> Result<StateTrie, ChainError> {
        for _ in 0..PROOF_ATTEMPTS {
            let (view, number) = (self.0.view(), state.number());
            let Some(block) = view.block_by_number(number)? else { break };
            let root = block.block.header().state_root;
            if view.head().number().saturating_sub(number) > MAX_BLOCKS {
                return StateTrie::rebuild(state, root);
            }
            let scratch = match self.paths(number, root, accounts.iter().copied()) {
                Ok(Some(scratch)) => scratch,
                Ok(None) => continue,
                Err(ChainError::ProofWindow) => return StateTrie::rebuild(state, root),
                Err(error) => return Err(error),
            };
            let mut storages = Vec::new();
            for group in slots.chunk_by(|(one, _), (other, _)| one == other) {
                let owner = group[0].0;
                let trie = self.0.trie.lock().unwrap_or_else(PoisonError::into_inner);
                if self.0.view().head().hash() != block.hash() {
                    break;
                }
                let copy = trie.copy_storage(owner, group.iter().map(|(_, slot)| *slot));
                drop(trie);
                let root = state.account(owner)?.unwrap_or_default().storage_root;
                storages.extend(copy.filter(|copy| copy.hashed_root() == root).map(|c| (owner, c)));
            }
            return Ok(StateTrie::of_parts(scratch.into_trie(), storages));
        }
        Err(ChainError::UnknownBlock { block: state.number().to_string() })
    }

    /// Root of the state after what a simulation has done so far.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`] if the chain does not keep still; what the store says if it fails.
    pub fn simulated_root(&self, simulation: &Simulation) -> Result<B256, ChainError> {
        let (parent, mut changes) = simulation.changes()?;
        let mut accounts: AddressSet = changes.accounts.keys().copied().collect();
        accounts.extend(changes.slots.keys().map(|(owner, _)| *owner));
        let mut slots: Vec<_> = changes.slots.keys().copied().collect();
        slots.sort_unstable();
        self.tries(&parent, &accounts, &slots)?.root_after(&parent, &mut changes)
    }
}

fn canonical(view: &View, hash: B256) -> Result<Arc<ExecutedBlock>, ChainError> {
    let unknown = || ChainError::UnknownBlock { block: hash.to_string() };
    let executed = view.block_by_hash(hash)?.ok_or_else(unknown)?;
    if !view.is_canonical(executed.number(), hash)? {
        return Err(unknown());
    }
    Ok(executed)
}
