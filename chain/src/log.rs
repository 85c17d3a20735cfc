//! Append-only frames on disk: what is in here survived, what is not never happened.
//!
//! ```text
//!   segment  "MSNLOG" ‖ version u16 LE = 1 ‖ first 8 bytes of the genesis hash ‖ frame …      up to 256 MiB
//!   frame    length u32 LE ‖ crc32c(payload) u32 LE ‖ payload                                 up to 32 MiB
//!   payload  kind byte ‖ RLP                                                 kinds: store/schema.rs
//! ```
//!
//! An append is one write and one `fdatasync`. A power cut may leave half a frame at the end of the last segment: opening
//! cuts it off with everything after it. Damage anywhere else is named by file and offset, and opening refuses. A write
//! or sync that fails poisons the log until restart: what the disk holds then is unknown. Only a full disk does not: the
//! next append cuts off what was left unfinished and tries again.

mod segment;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use alloy_primitives::B256;

use self::segment::{FRAME_HEADER_BYTES, frame_header};
pub(crate) use self::segment::{Tail, frame_bytes, open_segment};
use crate::{
    disk::{Disk, DiskFile, OpenMode},
    error::ChainError,
};

/// Bytes before the first frame of a segment.
pub const SEGMENT_HEADER_BYTES: u64 = 16;
/// A segment that reached this size is followed by a new one.
const SEGMENT_BYTES: u64 = 256 * 1024 * 1024;
/// Largest payload; a longer length field is damage, not a request for memory.
pub const MAX_PAYLOAD_BYTES: usize = 32 * 1024 * 1024;

/// Where a frame starts, and how long its payload is. In memory, `offset` counts frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Number of the segment file.
    pub segment: u32,
    /// Byte of the frame in it.
    pub offset: u64,
    /// Bytes of the payload.
    pub length: u32,
}

/// The end of a log: segment and byte.
pub type End = (u32, u64);

/// What [`Log::open`] does with each frame.
pub type VisitFrame<'a> = dyn FnMut(Position, &[u8]) -> Result<(), ChainError> + 'a;

/// The one that appends.
#[derive(Debug)]
pub struct Log {
    reader: LogReader,
    end: Growing,
}

#[derive(Debug)]
enum Growing {
    Memory,
    Files { genesis: B256, segment: u32, tail: Tail, segment_bytes: u64, is_poisoned: bool },
}

/// Reads frames by position; cheap to clone, from any thread.
#[derive(Debug, Clone)]
pub struct LogReader(Arc<Backing>);

#[derive(Debug)]
enum Backing {
    Memory(RwLock<Vec<Arc<[u8]>>>),
    Files { disk: Arc<dyn Disk>, folder: PathBuf, open: Mutex<OpenFiles> },
}

type OpenFiles = HashMap<u32, Arc<dyn DiskFile>>;

impl Log {
    /// A log without files.
    pub fn in_memory() -> Self {
        let reader = LogReader(Arc::new(Backing::Memory(RwLock::default())));
        Self { reader, end: Growing::Memory }
    }

    /// Opens the log in `folder`, or starts one. Frames from `from` on are checked and shown in order; a torn tail is cut
    /// off.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] names damage by file and offset; [`ChainError::IncompatibleGenesis`] if the log belongs to
    /// another network; [`ChainError::Io`]; whatever `visit` returns.
    pub fn open(
        disk: &Arc<dyn Disk>,
        folder: &Path,
        genesis: B256,
        from: End,
        visit: &mut VisitFrame<'_>,
    ) -> Result<Self, ChainError> {
        disk.create_dir_all(folder).map_err(|error| io_error("create", folder, error))?;
        let last = last_segment(disk.as_ref(), folder)?;
        let mut end = (0, 0);
        for segment in from.0..=last.unwrap_or(0).max(from.0) {
            let path = segment_path(folder, segment);
            let start = if segment == from.0 { from.1 } else { 0 };
            let is_last = last.is_none_or(|last| segment >= last);
            let mut show = |offset, payload: &[u8]| {
                let length = u32::try_from(payload.len()).expect("at most 32 MiB");
                visit(Position { segment, offset, length }, payload)
            };
            end =
                (segment, open_segment(disk.as_ref(), &path, genesis, start, is_last, &mut show)?);
        }
        let (segment, offset) = end;
        let tail = Tail::open(disk.as_ref(), &segment_path(folder, segment), offset)?;
        let backing = Backing::Files {
            disk: disk.clone(),
            folder: folder.to_owned(),
            open: Mutex::default(),
        };
        let (segment_bytes, is_poisoned) = (SEGMENT_BYTES, false);
        Ok(Self {
            reader: LogReader(Arc::new(backing)),
            end: Growing::Files { genesis, segment, tail, segment_bytes, is_poisoned },
        })
    }

    /// A handle that reads.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// Removes the segments before `segment`; nobody may read them any more. In memory nothing happens.
    ///
    /// # Errors
    /// [`ChainError::Io`]; what is left is removed the next time.
    pub fn remove_before(&mut self, segment: u32) -> Result<(), ChainError> {
        let Backing::Files { disk, folder, open } = &*self.reader.0 else { return Ok(()) };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        for old in segments(disk.as_ref(), folder)?.into_iter().filter(|&old| old < segment) {
            open.remove(&old);
            let path = segment_path(folder, old);
            disk.remove(&path).map_err(|error| io_error("remove", &path, error))?;
        }
        Ok(())
    }

    /// From now on every append fails, as after a failed sync.
    #[cfg(test)]
    pub(crate) fn poison(&mut self) {
        if let Growing::Files { is_poisoned, .. } = &mut self.end {
            *is_poisoned = true;
        }
    }

    /// Where the next frame will stand.
    pub fn end(&self) -> End {
        match (&self.end, &*self.reader.0) {
            (Growing::Files { segment, tail, .. }, _) => (*segment, tail.end()),
            (Growing::Memory, Backing::Memory(frames)) => {
                (0, frames.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
            }
            (Growing::Memory, Backing::Files { .. }) => (0, 0),
        }
    }

    /// Writes the payloads in order, one write and one `fdatasync` for all of them; durable when it returns.
    ///
    /// # Errors
    /// [`ChainError::Io`]; from then on the log takes nothing more, unless the disk was full
    /// ([`ChainError::is_disk_full`]).
    pub fn append(&mut self, payloads: &[Vec<u8>]) -> Result<Vec<Position>, ChainError> {
        match (&mut self.end, &*self.reader.0) {
            (
                Growing::Files { genesis, segment, tail, segment_bytes, is_poisoned },
                Backing::Files { disk, folder, .. },
            ) => {
                if tail.end() >= *segment_bytes && !*is_poisoned {
                    tail.cut_overhang()?;
                    let path = segment_path(folder, *segment + 1);
                    let created = Tail::create(disk.as_ref(), &path, *genesis);
                    *tail = created.inspect_err(|error| *is_poisoned = !error.is_disk_full())?;
                    *segment += 1;
                }
                let path = segment_path(folder, *segment);
                if *is_poisoned {
                    return Err(io_error("append to", &path, poisoned()));
                }
                let (bytes, positions) = frames(payloads, *segment, tail.end())
                    .map_err(|error| io_error("append to", &path, error))?;
                tail.append(&bytes)?;
                Ok(positions)
            }
            (_, Backing::Memory(frames)) => {
                let mut frames = frames.write().unwrap_or_else(PoisonError::into_inner);
                let push = |payload: &Vec<u8>| {
                    frames.push(payload.as_slice().into());
                    Position {
                        segment: 0,
                        offset: frames.len() as u64 - 1,
                        length: u32::try_from(payload.len()).expect("at most 32 MiB"),
                    }
                };
                Ok(payloads.iter().map(push).collect())
            }
            (Growing::Memory, Backing::Files { .. }) => Ok(Vec::new()),
        }
    }
}

impl LogReader {
    /// The payload of a frame, its checksum verified.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] if the bytes changed since they were written; [`ChainError::Io`].
    pub fn read(&self, at: Position) -> Result<Vec<u8>, ChainError> {
        let place = || format!("{} at offset {}", self.place(at.segment).display(), at.offset);
        let damaged =
            |reason: &str| ChainError::Corrupt { place: place(), reason: reason.to_owned() };
        match &*self.0 {
            Backing::Memory(frames) => {
                let frames = frames.read().unwrap_or_else(PoisonError::into_inner);
                let index = usize::try_from(at.offset).unwrap_or(usize::MAX);
                frames
                    .get(index)
                    .map(|frame| frame.to_vec())
                    .ok_or_else(|| damaged("no such frame"))
            }
            Backing::Files { .. } => {
                let path = self.place(at.segment);
                let file = self.file(at.segment)?;
                let mut bytes = vec![0; FRAME_HEADER_BYTES + at.length as usize];
                file.read_at(at.offset, &mut bytes).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => damaged("the file ends before the frame does"),
                    _ => io_error("read", &path, error),
                })?;
                let payload = bytes.split_off(FRAME_HEADER_BYTES);
                if bytes != frame_header(&payload) {
                    return Err(damaged("length or checksum does not fit"));
                }
                Ok(payload)
            }
        }
    }

    fn file(&self, segment: u32) -> Result<Arc<dyn DiskFile>, ChainError> {
        let Backing::Files { disk, folder, open } = &*self.0 else {
            let error = io::Error::other("the log is in memory");
            return Err(io_error("open", Path::new("log"), error));
        };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&segment) {
            return Ok(file.clone());
        }
        let path = segment_path(folder, segment);
        let file =
            disk.open(&path, OpenMode::Read).map_err(|error| io_error("open", &path, error))?;
        open.insert(segment, file.clone());
        Ok(file)
    }

    fn place(&self, segment: u32) -> PathBuf {
        match &*self.0 {
            Backing::Files { folder, .. } => segment_path(folder, segment),
            Backing::Memory(_) => PathBuf::from("log in memory"),
        }
    }
}

fn frames(payloads: &[Vec<u8>], segment: u32, start: u64) -> io::Result<(Vec<u8>, Vec<Position>)> {
    let (mut bytes, mut positions) = (Vec::new(), Vec::with_capacity(payloads.len()));
    for payload in payloads {
        if payload.is_empty() || payload.len() > MAX_PAYLOAD_BYTES {
            return Err(io::Error::other(format!("a frame of {} bytes", payload.len())));
        }
        let length = u32::try_from(payload.len()).expect("compared with the limit");
        positions.push(Position { segment, offset: start + bytes.len() as u64, length });
        bytes.extend_from_slice(&frame_header(payload));
        bytes.extend_from_slice(payload);
    }
    Ok((bytes, positions))
}

fn poisoned() -> io::Error {
    io::Error::other("an earlier write failed; restart to see what was kept")
}

pub(crate) fn segment_path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:06}.log"))
}

/// The highest segment of a folder of frames.
pub(crate) fn last_segment(disk: &dyn Disk, folder: &Path) -> Result<Option<u32>, ChainError> {
    Ok(segments(disk, folder)?.into_iter().max())
}

fn segments(disk: &dyn Disk, folder: &Path) -> Result<Vec<u32>, ChainError> {
    let names = disk.list(folder).map_err(|error| io_error("read", folder, error))?;
    let number = |name: &String| name.strip_suffix(".log")?.parse().ok();
    Ok(names.iter().filter_map(number).collect())
}

pub(crate) fn io_error(doing: &'static str, path: &Path, source: io::Error) -> ChainError {
    ChainError::Io { doing, path: path.to_owned(), source }
}
