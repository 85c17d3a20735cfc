// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAlgorithmRegistry} from "../interfaces/IAlgorithmRegistry.sol";
import {IIncentives} from "../interfaces/IIncentives.sol";
import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title AlgorithmRegistry, as specified in `interfaces/IAlgorithmRegistry.sol`.
// States, kinds and numbers are compared with one of their values; no balance is weighed.
// slither-disable-start incorrect-equality
contract AlgorithmRegistry is Module, IAlgorithmRegistry {
    // ── types ──

    /// @dev `IAlgorithmRegistry.Algorithm`, packed into four slots.
    struct Stored {
        bytes16 author;
        Status status;
        uint8 approvals;
        uint8 rejections;
        uint40 submittedAt;
        bytes32 moduleHash;
        bytes32 sourceHash;
        bytes32 schemaHash;
    }

    // ── constants ──

    bytes32 private constant ALGORITHM_SUBMISSION = keccak256(
        "AlgorithmSubmission(bytes16 author,bytes32 moduleHash,bytes32 sourceHash,bytes32 schemaHash,bytes32 salt)"
    );
    bytes32 private constant REVIEW = keccak256(
        "Review(bytes32 algId,bytes16 inst,bool approved,bytes32 reportHash,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant WITHDRAW_ALGORITHM =
        keccak256("WithdrawAlgorithm(bytes32 algId,uint256 nonce,uint64 deadline)");
    bytes32 private constant ALLOW = keccak256(
        "Allow(bytes16 dataset,bytes32 algId,uint64 until,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant DISALLOW =
        keccak256("Disallow(bytes16 dataset,bytes32 algId,uint256 nonce,uint64 deadline)");

    /// @dev Approvals that make an algorithm Reviewed, rejections that make it Rejected.
    uint8 private constant QUORUM = 2;

    /// @dev Kind ALGORITHM_REVIEW of `IIncentives.accrue`.
    uint8 private constant ACCRUE_REVIEW = 5;

    // ── storage ──

    mapping(bytes32 algId => Stored) private _algorithms;
    mapping(bytes32 algId => mapping(bytes16 inst => bool)) private _reviewed;
    mapping(bytes16 dataset => mapping(bytes32 algId => uint64 until)) private _allowed;

    // ── constructor ──

    constructor(address authority, address directory)
        Module(authority, directory, "AlgorithmRegistry")
    {}

    // ── what may run at all ──

    /// @inheritdoc IAlgorithmRegistry
    function submit(AlgorithmSubmission calldata a) external returns (bytes32 algId) {
        algId = _digestOf(a);
        _submit(msg.sender, algId, a);
    }

    /// @inheritdoc IAlgorithmRegistry
    function submitBySig(AlgorithmSubmission calldata a, address signer, bytes calldata signature)
        external
        returns (bytes32 algId)
    {
        algId = _digestOf(a);
        _verifyDocument(algId, signer, signature);
        _submit(signer, algId, a);
    }

    /// @inheritdoc IAlgorithmRegistry
    function review(bytes32 algId, bytes16 inst, bool approved, bytes32 reportHash) external {
        _review(msg.sender, algId, inst, approved, reportHash);
    }

    /// @inheritdoc IAlgorithmRegistry
    function reviewBySig(
        bytes32 algId,
        bytes16 inst,
        bool approved,
        bytes32 reportHash,
        Auth calldata auth
    ) external {
        _review(_verifyAct(auth, REVIEW, _words(4)), algId, inst, approved, reportHash);
    }

    /// @inheritdoc IAlgorithmRegistry
    function withdrawAlgorithm(bytes32 algId) external {
        _withdraw(msg.sender, algId);
    }

    /// @inheritdoc IAlgorithmRegistry
    function withdrawAlgorithmBySig(bytes32 algId, Auth calldata auth) external {
        _withdraw(_verifyAct(auth, WITHDRAW_ALGORITHM, _words(1)), algId);
    }

    // ── where it may run ──

    /// @inheritdoc IAlgorithmRegistry
    function allow(bytes16 dataset, bytes32 algId, uint64 until) external {
        _allow(msg.sender, dataset, algId, until);
    }

    /// @inheritdoc IAlgorithmRegistry
    function allowBySig(bytes16 dataset, bytes32 algId, uint64 until, Auth calldata auth) external {
        _allow(_verifyAct(auth, ALLOW, _words(3)), dataset, algId, until);
    }

    /// @inheritdoc IAlgorithmRegistry
    function disallow(bytes16 dataset, bytes32 algId) external {
        _disallow(msg.sender, dataset, algId);
    }

    /// @inheritdoc IAlgorithmRegistry
    function disallowBySig(bytes16 dataset, bytes32 algId, Auth calldata auth) external {
        _disallow(_verifyAct(auth, DISALLOW, _words(2)), dataset, algId);
    }

    // ── views ──

    /// @inheritdoc IAlgorithmRegistry
    function isAllowed(bytes16 dataset, bytes32 algId, uint64 t) external view returns (bool) {
        return _statusOf(algId) == Status.Reviewed && t < _allowed[dataset][algId];
    }

    /// @inheritdoc IAlgorithmRegistry
    function isReviewed(bytes32 algId) external view returns (bool) {
        return _statusOf(algId) == Status.Reviewed;
    }

    /// @inheritdoc IAlgorithmRegistry
    function algorithm(bytes32 algId) external view returns (Algorithm memory) {
        Stored memory a = _algorithms[algId];
        return Algorithm({
            author: a.author,
            status: _statusOf(algId),
            approvals: a.approvals,
            rejections: a.rejections,
            submittedAt: a.submittedAt,
            moduleHash: a.moduleHash,
            sourceHash: a.sourceHash,
            schemaHash: a.schemaHash
        });
    }

    /// @inheritdoc IAlgorithmRegistry
    function allowedUntil(bytes16 dataset, bytes32 algId) external view returns (uint64) {
        return _allowed[dataset][algId];
    }

    /// @inheritdoc IAlgorithmRegistry
    function hasReviewed(bytes32 algId, bytes16 inst) external view returns (bool) {
        return _reviewed[algId][inst];
    }

    // ── acts ──

    function _submit(address signer, bytes32 algId, AlgorithmSubmission calldata a) private {
        _requireActor(signer, a.author, Roles.STEWARD);
        _requireOpen(a.author);
        Stored storage stored = _algorithms[algId];
        if (stored.status != Status.None) revert Exists(algId);
        (stored.author, stored.status) = (a.author, Status.Submitted);
        stored.submittedAt = _packed(_now());
        stored.moduleHash = a.moduleHash;
        stored.sourceHash = a.sourceHash;
        stored.schemaHash = a.schemaHash;

        emit AlgorithmSubmitted(algId, a);
    }

    function _review(address signer, bytes32 algId, bytes16 inst, bool approved, bytes32 reportHash)
        private
    {
        _requireActor(signer, inst, Roles.REVIEWER);
        _requireOpen(inst);
        _requireMember(inst);
        Stored storage a = _known(algId);
        // Approvals are asked for until the second; rejections count as long as it could run.
        bool open = a.status == Status.Submitted || (a.status == Status.Reviewed && !approved);
        if (!open) revert WrongState(algId, uint8(a.status), uint8(Status.Submitted));
        _requireUnrelated(inst, a.author);
        if (_reviewed[algId][inst]) revert Exists(inst);

        _reviewed[algId][inst] = true;
        // Both stop at `QUORUM`, where the status changes.
        if (approved) {
            if (++a.approvals == QUORUM) a.status = Status.Reviewed;
        } else if (++a.rejections == QUORUM) {
            a.status = Status.Rejected;
        }

        emit AlgorithmReviewed(algId, inst, approved, reportHash, a.status);
        _incentives().accrue(inst, a.author, ACCRUE_REVIEW, 0, 0);
    }

    function _withdraw(address signer, bytes32 algId) private {
        Stored storage a = _known(algId);
        _requireActor(signer, a.author, Roles.STEWARD);
        if (a.status != Status.Reviewed && a.status != Status.Submitted) {
            revert WrongState(algId, uint8(a.status), uint8(Status.Submitted));
        }
        a.status = Status.Withdrawn;

        emit AlgorithmWithdrawn(algId);
    }

    function _allow(address signer, bytes16 dataset, bytes32 algId, uint64 until) private {
        bytes16 owner = _ownerOf(dataset);
        _requireActor(signer, owner, Roles.STEWARD);
        _requireOpen(owner);
        Status status = _statusOf(algId);
        if (status == Status.None) revert Unknown(algId);
        if (status != Status.Reviewed) {
            revert WrongState(algId, uint8(status), uint8(Status.Reviewed));
        }
        _requireBetween(until, uint256(_now()) + 1, _now() + _days(Periods.ALLOWANCE_DAYS));
        _allowed[dataset][algId] = until;

        emit AlgorithmAllowed(dataset, algId, until);
    }

    function _disallow(address signer, bytes16 dataset, bytes32 algId) private {
        _requireActor(signer, _ownerOf(dataset), Roles.STEWARD);
        if (_allowed[dataset][algId] == 0) revert Unknown(algId);
        _allowed[dataset][algId] = 0;

        emit AlgorithmDisallowed(dataset, algId);
    }

    // ── checks ──

    /// @dev Id of a submission: its EIP-712 digest.
    function _digestOf(AlgorithmSubmission calldata a) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(ALGORITHM_SUBMISSION, a)));
    }

    /// @dev A submitted algorithm, in any status. Built-ins have no author and no review.
    function _known(bytes32 algId) private view returns (Stored storage a) {
        a = _algorithms[algId];
        if (a.status == Status.None) revert Unknown(algId);
    }

    /// @dev Reviewers are full members: an institution on probation does not judge others.
    function _requireMember(bytes16 inst) private view {
        IInstitutionRegistry.Status status = _institutions().standing(inst).status;
        if (status != IInstitutionRegistry.Status.Active) revert NotActive(inst, uint8(status));
    }

    function _requireUnrelated(bytes16 inst, bytes16 author) private view {
        IInstitutionRegistry institutions = _institutions();
        uint32 group = institutions.standing(author).group;
        bool related = group != 0 && institutions.standing(inst).group == group;
        if (inst == author || related) revert SameGroup(group);
    }

    function _ownerOf(bytes16 dataset) private view returns (bytes16 owner) {
        owner = _catalog().conditions(dataset).owner;
        if (owner == 0) revert Unknown(dataset);
    }

    function _statusOf(bytes32 algId) private view returns (Status) {
        Status status = _algorithms[algId].status;
        return status == Status.None && _isBuiltin(algId) ? Status.Reviewed : status;
    }

    /// @dev The operations that every engine has (protocol.md section 11).
    function _isBuiltin(bytes32 algId) private pure returns (bool) {
        return algId == keccak256("msnet/builtin/count/1")
            || algId == keccak256("msnet/builtin/sum/1")
            || algId == keccak256("msnet/builtin/mean/1")
            || algId == keccak256("msnet/builtin/variance/1")
            || algId == keccak256("msnet/builtin/histogram/1")
            || algId == keccak256("msnet/builtin/crosstab/1")
            || algId == keccak256("msnet/builtin/quantile/1")
            || algId == keccak256("msnet/builtin/km/1")
            || algId == keccak256("msnet/builtin/linreg/1")
            || algId == keccak256("msnet/builtin/logreg/1")
            || algId == keccak256("msnet/builtin/gradient/1");
    }
}
// slither-disable-end incorrect-equality
