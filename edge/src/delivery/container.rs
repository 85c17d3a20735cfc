//! The ciphertext of a delivery: `MSNC`, a header and chunks sealed by AES-256-GCM as a STREAM (`protocol.md` 5).
//!
//! ```text
//! header 56 B = "MSNC" ‖ version 1 ‖ aead 2 ‖ chunkLog2 16 ‖ 0 ‖ grantId 32 ‖ seq u32 ‖ prefix 7 random ‖ 0 ‖ chunkCount u32
//! chunk i     = AES-256-GCM(K, nonce = prefix ‖ u32 i ‖ last, AAD = header, 65 536 bytes of plaintext) ‖ tag 16
//! ```
//!
//! `last` is 1 for the last chunk, else 0, so that a cut or reordered container does not open (Hoang, Reyhanitabar,
//! Rogaway and Vizár 2015). K serves one delivery. `ctRoot` is the tree over `DeliveryChunk(grantId, seq, i, keccak256(chunk))`.

use alloy_primitives::{B256, keccak256};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use contracts::leaf::{DeliveryChunk, Tree, leaf_hash};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::EdgeError;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 56;
/// Plaintext bytes of a chunk.
pub const CHUNK_BYTES: usize = 1 << 16;
/// Bytes of an AES-GCM tag.
pub const TAG_BYTES: usize = 16;
/// Chunks of one container at most: 64 MiB of plaintext.
pub const MAX_CHUNKS: u32 = 1_024;

/// A delivery's key: 32 random bytes, used once. Debug prints `***`.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq)]
pub struct ContentKey(pub [u8; 32]);

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey(***)")
    }
}

impl ContentKey {
    /// Draws a key.
    ///
    /// # Errors
    /// [`EdgeError::Internal`] if the system has no randomness.
    pub fn random() -> Result<ContentKey, EdgeError> {
        let mut key = ContentKey([0; 32]);
        crate::delivery::random(&mut key.0)?;
        Ok(key)
    }

    /// `keccak256(keccak256("msnet/key/1") ‖ K)`: GCM alone does not commit to its key.
    pub fn commitment(&self) -> B256 {
        keccak256([keccak256("msnet/key/1").0, self.0].concat())
    }
}

/// What a container's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Under which grant.
    pub grant_id: B256,
    /// Number within the grant.
    pub seq: u32,
    /// Random part of the nonces.
    pub prefix: [u8; 7],
    /// How many chunks follow.
    pub chunk_count: u32,
}

impl Header {
    /// The header's bytes, which are also every chunk's AAD.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(b"MSNC\x01\x02\x10\x00");
        bytes[8..40].copy_from_slice(self.grant_id.as_slice());
        bytes[40..44].copy_from_slice(&self.seq.to_be_bytes());
        bytes[44..51].copy_from_slice(&self.prefix);
        bytes[52..].copy_from_slice(&self.chunk_count.to_be_bytes());
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`EdgeError::Integrity`] if it is not one of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Header, EdgeError> {
        let bad = |what: &str| EdgeError::integrity(what, "container header");
        let bytes: &[u8; HEADER_BYTES] =
            bytes.try_into().map_err(|_| bad("the header is not 56 bytes"))?;
        let field = |from: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| bytes[from + i]));
        let mut prefix = [0; 7];
        prefix.copy_from_slice(&bytes[44..51]);
        let header = Header {
            grant_id: B256::from_slice(&bytes[8..40]),
            seq: field(40),
            prefix,
            chunk_count: field(52),
        };
        if header.to_bytes() != *bytes || !(1..=MAX_CHUNKS).contains(&header.chunk_count) {
            return Err(bad("the header is not MSNC version 1 with 1 to 1024 chunks"));
        }
        Ok(header)
    }

    /// `prefix ‖ u32 i ‖ last`.
    fn nonce(&self, index: u32) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..7].copy_from_slice(&self.prefix);
        nonce[7..11].copy_from_slice(&index.to_be_bytes());
        nonce[11] = u8::from(index + 1 == self.chunk_count);
        Nonce::assume_unique_for_key(nonce)
    }

    /// The leaf of the ciphertext tree.
    fn leaf(&self, index: u32, chunk: &[u8]) -> B256 {
        leaf_hash(&DeliveryChunk {
            grantId: self.grant_id,
            seq: self.seq,
            index,
            chunkHash: keccak256(chunk),
        })
    }
}

/// A sealed delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its header.
    pub header: Header,
    /// Its chunks, each with its tag.
    pub chunks: Vec<Vec<u8>>,
}

impl Container {
    /// Seals a padded plaintext under a key that was drawn for it.
    ///
    /// # Errors
    /// [`EdgeError::Input`] if the plaintext is empty or longer than 64 MiB.
    pub fn seal(
        key: &ContentKey,
        grant_id: B256,
        seq: u32,
        prefix: [u8; 7],
        plaintext: &[u8],
    ) -> Result<Container, EdgeError> {
        let count = u32::try_from(plaintext.len().div_ceil(CHUNK_BYTES)).unwrap_or(u32::MAX);
        if !(1..=MAX_CHUNKS).contains(&count) {
            return Err(EdgeError::input(
                format!("a delivery of {} bytes cannot be packed", plaintext.len()),
                "delivery",
                "ask for a smaller page (maxBytes)",
            ));
        }
        let header = Header { grant_id, seq, prefix, chunk_count: count };
        let aad = header.to_bytes();
        let cipher = cipher(key)?;
        let mut chunks = Vec::new();
        for (index, part) in (0_u32..).zip(plaintext.chunks(CHUNK_BYTES)) {
            let mut chunk = part.to_vec();
            cipher
                .seal_in_place_append_tag(header.nonce(index), Aad::from(aad), &mut chunk)
                .map_err(|_| EdgeError::Internal("a chunk does not seal".into()))?;
            chunks.push(chunk);
        }
        Ok(Container { header, chunks })
    }

    /// Opens it again.
    ///
    /// # Errors
    /// [`EdgeError::Integrity`] naming the first chunk that does not decrypt.
    pub fn open(&self, key: &ContentKey) -> Result<Vec<u8>, EdgeError> {
        let aad = self.header.to_bytes();
        let cipher = cipher(key)?;
        let mut plaintext = Vec::new();
        for (index, chunk) in (0_u32..).zip(&self.chunks) {
            let mut part = chunk.clone();
            let opened =
                cipher.open_in_place(self.header.nonce(index), Aad::from(aad), &mut part).map_err(
                    |_| EdgeError::integrity("a chunk does not decrypt", format!("chunk {index}")),
                )?;
            plaintext.extend_from_slice(opened);
            part.zeroize();
        }
        if self.chunks.len() != usize::try_from(self.header.chunk_count).unwrap_or(0) {
            return Err(EdgeError::integrity("chunks are missing", "container"));
        }
        Ok(plaintext)
    }

    /// Root of the tree over the chunks.
    ///
    /// # Errors
    /// [`EdgeError::Integrity`] without chunks.
    pub fn ct_root(&self) -> Result<B256, EdgeError> {
        let leaves: Vec<B256> =
            (0_u32..).zip(&self.chunks).map(|(i, chunk)| self.header.leaf(i, chunk)).collect();
        Tree::new(&leaves)
            .map(|tree| tree.root())
            .map_err(|e| EdgeError::integrity(e.to_string(), "container"))
    }

    /// Bytes of header and chunks: the offer's `size`.
    pub fn size(&self) -> u64 {
        let chunks: usize = self.chunks.iter().map(Vec::len).sum();
        (HEADER_BYTES + chunks) as u64
    }
}

fn cipher(key: &ContentKey) -> Result<LessSafeKey, EdgeError> {
    UnboundKey::new(&AES_256_GCM, &key.0)
        .map(LessSafeKey::new)
        .map_err(|_| EdgeError::Internal("AES-256-GCM takes 32 bytes".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{b256, hex};
    use proptest::prelude::*;

    const GRANT: B256 = b256!("5b517b5d47d7aa6bc3a04d379bc0d542a07c858831858c79dbc57885d06f99fc");
    const PREFIX: [u8; 7] = [0, 1, 2, 3, 4, 5, 6];

    fn key() -> ContentKey {
        ContentKey(std::array::from_fn(|i| 0x80 + u8::try_from(i).unwrap()))
    }

    #[test]
    fn the_published_header_last_chunk_and_key_commitment() {
        let header = Header { grant_id: GRANT, seq: 1, prefix: PREFIX, chunk_count: 2 };
        let bytes = header.to_bytes();
        assert_eq!(
            hex::encode(bytes),
            "4d534e43010210005b517b5d47d7aa6bc3a04d379bc0d542a07c858831858c79dbc57885d06f99fc\
             00000001000102030405060000000002"
        );
        assert_eq!(Header::from_bytes(&bytes).unwrap(), header);
        let mut plaintext = vec![0; CHUNK_BYTES];
        plaintext.extend(b"abc");
        let container = Container::seal(&key(), GRANT, 1, PREFIX, &plaintext).unwrap();
        assert_eq!(container.header, header);
        assert_eq!(hex::encode(&container.chunks[1]), "de5dfad0183a0426464abe4e0fb187894e695b");
        assert_eq!(
            header.leaf(1, &container.chunks[1]),
            b256!("9704e4698456d21e33b4bdfe5c6fa26fa3ee02aaa3d5577199c64d751fa5478c")
        );
        assert_eq!(
            key().commitment(),
            b256!("5f30d839cba93366d169ff2ad4fc0d62623acb98cfbd5e6c75614d4c90e41bbe")
        );
        assert_eq!(format!("{:?}", key()), "ContentKey(***)");
    }

    #[test]
    fn a_cut_swapped_or_changed_container_does_not_open() {
        let plaintext = vec![7; 3 * CHUNK_BYTES];
        let container = Container::seal(&key(), GRANT, 1, PREFIX, &plaintext).unwrap();
        assert_eq!(container.size(), 56 + 3 * (65_536 + 16));
        let mut cut = container.clone();
        cut.chunks.pop();
        assert!(cut.open(&key()).is_err());
        cut.header.chunk_count = 2;
        assert!(cut.open(&key()).is_err());
        let mut swapped = container.clone();
        swapped.chunks.swap(0, 1);
        assert!(swapped.open(&key()).is_err());
        assert_ne!(swapped.ct_root().unwrap(), container.ct_root().unwrap());
        let mut other = container.clone();
        other.header.seq = 2;
        assert!(other.open(&key()).is_err());
        assert!(container.open(&ContentKey([0; 32])).is_err());
        assert_eq!(container.open(&key()).unwrap(), plaintext);
    }

    #[test]
    fn a_header_of_another_version_or_length_is_refused() {
        let bytes = Header { grant_id: GRANT, seq: 1, prefix: PREFIX, chunk_count: 1 }.to_bytes();
        for at in [0, 4, 5, 6, 7, 51, 55] {
            let mut changed = bytes;
            changed[at] ^= 1;
            assert!(Header::from_bytes(&changed).is_err(), "byte {at}");
        }
        assert!(Header::from_bytes(&bytes[1..]).is_err());
        assert!(Container::seal(&key(), GRANT, 1, PREFIX, &[]).is_err());
    }

    proptest! {
        #[test]
        fn frames_survive_the_whole_way(
            frames in crate::delivery::frame::tests::any_frames(),
            secret in any::<[u8; 32]>(),
            prefix in any::<[u8; 7]>(),
        ) {
            let key = ContentKey(secret);
            let plaintext = crate::delivery::frame::encode(&frames).unwrap();
            let container = Container::seal(&key, GRANT, 1, prefix, &plaintext).unwrap();
            let opened = container.open(&key).unwrap();
            prop_assert_eq!(crate::delivery::frame::decode(&opened).unwrap(), frames);
        }
    }
}
