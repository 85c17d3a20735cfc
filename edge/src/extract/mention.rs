//! Text → mentions: which words name a concept, what is said about it, and why we think so.
//!
//! Longest dictionary match from left to right; a name never reaches over a full stop, a bracket or a comma followed by
//! white space. The tagger adds names that no dictionary holds and mends the ends of those it does. Short forms that the
//! document defines stand for what their long form names; defined by something that names nothing, they name nothing
//! either, whatever the dictionary says. Context is asked sentence by sentence.
//!
//! [`named`] leaves the tagger out: keywords are made of it, as a name without a code is a suggestion and no keyword.
use super::abbreviation::definitions;
use super::context::{self, Said};
use super::sentence::sentences;
use super::tagger;
use crate::model::Assertion;
use crate::terminology::normalise::{Token, tokens};
use crate::terminology::{Concept, Equivalence, RXNORM, Terminology};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Why a mention is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The words are a name in the dictionary.
    Name,
    /// The document defines the short form by a name.
    Definition,
    /// The words look like a name; the concept, if there is one, is that of a dictionary name within.
    Tagger,
}

impl Reason {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "dictionary name",
            Self::Definition => "short form that the text defines",
            Self::Tagger => "looks like a name",
        }
    }
}

/// One mention of a concept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mention {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// What it names; without a code where only the tagger knows that it is a name.
    pub concept: Concept,
    /// The same disease in MeSH (bare code) or OMIM (`OMIM:…`); empty if no list says.
    pub indexed_as: String,
    /// What is said about it.
    pub said: Said,
    /// Why.
    pub reason: Reason,
}

/// A match before anybody asked for its context.
#[derive(Clone)]
struct Match {
    words: Range<usize>,
    range: Range<usize>,
    meaning: Option<u32>,
    reason: Reason,
}

/// Those of some matches, sorted and apart, that overlap a range.
fn overlapping<'a>(matches: &'a [Match], range: &Range<usize>) -> &'a [Match] {
    let from = matches.partition_point(|found| found.range.end <= range.start);
    let rest = &matches[from..];
    &rest[..rest.partition_point(|found| found.range.start < range.end)]
}

/// The mentions of a text in order; `default` holds where neither section nor sentence says otherwise.
pub fn mentions(text: &str, default: Assertion, terms: &Terminology) -> Vec<Mention> {
    let words = tokens(text);
    let named = scan(text, &words, terms);
    let joined = with_tagger(text, &words, named, terms);
    asserted(text, &words, with_definitions(text, &words, joined), default, terms)
}

/// As [`mentions`], by the dictionary alone: every mention has a concept.
pub fn named(text: &str, default: Assertion, terms: &Terminology) -> Vec<Mention> {
    let words = tokens(text);
    let named = scan(text, &words, terms);
    asserted(text, &words, with_definitions(text, &words, named), default, terms)
}

/// Asks the sentences what they say about the matches in them.
fn asserted(
    text: &str,
    words: &[Token],
    matches: Vec<Match>,
    default: Assertion,
    terms: &Terminology,
) -> Vec<Mention> {
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
                range: found.range.clone(),
                concept: found.meaning.map_or_else(unknown, |meaning| terms.meant(meaning)),
                indexed_as: found.meaning.map_or("", |m| terms.indexed_as(m)).to_owned(),
                said,
                reason: found.reason,
            });
        }
    }
    out
}

fn unknown() -> Concept {
    Concept {
        system: String::new(),
        code: String::new(),
        display: String::new(),
        equivalence: Equivalence::Equivalent,
    }
}

/// The tagger's names, and those of the dictionary that lie apart from them. A drug is no name to the tagger.
fn with_tagger(text: &str, words: &[Token], named: Vec<Match>, terms: &Terminology) -> Vec<Match> {
    let is_drug = |found: &Match| found.meaning.is_some_and(|m| terms.system_of(m) == RXNORM);
    let (drugs, names): (Vec<Match>, Vec<Match>) = named.into_iter().partition(is_drug);
    let ranges: Vec<Range<usize>> = names.iter().map(|found| found.range.clone()).collect();
    let mut out: Vec<Match> = Vec::new();
    for range in tagger::names(text, &ranges) {
        let first = words.partition_point(|word| word.end <= range.start);
        let last = words.partition_point(|word| word.start < range.end);
        if first >= last {
            continue;
        }
        let inside =
            |found: &&Match| range.start <= found.range.start && found.range.end <= range.end;
        let here = overlapping(&names, &range).iter();
        let best = here.filter(inside).max_by_key(|found| found.range.len());
        let reason = match best {
            Some(found) if found.range == range => found.reason,
            _ => Reason::Tagger,
        };
        let meaning = best.and_then(|found| found.meaning);
        out.push(Match { words: first..last, range, meaning, reason });
    }
    let all = names.into_iter().chain(drugs);
    let rest: Vec<Match> = all.filter(|found| overlapping(&out, &found.range).is_empty()).collect();
    out.extend(rest);
    out.sort_by_key(|found| found.range.start);
    out
}

/// What short forms stand for in this document: `None` is nothing, `Some(None)` a name without a concept.
type Defined = HashMap<Vec<String>, Option<Option<u32>>>;

fn defined(text: &str, matches: &[Match]) -> Defined {
    let mut out = Defined::new();
    for definition in definitions(text) {
        let short: Vec<String> =
            tokens(&text[definition.short.clone()]).into_iter().map(|token| token.word).collect();
        // The name must end where the long form ends and make up half of it or more.
        let middle = definition.long.start + definition.long.len() / 2;
        let last = definition.long.end.saturating_sub(1)..definition.long.end;
        let named = overlapping(matches, &last).iter().find(|found| {
            let Range { start, end } = found.range;
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

/// Short forms as this document defines them, in place of what their words would mean elsewhere.
fn with_definitions(text: &str, words: &[Token], matches: Vec<Match>) -> Vec<Match> {
    let defined = defined(text, &matches);
    let Some(longest) = defined.keys().map(Vec::len).max() else { return matches };
    let (mut shorts, mut replaced) = (Vec::new(), HashSet::new());
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        let short = (1..=longest.min(rest.len())).rev().find_map(|count| {
            let key: Vec<String> = rest[..count].iter().map(|token| token.word.clone()).collect();
            // A short form of one word is one where it is written in capitals.
            let counts = count > 1 || rest[0].capitals;
            defined.get(&key).filter(|_| counts).map(|sense| (*sense, count))
        });
        let Some((sense, count)) = short else {
            at += 1;
            continue;
        };
        let range = rest[0].start..rest[count - 1].end;
        let here = overlapping(&matches, &range);
        // What says more than the short form stays: "VHL disease".
        if here.iter().all(|found| found.range.len() <= range.len()) {
            replaced.extend(here.iter().map(|found| found.range.start));
            shorts.extend(sense.map(|meaning| Match {
                words: at..at + count,
                range,
                meaning,
                reason: Reason::Definition,
            }));
        }
        at += count;
    }
    let mut out = matches;
    out.retain(|found| !replaced.contains(&found.range.start));
    out.extend(shorts);
    out.sort_by_key(|found| found.range.start);
    out
}

/// The dictionary's names, longest first, from left to right.
fn scan(text: &str, words: &[Token], terms: &Terminology) -> Vec<Match> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        let is_whole = |count: usize| is_one_phrase(&text[rest[0].start..rest[count - 1].end]);
        at += match terms.longest(rest, is_whole) {
            Some((meaning, count)) => {
                out.push(Match {
                    words: at..at + count,
                    range: rest[0].start..rest[count - 1].end,
                    meaning: Some(meaning),
                    reason: Reason::Name,
                });
                count
            }
            None => 1,
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
