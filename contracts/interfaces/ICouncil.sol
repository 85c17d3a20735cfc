// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title Council: one institution, one vote, and a delay between yes and done.
/// @notice Whatever changes the rules' surroundings — who is admitted or expelled, which contract
/// holds a name, who holds a role — is a list of calls that the institutions vote on for 7 d and
/// that OpenZeppelin's TimelockController carries out 2 d later at the earliest. The Council itself
/// may call nothing but the timelock, and nobody but the Council may propose to the timelock.
///
/// @notice An ordinary proposal (category 1) passes if at least half of all institutions vote and
/// more say yes than no. A grave one (category 2) passes if at least two thirds of all say yes.
/// Grave is every call to AccessManager or TimelockController, and every `set`, `expel` and
/// `multicall`, since a multicall may hide one of these.
interface ICouncil is IModule {
    /// @notice Open → Queued → Executed. Open → Withdrawn. A proposal that did not pass
    /// stays Open and can do nothing any more.
    enum State {
        None,
        Open,
        Queued,
        Executed,
        Withdrawn
    }

    /// @notice One call of a proposal. It carries no ether.
    struct Call {
        address target;
        bytes data;
    }

    /// @notice Document: a proposal. Signed by an ADMIN of the proposer. Its digest is the
    /// proposal's id.
    /// @param proposer Active institution.
    /// @param category 1 ordinary, 2 grave.
    /// @param callsHash `keccak256(abi.encode(Call[] calls))`.
    /// @param textHash keccak256 of the reasons in words.
    /// @param salt Random, so that no two proposals have the same digest.
    struct Proposal {
        bytes16 proposer;
        uint8 category;
        bytes32 callsHash;
        bytes32 textHash;
        bytes32 salt;
    }

    /// @notice A proposal and what became of it. Times in seconds since 1970.
    /// @param snapshot Who was active then may vote.
    /// @param voteEnd Last second of the vote.
    /// @param readyAt First second at which it may be executed; 0 before it is queued.
    /// @param electorate Institutions that were full members at `snapshot`, suspended ones too.
    struct ProposalState {
        bytes16 proposer;
        uint8 category;
        State state;
        uint64 snapshot;
        uint64 voteEnd;
        uint64 readyAt;
        uint16 yes;
        uint16 no;
        uint16 electorate;
        bytes32 callsHash;
    }

    /// @notice `p` is open for votes until `voteEnd`; it counts the institutions of one second ago.
    event Proposed(
        bytes32 indexed proposalId, Proposal p, Call[] calls, uint64 voteEnd, uint16 electorate
    );
    event Voted(bytes32 indexed proposalId, bytes16 indexed inst, bool yes);
    event Queued(bytes32 indexed proposalId, uint64 readyAt);
    event Executed(bytes32 indexed proposalId);
    event ProposalWithdrawn(bytes32 indexed proposalId);

    /// @notice One of the calls needs a grave vote.
    error CategoryTooLow();

    /// @notice The vote did not pass.
    error NotPassed(uint16 yes, uint16 no, uint16 electorate);

    /// @notice Proposes 1 to 16 calls. ADMIN of the proposer, which is active.
    /// @return proposalId Digest of the proposal.
    function propose(Proposal calldata p, Call[] calldata calls)
        external
        returns (bytes32 proposalId);
    function proposeBySig(
        Proposal calldata p,
        Call[] calldata calls,
        address signer,
        bytes calldata signature
    ) external returns (bytes32 proposalId);

    /// @notice Votes, once, until `voteEnd`. ADMIN of `inst`, which was active at the snapshot.
    function vote(bytes32 proposalId, bytes16 inst, bool yes) external;
    function voteBySig(bytes32 proposalId, bytes16 inst, bool yes, Auth calldata auth) external;

    /// @notice Takes a proposal back while its vote runs. ADMIN of the proposer.
    function withdrawProposal(bytes32 proposalId) external;
    function withdrawProposalBySig(bytes32 proposalId, Auth calldata auth) external;

    /// @notice Hands a proposal that passed to the timelock. Anyone, within 14 d of the vote's end.
    function queue(bytes32 proposalId, Call[] calldata calls) external;

    /// @notice Has the timelock carry it out. Anyone, within 14 d of `readyAt`. A proposal that the
    /// guardian cancelled at the timelock cannot be executed.
    function execute(bytes32 proposalId, Call[] calldata calls) external;

    /// @notice A proposal and what became of it; state None if unknown.
    function proposal(bytes32 proposalId) external view returns (ProposalState memory);

    /// @notice Whether an institution has voted.
    function hasVoted(bytes32 proposalId, bytes16 inst) external view returns (bool);

    /// @notice Whether the votes so far are enough.
    function passes(bytes32 proposalId) external view returns (bool);

    /// @notice Whether a call needs a grave vote.
    function isGrave(Call calldata call_) external view returns (bool);
}
