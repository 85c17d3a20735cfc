//! Flushes: beside the writer, in time, and when they fail.

use super::*;
use crate::blockchain::flusher::Flusher;

#[test]
fn tables_follow_by_number_and_by_time_while_blocks_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Dir(folder.path().to_owned());
    let net = Net::new(2, London);
    let (mut chain, mut twin) = (net.open(storage.clone()), net.open(Storage::Memory));
    let mut import = |chain: &mut Blockchain, turn, now_ms| {
        let block = net.seal_empty_or_not(&mut twin, turn, 4);
        chain.import(block, now_ms).unwrap();
        assert_eq!(chain.reader().head().hash(), twin.reader().head().hash());
        assert_eq!(all_states(&chain.reader()), all_states(&twin.reader()));
    };
    for turn in 0..48 {
        import(&mut chain, turn, NOW_MS);
    }
    assert_eq!((chain.store.flushed().number, chain.flush_in_progress()), (0, None));
    import(&mut chain, 48, NOW_MS);
    // It may be done already, but nobody has taken it up: the writer's next step does.
    assert_eq!((chain.store.flushed().number, chain.flush_in_progress()), (0, Some(32)));
    chain.wait_for_flush().unwrap();
    assert_eq!((chain.store.flushed().number, chain.flush_in_progress()), (32, None));
    assert_eq!(chain.tree.len(), 49 - 32);
    chain.flush_if_due(NOW_MS + 59_999).unwrap();
    assert_eq!(chain.flush_in_progress(), None);
    chain.flush_if_due(NOW_MS + 60_000).unwrap();
    assert_eq!(chain.flush_in_progress(), Some(33));
    import(&mut chain, 49, NOW_MS + 60_000);
    chain.close().unwrap();
    let chain = net.open(storage);
    assert_eq!(chain.store.flushed().number, 34);
    assert_eq!(all_states(&chain.reader()), all_states(&twin.reader()));
}

/// A side block below the target that arrives while a flush runs is neither lost for readers nor for the next start.
#[test]
fn a_low_side_block_that_comes_during_a_flush_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Dir(folder.path().to_owned());
    let net = Net::new(2, London);
    let (mut chain, mut twin) = (net.open(storage.clone()), net.open(Storage::Memory));
    let side = net.seal_empty_or_not(&mut net.open(Storage::Memory), 0, 8);
    for turn in 0..49 {
        chain.import(net.seal_empty_or_not(&mut twin, turn, 4), NOW_MS).unwrap();
    }
    assert!(chain.flush_in_progress().is_some());
    // Not by `import`, which would take up a flush that is done first.
    let signer = chain.verify(&side, NOW_MS).unwrap();
    let imported = chain.import_aside(side.clone(), signer).unwrap();
    assert!(matches!(imported, Imported::Side), "{imported:?}");
    chain.wait_for_flush().unwrap();
    assert!(chain.tree.contains_key(&side.hash()));
    let is_there = |chain: &Blockchain| {
        chain.reader().known_block(side.hash()).unwrap().is_some_and(|known| *known.block() == side)
    };
    assert!(is_there(&chain));
    drop(chain);
    let mut chain = net.open(storage.clone());
    assert!(is_there(&chain));
    chain.flush().unwrap();
    assert!(is_there(&chain));
    drop(chain);
    assert!(is_there(&net.open(storage)));
}

/// No block is taken while tables cannot follow, and none that was taken is lost.
#[test]
fn a_failed_flush_stops_imports_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (name, has_thread) in [("beside", true), ("in place", false)] {
        let storage = Storage::Dir(folder.path().join(name));
        let net = Net::new(1, London);
        let (mut chain, mut twin) = (net.open(storage.clone()), net.open(Storage::Memory));
        chain.flusher = Flusher::new(has_thread);
        let mut turn = 0;
        let mut grow = |chain: &mut Blockchain| {
            let block = net.seal_empty_or_not(&mut twin, turn, 4);
            turn += 1;
            let hash = block.hash();
            chain.import(block, NOW_MS).map(|_| hash)
        };
        for _ in 0..48 {
            grow(&mut chain).unwrap();
        }
        chain.store.break_diffs();
        let mut last = chain.reader().head().hash();
        if has_thread {
            last = grow(&mut chain).unwrap();
            assert!(chain.wait_for_flush().is_err());
        }
        for _ in 0..3 {
            let error = grow(&mut chain).unwrap_err();
            assert!(error.to_string().contains("diffs/000000.log"), "{error}");
            assert!(!error.is_bad_block());
            assert_eq!(chain.reader().head().hash(), last);
            assert_eq!(chain.store.flushed().number, 0);
        }
        assert!(chain.close().is_err());
        let mut chain = net.open(storage);
        assert_eq!(chain.reader().head().hash(), last);
        chain.flush().unwrap();
        assert!(chain.store.flushed().number >= 32);
    }
}
