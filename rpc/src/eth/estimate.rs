//! `eth_estimateGas`: the least gas limit that suffices, within 1.5 %, and always enough.

use alloy_primitives::{KECCAK256_EMPTY, U256};
use chain::{
    blockchain::ExecutedBlock,
    error::ChainError,
    executor::call::{CallOutcome, CallStatus},
};
use revm::primitives::hardfork::SpecId;

use crate::{
    block_id::BlockId,
    context::Context,
    debug::hooks::deadline,
    error::RpcError,
    eth::{
        call::{Scene, pending_of},
        request::{BlockOverride, CallObject, Overrides},
    },
    limits,
};

/// Gas of a transaction that does nothing but move value.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value gives its callee for free.
const CALL_STIPEND: u64 = 2_300;
/// The search ends when high and low end are less than 15/1000 of the high end apart.
const TOLERANCE: (u64, u64) = (15, 1_000);

/// Estimates the gas limit of a call on top of a block.
///
/// # Errors
/// Those of the call itself, and `gas required exceeds allowance (N)` if no allowed limit is
/// enough.
pub fn estimate(
    context: &Context,
    call: &CallObject,
    id: BlockId,
    state: &Overrides,
    header: &BlockOverride,
) -> Result<u64, RpcError> {
    let block = id.state_block(context)?;
    let pending = pending_of(context, id)?;
    let (block_hash, until) = (block.block.hash(), deadline(context, None));
    let scene = Scene { context, block: block_hash, pending, call, state, header, until };
    let cap = highest(&scene, &block)?;
    if is_plain_transfer(&scene)? && cap >= TRANSFER_GAS && is_enough(&scene, TRANSFER_GAS)? {
        return Ok(TRANSFER_GAS);
    }
    let outcome = match scene.run(cap) {
        Ok(outcome) => outcome,
        Err(error) if is_intrinsic(&error) => return Err(exceeds(cap)),
        Err(ChainError::CallRefused { reason }) => {
            return Err(RpcError::Server(format!("failed with {cap} gas: {reason}")));
        }
        Err(error) => return Err(error.into()),
    };
    match outcome.status {
        CallStatus::Success => {}
        CallStatus::Stopped => return Err(scene.late()),
        CallStatus::OutOfGas if scene.fault(cap)? == "out of gas" => return Err(exceeds(cap)),
        _ => return Err(scene.failure(cap, outcome)?),
    }
    let CallOutcome { gas_used, gas_refunded, .. } = outcome;
    bisect(gas_used, gas_refunded, cap, |gas| is_enough(&scene, gas))
}

fn exceeds(cap: u64) -> RpcError {
    RpcError::Server(format!("gas required exceeds allowance ({cap})"))
}

/// The greatest limit worth trying: what the caller allows, this node runs, the rules permit, and
/// the caller can pay.
fn highest(scene: &Scene<'_>, block: &ExecutedBlock) -> Result<u64, RpcError> {
    let header = block.block.header();
    let mut cap = match scene.call.gas {
        None => scene.context.limits.call_gas,
        Some(gas) if gas < TRANSFER_GAS => header.gas_limit,
        Some(gas) => gas,
    };
    cap = cap.min(scene.context.limits.call_gas);
    let spec = scene.context.spec();
    if spec.spec_id(header.number + 1, header.timestamp).is_enabled_in(SpecId::OSAKA) {
        cap = cap.min(limits::OSAKA_TX_GAS);
    }
    match scene.call.named_price() {
        None | Some(0) => Ok(cap),
        Some(price) => Ok(cap.min(affordable(scene, price)?)),
    }
}

fn affordable(scene: &Scene<'_>, price: u128) -> Result<u64, RpcError> {
    let from = scene.call.from.unwrap_or_default();
    let overridden = scene.state.0.get(&from).and_then(|account| account.balance);
    let balance = match overridden {
        Some(balance) => balance,
        None => {
            let account = scene.account(from)?;
            account.map_or(U256::ZERO, |account| account.balance)
        }
    };
    let value = scene.call.value.unwrap_or_default();
    match balance.checked_sub(value) {
        Some(rest) if rest > U256::ZERO => {
            Ok(u64::try_from(rest / U256::from(price)).unwrap_or(u64::MAX))
        }
        _ => Err(RpcError::Server("insufficient funds for transfer".to_owned())),
    }
}

/// True for a call without data to an account without code.
fn is_plain_transfer(scene: &Scene<'_>) -> Result<bool, RpcError> {
    let Some(to) = scene.call.to.filter(|_| scene.call.data.is_empty()) else { return Ok(false) };
    if scene.state.0.get(&to).is_some_and(|account| account.code.is_some()) {
        return Ok(false);
    }
    let account = scene.account(to)?;
    Ok(account.is_none_or(|account| account.code_hash == KECCAK256_EMPTY))
}

/// True if the call succeeds with this limit.
fn is_enough(scene: &Scene<'_>, gas: u64) -> Result<bool, RpcError> {
    match scene.run(gas) {
        Ok(CallOutcome { status: CallStatus::Stopped, .. }) => Err(scene.late()),
        Ok(outcome) => Ok(outcome.status == CallStatus::Success),
        Err(ChainError::CallRefused { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_intrinsic(error: &ChainError) -> bool {
    matches!(error, ChainError::CallRefused { reason } if reason.starts_with("intrinsic gas too low"))
}

/// Narrows down to the least limit for which `is_enough` holds, given a run at `high` that used and
/// refunded this much.
///
/// Inner calls get 63/64 of what is left, so the first guess adds that share and a stipend; most
/// calls need no more than a step or two from there. The answer itself was tried, or is `high`.
fn bisect(
    gas_used: u64,
    gas_refunded: u64,
    mut high: u64,
    mut is_enough: impl FnMut(u64) -> Result<bool, RpcError>,
) -> Result<u64, RpcError> {
    let mut low = gas_used.saturating_sub(1);
    let guess = gas_used.saturating_add(gas_refunded).saturating_add(CALL_STIPEND);
    let guess = guess.saturating_mul(64) / 63;
    if guess < high {
        if is_enough(guess)? { high = guess } else { low = guess }
    }
    let (part, whole) = TOLERANCE;
    while low + 1 < high && (high - low).saturating_mul(whole) >= high.saturating_mul(part) {
        // Most limits lie near the low end, so no step goes beyond twice of it.
        let middle =
            (high / 2 + low / 2 + (high % 2 + low % 2) / 2).min(low.saturating_mul(2).max(low + 1));
        if is_enough(middle)? { high = middle } else { low = middle }
    }
    Ok(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_enough_and_close() {
        for needed in [21_000_u64, 21_001, 43_210, 1_000_000, 49_999_999, 50_000_000] {
            for used in [needed / 2, needed * 9 / 10, needed] {
                let mut runs = 0;
                let answer = bisect(used, 0, 50_000_000, |gas| {
                    runs += 1;
                    Ok(gas >= needed)
                })
                .expect("no run fails");
                assert!(answer >= needed, "{needed} {used}: {answer}");
                let bound = (needed + needed / 50 + CALL_STIPEND + used / 60).min(50_000_000);
                assert!(answer <= bound, "{needed} {used}: {answer}");
                assert!(runs < 30, "{runs} runs");
            }
        }
    }
}
