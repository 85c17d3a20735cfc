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
//! or sync that fails poisons the log until restart: what the disk holds then is unknown.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use alloy_primitives::B256;

use crate::error::ChainError;

/// Bytes before the first frame of a segment.
pub const SEGMENT_HEADER_BYTES: u64 = 16;
/// A segment that reached this size is followed by a new one.
const SEGMENT_BYTES: u64 = 256 * 1024 * 1024;
/// Largest payload; a longer length field is damage, not a request for memory.
pub const MAX_PAYLOAD_BYTES: usize = 32 * 1024 * 1024;
const FRAME_HEADER_BYTES: usize = 8;
const MAGIC: &[u8; 6] = b"MSNLOG";
const VERSION: u16 = 1;

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
type ShowFrame<'a> = dyn FnMut(u64, &[u8]) -> Result<(), ChainError> + 'a;

/// The one that appends.
#[derive(Debug)]
pub struct Log {
    reader: LogReader,
    tail: Tail,
    is_poisoned: bool,
}

#[derive(Debug)]
enum Tail {
    Memory,
    Files { genesis: B256, file: File, segment: u32, offset: u64 },
}

/// Reads frames by position; cheap to clone, from any thread.
#[derive(Debug, Clone)]
pub struct LogReader(Arc<Backing>);

#[derive(Debug)]
enum Backing {
    Memory(RwLock<Vec<Arc<[u8]>>>),
    Files { folder: PathBuf, open: Mutex<HashMap<u32, Arc<File>>> },
}

impl Log {
    /// A log without files.
    pub fn in_memory() -> Self {
        let reader = LogReader(Arc::new(Backing::Memory(RwLock::default())));
        Self { reader, tail: Tail::Memory, is_poisoned: false }
    }

    /// Opens the log in `folder`, or starts one. Frames from `from` on are checked and shown in order; a torn tail is cut
    /// off.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] names damage by file and offset; [`ChainError::IncompatibleGenesis`] if the log belongs to
    /// another network; [`ChainError::Io`]; whatever `visit` returns.
    pub fn open(
        folder: &Path,
        genesis: B256,
        from: End,
        visit: &mut VisitFrame<'_>,
    ) -> Result<Self, ChainError> {
        fs::create_dir_all(folder).map_err(|error| io_error("create", folder, error))?;
        let last = last_segment(folder)?;
        let mut end = (0, 0);
        for segment in from.0..=last.unwrap_or(0) {
            let path = segment_path(folder, segment);
            let start = if segment == from.0 { from.1 } else { 0 };
            let is_last = last.is_none_or(|last| segment == last);
            let mut show = |offset, payload: &[u8]| {
                let length = u32::try_from(payload.len()).expect("at most 32 MiB");
                visit(Position { segment, offset, length }, payload)
            };
            end = (segment, open_segment(&path, genesis, start, is_last, &mut show)?);
        }
        let path = segment_path(folder, end.0);
        let file = open_for_append(&path, end.1)?;
        let backing = Backing::Files { folder: folder.to_owned(), open: Mutex::default() };
        let (segment, offset) = end;
        Ok(Self {
            reader: LogReader(Arc::new(backing)),
            tail: Tail::Files { genesis, file, segment, offset },
            is_poisoned: false,
        })
    }

    /// A handle that reads.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// Where the next frame will stand.
    pub fn end(&self) -> End {
        match (&self.tail, &*self.reader.0) {
            (Tail::Files { segment, offset, .. }, _) => (*segment, *offset),
            (Tail::Memory, Backing::Memory(frames)) => {
                (0, frames.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
            }
            (Tail::Memory, Backing::Files { .. }) => (0, 0),
        }
    }

    /// Writes the payloads in order, one write and one `fdatasync` for all of them; durable when it returns.
    ///
    /// # Errors
    /// [`ChainError::Io`]; from then on the log takes nothing more.
    pub fn append(&mut self, payloads: &[Vec<u8>]) -> Result<Vec<Position>, ChainError> {
        if self.is_poisoned {
            let error = io::Error::other("an earlier write failed; restart to see what was kept");
            return Err(io_error("append to", &self.reader.place(self.end().0), error));
        }
        let result = self.append_frames(payloads);
        self.is_poisoned = result.is_err();
        result
    }

    fn append_frames(&mut self, payloads: &[Vec<u8>]) -> Result<Vec<Position>, ChainError> {
        match (&mut self.tail, &*self.reader.0) {
            (Tail::Files { genesis, file, segment, offset }, Backing::Files { folder, .. }) => {
                if *offset >= SEGMENT_BYTES {
                    let path = segment_path(folder, *segment + 1);
                    create_segment(&path, *genesis)?;
                    *file = open_for_append(&path, SEGMENT_HEADER_BYTES)?;
                    (*segment, *offset) = (*segment + 1, SEGMENT_HEADER_BYTES);
                }
                let path = segment_path(folder, *segment);
                let (bytes, positions) = frames(payloads, *segment, *offset)
                    .map_err(|error| io_error("append to", &path, error))?;
                file.write_all(&bytes).map_err(|error| io_error("append to", &path, error))?;
                file.sync_data().map_err(|error| io_error("sync", &path, error))?;
                *offset += bytes.len() as u64;
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
            (Tail::Memory, Backing::Files { .. }) => Ok(Vec::new()),
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
                file.read_exact_at(&mut bytes, at.offset)
                    .map_err(|error| io_error("read", &path, error))?;
                let payload = bytes.split_off(FRAME_HEADER_BYTES);
                if bytes != frame_header(&payload) {
                    return Err(damaged("length or checksum does not fit"));
                }
                Ok(payload)
            }
        }
    }

    fn file(&self, segment: u32) -> Result<Arc<File>, ChainError> {
        let Backing::Files { folder, open } = &*self.0 else {
            let error = io::Error::other("the log is in memory");
            return Err(io_error("open", Path::new("log"), error));
        };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&segment) {
            return Ok(file.clone());
        }
        let path = segment_path(folder, segment);
        let file = Arc::new(File::open(&path).map_err(|error| io_error("open", &path, error))?);
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

fn frame_header(payload: &[u8]) -> [u8; FRAME_HEADER_BYTES] {
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

fn segment_path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:06}.log"))
}

fn last_segment(folder: &Path) -> Result<Option<u32>, ChainError> {
    let entries = fs::read_dir(folder).map_err(|error| io_error("read", folder, error))?;
    let mut last = None;
    for entry in entries {
        let name = entry.map_err(|error| io_error("read", folder, error))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        last = last.max(number.and_then(|number| number.parse::<u32>().ok()));
    }
    Ok(last)
}

fn segment_header(genesis: B256) -> [u8; 16] {
    let mut header = [0; 16];
    header[..6].copy_from_slice(MAGIC);
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..].copy_from_slice(&genesis[..8]);
    header
}

/// Makes an empty segment file, durable together with its name.
fn create_segment(path: &Path, genesis: B256) -> Result<(), ChainError> {
    let run = || {
        let mut file = File::create(path)?;
        file.write_all(&segment_header(genesis))?;
        file.sync_all()?;
        sync_folder_of(path)
    };
    run().map_err(|error| io_error("create", path, error))
}

/// Makes a new or renamed file's name durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn open_for_append(path: &Path, end: u64) -> Result<File, ChainError> {
    let run = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::Start(end))?;
        Ok(file)
    };
    run().map_err(|error| io_error("open", path, error))
}

/// Checks a segment file from `start` on, shows its frames and returns where it ends. The last one may be missing or
/// torn.
pub(crate) fn open_segment(
    path: &Path,
    genesis: B256,
    start: u64,
    is_last: bool,
    show: &mut ShowFrame<'_>,
) -> Result<u64, ChainError> {
    let damaged = |offset: u64, reason: &str| ChainError::Corrupt {
        place: format!("{} at offset {offset}", path.display()),
        reason: reason.to_owned(),
    };
    let failed = |error| io_error("read", path, error);
    let size = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && is_last
                && start <= SEGMENT_HEADER_BYTES =>
        {
            0
        }
        Err(error) => return Err(failed(error)),
    };
    if size < SEGMENT_HEADER_BYTES && is_last && start <= SEGMENT_HEADER_BYTES {
        // The power went between the file's creation and its first sync: it never held a frame.
        create_segment(path, genesis)?;
        return Ok(SEGMENT_HEADER_BYTES);
    }
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut header = [0; 16];
    file.read_exact(&mut header).map_err(failed)?;
    check_segment_header(header, genesis).map_err(|error| match error {
        Ok(reason) => damaged(0, &reason),
        Err(error) => error,
    })?;
    let mut offset = start.max(SEGMENT_HEADER_BYTES);
    if offset > size {
        return Err(damaged(size, "the file is shorter than what was once synced"));
    }
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    while offset < size {
        match read_frame(&mut file, size - offset).map_err(failed)? {
            Ok(payload) => {
                show(offset, &payload)?;
                offset += (FRAME_HEADER_BYTES + payload.len()) as u64;
            }
            Err(_) if is_last => {
                cut(path, offset)?;
                break;
            }
            Err(reason) => return Err(damaged(offset, reason)),
        }
    }
    Ok(offset)
}

fn check_segment_header(header: [u8; 16], genesis: B256) -> Result<(), Result<String, ChainError>> {
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

/// The next payload, or why there is none.
fn read_frame(file: &mut impl Read, left: u64) -> io::Result<Result<Vec<u8>, &'static str>> {
    if left < FRAME_HEADER_BYTES as u64 {
        return Ok(Err("the file ends inside a frame header"));
    }
    let mut header = [0; FRAME_HEADER_BYTES];
    file.read_exact(&mut header)?;
    let [a, b, c, d, ..] = header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length == 0 || length > MAX_PAYLOAD_BYTES {
        return Ok(Err("the frame's length is impossible"));
    }
    if left < (FRAME_HEADER_BYTES + length) as u64 {
        return Ok(Err("the file ends inside a frame"));
    }
    let mut payload = vec![0; length];
    file.read_exact(&mut payload)?;
    if frame_header(&payload) != header {
        return Ok(Err("the frame's checksum does not fit"));
    }
    Ok(Ok(payload))
}

fn cut(path: &Path, end: u64) -> Result<(), ChainError> {
    let run = || {
        let file = OpenOptions::new().write(true).open(path)?;
        tracing::warn!(file = %path.display(), offset = end, "cut off a torn tail");
        file.set_len(end)?;
        file.sync_all()
    };
    run().map_err(|error| io_error("truncate", path, error))
}

pub(crate) fn io_error(doing: &'static str, path: &Path, source: io::Error) -> ChainError {
    ChainError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENESIS: B256 = B256::repeat_byte(7);

    type Seen = Vec<(Position, Vec<u8>)>;

    fn open(folder: &Path, from: End) -> Result<(Log, Seen), ChainError> {
        let mut seen = Vec::new();
        let mut visit = |position, payload: &[u8]| {
            seen.push((position, payload.to_vec()));
            Ok(())
        };
        let log = Log::open(folder, GENESIS, from, &mut visit)?;
        Ok((log, seen))
    }

    fn payloads() -> Vec<Vec<u8>> {
        vec![vec![1], vec![2; 300], vec![3; 7]]
    }

    #[test]
    fn frames_come_back_in_order_and_by_position() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, seen) = open(folder.path(), (0, 0)).unwrap();
        assert!(seen.is_empty());
        let mut positions = log.append(&payloads()[..2]).unwrap();
        positions.extend(log.append(&payloads()[2..]).unwrap());
        for (position, payload) in positions.iter().zip(payloads()) {
            assert_eq!(log.reader().read(*position).unwrap(), payload);
        }
        let end = log.end();
        drop(log);
        let (log, seen) = open(folder.path(), (0, 0)).unwrap();
        assert_eq!(seen, positions.iter().copied().zip(payloads()).collect::<Vec<_>>());
        assert_eq!(log.end(), end);
        let (_, seen) = open(folder.path(), (0, positions[2].offset)).unwrap();
        assert_eq!(seen.len(), 1);
        let bytes = fs::read(folder.path().join("000000.log")).unwrap();
        assert_eq!(&bytes[..16], b"MSNLOG\x01\x00\x07\x07\x07\x07\x07\x07\x07\x07");
        assert_eq!(
            &bytes[16..25],
            [&1u32.to_le_bytes()[..], &crc32c::crc32c(&[1]).to_le_bytes(), &[1]].concat()
        );
    }

    #[test]
    fn memory_gives_back_what_it_took() {
        let mut log = Log::in_memory();
        let positions = log.append(&payloads()).unwrap();
        assert_eq!(log.end(), (0, 3));
        assert_eq!(log.reader().read(positions[1]).unwrap(), payloads()[1]);
        assert!(log.reader().read(Position { offset: 9, ..positions[0] }).is_err());
    }

    #[test]
    fn every_torn_tail_is_cut_and_the_log_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("000000.log");
        let (mut log, _) = open(folder.path(), (0, 0)).unwrap();
        let positions = log.append(&payloads()).unwrap();
        drop(log);
        let whole = fs::read(&path).unwrap();
        for size in 0..whole.len() {
            fs::write(&path, &whole[..size]).unwrap();
            let (mut log, seen) = open(folder.path(), (0, 0)).unwrap();
            let complete = positions.iter().filter(|position| {
                position.offset + FRAME_HEADER_BYTES as u64 + u64::from(position.length)
                    <= size as u64
            });
            assert_eq!(seen.len(), complete.count(), "cut to {size}");
            log.append(&[vec![9]]).unwrap();
            drop(log);
            let (_, seen) = open(folder.path(), (0, 0)).unwrap();
            assert_eq!(seen.last().unwrap().1, [9]);
        }
    }

    #[test]
    fn a_flipped_bit_cuts_the_last_segment_and_condemns_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("000000.log");
        let (mut log, _) = open(folder.path(), (0, 0)).unwrap();
        let positions = log.append(&payloads()).unwrap();
        let reader = log.reader();
        let mut bytes = fs::read(&path).unwrap();
        let at = usize::try_from(positions[1].offset).unwrap() + 20;
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(reader.read(positions[1]), Err(ChainError::Corrupt { .. })));
        drop(log);

        create_segment(&folder.path().join("000001.log"), GENESIS).unwrap();
        let error = open(folder.path(), (0, 0)).unwrap_err().to_string();
        let expected = format!("000000.log at offset {}", positions[1].offset);
        assert!(error.contains(&expected), "{error}");

        fs::remove_file(folder.path().join("000001.log")).unwrap();
        let (_, seen) = open(folder.path(), (0, 0)).unwrap();
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn foreign_and_lost_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = open(folder.path(), (0, 0)).unwrap();
        log.append(&payloads()).unwrap();
        let mut visit = |_, _: &[u8]| Ok(());
        let other = B256::repeat_byte(8);
        let error = Log::open(folder.path(), other, (0, 0), &mut visit).unwrap_err();
        assert!(matches!(error, ChainError::IncompatibleGenesis { .. }), "{error}");
        let error = open(folder.path(), (0, 9_999)).unwrap_err();
        assert!(matches!(error, ChainError::Corrupt { .. }), "{error}");
        assert!(log.append(&[Vec::new()]).is_err());
        assert!(log.append(&[vec![1]]).is_err(), "poisoned");
    }
}
