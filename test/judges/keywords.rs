//! Kind `keywords`: development sets of keyword extraction, a JSON object a line; a measure is a case, its goal decides.
//!
//! ```text
//! {"id", "text", "mentions": [{"start", "end", "codes"}]}                            offsets in characters, end exclusive
//! {"id", "sentence", "concept", "negation", "temporality", "experiencer"}            what a sentence says about a concept
//! ```
//! Of the last three a file may leave out what it does not judge. The texts are extracted here, by the same function as `msnet edge extract`. Measures, as 2PR/(P+R):
//! - *strict*: a mention counts if both its ends are those of a gold mention. Drug names are other keywords, and left out.
//!   It is measured twice: by the dictionary alone, as keywords are found, and with the tagger.
//! - *concept*: the distinct codes of each document. Of gold `A|B` either is right; `A+B` is found by any of its parts.
//! - *negation*, *historical*, *experiencer*: the sentences that are Negated, Historical, of somebody else than the Patient. A
//!   sentence in which the concept is not found counts as Affirmed, Recent, Patient; how many these are is said.

use std::collections::{BTreeSet, HashMap};

use edge::{
    findings,
    terminology::{RXNORM, Terminology},
};
use serde_json::Value;

use super::{Verdict, Verdicts, list, string};

/// The goals of `design/edge.md` 11.
const STRICT_BY_DICTIONARY: f64 = 0.77;
const STRICT: f64 = 0.83;
const CONCEPT: f64 = 0.80;
const NEGATION: f64 = 0.98;
const HISTORICAL: f64 = 0.78;
const EXPERIENCER: f64 = 0.85;
/// Sentences about others that a file must hold before its experiencer measure says anything.
const ENOUGH: usize = 20;

/// Right, wrong and missing.
#[derive(Clone, Copy, Default, Debug)]
struct Count {
    right: usize,
    wrong: usize,
    missing: usize,
}

impl Count {
    fn add(&mut self, have: bool, want: bool) {
        self.right += usize::from(have && want);
        self.wrong += usize::from(have && !want);
        self.missing += usize::from(!have && want);
    }

    fn f1(self) -> f64 {
        ratio(2 * self.right, 2 * self.right + self.wrong + self.missing)
    }

    fn verdict(self, name: &str, goal: f64, note: &str) -> (String, Verdict) {
        let (p, r) = (
            ratio(self.right, self.right + self.wrong),
            ratio(self.right, self.right + self.missing),
        );
        let said = format!("{name} F1 {:.3} (P {p:.3}, R {r:.3}{note}), goal {goal:.2}", self.f1());
        let verdict = if self.f1() >= goal { Ok(()) } else { Err("below the goal".to_owned()) };
        (said, verdict)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a development set")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Measures a file of one of the two shapes.
pub(crate) fn judge(bytes: &[u8]) -> Result<Verdicts, String> {
    let terms = Terminology::shipped();
    let (mut rows, mut by_dictionary) = (Vec::new(), Vec::new());
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            let at = |error: &dyn std::fmt::Display| format!("line {}: {error}", index + 1);
            let gold: Value = serde_json::from_slice(line).map_err(|error| at(&error))?;
            let have = findings::line(line, &terms).map_err(|error| at(&error))?;
            if gold.get("mentions").is_some() {
                let have =
                    findings::line_by_dictionary(line, &terms).map_err(|error| at(&error))?;
                by_dictionary.push((gold.clone(), have));
            }
            rows.push((gold, have));
        }
    }
    match rows.first() {
        Some((gold, _)) if gold.get("mentions").is_some() => {
            let mut all = documents(&by_dictionary, " by dictionary", STRICT_BY_DICTIONARY)?;
            all.extend(documents(&rows, "", STRICT)?);
            Ok(all)
        }
        Some((gold, _)) if gold.get("concept").is_some() => sentences(&rows),
        _ => Err("no line with \"mentions\" or \"concept\"".to_owned()),
    }
}

fn documents(rows: &[(Value, Value)], how: &str, goal: f64) -> Result<Verdicts, String> {
    let (mut strict, mut concept, mut total) = (Count::default(), Count::default(), 0);
    for (gold, have) in rows {
        let wanted = list(gold, "mentions")?;
        total += wanted.len();
        let span = |mention: &Value| (mention["start"].as_u64(), mention["end"].as_u64());
        let want: BTreeSet<_> = wanted.iter().map(span).collect();
        let found: Vec<&Value> = list(have, "mentions")?
            .iter()
            .filter(|mention| mention["concept"]["system"] != RXNORM)
            .collect();
        let spans: BTreeSet<_> = found.iter().map(|mention| span(mention)).collect();
        strict.right += want.intersection(&spans).count();
        strict.wrong += spans.difference(&want).count();
        strict.missing += want.difference(&spans).count();
        let codes: Result<BTreeSet<&str>, String> =
            wanted.iter().map(|mention| string(mention, "codes")).collect();
        let codes = codes?;
        let have: BTreeSet<&str> = found
            .iter()
            .filter_map(|mention| mention["codes"].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let is_right = |code: &str, gold: &str| {
            gold.split('|').any(|either| either == code || either.split('+').any(|p| p == code))
        };
        for gold in &codes {
            let found = have.iter().any(|code| is_right(code, gold));
            concept.right += usize::from(found);
            concept.missing += usize::from(!found);
        }
        concept.wrong +=
            have.iter().filter(|code| !codes.iter().any(|gold| is_right(code, gold))).count();
    }
    Ok(vec![
        strict.verdict(&format!("strict{how}"), goal, &format!("; {total} mentions")),
        concept.verdict(&format!("concept{how}"), CONCEPT, &format!("; {} documents", rows.len())),
    ])
}

fn sentences(rows: &[(Value, Value)]) -> Result<Verdicts, String> {
    let mut counts: HashMap<&str, Count> = HashMap::new();
    let mut others = 0;
    for (gold, have) in rows {
        for (key, plain) in
            [("negation", "Affirmed"), ("temporality", "Historical"), ("experiencer", "Patient")]
        {
            let Some(gold) = gold[key].as_str() else { continue };
            let have = string(have, key)?;
            // Of the three times only Historical is asked for; of the others, what is not the plain case.
            let says = |word: &str| (word == plain) == (key == "temporality");
            counts.entry(key).or_default().add(says(have), says(gold));
        }
        others += usize::from(gold["experiencer"].as_str().is_some_and(|who| who != "Patient"));
    }
    let lost = rows.iter().filter(|(_, have)| have["found"] == false).count();
    let note = format!("; {} sentences, concept not found in {lost}", rows.len());
    let count = |key| counts.get(key).copied().unwrap_or_default();
    let wants = |key| count(key).right + count(key).missing > 0;
    let mut out = Vec::new();
    if wants("negation") {
        out.push(count("negation").verdict("negation", NEGATION, &note));
    }
    if wants("temporality") {
        out.push(count("temporality").verdict("historical", HISTORICAL, &note));
    }
    if others >= ENOUGH {
        out.push(count("experiencer").verdict("experiencer", EXPERIENCER, &note));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn our_own_sentences_reach_their_goal() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/test/vectors/keywords/experiencer.jsonl");
        let verdicts = judge(&std::fs::read(path).expect("file")).expect("measures");
        assert_eq!(verdicts.len(), 1);
        assert!(verdicts.iter().all(|(_, verdict)| verdict.is_ok()), "{verdicts:?}");
    }

    #[test]
    fn measures_count_what_is_right_wrong_and_missing() {
        let verdicts = judge(
            br#"{"id": "1", "text": "Asthma and gout.", "mentions": [{"start": 0, "end": 6, "codes": "D001249"}, {"start": 7, "end": 10, "codes": "D000000"}]}"#,
        )
        .expect("measures");
        let said: Vec<&str> = verdicts.iter().map(|(said, _)| said.as_str()).collect();
        let strict = "strict by dictionary F1 0.500 (P 0.500, R 0.500; 2 mentions)";
        assert!(said[0].starts_with(strict), "{said:?}");
        assert!(said[1].starts_with("concept by dictionary F1 0.500"), "{said:?}");
        assert!(
            said[2].starts_with("strict F1 ") && said[3].starts_with("concept F1 "),
            "{said:?}"
        );
        assert!(verdicts.iter().all(|(_, verdict)| verdict.is_err()));
        assert!(judge(b"{\"text\": \"no gold\"}").is_err());
        assert!(judge(b"not JSON").expect_err("position").starts_with("line 1"));
    }
}
