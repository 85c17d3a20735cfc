// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {DeliveryLedger} from "../../contracts/access/DeliveryLedger.sol";
import {IDeliveryLedger} from "../../contracts/interfaces/IDeliveryLedger.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {World} from "./World.sol";

/// @title D1 and D3: one delivery, any two acts at any two moments, in a world that says yes.
contract DeliveriesProof is Test {
    uint64 private constant START = 1_800_000_000;
    uint64 private constant RECEIPT_BY = START + 3 days;
    uint24 private constant WITHIN = 1 days;

    DeliveryLedger private _ledger;
    bytes32 private _id;
    uint8 private _verdict;

    function setUp() public {
        address world = address(new World());
        _ledger = new DeliveryLedger(world, world);
        vm.warp(START);
        _ledger.offer("grant", 1, "offer", RECEIPT_BY, WITHIN, WITHIN);
        _id = keccak256(abi.encode(bytes32("grant"), uint32(1)));
    }

    // ── acts ──

    function act(uint8 which) external {
        if (which == 0) {
            _ledger.postReceipt(IDeliveryLedger.Receipt(_id, "offer", "ctRoot", START));
        }
        if (which == 1) _ledger.releaseKey(_id, new bytes(80));
        if (which == 2) {
            _ledger.acknowledge(IDeliveryLedger.Acknowledgement(_id, "offer", _verdict, 5, 10));
        }
        if (which == 3) _ledger.expire(_id);
    }

    function _try(uint8 which) private returns (bool done) {
        try this.act(which) {
            done = true;
        } catch {}
    }

    /// @dev Where a state stands on the way; all ends are as far.
    function _rank(IDeliveryLedger.State state) private pure returns (uint256) {
        return uint8(state) > 4 ? 4 : uint8(state);
    }

    // ── D1 ──

    function check_StatesOnlyMoveForward(uint8 first, uint8 second, uint8 verdict, uint40 wait)
        external
    {
        vm.assume(first < 4 && second < 4);
        _verdict = verdict;
        _try(first);
        IDeliveryLedger.Delivery memory d = _ledger.delivery(_id);
        vm.warp(uint256(START) + wait);
        bool done = _try(second);
        IDeliveryLedger.Delivery memory then = _ledger.delivery(_id);
        // An act that is done leads on; one that is not, and any act on an end, changes nothing.
        if (done) assert(_rank(then.state) > _rank(d.state) && _rank(d.state) < 4);
        else assert(then.state == d.state);
        assert(then.offerHash == d.offerHash);
        assert(then.sender == d.sender && then.recipient == d.recipient);
    }

    function check_AcceptedPassedReceived(uint8 first, uint8 verdict, uint40 wait) external {
        vm.assume(first < 2);
        _verdict = verdict;
        _try(first);
        vm.warp(uint256(START) + wait);
        _try(2);
        IDeliveryLedger.Delivery memory d = _ledger.delivery(_id);
        if (d.state != IDeliveryLedger.State.Accepted) return;
        assert(verdict == Codes.VERDICT_OK && d.faultCode == 0);
        // Both deadlines are set by the steps on the way.
        assert(d.keyBy != 0 && d.ackBy != 0);
    }

    function check_AtMostOneKey(uint8 between, uint8 verdict, uint40 wait, uint40 later) external {
        vm.assume(between < 4);
        _verdict = verdict;
        _try(0);
        vm.warp(uint256(START) + wait);
        bool once = _try(1);
        _try(between);
        vm.warp(uint256(START) + wait + later);
        bool twice = _try(1);
        assert(!(once && twice));
    }

    // ── D3 ──

    /// @dev Past the receipt's deadline: no late receipt or acknowledgement, and anybody's
    /// `expire`, at any moment, names the recipient.
    function check_NoReceiptInTimeNamesTheRecipient(uint40 late, uint40 later, address who)
        external
    {
        vm.assume(late > 0);
        vm.warp(uint256(RECEIPT_BY) + late);
        assert(!_try(0) && !_try(1) && !_try(2));
        vm.warp(uint256(RECEIPT_BY) + late + later);
        vm.prank(who);
        _ledger.expire(_id);
        _requireFault(IDeliveryLedger.State.Lapsed, Codes.RECEIPT_LAPSED, Codes.SIDE_REQUESTER);
    }

    function check_NoKeyInTimeNamesTheSender(uint40 late, uint40 later, address who) external {
        vm.assume(late > 0);
        _try(0);
        vm.warp(uint256(START) + WITHIN + late);
        assert(!_try(0) && !_try(1) && !_try(2));
        vm.warp(uint256(START) + WITHIN + late + later);
        vm.prank(who);
        _ledger.expire(_id);
        _requireFault(IDeliveryLedger.State.KeyOverdue, Codes.KEY_OVERDUE, Codes.SIDE_OWNER);
    }

    function check_NoAcknowledgementInTimeNamesTheRecipient(uint40 late, uint40 later, address who)
        external
    {
        vm.assume(late > 0);
        _try(0);
        _try(1);
        vm.warp(uint256(START) + WITHIN + late);
        assert(!_try(0) && !_try(1) && !_try(2));
        vm.warp(uint256(START) + WITHIN + late + later);
        vm.prank(who);
        _ledger.expire(_id);
        _requireFault(IDeliveryLedger.State.AutoAccepted, Codes.ACK_OVERDUE, Codes.SIDE_REQUESTER);
    }

    /// @dev Up to the deadline nobody is named.
    function check_NobodyIsNamedInTime(uint40 wait, address who) external {
        vm.assume(wait <= RECEIPT_BY - START);
        vm.warp(uint256(START) + wait);
        vm.prank(who);
        try _ledger.expire(_id) {
            assert(false);
        } catch {}
    }

    function _requireFault(IDeliveryLedger.State state, uint8 code, uint8 side) private view {
        IDeliveryLedger.Delivery memory d = _ledger.delivery(_id);
        assert(d.state == state && d.faultCode == code && d.faultSide == side);
        (uint8 faultCode, uint8 faultSide) = _ledger.faultOf(_id);
        assert(faultCode == code && faultSide == side);
    }
}
