//! What people and edges sign: EIP-712 documents and acts (`contracts.md` sections 1 and 5).
//!
//! A *document* is a struct below; its id **is** its digest, so an id binds chain, contract and content. An *act* is any
//! other call, relayed for its signer with a nonce and a deadline. The domain is
//! `{name: "msnet <Contract>", version: "1", chainId, verifyingContract}`.

use alloy_primitives::{Address, B256};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain, sol};

/// AccessRegistry: a request for one purpose, one dataset, one term; and other terms for it.
pub use crate::abi::access_registry::IAccessRegistry::{AccessRequest, CounterOffer};
/// AlgorithmRegistry: a program is offered for review.
pub use crate::abi::algorithm_registry::IAlgorithmRegistry::AlgorithmSubmission;
/// CareRegistry: two institutions agree on care; a clinician looks at records at once, on record.
pub use crate::abi::care_registry::ICareRegistry::{Agreement, BreakGlass};
/// ComputeJobs: a computation over one dataset, or three and more.
pub use crate::abi::compute_jobs::IComputeJobs::JobOrder;
/// Council: calls to vote on.
pub use crate::abi::council::ICouncil::Proposal;
/// DataHubRegistry: a person opens a hub; a service says what it does with data.
pub use crate::abi::data_hub_registry::IDataHubRegistry::{HubOpening, ServiceOffer};
/// DeliveryLedger: what is about to be delivered, to the byte; that its ciphertext is there; what the recipient found.
pub use crate::abi::delivery_ledger::IDeliveryLedger::{Acknowledgement, DeliveryOffer, Receipt};
/// InstitutionRegistry: an institution asks to be admitted.
pub use crate::abi::institution_registry::IInstitutionRegistry::Application;
/// Supervision: a complaint.
pub use crate::abi::supervision::ISupervision::Complaint;

sol! {
    /// KeyRegistry: a new key binds itself to its subject.
    #[derive(Debug)]
    struct KeyBinding { bytes16 subject; bytes32 keyId; uint8 kind; uint64 validFrom; uint64 validUntil; }
    /// ConsentRegistry: a patient's decision. It stays at the edge.
    #[derive(Debug)]
    struct ConsentChange { bytes16 subject; uint32 allowed; uint32 denied; uint64 effectiveAt; bytes32 textHash; bytes32 salt; }
    /// ComputeJobs: a hub lets a job use its data. It stays at the edge, under the site's `permitRoot`.
    #[derive(Debug)]
    struct HubPermit { bytes32 jobId; bytes16 hub; uint8 site; bytes32 policyCommit; uint64 validUntil; }
    /// ComputeJobs: which engine of a site computed what. Its digest goes on chain as `receiptHash`.
    #[derive(Debug)]
    struct ResultReceipt { bytes32 jobId; uint8 site; bytes32 algId; bytes32 engine; bytes32 inputRoot; bytes32 cohortRoot; bytes32 paramsHash; bytes32 policyHash; uint32 consentEpoch; uint32 epsMilli; uint8 fuelBucket; bytes32 seedCommit; bytes32 resultHash; uint64 computedAt; }
    /// AccessRegistry, an act: the owner ends a grant.
    #[derive(Debug)]
    struct Revoke { bytes32 grantId; uint8 reasonCode; bytes32 reasonHash; uint256 nonce; uint64 deadline; }
}

/// The EIP-712 domain of one contract on one chain.
pub fn domain(contract: &str, chain_id: u64, address: Address) -> Eip712Domain {
    eip712_domain! {
        name: format!("msnet {contract}"),
        version: "1",
        chain_id: chain_id,
        verifying_contract: address,
    }
}

/// `keccak256(0x1901 ‖ domainSeparator ‖ structHash)`: what is signed, and a document's id.
pub fn digest<S: SolStruct>(document: &S, domain: &Eip712Domain) -> B256 {
    document.eip712_signing_hash(domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::{ACCESS_REGISTRY, DELIVERY_LEDGER};
    use alloy_primitives::{FixedBytes, keccak256};
    use alloy_sol_types::SolValue;
    use serde_json::Value;

    /// The vectors that the Solidity tests read too.
    fn vectors() -> Value {
        let text = include_str!("../../test/vectors/contracts/typed_data.json");
        serde_json::from_str(text).expect("the shared vectors read")
    }

    fn word<const N: usize>(value: &Value) -> FixedBytes<N> {
        value.as_str().and_then(|text| text.parse().ok()).expect("hex of the right length")
    }

    fn number<T: TryFrom<u64>>(value: &Value) -> T {
        value.as_u64().and_then(|number| T::try_from(number).ok()).expect("a number in range")
    }

    fn request(of: &Value) -> AccessRequest {
        AccessRequest {
            requester: word(&of["requester"]),
            owner: word(&of["owner"]),
            dataset: word(&of["dataset"]),
            purpose: number(&of["purpose"]),
            duo: number(&of["duo"]),
            mode: number(&of["mode"]),
            validFrom: number(&of["validFrom"]),
            validUntil: number(&of["validUntil"]),
            answerBy: number(&of["answerBy"]),
            deliverWithin: number(&of["deliverWithin"]),
            scopeHash: word(&of["scopeHash"]),
            termsHash: word(&of["termsHash"]),
            renews: word(&of["renews"]),
            salt: word(&of["salt"]),
        }
    }

    #[test]
    fn the_published_request_grant_and_delivery() {
        let want = vectors();
        let contract = want["contract"].as_str().expect("a name");
        let address = Address::from(word::<20>(&want["verifyingContract"]));
        assert_eq!((contract, address), ("AccessRegistry", ACCESS_REGISTRY));
        let domain = domain(contract, number(&want["chainId"]), address);
        assert_eq!(domain.separator(), word::<32>(&want["domainSeparator"]));
        let request = request(&want["accessRequest"]);
        assert_eq!(
            AccessRequest::eip712_encode_type(),
            want["accessRequest"]["type"].as_str().expect("a type")
        );
        assert_eq!(request.eip712_hash_struct(), word::<32>(&want["structHash"]));
        let grant_id = digest(&request, &domain);
        assert_eq!(grant_id, word::<32>(&want["grantId"]));
        let delivery_id = keccak256((grant_id, number::<u32>(&want["seq"])).abi_encode());
        assert_eq!(delivery_id, word::<32>(&want["deliveryId"]));
    }

    /// `contracts.md` section 5 lists them; a document's id binds its type.
    #[test]
    fn the_published_types_of_documents() {
        let page = include_str!("../../design/contracts.md");
        for name in [
            Application::eip712_encode_type(),
            KeyBinding::eip712_encode_type(),
            HubOpening::eip712_encode_type(),
            ServiceOffer::eip712_encode_type(),
            ConsentChange::eip712_encode_type(),
            AccessRequest::eip712_encode_type(),
            CounterOffer::eip712_encode_type(),
            Agreement::eip712_encode_type(),
            BreakGlass::eip712_encode_type(),
            DeliveryOffer::eip712_encode_type(),
            Receipt::eip712_encode_type(),
            Acknowledgement::eip712_encode_type(),
            Complaint::eip712_encode_type(),
            AlgorithmSubmission::eip712_encode_type(),
            JobOrder::eip712_encode_type(),
            HubPermit::eip712_encode_type(),
            ResultReceipt::eip712_encode_type(),
            Proposal::eip712_encode_type(),
        ] {
            assert!(page.contains(&*name), "{name}");
        }
    }

    #[test]
    fn the_published_act() {
        let act = &vectors()["act"];
        assert_eq!(Revoke::eip712_encode_type(), act["type"].as_str().expect("a type"));
        assert_eq!(
            keccak256(Revoke::eip712_encode_type().as_bytes()),
            word::<32>(&act["typehash"])
        );
    }

    #[test]
    fn domains_of_two_contracts_differ() {
        let one = domain("AccessRegistry", 1337, ACCESS_REGISTRY).separator();
        assert_ne!(one, domain("DeliveryLedger", 1337, DELIVERY_LEDGER).separator());
        assert_ne!(one, domain("AccessRegistry", 1338, ACCESS_REGISTRY).separator());
    }
}
