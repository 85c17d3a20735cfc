// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {IDeliveryLedger} from "../../contracts/interfaces/IDeliveryLedger.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IIncentives} from "../../contracts/interfaces/IIncentives.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice Offer, receipt, key, acknowledgement, and who is named when one of them does not come.
contract DeliveryLedgerTest is AccessBase {
    uint256 private constant THANKS = Score.ONE / 4;

    function _stateIs(bytes32 deliveryId, IDeliveryLedger.State state) private view {
        assertEq(uint8(ledger.delivery(deliveryId).state), uint8(state), "delivery's state");
    }

    function _faultIs(bytes32 id, uint8 faultCode, uint8 side) private view {
        (uint8 haveCode, uint8 haveSide) = ledger.faultOf(id);
        assertEq(haveCode, faultCode, "fault");
        assertEq(haveSide, side, "side");
    }

    function _seqMismatch(uint64 have, uint64 want) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.SeqMismatch.selector, have, want);
    }

    function _ack(bytes32 id, uint8 verdict, uint8 quality, uint8 novelty)
        private
        view
        returns (IDeliveryLedger.Acknowledgement memory)
    {
        return IDeliveryLedger.Acknowledgement(
            id, ledger.delivery(id).offerHash, verdict, quality, novelty
        );
    }

    function _acknowledge(address by, IDeliveryLedger.Acknowledgement memory a) private {
        vm.prank(by);
        ledger.acknowledge(a);
    }

    /// @dev An acknowledgement by the recipient that must fail.
    function _ackRefused(IDeliveryLedger.Acknowledgement memory a, bytes memory why) private {
        _expect(why);
        _acknowledge(south.addr, a);
    }

    // ── offer ──

    function test_OfferIsStoredAndAnnounced() public {
        bytes32 grantId = _granted();
        bytes32 id = _deliveryId(grantId, 1);
        uint64 receiptBy = _now() + 3 * DAY;
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.DeliveryOffered(
            id, grantId, 1, keccak256("offer"), receiptBy, WITHIN, 3 * WITHIN
        );
        _offer(grantId, 1, keccak256("offer"));
        IDeliveryLedger.Delivery memory d = ledger.delivery(id);
        assertEq(d.offerHash, keccak256("offer"));
        assertEq(d.sender, NORTH);
        assertEq(d.recipient, SOUTH);
        assertEq(d.receiptBy, receiptBy);
        assertEq(d.keyWithin, WITHIN);
        assertEq(d.ackWithin, 3 * WITHIN);
        _stateIs(id, IDeliveryLedger.State.Offered);
        assertEq(ledger.lastSeq(grantId), 1);
        (bytes16 sender, bytes16 recipient) = ledger.partiesOf(id);
        assertEq(sender, NORTH);
        assertEq(recipient, SOUTH);
        (sender, recipient) = ledger.partiesOf(grantId);
        assertEq(sender, NORTH, "owner of a grant");
        assertEq(recipient, SOUTH, "requester of a grant");
    }

    function test_OfferNeedsTheOwnersRelayer() public {
        bytes32 grantId = _granted();
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        ledger.offer(grantId, 1, 0, _now() + DAY, WITHIN, WITHIN);
        (, Vm.Wallet memory steward) = _staff(north, NORTH, "steward", Roles.STEWARD);
        _expect(_notParty(NORTH, steward.addr));
        vm.prank(steward.addr);
        ledger.offer(grantId, 1, 0, _now() + DAY, WITHIN, WITHIN);
        (, Vm.Wallet memory courier) = _staff(north, NORTH, "courier", Roles.RELAYER);
        vm.prank(courier.addr);
        ledger.offer(grantId, 1, 0, _now() + DAY, WITHIN, WITHIN);
    }

    function test_OfferNeedsALiveGrant() public {
        _expect(_unknown(keccak256("none")));
        _offer(keccak256("none"), 1, 0);

        bytes32 grantId = _granted();
        vm.prank(north.addr);
        access.revoke(grantId, 8, REASON);
        _expect(abi.encodeWithSelector(IDeliveryLedger.GrantNotLive.selector, grantId));
        _offer(grantId, 1, 0);
    }

    function test_OffersAreNumberedWithoutGaps() public {
        bytes32 grantId = _granted();
        _expect(_seqMismatch(0, 1));
        _offer(grantId, 0, 0);
        _expect(_seqMismatch(2, 1));
        _offer(grantId, 2, 0);
        _offer(grantId, 1, 0);
        _expect(_seqMismatch(1, 2));
        _offer(grantId, 1, 0);
        _offer(grantId, 2, 0);
    }

    function test_OfferWindows() public {
        bytes32 grantId = _granted();
        uint64 soon = _now() + HOUR;
        uint64 far = _now() + 30 * DAY;
        uint24 hour = uint24(HOUR);
        uint24 day = uint24(DAY);
        vm.startPrank(north.addr);
        _expect(_outOfBounds(soon - 1, soon, far));
        ledger.offer(grantId, 1, 0, soon - 1, WITHIN, WITHIN);
        _expect(_outOfBounds(far + 1, soon, far));
        ledger.offer(grantId, 1, 0, far + 1, WITHIN, WITHIN);
        _expect(_outOfBounds(hour - 1, hour, 7 * day));
        ledger.offer(grantId, 1, 0, soon, hour - 1, WITHIN);
        _expect(_outOfBounds(7 * day + 1, hour, 7 * day));
        ledger.offer(grantId, 1, 0, soon, 7 * day + 1, WITHIN);
        _expect(_outOfBounds(hour - 1, hour, 30 * day));
        ledger.offer(grantId, 1, 0, soon, WITHIN, hour - 1);
        _expect(_outOfBounds(30 * day + 1, hour, 30 * day));
        ledger.offer(grantId, 1, 0, soon, WITHIN, 30 * day + 1);
        ledger.offer(grantId, 1, 0, soon, hour, hour);
        ledger.offer(grantId, 2, 0, far, 7 * day, 30 * day);
    }

    function test_OfferIsSignedAndRelayed() public {
        bytes32 grantId = _granted();
        uint64 receiptBy = _now() + DAY;
        IModule.Auth memory auth = _consent(
            north,
            address(ledger),
            "DeliveryLedger",
            "Offer(bytes32 grantId,uint32 seq,bytes32 offerHash,uint64 receiptBy,uint24 keyWithin,uint24 ackWithin,uint256 nonce,uint64 deadline)",
            abi.encode(grantId, uint32(1), keccak256("offer"), receiptBy, WITHIN, WITHIN)
        );
        vm.prank(relayer);
        ledger.offerBySig(grantId, 1, keccak256("offer"), receiptBy, WITHIN, WITHIN, auth);
        _stateIs(_deliveryId(grantId, 1), IDeliveryLedger.State.Offered);
    }

    // ── receipt ──

    function test_ReceiptStartsTheKeysTime() public {
        bytes32 id = _offered();
        IDeliveryLedger.Receipt memory r = _receipt(id);
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.DeliveryReceived(id, r.ctRoot, _now() + WITHIN);
        vm.prank(south.addr);
        ledger.postReceipt(r);
        _stateIs(id, IDeliveryLedger.State.Received);
        assertEq(ledger.delivery(id).keyBy, _now() + WITHIN);
    }

    function test_ReceiptRefusals() public {
        bytes32 id = _offered();
        IDeliveryLedger.Receipt memory r = _receipt(id);
        _expect(_notParty(SOUTH, north.addr));
        vm.prank(north.addr);
        ledger.postReceipt(r);

        vm.startPrank(south.addr);
        r.offerHash = keccak256("another");
        _expect(_mismatch(r.offerHash, keccak256("offer")));
        ledger.postReceipt(r);
        r.deliveryId = keccak256("none");
        _expect(_unknown(r.deliveryId));
        ledger.postReceipt(r);

        uint64 receiptBy = ledger.delivery(id).receiptBy;
        vm.warp(receiptBy + 1);
        r = _receipt(id);
        _expect(_tooLate(receiptBy));
        ledger.postReceipt(r);
        vm.warp(receiptBy);
        ledger.postReceipt(r);
        _expect(_wrongState(id, 2, 1));
        ledger.postReceipt(r);
    }

    function test_ReceiptMayBePostedByTheSender() public {
        IDeliveryLedger.Receipt memory r = _receipt(_offered());
        bytes32 typeHash = keccak256(
            "Receipt(bytes32 deliveryId,bytes32 offerHash,bytes32 ctRoot,uint64 receivedAt)"
        );
        bytes memory signature =
            _signStruct(south, address(ledger), "DeliveryLedger", abi.encode(typeHash, r));
        _expect(_badSignature(inspectorate.addr));
        ledger.postReceiptBySig(r, inspectorate.addr, signature);
        vm.prank(north.addr);
        ledger.postReceiptBySig(r, south.addr, signature);
        _stateIs(r.deliveryId, IDeliveryLedger.State.Received);
    }

    function testFuzz_ReceiptBindsEveryField(uint8 field, bytes32 other) public {
        IDeliveryLedger.Receipt memory r = _receipt(_offered());
        bytes32 typeHash = keccak256(
            "Receipt(bytes32 deliveryId,bytes32 offerHash,bytes32 ctRoot,uint64 receivedAt)"
        );
        bytes memory signature =
            _signStruct(south, address(ledger), "DeliveryLedger", abi.encode(typeHash, r));
        field = field % 4;
        if (field == 0) r.deliveryId = bytes32(uint256(r.deliveryId) ^ (uint256(other) | 1));
        if (field == 1) r.offerHash = bytes32(uint256(r.offerHash) ^ (uint256(other) | 1));
        if (field == 2) r.ctRoot = bytes32(uint256(r.ctRoot) ^ (uint256(other) | 1));
        if (field == 3) r.receivedAt = r.receivedAt ^ (uint64(uint256(other)) | 1);
        _expect(_badSignature(south.addr));
        ledger.postReceiptBySig(r, south.addr, signature);
    }

    // ── key ──

    function test_KeyStartsTheAcknowledgementsTime() public {
        bytes32 id = _received();
        bytes memory sealedKey = abi.encodePacked(keccak256("a"), keccak256("b"), bytes16("c"));
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.KeyReleased(id, sealedKey, _now() + 3 * WITHIN);
        vm.prank(north.addr);
        ledger.releaseKey(id, sealedKey);
        _stateIs(id, IDeliveryLedger.State.KeyReleased);
        assertEq(ledger.delivery(id).ackBy, _now() + 3 * WITHIN);
    }

    function test_KeyRefusals() public {
        bytes32 id = _offered();
        _expect(_wrongState(id, 1, 2));
        vm.prank(north.addr);
        ledger.releaseKey(id, new bytes(80));

        IDeliveryLedger.Receipt memory r = _receipt(id);
        vm.prank(south.addr);
        ledger.postReceipt(r);
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        ledger.releaseKey(id, new bytes(80));

        vm.startPrank(north.addr);
        _expect(_outOfBounds(79, 80, 112));
        ledger.releaseKey(id, new bytes(79));
        _expect(_outOfBounds(113, 80, 112));
        ledger.releaseKey(id, new bytes(113));
        uint64 keyBy = ledger.delivery(id).keyBy;
        vm.warp(keyBy + 1);
        _expect(_tooLate(keyBy));
        ledger.releaseKey(id, new bytes(112));
        vm.warp(keyBy);
        ledger.releaseKey(id, new bytes(112));
        _expect(_wrongState(id, 3, 2));
        ledger.releaseKey(id, new bytes(112));
    }

    function test_KeyIsSignedAndRelayed() public {
        bytes32 id = _received();
        bytes memory sealedKey = new bytes(80);
        IModule.Auth memory auth = _consent(
            north,
            address(ledger),
            "DeliveryLedger",
            "ReleaseKey(bytes32 deliveryId,bytes sealedKey,uint256 nonce,uint64 deadline)",
            abi.encode(id, keccak256(sealedKey))
        );
        _expect(_badSignature(north.addr));
        ledger.releaseKeyBySig(id, new bytes(81), auth);
        ledger.releaseKeyBySig(id, sealedKey, auth);
        _stateIs(id, IDeliveryLedger.State.KeyReleased);
    }

    // ── acknowledgement ──

    function test_AcceptedDeliveryEarnsScoreAndCredits() public {
        bytes32 id = _released();
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.DeliveryAcknowledged(id, 0, 5, 10);
        _acknowledge(south.addr, _ack(id, 0, 5, 10));
        _stateIs(id, IDeliveryLedger.State.Accepted);
        _scoreIs(NORTH, THANKS + Score.ONE, 0);
        assertEq(incentives.creditsOf(NORTH).balance, 15_000_000);
        IDeliveryLedger.Delivery memory d = ledger.delivery(id);
        assertEq(d.quality, 5);
        assertEq(d.novelty, 10);
        _faultIs(id, 0, 0);
    }

    function test_DisputedDeliveryEarnsNothing() public {
        bytes32 id = _released();
        _acknowledge(south.addr, _ack(id, 4, 0, 0));
        _stateIs(id, IDeliveryLedger.State.Disputed);
        assertEq(ledger.delivery(id).verdict, 4);
        _scoreIs(NORTH, THANKS, 0);
        assertEq(incentives.creditsOf(NORTH).balance, 0);
        _faultIs(id, 0, 0);
    }

    function test_AcknowledgementPassesThroughSkippedSteps() public {
        bytes32 id = _offered();
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.DeliveryReceived(id, 0, _now() + WITHIN);
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.KeyReleased(id, "", _now() + 3 * WITHIN);
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.DeliveryAcknowledged(id, 0, 4, 2);
        _acknowledge(south.addr, _ack(id, 0, 4, 2));
        _stateIs(id, IDeliveryLedger.State.Accepted);

        id = _received();
        _acknowledge(south.addr, _ack(id, 0, 4, 2));
        _stateIs(id, IDeliveryLedger.State.Accepted);
    }

    function test_AcknowledgementRefusals() public {
        bytes32 id = _released();
        IDeliveryLedger.Acknowledgement memory a = _ack(id, 0, 5, 10);
        _expect(_notParty(SOUTH, north.addr));
        _acknowledge(north.addr, a);
        a.offerHash = keccak256("another");
        _expect(_mismatch(a.offerHash, keccak256("offer")));
        _acknowledge(south.addr, a);
        _ackRefused(_ack(id, 10, 0, 0), _outOfBounds(10, 0, 9));
        _ackRefused(_ack(id, 0, 6, 0), _outOfBounds(6, 0, 5));
        _ackRefused(_ack(id, 0, 0, 11), _outOfBounds(11, 0, 10));
        _acknowledge(south.addr, _ack(id, 0, 0, 0));
        _ackRefused(_ack(id, 0, 0, 0), _wrongState(id, 4, 3));
    }

    function test_AcknowledgementNotAfterTheStepsDeadline() public {
        bytes32 id = _offered();
        uint64 deadline = ledger.delivery(id).receiptBy;
        vm.warp(deadline + 1);
        _ackRefused(_ack(id, 0, 0, 0), _tooLate(deadline));

        id = _received();
        deadline = ledger.delivery(id).keyBy;
        vm.warp(deadline + 1);
        _ackRefused(_ack(id, 0, 0, 0), _tooLate(deadline));

        id = _released();
        deadline = ledger.delivery(id).ackBy;
        vm.warp(deadline + 1);
        _ackRefused(_ack(id, 0, 0, 0), _tooLate(deadline));
        vm.warp(deadline);
        _acknowledge(south.addr, _ack(id, 0, 0, 0));
    }

    function test_AcknowledgementIsSignedAndRelayed() public {
        (, Vm.Wallet memory researcher) = _staff(south, SOUTH, "researcher", Roles.RESEARCHER);
        IDeliveryLedger.Acknowledgement memory a = _ack(_released(), 0, 3, 3);
        bytes32 typeHash = keccak256(
            "Acknowledgement(bytes32 deliveryId,bytes32 offerHash,uint8 verdict,uint8 quality,uint8 novelty)"
        );
        bytes memory signature =
            _signStruct(researcher, address(ledger), "DeliveryLedger", abi.encode(typeHash, a));
        _expect(_badSignature(south.addr));
        ledger.acknowledgeBySig(a, south.addr, signature);
        vm.prank(relayer);
        ledger.acknowledgeBySig(a, researcher.addr, signature);
        _stateIs(a.deliveryId, IDeliveryLedger.State.Accepted);
    }

    // ── missed deadlines ──

    function test_ExpiredOfferNamesTheRecipientWithoutWeight() public {
        bytes32 id = _offered();
        uint64 deadline = ledger.delivery(id).receiptBy;
        vm.warp(deadline);
        _expect(_tooEarly(deadline + 1));
        ledger.expire(id);
        vm.warp(deadline + 1);
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.DeliveryExpired(id, IDeliveryLedger.State.Lapsed, 2, 5);
        vm.prank(stranger);
        ledger.expire(id);
        _faultIs(id, Codes.RECEIPT_LAPSED, Codes.SIDE_REQUESTER);
        _scoreIs(SOUTH, 0, 0);
        _expect(_wrongState(id, 7, 3));
        ledger.expire(id);
    }

    function test_ExpiredKeyNamesTheSender() public {
        bytes32 id = _received();
        vm.warp(ledger.delivery(id).keyBy + 1);
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.DeliveryExpired(id, IDeliveryLedger.State.KeyOverdue, 1, 2);
        ledger.expire(id);
        _faultIs(id, Codes.KEY_OVERDUE, Codes.SIDE_OWNER);
        (, uint256 s) = _sums(NORTH);
        assertEq(s, 3 * Score.ONE);
        _expect(_wrongState(id, 8, 3));
        ledger.expire(id);
    }

    function test_ExpiredAcknowledgementCountsAsAccepted() public {
        bytes32 id = _released();
        vm.warp(ledger.delivery(id).ackBy + 1);
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.DeliveryExpired(id, IDeliveryLedger.State.AutoAccepted, 2, 6);
        ledger.expire(id);
        _faultIs(id, Codes.ACK_OVERDUE, Codes.SIDE_REQUESTER);
        _scoreIs(SOUTH, 0, Score.ONE / 2);
        (uint256 r,) = _sums(NORTH);
        assertGt(r, Score.ONE, "the sender did its part");
        _expect(_wrongState(id, 6, 3));
        ledger.expire(id);
    }

    function test_ExpireNeedsADelivery() public {
        _expect(_unknown(keccak256("none")));
        ledger.expire(keccak256("none"));
    }

    /// @dev At every moment exactly one of the two is possible: the step that is due, or naming who
    /// did not take it; and who is named depends on the step alone.
    function testFuzz_DeadlineDividesStepAndFault(uint8 step, uint32 wait, address caller) public {
        step = step % 3;
        bytes32 id = step == 0 ? _offered() : step == 1 ? _received() : _released();
        IDeliveryLedger.Delivery memory d = ledger.delivery(id);
        uint64 deadline = step == 0 ? d.receiptBy : step == 1 ? d.keyBy : d.ackBy;
        vm.warp(_now() + wait % (8 * DAY));
        if (_now() <= deadline) {
            _expect(_tooEarly(deadline + 1));
            ledger.expire(id);
            _acknowledge(south.addr, _ack(id, 0, 0, 0));
            return;
        }
        _ackRefused(_ack(id, 0, 0, 0), _tooLate(deadline));
        vm.prank(caller);
        ledger.expire(id);
        _faultIs(
            id,
            [Codes.RECEIPT_LAPSED, Codes.KEY_OVERDUE, Codes.ACK_OVERDUE][step],
            step == 1 ? 1 : 2
        );
    }

    // ── the duty to deliver ──

    function test_MissedDutyNamesTheOwner() public {
        bytes32 grantId = _granted();
        uint64 dutyBy = _now() + 3 * DAY;
        vm.warp(dutyBy);
        _expect(_tooEarly(dutyBy + 1));
        ledger.expireDuty(grantId);
        vm.warp(dutyBy + 1);
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.DutyMissed(grantId);
        vm.prank(stranger);
        ledger.expireDuty(grantId);
        _faultIs(grantId, Codes.NO_OFFER, Codes.SIDE_OWNER);
        (, uint256 s) = _sums(NORTH);
        assertEq(s, 3 * Score.ONE);
        _expect(_exists(grantId));
        ledger.expireDuty(grantId);
    }

    function test_DutyBeginsWithTheGrantsTerm() public {
        IAccessRegistry.AccessRequest memory r = _draft();
        r.validFrom = _now() + 5 * DAY;
        bytes32 grantId = _ask(r);
        vm.prank(north.addr);
        access.accept(grantId, grantId);
        vm.warp(r.validFrom + 3 * DAY);
        _expect(_tooEarly(r.validFrom + 3 * DAY + 1));
        ledger.expireDuty(grantId);
    }

    function test_DutyIsDoneByAnOffer() public {
        bytes32 grantId = _granted();
        _offer(grantId, 1, 0);
        vm.warp(_now() + 4 * DAY);
        _expect(_seqMismatch(1, 0));
        ledger.expireDuty(grantId);
    }

    function test_DutyNeedsAGrantThatOwesOne() public {
        _expect(_unknown(keccak256("none")));
        ledger.expireDuty(keccak256("none"));

        bytes32 requested = _requested();
        _expect(_wrongState(requested, 1, 3));
        ledger.expireDuty(requested);

        IAccessRegistry.AccessRequest memory r = _draft();
        r.deliverWithin = 0;
        bytes32 free = _ask(r);
        vm.prank(north.addr);
        access.accept(free, free);
        vm.warp(_now() + 4 * DAY);
        _expect(_wrongState(free, 3, 3));
        ledger.expireDuty(free);
    }

    function test_DutyEndsWithTheGrantButNotAfterwards() public {
        bytes32 early = _granted();
        bytes32 late = _granted();
        vm.prank(north.addr);
        access.revoke(early, 8, REASON);
        vm.warp(_now() + 3 * DAY + 1);
        vm.prank(north.addr);
        access.revoke(late, 8, REASON);
        _expect(_wrongState(early, 5, 3));
        ledger.expireDuty(early);
        ledger.expireDuty(late);
        _faultIs(late, Codes.NO_OFFER, Codes.SIDE_OWNER);
    }

    function test_QuietIdsHaveNoFaultAndNoParties() public view {
        _faultIs(keccak256("none"), 0, 0);
        (bytes16 sender, bytes16 recipient) = ledger.partiesOf(keccak256("none"));
        assertEq(sender, 0);
        assertEq(recipient, 0);
    }
}
