// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {ICredibility} from "../../contracts/interfaces/ICredibility.sol";
import {IDataHubRegistry} from "../../contracts/interfaces/IDataHubRegistry.sol";
import {IFaults} from "../../contracts/interfaces/IFaults.sol";
import {IIncentives} from "../../contracts/interfaces/IIncentives.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {ISanctions} from "../../contracts/interfaces/ISanctions.sol";
import {ISupervision} from "../../contracts/interfaces/ISupervision.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {SanctionRules} from "../../contracts/libraries/SanctionRules.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {PanelBase} from "./PanelBase.t.sol";

/// @notice The part of a complaint's life that peers decide, and complaints of hubs and about
/// emergency access and jobs (Supervision.tree).
contract SupervisionPanelTest is PanelBase {
    uint64 private constant CREDIT = 1_000_000;
    bytes32 private constant PIECE = keccak256("piece of evidence");

    function _respond(bytes32 caseId) private {
        vm.prank(north.addr);
        supervision.respond(caseId, keccak256("answer"));
    }

    function _submit(address account, bytes32 caseId, bytes16 by) private {
        vm.prank(account);
        supervision.submitEvidence(caseId, by, PIECE);
    }

    function _executedAs(bytes32 caseId, uint8 ruling, uint8 severity) private view {
        ISupervision.Case memory c = supervision.caseOf(caseId);
        assertEq(uint8(c.stage), uint8(ISupervision.Stage.Executed), "stage");
        assertEq(c.ruling, ruling, "ruling");
        assertEq(c.severity, severity, "severity");
        assertEq(c.deadline, 0, "no deadline");
        assertEq(supervision.openCases(c.complainant), 0, "closed");
    }

    /// @dev Ruled by a first panel, with no appeal in time.
    function _final(bytes32 caseId, uint8 verdict, uint8 severity) private {
        _ruled(caseId, verdict, severity);
        _pastDeadline(caseId);
        supervision.execute(caseId);
    }

    // ── submitEvidence ──

    function test_EvidenceIsChainedAndTold() public {
        bytes32 caseId = _filed(_offered());
        _respond(caseId);
        bytes32 root = supervision.caseOf(caseId).evidenceRoot;
        vm.warp(supervision.caseOf(caseId).deadline);
        vm.expectEmit(address(supervision));
        emit ISupervision.EvidenceSubmitted(caseId, SOUTH, PIECE, 1);
        _submit(south.addr, caseId, SOUTH);
        root = keccak256(abi.encodePacked(root, SOUTH, PIECE));
        assertEq(supervision.caseOf(caseId).evidenceRoot, root);

        _submit(north.addr, caseId, NORTH);
        root = keccak256(abi.encodePacked(root, NORTH, PIECE));
        vm.expectEmit(address(supervision));
        emit ISupervision.EvidenceSubmitted(caseId, NORTH, PIECE, 2);
        _submit(north.addr, caseId, NORTH);
        root = keccak256(abi.encodePacked(root, NORTH, PIECE));
        _submit(inspectorate.addr, caseId, INSPECTORATE);
        root = keccak256(abi.encodePacked(root, INSPECTORATE, PIECE));

        ISupervision.Case memory c = supervision.caseOf(caseId);
        assertEq(c.evidenceRoot, root);
        assertEq(c.evidence[0], 1, "complainant's");
        assertEq(c.evidence[1], 2, "respondent's");
        assertEq(c.evidence[2], 1, "supervisors'");
        assertFalse(c.silent);
    }

    function test_EvidenceIsSignedAndRelayed() public {
        bytes32 caseId = _filed(_offered());
        _respond(caseId);
        (, Vm.Wallet memory officer) = _staff(south, SOUTH, "officer", Roles.OFFICER);
        IModule.Auth memory auth = _consent(
            officer,
            address(supervision),
            "Supervision",
            "SubmitEvidence(bytes32 caseId,bytes16 by,bytes32 evidenceHash,uint256 nonce,uint64 deadline)",
            abi.encode(caseId, SOUTH, PIECE)
        );
        vm.prank(relayer);
        supervision.submitEvidenceBySig(caseId, SOUTH, PIECE, auth);
        assertEq(supervision.caseOf(caseId).evidence[0], 1);
    }

    function test_EvidenceEndsAt24ASide() public {
        bytes32 caseId = _filed(_offered());
        _respond(caseId);
        for (uint256 i = 0; i < 24; ++i) {
            _submit(south.addr, caseId, SOUTH);
            _submit(north.addr, caseId, NORTH);
        }
        _expect(_outOfBounds(25, 1, 24));
        _submit(south.addr, caseId, SOUTH);
        _expect(_outOfBounds(25, 1, 24));
        _submit(north.addr, caseId, NORTH);
        _submit(inspectorate.addr, caseId, INSPECTORATE);
    }

    function test_EvidenceRefusals() public {
        _judges(1);
        bytes32 caseId = _filed(_offered());
        _expect(_wrongState(caseId, 1, 4));
        _submit(south.addr, caseId, SOUTH);
        _respond(caseId);
        _expect(_notParty(SOUTH, north.addr));
        _submit(north.addr, caseId, SOUTH);
        (, Vm.Wallet memory steward) = _staff(south, SOUTH, "steward", Roles.STEWARD);
        _expect(_notParty(SOUTH, steward.addr));
        _submit(steward.addr, caseId, SOUTH);
        _expect(_notParty(peers[0].inst, peers[0].account.addr));
        _submit(peers[0].account.addr, caseId, peers[0].inst);
        _expect(_notParty(0, stranger));
        _submit(stranger, caseId, 0);
        uint64 deadline = supervision.caseOf(caseId).deadline;
        vm.warp(deadline + 1);
        _expect(_tooLate(deadline));
        _submit(south.addr, caseId, SOUTH);
        _expect(_unknown(keccak256("none")));
        _submit(south.addr, keccak256("none"), SOUTH);
    }

    function test_EvidenceOfASupervisorThatIsNotActive() public {
        bytes32 caseId = _filed(_offered());
        _respond(caseId);
        _suspendInstitution(INSPECTORATE, _now() + DAY);
        _expect(_notActive(INSPECTORATE, 5));
        _submit(inspectorate.addr, caseId, INSPECTORATE);
    }

    // ── advance ──

    function test_AdvancePassesSilence() public {
        bytes32 caseId = _filed(_offered());
        uint64 deadline = supervision.caseOf(caseId).deadline;
        vm.warp(deadline);
        _expect(_tooEarly(deadline + 1));
        supervision.advance(caseId);
        vm.warp(deadline + 1);
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseAdvanced(caseId, ISupervision.Stage.Silent, _now() + 7 * DAY);
        vm.prank(stranger);
        supervision.advance(caseId);
        ISupervision.Case memory c = supervision.caseOf(caseId);
        assertEq(uint8(c.stage), uint8(ISupervision.Stage.Evidence));
        assertEq(c.deadline, _now() + 7 * DAY);
        assertTrue(c.silent);
    }

    function test_AdvanceDrawsAPanel() public {
        _judges(3);
        bytes32 caseId = _filed(_offered());
        _respond(caseId);
        uint64 deadline = supervision.caseOf(caseId).deadline;
        vm.warp(deadline);
        _expect(_tooEarly(deadline + 1));
        supervision.advance(caseId);
        vm.warp(deadline + 1);
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseAdvanced(caseId, ISupervision.Stage.Panel, 0);
        supervision.advance(caseId);
        ISupervision.Case memory c = supervision.caseOf(caseId);
        assertEq(uint8(c.stage), uint8(ISupervision.Stage.Panel));
        assertEq(c.deadline, 0);
        assertEq(c.round, 1);
        assertEq(arbitration.panel(caseId, 1).size, 3);
        _expect(_wrongState(caseId, 6, 1));
        supervision.advance(caseId);
        _expect(_unknown(keccak256("none")));
        supervision.advance(keccak256("none"));
    }

    function test_PanelEndsTheShortWays() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _expect(_wrongState(caseId, 6, 1));
        vm.prank(north.addr);
        supervision.concede(caseId);
        _expect(_wrongState(caseId, 6, 1));
        supervision.closeByRule(caseId);
        _expect(_wrongState(caseId, 6, 1));
        vm.prank(south.addr);
        supervision.withdrawComplaint(caseId);
    }

    // ── deliverRuling, reopen ──

    function test_RulingOpensTheWindowForAnAppeal() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseRuled(caseId, 1, UPHELD, 3, _now() + 7 * DAY);
        vm.prank(address(arbitration));
        supervision.deliverRuling(caseId, UPHELD, 3);
        ISupervision.Case memory c = supervision.caseOf(caseId);
        assertEq(uint8(c.stage), uint8(ISupervision.Stage.Ruled));
        assertEq(c.deadline, _now() + 7 * DAY);
        assertEq(supervision.openCases(SOUTH), 1, "not over yet");
        assertEq(sanctions.levelOf(NORTH), 0, "appeal stays the ruling");
    }

    function test_RulingRefusals() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        supervision.deliverRuling(caseId, UPHELD, 1);
        vm.startPrank(address(arbitration));
        _expect(_outOfBounds(0, 1, 4));
        supervision.deliverRuling(caseId, 0, 0);
        _expect(_outOfBounds(5, 1, 4));
        supervision.deliverRuling(caseId, 5, 0);
        _expect(_outOfBounds(0, 1, 3));
        supervision.deliverRuling(caseId, UPHELD, 0);
        _expect(_outOfBounds(4, 1, 3));
        supervision.deliverRuling(caseId, UPHELD, 4);
        for (uint8 ruling = DISMISSED; ruling <= NOT_PROVEN; ++ruling) {
            _expect(_outOfBounds(1, 0, 0));
            supervision.deliverRuling(caseId, ruling, 1);
        }
        supervision.deliverRuling(caseId, NOT_PROVEN, 0);
        _expect(_wrongState(caseId, 9, 6));
        supervision.deliverRuling(caseId, NOT_PROVEN, 0);
        _expect(_unknown(keccak256("none")));
        supervision.deliverRuling(keccak256("none"), NOT_PROVEN, 0);
    }

    function test_ReopenOnce() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        supervision.reopen(caseId);
        vm.startPrank(address(arbitration));
        _expect(_wrongState(caseId, 6, 9));
        supervision.reopen(caseId);
        supervision.deliverRuling(caseId, DISMISSED, 0);
        uint64 deadline = supervision.caseOf(caseId).deadline;
        vm.warp(deadline + 1);
        _expect(_tooLate(deadline));
        supervision.reopen(caseId);
        vm.warp(deadline);
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseAppealed(caseId);
        supervision.reopen(caseId);
        ISupervision.Case memory c = supervision.caseOf(caseId);
        assertEq(c.round, 2);
        assertEq(c.deadline, 0);
        assertEq(c.ruling, DISMISSED, "until the second");
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseRuled(caseId, 2, UPHELD, 1, 0);
        supervision.deliverRuling(caseId, UPHELD, 1);
        _expect(_tooLate(0));
        supervision.reopen(caseId);
        vm.stopPrank();
        supervision.execute(caseId);
        _executedAs(caseId, UPHELD, 1);
    }

    // ── execute ──

    function test_ExecuteWaitsForTheAppeal() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _expect(_wrongState(caseId, 6, 9));
        supervision.execute(caseId);
        _ruled(caseId, UPHELD, 1);
        uint64 deadline = supervision.caseOf(caseId).deadline;
        vm.warp(deadline);
        _expect(_tooEarly(deadline + 1));
        supervision.execute(caseId);
        vm.warp(deadline + 1);
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseExecuted(caseId, UPHELD);
        vm.prank(stranger);
        supervision.execute(caseId);
        _expect(_wrongState(caseId, 11, 9));
        supervision.execute(caseId);
        _expect(_unknown(keccak256("none")));
        supervision.execute(keccak256("none"));
    }

    function test_UpheldSanctionsAndScoresTheRespondent() public {
        _judges(3);
        uint256[3] memory weights = [3 * Score.ONE, 10 * Score.ONE, 30 * Score.ONE];
        uint8[3] memory levels =
            [SanctionRules.WARN, SanctionRules.SUSPENDED, SanctionRules.SUSPENDED];
        bytes32[3] memory subjects = [_offered(), _offered(), _offered()];
        for (uint8 severity = 1; severity <= 3; ++severity) {
            bytes32 caseId = _filed(subjects[severity - 1]);
            _toPanel(caseId);
            _ruled(caseId, UPHELD, severity);
            _pastDeadline(caseId);
            vm.expectEmit(true, true, true, false, address(credibility));
            emit ICredibility.CredibilityRecorded(
                NORTH, SOUTH, Score.MINOR + severity - 1, weights[severity - 1], 0, 0, caseId
            );
            supervision.execute(caseId);
            _executedAs(caseId, UPHELD, severity);
            assertEq(sanctions.levelOf(NORTH), levels[severity - 1]);
        }
    }

    function test_DismissedGivesTheBondBack() public {
        _judges(3);
        _credit(SOUTH);
        bytes32 subject = _offered();
        bytes32 free = _filed(subject);
        bytes32 caseId = _filed(subject);
        uint64 balance = incentives.creditsOf(SOUTH).balance;
        _toPanel(caseId);
        _ruled(caseId, DISMISSED, 1);
        _pastDeadline(caseId);
        supervision.execute(caseId);
        assertEq(incentives.creditsOf(SOUTH).balance, balance + 10 * CREDIT);
        assertEq(incentives.creditsOf(SOUTH).locked, 0);
        assertEq(sanctions.levelOf(NORTH), 0);
        assertEq(sanctions.levelOf(SOUTH), 0);
        (, uint256 s) = _sums(SOUTH);
        assertEq(s, 0);
        assertEq(supervision.openCases(SOUTH), 1);
        _stageIs(free, ISupervision.Stage.Filed);
    }

    function test_AbusiveBurnsTheBondAndScoresTheComplainant() public {
        _judges(3);
        _credit(SOUTH);
        bytes32 subject = _offered();
        _filed(subject);
        bytes32 caseId = _filed(subject);
        uint64 balance = incentives.creditsOf(SOUTH).balance;
        _toPanel(caseId);
        _ruled(caseId, ABUSIVE, 2);
        _pastDeadline(caseId);
        vm.expectEmit(address(incentives));
        emit IIncentives.CreditsBurned(caseId);
        supervision.execute(caseId);
        assertEq(incentives.creditsOf(SOUTH).balance, balance);
        assertEq(incentives.creditsOf(SOUTH).locked, 0);
        (, uint256 s) = _sums(SOUTH);
        assertEq(s, 2 * Score.ONE);
        assertEq(sanctions.levelOf(NORTH), 0);
    }

    function test_AbusiveWithoutABond() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _final(caseId, ABUSIVE, 1);
        _executedAs(caseId, ABUSIVE, 0);
        (, uint256 s) = _sums(SOUTH);
        assertEq(s, 2 * Score.ONE);
    }

    function test_InterimEndsWithItsCase() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        uint64 until = _now() + 14 * DAY;
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(peers[i].panelist.addr);
            arbitration.voteInterim(caseId, peers[i].cred, 4, until);
        }
        assertFalse(institutions.isActive(NORTH));
        vm.startPrank(address(arbitration));
        supervision.deliverRuling(caseId, DISMISSED, 0);
        supervision.reopen(caseId);
        supervision.deliverRuling(caseId, DISMISSED, 0);
        vm.stopPrank();
        bytes32 id = keccak256(abi.encode(caseId, NORTH, true));
        vm.expectEmit(address(sanctions));
        emit ISanctions.SanctionLifted(id, caseId);
        supervision.execute(caseId);
        assertTrue(institutions.isActive(NORTH), "acquitted");
        assertEq(uint8(sanctions.sanction(id).status), uint8(ISanctions.Status.Lifted));
    }

    function test_InterimGivesWayToTheSanctionWithoutAGap() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        uint64 until = _now() + 14 * DAY;
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(peers[i].panelist.addr);
            arbitration.voteInterim(caseId, peers[i].cred, 4, until);
        }
        vm.startPrank(address(arbitration));
        supervision.deliverRuling(caseId, DISMISSED, 0);
        supervision.reopen(caseId);
        supervision.deliverRuling(caseId, UPHELD, 3);
        vm.stopPrank();
        supervision.execute(caseId);
        assertFalse(institutions.isActive(NORTH));
        assertEq(sanctions.sanctions(NORTH).length, 1);
        vm.warp(_now() + 90 * DAY - 1);
        assertFalse(institutions.isActive(NORTH));
    }

    // ── hubs ──

    function _hubComplaint(bytes16 hub) private returns (ISupervision.Complaint memory c) {
        c = _complaint(_offered());
        c.complainant = hub;
    }

    function test_HubComplainsForItself() public {
        (bytes16 hub, Vm.Wallet memory person) = _hub("hub", SOUTH, south.addr);
        ISupervision.Complaint memory c = _hubComplaint(hub);
        _expect(_notParty(hub, south.addr));
        vm.prank(south.addr);
        supervision.file(c);
        vm.prank(person.addr);
        bytes32 caseId = supervision.file(c);
        assertEq(supervision.caseOf(caseId).complainant, hub);
        assertEq(supervision.caseOf(caseId).bond, 0);
        ISupervision.Complaint memory second = _hubComplaint(hub);
        _expect(_outOfBounds(2, 0, 1));
        vm.prank(person.addr);
        supervision.file(second);
        _respond(caseId);
        _submit(person.addr, caseId, hub);
        assertEq(supervision.caseOf(caseId).evidence[0], 1);
    }

    function test_HubTakesItsComplaintBackEvenWhenClosed() public {
        (bytes16 hub, Vm.Wallet memory person) = _hub("hub", SOUTH, south.addr);
        ISupervision.Complaint memory c = _hubComplaint(hub);
        vm.startPrank(person.addr);
        bytes32 caseId = supervision.file(c);
        IDataHubRegistry(_at(Codes.DATA_HUB_REGISTRY)).closeHub(hub);
        supervision.withdrawComplaint(caseId);
        assertEq(supervision.openCases(hub), 0);
        c.salt = keccak256("again");
        _expect(_notParty(hub, person.addr));
        supervision.file(c);
    }

    function test_HubAnswersForAFalseComplaint() public {
        _judges(4);
        (bytes16 hub, Vm.Wallet memory person) = _hub("hub", SOUTH, south.addr);
        ISupervision.Complaint memory c = _hubComplaint(hub);
        vm.prank(person.addr);
        bytes32 first = supervision.file(c);
        c = _complaint(first);
        (c.kind, c.complainant, c.respondent) = (9, NORTH, hub);
        vm.prank(north.addr);
        bytes32 caseId = supervision.file(c);
        vm.prank(person.addr);
        supervision.respond(caseId, keccak256("answer"));
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _final(caseId, UPHELD, 3);
        (, uint256 s) = _sums(hub);
        assertEq(s, 30 * Score.ONE);
        assertEq(sanctions.levelOf(hub), SanctionRules.SUSPENDED);
        assertTrue(institutions.isActive(SOUTH), "its sponsor is not the hub");
    }

    function test_HubOfNobodyIsNoParty() public {
        ISupervision.Complaint memory c = _hubComplaint(bytes16(keccak256("hub")));
        _expect(_notParty(c.complainant, stranger));
        vm.prank(stranger);
        supervision.file(c);
    }

    function test_HubIsNoPartyWhereThereAreNoHubs() public {
        (bytes16 hub, Vm.Wallet memory person) = _hub("hub", SOUTH, south.addr);
        ISupervision.Complaint memory c = _hubComplaint(hub);
        vm.mockCall(
            address(directory),
            abi.encodeCall(directory.addressOf, (Codes.DATA_HUB_REGISTRY)),
            abi.encode(address(0))
        );
        _expect(_notParty(hub, person.addr));
        vm.prank(person.addr);
        supervision.file(c);
    }

    // ── what other modules know ──

    function _known(bytes32 source, bytes32 subject, uint8 faultCode, uint8 side) private {
        vm.mockCall(
            _at(source), abi.encodeCall(IFaults.partiesOf, (subject)), abi.encode(NORTH, SOUTH)
        );
        vm.mockCall(
            _at(source), abi.encodeCall(IFaults.faultOf, (subject)), abi.encode(faultCode, side)
        );
    }

    function test_FaultsOfEveryModuleAreDecided() public {
        bytes32[2] memory sources = [Codes.CARE_REGISTRY, Codes.COMPUTE_JOBS];
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 subject = keccak256(abi.encode("subject", i));
            _known(sources[i], subject, Codes.JOB_TIMEOUT, Codes.SIDE_OWNER);
            bytes32 caseId = _filed(subject);
            supervision.closeByRule(caseId);
            _executedAs(caseId, UPHELD, 1);
        }
    }

    function test_FaultOfTheRequesterIsTheRequesters() public {
        bytes32 subject = keccak256("emergency");
        _known(Codes.CARE_REGISTRY, subject, Codes.BREAK_GLASS_OVERDUE, Codes.SIDE_REQUESTER);
        ISupervision.Complaint memory c = _complaint(subject);
        (c.kind, c.complainant, c.respondent) = (8, NORTH, SOUTH);
        vm.prank(north.addr);
        bytes32 caseId = supervision.file(c);
        supervision.closeByRule(caseId);
        _executedAs(caseId, UPHELD, 1);
        assertEq(sanctions.levelOf(SOUTH), SanctionRules.WARN);
    }

    function test_WithoutAModuleItsFaultsAreUnknown() public {
        bytes32 subject = keccak256("job");
        _known(Codes.COMPUTE_JOBS, subject, Codes.JOB_TIMEOUT, Codes.SIDE_OWNER);
        bytes32 caseId = _filed(subject);
        vm.mockCall(
            address(directory),
            abi.encodeCall(directory.addressOf, (Codes.COMPUTE_JOBS)),
            abi.encode(address(0))
        );
        _expect(abi.encodeWithSelector(ISupervision.NotDecidable.selector));
        supervision.closeByRule(caseId);
        ISupervision.Complaint memory c = _complaint(subject);
        _expect(_unknown(subject));
        vm.prank(south.addr);
        supervision.file(c);
    }

    // ── the longest case ──

    /// @dev Everybody silent, both panels redrawn: 57 days and one call a stage.
    function test_LongestCaseTakes57Days() public {
        _judges(20);
        bytes32 caseId = _filed(_offered());
        uint64 filedAt = _now();
        _toPanel(caseId);
        uint8[] memory verdicts = new uint8[](5);
        uint8[] memory severities = new uint8[](5);
        _toTally(caseId);
        arbitration.tally(caseId);
        (verdicts[0], verdicts[1], verdicts[2]) = (1, 1, 1);
        (severities[0], severities[1], severities[2]) = (1, 1, 1);
        uint64 before = _now();
        _vote(caseId, verdicts, severities);
        vm.warp(before + 9 * DAY + 1);
        arbitration.tally(caseId);
        vm.warp(supervision.caseOf(caseId).deadline);
        _appealed(caseId, north.addr, NORTH);
        for (uint256 i = 0; i < 2; ++i) {
            _toTally(caseId);
            arbitration.tally(caseId);
        }
        supervision.execute(caseId);
        _executedAs(caseId, UPHELD, 1);
        assertLe(_now(), filedAt + 57 * DAY + 8, "57 days and a second a call");
    }
}
