// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {ICouncil} from "../interfaces/ICouncil.sol";
import {IDirectory} from "../interfaces/IDirectory.sol";
import {IInstitutionRegistry} from "../interfaces/IInstitutionRegistry.sol";
import {Codes} from "../libraries/Codes.sol";
import {Module} from "../libraries/Module.sol";
import {Periods} from "../libraries/Periods.sol";
import {Roles} from "../libraries/Roles.sol";

/// @title Council: one institution, one vote, and a delay between yes and done.
contract Council is Module, ICouncil {
    using SafeCast for uint256;

    // ── types ──

    /// @dev `ICouncil.ProposalState`, packed into three slots.
    struct Stored {
        bytes16 proposer;
        uint8 category;
        State state;
        uint40 snapshot;
        uint40 voteEnd;
        uint16 yes;
        uint16 no;
        uint16 electorate;
        uint40 readyAt;
        bytes32 callsHash;
    }

    // ── constants ──

    bytes32 private constant PROPOSAL = keccak256(
        "Proposal(bytes16 proposer,uint8 category,bytes32 callsHash,bytes32 textHash,bytes32 salt)"
    );
    bytes32 private constant VOTE =
        keccak256("Vote(bytes32 proposalId,bytes16 inst,bool yes,uint256 nonce,uint64 deadline)");
    bytes32 private constant WITHDRAW_PROPOSAL =
        keccak256("WithdrawProposal(bytes32 proposalId,uint256 nonce,uint64 deadline)");

    uint8 private constant ORDINARY = 1;
    uint8 private constant GRAVE = 2;
    uint256 private constant CALLS_MAX = 16;

    // ── storage ──

    mapping(bytes32 proposalId => Stored) private _proposals;

    /// @inheritdoc ICouncil
    mapping(bytes32 proposalId => mapping(bytes16 inst => bool)) public hasVoted;

    constructor(address authority, address directory) Module(authority, directory, "Council") {}

    // ── the vote ──

    /// @inheritdoc ICouncil
    function propose(Proposal calldata p, Call[] calldata calls)
        external
        returns (bytes32 proposalId)
    {
        proposalId = _digestOf(p);
        _propose(msg.sender, proposalId, p, calls);
    }

    /// @inheritdoc ICouncil
    function proposeBySig(
        Proposal calldata p,
        Call[] calldata calls,
        address signer,
        bytes calldata signature
    ) external returns (bytes32 proposalId) {
        proposalId = _digestOf(p);
        _verifyDocument(proposalId, signer, signature);
        _propose(signer, proposalId, p, calls);
    }

    /// @inheritdoc ICouncil
    function vote(bytes32 proposalId, bytes16 inst, bool yes) external {
        _vote(msg.sender, proposalId, inst, yes);
    }

    /// @inheritdoc ICouncil
    function voteBySig(bytes32 proposalId, bytes16 inst, bool yes, Auth calldata auth) external {
        _vote(_verifyAct(auth, VOTE, _words(3)), proposalId, inst, yes);
    }

    /// @inheritdoc ICouncil
    function withdrawProposal(bytes32 proposalId) external {
        _withdraw(msg.sender, proposalId);
    }

    /// @inheritdoc ICouncil
    function withdrawProposalBySig(bytes32 proposalId, Auth calldata auth) external {
        _withdraw(_verifyAct(auth, WITHDRAW_PROPOSAL, _words(1)), proposalId);
    }

    // ── from yes to done ──

    /// @inheritdoc ICouncil
    function queue(bytes32 proposalId, Call[] calldata calls) external {
        Stored storage p = _proposal(proposalId, State.Open);
        if (_now() <= p.voteEnd) revert TooEarly(uint64(p.voteEnd) + 1);
        _requireFresh(p.voteEnd);
        if (!_passes(p)) revert NotPassed(p.yes, p.no, p.electorate);
        _requireCalls(calls, p.callsHash, p.category);
        TimelockController timelock = _timelock();
        uint256 delay = timelock.getMinDelay();
        p.state = State.Queued;
        uint256 readyAt = _now() + delay;
        p.readyAt = readyAt.toUint40();

        emit Queued(proposalId, p.readyAt);
        (address[] memory targets, uint256[] memory values, bytes[] memory payloads) = _split(calls);
        timelock.scheduleBatch(targets, values, payloads, 0, proposalId, delay);
    }

    /// @inheritdoc ICouncil
    function execute(bytes32 proposalId, Call[] calldata calls) external {
        Stored storage p = _proposal(proposalId, State.Queued);
        if (_now() < p.readyAt) revert TooEarly(p.readyAt);
        _requireFresh(p.readyAt);
        _requireCalls(calls, p.callsHash, p.category);
        p.state = State.Executed;

        emit Executed(proposalId);
        (address[] memory targets, uint256[] memory values, bytes[] memory payloads) = _split(calls);
        _timelock().executeBatch(targets, values, payloads, 0, proposalId);
    }

    // ── views ──

    /// @inheritdoc ICouncil
    function proposal(bytes32 proposalId) external view returns (ProposalState memory) {
        Stored memory p = _proposals[proposalId];
        return ProposalState({
            proposer: p.proposer,
            category: p.category,
            state: p.state,
            snapshot: p.snapshot,
            voteEnd: p.voteEnd,
            readyAt: p.readyAt,
            yes: p.yes,
            no: p.no,
            electorate: p.electorate,
            callsHash: p.callsHash
        });
    }

    /// @inheritdoc ICouncil
    function passes(bytes32 proposalId) external view returns (bool) {
        return _passes(_proposals[proposalId]);
    }

    /// @inheritdoc ICouncil
    function isGrave(Call calldata call_) public view returns (bool) {
        if (call_.target == authority() || call_.target == address(_timelock())) return true;
        bytes4 selector = bytes4(call_.data);
        return selector == IDirectory.set.selector
            || selector == IInstitutionRegistry.expel.selector
            || selector == Multicall.multicall.selector;
    }

    // ── acts ──

    function _propose(
        address signer,
        bytes32 proposalId,
        Proposal calldata p,
        Call[] calldata calls
    ) private {
        _requireActor(signer, p.proposer, Roles.ADMIN);
        _requireRunning();
        _requireFullMember(p.proposer, _now());
        if (_proposals[proposalId].state != State.None) revert Exists(proposalId);
        _requireBetween(p.category, ORDINARY, GRAVE);
        _requireBetween(calls.length, 1, CALLS_MAX);
        _requireCalls(calls, p.callsHash, p.category);

        Stored storage s = _proposals[proposalId];
        (s.proposer, s.category, s.state) = (p.proposer, p.category, State.Open);
        s.snapshot = _packed(_now() - 1);
        s.voteEnd = _packed(_now() + _days(Periods.VOTE_DAYS));
        s.electorate = _institutions().electorateAt(s.snapshot).toUint16();
        s.callsHash = p.callsHash;

        emit Proposed(proposalId, p, calls, s.voteEnd, s.electorate);
    }

    function _vote(address signer, bytes32 proposalId, bytes16 inst, bool yes) private {
        Stored storage p = _proposal(proposalId, State.Open);
        _requireActor(signer, inst, Roles.ADMIN);
        _requireFullMember(inst, p.snapshot);
        _requireInTime(p.voteEnd);
        if (hasVoted[proposalId][inst]) revert Exists(inst);

        hasVoted[proposalId][inst] = true;
        if (yes) ++p.yes;
        else ++p.no;

        emit Voted(proposalId, inst, yes);
    }

    function _withdraw(address signer, bytes32 proposalId) private {
        Stored storage p = _proposal(proposalId, State.Open);
        _requireActor(signer, p.proposer, Roles.ADMIN);
        _requireInTime(p.voteEnd);
        p.state = State.Withdrawn;

        emit ProposalWithdrawn(proposalId);
    }

    // ── checks ──

    /// @dev Id of a proposal: its EIP-712 digest.
    function _digestOf(Proposal calldata p) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(PROPOSAL, p)));
    }

    /// @dev Whether the votes are enough. Nothing passes without a vote for it.
    function _passes(Stored storage p) private view returns (bool) {
        if (p.yes <= p.no) return false;
        if (p.category == GRAVE) return 3 * uint256(p.yes) >= 2 * uint256(p.electorate);
        return 2 * (uint256(p.yes) + p.no) >= p.electorate;
    }

    function _proposal(bytes32 proposalId, State want) private view returns (Stored storage p) {
        p = _proposals[proposalId];
        if (p.state == State.None) revert Unknown(proposalId);
        if (p.state != want) revert WrongState(proposalId, uint8(p.state), uint8(want));
    }

    /// @dev Checks that an institution was active at `t`, and not merely on probation.
    function _requireFullMember(bytes16 inst, uint64 t) private view {
        IInstitutionRegistry.Status status = _institutions().statusAt(inst, t);
        if (status != IInstitutionRegistry.Status.Active) revert NotActive(inst, uint8(status));
    }

    /// @dev Checks that these are the proposal's calls, and that its category is high enough.
    function _requireCalls(Call[] calldata calls, bytes32 callsHash, uint8 category) private view {
        bytes32 have = keccak256(abi.encode(calls));
        if (have != callsHash) revert HashMismatch(have, callsHash);
        if (category == GRAVE) return;
        for (uint256 i = 0; i < calls.length; ++i) {
            if (isGrave(calls[i])) revert CategoryTooLow();
        }
    }

    /// @dev Checks that no more than 14 d went by since `t`.
    function _requireFresh(uint64 t) private view {
        _requireInTime(t + _days(Periods.EXECUTION_DAYS));
    }

    // ── the timelock ──

    function _timelock() private view returns (TimelockController) {
        return TimelockController(payable(_module(Codes.TIMELOCK_CONTROLLER)));
    }

    /// @dev Calls as the timelock takes them. None carries ether.
    function _split(Call[] calldata calls)
        private
        pure
        returns (address[] memory targets, uint256[] memory values, bytes[] memory payloads)
    {
        targets = new address[](calls.length);
        values = new uint256[](calls.length);
        payloads = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            (targets[i], payloads[i]) = (calls[i].target, calls[i].data);
        }
    }
}
