// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDeliveryLedger} from "../../contracts/interfaces/IDeliveryLedger.sol";
import {ISupervision} from "../../contracts/interfaces/ISupervision.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {SanctionRules} from "../../contracts/libraries/SanctionRules.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice The demo's story on chain, with nothing mocked: a record is altered after anchoring, the
/// recipient proves it, the case is decided by rule, and the grant is revoked.
contract StoryTest is AccessBase {
    /// @dev Sixteen leaves that all look alike: each level has one node, proof and root are short.
    bytes32 private constant LEAF = keccak256("leaf");

    function test_AlteredRecordFromRequestToRevocation() public {
        bytes32[] memory path = _path();
        vm.prank(north.addr);
        records.anchor(NORTH, 1, 0, _over(path[3]), 4, 1);
        assertTrue(records.verify(NORTH, 1, LEAF, 7, path), "an honest record proves");

        bytes32 grantId = _granted();
        IDeliveryLedger.DeliveryEntry memory e = IDeliveryLedger.DeliveryEntry({
            inst: NORTH,
            batchSeq: 1,
            index: 7,
            leaf: keccak256("altered"),
            proofHash: keccak256(abi.encodePacked(path))
        });
        IDeliveryLedger.DeliveryOffer memory o = _offerOf(grantId, e);
        bytes32 deliveryId = _offer(grantId, 1, _digestOf(o));
        _exchange(deliveryId);

        vm.prank(south.addr);
        ledger.proveBadLeaf(o, e, 0, new bytes32[](0), path);
        bytes32 caseId = _complain(deliveryId);
        supervision.closeByRule(caseId);
        _judged(caseId);

        vm.prank(north.addr);
        access.revoke(grantId, 6, REASON);
        _expect(abi.encodeWithSelector(IDeliveryLedger.GrantNotLive.selector, grantId));
        _offer(grantId, 2, keccak256("another"));
    }

    /// @dev Receipt, key, and an acknowledgement that says: leaf proof (4).
    function _exchange(bytes32 deliveryId) private {
        IDeliveryLedger.Receipt memory r = _receipt(deliveryId);
        vm.prank(south.addr);
        ledger.postReceipt(r);
        vm.prank(north.addr);
        ledger.releaseKey(deliveryId, new bytes(80));
        IDeliveryLedger.Acknowledgement memory a =
            IDeliveryLedger.Acknowledgement(deliveryId, r.offerHash, 4, 0, 0);
        vm.prank(south.addr);
        ledger.acknowledge(a);
    }

    function _complain(bytes32 deliveryId) private returns (bytes32) {
        ISupervision.Complaint memory c = _complaint(deliveryId);
        c.kind = 3;
        vm.prank(south.addr);
        return supervision.file(c);
    }

    /// @dev Upheld as major: no requests for 30 days, and a score that shows it.
    function _judged(bytes32 caseId) private view {
        ISupervision.Case memory c = supervision.caseOf(caseId);
        assertEq(uint8(c.stage), uint8(ISupervision.Stage.Executed));
        assertEq(c.ruling, Codes.UPHELD);
        assertEq(c.severity, Codes.MAJOR);
        assertEq(sanctions.levelOf(NORTH), SanctionRules.NO_REQUEST);
        assertFalse(sanctions.mayRequest(NORTH));
        // TIMELY for the answer; RULE_FAULT for the leaf and MAJOR for the case.
        _scoreIs(NORTH, Score.ONE / 4, 13 * Score.ONE);
        (,, uint16 meanBps, uint16 lcbBps,) = credibility.score(NORTH, _now());
        assertEq(meanBps, 820, "5 000 before");
        assertLt(lcbBps, meanBps);
    }

    function _offerOf(bytes32 grantId, IDeliveryLedger.DeliveryEntry memory e)
        private
        view
        returns (IDeliveryLedger.DeliveryOffer memory)
    {
        bytes32 typeHash = keccak256(
            "DeliveryEntry(bytes16 inst,uint64 batchSeq,uint32 index,bytes32 leaf,bytes32 proofHash)"
        );
        return IDeliveryLedger.DeliveryOffer({
            grantId: grantId,
            seq: 1,
            ctRoot: keccak256("ct"),
            ptRoot: keccak256(abi.encodePacked(keccak256(abi.encode(typeHash, e)))),
            size: 4168,
            chunkCount: 1,
            keyCommit: keccak256("key"),
            recvKey: keccak256("recv"),
            offeredAt: _now(),
            receiptBy: _now() + 3 * DAY,
            keyWithin: WITHIN,
            ackWithin: 3 * WITHIN,
            salt: keccak256("salt")
        });
    }

    function _digestOf(IDeliveryLedger.DeliveryOffer memory o) private view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "DeliveryOffer(bytes32 grantId,uint32 seq,bytes32 ctRoot,bytes32 ptRoot,uint64 size,uint32 chunkCount,bytes32 keyCommit,bytes32 recvKey,uint64 offeredAt,uint64 receiptBy,uint24 keyWithin,uint24 ackWithin,bytes32 salt)"
        );
        return _digest(address(ledger), "DeliveryLedger", keccak256(abi.encode(typeHash, o)));
    }

    /// @dev Siblings from any leaf to the root: the leaf itself, then the node above two, …
    function _path() private pure returns (bytes32[] memory path) {
        path = new bytes32[](4);
        path[0] = LEAF;
        for (uint256 i = 1; i < 4; ++i) {
            path[i] = _over(path[i - 1]);
        }
    }

    function _over(bytes32 node) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(node, node));
    }
}
