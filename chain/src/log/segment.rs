//! One file of frames: its header, how it is scanned when it opens, and its end that grows.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::B256;

use super::{MAX_PAYLOAD_BYTES, SEGMENT_HEADER_BYTES, io_error, poisoned};
use crate::{
    disk::{Disk, DiskFile, OpenMode, parent},
    error::ChainError,
};

pub(super) const FRAME_HEADER_BYTES: usize = 8;
const MAGIC: &[u8; 6] = b"MSNLOG";
const VERSION: u16 = 1;
/// A scan reads so many bytes at a time.
const SCAN_BYTES: usize = 1 << 20;

/// What a scan does with a frame: its offset and its payload.
pub(crate) type ShowFrame<'a> = dyn FnMut(u64, &[u8]) -> Result<(), ChainError> + 'a;

/// Length and checksum of a payload as they stand before it.
pub(super) fn frame_header(payload: &[u8]) -> [u8; FRAME_HEADER_BYTES] {
    let length = u32::try_from(payload.len()).expect("at most 32 MiB").to_le_bytes();
    let checksum = crc32c::crc32c(payload).to_le_bytes();
    let mut header = [0; FRAME_HEADER_BYTES];
    header[..4].copy_from_slice(&length);
    header[4..].copy_from_slice(&checksum);
    header
}

/// One frame as it stands on disk.
pub(crate) fn frame_bytes(payload: &[u8]) -> Vec<u8> {
    [&frame_header(payload)[..], payload].concat()
}

/// The first bytes of every file of frames.
pub(crate) fn segment_header(genesis: B256) -> [u8; 16] {
    let mut header = [0; 16];
    header[..6].copy_from_slice(MAGIC);
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..].copy_from_slice(&genesis[..8]);
    header
}

/// The growing end of a file of frames.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    end: u64,
    health: Health,
}

/// What is known of the bytes on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// The file ends at `end`.
    Good,
    /// The disk was full: something unfinished may stand behind `end` and has to go first.
    Overhang,
    /// A write or sync failed: what the disk holds is unknown until it is read again.
    Poisoned,
}

impl Tail {
    /// Opens the file that [`open_segment`] found to end at `end`.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, end: u64) -> Result<Self, ChainError> {
        let file =
            disk.open(path, OpenMode::Write).map_err(|error| io_error("open", path, error))?;
        Ok(Self { path: path.to_owned(), file, end, health: Health::Good })
    }

    /// Makes a new, empty file, durable together with its name.
    pub(crate) fn create(disk: &dyn Disk, path: &Path, genesis: B256) -> Result<Self, ChainError> {
        let run = || {
            let file = disk.open(path, OpenMode::Truncate)?;
            file.write_at(0, &segment_header(genesis))?;
            file.sync()?;
            disk.sync_folder(parent(path))?;
            Ok(file)
        };
        let file = run().map_err(|error| io_error("create", path, error))?;
        let end = SEGMENT_HEADER_BYTES;
        Ok(Self { path: path.to_owned(), file, end, health: Health::Good })
    }

    /// Where the next frame will stand.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// Writes frames, durable when it returns.
    ///
    /// A full disk is no lasting harm: the next append cuts off what was left unfinished and goes on. Anything else,
    /// a failed sync above all, ends it: pages that a kernel failed to write are forgotten by it, so that a second sync
    /// would succeed and mean nothing.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), ChainError> {
        self.cut_overhang()?;
        self.health = Health::Poisoned;
        if let Err(error) = self.file.write_at(self.end, bytes) {
            if error.kind() == io::ErrorKind::StorageFull {
                self.health = Health::Overhang;
            }
            return Err(io_error("append to", &self.path, error));
        }
        self.sync()?;
        self.end += bytes.len() as u64;
        self.health = Health::Good;
        Ok(())
    }

    fn sync(&self) -> Result<(), ChainError> {
        #[cfg(test)]
        if crate::planted::is(crate::planted::Bug::LogNotSynced)
            && parent(&self.path).ends_with("blocks")
        {
            return Ok(());
        }
        self.file.sync().map_err(|error| io_error("sync", &self.path, error))
    }

    /// Removes what a full disk left unfinished behind the last frame.
    pub(super) fn cut_overhang(&mut self) -> Result<(), ChainError> {
        match std::mem::replace(&mut self.health, Health::Poisoned) {
            Health::Good => {}
            Health::Overhang => {
                let cut = self.file.set_len(self.end).and_then(|()| self.file.sync());
                cut.map_err(|error| io_error("truncate", &self.path, error))?;
            }
            Health::Poisoned => return Err(io_error("append to", &self.path, poisoned())),
        }
        self.health = Health::Good;
        Ok(())
    }
}

/// Tells by its kind byte that a frame is the first of an append, so that it is no part of the torn one before it.
pub type BeginsAppend = fn(u8) -> bool;

/// Checks a segment file from `start` on, shows its frames and returns where it ends. The last one (`last` is given) may
/// be missing or torn.
///
/// A power cut can only harm the last append, which was not acknowledged: it is cut off. If a later append is whole, the
/// broken frame was once synced and rotted since; that is damage, and what follows must not be thrown away.
///
/// The frames of the last segment are written once more, as they are, and synced. If a sync failed in the life before,
/// the kernel may show bytes that never reached the disk and count them as clean; nothing may build on those.
pub(crate) fn open_segment(
    disk: &dyn Disk,
    path: &Path,
    genesis: B256,
    start: u64,
    last: Option<BeginsAppend>,
    show: &mut ShowFrame<'_>,
) -> Result<u64, ChainError> {
    let damaged = |offset: u64, reason: &str| ChainError::Corrupt {
        place: format!("{} at offset {offset}", path.display()),
        reason: reason.to_owned(),
    };
    let failed = |error| io_error("read", path, error);
    let may_be_new = last.is_some() && start <= SEGMENT_HEADER_BYTES;
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_new => None,
        Err(error) => return Err(failed(error)),
    };
    let size = file.as_ref().map_or(Ok(0), |file| file.len()).map_err(failed)?;
    let Some(file) = file.filter(|_| size >= SEGMENT_HEADER_BYTES || !may_be_new) else {
        // The power went between the file's creation and its first sync: it never held a frame.
        return Ok(Tail::create(disk, path, genesis)?.end());
    };
    if size < SEGMENT_HEADER_BYTES {
        return Err(damaged(size, "the file is shorter than what was once synced"));
    }
    let mut scan = Scan::new(file, size);
    let header = scan.take::<16>(0).map_err(failed)?;
    if header == [0; 16] && may_be_new && scan.is_zero().map_err(failed)? {
        // The same, on a disk that made the file longer before it wrote the bytes.
        return Ok(Tail::create(disk, path, genesis)?.end());
    }
    check_segment_header(header, genesis).map_err(|error| match error {
        Ok(reason) => damaged(0, &reason),
        Err(error) => error,
    })?;
    let mut offset = start.max(SEGMENT_HEADER_BYTES);
    if offset > size {
        return Err(damaged(size, "the file is shorter than what was once synced"));
    }
    while offset < size {
        match scan.frame(offset).map_err(failed)? {
            Ok(payload) => {
                show(offset, &payload)?;
                offset += (FRAME_HEADER_BYTES + payload.len()) as u64;
            }
            Err(reason) => match last {
                Some(begins) if !scan.is_append_behind(offset, begins).map_err(failed)? => break,
                _ => return Err(damaged(offset, reason)),
            },
        }
    }
    if last.is_some() {
        settle(disk, path, &scan, start.max(SEGMENT_HEADER_BYTES), offset)?;
    }
    Ok(offset)
}

pub(super) fn check_segment_header(
    header: [u8; 16],
    genesis: B256,
) -> Result<(), Result<String, ChainError>> {
    if &header[..6] != MAGIC {
        return Err(Ok("no segment header".to_owned()));
    }
    let version = u16::from_le_bytes([header[6], header[7]]);
    if version != VERSION {
        return Err(Ok(format!("written as version {version}, this program reads {VERSION}")));
    }
    if header[8..] != genesis[..8] {
        let mut have = B256::ZERO;
        have[..8].copy_from_slice(&header[8..]);
        return Err(Err(ChainError::IncompatibleGenesis { have, new: genesis }));
    }
    Ok(())
}

/// Reads a file from front to back in large pieces.
pub(super) struct Scan {
    file: Arc<dyn DiskFile>,
    size: u64,
    buffered: Vec<u8>,
    buffered_at: u64,
}

impl Scan {
    /// A file that is `size` bytes long.
    pub(super) const fn new(file: Arc<dyn DiskFile>, size: u64) -> Self {
        Self { file, size, buffered: Vec::new(), buffered_at: 0 }
    }

    /// The next payload, or why there is none.
    pub(super) fn frame(&mut self, offset: u64) -> io::Result<Result<Vec<u8>, &'static str>> {
        let left = self.size - offset;
        if left < FRAME_HEADER_BYTES as u64 {
            return Ok(Err("the file ends inside a frame header"));
        }
        let header = self.take::<FRAME_HEADER_BYTES>(offset)?;
        let [a, b, c, d, ..] = header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length == 0 || length > MAX_PAYLOAD_BYTES {
            return Ok(Err("the frame's length is impossible"));
        }
        if left < (FRAME_HEADER_BYTES + length) as u64 {
            return Ok(Err("the file ends inside a frame"));
        }
        let mut payload = vec![0; length];
        self.read(offset + FRAME_HEADER_BYTES as u64, &mut payload)?;
        if frame_header(&payload) != header {
            return Ok(Err("the frame's checksum does not fit"));
        }
        Ok(Ok(payload))
    }

    /// True if a whole frame that begins an append stands behind the broken one at `broken`. The broken length says
    /// nothing, so the next frame may begin anywhere; it is looked for in one piece of the file.
    fn is_append_behind(&mut self, broken: u64, begins: BeginsAppend) -> io::Result<bool> {
        let mut at = broken + 1;
        while at < self.size.min(broken + SCAN_BYTES as u64) {
            match self.frame(at)? {
                Ok(payload) if payload.first().is_some_and(|&kind| begins(kind)) => {
                    return Ok(true);
                }
                Ok(payload) => at += (FRAME_HEADER_BYTES + payload.len()) as u64,
                Err(_) => at += 1,
            }
        }
        Ok(false)
    }

    pub(super) fn take<const N: usize>(&mut self, offset: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// True if the file holds nothing but zeros.
    fn is_zero(&mut self) -> io::Result<bool> {
        let length = usize::try_from(self.size).unwrap_or(usize::MAX).min(SCAN_BYTES);
        let mut bytes = vec![0; length];
        self.read(0, &mut bytes)?;
        Ok(bytes.iter().all(|&byte| byte == 0) && length as u64 == self.size)
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if out.len() >= SCAN_BYTES {
            return self.file.read_at(offset, out);
        }
        let is_buffered = offset >= self.buffered_at
            && offset + out.len() as u64 <= self.buffered_at + self.buffered.len() as u64;
        if !is_buffered {
            let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
            self.buffered.resize(left.min(SCAN_BYTES), 0);
            self.buffered_at = offset;
            self.file.read_at(offset, &mut self.buffered)?;
        }
        let start = usize::try_from(offset - self.buffered_at).map_err(io::Error::other)?;
        let found = self.buffered.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Cuts the file at `end`, and makes its header and the frames from `start` to there durable for certain.
fn settle(
    disk: &dyn Disk,
    path: &Path,
    scan: &Scan,
    start: u64,
    end: u64,
) -> Result<(), ChainError> {
    let run = || {
        let file = disk.open(path, OpenMode::Write)?;
        if end < scan.size {
            tracing::warn!(file = %path.display(), offset = end, "cut off a torn tail");
            file.set_len(end)?;
        }
        for (mut at, end) in [(0, SEGMENT_HEADER_BYTES), (start, end)] {
            while at < end {
                let left = usize::try_from(end - at).unwrap_or(usize::MAX);
                let mut bytes = vec![0; left.min(SCAN_BYTES)];
                scan.file.read_at(at, &mut bytes)?;
                file.write_at(at, &bytes)?;
                at += bytes.len() as u64;
            }
        }
        file.sync()
    };
    run().map_err(|error| io_error("settle", path, error))
}
