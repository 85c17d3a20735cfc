//! Throughput of msnet beside other nodes: the same load on each in turn, medians, ratios, a plot.
//!
//! [`nodes`] starts and stops the nodes, [`load`] signs, sends and watches, [`report`] prints the table and draws it. Rounds
//! are interleaved (A B C A B C), since a machine drifts; each run says how fast this machine recovered signatures just
//! before it, and how much processor time the node took for each transaction.

mod load;
mod nodes;
mod report;
mod rpc;

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::{load::Workload, nodes::NodeKind, report::Row};

/// Measures included transactions per second.
#[derive(Debug, Parser)]
struct Args {
    /// The msnet program.
    #[arg(long)]
    msnet: PathBuf,
    /// File with the creation code of the ERC-20 contract, hex.
    #[arg(long)]
    token: PathBuf,
    /// Transactions a run.
    #[arg(long, default_value_t = 60_000)]
    txs: usize,
    /// Runs of each node and workload; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// What is sent.
    #[arg(long, value_delimiter = ',', default_values_t = [Workload::Native, Workload::Erc20, Workload::Growth])]
    workloads: Vec<Workload>,
    /// To whom. What is not found is named and left out.
    #[arg(long, value_delimiter = ',', default_values_t = [NodeKind::Msnet, NodeKind::Anvil, NodeKind::Geth])]
    nodes: Vec<NodeKind>,
    /// Transactions that may wait for a block at a time; nobody can mine more than that a period.
    #[arg(long, default_value_t = 40_000)]
    max_pending: usize,
    /// Where `throughput.json` and `throughput.svg` go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let token = fs::read_to_string(&args.token)?;
    let token = alloy_primitives::hex::decode(token.trim())?;
    let mut found = Vec::new();
    for &kind in &args.nodes {
        match nodes::program(kind, &args.msnet) {
            Some(program) => found.push((kind, program)),
            None => eprintln!("skipped: {kind} was not found"),
        }
    }
    let mut rows = Vec::new();
    for &workload in &args.workloads {
        for round in 0..args.runs {
            for (kind, program) in &found {
                let node = nodes::Running::start(*kind, program).await?;
                let plan = load::Plan {
                    workload,
                    txs: args.txs,
                    max_pending: args.max_pending,
                    token: token.clone(),
                };
                let figures = load::run(&node, &plan).await?;
                eprintln!(
                    "{workload} {}/{} {kind}: {:.0} tx/s, {:.0} us of the node a transaction, {:.0} recoveries/s",
                    round + 1,
                    args.runs,
                    figures.included_per_s,
                    figures.cpu_us_per_tx,
                    figures.recoveries_per_s,
                );
                rows.push(Row { workload, node: *kind, figures });
            }
        }
    }
    let table = report::medians(&rows);
    report::print(&table)?;
    fs::create_dir_all(&args.out)?;
    fs::write(args.out.join("throughput.json"), serde_json::to_vec_pretty(&rows)?)?;
    fs::write(args.out.join("throughput.svg"), report::svg(&table))?;
    Ok(())
}
