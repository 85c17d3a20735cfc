//! What is asked for: scope and terms, and how they are committed to on chain (`protocol.md` 5).
//!
//! The chain holds `commit("msnet/scope/1", nonce, canonical scope)` and the same of the terms; the documents themselves
//! go from requester to owner, edge to edge, because a code list says what somebody is interested in. `protocol.md` 3
//! names no message for that, so `peer_request` carries them: the request, signed, with both documents and nonces.

use alloy_primitives::{B256, FixedBytes};
use contracts::typed_data::AccessRequest;
use contracts::{leaf::commit, networks, typed_data};
use serde::{Deserialize, Serialize};

use crate::{
    delivery::{offer::Envelope, random_bytes},
    error::EdgeError,
    model::{canonical, json},
    onchain::InstId,
};

/// Longest text of terms.
const MAX_TERMS_TEXT: usize = 4_096;
/// Codes, kinds and persons of one scope at most.
const MAX_SCOPE_ITEMS: usize = 1_024;

/// A code of a code system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Code {
    /// The system, a URI.
    pub system: String,
    /// The code.
    pub code: String,
}

/// Which records a grant covers; `None` is "no restriction".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scope {
    /// The dataset.
    pub dataset: InstId,
    /// Record kinds (`contracts.md` 4).
    pub kinds: Option<Vec<u16>>,
    /// Codes, one of which a record must carry affirmed.
    pub codes: Option<Vec<Code>>,
    /// FHIRPath members; a restriction needs derived views, which this edge does not make yet.
    pub fields: Option<Vec<String>>,
    /// Not older than this second.
    pub from: Option<i64>,
    /// Not younger than this second.
    pub to: Option<i64>,
    /// Credentials that may read.
    pub persons: Option<Vec<InstId>>,
    /// Records at most.
    pub max_records: u32,
}

/// What the scope looks at in a record.
#[derive(Debug, Clone, Copy)]
pub struct RecordFacts<'a> {
    /// Record kind.
    pub kind: u16,
    /// Clinically relevant moment.
    pub date: Option<i64>,
    /// Affirmed codes as (system, code).
    pub codes: &'a [(String, String)],
}

impl Scope {
    /// Whether this scope asks for nothing outside `granted`.
    pub fn is_within(&self, granted: &Scope) -> bool {
        self.dataset == granted.dataset
            && within(self.kinds.as_deref(), granted.kinds.as_deref())
            && within(self.codes.as_deref(), granted.codes.as_deref())
            && within(self.fields.as_deref(), granted.fields.as_deref())
            && within(self.persons.as_deref(), granted.persons.as_deref())
            && granted.from.is_none_or(|from| self.from.is_some_and(|own| own >= from))
            && granted.to.is_none_or(|to| self.to.is_some_and(|own| own <= to))
            && self.max_records <= granted.max_records
    }

    /// Whether a record lies in it. A record without a date lies in no interval.
    pub fn admits(&self, record: RecordFacts<'_>) -> bool {
        let kind = self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&record.kind));
        let code = self.codes.as_ref().is_none_or(|codes| {
            codes
                .iter()
                .any(|want| record.codes.iter().any(|(s, c)| *s == want.system && *c == want.code))
        });
        let from = self.from.is_none_or(|from| record.date.is_some_and(|date| date >= from));
        let to = self.to.is_none_or(|to| record.date.is_some_and(|date| date <= to));
        kind && code && from && to
    }

    /// Whether a credential may read under it.
    pub fn admits_person(&self, credential: InstId) -> bool {
        self.persons.as_ref().is_none_or(|persons| persons.contains(&credential))
    }

    /// Checks that this edge can serve it.
    ///
    /// # Errors
    /// [`EdgeError::Input`] naming the member.
    pub fn validate(&self) -> Result<(), EdgeError> {
        let refuse = |what: &str, member: &str, fix: &str| {
            Err(EdgeError::input(what, format!("scope.{member}"), fix))
        };
        if self.fields.is_some() {
            return refuse("views of single fields are not made yet", "fields", "give null");
        }
        if self.max_records == 0 {
            return refuse("a scope of no records grants nothing", "maxRecords", "give 1 or more");
        }
        let lists = [
            self.kinds.as_ref().map_or(0, Vec::len),
            self.codes.as_ref().map_or(0, Vec::len),
            self.persons.as_ref().map_or(0, Vec::len),
        ];
        if lists.iter().any(|length| *length > MAX_SCOPE_ITEMS) {
            return refuse("a list has more than 1,024 items", "codes", "ask in several requests");
        }
        Ok(())
    }
}

/// Every item of `inner` stands in `outer`; `None` contains everything.
fn within<T: PartialEq>(inner: Option<&[T]>, outer: Option<&[T]>) -> bool {
    match (inner, outer) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(inner), Some(outer)) => inner.iter().all(|item| outer.contains(item)),
    }
}

/// What the recipient promises; unknown members refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    /// Version, 1.
    pub v: u8,
    /// Days the data may be kept.
    pub retain_days: u32,
    /// May be passed on.
    pub onward: bool,
    /// Results may be published.
    pub publish: bool,
    /// Results come back to the owner.
    pub return_results: bool,
    /// Who answers questions.
    pub contact: String,
    /// Anything else, at most 4 KiB.
    pub text: String,
}

impl Terms {
    /// Checks version and lengths.
    ///
    /// # Errors
    /// [`EdgeError::Input`] naming the member.
    pub fn validate(&self) -> Result<(), EdgeError> {
        if self.v != 1 {
            return Err(EdgeError::input("only version 1 of terms is known", "terms.v", "give 1"));
        }
        if self.text.len() > MAX_TERMS_TEXT || self.contact.len() > MAX_TERMS_TEXT {
            return Err(EdgeError::input("a text is longer than 4 KiB", "terms", "shorten it"));
        }
        Ok(())
    }
}

/// A document with the nonce of its commitment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed<D> {
    /// The document.
    pub doc: D,
    /// The nonce.
    pub nonce: B256,
}

impl<D: Serialize> Committed<D> {
    /// A document under a fresh nonce.
    ///
    /// # Errors
    /// [`EdgeError::Internal`] if the system has no randomness.
    pub fn new(doc: D) -> Result<Committed<D>, EdgeError> {
        Ok(Committed { doc, nonce: B256::from(random_bytes::<32>()?) })
    }

    /// `commit(tag, nonce, canonical bytes)`.
    ///
    /// # Errors
    /// [`EdgeError::Internal`] if the document has no canonical bytes.
    pub fn commitment(&self, tag: &str) -> Result<B256, EdgeError> {
        Ok(commit(tag, self.nonce, &canonical_bytes(&self.doc)?))
    }
}

/// The canonical bytes (`msnet-c14n/1`) of a message of ours.
///
/// # Errors
/// [`EdgeError::Internal`] if it does not serialize.
pub fn canonical_bytes(message: &impl Serialize) -> Result<Vec<u8>, EdgeError> {
    let text = serde_json::to_vec(message).map_err(|e| EdgeError::Internal(e.to_string()))?;
    let value = json::parse(&text)
        .map_err(|e| EdgeError::Internal(format!("own JSON does not read: {}", e.rule)))?;
    Ok(canonical::to_bytes(&value))
}

/// A request's fields as JSON has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestDoc {
    /// Who asks.
    pub requester: InstId,
    /// Who is asked.
    pub owner: InstId,
    /// For which dataset.
    pub dataset: InstId,
    /// For which one purpose.
    pub purpose: u16,
    /// Under which data use conditions.
    pub duo: u32,
    /// Deliver, compute or answer.
    pub mode: u8,
    /// From this second.
    pub valid_from: u64,
    /// Before this second.
    pub valid_until: u64,
    /// Answer wanted by.
    pub answer_by: u64,
    /// Seconds within which a delivery is a duty; 0 if it is none.
    pub deliver_within: u64,
    /// Commitment to the scope.
    pub scope_hash: B256,
    /// Commitment to the terms.
    pub terms_hash: B256,
    /// The grant this renews, or zero.
    pub renews: B256,
    /// Makes the digest unguessable.
    pub salt: B256,
}

impl RequestDoc {
    /// The document that is signed and sent.
    pub fn document(&self) -> AccessRequest {
        AccessRequest {
            requester: FixedBytes(self.requester.0),
            owner: FixedBytes(self.owner.0),
            dataset: FixedBytes(self.dataset.0),
            purpose: self.purpose,
            duo: self.duo,
            mode: self.mode,
            validFrom: self.valid_from,
            validUntil: self.valid_until,
            answerBy: self.answer_by,
            deliverWithin: self.deliver_within,
            scopeHash: self.scope_hash,
            termsHash: self.terms_hash,
            renews: self.renews,
            salt: self.salt,
        }
    }

    /// The grant's id: the document's digest.
    pub fn grant_id(&self, chain_id: u64) -> B256 {
        let domain = typed_data::domain("AccessRegistry", chain_id, networks::ACCESS_REGISTRY);
        typed_data::digest(&self.document(), &domain)
    }
}

/// B → A (`peer_request`): the signed request with the documents behind its two commitments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestEnvelope {
    /// The signed request.
    #[serde(flatten)]
    pub request: Envelope<RequestDoc>,
    /// What is asked for.
    pub scope: Committed<Scope>,
    /// What is promised.
    pub terms: Committed<Terms>,
}

impl RequestEnvelope {
    /// Checks signature, commitments and that the scope is about the request's dataset; returns the grant's id.
    ///
    /// # Errors
    /// [`EdgeError::Input`] naming what does not fit.
    pub fn check(&self, chain_id: u64) -> Result<B256, EdgeError> {
        let doc = &self.request.doc;
        let grant_id = doc.grant_id(chain_id);
        self.request.check(grant_id, "request")?;
        self.scope.doc.validate()?;
        self.terms.doc.validate()?;
        let differs = |member: &str| {
            EdgeError::input(
                format!("the {member} is not the one the request commits to"),
                member,
                "send the document and nonce whose commitment is in the request",
            )
        };
        if self.scope.commitment("msnet/scope/1")? != doc.scope_hash
            || self.scope.doc.dataset != doc.dataset
        {
            return Err(differs("scope"));
        }
        if self.terms.commitment("msnet/terms/1")? != doc.terms_hash {
            return Err(differs("terms"));
        }
        Ok(grant_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onchain::submit::AccountKey;
    use alloy_primitives::b256;

    pub(crate) fn scope() -> Scope {
        Scope {
            dataset: [0xdd; 16].into(),
            kinds: Some(vec![3, 4]),
            codes: Some(vec![Code { system: "urn:s".into(), code: "1".into() }]),
            fields: None,
            from: Some(100),
            to: Some(200),
            persons: None,
            max_records: 50,
        }
    }

    fn terms() -> Terms {
        Terms {
            v: 1,
            retain_days: 365,
            onward: false,
            publish: true,
            return_results: false,
            contact: "data office".into(),
            text: String::new(),
        }
    }

    #[test]
    fn a_scope_admits_what_meets_all_its_members() {
        let codes = [("urn:s".to_owned(), "1".to_owned())];
        let record = RecordFacts { kind: 3, date: Some(150), codes: &codes };
        assert!(scope().admits(record));
        assert!(!scope().admits(RecordFacts { kind: 1, ..record }));
        assert!(!scope().admits(RecordFacts { date: Some(201), ..record }));
        assert!(!scope().admits(RecordFacts { date: None, ..record }));
        assert!(!scope().admits(RecordFacts { codes: &[], ..record }));
        let open = Scope { kinds: None, codes: None, from: None, to: None, ..scope() };
        assert!(open.admits(RecordFacts { kind: 0, date: None, codes: &[] }));
    }

    #[test]
    fn containment_is_a_partial_order_with_null_on_top() {
        let granted = scope();
        let open = Scope { kinds: None, codes: None, from: None, to: None, ..scope() };
        assert!(granted.is_within(&granted) && granted.is_within(&open));
        assert!(!open.is_within(&granted));
        for wider in [
            Scope { kinds: Some(vec![3, 4, 5]), ..scope() },
            Scope { from: Some(99), ..scope() },
            Scope { to: Some(201), ..scope() },
            Scope { max_records: 51, ..scope() },
            Scope { dataset: [1; 16].into(), ..scope() },
        ] {
            assert!(!wider.is_within(&granted), "{wider:?}");
        }
        let fewer = Scope { kinds: Some(vec![4]), from: Some(120), max_records: 1, ..scope() };
        assert!(fewer.is_within(&granted));
    }

    #[test]
    fn unknown_members_of_scope_and_terms_refuse() {
        let mut text = serde_json::to_value(terms()).unwrap();
        assert!(serde_json::from_value::<Terms>(text.clone()).is_ok());
        text["resale"] = true.into();
        assert!(serde_json::from_value::<Terms>(text).is_err());
        let mut text = serde_json::to_value(scope()).unwrap();
        text["patients"] = 3.into();
        assert!(serde_json::from_value::<Scope>(text).is_err());
        assert!(Scope { fields: Some(vec![]), ..scope() }.validate().is_err());
        assert!(Scope { max_records: 0, ..scope() }.validate().is_err());
        assert!(Terms { v: 2, ..terms() }.validate().is_err());
        assert!(Terms { text: "x".repeat(4_097), ..terms() }.validate().is_err());
    }

    #[test]
    fn the_published_grant_id() {
        let doc = RequestDoc {
            requester: [0xaa; 16].into(),
            owner: [0xbb; 16].into(),
            dataset: [0xdd; 16].into(),
            purpose: 5,
            duo: 0x40400,
            mode: 1,
            valid_from: 1_800_000_000,
            valid_until: 1_831_536_000,
            answer_by: 1_799_700_000,
            deliver_within: 259_200,
            scope_hash: B256::repeat_byte(1),
            terms_hash: B256::repeat_byte(2),
            renews: B256::ZERO,
            salt: B256::repeat_byte(3),
        };
        assert_eq!(
            doc.grant_id(1337),
            b256!("5b517b5d47d7aa6bc3a04d379bc0d542a07c858831858c79dbc57885d06f99fc")
        );
    }

    #[test]
    fn an_envelope_holds_the_documents_it_commits_to() {
        let key = AccountKey::from_bytes(&[8; 32]).unwrap();
        let scope = Committed::new(scope()).unwrap();
        let terms = Committed::new(terms()).unwrap();
        let doc = RequestDoc {
            requester: [0xaa; 16].into(),
            owner: [0xbb; 16].into(),
            dataset: [0xdd; 16].into(),
            purpose: 5,
            duo: 2,
            mode: 1,
            valid_from: 1,
            valid_until: 2,
            answer_by: 1,
            deliver_within: 0,
            scope_hash: scope.commitment("msnet/scope/1").unwrap(),
            terms_hash: terms.commitment("msnet/terms/1").unwrap(),
            renews: B256::ZERO,
            salt: B256::repeat_byte(3),
        };
        let id = doc.grant_id(1337);
        let request = Envelope::sign(doc, id, &key);
        let envelope = RequestEnvelope { request, scope, terms };
        assert_eq!(envelope.check(1337).unwrap(), id);
        let text = serde_json::to_string(&envelope).unwrap();
        assert_eq!(serde_json::from_str::<RequestEnvelope>(&text).unwrap(), envelope);
        assert!(envelope.check(1338).is_err());
        let mut wider = envelope.clone();
        wider.scope.doc.max_records += 1;
        assert!(wider.check(1337).is_err());
        let mut looser = envelope.clone();
        looser.terms.doc.onward = true;
        assert!(looser.check(1337).is_err());
    }
}
