//! Memory for what lies on disk, and how much of the past stays there: `--cache`, `--history.*`, `--gcmode`.

use chain::{
    blockchain::{MIN_HISTORY_BLOCKS, OpenOptions},
    replay::Rules,
    store::CACHE_BYTES,
};
use clap::{Args, ValueEnum};

/// Bytes of a MiB.
const MIB: usize = 1024 * 1024;
/// Least cache, MiB: below it each look-up would go to the disk.
const MIN_CACHE_MIB: u64 = 16;
/// Greatest cache, MiB.
const MAX_CACHE_MIB: u64 = 1024 * 1024;

/// How much of the past is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// All of it.
    All,
    /// The newest blocks, so many.
    Blocks(u64),
}

/// What geth calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GcMode {
    /// The state of every block stays readable
    Archive,
    /// The state of the last 4,096 blocks does
    Full,
}

/// Memory and the past.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Storage")]
pub struct StorageArgs {
    /// Memory for accounts and slots that lie on disk, MiB [default: 512]
    #[arg(long, env = "MSNET_CACHE", value_name = "MIB", value_parser = clap::value_parser!(u64).range(MIN_CACHE_MIB..=MAX_CACHE_MIB))]
    pub cache: Option<u64>,
    /// Blocks whose state stays readable: all, or a number from 4096 on [default: all]
    #[arg(long = "history.state", env = "MSNET_HISTORY_STATE", value_name = "BLOCKS", value_parser = history_state)]
    pub history_state: Option<History>,
    /// Blocks and receipts that stay: all
    #[arg(long = "history.blocks", env = "MSNET_HISTORY_BLOCKS", value_name = "BLOCKS", default_value = "all", value_parser = ["all"])]
    pub history_blocks: Option<String>,
    /// Another name for --history.state: archive keeps all, full keeps 4096
    #[arg(long, env = "MSNET_GCMODE", value_name = "MODE", conflicts_with = "history_state")]
    pub gcmode: Option<GcMode>,
}

impl StorageArgs {
    /// How the ledger is opened.
    pub fn options(&self) -> OpenOptions {
        let mib = self.cache.and_then(|mib| usize::try_from(mib).ok());
        OpenOptions {
            rules: Rules::Clique,
            cache_bytes: mib.map_or(CACHE_BYTES, |mib| mib.saturating_mul(MIB)),
        }
    }

    /// Blocks whose state stays readable; `None` for all.
    pub fn history_state(&self) -> Option<u64> {
        let by_mode = self.gcmode.map(|mode| match mode {
            GcMode::Archive => History::All,
            GcMode::Full => History::Blocks(MIN_HISTORY_BLOCKS),
        });
        match self.history_state.or(by_mode) {
            Some(History::Blocks(blocks)) => Some(blocks),
            Some(History::All) | None => None,
        }
    }
}

fn history_state(text: &str) -> Result<History, String> {
    if text == "all" {
        return Ok(History::All);
    }
    let blocks: u64 = text.parse().map_err(|_| "expected all or a number of blocks".to_owned())?;
    if blocks < MIN_HISTORY_BLOCKS {
        return Err(format!("the least is {MIN_HISTORY_BLOCKS}: a reorganisation needs them"));
    }
    Ok(History::Blocks(blocks))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        storage: StorageArgs,
    }

    fn parse(flags: &[&str]) -> Result<StorageArgs, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"msnet").chain(flags)).map(|cli| cli.storage)
    }

    #[test]
    fn flags_say_how_much_stays() {
        let args = parse(&[]).expect("no flags are needed");
        assert_eq!((args.history_state(), args.options().cache_bytes), (None, CACHE_BYTES));
        let args = parse(&["--gcmode=full", "--cache=1024"]).expect("geth's flags");
        assert_eq!((args.history_state(), args.options().cache_bytes), (Some(4_096), 1 << 30));
        let state = |flag| parse(&[flag]).map(|args| args.history_state());
        assert_eq!(state("--gcmode=archive").expect("geth's flag"), None);
        assert_eq!(state("--history.state=all").expect("a word"), None);
        assert_eq!(state("--history.state=5000").expect("a number"), Some(5_000));
        assert_eq!(state("--history.blocks=all").expect("a word"), None);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for flags in [
            &["--history.state=4095"][..],
            &["--history.state=some"],
            &["--history.blocks=90000"],
            &["--gcmode=light"],
            &["--gcmode=full", "--history.state=all"],
            &["--cache=15"],
        ] {
            assert!(parse(flags).is_err(), "{flags:?}");
        }
    }
}
