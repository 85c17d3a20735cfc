// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICareRegistry} from "../interfaces/ICareRegistry.sol";
import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {IKeyRegistry} from "../interfaces/IKeyRegistry.sol";
import {Codes} from "../libraries/Codes.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";
import {Score} from "../libraries/Score.sol";

/// @title CareRegistry, as specified in `interfaces/ICareRegistry.sol`.
contract CareRegistry is Module, ICareRegistry {
    // ── types ──

    /// @dev `ICareRegistry.AgreementState`, packed into three slots.
    struct PackedAgreement {
        bytes16 a;
        bytes16 b;
        uint40 validFrom;
        uint40 validUntil;
        AgreementStatus status;
        uint32 purposes;
        uint32 dutySecs;
        Side mover;
        bytes32 termsHash;
    }

    /// @dev `ICareRegistry.BreakGlassCase`, packed into four slots.
    struct PackedCase {
        bytes16 requester;
        bytes16 owner;
        bytes16 credential;
        uint40 openedAt;
        uint40 reportedAt;
        CaseStatus status;
        bool coSigned;
        uint8 faultCode;
        bytes32 subjectCommit;
        bytes32 reportHash;
    }

    /// @dev Which side of an agreement.
    enum Side {
        None,
        A,
        B
    }

    // ── constants ──

    bytes32 private constant AGREEMENT = keccak256(
        "Agreement(bytes16 a,bytes16 b,uint32 purposes,uint64 validFrom,uint64 validUntil,uint32 dutySecs,bytes32 termsHash,bytes32 salt)"
    );
    bytes32 private constant BREAK_GLASS = keccak256(
        "BreakGlass(bytes16 requester,bytes16 owner,bytes16 credential,uint64 openedAt,bytes32 subjectCommit,bytes32 reasonHash,bytes32 salt)"
    );
    bytes32 private constant ANSWER_AGREEMENT = keccak256(
        "AnswerAgreement(bytes32 agreementId,bool accepted,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant MOVE_AGREEMENT =
        keccak256("MoveAgreement(bytes32 agreementId,uint8 status,uint256 nonce,uint64 deadline)");
    bytes32 private constant CO_SIGN =
        keccak256("CoSign(bytes32 id,bytes16 credential,uint256 nonce,uint64 deadline)");
    bytes32 private constant REPORT =
        keccak256("Report(bytes32 id,bytes32 reportHash,uint256 nonce,uint64 deadline)");
    bytes32 private constant REVIEW = keccak256(
        "Review(bytes32 id,bool justified,bytes32 reviewHash,uint256 nonce,uint64 deadline)"
    );

    // ── storage ──

    mapping(bytes32 agreementId => PackedAgreement) private _agreements;

    mapping(bytes32 id => PackedCase) private _cases;

    // ── constructor ──

    constructor(address authority, address directory)
        Module(authority, directory, "CareRegistry")
    {}

    // ── external: agreements ──

    /// @inheritdoc ICareRegistry
    function proposeAgreement(Agreement calldata agreement_)
        external
        returns (bytes32 agreementId)
    {
        agreementId = _agreementDigest(agreement_);
        _propose(msg.sender, agreementId, agreement_);
    }

    /// @inheritdoc ICareRegistry
    function proposeAgreementBySig(
        Agreement calldata agreement_,
        address signer,
        bytes calldata signature
    ) external returns (bytes32 agreementId) {
        agreementId = _agreementDigest(agreement_);
        _verifyDocument(agreementId, signer, signature);
        _propose(signer, agreementId, agreement_);
    }

    /// @inheritdoc ICareRegistry
    function answerAgreement(bytes32 agreementId, bool accepted) external {
        _answer(msg.sender, agreementId, accepted);
    }

    /// @inheritdoc ICareRegistry
    function answerAgreementBySig(bytes32 agreementId, bool accepted, Auth calldata auth) external {
        _answer(_verifyAct(auth, ANSWER_AGREEMENT, _words(2)), agreementId, accepted);
    }

    /// @inheritdoc ICareRegistry
    function moveAgreement(bytes32 agreementId, uint8 status) external {
        _moveAgreement(msg.sender, agreementId, status);
    }

    /// @inheritdoc ICareRegistry
    function moveAgreementBySig(bytes32 agreementId, uint8 status, Auth calldata auth) external {
        _moveAgreement(_verifyAct(auth, MOVE_AGREEMENT, _words(2)), agreementId, status);
    }

    // ── external: break-glass ──

    /// @inheritdoc ICareRegistry
    function openBreakGlass(BreakGlass calldata b) external returns (bytes32 id) {
        id = _breakGlassDigest(b);
        _open(msg.sender, id, b);
    }

    /// @inheritdoc ICareRegistry
    function openBreakGlassBySig(BreakGlass calldata b, address signer, bytes calldata signature)
        external
        returns (bytes32 id)
    {
        id = _breakGlassDigest(b);
        _verifyDocument(id, signer, signature);
        _open(signer, id, b);
    }

    /// @inheritdoc ICareRegistry
    function coSign(bytes32 id, bytes16 credential) external {
        _coSign(msg.sender, id, credential);
    }

    /// @inheritdoc ICareRegistry
    function coSignBySig(bytes32 id, bytes16 credential, Auth calldata auth) external {
        _coSign(_verifyAct(auth, CO_SIGN, _words(2)), id, credential);
    }

    /// @inheritdoc ICareRegistry
    function report(bytes32 id, bytes32 reportHash) external {
        _report(msg.sender, id, reportHash);
    }

    /// @inheritdoc ICareRegistry
    function reportBySig(bytes32 id, bytes32 reportHash, Auth calldata auth) external {
        _report(_verifyAct(auth, REPORT, _words(2)), id, reportHash);
    }

    /// @inheritdoc ICareRegistry
    function review(bytes32 id, bool justified, bytes32 reviewHash) external {
        _review(msg.sender, id, justified, reviewHash);
    }

    /// @inheritdoc ICareRegistry
    function reviewBySig(bytes32 id, bool justified, bytes32 reviewHash, Auth calldata auth)
        external
    {
        _review(_verifyAct(auth, REVIEW, _words(3)), id, justified, reviewHash);
    }

    /// @inheritdoc ICareRegistry
    function closeBreakGlass(bytes32 id) external {
        PackedCase storage c = _case(id);
        if (c.status == CaseStatus.UnderReview) _closeUnreviewed(id, c);
        else _closeUnreported(id, c);
    }

    /// @inheritdoc ICareRegistry
    function proveUnreported(BreakGlass calldata b, address signer, bytes calldata signature)
        external
        returns (bytes32 id)
    {
        id = _breakGlassDigest(b);
        _verifyDocument(id, signer, signature);
        _requireSignedThen(b, signer);
        _requireForm(id, b);
        uint64 notBefore = b.openedAt + _hours(Periods.POSTING_HOURS);
        if (_now() < notBefore) revert TooEarly(notBefore);
        _requireInTime(b.openedAt + _days(Periods.UNREPORTED_DAYS));

        _enter(id, b);
        _end(id, _cases[id], CaseStatus.Overdue, Codes.BREAK_GLASS_UNREPORTED);
    }

    // ── views ──

    /// @inheritdoc ICareRegistry
    function liveAgreement(bytes32 agreementId, uint64 t) external view returns (bool) {
        PackedAgreement storage g = _agreements[agreementId];
        if (g.status != AgreementStatus.InForce || t < g.validFrom || t >= g.validUntil) {
            return false;
        }
        IInstitutionRegistry institutions = _institutions();
        return institutions.isActiveAt(g.a, t) && institutions.isActiveAt(g.b, t);
    }

    /// @inheritdoc ICareRegistry
    function liveBreakGlass(bytes32 id, uint64 t) external view returns (bool) {
        PackedCase storage c = _cases[id];
        CaseStatus s = c.status;
        if (s == CaseStatus.None || s == CaseStatus.Unjustified || s == CaseStatus.Overdue) {
            return false;
        }
        if (t < c.openedAt || t >= c.openedAt + _hours(Periods.EMERGENCY_HOURS)) return false;
        return _institutions().isActiveAt(c.requester, t);
    }

    /// @inheritdoc ICareRegistry
    function agreement(bytes32 agreementId) external view returns (AgreementState memory) {
        PackedAgreement storage g = _agreements[agreementId];
        return AgreementState({
            a: g.a,
            b: g.b,
            validFrom: g.validFrom,
            validUntil: g.validUntil,
            status: g.status,
            purposes: g.purposes,
            dutySecs: g.dutySecs,
            mover: _institutionOf(g, g.mover),
            termsHash: g.termsHash
        });
    }

    /// @inheritdoc ICareRegistry
    function breakGlass(bytes32 id) external view returns (BreakGlassCase memory) {
        PackedCase storage c = _cases[id];
        return BreakGlassCase({
            requester: c.requester,
            owner: c.owner,
            credential: c.credential,
            openedAt: c.openedAt,
            reportedAt: c.reportedAt,
            status: c.status,
            coSigned: c.coSigned,
            faultCode: c.faultCode,
            subjectCommit: c.subjectCommit,
            reportHash: c.reportHash
        });
    }

    /// @inheritdoc ICareRegistry
    function partiesOf(bytes32 id) external view returns (bytes16 owner, bytes16 requester) {
        PackedCase storage c = _cases[id];
        if (c.status != CaseStatus.None) return (c.owner, c.requester);
        PackedAgreement storage g = _agreements[id];
        return (g.a, g.b);
    }

    /// @inheritdoc ICareRegistry
    function faultOf(bytes32 id) external view returns (uint8 faultCode, uint8 side) {
        faultCode = _cases[id].faultCode;
        if (faultCode == 0) return (0, 0);
        bool silent = faultCode == Codes.REVIEW_SILENT;
        side = silent ? Codes.SIDE_OWNER : Codes.SIDE_REQUESTER;
    }

    // ── internal: agreements ──

    function _propose(address signer, bytes32 agreementId, Agreement calldata p) private {
        if (p.a == p.b) revert SameParty(p.a);
        Side side = _sideOf(signer, p.a, p.b);
        _requireOpen(p.a);
        _requireActive(p.b);
        if (_agreements[agreementId].status != AgreementStatus.None) revert Exists(agreementId);
        bool care = p.purposes != 0 && p.purposes & ~Codes.CARE_PURPOSES == 0;
        if (!care) revert NotCare(p.purposes);
        // 256 bits, because the dates are not known to be small yet.
        uint256 max = uint256(p.validFrom) + _days(Periods.AGREEMENT_DAYS);
        _requireBetween(p.validUntil, uint256(p.validFrom) + 1, max);
        if (_now() >= p.validUntil) revert TooLate(p.validUntil);

        _agreements[agreementId] = PackedAgreement({
            a: p.a,
            b: p.b,
            validFrom: _packed(p.validFrom),
            validUntil: _packed(p.validUntil),
            status: AgreementStatus.Proposed,
            purposes: p.purposes,
            dutySecs: p.dutySecs,
            mover: side,
            termsHash: p.termsHash
        });
        emit AgreementProposed(agreementId, p, side == Side.A ? p.a : p.b);
    }

    function _answer(address signer, bytes32 agreementId, bool accepted) private {
        PackedAgreement storage g = _agreement(agreementId);
        if (g.status != AgreementStatus.Proposed) {
            revert WrongState(agreementId, uint8(g.status), uint8(AgreementStatus.Proposed));
        }
        _requireActor(signer, _institutionOf(g, _other(g.mover)), Roles.ADMIN);
        if (accepted && _now() >= g.validUntil) revert TooLate(g.validUntil);
        g.status = accepted ? AgreementStatus.InForce : AgreementStatus.Ended;
        g.mover = Side.None;
        emit AgreementAnswered(agreementId, accepted);
    }

    function _moveAgreement(address signer, bytes32 agreementId, uint8 status) private {
        _requireBetween(status, uint8(AgreementStatus.InForce), uint8(AgreementStatus.Ended));
        PackedAgreement storage g = _agreement(agreementId);
        Side side = _sideOf(signer, g.a, g.b);
        AgreementStatus to = AgreementStatus(status);
        if (to == AgreementStatus.Ended) _requireNotEnded(agreementId, g);
        else _requirePausable(agreementId, g, to, side, signer);

        g.status = to;
        g.mover = to == AgreementStatus.Suspended ? side : Side.None;
        emit AgreementMoved(agreementId, to, _institutionOf(g, side));
    }

    // ── internal: break-glass ──

    function _open(address signer, bytes32 id, BreakGlass calldata b) private {
        bytes16 subject = _requireActor(signer, b.requester, Roles.EMERGENCY);
        if (subject != b.credential) revert NotParty(b.credential, signer);
        // Care is not stopped: opening is refused to those who left or are suspended only.
        _requireActive(b.requester);
        _requireForm(id, b);
        if (_now() < b.openedAt) revert TooEarly(b.openedAt);
        uint64 deadline = b.openedAt + _hours(Periods.POSTING_HOURS);
        if (_now() >= deadline) revert TooLate(deadline);
        _enter(id, b);
    }

    function _enter(bytes32 id, BreakGlass calldata b) private {
        PackedCase storage c = _cases[id];
        (c.requester, c.owner, c.credential) = (b.requester, b.owner, b.credential);
        (c.openedAt, c.status) = (_packed(b.openedAt), CaseStatus.Opened);
        c.subjectCommit = b.subjectCommit;
        emit BreakGlassOpened(
            id, b.requester, b.owner, b.credential, b.openedAt, b.subjectCommit, b.reasonHash
        );
    }

    function _coSign(address signer, bytes32 id, bytes16 credential) private {
        PackedCase storage c = _case(id);
        bytes16 subject = _requireActor(signer, c.requester, Roles.CLINICIAN);
        if (subject != credential || credential == c.credential) {
            revert NotParty(credential, signer);
        }
        if (c.status != CaseStatus.Opened) {
            revert WrongState(id, uint8(c.status), uint8(CaseStatus.Opened));
        }
        _requireInTime(c.openedAt + _hours(Periods.EMERGENCY_HOURS));
        c.status = CaseStatus.CoSigned;
        c.coSigned = true;
        emit BreakGlassCoSigned(id, credential);
    }

    function _report(address signer, bytes32 id, bytes32 reportHash) private {
        PackedCase storage c = _case(id);
        _requireActor(signer, c.requester, Roles.OFFICER);
        _requireUnreported(id, c);
        _requireInTime(_reportBy(c));
        c.status = CaseStatus.UnderReview;
        c.reportedAt = _packed(_now());
        c.reportHash = reportHash;
        emit BreakGlassReported(id, reportHash, c.reportedAt);
    }

    function _review(address signer, bytes32 id, bool justified, bytes32 reviewHash) private {
        PackedCase storage c = _case(id);
        _requireActor(signer, c.owner, Roles.OFFICER);
        if (c.status != CaseStatus.UnderReview) {
            revert WrongState(id, uint8(c.status), uint8(CaseStatus.UnderReview));
        }
        _requireInTime(_reviewBy(c));
        c.status = justified ? CaseStatus.Justified : CaseStatus.Unjustified;
        emit BreakGlassReviewed(id, justified, reviewHash);
        if (!justified) _credibility().record(c.requester, c.owner, Score.BREAK_GLASS, id);
    }

    /// @dev The owner was silent: in doubt for those who treated the patient.
    function _closeUnreviewed(bytes32 id, PackedCase storage c) private {
        _requirePast(_reviewBy(c));
        _end(id, c, CaseStatus.Justified, Codes.REVIEW_SILENT);
    }

    /// @dev The requester did not report; before that time is over, nobody co-signed.
    function _closeUnreported(bytes32 id, PackedCase storage c) private {
        _requireUnreported(id, c);
        if (_now() > _reportBy(c)) {
            _end(id, c, CaseStatus.Overdue, Codes.BREAK_GLASS_OVERDUE);
            return;
        }
        if (c.status != CaseStatus.Opened) revert TooEarly(_reportBy(c) + 1);
        _requirePast(c.openedAt + _hours(Periods.EMERGENCY_HOURS));
        c.status = CaseStatus.Uncosigned;
        emit BreakGlassClosed(id, CaseStatus.Uncosigned, 0);
    }

    /// @dev Ends a case by a fault, and says so to the score of whose it is.
    function _end(bytes32 id, PackedCase storage c, CaseStatus status, uint8 faultCode) private {
        c.status = status;
        c.faultCode = faultCode;
        emit BreakGlassClosed(id, status, faultCode);
        if (faultCode == Codes.REVIEW_SILENT) {
            _credibility().record(c.owner, c.requester, Score.LATE, id);
        } else {
            _credibility().record(c.requester, c.owner, Score.BREAK_GLASS, id);
        }
    }

    // ── internal: checks of agreements ──

    function _agreement(bytes32 agreementId) private view returns (PackedAgreement storage g) {
        g = _agreements[agreementId];
        if (g.status == AgreementStatus.None) revert Unknown(agreementId);
    }

    /// @dev The side for which `signer` is ADMIN.
    function _sideOf(address signer, bytes16 a, bytes16 b) private view returns (Side) {
        bytes16 subject = _keys().subjectOf(signer);
        IInstitutionRegistry institutions = _institutions();
        if (institutions.mayAct(subject, a, Roles.ADMIN)) return Side.A;
        if (institutions.mayAct(subject, b, Roles.ADMIN)) return Side.B;
        revert NotParty(a, signer);
    }

    function _requireNotEnded(bytes32 agreementId, PackedAgreement storage g) private view {
        if (g.status == AgreementStatus.Ended) {
            revert WrongState(
                agreementId, uint8(AgreementStatus.Ended), uint8(AgreementStatus.InForce)
            );
        }
    }

    /// @dev InForce → Suspended by either side; Suspended → InForce by the side that
    /// suspended.
    function _requirePausable(
        bytes32 agreementId,
        PackedAgreement storage g,
        AgreementStatus to,
        Side side,
        address signer
    ) private view {
        bool resume = to == AgreementStatus.InForce;
        AgreementStatus want = resume ? AgreementStatus.Suspended : AgreementStatus.InForce;
        if (g.status != want) revert WrongState(agreementId, uint8(g.status), uint8(want));
        if (resume && side != g.mover) revert NotParty(_institutionOf(g, g.mover), signer);
    }

    function _other(Side side) private pure returns (Side) {
        return side == Side.A ? Side.B : Side.A;
    }

    function _institutionOf(PackedAgreement storage g, Side side) private view returns (bytes16) {
        if (side == Side.None) return 0;
        return side == Side.A ? g.a : g.b;
    }

    // ── internal: checks of break-glass ──

    function _case(bytes32 id) private view returns (PackedCase storage c) {
        c = _cases[id];
        if (c.status == CaseStatus.None) revert Unknown(id);
    }

    /// @dev Checks what does not depend on now: two institutions, a full hour, a new document.
    function _requireForm(bytes32 id, BreakGlass calldata b) private view {
        if (_cases[id].status != CaseStatus.None) revert Exists(id);
        if (b.owner == b.requester) revert SameParty(b.owner);
        if (_institutions().standing(b.owner).kind == 0) revert Unknown(b.owner);
        _packed(b.openedAt);
        uint64 hourSecs = _hours(1);
        if (b.openedAt % hourSecs != 0) revert NotFullHour(b.openedAt, hourSecs);
    }

    /// @dev Checks that the signature is the credential's, by a key that was its own in that hour.
    function _requireSignedThen(BreakGlass calldata b, address signer) private view {
        IKeyRegistry keys = _keys();
        bytes32 keyId = bytes32(uint256(uint160(signer)));
        bytes16 subject = keys.key(keyId).subject;
        if (subject != b.credential || !keys.validAt(keyId, b.openedAt)) {
            revert BadSignature(signer);
        }
        if (_institutions().institutionOf(subject) != b.requester) {
            revert NotParty(b.requester, signer);
        }
    }

    /// @dev Opened, CoSigned or Uncosigned.
    function _requireUnreported(bytes32 id, PackedCase storage c) private view {
        if (c.status > CaseStatus.Uncosigned) {
            revert WrongState(id, uint8(c.status), uint8(CaseStatus.Opened));
        }
    }

    function _reportBy(PackedCase storage c) private view returns (uint64) {
        return c.openedAt + _hours(Periods.REPORT_HOURS);
    }

    function _reviewBy(PackedCase storage c) private view returns (uint64) {
        return c.reportedAt + _hours(Periods.VERDICT_HOURS);
    }

    // ── internal: documents, other modules ──

    function _agreementDigest(Agreement calldata p) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(AGREEMENT, p)));
    }

    function _breakGlassDigest(BreakGlass calldata b) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(BREAK_GLASS, b)));
    }
}
