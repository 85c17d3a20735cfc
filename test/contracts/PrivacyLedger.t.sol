// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IModule} from "../../contracts/interfaces/IModule.sol";
import {IPrivacyLedger} from "../../contracts/interfaces/IPrivacyLedger.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {ComputeBase} from "./ComputeBase.t.sol";

contract PrivacyLedgerTest is ComputeBase {
    bytes32 private constant JOB = keccak256("job");
    bytes32 private constant OTHER = keccak256("other");
    /// @dev The south is of group 2.
    bytes32 private constant KEY = bytes32(uint256(2));

    function _setCap(uint64 requesterCap, uint64 totalCap) private {
        vm.prank(north.addr);
        budgets.setCap(DATASET, requesterCap, totalCap);
    }

    /// @dev As the contract of jobs would.
    function _reserve(bytes32 jobId, bytes16 requester, uint32 eps) private {
        vm.prank(address(jobs));
        budgets.reserve(jobId, 0, DATASET, requester, eps);
    }

    function _leftIs(bytes16 requester, uint64 want, uint64 wantTotal) private view {
        _leftAt(requester, _now(), want, wantTotal);
    }

    function _leftAt(bytes16 requester, uint64 t, uint64 want, uint64 wantTotal) private view {
        (uint64 left, uint64 total) = budgets.left(DATASET, requester, t);
        assertEq(left, want, "requester's");
        assertEq(total, wantTotal, "dataset's");
    }

    function _exceeded(uint64 left) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPrivacyLedger.BudgetExceeded.selector, DATASET, left);
    }

    // ── caps ──

    function test_SetCapStartsFromTwoAndTenThousand() public view {
        IPrivacyLedger.Cap memory c = budgets.cap(DATASET);
        assertEq(c.requester, 2000);
        assertEq(c.total, 10_000);
        assertEq(c.nextRequester, 2000);
        assertEq(c.nextTotal, 10_000);
        assertEq(c.nextFrom, 0);
        _leftIs(SOUTH, 2000, 10_000);
    }

    function test_SetCapLowersAtOnce() public {
        vm.expectEmit(address(budgets));
        emit IPrivacyLedger.CapSet(DATASET, 100, 0, _now());
        _setCap(100, 0);
        _leftIs(SOUTH, 100, 0);
        assertEq(budgets.cap(DATASET).nextFrom, 0);
        assertEq(budgets.cap(DATASET).nextTotal, 0);
    }

    function test_SetCapRaisesAfterSevenDays() public {
        uint64 from = _now() + 7 * DAY;
        vm.expectEmit(address(budgets));
        emit IPrivacyLedger.CapSet(DATASET, 3000, 20_000, from);
        _setCap(3000, 20_000);
        _leftAt(SOUTH, from - 1, 2000, 10_000);
        _leftAt(SOUTH, from, 3000, 20_000);
        vm.warp(from - 1);
        _expect(_exceeded(2000));
        _reserve(JOB, SOUTH, 2001);
        vm.warp(from);
        _reserve(JOB, SOUTH, 3000);
    }

    function test_SetCapReplacesARaiseThatIsPending() public {
        _setCap(3000, 20_000);
        uint64 first = _now() + 7 * DAY;
        vm.warp(_now() + 6 * DAY);
        _setCap(4000, 20_000);
        _leftAt(SOUTH, first, 2000, 10_000);
        _leftAt(SOUTH, first + 6 * DAY, 4000, 20_000);

        vm.warp(first + 6 * DAY);
        _setCap(4000, 20_000);
        _leftIs(SOUTH, 4000, 20_000);
        assertEq(budgets.cap(DATASET).nextFrom, 0, "nothing rises");
    }

    function test_SetCapLowersOneCapAtOnceWhileTheOtherWaits() public {
        _setCap(500, 20_000);
        _leftIs(SOUTH, 500, 10_000);
        _leftAt(SOUTH, _now() + 7 * DAY, 500, 20_000);
        _setCap(600, 5000);
        _leftIs(SOUTH, 500, 5000);
        _leftAt(SOUTH, _now() + 7 * DAY, 600, 5000);
    }

    function test_SetCapRefusesCapsBeyondTwentyAndAHundredThousand() public {
        vm.startPrank(north.addr);
        _expect(_outOfBounds(20_001, 0, 20_000));
        budgets.setCap(DATASET, 20_001, 0);
        _expect(_outOfBounds(100_001, 0, 100_000));
        budgets.setCap(DATASET, 0, 100_001);
        budgets.setCap(DATASET, 20_000, 100_000);
    }

    function test_SetCapRefusesAnybodyButAStewardOfTheOwner() public {
        (, Vm.Wallet memory steward) = _staff(north, NORTH, "steward", Roles.STEWARD);
        (, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.ALL & ~Roles.STEWARD);
        address[2] memory others = [clerk.addr, south.addr];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            _expect(_notParty(NORTH, others[i]));
            budgets.setCap(DATASET, 1, 1);
        }
        vm.prank(steward.addr);
        budgets.setCap(DATASET, 1, 1);
        _leftIs(SOUTH, 1, 1);
    }

    function test_SetCapRefusesUnknownDatasets() public {
        vm.prank(north.addr);
        _expect(_unknown("nothing"));
        budgets.setCap("nothing", 1, 1);
    }

    function test_SetCapBySignatureDoesTheSame() public {
        IModule.Auth memory auth = _consent(
            north,
            address(budgets),
            "PrivacyLedger",
            "SetCap(bytes16 dataset,uint64 requesterCap,uint64 totalCap,uint256 nonce,uint64 deadline)",
            abi.encode(DATASET, 1, 2)
        );
        vm.prank(relayer);
        budgets.setCapBySig(DATASET, 1, 2, auth);
        _leftIs(SOUTH, 1, 2);
    }

    function test_SetCapWorksWhileStopped() public {
        _stop(Codes.PRIVACY_LEDGER);
        _suspendInstitution(NORTH, _now() + DAY);
        _setCap(1, 1);
        _leftIs(SOUTH, 1, 1);
    }

    // ── reserve ──

    function test_ReserveBooksTheRequesterAndTheDatasetAndTellsAll() public {
        vm.expectEmit(address(budgets));
        emit IPrivacyLedger.BudgetReserved(JOB, 0, DATASET, SOUTH, KEY, 700, _period());
        _reserve(JOB, SOUTH, 700);
        _leftIs(SOUTH, 1300, 9300);
        _leftIs(INSPECTORATE, 2000, 9300);
        assertEq(budgets.spentOf(DATASET, _period()).reserved, 700);
        assertEq(budgets.spentBy(DATASET, KEY, _period()).reserved, 700);
        IPrivacyLedger.Reservation memory r = budgets.reservation(JOB, 0);
        assertEq(r.dataset, DATASET);
        assertEq(r.budgetKey, KEY);
        assertEq(r.eps, 700);
        assertEq(r.period, _period());
        assertEq(uint8(r.state), uint8(IPrivacyLedger.State.Reserved));
    }

    function test_ReserveRefusesMoreThanTheRequesterHasLeft() public {
        _reserve(JOB, SOUTH, 1999);
        _expect(_exceeded(1));
        _reserve(OTHER, SOUTH, 2);
        _reserve(OTHER, SOUTH, 1);
        _leftIs(SOUTH, 0, 8000);
    }

    function test_ReserveRefusesMoreThanTheDatasetHasLeft() public {
        _setCap(2000, 1500);
        _reserve(JOB, SOUTH, 1000);
        _expect(_exceeded(500));
        _reserve(OTHER, INSPECTORATE, 501);
        _reserve(OTHER, INSPECTORATE, 500);
        _leftIs(INSPECTORATE, 1500, 0);
    }

    function test_ReserveSharesOneBudgetWithinAGroup() public {
        Vm.Wallet memory wallet = vm.createWallet("sister");
        bytes16 sister = bytes16(keccak256("sister"));
        _join(sister, 0, wallet.addr);
        vm.prank(admin);
        institutions.setClass(sister, TIER, 2);
        Vm.Wallet memory lone = vm.createWallet("alone");
        bytes16 alone = bytes16(keccak256("alone"));
        _join(alone, 0, lone.addr);

        _reserve(JOB, SOUTH, 2000);
        _expect(_exceeded(0));
        _reserve(OTHER, sister, 1);
        _reserve(OTHER, alone, 1);
        assertEq(budgets.reservation(OTHER, 0).budgetKey, bytes32(alone));
    }

    function test_ReserveBeginsAnewWithEachPeriod() public {
        _reserve(JOB, SOUTH, 2000);
        uint64 next = (uint64(_period()) + 1) * 90 days;
        _leftAt(SOUTH, next - 1, 0, 8000);
        _leftAt(SOUTH, next, 2000, 10_000);
        vm.warp(next);
        _reserve(OTHER, SOUTH, 2000);
    }

    function test_ReserveRefusesTheSameSiteTwice() public {
        _reserve(JOB, SOUTH, 1);
        _expect(_exists(JOB));
        _reserve(JOB, SOUTH, 1);
        vm.prank(address(jobs));
        budgets.release(JOB, 0);
        _expect(_exists(JOB));
        _reserve(JOB, SOUTH, 1);
    }

    function test_ReserveIsForJobsOnly() public {
        vm.prank(north.addr);
        _expect(_unauthorized(north.addr));
        budgets.reserve(JOB, 0, DATASET, SOUTH, 1);
    }

    // ── settle ──

    function test_SettleKeepsWhatWasSpentAndFreesTheRest() public {
        _reserve(JOB, SOUTH, 700);
        vm.expectEmit(address(budgets));
        emit IPrivacyLedger.BudgetSettled(JOB, 0, 300);
        _settle(300);
        _leftIs(SOUTH, 1700, 9700);
        assertEq(budgets.spentOf(DATASET, _period()).spent, 300);
        assertEq(budgets.spentOf(DATASET, _period()).reserved, 0);
        assertEq(budgets.spentBy(DATASET, KEY, _period()).spent, 300);
        assertEq(budgets.spentBy(DATASET, KEY, _period()).reserved, 0);
        assertEq(uint8(budgets.reservation(JOB, 0).state), 2);
    }

    function test_SettleBooksInThePeriodOfTheReservation() public {
        uint32 period = _period();
        _reserve(JOB, SOUTH, 700);
        vm.warp((uint64(period) + 1) * 90 days);
        _settle(700);
        assertEq(budgets.spentOf(DATASET, period).spent, 700);
        _leftIs(SOUTH, 2000, 10_000);
    }

    function test_SettleBooksOnTheGroupOfTheReservation() public {
        _reserve(JOB, SOUTH, 700);
        vm.prank(admin);
        institutions.setClass(SOUTH, TIER, 77);
        _settle(700);
        assertEq(budgets.spentBy(DATASET, KEY, _period()).spent, 700);
        assertEq(budgets.spentBy(DATASET, KEY, _period()).reserved, 0);
        _leftIs(SOUTH, 2000, 9300);
    }

    function test_SettleRefusesMoreThanWasReserved() public {
        _reserve(JOB, SOUTH, 700);
        _expect(_outOfBounds(701, 0, 700));
        _settle(701);
        _settle(700);
    }

    function test_SettleRefusesWhatIsClosedOrUnknown() public {
        _expect(_unknown(JOB));
        _settle(0);
        _reserve(JOB, SOUTH, 700);
        _settle(700);
        _expect(_wrongState(JOB, 2, 1));
        _settle(0);
    }

    function test_SettleIsForJobsOnly() public {
        vm.prank(north.addr);
        _expect(_unauthorized(north.addr));
        budgets.settle(JOB, 0, 0);
    }

    // ── release ──

    function test_ReleaseFreesEverything() public {
        _reserve(JOB, SOUTH, 700);
        vm.expectEmit(address(budgets));
        emit IPrivacyLedger.BudgetReleased(JOB, 0);
        _release();
        _leftIs(SOUTH, 2000, 10_000);
        assertEq(uint8(budgets.reservation(JOB, 0).state), 3);
    }

    function test_ReleaseRefusesWhatIsClosedOrUnknown() public {
        _expect(_unknown(JOB));
        _release();
        _reserve(JOB, SOUTH, 700);
        _release();
        _expect(_wrongState(JOB, 3, 1));
        _release();
        _expect(_wrongState(JOB, 3, 1));
        _settle(0);
    }

    function test_ReleaseIsForJobsOnly() public {
        vm.prank(north.addr);
        _expect(_unauthorized(north.addr));
        budgets.release(JOB, 0);
    }

    // ── left ──

    function test_LeftIsZeroWhenACapFallsBelowWhatIsUsed() public {
        _reserve(JOB, SOUTH, 2000);
        _setCap(1500, 1999);
        _leftIs(SOUTH, 0, 0);
        _expect(_exceeded(0));
        _reserve(OTHER, SOUTH, 1);
        _settle(0);
        _leftIs(SOUTH, 1500, 1999);
    }

    function _settle(uint32 spent) private {
        vm.prank(address(jobs));
        budgets.settle(JOB, 0, spent);
    }

    function _release() private {
        vm.prank(address(jobs));
        budgets.release(JOB, 0);
    }
}
