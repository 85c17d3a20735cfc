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

/// What is said about one concept, each dimension by itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Said {
    /// Somebody in the family has it.
    pub family: bool,
    /// It is not there.
    pub negated: bool,
    /// It could happen ("return if fever").
    pub hypothetical: bool,
    /// It was there before this visit.
    pub historical: bool,
    /// It may be there.
    pub possible: bool,
}

impl Said {
    /// What a section or a resource says by itself.
    pub const fn by_default(assertion: Assertion) -> Self {
        let mut out = Self {
            family: false,
            negated: false,
            hypothetical: false,
            historical: false,
            possible: false,
        };
        match assertion {
            Assertion::Present => {}
            Assertion::Negated => out.negated = true,
            Assertion::Family => out.family = true,
            Assertion::Past => out.historical = true,
            Assertion::Possible => out.possible = true,
            Assertion::Hypothetical => out.hypothetical = true,
        }
        out
    }

    fn set(&mut self, assertion: Assertion) {
        match assertion {
            Assertion::Present => {}
            Assertion::Negated => self.negated = true,
            Assertion::Family => self.family = true,
            Assertion::Past => self.historical = true,
            Assertion::Possible => self.possible = true,
            Assertion::Hypothetical => self.hypothetical = true,
        }
    }

    /// The one word for it: who has it decides first, then whether, when, how sure.
    pub const fn assertion(self) -> Assertion {
        match self {
            Self { family: true, .. } => Assertion::Family,
            Self { negated: true, .. } => Assertion::Negated,
            Self { hypothetical: true, .. } => Assertion::Hypothetical,
            Self { historical: true, .. } => Assertion::Past,
            Self { possible: true, .. } => Assertion::Possible,
            Self { .. } => Assertion::Present,
        }
    }
}

/// The dimensions, in the order in which [`Said::assertion`] asks for them.
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
            .collect();
        // One trie per dimension, so that a phrase may be a trigger in several.
        PRIORITY
            .into_iter()
            .map(|says| {
                let ours = OURS.iter().filter(|(dimension, ..)| *dimension == says).flat_map(
                    |(_, reach, phrases)| {
                        phrases.iter().map(|phrase| (*phrase, Trigger { says, reach: *reach }))
                    },
                );
                let listed = rows.iter().filter(|(_, trigger)| trigger.says == says);
                let listed = listed.map(|(phrase, trigger)| (phrase.as_str(), *trigger));
                (says, Names::build(ours.chain(listed).map(|(p, trigger)| (p, trigger, false))))
            })
            .collect()
    })
}

/// What the published lists lack, found on one half of the development sentences (by a hash of the sentence).
///
/// Of equal phrases the first counts, and these come before the lists.
const OURS: &[(Assertion, Reach, &[&str])] = &[
    (
        Assertion::Family,
        Reach::Forward,
        &["family history of", "fh", "cousin", "niece", "nephew", "parent", "sibling"],
    ),
    (Assertion::Family, Reach::Both, &["family history"]),
    (
        Assertion::Family,
        Reach::Nothing,
        &[
            "by her mother",
            "by his mother",
            "with his mother",
            "with her mother",
            "family was told",
            "to family",
        ],
    ),
    (Assertion::Family, Reach::Stop, &["she has", "he has", "says", "noticed"]),
    (
        Assertion::Negated,
        Reach::Backward,
        &["resolved", "is negative", "are negative", "was negative", "is absent", "quit"],
    ),
    (Assertion::Negated, Reach::Forward, &["low suspicion for", "free of", "former"]),
    (
        Assertion::Negated,
        Reach::Nothing,
        &["no specific diagnosis", "do not know", "not submitted", "rule out", "no residua of"],
    ),
    (Assertion::Negated, Reach::Stop, &["who presents", "indicates", "shows"]),
    (
        Assertion::Past,
        Reach::Nothing,
        &[
            "history of present illness",
            "clinical history",
            "day history of",
            "week history of",
            "month history of",
            "hour history of",
            "significant history of",
        ],
    ),
    (
        Assertion::Past,
        Reach::Forward,
        &[
            "past medical history",
            "past history",
            "social history",
            "history",
            "allergies",
            "unchanged",
            "chronic",
            "know",
            "fh",
        ],
    ),
    (Assertion::Past, Reach::Both, &["in the past"]),
    (Assertion::Past, Reach::Stop, &["two dimensional echocardiology"]),
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

/// What one sentence says about each concept, given as ranges of its tokens; `default` is what its section says.
///
/// A trigger inside of a concept's own name says nothing about that concept.
pub fn said(sentence: &[Token], concepts: &[Range<usize>], default: Said) -> Vec<Said> {
    let mut out = vec![default; concepts.len()];
    for (says, names) in triggers() {
        let all = names.find(sentence);
        if all.is_empty() {
            continue;
        }
        for (concept, said) in concepts.iter().zip(&mut out) {
            if reaches(&all, concept, sentence.len()) {
                said.set(*says);
            }
        }
    }
    out
}

/// Whether a trigger of one dimension reaches the concept.
fn reaches(all: &[(Trigger, Range<usize>)], concept: &Range<usize>, end: usize) -> bool {
    let is_outside = |at: &Range<usize>| at.start < concept.start || concept.end < at.end;
    let found: Vec<&(Trigger, Range<usize>)> =
        all.iter().filter(|(_, at)| is_outside(at)).collect();
    found.iter().enumerate().any(|(index, (trigger, at))| {
        let forward = || {
            let stop = found[index + 1..].iter().find(|(t, _)| t.reach == Reach::Stop);
            at.end <= concept.start && concept.end <= stop.map_or(end, |(_, stop)| stop.start)
        };
        let backward = || {
            let stop = found[..index].iter().rfind(|(t, _)| t.reach == Reach::Stop);
            concept.end <= at.start && concept.start >= stop.map_or(0, |(_, stop)| stop.end)
        };
        match trigger.reach {
            Reach::Forward => forward(),
            Reach::Backward => backward(),
            Reach::Both => forward() || backward(),
            Reach::Stop | Reach::Nothing => false,
        }
    })
}
