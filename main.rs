#![forbid(unsafe_code)]
//! The front door of msnet: parses the command, starts logging, hands over to a room, says what went wrong.
//!
//! `msnet` alone is `msnet demo`. `demo.rs` shows the whole house at work and is the best file to read first.

mod demo;
mod genesis;
mod leaks;
mod version;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use edge::error::EdgeError;
use node::{
    account::{self, AccountArgs},
    chainfile::{self, ExportArgs, ImportArgs},
    db::{self, DbArgs},
    network::{self, DumpGenesisArgs, InitArgs},
    settings,
    signer::{self, SignerArgs},
};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Institutions share medical records under rules that each of them can check.
#[derive(Debug, Parser)]
#[command(name = "msnet", version, arg_required_else_help = false)]
struct Cli {
    /// What to do; without a command, the demo.
    #[command(subcommand)]
    command: Option<Command>,
    /// How much is logged to standard error, such as `info` or `warn,node=debug`; geth's 0 to 5 too.
    #[arg(long, global = true, env = "MSNET_VERBOSITY", default_value = "warn")]
    verbosity: String,
    /// Log in JSON, an object a line.
    #[arg(long = "log.json", global = true, env = "MSNET_LOG_JSON")]
    log_json: bool,
    /// Take flags of `msnet node` from this TOML file; the environment and the command line come first.
    #[arg(long, global = true, env = "MSNET_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A chain and two hospitals on this machine, and one story from records to a decided complaint.
    Demo(demo::DemoArgs),
    /// A node: the chain and its JSON-RPC.
    Node {
        #[command(flatten)]
        node: Box<node::args::NodeArgs>,
        #[command(flatten)]
        rpc: Box<rpc::args::RpcArgs>,
    },
    /// One institution's record service.
    Edge(Box<edge::args::EdgeArgs>),
    /// Runs public BlockchainTests through the ledger.
    #[command(hide = true)]
    Blocktest(node::blocktest::BlocktestArgs),
    /// Makes a network file; `genesis hash FILE` reads one.
    Genesis(Box<genesis::GenesisArgs>),
    /// Stores a network's genesis in a data folder.
    Init(InitArgs),
    /// Prints the genesis of a data folder or of a built-in network.
    Dumpgenesis(DumpGenesisArgs),
    /// Makes, shows, imports and changes key files.
    Account(AccountArgs),
    /// Writes the chain into a file, a block after the other.
    Export(ExportArgs),
    /// Reads a chain from files.
    Import(ImportArgs),
    /// Checks and mends a data folder whose node is stopped.
    Db(DbArgs),
    /// What this node's key signed.
    Signer(SignerArgs),
    /// Prints the version.
    Version(VersionArgs),
}

/// `msnet version`
#[derive(Debug, clap::Args)]
struct VersionArgs {
    /// With what it was built, and the hashes of what it carries
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            explain(&error);
            return ExitCode::FAILURE;
        }
    };
    start_logging(&cli.verbosity, cli.log_json);
    match run(cli.command.unwrap_or_else(|| Command::Demo(demo::DemoArgs::default()))) {
        Ok(status) => status,
        Err(error) => {
            explain(&error);
            error
                .downcast_ref::<EdgeError>()
                .map_or(ExitCode::FAILURE, |error| error.exit_code().into())
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    match command {
        Command::Demo(args) => runtime()?.block_on(demo::run(args))?,
        Command::Node { node, rpc } => runtime()?
            .block_on(async { rpc::cli::run_node(*node, *rpc, built_in, interrupted()).await })?,
        Command::Edge(args) => {
            let print = |line: &str| {
                // nobody is left to tell if standard output is gone
                let _ = writeln!(std::io::stdout(), "{line}");
            };
            let run = async { edge::args::run(*args, interrupted(), print).await };
            return Ok(runtime()?.block_on(run)?.into());
        }
        Command::Blocktest(args) => {
            let print = |line: &str| {
                // nobody is left to tell if standard output is gone
                let _ = writeln!(std::io::stdout(), "{line}");
            };
            anyhow::ensure!(node::blocktest::run(&args, print)?, "some cases failed");
        }
        Command::Genesis(args) => genesis::run(*args)?,
        Command::Init(args) => out.write_all(network::init(&args)?.as_bytes())?,
        Command::Dumpgenesis(args) => out.write_all(&network::dump(&args, built_in)?)?,
        Command::Account(args) => account::run(args, &mut out)?,
        Command::Export(args) => chainfile::export(&args, &mut out)?,
        Command::Import(args) => chainfile::import(&args, &mut out)?,
        Command::Db(args) => return Ok(db::run(&args, &mut out)?.into()),
        Command::Signer(args) => signer::run(&args, &mut out)?,
        Command::Version(args) => out.write_all(version::text(args.verbose).as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The command line, over the environment, over the file that `--config` names.
fn parse() -> anyhow::Result<Cli> {
    let matches = settings::matches(Cli::command(), "node", std::env::args_os())?;
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

/// The genesis of a built-in network, by its name.
fn built_in(name: &str) -> Option<Vec<u8>> {
    contracts::networks::genesis(name).map(<[u8]>::to_vec)
}

/// Done at Ctrl-C, or at a polite request to end; both are listened for from this call on, not from the first wait.
///
/// # Panics
/// Outside of a runtime.
pub(crate) fn interrupted() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    async {
        let [Ok(mut interrupt), Ok(mut terminate)] = signals else {
            // without signals there is nothing to wait for; the process can still be killed
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn start_logging(verbosity: &str, is_json: bool) {
    let filter = EnvFilter::try_new(level(verbosity)).unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if is_json { log.json().init() } else { log.init() }
}

/// geth counts: 0 silent, 1 error, 2 warn, 3 info, 4 debug, 5 detail.
fn level(verbosity: &str) -> &str {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let number = verbosity.parse::<usize>().ok();
    number.and_then(|number| levels.get(number).copied()).unwrap_or(verbosity)
}

/// Says what went wrong, why, and what to do, a line each.
fn explain(error: &anyhow::Error) {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(&format!("  why: {cause}\n"));
        }
    }
    if !text.contains("do:")
        && let Some(advice) = advice(error)
    {
        text.push_str(&format!("  do:  {advice}\n"));
    }
    // nobody is left to tell if standard error is gone
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What to do about an error that does not say so itself; `None` if its sentence ends with that.
fn advice(error: &anyhow::Error) -> Option<&'static str> {
    match error.downcast_ref::<EdgeError>() {
        Some(EdgeError::Integrity { .. }) => {
            return Some(
                "nothing was changed or deleted; restore the folder from a copy, or begin anew in another",
            );
        }
        Some(EdgeError::Internal(_) | EdgeError::Io { .. }) | None => {}
        Some(_) => return None,
    }
    let text = format!("{error:#}");
    let hints = [
        (
            "already used by another process",
            "stop the other msnet, or name another folder with --datadir",
        ),
        (
            "incompatible genesis",
            "start with the genesis of this folder, or name another folder with --datadir",
        ),
        (
            "damaged",
            "nothing was changed or deleted; restore the folder from a copy, or begin anew in another",
        ),
        ("account already exists", "use the key that is there, or move its file elsewhere"),
        (
            "cannot import block",
            "what came before it stays; get the file again from another source",
        ),
        (
            "cannot decode block",
            "what came before it stays; get the file again from another source",
        ),
        ("is no chain of blocks", "what came before stays; get the file again, or check its name"),
        ("cannot export blocks", "ask for blocks that are there"),
        ("is readable by others", "run that command"),
        ("not a key file", "check the path, or import a bare key with msnet account import"),
        ("No such file", "check the path"),
        ("Permission denied", "check who may read and write there"),
        ("No space left", "free some space on this disk"),
    ];
    let hint = hints.iter().find(|(sign, _)| text.contains(sign));
    Some(hint.map_or("run it again with --verbosity debug to see more", |&(_, hint)| hint))
}
