//! Chains as files: each block's RLP, one after the other, as geth's `export` writes them; `.gz` by suffix.

mod export;
mod import;

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_primitives::B256;
use chain::error::ChainError;
use flate2::bufread::MultiGzDecoder;

pub use self::{
    export::{ExportArgs, run as export},
    import::{ImportArgs, run as import},
};
use crate::error::NodeError;

/// Largest block that is read: what a frame of the block log holds.
pub const MAX_BLOCK_BYTES: usize = 32 * 1024 * 1024;

/// Why a chain was not written or not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ChainFileError {
    /// The folder of the chain.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The chain's own storage.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The file cannot be opened, read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The bytes are no block.
    #[error("{} is no chain of blocks in RLP: {reason} at byte {offset}", path.display())]
    NotBlocks {
        /// The file.
        path: PathBuf,
        /// Where the item starts, of the unpacked bytes.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A block broke a rule; the ones before it stay.
    #[error("cannot import block {number} [{hash}] of {}", path.display())]
    BadBlock {
        /// The file.
        path: PathBuf,
        /// Its height.
        number: u64,
        /// Its hash.
        hash: B256,
        /// The rule.
        source: ChainError,
    },
    /// The file starts at another genesis.
    #[error(
        "{} belongs to another network: its block 0 is {got}, the genesis here is {want}\n  do: import it into a folder that was made with its own genesis",
        path.display()
    )]
    OtherGenesis {
        /// The file.
        path: PathBuf,
        /// Block 0 of the file.
        got: B256,
        /// Block 0 of the folder.
        want: B256,
    },
    /// The range is empty, or reaches above the head.
    #[error("cannot export blocks {first} to {last}: the chain has blocks 0 to {head}")]
    Range {
        /// Asked for.
        first: u64,
        /// Asked for.
        last: u64,
        /// There.
        head: u64,
    },
    /// The operating system gave no thread, or one panicked.
    #[error("a thread of the import ended early; see the log")]
    Thread,
    /// Its output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

fn is_gz(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"))
}

/// Counts what is taken from a file, packed or not, for others to see.
#[derive(Debug)]
struct Counted<R> {
    input: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(into)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// Cuts a stream into RLP lists without decoding them.
struct Items {
    input: Box<dyn Read + Send>,
    offset: u64,
}

/// Why the stream cannot be cut.
enum CutError {
    Io(io::Error),
    NotBlocks(u64, &'static str),
}

impl Items {
    /// Opens a chain file; `count` grows by the bytes of the file that were read.
    fn open(path: &Path, count: Arc<AtomicU64>) -> io::Result<Self> {
        let file = BufReader::with_capacity(1 << 20, Counted { input: File::open(path)?, count });
        let input: Box<dyn Read + Send> = if is_gz(path) {
            Box::new(BufReader::with_capacity(1 << 20, MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        Ok(Self { input, offset: 0 })
    }

    /// The next item with its offset; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, CutError> {
        let start = self.offset;
        let torn = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                CutError::NotBlocks(start, "the file ends inside of the block")
            }
            _ => CutError::Io(error),
        };
        let mut first = [0; 1];
        if self.input.read(&mut first).map_err(CutError::Io)? == 0 {
            return Ok(None);
        }
        let mut item = first.to_vec();
        let length = match first[0] {
            byte @ 0xc0..=0xf7 => u64::from(byte - 0xc0),
            byte @ 0xf8.. => {
                let mut length = [0; 8];
                let size = usize::from(byte - 0xf7);
                let tail = length.get_mut(8 - size..).unwrap_or_default();
                self.input.read_exact(tail).map_err(torn)?;
                item.extend_from_slice(tail);
                u64::from_be_bytes(length)
            }
            _ => return Err(CutError::NotBlocks(start, "no RLP list")),
        };
        if length > MAX_BLOCK_BYTES as u64 {
            return Err(CutError::NotBlocks(start, "a block longer than 32 MiB"));
        }
        let read = (&mut self.input).take(length).read_to_end(&mut item).map_err(torn)?;
        if read as u64 != length {
            return Err(CutError::NotBlocks(start, "the file ends inside of the block"));
        }
        self.offset += item.len() as u64;
        Ok(Some((start, item)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<(u64, &'static str)>) {
        let mut items = Items { input: Box::new(io::Cursor::new(bytes.to_vec())), offset: 0 };
        let mut seen = Vec::new();
        loop {
            match items.next() {
                Ok(Some((_, item))) => seen.push(item),
                Ok(None) => return (seen, None),
                Err(CutError::NotBlocks(at, why)) => return (seen, Some((at, why))),
                Err(CutError::Io(error)) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn lists_are_cut_and_damage_is_placed() {
        let long = [&[0xf8, 56][..], &[1; 56]].concat();
        let both = [&[0xc2, 1, 2][..], &long].concat();
        assert_eq!(cut(&both), (vec![vec![0xc2, 1, 2], long], None));
        let error = |bytes: &[u8]| cut(bytes).1.expect("refused");
        assert_eq!(error(&both[..20]), (3, "the file ends inside of the block"));
        assert_eq!(error(&[0xc0, 0xf9, 1]), (1, "the file ends inside of the block"));
        assert_eq!(error(&[0xc0, 0x80]), (1, "no RLP list"));
        assert_eq!(error(&[0xff; 20]), (0, "a block longer than 32 MiB"));
    }

    proptest! {
        #[test]
        fn what_is_cut_is_what_was_there(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (items, error) = cut(&bytes);
            let whole = items.concat();
            prop_assert!(bytes.starts_with(&whole));
            prop_assert_eq!(error.is_none(), whole.len() == bytes.len());
        }
    }
}
