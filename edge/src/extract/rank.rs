//! Which keywords of a record matter most: frequent in the record, rare among the institution's patients, deep in their
//! hierarchy, and true now.
//!
//! `(1 + ln tf) · ln(1 + (N − df + 0.5)/(df + 0.5)) · (0.5 + min(depth, 8)/16) · a`: tf counts a structured code 3, a title 2,
//! text 1; N and df count patients; a is 1 for present, 0.6 for historical, 0.3 for possible. What is denied, feared or
//! somebody else's is a facet and never a keyword. Ties go by code, so that equal records give equal lists.
use crate::model::{Assertion, Keyword};
use crate::terminology::Terminology;

/// Keywords of one record's summary.
pub const MAX_KEYWORDS: usize = 32;
/// Highest score of a summary; the best keyword of a record has it.
pub const MAX_SCORE: u8 = 15;
/// Deeper concepts than this count no more.
const MAX_DEPTH: usize = 8;

/// One keyword of a summary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ranked {
    /// Code system.
    pub system: String,
    /// Code.
    pub code: String,
    /// 0 to [`MAX_SCORE`], relative to the record's best.
    pub score: u8,
}

/// Ranks the keywords of one record; `patients` is N, `with(system, code)` is df.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of patients stay far below 2^52, and scores lie between 0 and 15"
)]
pub fn rank(
    found: &[Keyword],
    patients: u64,
    with: impl Fn(&str, &str) -> u64,
    terms: &Terminology,
) -> Vec<Ranked> {
    let mut scored: Vec<(f64, &Keyword)> = Vec::new();
    for keyword in found {
        let truth = match keyword.assertion {
            Assertion::Present => 1.0,
            Assertion::Past => 0.6,
            Assertion::Possible => 0.3,
            Assertion::Negated | Assertion::Family | Assertion::Hypothetical => continue,
        };
        let df = with(&keyword.system, &keyword.code).clamp(1, patients.max(1)) as f64;
        let rarity = (1.0 + (patients.max(1) as f64 - df + 0.5) / (df + 0.5)).ln();
        let depth = depth(&keyword.system, &keyword.code, terms) as f64;
        let often = 1.0 + f64::from(keyword.weight.max(1)).ln();
        scored.push((often * rarity * (0.5 + depth / 16.0) * truth, keyword));
    }
    scored.sort_by(|(a, x), (b, y)| {
        b.total_cmp(a).then_with(|| (&x.system, &x.code).cmp(&(&y.system, &y.code)))
    });
    let best = scored.first().map_or(1.0, |(score, _)| *score).max(f64::MIN_POSITIVE);
    let mut out: Vec<Ranked> = Vec::new();
    for (score, keyword) in scored {
        // A concept that is both past and present counts by its better side.
        let is_known = out.iter().any(|o| o.system == keyword.system && o.code == keyword.code);
        if out.len() < MAX_KEYWORDS && !is_known {
            let score = (f64::from(MAX_SCORE) * score / best).round() as u8;
            out.push(Ranked {
                system: keyword.system.clone(),
                code: keyword.code.clone(),
                score: score.min(MAX_SCORE),
            });
        }
    }
    out
}

/// Steps to the root by the first parent, [`MAX_DEPTH`] at most.
fn depth(system: &str, code: &str, terms: &Terminology) -> usize {
    let mut at = code.to_owned();
    for steps in 0..MAX_DEPTH {
        match terms.parents(system, &at).into_iter().next() {
            Some(parent) => at = parent,
            None => return steps,
        }
    }
    MAX_DEPTH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminology::DOID;

    fn keyword(code: &str, assertion: Assertion, weight: u32) -> Keyword {
        let (system, display) = (DOID.to_owned(), String::new());
        Keyword { system, code: code.into(), display, assertion, weight }
    }

    #[test]
    fn rare_deep_and_present_comes_first() {
        let terms = Terminology::shipped();
        let found = [
            keyword("DOID:4", Assertion::Present, 3),
            keyword("DOID:9352", Assertion::Present, 3),
            keyword("DOID:5844", Assertion::Past, 3),
            keyword("DOID:9352", Assertion::Past, 1),
            keyword("DOID:1826", Assertion::Negated, 9),
            keyword("DOID:1826", Assertion::Family, 9),
        ];
        let df = |_: &str, code: &str| if code == "DOID:4" { 900 } else { 10 };
        let ranked = rank(&found, 1_000, df, &terms);
        let codes: Vec<&str> = ranked.iter().map(|r| r.code.as_str()).collect();
        assert_eq!(codes, ["DOID:9352", "DOID:5844", "DOID:4"]);
        assert_eq!(ranked[0].score, MAX_SCORE);
        assert!(ranked.windows(2).all(|pair| pair[0].score >= pair[1].score));
    }

    #[test]
    fn lists_are_bounded_and_ties_go_by_code() {
        let terms = Terminology::shipped();
        let found: Vec<Keyword> =
            (0..100).rev().map(|n| keyword(&format!("X:{n:03}"), Assertion::Present, 1)).collect();
        let ranked = rank(&found, 0, |_, _| 0, &terms);
        assert_eq!((ranked.len(), ranked[0].code.as_str()), (MAX_KEYWORDS, "X:000"));
        assert!(ranked.is_sorted_by_key(|r| r.code.clone()));
    }
}
