// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SimulationBase} from "./SimulationBase.t.sol";

/// @notice Half a year of three institutions that each want thirty requests a week: one shares what
/// it is asked for, one is new and is asked for nothing, and one lets every request to it lapse.
contract FreeRiderSimulation is SimulationBase {
    uint256 private constant WEEKS = 26;
    uint256 private constant WANTED = 30;
    uint256 private constant ASKERS = 10;

    bytes16 private _sharer = _actor("sharer", 0);
    bytes16 private _newcomer = _actor("newcomer", 0);
    bytes16 private _rider = _actor("free-rider", 0);

    function setUp() public override {
        super.setUp();
        _known(_sharer, 0);
        _known(_newcomer, 0);
        _known(_rider, 0);
        for (uint256 i = 0; i < ASKERS; ++i) {
            _known(_actor("asker", i), uint32(1000 + i));
        }
    }

    function test_FreeRidingFallsToTheFloor() public {
        _open(
            "free-rider",
            "week,sharer_requests,newcomer_requests,rider_requests,sharer_lcb,newcomer_lcb,rider_lcb"
        );
        uint256[3] memory sums;
        uint256 last = 0;
        for (uint256 week = 1; week <= WEEKS; ++week) {
            for (uint256 k = 0; k < 4; ++k) {
                _asked(_actor("asker", _random(ASKERS)));
            }
            vm.warp(_now() + WEEK);
            uint256[] memory line = new uint256[](7);
            line[0] = week;
            (line[1], line[2], line[3]) =
            (_requests(_sharer, WANTED), _requests(_newcomer, WANTED), _requests(_rider, WANTED));
            (line[4], line[5], line[6]) = (_lcbBps(_sharer), _lcbBps(_newcomer), _lcbBps(_rider));
            _write(line);
            for (uint256 i = 0; i < 3; ++i) {
                sums[i] += line[1 + i];
            }
            last = line[3];
        }
        assertEq(sums[0], WEEKS * WANTED, "who shares is never short of requests");
        assertLt(sums[2], sums[1], "who is silent gets less than who is new");
        assertEq(last, 10, "but never less than the floor");
    }

    /// @dev All three are asked by the same; the sharer answers and delivers, the rider is silent.
    function _asked(bytes16 asker) private {
        credibility.record(_sharer, asker, 2, 0);
        _delivery(_sharer, asker, uint8(3 + _random(3)), uint8(4 + _random(7)));
        credibility.record(_rider, asker, 3, 0);
    }
}
