//! Flags of `msnet node`, in geth's words, and what they make of a [`NodeConfig`].

use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use chain::{clique::snapshot::listed_signers, genesis::Genesis, pool::Order};
use clap::Args;

use crate::{
    account::keystore_folder,
    config::{MinerConfig, NodeConfig, SignerKey},
    dev_accounts,
    disk_watch::MIN_FREE_DISK_MIB,
    error::NodeError,
    keystore::{self, Keystore},
    network, prompt,
    replay::{self, Replay},
    storage_args::StorageArgs,
    txpool_args::TxPoolArgs,
};

/// Name of the development network that [`NodeArgs::config`] asks its caller for.
pub const DEV_NETWORK: &str = "dev";

/// Which network to run, where to keep it, and whether to seal.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Node")]
pub struct NodeArgs {
    /// Run a development chain: ten funded accounts with public keys, one signer, loopback only
    #[arg(long, env = "MSNET_DEV", conflicts_with_all = ["network", "genesis"])]
    pub dev: bool,
    /// Seconds between blocks of a development chain; 0 seals a block per transaction
    #[arg(long = "dev.period", env = "MSNET_DEV_PERIOD", value_name = "SECONDS", requires = "dev")]
    pub dev_period: Option<u64>,
    /// Run a built-in network
    #[arg(long, env = "MSNET_NETWORK", value_name = "NAME", conflicts_with = "genesis")]
    pub network: Option<String>,
    /// Run the network of this genesis file (geth's JSON) [default: the one that msnet init stored in the data folder]
    #[arg(long, env = "MSNET_GENESIS", value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Serve a recorded chain of Ethereum's own consensus from memory: its genesis, its blocks in RLP, and a forkchoice
    /// file if one says which blocks are safe and final
    #[arg(long, value_name = "FILES", num_args = 2..=3, conflicts_with_all = ["dev", "network", "genesis", "datadir", "mine"])]
    pub replay: Vec<PathBuf>,
    /// Refuse any network but the one with this id, which is its chain id
    #[arg(long, env = "MSNET_NETWORKID", value_name = "ID")]
    pub networkid: Option<u64>,
    /// Keep the chain in this folder; without it the chain lives in memory
    #[arg(long, env = "MSNET_DATADIR", value_name = "FOLDER")]
    pub datadir: Option<PathBuf>,
    /// Write nothing while the folder's disk has less free space than this [default: 1024]
    #[arg(long = "datadir.minfreedisk", env = "MSNET_DATADIR_MINFREEDISK", value_name = "MIB")]
    pub min_free_disk: Option<u64>,
    /// Folder of the keys [default: keystore in the data folder]
    #[arg(long, env = "MSNET_KEYSTORE", value_name = "FOLDER")]
    pub keystore: Option<PathBuf>,
    /// Seal blocks; needs --unlock or --signer, on a development chain neither
    #[arg(long, env = "MSNET_MINE")]
    pub mine: bool,
    /// Seal with this account's key, from the keystore
    #[arg(long, env = "MSNET_UNLOCK", value_name = "ADDRESS", requires = "mine")]
    pub unlock: Option<Address>,
    /// Take the key's password from the first line of this file; without it the terminal is asked
    #[arg(long, env = "MSNET_PASSWORD", value_name = "FILE")]
    pub password: Option<PathBuf>,
    /// Seal blocks with the key in this file: 64 hex digits, or a key file with its password
    #[arg(long, env = "MSNET_SIGNER", value_name = "KEYFILE", conflicts_with = "unlock")]
    pub signer: Option<PathBuf>,
    /// Run own blocks a second time before they are stored, and stop on a difference
    #[arg(long = "debug.reexecute", env = "MSNET_DEBUG_REEXECUTE")]
    pub debug_reexecute: bool,
    /// Accepted for geth's sake: peers are not built yet, so nobody is looked for anyway
    #[arg(long, env = "MSNET_NODISCOVER")]
    pub nodiscover: bool,
    /// Only `full`: every block is run
    #[arg(long, env = "MSNET_SYNCMODE", value_name = "MODE", default_value = "full", value_parser = syncmode)]
    pub syncmode: String,
    /// What own blocks look like.
    #[command(flatten)]
    pub miner: MinerArgs,
    /// What waits for a block.
    #[command(flatten)]
    pub txpool: TxPoolArgs,
    /// Memory and the past.
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// `--miner.*`
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Own blocks")]
pub struct MinerArgs {
    /// Gas limit that own blocks walk toward [default: the genesis' limit]
    #[arg(
        id = "miner_gaslimit",
        long = "miner.gaslimit",
        env = "MSNET_MINER_GASLIMIT",
        value_name = "GAS"
    )]
    pub gas_limit: Option<u64>,
    /// Least tip in wei that is suggested and taken [default: 1 gwei suggested; 0 where gas is free]
    #[arg(
        id = "miner_gasprice",
        long = "miner.gasprice",
        env = "MSNET_MINER_GASPRICE",
        value_name = "WEI"
    )]
    pub gas_price: Option<u128>,
    /// Free text of up to 32 bytes in own blocks [default: msnet and its version]
    #[arg(id = "miner_extradata", long = "miner.extradata", env = "MSNET_MINER_EXTRADATA", value_name = "TEXT", value_parser = vanity)]
    pub extra_data: Option<Vanity>,
    /// Who comes first: senders in turn (fair) or the best tip (price) [default: fair where gas is free]
    #[arg(id = "miner_order", long = "miner.order", env = "MSNET_MINER_ORDER", value_name = "ORDER", value_parser = order)]
    pub order: Option<Order>,
    /// Milliseconds left to each signer whose turn comes before this one's [default: 500]
    #[arg(id = "miner_slot", long = "miner.slot", env = "MSNET_MINER_SLOT", value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub slot_ms: Option<u64>,
}

fn syncmode(text: &str) -> Result<String, String> {
    match text {
        "full" => Ok(text.to_owned()),
        _ => Err("every block is run here: say full, or leave the flag out".to_owned()),
    }
}

/// First 32 bytes of extra-data.
type Vanity = [u8; 32];

fn vanity(text: &str) -> Result<Vanity, String> {
    let mut vanity = [0; 32];
    let bytes = text.as_bytes();
    let room = vanity.get_mut(..bytes.len());
    room.ok_or_else(|| format!("{} bytes are more than 32", bytes.len()))?.copy_from_slice(bytes);
    Ok(vanity)
}

fn order(text: &str) -> Result<Order, String> {
    match text {
        "fair" => Ok(Order::Fair),
        "price" => Ok(Order::Price),
        _ => Err("expected fair or price".to_owned()),
    }
}

impl NodeArgs {
    /// The node these flags ask for. `built_in` knows the genesis of each built-in network, `dev`
    /// among them.
    ///
    /// # Errors
    /// [`NodeError`] if no network is named or known, a file cannot be read or does not hold what it should, or a key
    /// does not open.
    pub fn config(
        &self,
        built_in: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<NodeConfig, NodeError> {
        if let [genesis, chain, rest @ ..] = self.replay.as_slice() {
            let forkchoice = rest.first().cloned();
            let replay = Some(Replay { chain: chain.clone(), forkchoice });
            return Ok(NodeConfig {
                replay,
                ..NodeConfig::new(replay::read("the genesis", genesis)?)
            });
        }
        let genesis = self.genesis(built_in)?;
        if let Some(want) = self.networkid {
            let have = Genesis::from_json(&genesis)?.spec.chain_id;
            if have != want {
                return Err(NodeError::OtherNetworkId { have, want });
            }
        }
        let signer = match (&self.signer, self.unlock) {
            (Some(path), _) => Some(self.read_signer(path)?),
            (None, Some(address)) => Some(self.unlock(address)?),
            (None, None) if self.dev => Some(dev_signer(&genesis)?),
            (None, None) if self.mine => return Err(NodeError::NoSigner),
            (None, None) => None,
        };
        Ok(NodeConfig {
            datadir: self.datadir.clone(),
            min_free_disk_mib: self.min_free_disk.unwrap_or(MIN_FREE_DISK_MIB),
            signer,
            period_override: self.dev_period,
            miner: MinerConfig {
                gas_limit: self.miner.gas_limit,
                gas_price: self.miner.gas_price,
                extra_data: self.miner.extra_data,
                order: self.miner.order,
                slot_ms: self.miner.slot_ms,
            },
            reexecutes: self.debug_reexecute,
            txpool: self.txpool.clone(),
            storage: self.storage.clone(),
            ..NodeConfig::new(genesis)
        })
    }

    fn genesis(&self, built_in: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Vec<u8>, NodeError> {
        let named =
            |name: &str| built_in(name).ok_or_else(|| NodeError::UnknownNetwork(name.to_owned()));
        match (self.dev, &self.network, &self.genesis, &self.datadir) {
            (true, ..) => named(DEV_NETWORK),
            (_, Some(name), ..) => named(name),
            (_, _, Some(path), _) => network::read_genesis(path),
            (_, _, _, Some(datadir)) => network::remembered(datadir)?.ok_or(NodeError::NoNetwork),
            (false, None, None, None) => Err(NodeError::NoNetwork),
        }
    }

    fn unlock(&self, address: Address) -> Result<SignerKey, NodeError> {
        let folder = keystore_folder(self.keystore.as_deref(), self.datadir.as_deref());
        let file = Keystore::new(folder).find(address)?;
        let password = prompt::existing(self.password.as_deref(), address)?;
        Ok(keystore::open(&file.path, password.as_bytes())?)
    }

    fn read_signer(&self, path: &Path) -> Result<SignerKey, NodeError> {
        let bytes = keystore::read_secret(path)?;
        if bytes.first() != Some(&b'{') {
            let text = std::str::from_utf8(&bytes).map_err(|_| NodeError::InvalidKey)?;
            return SignerKey::from_hex(text);
        }
        let address = keystore::secret_storage::account(&bytes)?.unwrap_or_default();
        let password = prompt::existing(self.password.as_deref(), address)?;
        Ok(keystore::open(path, password.as_bytes())?)
    }
}

/// The development account that may seal this genesis' chain.
fn dev_signer(genesis: &[u8]) -> Result<SignerKey, NodeError> {
    let genesis = Genesis::from_json(genesis)?;
    let signers =
        listed_signers(&genesis.header.extra_data).map_err(chain::error::ChainError::from)?;
    let may_seal = |key: &SignerKey| key.address().is_ok_and(|address| signers.contains(&address));
    dev_accounts::keys().into_iter().find(may_seal).ok_or(NodeError::NoDevSigner { signers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let none = |_: &str| None;
        let check = |args: NodeArgs| args.config(none).map_err(|error| error.to_string()).err();
        assert!(check(NodeArgs::default()).is_some_and(|text| text.contains("--dev")));
        let unknown = NodeArgs { network: Some("moon".to_owned()), ..NodeArgs::default() };
        assert!(check(unknown).is_some_and(|text| text.contains("\"moon\"")));
        let absent =
            NodeArgs { genesis: Some("/nowhere/genesis.json".into()), ..NodeArgs::default() };
        assert!(check(absent).is_some_and(|text| text.contains("/nowhere/genesis.json")));
    }
}
