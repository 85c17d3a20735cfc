// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";

import {IConsentRegistry} from "../interfaces/IConsentRegistry.sol";
import {Codes} from "../libraries/Codes.sol";
import {MerkleBatch} from "../libraries/MerkleBatch.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";
import {Score} from "../libraries/Score.sol";

/// @title ConsentRegistry, as specified in `interfaces/IConsentRegistry.sol`.
contract ConsentRegistry is Module, IConsentRegistry {
    using BitMaps for BitMaps.BitMap;

    // ── types ──

    /// @dev `IConsentRegistry.Epoch`, packed into two slots.
    struct PackedEpoch {
        bytes32 root;
        uint8 countLog2;
        uint40 committedAt;
    }

    // ── constants ──

    bytes32 private constant COMMIT_EPOCH = keccak256(
        "CommitEpoch(bytes16 inst,uint32 epoch,bytes32 root,uint8 countLog2,uint256 nonce,uint64 deadline)"
    );

    uint8 private constant COUNT_LOG2_MIN = 4;
    uint8 private constant COUNT_LOG2_MAX = 24;

    // ── storage ──

    mapping(bytes16 inst => mapping(uint32 epoch => PackedEpoch)) private _epochs;

    mapping(bytes16 inst => Span) private _spans;

    mapping(bytes16 inst => BitMaps.BitMap) private _missed;

    // ── constructor ──

    constructor(address authority, address directory)
        Module(authority, directory, "ConsentRegistry")
    {}

    // ── external ──

    /// @inheritdoc IConsentRegistry
    function commitEpoch(bytes16 inst, uint32 epoch, bytes32 root, uint8 countLog2) external {
        _commit(msg.sender, inst, epoch, root, countLog2);
    }

    /// @inheritdoc IConsentRegistry
    function commitEpochBySig(
        bytes16 inst,
        uint32 epoch,
        bytes32 root,
        uint8 countLog2,
        Auth calldata auth
    ) external {
        _commit(_verifyAct(auth, COMMIT_EPOCH, _words(4)), inst, epoch, root, countLog2);
    }

    /// @inheritdoc IConsentRegistry
    function challengeEpoch(bytes16 inst, uint32 epoch) external {
        uint32 first = _spans[inst].first;
        if (first == 0 || epoch <= first) revert SeqMismatch(epoch, uint64(first) + 1);
        bytes32 id = keccak256(abi.encode(Codes.EPOCH_MISSED, inst, epoch));
        if (_epochs[inst][epoch].root != 0 || _missed[inst].get(epoch)) revert Exists(id);
        uint64 end = _days(uint64(epoch) + 1);
        _requireChallengeable(end);
        if (!_institutions().isActiveAt(inst, end)) {
            revert NotActive(inst, uint8(_institutions().statusAt(inst, end)));
        }
        _missed[inst].set(epoch);

        emit EpochMissed(inst, epoch);
        _credibility().record(inst, 0, Score.LATE, id);
    }

    // ── views ──

    /// @inheritdoc IConsentRegistry
    function verifyConsent(
        bytes16 inst,
        uint32 epoch,
        bytes32 leaf,
        uint32 index,
        bytes32[] calldata proof
    ) external view returns (bool) {
        PackedEpoch storage e = _epochs[inst][epoch];
        return MerkleBatch.verify(e.root, e.countLog2, leaf, index, proof);
    }

    /// @inheritdoc IConsentRegistry
    function epochOf(bytes16 inst, uint32 epoch) external view returns (Epoch memory) {
        PackedEpoch storage e = _epochs[inst][epoch];
        return Epoch(e.root, e.countLog2, e.committedAt);
    }

    /// @inheritdoc IConsentRegistry
    function spanOf(bytes16 inst) external view returns (Span memory) {
        return _spans[inst];
    }

    /// @inheritdoc IConsentRegistry
    function isMissed(bytes16 inst, uint32 epoch) external view returns (bool) {
        return _missed[inst].get(epoch);
    }

    // ── internal ──

    function _commit(address signer, bytes16 inst, uint32 epoch, bytes32 root, uint8 countLog2)
        private
    {
        _requireActor(signer, inst, Roles.RELAYER);
        Span storage span = _spans[inst];
        if (epoch <= span.last) revert SeqMismatch(epoch, uint64(span.last) + 1);
        uint64 present = _now() / _days(1);
        if (epoch > present) revert SeqMismatch(epoch, present);
        _requireBetween(uint256(root), 1, type(uint256).max);
        _requireBetween(countLog2, COUNT_LOG2_MIN, COUNT_LOG2_MAX);

        if (span.first == 0) span.first = epoch;
        span.last = epoch;
        _epochs[inst][epoch] = PackedEpoch(root, countLog2, _packed(_now()));
        emit EpochCommitted(inst, epoch, root, countLog2, _now());
    }

    /// @dev From 6 h to 30 d after the epoch's end.
    function _requireChallengeable(uint64 end) private view {
        uint64 notBefore = end + _hours(Periods.EPOCH_GRACE_HOURS);
        if (_now() < notBefore) revert TooEarly(notBefore);
        _requireInTime(end + _days(Periods.CHALLENGE_DAYS));
    }
}
