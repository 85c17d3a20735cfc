//! Where tantivy's files lie: sealed page by page, never in clear on disk.
//!
//! ```text
//! file = header 64 ‖ page*
//! header = "MSNINDEX" ‖ u16 format = 1 ‖ salt 24 ‖ zeros ‖ u32 CRC-32C of bytes 0..60
//! page = AES-256-GCM of up to 16 KiB ‖ tag 16; all pages but the last are full, the last may be empty
//! key = HKDF-Expand-SHA-256(index_key, "msnet index file v1" ‖ salt), nonce = page number BE12
//! AAD = header ‖ u8 (1 for the last page)
//! ```
//!
//! The last-page flag makes a file that was cut at a page boundary fail to open. Files are written once; an atomic rewrite
//! draws a new salt and with it a new key. Names of files are tantivy's random segment ids and say nothing.
use std::{
    collections::HashSet,
    fmt,
    fs::File,
    io::{self, BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tantivy::{
    Directory, HasLen,
    directory::{
        AntiCallToken, DirectoryLock, FileHandle, Lock, OwnedBytes, TerminatingWrite,
        WatchCallback, WatchCallbackList, WatchHandle, WritePtr,
        error::{DeleteError, LockError, OpenReadError, OpenWriteError},
    },
};
use zeroize::Zeroizing;

use crate::{
    stores::local,
    vault::crypt::{self, Secret, TAG_BYTES},
};

const MAGIC: &[u8; 8] = b"MSNINDEX";
const FORMAT: u16 = 1;
const HEADER_BYTES: usize = 64;
const CRC_AT: usize = 60;
const SALT: Range<usize> = 10..34;
const PAGE_BYTES: usize = 16 << 10;
const SEALED_PAGE_BYTES: usize = PAGE_BYTES + TAG_BYTES;
const KEY_LABEL: &[u8] = b"msnet index file v1";

/// A folder of sealed files.
#[derive(Clone)]
pub struct SealedDirectory {
    folder: PathBuf,
    key: Secret,
    watchers: Arc<WatchCallbackList>,
    /// Locks are held in memory: the store's `LOCK` file already keeps other processes out, and a killed process must not
    /// leave a lock file behind.
    locks: Arc<Mutex<HashSet<PathBuf>>>,
}

impl fmt::Debug for SealedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedDirectory").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl SealedDirectory {
    /// Files in `folder`, which exists, sealed under `key`.
    pub fn new(folder: &Path, key: Secret) -> Self {
        Self { folder: folder.to_owned(), key, watchers: Arc::default(), locks: Arc::default() }
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    fn open_file(&self, path: &Path) -> Result<SealedFile, OpenReadError> {
        SealedFile::open(&self.path(path), &self.key).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => OpenReadError::FileDoesNotExist(path.to_owned()),
            _ => OpenReadError::wrap_io_error(error, path.to_owned()),
        })
    }
}

impl Directory for SealedDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(self.open_file(path)?))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        std::fs::remove_file(self.path(path)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DeleteError::FileDoesNotExist(path.to_owned()),
            _ => DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() },
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.path(path)
            .try_exists()
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let writer = local::private()
            .create_new(true)
            .open(self.path(path))
            .and_then(|file| SealedWriter::new(file, &self.key))
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_owned()),
                _ => OpenWriteError::wrap_io_error(error, path.to_owned()),
            })?;
        Ok(BufWriter::new(Box::new(writer)))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let file = self.open_file(path)?;
        let bytes = file
            .read_bytes(0..file.len())
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        Ok(bytes.to_vec())
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let mut writer = SealedWriter::new(Vec::new(), &self.key)?;
        writer.write_all(data)?;
        local::replace_io(&self.path(path), &writer.finish()?)?;
        if path == Path::new("meta.json") {
            drop(self.watchers.broadcast());
        }
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        local::sync_folder(&self.path(Path::new("file")))
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        // A blocking lock is held while segments are opened, for milliseconds: 10 s means something hangs.
        let tries = if lock.is_blocking { 1_000 } else { 1 };
        for _ in 0..tries {
            let mut held = self.locks.lock().expect("no thread panics while it takes a lock");
            if held.insert(lock.filepath.clone()) {
                let guard =
                    HeldLock { path: lock.filepath.clone(), locks: Arc::clone(&self.locks) };
                return Ok(DirectoryLock::from(Box::new(guard)));
            }
            drop(held);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Err(LockError::LockBusy)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(self.watchers.subscribe(callback))
    }
}

struct HeldLock {
    path: PathBuf,
    locks: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        if let Ok(mut held) = self.locks.lock() {
            held.remove(&self.path);
        }
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn file_key(key: &Secret, header: &[u8; HEADER_BYTES]) -> Secret {
    crypt::expand(key, &[KEY_LABEL, &header[SALT]])
}

fn nonce(page: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&page.to_be_bytes());
    nonce
}

fn aad(header: &[u8; HEADER_BYTES], last: bool) -> [u8; HEADER_BYTES + 1] {
    let mut aad = [last.into(); HEADER_BYTES + 1];
    aad[..HEADER_BYTES].copy_from_slice(header);
    aad
}

/// Seals what is written, a page at a time; at most one page is held in clear, in memory.
struct SealedWriter<W> {
    out: W,
    key: Secret,
    header: [u8; HEADER_BYTES],
    page: Zeroizing<Vec<u8>>,
    page_no: u64,
}

impl<W: Write> SealedWriter<W> {
    fn new(mut out: W, key: &Secret) -> io::Result<Self> {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        header[SALT].copy_from_slice(&crypt::random::<24>());
        let crc = crc32c::crc32c(&header[..CRC_AT]);
        header[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out.write_all(&header)?;
        let page = Zeroizing::new(Vec::with_capacity(SEALED_PAGE_BYTES));
        Ok(Self { out, key: file_key(key, &header), header, page, page_no: 0 })
    }

    fn seal_page(&mut self, last: bool) -> io::Result<()> {
        let aad = aad(&self.header, last);
        crypt::seal(&self.key, nonce(self.page_no), &aad, &mut self.page);
        self.out.write_all(&self.page)?;
        self.page.clear();
        self.page_no += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.seal_page(true)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.page.len() == PAGE_BYTES {
            self.seal_page(false)?; // more follows, so it is not the last
        }
        let taken = bytes.len().min(PAGE_BYTES - self.page.len());
        self.page.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl TerminatingWrite for SealedWriter<File> {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.seal_page(true)?;
        self.out.sync_all()
    }
}

/// A sealed file, opened page by page as asked.
struct SealedFile {
    path: PathBuf,
    file: File,
    key: Secret,
    header: [u8; HEADER_BYTES],
    pages: u64,
    len: usize,
}

impl fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFile").field("path", &self.path).field("len", &self.len).finish()
    }
}

impl SealedFile {
    fn open(path: &Path, key: &Secret) -> io::Result<Self> {
        let file = File::open(path)?;
        let total = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let body = total
            .checked_sub(HEADER_BYTES)
            .filter(|body| *body >= TAG_BYTES && (body - 1) % SEALED_PAGE_BYTES >= TAG_BYTES - 1)
            .ok_or_else(|| damaged("the index file is cut short"))?;
        let mut header = [0; HEADER_BYTES];
        read_at(&file, &mut header, 0)?;
        let crc = crc32c::crc32c(&header[..CRC_AT]).to_le_bytes();
        if !header.starts_with(MAGIC) || header[CRC_AT..] != crc {
            return Err(damaged("the index file's header is damaged"));
        }
        if header[8..10] != FORMAT.to_le_bytes() {
            return Err(damaged("the index file is of a format this program does not read"));
        }
        let pages = body.div_ceil(SEALED_PAGE_BYTES);
        let len = body - pages * TAG_BYTES;
        let key = file_key(key, &header);
        Ok(Self { path: path.to_owned(), file, key, header, pages: pages as u64, len })
    }

    fn page(&self, number: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        let start = number * PAGE_BYTES;
        let mut sealed = vec![0; (self.len - start).min(PAGE_BYTES) + TAG_BYTES];
        read_at(&self.file, &mut sealed, (HEADER_BYTES + number * SEALED_PAGE_BYTES) as u64)?;
        let last = number as u64 + 1 == self.pages;
        crypt::open(&self.key, nonce(number as u64), &aad(&self.header, last), &sealed)
            .map_err(|_| damaged("a page of the index file is damaged"))
    }
}

impl HasLen for SealedFile {
    fn len(&self) -> usize {
        self.len
    }
}

#[async_trait::async_trait]
impl FileHandle for SealedFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.start > range.end || range.end > self.len {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a range outside the file"));
        }
        let mut out = Vec::with_capacity(range.len());
        let first = range.start / PAGE_BYTES;
        for number in first..range.end.div_ceil(PAGE_BYTES) {
            let page = self.page(number)?;
            let start = range.start.saturating_sub(number * PAGE_BYTES);
            let end = (range.end - number * PAGE_BYTES).min(page.len());
            out.extend_from_slice(&page[start..end]);
        }
        Ok(OwnedBytes::new(out))
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(bytes: &[u8]) -> (tempfile::TempDir, SealedDirectory) {
        let dir = tempfile::tempdir().expect("a folder");
        let sealed = SealedDirectory::new(dir.path(), Secret::new([1; 32]));
        let mut writer = sealed.open_write(Path::new("f")).expect("new");
        writer.write_all(bytes).expect("written");
        writer.terminate().expect("terminated");
        (dir, sealed)
    }

    #[test]
    fn lengths_around_page_boundaries_come_back() {
        for length in [0, 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 3 * PAGE_BYTES] {
            let bytes: Vec<u8> =
                (0..length).map(|i| (i % 251).try_into().expect("a byte")).collect();
            let (dir, sealed) = written(&bytes);
            let read = sealed.open_read(Path::new("f")).expect("opens");
            assert_eq!(read.read_bytes().expect("reads").as_slice(), bytes, "length {length}");
            let pages = length.div_ceil(PAGE_BYTES).max(1);
            let on_disk = std::fs::metadata(dir.path().join("f")).expect("there").len();
            assert_eq!(on_disk, (HEADER_BYTES + length + pages * TAG_BYTES) as u64);
        }
    }

    #[test]
    fn a_flipped_byte_a_cut_page_and_another_key_are_noticed() {
        let (dir, sealed) = written(&[7; 2 * PAGE_BYTES]);
        let path = dir.path().join("f");
        let whole = std::fs::read(&path).expect("there");
        let reads = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            let file = sealed.open_read(Path::new("f"));
            file.is_ok_and(|file| file.read_bytes().is_ok())
        };
        assert!(reads(&whole));
        for at in [0, 9, 20, 50, 63, 64, HEADER_BYTES + SEALED_PAGE_BYTES, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(!reads(&bytes), "byte {at}");
        }
        assert!(!reads(&whole[..HEADER_BYTES + SEALED_PAGE_BYTES]), "the second page is gone");
        assert!(!reads(&whole[..HEADER_BYTES]));
        std::fs::write(&path, &whole).expect("written");
        let other = SealedDirectory::new(dir.path(), Secret::new([2; 32]));
        let file = other.open_read(Path::new("f")).expect("the header is in clear");
        assert!(file.read_bytes().is_err());
    }

    #[test]
    fn a_rewrite_draws_a_new_salt() {
        let (dir, sealed) = written(&[]);
        let mut salts = HashSet::new();
        for _ in 0..3 {
            sealed.atomic_write(Path::new("meta.json"), b"same").expect("written");
            let bytes = std::fs::read(dir.path().join("meta.json")).expect("there");
            salts.insert(bytes[SALT].to_vec());
            assert_eq!(sealed.atomic_read(Path::new("meta.json")).expect("reads"), b"same");
        }
        assert_eq!(salts.len(), 3);
    }

    proptest! {
        #[test]
        fn any_range_reads_what_was_written(
            length in 1_usize..60_000, a: usize, b: usize,
        ) {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 253).try_into().expect("a byte")).collect();
            let (_dir, sealed) = written(&bytes);
            let file = sealed.get_file_handle(Path::new("f")).expect("opens");
            let (a, b) = (a % length, b % length);
            let range = a.min(b)..a.max(b);
            let read = file.read_bytes(range.clone()).expect("inside");
            prop_assert_eq!(read.as_slice(), &bytes[range]);
        }
    }
}
