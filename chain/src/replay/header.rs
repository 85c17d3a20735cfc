//! May this header follow its parent, and are its uncles real? geth's `consensus/ethash` and `consensus/beacon`.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::collections::BTreeMap;

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::{B256, U256};
use revm::primitives::hardfork::SpecId;

use super::{ReplayError, ReplayRules, body::verify_body, difficulty::next_difficulty};
use crate::{
    block::{Block, Header},
    clique::CliqueError,
    error::ChainError,
    spec::ChainSpec,
    validate::{BlockError, MAX_GAS_LIMIT, validate_gas, validate_sizes},
};

/// Longest extra-data of a block (Yellow Paper 4.3).
const MAX_EXTRA_DATA_BYTES: usize = 32;
/// Most uncles of a block.
const MAX_UNCLES: usize = 2;
/// An uncle's parent is at most so many generations above the block.
const MAX_UNCLE_GENERATIONS: usize = 7;

/// The stored blocks, for a header's parent and its uncles.
pub trait Ancestors {
    /// A block of any branch with its total difficulty, `None` if it is not known.
    ///
    /// # Errors
    /// What the store says if it fails.
    fn block(&self, hash: B256) -> Result<Option<(Block, U256)>, ChainError>;
}

impl ReplayRules {
    /// Every rule of a block that needs no execution.
    ///
    /// # Errors
    /// [`ChainError::Replay`] or [`ChainError::Block`] with the first rule that broke;
    /// [`CliqueError::UnknownAncestor`] if the parent is not known.
    pub(crate) fn verify(
        &self,
        spec: &ChainSpec,
        block: &Block,
        ancestors: &impl Ancestors,
    ) -> Result<(), ChainError> {
        let header = &block.header;
        let (parent, total_difficulty) =
            ancestors.block(header.parent_hash)?.ok_or(CliqueError::UnknownAncestor)?;
        let terminal = self.terminal_total_difficulty;
        let is_merged = terminal.is_some_and(|terminal| total_difficulty >= terminal);
        self.verify_header(spec, header, &parent.header, is_merged)?;
        verify_body(self, spec, block)?;
        self.verify_uncles(spec, block, ancestors)
    }

    fn verify_header(
        &self,
        spec: &ChainSpec,
        header: &Header,
        parent: &Header,
        is_merged: bool,
    ) -> Result<(), ChainError> {
        validate_sizes(header)?;
        let bytes = header.extra_data.len();
        if bytes > MAX_EXTRA_DATA_BYTES {
            return Err(ReplayError::ExtraDataTooLong { bytes }.into());
        }
        if parent.number.checked_add(1) != Some(header.number) {
            let (have, parent) = (header.number, parent.number);
            return Err(ReplayError::InvalidNumber { have, parent }.into());
        }
        if header.timestamp <= parent.timestamp {
            return Err(ReplayError::OlderBlockTime.into());
        }
        if is_merged {
            verify_without_work(header)?;
        } else {
            let want = next_difficulty(self, spec, parent, header.timestamp);
            if header.difficulty != want {
                let have = header.difficulty;
                return Err(ReplayError::InvalidDifficulty { have, want }.into());
            }
        }
        if header.gas_limit > MAX_GAS_LIMIT {
            return Err(BlockError::GasLimitTooLarge { have: header.gas_limit }.into());
        }
        validate_gas(spec, header, parent)?;
        let spec_id = self.spec_id(spec, header);
        verify_presence(spec_id, header)?;
        if spec_id.is_enabled_in(SpecId::CANCUN) {
            self.verify_blob_gas(header, parent)?;
        }
        Ok(())
    }

    /// `excessBlobGas` and `blobGasUsed` (EIP-4844, 7691, 7892, 7918).
    fn verify_blob_gas(&self, header: &Header, parent: &Header) -> Result<(), ReplayError> {
        let Some(params) = self.blob_params(header.timestamp) else { return Ok(()) };
        let excess = u128::from(parent.excess_blob_gas.unwrap_or_default());
        let used = u128::from(parent.blob_gas_used.unwrap_or_default());
        let target =
            u128::from(params.target_blob_count).saturating_mul(u128::from(DATA_GAS_PER_BLOB));
        let sum = excess.saturating_add(used);
        let want = if sum < target {
            0
        } else if is_below_reserve_price(&params, parent) {
            let (max, target) = (params.max_blob_count, params.target_blob_count);
            let share = used.saturating_mul(u128::from(max.saturating_sub(target)));
            excess.saturating_add(share.checked_div(u128::from(max)).unwrap_or_default())
        } else {
            sum.saturating_sub(target)
        };
        let have = header.excess_blob_gas.unwrap_or_default();
        if u128::from(have) != want {
            let want = u64::try_from(want).unwrap_or(u64::MAX);
            return Err(ReplayError::InvalidExcessBlobGas { have, want });
        }
        let have = header.blob_gas_used.unwrap_or_default();
        let max = params.max_blob_count.saturating_mul(DATA_GAS_PER_BLOB);
        if have > max {
            return Err(ReplayError::TooMuchBlobGas { have, max });
        }
        Ok(())
    }

    fn verify_uncles(
        &self,
        spec: &ChainSpec,
        block: &Block,
        ancestors: &impl Ancestors,
    ) -> Result<(), ChainError> {
        let uncles = &block.body.ommers;
        if uncles.is_empty() {
            return Ok(());
        }
        let count = uncles.len();
        if count > MAX_UNCLES || self.is_merged(&block.header) {
            return Err(ReplayError::TooManyUncles { count }.into());
        }
        let (mut seen, mut family) = (Vec::new(), BTreeMap::new());
        let mut at = block.header.parent_hash;
        for _ in 0..MAX_UNCLE_GENERATIONS {
            let Some((ancestor, _)) = ancestors.block(at)? else { break };
            seen.extend(ancestor.body.ommers.iter().map(Header::hash_slow));
            let parent = ancestor.header.parent_hash;
            family.insert(at, ancestor.header);
            at = parent;
        }
        for uncle in uncles {
            let hash = uncle.hash_slow();
            if seen.contains(&hash) {
                return Err(ReplayError::DuplicateUncle { hash }.into());
            }
            seen.push(hash);
            if family.contains_key(&hash) {
                return Err(ReplayError::UncleIsAncestor { hash }.into());
            }
            let parent = family.get(&uncle.parent_hash);
            let parent = parent.filter(|_| uncle.parent_hash != block.header.parent_hash);
            let parent = parent.ok_or(ReplayError::DanglingUncle { hash })?;
            self.verify_header(spec, uncle, parent, false)?;
        }
        Ok(())
    }
}

/// EIP-7918: blobs cost less than the execution gas that carries them.
fn is_below_reserve_price(params: &alloy_eips::eip7840::BlobParams, parent: &Header) -> bool {
    let base_fee = U256::from(parent.base_fee_per_gas.unwrap_or_default());
    let blob_fee = params.calc_blob_fee(parent.excess_blob_gas.unwrap_or_default());
    U256::from(params.blob_base_cost).saturating_mul(base_fee)
        > U256::from(DATA_GAS_PER_BLOB).saturating_mul(U256::from(blob_fee))
}

/// EIP-3675.
fn verify_without_work(header: &Header) -> Result<(), ReplayError> {
    if !header.difficulty.is_zero() {
        let (have, want) = (header.difficulty, U256::ZERO);
        return Err(ReplayError::InvalidDifficulty { have, want });
    }
    let nonce = u64::from_be_bytes(header.nonce.0);
    if nonce != 0 {
        return Err(ReplayError::InvalidNonce { have: nonce });
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        let (header, calculated) = (header.ommers_hash, EMPTY_OMMER_ROOT_HASH);
        return Err(ReplayError::UncleHashMismatch { header, calculated });
    }
    Ok(())
}

/// Each field from its fork on, and no earlier.
fn verify_presence(spec_id: SpecId, header: &Header) -> Result<(), ReplayError> {
    let fields = [
        ("withdrawalsRoot", header.withdrawals_root.is_some(), Some(SpecId::SHANGHAI)),
        ("blobGasUsed", header.blob_gas_used.is_some(), Some(SpecId::CANCUN)),
        ("excessBlobGas", header.excess_blob_gas.is_some(), Some(SpecId::CANCUN)),
        ("parentBeaconBlockRoot", header.parent_beacon_block_root.is_some(), Some(SpecId::CANCUN)),
        ("requestsHash", header.requests_hash.is_some(), Some(SpecId::PRAGUE)),
        ("blockAccessListHash", header.block_access_list_hash.is_some(), None),
        ("slotNumber", header.slot_number.is_some(), None),
    ];
    for (field, is_there, since) in fields {
        let is_due = since.is_some_and(|since| spec_id.is_enabled_in(since));
        if is_there != is_due {
            let name = |there| if there { "present" } else { "absent" };
            let (is, expected) = (name(is_there), name(is_due));
            return Err(ReplayError::FieldPresence { field, is, expected });
        }
    }
    Ok(())
}
