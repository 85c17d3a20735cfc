//! Flags of `msnet node`, in geth's words, and what they make of a [`NodeConfig`].

use std::path::{Path, PathBuf};

use chain::{clique::snapshot::listed_signers, genesis::Genesis};
use clap::Args;

use crate::{
    config::{MinerConfig, NodeConfig, SignerKey},
    dev_accounts,
    error::NodeError,
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
    /// Run the network of this genesis file (geth's JSON)
    #[arg(long, env = "MSNET_GENESIS", value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Keep the chain in this folder; without it the chain lives in memory
    #[arg(long, env = "MSNET_DATADIR", value_name = "FOLDER")]
    pub datadir: Option<PathBuf>,
    /// Seal blocks with the secret key in this file (64 hex digits)
    #[arg(long, visible_alias = "mine", env = "MSNET_SIGNER", value_name = "KEYFILE")]
    pub signer: Option<PathBuf>,
    /// Gas limit that own blocks walk toward [default: the genesis' limit]
    #[arg(long = "miner.gaslimit", env = "MSNET_MINER_GASLIMIT", value_name = "GAS")]
    pub miner_gas_limit: Option<u64>,
    /// Run own blocks a second time before they are stored, and stop on a difference
    #[arg(long = "debug.reexecute", env = "MSNET_DEBUG_REEXECUTE")]
    pub debug_reexecute: bool,
    /// What waits for a block.
    #[command(flatten)]
    pub txpool: TxPoolArgs,
}

impl NodeArgs {
    /// The node these flags ask for. `built_in` knows the genesis of each built-in network, `dev`
    /// among them.
    ///
    /// # Errors
    /// [`NodeError`] if no network is named or known, or a file cannot be read or does not hold what it should.
    pub fn config(
        &self,
        built_in: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<NodeConfig, NodeError> {
        let named =
            |name: &str| built_in(name).ok_or_else(|| NodeError::UnknownNetwork(name.to_owned()));
        let genesis = match (self.dev, &self.network, &self.genesis) {
            (true, ..) => named(DEV_NETWORK)?,
            (_, Some(name), _) => named(name)?,
            (_, _, Some(path)) => read_genesis(path)?,
            (false, None, None) => return Err(NodeError::NoNetwork),
        };
        let signer = match &self.signer {
            Some(path) => Some(read_key(path)?),
            None if self.dev => Some(dev_signer(&genesis)?),
            None => None,
        };
        Ok(NodeConfig {
            datadir: self.datadir.clone(),
            genesis,
            signer,
            period_override: self.dev_period,
            miner: MinerConfig { gas_limit: self.miner_gas_limit, extra_data: None },
            reexecutes: self.debug_reexecute,
            txpool: self.txpool.clone(),
        })
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

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, NodeError> {
    std::fs::read(path).map_err(|source| NodeError::Unreadable {
        what,
        path: path.to_owned(),
        source,
    })
}

/// A genesis file's bytes, once it is known to read.
fn read_genesis(path: &Path) -> Result<Vec<u8>, NodeError> {
    let bytes = read("the genesis", path)?;
    Genesis::from_json(&bytes)
        .map_err(|source| NodeError::BadGenesis { path: path.to_owned(), source })?;
    Ok(bytes)
}

fn read_key(path: &Path) -> Result<SignerKey, NodeError> {
    let bytes = zeroize::Zeroizing::new(read("the signer's key", path)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| NodeError::InvalidKey)?;
    SignerKey::from_hex(text)
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
