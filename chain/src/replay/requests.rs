//! What a block asks of the consensus layer: deposits from logs, withdrawals and consolidations from contracts.
//!
//! EIP-7685: each kind is `type byte ‖ data`, empty ones are left out, and the header holds
//! `sha256(sha256(kind 0) ‖ sha256(kind 1) ‖ …)`.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use alloy_primitives::{Address, B256, b256};
use sha2::{Digest as _, Sha256};

use super::ReplayError;
use crate::block::Receipt;

/// EIP-6110.
pub(super) const DEPOSIT_TYPE: u8 = 0;
/// EIP-7002.
pub(super) const WITHDRAWAL_TYPE: u8 = 1;
/// EIP-7251.
pub(super) const CONSOLIDATION_TYPE: u8 = 2;

/// `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_TOPIC: B256 =
    b256!("0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");
/// Length of the event's data, bytes.
const DEPOSIT_EVENT_BYTES: usize = 576;
/// Offset in the data and length of: public key, withdrawal credentials, amount, signature, index.
const DEPOSIT_FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];

/// The hash over requests of `(type, data)`, ascending by type.
pub(super) fn requests_hash(requests: &[(u8, Vec<u8>)]) -> B256 {
    let mut all = Sha256::new();
    for (kind, data) in requests.iter().filter(|(_, data)| !data.is_empty()) {
        let one = Sha256::new().chain_update([*kind]).chain_update(data);
        all.update(one.finalize());
    }
    B256::from_slice(&all.finalize())
}

/// All deposits of a block, 192 bytes each.
pub(super) fn deposits(receipts: &[Receipt], contract: Address) -> Result<Vec<u8>, ReplayError> {
    let mut all = Vec::new();
    for (index, receipt) in receipts.iter().enumerate() {
        for log in receipt.logs.iter().filter(|log| log.address == contract) {
            if log.topics().first() == Some(&DEPOSIT_TOPIC) {
                let deposit =
                    deposit(&log.data.data).ok_or(ReplayError::DepositLayout { index })?;
                all.extend_from_slice(&deposit);
            }
        }
    }
    Ok(all)
}

/// One deposit; its event is ABI of five byte strings, laid out in one way only.
fn deposit(data: &[u8]) -> Option<Vec<u8>> {
    if data.len() != DEPOSIT_EVENT_BYTES {
        return None;
    }
    let mut fields = Vec::new();
    for (index, &(offset, length)) in DEPOSIT_FIELDS.iter().enumerate() {
        let head = word(data, index.checked_mul(32)?)?;
        let size = word(data, offset)?;
        if head != offset || size != length {
            return None;
        }
        let start = offset.checked_add(32)?;
        fields.extend_from_slice(data.get(start..start.checked_add(length)?)?);
    }
    Some(fields)
}

/// The number in a 32-byte word, if it is small.
fn word(data: &[u8], at: usize) -> Option<usize> {
    let word = data.get(at..at.checked_add(32)?)?;
    let (high, low) = word.split_last_chunk::<8>()?;
    if high.iter().any(|&byte| byte != 0) {
        return None;
    }
    usize::try_from(u64::from_be_bytes(*low)).ok()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, Log};

    use super::*;

    fn event() -> Vec<u8> {
        let mut data = vec![0; DEPOSIT_EVENT_BYTES];
        for (index, &(offset, length)) in DEPOSIT_FIELDS.iter().enumerate() {
            data[index * 32 + 30..index * 32 + 32]
                .copy_from_slice(&u16::try_from(offset).unwrap().to_be_bytes());
            data[offset + 31] = u8::try_from(length).unwrap();
            data[offset + 32..offset + 32 + length].fill(u8::try_from(index).unwrap() + 1);
        }
        data
    }

    fn receipt(data: Vec<u8>) -> Receipt {
        let log = Log::new_unchecked(Address::ZERO, vec![DEPOSIT_TOPIC], Bytes::from(data));
        let (success, post_state) = (true, None);
        Receipt { tx_type: 2, success, post_state, cumulative_gas_used: 0, logs: vec![log] }
    }

    #[test]
    fn a_deposit_is_its_five_fields() {
        let found = deposits(&[receipt(event())], Address::ZERO).unwrap();
        let want: Vec<u8> =
            [vec![1; 48], vec![2; 32], vec![3; 8], vec![4; 96], vec![5; 8]].concat();
        assert_eq!(found, want);
        assert!(deposits(&[receipt(event())], Address::repeat_byte(1)).unwrap().is_empty());
    }

    #[test]
    fn another_layout_is_an_error() {
        for (at, byte) in [(31, 0xa1), (160 + 31, 47), (0, 1)] {
            let mut data = event();
            data[at] = byte;
            let error = deposits(&[receipt(data)], Address::ZERO).unwrap_err();
            assert_eq!(error, ReplayError::DepositLayout { index: 0 });
        }
        let mut data = event();
        data.push(0);
        assert!(deposits(&[receipt(data)], Address::ZERO).is_err());
    }

    /// The hash of no requests as EIP-7685 states it: sha256 of nothing.
    #[test]
    fn no_requests_hash_to_sha256_of_nothing() {
        let empty = b256!("0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(requests_hash(&[]), empty);
        assert_eq!(requests_hash(&[(0, Vec::new()), (1, Vec::new())]), empty);
        assert_ne!(requests_hash(&[(0, vec![1])]), requests_hash(&[(1, vec![1])]));
    }
}
