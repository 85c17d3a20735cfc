//! What happened in a run, in the order it happened: small facts, put into words only when somebody reads them.

use std::fmt;

use alloy_primitives::{Address, B256, U256};

/// Notes of a violation that are shown.
const SHOWN_NOTES: usize = 60;

/// A block as a trace names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) number: u64,
    pub(super) hash: B256,
    pub(super) total_difficulty: U256,
}

impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = &self.hash.to_string()[..10];
        write!(
            formatter,
            "block {} {short} of total difficulty {}",
            self.number, self.total_difficulty
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Sealed(Named),
    Head {
        block: Named,
        removed: usize,
    },
    Side {
        number: u64,
        hash: B256,
    },
    Crash,
    Restart(Named),
    /// The n-th call of its disk from now fails, and the power with it.
    FailSoon(u64),
    JournalLost,
    Pause,
    Resume,
    Clock {
        offset_ms: i64,
    },
    Propose {
        address: Address,
        authorize: bool,
    },
    Cut {
        to: usize,
    },
    /// Bit i: node i is in the second half.
    Split(u64),
    Join,
    /// Bit i: node i is online.
    Heal(u64),
    Quiet,
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed(block) => write!(formatter, "sealed {block}"),
            Self::Head { block, removed: 0 } => write!(formatter, "head is {block}"),
            Self::Head { block, removed } => {
                write!(formatter, "head is {block}, {removed} blocks taken back")
            }
            Self::Side { number, hash } => {
                write!(formatter, "keeps block {number} {} aside", &hash.to_string()[..10])
            }
            Self::Crash => formatter.write_str("lost power"),
            Self::Restart(block) => write!(formatter, "restarted, head is {block}"),
            Self::FailSoon(calls) => {
                write!(formatter, "will lose power in {calls} calls of its disk")
            }
            Self::JournalLost => formatter.write_str("lost its journal"),
            Self::Pause => formatter.write_str("pauses"),
            Self::Resume => formatter.write_str("goes on"),
            Self::Clock { offset_ms } => write!(formatter, "has a clock {offset_ms:+} ms off"),
            Self::Propose { address, authorize: true } => write!(formatter, "wants {address} in"),
            Self::Propose { address, .. } => write!(formatter, "wants {address} out"),
            Self::Cut { to } => write!(formatter, "is not heard by node {to} for a while"),
            Self::Split(halves) => write!(formatter, "split, second half {}", members(*halves)),
            Self::Join => formatter.write_str("joined again"),
            Self::Heal(online) => write!(formatter, "healed, online {}", members(*online)),
            Self::Quiet => formatter.write_str("nobody seals"),
        }
    }
}

fn members(mask: u64) -> String {
    let names: Vec<_> =
        (0..64).filter(|bit| mask >> bit & 1 == 1).map(|bit| bit.to_string()).collect();
    names.join(" ")
}

/// One fact: when, at which node (none: the network), what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    /// Since the start of the run.
    pub(super) at_ms: u64,
    pub(super) node: Option<usize>,
    pub(super) what: What,
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, ms) = (self.at_ms / 1_000, self.at_ms % 1_000);
        match self.node {
            Some(node) => write!(formatter, "{secs:>5}.{ms:03} s  node {node}: {}", self.what),
            None => write!(formatter, "{secs:>5}.{ms:03} s  network: {}", self.what),
        }
    }
}

/// All notes of a run.
#[derive(Debug, Default)]
pub(super) struct Trace(Vec<Note>);

impl Trace {
    pub(super) fn note(&mut self, at_ms: u64, node: Option<usize>, what: What) {
        self.0.push(Note { at_ms, node, what });
    }

    pub(super) fn text(&self) -> String {
        self.0.iter().map(|note| format!("{note}\n")).collect()
    }

    pub(super) fn tail(&self) -> String {
        let from = self.0.len().saturating_sub(SHOWN_NOTES);
        self.0[from..].iter().map(|note| format!("  {note}\n")).collect()
    }
}
