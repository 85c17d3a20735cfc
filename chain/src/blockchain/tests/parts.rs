//! An open block that hands its changes to the trie in parts ends at the same root, and leaves nothing if it is dropped.

use super::*;

#[test]
fn parts_change_no_root_and_a_dropped_block_leaves_nothing() {
    let net = Net::new(1, Osaka);
    let (mut plain, mut parted) = (net.open(Storage::Memory), net.open(Storage::Memory));
    let (user, other) = (Wallet::new(0), Wallet::new(1));
    let mut late = Vec::new();
    for round in 0..40u64 {
        let nonce = user.nonce(&plain);
        let transactions = [
            user.set(nonce, round % 5, round + 1),
            user.set(nonce + 1, 3, if round % 2 == 0 { 0 } else { 7 }),
            other.legacy(other.nonce(&plain), user.address().into(), round, Bytes::new()),
            // Back to what it was before the block, or a contract of its own.
            if round % 3 == 0 {
                user.legacy(nonce + 2, TxKind::Create, 0, bytes!("600160005500"))
            } else {
                user.set(nonce + 2, round % 5, 0)
            },
        ];
        let block = net.seal(&mut plain, &transactions);

        // The same block in parts, one of them late; then either it is closed, or dropped and the other one taken.
        let (reader, key) = (parted.reader(), &net.keys[0]);
        let parent = reader.head().block.clone_sealed_header();
        let settings = SealerSettings::new(testing::address(key), 30_000_000);
        let snapshot = reader.snapshot(parent.hash()).unwrap();
        let header = prepare_header(parted.spec(), &parent, &snapshot, &settings, 0).unwrap();
        let mut open = parted.open_block(header, settings.signer).unwrap();
        for (index, transaction) in transactions.iter().enumerate() {
            open.push(transaction, recover_sender(transaction)).unwrap();
            match (index + usize::try_from(round).unwrap()) % 3 {
                0 => open.take_part().unwrap().apply().unwrap(),
                1 => late.push(open.take_part().unwrap()),
                _ => {}
            }
        }
        if round % 4 == 3 {
            drop(open);
        } else {
            let built = open.close().unwrap();
            assert_eq!(built.header().state_root, block.block.header().state_root, "{round}");
        }
        late.drain(..).for_each(|part| part.apply().unwrap());
        let import = parted.import(block.block.clone(), NOW_MS).unwrap();
        assert!(matches!(import, Imported::Head(_)), "{round}");
    }
}
