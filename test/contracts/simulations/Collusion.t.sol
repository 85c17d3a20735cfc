// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SimulationBase} from "./SimulationBase.t.sol";

/// @notice Half a year of an honest sharer beside three ways to cheat the score and the credits: a
/// pair that trades a thousand perfect deliveries a quarter, a ring of five of one group, and a
/// ring of five that hide that they belong together.
contract CollusionSimulation is SimulationBase {
    uint256 private constant WEEKS = 26;
    uint256 private constant PARTNERS = 24;
    uint256 private constant PAIR_WEEKLY = 80;
    uint256 private constant RING_WEEKLY = 20;
    uint256 private constant RING = 5;
    uint32 private constant GROUP = 77;

    /// @dev Whom the numbers are about: who shares, and one of each kind of cheats.
    bytes16[4] private _who =
        [_actor("honest", 0), _actor("pair", 0), _actor("group", 0), _actor("ring", 0)];

    function setUp() public override {
        super.setUp();
        _known(_actor("honest", 0), 0);
        for (uint256 i = 0; i < PARTNERS; ++i) {
            _known(_actor("partner", i), uint32(1000 + i));
        }
        for (uint256 i = 0; i < RING; ++i) {
            _known(_actor("pair", i), 0);
            _known(_actor("group", i), GROUP);
            _known(_actor("ring", i), 0);
        }
    }

    function test_CollusionPaysLittle() public {
        _open(
            "collusion",
            "week,honest_credits,pair_credits,group_credits,ring_credits,honest_lcb,pair_lcb,group_lcb,ring_lcb"
        );
        uint256[4] memory sums;
        for (uint256 week = 1; week <= WEEKS; ++week) {
            uint256[4] memory earned = _week();
            uint256[] memory line = new uint256[](9);
            line[0] = week;
            for (uint256 i = 0; i < 4; ++i) {
                sums[i] += earned[i];
                line[1 + i] = sums[i] / CREDIT;
                line[5 + i] = _lcbBps(_who[i]);
            }
            _write(line);
        }
        assertLt(sums[1] * 100, sums[0] * 5, "a pair earns less than 5 % of an honest sharer");
        assertEq(sums[1], 2 * 40 * CREDIT, "its cap in each of two quarters");
        assertLt(sums[3] * 100, sums[0] * 20, "a ring of strangers less than 20 %");
        uint256 honest = _lcbBps(_who[0]);
        assertGt(honest, _lcbBps(_who[1]), "24 partners are worth more than one");
        assertGt(honest, _lcbBps(_who[3]), "and more than four");
        (uint256 r,) = _sums(_who[2]);
        assertEq(r, 0, "praise within a group counts nothing");
    }

    /// @dev A week: who trades how much of what. Returns what each of the four earned.
    function _week() private returns (uint256[4] memory earned) {
        for (uint256 i = 0; i < 4; ++i) {
            incentives.settle(_who[i]);
            earned[i] = incentives.creditsOf(_who[i]).balance;
        }
        for (uint256 i = 0; i < PARTNERS; ++i) {
            if (_random(2) == 0) continue;
            _delivery(_who[0], _actor("partner", i), uint8(3 + _random(3)), 10);
        }
        for (uint256 k = 0; k < PAIR_WEEKLY; ++k) {
            _delivery(_who[1], _actor("pair", 1), 5, 10);
        }
        for (uint256 i = 1; i < RING; ++i) {
            for (uint256 k = 0; k < RING_WEEKLY; ++k) {
                _delivery(_who[2], _actor("group", i), 5, 10);
                _delivery(_who[3], _actor("ring", i), 5, 10);
            }
        }
        for (uint256 i = 0; i < 4; ++i) {
            earned[i] = incentives.creditsOf(_who[i]).balance - earned[i];
        }
        vm.warp(_now() + WEEK);
    }
}
