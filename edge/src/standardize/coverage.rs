//! What became of each leaf of a source: mapped into a resource, kept raw, or dropped because it carries nothing.
//!
//! A mapper reports byte ranges to a [`Ledger`] as it goes; at the end the ledger is laid over the leaves that the parser's
//! own walker found. The last report about a leaf counts, and what nobody reported is raw: nothing is lost silently.
use crate::model::Coverage;
use std::cell::RefCell;
use std::ops::Range;

/// The fate of a leaf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// Its value stands in a resource.
    Mapped,
    /// It stands in the original bytes only.
    Raw,
    /// It says nothing by itself: a separator, a counter, a template id.
    Dropped,
}

impl Fate {
    /// The word of the coverage report.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Raw => "raw",
            Self::Dropped => "dropped",
        }
    }
}

/// A source field that is not mapped, for the coverage report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unmapped {
    /// Where it stands.
    pub at: String,
    /// `raw` or `dropped`.
    pub fate: &'static str,
}

/// Reports about byte ranges of one item, in order.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    reports: RefCell<Vec<(Range<usize>, Fate)>>,
}

impl Ledger {
    /// Reports the fate of every leaf that begins within `range`.
    pub(crate) fn report(&self, range: Range<usize>, fate: Fate) {
        if !range.is_empty() {
            self.reports.borrow_mut().push((range, fate));
        }
    }

    /// The fates of the leaves, which are sorted by position.
    pub(crate) fn fates(&self, leaves: &[Range<usize>]) -> Vec<Fate> {
        let mut fates = vec![Fate::Raw; leaves.len()];
        for (range, fate) in self.reports.borrow().iter() {
            let from = leaves.partition_point(|leaf| leaf.start < range.start);
            let to = leaves.partition_point(|leaf| leaf.start < range.end);
            fates.iter_mut().take(to).skip(from).for_each(|slot| *slot = *fate);
        }
        fates
    }

    /// Counts the fates of the leaves, which are sorted by position.
    pub(crate) fn count(&self, leaves: &[Range<usize>]) -> Coverage {
        let fates = self.fates(leaves);
        let count = |wanted| fates.iter().filter(|fate| **fate == wanted).count();
        Coverage {
            mapped: count(Fate::Mapped),
            raw: count(Fate::Raw),
            dropped: count(Fate::Dropped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_report_counts_and_silence_is_raw() {
        let ledger = Ledger::default();
        ledger.report(0..10, Fate::Mapped);
        ledger.report(4..6, Fate::Raw);
        ledger.report(20..30, Fate::Dropped);
        let coverage = ledger.count(&[0..2, 4..6, 8..9, 12..13, 25..26]);
        assert_eq!(coverage, Coverage { mapped: 2, raw: 2, dropped: 1 });
    }
}
