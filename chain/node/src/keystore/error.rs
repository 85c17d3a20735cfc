//! What goes wrong with key files. No text holds a key or a password.

use std::path::PathBuf;

use alloy_primitives::Address;

/// Why a key file cannot be read, opened or written.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The checksum over password and ciphertext does not fit: geth's text.
    #[error(
        "could not decrypt key with given password\n  do: check the password; a file that was changed gives the same answer"
    )]
    WrongPassword,
    /// The text is not Web3 secret storage.
    #[error("not a key file (Web3 secret storage, version 3): {0}")]
    NotAKeyFile(String),
    /// The file asks for more memory than anybody would write into it.
    #[error("key file asks for {mib} MiB, limit 512 MiB")]
    TooMuchMemory {
        /// What scrypt would take.
        mib: u64,
    },
    /// The file asks for more work than anybody would write into it.
    #[error("key file asks for {asked} {what}, limit {limit}")]
    TooMuchWork {
        /// `pbkdf2 rounds` or `scrypt lanes`.
        what: &'static str,
        /// What stands in the file.
        asked: u64,
        /// The most that is done.
        limit: u64,
    },
    /// The number inside is not a key.
    #[error("the key file holds no secp256k1 secret key")]
    InvalidKey,
    /// The file names another account than its key belongs to.
    #[error("key content mismatch: have account {have}, want {want}")]
    WrongAccount {
        /// The key's account.
        have: Address,
        /// The file's.
        want: Address,
    },
    /// Anybody on this machine may copy the key.
    #[error("key file is readable by others; chmod 600 {}", path.display())]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
    },
    /// Larger than any key file.
    #[error("{} is no key file: it is larger than 64 KiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file of the folder is none, or its key does not open.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KeystoreError>,
    },
    /// The disk refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No key of this account.
    #[error(
        "no key for given address or file: {address} is not in {}\n  do: see what is there with msnet account list, or name another folder with --keystore",
        folder.display()
    )]
    NotFound {
        /// The account.
        address: Address,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// Several files hold this account.
    #[error(
        "multiple keys match address {address}: {}\n  do: move all but one of them elsewhere",
        list(files)
    )]
    Ambiguous {
        /// The account.
        address: Address,
        /// Their paths.
        files: Vec<PathBuf>,
    },
    /// It is there already.
    #[error("account already exists: {address} is in {}", path.display())]
    Exists {
        /// The account.
        address: Address,
        /// Its file.
        path: PathBuf,
    },
}

fn list(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}
