//! Checks, rewinds and repairs of a folder, on geth's chain with all its branches.

use std::fs;

use super::{
    recorded::{VECTORS, blocks, unzip},
    *,
};
use crate::{
    disk::{Disk, OsDisk},
    store::{
        reindex::reindex,
        stat::stat,
        verify::{Verified, cut_at, verify},
    },
};

struct Upkeep {
    folder: tempfile::TempDir,
    genesis: Genesis,
    disk: Arc<dyn Disk>,
}

impl Upkeep {
    /// A folder with the whole chain and every branch.
    fn new() -> Self {
        let json = fs::read(format!("{VECTORS}geth-chain/genesis.json")).unwrap();
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
            genesis: Genesis::from_json(&json).unwrap(),
            disk: Arc::new(OsDisk),
        };
        let mut chain = this.open();
        this.import_main(&mut chain);
        // as two commands: the side blocks come when the tables stand above most of them
        chain.close().unwrap();
        let mut chain = this.open();
        let mut forks = blocks(&unzip("geth-chain/forks.rlp.gz"));
        forks.sort_by_key(|block| block.header().number);
        for block in forks {
            chain.import(block, NOW_MS).unwrap();
        }
        chain.close().unwrap();
        this
    }

    fn open(&self) -> Blockchain {
        Blockchain::open(&self.genesis, Storage::Dir(self.folder.path().to_owned())).unwrap()
    }

    fn import_main(&self, chain: &mut Blockchain) {
        for block in blocks(&unzip("geth-chain/chain.rlp.gz")) {
            chain.import(block, NOW_MS).unwrap();
        }
    }

    fn verify(&self) -> Verified {
        verify(&self.disk, self.folder.path(), &self.genesis, true, &mut |_, _, _| {}).unwrap()
    }

    fn reindex(&self) -> Blockchain {
        reindex(&self.disk, self.folder.path(), &self.genesis, &mut |_, _, _| {}).unwrap()
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("blocks/000000.log")
    }
}

fn states(chain: &Blockchain) -> Vec<(B256, B256)> {
    let reader = chain.reader();
    let one = |number| {
        let block = reader.block_by_number(number).unwrap().unwrap();
        assert!(reader.state(block.hash()).is_ok());
        (block.hash(), block.block.header().state_root)
    };
    (0..=reader.head().number()).map(one).collect()
}

#[test]
fn a_good_folder_is_clean_and_counted() {
    let upkeep = Upkeep::new();
    let seen = upkeep.verify();
    assert_eq!(seen.findings, []);
    assert_eq!(seen.blocks, 184 + 38);
    assert!(seen.accounts > 10);
    let stat = stat(&upkeep.disk, upkeep.folder.path(), &upkeep.genesis).unwrap();
    assert_eq!(stat.newest.0, 184);
    let rows = |name| stat.tables.iter().find(|table| table.name == name).unwrap().rows;
    assert_eq!(rows("canon"), stat.flushed.0 + 1);
    assert_eq!(rows("accounts"), seen.accounts);
    assert_eq!(stat.oldest_diff, Some(1));
}

#[test]
fn every_kind_of_damage_is_placed_and_nothing_changed() {
    let upkeep = Upkeep::new();
    let good = fs::read(upkeep.log()).unwrap();
    for at in [16 + 9, good.len() / 3, good.len() / 2] {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        fs::write(upkeep.log(), &bytes).unwrap();
        let seen = upkeep.verify();
        let cut = seen.cut.unwrap();
        assert!(cut.segment == 0 && cut.offset <= at as u64, "{at}: {cut:?}");
        let place = format!("000000.log at offset {}", cut.offset);
        assert!(seen.findings[0].place.ends_with(&place), "{:?}", seen.findings);
        assert!(seen.damage_count > 0);
        assert_eq!(fs::read(upkeep.log()).unwrap(), bytes);
    }
    fs::write(upkeep.log(), &good[..good.len() - 3]).unwrap();
    let seen = upkeep.verify();
    assert_eq!((seen.finding_count, seen.damage_count), (1, 0), "{:?}", seen.findings);
}

#[test]
fn a_cut_log_keeps_the_rest_beside_it_and_its_tables_are_made_again() {
    let upkeep = Upkeep::new();
    let mut bytes = fs::read(upkeep.log()).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    fs::write(upkeep.log(), &bytes).unwrap();
    let cut = upkeep.verify().cut.unwrap();
    let kept = cut_at(&upkeep.disk, upkeep.folder.path(), cut).unwrap();
    let (left, right) = bytes.split_at(usize::try_from(cut.offset).unwrap());
    assert!(fs::read(upkeep.log()).unwrap() == left && fs::read(&kept[0]).unwrap() == right);
    let mut chain = upkeep.reindex();
    let head = chain.reader().head().number();
    assert!((50..184).contains(&head), "{head}");
    upkeep.import_main(&mut chain);
    assert_eq!(chain.reader().head().number(), 184);
    chain.close().unwrap();
    assert_eq!(upkeep.verify().findings, []);
}

#[test]
fn tables_made_again_are_the_same_also_after_an_interruption() {
    let upkeep = Upkeep::new();
    let before = states(&upkeep.open());
    let chain = upkeep.reindex();
    assert_eq!(states(&chain), before);
    chain.close().unwrap();
    assert_eq!(upkeep.verify().findings, []);

    let marker = upkeep.folder.path().join("REINDEX");
    fs::write(&marker, "").unwrap();
    let storage = Storage::Dir(upkeep.folder.path().to_owned());
    let error = Blockchain::open(&upkeep.genesis, storage).unwrap_err();
    assert!(matches!(error, ChainError::ReindexUnfinished { .. }), "{error}");
    assert_eq!(states(&upkeep.reindex()), before);
    assert!(!marker.exists());
}

/// Some side blocks below the target are only in the log, before others above it whose parents the tables forget.
#[test]
fn a_rewind_passes_over_what_the_log_still_holds_above_it() {
    for target in [100, 30] {
        let upkeep = Upkeep::new();
        let all = states(&upkeep.open());
        let mut chain = upkeep.open();
        chain.rewind(target, &mut |_| {}).unwrap();
        chain.close().unwrap();
        let mut chain = upkeep.open();
        assert_eq!(states(&chain), all[..=usize::try_from(target).unwrap()]);
        upkeep.import_main(&mut chain);
        chain.close().unwrap();
        assert_eq!(states(&upkeep.open()), all);
        assert_eq!(upkeep.verify().findings, []);
    }
}

#[test]
fn a_rewind_stands_after_a_restart_and_the_chain_grows_again() {
    let upkeep = Upkeep::new();
    let all = states(&upkeep.open());
    for target in [180, 100, 7, 0] {
        let mut chain = upkeep.open();
        let end = usize::try_from(target).unwrap() + 1;
        chain.rewind(target, &mut |_| {}).unwrap();
        assert_eq!(states(&chain), all[..end]);
        chain.close().unwrap();
        let chain = upkeep.open();
        assert_eq!(states(&chain), all[..end], "to {target}, opened again");
        chain.close().unwrap();
        assert_eq!(upkeep.verify().findings, []);
    }
    let mut chain = upkeep.open();
    upkeep.import_main(&mut chain);
    assert_eq!(states(&chain), all);
    assert!(chain.rewind(185, &mut |_| {}).is_err());
    chain.close().unwrap();
    assert_eq!(upkeep.verify().findings, []);
    assert_eq!(states(&upkeep.reindex()), all);
}
