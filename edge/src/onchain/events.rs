//! What the contracts said, as local tables: institutions, keys, batches, datasets, grants, deliveries, cases.
//!
//! [`Tables::apply`] reads one log into its table ([`super::tables`]). The [`super::follower`] feeds it.
//! Institutions founded in the genesis leave no log there (block 0 has no receipts); an edge appears in the tables when it
//! describes its endpoint. What only a view can say (status, score) is asked of the contract at the moment of use.

use alloy_primitives::{Address, B256, Bytes, LogData};
use alloy_sol_types::{SolEvent, SolValue};
use contracts::{
    abi::{
        AccessRegistry as access, DatasetCatalog as catalog, DeliveryLedger as ledger,
        InstitutionRegistry as institutions, KeyRegistry as keys, RecordRegistry as records,
        Sanctions as sanctions, Supervision as supervision,
    },
    codes::key_kind,
    networks,
    typed_data::{self, AccessRequest, KeyBinding},
};
use serde::Deserialize;

use super::tables::{
    Batch, Case, CaseStep, Dataset, Delivery, Grant, Key, Sanction, Tables, grant_state,
};
use crate::error::EdgeError;

/// Contracts whose logs are read.
pub(super) const SOURCES: [Address; 8] = [
    networks::INSTITUTION_REGISTRY,
    networks::KEY_REGISTRY,
    networks::RECORD_REGISTRY,
    networks::DATASET_CATALOG,
    networks::ACCESS_REGISTRY,
    networks::DELIVERY_LEDGER,
    networks::SUPERVISION,
    networks::SANCTIONS,
];

/// A log as `eth_getLogs` answers it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// The contract that wrote it.
    pub address: Address,
    /// Signature hash and indexed words.
    pub topics: Vec<B256>,
    /// The rest.
    pub data: Bytes,
    /// In which block.
    pub block_number: alloy_primitives::U64,
}

impl Tables {
    /// Applies one log; a log of another contract, or one this edge has no table for, changes nothing.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] if a known event's bytes do not decode: another contract stands at the address.
    pub fn apply(&mut self, log: &Log, chain_id: u64) -> Result<(), EdgeError> {
        let Some(topic) = log.topics.first().copied() else { return Ok(()) };
        let data = LogData::new_unchecked(log.topics.clone(), log.data.clone());
        let block = log.block_number.to::<u64>();
        match log.address {
            networks::INSTITUTION_REGISTRY => self.apply_institution(topic, &data),
            networks::KEY_REGISTRY => self.apply_key(topic, &data, chain_id),
            networks::RECORD_REGISTRY => self.apply_record(topic, &data, block),
            networks::DATASET_CATALOG => self.apply_dataset(topic, &data),
            networks::ACCESS_REGISTRY => self.apply_access(topic, &data, block),
            networks::DELIVERY_LEDGER => self.apply_delivery(topic, &data, block),
            networks::SUPERVISION => self.apply_case(topic, &data, block),
            networks::SANCTIONS => self.apply_sanction(topic, &data),
            _ => Ok(()),
        }
    }

    fn apply_institution(&mut self, topic: B256, data: &LogData) -> Result<(), EdgeError> {
        if topic == institutions::InstitutionDescribed::SIGNATURE_HASH {
            let event = decode::<institutions::InstitutionDescribed>(data)?;
            let row = self.institutions.entry(event.id).or_default();
            row.name = event.name;
            row.endpoint = event.endpoint;
        } else if topic == institutions::InstitutionSuspended::SIGNATURE_HASH {
            let event = decode::<institutions::InstitutionSuspended>(data)?;
            self.institutions.entry(event.id).or_default().suspended_until = event.until;
        }
        Ok(())
    }

    fn apply_key(&mut self, topic: B256, data: &LogData, chain_id: u64) -> Result<(), EdgeError> {
        if topic == keys::KeyAdded::SIGNATURE_HASH {
            let event = decode::<keys::KeyAdded>(data)?;
            let proven = is_proven(&event, chain_id);
            let key = Key {
                subject: event.subject,
                kind: event.kind,
                from: event.validFrom,
                until: event.validUntil,
                revoked_from: None,
                public_key: event.publicKey,
                proven,
            };
            self.keys.insert(event.keyId, key);
        } else if topic == keys::KeyRevoked::SIGNATURE_HASH {
            let event = decode::<keys::KeyRevoked>(data)?;
            if let Some(key) = self.keys.get_mut(&event.keyId) {
                key.revoked_from = Some(event.revokedFrom);
            }
        } else if topic == keys::KeyRetired::SIGNATURE_HASH {
            let event = decode::<keys::KeyRetired>(data)?;
            if let Some(key) = self.keys.get_mut(&event.keyId) {
                key.until = event.validUntil;
            }
        }
        Ok(())
    }

    fn apply_record(&mut self, topic: B256, data: &LogData, block: u64) -> Result<(), EdgeError> {
        if topic == records::BatchAnchored::SIGNATURE_HASH {
            let event = decode::<records::BatchAnchored>(data)?;
            let batch = Batch { root: event.root, size_log2: event.sizeLog2, block_number: block };
            self.batches.insert((event.inst, event.seq), batch);
        } else if topic == records::RecordWithdrawn::SIGNATURE_HASH {
            let event = decode::<records::RecordWithdrawn>(data)?;
            self.withdrawn.insert((event.inst, event.seq, event.index));
        }
        Ok(())
    }

    fn apply_dataset(&mut self, topic: B256, data: &LogData) -> Result<(), EdgeError> {
        if topic == catalog::DatasetPublished::SIGNATURE_HASH {
            let event = decode::<catalog::DatasetPublished>(data)?;
            let dataset = Dataset {
                owner: event.owner,
                duo: event.duo,
                min_cohort: event.minCohort,
                modes: event.modes,
            };
            self.datasets.insert(event.id, dataset);
        }
        Ok(())
    }

    fn apply_access(&mut self, topic: B256, data: &LogData, block: u64) -> Result<(), EdgeError> {
        use grant_state as state;
        if topic == access::AccessRequested::SIGNATURE_HASH {
            let request = AccessRequest::abi_decode_validate(&data.data)
                .map_err(|_| undecodable("AccessRequested"))?;
            let grant = Grant {
                state: state::REQUESTED,
                from: request.validFrom,
                until: request.validUntil,
                request,
                granted_block: None,
                changed_block: block,
            };
            self.grants.insert(indexed(data), grant);
            return Ok(());
        }
        let Some(grant) = self.grants.get_mut(&indexed(data)) else { return Ok(()) };
        let next = match topic {
            access::AccessGranted::SIGNATURE_HASH => {
                let event = decode::<access::AccessGranted>(data)?;
                grant.from = event.validFrom;
                grant.until = event.validUntil;
                grant.granted_block = Some(block);
                state::GRANTED
            }
            access::AccessResumed::SIGNATURE_HASH => state::GRANTED,
            access::AccessSuspended::SIGNATURE_HASH => state::SUSPENDED,
            access::AccessRevoked::SIGNATURE_HASH => state::REVOKED,
            access::AccessExpired::SIGNATURE_HASH => state::EXPIRED,
            access::AccessCompleted::SIGNATURE_HASH => state::COMPLETED,
            access::AccessRefused::SIGNATURE_HASH => state::REFUSED,
            access::RequestWithdrawn::SIGNATURE_HASH => state::WITHDRAWN,
            access::RequestLapsed::SIGNATURE_HASH => state::LAPSED,
            _ => return Ok(()),
        };
        grant.state = next;
        grant.changed_block = block;
        Ok(())
    }

    fn apply_delivery(&mut self, topic: B256, data: &LogData, block: u64) -> Result<(), EdgeError> {
        if topic == ledger::DeliveryOffered::SIGNATURE_HASH {
            let event = decode::<ledger::DeliveryOffered>(data)?;
            let delivery = Delivery {
                grant_id: event.grantId,
                seq: event.seq,
                offer_hash: event.offerHash,
                receipt_by: event.receiptBy,
                key_within: event.keyWithin.to(),
                ack_within: event.ackWithin.to(),
                state: 1,
                verdict: None,
                fault: None,
                changed_block: block,
            };
            self.deliveries.insert(event.deliveryId, delivery);
            return Ok(());
        }
        let Some(delivery) = self.deliveries.get_mut(&indexed(data)) else { return Ok(()) };
        match topic {
            ledger::DeliveryReceived::SIGNATURE_HASH => delivery.state = 2,
            ledger::KeyReleased::SIGNATURE_HASH => delivery.state = 3,
            ledger::DeliveryAcknowledged::SIGNATURE_HASH => {
                let event = decode::<ledger::DeliveryAcknowledged>(data)?;
                delivery.verdict = Some(event.verdict);
                delivery.state = if event.verdict == 0 { 4 } else { 5 };
            }
            ledger::DeliveryExpired::SIGNATURE_HASH => {
                let event = decode::<ledger::DeliveryExpired>(data)?;
                delivery.state = event.state;
                delivery.fault = Some(event.faultCode);
            }
            ledger::FaultProven::SIGNATURE_HASH => {
                delivery.fault = Some(decode::<ledger::FaultProven>(data)?.faultCode);
            }
            _ => return Ok(()),
        }
        delivery.changed_block = block;
        Ok(())
    }

    fn apply_case(&mut self, topic: B256, data: &LogData, block: u64) -> Result<(), EdgeError> {
        if topic == supervision::ComplaintFiled::SIGNATURE_HASH {
            let event = decode::<supervision::ComplaintFiled>(data)?;
            let case = Case {
                complainant: event.complainant,
                respondent: event.respondent,
                kind: event.kind,
                subject: event.subject,
                fault: None,
                ruling: None,
                severity: None,
                steps: vec![CaseStep { what: "filed", block_number: block }],
            };
            self.cases.insert(event.caseId, case);
            return Ok(());
        }
        let Some(case) = self.cases.get_mut(&indexed(data)) else { return Ok(()) };
        let what = match topic {
            supervision::CaseDecidedByRule::SIGNATURE_HASH => {
                let event = decode::<supervision::CaseDecidedByRule>(data)?;
                case.fault = Some(event.faultCode);
                case.ruling = Some(event.ruling);
                case.severity = Some(event.severity);
                "decided by rule"
            }
            supervision::CaseExecuted::SIGNATURE_HASH => "executed",
            _ => return Ok(()),
        };
        case.steps.push(CaseStep { what, block_number: block });
        Ok(())
    }

    fn apply_sanction(&mut self, topic: B256, data: &LogData) -> Result<(), EdgeError> {
        if topic == sanctions::SanctionImposed::SIGNATURE_HASH {
            let event = decode::<sanctions::SanctionImposed>(data)?;
            let sanction = Sanction {
                party: event.party,
                level: event.level,
                until: event.until,
                case_id: event.caseId,
            };
            self.sanctions.insert(event.sanctionId, sanction);
        }
        Ok(())
    }
}

/// The first indexed word of a log: the id of what it is about.
fn indexed(data: &LogData) -> B256 {
    data.topics().get(1).copied().unwrap_or_default()
}

fn decode<E: SolEvent>(data: &LogData) -> Result<E, EdgeError> {
    E::decode_log_data_validate(data).map_err(|_| undecodable(E::SIGNATURE))
}

fn undecodable(event: &str) -> EdgeError {
    EdgeError::Chain(format!(
        "a log of {event} does not decode; this chain's contracts are another version"
    ))
}

/// Proof of possession (`protocol.md` 3): an Ed25519 key signs the digest of its own `KeyBinding`; an account's proof was
/// checked by the contract; seal keys carry none.
fn is_proven(event: &keys::KeyAdded, chain_id: u64) -> bool {
    match event.kind {
        key_kind::ACCOUNT | key_kind::SEAL => true,
        key_kind::TRANSPORT_ED25519 => {
            let binding = KeyBinding {
                subject: event.subject,
                keyId: event.keyId,
                kind: event.kind,
                validFrom: event.validFrom,
                validUntil: event.validUntil,
            };
            let digest = key_binding_digest(&binding, chain_id);
            aws_lc_rs::signature::UnparsedPublicKey::new(
                &aws_lc_rs::signature::ED25519,
                &event.publicKey,
            )
            .verify(digest.as_slice(), &event.proof)
            .is_ok()
        }
        _ => false,
    }
}

/// What a new key signs to prove that somebody holds it.
pub fn key_binding_digest(binding: &KeyBinding, chain_id: u64) -> B256 {
    let domain = typed_data::domain("KeyRegistry", chain_id, networks::KEY_REGISTRY);
    typed_data::digest(binding, &domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{FixedBytes, U64};
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    use crate::onchain::InstId;

    const A: InstId = FixedBytes([0xaa; 16]);
    const B: InstId = FixedBytes([0xbb; 16]);
    const ID: B256 = B256::repeat_byte(7);

    fn log(address: Address, block: u64, event: &impl SolEvent) -> Log {
        let data = event.encode_log_data();
        Log {
            address,
            topics: data.topics().to_vec(),
            data: data.data,
            block_number: U64::from(block),
        }
    }

    fn requested() -> Log {
        let request = AccessRequest {
            requester: B,
            owner: A,
            dataset: FixedBytes([1; 16]),
            purpose: 5,
            duo: 2,
            mode: 1,
            validFrom: 100,
            validUntil: 200,
            answerBy: 150,
            deliverWithin: 0,
            scopeHash: ID,
            termsHash: ID,
            renews: B256::ZERO,
            salt: ID,
        };
        Log {
            address: networks::ACCESS_REGISTRY,
            topics: vec![access::AccessRequested::SIGNATURE_HASH, ID],
            data: request.abi_encode().into(),
            block_number: U64::from(4),
        }
    }

    #[test]
    fn a_grant_moves_through_its_states_and_never_back() {
        let mut tables = Tables::default();
        tables.apply(&requested(), 1).unwrap();
        assert_eq!(tables.grants[&ID].state, grant_state::REQUESTED);
        let granted = access::AccessGranted {
            grantId: ID,
            requester: B,
            owner: A,
            dataset: FixedBytes([1; 16]),
            validFrom: 110,
            validUntil: 190,
            document: ID,
        };
        tables.apply(&log(networks::ACCESS_REGISTRY, 5, &granted), 1).unwrap();
        let grant = &tables.grants[&ID];
        assert_eq!(
            (grant.state, grant.from, grant.until, grant.granted_block),
            (grant_state::GRANTED, 110, 190, Some(5))
        );
        let revoked = access::AccessRevoked { grantId: ID, reasonCode: 8, reasonHash: ID };
        tables.apply(&log(networks::ACCESS_REGISTRY, 9, &revoked), 1).unwrap();
        assert_eq!(tables.grants[&ID].state, grant_state::REVOKED);
        assert_eq!(tables.grants[&ID].changed_block, 9);
    }

    #[test]
    fn a_log_from_another_address_or_with_other_bytes_is_not_believed() {
        let mut tables = Tables::default();
        let mut strange = requested();
        strange.address = Address::repeat_byte(1);
        tables.apply(&strange, 1).unwrap();
        assert!(tables.grants.is_empty());
        let mut short = requested();
        short.data = short.data.slice(..40);
        assert!(tables.apply(&short, 1).is_err());
        let mut bare = requested();
        bare.topics.clear();
        tables.apply(&bare, 1).unwrap();
    }

    #[test]
    fn a_transport_key_without_its_own_signature_is_ignored() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
        let key_id = ID;
        let binding = KeyBinding {
            subject: A,
            keyId: key_id,
            kind: key_kind::TRANSPORT_ED25519,
            validFrom: 10,
            validUntil: 20,
        };
        let proof = pair.sign(key_binding_digest(&binding, 1337).as_slice());
        let mut added = keys::KeyAdded {
            keyId: key_id,
            subject: A,
            kind: key_kind::TRANSPORT_ED25519,
            validFrom: 10,
            validUntil: 20,
            publicKey: pair.public_key().as_ref().to_vec().into(),
            proof: proof.as_ref().to_vec().into(),
        };
        let mut tables = Tables::default();
        tables.apply(&log(networks::KEY_REGISTRY, 1, &added), 1337).unwrap();
        let kind = key_kind::TRANSPORT_ED25519;
        assert!(tables.key_of(A, kind, 10).is_some());
        assert!(tables.key_of(A, kind, 9).is_none() && tables.key_of(A, kind, 20).is_none());
        assert!(tables.key_of(B, kind, 10).is_none());
        added.subject = B;
        tables.apply(&log(networks::KEY_REGISTRY, 1, &added), 1337).unwrap();
        assert!(tables.key_of(B, kind, 10).is_none(), "A's proof must not serve B");
    }

    #[test]
    fn deliveries_and_cases_keep_what_was_said() {
        let mut tables = Tables::default();
        let offered = ledger::DeliveryOffered {
            deliveryId: ID,
            grantId: B256::repeat_byte(1),
            seq: 3,
            offerHash: B256::repeat_byte(2),
            receiptBy: 9,
            keyWithin: alloy_primitives::Uint::from(3600),
            ackWithin: alloy_primitives::Uint::from(7200),
        };
        tables.apply(&log(networks::DELIVERY_LEDGER, 2, &offered), 1).unwrap();
        assert_eq!(tables.last_seq(B256::repeat_byte(1)), 3);
        assert_eq!(tables.last_seq(B256::repeat_byte(9)), 0);
        let fault = ledger::FaultProven { deliveryId: ID, faultCode: 4, faultSide: 1 };
        tables.apply(&log(networks::DELIVERY_LEDGER, 3, &fault), 1).unwrap();
        assert_eq!(tables.deliveries[&ID].fault, Some(4));
        let filed = supervision::ComplaintFiled {
            caseId: ID,
            complainant: B,
            respondent: A,
            kind: 3,
            subject: ID,
            evidenceHash: ID,
            deadline: 77,
        };
        tables.apply(&log(networks::SUPERVISION, 4, &filed), 1).unwrap();
        let decided =
            supervision::CaseDecidedByRule { caseId: ID, faultCode: 4, ruling: 1, severity: 2 };
        tables.apply(&log(networks::SUPERVISION, 5, &decided), 1).unwrap();
        let case = &tables.cases[&ID];
        assert_eq!((case.fault, case.ruling, case.severity), (Some(4), Some(1), Some(2)));
        assert_eq!(case.steps.len(), 2);
    }
}
