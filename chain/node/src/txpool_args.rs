//! The pool's flags in geth's words, and the settings they make.

use std::{path::PathBuf, time::Duration};

use alloy_primitives::Address;
use chain::pool::PoolConfig;
use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser as _},
};

/// File of submitted transactions that wait over a restart.
const JOURNAL: &str = "transactions.rlp";
/// Time between two rewritings of that file.
const REJOURNAL: Duration = Duration::from_secs(3_600);

/// What waits for a block, and for how long.
///
/// What is not said follows the network: where gas costs nothing the least tip is 0 and senders
/// take turns.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Transaction pool")]
pub struct TxPoolArgs {
    /// Accounts that need not reach the price limit and lose nothing to a full pool
    #[arg(
        long = "txpool.locals",
        env = "MSNET_TXPOOL_LOCALS",
        value_name = "ADDRESSES",
        value_delimiter = ','
    )]
    pub locals: Vec<Address>,
    /// Treat no account as local, and keep no journal
    #[arg(long = "txpool.nolocals", env = "MSNET_TXPOOL_NOLOCALS")]
    pub no_locals: bool,
    /// File of submitted transactions that wait over a restart; empty for none [default: transactions.rlp]
    #[arg(long = "txpool.journal", env = "MSNET_TXPOOL_JOURNAL", value_name = "FILE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub journal: Option<PathBuf>,
    /// Time between two rewritings of the journal, such as 30m [default: 1h]
    #[arg(long = "txpool.rejournal", env = "MSNET_TXPOOL_REJOURNAL", value_name = "DURATION", value_parser = parse_duration)]
    pub rejournal: Option<Duration>,
    /// Least tip of a transaction, wei per gas [default: 1, or 0 where the base fee is always 0]
    #[arg(long = "txpool.pricelimit", env = "MSNET_TXPOOL_PRICELIMIT", value_name = "WEI")]
    pub price_limit: Option<u128>,
    /// By how much a replacement must raise fee cap and tip, percent [default: 10]
    #[arg(long = "txpool.pricebump", env = "MSNET_TXPOOL_PRICEBUMP", value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub price_bump: Option<u64>,
    /// Executable transactions that each account keeps in a full pool [default: 16]
    #[arg(long = "txpool.accountslots", env = "MSNET_TXPOOL_ACCOUNTSLOTS", value_name = "COUNT", value_parser = at_least_one)]
    pub account_slots: Option<usize>,
    /// Slots of 32 KiB for executable transactions [default: 65536]
    #[arg(long = "txpool.globalslots", env = "MSNET_TXPOOL_GLOBALSLOTS", value_name = "COUNT", value_parser = at_least_four)]
    pub global_slots: Option<usize>,
    /// Transactions of an account behind a gap in its nonces [default: 1024]
    #[arg(long = "txpool.accountqueue", env = "MSNET_TXPOOL_ACCOUNTQUEUE", value_name = "COUNT", value_parser = at_least_one)]
    pub account_queue: Option<usize>,
    /// Transactions of all accounts behind gaps [default: 16384]
    #[arg(long = "txpool.globalqueue", env = "MSNET_TXPOOL_GLOBALQUEUE", value_name = "COUNT", value_parser = at_least_one)]
    pub global_queue: Option<usize>,
    /// Transactions of an account, and never more than a quarter of the slots [default: 8192]
    #[arg(long = "txpool.senderlimit", env = "MSNET_TXPOOL_SENDERLIMIT", value_name = "COUNT", value_parser = at_least_one)]
    pub sender_limit: Option<usize>,
    /// Time that transactions wait for a gap to fill, such as 3h0m0s [default: 3h]
    #[arg(long = "txpool.lifetime", env = "MSNET_TXPOOL_LIFETIME", value_name = "DURATION", value_parser = parse_duration)]
    pub lifetime: Option<Duration>,
}

impl TxPoolArgs {
    /// The pool of a network under these flags.
    pub fn pool_config(&self, zero_base_fee: bool) -> PoolConfig {
        let usual = PoolConfig::for_network(zero_base_fee);
        PoolConfig {
            price_limit: self.price_limit.unwrap_or(usual.price_limit),
            price_bump_percent: self.price_bump.map_or(usual.price_bump_percent, u128::from),
            account_slots: self.account_slots.unwrap_or(usual.account_slots),
            global_slots: self.global_slots.unwrap_or(usual.global_slots),
            global_queue: self.global_queue.unwrap_or(usual.global_queue),
            account_queue: self.account_queue.unwrap_or(usual.account_queue),
            sender_limit: self.sender_limit.unwrap_or(usual.sender_limit),
            lifetime_secs: self.lifetime.map_or(usual.lifetime_secs, |lifetime| lifetime.as_secs()),
            locals: if self.no_locals {
                usual.locals
            } else {
                self.locals.iter().copied().collect()
            },
            max_bytes: usual.max_bytes,
            order: usual.order,
            takes_blobs: false,
        }
    }

    /// Limits that these flags raise above the default, by flag: more memory than was measured.
    pub fn raised(&self) -> Vec<&'static str> {
        let usual = PoolConfig::for_network(false);
        let own = self.pool_config(false);
        let is_raised = [
            ("--txpool.accountslots", own.account_slots > usual.account_slots),
            ("--txpool.globalslots", own.global_slots > usual.global_slots),
            ("--txpool.accountqueue", own.account_queue > usual.account_queue),
            ("--txpool.globalqueue", own.global_queue > usual.global_queue),
            ("--txpool.senderlimit", own.sender_limit > usual.sender_limit),
            ("--txpool.lifetime", own.lifetime_secs > usual.lifetime_secs),
        ];
        is_raised.into_iter().filter(|(_, is_raised)| *is_raised).map(|(flag, _)| flag).collect()
    }

    /// The journal's file, seen from the ledger's folder; none if there is to be none.
    pub(crate) fn journal(&self) -> Option<PathBuf> {
        let path = self.journal.clone().unwrap_or_else(|| PathBuf::from(JOURNAL));
        (!self.no_locals && !path.as_os_str().is_empty()).then_some(path)
    }

    /// Time between two rewritings of the journal.
    pub(crate) fn rejournal(&self) -> Duration {
        self.rejournal.unwrap_or(REJOURNAL)
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    at_least(text, 1)
}

/// A sender may hold a quarter of the slots, which has to be one at least.
fn at_least_four(text: &str) -> Result<usize, String> {
    at_least(text, 4)
}

fn at_least(text: &str, least: usize) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|error| format!("{error}"))?;
    if number < least { Err(format!("the least is {least}")) } else { Ok(number) }
}

/// Reads a duration as Go writes it: `3h0m0s`, `90m`, `1h30m`; at least a second.
fn parse_duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a time is written as 3h0m0s, 90m or 30s";
    let mut rest = text.trim();
    let mut secs: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or(FORM)?;
        let (digits, tail) = rest.split_at(end);
        let number: u64 = digits.parse().map_err(|_| FORM)?;
        let unit = tail.chars().next().ok_or(FORM)?;
        let in_secs = match unit {
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return Err(FORM.to_owned()),
        };
        let part = number.checked_mul(in_secs).ok_or(FORM)?;
        secs = secs.checked_add(part).ok_or(FORM)?;
        rest = &tail[1..];
    }
    if secs == 0 { Err("the least is 1s".to_owned()) } else { Ok(Duration::from_secs(secs)) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        txpool: TxPoolArgs,
    }

    fn parse(flags: &[&str]) -> Result<TxPoolArgs, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"msnet").chain(flags)).map(|cli| cli.txpool)
    }

    #[test]
    fn without_flags_the_network_decides() {
        let args = parse(&[]).expect("no flags are needed");
        assert_eq!(args.pool_config(true), PoolConfig::for_network(true));
        assert_eq!(args.pool_config(false), PoolConfig::for_network(false));
        assert_eq!(args.journal(), Some(PathBuf::from("transactions.rlp")));
        assert_eq!(args.rejournal(), Duration::from_secs(3_600));
        assert!(args.raised().is_empty());
    }

    #[test]
    fn flags_say_it_in_geths_words() {
        let local = Address::repeat_byte(7);
        let locals = format!("--txpool.locals={local},{}", Address::ZERO);
        let args = parse(&[
            "--txpool.pricelimit=5",
            "--txpool.pricebump=20",
            "--txpool.accountslots=1",
            "--txpool.globalslots=100",
            "--txpool.accountqueue=2",
            "--txpool.globalqueue=20000",
            "--txpool.senderlimit=3",
            "--txpool.lifetime=4h0m1s",
            "--txpool.journal=own.rlp",
            "--txpool.rejournal=90m",
            &locals,
        ])
        .expect("geth's flags");
        let want = PoolConfig {
            price_limit: 5,
            price_bump_percent: 20,
            account_slots: 1,
            global_slots: 100,
            account_queue: 2,
            global_queue: 20_000,
            sender_limit: 3,
            lifetime_secs: 14_401,
            locals: [local, Address::ZERO].into(),
            ..PoolConfig::for_network(false)
        };
        assert_eq!(args.pool_config(false), want);
        assert_eq!(args.rejournal(), Duration::from_secs(5_400));
        assert_eq!(args.journal(), Some(PathBuf::from("own.rlp")));
        assert_eq!(args.raised(), ["--txpool.globalqueue", "--txpool.lifetime"]);
        let none = parse(&["--txpool.nolocals", &locals]).expect("geth's flags");
        assert_eq!(none.journal(), None);
        assert!(none.pool_config(false).locals.is_empty());
        assert_eq!(parse(&["--txpool.journal="]).expect("an empty name").journal(), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for flag in [
            "--txpool.globalslots=3",
            "--txpool.accountqueue=0",
            "--txpool.pricebump=0",
            "--txpool.lifetime=3",
            "--txpool.lifetime=0s",
            "--txpool.rejournal=1d",
            "--txpool.lifetime=é",
            "--txpool.lifetime=99999999999999999999h",
            "--txpool.locals=0x12",
        ] {
            assert!(parse(&[flag]).is_err(), "{flag}");
        }
    }
}
