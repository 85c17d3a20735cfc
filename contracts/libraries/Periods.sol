// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title How long things take, in days or hours of the network.
/// @dev A day is `Directory.DAY()` seconds (86 400; shorter on a demonstration network only), an
/// hour a 24th of it: `Module._days(Periods.X_DAYS)`, `Module._hours(Periods.X_HOURS)`.
library Periods {
    // ── institutions and keys ──

    uint64 internal constant APPLICATION_DAYS = 90;
    uint64 internal constant PROBATION_DAYS = 90;
    uint64 internal constant CREDENTIAL_DAYS = 400;
    uint64 internal constant BAR_MIN_DAYS = 365;
    uint64 internal constant BAR_MAX_DAYS = 3650;
    uint64 internal constant KEY_DAYS = 1095;
    uint64 internal constant REVOCATION_DAYS = 7;
    uint64 internal constant RECOVERY_DAYS = 7;
    /// @dev Longest time in which a key and its successor are both valid.
    uint64 internal constant OVERLAP_DAYS = 30;
    uint64 internal constant GUARDIANS_DAYS = 7;
    uint64 internal constant SERVICE_OFFER_DAYS = 730;

    // ── records ──

    uint64 internal constant EPOCH_GRACE_HOURS = 6;
    uint64 internal constant LOG_GRACE_HOURS = 3;
    uint64 internal constant CHALLENGE_DAYS = 30;

    // ── access ──

    uint64 internal constant ANSWER_MIN_HOURS = 1;
    uint64 internal constant ANSWER_MAX_DAYS = 60;
    uint64 internal constant GRANT_DAYS = 730;
    uint64 internal constant AGREEMENT_DAYS = 1095;

    // ── break-glass ──

    uint64 internal constant POSTING_HOURS = 2;
    uint64 internal constant EMERGENCY_HOURS = 24;
    uint64 internal constant REPORT_HOURS = 72;
    uint64 internal constant VERDICT_HOURS = 72;
    uint64 internal constant UNREPORTED_DAYS = 30;

    // ── deliveries ──

    uint64 internal constant RECEIPT_MIN_HOURS = 1;
    uint64 internal constant RECEIPT_MAX_DAYS = 30;
    uint64 internal constant KEY_RELEASE_MIN_HOURS = 1;
    uint64 internal constant KEY_RELEASE_MAX_DAYS = 7;
    uint64 internal constant ACKNOWLEDGE_MIN_HOURS = 1;
    uint64 internal constant ACKNOWLEDGE_MAX_DAYS = 30;

    // ── computing ──

    uint64 internal constant PERMIT_MIN_HOURS = 1;
    uint64 internal constant PERMIT_MAX_DAYS = 60;
    uint64 internal constant RUN_MIN_HOURS = 1;
    uint64 internal constant RUN_MAX_DAYS = 60;
    uint64 internal constant RESULT_DAYS = 7;
    uint64 internal constant ALLOWANCE_DAYS = 365;
    uint64 internal constant CAP_RAISE_DAYS = 7;

    // ── cases ──

    uint64 internal constant FILING_DAYS = 180;
    uint64 internal constant CASE_ANSWER_DAYS = 7;
    uint64 internal constant EVIDENCE_DAYS = 7;
    uint64 internal constant RECUSE_DAYS = 2;
    uint64 internal constant COMMIT_DAYS = 4;
    uint64 internal constant REVEAL_DAYS = 3;
    uint64 internal constant APPEAL_DAYS = 7;
    uint64 internal constant INTERIM_DAYS = 14;

    // ── governance ──

    uint64 internal constant VOTE_DAYS = 7;
    /// @dev For queueing after a vote, and for executing after the timelock's delay.
    uint64 internal constant EXECUTION_DAYS = 14;
    uint64 internal constant TIMELOCK_DAYS = 2;
    uint64 internal constant STOP_HOURS = 24;
    uint64 internal constant STOP_PAUSE_DAYS = 14;
    /// @dev Shortest day that a demonstration network may set, in seconds.
    uint64 internal constant DAY_MIN_SECS = 240;
    uint64 internal constant DAY_MAX_SECS = 86_400;
}
