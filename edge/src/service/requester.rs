//! The requester's side: ask, pull, open, verify, acknowledge.

use std::{collections::BTreeSet, time::Duration};

use alloy_primitives::B256;
use alloy_sol_types::{SolCall, SolValue};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::{
    abi::{AccessRegistry, DeliveryLedger, KeyRegistry, RecordRegistry},
    codes::{key_kind, mode, verdict},
    networks,
    typed_data::Acknowledgement,
};

use super::{Edge, now_secs};
use crate::{
    access::{
        grant::write_sealed,
        request::{Committed, RequestDoc, RequestEnvelope, Scope, Terms},
    },
    delivery::{
        container::{CHUNK_BYTES, Container, Header, TAG_BYTES},
        frame::{self, Frame},
        offer::{Envelope, KeyEnvelope, OfferDoc, OfferEnvelope, PullRequest, ReceiptDoc},
        random_bytes,
        release::{SealSecret, open_key},
    },
    error::EdgeError,
    model::Handle,
    onchain::{At, InstId, submit::Sent},
    peer::{Ground, Peer, signature::Basis},
    stores::local,
    verify::record::{ChainSays, VerifiedRecord, verify_frame},
};

/// Longest plaintext asked for in one pull.
const MAX_BYTES: u64 = 4 << 20;
/// Days in which an owner may answer a request.
const ANSWER_WITHIN_SECS: u64 = 3_600 * 24;
/// How long an offer's own transaction may take to show in this edge's tables.
const SEE_OFFER: Duration = Duration::from_secs(20);
/// Best quality of an acknowledgement, and tenths of novelty.
const BEST_QUALITY: u8 = 5;
const ALL_NEW: u8 = 10;

/// What to ask for.
#[derive(Debug, Clone)]
pub struct AccessAsk {
    /// Whom.
    pub owner: InstId,
    /// Which dataset.
    pub dataset: InstId,
    /// For which one purpose.
    pub purpose: u16,
    /// Under which conditions (DUO bits).
    pub duo: u32,
    /// For how long, from now.
    pub valid_secs: u64,
    /// Which records.
    pub scope: Scope,
    /// What is promised.
    pub terms: Terms,
}

/// A request that is on chain and whose documents the owner has.
#[derive(Debug, Clone)]
pub struct Requested {
    /// The grant it becomes when accepted.
    pub grant_id: B256,
    /// The transaction.
    pub sent: Sent,
}

/// What a pull brought.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The delivery.
    pub delivery_id: B256,
    /// Its offer.
    pub offer_hash: B256,
    /// Number within the grant.
    pub seq: u32,
    /// Bytes of ciphertext.
    pub size: u64,
    /// Verdict on the whole (`contracts.md` 2): 0, or that of the first fault.
    pub verdict: u8,
    /// One sentence on the verdict.
    pub why: String,
    /// Every record with what came of checking it; empty if the container did not open.
    pub records: Vec<VerifiedRecord>,
}

/// A delivery this edge has received, with what a complaint needs.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub(super) owner: InstId,
    pub(super) offer: Envelope<OfferDoc>,
    pub(super) frames: Vec<Frame>,
    pub(super) pulled: Pulled,
}

/// A container that did not open, by delivery verdict.
struct Unopened(u8, String);

impl Edge {
    /// Asks for access: the request on chain, its documents to the owner's edge.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] with the contract's refusal; [`EdgeError::Peer`] if the owner's edge is away.
    pub async fn request_access(&self, ask: AccessAsk) -> Result<Requested, EdgeError> {
        ask.scope.validate()?;
        ask.terms.validate()?;
        let owner = self.peer_of(ask.owner)?;
        let scope = Committed::new(ask.scope)?;
        let terms = Committed::new(ask.terms)?;
        let head = self.inner.chain.head().await?.timestamp;
        // the term begins for whoever looks, at the chain's clock or at its own
        let from = head.min(now_secs());
        let now = head.max(now_secs());
        let doc = RequestDoc {
            requester: self.inner.institution,
            owner: ask.owner,
            dataset: ask.dataset,
            purpose: ask.purpose,
            duo: ask.duo,
            mode: mode::DELIVER,
            valid_from: from,
            valid_until: from + ask.valid_secs,
            answer_by: now + ANSWER_WITHIN_SECS,
            deliver_within: 0,
            scope_hash: scope.commitment("msnet/scope/1")?,
            terms_hash: terms.commitment("msnet/terms/1")?,
            renews: B256::ZERO,
            salt: B256::from(random_bytes::<32>()?),
        };
        let grant_id = doc.grant_id(self.inner.chain.chain_id());
        let data =
            [&AccessRegistry::requestCall::SELECTOR[..], &doc.document().abi_encode()].concat();
        let request = Envelope::sign(doc, grant_id, self.inner.submitter.key());
        let envelope = RequestEnvelope { request, scope, terms };
        self.inner.book.keep(grant_id, envelope.clone())?;
        let sent = self.act(networks::ACCESS_REGISTRY, data).await?;
        let ground = Ground { basis: Basis::Grant(grant_id), purpose: ask.purpose };
        let params =
            serde_json::to_value(&envelope).map_err(|e| EdgeError::Internal(e.to_string()))?;
        self.inner.peers.call(&owner, ground, "peer_request", params, now_secs()).await?;
        Ok(Requested { grant_id, sent })
    }

    /// Pulls the next delivery of a grant, takes its key, opens and verifies it.
    ///
    /// # Errors
    /// [`EdgeError::Refused`] with the owner's code if it says no; [`EdgeError::Peer`] and [`EdgeError::Chain`] if somebody
    /// is away or an offer is not what the chain says. A delivery that does not verify is no error: see [`Pulled`].
    pub async fn pull(&self, grant_id: B256) -> Result<Pulled, EdgeError> {
        self.inner.follower.catch_up().await?;
        let (grant, seq) = self
            .inner
            .follower
            .read(|tables| {
                let grant = tables.grants.get(&grant_id).cloned()?;
                Some((grant, tables.last_seq(grant_id) + 1))
            })
            .ok_or_else(|| {
                EdgeError::input(
                    format!("there is no grant {grant_id} on this chain"),
                    "grantId",
                    "name a grant this institution was given",
                )
            })?;
        let owner = self.peer_of(grant.request.owner)?;
        let ground = Ground { basis: Basis::Grant(grant_id), purpose: grant.request.purpose };
        let secret = SealSecret::random()?;
        let pull = PullRequest {
            grant_id,
            seq,
            recv_key: secret.public_key(),
            page: 0,
            max_bytes: MAX_BYTES,
        };
        let params = serde_json::to_value(&pull).map_err(|e| EdgeError::Internal(e.to_string()))?;
        let answer = self.inner.peers.call(&owner, ground, "edge_pull", params, now_secs()).await?;
        let envelope: OfferEnvelope = serde_json::from_value(answer).map_err(|e| {
            EdgeError::peer(&owner.endpoint, format!("its offer does not read: {e}"))
        })?;
        let offer_hash = self.check_offer(&owner, &pull, &envelope).await?;
        let doc = &envelope.offer.doc;
        let opened = match self.fetch(&owner, ground, doc, offer_hash).await? {
            Ok(container) => {
                self.open(&owner, ground, doc, offer_hash, &container, &secret).await?
            }
            Err(fault) => Err(fault),
        };
        let kinds = self.inner.book.get(grant_id).and_then(|known| known.scope.doc.kinds);
        let mut pulled = Pulled {
            delivery_id: doc.delivery_id(),
            offer_hash,
            seq,
            size: doc.size,
            verdict: verdict::OK,
            why: "every record is what was anchored".into(),
            records: Vec::new(),
        };
        let frames = match opened {
            Ok(frames) => {
                pulled.records = self.verify(&frames, owner.institution, kinds.as_deref()).await?;
                if let Some(bad) = pulled.records.iter().find(|record| !record.ok) {
                    pulled.verdict = bad.verdict;
                    pulled.why = format!("record {}: {}", bad.handle, bad.why);
                }
                frames
            }
            Err(Unopened(verdict, why)) => {
                pulled.verdict = verdict;
                pulled.why = why;
                Vec::new()
            }
        };
        self.keep(owner.institution, envelope.offer, frames, pulled.clone())?;
        Ok(pulled)
    }

    /// Checks an offer against the pull, its signature, and the chain.
    async fn check_offer(
        &self,
        owner: &Peer,
        pull: &PullRequest,
        envelope: &OfferEnvelope,
    ) -> Result<B256, EdgeError> {
        let doc = &envelope.offer.doc;
        let strange = |what: &str| EdgeError::peer(&owner.endpoint, format!("its offer {what}"));
        let answers =
            doc.grant_id == pull.grant_id && doc.seq == pull.seq && doc.recv_key == pull.recv_key;
        if !answers {
            return Err(strange("is for another pull"));
        }
        let offer_hash = doc.hash(self.inner.chain.chain_id())?;
        envelope.offer.check(offer_hash, "offer")?;
        let account = KeyRegistry::subjectOfCall { account: envelope.offer.signer };
        let subject = self.inner.chain.read(networks::KEY_REGISTRY, &account, At::Latest).await?;
        if subject != owner.institution {
            return Err(strange("is signed by an account of somebody else"));
        }
        let seen = async {
            loop {
                self.inner.follower.catch_up().await?;
                let row = self
                    .inner
                    .follower
                    .read(|tables| tables.deliveries.get(&doc.delivery_id()).cloned());
                if let Some(row) = row {
                    return Ok::<_, EdgeError>(row);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let row = tokio::time::timeout(SEE_OFFER, seen)
            .await
            .map_err(|_| strange("is not on chain"))??;
        let same = row.offer_hash == offer_hash
            && row.receipt_by == doc.receipt_by
            && row.key_within == doc.key_within
            && row.ack_within == doc.ack_within;
        if same { Ok(offer_hash) } else { Err(strange("is not the one on chain")) }
    }

    /// Fetches the ciphertext and compares it with the offer.
    async fn fetch(
        &self,
        owner: &Peer,
        ground: Ground,
        doc: &OfferDoc,
        offer_hash: B256,
    ) -> Result<Result<Container, Unopened>, EdgeError> {
        let peers = &self.inner.peers;
        let head = peers.fetch(owner, ground, offer_hash, "head", now_secs()).await?;
        let differs = |what: &str| Ok(Err(Unopened(verdict::CIPHERTEXT_ROOT, what.to_owned())));
        let header = match Header::from_bytes(&head) {
            Ok(header)
                if header.grant_id == doc.grant_id
                    && header.seq == doc.seq
                    && header.chunk_count == doc.chunk_count =>
            {
                header
            }
            _ => return differs("the container's header is not the offered one"),
        };
        let mut chunks = Vec::new();
        for index in 0..header.chunk_count {
            let part = index.to_string();
            let chunk = peers.fetch(owner, ground, offer_hash, &part, now_secs()).await?;
            if chunk.len() > CHUNK_BYTES + TAG_BYTES {
                return differs("a chunk is longer than agreed");
            }
            chunks.push(chunk);
        }
        let container = Container { header, chunks };
        if container.ct_root()? != doc.ct_root || container.size() != doc.size {
            return differs("the ciphertext is not the one that was offered");
        }
        Ok(Ok(container))
    }

    /// Gives the receipt, takes the key, opens the container.
    async fn open(
        &self,
        owner: &Peer,
        ground: Ground,
        doc: &OfferDoc,
        offer_hash: B256,
        container: &Container,
        secret: &SealSecret,
    ) -> Result<Result<Vec<Frame>, Unopened>, EdgeError> {
        let delivery_id = doc.delivery_id();
        let receipt = ReceiptDoc {
            delivery_id,
            offer_hash,
            ct_root: container.ct_root()?,
            received_at: now_secs(),
        };
        let digest = receipt.hash(self.inner.chain.chain_id());
        let envelope = Envelope::sign(receipt, digest, self.inner.submitter.key());
        let params =
            serde_json::to_value(&envelope).map_err(|e| EdgeError::Internal(e.to_string()))?;
        let answer =
            self.inner.peers.call(owner, ground, "edge_receipt", params, now_secs()).await?;
        let sealed = serde_json::from_value::<KeyEnvelope>(answer)
            .ok()
            .and_then(|envelope| URL_SAFE_NO_PAD.decode(envelope.sealed_key).ok())
            .ok_or_else(|| EdgeError::peer(&owner.endpoint, "its key envelope does not read"))?;
        let now = now_secs();
        let sender = self
            .inner
            .follower
            .read(|tables| {
                let (_, key) = tables.key_of(owner.institution, key_kind::SEAL, now)?;
                B256::try_from(key.public_key.as_ref()).ok()
            })
            .ok_or_else(|| EdgeError::peer(&owner.endpoint, "it has no valid seal key"))?;
        let key = match open_key(&sealed, secret, sender, offer_hash, delivery_id) {
            Ok(key) if key.commitment() == doc.key_commit => key,
            _ => {
                return Ok(Err(Unopened(
                    verdict::KEY,
                    "the key does not open or is not the one committed to".into(),
                )));
            }
        };
        let undecrypted = |error: EdgeError| Unopened(verdict::DECRYPTION, error.to_string());
        let opened = container.open(&key).and_then(|plaintext| frame::decode(&plaintext));
        let frames = match opened {
            Ok(frames) => frames,
            Err(error) => return Ok(Err(undecrypted(error))),
        };
        let root = frame::entry_tree(&frames).map(|tree| tree.root());
        if root.ok() != Some(doc.pt_root) {
            return Ok(Err(Unopened(
                verdict::DECRYPTION,
                "the records are not those the offer commits to (ptRoot)".into(),
            )));
        }
        Ok(Ok(frames))
    }

    /// Proves every frame against the owner's roots at a final block.
    async fn verify(
        &self,
        frames: &[Frame],
        owner: InstId,
        kinds: Option<&[u16]>,
    ) -> Result<Vec<VerifiedRecord>, EdgeError> {
        let at = At::Block(self.final_head().await?.hash);
        let chain = &self.inner.chain;
        let mut records = Vec::new();
        for frame in frames {
            let proof = RecordRegistry::verifyCall {
                inst: frame.inst,
                seq: frame.batch_seq,
                leaf: frame.leaf(),
                index: frame.index,
                proof: frame.siblings.clone(),
            };
            let withdrawn = RecordRegistry::isWithdrawnCall {
                inst: frame.inst,
                seq: frame.batch_seq,
                index: frame.index,
            };
            let says = ChainSays {
                proves: chain.read(networks::RECORD_REGISTRY, &proof, at).await?,
                withdrawn: chain.read(networks::RECORD_REGISTRY, &withdrawn, At::Latest).await?,
            };
            records.push(verify_frame(frame, owner, kinds, says));
        }
        Ok(records)
    }

    /// Keeps what came: sealed on disk, and at hand for acknowledgement and complaint.
    fn keep(
        &self,
        owner: InstId,
        offer: Envelope<OfferDoc>,
        frames: Vec<Frame>,
        pulled: Pulled,
    ) -> Result<(), EdgeError> {
        let handles: Vec<Handle> = pulled.records.iter().map(|record| record.handle).collect();
        self.inner.records.log_received(owner, &offer.doc, &handles)?;
        if !frames.is_empty() {
            let folder = self.inner.datadir.join("received");
            local::create_folder(&folder)?;
            let name = format!("{}.sealed", alloy_primitives::hex::encode(pulled.delivery_id));
            let plaintext = frame::encode(&frames)?;
            write_sealed(self.inner.keys.store_keys(), &folder.join(name), &plaintext)?;
        }
        let incoming = Incoming { owner, offer, frames, pulled };
        let mut all = self.inner.incoming.lock().expect("no holder panics");
        all.insert(incoming.pulled.delivery_id, incoming);
        Ok(())
    }

    /// A delivery this edge received since it started.
    pub(super) fn incoming(&self, delivery_id: B256) -> Result<Incoming, EdgeError> {
        let all = self.inner.incoming.lock().expect("no holder panics");
        all.get(&delivery_id).cloned().ok_or_else(|| {
            EdgeError::input(
                format!("this edge has not received delivery {delivery_id} since it started"),
                "deliveryId",
                "pull again and use the new delivery's id",
            )
        })
    }

    /// Tells the chain what came of a delivery.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] with the contract's refusal.
    pub async fn acknowledge(&self, delivery_id: B256) -> Result<Sent, EdgeError> {
        let incoming = self.incoming(delivery_id)?;
        let ok = incoming.pulled.verdict == verdict::OK;
        let document = Acknowledgement {
            deliveryId: delivery_id,
            offerHash: incoming.pulled.offer_hash,
            verdict: incoming.pulled.verdict,
            quality: if ok { BEST_QUALITY } else { 0 },
            novelty: if ok { self.novelty(&incoming.pulled) } else { 0 },
        };
        let selector = DeliveryLedger::acknowledgeCall::SELECTOR;
        let data = [&selector[..], &document.abi_encode()].concat();
        self.act(networks::DELIVERY_LEDGER, data).await
    }

    /// Tenths of the records that no earlier delivery brought.
    fn novelty(&self, pulled: &Pulled) -> u8 {
        let all = self.inner.incoming.lock().expect("no holder panics");
        let before: BTreeSet<Handle> = all
            .values()
            .filter(|other| other.pulled.delivery_id != pulled.delivery_id)
            .flat_map(|other| other.pulled.records.iter().map(|record| record.handle))
            .collect();
        let new = pulled.records.iter().filter(|record| !before.contains(&record.handle)).count();
        let tenths = new * usize::from(ALL_NEW) / pulled.records.len().max(1);
        u8::try_from(tenths).unwrap_or(ALL_NEW)
    }

    /// Terms this edge promises unless told otherwise: a year, no passing on, results may be published.
    pub fn default_terms(&self) -> Terms {
        Terms {
            v: 1,
            retain_days: 365,
            onward: false,
            publish: true,
            return_results: false,
            contact: self.inner.name.clone(),
            text: String::new(),
        }
    }
}
