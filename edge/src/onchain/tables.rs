//! The rows of the tables that [`super::events`] keeps, and the words for their states.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{B256, Bytes};
use contracts::typed_data::AccessRequest;

use super::InstId;

/// An institution that has described itself.
#[derive(Debug, Clone, Default)]
pub struct Institution {
    /// Public name.
    pub name: String,
    /// Where its edge answers (`http://host:port`).
    pub endpoint: String,
    /// Suspended until this second; 0 if not.
    pub suspended_until: u64,
}

/// A registered key (`contracts.md` 3.2).
#[derive(Debug, Clone)]
pub struct Key {
    /// Whose key.
    pub subject: InstId,
    /// Key kind (`contracts.md` 2).
    pub kind: u8,
    /// Valid from this second.
    pub from: u64,
    /// Valid before this second.
    pub until: u64,
    /// Revoked from this second on.
    pub revoked_from: Option<u64>,
    /// The public key's bytes.
    pub public_key: Bytes,
    /// Whether the proof of possession holds (`protocol.md` 3); a key without is ignored.
    pub proven: bool,
}

impl Key {
    /// `from ≤ t < until`, and not revoked from before `t` on.
    pub fn valid_at(&self, t: u64) -> bool {
        self.proven
            && self.from <= t
            && t < self.until
            && self.revoked_from.is_none_or(|revoked| t < revoked)
    }
}

/// An anchored batch.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Merkle root.
    pub root: B256,
    /// Depth of the tree.
    pub size_log2: u8,
    /// The block that holds it.
    pub block_number: u64,
}

/// A published dataset.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Who holds it.
    pub owner: InstId,
    /// Its data use conditions.
    pub duo: u32,
    /// Smallest cohort it serves.
    pub min_cohort: u16,
    /// Ways of use it offers.
    pub modes: u8,
}

/// A request and what became of it; `state` as in `contracts.md` 6.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The document as it was asked for.
    pub request: AccessRequest,
    /// Where it stands.
    pub state: u8,
    /// Live from this second.
    pub from: u64,
    /// Live before this second.
    pub until: u64,
    /// The block that granted it.
    pub granted_block: Option<u64>,
    /// The block of its last change.
    pub changed_block: u64,
}

/// States of a grant that this edge acts on.
pub mod grant_state {
    /// Asked for.
    pub const REQUESTED: u8 = 1;
    /// Live.
    pub const GRANTED: u8 = 3;
    /// Halted by the owner.
    pub const SUSPENDED: u8 = 4;
    /// Ended by the owner.
    pub const REVOKED: u8 = 5;
    /// Its term is over.
    pub const EXPIRED: u8 = 6;
    /// Ended by the requester.
    pub const COMPLETED: u8 = 7;
    /// Said no to.
    pub const REFUSED: u8 = 8;
    /// Taken back.
    pub const WITHDRAWN: u8 = 9;
    /// Never answered.
    pub const LAPSED: u8 = 10;

    /// The state in a word.
    pub fn name(state: u8) -> &'static str {
        match state {
            REQUESTED => "requested",
            2 => "countered",
            GRANTED => "granted",
            SUSPENDED => "suspended",
            REVOKED => "revoked",
            EXPIRED => "expired",
            COMPLETED => "completed",
            REFUSED => "refused",
            WITHDRAWN => "withdrawn",
            LAPSED => "lapsed",
            _ => "unknown",
        }
    }
}

/// A delivery; `state` as in `contracts.md` 6.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Under which grant.
    pub grant_id: B256,
    /// Number within the grant.
    pub seq: u32,
    /// The offer's digest.
    pub offer_hash: B256,
    /// When a receipt is late.
    pub receipt_by: u64,
    /// Seconds from receipt to key.
    pub key_within: u32,
    /// Seconds from key to acknowledgement.
    pub ack_within: u32,
    /// Where it stands.
    pub state: u8,
    /// The recipient's verdict, once acknowledged.
    pub verdict: Option<u8>,
    /// A fault proven by rule.
    pub fault: Option<u8>,
    /// The block of its last change.
    pub changed_block: u64,
}

impl Delivery {
    /// The state in a word.
    pub fn state_name(&self) -> &'static str {
        match self.state {
            1 => "offered",
            2 => "received",
            3 => "key released",
            4 => "accepted",
            5 => "disputed",
            6 => "accepted by silence",
            7 => "lapsed",
            8 => "key overdue",
            _ => "unknown",
        }
    }
}

/// One step in a complaint's life.
#[derive(Debug, Clone)]
pub struct CaseStep {
    /// What happened, in a word.
    pub what: &'static str,
    /// In which block.
    pub block_number: u64,
}

/// A complaint.
#[derive(Debug, Clone)]
pub struct Case {
    /// Who complains.
    pub complainant: InstId,
    /// About whom.
    pub respondent: InstId,
    /// Complaint kind.
    pub kind: u8,
    /// About what.
    pub subject: B256,
    /// The rule's fault code, once decided.
    pub fault: Option<u8>,
    /// Ruling: 1 upheld, 2 dismissed, 3 abusive, 4 not proven.
    pub ruling: Option<u8>,
    /// Severity: 1 minor, 2 major, 3 critical.
    pub severity: Option<u8>,
    /// Its steps, oldest first.
    pub steps: Vec<CaseStep>,
}

/// A sanction in force or served.
#[derive(Debug, Clone)]
pub struct Sanction {
    /// Against whom.
    pub party: InstId,
    /// 1 warned, 2 quota cut, 3 may not request, 4 suspended.
    pub level: u8,
    /// Ends at this second.
    pub until: u64,
    /// For which case.
    pub case_id: B256,
}

/// Everything this edge has read from the chain's logs, up to one block.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// Institutions with an endpoint.
    pub institutions: BTreeMap<InstId, Institution>,
    /// Keys by KeyRegistry id.
    pub keys: BTreeMap<B256, Key>,
    /// Batches by institution and number.
    pub batches: BTreeMap<(InstId, u64), Batch>,
    /// Withdrawn records by institution, batch and position.
    pub withdrawn: BTreeSet<(InstId, u64, u32)>,
    /// Datasets by id.
    pub datasets: BTreeMap<InstId, Dataset>,
    /// Grants by id.
    pub grants: BTreeMap<B256, Grant>,
    /// Deliveries by id.
    pub deliveries: BTreeMap<B256, Delivery>,
    /// Cases by id.
    pub cases: BTreeMap<B256, Case>,
    /// Sanctions by id.
    pub sanctions: BTreeMap<B256, Sanction>,
}

impl Tables {
    /// The live key of a kind that `subject` registered last, valid at `t`.
    pub fn key_of(&self, subject: InstId, kind: u8, t: u64) -> Option<(B256, &Key)> {
        self.keys
            .iter()
            .filter(|(_, key)| key.subject == subject && key.kind == kind && key.valid_at(t))
            .max_by_key(|(_, key)| key.from)
            .map(|(id, key)| (*id, key))
    }

    /// The number of a grant's last delivery; 0 before the first.
    pub fn last_seq(&self, grant_id: B256) -> u32 {
        let of_grant = self.deliveries.values().filter(|d| d.grant_id == grant_id);
        of_grant.map(|d| d.seq).max().unwrap_or(0)
    }
}
