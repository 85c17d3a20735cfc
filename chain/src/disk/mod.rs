//! [`Disk`]: what the store asks of a file system, with two kinds.
//!
//! [`OsDisk`] is the machine's. [`SimDisk`] lives in memory and does on purpose what real disks do rarely: the power goes
//! between any two calls, a call fails, space runs out, a bit flips. Everything below `<datadir>/msnet` that the ledger
//! writes passes here: logs, journal, `FORMAT`, `LOCK` and redb.
//!
//! What a caller may rely on after a power cut: bytes whose [`DiskFile::sync`] returned, under a name whose folder was
//! synced after it was made or renamed. Nothing else.

mod files;
mod os;
mod sim;

use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use self::{
    os::OsDisk,
    sim::{Cuts, Fault, SimDisk},
};

/// How a file is opened; always for reading too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist; never written.
    Read,
    /// It must exist.
    Write,
    /// It is made if it does not exist; what it holds stays.
    Create,
    /// It is made, or emptied.
    Truncate,
}

/// A file system. Paths are taken as they are; [`SimDisk`] compares them byte for byte.
pub trait Disk: Send + Sync + Debug {
    /// Makes a folder and those above it, with durable names; one that exists is fine.
    ///
    /// # Errors
    /// What the operating system says.
    fn create_dir_all(&self, folder: &Path) -> io::Result<()>;

    /// Names of the files and folders in a folder, ascending.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`]; what the operating system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Opens a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`]; what the operating system says.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name in the same file system; a file of that name goes.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable: what was created, renamed or removed there.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Holds a file for this process alone until the guard is dropped; makes the file if need be.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process holds it; what the operating system says.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;

    /// Bytes that an ordinary user may still write below this path.
    ///
    /// # Errors
    /// What the operating system says.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;

    /// False if its calls have to come in one order, for faults to fall where a seed says.
    fn is_concurrent(&self) -> bool {
        true
    }

    /// The whole of a small file.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Replaces a small file so that a power cut leaves the old or the new one: write aside, sync, rename, sync the folder.
    ///
    /// # Errors
    /// What the operating system says; the old file stands then, or the new one.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".new");
        let aside = PathBuf::from(aside);
        let file = self.open(&aside, OpenMode::Truncate)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        self.rename(&aside, path)?;
        self.sync_folder(parent(path))
    }
}

/// An open file; any thread may use it.
pub trait DiskFile: Send + Sync + Debug {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// True if it holds nothing.
    ///
    /// # Errors
    /// As [`DiskFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `out` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before; what the operating system says.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`; the file grows as needed, a gap reads as zeros.
    ///
    /// # Errors
    /// What the operating system says; some of the bytes may stand there then.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    ///
    /// # Errors
    /// What the operating system says.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes bytes and length durable. After an error nobody knows what is on disk: it must not be called again.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync(&self) -> io::Result<()>;
}

/// A held lock; dropping it lets go.
pub trait DiskLock: Send + Sync + Debug {}

/// The folder of a file; `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
