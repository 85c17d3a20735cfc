//! May a chain that ran under one set of forks go on under another? geth's `CheckCompatible`, with its names.

use crate::{
    error::ChainError,
    spec::{ChainSpec, Forks},
};

/// Allows edits of forks that no stored block has reached. `number` and `timestamp` are the greatest of any of them.
///
/// # Errors
/// [`ChainError::ForkMismatch`] names the first fork that moved although it, or its new place, is reached.
pub(super) fn check_compatible(
    stored: &ChainSpec,
    new: &ChainSpec,
    number: u64,
    timestamp: u64,
) -> Result<(), ChainError> {
    if number == 0 {
        return Ok(());
    }
    let (old, now) = (heights(&stored.forks), heights(&new.forks));
    for ((what, have), (_, want)) in old.into_iter().zip(now) {
        compare(what, "block", have, want, number)?;
        if what == "EIP158 fork block"
            && have.is_some_and(|fork| fork <= number)
            && stored.chain_id != new.chain_id
        {
            return Err(mismatch("EIP158 chain ID", "block", have, want));
        }
    }
    let (old, now) = (times(&stored.forks), times(&new.forks));
    for ((what, have), (_, want)) in old.into_iter().zip(now) {
        compare(what, "timestamp", have, want, timestamp)?;
    }
    Ok(())
}

const fn heights(forks: &Forks) -> [(&'static str, Option<u64>); 10] {
    [
        ("Homestead fork block", forks.homestead),
        ("EIP150 fork block", forks.eip150),
        ("EIP155 fork block", forks.eip155),
        ("EIP158 fork block", forks.eip158),
        ("Byzantium fork block", forks.byzantium),
        ("Constantinople fork block", forks.constantinople),
        ("Petersburg fork block", forks.petersburg),
        ("Istanbul fork block", forks.istanbul),
        ("Berlin fork block", forks.berlin),
        ("London fork block", forks.london),
    ]
}

const fn times(forks: &Forks) -> [(&'static str, Option<u64>); 4] {
    [
        ("Shanghai fork timestamp", forks.shanghai_time),
        ("Cancun fork timestamp", forks.cancun_time),
        ("Prague fork timestamp", forks.prague_time),
        ("Osaka fork timestamp", forks.osaka_time),
    ]
}

fn compare(
    what: &str,
    unit: &'static str,
    have: Option<u64>,
    want: Option<u64>,
    reached: u64,
) -> Result<(), ChainError> {
    let is_reached = [have, want].into_iter().flatten().any(|fork| fork <= reached);
    if have == want || !is_reached { Ok(()) } else { Err(mismatch(what, unit, have, want)) }
}

fn mismatch(what: &str, unit: &'static str, have: Option<u64>, want: Option<u64>) -> ChainError {
    let text = |fork: Option<u64>| fork.map_or_else(|| "nil".to_owned(), |fork| fork.to_string());
    let first = [have, want].into_iter().flatten().min().unwrap_or(0);
    ChainError::ForkMismatch {
        what: what.to_owned(),
        unit,
        have: text(have),
        want: text(want),
        rewind_to: first.saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(berlin: Option<u64>, cancun_time: Option<u64>, chain_id: u64) -> ChainSpec {
        let shanghai_time = Some(5);
        let forks = Forks { berlin, cancun_time, shanghai_time, ..Forks::all_at_genesis() };
        ChainSpec {
            chain_id,
            forks,
            clique: None,
            terminal_total_difficulty: None,
            has_msnet_section: false,
            finality: false,
            zero_base_fee: false,
        }
    }

    #[test]
    fn forks_that_are_not_reached_may_move() {
        let check = |have: (Option<u64>, Option<u64>, u64), want: (_, _, u64), number, time| {
            let (have, want) = (spec(have.0, have.1, have.2), spec(want.0, want.1, want.2));
            check_compatible(&have, &want, number, time).map_err(|error| error.to_string())
        };
        let old = (Some(100), Some(5_000), 7);
        assert_eq!(check(old, old, 1_000, 90_000), Ok(()));
        assert_eq!(check(old, (Some(120), Some(6_000), 7), 99, 4_999), Ok(()));
        assert_eq!(check(old, (None, None, 7), 99, 4_999), Ok(()));
        assert_eq!(check(old, (Some(3), None, 8), 0, 0), Ok(()), "no block was run yet");
        let text = |what| Err(format!("mismatching {what}"));
        assert_eq!(
            check(old, (Some(120), Some(5_000), 7), 100, 4_999),
            text(
                "Berlin fork block in database (have block 100, want block 120, rewindto block 99)"
            )
        );
        assert_eq!(
            check(old, (Some(50), Some(5_000), 7), 60, 4_999),
            text(
                "Berlin fork block in database (have block 100, want block 50, rewindto block 49)"
            )
        );
        assert_eq!(
            check(old, (Some(100), None, 7), 100, 5_000),
            text(
                "Cancun fork timestamp in database (have timestamp 5000, want timestamp nil, rewindto timestamp 4999)"
            )
        );
        assert_eq!(
            check(old, (Some(100), Some(5_000), 8), 100, 5_000),
            text("EIP158 chain ID in database (have block 0, want block 0, rewindto block 0)")
        );
    }
}
