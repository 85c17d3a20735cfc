//! A chain that stops anywhere opens again where it was.

use super::*;

#[test]
fn a_chain_reopens_where_it_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let net = Net::new(2, Osaka);
    let storage = Storage::Dir(folder.path().to_owned());
    let mut twin = net.open(Storage::Memory);
    let mut chain = net.open(storage.clone());
    let mut live = vec![twin.reader().head_state().slots_of(STORE).unwrap()];
    for turn in 0..70 {
        let block = net.seal_empty_or_not(&mut twin, turn, 3);
        live.push(twin.reader().head_state().slots_of(STORE).unwrap());
        chain.import(block, NOW_MS).unwrap();
        if turn % 9 == 0 {
            // Dropped without a word, as by kill -9: everything after the last fsync is the log's business.
            drop(chain);
            chain = net.open(storage.clone());
        }
        assert_eq!(chain.reader().head().hash(), twin.reader().head().hash(), "turn {turn}");
    }
    let past = all_states(&chain.reader());
    assert_eq!(past, all_states(&twin.reader()));
    assert!(
        past.iter().map(|(_, slots, _)| slots).eq(&live),
        "the past reads as it was when it was new"
    );
    let error = Blockchain::open(&net.genesis, storage.clone()).unwrap_err().to_string();
    assert!(error.starts_with("datadir already used by another process"), "{error}");
    chain.close().unwrap();

    let other = Net::new(1, Osaka);
    let error = Blockchain::open(&other.genesis, storage.clone()).unwrap_err().to_string();
    let (have, new) = (net.genesis.hash(), other.genesis.hash());
    assert_eq!(
        error,
        format!("database contains incompatible genesis (have {have:x}, new {new:x})")
    );

    std::fs::write(folder.path().join("FORMAT"), "msnet 9\n").unwrap();
    let error = Blockchain::open(&net.genesis, storage).unwrap_err().to_string();
    assert!(error.ends_with("has format \"msnet 9\", this program reads \"msnet 1\""), "{error}");
}

/// Every length that the newest segment may be cut to by a power failure opens at a head whose state is there.
#[test]
fn every_torn_tail_opens_at_a_block_that_was_whole() {
    let net = Net::new(1, London);
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Dir(folder.path().join("a"));
    let mut chain = net.open(storage);
    let mut ends = vec![(16, chain.reader().head().hash())];
    let log = folder.path().join("a/blocks/000000.log");
    for turn in 0..4 {
        net.seal_empty_or_not(&mut chain, turn, 1);
        ends.push((std::fs::metadata(&log).unwrap().len(), chain.reader().head().hash()));
    }
    drop(chain);
    let whole = std::fs::read(&log).unwrap();
    for size in (0..whole.len() + 1).step_by(53).chain([whole.len()]) {
        let copy = folder.path().join(format!("cut-{size}"));
        std::fs::create_dir_all(copy.join("blocks")).unwrap();
        std::fs::write(copy.join("blocks/000000.log"), &whole[..size]).unwrap();
        let chain = net.open(Storage::Dir(copy));
        let head = chain.reader().head().hash();
        let height = ends.iter().filter(|(end, _)| *end <= size as u64).count();
        // A block without its receipts frame is whole, too: it is run again.
        let expected = [ends.get(height.saturating_sub(1)), ends.get(height)];
        assert!(expected.iter().flatten().any(|(_, hash)| *hash == head), "cut to {size}");
        let state = chain.reader().state(head).unwrap();
        assert!(state.account(Wallet::new(0).address()).unwrap().is_some());
    }
}

#[test]
fn one_seal_per_parent_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let net = Net::new(1, London);
    let storage = Storage::Dir(folder.path().to_owned());
    let mut chain = net.open(storage.clone());
    let key = net.keys[0];
    let genesis = chain.reader().head().block.clone_sealed_header();
    let built = |chain: &Blockchain| {
        let signer = testing::address(&key);
        let snapshot = chain.reader().snapshot(genesis.hash()).unwrap();
        let settings =
            SealerSettings { vanity: [1; 32], ..SealerSettings::new(signer, 30_000_000) };
        let header = prepare_header(chain.spec(), &genesis, &snapshot, &settings, 0).unwrap();
        chain.open_block(header, signer).unwrap().close().unwrap()
    };
    let second = built(&chain);
    net.seal(&mut chain, &[]);
    let error =
        chain.seal_and_import(second, |hash| Ok(testing::sign(&key, hash)), NOW_MS).unwrap_err();
    assert!(matches!(error, ChainError::StaleBuild { .. }), "{error}");
    drop(chain);
    // The log is lost, the journal is not.
    std::fs::remove_dir_all(folder.path().join("blocks")).unwrap();
    let mut chain = net.open(storage);
    assert_eq!(chain.reader().head().number(), 0);
    let again = built(&chain);
    let error =
        chain.seal_and_import(again, |hash| Ok(testing::sign(&key, hash)), NOW_MS).unwrap_err();
    assert!(matches!(error, ChainError::AlreadySealed { .. }), "{error}");
}
