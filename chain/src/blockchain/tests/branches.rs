//! Reorganisations: deep, failing, and in any order of arrival.

use alloy_primitives::b256;
use proptest::prelude::*;

use super::*;
use crate::block::recover;

/// The deepest way back: a whole recorded chain is replaced below its flushed block by a heavier branch, and returns.
#[test]
fn a_reorganisation_below_the_flushed_block_and_back_is_identity() {
    let folder = tempfile::tempdir().unwrap();
    for storage in storages(folder.path()) {
        let net = Net::new(2, London);
        let mut chain = net.open(storage.clone());
        let (mut light, mut heavy) = (net.open(Storage::Memory), net.open(Storage::Memory));
        let mut light_blocks = Vec::new();
        for turn in 0..60 {
            let block = net.seal_empty_or_not(&mut light, turn, 1);
            light_blocks.push(block);
        }
        let heavy_blocks: Vec<_> =
            (0..62).map(|turn| net.seal_empty_or_not(&mut heavy, turn, 2)).collect();
        for block in &light_blocks {
            chain.import(block.clone(), NOW_MS).unwrap();
        }
        chain.flush().unwrap();
        assert_eq!(chain.store.flushed().number, 44);
        let before = all_states(&chain.reader());
        let mut last = None;
        for block in &heavy_blocks {
            if let Imported::Head(change) = chain.import(block.clone(), NOW_MS).unwrap() {
                last = last.or(Some(change.removed.len()));
            }
        }
        assert_eq!(last, Some(60), "all blocks of the light branch went at once");
        assert_eq!(chain.reader().head().hash(), heavy.reader().head().hash());
        assert_eq!(all_states(&chain.reader()), all_states(&heavy.reader()));
        assert!(chain.reader().transaction(tx_of(&light_blocks)).unwrap().is_none());
        let more: Vec<_> =
            (60..66).map(|turn| net.seal_empty_or_not(&mut light, turn, 1)).collect();
        for block in &more {
            chain.import(block.clone(), NOW_MS).unwrap();
        }
        assert_eq!(chain.reader().head().hash(), light.reader().head().hash());
        let after = all_states(&chain.reader());
        assert_eq!(after[..before.len()], before);
        assert!(chain.reader().transaction(tx_of(&light_blocks)).unwrap().is_some());
        drop(chain);
        if !matches!(storage, Storage::Memory) {
            assert_eq!(net.open(storage).reader().head().hash(), light.reader().head().hash());
        }
    }
}

/// A heavier branch whose last block lies about its state: the old head stands, with its state.
#[test]
fn a_branch_that_does_not_hold_is_left_again() {
    let net = Net::new(2, London);
    let (mut chain, mut other) = (net.open(Storage::Memory), net.open(Storage::Memory));
    for turn in 0..5 {
        net.seal_empty_or_not(&mut chain, turn, 1);
    }
    let good: Vec<_> = (0..6).map(|turn| net.seal_empty_or_not(&mut other, turn, 2)).collect();
    let (last, rest) = good.split_last().unwrap();
    let mut header = last.header().clone();
    header.state_root = b256!("0x1111111111111111111111111111111111111111111111111111111111111111");
    let signer = seal::recover_signer(last.header()).unwrap();
    let key = net.keys.iter().find(|key| testing::address(key) == signer).unwrap();
    let lie =
        Block { header: testing::sealed(header, key).into_header(), body: last.body().clone() };
    let lie = recover(lie).unwrap();
    let (head, before) = (chain.reader().head().hash(), all_states(&chain.reader()));
    for block in rest {
        chain.import(block.clone(), NOW_MS).unwrap();
    }
    let stood = chain.reader().head().hash();
    let before = if stood == head { before } else { all_states(&chain.reader()) };
    let error = chain.import(lie.clone(), NOW_MS).unwrap_err();
    assert!(error.to_string().starts_with("invalid merkle root (remote: 1111"), "{error}");
    assert!(error.is_bad_block());
    assert_eq!(chain.reader().head().hash(), stood);
    assert_eq!(all_states(&chain.reader()), before);
    let child = Header { parent_hash: lie.hash(), number: 7, ..Header::default() };
    let child = recover(Block { header: child, body: BlockBody::default() }).unwrap();
    assert!(matches!(chain.import(child, NOW_MS), Err(ChainError::KnownBad { .. })));
    chain.import(last.clone(), NOW_MS).unwrap();
    assert_eq!(chain.reader().head().hash(), last.hash());
    net.seal_empty_or_not(&mut chain, 6, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Blocks of three branches in any order that respects parents: one head, one state, both kinds of storage.
    #[test]
    fn the_head_does_not_depend_on_arrival(
        lengths in prop::array::uniform3(1usize..8),
        fork_at in 0usize..4,
        order in prop::collection::vec(0usize..3, 40),
    ) {
        let net = Net::new(3, London);
        let mut trunk = net.open(Storage::Memory);
        let trunk_blocks: Vec<_> =
            (0..fork_at).map(|turn| net.seal_empty_or_not(&mut trunk, turn as u64, 9)).collect();
        let mut branches: Vec<Vec<RecoveredBlock>> = Vec::new();
        for (branch, &length) in lengths.iter().enumerate() {
            let mut chain = net.open(Storage::Memory);
            for block in &trunk_blocks {
                chain.import(block.clone(), NOW_MS).unwrap();
            }
            let seal = |turn| {
                let user = Wallet::new(0);
                let set = user.set(user.nonce(&chain), turn, 100 * branch as u64 + turn);
                net.seal_with(&mut chain, &[set], branch).block.clone()
            };
            branches.push((0..length as u64).map(seal).collect());
        }
        let folder = tempfile::tempdir().unwrap();
        let mut ends = Vec::new();
        for (storage, shift) in storages(folder.path()).into_iter().zip([0, 1]) {
            let mut chain = net.open(storage);
            for block in &trunk_blocks {
                chain.import(block.clone(), NOW_MS).unwrap();
            }
            let mut queues: Vec<_> = branches.iter().map(|branch| branch.iter()).collect();
            for pick in order.iter().map(|pick| (pick + shift) % 3).chain([0, 1, 2].repeat(8)) {
                if let Some(block) = queues[pick].next() {
                    chain.import(block.clone(), NOW_MS).unwrap();
                }
            }
            ends.push((chain.reader().head().hash(), all_states(&chain.reader())));
        }
        prop_assert_eq!(&ends[0], &ends[1]);
    }

    /// Two branches grow in turns, so that the head goes there and back across flushed blocks: it is always the best block
    /// known, and every state is that of the branch alone. Both kinds of storage, one of them flushing beside the writer.
    #[test]
    fn there_and_back_is_identity(
        fork_at in 0usize..20,
        steps in prop::collection::vec((0usize..2, 1usize..25, any::<bool>()), 2..7),
    ) {
        let net = Net::new(2, London);
        let folder = tempfile::tempdir().unwrap();
        let mut chains = storages(folder.path()).map(|storage| net.open(storage));
        let mut branches = [net.open(Storage::Memory), net.open(Storage::Memory)];
        for turn in 0..fork_at {
            let block = net.seal_empty_or_not(&mut branches[0], turn as u64, 9);
            branches[1].import(block.clone(), NOW_MS).unwrap();
            for chain in &mut chains {
                chain.import(block.clone(), NOW_MS).unwrap();
            }
        }
        for (at, &(pick, count, has_flush)) in steps.iter().enumerate() {
            for turn in 0..count {
                let value = 1 + pick as u64;
                let block = net.seal_empty_or_not(&mut branches[pick], (7 * at + turn) as u64, value);
                for chain in &mut chains {
                    chain.import(block.clone(), NOW_MS).unwrap();
                }
            }
            let best = usize::from(branches[1].head_key > branches[0].head_key);
            let want = all_states(&branches[best].reader());
            for chain in &mut chains {
                prop_assert_eq!(chain.head_key, branches[best].head_key);
                prop_assert_eq!(&all_states(&chain.reader()), &want);
                if has_flush {
                    chain.flush().unwrap();
                    prop_assert_eq!(&all_states(&chain.reader()), &want);
                }
                let reader = chain.reader();
                let root = reader.head().block.header().state_root;
                prop_assert!(StateTrie::rebuild(&reader.head_state(), root).is_ok());
            }
        }
    }
}
