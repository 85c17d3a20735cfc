// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";

import {IRecordRegistry} from "../interfaces/IRecordRegistry.sol";
import {MerkleBatch} from "../libraries/MerkleBatch.sol";
import {Module} from "../libraries/Module.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title RecordRegistry, as specified in `interfaces/IRecordRegistry.sol`.
contract RecordRegistry is Module, IRecordRegistry {
    using BitMaps for BitMaps.BitMap;

    // ── constants ──

    bytes32 private constant ANCHOR = keccak256(
        "Anchor(bytes16 inst,uint64 seq,bytes32 prevRoot,bytes32 root,uint8 sizeLog2,uint16 schema,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant WITHDRAW = keccak256(
        "Withdraw(bytes16 inst,uint64 seq,uint32 index,bytes32 leaf,uint8 reasonCode,bytes32[] proof,uint256 nonce,uint64 deadline)"
    );

    /// @dev 16 leaves at least, so that a small day looks like any other.
    uint8 private constant SIZE_LOG2_MIN = 4;
    uint8 private constant SIZE_LOG2_MAX = 16;

    // ── storage ──

    /// @dev From 1 on without a gap, each with a root; so the last one is found, not noted. Batch 0
    /// is empty, so that the first one follows root 0.
    mapping(bytes16 inst => mapping(uint64 seq => Batch)) private _batch;

    mapping(bytes16 inst => mapping(uint64 seq => BitMaps.BitMap)) private _withdrawn;

    // ── constructor ──

    constructor(address authority, address directory)
        Module(authority, directory, "RecordRegistry")
    {}

    // ── external ──

    /// @inheritdoc IRecordRegistry
    function anchor(
        bytes16 inst,
        uint64 seq,
        bytes32 prevRoot,
        bytes32 root,
        uint8 sizeLog2,
        uint16 schema
    ) external {
        _requireActor(msg.sender, inst, Roles.RELAYER);
        _anchor(inst, seq, prevRoot, Batch(root, sizeLog2, schema, _now()));
    }

    /// @inheritdoc IRecordRegistry
    function anchorBySig(
        bytes16 inst,
        uint64 seq,
        bytes32 prevRoot,
        bytes32 root,
        uint8 sizeLog2,
        uint16 schema,
        Auth calldata auth
    ) external {
        _requireActor(_verifyAct(auth, ANCHOR, _words(6)), inst, Roles.RELAYER);
        _anchor(inst, seq, prevRoot, Batch(root, sizeLog2, schema, _now()));
    }

    /// @inheritdoc IRecordRegistry
    function withdraw(
        bytes16 inst,
        uint64 seq,
        uint32 index,
        bytes32 leaf,
        uint8 reasonCode,
        bytes32[] calldata proof
    ) external {
        _requireActor(msg.sender, inst, Roles.STEWARD | Roles.RELAYER);
        _requireProof(inst, seq, index, leaf, proof);
        _withdraw(inst, seq, index, reasonCode);
    }

    /// @inheritdoc IRecordRegistry
    function withdrawBySig(
        bytes16 inst,
        uint64 seq,
        uint32 index,
        bytes32 leaf,
        uint8 reasonCode,
        bytes32[] calldata proof,
        Auth calldata auth
    ) external {
        // The proof's word in calldata is an offset; EIP-712 wants the hash of its content there.
        bytes memory parameters = bytes.concat(_words(5), keccak256(abi.encodePacked(proof)));
        address signer = _verifyAct(auth, WITHDRAW, parameters);
        _requireActor(signer, inst, Roles.STEWARD | Roles.RELAYER);
        _requireProof(inst, seq, index, leaf, proof);
        _withdraw(inst, seq, index, reasonCode);
    }

    // ── views ──

    /// @inheritdoc IRecordRegistry
    function verify(bytes16 inst, uint64 seq, bytes32 leaf, uint32 index, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        Batch storage b = _batch[inst][seq];
        return MerkleBatch.verify(b.root, b.sizeLog2, leaf, index, proof);
    }

    /// @inheritdoc IRecordRegistry
    function isWithdrawn(bytes16 inst, uint64 seq, uint32 index) external view returns (bool) {
        return _withdrawn[inst][seq].get(index);
    }

    /// @inheritdoc IRecordRegistry
    function batch(bytes16 inst, uint64 seq) external view returns (Batch memory) {
        return _batch[inst][seq];
    }

    /// @inheritdoc IRecordRegistry
    function head(bytes16 inst) external view returns (Head memory) {
        uint64 seq = _lastSeq(inst);
        Batch storage last = _batch[inst][seq];
        return Head(seq, last.anchoredAt, last.root);
    }

    // ── internal ──

    function _anchor(bytes16 inst, uint64 seq, bytes32 prevRoot, Batch memory b) private {
        _requireOpen(inst);
        bytes32 lastRoot = _requireNext(inst, seq);
        _requireHash(prevRoot, lastRoot);
        _requireBetween(uint256(b.root), 1, type(uint256).max);
        _requireBetween(b.sizeLog2, SIZE_LOG2_MIN, SIZE_LOG2_MAX);

        _batch[inst][seq] = b;
        emit BatchAnchored(inst, seq, b.root, prevRoot, b.sizeLog2, b.schema, b.anchoredAt);
    }

    /// @dev Checks that `seq` is the first free number, and returns the root before it.
    function _requireNext(bytes16 inst, uint64 seq) private view returns (bytes32 lastRoot) {
        if (seq > 1) lastRoot = _batch[inst][seq - 1].root;
        bool next = seq == 1 || lastRoot != 0;
        if (!next || _batch[inst][seq].root != 0) revert SeqMismatch(seq, _lastSeq(inst) + 1);
    }

    /// @dev Number of the last batch, bit by bit from the highest: 64 looks, for readers.
    function _lastSeq(bytes16 inst) private view returns (uint64 seq) {
        for (uint64 bit = 1 << 63; bit != 0; bit >>= 1) {
            if (_batch[inst][seq | bit].root != 0) seq |= bit;
        }
    }

    function _requireProof(
        bytes16 inst,
        uint64 seq,
        uint32 index,
        bytes32 leaf,
        bytes32[] calldata proof
    ) private view {
        Batch storage b = _batch[inst][seq];
        if (!MerkleBatch.verify(b.root, b.sizeLog2, leaf, index, proof)) {
            revert BadProof(b.root, index);
        }
    }

    function _withdraw(bytes16 inst, uint64 seq, uint32 index, uint8 reasonCode) private {
        _requireReason(reasonCode);
        BitMaps.BitMap storage withdrawn = _withdrawn[inst][seq];
        if (withdrawn.get(index)) revert AlreadyWithdrawn(inst, seq, index);
        withdrawn.set(index);
        emit RecordWithdrawn(inst, seq, index, reasonCode);
    }
}
