// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title ConsentRegistry: commitments to all consent states of an institution, by epoch.
/// @notice An epoch is a day of the network, `t / DAY`. For each one an institution commits to the
/// root over one leaf for each patient, padded with random dummies, so that the number of patients
/// shows as a power of two only. No entry about a person stands here. Leaves are salted anew each
/// epoch, so that a root does not repeat when nothing changed.
interface IConsentRegistry is IModule {
    /// @notice One committed epoch; root 0 if there is none.
    /// @param root Root of the tree (`libraries/MerkleBatch.sol`).
    /// @param countLog2 Its depth, 4…24.
    /// @param committedAt Seconds since 1970.
    struct Epoch {
        bytes32 root;
        uint8 countLog2;
        uint64 committedAt;
    }

    /// @notice First and last epoch that an institution committed to; zeros if none.
    struct Span {
        uint32 first;
        uint32 last;
    }

    /// @notice The consent states of `inst` in `epoch` are those under `root`.
    event EpochCommitted(
        bytes16 indexed inst,
        uint32 indexed epoch,
        bytes32 root,
        uint8 countLog2,
        uint64 committedAt
    );

    /// @notice `inst` did not commit to `epoch` in time.
    event EpochMissed(bytes16 indexed inst, uint32 indexed epoch);

    /// @notice Commits to an epoch. RELAYER of `inst`; also while stopped or suspended, since it is
    /// a duty.
    /// @param epoch Later than the last one, at most the present one.
    /// @param root Root over that epoch's leaves, not 0.
    /// @param countLog2 Depth, 4…24.
    function commitEpoch(bytes16 inst, uint32 epoch, bytes32 root, uint8 countLog2) external;
    function commitEpochBySig(
        bytes16 inst,
        uint32 epoch,
        bytes32 root,
        uint8 countLog2,
        Auth calldata auth
    ) external;

    /// @notice Names an institution that left out an epoch. Anyone, from 6 h to 30 d after the
    /// epoch's end, once. The institution has committed to an earlier one, and was on probation or
    /// active when the epoch ended.
    function challengeEpoch(bytes16 inst, uint32 epoch) external;

    /// @notice Whether `leaf` is the leaf at `index` of an epoch.
    function verifyConsent(
        bytes16 inst,
        uint32 epoch,
        bytes32 leaf,
        uint32 index,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice An epoch of an institution.
    function epochOf(bytes16 inst, uint32 epoch) external view returns (Epoch memory);

    /// @notice First and last epoch of an institution.
    function spanOf(bytes16 inst) external view returns (Span memory);

    /// @notice Whether an institution was named for leaving out an epoch.
    function isMissed(bytes16 inst, uint32 epoch) external view returns (bool);
}
