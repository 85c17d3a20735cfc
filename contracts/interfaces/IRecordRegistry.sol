// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title RecordRegistry: anchors of record batches.
/// @notice An institution's batches form a chain, 1, 2, 3, …, each naming the root before it. A
/// batch is the root of 2^sizeLog2 leaves, padded with random dummies, so that volume shows as a
/// power of two only. No record's handle or hash stands here alone, and nothing is overwritten.
interface IRecordRegistry is IModule {
    /// @notice One anchored batch; root 0 if there is none.
    /// @param root Root of the tree (`libraries/MerkleBatch.sol`).
    /// @param sizeLog2 Its depth, 4…16.
    /// @param schema 1 FHIR R4 4.0.1, 2 OMOP CDM 5.4.
    /// @param anchoredAt Seconds since 1970.
    struct Batch {
        bytes32 root;
        uint8 sizeLog2;
        uint16 schema;
        uint64 anchoredAt;
    }

    /// @notice An institution's last batch; seq 0 if there is none.
    /// @param seq Its number, counted from 1.
    /// @param anchoredAt Seconds since 1970.
    /// @param root Its root.
    struct Head {
        uint64 seq;
        uint64 anchoredAt;
        bytes32 root;
    }

    /// @notice Batch `seq` of `inst` is anchored: `root` follows `prevRoot`.
    event BatchAnchored(
        bytes16 indexed inst,
        uint64 indexed seq,
        bytes32 indexed root,
        bytes32 prevRoot,
        uint8 sizeLog2,
        uint16 schema,
        uint64 anchoredAt
    );

    /// @notice The record at `index` of batch `seq` is withdrawn.
    event RecordWithdrawn(bytes16 indexed inst, uint64 indexed seq, uint32 index, uint8 reasonCode);

    /// @notice The record at `index` of batch `seq` was withdrawn before.
    error AlreadyWithdrawn(bytes16 inst, uint64 seq, uint32 index);

    /// @notice Anchors the next batch. RELAYER of `inst`, which is on probation or active.
    /// @param seq The last number plus 1.
    /// @param prevRoot The last root; 0 before the first.
    /// @param root Root of the new batch, not 0.
    /// @param sizeLog2 Depth, 4…16.
    /// @param schema See `Batch`.
    function anchor(
        bytes16 inst,
        uint64 seq,
        bytes32 prevRoot,
        bytes32 root,
        uint8 sizeLog2,
        uint16 schema
    ) external;
    function anchorBySig(
        bytes16 inst,
        uint64 seq,
        bytes32 prevRoot,
        bytes32 root,
        uint8 sizeLog2,
        uint16 schema,
        Auth calldata auth
    ) external;

    /// @notice Marks a record as withdrawn, for good. STEWARD or RELAYER of `inst`.
    /// @param leaf The leaf at `index`, as anchored.
    /// @param reasonCode 1 purpose … 8 other (`libraries/Codes.sol`).
    /// @param proof Siblings of the leaf, lowest first.
    function withdraw(
        bytes16 inst,
        uint64 seq,
        uint32 index,
        bytes32 leaf,
        uint8 reasonCode,
        bytes32[] calldata proof
    ) external;
    function withdrawBySig(
        bytes16 inst,
        uint64 seq,
        uint32 index,
        bytes32 leaf,
        uint8 reasonCode,
        bytes32[] calldata proof,
        Auth calldata auth
    ) external;

    /// @notice Whether `leaf` is the leaf at `index` of batch `seq`. Withdrawal does not change it.
    function verify(bytes16 inst, uint64 seq, bytes32 leaf, uint32 index, bytes32[] calldata proof)
        external
        view
        returns (bool);

    /// @notice Whether the record at `index` of batch `seq` was withdrawn.
    function isWithdrawn(bytes16 inst, uint64 seq, uint32 index) external view returns (bool);

    /// @notice Batch `seq` of an institution.
    function batch(bytes16 inst, uint64 seq) external view returns (Batch memory);

    /// @notice The last batch of an institution.
    function head(bytes16 inst) external view returns (Head memory);
}
