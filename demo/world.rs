//! The parties of the demo on one machine: a chain with one signer, two hospitals' edges, an inspectorate's account.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, FixedBytes, hex};
use anyhow::{Context, Result, bail};
use contracts::codes::institution_kind;
use edge::{config::EdgeConfig, onchain::finality::Finality, service::Edge};
use node::{
    config::{NodeConfig, SignerKey},
    service::Node,
};
use rpc::{config::RpcConfig, server::RpcServer};
use zeroize::Zeroizing;

use super::DemoArgs;
use crate::genesis::{DAY_SECS, Founder, Network};

/// Chain id of the demo's own network.
const CHAIN_ID: u64 = 7_357;

/// What a party is called, in the folder and on chain.
struct Party {
    folder: &'static str,
    name: &'static str,
    kind: u8,
}

const NORTH: Party =
    Party { folder: "north", name: "North Hospital", kind: institution_kind::PROVIDER };
const SOUTH: Party =
    Party { folder: "south", name: "South Hospital", kind: institution_kind::PROVIDER };
const INSPECTORATE: Party = Party {
    folder: "inspectorate",
    name: "Health Inspectorate",
    kind: institution_kind::SUPERVISOR,
};
/// The chain's only signer; it has a key and nothing else.
const SIGNER: &str = "signer";

/// Everything that runs, and where it keeps its data.
pub(super) struct World {
    folder: PathBuf,
    node: Node,
    rpc: RpcServer,
    /// Hospital A: it owns what is asked for.
    pub(super) north: Edge,
    /// Hospital B: it asks.
    pub(super) south: Edge,
}

impl World {
    /// Starts all parties over a folder, which is made ready if it is new.
    pub(super) async fn start(folder: &Path, args: &DemoArgs) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let genesis = genesis(folder)?;
        let node = Node::start(NodeConfig {
            datadir: Some(chain_folder(folder)),
            signer: Some(SignerKey::new(*key(folder, SIGNER)?)),
            ..NodeConfig::new(genesis)
        })
        .await
        .context("the demo's chain does not start")?;
        let listen = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let rpc = rpc::serve(
            node.handle(),
            RpcConfig { addr: listen(args.rpc_port), ..RpcConfig::default() },
        )
        .await
        .context("the demo's JSON-RPC does not start")?;
        let url = format!("http://{}/", rpc.local_addr());
        let open = |party: Party, port| {
            let (url, folder) = (url.clone(), folder.to_owned());
            async move {
                let config = EdgeConfig {
                    name: party.name.into(),
                    datadir: folder.join(party.folder),
                    listen: listen(port),
                    mllp: Vec::new(),
                    terms: Vec::new(),
                    rpc_url: url,
                    institution: institution(&party),
                    account_key: Some(*key(&folder, party.folder)?),
                    finality: Finality::Burial,
                    chain_id: Some(CHAIN_ID),
                    demo_switches: true,
                };
                Edge::start(config)
                    .await
                    .with_context(|| format!("the edge of {} does not start", party.name))
            }
        };
        let north = open(NORTH, args.north_port).await?;
        let south = open(SOUTH, args.south_port).await?;
        Ok(Self { folder: folder.to_owned(), node, rpc, north, south })
    }

    /// The number of the chain's newest block.
    pub(super) fn head(&self) -> u64 {
        self.node.handle().reader().head().block.header().number
    }

    /// Where wallets reach the chain.
    pub(super) fn rpc_url(&self) -> String {
        format!("http://{}/", self.rpc.local_addr())
    }

    /// Chain id for wallets.
    pub(super) fn chain_id(&self) -> u64 {
        CHAIN_ID
    }

    /// The folder of the chain alone: what every member of a network would hold.
    pub(super) fn chain_folder(&self) -> PathBuf {
        chain_folder(&self.folder)
    }

    /// Stops everything, the edges first.
    pub(super) async fn stop(self) -> Result<()> {
        self.north.stop().await;
        self.south.stop().await;
        self.rpc.stop().await;
        self.node.stop().await.context("the demo's chain did not stop cleanly")
    }
}

fn chain_folder(folder: &Path) -> PathBuf {
    folder.join("chain")
}

/// An institution's id: public and arbitrary, so the demo takes it from its name.
fn institution(party: &Party) -> FixedBytes<16> {
    FixedBytes::from_slice(&alloy_primitives::keccak256(party.name)[..16])
}

/// The demo's network, made once per folder and never again.
fn genesis(folder: &Path) -> Result<Vec<u8>> {
    let path = folder.join("genesis.json");
    match fs::read(&path) {
        Ok(bytes) => return Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    if chain_folder(folder).exists() {
        bail!(
            "{} is missing, but there is a chain beside it\n  do:  restore it, or choose another --datadir",
            path.display()
        );
    }
    let account = |name| -> Result<Address> { Ok(SignerKey::new(*key(folder, name)?).address()?) };
    let founder = |group, party: Party| -> Result<Founder> {
        Ok(Founder {
            id: institution(&party),
            kind: party.kind,
            group,
            legal_scheme: "msnet:demo".into(),
            legal_value: group.to_string(),
            name: party.name.into(),
            endpoint: String::new(),
            account: account(party.folder)?,
        })
    };
    let network = Network {
        chain_id: CHAIN_ID,
        period_secs: 1,
        signers: vec![account(SIGNER)?],
        gas_limit: 400_000_000,
        timestamp: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .context("the clock stands before 1970")?
            .as_secs(),
        alloc: Default::default(),
        founders: vec![founder(1, NORTH)?, founder(2, SOUTH)?, founder(3, INSPECTORATE)?],
        guardian: account(INSPECTORATE.folder)?,
        day_secs: DAY_SECS,
    };
    let bytes = network.to_genesis()?;
    write_aside(&path, &bytes)?;
    Ok(bytes)
}

/// A party's secret key, drawn at its first use and kept in the folder, readable by its owner alone.
fn key(folder: &Path, name: &str) -> Result<Zeroizing<[u8; 32]>> {
    let path = folder.join("keys").join(name);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let bytes = hex::decode_to_array(text.trim()).with_context(|| {
                format!("{} does not hold a key of 64 hex digits", path.display())
            })?;
            return Ok(Zeroizing::new(bytes));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let mut secret = Zeroizing::new([0; 32]);
    while SignerKey::new(*secret).address().is_err() {
        aws_lc_rs::rand::fill(secret.as_mut_slice())
            .context("the system gives no random numbers")?;
    }
    write_aside(&path, Zeroizing::new(hex::encode(*secret)).as_bytes())?;
    Ok(secret)
}

/// Writes a file of our own aside, syncs it, and renames it into place; nobody else may read it.
pub(super) fn write_aside(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let aside = path.with_extension("new");
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
