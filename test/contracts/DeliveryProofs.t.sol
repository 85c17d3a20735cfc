// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IDeliveryLedger} from "../../contracts/interfaces/IDeliveryLedger.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Score} from "../../contracts/libraries/Score.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice Contradictions that a contract can see by itself: two offers, a bad leaf.
contract DeliveryProofsTest is AccessBase {
    /// @dev A batch of 16 record leaves of the north; the record delivered is the one at index 5.
    uint256 private constant INDEX = 5;
    bytes32[] private _leaves;
    bytes32 private _grantId;

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < 16; ++i) {
            _leaves.push(keccak256(abi.encode("leaf", i)));
        }
        vm.prank(north.addr);
        records.anchor(NORTH, 1, 0, _root(_leaves), 4, 1);
        _grantId = _granted();
    }

    // ── trees and documents ──

    function _root(bytes32[] memory level) private pure returns (bytes32) {
        while (level.length > 1) {
            level = _above(level);
        }
        return level[0];
    }

    function _proof(bytes32[] memory level, uint256 index)
        private
        pure
        returns (bytes32[] memory proof)
    {
        uint256 depth = 0;
        for (uint256 size = level.length; size > 1; size /= 2) {
            ++depth;
        }
        proof = new bytes32[](depth);
        for (uint256 i = 0; i < depth; ++i) {
            proof[i] = level[index ^ 1];
            level = _above(level);
            index /= 2;
        }
    }

    function _above(bytes32[] memory level) private pure returns (bytes32[] memory up) {
        up = new bytes32[](level.length / 2);
        for (uint256 i = 0; i < up.length; ++i) {
            up[i] = keccak256(abi.encodePacked(level[2 * i], level[2 * i + 1]));
        }
    }

    function _entry(bytes32 leaf) private view returns (IDeliveryLedger.DeliveryEntry memory) {
        bytes32 proofHash = keccak256(abi.encodePacked(_proof(_leaves, INDEX)));
        return IDeliveryLedger.DeliveryEntry(NORTH, 1, uint32(INDEX), leaf, proofHash);
    }

    function _entryLeaf(IDeliveryLedger.DeliveryEntry memory e) private pure returns (bytes32) {
        bytes32 typeHash = keccak256(
            "DeliveryEntry(bytes16 inst,uint64 batchSeq,uint32 index,bytes32 leaf,bytes32 proofHash)"
        );
        return keccak256(abi.encodePacked(keccak256(abi.encode(typeHash, e))));
    }

    /// @dev Entries of a delivery of two records: the one given, at position 1, and a filler.
    function _entries(IDeliveryLedger.DeliveryEntry memory e)
        private
        pure
        returns (bytes32[] memory entries)
    {
        entries = new bytes32[](2);
        entries[0] = keccak256("other entry");
        entries[1] = _entryLeaf(e);
    }

    function _document(bytes32 ptRoot) private view returns (IDeliveryLedger.DeliveryOffer memory) {
        return IDeliveryLedger.DeliveryOffer({
            grantId: _grantId,
            seq: 1,
            ctRoot: keccak256("ct"),
            ptRoot: ptRoot,
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

    /// @dev Offers a delivery of one record with this leaf.
    function _offerLeaf(bytes32 leaf)
        private
        returns (IDeliveryLedger.DeliveryOffer memory o, IDeliveryLedger.DeliveryEntry memory e)
    {
        e = _entry(leaf);
        o = _document(_root(_entries(e)));
        _offer(_grantId, 1, _digestOf(o));
    }

    function _proveLeaf(
        IDeliveryLedger.DeliveryOffer memory o,
        IDeliveryLedger.DeliveryEntry memory e
    ) private {
        bytes32[] memory entryProof = _proof(_entries(e), 1);
        ledger.proveBadLeaf(o, e, 1, entryProof, _proof(_leaves, INDEX));
    }

    function _faultIs(uint32 seq, uint8 faultCode) private view {
        (uint8 code, uint8 side) = ledger.faultOf(_deliveryId(_grantId, seq));
        assertEq(code, faultCode);
        assertEq(side, faultCode == 0 ? 0 : Codes.SIDE_OWNER);
    }

    // ── bad leaf ──

    function test_AlteredRecordIsProven() public {
        (IDeliveryLedger.DeliveryOffer memory o, IDeliveryLedger.DeliveryEntry memory e) =
            _offerLeaf(keccak256("altered"));
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.FaultProven(_deliveryId(_grantId, 1), 4, 1);
        vm.prank(stranger);
        _proveLeaf(o, e);
        _faultIs(1, Codes.BAD_LEAF);
        (, uint256 s) = _sums(NORTH);
        assertEq(s, 3 * Score.ONE);

        _expect(_exists(_deliveryId(_grantId, 1)));
        _proveLeaf(o, e);
    }

    function test_GoodRecordIsNoFault() public {
        (IDeliveryLedger.DeliveryOffer memory o, IDeliveryLedger.DeliveryEntry memory e) =
            _offerLeaf(_leaves[INDEX]);
        bytes32[] memory entryProof = _proof(_entries(e), 1);
        _expect(abi.encodeWithSelector(IDeliveryLedger.LeafIsGood.selector));
        ledger.proveBadLeaf(o, e, 1, entryProof, _proof(_leaves, INDEX));
        _faultIs(1, 0);
    }

    function test_BadLeafRefusals() public {
        (IDeliveryLedger.DeliveryOffer memory o, IDeliveryLedger.DeliveryEntry memory e) =
            _offerLeaf(keccak256("altered"));
        bytes32[] memory entryProof = _proof(_entries(e), 1);
        bytes32[] memory leafProof = _proof(_leaves, INDEX);

        // Another position, another entry, another path than the sender committed to.
        _expect(abi.encodeWithSelector(IErrors.BadProof.selector, o.ptRoot, 0));
        ledger.proveBadLeaf(o, e, 0, entryProof, leafProof);
        _expect(abi.encodeWithSelector(IErrors.BadProof.selector, o.ptRoot, 3));
        ledger.proveBadLeaf(o, e, 3, entryProof, leafProof);
        IDeliveryLedger.DeliveryEntry memory other = _entry(keccak256("framed"));
        _expect(abi.encodeWithSelector(IErrors.BadProof.selector, o.ptRoot, 1));
        ledger.proveBadLeaf(o, other, 1, entryProof, leafProof);
        bytes32[] memory wrongPath = _proof(_leaves, INDEX + 1);
        _expect(_mismatch(keccak256(abi.encodePacked(wrongPath)), e.proofHash));
        ledger.proveBadLeaf(o, e, 1, entryProof, wrongPath);
        _expect(_outOfBounds(25, 0, 24));
        ledger.proveBadLeaf(o, e, 1, new bytes32[](25), leafProof);

        // Another document than the one offered, another delivery.
        bytes32 want = ledger.delivery(_deliveryId(_grantId, 1)).offerHash;
        o.salt = keccak256("another");
        _expect(_mismatch(_digestOf(o), want));
        ledger.proveBadLeaf(o, e, 1, entryProof, leafProof);
        o.seq = 2;
        _expect(_unknown(_deliveryId(_grantId, 2)));
        ledger.proveBadLeaf(o, e, 1, entryProof, leafProof);
    }

    function test_RecordOfNoBatchIsAFault() public {
        IDeliveryLedger.DeliveryEntry memory e = _entry(_leaves[INDEX]);
        e.batchSeq = 2;
        IDeliveryLedger.DeliveryOffer memory o = _document(_root(_entries(e)));
        _offer(_grantId, 1, _digestOf(o));
        _proveLeaf(o, e);
        _faultIs(1, Codes.BAD_LEAF);
    }

    function test_ContradictionOutweighsAMissedDeadline() public {
        (IDeliveryLedger.DeliveryOffer memory o, IDeliveryLedger.DeliveryEntry memory e) =
            _offerLeaf(keccak256("altered"));
        bytes32 id = _deliveryId(_grantId, 1);
        IDeliveryLedger.Receipt memory r = _receipt(id);
        vm.prank(south.addr);
        ledger.postReceipt(r);
        vm.prank(north.addr);
        ledger.releaseKey(id, new bytes(80));
        vm.warp(ledger.delivery(id).ackBy + 1);
        ledger.expire(id);
        (uint8 code, uint8 side) = ledger.faultOf(id);
        assertEq(code, Codes.ACK_OVERDUE);
        assertEq(side, Codes.SIDE_REQUESTER);
        _proveLeaf(o, e);
        _faultIs(1, Codes.BAD_LEAF);
    }

    function test_MissedDeadlineDoesNotHideAContradiction() public {
        (IDeliveryLedger.DeliveryOffer memory o, IDeliveryLedger.DeliveryEntry memory e) =
            _offerLeaf(keccak256("altered"));
        _proveLeaf(o, e);
        bytes32 id = _deliveryId(_grantId, 1);
        vm.warp(ledger.delivery(id).receiptBy + 1);
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.DeliveryExpired(id, IDeliveryLedger.State.Lapsed, 1, 4);
        ledger.expire(id);
        _faultIs(1, Codes.BAD_LEAF);
    }

    // ── two offers ──

    function _signed(IDeliveryLedger.DeliveryOffer memory o, Vm.Wallet memory wallet)
        private
        view
        returns (bytes memory)
    {
        return _sign(wallet, _digestOf(o));
    }

    function _twoOffers()
        private
        view
        returns (IDeliveryLedger.DeliveryOffer memory a, IDeliveryLedger.DeliveryOffer memory b)
    {
        a = _document(keccak256("one"));
        b = _document(keccak256("two"));
    }

    function test_TwoOffersAreProven() public {
        (IDeliveryLedger.DeliveryOffer memory a, IDeliveryLedger.DeliveryOffer memory b) =
            _twoOffers();
        (, Vm.Wallet memory courier) = _staff(north, NORTH, "courier", Roles.RELAYER);
        b.offeredAt = a.offeredAt;
        bytes memory sigA = _signed(a, north);
        bytes memory sigB = _signed(b, courier);
        vm.expectEmit(address(ledger));
        emit IDeliveryLedger.FaultProven(_deliveryId(_grantId, 1), 3, 1);
        vm.prank(stranger);
        ledger.proveDoubleOffer(a, north.addr, sigA, b, courier.addr, sigB);
        _faultIs(1, Codes.DOUBLE_OFFER);
        (, uint256 s) = _sums(NORTH);
        assertEq(s, 3 * Score.ONE);
        (bytes16 sender, bytes16 recipient) = ledger.partiesOf(_deliveryId(_grantId, 1));
        assertEq(sender, NORTH);
        assertEq(recipient, SOUTH);

        _expect(_exists(_deliveryId(_grantId, 1)));
        ledger.proveDoubleOffer(b, courier.addr, sigB, a, north.addr, sigA);
    }

    function test_FaultOfTwoOffersOutlivesTheOfferOnChain() public {
        (IDeliveryLedger.DeliveryOffer memory a, IDeliveryLedger.DeliveryOffer memory b) =
            _twoOffers();
        ledger.proveDoubleOffer(a, north.addr, _signed(a, north), b, north.addr, _signed(b, north));
        _offer(_grantId, 1, _digestOf(a));
        _faultIs(1, Codes.DOUBLE_OFFER);
    }

    function test_TwoOffersRefusals() public {
        (IDeliveryLedger.DeliveryOffer memory a, IDeliveryLedger.DeliveryOffer memory b) =
            _twoOffers();
        bytes memory sigA = _signed(a, north);
        bytes memory sigB = _signed(b, south);

        _expect(abi.encodeWithSelector(IDeliveryLedger.SameOffer.selector, _digestOf(a)));
        ledger.proveDoubleOffer(a, north.addr, sigA, a, north.addr, sigA);
        _expect(_badSignature(south.addr));
        ledger.proveDoubleOffer(a, north.addr, sigA, b, south.addr, sigB);
        _expect(_badSignature(north.addr));
        ledger.proveDoubleOffer(a, north.addr, sigA, b, north.addr, sigB);

        b.seq = 2;
        _expect(abi.encodeWithSelector(IErrors.SeqMismatch.selector, 2, 1));
        ledger.proveDoubleOffer(a, north.addr, sigA, b, north.addr, sigB);
        b.grantId = keccak256("none");
        _expect(_mismatch(b.grantId, a.grantId));
        ledger.proveDoubleOffer(a, north.addr, sigA, b, north.addr, sigB);
        a.grantId = b.grantId;
        b.seq = 1;
        _expect(_unknown(b.grantId));
        ledger.proveDoubleOffer(a, north.addr, sigA, b, north.addr, sigB);
    }

    function test_TwoOffersNeedAKeyValidWhenOffered() public {
        (IDeliveryLedger.DeliveryOffer memory a, IDeliveryLedger.DeliveryOffer memory b) =
            _twoOffers();
        b.offeredAt = START - 1;
        bytes memory sigA = _signed(a, north);
        bytes memory sigB = _signed(b, north);
        _expect(_badSignature(north.addr));
        ledger.proveDoubleOffer(a, north.addr, sigA, b, north.addr, sigB);
    }
}
