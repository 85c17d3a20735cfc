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

use alloy_primitives::{B256, keccak256};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable as _, Header as RlpHeader};

/// Position of a node in its arena.
pub(crate) type NodeId = u32;

/// No node: an empty trie or an empty child of a branch.
pub(crate) const NONE: NodeId = NodeId::MAX;

/// Nibbles of a key.
pub(crate) const KEY_NIBBLES: usize = 64;

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Leaf {
        key: B256,
        value: Vec<u8>,
    },
    /// Covers the nibbles of `key` from where it stands up to `end`.
    Extension {
        key: B256,
        end: usize,
        child: NodeId,
    },
    Branch {
        children: [NodeId; 16],
    },
}

/// How a parent names a node: at most 33 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference {
    bytes: [u8; 33],
    length: u8,
}

impl Reference {
    /// The reference to a node with this RLP.
    pub(crate) fn to(node_rlp: &[u8]) -> Self {
        let mut bytes = [0; 33];
        let length = if node_rlp.len() < 32 {
            bytes[..node_rlp.len()].copy_from_slice(node_rlp);
            node_rlp.len()
        } else {
            bytes[0] = EMPTY_STRING_CODE + 32;
            bytes[1..].copy_from_slice(keccak256(node_rlp).as_slice());
            33
        };
        Self { bytes, length: u8::try_from(length).expect("at most 33") }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// True if the node stands inside its parent instead of being hashed.
    pub(crate) const fn is_inline(&self) -> bool {
        self.length < 33
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
    (from..KEY_NIBBLES).find(|&depth| nibble(a, depth) != nibble(b, depth)).unwrap_or(KEY_NIBBLES)
}

/// Hex-prefix form of the nibbles `from..to` of a key (Yellow Paper, appendix C).
pub(crate) fn hex_prefix(key: &B256, from: usize, to: usize, is_leaf: bool) -> Vec<u8> {
    let flag = if is_leaf { 0x20 } else { 0 };
    let nibble_at = |depth| u8::try_from(nibble(key, depth)).expect("a nibble");
    let mut out = Vec::with_capacity((to - from) / 2 + 1);
    let mut depth = from;
    if (to - from).is_multiple_of(2) {
        out.push(flag);
    } else {
        out.push(flag | 0x10 | nibble_at(from));
        depth += 1;
    }
    while depth < to {
        out.push(nibble_at(depth) << 4 | nibble_at(depth + 1));
        depth += 2;
    }
    out
}

/// RLP of a leaf that stands at `depth`.
pub(crate) fn leaf_rlp(key: &B256, depth: usize, value: &[u8]) -> Vec<u8> {
    let path = hex_prefix(key, depth, KEY_NIBBLES, true);
    let payload_length = path.as_slice().length() + value.length();
    let mut out = list_of(payload_length);
    path.as_slice().encode(&mut out);
    value.encode(&mut out);
    out
}

/// RLP of an extension over the nibbles `depth..end` of `key`.
pub(crate) fn extension_rlp(key: &B256, depth: usize, end: usize, child: &Reference) -> Vec<u8> {
    let path = hex_prefix(key, depth, end, false);
    let mut out = list_of(path.as_slice().length() + child.as_slice().len());
    path.as_slice().encode(&mut out);
    out.extend_from_slice(child.as_slice());
    out
}

/// RLP of a branch.
pub(crate) fn branch_rlp(children: &[Option<Reference>; 16]) -> Vec<u8> {
    let length =
        |child: &Option<Reference>| child.as_ref().map_or(1, |child| child.as_slice().len());
    let mut out = list_of(children.iter().map(length).sum::<usize>() + 1);
    for child in children {
        match child {
            Some(child) => out.extend_from_slice(child.as_slice()),
            None => out.push(EMPTY_STRING_CODE),
        }
    }
    out.push(EMPTY_STRING_CODE);
    out
}

fn list_of(payload_length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload_length + 3);
    RlpHeader { list: true, payload_length }.encode(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_prefix_as_in_the_yellow_paper() {
        let key = B256::with_last_byte(0) | with_nibble(with_nibble(B256::ZERO, 0, 1), 1, 2);
        let key = with_nibble(with_nibble(key, 2, 3), 3, 4);
        assert_eq!(hex_prefix(&key, 0, 4, false), [0x00, 0x12, 0x34]);
        assert_eq!(hex_prefix(&key, 1, 4, false), [0x12, 0x34]);
        assert_eq!(hex_prefix(&key, 0, 4, true), [0x20, 0x12, 0x34]);
        assert_eq!(hex_prefix(&key, 3, 4, true), [0x34]);
        assert_eq!(hex_prefix(&key, 4, 4, true), [0x20]);
    }

    #[test]
    fn nibbles_are_high_half_first() {
        let key = B256::with_last_byte(0xab);
        assert_eq!((nibble(&key, 62), nibble(&key, 63)), (0xa, 0xb));
        assert_eq!(first_difference(&key, &B256::ZERO, 0), 62);
        assert_eq!(first_difference(&key, &key, 0), KEY_NIBBLES);
        assert_eq!(with_nibble(key, 63, 1), B256::with_last_byte(0xa1));
    }
}
