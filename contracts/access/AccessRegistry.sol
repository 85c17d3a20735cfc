// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessRegistry} from "../interfaces/IAccessRegistry.sol";
import {ICareRegistry} from "../interfaces/ICareRegistry.sol";
import {IDatasetCatalog} from "../interfaces/IDatasetCatalog.sol";
import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {Codes} from "../libraries/Codes.sol";
import {GrantRules} from "../libraries/GrantRules.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";
import {Score} from "../libraries/Score.sol";

/// @title AccessRegistry, as specified in `interfaces/IAccessRegistry.sol`.
contract AccessRegistry is Module, IAccessRegistry {
    // ── types ──

    /// @dev `IAccessRegistry.Grant`, packed into three slots: who, what, and what moves. Scope and
    /// terms are in the document; its digest is the grant's id, or `_countered`.
    struct Stored {
        bytes16 requester;
        bytes16 owner;
        bytes16 dataset;
        uint16 purpose;
        uint32 duo;
        uint40 answerBy;
        uint40 deliverWithin;
        uint40 validFrom;
        uint40 validUntil;
        uint40 changedAt;
        uint40 grantedAt;
        Status status;
        uint8 mode;
        uint8 round;
        uint8 faultCode;
        uint8 delegations;
    }

    /// @dev What a counter-offer may change.
    struct Terms {
        uint8 mode;
        uint64 validFrom;
        uint64 validUntil;
        uint64 answerBy;
        uint64 deliverWithin;
    }

    // ── constants ──

    bytes32 private constant ACCESS_REQUEST = keccak256(
        "AccessRequest(bytes16 requester,bytes16 owner,bytes16 dataset,uint16 purpose,uint32 duo,uint8 mode,uint64 validFrom,uint64 validUntil,uint64 answerBy,uint64 deliverWithin,bytes32 scopeHash,bytes32 termsHash,bytes32 renews,bytes32 salt)"
    );
    bytes32 private constant COUNTER_OFFER = keccak256(
        "CounterOffer(bytes32 grantId,uint8 round,uint8 mode,uint64 validFrom,uint64 validUntil,uint64 answerBy,uint64 deliverWithin,bytes32 scopeHash,bytes32 termsHash)"
    );
    bytes32 private constant ACCEPT =
        keccak256("Accept(bytes32 grantId,bytes32 document,uint256 nonce,uint64 deadline)");
    bytes32 private constant REFUSE = keccak256(
        "Refuse(bytes32 grantId,uint8 reasonCode,bytes32 reasonHash,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant WITHDRAW_REQUEST =
        keccak256("WithdrawRequest(bytes32 grantId,uint256 nonce,uint64 deadline)");
    bytes32 private constant REVOKE = keccak256(
        "Revoke(bytes32 grantId,uint8 reasonCode,bytes32 reasonHash,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant SUSPEND =
        keccak256("Suspend(bytes32 grantId,uint256 nonce,uint64 deadline)");
    bytes32 private constant RESUME =
        keccak256("Resume(bytes32 grantId,uint256 nonce,uint64 deadline)");
    bytes32 private constant COMPLETE =
        keccak256("Complete(bytes32 grantId,uint256 nonce,uint64 deadline)");

    bytes32 private constant DELEGATE = keccak256(
        "Delegate(bytes32 grantId,bytes16 credential,uint64 until,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant END_DELEGATION = keccak256(
        "EndDelegation(bytes32 grantId,bytes16 credential,uint256 nonce,uint64 deadline)"
    );

    /// @dev Most counter-offers to one request.
    uint8 private constant ROUND_MAX = 8;
    /// @dev Most delegations of one grant.
    uint8 private constant DELEGATIONS_MAX = 64;

    // ── storage ──

    mapping(bytes32 grantId => Stored) private _grants;

    /// @dev Digest of the last counter-offer; 0 before the first.
    mapping(bytes32 grantId => bytes32) private _countered;

    /// @inheritdoc IAccessRegistry
    mapping(bytes32 grantId => mapping(bytes16 credential => uint64)) public delegationUntil;

    constructor(address authority, address directory)
        Module(authority, directory, "AccessRegistry")
    {}

    // ── until it is granted ──

    /// @inheritdoc IAccessRegistry
    function request(AccessRequest calldata r) external returns (bytes32 grantId) {
        grantId = _requestDigest(r);
        _request(msg.sender, grantId, r);
    }

    /// @inheritdoc IAccessRegistry
    function requestBySig(AccessRequest calldata r, address signer, bytes calldata signature)
        external
        returns (bytes32 grantId)
    {
        grantId = _requestDigest(r);
        _verifyDocument(grantId, signer, signature);
        _request(signer, grantId, r);
    }

    /// @inheritdoc IAccessRegistry
    function counter(CounterOffer calldata c) external {
        _counter(msg.sender, _counterDigest(c), c);
    }

    /// @inheritdoc IAccessRegistry
    function counterBySig(CounterOffer calldata c, address signer, bytes calldata signature)
        external
    {
        bytes32 document = _counterDigest(c);
        _verifyDocument(document, signer, signature);
        _counter(signer, document, c);
    }

    /// @inheritdoc IAccessRegistry
    function accept(bytes32 grantId, bytes32 document) external {
        _accept(msg.sender, grantId, document);
    }

    /// @inheritdoc IAccessRegistry
    function acceptBySig(bytes32 grantId, bytes32 document, Auth calldata auth) external {
        _accept(_verifyAct(auth, ACCEPT, _words(2)), grantId, document);
    }

    /// @inheritdoc IAccessRegistry
    function refuse(bytes32 grantId, uint8 reasonCode, bytes32 reasonHash) external {
        _refuse(msg.sender, grantId, reasonCode, reasonHash);
    }

    /// @inheritdoc IAccessRegistry
    function refuseBySig(bytes32 grantId, uint8 reasonCode, bytes32 reasonHash, Auth calldata auth)
        external
    {
        _refuse(_verifyAct(auth, REFUSE, _words(3)), grantId, reasonCode, reasonHash);
    }

    /// @inheritdoc IAccessRegistry
    function withdrawRequest(bytes32 grantId) external {
        _withdraw(msg.sender, grantId);
    }

    /// @inheritdoc IAccessRegistry
    function withdrawRequestBySig(bytes32 grantId, Auth calldata auth) external {
        _withdraw(_verifyAct(auth, WITHDRAW_REQUEST, _words(1)), grantId);
    }

    /// @inheritdoc IAccessRegistry
    function lapse(bytes32 grantId) external {
        Stored storage g = _grant(grantId);
        _requireUndecided(grantId, g);
        _requirePast(g.answerBy);
        bool silent = g.status == Status.Requested && !_stoppedBefore(g.answerBy);
        if (silent) g.faultCode = Codes.REQUEST_LAPSED;
        _move(g, Status.Lapsed);

        emit RequestLapsed(grantId, silent);
        if (silent) _credibility().record(g.owner, g.requester, Score.LATE, grantId);
    }

    // ── once it is granted ──

    /// @inheritdoc IAccessRegistry
    function revoke(bytes32 grantId, uint8 reasonCode, bytes32 reasonHash) external {
        _revoke(msg.sender, grantId, reasonCode, reasonHash);
    }

    /// @inheritdoc IAccessRegistry
    function revokeBySig(bytes32 grantId, uint8 reasonCode, bytes32 reasonHash, Auth calldata auth)
        external
    {
        _revoke(_verifyAct(auth, REVOKE, _words(3)), grantId, reasonCode, reasonHash);
    }

    /// @inheritdoc IAccessRegistry
    function suspend(bytes32 grantId) external {
        _suspend(msg.sender, grantId);
    }

    /// @inheritdoc IAccessRegistry
    function suspendBySig(bytes32 grantId, Auth calldata auth) external {
        _suspend(_verifyAct(auth, SUSPEND, _words(1)), grantId);
    }

    /// @inheritdoc IAccessRegistry
    function resume(bytes32 grantId) external {
        _resume(msg.sender, grantId);
    }

    /// @inheritdoc IAccessRegistry
    function resumeBySig(bytes32 grantId, Auth calldata auth) external {
        _resume(_verifyAct(auth, RESUME, _words(1)), grantId);
    }

    /// @inheritdoc IAccessRegistry
    function complete(bytes32 grantId) external {
        _complete(msg.sender, grantId);
    }

    /// @inheritdoc IAccessRegistry
    function completeBySig(bytes32 grantId, Auth calldata auth) external {
        _complete(_verifyAct(auth, COMPLETE, _words(1)), grantId);
    }

    /// @inheritdoc IAccessRegistry
    function expire(bytes32 grantId) external {
        Stored storage g = _grant(grantId);
        _requireGranted(grantId, g);
        if (_now() < g.validUntil) revert TooEarly(g.validUntil);
        _move(g, Status.Expired);

        emit AccessExpired(grantId);
    }

    // ── delegation ──

    /// @inheritdoc IAccessRegistry
    function delegate(bytes32 grantId, bytes16 credential, uint64 until) external {
        _delegate(msg.sender, grantId, credential, until);
    }

    /// @inheritdoc IAccessRegistry
    function delegateBySig(bytes32 grantId, bytes16 credential, uint64 until, Auth calldata auth)
        external
    {
        _delegate(_verifyAct(auth, DELEGATE, _words(3)), grantId, credential, until);
    }

    /// @inheritdoc IAccessRegistry
    function endDelegation(bytes32 grantId, bytes16 credential) external {
        _endDelegation(msg.sender, grantId, credential);
    }

    /// @inheritdoc IAccessRegistry
    function endDelegationBySig(bytes32 grantId, bytes16 credential, Auth calldata auth) external {
        _endDelegation(_verifyAct(auth, END_DELEGATION, _words(2)), grantId, credential);
    }

    // ── views ──

    /// @inheritdoc IAccessRegistry
    function liveGrant(bytes32 grantId, uint64 t) public view returns (bool) {
        Stored storage g = _grants[grantId];
        if (g.status != Status.Granted || t < g.validFrom || t >= g.validUntil) return false;
        IInstitutionRegistry institutions = _institutions();
        return institutions.isActiveAt(g.requester, t) && institutions.isActiveAt(g.owner, t);
    }

    /// @inheritdoc IAccessRegistry
    function liveDelegation(bytes32 grantId, bytes16 credential, uint64 t)
        external
        view
        returns (bool)
    {
        if (t >= delegationUntil[grantId][credential] || !liveGrant(grantId, t)) return false;
        IInstitutionRegistry.Practitioner memory p = _institutions().practitioner(credential);
        return p.status == IInstitutionRegistry.CredentialStatus.Live && t < p.until;
    }

    /// @inheritdoc IAccessRegistry
    function grant(bytes32 grantId) external view returns (Grant memory) {
        Stored memory g = _grants[grantId];
        return Grant({
            requester: g.requester,
            owner: g.owner,
            dataset: g.dataset,
            purpose: g.purpose,
            duo: g.duo,
            mode: g.mode,
            status: g.status,
            round: g.round,
            faultCode: g.faultCode,
            answerBy: g.answerBy,
            validFrom: g.validFrom,
            validUntil: g.validUntil,
            changedAt: g.changedAt,
            grantedAt: g.grantedAt,
            deliverWithin: g.deliverWithin,
            document: _documentOf(grantId, g.round),
            delegations: g.delegations
        });
    }

    /// @inheritdoc IAccessRegistry
    function partiesOf(bytes32 id) external view returns (bytes16 owner, bytes16 requester) {
        Stored storage g = _grants[id];
        if (g.status == Status.None) return _care().partiesOf(id);
        return (g.owner, g.requester);
    }

    /// @inheritdoc IAccessRegistry
    function faultOf(bytes32 id) external view returns (uint8 faultCode, uint8 side) {
        Stored storage g = _grants[id];
        if (g.status == Status.None) return _care().faultOf(id);
        faultCode = g.faultCode;
        side = faultCode == 0 ? 0 : Codes.SIDE_OWNER;
    }

    // ── acts ──

    function _request(address signer, bytes32 grantId, AccessRequest calldata r) private {
        _requireActor(signer, r.requester, Roles.RESEARCHER);
        _requireOpen(r.requester);
        if (_grants[grantId].status != Status.None) revert Exists(grantId);
        _requireMayRequest(r.requester);
        if (r.owner == r.requester) revert NotParty(r.owner, signer);
        _requireActive(r.owner);
        _requireOffered(r);
        Terms memory terms = Terms({
            mode: r.mode,
            validFrom: r.validFrom,
            validUntil: r.validUntil,
            answerBy: r.answerBy,
            deliverWithin: r.deliverWithin
        });
        _requireDates(terms);
        _requireRenewable(r);

        Stored storage g = _grants[grantId];
        (g.requester, g.owner, g.dataset) = (r.requester, r.owner, r.dataset);
        (g.purpose, g.duo) = (r.purpose, r.duo);
        _setTerms(g, terms);
        _move(g, Status.Requested);

        emit AccessRequested(grantId, r);
        _incentives().consume(r.requester);
    }

    function _counter(address signer, bytes32 document, CounterOffer calldata c) private {
        Stored storage g = _grant(c.grantId);
        _requireUndecided(c.grantId, g);
        _requireTurn(signer, g);
        _requireInTime(g.answerBy);
        uint8 next = g.round + 1;
        if (next > ROUND_MAX) revert OutOfBounds(next, 1, ROUND_MAX);
        if (c.round != next) revert SeqMismatch(c.round, next);
        _requireMode(c.mode, _catalog().conditions(g.dataset).modes);
        Terms memory terms = Terms({
            mode: c.mode,
            validFrom: c.validFrom,
            validUntil: c.validUntil,
            answerBy: c.answerBy,
            deliverWithin: c.deliverWithin
        });
        _requireDates(terms);

        g.round = c.round;
        _countered[c.grantId] = document;
        _setTerms(g, terms);
        _move(g, g.status == Status.Requested ? Status.Countered : Status.Requested);

        emit AccessCountered(c.grantId, c);
    }

    function _accept(address signer, bytes32 grantId, bytes32 document) private {
        Stored storage g = _grant(grantId);
        _requireUndecided(grantId, g);
        _requireTurn(signer, g);
        _requireOpen(g.owner);
        _requireActive(g.requester);
        _requireInTime(g.answerBy);
        _requireHash(document, _documentOf(grantId, g.round));
        _requireDuo(g.duo, _catalog().conditions(g.dataset).duo);

        _move(g, Status.Granted);
        g.grantedAt = g.changedAt;

        emit AccessGranted(
            grantId, g.requester, g.owner, g.dataset, g.validFrom, g.validUntil, document
        );
        _credibility().record(g.owner, g.requester, Score.TIMELY, grantId);
    }

    function _refuse(address signer, bytes32 grantId, uint8 reasonCode, bytes32 reasonHash)
        private
    {
        Stored storage g = _grant(grantId);
        _requireActor(signer, g.owner, Roles.STEWARD);
        _requireStatus(grantId, g, Status.Requested);
        _requireInTime(g.answerBy);
        _requireReason(reasonCode);
        _move(g, Status.Refused);

        emit AccessRefused(grantId, reasonCode, reasonHash);
        _credibility().record(g.owner, g.requester, Score.TIMELY, grantId);
    }

    function _withdraw(address signer, bytes32 grantId) private {
        Stored storage g = _grant(grantId);
        _requireActor(signer, g.requester, Roles.RESEARCHER);
        _requireUndecided(grantId, g);
        _move(g, Status.Withdrawn);

        emit RequestWithdrawn(grantId);
    }

    function _revoke(address signer, bytes32 grantId, uint8 reasonCode, bytes32 reasonHash)
        private
    {
        Stored storage g = _grant(grantId);
        _requireActor(signer, g.owner, Roles.STEWARD);
        _requireGranted(grantId, g);
        _requireReason(reasonCode);
        _move(g, Status.Revoked);

        emit AccessRevoked(grantId, reasonCode, reasonHash);
    }

    function _suspend(address signer, bytes32 grantId) private {
        Stored storage g = _grant(grantId);
        _requireActor(signer, g.owner, Roles.STEWARD);
        _requireStatus(grantId, g, Status.Granted);
        _move(g, Status.Suspended);

        emit AccessSuspended(grantId);
    }

    function _resume(address signer, bytes32 grantId) private {
        Stored storage g = _grant(grantId);
        _requireActor(signer, g.owner, Roles.STEWARD);
        _requireStatus(grantId, g, Status.Suspended);
        if (_now() >= g.validUntil) revert TooLate(g.validUntil);
        _move(g, Status.Granted);

        emit AccessResumed(grantId);
    }

    function _complete(address signer, bytes32 grantId) private {
        Stored storage g = _grant(grantId);
        _requireActor(signer, g.requester, Roles.RESEARCHER);
        _requireGranted(grantId, g);
        _move(g, Status.Completed);

        emit AccessCompleted(grantId);
    }

    function _delegate(address signer, bytes32 grantId, bytes16 credential, uint64 until) private {
        Stored storage g = _grant(grantId);
        _requireActor(signer, g.requester, Roles.ADMIN);
        if (!liveGrant(grantId, _now())) revert NotLive(grantId);
        _requireOwnStaff(g.requester, credential);
        if (until > g.validUntil) revert DelegationTooWide(until, g.validUntil);
        _requireBetween(until, _now() + 1, g.validUntil);
        if (delegationUntil[grantId][credential] == 0) {
            _requireBetween(uint256(g.delegations) + 1, 1, DELEGATIONS_MAX);
            ++g.delegations;
        }
        delegationUntil[grantId][credential] = until;

        emit Delegated(grantId, credential, until);
    }

    function _endDelegation(address signer, bytes32 grantId, bytes16 credential) private {
        Stored storage g = _grant(grantId);
        if (delegationUntil[grantId][credential] == 0) revert Unknown(credential);
        bool itself = _keys().subjectOf(signer) == credential;
        if (!itself) _requireActor(signer, g.requester, Roles.ADMIN);
        delete delegationUntil[grantId][credential];
        --g.delegations;

        emit DelegationEnded(grantId, credential);
    }

    // ── state ──

    function _setTerms(Stored storage g, Terms memory terms) private {
        g.mode = terms.mode;
        g.validFrom = _packed(terms.validFrom);
        g.validUntil = _packed(terms.validUntil);
        g.answerBy = _packed(terms.answerBy);
        g.deliverWithin = _packed(terms.deliverWithin);
    }

    function _move(Stored storage g, Status status) private {
        g.status = status;
        g.changedAt = _packed(_now());
    }

    // ── checks ──

    function _grant(bytes32 grantId) private view returns (Stored storage g) {
        g = _grants[grantId];
        if (g.status == Status.None) revert Unknown(grantId);
    }

    function _requireStatus(bytes32 grantId, Stored storage g, Status want) private view {
        if (g.status != want) revert WrongState(grantId, uint8(g.status), uint8(want));
    }

    /// @dev Requested or Countered.
    function _requireUndecided(bytes32 grantId, Stored storage g) private view {
        if (g.status != Status.Countered) _requireStatus(grantId, g, Status.Requested);
    }

    /// @dev Granted or Suspended.
    function _requireGranted(bytes32 grantId, Stored storage g) private view {
        if (g.status != Status.Suspended) _requireStatus(grantId, g, Status.Granted);
    }

    /// @dev The owner's steward answers a request, the requester's researcher a counter-offer.
    function _requireTurn(address signer, Stored storage g) private view {
        if (g.status == Status.Requested) _requireActor(signer, g.owner, Roles.STEWARD);
        else _requireActor(signer, g.requester, Roles.RESEARCHER);
    }

    /// @dev The dataset is live, the owner's, and open for this mode, purpose and use.
    function _requireOffered(AccessRequest calldata r) private view {
        IDatasetCatalog.Conditions memory d = _catalog().conditions(r.dataset);
        if (d.status == IDatasetCatalog.Status.None) revert Unknown(r.dataset);
        if (d.status != IDatasetCatalog.Status.Live) {
            revert WrongState(r.dataset, uint8(d.status), uint8(IDatasetCatalog.Status.Live));
        }
        if (d.owner != r.owner) revert NotOwner(r.dataset, d.owner);
        _requireMode(r.mode, d.modes);
        if (!GrantRules.isPurpose(r.purpose)) revert ForbiddenPurpose(r.purpose);
        _requireDuo(r.duo, d.duo);
    }

    function _requireMode(uint8 mode, uint8 offered) private pure {
        if (!GrantRules.modeOffered(offered, mode)) revert ModeNotOffered(mode, offered);
    }

    function _requireDuo(uint32 asked, uint32 offered) private pure {
        if (!GrantRules.duoCovers(offered, asked)) revert DuoMismatch(asked, offered);
    }

    /// @dev An answer within 1 h to 60 d; a term of 1 s to 730 d.
    function _requireDates(Terms memory terms) private view {
        uint64 min = _now() + _hours(Periods.ANSWER_MIN_HOURS);
        uint64 max = _now() + _days(Periods.ANSWER_MAX_DAYS);
        _requireBetween(terms.answerBy, min, max);
        // 256 bits, because the dates are not known to be small yet.
        uint256 from = terms.validFrom;
        uint256 end = from + _days(Periods.GRANT_DAYS);
        _requireBetween(terms.validUntil, from + 1, end);
    }

    function _requireRenewable(AccessRequest calldata r) private view {
        if (r.renews == 0) return;
        Stored storage old = _grants[r.renews];
        bool same = old.requester == r.requester && old.owner == r.owner && old.dataset == r.dataset;
        if (!same || old.grantedAt == 0) revert NotRenewable(r.renews);
    }

    /// @dev The requester answers for its own staff only: a grant is not passed on.
    function _requireOwnStaff(bytes16 requester, bytes16 credential) private view {
        bool live = _institutions().mayAct(credential, requester, Roles.ALL);
        if (!live || credential == requester) revert Unknown(credential);
    }

    /// @dev Whether the last stop of this module touched the 24 h before `answerBy`, so that the
    /// owner may have been kept from granting.
    function _stoppedBefore(uint64 answerBy) private view returns (bool) {
        uint64 until = DIRECTORY.stoppedUntil(Codes.ACCESS_REGISTRY);
        uint64 stop = _hours(Periods.STOP_HOURS);
        return until + stop > answerBy && until < answerBy + stop;
    }

    // ── documents ──

    function _requestDigest(AccessRequest calldata r) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(ACCESS_REQUEST, r)));
    }

    function _counterDigest(CounterOffer calldata c) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(COUNTER_OFFER, c)));
    }

    /// @dev What the other side said last: the request itself, or the last counter-offer.
    function _documentOf(bytes32 grantId, uint8 round) private view returns (bytes32) {
        return round == 0 ? grantId : _countered[grantId];
    }

    // ── other modules ──

    function _care() private view returns (ICareRegistry) {
        return ICareRegistry(_module(Codes.CARE_REGISTRY));
    }
}
