// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {Incentives} from "../../contracts/supervision/Incentives.sol";
import {World} from "./World.sol";

/// @title I2: a bucket never holds more than its capacity, and no unit is used twice.
contract QuotaProof is Test {
    uint256 private constant CAPACITY = 40_000;
    uint64 private constant START = 1_800_000_000;
    bytes16 private constant INST = bytes16(uint128(1));

    World private _world;
    Incentives private _incentives;

    function setUp() public {
        _world = new World();
        _incentives = new Incentives(address(_world), address(_world));
        vm.warp(START);
    }

    function _available() private view returns (uint256 units) {
        (units,,) = _incentives.quota(INST);
    }

    /// @dev One of the costs of contracts.md section 7, from the least credible to the most.
    function _setCost(uint8 which) private returns (uint256 cost) {
        if (which == 0) (cost,) = (4000, _lcb(0));
        if (which == 1) (cost,) = (1614, _lcb(2113));
        if (which == 2) (cost,) = (601, _lcb(8095));
        if (which == 3) (cost,) = (500, _lcb(10_000));
    }

    function _lcb(uint16 bps) private returns (uint256) {
        _world.setLcb(bps);
        return bps;
    }

    function _consume() private returns (bool done) {
        try _incentives.consume(INST) {
            done = true;
        } catch {}
    }

    /// @dev After any request and any time.
    function check_NeverMoreThanTheCapacity(uint8 which, uint40 wait) external {
        vm.assume(which < 4);
        _setCost(which);
        assert(_available() == CAPACITY);
        _consume();
        vm.warp(uint256(START) + wait);
        assert(_available() <= CAPACITY);
    }

    /// @dev Two requests in one block, at any time after two others: each takes its whole cost of
    /// what the one before left, or is refused and takes nothing.
    function check_NoUnitIsUsedTwice(uint8 first, uint8 second, uint40 wait) external {
        vm.assume(first < 4 && second < 4);
        _setCost(first);
        _consume();
        _consume();
        vm.warp(uint256(START) + wait);
        uint256 before = _available();
        uint256 cost = _setCost(first);
        uint256 after1 = _consume() ? before - cost : before;
        assert(_available() == after1 && (after1 != before || before < cost));
        cost = _setCost(second);
        uint256 after2 = _consume() ? after1 - cost : after1;
        assert(_available() == after2 && (after2 != after1 || after1 < cost));
    }

    /// @dev With a full bucket: ten requests of the least credible, and no eleventh in the block.
    function check_TenAndNoEleventh() external {
        _setCost(0);
        for (uint256 i = 0; i < 10; ++i) {
            assert(_consume());
        }
        assert(_available() == 0 && !_consume());
    }
}
