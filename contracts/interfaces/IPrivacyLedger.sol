// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IModule} from "./IModule.sol";

/// @title PrivacyLedger: budgets in milli-ε.
/// @notice Each answer about a dataset says a little about the people in it; ε measures how much,
/// and answers add up. A dataset has a cap on what it gives away in a period (90 d, on every
/// network), and one on what a single requester, with its group, may learn. A job reserves before
/// it runs and settles before its result leaves, so that no number of jobs at once can overdraw.
interface IPrivacyLedger is IModule {
    /// @notice Reserved → Settled | Released.
    enum State {
        None,
        Reserved,
        Settled,
        Released
    }

    /// @notice Caps of a dataset in mε a period. Unless its owner set others: 2 000 a requester,
    /// 10 000 in all.
    /// @param requester What one requester, or one group, may learn; in force until `nextFrom`.
    /// @param total What all may learn together; in force until `nextFrom`.
    /// @param nextRequester In force from `nextFrom` on.
    /// @param nextTotal In force from `nextFrom` on.
    /// @param nextFrom When a raise comes into force, in seconds since 1970; 0 if none is pending.
    struct Cap {
        uint64 requester;
        uint64 total;
        uint64 nextRequester;
        uint64 nextTotal;
        uint64 nextFrom;
    }

    /// @notice What is used of a cap in one period, in mε.
    struct Spent {
        uint64 spent;
        uint64 reserved;
    }

    /// @notice Budget set aside for one site of a job.
    /// @param budgetKey Whose budget: the requester's group as a number, or the requester's own id,
    /// left-aligned, if it had none when the budget was set aside.
    /// @param eps mε set aside.
    /// @param period Period it counts in: seconds since 1970 div 7 776 000.
    struct Reservation {
        bytes16 dataset;
        bytes32 budgetKey;
        uint32 eps;
        uint32 period;
        State state;
    }

    /// @notice The owner set caps: what is lower holds at once, what is higher from `from` on.
    event CapSet(bytes16 indexed dataset, uint64 requesterCap, uint64 totalCap, uint64 from);

    event BudgetReserved(
        bytes32 indexed jobId,
        uint8 site,
        bytes16 indexed dataset,
        bytes16 indexed requester,
        bytes32 budgetKey,
        uint32 eps,
        uint32 period
    );

    /// @notice `spent` of what was reserved is used for good; the rest is free again.
    event BudgetSettled(bytes32 indexed jobId, uint8 site, uint32 spent);

    /// @notice All that was reserved is free again.
    event BudgetReleased(bytes32 indexed jobId, uint8 site);

    /// @notice Only `left` mε of the smaller cap are free in this period.
    error BudgetExceeded(bytes16 dataset, uint64 left);

    /// @notice Sets the caps of a dataset. STEWARD of its owner. Lower ones hold at once, higher
    /// ones after 7 d; a raise that was pending is replaced.
    /// @param requesterCap 0…20 000 mε.
    /// @param totalCap 0…100 000 mε.
    function setCap(bytes16 dataset, uint64 requesterCap, uint64 totalCap) external;
    function setCapBySig(bytes16 dataset, uint64 requesterCap, uint64 totalCap, Auth calldata auth)
        external;

    /// @notice Sets budget aside for one site of a job, once. Restricted to JOBS.
    function reserve(bytes32 jobId, uint8 site, bytes16 dataset, bytes16 requester, uint32 eps)
        external;

    /// @notice Uses part of what was set aside, and frees the rest. Restricted to JOBS.
    function settle(bytes32 jobId, uint8 site, uint32 spent) external;

    /// @notice Frees what was set aside. Restricted to JOBS.
    function release(bytes32 jobId, uint8 site) external;

    // ── views ──

    /// @notice What is free at `t`, in mε, if nothing else is reserved until then.
    /// @return requesterLeft Of the cap of the requester, or of its group.
    /// @return totalLeft Of the dataset's cap.
    function left(bytes16 dataset, bytes16 requester, uint64 t)
        external
        view
        returns (uint64 requesterLeft, uint64 totalLeft);

    /// @notice Caps of a dataset.
    function cap(bytes16 dataset) external view returns (Cap memory);

    /// @notice What is used of a dataset in a period.
    function spentOf(bytes16 dataset, uint32 period) external view returns (Spent memory);

    /// @notice What one budget key used of a dataset in a period.
    function spentBy(bytes16 dataset, bytes32 budgetKey, uint32 period)
        external
        view
        returns (Spent memory);

    /// @notice What was set aside for one site of a job.
    function reservation(bytes32 jobId, uint8 site) external view returns (Reservation memory);
}
