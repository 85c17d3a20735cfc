// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title Credibility: one score, two numbers.
/// @notice Contracts report what they established; nobody sets a score. Weight halves every 180 d
/// (`libraries/Score.sol` has the arithmetic). One counterparty, and one group of them, can hold up
/// at most 8 of a subject's good weight. The score orders trays and sets quota; it never refuses
/// emergency care.
interface ICredibility is IModule {
    /// @notice What is kept about a subject. Q64 numbers (an integer over 2^64) as of `last`.
    /// @param r Sum of good weight.
    /// @param s Sum of bad weight.
    /// @param last Time of the last event in seconds since 1970; 0 if there was none.
    /// @param count Events with weight, so that a score is read with its evidence.
    struct Sums {
        uint128 r;
        uint128 s;
        uint64 last;
        uint32 count;
    }

    /// @notice An event was taken in.
    /// @param kind 1 ACCEPTED, 2 TIMELY, 3 LATE, 4 RULE_FAULT, 5 MINOR, 6 MAJOR, 7 CRITICAL,
    /// 8 FALSE_COMPLAINT, 9 BREAK_GLASS.
    /// @param weight What was added, Q64: to R for kinds 1 and 2, to S for the others. Less than
    /// the kind's full weight, or 0, where the counterparty's or its group's share is used up.
    /// @param r Good weight after the event, Q64.
    /// @param s Bad weight after the event, Q64.
    /// @param ref What it was about: a grant, delivery or case.
    event CredibilityRecorded(
        bytes16 indexed subject,
        bytes16 indexed counterparty,
        uint8 kind,
        uint256 weight,
        uint256 r,
        uint256 s,
        bytes32 indexed ref
    );

    /// @notice Takes in an event. Restricted to SCORERS.
    /// @dev Good weight counts 0 where counterparty and subject are the same or of one group. A hub
    /// counts as its sponsor: who sponsors many hubs gains nothing by their praise.
    function record(bytes16 subject, bytes16 counterparty, uint8 kind, bytes32 ref) external;

    /// @notice The score at a time.
    /// @param t Seconds since 1970, not before the subject's last event (`TooEarly`).
    /// @return mean Mean, Q64, 0…1.
    /// @return lcb One standard deviation below it, Q64, at least 0.
    /// @return meanBps `mean` in basis points.
    /// @return lcbBps `lcb` in basis points.
    /// @return count Events with weight so far.
    function score(bytes16 subject, uint64 t)
        external
        view
        returns (uint256 mean, uint256 lcb, uint16 meanBps, uint16 lcbBps, uint32 count);

    /// @notice What is kept about a subject, undecayed since its last event.
    function sums(bytes16 subject) external view returns (Sums memory);
}
