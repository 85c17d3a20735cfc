//! What an edge is started with, checked once.

use std::{net::SocketAddr, path::PathBuf};

use crate::onchain::{InstId, finality::Finality};
use crate::terminology::load::TermFiles;

/// A listener for HL7 v2: who sends there, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MllpListener {
    /// The name under which its senders are known; a namespace for their identifiers.
    pub source: String,
    /// The address; port 0 takes a free one.
    pub addr: SocketAddr,
}

impl std::str::FromStr for MllpListener {
    type Err = String;

    /// `127.0.0.1:2575` or `lab=127.0.0.1:2575`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (source, addr) = text.split_once('=').unwrap_or(("mllp", text));
        let is_name = !source.is_empty()
            && source.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !is_name {
            return Err("a source's name is letters, digits, `-`, `_`, `.`".into());
        }
        let addr =
            addr.parse().map_err(|_| format!("{addr} is not an address such as 127.0.0.1:2575"))?;
        Ok(Self { source: source.into(), addr })
    }
}

/// Everything [`crate::service::Edge::start`] needs.
#[derive(Clone)]
pub struct EdgeConfig {
    /// The institution's public name, as it describes itself on chain.
    pub name: String,
    /// The edge's own folder; made if it is not there.
    pub datadir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to listen for HL7 v2.
    pub mllp: Vec<MllpListener>,
    /// Code systems that the institution supplies.
    pub terms: Vec<TermFiles>,
    /// The node's JSON-RPC address.
    pub rpc_url: String,
    /// The institution's id on chain.
    pub institution: InstId,
    /// The institution's account key; `None` takes the one in the folder, or draws one.
    pub account_key: Option<[u8; 32]>,
    /// Which blocks count as final.
    pub finality: Finality,
    /// The chain this edge belongs to; `None` takes the node's at the first start and remembers it.
    pub chain_id: Option<u64>,
    /// Allows [`crate::service::Edge::alter_for_demo`], which breaks a record on purpose. Only `msnet demo` sets it.
    pub demo_switches: bool,
}

impl std::fmt::Debug for EdgeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeConfig")
            .field("name", &self.name)
            .field("datadir", &self.datadir)
            .field("listen", &self.listen)
            .field("mllp", &self.mllp)
            .field("terms", &self.terms)
            .field("rpc_url", &self.rpc_url)
            .field("institution", &self.institution)
            .field("finality", &self.finality)
            .field("chain_id", &self.chain_id)
            .field("demo_switches", &self.demo_switches)
            .finish_non_exhaustive()
    }
}
