//! Text without its people: Safe Harbor (45 CFR 164.514(b)(2)) for what is written in sentences.
//!
//! In this order, each token removed once:
//! 1. what the records say of the patient and of those who treat: names (with initials, and with one letter wrong where
//!    they have five or more), identifiers, addresses, telephone numbers, mail, birth dates in the usual ways to write them;
//! 2. patterns: dates to their year, ages over 89, telephone, mail, web and network addresses, street addresses, postal
//!    codes, numbers of persons, records, accounts, licences and devices;
//! 3. names by their place: behind a title, before "MD", and beside another name;
//! 4. what remains unknown: a word in capitals that is neither a medical nor a common word, and tokens that hold four digits
//!    or more.
//!
//! What is removed is replaced by the kind of thing it was: `[NAME]`, `[DATE 2024]`, `[PHONE]`. Medical words are those of the
//! loaded dictionaries.
use crate::model::json::Value;
use crate::terminology::Terminology;
use crate::terminology::normalise::{normalise, tokens};
use std::collections::HashSet;
use std::ops::Range;

/// What was removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Of a person or a place.
    Name,
    /// Finer than a year.
    Date,
    /// Over 89.
    Age,
    /// Telephone or fax.
    Phone,
    /// Mail, web or network address.
    Address,
    /// Street, postal code, city.
    Place,
    /// Of a person, record, account, licence or device.
    Number,
    /// A word nobody knows.
    Unknown,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Date => "DATE",
            Self::Age => "AGE",
            Self::Phone => "PHONE",
            Self::Address => "ADDRESS",
            Self::Place => "PLACE",
            Self::Number => "NUMBER",
            Self::Unknown => "WORD",
        }
    }
}

/// A removed part of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removed {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// What it was.
    pub kind: Kind,
}

/// What the institution's records say of the people a text may name.
#[derive(Clone, Default)]
pub struct Known {
    names: HashSet<String>,
    numbers: HashSet<String>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("names", &self.names.len()).finish_non_exhaustive()
    }
}

/// Shortest name in which one letter may be wrong.
const TYPO_LETTERS: usize = 5;
/// Digits of a token that make it a number of somebody.
const MANY_DIGITS: usize = 4;

impl Known {
    /// The names, identifiers, addresses and contacts of Patient, RelatedPerson, Practitioner, Organization and Location.
    pub fn of<'a>(resources: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut out = Self::default();
        for resource in resources {
            out.collect(resource, "");
        }
        out
    }

    fn collect(&mut self, value: &Value, under: &str) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, member)| {
                let is_place =
                    matches!(under, "name" | "address" | "telecom" | "identifier" | "contact");
                let under =
                    if is_place && !matches!(member, Value::Object(_)) { under } else { name };
                self.collect(member, under);
            }),
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, under)),
            Value::String(text) => match under {
                "name" | "address" | "family" | "given" => self.add(text),
                "telecom" | "identifier" => self.add_number(text),
                _ => {}
            },
            _ => {}
        }
    }

    /// A name as a person writes it, each word of it.
    pub fn add(&mut self, name: &str) {
        for word in name.split(|c: char| !c.is_alphanumeric() && c != '\'') {
            let is_number = word.chars().any(|c| c.is_ascii_digit());
            if word.chars().count() >= 2 && !is_number && !word.starts_with("http") {
                self.names.insert(word.to_lowercase());
            }
            if is_number && word.len() >= MANY_DIGITS {
                self.numbers.insert(word.to_lowercase());
            }
        }
    }

    fn add_number(&mut self, text: &str) {
        if !text.contains("://") && !text.starts_with("urn:") {
            let plain: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
            if plain.len() >= 3 && plain.chars().any(|c| c.is_ascii_digit()) {
                self.numbers.insert(plain.to_lowercase());
            }
        }
    }

    fn is_name(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let word = word.strip_suffix("'s").or(word.strip_suffix("’s")).unwrap_or(&word);
        self.names.contains(word)
            || word.chars().count() >= TYPO_LETTERS
                && self.names.iter().any(|name| {
                    name.chars().count() >= TYPO_LETTERS && is_one_letter_off(name, word)
                })
    }
}

/// Whether one letter was changed, left out, put in, or exchanged with its neighbour.
fn is_one_letter_off(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let from = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[from..], &b[from..]);
    let rest = |a: &[char], b: &[char], i: usize, j: usize| a.get(i..) == b.get(j..);
    rest(a, b, 1, 1)
        || rest(a, b, 1, 0)
        || rest(a, b, 0, 1)
        || a.len() > 1 && b.len() > 1 && a[0] == b[1] && a[1] == b[0] && rest(a, b, 2, 2)
}

/// A run of letters, digits and the marks that hold numbers together.
#[derive(Clone, Debug)]
struct Piece<'a> {
    text: &'a str,
    start: usize,
    /// Whether a sentence begins here.
    opens: bool,
}

impl Piece<'_> {
    fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    fn digits(&self) -> usize {
        self.text.bytes().filter(u8::is_ascii_digit).count()
    }

    fn is_capitalised(&self) -> bool {
        self.text.starts_with(char::is_uppercase)
    }

    /// A title or an initial: the point behind it ends no sentence.
    fn is_shortened(&self) -> bool {
        self.is_capitalised()
            && (self.text.len() == 1 || TITLES.contains(&self.text.to_lowercase().as_str()))
    }
}

/// A text without its people, and what was removed, in order.
pub fn deidentify(text: &str, known: &Known, terms: &Terminology) -> (String, Vec<Removed>) {
    let removed = find(text, known, terms);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for part in &removed {
        out.push_str(&text[at..part.range.start]);
        out.push('[');
        out.push_str(part.kind.as_str());
        if part.kind == Kind::Date
            && let Some(year) = year_in(&text[part.range.clone()])
        {
            out.push(' ');
            out.push_str(year);
        }
        out.push(']');
        at = part.range.end;
    }
    out.push_str(&text[at..]);
    (out, removed)
}

fn find(text: &str, known: &Known, terms: &Terminology) -> Vec<Removed> {
    let pieces = pieces(text);
    let lower: HashSet<&str> =
        pieces.iter().map(|p| p.text).filter(|t| t.starts_with(char::is_lowercase)).collect();
    let mut kinds: Vec<Option<Kind>> = vec![None; pieces.len()];
    by_records(&pieces, known, &mut kinds);
    by_pattern(&pieces, &mut kinds);
    by_place(&pieces, &mut kinds, terms, &lower);
    let mut out: Vec<Removed> = Vec::new();
    for (piece, kind) in pieces.iter().zip(kinds) {
        let Some(kind) = kind else { continue };
        let range = piece.range();
        match out.last_mut() {
            // "March 5, 2024" is one date, "Jane van Doe" one name.
            Some(last)
                if last.kind == kind
                    && text[last.range.end..range.start]
                        .chars()
                        .all(|c| matches!(c, ' ' | ',' | '-' | '.'))
                    && range.start - last.range.end <= 2 =>
            {
                last.range.end = range.end;
            }
            _ => out.push(Removed { range, kind }),
        }
    }
    out
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out: Vec<Piece<'_>> = Vec::new();
    let mut opens = true;
    let mut start = None;
    let holds = |c: char| matches!(c, '\'' | '’' | '@' | '_' | '-' | '/' | '.' | ':' | '+' | '#');
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, c)| *c);
        let inside = character.is_alphanumeric()
            || start.is_some()
                && holds(character)
                && next.is_some_and(|n| {
                    n.is_alphanumeric() || n == '/' && matches!(character, ':' | '/')
                })
            || character == '+' && next.is_some_and(|c| c.is_ascii_digit());
        let end = at + character.len_utf8();
        match start {
            None if inside => start = Some(at),
            Some(from) if !inside => {
                out.push(Piece { text: &text[from..at], start: from, opens });
                (opens, start) = (false, None);
            }
            _ => {}
        }
        if let (Some(from), None) = (start, next) {
            out.push(Piece { text: &text[from..end], start: from, opens });
        }
        if matches!(character, '.' | '!' | '?' | '\n' | ':' | ';') && start.is_none() {
            let shortens = character == '.' && out.last().is_some_and(Piece::is_shortened);
            opens = opens || !shortens;
        }
    }
    out
}

fn by_records(pieces: &[Piece<'_>], known: &Known, kinds: &mut [Option<Kind>]) {
    for (piece, kind) in pieces.iter().zip(kinds.iter_mut()) {
        let plain: String =
            piece.text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
        if known.numbers.contains(&plain) {
            *kind = Some(Kind::Number);
        } else if piece.text.split(['-', '/', '.']).any(|part| known.is_name(part)) {
            *kind = Some(Kind::Name);
        }
    }
    // Initials beside a name: "J. Doe", "Doe, J."
    for at in 0..pieces.len() {
        let is_initial = pieces[at].text.len() == 1 && pieces[at].is_capitalised();
        let beside = |other: Option<usize>| {
            other.and_then(|o| kinds.get(o).copied().flatten()) == Some(Kind::Name)
        };
        if is_initial && kinds[at].is_none() && (beside(at.checked_sub(1)) || beside(Some(at + 1)))
        {
            kinds[at] = Some(Kind::Name);
        }
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const STREETS: [&str; 22] = [
    "street",
    "st",
    "avenue",
    "ave",
    "road",
    "rd",
    "boulevard",
    "blvd",
    "lane",
    "ln",
    "drive",
    "dr",
    "court",
    "ct",
    "place",
    "pl",
    "way",
    "terrace",
    "highway",
    "hwy",
    "parkway",
    "circle",
];
/// Words before a number that say whose it is.
const LABELS: [&str; 26] = [
    "mrn",
    "ssn",
    "id",
    "account",
    "acct",
    "policy",
    "member",
    "licence",
    "license",
    "serial",
    "record",
    "chart",
    "case",
    "visit",
    "room",
    "bed",
    "fax",
    "phone",
    "tel",
    "telephone",
    "cell",
    "pager",
    "zip",
    "medicare",
    "insurance",
    "plate",
];

fn by_pattern(pieces: &[Piece<'_>], kinds: &mut [Option<Kind>]) {
    let word = |at: usize| pieces.get(at).map_or(String::new(), |p| p.text.to_lowercase());
    for at in 0..pieces.len() {
        if kinds[at].is_some() {
            continue;
        }
        let piece = &pieces[at];
        let text = piece.text;
        let before = at.checked_sub(1).map(word).unwrap_or_default();
        kinds[at] = if text.contains('@') && text.contains('.')
            || text.contains("://")
            || text.to_lowercase().starts_with("www.")
            || is_network(text)
        {
            Some(Kind::Address)
        } else if is_numeric_date(text) {
            Some(Kind::Date)
        } else if is_phone(text) {
            Some(Kind::Phone)
        } else if LABELS.contains(&before.as_str()) && piece.digits() > 0
            || LABELS.contains(&at.checked_sub(2).map(word).unwrap_or_default().as_str())
                && matches!(before.as_str(), "number" | "no" | "is" | "num")
                && piece.digits() > 0
        {
            Some(Kind::Number)
        } else if is_age(at, pieces) {
            Some(Kind::Age)
        } else {
            None
        };
        // A month with its day and year; "may" alone is a verb.
        let is_month = MONTHS.iter().any(|month| {
            let word = text.trim_end_matches('.').to_lowercase();
            word == *month || word.len() >= 3 && word.len() <= 4 && month.starts_with(&word)
        });
        if is_month && piece.is_capitalised() {
            let is_day = |other: usize| {
                let day = word(other);
                let day = ["st", "nd", "rd", "th"]
                    .iter()
                    .find_map(|s| day.strip_suffix(s))
                    .unwrap_or(&day)
                    .to_owned();
                day.parse::<u8>().is_ok_and(|day| (1..=31).contains(&day))
            };
            let is_year = |other: usize| is_year(&word(other));
            let mut is_date = false;
            if is_day(at + 1) {
                is_date = true;
                kinds[at + 1] = Some(Kind::Date);
                if is_year(at + 2) {
                    kinds[at + 2] = Some(Kind::Date);
                }
            } else if is_year(at + 1) {
                is_date = true;
                kinds[at + 1] = Some(Kind::Date);
            }
            if at > 0 && is_day(at - 1) && (is_date || kinds[at].is_none()) {
                is_date = true;
                kinds[at - 1] = Some(Kind::Date);
            }
            if is_date {
                kinds[at] = Some(Kind::Date);
            }
        }
        // 12 Long Street, Apt 4; the name of the street goes with it.
        if piece.digits() == text.len() && text.len() <= 5 {
            let rest =
                (at + 1..pieces.len().min(at + 5)).take_while(|i| pieces[*i].is_capitalised());
            let end = rest.clone().find(|i| STREETS.contains(&word(*i).as_str()) && *i > at + 1);
            if let Some(end) = end {
                kinds[at..=end].fill(Some(Kind::Place));
            }
        }
    }
    // Numbers in parts that only together are a telephone number: (555) 123-4567
    for at in 0..pieces.len().saturating_sub(1) {
        let (area, rest) = (pieces[at].text, pieces[at + 1].text);
        let is_area = area.len() == 3 && area.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<&str> = rest.split(['-', '.']).collect();
        let is_rest = matches!(parts.as_slice(), [a, b] if a.len() == 3 && b.len() == 4)
            && rest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
        if is_area && is_rest {
            kinds[at] = Some(Kind::Phone);
            kinds[at + 1] = Some(Kind::Phone);
        }
    }
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.parse::<u16>().is_ok_and(|year| (1850..=2150).contains(&year))
}

fn year_in(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_digit()).find(|part| is_year(part))
}

/// Two or three numbers of a day joined by `/`, `-` or `.`, with or without a clock time behind a `T`.
fn is_numeric_date(text: &str) -> bool {
    let date = text.split(['T', 't']).next().unwrap_or_default();
    ['/', '-', '.'].into_iter().any(|mark| {
        let parts: Vec<&str> = date.split(mark).collect();
        let numbers: Option<Vec<u16>> = parts
            .iter()
            .map(|part| part.parse().ok().filter(|_| part.len() <= 4 && !part.starts_with('+')))
            .collect();
        match numbers.as_deref() {
            Some([a, b, c]) => {
                let (first, last) =
                    (parts[0].len() == 4, parts[2].len() == 4 || parts[2].len() == 2);
                first && (1..=12).contains(b) && (1..=31).contains(c)
                    || last && (1..=31).contains(a) && (1..=31).contains(b) && parts[0].len() <= 2
            }
            // A fraction such as 5/10 stays; a day written as 03/14 has two digits in both parts.
            Some([a, b]) => {
                mark == '/'
                    && (1..=12).contains(a)
                    && (1..=31).contains(b)
                    && parts[0].len() == 2
                    && parts[1].len() == 2
                    || mark == '/' && (1..=12).contains(a) && is_year(parts[1])
            }
            _ => false,
        }
    })
}

fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let marks = text.bytes().filter(|b| matches!(b, b'-' | b'.' | b'/')).count();
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'+' | b'/'));
    is_plain && (digits >= 7 && marks >= 1 || text.starts_with('+') && digits >= 6 || digits == 10)
}

fn is_network(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok())
}

/// A number over 89 with "year" around it, or "aged" before it.
fn is_age(at: usize, pieces: &[Piece<'_>]) -> bool {
    let text = pieces[at].text;
    let number = text.split('-').next().unwrap_or_default();
    let is_old = number.parse::<u16>().is_ok_and(|age| (90..=130).contains(&age));
    let says = |other: Option<usize>, words: &[&str]| {
        other.and_then(|o| pieces.get(o)).is_some_and(|p| {
            let word = p.text.to_lowercase();
            words.iter().any(|w| word.starts_with(w))
        })
    };
    let within = text.to_lowercase().contains("-year") || text.to_lowercase().contains("-yo");
    is_old
        && (within
            || says(Some(at + 1), &["year", "yo", "y/o", "yr"])
            || says(at.checked_sub(1), &["age", "aged"]))
}

const TITLES: [&str; 12] = [
    "dr",
    "mr",
    "mrs",
    "ms",
    "miss",
    "prof",
    "professor",
    "doctor",
    "nurse",
    "sister",
    "rev",
    "sir",
];
const DEGREES: [&str; 10] = ["md", "do", "rn", "np", "pa", "phd", "mbbs", "dds", "jr", "sr"];

fn by_place(
    pieces: &[Piece<'_>],
    kinds: &mut [Option<Kind>],
    terms: &Terminology,
    lower: &HashSet<&str>,
) {
    let word = |at: usize| pieces.get(at).map_or(String::new(), |p| p.text.to_lowercase());
    let is_common = |piece: &Piece<'_>| {
        let parts =
            piece.text.split(['-', '/', '\'', '’', '.', ':']).filter(|part| !part.is_empty());
        parts.into_iter().all(|part| {
            let plain = part.to_lowercase();
            part.chars().count() < 2
                || COMMON.contains(&plain.as_str())
                || LABELS.contains(&plain.as_str())
                || STREETS.contains(&plain.as_str())
                || TITLES.contains(&plain.as_str())
                || DEGREES.contains(&plain.as_str())
                || lower.contains(plain.as_str())
                || terms.knows_word(&normalise(part))
                || part.bytes().all(|b| b.is_ascii_digit())
        })
    };
    for at in 0..pieces.len() {
        let piece = &pieces[at];
        if kinds[at].is_some() {
            continue;
        }
        let is_word = piece.text.chars().any(char::is_alphabetic);
        let is_initial = piece.text.chars().count() == 1 && is_word;
        let title_before = at > 0 && TITLES.contains(&word(at - 1).trim_end_matches('.'));
        let initial_between =
            at > 1 && pieces[at - 1].text.len() == 1 && TITLES.contains(&word(at - 2).as_str());
        let degree_behind = DEGREES.contains(&word(at + 1).as_str())
            && pieces.get(at + 1).is_some_and(|p| p.is_capitalised() && p.text.len() <= 4);
        if piece.is_capitalised()
            && is_word
            && (title_before || initial_between || degree_behind && !is_common(piece))
        {
            kinds[at] = Some(Kind::Name);
        } else if piece.is_capitalised() && is_word && !is_initial && !is_common(piece) {
            kinds[at] = Some(Kind::Unknown);
        } else if piece.digits() >= MANY_DIGITS
            && !is_year(piece.text)
            && !piece.text.contains(['%', '.'])
            && !is_ratio(piece.text)
        {
            kinds[at] = Some(Kind::Number);
        }
    }
    // Capitalised words and initials beside a name belong to it: "Jane A. Doe".
    for _ in 0..2 {
        for at in 0..pieces.len() {
            // A word that no list knows is a name once a name stands beside it; a common one needs a capital as well.
            let is_unknown = kinds[at] == Some(Kind::Unknown);
            let beside = |other: Option<usize>| {
                let kind = other.and_then(|o| kinds.get(o).copied().flatten());
                kind == Some(Kind::Name) || !is_unknown && kind == Some(Kind::Unknown)
            };
            let piece = &pieces[at];
            let near = !piece.opens && beside(at.checked_sub(1))
                || beside(Some(at + 1)) && pieces.get(at + 1).is_some_and(|next| !next.opens);
            let letters = piece.text.chars().all(char::is_alphabetic);
            let joins = piece.is_capitalised()
                && letters
                && !TITLES.contains(&word(at).as_str())
                && !DEGREES.contains(&word(at).as_str())
                && (piece.text.chars().count() == 1
                    || !COMMON.contains(&word(at).as_str())
                        && !terms.knows_word(&normalise(piece.text)));
            if (kinds[at].is_none() || is_unknown) && near && joins {
                kinds[at] = Some(Kind::Name);
            }
        }
    }
}

/// A pressure of blood and its like: `120/80`, three digits a side at most.
fn is_ratio(text: &str) -> bool {
    let is_short = |side: &str| side.len() <= 3 && side.bytes().all(|b| b.is_ascii_digit());
    text.split_once('/').is_some_and(|(over, under)| is_short(over) && is_short(under))
}

/// Words that begin sentences and headings in notes, days, and what is written in capitals without being a name.
const COMMON: &[&str] = &[
    "a",
    "able",
    "about",
    "above",
    "abnormal",
    "according",
    "active",
    "acute",
    "additional",
    "additionally",
    "admission",
    "admitted",
    "advised",
    "after",
    "again",
    "age",
    "aged",
    "all",
    "allergies",
    "allergy",
    "also",
    "although",
    "am",
    "an",
    "and",
    "any",
    "appears",
    "as",
    "assessment",
    "associated",
    "at",
    "back",
    "baseline",
    "bp",
    "because",
    "been",
    "before",
    "being",
    "below",
    "better",
    "between",
    "bilateral",
    "blood",
    "both",
    "brief",
    "but",
    "by",
    "can",
    "cardiovascular",
    "care",
    "chief",
    "chest",
    "chronic",
    "clear",
    "clinic",
    "clinical",
    "complaint",
    "complains",
    "complaints",
    "concern",
    "condition",
    "consult",
    "continue",
    "continued",
    "course",
    "ct",
    "current",
    "currently",
    "daily",
    "day",
    "days",
    "denied",
    "denies",
    "deny",
    "details",
    "diagnosis",
    "diagnoses",
    "did",
    "diet",
    "discharge",
    "discharged",
    "discussed",
    "disposition",
    "do",
    "does",
    "due",
    "during",
    "each",
    "ed",
    "ecg",
    "ekg",
    "emergency",
    "er",
    "evaluated",
    "evaluation",
    "exam",
    "examination",
    "except",
    "family",
    "father",
    "female",
    "findings",
    "first",
    "follow",
    "followed",
    "following",
    "for",
    "friday",
    "from",
    "further",
    "general",
    "given",
    "gi",
    "good",
    "had",
    "has",
    "have",
    "having",
    "he",
    "head",
    "heart",
    "heent",
    "her",
    "here",
    "hers",
    "him",
    "his",
    "history",
    "home",
    "hospital",
    "how",
    "however",
    "hpi",
    "icu",
    "i",
    "if",
    "imaging",
    "impression",
    "in",
    "indication",
    "initial",
    "initially",
    "instructions",
    "is",
    "it",
    "its",
    "iv",
    "lab",
    "laboratory",
    "labs",
    "last",
    "left",
    "less",
    "likely",
    "lungs",
    "male",
    "man",
    "may",
    "medical",
    "medication",
    "medications",
    "mental",
    "mild",
    "monday",
    "more",
    "most",
    "mother",
    "mri",
    "musculoskeletal",
    "my",
    "name",
    "neck",
    "negative",
    "neuro",
    "neurological",
    "new",
    "next",
    "no",
    "none",
    "nor",
    "normal",
    "not",
    "note",
    "noted",
    "notes",
    "now",
    "nurse",
    "objective",
    "of",
    "office",
    "on",
    "once",
    "one",
    "only",
    "or",
    "other",
    "our",
    "out",
    "outpatient",
    "over",
    "overall",
    "pain",
    "past",
    "patient",
    "patients",
    "per",
    "physical",
    "physician",
    "plan",
    "please",
    "pmh",
    "positive",
    "possible",
    "post",
    "prescribed",
    "present",
    "presented",
    "presents",
    "previous",
    "previously",
    "primary",
    "prior",
    "probably",
    "problem",
    "procedure",
    "pt",
    "pulse",
    "reason",
    "recent",
    "recently",
    "recommend",
    "recommended",
    "records",
    "regarding",
    "repeat",
    "report",
    "reported",
    "reports",
    "respiratory",
    "result",
    "results",
    "return",
    "review",
    "right",
    "ros",
    "saturday",
    "says",
    "scheduled",
    "second",
    "see",
    "seen",
    "several",
    "severe",
    "she",
    "shows",
    "showed",
    "signs",
    "since",
    "skin",
    "social",
    "some",
    "started",
    "states",
    "stated",
    "status",
    "still",
    "stop",
    "strong",
    "subjective",
    "such",
    "sunday",
    "surgery",
    "surgical",
    "symptoms",
    "take",
    "taken",
    "taking",
    "temperature",
    "test",
    "tests",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "therefore",
    "these",
    "they",
    "this",
    "those",
    "three",
    "through",
    "thursday",
    "time",
    "to",
    "today",
    "tolerated",
    "treated",
    "treatment",
    "tuesday",
    "two",
    "under",
    "unit",
    "until",
    "up",
    "upon",
    "us",
    "use",
    "used",
    "using",
    "very",
    "visit",
    "vital",
    "vitals",
    "was",
    "we",
    "wednesday",
    "week",
    "weeks",
    "weight",
    "well",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "will",
    "with",
    "within",
    "without",
    "woman",
    "work",
    "would",
    "x-ray",
    "xray",
    "year",
    "years",
    "yes",
    "yesterday",
    "you",
    "your",
    "call",
    "called",
    "email",
    "e-mail",
    "lives",
    "live",
    "mail",
    "number",
    "address",
    "signed",
    "sincerely",
    "dear",
    "contact",
    "mobile",
    "street",
    "sept",
    "assessed",
    "discussion",
    "summary",
    "section",
    "date",
    "birth",
    "dob",
    "sex",
    "gender",
    "race",
    "marital",
    "hpi",
    "cc",
    "wbc",
    "hgb",
    "mg",
    "ml",
    "bmi",
    "hr",
    "rr",
    "o2",
    "ra",
    "gerd",
    "uti",
    "dvt",
    "copd",
    "npo",
    "prn",
    "bid",
    "tid",
    "qid",
    "qd",
    "po",
    "im",
    "sq",
    "nka",
    "nkda",
];

/// How many words of a text are names of concepts, and how many of these were removed.
pub fn medical_words_lost(text: &str, removed: &[Removed], terms: &Terminology) -> (usize, usize) {
    let words = tokens(text);
    let (mut all, mut lost) = (0, 0);
    for (_, found) in terms.find(&words) {
        let range = words[found.start].start..words[found.end - 1].end;
        all += found.len();
        if removed.iter().any(|r| r.range.start < range.end && range.start < r.range.end) {
            lost += found.len();
        }
    }
    (all, lost)
}

#[cfg(test)]
#[path = "deidentify_test.rs"]
mod tests;
