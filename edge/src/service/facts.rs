//! Gathers what the release check looks at: the signature, the chain at its final and at its newest block, this house.

use std::{collections::HashMap, sync::Mutex};

use alloy_primitives::B256;
use axum::http::HeaderMap;
use contracts::{
    abi::{AccessRegistry, DatasetCatalog, InstitutionRegistry, Sanctions},
    codes::key_kind,
    networks,
    roles::practitioner,
};

use super::{Edge, now_secs};
use crate::{
    access::{Asked, BasisFacts, ChainFacts, Facts, PartyFacts, refusal},
    error::EdgeError,
    onchain::{At, InstId},
    peer::signature::{Basis, RequestParts, SignatureFault},
};

/// Requests an institution may make in an hour.
const REQUESTS_AN_HOUR: u32 = 600;
/// Records an institution may receive in an hour.
const RECORDS_AN_HOUR: u64 = 100_000;
const HOUR: u64 = 3_600;
/// Blocks over which the observed period is averaged.
const PERIOD_BLOCKS: u64 = 10;
/// Institution states in which it may ask: Probation and Active (`contracts.md` 6).
const MAY_ASK: [u8; 2] = [3, 4];

/// A request whose signature holds.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What was signed.
    pub parts: RequestParts,
    /// Whose key signed.
    pub party: InstId,
}

impl Signed {
    /// The grant the request stands on.
    ///
    /// # Errors
    /// `BASIS_UNKNOWN` if it stands on something else than `grant_id`.
    pub fn grant(&self, grant_id: B256) -> Result<B256, EdgeError> {
        match self.parts.basis {
            Basis::Grant(id) if id == grant_id => Ok(id),
            _ => Err(refusal::BASIS_UNKNOWN.into()),
        }
    }
}

/// How much each institution asked for in the running hour.
#[derive(Debug, Default)]
pub struct Quota {
    used: Mutex<HashMap<InstId, (u64, u32, u64)>>,
}

impl Quota {
    /// Counts a request; `false` once the hour's requests or records are used up.
    pub fn charge(&self, party: InstId, now: u64) -> bool {
        let mut used = self.used.lock().expect("no holder panics");
        used.retain(|_, (hour, ..)| *hour == now / HOUR);
        let (_, requests, records) = used.entry(party).or_insert((now / HOUR, 0, 0));
        *requests = requests.saturating_add(1);
        *requests <= REQUESTS_AN_HOUR && *records < RECORDS_AN_HOUR
    }

    /// Counts records that went out.
    pub fn delivered(&self, party: InstId, records: u64) {
        let mut used = self.used.lock().expect("no holder panics");
        if let Some((_, _, sum)) = used.get_mut(&party) {
            *sum = sum.saturating_add(records);
        }
    }
}

impl Edge {
    /// Step 1 of the release check: signature, window, nonce, key.
    ///
    /// # Errors
    /// `Ok(Err(fault))` is the peer's fault; an outer error is ours.
    pub(crate) fn check_signature(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Result<Signed, SignatureFault>, EdgeError> {
        let now = now_secs();
        let target = format!("{}{path}", self.endpoint());
        let authority = self.addr().to_string();
        let checked = RequestParts::read(method, &authority, &target, headers, body)
            .and_then(|parts| self.check_key(&parts, headers, now).map(|party| (parts, party)));
        let (parts, party) = match checked {
            Ok(checked) => checked,
            Err(fault) => return Ok(Err(fault)),
        };
        if !self.nonces().remember(parts.key_id, parts.nonce, now)? {
            return Ok(Err(SignatureFault::Replayed));
        }
        Ok(Ok(Signed { parts, party }))
    }

    fn check_key(
        &self,
        parts: &RequestParts,
        headers: &HeaderMap,
        now: u64,
    ) -> Result<InstId, SignatureFault> {
        let key = self
            .inner
            .follower
            .read(|tables| tables.keys.get(&parts.key_id).cloned())
            .filter(|key| key.kind == key_kind::TRANSPORT_ED25519)
            .ok_or(SignatureFault::KeyNotValid)?;
        parts.check_signature(&key.public_key, headers)?;
        parts.check_window(now)?;
        if !key.valid_at(parts.created) || !key.valid_at(now) {
            return Err(SignatureFault::KeyNotValid);
        }
        Ok(key.subject)
    }

    /// Who asks, in the words of the release check.
    pub(super) fn asked(&self, signed: &Signed) -> Asked {
        Asked {
            party: signed.party,
            actor: signed.parts.actor,
            purpose: signed.parts.purpose,
            now: now_secs(),
        }
    }

    /// Steps 2 to 5, 9 and 10: what the chain and this house say. The signature has been checked.
    ///
    /// # Errors
    /// `CHAIN_UNREACHABLE` if the node does not answer.
    pub(super) async fn facts(&self, signed: &Signed, grant_id: B256) -> Result<Facts, EdgeError> {
        let gathered = async {
            let party = self.party_facts(signed.party, signed.parts.actor).await?;
            let basis = self.basis_facts(grant_id).await?;
            let chain = self.chain_facts().await?;
            Ok((party, basis, chain))
        };
        let (party, basis, chain) = gathered.await.map_err(unreachable)?;
        let within_quota = self.inner.quota.charge(signed.party, now_secs());
        Ok(Facts { signature: Ok(()), party, basis, within_quota, chain })
    }

    /// Step 2: the requester as it stands in the newest block.
    pub(super) async fn party_facts(
        &self,
        party: InstId,
        actor: InstId,
    ) -> Result<PartyFacts, EdgeError> {
        let chain = &self.inner.chain;
        let active = self.is_effective(party).await?;
        let sanction = Sanctions::mayRequestCall { party };
        let may_request = chain.read(networks::SANCTIONS, &sanction, At::Latest).await?;
        let role = InstitutionRegistry::mayActCall {
            subject: actor,
            inst: party,
            roleMask: practitioner::RESEARCHER,
        };
        let credential = chain.read(networks::INSTITUTION_REGISTRY, &role, At::Latest).await?;
        Ok(PartyFacts { active, may_request, credential })
    }

    /// Probation or Active in the newest block.
    async fn is_effective(&self, institution: InstId) -> Result<bool, EdgeError> {
        let head = self.inner.chain.head().await?;
        let call = InstitutionRegistry::statusAtCall { id: institution, t: head.timestamp };
        let status =
            self.inner.chain.read(networks::INSTITUTION_REGISTRY, &call, At::Latest).await?;
        Ok(MAY_ASK.contains(&status))
    }

    /// Steps 3 to 5: a right begins when it is final and ends when its end is seen.
    async fn basis_facts(&self, grant_id: B256) -> Result<Option<BasisFacts>, EdgeError> {
        let inner = &self.inner;
        inner.follower.catch_up().await?;
        let Some(grant) = inner.follower.read(|tables| tables.grants.get(&grant_id).cloned())
        else {
            return Ok(None);
        };
        let last = self.final_head().await?;
        let live = AccessRegistry::liveGrantCall { grantId: grant_id, t: now_secs() };
        let live_final =
            inner.chain.read(networks::ACCESS_REGISTRY, &live, At::Block(last.hash)).await?;
        let fits = DatasetCatalog::compatibleCall {
            id: grant.request.dataset,
            purpose: grant.request.purpose,
            duo: grant.request.duo,
            mode: grant.request.mode,
        };
        let duo_fits = inner.chain.read(networks::DATASET_CATALOG, &fits, At::Latest).await?;
        Ok(Some(BasisFacts {
            requester: grant.request.requester,
            owner: grant.request.owner,
            purpose: grant.request.purpose,
            state_seen: grant.state,
            from: grant.from,
            until: grant.until,
            live_final,
            parties_effective: self.is_effective(grant.request.requester).await?
                && self.is_effective(grant.request.owner).await?,
            duo_fits,
        }))
    }

    /// Step 10: how old what we know is. The period is observed over the last blocks.
    pub(super) async fn chain_facts(&self) -> Result<ChainFacts, EdgeError> {
        let head = self.inner.chain.head().await?;
        let last = self.final_head().await?;
        let before = head.number.saturating_sub(PERIOD_BLOCKS);
        let earlier = self.inner.chain.block(before).await?.map(|(_, earlier)| earlier);
        let period_secs = match earlier {
            // block 0 carries the moment the genesis was made, which says nothing about the pace
            Some(earlier) if earlier.number > 0 && earlier.number < head.number => {
                head.timestamp.saturating_sub(earlier.timestamp).div_ceil(PERIOD_BLOCKS)
            }
            _ => 1,
        };
        let now = now_secs();
        Ok(ChainFacts {
            reachable: true,
            head_age_secs: now.saturating_sub(head.timestamp),
            final_age_secs: now.saturating_sub(last.timestamp),
            period_secs,
        })
    }
}

/// A node that does not answer is a refusal with a code, not an internal error.
pub(super) fn unreachable(error: EdgeError) -> EdgeError {
    match error {
        EdgeError::Chain(why) => {
            tracing::warn!(why, "the chain could not be asked");
            refusal::CHAIN_UNREACHABLE.into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::FixedBytes;

    #[test]
    fn a_quota_is_per_party_and_per_hour() {
        let quota = Quota::default();
        let (a, b) = (FixedBytes([1; 16]), FixedBytes([2; 16]));
        for _ in 0..REQUESTS_AN_HOUR {
            assert!(quota.charge(a, 7_200));
        }
        assert!(!quota.charge(a, 7_201));
        assert!(quota.charge(b, 7_201));
        assert!(quota.charge(a, 10_800), "the next hour");
        quota.delivered(b, RECORDS_AN_HOUR);
        assert!(quota.charge(b, 10_800), "an entry of the last hour was forgotten");
        quota.delivered(b, RECORDS_AN_HOUR);
        assert!(!quota.charge(b, 10_801));
    }
}
