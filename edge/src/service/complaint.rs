//! From a delivery that does not prove to a decided case, and what it did to the owner's standing.

use alloy_primitives::B256;
use alloy_sol_types::{SolCall, SolValue};
use contracts::{
    abi::{Credibility, DeliveryLedger, Supervision},
    codes::{complaint_kind, verdict},
    networks,
};
use serde::Serialize;

use super::Edge;
use crate::{
    error::EdgeError,
    onchain::{At, InstId, submit::Sent, tables::Case},
    supervision::{BadLeaf, case_id, evidence, hash_mismatch, level_name},
};

/// An institution's standing at one moment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Mean credibility, hundredths of a percent.
    pub mean_bps: u16,
    /// Its lower bound: what thresholds look at.
    pub lcb_bps: u16,
    /// Events behind it.
    pub count: u32,
    /// Sanctions against it.
    pub sanctions: Vec<SanctionView>,
}

/// A sanction, as a list shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SanctionView {
    /// Its level in words.
    pub level: &'static str,
    /// Ends at this second.
    pub until: u64,
    /// For which case.
    pub case_id: B256,
}

/// A complaint that was decided, and what it did to the respondent.
#[derive(Debug, Clone)]
pub struct CaseOutcome {
    /// The case.
    pub case_id: B256,
    /// About whom.
    pub respondent: InstId,
    /// Block in which the rule decided it.
    pub closed_in: u64,
    /// The rule's fault code.
    pub fault: u8,
    /// Ruling (`contracts.md` 2).
    pub ruling: u8,
    /// Severity.
    pub severity: u8,
    /// The respondent when this edge set out to have it decided.
    pub before: Standing,
    /// And now.
    pub after: Standing,
}

impl Edge {
    /// Proves a record that contradicts its owner's root, files the complaint with its evidence, and has it closed by rule.
    /// A case of this edge about the same delivery, left open by an interruption, is finished instead of filing another.
    ///
    /// # Errors
    /// [`EdgeError::Input`] if nothing in the delivery contradicts a root, [`EdgeError::Chain`] with a contract's refusal.
    pub async fn file_complaint(&self, delivery_id: B256) -> Result<CaseOutcome, EdgeError> {
        let about_it = |case: &Case| case.subject == delivery_id && case.ruling.is_none();
        if let Some(case_id) = self.own_content_case(about_it) {
            return self.close_by_rule(case_id).await;
        }
        let inner = &self.inner;
        let incoming = self.incoming(delivery_id)?;
        let index = incoming
            .pulled
            .records
            .iter()
            .position(|record| record.verdict == verdict::LEAF_PROOF)
            .ok_or_else(|| {
                EdgeError::input(
                    "no record of this delivery contradicts its owner's root",
                    "deliveryId",
                    "complain about a delivery whose verification failed at the leaf",
                )
            })?;
        let before = self.standing(incoming.owner).await?;
        let offer = &incoming.offer;
        let proof = BadLeaf::of(&offer.doc, &incoming.frames, index)?;
        self.prove(&proof).await?;

        let bundle = evidence::bad_leaf(
            &proof,
            incoming.pulled.offer_hash,
            offer.signer,
            &offer.signature,
            &incoming.frames[index].preimage,
            &inner.chain,
        )?;
        let happened_at = inner.chain.head().await?.timestamp;
        let complaint = hash_mismatch(
            inner.institution,
            incoming.owner,
            delivery_id,
            bundle.hash,
            happened_at,
        )?;
        let case_id = case_id(&complaint, inner.chain.chain_id());
        bundle.keep(&inner.datadir.join("evidence"), case_id)?;
        let data = [&Supervision::fileCall::SELECTOR[..], &complaint.abi_encode()].concat();
        self.act(networks::SUPERVISION, data).await?;
        Ok(CaseOutcome { before, ..self.close_by_rule(case_id).await? })
    }

    /// Finishes what this edge has begun about content of `owner`: an open case is closed by rule, a decided one is told as
    /// it ended. `None` if it never complained about such a thing.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] with a contract's refusal.
    pub async fn finish_complaint(&self, owner: InstId) -> Result<Option<CaseOutcome>, EdgeError> {
        let open = |case: &Case| case.respondent == owner && case.ruling.is_none();
        if let Some(case_id) = self.own_content_case(open) {
            return self.close_by_rule(case_id).await.map(Some);
        }
        let Some(case_id) = self.own_content_case(|case| case.respondent == owner) else {
            return Ok(None);
        };
        let standing = self.standing(owner).await?;
        self.outcome(case_id, standing.clone(), standing).map(Some)
    }

    /// A complaint of this edge about delivered content.
    fn own_content_case(&self, fits: impl Fn(&Case) -> bool) -> Option<B256> {
        let own = self.inner.institution;
        self.inner.follower.read(|tables| {
            let mut cases = tables.cases.iter();
            let found = cases.find(|(_, case)| {
                case.complainant == own && case.kind == complaint_kind::HASH_MISMATCH && fits(case)
            });
            found.map(|(&case_id, _)| case_id)
        })
    }

    async fn close_by_rule(&self, case_id: B256) -> Result<CaseOutcome, EdgeError> {
        let case = self.case(case_id)?;
        let before = self.standing(case.respondent).await?;
        let close = Supervision::closeByRuleCall { caseId: case_id };
        self.act(networks::SUPERVISION, close.abi_encode()).await?;
        self.outcome(case_id, before, self.standing(case.respondent).await?)
    }

    fn outcome(
        &self,
        case_id: B256,
        before: Standing,
        after: Standing,
    ) -> Result<CaseOutcome, EdgeError> {
        let case = self.case(case_id)?;
        Ok(CaseOutcome {
            case_id,
            respondent: case.respondent,
            closed_in: case.steps.last().map_or(0, |step| step.block_number),
            fault: case.fault.unwrap_or(0),
            ruling: case.ruling.unwrap_or(0),
            severity: case.severity.unwrap_or(0),
            before,
            after,
        })
    }

    fn case(&self, case_id: B256) -> Result<Case, EdgeError> {
        let found = self.inner.follower.read(|tables| tables.cases.get(&case_id).cloned());
        found.ok_or_else(|| EdgeError::Chain(format!("case {case_id} is not in the logs")))
    }

    async fn prove(&self, proof: &BadLeaf) -> Result<Sent, EdgeError> {
        let arguments = (
            proof.offer.document()?,
            proof.entry.clone(),
            proof.entry_index,
            proof.entry_proof.clone(),
            proof.leaf_proof.clone(),
        );
        let selector = DeliveryLedger::proveBadLeafCall::SELECTOR;
        let data = [&selector[..], &arguments.abi_encode_params()].concat();
        self.act(networks::DELIVERY_LEDGER, data).await
    }

    /// An institution's credibility and sanctions, now.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] if the node does not answer.
    pub async fn standing(&self, institution: InstId) -> Result<Standing, EdgeError> {
        let inner = &self.inner;
        let t = inner.chain.head().await?.timestamp;
        let call = Credibility::scoreCall { subject: institution, t };
        let score = inner.chain.read(networks::CREDIBILITY, &call, At::Latest).await?;
        let sanctions = inner.follower.read(|tables| {
            let against = tables.sanctions.values().filter(|s| s.party == institution);
            against
                .map(|s| SanctionView {
                    level: level_name(s.level),
                    until: s.until,
                    case_id: s.case_id,
                })
                .collect()
        });
        Ok(Standing {
            mean_bps: score.meanBps,
            lcb_bps: score.lcbBps,
            count: score.count,
            sanctions,
        })
    }
}
