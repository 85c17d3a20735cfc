use super::*;

fn signer_of(net: &Net) -> Address {
    testing::address(&net.keys[0])
}

#[test]
fn a_lost_journal_is_filled_from_the_chain_and_the_key_listens() {
    let folder = tempfile::tempdir().unwrap();
    let (net, dir) = (Net::new(1, London), Storage::Dir(folder.path().to_owned()));
    let mut chain = net.open(dir.clone());
    let signer = signer_of(&net);
    assert_eq!(chain.take_key(signer, 77).unwrap(), 77, "a new chain has no seals to lose");
    let mut parents = Vec::new();
    for _ in 0..60 {
        let block = net.seal(&mut chain, &[]);
        parents.push((block.number(), block.block.header().parent_hash));
    }
    chain.close().unwrap();
    let mut chain = net.open(dir.clone());
    assert_eq!(chain.take_key(signer, 77).unwrap(), 77, "the journal is there");
    drop(chain);

    std::fs::remove_file(folder.path().join("signer.journal")).unwrap();
    let mut chain = net.open(dir);
    // one window of one period of a second, and ten more
    assert_eq!(chain.take_key(signer, 77).unwrap(), 77 + 1_000 + 10_000);
    for (number, parent) in parents {
        assert!(chain.journal().sealed_on(signer, number, parent).is_some(), "{number}");
    }
    assert!(chain.journal().sealed_on(signer, 61, chain.reader().head().hash()).is_none());
    net.seal(&mut chain, &[]);
}

#[test]
fn a_new_block_with_our_key_stops_it() {
    let net = Net::new(2, London);
    let own = signer_of(&net);
    let mut theirs = net.open(Storage::Memory);
    let blocks = [(1, 0), (2, 1), (11, 0), (12, 1)];
    let blocks = blocks.map(|(secs, key)| net.seal_at(&mut theirs, secs, key));

    // started at second 1: what is no later than second 11 may be ours from before
    let mut ours = net.open(Storage::Memory);
    ours.take_key(own, 1_000).unwrap();
    for block in &blocks {
        ours.import(block.block.clone(), NOW_MS).unwrap();
    }
    for block in [&blocks[0], &blocks[2]] {
        let parent = block.block.header().parent_hash;
        assert!(ours.journal().sealed_on(own, block.number(), parent).is_some());
    }
    net.seal_at(&mut ours, 13, 0);
    let other = net.seal_at(&mut theirs, 14, 0);
    ours.import(other.block.clone(), NOW_MS).unwrap();
    net.seal_at(&mut ours, 15, 1);
    let open = ours.open_block(net.header(&ours, 16, 0), own).unwrap();
    let error = ours.seal_and_import(open.close().unwrap(), |_| panic!("no signature"), NOW_MS);
    let text = |block: &ExecutedBlock| {
        format!("another process uses this key: {own} sealed block {}", block.hash())
    };
    assert_eq!(error.unwrap_err().to_string(), text(&other));

    // started at second 0: block 3 is too late to be an old one
    let mut ours = net.open(Storage::Memory);
    ours.take_key(own, 0).unwrap();
    for block in &blocks {
        ours.import(block.block.clone(), NOW_MS).unwrap();
    }
    assert_eq!(ours.check_own_key(own).unwrap_err().to_string(), text(&blocks[2]));
    ours.check_own_key(Address::ZERO).unwrap();
}

impl Net {
    fn header(&self, chain: &Blockchain, now_secs: u64, key: usize) -> Header {
        let reader = chain.reader();
        let parent = reader.head().block.clone_sealed_header();
        let settings = SealerSettings::new(testing::address(&self.keys[key]), 30_000_000);
        let snapshot = reader.snapshot(parent.hash()).unwrap();
        prepare_header(chain.spec(), &parent, &snapshot, &settings, now_secs).unwrap()
    }

    fn seal_at(&self, chain: &mut Blockchain, now_secs: u64, key: usize) -> Arc<ExecutedBlock> {
        let header = self.header(chain, now_secs, key);
        let open = chain.open_block(header, testing::address(&self.keys[key])).unwrap();
        let sign = |hash| Ok(testing::sign(&self.keys[key], hash));
        let change = chain.seal_and_import(open.close().unwrap(), sign, NOW_MS).unwrap();
        change.added[0].clone()
    }
}
