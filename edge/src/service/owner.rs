//! The owner's side: publish, take requests, accept, deliver, revoke.

use std::{collections::VecDeque, sync::Mutex};

use alloy_primitives::{B256, U256, Uint, keccak256};
use alloy_sol_types::SolCall;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::{
    abi::{AccessRegistry, DatasetCatalog, DeliveryLedger, KeyRegistry},
    leaf::commit,
    networks,
};
use serde::Serialize;
use serde_json::json;

use super::{Edge, facts::Signed, facts::unreachable, now_secs};
use crate::{
    access::{
        Candidate, check_party,
        refusal::{self, BASIS_UNKNOWN},
        release_check,
        request::{RequestEnvelope, canonical_bytes},
    },
    delivery::{
        frame::Frame,
        offer::{Envelope, KeyEnvelope, OfferEnvelope, Packed, PullRequest, ReceiptDoc, pack},
        random_bytes,
        release::{SealSecret, seal_key},
    },
    error::EdgeError,
    onchain::{
        At, InstId,
        submit::Sent,
        tables::{Grant, grant_state},
    },
};

/// Deliveries kept ready for their recipients; the oldest makes room. A delivery that fell out lapses without weight, and
/// the recipient pulls the next number.
const MAX_SPOOLED: usize = 32;
/// Longest plaintext of one delivery.
const MAX_DELIVERY_BYTES: u64 = 8 << 20;

/// Offered deliveries with their keys, in memory only: a key that was never given must not outlive its process.
#[derive(Debug, Default)]
pub struct Spool {
    packed: Mutex<VecDeque<(B256, Packed)>>,
}

impl Spool {
    fn put(&self, offer_hash: B256, packed: Packed) {
        let mut spool = self.packed.lock().expect("no holder panics");
        if spool.len() >= MAX_SPOOLED {
            spool.pop_front();
        }
        spool.push_back((offer_hash, packed));
    }

    fn look<T>(&self, offer_hash: B256, read: impl FnOnce(&Packed) -> T) -> Option<T> {
        let spool = self.packed.lock().expect("no holder panics");
        spool.iter().find(|(hash, _)| *hash == offer_hash).map(|(_, packed)| read(packed))
    }
}

/// The conditions of a dataset to publish.
#[derive(Debug, Clone)]
pub struct DatasetSpec {
    /// Title of the public descriptor.
    pub title: String,
    /// Data use conditions (DUO bits).
    pub duo: u32,
    /// Smallest cohort it serves; at least 11.
    pub min_cohort: u16,
    /// Ways of use (mode bits).
    pub modes: u8,
}

/// A published dataset.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its id.
    pub dataset: InstId,
    /// The transaction.
    pub sent: Sent,
}

/// A request or grant, as a list shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantView {
    /// Its id.
    pub grant_id: B256,
    /// Who asks.
    pub requester: InstId,
    /// Who is asked.
    pub owner: InstId,
    /// For which dataset.
    pub dataset: InstId,
    /// For which purpose.
    pub purpose: u16,
    /// Where it stands, in a word.
    pub state: &'static str,
    /// From this second.
    pub from: u64,
    /// Before this second.
    pub until: u64,
    /// The block of its last change.
    pub changed_block: u64,
}

impl GrantView {
    pub(super) fn of(grant_id: B256, grant: &Grant) -> GrantView {
        GrantView {
            grant_id,
            requester: grant.request.requester,
            owner: grant.request.owner,
            dataset: grant.request.dataset,
            purpose: grant.request.purpose,
            state: grant_state::name(grant.state),
            from: grant.from,
            until: grant.until,
            changed_block: grant.changed_block,
        }
    }
}

impl Edge {
    /// Publishes a dataset of all anchored records of this institution, under its conditions.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] with the contract's refusal.
    pub async fn publish_dataset(&self, spec: DatasetSpec) -> Result<Published, EdgeError> {
        let dataset = InstId::from(random_bytes::<16>()?);
        let descriptor = canonical_bytes(&json!({
            "v": 1, "title": spec.title, "publisher": self.inner.institution, "dataset": dataset,
            "salt": B256::from(random_bytes::<32>()?),
        }))?;
        let call = DatasetCatalog::publishCall {
            id: dataset,
            owner: self.inner.institution,
            descriptorHash: keccak256(&descriptor),
            duo: spec.duo,
            categories: U256::ZERO,
            tier: 1,
            minCohort: spec.min_cohort,
            modes: spec.modes,
        };
        let sent = self.act(networks::DATASET_CATALOG, call.abi_encode()).await?;
        Ok(Published { dataset, sent })
    }

    /// Requests and grants that this institution is a party of, newest change first.
    pub fn list_requests(&self) -> Vec<GrantView> {
        let me = self.inner.institution;
        let mut views: Vec<GrantView> = self.inner.follower.read(|tables| {
            tables
                .grants
                .iter()
                .filter(|(_, grant)| grant.request.owner == me || grant.request.requester == me)
                .map(|(id, grant)| GrantView::of(*id, grant))
                .collect()
        });
        views.sort_by_key(|view| std::cmp::Reverse(view.changed_block));
        views
    }

    /// Takes a request's documents from its requester (`peer_request`).
    pub(crate) async fn take_request(
        &self,
        signed: &Signed,
        envelope: RequestEnvelope,
    ) -> Result<(), EdgeError> {
        let grant_id = envelope.check(self.inner.chain.chain_id())?;
        signed.grant(grant_id)?;
        let doc = &envelope.request.doc;
        let account = KeyRegistry::subjectOfCall { account: envelope.request.signer };
        let subject = self
            .inner
            .chain
            .read(networks::KEY_REGISTRY, &account, At::Latest)
            .await
            .map_err(unreachable)?;
        let fits = doc.owner == self.inner.institution
            && doc.requester == signed.party
            && subject == signed.party;
        if !fits {
            return Err(EdgeError::input(
                "the request is not from the institution that sent it, or not for this one",
                "peer_request",
                "sign it with the requester's account and send it to the owner's edge",
            ));
        }
        self.inner.book.keep(grant_id, envelope)
    }

    /// Accepts a request as it was asked: the same scope and terms.
    ///
    /// # Errors
    /// [`EdgeError::Input`] if its documents have not arrived or do not fit, [`EdgeError::Chain`] with the contract's
    /// refusal.
    pub async fn accept(&self, grant_id: B256) -> Result<Sent, EdgeError> {
        self.inner.book.get(grant_id).ok_or_else(|| {
            EdgeError::input(
                format!("the documents of request {grant_id} have not arrived"),
                "grantId",
                "wait until the requester's edge sends them",
            )
        })?;
        // The document accepted is the request itself: its digest is the grant's id.
        let call = AccessRegistry::acceptCall { grantId: grant_id, document: grant_id };
        self.act(networks::ACCESS_REGISTRY, call.abi_encode()).await
    }

    /// Ends a grant for good. The reason in words stays here; the chain gets its code and a commitment.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] with the contract's refusal.
    pub async fn revoke(
        &self,
        grant_id: B256,
        reason_code: u8,
        reason: &str,
    ) -> Result<Sent, EdgeError> {
        let nonce = B256::from(random_bytes::<32>()?);
        let call = AccessRegistry::revokeCall {
            grantId: grant_id,
            reasonCode: reason_code,
            reasonHash: commit("msnet/reason/1", nonce, reason.as_bytes()),
        };
        self.inner.records.log_decision(grant_id, "REVOKED")?;
        self.act(networks::ACCESS_REGISTRY, call.abi_encode()).await
    }

    /// Answers a pull: the release check, then the sealed records, offered on chain.
    pub(crate) async fn answer_pull(
        &self,
        signed: &Signed,
        pull: PullRequest,
    ) -> Result<OfferEnvelope, EdgeError> {
        let grant_id = signed.grant(pull.grant_id)?;
        let _turn = self.inner.offers.lock().await;
        let facts = self.facts(signed, grant_id).await?;
        let asked = self.asked(signed);
        // steps 1 to 5 first: a stranger must not learn whether documents of a grant are here
        check_party(&asked, self.inner.institution, &facts)
            .map_err(EdgeError::from)
            .inspect_err(|error| self.log_refusal(signed, grant_id, error))?;
        let scope = self.inner.book.get(grant_id).ok_or(BASIS_UNKNOWN)?.scope.doc;
        let found = self.inner.records.in_scope(&scope)?;
        let candidates: Vec<Candidate<'_>> = found
            .iter()
            .map(|record| self.inner.follower.read(|tables| record.candidate(tables)))
            .collect();
        let released = release_check(
            &asked,
            self.inner.institution,
            &facts,
            &scope,
            &candidates,
            |released| {
                let handles: Vec<_> =
                    released.admitted.iter().map(|index| found[*index].handle).collect();
                self.inner.records.log_release(signed, grant_id, &handles, &released.dropped)
            },
        )
        .inspect_err(|error| self.log_refusal(signed, grant_id, error))?;
        let mut frames = Vec::new();
        for index in &released.admitted {
            frames.push(self.inner.records.frame(found[*index].handle)?);
        }
        let frames = page_of(frames, pull.page, pull.max_bytes.min(MAX_DELIVERY_BYTES))?;
        let envelope = self.offer(&pull, &frames).await?;
        self.inner.quota.delivered(signed.party, u64::from(envelope.records));
        Ok(envelope)
    }

    /// Packs, offers on chain and keeps a delivery ready.
    async fn offer(
        &self,
        pull: &PullRequest,
        frames: &[Frame],
    ) -> Result<OfferEnvelope, EdgeError> {
        let next = self.inner.follower.read(|tables| tables.last_seq(pull.grant_id)) + 1;
        if pull.seq != next {
            return Err(EdgeError::input(
                format!("the next delivery of this grant is number {next}, not {}", pull.seq),
                "seq",
                "pull with that number",
            ));
        }
        let packed = pack(pull, frames, now_secs())?;
        let document = packed.doc.document()?;
        let offer_hash = packed.doc.hash(self.inner.chain.chain_id())?;
        let call = DeliveryLedger::offerCall {
            grantId: document.grantId,
            seq: document.seq,
            offerHash: offer_hash,
            receiptBy: document.receiptBy,
            keyWithin: Uint::from(packed.doc.key_within),
            ackWithin: Uint::from(packed.doc.ack_within),
        };
        self.act(networks::DELIVERY_LEDGER, call.abi_encode()).await?;
        let offer = Envelope::sign(packed.doc.clone(), offer_hash, self.inner.submitter.key());
        self.inner.spool.put(offer_hash, packed);
        let records = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        Ok(OfferEnvelope { offer, records })
    }

    /// Answers `GET /delivery/{offerHash}/{part}` with ciphertext.
    pub(crate) async fn answer_part(
        &self,
        signed: &Signed,
        offer_hash: B256,
        part: &str,
    ) -> Result<Vec<u8>, EdgeError> {
        let found = self.inner.spool.look(offer_hash, |packed| {
            let bytes = match part {
                "head" => Some(packed.container.header.to_bytes().to_vec()),
                number => number
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| packed.container.chunks.get(index).cloned()),
            };
            (packed.doc.grant_id, bytes)
        });
        let (grant_id, bytes) = found.ok_or(refusal::NOT_AVAILABLE)?;
        self.check_again(signed, grant_id).await?;
        bytes.ok_or_else(|| refusal::NOT_AVAILABLE.into())
    }

    /// Answers a receipt with the sealed key, if the grant has not ended since.
    pub(crate) async fn answer_receipt(
        &self,
        signed: &Signed,
        receipt: Envelope<ReceiptDoc>,
    ) -> Result<KeyEnvelope, EdgeError> {
        let doc = &receipt.doc;
        let found = self
            .inner
            .spool
            .look(doc.offer_hash, |packed| (packed.doc.clone(), packed.key.clone()));
        let (offer, key) = found.ok_or(refusal::NOT_AVAILABLE)?;
        self.check_again(signed, offer.grant_id).await?;
        receipt.check(doc.hash(self.inner.chain.chain_id()), "receipt")?;
        let account = KeyRegistry::subjectOfCall { account: receipt.signer };
        let subject = self
            .inner
            .chain
            .read(networks::KEY_REGISTRY, &account, At::Latest)
            .await
            .map_err(unreachable)?;
        if subject != signed.party
            || doc.delivery_id != offer.delivery_id()
            || doc.ct_root != offer.ct_root
        {
            return Err(EdgeError::input(
                "the receipt is not the recipient's receipt for this offer",
                "receipt",
                "sign the delivery's id, the offer's hash and the root you computed",
            ));
        }
        self.inner.records.log_key(signed, &offer)?;
        let sender = SealSecret(*self.inner.keys.seal_secret());
        let sealed = seal_key(&key, offer.recv_key, &sender, doc.offer_hash, doc.delivery_id)?;
        Ok(KeyEnvelope { sealed_key: URL_SAFE_NO_PAD.encode(sealed) })
    }

    /// Steps 2 to 5 and 10 again, before each further byte of a delivery.
    async fn check_again(&self, signed: &Signed, grant_id: B256) -> Result<(), EdgeError> {
        signed.grant(grant_id)?;
        let facts = self.facts(signed, grant_id).await?;
        check_party(&self.asked(signed), self.inner.institution, &facts)?;
        crate::access::check_chain(&facts.chain)?;
        Ok(())
    }

    /// Every refusal is an audit entry; if that cannot be written, it is still a refusal.
    fn log_refusal(&self, signed: &Signed, grant_id: B256, error: &EdgeError) {
        if let EdgeError::Permission { code, .. } = error
            && let Err(error) = self.inner.records.log_refusal(signed, grant_id, code)
        {
            tracing::error!(%error, "a refusal could not be written to the audit log");
        }
    }
}

/// The frames of one page: in ascending (batchSeq, index), each page as full as `max_bytes` allows.
fn page_of(mut frames: Vec<Frame>, page: u32, max_bytes: u64) -> Result<Vec<Frame>, EdgeError> {
    frames.sort_by_key(|frame| (frame.batch_seq, frame.index));
    let mut number = 0;
    let mut bytes = 0;
    let mut wanted = Vec::new();
    for frame in frames {
        let length = frame.encoded_len() as u64;
        if bytes > 0 && bytes + length > max_bytes {
            number += 1;
            bytes = 0;
        }
        bytes += length;
        if number == page {
            wanted.push(frame);
        }
    }
    if wanted.is_empty() {
        return Err(refusal::NOT_AVAILABLE.into());
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(batch_seq: u64, index: u32, content: usize) -> Frame {
        Frame {
            inst: InstId::ZERO,
            batch_seq,
            index,
            preimage: [0; 384],
            content_nonce: B256::ZERO,
            siblings: Vec::new(),
            content: vec![0; content],
        }
    }

    #[test]
    fn pages_follow_one_another_without_gap_or_repeat() {
        let frames = vec![frame(2, 0, 100), frame(1, 9, 100), frame(1, 3, 100), frame(3, 1, 9_000)];
        let mut seen = Vec::new();
        for page in 0..10 {
            match page_of(frames.clone(), page, 1_200) {
                Ok(frames) => seen.push(frames.iter().map(|f| f.batch_seq).collect::<Vec<_>>()),
                Err(_) => break,
            }
        }
        assert_eq!(seen, [vec![1, 1], vec![2], vec![3]]);
        assert!(page_of(Vec::new(), 0, 100).is_err());
    }
}
