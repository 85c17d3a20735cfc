//! Recent blocks as JSON, rendered once and sent many times: block with hashes, block with transactions, receipts, logs.
//!
//! A block's JSON follows from its hash alone, so nothing here ever has to be corrected: after a reorganisation other
//! hashes are asked for, and what nobody asks for goes. Made on first use, never while a block is imported.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use alloy_primitives::B256;
use axum::body::Bytes;
use chain::blockchain::ExecutedBlock;
use serde_json::Value;

use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    error::RpcError,
    eth::{
        block::render_block,
        log::{self, LogFilter, Search},
        transaction::render_receipt,
    },
    limits,
    param::Args,
    voice::Voice,
};

/// The kept blocks of one server.
#[derive(Debug, Default)]
pub struct Ready(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_hash: HashMap<B256, Arc<BlockJson>>,
    /// Hashes in the order in which they came.
    order: VecDeque<B256>,
}

/// What is kept of one block.
#[derive(Debug, Default)]
pub struct BlockJson {
    hashes: OnceLock<Bytes>,
    whole: OnceLock<Bytes>,
    receipts: OnceLock<Bytes>,
    logs: OnceLock<LogsJson>,
}

/// All logs of a block, as a list.
#[derive(Debug)]
pub struct LogsJson {
    /// Whose they are; they are looked through before they are sent.
    block: Arc<ExecutedBlock>,
    text: Bytes,
    /// Where each one ends.
    ends: Vec<usize>,
}

impl LogsJson {
    fn new(block: &Arc<ExecutedBlock>, voice: Voice) -> Self {
        let (mut text, mut ends) = (String::from("["), Vec::new());
        for position in log::positions(block) {
            if !ends.is_empty() {
                text.push(',');
            }
            text.push_str(&log::render(block, position, false, voice).to_string());
            ends.push(text.len());
        }
        text.push(']');
        Self { block: Arc::clone(block), text: text.into(), ends }
    }

    /// The one at this index.
    pub fn at(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(1, |before| self.ends[before] + 1);
        self.text.get(start..end)
    }

    /// The whole list.
    pub fn all(&self) -> &Bytes {
        &self.text
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }
}

impl BlockJson {
    fn bytes(&self) -> usize {
        let texts = [&self.hashes, &self.whole, &self.receipts];
        let texts = texts.iter().filter_map(|text| text.get()).map(Bytes::len).sum::<usize>();
        texts + self.logs.get().map_or(0, |logs| logs.text.len() * 2 + logs.ends.len() * 8)
    }

    /// The logs of the block, which must be this one.
    pub fn logs(&self, block: &Arc<ExecutedBlock>, voice: Voice) -> &LogsJson {
        self.logs.get_or_init(|| LogsJson::new(block, voice))
    }
}

/// Which form of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Hashes,
    Whole,
    Receipts,
}

impl Form {
    fn of(self, kept: &BlockJson) -> &OnceLock<Bytes> {
        match self {
            Self::Hashes => &kept.hashes,
            Self::Whole => &kept.whole,
            Self::Receipts => &kept.receipts,
        }
    }

    fn render(self, block: &ExecutedBlock, context: &Context) -> Bytes {
        let voice = context.voice();
        let value = match self {
            Self::Hashes => render_block(block, false, voice),
            Self::Whole => render_block(block, true, voice),
            Self::Receipts => Value::Array(
                (0..block.receipts.len()).map(|i| render_receipt(block, i, context)).collect(),
            ),
        };
        value.to_string().into()
    }
}

impl Ready {
    /// What is kept of a block, if anything is.
    fn kept(&self, hash: B256) -> Option<Arc<BlockJson>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_hash.get(&hash).cloned()
    }

    /// The block itself, if its logs are kept: nothing has to be read and decoded to look at them.
    pub fn block_with_logs(&self, hash: B256) -> Option<Arc<ExecutedBlock>> {
        self.kept(hash)?.logs.get().map(|logs| Arc::clone(&logs.block))
    }

    /// The place of a block. The blocks that came first make room for it.
    pub fn block(&self, hash: B256) -> Arc<BlockJson> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.by_hash.get(&hash) {
            return Arc::clone(found);
        }
        let place = Arc::<BlockJson>::default();
        kept.by_hash.insert(hash, Arc::clone(&place));
        kept.order.push_back(hash);
        while kept.order.len() > limits::READY_BLOCKS
            || kept.by_hash.values().map(|block| block.bytes()).sum::<usize>() > limits::READY_BYTES
        {
            let Some(oldest) = kept.order.pop_front() else { break };
            kept.by_hash.remove(&oldest);
        }
        place
    }
}

/// The methods that kept bytes may answer.
pub fn knows(method: &str) -> bool {
    let known =
        ["eth_getBlockByNumber", "eth_getBlockByHash", "eth_getBlockReceipts", "eth_getLogs"];
    known.contains(&method)
}

/// Answers what can be answered with kept bytes; `None` leaves the call to its handler, which also finds the words for
/// what is wrong with it.
pub async fn answer(
    context: &Arc<Context>,
    method: &str,
    params: Option<&str>,
) -> Option<Result<Bytes, RpcError>> {
    match method {
        "eth_getBlockByNumber" => {
            let (number, is_full): (BlockNumber, bool) = read(params)?;
            let form = if is_full { Form::Whole } else { Form::Hashes };
            if let Some(kept) = kept_by_number(context, number, form) {
                return Some(Ok(kept));
            }
            give(context, by_number(context, number)?, form).await
        }
        "eth_getBlockByHash" => {
            let (hash, is_full): (B256, bool) = read(params)?;
            let form = if is_full { Form::Whole } else { Form::Hashes };
            if let Some(kept) = kept_by_hash(context, hash, form) {
                return Some(Ok(kept));
            }
            give(context, context.chain().block_by_hash(hash).ok()??, form).await
        }
        "eth_getBlockReceipts" => {
            let (id,): (BlockId,) = read(params)?;
            let block = match id {
                BlockId::Number(number) => {
                    if let Some(kept) = kept_by_number(context, number, Form::Receipts) {
                        return Some(Ok(kept));
                    }
                    by_number(context, number)?
                }
                BlockId::Hash { .. } => id.block(context).ok()??,
            };
            give(context, block, Form::Receipts).await
        }
        "eth_getLogs" => {
            let (filter,): (LogFilter,) = read(params)?;
            Some(logs(context, filter).await)
        }
        _ => None,
    }
}

fn read<T: crate::param::Params>(params: Option<&str>) -> Option<T> {
    Args::parse(params).ok()?.read().ok()
}

/// The block of a number or word that means one block for good.
fn by_number(context: &Context, number: BlockNumber) -> Option<Arc<ExecutedBlock>> {
    match number {
        BlockNumber::Pending => None,
        other => other.block(context).ok()?,
    }
}

/// The kept bytes of a canonical block, without a look at the block: one that is flushed would be read and decoded.
fn kept_by_number(context: &Context, number: BlockNumber, form: Form) -> Option<Bytes> {
    let hash = match number {
        BlockNumber::Latest => context.head_hash(),
        BlockNumber::Number(number) => context.chain().canonical_hash(number).ok()??,
        _ => return None,
    };
    kept_by_hash(context, hash, form)
}

/// The kept bytes of a block.
fn kept_by_hash(context: &Context, hash: B256, form: Form) -> Option<Bytes> {
    form.of(&*context.ready.kept(hash)?).get().cloned()
}

/// The kept bytes; the first to ask has them made, on a thread where it may take its time.
async fn give(
    context: &Arc<Context>,
    block: Arc<ExecutedBlock>,
    form: Form,
) -> Option<Result<Bytes, RpcError>> {
    let head = context.chain().head().number();
    if head.saturating_sub(block.number()) >= limits::READY_BLOCKS as u64 {
        return None;
    }
    let kept = context.ready.block(block.hash());
    if let Some(bytes) = form.of(&kept).get() {
        return Some(Ok(bytes.clone()));
    }
    if block.receipts.len() <= SMALL_BLOCK {
        return Some(Ok(form.of(&kept).get_or_init(|| form.render(&block, context)).clone()));
    }
    let own = Arc::clone(context);
    let make = move || Ok(form.of(&kept).get_or_init(|| form.render(&block, &own)).clone());
    Some(context.work.run(make).await)
}

/// Transactions of a block that is rendered at once: less than handing it to another thread costs.
const SMALL_BLOCK: usize = 8;

/// `eth_getLogs`: at once if there is nothing to find or all of it is kept, else on a thread of its own.
async fn logs(context: &Arc<Context>, filter: LogFilter) -> Result<Bytes, RpcError> {
    let search = Search::new(context, filter)?;
    if let Some(found) = search.at_once(context)? {
        return Ok(found);
    }
    let run = Arc::clone(context);
    context.work.run(move || search.run(&run)).await
}
