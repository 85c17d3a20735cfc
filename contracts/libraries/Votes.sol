// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Codes} from "./Codes.sol";

/// @title What votes amount to.
library Votes {
    /// @notice A panel's ruling: the verdict of more than half of the votes, with the lower median
    /// of its severities; NotProven if no verdict has that many.
    /// @param votes How many voted for verdict v + 1 with severity s + 1, at `votes[v][s]`.
    /// @return ruling 1 Upheld, 2 Dismissed, 3 Abusive, 4 NotProven.
    /// @return severity 1…3 if upheld, else 0.
    function decide(uint8[3][3] memory votes)
        internal
        pure
        returns (uint8 ruling, uint8 severity)
    {
        uint256[3] memory sums;
        for (uint256 v = 0; v < 3; ++v) {
            sums[v] = uint256(votes[v][0]) + votes[v][1] + votes[v][2];
        }
        uint256 all = sums[0] + sums[1] + sums[2];
        if (2 * sums[0] > all) return (Codes.UPHELD, lowerMedian(votes[0], sums[0]));
        if (2 * sums[1] > all) return (Codes.DISMISSED, 0);
        if (2 * sums[2] > all) return (Codes.ABUSIVE, 0);
        return (Codes.NOT_PROVEN, 0);
    }

    /// @notice The severity in the middle, the lower of two: of `sum` votes in ascending order the
    /// one at place ⌈sum/2⌉.
    function lowerMedian(uint8[3] memory votes, uint256 sum) internal pure returns (uint8) {
        uint256 place = (sum + 1) / 2;
        if (votes[0] >= place) return Codes.MINOR;
        return uint256(votes[0]) + votes[1] >= place ? Codes.MAJOR : Codes.CRITICAL;
    }

    /// @notice Whether a second ruling is against the party that appealed the first, and no milder.
    /// @dev Upheld is against the respondent, all else against the complainant. NotProven decides
    /// against nobody; among the others Abusive is the harder one.
    function confirms(uint8 first, uint8 firstSeverity, uint8 second, uint8 secondSeverity)
        internal
        pure
        returns (bool)
    {
        if (first == Codes.UPHELD) {
            return second == Codes.UPHELD && secondSeverity >= firstSeverity;
        }
        if (first == Codes.ABUSIVE) return second == Codes.ABUSIVE;
        return second == Codes.DISMISSED || second == Codes.ABUSIVE;
    }
}
