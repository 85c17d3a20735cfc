//! Numbers and times of simulated blocks: ascending, gaps filled with empty blocks.

use chain::replay::Rules;

use super::{coded, request::BlockCalls};
use crate::{context::Context, error::RpcError, limits};

/// Seconds between blocks after the merge.
const SLOT_SECS: u64 = 12;
/// Code of numbers out of order.
const NUMBER_ORDER: i32 = -38020;
/// Code of times out of order.
const TIME_ORDER: i32 = -38021;
/// Code of too many blocks.
const TOO_MANY: i32 = -38026;

/// Seconds between blocks that name no time: the period, at least one.
pub fn step(context: &Context) -> u64 {
    match context.chain().rules() {
        Rules::Replay(_) => SLOT_SECS,
        Rules::Clique => context.spec().clique.map_or(1, |clique| clique.period_secs).max(1),
    }
}

/// The blocks with their numbers and times, those between them included.
///
/// # Errors
/// -38020, -38021, -38026.
pub fn complete(
    asked: &[BlockCalls],
    base_number: u64,
    base_time: u64,
    step: u64,
) -> Result<Vec<BlockCalls>, RpcError> {
    if asked.is_empty() {
        return Err(RpcError::Params("empty input".to_owned()));
    }
    let too_many = || coded(TOO_MANY, "too many blocks".to_owned());
    if asked.len() as u64 > limits::SIMULATE_BLOCKS {
        return Err(too_many());
    }
    let (mut number, mut time, mut out) = (base_number, base_time, Vec::new());
    for block in asked {
        let next = block.header.number.unwrap_or(number.saturating_add(1));
        if next <= number {
            let text = format!("block numbers must be in order: {next} <= {number}");
            return Err(coded(NUMBER_ORDER, text));
        }
        if next - base_number > limits::SIMULATE_BLOCKS {
            return Err(too_many());
        }
        while number + 1 < next {
            number += 1;
            time = time.saturating_add(step);
            let mut between = BlockCalls::default();
            (between.header.number, between.header.time) = (Some(number), Some(time));
            out.push(between);
        }
        number = next;
        let at = block.header.time.unwrap_or(time.saturating_add(step));
        if at <= time {
            let text = format!("block timestamps must be in order: {at} <= {time}");
            return Err(coded(TIME_ORDER, text));
        }
        time = at;
        let mut block = block.clone();
        (block.header.number, block.header.time) = (Some(number), Some(time));
        out.push(block);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: Option<u64>, time: Option<u64>) -> BlockCalls {
        let mut block = BlockCalls::default();
        (block.header.number, block.header.time) = (number, time);
        block
    }

    fn check(blocks: &[BlockCalls], expected: Result<&[(u64, u64)], i32>) {
        let have = complete(blocks, 10, 100, 12);
        let have = have.map_err(|error| error.code()).map(|blocks| {
            let pair = |block: &BlockCalls| {
                (block.header.number.expect("set"), block.header.time.expect("set"))
            };
            blocks.iter().map(pair).collect::<Vec<_>>()
        });
        assert_eq!(have, expected.map(<[_]>::to_vec));
    }

    #[test]
    fn gaps_are_filled_and_order_is_kept() {
        check(&[block(None, None), block(None, None)], Ok(&[(11, 112), (12, 124)]));
        check(&[block(Some(13), None)], Ok(&[(11, 112), (12, 124), (13, 136)]));
        check(&[block(Some(10), None)], Err(NUMBER_ORDER));
        check(&[block(Some(12), Some(112))], Err(TIME_ORDER));
        check(&[block(Some(12), Some(113))], Ok(&[(11, 112), (12, 113)]));
        check(&[block(Some(267), None)], Err(TOO_MANY));
        check(&[], Err(-32602));
    }
}
