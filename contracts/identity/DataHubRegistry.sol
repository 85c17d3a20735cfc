// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDataHubRegistry} from "../interfaces/IDataHubRegistry.sol";
import {GrantRules} from "../libraries/GrantRules.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title DataHubRegistry, as specified in `interfaces/IDataHubRegistry.sol`.
// States, kinds and numbers are compared with one of their values; no balance is weighed.
// slither-disable-start incorrect-equality
contract DataHubRegistry is Module, IDataHubRegistry {
    // ── types ──

    /// @dev `IDataHubRegistry.Hub`, packed into two slots.
    struct PackedHub {
        bytes16 sponsor;
        HubStatus status;
        uint40 openedAt;
        uint40 closedAt;
        bytes32 policyCommit;
    }

    /// @dev `IDataHubRegistry.Offer`, packed into three slots.
    struct PackedOffer {
        bytes16 service;
        uint16 purpose;
        uint8 sensitivity;
        OfferStatus status;
        uint40 validUntil;
        bytes32 algId;
        bytes32 termsHash;
    }

    // ── constants ──

    bytes32 private constant HUB_OPENING = keccak256(
        "HubOpening(bytes16 hub,bytes16 sponsor,address account,bytes32 policyCommit,bytes32 salt)"
    );
    bytes32 private constant SERVICE_OFFER = keccak256(
        "ServiceOffer(bytes16 service,uint16 purpose,uint8 sensitivity,bytes32 algId,bytes32 termsHash,uint64 validUntil,bytes32 salt)"
    );
    bytes32 private constant SET_POLICY =
        keccak256("SetPolicy(bytes16 id,bytes32 policyCommit,uint256 nonce,uint64 deadline)");
    bytes32 private constant CLOSE_HUB =
        keccak256("CloseHub(bytes16 id,uint256 nonce,uint64 deadline)");
    bytes32 private constant ALLOW_MOVE =
        keccak256("AllowMove(bytes16 id,bytes16 newSponsor,uint256 nonce,uint64 deadline)");
    bytes32 private constant MOVE_HUB =
        keccak256("MoveHub(bytes16 id,bytes16 newSponsor,uint256 nonce,uint64 deadline)");
    bytes32 private constant RETIRE_OFFER =
        keccak256("RetireOffer(bytes32 offerId,uint256 nonce,uint64 deadline)");

    uint8 private constant SENSITIVITY_MAX = 3;

    // ── storage ──

    mapping(bytes16 hub => PackedHub) private _hubs;

    /// @inheritdoc IDataHubRegistry
    mapping(bytes16 hub => bytes16 newSponsor) public moveAllowed;

    mapping(bytes32 offerId => PackedOffer) private _offers;

    /// @dev The hub that this transaction acts for. Forgotten with the transaction's end.
    bytes16 private transient _facet;

    // ── constructor ──

    constructor(address authority, address directory)
        Module(authority, directory, "DataHubRegistry")
    {}

    // ── external: hubs ──

    /// @inheritdoc IDataHubRegistry
    function openHub(HubOpening calldata opening, bytes calldata accountSig) external {
        _openHub(msg.sender, _openingDigest(opening), opening, accountSig);
    }

    /// @inheritdoc IDataHubRegistry
    function openHubBySig(
        HubOpening calldata opening,
        bytes calldata accountSig,
        address signer,
        bytes calldata signature
    ) external {
        bytes32 digest = _openingDigest(opening);
        _verifyDocument(digest, signer, signature);
        _openHub(signer, digest, opening, accountSig);
    }

    /// @inheritdoc IDataHubRegistry
    function setPolicy(bytes16 id, bytes32 policyCommit) external {
        _setPolicy(msg.sender, id, policyCommit);
    }

    /// @inheritdoc IDataHubRegistry
    function setPolicyBySig(bytes16 id, bytes32 policyCommit, Auth calldata auth) external {
        _setPolicy(_verifyAct(auth, SET_POLICY, _words(2)), id, policyCommit);
    }

    /// @inheritdoc IDataHubRegistry
    function closeHub(bytes16 id) external {
        _closeHub(msg.sender, id);
    }

    /// @inheritdoc IDataHubRegistry
    function closeHubBySig(bytes16 id, Auth calldata auth) external {
        _closeHub(_verifyAct(auth, CLOSE_HUB, _words(1)), id);
    }

    /// @inheritdoc IDataHubRegistry
    function allowMove(bytes16 id, bytes16 newSponsor) external {
        _allowMove(msg.sender, id, newSponsor);
    }

    /// @inheritdoc IDataHubRegistry
    function allowMoveBySig(bytes16 id, bytes16 newSponsor, Auth calldata auth) external {
        _allowMove(_verifyAct(auth, ALLOW_MOVE, _words(2)), id, newSponsor);
    }

    /// @inheritdoc IDataHubRegistry
    function moveHub(bytes16 id, bytes16 newSponsor) external {
        _moveHub(msg.sender, id, newSponsor);
    }

    /// @inheritdoc IDataHubRegistry
    function moveHubBySig(bytes16 id, bytes16 newSponsor, Auth calldata auth) external {
        _moveHub(_verifyAct(auth, MOVE_HUB, _words(2)), id, newSponsor);
    }

    // ── external: services ──

    /// @inheritdoc IDataHubRegistry
    function publishOffer(ServiceOffer calldata offer) external returns (bytes32 offerId) {
        offerId = _offerDigest(offer);
        _publish(msg.sender, offerId, offer);
    }

    /// @inheritdoc IDataHubRegistry
    function publishOfferBySig(
        ServiceOffer calldata offer,
        address signer,
        bytes calldata signature
    ) external returns (bytes32 offerId) {
        offerId = _offerDigest(offer);
        _verifyDocument(offerId, signer, signature);
        _publish(signer, offerId, offer);
    }

    /// @inheritdoc IDataHubRegistry
    function retireOffer(bytes32 offerId) external {
        _retire(msg.sender, offerId);
    }

    /// @inheritdoc IDataHubRegistry
    function retireOfferBySig(bytes32 offerId, Auth calldata auth) external {
        _retire(_verifyAct(auth, RETIRE_OFFER, _words(1)), offerId);
    }

    // ── views ──

    /// @inheritdoc IDataHubRegistry
    function hub(bytes16 id) external view returns (Hub memory) {
        PackedHub storage h = _hubs[id];
        return Hub(h.sponsor, h.status, h.openedAt, h.closedAt, h.policyCommit);
    }

    /// @inheritdoc IDataHubRegistry
    function serviceOffer(bytes32 offerId) external view returns (Offer memory) {
        PackedOffer storage o = _offers[offerId];
        return
            Offer(o.service, o.purpose, o.sensitivity, o.status, o.validUntil, o.algId, o.termsHash);
    }

    /// @inheritdoc IDataHubRegistry
    function speaksFor(address signer, bytes16 id) external view returns (bool) {
        return _hubs[id].status == HubStatus.Open && _keys().subjectOf(signer) == id;
    }

    /// @inheritdoc IDataHubRegistry
    function isOffered(bytes32 offerId, uint64 t) external view returns (bool) {
        PackedOffer storage o = _offers[offerId];
        return o.status == OfferStatus.Offered && t < o.validUntil;
    }

    // ── internal: hubs ──

    function _openHub(
        address signer,
        bytes32 digest,
        HubOpening calldata opening,
        bytes calldata accountSig
    ) private {
        bytes16 id = opening.hub;
        _requireActor(signer, opening.sponsor, Roles.OFFICER);
        _requireOpen(opening.sponsor);
        _verifyDocument(digest, opening.account, accountSig);
        bool taken = _hubs[id].status != HubStatus.None || _institutions().institutionOf(id) != 0;
        if (id == 0 || taken) revert Exists(id);
        _requireOneFacet(id);

        PackedHub storage h = _hubs[id];
        h.sponsor = opening.sponsor;
        h.status = HubStatus.Open;
        h.openedAt = _packed(_now());
        h.policyCommit = opening.policyCommit;
        emit HubOpened(id, opening.sponsor, opening.account, opening.policyCommit);
        _keys().bindFirst(id, opening.account);
    }

    function _setPolicy(address signer, bytes16 id, bytes32 policyCommit) private {
        PackedHub storage h = _requireSpeaker(signer, id);
        h.policyCommit = policyCommit;
        emit HubPolicySet(id, policyCommit);
    }

    function _closeHub(address signer, bytes16 id) private {
        PackedHub storage h = _requireSpeaker(signer, id);
        h.status = HubStatus.Closed;
        h.closedAt = _packed(_now());
        emit HubClosed(id);
    }

    function _allowMove(address signer, bytes16 id, bytes16 newSponsor) private {
        PackedHub storage h = _requireSpeaker(signer, id);
        if (newSponsor == h.sponsor) revert Exists(newSponsor);
        if (newSponsor != 0) _requireActive(newSponsor);
        moveAllowed[id] = newSponsor;
        emit HubMoveAllowed(id, newSponsor);
    }

    function _moveHub(address signer, bytes16 id, bytes16 newSponsor) private {
        _requireActor(signer, newSponsor, Roles.OFFICER);
        _requireOpen(newSponsor);
        PackedHub storage h = _requireOpenHub(id);
        if (moveAllowed[id] != newSponsor) revert MoveNotAllowed(id, newSponsor);
        _requireOneFacet(id);
        delete moveAllowed[id];
        h.sponsor = newSponsor;
        emit HubMoved(id, newSponsor);
    }

    // ── internal: services ──

    function _publish(address signer, bytes32 offerId, ServiceOffer calldata offer) private {
        _requireActor(signer, offer.service, Roles.STEWARD);
        _requireOpen(offer.service);
        if (_offers[offerId].status != OfferStatus.None) revert Exists(offerId);
        if (!GrantRules.isPurpose(offer.purpose)) revert ForbiddenPurpose(offer.purpose);
        _requireBetween(offer.sensitivity, 1, SENSITIVITY_MAX);
        uint64 max = _now() + _days(Periods.SERVICE_OFFER_DAYS);
        _requireBetween(offer.validUntil, _now() + 1, max);

        _offers[offerId] = PackedOffer({
            service: offer.service,
            purpose: offer.purpose,
            sensitivity: offer.sensitivity,
            status: OfferStatus.Offered,
            validUntil: _packed(offer.validUntil),
            algId: offer.algId,
            termsHash: offer.termsHash
        });
        emit OfferPublished(
            offerId,
            offer.service,
            offer.purpose,
            offer.sensitivity,
            offer.algId,
            offer.termsHash,
            offer.validUntil
        );
    }

    function _retire(address signer, bytes32 offerId) private {
        PackedOffer storage o = _offers[offerId];
        if (o.status == OfferStatus.None) revert Unknown(offerId);
        _requireActor(signer, o.service, Roles.STEWARD);
        if (o.status != OfferStatus.Offered) {
            revert WrongState(offerId, uint8(o.status), uint8(OfferStatus.Offered));
        }
        o.status = OfferStatus.Retired;
        emit OfferRetired(offerId);
    }

    // ── internal: checks ──

    /// @dev Checks that `signer` is an account of the hub itself, which is open.
    function _requireSpeaker(address signer, bytes16 id) private returns (PackedHub storage h) {
        h = _requireOpenHub(id);
        if (_keys().subjectOf(signer) != id) revert NotParty(id, signer);
        _requireOneFacet(id);
    }

    function _requireOpenHub(bytes16 id) private view returns (PackedHub storage h) {
        h = _hubs[id];
        if (h.status == HubStatus.None) revert Unknown(id);
        if (h.status != HubStatus.Open) {
            revert WrongState(id, uint8(h.status), uint8(HubStatus.Open));
        }
    }

    /// @dev Checks that this transaction acts for no other hub: two hubs that move together would
    /// be known to belong to one person.
    function _requireOneFacet(bytes16 id) private {
        if (_facet != 0 && _facet != id) revert TwoFacets(_facet, id);
        _facet = id;
    }

    // ── internal: documents ──

    function _openingDigest(HubOpening calldata opening) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(HUB_OPENING, opening)));
    }

    function _offerDigest(ServiceOffer calldata offer) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(SERVICE_OFFER, offer)));
    }
}
// slither-disable-end incorrect-equality
