// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IArbitration} from "../interfaces/IArbitration.sol";
import {IIncentives} from "../interfaces/IIncentives.sol";
import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {ISanctions} from "../interfaces/ISanctions.sol";
import {ISupervision} from "../interfaces/ISupervision.sol";
import {Codes} from "../libraries/Codes.sol";
import {Module} from "../libraries/Module.sol";
import {Parties} from "../libraries/Parties.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";
import {SanctionRules} from "../libraries/SanctionRules.sol";
import {Votes} from "../libraries/Votes.sol";

/// @title Arbitration: panels and their votes.
/// @dev Each seat of the pool has a number, 0…255, and the queue is a string of these numbers, one
/// byte each, next in turn first. So a whole queue is read and written in nine slots.
contract Arbitration is Module, IArbitration {
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

    /// @dev `IArbitration.Member` and its last vote for an interim sanction.
    struct Judge {
        bytes16 inst;
        bytes16 cred;
        bytes32 commitment;
        uint8 verdict;
        uint8 severity;
        uint8 interimLevel;
        uint40 interimUntil;
    }

    /// @dev `IArbitration.Panel`, its head packed into one slot.
    /// @param vacant Seats without a judge, since nobody could follow a recusal.
    struct Bench {
        uint8 size;
        uint8 draws;
        bool open;
        uint8 vacant;
        uint8 committed;
        uint8 revealed;
        uint40 recuseBy;
        uint40 commitBy;
        uint40 revealBy;
        Judge[] judges;
    }

    /// @dev A walk through the queue for those who may sit in one case.
    /// @param barred The parties or their hubs' sponsors, and who vouched for them.
    /// @param groups Groups of the parties, then of those already sitting or chosen.
    /// @param groupCount How many of `groups` are in use.
    /// @param sitting Institutions already on the panel.
    /// @param former Members of the case's first panel, who come last.
    /// @param chosen Numbers that may sit, in order.
    /// @param reserve Numbers of former members that may sit, in order.
    /// @param passed Numbers that cannot serve at all, in order.
    struct Search {
        IInstitutionRegistry institutions;
        ISanctions sanctions;
        bytes16[6] barred;
        uint32[20] groups;
        uint256 groupCount;
        bytes16[] sitting;
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
    bytes32 private constant RECUSE =
        keccak256("Recuse(bytes32 caseId,bytes16 cred,uint256 nonce,uint64 deadline)");
    bytes32 private constant COMMIT_VOTE = keccak256(
        "CommitVote(bytes32 caseId,uint8 round,bytes16 cred,bytes32 commitment,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant APPEAL = keccak256(
        "Appeal(bytes32 caseId,bytes16 by,bytes32 groundsHash,uint256 nonce,uint64 deadline)"
    );
    bytes32 private constant VOTE_INTERIM = keccak256(
        "VoteInterim(bytes32 caseId,bytes16 cred,uint8 level,uint64 until,uint256 nonce,uint64 deadline)"
    );

    uint256 private constant POOL_MAX = 256;
    /// @dev Most seats that a draw looks at, so that it stays within its gas.
    uint256 private constant WALK_MAX = 64;
    uint256 private constant PANEL_MIN = 3;
    uint256 private constant PANEL_SIZE = 5;
    uint256 private constant APPEAL_SIZE = 9;
    uint8 private constant FIRST = 1;
    uint8 private constant SECOND = 2;
    uint8 private constant DRAWS_MAX = 2;
    /// @dev Credits behind an appeal, in µcredits.
    uint64 private constant APPEAL_BOND = 20_000_000;
    /// @dev Kind of accrual in Incentives.
    uint8 private constant PANEL_SERVICE = 4;

    // ── storage ──

    /// @dev Numbers of seats, next in turn first.
    bytes private _queue;
    /// @dev Bit n is set while number n is in use.
    uint256 private _numbers;
    mapping(uint8 number => Offer) private _offers;
    mapping(bytes16 inst => Place) private _places;

    mapping(bytes32 caseId => uint8) private _rounds;
    mapping(bytes32 caseId => mapping(uint8 round => Bench)) private _benches;
    mapping(bytes32 caseId => Appeal) private _appeals;
    mapping(bytes32 caseId => bool) private _interims;

    constructor(address authority, address directory) Module(authority, directory, "Arbitration") {}

    // ── the pool of judges ──

    /// @inheritdoc IArbitration
    function join(bytes16 inst, bytes16 cred) external {
        _join(msg.sender, inst, cred);
    }

    /// @inheritdoc IArbitration
    function joinBySig(bytes16 inst, bytes16 cred, Auth calldata auth) external {
        _join(_verifyAct(auth, JOIN, _words(2)), inst, cred);
    }

    /// @inheritdoc IArbitration
    function leavePool(bytes16 inst) external {
        _leavePool(msg.sender, inst);
    }

    /// @inheritdoc IArbitration
    function leavePoolBySig(bytes16 inst, Auth calldata auth) external {
        _leavePool(_verifyAct(auth, LEAVE_POOL, _words(1)), inst);
    }

    // ── a panel's life ──

    /// @inheritdoc IArbitration
    function drawPanel(bytes32 caseId, bytes16 complainant, bytes16 respondent)
        external
        restricted
    {
        if (_rounds[caseId] != 0) revert Exists(caseId);
        _rounds[caseId] = FIRST;
        Search memory search = _newSearch(complainant, respondent);
        if (!_draw(search, caseId, FIRST)) _conclude(caseId, FIRST, Codes.NOT_PROVEN, 0);
    }

    /// @inheritdoc IArbitration
    function recuse(bytes32 caseId, bytes16 cred) external {
        _recuse(msg.sender, caseId, cred);
    }

    /// @inheritdoc IArbitration
    function recuseBySig(bytes32 caseId, bytes16 cred, Auth calldata auth) external {
        _recuse(_verifyAct(auth, RECUSE, _words(2)), caseId, cred);
    }

    /// @inheritdoc IArbitration
    function commitVote(bytes32 caseId, uint8 round, bytes16 cred, bytes32 commitment) external {
        _commitVote(msg.sender, caseId, round, cred, commitment);
    }

    /// @inheritdoc IArbitration
    function commitVoteBySig(
        bytes32 caseId,
        uint8 round,
        bytes16 cred,
        bytes32 commitment,
        Auth calldata auth
    ) external {
        address signer = _verifyAct(auth, COMMIT_VOTE, _words(4));
        _commitVote(signer, caseId, round, cred, commitment);
    }

    /// @inheritdoc IArbitration
    function revealVote(
        bytes32 caseId,
        uint8 round,
        bytes16 cred,
        uint8 verdict,
        uint8 severity,
        bytes32 salt
    ) external {
        Bench storage bench = _sittingIn(caseId, round);
        Judge storage judge = _judge(bench, cred);
        _requireRevealTime(bench);
        _requireBetween(verdict, Codes.UPHELD, Codes.ABUSIVE);
        _requireBetween(severity, Codes.MINOR, Codes.CRITICAL);
        if (judge.verdict != 0) revert Exists(cred);
        bytes32 shown = keccak256(abi.encode(caseId, round, cred, verdict, severity, salt));
        if (shown != judge.commitment) revert HashMismatch(shown, judge.commitment);

        (judge.verdict, judge.severity) = (verdict, severity);
        ++bench.revealed;

        emit VoteRevealed(caseId, round, cred, verdict, severity);
    }

    /// @inheritdoc IArbitration
    function tally(bytes32 caseId) external {
        Bench storage bench = _sitting(caseId);
        _requireVoteOver(bench);
        uint8 round = _rounds[caseId];
        bench.open = false;
        Judge[] memory judges = bench.judges;

        if (bench.revealed > bench.size / 2) _withQuorum(caseId, round, judges);
        else _withoutQuorum(caseId, round, bench.draws);
        _thank(judges);
    }

    /// @inheritdoc IArbitration
    function appeal(bytes32 caseId, bytes16 by, bytes32 groundsHash) external {
        _appeal(msg.sender, caseId, by, groundsHash);
    }

    /// @inheritdoc IArbitration
    function appealBySig(bytes32 caseId, bytes16 by, bytes32 groundsHash, Auth calldata auth)
        external
    {
        _appeal(_verifyAct(auth, APPEAL, _words(3)), caseId, by, groundsHash);
    }

    /// @inheritdoc IArbitration
    function voteInterim(bytes32 caseId, bytes16 cred, uint8 level, uint64 until) external {
        _voteInterim(msg.sender, caseId, cred, level, until);
    }

    /// @inheritdoc IArbitration
    function voteInterimBySig(
        bytes32 caseId,
        bytes16 cred,
        uint8 level,
        uint64 until,
        Auth calldata auth
    ) external {
        _voteInterim(_verifyAct(auth, VOTE_INTERIM, _words(4)), caseId, cred, level, until);
    }

    // ── views ──

    /// @inheritdoc IArbitration
    function panel(bytes32 caseId, uint8 round) external view returns (Panel memory) {
        Bench memory bench = _benches[caseId][round];
        Member[] memory members = new Member[](bench.judges.length);
        for (uint256 i = 0; i < members.length; ++i) {
            Judge memory judge = bench.judges[i];
            members[i] =
                Member(judge.inst, judge.cred, judge.commitment, judge.verdict, judge.severity);
        }
        return Panel({
            size: bench.size,
            draws: bench.draws,
            open: bench.open,
            committed: bench.committed,
            revealed: bench.revealed,
            recuseBy: bench.recuseBy,
            commitBy: bench.commitBy,
            revealBy: bench.revealBy,
            members: members
        });
    }

    /// @inheritdoc IArbitration
    function roundOf(bytes32 caseId) external view returns (uint8) {
        return _rounds[caseId];
    }

    /// @inheritdoc IArbitration
    function appealOf(bytes32 caseId) external view returns (Appeal memory) {
        return _appeals[caseId];
    }

    /// @inheritdoc IArbitration
    function seatOf(bytes16 inst) external view returns (Seat memory) {
        Place memory place = _places[inst];
        bytes16 cred = place.seated ? _offers[place.number].cred : bytes16(0);
        return Seat(inst, cred, place.lastServed);
    }

    /// @inheritdoc IArbitration
    function pool() external view returns (bytes16[] memory insts) {
        bytes memory queue = _queue;
        insts = new bytes16[](queue.length);
        for (uint256 i = 0; i < insts.length; ++i) {
            insts[i] = _offers[uint8(queue[i])].inst;
        }
    }

    // ── acts: the pool ──

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

        uint8 number = _takeNumber();
        (_places[inst].number, _places[inst].seated) = (number, true);
        _offers[number] = Offer(inst, cred);
        _queue = bytes.concat(queue, bytes1(number));

        emit SeatJoined(inst, cred);
    }

    function _leavePool(address signer, bytes16 inst) private {
        _requireActor(signer, inst, Roles.ADMIN);
        Place storage place = _places[inst];
        if (!place.seated) revert Unknown(inst);
        bytes memory queue = _queue;
        uint256 position = Bytes.indexOf(queue, bytes1(place.number));

        place.seated = false;
        _numbers &= ~(1 << place.number);
        delete _offers[place.number];
        _queue = bytes.concat(Bytes.slice(queue, 0, position), Bytes.slice(queue, position + 1));

        emit SeatLeft(inst);
    }

    /// @dev The lowest number that is free. There is one while the queue is shorter than 256.
    function _takeNumber() private returns (uint8 number) {
        uint256 free = ~_numbers;
        // The lowest bit that is set, at most bit 255.
        number = uint8(Math.log2(free & (~free + 1)));
        _numbers |= 1 << number;
    }

    // ── acts: votes ──

    function _recuse(address signer, bytes32 caseId, bytes16 cred) private {
        Bench storage bench = _sitting(caseId);
        Judge storage judge = _judge(bench, cred);
        _requireJudge(signer, judge);
        if (_now() > bench.recuseBy) revert TooLate(bench.recuseBy);

        Search memory search = _searchFor(caseId, _rounds[caseId]);
        _noteSitting(search, bench);
        bytes memory found = _choose(search, 1);
        Offer memory next = found.length == 0 ? Offer(0, 0) : _offers[uint8(found[0])];
        (judge.inst, judge.cred) = (next.inst, next.cred);
        (judge.interimLevel, judge.interimUntil) = (0, 0);
        if (next.inst == 0) ++bench.vacant;
        else _places[next.inst].lastServed = _packed(_now());

        emit SeatRecused(caseId, cred, next.cred);
    }

    function _commitVote(
        address signer,
        bytes32 caseId,
        uint8 round,
        bytes16 cred,
        bytes32 commitment
    ) private {
        Bench storage bench = _sittingIn(caseId, round);
        Judge storage judge = _judge(bench, cred);
        _requireJudge(signer, judge);
        if (_now() <= bench.recuseBy) revert TooEarly(uint64(bench.recuseBy) + 1);
        if (_now() > bench.commitBy) revert TooLate(bench.commitBy);
        _requireBetween(uint256(commitment), 1, type(uint256).max);
        if (judge.commitment != 0) revert Exists(cred);

        judge.commitment = commitment;
        ++bench.committed;

        emit VoteCommitted(caseId, round, cred, commitment);
    }

    function _voteInterim(
        address signer,
        bytes32 caseId,
        bytes16 cred,
        uint8 level,
        uint64 until
    ) private {
        Bench storage bench = _sitting(caseId);
        Judge storage judge = _judge(bench, cred);
        _requireJudge(signer, judge);
        _requireBetween(level, SanctionRules.QUOTA_CUT, SanctionRules.SUSPENDED);
        _requireBetween(until, _now() + 1, _now() + _days(Periods.INTERIM_DAYS));
        if (_interims[caseId]) revert Exists(caseId);
        (judge.interimLevel, judge.interimUntil) = (level, _packed(until));
        bool enough = _equalInterims(bench.judges, level, until) >= Math.ceilDiv(2 * bench.size, 3);
        if (enough) _interims[caseId] = true;

        emit InterimVoted(caseId, cred, level, until);
        if (!enough) return;
        bytes16 respondent = _supervision().caseOf(caseId).respondent;
        _sanctions().interim(caseId, respondent, level, until);
    }

    function _appeal(address signer, bytes32 caseId, bytes16 by, bytes32 groundsHash) private {
        ISupervision.Case memory c = _supervision().caseOf(caseId);
        if (c.stage != ISupervision.Stage.Ruled) {
            revert WrongState(caseId, uint8(c.stage), uint8(ISupervision.Stage.Ruled));
        }
        bytes16 loser = c.ruling == Codes.UPHELD ? c.respondent : c.complainant;
        if (by != loser) revert NotParty(by, signer);
        _requirePartySpeaker(signer, by);
        IIncentives incentives = _incentives();
        // At most 20 credits, so that the cast keeps the value.
        uint64 bond = uint64(Math.min(incentives.creditsOf(by).balance, APPEAL_BOND));
        _appeals[caseId] = Appeal(by, bond);
        _rounds[caseId] = SECOND;

        emit AppealFiled(caseId, by, groundsHash, bond);
        _supervision().reopen(caseId);
        if (bond != 0) incentives.lock(by, bond, _bondOf(caseId, by));
        if (!_draw(_searchFor(caseId, SECOND), caseId, SECOND)) _letStand(caseId);
    }

    // ── drawing ──

    /// @dev Draws a panel and opens its windows; says whether enough may sit.
    function _draw(Search memory search, bytes32 caseId, uint8 round) private returns (bool) {
        bytes memory numbers = _choose(search, round == FIRST ? PANEL_SIZE : APPEAL_SIZE);
        if (numbers.length == 0) return false;
        Bench storage bench = _benches[caseId][round];
        uint8 draws = bench.draws + 1;
        delete _benches[caseId][round];
        // At most 9.
        (bench.size, bench.draws, bench.open) = (uint8(numbers.length), draws, true);
        bench.recuseBy = _packed(_now() + _days(Periods.RECUSE_DAYS));
        bench.commitBy = _packed(bench.recuseBy + _days(Periods.COMMIT_DAYS));
        bench.revealBy = _packed(bench.commitBy + _days(Periods.REVEAL_DAYS));
        bytes16[] memory creds = _seat(bench, numbers);

        emit PanelDrawn(caseId, round, creds, bench.commitBy, bench.revealBy);
        return true;
    }

    /// @dev Gives each number a seat on the panel.
    function _seat(Bench storage bench, bytes memory numbers)
        private
        returns (bytes16[] memory creds)
    {
        creds = new bytes16[](numbers.length);
        for (uint256 i = 0; i < numbers.length; ++i) {
            Offer memory offer = _offers[uint8(numbers[i])];
            Judge storage judge = bench.judges.push();
            (judge.inst, judge.cred) = (offer.inst, offer.cred);
            _places[offer.inst].lastServed = _packed(_now());
            creds[i] = offer.cred;
        }
    }

    /// @dev Walks the queue until `wanted` may sit, and takes them: the largest odd number of them,
    /// at least 3 of a whole panel, else none. Who was taken, or could not serve at all, goes to
    /// the end of the queue; who may only not sit in this case keeps its place.
    function _choose(Search memory search, uint256 wanted) private returns (bytes memory numbers) {
        bytes memory queue = _queue;
        uint256 walk = Math.min(queue.length, WALK_MAX);
        uint256 seen = 0;
        while (seen < walk && search.chosen.length < wanted) {
            _consider(search, queue[seen]);
            ++seen;
        }
        _addReserve(search, wanted);

        numbers = search.chosen;
        if (numbers.length % 2 == 0 && numbers.length != 0) {
            numbers = Bytes.slice(numbers, 0, numbers.length - 1);
        }
        if (wanted != 1 && numbers.length < PANEL_MIN) numbers = "";
        _moveBack(queue, seen, bytes.concat(search.passed, numbers));
        if (search.passed.length != 0) emit SeatsPassedOver(_institutionsOf(search.passed));
    }

    /// @dev Looks at one seat and notes what it is good for.
    function _consider(Search memory search, bytes1 number) private view {
        Offer memory offer = _offers[uint8(number)];
        if (_isConflicted(search, offer.inst)) return;
        (IInstitutionRegistry.Status status, uint32 group) =
            search.institutions.standing(offer.inst);
        if (_sharesGroup(search, group)) return;
        if (!_canServe(search, offer, status)) {
            search.passed = bytes.concat(search.passed, number);
        } else if (_contains(search.former, offer.inst)) {
            search.reserve = bytes.concat(search.reserve, number);
        } else {
            search.chosen = bytes.concat(search.chosen, number);
            _noteGroup(search, group);
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

    /// @dev Fills up with members of the first panel, each of a group that is not yet there.
    function _addReserve(Search memory search, uint256 wanted) private view {
        uint256 i = 0;
        while (i < search.reserve.length && search.chosen.length < wanted) {
            bytes1 number = search.reserve[i];
            (, uint32 group) = search.institutions.standing(_offers[uint8(number)].inst);
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
        if (moved.length == 0) return;
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

    // ── who may not sit ──

    /// @dev A search in a case that Supervision knows.
    function _searchFor(bytes32 caseId, uint8 round) private view returns (Search memory search) {
        ISupervision.Case memory c = _supervision().caseOf(caseId);
        search = _newSearch(c.complainant, c.respondent);
        if (round == SECOND) search.former = _sittingOn(_benches[caseId][FIRST]);
    }

    /// @dev Notes the parties, who vouched for them, and their groups.
    function _newSearch(bytes16 complainant, bytes16 respondent)
        private
        view
        returns (Search memory search)
    {
        search.institutions = _institutions();
        search.sanctions = _sanctions();
        bytes16[2] memory parties = [complainant, respondent];
        for (uint256 i = 0; i < 2; ++i) {
            bytes16 party = Parties.principalOf(DIRECTORY, parties[i]);
            (bytes16 first, bytes16 second) = search.institutions.sponsorsOf(party);
            search.barred[3 * i] = party;
            search.barred[3 * i + 1] = first;
            search.barred[3 * i + 2] = second;
            (, uint32 group) = search.institutions.standing(party);
            _noteGroup(search, group);
        }
    }

    /// @dev Notes who sits on a panel already, and their groups.
    function _noteSitting(Search memory search, Bench storage bench) private view {
        search.sitting = _sittingOn(bench);
        for (uint256 i = 0; i < search.sitting.length; ++i) {
            (, uint32 group) = search.institutions.standing(search.sitting[i]);
            _noteGroup(search, group);
        }
    }

    /// @dev Institutions that sit on a panel; 0 for a vacant seat.
    function _sittingOn(Bench storage bench) private view returns (bytes16[] memory insts) {
        insts = new bytes16[](bench.judges.length);
        for (uint256 i = 0; i < insts.length; ++i) {
            insts[i] = bench.judges[i].inst;
        }
    }

    /// @dev Whether an institution is a party, vouched for one, or sits already.
    function _isConflicted(Search memory search, bytes16 inst) private pure returns (bool) {
        for (uint256 i = 0; i < search.barred.length; ++i) {
            if (search.barred[i] == inst) return true;
        }
        return _contains(search.sitting, inst);
    }

    /// @dev Whether a group is a party's, or on the panel already. Group 0 is none.
    function _sharesGroup(Search memory search, uint32 group) private pure returns (bool) {
        for (uint256 i = 0; i < search.groupCount; ++i) {
            if (search.groups[i] == group) return true;
        }
        return false;
    }

    function _noteGroup(Search memory search, uint32 group) private pure {
        if (group != 0) search.groups[search.groupCount++] = group;
    }

    function _contains(bytes16[] memory list, bytes16 inst) private pure returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == inst) return true;
        }
        return false;
    }

    function _institutionsOf(bytes memory numbers) private view returns (bytes16[] memory insts) {
        insts = new bytes16[](numbers.length);
        for (uint256 i = 0; i < insts.length; ++i) {
            insts[i] = _offers[uint8(numbers[i])].inst;
        }
    }

    // ── counting ──

    /// @dev The verdict of more than half of the revealed votes, and the lower median of its
    /// severities; NotProven if no verdict has that many.
    function _count(Judge[] memory judges) private pure returns (uint8 ruling, uint8 severity) {
        uint8[3][3] memory votes;
        for (uint256 i = 0; i < judges.length; ++i) {
            Judge memory judge = judges[i];
            if (judge.verdict != 0) ++votes[judge.verdict - 1][judge.severity - 1];
        }
        return Votes.decide(votes);
    }

    /// @dev Credits those who revealed a vote.
    function _thank(Judge[] memory judges) private {
        IIncentives incentives = _incentives();
        for (uint256 i = 0; i < judges.length; ++i) {
            if (judges[i].verdict != 0) incentives.accrue(judges[i].inst, 0, PANEL_SERVICE, 0, 0);
        }
    }

    /// @dev The ruling that the votes amount to.
    function _withQuorum(bytes32 caseId, uint8 round, Judge[] memory judges) private {
        (uint8 ruling, uint8 severity) = _count(judges);
        if (round == SECOND) _settleAppeal(caseId, ruling, severity);
        _conclude(caseId, round, ruling, severity);
    }

    /// @dev A second draw, once; then the ruling that silence leaves.
    function _withoutQuorum(bytes32 caseId, uint8 round, uint8 draws) private {
        if (draws < DRAWS_MAX && _draw(_searchFor(caseId, round), caseId, round)) return;
        if (round == FIRST) return _conclude(caseId, round, Codes.NOT_PROVEN, 0);
        _letStand(caseId);
    }

    /// @dev The first ruling stands, since nobody heard the appeal; its bond comes back.
    function _letStand(bytes32 caseId) private {
        ISupervision.Case memory c = _supervision().caseOf(caseId);
        _releaseBond(caseId);
        _conclude(caseId, SECOND, c.ruling, c.severity);
    }

    function _conclude(bytes32 caseId, uint8 round, uint8 ruling, uint8 severity) private {
        emit PanelTallied(caseId, round, ruling, severity);
        _supervision().deliverRuling(caseId, ruling, severity);
    }

    /// @dev Burns the appeal's bond if the ruling is against the party again and no milder.
    function _settleAppeal(bytes32 caseId, uint8 ruling, uint8 severity) private {
        ISupervision.Case memory c = _supervision().caseOf(caseId);
        if (!Votes.confirms(c.ruling, c.severity, ruling, severity)) return _releaseBond(caseId);
        Appeal memory a = _appeals[caseId];
        if (a.bond != 0) _incentives().burn(_bondOf(caseId, a.by));
    }

    function _releaseBond(bytes32 caseId) private {
        Appeal memory a = _appeals[caseId];
        if (a.bond != 0) _incentives().unlock(_bondOf(caseId, a.by));
    }

    /// @dev Under which name Incentives holds an appeal's bond.
    function _bondOf(bytes32 caseId, bytes16 by) private pure returns (bytes32) {
        return keccak256(abi.encode(caseId, by));
    }

    function _equalInterims(Judge[] storage judges, uint8 level, uint64 until)
        private
        view
        returns (uint256 count)
    {
        for (uint256 i = 0; i < judges.length; ++i) {
            Judge storage judge = judges[i];
            if (judge.interimLevel == level && judge.interimUntil == until) ++count;
        }
    }

    // ── checks ──

    /// @dev The panel that sits in a case.
    function _sitting(bytes32 caseId) private view returns (Bench storage bench) {
        bench = _benches[caseId][_rounds[caseId]];
        if (!bench.open) revert NotSitting(caseId);
    }

    /// @dev The panel that sits in a case, if it is this round's.
    function _sittingIn(bytes32 caseId, uint8 round) private view returns (Bench storage bench) {
        bench = _sitting(caseId);
        if (round != _rounds[caseId]) revert SeqMismatch(round, _rounds[caseId]);
    }

    /// @dev The seat of a credential on a panel.
    function _judge(Bench storage bench, bytes16 cred) private view returns (Judge storage judge) {
        Judge[] storage judges = bench.judges;
        for (uint256 i = 0; i < judges.length; ++i) {
            judge = judges[i];
            if (judge.cred == cred && cred != 0) return judge;
        }
        revert NotOnPanel(cred);
    }

    /// @dev Checks that the credential itself signed, and still may judge.
    function _requireJudge(address signer, Judge storage judge) private view {
        bytes16 subject = _requireActor(signer, judge.inst, Roles.PANELIST);
        if (subject != judge.cred) revert NotParty(judge.cred, signer);
    }

    /// @dev Checks that an institution is a full member, not on probation.
    function _requireMember(bytes16 inst) private view {
        (IInstitutionRegistry.Status status,) = _institutions().standing(inst);
        if (status != IInstitutionRegistry.Status.Active) revert NotActive(inst, uint8(status));
    }

    function _requireRevealTime(Bench storage bench) private view {
        bool early = _now() <= bench.commitBy && bench.committed + bench.vacant < bench.size;
        if (early) revert TooEarly(uint64(bench.commitBy) + 1);
        if (_now() > bench.revealBy) revert TooLate(bench.revealBy);
    }

    /// @dev Over is the vote when its time is, or when nobody can commit any more and all that was
    /// committed is revealed.
    function _requireVoteOver(Bench storage bench) private view {
        if (_now() > bench.revealBy) return;
        bool closed = _now() > bench.commitBy || bench.committed + bench.vacant == bench.size;
        if (!closed || bench.revealed < bench.committed) {
            revert TooEarly(uint64(bench.revealBy) + 1);
        }
    }

    // ── other modules ──

    function _supervision() private view returns (ISupervision) {
        return ISupervision(_module(Codes.SUPERVISION));
    }

    function _sanctions() private view returns (ISanctions) {
        return ISanctions(_module(Codes.SANCTIONS));
    }

    function _incentives() private view returns (IIncentives) {
        return IIncentives(_module(Codes.INCENTIVES));
    }
}
