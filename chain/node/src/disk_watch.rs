//! [`DiskWatch`]: read-only while the disk is nearly full, and back by itself.
//!
//! Below `--datadir.minfreedisk` no block is sealed or taken and no transaction enters the pool; reads go on. What is
//! left below the limit belongs to the flush and to whoever cleans up. The first look that finds space again starts a
//! wait of ten seconds, so that a disk at its limit does not make the node stutter.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chain::{disk::Disk, error::ChainError};

/// Free space below which a node is read-only, MiB (`--datadir.minfreedisk`).
pub const MIN_FREE_DISK_MIB: u64 = 1_024;
/// Time between two questions to the operating system: a question costs a microsecond, a disk fills slower.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long there must have been space before the node goes on.
const RESUME_AFTER: Duration = Duration::from_secs(10);
const MIB: u64 = 1_024 * 1_024;

/// Why nothing is written at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read-only: {free_mib} MiB free, needs {needs_mib} MiB")]
pub struct ReadOnly {
    /// Free space, MiB.
    pub free_mib: u64,
    /// Free space that the node wants, MiB.
    pub needs_mib: u64,
}

/// Watches the free space of the folder that a node writes to.
#[derive(Debug)]
pub(crate) struct DiskWatch {
    /// None: the chain lives in memory.
    place: Option<(Arc<dyn Disk>, PathBuf)>,
    needs_mib: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    looked_at: Option<Instant>,
    free_mib: u64,
    is_read_only: bool,
    /// Since when there is enough space, while read-only.
    enough_since: Option<Instant>,
}

impl DiskWatch {
    pub(crate) fn new(place: Option<(Arc<dyn Disk>, PathBuf)>, needs_mib: u64) -> Self {
        Self { place, needs_mib, state: Mutex::default() }
    }

    /// May anything be written?
    ///
    /// # Errors
    /// [`ReadOnly`] if not.
    pub(crate) fn check(&self) -> Result<(), ReadOnly> {
        self.check_at(Instant::now())
    }

    fn check_at(&self, now: Instant) -> Result<(), ReadOnly> {
        let Some((disk, folder)) = &self.place else { return Ok(()) };
        let mut state = self.state();
        if state.looked_at.is_none_or(|last| now.saturating_duration_since(last) >= LOOK_EVERY) {
            state.looked_at = Some(now);
            match disk.free_bytes(folder) {
                Ok(bytes) => state.free_mib = bytes / MIB,
                Err(error) => {
                    // Not known is not full; the next write will tell.
                    tracing::debug!(%error, "cannot ask for the free space of the disk");
                    state.free_mib = u64::MAX;
                }
            }
            self.judge(&mut state, now);
        }
        if state.is_read_only { Err(self.reason(&state)) } else { Ok(()) }
    }

    /// A write failed: if the disk was full, the node is read-only from now on.
    pub(crate) fn note(&self, error: &ChainError) {
        if self.place.is_none() || !error.is_disk_full() {
            return;
        }
        let mut state = self.state();
        (state.looked_at, state.enough_since) = (None, None);
        if !std::mem::replace(&mut state.is_read_only, true) {
            tracing::warn!(%error, "the disk is full: the node is read-only");
        }
    }

    fn judge(&self, state: &mut State, now: Instant) {
        let has_enough = state.free_mib >= self.needs_mib;
        if !has_enough {
            state.enough_since = None;
            if !std::mem::replace(&mut state.is_read_only, true) {
                tracing::warn!(reason = %self.reason(state), "the disk is nearly full");
            }
            return;
        }
        if !state.is_read_only {
            return;
        }
        let since = *state.enough_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= RESUME_AFTER {
            (state.is_read_only, state.enough_since) = (false, None);
            tracing::info!(free_mib = state.free_mib, "there is space again: the node goes on");
        }
    }

    fn reason(&self, state: &State) -> ReadOnly {
        ReadOnly { free_mib: state.free_mib, needs_mib: self.needs_mib }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chain::disk::SimDisk;

    use super::*;

    fn full() -> ChainError {
        ChainError::Io {
            doing: "append to",
            path: "/a".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        }
    }

    #[test]
    fn it_is_read_only_below_the_limit_and_ten_seconds_longer() {
        let disk = SimDisk::new(1);
        disk.set_capacity(100 * MIB);
        let watch = DiskWatch::new(Some((Arc::new(disk.clone()), "/".into())), 64);
        let start = Instant::now();
        let at = |ms: u64| watch.check_at(start + Duration::from_millis(ms));
        assert_eq!(at(0), Ok(()));
        disk.set_capacity(63 * MIB);
        assert_eq!(at(100), Ok(()), "not asked again yet");
        let error = at(600).unwrap_err();
        assert_eq!(error.to_string(), "read-only: 63 MiB free, needs 64 MiB");
        disk.set_capacity(64 * MIB);
        assert!(at(1_200).is_err());
        disk.set_capacity(10 * MIB);
        assert!(at(9_000).is_err());
        disk.set_capacity(64 * MIB);
        assert!(at(12_000).is_err());
        assert!(at(21_900).is_err());
        assert_eq!(at(22_500), Ok(()));
    }

    #[test]
    fn a_refused_write_counts_as_well() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        let watch = DiskWatch::new(Some((disk, Path::new("/").to_owned())), 64);
        let start = Instant::now();
        let at = |ms: u64| watch.check_at(start + Duration::from_millis(ms));
        assert_eq!(at(0), Ok(()));
        watch.note(&ChainError::UnknownBlock { block: "0x".to_owned() });
        assert_eq!(at(1_000), Ok(()));
        watch.note(&full());
        assert!(at(1_100).is_err() && at(11_000).is_err());
        assert_eq!(at(11_700), Ok(()));
        let memory = DiskWatch::new(None, 64);
        memory.note(&full());
        assert_eq!(memory.check(), Ok(()));
    }
}
