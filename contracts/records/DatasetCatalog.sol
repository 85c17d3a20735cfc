// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetCatalog} from "../interfaces/IDatasetCatalog.sol";
import {Codes} from "../libraries/Codes.sol";
import {GrantRules} from "../libraries/GrantRules.sol";
import {Module} from "../libraries/Module.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title DatasetCatalog, as specified in `interfaces/IDatasetCatalog.sol`.
contract DatasetCatalog is Module, IDatasetCatalog {
    // ── constants ──

    bytes32 private constant PUBLISH = keccak256(
        "Publish(bytes16 id,bytes16 owner,bytes32 descriptorHash,uint32 duo,uint256 categories,uint8 tier,uint16 minCohort,uint8 modes,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant REVISE = keccak256(
        "Revise(bytes16 id,bytes32 descriptorHash,uint32 duo,uint256 categories,uint8 tier,uint16 minCohort,uint8 modes,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant SET_STATUS =
        keccak256("SetStatus(bytes16 id,uint8 status,uint256 nonce,uint64 deadline)");

    // ── storage ──

    mapping(bytes16 id => Dataset) private _dataset;

    // ── constructor ──

    constructor(address authority, address directory)
        Module(authority, directory, "DatasetCatalog")
    {}

    // ── external ──

    /// @inheritdoc IDatasetCatalog
    function publish(
        bytes16 id,
        bytes16 owner,
        bytes32 descriptorHash,
        uint32 duo,
        uint256 categories,
        uint8 tier,
        uint16 minCohort,
        uint8 modes
    ) external {
        Dataset memory d = _terms(owner, descriptorHash, duo, categories, tier, minCohort, modes);
        _publish(msg.sender, id, d);
    }

    /// @inheritdoc IDatasetCatalog
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
    ) external {
        Dataset memory d = _terms(owner, descriptorHash, duo, categories, tier, minCohort, modes);
        _publish(_verifyAct(auth, PUBLISH, _words(8)), id, d);
    }

    /// @inheritdoc IDatasetCatalog
    function revise(
        bytes16 id,
        bytes32 descriptorHash,
        uint32 duo,
        uint256 categories,
        uint8 tier,
        uint16 minCohort,
        uint8 modes
    ) external {
        Dataset memory d = _terms(
            _dataset[id].owner, descriptorHash, duo, categories, tier, minCohort, modes
        );
        _revise(msg.sender, id, d);
    }

    /// @inheritdoc IDatasetCatalog
    function reviseBySig(
        bytes16 id,
        bytes32 descriptorHash,
        uint32 duo,
        uint256 categories,
        uint8 tier,
        uint16 minCohort,
        uint8 modes,
        Auth calldata auth
    ) external {
        Dataset memory d = _terms(
            _dataset[id].owner, descriptorHash, duo, categories, tier, minCohort, modes
        );
        _revise(_verifyAct(auth, REVISE, _words(7)), id, d);
    }

    /// @inheritdoc IDatasetCatalog
    function setStatus(bytes16 id, uint8 status) external {
        _setStatus(msg.sender, id, status);
    }

    /// @inheritdoc IDatasetCatalog
    function setStatusBySig(bytes16 id, uint8 status, Auth calldata auth) external {
        _setStatus(_verifyAct(auth, SET_STATUS, _words(2)), id, status);
    }

    // ── views ──

    /// @inheritdoc IDatasetCatalog
    function dataset(bytes16 id) external view returns (Dataset memory) {
        return _dataset[id];
    }

    /// @inheritdoc IDatasetCatalog
    function conditions(bytes16 id) external view returns (Conditions memory) {
        Dataset storage d = _dataset[id];
        return Conditions(d.owner, d.duo, d.modes, d.status);
    }

    /// @inheritdoc IDatasetCatalog
    function compatible(bytes16 id, uint16 purpose, uint32 duo, uint8 mode)
        external
        view
        returns (bool)
    {
        Dataset storage d = _dataset[id];
        return d.status == Status.Live && GrantRules.modeOffered(d.modes, mode)
            && GrantRules.isPurpose(purpose) && GrantRules.duoCovers(d.duo, duo);
    }

    // ── internal ──

    function _publish(address signer, bytes16 id, Dataset memory d) private {
        _requireActor(signer, d.owner, Roles.STEWARD);
        _requireOpen(d.owner);
        if (id == 0 || _dataset[id].status != Status.None) revert Exists(id);
        _dataset[id] = d;
        emit DatasetPublished(
            id, d.owner, d.descriptorHash, d.duo, d.categories, d.tier, d.minCohort, d.modes
        );
    }

    function _revise(address signer, bytes16 id, Dataset memory d) private {
        Dataset storage old = _requireKnown(id);
        _requireActor(signer, old.owner, Roles.STEWARD);
        if (old.status == Status.Retired) {
            revert WrongState(id, uint8(Status.Retired), uint8(Status.Live));
        }
        _requireBetween(d.minCohort, old.minCohort, type(uint16).max);
        d.version = old.version + 1;
        d.status = old.status;
        _dataset[id] = d;
        emit DatasetRevised(
            id, d.version, d.descriptorHash, d.duo, d.categories, d.tier, d.minCohort, d.modes
        );
    }

    function _setStatus(address signer, bytes16 id, uint8 status) private {
        Dataset storage d = _requireKnown(id);
        _requireActor(signer, d.owner, Roles.STEWARD);
        _requireBetween(status, uint8(Status.Live), uint8(Status.Retired));
        // Paused is reached from Live; Live and Retired are reached from Paused.
        Status want = Status(status) == Status.Paused ? Status.Live : Status.Paused;
        if (d.status != want) revert WrongState(id, uint8(d.status), uint8(want));
        d.status = Status(status);
        emit DatasetStatusSet(id, d.status);
    }

    /// @dev The dataset as published, after checking its terms.
    function _terms(
        bytes16 owner,
        bytes32 descriptorHash,
        uint32 duo,
        uint256 categories,
        uint8 tier,
        uint16 minCohort,
        uint8 modes
    ) private pure returns (Dataset memory d) {
        if (!GrantRules.isDuo(duo)) revert BadDuo(duo);
        if (categories & ~Codes.CATEGORIES != 0) revert BadCategories(categories);
        _requireBetween(tier, Codes.UNACCREDITED, Codes.SPONSORED);
        _requireBetween(minCohort, Codes.K, type(uint16).max);
        _requireBetween(modes, 1, Codes.ALL_MODES);
        d.owner = owner;
        d.duo = duo;
        d.minCohort = minCohort;
        d.tier = tier;
        d.modes = modes;
        d.status = Status.Live;
        d.version = 1;
        d.categories = categories;
        d.descriptorHash = descriptorHash;
    }

    function _requireKnown(bytes16 id) private view returns (Dataset storage d) {
        d = _dataset[id];
        if (d.status == Status.None) revert Unknown(id);
    }
}
