//! Web3 secret storage, version 3: one secret key under a password, as geth writes and reads it.
//!
//! ```text
//!   derived (32)  scrypt or PBKDF2-HMAC-SHA256 of the password and a salt
//!   ciphertext    AES-128-CTR(key = derived[0..16], iv) of the secret key
//!   mac           keccak256(derived[16..32] ‖ ciphertext)
//! ```
//!
//! A file is a stranger's: what it asks for in memory and rounds is bounded before anything is computed.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy_primitives::{Address, B256, hex, keccak256};
use secp256k1::rand::{RngCore as _, rng};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeystoreError;
use crate::config::SignerKey;

type Cipher = ctr::Ctr128BE<aes::Aes128>;

/// Most memory that a file may make scrypt take (128·N·r), bytes.
pub const SCRYPT_BYTES: u64 = 512 * 1024 * 1024;
/// Most lanes (p) that a file may ask scrypt for.
pub const SCRYPT_LANES: u64 = 16;
/// Most rounds that a file may ask PBKDF2 for.
pub const PBKDF2_ROUNDS: u64 = 10_000_000;
/// Bytes of a derived key that are used; a file may claim more.
const DERIVED_BYTES: usize = 32;

/// How much work a guess of the password costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cost {
    /// N 2¹⁸, r 8, p 1: 256 MiB and about a second, as geth by default.
    #[default]
    Standard,
    /// N 2¹², r 8, p 6: 4 MiB, as geth with `--lightkdf`.
    Light,
}

impl Cost {
    const fn parameters(self) -> (u8, u32, u32) {
        match self {
            Self::Standard => (18, 8, 1),
            Self::Light => (12, 8, 6),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct KeyJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: CryptoJson,
    #[serde(default)]
    id: String,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct CryptoJson {
    cipher: String,
    ciphertext: String,
    cipherparams: CipherParams,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

/// Of both functions: scrypt has n, p and r; PBKDF2 has c and prf.
#[derive(Serialize, Deserialize, Default)]
struct KdfParams {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<u64>,
    dklen: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prf: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<u64>,
    salt: String,
}

/// Opens a key file's text. An account that the file names must be that of the key.
///
/// # Errors
/// [`KeystoreError::WrongPassword`]; [`KeystoreError::NotAKeyFile`], [`KeystoreError::TooMuchMemory`],
/// [`KeystoreError::TooMuchWork`], [`KeystoreError::InvalidKey`] or [`KeystoreError::WrongAccount`] if the text is not
/// what it should be.
pub fn decrypt(json: &[u8], password: &[u8]) -> Result<SignerKey, KeystoreError> {
    let file = read(json)?;
    let crypto = &file.crypto;
    if crypto.cipher != "aes-128-ctr" {
        return Err(KeystoreError::NotAKeyFile(format!(
            "cipher {} is not known",
            shown(&crypto.cipher)
        )));
    }
    let iv: [u8; 16] = fixed("iv", &crypto.cipherparams.iv)?;
    let mac: [u8; 32] = fixed("mac", &crypto.mac)?;
    let mut secret = Zeroizing::new(fixed::<32>("ciphertext", &crypto.ciphertext)?);
    let derived = derive(crypto, password)?;
    let (encryption, checksum) = halves(&derived);
    if checksum_of(checksum, &secret) != B256::from(mac) {
        return Err(KeystoreError::WrongPassword);
    }
    Cipher::new(&(*encryption).into(), &iv.into()).apply_keystream(secret.as_mut());
    let key = SignerKey::new(*secret);
    let have = key.address().map_err(|_| KeystoreError::InvalidKey)?;
    match address_of(&file)? {
        Some(want) if want != have => Err(KeystoreError::WrongAccount { have, want }),
        _ => Ok(key),
    }
}

/// A key file's text for this key: fresh salt, iv and id.
///
/// # Errors
/// [`KeystoreError::InvalidKey`] if the key is none.
pub fn encrypt(key: &SignerKey, password: &[u8], cost: Cost) -> Result<Vec<u8>, KeystoreError> {
    let address = key.address().map_err(|_| KeystoreError::InvalidKey)?;
    let (salt, iv): ([u8; 32], [u8; 16]) = (random(), random());
    let (log_n, r, p) = cost.parameters();
    let derived = scrypt_key(password, &salt, log_n, r, p)?;
    let (encryption, checksum) = halves(&derived);
    let mut ciphertext = key.secret_bytes();
    Cipher::new(&(*encryption).into(), &iv.into()).apply_keystream(ciphertext.as_mut());
    let mac = checksum_of(checksum, &ciphertext);
    let file = KeyJson {
        address: Some(hex::encode(address)),
        crypto: CryptoJson {
            cipher: "aes-128-ctr".to_owned(),
            ciphertext: hex::encode(*ciphertext),
            cipherparams: CipherParams { iv: hex::encode(iv) },
            kdf: "scrypt".to_owned(),
            kdfparams: KdfParams {
                dklen: DERIVED_BYTES as u64,
                n: Some(1u64 << log_n),
                p: Some(p.into()),
                r: Some(r.into()),
                salt: hex::encode(salt),
                ..KdfParams::default()
            },
            mac: hex::encode(mac),
        },
        id: uuid(random()),
        version: 3,
    };
    serde_json::to_vec(&file).map_err(|error| KeystoreError::NotAKeyFile(error.to_string()))
}

/// The account that a key file names, without its password; `None` if it names none.
///
/// # Errors
/// [`KeystoreError::NotAKeyFile`].
pub fn account(json: &[u8]) -> Result<Option<Address>, KeystoreError> {
    address_of(&read(json)?)
}

fn read(json: &[u8]) -> Result<KeyJson, KeystoreError> {
    let file: KeyJson =
        serde_json::from_slice(json).map_err(|error| KeystoreError::NotAKeyFile(place(&error)))?;
    if file.version == 3 {
        return Ok(file);
    }
    Err(KeystoreError::NotAKeyFile(format!("version {} is not supported", file.version)))
}

/// Where JSON went wrong. serde's own sentence may quote the text, which may be a bare key.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a field is missing or of another kind",
        serde_json::error::Category::Eof => "the JSON ends early",
        _ => "not JSON",
    };
    format!("{what}, line {} column {}", error.line(), error.column())
}

fn address_of(file: &KeyJson) -> Result<Option<Address>, KeystoreError> {
    let named = file.address.as_deref().filter(|text| !text.is_empty());
    named.map(|text| fixed::<20>("address", text).map(Address::from)).transpose()
}

fn derive(
    crypto: &CryptoJson,
    password: &[u8],
) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, KeystoreError> {
    let params = &crypto.kdfparams;
    if params.dklen < DERIVED_BYTES as u64 {
        return Err(KeystoreError::NotAKeyFile("dklen is below 32".to_owned()));
    }
    let salt = hex::decode(&params.salt)
        .map_err(|_| KeystoreError::NotAKeyFile("salt is not hexadecimal".to_owned()))?;
    let number = |name: &str, value: Option<u64>| {
        value.filter(|&value| value > 0).ok_or_else(|| {
            KeystoreError::NotAKeyFile(format!("kdfparams.{name} is missing or zero"))
        })
    };
    match crypto.kdf.as_str() {
        "scrypt" => {
            let (n, r) = (number("n", params.n)?, number("r", params.r)?);
            let p = number("p", params.p)?;
            let bytes = n.saturating_mul(r).saturating_mul(128);
            if bytes > SCRYPT_BYTES {
                return Err(KeystoreError::TooMuchMemory { mib: bytes.div_ceil(1024 * 1024) });
            }
            at_most("scrypt lanes", p, SCRYPT_LANES)?;
            if !n.is_power_of_two() || n == 1 {
                return Err(KeystoreError::NotAKeyFile("n is not a power of two".to_owned()));
            }
            let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
            let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
            scrypt_key(password, &salt, log_n, small(r), small(p))
        }
        "pbkdf2" => {
            let rounds = number("c", params.c)?;
            at_most("pbkdf2 rounds", rounds, PBKDF2_ROUNDS)?;
            if params.prf.as_deref() != Some("hmac-sha256") {
                return Err(KeystoreError::NotAKeyFile("prf is not hmac-sha256".to_owned()));
            }
            let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
            let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
            pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, &salt, rounds, derived.as_mut());
            Ok(derived)
        }
        other => {
            Err(KeystoreError::NotAKeyFile(format!("key derivation {} is not known", shown(other))))
        }
    }
}

const fn at_most(what: &'static str, asked: u64, limit: u64) -> Result<(), KeystoreError> {
    if asked <= limit { Ok(()) } else { Err(KeystoreError::TooMuchWork { what, asked, limit }) }
}

fn scrypt_key(
    password: &[u8],
    salt: &[u8],
    log_n: u8,
    r: u32,
    p: u32,
) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, KeystoreError> {
    let bad = || KeystoreError::NotAKeyFile("scrypt refuses these parameters".to_owned());
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| bad())?;
    let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
    scrypt::scrypt(password, salt, &params, derived.as_mut()).map_err(|_| bad())?;
    Ok(derived)
}

/// Key of the cipher, key of the checksum.
fn halves(derived: &[u8; DERIVED_BYTES]) -> (&[u8; 16], &[u8; 16]) {
    let (halves, _) = derived.as_chunks::<16>();
    match halves {
        [encryption, checksum] => (encryption, checksum),
        _ => (&[0; 16], &[0; 16]),
    }
}

fn checksum_of(key: &[u8; 16], ciphertext: &[u8; 32]) -> B256 {
    keccak256(Zeroizing::new([key.as_slice(), ciphertext.as_slice()].concat()))
}

fn fixed<const N: usize>(what: &str, text: &str) -> Result<[u8; N], KeystoreError> {
    hex::decode_to_array(text)
        .map_err(|_| KeystoreError::NotAKeyFile(format!("{what} is not {N} bytes in hexadecimal")))
}

/// A foreign word, short enough to print.
fn shown(word: &str) -> String {
    format!("{:?}", word.chars().take(24).collect::<String>())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rng().fill_bytes(&mut bytes);
    bytes
}

/// Version 4, random (RFC 9562).
fn uuid(bytes: [u8; 16]) -> String {
    let number = u128::from_be_bytes(bytes);
    let number = (number & !(0xf << 76)) | (0x4 << 76);
    let number = (number & !(0x3 << 62)) | (0x2 << 62);
    let text = hex::encode(number.to_be_bytes());
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
#[path = "secret_storage_test.rs"]
mod tests;
