// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title AlgorithmRegistry: what may run, and on which dataset.
/// @notice Nothing runs by default. An algorithm needs two approvals from institutions outside its
/// author's group, then the leave of each dataset's owner, and two rejections end it at any time.
/// The built-in operations count as reviewed, but need the owner's leave like any other; their id
/// is `keccak256("msnet/builtin/<op>/1")`.
interface IAlgorithmRegistry is IModule {
    /// @notice Submitted → Reviewed; Submitted, Reviewed → Rejected | Withdrawn.
    enum Status {
        None,
        Submitted,
        Reviewed,
        Rejected,
        Withdrawn
    }

    /// @notice Document: an author offers a program. Its digest is the algorithm's id.
    /// @param author Institution that answers for it.
    /// @param moduleHash keccak256 of the WebAssembly module.
    /// @param sourceHash keccak256 of the source archive that reviewers build it from.
    /// @param schemaHash keccak256 of what it reads and returns.
    /// @param salt Random, so that no two submissions have the same digest.
    struct AlgorithmSubmission {
        bytes16 author;
        bytes32 moduleHash;
        bytes32 sourceHash;
        bytes32 schemaHash;
        bytes32 salt;
    }

    /// @notice What is kept about an algorithm; the hashes as in the submission.
    /// @param approvals Institutions that approved it, at most 2.
    /// @param rejections Institutions that rejected it, at most 2.
    /// @param submittedAt Seconds since 1970; 0 for a built-in.
    struct Algorithm {
        bytes16 author;
        Status status;
        uint8 approvals;
        uint8 rejections;
        uint64 submittedAt;
        bytes32 moduleHash;
        bytes32 sourceHash;
        bytes32 schemaHash;
    }

    event AlgorithmSubmitted(bytes32 indexed algId, AlgorithmSubmission a);

    /// @notice `inst` judged the algorithm, whose status is `status` from now on.
    /// @param reportHash Commitment to the reviewer's report.
    event AlgorithmReviewed(
        bytes32 indexed algId,
        bytes16 indexed inst,
        bool approved,
        bytes32 reportHash,
        Status status
    );

    event AlgorithmWithdrawn(bytes32 indexed algId);

    /// @notice The dataset's owner lets the algorithm run on it before `until`.
    event AlgorithmAllowed(bytes16 indexed dataset, bytes32 indexed algId, uint64 until);

    event AlgorithmDisallowed(bytes16 indexed dataset, bytes32 indexed algId);

    /// @notice Reviewer and author are the same institution or of the same group.
    error SameGroup(uint32 group);

    // ── what may run at all ──

    /// @notice Offers an algorithm for review. STEWARD of the author, which is on probation or
    /// active.
    function submit(AlgorithmSubmission calldata a) external returns (bytes32 algId);
    function submitBySig(AlgorithmSubmission calldata a, address signer, bytes calldata signature)
        external
        returns (bytes32 algId);

    /// @notice Approves or rejects an algorithm, once an institution. REVIEWER of an active
    /// institution that is neither the author nor of its group. The second approval makes it
    /// Reviewed; the second rejection makes it Rejected, also after that. Earns the reviewer
    /// credits.
    function review(bytes32 algId, bytes16 inst, bool approved, bytes32 reportHash) external;
    function reviewBySig(
        bytes32 algId,
        bytes16 inst,
        bool approved,
        bytes32 reportHash,
        Auth calldata auth
    ) external;

    /// @notice Takes an algorithm back for good. STEWARD of the author.
    function withdrawAlgorithm(bytes32 algId) external;
    function withdrawAlgorithmBySig(bytes32 algId, Auth calldata auth) external;

    // ── where it may run ──

    /// @notice Lets a reviewed algorithm run on a dataset. STEWARD of the dataset's owner, which is
    /// on probation or active.
    /// @param until End of the leave, at most 365 d from now; the leave before it is replaced.
    function allow(bytes16 dataset, bytes32 algId, uint64 until) external;
    function allowBySig(bytes16 dataset, bytes32 algId, uint64 until, Auth calldata auth) external;

    /// @notice Ends the leave at once. STEWARD of the dataset's owner.
    function disallow(bytes16 dataset, bytes32 algId) external;
    function disallowBySig(bytes16 dataset, bytes32 algId, Auth calldata auth) external;

    // ── views ──

    /// @notice Whether the algorithm is reviewed now and its leave on the dataset reaches past `t`.
    function isAllowed(bytes16 dataset, bytes32 algId, uint64 t) external view returns (bool);

    /// @notice Whether an algorithm is reviewed now, as the built-ins always are.
    function isReviewed(bytes32 algId) external view returns (bool);

    /// @notice An algorithm; status None if unknown.
    function algorithm(bytes32 algId) external view returns (Algorithm memory);

    /// @notice End of an algorithm's leave on a dataset; 0 if there is none.
    function allowedUntil(bytes16 dataset, bytes32 algId) external view returns (uint64);

    /// @notice Whether `inst` has judged the algorithm.
    function hasReviewed(bytes32 algId, bytes16 inst) external view returns (bool);
}
