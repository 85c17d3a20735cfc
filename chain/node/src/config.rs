//! [`NodeConfig`]: what a node is started with.

use std::{fmt, path::PathBuf, sync::Arc};

use alloy_primitives::{Address, B256, keccak256};
use chain::disk::{Disk, OsDisk};
use chain::pool::Order;
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};
use zeroize::Zeroizing;

use crate::{
    disk_watch::MIN_FREE_DISK_MIB, error::NodeError, replay::Replay, storage_args::StorageArgs,
    txpool_args::TxPoolArgs,
};

/// What a node is started with.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Folder of everything the node keeps; the ledger lies in `<datadir>/msnet`. None keeps it in
    /// memory alone.
    pub datadir: Option<PathBuf>,
    /// The network: a genesis file in geth's JSON.
    pub genesis: Vec<u8>,
    /// Serves this recorded chain in place of a network; `genesis` is its genesis.
    pub replay: Option<Replay>,
    /// Seals blocks with this key, if the account is a signer of the network.
    pub signer: Option<SignerKey>,
    /// Seconds between blocks in place of the genesis' period; 0 seals a block per waiting
    /// transaction.
    pub period_override: Option<u64>,
    /// How own blocks look.
    pub miner: MinerConfig,
    /// Runs own blocks a second time before they are stored, and ends on a difference.
    pub reexecutes: bool,
    /// What waits for a block, and for how long.
    pub txpool: TxPoolArgs,
    /// Memory for what lies on disk, and how much of the past stays there.
    pub storage: StorageArgs,
    /// What the folder lies on.
    pub disk: Arc<dyn Disk>,
    /// Free space below which the node is read-only, MiB.
    pub min_free_disk_mib: u64,
}

impl NodeConfig {
    /// A reader of this network, in memory.
    pub fn new(genesis: Vec<u8>) -> Self {
        Self {
            datadir: None,
            genesis,
            replay: None,
            signer: None,
            period_override: None,
            miner: MinerConfig::default(),
            reexecutes: false,
            txpool: TxPoolArgs::default(),
            storage: StorageArgs::default(),
            disk: Arc::new(OsDisk),
            min_free_disk_mib: MIN_FREE_DISK_MIB,
        }
    }
}

/// How own blocks look (`--miner.*`).
#[derive(Debug, Clone, Default)]
pub struct MinerConfig {
    /// Gas limit that own blocks walk toward; the genesis' limit if absent.
    pub gas_limit: Option<u64>,
    /// First 32 bytes of extra-data, free to use; `msnet/<version>` if absent.
    pub extra_data: Option<[u8; 32]>,
    /// Least tip in wei that is suggested, and that the pool takes; the network's default if absent.
    pub gas_price: Option<u128>,
    /// Who comes first in own blocks; the network's default if absent.
    pub order: Option<Order>,
    /// Time left to each signer before this one, ms; [`SLOT_MS`](chain::clique::prepare::SLOT_MS) if absent.
    pub slot_ms: Option<u64>,
}

impl MinerConfig {
    /// The vanity bytes of own blocks.
    pub fn vanity(&self) -> [u8; 32] {
        self.extra_data.unwrap_or_else(|| {
            let mut vanity = [0; 32];
            let text = concat!("msnet/", env!("CARGO_PKG_VERSION")).as_bytes();
            for (to, from) in vanity.iter_mut().zip(text) {
                *to = *from;
            }
            vanity
        })
    }
}

/// A secp256k1 secret key that is wiped when dropped and never printed.
#[derive(Clone)]
pub struct SignerKey(Zeroizing<[u8; 32]>);

impl SignerKey {
    /// Takes 32 secret bytes; whether they are a key shows when they are used.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// Reads 64 hex digits, with or without `0x`, as geth's `nodekey` and `account import` files
    /// hold them.
    ///
    /// # Errors
    /// [`NodeError::InvalidKey`] if the text is no such number.
    pub fn from_hex(text: &str) -> Result<Self, NodeError> {
        let mut secret = Zeroizing::new([0; 32]);
        alloy_primitives::hex::decode_to_slice(text.trim(), secret.as_mut())
            .map_err(|_| NodeError::InvalidKey)?;
        let key = Self(secret);
        key.secret()?;
        Ok(key)
    }

    /// The account of this key: the last 20 bytes of the public key's hash.
    ///
    /// # Errors
    /// [`NodeError::InvalidKey`] if the bytes are zero or not below the curve's order.
    pub fn address(&self) -> Result<Address, NodeError> {
        let public = PublicKey::from_secret_key(SECP256K1, &self.secret()?);
        Ok(Address::from_raw_public_key(&public.serialize_uncompressed()[1..]))
    }

    /// Signs a digest: `r ‖ s ‖ v`, v 0 or 1, s in the lower half (deterministic, RFC 6979).
    ///
    /// # Errors
    /// [`NodeError::InvalidKey`] as for [`SignerKey::address`].
    pub fn sign(&self, digest: B256) -> Result<[u8; 65], NodeError> {
        let message = Message::from_digest(digest.0);
        let signature = SECP256K1.sign_ecdsa_recoverable(message, &self.secret()?);
        let (recovery_id, compact) = signature.serialize_compact();
        let mut out = [0; 65];
        out[..64].copy_from_slice(&compact);
        out[64] = i32::from(recovery_id).to_be_bytes()[3];
        Ok(out)
    }

    /// Signs a message as wallets do (EIP-191, version `E`); v is 27 or 28.
    ///
    /// # Errors
    /// [`NodeError::InvalidKey`] as for [`SignerKey::address`].
    pub fn sign_message(&self, message: &[u8]) -> Result<[u8; 65], NodeError> {
        let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
        let mut signature = self.sign(keccak256([prefix.as_bytes(), message].concat()))?;
        signature[64] += 27;
        Ok(signature)
    }

    /// A copy of the secret number, for a key file.
    pub(crate) fn secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    fn secret(&self) -> Result<SecretKey, NodeError> {
        SecretKey::from_byte_array(*self.0).map_err(|_| NodeError::InvalidKey)
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SignerKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_printed() {
        let key = SignerKey::new([0x42; 32]);
        assert_eq!(format!("{key:?}"), "SignerKey(***)");
        assert!(
            !format!("{:?}", NodeConfig { signer: Some(key), ..NodeConfig::new(vec![]) })
                .contains("66")
        );
    }

    #[test]
    fn signatures_recover_to_the_account() {
        let key = SignerKey::new([7; 32]);
        let digest = keccak256("a block");
        let signature = key.sign(digest).expect("7…7 is a key");
        let signer = chain::clique::seal::recover(digest, &signature).expect("a fresh signature");
        assert_eq!(signer, key.address().expect("7…7 is a key"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "0x12", &"0".repeat(64), &"f".repeat(64), &"g".repeat(64)] {
            assert!(matches!(SignerKey::from_hex(text), Err(NodeError::InvalidKey)), "{text}");
        }
        assert!(SignerKey::from_hex(&format!("0x{}\n", "01".repeat(32))).is_ok());
    }
}
