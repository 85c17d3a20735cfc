//! The simulator: N ledgers on one thread, under virtual time, with everything that goes wrong drawn from one seed.
//!
//! Each [`node`] is the real ledger with the real preparation of seals and the real choice of head. What is made up is
//! around it: the [`network`] delays, loses, doubles and reorders messages and falls apart; nodes pause, lose power, come
//! back, and their clocks are wrong. A run of the [`world`] is a few storms, each followed by a heal.
//!
//! What must hold (`design/security.md` 6, without finality):
//!
//! - *S1, safety*: no key seals twice on one parent; every accepted block obeys EIP-225 as the [`oracle`] has it; a node
//!   keeps what it accepted; when all know the same they stand on the same head with the same state; a new node that gets
//!   all blocks in another order comes to that head too.
//! - *S3, liveness*: after a heal the chain grows within 3·N periods, also with exactly ⌊N/2⌋ + 1 signers online.
//!
//! The same seed plays the same run, byte for byte. Bugs can be planted (`crate::planted`), to see that they are found.

mod network;
mod node;
mod oracle;
mod plan;
mod random;
mod referee;
mod tests;
mod trace;
mod world;

use std::fmt;

pub(crate) use self::oracle::Oracle;
use self::{
    plan::Plan,
    world::{Report, World},
};
use crate::planted::{self, Bug};

/// A promise that did not hold in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Violation {
    plan: String,
    seed: u64,
    at_ms: u64,
    what: String,
    last: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, seed, at_ms, what, last } = self;
        let (secs, ms) = (at_ms / 1_000, at_ms % 1_000);
        write!(
            formatter,
            "seed {seed} at {secs}.{ms:03} s: {what}\n  {plan}\nlast events:\n{last}  again: ./test/run sim --seed {seed}"
        )
    }
}

/// Plays a seed, with a bug if one is planted; also gives the trace.
fn play(seed: u64, bug: Option<Bug>) -> (Result<Report, Violation>, String) {
    planted::plant(bug);
    let plan = Plan::new(seed);
    let words = format!("{plan:?}");
    let outcome = match World::new(plan) {
        Err(what) => (Err((0, what, String::new())), String::new()),
        Ok(mut world) => {
            let outcome = world.run();
            let outcome = outcome.map_err(|what| (world.elapsed_ms(), what, world.trace.tail()));
            (outcome, world.trace.text())
        }
    };
    planted::plant(None);
    let (outcome, trace) = outcome;
    (
        outcome.map_err(|(at_ms, what, last)| Violation { plan: words, seed, at_ms, what, last }),
        trace,
    )
}
