// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDeliveryLedger} from "../../../contracts/interfaces/IDeliveryLedger.sol";
import {Codes} from "../../../contracts/libraries/Codes.sol";
import {AccessBase} from "../AccessBase.t.sol";

/// @notice Invariants D1 and D3: deliveries move forward only, and past a deadline the late act is
/// refused and one side is named, the same for every caller and moment.
contract DeliveriesInvariantTest is AccessBase {
    uint256 private constant DELIVERIES_MAX = 8;

    bytes32 private _grantId;
    bytes32[] private _ids;
    mapping(bytes32 id => uint8 state) private _seen;
    mapping(bytes32 id => bool) private _arrived;
    mapping(bytes32 id => uint256) private _keysPosted;
    string private _broken;

    function setUp() public override {
        super.setUp();
        _grantId = _granted();
        bytes4[] memory selectors = new bytes4[](6);
        selectors[0] = this.offerOne.selector;
        selectors[1] = this.receiveOne.selector;
        selectors[2] = this.releaseOne.selector;
        selectors[3] = this.acknowledgeOne.selector;
        selectors[4] = this.expireOne.selector;
        selectors[5] = this.wait.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    // ──────────────────────────────────────────────────────────────

    function offerOne(uint24 window) external noted {
        if (_ids.length == DELIVERIES_MAX) return;
        uint32 seq = ledger.lastSeq(_grantId) + 1;
        uint24 within = uint24(HOUR) + window % uint24(DAY);
        vm.prank(north.addr);
        try ledger.offer(_grantId, seq, keccak256("offer"), _now() + within, within, within) {
            _ids.push(_deliveryId(_grantId, seq));
        } catch {}
    }

    function receiveOne(uint256 pick) external noted {
        bytes32 id = _pick(pick);
        IDeliveryLedger.Receipt memory r = _receipt(id);
        bool late = _isLate(id);
        vm.prank(south.addr);
        try ledger.postReceipt(r) {
            if (late) _broken = "a late receipt";
            _arrived[id] = true;
        } catch {}
    }

    function releaseOne(uint256 pick) external noted {
        bytes32 id = _pick(pick);
        bool late = _isLate(id);
        vm.prank(north.addr);
        try ledger.releaseKey(id, new bytes(80)) {
            if (late) _broken = "a late key";
            if (++_keysPosted[id] > 1) _broken = "two keys";
        } catch {}
    }

    function acknowledgeOne(uint256 pick, uint8 verdict) external noted {
        bytes32 id = _pick(pick);
        bool late = _isLate(id);
        IDeliveryLedger.Acknowledgement memory a = IDeliveryLedger.Acknowledgement(
            id, ledger.delivery(id).offerHash, verdict % 3 == 0 ? 0 : verdict % 10, 3, 3
        );
        vm.prank(south.addr);
        try ledger.acknowledge(a) {
            if (late) _broken = "a late acknowledgement";
            _arrived[id] = true;
        } catch {}
    }

    function expireOne(uint256 pick, address caller) external noted {
        bytes32 id = _pick(pick);
        bool late = _isLate(id);
        uint8 state = uint8(ledger.delivery(id).state);
        vm.prank(caller);
        try ledger.expire(id) {
            if (!late) _broken = "expired in time";
            _named(id, state);
        } catch {
            if (late) _broken = "a deadline that nobody can call";
        }
    }

    function wait(uint32 secs) external noted {
        vm.warp(_now() + secs % (20 * HOUR));
    }

    // ──────────────────────────────────────────────────────────────

    function invariant_DeliveriesMoveForwardAndNameOneSide() public view {
        assertEq(_broken, "");
        for (uint256 i = 0; i < _ids.length; ++i) {
            IDeliveryLedger.Delivery memory d = ledger.delivery(_ids[i]);
            if (d.state == IDeliveryLedger.State.Accepted) assertTrue(_arrived[_ids[i]]);
            assertEq(d.faultCode == 0, d.faultSide == 0, "a fault has a side");
            assertLe(d.faultSide, 2);
            // Casts: a campaign offers far fewer than 2^32.
            bytes32 id = keccak256(abi.encode(_grantId, uint32(i + 1)));
            assertEq(_ids[i], id, "no gap");
        }
        assertEq(ledger.lastSeq(_grantId), _ids.length, "the last one is found");
    }

    /// @dev D3: who is named follows from the step that was due.
    function _named(bytes32 id, uint8 state) private {
        (uint8 code, uint8 side) = ledger.faultOf(id);
        uint8 wantCode = [Codes.RECEIPT_LAPSED, Codes.KEY_OVERDUE, Codes.ACK_OVERDUE][state - 1];
        uint8 wantSide = state == 2 ? Codes.SIDE_OWNER : Codes.SIDE_REQUESTER;
        if (code != wantCode || side != wantSide) _broken = "another side was named";
    }

    /// @dev Whether the step that is due has passed its deadline.
    function _isLate(bytes32 id) private view returns (bool) {
        IDeliveryLedger.Delivery memory d = ledger.delivery(id);
        if (d.state == IDeliveryLedger.State.Offered) return _now() > d.receiptBy;
        if (d.state == IDeliveryLedger.State.Received) return _now() > d.keyBy;
        if (d.state == IDeliveryLedger.State.KeyReleased) return _now() > d.ackBy;
        return false;
    }

    modifier noted() {
        _;
        for (uint256 i = 0; i < _ids.length; ++i) {
            uint8 state = uint8(ledger.delivery(_ids[i]).state);
            uint8 before = _seen[_ids[i]];
            if (state != before && (_arrows(before) >> state) & 1 == 0) _broken = "no such arrow";
            _seen[_ids[i]] = state;
        }
    }

    /// @dev D1. An acknowledgement passes through the steps that it skips.
    function _arrows(uint8 from) private pure returns (uint256) {
        if (from == 0) return 1 << 1;
        if (from == 1) return 1 << 2 | 1 << 4 | 1 << 5 | 1 << 7;
        if (from == 2) return 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8;
        if (from == 3) return 1 << 4 | 1 << 5 | 1 << 6;
        return 0;
    }

    function _pick(uint256 pick) private view returns (bytes32) {
        return _ids.length == 0 ? bytes32(0) : _ids[pick % _ids.length];
    }
}
