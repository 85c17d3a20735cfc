// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IArbitration} from "../../contracts/interfaces/IArbitration.sol";
import {ICouncil} from "../../contracts/interfaces/ICouncil.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {PanelBase} from "./PanelBase.t.sol";

/// @notice What acts around cases and votes cost, base price and calldata included, at their
/// documented worst size, with the committed code of `contracts/abi`: under the ceilings of
/// contracts.md section 9, or below 1 000 000 (G4).
/// @dev Each call is a transaction of its own.
/// forge-config: default.isolate = true
contract GasPeersTest is PanelBase {
    uint256 private constant G4 = 1_000_000;

    /// @dev What is deployed, not what was just compiled for the day.
    function _codeOf(string memory name) internal view override returns (bytes memory) {
        string memory path = string.concat("contracts/abi/", name, ".json");
        return vm.parseJsonBytes(vm.readFile(path), ".bytecode");
    }

    /// @dev Prints the last call's gas and holds it against its ceiling.
    function _gas(string memory act, uint256 ceiling) private {
        uint256 used = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(act, used);
        assertLe(used, ceiling, act);
    }

    /// @dev 21 seats that cannot serve, then those that are drawn: the dearest walk of 26 steps.
    function _withDeadSeats(uint256 living) private {
        _judges(21 + living);
        for (uint256 i = 0; i < 21; ++i) {
            vm.prank(peers[i].account.addr);
            institutions.endPractitioner(peers[i].cred);
        }
    }

    // ── cases ──

    function test_CaseOfFiveJudges() public {
        _withDeadSeats(5);
        bytes32 caseId = _filed(_offered());
        _gas("file", G4);
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _gas("advance, to the evidence", G4);
        vm.prank(north.addr);
        supervision.submitEvidence(caseId, NORTH, keccak256("piece"));
        _gas("submitEvidence", G4);
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _gas("drawPanel, 26 steps", 780_000);
        _toCommit(caseId);
        IArbitration.Panel memory p = _panel(caseId);
        _commitAll(caseId, p);
        _gas("commitVote", 100_000);
        _toReveal(caseId);
        _revealAll(caseId, p);
        _gas("revealVote", 80_000);
        arbitration.tally(caseId);
        _gas("tally, 5 judges", G4);
    }

    function _commitAll(bytes32 caseId, IArbitration.Panel memory p) private {
        for (uint256 i = 0; i < p.size; ++i) {
            _commit(caseId, p.members[i].cred, UPHELD, 3);
        }
    }

    function _revealAll(bytes32 caseId, IArbitration.Panel memory p) private {
        for (uint256 i = 0; i < p.size; ++i) {
            _reveal(caseId, p.members[i].cred, UPHELD, 3);
        }
    }

    function test_AppealOfNineJudges() public {
        _credit(NORTH);
        _judges(14);
        bytes32 caseId = _empanelled();
        _ruled(caseId, UPHELD, 3);
        _appealed(caseId, north.addr, NORTH);
        _gas("appeal, 9 seats", G4);
        vm.prank(peers[5].panelist.addr);
        arbitration.recuse(caseId, peers[5].cred);
        _gas("recuse", G4);
        IArbitration.Panel memory p = _panel(caseId);
        _toCommit(caseId);
        _commitAll(caseId, p);
        _toReveal(caseId);
        _revealAll(caseId, p);
        arbitration.tally(caseId);
        _gas("tally, 9 judges", G4);
        supervision.execute(caseId);
        _gas("execute", 330_000);
    }

    function test_PoolOf256() public {
        _judges(256);
        _gas("join, the 256th", G4);
        vm.prank(peers[3].account.addr);
        judgePool.leavePool(peers[3].inst);
        _gas("leavePool of 256", G4);
        bytes32 caseId = _filed(_offered());
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _gas("drawPanel, pool of 256", 780_000);
    }

    // ── the Council ──

    function test_ProposalOfSixteenCalls() public {
        ICouncil council = ICouncil(_at(Codes.COUNCIL));
        vm.warp(_now() + 1);
        ICouncil.Call[] memory calls = new ICouncil.Call[](16);
        for (uint256 i = 0; i < 16; ++i) {
            calls[i] = ICouncil.Call(
                address(institutions), abi.encodeCall(institutions.setClass, (SOUTH, TIER, 2))
            );
        }
        ICouncil.Proposal memory p =
            ICouncil.Proposal(NORTH, 1, keccak256(abi.encode(calls)), 0, keccak256("salt"));
        vm.prank(north.addr);
        bytes32 id = council.propose(p, calls);
        _gas("propose, 16 calls", G4);
        vm.prank(north.addr);
        council.vote(id, NORTH, true);
        _gas("vote", G4);
        vm.prank(south.addr);
        council.vote(id, SOUTH, true);
        vm.warp(council.proposal(id).voteEnd + 1);
        council.queue(id, calls);
        _gas("queue, 16 calls", G4);
    }
}
