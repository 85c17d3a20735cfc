//! [`Context`]: what a handler can reach.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256};
use chain::{reader::ChainReader, replay::Rules, spec::ChainSpec};
use node::{SignerKey, handle::NodeHandle};
use tokio::sync::Semaphore;

use crate::{
    config::{RpcConfig, RpcStartError},
    eth::filter::Filters,
    layer::Subscribers,
    limits::{self, Limits},
    ots::index::Index,
    pending::PendingCache,
    ready::Ready,
    voice::Voice,
    work::Work,
};

/// What a handler can reach: the node, the accounts that sign here, the filters of this listener.
#[derive(Debug)]
pub struct Context {
    /// Door to the node.
    pub node: NodeHandle,
    /// Keys that sign for clients; none but on a development chain.
    pub keys: BTreeMap<Address, SignerKey>,
    /// Addresses of `keys` in the order of their paths.
    pub accounts: Vec<Address>,
    /// Held while a transaction gets its nonce and signature here.
    pub sending: tokio::sync::Mutex<()>,
    /// Polling filters.
    pub filters: Filters,
    /// Which transactions touch an address.
    pub addresses: Index,
    /// The state after what waits.
    pub pending: PendingCache,
    /// Threads for long work.
    pub work: Work,
    /// True if strangers can reach this listener, so that ranges are limited.
    pub is_public: bool,
    /// Where the contracts' directory stands.
    pub directory: Address,
    /// Limits that the operator set.
    pub limits: Limits,
    /// Recent blocks as JSON.
    pub ready: Ready,
    /// A place for each subscription.
    pub subscriptions: Arc<Semaphore>,
    /// How many of them each address has.
    pub subscribers: Subscribers,
}

impl Context {
    /// Joins them.
    ///
    /// # Errors
    /// [`RpcStartError::InvalidKey`] if a configured key is none.
    pub fn new(node: NodeHandle, config: &RpcConfig) -> Result<Self, RpcStartError> {
        let address = |key: &SignerKey| key.address().map_err(|_| RpcStartError::InvalidKey);
        let accounts =
            config.dev_keys.iter().map(address).collect::<Result<Vec<_>, RpcStartError>>()?;
        let keys = accounts.iter().copied().zip(config.dev_keys.iter().cloned()).collect();
        Ok(Self {
            filters: Filters::new(&node),
            node,
            keys,
            accounts,
            sending: tokio::sync::Mutex::default(),
            addresses: Index::default(),
            pending: PendingCache::default(),
            work: Work::default(),
            is_public: !config.is_loopback(),
            directory: config.directory,
            limits: config.limits,
            ready: Ready::default(),
            subscriptions: Arc::new(Semaphore::new(limits::SUBSCRIPTIONS)),
            subscribers: Subscribers::default(),
        })
    }

    /// The chain as it is now.
    pub fn chain(&self) -> &ChainReader {
        self.node.reader()
    }

    /// Rules of the network.
    pub fn spec(&self) -> &ChainSpec {
        self.chain().spec()
    }

    /// Whose forms answers have.
    pub fn voice(&self) -> Voice {
        match self.chain().rules() {
            Rules::Clique => Voice::Geth,
            Rules::Replay(_) => Voice::Standard,
        }
    }

    /// Hash of the head.
    pub fn head_hash(&self) -> B256 {
        self.chain().head().block.hash()
    }
}
