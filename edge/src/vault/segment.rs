//! Segments: files of sealed blocks, one after another, that only grow and then never change.
//!
//! ```text
//! segments/<16 hex>.seg = header 64 (`stores/log.rs`, magic MSNVAULT, number = segment) ‖ block*
//! ```
//!
//! The catalogue names each block and the length of each segment. Bytes beyond that length come from a flush that was cut
//! short; they are cut at open.
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::patient::Place;
use crate::{
    error::EdgeError,
    stores::{
        local,
        log::{FILE_HEADER_BYTES, check_file_header, file_header},
    },
};

const MAGIC: &[u8; 8] = b"MSNVAULT";
/// A segment that has grown to this is followed by the next.
const FULL_BYTES: u64 = 256 << 20;

/// The folder of segments, and the one that grows.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    store_id: [u8; 16],
    number: u64,
    length: u64,
    file: File,
}

impl Segments {
    /// Opens the growing segment at its catalogued length, or starts the first one.
    pub(super) fn open(
        folder: &Path,
        store_id: [u8; 16],
        catalogued: Option<(u64, u64)>,
    ) -> Result<Self, EdgeError> {
        let (number, length) = catalogued.unwrap_or((1, 0));
        let mut segments = match length {
            0 => Self::start(folder, store_id, number)?,
            _ => {
                let path = path(folder, number);
                let file = open_checked(&path, number, &store_id)?;
                Self { folder: folder.to_owned(), store_id, number, length, file }
            }
        };
        segments.cut()?;
        Ok(segments)
    }

    fn start(folder: &Path, store_id: [u8; 16], number: u64) -> Result<Self, EdgeError> {
        let path = path(folder, number);
        let start = || {
            let mut file = local::private().create(true).truncate(true).open(&path)?;
            file.write_all(&file_header(MAGIC, number, &store_id))?;
            file.sync_all()?;
            local::sync_folder(&path)?;
            Ok(file)
        };
        let file = start().map_err(|source| EdgeError::io(&path, source))?;
        let length = FILE_HEADER_BYTES as u64;
        Ok(Self { folder: folder.to_owned(), store_id, number, length, file })
    }

    /// Cuts what no catalogue names.
    fn cut(&mut self) -> Result<(), EdgeError> {
        let path = path(&self.folder, self.number);
        let there = self.file.metadata().map_err(|source| EdgeError::io(&path, source))?.len();
        if there < self.length {
            return Err(EdgeError::integrity(
                format!("{} bytes are missing at the end of the segment", self.length - there),
                path.display().to_string(),
            ));
        }
        self.file.set_len(self.length).map_err(|source| EdgeError::io(path, source))
    }

    /// Appends blocks and makes them durable; they count once the catalogue names them.
    pub(super) fn append(&mut self, blocks: &[Vec<u8>]) -> Result<Vec<Place>, EdgeError> {
        if self.length >= FULL_BYTES {
            *self = Self::start(&self.folder, self.store_id, self.number + 1)?;
        }
        let mut places = Vec::with_capacity(blocks.len());
        let mut offset = self.length;
        for block in blocks {
            let length = u32::try_from(block.len()).expect("a block is about 16 MiB at most");
            places.push(Place { segment: self.number, offset, length });
            offset += u64::from(length);
        }
        let from = self.length;
        let mut write = || {
            self.file.seek(SeekFrom::Start(from))?;
            self.file.write_all(&blocks.concat())?;
            self.file.sync_all()
        };
        write().map_err(|source| EdgeError::io(path(&self.folder, self.number), source))?;
        self.length = offset;
        Ok(places)
    }

    /// Starts the next segment, unless the growing one is empty.
    pub(super) fn roll(&mut self) -> Result<(), EdgeError> {
        if self.length > FILE_HEADER_BYTES as u64 {
            *self = Self::start(&self.folder, self.store_id, self.number + 1)?;
        }
        Ok(())
    }

    /// The segments there are, with their lengths.
    pub(super) fn list(&self) -> Result<Vec<(u64, u64)>, EdgeError> {
        let failed = |source| EdgeError::io(&self.folder, source);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.strip_suffix(".seg").map(|hex| u64::from_str_radix(hex, 16));
            if let Some(Ok(number)) = number {
                found.push((number, entry.metadata().map_err(failed)?.len()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Bytes of all segments.
    pub(super) fn total(&self) -> Result<u64, EdgeError> {
        Ok(self.list()?.iter().map(|(_, length)| length).sum())
    }

    /// Removes a segment that nothing names.
    pub(super) fn remove(&self, number: u64) -> Result<(), EdgeError> {
        local::remove(&path(&self.folder, number))
    }

    /// Number and length of the growing segment, for the catalogue.
    pub(super) const fn growing(&self) -> (u64, u64) {
        (self.number, self.length)
    }

    /// The bytes of a block.
    pub(super) fn read(&self, place: Place) -> Result<Vec<u8>, EdgeError> {
        let path = path(&self.folder, place.segment);
        let mut bytes = vec![0; place.length as usize];
        let mut file = File::open(&path).map_err(|source| EdgeError::io(&path, source))?;
        file.seek(SeekFrom::Start(place.offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|source| EdgeError::io(&path, source))?;
        Ok(bytes)
    }

    /// A place in words, for errors.
    pub(super) fn name(&self, place: Place) -> String {
        format!("{}, offset {}", path(&self.folder, place.segment).display(), place.offset)
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.seg"))
}

fn open_checked(path: &Path, number: u64, store_id: &[u8; 16]) -> Result<File, EdgeError> {
    let open = || {
        let mut file = local::private().open(path)?;
        let mut header = Vec::new();
        (&mut file).take(FILE_HEADER_BYTES as u64).read_to_end(&mut header)?;
        Ok((file, header))
    };
    let (file, header) = open().map_err(|source| EdgeError::io(path, source))?;
    check_file_header(&header, MAGIC, number, store_id, path)?;
    Ok(file)
}
