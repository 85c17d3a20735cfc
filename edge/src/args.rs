//! `msnet edge serve|ingest|standardize|extract|search`: flags, defaults, and the work of the thin verbs; those of a
//! stopped edge's folder are in `desk.rs`.

use std::{net::SocketAddr, path::PathBuf};

use alloy_primitives::hex;
use clap::{Args, Subcommand};

use crate::{
    config::{EdgeConfig, MllpListener},
    desk::{self, DeskVerb},
    error::EdgeError,
    findings, ingest,
    onchain::{InstId, finality::Finality},
    service::{Edge, records::IngestReport},
    standardize::{self, Tables},
    terminology::load::TermFiles,
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
    /// Show what files become, without any store: FHIR R4, issues, coverage.
    ///
    /// Ends with 0, with 1 if something was refused (with --strict: if there is any warning), with 2 if a file cannot be
    /// used at all.
    Standardize {
        /// The files.
        #[command(flatten)]
        files: TryArgs,
        /// Mapping file: what the columns of a CSV table mean.
        #[arg(long, value_name = "FILE")]
        mapping: Option<PathBuf>,
        /// Print a mapping file drafted from a CSV table's header and rows, and nothing else.
        #[arg(long, conflicts_with = "mapping")]
        draft: bool,
    },
    /// Show what is found in texts and records, without any store: spans, concepts, what is said about them, and why.
    ///
    /// Reads JSON lines with "text", or with "sentence" and "concept", and writes one result a line; records in any form
    /// that `standardize` reads, one result a record; other text, one result. Ends as `standardize` does.
    Extract(TryArgs),
    /// Ask every other edge how many patients match some words: ranges, no records.
    Search {
        /// The edge that asks.
        #[command(flatten)]
        edge: ServeArgs,
        /// Words or codes.
        query: String,
    },
    /// What is done with the folder of a stopped edge.
    #[command(flatten)]
    Desk(DeskVerb),
}

/// Files to try something on.
#[derive(Debug, Args)]
pub struct TryArgs {
    /// HL7 v2, FHIR R4 JSON or NDJSON, C-CDA, notes; `-` is standard input, `.gz` is unpacked.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Name of the sender, a namespace for its identifiers.
    #[arg(long, default_value = "urn:msnet:local")]
    pub source: String,
    /// JSON, an object a line, instead of lines for a person.
    #[arg(long)]
    pub json: bool,
    /// A code system that may not be shipped, from files you own: `KIND[@SYSTEM]=PATH`, any number of times. Kinds: snomed,
    /// loinc, rxnorm, icd10cm, icd, cvx, table.
    #[arg(long, value_name = "KIND=PATH")]
    pub terms: Vec<TermFiles>,
    /// End with 1 if there is any warning.
    #[arg(long)]
    pub strict: bool,
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
    /// Where to listen for HL7 v2 (MLLP), `[SOURCE=]ADDRESS`, any number of times; 2575 is the usual port. There is no TLS
    /// here: give a loopback address, or put a proxy that checks client certificates before it.
    #[arg(long = "mllp.addr", value_name = "[SOURCE=]ADDRESS")]
    pub mllp: Vec<MllpListener>,
    /// A code system that may not be shipped, from files you own: `KIND[@SYSTEM]=PATH`, any number of times. Kinds: snomed,
    /// loinc, rxnorm, icd10cm, icd, cvx, table.
    #[arg(long, value_name = "KIND=PATH")]
    pub terms: Vec<TermFiles>,
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
            mllp: self.mllp.clone(),
            terms: self.terms.clone(),
            rpc_url: self.rpc.clone(),
            institution: self.institution,
            account_key: account_key.transpose()?,
            finality: self.finality,
            chain_id: self.chain_id,
            demo_switches: false,
        })
    }
}

/// Runs a verb; lines for the user go through `print`. `stop` ends `serve`. Returns how the program ends if nothing failed:
/// 0, or 1 for "done, with findings".
///
/// # Errors
/// Whatever the verb reports; [`EdgeError::exit_code`] says how the program ends.
pub async fn run(
    args: EdgeArgs,
    stop: impl Future<Output = ()> + Send,
    print: impl Fn(&str),
) -> Result<u8, EdgeError> {
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
            for addr in edge.mllp_addrs() {
                print(&format!("HL7 v2 (MLLP) at {addr}"));
            }
            stop.await;
            edge.stop().await;
            Ok(0)
        }
        EdgeVerb::Ingest { edge, paths } => {
            let edge = Edge::start(edge.config()?).await?;
            let result = ingest_and_anchor(&edge, &paths, &print).await;
            edge.stop().await;
            result.map(|()| 0)
        }
        EdgeVerb::Standardize { files, draft: true, .. } => draft_mappings(&files, print),
        EdgeVerb::Standardize { files, mapping, .. } => {
            standardize_files(&files, mapping.as_deref(), print)
        }
        EdgeVerb::Desk(verb) => desk::run(verb, &print),
        EdgeVerb::Extract(args) => extract_files(&args, print),
        EdgeVerb::Search { edge, query } => {
            let edge = Edge::start(edge.config()?).await?;
            let answers = edge.search_peers(&query).await;
            edge.stop().await;
            for answer in answers? {
                let said = answer.bucket.or(answer.error).unwrap_or_default();
                print(&format!("{}: {said}", answer.name));
            }
            Ok(0)
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

fn draft_mappings(args: &TryArgs, print: impl Fn(&str)) -> Result<u8, EdgeError> {
    each_file(args, |path| {
        let bytes = ingest::file::read(path)?;
        let drafted = standardize::csv::draft(&bytes).map_err(|issue| {
            let fix = "give a CSV table in UTF-8 with a header line";
            EdgeError::input(issue.to_string(), path.display().to_string(), fix)
        })?;
        print(drafted.trim_end());
        Ok(false)
    })
}

fn standardize_files(
    args: &TryArgs,
    mapping: Option<&std::path::Path>,
    print: impl Fn(&str),
) -> Result<u8, EdgeError> {
    let tables = Tables::open(&args.terms)?;
    let mapping = mapping.map(|path| {
        let bytes = ingest::file::read(path)?;
        standardize::csv::Mapping::parse(&String::from_utf8_lossy(&bytes)).map_err(|issue| {
            let fix = "see design/edge.md, section 2, or draft one with --draft";
            EdgeError::input(issue.to_string(), path.display().to_string(), fix)
        })
    });
    let mapping = mapping.transpose()?;
    each_file(args, |path| {
        let report =
            standardize::cli::standardize_file(path, &args.source, mapping.as_ref(), &tables)?;
        if args.json {
            print(&report.to_json());
        } else {
            report.to_lines().iter().for_each(|line| print(line));
        }
        Ok(!report.is_clean() || args.strict && report.has_findings())
    })
}

fn extract_files(args: &TryArgs, print: impl Fn(&str)) -> Result<u8, EdgeError> {
    let tables = Tables::open(&args.terms)?;
    each_file(args, |path| {
        let mut tell = |result: &serde_json::Value| {
            if args.json {
                print(&result.to_string());
            } else {
                findings::to_lines(result).iter().for_each(|line| print(line));
            }
        };
        findings::extract_file(path, &args.source, &tables, &mut tell).map(|refused| refused > 0)
    })
}

/// Goes through all files, whatever happens to one of them, and fails at the end with the first failure.
fn each_file(
    args: &TryArgs,
    mut work: impl FnMut(&std::path::Path) -> Result<bool, EdgeError>,
) -> Result<u8, EdgeError> {
    let (mut has_findings, mut failed) = (false, None);
    for path in &args.files {
        match work(path) {
            Ok(finding) => has_findings |= finding,
            Err(error) => {
                if let Some(earlier) = failed.replace(error) {
                    tracing::error!("{earlier}");
                }
            }
        }
    }
    failed.map_or(Ok(u8::from(has_findings)), Err)
}
