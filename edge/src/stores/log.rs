//! An append-only log of frames, durable when [`FrameLog::append`] returns; a torn end is told from damage.
//!
//! ```text
//! file   = header 64 ‖ frame*
//! header = magic (8) ‖ u16 format = 1 ‖ u16 0 ‖ u32 0 ‖ u64 log number ‖ store_id (16) ‖ zeros ‖ u32 CRC-32C of bytes 0..60
//! frame  = u32 length ‖ u32 CRC-32C of the payload ‖ u32 CRC-32C of the 8 bytes before ‖ payload
//! ```
//!
//! Payloads end in an AES-GCM tag or another value that is never 16 zero bytes. So at open
//! - an end shorter than its frame says, or zeros where bytes should be, is a **torn end**: the write was never
//!   acknowledged, and the file is cut there;
//! - anything else that does not check is **damage**, named with file and offset; nothing is cut or deleted.
use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::local;
use crate::error::EdgeError;

/// Length of the header of a log or segment file.
pub const FILE_HEADER_BYTES: usize = 64;
/// Bytes before each payload.
pub const PREFIX_BYTES: usize = 12;
/// The largest payload: one item of 32 MiB with its records, sealed.
pub const MAX_FRAME_BYTES: usize = 512 << 20;

const FORMAT: u16 = 1;
const HEADER_CRC_AT: usize = 60;
const TAG_BYTES: usize = 16;

/// The 64-byte header that logs and segments begin with.
pub fn file_header(magic: &[u8; 8], number: u64, store_id: &[u8; 16]) -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    header[..8].copy_from_slice(magic);
    header[8..10].copy_from_slice(&FORMAT.to_le_bytes());
    header[16..24].copy_from_slice(&number.to_le_bytes());
    header[24..40].copy_from_slice(store_id);
    let crc = crc32c::crc32c(&header[..HEADER_CRC_AT]);
    header[HEADER_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Checks that `bytes` begin with the header that [`file_header`] makes of the same arguments.
///
/// # Errors
/// [`EdgeError::Integrity`] naming the file.
pub fn check_file_header(
    bytes: &[u8],
    magic: &[u8; 8],
    number: u64,
    store_id: &[u8; 16],
    path: &Path,
) -> Result<(), EdgeError> {
    let what = match bytes.get(..FILE_HEADER_BYTES) {
        Some(header) if header == file_header(magic, number, store_id) => return Ok(()),
        Some(header) if !header.starts_with(magic) => "the file does not begin with its magic",
        Some(header) if header[8..10] != FORMAT.to_le_bytes() => {
            "the file was written by another format; this program reads format 1"
        }
        Some(header) if header[24..40] != store_id[..] => "the file belongs to another store",
        Some(_) => "the file's header is damaged",
        None => "the file is shorter than its header",
    };
    Err(EdgeError::integrity(what, path.display().to_string()))
}

/// An open log, positioned at its end.
#[derive(Debug)]
pub struct FrameLog {
    path: PathBuf,
    file: File,
    len: u64,
    /// A write or fsync failed: what is on disk is unknown until the log is opened again.
    failed: bool,
}

impl FrameLog {
    /// Starts a new, empty log file, durably.
    ///
    /// # Errors
    /// [`EdgeError::Io`] if the file exists or cannot be written.
    pub fn create(
        path: &Path,
        magic: &[u8; 8],
        number: u64,
        store_id: &[u8; 16],
    ) -> Result<Self, EdgeError> {
        let create = || {
            let mut file = local::private().create_new(true).open(path)?;
            file.write_all(&file_header(magic, number, store_id))?;
            file.sync_all()?;
            local::sync_folder(path)?;
            Ok(file)
        };
        let file = create().map_err(|source| EdgeError::io(path, source))?;
        Ok(Self { path: path.to_owned(), file, len: FILE_HEADER_BYTES as u64, failed: false })
    }

    /// Opens a log and returns the payloads in it; a torn end is cut.
    ///
    /// # Errors
    /// [`EdgeError::Integrity`] naming file and offset of damage, [`EdgeError::Io`] otherwise.
    pub fn open(
        path: &Path,
        magic: &[u8; 8],
        number: u64,
        store_id: &[u8; 16],
    ) -> Result<(Self, Vec<Vec<u8>>), EdgeError> {
        let bytes = local::read(path)?;
        let (frames, at) = frames(&bytes, magic, number, store_id, path)?;
        let end = || {
            let mut file = local::private().open(path)?;
            if at < bytes.len() {
                tracing::info!(file = %path.display(), offset = at, "cut a torn end of a log");
                file.set_len(at as u64)?;
                file.sync_all()?;
            }
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = end().map_err(|source| EdgeError::io(path, source))?;
        Ok((Self { path: path.to_owned(), file, len: at as u64, failed: false }, frames))
    }

    /// The payloads in a log file, which is left as it is.
    ///
    /// # Errors
    /// As [`FrameLog::open`].
    pub fn read(
        path: &Path,
        magic: &[u8; 8],
        number: u64,
        store_id: &[u8; 16],
    ) -> Result<Vec<Vec<u8>>, EdgeError> {
        frames(&local::read(path)?, magic, number, store_id, path).map(|(frames, _)| frames)
    }

    /// Appends payloads and makes them durable with one fsync.
    ///
    /// # Errors
    /// [`EdgeError::Io`]; from then on the log takes nothing more until it is opened again.
    pub fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), EdgeError> {
        if self.failed {
            return Err(EdgeError::storage(
                "an earlier write failed, so nothing more is accepted",
                self.path.display().to_string(),
                "free or replace the disk, then start the edge again",
            ));
        }
        let mut bytes = Vec::new();
        for payload in payloads {
            push_frame(&mut bytes, payload).map_err(|source| EdgeError::io(&self.path, source))?;
        }
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        self.failed = written.is_err();
        written.map_err(|source| EdgeError::io(&self.path, source))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// The log's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether no frame was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == FILE_HEADER_BYTES as u64
    }

    /// Bytes in the file, header included.
    pub fn len_bytes(&self) -> u64 {
        self.len
    }
}

/// All payloads of a file's bytes, and where the last frame ends.
fn frames(
    bytes: &[u8],
    magic: &[u8; 8],
    number: u64,
    store_id: &[u8; 16],
    path: &Path,
) -> Result<(Vec<Vec<u8>>, usize), EdgeError> {
    check_file_header(bytes, magic, number, store_id, path)?;
    let mut frames = Vec::new();
    let mut at = FILE_HEADER_BYTES;
    let damage = |what, at, number| {
        EdgeError::integrity(what, format!("{}, offset {at}, entry {number}", path.display()))
    };
    while let Some((payload, next)) =
        read_frame(bytes, at).map_err(|what| damage(what, at, frames.len()))?
    {
        frames.push(payload.to_vec());
        at = next;
    }
    Ok((frames, at))
}

fn push_frame(bytes: &mut Vec<u8>, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= MAX_FRAME_BYTES)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a frame above 512 MiB"))?;
    let mut prefix = [0; PREFIX_BYTES];
    prefix[..4].copy_from_slice(&length.to_le_bytes());
    prefix[4..8].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    let crc = crc32c::crc32c(&prefix[..8]);
    prefix[8..].copy_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&prefix);
    bytes.extend_from_slice(payload);
    Ok(())
}

/// The frame at `at` and where the next begins; `None` at the end, clean or torn; `Err` says what is damaged.
fn read_frame(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, &'static str> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((prefix, after)) = rest.split_at_checked(PREFIX_BYTES) else {
        return Ok(None);
    };
    let word =
        |i: usize| u32::from_le_bytes([prefix[i], prefix[i + 1], prefix[i + 2], prefix[i + 3]]);
    if word(8) != crc32c::crc32c(&prefix[..8]) {
        let unwritten = rest.iter().all(|byte| *byte == 0);
        return if unwritten { Ok(None) } else { Err("a frame's prefix is damaged") };
    }
    let length = word(0) as usize;
    let Some(payload) = after.get(..length) else {
        return Ok(None);
    };
    if word(4) == crc32c::crc32c(payload) {
        return Ok(Some((payload, at + PREFIX_BYTES + length)));
    }
    let last = after.len() == length;
    let unwritten = payload.iter().rev().take(TAG_BYTES).all(|byte| *byte == 0);
    if last && unwritten { Ok(None) } else { Err("a frame's payload is damaged") }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const MAGIC: &[u8; 8] = b"MSNTEST\0";
    const STORE: [u8; 16] = [4; 16];

    fn written(payloads: &[&[u8]]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        let mut log = FrameLog::create(&path, MAGIC, 7, &STORE).expect("created");
        for payload in payloads {
            log.append(&[payload.to_vec()]).expect("appended");
        }
        (dir, path)
    }

    fn reopened(path: &Path) -> Result<Vec<Vec<u8>>, EdgeError> {
        FrameLog::open(path, MAGIC, 7, &STORE).map(|(_, frames)| frames)
    }

    #[test]
    fn frames_come_back_in_order_and_more_can_follow() {
        let (_dir, path) = written(&[b"one", b"two"]);
        let (mut log, frames) = FrameLog::open(&path, MAGIC, 7, &STORE).expect("opens");
        assert_eq!(frames, [b"one".to_vec(), b"two".to_vec()]);
        log.append(&[b"three".to_vec(), b"four".to_vec()]).expect("appended");
        assert_eq!(reopened(&path).expect("opens").len(), 4);
        assert_eq!(log.len_bytes(), fs::metadata(&path).expect("there").len());
    }

    #[test]
    fn a_torn_end_is_cut_at_every_length() {
        let (_dir, path) = written(&[b"first frame", b"second frame"]);
        let whole = fs::read(&path).expect("there");
        let second_at = FILE_HEADER_BYTES + PREFIX_BYTES + 11;
        for length in second_at..whole.len() {
            fs::write(&path, &whole[..length]).expect("written");
            assert_eq!(reopened(&path).expect("a clean end"), [b"first frame".to_vec()]);
            assert_eq!(fs::metadata(&path).expect("there").len(), second_at as u64);
        }
        // The size was made durable before the data: zeros where the frame should be.
        let mut zeros = whole[..second_at].to_vec();
        zeros.resize(whole.len(), 0);
        fs::write(&path, zeros).expect("written");
        assert_eq!(reopened(&path).expect("a clean end").len(), 1);
    }

    #[test]
    fn every_flipped_byte_of_an_acknowledged_frame_is_damage_with_its_place() {
        let (_dir, path) = written(&[b"first frame", b"second frame"]);
        let whole = fs::read(&path).expect("there");
        let second_at = FILE_HEADER_BYTES + PREFIX_BYTES + 11;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            fs::write(&path, &bytes).expect("written");
            let error = reopened(&path).expect_err("damage").to_string();
            if at >= FILE_HEADER_BYTES {
                let frame_at = if at < second_at { FILE_HEADER_BYTES } else { second_at };
                assert!(error.contains(&format!("offset {frame_at}")), "byte {at}: {error}");
            }
            assert_eq!(fs::read(&path).expect("untouched"), bytes);
        }
    }

    #[test]
    fn another_store_or_number_is_refused() {
        let (_dir, path) = written(&[]);
        assert!(FrameLog::open(&path, MAGIC, 8, &STORE).is_err());
        let error = FrameLog::open(&path, MAGIC, 7, &[5; 16]).expect_err("another store");
        assert!(error.to_string().contains("another store"), "{error}");
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut at = 0;
            while let Ok(Some((_, next))) = read_frame(&bytes, at) {
                prop_assert!(next > at);
                at = next;
            }
        }
    }
}
