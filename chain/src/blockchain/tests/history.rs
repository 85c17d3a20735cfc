//! The past: all of it, or as much as is kept.

use super::*;
use crate::state::Account;

fn accounts(chain: &Blockchain, number: u64) -> BTreeMap<Address, Account> {
    let reader = chain.reader();
    let hash = reader.canonical_hash(number).unwrap().unwrap();
    let mut all = BTreeMap::new();
    let state = reader.state(hash).unwrap();
    state.accounts(|address, account| assert!(all.insert(address, account).is_none())).unwrap();
    for (&address, account) in &all {
        assert_eq!(state.account(address).unwrap().as_ref(), Some(account));
    }
    all
}

#[test]
fn all_accounts_of_the_past_are_those_that_were() {
    let folder = tempfile::tempdir().unwrap();
    for storage in storages(folder.path()) {
        let net = Net::new(2, London);
        let mut chain = net.open(storage);
        let user = Wallet::new(0);
        let mut live = vec![accounts(&chain, 0)];
        for number in 1..60 {
            let to = Address::with_last_byte(number);
            let pay = user.legacy(user.nonce(&chain), to.into(), u64::from(number), Bytes::new());
            net.seal(&mut chain, &[pay]);
            live.push(accounts(&chain, u64::from(number)));
        }
        chain.flush().unwrap();
        assert_eq!(chain.store.flushed().number, 43);
        for (number, want) in live.iter().enumerate() {
            assert_eq!(&accounts(&chain, number as u64), want, "block {number}");
        }
    }
}

#[test]
fn a_short_history_bounds_reads_and_reorganisations() {
    let folder = tempfile::tempdir().unwrap();
    for storage in storages(folder.path()) {
        let net = Net::new(2, London);
        let mut chain = net.open(storage.clone());
        let error = chain.keep_history(Some(4_095)).unwrap_err();
        assert_eq!(error.to_string(), "history of 4095 blocks is too short: at least 4096 stay");
        chain.keep_history(Some(4_096)).unwrap();
        chain.history = Some(100);
        let mut twin = net.open(Storage::Memory);
        let mut live = Vec::new();
        for turn in 0..700 {
            let block = net.seal_empty_or_not(&mut twin, turn, 1);
            live.push(twin.reader().head_state().slots_of(STORE).unwrap());
            chain.import(block, NOW_MS).unwrap();
        }
        chain.flush().unwrap();
        let check = |chain: &Blockchain| {
            let reader = chain.reader();
            let oldest = reader.oldest_state();
            assert_eq!(oldest, 511, "whole sections of 256 blocks go");
            for number in 0..=700 {
                let hash = reader.canonical_hash(number).unwrap().unwrap();
                match reader.state(hash) {
                    Ok(state) => {
                        let want = &live[usize::try_from(number).unwrap() - 1];
                        assert_eq!(&state.slots_of(STORE).unwrap(), want, "block {number}");
                        for (&slot, &value) in want {
                            assert_eq!(state.storage(STORE, slot).unwrap(), value);
                        }
                        assert!(number >= oldest);
                    }
                    Err(error) => {
                        assert_eq!(
                            error.to_string(),
                            format!(
                                "historical state {number} is not available, the oldest kept is 511"
                            )
                        );
                        assert!(number < oldest);
                    }
                }
            }
        };
        check(&chain);
        let mut rows = 0;
        let shelf = chain.view().shelf().clone();
        shelf.each_changed(|section| {
            assert!(section >= 2);
            rows += 1;
        });
        assert!(rows > 8, "{rows}");
        let head = chain.reader().head().hash();
        let mut other = net.open(Storage::Memory);
        for turn in 0..720 {
            let block = net.seal_empty_or_not(&mut other, turn, 2);
            let imported = chain.import(block, NOW_MS).unwrap();
            assert!(matches!(imported, Imported::Side), "{imported:?}");
        }
        assert!(other.head_key > chain.head_key);
        assert_eq!(chain.reader().head().hash(), head);
        check(&chain);
        drop(chain);
        if !matches!(storage, Storage::Memory) {
            let chain = net.open(storage);
            assert_eq!(chain.reader().head().hash(), head);
            check(&chain);
        }
    }
}
