//! Role numbers of AccessManager and role bits of practitioners (`contracts.md` sections 1 and 11).

/// Role ids of OpenZeppelin's AccessManager: which contract may call which restricted function.
pub mod manager {
    /// Everything AccessManager itself guards.
    pub const ADMIN: u64 = 0;
    /// Votes of the institutions, after their delay.
    pub const GOVERNANCE: u64 = 1;
    /// May stop a module for a day, never start or grant.
    pub const GUARDIAN: u64 = 2;
    /// Founds the first institutions, then nobody.
    pub const FOUNDER: u64 = 3;
    /// May bind an institution's first key.
    pub const REGISTRARS: u64 = 10;
    /// May record credibility events.
    pub const SCORERS: u64 = 11;
    /// May accrue credits.
    pub const ACCRUERS: u64 = 12;
    /// May consume request quota.
    pub const CONSUMERS: u64 = 13;
    /// May lock, unlock and burn credits.
    pub const ESCROW: u64 = 14;
    /// May impose sanctions for a decided case.
    pub const CASES: u64 = 15;
    /// May deliver rulings and impose interim sanctions.
    pub const PANEL: u64 = 16;
    /// May suspend an institution.
    pub const SANCTIONS: u64 = 17;
    /// May set privacy budgets aside.
    pub const JOBS: u64 = 18;
    /// Every role, in ascending order.
    pub const ALL: [u64; 13] = [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18];
}

/// Bits of a practitioner credential: what its holder may do for the institution.
pub mod practitioner {
    /// Answers for the institution.
    pub const ADMIN: u16 = 1 << 0;
    /// Decides about its data.
    pub const STEWARD: u16 = 1 << 1;
    /// Treats patients.
    pub const CLINICIAN: u16 = 1 << 2;
    /// Asks for data.
    pub const RESEARCHER: u16 = 1 << 3;
    /// Complains and answers complaints.
    pub const OFFICER: u16 = 1 << 4;
    /// Sends its transactions.
    pub const RELAYER: u16 = 1 << 6;
    /// Every role there is.
    pub const ALL: u16 = 0x3FF;
}
