//! Files of a data folder: private, replaced as a whole or appended to, durable before a function returns.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use crate::error::EdgeError;

/// Makes a folder that only its owner can enter, with its parents; an existing one is left as it is.
///
/// # Errors
/// [`EdgeError::Io`] with the folder's path.
pub fn create_folder(path: &Path) -> Result<(), EdgeError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| EdgeError::io(path, source))
}

/// Options for a file that only its owner can read.
pub fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Reads a whole file.
///
/// # Errors
/// [`EdgeError::Io`] with the file's path.
pub fn read(path: &Path) -> Result<Vec<u8>, EdgeError> {
    fs::read(path).map_err(|source| EdgeError::io(path, source))
}

/// Replaces a whole file: write beside it, fsync, rename, fsync the folder. A crash leaves the old file or the new one.
///
/// # Errors
/// [`EdgeError::Io`] with the file's path.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), EdgeError> {
    replace_io(path, bytes).map_err(|source| EdgeError::io(path, source))
}

/// [`replace`], with the system's own error.
pub(crate) fn replace_io(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = private().create(true).truncate(true).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Makes the entry of `path` in its folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Removes a file; one that is not there is no error.
///
/// # Errors
/// [`EdgeError::Io`] with the file's path.
pub fn remove(path: &Path) -> Result<(), EdgeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| EdgeError::io(path, source)),
    }
}

/// Takes a data folder for this process, until the returned file is dropped.
///
/// # Errors
/// [`EdgeError::Storage`] if another process holds it, [`EdgeError::Io`] if the lock file cannot be made.
pub fn lock(path: &Path) -> Result<File, EdgeError> {
    let file = private()
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|source| EdgeError::io(path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(EdgeError::storage(
            "the data folder is in use by another process",
            path.display().to_string(),
            "stop the other msnet, or give this one another --datadir",
        )),
        Err(fs::TryLockError::Error(source)) => Err(EdgeError::io(path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("LOCK");
        let held = lock(&path).expect("free");
        assert!(matches!(lock(&path), Err(EdgeError::Storage { .. })));
        drop(held);
        lock(&path).expect("free again");
    }

    #[test]
    fn files_are_replaced_and_private() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        replace(&path, b"one").expect("written");
        replace(&path, b"two").expect("written again");
        assert_eq!(read(&path).expect("there"), b"two");
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
        remove(&path).expect("removed");
        remove(&path).expect("nothing to remove");
    }
}
