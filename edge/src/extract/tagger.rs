//! Names that no dictionary holds: a linear chain over tokens (CRF), trained offline by `edge/data/keywords/train.py`.
//!
//! A token is a run of letters and digits, or any other character but white space. It gets one of the labels O B I E S
//! (outside; first, inner, last of a name; a name alone); the best sequence is found by Viterbi. A feature is a string, the
//! model a table of strings and weights in thousandths; what the dictionary says of a token is one of them. Features are
//! those of `train.py`, letter for letter: a test compares what both make of a text.
use crate::terminology::lists;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::OnceLock;

const LABELS: usize = 5;
const OUTSIDE: usize = 0;
const FIRST: usize = 1;
const INNER: usize = 2;
const LAST: usize = 3;
const SINGLE: usize = 4;
const NAMES: [&str; LABELS] = ["O", "B", "I", "E", "S"];

type Weights = [i32; LABELS];

struct Model {
    features: HashMap<Box<str>, Weights>,
    /// From label to label.
    transitions: [Weights; LABELS],
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let text = lists::unpack(include_bytes!("../../data/keywords/tagger.tsv.gz"));
        let mut out = Model { features: HashMap::new(), transitions: [[0; LABELS]; LABELS] };
        for line in text.lines().skip(1) {
            let mut cells = line.split('\t');
            let feature = cells.next().unwrap_or_default();
            let mut weights = [0; LABELS];
            for weight in &mut weights {
                *weight =
                    cells.next().and_then(|cell| cell.parse().ok()).expect("a row of the model");
            }
            match feature.strip_prefix('>').and_then(|l| NAMES.iter().position(|name| *name == l)) {
                Some(label) => out.transitions[label] = weights,
                None => _ = out.features.insert(feature.into(), weights),
            }
        }
        out
    })
}

/// Byte ranges of the names in a text; `found` are those of the dictionary, sorted and apart.
pub(super) fn names(text: &str, found: &[Range<usize>]) -> Vec<Range<usize>> {
    let tokens = tokens(text);
    let labels = labels(text, &tokens, found);
    let mut out = Vec::new();
    let mut start = None;
    for (token, label) in tokens.iter().zip(labels) {
        if matches!(label, FIRST | SINGLE) {
            start = Some(token.start);
        }
        if matches!(label, LAST | SINGLE) {
            out.extend(start.map(|start| start..token.end));
        }
        if matches!(label, OUTSIDE | LAST | SINGLE) {
            start = None;
        }
    }
    out
}

fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut in_word = false;
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        let is_word = character.is_alphanumeric();
        match out.last_mut() {
            Some(last) if is_word && in_word => last.end = end,
            _ if character.is_whitespace() => {}
            _ => out.push(at..end),
        }
        in_word = is_word;
    }
    out
}

/// The likeliest labels.
fn labels(text: &str, tokens: &[Range<usize>], found: &[Range<usize>]) -> Vec<usize> {
    let model = model();
    let mut before: Vec<[u8; LABELS]> = Vec::with_capacity(tokens.len());
    let mut best = [0i64; LABELS];
    let facts = Facts::of(text, tokens, found);
    let mut buffer = String::new();
    for at in 0..tokens.len() {
        let mut weights = [0i64; LABELS];
        facts.features(at, &mut buffer, &mut |feature| {
            if let Some(found) = model.features.get(feature) {
                weights.iter_mut().zip(found).for_each(|(sum, weight)| *sum += i64::from(*weight));
            }
        });
        let (mut next, mut from) = ([0i64; LABELS], [0u8; LABELS]);
        for label in 0..LABELS {
            let reach = |other: usize| best[other] + i64::from(model.transitions[other][label]);
            let from_label = if at == 0 {
                label
            } else {
                (0..LABELS).rev().max_by_key(|o| reach(*o)).unwrap_or(0)
            };
            let score = if at == 0 { 0 } else { reach(from_label) };
            next[label] = score + weights[label];
            from[label] = u8::try_from(from_label).unwrap_or(0);
        }
        best = next;
        before.push(from);
    }
    let mut label = (0..LABELS).rev().max_by_key(|label| best[*label]).unwrap_or(0);
    let mut out = vec![0; tokens.len()];
    for at in (0..tokens.len()).rev() {
        out[at] = label;
        label = usize::from(before[at][label]);
    }
    out
}

/// What features are made of, for every token.
struct Facts {
    words: Vec<String>,
    shapes: Vec<String>,
    dictionary: Vec<&'static str>,
}

impl Facts {
    fn of(text: &str, tokens: &[Range<usize>], found: &[Range<usize>]) -> Self {
        let of = |token: &Range<usize>| text.get(token.clone()).unwrap_or_default();
        let mut spans = found.iter().peekable();
        let dictionary = tokens.iter().map(|token| {
            while spans.next_if(|span| span.end <= token.start).is_some() {}
            match spans.peek() {
                Some(span) if span.start <= token.start && token.end <= span.end => {
                    match (token.start == span.start, token.end == span.end) {
                        (true, true) => NAMES[SINGLE],
                        (true, false) => NAMES[FIRST],
                        (false, true) => NAMES[LAST],
                        (false, false) => NAMES[INNER],
                    }
                }
                _ => NAMES[OUTSIDE],
            }
        });
        Self {
            words: tokens.iter().map(|token| of(token).to_lowercase()).collect(),
            shapes: tokens.iter().map(|token| shape(of(token))).collect(),
            dictionary: dictionary.collect(),
        }
    }

    fn word(&self, at: usize, offset: isize) -> &str {
        near(&self.words, at, offset).map_or("", String::as_str)
    }

    /// Tells every feature of a token, in the order of `train.py`.
    fn features(&self, at: usize, buffer: &mut String, tell: &mut dyn FnMut(&str)) {
        let mut say = |parts: std::fmt::Arguments<'_>| {
            buffer.clear();
            // writing to a string cannot fail
            let _ = buffer.write_fmt(parts);
            tell(buffer);
        };
        let word = self.word(at, 0);
        for offset in -2..=2 {
            say(format_args!("w{offset}={}", self.word(at, offset)));
        }
        say(format_args!("l={}|{word}", self.word(at, -1)));
        say(format_args!("r={word}|{}", self.word(at, 1)));
        let length = word.chars().count();
        for count in [2, 3, 4] {
            if length > count {
                let from = word.char_indices().nth(length - count).map_or(0, |(at, _)| at);
                say(format_args!("e{count}={}", &word[from..]));
            }
        }
        if length > 3 {
            let to = word.char_indices().nth(3).map_or(word.len(), |(at, _)| at);
            say(format_args!("b3={}", &word[..to]));
        }
        for offset in -1..=1 {
            let shape = near(&self.shapes, at, offset).map_or("", String::as_str);
            say(format_args!("s{offset}={shape}"));
        }
        let tag = |offset| near(&self.dictionary, at, offset).copied().unwrap_or_default();
        for offset in -1..=1 {
            say(format_args!("d{offset}={}", tag(offset)));
        }
        say(format_args!("D={}{}{}", tag(-1), tag(0), tag(1)));
        if self.word(at, -1) == "(" && self.word(at, 1) == ")" {
            say(format_args!("p"));
        }
    }
}

fn near<T>(items: &[T], at: usize, offset: isize) -> Option<&T> {
    items.get(at.checked_add_signed(offset)?)
}

/// `VHL2` → `A0`, `von` → `a`, `Lindau` → `Aa`.
fn shape(piece: &str) -> String {
    let mut out = String::new();
    for character in piece.chars() {
        let kind = match character {
            c if c.is_uppercase() => 'A',
            c if c.is_lowercase() => 'a',
            c if c.is_numeric() => '0',
            c if c.is_alphanumeric() => 'x',
            c => c,
        };
        if !out.ends_with(kind) {
            out.push(kind);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Printed by `train.py`'s `pieces` and `features` for this text with "VHL disease" as the dictionary's find.
    #[test]
    fn features_are_those_of_training() {
        let text = "A (VHL disease) gène-2.";
        let found = text.find("VHL").expect("there");
        let found = found..found + "VHL disease".len();
        let tokens = tokens(text);
        let pieces: Vec<&str> = tokens.iter().map(|token| &text[token.clone()]).collect();
        assert_eq!(pieces, ["A", "(", "VHL", "disease", ")", "gène", "-", "2", "."]);
        let facts = Facts::of(text, &tokens, &[found]);
        let of = |at: usize| {
            let mut out = Vec::new();
            facts.features(at, &mut String::new(), &mut |feature| out.push(feature.to_owned()));
            out.join(" ")
        };
        assert_eq!(
            of(2),
            "w-2=a w-1=( w0=vhl w1=disease w2=) l=(|vhl r=vhl|disease e2=hl s-1=( s0=A s1=a d-1=O d0=B d1=E D=OBE"
        );
        assert_eq!(
            of(5),
            "w-2=disease w-1=) w0=gène w1=- w2=2 l=)|gène r=gène|- e2=ne e3=ène b3=gèn s-1=) s0=a s1=- d-1=O d0=O d1=O D=OOO"
        );
        assert_eq!(of(8), "w-2=- w-1=2 w0=. w1= w2= l=2|. r=.| s-1=0 s0=. s1= d-1=O d0=O d1= D=OO");
    }

    #[test]
    fn names_that_no_dictionary_holds_are_found() {
        let text = "Patients with autosomal dominant spinocerebellar degeneration were examined.";
        let found: Vec<&str> = names(text, &[]).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with("spinocerebellar degeneration"), "{found:?}");
        assert!(names("He went home by bus.", &[]).is_empty());
    }

    proptest! {
        #[test]
        fn ranges_are_of_the_text_and_apart(text: String) {
            let found = names(&text, &[]);
            prop_assert!(found.iter().all(|range| text.get(range.clone()).is_some()));
            prop_assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
