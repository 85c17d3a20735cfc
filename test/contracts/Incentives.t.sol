// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IIncentives} from "../../contracts/interfaces/IIncentives.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice Credits and quota, with the rows that Rust shares (test/vectors/contracts/score.json).
contract IncentivesTest is AccessBase {
    uint256 private constant EPOCH = 90 days;
    uint64 private constant CREDIT = 1_000_000;
    bytes32 private constant REF = keccak256("ref");

    string private _json;

    function setUp() public override {
        super.setUp();
        _json = vm.readFile("test/vectors/contracts/score.json");
        _take(Roles.ACCRUERS_ROLE);
        _take(Roles.CONSUMERS_ROLE);
        _take(Roles.ESCROW_ROLE);
        _nextEpoch();
    }

    function _nextEpoch() private {
        vm.warp((_now() / EPOCH + 1) * EPOCH);
    }

    function _balance(bytes16 inst) private view returns (uint64) {
        return incentives.creditsOf(inst).balance;
    }

    function _number(string memory path) private view returns (uint256) {
        return vm.parseJsonUint(_json, path);
    }

    function _row(string memory list, uint256 i) private pure returns (string memory) {
        return string.concat(list, "[", vm.toString(i), "]");
    }

    /// @dev Balances + locked = accrued − spent − decayed.
    function _conserved(bytes16[2] memory all) private view {
        IIncentives.Totals memory t = incentives.totals();
        uint256 held = 0;
        for (uint256 i = 0; i < all.length; ++i) {
            IIncentives.Account memory a = incentives.creditsOf(all[i]);
            held += a.balance + a.locked;
        }
        assertEq(held, t.accrued - t.spent - t.decayed, "conserved");
        assertEq(incentives.totalSupply(), held, "total supply");
    }

    // ── accrue ──

    function test_CreditVectors() public {
        for (uint256 i = 0; i < 4; ++i) {
            string memory row = _row(".credits", i);
            bytes16 owner = bytes16(keccak256(abi.encode("owner", i)));
            uint8 kind = uint8(_number(string.concat(row, ".kind")));
            // Earlier accruals that earn next to nothing, so that the cap stays far.
            for (uint256 n = _number(string.concat(row, ".earlier")); n > 0; --n) {
                incentives.accrue(owner, SOUTH, kind, 0, 0);
            }
            uint64 before = _balance(owner);
            incentives.accrue(
                owner,
                SOUTH,
                kind,
                uint8(_number(string.concat(row, ".quality"))),
                uint8(_number(string.concat(row, ".novelty")))
            );
            uint256 want = _number(string.concat(row, ".amount_micro"));
            assertEq(_balance(owner) - before, want, row);
        }
        assertFalse(vm.keyExistsJson(_json, ".credits[4]"), "all rows read");
    }

    function test_AccrualIsAnnounced() public {
        vm.expectEmit(address(incentives));
        emit IIncentives.CreditsAccrued(NORTH, SOUTH, 1, 15 * CREDIT, 15 * CREDIT);
        incentives.accrue(NORTH, SOUTH, 1, 5, 10);
        assertEq(incentives.balanceOf(north.addr), 15 * CREDIT);
        assertEq(incentives.balanceOf(stranger), 0);
    }

    function test_ServiceCountsLikeADelivery() public {
        incentives.accrue(NORTH, SOUTH, 3, 5, 10);
        assertEq(_balance(NORTH), 15 * CREDIT);
    }

    function test_PairEarnsFortyAnEpoch() public {
        for (uint256 i = 0; i < 1000; ++i) {
            incentives.accrue(NORTH, SOUTH, 1, 5, 10);
        }
        assertEq(_balance(NORTH), 40 * CREDIT, "a pair that trades all day");
        incentives.accrue(NORTH, INSPECTORATE, 1, 5, 10);
        assertEq(_balance(NORTH), 55 * CREDIT, "another pair is another matter");
        _nextEpoch();
        incentives.accrue(NORTH, SOUTH, 1, 5, 10);
        assertEq(_balance(NORTH), 49_500_000 + 15 * CREDIT, "a new epoch");
    }

    function test_HonestSharerEarnsManyTimesAPair() public {
        for (uint256 i = 0; i < 24; ++i) {
            bytes16 requester = bytes16(keccak256(abi.encode("requester", i)));
            for (uint256 k = 0; k < 12; ++k) {
                incentives.accrue(NORTH, requester, 1, 4, 10);
            }
        }
        assertEq(_balance(NORTH), 960 * CREDIT);
    }

    function test_FlatKindsCountFourTimesAnEpoch() public {
        for (uint256 i = 0; i < 5; ++i) {
            incentives.accrue(NORTH, 0, 4, 0, 0);
        }
        assertEq(_balance(NORTH), 60 * CREDIT);
        for (uint256 i = 0; i < 5; ++i) {
            incentives.accrue(SOUTH, 0, 5, 0, 0);
        }
        assertEq(_balance(SOUTH), 20 * CREDIT);
        _nextEpoch();
        incentives.accrue(NORTH, 0, 4, 0, 0);
        assertEq(_balance(NORTH), 54 * CREDIT + 15 * CREDIT);
    }

    function test_AccrueRefusals() public {
        _expect(_outOfBounds(0, 1, 5));
        incentives.accrue(NORTH, SOUTH, 0, 0, 0);
        _expect(_outOfBounds(6, 1, 5));
        incentives.accrue(NORTH, SOUTH, 6, 0, 0);
        _expect(_outOfBounds(6, 0, 5));
        incentives.accrue(NORTH, SOUTH, 1, 6, 0);
        _expect(_outOfBounds(11, 0, 10));
        incentives.accrue(NORTH, SOUTH, 1, 0, 11);
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        incentives.accrue(NORTH, SOUTH, 1, 0, 0);
    }

    // ── decay ──

    function test_DecayVector() public {
        incentives.accrue(NORTH, SOUTH, 1, 5, 10);
        uint256[] memory after_ =
            vm.parseJsonUintArray(_json, ".credit_decay.after_each_epoch_micro");
        assertEq(_balance(NORTH), _number(".credit_decay.balance_micro"));
        for (uint256 i = 0; i < after_.length; ++i) {
            _nextEpoch();
            assertEq(_balance(NORTH), after_[i], "read without settling");
        }
        assertEq(after_.length, 7);
        vm.expectEmit(address(incentives));
        emit IIncentives.CreditsDecayed(NORTH, uint64(15 * CREDIT - after_[6]), uint64(after_[6]));
        vm.prank(stranger);
        incentives.settle(NORTH);
        assertEq(_balance(NORTH), after_[6], "settled");
        _conserved([NORTH, SOUTH]);
    }

    function test_SettlingEachEpochGivesTheSame() public {
        incentives.accrue(NORTH, SOUTH, 1, 5, 10);
        for (uint256 i = 0; i < 7; ++i) {
            _nextEpoch();
            incentives.settle(NORTH);
            incentives.settle(NORTH);
        }
        assertEq(_balance(NORTH), 7_174_453);
    }

    function test_NothingIsLeftAfterManyEpochs() public {
        incentives.accrue(NORTH, SOUTH, 1, 5, 10);
        vm.warp(_now() + 64 * EPOCH);
        assertGt(_balance(NORTH), 0);
        vm.warp(_now() + EPOCH);
        assertEq(_balance(NORTH), 0);
    }

    // ── quota ──

    function test_QuotaVectors() public {
        for (uint256 i = 0; i < 4; ++i) {
            string memory row = _row(".quota", i);
            _mockScore(uint16(_number(string.concat(row, ".lcb_bps"))));
            (uint256 available, uint256 cost,) = incentives.quota(SOUTH);
            assertEq(cost, _number(string.concat(row, ".cost_units")), row);
            assertEq(available / cost, _number(string.concat(row, ".requests_a_week")), row);
        }
        assertFalse(vm.keyExistsJson(_json, ".quota[4]"), "all rows read");
    }

    function _mockScore(uint16 lcbBps) private {
        vm.mockCall(
            address(credibility),
            abi.encodePacked(credibility.score.selector),
            abi.encode(0, 0, 0, lcbBps, 0)
        );
    }

    function test_QuotaCutCountsAQuarterAtMost() public {
        _mockScore(10_000);
        vm.mockCall(
            address(sanctions), abi.encodeCall(sanctions.quotaCut, (SOUTH)), abi.encode(true)
        );
        (, uint256 cost,) = incentives.quota(SOUTH);
        assertEq(cost, 4000);
    }

    function test_EmptyBucketIsToppedByCreditsThenRefuses() public {
        _mockScore(0);
        incentives.accrue(SOUTH, NORTH, 1, 0, 10);
        assertEq(_balance(SOUTH), 5 * CREDIT);
        for (uint256 i = 0; i < 10; ++i) {
            vm.expectEmit(address(incentives));
            emit IIncentives.QuotaConsumed(SOUTH, 4000, 0);
            incentives.consume(SOUTH);
        }
        vm.expectEmit(address(incentives));
        emit IIncentives.QuotaConsumed(SOUTH, 0, 5 * CREDIT);
        incentives.consume(SOUTH);
        assertEq(_balance(SOUTH), 0);
        _conserved([NORTH, SOUTH]);

        (uint256 available,, uint64 retryAt) = incentives.quota(SOUTH);
        assertEq(available, 0);
        assertEq(retryAt, _now() + 60_480, "a tenth of a week");
        _expect(abi.encodeWithSelector(IIncentives.QuotaExceeded.selector, SOUTH, retryAt));
        incentives.consume(SOUTH);
        incentives.consume(NORTH);
    }

    function test_ConsumeIsRestricted() public {
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        incentives.consume(SOUTH);
    }

    /// @dev The answer of `quota` is exact: one second earlier there is no room, at that second
    /// there is.
    function testFuzz_RetryAtIsTheFirstSecond(uint16 lcbBps, uint32 wait) public {
        _mockScore(lcbBps % 10_001);
        (, uint256 cost,) = incentives.quota(SOUTH);
        for (uint256 n = 40_000 / cost; n > 0; --n) {
            incentives.consume(SOUTH);
        }
        vm.warp(_now() + wait % 7 days);
        (uint256 available,, uint64 retryAt) = incentives.quota(SOUTH);
        if (available >= cost) {
            assertEq(retryAt, _now());
            return;
        }
        vm.warp(retryAt - 1);
        (available,,) = incentives.quota(SOUTH);
        assertLt(available, cost, "too early");
        vm.warp(retryAt);
        (available,,) = incentives.quota(SOUTH);
        assertGe(available, cost, "in time");
        assertLe(available, 40_000, "never more than the bucket holds");
    }

    // ── holds ──

    function test_LockUnlockBurn() public {
        incentives.accrue(NORTH, SOUTH, 1, 5, 10);
        vm.expectEmit(address(incentives));
        emit IIncentives.CreditsLocked(NORTH, 10 * CREDIT, REF);
        incentives.lock(NORTH, 10 * CREDIT, REF);
        IIncentives.Account memory a = incentives.creditsOf(NORTH);
        assertEq(a.balance, 5 * CREDIT);
        assertEq(a.locked, 10 * CREDIT);
        _conserved([NORTH, SOUTH]);

        vm.expectEmit(address(incentives));
        emit IIncentives.CreditsUnlocked(REF);
        incentives.unlock(REF);
        assertEq(_balance(NORTH), 15 * CREDIT);
        _expect(_unknown(REF));
        incentives.unlock(REF);

        incentives.lock(NORTH, 10 * CREDIT, REF);
        vm.expectEmit(address(incentives));
        emit IIncentives.CreditsBurned(REF);
        incentives.burn(REF);
        a = incentives.creditsOf(NORTH);
        assertEq(a.balance, 5 * CREDIT);
        assertEq(a.locked, 0);
        assertEq(incentives.totalSupply(), 5 * CREDIT);
        _conserved([NORTH, SOUTH]);
        _expect(_unknown(REF));
        incentives.burn(REF);
    }

    function test_LockedCreditsDoNotDecay() public {
        incentives.accrue(NORTH, SOUTH, 1, 5, 10);
        incentives.lock(NORTH, 10 * CREDIT, REF);
        _nextEpoch();
        incentives.unlock(REF);
        assertEq(_balance(NORTH), 4_500_000 + 10 * CREDIT);
        _conserved([NORTH, SOUTH]);
    }

    function test_HoldRefusals() public {
        incentives.accrue(NORTH, SOUTH, 1, 5, 10);
        _expect(_outOfBounds(0, 1, type(uint64).max));
        incentives.lock(NORTH, 0, REF);
        _expect(
            abi.encodeWithSelector(IIncentives.NotEnough.selector, 15 * CREDIT, 15 * CREDIT + 1)
        );
        incentives.lock(NORTH, 15 * CREDIT + 1, REF);
        incentives.lock(NORTH, CREDIT, REF);
        _expect(_exists(REF));
        incentives.lock(NORTH, CREDIT, REF);

        vm.startPrank(stranger);
        _expect(_unauthorized(stranger));
        incentives.lock(NORTH, CREDIT, keccak256("another"));
        _expect(_unauthorized(stranger));
        incentives.unlock(REF);
        _expect(_unauthorized(stranger));
        incentives.burn(REF);
    }

    // ── the token that is none ──

    function test_CreditsCannotBeMoved() public {
        bytes memory why = abi.encodeWithSelector(IIncentives.NonTransferable.selector);
        vm.startPrank(north.addr);
        _expect(why);
        incentives.transfer(south.addr, 1);
        _expect(why);
        incentives.approve(south.addr, 1);
        _expect(why);
        incentives.transferFrom(north.addr, south.addr, 1);
        assertEq(incentives.allowance(north.addr, south.addr), 0);
        assertEq(incentives.name(), "msnet credit");
        assertEq(incentives.symbol(), "MSC");
        assertEq(incentives.decimals(), 6);
    }

    /// @dev Whatever is accrued, held, freed, burned or decayed: what is there is what came in,
    /// less what went.
    function testFuzz_CreditsAreConserved(uint8[32] memory acts) public {
        bytes16[2] memory all = [NORTH, SOUTH];
        for (uint256 i = 0; i < acts.length; ++i) {
            bytes16 inst = all[acts[i] & 1];
            uint256 act = (acts[i] >> 1) % 5;
            bytes32 ref = bytes32(i + 1);
            if (act == 0) incentives.accrue(inst, INSPECTORATE, 2, 5, 10);
            if (act == 1 && _balance(inst) >= CREDIT) incentives.lock(inst, CREDIT, ref);
            if (act == 2) _nextEpoch();
            if (act == 3) _release(i, true);
            if (act == 4) _release(i, false);
        }
        incentives.settle(NORTH);
        incentives.settle(SOUTH);
        _conserved(all);
    }

    /// @dev Frees or burns the latest hold before step `i`, if there is one.
    function _release(uint256 i, bool free) private {
        for (; i > 0; --i) {
            bytes memory call = free
                ? abi.encodeCall(incentives.unlock, (bytes32(i)))
                : abi.encodeCall(incentives.burn, (bytes32(i)));
            (bool done,) = address(incentives).call(call);
            if (done) return;
        }
    }

    // ── allot ──

    function test_AllotGivesCredits() public {
        vm.expectEmit(address(incentives));
        emit IIncentives.CreditsAllotted(NORTH, 700 * CREDIT, 700 * CREDIT);
        vm.startPrank(admin);
        incentives.allot(NORTH, 700 * CREDIT);
        assertEq(incentives.totals().accrued, 700 * CREDIT);
        _expect(_outOfBounds(300 * CREDIT + 1, 1, 300 * CREDIT));
        incentives.allot(NORTH, 300 * CREDIT + 1);
        _expect(_outOfBounds(0, 1, 300 * CREDIT));
        incentives.allot(NORTH, 0);
        incentives.allot(NORTH, 300 * CREDIT);
        _expect(_outOfBounds(1, 1, 0));
        incentives.allot(NORTH, 1);
        incentives.allot(SOUTH, 1000 * CREDIT);
        _nextEpoch();
        vm.expectEmit(address(incentives));
        emit IIncentives.CreditsAllotted(NORTH, 1000 * CREDIT, 1900 * CREDIT);
        incentives.allot(NORTH, 1000 * CREDIT);
    }

    function test_AllotRefusals() public {
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        incentives.allot(NORTH, 1);
        _expect(_unknown(bytes32(bytes16(REF))));
        vm.prank(admin);
        incentives.allot(bytes16(REF), 1);
    }
}
