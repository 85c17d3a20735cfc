// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Codes} from "./Codes.sol";

/// @title What a ruling leads to: the ladder of sanctions.
///
/// | severity | no ruling in 365 d before | one             | two or more     |
/// |----------|---------------------------|-----------------|-----------------|
/// | minor    | Warn 30 d                 | QuotaCut 30 d   | NoRequest 30 d  |
/// | major    | NoRequest 30 d            | Suspended 30 d  | Suspended 90 d  |
/// | critical | Suspended 90 d            | Suspended 180 d | Suspended 365 d |
///
/// @notice A warning binds nobody to anything; it stands for 30 d so that others can see it.
library SanctionRules {
    /// @notice Seen by others, no effect.
    uint8 internal constant WARN = 1;
    /// @notice Request quota counts a quarter.
    uint8 internal constant QUOTA_CUT = 2;
    /// @notice May not request access.
    uint8 internal constant NO_REQUEST = 3;
    /// @notice Suspended in InstitutionRegistry.
    uint8 internal constant SUSPENDED = 4;

    /// @notice Rulings executed within this many days before count for the ladder.
    uint64 internal constant MEMORY_DAYS = 365;

    /// @notice The step of the ladder.
    /// @param severity 1 minor, 2 major, 3 critical.
    /// @param earlier Rulings executed against the party within `MEMORY_DAYS`.
    /// @return level Sanction level, 1…4.
    /// @return termDays How long it lasts.
    function step(uint8 severity, uint256 earlier)
        internal
        pure
        returns (uint8 level, uint64 termDays)
    {
        if (severity == Codes.CRITICAL) {
            return (SUSPENDED, earlier == 0 ? 90 : earlier == 1 ? 180 : 365);
        }
        if (severity == Codes.MAJOR) {
            if (earlier == 0) return (NO_REQUEST, 30);
            return (SUSPENDED, earlier == 1 ? 30 : 90);
        }
        if (earlier == 0) return (WARN, 30);
        return (earlier == 1 ? QUOTA_CUT : NO_REQUEST, 30);
    }
}
