//! Blocks that never were canonical, bad ones, and edited genesis files.

use super::*;
use crate::block::recover;

/// The same block with another state root, sealed anew.
fn lie(net: &Net, block: &RecoveredBlock) -> RecoveredBlock {
    let mut header = block.header().clone();
    header.state_root = B256::repeat_byte(0x11);
    let signer = seal::recover_signer(block.header()).unwrap();
    let key = net.keys.iter().find(|key| testing::address(key) == signer).unwrap();
    let header = testing::sealed(header, key).into_header();
    recover(Block { header, body: block.body().clone() }).unwrap()
}

#[test]
fn side_blocks_and_bad_ones_are_answered_before_and_after_flush_and_restart() {
    let folder = tempfile::tempdir().unwrap();
    for storage in storages(folder.path()) {
        let net = Net::new(2, London);
        let (mut chain, mut other) = (net.open(storage.clone()), net.open(Storage::Memory));
        let side = net.seal_empty_or_not(&mut other, 0, 2);
        let blocks: Vec<_> = {
            let mut twin = net.open(Storage::Memory);
            (0..60).map(|turn| net.seal_empty_or_not(&mut twin, turn, 1)).collect()
        };
        let bad = lie(&net, &blocks[4]);
        for block in &blocks[..4] {
            chain.import(block.clone(), NOW_MS).unwrap();
        }
        assert!(matches!(chain.import(side.clone(), NOW_MS).unwrap(), Imported::Side));
        assert!(chain.import(bad.clone(), NOW_MS).unwrap_err().is_bad_block());
        let check = |chain: &Blockchain| {
            let reader = chain.reader();
            assert!(reader.block_by_hash(side.hash()).unwrap().is_none(), "it was never run");
            let known = reader.known_block(side.hash()).unwrap().unwrap();
            assert_eq!(known.block(), &side);
            assert_eq!(known.signer(), seal::recover_signer(side.header()).unwrap());
            assert!(known.clone().executed().is_none());
            let total = U256::ONE + side.header().difficulty;
            assert_eq!(known.total_difficulty(), total);
            assert_eq!(reader.total_difficulty(side.hash()).unwrap(), Some(total));
            assert_eq!(
                reader.header_by_hash(side.hash()).unwrap(),
                Some(side.clone_sealed_header())
            );
            assert!(reader.snapshot(side.hash()).is_ok());
            assert!(matches!(reader.state(side.hash()), Err(ChainError::UnknownBlock { .. })));
            assert_eq!(reader.total_difficulty(bad.hash()).unwrap(), None);
            let found = reader.bad_blocks().unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(
                (found[0].hash, found[0].block.clone()),
                (bad.hash(), Some(bad.clone_block()))
            );
            assert!(found[0].reason.starts_with("invalid merkle root (remote: 1111"));
        };
        check(&chain);
        for block in &blocks[4..] {
            chain.import(block.clone(), NOW_MS).unwrap();
        }
        chain.flush().unwrap();
        assert!(chain.store.flushed().number > 30);
        check(&chain);
        drop(chain);
        if !matches!(storage, Storage::Memory) {
            let mut chain = net.open(storage);
            check(&chain);
            let error = chain.import(bad.clone(), NOW_MS).unwrap_err();
            assert!(matches!(error, ChainError::KnownBad { .. }), "{error}");
        }
    }
}

#[test]
fn forks_may_move_while_they_lie_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Dir(folder.path().to_owned());
    let mut net = Net::new(1, Staggered);
    let mut chain = net.open(storage.clone());
    for turn in 0..5 {
        net.seal_empty_or_not(&mut chain, turn, 1);
    }
    assert_eq!(chain.reader().head().block.header().timestamp, 5);
    drop(chain);
    net.genesis.spec.forks.osaka_time = Some(7);
    drop(net.open(storage.clone()));
    net.genesis.spec.forks.cancun_time = Some(5);
    let error = Blockchain::open(&net.genesis, storage.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "mismatching Cancun fork timestamp in database (have timestamp 4, want timestamp 5, rewindto timestamp 3)"
    );
    net.genesis.spec.forks.cancun_time = Some(4);
    net.genesis.spec.forks.london = Some(3);
    let error = Blockchain::open(&net.genesis, storage.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "mismatching London fork block in database (have block 0, want block 3, rewindto block 0)"
    );
    net.genesis.spec.forks.london = Some(0);
    net.seal_empty_or_not(&mut net.open(storage), 5, 1);
}
