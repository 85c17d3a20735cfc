//! Follows the chain: polls `eth_getLogs` from a block cursor and applies each log in order.
//!
//! When the block under the cursor is no longer canonical, the tables are thrown away and read again from block 0: simple,
//! and the same result as undoing.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use serde_json::json;
use tokio::sync::watch;

use super::{
    Chain, Head,
    events::{Log, SOURCES},
    tables::Tables,
};
use crate::error::EdgeError;

/// Blocks asked for in one `eth_getLogs`: nodes bound the range.
const BLOCKS_A_CALL: u64 = 2_000;
/// Pause between two looks at the head.
const POLL_PAUSE: Duration = Duration::from_millis(250);

/// The tables, kept up to date by [`Follower::run`] and read by everybody else.
#[derive(Debug)]
pub struct Follower {
    chain: Arc<Chain>,
    tables: RwLock<Tables>,
    at: watch::Sender<Option<Head>>,
    /// One reader at a time: applying a range twice, or an older one later, would bring an ended right back for a moment.
    turn: tokio::sync::Mutex<()>,
}

impl Follower {
    /// Empty tables of `chain`.
    pub fn new(chain: Arc<Chain>) -> Follower {
        Follower {
            chain,
            tables: RwLock::default(),
            at: watch::Sender::new(None),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Reads the tables; the closure must be short and never waits.
    pub fn read<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        look(&self.tables.read().expect("no holder of the lock panics"))
    }

    /// The block the tables stand at.
    pub fn head(&self) -> Option<Head> {
        *self.at.borrow()
    }

    /// Waits until the tables include `block_number`, so that an edge sees its own acts.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] if that takes longer than `patience`.
    pub async fn reach(&self, block_number: u64, patience: Duration) -> Result<(), EdgeError> {
        let mut at = self.at.subscribe();
        let reached = at.wait_for(|head| head.is_some_and(|head| head.number >= block_number));
        match tokio::time::timeout(patience, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(EdgeError::Chain(format!(
                "the logs of block {block_number} did not arrive within {} s",
                patience.as_secs()
            ))),
        }
    }

    /// Brings the tables to the newest block once.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] if the node does not answer or a log does not decode.
    pub async fn catch_up(&self) -> Result<(), EdgeError> {
        let _turn = self.turn.lock().await;
        let newest = self.chain.head().await?;
        let mut from = match self.head() {
            None => 0,
            Some(at) if at.number == newest.number && at.hash == newest.hash => return Ok(()),
            Some(at) => match self.chain.block(at.number).await? {
                Some((_, now)) if now.hash == at.hash => at.number + 1,
                _ => {
                    *self.tables.write().expect("no holder of the lock panics") = Tables::default();
                    self.at.send_replace(None);
                    0
                }
            },
        };
        while from <= newest.number {
            let to = newest.number.min(from + BLOCKS_A_CALL - 1);
            let logs = self.logs(from, to).await?;
            let mut tables = self.tables.write().expect("no holder of the lock panics");
            for log in &logs {
                tables.apply(log, self.chain.chain_id())?;
            }
            drop(tables);
            from = to + 1;
        }
        self.at.send_replace(Some(newest));
        Ok(())
    }

    async fn logs(&self, from: u64, to: u64) -> Result<Vec<Log>, EdgeError> {
        let filter = json!([{
            "fromBlock": format!("{from:#x}"),
            "toBlock": format!("{to:#x}"),
            "address": SOURCES,
        }]);
        let answer = self.chain.rpc().call("eth_getLogs", filter).await?;
        serde_json::from_value(answer)
            .map_err(|e| EdgeError::Chain(format!("the node's logs do not read: {e}")))
    }

    /// Follows the chain until `stop` says so; a node that is away is tried again.
    pub async fn run(self: Arc<Follower>, mut stop: watch::Receiver<bool>) {
        let mut was_away = false;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stopping| *stopping) => return,
                () = tokio::time::sleep(POLL_PAUSE) => {}
            }
            let result = tokio::select! {
                _ = stop.wait_for(|stopping| *stopping) => return,
                result = self.catch_up() => result,
            };
            if let (Err(error), false) = (&result, was_away) {
                tracing::warn!(%error, "cannot follow the chain, will keep trying");
            }
            was_away = result.is_err();
        }
    }
}
