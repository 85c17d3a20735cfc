// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title A score that forgets: a beta distribution with half-life, in fixed point.
/// @notice Numbers are Q64: an integer over 2^64. Every product and quotient rounds down. The Rust
/// twin `contracts/bindings/score.rs` gives the same bits; both run
/// `test/vectors/contracts/score.json`.
///
/// `R` and `S` are decayed sums of good and bad weight. With a prior of weight `W` and mean `a`:
///
///     M = R + S + W      C = (R + W·a) / M      LCB = C − √(C·(1 − C) / (M + 1))
///
/// `C` is the mean of Beta(R + W·a, S + W·(1 − a)), `LCB` one standard deviation below it.
library Score {
    /// @notice 1 in Q64.
    uint256 internal constant ONE = 1 << 64;

    /// @notice Half-life of all weight: 180 days of 86 400 s, on every network.
    uint256 internal constant HALF_LIFE_SECS = 15_552_000;

    /// @notice Weight of the prior: 2.
    uint256 internal constant PRIOR_WEIGHT = 2 << 64;

    /// @notice Most live positive weight from one counterparty, and from one group: 8.
    uint256 internal constant PAIR_CAP = 8 << 64;

    /// @notice Where R and S stop growing: 2^16 − 2^−64.
    uint256 internal constant MAX_SUM = (1 << 80) - 1;

    /// @dev Capped positive weight is a multiple of 2^-20: dust neither counts nor is stored.
    uint256 private constant STEP = 1 << 44;

    /// @dev ln 2 in Q64, rounded to nearest.
    uint256 private constant LN2 = 12_786_308_645_202_655_660;

    // ── kinds of events ──

    /// @notice A delivery or result was accepted: +1.
    uint8 internal constant ACCEPTED = 1;
    /// @notice An answer came in time: +¼.
    uint8 internal constant TIMELY = 2;
    /// @notice An answer or acknowledgement did not come: −½.
    uint8 internal constant LATE = 3;
    /// @notice A contract established a fault: −3.
    uint8 internal constant RULE_FAULT = 4;
    /// @notice A complaint was upheld as minor: −3.
    uint8 internal constant MINOR = 5;
    /// @notice A complaint was upheld as major: −10.
    uint8 internal constant MAJOR = 6;
    /// @notice A complaint was upheld as critical: −30.
    uint8 internal constant CRITICAL = 7;
    /// @notice A complaint was abusive: −2.
    uint8 internal constant FALSE_COMPLAINT = 8;
    /// @notice Emergency access was unjustified or never reported: −10.
    uint8 internal constant BREAK_GLASS = 9;

    /// @notice Size of an event's weight in Q64; 0 for a kind without a meaning.
    function weightOf(uint8 kind) internal pure returns (uint256) {
        if (kind == ACCEPTED) return ONE;
        if (kind == TIMELY) return ONE / 4;
        if (kind == LATE) return ONE / 2;
        if (kind == RULE_FAULT || kind == MINOR) return 3 * ONE;
        if (kind == MAJOR || kind == BREAK_GLASS) return 10 * ONE;
        if (kind == CRITICAL) return 30 * ONE;
        if (kind == FALSE_COMPLAINT) return 2 * ONE;
        return 0;
    }

    /// @notice Whether events of this kind add to R; the others add to S.
    function isPositive(uint8 kind) internal pure returns (bool) {
        return kind == ACCEPTED || kind == TIMELY;
    }

    /// @notice Mean of the prior in basis points: 3 000, 5 000, 6 000 for tier 1, 2, 3; a subject
    /// without a tier counts as unaccredited.
    function priorBps(uint8 tier) internal pure returns (uint256) {
        if (tier == 2) return 5000;
        if (tier == 3) return 6000;
        return 3000;
    }

    /// @notice What is left of 1 after `elapsed` seconds: 2^(−elapsed / half-life), in Q64.
    /// @dev The whole half-lives are a shift. The first 32 bits of the fraction multiply by
    /// c_k = round(2^64·2^(-2^-k)), the last 32 by 1 - x·ln 2, whose next term is below 2^-65.
    /// The error is below 2^-58.
    function decay(uint256 elapsed) internal pure returns (uint256 f) {
        uint256 halvings = elapsed / HALF_LIFE_SECS;
        if (halvings >= 64) return 0;
        uint256 x = ((elapsed % HALF_LIFE_SECS) << 64) / HALF_LIFE_SECS;
        // f ≤ 2^64 and c_k < 2^64, so no product reaches 2^129, and the subtrahend is below f.
        unchecked {
            f = _coarse(ONE, x);
            f -= ((((x & 0xffffffff) * LN2) >> 64) * f) >> 64;
        }
        return f >> halvings;
    }

    /// @notice `value·factor` in Q64.
    function scale(uint256 value, uint256 factor) internal pure returns (uint256) {
        return (value * factor) >> 64;
    }

    /// @notice The part of a positive weight that one counterparty and one group may still give.
    /// @param weight Wanted weight.
    /// @param pairSum Live weight from the same counterparty.
    /// @param poolSum Live weight from the same group; 0 if the counterparty has none.
    function capped(uint256 weight, uint256 pairSum, uint256 poolSum)
        internal
        pure
        returns (uint256)
    {
        uint256 room = Math.saturatingSub(PAIR_CAP, Math.max(pairSum, poolSum));
        uint256 allowed = Math.min(weight, room);
        return allowed - allowed % STEP;
    }

    /// @notice `sum + weight`, stopping at 2^16 − 2^−64.
    function grown(uint256 sum, uint256 weight) internal pure returns (uint256) {
        return Math.min(sum + weight, MAX_SUM);
    }

    /// @notice Mean and lower bound of a score.
    /// @param r Decayed good weight, at most `MAX_SUM`.
    /// @param s Decayed bad weight, at most `MAX_SUM`.
    /// @param bps Mean of the prior in basis points, at most 10 000.
    function estimate(uint256 r, uint256 s, uint256 bps)
        internal
        pure
        returns (uint256 mean, uint256 lcb)
    {
        uint256 total = r + s + PRIOR_WEIGHT;
        uint256 good = r + (PRIOR_WEIGHT * bps) / 10_000;
        // Each quotient rounds down to Q64, and the Rust twin rounds where this does.
        // slither-disable-next-line divide-before-multiply
        mean = (good << 64) / total;
        uint256 variance = ((mean * (ONE - mean)) << 64) / (total + ONE);
        lcb = Math.saturatingSub(mean, Math.sqrt(variance));
    }

    /// @notice Basis points of a Q64 value in 0…1, rounded to nearest.
    function toBps(uint256 value) internal pure returns (uint16) {
        // At most 10 000 for a value of at most 1.
        return uint16((value * 10_000 + (1 << 63)) >> 64);
    }

    /// @dev f·2^(−x) for the first 32 of x's 64 bits after the point.
    function _coarse(uint256 f, uint256 x) private pure returns (uint256) {
        unchecked {
            // f ≤ 2^64 before and after each line, so that no product reaches 2^128.
            if (x & 0x8000000000000000 != 0) f = (f * 13043817825332782212) >> 64;
            if (x & 0x4000000000000000 != 0) f = (f * 15511800964685064948) >> 64;
            if (x & 0x2000000000000000 != 0) f = (f * 16915738899553466671) >> 64;
            if (x & 0x1000000000000000 != 0) f = (f * 17664662643191237676) >> 64;
            if (x & 0x800000000000000 != 0) f = (f * 18051468387014017850) >> 64;
            if (x & 0x400000000000000 != 0) f = (f * 18248035989933441397) >> 64;
            if (x & 0x200000000000000 != 0) f = (f * 18347121020861646924) >> 64;
            if (x & 0x100000000000000 != 0) f = (f * 18396865112328554661) >> 64;
            if (x & 0x80000000000000 != 0) f = (f * 18421787711448657618) >> 64;
            if (x & 0x40000000000000 != 0) f = (f * 18434261669329232140) >> 64;
            if (x & 0x20000000000000 != 0) f = (f * 18440501815349552982) >> 64;
            if (x & 0x10000000000000 != 0) f = (f * 18443622680442407998) >> 64;
            if (x & 0x8000000000000 != 0) f = (f * 18445183311048607332) >> 64;
            if (x & 0x4000000000000 != 0) f = (f * 18445963675871538004) >> 64;
            if (x & 0x2000000000000 != 0) f = (f * 18446353870663572145) >> 64;
            if (x & 0x1000000000000 != 0) f = (f * 18446548971154807802) >> 64;
            if (x & 0x800000000000 != 0) f = (f * 18446646522174239825) >> 64;
            if (x & 0x400000000000 != 0) f = (f * 18446695297877410579) >> 64;
            if (x & 0x200000000000 != 0) f = (f * 18446719685777359791) >> 64;
            if (x & 0x100000000000 != 0) f = (f * 18446731879739425374) >> 64;
            if (x & 0x80000000000 != 0) f = (f * 18446737976723480912) >> 64;
            if (x & 0x40000000000 != 0) f = (f * 18446741025216264368) >> 64;
            if (x & 0x20000000000 != 0) f = (f * 18446742549462845018) >> 64;
            if (x & 0x10000000000 != 0) f = (f * 18446743311586182574) >> 64;
            if (x & 0x8000000000 != 0) f = (f * 18446743692647863159) >> 64;
            if (x & 0x4000000000 != 0) f = (f * 18446743883178706404) >> 64;
            if (x & 0x2000000000 != 0) f = (f * 18446743978444128764) >> 64;
            if (x & 0x1000000000 != 0) f = (f * 18446744026076840128) >> 64;
            if (x & 0x800000000 != 0) f = (f * 18446744049893195857) >> 64;
            if (x & 0x400000000 != 0) f = (f * 18446744061801373733) >> 64;
            if (x & 0x200000000 != 0) f = (f * 18446744067755462673) >> 64;
            if (x & 0x100000000 != 0) f = (f * 18446744070732507144) >> 64;
        }
        return f;
    }
}
