// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title DatasetCatalog: what exists, under which conditions.
/// @notice The descriptor (HealthDCAT-AP) is served by the owner's edge; here stand its hash and
/// the conditions of use. Never a count of patients, and never a smaller cohort than promised.
interface IDatasetCatalog is IModule {
    /// @notice Live ⇄ Paused → Retired.
    enum Status {
        None,
        Live,
        Paused,
        Retired
    }

    /// @notice A dataset and its conditions.
    /// @param owner Institution that decides about it.
    /// @param duo Data Use Ontology bits: one permission and its modifiers (`libraries/Codes.sol`).
    /// @param minCohort Fewest distinct patients behind any answer, ≥ 11.
    /// @param tier Accreditation that a requester should have, 1…3.
    /// @param modes Bits: 1 deliver, 2 compute, 4 answer.
    /// @param status See `Status`.
    /// @param version 1 when published, plus 1 with each revision.
    /// @param categories Bits of what is inside; each one has at least 11 patients.
    /// @param descriptorHash keccak256 of the descriptor.
    struct Dataset {
        bytes16 owner;
        uint32 duo;
        uint16 minCohort;
        uint8 tier;
        uint8 modes;
        Status status;
        uint32 version;
        uint256 categories;
        bytes32 descriptorHash;
    }

    /// @notice What a use of a dataset must fit; status None if the dataset is unknown.
    struct Conditions {
        bytes16 owner;
        uint32 duo;
        uint8 modes;
        Status status;
    }

    /// @notice `owner` published a dataset under these conditions.
    event DatasetPublished(
        bytes16 indexed id,
        bytes16 indexed owner,
        bytes32 descriptorHash,
        uint32 duo,
        uint256 categories,
        uint8 tier,
        uint16 minCohort,
        uint8 modes
    );

    /// @notice The dataset has these conditions from `version` on.
    event DatasetRevised(
        bytes16 indexed id,
        uint32 version,
        bytes32 descriptorHash,
        uint32 duo,
        uint256 categories,
        uint8 tier,
        uint16 minCohort,
        uint8 modes
    );

    /// @notice The dataset is live, paused or retired.
    event DatasetStatusSet(bytes16 indexed id, Status status);

    /// @notice `duo` has not exactly one permission bit, or a bit without a meaning.
    error BadDuo(uint32 duo);

    /// @notice `categories` has a bit without a meaning.
    error BadCategories(uint256 categories);

    /// @notice Publishes a dataset. STEWARD of `owner`, which is on probation or active.
    /// @param id Drawn at random.
    function publish(
        bytes16 id,
        bytes16 owner,
        bytes32 descriptorHash,
        uint32 duo,
        uint256 categories,
        uint8 tier,
        uint16 minCohort,
        uint8 modes
    ) external;
    function publishBySig(
        bytes16 id,
        bytes16 owner,
        bytes32 descriptorHash,
        uint32 duo,
        uint256 categories,
        uint8 tier,
        uint16 minCohort,
        uint8 modes,
        Auth calldata auth
    ) external;

    /// @notice Replaces descriptor and conditions; grants that run are untouched. STEWARD of the
    /// owner. `minCohort` may rise, not fall; publish a new dataset for that.
    function revise(
        bytes16 id,
        bytes32 descriptorHash,
        uint32 duo,
        uint256 categories,
        uint8 tier,
        uint16 minCohort,
        uint8 modes
    ) external;
    function reviseBySig(
        bytes16 id,
        bytes32 descriptorHash,
        uint32 duo,
        uint256 categories,
        uint8 tier,
        uint16 minCohort,
        uint8 modes,
        Auth calldata auth
    ) external;

    /// @notice Pauses, continues or retires a dataset. STEWARD of the owner.
    /// @param status 1 Live, 2 Paused, 3 Retired.
    function setStatus(bytes16 id, uint8 status) external;
    function setStatusBySig(bytes16 id, uint8 status, Auth calldata auth) external;

    /// @notice A dataset; status None if unknown.
    function dataset(bytes16 id) external view returns (Dataset memory);

    /// @notice What a use of a dataset must fit, from one slot: for other modules.
    function conditions(bytes16 id) external view returns (Conditions memory);

    /// @notice Whether a use fits: the dataset is live, offers the mode, the purpose may be asked
    /// for, and the request's DUO bits stay within the dataset's.
    /// @param mode One mode bit.
    function compatible(bytes16 id, uint16 purpose, uint32 duo, uint8 mode)
        external
        view
        returns (bool);
}
