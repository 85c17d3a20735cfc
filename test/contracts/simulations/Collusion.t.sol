// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SimulationBase} from "./SimulationBase.t.sol";

/// @notice Two years of an honest sharer beside three ways to cheat the score and the credits: a
/// pair that trades a thousand perfect deliveries a quarter, a ring of five of one group, and a ring
/// of five that hide that they belong together.
contract CollusionSimulation is SimulationBase {
    uint256 private constant QUARTERS = 8;
    uint256 private constant PARTNERS = 24;
    uint256 private constant EACH = 12;
    uint256 private constant RING = 5;
    uint32 private constant GROUP = 77;

    /// @dev What each of the four earned in a quarter, in thousandths of a credit, and its LCB.
    struct Result {
        uint256 earned;
        uint256 lcbBps;
    }

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
            "quarter,honest_credits,pair_credits,group_credits,ring_credits,honest_lcb,pair_lcb,group_lcb,ring_lcb"
        );
        uint256[4] memory sums;
        for (uint256 quarter = 1; quarter <= QUARTERS; ++quarter) {
            Result[4] memory results = _quarter();
            uint256[] memory line = new uint256[](9);
            line[0] = quarter;
            for (uint256 i = 0; i < 4; ++i) {
                sums[i] += results[i].earned;
                line[1 + i] = results[i].earned / 1000;
                line[5 + i] = results[i].lcbBps;
            }
            _write(line);
        }
        assertLt(sums[1] * 100, sums[0] * 5, "a pair earns less than 5 % of an honest sharer");
        assertEq(sums[1], QUARTERS * 40 * 1000, "its cap, each quarter");
        assertLt(sums[3], sums[0], "a ring of strangers earns less than honest work");
        uint256 honest = _lcbBps(_actor("honest", 0));
        assertGt(honest, _lcbBps(_actor("pair", 0)), "24 partners are worth more than one");
        assertGt(honest, _lcbBps(_actor("ring", 0)), "and more than four");
        assertEq(_sumOf(_actor("group", 0)), 0, "praise within a group counts nothing");
    }

    function _sumOf(bytes16 id) private view returns (uint256 r) {
        (r,) = _sums(id);
    }

    /// @dev A quarter of 13 weeks: who trades how much of what.
    function _quarter() private returns (Result[4] memory results) {
        bytes16[4] memory first =
            [_actor("honest", 0), _actor("pair", 0), _actor("group", 0), _actor("ring", 0)];
        uint256[4] memory before;
        uint64 start = _now();
        for (uint256 i = 0; i < 4; ++i) {
            incentives.settle(first[i]);
            before[i] = incentives.creditsOf(first[i]).balance;
        }
        for (uint256 week = 0; week < 12; ++week) {
            for (uint256 i = 0; i < PARTNERS; ++i) {
                uint8 quality = uint8(3 + _random(3));
                _delivery(first[0], _actor("partner", i), quality, 10);
            }
            for (uint256 k = 0; k < 84; ++k) {
                _delivery(first[1], _actor("pair", 1), 5, 10);
            }
            for (uint256 i = 1; i < RING; ++i) {
                for (uint256 k = 0; k < 20; ++k) {
                    _delivery(first[2], _actor("group", i), 5, 10);
                    _delivery(first[3], _actor("ring", i), 5, 10);
                }
            }
            vm.warp(start + (week + 1) * WEEK);
        }
        for (uint256 i = 0; i < 4; ++i) {
            uint256 earned = incentives.creditsOf(first[i]).balance - before[i];
            results[i] = Result(earned / (CREDIT / 1000), _lcbBps(first[i]));
        }
        vm.warp(start + EPOCH);
    }
}
