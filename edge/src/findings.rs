//! `msnet edge extract FILE…`: what is found in texts and records, without any store.
//!
//! | a file holds | one result for |
//! |---|---|
//! | JSON lines with `text` (and `id`) | each line: its mentions |
//! | JSON lines with `sentence` and `concept` | each line: what the sentence says about that concept, and its mentions |
//! | HL7 v2, FHIR JSON, C-CDA, a note with its header | each record: its keywords, each with its reasons |
//! | anything else in UTF-8 | the whole file: its mentions |
//!
//! `start` and `end` count characters (Unicode scalar values), not bytes.
use crate::error::EdgeError;
use crate::extract::context::{self, Said};
use crate::extract::mention::{Mention, mentions, named};
use crate::extract::{Explained, explained};
use crate::ingest::{self, file};
use crate::model::{Assertion, json::Value};
use crate::standardize::{self, Tables};
use crate::terminology::Terminology;
use crate::terminology::normalise::{Token, tokens};
use serde_json::json;
use std::ops::Range;
use std::path::Path;

/// Longest line of a file of texts.
pub const MAX_LINE_BYTES: usize = ingest::MAX_NOTE_BYTES;

/// Extracts from one file; each result goes to `print` as an object. Returns how many parts could not be read.
///
/// # Errors
/// As [`file::read`], and [`EdgeError::Input`] for a file that is neither text nor a form we read.
pub fn extract_file(
    path: &Path,
    source: &str,
    tables: &Tables,
    print: &mut dyn FnMut(&serde_json::Value),
) -> Result<usize, EdgeError> {
    let bytes = file::read(path)?;
    let name = file::form_name(path);
    let terms = &tables.terminology;
    if is_lines_of_texts(&bytes) {
        return Ok(lines(&bytes, &path.display().to_string(), terms, print));
    }
    let declared = ingest::declared_by_name(&name);
    let as_note = declared == Some(crate::model::Form::Note);
    match ingest::read(source, declared, &bytes) {
        Ok(items) if !as_note || ingest::note::parse(&bytes).is_ok() => {
            let mut refused = 0;
            for (index, item) in items.iter().enumerate() {
                refused += usize::from(!records(path, index, item, tables, print));
            }
            Ok(refused)
        }
        read => match std::str::from_utf8(&bytes) {
            Ok(text) if declared.is_none() || as_note => {
                if text.len() > MAX_LINE_BYTES {
                    let what = format!("a text of more than {} MiB", MAX_LINE_BYTES >> 20);
                    return Err(EdgeError::input(what, path.display().to_string(), "cut it"));
                }
                let found = mentions(text, Assertion::Present, terms);
                let file = path.display().to_string();
                print(&json!({"file": file, "mentions": rendered(text, &found)}));
                Ok(0)
            }
            _ => {
                let why = read.err().map_or_else(|| "not UTF-8".to_owned(), |e| e.to_string());
                Err(EdgeError::input(
                    format!("neither text nor a form we read: {why}"),
                    path.display().to_string(),
                    "give JSON lines with \"text\", HL7 v2, FHIR R4 JSON, C-CDA or plain text",
                ))
            }
        },
    }
}

/// Whether the first line is an object with a text of its own, and no resource.
fn is_lines_of_texts(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let first = first.map(|line| line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line));
    let Some(Ok(value)) = first.map(crate::model::json::parse) else { return false };
    value.get("resourceType").is_none()
        && (value.str_at("text").is_some() || value.str_at("sentence").is_some())
}

/// The numbered lines that say something.
fn lines(
    bytes: &[u8],
    file: &str,
    terms: &Terminology,
    print: &mut dyn FnMut(&serde_json::Value),
) -> usize {
    let mut refused = 0;
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        if line.is_empty() {
            continue;
        }
        match self::line(line, terms) {
            Ok(result) => print(&result),
            Err(why) => {
                refused += 1;
                print(&json!({"file": file, "line": index + 1, "error": why}));
            }
        }
    }
    refused
}

/// The result for one line of a file of texts.
///
/// # Errors
/// Why the line cannot be read, with the position in it.
pub fn line(line: &[u8], terms: &Terminology) -> Result<serde_json::Value, String> {
    line_by(line, terms, mentions)
}

/// As [`line()`], by the dictionary alone, as keywords are found.
///
/// # Errors
/// As [`line()`].
pub fn line_by_dictionary(line: &[u8], terms: &Terminology) -> Result<serde_json::Value, String> {
    line_by(line, terms, named)
}

fn line_by(
    line: &[u8],
    terms: &Terminology,
    mentions: fn(&str, Assertion, &Terminology) -> Vec<Mention>,
) -> Result<serde_json::Value, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("the line is longer than {} MiB", MAX_LINE_BYTES >> 20));
    }
    let value = crate::model::json::parse(line).map_err(|error| error.to_string())?;
    let mut out = serde_json::Map::new();
    if let Some(id) = value.get("id") {
        let id = id.as_str().map_or_else(|| number(id), |text| json!(text));
        out.insert("id".into(), id);
    }
    if let Some(text) = value.str_at("text") {
        let found = mentions(text, Assertion::Present, terms);
        out.insert("mentions".into(), rendered(text, &found));
        return Ok(out.into());
    }
    let (Some(sentence), Some(concept)) = (value.str_at("sentence"), value.str_at("concept"))
    else {
        return Err("the object has neither \"text\" nor \"sentence\" with \"concept\"".into());
    };
    let found = about(sentence, concept);
    let said = found.unwrap_or_default();
    out.insert("concept".into(), json!(concept));
    out.insert("found".into(), json!(found.is_some()));
    out.insert("negation".into(), json!(if said.negated { "Negated" } else { "Affirmed" }));
    out.insert("temporality".into(), json!(temporality(said)));
    let experiencer = if said.family { "Family member" } else { "Patient" };
    out.insert("experiencer".into(), json!(experiencer));
    out.insert("negated".into(), json!(said.negated));
    out.insert("historical".into(), json!(said.historical));
    out.insert("hypothetical".into(), json!(said.hypothetical));
    out.insert("possible".into(), json!(said.possible));
    let found = mentions(sentence, Assertion::Present, terms);
    out.insert("mentions".into(), rendered(sentence, &found));
    Ok(out.into())
}

const fn temporality(said: Said) -> &'static str {
    match said {
        Said { historical: true, .. } => "Historical",
        Said { hypothetical: true, .. } => "Not particular",
        Said { .. } => "Recent",
    }
}

fn number(value: &Value) -> serde_json::Value {
    serde_json::from_str(&value.to_string()).unwrap_or(serde_json::Value::Null)
}

/// What one sentence says about a concept that it names in these words; written in capitals, if it does so anywhere.
pub fn about(sentence: &str, concept: &str) -> Option<Said> {
    let words = tokens(sentence);
    let wanted: Vec<String> = tokens(concept).into_iter().map(|token| token.word).collect();
    let is_here = |run: &[Token]| run.iter().map(|token| &token.word).eq(wanted.iter());
    // Numbers and single letters have no capitals to show.
    let in_capitals = |run: &[Token]| {
        run.iter().all(|token| {
            token.capitals
                || token.word.chars().count() < 2
                || !token.word.chars().any(|c| c.is_ascii_lowercase())
        })
    };
    if wanted.is_empty() {
        return None;
    }
    let all = || words.windows(wanted.len()).enumerate().filter(|(_, run)| is_here(run));
    let (at, _) = all().find(|(_, run)| in_capitals(run)).or_else(|| all().next())?;
    let range: Range<usize> = at..at + wanted.len();
    context::said(&words, &[range], Said::default()).first().copied()
}

/// The records of one item; `false` if the item was refused.
fn records(
    path: &Path,
    index: usize,
    item: &crate::model::Item,
    tables: &Tables,
    print: &mut dyn FnMut(&serde_json::Value),
) -> bool {
    let file = path.display().to_string();
    let done = match standardize::standardize(item, tables) {
        Ok(done) => done,
        Err(issues) => {
            let why = issues.last().map(ToString::to_string).unwrap_or_default();
            print(&json!({"file": file, "item": index + 1, "error": why}));
            return false;
        }
    };
    for record in &done.records {
        let running = standardize::running_text(&record.resource);
        let found = explained(&record.resource, &running, &tables.terminology);
        if found.is_empty() {
            continue;
        }
        let id = record.resource.str_at("id").unwrap_or_default();
        print(&json!({
            "file": file,
            "item": index + 1,
            "record": format!("{}/{id}", record.resource_type),
            "keywords": found.iter().map(keyword).collect::<Vec<_>>(),
        }));
    }
    true
}

fn keyword(found: &Explained) -> serde_json::Value {
    let Explained { keyword, reasons } = found;
    json!({
        "system": keyword.system,
        "code": keyword.code,
        "display": keyword.display,
        "negated": keyword.assertion == Assertion::Negated,
        "historical": keyword.assertion == Assertion::Past,
        "hypothetical": keyword.assertion == Assertion::Hypothetical,
        "possible": keyword.assertion == Assertion::Possible,
        "experiencer": experiencer(keyword.assertion == Assertion::Family),
        "weight": keyword.weight,
        "reasons": reasons,
    })
}

const fn experiencer(is_family: bool) -> &'static str {
    if is_family { "family" } else { "patient" }
}

/// Mentions with offsets in characters.
fn rendered(text: &str, found: &[Mention]) -> serde_json::Value {
    let (mut byte, mut character) = (0, 0);
    let mut offset = |at: usize| {
        character += text[byte..at].chars().count();
        byte = at;
        character
    };
    let rows = found.iter().map(|mention| {
        let (start, end) = (offset(mention.range.start), offset(mention.range.end));
        let codes: Vec<&str> =
            Some(mention.indexed_as.as_str()).filter(|code| !code.is_empty()).into_iter().collect();
        json!({
            "start": start,
            "end": end,
            "text": &text[mention.range.clone()],
            "codes": codes,
            "concept": {
                "system": mention.concept.system,
                "code": mention.concept.code,
                "display": mention.concept.display,
            },
            "negated": mention.said.negated,
            "historical": mention.said.historical,
            "hypothetical": mention.said.hypothetical,
            "possible": mention.said.possible,
            "experiencer": experiencer(mention.said.family),
            "reason": mention.reason.as_str(),
        })
    });
    serde_json::Value::Array(rows.collect())
}

/// A result for a person.
pub fn to_lines(result: &serde_json::Value) -> Vec<String> {
    let word =
        |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let name = ["id", "record", "file"].into_iter().find_map(|key| result.get(key));
    let name = name.map(word).unwrap_or_default();
    if let Some(error) = result.get("error") {
        return vec![format!("{}: {}", word(&result["file"]), word(error))];
    }
    let mut out = Vec::new();
    if let Some(concept) = result.get("concept") {
        let said = ["negation", "temporality", "experiencer"].map(|key| word(&result[key]));
        out.push(format!("{name}: {}: {}", word(concept), said.join(", ")));
    }
    for found in ["mentions", "keywords"].iter().filter_map(|key| result[*key].as_array()).flatten()
    {
        let flags = ["negated", "historical", "hypothetical", "possible"];
        let mut said: Vec<&str> = flags
            .into_iter()
            .filter(|flag| found[*flag] == serde_json::Value::Bool(true))
            .collect();
        if found["experiencer"] == "family" {
            said.push("family");
        }
        let said = if said.is_empty() { "present".to_owned() } else { said.join(", ") };
        out.push(match found.get("start") {
            Some(start) => format!(
                "{name}: {start}-{} {:?}: {} {} ({said}; {})",
                found["end"],
                word(&found["text"]),
                word(&found["concept"]["code"]),
                word(&found["concept"]["display"]),
                word(&found["reason"]),
            ),
            None => {
                let reasons = found["reasons"].as_array().into_iter().flatten();
                let reasons: Vec<String> = reasons.map(word).collect();
                format!(
                    "{name}: {} {} ({said}; {})",
                    word(&found["code"]),
                    word(&found["display"]),
                    reasons.join("; "),
                )
            }
        });
    }
    if out.is_empty() {
        out.push(format!("{name}: nothing found"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str) -> serde_json::Value {
        line(text.as_bytes(), &Terminology::shipped()).expect("a result")
    }

    #[test]
    fn offsets_count_characters() {
        let out = result(r#"{"id": "7", "text": "Café: no fever, but type 2 diabetes."}"#);
        assert_eq!(out["id"], "7");
        let found = out["mentions"].as_array().expect("mentions");
        let fever = found.iter().find(|m| m["text"] == "fever").expect("fever");
        assert_eq!((&fever["start"], &fever["end"]), (&json!(9), &json!(14)));
        assert_eq!((&fever["negated"], &fever["experiencer"]), (&json!(true), &json!("patient")));
        let diabetes = found.iter().find(|m| m["text"] == "type 2 diabetes").expect("diabetes");
        assert_eq!(
            (&diabetes["codes"], &diabetes["negated"]),
            (&json!(["D003924"]), &json!(false))
        );
        assert_eq!(diabetes["concept"]["code"], "DOID:9352");
    }

    #[test]
    fn a_sentence_says_something_about_its_concept() {
        let check = |sentence: &str, concept: &str, want: [&str; 3]| {
            let text = json!({"id": 1, "concept": concept, "sentence": sentence}).to_string();
            let out = result(&text);
            let got = ["negation", "temporality", "experiencer"].map(|key| out[key].clone());
            assert_eq!(got, want.map(|word| json!(word)), "{sentence}");
            assert_eq!((&out["id"], &out["found"]), (&json!(1), &json!(true)));
        };
        check("She denies CHEST PAIN.", "chest pain", ["Negated", "Recent", "Patient"]);
        check("History of ASTHMA.", "asthma", ["Affirmed", "Historical", "Patient"]);
        check("His mother had ASTHMA.", "asthma", ["Affirmed", "Recent", "Family member"]);
        check("Chest x-ray shows PNEUMONIA.", "pneumonia", ["Affirmed", "Recent", "Patient"]);
    }

    #[test]
    fn lines_that_cannot_be_read_say_why() {
        let terms = Terminology::shipped();
        for (text, why) in [("{", "line"), ("{}", "neither"), ("[1]", "neither")] {
            let error = line(text.as_bytes(), &terms).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
        assert_eq!(about("nothing here", "asthma"), None);
    }
}
