// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title JudgePool: who may judge, and whose turn it is.
/// @notice Institutions offer a seat each, at most 256 of them. Who served longest ago is drawn
/// first, so that no randomness is needed and everybody can foretell who is next. Nobody sits about
/// itself, its own group or an institution that it vouched for (a hub counts as its sponsor), and
/// no two members of a panel share a group.
///
/// @notice Who could not serve in any case when its turn came goes to the end of the queue; who may
/// only not sit in this one keeps its turn.
interface IJudgePool is IModule {
    /// @notice An institution's offer to judge.
    /// @param cred Credential that sits for it; 0 for no seat.
    /// @param lastServed When it was drawn last, in seconds since 1970; 0 if never.
    struct Seat {
        bytes16 inst;
        bytes16 cred;
        uint64 lastServed;
    }

    /// @notice `cred` sits for `inst` from now on, last in turn.
    event SeatJoined(bytes16 indexed inst, bytes16 cred);

    /// @notice `inst` judges no more; panels that it sits on go on.
    event SeatLeft(bytes16 indexed inst);

    /// @notice These went to the end of the queue, in this order: first those that could not serve
    /// (not active, suspended, or a credential that ended), then the last `drawn` of them, who sit.
    event SeatsMoved(bytes16[] insts, uint256 drawn);

    /// @notice `cred` is no live credential of the institution with the role PANELIST.
    error NotPanelist(bytes16 cred);

    /// @notice Offers a seat, one an institution. ADMIN of `inst`, which is active.
    /// @param cred Live credential of `inst` with the role PANELIST.
    function join(bytes16 inst, bytes16 cred) external;
    function joinBySig(bytes16 inst, bytes16 cred, Auth calldata auth) external;

    /// @notice Takes the seat back. ADMIN of `inst`.
    function leavePool(bytes16 inst) external;
    function leavePoolBySig(bytes16 inst, Auth calldata auth) external;

    /// @notice Draws those whose turn it is among the first 26 of the queue. Restricted to PANEL.
    /// @param parties Institutions or hubs that the case is about.
    /// @param sitting Who sits in the case already; their groups are taken.
    /// @param former Who sat before and comes last.
    /// @param wanted 1 for somebody's successor, else the size of a panel.
    /// @return seats The largest odd number of seats up to `wanted`; fewer than 3 of a panel are
    /// none.
    function draw(
        bytes16[2] calldata parties,
        bytes16[] calldata sitting,
        bytes16[] calldata former,
        uint8 wanted
    ) external returns (Seat[] memory seats);

    /// @notice An institution's seat.
    function seatOf(bytes16 inst) external view returns (Seat memory);

    /// @notice Institutions with a seat, next in turn first.
    function pool() external view returns (bytes16[] memory insts);
}
