// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {PrivacyLedger} from "../../contracts/compute/PrivacyLedger.sol";
import {World} from "./World.sol";

/// @title P1, the second half: within 7 d no sequence of two settings raises a cap.
contract CapsProof is Test {
    bytes16 private constant DATASET = bytes16(uint128(2));

    PrivacyLedger private _ledger;

    function setUp() public {
        address world = address(new World());
        _ledger = new PrivacyLedger(world, world);
    }

    function check_NoCapRisesWithinSevenDays(
        uint64 first,
        uint64 firstTotal,
        uint64 second,
        uint64 secondTotal,
        uint64 later,
        uint64 end
    ) external {
        vm.assume(later < 7 days && end < 7 days && later <= end);
        vm.warp(1_800_000_000);
        _ledger.setCap(DATASET, first, firstTotal);
        (uint64 before, uint64 totalBefore) = _ledger.left(DATASET, "any", 1_800_000_000);
        assert(before <= 2000 && totalBefore <= 10_000);
        vm.warp(1_800_000_000 + later);
        _ledger.setCap(DATASET, second, secondTotal);
        (uint64 left, uint64 total) = _ledger.left(DATASET, "any", 1_800_000_000 + end);
        assert(left <= before && total <= totalBefore);
    }
}
