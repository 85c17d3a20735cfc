// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SimulationBase} from "./SimulationBase.t.sol";

/// @notice Two years of a small clinic with one delivery a month beside a large hospital with
/// forty, and what one bad month (a key that was never released) costs each of them.
contract SmallClinicSimulation is SimulationBase {
    uint256 private constant MONTHS = 24;
    uint256 private constant BAD_MONTH = 12;

    bytes16 private _clinic = _actor("clinic", 0);
    bytes16 private _hospital = _actor("hospital", 0);

    function setUp() public override {
        super.setUp();
        _known(_clinic, 0);
        _known(_hospital, 0);
        for (uint256 i = 0; i < 12; ++i) {
            _known(_actor("partner", i), uint32(1000 + i));
        }
    }

    function test_SmallClinicIsTrustedToo() public {
        _open(
            "small-clinic",
            "month,clinic_lcb,hospital_lcb,clinic_weekly,hospital_weekly,clinic_credits"
        );
        uint256 before = 0;
        uint256[] memory line = new uint256[](6);
        for (uint256 month = 1; month <= MONTHS; ++month) {
            _month(month == BAD_MONTH);
            line[0] = month;
            (line[1], line[2]) = (_lcbBps(_clinic), _lcbBps(_hospital));
            (line[3], line[4]) = (_weekly(_clinic), _weekly(_hospital));
            line[5] = incentives.creditsOf(_clinic).balance / CREDIT;
            _write(line);
            if (month == 6) assertGt(line[1], 5000, "trusted within half a year");
            if (month == BAD_MONTH - 1) before = line[1];
            if (month == BAD_MONTH) assertLt(line[1], before, "a fault is seen");
        }
        assertGt(line[1] * 100, before * 90, "and mostly made good within a year");
        assertGt(line[3], 30, "a small clinic asks thirty times a week");
        assertGt(line[2], line[1], "a large hospital is better known");
    }

    /// @dev The clinic delivers once and answers once, the hospital forty times.
    function _month(bool bad) private {
        _delivery(_clinic, _actor("partner", _random(3)), uint8(3 + _random(3)), 10);
        credibility.record(_clinic, _actor("partner", _random(3)), 2, 0);
        for (uint256 i = 0; i < 40; ++i) {
            _delivery(_hospital, _actor("partner", _random(12)), uint8(3 + _random(3)), 6);
        }
        if (bad) {
            credibility.record(_clinic, _actor("partner", 0), 4, 0);
            credibility.record(_hospital, _actor("partner", 0), 4, 0);
        }
        vm.warp(_now() + 30 days);
    }

    /// @dev Requests a week that the quota allows, without credits.
    function _weekly(bytes16 id) private view returns (uint256) {
        (, uint256 cost,) = incentives.quota(id);
        return 40_000 / cost;
    }
}
