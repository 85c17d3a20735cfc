//! Makes the institution's keys and endpoint known on chain; what is there already is left as it is.

use std::time::Duration;

use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use contracts::{
    abi::{InstitutionRegistry, KeyRegistry},
    codes::key_kind,
    networks,
    typed_data::KeyBinding,
};

use super::{Edge, now_secs};
use crate::{
    error::EdgeError,
    onchain::{At, events::key_binding_digest},
    peer::signature::key_id,
};

/// A key's start lies this far ahead: it may not be backdated, and its transaction needs a block.
const LEAD_SECS: u64 = 3;
/// A key lives this long: under the 1,095 days the contract allows.
const TERM_SECS: u64 = 730 * 86_400;
/// Attempts when a busy chain makes a start backdated before it is in a block.
const ATTEMPTS: u32 = 4;

impl Edge {
    /// Registers SEAL and TRANSPORT keys and the endpoint, then waits until the keys are valid.
    pub(super) async fn register(&self) -> Result<(), EdgeError> {
        let inner = &self.inner;
        let subject = KeyRegistry::subjectOfCall { account: self.account() };
        let bound = inner.chain.read(networks::KEY_REGISTRY, &subject, At::Latest).await?;
        if bound != inner.institution {
            return Err(EdgeError::input(
                format!(
                    "account {} does not act for institution {} on this chain",
                    self.account(),
                    inner.institution
                ),
                "--institution",
                "use the account key and id that the institution was founded with",
            ));
        }
        self.register_key(key_kind::SEAL, inner.keys.seal_public()).await?;
        self.register_key(key_kind::TRANSPORT_ED25519, inner.keys.transport_public()).await?;
        self.describe().await?;
        self.until_keys_are_valid().await
    }

    async fn describe(&self) -> Result<(), EdgeError> {
        let inner = &self.inner;
        let same = inner.follower.read(|tables| {
            tables
                .institutions
                .get(&inner.institution)
                .is_some_and(|row| row.name == inner.name && row.endpoint == inner.endpoint)
        });
        if same {
            return Ok(());
        }
        let call = InstitutionRegistry::describeCall {
            id: inner.institution,
            name: inner.name.clone(),
            endpoint: inner.endpoint.clone(),
        };
        self.act(networks::INSTITUTION_REGISTRY, call.abi_encode()).await.map(drop)
    }

    async fn register_key(&self, kind: u8, public_key: [u8; 32]) -> Result<(), EdgeError> {
        let inner = &self.inner;
        let id = key_id(kind, &public_key);
        if inner.follower.read(|tables| tables.keys.contains_key(&id)) {
            return Ok(());
        }
        let mut attempt = 1;
        loop {
            let from = now_secs().max(inner.chain.head().await?.timestamp) + LEAD_SECS;
            let binding = KeyBinding {
                subject: inner.institution,
                keyId: id,
                kind,
                validFrom: from,
                validUntil: from + TERM_SECS,
            };
            let digest = key_binding_digest(&binding, inner.chain.chain_id());
            let proof = match kind {
                key_kind::SEAL => Bytes::new(),
                _ => inner.keys.sign_transport(digest.as_slice()).to_vec().into(),
            };
            let call = KeyRegistry::addKeyCall {
                subject: inner.institution,
                kind,
                publicKey: public_key.to_vec().into(),
                validFrom: binding.validFrom,
                validUntil: binding.validUntil,
                proof,
            };
            match self.act(networks::KEY_REGISTRY, call.abi_encode()).await {
                Ok(_) => return Ok(()),
                Err(EdgeError::Chain(why)) if why.contains("Backdated") && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn until_keys_are_valid(&self) -> Result<(), EdgeError> {
        let inner = &self.inner;
        for _ in 0..100 {
            let now = now_secs();
            let ready = inner.follower.read(|tables| {
                [key_kind::SEAL, key_kind::TRANSPORT_ED25519]
                    .iter()
                    .all(|kind| tables.key_of(inner.institution, *kind, now).is_some())
            });
            if ready {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(EdgeError::Chain(
            "the keys registered on chain are not valid: revoked, or run out; register new ones"
                .into(),
        ))
    }
}
