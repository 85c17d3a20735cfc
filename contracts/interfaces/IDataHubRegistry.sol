// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title DataHubRegistry: patients' own hubs, and the services that ask them.
/// @notice One person opens one hub id (a *facet*) for each service, each with a fresh account.
/// Nothing here joins two facets: no content of a policy, no common account, and no transaction
/// that acts for two of them.
/// @dev A hub is a subject of its own: `KeyRegistry.subjectOf(account)` is the hub's id, and only
/// the hub keeps its keys. `InstitutionRegistry` knows nothing of hubs.
interface IDataHubRegistry is IModule {
    /// @notice Open → Closed. A closed hub never opens again.
    enum HubStatus {
        None,
        Open,
        Closed
    }

    /// @notice Offered → Retired.
    enum OfferStatus {
        None,
        Offered,
        Retired
    }

    /// @notice Document: a person opens a hub. Signed by an OFFICER of the sponsor and, over the
    /// same digest, by `account`.
    /// @param hub Drawn at random by the person.
    /// @param sponsor Institution that looked at the person's papers and answers for the hub.
    /// @param account First account that speaks for the hub; new, used for this hub only.
    /// @param policyCommit Commitment to the hub's policy, which stays at home.
    /// @param salt Random, so that no two openings have the same digest.
    struct HubOpening {
        bytes16 hub;
        bytes16 sponsor;
        address account;
        bytes32 policyCommit;
        bytes32 salt;
    }

    /// @notice Document: a service says what it does with data, under which terms. Signed by a
    /// STEWARD of the service. Its digest is the offer's id.
    /// @param service Institution that offers.
    /// @param purpose HL7 PurposeOfUse 1…12 or EHDS purpose 16…20 (`libraries/Codes.sol`).
    /// @param sensitivity What it needs: 1 low, 2 medium, 3 high.
    /// @param algId Algorithm in AlgorithmRegistry.
    /// @param termsHash keccak256 of the terms of use.
    /// @param validUntil First second at which it is no longer offered, at most 730 d ahead.
    /// @param salt Random, so that no two offers have the same digest.
    struct ServiceOffer {
        bytes16 service;
        uint16 purpose;
        uint8 sensitivity;
        bytes32 algId;
        bytes32 termsHash;
        uint64 validUntil;
        bytes32 salt;
    }

    /// @notice What is kept about a hub. Times in seconds since 1970.
    /// @param closedAt 0 while open.
    struct Hub {
        bytes16 sponsor;
        HubStatus status;
        uint64 openedAt;
        uint64 closedAt;
        bytes32 policyCommit;
    }

    /// @notice What is kept about an offer.
    /// @param status Offered, also after `validUntil`, until it is retired.
    struct Offer {
        bytes16 service;
        uint16 purpose;
        uint8 sensitivity;
        OfferStatus status;
        uint64 validUntil;
        bytes32 algId;
        bytes32 termsHash;
    }

    /// @notice `hub` is open; `account` speaks for it.
    event HubOpened(
        bytes16 indexed hub, bytes16 indexed sponsor, address indexed account, bytes32 policyCommit
    );

    /// @notice `hub` decides by another policy from now on.
    event HubPolicySet(bytes16 indexed hub, bytes32 policyCommit);

    /// @notice `hub` is closed for good.
    event HubClosed(bytes16 indexed hub);

    /// @notice `hub` may be taken over by `newSponsor`; 0 takes an earlier permission back.
    event HubMoveAllowed(bytes16 indexed hub, bytes16 indexed newSponsor);

    /// @notice `newSponsor` answers for `hub` now.
    event HubMoved(bytes16 indexed hub, bytes16 indexed newSponsor);

    /// @notice `service` offers this until `until`.
    event OfferPublished(
        bytes32 indexed offerId,
        bytes16 indexed service,
        uint16 purpose,
        uint8 sensitivity,
        bytes32 algId,
        bytes32 termsHash,
        uint64 until
    );

    /// @notice The offer is withdrawn for good.
    event OfferRetired(bytes32 indexed offerId);

    /// @notice One transaction acted for two hubs, which would show that they belong together.
    error TwoFacets(bytes16 first, bytes16 second);

    /// @notice `hub` did not allow `newSponsor` to take it over.
    error MoveNotAllowed(bytes16 hub, bytes16 newSponsor);

    /// @notice Nobody may ask for `purpose`.
    error ForbiddenPurpose(uint16 purpose);

    // ── hubs ──

    /// @notice Opens a hub. OFFICER of the sponsor, which is on probation or active.
    /// @param accountSig Signature of the same document by `opening.account`.
    function openHub(HubOpening calldata opening, bytes calldata accountSig) external;
    function openHubBySig(
        HubOpening calldata opening,
        bytes calldata accountSig,
        address signer,
        bytes calldata signature
    ) external;

    /// @notice Commits to another policy. An account of the hub, while it is open.
    function setPolicy(bytes16 id, bytes32 policyCommit) external;
    function setPolicyBySig(bytes16 id, bytes32 policyCommit, Auth calldata auth) external;

    /// @notice Closes a hub for good. An account of the hub, while it is open.
    function closeHub(bytes16 id) external;
    function closeHubBySig(bytes16 id, Auth calldata auth) external;

    /// @notice Allows one other institution to take the hub over. An account of the hub, while it
    /// is open.
    /// @param newSponsor Institution, not the present sponsor; 0 takes the permission back.
    function allowMove(bytes16 id, bytes16 newSponsor) external;
    function allowMoveBySig(bytes16 id, bytes16 newSponsor, Auth calldata auth) external;

    /// @notice Takes a hub over that allowed it. OFFICER of the new sponsor, which is on probation
    /// or active.
    function moveHub(bytes16 id, bytes16 newSponsor) external;
    function moveHubBySig(bytes16 id, bytes16 newSponsor, Auth calldata auth) external;

    // ── services ──

    /// @notice Publishes an offer. STEWARD of the service, which is on probation or active.
    /// @return offerId Digest of the offer.
    function publishOffer(ServiceOffer calldata offer) external returns (bytes32 offerId);
    function publishOfferBySig(
        ServiceOffer calldata offer,
        address signer,
        bytes calldata signature
    ) external returns (bytes32 offerId);

    /// @notice Withdraws an offer for good. STEWARD of the service.
    function retireOffer(bytes32 offerId) external;
    function retireOfferBySig(bytes32 offerId, Auth calldata auth) external;

    // ── views ──

    /// @notice A hub; status None if unknown.
    function hub(bytes16 id) external view returns (Hub memory);

    /// @notice An offer; status None if unknown.
    function serviceOffer(bytes32 offerId) external view returns (Offer memory);

    /// @notice Institution that a hub allowed to take it over; 0 if none.
    function moveAllowed(bytes16 id) external view returns (bytes16);

    /// @notice Whether `signer` speaks for the hub, and the hub is open.
    function speaksFor(address signer, bytes16 id) external view returns (bool);

    /// @notice Whether the offer stands at `t`: not retired, and `t < validUntil`.
    function isOffered(bytes32 offerId, uint64 t) external view returns (bool);
}
