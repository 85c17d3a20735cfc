//! `msnet export FILE [FIRST LAST]`.
#![expect(clippy::result_large_err, reason = "a command makes its error once, and ends")]

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use chain::blockchain::ExecutedBlock;
use clap::Args;
use flate2::{Compression, write::GzEncoder};

use super::{ChainFileError, is_gz};
use crate::{files::Aside, network::open_chain, progress::Progress};

/// `msnet export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Where to write; packed if the name ends in .gz
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// First block [default: 0, the genesis block, as geth does]
    #[arg(value_name = "FIRST", requires = "last")]
    pub first: Option<u64>,
    /// Last block [default: the head]
    #[arg(value_name = "LAST")]
    pub last: Option<u64>,
    /// The chain's data folder
    #[arg(long, env = "MSNET_DATADIR", value_name = "FOLDER")]
    pub datadir: PathBuf,
}

/// Writes the blocks aside and gives the file its name when all of it is on disk.
///
/// # Errors
/// [`ChainFileError`]; a file that had the name before is then still there.
pub fn run(args: &ExportArgs, out: &mut dyn Write) -> Result<(), ChainFileError> {
    let failed = |source| ChainFileError::Io { doing: "write", path: args.file.clone(), source };
    let chain = open_chain(&args.datadir)?;
    let reader = chain.reader();
    let head = reader.head().number();
    let (first, last) = (args.first.unwrap_or(0), args.last.unwrap_or(head));
    if first > last || last > head {
        return Err(ChainFileError::Range { first, last, head });
    }
    let mut file = Target::create(&args.file).map_err(failed)?;
    let mut progress = Progress::start("exporting");
    for number in first..=last {
        let block = reader.block_by_number(number)?;
        let block = block.ok_or(ChainFileError::Range { first, last, head })?;
        file.write_all(&rlp(&block)).map_err(failed)?;
        progress.show(number - first, last - first + 1, || format!("block {number} of {last}"));
    }
    file.finish().map_err(failed)?;
    drop(progress);
    chain.close()?;
    writeln!(out, "exported blocks {first} to {last} to {}", args.file.display())
        .map_err(ChainFileError::Output)
}

fn rlp(block: &ExecutedBlock) -> Vec<u8> {
    alloy_rlp::encode(block.block.clone_block())
}

/// The file, packed or plain.
enum Target {
    Plain(BufWriter<Aside>),
    Packed(Box<GzEncoder<BufWriter<Aside>>>),
}

impl Target {
    fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, Aside::create(path, 0o644)?);
        Ok(if is_gz(path) {
            Self::Packed(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Self::Plain(file)
        })
    }

    fn finish(self) -> io::Result<()> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Packed(packer) => packer.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Packed(packer) => packer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Packed(packer) => packer.flush(),
        }
    }
}
