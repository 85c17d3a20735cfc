// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {IJudgePool} from "../interfaces/IJudgePool.sol";
import {ISanctions} from "../interfaces/ISanctions.sol";
import {Module} from "../libraries/Module.sol";
import {Parties} from "../libraries/Parties.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title JudgePool: who may judge, and whose turn it is.
/// @dev The n seats are numbered from 0, at most to 255, and the queue is a string of these
/// numbers, one byte each, next in turn first. So a queue is read and written in nine slots.
contract JudgePool is Module, IJudgePool {
    // ── types ──

    /// @dev An offer to judge, by its number.
    struct Offer {
        bytes16 inst;
        bytes16 cred;
    }

    /// @dev Where an institution's offer stands.
    struct Place {
        uint8 number;
        bool seated;
        uint40 lastServed;
    }

    /// @dev A walk through the queue for those who may sit in one case.
    /// @param barred The parties or their hubs' sponsors, who vouched for them, and who sits.
    /// @param barredCount How many of `barred` are in use.
    /// @param groups Groups of the parties, and of those already sitting or chosen.
    /// @param groupCount How many of `groups` are in use.
    /// @param former Who comes last.
    /// @param chosen Numbers that may sit, in order.
    /// @param reserve Numbers of `former` that may sit, in order.
    /// @param passed Numbers that cannot serve at all, in order.
    struct Search {
        IInstitutionRegistry institutions;
        ISanctions sanctions;
        bytes16[15] barred;
        uint256 barredCount;
        uint32[20] groups;
        uint256 groupCount;
        bytes16[] former;
        bytes chosen;
        bytes reserve;
        bytes passed;
    }

    // ── constants ──

    bytes32 private constant JOIN =
        keccak256("Join(bytes16 inst,bytes16 cred,uint256 nonce,uint64 deadline)");
    bytes32 private constant LEAVE_POOL =
        keccak256("LeavePool(bytes16 inst,uint256 nonce,uint64 deadline)");

    uint256 private constant POOL_MAX = 256;
    /// @dev Most seats that a draw looks at, so that it stays within its gas.
    uint256 private constant WALK_MAX = 26;
    uint256 private constant PANEL_MIN = 3;
    uint256 private constant PANEL_MAX = 9;

    // ── storage ──

    /// @dev Numbers of seats, next in turn first.
    bytes private _queue;
    mapping(uint8 number => Offer) private _offers;
    mapping(bytes16 inst => Place) private _places;

    constructor(address authority, address directory) Module(authority, directory, "JudgePool") {}

    // ── coming and going ──

    /// @inheritdoc IJudgePool
    function join(bytes16 inst, bytes16 cred) external {
        _join(msg.sender, inst, cred);
    }

    /// @inheritdoc IJudgePool
    function joinBySig(bytes16 inst, bytes16 cred, Auth calldata auth) external {
        _join(_verifyAct(auth, JOIN, _words(2)), inst, cred);
    }

    /// @inheritdoc IJudgePool
    function leavePool(bytes16 inst) external {
        _leavePool(msg.sender, inst);
    }

    /// @inheritdoc IJudgePool
    function leavePoolBySig(bytes16 inst, Auth calldata auth) external {
        _leavePool(_verifyAct(auth, LEAVE_POOL, _words(1)), inst);
    }

    // ── drawing ──

    /// @inheritdoc IJudgePool
    function draw(
        bytes16[2] calldata parties,
        bytes16[] calldata sitting,
        bytes16[] calldata former,
        uint8 wanted
    ) external restricted returns (Seat[] memory seats) {
        _requireBetween(wanted, 1, PANEL_MAX);
        _requireBetween(sitting.length, 0, PANEL_MAX);
        _requireBetween(former.length, 0, PANEL_MAX);
        // What is not set below begins at 0 or empty.
        // slither-disable-next-line uninitialized-local
        Search memory search;
        search.institutions = _institutions();
        search.sanctions = _sanctions();
        search.former = former;
        _noteParty(search, parties[0]);
        _noteParty(search, parties[1]);
        _noteSitting(search, sitting);

        return _seat(_choose(search, wanted));
    }

    // ── views ──

    /// @inheritdoc IJudgePool
    function seatOf(bytes16 inst) external view returns (Seat memory) {
        Place memory place = _places[inst];
        bytes16 cred = place.seated ? _offers[place.number].cred : bytes16(0);
        return Seat(inst, cred, place.lastServed);
    }

    /// @inheritdoc IJudgePool
    function pool() external view returns (bytes16[] memory insts) {
        return _institutionsOf(_queue);
    }

    // ── acts ──

    function _join(address signer, bytes16 inst, bytes16 cred) private {
        _requireActor(signer, inst, Roles.ADMIN);
        _requireRunning();
        _requireMember(inst);
        if (cred == inst || !_institutions().mayAct(cred, inst, Roles.PANELIST)) {
            revert NotPanelist(cred);
        }
        if (_places[inst].seated) revert Exists(inst);
        bytes memory queue = _queue;
        _requireBetween(queue.length + 1, 1, POOL_MAX);

        // Below 256.
        uint8 number = uint8(queue.length);
        (_places[inst].number, _places[inst].seated) = (number, true);
        _offers[number] = Offer(inst, cred);
        _queue = bytes.concat(queue, bytes1(number));

        emit SeatJoined(inst, cred);
    }

    function _leavePool(address signer, bytes16 inst) private {
        _requireActor(signer, inst, Roles.ADMIN);
        Place storage place = _places[inst];
        if (!place.seated) revert Unknown(inst);
        place.seated = false;
        _dropNumber(place.number);

        emit SeatLeft(inst);
    }

    /// @dev Takes a number out of the queue, and gives it to the seat with the last number, so that
    /// numbers have no holes.
    function _dropNumber(uint8 number) private {
        bytes memory queue = _queue;
        uint256 position = Bytes.indexOf(queue, bytes1(number));
        // Below 256.
        uint8 last = uint8(queue.length - 1);
        Offer memory moved = _offers[last];
        (_offers[number], _places[moved.inst].number) = (moved, number);
        delete _offers[last];
        queue[Bytes.indexOf(queue, bytes1(last))] = bytes1(number);
        _queue = bytes.concat(Bytes.slice(queue, 0, position), Bytes.slice(queue, position + 1));
    }

    // ── the walk through the queue ──

    /// @dev Walks the queue until `wanted` may sit, and takes them. Who was taken, or could not
    /// serve at all, goes to the end; who may only not sit in this case keeps its place.
    function _choose(Search memory search, uint256 wanted) private returns (bytes memory numbers) {
        bytes memory queue = _queue;
        uint256 walk = Math.min(queue.length, WALK_MAX);
        uint256 seen = 0;
        while (seen < walk && search.chosen.length < wanted) {
            _consider(search, queue[seen]);
            ++seen;
        }
        _addReserve(search, wanted);

        uint256 count = _sizeOf(search.chosen.length, wanted);
        numbers = Bytes.slice(search.chosen, 0, count);
        bytes memory moved = bytes.concat(search.passed, numbers);
        if (moved.length == 0) return numbers;
        _moveBack(queue, seen, moved);
        emit SeatsMoved(_institutionsOf(moved), count);
    }

    /// @dev The largest odd number of those found; fewer than three are no panel.
    function _sizeOf(uint256 found, uint256 wanted) private pure returns (uint256) {
        uint256 odd = found % 2 == 0 ? Math.saturatingSub(found, 1) : found;
        return wanted != 1 && odd < PANEL_MIN ? 0 : odd;
    }

    /// @dev Looks at one seat and notes what it is good for.
    function _consider(Search memory search, bytes1 number) private view {
        Offer memory offer = _offers[uint8(number)];
        if (_isBarred(search, offer.inst)) return;
        IInstitutionRegistry.Standing memory standing = search.institutions.standing(offer.inst);
        if (_sharesGroup(search, standing.group)) return;
        if (!_canServe(search, offer, standing.status)) {
            search.passed = bytes.concat(search.passed, number);
        } else if (_isFormer(search, offer.inst)) {
            search.reserve = bytes.concat(search.reserve, number);
        } else {
            search.chosen = bytes.concat(search.chosen, number);
            _noteGroup(search, standing.group);
        }
    }

    /// @dev Whether a seat could serve in any case: an active institution, no suspension, a live
    /// credential.
    function _canServe(Search memory search, Offer memory offer, IInstitutionRegistry.Status status)
        private
        view
        returns (bool)
    {
        return status == IInstitutionRegistry.Status.Active
            && search.institutions.mayAct(offer.cred, offer.inst, Roles.PANELIST)
            && search.sanctions.mayServe(offer.inst);
    }

    /// @dev Fills up with those who come last, each of a group that is not yet there.
    function _addReserve(Search memory search, uint256 wanted) private view {
        uint256 i = 0;
        while (i < search.reserve.length && search.chosen.length < wanted) {
            bytes1 number = search.reserve[i];
            uint32 group = _groupOf(search, _offers[uint8(number)].inst);
            if (!_sharesGroup(search, group)) {
                search.chosen = bytes.concat(search.chosen, number);
                _noteGroup(search, group);
            }
            ++i;
        }
    }

    /// @dev Moves numbers that stand among the first `seen` to the end of the queue, in their new
    /// order.
    function _moveBack(bytes memory queue, uint256 seen, bytes memory moved) private {
        uint256 mask = 0;
        for (uint256 i = 0; i < moved.length; ++i) {
            mask |= 1 << uint8(moved[i]);
        }
        bytes memory kept = "";
        for (uint256 i = 0; i < seen; ++i) {
            if (mask >> uint8(queue[i]) & 1 == 0) kept = bytes.concat(kept, queue[i]);
        }
        _queue = bytes.concat(kept, Bytes.slice(queue, seen), moved);
    }

    /// @dev The seats with these numbers, who serve from now on.
    function _seat(bytes memory numbers) private returns (Seat[] memory seats) {
        seats = new Seat[](numbers.length);
        for (uint256 i = 0; i < seats.length; ++i) {
            Offer memory offer = _offers[uint8(numbers[i])];
            _places[offer.inst].lastServed = _packed(_now());
            seats[i] = Seat(offer.inst, offer.cred, _now());
        }
    }

    // ── who may not sit ──

    /// @dev Notes a party, who vouched for it, and its group.
    function _noteParty(Search memory search, bytes16 party) private view {
        bytes16 principal = Parties.principalOf(DIRECTORY, party);
        (bytes16 first, bytes16 second) = search.institutions.sponsorsOf(principal);
        _bar(search, first);
        _bar(search, second);
        _bar(search, principal);
        _noteGroup(search, _groupOf(search, principal));
    }

    /// @dev Notes who sits already, and their groups.
    function _noteSitting(Search memory search, bytes16[] calldata sitting) private view {
        for (uint256 i = 0; i < sitting.length; ++i) {
            _bar(search, sitting[i]);
            _noteGroup(search, _groupOf(search, sitting[i]));
        }
    }

    function _bar(Search memory search, bytes16 inst) private pure {
        search.barred[search.barredCount++] = inst;
    }

    /// @dev Group 0 is none.
    function _noteGroup(Search memory search, uint32 group) private pure {
        if (group != 0) search.groups[search.groupCount++] = group;
    }

    /// @dev Whether an institution is a party, vouched for one, or sits already.
    function _isBarred(Search memory search, bytes16 inst) private pure returns (bool) {
        for (uint256 i = 0; i < search.barredCount; ++i) {
            if (search.barred[i] == inst) return true;
        }
        return false;
    }

    /// @dev Whether a group is a party's, or on the panel already.
    function _sharesGroup(Search memory search, uint32 group) private pure returns (bool) {
        for (uint256 i = 0; i < search.groupCount; ++i) {
            if (search.groups[i] == group) return true;
        }
        return false;
    }

    function _isFormer(Search memory search, bytes16 inst) private pure returns (bool) {
        for (uint256 i = 0; i < search.former.length; ++i) {
            if (search.former[i] == inst) return true;
        }
        return false;
    }

    function _groupOf(Search memory search, bytes16 inst) private view returns (uint32 group) {
        group = search.institutions.standing(inst).group;
    }

    function _institutionsOf(bytes memory numbers) private view returns (bytes16[] memory insts) {
        insts = new bytes16[](numbers.length);
        for (uint256 i = 0; i < insts.length; ++i) {
            insts[i] = _offers[uint8(numbers[i])].inst;
        }
    }

    /// @dev Checks that an institution is a full member, not on probation.
    function _requireMember(bytes16 inst) private view {
        IInstitutionRegistry.Status status = _institutions().standing(inst).status;
        if (status != IInstitutionRegistry.Status.Active) revert NotActive(inst, uint8(status));
    }
}
