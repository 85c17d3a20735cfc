//! The few cipher calls the stores are made of, each with the one parameter set we use (`edge.md` 7).
//!
//! | call | what | source |
//! |---|---|---|
//! | [`expand`] | HKDF-Expand with SHA-256 | RFC 5869, section 2.3 |
//! | [`seal`], [`open`] | AES-256-GCM, 96-bit nonce, 16-byte tag | NIST SP 800-38D |
//! | [`wrap`], [`unwrap`] | AES-256 key wrap with padding (KWP) | RFC 5649 |
//! | [`aes_encrypt`], [`aes_decrypt`] | one AES-256 block | FIPS 197 |
//! | [`hmac`] | HMAC-SHA-256 | RFC 2104 |
//!
//! Everything is done by AWS-LC; this file chooses and names.
use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    cipher::{self, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey},
    hkdf, hmac as aws_hmac,
    key_wrap::{self, AesKek, KeyWrapPadded},
    rand,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Length of a GCM tag.
pub(crate) const TAG_BYTES: usize = 16;
/// Length of a 32-byte key wrapped by KWP: the key and one 8-byte block.
pub(crate) const WRAPPED_BYTES: usize = 40;

/// A 32-byte secret: overwritten when dropped, printed as `***`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes over 32 secret bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Draws 32 bytes from the system's random source.
    pub fn random() -> Self {
        Self(random())
    }

    /// The bytes themselves.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The bytes do not open under this key: another key, another position, or changed bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the bytes do not open under this key")]
pub(crate) struct DoesNotOpen;

/// `N` bytes from the system's random source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system's random source answers");
    bytes
}

/// HKDF-Expand-SHA-256 of a key that is uniformly random already, 32 bytes.
pub(crate) fn expand(key: &Secret, info: &[&[u8]]) -> Secret {
    let mut out = [0; 32];
    expand_into(key.expose(), info, &mut out);
    let secret = Secret(out);
    out.zeroize();
    secret
}

/// A wanted length of key material, as AWS-LC asks for it.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-SHA-256 of `prk` (at most 64 bytes) into `out` (at most 8,160 bytes).
fn expand_into(prk: &[u8], info: &[&[u8]], out: &mut [u8]) {
    hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, prk)
        .expand(info, Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("our lengths are within RFC 5869's limit");
}

/// HMAC-SHA-256 over parts that are read one after another.
pub(crate) fn hmac(key: &Secret, parts: &[&[u8]]) -> [u8; 32] {
    let key = aws_hmac::Key::new(aws_hmac::HMAC_SHA256, key.expose());
    let mut context = aws_hmac::Context::with_key(&key);
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

fn gcm(key: &Secret) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM, key.expose()).expect("a key of 32 bytes");
    LessSafeKey::new(key)
}

/// Encrypts `text` in place and appends the tag. A key and nonce pair must never be used twice.
pub(crate) fn seal(key: &Secret, nonce: [u8; 12], aad: &[u8], text: &mut Vec<u8>) {
    gcm(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), text)
        .expect("messages are far below GCM's limit of 64 GiB");
}

/// Opens `sealed` (ciphertext ‖ tag).
pub(crate) fn open(
    key: &Secret,
    nonce: [u8; 12],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let mut text = Zeroizing::new(sealed.to_vec());
    let length = gcm(key)
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut text)
        .map_err(|_| DoesNotOpen)?
        .len();
    text.truncate(length);
    Ok(text)
}

/// Wraps a 32-byte key under a key-encryption key.
pub(crate) fn wrap(kek: &Secret, key: &Secret) -> [u8; WRAPPED_BYTES] {
    wrap_bytes(kek, key.expose()).try_into().expect("32 bytes wrap into 40")
}

fn wrap_bytes(kek: &Secret, key: &[u8]) -> Vec<u8> {
    let mut out = vec![0; key.len() + 15];
    let length = AesKek::new(&key_wrap::AES_256, kek.expose())
        .and_then(|kek| kek.wrap_with_padding(key, &mut out).map(|wrapped| wrapped.len()))
        .expect("a key of 32 bytes wraps a short key");
    out.truncate(length);
    out
}

/// Unwraps what [`wrap`] made.
pub(crate) fn unwrap(kek: &Secret, wrapped: &[u8]) -> Result<Secret, DoesNotOpen> {
    let bytes = unwrap_bytes(kek, wrapped)?;
    Ok(Secret(bytes.as_slice().try_into().map_err(|_| DoesNotOpen)?))
}

fn unwrap_bytes(kek: &Secret, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let mut out = Zeroizing::new(vec![0; wrapped.len()]);
    let length = AesKek::new(&key_wrap::AES_256, kek.expose())
        .and_then(|kek| kek.unwrap_with_padding(wrapped, &mut out).map(|key| key.len()))
        .map_err(|_| DoesNotOpen)?;
    out.truncate(length);
    Ok(out)
}

/// One block of AES-256: a permutation of 16 bytes.
pub(crate) fn aes_encrypt(key: &Secret, mut block: [u8; 16]) -> [u8; 16] {
    UnboundCipherKey::new(&cipher::AES_256, key.expose())
        .and_then(EncryptingKey::ecb)
        .and_then(|key| key.encrypt(&mut block))
        .expect("one whole block under a key of 32 bytes");
    block
}

/// The inverse of [`aes_encrypt`].
pub(crate) fn aes_decrypt(key: &Secret, mut block: [u8; 16]) -> [u8; 16] {
    UnboundCipherKey::new(&cipher::AES_256, key.expose())
        .and_then(DecryptingKey::ecb)
        .and_then(|key| key.decrypt(&mut block, DecryptionContext::None).map(|_| ()))
        .expect("one whole block under a key of 32 bytes");
    block
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Runs `check` on every test of the groups that `wanted` accepts and returns how many there were.
    fn wycheproof(
        file: &str,
        wanted: impl Fn(&Value) -> bool,
        check: impl Fn(&Value, bool),
    ) -> usize {
        let path = format!("{}/../test/vectors/wycheproof/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the vectors are in the repository");
        let vectors: Value = serde_json::from_str(&text).expect("JSON");
        let mut count = 0;
        for group in vectors["testGroups"].as_array().expect("groups") {
            if !wanted(group) {
                continue;
            }
            for test in group["tests"].as_array().expect("tests") {
                check(test, test["result"] != "invalid");
                count += 1;
            }
        }
        count
    }

    fn hex(test: &Value, name: &str) -> Vec<u8> {
        alloy_primitives::hex::decode(test[name].as_str().expect(name)).expect("hex")
    }

    fn key(test: &Value) -> Secret {
        Secret(hex(test, "key").try_into().expect("groups of 256-bit keys only"))
    }

    #[test]
    fn aes_gcm_as_wycheproof_says() {
        let ours = |group: &Value| group["keySize"] == 256 && group["ivSize"] == 96;
        let count = wycheproof("aes_gcm_test.json", ours, |test, valid| {
            let (key, aad) = (key(test), hex(test, "aad"));
            let nonce: [u8; 12] = hex(test, "iv").try_into().expect("96 bits");
            let sealed = [hex(test, "ct"), hex(test, "tag")].concat();
            let opened = open(&key, nonce, &aad, &sealed);
            assert_eq!(opened.is_ok(), valid, "{}", test["tcId"]);
            if valid {
                let mut text = hex(test, "msg");
                assert_eq!(*opened.expect("just checked"), text);
                seal(&key, nonce, &aad, &mut text);
                assert_eq!(text, sealed);
            }
        });
        assert!(count > 30, "{count} tests ran");
    }

    #[test]
    fn key_wrap_with_padding_as_wycheproof_says() {
        let ours = |group: &Value| group["keySize"] == 256;
        let count = wycheproof("aes_kwp_test.json", ours, |test, _| {
            // "acceptable" marks keys shorter than 16 bytes, which a wrapper may refuse; we wrap 32 bytes.
            let unwrapped = unwrap_bytes(&key(test), &hex(test, "ct"));
            match (test["result"].as_str(), unwrapped) {
                (Some("invalid"), result) => assert!(result.is_err(), "{}", test["tcId"]),
                (Some("valid"), result) => {
                    assert_eq!(*result.expect("valid"), hex(test, "msg"), "{}", test["tcId"]);
                    assert_eq!(wrap_bytes(&key(test), &hex(test, "msg")), hex(test, "ct"));
                }
                (_, Ok(text)) => assert_eq!(*text, hex(test, "msg")),
                (_, Err(DoesNotOpen)) => {}
            }
        });
        assert!(count > 30, "{count} tests ran");
    }

    #[test]
    fn hkdf_as_wycheproof_says() {
        let count = wycheproof(
            "hkdf_sha256_test.json",
            |_| true,
            |test, valid| {
                let size = usize::try_from(test["size"].as_u64().expect("size")).expect("small");
                if !valid {
                    assert!(size > 255 * 32, "the only invalid cases ask for too much");
                    return;
                }
                let salt = aws_hmac::Key::new(aws_hmac::HMAC_SHA256, &hex(test, "salt"));
                let prk = aws_hmac::sign(&salt, &hex(test, "ikm"));
                let mut out = vec![0; size];
                expand_into(prk.as_ref(), &[&hex(test, "info")], &mut out);
                assert_eq!(out, hex(test, "okm"), "{}", test["tcId"]);
            },
        );
        assert!(count > 50, "{count} tests ran");
    }

    #[test]
    fn one_aes_block_of_fips_197() {
        let key = Secret(std::array::from_fn(|i| u8::try_from(i).expect("below 32")));
        let text: [u8; 16] = std::array::from_fn(|i| u8::try_from(i * 0x11).expect("a byte"));
        let sealed = aes_encrypt(&key, text); // FIPS 197, appendix C.3
        assert_eq!(sealed, alloy_primitives::hex!("8ea2b7ca516745bfeafc49904b496089"));
        assert_eq!(aes_decrypt(&key, sealed), text);
    }

    #[test]
    fn secrets_print_stars() {
        assert_eq!(format!("{:?}", Secret::new([7; 32])), "***");
    }
}
