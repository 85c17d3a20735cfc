//! What a sentence says about a concept: negated, family, past, possible, hypothetical (NegEx, ConText).
//!
//! Triggers are data (`edge/data/vocab/context_triggers.tsv.gz`). `PREN`, `PREP` and `FORWARD` reach to the sentence's end,
//! `POST`, `POSP` and `BACKWARD` to its beginning, unless a terminator (`CONJ`, `TERMINATE`) of the category stands between;
//! longer triggers win, pseudo triggers (`PSEU`, `PSEUDO`) look like triggers and are none. Scope has no cap in words.
use crate::model::Assertion;
use crate::terminology::lists::List;
use crate::terminology::names::Names;
use crate::terminology::normalise::Token;
use std::ops::Range;
use std::sync::OnceLock;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    Forward,
    Backward,
    Both,
    Stop,
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Trigger {
    says: Assertion,
    reach: Reach,
}

/// Order in which assertions win when several apply: who has it, whether, when, how sure.
const PRIORITY: [Assertion; 5] = [
    Assertion::Family,
    Assertion::Negated,
    Assertion::Hypothetical,
    Assertion::Past,
    Assertion::Possible,
];

fn triggers() -> &'static [(Assertion, Names<Trigger>)] {
    static TRIGGERS: OnceLock<Vec<(Assertion, Names<Trigger>)>> = OnceLock::new();
    TRIGGERS.get_or_init(|| {
        let list = List::unpack(include_bytes!("../../data/vocab/context_triggers.tsv.gz"));
        let rows: Vec<(String, Trigger)> = list
            .rows()
            // `: no` is another trigger than `no`, but words alone cannot tell them apart.
            .filter(|row| row.first().is_some_and(|phrase| !phrase.contains([':', ',', '.', '?'])))
            .filter_map(|row| Some((row.first()?.to_string(), read(row.get(1)?, row.get(2)?)?)))
            .chain(OURS.iter().map(|(phrase, trigger)| ((*phrase).to_owned(), *trigger)))
            .collect();
        // One trie per dimension, so that a phrase may be a trigger in several.
        PRIORITY
            .into_iter()
            .map(|says| {
                let own = rows.iter().filter(|(_, trigger)| trigger.says == says);
                (
                    says,
                    Names::build(own.map(|(phrase, trigger)| (phrase.as_str(), *trigger, false))),
                )
            })
            .collect()
    })
}

/// What the published lists lack, found on the development sentences.
const OURS: [(&str, Trigger); 8] = [
    ("family history of", Trigger { says: Assertion::Family, reach: Reach::Forward }),
    ("family history", Trigger { says: Assertion::Family, reach: Reach::Both }),
    ("resolved", Trigger { says: Assertion::Negated, reach: Reach::Backward }),
    ("is negative", Trigger { says: Assertion::Negated, reach: Reach::Backward }),
    ("is absent", Trigger { says: Assertion::Negated, reach: Reach::Backward }),
    ("free of", Trigger { says: Assertion::Negated, reach: Reach::Forward }),
    ("history of present illness", Trigger { says: Assertion::Past, reach: Reach::Nothing }),
    ("family history of", Trigger { says: Assertion::Past, reach: Reach::Nothing }),
];

fn read(category: &str, kind: &str) -> Option<Trigger> {
    let says = match (category, kind) {
        (_, "PREP" | "POSP") | ("possible_existence", _) => Assertion::Possible,
        ("negation" | "negated_existence", _) => Assertion::Negated,
        ("historical", _) => Assertion::Past,
        ("hypothetical", _) => Assertion::Hypothetical,
        ("experiencer" | "family", _) => Assertion::Family,
        _ => return None,
    };
    let reach = match kind {
        "PREN" | "PREP" | "FORWARD" | "ONEW" => Reach::Forward,
        "POST" | "POSP" | "BACKWARD" => Reach::Backward,
        "BIDIRECTIONAL" => Reach::Both,
        "CONJ" | "TERMINATE" => Reach::Stop,
        "PSEU" | "PSEUDO" => Reach::Nothing,
        _ => return None,
    };
    Some(Trigger { says, reach })
}

/// What one sentence says about each concept, given as ranges of its tokens; `default` is the section's assertion.
pub fn assertions(
    sentence: &[Token],
    concepts: &[Range<usize>],
    default: Assertion,
) -> Vec<Assertion> {
    let mut out = vec![default; concepts.len()];
    // From the weakest to the strongest, so that the strongest is written last.
    for (says, names) in triggers().iter().rev() {
        let found: Vec<(Trigger, Range<usize>)> = names
            .find(sentence)
            .into_iter()
            // A trigger inside of a concept's own name says nothing about it.
            .filter(|(_, at)| !concepts.iter().any(|c| c.start <= at.start && at.end <= c.end))
            .collect();
        for (index, (trigger, at)) in found.iter().enumerate() {
            let stop_after = found[index + 1..].iter().find(|(t, _)| t.reach == Reach::Stop);
            let stop_before = found[..index].iter().rfind(|(t, _)| t.reach == Reach::Stop);
            let forward = at.end..stop_after.map_or(sentence.len(), |(_, stop)| stop.start);
            let backward = stop_before.map_or(0, |(_, stop)| stop.end)..at.start;
            let scopes: &[Range<usize>] = match trigger.reach {
                Reach::Forward => &[forward],
                Reach::Backward => &[backward],
                Reach::Both => &[backward, forward],
                Reach::Stop | Reach::Nothing => &[],
            };
            for (concept, assertion) in concepts.iter().zip(&mut out) {
                if scopes.iter().any(|s| s.start <= concept.start && concept.end <= s.end) {
                    *assertion = *says;
                }
            }
        }
    }
    out
}
