//! Credibility, credits and quota in Q64, bit-equal to `contracts/libraries/Score.sol` and `Incentives.sol`.
//!
//! A value is an integer over 2⁶⁴; every product and quotient rounds down unless said (`contracts.md` section 7). Both
//! languages run `test/vectors/contracts/score.json`.

use alloy_primitives::U256;

/// 1 in Q64.
pub const ONE: u128 = 1 << 64;
/// Seconds in which a weight halves: 180 days.
pub const HALF_LIFE_SECS: u64 = 15_552_000;
/// Most live positive weight from one counterparty, and from one group: 8.
pub const PAIR_CAP: u128 = 8 << 64;
/// Where R and S stop growing: 2¹⁶ − 2⁻⁶⁴.
pub const MAX_SUM: u128 = (1 << 80) - 1;

/// Weight of the prior: 2.
const PRIOR_WEIGHT: u128 = 2 << 64;
/// Capped positive weight is a multiple of 2⁻²⁰.
const STEP: u128 = 1 << 44;
/// ln 2, rounded to nearest.
const LN2: u128 = 12_786_308_645_202_655_660;
/// c_k = round(2⁶⁴·2^(−2^−k)) for k = 1 … 32.
const FACTORS: [u128; 32] = [
    13_043_817_825_332_782_212,
    15_511_800_964_685_064_948,
    16_915_738_899_553_466_671,
    17_664_662_643_191_237_676,
    18_051_468_387_014_017_850,
    18_248_035_989_933_441_397,
    18_347_121_020_861_646_924,
    18_396_865_112_328_554_661,
    18_421_787_711_448_657_618,
    18_434_261_669_329_232_140,
    18_440_501_815_349_552_982,
    18_443_622_680_442_407_998,
    18_445_183_311_048_607_332,
    18_445_963_675_871_538_004,
    18_446_353_870_663_572_145,
    18_446_548_971_154_807_802,
    18_446_646_522_174_239_825,
    18_446_695_297_877_410_579,
    18_446_719_685_777_359_791,
    18_446_731_879_739_425_374,
    18_446_737_976_723_480_912,
    18_446_741_025_216_264_368,
    18_446_742_549_462_845_018,
    18_446_743_311_586_182_574,
    18_446_743_692_647_863_159,
    18_446_743_883_178_706_404,
    18_446_743_978_444_128_764,
    18_446_744_026_076_840_128,
    18_446_744_049_893_195_857,
    18_446_744_061_801_373_733,
    18_446_744_067_755_462_673,
    18_446_744_070_732_507_144,
];

/// Kinds of events.
pub mod kind {
    /// A delivery or result was accepted: +1.
    pub const ACCEPTED: u8 = 1;
    /// An answer came in time: +¼.
    pub const TIMELY: u8 = 2;
    /// An answer or acknowledgement did not come: −½.
    pub const LATE: u8 = 3;
    /// A contract established a fault: −3.
    pub const RULE_FAULT: u8 = 4;
    /// A complaint was upheld as minor: −3.
    pub const MINOR: u8 = 5;
    /// A complaint was upheld as major: −10.
    pub const MAJOR: u8 = 6;
    /// A complaint was upheld as critical: −30.
    pub const CRITICAL: u8 = 7;
    /// A complaint was abusive: −2.
    pub const FALSE_COMPLAINT: u8 = 8;
    /// Emergency access was unjustified or never reported: −10.
    pub const BREAK_GLASS: u8 = 9;
}

/// Size of an event's weight; 0 for a kind without a meaning.
pub const fn weight_of(kind: u8) -> u128 {
    match kind {
        kind::ACCEPTED => ONE,
        kind::TIMELY => ONE / 4,
        kind::LATE => ONE / 2,
        kind::RULE_FAULT | kind::MINOR => 3 * ONE,
        kind::MAJOR | kind::BREAK_GLASS => 10 * ONE,
        kind::CRITICAL => 30 * ONE,
        kind::FALSE_COMPLAINT => 2 * ONE,
        _ => 0,
    }
}

/// Whether events of this kind add to R; the others add to S.
pub const fn is_positive(kind: u8) -> bool {
    matches!(kind, kind::ACCEPTED | kind::TIMELY)
}

/// What is left of 1 after so many seconds.
pub fn decay(elapsed_secs: u64) -> u128 {
    let halvings = elapsed_secs / HALF_LIFE_SECS;
    if halvings >= 64 {
        return 0;
    }
    let x = (u128::from(elapsed_secs % HALF_LIFE_SECS) << 64) / u128::from(HALF_LIFE_SECS);
    // f ≤ 2⁶⁴ and c_k < 2⁶⁴: no product reaches 2¹²⁸
    let coarse = FACTORS
        .iter()
        .enumerate()
        .filter(|(k, _)| (x >> (63 - k)) & 1 == 1)
        .fold(ONE, |f, (_, factor)| scale(f, *factor));
    (coarse - scale(coarse, ((x & 0xffff_ffff) * LN2) >> 64)) >> halvings
}

/// `value·factor`, rounded down.
pub fn scale(value: u128, factor: u128) -> u128 {
    let product: U256 = U256::from(value) * U256::from(factor);
    let shifted: U256 = product >> 64_usize;
    shifted.to::<u128>()
}

/// The part of a positive weight that one counterparty, and one group (0 if it has none), may still give.
pub fn capped(weight: u128, pair_sum: u128, pool_sum: u128) -> u128 {
    let allowed = weight.min(PAIR_CAP.saturating_sub(pair_sum.max(pool_sum)));
    allowed - allowed % STEP
}

/// `sum + weight`, stopping at [`MAX_SUM`].
pub fn grown(sum: u128, weight: u128) -> u128 {
    (sum + weight).min(MAX_SUM)
}

/// Mean of the prior by tier, in basis points.
pub const fn prior_bps(tier: u8) -> u16 {
    match tier {
        2 => 5000,
        3 => 6000,
        _ => 3000,
    }
}

/// Mean and lower bound of a score from decayed sums.
pub fn estimate(r: u128, s: u128, prior_bps: u16) -> (u128, u128) {
    let q64 = |value: U256| -> U256 { value << 64_usize };
    let (one, total) = (U256::from(ONE), U256::from(r + s + PRIOR_WEIGHT));
    let good = U256::from(r + PRIOR_WEIGHT * u128::from(prior_bps) / 10_000);
    let mean: U256 = q64(good) / total;
    let variance: U256 = q64(mean * (one - mean)) / (total + one);
    (mean.to::<u128>(), mean.saturating_sub(variance.root(2)).to::<u128>())
}

/// Basis points of a Q64 value in 0…1, rounded to nearest.
pub fn to_bps(value: u128) -> u16 {
    u16::try_from((value * 10_000 + (1 << 63)) >> 64)
        .expect("at most 10 000 for a value of at most 1")
}

/// µcredits that a use earns before the pair's cap: `n` earlier accruals of the pair in this epoch.
pub fn worth_micro(base_micro: u64, quality: u8, novelty: u8, n: u64) -> u64 {
    let amount = u128::from(base_micro)
        * (5000 + 2000 * u128::from(quality))
        * (1000 + 900 * u128::from(novelty))
        * 10
        / (100_000_000 * (10 + u128::from(n)));
    u64::try_from(amount).expect("at most one and a half times the base")
}

/// A balance after so many epochs: a tenth less each time.
pub fn decayed_micro(balance_micro: u64, epochs: u64) -> u64 {
    if epochs > 64 {
        return 0;
    }
    (0..epochs).fold(balance_micro, |balance, _| {
        u64::try_from(u128::from(balance) * 9 / 10).expect("less than before")
    })
}

/// Units of the quota bucket that a request costs.
pub const fn request_cost(lcb_bps: u16, quota_cut: bool) -> u64 {
    let factor = if quota_cut { 2500 } else { 2500 + lcb_bps as u64 * 7 / 4 };
    10_000_000_u64.div_ceil(factor)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        let text = include_str!("../../test/vectors/contracts/score.json");
        serde_json::from_str(text).expect("the shared vectors read")
    }

    fn rows<'a>(all: &'a Value, key: &str) -> &'a [Value] {
        all[key].as_array().expect("a list")
    }

    fn q64(value: &Value) -> u128 {
        let text = value.as_str().and_then(|text| text.strip_prefix("0x")).expect("hex");
        u128::from_str_radix(text, 16).expect("hex")
    }

    fn number<T: TryFrom<u64>>(value: &Value) -> T {
        value.as_u64().and_then(|number| T::try_from(number).ok()).expect("a number in range")
    }

    #[test]
    fn decays() {
        let all = vectors();
        for row in rows(&all, "decay") {
            assert_eq!(decay(number(&row["elapsed_secs"])), q64(&row["factor"]), "{row}");
        }
    }

    fn check_score(row: &Value, r: u128, s: u128) {
        let (mean, lcb) = estimate(r, s, number(&row["prior_bps"]));
        assert_eq!((mean, lcb), (q64(&row["mean"]), q64(&row["lcb"])), "{row}");
        let bps = (number::<u16>(&row["mean_bps"]), number::<u16>(&row["lcb_bps"]));
        assert_eq!((to_bps(mean), to_bps(lcb)), bps, "{row}");
    }

    #[test]
    fn scores() {
        let all = vectors();
        for row in rows(&all, "score") {
            check_score(row, q64(&row["r"]), q64(&row["s"]));
        }
    }

    /// Whole histories, with the shares of counterparties and of their groups.
    #[test]
    fn sequences() {
        let all = vectors();
        for row in rows(&all, "sequences") {
            let (mut r, mut s, mut last) = (0_u128, 0_u128, 0_u64);
            let mut shares = BTreeMap::<(bool, u64), (u128, u64)>::new();
            for step in rows(row, "steps") {
                let (at, kind): (u64, u8) = (number(&step["at_secs"]), number(&step["kind"]));
                let (peer, group): (u64, u64) =
                    (number(&step["counterparty"]), number(&step["group"]));
                let mut weight = weight_of(kind);
                if is_positive(kind) {
                    let live = |share: Option<&(u128, u64)>| {
                        share.map_or(0, |(sum, since)| scale(*sum, decay(at - since)))
                    };
                    let pair = live(shares.get(&(false, peer)));
                    let pool = if group == 0 { 0 } else { live(shares.get(&(true, group))) };
                    weight = capped(weight, pair, pool);
                    shares.insert((false, peer), (pair + weight, at));
                    if group != 0 {
                        shares.insert((true, group), (pool + weight, at));
                    }
                }
                let factor = decay(at - last);
                (r, s, last) = (scale(r, factor), scale(s, factor), at);
                if is_positive(kind) {
                    r = grown(r, weight);
                } else {
                    s = grown(s, weight);
                }
                assert_eq!(weight, q64(&step["weight"]), "{step}");
                assert_eq!((r, s), (q64(&step["r"]), q64(&step["s"])), "{step}");
            }
            let factor = decay(number::<u64>(&row["score_at_secs"]) - last);
            check_score(row, scale(r, factor), scale(s, factor));
        }
    }

    #[test]
    fn credits_and_quota() {
        let all = vectors();
        for row in rows(&all, "credits") {
            let base = if number::<u8>(&row["kind"]) == 2 { 20_000_000 } else { 10_000_000 };
            let amount = worth_micro(
                base,
                number(&row["quality"]),
                number(&row["novelty"]),
                number(&row["earlier"]),
            );
            assert_eq!(amount, number::<u64>(&row["amount_micro"]), "{row}");
        }
        let start = number(&all["credit_decay"]["balance_micro"]);
        let after = rows(&all["credit_decay"], "after_each_epoch_micro");
        for (epochs, want) in (1..).zip(after) {
            assert_eq!(decayed_micro(start, epochs), number::<u64>(want));
        }
        assert_eq!(decayed_micro(u64::MAX, 65), 0);
        for row in rows(&all, "quota") {
            let cost = request_cost(number(&row["lcb_bps"]), false);
            assert_eq!(cost, number::<u64>(&row["cost_units"]), "{row}");
            assert_eq!(40_000 / cost, number::<u64>(&row["requests_a_week"]), "{row}");
        }
        assert_eq!(request_cost(10_000, true), 4000);
    }
}
