//! May this party have this now? [`release_check`] is the only place that answers (`protocol.md` 4).
//!
//! It is a pure function of [`Facts`]: what the signature, the chain and this house say. Facts are gathered in `service`,
//! so the order of the steps can be tested without a chain. It stops at the first failure; step 6 runs per record, drops
//! what fails and goes on. Steps 7 (consent) and 8 (confidentiality) come with the consent engine and are left out: until
//! then an institution anchors nothing that a patient has objected to.
//!
//! Step 3 asks whether the basis has *begun* (granted, final, term running), step 4 whether its end has been *seen*. So a
//! revoked grant answers `BASIS_ENDED`, whatever the final block still says.

pub mod grant;
pub mod refusal;
pub mod request;

use refusal::Class;
use request::{RecordFacts, Scope};

use crate::{
    error::EdgeError,
    onchain::{InstId, tables::grant_state},
    peer::signature::SignatureFault,
};

/// Head younger than this many block periods, or the chain is stale.
const MAX_HEAD_PERIODS: u64 = 10;
/// Final block younger than this many block periods, or the chain is stale.
const MAX_FINAL_PERIODS: u64 = 30;
/// A lag below this many seconds is never stale, however short the period.
const MIN_LAG_SECS: u64 = 10;

/// Who asks, and for what purpose: the signed parts of the request.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Institution that the signing key belongs to.
    pub party: InstId,
    /// Acting credential.
    pub actor: InstId,
    /// Purpose named in the request.
    pub purpose: u16,
    /// This edge's clock, seconds.
    pub now: u64,
}

/// What the chain says about the requester.
#[derive(Debug, Clone, Copy)]
pub struct PartyFacts {
    /// Probation or Active now.
    pub active: bool,
    /// No sanction of level 3 or more.
    pub may_request: bool,
    /// The credential is live and holds the role of a researcher.
    pub credential: bool,
}

/// What the chain says about the grant.
#[derive(Debug, Clone, Copy)]
pub struct BasisFacts {
    /// Who may use it.
    pub requester: InstId,
    /// Who gave it.
    pub owner: InstId,
    /// The one purpose.
    pub purpose: u16,
    /// State in the latest block (`contracts.md` 6).
    pub state_seen: u8,
    /// Live from.
    pub from: u64,
    /// Live before.
    pub until: u64,
    /// `liveGrant` at the final block.
    pub live_final: bool,
    /// Both institutions are effective in the latest block.
    pub parties_effective: bool,
    /// The dataset's conditions of today fit purpose, conditions and mode.
    pub duo_fits: bool,
}

/// What the chain looks like from here.
#[derive(Debug, Clone, Copy)]
pub struct ChainFacts {
    /// The node answered.
    pub reachable: bool,
    /// Seconds since the newest block.
    pub head_age_secs: u64,
    /// Seconds since the newest final block.
    pub final_age_secs: u64,
    /// Seconds between blocks, as observed.
    pub period_secs: u64,
}

/// Everything the check looks at but the records.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Step 1.
    pub signature: Result<(), SignatureFault>,
    /// Step 2.
    pub party: PartyFacts,
    /// Steps 3 to 5; `None` if there is no such grant.
    pub basis: Option<BasisFacts>,
    /// Step 9: the requester's rate and volume have room.
    pub within_quota: bool,
    /// Step 10.
    pub chain: ChainFacts,
}

/// A record that may go out.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// What the scope looks at.
    pub facts: RecordFacts<'a>,
    /// Its batch is anchored at a final block.
    pub anchored: bool,
    /// It was withdrawn.
    pub withdrawn: bool,
}

/// A yes: which candidates may go, and why the others may not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Released {
    /// Positions of the candidates that may go.
    pub admitted: Vec<usize>,
    /// Positions of the others with their codes; the requester never sees them.
    pub dropped: Vec<(usize, &'static str)>,
}

/// Steps 1 to 5: is this party, on this ground, at all in a position to ask?
///
/// # Errors
/// The [`Class`] of the first step that fails.
pub fn check_party(asked: &Asked, owner: InstId, facts: &Facts) -> Result<(), Class> {
    facts.signature.map_err(|fault| match fault {
        SignatureFault::Invalid(_) => refusal::SIGNATURE_INVALID,
        SignatureFault::Expired => refusal::SIGNATURE_EXPIRED,
        SignatureFault::Replayed => refusal::NONCE_REPLAYED,
        SignatureFault::KeyNotValid => refusal::KEY_NOT_VALID,
    })?;
    check_requester(&facts.party)?;
    let basis = facts
        .basis
        .filter(|basis| basis.requester == asked.party && basis.owner == owner)
        .ok_or(refusal::BASIS_UNKNOWN)?;
    let ended = is_ended(basis.state_seen) || asked.now >= basis.until || !basis.parties_effective;
    if !ended {
        if basis.state_seen != grant_state::GRANTED || asked.now < basis.from {
            return Err(refusal::BASIS_NOT_LIVE);
        }
        if !basis.live_final {
            return Err(refusal::BASIS_NOT_FINAL);
        }
    }
    if ended {
        return Err(refusal::BASIS_ENDED);
    }
    if basis.purpose != asked.purpose || contracts::codes::purpose::FIRST_FORBIDDEN <= asked.purpose
    {
        return Err(refusal::PURPOSE_MISMATCH);
    }
    if !basis.duo_fits {
        return Err(refusal::DUO_MISMATCH);
    }
    Ok(())
}

/// Step 2 alone, which searches pass too.
///
/// # Errors
/// The [`Class`] of what fails.
pub fn check_requester(party: &PartyFacts) -> Result<(), Class> {
    if !party.active {
        return Err(refusal::REQUESTER_NOT_ACTIVE);
    }
    if !party.may_request {
        return Err(refusal::REQUESTER_SANCTIONED);
    }
    if !party.credential {
        return Err(refusal::CREDENTIAL_NOT_VALID);
    }
    Ok(())
}

/// A state from which a right does not come back by itself: its end was seen.
fn is_ended(state: u8) -> bool {
    use grant_state::{COMPLETED, EXPIRED, LAPSED, REFUSED, REVOKED, SUSPENDED, WITHDRAWN};
    [SUSPENDED, REVOKED, EXPIRED, COMPLETED, REFUSED, WITHDRAWN, LAPSED].contains(&state)
}

/// The whole check. `audit` is step 11: it runs last, and only if it succeeds may a byte leave.
///
/// # Errors
/// [`EdgeError::Permission`] with the code of the first step that fails; whatever `audit` reports counts as
/// `AUDIT_UNAVAILABLE`.
pub fn release_check(
    asked: &Asked,
    owner: InstId,
    facts: &Facts,
    scope: &Scope,
    candidates: &[Candidate<'_>],
    audit: impl FnOnce(&Released) -> Result<(), EdgeError>,
) -> Result<Released, EdgeError> {
    check_party(asked, owner, facts)?;
    if !scope.admits_person(asked.actor) {
        return Err(refusal::SCOPE_EXCEEDED.into());
    }
    let mut released = Released::default();
    for (index, candidate) in candidates.iter().enumerate() {
        match check_record(scope, candidate) {
            Ok(()) => released.admitted.push(index),
            Err(class) => released.dropped.push((index, class.code)),
        }
    }
    let most = usize::try_from(scope.max_records).unwrap_or(usize::MAX);
    let beyond = released.admitted.split_off(most.min(released.admitted.len()));
    released.dropped.extend(beyond.into_iter().map(|index| (index, refusal::SCOPE_EXCEEDED.code)));
    if released.admitted.is_empty() {
        return Err(refusal::NOT_AVAILABLE.into());
    }
    if !facts.within_quota {
        return Err(refusal::QUOTA_EXCEEDED.into());
    }
    check_chain(&facts.chain)?;
    audit(&released).map_err(|error| {
        tracing::error!(%error, "an access could not be written down and was refused");
        EdgeError::from(refusal::AUDIT_UNAVAILABLE)
    })?;
    Ok(released)
}

fn check_record(scope: &Scope, candidate: &Candidate<'_>) -> Result<(), Class> {
    if !scope.admits(candidate.facts) {
        return Err(refusal::SCOPE_EXCEEDED);
    }
    if candidate.withdrawn {
        return Err(refusal::RECORD_WITHDRAWN);
    }
    if !candidate.anchored {
        return Err(refusal::RECORD_NOT_ANCHORED);
    }
    Ok(())
}

/// Step 10: what this edge knows of the chain is fresh.
///
/// # Errors
/// `CHAIN_UNREACHABLE` or `CHAIN_STALE`.
pub fn check_chain(chain: &ChainFacts) -> Result<(), Class> {
    if !chain.reachable {
        return Err(refusal::CHAIN_UNREACHABLE);
    }
    let limit = |periods: u64| chain.period_secs.saturating_mul(periods).max(MIN_LAG_SECS);
    if chain.head_age_secs > limit(MAX_HEAD_PERIODS)
        || chain.final_age_secs > limit(MAX_FINAL_PERIODS)
    {
        return Err(refusal::CHAIN_STALE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::FixedBytes;

    const OWNER: InstId = FixedBytes([0xaa; 16]);
    const ASKER: InstId = FixedBytes([0xbb; 16]);

    fn asked() -> Asked {
        Asked { party: ASKER, actor: ASKER, purpose: 5, now: 150 }
    }

    fn basis() -> BasisFacts {
        BasisFacts {
            requester: ASKER,
            owner: OWNER,
            purpose: 5,
            state_seen: grant_state::GRANTED,
            from: 100,
            until: 200,
            live_final: true,
            parties_effective: true,
            duo_fits: true,
        }
    }

    fn facts() -> Facts {
        Facts {
            signature: Ok(()),
            party: PartyFacts { active: true, may_request: true, credential: true },
            basis: Some(basis()),
            within_quota: true,
            chain: ChainFacts {
                reachable: true,
                head_age_secs: 1,
                final_age_secs: 1,
                period_secs: 1,
            },
        }
    }

    fn scope() -> Scope {
        Scope {
            dataset: [0; 16].into(),
            kinds: Some(vec![3]),
            codes: None,
            fields: None,
            from: None,
            to: None,
            persons: None,
            max_records: 2,
        }
    }

    const RECORD: Candidate<'static> = Candidate {
        facts: RecordFacts { kind: 3, date: None, codes: &[] },
        anchored: true,
        withdrawn: false,
    };

    fn run(facts: &Facts, candidates: &[Candidate<'_>]) -> Result<Released, &'static str> {
        run_with(facts, candidates, Ok(()))
    }

    fn run_with(
        facts: &Facts,
        candidates: &[Candidate<'_>],
        audit: Result<(), EdgeError>,
    ) -> Result<Released, &'static str> {
        release_check(&asked(), OWNER, facts, &scope(), candidates, |_| audit).map_err(|error| {
            match error {
                EdgeError::Permission { code, .. } => code,
                other => panic!("{other}"),
            }
        })
    }

    /// Breaks one step after another, from the last to the first: the earlier failure must always win.
    #[test]
    fn the_first_failing_step_answers() {
        let mut facts = facts();
        assert_eq!(run(&facts, &[RECORD]).unwrap().admitted, [0]);
        let damage = || Err(EdgeError::Internal("disk full".into()));
        assert_eq!(run_with(&facts, &[RECORD], damage()), Err("AUDIT_UNAVAILABLE"));
        facts.chain.final_age_secs = 31;
        assert_eq!(run_with(&facts, &[RECORD], damage()), Err("CHAIN_STALE"));
        facts.chain.reachable = false;
        assert_eq!(run(&facts, &[RECORD]), Err("CHAIN_UNREACHABLE"));
        facts.within_quota = false;
        assert_eq!(run(&facts, &[RECORD]), Err("QUOTA_EXCEEDED"));
        assert_eq!(run(&facts, &[]), Err("NOT_AVAILABLE"));
        type Break = fn(&mut Facts);
        let steps: [(Break, &str); 13] = [
            (|f| f.basis.as_mut().unwrap().duo_fits = false, "DUO_MISMATCH"),
            (|f| f.basis.as_mut().unwrap().purpose = 6, "PURPOSE_MISMATCH"),
            (|f| f.basis.as_mut().unwrap().state_seen = grant_state::REVOKED, "BASIS_ENDED"),
            (|f| f.basis.as_mut().unwrap().owner = ASKER, "BASIS_UNKNOWN"),
            (|f| f.basis = None, "BASIS_UNKNOWN"),
            (|f| f.party.credential = false, "CREDENTIAL_NOT_VALID"),
            (|f| f.party.may_request = false, "REQUESTER_SANCTIONED"),
            (|f| f.party.active = false, "REQUESTER_NOT_ACTIVE"),
            (|f| f.signature = Err(SignatureFault::KeyNotValid), "KEY_NOT_VALID"),
            (|f| f.signature = Err(SignatureFault::Replayed), "NONCE_REPLAYED"),
            (|f| f.signature = Err(SignatureFault::Expired), "SIGNATURE_EXPIRED"),
            (|f| f.signature = Err(SignatureFault::Invalid("")), "SIGNATURE_INVALID"),
            (|f| f.within_quota = true, "SIGNATURE_INVALID"),
        ];
        for (damage, code) in steps {
            damage(&mut facts);
            assert_eq!(run(&facts, &[]), Err(code));
        }
    }

    #[test]
    fn a_basis_begins_when_final_and_ends_when_seen() {
        let with = |change: fn(&mut BasisFacts)| {
            let mut facts = facts();
            change(facts.basis.as_mut().unwrap());
            run(&facts, &[RECORD]).map(|_| "yes").unwrap_or_else(|code| code)
        };
        assert_eq!(with(|b| b.live_final = false), "BASIS_NOT_FINAL");
        assert_eq!(with(|b| b.from = 151), "BASIS_NOT_LIVE");
        assert_eq!(with(|b| b.state_seen = grant_state::REQUESTED), "BASIS_NOT_LIVE");
        assert_eq!(with(|b| b.until = 150), "BASIS_ENDED");
        assert_eq!(with(|b| b.parties_effective = false), "BASIS_ENDED");
        // the revocation is seen, the final block still says live: no delivery
        assert_eq!(with(|b| b.state_seen = grant_state::REVOKED), "BASIS_ENDED");
        assert_eq!(
            with(|b| {
                b.state_seen = grant_state::REVOKED;
                b.live_final = false;
            }),
            "BASIS_ENDED"
        );
        assert_eq!(with(|b| b.state_seen = grant_state::SUSPENDED), "BASIS_ENDED");
        assert_eq!(with(|_| ()), "yes");
    }

    #[test]
    fn records_are_dropped_one_by_one_and_in_silence() {
        let outside =
            Candidate { facts: RecordFacts { kind: 1, date: None, codes: &[] }, ..RECORD };
        let withdrawn = Candidate { withdrawn: true, ..RECORD };
        let fresh = Candidate { anchored: false, ..RECORD };
        let released = run(&facts(), &[outside, RECORD, withdrawn, fresh, RECORD, RECORD]).unwrap();
        assert_eq!(released.admitted, [1, 4]);
        assert_eq!(
            released.dropped,
            [
                (0, "SCOPE_EXCEEDED"),
                (2, "RECORD_WITHDRAWN"),
                (3, "RECORD_NOT_ANCHORED"),
                (5, "SCOPE_EXCEEDED")
            ]
        );
        assert_eq!(run(&facts(), &[outside, withdrawn, fresh]), Err("NOT_AVAILABLE"));
    }

    #[test]
    fn a_short_period_still_allows_ten_seconds() {
        let chain = |head: u64, last: u64, period: u64| {
            check_chain(&ChainFacts {
                reachable: true,
                head_age_secs: head,
                final_age_secs: last,
                period_secs: period,
            })
            .is_ok()
        };
        assert!(chain(10, 30, 1) && !chain(11, 11, 1) && !chain(10, 31, 1));
        assert!(chain(10, 10, 0) && !chain(11, 11, 0));
        assert!(chain(50, 150, 5) && !chain(51, 51, 5));
    }
}
