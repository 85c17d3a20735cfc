// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IErrors} from "./IErrors.sol";

/// @title Directory: name → address, since when.
/// @notice Contracts are never upgraded in place. A new version is a new contract, named here by
/// governance; the old one stays readable. The guardian may stop a module's opening acts for a day.
interface IDirectory is IErrors {
    /// @notice One holder of a name.
    /// @param target The contract.
    /// @param sinceBlock First block in which it holds the name.
    /// @param version 1 for the first holder, then 2, 3, …
    struct Entry {
        address target;
        uint64 sinceBlock;
        uint32 version;
    }

    /// @notice `target` holds `name` from this block on.
    event DirectorySet(bytes32 indexed name, address indexed target, uint32 version);

    /// @notice Opening acts of module `name` are refused before `until`.
    event ModuleStopped(bytes32 indexed name, uint64 until);

    /// @notice Opening acts of module `name` are accepted again.
    event ModuleResumed(bytes32 indexed name);

    /// @notice `target` has no code.
    error NoCode(address target);

    /// @notice `name` is not stopped.
    error NotStopped(bytes32 name);

    /// @notice Names a contract. Restricted to GOVERNANCE.
    /// @param name ASCII, left-aligned, for example "RecordRegistry".
    function set(bytes32 name, address target) external;

    /// @notice Stops opening acts of a module for 24 h; again 14 d after that stop's end at the
    /// earliest. Restricted to GUARDIAN. Revocations, answers and endings go on.
    function stop(bytes32 name) external;

    /// @notice Ends a stop before its time. Restricted to GOVERNANCE.
    function resume(bytes32 name) external;

    /// @notice The present holder of `name`, or 0.
    function addressOf(bytes32 name) external view returns (address);

    /// @notice The holder of `name` at a block, or 0 if there was none.
    function addressAt(bytes32 name, uint64 blockNumber) external view returns (address);

    /// @notice All holders of `name`, oldest first.
    function history(bytes32 name) external view returns (Entry[] memory);

    /// @notice End of the last stop of `name` in seconds since 1970; 0 if there was none.
    function stoppedUntil(bytes32 name) external view returns (uint64);

    /// @notice Length of a day in seconds: 86 400, or less (≥ 240) on a demonstration network.
    function DAY() external view returns (uint64);
}
