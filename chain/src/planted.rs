//! Bugs on purpose, in tests alone: the simulator must find each of them, or it is blind.
//!
//! Every place that can misbehave asks [`is`], behind `#[cfg(test)]`; the program has neither the question nor the bug.

use std::cell::Cell;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Of two heads of equal total difficulty the one seen first stays.
    NoTieRule,
    /// Of two heads of equal total difficulty a coin decides (geth).
    CoinToss,
    /// On a tie a node stays with the block it sealed (geth since 1.10.14).
    OwnBlockPreferred,
    /// A head of equal total difficulty is not asked for (geth).
    EqualHeadsNotFetched,
    /// A key seals a height once, whatever the parent.
    OneSealPerHeight,
    /// An epoch block forgets who sealed lately.
    RecentsForgottenAtEpoch,
    /// The window wraps below block 0 and lets a signer repeat (geth).
    WindowWraps,
    /// An epoch block forgets no votes.
    VotesKeptAtEpoch,
    /// Seals are remembered, but neither written nor looked for at a start.
    JournalNotSynced,
    /// A block counts as stored before the disk has it; the tables run ahead of the log.
    LogNotSynced,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    static COIN: Cell<u64> = const { Cell::new(0) };
}

/// Plants a bug on this thread, or takes it out.
pub(crate) fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
    COIN.set(0);
}

/// The bug on this thread.
pub(crate) fn planted() -> Option<Bug> {
    PLANTED.get()
}

/// True if this bug is planted on this thread.
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// A coin that falls the same way in each run.
pub(crate) fn coin() -> bool {
    COIN.set(
        COIN.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407),
    );
    COIN.get() >> 63 == 1
}
