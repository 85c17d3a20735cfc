//! What gas costs: the next base fee, a tip that gets in, and the past of both.
//!
//! *tip* is the 60th percentile of the three lowest effective tips of each of the last 20 blocks,
//! tips under 2 wei left out, within the floor of this node and 500 gwei (geth's oracle). On a
//! network whose price is zero everything is `0x0`.

use alloy_primitives::Address;
use chain::{block::Header, blockchain::ExecutedBlock, replay::Rules, validate::next_base_fee};
use revm::primitives::hardfork::SpecId;
use serde_json::{Value, json};

use crate::{
    block_id::BlockNumber,
    context::Context,
    error::{RpcError, RpcResult},
    eth::transaction::effective_gas_price,
    limits,
    param::{Args, Flaw, Param},
    render::quantity,
};

/// Blocks the tip is sampled from.
const SAMPLE_BLOCKS: u64 = 20;
/// Tips taken from each of them, lowest first.
const SAMPLES_PER_BLOCK: usize = 3;
/// Tips below are left out: a signer may include its own for nothing.
const LEAST_SAMPLE: u128 = 2;
/// Percentile of the samples.
const PERCENTILE: usize = 60;
/// Greatest tip that is suggested, 500 gwei.
const GREATEST_TIP: u128 = 500_000_000_000;

/// Base fee of the block after this one; 0 before London.
pub fn next_base_fee_of(context: &Context, block: &ExecutedBlock) -> u64 {
    next_base_fee(context.spec(), block.block.header()).unwrap_or(0)
}

/// Tip that gets a transaction into one of the next blocks, as recent blocks tell.
///
/// # Errors
/// What reading blocks may fail with.
pub fn suggest_tip(context: &Context) -> Result<u128, RpcError> {
    if context.spec().zero_base_fee {
        return Ok(0);
    }
    let head = context.chain().head().block.header().number;
    let mut samples = Vec::new();
    for number in (1..=head).rev().take(usize::try_from(SAMPLE_BLOCKS).unwrap_or(usize::MAX)) {
        let Some(block) = context.chain().block_by_number(number)? else { continue };
        let mut tips: Vec<u128> =
            effective_tips(&block, Some(block.signer)).filter(|tip| *tip >= LEAST_SAMPLE).collect();
        tips.sort_unstable();
        samples.extend(tips.into_iter().take(SAMPLES_PER_BLOCK));
    }
    samples.sort_unstable();
    let at = samples.len().saturating_sub(1) * PERCENTILE / 100;
    let sample = samples.get(at).copied().unwrap_or(0);
    Ok(sample.max(context.node.gas_price_floor()).min(GREATEST_TIP))
}

/// What each transaction pays a unit of gas beyond the base fee, those of `except` left out.
fn effective_tips(block: &ExecutedBlock, except: Option<Address>) -> impl Iterator<Item = u128> {
    let base_fee = block.block.header().base_fee_per_gas;
    let body = block.block.body().transactions.iter().zip(block.block.senders());
    body.filter(move |(_, sender)| Some(**sender) != except).map(move |(transaction, _)| {
        effective_gas_price(transaction, base_fee).saturating_sub(base_fee.unwrap_or(0).into())
    })
}

/// `eth_gasPrice`: tip and twice the next base fee, since wallets use it as the cap of both.
pub fn gas_price(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(quantity(suggest_gas_price(context)?))
}

/// The price of a transaction that names none.
///
/// # Errors
/// What reading blocks may fail with.
pub fn suggest_gas_price(context: &Context) -> Result<u128, RpcError> {
    let base_fee = next_base_fee_of(context, &context.chain().head());
    Ok(suggest_tip(context)?.saturating_add(u128::from(base_fee) * 2))
}

/// `eth_maxPriorityFeePerGas`.
pub fn max_priority_fee(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(quantity(suggest_tip(context)?))
}

/// `eth_baseFee`: of the next block.
pub fn base_fee(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(quantity(next_base_fee_of(context, &context.chain().head())))
}

/// `eth_blobBaseFee`: of the next block; 0 on Clique chains, where there are no blobs.
pub fn blob_base_fee(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(quantity(next_blob_price(context, context.chain().head().block.header())))
}

/// Wei a unit of blob gas costs in a block; 0 where there are no blobs.
pub fn blob_price(context: &Context, header: &Header) -> u128 {
    let Rules::Replay(rules) = context.chain().rules() else { return 0 };
    let params = rules.blob_params(header.timestamp);
    params.zip(header.excess_blob_gas).map_or(0, |(params, excess)| params.calc_blob_fee(excess))
}

/// As [`blob_price`], in the block after.
fn next_blob_price(context: &Context, header: &Header) -> u128 {
    let Rules::Replay(rules) = context.chain().rules() else { return 0 };
    let params = rules.blob_params(header.timestamp);
    let next = params.and_then(|params| Some((params, header.next_block_excess_blob_gas(params)?)));
    next.map_or(0, |(params, excess)| params.calc_blob_fee(excess))
}

/// Share of a block's room for blobs that it used.
#[expect(clippy::cast_precision_loss, reason = "a ratio for eyes and charts, as in every client")]
fn blob_ratio(context: &Context, header: &Header) -> f64 {
    let Rules::Replay(rules) = context.chain().rules() else { return 0.0 };
    let params = rules.blob_params(header.timestamp);
    match params.zip(header.blob_gas_used) {
        Some((params, used)) if params.max_blob_gas_per_block() > 0 => {
            used as f64 / params.max_blob_gas_per_block() as f64
        }
        _ => 0.0,
    }
}

/// Number of blocks: a quantity, or a JSON integer as some clients send it.
#[derive(Debug, Clone, Copy)]
struct BlockCount(u64);

impl Param for BlockCount {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let invalid = || Flaw::from(format!("invalid hex or decimal integer {value}"));
        match value {
            Value::Number(number) => number.as_u64().map(Self).ok_or_else(invalid),
            Value::String(text) if text.starts_with("0x") => u64::from_json(value).map(Self),
            _ => Err(invalid()),
        }
    }
}

/// Percentiles, 0 to 100, ascending.
#[derive(Debug, Clone, Default)]
struct Percentiles(Vec<f64>);

impl Param for Percentiles {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let list = match value {
            Value::Null => return Ok(Self::default()),
            Value::Array(list) => list,
            _ => return Err("non-array".into()),
        };
        let numbers = list.iter().map(|value| value.as_f64().ok_or("non-number".into()));
        numbers.collect::<Result<_, Flaw>>().map(Self)
    }
}

impl Percentiles {
    fn validate(&self) -> Result<(), RpcError> {
        if self.0.len() > limits::FEE_HISTORY_PERCENTILES {
            let max = limits::FEE_HISTORY_PERCENTILES;
            return Err(RpcError::Server(format!(
                "over the query limit {max} of reward percentiles"
            )));
        }
        for (index, percentile) in self.0.iter().enumerate() {
            let invalid =
                |text| Err(RpcError::Server(format!("invalid reward percentile: {text}")));
            if !(0.0..=100.0).contains(percentile) {
                return invalid(format!("{percentile:.6}"));
            }
            let before = index.checked_sub(1).map(|before| (before, self.0[before]));
            if let Some((before, lower)) = before.filter(|(_, lower)| lower >= percentile) {
                return invalid(format!("#{before}:{lower:.6} >= #{index}:{percentile:.6}"));
            }
        }
        Ok(())
    }
}

/// `eth_feeHistory`.
pub fn history(context: &Context, args: &Args) -> RpcResult {
    let (BlockCount(count), newest, percentiles): (BlockCount, BlockNumber, Percentiles) =
        args.read()?;
    percentiles.validate()?;
    if count == 0 {
        return Ok(json!({"oldestBlock": "0x0", "baseFeePerGas": [], "gasUsedRatio": []}));
    }
    let head = context.chain().head().block.header().number;
    let Some(newest) = newest.block(context)? else {
        let asked = match newest {
            BlockNumber::Number(number) => number,
            _ => head,
        };
        let text = format!("request beyond head block: requested {asked}, head {head}");
        return Err(RpcError::Server(text));
    };
    let newest = newest.block.header().number;
    let count = count.min(limits::FEE_HISTORY_BLOCKS).min(newest + 1);
    render_history(context, newest + 1 - count, newest, &percentiles.0)
}

fn render_history(context: &Context, oldest: u64, newest: u64, percentiles: &[f64]) -> RpcResult {
    let (mut base_fees, mut ratios, mut rewards) = (Vec::new(), Vec::new(), Vec::new());
    let (mut blob_fees, mut blob_ratios) = (Vec::new(), Vec::new());
    for number in oldest..=newest {
        let Some(block) = context.chain().block_by_number(number)? else {
            return Err(RpcError::header_not_found());
        };
        let header = block.block.header();
        base_fees.push(quantity(header.base_fee_per_gas.unwrap_or(0)));
        ratios.push(render_ratio(ratio(header.gas_used, header.gas_limit)));
        rewards.push(Value::Array(rewards_of(&block, percentiles)));
        blob_fees.push(quantity(blob_price(context, header)));
        blob_ratios.push(render_ratio(blob_ratio(context, header)));
        if number == newest {
            blob_fees.push(quantity(next_blob_price(context, header)));
            base_fees.push(quantity(next_base_fee_of(context, &block)));
        }
    }
    let mut out = json!({
        "oldestBlock": quantity(oldest),
        "baseFeePerGas": base_fees,
        "gasUsedRatio": ratios,
    });
    if !percentiles.is_empty() {
        out["reward"] = Value::Array(rewards);
    }
    let head = context.chain().head();
    let header = head.block.header();
    let has_blob_rows =
        context.spec().spec_id(header.number, header.timestamp).is_enabled_in(SpecId::CANCUN);
    if has_blob_rows || context.voice().is_standard() {
        out["baseFeePerBlobGas"] = Value::Array(blob_fees);
        out["blobGasUsedRatio"] = Value::Array(blob_ratios);
    }
    Ok(out)
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for eyes and charts, as in every client")]
fn ratio(used: u64, limit: u64) -> f64 {
    if limit == 0 { 0.0 } else { used as f64 / limit as f64 }
}

/// Whole numbers without a point, as other clients write them.
fn render_ratio(ratio: f64) -> Value {
    if ratio == 0.0 {
        json!(0)
    } else if ratio == 1.0 {
        json!(1)
    } else {
        json!(ratio)
    }
}

/// The tips at these percentiles of the block's gas, lowest tips first; zeros for an empty block.
fn rewards_of(block: &ExecutedBlock, percentiles: &[f64]) -> Vec<Value> {
    let cumulative: Vec<u64> =
        block.receipts.iter().map(|receipt| receipt.cumulative_gas_used).collect();
    let gas = |i: usize| cumulative[i] - i.checked_sub(1).map_or(0, |before| cumulative[before]);
    let mut tips: Vec<(u128, u64)> =
        effective_tips(block, None).enumerate().map(|(i, tip)| (tip, gas(i))).collect();
    tips.sort_unstable();
    let at = |percentile: &f64| {
        let threshold = gas_share(block.block.header().gas_used, *percentile);
        let mut sum = 0;
        let reached = tips.iter().find(|(_, gas)| {
            sum += gas;
            sum >= threshold
        });
        quantity(reached.or(tips.last()).map_or(0, |(tip, _)| *tip))
    };
    percentiles.iter().map(at).collect()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "geth computes the threshold in floating point too; both ends are within u64"
)]
fn gas_share(gas_used: u64, percentile: f64) -> u64 {
    (gas_used as f64 * percentile / 100.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_ascend() {
        let check = |list: Value| {
            let percentiles = Percentiles::from_json(&list).expect("numbers");
            percentiles.validate().map_err(|error| error.to_string())
        };
        assert_eq!(check(json!([])), Ok(()));
        assert_eq!(check(json!([0, 12.5, 100])), Ok(()));
        assert_eq!(check(json!([101])), Err("invalid reward percentile: 101.000000".to_owned()));
        assert_eq!(
            check(json!([50, 10])),
            Err("invalid reward percentile: #0:50.000000 >= #1:10.000000".to_owned())
        );
    }

    #[test]
    fn counts_may_be_integers() {
        for value in [json!(4), json!("0x4")] {
            assert!(matches!(BlockCount::from_json(&value), Ok(BlockCount(4))), "{value}");
        }
        assert!(BlockCount::from_json(&json!(-1)).is_err());
        assert!(BlockCount::from_json(&json!("4")).is_err());
    }
}
