//! [`OpenBlock`]: a block that takes transactions one by one until it is told to close.
//!
//! It runs each transaction once. [`BuiltBlock`] carries receipts, changes and roots along, so that the import of an own
//! block runs nothing again.

use std::sync::{Arc, Mutex};

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{Address, B256, Bloom};
use alloy_rlp::Encodable as _;

use crate::{
    block::{Header, Receipt, Transaction, logs_bloom, receipts_root, transactions_root},
    error::ChainError,
    executor::{BlockExecutor, ExecError, Executed, Part},
    spec::ChainSpec,
    state::{StateDb, root::StateTrie},
    validate::MAX_BLOCK_RLP_BYTES,
};

/// Bytes of a block's RLP kept free for the header and the lengths of its lists.
const RESERVED_RLP_BYTES: usize = 65_536;

/// A block under construction on the head.
#[derive(Debug)]
pub struct OpenBlock {
    executor: BlockExecutor,
    header: Header,
    signer: Address,
    transactions: Vec<Transaction>,
    senders: Vec<Address>,
    rlp_bytes: usize,
}

/// A closed block that lacks nothing but its seal.
#[derive(Debug)]
pub struct BuiltBlock {
    pub(crate) header: Header,
    pub(crate) signer: Address,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) senders: Vec<Address>,
    pub(crate) executed: Executed,
}

impl OpenBlock {
    pub(crate) fn new(
        spec: &ChainSpec,
        parent: StateDb,
        header: Header,
        signer: Address,
        trie: Arc<Mutex<StateTrie>>,
    ) -> Result<Self, ChainError> {
        let executor = BlockExecutor::new(spec, parent, &header, signer, trie)?;
        let (transactions, senders) = (Vec::new(), Vec::new());
        Ok(Self { executor, header, signer, transactions, senders, rlp_bytes: 0 })
    }

    /// Runs a transaction and puts it into the block; on an error the block is as before.
    ///
    /// # Errors
    /// [`ExecError::Skip`] if its gas or its bytes do not fit any more, [`ExecError::Invalid`] with geth's text if it
    /// cannot run on this state, [`ExecError::Store`] if the store fails.
    pub fn push(&mut self, transaction: &Transaction, sender: Address) -> Result<(), ExecError> {
        let bytes = transaction.length();
        if self.rlp_bytes + bytes > MAX_BLOCK_RLP_BYTES - RESERVED_RLP_BYTES {
            return Err(ExecError::Skip("block RLP-encoded size exceeds maximum".to_owned()));
        }
        self.executor.transact(transaction, sender)?;
        self.rlp_bytes += bytes;
        self.transactions.push(transaction.clone());
        self.senders.push(sender);
        Ok(())
    }

    /// What the transactions since the last part changed; [`Part::apply`] brings it to the trie, on this thread or beside
    /// the next transactions, so that little is left for [`Self::close`].
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn take_part(&mut self) -> Result<Part, ChainError> {
        self.executor.take_part()
    }

    /// Gas that later transactions may still ask for.
    pub fn gas_left(&self) -> u64 {
        self.executor.gas_left()
    }

    /// Transactions taken so far.
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// The header as it was opened: number, times, limits and votes are final, roots are not.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Computes what the header says about the body and the state.
    ///
    /// # Errors
    /// What the store says if it fails.
    pub fn close(self) -> Result<BuiltBlock, ChainError> {
        let Self { mut executor, mut header, signer, transactions, senders, .. } = self;
        let receipts = executor.take_receipts();
        // What the body and the receipts hash to needs no state, so that another core can find it out meanwhile.
        let (executed, roots) = std::thread::scope(|scope| {
            let roots = scope.spawn(|| BodyRoots::of(&transactions, &receipts));
            (executor.finish(), roots.join())
        });
        let mut executed = executed?;
        let roots = roots.unwrap_or_else(|_| BodyRoots::of(&transactions, &receipts));
        executed.receipts = receipts;
        header.ommers_hash = EMPTY_OMMER_ROOT_HASH;
        header.transactions_root = roots.transactions;
        header.receipts_root = roots.receipts;
        header.logs_bloom = roots.bloom;
        header.gas_used = executed.gas_used;
        header.state_root = executed.state_root;
        Ok(BuiltBlock { header, signer, transactions, senders, executed })
    }
}

/// What a header says about the body and what it left behind.
struct BodyRoots {
    transactions: B256,
    receipts: B256,
    bloom: Bloom,
}

impl BodyRoots {
    fn of(transactions: &[Transaction], receipts: &[Receipt]) -> Self {
        Self {
            transactions: transactions_root(transactions),
            receipts: receipts_root(receipts),
            bloom: logs_bloom(receipts),
        }
    }
}

impl BuiltBlock {
    /// The header without its seal.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Transactions in the block.
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }
}
