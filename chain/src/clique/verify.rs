//! May this header follow its parent? Rules in geth's order (`consensus/clique/clique.go`).
//!
//! [`verify_standalone`] looks at the header alone, [`verify_against_parent`] adds the parent,
//! [`verify_seal`] the snapshot; [`verify_header`] is all three. The numbers in comments are the rows
//! of the table in the design.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{Address, U256};

use super::{
    CliqueError, DIFFICULTY_IN_TURN, DIFFICULTY_OUT_OF_TURN, NONCE_ADD, NONCE_DROP, Snapshot,
    prepare::difficulty,
    seal::{ExtraData, is_high_s, recover_signer, split_extra_data},
};
use crate::{
    block::{Header, SealedHeader},
    error::ChainError,
    spec::{ChainSpec, CliqueConfig},
    validate::{BlockError, MAX_GAS_LIMIT, validate_gas, validate_no_later_fields, validate_sizes},
};

/// Checks every rule of a header that can be checked without running its block.
///
/// `snapshot` is the one after `parent`; `now_ms` is the caller's clock. Returns the signer.
///
/// # Errors
/// [`ChainError::Clique`] or [`ChainError::Block`] with the first rule that broke.
/// [`CliqueError::FutureBlock`] alone is not the block's last word: up to
/// [`super::FUTURE_QUEUE_MS`] ahead it may wait.
pub fn verify_header(
    spec: &ChainSpec,
    header: &Header,
    parent: &SealedHeader,
    snapshot: &Snapshot,
    now_ms: u64,
) -> Result<Address, ChainError> {
    verify_standalone(spec, header, now_ms)?;
    verify_against_parent(spec, header, parent)?;
    Ok(verify_seal(spec, header, snapshot)?)
}

/// Rules 1 to 10: the header alone.
///
/// # Errors
/// The first rule that broke.
pub fn verify_standalone(spec: &ChainSpec, header: &Header, now_ms: u64) -> Result<(), ChainError> {
    let config = clique_config(spec)?;
    validate_sizes(header)?;
    // 1
    if header.timestamp.saturating_mul(1_000) > now_ms {
        return Err(CliqueError::FutureBlock.into());
    }
    verify_fields(header, config)?;
    // 9
    if header.gas_limit > MAX_GAS_LIMIT {
        return Err(BlockError::GasLimitTooLarge { have: header.gas_limit }.into());
    }
    // 10
    Ok(validate_no_later_fields(header)?)
}

/// Rules 2 to 8: the fields that EIP-225 gives a meaning.
fn verify_fields(header: &Header, config: CliqueConfig) -> Result<(), CliqueError> {
    let is_epoch_block = header.number.is_multiple_of(config.epoch);
    // 2
    if is_epoch_block && !header.beneficiary.is_zero() {
        return Err(CliqueError::CheckpointBeneficiary);
    }
    // 3, 4
    if header.nonce != NONCE_ADD && header.nonce != NONCE_DROP {
        return Err(CliqueError::InvalidVote);
    }
    if is_epoch_block && header.nonce != NONCE_DROP {
        return Err(CliqueError::InvalidCheckpointVote);
    }
    // 5, 6
    let list = split_extra_data(&header.extra_data)?.signers;
    if !is_epoch_block && !list.is_empty() {
        return Err(CliqueError::ExtraSigners);
    }
    if is_epoch_block && !list.len().is_multiple_of(Address::len_bytes()) {
        return Err(CliqueError::InvalidCheckpointSigners);
    }
    // 7
    if !header.mix_hash.is_zero() {
        return Err(CliqueError::InvalidMixDigest);
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return Err(CliqueError::InvalidUncleHash);
    }
    // 8
    let is_known_difficulty = [DIFFICULTY_OUT_OF_TURN, DIFFICULTY_IN_TURN]
        .into_iter()
        .any(|known| header.difficulty == U256::from(known));
    if header.number > 0 && !is_known_difficulty {
        return Err(CliqueError::InvalidDifficulty);
    }
    Ok(())
}

/// Rules 11 to 14: the header as child of `parent`.
///
/// # Errors
/// The first rule that broke.
pub fn verify_against_parent(
    spec: &ChainSpec,
    header: &Header,
    parent: &SealedHeader,
) -> Result<(), ChainError> {
    let config = clique_config(spec)?;
    // 11
    let follows = parent.number.checked_add(1) == Some(header.number);
    if !follows || header.parent_hash != parent.hash() {
        return Err(CliqueError::UnknownAncestor.into());
    }
    // 12
    let earliest = parent.timestamp.checked_add(config.period_secs);
    if earliest.is_none_or(|earliest| header.timestamp < earliest) {
        return Err(CliqueError::InvalidTimestamp.into());
    }
    // 13, 14
    Ok(validate_gas(spec, header, parent)?)
}

/// Rules 15 to 18: the header under the signers after its parent. Returns the signer.
///
/// # Errors
/// The first rule that broke.
pub fn verify_seal(
    spec: &ChainSpec,
    header: &Header,
    snapshot: &Snapshot,
) -> Result<Address, CliqueError> {
    let ExtraData { signers: list, seal, .. } = split_extra_data(&header.extra_data)?;
    // 15
    let is_epoch_block = header.number.is_multiple_of(snapshot.config.epoch);
    if is_epoch_block && list != snapshot.signer_bytes() {
        return Err(CliqueError::MismatchingCheckpointSigners);
    }
    // 16
    let signer = recover_signer(header)?;
    if spec.has_msnet_section && is_high_s(seal) {
        return Err(CliqueError::HighS);
    }
    if !snapshot.signers.contains(&signer) {
        return Err(CliqueError::UnauthorizedSigner);
    }
    // 17
    if snapshot.is_recent(header.number, signer) {
        return Err(CliqueError::RecentlySigned);
    }
    // 18
    if header.difficulty != U256::from(difficulty(snapshot, header.number, signer)) {
        return Err(CliqueError::WrongDifficulty);
    }
    Ok(signer)
}

fn clique_config(spec: &ChainSpec) -> Result<CliqueConfig, CliqueError> {
    spec.clique.ok_or(CliqueError::NotClique)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B64, B256, Bytes};
    use secp256k1::SecretKey;

    use super::*;
    use crate::{
        clique::{
            SEAL_BYTES,
            prepare::{SealerSettings, prepare_header},
            testing::{address, key, sealed},
        },
        spec::Forks,
    };

    const EPOCH: u64 = 10;
    const START: u64 = 1_700_000_000;

    fn spec(london: Option<u64>) -> ChainSpec {
        ChainSpec {
            chain_id: 1337,
            forks: Forks { homestead: Some(0), london, ..Forks::default() },
            clique: Some(CliqueConfig { period_secs: 5, epoch: EPOCH }),
            terminal_total_difficulty: None,
            has_msnet_section: false,
            finality: false,
            zero_base_fee: false,
        }
    }

    /// Three signers, ascending.
    fn keys() -> Vec<SecretKey> {
        let mut keys: Vec<_> = ["A", "B", "C"].iter().map(|label| key(label, 0)).collect();
        keys.sort_by_key(address);
        keys
    }

    /// A chain up to block `n − 1` and a good unsealed block `n` with the key in turn.
    struct Case {
        spec: ChainSpec,
        parent: SealedHeader,
        snapshot: Snapshot,
        header: Header,
        signer: SecretKey,
    }

    fn case(spec: ChainSpec, number: u64) -> Case {
        let keys = keys();
        let list: Vec<u8> = keys.iter().flat_map(|key| address(key).0.0).collect();
        let genesis = Header {
            difficulty: U256::ONE,
            gas_limit: 8_000_000,
            timestamp: START,
            base_fee_per_gas: spec.is_london(0).then_some(1_000_000_000),
            extra_data: [&[0; 32][..], &list, &[0; SEAL_BYTES]].concat().into(),
            ..Header::default()
        };
        let mut parent = SealedHeader::seal_slow(genesis);
        let mut snapshot = Snapshot::genesis(&parent, spec.clique.unwrap()).unwrap();
        loop {
            let next = parent.number + 1;
            let signer = keys[usize::try_from(next % 3).unwrap()];
            let settings = SealerSettings {
                vanity: *b"msnet/0.1.0 tests ..............",
                ..SealerSettings::new(address(&signer), 8_000_000)
            };
            let header = prepare_header(&spec, &parent, &snapshot, &settings, 0).unwrap();
            if next == number {
                return Case { spec, parent, snapshot, header, signer };
            }
            parent = sealed(header, &signer);
            snapshot = snapshot.apply(&parent, address(&signer)).unwrap();
        }
    }

    impl Case {
        fn verify(&self, header: &Header) -> Result<Address, ChainError> {
            let now_ms = (START + 5 * self.header.number) * 1_000;
            verify_header(&self.spec, header, &self.parent, &self.snapshot, now_ms)
        }

        /// The error after `change`, signed again.
        fn error(&self, change: impl FnOnce(&mut Header)) -> String {
            let mut header = self.header.clone();
            change(&mut header);
            let header = match seal_room(&header) {
                true => sealed(header, &self.signer).unseal(),
                false => header,
            };
            self.verify(&header).unwrap_err().to_string()
        }
    }

    fn seal_room(header: &Header) -> bool {
        header.extra_data.len() >= 97
    }

    fn with_list(header: &mut Header, list: &[u8]) {
        header.extra_data = [&[0; 32], list, &[0; SEAL_BYTES]].concat().into();
    }

    type Change = fn(&mut Header);

    /// One change per rule that can break between epochs, in the order of the rules.
    const BETWEEN_EPOCHS: [(Change, &str); 20] = [
        (|h| h.difficulty = U256::ONE << 80, "too large block difficulty: bitlen 81"),
        (|h| h.extra_data = vec![0; 102_401].into(), "too large block extradata: size 102401"),
        (|h| h.timestamp += 1, "block in the future"),
        (|h| h.nonce = B64::with_last_byte(1), "vote nonce not 0x00..0 or 0xff..f"),
        (|h| h.extra_data = Bytes::from(vec![0; 31]), "extra-data 32 byte vanity prefix missing"),
        (
            |h| h.extra_data = Bytes::from(vec![0; 96]),
            "extra-data 65 byte signature suffix missing",
        ),
        (|h| with_list(h, &[0; 20]), "non-checkpoint block contains extra signer list"),
        (|h| h.mix_hash = B256::with_last_byte(1), "non-zero mix digest"),
        (|h| h.ommers_hash = B256::ZERO, "non empty uncle hash"),
        (|h| h.difficulty = U256::from(3), "invalid difficulty"),
        (
            |h| h.gas_limit = 1 << 63,
            "invalid gasLimit: have 9223372036854775808, max 9223372036854775807",
        ),
        (
            |h| h.withdrawals_root = Some(B256::ZERO),
            "invalid withdrawalsHash: have \
             0000000000000000000000000000000000000000000000000000000000000000, expected nil",
        ),
        (|h| h.parent_hash = B256::ZERO, "unknown ancestor"),
        (|h| h.number += 1, "unknown ancestor"),
        (|h| h.timestamp -= 1, "invalid timestamp"),
        (|h| h.gas_used = 8_000_001, "invalid gasUsed: have 8000001, gasLimit 8000000"),
        (|h| h.gas_limit += 7_812, "invalid gas limit: have 8007812, want 8000000 +-= 7811"),
        (|h| h.base_fee_per_gas = None, "header is missing baseFee"),
        (
            |h| h.base_fee_per_gas = Some(1),
            "invalid baseFee: have 1, want 586181641, parentBaseFee 669921875, parentGasUsed 0",
        ),
        (|h| h.difficulty = U256::ONE, "wrong difficulty"),
    ];

    #[test]
    fn each_rule_refuses_with_geths_text() {
        let case = case(spec(Some(0)), 4);
        let good = sealed(case.header.clone(), &case.signer);
        assert_eq!(case.verify(&good).unwrap(), address(&case.signer));
        for (change, want) in &BETWEEN_EPOCHS {
            assert_eq!(case.error(change), *want);
        }
    }

    #[test]
    fn the_first_broken_rule_is_the_one_named() {
        let case = case(spec(Some(0)), 4);
        // Any two changes at once: the earlier rule speaks, unless both write one field.
        let touches_same = |a: Change, b: Change| {
            let (mut both, mut once) = (case.header.clone(), case.header.clone());
            b(&mut both);
            a(&mut both);
            a(&mut once);
            let mut again = both.clone();
            b(&mut again);
            again != both || both == once
        };
        let mut pairs = 0;
        for (at, (first, want)) in BETWEEN_EPOCHS.iter().enumerate() {
            for (second, _) in &BETWEEN_EPOCHS[at + 1..] {
                if touches_same(*first, *second) {
                    continue;
                }
                let error = case.error(|header| {
                    second(header);
                    first(header);
                });
                assert_eq!(error, *want);
                pairs += 1;
            }
        }
        assert!(pairs > 100, "{pairs}");
    }

    #[test]
    fn later_fields_are_named() {
        let case = case(spec(Some(0)), 4);
        let zero = B256::ZERO;
        let digits = "0".repeat(64);
        assert_eq!(
            case.error(|h| h.excess_blob_gas = Some(7)),
            "invalid excessBlobGas: have 7, expected nil"
        );
        assert_eq!(
            case.error(|h| h.blob_gas_used = Some(8)),
            "invalid blobGasUsed: have 8, expected nil"
        );
        assert_eq!(
            case.error(|h| h.parent_beacon_block_root = Some(zero)),
            format!("invalid parentBeaconRoot, have 0x{digits}, expected nil")
        );
        assert_eq!(
            case.error(|h| h.requests_hash = Some(zero)),
            format!("invalid requestsHash: have {digits}, expected nil")
        );
    }

    #[test]
    fn epoch_blocks_list_the_signers_and_do_not_vote() {
        let case = case(spec(None), EPOCH);
        let good = sealed(case.header.clone(), &case.signer);
        case.verify(&good).unwrap();
        let list = case.snapshot.signer_bytes();
        assert_eq!(
            case.error(|h| h.beneficiary = Address::repeat_byte(1)),
            "beneficiary in checkpoint block non-zero"
        );
        assert_eq!(case.error(|h| h.nonce = NONCE_ADD), "vote nonce in checkpoint block non-zero");
        assert_eq!(
            case.error(|h| with_list(h, &list[1..])),
            "invalid signer list on checkpoint block"
        );
        let reversed: Vec<u8> = list.chunks(20).rev().flatten().copied().collect();
        for wrong in [&reversed[..], &list[20..], &[]] {
            assert_eq!(
                case.error(|h| with_list(h, wrong)),
                "mismatching signer list on checkpoint block"
            );
        }
    }

    #[test]
    fn before_london_there_is_no_base_fee_and_its_first_block_doubles_the_limit() {
        let before = case(spec(Some(4)), 3);
        assert_eq!(before.header.base_fee_per_gas, None);
        assert_eq!(
            before.error(|h| h.base_fee_per_gas = Some(7)),
            "invalid baseFee before fork: have 7, want <nil>"
        );
        let first = case(spec(Some(4)), 4);
        assert_eq!(first.header.base_fee_per_gas, Some(1_000_000_000));
        assert_eq!(first.header.gas_limit, 16_000_000 - 16_000_000 / 1_024 + 1);
        first.verify(&sealed(first.header.clone(), &first.signer)).unwrap();
        assert_eq!(
            first.error(|h| h.gas_limit = 8_000_000),
            "invalid gas limit: have 8000000, want 16000000 +-= 15624"
        );
    }

    #[test]
    fn strangers_repeats_and_broken_seals_are_refused() {
        let case = case(spec(Some(0)), 4);
        let keys = keys();
        let error = |header: &Header| case.verify(header).unwrap_err().to_string();
        let stranger = key("stranger", 0);
        assert_eq!(error(&sealed(case.header.clone(), &stranger)), "unauthorized signer");
        // block 3 was sealed by index 0
        assert_eq!(error(&sealed(case.header.clone(), &keys[0])), "recently signed");
        let with_seal = |seal: [u8; 65]| {
            let mut header = case.header.clone();
            super::super::seal::attach_seal(&mut header, seal).unwrap();
            header
        };
        let mut seal = [1; 65];
        seal[64] = 4;
        assert_eq!(error(&with_seal(seal)), "invalid signature recovery id");
        assert_eq!(error(&with_seal([0; 65])), "recovery failed");
    }

    #[test]
    fn high_s_is_a_twin_that_only_networks_of_ours_refuse() {
        let mut case = case(spec(Some(0)), 4);
        let good = sealed(case.header.clone(), &case.signer).unseal();
        let seal = split_extra_data(&good.extra_data).unwrap().seal;
        assert!(!is_high_s(seal));
        let order = U256::from_be_bytes(alloy_primitives::hex!(
            "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
        ));
        let s = U256::from_be_slice(&seal[32..64]);
        let mut twin = *seal;
        twin[32..64].copy_from_slice(&(order - s).to_be_bytes::<32>());
        twin[64] ^= 1;
        assert!(is_high_s(&twin));
        let mut header = good.clone();
        super::super::seal::attach_seal(&mut header, twin).unwrap();
        assert_ne!(header.hash_slow(), good.hash_slow());
        assert_eq!(case.verify(&header).unwrap(), address(&case.signer));
        case.spec.has_msnet_section = true;
        assert_eq!(case.verify(&header).unwrap_err().to_string(), "invalid seal: high s");
    }
}
