//! Short forms that a document defines itself: "von Hippel-Lindau disease (VHL)" (Schwartz and Hearst, 2003).
use std::ops::Range;

/// Letters of a short form.
const MAX_SHORT: usize = 10;
/// Longest text between parentheses that is looked at.
const MAX_PARENTHESIS: usize = 12;

/// One definition: where the long form and the short form stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Definition {
    /// Bytes of the long form.
    pub(crate) long: Range<usize>,
    /// Bytes of the short form.
    pub(crate) short: Range<usize>,
}

/// The definitions of a text in order.
pub(crate) fn definitions(text: &str) -> Vec<Definition> {
    let mut out = Vec::new();
    for (open, _) in text.match_indices('(') {
        let inner = &text[open + 1..];
        let Some(close) = inner.find([')', '(']).filter(|at| inner[*at..].starts_with(')')) else {
            continue;
        };
        let count = inner[..close].chars().count();
        if !(2..=MAX_PARENTHESIS).contains(&count) {
            continue;
        }
        let first = inner[..close].split([';', ',']).next().unwrap_or_default();
        let short = first.trim();
        let start = open + 1 + (first.len() - first.trim_start().len());
        let letters = short.chars().count();
        let is_short = (2..=MAX_SHORT).contains(&letters)
            && short.chars().any(char::is_alphabetic)
            && short.starts_with(char::is_alphanumeric)
            && short.split_whitespace().count() <= 2;
        if !is_short {
            continue;
        }
        if let Some(long) = long_form(text[..open].trim_end(), short) {
            out.push(Definition { long, short: start..start + short.len() });
        }
    }
    out
}

/// The shortest run of words before the parenthesis that holds the letters of the short form in order, its first at the
/// beginning of a word.
fn long_form(before: &str, short: &str) -> Option<Range<usize>> {
    let letters = short.chars().count();
    let words = (letters + 5).min(letters * 2);
    let from = before
        .char_indices()
        .rev()
        .filter(|(_, c)| c.is_whitespace())
        .nth(words - 1)
        .map_or(0, |(at, c)| at + c.len_utf8());
    let text: Vec<(usize, char)> = before[from..].char_indices().collect();
    let mut at = text.len();
    for (index, wanted) in short.chars().enumerate().collect::<Vec<_>>().into_iter().rev() {
        if !wanted.is_alphanumeric() {
            continue;
        }
        loop {
            at = at.checked_sub(1)?;
            let same = text[at].1.to_lowercase().eq(wanted.to_lowercase());
            let begins = at == 0 || !text[at - 1].1.is_alphanumeric();
            if same && (index > 0 || begins) {
                break;
            }
        }
    }
    while at > 0 && text[at - 1].1.is_alphanumeric() {
        at -= 1;
    }
    let start = from + text.get(at)?.0;
    (before.len() - start > short.len()).then_some(start..before.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_forms_are_found_by_their_letters() {
        let check = |text: &str, want: Option<(&str, &str)>| {
            let got = definitions(text);
            let got = got.first().map(|d| (&text[d.long.clone()], &text[d.short.clone()]));
            assert_eq!(got, want, "{text}");
        };
        check(
            "Mutations in ataxia-telangiectasia (A-T) cells",
            Some(("ataxia-telangiectasia", "A-T")),
        );
        check("with von Hippel-Lindau (VHL) disease", Some(("von Hippel-Lindau", "VHL")));
        check(
            "adenomatous polyposis coli (APC; 5q21)",
            Some(("adenomatous polyposis coli", "APC")),
        );
        check("in 12 patients (12%)", None);
        check("no reason at all (XYZ)", None);
        check("(AB)", None);
    }

    proptest! {
        #[test]
        fn ranges_are_of_the_text(text in "[a-zA-Zé ()-]{0,60}") {
            for found in definitions(&text) {
                prop_assert!(text.get(found.long.clone()).is_some() && text.get(found.short).is_some());
            }
        }
    }
}
