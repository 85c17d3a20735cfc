//! Who signed a transaction: found out once, off the runtime's threads, before the pool sees it.
//!
//! Recovery costs some 50 µs, more than anything else a transfer asks of the node, so only a few
//! run at a time and the writer thread never does it for a transaction that came through the pool.

use std::sync::Arc;

use alloy_consensus::transaction::SignerRecoverable as _;
use alloy_primitives::Address;
use chain::block::Transaction;
use tokio::sync::Semaphore;

use crate::error::SubmitError;

/// Recoveries at a time: two keep up with any client, and leave the writer its core.
const WORKERS: usize = 2;

/// The recovery workers.
#[derive(Debug, Clone)]
pub(crate) struct Recovery(Arc<Semaphore>);

impl Default for Recovery {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(WORKERS)))
    }
}

impl Recovery {
    /// The account whose key signed `transaction`.
    ///
    /// # Errors
    /// [`SubmitError::InvalidSender`] if no key fits the signature, or its s is in the upper half (EIP-2).
    pub(crate) async fn sender(
        &self,
        transaction: Arc<Transaction>,
    ) -> Result<(Arc<Transaction>, Address), SubmitError> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|_| SubmitError::Stopped)?;
        let recover = move || {
            let sender = transaction.recover_signer();
            drop(permit);
            sender.map(|sender| (transaction, sender)).map_err(|_| SubmitError::InvalidSender)
        };
        tokio::task::spawn_blocking(recover).await.map_err(|_| SubmitError::Stopped)?
    }
}
