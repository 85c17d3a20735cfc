//! [`Aside`]: a file that appears whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Written beside its place under a name with a dot; [`Self::finish`] syncs it, gives it its name and syncs the folder.
/// Dropped before that, it is gone.
#[derive(Debug)]
pub struct Aside {
    file: File,
    aside: PathBuf,
    path: PathBuf,
    is_finished: bool,
}

impl Aside {
    /// Starts a file that will be `path`, readable as `mode` says.
    ///
    /// # Errors
    /// What the operating system says; also if something that is no plain file has this name.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("it exists and is not a plain file"));
        }
        let name = path.file_name().ok_or_else(|| io::Error::other("it has no file name"))?;
        let aside = path.with_file_name(format!(".{}.tmp", name.to_string_lossy()));
        // what a crash left behind may have other rights
        if let Err(error) = fs::remove_file(&aside)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let file = OpenOptions::new().create_new(true).write(true).mode(mode).open(&aside)?;
        Ok(Self { file, aside, path: path.to_owned(), is_finished: false })
    }

    /// Durable under its own name when this returns.
    ///
    /// # Errors
    /// What the operating system says; the file that had the name before is then still there.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.aside, &self.path)?;
        self.is_finished = true;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_finished {
            // a copy that stays is in nobody's way: the next one takes its place
            let _ = fs::remove_file(&self.aside);
        }
    }
}

/// Writes a whole file, durably.
///
/// # Errors
/// As [`Aside`].
pub fn write_whole(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = Aside::create(path, mode)?;
    file.write_all(bytes)?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let names = || fs::read_dir(folder.path()).expect("readable").count();
        let mut half = Aside::create(&path, 0o600).expect("started");
        half.write_all(b"half").expect("written");
        drop(half);
        assert_eq!(names(), 0);
        write_whole(&path, 0o600, b"one").expect("written");
        write_whole(&path, 0o600, b"two").expect("written again");
        assert_eq!(fs::read(&path).expect("there"), b"two");
        assert_eq!(names(), 1);
        assert!(write_whole(folder.path(), 0o600, b"").is_err(), "a folder is no file");
    }
}
