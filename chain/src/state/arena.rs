//! [`Subtrie`]: a sixteenth of a trie in arenas of its own, so that two threads can work on two of them.
//!
//! A node without a cached reference is *dirty*; so are all nodes above it. Inserts and deletes mark what they touch.

use alloy_primitives::B256;

use crate::state::node::{
    Branch, Extension, Kind, Leaf, NONE, NodeId, Reference, Value, first_difference, nibble,
    with_nibble,
};

/// Depth at which the top node of a subtrie stands: its keys share the first nibble.
pub(crate) const TOP: usize = 1;

/// Nodes of one kind, and which places are free.
#[derive(Debug, Clone)]
struct Slab<T> {
    items: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    fn add(&mut self, item: T) -> usize {
        if let Some(at) = self.free.pop() {
            self.items[at as usize] = item;
            return at as usize;
        }
        // Doubling would leave up to half of a large arena empty.
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact((self.items.len() / 8).max(4));
        }
        self.items.push(item);
        self.items.len() - 1
    }

    fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }
}

/// The keys with one first nibble.
#[derive(Debug, Clone)]
pub(crate) struct Subtrie<V> {
    leaves: Slab<Leaf<V>>,
    extensions: Slab<Extension>,
    branches: Slab<Branch>,
    root: NodeId,
}

impl<V> Default for Subtrie<V> {
    fn default() -> Self {
        let (leaves, extensions, branches) = (Slab::default(), Slab::default(), Slab::default());
        Self { leaves, extensions, branches, root: NONE }
    }
}

impl<V: Value> Subtrie<V> {
    pub(crate) const fn root(&self) -> NodeId {
        self.root
    }

    pub(crate) fn leaf_count(&self) -> usize {
        self.leaves.len()
    }

    pub(crate) fn node_count(&self) -> usize {
        self.leaves.len() + self.extensions.len() + self.branches.len()
    }

    pub(crate) fn leaf(&self, at: usize) -> &Leaf<V> {
        &self.leaves.items[at]
    }

    pub(crate) fn extension(&self, at: usize) -> &Extension {
        &self.extensions.items[at]
    }

    pub(crate) fn branch(&self, at: usize) -> &Branch {
        &self.branches.items[at]
    }

    pub(crate) fn reference(&self, id: NodeId) -> Option<&Reference> {
        match Kind::of(id) {
            Kind::Leaf(at) => Some(&self.leaves.items[at].reference),
            Kind::Extension(at) => Some(&self.extensions.items[at].reference),
            Kind::Branch(at) => Some(&self.branches.items[at].reference),
            Kind::None => None,
        }
    }

    pub(crate) fn set_reference(&mut self, id: NodeId, reference: Reference) {
        match Kind::of(id) {
            Kind::Leaf(at) => self.leaves.items[at].reference = reference,
            Kind::Extension(at) => self.extensions.items[at].reference = reference,
            Kind::Branch(at) => self.branches.items[at].reference = reference,
            Kind::None => {}
        }
    }

    pub(crate) fn is_dirty(&self, id: NodeId) -> bool {
        self.reference(id).is_some_and(Reference::is_dirty)
    }

    /// The paths to `keys`, which are sorted, and of all else the reference alone: as good as the whole for whatever is
    /// done to these keys. What is left out is a branch without children, whose reference is known.
    pub(crate) fn paths(&self, keys: &[B256]) -> Self {
        let mut copy = Self::default();
        copy.root = self.copy_paths(self.root, keys, TOP, &mut copy);
        copy
    }

    fn copy_paths(&self, id: NodeId, keys: &[B256], depth: usize, into: &mut Self) -> NodeId {
        match Kind::of(id) {
            Kind::None => NONE,
            Kind::Leaf(at) => Kind::Leaf(into.leaves.add(self.leaf(at).clone())).id(),
            Kind::Extension(at) => {
                let mut extension = self.extension(at).clone();
                let end = usize::from(extension.end);
                let is_on_path = |key: &B256| first_difference(&extension.key, key, depth) >= end;
                let first = keys.iter().position(is_on_path).unwrap_or(keys.len());
                let (_, rest) = keys.split_at(first);
                let (on_path, _) = rest.split_at(rest.iter().take_while(|k| is_on_path(k)).count());
                extension.child = self.copy_paths(extension.child, on_path, end, into);
                Kind::Extension(into.extensions.add(extension)).id()
            }
            Kind::Branch(at) => {
                let Branch { mut children, reference } = self.branch(at).clone();
                if keys.is_empty() {
                    children = [NONE; 16];
                }
                let mut keys = keys;
                for (index, child) in children.iter_mut().enumerate() {
                    let count = keys.partition_point(|key| nibble(key, depth) <= index);
                    let (mine, others) = keys.split_at(count);
                    keys = others;
                    *child = self.copy_paths(*child, mine, depth + 1, into);
                }
                Kind::Branch(into.branches.add(Branch { children, reference })).id()
            }
        }
    }

    /// What stands below a branch that was left out is not known here, and must not be guessed.
    fn check_unfolded(branch: &Branch) {
        let is_unfolded = branch.children.iter().any(|child| *child != NONE);
        assert!(is_unfolded, "only keys are changed whose paths were asked for");
    }

    /// Sets the value of `key`; `None` deletes it.
    pub(crate) fn set(&mut self, key: &B256, value: Option<&V>) {
        self.root = match value {
            Some(value) => self.insert_at(self.root, key, value, TOP),
            None => self.remove_at(self.root, key, TOP),
        };
    }

    /// Puts sorted leaves, each key once, into an empty subtrie.
    pub(crate) fn fill(&mut self, sorted: Vec<(B256, V)>) {
        debug_assert_eq!(self.root, NONE, "only an empty subtrie is filled");
        let keys: Vec<B256> = sorted.iter().map(|(key, _)| *key).collect();
        self.leaves.items.reserve_exact(sorted.len());
        let reference = Reference::DIRTY;
        let leaves = sorted.into_iter().map(|(key, value)| Leaf { key, reference, value });
        self.leaves.items.extend(leaves);
        // A trie of n random keys has about n / ln 16 branches.
        self.branches.items.reserve_exact(keys.len() / 5 * 2);
        self.root = self.build(&keys, 0, TOP);
        self.branches.items.shrink_to_fit();
    }

    /// The node over `keys`, whose leaves start at `first`.
    fn build(&mut self, keys: &[B256], first: usize, depth: usize) -> NodeId {
        let (Some(low), Some(high)) = (keys.first(), keys.last()) else { return NONE };
        if keys.len() == 1 {
            return Kind::Leaf(first).id();
        }
        let split = first_difference(low, high, depth);
        let (mut children, mut from) = ([NONE; 16], 0);
        for (index, child) in children.iter_mut().enumerate() {
            let rest = &keys[from..];
            let count = rest.partition_point(|key| nibble(key, split) <= index);
            *child = self.build(&rest[..count], first + from, split + 1);
            from += count;
        }
        let branch = self.add_branch(children);
        if split == depth { branch } else { self.add_extension(*low, split, branch) }
    }

    fn insert_at(&mut self, id: NodeId, key: &B256, value: &V, depth: usize) -> NodeId {
        match Kind::of(id) {
            Kind::None => self.add_leaf(*key, value),
            Kind::Leaf(at) => {
                let leaf = &mut self.leaves.items[at];
                if leaf.key != *key {
                    let old = leaf.key;
                    let split = first_difference(&old, key, depth);
                    return self.split(depth, split, (&old, id), key, value);
                }
                if leaf.value != *value {
                    leaf.value.clone_from(value);
                    leaf.reference = Reference::DIRTY;
                }
                id
            }
            Kind::Extension(at) => {
                let Extension { key: path, end, child, .. } = self.extensions.items[at];
                let end = usize::from(end);
                let split = first_difference(&path, key, depth);
                if split < end {
                    let below = if split + 1 == end { self.free_extension(at, child) } else { id };
                    return self.split(depth, split, (&path, below), key, value);
                }
                let child = self.insert_at(child, key, value, end);
                self.set_only_child(at, child);
                id
            }
            Kind::Branch(at) => {
                let index = nibble(key, depth);
                let child = self.branches.items[at].children[index];
                if child == NONE {
                    Self::check_unfolded(&self.branches.items[at]);
                }
                let child = self.insert_at(child, key, value, depth + 1);
                self.set_child(at, index, child);
                id
            }
        }
    }

    /// Puts a branch at depth `split` over an old node and a new leaf, and an extension above it if nibbles are shared.
    fn split(
        &mut self,
        depth: usize,
        split: usize,
        (old_key, old): (&B256, NodeId),
        key: &B256,
        value: &V,
    ) -> NodeId {
        // a branch reads the same wherever it stands, and stays where it stood
        if !matches!(Kind::of(old), Kind::Branch(_)) {
            self.set_reference(old, Reference::DIRTY);
        }
        let mut children = [NONE; 16];
        children[nibble(old_key, split)] = old;
        children[nibble(key, split)] = self.add_leaf(*key, value);
        let branch = self.add_branch(children);
        if split == depth { branch } else { self.add_extension(*key, split, branch) }
    }

    fn remove_at(&mut self, id: NodeId, key: &B256, depth: usize) -> NodeId {
        match Kind::of(id) {
            Kind::None => NONE,
            Kind::Leaf(at) => {
                if self.leaves.items[at].key != *key {
                    return id;
                }
                self.leaves.free.push(id);
                NONE
            }
            Kind::Extension(at) => {
                let Extension { key: path, end, child, .. } = self.extensions.items[at];
                let end = usize::from(end);
                if first_difference(&path, key, depth) < end {
                    return id;
                }
                let child = self.remove_at(child, key, end);
                if let Kind::Branch(_) = Kind::of(child) {
                    self.set_only_child(at, child);
                    return id;
                }
                // The branch below collapsed: what is left of it also covers the nibbles of this extension.
                self.set_reference(child, Reference::DIRTY);
                self.free_extension(at, child)
            }
            Kind::Branch(at) => {
                let index = nibble(key, depth);
                let before = self.branches.items[at].children[index];
                if before == NONE {
                    Self::check_unfolded(&self.branches.items[at]);
                }
                let child = self.remove_at(before, key, depth + 1);
                if child != NONE || before == NONE {
                    if child != NONE {
                        self.set_child(at, index, child);
                    }
                    return id;
                }
                self.collapse(at, index, key, depth)
            }
        }
    }

    /// Takes a child from a branch; with one child left it is no branch any more.
    fn collapse(&mut self, at: usize, index: usize, key: &B256, depth: usize) -> NodeId {
        let branch = &mut self.branches.items[at];
        branch.children[index] = NONE;
        branch.reference = Reference::DIRTY;
        let mut left = branch.children.iter().enumerate().filter(|(_, child)| **child != NONE);
        let (Some((index, &only)), None) = (left.next(), left.next()) else {
            return Kind::Branch(at).id();
        };
        self.branches.free.push(u32::try_from(at).expect("an index of 30 bits"));
        if let Kind::Branch(_) = Kind::of(only) {
            return self.add_extension(with_nibble(*key, depth, index), depth + 1, only);
        }
        // A leaf or an extension moves up and covers one nibble more.
        self.set_reference(only, Reference::DIRTY);
        only
    }

    /// The parent stays clean if the child did.
    fn set_child(&mut self, at: usize, index: usize, child: NodeId) {
        let is_dirty = self.is_dirty(child);
        let branch = &mut self.branches.items[at];
        branch.children[index] = child;
        if is_dirty {
            branch.reference = Reference::DIRTY;
        }
    }

    fn set_only_child(&mut self, at: usize, child: NodeId) {
        let is_dirty = self.is_dirty(child);
        let extension = &mut self.extensions.items[at];
        extension.child = child;
        if is_dirty {
            extension.reference = Reference::DIRTY;
        }
    }

    fn add_leaf(&mut self, key: B256, value: &V) -> NodeId {
        let leaf = Leaf { key, reference: Reference::DIRTY, value: value.clone() };
        Kind::Leaf(self.leaves.add(leaf)).id()
    }

    fn add_branch(&mut self, children: [NodeId; 16]) -> NodeId {
        let branch = Branch { children, reference: Reference::DIRTY };
        Kind::Branch(self.branches.add(branch)).id()
    }

    fn add_extension(&mut self, key: B256, end: usize, child: NodeId) -> NodeId {
        let end = u8::try_from(end).expect("a depth is at most 64");
        let extension = Extension { key, reference: Reference::DIRTY, end, child };
        Kind::Extension(self.extensions.add(extension)).id()
    }

    fn free_extension(&mut self, at: usize, instead: NodeId) -> NodeId {
        self.extensions.free.push(u32::try_from(at).expect("an index of 30 bits"));
        instead
    }
}
