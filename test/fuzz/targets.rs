//! What is fuzzed: every decoder of foreign bytes in the ledger, the node and the edge's intake, one function each. A function returns on
//! any input, without a panic; what decodes encodes to the same bytes again.
//!
//! `test/fuzz/run` drives them with libFuzzer, `test/fuzz/mod.rs` with mutations of its seeds in every test run.

use std::{path::Path, sync::Arc};

use alloy_consensus::Header;
use alloy_eips::eip2718::{Decodable2718 as _, Encodable2718 as _};
use alloy_primitives::{Address, B256};
use alloy_rlp::Decodable as _;
use chain::{
    block::{self, Receipt, Transaction},
    disk::{Disk, OpenMode, SimDisk},
    genesis::{self, Genesis},
    log::Log,
    spec::CliqueConfig,
    state::{Account, Diff},
    store::schema::{
        self, BadFrame, BlockFrame, BlockRow, DiffFrame, Flushed, ReceiptsFrame, SealFrame,
    },
};

/// A target's name and function.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const TARGETS: [Target; 13] = [
    ("header", header),
    ("block", block),
    ("transaction", transaction),
    ("receipt", receipt),
    ("genesis", genesis),
    ("keystore", keystore),
    ("trie", trie),
    ("log_frame", log_frame),
    ("redb_value", redb_value),
    ("edge_item", edge_item),
    ("edge_mllp", edge_mllp),
    ("edge_csv", edge_csv),
    ("edge_text", edge_text),
];

fn header(bytes: &[u8]) {
    let mut rest = bytes;
    if let Ok(header) = Header::decode(&mut rest)
        && rest.is_empty()
    {
        assert_eq!(alloy_rlp::encode(&header), bytes);
    }
}

fn block(bytes: &[u8]) {
    if let Ok(block) = block::decode(bytes) {
        assert_eq!(alloy_rlp::encode(&block), bytes);
    }
}

fn transaction(bytes: &[u8]) {
    let mut rest = bytes;
    if let Ok(transaction) = Transaction::decode_2718(&mut rest)
        && rest.is_empty()
    {
        assert_eq!(transaction.encoded_2718(), bytes);
    }
}

fn receipt(bytes: &[u8]) {
    if let Ok(receipt) = Receipt::decode_2718(bytes) {
        let mut again = Vec::new();
        receipt.encode_2718(&mut again);
        assert_eq!(again, bytes);
    }
}

fn genesis(bytes: &[u8]) {
    if let Ok(genesis) = Genesis::from_json(bytes) {
        let _ = (genesis.hash(), genesis.validate_runnable().is_ok());
    }
}

fn keystore(bytes: &[u8]) {
    // opening may cost seconds on purpose; reading must not
    let _ = node::keystore::secret_storage::account(bytes);
}

/// Balances by address, as a state: our root against the one that alloy builds.
fn trie(bytes: &[u8]) {
    let alloc: std::collections::BTreeMap<Address, genesis::GenesisAccount> = bytes
        .chunks_exact(3)
        .map(|chunk| {
            let balance = alloy_primitives::U256::from(chunk[2]);
            let account = genesis::GenesisAccount { balance, ..Default::default() };
            (Address::left_padding_from(&chunk[..2]), account)
        })
        .collect();
    let mut leaves: Vec<_> = alloc
        .iter()
        .map(|(address, account)| {
            let state = Account { balance: account.balance, ..Account::default() };
            (alloy_primitives::keccak256(address), state.to_trie_rlp())
        })
        .collect();
    leaves.sort();
    let mut oracle = alloy_trie::HashBuilder::default();
    for (key, value) in &leaves {
        oracle.add_leaf(alloy_trie::Nibbles::unpack(key), value);
    }
    assert_eq!(genesis::state_root(&alloc), oracle.root());
}

/// A segment file of the block log, found at a start; and each kind of frame.
fn log_frame(bytes: &[u8]) {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let folder = Path::new("/log");
    let genesis = B256::ZERO;
    let write = || -> std::io::Result<()> {
        disk.create_dir_all(folder)?;
        let file = disk.open(&folder.join("000000.log"), OpenMode::Create)?;
        file.write_at(0, b"MSNLOG\x01\0\0\0\0\0\0\0\0\0")?;
        file.write_at(16, bytes)
    };
    assert!(write().is_ok(), "a simulated disk takes it");
    let _ = Log::open(&disk, folder, genesis, (0, 0), |_| true, &mut |_, _| Ok(()));
    let Some((_, payload)) = bytes.split_first() else { return };
    let _ = schema::decode::<BlockFrame>("block frame", payload);
    let _ = schema::decode::<ReceiptsFrame>("receipts frame", payload);
    let _ = schema::decode::<BadFrame>("bad frame", payload);
    let _ = schema::decode::<SealFrame>("seal frame", payload);
    let _ = DiffFrame::decode(bytes);
}

fn redb_value(bytes: &[u8]) {
    if let Ok(row) = BlockRow::decode(bytes) {
        assert_eq!(row.encode(), bytes);
    }
    if let Ok(account) = Account::from_slim_rlp(bytes) {
        assert_eq!(account.to_slim_rlp(), bytes);
    }
    let config = CliqueConfig { period_secs: 1, epoch: 30_000 };
    let _ = schema::decode_snapshot(bytes, config);
    let _ = schema::decode::<Flushed>("flushed", bytes);
    let _ = Diff::decode_lists(&mut &bytes[..]);
}

/// Everything an institution may be sent: any bytes are read or refused, in any form; what is answered is plain text.
fn edge_item(bytes: &[u8]) {
    use edge::{
        ingest::{self, ack},
        model::Form,
        standardize,
    };
    let tables = standardize::Tables::shipped();
    let outcome = ack::Outcome::Stored;
    if let Some(answer) = ack::acknowledge(bytes, outcome, "1", "20240101") {
        assert!(answer.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\r')));
    }
    for form in [Form::Hl7v2, Form::FhirJson, Form::Ccda, Form::Note] {
        let Ok(items) = ingest::read("urn:fuzz", Some(form), bytes) else { continue };
        for item in items.iter().take(4) {
            if let Ok(done) = standardize::standardize(item, &tables) {
                for record in &done.records {
                    assert!(standardize::validate::validate(&record.resource).is_empty());
                }
            }
        }
    }
}

/// What a connection to the HL7 v2 listener brings, in two parts or whole.
fn edge_mllp(bytes: &[u8]) {
    use edge::ingest::mllp::Frames;
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    let all = Frames::default().push(bytes, &mut whole);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut frames = Frames::default();
    let result = frames.push(first, &mut parts).and_then(|()| frames.push(second, &mut parts));
    assert_eq!((all, whole), (result, parts));
}

/// A table and its mapping: the bytes up to the first NUL are the mapping.
fn edge_csv(bytes: &[u8]) {
    use edge::standardize::{Tables, csv};
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (mapping, table) = (parts.next().unwrap_or_default(), parts.next().unwrap_or(bytes));
    let _ = csv::draft(table);
    if let Ok(mapping) = csv::Mapping::parse(&String::from_utf8_lossy(mapping)) {
        let _ = csv::standardize_table(table, &mapping, "urn:fuzz", &Tables::shipped());
    }
}

/// A text in which keywords and people are looked for.
fn edge_text(bytes: &[u8]) {
    use edge::{
        extract::{deidentify, mention},
        model::Assertion,
        standardize::Tables,
        terminology::ucum,
    };
    let text = String::from_utf8_lossy(bytes);
    let terms = &Tables::shipped().terminology;
    for found in mention::mentions(&text, Assertion::Present, terms) {
        assert!(text.get(found.range).is_some());
    }
    let (_, removed) = deidentify::deidentify(&text, &deidentify::Known::default(), terms);
    assert!(removed.iter().all(|part| text.get(part.range.clone()).is_some()));
    let _ = ucum::code(&text);
}
