//! `msnet signer status|reset-journal`: what this node's key signed.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_primitives::Address;
use chain::{
    disk::{Disk, OsDisk},
    error::ChainError,
    store::seals::{Seals, seals, set_aside},
};
use clap::{Args, Subcommand};

use crate::{
    db::Datadir,
    error::NodeError,
    network::genesis_of,
    prompt::{self, PromptError},
    service::STORE_FOLDER,
};

/// What this node's key signed.
#[derive(Debug, Args)]
pub struct SignerArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: SignerVerb,
}

/// The verbs of `msnet signer`.
#[derive(Debug, Subcommand)]
pub enum SignerVerb {
    /// Show the last seal of each key that sealed here
    Status {
        /// Where.
        #[command(flatten)]
        folder: Datadir,
    },
    /// Forget what was sealed, after a question: only for a key that seals nowhere else and a journal that is damaged
    ResetJournal {
        /// Where.
        #[command(flatten)]
        folder: Datadir,
    },
}

/// Why `msnet signer` ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The folder.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The journal.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The question.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The answer is not the account.
    #[error(
        "nothing was changed: {typed:?} is not the address of the key that sealed here\n  do: see it with msnet signer status, then type it out"
    )]
    NotConfirmed {
        /// What was typed.
        typed: String,
    },
    /// Nothing was sealed here.
    #[error("{} holds no seal; there is nothing to reset\n  do: nothing", path.display())]
    Empty {
        /// The journal.
        path: PathBuf,
    },
    /// Its output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

/// Runs `msnet signer`.
///
/// # Errors
/// [`SignerError`].
pub fn run(args: &SignerArgs, out: &mut dyn Write) -> Result<(), SignerError> {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let (SignerVerb::Status { folder } | SignerVerb::ResetJournal { folder }) = &args.verb;
    let genesis = genesis_of(&folder.datadir)?;
    let store = folder.datadir.join(STORE_FOLDER);
    let found = seals(disk.as_ref(), &store, genesis.hash())?;
    if matches!(args.verb, SignerVerb::Status { .. }) {
        return print_status(&found, out);
    }
    if found == Seals::default() {
        return Err(SignerError::Empty { path: store.join("signer.journal") });
    }
    writeln!(
        out,
        "The journal keeps this key from sealing two blocks on one parent, which others can prove against it.\n\
         Reset it only if the key seals nowhere else and every block it sealed is known to the network."
    )?;
    let typed = prompt::line("Type the address of the key to go on: ")?;
    let is_one = typed.parse::<Address>().is_ok_and(|address| {
        // of a journal that cannot be read nobody knows whose it is
        found.by_signer.is_empty() || found.by_signer.contains_key(&address)
    });
    if !is_one {
        return Err(SignerError::NotConfirmed { typed });
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let kept = set_aside(disk.as_ref(), &store, since.as_secs())?;
    writeln!(out, "the journal is empty; the old one is kept in {}", kept.display())?;
    Ok(())
}

fn print_status(found: &Seals, out: &mut dyn Write) -> Result<(), SignerError> {
    if found == &Seals::default() {
        writeln!(out, "nothing was sealed here")?;
    }
    for (signer, (count, seal)) in &found.by_signer {
        writeln!(
            out,
            "{signer} sealed {count} blocks, last block {} {} on {}",
            seal.number, seal.block_hash, seal.parent_hash
        )?;
    }
    if let Some(broken) = &found.broken {
        writeln!(out, "damage: signer.journal at {broken}")?;
    }
    Ok(())
}
