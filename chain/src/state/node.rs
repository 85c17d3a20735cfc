//! The nodes of a Merkle-Patricia trie whose keys are all 32 bytes (Yellow Paper, appendix D).
//!
//! ```text
//!   leaf       rlp [hex-prefix(rest of the key, odd?, leaf), value]
//!   extension  rlp [hex-prefix(shared nibbles, odd?, not a leaf), reference of the child]
//!   branch     rlp [16 references, ""]            no key ends at a branch, since all have one length
//!   reference  the node's rlp if that is under 32 bytes, else rlp(keccak256 of it)
//! ```
//!
//! A leaf keeps its whole key and an extension any key below it, so that a node can move up or down the tree without
//! copying nibbles: which part is its path follows from the depth at which it stands.

use alloy_primitives::B256;
use alloy_rlp::{EMPTY_STRING_CODE, Encodable as _, Header as RlpHeader};

/// Kind (two bits) and position of a node in its arena.
pub(crate) type NodeId = u32;

/// No node: an empty trie or an empty child of a branch.
pub(crate) const NONE: NodeId = NodeId::MAX;

/// Nibbles of a key.
pub(crate) const KEY_NIBBLES: usize = 64;

const KIND_SHIFT: u32 = 30;
const INDEX_MASK: u32 = (1 << KIND_SHIFT) - 1;

/// What a [`NodeId`] points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Leaf(usize),
    Extension(usize),
    Branch(usize),
    None,
}

impl Kind {
    pub(crate) const fn of(id: NodeId) -> Self {
        let index = (id & INDEX_MASK) as usize;
        match id >> KIND_SHIFT {
            0 => Self::Leaf(index),
            1 => Self::Extension(index),
            2 => Self::Branch(index),
            _ => Self::None,
        }
    }

    pub(crate) fn id(self) -> NodeId {
        let (kind, index) = match self {
            Self::Leaf(index) => (0, index),
            Self::Extension(index) => (1, index),
            Self::Branch(index) => (2, index),
            Self::None => return NONE,
        };
        let index = u32::try_from(index).ok().filter(|&index| index <= INDEX_MASK);
        kind << KIND_SHIFT | index.expect("an arena holds fewer than 2^30 nodes of a kind")
    }
}

/// What a leaf holds.
pub trait Value: Clone + PartialEq + Send + Sync + std::fmt::Debug {
    /// Appends the bytes that the trie commits to; never none.
    fn encode(&self, out: &mut Vec<u8>);
}

impl Value for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Leaf<V> {
    pub(crate) key: B256,
    pub(crate) reference: Reference,
    pub(crate) value: V,
}

/// Covers the nibbles of `key` from where it stands up to `end`.
#[derive(Debug, Clone)]
pub(crate) struct Extension {
    pub(crate) key: B256,
    pub(crate) reference: Reference,
    pub(crate) end: u8,
    pub(crate) child: NodeId,
}

#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) children: [NodeId; 16],
    pub(crate) reference: Reference,
}

/// How a parent names a node, or that this has to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference {
    /// 0: not known; 32: a hash; else the length of the node's RLP.
    length: u8,
    bytes: [u8; 32],
}

impl Reference {
    pub(crate) const DIRTY: Self = Self { length: 0, bytes: [0; 32] };

    pub(crate) const fn to_hash(hash: B256) -> Self {
        Self { length: 32, bytes: hash.0 }
    }

    /// The reference to a node whose RLP is under 32 bytes, which is never empty.
    pub(crate) fn inline(rlp: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes[..rlp.len()].copy_from_slice(rlp);
        Self { length: u8::try_from(rlp.len()).expect("under 32"), bytes }
    }

    pub(crate) const fn is_dirty(&self) -> bool {
        self.length == 0
    }

    fn rlp_length(&self) -> usize {
        usize::from(self.length) + usize::from(self.length == 32)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(!self.is_dirty(), "children are hashed before their parent");
        if self.length == 32 {
            out.push(EMPTY_STRING_CODE + 32);
        }
        out.extend_from_slice(&self.bytes[..usize::from(self.length)]);
    }
}

/// The nibble of a key at a depth below 64.
pub(crate) fn nibble(key: &B256, depth: usize) -> usize {
    let byte = key[depth / 2];
    usize::from(if depth.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
}

/// `key` with another nibble at one depth.
pub(crate) fn with_nibble(mut key: B256, depth: usize, value: usize) -> B256 {
    let value = u8::try_from(value & 0x0f).expect("a nibble");
    let byte = &mut key[depth / 2];
    *byte = if depth.is_multiple_of(2) { *byte & 0x0f | value << 4 } else { *byte & 0xf0 | value };
    key
}

/// The first depth from `from` at which the keys differ; 64 if there is none.
pub(crate) fn first_difference(a: &B256, b: &B256, from: usize) -> usize {
    let start = from / 2;
    let differs = a[start..].iter().zip(&b[start..]).map(|(a, b)| a ^ b).enumerate();
    for (at, bits) in differs {
        let depth = (start + at) * 2;
        if bits >> 4 != 0 && depth >= from {
            return depth;
        }
        if bits & 0x0f != 0 {
            return depth + 1;
        }
    }
    KEY_NIBBLES
}

/// Appends the hex-prefix form of the nibbles `from..to` of a key (Yellow Paper, appendix C), as an RLP string.
fn encode_path(key: &B256, from: usize, to: usize, is_leaf: bool, out: &mut Vec<u8>) {
    let flag = if is_leaf { 0x20 } else { 0 };
    let nibble_at = |depth| u8::try_from(nibble(key, depth)).expect("a nibble");
    let is_odd = !(to - from).is_multiple_of(2);
    let first = if is_odd { flag | 0x10 | nibble_at(from) } else { flag };
    let start = from + usize::from(is_odd);
    if start == to {
        // One byte below 0x80 stands for itself.
        out.push(first);
        return;
    }
    let pairs = (to - start) / 2;
    out.push(EMPTY_STRING_CODE + u8::try_from(pairs + 1).expect("at most 33"));
    out.push(first);
    if start.is_multiple_of(2) {
        out.extend_from_slice(&key[start / 2..to / 2]);
    } else {
        out.extend((0..pairs).map(|pair| {
            let byte = start / 2 + pair;
            key[byte] << 4 | key[byte + 1] >> 4
        }));
    }
}

fn path_length(from: usize, to: usize) -> usize {
    let bytes = (to - from) / 2 + 1;
    if bytes == 1 { 1 } else { bytes + 1 }
}

/// RLP of a leaf that stands at `depth`. `value` is a buffer to be used.
pub(crate) fn leaf_rlp<V: Value>(
    leaf: &Leaf<V>,
    depth: usize,
    value: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    value.clear();
    leaf.value.encode(value);
    list_of(path_length(depth, KEY_NIBBLES) + value.as_slice().length(), out);
    encode_path(&leaf.key, depth, KEY_NIBBLES, true, out);
    value.as_slice().encode(out);
}

/// RLP of an extension over the nibbles `depth..end` of `key`.
pub(crate) fn extension_rlp(
    key: &B256,
    depth: usize,
    end: usize,
    child: &Reference,
    out: &mut Vec<u8>,
) {
    list_of(path_length(depth, end) + child.rlp_length(), out);
    encode_path(key, depth, end, false, out);
    child.encode(out);
}

/// RLP of a branch.
pub(crate) fn branch_rlp<'a>(
    children: impl Iterator<Item = Option<&'a Reference>> + Clone,
    out: &mut Vec<u8>,
) {
    let lengths = children.clone().map(|child| child.map_or(1, Reference::rlp_length));
    list_of(lengths.sum::<usize>() + 1, out);
    for child in children {
        match child {
            Some(child) => child.encode(out),
            None => out.push(EMPTY_STRING_CODE),
        }
    }
    out.push(EMPTY_STRING_CODE);
}

fn list_of(payload_length: usize, out: &mut Vec<u8>) {
    RlpHeader { list: true, payload_length }.encode(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(key: &B256, from: usize, to: usize, is_leaf: bool) -> Vec<u8> {
        let mut out = Vec::new();
        encode_path(key, from, to, is_leaf, &mut out);
        assert_eq!(out.len(), path_length(from, to));
        out
    }

    #[test]
    fn hex_prefix_as_in_the_yellow_paper() {
        let key = with_nibble(with_nibble(B256::ZERO, 0, 1), 1, 2);
        let key = with_nibble(with_nibble(key, 2, 3), 3, 4);
        assert_eq!(path(&key, 0, 4, false), [0x83, 0x00, 0x12, 0x34]);
        assert_eq!(path(&key, 1, 4, false), [0x82, 0x12, 0x34]);
        assert_eq!(path(&key, 1, 3, false), [0x82, 0x00, 0x23]);
        assert_eq!(path(&key, 0, 4, true), [0x83, 0x20, 0x12, 0x34]);
        assert_eq!(path(&key, 3, 4, true), [0x34]);
        assert_eq!(path(&key, 4, 4, true), [0x20]);
    }

    #[test]
    fn nibbles_are_high_half_first() {
        let key = B256::with_last_byte(0xab);
        assert_eq!((nibble(&key, 62), nibble(&key, 63)), (0xa, 0xb));
        assert_eq!(first_difference(&key, &B256::ZERO, 0), 62);
        assert_eq!(first_difference(&key, &B256::ZERO, 62), 62);
        assert_eq!(first_difference(&key, &B256::ZERO, 63), 63);
        assert_eq!(first_difference(&key, &key, 0), KEY_NIBBLES);
        assert_eq!(with_nibble(key, 63, 1), B256::with_last_byte(0xa1));
    }

    #[test]
    fn ids_keep_kind_and_position() {
        for kind in [Kind::Leaf(0), Kind::Extension(7), Kind::Branch(INDEX_MASK as usize)] {
            assert_eq!(Kind::of(kind.id()), kind);
        }
        assert_eq!(Kind::of(NONE), Kind::None);
        assert_eq!(Kind::None.id(), NONE);
    }
}
