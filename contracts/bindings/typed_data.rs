//! What people and edges sign: EIP-712 documents and acts (`contracts.md` sections 1 and 5).
//!
//! A *document* is a struct below; its id **is** its digest, so an id binds chain, contract and content. An *act* is any
//! other call, relayed for its signer with a nonce and a deadline. The domain is
//! `{name: "msnet <Contract>", version: "1", chainId, verifyingContract}`.

use alloy_primitives::{Address, B256};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain, sol};

/// AccessRegistry: a request for one purpose, one dataset, one term; and other terms for it.
pub use crate::abi::access_registry::IAccessRegistry::{AccessRequest, CounterOffer};
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
    use alloy_primitives::{FixedBytes, b256, keccak256};
    use alloy_sol_types::SolValue;

    fn request() -> AccessRequest {
        AccessRequest {
            requester: FixedBytes::repeat_byte(0xaa),
            owner: FixedBytes::repeat_byte(0xbb),
            dataset: FixedBytes::repeat_byte(0xdd),
            purpose: 5,
            duo: 0x40400,
            mode: 1,
            validFrom: 1_800_000_000,
            validUntil: 1_831_536_000,
            answerBy: 1_799_700_000,
            deliverWithin: 259_200,
            scopeHash: B256::repeat_byte(1),
            termsHash: B256::repeat_byte(2),
            renews: B256::ZERO,
            salt: B256::repeat_byte(3),
        }
    }

    #[test]
    fn the_published_request_grant_and_delivery() {
        let domain = domain("AccessRegistry", 1337, ACCESS_REGISTRY);
        assert_eq!(
            domain.separator(),
            b256!("72ab23ea3daa50d95ce8f68878170e6e5af4fb986f52815b6c2e8134e014c75a")
        );
        assert_eq!(
            request().eip712_hash_struct(),
            b256!("beabc83d1fd9e68b2fcab03ffddf8de17c8d750ebe2ff9e7af137e9649284a23")
        );
        let grant_id = digest(&request(), &domain);
        assert_eq!(
            grant_id,
            b256!("5b517b5d47d7aa6bc3a04d379bc0d542a07c858831858c79dbc57885d06f99fc")
        );
        assert_eq!(
            keccak256((grant_id, 1_u32).abi_encode()),
            b256!("986a9c9141218c3f732190866fc1fc123cfc938a66195a7a9f1c24d9517210c3")
        );
    }

    #[test]
    fn the_published_act() {
        let revoke = Revoke {
            grantId: B256::ZERO,
            reasonCode: 0,
            reasonHash: B256::ZERO,
            nonce: Default::default(),
            deadline: 0,
        };
        assert_eq!(
            revoke.eip712_type_hash(),
            b256!("a84b2ecba8ee68ac3133e6dfdbd2a64f2f38734aa57ba80a57fa7631857687f0")
        );
    }

    #[test]
    fn domains_of_two_contracts_differ() {
        let one = domain("AccessRegistry", 1337, ACCESS_REGISTRY).separator();
        assert_ne!(one, domain("DeliveryLedger", 1337, DELIVERY_LEDGER).separator());
        assert_ne!(one, domain("AccessRegistry", 1338, ACCESS_REGISTRY).separator());
    }
}
