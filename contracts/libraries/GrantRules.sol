// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Codes} from "./Codes.sol";

/// @title When a use fits what a dataset allows: purposes and Data Use Ontology.
library GrantRules {
    /// @notice Whether a purpose may be asked for at all. Those from 0x8000 on are forbidden for
    /// everybody (EHDS Art. 54); numbers without a meaning are refused the same way.
    function isPurpose(uint16 purpose) internal pure returns (bool) {
        return purpose < 32 && (Codes.PURPOSES >> purpose) & 1 == 1;
    }

    /// @notice Whether `duo` sets exactly one permission bit and no bit without a meaning.
    function isDuo(uint32 duo) internal pure returns (bool) {
        uint32 permission = duo & Codes.DUO_PERMISSIONS;
        bool one = permission != 0 && permission & (permission - 1) == 0;
        return one && duo & ~(Codes.DUO_PERMISSIONS | Codes.DUO_MODIFIERS) == 0;
    }

    /// @notice Whether a request under `asked` stays within a dataset under `offered`: its
    /// permission is covered, and it repeats every modifier of the dataset.
    function duoCovers(uint32 offered, uint32 asked) internal pure returns (bool) {
        if (!isDuo(offered) || !isDuo(asked)) return false;
        if (offered & Codes.DUO_MODIFIERS & ~asked != 0) return false;
        return covered(offered & Codes.DUO_PERMISSIONS) & asked & Codes.DUO_PERMISSIONS != 0;
    }

    /// @notice The permissions that lie within one permission: broader ones cover narrower ones.
    function covered(uint32 permission) internal pure returns (uint32) {
        if (permission == Codes.DUO_NRES) return Codes.DUO_PERMISSIONS;
        if (permission == Codes.DUO_GRU) {
            return Codes.DUO_GRU | Codes.DUO_HMB | Codes.DUO_DS | Codes.DUO_POA;
        }
        if (permission == Codes.DUO_HMB) return Codes.DUO_HMB | Codes.DUO_DS;
        return permission;
    }

    /// @notice Whether `mode` is one mode, and among those offered.
    function modeOffered(uint8 offered, uint8 mode) internal pure returns (bool) {
        return mode != 0 && mode & (mode - 1) == 0 && mode & offered != 0;
    }
}
