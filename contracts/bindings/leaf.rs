//! The bytes that are anchored and delivered, and the trees over them (`contracts.md` section 4).
//!
//! A leaf is `keccak256(keccak256(P))` with `P = abi.encode(type hash, fields…)`: every field one 32-byte word, integers
//! right-aligned, `bytes16` left-aligned. A node is `keccak256(left ‖ right)`; bit *i* of the index (least significant
//! first) is 0 where the running hash stands on the left. Typed preimages, inner leaf hashes and nodes have different
//! lengths (at least 96, 32 and 64 bytes), and depth is always checked, so nothing but a leaf passes as one. The Solidity
//! twin is `contracts/libraries/MerkleBatch.sol`; both read `test/vectors/contracts/leaf.json`.

use alloy_primitives::{B256, FixedBytes, keccak256};
use alloy_sol_types::{SolStruct, SolValue, sol};

sol! {
    /// One version of one record, as anchored.
    #[derive(Debug, PartialEq, Eq)]
    struct RecordLeaf {
        uint16 version;
        bytes16 handle;
        bytes16 prevHandle;
        uint16 kind;
        uint16 schema;
        uint16 format;
        bytes32 contentHash;
        bytes32 summaryHash;
        uint32 qualityLabel;
        uint32 consentEpoch;
        bytes32 salt;
    }

    /// One record of a delivery: where its leaf stands, and the proof that came with it.
    #[derive(Debug, PartialEq, Eq)]
    struct DeliveryEntry {
        bytes16 inst;
        uint64 batchSeq;
        uint32 index;
        bytes32 leaf;
        bytes32 proofHash;
    }

    /// One chunk of a delivery's ciphertext.
    #[derive(Debug, PartialEq, Eq)]
    struct DeliveryChunk {
        bytes32 grantId;
        uint32 seq;
        uint32 index;
        bytes32 chunkHash;
    }

    /// One entry of an institution's audit log.
    #[derive(Debug, PartialEq, Eq)]
    struct AuditLeaf {
        uint16 version;
        uint64 seq;
        uint64 loggedAt;
        bytes32 prev;
        bytes32 eventHash;
        bytes32 salt;
    }

    /// One patient's consent state in one epoch.
    #[derive(Debug, PartialEq, Eq)]
    struct ConsentLeaf {
        uint16 version;
        bytes16 subject;
        uint32 epoch;
        uint32 allowed;
        uint32 denied;
        uint32 flags;
        bytes32 consentHash;
        bytes32 salt;
    }

    /// The first leaf of an hour's log: which entries it holds, and which root it follows.
    #[derive(Debug, PartialEq, Eq)]
    struct LogHead {
        bytes16 inst;
        uint32 hour;
        bytes32 prevRoot;
        uint64 firstSeq;
        uint64 nextSeq;
        bytes32 salt;
    }

    /// One subject of a computation's cohort.
    #[derive(Debug, PartialEq, Eq)]
    struct CohortLeaf {
        bytes16 handle;
        bytes32 salt;
    }

    /// One hub's permit for a computation.
    #[derive(Debug, PartialEq, Eq)]
    struct PermitLeaf {
        bytes32 permitDigest;
        bytes32 salt;
    }
}

/// Bytes of a record leaf's preimage: twelve words.
pub const RECORD_PREIMAGE_BYTES: usize = 384;

/// The deepest tree a batch may have: 65,536 leaves.
pub const MAX_SIZE_LOG2: u8 = 16;

/// The preimage `P` of a typed leaf: its type hash, then its fields, a word each.
pub fn preimage<L: SolStruct>(leaf: &L) -> Vec<u8> {
    let mut bytes = leaf.eip712_type_hash().to_vec();
    bytes.extend(leaf.eip712_encode_data());
    bytes
}

/// The leaf itself: `keccak256(keccak256(P))`.
pub fn leaf_hash<L: SolStruct>(leaf: &L) -> B256 {
    hash_preimage(&preimage(leaf))
}

/// The leaf of preimage bytes that came from elsewhere: `keccak256(keccak256(P))`.
pub fn hash_preimage(preimage: &[u8]) -> B256 {
    keccak256(keccak256(preimage))
}

impl RecordLeaf {
    /// Reads a record leaf back from its 384-byte preimage.
    ///
    /// # Errors
    /// [`LeafError::Preimage`] if the length, the type hash or a word's padding is not that of a record leaf.
    pub fn from_preimage(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() != RECORD_PREIMAGE_BYTES {
            return Err(LeafError::Preimage("a record leaf's preimage is 384 bytes"));
        }
        let (head, fields) = bytes.split_at(32);
        let leaf = Self::abi_decode_validate(fields).map_err(|_| {
            LeafError::Preimage("a word of the record leaf is not padded as its type asks")
        })?;
        if head != leaf.eip712_type_hash().as_slice() {
            return Err(LeafError::Preimage(
                "the preimage does not begin with the record leaf's type hash",
            ));
        }
        Ok(leaf)
    }
}

/// `keccak256(keccak256(tag) ‖ nonce ‖ data)`: binds data that stays at home to 32 bytes that may travel.
pub fn commit(tag: &str, nonce: B256, data: &[u8]) -> B256 {
    let mut bytes = Vec::with_capacity(64 + data.len());
    bytes.extend_from_slice(keccak256(tag).as_slice());
    bytes.extend_from_slice(nonce.as_slice());
    bytes.extend_from_slice(data);
    keccak256(bytes)
}

/// Why a leaf or a tree was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// The bytes are not a record leaf.
    #[error("{0}")]
    Preimage(&'static str),
    /// A tree has no leaves, or more than 2^16.
    #[error("a tree holds 1 to 65536 leaves, not {0}")]
    Size(usize),
    /// The position is outside the tree.
    #[error("leaf {index} of a tree of {size} leaves")]
    Index {
        /// The position asked for.
        index: usize,
        /// How many leaves there are.
        size: usize,
    },
}

/// A complete binary tree over leaf hashes, every level kept.
#[derive(Debug, Clone)]
pub struct Tree {
    levels: Vec<Vec<B256>>,
}

impl Tree {
    /// Builds the tree; leaves are padded with zero words to the next power of two. A single leaf is its own root.
    ///
    /// # Errors
    /// [`LeafError::Size`] without leaves or above 65,536 of them.
    pub fn new(leaves: &[B256]) -> Result<Self, LeafError> {
        if leaves.is_empty() || leaves.len() > 1 << MAX_SIZE_LOG2 {
            return Err(LeafError::Size(leaves.len()));
        }
        let mut level = leaves.to_vec();
        level.resize(leaves.len().next_power_of_two(), B256::ZERO);
        let mut levels = vec![level];
        while let Some(last) = levels.last().filter(|level| level.len() > 1) {
            let above =
                last.chunks_exact(2).map(|pair| keccak256([pair[0], pair[1]].concat())).collect();
            levels.push(above);
        }
        Ok(Self { levels })
    }

    /// The root.
    pub fn root(&self) -> B256 {
        self.levels[self.levels.len() - 1][0]
    }

    /// The tree's depth: log2 of its padded size.
    pub fn size_log2(&self) -> u8 {
        u8::try_from(self.levels.len() - 1).expect("at most 16 levels are built")
    }

    /// The siblings of a leaf, its own level first.
    ///
    /// # Errors
    /// [`LeafError::Index`] outside the tree.
    pub fn proof(&self, index: usize) -> Result<Vec<B256>, LeafError> {
        let size = self.levels[0].len();
        if index >= size {
            return Err(LeafError::Index { index, size });
        }
        Ok((0..self.levels.len() - 1)
            .map(|depth| self.levels[depth][(index >> depth) ^ 1])
            .collect())
    }
}

/// Whether `leaf` stands at `index` of the tree with this root and depth.
///
/// The depth is part of the question: a shorter or longer path never passes.
pub fn verify(root: B256, size_log2: u8, leaf: B256, index: u32, proof: &[B256]) -> bool {
    if proof.len() != usize::from(size_log2) || u64::from(index) >= 1_u64 << size_log2.min(32) {
        return false;
    }
    let reached = proof.iter().enumerate().fold(leaf, |hash, (depth, sibling)| {
        if index >> depth & 1 == 0 {
            keccak256([hash, *sibling].concat())
        } else {
            keccak256([*sibling, hash].concat())
        }
    });
    reached == root
}

/// `keccak256` of a proof's siblings one after another: how a delivery entry names the proof it carried.
pub fn proof_hash(siblings: &[B256]) -> B256 {
    keccak256(siblings.concat())
}

/// Sixteen bytes, left-aligned as Solidity's `bytes16` stands in a word.
pub type Bytes16 = FixedBytes<16>;

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{b256, hex};
    use proptest::prelude::*;
    use serde::Deserialize;

    /// The vectors that the Solidity tests read too.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vectors {
        typehash: B256,
        r#type: String,
        content: Commitment,
        summary: Commitment,
        record: Record,
        tree: TreeVector,
    }

    #[derive(Deserialize)]
    struct Commitment {
        tag: String,
        nonce: B256,
        data: String,
        commitment: B256,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Record {
        version: u16,
        handle: Bytes16,
        prev_handle: Bytes16,
        kind: u16,
        schema: u16,
        format: u16,
        quality_label: u32,
        consent_epoch: u32,
        salt: B256,
        inner: B256,
        leaf: B256,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct TreeVector {
        size_log2: u8,
        leaves: Vec<B256>,
        root: B256,
        index: u32,
        proof: Vec<B256>,
        wrong_indices: Vec<u32>,
    }

    fn vectors() -> Vectors {
        let text = include_str!("../../test/vectors/contracts/leaf.json");
        serde_json::from_str(text).expect("the shared vectors read")
    }

    fn record() -> RecordLeaf {
        let Vectors { content, summary, record, .. } = vectors();
        RecordLeaf {
            version: record.version,
            handle: record.handle,
            prevHandle: record.prev_handle,
            kind: record.kind,
            schema: record.schema,
            format: record.format,
            contentHash: commit(&content.tag, content.nonce, content.data.as_bytes()),
            summaryHash: commit(&summary.tag, summary.nonce, summary.data.as_bytes()),
            qualityLabel: record.quality_label,
            consentEpoch: record.consent_epoch,
            salt: record.salt,
        }
    }

    /// `protocol.md` section 8.
    #[test]
    fn the_published_consent_leaf() {
        let Vectors { content, record, .. } = vectors();
        let leaf = ConsentLeaf {
            version: 1,
            subject: record.handle,
            epoch: 20_454,
            allowed: 0x12,
            denied: 0x08,
            flags: 0,
            consentHash: content.commitment,
            salt: record.salt,
        };
        let want = b256!("226fabc0606fa052151dffacbbf271e2d5734207b9821610e010e1812d603e18");
        assert_eq!(leaf_hash(&leaf), want);
    }

    /// `contracts.md` section 4 lists them; a type's string is what its hash binds.
    #[test]
    fn the_published_types_of_leaves() {
        let page = include_str!("../../design/contracts.md");
        for name in [
            RecordLeaf::eip712_encode_type(),
            ConsentLeaf::eip712_encode_type(),
            AuditLeaf::eip712_encode_type(),
            LogHead::eip712_encode_type(),
            DeliveryChunk::eip712_encode_type(),
            CohortLeaf::eip712_encode_type(),
            DeliveryEntry::eip712_encode_type(),
            PermitLeaf::eip712_encode_type(),
        ] {
            assert!(page.contains(&*name), "{name}");
        }
    }

    #[test]
    fn the_published_record_leaf() {
        let (want, leaf) = (vectors(), record());
        assert_eq!(RecordLeaf::eip712_encode_type(), want.r#type);
        assert_eq!(leaf.eip712_type_hash(), want.typehash);
        assert_eq!(leaf.contentHash, want.content.commitment);
        assert_eq!(leaf.summaryHash, want.summary.commitment);
        let bytes = preimage(&leaf);
        assert_eq!(bytes.len(), RECORD_PREIMAGE_BYTES);
        assert_eq!(keccak256(&bytes), want.record.inner);
        assert_eq!(leaf_hash(&leaf), want.record.leaf);
        assert_eq!(RecordLeaf::from_preimage(&bytes), Ok(leaf));
    }

    #[test]
    fn a_preimage_with_another_type_hash_or_dirty_padding_is_refused() {
        let mut bytes = preimage(&record());
        bytes[0] ^= 1;
        assert!(RecordLeaf::from_preimage(&bytes).is_err());
        bytes[0] ^= 1;
        bytes[32] = 1; // above a uint16
        assert!(RecordLeaf::from_preimage(&bytes).is_err());
        assert!(RecordLeaf::from_preimage(&bytes[1..]).is_err());
    }

    #[test]
    fn the_published_tree_proves_its_leaf_at_its_index_alone() {
        let TreeVector { size_log2, leaves, root, index, proof, wrong_indices } = vectors().tree;
        let tree = Tree::new(&leaves).expect("a small tree");
        let leaf = leaves[0];
        assert_eq!((tree.root(), tree.size_log2()), (root, size_log2));
        assert_eq!(tree.proof(0).as_ref(), Ok(&proof));
        assert!(verify(root, size_log2, leaf, index, &proof));
        assert!(!wrong_indices.is_empty());
        for wrong in wrong_indices {
            assert!(!verify(root, size_log2, leaf, wrong, &proof));
        }
        assert!(!verify(root, 1, leaf, index, &proof[..1]));
        let inner = keccak256([leaf, proof[0]].concat());
        assert!(!verify(root, 1, inner, 0, &proof[..1]));
        assert!(Tree::new(&[]).is_err() && tree.proof(leaves.len()).is_err());
    }

    #[test]
    fn the_published_chunk_leaf() {
        let leaf = DeliveryChunk {
            grantId: b256!("5b517b5d47d7aa6bc3a04d379bc0d542a07c858831858c79dbc57885d06f99fc"),
            seq: 1,
            index: 1,
            chunkHash: keccak256(hex!("de5dfad0183a0426464abe4e0fb187894e695b")),
        };
        assert_eq!(
            leaf_hash(&leaf),
            b256!("9704e4698456d21e33b4bdfe5c6fa26fa3ee02aaa3d5577199c64d751fa5478c")
        );
    }

    proptest! {
        #[test]
        fn every_leaf_proves_and_no_other_does(count in 1_usize..40, wrong in any::<[u8; 32]>()) {
            let leaves: Vec<B256> = (0..count).map(|i| keccak256(i.to_be_bytes())).collect();
            let tree = Tree::new(&leaves).expect("within bounds");
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = tree.proof(index).expect("inside");
                let position = u32::try_from(index).expect("small");
                prop_assert!(verify(tree.root(), tree.size_log2(), *leaf, position, &proof));
                prop_assert!(!verify(tree.root(), tree.size_log2(), B256::from(wrong), position, &proof));
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = RecordLeaf::from_preimage(&bytes);
        }
    }
}
