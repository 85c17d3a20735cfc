// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Vm} from "forge-std/Vm.sol";

import {IAccessRegistry} from "../../contracts/interfaces/IAccessRegistry.sol";
import {ICredibility} from "../../contracts/interfaces/ICredibility.sol";
import {IDeliveryLedger} from "../../contracts/interfaces/IDeliveryLedger.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IIncentives} from "../../contracts/interfaces/IIncentives.sol";
import {ISanctions} from "../../contracts/interfaces/ISanctions.sol";
import {ISupervision} from "../../contracts/interfaces/ISupervision.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Base} from "./Base.t.sol";

/// @title A dataset of the north, asked for by the south, and what may follow.
abstract contract AccessBase is Base {
    uint64 internal constant HOUR = DAY / 24;
    bytes16 internal constant DATASET = bytes16(keccak256("dataset"));
    bytes32 internal constant SCOPE = keccak256("test/scope");
    bytes32 internal constant TERMS = keccak256("test/terms");
    bytes32 internal constant REASON = keccak256("test/reason");
    uint24 internal constant WITHIN = 24 * 3600;

    IAccessRegistry internal access;
    IDeliveryLedger internal ledger;
    ISupervision internal supervision;
    ISanctions internal sanctions;
    ICredibility internal credibility;
    IIncentives internal incentives;

    uint256 private _salt;

    function setUp() public virtual override {
        super.setUp();
        access = IAccessRegistry(_at(Codes.ACCESS_REGISTRY));
        ledger = IDeliveryLedger(_at(Codes.DELIVERY_LEDGER));
        supervision = ISupervision(_at(Codes.SUPERVISION));
        sanctions = ISanctions(_at(Codes.SANCTIONS));
        credibility = ICredibility(_at(Codes.CREDIBILITY));
        incentives = IIncentives(_at(Codes.INCENTIVES));
        _publish(DATASET, Codes.DUO_GRU | Codes.DUO_IRB, Codes.DELIVER | Codes.COMPUTE);
    }

    // ── access ──

    function _publish(bytes16 id, uint32 duo, uint8 modes) internal {
        vm.prank(north.addr);
        catalog.publish(id, NORTH, keccak256("descriptor"), duo, 1, 1, Codes.K, modes);
    }

    /// @dev A request of the south in good form; each call has its own salt.
    function _draft() internal returns (IAccessRegistry.AccessRequest memory) {
        return IAccessRegistry.AccessRequest({
            requester: SOUTH,
            owner: NORTH,
            dataset: DATASET,
            purpose: 5,
            duo: Codes.DUO_HMB | Codes.DUO_IRB,
            mode: Codes.DELIVER,
            validFrom: _now(),
            validUntil: _now() + 100 * DAY,
            answerBy: _now() + 7 * DAY,
            deliverWithin: 3 * DAY,
            scopeHash: SCOPE,
            termsHash: TERMS,
            renews: 0,
            salt: keccak256(abi.encode("request", ++_salt))
        });
    }

    function _ask(IAccessRegistry.AccessRequest memory r) internal returns (bytes32) {
        vm.prank(south.addr);
        return access.request(r);
    }

    function _requested() internal returns (bytes32) {
        return _ask(_draft());
    }

    function _granted() internal returns (bytes32 grantId) {
        grantId = _requested();
        vm.prank(north.addr);
        access.accept(grantId, grantId);
    }

    function _grantIs(bytes32 grantId, IAccessRegistry.Status status) internal view {
        IAccessRegistry.Grant memory g = access.grant(grantId);
        assertEq(uint8(g.status), uint8(status), "grant's status");
        assertEq(g.changedAt, _now(), "changed now");
    }

    // ── deliveries ──

    function _deliveryId(bytes32 grantId, uint32 seq) internal pure returns (bytes32) {
        return keccak256(abi.encode(grantId, seq));
    }

    function _offer(bytes32 grantId, uint32 seq, bytes32 offerHash) internal returns (bytes32) {
        vm.prank(north.addr);
        ledger.offer(grantId, seq, offerHash, _now() + 3 * DAY, WITHIN, 3 * WITHIN);
        return _deliveryId(grantId, seq);
    }

    /// @dev A first delivery under a new grant, offered.
    function _offered() internal returns (bytes32) {
        return _offer(_granted(), 1, keccak256("offer"));
    }

    function _receipt(bytes32 deliveryId) internal view returns (IDeliveryLedger.Receipt memory) {
        bytes32 offerHash = ledger.delivery(deliveryId).offerHash;
        return IDeliveryLedger.Receipt(deliveryId, offerHash, keccak256("ct"), _now());
    }

    function _received() internal returns (bytes32 deliveryId) {
        deliveryId = _offered();
        IDeliveryLedger.Receipt memory r = _receipt(deliveryId);
        vm.prank(south.addr);
        ledger.postReceipt(r);
    }

    function _released() internal returns (bytes32 deliveryId) {
        deliveryId = _received();
        vm.prank(north.addr);
        ledger.releaseKey(deliveryId, new bytes(80));
    }

    /// @dev A delivery whose key never came: fault 2 of the north.
    function _keyOverdue() internal returns (bytes32 deliveryId) {
        deliveryId = _received();
        _warp(ledger.delivery(deliveryId).keyBy + 1);
        ledger.expire(deliveryId);
    }

    // ── complaints ──

    function _complaint(bytes32 subject) internal returns (ISupervision.Complaint memory) {
        return ISupervision.Complaint({
            complainant: SOUTH,
            respondent: NORTH,
            kind: 1,
            subject: subject,
            evidenceHash: keccak256("test/evidence"),
            happenedAt: _now(),
            salt: keccak256(abi.encode("complaint", ++_salt))
        });
    }

    function _filed(bytes32 subject) internal returns (bytes32) {
        ISupervision.Complaint memory c = _complaint(subject);
        vm.prank(south.addr);
        return supervision.file(c);
    }

    // ── scores and roles ──

    /// @dev Good and bad weight of a subject as stored, Q64.
    function _sums(bytes16 subject) internal view returns (uint256 r, uint256 s) {
        ICredibility.Sums memory sums = credibility.sums(subject);
        return (sums.r, sums.s);
    }

    function _scoreIs(bytes16 subject, uint256 r, uint256 s) internal view {
        (uint256 haveR, uint256 haveS) = _sums(subject);
        assertEq(haveR, r, "good weight");
        assertEq(haveS, s, "bad weight");
    }

    /// @dev Lets this test call what is restricted to a role.
    function _take(uint64 role) internal {
        vm.prank(admin);
        manager.grantRole(role, address(this), 0);
    }

    function _unauthorized(address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller);
    }

    function _suspendInstitution(bytes16 id, uint64 until) internal {
        vm.prank(address(sanctions));
        institutions.setSuspended(id, until, keccak256("case"));
    }

    function _stop(bytes32 name) internal {
        vm.prank(guardian);
        directory.stop(name);
    }

    // ── reverts ──

    function _tooLate(uint64 deadline) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.TooLate.selector, deadline);
    }

    function _tooEarly(uint64 notBefore) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.TooEarly.selector, notBefore);
    }

    function _mismatch(bytes32 have, bytes32 want) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.HashMismatch.selector, have, want);
    }

    function _notActive(bytes16 inst, uint8 status) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.NotActive.selector, inst, status);
    }

    function _stopped(bytes32 name, uint64 until) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.Stopped.selector, name, until);
    }

    function _badSignature(address signer) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.BadSignature.selector, signer);
    }

    function _status(IAccessRegistry.Status s) internal pure returns (uint8) {
        return uint8(s);
    }
}
