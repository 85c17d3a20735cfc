// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {ISanctions} from "../interfaces/ISanctions.sol";
import {Codes} from "../libraries/Codes.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {SanctionRules} from "../libraries/SanctionRules.sol";

/// @title Sanctions: what a ruling does.
// States, kinds and numbers are compared with one of their values; no balance is weighed.
// slither-disable-start incorrect-equality
contract Sanctions is Module, ISanctions {
    // ── types ──

    /// @dev `ISanctions.Sanction`, packed into two slots.
    struct Stored {
        bytes16 party;
        uint8 level;
        Status status;
        uint40 from;
        uint40 until;
        bytes32 caseId;
    }

    /// @dev One executed ruling.
    struct Ruling {
        uint8 severity;
        uint40 executedAt;
    }

    /// @dev The last rulings against a party, oldest overwritten first.
    struct History {
        Ruling[8] rulings;
        uint8 next;
    }

    // ── constants ──

    uint256 private constant HISTORY = 8;
    uint256 private constant ACTIVE_MAX = 8;

    // ── storage ──

    mapping(bytes32 sanctionId => Stored) private _sanction;
    // Written by `_activate`, through a reference.
    // slither-disable-next-line uninitialized-state
    mapping(bytes16 party => bytes32[]) private _active;
    mapping(bytes16 party => History) private _history;

    constructor(address authority, address directory) Module(authority, directory, "Sanctions") {}

    // ── imposing and ending ──

    /// @inheritdoc ISanctions
    function impose(bytes32 caseId, bytes16 party, uint8 severity) external restricted {
        if (severity < Codes.MINOR || severity > Codes.CRITICAL) {
            revert OutOfBounds(severity, Codes.MINOR, Codes.CRITICAL);
        }
        bytes32 id = keccak256(abi.encode(caseId, party));
        if (_sanction[id].status != Status.None) revert Exists(id);
        _prune(party);

        (uint8 level, uint64 termDays) = SanctionRules.step(severity, _recent(party));
        _remember(party, severity);
        if (severity == Codes.CRITICAL) emit ExpulsionProposed(party, caseId);
        _begin(id, caseId, party, level, _now() + _days(termDays), false);
    }

    /// @inheritdoc ISanctions
    function interim(bytes32 caseId, bytes16 party, uint8 level, uint64 until) external restricted {
        _requireBetween(level, SanctionRules.QUOTA_CUT, SanctionRules.SUSPENDED);
        _requireBetween(until, _now() + 1, _now() + _days(Periods.INTERIM_DAYS));
        bytes32 id = _interimId(caseId, party);
        if (_sanction[id].status != Status.None) revert Exists(id);
        _prune(party);

        _begin(id, caseId, party, level, until, true);
    }

    /// @inheritdoc ISanctions
    function endInterim(bytes32 caseId, bytes16 party) external restricted {
        _prune(party);
        bytes32 id = _interimId(caseId, party);
        Stored memory s = _sanction[id];
        if (s.status == Status.InForce) _lift(id, s, caseId);
    }

    /// @inheritdoc ISanctions
    function lift(bytes32 sanctionId, bytes32 reasonHash) external restricted {
        Stored memory s = _sanction[sanctionId];
        if (s.status == Status.None) revert Unknown(sanctionId);
        if (s.status != Status.InForce) {
            revert WrongState(sanctionId, uint8(s.status), uint8(Status.InForce));
        }
        _lift(sanctionId, s, reasonHash);
    }

    /// @inheritdoc ISanctions
    function prune(bytes16 party) external {
        _prune(party);
    }

    // ── views ──

    /// @inheritdoc ISanctions
    function mayRequest(bytes16 party) external view returns (bool) {
        return levelOf(party) < SanctionRules.NO_REQUEST;
    }

    /// @inheritdoc ISanctions
    function mayServe(bytes16 party) external view returns (bool) {
        return levelOf(party) < SanctionRules.SUSPENDED;
    }

    /// @inheritdoc ISanctions
    function maySign(bytes16 party) external view returns (bool) {
        return levelOf(party) < SanctionRules.SUSPENDED;
    }

    /// @inheritdoc ISanctions
    function quotaCut(bytes16 party) external view returns (bool) {
        return levelOf(party) >= SanctionRules.QUOTA_CUT;
    }

    /// @inheritdoc ISanctions
    function levelOf(bytes16 party) public view returns (uint8 level) {
        bytes32[] storage ids = _active[party];
        for (uint256 i = 0; i < ids.length; ++i) {
            Stored storage s = _sanction[ids[i]];
            if (s.level > level && _now() < s.until) level = s.level;
        }
    }

    /// @inheritdoc ISanctions
    function sanctions(bytes16 party) external view returns (bytes32[] memory) {
        return _active[party];
    }

    /// @inheritdoc ISanctions
    function sanction(bytes32 sanctionId) external view returns (Sanction memory) {
        Stored memory s = _sanction[sanctionId];
        return Sanction(s.party, s.level, s.status, s.from, s.until, s.caseId);
    }

    // ── beginning and ending ──

    /// @dev Puts a sanction in force from now on.
    function _begin(
        bytes32 id,
        bytes32 caseId,
        bytes16 party,
        uint8 level,
        uint64 until,
        bool isInterim
    ) private {
        Stored memory s = Stored({
            party: party,
            level: level,
            status: Status.InForce,
            from: _packed(_now()),
            until: _packed(until),
            caseId: caseId
        });
        _sanction[id] = s;
        _activate(party, id, s);

        emit SanctionImposed(id, party, level, s.from, s.until, caseId, isInterim);
        if (level == SanctionRules.SUSPENDED) _suspend(party, caseId);
    }

    /// @dev Ends a sanction before its time.
    function _lift(bytes32 id, Stored memory s, bytes32 reasonHash) private {
        _sanction[id].status = Status.Lifted;
        _deactivate(s.party, id);

        emit SanctionLifted(id, reasonHash);
        if (s.level == SanctionRules.SUSPENDED && _now() < s.until) _suspend(s.party, s.caseId);
    }

    /// @dev Id of a case's interim sanction.
    function _interimId(bytes32 caseId, bytes16 party) private pure returns (bytes32) {
        return keccak256(abi.encode(caseId, party, true));
    }

    // ── history ──

    /// @dev Rulings against the party within the ladder's memory, at most 8.
    function _recent(bytes16 party) private view returns (uint256 count) {
        Ruling[8] memory rulings = _history[party].rulings;
        uint64 memorySecs = _days(SanctionRules.MEMORY_DAYS);
        for (uint256 i = 0; i < HISTORY; ++i) {
            uint40 executedAt = rulings[i].executedAt;
            if (executedAt != 0 && _now() <= executedAt + memorySecs) ++count;
        }
    }

    /// @dev Notes a ruling, over the oldest one.
    function _remember(bytes16 party, uint8 severity) private {
        History storage history = _history[party];
        history.rulings[history.next] = Ruling(severity, _packed(_now()));
        // Below 8 at all times.
        history.next = uint8((history.next + 1) % HISTORY);
    }

    // ── the list of sanctions in force ──

    /// @dev Adds a sanction to the party's list. A full list drops the weakest, which then still
    /// stands under its id: the lowest level, and of these the first to end. On this ladder a ninth
    /// ruling within the terms of eight others binds at least as hard and as long.
    function _activate(bytes16 party, bytes32 id, Stored memory s) private {
        bytes32[] storage ids = _active[party];
        if (ids.length < ACTIVE_MAX) {
            ids.push(id);
            return;
        }
        uint256 weakest = 0;
        for (uint256 i = 1; i < ACTIVE_MAX; ++i) {
            if (_weaker(_sanction[ids[i]], _sanction[ids[weakest]])) weakest = i;
        }
        if (_weaker(s, _sanction[ids[weakest]])) return;
        _removeAt(ids, weakest);
        ids.push(id);
    }

    /// @dev Whether `a` binds less than `b`.
    function _weaker(Stored memory a, Stored memory b) private pure returns (bool) {
        return a.level < b.level || (a.level == b.level && a.until < b.until);
    }

    /// @dev Takes a sanction off the party's list, if it is there.
    function _deactivate(bytes16 party, bytes32 id) private {
        bytes32[] storage ids = _active[party];
        for (uint256 i = 0; i < ids.length; ++i) {
            if (ids[i] == id) return _removeAt(ids, i);
        }
    }

    /// @dev Takes ended sanctions off the party's list.
    function _prune(bytes16 party) private {
        bytes32[] storage ids = _active[party];
        uint256 i = 0;
        while (i < ids.length) {
            bytes32 id = ids[i];
            if (_now() < _sanction[id].until) {
                ++i;
                continue;
            }
            _sanction[id].status = Status.Served;
            _removeAt(ids, i);
            emit SanctionServed(id);
        }
    }

    /// @dev Removes one of at most 8 ids, keeping the order.
    function _removeAt(bytes32[] storage ids, uint256 index) private {
        for (uint256 i = index + 1; i < ids.length; ++i) {
            ids[i - 1] = ids[i];
        }
        ids.pop();
    }

    // ── suspension ──

    /// @dev Tells InstitutionRegistry the latest end of the party's suspensions in force, 0 for
    /// none. A party that is not a member any more cannot be suspended and need not be.
    function _suspend(bytes16 party, bytes32 caseId) private {
        IInstitutionRegistry institutions = _institutions();
        IInstitutionRegistry.Status status = institutions.statusAt(party, _now());
        bool suspended = status == IInstitutionRegistry.Status.Suspended;
        uint64 until = _suspendedUntil(party);
        if (until == 0 ? suspended : suspended || institutions.isActive(party)) {
            institutions.setSuspended(party, until, caseId);
        }
    }

    /// @dev Latest end of the party's suspensions in force; 0 for none.
    function _suspendedUntil(bytes16 party) private view returns (uint64 until) {
        bytes32[] storage ids = _active[party];
        for (uint256 i = 0; i < ids.length; ++i) {
            Stored storage s = _sanction[ids[i]];
            if (s.level == SanctionRules.SUSPENDED && s.until > until && _now() < s.until) {
                until = s.until;
            }
        }
    }
}
// slither-disable-end incorrect-equality
