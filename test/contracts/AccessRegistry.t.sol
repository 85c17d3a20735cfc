// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {IDatasetCatalog} from "../../contracts/interfaces/IDatasetCatalog.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IIncentives} from "../../contracts/interfaces/IIncentives.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice What it takes to ask.
contract AccessRequestTest is AccessBase {
    string private constant REQUEST_TYPE =
        "AccessRequest(bytes16 requester,bytes16 owner,bytes16 dataset,uint16 purpose,uint32 duo,uint8 mode,uint64 validFrom,uint64 validUntil,uint64 answerBy,uint64 deliverWithin,bytes32 scopeHash,bytes32 termsHash,bytes32 renews,bytes32 salt)";

    function _idOf(IAccessRegistry.AccessRequest memory r) private view returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(keccak256(bytes(REQUEST_TYPE)), r));
        return _digest(address(access), "AccessRegistry", structHash);
    }

    function _refused(IAccessRegistry.AccessRequest memory r, bytes memory why) private {
        _expect(why);
        _ask(r);
    }

    function test_RequestIsStoredAndAnnounced() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        vm.expectEmit(address(access));
        emit IAccessRegistry.AccessRequested(_idOf(r), r);
        bytes32 grantId = _ask(r);
        assertEq(grantId, _idOf(r), "the id is the digest");

        IAccessRegistry.Grant memory g = access.grant(grantId);
        assertEq(g.requester, SOUTH);
        assertEq(g.owner, NORTH);
        assertEq(g.dataset, DATASET);
        assertEq(g.purpose, 5);
        assertEq(g.duo, r.duo);
        assertEq(g.mode, r.mode);
        assertEq(uint8(g.status), 1);
        assertEq(g.answerBy, r.answerBy);
        assertEq(g.validFrom, r.validFrom);
        assertEq(g.validUntil, r.validUntil);
        assertEq(g.deliverWithin, r.deliverWithin);
        assertEq(g.document, grantId);
        assertEq(g.changedAt, _now());
        assertEq(g.grantedAt, 0);
        (bytes16 owner, bytes16 requester) = access.partiesOf(grantId);
        assertEq(owner, NORTH);
        assertEq(requester, SOUTH);
        assertFalse(access.liveGrant(grantId, _now()), "asked is not granted");
    }

    function test_RequestConsumesQuota() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        (uint256 before, uint256 cost,) = incentives.quota(SOUTH);
        vm.expectEmit(address(incentives));
        emit IIncentives.QuotaConsumed(SOUTH, cost, 0);
        _ask(r);
        (uint256 left,,) = incentives.quota(SOUTH);
        assertEq(left, before - cost);
    }

    function test_RequestNeedsAResearcher() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        _expect(_notParty(SOUTH, stranger));
        vm.prank(stranger);
        access.request(r);

        (, Vm.Wallet memory clinician) = _staff(south, SOUTH, "clinician", Roles.CLINICIAN);
        _expect(_notParty(SOUTH, clinician.addr));
        vm.prank(clinician.addr);
        access.request(r);

        (, Vm.Wallet memory researcher) = _staff(south, SOUTH, "researcher", Roles.RESEARCHER);
        vm.prank(researcher.addr);
        access.request(r);
    }

    function test_RequestIsSignedAndRelayed() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        bytes memory signature = _sign(south, _idOf(r));
        _expect(_badSignature(north.addr));
        access.requestBySig(r, north.addr, signature);

        vm.prank(relayer);
        bytes32 grantId = access.requestBySig(r, south.addr, signature);
        assertEq(access.grant(grantId).requester, SOUTH);
        _expect(_exists(grantId));
        access.requestBySig(r, south.addr, signature);
    }

    function test_RequestNeedsBothInstitutionsEffective() public {
        _suspendInstitution(SOUTH, _now() + DAY);
        _refused(_draft(), _notActive(SOUTH, 5));
        vm.warp(_now() + DAY);
        _suspendInstitution(NORTH, _now() + DAY);
        _refused(_draft(), _notActive(NORTH, 5));
    }

    function test_RequestRefusedWhileStopped() public {
        _stop("AccessRegistry");
        _refused(_draft(), _stopped("AccessRegistry", _now() + DAY));
        vm.warp(_now() + DAY);
        _requested();
    }

    function test_RequestRefusedUnderSanction() public {
        _take(Roles.CASES_ROLE);
        sanctions.impose(keccak256("case"), SOUTH, 2);
        _refused(_draft(), abi.encodeWithSelector(IErrors.Sanctioned.selector, SOUTH, 3));
    }

    function test_RequestToOneselfRefused() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        r.owner = SOUTH;
        _refused(r, _notParty(SOUTH, south.addr));
    }

    function test_RequestNeedsALiveDatasetOfTheOwner() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        r.dataset = bytes16("unknown");
        _refused(r, _unknown(bytes16("unknown")));

        r = _draft();
        r.owner = INSPECTORATE;
        _refused(r, abi.encodeWithSelector(IAccessRegistry.NotOwner.selector, DATASET, NORTH));

        vm.prank(north.addr);
        catalog.setStatus(DATASET, uint8(IDatasetCatalog.Status.Paused));
        _refused(_draft(), _wrongState(DATASET, 2, 1));
    }

    function test_RequestNeedsAnOfferedMode() public {
        uint8[4] memory wrong = [uint8(0), Codes.ANSWER, 3, 8];
        for (uint256 i = 0; i < wrong.length; ++i) {
            IAccessRegistry.AccessRequest memory r = _draft();
            r.mode = wrong[i];
            _refused(
                r, abi.encodeWithSelector(IAccessRegistry.ModeNotOffered.selector, wrong[i], 3)
            );
        }
    }

    function test_RequestNeedsAPurpose() public {
        uint16[7] memory wrong = [uint16(0), 13, 15, 21, 0x8000, 0x8003, 0xffff];
        for (uint256 i = 0; i < wrong.length; ++i) {
            IAccessRegistry.AccessRequest memory r = _draft();
            r.purpose = wrong[i];
            _refused(r, abi.encodeWithSelector(IAccessRegistry.ForbiddenPurpose.selector, wrong[i]));
        }
    }

    function test_RequestNeedsFittingUse() public {
        uint32 offered = Codes.DUO_GRU | Codes.DUO_IRB;
        uint32[4] memory wrong =
            [Codes.DUO_HMB, Codes.DUO_NRES | Codes.DUO_IRB, Codes.DUO_IRB, 0x40403];
        for (uint256 i = 0; i < wrong.length; ++i) {
            IAccessRegistry.AccessRequest memory r = _draft();
            r.duo = wrong[i];
            _refused(
                r, abi.encodeWithSelector(IAccessRegistry.DuoMismatch.selector, wrong[i], offered)
            );
        }
    }

    function test_RequestNeedsAnAnswerDate() public {
        uint64 min = _now() + HOUR;
        uint64 max = _now() + 60 * DAY;
        IAccessRegistry.AccessRequest memory r = _draft();
        r.answerBy = min - 1;
        _refused(r, _outOfBounds(min - 1, min, max));
        r.answerBy = max + 1;
        _refused(r, _outOfBounds(max + 1, min, max));
        r.answerBy = min;
        _ask(r);
        r.answerBy = max;
        _ask(r);
    }

    function test_RequestNeedsATerm() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        uint64 from = r.validFrom;
        uint64 end = from + 730 * DAY;
        r.validUntil = from;
        _refused(r, _outOfBounds(from, from + 1, end));
        r.validUntil = end + 1;
        _refused(r, _outOfBounds(end + 1, from + 1, end));
        r.validUntil = end;
        _ask(r);
    }

    function test_RequestRefusesTimesThatDoNotFit() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        r.validFrom = type(uint64).max - 10;
        r.validUntil = type(uint64).max;
        _refused(r, _outOfBounds(r.validFrom, 0, type(uint40).max));
        r = _draft();
        r.deliverWithin = 1 << 40;
        _refused(r, _outOfBounds(1 << 40, 0, type(uint40).max));
    }

    function test_RequestRenewsAGrantOfTheSameParties() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        r.renews = keccak256("none");
        _refused(r, abi.encodeWithSelector(IAccessRegistry.NotRenewable.selector, r.renews));
        r = _draft();
        r.renews = _requested();
        _refused(r, abi.encodeWithSelector(IAccessRegistry.NotRenewable.selector, r.renews));
        r = _draft();
        r.renews = _granted();
        _ask(r);

        _publish(bytes16("other"), Codes.DUO_GRU, Codes.DELIVER);
        r = _draft();
        r.renews = _granted();
        r.dataset = bytes16("other");
        _refused(r, abi.encodeWithSelector(IAccessRegistry.NotRenewable.selector, r.renews));
    }

    function test_TenRequestsAWeekWithoutStanding() public {
        vm.prank(admin);
        institutions.setClass(SOUTH, 1, 2);
        _take(Roles.SCORERS_ROLE);
        credibility.record(SOUTH, NORTH, 7, bytes32(0));
        for (uint256 i = 0; i < 10; ++i) {
            _requested();
        }
        (,, uint64 retryAt) = incentives.quota(SOUTH);
        _refused(
            _draft(), abi.encodeWithSelector(IIncentives.QuotaExceeded.selector, SOUTH, retryAt)
        );
        vm.warp(retryAt);
        _requested();
    }
}

/// @notice From the request to its answer.
contract AccessAnswerTest is AccessBase {
    function _terms(bytes32 grantId, uint8 round)
        private
        view
        returns (IAccessRegistry.CounterOffer memory)
    {
        return IAccessRegistry.CounterOffer({
            grantId: grantId,
            round: round,
            mode: Codes.COMPUTE,
            validFrom: _now() + DAY,
            validUntil: _now() + 11 * DAY,
            answerBy: _now() + 2 * DAY,
            deliverWithin: 0,
            scopeHash: keccak256("narrower"),
            termsHash: keccak256("stricter")
        });
    }

    function _counter(address by, IAccessRegistry.CounterOffer memory c) private {
        vm.prank(by);
        access.counter(c);
    }

    function _counterDigest(IAccessRegistry.CounterOffer memory c) private view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "CounterOffer(bytes32 grantId,uint8 round,uint8 mode,uint64 validFrom,uint64 validUntil,uint64 answerBy,uint64 deliverWithin,bytes32 scopeHash,bytes32 termsHash)"
        );
        return _digest(address(access), "AccessRegistry", keccak256(abi.encode(typeHash, c)));
    }

    // ── counter ──

    function test_CounterReplacesTermsAndPassesTheTurn() public {
        bytes32 grantId = _requested();
        IAccessRegistry.CounterOffer memory c = _terms(grantId, 1);
        vm.expectEmit(address(access));
        emit IAccessRegistry.AccessCountered(grantId, c);
        _counter(north.addr, c);
        _grantIs(grantId, IAccessRegistry.Status.Countered);
        IAccessRegistry.Grant memory g = access.grant(grantId);
        assertEq(g.round, 1);
        assertEq(g.mode, Codes.COMPUTE);
        assertEq(g.validFrom, c.validFrom);
        assertEq(g.validUntil, c.validUntil);
        assertEq(g.answerBy, c.answerBy);
        assertEq(g.deliverWithin, 0);
        assertEq(g.document, _counterDigest(c));

        _expect(_notParty(SOUTH, north.addr));
        _counter(north.addr, _terms(grantId, 2));
        _counter(south.addr, _terms(grantId, 2));
        _grantIs(grantId, IAccessRegistry.Status.Requested);
    }

    function test_CounterIsSignedAndRelayed() public {
        IAccessRegistry.CounterOffer memory c = _terms(_requested(), 1);
        bytes32 typeHash = keccak256(
            "CounterOffer(bytes32 grantId,uint8 round,uint8 mode,uint64 validFrom,uint64 validUntil,uint64 answerBy,uint64 deliverWithin,bytes32 scopeHash,bytes32 termsHash)"
        );
        bytes memory signature =
            _signStruct(north, address(access), "AccessRegistry", abi.encode(typeHash, c));
        _expect(_badSignature(south.addr));
        access.counterBySig(c, south.addr, signature);
        access.counterBySig(c, north.addr, signature);
        _grantIs(c.grantId, IAccessRegistry.Status.Countered);
    }

    function test_CounterRefusals() public {
        bytes32 grantId = _requested();
        IAccessRegistry.CounterOffer memory c = _terms(keccak256("none"), 1);
        _expect(_unknown(c.grantId));
        _counter(north.addr, c);

        c = _terms(grantId, 2);
        _expect(abi.encodeWithSelector(IErrors.SeqMismatch.selector, 2, 1));
        _counter(north.addr, c);

        c = _terms(grantId, 1);
        c.mode = Codes.ANSWER;
        _expect(abi.encodeWithSelector(IAccessRegistry.ModeNotOffered.selector, c.mode, 3));
        _counter(north.addr, c);

        c = _terms(grantId, 1);
        c.validUntil = c.validFrom;
        _expect(_outOfBounds(c.validFrom, c.validFrom + 1, c.validFrom + 730 * DAY));
        _counter(north.addr, c);

        uint64 answerBy = access.grant(grantId).answerBy;
        vm.warp(answerBy + 1);
        _expect(_tooLate(answerBy));
        _counter(north.addr, _terms(grantId, 1));
    }

    function test_CounterEndsAfterEightRounds() public {
        bytes32 grantId = _requested();
        for (uint8 round = 1; round <= 8; ++round) {
            _counter(round % 2 == 1 ? north.addr : south.addr, _terms(grantId, round));
        }
        _expect(_outOfBounds(9, 1, 8));
        _counter(north.addr, _terms(grantId, 9));
    }

    function test_CounterNeedsAnOpenRequest() public {
        bytes32 grantId = _granted();
        _expect(_wrongState(grantId, 3, 1));
        _counter(north.addr, _terms(grantId, 1));
    }

    // ── accept ──

    function test_AcceptGrantsAndThanksTheOwner() public {
        bytes32 grantId = _requested();
        IAccessRegistry.Grant memory asked = access.grant(grantId);
        vm.expectEmit(address(access));
        emit IAccessRegistry.AccessGranted(
            grantId, SOUTH, NORTH, DATASET, asked.validFrom, asked.validUntil, grantId
        );
        vm.prank(north.addr);
        access.accept(grantId, grantId);
        _grantIs(grantId, IAccessRegistry.Status.Granted);
        assertEq(access.grant(grantId).grantedAt, _now());
        assertTrue(access.liveGrant(grantId, _now()));
        _scoreIs(NORTH, Score.ONE / 4, 0);
    }

    function test_AcceptIsTheOtherSidesTurn() public {
        bytes32 grantId = _requested();
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        access.accept(grantId, grantId);

        IAccessRegistry.CounterOffer memory c = _terms(grantId, 1);
        _counter(north.addr, c);
        bytes32 document = _counterDigest(c);
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        access.accept(grantId, document);
        vm.prank(south.addr);
        access.accept(grantId, document);
        _grantIs(grantId, IAccessRegistry.Status.Granted);
        assertEq(access.grant(grantId).mode, Codes.COMPUTE, "terms as countered");
        assertFalse(access.liveGrant(grantId, _now()), "begins tomorrow");
        assertTrue(access.liveGrant(grantId, c.validFrom));
        assertTrue(access.liveGrant(grantId, c.validUntil - 1));
        assertFalse(access.liveGrant(grantId, c.validUntil));
    }

    function test_AcceptNamesWhatTheOtherSideSaidLast() public {
        bytes32 grantId = _requested();
        _expect(_mismatch(keccak256("wider"), grantId));
        vm.prank(north.addr);
        access.accept(grantId, keccak256("wider"));

        IAccessRegistry.CounterOffer memory c = _terms(grantId, 1);
        _counter(north.addr, c);
        _expect(_mismatch(grantId, _counterDigest(c)));
        vm.prank(south.addr);
        access.accept(grantId, grantId);

        IAccessRegistry.CounterOffer memory back = _terms(grantId, 2);
        back.scopeHash = keccak256("wider");
        _counter(south.addr, back);
        _expect(_mismatch(_counterDigest(c), _counterDigest(back)));
        vm.prank(north.addr);
        access.accept(grantId, _counterDigest(c));
    }

    function test_AcceptRefusals() public {
        _expect(_unknown(keccak256("none")));
        access.accept(keccak256("none"), keccak256("none"));

        bytes32 grantId = _requested();
        uint64 answerBy = access.grant(grantId).answerBy;
        vm.startPrank(north.addr);
        vm.warp(answerBy + 1);
        _expect(_tooLate(answerBy));
        access.accept(grantId, grantId);
        vm.warp(answerBy);
        access.accept(grantId, grantId);
        _expect(_wrongState(grantId, 3, 1));
        access.accept(grantId, grantId);
    }

    function test_AcceptNeedsBothEffectiveAndNoStop() public {
        bytes32 grantId = _requested();
        _suspendInstitution(NORTH, _now() + HOUR);
        _expect(_notActive(NORTH, 5));
        vm.prank(north.addr);
        access.accept(grantId, grantId);

        vm.warp(_now() + HOUR);
        _suspendInstitution(SOUTH, _now() + HOUR);
        _expect(_notActive(SOUTH, 5));
        vm.prank(north.addr);
        access.accept(grantId, grantId);

        vm.warp(_now() + HOUR);
        _stop("AccessRegistry");
        _expect(_stopped("AccessRegistry", _now() + DAY));
        vm.prank(north.addr);
        access.accept(grantId, grantId);
    }

    function test_AcceptNeedsUseThatStillFits() public {
        bytes32 grantId = _requested();
        uint32 stricter = Codes.DUO_DS | Codes.DUO_IRB;
        vm.startPrank(north.addr);
        catalog.revise(DATASET, keccak256("descriptor"), stricter, 1, 1, Codes.K, 3);
        _expect(
            abi.encodeWithSelector(
                IAccessRegistry.DuoMismatch.selector, Codes.DUO_HMB | Codes.DUO_IRB, stricter
            )
        );
        access.accept(grantId, grantId);
    }

    function test_AcceptIsSignedAndRelayed() public {
        bytes32 grantId = _requested();
        IModule.Auth memory auth = _consent(
            north,
            address(access),
            "AccessRegistry",
            "Accept(bytes32 grantId,bytes32 document,uint256 nonce,uint64 deadline)",
            abi.encode(grantId, grantId)
        );
        vm.prank(relayer);
        access.acceptBySig(grantId, grantId, auth);
        _grantIs(grantId, IAccessRegistry.Status.Granted);
    }

    // ── refuse, withdraw, lapse ──

    function test_RefuseEndsARequestInTime() public {
        bytes32 grantId = _requested();
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        access.refuse(grantId, 4, REASON);
        vm.startPrank(north.addr);
        _expect(_outOfBounds(0, 1, 8));
        access.refuse(grantId, 0, REASON);
        _expect(_outOfBounds(9, 1, 8));
        access.refuse(grantId, 9, REASON);
        vm.expectEmit(address(access));
        emit IAccessRegistry.AccessRefused(grantId, 4, REASON);
        access.refuse(grantId, 4, REASON);
        _grantIs(grantId, IAccessRegistry.Status.Refused);
        _scoreIs(NORTH, Score.ONE / 4, 0);
        _expect(_wrongState(grantId, 8, 1));
        access.refuse(grantId, 4, REASON);
    }

    function test_RefuseNotAfterTheDate() public {
        bytes32 grantId = _requested();
        uint64 answerBy = access.grant(grantId).answerBy;
        vm.warp(answerBy + 1);
        _expect(_tooLate(answerBy));
        vm.prank(north.addr);
        access.refuse(grantId, 4, REASON);
    }

    function test_RefuseIsSignedAndRelayed() public {
        bytes32 grantId = _requested();
        IModule.Auth memory auth = _consent(
            north,
            address(access),
            "AccessRegistry",
            "Refuse(bytes32 grantId,uint8 reasonCode,bytes32 reasonHash,uint256 nonce,uint64 deadline)",
            abi.encode(grantId, uint8(2), REASON)
        );
        access.refuseBySig(grantId, 2, REASON, auth);
        _grantIs(grantId, IAccessRegistry.Status.Refused);
    }

    function test_WithdrawBeforeItIsGranted() public {
        bytes32 grantId = _requested();
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        access.withdrawRequest(grantId);

        _counter(north.addr, _terms(grantId, 1));
        vm.expectEmit(address(access));
        emit IAccessRegistry.RequestWithdrawn(grantId);
        vm.prank(south.addr);
        access.withdrawRequest(grantId);
        _grantIs(grantId, IAccessRegistry.Status.Withdrawn);

        grantId = _granted();
        _expect(_wrongState(grantId, 3, 1));
        vm.prank(south.addr);
        access.withdrawRequest(grantId);
    }

    function test_WithdrawIsSignedAndRelayed() public {
        bytes32 grantId = _requested();
        IModule.Auth memory auth = _consent(
            south,
            address(access),
            "AccessRegistry",
            "WithdrawRequest(bytes32 grantId,uint256 nonce,uint64 deadline)",
            abi.encode(grantId)
        );
        access.withdrawRequestBySig(grantId, auth);
        _grantIs(grantId, IAccessRegistry.Status.Withdrawn);
    }

    function test_LapseNamesASilentOwner() public {
        bytes32 grantId = _requested();
        uint64 answerBy = access.grant(grantId).answerBy;
        vm.warp(answerBy);
        _expect(_tooEarly(answerBy + 1));
        access.lapse(grantId);
        vm.warp(answerBy + 1);
        vm.expectEmit(address(access));
        emit IAccessRegistry.RequestLapsed(grantId, true);
        vm.prank(stranger);
        access.lapse(grantId);
        _grantIs(grantId, IAccessRegistry.Status.Lapsed);
        _scoreIs(NORTH, 0, Score.ONE / 2);
        (uint8 faultCode, uint8 side) = access.faultOf(grantId);
        assertEq(faultCode, Codes.REQUEST_LAPSED);
        assertEq(side, Codes.SIDE_OWNER);
        _expect(_wrongState(grantId, 10, 1));
        access.lapse(grantId);
    }

    function test_LapseNamesNobodyWhileTheRequesterOwedTheAnswer() public {
        bytes32 grantId = _requested();
        _counter(north.addr, _terms(grantId, 1));
        vm.warp(access.grant(grantId).answerBy + 1);
        vm.expectEmit(address(access));
        emit IAccessRegistry.RequestLapsed(grantId, false);
        access.lapse(grantId);
        _scoreIs(NORTH, 0, 0);
        (uint8 faultCode, uint8 side) = access.faultOf(grantId);
        assertEq(faultCode, 0);
        assertEq(side, 0);
    }

    function test_LapseNamesNobodyWhenAStopTouchedTheLastDay() public {
        bytes32 grantId = _requested();
        uint64 answerBy = access.grant(grantId).answerBy;
        vm.warp(answerBy - 2 * DAY + 1);
        _stop("AccessRegistry");
        vm.warp(answerBy + 1);
        vm.expectEmit(address(access));
        emit IAccessRegistry.RequestLapsed(grantId, false);
        access.lapse(grantId);
        _scoreIs(NORTH, 0, 0);
    }

    function test_LapseNamesTheOwnerWhenTheStopWasOverADayBefore() public {
        bytes32 grantId = _requested();
        uint64 answerBy = access.grant(grantId).answerBy;
        vm.warp(answerBy - 2 * DAY);
        _stop("AccessRegistry");
        vm.warp(answerBy + 1);
        access.lapse(grantId);
        _scoreIs(NORTH, 0, Score.ONE / 2);
    }
}
