// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Codes} from "./Codes.sol";

/// @title What votes amount to.
library Votes {
    /// @notice A panel's ruling: the verdict of more than half of the votes, with the lower median
    /// of its severities; NotProven if no verdict has that many.
    /// @param votes How many voted for verdict v with severity s, at place 3·(v − 1) + s − 1.
    /// @return ruling 1 Upheld, 2 Dismissed, 3 Abusive, 4 NotProven.
    /// @return severity 1…3 if upheld, else 0.
    function decide(uint256[9] memory votes) internal pure returns (uint8 ruling, uint8 severity) {
        uint256 upheld = votes[0] + votes[1] + votes[2];
        uint256 dismissed = votes[3] + votes[4] + votes[5];
        uint256 abusive = votes[6] + votes[7] + votes[8];
        uint256 half = (upheld + dismissed + abusive) / 2;
        if (upheld > half) return (Codes.UPHELD, lowerMedian(votes[0], votes[1], upheld));
        if (dismissed > half) return (Codes.DISMISSED, 0);
        if (abusive > half) return (Codes.ABUSIVE, 0);
        return (Codes.NOT_PROVEN, 0);
    }

    /// @notice The severity in the middle, the lower of two: of all votes in ascending order the
    /// one at place ⌈all/2⌉.
    function lowerMedian(uint256 minor, uint256 major, uint256 all) internal pure returns (uint8) {
        uint256 place = (all + 1) / 2;
        if (minor >= place) return Codes.MINOR;
        return minor + major >= place ? Codes.MAJOR : Codes.CRITICAL;
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
