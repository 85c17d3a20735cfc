// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title Arbitration: panels and their votes.
/// @notice Peers judge what no rule decides. JudgePool says whose turn it is. Votes are committed,
/// then revealed, so that nobody follows a neighbour.
///
/// | window | length | what happens                                         |
/// |--------|--------|------------------------------------------------------|
/// | recuse | 2 d    | a member gives its seat to the next who may take it  |
/// | commit | 4 d    | members commit to a verdict                          |
/// | reveal | 3 d    | verdicts are shown; earlier once all have committed  |
///
/// @notice A panel has 5 members, or 3 where fewer than 5 may sit; an appeal the largest odd number
/// up to 9, members of the first panel last. A majority of its seats must reveal (2 of 3, 3 of 5, 4
/// of 7, 5 of 9), otherwise a second panel is drawn, once. The ruling is the verdict of more than
/// half of the revealed votes, NotProven if there is none; its severity is the lower median of
/// those votes.
interface IArbitration is IModule {
    /// @notice One seat of a panel.
    /// @param inst Institution; 0 if its member recused itself and nobody could follow.
    /// @param commitment As in `commitVote`; 0 before.
    /// @param verdict 1 Upheld, 2 Dismissed, 3 Abusive; 0 before it is revealed.
    /// @param severity 1 minor, 2 major, 3 critical; counts for Upheld only.
    struct Member {
        bytes16 inst;
        bytes16 cred;
        bytes32 commitment;
        uint8 verdict;
        uint8 severity;
    }

    /// @notice A panel. Times are last seconds of the windows, since 1970.
    /// @param size Seats drawn; 0 if there was no panel.
    /// @param draws 1, or 2 after a second draw.
    /// @param open Whether it sits.
    /// @param committed Votes committed.
    /// @param revealed Votes revealed.
    struct Panel {
        uint8 size;
        uint8 draws;
        bool open;
        uint8 committed;
        uint8 revealed;
        uint64 recuseBy;
        uint64 commitBy;
        uint64 revealBy;
        Member[] members;
    }

    /// @notice An appeal.
    /// @param by Who appealed; 0 if nobody did.
    /// @param bond µcredits locked under `keccak256(abi.encode(bytes32 caseId, bytes16 by))`.
    struct Appeal {
        bytes16 by;
        uint64 bond;
    }

    /// @notice A panel sits.
    event PanelDrawn(
        bytes32 indexed caseId, uint8 round, bytes16[] creds, uint64 commitBy, uint64 revealBy
    );

    /// @notice `cred` gave its seat to `replacement`; 0 if nobody could take it.
    event SeatRecused(bytes32 indexed caseId, bytes16 indexed cred, bytes16 indexed replacement);

    event VoteCommitted(
        bytes32 indexed caseId, uint8 round, bytes16 indexed cred, bytes32 commitment
    );
    event VoteRevealed(
        bytes32 indexed caseId, uint8 round, bytes16 indexed cred, uint8 verdict, uint8 severity
    );
    event PanelTallied(bytes32 indexed caseId, uint8 round, uint8 ruling, uint8 severity);
    event AppealFiled(bytes32 indexed caseId, bytes16 indexed by, bytes32 groundsHash, uint64 bond);
    event InterimVoted(bytes32 indexed caseId, bytes16 indexed cred, uint8 level, uint64 until);

    /// @notice `cred` has no seat on the panel that sits.
    error NotOnPanel(bytes16 cred);

    /// @notice No panel sits in this case now.
    error NotSitting(bytes32 caseId);

    // ── a panel's life ──

    /// @notice Draws the first panel of a case. Restricted to CASES.
    /// @dev If fewer than 3 may sit, the ruling is NotProven and is delivered within the call.
    function drawPanel(bytes32 caseId, bytes16 complainant, bytes16 respondent) external;

    /// @notice Gives a seat away, within 2 d. The credential itself.
    function recuse(bytes32 caseId, bytes16 cred) external;
    function recuseBySig(bytes32 caseId, bytes16 cred, Auth calldata auth) external;

    /// @notice Commits to a vote, once, in the 4 d after the window for recusal. The credential
    /// itself.
    /// @param commitment `keccak256(abi.encode(bytes32 caseId, uint8 round, bytes16 cred, uint8
    /// verdict, uint8 severity, bytes32 salt))`.
    function commitVote(bytes32 caseId, uint8 round, bytes16 cred, bytes32 commitment) external;
    function commitVoteBySig(
        bytes32 caseId,
        uint8 round,
        bytes16 cred,
        bytes32 commitment,
        Auth calldata auth
    ) external;

    /// @notice Shows a committed vote. Anyone who has the salt, in the 3 d after the window for
    /// commitments, or as soon as all have committed.
    /// @param verdict 1 Upheld, 2 Dismissed, 3 Abusive.
    /// @param severity 1 minor, 2 major, 3 critical; counts for Upheld only.
    function revealVote(
        bytes32 caseId,
        uint8 round,
        bytes16 cred,
        uint8 verdict,
        uint8 severity,
        bytes32 salt
    ) external;

    /// @notice Counts the votes and delivers the ruling. Anyone, once the window for reveals is
    /// over or nothing is left to reveal. Each member that revealed earns PANEL credits.
    /// @dev Without a quorum a second panel is drawn, once. Without a quorum then, or without
    /// enough who may sit, a first panel's ruling is NotProven, and on appeal the first ruling
    /// stands: nobody undoes a ruling by keeping judges silent.
    function tally(bytes32 caseId) external;

    /// @notice Appeals against the first panel's ruling, within 7 d of it. OFFICER of the party
    /// that lost: the respondent if it was upheld, else the complainant. Locks 20 credits, or all
    /// that the party has.
    /// @dev The credits are burned if the second panel rules against the party again and no milder,
    /// else they come back.
    /// @param groundsHash Commitment to the grounds.
    function appeal(bytes32 caseId, bytes16 by, bytes32 groundsHash) external;
    function appealBySig(bytes32 caseId, bytes16 by, bytes32 groundsHash, Auth calldata auth)
        external;

    /// @notice Votes for an interim sanction of the respondent while the panel sits; a later vote
    /// replaces an earlier one. The credential itself. Two thirds of the seats, rounded up, with
    /// equal votes impose it, once a case: after that such a vote reverts.
    /// @param level 2 QuotaCut, 3 NoRequest, 4 Suspended.
    /// @param until Its end, at most 14 d ahead, in seconds since 1970.
    function voteInterim(bytes32 caseId, bytes16 cred, uint8 level, uint64 until) external;
    function voteInterimBySig(
        bytes32 caseId,
        bytes16 cred,
        uint8 level,
        uint64 until,
        Auth calldata auth
    ) external;

    // ── views ──

    /// @notice A panel; size 0 if none was drawn.
    /// @param round 1, or 2 on appeal.
    function panel(bytes32 caseId, uint8 round) external view returns (Panel memory);

    /// @notice Round of the case's last panel; 0 if none was drawn.
    function roundOf(bytes32 caseId) external view returns (uint8);

    /// @notice The appeal against the first ruling.
    function appealOf(bytes32 caseId) external view returns (Appeal memory);
}
