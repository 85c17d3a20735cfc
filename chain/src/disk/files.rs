//! What [`super::SimDisk`] holds: names and bytes, each as the program sees them and as a power cut would leave them.
//!
//! Every change is an [`Op`]. Names change in `names` at once and in `durable_names` when their folder is synced; bytes
//! change in `current` at once and in `durable` when the file is synced. A cut starts from what is durable and lets each
//! change since then happen or not.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::parent;

/// A disk writes whole sectors of this size, or not at all.
const SECTOR_BYTES: usize = 512;

/// Index of a file's bytes, whatever its name.
pub(super) type Inode = usize;

/// One change of a disk.
#[derive(Debug, Clone)]
pub(super) enum Op {
    MakeFolder(PathBuf),
    /// A new empty file.
    MakeFile(PathBuf),
    Write {
        inode: Inode,
        offset: usize,
        bytes: Arc<[u8]>,
    },
    SetLen {
        inode: Inode,
        length: usize,
    },
    Sync(Inode),
    /// The sync reported an error: each write since the last one is on disk or lost for good, by seed.
    FailedSync {
        inode: Inode,
        seed: u64,
    },
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Folder,
    File(Inode),
}

type Names = BTreeMap<PathBuf, Entry>;

/// Changes of names in one folder that stand or fall together.
#[derive(Debug, Clone)]
struct NameChange(Vec<(PathBuf, Option<Entry>)>);

#[derive(Debug, Clone, Default)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Debug, Clone)]
enum Pending {
    Write { offset: usize, bytes: Arc<[u8]> },
    SetLen(usize),
}

/// Names and bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    names: Names,
    durable_names: Names,
    pending_names: Vec<NameChange>,
    contents: Vec<Content>,
}

impl Files {
    pub(super) fn entry(&self, path: &Path) -> Option<Entry> {
        if path == Path::new("/") || path == Path::new("") || path == Path::new(".") {
            return Some(Entry::Folder);
        }
        self.names.get(path).copied()
    }

    /// Names directly in a folder, ascending.
    pub(super) fn list(&self, folder: &Path) -> Vec<String> {
        let inside = self.names.keys().filter(|path| path.parent() == Some(folder));
        inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }

    /// Every file's path and bytes.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.names.iter().filter_map(|(path, entry)| match entry {
            Entry::File(inode) => Some((path.as_path(), self.bytes(*inode))),
            Entry::Folder => None,
        })
    }

    pub(super) fn bytes(&self, inode: Inode) -> &[u8] {
        &self.contents[inode].current
    }

    /// Bytes of all files that have a name.
    pub(super) fn used(&self) -> u64 {
        self.all().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Damages a file as a failing medium does: now and after any power cut.
    pub(super) fn flip_bit(&mut self, inode: Inode, byte: usize, bit: u32) {
        let content = &mut self.contents[inode];
        for bytes in [&mut content.current, &mut content.durable] {
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << bit;
            }
        }
    }

    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::MakeFolder(path) => self.rename_all(vec![(path.clone(), Some(Entry::Folder))]),
            Op::MakeFile(path) => {
                self.contents.push(Content::default());
                let entry = Entry::File(self.contents.len() - 1);
                self.rename_all(vec![(path.clone(), Some(entry))]);
            }
            Op::Rename(from, to) => {
                let entry = self.names.get(from).copied();
                self.rename_all(vec![(from.clone(), None), (to.clone(), entry)]);
            }
            Op::Remove(path) => self.rename_all(vec![(path.clone(), None)]),
            Op::SyncFolder(folder) => {
                let is_inside = |change: &mut NameChange| {
                    change.0.iter().all(|(path, _)| parent(path) == folder)
                };
                for change in self.pending_names.extract_if(.., is_inside) {
                    change.apply(&mut self.durable_names);
                }
            }
            Op::Write { inode, offset, bytes } => {
                let content = &mut self.contents[*inode];
                put(&mut content.current, *offset, bytes);
                content.pending.push(Pending::Write { offset: *offset, bytes: bytes.clone() });
            }
            Op::SetLen { inode, length } => {
                let content = &mut self.contents[*inode];
                content.current.resize(*length, 0);
                content.pending.push(Pending::SetLen(*length));
            }
            Op::Sync(inode) => self.contents[*inode].sync(),
            Op::FailedSync { inode, seed } => {
                let content = &mut self.contents[*inode];
                content.durable = content.after_cut(&mut Draw::new(*seed));
                content.pending.clear();
            }
        }
    }

    fn rename_all(&mut self, changes: Vec<(PathBuf, Option<Entry>)>) {
        let change = NameChange(changes);
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    /// What is there when the power comes back.
    pub(super) fn after_cut(&self, draw: &mut Draw) -> Self {
        let mut names = self.durable_names.clone();
        for change in &self.pending_names {
            if draw.below(2) == 0 {
                change.apply(&mut names);
            }
        }
        let reached = names.clone();
        let is_reached = |path: &Path| {
            let mut above = path.ancestors().skip(1);
            above.all(|folder| folder.parent().is_none_or(|_| reached.contains_key(folder)))
        };
        names.retain(|path, _| is_reached(path));
        let contents = self.contents.iter().map(|content| {
            let bytes = content.after_cut(draw);
            Content { current: bytes.clone(), durable: bytes, pending: Vec::new() }
        });
        let contents = contents.collect();
        Self { durable_names: names.clone(), names, pending_names: Vec::new(), contents }
    }
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        for (path, entry) in &self.0 {
            match entry {
                Some(entry) => names.insert(path.clone(), *entry),
                None => names.remove(path),
            };
        }
    }
}

impl Content {
    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Pending::Write { offset, bytes } => put(&mut self.durable, offset, &bytes),
                Pending::SetLen(length) => self.durable.resize(length, 0),
            }
        }
    }

    /// The durable bytes with each pending write kept, dropped or torn, in any order, under a length of its own.
    fn after_cut(&self, draw: &mut Draw) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        if self.pending.is_empty() {
            return bytes;
        }
        let length = self.length_after_cut(draw);
        let mut order: Vec<usize> = (0..self.pending.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, draw.below(last + 1));
        }
        for index in order {
            if let Pending::Write { offset, bytes: written } = &self.pending[index] {
                match draw.below(3) {
                    0 => put(&mut bytes, *offset, written),
                    1 => {}
                    _ => put_torn(&mut bytes, *offset, written, draw),
                }
            }
        }
        bytes.resize(length, 0);
        bytes
    }

    /// The length before or after any of the pending changes; of a write that lengthens the file a part may have come.
    fn length_after_cut(&self, draw: &mut Draw) -> usize {
        let count = self.pending.len();
        let stop = if draw.below(2) == 0 { count } else { draw.below(count + 1) };
        let mut length = self.durable.len();
        for (index, change) in self.pending[..stop].iter().enumerate() {
            length = match change {
                Pending::SetLen(length) => *length,
                Pending::Write { offset, bytes } => {
                    let end = length.max(offset + bytes.len());
                    let is_torn = index + 1 == stop && draw.below(3) == 0;
                    if is_torn { length + draw.below(end - length + 1) } else { end }
                }
            };
        }
        length
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

/// Lets each sector of a write arrive or not.
fn put_torn(bytes: &mut Vec<u8>, offset: usize, written: &[u8], draw: &mut Draw) {
    let mut start = 0;
    while start < written.len() {
        let sector_end = SECTOR_BYTES - (offset + start) % SECTOR_BYTES;
        let end = written.len().min(start + sector_end);
        if draw.below(2) == 0 {
            put(bytes, offset + start, &written[start..end]);
        }
        start = end;
    }
}

/// Numbers from a seed (SplitMix64), the same on every machine.
#[derive(Debug, Clone)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let rest = self.next() % bound as u64;
        usize::try_from(rest).expect("below a usize")
    }
}
