// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {ISanctions} from "../../contracts/interfaces/ISanctions.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {SanctionRules} from "../../contracts/libraries/SanctionRules.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice What a ruling does, and for how long.
contract SanctionsTest is AccessBase {
    uint256 private _cases;

    function setUp() public override {
        super.setUp();
        _take(Roles.CASES_ROLE);
    }

    function _impose(uint8 severity) private returns (bytes32 id) {
        bytes32 caseId = keccak256(abi.encode("case", ++_cases));
        sanctions.impose(caseId, SOUTH, severity);
        return keccak256(abi.encode(caseId, SOUTH));
    }

    function _is(bytes32 id, uint8 level, uint64 termDays) private view {
        ISanctions.Sanction memory s = sanctions.sanction(id);
        assertEq(s.party, SOUTH);
        assertEq(s.level, level, "level");
        assertEq(uint8(s.status), uint8(ISanctions.Status.InForce));
        assertEq(s.from, _now());
        assertEq(s.until, _now() + termDays * DAY, "term");
    }

    // ── the ladder ──

    function test_LadderAsTheDesignHasIt() public pure {
        uint8[9] memory levels = [1, 2, 3, 3, 4, 4, 4, 4, 4];
        uint16[9] memory terms = [30, 30, 30, 30, 30, 90, 90, 180, 365];
        for (uint8 i = 0; i < 9; ++i) {
            (uint8 level, uint64 termDays) = SanctionRules.step(i / 3 + 1, i % 3);
            assertEq(level, levels[i]);
            assertEq(termDays, terms[i]);
            (level, termDays) = SanctionRules.step(i / 3 + 1, i % 3 == 2 ? 8 : i % 3);
            assertEq(level, levels[i], "more than two count like two");
            assertEq(termDays, terms[i]);
        }
    }

    function test_MinorRulingsClimbTheLadder() public {
        _is(_impose(1), SanctionRules.WARN, 30);
        assertTrue(sanctions.mayRequest(SOUTH));
        assertFalse(sanctions.quotaCut(SOUTH));
        _is(_impose(1), SanctionRules.QUOTA_CUT, 30);
        assertTrue(sanctions.mayRequest(SOUTH));
        assertTrue(sanctions.quotaCut(SOUTH));
        _is(_impose(1), SanctionRules.NO_REQUEST, 30);
        assertFalse(sanctions.mayRequest(SOUTH));
        assertTrue(sanctions.mayServe(SOUTH));
        assertTrue(sanctions.maySign(SOUTH));
        assertEq(sanctions.levelOf(SOUTH), 3);
        assertEq(sanctions.sanctions(SOUTH).length, 3);
        assertEq(sanctions.levelOf(NORTH), 0, "nobody else");
    }

    function test_LadderForgetsAfterAYear() public {
        _impose(1);
        vm.warp(_now() + 365 * DAY);
        _is(_impose(1), SanctionRules.QUOTA_CUT, 30);
        vm.warp(_now() + 365 * DAY + 1);
        _is(_impose(1), SanctionRules.WARN, 30);
    }

    function test_ImposedSanctionIsAnnounced() public {
        bytes32 caseId = keccak256("case");
        bytes32 id = keccak256(abi.encode(caseId, SOUTH));
        vm.expectEmit(address(sanctions));
        emit ISanctions.SanctionImposed(id, SOUTH, 3, _now(), _now() + 30 * DAY, caseId, false);
        sanctions.impose(caseId, SOUTH, 2);
        assertEq(sanctions.sanctions(SOUTH)[0], id);
        assertEq(sanctions.sanction(id).caseId, caseId);
    }

    function test_EndsByItself() public {
        _impose(2);
        vm.warp(_now() + 30 * DAY - 1);
        assertFalse(sanctions.mayRequest(SOUTH));
        vm.warp(_now() + 1);
        assertTrue(sanctions.mayRequest(SOUTH));
    }

    // ── suspension ──

    function test_SecondMajorSuspends() public {
        _impose(2);
        uint64 until = _now() + 30 * DAY;
        vm.expectEmit(address(institutions));
        emit IInstitutionRegistry.InstitutionSuspended(
            SOUTH, until, keccak256(abi.encode("case", uint256(2)))
        );
        _is(_impose(2), SanctionRules.SUSPENDED, 30);
        assertFalse(institutions.isActive(SOUTH));
        assertFalse(sanctions.mayServe(SOUTH));
        assertFalse(sanctions.maySign(SOUTH));
        vm.warp(until);
        assertTrue(institutions.isActive(SOUTH), "it ends by itself");
        assertTrue(sanctions.maySign(SOUTH));
    }

    function test_CriticalSuspendsAndProposesExpulsion() public {
        vm.expectEmit(address(sanctions));
        emit ISanctions.ExpulsionProposed(SOUTH, keccak256("case"));
        sanctions.impose(keccak256("case"), SOUTH, 3);
        assertFalse(institutions.isActive(SOUTH));
    }

    function test_ShorterSuspensionNeverEndsALongerOne() public {
        _impose(3);
        _impose(2);
        vm.warp(_now() + 30 * DAY);
        assertFalse(institutions.isActive(SOUTH), "the longer one still runs");
        vm.warp(_now() + 60 * DAY);
        assertTrue(institutions.isActive(SOUTH));
    }

    function test_WhoLeftIsSanctionedWithoutSuspension() public {
        vm.prank(south.addr);
        institutions.leaveNetwork(SOUTH);
        _is(_impose(3), SanctionRules.SUSPENDED, 90);
        assertEq(
            uint8(institutions.statusAt(SOUTH, _now())), uint8(IInstitutionRegistry.Status.Left)
        );
    }

    // ── refusals ──

    function test_ImposeIsRestricted() public {
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        sanctions.impose(keccak256("case"), SOUTH, 1);
    }

    function test_ImposeRefusals() public {
        _expect(_outOfBounds(0, 1, 3));
        sanctions.impose(keccak256("case"), SOUTH, 0);
        _expect(_outOfBounds(4, 1, 3));
        sanctions.impose(keccak256("case"), SOUTH, 4);
        sanctions.impose(keccak256("case"), SOUTH, 1);
        _expect(_exists(keccak256(abi.encode(keccak256("case"), SOUTH))));
        sanctions.impose(keccak256("case"), SOUTH, 1);
    }

    // ── lift ──

    function test_LiftEndsASanction() public {
        bytes32 id = _impose(2);
        vm.expectEmit(address(sanctions));
        emit ISanctions.SanctionLifted(id, REASON);
        vm.prank(admin);
        sanctions.lift(id, REASON);
        assertTrue(sanctions.mayRequest(SOUTH));
        assertEq(uint8(sanctions.sanction(id).status), uint8(ISanctions.Status.Lifted));
        assertEq(sanctions.sanctions(SOUTH).length, 0);
    }

    function test_LiftedSuspensionLeavesTheOthers() public {
        bytes32 long = _impose(3);
        bytes32 short = _impose(2);
        vm.startPrank(admin);
        sanctions.lift(long, REASON);
        assertFalse(institutions.isActive(SOUTH), "the other suspension stands");
        sanctions.lift(short, REASON);
        assertTrue(institutions.isActive(SOUTH));
    }

    function test_LiftRefusals() public {
        bytes32 id = _impose(2);
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        sanctions.lift(id, REASON);
        vm.startPrank(admin);
        _expect(_unknown(keccak256("none")));
        sanctions.lift(keccak256("none"), REASON);
        sanctions.lift(id, REASON);
        _expect(_wrongState(id, 4, 2));
        sanctions.lift(id, REASON);
    }

    // ── prune and the list ──

    function test_PruneMarksWhatIsServed() public {
        bytes32 first = _impose(1);
        vm.warp(_now() + 10 * DAY);
        bytes32 second = _impose(1);
        sanctions.prune(SOUTH);
        assertEq(sanctions.sanctions(SOUTH).length, 2, "both in force");
        vm.warp(_now() + 20 * DAY);
        vm.expectEmit(address(sanctions));
        emit ISanctions.SanctionServed(first);
        vm.prank(stranger);
        sanctions.prune(SOUTH);
        assertEq(sanctions.sanctions(SOUTH).length, 1);
        assertEq(sanctions.sanctions(SOUTH)[0], second);
        assertEq(uint8(sanctions.sanction(first).status), uint8(ISanctions.Status.Served));
    }

    function test_NinthSanctionDropsTheWeakestFromTheList() public {
        bytes32 warning = _impose(1);
        for (uint256 i = 0; i < 7; ++i) {
            _impose(1);
        }
        assertEq(sanctions.sanctions(SOUTH).length, 8);
        bytes32 ninth = _impose(2);
        bytes32[] memory listed = sanctions.sanctions(SOUTH);
        assertEq(listed.length, 8);
        assertEq(listed[7], ninth);
        for (uint256 i = 0; i < 8; ++i) {
            assertNotEq(listed[i], warning, "the warning was the weakest");
        }
        assertEq(sanctions.levelOf(SOUTH), 4);
        assertEq(sanctions.sanction(warning).level, 1, "it stands under its id");
    }

    function testFuzz_LevelNeverFallsBelowWhatWasJustImposed(uint8[12] memory severities) public {
        for (uint256 i = 0; i < severities.length; ++i) {
            bytes32 id = _impose(severities[i] % 3 + 1);
            assertGe(sanctions.levelOf(SOUTH), sanctions.sanction(id).level);
            assertLe(sanctions.sanctions(SOUTH).length, 8);
            vm.warp(_now() + uint256(severities[i]) * HOUR);
        }
    }

    // ── interim ──

    bytes32 private constant CASE = keccak256("case under judgement");

    function _interimId() private pure returns (bytes32) {
        return keccak256(abi.encode(CASE, SOUTH, true));
    }

    function _interim(uint8 level, uint64 until) private {
        _take(Roles.PANEL_ROLE);
        sanctions.interim(CASE, SOUTH, level, until);
    }

    function test_InterimIsInForceAtOnce() public {
        _take(Roles.PANEL_ROLE);
        vm.expectEmit(address(sanctions));
        emit ISanctions.SanctionImposed(
            _interimId(), SOUTH, 3, _now(), _now() + 14 * DAY, CASE, true
        );
        sanctions.interim(CASE, SOUTH, 3, _now() + 14 * DAY);
        assertFalse(sanctions.mayRequest(SOUTH));
        vm.warp(_now() + 14 * DAY);
        assertTrue(sanctions.mayRequest(SOUTH));
        sanctions.endInterim(CASE, SOUTH);
        assertEq(uint8(sanctions.sanction(_interimId()).status), uint8(ISanctions.Status.Served));
    }

    function test_InterimSuspends() public {
        _interim(4, _now() + DAY);
        assertFalse(institutions.isActive(SOUTH));
        vm.warp(_now() + DAY);
        assertTrue(institutions.isActive(SOUTH));
    }

    function test_InterimCountsForNoLadder() public {
        _interim(2, _now() + DAY);
        _is(_impose(1), SanctionRules.WARN, 30);
    }

    function test_InterimRefusals() public {
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        sanctions.interim(CASE, SOUTH, 2, _now() + DAY);
        _take(Roles.PANEL_ROLE);
        uint64 max = _now() + 14 * DAY;
        _expect(_outOfBounds(1, 2, 4));
        sanctions.interim(CASE, SOUTH, 1, max);
        _expect(_outOfBounds(5, 2, 4));
        sanctions.interim(CASE, SOUTH, 5, max);
        _expect(_outOfBounds(_now(), _now() + 1, max));
        sanctions.interim(CASE, SOUTH, 2, _now());
        _expect(_outOfBounds(max + 1, _now() + 1, max));
        sanctions.interim(CASE, SOUTH, 2, max + 1);
        sanctions.interim(CASE, SOUTH, 2, max);
        _expect(_exists(_interimId()));
        sanctions.interim(CASE, SOUTH, 3, max);
    }

    function test_EndInterimEndsItNow() public {
        _interim(4, _now() + DAY);
        vm.expectEmit(address(sanctions));
        emit ISanctions.SanctionLifted(_interimId(), CASE);
        sanctions.endInterim(CASE, SOUTH);
        assertTrue(institutions.isActive(SOUTH));
        assertEq(sanctions.sanctions(SOUTH).length, 0);
        vm.recordLogs();
        sanctions.endInterim(CASE, SOUTH);
        sanctions.endInterim(keccak256("no interim"), SOUTH);
        assertEq(vm.getRecordedLogs().length, 0, "nothing more to end");
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        sanctions.endInterim(CASE, SOUTH);
    }
}
