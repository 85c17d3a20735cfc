//! Prices above 128 bits. Ethereum's rules allow 256; the transactions of this ledger hold 128, for nobody could pay more.
//!
//! Pool and blocks refuse such a transaction when they decode it. The judge of single transactions still says what
//! Ethereum says: each price that does not fit is brought down to the largest that does, and what depends on the bytes
//! that were signed is taken from those bytes.

use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::{Decodable as _, Header, PayloadView};

use crate::block::Transaction;

/// The fields at the end that hold the signature: `v` or `yParity`, `r`, `s`.
const SIGNATURE_FIELDS: usize = 3;
/// Bytes of the longest price that fits.
const NARROW_BYTES: usize = 16;

/// A transaction with its prices as they were signed.
pub(super) struct WidePrice {
    /// The transaction, each wide price replaced by 2^128 - 1.
    pub transaction: Transaction,
    /// What the sender signed.
    pub signing_hash: B256,
    /// `maxPriorityFeePerGas`, wei, where the type has it.
    pub max_priority_fee_per_gas: Option<U256>,
    /// `maxFeePerGas` or `gasPrice`, wei.
    pub max_fee_per_gas: U256,
}

impl WidePrice {
    /// Reads a transaction in the form that travels. `None` if it is none even with prices of 256 bits.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&first, after_type) = bytes.split_first()?;
        let (kind, mut list, prices) = match first {
            1 => (&bytes[..1], after_type, 2..3),
            2..=4 => (&bytes[..1], after_type, 2..4),
            0xc0.. => (&bytes[..0], bytes, 1..2),
            _ => return None,
        };
        let PayloadView::List(fields) = Header::decode_raw(&mut list).ok()? else { return None };
        if !list.is_empty() {
            return None;
        }
        let mut wide = Vec::new();
        for mut field in fields.get(prices.clone())?.iter().copied() {
            wide.push(U256::decode(&mut field).ok()?);
        }
        let narrow: Vec<Vec<u8>> = fields.iter().map(|field| field.to_vec()).collect();
        let narrow = prices.zip(&wide).fold(narrow, |mut narrow, (index, price)| {
            if price.byte_len() > NARROW_BYTES {
                narrow[index] = alloy_rlp::encode(u128::MAX);
            }
            narrow
        });
        let narrow = encode(kind, narrow.iter().map(Vec::as_slice));
        let transaction = Transaction::decode_2718_exact(&narrow).ok()?;

        let signed = fields.len().checked_sub(SIGNATURE_FIELDS)?;
        let mut signed: Vec<Vec<u8>> =
            fields[..signed].iter().map(|field| field.to_vec()).collect();
        if let Transaction::Legacy(legacy) = &transaction
            && let Some(chain_id) = legacy.tx().chain_id
        {
            signed.extend([chain_id, 0, 0].map(alloy_rlp::encode)); // EIP-155
        }
        Some(Self {
            signing_hash: keccak256(encode(kind, signed.iter().map(Vec::as_slice))),
            max_priority_fee_per_gas: (wide.len() == 2).then(|| wide[0]),
            max_fee_per_gas: *wide.last()?,
            transaction,
        })
    }
}

/// `type ‖ list of the fields`, which are RLP already.
fn encode<'a>(kind: &[u8], fields: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let payload_length = fields.clone().map(<[u8]>::len).sum();
    let mut out = kind.to_vec();
    Header { list: true, payload_length }.encode(&mut out);
    fields.for_each(|field| out.extend_from_slice(field));
    out
}
