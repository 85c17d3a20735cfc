//! The header that a signer is about to seal: whose turn, when, with which vote.

use std::collections::BTreeMap;

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{Address, B64, Bytes, U256};

use super::{
    CliqueError, DIFFICULTY_IN_TURN, DIFFICULTY_OUT_OF_TURN, NONCE_ADD, NONCE_DROP, SEAL_BYTES,
    Snapshot, VANITY_BYTES,
};
use crate::{
    block::{Header, SealedHeader},
    spec::ChainSpec,
    validate::{next_base_fee, next_gas_limit},
};

/// Time between two eligible signers of one block, ms, if the operator says no other: enough for a block to reach the
/// next one, so that it stays silent.
pub const SLOT_MS: u64 = 500;

/// What a signer decides by itself about the blocks it seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealerSettings {
    /// Its address.
    pub signer: Address,
    /// Gas limit that its blocks walk toward.
    pub gas_limit_target: u64,
    /// First bytes of extra-data, free to use.
    pub vanity: [u8; VANITY_BYTES],
    /// Time it leaves to each eligible signer before it, ms (`--miner.slot`).
    pub slot_ms: u64,
    /// Votes it wants to cast: account → add or drop.
    pub proposals: BTreeMap<Address, bool>,
}

impl SealerSettings {
    /// No vanity, no votes, the usual slot.
    pub const fn new(signer: Address, gas_limit_target: u64) -> Self {
        Self {
            signer,
            gas_limit_target,
            vanity: [0; VANITY_BYTES],
            slot_ms: SLOT_MS,
            proposals: BTreeMap::new(),
        }
    }
}

/// 2 if it is the signer's turn at `number`, else 1.
pub fn difficulty(snapshot: &Snapshot, number: u64, signer: Address) -> u64 {
    if snapshot.is_in_turn(number, signer) { DIFFICULTY_IN_TURN } else { DIFFICULTY_OUT_OF_TURN }
}

/// How many eligible signers come before this one at `number`; none if it may not seal there.
///
/// Eligible are the signers outside the window, ordered by (number − index) mod N. So the in-turn
/// signer has rank 0, and the next one has it when the in-turn signer sealed too recently.
pub fn rank(snapshot: &Snapshot, number: u64, signer: Address) -> Option<u64> {
    let count = snapshot.signers.len() as u64;
    let distance = |index: usize| (number % count + count - index as u64) % count;
    let own = distance(snapshot.index_of(signer)?);
    if snapshot.is_recent(number, signer) {
        return None;
    }
    let is_before = |&(index, &other): &(usize, &Address)| {
        distance(index) < own && !snapshot.is_recent(number, other)
    };
    Some(snapshot.signers.iter().enumerate().filter(is_before).count() as u64)
}

/// Earliest moment, in ms since the epoch, at which this signer should publish the child of `parent`;
/// none if it may not seal it.
///
/// `ready_ms` is when the parent became head or, with period 0, when work appeared. Not consensus:
/// a block published earlier is as valid once its timestamp has come.
pub fn earliest_seal_ms(
    spec: &ChainSpec,
    parent: &SealedHeader,
    snapshot: &Snapshot,
    settings: &SealerSettings,
    ready_ms: u64,
) -> Option<u64> {
    let period_secs = spec.clique?.period_secs;
    let rank = rank(snapshot, parent.number.checked_add(1)?, settings.signer)?;
    let slot = parent.timestamp.checked_add(period_secs)?.checked_mul(1_000)?;
    slot.max(ready_ms).checked_add(rank.checked_mul(settings.slot_ms)?)
}

/// The header of the child of `parent`, ready for transactions: gas used, bloom and the three roots
/// are those of an empty block without state changes, the seal is 65 zero bytes.
///
/// # Errors
/// [`CliqueError::NotClique`] without a `clique` section; [`CliqueError::UnauthorizedSigner`] or
/// [`CliqueError::RecentlySigned`] if the signer may not seal this block.
pub fn prepare_header(
    spec: &ChainSpec,
    parent: &SealedHeader,
    snapshot: &Snapshot,
    settings: &SealerSettings,
    now_secs: u64,
) -> Result<Header, CliqueError> {
    let config = spec.clique.ok_or(CliqueError::NotClique)?;
    let number = parent.number.checked_add(1).ok_or(CliqueError::UnknownAncestor)?;
    if !snapshot.signers.contains(&settings.signer) {
        return Err(CliqueError::UnauthorizedSigner);
    }
    if snapshot.is_recent(number, settings.signer) {
        return Err(CliqueError::RecentlySigned);
    }
    let is_epoch_block = number.is_multiple_of(config.epoch);
    let vote = if is_epoch_block { None } else { choose_vote(snapshot, number, settings) };
    let (beneficiary, nonce) = vote.unwrap_or((Address::ZERO, NONCE_DROP));
    let list = if is_epoch_block { snapshot.signer_bytes() } else { Vec::new() };
    Ok(Header {
        parent_hash: parent.hash(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary,
        state_root: parent.state_root,
        difficulty: U256::from(difficulty(snapshot, number, settings.signer)),
        number,
        gas_limit: next_gas_limit(spec, parent, settings.gas_limit_target),
        timestamp: parent.timestamp.saturating_add(config.period_secs).max(now_secs),
        extra_data: Bytes::from([&settings.vanity[..], &list, &[0; SEAL_BYTES]].concat()),
        nonce,
        base_fee_per_gas: next_base_fee(spec, parent),
        ..Header::default()
    })
}

/// One of the proposals that would still change the set, by turns: position number mod count.
///
/// A vote about the zero address (Besu ignores it, geth counts it) or against the last signer is
/// never cast.
fn choose_vote(
    snapshot: &Snapshot,
    number: u64,
    settings: &SealerSettings,
) -> Option<(Address, B64)> {
    let is_useful = |&(&address, &authorize): &(&Address, &bool)| {
        snapshot.is_useful_vote(address, authorize)
            && !address.is_zero()
            && (authorize || snapshot.signers.len() > 1)
    };
    let useful: Vec<_> = settings.proposals.iter().filter(is_useful).collect();
    let turn = number.checked_rem(useful.len() as u64)?;
    let (address, authorize) = *useful.get(usize::try_from(turn).ok()?)?;
    Some((*address, if *authorize { NONCE_ADD } else { NONCE_DROP }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secp256k1::SecretKey;

    use super::*;
    use crate::{
        clique::{
            testing::{address, key, sealed},
            verify::verify_header,
        },
        spec::{CliqueConfig, Forks},
    };

    fn spec(zero_base_fee: bool) -> ChainSpec {
        ChainSpec {
            chain_id: 1337,
            forks: Forks { homestead: Some(0), london: Some(0), ..Forks::default() },
            clique: Some(CliqueConfig { period_secs: 2, epoch: 7 }),
            terminal_total_difficulty: None,
            has_msnet_section: true,
            finality: false,
            zero_base_fee,
        }
    }

    fn start(spec: &ChainSpec, count: usize) -> (Vec<SecretKey>, SealedHeader, Snapshot) {
        let mut keys: Vec<_> = (0..count as u64).map(|draw| key("signer", draw)).collect();
        keys.sort_by_key(address);
        let list: Vec<u8> = keys.iter().flat_map(|key| address(key).0.0).collect();
        let header = SealedHeader::seal_slow(Header {
            gas_limit: 10_000_000,
            timestamp: 1_000,
            base_fee_per_gas: Some(if spec.zero_base_fee { 0 } else { 1_000_000_000 }),
            extra_data: [&[0; 32][..], &list, &[0; 65]].concat().into(),
            ..Header::default()
        });
        let snapshot = Snapshot::genesis(&header, spec.clique.unwrap()).unwrap();
        (keys, header, snapshot)
    }

    fn settings(signer: Address) -> SealerSettings {
        SealerSettings { vanity: [b'v'; 32], ..SealerSettings::new(signer, 30_000_000) }
    }

    #[test]
    fn ranks_follow_the_turn_and_skip_the_window() {
        let spec = spec(true);
        let (keys, genesis, snapshot) = start(&spec, 4);
        let signers: Vec<_> = keys.iter().map(address).collect();
        let ranks = |snapshot: &Snapshot, number| {
            signers.iter().map(|&signer| rank(snapshot, number, signer)).collect::<Vec<_>>()
        };
        // 1 mod 4: index 1 in turn, then 0, 3, 2: who was in turn last comes next
        assert_eq!(ranks(&snapshot, 1), [Some(1), Some(0), Some(3), Some(2)]);
        assert_eq!(difficulty(&snapshot, 1, signers[1]), 2);
        assert_eq!(difficulty(&snapshot, 1, signers[2]), 1);
        assert_eq!(rank(&snapshot, 1, Address::repeat_byte(9)), None);
        // index 2 seals block 1 out of turn and then misses its turn at 2
        let header = prepare_header(&spec, &genesis, &snapshot, &settings(signers[2]), 0).unwrap();
        assert_eq!(header.timestamp, 1_002);
        let first = sealed(header, &keys[2]);
        let after = snapshot.apply(&first, signers[2]).unwrap();
        assert_eq!(ranks(&after, 2), [Some(1), Some(0), None, Some(2)]);
        assert_eq!(
            prepare_header(&spec, &first, &after, &settings(signers[2]), 0),
            Err(CliqueError::RecentlySigned)
        );
        let earliest =
            |signer, ready| earliest_seal_ms(&spec, &first, &after, &settings(signer), ready);
        assert_eq!(earliest(signers[1], 0), Some(1_004_000));
        assert_eq!(earliest(signers[3], 0), Some(1_005_000));
        assert_eq!(earliest(signers[0], 1_010_123), Some(1_010_623));
        assert_eq!(earliest(signers[2], 0), None);
    }

    #[test]
    fn an_empty_set_has_no_rank_and_no_turn() {
        let (_, _, mut snapshot) = start(&spec(true), 1);
        snapshot.signers.clear();
        assert_eq!(rank(&snapshot, 3, Address::ZERO), None);
        assert_eq!(difficulty(&snapshot, 3, Address::ZERO), 1);
    }

    #[test]
    fn votes_take_turns_and_never_harm() {
        let spec = spec(true);
        let (keys, mut parent, mut snapshot) = start(&spec, 1);
        let signer = address(&keys[0]);
        let mut settings = settings(signer);
        let (a, b) = (Address::repeat_byte(0xa), Address::repeat_byte(0xb));
        settings.proposals = BTreeMap::from([
            (Address::ZERO, true),
            (a, true),
            (b, true),
            (Address::repeat_byte(0xc), false),
            (signer, false),
        ]);
        let header = prepare_header(&spec, &parent, &snapshot, &settings, 0).unwrap();
        assert_eq!((header.beneficiary, header.nonce), (b, NONCE_ADD));
        parent = sealed(header, &keys[0]);
        snapshot = snapshot.apply(&parent, signer).unwrap();
        // b is in; what is left to say is a, and now dropping ourselves is allowed too
        assert_eq!(snapshot.signers.len(), 2);
        settings.proposals.remove(&signer);
        snapshot.recents.clear();
        let header = prepare_header(&spec, &parent, &snapshot, &settings, 0).unwrap();
        assert_eq!((header.beneficiary, header.nonce), (a, NONCE_ADD));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever signer acts when, what it prepares and seals passes every rule.
        #[test]
        fn prepared_headers_verify(
            count in 1_usize..6,
            zero_base_fee: bool,
            steps in proptest::collection::vec((any::<usize>(), 0_u8..40, any::<u64>()), 1..24),
        ) {
            let spec = spec(zero_base_fee);
            let (keys, mut parent, mut snapshot) = start(&spec, count);
            for (pick, late, gas) in steps {
                let number = parent.number + 1;
                let eligible: Vec<_> = keys
                    .iter()
                    .filter(|key| rank(&snapshot, number, address(key)).is_some())
                    .collect();
                prop_assert!(eligible.len() == count - count / 2 || number <= count as u64 / 2);
                let signer = eligible[pick % eligible.len()];
                let mut settings = settings(address(signer));
                settings.proposals.insert(Address::with_last_byte(late), true);
                let now = parent.timestamp + u64::from(late);
                let mut header =
                    prepare_header(&spec, &parent, &snapshot, &settings, now).unwrap();
                header.gas_used = gas % (header.gas_limit + 1);
                let header = sealed(header, signer);
                let now_ms = header.timestamp * 1_000;
                let got = verify_header(&spec, &header, &parent, &snapshot, now_ms).unwrap();
                prop_assert_eq!(got, address(signer));
                let next = snapshot.apply(&header, got).unwrap();
                // one stranger's vote of many signers may pass; keep the set for this test
                snapshot = Snapshot { signers: snapshot.signers.clone(), ..next };
                parent = header;
            }
        }
    }
}
