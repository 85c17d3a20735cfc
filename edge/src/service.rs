//! One running edge: started in order, used by the page, by other edges and by the demo, stopped within two seconds.
//!
//! [`Edge`] is a cheap handle. What it does lies beside, by who acts: [`requester`] asks, pulls and verifies, [`owner`]
//! publishes, accepts, delivers and revokes, [`complaint`] acts on a fault, [`search`] asks and answers with buckets,
//! [`register`] makes the institution's keys and endpoint known, [`facts`] gathers what the release check looks at,
//! [`messages`] takes in what listeners hear, [`records`] is the way to the institution's own records, [`overview`] is what the page shows.

pub mod complaint;
pub mod facts;
pub mod messages;
pub mod overview;
pub mod owner;
pub mod records;
pub mod register;
pub mod requester;
pub mod search;

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, B256, hex};
use contracts::codes::key_kind;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    access::grant::GrantBook,
    api,
    config::EdgeConfig,
    error::EdgeError,
    keys::Keys,
    onchain::{
        Chain, Head, InstId,
        finality::{self, Finality},
        follower::Follower,
        submit::{AccountKey, Sent, Submitter},
    },
    peer::{Identity, Peer, PeerClient, nonce::Nonces, signature::key_id},
    standardize::Tables,
    stores::local,
};
use facts::Quota;
use owner::Spool;
use records::Records;
use requester::Incoming;
use search::SearchBudget;

/// How long an edge waits to see its own act in the logs.
const SEE_OWN_ACT: Duration = Duration::from_secs(20);
/// How long the server may take to finish what it is answering.
const STOP_WITHIN: Duration = Duration::from_millis(1_500);

/// A running edge.
#[derive(Debug, Clone)]
pub struct Edge {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    institution: InstId,
    datadir: PathBuf,
    addr: SocketAddr,
    endpoint: String,
    keys: Keys,
    chain: Arc<Chain>,
    finality: Finality,
    submitter: Submitter,
    follower: Arc<Follower>,
    peers: PeerClient,
    nonces: Nonces,
    book: GrantBook,
    records: Records,
    quota: Quota,
    searches: SearchBudget,
    spool: Spool,
    incoming: Mutex<HashMap<B256, Incoming>>,
    /// Serializes pulls of one owner: each takes the next number of its grant.
    offers: tokio::sync::Mutex<()>,
    operator_token: String,
    demo_switches: bool,
    mllp: Mutex<Vec<SocketAddr>>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
}

/// What a folder remembers about itself: `edge.json`.
#[derive(Debug, Serialize, Deserialize)]
struct EdgeFile {
    v: u32,
    institution: InstId,
    chain_id: u64,
    genesis_hash: B256,
}

impl Edge {
    /// Starts an edge: folder, keys, chain, tables, records, server, registration.
    ///
    /// # Errors
    /// One sentence each for a port in use, no chain, another chain, a damaged folder, a folder in use.
    pub async fn start(config: EdgeConfig) -> Result<Edge, EdgeError> {
        if config.listen.ip().is_unspecified() {
            return Err(EdgeError::input(
                format!("{} is no address that other edges can call", config.listen),
                "--listen",
                "give this machine's own address; it is registered on chain",
            ));
        }
        local::create_folder(&config.datadir)?;
        let known = read_edge_file(&config.datadir)?;
        check_institution(&config, known.as_ref())?;
        let want = config.chain_id.or(known.as_ref().map(|file| file.chain_id));
        let listener = TcpListener::bind(config.listen).await.map_err(|e| {
            EdgeError::input(
                format!("cannot listen on {}: {e}", config.listen),
                "--listen",
                "choose another port, or stop what uses this one",
            )
        })?;
        let addr = listener.local_addr().map_err(|e| EdgeError::Internal(e.to_string()))?;
        let chain = Arc::new(Chain::connect(&config.rpc_url, want).await?);
        remember_chain(&config, known.as_ref(), &chain)?;
        let keys = Keys::open_or_create(&config.datadir, config.account_key)?;
        let account = AccountKey::from_bytes(keys.account_secret())?;
        let transport_id = key_id(key_kind::TRANSPORT_ED25519, &keys.transport_public());
        let identity =
            Identity { keys: keys.clone(), key_id: transport_id, actor: config.institution };
        let maps = Tables::open(&config.terms)?;
        let follower = Arc::new(Follower::new(Arc::clone(&chain)));
        follower.catch_up().await?;
        let inner = Inner {
            name: config.name,
            institution: config.institution,
            addr,
            endpoint: format!("http://{addr}"),
            finality: config.finality,
            submitter: Submitter::new(Arc::clone(&chain), account),
            peers: PeerClient::new(identity)?,
            nonces: Nonces::open(&config.datadir)?,
            book: GrantBook::open(&config.datadir, keys.store_keys())?,
            records: Records::open(&config.datadir, &keys, config.institution, maps)?,
            quota: Quota::default(),
            searches: SearchBudget::default(),
            spool: Spool::default(),
            incoming: Mutex::default(),
            offers: tokio::sync::Mutex::default(),
            operator_token: operator_token(&config.datadir)?,
            demo_switches: config.demo_switches,
            mllp: Mutex::default(),
            stop: watch::Sender::new(false),
            tasks: Mutex::default(),
            datadir: config.datadir,
            keys,
            chain,
            follower,
        };
        let edge = Edge { inner: Arc::new(inner) };
        edge.spawn("follower", Arc::clone(&edge.inner.follower).run(edge.stopping()));
        let server = api::serve(edge.clone(), listener, edge.stopping());
        edge.spawn("server", server);
        let ready = async {
            edge.register().await?;
            for listener in &config.mllp {
                edge.listen_mllp(&listener.source, listener.addr).await?;
            }
            edge.retry_quarantine(None).await.map(drop)
        };
        if let Err(error) = ready.await {
            edge.stop().await;
            return Err(error);
        }
        Ok(edge)
    }

    /// Stops taking requests, finishes or drops what is under way, ends every task.
    pub async fn stop(self) {
        self.inner.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.inner.tasks.lock().expect("no holder panics"));
        for (name, mut task) in tasks {
            if tokio::time::timeout(STOP_WITHIN, &mut task).await.is_err() {
                tracing::warn!(name, "task did not stop in time and was dropped");
                task.abort();
            }
        }
    }

    fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(work);
        self.inner.tasks.lock().expect("no holder panics").push((name, task));
    }

    fn stopping(&self) -> watch::Receiver<bool> {
        self.inner.stop.subscribe()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.inner.addr
    }

    /// Its institution.
    pub fn institution(&self) -> InstId {
        self.inner.institution
    }

    /// Its institution's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its institution's account.
    pub fn account(&self) -> Address {
        self.inner.submitter.key().address()
    }

    /// The endpoint other edges call, as registered.
    pub fn endpoint(&self) -> &str {
        &self.inner.endpoint
    }

    /// The token that the operator's own acts over `/rpc` carry; it lies in `operator.token` of the folder.
    pub fn operator_token(&self) -> &str {
        &self.inner.operator_token
    }

    pub(crate) fn nonces(&self) -> &Nonces {
        &self.inner.nonces
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    pub(crate) fn transport_key_id(&self) -> B256 {
        self.inner.peers.identity().key_id
    }

    /// Sends an act of this institution and waits until its own tables show it.
    async fn act(&self, to: Address, data: Vec<u8>) -> Result<Sent, EdgeError> {
        let sent = self.inner.submitter.send(to, data).await?;
        self.inner.follower.reach(sent.block_number, SEE_OWN_ACT).await?;
        Ok(sent)
    }

    /// The newest final block.
    async fn final_head(&self) -> Result<Head, EdgeError> {
        match self.inner.finality {
            Finality::Burial => finality::final_head(&self.inner.chain).await,
        }
    }

    /// Another institution's edge, as the chain describes it.
    fn peer_of(&self, institution: InstId) -> Result<Peer, EdgeError> {
        let now = now_secs();
        self.inner
            .follower
            .read(|tables| {
                let row = tables.institutions.get(&institution)?;
                let keys = tables
                    .keys
                    .iter()
                    .filter(|(_, key)| {
                        key.subject == institution
                            && key.kind == key_kind::TRANSPORT_ED25519
                            && key.valid_at(now)
                    })
                    .map(|(id, key)| (*id, key.public_key.to_vec()))
                    .collect();
                (!row.endpoint.is_empty()).then(|| Peer {
                    institution,
                    endpoint: row.endpoint.clone(),
                    keys,
                })
            })
            .ok_or_else(|| {
                EdgeError::input(
                    format!("institution {institution} has described no endpoint"),
                    "institution",
                    "wait until its edge has started and registered",
                )
            })
    }
}

/// This machine's clock, seconds since 1970.
pub(crate) fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn edge_file(folder: &Path) -> PathBuf {
    folder.join("edge.json")
}

fn read_edge_file(folder: &Path) -> Result<Option<EdgeFile>, EdgeError> {
    let path = edge_file(folder);
    if !path.exists() {
        return Ok(None);
    }
    serde_json::from_slice(&local::read(&path)?).map(Some).map_err(|_| {
        EdgeError::integrity(
            "the file is not as this program writes it; restore the folder from a backup",
            path.display().to_string(),
        )
    })
}

fn check_institution(config: &EdgeConfig, known: Option<&EdgeFile>) -> Result<(), EdgeError> {
    match known {
        Some(file) if file.institution != config.institution => Err(EdgeError::input(
            format!(
                "{} belongs to institution {}, not to {}",
                config.datadir.display(),
                file.institution,
                config.institution
            ),
            "--institution",
            "name the folder's institution, or give an empty --datadir",
        )),
        _ => Ok(()),
    }
}

/// Writes down at the first start which chain this folder belongs to; later another genesis refuses.
fn remember_chain(
    config: &EdgeConfig,
    known: Option<&EdgeFile>,
    chain: &Chain,
) -> Result<(), EdgeError> {
    if let Some(file) = known {
        if file.genesis_hash == chain.genesis_hash() {
            return Ok(());
        }
        return Err(EdgeError::Chain(format!(
            "the node at {} has genesis {}, this folder belongs to genesis {}; point --rpc at a node of that chain",
            config.rpc_url,
            chain.genesis_hash(),
            file.genesis_hash
        )));
    }
    let file = EdgeFile {
        v: 1,
        institution: config.institution,
        chain_id: chain.chain_id(),
        genesis_hash: chain.genesis_hash(),
    };
    let text = serde_json::to_vec_pretty(&file).map_err(|e| EdgeError::Internal(e.to_string()))?;
    local::replace(&edge_file(&config.datadir), &text)
}

/// The operator's bearer token: 32 random bytes, drawn at the first start.
fn operator_token(folder: &Path) -> Result<String, EdgeError> {
    let path = folder.join("operator.token");
    if path.exists() {
        let text = local::read(&path)?;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        if text.len() == 64 {
            return Ok(text);
        }
        return Err(EdgeError::integrity(
            "the token is not 64 hex digits; delete the file and a new one is drawn",
            path.display().to_string(),
        ));
    }
    let token = hex::encode(crate::delivery::random_bytes::<32>()?);
    local::replace(&path, format!("{token}\n").as_bytes())?;
    Ok(token)
}
