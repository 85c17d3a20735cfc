// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Vm} from "forge-std/Vm.sol";

import {ICouncil} from "../../contracts/interfaces/ICouncil.sol";
import {IDirectory} from "../../contracts/interfaces/IDirectory.sol";
import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {IModule} from "../../contracts/interfaces/IModule.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @notice One institution, one vote, and a delay between yes and done (Council.tree).
contract CouncilTest is AccessBase {
    uint8 private constant ORDINARY = 1;
    uint8 private constant GRAVE = 2;
    bytes16 private constant WEST = bytes16(keccak256("west"));

    ICouncil private council;
    Vm.Wallet private west;
    uint256 private _salts;

    function setUp() public override {
        super.setUp();
        council = ICouncil(_at(Codes.COUNCIL));
        west = vm.createWallet("west");
        vm.startPrank(admin);
        manager.grantRole(Roles.GOVERNANCE_ROLE, address(timelock), 0);
        manager.grantRole(Roles.ADMIN_ROLE, address(timelock), 0);
        vm.stopPrank();
        vm.warp(START + DAY);
    }

    // ── drafts ──

    /// @dev Calls that re-class the south: ordinary.
    function _reclass(uint8 tier) private view returns (ICouncil.Call[] memory calls) {
        calls = new ICouncil.Call[](1);
        calls[0] = ICouncil.Call(
            address(institutions), abi.encodeCall(institutions.setClass, (SOUTH, tier, 2))
        );
    }

    /// @dev A call that names a new Lens: grave.
    function _renaming() private view returns (ICouncil.Call[] memory calls) {
        calls = new ICouncil.Call[](1);
        calls[0] = ICouncil.Call(
            address(directory), abi.encodeCall(directory.set, (Codes.LENS, address(catalog)))
        );
    }

    function _draftOf(uint8 category, ICouncil.Call[] memory calls)
        private
        returns (ICouncil.Proposal memory)
    {
        return ICouncil.Proposal({
            proposer: NORTH,
            category: category,
            callsHash: keccak256(abi.encode(calls)),
            textHash: keccak256("reasons"),
            salt: keccak256(abi.encode("proposal", ++_salts))
        });
    }

    function _idOf(ICouncil.Proposal memory p) private view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "Proposal(bytes16 proposer,uint8 category,bytes32 callsHash,bytes32 textHash,bytes32 salt)"
        );
        return _digest(address(council), "Council", keccak256(abi.encode(typeHash, p)));
    }

    function _proposed(uint8 category, ICouncil.Call[] memory calls) private returns (bytes32) {
        ICouncil.Proposal memory p = _draftOf(category, calls);
        vm.prank(north.addr);
        return council.propose(p, calls);
    }

    function _votes(bytes32 id, Vm.Wallet memory who, bytes16 inst, bool yes) private {
        vm.prank(who.addr);
        council.vote(id, inst, yes);
    }

    /// @dev Proposed by the north, carried by north and south.
    function _passed(uint8 category, ICouncil.Call[] memory calls) private returns (bytes32 id) {
        id = _proposed(category, calls);
        _votes(id, north, NORTH, true);
        _votes(id, south, SOUTH, true);
        vm.warp(council.proposal(id).voteEnd + 1);
    }

    function _queued(uint8 category, ICouncil.Call[] memory calls) private returns (bytes32 id) {
        id = _passed(category, calls);
        council.queue(id, calls);
    }

    function _relayed(Vm.Wallet memory by, string memory act, bytes memory parameters)
        private
        view
        returns (IModule.Auth memory)
    {
        return _consent(by, address(council), "Council", act, parameters);
    }

    function _refused(ICouncil.Proposal memory p, ICouncil.Call[] memory calls, bytes memory why)
        private
    {
        _expect(why);
        vm.prank(north.addr);
        council.propose(p, calls);
    }

    function _state(bytes32 id) private view returns (uint8) {
        return uint8(council.proposal(id).state);
    }

    // ── propose ──

    function test_ProposeIsStoredAndTold() public {
        ICouncil.Call[] memory calls = _reclass(1);
        ICouncil.Proposal memory p = _draftOf(ORDINARY, calls);
        vm.expectEmit(address(council));
        emit ICouncil.Proposed(_idOf(p), p, calls, _now() + 7 * DAY, 3);
        vm.prank(north.addr);
        bytes32 id = council.propose(p, calls);
        assertEq(id, _idOf(p), "the id is the digest");
        ICouncil.ProposalState memory s = council.proposal(id);
        assertEq(s.proposer, NORTH);
        assertEq(s.category, ORDINARY);
        assertEq(uint8(s.state), uint8(ICouncil.State.Open));
        assertEq(s.snapshot, _now() - 1);
        assertEq(s.voteEnd, _now() + 7 * DAY);
        assertEq(s.readyAt, 0);
        assertEq(s.yes, 0);
        assertEq(s.no, 0);
        assertEq(s.electorate, 3);
        assertEq(s.callsHash, p.callsHash);
    }

    function test_ProposeBySignature() public {
        ICouncil.Call[] memory calls = _reclass(1);
        ICouncil.Proposal memory p = _draftOf(ORDINARY, calls);
        bytes memory signature = _sign(north, _idOf(p));
        _expect(_badSignature(south.addr));
        council.proposeBySig(p, calls, south.addr, signature);
        vm.prank(relayer);
        assertEq(council.proposeBySig(p, calls, north.addr, signature), _idOf(p));
        _expect(_exists(_idOf(p)));
        council.proposeBySig(p, calls, north.addr, signature);
    }

    function test_ProposeRefusals() public {
        ICouncil.Call[] memory calls = _reclass(1);
        ICouncil.Proposal memory p = _draftOf(ORDINARY, calls);
        bytes32 have = keccak256(abi.encode(_reclass(2)));
        _refused(p, _reclass(2), _mismatch(have, p.callsHash));
        p.category = 0;
        _refused(p, calls, _outOfBounds(0, 1, 2));
        p.category = 3;
        _refused(p, calls, _outOfBounds(3, 1, 2));
        p = _draftOf(ORDINARY, new ICouncil.Call[](0));
        _refused(p, new ICouncil.Call[](0), _outOfBounds(0, 1, 16));
        p = _draftOf(ORDINARY, new ICouncil.Call[](17));
        _refused(p, new ICouncil.Call[](17), _outOfBounds(17, 1, 16));
        p = _draftOf(ORDINARY, _renaming());
        _refused(p, _renaming(), abi.encodeWithSelector(ICouncil.CategoryTooLow.selector));
    }

    function test_ProposeTakesSixteenCalls() public {
        ICouncil.Call[] memory calls = new ICouncil.Call[](16);
        for (uint256 i = 0; i < 16; ++i) {
            calls[i] = _reclass(1)[0];
        }
        bytes32 id = _queued(ORDINARY, calls);
        vm.warp(council.proposal(id).readyAt);
        council.execute(id, calls);
        assertEq(institutions.institution(SOUTH).tier, 1);
    }

    function test_ProposeIsAnAdmins() public {
        ICouncil.Call[] memory calls = _reclass(1);
        ICouncil.Proposal memory p = _draftOf(ORDINARY, calls);
        (, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.ALL & ~Roles.ADMIN);
        _expect(_notParty(NORTH, clerk.addr));
        vm.prank(clerk.addr);
        council.propose(p, calls);
        (, Vm.Wallet memory head) = _staff(north, NORTH, "head", Roles.ADMIN);
        vm.prank(head.addr);
        council.propose(p, calls);
    }

    function test_ProposeNotOnProbationNorStopped() public {
        vm.prank(west.addr);
        institutions.submitApplication(_application(WEST, Codes.PROVIDER, 9, west.addr));
        vm.prank(north.addr);
        institutions.sponsor(WEST, NORTH);
        vm.prank(south.addr);
        institutions.sponsor(WEST, SOUTH);
        vm.prank(admin);
        institutions.admit(WEST, TIER);
        ICouncil.Call[] memory calls = _reclass(1);
        ICouncil.Proposal memory p = _draftOf(ORDINARY, calls);
        p.proposer = WEST;
        _expect(_notActive(WEST, 3));
        vm.prank(west.addr);
        council.propose(p, calls);

        bytes32 open = _proposed(ORDINARY, calls);
        _stop(Codes.COUNCIL);
        p = _draftOf(ORDINARY, calls);
        _refused(p, calls, _stopped(Codes.COUNCIL, _now() + DAY));
        _votes(open, south, SOUTH, true);
    }

    // ── isGrave ──

    function _isGrave(address target, bytes memory data) private view returns (bool) {
        return council.isGrave(ICouncil.Call(target, data));
    }

    function test_GraveCalls() public view {
        assertTrue(_isGrave(address(manager), ""), "AccessManager");
        assertTrue(_isGrave(address(timelock), abi.encodePacked(bytes4(0x12345678))), "timelock");
        assertTrue(
            _isGrave(address(directory), abi.encodeCall(IDirectory.set, (Codes.LENS, admin))), "set"
        );
        assertTrue(
            _isGrave(address(institutions), abi.encodeCall(IInstitutionRegistry.expel, (SOUTH, 1))),
            "expel"
        );
        assertTrue(
            _isGrave(
                address(institutions), abi.encodeWithSignature("multicall(bytes[])", new bytes[](0))
            ),
            "what a multicall holds is not looked at"
        );
    }

    function test_OrdinaryCalls() public view {
        assertFalse(_isGrave(address(directory), abi.encodeCall(directory.resume, (Codes.LENS))));
        assertFalse(_isGrave(address(institutions), abi.encodeCall(institutions.admit, (SOUTH, 1))));
        assertFalse(_isGrave(address(sanctions), abi.encodeCall(sanctions.lift, (0, 0))));
        assertFalse(_isGrave(address(incentives), abi.encodeCall(incentives.allot, (SOUTH, 1))));
        assertFalse(_isGrave(address(incentives), ""));
        assertFalse(_isGrave(address(incentives), hex"ac"), "shorter than a selector");
    }

    // ── vote ──

    function test_VoteCountsOnce() public {
        bytes32 id = _proposed(ORDINARY, _reclass(1));
        vm.expectEmit(address(council));
        emit ICouncil.Voted(id, NORTH, true);
        _votes(id, north, NORTH, true);
        vm.warp(council.proposal(id).voteEnd);
        _votes(id, south, SOUTH, false);
        ICouncil.ProposalState memory s = council.proposal(id);
        assertEq(s.yes, 1);
        assertEq(s.no, 1);
        assertTrue(council.hasVoted(id, NORTH));
        assertFalse(council.hasVoted(id, INSPECTORATE));
        _expect(_exists(NORTH));
        _votes(id, north, NORTH, false);
        vm.warp(s.voteEnd + 1);
        _expect(_tooLate(s.voteEnd));
        _votes(id, inspectorate, INSPECTORATE, true);
    }

    function test_VoteBySignature() public {
        bytes32 id = _proposed(ORDINARY, _reclass(1));
        council.voteBySig(
            id,
            SOUTH,
            true,
            _relayed(
                south,
                "Vote(bytes32 proposalId,bytes16 inst,bool yes,uint256 nonce,uint64 deadline)",
                abi.encode(id, SOUTH, true)
            )
        );
        assertEq(council.proposal(id).yes, 1);
    }

    function test_VoteNeedsASeatAtTheSnapshot() public {
        _join(WEST, 9, west.addr);
        bytes32 id = _proposed(ORDINARY, _reclass(1));
        assertEq(council.proposal(id).electorate, 3, "the west came in this very second");
        _expect(_notActive(WEST, 3));
        _votes(id, west, WEST, true);
        vm.warp(_now() + 1);
        id = _proposed(ORDINARY, _reclass(1));
        assertEq(council.proposal(id).electorate, 4);
        _votes(id, west, WEST, true);
    }

    function test_VoteDoesNotEndWithASuspensionThatCameLater() public {
        bytes32 id = _proposed(ORDINARY, _reclass(1));
        _suspendInstitution(SOUTH, _now() + DAY);
        _votes(id, south, SOUTH, true);
        vm.warp(_now() + 1);
        id = _proposed(ORDINARY, _reclass(1));
        assertEq(council.proposal(id).electorate, 3, "it still counts");
        _expect(_notActive(SOUTH, 5));
        _votes(id, south, SOUTH, true);
    }

    function test_VoteIsAnAdmins() public {
        bytes32 id = _proposed(ORDINARY, _reclass(1));
        _expect(_notParty(NORTH, south.addr));
        _votes(id, south, NORTH, true);
        (, Vm.Wallet memory clerk) = _staff(north, NORTH, "clerk", Roles.ALL & ~Roles.ADMIN);
        _expect(_notParty(NORTH, clerk.addr));
        _votes(id, clerk, NORTH, true);
        _expect(_unknown(keccak256("none")));
        _votes(keccak256("none"), south, SOUTH, true);
    }

    // ── withdrawProposal ──

    function test_WithdrawEndsTheVote() public {
        bytes32 id = _proposed(ORDINARY, _reclass(1));
        _expect(_notParty(NORTH, south.addr));
        vm.prank(south.addr);
        council.withdrawProposal(id);
        vm.warp(council.proposal(id).voteEnd);
        vm.expectEmit(address(council));
        emit ICouncil.ProposalWithdrawn(id);
        vm.prank(north.addr);
        council.withdrawProposal(id);
        assertEq(_state(id), uint8(ICouncil.State.Withdrawn));
        _expect(_wrongState(id, 4, 1));
        _votes(id, south, SOUTH, true);
        vm.warp(_now() + 1);
        _expect(_wrongState(id, 4, 1));
        council.queue(id, _reclass(1));
    }

    function test_WithdrawBySignature() public {
        bytes32 id = _proposed(ORDINARY, _reclass(1));
        council.withdrawProposalBySig(
            id,
            _relayed(
                north,
                "WithdrawProposal(bytes32 proposalId,uint256 nonce,uint64 deadline)",
                abi.encode(id)
            )
        );
        assertEq(_state(id), uint8(ICouncil.State.Withdrawn));
    }

    function test_WithdrawNotAfterTheVote() public {
        bytes32 id = _passed(ORDINARY, _reclass(1));
        _expect(_tooLate(council.proposal(id).voteEnd));
        vm.prank(north.addr);
        council.withdrawProposal(id);
    }

    // ── passes ──

    function test_PassesOrdinary() public {
        bytes32 id = _proposed(ORDINARY, _reclass(1));
        assertFalse(council.passes(id));
        _votes(id, north, NORTH, true);
        assertFalse(council.passes(id), "one of three is less than half");
        _votes(id, south, SOUTH, false);
        assertFalse(council.passes(id), "a tie");
        _votes(id, inspectorate, INSPECTORATE, true);
        assertTrue(council.passes(id));
        assertFalse(council.passes(keccak256("none")));
    }

    function test_PassesOrdinaryWithHalf() public {
        _join(WEST, 9, west.addr);
        vm.warp(_now() + 1);
        bytes32 id = _proposed(ORDINARY, _reclass(1));
        _votes(id, north, NORTH, true);
        assertFalse(council.passes(id), "a quarter");
        _votes(id, south, SOUTH, true);
        assertTrue(council.passes(id), "half");
        bytes32 grave = _proposed(GRAVE, _reclass(1));
        _votes(grave, north, NORTH, true);
        _votes(grave, south, SOUTH, true);
        assertFalse(council.passes(grave), "half is no two thirds");
        _votes(grave, west, WEST, true);
        assertTrue(council.passes(grave), "three quarters are");
    }

    function test_PassesGraveWithTwoThirds() public {
        bytes32 id = _proposed(GRAVE, _renaming());
        _votes(id, north, NORTH, true);
        assertFalse(council.passes(id));
        _votes(id, south, SOUTH, true);
        assertTrue(council.passes(id));
        _votes(id, inspectorate, INSPECTORATE, false);
        assertTrue(council.passes(id));
    }

    function test_PassesNothingWithoutAnElectorate() public {
        vm.mockCall(
            address(institutions),
            abi.encodePacked(institutions.electorateAt.selector),
            abi.encode(uint256(0))
        );
        assertFalse(council.passes(_proposed(GRAVE, _renaming())));
        assertFalse(council.passes(_proposed(ORDINARY, _reclass(1))));
    }

    function testFuzz_PassesAsTheDesignSays(uint8 electorate, uint8 yes, uint8 no) public {
        yes = uint8(bound(yes, 0, 12));
        no = uint8(bound(no, 0, 12));
        vm.mockCall(
            address(institutions),
            abi.encodePacked(institutions.electorateAt.selector),
            abi.encode(uint256(electorate))
        );
        vm.mockCall(
            address(institutions), abi.encodePacked(institutions.mayAct.selector), abi.encode(true)
        );
        vm.mockCall(
            address(institutions),
            abi.encodePacked(institutions.statusAt.selector),
            abi.encode(IInstitutionRegistry.Status.Active)
        );
        bytes32 ordinary = _proposed(ORDINARY, _reclass(1));
        bytes32 grave = _proposed(GRAVE, _reclass(1));
        for (uint256 i = 0; i < uint256(yes) + no; ++i) {
            council.vote(ordinary, bytes16(keccak256(abi.encode(i))), i < yes);
            council.vote(grave, bytes16(keccak256(abi.encode(i))), i < yes);
        }
        uint256 votes = uint256(yes) + no;
        assertEq(council.passes(ordinary), yes > no && votes * 2 >= electorate, "ordinary");
        uint256 needed = (2 * uint256(electorate) + 2) / 3;
        assertEq(council.passes(grave), yes > no && yes >= needed, "grave");
    }

    // ── queue ──

    function test_QueueHandsTheCallsToTheTimelock() public {
        ICouncil.Call[] memory calls = _reclass(1);
        bytes32 id = _passed(ORDINARY, calls);
        vm.expectEmit(address(council));
        emit ICouncil.Queued(id, _now() + 2 * DAY);
        vm.prank(stranger);
        council.queue(id, calls);
        assertEq(_state(id), uint8(ICouncil.State.Queued));
        assertEq(council.proposal(id).readyAt, _now() + 2 * DAY);
        bytes32 operation = _operation(id, calls);
        assertEq(timelock.getTimestamp(operation), _now() + 2 * DAY);
        _expect(_wrongState(id, 2, 1));
        council.queue(id, calls);
    }

    function _operation(bytes32 id, ICouncil.Call[] memory calls) private view returns (bytes32) {
        address[] memory targets = new address[](calls.length);
        bytes[] memory payloads = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            (targets[i], payloads[i]) = (calls[i].target, calls[i].data);
        }
        return timelock.hashOperationBatch(targets, new uint256[](calls.length), payloads, 0, id);
    }

    function test_QueueRefusals() public {
        ICouncil.Call[] memory calls = _reclass(1);
        bytes32 id = _proposed(ORDINARY, calls);
        _votes(id, north, NORTH, true);
        uint64 voteEnd = council.proposal(id).voteEnd;
        vm.warp(voteEnd);
        _expect(_tooEarly(voteEnd + 1));
        council.queue(id, calls);
        vm.warp(voteEnd + 1);
        _expect(abi.encodeWithSelector(ICouncil.NotPassed.selector, 1, 0, 3));
        council.queue(id, calls);

        id = _passed(ORDINARY, calls);
        bytes32 want = keccak256(abi.encode(calls));
        _expect(_mismatch(keccak256(abi.encode(_reclass(3))), want));
        council.queue(id, _reclass(3));
        voteEnd = council.proposal(id).voteEnd;
        vm.warp(voteEnd + 14 * DAY + 1);
        _expect(_tooLate(voteEnd + 14 * DAY));
        council.queue(id, calls);
        vm.warp(voteEnd + 14 * DAY);
        council.queue(id, calls);
        _expect(_unknown(keccak256("none")));
        council.queue(keccak256("none"), calls);
    }

    /// @dev A timelock that governance names while a vote runs makes calls to it grave.
    function test_QueueLooksAtTheCategoryAgain() public {
        ICouncil.Call[] memory calls = new ICouncil.Call[](1);
        calls[0] = ICouncil.Call(address(catalog), hex"12345678");
        bytes32 id = _passed(ORDINARY, calls);
        vm.prank(admin);
        directory.set(Codes.TIMELOCK_CONTROLLER, address(catalog));
        _expect(abi.encodeWithSelector(ICouncil.CategoryTooLow.selector));
        council.queue(id, calls);
    }

    // ── execute ──

    function test_ExecuteHasTheCallsCarriedOut() public {
        ICouncil.Call[] memory calls = _renaming();
        bytes32 id = _queued(GRAVE, calls);
        vm.warp(council.proposal(id).readyAt);
        vm.expectEmit(address(council));
        emit ICouncil.Executed(id);
        vm.prank(stranger);
        council.execute(id, calls);
        assertEq(_at(Codes.LENS), address(catalog));
        assertEq(_state(id), uint8(ICouncil.State.Executed));
        _expect(_wrongState(id, 3, 2));
        council.execute(id, calls);
    }

    function test_ExecuteRefusals() public {
        ICouncil.Call[] memory calls = _reclass(1);
        bytes32 id = _passed(ORDINARY, calls);
        _expect(_wrongState(id, 1, 2));
        council.execute(id, calls);
        council.queue(id, calls);
        uint64 readyAt = council.proposal(id).readyAt;
        vm.warp(readyAt - 1);
        _expect(_tooEarly(readyAt));
        council.execute(id, calls);
        vm.warp(readyAt + 14 * DAY + 1);
        _expect(_tooLate(readyAt + 14 * DAY));
        council.execute(id, calls);
        vm.warp(readyAt + 14 * DAY);
        _expect(_mismatch(keccak256(abi.encode(_reclass(3))), keccak256(abi.encode(calls))));
        council.execute(id, _reclass(3));
        council.execute(id, calls);
    }

    function test_ExecuteNotWhatTheGuardianCancelled() public {
        ICouncil.Call[] memory calls = _reclass(1);
        bytes32 id = _queued(ORDINARY, calls);
        bytes32 operation = _operation(id, calls);
        vm.prank(guardian);
        timelock.cancel(operation);
        vm.warp(council.proposal(id).readyAt);
        _expect(
            abi.encodeWithSelector(
                TimelockController.TimelockUnexpectedOperationState.selector,
                operation,
                bytes32(uint256(1) << uint8(TimelockController.OperationState.Ready))
            )
        );
        council.execute(id, calls);
        assertEq(institutions.institution(SOUTH).tier, TIER);
    }

    function test_ExecuteRevertsWhole() public {
        ICouncil.Call[] memory calls = new ICouncil.Call[](2);
        calls[0] = _reclass(1)[0];
        calls[1] = _reclass(9)[0];
        bytes32 id = _queued(ORDINARY, calls);
        vm.warp(council.proposal(id).readyAt);
        _expect(_outOfBounds(9, 1, 3));
        council.execute(id, calls);
        assertEq(institutions.institution(SOUTH).tier, TIER);
        assertEq(_state(id), uint8(ICouncil.State.Queued));
    }

    // ── the way round the Council ──

    function test_NobodyElseProposesToTheTimelock() public {
        bytes32 role = timelock.PROPOSER_ROLE();
        _expect(
            abi.encodeWithSelector(
                IAccessControl.AccessControlUnauthorizedAccount.selector, stranger, role
            )
        );
        vm.prank(stranger);
        timelock.schedule(address(directory), 0, "", 0, 0, 2 * DAY);
    }

    function test_NobodyElseExecutesWhatItHolds() public {
        ICouncil.Call[] memory calls = _reclass(1);
        bytes32 id = _queued(ORDINARY, calls);
        vm.warp(council.proposal(id).readyAt);
        address[] memory targets = new address[](1);
        bytes[] memory payloads = new bytes[](1);
        (targets[0], payloads[0]) = (calls[0].target, calls[0].data);
        bytes32 role = timelock.EXECUTOR_ROLE();
        _expect(
            abi.encodeWithSelector(
                IAccessControl.AccessControlUnauthorizedAccount.selector, stranger, role
            )
        );
        vm.prank(stranger);
        timelock.executeBatch(targets, new uint256[](1), payloads, 0, id);
    }

    /// @dev A grave vote may grant a role; nobody else may.
    function test_GraveVoteGrantsARole() public {
        ICouncil.Call[] memory calls = new ICouncil.Call[](1);
        calls[0] = ICouncil.Call(
            address(manager),
            abi.encodeCall(IAccessManager.grantRole, (Roles.GUARDIAN_ROLE, relayer, 0))
        );
        bytes32 id = _queued(GRAVE, calls);
        vm.warp(council.proposal(id).readyAt);
        council.execute(id, calls);
        (bool isMember,) = manager.hasRole(Roles.GUARDIAN_ROLE, relayer);
        assertTrue(isMember);
    }
}
