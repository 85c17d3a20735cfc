//! What a dataset publishes of its keywords, week by week: counts of patients above a threshold, never about fewer.
//!
//! 1. Deepest codes first: a code with fewer patients than its threshold is left out, and its patients join its parents; a
//!    root below its threshold is left out.
//! 2. Where a parent without its published children would leave one to `k − 1` patients, the smallest child is left out,
//!    too, and its patients join the parent.
//! 3. A value is the count rounded up to a multiple of five. A code first appears at `k + r` patients, `r` by a keyed hash of
//!    dataset and code; a published value stays until the count is `k` or more away from it. So two epochs differ in a code by
//!    nothing, or by `k` and more, and no epoch shows that one patient came or went.
//!
//! Pure: the same patients, thresholds and former epoch give the same epoch.
use std::collections::{BTreeMap, BTreeSet};

/// A code: its system and itself.
pub type Code = (String, String);

/// Fewest patients behind a published code.
pub const K: u64 = 11;
/// Fewest patients behind the code of a rare disease (one that Orphanet knows).
pub const K_RARE: u64 = 50;
/// Values are multiples of this.
pub const STEP: u64 = 5;
/// Steps from a code to the root of its hierarchy; a hierarchy in a circle ends here.
const MAX_DEPTH: usize = 64;

/// What the rules ask besides the patients.
pub struct Rules<'a> {
    /// The codes right above a code.
    pub parents: &'a dyn Fn(&Code) -> Vec<Code>,
    /// Whether a code is that of a rare disease.
    pub is_rare: &'a dyn Fn(&Code) -> bool,
    /// A number that only this edge can compute for a dataset and a code (HMAC-SHA-256, first 8 bytes).
    pub secret_number: &'a dyn Fn(&Code) -> u64,
    /// Threshold where a code is not rare; raised, never lowered.
    pub k: u64,
}

impl std::fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("k", &self.k).finish_non_exhaustive()
    }
}

/// One published code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// Patients, rounded up.
    pub value: u64,
    /// A parent that is published as well, for drawing.
    pub parent: Option<Code>,
}

/// One week's values.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Epoch {
    /// By code.
    pub codes: BTreeMap<Code, Published>,
    /// Codes that patients have and that are not published.
    pub withheld: usize,
}

/// The next epoch. `patients` are those with a present or historical, consented mention, by code; `before` is the epoch that
/// stands.
pub fn publish(
    patients: &BTreeMap<Code, BTreeSet<u64>>,
    rules: &Rules<'_>,
    before: &Epoch,
) -> Epoch {
    let mut sets = patients.clone();
    let mut depths: BTreeMap<Code, usize> = BTreeMap::new();
    let mut open: BTreeSet<(usize, Code)> = BTreeSet::new();
    for code in patients.keys() {
        open.insert((depth(code, rules, &mut depths, MAX_DEPTH), code.clone()));
    }
    let mut kept: BTreeSet<Code> = BTreeSet::new();
    let mut withheld = 0;
    while let Some((_, code)) = open.pop_last() {
        loop {
            let own = sets.get(&code).cloned().unwrap_or_default();
            if count(&own) < threshold(&code, rules, before) {
                withheld += 1;
                join_parents(&code, &own, rules, &mut sets, &mut depths, &mut open);
                break;
            }
            match exposed_child(&code, &own, &kept, &sets, rules) {
                Some(child) => {
                    kept.remove(&child);
                    withheld += 1;
                    let joining = sets.get(&child).cloned().unwrap_or_default();
                    sets.entry(code.clone()).or_default().extend(joining);
                }
                None => {
                    kept.insert(code.clone());
                    break;
                }
            }
        }
    }
    let codes = kept.iter().map(|code| {
        let now = sets.get(code).map_or(0, count);
        let value = match before.codes.get(code) {
            Some(then) if then.value.abs_diff(now) < rules.k => then.value,
            _ => now.div_ceil(STEP) * STEP,
        };
        let parent = (rules.parents)(code).into_iter().find(|parent| kept.contains(parent));
        (code.clone(), Published { value, parent })
    });
    Epoch { codes: codes.collect(), withheld }
}

fn count(patients: &BTreeSet<u64>) -> u64 {
    u64::try_from(patients.len()).unwrap_or(u64::MAX)
}

fn least(code: &Code, rules: &Rules<'_>) -> u64 {
    let k = rules.k.max(K);
    if (rules.is_rare)(code) { k.max(K_RARE) } else { k }
}

/// What a code needs to be published: its least count, and a secret number more if it was not published before.
fn threshold(code: &Code, rules: &Rules<'_>, before: &Epoch) -> u64 {
    let k = least(code, rules);
    if before.codes.contains_key(code) { k } else { k + (rules.secret_number)(code) % k }
}

fn join_parents(
    code: &Code,
    own: &BTreeSet<u64>,
    rules: &Rules<'_>,
    sets: &mut BTreeMap<Code, BTreeSet<u64>>,
    depths: &mut BTreeMap<Code, usize>,
    open: &mut BTreeSet<(usize, Code)>,
) {
    let mine = depth(code, rules, depths, MAX_DEPTH);
    for parent in (rules.parents)(code) {
        let above = depth(&parent, rules, depths, MAX_DEPTH);
        // in a hierarchy that goes in a circle nothing is asked twice
        if above < mine {
            sets.entry(parent.clone()).or_default().extend(own);
            open.insert((above, parent));
        }
    }
}

/// The smallest published child of a code whose publication would leave a handful of the parent's patients to be counted.
fn exposed_child(
    code: &Code,
    own: &BTreeSet<u64>,
    kept: &BTreeSet<Code>,
    sets: &BTreeMap<Code, BTreeSet<u64>>,
    rules: &Rules<'_>,
) -> Option<Code> {
    let is_child = |child: &&Code| child.0 == code.0 && (rules.parents)(child).contains(code);
    let children: Vec<&Code> = kept.iter().filter(is_child).collect();
    let of = |child: &Code| sets.get(child).cloned().unwrap_or_default();
    let covered: BTreeSet<u64> = children.iter().flat_map(|child| of(child)).collect();
    let left = own.difference(&covered).count();
    let left = u64::try_from(left).unwrap_or(u64::MAX);
    if children.is_empty() || left == 0 || left >= least(code, rules) {
        return None;
    }
    children.into_iter().min_by_key(|child| (of(child).len(), (*child).clone())).cloned()
}

/// Steps to the farthest root.
fn depth(code: &Code, rules: &Rules<'_>, known: &mut BTreeMap<Code, usize>, left: usize) -> usize {
    if let Some(depth) = known.get(code) {
        return *depth;
    }
    if left == 0 {
        return 0;
    }
    // So that a circle ends at its first code.
    known.insert(code.clone(), 0);
    let parents = (rules.parents)(code);
    let above = parents.iter().map(|parent| depth(parent, rules, known, left - 1) + 1).max();
    let depth = above.unwrap_or(0);
    known.insert(code.clone(), depth);
    depth
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(name: &str) -> Code {
        ("s".into(), name.into())
    }

    /// A tree by names: `a.b.c` stands below `a.b`.
    fn above(code: &Code) -> Vec<Code> {
        code.1
            .rsplit_once('.')
            .map(|(parent, _)| (code.0.clone(), parent.into()))
            .into_iter()
            .collect()
    }

    fn rules<'a>(number: &'a dyn Fn(&Code) -> u64) -> Rules<'a> {
        Rules {
            parents: &above,
            is_rare: &|code| code.1.contains("rare"),
            secret_number: number,
            k: K,
        }
    }

    fn people(list: &[(&str, std::ops::Range<u64>)]) -> BTreeMap<Code, BTreeSet<u64>> {
        list.iter().map(|(name, range)| (code(name), range.clone().collect())).collect()
    }

    fn values(epoch: &Epoch) -> Vec<(&str, u64)> {
        epoch.codes.iter().map(|(code, published)| (code.1.as_str(), published.value)).collect()
    }

    #[test]
    fn small_codes_roll_up_and_small_roots_go() {
        let none = |_: &Code| 0;
        let epoch = |list: &[_]| publish(&people(list), &rules(&none), &Epoch::default());
        assert_eq!(values(&epoch(&[("a.b", 0..11)])), [("a.b", 15)]);
        assert_eq!(values(&epoch(&[("a.b", 0..10)])), []);
        assert_eq!(values(&epoch(&[("a.b", 0..6), ("a.c", 6..12)])), [("a", 15)]);
        assert_eq!(values(&epoch(&[("a.b", 0..6), ("a.c", 0..6)])), [], "people count once");
        assert_eq!(values(&epoch(&[("a.rare", 0..49)])), [("a", 50)]);
        assert_eq!(values(&epoch(&[("a.rare", 0..50)])), [("a.rare", 50)]);
        let two = epoch(&[("a", 0..30), ("a.b", 0..12)]);
        assert_eq!(values(&two), [("a", 30), ("a.b", 15)]);
        assert_eq!(two.codes[&code("a.b")].parent, Some(code("a")));
    }

    #[test]
    fn what_a_difference_would_show_is_withheld() {
        let none = |_: &Code| 0;
        let list = people(&[("a", 0..33), ("a.b", 0..12), ("a.c", 12..30)]);
        let epoch = publish(&list, &rules(&none), &Epoch::default());
        // 33 − 30 would tell of three: the smaller child goes, then 33 − 18 is enough.
        assert_eq!(values(&epoch), [("a", 35), ("a.c", 20)]);
        assert_eq!(epoch.withheld, 1);
    }

    #[test]
    fn codes_appear_late_and_values_stay() {
        let seven = |_: &Code| 7;
        let next = |count: u64, before: &Epoch| {
            publish(&people(&[("a", 0..count)]), &rules(&seven), before)
        };
        let first = Epoch::default();
        assert_eq!(values(&next(17, &first)), []);
        let there = next(18, &first);
        assert_eq!(values(&there), [("a", 20)]);
        assert_eq!(values(&next(11, &there)), [("a", 20)], "nine away");
        assert_eq!(values(&next(30, &there)), [("a", 20)], "ten away");
        assert_eq!(values(&next(31, &there)), [("a", 35)]);
        assert_eq!(values(&next(10, &there)), [], "below k it goes");
    }

    #[test]
    fn circles_end() {
        let round =
            |code: &Code| vec![(code.0.clone(), if code.1 == "a" { "b" } else { "a" }.to_owned())];
        let none = |_: &Code| 0;
        let rules = Rules { parents: &round, ..rules(&none) };
        let epoch = publish(&people(&[("a", 0..3), ("b", 0..20)]), &rules, &Epoch::default());
        assert!(epoch.codes.len() <= 2);
    }

    proptest! {
        /// No code with fewer than k patients; another patient changes a code by nothing, or by k and more.
        #[test]
        fn one_patient_more_does_not_show(
            list in proptest::collection::vec(("a(\\.[a-c]){0,3}", 0u64..60, 1u64..40), 1..12),
            more in ("a(\\.[a-c]){0,3}", 100u64..101),
            number in 0u64..100,
        ) {
            let mut sets: BTreeMap<Code, BTreeSet<u64>> = BTreeMap::new();
            for (name, from, count) in &list {
                sets.entry(code(name)).or_default().extend(*from..from + count);
            }
            let secret = move |code: &Code| number + code.1.len() as u64;
            let first = publish(&sets, &rules(&secret), &Epoch::default());
            let everybody: BTreeSet<u64> = sets.values().flatten().copied().collect();
            for published in first.codes.values() {
                prop_assert!(published.value >= K && published.value <= everybody.len() as u64 + STEP);
                prop_assert_eq!(published.value % STEP, 0);
            }
            prop_assert_eq!(&publish(&sets, &rules(&secret), &first), &publish(&sets, &rules(&secret), &first));
            sets.entry(code(&more.0)).or_default().insert(more.1);
            let second = publish(&sets, &rules(&secret), &first);
            for (code, then) in &first.codes {
                if let Some(now) = second.codes.get(code) {
                    let apart = now.value.abs_diff(then.value);
                    prop_assert!(apart == 0 || apart + STEP > K, "{code:?}: {apart}");
                }
            }
        }
    }
}
