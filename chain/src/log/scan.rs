//! Reading files of frames from outside, for checks and repairs: nothing is changed, and damage is an answer.

use std::{io, path::Path};

use alloy_primitives::B256;

use super::{
    Position, SEGMENT_HEADER_BYTES, io_error, last_segment,
    segment::{FRAME_HEADER_BYTES, Scan, ShowFrame, check_segment_header},
    segment_path,
};
use crate::{
    disk::{Disk, OpenMode},
    error::ChainError,
};

/// Where a scan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScanEnd {
    /// At the end of the file, which is a frame's end.
    Whole(u64),
    /// At bytes that are no frame.
    Broken {
        /// Where they start.
        offset: u64,
        /// What is wrong.
        reason: String,
        /// How many bytes there are from there on.
        left: u64,
    },
}

/// The segments of a log in order, with their sizes.
pub(crate) fn segments(disk: &dyn Disk, folder: &Path) -> Result<Vec<(u32, u64)>, ChainError> {
    let last = match last_segment(disk, folder) {
        Ok(last) => last,
        Err(ChainError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let Some(last) = last else { return Ok(Vec::new()) };
    let size = |segment| {
        let path = segment_path(folder, segment);
        match disk.open(&path, OpenMode::Read).and_then(|file| file.len()) {
            Ok(bytes) => Ok(Some((segment, bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path, error)),
        }
    };
    (0..=last).filter_map(|segment| size(segment).transpose()).collect()
}

/// Shows the frames of a file from `start` on, as far as they are whole.
///
/// # Errors
/// [`ChainError::IncompatibleGenesis`] if the file is another network's; [`ChainError::Io`]; what `show` returns.
pub(crate) fn scan_file(
    disk: &dyn Disk,
    path: &Path,
    genesis: B256,
    start: u64,
    show: &mut ShowFrame<'_>,
) -> Result<ScanEnd, ChainError> {
    let failed = |error| io_error("read", path, error);
    let file = disk.open(path, OpenMode::Read).map_err(failed)?;
    let size = file.len().map_err(failed)?;
    let broken = |offset: u64, reason: &str| ScanEnd::Broken {
        offset,
        reason: reason.to_owned(),
        left: size.saturating_sub(offset),
    };
    if size < SEGMENT_HEADER_BYTES {
        return Ok(broken(0, "the file ends inside its header"));
    }
    let mut scan = Scan::new(file, size);
    match check_segment_header(scan.take::<16>(0).map_err(failed)?, genesis) {
        Ok(()) => {}
        Err(Ok(reason)) => return Ok(broken(0, &reason)),
        Err(Err(error)) => return Err(error),
    }
    let mut offset = start.max(SEGMENT_HEADER_BYTES);
    if offset > size {
        return Ok(broken(size, "the file is shorter than what was once synced"));
    }
    while offset < size {
        match scan.frame(offset).map_err(failed)? {
            Ok(payload) => {
                show(offset, &payload)?;
                offset += (FRAME_HEADER_BYTES + payload.len()) as u64;
            }
            Err(reason) => return Ok(broken(offset, reason)),
        }
    }
    Ok(ScanEnd::Whole(offset))
}

/// The position of a frame that a scan showed.
pub(crate) fn position(segment: u32, offset: u64, payload: &[u8]) -> Position {
    let length = u32::try_from(payload.len()).expect("at most 32 MiB");
    Position { segment, offset, length }
}
