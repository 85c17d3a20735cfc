//! [`SimDisk`]: a disk in memory that loses power, fails and fills up on purpose, the same way for the same seed.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::io::Errno;

use super::{
    Disk, DiskFile, DiskLock, OpenMode,
    files::{Draw, Entry, Files, Inode, Op},
    parent,
};

/// Free bytes of a disk whose capacity was never set.
const PLENTY_BYTES: u64 = 1 << 50;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// EIO: the medium failed.
    Io,
    /// ENOSPC: no space is left.
    NoSpace,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Io => Errno::IO.into(),
            Self::NoSpace => Errno::NOSPC.into(),
        }
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    files: Files,
    /// Every change so far, if somebody asked for it.
    recorded: Option<Vec<Op>>,
    locked: BTreeSet<PathBuf>,
    capacity: u64,
    calls: u64,
    /// The call that fails, counted as `calls`.
    fault: Option<(u64, Fault)>,
    /// The call that failed: what it was to do.
    failed: Option<String>,
    draw: Draw,
}

impl SimDisk {
    /// An empty disk. The seed decides what a failing call leaves behind.
    pub fn new(seed: u64) -> Self {
        Self::with_files(Files::default(), PLENTY_BYTES, seed)
    }

    fn with_files(files: Files, capacity: u64, seed: u64) -> Self {
        let (recorded, locked, draw) = (None, BTreeSet::new(), Draw::new(seed));
        let (fault, failed) = (None, None);
        let state = State { files, recorded, locked, capacity, calls: 0, fault, failed, draw };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The disk as it comes back if the power went now: each write since the last sync of its file is kept, dropped or
    /// torn at 512-byte sectors, in any order, and its length is decided apart; names made, renamed or removed since the
    /// last sync of their folder are so or not. This disk goes on as if nothing had happened.
    #[must_use]
    pub fn cut(&self, seed: u64) -> Self {
        let state = self.state();
        let files = state.files.after_cut(&mut Draw::new(seed));
        Self::with_files(files, state.capacity, seed)
    }

    /// Makes the `n`-th call from now fail; 1 is the next one. Every call of [`Disk`] and [`DiskFile`] counts.
    pub fn fail_call(&self, n: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.calls.saturating_add(n);
        (state.fault, state.failed) = (Some((at, fault)), None);
    }

    /// What the call that [`SimDisk::fail_call`] named was to do; `None` if it did not come yet.
    pub fn failed_call(&self) -> Option<String> {
        self.state().failed.clone()
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Sets how many bytes all files together may have.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        self.state().files.used()
    }

    /// Every file with its length.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state();
        state.files.all().map(|(path, bytes)| (path.to_owned(), bytes.len() as u64)).collect()
    }

    /// Damages a file as a failing medium does.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`].
    pub fn flip_bit(&self, path: &Path, byte: usize, bit: u32) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.file(path)?;
        state.files.flip_bit(inode, byte, bit % 8);
        Ok(())
    }

    /// Remembers every change from now on, for [`SimDisk::cuts`]. The disk must be empty.
    pub fn record(&self) {
        self.state().recorded = Some(Vec::new());
    }

    /// Number of changes recorded so far.
    pub fn recorded(&self) -> usize {
        self.state().recorded.as_ref().map_or(0, Vec::len)
    }

    /// Power cuts at any recorded change, ascending, without running the program again for each.
    pub fn cuts(&self) -> Cuts {
        let state = self.state();
        let (files, capacity) = (Files::default(), state.capacity);
        Cuts { ops: state.recorded.clone().unwrap_or_default(), next: 0, files, capacity }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A recorded run, cut at one change after the other.
#[derive(Debug)]
pub struct Cuts {
    ops: Vec<Op>,
    next: usize,
    files: Files,
    capacity: u64,
}

impl Cuts {
    /// The disk as it comes back if the power went after the first `count` changes; `count` never falls from call to call.
    pub fn at(&mut self, count: usize, seed: u64) -> SimDisk {
        let count = count.min(self.ops.len());
        while self.next < count {
            self.files.apply(&self.ops[self.next]);
            self.next += 1;
        }
        let files = self.files.after_cut(&mut Draw::new(seed));
        SimDisk::with_files(files, self.capacity, seed)
    }
}

impl State {
    /// Counts a call; the one that shall fail does.
    fn call(&mut self, what: &str, path: &Path) -> io::Result<()> {
        self.calls += 1;
        match self.fault {
            Some((at, fault)) if at <= self.calls => {
                self.fault = None;
                self.failed = Some(format!("{what} {}", path.display()));
                Err(fault.error())
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, op: Op) {
        self.files.apply(&op);
        if let Some(recorded) = &mut self.recorded {
            recorded.push(op);
        }
    }

    fn file(&self, path: &Path) -> io::Result<Inode> {
        match self.files.entry(path) {
            Some(Entry::File(inode)) => Ok(inode),
            Some(Entry::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn check_folder(&self, path: &Path) -> io::Result<()> {
        match self.files.entry(path) {
            Some(Entry::Folder) => Ok(()),
            Some(Entry::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn make_file(&mut self, path: &Path) -> io::Result<Inode> {
        self.check_folder(parent(path))?;
        self.apply(Op::MakeFile(path.to_owned()));
        self.file(path)
    }

    fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.files.used())
    }

    /// How many of `bytes` at `offset` still fit.
    fn fitting(&self, inode: Inode, offset: usize, bytes: usize) -> usize {
        let length = self.files.bytes(inode).len();
        let room = usize::try_from(self.free()).unwrap_or(usize::MAX);
        length.saturating_add(room).saturating_sub(offset).min(bytes)
    }
}

impl Disk for SimDisk {
    fn is_concurrent(&self) -> bool {
        false
    }

    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call("create dir all", folder)?;
        let above: Vec<_> = folder.ancestors().collect();
        for folder in above.into_iter().rev() {
            match state.files.entry(folder) {
                Some(Entry::Folder) => {}
                Some(Entry::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    state.apply(Op::MakeFolder(folder.to_owned()));
                    state.apply(Op::SyncFolder(parent(folder).to_owned()));
                }
            }
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.call("list", folder)?;
        state.check_folder(folder)?;
        Ok(state.files.list(folder))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.call("open", path)?;
        let inode = match (state.file(path), mode) {
            (Ok(inode), OpenMode::Truncate) => {
                state.apply(Op::SetLen { inode, length: 0 });
                inode
            }
            (Ok(inode), _) => inode,
            (Err(error), OpenMode::Create | OpenMode::Truncate)
                if error.kind() == io::ErrorKind::NotFound =>
            {
                state.make_file(path)?
            }
            (Err(error), _) => return Err(error),
        };
        let (disk, path, is_writable) = (self.clone(), path.to_owned(), mode != OpenMode::Read);
        Ok(Arc::new(SimFile { disk, inode, path, is_writable }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call("rename", from)?;
        state.file(from)?;
        if parent(from) != parent(to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        state.apply(Op::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call("remove", path)?;
        state.file(path)?;
        state.apply(Op::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call("sync folder", folder)?;
        state.check_folder(folder)?;
        state.apply(Op::SyncFolder(folder.to_owned()));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut state = self.state();
        state.call("lock", path)?;
        if state.locked.contains(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if state.files.entry(path).is_none() {
            state.make_file(path)?;
        }
        state.locked.insert(path.to_owned());
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned() }))
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.state();
        state.call("free bytes", path)?;
        Ok(state.free())
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: Inode,
    /// The name it was opened by.
    path: PathBuf,
    is_writable: bool,
}

impl SimFile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.disk.state()
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.is_writable { Ok(()) } else { Err(Errno::BADF.into()) }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.state();
        state.call("len", &self.path)?;
        Ok(state.files.bytes(self.inode).len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.call("read at", &self.path)?;
        let bytes = state.files.bytes(self.inode);
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(out.len());
        let found = end.and_then(|end| bytes.get(start..end));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.state();
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let fits = state.fitting(self.inode, offset, bytes.len());
        let (written, outcome) = match state.call("write at", &self.path) {
            Err(error) => (state.draw.below(fits + 1), Err(error)),
            Ok(()) if fits < bytes.len() => (fits, Err(Fault::NoSpace.error())),
            Ok(()) => (fits, Ok(())),
        };
        if written > 0 {
            let bytes = bytes[..written].into();
            state.apply(Op::Write { inode: self.inode, offset, bytes });
        }
        outcome
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.state();
        state.call("set len", &self.path)?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let grows_by = length.saturating_sub(state.files.bytes(self.inode).len());
        if grows_by as u64 > state.free() {
            return Err(Fault::NoSpace.error());
        }
        state.apply(Op::SetLen { inode: self.inode, length });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        let outcome = state.call("sync", &self.path);
        let op = match outcome {
            Ok(()) => Op::Sync(self.inode),
            Err(_) => Op::FailedSync { inode: self.inode, seed: state.draw.next() },
        };
        state.apply(op);
        outcome
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locked.remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = "/chain";

    fn path(name: &str) -> PathBuf {
        Path::new(FOLDER).join(name)
    }

    fn disk() -> SimDisk {
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new(FOLDER)).unwrap();
        disk
    }

    /// All that can become of a disk in a thousand cuts.
    fn outcomes<T: Ord>(disk: &SimDisk, look: impl Fn(&SimDisk) -> T) -> BTreeSet<T> {
        (0..1_000).map(|seed| look(&disk.cut(seed))).collect()
    }

    fn read(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
        disk.read(&path(name)).ok()
    }

    #[test]
    fn what_was_synced_under_a_synced_name_stays() {
        let disk = disk();
        let file = disk.open(&path("a"), OpenMode::Create).unwrap();
        file.write_at(0, b"kept").unwrap();
        file.sync().unwrap();
        let lost_name = outcomes(&disk, |disk| read(disk, "a"));
        assert_eq!(lost_name, [None, Some(b"kept".to_vec())].into());
        disk.sync_folder(Path::new(FOLDER)).unwrap();
        assert_eq!(outcomes(&disk, |disk| read(disk, "a")), [Some(b"kept".to_vec())].into());
        disk.replace(&path("a"), b"new").unwrap();
        assert_eq!(outcomes(&disk, |disk| read(disk, "a")), [Some(b"new".to_vec())].into());
    }

    #[test]
    fn a_replacement_is_the_old_or_the_new_one_at_every_cut() {
        let disk = SimDisk::new(1);
        disk.record();
        disk.create_dir_all(Path::new(FOLDER)).unwrap();
        disk.replace(&path("a"), &[1; 2_000]).unwrap();
        let from = disk.recorded();
        disk.replace(&path("a"), &[2; 3_000]).unwrap();
        let mut cuts = disk.cuts();
        let mut seen = BTreeSet::new();
        for count in from..=disk.recorded() {
            seen.extend((0..100).map(|seed| read(&cuts.at(count, seed), "a")));
        }
        assert_eq!(seen, [Some(vec![1; 2_000]), Some(vec![2; 3_000])].into());
    }

    #[test]
    fn what_was_not_synced_is_kept_dropped_or_torn_at_sectors() {
        let disk = disk();
        disk.replace(&path("a"), &[1; 1_024]).unwrap();
        let file = disk.open(&path("a"), OpenMode::Write).unwrap();
        file.write_at(0, &[2; 1_536]).unwrap();
        let seen = outcomes(&disk, |disk| read(disk, "a").unwrap());
        let sectors = |bytes: &Vec<u8>| {
            bytes.chunks(SECTOR).all(|sector| sector.iter().all(|byte| *byte == sector[0]))
        };
        assert!(seen.iter().all(sectors), "a sector is whole");
        for wanted in [vec![1; 1_024], vec![2; 1_536], [vec![2; 512], vec![1; 512]].concat()] {
            assert!(seen.contains(&wanted));
        }
        assert!(seen.iter().any(|bytes| bytes.len() == 1_536 && bytes[1_535] == 0));
        assert!(seen.iter().any(|bytes| bytes.len() == 1_024 && bytes[0] == 2));
    }

    const SECTOR: usize = 512;

    #[test]
    fn the_named_call_fails_and_a_failed_sync_is_never_mended() {
        let disk = disk();
        let file = disk.open(&path("a"), OpenMode::Create).unwrap();
        disk.sync_folder(Path::new(FOLDER)).unwrap();
        disk.fail_call(2, Fault::Io);
        file.write_at(0, b"word").unwrap();
        assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(Errno::IO.raw_os_error()));
        assert_eq!(disk.failed_call().as_deref(), Some("sync /chain/a"));
        assert_eq!(read(&disk, "a").unwrap(), b"word", "the page cache has it");
        file.sync().unwrap();
        let after = outcomes(&disk, |disk| read(disk, "a"));
        assert_eq!(after.len(), 1, "decided when the sync failed");
        let lost = (0..50).any(|seed| {
            let disk = SimDisk::new(seed);
            disk.create_dir_all(Path::new(FOLDER)).unwrap();
            let file = disk.open(&path("a"), OpenMode::Create).unwrap();
            disk.sync_folder(Path::new(FOLDER)).unwrap();
            file.write_at(0, b"word").unwrap();
            disk.fail_call(1, Fault::Io);
            file.sync().unwrap_err();
            file.sync().unwrap();
            read(&disk.cut(0), "a").unwrap() != b"word"
        });
        assert!(lost);
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let disk = disk();
        disk.set_capacity(10);
        let file = disk.open(&path("a"), OpenMode::Create).unwrap();
        file.write_at(0, b"12345678").unwrap();
        assert_eq!(disk.free_bytes(Path::new(FOLDER)).unwrap(), 2);
        let error = file.write_at(8, b"9012").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(read(&disk, "a").unwrap(), b"1234567890");
        file.write_at(0, b"x").unwrap();
        assert_eq!(file.set_len(11).unwrap_err().kind(), io::ErrorKind::StorageFull);
        disk.set_capacity(20);
        file.set_len(11).unwrap();
    }

    #[test]
    fn a_lock_is_held_once_and_a_cut_lets_go() {
        let disk = disk();
        let lock = disk.lock(&path("LOCK")).unwrap();
        assert_eq!(disk.lock(&path("LOCK")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        disk.cut(3).lock(&path("LOCK")).unwrap();
        drop(lock);
        disk.lock(&path("LOCK")).unwrap();
    }
}
