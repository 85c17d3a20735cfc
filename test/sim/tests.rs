//! Which seeds are played: some in each run of the tests, any number by `./test/run sim`.

use std::{
    num::ParseIntError,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Violation, play};
use crate::planted::Bug;

/// Seeds of a plain `cargo test`; the suite `sim` plays more.
const FEW_SEEDS: u64 = 24;
/// A planted bug that survives so many seeds shows a blind simulator.
const SEEDS_PER_BUG: u64 = 1_000;
/// Seeds are played on so many threads, each seed on one.
const THREADS: usize = 2;

/// A number of the suite's command line, handed on by `test/run`.
fn setting(name: &str) -> Result<Option<u64>, ParseIntError> {
    std::env::var(name).ok().map(|text| text.parse()).transpose()
}

/// The violation of the lowest seed that has one.
fn first_violation(seeds: std::ops::Range<u64>, bug: Option<Bug>) -> Option<Violation> {
    let next = AtomicU64::new(seeds.start);
    let found: Mutex<Option<Violation>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let mut lowest = found.lock().expect("no player panics").clone();
                    if seed >= seeds.end || lowest.as_ref().is_some_and(|found| found.seed < seed) {
                        return;
                    }
                    let Err(violation) = play(seed, bug).0 else { continue };
                    lowest = Some(violation);
                    let mut held = found.lock().expect("no player panics");
                    if held.as_ref().is_none_or(|held| seed < held.seed) {
                        *held = lowest;
                    }
                }
            });
        }
    });
    found.into_inner().expect("no player panics")
}

#[test]
fn seeds_hold() {
    let first = setting("MSNET_SIM_FIRST").expect("a number").unwrap_or(0);
    let count = setting("MSNET_SIM_SEEDS").expect("a number").unwrap_or(FEW_SEEDS);
    eprintln!("seeds {first} to {}", first + count - 1);
    if let Some(violation) = first_violation(first..first + count, None) {
        panic!("{violation}");
    }
}

/// `./test/run sim --seed S`: the whole trace of one run.
#[test]
fn one_seed_is_told() {
    let seed = setting("MSNET_SIM_SEED").expect("a number");
    let (outcome, trace) = play(seed.unwrap_or(1), None);
    if seed.is_some() {
        eprintln!("{trace}");
    }
    match outcome {
        Ok(report) => eprintln!("{report:?}"),
        Err(violation) => panic!("{violation}"),
    }
}

#[test]
fn a_seed_plays_the_same_run_each_time() {
    for seed in [2, 3, 99] {
        let ((first, trace), (second, again)) = (play(seed, None), play(seed, None));
        assert_eq!(first, second);
        assert!(trace.lines().count() > 300, "{trace}");
        assert_eq!(trace, again);
    }
}

fn is_found(bug: Bug) {
    let violation = first_violation(0..SEEDS_PER_BUG, Some(bug));
    let violation = violation.unwrap_or_else(|| panic!("{bug:?} hid from {SEEDS_PER_BUG} seeds"));
    eprintln!("{bug:?} is found by seed {}: {}", violation.seed, violation.what);
}

#[test]
fn planted_no_tie_rule() {
    is_found(Bug::NoTieRule);
}

#[test]
fn planted_coin_toss() {
    is_found(Bug::CoinToss);
}

#[test]
fn planted_own_block_preference() {
    is_found(Bug::OwnBlockPreferred);
}

#[test]
fn planted_equal_heads_not_fetched() {
    is_found(Bug::EqualHeadsNotFetched);
}

#[test]
fn planted_one_seal_per_height() {
    is_found(Bug::OneSealPerHeight);
}

#[test]
fn planted_recents_forgotten_at_an_epoch() {
    is_found(Bug::RecentsForgottenAtEpoch);
}

#[test]
fn planted_window_wraps_near_genesis() {
    is_found(Bug::WindowWraps);
}

#[test]
fn planted_votes_kept_at_an_epoch() {
    is_found(Bug::VotesKeptAtEpoch);
}

#[test]
fn planted_journal_not_synced() {
    is_found(Bug::JournalNotSynced);
}

#[test]
fn planted_log_not_synced() {
    is_found(Bug::LogNotSynced);
}
