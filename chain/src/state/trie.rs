//! A Merkle-Patricia trie over 32-byte keys: sixteen [`Subtrie`]s and what joins them.
//!
//! A root hashes only what changed since the last one. Many changes are sorted and shared out to threads by subtrie, of
//! one trie or of several; each thread applies them and hashes what they touched.

use std::{
    num::NonZero,
    sync::{Mutex, OnceLock, PoisonError},
    thread,
};

use alloy_primitives::{B256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;

use crate::state::{
    arena::{Subtrie, TOP},
    hashing::Hasher,
    keccak_x8::Lanes,
    node::{
        Kind, NONE, Reference, Value, branch_rlp, extension_rlp, first_difference, leaf_rlp,
        nibble, with_nibble,
    },
};

/// Below so many changes a second thread costs more than it saves.
const WORTH_THREADS: usize = 512;

/// Threads at most: there are sixteen subtries, and other work waits for cores too.
const MAX_THREADS: usize = 8;

/// A key and its new value; `None` deletes it.
pub(crate) type Entry<V> = (B256, Option<V>);

/// With what tries are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// How eight nodes are hashed.
    pub lanes: Lanes,
    /// Threads that share the subtries.
    pub threads: usize,
}

impl Effort {
    /// Everything that this machine has, looked for once.
    pub fn best() -> Self {
        static THREADS: OnceLock<usize> = OnceLock::new();
        let count = || thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
        Self { lanes: Lanes::best(), threads: *THREADS.get_or_init(count) }
    }

    /// What every machine has.
    pub const fn least() -> Self {
        Self { lanes: Lanes::Scalar, threads: 1 }
    }
}

impl Default for Effort {
    fn default() -> Self {
        Self::best()
    }
}

/// A trie over 32-byte keys.
#[derive(Debug, Clone)]
pub struct Trie<V> {
    subtries: Box<[Subtrie<V>; 16]>,
}

impl<V: Value> Default for Trie<V> {
    fn default() -> Self {
        Self { subtries: Box::default() }
    }
}

/// A subtrie and what is to be done with it.
#[derive(Debug)]
pub(crate) struct Job<'a, V> {
    subtrie: &'a mut Subtrie<V>,
    changes: &'a [Entry<V>],
}

impl<V: Value> Trie<V> {
    /// A trie with these leaves, each key once, in any order; hashed.
    pub fn build(leaves: impl IntoIterator<Item = (B256, V)>, effort: Effort) -> Self {
        let mut by_nibble: [Vec<(B256, V)>; 16] = Default::default();
        for leaf in leaves {
            by_nibble[nibble(&leaf.0, 0)].push(leaf);
        }
        let mut this = Self::default();
        let count = by_nibble.iter().map(Vec::len).sum();
        let jobs = this.subtries.iter_mut().zip(by_nibble);
        share_out(jobs, count, effort, |hasher, (subtrie, mut leaves)| {
            leaves.sort_unstable_by_key(|(key, _)| *key);
            subtrie.fill(leaves);
            hasher.hash(subtrie, TOP);
        });
        this
    }

    /// True if no key has a value.
    pub fn is_empty(&self) -> bool {
        self.subtries.iter().all(|subtrie| subtrie.root() == NONE)
    }

    /// Leaves in memory.
    pub fn leaf_count(&self) -> usize {
        self.subtries.iter().map(Subtrie::leaf_count).sum()
    }

    /// Nodes in memory.
    pub fn node_count(&self) -> usize {
        self.subtries.iter().map(Subtrie::node_count).sum()
    }

    /// Sets the value of `key`; `None` deletes it.
    pub fn set(&mut self, key: B256, value: Option<&V>) {
        self.subtries[nibble(&key, 0)].set(&key, value);
    }

    /// The root hash: keccak256 of the top node's RLP, also if that is short.
    pub fn root(&mut self, effort: Effort) -> B256 {
        run(self.jobs(&[]), effort, TOP);
        self.hashed_root()
    }

    /// The jobs that apply `changes`, sorted by key, and hash.
    pub(crate) fn jobs<'a>(&'a mut self, mut changes: &'a [Entry<V>]) -> Vec<Job<'a, V>> {
        let subtries = self.subtries.iter_mut().enumerate();
        let jobs = subtries.filter_map(|(index, subtrie)| {
            let count = changes.partition_point(|(key, _)| nibble(key, 0) <= index);
            let (mine, others) = changes.split_at(count);
            changes = others;
            let is_idle = mine.is_empty() && !subtrie.is_dirty(subtrie.root());
            (!is_idle).then_some(Job { subtrie, changes: mine })
        });
        jobs.collect()
    }

    /// The root hash, if all subtries were hashed.
    pub(crate) fn hashed_root(&self) -> B256 {
        if self.is_empty() { EMPTY_ROOT_HASH } else { keccak256(self.top_rlp()) }
    }

    /// RLP of the nodes on the way to `key`, top first, without those that stand inside their parent: a proof of its value
    /// or of its absence (EIP-1186).
    pub fn proof(&mut self, key: &B256, effort: Effort) -> Vec<Vec<u8>> {
        if self.is_empty() {
            return Vec::new();
        }
        run(self.jobs(&[]), effort, TOP);
        let mut nodes = vec![self.top_rlp()];
        let subtrie = &self.subtries[nibble(key, 0)];
        let (mut at, mut depth) = (subtrie.root(), TOP);
        // A leaf or an extension that is the only subtrie's top has moved up into the top node.
        if self.only().is_some() && !matches!(Kind::of(at), Kind::Branch(_)) {
            (at, depth) = below(subtrie, at, key, 0);
        }
        while at != NONE {
            let mut rlp = Vec::new();
            node_rlp(subtrie, at, depth, &mut rlp);
            if rlp.len() >= 32 {
                nodes.push(rlp);
            }
            (at, depth) = below(subtrie, at, key, depth);
        }
        nodes
    }

    /// The keys with one first nibble.
    pub(crate) fn subtrie(&self, index: usize) -> &Subtrie<V> {
        &self.subtries[index]
    }

    /// Replaces the keys with one first nibble.
    pub(crate) fn put(&mut self, index: usize, subtrie: Subtrie<V>) {
        self.subtries[index] = subtrie;
    }

    /// The one subtrie that is not empty, if it is one.
    fn only(&self) -> Option<(usize, &Subtrie<V>)> {
        let mut some =
            self.subtries.iter().enumerate().filter(|(_, subtrie)| subtrie.root() != NONE);
        some.next().filter(|_| some.next().is_none())
    }

    fn top_rlp(&self) -> Vec<u8> {
        let mut rlp = Vec::new();
        let Some((index, subtrie)) = self.only() else {
            let tops = self.subtries.iter().map(|subtrie| subtrie.reference(subtrie.root()));
            branch_rlp(tops, &mut rlp);
            return rlp;
        };
        match (Kind::of(subtrie.root()), subtrie.reference(subtrie.root())) {
            (Kind::Branch(_), Some(branch)) => {
                let key = with_nibble(B256::ZERO, 0, index);
                extension_rlp(&key, 0, TOP, branch, &mut rlp);
            }
            _ => node_rlp(subtrie, subtrie.root(), 0, &mut rlp),
        }
        rlp
    }
}

/// Applies changes in any order, the later of two to one key winning, and hashes.
pub(crate) fn apply<V: Value>(subtrie: &mut Subtrie<V>, changes: &[Entry<V>]) {
    for (key, value) in changes {
        subtrie.set(key, value.as_ref());
    }
    Hasher::new(Lanes::best()).hash(subtrie, TOP);
}

/// RLP of a node as it stands at `depth`; its children are hashed.
fn node_rlp<V: Value>(subtrie: &Subtrie<V>, id: u32, depth: usize, out: &mut Vec<u8>) {
    match Kind::of(id) {
        Kind::Leaf(at) => leaf_rlp(subtrie.leaf(at), depth, &mut Vec::new(), out),
        Kind::Extension(at) => {
            let extension = subtrie.extension(at);
            let child = subtrie.reference(extension.child).unwrap_or(&Reference::DIRTY);
            extension_rlp(&extension.key, depth, usize::from(extension.end), child, out);
        }
        Kind::Branch(at) => {
            let children = subtrie.branch(at).children.iter();
            branch_rlp(children.map(|&child| subtrie.reference(child)), out);
        }
        Kind::None => {}
    }
}

/// The next node on the way to `key`, and where it stands.
fn below<V: Value>(subtrie: &Subtrie<V>, id: u32, key: &B256, depth: usize) -> (u32, usize) {
    match Kind::of(id) {
        Kind::Extension(at) => {
            let extension = subtrie.extension(at);
            let end = usize::from(extension.end);
            let is_on_path = first_difference(&extension.key, key, depth) >= end;
            (if is_on_path { extension.child } else { NONE }, end)
        }
        Kind::Branch(at) => (subtrie.branch(at).children[nibble(key, depth)], depth + 1),
        Kind::Leaf(_) | Kind::None => (NONE, depth),
    }
}

/// Applies the changes of each job and hashes what they touched, from the leaves up to depth `from`.
pub(crate) fn run<V: Value>(jobs: Vec<Job<'_, V>>, effort: Effort, from: usize) {
    let count = jobs.iter().map(|job| job.changes.len()).sum();
    share_out(jobs.into_iter(), count, effort, |hasher, Job { subtrie, changes }| {
        for (key, value) in changes {
            subtrie.set(key, value.as_ref());
        }
        hasher.hash(subtrie, from);
    });
}

/// Does the jobs, on several threads if there is enough to do.
fn share_out<J: Send>(
    jobs: impl Iterator<Item = J> + Send,
    count: usize,
    effort: Effort,
    work: impl Fn(&mut Hasher, J) + Sync,
) {
    if effort.threads < 2 || count < WORTH_THREADS {
        let mut hasher = Hasher::new(effort.lanes);
        jobs.for_each(|job| work(&mut hasher, job));
        return;
    }
    let jobs = Mutex::new(jobs);
    let take = || jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work_on = || {
        let mut hasher = Hasher::new(effort.lanes);
        while let Some(job) = take() {
            work(&mut hasher, job);
        }
    };
    thread::scope(|scope| {
        for _ in 1..effort.threads {
            scope.spawn(work_on);
        }
        work_on();
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use alloy_primitives::Bytes;
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

    fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
        prop_oneof![
            2 => Just(None),
            2 => prop::collection::vec(any::<u8>(), 1..4).prop_map(Some),
            1 => prop::collection::vec(any::<u8>(), 30..70).prop_map(Some),
        ]
    }

    proptest! {
        #[test]
        fn any_order_of_sets_and_deletes_gives_alloys_root(
            rounds in prop::collection::vec(prop::collection::vec((key(), value()), 1..20), 1..8),
        ) {
            let (mut trie, mut leaves) = (Trie::default(), BTreeMap::new());
            for (round, sets) in rounds.into_iter().enumerate() {
                for (key, value) in sets {
                    trie.set(key, value.as_ref());
                    match value {
                        Some(value) => drop(leaves.insert(key, value)),
                        None => drop(leaves.remove(&key)),
                    }
                }
                let lanes = Lanes::available();
                let effort = Effort { lanes: lanes[round % lanes.len()], threads: 1 };
                prop_assert_eq!(trie.root(effort), oracle(&leaves));
                let built = Trie::build(leaves.clone(), effort);
                prop_assert_eq!(built.hashed_root(), oracle(&leaves));
                prop_assert_eq!(built.node_count(), trie.node_count());
            }
            for key in leaves.keys() {
                trie.set(*key, None);
            }
            prop_assert_eq!(trie.root(Effort::best()), EMPTY_ROOT_HASH);
            prop_assert_eq!(trie.node_count(), 0);
        }

        /// Applied in parts, hashed halfway up in between, and taken back.
        #[test]
        fn parts_and_undo_are_identity(
            before in prop::collection::btree_map(key(), prop::collection::vec(any::<u8>(), 1..40), 0..30),
            changes in prop::collection::btree_map(key(), value(), 1..30),
            from in 0usize..6,
        ) {
            let mut trie = Trie::build(before.clone(), Effort::least());
            let changes: Vec<Entry<Vec<u8>>> = changes.into_iter().collect();
            let (first, second) = changes.split_at(changes.len() / 2);
            run(trie.jobs(first), Effort::best(), from);
            run(trie.jobs(second), Effort::best(), TOP);
            let mut after = before.clone();
            for (key, value) in &changes {
                match value {
                    Some(value) => drop(after.insert(*key, value.clone())),
                    None => drop(after.remove(key)),
                }
            }
            prop_assert_eq!(trie.hashed_root(), oracle(&after));
            let back = changes.iter().map(|(key, _)| (*key, before.get(key).cloned()));
            run(trie.jobs(&back.collect::<Vec<_>>()), Effort::best(), TOP);
            prop_assert_eq!(trie.hashed_root(), oracle(&before));
        }

        #[test]
        fn alloy_accepts_our_proofs(
            leaves in prop::collection::btree_map(key(), prop::collection::vec(any::<u8>(), 1..70), 0..30),
            absent in key(),
        ) {
            let mut trie = Trie::default();
            for (key, value) in &leaves {
                trie.set(*key, Some(value));
            }
            let root = trie.root(Effort::best());
            for key in leaves.keys().copied().chain([absent]) {
                let proof = trie.proof(&key, Effort::best()).into_iter().map(Into::into).collect::<Vec<_>>();
                let expected = leaves.get(&key).cloned();
                let verdict = verify_proof(root, Nibbles::unpack(key), expected, &proof);
                prop_assert!(verdict.is_ok(), "{:?}", verdict);
                let wrong = verify_proof(root, Nibbles::unpack(key), Some(vec![0; 71]), &proof);
                prop_assert!(wrong.is_err());
                // The other subtries' tops are all that the root and this proof need.
                let mut tops = trie.clone();
                for index in (0..16).filter(|&index| index != nibble(&key, 0)) {
                    tops.put(index, trie.subtrie(index).paths(&[]));
                }
                prop_assert_eq!(tops.hashed_root(), root);
                let nodes = tops.proof(&key, Effort::best()).into_iter().map(Bytes::from);
                prop_assert_eq!(nodes.collect::<Vec<_>>(), proof);
            }
        }
    }

    proptest! {
        /// The paths to some keys are as good as the whole trie for whatever happens to these keys.
        #[test]
        fn paths_are_as_good_as_the_whole(
            leaves in prop::collection::btree_map(key(), prop::collection::vec(any::<u8>(), 1..70), 0..30),
            rounds in prop::collection::vec(prop::collection::vec((key(), value()), 1..8), 1..4),
        ) {
            let mut whole = Trie::default();
            for (key, value) in &leaves {
                whole.set(*key, Some(value));
            }
            whole.root(Effort::best());
            let mut keys: Vec<B256> = rounds.iter().flatten().map(|(key, _)| *key).collect();
            keys.sort_unstable();
            let mut part = Trie::default();
            for index in 0..16 {
                let here: Vec<B256> =
                    keys.iter().filter(|key| nibble(key, 0) == index).copied().collect();
                part.put(index, whole.subtrie(index).paths(&here));
            }
            prop_assert_eq!(part.hashed_root(), whole.hashed_root());
            for sets in &rounds {
                for (key, value) in sets {
                    whole.set(*key, value.as_ref());
                    part.set(*key, value.as_ref());
                }
                prop_assert_eq!(part.root(Effort::best()), whole.root(Effort::best()));
            }
        }
    }

    #[test]
    #[should_panic(expected = "paths were asked for")]
    fn what_was_left_out_is_not_guessed() {
        let key = |byte: u8| B256::with_last_byte(byte);
        let mut whole = Trie::default();
        [1, 2].into_iter().for_each(|byte| whole.set(key(byte), Some(&vec![byte])));
        whole.root(Effort::best());
        let mut part = Trie::default();
        part.put(0, whole.subtrie(0).paths(&[]));
        part.set(key(3), Some(&vec![3]));
    }

    /// Enough keys for several threads.
    #[test]
    fn many_keys_in_and_half_of_them_out() {
        let value = |number: u64| number.to_string().into_bytes();
        let keys: Vec<B256> = (0u64..5_000).map(|number| keccak256(number.to_be_bytes())).collect();
        let numbered = || keys.iter().copied().zip(0u64..);
        let mut leaves: BTreeMap<B256, Vec<u8>> =
            numbered().map(|(key, number)| (key, value(number))).collect();
        let effort = Effort { lanes: Lanes::best(), threads: 3 };
        let mut trie = Trie::default();
        let all: Vec<_> = leaves.iter().map(|(key, value)| (*key, Some(value.clone()))).collect();
        run(trie.jobs(&all), effort, TOP);
        assert_eq!(trie.hashed_root(), oracle(&leaves));
        assert_eq!(Trie::build(leaves.clone(), effort).hashed_root(), oracle(&leaves));
        let mut out: Vec<_> =
            numbered().step_by(2).map(|(key, _)| (key, None::<Vec<u8>>)).collect();
        out.sort_unstable();
        for (key, _) in &out {
            leaves.remove(key);
        }
        run(trie.jobs(&out), effort, TOP);
        assert_eq!(trie.hashed_root(), oracle(&leaves));
        assert_eq!(trie.leaf_count(), 2_500);
    }
}
