//! One sealed block: the unit of encryption of everything the vault keeps.
//!
//! ```text
//! off len  header, 80 bytes in clear (integers little-endian)
//!   0   8  magic "MSB1" ‖ u8 version = 1 ‖ u8 suite = 1 (HKDF-SHA-256, AES-256-GCM) ‖ u16 flags
//!   8  16  block_id, random
//!  24  20  dek_id (16 bytes; zero for the store key) ‖ u32 dek_epoch
//!  44   4  body_len: length of the padded plaintext, and of the ciphertext
//!  48  24  salt, drawn inside `seal`
//!  72   8  u32 zero ‖ u32 CRC-32C of bytes 0..76
//!  80   …  ciphertext (body_len) ‖ tag (16)
//!
//! plaintext = u32 image_len ‖ image ‖ zeros up to the bucket
//! key       = HKDF-Expand-SHA-256(DEK, "msnet vault block v1" ‖ salt, 32), nonce = 12 zero bytes
//! AAD       = store_id (16) ‖ header[0..76]
//! ```
//!
//! A key seals one message, so nothing must be remembered between writes and a restored backup repeats no nonce.
//! A block binds the store, not the file: blocks can be copied between segments unchanged.
use zeroize::Zeroizing;

use super::crypt::{self, Secret, TAG_BYTES};

/// Length of the clear header.
pub const HEADER_BYTES: usize = 80;
/// The largest image a block may hold.
pub const MAX_IMAGE_BYTES: usize = 16 << 20;
/// Flag: sealed with the store key; `dek_id` is zero.
pub const FLAG_STORE_KEY: u16 = 1;
/// Flag: a block inside a frame of the write-ahead log.
pub const FLAG_LOG_FRAME: u16 = 2;
/// Flag: sealed under a key derived from the DEKs of several patients (`vault/keys.rs`); `dek_id` is zero.
pub const FLAG_JOINT_KEY: u16 = 4;

const MAGIC: &[u8; 4] = b"MSB1";
const VERSION: u8 = 1;
const SUITE: u8 = 1;
const CRC_AT: usize = 76;
const KEY_LABEL: &[u8] = b"msnet vault block v1";

/// Under which key a block is sealed.
#[derive(Clone, Debug)]
pub struct BlockKey {
    /// Its public name: random, zero for the store key and for joint keys.
    pub dek_id: [u8; 16],
    /// Its generation.
    pub epoch: u32,
    /// One of the key flags, or 0 for a patient's DEK.
    pub flags: u16,
    /// The key itself.
    pub secret: Secret,
}

/// The clear part of a block, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Flags, see the constants.
    pub flags: u16,
    /// Random name of the block.
    pub block_id: [u8; 16],
    /// Which key.
    pub dek_id: [u8; 16],
    /// Which generation of it.
    pub dek_epoch: u32,
    /// Length of the ciphertext without its tag.
    pub body_len: u32,
    salt: [u8; 24],
}

impl Header {
    /// Length of the whole block in bytes.
    pub fn block_len(&self) -> usize {
        HEADER_BYTES + self.body_len as usize + TAG_BYTES
    }
}

/// What is wrong with a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BlockError {
    /// Fewer bytes than the header says, or than a header has.
    #[error("the block is cut short")]
    Short,
    /// The first four bytes are not `MSB1`.
    #[error("no block begins here")]
    Magic,
    /// A version or suite of a newer program.
    #[error("the block is of version {version}, suite {suite}, this program reads 1 and 1")]
    Version {
        /// The version found.
        version: u8,
        /// The suite found.
        suite: u8,
    },
    /// The header's checksum does not match.
    #[error("the block's header is damaged (CRC-32C)")]
    HeaderCrc,
    /// The tag does not match: changed bytes, another key, or another store.
    #[error("the block does not open (tag)")]
    Tag,
    /// It opens, but its padding is not as this version writes it.
    #[error("the block's padding is not as written")]
    Padding,
}

/// Length of the plaintext after padding, for an image of `image_len` bytes.
///
/// With `n = 4 + image_len` it is the next multiple of `max(64, 2^(⌊log₂ n⌋ − 3))`: at most 12.5 % more above 512 bytes.
pub const fn padded_len(image_len: usize) -> usize {
    let n = 4 + image_len;
    let step = match 1_usize << n.ilog2() >> 3 {
        small if small < 64 => 64,
        step => step,
    };
    n.next_multiple_of(step)
}

/// Seals an image into a block. The salt, and with it the key of this one message, is drawn here.
///
/// `flags` are added to the key's own flags.
///
/// # Panics
/// If the image is larger than [`MAX_IMAGE_BYTES`]; callers split before.
pub fn seal(store_id: &[u8; 16], key: &BlockKey, flags: u16, image: &[u8]) -> Vec<u8> {
    assert!(image.len() <= MAX_IMAGE_BYTES, "callers split images of more than 16 MiB");
    let image_len = u32::try_from(image.len()).expect("at most 16 MiB");
    let body_len = padded_len(image.len());
    let salt: [u8; 24] = crypt::random();
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&[VERSION, SUITE]);
    header.extend_from_slice(&(key.flags | flags).to_le_bytes());
    header.extend_from_slice(&crypt::random::<16>());
    header.extend_from_slice(&key.dek_id);
    header.extend_from_slice(&key.epoch.to_le_bytes());
    header.extend_from_slice(&u32::try_from(body_len).expect("about 16 MiB").to_le_bytes());
    header.extend_from_slice(&salt);
    header.extend_from_slice(&[0; 4]);
    let aad = [store_id.as_slice(), &header].concat();
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());

    // Room for the tag, so that sealing does not move (and leave behind) the plaintext.
    let mut body = Vec::with_capacity(body_len + TAG_BYTES);
    body.extend_from_slice(&image_len.to_le_bytes());
    body.extend_from_slice(image);
    body.resize(body_len, 0);
    crypt::seal(&block_key(&key.secret, &salt), [0; 12], &aad, &mut body);
    header.append(&mut body);
    header
}

/// Reads the header of the block that begins at `bytes[0]`.
///
/// # Errors
/// [`BlockError`], every kind but `Tag` and `Padding`.
pub fn read_header(bytes: &[u8]) -> Result<Header, BlockError> {
    let header = bytes.get(..HEADER_BYTES).ok_or(BlockError::Short)?;
    if !header.starts_with(MAGIC) {
        return Err(BlockError::Magic);
    }
    if u32::from_le_bytes(field(header, CRC_AT)) != crc32c::crc32c(&header[..CRC_AT]) {
        return Err(BlockError::HeaderCrc);
    }
    let [version, suite] = field(header, 4);
    if (version, suite) != (VERSION, SUITE) {
        return Err(BlockError::Version { version, suite });
    }
    Ok(Header {
        flags: u16::from_le_bytes(field(header, 6)),
        block_id: field(header, 8),
        dek_id: field(header, 24),
        dek_epoch: u32::from_le_bytes(field(header, 40)),
        body_len: u32::from_le_bytes(field(header, 44)),
        salt: field(header, 48),
    })
}

/// Opens a block and returns its image.
///
/// # Errors
/// [`BlockError`] if the bytes are not a whole block of this store under this key.
pub fn open(
    store_id: &[u8; 16],
    secret: &Secret,
    block: &[u8],
) -> Result<Zeroizing<Vec<u8>>, BlockError> {
    let header = read_header(block)?;
    let sealed = block.get(HEADER_BYTES..header.block_len()).ok_or(BlockError::Short)?;
    let aad = [store_id.as_slice(), &block[..CRC_AT]].concat();
    let mut text = crypt::open(&block_key(secret, &header.salt), [0; 12], &aad, sealed)
        .map_err(|_| BlockError::Tag)?;
    let image_len = match text.get(..4) {
        Some(_) => u32::from_le_bytes(field(&text, 0)) as usize,
        None => return Err(BlockError::Padding),
    };
    if image_len > MAX_IMAGE_BYTES || padded_len(image_len) != text.len() {
        return Err(BlockError::Padding);
    }
    text.truncate(4 + image_len);
    text.drain(..4);
    Ok(text)
}

fn block_key(secret: &Secret, salt: &[u8; 24]) -> Secret {
    crypt::expand(secret, &[KEY_LABEL, salt])
}

/// The `N` bytes at `at`, which the caller has checked to be there.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes were taken")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STORE: [u8; 16] = [9; 16];

    fn key() -> BlockKey {
        BlockKey { dek_id: [3; 16], epoch: 2, flags: 0, secret: Secret::new([5; 32]) }
    }

    #[test]
    fn buckets_are_as_drawn() {
        for (image_len, padded) in
            [(0, 64), (60, 64), (61, 128), (508, 512), (509, 576), (1020, 1024), (1021, 1152)]
        {
            assert_eq!(padded_len(image_len), padded, "image of {image_len} bytes");
        }
        for image_len in 508..100_000 {
            let n = image_len + 4;
            assert!(padded_len(image_len) * 8 <= n * 9, "at most an eighth more, at {n}");
        }
    }

    #[test]
    fn two_blocks_of_one_image_share_no_salt_and_no_ciphertext() {
        let (a, b) = (seal(&STORE, &key(), 0, b"same"), seal(&STORE, &key(), 0, b"same"));
        assert_ne!(a[48..72], b[48..72]);
        assert_ne!(a[80..], b[80..]);
        let header = read_header(&a).expect("ours");
        assert_eq!((header.dek_id, header.dek_epoch, header.flags), ([3; 16], 2, 0));
        assert_eq!(header.block_len(), a.len());
    }

    #[test]
    fn another_key_or_store_does_not_open_it() {
        let block = seal(&STORE, &key(), FLAG_LOG_FRAME, b"text");
        assert_eq!(open(&STORE, &Secret::new([6; 32]), &block), Err(BlockError::Tag));
        assert_eq!(open(&[8; 16], &key().secret, &block), Err(BlockError::Tag));
        assert_eq!(open(&STORE, &key().secret, &block[..100]), Err(BlockError::Short));
        assert_eq!(open(&STORE, &key().secret, &[0; 200]), Err(BlockError::Magic));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(image in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let block = seal(&STORE, &key(), 0, &image);
            prop_assert_eq!(block.len(), HEADER_BYTES + padded_len(image.len()) + TAG_BYTES);
            prop_assert_eq!(&*open(&STORE, &key().secret, &block).expect("ours"), &image);
        }

        #[test]
        fn every_flipped_bit_is_noticed(at in 0_usize..160, bit in 0_u8..8) {
            let mut block = seal(&STORE, &key(), 0, b"an image");
            block[at] ^= 1 << bit;
            prop_assert!(open(&STORE, &key().secret, &block).is_err());
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(open(&STORE, &key().secret, &bytes).is_err());
        }
    }
}
