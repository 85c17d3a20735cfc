//! [`Stop`]: a run of the EVM that somebody may end before it ends itself.
//!
//! The ledger has no clock, so whoever starts a long run brings a question along: *is it over?* It is asked at the
//! instructions that no long run gets around (`executor/stop.rs`). The answer is kept: once over, always over.

use std::{fmt, sync::Arc};

/// Loops between two questions: a loop may be a few instructions long, and a question costs as much as ten of them.
const LOOPS_A_QUESTION: u32 = 1_024;

/// Whether a run is over.
pub type IsOver = Arc<dyn Fn() -> bool + Send + Sync>;

/// What may end a run.
#[derive(Clone)]
pub struct Stop {
    is_over: IsOver,
    /// A run in a hurry ends at a call of a precompiled contract whose price says little about its time.
    is_in_a_hurry: bool,
    loops: u32,
    has_ended: bool,
}

impl fmt::Debug for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stop").field("has_ended", &self.has_ended).finish_non_exhaustive()
    }
}

impl Stop {
    /// Ends a run when this says so.
    pub fn when(is_over: IsOver) -> Self {
        Self { is_over, is_in_a_hurry: false, loops: 0, has_ended: false }
    }

    /// The same for a run that is started again elsewhere if it turns out to be long: it calls no precompiled contract
    /// that could take long by itself.
    #[must_use]
    pub const fn in_a_hurry(mut self) -> Self {
        self.is_in_a_hurry = true;
        self
    }

    /// True if the run was ended.
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// A loop begins anew; true if the run is over.
    pub(crate) fn at_loop(&mut self) -> bool {
        self.loops += 1;
        if self.loops < LOOPS_A_QUESTION {
            return self.has_ended;
        }
        self.loops = 0;
        self.at_work()
    }

    /// Something begins that may take a while; true if the run is over.
    pub(crate) fn at_work(&mut self) -> bool {
        self.has_ended = self.has_ended || (self.is_over)();
        self.has_ended
    }

    /// A contract is called; true if the run is over. Precompiled contracts stand below 2^16; the first four, and the
    /// sums on curves, take no longer than their price.
    pub(crate) fn at_call(&mut self, to: u64) -> bool {
        const SHORT: [u64; 6] = [1, 2, 3, 4, 6, 7];
        if self.is_in_a_hurry && (1..=u64::from(u16::MAX)).contains(&to) && !SHORT.contains(&to) {
            self.has_ended = true;
        }
        self.at_work()
    }
}
