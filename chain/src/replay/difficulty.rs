//! The difficulty of a proof-of-work block by the formula of its fork.

use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::U256;

use super::{ReplayRules, is_constantinople};
use crate::{block::Header, spec::ChainSpec};

/// Least difficulty (Yellow Paper, D₀).
const MIN_DIFFICULTY: u64 = 131_072;
/// Difficulty moves in steps of the parent's divided by this.
const BOUND_DIVISOR: u64 = 2_048;
/// A Frontier block faster than this raises difficulty, seconds.
const FRONTIER_DURATION_SECS: u64 = 13;
/// The bomb doubles every so many blocks.
const BOMB_PERIOD_BLOCKS: u64 = 100_000;
/// No step down is greater than so many parts.
const MAX_STEPS_DOWN: u64 = 99;

/// The difficulty that the block after `parent` must have at `timestamp`.
pub(super) fn next_difficulty(
    rules: &ReplayRules,
    spec: &ChainSpec,
    parent: &Header,
    timestamp: u64,
) -> U256 {
    let number = parent.number.saturating_add(1);
    let from = |fork: Option<u64>| fork.is_some_and(|at| at <= number);
    let step = parent.difficulty / U256::from(BOUND_DIVISOR);
    let passed = timestamp.saturating_sub(parent.timestamp);
    if !from(spec.forks.homestead) {
        let is_fast = passed < FRONTIER_DURATION_SECS;
        let next = if is_fast {
            parent.difficulty.saturating_add(step)
        } else {
            parent.difficulty.saturating_sub(step)
        };
        return at_least_minimum(at_least_minimum(next).saturating_add(bomb(number)));
    }
    if !from(spec.forks.byzantium) {
        let next = adjust(parent.difficulty, step, 1, passed / 10);
        return next.saturating_add(bomb(number));
    }
    // EIP-100: a parent with uncles counts as faster
    let up = if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH { 1 } else { 2 };
    let next = adjust(parent.difficulty, step, up, passed / 9);
    let delay = bomb_delay(rules, spec, number);
    next.saturating_add(bomb(number.saturating_sub(delay)))
}

/// `difficulty + step · max(up − slots, −99)`, at least the minimum.
fn adjust(difficulty: U256, step: U256, up: u64, slots: u64) -> U256 {
    let next = if slots <= up {
        difficulty.saturating_add(step.saturating_mul(U256::from(up.saturating_sub(slots))))
    } else {
        let down = slots.saturating_sub(up).min(MAX_STEPS_DOWN);
        difficulty.saturating_sub(step.saturating_mul(U256::from(down)))
    };
    at_least_minimum(next)
}

fn at_least_minimum(difficulty: U256) -> U256 {
    difficulty.max(U256::from(MIN_DIFFICULTY))
}

/// 2^(period − 2) from the second period on.
fn bomb(number: u64) -> U256 {
    let period = number / BOMB_PERIOD_BLOCKS;
    if period < 2 {
        return U256::ZERO;
    }
    let exponent = usize::try_from(period.saturating_sub(2)).unwrap_or(usize::MAX);
    if exponent < 256 { U256::ONE << exponent } else { U256::MAX }
}

/// Blocks by which the bomb is put off.
fn bomb_delay(rules: &ReplayRules, spec: &ChainSpec, number: u64) -> u64 {
    let from = |fork: Option<u64>| fork.is_some_and(|at| at <= number);
    let newest_first = [
        (from(rules.gray_glacier), 11_400_000),
        (from(rules.arrow_glacier), 10_700_000),
        (from(spec.forks.london), 9_700_000),
        (from(rules.muir_glacier), 9_000_000),
        (is_constantinople(spec, number), 5_000_000),
    ];
    newest_first
        .into_iter()
        .find_map(|(active, delay)| active.then_some(delay))
        .unwrap_or(3_000_000)
}
