//! The institution's keys: what signs, what opens, and what seals its stores.
//!
//! ```text
//! kek.json    the key-encryption key (KEK), random, readable by its owner only
//!  ├─ keys.json   account (secp256k1), seal (X25519), transport (Ed25519)      each AES-256-KWP (RFC 5649), 40 bytes
//!  └─ store.json  store, index, alias, handle, secret                          each AES-256-KWP, 40 bytes
//! ```
//!
//! The KEK lies beside the data, so whoever copies the whole folder has everything: file permissions and disk encryption
//! protect it. A passphrase (Argon2id) or a key service that wraps and unwraps takes the place of `kek.json` later; the
//! files under it do not change. All secrets are zeroized when dropped and print as `***`.
use std::{fmt, path::Path};

use alloy_primitives::{Address, hex};
use aws_lc_rs::{
    agreement,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::EdgeError,
    stores::local,
    vault::crypt::{self, Secret},
};

const KEK_FILE: &str = "kek.json";
const KEYS_FILE: &str = "keys.json";
const STORE_FILE: &str = "store.json";

/// The keys that seal the stores of one edge.
#[derive(Clone, Debug)]
pub struct StoreKeys {
    /// Random name of the store; bound into every sealed block.
    pub store_id: [u8; 16],
    /// Wraps the key of each patient.
    pub kek: Secret,
    /// The KEK before a rotation that is under way: what is not wrapped anew yet opens under it.
    pub previous_kek: Option<Secret>,
    /// Seals what belongs to no patient: item results, batches, the audit log.
    pub store: Secret,
    /// Seals the search index.
    pub index: Secret,
    /// Hashes identifiers to patients (HMAC-SHA-256).
    pub alias: Secret,
    /// Permutes patient and record numbers to handles (one AES-256 block).
    pub handle: Secret,
    /// Orders batches, and whatever else needs a secret of the edge.
    pub secret: Secret,
}

/// All keys of one edge.
#[derive(Clone)]
pub struct Keys {
    store: StoreKeys,
    account: Secret,
    account_address: Address,
    seal: Secret,
    seal_public: [u8; 32],
    transport: Secret,
    transport_public: [u8; 32],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("account_address", &self.account_address)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct KekFile {
    v: u32,
    kek: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct KeysFile {
    v: u32,
    account: String,
    seal: String,
    transport: String,
}

#[derive(Serialize, Deserialize)]
struct StoreFile {
    v: u32,
    store_id: String,
    store: String,
    index: String,
    alias: String,
    handle: String,
    secret: String,
}

impl Keys {
    /// Draws all keys and writes their files. `account` is used in place of a drawn account key if given.
    ///
    /// # Errors
    /// [`EdgeError::Storage`] if the folder holds keys already, [`EdgeError::Input`] for an account that is no secp256k1
    /// secret, [`EdgeError::Io`] if a file cannot be written.
    pub fn create(dir: &Path, account: Option<[u8; 32]>) -> Result<Self, EdgeError> {
        local::create_folder(dir)?;
        if let Some(there) = [KEK_FILE, KEYS_FILE, STORE_FILE]
            .map(|name| dir.join(name))
            .iter()
            .find(|path| path.exists())
        {
            return Err(EdgeError::storage(
                "the folder holds keys already",
                there.display().to_string(),
                "open it as it is, or choose an empty folder",
            ));
        }
        let draw_account = || secp256k1::SecretKey::new(&mut secp256k1::rand::rng()).secret_bytes();
        let store = StoreKeys {
            store_id: crypt::random(),
            kek: Secret::random(),
            previous_kek: None,
            store: Secret::random(),
            index: Secret::random(),
            alias: Secret::random(),
            handle: Secret::random(),
            secret: Secret::random(),
        };
        let account = Secret::new(account.unwrap_or_else(draw_account));
        let keys = Self::assemble(store, account, Secret::random(), Secret::random())?;
        keys.write(dir)?;
        Ok(keys)
    }

    /// Opens the keys of a folder.
    ///
    /// # Errors
    /// [`EdgeError::Io`] if a file is missing, [`EdgeError::Integrity`] if one is not as written or under another KEK.
    pub fn open(dir: &Path) -> Result<Self, EdgeError> {
        let kek_path = dir.join(KEK_FILE);
        let kek_file: KekFile = read_json(&kek_path)?;
        let kek = Secret::new(read_hex(&kek_file.kek, &kek_path)?);
        let previous = kek_file.previous.map(|hex| read_hex(&hex, &kek_path).map(Secret::new));
        let previous = previous.transpose()?;
        let store_path = dir.join(STORE_FILE);
        let file: StoreFile = read_json(&store_path)?;
        let open = |wrapped: &str| unwrap_hex(&kek, previous.as_ref(), wrapped, &store_path);
        let store = StoreKeys {
            store_id: read_hex(&file.store_id, &store_path)?,
            store: open(&file.store)?,
            index: open(&file.index)?,
            alias: open(&file.alias)?,
            handle: open(&file.handle)?,
            secret: open(&file.secret)?,
            kek: kek.clone(),
            previous_kek: previous.clone(),
        };
        let keys_path = dir.join(KEYS_FILE);
        let file: KeysFile = read_json(&keys_path)?;
        let open = |wrapped: &str| unwrap_hex(&kek, previous.as_ref(), wrapped, &keys_path);
        Self::assemble(store, open(&file.account)?, open(&file.seal)?, open(&file.transport)?)
    }

    /// Opens the keys of a folder, or makes them if it has none.
    ///
    /// # Errors
    /// As [`Keys::create`] and [`Keys::open`]; [`EdgeError::Input`] if `account` is given and is not the one stored.
    pub fn open_or_create(dir: &Path, account: Option<[u8; 32]>) -> Result<Self, EdgeError> {
        if !dir.join(KEK_FILE).exists() {
            return Self::create(dir, account);
        }
        let keys = Self::open(dir)?;
        match account {
            Some(given) if given != *keys.account.expose() => Err(EdgeError::input(
                "the account key given is not the one this folder was made with",
                dir.join(KEYS_FILE).display().to_string(),
                "leave the key out, or use another --datadir",
            )),
            _ => Ok(keys),
        }
    }

    /// The chain account's secret scalar.
    pub fn account_secret(&self) -> &[u8; 32] {
        self.account.expose()
    }

    /// The chain account's address.
    pub fn account_address(&self) -> Address {
        self.account_address
    }

    /// The X25519 secret that opens what others seal to this institution.
    pub fn seal_secret(&self) -> &[u8; 32] {
        self.seal.expose()
    }

    /// The X25519 public key, as registered on chain (key kind 2).
    pub fn seal_public(&self) -> [u8; 32] {
        self.seal_public
    }

    /// The Ed25519 public key, as registered on chain (key kind 3).
    pub fn transport_public(&self) -> [u8; 32] {
        self.transport_public
    }

    /// Signs with the transport key (Ed25519, RFC 8032).
    pub fn sign_transport(&self, message: &[u8]) -> [u8; 64] {
        let pair = Ed25519KeyPair::from_seed_unchecked(self.transport.expose())
            .expect("every 32 bytes are an Ed25519 seed");
        pair.sign(message).as_ref().try_into().expect("Ed25519 signatures have 64 bytes")
    }

    /// What the stores are sealed with.
    pub fn store_keys(&self) -> &StoreKeys {
        &self.store
    }

    fn assemble(
        store: StoreKeys,
        account: Secret,
        seal: Secret,
        transport: Secret,
    ) -> Result<Self, EdgeError> {
        let scalar = secp256k1::SecretKey::from_byte_array(*account.expose()).map_err(|_| {
            EdgeError::input(
                "the account key is not a secp256k1 secret",
                "account key",
                "give 32 bytes between 1 and the order of the curve",
            )
        })?;
        let point = scalar.public_key(secp256k1::SECP256K1).serialize_uncompressed();
        let account_address = Address::from_raw_public_key(&point[1..]);
        let seal_public =
            agreement::PrivateKey::from_private_key(&agreement::X25519, seal.expose())
                .ok()
                .and_then(|key| key.compute_public_key().ok())
                .and_then(|public| public.as_ref().try_into().ok())
                .expect("every 32 bytes are an X25519 secret");
        let transport_public = Ed25519KeyPair::from_seed_unchecked(transport.expose())
            .ok()
            .and_then(|pair| pair.public_key().as_ref().try_into().ok())
            .expect("every 32 bytes are an Ed25519 seed");
        Ok(Self { store, account, account_address, seal, seal_public, transport, transport_public })
    }

    /// Draws a new KEK and wraps these keys under it; `rewrap` does the same for what the KEK wraps elsewhere. A rotation
    /// that was cut short is finished. The files name both KEKs in between, so that each moment opens.
    ///
    /// # Errors
    /// [`EdgeError::Io`], or what `rewrap` returned: doing it again goes on.
    pub fn rotate_kek(
        dir: &Path,
        rewrap: impl FnOnce(&StoreKeys) -> Result<(), EdgeError>,
    ) -> Result<Self, EdgeError> {
        let mut keys = Self::open(dir)?;
        if keys.store.previous_kek.is_none() {
            keys.store.previous_kek =
                Some(std::mem::replace(&mut keys.store.kek, Secret::random()));
            keys.write_kek(dir)?;
        }
        rewrap(&keys.store)?;
        keys.write_wrapped(dir)?;
        keys.store.previous_kek = None;
        keys.write_kek(dir)?;
        Ok(keys)
    }

    fn write(&self, dir: &Path) -> Result<(), EdgeError> {
        self.write_wrapped(dir)?;
        // Last: its presence means that the others are complete.
        self.write_kek(dir)
    }

    fn write_kek(&self, dir: &Path) -> Result<(), EdgeError> {
        let hex = |kek: &Secret| hex::encode(kek.expose());
        let previous = self.store.previous_kek.as_ref().map(hex);
        let file = KekFile { v: 1, kek: hex(&self.store.kek), previous };
        write_json(&dir.join(KEK_FILE), &file)
    }

    fn write_wrapped(&self, dir: &Path) -> Result<(), EdgeError> {
        let store = &self.store;
        let wrap = |key: &Secret| hex::encode(crypt::wrap(&store.kek, key));
        let store_file = StoreFile {
            v: 1,
            store_id: hex::encode(store.store_id),
            store: wrap(&store.store),
            index: wrap(&store.index),
            alias: wrap(&store.alias),
            handle: wrap(&store.handle),
            secret: wrap(&store.secret),
        };
        let keys_file = KeysFile {
            v: 1,
            account: wrap(&self.account),
            seal: wrap(&self.seal),
            transport: wrap(&self.transport),
        };
        write_json(&dir.join(STORE_FILE), &store_file)?;
        write_json(&dir.join(KEYS_FILE), &keys_file)
    }
}

fn damaged(what: &str, path: &Path) -> EdgeError {
    EdgeError::integrity(what, path.display().to_string())
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, EdgeError> {
    serde_json::from_slice(&local::read(path)?)
        .map_err(|_| damaged("the key file is not as this program writes it", path))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), EdgeError> {
    let mut text = serde_json::to_vec_pretty(value).expect("plain structs of text");
    text.push(b'\n');
    local::replace(path, &text)
}

fn read_hex<const N: usize>(text: &str, path: &Path) -> Result<[u8; N], EdgeError> {
    hex::decode_to_array(text).map_err(|_| damaged("a key is not hex of the right length", path))
}

fn unwrap_hex(
    kek: &Secret,
    previous: Option<&Secret>,
    text: &str,
    path: &Path,
) -> Result<Secret, EdgeError> {
    let wrapped: [u8; crypt::WRAPPED_BYTES] = read_hex(text, path)?;
    crypt::unwrap(kek, &wrapped)
        .or_else(|error| previous.map_or(Err(error), |kek| crypt::unwrap(kek, &wrapped)))
        .map_err(|_| damaged("a key does not open under the KEK of this folder", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_and_print_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let made = Keys::open_or_create(dir.path(), Some([1; 32])).expect("made");
        let opened = Keys::open_or_create(dir.path(), Some([1; 32])).expect("opened");
        assert_eq!(made.account_secret(), opened.account_secret());
        assert_eq!(made.seal_public(), opened.seal_public());
        assert_eq!(made.sign_transport(b"m"), opened.sign_transport(b"m"));
        assert_eq!(made.store_keys().handle, opened.store_keys().handle);
        let printed = format!("{opened:?} {:?}", opened.store_keys());
        assert!(!printed.contains("1, 1, 1") && printed.contains("***"), "{printed}");
        assert!(Keys::create(dir.path(), None).is_err(), "keys are never overwritten");
        let other = Keys::open_or_create(dir.path(), Some([2; 32])).expect_err("another account");
        assert!(other.to_string().contains("account key"), "{other}");
    }

    #[test]
    fn the_address_is_the_one_of_the_public_test_phrase() {
        let dir = tempfile::tempdir().expect("a folder");
        let secret = hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        let keys = Keys::create(dir.path(), Some(secret)).expect("made");
        let address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        assert_eq!(keys.account_address().to_string(), address);
        assert!(Keys::create(&dir.path().join("zero"), Some([0; 32])).is_err());
    }

    #[test]
    fn a_new_kek_wraps_the_same_keys_and_a_rotation_cut_short_goes_on() {
        let dir = tempfile::tempdir().expect("a folder");
        let made = Keys::create(dir.path(), None).expect("made");
        let kek = made.store_keys().kek.clone();
        let cut =
            Keys::rotate_kek(dir.path(), |_| Err(EdgeError::Internal("power is gone".into())));
        assert!(cut.is_err());
        let between = Keys::open(dir.path()).expect("opens in between");
        assert_eq!(between.account_secret(), made.account_secret());
        assert_eq!(between.store_keys().previous_kek, Some(kek.clone()));
        let drawn = between.store_keys().kek.clone();
        Keys::rotate_kek(dir.path(), |store| {
            assert_eq!(store.kek, drawn, "the same new KEK");
            Ok(())
        })
        .expect("finished");
        let after = Keys::open(dir.path()).expect("opens");
        assert_eq!(after.store_keys().store, made.store_keys().store);
        assert_eq!(
            (after.store_keys().kek.clone(), after.store_keys().previous_kek.clone()),
            (drawn, None)
        );
        let text = std::fs::read_to_string(dir.path().join(KEK_FILE)).expect("there");
        assert!(!text.contains(&hex::encode(kek.expose())), "the old KEK is gone");
    }

    #[test]
    fn a_changed_key_file_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        Keys::create(dir.path(), None).expect("made");
        let path = dir.path().join(STORE_FILE);
        let text = String::from_utf8(local::read(&path).expect("there")).expect("text");
        let at = text.find("\"alias\": \"").expect("there") + 10;
        let flipped = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
        let changed = format!("{}{flipped}{}", &text[..at], &text[at + 1..]);
        std::fs::write(&path, changed).expect("written");
        let error = Keys::open(dir.path()).expect_err("damage").to_string();
        assert!(error.contains(STORE_FILE), "{error}");
    }
}
