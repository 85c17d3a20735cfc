// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {ICareRegistry} from "../../contracts/interfaces/ICareRegistry.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {BreakGlassBase} from "./BreakGlassBase.t.sol";

/// @notice Emergency access, from its opening to a verdict.
contract BreakGlassTest is BreakGlassBase {
    uint256 private constant PENALTY = 10 * Score.ONE;

    function _refused(ICareRegistry.BreakGlass memory b, bytes memory why) private {
        _expect(why);
        _openCase(b);
    }

    function _act(Vm.Wallet memory by, string memory act, bytes memory parameters)
        private
        view
        returns (IModule.Auth memory)
    {
        return _consent(by, address(care), "CareRegistry", act, parameters);
    }

    // ── openBreakGlass ──

    function test_OpenIsStoredAndAnnounced() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        vm.expectEmit(address(care));
        emit ICareRegistry.BreakGlassOpened(
            _caseId(b), SOUTH, NORTH, medicId, b.openedAt, b.subjectCommit, REASON
        );
        bytes32 id = _openCase(b);
        assertEq(id, _caseId(b), "the id is the digest");
        ICareRegistry.BreakGlassCase memory c = care.breakGlass(id);
        assertEq(c.requester, SOUTH);
        assertEq(c.owner, NORTH);
        assertEq(c.credential, medicId);
        assertEq(c.openedAt, b.openedAt);
        assertEq(c.reportedAt, 0);
        assertFalse(c.coSigned);
        assertEq(c.subjectCommit, b.subjectCommit);
        assertEq(c.reportHash, 0);
        _caseIs(id, ICareRegistry.CaseStatus.Opened, 0);
        (bytes16 owner, bytes16 requester) = care.partiesOf(id);
        assertEq(owner, NORTH);
        assertEq(requester, SOUTH);
        _refused(b, _exists(id));
    }

    function test_OpenIsSignedAndPostedByEitherSide() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        bytes memory signature = _sign(medic, _caseId(b));
        _expect(_badSignature(second.addr));
        care.openBreakGlassBySig(b, second.addr, signature);
        vm.prank(north.addr);
        bytes32 id = care.openBreakGlassBySig(b, medic.addr, signature);
        _caseIs(id, ICareRegistry.CaseStatus.Opened, 0);
        _expect(_exists(id));
        care.openBreakGlassBySig(b, medic.addr, signature);
    }

    function test_OpenNeedsTheEmergencyCredentialNamed() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        _expect(_notParty(SOUTH, second.addr));
        vm.prank(second.addr);
        care.openBreakGlass(b);
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        care.openBreakGlass(b);
        b.credential = secondId;
        _refused(b, _notParty(secondId, medic.addr));
        b.credential = SOUTH;
        _refused(b, _notParty(SOUTH, medic.addr));
        vm.prank(south.addr);
        bytes32 id = care.openBreakGlass(b);
        assertEq(care.breakGlass(id).credential, SOUTH, "the institution itself may sign");
    }

    function test_OpenIsNeverStopped() public {
        _stop("CareRegistry");
        _caseIs(_opened(), ICareRegistry.CaseStatus.Opened, 0);
    }

    function test_OpenNeedsAnEffectiveRequesterAndAKnownOwner() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        b.owner = "nobody";
        _refused(b, _unknown("nobody"));
        b.owner = medicId;
        _refused(b, _unknown(medicId));
        b.owner = SOUTH;
        _refused(b, abi.encodeWithSelector(ICareRegistry.SameParty.selector, SOUTH));
        _suspendInstitution(NORTH, _now() + DAY);
        _opened();
        _suspendInstitution(SOUTH, _now() + DAY);
        _refused(_emergency(), _notActive(SOUTH, 5));
    }

    function test_OpenWithinTwoHoursOfAFullHour() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        uint64 hour = b.openedAt;
        b.openedAt = hour - 1;
        _refused(
            b, abi.encodeWithSelector(ICareRegistry.NotFullHour.selector, hour - 1, uint64(HOUR))
        );
        b.openedAt = hour + HOUR;
        _refused(b, _tooEarly(hour + HOUR));
        b.openedAt = 1 << 40;
        _refused(b, _outOfBounds(1 << 40, 0, type(uint40).max));
        b.openedAt = hour;
        vm.warp(hour + 2 * HOUR);
        _refused(b, _tooLate(hour + 2 * HOUR));
        vm.warp(hour + 2 * HOUR - 1);
        _openCase(b);
    }

    // ── coSign ──

    function test_CoSignStandsForIt() public {
        bytes32 id = _opened();
        vm.expectEmit(address(care));
        emit ICareRegistry.BreakGlassCoSigned(id, secondId);
        vm.prank(second.addr);
        care.coSign(id, secondId);
        _caseIs(id, ICareRegistry.CaseStatus.CoSigned, 0);
        assertTrue(care.breakGlass(id).coSigned);
        _expect(_wrongState(id, 2, 1));
        vm.prank(second.addr);
        care.coSign(id, secondId);
    }

    function test_CoSignIsAnotherCliniciansOfTheRequester() public {
        bytes32 id = _opened();
        _expect(_notParty(medicId, medic.addr));
        vm.prank(medic.addr);
        care.coSign(id, medicId);
        _expect(_notParty(secondId, medic.addr));
        vm.prank(medic.addr);
        care.coSign(id, secondId);
        (bytes16 clerkId, Vm.Wallet memory clerk) = _staff(south, SOUTH, "clerk", Roles.OFFICER);
        _expect(_notParty(SOUTH, clerk.addr));
        vm.prank(clerk.addr);
        care.coSign(id, clerkId);
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        care.coSign(id, NORTH);
        _expect(_unknown(keccak256("none")));
        vm.prank(second.addr);
        care.coSign(keccak256("none"), secondId);
    }

    function test_CoSignWithinADay() public {
        bytes32 id = _opened();
        uint64 deadline = care.breakGlass(id).openedAt + 24 * HOUR;
        vm.warp(deadline + 1);
        _expect(_tooLate(deadline));
        vm.prank(second.addr);
        care.coSign(id, secondId);
        vm.warp(deadline);
        vm.prank(second.addr);
        care.coSign(id, secondId);
    }

    function test_CoSignIsSignedAndRelayed() public {
        bytes32 id = _opened();
        IModule.Auth memory auth = _act(
            second,
            "CoSign(bytes32 id,bytes16 credential,uint256 nonce,uint64 deadline)",
            abi.encode(id, secondId)
        );
        _expect(_badSignature(second.addr));
        care.coSignBySig(id, medicId, auth);
        vm.prank(relayer);
        care.coSignBySig(id, secondId, auth);
        _caseIs(id, ICareRegistry.CaseStatus.CoSigned, 0);
    }

    // ── report ──

    function test_ReportStartsTheReview() public {
        bytes32 id = _coSigned();
        vm.warp(_now() + DAY);
        vm.expectEmit(address(care));
        emit ICareRegistry.BreakGlassReported(id, REPORT_HASH, _now());
        vm.prank(south.addr);
        care.report(id, REPORT_HASH);
        _caseIs(id, ICareRegistry.CaseStatus.UnderReview, 0);
        assertEq(care.breakGlass(id).reportedAt, _now());
        assertEq(care.breakGlass(id).reportHash, REPORT_HASH);
        _expect(_wrongState(id, 4, 1));
        vm.prank(south.addr);
        care.report(id, REPORT_HASH);
        _expect(_wrongState(id, 4, 1));
        vm.prank(second.addr);
        care.coSign(id, secondId);
    }

    function test_ReportOfACaseThatNobodyCoSigned() public {
        bytes32 id = _opened();
        vm.prank(south.addr);
        care.report(id, REPORT_HASH);
        _caseIs(id, ICareRegistry.CaseStatus.UnderReview, 0);
        assertFalse(care.breakGlass(id).coSigned);

        id = _opened();
        vm.warp(_now() + DAY + HOUR);
        care.closeBreakGlass(id);
        vm.prank(south.addr);
        care.report(id, REPORT_HASH);
        _caseIs(id, ICareRegistry.CaseStatus.UnderReview, 0);
    }

    function test_ReportIsTheRequestersOfficersWithin72Hours() public {
        bytes32 id = _coSigned();
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        care.report(id, REPORT_HASH);
        _expect(_notParty(SOUTH, medic.addr));
        vm.prank(medic.addr);
        care.report(id, REPORT_HASH);
        _expect(_unknown(keccak256("none")));
        vm.prank(south.addr);
        care.report(keccak256("none"), REPORT_HASH);
        uint64 deadline = care.breakGlass(id).openedAt + 72 * HOUR;
        vm.warp(deadline + 1);
        _expect(_tooLate(deadline));
        vm.prank(south.addr);
        care.report(id, REPORT_HASH);
        vm.warp(deadline);
        vm.prank(south.addr);
        care.report(id, REPORT_HASH);
    }

    function test_ReportIsSignedAndRelayed() public {
        bytes32 id = _coSigned();
        IModule.Auth memory auth = _act(
            south,
            "Report(bytes32 id,bytes32 reportHash,uint256 nonce,uint64 deadline)",
            abi.encode(id, REPORT_HASH)
        );
        _expect(_badSignature(south.addr));
        care.reportBySig(id, REVIEW_HASH, auth);
        care.reportBySig(id, REPORT_HASH, auth);
        _caseIs(id, ICareRegistry.CaseStatus.UnderReview, 0);
    }

    // ── review ──

    function test_JustifiedCostsNothing() public {
        bytes32 id = _reported();
        vm.expectEmit(address(care));
        emit ICareRegistry.BreakGlassReviewed(id, true, REVIEW_HASH);
        vm.prank(north.addr);
        care.review(id, true, REVIEW_HASH);
        _caseIs(id, ICareRegistry.CaseStatus.Justified, 0);
        _scoreIs(SOUTH, 0, 0);
        _absorbing(id, 5);
    }

    function test_UnjustifiedCostsTheRequester() public {
        bytes32 id = _reported();
        vm.expectEmit(address(care));
        emit ICareRegistry.BreakGlassReviewed(id, false, REVIEW_HASH);
        vm.prank(north.addr);
        care.review(id, false, REVIEW_HASH);
        _caseIs(id, ICareRegistry.CaseStatus.Unjustified, 0);
        _scoreIs(SOUTH, 0, PENALTY);
        assertFalse(care.liveBreakGlass(id, _now()), "its access ends with the verdict");
        _absorbing(id, 6);
    }

    function test_ReviewIsTheOwnersOfficersWithin72Hours() public {
        bytes32 id = _coSigned();
        _expect(_wrongState(id, 2, 4));
        vm.prank(north.addr);
        care.review(id, true, REVIEW_HASH);
        vm.prank(south.addr);
        care.report(id, REPORT_HASH);
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        care.review(id, true, REVIEW_HASH);
        _expect(_unknown(keccak256("none")));
        vm.prank(north.addr);
        care.review(keccak256("none"), true, REVIEW_HASH);
        uint64 deadline = _now() + 72 * HOUR;
        vm.warp(deadline + 1);
        _expect(_tooLate(deadline));
        vm.prank(north.addr);
        care.review(id, true, REVIEW_HASH);
        vm.warp(deadline);
        vm.prank(north.addr);
        care.review(id, true, REVIEW_HASH);
    }

    function test_ReviewIsSignedAndRelayed() public {
        bytes32 id = _reported();
        IModule.Auth memory auth = _act(
            north,
            "Review(bytes32 id,bool justified,bytes32 reviewHash,uint256 nonce,uint64 deadline)",
            abi.encode(id, true, REVIEW_HASH)
        );
        _expect(_badSignature(north.addr));
        care.reviewBySig(id, false, REVIEW_HASH, auth);
        care.reviewBySig(id, true, REVIEW_HASH, auth);
        _caseIs(id, ICareRegistry.CaseStatus.Justified, 0);
    }

    // ── closeBreakGlass ──

    function test_CloseMarksACaseThatNobodyCoSigned() public {
        bytes32 id = _opened();
        uint64 deadline = care.breakGlass(id).openedAt + 24 * HOUR;
        vm.warp(deadline);
        _expect(_tooEarly(deadline + 1));
        care.closeBreakGlass(id);
        vm.warp(deadline + 1);
        vm.expectEmit(address(care));
        emit ICareRegistry.BreakGlassClosed(id, ICareRegistry.CaseStatus.Uncosigned, 0);
        vm.prank(stranger);
        care.closeBreakGlass(id);
        _caseIs(id, ICareRegistry.CaseStatus.Uncosigned, 0);
        _scoreIs(SOUTH, 0, 0);
        uint64 reportBy = deadline + 48 * HOUR;
        _expect(_tooEarly(reportBy + 1));
        care.closeBreakGlass(id);
        _expect(_wrongState(id, 3, 1));
        vm.prank(second.addr);
        care.coSign(id, secondId);
    }

    function test_CloseWaitsForTheReportOfACoSignedCase() public {
        bytes32 id = _coSigned();
        uint64 reportBy = care.breakGlass(id).openedAt + 72 * HOUR;
        vm.warp(reportBy);
        _expect(_tooEarly(reportBy + 1));
        care.closeBreakGlass(id);
    }

    function test_CloseNamesWhoDidNotReport() public {
        bytes32[3] memory ids = [_opened(), _coSigned(), _opened()];
        vm.warp(_now() + 25 * HOUR);
        care.closeBreakGlass(ids[2]);
        vm.warp(_now() + 48 * HOUR);
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(care));
            emit ICareRegistry.BreakGlassClosed(ids[i], ICareRegistry.CaseStatus.Overdue, 10);
            care.closeBreakGlass(ids[i]);
            _caseIs(ids[i], ICareRegistry.CaseStatus.Overdue, 10);
        }
        (, uint256 s) = _sums(SOUTH);
        assertEq(s, 3 * PENALTY);
        _absorbing(ids[0], 7);
    }

    function test_CloseCountsASilentOwnersReviewAsJustified() public {
        bytes32 id = _reported();
        uint64 deadline = _now() + 72 * HOUR;
        vm.warp(deadline);
        _expect(_tooEarly(deadline + 1));
        care.closeBreakGlass(id);
        vm.warp(deadline + 1);
        vm.expectEmit(address(care));
        emit ICareRegistry.BreakGlassClosed(id, ICareRegistry.CaseStatus.Justified, 13);
        care.closeBreakGlass(id);
        _caseIs(id, ICareRegistry.CaseStatus.Justified, 13);
        _scoreIs(NORTH, 0, Score.ONE / 2);
        _scoreIs(SOUTH, 0, 0);
        _absorbing(id, 5);
    }

    function test_CloseNeedsACase() public {
        _expect(_unknown(keccak256("none")));
        care.closeBreakGlass(keccak256("none"));
    }

    /// @dev A verdict refuses every act, whoever tries.
    function _absorbing(bytes32 id, uint8 state) private {
        vm.warp(_now() + 10 * DAY);
        _expect(_wrongState(id, state, 1));
        vm.prank(second.addr);
        care.coSign(id, secondId);
        _expect(_wrongState(id, state, 1));
        vm.prank(south.addr);
        care.report(id, REPORT_HASH);
        _expect(_wrongState(id, state, 4));
        vm.prank(north.addr);
        care.review(id, true, REVIEW_HASH);
        _expect(_wrongState(id, state, 1));
        care.closeBreakGlass(id);
    }

    // ── proveUnreported ──

    function test_ProofOfAnUnpostedCaseNamesTheRequester() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        bytes memory signature = _sign(medic, _caseId(b));
        _expect(_tooEarly(b.openedAt + 2 * HOUR));
        care.proveUnreported(b, medic.addr, signature);
        vm.warp(b.openedAt + 2 * HOUR);
        vm.expectEmit(address(care));
        emit ICareRegistry.BreakGlassOpened(
            _caseId(b), SOUTH, NORTH, medicId, b.openedAt, b.subjectCommit, REASON
        );
        vm.expectEmit(address(care));
        emit ICareRegistry.BreakGlassClosed(_caseId(b), ICareRegistry.CaseStatus.Overdue, 11);
        vm.prank(stranger);
        bytes32 id = care.proveUnreported(b, medic.addr, signature);
        assertEq(id, _caseId(b));
        _caseIs(id, ICareRegistry.CaseStatus.Overdue, 11);
        _scoreIs(SOUTH, 0, PENALTY);
        assertFalse(care.liveBreakGlass(id, _now()));
        _expect(_exists(id));
        care.proveUnreported(b, medic.addr, signature);
    }

    function test_ProofNotOfAPostedCaseNorAfterThirtyDays() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        bytes32 id = _openCase(b);
        bytes memory signature = _sign(medic, id);
        ICareRegistry.BreakGlass memory old = _emergency();
        bytes memory oldSignature = _sign(medic, _caseId(old));
        vm.warp(b.openedAt + 2 * HOUR);
        _expect(_exists(id));
        care.proveUnreported(b, medic.addr, signature);
        uint64 deadline = old.openedAt + 30 * DAY;
        vm.warp(deadline + 1);
        _expect(_tooLate(deadline));
        care.proveUnreported(old, medic.addr, oldSignature);
        vm.warp(deadline);
        care.proveUnreported(old, medic.addr, oldSignature);
    }

    function test_ProofNeedsTheCredentialsOwnSignature() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        bytes memory byMedic = _sign(medic, _caseId(b));
        bytes memory bySecond = _sign(second, _caseId(b));
        vm.warp(_now() + 3 * HOUR);
        _expect(_badSignature(second.addr));
        care.proveUnreported(b, second.addr, byMedic);
        _expect(_badSignature(second.addr));
        care.proveUnreported(b, second.addr, bySecond);
        _expect(_badSignature(medic.addr));
        care.proveUnreported(b, medic.addr, bySecond);
        _expect(_badSignature(relayer));
        care.proveUnreported(b, relayer, byMedic);
    }

    function test_ProofNeedsAKeyThatWasValidThen() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        b.openedAt -= HOUR;
        bytes memory signature = _sign(medic, _caseId(b));
        vm.warp(_now() + 3 * HOUR);
        _expect(_badSignature(medic.addr));
        care.proveUnreported(b, medic.addr, signature);
    }

    function test_ProofNeedsACredentialOfTheRequester() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        b.requester = INSPECTORATE;
        bytes memory signature = _sign(medic, _caseId(b));
        vm.warp(_now() + 3 * HOUR);
        _expect(_notParty(INSPECTORATE, medic.addr));
        care.proveUnreported(b, medic.addr, signature);
    }

    function test_ProofNeedsAFullHour() public {
        ICareRegistry.BreakGlass memory b = _emergency();
        b.openedAt += 1;
        bytes memory signature = _sign(medic, _caseId(b));
        vm.warp(_now() + 3 * HOUR);
        _expect(
            abi.encodeWithSelector(ICareRegistry.NotFullHour.selector, b.openedAt, uint64(HOUR))
        );
        care.proveUnreported(b, medic.addr, signature);
    }

    // ── liveBreakGlass ──

    function test_AccessEndsAfterADay() public {
        bytes32 id = _coSigned();
        uint64 opened = care.breakGlass(id).openedAt;
        assertFalse(care.liveBreakGlass(id, opened - 1));
        assertTrue(care.liveBreakGlass(id, opened));
        assertTrue(care.liveBreakGlass(id, opened + 24 * HOUR - 1));
        assertFalse(care.liveBreakGlass(id, opened + 24 * HOUR));
        assertFalse(care.liveBreakGlass(keccak256("none"), opened));
        _suspendInstitution(SOUTH, _now() + DAY);
        assertFalse(care.liveBreakGlass(id, _now()), "requester suspended");
    }

    /// @dev Whoever is silent, one call for each stage that is over leads to a verdict in 144 h.
    function testFuzz_EveryCaseEndsWithin144Hours(uint8 silence, uint32 delay) public {
        bytes32 id = _opened();
        uint64 opened = care.breakGlass(id).openedAt;
        if (silence & 1 == 0) {
            vm.prank(second.addr);
            care.coSign(id, secondId);
        }
        vm.warp(opened + delay % (72 * HOUR));
        if (silence & 2 == 0) {
            vm.prank(south.addr);
            care.report(id, REPORT_HASH);
            if (silence & 4 == 0) {
                vm.prank(north.addr);
                care.review(id, silence & 8 == 0, REVIEW_HASH);
            }
        }
        vm.warp(opened + 144 * HOUR + 1);
        if (care.breakGlass(id).status < ICareRegistry.CaseStatus.Justified) {
            care.closeBreakGlass(id);
        }
        assertGe(
            uint8(care.breakGlass(id).status),
            uint8(ICareRegistry.CaseStatus.Justified),
            "a verdict"
        );
        assertFalse(care.liveBreakGlass(id, opened + 24 * HOUR), "over");
    }
}
