// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title CareRegistry: the care lane. Standing agreements, and emergency access with its review.
/// @notice Two institutions that treat the same patients sign an *agreement* once; single accesses
/// under it never appear here. Without one, a clinician may *break the glass*: look at once, on
/// record, and answer for it. Every such case ends in a verdict within 144 h, whoever is silent.
/// No patient and no reason in words appears, and a moment only to the hour.
interface ICareRegistry is IModule {
    /// @notice Proposed → InForce ⇄ Suspended → Ended. Proposed, InForce → Ended.
    enum AgreementStatus {
        None,
        Proposed,
        InForce,
        Suspended,
        Ended
    }

    /// @notice Opened → CoSigned | Uncosigned. These three → UnderReview → Justified |
    /// Unjustified, or → Overdue, which counts as Unjustified.
    enum CaseStatus {
        None,
        Opened,
        CoSigned,
        Uncosigned,
        UnderReview,
        Justified,
        Unjustified,
        Overdue
    }

    /// @notice Document: two institutions agree on care for common patients. Signed by an ADMIN of
    /// one of them. Its digest is the agreement's id. Times in seconds since 1970.
    /// @param a One institution.
    /// @param b The other.
    /// @param purposes Bitmap among treatment (1), emergency treatment (2), the patient's own
    /// request (7) and that of the family (12): bit n for purpose n.
    /// @param validFrom First second in force.
    /// @param validUntil Second after its last, at most 1 095 d later.
    /// @param dutySecs Time to answer that both promise, in seconds.
    /// @param termsHash keccak256 of the terms.
    /// @param salt Random, so that no two agreements have the same digest.
    struct Agreement {
        bytes16 a;
        bytes16 b;
        uint32 purposes;
        uint64 validFrom;
        uint64 validUntil;
        uint32 dutySecs;
        bytes32 termsHash;
        bytes32 salt;
    }

    /// @notice An agreement and what became of it.
    /// @param status See `AgreementStatus`.
    /// @param mover Who proposed it while Proposed, who suspended it while Suspended, else 0.
    struct AgreementState {
        bytes16 a;
        bytes16 b;
        uint64 validFrom;
        uint64 validUntil;
        AgreementStatus status;
        uint32 purposes;
        uint32 dutySecs;
        bytes16 mover;
        bytes32 termsHash;
    }

    /// @notice Document: emergency access. Signed by an account of `credential`. Its digest is the
    /// case's id.
    /// @param requester Institution that treats the patient.
    /// @param owner Institution that holds the records; for a hub, its sponsor.
    /// @param credential Who looks: an EMERGENCY credential of the requester, or the requester
    /// itself where the edge keeps the staff's own signature.
    /// @param openedAt Full hour in which it was opened, in seconds since 1970.
    /// @param subjectCommit Commitment to the patient, salted.
    /// @param reasonHash Commitment to the sealed reason.
    /// @param salt Random, so that no two cases have the same digest.
    struct BreakGlass {
        bytes16 requester;
        bytes16 owner;
        bytes16 credential;
        uint64 openedAt;
        bytes32 subjectCommit;
        bytes32 reasonHash;
        bytes32 salt;
    }

    /// @notice A case of emergency access. Times in seconds since 1970.
    /// @param openedAt As in the document; access ends 24 h later.
    /// @param reportedAt When the requester reported; 0 before.
    /// @param status See `CaseStatus`.
    /// @param coSigned Whether a second person stands for it.
    /// @param faultCode 10 report overdue, 11 never posted, 13 review silent, or 0.
    struct BreakGlassCase {
        bytes16 requester;
        bytes16 owner;
        bytes16 credential;
        uint64 openedAt;
        uint64 reportedAt;
        CaseStatus status;
        bool coSigned;
        uint8 faultCode;
        bytes32 subjectCommit;
        bytes32 reportHash;
    }

    /// @notice One side proposes `agreement`.
    event AgreementProposed(bytes32 indexed agreementId, Agreement agreement, bytes16 by);

    /// @notice The other side accepted, or did not.
    event AgreementAnswered(bytes32 indexed agreementId, bool accepted);

    /// @notice `by` suspended, resumed or ended the agreement.
    event AgreementMoved(bytes32 indexed agreementId, AgreementStatus status, bytes16 indexed by);

    /// @notice `credential` of `requester` looks at records of `owner`, from the hour `openedAt`
    /// for 24 h.
    event BreakGlassOpened(
        bytes32 indexed id,
        bytes16 indexed requester,
        bytes16 indexed owner,
        bytes16 credential,
        uint64 openedAt,
        bytes32 subjectCommit,
        bytes32 reasonHash
    );

    /// @notice `credential` stands for it too.
    event BreakGlassCoSigned(bytes32 indexed id, bytes16 indexed credential);

    /// @notice The requester reported at `reportedAt`; the owner's time to review begins.
    event BreakGlassReported(bytes32 indexed id, bytes32 reportHash, uint64 reportedAt);

    /// @notice The owner found it justified, or not.
    event BreakGlassReviewed(bytes32 indexed id, bool justified, bytes32 reviewHash);

    /// @notice A deadline passed: the case is in `status` now, by fault `faultCode` (0: nobody's).
    event BreakGlassClosed(bytes32 indexed id, CaseStatus status, uint8 faultCode);

    /// @notice An agreement of one institution with itself says nothing.
    error SameParty(bytes16 inst);

    /// @notice `purposes` is empty or has a purpose other than 1, 2, 7 and 12.
    error NotCare(uint32 purposes);

    /// @notice `time` is no full hour of `hourSecs` seconds.
    error NotFullHour(uint64 time, uint64 hourSecs);

    // ── agreements ──

    /// @notice Proposes an agreement. ADMIN of one side. Both are on probation or active.
    /// @return agreementId Digest of the agreement.
    function proposeAgreement(Agreement calldata agreement_) external returns (bytes32 agreementId);
    function proposeAgreementBySig(
        Agreement calldata agreement_,
        address signer,
        bytes calldata signature
    ) external returns (bytes32 agreementId);

    /// @notice Accepts a proposal before its term is over, or declines it. ADMIN of the side that
    /// did not propose.
    function answerAgreement(bytes32 agreementId, bool accepted) external;
    function answerAgreementBySig(bytes32 agreementId, bool accepted, Auth calldata auth) external;

    /// @notice Suspends, resumes or ends. ADMIN of either side; only who suspended may resume.
    /// @param status 2 InForce, from Suspended; 3 Suspended, from InForce; 4 Ended, from any.
    function moveAgreement(bytes32 agreementId, uint8 status) external;
    function moveAgreementBySig(bytes32 agreementId, uint8 status, Auth calldata auth) external;

    // ── break-glass ──

    /// @notice Puts emergency access on record. EMERGENCY of the requester, which is on probation
    /// or active; never stopped by the guardian. Less than 2 h after `openedAt`.
    /// @return id Digest of the document.
    function openBreakGlass(BreakGlass calldata b) external returns (bytes32 id);
    function openBreakGlassBySig(BreakGlass calldata b, address signer, bytes calldata signature)
        external
        returns (bytes32 id);

    /// @notice Stands for it as a second person, within 24 h of `openedAt` and before the report.
    /// CLINICIAN of the requester.
    /// @param credential Who signs; not the one who opened it.
    function coSign(bytes32 id, bytes16 credential) external;
    function coSignBySig(bytes32 id, bytes16 credential, Auth calldata auth) external;

    /// @notice Reports what was looked at and why, within 72 h of `openedAt`. OFFICER of the
    /// requester.
    /// @param reportHash Commitment to the report, which goes to the owner's edge.
    function report(bytes32 id, bytes32 reportHash) external;
    function reportBySig(bytes32 id, bytes32 reportHash, Auth calldata auth) external;

    /// @notice Says whether it was justified, within 72 h of the report. OFFICER of the owner.
    /// @param reviewHash Commitment to the reasons.
    function review(bytes32 id, bool justified, bytes32 reviewHash) external;
    function reviewBySig(bytes32 id, bool justified, bytes32 reviewHash, Auth calldata auth)
        external;

    /// @notice Moves a case whose deadline passed. Anyone. No co-signature after 24 h →
    /// Uncosigned;
    /// no report after 72 h → Overdue, against the requester; no review 72 h after the report
    /// →
    /// Justified, and the owner answered late.
    function closeBreakGlass(bytes32 id) external;

    /// @notice Proves emergency access that nobody put on record: a signed document, 2 h to 30 d
    /// after `openedAt`. Anyone. The case is Overdue at once, against the requester.
    function proveUnreported(BreakGlass calldata b, address signer, bytes calldata signature)
        external
        returns (bytes32 id);

    // ── views ──

    /// @notice Whether the agreement is InForce, `validFrom ≤ t < validUntil`, and both
    /// institutions were effective at `t`.
    function liveAgreement(bytes32 agreementId, uint64 t) external view returns (bool);

    /// @notice Whether emergency access runs at `t`: on record, `openedAt ≤ t < openedAt + 24 h`,
    /// not found unjustified, and the requester effective at `t`.
    function liveBreakGlass(bytes32 id, uint64 t) external view returns (bool);

    /// @notice An agreement; status None if unknown.
    function agreement(bytes32 agreementId) external view returns (AgreementState memory);

    /// @notice A case of emergency access; status None if unknown.
    function breakGlass(bytes32 id) external view returns (BreakGlassCase memory);

    /// @notice Owner and requester of a case, or both sides of an agreement; zeros if unknown.
    function partiesOf(bytes32 id) external view returns (bytes16 owner, bytes16 requester);

    /// @notice Fault established about a case: code (`libraries/Codes.sol`) and side, 1 owner,
    /// 2 requester; zeros if none.
    function faultOf(bytes32 id) external view returns (uint8 faultCode, uint8 side);
}
