// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {ICareRegistry} from "../../contracts/interfaces/ICareRegistry.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice Two institutions agree on care once, and may pause or end it.
contract CareAgreementTest is AccessBase {
    string private constant AGREEMENT_TYPE =
        "Agreement(bytes16 a,bytes16 b,uint32 purposes,uint64 validFrom,uint64 validUntil,uint32 dutySecs,bytes32 termsHash,bytes32 salt)";
    uint8 private constant IN_FORCE = 2;
    uint8 private constant SUSPENDED = 3;
    uint8 private constant ENDED = 4;

    ICareRegistry private _care;

    function setUp() public override {
        super.setUp();
        _care = ICareRegistry(_at(Codes.CARE_REGISTRY));
    }

    // ── helpers ──

    /// @dev Treatment and emergency treatment between north (a) and south (b).
    function _terms() private view returns (ICareRegistry.Agreement memory) {
        return ICareRegistry.Agreement({
            a: NORTH,
            b: SOUTH,
            purposes: 0x6,
            validFrom: _now(),
            validUntil: _now() + 365 * DAY,
            dutySecs: 60,
            termsHash: TERMS,
            salt: keccak256("salt")
        });
    }

    function _idOf(ICareRegistry.Agreement memory a) private view returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(keccak256(bytes(AGREEMENT_TYPE)), a));
        return _digest(address(_care), "CareRegistry", structHash);
    }

    function _propose(ICareRegistry.Agreement memory a) private returns (bytes32) {
        vm.prank(north.addr);
        return _care.proposeAgreement(a);
    }

    function _refused(ICareRegistry.Agreement memory a, bytes memory why) private {
        _expect(why);
        _propose(a);
    }

    function _inForce() private returns (bytes32 id) {
        id = _propose(_terms());
        vm.prank(south.addr);
        _care.answerAgreement(id, true);
    }

    function _move(address by, bytes32 id, uint8 status) private {
        vm.prank(by);
        _care.moveAgreement(id, status);
    }

    function _is(bytes32 id, uint8 status, bytes16 mover) private view {
        ICareRegistry.AgreementState memory g = _care.agreement(id);
        assertEq(uint8(g.status), status, "agreement's status");
        assertEq(g.mover, mover, "who moved it");
    }

    // ── proposeAgreement ──

    function test_ProposalIsStoredAndAnnounced() public {
        ICareRegistry.Agreement memory a = _terms();
        vm.expectEmit(address(_care));
        emit ICareRegistry.AgreementProposed(_idOf(a), a, NORTH);
        bytes32 id = _propose(a);
        assertEq(id, _idOf(a), "the id is the digest");
        ICareRegistry.AgreementState memory g = _care.agreement(id);
        assertEq(g.a, NORTH);
        assertEq(g.b, SOUTH);
        assertEq(g.validFrom, a.validFrom);
        assertEq(g.validUntil, a.validUntil);
        assertEq(g.purposes, 0x6);
        assertEq(g.dutySecs, 60);
        assertEq(g.termsHash, TERMS);
        _is(id, 1, NORTH);
        (bytes16 owner, bytes16 requester) = _care.partiesOf(id);
        assertEq(owner, NORTH);
        assertEq(requester, SOUTH);
        assertFalse(_care.liveAgreement(id, _now()), "proposed is not agreed");
    }

    function test_ProposalMayComeFromEitherSide() public {
        ICareRegistry.Agreement memory a = _terms();
        vm.expectEmit(address(_care));
        emit ICareRegistry.AgreementProposed(_idOf(a), a, SOUTH);
        vm.prank(south.addr);
        bytes32 id = _care.proposeAgreement(a);
        _is(id, 1, SOUTH);
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        _care.answerAgreement(id, true);
        vm.prank(north.addr);
        _care.answerAgreement(id, true);
        _is(id, IN_FORCE, 0);
    }

    function test_ProposalIsSignedAndRelayed() public {
        ICareRegistry.Agreement memory a = _terms();
        bytes memory signature = _sign(south, _idOf(a));
        _expect(_badSignature(north.addr));
        _care.proposeAgreementBySig(a, north.addr, signature);
        vm.prank(relayer);
        bytes32 id = _care.proposeAgreementBySig(a, south.addr, signature);
        _is(id, 1, SOUTH);
        _expect(_exists(id));
        _care.proposeAgreementBySig(a, south.addr, signature);
    }

    function test_ProposalNeedsAnAdminOfOneSide() public {
        _expect(_notParty(NORTH, inspectorate.addr));
        vm.prank(inspectorate.addr);
        _care.proposeAgreement(_terms());
        (, Vm.Wallet memory officer) = _staff(north, NORTH, "officer", Roles.OFFICER);
        _expect(_notParty(NORTH, officer.addr));
        vm.prank(officer.addr);
        _care.proposeAgreement(_terms());
        (, Vm.Wallet memory boss) = _staff(south, SOUTH, "boss", Roles.ADMIN);
        vm.prank(boss.addr);
        _is(_care.proposeAgreement(_terms()), 1, SOUTH);
    }

    function test_ProposalIsAnOpeningActBetweenTwoEffectiveInstitutions() public {
        ICareRegistry.Agreement memory a = _terms();
        a.b = NORTH;
        _refused(a, abi.encodeWithSelector(ICareRegistry.SameParty.selector, NORTH));
        a.b = "nobody";
        _refused(a, _notActive("nobody", 0));
        _stop("CareRegistry");
        _refused(_terms(), _stopped("CareRegistry", _now() + DAY));
        vm.warp(_now() + DAY);
        _suspendInstitution(SOUTH, _now() + DAY);
        _refused(_terms(), _notActive(SOUTH, 5));
        vm.warp(_now() + DAY);
        _suspendInstitution(NORTH, _now() + DAY);
        _refused(_terms(), _notActive(NORTH, 5));
    }

    function test_ProposalIsAboutCareOnly() public {
        uint32[4] memory wrong = [uint32(0), 1, 1 << 5, 0x1086 | 1 << 6];
        for (uint256 i = 0; i < wrong.length; ++i) {
            ICareRegistry.Agreement memory bad = _terms();
            bad.purposes = wrong[i];
            _refused(bad, abi.encodeWithSelector(ICareRegistry.NotCare.selector, wrong[i]));
        }
        ICareRegistry.Agreement memory a = _terms();
        a.purposes = 1 << 1 | 1 << 2 | 1 << 7 | 1 << 12;
        _propose(a);
    }

    function test_ProposalHasATermAhead() public {
        ICareRegistry.Agreement memory a = _terms();
        uint64 from = a.validFrom;
        uint64 max = from + 1095 * DAY;
        a.validUntil = from;
        _refused(a, _outOfBounds(from, from + 1, max));
        a.validUntil = max + 1;
        _refused(a, _outOfBounds(max + 1, from + 1, max));
        a.validUntil = max;
        _propose(a);
        a.validFrom = _now() - 2 * DAY;
        a.validUntil = _now();
        _refused(a, _tooLate(_now()));
        a.validFrom = type(uint64).max - 1;
        a.validUntil = type(uint64).max;
        _refused(a, _outOfBounds(a.validFrom, 0, type(uint40).max));
    }

    // ── answerAgreement ──

    function test_AcceptedIsInForce() public {
        bytes32 id = _propose(_terms());
        vm.expectEmit(address(_care));
        emit ICareRegistry.AgreementAnswered(id, true);
        vm.prank(south.addr);
        _care.answerAgreement(id, true);
        _is(id, IN_FORCE, 0);
        assertTrue(_care.liveAgreement(id, _now()));
        _expect(_wrongState(id, 2, 1));
        vm.prank(south.addr);
        _care.answerAgreement(id, true);
    }

    function test_DeclinedIsEnded() public {
        bytes32 id = _propose(_terms());
        vm.expectEmit(address(_care));
        emit ICareRegistry.AgreementAnswered(id, false);
        vm.prank(south.addr);
        _care.answerAgreement(id, false);
        _is(id, ENDED, 0);
        assertFalse(_care.liveAgreement(id, _now()));
    }

    function test_AnswerIsTheOtherSides() public {
        bytes32 id = _propose(_terms());
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        _care.answerAgreement(id, true);
        _expect(_unknown(keccak256("none")));
        vm.prank(south.addr);
        _care.answerAgreement(keccak256("none"), true);
    }

    function test_AnswerYesNotAfterTheTerm() public {
        bytes32 id = _propose(_terms());
        uint64 end = _care.agreement(id).validUntil;
        vm.warp(end);
        _expect(_tooLate(end));
        vm.prank(south.addr);
        _care.answerAgreement(id, true);
        vm.prank(south.addr);
        _care.answerAgreement(id, false);
        _is(id, ENDED, 0);
    }

    function test_AnswerIsPossibleWhileStopped() public {
        bytes32 id = _propose(_terms());
        _stop("CareRegistry");
        vm.prank(south.addr);
        _care.answerAgreement(id, true);
        _is(id, IN_FORCE, 0);
    }

    function test_AnswerIsSignedAndRelayed() public {
        bytes32 id = _propose(_terms());
        IModule.Auth memory auth = _consent(
            south,
            address(_care),
            "CareRegistry",
            "AnswerAgreement(bytes32 agreementId,bool accepted,uint256 nonce,uint64 deadline)",
            abi.encode(id, true)
        );
        _expect(_badSignature(south.addr));
        _care.answerAgreementBySig(id, false, auth);
        vm.prank(relayer);
        _care.answerAgreementBySig(id, true, auth);
        _is(id, IN_FORCE, 0);
    }

    // ── moveAgreement ──

    function test_OnlyWhoSuspendedResumes() public {
        bytes32 id = _inForce();
        vm.expectEmit(address(_care));
        emit ICareRegistry.AgreementMoved(id, ICareRegistry.AgreementStatus.Suspended, SOUTH);
        _move(south.addr, id, SUSPENDED);
        _is(id, SUSPENDED, SOUTH);
        assertFalse(_care.liveAgreement(id, _now()));
        _expect(_notParty(SOUTH, north.addr));
        _move(north.addr, id, IN_FORCE);
        _expect(_wrongState(id, 3, 2));
        _move(north.addr, id, SUSPENDED);
        vm.expectEmit(address(_care));
        emit ICareRegistry.AgreementMoved(id, ICareRegistry.AgreementStatus.InForce, SOUTH);
        _move(south.addr, id, IN_FORCE);
        _is(id, IN_FORCE, 0);
        _expect(_wrongState(id, 2, 3));
        _move(south.addr, id, IN_FORCE);
        _move(north.addr, id, SUSPENDED);
        _is(id, SUSPENDED, NORTH);
    }

    function test_EitherSideEndsForGood() public {
        bytes32 id = _inForce();
        vm.expectEmit(address(_care));
        emit ICareRegistry.AgreementMoved(id, ICareRegistry.AgreementStatus.Ended, NORTH);
        _move(north.addr, id, ENDED);
        _is(id, ENDED, 0);
        assertFalse(_care.liveAgreement(id, _now()));
        _expect(_wrongState(id, 4, 2));
        _move(south.addr, id, ENDED);
        _expect(_wrongState(id, 4, 2));
        _move(south.addr, id, SUSPENDED);
        _expect(_wrongState(id, 4, 3));
        _move(south.addr, id, IN_FORCE);
        _expect(_wrongState(id, 4, 1));
        vm.prank(south.addr);
        _care.answerAgreement(id, true);
    }

    function test_ASuspendedAgreementIsEndedByTheOtherSideToo() public {
        bytes32 id = _inForce();
        _move(south.addr, id, SUSPENDED);
        _move(north.addr, id, ENDED);
        _is(id, ENDED, 0);
    }

    function test_AProposalIsTakenBackByItsProposer() public {
        bytes32 id = _propose(_terms());
        _expect(_wrongState(id, 1, 2));
        _move(north.addr, id, SUSPENDED);
        _expect(_wrongState(id, 1, 3));
        _move(north.addr, id, IN_FORCE);
        _move(north.addr, id, ENDED);
        _is(id, ENDED, 0);
    }

    function test_MoveRefusals() public {
        bytes32 id = _inForce();
        _expect(_outOfBounds(1, 2, 4));
        _move(north.addr, id, 1);
        _expect(_outOfBounds(5, 2, 4));
        _move(north.addr, id, 5);
        _expect(_unknown(keccak256("none")));
        _move(north.addr, keccak256("none"), ENDED);
        _expect(_notParty(NORTH, inspectorate.addr));
        _move(inspectorate.addr, id, ENDED);
    }

    function test_MoveIsPossibleWhileStoppedAndSuspended() public {
        bytes32 id = _inForce();
        _stop("CareRegistry");
        _suspendInstitution(NORTH, _now() + DAY);
        _move(north.addr, id, ENDED);
        _is(id, ENDED, 0);
    }

    function test_MoveIsSignedAndRelayed() public {
        bytes32 id = _inForce();
        IModule.Auth memory auth = _consent(
            south,
            address(_care),
            "CareRegistry",
            "MoveAgreement(bytes32 agreementId,uint8 status,uint256 nonce,uint64 deadline)",
            abi.encode(id, ENDED)
        );
        _expect(_badSignature(south.addr));
        _care.moveAgreementBySig(id, SUSPENDED, auth);
        _care.moveAgreementBySig(id, ENDED, auth);
        _is(id, ENDED, 0);
    }

    // ── liveAgreement ──

    function test_LiveOnlyBetweenItsDatesAndWhileBothAreEffective() public {
        ICareRegistry.Agreement memory a = _terms();
        a.validFrom = _now() + DAY;
        bytes32 id = _propose(a);
        vm.prank(south.addr);
        _care.answerAgreement(id, true);
        assertFalse(_care.liveAgreement(id, a.validFrom - 1));
        assertTrue(_care.liveAgreement(id, a.validFrom));
        assertTrue(_care.liveAgreement(id, a.validUntil - 1));
        assertFalse(_care.liveAgreement(id, a.validUntil));
        vm.warp(a.validFrom);
        _suspendInstitution(SOUTH, _now() + DAY);
        assertFalse(_care.liveAgreement(id, _now()), "one side suspended");
        vm.warp(_now() + DAY);
        assertTrue(_care.liveAgreement(id, _now()));
        vm.prank(north.addr);
        institutions.leaveNetwork(NORTH);
        assertFalse(_care.liveAgreement(id, _now()), "the other left");
        assertFalse(_care.liveAgreement(keccak256("none"), _now()));
    }
}
