//! Whole chains: recorded ones of Besu and geth, and our own through every way of building, branching and stopping.

mod branches;
mod building;
mod crash;
mod flushing;
mod geth;
mod history;
mod known;
mod own_key;
mod parts;
mod proofs;
mod recorded;
mod refusals;
mod stopping;
mod upkeep;

use std::{collections::BTreeMap, path::Path};

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, address, bytes};
use secp256k1::SecretKey;

use self::TimeForks::{London, Osaka, Staggered};
use super::*;
use crate::{
    block::Transaction,
    clique::{
        prepare::{SealerSettings, prepare_header},
        testing,
    },
    genesis::{Genesis, GenesisAccount},
    spec::{CliqueConfig, Forks},
};

/// After every header of the vectors and tests, ms.
const NOW_MS: u64 = 4_000_000_000_000;
const CHAIN_ID: u64 = 1337;
const GWEI: u128 = 1_000_000_000;
/// `sstore(calldata[0..32], calldata[32..64]); log1(0, 32, 7)` of the key; runs under all forks, so without PUSH0.
const STORE_CODE: Bytes = bytes!("600035602035815560005260076020 6000a100");
const STORE: Address = address!("0x5700000000000000000000000000000000000000");
/// Returns PREVRANDAO or DIFFICULTY, then COINBASE, then BASEFEE.
const LOOK_CODE: Bytes = bytes!("4460005241602052486040526060 6000f3");
const LOOK: Address = address!("0x1007000000000000000000000000000000000000");

fn storages(folder: &Path) -> [Storage; 2] {
    [Storage::Memory, Storage::Dir(folder.to_owned())]
}

fn tx_of(blocks: &[RecoveredBlock]) -> B256 {
    let mut transactions = blocks.iter().flat_map(|block| &block.body().transactions);
    *transactions.next().unwrap().tx_hash()
}

/// Storage of the test contract at each height, oldest first.
fn all_states(reader: &ChainReader) -> Vec<(B256, BTreeMap<U256, U256>, U256)> {
    let one = |number| {
        let hash = reader.canonical_hash(number).unwrap().unwrap();
        let state = reader.state(hash).unwrap();
        for slot in 0..8 {
            let slot = U256::from(slot);
            let all = state.slots_of(STORE).unwrap();
            assert_eq!(
                state.storage(STORE, slot).unwrap(),
                all.get(&slot).copied().unwrap_or_default()
            );
        }
        let user = testing::address(&testing::key("user", 0));
        (hash, state.slots_of(STORE).unwrap(), state.account(user).unwrap().unwrap().balance)
    };
    (0..=reader.head().number()).map(one).collect()
}

/// Which time forks a test network has.
#[derive(Clone, Copy, PartialEq)]
enum TimeForks {
    London,
    Osaka,
    /// Shanghai, Cancun, Prague and Osaka two seconds apart, from second 2 on.
    Staggered,
}

struct Net {
    genesis: Genesis,
    keys: Vec<SecretKey>,
}

impl Net {
    fn new(signers: u64, forks: TimeForks) -> Self {
        let mut keys: Vec<_> = (0..signers).map(|draw| testing::key("signer", draw)).collect();
        keys.sort_by_key(testing::address);
        let list: Vec<u8> = keys.iter().flat_map(|key| testing::address(key).0.0).collect();
        let time = |second| match forks {
            London => None,
            Osaka => Some(0),
            Staggered => Some(second),
        };
        let spec = ChainSpec {
            chain_id: CHAIN_ID,
            forks: Forks {
                homestead: Some(0),
                eip150: Some(0),
                eip155: Some(0),
                eip158: Some(0),
                byzantium: Some(0),
                constantinople: Some(0),
                petersburg: Some(0),
                istanbul: Some(0),
                berlin: Some(0),
                london: Some(0),
                shanghai_time: time(2),
                cancun_time: time(4),
                prague_time: time(6),
                osaka_time: time(8),
            },
            clique: Some(CliqueConfig { period_secs: 1, epoch: 30 }),
            terminal_total_difficulty: None,
            has_msnet_section: false,
            finality: false,
            zero_base_fee: false,
        };
        let header = Header {
            difficulty: U256::ONE,
            gas_limit: 30_000_000,
            extra_data: [vec![0; 32], list, vec![0; 65]].concat().into(),
            base_fee_per_gas: Some(1_000_000_000),
            ..Header::default()
        };
        let rich = GenesisAccount { balance: U256::from(10u128.pow(24)), ..Default::default() };
        let contract = |code: Bytes| GenesisAccount { nonce: 1, code, ..Default::default() };
        let alloc = [
            (testing::address(&testing::key("user", 0)), rich.clone()),
            (testing::address(&testing::key("user", 1)), rich),
            (STORE, contract(STORE_CODE)),
            (LOOK, contract(LOOK_CODE)),
            (HISTORY_STORAGE_ADDRESS, contract(HISTORY_STORAGE_CODE.clone())),
        ];
        Self { genesis: Genesis::new(spec, header, alloc.into()), keys }
    }

    fn open(&self, storage: Storage) -> Blockchain {
        Blockchain::open(&self.genesis, storage).unwrap()
    }

    /// Seals the next block with the first signer that may.
    fn seal(&self, chain: &mut Blockchain, transactions: &[Transaction]) -> Arc<ExecutedBlock> {
        self.seal_with(chain, transactions, 0)
    }

    fn seal_with(
        &self,
        chain: &mut Blockchain,
        transactions: &[Transaction],
        first: usize,
    ) -> Arc<ExecutedBlock> {
        self.try_seal_with(chain, transactions, first).unwrap().added[0].clone()
    }

    fn try_seal(
        &self,
        chain: &mut Blockchain,
        transactions: &[Transaction],
    ) -> Result<HeadChange, ChainError> {
        self.try_seal_with(chain, transactions, 0)
    }

    fn try_seal_with(
        &self,
        chain: &mut Blockchain,
        transactions: &[Transaction],
        first: usize,
    ) -> Result<HeadChange, ChainError> {
        let reader = chain.reader();
        let parent = reader.head().block.clone_sealed_header();
        let snapshot = reader.snapshot(parent.hash())?;
        let order = self.keys.iter().cycle().skip(first).take(self.keys.len());
        let (key, header) = order
            .filter_map(|key| {
                let settings = SealerSettings::new(testing::address(key), 30_000_000);
                let header = prepare_header(chain.spec(), &parent, &snapshot, &settings, 0).ok()?;
                Some((key, header))
            })
            .next()
            .unwrap();
        let mut open = chain.open_block(header, testing::address(key))?;
        for transaction in transactions {
            let sender = recover_sender(transaction);
            match open.push(transaction, sender) {
                Ok(_) => {}
                Err(crate::executor::ExecError::Store(error)) => return Err(error),
                Err(error) => panic!("{error:?}"),
            }
        }
        let built = open.close()?;
        chain.seal_and_import(built, |hash| Ok(testing::sign(key, hash)), NOW_MS)
    }

    /// A block that sets one slot in two of three turns; `value` tells branches apart.
    fn seal_empty_or_not(&self, chain: &mut Blockchain, turn: u64, value: u64) -> RecoveredBlock {
        let user = Wallet::new(0);
        let nonce = user.nonce(chain);
        let set = user.set(nonce, turn % 8, if turn % 5 == 4 { 0 } else { value * 1_000 + turn });
        let transactions = if turn % 3 == 2 { Vec::new() } else { vec![set] };
        let sealed = self.seal(chain, &transactions);
        assert!(sealed.receipts.iter().all(|receipt| receipt.success));
        sealed.block.clone()
    }
}

fn recover_sender(transaction: &Transaction) -> Address {
    use alloy_consensus::transaction::SignerRecoverable as _;
    transaction.recover_signer().unwrap()
}

struct Wallet(SecretKey);

impl Wallet {
    fn new(draw: u64) -> Self {
        Self(testing::key("user", draw))
    }

    fn address(&self) -> Address {
        testing::address(&self.0)
    }

    fn nonce(&self, chain: &Blockchain) -> u64 {
        chain.reader().head_state().account(self.address()).unwrap().unwrap().nonce
    }

    fn signature(&self, hash: B256) -> Signature {
        let bytes = testing::sign(&self.0, hash);
        Signature::from_bytes_and_parity(&bytes[..64], bytes[64] == 1)
    }

    fn sign<T>(&self, tx: T) -> Transaction
    where
        T: SignableTransaction<Signature>,
        Transaction: From<alloy_consensus::Signed<T>>,
    {
        let signature = self.signature(tx.signature_hash());
        tx.into_signed(signature).into()
    }

    fn legacy(&self, nonce: u64, to: TxKind, value: u64, input: Bytes) -> Transaction {
        let (gas_price, value) = (2 * GWEI, U256::from(value));
        self.sign(TxLegacy {
            chain_id: Some(CHAIN_ID),
            nonce,
            gas_price,
            gas_limit: 500_000,
            to,
            value,
            input,
        })
    }

    fn set(&self, nonce: u64, slot: u64, value: u64) -> Transaction {
        self.legacy(nonce, STORE.into(), 0, words(&[slot, value]))
    }
}

fn words(values: &[u64]) -> Bytes {
    values.iter().flat_map(|&value| U256::from(value).to_be_bytes::<32>()).collect()
}
