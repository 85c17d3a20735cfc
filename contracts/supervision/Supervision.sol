// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessRegistry} from "../interfaces/IAccessRegistry.sol";
import {ICredibility} from "../interfaces/ICredibility.sol";
import {IDeliveryLedger} from "../interfaces/IDeliveryLedger.sol";
import {IIncentives} from "../interfaces/IIncentives.sol";
import {ISanctions} from "../interfaces/ISanctions.sol";
import {ISupervision} from "../interfaces/ISupervision.sol";
import {Codes} from "../libraries/Codes.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";
import {Score} from "../libraries/Score.sol";

/// @title Supervision: a complaint's life.
contract Supervision is Module, ISupervision {
    // ── types ──

    /// @dev `ISupervision.Case`, packed into four slots.
    struct Stored {
        bytes16 complainant;
        bytes16 respondent;
        bytes32 subject;
        bytes32 evidenceRoot;
        uint8 kind;
        Stage stage;
        uint8 ruling;
        uint8 severity;
        uint8 round;
        uint40 filedAt;
        uint40 deadline;
        uint64 bond;
    }

    // ── constants ──

    bytes32 private constant COMPLAINT = keccak256(
        "Complaint(bytes16 complainant,bytes16 respondent,uint8 kind,bytes32 subject,bytes32 evidenceHash,uint64 happenedAt,bytes32 salt)"
    );
    bytes32 private constant RESPOND =
        keccak256("Respond(bytes32 caseId,bytes32 answerHash,uint256 nonce,uint64 deadline)");
    bytes32 private constant CONCEDE =
        keccak256("Concede(bytes32 caseId,uint256 nonce,uint64 deadline)");
    bytes32 private constant WITHDRAW_COMPLAINT =
        keccak256("WithdrawComplaint(bytes32 caseId,uint256 nonce,uint64 deadline)");

    uint256 private constant OPEN_MAX = 16;
    /// @dev Credits behind each open case after the first, in µcredits.
    uint64 private constant BOND = 10_000_000;

    // ── storage ──

    mapping(bytes32 caseId => Stored) private _cases;
    mapping(bytes16 complainant => uint8) private _open;
    /// @dev The case that was upheld over a fault, so that none is sanctioned twice.
    mapping(bytes32 subject => mapping(uint8 faultCode => bytes32 caseId)) private _upheld;

    constructor(address authority, address directory) Module(authority, directory, "Supervision") {}

    // ── from filing to the answer ──

    /// @inheritdoc ISupervision
    function file(Complaint calldata complaint) external returns (bytes32 caseId) {
        caseId = _digestOf(complaint);
        _file(msg.sender, caseId, complaint);
    }

    /// @inheritdoc ISupervision
    function fileBySig(Complaint calldata complaint, address signer, bytes calldata signature)
        external
        returns (bytes32 caseId)
    {
        caseId = _digestOf(complaint);
        _verifyDocument(caseId, signer, signature);
        _file(signer, caseId, complaint);
    }

    /// @inheritdoc ISupervision
    function respond(bytes32 caseId, bytes32 answerHash) external {
        _respond(msg.sender, caseId, answerHash);
    }

    /// @inheritdoc ISupervision
    function respondBySig(bytes32 caseId, bytes32 answerHash, Auth calldata auth) external {
        _respond(_verifyAct(auth, RESPOND, _words(2)), caseId, answerHash);
    }

    /// @inheritdoc ISupervision
    function withdrawComplaint(bytes32 caseId) external {
        _withdraw(msg.sender, caseId);
    }

    /// @inheritdoc ISupervision
    function withdrawComplaintBySig(bytes32 caseId, Auth calldata auth) external {
        _withdraw(_verifyAct(auth, WITHDRAW_COMPLAINT, _words(1)), caseId);
    }

    // ── endings without a panel ──

    /// @inheritdoc ISupervision
    function concede(bytes32 caseId) external {
        _concede(msg.sender, caseId);
    }

    /// @inheritdoc ISupervision
    function concedeBySig(bytes32 caseId, Auth calldata auth) external {
        _concede(_verifyAct(auth, CONCEDE, _words(1)), caseId);
    }

    /// @inheritdoc ISupervision
    function closeByRule(bytes32 caseId) external {
        Stored storage c = _case(caseId);
        _requireBeforePanel(caseId, c.stage);
        (uint8 faultCode, bytes16 culprit) = _faultAbout(c.subject);
        if (culprit == 0) revert NotDecidable();

        bool upheld = culprit == c.respondent && _upheld[c.subject][faultCode] == 0;
        uint8 ruling = upheld ? Codes.UPHELD : Codes.DISMISSED;
        uint8 severity = upheld ? _severityOf(faultCode) : 0;
        if (upheld) _upheld[c.subject][faultCode] = caseId;
        _close(c, ruling, severity);

        emit CaseDecidedByRule(caseId, faultCode, ruling, severity);
        _execute(caseId, c);
    }

    // ── views ──

    /// @inheritdoc ISupervision
    function caseOf(bytes32 caseId) external view returns (Case memory) {
        Stored memory c = _cases[caseId];
        return Case({
            complainant: c.complainant,
            respondent: c.respondent,
            subject: c.subject,
            evidenceRoot: c.evidenceRoot,
            kind: c.kind,
            stage: c.stage,
            ruling: c.ruling,
            severity: c.severity,
            round: c.round,
            filedAt: c.filedAt,
            deadline: c.deadline,
            bond: c.bond
        });
    }

    /// @inheritdoc ISupervision
    function openCases(bytes16 complainant) external view returns (uint256) {
        return _open[complainant];
    }

    // ── acts ──

    function _file(address signer, bytes32 caseId, Complaint calldata complaint) private {
        _requireActor(signer, complaint.complainant, Roles.OFFICER);
        if (_cases[caseId].stage != Stage.None) revert Exists(caseId);
        _requireFileable(signer, complaint);
        uint8 open = _open[complaint.complainant];
        if (open >= OPEN_MAX) revert OutOfBounds(uint256(open) + 1, 0, OPEN_MAX);

        uint40 deadline = _packed(_now() + _days(Periods.CASE_ANSWER_DAYS));
        Stored storage c = _cases[caseId];
        (c.complainant, c.respondent) = (complaint.complainant, complaint.respondent);
        (c.subject, c.evidenceRoot) = (complaint.subject, complaint.evidenceHash);
        (c.kind, c.stage) = (complaint.kind, Stage.Filed);
        (c.filedAt, c.deadline) = (_packed(_now()), deadline);
        c.bond = open == 0 ? 0 : BOND;
        _open[complaint.complainant] = open + 1;

        emit ComplaintFiled(
            caseId,
            complaint.complainant,
            complaint.respondent,
            complaint.kind,
            complaint.subject,
            complaint.evidenceHash,
            deadline
        );
        if (open != 0) _incentives().lock(complaint.complainant, BOND, caseId);
    }

    function _respond(address signer, bytes32 caseId, bytes32 answerHash) private {
        Stored storage c = _case(caseId);
        _requireActor(signer, c.respondent, Roles.OFFICER);
        _requireStage(caseId, c.stage, Stage.Filed);
        if (_now() > c.deadline) revert TooLate(c.deadline);
        c.stage = Stage.Evidence;
        c.deadline = _packed(_now() + _days(Periods.EVIDENCE_DAYS));

        emit ComplaintAnswered(caseId, answerHash, c.deadline);
    }

    function _withdraw(address signer, bytes32 caseId) private {
        Stored storage c = _case(caseId);
        _requireActor(signer, c.complainant, Roles.OFFICER);
        _requireStage(caseId, c.stage, Stage.Filed);
        c.stage = Stage.Withdrawn;
        c.deadline = 0;
        --_open[c.complainant];

        emit ComplaintWithdrawn(caseId);
        if (c.bond != 0) _incentives().unlock(caseId);
    }

    function _concede(address signer, bytes32 caseId) private {
        Stored storage c = _case(caseId);
        _requireActor(signer, c.respondent, Roles.OFFICER);
        _requireBeforePanel(caseId, c.stage);
        _close(c, Codes.UPHELD, Codes.MINOR);

        emit CaseConceded(caseId);
        _execute(caseId, c);
    }

    // ── rulings ──

    /// @dev Writes a ruling that is executed in the same call.
    function _close(Stored storage c, uint8 ruling, uint8 severity) private {
        (c.stage, c.ruling, c.severity, c.deadline) = (Stage.Executed, ruling, severity, 0);
        --_open[c.complainant];
    }

    /// @dev What a ruling does: bond back; if upheld, sanction and score of the respondent.
    function _execute(bytes32 caseId, Stored storage c) private {
        emit CaseExecuted(caseId, c.ruling);
        if (c.bond != 0) _incentives().unlock(caseId);
        if (c.ruling != Codes.UPHELD) return;
        ISanctions(_module(Codes.SANCTIONS)).impose(caseId, c.respondent, c.severity);
        // MINOR, MAJOR and CRITICAL of the score follow each other as the severities do.
        uint8 kind = Score.MINOR + c.severity - Codes.MINOR;
        ICredibility(_module(Codes.CREDIBILITY)).record(c.respondent, c.complainant, kind, caseId);
    }

    /// @dev A contradiction between two statements of the same party is major; a missed time minor.
    function _severityOf(uint8 faultCode) private pure returns (uint8) {
        bool contradiction = faultCode == Codes.DOUBLE_OFFER || faultCode == Codes.BAD_LEAF;
        return contradiction ? Codes.MAJOR : Codes.MINOR;
    }

    /// @dev The fault that a contract established about a subject, and whose it is; zeros if none.
    function _faultAbout(bytes32 subject) private view returns (uint8 faultCode, bytes16 culprit) {
        IDeliveryLedger ledger = _ledger();
        uint8 side;
        (faultCode, side) = ledger.faultOf(subject);
        if (faultCode == 0) (faultCode, side) = _access().faultOf(subject);
        if (faultCode == 0) return (0, 0);
        (bytes16 owner, bytes16 requester) = ledger.partiesOf(subject);
        culprit = side == Codes.SIDE_OWNER ? owner : requester;
    }

    // ── checks ──

    /// @dev Id of a complaint: its EIP-712 digest.
    function _digestOf(Complaint calldata complaint) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(COMPLAINT, complaint)));
    }

    function _requireFileable(address signer, Complaint calldata complaint) private view {
        uint8 kind = complaint.kind;
        if (kind == 0 || kind > Codes.COMPLAINT_MAX) {
            revert OutOfBounds(kind, 1, Codes.COMPLAINT_MAX);
        }
        if (complaint.happenedAt > _now()) revert TooEarly(complaint.happenedAt);
        uint64 fileBy = complaint.happenedAt + _days(Periods.FILING_DAYS);
        if (_now() > fileBy) revert TooLate(fileBy);

        (bytes16 a, bytes16 b) = kind == Codes.FALSE_COMPLAINT
            ? (_case(complaint.subject).complainant, _cases[complaint.subject].respondent)
            : _ledger().partiesOf(complaint.subject);
        if (a == 0) revert Unknown(complaint.subject);
        (bytes16 complainant, bytes16 respondent) = (complaint.complainant, complaint.respondent);
        if (complainant != a && complainant != b) revert NotParty(complainant, signer);
        if (respondent == complainant || (respondent != a && respondent != b)) {
            revert NotParty(respondent, signer);
        }
    }

    function _case(bytes32 caseId) private view returns (Stored storage c) {
        c = _cases[caseId];
        if (c.stage == Stage.None) revert Unknown(caseId);
    }

    function _requireStage(bytes32 caseId, Stage have, Stage want) private pure {
        if (have != want) revert WrongState(caseId, uint8(have), uint8(want));
    }

    /// @dev Filed or Evidence: the stages between calls in which no panel sits.
    function _requireBeforePanel(bytes32 caseId, Stage have) private pure {
        if (have != Stage.Evidence) _requireStage(caseId, have, Stage.Filed);
    }

    // ── other modules ──

    function _ledger() private view returns (IDeliveryLedger) {
        return IDeliveryLedger(_module(Codes.DELIVERY_LEDGER));
    }

    function _access() private view returns (IAccessRegistry) {
        return IAccessRegistry(_module(Codes.ACCESS_REGISTRY));
    }

    function _incentives() private view returns (IIncentives) {
        return IIncentives(_module(Codes.INCENTIVES));
    }
}
