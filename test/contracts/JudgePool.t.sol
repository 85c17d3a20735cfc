// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IArbitration} from "../../contracts/interfaces/IArbitration.sol";
import {IJudgePool} from "../../contracts/interfaces/IJudgePool.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {ISupervision} from "../../contracts/interfaces/ISupervision.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {PanelBase} from "./PanelBase.t.sol";

/// @notice Who may judge, and whose turn it is (JudgePool.tree).
contract JudgePoolTest is PanelBase {
    function _relayed(Vm.Wallet memory by, string memory act, bytes memory parameters)
        private
        view
        returns (IModule.Auth memory)
    {
        return _consent(by, address(judgePool), "JudgePool", act, parameters);
    }

    function _inst(uint256 i) private view returns (bytes16) {
        return peers[i].inst;
    }

    /// @dev The panel of a case consists of these peers, in this order.
    function _seats(bytes32 caseId, uint8[] memory want) private view {
        IArbitration.Panel memory p = _panel(caseId);
        assertEq(p.size, want.length, "size");
        for (uint256 i = 0; i < want.length; ++i) {
            assertEq(_peerOf(p.members[i].cred), want[i], "member");
        }
    }

    function _notPanelist(bytes16 cred) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IJudgePool.NotPanelist.selector, cred);
    }

    // ── join ──

    function test_JoinPutsASeatLastAndTells() public {
        _judges(1);
        _admitted(1, 7);
        vm.warp(_now() + 90 * DAY);
        institutions.activate(_inst(1));
        (bytes16 cred,) = _staff(peers[1].account, _inst(1), "panelist", Roles.PANELIST);
        vm.expectEmit(address(judgePool));
        emit IJudgePool.SeatJoined(_inst(1), cred);
        vm.prank(peers[1].account.addr);
        judgePool.join(_inst(1), cred);
        _order(_list(hex"0001"));
        IJudgePool.Seat memory seat = judgePool.seatOf(_inst(1));
        assertEq(seat.inst, _inst(1));
        assertEq(seat.cred, cred);
        assertEq(seat.lastServed, 0);
    }

    function test_JoinBySignature() public {
        (bytes16 cred,) = _staff(north, NORTH, "panelist", Roles.PANELIST | Roles.OFFICER);
        IModule.Auth memory auth = _relayed(
            north,
            "Join(bytes16 inst,bytes16 cred,uint256 nonce,uint64 deadline)",
            abi.encode(NORTH, cred)
        );
        vm.prank(relayer);
        judgePool.joinBySig(NORTH, cred, auth);
        assertEq(judgePool.seatOf(NORTH).cred, cred);
    }

    function test_JoinRefusals() public {
        (bytes16 cred,) = _staff(north, NORTH, "panelist", Roles.PANELIST);
        (bytes16 clerk, Vm.Wallet memory clerkWallet) =
            _staff(north, NORTH, "clerk", Roles.ALL & ~(Roles.PANELIST | Roles.ADMIN));
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        judgePool.join(NORTH, cred);
        _expect(_notParty(NORTH, clerkWallet.addr));
        vm.prank(clerkWallet.addr);
        judgePool.join(NORTH, cred);

        vm.startPrank(north.addr);
        _expect(_notPanelist(clerk));
        judgePool.join(NORTH, clerk);
        _expect(_notPanelist(NORTH));
        judgePool.join(NORTH, NORTH);
        _expect(_notPanelist(keccak16("nobody")));
        judgePool.join(NORTH, keccak16("nobody"));
        judgePool.join(NORTH, cred);
        _expect(_exists(NORTH));
        judgePool.join(NORTH, cred);
        vm.stopPrank();

        vm.prank(south.addr);
        _expect(_notPanelist(cred));
        judgePool.join(SOUTH, cred);
    }

    function keccak16(string memory text) private pure returns (bytes16) {
        return bytes16(keccak256(bytes(text)));
    }

    function test_JoinNotOnProbation() public {
        _admitted(0, 7);
        (bytes16 cred,) = _staff(peers[0].account, _inst(0), "panelist", Roles.PANELIST);
        _expect(_notActive(_inst(0), 3));
        vm.prank(peers[0].account.addr);
        judgePool.join(_inst(0), cred);
    }

    function test_JoinIsStopped() public {
        (bytes16 cred,) = _staff(north, NORTH, "panelist", Roles.PANELIST);
        _stop(Codes.JUDGE_POOL);
        _expect(_stopped(Codes.JUDGE_POOL, _now() + DAY));
        vm.prank(north.addr);
        judgePool.join(NORTH, cred);
    }

    function test_PoolHas256Seats() public {
        _judges(256);
        assertEq(judgePool.pool().length, 256);
        (bytes16 cred,) = _staff(north, NORTH, "panelist", Roles.PANELIST);
        _expect(_outOfBounds(257, 1, 256));
        vm.prank(north.addr);
        judgePool.join(NORTH, cred);
        vm.prank(peers[200].account.addr);
        judgePool.leavePool(_inst(200));
        vm.prank(north.addr);
        judgePool.join(NORTH, cred);
        assertEq(judgePool.pool()[255], NORTH, "last");
        assertEq(judgePool.pool()[200], _inst(201), "the others moved up");
        assertEq(judgePool.seatOf(NORTH).cred, cred);
    }

    // ── leavePool ──

    function test_LeaveTakesTheSeatOut() public {
        _judges(3);
        vm.expectEmit(address(judgePool));
        emit IJudgePool.SeatLeft(_inst(1));
        vm.prank(peers[1].account.addr);
        judgePool.leavePool(_inst(1));
        _order(_list(hex"0002"));
        assertEq(judgePool.seatOf(_inst(1)).cred, 0);
        vm.prank(peers[1].account.addr);
        judgePool.join(_inst(1), peers[1].cred);
        _order(_list(hex"000201"));
    }

    function test_LeaveBySignature() public {
        _judges(1);
        judgePool.leavePoolBySig(
            _inst(0),
            _relayed(
                peers[0].account,
                "LeavePool(bytes16 inst,uint256 nonce,uint64 deadline)",
                abi.encode(_inst(0))
            )
        );
        assertEq(judgePool.pool().length, 0);
    }

    function test_LeaveRefusals() public {
        _judges(2);
        _expect(_notParty(_inst(0), peers[1].account.addr));
        vm.prank(peers[1].account.addr);
        judgePool.leavePool(_inst(0));
        _expect(_notParty(_inst(0), peers[0].panelist.addr));
        vm.prank(peers[0].panelist.addr);
        judgePool.leavePool(_inst(0));
        _expect(_unknown(NORTH));
        vm.prank(north.addr);
        judgePool.leavePool(NORTH);
    }

    // ── draw ──

    function test_DrawTakesWhoServedLongestAgo() public {
        _judges(7);
        bytes32 caseId = _filed(_offered());
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _pastDeadline(caseId);
        bytes16[] memory creds = new bytes16[](5);
        for (uint256 i = 0; i < 5; ++i) {
            creds[i] = peers[i].cred;
        }
        vm.expectEmit(address(arbitration));
        emit IArbitration.PanelDrawn(caseId, 1, creds, _now() + 6 * DAY, _now() + 9 * DAY);
        supervision.advance(caseId);
        _seats(caseId, _list(hex"0001020304"));
        _order(_list(hex"05060001020304"));
        IArbitration.Panel memory p = _panel(caseId);
        assertTrue(p.open);
        assertEq(p.draws, 1);
        assertEq(p.recuseBy, _now() + 2 * DAY);
        assertEq(p.commitBy, _now() + 6 * DAY);
        assertEq(p.revealBy, _now() + 9 * DAY);
        assertEq(judgePool.seatOf(_inst(0)).lastServed, _now());
        assertEq(judgePool.seatOf(_inst(5)).lastServed, 0);

        _credit(SOUTH);
        bytes32 second = _empanelled();
        _seats(second, _list(hex"0506000102"));
        _order(_list(hex"03040506000102"));
    }

    function test_DrawTakesThreeOfFour() public {
        _judges(4);
        bytes32 caseId = _empanelled();
        _seats(caseId, _list(hex"000102"));
        _order(_list(hex"03000102"));
    }

    function test_DrawRulesNotProvenWithoutThree() public {
        _judges(2);
        bytes32 caseId = _filed(_offered());
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _pastDeadline(caseId);
        vm.expectEmit(address(arbitration));
        emit IArbitration.PanelTallied(caseId, 1, NOT_PROVEN, 0);
        supervision.advance(caseId);
        _stageIs(caseId, ISupervision.Stage.Ruled);
        _rulingIs(caseId, NOT_PROVEN, 0);
        assertEq(_panel(caseId).size, 0);
        assertEq(arbitration.roundOf(caseId), 1);
        _order(_list(hex"0001"));
    }

    function test_DrawNeverSeatsAParty() public {
        (bytes16 a,) = _staff(north, NORTH, "north's panelist", Roles.PANELIST);
        (bytes16 b,) = _staff(south, SOUTH, "south's panelist", Roles.PANELIST);
        vm.prank(north.addr);
        judgePool.join(NORTH, a);
        vm.prank(south.addr);
        judgePool.join(SOUTH, b);
        _judges(5);
        bytes32 caseId = _empanelled();
        _seats(caseId, _list(hex"0001020304"));
        assertEq(judgePool.pool()[0], NORTH, "parties keep their turn");
        assertEq(judgePool.pool()[1], SOUTH);
    }

    function test_DrawNeverSeatsTheGroupOfAParty() public {
        _judges(6);
        vm.startPrank(admin);
        institutions.setClass(_inst(0), TIER, 1);
        institutions.setClass(_inst(3), TIER, 2);
        vm.stopPrank();
        bytes32 caseId = _empanelled();
        _seats(caseId, _list(hex"010204"));
        _order(_list(hex"000305010204"));
    }

    function test_DrawNeverSeatsTwoOfOneGroup() public {
        _judges(6);
        vm.startPrank(admin);
        institutions.setClass(_inst(1), TIER, 100);
        institutions.setClass(_inst(4), TIER, 0);
        institutions.setClass(_inst(5), TIER, 0);
        vm.stopPrank();
        bytes32 caseId = _empanelled();
        _seats(caseId, _list(hex"0002030405"));
        _order(_list(hex"010002030405"));
    }

    function test_DrawNeverSeatsASponsor() public {
        _judges(6);
        // The respondent's sponsors, were it no founder.
        vm.mockCall(
            address(institutions),
            abi.encodeCall(institutions.sponsorsOf, (NORTH)),
            abi.encode(_inst(1), _inst(2))
        );
        bytes32 caseId = _empanelled();
        _seats(caseId, _list(hex"000304"));
    }

    function test_DrawAsksForSponsorsOfThoseAdmitted() public {
        _judges(1);
        (bytes16 first, bytes16 second) = institutions.sponsorsOf(_inst(0));
        assertEq(first, INSPECTORATE);
        assertEq(second, SOUTH);
        (first, second) = institutions.sponsorsOf(NORTH);
        assertEq(first, 0, "a founder has none");
        assertEq(second, 0);
    }

    function test_DrawNeverSeatsTheSponsorOfAHub() public {
        _judges(4);
        (bytes16 hub, Vm.Wallet memory person) = _hub("hub", _inst(0), peers[0].account.addr);
        ISupervision.Complaint memory c = _complaint(_offered());
        c.complainant = hub;
        vm.prank(person.addr);
        bytes32 caseId = supervision.file(c);
        _toPanel(caseId);
        _seats(caseId, _list(hex"010203"));
    }

    function test_DrawPassesOverWhoCannotServe() public {
        _judges(8);
        bytes32 caseId = _filed(_offered());
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _pastDeadline(caseId);
        _suspendInstitution(_inst(0), _now() + DAY);
        vm.prank(peers[1].account.addr);
        institutions.endPractitioner(peers[1].cred);
        vm.mockCall(
            address(sanctions), abi.encodeCall(sanctions.mayServe, (_inst(2))), abi.encode(false)
        );
        bytes16[] memory moved = new bytes16[](8);
        for (uint256 i = 0; i < 8; ++i) {
            moved[i] = _inst(i);
        }
        vm.expectEmit(address(judgePool));
        emit IJudgePool.SeatsMoved(moved, 5);
        supervision.advance(caseId);
        _seats(caseId, _list(hex"0304050607"));
        _order(_list(hex"0001020304050607"));
    }

    function test_DrawLooksAt26Seats() public {
        _judges(31);
        for (uint256 i = 0; i < 24; ++i) {
            vm.prank(peers[i].account.addr);
            institutions.endPractitioner(peers[i].cred);
        }
        bytes32 caseId = _empanelled();
        _rulingIs(caseId, NOT_PROVEN, 0);
        assertEq(judgePool.pool()[0], _inst(24), "who could not serve went to the end");
        assertEq(judgePool.pool()[30], _inst(23));
    }

    function test_DrawOfOneIsASuccessor() public {
        _judges(4);
        _take(Roles.PANEL_ROLE);
        bytes16[] memory sitting = new bytes16[](1);
        sitting[0] = _inst(0);
        IJudgePool.Seat[] memory seats =
            judgePool.draw([NORTH, SOUTH], sitting, new bytes16[](0), 1);
        assertEq(seats.length, 1);
        assertEq(seats[0].inst, _inst(1));
        assertEq(seats[0].cred, peers[1].cred);
        assertEq(seats[0].lastServed, _now());
        _order(_list(hex"00020301"));
        // The most that may sit already: all that is barred has room.
        sitting = new bytes16[](9);
        for (uint256 i = 0; i < 9; ++i) {
            sitting[i] = _inst(0);
        }
        seats = judgePool.draw([NORTH, SOUTH], sitting, new bytes16[](0), 1);
        assertEq(seats[0].inst, _inst(2));
    }

    function test_DrawRefusals() public {
        bytes16[] memory none = new bytes16[](0);
        bytes16[] memory ten = new bytes16[](10);
        _expect(_unauthorized(stranger));
        vm.prank(stranger);
        judgePool.draw([NORTH, SOUTH], none, none, 5);
        vm.startPrank(address(arbitration));
        _expect(_outOfBounds(0, 1, 9));
        judgePool.draw([NORTH, SOUTH], none, none, 0);
        _expect(_outOfBounds(10, 1, 9));
        judgePool.draw([NORTH, SOUTH], none, none, 10);
        _expect(_outOfBounds(10, 0, 9));
        judgePool.draw([NORTH, SOUTH], ten, none, 5);
        _expect(_outOfBounds(10, 0, 9));
        judgePool.draw([NORTH, SOUTH], none, ten, 5);
        assertEq(judgePool.draw([NORTH, SOUTH], none, none, 9).length, 0, "nobody there");
    }

    // ── gas ──

    /// @dev 21 seats whose credential has ended, then the five that are drawn: the dearest walk of
    /// 26 steps, with everything read for the first time.
    function test_DrawOf26StepsStaysWithinItsGas() public {
        _judges(32);
        for (uint256 i = 0; i < 21; ++i) {
            vm.prank(peers[i].account.addr);
            institutions.endPractitioner(peers[i].cred);
        }
        bytes32 caseId = _filed(_offered());
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _pastDeadline(caseId);
        address[6] memory all = [
            address(supervision),
            address(arbitration),
            address(judgePool),
            address(institutions),
            address(sanctions),
            address(directory)
        ];
        for (uint256 i = 0; i < all.length; ++i) {
            vm.cool(all[i]);
        }
        uint256 before = gasleft();
        supervision.advance(caseId);
        uint256 used = before - gasleft();
        emit log_named_uint("gas of a draw of 26 steps", used);
        assertEq(_panel(caseId).size, 5);
        assertLt(used, 1_000_000 - 21_000 - 1000, "G4, with the transaction's own cost");
    }
}
