// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPrivacyLedger} from "../interfaces/IPrivacyLedger.sol";

/// @title Arithmetic of privacy budgets, in mε.
library Budget {
    /// @notice What one requester, or one group, may learn of a dataset in a period by default.
    uint64 internal constant REQUESTER_CAP = 2000;
    /// @notice What all together may learn of a dataset in a period by default.
    uint64 internal constant TOTAL_CAP = 10_000;
    /// @notice Highest cap an owner may set for one requester.
    uint64 internal constant REQUESTER_CAP_MAX = 20_000;
    /// @notice Highest cap an owner may set for all together.
    uint64 internal constant TOTAL_CAP_MAX = 100_000;

    /// @notice What a cap leaves; 0 if it was lowered below what is used.
    function left(uint64 cap, IPrivacyLedger.Spent storage used) internal view returns (uint64) {
        uint64 sum = used.spent + used.reserved;
        return sum < cap ? cap - sum : 0;
    }

    /// @notice Sets `eps` aside. The caller has compared it with what is left.
    function reserve(IPrivacyLedger.Spent storage used, uint32 eps) internal {
        used.reserved += eps;
    }

    /// @notice Turns `eps` set aside into `spent`, at most as much; the rest is free again.
    function settle(IPrivacyLedger.Spent storage used, uint32 eps, uint32 spent) internal {
        used.reserved -= eps;
        used.spent += spent;
    }
}
