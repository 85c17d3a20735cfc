//! Words as they are compared: one function for dictionary, triggers, text and index.
//!
//! NFKC; lower case; British spellings to American; Greek letters spelled; hyphen and slash split; `'s` off; light plural
//! (`ies` → `y`; `s` off, but not `ss`, `us`, `is`). A [`Token`] keeps the byte span of its word in the source.
use unicode_normalization::UnicodeNormalization as _;

/// One word of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// The normalised word.
    pub word: String,
    /// First byte of the word in the source.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
    /// Whether the source wrote it in capitals only (at least two letters).
    pub capitals: bool,
}

/// British endings and stems with their American form.
const BRITISH: [(&str, &str); 14] = [
    ("aemia", "emia"),
    ("anaem", "anem"),
    ("anaesth", "anesth"),
    ("caec", "cec"),
    ("diarrhoea", "diarrhea"),
    ("dyspnoea", "dyspnea"),
    ("faec", "fec"),
    ("foet", "fet"),
    ("gynaec", "gynec"),
    ("haem", "hem"),
    ("oedema", "edema"),
    ("oesoph", "esoph"),
    ("paed", "ped"),
    ("tumour", "tumor"),
];

const GREEK: [(char, &str); 6] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('κ', "kappa"),
    ('λ', "lambda"),
];

/// The words of a text in order.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut start = None;
    for (index, character) in text.char_indices().chain(std::iter::once((text.len(), ' '))) {
        let in_word =
            character.is_alphanumeric() || (matches!(character, '\'' | '’') && start.is_some());
        match (in_word, start) {
            (true, None) => start = Some(index),
            (false, Some(from)) => {
                push(text, from, index, &mut out);
                start = None;
            }
            _ => {}
        }
    }
    out
}

fn push(text: &str, start: usize, end: usize, out: &mut Vec<Token>) {
    let source = text[start..end].trim_end_matches(['\'', '’']);
    let end = start + source.len();
    let word = normalise(source);
    if !word.is_empty() {
        let letters = source.chars().filter(|c| c.is_alphabetic());
        let capitals = letters.clone().count() >= 2 && letters.clone().all(char::is_uppercase);
        out.push(Token { word, start, end, capitals });
    }
}

/// One word, normalised. Empty if nothing of it is left.
pub fn normalise(source: &str) -> String {
    let mut word: String = source.nfkc().flat_map(char::to_lowercase).collect();
    word = word.replace('’', "'");
    let trimmed = word.trim_matches('\'');
    let mut word = trimmed.strip_suffix("'s").unwrap_or(trimmed).replace('\'', "");
    if word.is_ascii() {
        if word.contains('a') || word.contains('o') {
            for (british, american) in BRITISH {
                if word.contains(british) {
                    word = word.replace(british, american);
                }
            }
        }
    } else {
        for (letter, name) in GREEK {
            word = word.replace(letter, name);
        }
    }
    singular(&word).unwrap_or(word)
}

fn singular(word: &str) -> Option<String> {
    if word.len() < 4 || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() >= 2) {
        return Some(format!("{stem}y"));
    }
    let kept = ["ss", "us", "is"].iter().any(|ending| word.ends_with(ending));
    word.strip_suffix('s').filter(|_| !kept).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words() {
        for (source, words) in [
            ("Crohn's disease", "crohn disease"),
            ("non-insulin-dependent", "non insulin dependent"),
            ("Allergies, masses and viruses", "allergy masse and viruse"),
            ("diagnosis pus loss", "diagnosis pus loss"),
            ("Anaemia, oedema; tumours", "anemia edema tumor"),
            ("β-blocker ﬁbrosis", "beta blocker fibrosis"),
            ("'quoted'", "quoted"),
        ] {
            let got: Vec<String> = tokens(source).into_iter().map(|token| token.word).collect();
            assert_eq!(got.join(" "), words, "{source}");
        }
        assert!(tokens("MI")[0].capitals && !tokens("Mi")[0].capitals && !tokens("5")[0].capitals);
    }

    proptest! {
        #[test]
        fn spans_are_words_of_the_source(text: String) {
            for token in tokens(&text) {
                prop_assert_eq!(normalise(&text[token.start..token.end]), token.word);
            }
        }
    }
}
