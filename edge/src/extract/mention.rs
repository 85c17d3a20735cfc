//! Text → mentions: which words name a concept, what is said about it, and why we think so.
//!
//! Longest dictionary match from left to right; a name never reaches over a full stop, a bracket or a comma followed by
//! white space. Short forms that the document defines stand for what their long form names; defined by something that
//! names nothing, they name nothing either, whatever the dictionary says. Context is asked sentence by sentence.
use super::abbreviation::definitions;
use super::context::{self, Said};
use super::sentence::sentences;
use crate::model::Assertion;
use crate::terminology::normalise::{Token, tokens};
use crate::terminology::{Concept, Terminology};
use std::collections::HashMap;
use std::ops::Range;

/// Why a mention is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The words are a name in the dictionary.
    Name,
    /// The document defines the short form by a name in the dictionary.
    Definition,
}

impl Reason {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "dictionary name",
            Self::Definition => "short form that the text defines",
        }
    }
}

/// One mention of a concept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mention {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// What it names.
    pub concept: Concept,
    /// The same disease in MeSH (bare code) or OMIM (`OMIM:…`); empty if no list says.
    pub indexed_as: String,
    /// What is said about it.
    pub said: Said,
    /// Why.
    pub reason: Reason,
}

/// A match before anybody asked for its context.
struct Match {
    words: Range<usize>,
    meaning: u32,
    reason: Reason,
}

/// The mentions of a text in order; `default` holds where neither section nor sentence says otherwise.
pub fn mentions(text: &str, default: Assertion, terms: &Terminology) -> Vec<Mention> {
    let words = tokens(text);
    let matches = matches(text, &words, terms);
    if matches.is_empty() {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(matches.len());
    let mut rest = matches.as_slice();
    for sentence in sentences(text) {
        let first = words.partition_point(|word| word.start < sentence.range.start);
        let last = words.partition_point(|word| word.start < sentence.range.end);
        let count = rest.iter().take_while(|found| found.words.start < last).count();
        let (here, later) = rest.split_at(count);
        rest = later;
        let ranges: Vec<Range<usize>> = here
            .iter()
            .map(|found| found.words.start.max(first) - first..found.words.end.min(last) - first)
            .collect();
        let says = if sentence.default == Assertion::Present { default } else { sentence.default };
        let said = context::said(&words[first..last], &ranges, Said::by_default(says));
        for (found, said) in here.iter().zip(said) {
            out.push(Mention {
                range: words[found.words.start].start..words[found.words.end - 1].end,
                concept: terms.meant(found.meaning),
                indexed_as: terms.indexed_as(found.meaning).to_owned(),
                said,
                reason: found.reason,
            });
        }
    }
    out
}

fn matches(text: &str, words: &[Token], terms: &Terminology) -> Vec<Match> {
    let plain = scan(text, words, terms, &HashMap::new());
    let defined = defined(text, words, &plain);
    if defined.is_empty() { plain } else { scan(text, words, terms, &defined) }
}

/// A short form's words, and what they stand for in this document: `None` is nothing.
type Defined = HashMap<Vec<String>, Option<u32>>;

fn defined(text: &str, words: &[Token], plain: &[Match]) -> Defined {
    let mut out = Defined::new();
    for definition in definitions(text) {
        let short: Vec<String> =
            tokens(&text[definition.short.clone()]).into_iter().map(|token| token.word).collect();
        // The name must end where the long form ends and make up half of it or more.
        let middle = definition.long.start + definition.long.len() / 2;
        let named = plain.iter().find(|found| {
            let (start, end) = (words[found.words.start].start, words[found.words.end - 1].end);
            end == definition.long.end && start <= middle && start + REACH >= definition.long.start
        });
        if !short.is_empty() {
            out.insert(short, named.map(|found| found.meaning));
        }
    }
    out
}

/// Bytes by which a name may begin before the long form that the letters found.
const REACH: usize = 25;

fn scan(text: &str, words: &[Token], terms: &Terminology, defined: &Defined) -> Vec<Match> {
    let longest_defined = defined.keys().map(Vec::len).max().unwrap_or(0);
    let mut out = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        let is_whole = |count: usize| is_one_phrase(&text[rest[0].start..rest[count - 1].end]);
        let name = terms.longest(rest, is_whole);
        let short = (1..=longest_defined.min(rest.len())).rev().find_map(|count| {
            let key: Vec<String> = rest[..count].iter().map(|token| token.word.clone()).collect();
            let meaning = defined.get(&key)?;
            // A short form of one word is one where it is written in capitals.
            let counts = count > 1 || rest[0].capitals;
            counts.then_some((*meaning, count))
        });
        let found = match (name, short) {
            (Some((_, count)), Some((None, defined))) if defined == count => None,
            (name, Some((Some(meaning), count)))
                if name.is_none_or(|(_, words)| words <= count) =>
            {
                Some((meaning, count, Reason::Definition))
            }
            (name, _) => name.map(|(meaning, count)| (meaning, count, Reason::Name)),
        };
        at += match found {
            Some((meaning, count, reason)) => {
                out.push(Match { words: at..at + count, meaning, reason });
                count
            }
            None => name.map_or(1, |(_, count)| count),
        };
    }
    out
}

/// No mark that ends something, followed by white space.
fn is_one_phrase(text: &str) -> bool {
    let mut before = ' ';
    !text.chars().any(|c| {
        let ends =
            matches!(before, '.' | ';' | ':' | '(' | ')' | '[' | ']' | ',') && c.is_whitespace();
        before = c;
        ends
    })
}
