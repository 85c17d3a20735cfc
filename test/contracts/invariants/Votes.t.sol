// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";

import {ICouncil} from "../../../contracts/interfaces/ICouncil.sol";
import {Codes} from "../../../contracts/libraries/Codes.sol";
import {Roles} from "../../../contracts/libraries/Roles.sol";
import {AccessBase} from "../AccessBase.t.sol";

/// @notice Invariant G2: nobody gains a role but by a vote and after the timelock's delay, and the
/// guardian can stop and cancel, but never start or grant.
/// @dev The set is handed to the timelock, as in a real network. The functions between the lines
/// are what the fuzzer calls, in any order; whatever is refused changes nothing.
contract VotesInvariantTest is AccessBase {
    uint256 private constant PROPOSALS_MAX = 6;

    ICouncil private council;
    address private hopeful = makeAddr("hopeful");
    bytes32[] private _ids;
    mapping(bytes32 id => ICouncil.Call[]) private _calls;
    mapping(bytes32 id => uint64) private _queuedAt;
    /// @dev Proposals that were executed and grant the hopeful a role.
    uint256 private _executedGrants;
    string private _broken;

    function setUp() public override {
        super.setUp();
        council = ICouncil(_at(Codes.COUNCIL));
        vm.startPrank(admin);
        manager.grantRole(Roles.GOVERNANCE_ROLE, address(timelock), 0);
        manager.grantRole(Roles.ADMIN_ROLE, address(timelock), 0);
        manager.renounceRole(Roles.GOVERNANCE_ROLE, admin);
        manager.renounceRole(Roles.ADMIN_ROLE, admin);
        vm.stopPrank();
        vm.warp(START + DAY);
        bytes4[] memory selectors = new bytes4[](8);
        selectors[0] = this.propose.selector;
        selectors[1] = this.vote.selector;
        selectors[2] = this.queueOne.selector;
        selectors[3] = this.executeOne.selector;
        selectors[4] = this.withdrawOne.selector;
        selectors[5] = this.cancelOne.selector;
        selectors[6] = this.grab.selector;
        selectors[7] = this.wait.selector;
        targetSelector(FuzzSelector(address(this), selectors));
        targetContract(address(this));
    }

    // ──────────────────────────────────────────────────────────────

    /// @dev Proposes to give the hopeful a role, or to re-class the south, as either category.
    function propose(uint8 who, bool grants, bool grave, uint256 salt) external {
        if (_ids.length == PROPOSALS_MAX) return;
        ICouncil.Call[] memory calls = new ICouncil.Call[](1);
        calls[0] = grants
            ? ICouncil.Call(
                address(manager),
                abi.encodeCall(IAccessManager.grantRole, (Roles.GUARDIAN_ROLE, hopeful, 0))
            )
            : ICouncil.Call(
                address(institutions), abi.encodeCall(institutions.setClass, (SOUTH, TIER, 2))
            );
        ICouncil.Proposal memory p = ICouncil.Proposal(
            _inst(who), grave ? 2 : 1, keccak256(abi.encode(calls)), 0, bytes32(salt)
        );
        vm.prank(_account(who));
        try council.propose(p, calls) returns (bytes32 id) {
            if (grants && !grave) _broken = "a grave call passed as ordinary";
            _ids.push(id);
            _calls[id].push(calls[0]);
        } catch {}
    }

    function vote(uint256 pick, uint8 who, bool yes) external {
        vm.prank(_account(who));
        try council.vote(_pick(pick), _inst(who), yes) {} catch {}
    }

    function queueOne(uint256 pick) external {
        bytes32 id = _pick(pick);
        vm.prank(stranger);
        try council.queue(id, _calls[id]) {
            _queuedAt[id] = _now();
            ICouncil.ProposalState memory p = council.proposal(id);
            bool enough = p.category == 2
                ? 3 * uint256(p.yes) >= 2 * uint256(p.electorate)
                : 2 * (uint256(p.yes) + p.no) >= p.electorate;
            if (!enough || p.yes <= p.no || _now() <= p.voteEnd) _broken = "queued without a vote";
        } catch {}
    }

    function executeOne(uint256 pick) external {
        bytes32 id = _pick(pick);
        vm.prank(stranger);
        try council.execute(id, _calls[id]) {
            if (_queuedAt[id] == 0 || _now() < _queuedAt[id] + 2 * DAY) _broken = "no delay";
            if (_calls[id][0].target == address(manager)) ++_executedGrants;
        } catch {}
    }

    function withdrawOne(uint256 pick, uint8 who) external {
        vm.prank(_account(who));
        try council.withdrawProposal(_pick(pick)) {} catch {}
    }

    function cancelOne(uint256 pick) external {
        bytes32 id = _pick(pick);
        if (_calls[id].length == 0) return;
        address[] memory targets = new address[](1);
        bytes[] memory payloads = new bytes[](1);
        (targets[0], payloads[0]) = (_calls[id][0].target, _calls[id][0].data);
        bytes32 operation = timelock.hashOperationBatch(targets, new uint256[](1), payloads, 0, id);
        vm.prank(guardian);
        try timelock.cancel(operation) {} catch {}
    }

    /// @dev Everybody tries what only a vote may do.
    function grab(uint8 who, uint8 how) external {
        address[4] memory hands = [guardian, admin, north.addr, hopeful];
        vm.startPrank(hands[who % 4]);
        if (how % 4 == 0) {
            try manager.grantRole(Roles.GOVERNANCE_ROLE, hopeful, 0) {
                _broken = "a role was grabbed";
            } catch {}
        } else if (how % 4 == 1) {
            try timelock.schedule(address(manager), 0, "", 0, 0, 2 * DAY) {
                _broken = "the Council was passed by";
            } catch {}
        } else if (how % 4 == 2) {
            try directory.set(Codes.LENS, address(catalog)) {
                _broken = "a name was grabbed";
            } catch {}
        } else {
            try timelock.grantRole(timelock.PROPOSER_ROLE(), hopeful) {
                _broken = "the timelock was grabbed";
            } catch {}
        }
        vm.stopPrank();
    }

    function wait(uint32 secs) external {
        vm.warp(_now() + secs % (5 days));
    }

    // ──────────────────────────────────────────────────────────────

    function _pick(uint256 pick) private view returns (bytes32) {
        return _ids.length == 0 ? bytes32(0) : _ids[pick % _ids.length];
    }

    function _inst(uint8 who) private pure returns (bytes16) {
        return who % 3 == 0 ? NORTH : who % 3 == 1 ? SOUTH : INSPECTORATE;
    }

    function _account(uint8 who) private view returns (address) {
        return who % 3 == 0 ? north.addr : who % 3 == 1 ? south.addr : inspectorate.addr;
    }

    function _has(uint64 role, address account) private view returns (bool isMember) {
        (isMember,) = manager.hasRole(role, account);
    }

    function invariant_RolesComeByVotesOnly() public view {
        assertEq(_broken, "");
        assertEq(
            _has(Roles.GUARDIAN_ROLE, hopeful), _executedGrants != 0, "by an executed vote only"
        );
        address[5] memory people = [guardian, admin, hopeful, north.addr, stranger];
        for (uint256 i = 0; i < 5; ++i) {
            assertFalse(_has(Roles.ADMIN_ROLE, people[i]), "administration is the timelock's");
            assertFalse(_has(Roles.GOVERNANCE_ROLE, people[i]), "governance too");
            assertFalse(_has(Roles.FOUNDER_ROLE, people[i]), "and nobody founds again");
        }
        for (uint256 i = 0; i < _ids.length; ++i) {
            ICouncil.ProposalState memory p = council.proposal(_ids[i]);
            assertLe(uint256(p.yes) + p.no, p.electorate, "one vote each");
        }
    }
}
