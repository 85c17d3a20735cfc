// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title Supervision: a complaint's life.
/// @notice Holds hashes of evidence, never evidence. What a contract has established by rule is
/// decided by rule, in one call of anybody.
interface ISupervision is IModule {
    /// @notice Filed → Answered → Evidence. Filed, Evidence → RuleDecided or Conceded →
    /// Executed. Filed → Withdrawn. Answered, RuleDecided and Conceded are passed through in
    /// one call. Silent, Panel, Ruled and Appealed belong to the panel path; Commit and Reveal
    /// are windows of Panel that Arbitration keeps.
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

    /// @notice Document: a complaint. Signed by an OFFICER of the complainant. Its digest is the
    /// case's id.
    /// @param complainant Institution that complains.
    /// @param respondent Institution it complains about.
    /// @param kind 1 non-delivery, 2 late, 3 hash mismatch, 4 format or quality, 5 over-broad
    /// request, 6 purpose breach, 7 unjust refusal, 8 unlawful break-glass, 9 false complaint.
    /// @param subject Delivery or grant between the two; for kind 9 a case between them.
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
    /// @param ruling 1 Upheld, 2 Dismissed, 3 Abusive, 4 NotProven; 0 before.
    /// @param severity Of an upheld case: 1 minor, 2 major, 3 critical.
    /// @param round Of panels; 0 before the first.
    /// @param deadline End of the present stage; 0 once closed.
    /// @param bond Locked µcredits.
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
    event CaseConceded(bytes32 indexed caseId);
    event ComplaintWithdrawn(bytes32 indexed caseId);
    event CaseDecidedByRule(bytes32 indexed caseId, uint8 faultCode, uint8 ruling, uint8 severity);
    event CaseExecuted(bytes32 indexed caseId, uint8 ruling);

    /// @notice No contract has established a fault about the case's subject.
    error NotDecidable();

    /// @notice Files a complaint. OFFICER of the complainant.
    /// @dev The first open case is free; each further one locks 10 credits, at most 16 open.
    /// @return caseId Digest of the complaint.
    function file(Complaint calldata complaint) external returns (bytes32 caseId);
    function fileBySig(Complaint calldata complaint, address signer, bytes calldata signature)
        external
        returns (bytes32 caseId);

    /// @notice Answers. OFFICER of the respondent, within 7 d; opens 7 d for evidence.
    /// @param answerHash Commitment to the answer.
    function respond(bytes32 caseId, bytes32 answerHash) external;
    function respondBySig(bytes32 caseId, bytes32 answerHash, Auth calldata auth) external;

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

    /// @notice One case; stage None if unknown.
    function caseOf(bytes32 caseId) external view returns (Case memory);

    /// @notice Open cases that an institution filed.
    function openCases(bytes16 complainant) external view returns (uint256);
}
