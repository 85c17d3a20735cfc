//! A start: the tables as they are, then the blocks of the log that they lack.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::Address;

use super::{Blockchain, ExecutedBlock, flusher::Flusher, tree::TreeBlock};
use crate::{
    block::{Block, BlockBody, RecoveredBlock},
    error::ChainError,
    fork_choice::HeadKey,
    genesis::Genesis,
    reader::{Shared, View},
    replay::Rules,
    state::root::StateTrie,
    store::{CACHE_BYTES, LogRecord, Storage, Store, schema::BlockRow, snapshots::Snapshots},
};

/// What a chain is opened with beside its genesis and its place.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Which consensus it follows; this stays with the store.
    pub rules: Rules,
    /// Memory for accounts and slots that lie on disk, bytes.
    pub cache_bytes: usize,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { rules: Rules::Clique, cache_bytes: CACHE_BYTES }
    }
}

impl From<Rules> for OpenOptions {
    fn from(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }
}

impl Blockchain {
    /// Opens a chain, or starts one at its genesis: takes the lock, checks that the state has the root it should have, and
    /// runs the blocks of the log that the tables lack.
    ///
    /// # Errors
    /// [`ChainError::Genesis`] if this is no network that can run; [`ChainError::ForkMismatch`] if a fork moved that stored
    /// blocks were run under; [`ChainError::DatadirInUse`], [`ChainError::IncompatibleGenesis`],
    /// [`ChainError::UnknownFormat`], [`ChainError::Corrupt`], [`ChainError::Io`], [`ChainError::Db`] by the store.
    pub fn open(genesis: &Genesis, storage: Storage) -> Result<Self, ChainError> {
        Self::open_with(genesis, storage, OpenOptions::default())
    }

    /// [`Self::open`] under other rules, or with more memory.
    ///
    /// # Errors
    /// As [`Self::open`]; [`ChainError::OtherEngine`] if the store was made under other rules.
    pub fn open_with(
        genesis: &Genesis,
        storage: Storage,
        options: impl Into<OpenOptions>,
    ) -> Result<Self, ChainError> {
        let OpenOptions { rules, cache_bytes } = options.into();
        if matches!(rules, Rules::Clique) {
            genesis.validate_runnable()?;
        }
        let (store, records) = Store::open(&storage, genesis, cache_bytes)?;
        Self::with_store(genesis, &storage, store, records, rules)
    }

    /// A chain on a store that is open.
    pub(crate) fn with_store(
        genesis: &Genesis,
        storage: &Storage,
        mut store: Store,
        records: Vec<LogRecord>,
        rules: Rules,
    ) -> Result<Self, ChainError> {
        let is_clique = matches!(rules, Rules::Clique);
        store.check_engine(rules.engine())?;
        let spec = Arc::new(genesis.spec.clone());
        let header = genesis.sealed_header();
        let first = rules.genesis_snapshot(&spec, &header)?;
        let config = first.config;
        let snapshots = Snapshots::new(first);
        let block = Block { header: genesis.header.clone(), body: BlockBody::default() };
        let genesis_block = Arc::new(ExecutedBlock {
            block: RecoveredBlock::new(block, Vec::new(), header.hash()),
            receipts: Vec::new(),
            total_difficulty: header.difficulty,
            signer: Address::ZERO,
        });
        let view = View::flushed(genesis_block, store.shelf(config)?, rules)?;
        let (number, timestamp) = greatest(&view, &records);
        if is_clique {
            store.follow_config(genesis, number, timestamp)?;
        }
        let trie = StateTrie::rebuild(&view.state(), view.head().block.header().state_root)?;
        let genesis_key = HeadKey::new(
            header.difficulty,
            &header,
            Address::ZERO,
            &*snapshots.after(header.hash(), &view)?,
        );
        let shared = Arc::new(Shared::new(spec, header.hash(), snapshots, trie, view));
        let mut chain = Self {
            shared,
            store,
            flusher: Flusher::new(storage.is_concurrent()),
            tree: HashMap::new(),
            bad: Arc::default(),
            head_key: genesis_key,
            history: None,
            stopped: None,
            reexecutes: false,
            own_key: None,
        };
        let head = chain.view().head().clone();
        let sealed = head.block.sealed_header();
        chain.head_key = chain.key_of(sealed, head.total_difficulty, head.signer)?;
        chain.replay(records)?;
        Ok(chain)
    }

    /// Puts the log's blocks into the tree and goes to the best head among them.
    pub(super) fn replay(&mut self, records: Vec<LogRecord>) -> Result<(), ChainError> {
        for record in without_rewound(records) {
            self.take_record(record)?;
        }
        let mut view = (*self.view()).clone();
        view.set_bad(self.bad.clone());
        let mut candidates = BTreeMap::new();
        for (&hash, found) in &self.tree {
            let header = found.block().sealed_header();
            let key = self.key_of(header, found.row.total_difficulty, found.signer)?;
            candidates.insert(key, hash);
            view.put_aside(hash, found.known());
        }
        self.shared.publish(view);
        for (key, hash) in candidates.into_iter().rev() {
            if key <= self.head_key {
                break;
            }
            match self.adopt(hash) {
                Ok(_) => break,
                Err(error @ ChainError::HistoryPruned { .. }) => {
                    tracing::error!(%hash, %error, "a better branch leaves the chain too far back");
                }
                Err(error) if error.is_bad_block() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take_record(&mut self, record: LogRecord) -> Result<(), ChainError> {
        match record {
            LogRecord::Block(block, total_difficulty, position) => {
                let (hash, parent) = (block.hash(), block.header().parent_hash);
                if self.view().shelf().number_of(hash)?.is_some() && !self.is_unflushed(&block) {
                    return Ok(());
                }
                if !self.is_known(parent)? {
                    return Err(ChainError::Corrupt {
                        place: format!(
                            "block log segment {} at offset {}",
                            position.segment, position.offset
                        ),
                        reason: format!("the parent {parent} of block {hash} is not stored"),
                    });
                }
                let signer = self.view().rules().author(block.header())?;
                let row =
                    BlockRow { total_difficulty, block: position, receipts: None, diff: None };
                self.tree.insert(hash, TreeBlock::side(*block, signer, row));
            }
            LogRecord::Receipts(hash, position) => {
                if let Some(found) = self.tree.get_mut(&hash) {
                    found.row.receipts = Some(position);
                }
            }
            LogRecord::Bad(hash, reason, position) => {
                Arc::make_mut(&mut self.bad).insert(hash, reason, position);
            }
            LogRecord::Rewind(number) => self.drop_above(number, &mut |_| {})?,
        }
        Ok(())
    }

    /// The tables may know a block above the flushed one: it was flushed once, before they were taken back.
    fn is_unflushed(&self, block: &RecoveredBlock) -> bool {
        block.header().number > self.store.flushed().number
    }
}

/// Leaves out the blocks that a later rewind passes over: the tables may have forgotten their parents.
fn without_rewound(mut records: Vec<LogRecord>) -> Vec<LogRecord> {
    let mut newest = u64::MAX;
    records.reverse();
    records.retain(|record| match record {
        LogRecord::Block(block, ..) => block.header().number <= newest,
        LogRecord::Rewind(number) => {
            newest = newest.min(*number);
            true
        }
        LogRecord::Receipts(..) | LogRecord::Bad(..) => true,
    });
    records.reverse();
    records
}

/// The greatest height and time of any block that was stored.
fn greatest(view: &View, records: &[LogRecord]) -> (u64, u64) {
    let head = view.head().block.header();
    let blocks = records.iter().filter_map(|record| match record {
        LogRecord::Block(block, ..) => Some(block.header()),
        LogRecord::Receipts(..) | LogRecord::Bad(..) | LogRecord::Rewind(_) => None,
    });
    blocks.fold((head.number, head.timestamp), |(number, timestamp), header| {
        (number.max(header.number), timestamp.max(header.timestamp))
    })
}
