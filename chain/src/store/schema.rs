//! Every table, frame and file of the store: name, bytes, who writes it.
//!
//! ```text
//! <datadir>/msnet/  LOCK  FORMAT           held while a process runs; "msnet 1\n"
//!                   blocks/000000.log …    frames 1, 2, 3; synced per block, the truth
//!                   diffs/000000.log …     frames 16; synced before the flush that relies on them
//!                   signer.journal         frames 32; synced before a seal is announced
//!                   state.redb             the tables; everything in it can be made again from the log
//! ```
//!
//! | frame | RLP after the kind byte |
//! |---|---|
//! | 1 block | `[block as on the wire, total difficulty, senders 20·t bytes]` |
//! | 2 receipts | `[block hash, [[status or root, cumulative gas, logs], …]]` |
//! | 3 bad | `[block hash, text]`, then the block on the wire if it has no frame 1 |
//! | 4 rewind | `[number]`: blocks above it that stand before this frame are passed over |
//! | 16 diff | `[number, block hash, part, parts, [[address, slim account or empty], …], [[address, slot, value], …]]`, values before the block; the parts of one diff stand one behind the other |
//! | 32 seal | `[signer, parent hash, number, seal hash, block hash]` |
//!
//! | table | key → value (integers big-endian) | written |
//! |---|---|---|
//! | `meta` | `format` → u32; `genesis` → hash; `flushed` → RLP `[number, hash, state root, log segment, log offset, diff segment, diff offset]`; `diff_from` → u64, the first block whose diff is kept (1 if absent); `logs_from` → u64, the first block in table `logs`; `bad` → RLP `[[segment, offset, length], …]` of frames 3, the oldest first | at each flush |
//! | | `config` → genesis JSON with an empty `alloc`: the forks that the chain was last run under | at each start that changes it |
//! | `blocks` | number 8 ‖ hash 32 → RLP `[total difficulty, block, receipts, diff]`, each `[segment, offset, length]` or empty | all branches, at flush; not genesis |
//! | `hashes` | hash → number 8 | all branches, at flush |
//! | `canon` | number 8 → hash | up to the flushed block |
//! | `txs` | transaction hash → number 8 ‖ index 4 | canonical only |
//! | `accounts` | address → slim account: RLP `[nonce, balance, storage root or empty, code hash or empty]` | at flush |
//! | `slots` | address ‖ slot 32 → value without leading zeros | at flush |
//! | `code` | hash → bytes | at flush, never deleted |
//! | `changed` | address [‖ slot 32] ‖ section u32 → u8 offsets ascending: the blocks section·256 + offset that changed the key | at flush |
//! | `logs` | place 1 ‖ keccak(value) 8 ‖ number 8 → nothing: the block has a log with that address (place 0) or topic (1 to 4), or any log (5) | canonical only, at flush |
//! | `snapshots` | block hash → RLP `[number, hash, [signer, …], [[number, signer], …], [[signer, block, address, add?], …], [[address, add?, votes], …]]` | every 1,024 blocks and at epoch blocks |

use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bytes, Log, U256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader, RlpDecodable, RlpEncodable};

use crate::{
    block::{Block, Header, Receipt, RecoveredBlock, Transaction},
    clique::snapshot::{Snapshot, Tally, Vote},
    error::ChainError,
    log::Position,
    spec::CliqueConfig,
    state::Diff,
};

/// Version in `meta.format`.
pub const FORMAT: u32 = 1;
/// First line of the file `FORMAT`.
pub const FORMAT_LINE: &str = "msnet 1";
/// Keys of table `meta`.
pub mod meta {
    /// → u32.
    pub const FORMAT: &[u8] = b"format";
    /// → hash of block 0.
    pub const GENESIS: &[u8] = b"genesis";
    /// → `clique` or `replay`: the rules the chain was made under.
    pub const ENGINE: &[u8] = b"engine";
    /// → [`super::Flushed`].
    pub const FLUSHED: &[u8] = b"flushed";
    /// → genesis JSON without accounts.
    pub const CONFIG: &[u8] = b"config";
    /// → u64, the first block whose diff is kept.
    pub const DIFF_FROM: &[u8] = b"diff_from";
    /// → [`super::super::BadBlocks`].
    pub const BAD: &[u8] = b"bad";
    /// → u64, the first block whose logs are indexed.
    pub const LOGS_FROM: &[u8] = b"logs_from";
}

/// Kind bytes of frames.
pub mod kind {
    /// A block.
    pub const BLOCK: u8 = 1;
    /// The receipts of a block that was run.
    pub const RECEIPTS: u8 = 2;
    /// A block that broke a rule when it was run.
    pub const BAD: u8 = 3;
    /// An operator took the chain back.
    pub const REWIND: u8 = 4;
    /// The old values of what a block changed.
    pub const DIFF: u8 = 16;
    /// A seal of ours.
    pub const SEAL: u8 = 32;
}

/// Frame 1.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct BlockFrame {
    /// Header and body.
    pub block: Block,
    /// Sum of the difficulties up to it.
    pub total_difficulty: U256,
    /// 20 bytes per transaction.
    pub senders: Bytes,
}

impl BlockFrame {
    /// The frame's payload.
    pub fn encode(block: &RecoveredBlock, total_difficulty: U256) -> Vec<u8> {
        let senders: Vec<u8> = block.senders().iter().flat_map(|sender| sender.0.0).collect();
        let block = BlockRef::new(block);
        with_kind(kind::BLOCK, &BlockFrameRef { block, total_difficulty, senders: &senders })
    }

    /// The block with its senders, which are not recovered again.
    pub fn into_block(self) -> (RecoveredBlock, U256) {
        let (senders, _) = self.senders.as_chunks::<20>();
        let senders = senders.iter().map(Address::from).collect();
        (RecoveredBlock::new_unhashed(self.block, senders), self.total_difficulty)
    }
}

/// A block that is encoded where it stands, since copying thousands of transactions costs more than writing them.
#[derive(RlpEncodable)]
#[rlp(trailing)]
struct BlockRef<'a> {
    header: &'a Header,
    transactions: &'a Vec<Transaction>,
    uncles: &'a Vec<Header>,
    withdrawals: Option<&'a Withdrawals>,
}

impl<'a> BlockRef<'a> {
    fn new(block: &'a RecoveredBlock) -> Self {
        let body = block.body();
        Self {
            header: block.header(),
            transactions: &body.transactions,
            uncles: &body.ommers,
            withdrawals: body.withdrawals.as_ref(),
        }
    }
}

#[derive(RlpEncodable)]
struct BlockFrameRef<'a> {
    block: BlockRef<'a>,
    total_difficulty: U256,
    senders: &'a [u8],
}

/// Frame 2.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct ReceiptsFrame {
    /// The block they belong to.
    pub block_hash: B256,
    receipts: Vec<ReceiptItem>,
}

#[derive(RlpEncodable)]
struct ReceiptsFrameRef<'a> {
    block_hash: B256,
    receipts: Vec<ReceiptItemRef<'a>>,
}

#[derive(RlpEncodable)]
struct ReceiptItemRef<'a> {
    status: &'a [u8],
    cumulative_gas_used: u64,
    logs: &'a Vec<Log>,
}

#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct ReceiptItem {
    /// 1, empty, or the 32-byte root of before Byzantium.
    status: Bytes,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
}

impl ReceiptsFrame {
    /// The frame's payload.
    pub fn encode(block_hash: B256, receipts: &[Receipt]) -> Vec<u8> {
        let receipts = receipts.iter().map(|receipt| ReceiptItemRef {
            status: match (&receipt.post_state, receipt.success) {
                (Some(root), _) => root.as_slice(),
                (None, true) => &[1],
                (None, false) => &[],
            },
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: &receipt.logs,
        });
        let receipts = receipts.collect();
        with_kind(kind::RECEIPTS, &ReceiptsFrameRef { block_hash, receipts })
    }

    /// The receipts, their types taken from the block's transactions.
    pub fn into_receipts(self, block: &Block) -> Vec<Receipt> {
        self.with_types(block.body.transactions.iter().map(alloy_consensus::Typed2718::ty))
    }

    /// The receipts of transactions of these types.
    pub(crate) fn with_types(self, types: impl Iterator<Item = u8>) -> Vec<Receipt> {
        let receipts = self.receipts.into_iter().zip(types).map(|(item, tx_type)| Receipt {
            tx_type,
            success: !item.status.is_empty(),
            post_state: B256::try_from(&item.status[..]).ok(),
            cumulative_gas_used: item.cumulative_gas_used,
            logs: item.logs,
        });
        receipts.collect()
    }
}

/// Frame 3.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
#[rlp(trailing)]
pub struct BadFrame {
    /// The block's hash.
    pub block_hash: B256,
    /// Why it is bad.
    pub text: String,
    /// The block on the wire, if it has no frame of its own.
    pub block: Option<Bytes>,
}

impl BadFrame {
    /// The frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        with_kind(kind::BAD, self)
    }
}

/// Keys in one part of a diff: 132 bytes each at most, so that a part fits a frame.
pub const DIFF_PART_KEYS: usize = 200_000;

/// Frame 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct RewindFrame {
    /// The block that became the head.
    pub number: u64,
}

/// Frame 16.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffFrame {
    /// The block's number.
    pub number: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Which part this is, from 0.
    pub part: u64,
    /// How many there are.
    pub parts: u64,
    /// What the block changed, before it: the keys of this part.
    pub diff: Diff,
}

impl DiffFrame {
    /// A diff in as many parts as it takes, each with at most `most_keys` keys.
    pub fn split(number: u64, block_hash: B256, mut diff: Diff, most_keys: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        loop {
            let accounts = diff.accounts.keys().nth(most_keys).copied();
            let accounts_left = accounts.map(|key| diff.accounts.split_off(&key));
            let room = most_keys - diff.accounts.len();
            let slots = diff.slots.keys().nth(room).copied();
            let slots_left = slots.map(|key| diff.slots.split_off(&key));
            let is_last = accounts_left.is_none() && slots_left.is_none();
            parts.push(diff);
            if is_last {
                break;
            }
            let (accounts, slots) = (accounts_left.unwrap_or_default(), slots_left);
            diff = Diff { accounts, slots: slots.unwrap_or_default() };
        }
        let count = parts.len() as u64;
        let frame = |(part, diff)| Self { number, block_hash, part, parts: count, diff };
        (0..).zip(parts).map(frame).collect()
    }

    /// The frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        self.number.encode(&mut payload);
        self.block_hash.encode(&mut payload);
        self.part.encode(&mut payload);
        self.parts.encode(&mut payload);
        self.diff.encode_lists(&mut payload);
        let mut out = vec![kind::DIFF];
        RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
        out.extend_from_slice(&payload);
        out
    }

    /// Reads a frame's payload.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] if it is anything else.
    pub fn decode(payload: &[u8]) -> Result<Self, ChainError> {
        let read = |mut bytes: &[u8]| -> alloy_rlp::Result<Self> {
            let mut items = RlpHeader::decode_bytes(&mut bytes, true)?;
            let (number, block_hash) = (u64::decode(&mut items)?, B256::decode(&mut items)?);
            let (part, parts) = (u64::decode(&mut items)?, u64::decode(&mut items)?);
            if part >= parts {
                return Err(alloy_rlp::Error::Custom("a part behind the last one"));
            }
            Ok(Self { number, block_hash, part, parts, diff: Diff::decode_lists(&mut items)? })
        };
        match payload.split_first() {
            Some((&kind::DIFF, bytes)) => read(bytes).map_err(|error| damaged("diff frame", error)),
            _ => Err(damaged("diff frame", alloy_rlp::Error::Custom("wrong kind"))),
        }
    }

    /// Joins the next part to those before.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] if it does not follow.
    pub fn join(&mut self, next: Self) -> Result<(), ChainError> {
        let expected = (self.number, self.block_hash, self.part + 1, self.parts);
        if (next.number, next.block_hash, next.part, next.parts) != expected {
            return Err(damaged("diff frame", alloy_rlp::Error::Custom("a part is missing")));
        }
        self.part = next.part;
        self.diff.accounts.extend(next.diff.accounts);
        self.diff.slots.extend(next.diff.slots);
        Ok(())
    }
}

/// Frame 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SealFrame {
    /// Our account.
    pub signer: Address,
    /// The block built on.
    pub parent_hash: B256,
    /// Height of the sealed block.
    pub number: u64,
    /// What was signed.
    pub seal_hash: B256,
    /// The sealed block.
    pub block_hash: B256,
}

/// Value of `meta.flushed`: the block that the tables stand at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Flushed {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Root of its state.
    pub state_root: B256,
    /// Where replay starts: no frame of a block above the flushed one stands before.
    pub log_segment: u32,
    /// The byte in that segment.
    pub log_offset: u64,
    /// End of the diffs that the tables rely on.
    pub diff_segment: u32,
    /// The byte in that segment.
    pub diff_offset: u64,
}

/// Where a block's frames lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRow {
    /// Sum of the difficulties up to it.
    pub total_difficulty: U256,
    /// Frame 1.
    pub block: Position,
    /// Frame 2, once the block was run.
    pub receipts: Option<Position>,
    /// Frame 16, if the block is canonical and flushed.
    pub diff: Option<Position>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct BlockRowRlp {
    total_difficulty: U256,
    block: Vec<u64>,
    receipts: Vec<u64>,
    diff: Vec<u64>,
}

impl BlockRow {
    /// The row's value.
    pub fn encode(&self) -> Vec<u8> {
        let list = |position: Option<Position>| {
            position
                .map_or_else(Vec::new, |at| vec![at.segment.into(), at.offset, at.length.into()])
        };
        alloy_rlp::encode(BlockRowRlp {
            total_difficulty: self.total_difficulty,
            block: list(Some(self.block)),
            receipts: list(self.receipts),
            diff: list(self.diff),
        })
    }

    /// Reads a row's value.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] if it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChainError> {
        let row: BlockRowRlp = decode("table blocks", bytes)?;
        let position = |list: &[u64]| match *list {
            [segment, offset, length] => Some(Position {
                segment: u32::try_from(segment).ok()?,
                offset,
                length: u32::try_from(length).ok()?,
            }),
            _ => None,
        };
        let missing = || damaged("table blocks", alloy_rlp::Error::Custom("no position"));
        Ok(Self {
            total_difficulty: row.total_difficulty,
            block: position(&row.block).ok_or_else(missing)?,
            receipts: position(&row.receipts),
            diff: position(&row.diff),
        })
    }
}

/// Key of table `blocks`.
pub fn block_key(number: u64, hash: B256) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key[8..].copy_from_slice(hash.as_slice());
    key
}

/// Value of table `txs`.
pub fn tx_place(number: u64, index: usize) -> [u8; 12] {
    let mut place = [0; 12];
    place[..8].copy_from_slice(&number.to_be_bytes());
    let index = u32::try_from(index).expect("a block holds fewer than 2^32 transactions");
    place[8..].copy_from_slice(&index.to_be_bytes());
    place
}

#[derive(RlpEncodable, RlpDecodable)]
struct SnapshotRow {
    number: u64,
    hash: B256,
    signers: Vec<Address>,
    recents: Vec<RecentItem>,
    votes: Vec<VoteItem>,
    tally: Vec<TallyItem>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct RecentItem {
    number: u64,
    signer: Address,
}

#[derive(RlpEncodable, RlpDecodable)]
struct VoteItem {
    signer: Address,
    block: u64,
    address: Address,
    authorize: bool,
}

#[derive(RlpEncodable, RlpDecodable)]
struct TallyItem {
    address: Address,
    authorize: bool,
    votes: u64,
}

/// Value of table `snapshots`.
pub fn encode_snapshot(snapshot: &Snapshot) -> Vec<u8> {
    let recents = snapshot.recents.iter();
    let vote = |vote: &Vote| VoteItem {
        signer: vote.signer,
        block: vote.block,
        address: vote.address,
        authorize: vote.authorize,
    };
    let tally = |(&address, tally): (&Address, &Tally)| TallyItem {
        address,
        authorize: tally.authorize,
        votes: tally.votes as u64,
    };
    alloy_rlp::encode(SnapshotRow {
        number: snapshot.number,
        hash: snapshot.hash,
        signers: snapshot.signers.iter().copied().collect(),
        recents: recents.map(|(&number, &signer)| RecentItem { number, signer }).collect(),
        votes: snapshot.votes.iter().map(vote).collect(),
        tally: snapshot.tally.iter().map(tally).collect(),
    })
}

/// Reads a value of table `snapshots`.
///
/// # Errors
/// [`ChainError::Corrupt`] if it is anything else.
pub fn decode_snapshot(bytes: &[u8], config: CliqueConfig) -> Result<Snapshot, ChainError> {
    let row: SnapshotRow = decode("table snapshots", bytes)?;
    let vote = |item: VoteItem| Vote {
        signer: item.signer,
        block: item.block,
        address: item.address,
        authorize: item.authorize,
    };
    let tally = |item: TallyItem| {
        let votes = usize::try_from(item.votes).unwrap_or(usize::MAX);
        (item.address, Tally { authorize: item.authorize, votes })
    };
    Ok(Snapshot {
        config,
        number: row.number,
        hash: row.hash,
        signers: row.signers.into_iter().collect(),
        recents: row.recents.into_iter().map(|item| (item.number, item.signer)).collect(),
        votes: row.votes.into_iter().map(vote).collect(),
        tally: row.tally.into_iter().map(tally).collect(),
    })
}

/// A block on the wire.
pub fn encode_block(block: &RecoveredBlock) -> Vec<u8> {
    alloy_rlp::encode(BlockRef::new(block))
}

/// `kind ‖ RLP`.
pub fn with_kind(kind: u8, value: &impl Encodable) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.length() + 1);
    out.push(kind);
    value.encode(&mut out);
    out
}

/// Reads exactly one value that this program wrote.
///
/// # Errors
/// [`ChainError::Corrupt`] if the bytes are anything else.
pub fn decode<T: Decodable>(what: &str, mut bytes: &[u8]) -> Result<T, ChainError> {
    let value = T::decode(&mut bytes).map_err(|error| damaged(what, error))?;
    if bytes.is_empty() {
        return Ok(value);
    }
    Err(damaged(what, alloy_rlp::Error::Custom("bytes are left over")))
}

fn damaged(what: &str, error: alloy_rlp::Error) -> ChainError {
    ChainError::Corrupt { place: what.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{log::Log, state::Account};

    fn diff(accounts: u64, slots: u64) -> Diff {
        let address = |index: u64| Address::left_padding_from(&index.to_be_bytes());
        let account = |index: u64| {
            let state = Account { nonce: index, balance: U256::MAX, ..Account::default() };
            (address(index), (!index.is_multiple_of(3)).then_some(state))
        };
        let slot = |index: u64| ((address(index / 3), U256::from(index)), U256::MAX);
        Diff {
            accounts: (0..accounts).map(account).collect(),
            slots: (0..slots).map(slot).collect(),
        }
    }

    #[test]
    fn the_largest_part_fits_a_frame() {
        let full = Account {
            nonce: u64::MAX,
            balance: U256::MAX,
            storage_root: B256::repeat_byte(1),
            code_hash: B256::repeat_byte(2),
        };
        let one = |key| Diff { accounts: [(key, Some(full))].into(), ..Diff::default() };
        let mut bytes = Vec::new();
        one(Address::repeat_byte(0xff)).encode_lists(&mut bytes);
        assert!(bytes.len() <= 140 && DIFF_PART_KEYS * 140 < crate::log::MAX_PAYLOAD_BYTES);
    }

    proptest! {
        #[test]
        fn a_diff_in_parts_is_whole_again(accounts in 0u64..40, slots in 0u64..40, most in 1usize..20) {
            let whole = diff(accounts, slots);
            let parts = DiffFrame::split(7, B256::repeat_byte(7), whole.clone(), most);
            prop_assert!(parts.iter().all(|part| part.diff.accounts.len() + part.diff.slots.len() <= most));
            let mut log = Log::in_memory();
            let payloads: Vec<_> = parts.iter().map(DiffFrame::encode).collect();
            let positions = log.append(&payloads).unwrap();
            let read = |at| DiffFrame::decode(&log.reader().read(at).unwrap()).unwrap();
            let mut joined = read(positions[0]);
            for &at in &positions[1..] {
                joined.join(read(at)).unwrap();
            }
            prop_assert_eq!(&joined.diff, &whole);
            prop_assert_eq!(joined.part + 1, joined.parts);
            if let [first, _, third, ..] = &parts[..] {
                prop_assert!(first.clone().join(third.clone()).is_err());
            }
        }
    }
}
