//! Header, body and receipt: the names of a block's parts, and their roots.
//!
//! The types are alloy's and reth's, so that nobody translates between rooms. Ours is [`Receipt`]:
//! one flat struct for every transaction type, with geth's two meanings of its first field.
//!
//! A block is RLP `[header, [transactions], [uncles]]` and never has a fourth item (no withdrawals).

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use alloy_consensus::{Eip658Value, TxReceipt as _, proofs};
use alloy_primitives::{Address, B256, Bloom, Log};
use alloy_rlp::{Buf as _, BufMut, Decodable, Encodable as _};

pub use alloy_consensus::Header;

use crate::{error::ChainError, sender};

/// A signed transaction as EIP-2718 envelope: legacy, 2930, 1559, 4844 (refused everywhere), 7702.
pub type Transaction = alloy_consensus::TxEnvelope;
/// Header and body.
pub type Block = alloy_consensus::Block<Transaction>;
/// The transactions and uncles of a block.
pub type BlockBody = alloy_consensus::BlockBody<Transaction>;
/// A header that remembers its hash.
pub type SealedHeader = reth_primitives_traits::SealedHeader<Header>;
/// A block that remembers its hash and the sender of each transaction.
pub type RecoveredBlock = reth_primitives_traits::RecoveredBlock<Block>;

/// What a transaction left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// EIP-2718 type byte; 0 for legacy.
    pub tx_type: u8,
    /// True unless the transaction reverted or ran out of gas.
    pub success: bool,
    /// The intermediate state root that stands in place of the status before Byzantium (EIP-658).
    pub post_state: Option<B256>,
    /// Gas used in the block up to and including this transaction.
    pub cumulative_gas_used: u64,
    /// Events in the order of their emission.
    pub logs: Vec<Log>,
}

impl Receipt {
    /// The 2048-bit filter over addresses and topics of the logs (Yellow Paper 4.3.1).
    pub fn bloom(&self) -> Bloom {
        self.logs.iter().collect()
    }

    /// Appends the consensus form: `type ‖ rlp([status or root, cumulative gas, bloom, logs])`, the
    /// type byte only if it is not 0.
    pub fn encode_2718(&self, out: &mut dyn BufMut) {
        if self.tx_type != 0 {
            out.put_u8(self.tx_type);
        }
        self.body().with_bloom_ref().encode(out);
    }

    /// Reads the consensus form of exactly one receipt.
    ///
    /// # Errors
    /// [`ChainError::Decode`] if the bytes are not such a receipt, if its bloom does not fit its logs,
    /// or if bytes are left over.
    pub fn decode_2718(mut bytes: &[u8]) -> Result<Self, ChainError> {
        Self::decode_one(&mut bytes)
            .map_err(|source| ChainError::Decode { what: "receipt", source })
    }

    fn decode_one(bytes: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let tx_type = match bytes.first() {
            Some(&byte) if byte < 0x80 => {
                bytes.advance(1);
                byte
            }
            Some(_) => 0,
            None => return Err(alloy_rlp::Error::InputTooShort),
        };
        let alloy_consensus::ReceiptWithBloom { receipt, logs_bloom } =
            alloy_consensus::ReceiptWithBloom::<alloy_consensus::Receipt>::decode(bytes)?;
        if !bytes.is_empty() {
            return Err(alloy_rlp::Error::Custom("bytes after the receipt"));
        }
        let (success, post_state) = match receipt.status {
            Eip658Value::Eip658(success) => (success, None),
            Eip658Value::PostState(root) => (true, Some(root)),
        };
        let receipt = Self {
            tx_type,
            success,
            post_state,
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: receipt.logs,
        };
        if receipt.bloom() != logs_bloom {
            return Err(alloy_rlp::Error::Custom("bloom does not fit the logs"));
        }
        Ok(receipt)
    }

    fn body(&self) -> alloy_consensus::Receipt {
        let status = match self.post_state {
            Some(root) => Eip658Value::PostState(root),
            None => Eip658Value::Eip658(self.success),
        };
        alloy_consensus::Receipt {
            status,
            cumulative_gas_used: self.cumulative_gas_used,
            logs: self.logs.clone(),
        }
    }
}

/// Root of the trie of `rlp(index) → EIP-2718 bytes`, as in the header's `transactionsRoot`.
pub fn transactions_root(transactions: &[Transaction]) -> B256 {
    proofs::calculate_transaction_root(transactions)
}

/// Root of the trie of `rlp(index) → receipt`, as in the header's `receiptsRoot`.
pub fn receipts_root(receipts: &[Receipt]) -> B256 {
    proofs::ordered_trie_root_with_encoder(receipts, |receipt, out| receipt.encode_2718(out))
}

/// The union of all receipts' blooms, as in the header's `logsBloom`.
pub fn logs_bloom(receipts: &[Receipt]) -> Bloom {
    receipts.iter().flat_map(|receipt| receipt.logs.iter()).collect()
}

/// Hashes a block and recovers the sender of each transaction (high-s signatures are refused,
/// EIP-2).
///
/// # Errors
/// [`ChainError::InvalidSender`] names the first transaction whose signature does not recover.
pub fn recover(block: Block) -> Result<RecoveredBlock, ChainError> {
    let senders = recover_senders(&block.body.transactions)?;
    let hash = block.header.hash_slow();
    Ok(RecoveredBlock::new(block, senders, hash))
}

fn recover_senders(transactions: &[Transaction]) -> Result<Vec<Address>, ChainError> {
    let recover = |(index, transaction): (usize, &Transaction)| {
        sender::recover(transaction)
            .ok_or_else(|| ChainError::InvalidSender { index, hash: *transaction.tx_hash() })
    };
    transactions.iter().enumerate().map(recover).collect()
}

/// Reads exactly one block from RLP.
///
/// # Errors
/// [`ChainError::Decode`] if the bytes are not a block or bytes are left over.
pub fn decode(mut bytes: &[u8]) -> Result<Block, ChainError> {
    let block =
        Block::decode(&mut bytes).map_err(|source| ChainError::Decode { what: "block", source })?;
    if bytes.is_empty() {
        return Ok(block);
    }
    let source = alloy_rlp::Error::Custom("bytes after the block");
    Err(ChainError::Decode { what: "block", source })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, bloom};
    use proptest::prelude::*;

    use super::*;

    fn any_log() -> impl Strategy<Value = Log> {
        let topics = proptest::collection::vec(any::<[u8; 32]>(), 0..=4);
        (any::<[u8; 20]>(), topics, any::<Vec<u8>>()).prop_map(|(address, topics, data)| {
            let topics = topics.into_iter().map(B256::from).collect();
            Log::new_unchecked(address.into(), topics, Bytes::from(data))
        })
    }

    fn any_receipt() -> impl Strategy<Value = Receipt> {
        let status = prop_oneof![
            any::<bool>().prop_map(|success| (success, None)),
            any::<[u8; 32]>().prop_map(|root| (true, Some(B256::from(root)))),
        ];
        (0_u8..5, status, any::<u64>(), proptest::collection::vec(any_log(), 0..4)).prop_map(
            |(tx_type, (success, post_state), cumulative_gas_used, logs)| Receipt {
                tx_type,
                success,
                post_state,
                cumulative_gas_used,
                logs,
            },
        )
    }

    proptest! {
        #[test]
        fn receipts_round_trip(receipt in any_receipt()) {
            let mut bytes = Vec::new();
            receipt.encode_2718(&mut bytes);
            prop_assert_eq!(Receipt::decode_2718(&bytes).unwrap(), receipt);
            bytes.push(0);
            prop_assert!(Receipt::decode_2718(&bytes).is_err());
        }

        #[test]
        fn foreign_bytes_are_refused_without_panic(bytes in any::<Vec<u8>>()) {
            prop_assert!(Receipt::decode_2718(&bytes).is_err());
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn headers_round_trip(
            numbers in any::<[u64; 5]>(),
            base_fee: Option<u64>,
            extra: Vec<u8>,
            root: [u8; 32],
        ) {
            let [number, gas_limit, gas_used, timestamp, nonce] = numbers;
            let header = Header {
                number,
                gas_limit,
                gas_used,
                timestamp,
                nonce: nonce.into(),
                base_fee_per_gas: base_fee,
                extra_data: extra.into(),
                state_root: root.into(),
                ..Header::default()
            };
            let rlp = alloy_rlp::encode(&header);
            prop_assert_eq!(Header::decode(&mut &rlp[..]).unwrap(), header);
        }
    }

    /// The bloom of one log: address and topic each set three bits (Yellow Paper 4.3.1).
    #[test]
    fn bloom_holds_address_and_topics() {
        let log = Log::new_unchecked(
            Address::repeat_byte(0x22),
            vec![B256::repeat_byte(0x11)],
            Bytes::new(),
        );
        let receipt = Receipt {
            tx_type: 2,
            success: true,
            post_state: None,
            cumulative_gas_used: 1,
            logs: vec![log],
        };
        let mut want = Bloom::ZERO;
        want.accrue(alloy_primitives::BloomInput::Raw(&[0x22; 20]));
        want.accrue(alloy_primitives::BloomInput::Raw(&[0x11; 32]));
        assert_eq!(receipt.bloom(), want);
        assert_eq!(logs_bloom(&[receipt.clone(), receipt]), want);
        assert_ne!(want, bloom!());
    }
}
