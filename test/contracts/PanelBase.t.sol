// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {IArbitration} from "../../contracts/interfaces/IArbitration.sol";
import {IDataHubRegistry} from "../../contracts/interfaces/IDataHubRegistry.sol";
import {IErrors} from "../../contracts/interfaces/IErrors.sol";
import {IInstitutionRegistry} from "../../contracts/interfaces/IInstitutionRegistry.sol";
import {IJudgePool} from "../../contracts/interfaces/IJudgePool.sol";
import {ISupervision} from "../../contracts/interfaces/ISupervision.sol";
import {Codes} from "../../contracts/libraries/Codes.sol";
import {Roles} from "../../contracts/libraries/Roles.sol";
import {AccessBase} from "./AccessBase.t.sol";

/// @title Institutions that offer to judge, and cases that come before them.
/// @notice Judge i is an active institution of group 100 + i whose credential i sits in the pool;
/// the pool's order is theirs. The south complains about the north.
abstract contract PanelBase is AccessBase {
    /// @dev One judge: an institution and its panelist.
    struct Peer {
        bytes16 inst;
        bytes16 cred;
        Vm.Wallet account;
        Vm.Wallet panelist;
    }

    bytes32 internal constant VOTE_SALT = keccak256("vote's salt");
    uint8 internal constant UPHELD = 1;
    uint8 internal constant DISMISSED = 2;
    uint8 internal constant ABUSIVE = 3;
    uint8 internal constant NOT_PROVEN = 4;

    IArbitration internal arbitration;
    IJudgePool internal judgePool;
    Peer[] internal peers;

    function setUp() public virtual override {
        super.setUp();
        arbitration = IArbitration(_at(Codes.ARBITRATION));
        judgePool = IJudgePool(_at(Codes.JUDGE_POOL));
    }

    // ── institutions ──

    /// @dev Admits `count` institutions, active 90 days later, all with a seat in the pool.
    function _judges(uint256 count) internal {
        uint256 first = peers.length;
        for (uint256 i = first; i < first + count; ++i) {
            _admitted(i, uint32(100 + i));
        }
        _warp(_now() + 90 * DAY);
        for (uint256 i = first; i < first + count; ++i) {
            institutions.activate(peers[i].inst);
            _sits(i);
        }
    }

    /// @dev An institution on probation. Inspectorate and south vouched for it, which bars it from
    /// nothing: only who vouched for a party may not judge it.
    function _admitted(uint256 i, uint32 group) internal {
        string memory name = string.concat("judge ", vm.toString(i));
        peers.push();
        Peer storage p = peers[peers.length - 1];
        p.inst = bytes16(keccak256(bytes(name)));
        p.account = vm.createWallet(name);
        p.cred = bytes16(keccak256(abi.encode("panelist", i)));
        p.panelist = vm.createWallet(string.concat("panelist ", vm.toString(i)));
        vm.prank(p.account.addr);
        institutions.submitApplication(_application(p.inst, Codes.PROVIDER, group, p.account.addr));
        _vouch(p.inst, INSPECTORATE, inspectorate.addr);
        _vouch(p.inst, SOUTH, south.addr);
        vm.prank(admin);
        institutions.admit(p.inst, TIER);
    }

    function _vouch(bytes16 inst, bytes16 by, address account) internal {
        vm.prank(account);
        institutions.sponsor(inst, by);
    }

    /// @dev Gives institution i a panelist with an account, and a seat.
    function _sits(uint256 i) internal {
        Peer storage p = peers[i];
        vm.startPrank(p.account.addr);
        institutions.addPractitioner(p.inst, p.cred, Roles.PANELIST, _now() + 400 * DAY);
        vm.stopPrank();
        _bindAccount(p.account.addr, p.cred, p.panelist);
        vm.prank(p.account.addr);
        judgePool.join(p.inst, p.cred);
    }

    /// @dev The place of a credential among the peers.
    function _peerOf(bytes16 cred) internal view returns (uint256) {
        for (uint256 i = 0; i < peers.length; ++i) {
            if (peers[i].cred == cred) return i;
        }
        revert("no such peer");
    }

    /// @dev A person's hub that `sponsor` answers for.
    function _hub(string memory name, bytes16 sponsor, address account)
        internal
        returns (bytes16 id, Vm.Wallet memory wallet)
    {
        id = bytes16(keccak256(bytes(name)));
        wallet = vm.createWallet(name);
        IDataHubRegistry hubs = IDataHubRegistry(_at(Codes.DATA_HUB_REGISTRY));
        IDataHubRegistry.HubOpening memory opening = IDataHubRegistry.HubOpening(
            id, sponsor, wallet.addr, keccak256("policy"), keccak256("salt")
        );
        bytes32 typeHash = keccak256(
            "HubOpening(bytes16 hub,bytes16 sponsor,address account,bytes32 policyCommit,bytes32 salt)"
        );
        bytes memory proof =
            _signStruct(wallet, address(hubs), "DataHubRegistry", abi.encode(typeHash, opening));
        vm.prank(account);
        hubs.openHub(opening, proof);
    }

    /// @dev The pool consists of these peers, in this order.
    function _order(uint8[] memory want) internal view {
        bytes16[] memory insts = judgePool.pool();
        assertEq(insts.length, want.length, "pool");
        for (uint256 i = 0; i < want.length; ++i) {
            assertEq(insts[i], peers[want[i]].inst, "turn");
        }
    }

    function _list(bytes memory numbers) internal pure returns (uint8[] memory list) {
        list = new uint8[](numbers.length);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = uint8(numbers[i]);
        }
    }

    // ── cases ──

    function _stageOf(bytes32 caseId) internal view returns (ISupervision.Stage) {
        return supervision.caseOf(caseId).stage;
    }

    function _stageIs(bytes32 caseId, ISupervision.Stage stage) internal view {
        assertEq(uint8(_stageOf(caseId)), uint8(stage), "stage");
    }

    /// @dev Lets the answer and the evidence of a case go by, so that a panel sits.
    function _empanelled() internal returns (bytes32 caseId) {
        caseId = _filed(_offered());
        _toPanel(caseId);
    }

    function _toPanel(bytes32 caseId) internal {
        _pastDeadline(caseId);
        supervision.advance(caseId);
        _pastDeadline(caseId);
        supervision.advance(caseId);
    }

    function _pastDeadline(bytes32 caseId) internal {
        _warp(supervision.caseOf(caseId).deadline + 1);
    }

    // ── votes ──

    function _commitment(bytes32 caseId, uint8 round, bytes16 cred, uint8 verdict, uint8 severity)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(caseId, round, cred, verdict, severity, VOTE_SALT));
    }

    function _commit(bytes32 caseId, bytes16 cred, uint8 verdict, uint8 severity) internal {
        uint8 round = arbitration.roundOf(caseId);
        bytes32 commitment = _commitment(caseId, round, cred, verdict, severity);
        vm.prank(peers[_peerOf(cred)].panelist.addr);
        arbitration.commitVote(caseId, round, cred, commitment);
    }

    function _reveal(bytes32 caseId, bytes16 cred, uint8 verdict, uint8 severity) internal {
        uint8 round = arbitration.roundOf(caseId);
        arbitration.revealVote(caseId, round, cred, verdict, severity, VOTE_SALT);
    }

    function _panel(bytes32 caseId) internal view returns (IArbitration.Panel memory) {
        return arbitration.panel(caseId, arbitration.roundOf(caseId));
    }

    function _toCommit(bytes32 caseId) internal {
        _warp(_panel(caseId).recuseBy + 1);
    }

    function _toReveal(bytes32 caseId) internal {
        _warp(_panel(caseId).commitBy + 1);
    }

    function _toTally(bytes32 caseId) internal {
        _warp(_panel(caseId).revealBy + 1);
    }

    /// @dev Member i votes verdicts[i] with severity severities[i] (0: stays silent); no tally.
    function _vote(bytes32 caseId, uint8[] memory verdicts, uint8[] memory severities) internal {
        IArbitration.Panel memory p = _panel(caseId);
        _toCommit(caseId);
        for (uint256 i = 0; i < verdicts.length; ++i) {
            if (verdicts[i] == 0) continue;
            _commit(caseId, p.members[i].cred, verdicts[i], severities[i]);
        }
        _toReveal(caseId);
        for (uint256 i = 0; i < verdicts.length; ++i) {
            if (verdicts[i] == 0) continue;
            _reveal(caseId, p.members[i].cred, verdicts[i], severities[i]);
        }
    }

    /// @dev All members of the panel vote the same, and the ruling is delivered.
    function _ruled(bytes32 caseId, uint8 verdict, uint8 severity) internal {
        uint256 size = _panel(caseId).size;
        uint8[] memory verdicts = new uint8[](size);
        uint8[] memory severities = new uint8[](size);
        for (uint256 i = 0; i < size; ++i) {
            (verdicts[i], severities[i]) = (verdict, severity);
        }
        _vote(caseId, verdicts, severities);
        arbitration.tally(caseId);
    }

    function _appealed(bytes32 caseId, address account, bytes16 by) internal {
        vm.prank(account);
        arbitration.appeal(caseId, by, keccak256("grounds"));
    }

    function _rulingIs(bytes32 caseId, uint8 ruling, uint8 severity) internal view {
        ISupervision.Case memory c = supervision.caseOf(caseId);
        assertEq(c.ruling, ruling, "ruling");
        assertEq(c.severity, severity, "severity");
    }

    // ── credits and reverts ──

    /// @dev Sixty credits for an institution.
    function _credit(bytes16 inst) internal {
        _take(Roles.ACCRUERS_ROLE);
        for (uint256 i = 0; i < 4; ++i) {
            incentives.accrue(inst, 0, 4, 0, 0);
        }
    }

    function _seqMismatch(uint64 have, uint64 want) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IErrors.SeqMismatch.selector, have, want);
    }

    function _statusOf(bytes16 inst) internal view returns (IInstitutionRegistry.Status) {
        return institutions.statusAt(inst, _now());
    }
}
