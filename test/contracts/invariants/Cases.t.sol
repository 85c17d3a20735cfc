// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IArbitration} from "../../../contracts/interfaces/IArbitration.sol";
import {ISanctions} from "../../../contracts/interfaces/ISanctions.sol";
import {ISupervision} from "../../../contracts/interfaces/ISupervision.sol";
import {PanelBase} from "../PanelBase.t.sol";

/// @notice Invariants S1, S2 and S3: whatever parties, judges, strangers and time do to cases.
/// @dev The functions between the lines are what the fuzzer calls, in any order; whatever is
/// refused counts as silence.
contract CasesInvariantTest is PanelBase {
    uint256 private constant CASES_MAX = 3;
    uint256 private constant JUDGES = 12;
    uint256 private constant DUE_CALLS_MAX = 9;

    bytes32[] private _ids;
    bytes32[3] private _subjects;
    /// @dev Of the judges; they stay what they are.
    mapping(bytes16 inst => uint32) private _groups;

    function setUp() public override {
        super.setUp();
        _judges(JUDGES);
        // 0 and 1 are of one group, 2 is of the north's; 11 belongs to nobody's.
        vm.startPrank(admin);
        institutions.setClass(peers[1].inst, TIER, 100);
        institutions.setClass(peers[2].inst, TIER, 1);
        institutions.setClass(peers[11].inst, TIER, 0);
        vm.stopPrank();
        for (uint256 i = 0; i < JUDGES; ++i) {
            _groups[peers[i].inst] = institutions.institution(peers[i].inst).group;
        }
        _credit(NORTH);
        _credit(SOUTH);
        _subjects = [_offered(), _requested(), _keyOverdue()];
        bytes4[] memory selectors = new bytes4[](12);
        selectors[0] = this.complain.selector;
        selectors[1] = this.answer.selector;
        selectors[2] = this.addEvidence.selector;
        selectors[3] = this.endEarly.selector;
        selectors[4] = this.due.selector;
        selectors[5] = this.recuseOne.selector;
        selectors[6] = this.commitOne.selector;
        selectors[7] = this.revealOne.selector;
        selectors[8] = this.voteOne.selector;
        selectors[9] = this.appealOne.selector;
        selectors[10] = this.shakePool.selector;
        selectors[11] = this.wait.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    // ──────────────────────────────────────────────────────────────

    function complain(uint256 pick, bool byNorth) external {
        if (_ids.length == CASES_MAX) return;
        ISupervision.Complaint memory c = _complaint(_subjects[pick % 3]);
        if (byNorth) (c.complainant, c.respondent) = (NORTH, SOUTH);
        vm.prank(byNorth ? north.addr : south.addr);
        try supervision.file(c) returns (bytes32 id) {
            _ids.push(id);
        } catch {}
    }

    function answer(uint256 pick) external {
        bytes32 id = _pick(pick);
        vm.prank(_accountOf(supervision.caseOf(id).respondent));
        try supervision.respond(id, keccak256("answer")) {} catch {}
    }

    function addEvidence(uint256 pick, uint8 who) external {
        bytes16 by = who % 3 == 0 ? NORTH : who % 3 == 1 ? SOUTH : INSPECTORATE;
        vm.prank(_accountOf(by));
        try supervision.submitEvidence(_pick(pick), by, keccak256("piece")) {} catch {}
    }

    /// @dev Concession, withdrawal or rule: rare, so that most cases reach their panel.
    function endEarly(uint256 pick, uint8 how) external {
        bytes32 id = _pick(pick);
        ISupervision.Case memory c = supervision.caseOf(id);
        if (how % 32 == 0) {
            vm.prank(_accountOf(c.respondent));
            try supervision.concede(id) {} catch {}
        } else if (how % 32 == 1) {
            vm.prank(_accountOf(c.complainant));
            try supervision.withdrawComplaint(id) {} catch {}
        } else if (how % 32 == 2) {
            try supervision.closeByRule(id) {} catch {}
        }
    }

    /// @dev A stranger moves a case on.
    function due(uint256 pick) external {
        bytes32 id = _pick(pick);
        try this.moveOn(id) {} catch {}
    }

    function recuseOne(uint256 pick, uint256 seat, uint8 whether) external {
        if (whether % 4 != 0) return;
        (bytes32 id, bytes16 cred) = _member(pick, seat);
        vm.prank(_panelistOf(cred));
        try arbitration.recuse(id, cred) {} catch {}
    }

    function commitOne(uint256 pick, uint256 seat, uint8 vote) external {
        (bytes32 id, bytes16 cred) = _member(pick, seat);
        uint8 round = arbitration.roundOf(id);
        (uint8 verdict, uint8 severity) = (1 + vote % 3, 1 + (vote / 3) % 3);
        bytes32 commitment = _commitment(id, round, cred, verdict, severity);
        vm.prank(_panelistOf(cred));
        try arbitration.commitVote(id, round, cred, commitment) {} catch {}
    }

    /// @dev Shows the vote that fits, of the nine there are.
    function revealOne(uint256 pick, uint256 seat) external {
        (bytes32 id, bytes16 cred) = _member(pick, seat);
        uint8 round = arbitration.roundOf(id);
        for (uint8 v = 0; v < 9; ++v) {
            try arbitration.revealVote(id, round, cred, 1 + v % 3, 1 + v / 3, VOTE_SALT) {
                return;
            } catch {}
        }
    }

    function voteOne(uint256 pick, uint256 seat, uint8 level) external {
        (bytes32 id, bytes16 cred) = _member(pick, seat);
        uint64 until = (_now() / DAY + 3) * DAY;
        vm.prank(_panelistOf(cred));
        try arbitration.voteInterim(id, cred, 3 + level % 2, until) {} catch {}
    }

    function appealOne(uint256 pick, bool byNorth) external {
        bytes16 by = byNorth ? NORTH : SOUTH;
        vm.prank(_accountOf(by));
        try arbitration.appeal(_pick(pick), by, keccak256("grounds")) {} catch {}
    }

    /// @dev A judge goes, comes back, or is suspended for a while.
    function shakePool(uint256 pick, uint8 how) external {
        Peer storage p = peers[pick % JUDGES];
        if (how % 8 == 0) {
            vm.prank(p.account.addr);
            try judgePool.leavePool(p.inst) {} catch {}
        } else if (how % 8 < 4) {
            vm.prank(p.account.addr);
            try judgePool.join(p.inst, p.cred) {} catch {}
        } else if (how % 8 == 4) {
            vm.prank(address(sanctions));
            try institutions.setSuspended(p.inst, _now() + 5 * DAY, 0) {} catch {}
        }
    }

    function wait(uint32 secs) external {
        vm.warp(_now() + secs % (4 days));
    }

    // ──────────────────────────────────────────────────────────────

    /// @dev The call that anyone may make once a case's time has come.
    function moveOn(bytes32 id) external {
        ISupervision.Stage stage = _stageOf(id);
        if (stage == ISupervision.Stage.Panel) arbitration.tally(id);
        else if (stage == ISupervision.Stage.Ruled) supervision.execute(id);
        else supervision.advance(id);
    }

    function _pick(uint256 pick) private view returns (bytes32) {
        return _ids.length == 0 ? bytes32(0) : _ids[pick % _ids.length];
    }

    function _member(uint256 pick, uint256 seat) private view returns (bytes32 id, bytes16 cred) {
        id = _pick(pick);
        IArbitration.Panel memory p = _panel(id);
        if (p.size != 0) cred = p.members[seat % p.size].cred;
    }

    function _accountOf(bytes16 inst) private view returns (address) {
        if (inst == NORTH) return north.addr;
        return inst == SOUTH ? south.addr : inspectorate.addr;
    }

    function _panelistOf(bytes16 cred) private view returns (address) {
        return cred == 0 ? stranger : peers[_peerOf(cred)].panelist.addr;
    }

    function _isClosed(ISupervision.Stage stage) private pure returns (bool) {
        return stage == ISupervision.Stage.Executed || stage == ISupervision.Stage.Withdrawn;
    }

    // ── S1 ──

    /// @dev After each run everybody is silent but a stranger, who calls what is due when it is
    /// due.
    function afterInvariant() public {
        uint64 start = _now();
        for (uint256 i = 0; i < _ids.length; ++i) {
            uint256 calls = 0;
            while (!_isClosed(_stageOf(_ids[i]))) {
                assertLt(calls++, DUE_CALLS_MAX, "one call a stage");
                _waitFor(_ids[i]);
                this.moveOn(_ids[i]);
            }
            assertLe(_now(), start + 57 * DAY + DUE_CALLS_MAX, "57 days");
            vm.warp(start);
        }
    }

    function _waitFor(bytes32 id) private {
        uint64 last = _stageOf(id) == ISupervision.Stage.Panel
            ? _panel(id).revealBy
            : supervision.caseOf(id).deadline;
        if (_now() <= last) vm.warp(last + 1);
    }

    // ── S2 ──

    function invariant_CasesFollowTheirRules() public view {
        _checkSanctions();
        _checkLevels();
        _checkBonds();
        for (uint256 i = 0; i < _ids.length; ++i) {
            for (uint8 round = 1; round <= 2; ++round) {
                _checkPanel(_ids[i], round);
            }
        }
    }

    function _checkPanel(bytes32 id, uint8 round) private view {
        IArbitration.Panel memory p = arbitration.panel(id, round);
        if (p.size == 0) return;
        assertEq(p.size % 2, 1, "odd");
        assertLe(p.size, round == 1 ? 5 : 9);
        assertGe(p.size, 3);
        uint256 committed = 0;
        uint256 revealed = 0;
        for (uint256 i = 0; i < p.size; ++i) {
            IArbitration.Member memory m = p.members[i];
            if (m.inst != 0) _checkMember(p, i);
            if (m.commitment != 0) ++committed;
            if (m.verdict == 0) continue;
            ++revealed;
            bytes32 shown = _commitment(id, round, m.cred, m.verdict, m.severity);
            assertEq(m.commitment, shown, "what is shown is what was committed");
        }
        assertEq(p.committed, committed);
        assertEq(p.revealed, revealed);
    }

    /// @dev Groups are constant here, and no party was sponsored.
    function _checkMember(IArbitration.Panel memory p, uint256 i) private view {
        bytes16 inst = p.members[i].inst;
        assertTrue(inst != NORTH && inst != SOUTH, "no party sits");
        uint32 group = _groups[inst];
        assertTrue(group != 1 && group != 2, "no group of a party sits");
        for (uint256 k = 0; k < i; ++k) {
            assertTrue(p.members[k].inst != inst, "one seat an institution");
            assertTrue(group == 0 || _groups[p.members[k].inst] != group, "one seat a group");
        }
    }

    // ── S3 ──

    /// @dev A sanction is an executed ruling's, or a panel's interim one, which ends with its case.
    function _checkSanctions() private view {
        for (uint256 i = 0; i < _ids.length; ++i) {
            ISupervision.Case memory c = supervision.caseOf(_ids[i]);
            bool punished = c.stage == ISupervision.Stage.Executed && c.ruling == UPHELD;
            ISanctions.Sanction memory s =
                sanctions.sanction(keccak256(abi.encode(_ids[i], c.respondent)));
            assertEq(s.status != ISanctions.Status.None, punished, "a sanction is a ruling's");
            ISanctions.Sanction memory interim =
                sanctions.sanction(keccak256(abi.encode(_ids[i], c.respondent, true)));
            if (interim.status == ISanctions.Status.None) continue;
            assertLe(interim.until, interim.from + 14 * DAY, "an interim one is short");
            bool runs = interim.status == ISanctions.Status.InForce && _now() < interim.until;
            assertFalse(runs && c.stage == ISupervision.Stage.Executed, "and ends with its case");
        }
    }

    /// @dev No sanction outlives its end, and who is suspended is so exactly as long.
    function _checkLevels() private view {
        bytes16[2] memory parties = [NORTH, SOUTH];
        for (uint256 i = 0; i < 2; ++i) {
            bytes32[] memory ids = sanctions.sanctions(parties[i]);
            uint8 highest = 0;
            for (uint256 k = 0; k < ids.length; ++k) {
                ISanctions.Sanction memory s = sanctions.sanction(ids[k]);
                if (_now() < s.until && s.level > highest) highest = s.level;
            }
            assertEq(sanctions.levelOf(parties[i]), highest);
            assertEq(institutions.isActive(parties[i]), highest < 4, "suspended exactly then");
        }
    }

    // ── bonds ──

    /// @dev Locked credits are the bonds of what is open.
    function _checkBonds() private view {
        uint256 bonds = 0;
        for (uint256 i = 0; i < _ids.length; ++i) {
            ISupervision.Case memory c = supervision.caseOf(_ids[i]);
            if (!_isClosed(c.stage)) bonds += c.bond;
            IArbitration.Appeal memory a = arbitration.appealOf(_ids[i]);
            if (c.round == 2 && c.stage == ISupervision.Stage.Panel) bonds += a.bond;
        }
        uint256 locked =
            uint256(incentives.creditsOf(NORTH).locked) + incentives.creditsOf(SOUTH).locked;
        assertEq(locked, bonds);
    }
}
