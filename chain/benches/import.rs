//! A chain of full blocks: what sealing, importing and flushing cost, step by step.
//!
//! `cargo bench -p chain -p msnet --bench import [blocks] [transactions]`. Figures are µs of one core per transaction,
//! ratios are to the live rate of the first milestone; what recovery costs stands beside them, in the same run.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock")]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction as _, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use chain::{
    block::{Block, Header, RecoveredBlock, Transaction, decode, recover},
    blockchain::{Blockchain, Imported, Storage},
    clique::prepare::{SealerSettings, prepare_header},
    error::ChainError,
    genesis::{Genesis, GenesisAccount},
    spec::{ChainSpec, CliqueConfig, Forks},
};
use secp256k1::{Message, SECP256K1, SecretKey};

/// Transactions per second of a node that takes them over HTTP and seals: the first milestone.
const LIVE_RATE: f64 = 12_000.0;
const SENDERS: u64 = 100;
const CHAIN_ID: u64 = 1_337;
const GAS_LIMIT: u64 = 1_000_000_000;
const NOW_MS: u64 = 4_000_000_000_000;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let (blocks, count) = (numbers.next().unwrap_or(60), numbers.next().unwrap_or(5_000));
    let net = Net::new();
    let total = blocks * count;
    println!("{blocks} blocks of {count} transfers from {SENDERS} senders, each to a new account");
    let folder = tempfile::tempdir().expect("a folder for the stores");

    let chain = net.seal(&folder.path().join("sealed"), blocks, count);
    let rlp: Vec<Vec<u8>> =
        chain.iter().map(|block| alloy_rlp::encode(block.clone_block())).collect();
    drop(chain);

    let (took, decoded) = timed(|| {
        let one = |bytes: &Vec<u8>| decode(bytes).expect("a sealed block decodes");
        rlp.iter().map(one).collect::<Vec<Block>>()
    });
    line("decode a block", took, total);
    let (recovery, recovered) = timed(|| decoded.into_iter().map(recovered).collect::<Vec<_>>());
    line("recover senders and hash", recovery, total);

    let mut memory = net.open(Storage::Memory);
    line("import in memory, senders known", import(&mut memory, recovered.clone()), total);
    drop(memory);
    let path = folder.path().join("imported");
    let mut disk = net.open(Storage::Dir(path.clone()));
    line("import into a folder, senders known", import(&mut disk, recovered), total);
    let (took, done) = timed(|| disk.flush());
    done.expect("the tables are written");
    println!("  wait for the flusher at the end            {:>9.1} ms", took.as_secs_f64() * 1e3);
    drop(disk);
    let (took, chain) = timed(|| net.open(Storage::Dir(path)));
    println!(
        "  start, replaying what is not flushed       {:>9.1} ms, head {}",
        took.as_secs_f64() * 1e3,
        chain.reader().head().number()
    );
    drop(chain);

    let mut chain = net.open(Storage::Dir(folder.path().join("export")));
    let (took, ()) = timed(|| import_export(&mut chain, &rlp));
    let rate = total as f64 / took.as_secs_f64();
    line("an export: decode, recover, import, all cores", took, total);
    println!(
        "  = {rate:.0} transactions/s, {:.2} x the live rate of {LIVE_RATE}",
        rate / LIVE_RATE
    );
    let limit = recovery.as_secs_f64() / took.as_secs_f64();
    println!("  recovery alone on one core takes {limit:.2} of that time");
}

/// Decodes and recovers on a thread of its own while this one imports.
fn import_export(chain: &mut Blockchain, rlp: &[Vec<u8>]) {
    let (sender, inbox) = sync_channel::<RecoveredBlock>(4);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for bytes in rlp {
                let block = recovered(decode(bytes).expect("a sealed block decodes"));
                if sender.send(block).is_err() {
                    break;
                }
            }
        });
        for block in inbox {
            let done = chain.import(block, NOW_MS).expect("a sealed block imports");
            assert!(matches!(done, Imported::Head(_)));
        }
    });
    chain.flush().expect("the tables are written");
}

fn import(chain: &mut Blockchain, blocks: Vec<RecoveredBlock>) -> Duration {
    let import = || {
        for block in blocks {
            let done = chain.import(block, NOW_MS).expect("a sealed block imports");
            assert!(matches!(done, Imported::Head(_)));
        }
    };
    timed(import).0
}

fn recovered(block: Block) -> RecoveredBlock {
    recover(block).expect("senders recover")
}

fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let from = Instant::now();
    let value = run();
    (from.elapsed(), value)
}

fn line(what: &str, took: Duration, transactions: usize) {
    let micros = took.as_secs_f64() * 1e6 / transactions as f64;
    println!("  {what:<46} {micros:>6.2} µs/tx {:>9.0} tx/s", 1e6 / micros);
}

struct Net {
    genesis: Genesis,
    signer: SecretKey,
    senders: Vec<SecretKey>,
}

impl Net {
    fn new() -> Self {
        let signer = key(0);
        let senders: Vec<_> = (1..=SENDERS).map(key).collect();
        let start = Some(0);
        let spec = ChainSpec {
            chain_id: CHAIN_ID,
            forks: Forks {
                shanghai_time: None,
                cancun_time: None,
                prague_time: None,
                osaka_time: None,
                london: start,
                ..Forks::all_at_genesis()
            },
            clique: Some(CliqueConfig { period_secs: 1, epoch: 30_000 }),
            terminal_total_difficulty: None,
            has_msnet_section: false,
            finality: false,
            zero_base_fee: false,
        };
        let header = Header {
            difficulty: U256::ONE,
            gas_limit: GAS_LIMIT,
            extra_data: [&[0; 32][..], address(&signer).as_slice(), &[0; 65]].concat().into(),
            base_fee_per_gas: Some(1_000_000_000),
            ..Header::default()
        };
        let rich = GenesisAccount { balance: U256::from(10u128.pow(30)), ..Default::default() };
        let alloc: BTreeMap<_, _> =
            senders.iter().map(|key| (address(key), rich.clone())).collect();
        Self { genesis: Genesis::new(spec, header, alloc), signer, senders }
    }

    fn open(&self, storage: Storage) -> Blockchain {
        Blockchain::open(&self.genesis, storage).expect("a store opens")
    }

    /// Seals the chain in a folder and says what building and sealing cost.
    fn seal(&self, folder: &Path, blocks: usize, count: usize) -> Vec<RecoveredBlock> {
        let mut chain = self.open(Storage::Dir(folder.to_owned()));
        let settings = SealerSettings::new(address(&self.signer), GAS_LIMIT);
        let (mut push, mut close, mut seal) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let mut sealed = Vec::new();
        for number in 0..blocks {
            let batch: Vec<_> =
                (0..count).map(|index| self.transfer(number * count + index)).collect();
            let reader = chain.reader();
            let parent = reader.head();
            let parent = parent.block.sealed_header();
            let snapshot = reader.snapshot(parent.hash()).expect("the head has a snapshot");
            let header = prepare_header(chain.spec(), parent, &snapshot, &settings, 0);
            let header = header.expect("the only signer may seal");
            let mut open = chain.open_block(header, settings.signer).expect("opens on the head");
            push += timed(|| {
                for (transaction, sender) in &batch {
                    open.push(transaction, *sender).expect("a transfer runs");
                }
            })
            .0;
            let (took, built) = timed(|| open.close());
            close += took;
            let sign = |hash| Ok::<_, ChainError>(sign(&self.signer, hash));
            let built = built.expect("a block closes");
            let (took, change) = timed(|| chain.seal_and_import(built, sign, NOW_MS));
            seal += took;
            sealed.push(change.expect("a block is sealed").added[0].block.clone());
        }
        let total = blocks * count;
        line("run transactions in the open block", push, total);
        line("close: state root, body roots", close, total);
        line("seal: sign, append, sync, publish", seal, total);
        sealed
    }

    fn transfer(&self, index: usize) -> (Transaction, Address) {
        let key = &self.senders[index % self.senders.len()];
        let to = Address::from_slice(&keccak256(index.to_be_bytes())[..20]);
        let transaction = TxLegacy {
            chain_id: Some(CHAIN_ID),
            nonce: (index / self.senders.len()) as u64,
            gas_price: 1_000_000_000_000,
            gas_limit: 21_000,
            to: TxKind::Call(to),
            value: U256::ONE,
            input: Bytes::new(),
        };
        let bytes = sign(key, transaction.signature_hash());
        let signature = Signature::from_bytes_and_parity(&bytes[..64], bytes[64] == 1);
        (transaction.into_signed(signature).into(), address(key))
    }
}

fn key(draw: u64) -> SecretKey {
    let digest = keccak256(format!("msnet bench key {draw}"));
    SecretKey::from_byte_array(digest.0).expect("a digest is a valid scalar but for 1 in 2^128")
}

fn address(key: &SecretKey) -> Address {
    let [_, point @ ..] = key.public_key(SECP256K1).serialize_uncompressed();
    Address::from_raw_public_key(&point)
}

fn sign(key: &SecretKey, hash: B256) -> [u8; 65] {
    let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), key);
    let (id, compact) = signature.serialize_compact();
    let mut bytes = [0; 65];
    bytes[..64].copy_from_slice(&compact);
    bytes[64] = u8::try_from(i32::from(id)).expect("a recovery id is 0 to 3");
    bytes
}
