// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Who may do what: role bits of credentials, role ids of the AccessManager.
library Roles {
    // ── bits of a practitioner credential: what its holder may do for the institution ──

    uint16 internal constant ADMIN = 1 << 0;
    uint16 internal constant STEWARD = 1 << 1;
    uint16 internal constant CLINICIAN = 1 << 2;
    uint16 internal constant RESEARCHER = 1 << 3;
    uint16 internal constant OFFICER = 1 << 4;
    uint16 internal constant PANELIST = 1 << 5;
    uint16 internal constant RELAYER = 1 << 6;
    uint16 internal constant AUDITOR = 1 << 7;
    uint16 internal constant EMERGENCY = 1 << 8;
    uint16 internal constant REVIEWER = 1 << 9;
    /// @dev All ten.
    uint16 internal constant ALL = 0x3FF;

    // ── ids in the AccessManager: which account or contract may call what is restricted ──

    /// @dev OpenZeppelin's own administrator role, by its definition 0.
    uint64 internal constant ADMIN_ROLE = 0;
    uint64 internal constant GOVERNANCE_ROLE = 1;
    uint64 internal constant GUARDIAN_ROLE = 2;
    uint64 internal constant FOUNDER_ROLE = 3;
    uint64 internal constant REGISTRARS_ROLE = 10;
    uint64 internal constant SCORERS_ROLE = 11;
    uint64 internal constant ACCRUERS_ROLE = 12;
    uint64 internal constant CONSUMERS_ROLE = 13;
    uint64 internal constant ESCROW_ROLE = 14;
    uint64 internal constant CASES_ROLE = 15;
    uint64 internal constant PANEL_ROLE = 16;
    uint64 internal constant SANCTIONS_ROLE = 17;
    uint64 internal constant JOBS_ROLE = 18;
}
