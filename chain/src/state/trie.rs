//! A Merkle-Patricia trie in one arena: inserts and deletes mark what they touch, a root hashes only that.
//!
//! A node without a cached reference is *dirty*; so are all nodes above it. Values are opaque bytes, never empty.

use alloy_primitives::{B256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;

use crate::state::node::{
    NONE, Node, NodeId, Reference, branch_rlp, extension_rlp, first_difference, leaf_rlp, nibble,
    with_nibble,
};

#[derive(Debug, Clone)]
struct Slot {
    node: Node,
    reference: Option<Reference>,
}

/// A trie over 32-byte keys.
#[derive(Debug, Clone)]
pub struct Trie {
    arena: Vec<Slot>,
    free: Vec<NodeId>,
    root: NodeId,
}

impl Default for Trie {
    fn default() -> Self {
        Self { arena: Vec::new(), free: Vec::new(), root: NONE }
    }
}

impl Trie {
    /// True if no key has a value.
    pub const fn is_empty(&self) -> bool {
        self.root == NONE
    }

    /// Sets the value of `key`; an empty value deletes it.
    pub fn set(&mut self, key: B256, value: Vec<u8>) {
        self.root = if value.is_empty() {
            self.remove_at(self.root, &key, 0)
        } else {
            self.insert_at(self.root, key, value, 0)
        };
    }

    /// The root hash: keccak256 of the top node's RLP, also if that is short.
    pub fn root(&mut self) -> B256 {
        if self.root == NONE {
            return EMPTY_ROOT_HASH;
        }
        let reference = self.reference(self.root, 0);
        if reference.is_inline() {
            return keccak256(reference.as_slice());
        }
        B256::from_slice(&reference.as_slice()[1..])
    }

    /// RLP of the nodes on the way to `key`, top first, without those that stand inside their parent: a proof of its value
    /// or of its absence (EIP-1186).
    pub fn proof(&mut self, key: &B256) -> Vec<Vec<u8>> {
        let mut nodes = Vec::new();
        let (mut at, mut depth) = (self.root, 0);
        while at != NONE {
            let rlp = self.node_rlp(at, depth);
            if depth == 0 || rlp.len() >= 32 {
                nodes.push(rlp);
            }
            (at, depth) = match &self.arena[at as usize].node {
                Node::Leaf { .. } => break,
                Node::Extension { key: path, end, child } => {
                    if first_difference(path, key, depth) < *end {
                        break;
                    }
                    (*child, *end)
                }
                Node::Branch { children } => (children[nibble(key, depth)], depth + 1),
            };
        }
        nodes
    }

    fn insert_at(&mut self, at: NodeId, key: B256, value: Vec<u8>, depth: usize) -> NodeId {
        if at == NONE {
            return self.add(Node::Leaf { key, value });
        }
        match self.arena[at as usize].node {
            Node::Leaf { key: old_key, value: ref old_value } => {
                if old_key != key {
                    let split = first_difference(&old_key, &key, depth);
                    return self.split(depth, split, (&old_key, at), (key, value));
                }
                if *old_value != value {
                    self.replace(at, Node::Leaf { key, value });
                }
                at
            }
            Node::Extension { key: path, end, child } => {
                let split = first_difference(&path, &key, depth);
                if split < end {
                    let below = if split + 1 == end { self.release(at, child) } else { at };
                    return self.split(depth, split, (&path, below), (key, value));
                }
                let child = self.insert_at(child, key, value, end);
                self.set_child(at, Node::Extension { key: path, end, child }, child)
            }
            Node::Branch { mut children } => {
                let index = nibble(&key, depth);
                children[index] = self.insert_at(children[index], key, value, depth + 1);
                let child = children[index];
                self.set_child(at, Node::Branch { children }, child)
            }
        }
    }

    /// Puts a branch at depth `split` over an old node and a new leaf, and an extension above it if nibbles are shared.
    fn split(
        &mut self,
        depth: usize,
        split: usize,
        (old_key, old): (&B256, NodeId),
        (key, value): (B256, Vec<u8>),
    ) -> NodeId {
        self.arena[old as usize].reference = None;
        let leaf = self.add(Node::Leaf { key, value });
        let mut children = [NONE; 16];
        children[nibble(old_key, split)] = old;
        children[nibble(&key, split)] = leaf;
        let branch = self.add(Node::Branch { children });
        if split == depth {
            return branch;
        }
        self.add(Node::Extension { key, end: split, child: branch })
    }

    fn remove_at(&mut self, at: NodeId, key: &B256, depth: usize) -> NodeId {
        if at == NONE {
            return NONE;
        }
        match self.arena[at as usize].node {
            Node::Leaf { key: found, .. } => {
                if found == *key {
                    return self.release(at, NONE);
                }
                at
            }
            Node::Extension { key: path, end, child } => {
                if first_difference(&path, key, depth) < end {
                    return at;
                }
                let child = self.remove_at(child, key, end);
                match self.arena[child as usize].node {
                    Node::Branch { .. } => {
                        self.set_child(at, Node::Extension { key: path, end, child }, child)
                    }
                    // The branch below collapsed: what is left of it also covers the nibbles of this extension.
                    Node::Leaf { .. } | Node::Extension { .. } => self.lift(child, at),
                }
            }
            Node::Branch { mut children } => {
                let index = nibble(key, depth);
                let before = children[index];
                children[index] = self.remove_at(before, key, depth + 1);
                let child = children[index];
                if child != NONE {
                    return self.set_child(at, Node::Branch { children }, child);
                }
                if before == NONE {
                    return at;
                }
                self.collapse(at, children, key, depth)
            }
        }
    }

    /// Writes back a branch that lost a child; with one child left it is no branch any more.
    fn collapse(&mut self, at: NodeId, children: [NodeId; 16], key: &B256, depth: usize) -> NodeId {
        let mut left = children.iter().enumerate().filter(|(_, child)| **child != NONE);
        let (Some((index, &only)), None) = (left.next(), left.next()) else {
            self.replace(at, Node::Branch { children });
            return at;
        };
        if let Node::Branch { .. } = self.arena[only as usize].node {
            let key = with_nibble(*key, depth, index);
            self.replace(at, Node::Extension { key, end: depth + 1, child: only });
            return at;
        }
        self.lift(only, at)
    }

    /// Moves a leaf or an extension up into the place of its parent, which goes.
    fn lift(&mut self, child: NodeId, parent: NodeId) -> NodeId {
        self.arena[child as usize].reference = None;
        self.release(parent, child)
    }

    /// Writes back a node whose child may have changed; it stays clean if the child did.
    fn set_child(&mut self, at: NodeId, node: Node, child: NodeId) -> NodeId {
        if self.arena[child as usize].reference.is_none() {
            self.replace(at, node);
        }
        at
    }

    fn replace(&mut self, at: NodeId, node: Node) {
        self.arena[at as usize] = Slot { node, reference: None };
    }

    fn add(&mut self, node: Node) -> NodeId {
        if let Some(at) = self.free.pop() {
            self.replace(at, node);
            return at;
        }
        self.arena.push(Slot { node, reference: None });
        NodeId::try_from(self.arena.len() - 1).expect("an arena holds fewer than 2^32 nodes")
    }

    fn release(&mut self, at: NodeId, instead: NodeId) -> NodeId {
        self.free.push(at);
        instead
    }

    fn reference(&mut self, at: NodeId, depth: usize) -> Reference {
        if let Some(reference) = self.arena[at as usize].reference {
            return reference;
        }
        let reference = Reference::to(&self.node_rlp(at, depth));
        self.arena[at as usize].reference = Some(reference);
        reference
    }

    fn node_rlp(&mut self, at: NodeId, depth: usize) -> Vec<u8> {
        match &self.arena[at as usize].node {
            Node::Leaf { key, value } => leaf_rlp(key, depth, value),
            &Node::Extension { key, end, child } => {
                let child = self.reference(child, end);
                extension_rlp(&key, depth, end, &child)
            }
            &Node::Branch { children } => {
                let mut references = [None; 16];
                for (slot, &child) in references.iter_mut().zip(&children) {
                    if child != NONE {
                        *slot = Some(self.reference(child, depth + 1));
                    }
                }
                branch_rlp(&references)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use alloy_trie::{HashBuilder, Nibbles, proof::verify_proof};
    use proptest::prelude::*;

    use super::*;

    fn oracle(leaves: &BTreeMap<B256, Vec<u8>>) -> B256 {
        let mut builder = HashBuilder::default();
        for (key, value) in leaves {
            builder.add_leaf(Nibbles::unpack(key), value);
        }
        builder.root()
    }

    /// Keys that share long prefixes, so that extensions and inline nodes occur.
    fn key() -> impl Strategy<Value = B256> {
        let tail = prop_oneof![Just(0u8), Just(1), Just(16), any::<u8>()];
        (0u8..3, prop_oneof![Just(0usize), Just(15), Just(30), Just(31)], tail).prop_map(
            |(head, at, tail)| {
                let mut key = B256::ZERO;
                key[0] = head;
                key[at] ^= tail;
                key
            },
        )
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            2 => Just(Vec::new()),
            2 => prop::collection::vec(any::<u8>(), 1..4),
            1 => prop::collection::vec(any::<u8>(), 30..70),
        ]
    }

    proptest! {
        #[test]
        fn any_order_of_sets_and_deletes_gives_alloys_root(
            rounds in prop::collection::vec(prop::collection::vec((key(), value()), 1..20), 1..8),
        ) {
            let (mut trie, mut leaves) = (Trie::default(), BTreeMap::new());
            for round in rounds {
                for (key, value) in round {
                    trie.set(key, value.clone());
                    if value.is_empty() { leaves.remove(&key) } else { leaves.insert(key, value) };
                }
                prop_assert_eq!(trie.root(), oracle(&leaves));
            }
            let live = trie.arena.len() - trie.free.len();
            for key in leaves.keys().copied().collect::<Vec<_>>() {
                trie.set(key, Vec::new());
            }
            prop_assert_eq!(trie.root(), EMPTY_ROOT_HASH);
            prop_assert_eq!(trie.arena.len(), trie.free.len(), "{} nodes were live", live);
        }

        #[test]
        fn alloy_accepts_our_proofs(
            leaves in prop::collection::btree_map(key(), prop::collection::vec(any::<u8>(), 1..70), 0..30),
            absent in key(),
        ) {
            let mut trie = Trie::default();
            for (key, value) in &leaves {
                trie.set(*key, value.clone());
            }
            let root = trie.root();
            for key in leaves.keys().copied().chain([absent]) {
                let proof = trie.proof(&key).into_iter().map(Into::into).collect::<Vec<_>>();
                let expected = leaves.get(&key).cloned();
                let verdict = verify_proof(root, Nibbles::unpack(key), expected, &proof);
                prop_assert!(verdict.is_ok(), "{:?}", verdict);
                let wrong = verify_proof(root, Nibbles::unpack(key), Some(vec![0; 71]), &proof);
                prop_assert!(wrong.is_err());
            }
        }
    }

    #[test]
    fn many_keys_in_and_half_of_them_out() {
        let (mut trie, mut leaves) = (Trie::default(), BTreeMap::new());
        for number in 0u64..5_000 {
            let key = keccak256(number.to_be_bytes());
            trie.set(key, number.to_string().into_bytes());
            leaves.insert(key, number.to_string().into_bytes());
        }
        assert_eq!(trie.root(), oracle(&leaves));
        for number in (0u64..5_000).step_by(2) {
            let key = keccak256(number.to_be_bytes());
            trie.set(key, Vec::new());
            leaves.remove(&key);
        }
        assert_eq!(trie.root(), oracle(&leaves));
    }
}
