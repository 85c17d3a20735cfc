//! Logs: criteria, matching, ranges, `eth_getLogs`.

use std::{collections::BTreeSet, sync::Arc};

use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};
use axum::body::Bytes;
use chain::{blockchain::ExecutedBlock, store::log_index::LogKey};
use serde_json::{Value, json};

use crate::{
    block_id::BlockNumber,
    context::Context,
    error::{RpcError, RpcResult},
    limits,
    param::{self, Args, Flaw, Param},
    render::{address, data, quantity},
    voice::Voice,
};

/// Topic positions of a log (EVM `LOG0` to `LOG4`).
const TOPICS: usize = 4;

/// Which logs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Criteria {
    /// Emitting contracts; empty is any.
    pub addresses: BTreeSet<Address>,
    /// Allowed values at each position; empty is any, but the log must have that position.
    pub topics: Vec<BTreeSet<B256>>,
}

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// In one block.
    Block(B256),
    /// In these blocks of the chain, both included.
    Between(BlockNumber, BlockNumber),
}

/// The object parameter of `eth_getLogs`, `eth_newFilter` and `eth_subscribe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// Which logs.
    pub criteria: Criteria,
    /// Of which blocks.
    pub range: Range,
}

/// Where in its block a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Position of the transaction in the block.
    pub transaction: usize,
    /// Position of the log in the receipt.
    pub log: usize,
    /// Position of the log in the block.
    pub log_index: usize,
}

impl Criteria {
    /// True if the log is wanted.
    pub fn matches(&self, log: &Log) -> bool {
        let has_address = self.addresses.is_empty() || self.addresses.contains(&log.address);
        has_address
            && self.topics.len() <= log.topics().len()
            && self
                .topics
                .iter()
                .zip(log.topics())
                .all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
    }

    /// False if the bloom proves that no log below it is wanted.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        let has_address = self.addresses.is_empty()
            || self.addresses.iter().any(|address| has(address.as_slice()));
        has_address
            && self
                .topics
                .iter()
                .all(|set| set.is_empty() || set.iter().any(|topic| has(topic.as_slice())))
    }

    /// What an index of logs is asked: some key of each set.
    pub fn keys(&self) -> Vec<Vec<LogKey>> {
        let addresses = self.addresses.iter().map(|address| LogKey::address(*address)).collect();
        let topics = self.topics.iter().enumerate().map(|(position, set)| {
            set.iter().map(|topic| LogKey::topic(position, *topic)).collect::<Vec<_>>()
        });
        let mut sets: Vec<Vec<LogKey>> = std::iter::once(addresses).chain(topics).collect();
        sets.retain(|set| !set.is_empty());
        if sets.is_empty() {
            sets.push(vec![LogKey::ANY]);
        }
        // the rarest first, as far as one can tell: topics are rarer than addresses
        sets.reverse();
        sets
    }

    /// Places of the wanted logs of a block, in order.
    pub fn find_in(&self, block: &ExecutedBlock) -> Vec<Position> {
        if !self.may_match(&block.block.header().logs_bloom) {
            return Vec::new();
        }
        positions(block)
            .filter(|at| self.matches(&block.receipts[at.transaction].logs[at.log]))
            .collect()
    }
}

/// Places of all logs of a block, in order.
pub fn positions(block: &ExecutedBlock) -> impl Iterator<Item = Position> {
    let all = block.receipts.iter().enumerate().flat_map(|(transaction, receipt)| {
        (0..receipt.logs.len()).map(move |log| (transaction, log))
    });
    all.enumerate().map(|(log_index, (transaction, log))| Position { transaction, log, log_index })
}

impl Param for LogFilter {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let empty = json!({});
        let object = if value.is_null() { &empty } else { value };
        if !object.is_object() {
            return Err("non-object".into());
        }
        let hash = param::member::<B256>(object, "blockHash")?;
        let from = param::member::<BlockNumber>(object, "fromBlock")?;
        let to = param::member::<BlockNumber>(object, "toBlock")?;
        let range = match (hash, from, to) {
            (Some(hash), None, None) => Range::Block(hash),
            (Some(_), ..) => {
                let text =
                    "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other";
                return Err(text.into());
            }
            (None, from, to) => {
                let latest = BlockNumber::Latest;
                Range::Between(from.unwrap_or(latest), to.unwrap_or(latest))
            }
        };
        let addresses = addresses(object.get("address"))?;
        let topics = topics(object.get("topics"))?;
        Ok(Self { criteria: Criteria { addresses, topics }, range })
    }
}

fn addresses(value: Option<&Value>) -> Result<BTreeSet<Address>, Flaw> {
    let read =
        |value: &Value| -> Result<Address, Flaw> { fixed(value, "address").map(Address::new) };
    match value {
        None | Some(Value::Null) => Ok(BTreeSet::new()),
        Some(one @ Value::String(_)) => read(one)
            .map(|address| BTreeSet::from([address]))
            .map_err(|flaw| prefix("invalid address", flaw)),
        Some(Value::Array(list)) if list.len() > limits::LOG_CRITERIA => {
            Err(RpcError::Limit(format!("query exceeds max addresses {}", limits::LOG_CRITERIA))
                .into())
        }
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, value)| {
                if !value.is_string() {
                    return Err(format!("non-string address at index {index}").into());
                }
                read(value)
                    .map_err(|flaw| prefix(&format!("invalid address at index {index}"), flaw))
            })
            .collect(),
        Some(_) => Err("invalid addresses in query".into()),
    }
}

fn topics(value: Option<&Value>) -> Result<Vec<BTreeSet<B256>>, Flaw> {
    let list = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("invalid topic(s)".into()),
    };
    if list.len() > TOPICS {
        return Err("exceed max topics".into());
    }
    list.iter().map(topic_position).collect()
}

/// One position: a value, a list of values, or null. A null inside of a list makes the whole list
/// any.
fn topic_position(value: &Value) -> Result<BTreeSet<B256>, Flaw> {
    let read = |value: &Value| fixed(value, "topic").map(B256::new);
    match value {
        Value::Null => Ok(BTreeSet::new()),
        Value::String(_) => Ok(BTreeSet::from([read(value)?])),
        Value::Array(list) if list.len() > limits::LOG_CRITERIA => {
            Err(RpcError::Limit(format!("query exceeds max topics {}", limits::LOG_CRITERIA))
                .into())
        }
        Value::Array(list) if list.iter().any(Value::is_null) => Ok(BTreeSet::new()),
        Value::Array(list) => list
            .iter()
            .map(
                |value| {
                    if value.is_string() { read(value) } else { Err("invalid topic(s)".into()) }
                },
            )
            .collect(),
        _ => Err("invalid topic(s)".into()),
    }
}

/// Exactly `N` bytes, with the words geth has for filters alone.
fn fixed<const N: usize>(value: &Value, what: &str) -> Result<[u8; N], Flaw> {
    let bytes = param::data_bytes(param::text(value)?)?;
    <[u8; N]>::try_from(bytes.as_slice()).map_err(|_| {
        format!("hex has invalid length {} after decoding; expected {N} for {what}", bytes.len())
            .into()
    })
}

fn prefix(words: &str, flaw: Flaw) -> Flaw {
    match flaw {
        Flaw::Form(text) => Flaw::Form(format!("{words}: {text}")),
        whole @ Flaw::Whole(_) => whole,
    }
}

/// `eth_getLogs`, for a caller that waits for its parameters to be found wrong; [`crate::ready`] answers the others.
pub fn get_logs(context: &Context, args: &Args) -> RpcResult {
    let (filter,): (LogFilter,) = args.read()?;
    find(context, filter)
}

/// All wanted logs of the filter's range, oldest first.
///
/// # Errors
/// -32000 for an unknown block or a reversed range; -32005 if there are too many.
pub fn find(context: &Context, filter: LogFilter) -> RpcResult {
    read(&Search::new(context, filter)?.run(context)?)
}

/// As [`find`], however long the range: for questions of ours that the index answers.
///
/// # Errors
/// As [`find`].
pub fn find_in_all(context: &Context, filter: LogFilter) -> RpcResult {
    read(&Search::over(context, filter, u64::MAX)?.run(context)?)
}

fn read(found: &[u8]) -> RpcResult {
    serde_json::from_slice(found).map_err(|error| RpcError::Internal(error.to_string()))
}

/// Blocks asked of the index at once.
const INDEX_STEP: usize = 256;

/// A search for logs whose range is known.
#[derive(Debug)]
pub struct Search {
    criteria: Criteria,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// In this block.
    Block(Arc<ExecutedBlock>),
    /// In these blocks, both included; none if reversed.
    Between(u64, u64),
}

impl Search {
    /// Finds the range.
    ///
    /// # Errors
    /// -32000 for an unknown block or a reversed range; -32005 if it is too wide.
    pub fn new(context: &Context, filter: LogFilter) -> Result<Self, RpcError> {
        let most = if context.is_public { context.limits.log_range } else { u64::MAX };
        Self::over(context, filter, most)
    }

    /// Finds the range, of fewer blocks than `most` from its first to its last.
    fn over(context: &Context, filter: LogFilter, most: u64) -> Result<Self, RpcError> {
        let LogFilter { criteria, range } = filter;
        let place = match range {
            Range::Block(hash) => {
                let block = match context.ready.block_with_logs(hash) {
                    Some(kept) => Some(kept),
                    None => context.chain().block_by_hash(hash)?,
                };
                Place::Block(block.ok_or_else(|| RpcError::Server("unknown block".to_owned()))?)
            }
            Range::Between(from, to) => {
                let (from, to) = resolve_range(context, from, to)?;
                if to.saturating_sub(from) >= most {
                    return Err(RpcError::Limit(format!("query exceeds max block range {most}")));
                }
                Place::Between(from, to)
            }
        };
        Ok(Self { criteria, place })
    }

    /// The answer if it takes no time: nothing to find, or one block whose logs are kept as JSON.
    ///
    /// # Errors
    /// What the store says if it fails; -32005 if there are too many.
    pub fn at_once(&self, context: &Context) -> Result<Option<Bytes>, RpcError> {
        let block = match &self.place {
            Place::Block(block) => block.clone(),
            Place::Between(from, to) => {
                let blocks = self.blocks(context, *from, *to, 2)?;
                match blocks.as_slice() {
                    [] => return Ok(Some(Bytes::from_static(b"[]"))),
                    [one] => match kept_or_read(context, *one)? {
                        Some(block) => block,
                        None => return Ok(None),
                    },
                    _ => return Ok(None),
                }
            }
        };
        let is_kept = context.ready.block_with_logs(block.hash()).is_some();
        if !is_kept && block.receipts.len() > ONE_GO {
            return Ok(None);
        }
        let mut out = Found::default();
        out.take(context, &block, &self.criteria);
        out.finish(block.number(), block.number()).map(Some)
    }

    /// Walks the range.
    ///
    /// # Errors
    /// What the store says if it fails; -32005 if there are too many.
    pub fn run(&self, context: &Context) -> Result<Bytes, RpcError> {
        let mut out = Found::default();
        let (start, to) = match &self.place {
            Place::Block(block) => {
                out.take(context, block, &self.criteria);
                return out.finish(block.number(), block.number());
            }
            Place::Between(from, to) => (*from, *to),
        };
        let mut from = start;
        loop {
            let blocks = self.blocks(context, from, to, INDEX_STEP)?;
            for number in &blocks {
                let Some(block) = kept_or_read(context, *number)? else { break };
                out.take(context, &block, &self.criteria);
                if out.count > limits::LOG_RESULTS {
                    return Err(too_many(start, *number));
                }
            }
            match blocks.last() {
                Some(last) if blocks.len() == INDEX_STEP => from = last + 1,
                _ => return out.finish(start, to),
            }
        }
    }

    fn blocks(
        &self,
        context: &Context,
        from: u64,
        to: u64,
        most: usize,
    ) -> Result<Vec<u64>, RpcError> {
        let may_have = |bloom: &Bloom| self.criteria.may_match(bloom);
        Ok(context.chain().log_blocks(from, to, &self.criteria.keys(), may_have, most)?)
    }
}

/// A canonical block, kept or read.
fn kept_or_read(context: &Context, number: u64) -> Result<Option<Arc<ExecutedBlock>>, RpcError> {
    let Some(hash) = context.chain().canonical_hash(number)? else { return Ok(None) };
    match context.ready.block_with_logs(hash) {
        Some(kept) => Ok(Some(kept)),
        None => Ok(context.chain().block_by_hash(hash)?),
    }
}

/// Transactions of a block whose logs are written at once though nobody keeps them.
const ONE_GO: usize = 8;

/// The JSON of logs that were found, with the bracket before the first.
#[derive(Debug, Default)]
struct Found {
    count: usize,
    /// All logs of one block, as they are kept.
    whole: Option<Bytes>,
    text: Vec<u8>,
}

impl Found {
    /// Adds the wanted logs of a block.
    fn take(&mut self, context: &Context, block: &Arc<ExecutedBlock>, criteria: &Criteria) {
        let places = criteria.find_in(block);
        if places.is_empty() {
            return;
        }
        let is_recent = context.chain().head().number().saturating_sub(block.number())
            < limits::READY_BLOCKS as u64;
        if !is_recent {
            for place in places {
                self.push(render(block, place, false, context.voice()).to_string().as_bytes());
            }
            return;
        }
        let kept = context.ready.block(block.hash());
        let logs = kept.logs(block, context.voice());
        if places.len() == logs.count() && self.count == 0 {
            self.count = logs.count();
            self.whole = Some(logs.all().clone());
            return;
        }
        for place in places {
            if let Some(log) = logs.at(place.log_index) {
                self.push(log);
            }
        }
    }

    fn push(&mut self, log: &[u8]) {
        if let Some(whole) = self.whole.take() {
            self.text.extend_from_slice(whole.strip_suffix(b"]").unwrap_or(&whole));
        }
        self.text.push(if self.text.is_empty() { b'[' } else { b',' });
        self.text.extend_from_slice(log);
        self.count += 1;
    }

    fn finish(mut self, from: u64, to: u64) -> Result<Bytes, RpcError> {
        if self.count > limits::LOG_RESULTS {
            return Err(too_many(from, to));
        }
        if let Some(whole) = self.whole {
            return Ok(whole);
        }
        if self.text.is_empty() {
            self.text.push(b'[');
        }
        self.text.push(b']');
        Ok(self.text.into())
    }
}

/// The numbers of a range, cut to the head; an empty one has `from` above `to`.
fn resolve_range(
    context: &Context,
    from: BlockNumber,
    to: BlockNumber,
) -> Result<(u64, u64), RpcError> {
    let head = context.chain().head().block.header().number;
    let is_standard = context.voice().is_standard();
    let invalid = || {
        let text = "invalid block range params".to_owned();
        if is_standard { RpcError::Params(text) } else { RpcError::Server(text) }
    };
    if is_standard && matches!(to, BlockNumber::Number(to) if to > head) {
        let text = "block range extends beyond current head block";
        return Err(RpcError::Params(text.to_owned()));
    }
    match (from, to) {
        (BlockNumber::Number(from), BlockNumber::Number(to)) if from > to && to > 0 => {
            return Err(invalid());
        }
        (BlockNumber::Pending, to) if to != BlockNumber::Pending => return Err(invalid()),
        _ => {}
    }
    let resolve = |end: BlockNumber| match end {
        BlockNumber::Safe | BlockNumber::Finalized if context.node.marked().is_some() => {
            Ok(end.block(context)?.map_or(head, |block| block.number()))
        }
        BlockNumber::Number(number) => Ok(number),
        BlockNumber::Earliest => Ok(0),
        BlockNumber::Latest | BlockNumber::Pending => Ok(head),
        BlockNumber::Safe => Err(RpcError::Server("safe header not found".to_owned())),
        BlockNumber::Finalized => Err(RpcError::Server("finalized header not found".to_owned())),
    };
    Ok((resolve(from)?, resolve(to)?.min(head)))
}

/// The block before the one that overflowed still fits, unless it is the first.
fn too_many(from: u64, overflowed: u64) -> RpcError {
    let max = limits::LOG_RESULTS;
    let last = overflowed.saturating_sub(1).max(from);
    RpcError::Limit(format!("query exceeds max results {max}, retry with the range {from}-{last}"))
}

/// The wanted logs of a block, for those who follow a living chain: a Clique chain.
pub fn render_all(block: &Arc<ExecutedBlock>, criteria: &Criteria, is_removed: bool) -> Vec<Value> {
    let places = criteria.find_in(block).into_iter();
    places.map(|position| render(block, position, is_removed, Voice::Geth)).collect()
}

/// One log; the position must exist. `removed` tells listeners that its block left the chain.
pub fn render(block: &ExecutedBlock, position: Position, is_removed: bool, voice: Voice) -> Value {
    let log = &block.receipts[position.transaction].logs[position.log];
    let topics: Vec<Value> = log.topics().iter().map(data).collect();
    let mut out = json!({
        "address": address(log.address),
        "topics": topics,
        "data": data(&log.data.data),
        "blockNumber": quantity(block.block.header().number),
        "transactionHash": data(super::transaction::hash_at(block, position.transaction)),
        "transactionIndex": quantity(position.transaction),
        "blockHash": data(block.block.hash()),
        "logIndex": quantity(position.log_index),
        "removed": is_removed,
    });
    if voice.is_standard() {
        out["blockTimestamp"] = quantity(block.block.header().timestamp);
    }
    out
}

#[cfg(test)]
mod tests {
    use alloy_primitives::LogData;

    use super::*;

    fn log(address: u8, topics: &[u8]) -> Log {
        let topics = topics.iter().map(|byte| B256::repeat_byte(*byte)).collect();
        let data = LogData::new_unchecked(topics, vec![].into());
        Log { address: Address::repeat_byte(address), data }
    }

    fn criteria(value: &Value) -> Criteria {
        LogFilter::from_json(value).expect("a filter").criteria
    }

    #[test]
    fn criteria_match_by_position() {
        let topic = |byte| B256::repeat_byte(byte);
        for (filter, log, is_wanted) in [
            (json!({}), log(1, &[]), true),
            (json!(null), log(1, &[2]), true),
            (json!({"address": Address::repeat_byte(1)}), log(1, &[]), true),
            (json!({"address": Address::repeat_byte(1)}), log(2, &[]), false),
            (json!({"address": []}), log(2, &[]), true),
            (json!({"topics": [topic(7)]}), log(1, &[7, 8]), true),
            (json!({"topics": [null, topic(8)]}), log(1, &[7, 8]), true),
            (json!({"topics": [topic(8)]}), log(1, &[7, 8]), false),
            (json!({"topics": [null]}), log(1, &[]), false),
            (json!({"topics": [[topic(6), topic(7)]]}), log(1, &[7]), true),
            (json!({"topics": [[topic(6), null]]}), log(1, &[7]), true),
            (json!({"topics": [[]]}), log(1, &[7]), true),
        ] {
            let criteria = criteria(&filter);
            assert_eq!(criteria.matches(&log), is_wanted, "{filter}");
            let bloom: Bloom = std::iter::once(&log).collect();
            assert!(!is_wanted || criteria.may_match(&bloom), "{filter}");
        }
    }

    #[test]
    fn broken_filters_say_what() {
        for (filter, text) in [
            (json!({"topics": [null, null, null, null, null]}), "exceed max topics"),
            (json!({"topics": "0x"}), "invalid topic(s)"),
            (
                json!({"topics": ["0x01"]}),
                "hex has invalid length 1 after decoding; expected 32 for topic",
            ),
            (json!({"address": 1}), "invalid addresses in query"),
            (
                json!({"address": "0x01"}),
                "invalid address: hex has invalid length 1 after decoding; expected 20 for address",
            ),
            (
                json!({"address": [Address::ZERO, "0x01"]}),
                "invalid address at index 1: hex has invalid length 1 after decoding; expected 20 for address",
            ),
        ] {
            assert_eq!(LogFilter::from_json(&filter), Err(text.into()), "{filter}");
        }
        let both = json!({"blockHash": B256::ZERO, "fromBlock": "0x1"});
        assert!(matches!(LogFilter::from_json(&both), Err(Flaw::Form(_))));
    }
}
