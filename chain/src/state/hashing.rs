//! Hashes the dirty nodes of a subtrie level by level, deepest first, eight at a time.
//!
//! Leaves wait for nothing, so all of them go first; a branch waits for its children only. Nodes that need the same
//! number of permutations share a batch, so that no lane idles.

use alloy_primitives::{B256, keccak256};

use crate::state::{
    arena::{Subtrie, TOP},
    keccak_x8::{BLOCK_BYTES, Lanes},
    node::{KEY_NIBBLES, Kind, NodeId, Reference, Value, branch_rlp, extension_rlp, leaf_rlp},
};

/// Below so many messages in a batch, one after the other is faster.
const WORTH_A_BATCH: usize = 3;

/// Numbers of permutations that are kept apart; a full branch needs four.
const SIZES: usize = 5;

/// Messages that wait until there are eight of them.
#[derive(Debug, Default)]
struct Batch {
    messages: [Vec<u8>; 8],
    nodes: [NodeId; 8],
    count: usize,
}

/// Buffers of one thread, used again for each subtrie.
#[derive(Debug)]
pub(crate) struct Hasher {
    lanes: Lanes,
    batches: [Batch; SIZES],
    levels: Vec<Vec<NodeId>>,
    leaves: Vec<(NodeId, usize)>,
    walk: Vec<(NodeId, usize)>,
    rlp: Vec<u8>,
    value: Vec<u8>,
}

impl Hasher {
    pub(crate) fn new(lanes: Lanes) -> Self {
        Self {
            lanes,
            batches: Default::default(),
            levels: vec![Vec::new(); KEY_NIBBLES + 1],
            leaves: Vec::new(),
            walk: Vec::new(),
            rlp: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Computes the references of all dirty nodes that stand at depth `from` or deeper, and of all leaves.
    pub(crate) fn hash<V: Value>(&mut self, subtrie: &mut Subtrie<V>, from: usize) {
        self.collect(subtrie);
        let leaves = std::mem::take(&mut self.leaves);
        for &(id, depth) in &leaves {
            if let Kind::Leaf(at) = Kind::of(id) {
                leaf_rlp(subtrie.leaf(at), depth, &mut self.value, &mut self.rlp);
                self.take(subtrie, id);
            }
        }
        self.leaves = leaves;
        self.flush(subtrie);
        for depth in (0..self.levels.len()).rev() {
            let mut level = std::mem::take(&mut self.levels[depth]);
            if depth >= from {
                for &id in &level {
                    self.encode_inner(subtrie, id, depth);
                    self.take(subtrie, id);
                }
                self.flush(subtrie);
            }
            level.clear();
            self.levels[depth] = level;
        }
    }

    /// Sorts the dirty nodes by depth.
    fn collect<V: Value>(&mut self, subtrie: &Subtrie<V>) {
        self.leaves.clear();
        self.walk.push((subtrie.root(), TOP));
        while let Some((id, depth)) = self.walk.pop() {
            if !subtrie.is_dirty(id) {
                continue;
            }
            match Kind::of(id) {
                Kind::Leaf(_) => self.leaves.push((id, depth)),
                Kind::Extension(at) => {
                    let extension = subtrie.extension(at);
                    self.levels[depth].push(id);
                    self.walk.push((extension.child, usize::from(extension.end)));
                }
                Kind::Branch(at) => {
                    self.levels[depth].push(id);
                    let children = subtrie.branch(at).children.iter();
                    self.walk.extend(children.map(|&child| (child, depth + 1)));
                }
                Kind::None => {}
            }
        }
    }

    fn encode_inner<V: Value>(&mut self, subtrie: &Subtrie<V>, id: NodeId, depth: usize) {
        match Kind::of(id) {
            Kind::Extension(at) => {
                let extension = subtrie.extension(at);
                let Some(child) = subtrie.reference(extension.child) else { return };
                let end = usize::from(extension.end);
                extension_rlp(&extension.key, depth, end, child, &mut self.rlp);
            }
            Kind::Branch(at) => {
                let children = subtrie.branch(at).children.iter();
                branch_rlp(children.map(|&child| subtrie.reference(child)), &mut self.rlp);
            }
            Kind::Leaf(_) | Kind::None => {}
        }
    }

    /// Takes the node whose RLP was just written: short ones are done, others wait for seven more.
    fn take<V: Value>(&mut self, subtrie: &mut Subtrie<V>, id: NodeId) {
        if self.rlp.len() < 32 {
            subtrie.set_reference(id, Reference::inline(&self.rlp));
            self.rlp.clear();
            return;
        }
        let batch = &mut self.batches[(self.rlp.len() / BLOCK_BYTES).min(SIZES - 1)];
        std::mem::swap(&mut self.rlp, &mut batch.messages[batch.count]);
        self.rlp.clear();
        batch.nodes[batch.count] = id;
        batch.count += 1;
        if batch.count == 8 {
            batch.hash(self.lanes, subtrie);
        }
    }

    fn flush<V: Value>(&mut self, subtrie: &mut Subtrie<V>) {
        for batch in &mut self.batches {
            batch.hash(self.lanes, subtrie);
        }
    }
}

impl Batch {
    fn hash<V: Value>(&mut self, lanes: Lanes, subtrie: &mut Subtrie<V>) {
        let count = std::mem::take(&mut self.count);
        let (messages, nodes) = (&self.messages[..count], &self.nodes[..count]);
        if count < WORTH_A_BATCH {
            for (message, &id) in messages.iter().zip(nodes) {
                subtrie.set_reference(id, Reference::to_hash(keccak256(message)));
            }
            return;
        }
        let digests = lanes.keccak256_x8(&std::array::from_fn(|lane| {
            messages.get(lane).map_or(&[][..], Vec::as_slice)
        }));
        for (&id, digest) in nodes.iter().zip(digests) {
            subtrie.set_reference(id, Reference::to_hash(digest));
        }
    }
}

/// keccak256 of many short messages of one length.
pub(crate) fn hash_keys<const N: usize>(lanes: Lanes, keys: &[[u8; N]]) -> Vec<B256> {
    let mut hashes = Vec::with_capacity(keys.len());
    let (eights, rest) = keys.as_chunks::<8>();
    for eight in eights {
        hashes.extend(lanes.keccak256_x8(&eight.each_ref().map(<[u8; N]>::as_slice)));
    }
    hashes.extend(rest.iter().map(keccak256));
    hashes
}
