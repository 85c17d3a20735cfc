//! `msnet import FILE…`: one thread cuts the file into blocks, all cores decode them and recover their senders, and the
//! caller's thread takes them in order.
//!
//! ```text
//!   file ─▶ cutter ─▶ batch ─┬▶ worker ─┐
//!                            ├▶ worker ─┼▶ in the order of the file ─▶ Blockchain::import
//!                            └▶ worker ─┘
//! ```
//!
//! Every queue is bounded, so a file of any size needs the same memory. Blocks that are there already are passed over,
//! so an import that was killed goes on where it was.
#![expect(clippy::result_large_err, reason = "a command makes its error once, and ends")]

use std::{
    io::Write,
    num::NonZero,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use alloy_primitives::B256;
use chain::{
    block::{RecoveredBlock, decode, recover},
    blockchain::{Blockchain, Imported},
    error::ChainError,
    reader::ChainReader,
};
use clap::Args;

use super::{ChainFileError, CutError, Items};
use crate::{network::open_chain, progress::Progress, sealer::now_ms};

/// Blocks that a worker takes at a time: enough to make handing over cheap.
const BATCH_BLOCKS: usize = 64;
/// Bytes that a worker takes at a time, or one block if it is larger.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Batches that may be on their way per worker.
const BATCHES_AHEAD: usize = 3;

/// `msnet import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files of blocks in RLP, unpacked on the way if the name ends in .gz
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The chain's data folder
    #[arg(long, env = "MSNET_DATADIR", value_name = "FOLDER")]
    pub datadir: PathBuf,
}

/// How many blocks of a file went where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    new: u64,
    known: u64,
    side: u64,
}

/// Imports the files in order. A bad block ends it; what was imported before stays.
///
/// # Errors
/// [`ChainFileError`].
pub fn run(args: &ImportArgs, out: &mut dyn Write) -> Result<(), ChainFileError> {
    let mut chain = open_chain(&args.datadir)?;
    for path in &args.files {
        let mut progress = Progress::start("importing");
        let imported = import_file(&mut chain, path, &mut progress);
        drop(progress);
        let count = match imported {
            Ok(count) => count,
            Err(error) => {
                // the block's fault comes first; that the last flush failed too costs nothing but a replay
                let _ = chain.close();
                return Err(error);
            }
        };
        let head = chain.reader().head();
        writeln!(
            out,
            "imported {}: {} new blocks, {} known, {} on side branches; head {} {}",
            path.display(),
            count.new,
            count.known,
            count.side,
            head.number(),
            head.hash()
        )
        .map_err(ChainFileError::Output)?;
    }
    Ok(chain.close()?)
}

/// What a worker made of a block.
enum Prepared {
    /// On the chain already.
    Known(u64),
    New(Box<RecoveredBlock>),
}

type Batch = Vec<(u64, Vec<u8>)>;
/// Ends at the first error.
type Answer = Vec<Result<Prepared, ChainFileError>>;

/// A batch, and where its blocks go.
struct Job {
    batch: Batch,
    answer: SyncSender<Answer>,
}

fn import_file(
    chain: &mut Blockchain,
    path: &Path,
    progress: &mut Progress,
) -> Result<Count, ChainFileError> {
    let failed = |source| ChainFileError::Io { doing: "read", path: path.to_owned(), source };
    let total = std::fs::metadata(path).map_err(failed)?.len();
    let read = Arc::new(AtomicU64::new(0));
    let items = Items::open(path, Arc::clone(&read)).map_err(failed)?;
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let reader = chain.reader();
    thread::scope(|scope| {
        let (jobs, inbox) = sync_channel::<Job>(workers);
        let (promises, answers) = sync_channel::<Receiver<Answer>>(workers * BATCHES_AHEAD);
        let inbox = Arc::new(Mutex::new(inbox));
        for _ in 0..workers {
            let (inbox, reader) = (Arc::clone(&inbox), reader.clone());
            scope.spawn(move || work(&inbox, &reader, path));
        }
        drop(inbox);
        let cutter = scope.spawn(move || cut(items, &jobs, &promises));
        let mut count = Count::default();
        for answer in &answers {
            for block in answer.recv().map_err(|_| ChainFileError::Thread)? {
                let number = take(chain, path, block?, &mut count)?;
                progress.show(read.load(Ordering::Relaxed), total, || format!("block {number}"));
            }
        }
        match cutter.join().map_err(|_| ChainFileError::Thread)? {
            Ok(()) => Ok(count),
            Err(CutError::Io(source)) => Err(failed(source)),
            Err(CutError::NotBlocks(offset, reason)) => Err(ChainFileError::NotBlocks {
                path: path.to_owned(),
                offset,
                reason: reason.to_owned(),
            }),
        }
    })
}

/// Cuts the stream into batches. What comes before a damaged place is handed over first. Ends early without an error if
/// nobody listens any more.
fn cut(
    mut items: Items,
    jobs: &SyncSender<Job>,
    promises: &SyncSender<Receiver<Answer>>,
) -> Result<(), CutError> {
    let mut end = None;
    while end.is_none() {
        let (mut batch, mut bytes) = (Batch::new(), 0);
        while batch.len() < BATCH_BLOCKS && bytes < BATCH_BYTES {
            match items.next() {
                Ok(Some(item)) => {
                    bytes += item.1.len();
                    batch.push(item);
                }
                Ok(None) => {
                    end = Some(Ok(()));
                    break;
                }
                Err(error) => {
                    end = Some(Err(error));
                    break;
                }
            }
        }
        let (answer, promise) = sync_channel(1);
        if promises.send(promise).is_err() || jobs.send(Job { batch, answer }).is_err() {
            return Ok(());
        }
    }
    end.unwrap_or(Ok(()))
}

/// Decodes and recovers batches until there are no more.
fn work(inbox: &Mutex<Receiver<Job>>, reader: &ChainReader, path: &Path) {
    loop {
        let job = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { batch, answer }) = job else { return };
        let mut blocks = Vec::with_capacity(batch.len());
        for (offset, item) in batch {
            blocks.push(prepare(reader, path, offset, &item));
            if matches!(blocks.last(), Some(Err(_))) {
                break;
            }
        }
        // the import may have ended meanwhile
        let _ = answer.send(blocks);
    }
}

fn prepare(
    reader: &ChainReader,
    path: &Path,
    offset: u64,
    item: &[u8],
) -> Result<Prepared, ChainFileError> {
    let block = decode(item).map_err(|error| ChainFileError::NotBlocks {
        path: path.to_owned(),
        offset,
        reason: error.to_string(),
    })?;
    let (number, hash) = (block.header.number, block.header.hash_slow());
    if number == 0 && hash != reader.genesis_hash() {
        let want = reader.genesis_hash();
        return Err(ChainFileError::OtherGenesis { path: path.to_owned(), got: hash, want });
    }
    if reader.canonical_hash(number)? == Some(hash) {
        return Ok(Prepared::Known(number));
    }
    recover(block)
        .map_err(|source| bad_block(path, number, hash, source))
        .map(|block| Prepared::New(Box::new(block)))
}

fn bad_block(path: &Path, number: u64, hash: B256, source: ChainError) -> ChainFileError {
    ChainFileError::BadBlock { path: path.to_owned(), number, hash, source }
}

fn take(
    chain: &mut Blockchain,
    path: &Path,
    block: Prepared,
    count: &mut Count,
) -> Result<u64, ChainFileError> {
    let block = match block {
        Prepared::Known(number) => {
            count.known += 1;
            return Ok(number);
        }
        Prepared::New(block) => block,
    };
    let (number, hash) = (block.header().number, block.hash());
    match chain.import(*block, now_ms()).map_err(|source| bad_block(path, number, hash, source))? {
        Imported::Known => count.known += 1,
        Imported::Side => count.side += 1,
        Imported::Head(_) => count.new += 1,
    }
    Ok(number)
}
