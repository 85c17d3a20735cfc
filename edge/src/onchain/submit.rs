//! Sends this institution's transactions: one nonce lane, a receipt awaited, a refusal in the contract's own words.
//!
//! An act is looked up by its id before anybody sends it again; this file only makes sure that two acts of one edge never
//! share a nonce. The nonce is the greater of the node's pending count and of what this lane has used.

use std::{sync::Arc, time::Duration};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey, ecdsa};
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};

use super::{Chain, RpcFailure, quantity};
use crate::error::EdgeError;

/// How long a transaction may stay out of a block before the edge gives up waiting.
const RECEIPT_DEADLINE: Duration = Duration::from_secs(60);
/// Pause between two looks for a receipt.
const RECEIPT_PAUSE: Duration = Duration::from_millis(150);
/// Gas added to an estimate, in percent: state may move between estimate and block.
const GAS_MARGIN_PERCENT: u64 = 30;

/// An account's secp256k1 key: signs transactions and EIP-712 digests.
pub struct AccountKey {
    secret: SecretKey,
    address: Address,
}

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountKey({}, ***)", self.address)
    }
}

impl Drop for AccountKey {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

impl AccountKey {
    /// The key of these 32 bytes.
    ///
    /// # Errors
    /// [`EdgeError::Input`] if the number is 0 or not below the curve's order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<AccountKey, EdgeError> {
        let secret = SecretKey::from_byte_array(*bytes).map_err(|_| {
            EdgeError::input(
                "these 32 bytes are not a secp256k1 secret key",
                "account key",
                "give another key",
            )
        })?;
        let address = address_of(&PublicKey::from_secret_key(SECP256K1, &secret));
        Ok(AccountKey { secret, address })
    }

    /// The account's address.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a 32-byte digest: `r ‖ s ‖ v`, s low, v 27 or 28.
    pub fn sign(&self, digest: B256) -> [u8; 65] {
        let message = Message::from_digest(digest.0);
        let signature = SECP256K1.sign_ecdsa_recoverable(message, &self.secret);
        let (id, rs) = signature.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&rs);
        bytes[64] = 27 + u8::try_from(i32::from(id)).expect("a recovery id is 0 to 3");
        bytes
    }
}

/// The account that signed a digest (`r ‖ s ‖ v`, v 27 or 28, s low: EIP-2).
///
/// # Errors
/// [`EdgeError::Input`] if the bytes are not such a signature.
pub fn recover(digest: B256, signature: &[u8]) -> Result<Address, EdgeError> {
    let bad = || EdgeError::input("the signature does not recover", "signature", "sign again");
    let (rs, v) = match signature.split_first_chunk::<64>() {
        Some((rs, [v])) => (rs, *v),
        _ => return Err(bad()),
    };
    let id = v.checked_sub(27).filter(|id| *id < 2).ok_or_else(bad)?;
    let id = ecdsa::RecoveryId::try_from(i32::from(id)).map_err(|_| bad())?;
    let recoverable = ecdsa::RecoverableSignature::from_compact(rs, id).map_err(|_| bad())?;
    let standard = recoverable.to_standard();
    let mut low = standard;
    low.normalize_s();
    if low != standard {
        return Err(bad());
    }
    let key =
        SECP256K1.recover_ecdsa(Message::from_digest(digest.0), &recoverable).map_err(|_| bad())?;
    Ok(address_of(&key))
}

fn address_of(key: &PublicKey) -> Address {
    Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..])
}

/// A transaction that is in a block and did what it was sent for.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Transaction hash.
    pub hash: B256,
    /// The block it is in.
    pub block_number: u64,
    /// Gas it used.
    pub gas_used: u64,
}

/// The one lane of an account's transactions.
#[derive(Debug)]
pub struct Submitter {
    chain: Arc<Chain>,
    key: AccountKey,
    lane: Mutex<u64>,
}

impl Submitter {
    /// A lane for the account of `key`.
    pub fn new(chain: Arc<Chain>, key: AccountKey) -> Submitter {
        Submitter { chain, key, lane: Mutex::new(0) }
    }

    /// The account that sends and signs.
    pub fn key(&self) -> &AccountKey {
        &self.key
    }

    /// Sends `data` to a contract and waits until it is in a block.
    ///
    /// # Errors
    /// [`EdgeError::Chain`] with the contract's refusal in words, or if no receipt came within a minute.
    pub async fn send(&self, to: Address, data: Vec<u8>) -> Result<Sent, EdgeError> {
        let data = Bytes::from(data);
        let hash = self.post(to, &data).await?;
        self.receipt(hash, to, &data).await
    }

    /// Puts the transaction into the node's pool.
    async fn post(&self, to: Address, data: &Bytes) -> Result<B256, EdgeError> {
        let rpc = self.chain.rpc();
        let call = json!({"from": self.key.address, "to": to, "data": data});
        let estimate = quantity(&rpc.call("eth_estimateGas", json!([call])).await?)?;
        let price = u128::from(quantity(&rpc.call("eth_gasPrice", json!([])).await?)?);

        let mut next = self.lane.lock().await;
        let count = json!([self.key.address, "pending"]);
        let pending = quantity(&rpc.call("eth_getTransactionCount", count).await?)?;
        let nonce = pending.max(*next);
        let transaction = TxEip1559 {
            chain_id: self.chain.chain_id(),
            nonce,
            gas_limit: estimate.saturating_add(estimate * GAS_MARGIN_PERCENT / 100),
            max_fee_per_gas: price * 2,
            max_priority_fee_per_gas: price,
            to: TxKind::Call(to),
            value: U256::ZERO,
            access_list: alloy_eips::eip2930::AccessList::default(),
            input: data.clone(),
        };
        let signature = Signature::from_raw_array(&self.key.sign(transaction.signature_hash()))
            .map_err(|e| EdgeError::Internal(format!("own signature does not read: {e}")))?;
        let mut raw = Vec::new();
        transaction.into_signed(signature).eip2718_encode(&mut raw);
        let answer = rpc.call("eth_sendRawTransaction", json!([Bytes::from(raw)])).await?;
        *next = nonce + 1;
        drop(next);
        answer
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| EdgeError::Chain("the node did not answer with a hash".into()))
    }

    /// Waits for the receipt and reads it.
    async fn receipt(&self, hash: B256, to: Address, data: &Bytes) -> Result<Sent, EdgeError> {
        let deadline = Instant::now() + RECEIPT_DEADLINE;
        let receipt = loop {
            let receipt = self.chain.rpc().call("eth_getTransactionReceipt", json!([hash])).await?;
            if !receipt.is_null() {
                break receipt;
            }
            if Instant::now() >= deadline {
                return Err(EdgeError::Chain(format!(
                    "transaction {hash} is in no block after {} s; is anybody sealing?",
                    RECEIPT_DEADLINE.as_secs()
                )));
            }
            tokio::time::sleep(RECEIPT_PAUSE).await;
        };
        let field = |name: &str| quantity(receipt.get(name).unwrap_or(&Value::Null));
        let sent = Sent { hash, block_number: field("blockNumber")?, gas_used: field("gasUsed")? };
        if field("status")? == 1 {
            return Ok(sent);
        }
        Err(self.why_reverted(to, data, &sent).await)
    }

    /// Runs a reverted call again on the state before its block, for the contract's words.
    async fn why_reverted(&self, to: Address, data: &Bytes, sent: &Sent) -> EdgeError {
        let before = format!("{:#x}", sent.block_number.saturating_sub(1));
        let call = json!({"from": self.key.address, "to": to, "data": data});
        match self.chain.rpc().call("eth_call", json!([call, before])).await {
            Err(failure @ RpcFailure::Answer { .. }) => failure.into(),
            _ => EdgeError::Chain(format!(
                "transaction {} reverted in block {} after {} gas",
                sent.hash, sent.block_number, sent.gas_used
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, hex};

    #[test]
    fn the_first_account_of_the_public_test_phrase() {
        let key = AccountKey::from_bytes(&hex!(
            "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
        ))
        .unwrap();
        assert_eq!(key.address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(
            format!("{key:?}"),
            "AccountKey(0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266, ***)"
        );
    }

    #[test]
    fn a_signature_recovers_to_its_account_alone() {
        let key = AccountKey::from_bytes(&[9; 32]).unwrap();
        let digest = keccak256("a document");
        let mut signature = key.sign(digest);
        assert_eq!(recover(digest, &signature).unwrap(), key.address());
        assert_ne!(recover(keccak256("another"), &signature).ok(), Some(key.address()));
        signature[64] = 3;
        assert!(recover(digest, &signature).is_err());
        assert!(recover(digest, &signature[..64]).is_err());
        assert!(AccountKey::from_bytes(&[0; 32]).is_err());
    }
}
