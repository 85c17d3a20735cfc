#![forbid(unsafe_code)]
//! The front door of msnet: parses the command, starts logging, hands over to a room, says what went wrong.
//!
//! `msnet` alone is `msnet demo`. `demo.rs` shows the whole house at work and is the best file to read first.

mod demo;
mod genesis;
mod leaks;

use std::{io::Write, process::ExitCode};

use clap::{Parser, Subcommand};
use edge::error::EdgeError;
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
    /// How much is logged to standard error, such as `info` or `warn,node=debug`.
    #[arg(long, global = true, env = "MSNET_VERBOSITY", default_value = "warn")]
    verbosity: String,
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
    /// Makes a network file.
    Genesis(Box<genesis::GenesisArgs>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(&cli.verbosity);
    match run(cli.command.unwrap_or_else(|| Command::Demo(demo::DemoArgs::default()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            explain(&error);
            error
                .downcast_ref::<EdgeError>()
                .map_or(ExitCode::FAILURE, |error| error.exit_code().into())
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => runtime()?.block_on(demo::run(args)),
        Command::Node { node, rpc } => runtime()?
            .block_on(async { rpc::cli::run_node(*node, *rpc, built_in, interrupted()).await })
            .map_err(Into::into),
        Command::Edge(args) => {
            let print = |line: &str| {
                // nobody is left to tell if standard output is gone
                let _ = writeln!(std::io::stdout(), "{line}");
            };
            runtime()?
                .block_on(async { edge::args::run(*args, interrupted(), print).await })
                .map_err(Into::into)
        }
        Command::Genesis(args) => genesis::run(*args),
        Command::Blocktest(args) => {
            let print = |line: &str| {
                // nobody is left to tell if standard output is gone
                let _ = writeln!(std::io::stdout(), "{line}");
            };
            anyhow::ensure!(node::blocktest::run(&args, print)?, "some cases failed");
            Ok(())
        }
    }
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

fn start_logging(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
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
        ("No such file", "check the path"),
        ("Permission denied", "check who may read and write there"),
        ("No space left", "free some space on this disk"),
    ];
    let hint = hints.iter().find(|(sign, _)| text.contains(sign));
    Some(hint.map_or("run it again with --verbosity debug to see more", |&(_, hint)| hint))
}
