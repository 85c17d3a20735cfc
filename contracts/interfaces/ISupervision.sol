// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title Supervision: a complaint's life.
/// @notice Holds hashes of evidence, never evidence. What a contract has established by rule is
/// decided by rule, in one call of anybody; all else goes to a panel of peers (Arbitration), and
/// once more on appeal. Every stage has an end after which anyone may move the case on: within 57 d
/// and one call a stage it is over, whoever is silent.
interface ISupervision is IModule {
    /// @notice Filed → Answered | Silent → Evidence → Panel → Ruled → Executed.
    /// Ruled → Appealed → Panel, once. Filed, Evidence → RuleDecided or Conceded, then
    /// Executed. Filed → Withdrawn. Answered, Silent, RuleDecided, Appealed and Conceded are
    /// passed through in one call; Commit and Reveal are windows of Panel that Arbitration keeps.
    enum Stage {
        None,
        Filed,
        Answered,
        Silent,
        Evidence,
        RuleDecided,
        Panel,
        Commit,
        Reveal,
        Ruled,
        Appealed,
        Executed,
        Conceded,
        Withdrawn
    }

    /// @notice Document: a complaint. Signed by an OFFICER of the complainant, or by the hub that
    /// complains. Its digest is the case's id.
    /// @param complainant Institution or hub that complains.
    /// @param respondent Institution it complains about.
    /// @param kind 1 non-delivery, 2 late, 3 hash mismatch, 4 format or quality, 5 over-broad
    /// request, 6 purpose breach, 7 unjust refusal, 8 unlawful break-glass, 9 false complaint.
    /// @param subject Grant, delivery, emergency access, job or site of a job between the two; for
    /// kind 9 a case between them. A hub may name any of the respondent's.
    /// @param evidenceHash Commitment to the bundle of evidence.
    /// @param happenedAt Seconds since 1970, at most 180 d ago.
    /// @param salt Random, so that no two complaints have the same digest.
    struct Complaint {
        bytes16 complainant;
        bytes16 respondent;
        uint8 kind;
        bytes32 subject;
        bytes32 evidenceHash;
        uint64 happenedAt;
        bytes32 salt;
    }

    /// @notice A case. Times in seconds since 1970.
    /// @param evidenceRoot Begins as the complaint's `evidenceHash`.
    /// @param ruling 1 Upheld, 2 Dismissed, 3 Abusive, 4 NotProven; 0 before. On appeal the first
    /// ruling until the second.
    /// @param severity Of an upheld case: 1 minor, 2 major, 3 critical.
    /// @param round Of panels; 0 before the first, 2 on appeal.
    /// @param deadline Last second of the present stage; 0 while a panel sits (Arbitration has its
    /// windows), after the second ruling, and once closed.
    /// @param bond Locked µcredits.
    /// @param silent Whether the respondent let its time to answer go by.
    /// @param evidence Pieces submitted by the complainant, by the respondent and by supervisors.
    struct Case {
        bytes16 complainant;
        bytes16 respondent;
        bytes32 subject;
        bytes32 evidenceRoot;
        uint8 kind;
        Stage stage;
        uint8 ruling;
        uint8 severity;
        uint8 round;
        uint64 filedAt;
        uint64 deadline;
        uint64 bond;
        bool silent;
        uint8[3] evidence;
    }

    event ComplaintFiled(
        bytes32 indexed caseId,
        bytes16 indexed complainant,
        bytes16 indexed respondent,
        uint8 kind,
        bytes32 subject,
        bytes32 evidenceHash,
        uint64 deadline
    );
    event ComplaintAnswered(bytes32 indexed caseId, bytes32 answerHash, uint64 deadline);
    /// @param index Piece of its side, 1…24.
    event EvidenceSubmitted(
        bytes32 indexed caseId, bytes16 indexed by, bytes32 evidenceHash, uint8 index
    );
    /// @notice A deadline passed. Silent comes with the end of the evidence it opens, Panel with 0.
    event CaseAdvanced(bytes32 indexed caseId, Stage stage, uint64 deadline);
    /// @param deadline Last second for an appeal; 0 for none.
    event CaseRuled(
        bytes32 indexed caseId, uint8 round, uint8 ruling, uint8 severity, uint64 deadline
    );
    event CaseAppealed(bytes32 indexed caseId);
    event CaseConceded(bytes32 indexed caseId);
    event ComplaintWithdrawn(bytes32 indexed caseId);
    event CaseDecidedByRule(bytes32 indexed caseId, uint8 faultCode, uint8 ruling, uint8 severity);
    event CaseExecuted(bytes32 indexed caseId, uint8 ruling);

    /// @notice No contract has established a fault about the case's subject.
    error NotDecidable();

    /// @notice Files a complaint. OFFICER of the complainant, or the hub itself while it is open.
    /// @dev The first open case is free; each further one locks 10 credits. At most 16 open, for a
    /// hub 1.
    /// @return caseId Digest of the complaint.
    function file(Complaint calldata complaint) external returns (bytes32 caseId);
    function fileBySig(Complaint calldata complaint, address signer, bytes calldata signature)
        external
        returns (bytes32 caseId);

    /// @notice Answers. OFFICER of the respondent, within 7 d; opens 7 d for evidence.
    /// @param answerHash Commitment to the answer.
    function respond(bytes32 caseId, bytes32 answerHash) external;
    function respondBySig(bytes32 caseId, bytes32 answerHash, Auth calldata auth) external;

    /// @notice Adds a piece of evidence, at most 24 a side, until the stage Evidence ends. OFFICER
    /// of a party, the hub that complains, or OFFICER of an institution of kind Supervisor.
    /// @dev `evidenceRoot` becomes `keccak256(evidenceRoot ‖ by ‖ evidenceHash)`.
    /// @param by Whose piece it is.
    /// @param evidenceHash Commitment to it.
    function submitEvidence(bytes32 caseId, bytes16 by, bytes32 evidenceHash) external;
    function submitEvidenceBySig(
        bytes32 caseId,
        bytes16 by,
        bytes32 evidenceHash,
        Auth calldata auth
    ) external;

    /// @notice Accepts the complaint as minor. OFFICER of the respondent, before a panel sits.
    function concede(bytes32 caseId) external;
    function concedeBySig(bytes32 caseId, Auth calldata auth) external;

    /// @notice Takes the complaint back. OFFICER of the complainant, before the answer.
    function withdrawComplaint(bytes32 caseId) external;
    function withdrawComplaintBySig(bytes32 caseId, Auth calldata auth) external;

    /// @notice Decides by the fault that a contract established. Anyone, before a panel sits.
    /// @dev Upheld if the fault is the respondent's: major for a contradiction (two offers, bad
    /// leaf), minor for a missed time. Dismissed if it is the complainant's, or if an earlier case
    /// was upheld over the same fault: nobody is sanctioned twice for one.
    function closeByRule(bytes32 caseId) external;

    /// @notice Moves a case on whose deadline passed. Anyone. Filed becomes Evidence, the
    /// respondent having been silent; Evidence becomes Panel.
    function advance(bytes32 caseId) external;

    /// @notice Takes a panel's ruling. Restricted to PANEL.
    /// @param ruling 1 Upheld, 2 Dismissed, 3 Abusive, 4 NotProven.
    /// @param severity 1…3 if upheld, else 0.
    function deliverRuling(bytes32 caseId, uint8 ruling, uint8 severity) external;

    /// @notice Gives a ruled case to a second panel, within 7 d. Restricted to PANEL.
    function reopen(bytes32 caseId) external;

    /// @notice Does what the ruling says, once no appeal is possible any more. Anyone.
    /// @dev Upheld: sanction and score of the respondent. Abusive: score of the complainant, and
    /// its bond is burned. Otherwise the bond comes back. An interim sanction ends.
    function execute(bytes32 caseId) external;

    /// @notice One case; stage None if unknown.
    function caseOf(bytes32 caseId) external view returns (Case memory);

    /// @notice Open cases that an institution or a hub filed.
    function openCases(bytes16 complainant) external view returns (uint256);
}
