//! `msnet db verify|rewind|reindex|stat`: a data folder whose node is stopped.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use chain::{
    blockchain::Blockchain,
    disk::{Disk, OsDisk},
    error::ChainError,
    store::{
        reindex::reindex,
        stat::{Stat, stat},
        verify::{MAX_FINDINGS, Verified, cut_at, verify},
    },
};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    error::NodeError,
    network::{genesis_of, open_chain},
    progress::Progress,
    service::STORE_FOLDER,
};

/// Exit of a check that found something, but nothing lost.
pub const EXIT_FINDINGS: u8 = 1;
/// Exit of a check that found damage.
pub const EXIT_DAMAGE: u8 = 5;

/// Checks and mends a data folder whose node is stopped.
#[derive(Debug, Args)]
pub struct DbArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: DbVerb,
}

/// The verbs of `msnet db`.
#[derive(Debug, Subcommand)]
pub enum DbVerb {
    /// Read everything and say what does not fit: exit 0 if all does, 1 if the next start mends it, 5 if it is damage
    Verify {
        /// Where.
        #[command(flatten)]
        folder: Datadir,
        /// Also compute the roots of all accounts and slots
        #[arg(long)]
        state: bool,
        /// Cut the block log where it stops being good, keep the rest beside it, and make the tables again
        #[arg(long)]
        repair: bool,
    },
    /// Take the chain back to a block; what this key signed is kept, so it signs nothing twice. No block is final yet:
    /// any may be named
    Rewind {
        /// Where.
        #[command(flatten)]
        folder: Datadir,
        /// The block that becomes the head
        #[arg(long, value_name = "NUMBER")]
        to: u64,
    },
    /// Make everything again that follows from the block log; goes on if it was interrupted
    Reindex {
        /// Where.
        #[command(flatten)]
        folder: Datadir,
        /// Also give back the space that the tables do not use
        #[arg(long)]
        compact: bool,
    },
    /// Show how much is stored
    Stat {
        /// Where.
        #[command(flatten)]
        folder: Datadir,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Which folder.
#[derive(Debug, Clone, Args)]
pub struct Datadir {
    /// The chain's data folder
    #[arg(long, env = "MSNET_DATADIR", value_name = "FOLDER")]
    pub datadir: PathBuf,
}

impl Datadir {
    fn store(&self) -> PathBuf {
        self.datadir.join(STORE_FOLDER)
    }
}

/// Why `msnet db` ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The folder.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The store.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// There is no such block.
    #[error("cannot rewind to block {to}: the head is {head}\n  do: name a block that is there")]
    AboveHead {
        /// Asked for.
        to: u64,
        /// There.
        head: u64,
    },
    /// Its output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

/// Runs `msnet db`; the answer is the exit status.
///
/// # Errors
/// [`DbError`].
pub fn run(args: &DbArgs, out: &mut dyn Write) -> Result<u8, DbError> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    match &args.verb {
        DbVerb::Verify { folder, state, repair } => run_verify(&disk, folder, *state, *repair, out),
        DbVerb::Rewind { folder, to } => run_rewind(folder, *to, out),
        DbVerb::Reindex { folder, compact } => {
            run_reindex(&disk, folder, *compact, out)?;
            Ok(0)
        }
        DbVerb::Stat { folder, json } => {
            let genesis = genesis_of(&folder.datadir)?;
            let stat = stat(&disk, &folder.store(), &genesis)?;
            let text = if *json { stat_json(&stat) } else { stat_text(&stat) };
            out.write_all(text.as_bytes())?;
            Ok(0)
        }
    }
}

fn run_verify(
    disk: &Arc<dyn Disk>,
    folder: &Datadir,
    state: bool,
    repair: bool,
    out: &mut dyn Write,
) -> Result<u8, DbError> {
    let genesis = genesis_of(&folder.datadir)?;
    let mut progress = Progress::start("verifying");
    let seen = verify(disk, &folder.store(), &genesis, state, &mut |done, total, number| {
        progress.show(done, total, || format!("block {number}"));
    })?;
    drop(progress);
    print_findings(&seen, out)?;
    if seen.damage_count > 0 && !repair {
        writeln!(
            out,
            "nothing was changed; msnet db verify --repair cuts the log there and makes the tables again"
        )?;
    }
    if !repair || seen.damage_count == 0 {
        return Ok(exit_of(&seen));
    }
    if let Some(cut) = seen.cut {
        for kept in cut_at(disk, &folder.store(), cut)? {
            writeln!(out, "cut: what stood there is kept in {}", kept.display())?;
        }
    }
    run_reindex(disk, folder, false, out)?;
    let again = verify(disk, &folder.store(), &genesis, state, &mut |_, _, _| {})?;
    writeln!(out, "after the repair:")?;
    print_findings(&again, out)?;
    Ok(exit_of(&again))
}

const fn exit_of(seen: &Verified) -> u8 {
    match (seen.finding_count, seen.damage_count) {
        (0, _) => 0,
        (_, 0) => EXIT_FINDINGS,
        _ => EXIT_DAMAGE,
    }
}

fn print_findings(seen: &Verified, out: &mut dyn Write) -> io::Result<()> {
    for finding in &seen.findings {
        let word = if finding.is_damage { "damage" } else { "note" };
        let block = finding.block.map_or_else(String::new, |number| format!(" (block {number})"));
        writeln!(out, "{word}: {}{block}: {}", finding.place, finding.reason)?;
    }
    if seen.finding_count > MAX_FINDINGS as u64 {
        writeln!(out, "and {} more", seen.finding_count - MAX_FINDINGS as u64)?;
    }
    let state =
        if seen.accounts > 0 { format!(", {} accounts", seen.accounts) } else { String::new() };
    writeln!(
        out,
        "read {} frames, {} blocks, {} bytes{state}: {} findings, {} of them damage",
        seen.frames, seen.blocks, seen.bytes, seen.finding_count, seen.damage_count
    )?;
    Ok(())
}

fn run_rewind(folder: &Datadir, to: u64, out: &mut dyn Write) -> Result<u8, DbError> {
    let mut chain = open_chain(&folder.datadir)?;
    let head = chain.reader().head().number();
    if to > head {
        return Err(DbError::AboveHead { to, head });
    }
    let mut progress = Progress::start("rewinding");
    chain.rewind(to, &mut |number| {
        progress.show(head - number, head - to, || format!("block {number}"));
    })?;
    drop(progress);
    print_head("rewound from block", Some(head), &chain, out)?;
    chain.close()?;
    Ok(0)
}

fn print_head(
    what: &str,
    from: Option<u64>,
    chain: &Blockchain,
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = chain.reader().head();
    let from = from.map_or_else(String::new, |from| format!(" {from}"));
    writeln!(out, "{what}{from}; head {} {}", head.number(), head.hash())
}

fn run_reindex(
    disk: &Arc<dyn Disk>,
    folder: &Datadir,
    compact: bool,
    out: &mut dyn Write,
) -> Result<(), DbError> {
    let genesis = genesis_of(&folder.datadir)?;
    let mut progress = Progress::start("reindexing");
    let chain = reindex(disk, &folder.store(), &genesis, &mut |done, total, number| {
        progress.show(done, total, || format!("block {number}"));
    })?;
    drop(progress);
    print_head("made the tables again", None, &chain, out)?;
    chain.close()?;
    if compact {
        let (before, after) = compact_tables(&folder.store())?;
        writeln!(out, "compacted state.redb from {before} to {after} bytes")?;
    }
    Ok(())
}

fn compact_tables(store: &Path) -> Result<(u64, u64), DbError> {
    let disk = OsDisk;
    Ok(chain::store::reindex::compact(&disk, store)?)
}

fn stat_text(stat: &Stat) -> String {
    let mut text = format!("{:<12}{:>14}{:>18}\n", "table", "rows", "bytes");
    for table in &stat.tables {
        text.push_str(&format!("{:<12}{:>14}{:>18}\n", table.name, table.rows, table.bytes));
    }
    text.push_str(&format!("state.redb  {} bytes\n", stat.redb_bytes));
    for (name, (segments, bytes)) in [("blocks", stat.log), ("diffs", stat.diffs)] {
        text.push_str(&format!("{name:<12}{segments} segments, {bytes} bytes\n"));
    }
    text.push_str(&format!("newest      {} {}\n", stat.newest.0, stat.newest.1));
    text.push_str(&format!("flushed     {} {}\n", stat.flushed.0, stat.flushed.1));
    let oldest = stat.oldest_diff.map_or_else(|| "none".to_owned(), |number| number.to_string());
    text.push_str(&format!("oldest diff {oldest}\n"));
    text
}

fn stat_json(stat: &Stat) -> String {
    let tables: serde_json::Map<_, _> = stat
        .tables
        .iter()
        .map(|table| (table.name.to_owned(), json!({ "rows": table.rows, "bytes": table.bytes })))
        .collect();
    let log = |(segments, bytes): (u64, u64)| json!({ "segments": segments, "bytes": bytes });
    let value = json!({
        "tables": tables,
        "redbBytes": stat.redb_bytes,
        "blocks": log(stat.log),
        "diffs": log(stat.diffs),
        "newest": { "number": stat.newest.0, "hash": stat.newest.1 },
        "flushed": { "number": stat.flushed.0, "hash": stat.flushed.1 },
        "oldestDiff": stat.oldest_diff,
    });
    format!("{value}\n")
}
