//! Keys at rest: a folder of key files in geth's names and format.
//!
//! ```text
//!   <datadir>/keystore/UTC--2026-01-31T09-05-07.123456789Z--<address, 40 hex digits>      mode 0600
//! ```
//!
//! [`secret_storage`] is what stands in a file; [`Keystore`] is the folder. A file appears whole or not at all: it is
//! written aside, synced, renamed, and the folder synced. A file that others may read is not opened.

pub mod error;
pub mod secret_storage;

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_primitives::{Address, hex};
use zeroize::Zeroizing;

pub use self::{
    error::KeystoreError,
    secret_storage::{Cost, decrypt, encrypt},
};
use crate::{config::SignerKey, files};

/// Largest key file; geth's have about 500 bytes.
pub const KEYSTORE_BYTES: u64 = 64 * 1024;
/// Who may read a key file: its owner.
pub const KEYSTORE_MODE: u32 = 0o600;
/// Folder of the key files inside the data folder.
pub const KEYSTORE_FOLDER: &str = "keystore";

/// A folder of key files.
#[derive(Debug, Clone)]
pub struct Keystore {
    folder: PathBuf,
}

/// A key file that was not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The account that it names.
    pub address: Address,
    /// Where it is.
    pub path: PathBuf,
}

impl Keystore {
    /// The folder need not exist until a key is written.
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Every key file, the oldest first. Files that are none are passed over, as geth does, with a warning.
    ///
    /// # Errors
    /// [`KeystoreError::Io`].
    pub fn list(&self) -> Result<Vec<KeyFile>, KeystoreError> {
        let failed = |source| io_error("read", &self.folder, source);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_aside = name.starts_with('.') || name.ends_with('~') || name.ends_with(".tmp");
            let path = entry.path();
            if is_aside || !path.is_file() {
                continue;
            }
            match read_bounded(&path).and_then(|json| secret_storage::account(&json)) {
                Ok(Some(address)) => files.push(KeyFile { address, path }),
                Ok(None) => tracing::warn!(file = %path.display(), "the key file names no account"),
                Err(error) => tracing::warn!(file = %path.display(), %error, "passed over"),
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// The file of an account.
    ///
    /// # Errors
    /// [`KeystoreError::NotFound`], [`KeystoreError::Ambiguous`], [`KeystoreError::Io`].
    pub fn find(&self, address: Address) -> Result<KeyFile, KeystoreError> {
        let mut found = self.list()?;
        found.retain(|file| file.address == address);
        match found.len() {
            0 => Err(KeystoreError::NotFound { address, folder: self.folder.clone() }),
            1 => Ok(found.remove(0)),
            _ => Err(KeystoreError::Ambiguous {
                address,
                files: found.into_iter().map(|file| file.path).collect(),
            }),
        }
    }

    /// Opens an account's key.
    ///
    /// # Errors
    /// As [`Self::find`] and [`open`].
    pub fn unlock(&self, address: Address, password: &[u8]) -> Result<SignerKey, KeystoreError> {
        open(&self.find(address)?.path, password)
    }

    /// Writes a key under a password; `now` is the time since 1970, which becomes part of the name.
    ///
    /// # Errors
    /// [`KeystoreError::Exists`], [`KeystoreError::Io`].
    pub fn store(
        &self,
        key: &SignerKey,
        password: &[u8],
        cost: Cost,
        now: Duration,
    ) -> Result<KeyFile, KeystoreError> {
        let address = key.address().map_err(|_| KeystoreError::InvalidKey)?;
        let mut there = self.list()?.into_iter();
        if let Some(file) = there.find(|file| file.address == address) {
            return Err(KeystoreError::Exists { address, path: file.path });
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|source| io_error("create", &self.folder, source))?;
        let path = self.folder.join(file_name(address, now));
        write_whole(&path, &encrypt(key, password, cost)?)?;
        Ok(KeyFile { address, path })
    }

    /// Puts an account's key under another password, in the same file.
    ///
    /// # Errors
    /// As [`Self::unlock`] and [`Self::store`]; the file is then as before.
    pub fn update(
        &self,
        address: Address,
        old: &[u8],
        new: &[u8],
        cost: Cost,
    ) -> Result<KeyFile, KeystoreError> {
        let file = self.find(address)?;
        let key = open(&file.path, old)?;
        write_whole(&file.path, &encrypt(&key, new, cost)?)?;
        Ok(file)
    }
}

/// Opens a key file.
///
/// # Errors
/// [`KeystoreError::ReadableByOthers`], [`KeystoreError::TooLarge`], [`KeystoreError::Io`]; what [`decrypt`] says, with
/// the file's name.
pub fn open(path: &Path, password: &[u8]) -> Result<SignerKey, KeystoreError> {
    check_mode(path)?;
    let json = read_bounded(path)?;
    decrypt(&json, password).map_err(|source| in_file(path, source))
}

/// Reads a secret file, whole. It was not made by us, so rights that are too wide are warned about, not refused.
///
/// # Errors
/// [`KeystoreError::TooLarge`], [`KeystoreError::Io`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    match check_mode(path) {
        Err(warning @ KeystoreError::ReadableByOthers { .. }) => tracing::warn!("{warning}"),
        checked => checked?,
    }
    read_bounded(path)
}

fn in_file(path: &Path, source: KeystoreError) -> KeystoreError {
    KeystoreError::InFile { path: path.to_owned(), source: Box::new(source) }
}

fn check_mode(path: &Path) -> Result<(), KeystoreError> {
    let metadata = fs::metadata(path).map_err(|source| io_error("read", path, source))?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        return Err(KeystoreError::ReadableByOthers { path: path.to_owned() });
    }
    Ok(())
}

/// At most [`KEYSTORE_BYTES`], wiped when dropped.
fn read_bounded(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let failed = |source| io_error("read", path, source);
    let file = File::open(path).map_err(failed)?;
    // room for all of it at once: a vector that grows would leave copies behind
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(usize::try_from(KEYSTORE_BYTES).unwrap_or_default() + 1));
    file.take(KEYSTORE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > KEYSTORE_BYTES {
        return Err(KeystoreError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

/// In place of what stood there, whole or not at all.
fn write_whole(path: &Path, json: &[u8]) -> Result<(), KeystoreError> {
    files::write_whole(path, KEYSTORE_MODE, json).map_err(|source| io_error("write", path, source))
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> KeystoreError {
    KeystoreError::Io { doing, path: path.to_owned(), source }
}

/// `UTC--<time>--<address>`, the time in ISO 8601 with dashes for colons.
fn file_name(address: Address, now: Duration) -> String {
    const DAY_SECS: u64 = 86_400;
    let (days, secs) = (now.as_secs() / DAY_SECS, now.as_secs() % DAY_SECS);
    let (year, month, day) = civil(days);
    format!(
        "UTC--{year:04}-{month:02}-{day:02}T{:02}-{:02}-{:02}.{:09}Z--{}",
        secs / 3600,
        secs / 60 % 60,
        secs % 60,
        now.subsec_nanos(),
        hex::encode(address)
    )
}

/// Year, month and day of a number of days since 1970 (proleptic Gregorian).
fn civil(days: u64) -> (u64, u64, u64) {
    // years begin in March, so that the leap day is the last one; 719,468 days lie between March of year 0 and 1970
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::new(1_769_850_307, 123_456_789);

    fn keystore() -> (tempfile::TempDir, Keystore) {
        let folder = tempfile::tempdir().expect("a folder");
        let keystore = Keystore::new(folder.path().join("keystore"));
        (folder, keystore)
    }

    #[test]
    fn names_are_geths() {
        assert_eq!(
            file_name(Address::repeat_byte(0xab), NOW),
            format!("UTC--2026-01-31T09-05-07.123456789Z--{}", "ab".repeat(20))
        );
        let check = |days, date| assert_eq!(civil(days), date);
        check(0, (1970, 1, 1));
        check(59, (1970, 3, 1));
        check(11_016, (2000, 2, 29));
        check(11_017, (2000, 3, 1));
        check(47_540, (2100, 2, 28));
        check(47_541, (2100, 3, 1));
    }

    #[test]
    fn keys_are_written_once_found_again_and_put_under_another_password() {
        let (_folder, keystore) = keystore();
        assert_eq!(keystore.list().expect("no folder yet"), []);
        let key = SignerKey::new([7; 32]);
        let file = keystore.store(&key, b"one", Cost::Light, NOW).expect("written");
        let mode = fs::metadata(&file.path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, KEYSTORE_MODE);
        assert_eq!(keystore.list().expect("readable"), std::slice::from_ref(&file));
        let error = keystore.store(&key, b"two", Cost::Light, NOW).expect_err("twice");
        assert!(matches!(error, KeystoreError::Exists { .. }), "{error}");

        keystore.update(file.address, b"one", b"two", Cost::Light).expect("the right password");
        let error = keystore.unlock(file.address, b"one").expect_err("the old password");
        assert!(error.to_string().contains("could not decrypt key with given password"), "{error}");
        let again = keystore.unlock(file.address, b"two").expect("the new password");
        assert_eq!(again.address().ok(), Some(file.address));
        let left = fs::read_dir(file.path.parent().expect("a folder")).expect("readable").count();
        assert_eq!(left, 1, "nothing is left aside");
    }

    #[test]
    fn open_files_large_files_and_strangers_are_refused() {
        let (_folder, keystore) = keystore();
        let key = SignerKey::new([7; 32]);
        let file = keystore.store(&key, b"", Cost::Light, NOW).expect("written");
        let missing = keystore.find(Address::ZERO).expect_err("nobody's").to_string();
        assert!(missing.starts_with("no key for given address or file"), "{missing}");

        fs::set_permissions(&file.path, fs::Permissions::from_mode(0o640)).expect("ours");
        let error = keystore.unlock(file.address, b"").expect_err("the group may read it");
        let path = file.path.display();
        assert_eq!(error.to_string(), format!("key file is readable by others; chmod 600 {path}"));

        fs::write(keystore.folder.join("notes.txt"), "not a key").expect("written");
        fs::write(keystore.folder.join("large"), vec![b' '; 70_000]).expect("written");
        assert_eq!(keystore.list().expect("strangers are passed over").len(), 1);
        let large = read_bounded(&keystore.folder.join("large"));
        assert!(matches!(large, Err(KeystoreError::TooLarge { .. })));

        fs::copy(&file.path, keystore.folder.join("copy")).expect("copied");
        let error = keystore.find(file.address).expect_err("two of them").to_string();
        assert!(error.starts_with("multiple keys match address"), "{error}");
    }
}
