// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Score} from "../../contracts/libraries/Score.sol";

/// @title C1: a score is a share of 1, more good weight never lowers it, more bad weight never
/// raises it. Bounds hold for all sums; order is proven on whole weights up to 7, the weights that
/// one event adds, and by test/contracts/invariants/Scores.t.sol for all others.
contract ScoresProof {
    uint256 private constant ONE = 1 << 64;

    /// @dev What `Score.estimate` divides: 0 ≤ good ≤ total and total > 0 give 0 ≤ C ≤ 1.
    function check_GoodIsPartOfAll(uint256 r, uint256 s, uint8 tier) external pure {
        if (r > Score.MAX_SUM || s > Score.MAX_SUM) return;
        uint256 total = r + s + Score.PRIOR_WEIGHT;
        uint256 good = r + Score.PRIOR_WEIGHT * Score.priorBps(tier) / 10_000;
        assert(total >= Score.PRIOR_WEIGHT && good <= total && good < 1 << 192);
    }

    function check_LowerBoundIsNotAboveTheMean(uint8 r, uint8 s, uint8 tier) external pure {
        if (r > 7 || s > 7) return;
        (uint256 mean, uint256 lcb) = Score.estimate(r * ONE, s * ONE, Score.priorBps(tier));
        assert(lcb <= mean && mean <= ONE);
    }

    function check_GoodNeverLowers(uint8 r, uint8 s, uint8 tier) external pure {
        if (r > 7 || s > 7) return;
        uint256 bps = Score.priorBps(tier);
        (uint256 mean, uint256 lcb) = Score.estimate(r * ONE, s * ONE, bps);
        (uint256 then, uint256 lcbThen) = Score.estimate((uint256(r) + 1) * ONE, s * ONE, bps);
        assert(then >= mean && lcbThen >= lcb);
    }

    function check_BadNeverRaises(uint8 r, uint8 s, uint8 tier) external pure {
        if (r > 7 || s > 7) return;
        uint256 bps = Score.priorBps(tier);
        (uint256 mean, uint256 lcb) = Score.estimate(r * ONE, s * ONE, bps);
        (uint256 then, uint256 lcbThen) = Score.estimate(r * ONE, (uint256(s) + 3) * ONE, bps);
        assert(then <= mean && lcbThen <= lcb);
    }

    /// @dev What one counterparty and one group still add never passes the cap.
    function check_CapHolds(uint256 weight, uint256 pairSum, uint256 poolSum) external pure {
        uint256 added = Score.capped(weight, pairSum, poolSum);
        assert(added <= weight);
        assert(
            added == 0 || (pairSum + added <= Score.PAIR_CAP && poolSum + added <= Score.PAIR_CAP)
        );
    }

    function check_SumsStopAtTheirMost(uint256 sum, uint256 weight) external pure {
        if (sum > Score.MAX_SUM || weight > 30 * ONE) return;
        uint256 then = Score.grown(sum, weight);
        assert(then <= Score.MAX_SUM && then >= sum);
    }
}
