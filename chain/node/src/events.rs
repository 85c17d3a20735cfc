//! What a node tells its listeners, and how far a listener may fall behind.

use std::sync::Arc;

use chain::{blockchain::HeadChange, pool::PoolTransaction};
use tokio::sync::broadcast;

/// Head changes kept for slow listeners: at a block a second more than four minutes.
pub const HEAD_CAPACITY: usize = 256;
/// Batches of arrived transactions kept for slow listeners; they hold an `Arc` for each.
pub const PENDING_CAPACITY: usize = 1_024;

/// Something happened to the chain. It is on disk, and readers see it, before it is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ChainEvent {
    /// The head moved: some blocks may have left the chain, at least one has joined it.
    NewHead(Arc<HeadChange>),
}

/// Transactions that may enter a block, in the order in which they became executable.
#[derive(Debug, Clone)]
pub struct PendingTransactions(pub Arc<[Arc<PoolTransaction>]>);

/// Both channels.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    heads: broadcast::Sender<ChainEvent>,
    pending: broadcast::Sender<PendingTransactions>,
}

impl Default for Events {
    fn default() -> Self {
        let (heads, _) = broadcast::channel(HEAD_CAPACITY);
        let (pending, _) = broadcast::channel(PENDING_CAPACITY);
        Self { heads, pending }
    }
}

impl Events {
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<ChainEvent> {
        self.heads.subscribe()
    }

    pub(crate) fn subscribe_pending(&self) -> broadcast::Receiver<PendingTransactions> {
        self.pending.subscribe()
    }

    /// Tells of a new head; nobody listening is fine.
    pub(crate) fn announce_head(&self, change: Arc<HeadChange>) {
        let _ = self.heads.send(ChainEvent::NewHead(change));
    }

    /// Tells of transactions; nobody listening is fine.
    pub(crate) fn announce_pending(&self, pending: PendingTransactions) {
        let _ = self.pending.send(pending);
    }
}
