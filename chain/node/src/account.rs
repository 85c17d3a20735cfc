//! `msnet account new|list|import|update`: key files, in geth's words.
#![expect(clippy::result_large_err, reason = "a command makes its error once, and ends")]

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_primitives::Address;
use clap::{Args, Subcommand};

use crate::{
    config::SignerKey,
    error::NodeError,
    keystore::{Cost, KEYSTORE_FOLDER, Keystore, KeystoreError, read_secret},
    prompt::{self, PromptError},
};

const NEW_PASSWORD: &str = "Your new account is locked with a password. Please give a password.";

/// Keys under a password.
#[derive(Debug, Args)]
pub struct AccountArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: AccountVerb,
}

/// The verbs of `msnet account`.
#[derive(Debug, Subcommand)]
pub enum AccountVerb {
    /// Make a new key
    New {
        /// Where.
        #[command(flatten)]
        keys: KeystoreArgs,
        /// Its password.
        #[command(flatten)]
        secret: SecretArgs,
    },
    /// Show all accounts
    List {
        /// Where.
        #[command(flatten)]
        keys: KeystoreArgs,
    },
    /// Put the secret key of a file (64 hex digits) under a password; the file stays
    Import {
        /// The file with the secret key
        #[arg(value_name = "KEYFILE")]
        file: PathBuf,
        /// Where.
        #[command(flatten)]
        keys: KeystoreArgs,
        /// Its password.
        #[command(flatten)]
        secret: SecretArgs,
    },
    /// Give an account another password; a password file has the old one in line 1, the new one in line 2
    Update {
        /// The account
        #[arg(value_name = "ADDRESS")]
        address: Address,
        /// Where.
        #[command(flatten)]
        keys: KeystoreArgs,
        /// Its password.
        #[command(flatten)]
        secret: SecretArgs,
    },
}

/// Which folder.
#[derive(Debug, Clone, Args)]
pub struct KeystoreArgs {
    /// Data folder; keys lie in its folder keystore
    #[arg(
        long,
        env = "MSNET_DATADIR",
        value_name = "FOLDER",
        required_unless_present = "keystore"
    )]
    pub datadir: Option<PathBuf>,
    /// Folder of the keys, if it is another one
    #[arg(long, env = "MSNET_KEYSTORE", value_name = "FOLDER")]
    pub keystore: Option<PathBuf>,
}

impl KeystoreArgs {
    fn keystore(&self) -> Keystore {
        Keystore::new(keystore_folder(self.keystore.as_deref(), self.datadir.as_deref()))
    }
}

/// How a key is written.
#[derive(Debug, Clone, Args)]
pub struct SecretArgs {
    /// Take the password from the first line of this file; without it the terminal is asked
    #[arg(long, env = "MSNET_PASSWORD", value_name = "FILE")]
    pub password: Option<PathBuf>,
    /// Less memory and work, for this program and for whoever guesses the password
    #[arg(long, env = "MSNET_LIGHTKDF")]
    pub lightkdf: bool,
}

impl SecretArgs {
    const fn cost(&self) -> Cost {
        if self.lightkdf { Cost::Light } else { Cost::Standard }
    }
}

/// Why `msnet account` ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The folder or a file in it.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The password.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The file to import holds no key.
    #[error("cannot import {}: {source}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: NodeError,
    },
    /// The file to import does not open.
    #[error("cannot import {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: KeystoreError,
    },
    /// The clock stands before 1970.
    #[error("the clock of this machine stands before 1970\n  do: set it")]
    Clock,
    /// Its output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

/// `--keystore`, else the folder inside `--datadir`, else the one here.
pub(crate) fn keystore_folder(keystore: Option<&Path>, datadir: Option<&Path>) -> PathBuf {
    match (keystore, datadir) {
        (Some(folder), _) => folder.to_owned(),
        (None, Some(datadir)) => datadir.join(KEYSTORE_FOLDER),
        (None, None) => PathBuf::from(KEYSTORE_FOLDER),
    }
}

/// Runs `msnet account`.
///
/// # Errors
/// [`AccountError`].
pub fn run(args: AccountArgs, out: &mut dyn Write) -> Result<(), AccountError> {
    match args.verb {
        AccountVerb::New { keys, secret } => {
            let key = fresh_key();
            let password = prompt::new_one(secret.password.as_deref(), 0, NEW_PASSWORD)?;
            let store = keys.keystore();
            let file = store.store(&key, password.as_bytes(), secret.cost(), now()?)?;
            write!(
                out,
                "\nYour new key was generated\n\n\
                 Public address of the key:   {}\n\
                 Path of the secret key file: {}\n\n\
                 - You can share your public address with anyone. Others need it to interact with you.\n\
                 - You must NEVER share the secret key with anyone! The key controls access to your funds!\n\
                 - You must BACKUP your key file! Without the key, it's impossible to access account funds!\n\
                 - You must REMEMBER your password! Without the password, it's impossible to decrypt the key!\n\n",
                file.address,
                file.path.display()
            )?;
        }
        AccountVerb::List { keys } => {
            for (index, file) in keys.keystore().list()?.into_iter().enumerate() {
                let path = std::path::absolute(&file.path)?;
                writeln!(
                    out,
                    "Account #{index}: {{{:x}}} keystore://{}",
                    file.address,
                    path.display()
                )?;
            }
        }
        AccountVerb::Import { file, keys, secret } => {
            let key = read_hex_key(&file)?;
            let password = prompt::new_one(secret.password.as_deref(), 0, NEW_PASSWORD)?;
            let stored = keys.keystore().store(&key, password.as_bytes(), secret.cost(), now()?)?;
            writeln!(out, "Address: {{{:x}}}", stored.address)?;
        }
        AccountVerb::Update { address, keys, secret } => {
            let store = keys.keystore();
            store.find(address)?;
            let file = secret.password.as_deref();
            let old = prompt::existing(file, address)?;
            let new = prompt::new_one(file, 1, "Please give a new password.")?;
            let updated = store.update(address, old.as_bytes(), new.as_bytes(), secret.cost())?;
            writeln!(out, "Address: {{{:x}}}", updated.address)?;
        }
    }
    Ok(())
}

fn fresh_key() -> SignerKey {
    SignerKey::new(secp256k1::SecretKey::new(&mut secp256k1::rand::rng()).secret_bytes())
}

fn read_hex_key(path: &Path) -> Result<SignerKey, AccountError> {
    let bytes = read_secret(path)
        .map_err(|source| AccountError::Unreadable { path: path.to_owned(), source })?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    SignerKey::from_hex(text)
        .map_err(|source| AccountError::NoKey { path: path.to_owned(), source })
}

fn now() -> Result<std::time::Duration, AccountError> {
    SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| AccountError::Clock)
}
