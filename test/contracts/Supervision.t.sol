// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IIncentives} from "../../contracts/interfaces/IIncentives.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {ISupervision} from "../../contracts/interfaces/ISupervision.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {SanctionRules} from "../../contracts/libraries/SanctionRules.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice A complaint, from filing to its end by rule, concession or withdrawal.
contract SupervisionTest is AccessBase {
    bytes32 private constant ANSWER = keccak256("answer");

    function _file(address by, ISupervision.Complaint memory c) private returns (bytes32) {
        vm.prank(by);
        return supervision.file(c);
    }

    function _refused(ISupervision.Complaint memory c, bytes memory why) private {
        _expect(why);
        _file(south.addr, c);
    }

    function _idOf(ISupervision.Complaint memory c) private view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "Complaint(bytes16 complainant,bytes16 respondent,uint8 kind,bytes32 subject,bytes32 evidenceHash,uint64 happenedAt,bytes32 salt)"
        );
        return _digest(address(supervision), "Supervision", keccak256(abi.encode(typeHash, c)));
    }

    function _relayed(Vm.Wallet memory by, string memory act, bytes memory parameters)
        private
        view
        returns (IModule.Auth memory)
    {
        return _consent(by, address(supervision), "Supervision", act, parameters);
    }

    function _closed(bytes32 caseId, ISupervision.Stage stage, uint8 ruling, uint8 severity)
        private
        view
    {
        ISupervision.Case memory c = supervision.caseOf(caseId);
        assertEq(uint8(c.stage), uint8(stage), "stage");
        assertEq(c.ruling, ruling, "ruling");
        assertEq(c.severity, severity, "severity");
        assertEq(c.deadline, 0, "no deadline");
    }

    /// @dev Credits for `inst`, so that it can lock bonds.
    function _credit(bytes16 inst) private {
        _take(Roles.ACCRUERS_ROLE);
        for (uint256 i = 0; i < 4; ++i) {
            incentives.accrue(inst, 0, 4, 0, 0);
        }
    }

    // ── file ──

    function test_FileIsStoredAndAnnounced() public {
        bytes32 subject = _offered();
        ISupervision.Complaint memory c = _complaint(subject);
        vm.expectEmit(address(supervision));
        emit ISupervision.ComplaintFiled(
            _idOf(c), SOUTH, NORTH, 1, subject, c.evidenceHash, _now() + 7 * DAY
        );
        bytes32 caseId = _file(south.addr, c);
        assertEq(caseId, _idOf(c), "the id is the digest");
        ISupervision.Case memory filed = supervision.caseOf(caseId);
        assertEq(filed.complainant, SOUTH);
        assertEq(filed.respondent, NORTH);
        assertEq(filed.subject, subject);
        assertEq(filed.evidenceRoot, c.evidenceHash);
        assertEq(filed.kind, 1);
        assertEq(uint8(filed.stage), uint8(ISupervision.Stage.Filed));
        assertEq(filed.filedAt, _now());
        assertEq(filed.deadline, _now() + 7 * DAY);
        assertEq(filed.bond, 0, "the first open case is free");
        assertEq(filed.ruling, 0);
        assertEq(supervision.openCases(SOUTH), 1);
        assertEq(supervision.openCases(NORTH), 0);
    }

    function test_EitherSideOfAGrantMayFile() public {
        ISupervision.Complaint memory c = _complaint(_requested());
        c.kind = 5;
        (c.complainant, c.respondent) = (NORTH, SOUTH);
        _file(north.addr, c);
    }

    function test_FileIsSignedAndRelayed() public {
        (, Vm.Wallet memory officer) = _staff(south, SOUTH, "officer", Roles.OFFICER);
        ISupervision.Complaint memory c = _complaint(_offered());
        bytes memory signature = _sign(officer, _idOf(c));
        _expect(_badSignature(south.addr));
        supervision.fileBySig(c, south.addr, signature);
        vm.prank(relayer);
        bytes32 caseId = supervision.fileBySig(c, officer.addr, signature);
        _expect(_exists(caseId));
        supervision.fileBySig(c, officer.addr, signature);
    }

    function test_FileWhileSuspended() public {
        bytes32 subject = _offered();
        _suspendInstitution(SOUTH, _now() + DAY);
        _filed(subject);
    }

    function test_FileNeedsAnOfficerAndParties() public {
        bytes32 subject = _offered();
        ISupervision.Complaint memory c = _complaint(subject);
        _expect(_notParty(SOUTH, north.addr));
        _file(north.addr, c);
        (, Vm.Wallet memory steward) = _staff(south, SOUTH, "steward", Roles.STEWARD);
        _expect(_notParty(SOUTH, steward.addr));
        _file(steward.addr, c);

        c = _complaint(subject);
        c.respondent = INSPECTORATE;
        _refused(c, _notParty(INSPECTORATE, south.addr));
        c.respondent = SOUTH;
        _refused(c, _notParty(SOUTH, south.addr));
        c = _complaint(subject);
        c.complainant = INSPECTORATE;
        _expect(_notParty(INSPECTORATE, inspectorate.addr));
        _file(inspectorate.addr, c);
        _refused(_complaint(keccak256("none")), _unknown(keccak256("none")));
    }

    function test_FileRefusals() public {
        bytes32 subject = _offered();
        ISupervision.Complaint memory c = _complaint(subject);
        c.kind = 0;
        _refused(c, _outOfBounds(0, 1, 9));
        c.kind = 10;
        _refused(c, _outOfBounds(10, 1, 9));
        c = _complaint(subject);
        c.happenedAt = _now() + 1;
        _refused(c, _tooEarly(_now() + 1));
        c.happenedAt = _now();
        vm.warp(_now() + 180 * DAY + 1);
        _refused(c, _tooLate(_now() - 1));
        vm.warp(_now() - 1);
        _file(south.addr, c);
    }

    function test_FalseComplaintIsAboutACase() public {
        bytes32 caseId = _filed(_offered());
        ISupervision.Complaint memory c = _complaint(caseId);
        c.kind = 9;
        (c.complainant, c.respondent) = (NORTH, SOUTH);
        _file(north.addr, c);
        c.subject = keccak256("none");
        _expect(_unknown(keccak256("none")));
        _file(north.addr, c);
        // The other kinds are about deliveries and grants.
        _refused(_complaint(caseId), _unknown(caseId));
    }

    function test_FurtherOpenCasesLockCredits() public {
        bytes32 subject = _offered();
        _filed(subject);
        _refused(
            _complaint(subject),
            abi.encodeWithSelector(IIncentives.NotEnough.selector, 0, 10_000_000)
        );
        _credit(SOUTH);
        bytes32 second = _filed(subject);
        assertEq(supervision.caseOf(second).bond, 10_000_000);
        assertEq(incentives.creditsOf(SOUTH).locked, 10_000_000);
        assertEq(supervision.openCases(SOUTH), 2);
        vm.prank(south.addr);
        supervision.withdrawComplaint(second);
        assertEq(incentives.creditsOf(SOUTH).locked, 0, "bond back");
        assertEq(incentives.creditsOf(SOUTH).balance, 60_000_000);
    }

    function test_SixteenOpenCasesAtMost() public {
        bytes32 subject = _offered();
        vm.mockCall(address(incentives), abi.encodePacked(incentives.lock.selector), "");
        for (uint256 i = 0; i < 16; ++i) {
            _filed(subject);
        }
        _refused(_complaint(subject), _outOfBounds(17, 0, 16));
    }

    // ── respond ──

    function test_AnswerOpensEvidence() public {
        bytes32 caseId = _filed(_offered());
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        supervision.respond(caseId, ANSWER);
        vm.warp(_now() + 7 * DAY);
        vm.expectEmit(address(supervision));
        emit ISupervision.ComplaintAnswered(caseId, ANSWER, _now() + 7 * DAY);
        vm.startPrank(north.addr);
        supervision.respond(caseId, ANSWER);
        ISupervision.Case memory c = supervision.caseOf(caseId);
        assertEq(uint8(c.stage), uint8(ISupervision.Stage.Evidence));
        assertEq(c.deadline, _now() + 7 * DAY);
        _expect(_wrongState(caseId, 4, 1));
        supervision.respond(caseId, ANSWER);
        _expect(_unknown(keccak256("none")));
        supervision.respond(keccak256("none"), ANSWER);
    }

    function test_AnswerNotAfterTheDeadline() public {
        bytes32 caseId = _filed(_offered());
        uint64 deadline = supervision.caseOf(caseId).deadline;
        vm.warp(deadline + 1);
        _expect(_tooLate(deadline));
        vm.prank(north.addr);
        supervision.respond(caseId, ANSWER);
    }

    function test_AnswerIsSignedAndRelayed() public {
        bytes32 caseId = _filed(_offered());
        supervision.respondBySig(
            caseId,
            ANSWER,
            _relayed(
                north,
                "Respond(bytes32 caseId,bytes32 answerHash,uint256 nonce,uint64 deadline)",
                abi.encode(caseId, ANSWER)
            )
        );
        assertEq(uint8(supervision.caseOf(caseId).stage), uint8(ISupervision.Stage.Evidence));
    }

    // ── concede, withdraw ──

    function test_ConcededCaseIsUpheldAsMinor() public {
        bytes32 caseId = _filed(_offered());
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        supervision.concede(caseId);
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseConceded(caseId);
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseExecuted(caseId, Codes.UPHELD);
        vm.startPrank(north.addr);
        supervision.concede(caseId);
        _closed(caseId, ISupervision.Stage.Executed, Codes.UPHELD, Codes.MINOR);
        assertEq(supervision.openCases(SOUTH), 0);
        assertEq(sanctions.levelOf(NORTH), SanctionRules.WARN);
        (, uint256 s) = _sums(NORTH);
        assertEq(s, 3 * Score.ONE);
        _expect(_wrongState(caseId, 11, 1));
        supervision.concede(caseId);
    }

    function test_ConcedeAfterTheAnswerRelayed() public {
        bytes32 caseId = _filed(_offered());
        vm.prank(north.addr);
        supervision.respond(caseId, ANSWER);
        supervision.concedeBySig(
            caseId,
            _relayed(
                north, "Concede(bytes32 caseId,uint256 nonce,uint64 deadline)", abi.encode(caseId)
            )
        );
        _closed(caseId, ISupervision.Stage.Executed, Codes.UPHELD, Codes.MINOR);
    }

    function test_WithdrawOnlyBeforeTheAnswer() public {
        bytes32 subject = _offered();
        bytes32 caseId = _filed(subject);
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        supervision.withdrawComplaint(caseId);
        vm.expectEmit(address(supervision));
        emit ISupervision.ComplaintWithdrawn(caseId);
        vm.prank(south.addr);
        supervision.withdrawComplaint(caseId);
        _closed(caseId, ISupervision.Stage.Withdrawn, 0, 0);
        assertEq(supervision.openCases(SOUTH), 0);
        _expect(_wrongState(caseId, 13, 1));
        supervision.closeByRule(caseId);

        caseId = _filed(subject);
        vm.prank(north.addr);
        supervision.respond(caseId, ANSWER);
        _expect(_wrongState(caseId, 4, 1));
        vm.prank(south.addr);
        supervision.withdrawComplaint(caseId);
    }

    function test_WithdrawIsSignedAndRelayed() public {
        bytes32 caseId = _filed(_offered());
        supervision.withdrawComplaintBySig(
            caseId,
            _relayed(
                south,
                "WithdrawComplaint(bytes32 caseId,uint256 nonce,uint64 deadline)",
                abi.encode(caseId)
            )
        );
        _closed(caseId, ISupervision.Stage.Withdrawn, 0, 0);
    }

    // ── by rule ──

    function test_MissedTimeIsMinor() public {
        bytes32 caseId = _filed(_keyOverdue());
        (, uint256 before) = _sums(NORTH);
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseDecidedByRule(caseId, 2, Codes.UPHELD, Codes.MINOR);
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseExecuted(caseId, Codes.UPHELD);
        vm.prank(stranger);
        supervision.closeByRule(caseId);
        _closed(caseId, ISupervision.Stage.Executed, Codes.UPHELD, Codes.MINOR);
        assertEq(sanctions.levelOf(NORTH), SanctionRules.WARN);
        (, uint256 s) = _sums(NORTH);
        assertEq(s, before + 3 * Score.ONE);
        assertEq(supervision.openCases(SOUTH), 0);
        _expect(_wrongState(caseId, 11, 1));
        supervision.closeByRule(caseId);
    }

    function test_ContradictionIsMajor() public {
        bytes32 subject = _offered();
        vm.mockCall(
            address(ledger),
            abi.encodeCall(ledger.faultOf, (subject)),
            abi.encode(Codes.BAD_LEAF, Codes.SIDE_OWNER)
        );
        bytes32 caseId = _filed(subject);
        supervision.closeByRule(caseId);
        _closed(caseId, ISupervision.Stage.Executed, Codes.UPHELD, Codes.MAJOR);
        assertEq(sanctions.levelOf(NORTH), SanctionRules.NO_REQUEST);
        (, uint256 s) = _sums(NORTH);
        assertEq(s, 10 * Score.ONE);
    }

    function test_DecidedAfterTheAnswerToo() public {
        bytes32 caseId = _filed(_keyOverdue());
        vm.prank(north.addr);
        supervision.respond(caseId, ANSWER);
        supervision.closeByRule(caseId);
        _closed(caseId, ISupervision.Stage.Executed, Codes.UPHELD, Codes.MINOR);
    }

    function test_OwnFaultIsDismissed() public {
        bytes32 subject = _offered();
        vm.warp(ledger.delivery(subject).receiptBy + 1);
        ledger.expire(subject);
        bytes32 caseId = _filed(subject);
        supervision.closeByRule(caseId);
        _closed(caseId, ISupervision.Stage.Executed, Codes.DISMISSED, 0);
        assertEq(sanctions.levelOf(NORTH), 0);
        assertEq(sanctions.levelOf(SOUTH), 0);
    }

    function test_SilenceAboutARequestIsDecidedToo() public {
        bytes32 grantId = _requested();
        vm.warp(access.grant(grantId).answerBy + 1);
        access.lapse(grantId);
        bytes32 caseId = _filed(grantId);
        supervision.closeByRule(caseId);
        _closed(caseId, ISupervision.Stage.Executed, Codes.UPHELD, Codes.MINOR);
    }

    function test_MissedDutyIsDecidedToo() public {
        bytes32 grantId = _granted();
        vm.warp(_now() + 3 * DAY + 1);
        ledger.expireDuty(grantId);
        bytes32 caseId = _filed(grantId);
        supervision.closeByRule(caseId);
        _closed(caseId, ISupervision.Stage.Executed, Codes.UPHELD, Codes.MINOR);
    }

    function test_WithoutAFaultThereIsNoRule() public {
        bytes32 caseId = _filed(_offered());
        _expect(abi.encodeWithSelector(ISupervision.NotDecidable.selector));
        supervision.closeByRule(caseId);
        _expect(_unknown(keccak256("none")));
        supervision.closeByRule(keccak256("none"));
    }

    function test_NobodyIsSanctionedTwiceForOneFault() public {
        bytes32 subject = _keyOverdue();
        _credit(SOUTH);
        bytes32 first = _filed(subject);
        bytes32 second = _filed(subject);
        supervision.closeByRule(first);
        (, uint256 once) = _sums(NORTH);
        supervision.closeByRule(second);
        (, uint256 twice) = _sums(NORTH);
        _closed(second, ISupervision.Stage.Executed, Codes.DISMISSED, 0);
        assertEq(twice, once);
        assertEq(sanctions.sanctions(NORTH).length, 1);
        assertEq(incentives.creditsOf(SOUTH).locked, 0, "bond back");
    }
}
