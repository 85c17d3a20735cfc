//! Looks for people in bytes: whether a folder holds a name, a code, a date or an identifier of given records.
//!
//! Words are read off FHIR resources by their element names and searched as written, in upper and lower case, in hex, in
//! base64 at any offset, in UTF-16, and as their plain hashes (keccak-256, SHA-256). A word of four bytes is searched by its
//! hashes alone, since random bytes (signatures, roots) spell such words by chance; a shorter one tells nobody apart, and
//! stands hashed in public constants (EIP-712 hashes its version, "1").

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use aho_corasick::{AhoCorasick, BuildError};
use alloy_primitives::{hex, keccak256};
use edge::model::json::Value;

/// Shortest word that is searched at all.
const MIN_WORD_BYTES: usize = 4;
/// Shortest word that is searched as it stands, not only hashed.
const MIN_PLAIN_BYTES: usize = 5;

/// Longest word that a long number may spell by chance.
const MAX_CHANCE_BYTES: usize = 8;
/// Hexadecimal digits around a word that make it a part of a number.
const NUMBER_DIGITS: usize = 64;

/// FHIR elements whose text points at a person, or says what is wrong with them.
const TELLING: [&str; 24] = [
    "family",
    "given",
    "text",
    "display",
    "code",
    "value",
    "valueString",
    "line",
    "city",
    "postalCode",
    "birthDate",
    "deceasedDateTime",
    "effectiveDateTime",
    "onsetDateTime",
    "recordedDate",
    "issued",
    "date",
    "start",
    "end",
    "authoredOn",
    "occurrenceDateTime",
    "performedDateTime",
    "prefix",
    "data",
];

/// Words that stand in every record of everyone and in the public parts of the chain too.
const PUBLIC: [&str; 2] = ["http://", "urn:"];

/// One finding: which kind of writing of a word stands in which file, where. The word itself is never told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leak {
    /// The file.
    pub(crate) file: PathBuf,
    /// The byte at which it begins.
    pub(crate) offset: usize,
    /// How the word was written: `text`, `hex`, `base64`, `utf-16`, `keccak-256` or `sha-256`.
    pub(crate) form: &'static str,
}

/// What a search covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    /// Distinct words searched.
    pub(crate) words: usize,
    /// Files read.
    pub(crate) files: usize,
    /// Bytes read.
    pub(crate) bytes: u64,
    /// What was found.
    pub(crate) leaks: Vec<Leak>,
}

/// The telling words of a resource, added to `words`.
pub(crate) fn collect(resource: &Value, words: &mut BTreeSet<String>) {
    match resource {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if TELLING.contains(&name.as_str()) => add(text, words),
                    Value::Array(items) if TELLING.contains(&name.as_str()) => {
                        for item in items {
                            match item {
                                Value::String(text) => add(text, words),
                                other => collect(other, words),
                            }
                        }
                    }
                    other => collect(other, words),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, words)),
        _ => {}
    }
}

fn add(text: &str, words: &mut BTreeSet<String>) {
    let text = text.trim();
    if !text.is_empty() && !PUBLIC.iter().any(|start| text.starts_with(start)) {
        words.insert(text.to_owned());
    }
}

/// Searches every file below `folder` for the words.
///
/// # Errors
/// [`io::Error`] if a file cannot be read or the words make no search automaton.
pub(crate) fn search(folder: &Path, words: &BTreeSet<String>) -> io::Result<Search> {
    let (needles, forms) = needles(words);
    let automaton = AhoCorasick::new(&needles)
        .map_err(|error: BuildError| io::Error::other(error.to_string()))?;
    let mut found = Search { words: words.len(), files: 0, bytes: 0, leaks: Vec::new() };
    visit(folder, &mut |path| {
        let bytes = fs::read(path)?;
        found.files += 1;
        found.bytes += bytes.len() as u64;
        let hits = automaton.find_iter(&bytes);
        let hits = hits.filter(|hit| !is_part_of_a_number(&bytes, hit.start(), hit.end()));
        found.leaks.extend(hits.map(|hit| Leak {
            file: path.to_owned(),
            offset: hit.start(),
            form: forms[hit.pattern().as_usize()],
        }));
        Ok(())
    })?;
    Ok(found)
}

/// True if a short word of digits stands in a long hexadecimal number, a contract's code in the genesis file for example:
/// such numbers spell a postal code by chance, and what they encode is searched for as hex.
fn is_part_of_a_number(bytes: &[u8], start: usize, end: usize) -> bool {
    let is_digit = |byte: &&u8| byte.is_ascii_hexdigit();
    let (before, rest) = bytes.split_at(start);
    let (word, after) = rest.split_at(end - start);
    let around = before.iter().rev().take(NUMBER_DIGITS).take_while(is_digit).count()
        + after.iter().take(NUMBER_DIGITS).take_while(is_digit).count();
    word.len() <= MAX_CHANCE_BYTES
        && word.iter().all(|byte| is_digit(&byte))
        && around >= NUMBER_DIGITS
}

fn visit(path: &Path, look: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            visit(&entry?.path(), look)?;
        }
        Ok(())
    } else if path.is_file() {
        look(path)
    } else {
        Ok(())
    }
}

/// Every writing of every word, and what kind of writing each is.
fn needles(words: &BTreeSet<String>) -> (Vec<Vec<u8>>, Vec<&'static str>) {
    let mut all: BTreeSet<(Vec<u8>, &'static str)> = BTreeSet::new();
    for word in words {
        if word.len() < MIN_WORD_BYTES {
            continue;
        }
        all.insert((keccak256(word).to_vec(), "keccak-256"));
        all.insert((sha256(word.as_bytes()), "sha-256"));
        if word.len() < MIN_PLAIN_BYTES {
            continue;
        }
        for cased in [word.clone(), word.to_lowercase(), word.to_uppercase()] {
            let bytes = cased.as_bytes();
            all.insert((hex::encode(bytes).into_bytes(), "hex"));
            all.insert((hex::encode_upper(bytes).into_bytes(), "hex"));
            all.insert((cased.encode_utf16().flat_map(u16::to_le_bytes).collect(), "utf-16"));
            all.insert((cased.encode_utf16().flat_map(u16::to_be_bytes).collect(), "utf-16"));
            all.extend(base64_anywhere(bytes).map(|text| (text, "base64")));
            all.insert((bytes.to_vec(), "text"));
        }
    }
    all.into_iter().unzip()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use aws_lc_rs::digest::{SHA256, digest};
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// The base64 text that a word leaves inside a longer one, at each of the three offsets, its edges cut off.
fn base64_anywhere(word: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
    (0..3_usize).filter_map(move |shift| {
        let padded = [vec![0; shift], word.to_vec()].concat();
        let text = STANDARD_NO_PAD.encode(&padded);
        let (first, last) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
        let inner = text.as_bytes().get(first..last)?;
        (inner.len() >= MIN_PLAIN_BYTES).then(|| inner.to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|&word| word.to_owned()).collect()
    }

    fn forms(content: &[u8]) -> Vec<&'static str> {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("deep")).expect("a folder inside");
        fs::write(folder.path().join("deep/file"), content).expect("a file");
        let found = search(folder.path(), &words(&["Quillfeather", "I100"])).expect("searched");
        assert_eq!((found.words, found.files), (2, 1));
        found.leaks.into_iter().map(|leak| leak.form).collect()
    }

    #[test]
    fn a_long_number_may_spell_digits_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let leaks = |content: String| {
            fs::write(folder.path().join("file"), content).expect("a file");
            let words = words(&["83720", "000000000001"]);
            search(folder.path(), &words).expect("searched").leaks.len()
        };
        let number = "0a".repeat(32);
        assert_eq!(leaks(format!("{number}83720{number}")), 0);
        assert_eq!(leaks(format!("\"{}83720\"", &number[..10])), 1);
        assert_eq!(leaks(format!("postal code 83720, {number}")), 1);
        // twelve digits are no chance, and hex of the word is still the word
        assert_eq!(leaks(format!("{number}000000000001{number}")), 1);
        assert_eq!(leaks(format!("{number}{}{number}", hex::encode("83720"))), 1);
    }

    #[test]
    fn a_planted_word_is_found_in_every_writing() {
        use base64::{Engine, engine::general_purpose::STANDARD};
        assert_eq!(forms(b"..Quillfeather.."), ["text"]);
        assert_eq!(forms(b"..QUILLFEATHER.."), ["text"]);
        assert_eq!(forms(hex::encode("quillfeather").as_bytes()), ["hex"]);
        let wide: Vec<u8> = "Quillfeather".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(forms(&wide), ["utf-16"]);
        for before in ["", "a", "ab"] {
            let text = STANDARD.encode(format!("{before}Quillfeather, and more"));
            assert_eq!(forms(text.as_bytes()), ["base64"], "after {} bytes", before.len());
        }
        assert_eq!(forms(keccak256("I100").as_slice()), ["keccak-256"]);
        assert_eq!(forms(&sha256(b"Quillfeather")), ["sha-256"]);
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert!(
            forms(b"block 12, root 0x1234, I100 is too short to be told from noise").is_empty()
        );
    }

    #[test]
    fn words_are_read_off_a_resource() {
        let resource = edge::model::json::parse(
            br#"{"resourceType":"Patient","name":[{"family":"Quillfeather","given":["Ada","B"]}],
                "identifier":[{"system":"urn:oid:1.2","value":"MRN-77"}],"birthDate":"1970-01-31","active":true}"#,
        )
        .expect("json");
        let mut found = BTreeSet::new();
        collect(&resource, &mut found);
        assert_eq!(found, words(&["1970-01-31", "Ada", "B", "MRN-77", "Quillfeather"]));
    }
}
