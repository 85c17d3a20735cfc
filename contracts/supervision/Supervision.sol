// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IArbitration} from "../interfaces/IArbitration.sol";
import {IFaults} from "../interfaces/IFaults.sol";
import {IIncentives} from "../interfaces/IIncentives.sol";
import {ISupervision} from "../interfaces/ISupervision.sol";
import {Codes} from "../libraries/Codes.sol";
import {Module} from "../libraries/Module.sol";
import {Parties} from "../libraries/Parties.sol";
import {Periods} from "../libraries/Periods.sol";
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
        bool silent;
        uint8 complainantEvidence;
        uint8 respondentEvidence;
        uint8 supervisorEvidence;
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
    bytes32 private constant SUBMIT_EVIDENCE = keccak256(
        "SubmitEvidence(bytes32 caseId,bytes16 by,bytes32 evidenceHash,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant CONCEDE =
        keccak256("Concede(bytes32 caseId,uint256 nonce,uint64 deadline)");
    bytes32 private constant WITHDRAW_COMPLAINT =
        keccak256("WithdrawComplaint(bytes32 caseId,uint256 nonce,uint64 deadline)");

    uint256 private constant OPEN_MAX = 16;
    uint256 private constant HUB_OPEN_MAX = 1;
    uint8 private constant EVIDENCE_MAX = 24;
    uint8 private constant LAST_ROUND = 2;
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
    function submitEvidence(bytes32 caseId, bytes16 by, bytes32 evidenceHash) external {
        _submitEvidence(msg.sender, caseId, by, evidenceHash);
    }

    /// @inheritdoc ISupervision
    function submitEvidenceBySig(
        bytes32 caseId,
        bytes16 by,
        bytes32 evidenceHash,
        Auth calldata auth
    ) external {
        address signer = _verifyAct(auth, SUBMIT_EVIDENCE, _words(3));
        _submitEvidence(signer, caseId, by, evidenceHash);
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

    // ── with a panel ──

    /// @inheritdoc ISupervision
    function advance(bytes32 caseId) external {
        Stored storage c = _case(caseId);
        _requireBeforePanel(caseId, c.stage);
        _requirePast(c.deadline);
        if (c.stage == Stage.Filed) _passSilent(caseId, c);
        else _empanel(caseId, c);
    }

    /// @inheritdoc ISupervision
    function deliverRuling(bytes32 caseId, uint8 ruling, uint8 severity) external restricted {
        Stored storage c = _case(caseId);
        _requireStage(caseId, c.stage, Stage.Panel);
        _requireRuling(ruling, severity);
        uint64 appealBy = c.round == LAST_ROUND ? 0 : _now() + _days(Periods.APPEAL_DAYS);
        (c.stage, c.ruling, c.severity) = (Stage.Ruled, ruling, severity);
        c.deadline = _packed(appealBy);

        emit CaseRuled(caseId, c.round, ruling, severity, appealBy);
    }

    /// @inheritdoc ISupervision
    function reopen(bytes32 caseId) external restricted {
        Stored storage c = _case(caseId);
        _requireStage(caseId, c.stage, Stage.Ruled);
        _requireInTime(c.deadline);
        (c.stage, c.round, c.deadline) = (Stage.Panel, LAST_ROUND, 0);

        emit CaseAppealed(caseId);
    }

    /// @inheritdoc ISupervision
    function execute(bytes32 caseId) external {
        Stored storage c = _case(caseId);
        _requireStage(caseId, c.stage, Stage.Ruled);
        _requirePast(c.deadline);
        _close(c, c.ruling, c.severity);

        _execute(caseId, c);
        _sanctions().endInterim(caseId, c.respondent);
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
            bond: c.bond,
            silent: c.silent,
            evidence: [c.complainantEvidence, c.respondentEvidence, c.supervisorEvidence]
        });
    }

    /// @inheritdoc ISupervision
    function openCases(bytes16 complainant) external view returns (uint256) {
        return _open[complainant];
    }

    // ── acts ──

    function _file(address signer, bytes32 caseId, Complaint calldata complaint) private {
        _requirePartySpeaker(signer, complaint.complainant);
        if (_cases[caseId].stage != Stage.None) revert Exists(caseId);
        _requireFileable(complaint);
        bool byHub = _requireParties(signer, complaint);
        uint8 open = _open[complaint.complainant];
        _requireBetween(uint256(open) + 1, 0, byHub ? HUB_OPEN_MAX : OPEN_MAX);

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
        _requirePartySpeaker(signer, c.respondent);
        _requireStage(caseId, c.stage, Stage.Filed);
        _requireInTime(c.deadline);
        _openEvidence(c);

        emit ComplaintAnswered(caseId, answerHash, c.deadline);
    }

    function _submitEvidence(address signer, bytes32 caseId, bytes16 by, bytes32 evidenceHash)
        private
    {
        Stored storage c = _case(caseId);
        _requirePartySpeaker(signer, by);
        _requireStage(caseId, c.stage, Stage.Evidence);
        _requireInTime(c.deadline);
        uint8 index = _countEvidence(signer, c, by);
        c.evidenceRoot = keccak256(abi.encodePacked(c.evidenceRoot, by, evidenceHash));

        emit EvidenceSubmitted(caseId, by, evidenceHash, index);
    }

    function _withdraw(address signer, bytes32 caseId) private {
        Stored storage c = _case(caseId);
        _requirePartySpeaker(signer, c.complainant);
        _requireStage(caseId, c.stage, Stage.Filed);
        c.stage = Stage.Withdrawn;
        c.deadline = 0;
        --_open[c.complainant];

        emit ComplaintWithdrawn(caseId);
        if (c.bond != 0) _incentives().unlock(caseId);
    }

    function _concede(address signer, bytes32 caseId) private {
        Stored storage c = _case(caseId);
        _requirePartySpeaker(signer, c.respondent);
        _requireBeforePanel(caseId, c.stage);
        _close(c, Codes.UPHELD, Codes.MINOR);

        emit CaseConceded(caseId);
        _execute(caseId, c);
    }

    // ── stages ──

    /// @dev The parties may add evidence from now on.
    function _openEvidence(Stored storage c) private {
        c.stage = Stage.Evidence;
        c.deadline = _packed(_now() + _days(Periods.EVIDENCE_DAYS));
    }

    /// @dev Nobody answered.
    function _passSilent(bytes32 caseId, Stored storage c) private {
        c.silent = true;
        _openEvidence(c);

        emit CaseAdvanced(caseId, Stage.Silent, c.deadline);
    }

    /// @dev The evidence is closed; peers judge.
    function _empanel(bytes32 caseId, Stored storage c) private {
        (c.stage, c.round, c.deadline) = (Stage.Panel, 1, 0);

        emit CaseAdvanced(caseId, Stage.Panel, 0);
        IArbitration arbitration = IArbitration(_module(Codes.ARBITRATION));
        arbitration.drawPanel(caseId, c.complainant, c.respondent);
    }

    /// @dev Counts a piece for the side it comes from; a supervisor has a side of its own.
    function _countEvidence(address signer, Stored storage c, bytes16 by)
        private
        returns (uint8 index)
    {
        if (by == c.complainant) {
            index = ++c.complainantEvidence;
        } else if (by == c.respondent) {
            index = ++c.respondentEvidence;
        } else {
            _requireSupervisor(signer, by);
            index = ++c.supervisorEvidence;
        }
        _requireBetween(index, 1, EVIDENCE_MAX);
    }

    /// @dev Checks that `by`, who is no party, is an active supervisor.
    function _requireSupervisor(address signer, bytes16 by) private view {
        if (_institutions().standing(by).kind != Codes.SUPERVISOR) revert NotParty(by, signer);
        _requireActive(by);
    }

    // ── rulings ──

    /// @dev Writes a ruling that is executed in the same call.
    function _close(Stored storage c, uint8 ruling, uint8 severity) private {
        (c.stage, c.ruling, c.severity, c.deadline) = (Stage.Executed, ruling, severity, 0);
        --_open[c.complainant];
    }

    /// @dev What a ruling does.
    function _execute(bytes32 caseId, Stored storage c) private {
        emit CaseExecuted(caseId, c.ruling);
        if (c.bond != 0) _settleBond(caseId, c.ruling);
        if (c.ruling == Codes.UPHELD) _punishRespondent(caseId, c);
        if (c.ruling == Codes.ABUSIVE) {
            _credibility().record(c.complainant, c.respondent, Score.FALSE_COMPLAINT, caseId);
        }
    }

    /// @dev An abusive complaint costs its bond.
    function _settleBond(bytes32 caseId, uint8 ruling) private {
        IIncentives incentives = _incentives();
        if (ruling == Codes.ABUSIVE) incentives.burn(caseId);
        else incentives.unlock(caseId);
    }

    /// @dev Sanction and score. MINOR, MAJOR and CRITICAL of the score follow each other as the
    /// severities do.
    function _punishRespondent(bytes32 caseId, Stored storage c) private {
        _sanctions().impose(caseId, c.respondent, c.severity);
        uint8 kind = Score.MINOR + c.severity - Codes.MINOR;
        _credibility().record(c.respondent, c.complainant, kind, caseId);
    }

    /// @dev A contradiction between two statements of the same party is major; a missed time minor.
    function _severityOf(uint8 faultCode) private pure returns (uint8) {
        bool contradiction = faultCode == Codes.DOUBLE_OFFER || faultCode == Codes.BAD_LEAF;
        return contradiction ? Codes.MAJOR : Codes.MINOR;
    }

    // ── what other modules know ──

    /// @dev Modules whose objects people can complain about; AccessRegistry answers for
    /// CareRegistry.
    function _sources() private pure returns (bytes32[3] memory) {
        return [Codes.DELIVERY_LEDGER, Codes.ACCESS_REGISTRY, Codes.COMPUTE_JOBS];
    }

    /// @dev The fault that a module established about a subject, and whose it is; zeros if none.
    function _faultAbout(bytes32 subject) private view returns (uint8 faultCode, bytes16 culprit) {
        bytes32[3] memory sources = _sources();
        for (uint256 i = 0; i < sources.length; ++i) {
            IFaults source = IFaults(DIRECTORY.addressOf(sources[i]));
            if (address(source) == address(0)) continue;
            uint8 side;
            (faultCode, side) = source.faultOf(subject);
            if (faultCode == 0) continue;
            (bytes16 side1, bytes16 side2) = source.partiesOf(subject);
            return (faultCode, side == Codes.SIDE_OWNER ? side1 : side2);
        }
    }

    /// @dev Both sides of what a complaint is about; zeros if nobody knows it.
    function _partiesOf(bytes32 subject) private view returns (bytes16 side1, bytes16 side2) {
        bytes32[3] memory sources = _sources();
        for (uint256 i = 0; i < sources.length && side1 == 0; ++i) {
            IFaults source = IFaults(DIRECTORY.addressOf(sources[i]));
            if (address(source) != address(0)) (side1, side2) = source.partiesOf(subject);
        }
    }

    // ── checks ──

    /// @dev Id of a complaint: its EIP-712 digest.
    function _digestOf(Complaint calldata complaint) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(COMPLAINT, complaint)));
    }

    /// @dev Checks kind and time of a complaint.
    function _requireFileable(Complaint calldata complaint) private view {
        _requireBetween(complaint.kind, 1, Codes.COMPLAINT_MAX);
        if (complaint.happenedAt > _now()) revert TooEarly(complaint.happenedAt);
        uint64 fileBy = complaint.happenedAt + _days(Periods.FILING_DAYS);
        _requireInTime(fileBy);
    }

    /// @dev Checks that complainant and respondent are the two sides of the subject. An open hub
    /// may complain about a party without being the other.
    function _requireParties(address signer, Complaint calldata complaint)
        private
        view
        returns (bool byHub)
    {
        (bytes16 complainant, bytes16 respondent) = (complaint.complainant, complaint.respondent);
        (bytes16 a, bytes16 b) = complaint.kind == Codes.FALSE_COMPLAINT
            ? (_case(complaint.subject).complainant, _cases[complaint.subject].respondent)
            : _partiesOf(complaint.subject);
        if (a == 0) revert Unknown(complaint.subject);
        byHub = Parties.isOpenHub(DIRECTORY, complainant);
        if (complainant != a && complainant != b && !byHub) revert NotParty(complainant, signer);
        if (respondent == complainant || (respondent != a && respondent != b)) {
            revert NotParty(respondent, signer);
        }
    }

    /// @dev Checks a panel's ruling: a severity belongs to an upheld case and to no other.
    function _requireRuling(uint8 ruling, uint8 severity) private pure {
        _requireBetween(ruling, Codes.UPHELD, Codes.NOT_PROVEN);
        bool upheld = ruling == Codes.UPHELD;
        _requireBetween(severity, upheld ? Codes.MINOR : 0, upheld ? Codes.CRITICAL : 0);
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
}
