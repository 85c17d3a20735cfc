// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title AccessRegistry: the project lane. Who asked for what, and what was granted.
/// @notice One grant has one purpose, one dataset, one mode and one term. What exactly is in scope
/// stays at the edges, bound by the hashes in a document: an answer names that document by its
/// digest, so that nothing wider than both sides signed can be granted. No patient and no reason in
/// words appears here. The care lane is CareRegistry.
interface IAccessRegistry is IModule {
    /// @notice Requested ⇄ Countered. Both → Granted ⇄ Suspended, or → Withdrawn | Lapsed.
    /// Requested → Refused. Granted, Suspended → Revoked | Expired | Completed.
    enum Status {
        None,
        Requested,
        Countered,
        Granted,
        Suspended,
        Revoked,
        Expired,
        Completed,
        Refused,
        Withdrawn,
        Lapsed
    }

    /// @notice Document: a request. Signed by a RESEARCHER of the requester. Its digest is the
    /// grant's id. Times in seconds since 1970.
    /// @param requester Institution that asks.
    /// @param owner Institution that holds the dataset.
    /// @param dataset Dataset in DatasetCatalog.
    /// @param purpose HL7 PurposeOfUse 1…12 or EHDS purpose 16…20 (`libraries/Codes.sol`).
    /// @param duo Data Use Ontology bits: one permission and every modifier of the dataset.
    /// @param mode 1 deliver, 2 compute or 4 answer.
    /// @param validFrom First second of the grant.
    /// @param validUntil Second after its last, at most 730 d later.
    /// @param answerBy Last second for an answer, 1 h to 60 d ahead.
    /// @param deliverWithin Seconds from the grant's start in which the owner owes a first offer;
    /// 0 for no such duty.
    /// @param scopeHash keccak256 of the scope document.
    /// @param termsHash keccak256 of the terms of use.
    /// @param renews Earlier grant of the same parties and dataset, or 0.
    /// @param salt Random, so that no two requests have the same digest.
    struct AccessRequest {
        bytes16 requester;
        bytes16 owner;
        bytes16 dataset;
        uint16 purpose;
        uint32 duo;
        uint8 mode;
        uint64 validFrom;
        uint64 validUntil;
        uint64 answerBy;
        uint64 deliverWithin;
        bytes32 scopeHash;
        bytes32 termsHash;
        bytes32 renews;
        bytes32 salt;
    }

    /// @notice Document: other terms for the same request. Signed by the side whose turn it is.
    /// @param round One more than the stored round, at most 8.
    struct CounterOffer {
        bytes32 grantId;
        uint8 round;
        uint8 mode;
        uint64 validFrom;
        uint64 validUntil;
        uint64 answerBy;
        uint64 deliverWithin;
        bytes32 scopeHash;
        bytes32 termsHash;
    }

    /// @notice A request and what became of it. Times in seconds since 1970.
    /// @param round Counter-offers made so far.
    /// @param faultCode 9 if the owner let the request lapse in silence, else 0.
    /// @param changedAt When `status` changed last.
    /// @param grantedAt When it was granted; 0 before.
    /// @param document Digest of the document whose scope and terms stand: the request's own, the
    /// grant's id, or that of the last counter-offer.
    /// @param delegations Delegations that were made and not ended, at most 64.
    struct Grant {
        bytes16 requester;
        bytes16 owner;
        bytes16 dataset;
        uint16 purpose;
        uint32 duo;
        uint8 mode;
        Status status;
        uint8 round;
        uint8 faultCode;
        uint64 answerBy;
        uint64 validFrom;
        uint64 validUntil;
        uint64 changedAt;
        uint64 grantedAt;
        uint64 deliverWithin;
        bytes32 document;
        uint8 delegations;
    }

    event AccessRequested(bytes32 indexed grantId, AccessRequest request);
    event AccessCountered(bytes32 indexed grantId, CounterOffer counterOffer);
    /// @param document As in `Grant`: what was accepted.
    event AccessGranted(
        bytes32 indexed grantId,
        bytes16 indexed requester,
        bytes16 indexed owner,
        bytes16 dataset,
        uint64 validFrom,
        uint64 validUntil,
        bytes32 document
    );
    event AccessRefused(bytes32 indexed grantId, uint8 reasonCode, bytes32 reasonHash);
    event RequestWithdrawn(bytes32 indexed grantId);
    /// @param silent Whether it was the owner's turn, so that the silence is the owner's.
    event RequestLapsed(bytes32 indexed grantId, bool silent);
    event AccessRevoked(bytes32 indexed grantId, uint8 reasonCode, bytes32 reasonHash);
    event AccessSuspended(bytes32 indexed grantId);
    event AccessResumed(bytes32 indexed grantId);
    event AccessCompleted(bytes32 indexed grantId);
    event AccessExpired(bytes32 indexed grantId);
    /// @notice `credential` may use the grant until `until`.
    event Delegated(bytes32 indexed grantId, bytes16 indexed credential, uint64 until);
    /// @notice `credential` may no longer use the grant.
    event DelegationEnded(bytes32 indexed grantId, bytes16 indexed credential);

    /// @notice `dataset` belongs to `owner`.
    error NotOwner(bytes16 dataset, bytes16 owner);
    /// @notice `mode` is not one mode among `offered`.
    error ModeNotOffered(uint8 mode, uint8 offered);
    /// @notice Nobody may ask for `purpose`.
    error ForbiddenPurpose(uint16 purpose);
    /// @notice The request's bits `have` do not stay within the dataset's bits `want`.
    error DuoMismatch(uint32 have, uint32 want);
    /// @notice `renews` is no grant of these parties about this dataset.
    error NotRenewable(bytes32 renews);
    /// @notice Nothing may be done under this grant now.
    error NotLive(bytes32 grantId);
    /// @notice A delegation until `until` would outlive its grant, which ends at `end`.
    error DelegationTooWide(uint64 until, uint64 end);

    // ── until it is granted ──

    /// @notice Asks for access. RESEARCHER of the requester, whose institution is effective, not
    /// sanctioned and within quota.
    /// @return grantId Digest of the request.
    function request(AccessRequest calldata r) external returns (bytes32 grantId);
    function requestBySig(AccessRequest calldata r, address signer, bytes calldata signature)
        external
        returns (bytes32 grantId);

    /// @notice Replaces dates, mode, scope and terms. STEWARD of the owner while Requested,
    /// RESEARCHER of the requester while Countered.
    function counter(CounterOffer calldata c) external;
    function counterBySig(CounterOffer calldata c, address signer, bytes calldata signature)
        external;

    /// @notice Grants. STEWARD of the owner while Requested, RESEARCHER of the requester while
    /// Countered; until `answerBy`.
    /// @param document Digest of what the other side said last, the request (`grantId`) or a
    /// counter-offer: nobody accepts what changed under way.
    function accept(bytes32 grantId, bytes32 document) external;
    function acceptBySig(bytes32 grantId, bytes32 document, Auth calldata auth) external;

    /// @notice Refuses. STEWARD of the owner while Requested, until `answerBy`.
    /// @param reasonCode 1 purpose, 2 scope, 3 consent, 4 law, 5 capacity, 6 security, 7 approval
    /// lapsed, 8 other.
    /// @param reasonHash Commitment to the reason.
    function refuse(bytes32 grantId, uint8 reasonCode, bytes32 reasonHash) external;
    function refuseBySig(bytes32 grantId, uint8 reasonCode, bytes32 reasonHash, Auth calldata auth)
        external;

    /// @notice Takes the request back. RESEARCHER of the requester, before it is granted.
    function withdrawRequest(bytes32 grantId) external;
    function withdrawRequestBySig(bytes32 grantId, Auth calldata auth) external;

    /// @notice Ends a request that was not answered in time. Anyone. Names the owner if it was its
    /// turn, unless this contract was stopped within the 24 h before `answerBy`.
    function lapse(bytes32 grantId) external;

    // ── once it is granted ──

    /// @notice Ends a grant for good. STEWARD of the owner; also while stopped or suspended.
    /// @param reasonCode As in `refuse`.
    function revoke(bytes32 grantId, uint8 reasonCode, bytes32 reasonHash) external;
    function revokeBySig(bytes32 grantId, uint8 reasonCode, bytes32 reasonHash, Auth calldata auth)
        external;

    /// @notice Holds a grant. STEWARD of the owner.
    function suspend(bytes32 grantId) external;
    function suspendBySig(bytes32 grantId, Auth calldata auth) external;

    /// @notice Lets a held grant go on, before its end. STEWARD of the owner.
    function resume(bytes32 grantId) external;
    function resumeBySig(bytes32 grantId, Auth calldata auth) external;

    /// @notice Ends a grant that served its purpose. RESEARCHER of the requester.
    function complete(bytes32 grantId) external;
    function completeBySig(bytes32 grantId, Auth calldata auth) external;

    /// @notice Marks a grant whose term is over. Anyone.
    function expire(bytes32 grantId) external;

    // ── delegation ──

    /// @notice Names a member of the requester's staff who may use the grant, whatever their roles.
    /// ADMIN of the requester, while the grant is live. A delegate can delegate nothing.
    /// @param credential Live credential of the requester; naming it again moves `until`.
    /// @param until First second at which it no longer may, at most the grant's end.
    function delegate(bytes32 grantId, bytes16 credential, uint64 until) external;
    function delegateBySig(bytes32 grantId, bytes16 credential, uint64 until, Auth calldata auth)
        external;

    /// @notice Ends a delegation. ADMIN of the requester, or the credential itself.
    function endDelegation(bytes32 grantId, bytes16 credential) external;
    function endDelegationBySig(bytes32 grantId, bytes16 credential, Auth calldata auth) external;

    // ── views ──

    /// @notice Whether the grant is Granted, `validFrom ≤ t < validUntil`, and both institutions
    /// were effective at `t`. Finality is the edge's duty.
    function liveGrant(bytes32 grantId, uint64 t) external view returns (bool);

    /// @notice Whether `credential` may use the grant at `t` as a delegate: the grant is live, the
    /// delegation lasts, and the credential is live.
    function liveDelegation(bytes32 grantId, bytes16 credential, uint64 t)
        external
        view
        returns (bool);

    /// @notice First second at which a delegation no longer lasts; 0 if there is none.
    function delegationUntil(bytes32 grantId, bytes16 credential) external view returns (uint64);

    /// @notice A request and what became of it; status None if unknown.
    function grant(bytes32 grantId) external view returns (Grant memory);

    /// @notice Owner and requester of a grant, or what CareRegistry says about `id`; zeros if both
    /// do not know it.
    function partiesOf(bytes32 id) external view returns (bytes16 owner, bytes16 requester);

    /// @notice Fault established about a request, or what CareRegistry says about `id`: code
    /// (`libraries/Codes.sol`) and side, 1 owner, 2 requester; zeros if none.
    function faultOf(bytes32 id) external view returns (uint8 faultCode, uint8 side);
}
