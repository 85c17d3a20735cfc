//! Text → sections and sentences.
//!
//! A sentence ends at `. ! ?` before white space and a capital or digit, at a line break that begins a list item, a heading
//! or an empty line, or at a semicolon; not after titles, single letters, or inside of numbers. A heading at line start
//! gives its section's default assertion: family history → family, past history → past.
use crate::model::Assertion;
use std::ops::Range;

/// Headings and what stands below them by default.
const HEADINGS: [(&str, Assertion); 9] = [
    ("family history", Assertion::Family),
    ("family hx", Assertion::Family),
    ("fh", Assertion::Family),
    ("past medical history", Assertion::Past),
    ("medical history", Assertion::Past),
    ("past history", Assertion::Past),
    ("pmh", Assertion::Past),
    ("past surgical history", Assertion::Past),
    ("social history", Assertion::Past),
];

/// Words before a full stop that do not end a sentence.
const ABBREVIATED: [&str; 14] = [
    "dr", "mr", "mrs", "ms", "prof", "st", "vs", "approx", "e.g", "i.e", "q.d", "b.i.d", "t.i.d",
    "p.o",
];

/// One sentence: its byte range and what its section says by default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sentence {
    /// Where it stands in the text.
    pub range: Range<usize>,
    /// What holds if no trigger says otherwise.
    pub default: Assertion,
}

/// The sentences of a text in order.
pub fn sentences(text: &str) -> Vec<Sentence> {
    let mut out = Vec::new();
    let mut default = Assertion::Present;
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let heading = heading(trimmed);
        let breaks = trimmed.is_empty()
            || heading.is_some()
            || trimmed.starts_with(['-', '*', '•'])
            || trimmed.starts_with(|c: char| c.is_ascii_digit())
            || line.contains('\t')
            || trimmed.starts_with(char::is_uppercase) && text[start..at].trim_end().ends_with(':');
        if breaks {
            cut(text, start..at, default, &mut out);
            start = at;
        }
        if let Some(says) = heading {
            default = says;
        }
        at += line.len();
    }
    cut(text, start..text.len(), default, &mut out);
    out
}

/// A heading is a short run of words before a colon, or a line in capitals.
fn heading(line: &str) -> Option<Assertion> {
    let (name, has_colon) = line.split_once(':').map_or((line, false), |(name, _)| (name, true));
    let words = name.split_whitespace().count();
    let letters = name.chars().filter(|c| c.is_alphabetic());
    let capitals = letters.clone().count() > 2 && letters.clone().all(char::is_uppercase);
    let starts_well = name.starts_with(char::is_uppercase);
    if words == 0 || words > 5 || !starts_well || !(has_colon || capitals) {
        return None;
    }
    let name = name.trim().to_lowercase();
    let known = HEADINGS.iter().find(|(heading, _)| *heading == name);
    Some(known.map_or(Assertion::Present, |(_, says)| *says))
}

fn cut(text: &str, range: Range<usize>, default: Assertion, out: &mut Vec<Sentence>) {
    let block = &text[range.clone()];
    let mut start = 0;
    for (index, mark) in block.char_indices() {
        let rest = &block[index + mark.len_utf8()..];
        let ends = match mark {
            ';' => true,
            '.' | '!' | '?' => {
                let next = rest.trim_start().chars().next();
                let spaced = rest.starts_with(char::is_whitespace);
                let word =
                    block[start..index].rsplit(char::is_whitespace).next().unwrap_or_default();
                let short = mark == '.'
                    && (ABBREVIATED.contains(&word.to_lowercase().as_str())
                        || word.chars().filter(|c| c.is_alphabetic()).count() == 1
                            && word.chars().count() == 1);
                spaced && !short && next.is_some_and(|c| !c.is_lowercase())
            }
            _ => false,
        };
        if ends {
            push(block, start..index + mark.len_utf8(), range.start, default, out);
            start = index + mark.len_utf8();
        }
    }
    push(block, start..block.len(), range.start, default, out);
}

fn push(
    block: &str,
    range: Range<usize>,
    base: usize,
    default: Assertion,
    out: &mut Vec<Sentence>,
) {
    if !block[range.clone()].trim().is_empty() {
        out.push(Sentence { range: base + range.start..base + range.end, default });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|s| text[s.range].trim()).collect()
    }

    #[test]
    fn ends() {
        assert_eq!(split("Dr. Smith saw him. No fever."), ["Dr. Smith saw him.", "No fever."]);
        assert_eq!(
            split("Temp 38.5 today. 2 days ago none."),
            ["Temp 38.5 today.", "2 days ago none."]
        );
        assert_eq!(split("- cough\n- fever\n"), ["- cough", "- fever"]);
        assert_eq!(split("wrapped\nline goes on"), ["wrapped\nline goes on"]);
    }

    #[test]
    fn sections_set_the_default() {
        let text = "Family History: diabetes\nAssessment: asthma\n";
        let found = sentences(text);
        assert_eq!(found[0].default, Assertion::Family);
        assert_eq!(found[1].default, Assertion::Present);
    }

    proptest! {
        #[test]
        fn ranges_cover_all_words(text: String) {
            let kept: usize = sentences(&text).iter().map(|s| text[s.range.clone()].split_whitespace().count()).sum();
            prop_assert!(kept >= text.split_whitespace().count());
        }
    }
}
