// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";

import {IDirectory} from "../interfaces/IDirectory.sol";
import {Periods} from "../libraries/Periods.sol";

/// @title Directory, as specified in `interfaces/IDirectory.sol`.
contract Directory is AccessManaged, IDirectory {
    // ── immutables ──

    /// @inheritdoc IDirectory
    uint64 public immutable DAY;

    // ── storage ──

    /// @dev The present holder of a name, in one slot: every call of a module asks for some.
    mapping(bytes32 name => Entry) private _entry;

    /// @dev Holders before that one, oldest first; grows by a vote only.
    // Written by `set`, through a reference.
    // slither-disable-next-line uninitialized-state
    mapping(bytes32 name => Entry[]) private _former;

    /// @inheritdoc IDirectory
    mapping(bytes32 name => uint64) public stoppedUntil;

    // ── constructor ──

    /// @param authority OpenZeppelin AccessManager that decides about `restricted` functions.
    /// @param day Length of a day in seconds; 86 400 but on a demonstration network.
    constructor(address authority, uint64 day) AccessManaged(authority) {
        if (day < Periods.DAY_MIN_SECS || day > Periods.DAY_MAX_SECS) {
            revert OutOfBounds(day, Periods.DAY_MIN_SECS, Periods.DAY_MAX_SECS);
        }
        DAY = day;
    }

    // ── external ──

    /// @inheritdoc IDirectory
    function set(bytes32 name, address target) external restricted {
        if (name == 0) revert Unknown(name);
        if (target.code.length == 0) revert NoCode(target);
        Entry memory before = _entry[name];
        if (before.version != 0) _former[name].push(before);
        uint32 version = before.version + 1;
        // Cast: block numbers do not come near their width.
        _entry[name] = Entry(target, uint64(block.number), version);
        emit DirectorySet(name, target, version);
    }

    /// @inheritdoc IDirectory
    function stop(bytes32 name) external restricted {
        if (_entry[name].version == 0) revert Unknown(name);
        uint64 ended = stoppedUntil[name];
        uint64 notBefore = ended == 0 ? 0 : ended + Periods.STOP_PAUSE_DAYS * DAY;
        if (block.timestamp < notBefore) revert TooEarly(notBefore);
        // Cast: seconds since 1970 fit 64 bits.
        uint64 until = uint64(block.timestamp) + Periods.STOP_HOURS * DAY / 24;
        stoppedUntil[name] = until;
        emit ModuleStopped(name, until);
    }

    /// @inheritdoc IDirectory
    function resume(bytes32 name) external restricted {
        if (block.timestamp >= stoppedUntil[name]) revert NotStopped(name);
        // Cast: seconds since 1970 fit 64 bits.
        stoppedUntil[name] = uint64(block.timestamp);
        emit ModuleResumed(name);
    }

    // ── views ──

    /// @inheritdoc IDirectory
    function addressOf(bytes32 name) external view returns (address) {
        return _entry[name].target;
    }

    /// @inheritdoc IDirectory
    function addressAt(bytes32 name, uint64 blockNumber) external view returns (address) {
        Entry memory present = _entry[name];
        if (present.sinceBlock <= blockNumber) return present.target;
        Entry[] storage former = _former[name];
        for (uint256 i = former.length; i > 0; --i) {
            if (former[i - 1].sinceBlock <= blockNumber) return former[i - 1].target;
        }
        return address(0);
    }

    /// @inheritdoc IDirectory
    function history(bytes32 name) external view returns (Entry[] memory entries) {
        Entry memory present = _entry[name];
        Entry[] storage former = _former[name];
        entries = new Entry[](present.version);
        for (uint256 i = 0; i < former.length; ++i) {
            entries[i] = former[i];
        }
        if (present.version != 0) entries[former.length] = present;
    }
}
