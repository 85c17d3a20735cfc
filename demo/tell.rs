//! How the story is told: a readable line a step, or an object a step.

use std::io::{self, IsTerminal, Write};

use serde::{Deserialize, Serialize};

/// One step, as it happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Step {
    /// Its number in the story, from 1.
    pub(super) step: usize,
    /// What it is about.
    pub(super) title: String,
    /// What happened, in one sentence or a few.
    pub(super) told: String,
    /// The chain's head when it had happened.
    pub(super) block: u64,
    /// How long it took.
    pub(super) elapsed_ms: u64,
    /// Whether all of it was as it must be.
    pub(super) held: bool,
}

/// Where the demo can be visited while it is up.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Addresses {
    /// The page of the first hospital's edge.
    pub(super) page: String,
    /// The other hospital's page.
    pub(super) other_page: String,
    /// JSON-RPC for wallets.
    pub(super) rpc: String,
    /// Chain id for wallets.
    pub(super) chain_id: u64,
    /// Where the data lies.
    pub(super) datadir: String,
}

/// Writes to standard output, as lines for people or as objects for programs.
#[derive(Debug)]
pub(super) struct Teller {
    json: bool,
    colour: bool,
}

impl Teller {
    pub(super) fn new(json: bool) -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { json, colour }
    }

    /// A sentence between steps; left out where programs read.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(io::stdout(), "{text}") }
    }

    /// A step that has happened, now or in an earlier run on the same folder.
    pub(super) fn step(&self, step: &Step, earlier: bool) -> io::Result<()> {
        if self.json {
            return writeln!(io::stdout(), "{}", serde_json::to_string(step)?);
        }
        let mark = match (step.held, self.colour) {
            (true, true) => "\x1b[32m✓\x1b[0m",
            (true, false) => "✓",
            (false, true) => "\x1b[31m✗\x1b[0m",
            (false, false) => "✗",
        };
        let time = if earlier {
            "told in an earlier run".to_owned()
        } else {
            format!("{}.{:02} s", step.elapsed_ms / 1000, step.elapsed_ms % 1000 / 10)
        };
        writeln!(
            io::stdout(),
            "{} {mark} {} — {} (block {}, {time})",
            step.step,
            step.title,
            step.told,
            step.block
        )
    }

    /// Where to go now.
    pub(super) fn addresses(&self, addresses: &Addresses) -> io::Result<()> {
        if self.json {
            return writeln!(io::stdout(), "{}", serde_json::to_string(addresses)?);
        }
        let Addresses { page, other_page, rpc, chain_id, datadir } = addresses;
        writeln!(
            io::stdout(),
            "\n  page      {page}   (the other hospital: {other_page})\n  JSON-RPC  {rpc}   chain id {chain_id}, gas is free\n  \
             data      {datadir}\n\nCtrl-C stops it."
        )
    }
}
