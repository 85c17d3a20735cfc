//! `msnet edge serve|ingest|standardize|search`: flags, defaults, and the work of the thin verbs.

use std::{net::SocketAddr, path::PathBuf};

use alloy_primitives::hex;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    config::EdgeConfig,
    error::EdgeError,
    ingest,
    onchain::{InstId, finality::Finality},
    service::{Edge, records::IngestReport},
    standardize::{self, Tables},
};

/// One institution's record service.
#[derive(Debug, Args)]
pub struct EdgeArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: EdgeVerb,
}

/// The verbs of `msnet edge`.
#[derive(Debug, Subcommand)]
pub enum EdgeVerb {
    /// Run the service until it is stopped.
    Serve(ServeArgs),
    /// Read files into the stores and anchor them: starts the edge, reads, anchors, stops.
    Ingest {
        /// The edge.
        #[command(flatten)]
        edge: ServeArgs,
        /// Files or folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Show what a file becomes, without any store: FHIR records, issues, coverage; one JSON object an item.
    Standardize {
        /// The file.
        file: PathBuf,
        /// Name of the sender, a namespace for its identifiers.
        #[arg(long, default_value = "urn:msnet:local")]
        source: String,
    },
    /// Ask every other edge how many patients match some words: ranges, no records.
    Search {
        /// The edge that asks.
        #[command(flatten)]
        edge: ServeArgs,
        /// Words or codes.
        query: String,
    },
}

/// How an edge is started.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The edge's own folder; made if it is not there.
    #[arg(long, env = "MSNET_EDGE_DATADIR", default_value = "data/edge")]
    pub datadir: PathBuf,
    /// JSON-RPC address of a node of the chain.
    #[arg(long, env = "MSNET_EDGE_CHAIN_RPC", default_value = "http://127.0.0.1:8545")]
    pub rpc: String,
    /// Where to listen; port 0 takes a free one. The address is registered on chain as this edge's endpoint.
    #[arg(long, env = "MSNET_EDGE_HTTP_ADDR", default_value = "127.0.0.1:8550")]
    pub listen: SocketAddr,
    /// The institution's id on chain: 0x and 32 hex digits.
    #[arg(long, env = "MSNET_EDGE_INSTITUTION")]
    pub institution: InstId,
    /// The institution's public name.
    #[arg(long, env = "MSNET_EDGE_NAME", default_value = "unnamed institution")]
    pub name: String,
    /// File with the institution's account key (64 hex digits); later starts take the one in the folder.
    #[arg(long, env = "MSNET_EDGE_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// Refuse every chain but this one; without it the first start remembers the node's.
    #[arg(long, env = "MSNET_EDGE_CHAIN_ID")]
    pub chain_id: Option<u64>,
    /// How to tell final blocks: burial under blocks of two thirds of the signers, weaker than votes.
    #[arg(long, env = "MSNET_EDGE_FINALITY", default_value = "burial")]
    pub finality: Finality,
}

impl ServeArgs {
    /// The configuration these flags mean.
    ///
    /// # Errors
    /// [`EdgeError::Io`] or [`EdgeError::Input`] about the key file.
    pub fn config(&self) -> Result<EdgeConfig, EdgeError> {
        let account_key = self.key_file.as_ref().map(|path| {
            let text = std::fs::read_to_string(path).map_err(|e| EdgeError::io(path, e))?;
            let digits = text.trim().trim_start_matches("0x");
            let bytes: Option<[u8; 32]> =
                hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.ok_or_else(|| {
                EdgeError::input(
                    "the key file does not hold 64 hex digits",
                    path.display().to_string(),
                    "write the account's secret key into it, and nothing else",
                )
            })
        });
        Ok(EdgeConfig {
            name: self.name.clone(),
            datadir: self.datadir.clone(),
            listen: self.listen,
            rpc_url: self.rpc.clone(),
            institution: self.institution,
            account_key: account_key.transpose()?,
            finality: self.finality,
            chain_id: self.chain_id,
            demo_switches: false,
        })
    }
}

/// Runs a verb; lines for the user go through `print`. `stop` ends `serve`.
///
/// # Errors
/// Whatever the verb reports; [`EdgeError::exit_code`] says how the program ends.
pub async fn run(
    args: EdgeArgs,
    stop: impl Future<Output = ()> + Send,
    print: impl Fn(&str),
) -> Result<(), EdgeError> {
    match args.verb {
        EdgeVerb::Serve(serve) => {
            let edge = Edge::start(serve.config()?).await?;
            print(&format!(
                "{} at http://{}/ as {}, finality: {}",
                edge.name(),
                edge.addr(),
                edge.institution(),
                serve.finality.as_str()
            ));
            stop.await;
            edge.stop().await;
            Ok(())
        }
        EdgeVerb::Ingest { edge, paths } => {
            let edge = Edge::start(edge.config()?).await?;
            let result = ingest_and_anchor(&edge, &paths, &print).await;
            edge.stop().await;
            result
        }
        EdgeVerb::Standardize { file, source } => standardize_file(&file, &source, print),
        EdgeVerb::Search { edge, query } => {
            let edge = Edge::start(edge.config()?).await?;
            let answers = edge.search_peers(&query).await;
            edge.stop().await;
            for answer in answers? {
                let said = answer.bucket.or(answer.error).unwrap_or_default();
                print(&format!("{}: {said}", answer.name));
            }
            Ok(())
        }
    }
}

async fn ingest_and_anchor(
    edge: &Edge,
    paths: &[PathBuf],
    print: &impl Fn(&str),
) -> Result<(), EdgeError> {
    for path in paths {
        let report: IngestReport = edge.ingest_folder(path, |_| ()).await?;
        report.issues.iter().chain(&report.refused).for_each(|line| print(line));
        print(&format!(
            "{}: {} files, {} items ({} known before), {} records, {} refused",
            path.display(),
            report.files,
            report.items,
            report.repeated,
            report.records,
            report.refused.len()
        ));
    }
    match edge.anchor_now().await? {
        Some(report) => print(&format!(
            "batch {} anchored: {} records among {} leaves",
            report.seq,
            report.records,
            1_u64 << report.size_log2
        )),
        None => print("nothing new to anchor"),
    }
    Ok(())
}

fn standardize_file(
    file: &std::path::Path,
    source: &str,
    print: impl Fn(&str),
) -> Result<(), EdgeError> {
    let bytes = std::fs::read(file).map_err(|e| EdgeError::io(file, e))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unreadable = |why: String| {
        EdgeError::input(
            format!("{name} cannot be read: {why}"),
            file.display().to_string(),
            "give one of HL7 v2, FHIR R4 JSON, C-CDA or a note",
        )
    };
    let items = ingest::read(source, ingest::declared_by_name(&name), &bytes)
        .map_err(|issue| unreadable(issue.to_string()))?;
    let tables = Tables::shipped();
    for item in items {
        let standardized = standardize::standardize(&item, &tables).map_err(|issues| {
            unreadable(issues.last().map(ToString::to_string).unwrap_or_default())
        })?;
        let records: Vec<String> =
            standardized.records.iter().map(|record| record.resource.to_string()).collect();
        let issues: Vec<String> = standardized.issues.iter().map(ToString::to_string).collect();
        let coverage = standardized.coverage;
        // the records are already JSON text; a second parser would lose digits
        print(&format!(
            "{{\"records\":[{}],\"issues\":{},\"coverage\":{}}}",
            records.join(","),
            json!(issues),
            json!({"mapped": coverage.mapped, "raw": coverage.raw, "dropped": coverage.dropped}),
        ));
    }
    Ok(())
}
