//! `transactions.rlp`: what was submitted to this node and waits still, kept over a restart.
//!
//! geth's form: one RLP item after the other, a list for a legacy transaction, a byte string of the
//! EIP-2718 form for the others. Nothing says how many there are. The file is no promise: admission
//! is not durable, inclusion is. So a torn or damaged tail costs what is in it and no more, and
//! nothing waits for the disk.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_rlp::{Decodable as _, Encodable as _};
use chain::{
    block::Transaction,
    pool::{
        PoolTransaction,
        limits::{POOL_BYTES, TX_BYTES},
    },
};

/// Longest file: as much as a full pool holds, and as much again appended to it. One that grows
/// beyond is rewritten, one that is longer is read so far.
pub(crate) const JOURNAL_BYTES: u64 = 2 * POOL_BYTES as u64;
/// Longest item: the longest transaction and the header of its byte string.
const ITEM_BYTES: usize = TX_BYTES + MAX_HEADER;
/// Longest RLP header: a byte that gives the length of the length, and eight of length.
const MAX_HEADER: usize = 9;

/// The journal of one node.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// Open for appending, once it was [rewritten](Journal::rewrite).
    file: Option<File>,
    bytes: u64,
}

impl Journal {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, file: None, bytes: 0 }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What an earlier run left; an absent file holds nothing.
    pub(crate) fn read(&self) -> io::Result<Items<BufReader<io::Take<File>>>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Items(None)),
            Err(error) => return Err(error),
        };
        Ok(Items::new(BufReader::new(file.take(JOURNAL_BYTES))))
    }

    /// Adds transactions at the end; false if the file is so long now that it has to be rewritten.
    pub(crate) fn append(&mut self, transactions: &[Arc<PoolTransaction>]) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        let mut out = Vec::new();
        for pooled in transactions {
            pooled.transaction.encode(&mut out);
        }
        file.write_all(&out)?;
        self.bytes += out.len() as u64;
        Ok(self.bytes <= JOURNAL_BYTES)
    }

    /// Puts a new file in the place of the old one, in one step.
    pub(crate) fn rewrite(&mut self, transactions: &[Arc<PoolTransaction>]) -> io::Result<()> {
        self.file = None;
        let draft = self.path.with_extension("rlp.new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut writer = BufWriter::new(options.open(&draft)?);
        let (mut item, mut bytes) = (Vec::new(), 0);
        for pooled in transactions {
            item.clear();
            pooled.transaction.encode(&mut item);
            writer.write_all(&item)?;
            bytes += item.len() as u64;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_data()?;
        std::fs::rename(&draft, &self.path)?;
        // the descriptor stays that of the file under its new name, and stands at its end
        (self.file, self.bytes) = (Some(file), bytes);
        Ok(())
    }
}

/// The transactions of a journal; ends after the first that is none.
pub(crate) struct Items<R>(Option<R>);

impl<R: Read> Items<R> {
    pub(crate) const fn new(reader: R) -> Self {
        Self(Some(reader))
    }
}

impl<R: Read> Iterator for Items<R> {
    type Item = Result<Transaction, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let outcome = read_item(self.0.as_mut()?);
        if !matches!(outcome, Ok(Some(_))) {
            self.0 = None;
        }
        outcome.transpose()
    }
}

/// Why the rest of a journal is lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    #[error("the last transaction is cut off")]
    Torn,
    #[error("an item of {0} bytes is no transaction (limit {ITEM_BYTES})")]
    TooLong(usize),
    #[error("not a transaction: {0}")]
    Decode(#[from] alloy_rlp::Error),
}

/// One item, or none at the end. The length is checked before there is memory for it.
fn read_item(reader: &mut impl Read) -> Result<Option<Transaction>, JournalError> {
    let mut first = [0];
    match reader.read_exact(&mut first) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    }
    let [kind] = first;
    let mut item = vec![kind];
    // a short item has its length in the first byte, a long one the length of its length (Yellow
    // Paper, appendix B)
    let payload = match kind {
        0x00..=0x7f => 0,
        0x80..=0xb7 => usize::from(kind - 0x80),
        0xb8..=0xbf => read_length(reader, &mut item, kind - 0xb7)?,
        0xc0..=0xf7 => usize::from(kind - 0xc0),
        0xf8..=0xff => read_length(reader, &mut item, kind - 0xf7)?,
    };
    let length = payload.saturating_add(item.len());
    if length > ITEM_BYTES {
        return Err(JournalError::TooLong(length));
    }
    read_more(reader, &mut item, payload)?;
    let mut rest = item.as_slice();
    let transaction = Transaction::decode(&mut rest)?;
    if !rest.is_empty() {
        return Err(alloy_rlp::Error::UnexpectedLength.into());
    }
    Ok(Some(transaction))
}

fn read_length(
    reader: &mut impl Read,
    item: &mut Vec<u8>,
    bytes: u8,
) -> Result<usize, JournalError> {
    read_more(reader, item, usize::from(bytes))?;
    let digits = item.iter().skip(1);
    let value = digits.fold(0_u64, |sum, &byte| sum.saturating_mul(256) | u64::from(byte));
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}

fn read_more(reader: &mut impl Read, item: &mut Vec<u8>, count: usize) -> Result<(), JournalError> {
    let wanted = u64::try_from(count).unwrap_or(u64::MAX);
    let got = reader.take(wanted).read_to_end(item)?;
    if got == count { Ok(()) } else { Err(JournalError::Torn) }
}

#[cfg(test)]
#[path = "txpool_journal_test.rs"]
mod tests;
