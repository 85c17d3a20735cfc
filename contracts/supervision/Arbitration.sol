// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IArbitration} from "../interfaces/IArbitration.sol";
import {IIncentives} from "../interfaces/IIncentives.sol";
import {IJudgePool} from "../interfaces/IJudgePool.sol";
import {ISupervision} from "../interfaces/ISupervision.sol";
import {Codes} from "../libraries/Codes.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";
import {SanctionRules} from "../libraries/SanctionRules.sol";
import {Votes} from "../libraries/Votes.sol";

/// @title Arbitration: panels and their votes.
contract Arbitration is Module, IArbitration {
    // ── types ──

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

    // ── constants ──

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

    uint8 private constant PANEL_SIZE = 5;
    uint8 private constant APPEAL_SIZE = 9;
    uint8 private constant FIRST = 1;
    uint8 private constant SECOND = 2;
    uint8 private constant DRAWS_MAX = 2;
    /// @dev Credits behind an appeal, in µcredits.
    uint64 private constant APPEAL_BOND = 20_000_000;
    /// @dev Kind of accrual in Incentives.
    uint8 private constant PANEL_SERVICE = 4;

    // ── storage ──

    mapping(bytes32 caseId => uint8) private _rounds;
    mapping(bytes32 caseId => mapping(uint8 round => Bench)) private _benches;
    mapping(bytes32 caseId => Appeal) private _appeals;

    constructor(address authority, address directory) Module(authority, directory, "Arbitration") {}

    // ── a panel's life ──

    /// @inheritdoc IArbitration
    function drawPanel(bytes32 caseId, bytes16 complainant, bytes16 respondent)
        external
        restricted
    {
        if (_rounds[caseId] != 0) revert Exists(caseId);
        _rounds[caseId] = FIRST;
        if (!_draw(caseId, complainant, respondent)) _conclude(caseId, Codes.NOT_PROVEN, 0);
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
        bench.open = false;

        // The panel sits no more, so that a call back would find none.
        // slither-disable-next-line reentrancy-no-eth
        _thank(bench.judges);
        if (bench.revealed > bench.size / 2) _withQuorum(caseId, bench.judges);
        else _withoutQuorum(caseId, bench.draws);
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
    function panel(bytes32 caseId, uint8 round) external view returns (Panel memory p) {
        Bench storage bench = _benches[caseId][round];
        p = Panel({
            size: bench.size,
            draws: bench.draws,
            open: bench.open,
            committed: bench.committed,
            revealed: bench.revealed,
            recuseBy: bench.recuseBy,
            commitBy: bench.commitBy,
            revealBy: bench.revealBy,
            members: new Member[](bench.judges.length)
        });
        for (uint256 i = 0; i < p.members.length; ++i) {
            Judge storage judge = bench.judges[i];
            p.members[i] =
                Member(judge.inst, judge.cred, judge.commitment, judge.verdict, judge.severity);
        }
    }

    /// @inheritdoc IArbitration
    function roundOf(bytes32 caseId) external view returns (uint8) {
        return _rounds[caseId];
    }

    /// @inheritdoc IArbitration
    function appealOf(bytes32 caseId) external view returns (Appeal memory) {
        return _appeals[caseId];
    }

    // ── acts: votes ──

    function _recuse(address signer, bytes32 caseId, bytes16 cred) private {
        Bench storage bench = _sitting(caseId);
        Judge storage judge = _judge(bench, cred);
        _requireJudge(signer, judge);
        _requireInTime(bench.recuseBy);

        bytes16 next = _replace(caseId, bench, judge);

        emit SeatRecused(caseId, cred, next);
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
        _requireInTime(bench.commitBy);
        _requireBetween(uint256(commitment), 1, type(uint256).max);
        if (judge.commitment != 0) revert Exists(cred);

        judge.commitment = commitment;
        ++bench.committed;

        emit VoteCommitted(caseId, round, cred, commitment);
    }

    function _voteInterim(address signer, bytes32 caseId, bytes16 cred, uint8 level, uint64 until)
        private
    {
        Bench storage bench = _sitting(caseId);
        Judge storage judge = _judge(bench, cred);
        _requireJudge(signer, judge);
        _requireBetween(level, SanctionRules.QUOTA_CUT, SanctionRules.SUSPENDED);
        _requireBetween(until, _now() + 1, _now() + _days(Periods.INTERIM_DAYS));
        (judge.interimLevel, judge.interimUntil) = (level, _packed(until));
        bool enough = _equalInterims(bench.judges, level, until) >= Math.ceilDiv(2 * bench.size, 3);

        emit InterimVoted(caseId, cred, level, until);
        if (!enough) return;
        bytes16 respondent = _caseOf(caseId).respondent;
        _sanctions().interim(caseId, respondent, level, until);
    }

    function _appeal(address signer, bytes32 caseId, bytes16 by, bytes32 groundsHash) private {
        ISupervision.Case memory c = _caseOf(caseId);
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
        if (!_draw(caseId, c.complainant, c.respondent)) _letStand(caseId);
    }

    // ── drawing ──

    /// @dev Draws a panel and opens its windows; says whether enough may sit.
    function _draw(bytes32 caseId, bytes16 complainant, bytes16 respondent) private returns (bool) {
        uint8 round = _rounds[caseId];
        uint8 wanted = round == FIRST ? PANEL_SIZE : APPEAL_SIZE;
        // It stays empty.
        // slither-disable-next-line uninitialized-local
        bytes16[] memory none;
        // JudgePool draws from a list of its own and asks others for views only: none calls back.
        // slither-disable-next-line reentrancy-no-eth
        IJudgePool.Seat[] memory seats =
            _pool().draw([complainant, respondent], none, _formerOf(caseId), wanted);
        if (seats.length == 0) return false;
        Bench storage bench = _benches[caseId][round];
        uint8 draws = bench.draws + 1;
        delete _benches[caseId][round];
        // At most 9.
        (bench.size, bench.draws, bench.open) = (uint8(seats.length), draws, true);
        bench.recuseBy = _packed(_now() + _days(Periods.RECUSE_DAYS));
        bench.commitBy = _packed(bench.recuseBy + _days(Periods.COMMIT_DAYS));
        bench.revealBy = _packed(bench.commitBy + _days(Periods.REVEAL_DAYS));
        bytes16[] memory creds = _seat(bench, seats);

        emit PanelDrawn(caseId, round, creds, bench.commitBy, bench.revealBy);
        return true;
    }

    /// @dev Draws again in a case that Supervision knows.
    function _drawAgain(bytes32 caseId) private returns (bool) {
        ISupervision.Case memory c = _caseOf(caseId);
        return _draw(caseId, c.complainant, c.respondent);
    }

    function _seat(Bench storage bench, IJudgePool.Seat[] memory seats)
        private
        returns (bytes16[] memory creds)
    {
        creds = new bytes16[](seats.length);
        for (uint256 i = 0; i < seats.length; ++i) {
            Judge storage judge = bench.judges.push();
            (judge.inst, judge.cred) = (seats[i].inst, seats[i].cred);
            creds[i] = seats[i].cred;
        }
    }

    /// @dev Gives a seat to the next who may take it, or leaves it vacant.
    function _replace(bytes32 caseId, Bench storage bench, Judge storage judge)
        private
        returns (bytes16 next)
    {
        ISupervision.Case memory c = _caseOf(caseId);
        IJudgePool.Seat[] memory seats =
            _pool().draw([c.complainant, c.respondent], _sittingOn(bench), _formerOf(caseId), 1);
        (judge.inst, judge.cred, judge.interimLevel, judge.interimUntil) = (0, 0, 0, 0);
        if (seats.length == 0) ++bench.vacant;
        else (judge.inst, judge.cred) = (seats[0].inst, seats[0].cred);
        return judge.cred;
    }

    /// @dev Institutions that sit on a panel; 0 for a vacant seat.
    function _sittingOn(Bench storage bench) private view returns (bytes16[] memory insts) {
        insts = new bytes16[](bench.judges.length);
        for (uint256 i = 0; i < insts.length; ++i) {
            insts[i] = bench.judges[i].inst;
        }
    }

    /// @dev On appeal, who sat on the first panel.
    function _formerOf(bytes32 caseId) private view returns (bytes16[] memory insts) {
        if (_rounds[caseId] == SECOND) insts = _sittingOn(_benches[caseId][FIRST]);
    }

    // ── counting ──

    /// @dev The verdict of more than half of the revealed votes, and the lower median of its
    /// severities; NotProven if no verdict has that many.
    function _count(Judge[] storage judges) private view returns (uint8 ruling, uint8 severity) {
        // All counts begin at 0.
        // slither-disable-next-line uninitialized-local
        uint256[9] memory votes;
        for (uint256 i = 0; i < judges.length; ++i) {
            Judge storage judge = judges[i];
            if (judge.verdict != 0) ++votes[3 * judge.verdict + judge.severity - 4];
        }
        return Votes.decide(votes);
    }

    /// @dev Credits those who revealed a vote.
    function _thank(Judge[] storage judges) private {
        IIncentives incentives = _incentives();
        for (uint256 i = 0; i < judges.length; ++i) {
            if (judges[i].verdict != 0) incentives.accrue(judges[i].inst, 0, PANEL_SERVICE, 0, 0);
        }
    }

    /// @dev The ruling that the votes amount to.
    function _withQuorum(bytes32 caseId, Judge[] storage judges) private {
        (uint8 ruling, uint8 severity) = _count(judges);
        if (_rounds[caseId] == SECOND) _settleAppeal(caseId, ruling, severity);
        _conclude(caseId, ruling, severity);
    }

    /// @dev A second draw, once; then the ruling that silence leaves.
    function _withoutQuorum(bytes32 caseId, uint8 draws) private {
        if (draws < DRAWS_MAX && _drawAgain(caseId)) return;
        if (_rounds[caseId] == FIRST) _conclude(caseId, Codes.NOT_PROVEN, 0);
        else _letStand(caseId);
    }

    /// @dev The first ruling stands, since nobody heard the appeal; its bond comes back.
    function _letStand(bytes32 caseId) private {
        ISupervision.Case memory c = _caseOf(caseId);
        _returnBond(caseId, false);
        _conclude(caseId, c.ruling, c.severity);
    }

    function _conclude(bytes32 caseId, uint8 ruling, uint8 severity) private {
        emit PanelTallied(caseId, _rounds[caseId], ruling, severity);
        _supervision().deliverRuling(caseId, ruling, severity);
    }

    /// @dev Burns the appeal's bond if the ruling is against the party again and no milder.
    function _settleAppeal(bytes32 caseId, uint8 ruling, uint8 severity) private {
        ISupervision.Case memory c = _caseOf(caseId);
        _returnBond(caseId, Votes.confirms(c.ruling, c.severity, ruling, severity));
    }

    /// @dev Frees or burns an appeal's bond, if there is one.
    function _returnBond(bytes32 caseId, bool lost) private {
        Appeal memory a = _appeals[caseId];
        if (a.bond == 0) return;
        IIncentives incentives = _incentives();
        bytes32 ref = _bondOf(caseId, a.by);
        if (lost) incentives.burn(ref);
        else incentives.unlock(ref);
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
    // It is set before it is returned: who is not found reverts.
    // slither-disable-next-line uninitialized-storage
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

    function _requireRevealTime(Bench storage bench) private view {
        bool early = _now() <= bench.commitBy && bench.committed + bench.vacant < bench.size;
        if (early) revert TooEarly(uint64(bench.commitBy) + 1);
        _requireInTime(bench.revealBy);
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

    function _pool() private view returns (IJudgePool) {
        return IJudgePool(_module(Codes.JUDGE_POOL));
    }

    function _caseOf(bytes32 caseId) private view returns (ISupervision.Case memory) {
        return _supervision().caseOf(caseId);
    }

    function _supervision() private view returns (ISupervision) {
        return ISupervision(_module(Codes.SUPERVISION));
    }
}
