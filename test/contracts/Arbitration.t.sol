// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IArbitration} from "../../contracts/interfaces/IArbitration.sol";
import {IIncentives} from "../../contracts/interfaces/IIncentives.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {ISanctions} from "../../contracts/interfaces/ISanctions.sol";
import {ISupervision} from "../../contracts/interfaces/ISupervision.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {Votes} from "../../contracts/libraries/Votes.sol";
import {PanelBase} from "./PanelBase.t.sol";

/// @notice Panels, from the pool to the ruling (Arbitration.tree).
contract ArbitrationTest is PanelBase {
    uint64 private constant CREDIT = 1_000_000;

    function _relayed(Vm.Wallet memory by, string memory act, bytes memory parameters)
        private
        view
        returns (IModule.Auth memory)
    {
        return _consent(by, address(arbitration), "Arbitration", act, parameters);
    }

    function _inst(uint256 i) private view returns (bytes16) {
        return peers[i].inst;
    }

    function _member(bytes32 caseId, uint256 i) private view returns (uint256) {
        return _peerOf(_panel(caseId).members[i].cred);
    }

    /// @dev The panel of a case consists of these peers, in this order.
    function _seats(bytes32 caseId, uint8[] memory want) private view {
        IArbitration.Panel memory p = _panel(caseId);
        assertEq(p.size, want.length, "size");
        assertEq(p.members.length, want.length, "members");
        for (uint256 i = 0; i < want.length; ++i) {
            assertEq(_peerOf(p.members[i].cred), want[i], "member");
            assertEq(p.members[i].inst, _inst(want[i]), "member's institution");
        }
    }

    function _notOnPanel(bytes16 cred) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IArbitration.NotOnPanel.selector, cred);
    }

    function _notSitting(bytes32 caseId) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IArbitration.NotSitting.selector, caseId);
    }

    // ── drawPanel ──

    function test_DrawRefusals() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        arbitration.drawPanel(keccak256("case"), NORTH, SOUTH);
        _expect(_exists(caseId));
        vm.prank(address(supervision));
        arbitration.drawPanel(caseId, NORTH, SOUTH);
    }

    // ── recuse ──

    function test_RecuseSeatsTheNext() public {
        _judges(7);
        bytes32 caseId = _empanelled();
        vm.warp(_panel(caseId).recuseBy);
        vm.expectEmit(address(arbitration));
        emit IArbitration.SeatRecused(caseId, peers[2].cred, peers[5].cred);
        vm.prank(peers[2].panelist.addr);
        arbitration.recuse(caseId, peers[2].cred);
        _seats(caseId, _list(hex"0001050304"));
        _order(_list(hex"06000102030405"));
        assertEq(judgePool.seatOf(_inst(5)).lastServed, _now());
    }

    function test_RecuseBySignature() public {
        _judges(6);
        bytes32 caseId = _empanelled();
        arbitration.recuseBySig(
            caseId,
            peers[0].cred,
            _relayed(
                peers[0].panelist,
                "Recuse(bytes32 caseId,bytes16 cred,uint256 nonce,uint64 deadline)",
                abi.encode(caseId, peers[0].cred)
            )
        );
        _seats(caseId, _list(hex"0501020304"));
    }

    function test_RecuseLeavesTheSeatVacant() public {
        _judges(5);
        bytes32 caseId = _empanelled();
        vm.expectEmit(address(arbitration));
        emit IArbitration.SeatRecused(caseId, peers[2].cred, 0);
        vm.prank(peers[2].panelist.addr);
        arbitration.recuse(caseId, peers[2].cred);
        IArbitration.Panel memory p = _panel(caseId);
        assertEq(p.size, 5);
        assertEq(p.members[2].inst, 0);
        assertEq(p.members[2].cred, 0);
        _expect(_notOnPanel(0));
        vm.prank(stranger);
        arbitration.recuse(caseId, 0);
    }

    function test_RecuseKeepsTheRulesOfTheDraw() public {
        _judges(7);
        vm.prank(admin);
        institutions.setClass(_inst(5), TIER, 103);
        bytes32 caseId = _empanelled();
        vm.prank(peers[0].panelist.addr);
        arbitration.recuse(caseId, peers[0].cred);
        _seats(caseId, _list(hex"0601020304"));
    }

    function test_RecuseRefusals() public {
        _judges(6);
        bytes32 caseId = _empanelled();
        _expect(_notParty(_inst(0), peers[1].panelist.addr));
        vm.prank(peers[1].panelist.addr);
        arbitration.recuse(caseId, peers[0].cred);
        _expect(_notParty(peers[0].cred, peers[0].account.addr));
        vm.prank(peers[0].account.addr);
        arbitration.recuse(caseId, peers[0].cred);
        _expect(_notOnPanel(peers[5].cred));
        vm.prank(peers[5].panelist.addr);
        arbitration.recuse(caseId, peers[5].cred);
        _expect(_notSitting(keccak256("none")));
        vm.prank(peers[0].panelist.addr);
        arbitration.recuse(keccak256("none"), peers[0].cred);
        uint64 recuseBy = _panel(caseId).recuseBy;
        vm.warp(recuseBy + 1);
        _expect(_tooLate(recuseBy));
        vm.prank(peers[0].panelist.addr);
        arbitration.recuse(caseId, peers[0].cred);
    }

    // ── commitVote ──

    function test_CommitIsStoredAndTold() public {
        _judges(5);
        bytes32 caseId = _empanelled();
        vm.warp(_panel(caseId).recuseBy + 1);
        bytes32 commitment = keccak256("commitment");
        vm.expectEmit(address(arbitration));
        emit IArbitration.VoteCommitted(caseId, 1, peers[3].cred, commitment);
        vm.prank(peers[3].panelist.addr);
        arbitration.commitVote(caseId, 1, peers[3].cred, commitment);
        IArbitration.Panel memory p = _panel(caseId);
        assertEq(p.committed, 1);
        assertEq(p.members[3].commitment, commitment);
        assertEq(p.members[2].commitment, 0);
    }

    function test_CommitBySignature() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _toCommit(caseId);
        bytes32 commitment = keccak256("commitment");
        arbitration.commitVoteBySig(
            caseId,
            1,
            peers[0].cred,
            commitment,
            _relayed(
                peers[0].panelist,
                "CommitVote(bytes32 caseId,uint8 round,bytes16 cred,bytes32 commitment,uint256 nonce,uint64 deadline)",
                abi.encode(caseId, uint8(1), peers[0].cred, commitment)
            )
        );
        assertEq(_panel(caseId).members[0].commitment, commitment);
    }

    function test_CommitRefusals() public {
        _judges(4);
        bytes32 caseId = _empanelled();
        bytes16 cred = peers[0].cred;
        bytes32 commitment = keccak256("commitment");
        IArbitration.Panel memory p = _panel(caseId);

        vm.startPrank(peers[0].panelist.addr);
        _expect(_tooEarly(p.recuseBy + 1));
        arbitration.commitVote(caseId, 1, cred, commitment);
        vm.warp(p.commitBy);
        _expect(_outOfBounds(0, 1, type(uint256).max));
        arbitration.commitVote(caseId, 1, cred, 0);
        _expect(_seqMismatch(2, 1));
        arbitration.commitVote(caseId, 2, cred, commitment);
        _expect(_notParty(_inst(1), peers[0].panelist.addr));
        arbitration.commitVote(caseId, 1, peers[1].cred, commitment);
        _expect(_notOnPanel(peers[3].cred));
        arbitration.commitVote(caseId, 1, peers[3].cred, commitment);
        arbitration.commitVote(caseId, 1, cred, commitment);
        _expect(_exists(cred));
        arbitration.commitVote(caseId, 1, cred, commitment);
        vm.stopPrank();

        vm.prank(peers[2].account.addr);
        institutions.endPractitioner(peers[2].cred);
        _expect(_notParty(_inst(2), peers[2].panelist.addr));
        vm.prank(peers[2].panelist.addr);
        arbitration.commitVote(caseId, 1, peers[2].cred, commitment);

        vm.warp(p.commitBy + 1);
        _expect(_tooLate(p.commitBy));
        vm.prank(peers[1].panelist.addr);
        arbitration.commitVote(caseId, 1, peers[1].cred, commitment);
    }

    // ── revealVote ──

    function test_RevealIsStoredAndTold() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _toCommit(caseId);
        _commit(caseId, peers[1].cred, UPHELD, 2);
        _toReveal(caseId);
        vm.expectEmit(address(arbitration));
        emit IArbitration.VoteRevealed(caseId, 1, peers[1].cred, UPHELD, 2);
        vm.prank(stranger);
        arbitration.revealVote(caseId, 1, peers[1].cred, UPHELD, 2, VOTE_SALT);
        IArbitration.Panel memory p = _panel(caseId);
        assertEq(p.revealed, 1);
        assertEq(p.members[1].verdict, UPHELD);
        assertEq(p.members[1].severity, 2);
        _expect(_exists(peers[1].cred));
        arbitration.revealVote(caseId, 1, peers[1].cred, UPHELD, 2, VOTE_SALT);
    }

    function test_RevealAsSoonAsAllHaveCommitted() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _toCommit(caseId);
        uint64 commitBy = _panel(caseId).commitBy;
        for (uint256 i = 0; i < 3; ++i) {
            _expect(_tooEarly(commitBy + 1));
            arbitration.revealVote(caseId, 1, peers[0].cred, DISMISSED, 1, VOTE_SALT);
            _commit(caseId, peers[i].cred, DISMISSED, 1);
        }
        for (uint256 i = 0; i < 3; ++i) {
            _expect(_tooEarly(_panel(caseId).revealBy + 1));
            arbitration.tally(caseId);
            _reveal(caseId, peers[i].cred, DISMISSED, 1);
        }
        arbitration.tally(caseId);
        _rulingIs(caseId, DISMISSED, 0);
    }

    function test_RevealCountsVacantSeatsAsCommitted() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        vm.prank(peers[0].panelist.addr);
        arbitration.recuse(caseId, peers[0].cred);
        _toCommit(caseId);
        _commit(caseId, peers[1].cred, UPHELD, 1);
        _commit(caseId, peers[2].cred, UPHELD, 1);
        _reveal(caseId, peers[1].cred, UPHELD, 1);
        _reveal(caseId, peers[2].cred, UPHELD, 1);
        arbitration.tally(caseId);
        _rulingIs(caseId, UPHELD, 1);
    }

    function test_RevealRefusals() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        bytes16 cred = peers[0].cred;
        _toCommit(caseId);
        _commit(caseId, cred, UPHELD, 2);
        _toReveal(caseId);
        bytes32 want = _commitment(caseId, 1, cred, UPHELD, 2);
        _expect(_mismatch(_commitment(caseId, 1, cred, DISMISSED, 2), want));
        arbitration.revealVote(caseId, 1, cred, DISMISSED, 2, VOTE_SALT);
        _expect(_mismatch(_commitment(caseId, 1, cred, UPHELD, 3), want));
        arbitration.revealVote(caseId, 1, cred, UPHELD, 3, VOTE_SALT);
        _expect(_mismatch(_commitment(caseId, 1, peers[1].cred, UPHELD, 2), 0));
        arbitration.revealVote(caseId, 1, peers[1].cred, UPHELD, 2, VOTE_SALT);
        _expect(_outOfBounds(0, 1, 3));
        arbitration.revealVote(caseId, 1, cred, 0, 2, VOTE_SALT);
        _expect(_outOfBounds(4, 1, 3));
        arbitration.revealVote(caseId, 1, cred, 4, 2, VOTE_SALT);
        _expect(_outOfBounds(0, 1, 3));
        arbitration.revealVote(caseId, 1, cred, UPHELD, 0, VOTE_SALT);
        _expect(_outOfBounds(4, 1, 3));
        arbitration.revealVote(caseId, 1, cred, UPHELD, 4, VOTE_SALT);
        _expect(_seqMismatch(2, 1));
        arbitration.revealVote(caseId, 2, cred, UPHELD, 2, VOTE_SALT);
        _expect(_notOnPanel(NORTH));
        arbitration.revealVote(caseId, 1, NORTH, UPHELD, 2, VOTE_SALT);
        uint64 revealBy = _panel(caseId).revealBy;
        vm.warp(revealBy + 1);
        _expect(_tooLate(revealBy));
        arbitration.revealVote(caseId, 1, cred, UPHELD, 2, VOTE_SALT);
        vm.warp(revealBy);
        arbitration.revealVote(caseId, 1, cred, UPHELD, 2, VOTE_SALT);
    }

    /// @dev The vector of design/contracts.md section 3.10.
    function test_CommitmentVector() public pure {
        bytes32 caseId = 0x0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c;
        bytes16 cred = 0xcccccccccccccccccccccccccccccccc;
        bytes32 salt = 0x0909090909090909090909090909090909090909090909090909090909090909;
        assertEq(
            keccak256(abi.encode(caseId, uint8(1), cred, uint8(1), uint8(2), salt)),
            0x31212bc3e54dd5a3931b53b29cda04b028f8c645030b67d7ced73f6120860322
        );
    }

    // ── tally ──

    function test_TallyDeliversTheRulingAndThanks() public {
        _judges(5);
        bytes32 caseId = _empanelled();
        _vote(caseId, _list(hex"0101010200"), _list(hex"0202030100"));
        _toTally(caseId);
        vm.expectEmit(address(arbitration));
        emit IArbitration.PanelTallied(caseId, 1, UPHELD, 2);
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseRuled(caseId, 1, UPHELD, 2, _now() + 7 * DAY);
        vm.prank(stranger);
        arbitration.tally(caseId);
        assertFalse(_panel(caseId).open);
        for (uint256 i = 0; i < 5; ++i) {
            assertEq(incentives.creditsOf(_inst(i)).balance, i == 4 ? 0 : 15 * CREDIT, "thanks");
        }
        _expect(_notSitting(caseId));
        arbitration.tally(caseId);
    }

    function test_TallyNeedsMoreThanHalf() public {
        _judges(5);
        bytes32 caseId = _empanelled();
        _vote(caseId, _list(hex"0101020300"), _list(hex"0303030300"));
        _toTally(caseId);
        arbitration.tally(caseId);
        _rulingIs(caseId, NOT_PROVEN, 0);
    }

    function test_TallyIsPossibleOnceAllIsRevealed() public {
        _judges(5);
        bytes32 caseId = _empanelled();
        _vote(caseId, _list(hex"0303030000"), _list(hex"0101010000"));
        arbitration.tally(caseId);
        _rulingIs(caseId, ABUSIVE, 0);
    }

    function test_TallyRefusals() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        uint64 revealBy = _panel(caseId).revealBy;
        _expect(_tooEarly(revealBy + 1));
        arbitration.tally(caseId);
        _toCommit(caseId);
        _commit(caseId, peers[0].cred, UPHELD, 1);
        _toReveal(caseId);
        _expect(_tooEarly(revealBy + 1));
        arbitration.tally(caseId);
        _expect(_notSitting(keccak256("none")));
        arbitration.tally(keccak256("none"));
    }

    function test_TallyAfterTheCommitmentsIfThereAreNone() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _toReveal(caseId);
        arbitration.tally(caseId);
        assertEq(_panel(caseId).draws, 2);
    }

    function test_TallyDrawsASecondPanelWithoutAQuorum() public {
        _judges(8);
        bytes32 caseId = _empanelled();
        _vote(caseId, _list(hex"0101000000"), _list(hex"0202000000"));
        _toTally(caseId);
        arbitration.tally(caseId);
        IArbitration.Panel memory p = _panel(caseId);
        assertTrue(p.open);
        assertEq(p.draws, 2);
        assertEq(p.committed, 0, "votes of the first draw are gone");
        assertEq(p.revealed, 0);
        _seats(caseId, _list(hex"0506070001"));
        for (uint256 i = 0; i < 5; ++i) {
            assertEq(p.members[i].commitment, 0);
            assertEq(p.members[i].verdict, 0);
        }
        assertEq(incentives.creditsOf(_inst(0)).balance, 15 * CREDIT, "thanked all the same");
        _stageIs(caseId, ISupervision.Stage.Panel);

        _toTally(caseId);
        arbitration.tally(caseId);
        _rulingIs(caseId, NOT_PROVEN, 0);
        _stageIs(caseId, ISupervision.Stage.Ruled);
    }

    function test_TallyRulesNotProvenIfNobodyFollows() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        vm.prank(peers[0].account.addr);
        judgePool.leavePool(_inst(0));
        _toTally(caseId);
        arbitration.tally(caseId);
        _rulingIs(caseId, NOT_PROVEN, 0);
        assertEq(_panel(caseId).draws, 1);
        assertFalse(_panel(caseId).open);
    }

    // ── what votes amount to ──

    function testFuzz_MajorityAndMedian(uint8[9] memory verdicts, uint8[9] memory severities)
        public
        pure
    {
        uint256[9] memory votes;
        uint256[3] memory sums;
        for (uint256 i = 0; i < 9; ++i) {
            if (verdicts[i] % 4 == 3) continue;
            ++votes[3 * (verdicts[i] % 4) + severities[i] % 3];
            ++sums[verdicts[i] % 4];
        }
        uint256 all = sums[0] + sums[1] + sums[2];
        (uint8 ruling, uint8 severity) = Votes.decide(votes);
        for (uint256 v = 0; v < 3; ++v) {
            assertEq(ruling == v + 1, 2 * sums[v] > all, "more than half, or not");
        }
        if (ruling != UPHELD) {
            assertEq(severity, 0, "a severity is a verdict's of guilt");
            return;
        }
        uint256 below = 0;
        for (uint256 s = 0; s + 1 < severity; ++s) {
            below += votes[s];
        }
        assertLt(2 * below, sums[0], "less than half is milder");
        assertGe(2 * (below + votes[severity - 1]), sums[0], "at least half is not harder");
    }

    function test_ConfirmationsAreAgainstTheAppellantAndNoMilder() public pure {
        for (uint8 severity = 1; severity <= 3; ++severity) {
            assertTrue(Votes.confirms(UPHELD, 2, UPHELD, severity) == (severity >= 2));
        }
        for (uint8 second = 1; second <= 4; ++second) {
            if (second != UPHELD) assertFalse(Votes.confirms(UPHELD, 1, second, 0));
            assertTrue(Votes.confirms(ABUSIVE, 0, second, 0) == (second == ABUSIVE));
            bool against = second == DISMISSED || second == ABUSIVE;
            assertTrue(Votes.confirms(DISMISSED, 0, second, 0) == against);
            assertTrue(Votes.confirms(NOT_PROVEN, 0, second, 0) == against);
        }
    }

    // ── appeal ──

    function test_AppealDrawsALargerPanel() public {
        _judges(15);
        bytes32 caseId = _empanelled();
        _ruled(caseId, UPHELD, 2);
        vm.warp(supervision.caseOf(caseId).deadline);
        vm.expectEmit(address(arbitration));
        emit IArbitration.AppealFiled(caseId, NORTH, keccak256("grounds"), 0);
        vm.expectEmit(address(supervision));
        emit ISupervision.CaseAppealed(caseId);
        _appealed(caseId, north.addr, NORTH);
        assertEq(arbitration.roundOf(caseId), 2);
        assertEq(supervision.caseOf(caseId).round, 2);
        _seats(caseId, _list(hex"05060708090a0b0c0d"));
        _stageIs(caseId, ISupervision.Stage.Panel);
        _rulingIs(caseId, UPHELD, 2);
        assertEq(arbitration.appealOf(caseId).by, NORTH);

        _ruled(caseId, DISMISSED, 1);
        _rulingIs(caseId, DISMISSED, 0);
        assertEq(supervision.caseOf(caseId).deadline, 0, "no second appeal");
        _expect(_tooLate(0));
        _appealed(caseId, south.addr, SOUTH);
    }

    function test_AppealBySignature() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _ruled(caseId, UPHELD, 2);
        (, Vm.Wallet memory officer) = _staff(north, NORTH, "officer", Roles.OFFICER);
        arbitration.appealBySig(
            caseId,
            NORTH,
            keccak256("grounds"),
            _relayed(
                officer,
                "Appeal(bytes32 caseId,bytes16 by,bytes32 groundsHash,uint256 nonce,uint64 deadline)",
                abi.encode(caseId, NORTH, keccak256("grounds"))
            )
        );
        assertEq(arbitration.roundOf(caseId), 2);
    }

    function test_AppealFillsUpWithFormerMembers() public {
        _judges(8);
        bytes32 caseId = _empanelled();
        _ruled(caseId, UPHELD, 2);
        _appealed(caseId, north.addr, NORTH);
        _seats(caseId, _list(hex"05060700010203"));
        _order(_list(hex"0405060700010203"));
    }

    function test_AppealTakesFormerMembersLastWhereverTheyStand() public {
        _judges(6);
        _admitted(6, 106);
        vm.warp(_now() + 90 * DAY);
        institutions.activate(_inst(6));
        bytes32 caseId = _empanelled();
        _ruled(caseId, UPHELD, 2);
        _sits(6);
        vm.startPrank(admin);
        institutions.setClass(_inst(5), TIER, 101);
        institutions.setClass(_inst(6), TIER, 100);
        vm.stopPrank();
        _appealed(caseId, north.addr, NORTH);
        // 5 and 6 are new; 1 is of 5's group now, and 0 of 6's.
        _seats(caseId, _list(hex"0506020304"));
        _order(_list(hex"00010506020304"));
    }

    function test_AppealLocksTwentyCreditsOrAllThereIs() public {
        _judges(5);
        _credit(NORTH);
        bytes32 caseId = _empanelled();
        _ruled(caseId, UPHELD, 2);
        _appealed(caseId, north.addr, NORTH);
        assertEq(arbitration.appealOf(caseId).bond, 20 * CREDIT);
        assertEq(incentives.creditsOf(NORTH).locked, 20 * CREDIT);

        _credit(SOUTH);
        _take(Roles.ESCROW_ROLE);
        uint64 balance = incentives.creditsOf(NORTH).balance;
        incentives.lock(NORTH, balance - 7, keccak256("elsewhere"));
        bytes32 second = _empanelled();
        _ruled(second, UPHELD, 2);
        _appealed(second, north.addr, NORTH);
        assertEq(arbitration.appealOf(second).bond, 7, "all it has");
    }

    function test_ConfirmedAppealBurnsItsBond() public {
        _judges(5);
        _credit(NORTH);
        bytes32 caseId = _empanelled();
        _ruled(caseId, UPHELD, 2);
        _appealed(caseId, north.addr, NORTH);
        uint64 balance = incentives.creditsOf(NORTH).balance;
        _vote(caseId, _list(hex"0101010101"), _list(hex"0303030303"));
        vm.expectEmit(address(incentives));
        emit IIncentives.CreditsBurned(keccak256(abi.encode(caseId, NORTH)));
        arbitration.tally(caseId);
        assertEq(incentives.creditsOf(NORTH).locked, 0);
        assertEq(incentives.creditsOf(NORTH).balance, balance);
        _rulingIs(caseId, UPHELD, 3);
    }

    function test_MilderRulingGivesTheBondBack() public {
        _judges(5);
        _credit(NORTH);
        bytes32 caseId = _empanelled();
        _ruled(caseId, UPHELD, 2);
        _appealed(caseId, north.addr, NORTH);
        uint64 balance = incentives.creditsOf(NORTH).balance;
        _ruled(caseId, UPHELD, 1);
        assertEq(incentives.creditsOf(NORTH).locked, 0);
        assertEq(incentives.creditsOf(NORTH).balance, balance + 20 * CREDIT);
    }

    function test_AppealNobodyHearsLetsTheFirstRulingStand() public {
        _judges(5);
        _credit(NORTH);
        bytes32 caseId = _empanelled();
        _ruled(caseId, UPHELD, 3);
        _appealed(caseId, north.addr, NORTH);
        _toTally(caseId);
        arbitration.tally(caseId);
        assertEq(_panel(caseId).draws, 2);
        _toTally(caseId);
        vm.expectEmit(address(arbitration));
        emit IArbitration.PanelTallied(caseId, 2, UPHELD, 3);
        arbitration.tally(caseId);
        _rulingIs(caseId, UPHELD, 3);
        assertEq(incentives.creditsOf(NORTH).locked, 0, "bond back");
        supervision.execute(caseId);
        assertFalse(sanctions.mayServe(NORTH));
    }

    function test_AppealWhereNobodyMaySitLetsTheFirstRulingStand() public {
        _judges(5);
        _credit(NORTH);
        bytes32 caseId = _empanelled();
        _ruled(caseId, UPHELD, 1);
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(peers[i].account.addr);
            judgePool.leavePool(_inst(i));
        }
        _appealed(caseId, north.addr, NORTH);
        _stageIs(caseId, ISupervision.Stage.Ruled);
        _rulingIs(caseId, UPHELD, 1);
        assertEq(incentives.creditsOf(NORTH).locked, 0, "bond back");
        supervision.execute(caseId);
    }

    function test_AppealIsTheComplainantsUnlessUpheld() public {
        _judges(5);
        bytes32 caseId = _empanelled();
        _ruled(caseId, ABUSIVE, 1);
        _expect(_notParty(NORTH, north.addr));
        _appealed(caseId, north.addr, NORTH);
        _appealed(caseId, south.addr, SOUTH);
        _ruled(caseId, UPHELD, 1);
        _rulingIs(caseId, UPHELD, 1);
    }

    function test_AppealOfAHubIsItsOwn() public {
        _judges(4);
        (bytes16 hub, Vm.Wallet memory person) = _hub("hub", _inst(3), peers[3].account.addr);
        ISupervision.Complaint memory c = _complaint(_offered());
        c.complainant = hub;
        vm.prank(person.addr);
        bytes32 caseId = supervision.file(c);
        _toPanel(caseId);
        _ruled(caseId, DISMISSED, 1);
        _expect(_notParty(hub, peers[3].account.addr));
        _appealed(caseId, peers[3].account.addr, hub);
        _appealed(caseId, person.addr, hub);
        assertEq(arbitration.appealOf(caseId).bond, 0, "a hub has no credits");
        _ruled(caseId, DISMISSED, 1);
        supervision.execute(caseId);
        assertEq(supervision.openCases(hub), 0);
    }

    function test_AppealRefusals() public {
        _judges(5);
        bytes32 caseId = _empanelled();
        _expect(_wrongState(caseId, 6, 9));
        _appealed(caseId, north.addr, NORTH);
        _ruled(caseId, UPHELD, 2);
        (, Vm.Wallet memory steward) = _staff(north, NORTH, "steward", Roles.STEWARD);
        _expect(_notParty(NORTH, steward.addr));
        _appealed(caseId, steward.addr, NORTH);
        _expect(_notParty(SOUTH, south.addr));
        _appealed(caseId, south.addr, SOUTH);
        uint64 deadline = supervision.caseOf(caseId).deadline;
        vm.warp(deadline + 1);
        _expect(_tooLate(deadline));
        _appealed(caseId, north.addr, NORTH);
        _expect(_wrongState(keccak256("none"), 0, 9));
        _appealed(keccak256("none"), north.addr, NORTH);
    }

    // ── voteInterim ──

    function _voteInterim(bytes32 caseId, uint256 i, uint8 level, uint64 until) private {
        vm.prank(peers[i].panelist.addr);
        arbitration.voteInterim(caseId, peers[i].cred, level, until);
    }

    function test_InterimAtTwoThirds() public {
        _judges(5);
        bytes32 caseId = _empanelled();
        uint64 until = _now() + 14 * DAY;
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(arbitration));
            emit IArbitration.InterimVoted(caseId, peers[i].cred, 4, until);
            _voteInterim(caseId, i, 4, until);
            assertTrue(sanctions.mayServe(NORTH));
        }
        bytes32 id = keccak256(abi.encode(caseId, NORTH, true));
        vm.expectEmit(address(sanctions));
        emit ISanctions.SanctionImposed(id, NORTH, 4, _now(), until, caseId, true);
        _voteInterim(caseId, 3, 4, until);
        assertFalse(institutions.isActive(NORTH));
        _expect(_exists(id));
        vm.prank(peers[4].panelist.addr);
        arbitration.voteInterim(caseId, peers[4].cred, 4, until);
    }

    function test_InterimOfThreeNeedsTwo() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        _voteInterim(caseId, 0, 2, _now() + DAY);
        assertFalse(sanctions.quotaCut(NORTH));
        _voteInterim(caseId, 1, 3, _now() + DAY);
        assertFalse(sanctions.quotaCut(NORTH), "another level is another vote");
        _voteInterim(caseId, 1, 2, _now() + 2 * DAY);
        assertFalse(sanctions.quotaCut(NORTH), "so is another end");
        _voteInterim(caseId, 1, 2, _now() + DAY);
        assertTrue(sanctions.quotaCut(NORTH), "the last vote counts");
    }

    function test_InterimBySignature() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        uint64 until = _now() + DAY;
        _voteInterim(caseId, 0, 3, until);
        arbitration.voteInterimBySig(
            caseId,
            peers[1].cred,
            3,
            until,
            _relayed(
                peers[1].panelist,
                "VoteInterim(bytes32 caseId,bytes16 cred,uint8 level,uint64 until,uint256 nonce,uint64 deadline)",
                abi.encode(caseId, peers[1].cred, uint8(3), until)
            )
        );
        assertFalse(sanctions.mayRequest(NORTH));
    }

    function test_InterimForgetsWhoRecused() public {
        _judges(4);
        bytes32 caseId = _empanelled();
        _voteInterim(caseId, 0, 3, _now() + DAY);
        vm.prank(peers[0].panelist.addr);
        arbitration.recuse(caseId, peers[0].cred);
        _voteInterim(caseId, 1, 3, _now() + DAY);
        assertTrue(sanctions.mayRequest(NORTH));
        _voteInterim(caseId, 3, 3, _now() + DAY);
        assertFalse(sanctions.mayRequest(NORTH));
    }

    function test_InterimRefusals() public {
        _judges(3);
        bytes32 caseId = _empanelled();
        bytes16 cred = peers[0].cred;
        uint64 until = _now() + DAY;
        vm.startPrank(peers[0].panelist.addr);
        _expect(_outOfBounds(1, 2, 4));
        arbitration.voteInterim(caseId, cred, 1, until);
        _expect(_outOfBounds(5, 2, 4));
        arbitration.voteInterim(caseId, cred, 5, until);
        _expect(_outOfBounds(_now(), _now() + 1, _now() + 14 * DAY));
        arbitration.voteInterim(caseId, cred, 2, _now());
        _expect(_outOfBounds(_now() + 14 * DAY + 1, _now() + 1, _now() + 14 * DAY));
        arbitration.voteInterim(caseId, cred, 2, _now() + 14 * DAY + 1);
        _expect(_notParty(_inst(1), peers[0].panelist.addr));
        arbitration.voteInterim(caseId, peers[1].cred, 2, until);
        _expect(_notSitting(keccak256("none")));
        arbitration.voteInterim(keccak256("none"), cred, 2, until);
        vm.stopPrank();
        _ruled(caseId, DISMISSED, 1);
        _expect(_notSitting(caseId));
        _voteInterim(caseId, 0, 2, _now() + DAY);
    }
}
