//! A look at XML bytes before a parser sees them: what would hurt is refused here, in one pass and without recursion.
//!
//! Refused: any DOCTYPE; encodings other than UTF-8 and UTF-16, declared or real; references to surrogates, control
//! characters or beyond Unicode; more than [`MAX_DEPTH`] open elements, [`MAX_NODES`] nodes, [`MAX_ATTRIBUTES`] attributes
//! or [`MAX_NAMESPACES`] namespace declarations in a tag. It is needed because the parser alone was measured to accept a
//! depth of 20,000, a surrogate reference and a UTF-7 declaration, and to spend 400 ms on a tag of 20,000 attributes.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use crate::model::{At, Issue, Severity};
use std::borrow::Cow;

/// Open elements. The deepest published C-CDA sample has 30.
pub(super) const MAX_DEPTH: usize = 256;
/// Elements, comments and processing instructions of a document.
pub(super) const MAX_NODES: usize = 2_000_000;
/// Attributes of one tag, namespace declarations included.
pub(super) const MAX_ATTRIBUTES: usize = 256;
/// Namespace declarations of one tag.
pub(super) const MAX_NAMESPACES: usize = 64;

/// The document as UTF-8 text if it passes.
///
/// # Errors
/// A fatal issue with its position and the rule that broke.
pub(super) fn screen(bytes: &[u8]) -> Result<Cow<'_, str>, Issue> {
    let text = decode(bytes)?;
    Scan { text: &text, at: 0, depth: 0, nodes: 0 }.run()?;
    Ok(text)
}

fn fatal(bytes: &[u8], byte: usize, rule: &'static str, text: &str) -> Issue {
    Issue::new(Severity::Fatal, "structure", rule, At::in_bytes(bytes, byte, ""), text)
}

/// UTF-8, or UTF-16 by its byte-order mark; nothing else, whatever the declaration says.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Issue> {
    let wrong = |at| fatal(bytes, at, "xml-encoding", "the bytes are not UTF-8 or UTF-16");
    let (text, is_utf16): (Cow<'_, str>, bool) = match bytes {
        [0xfe, 0xff, rest @ ..] => {
            (utf16(rest, u16::from_be_bytes).ok_or_else(|| wrong(0))?.into(), true)
        }
        [0xff, 0xfe, rest @ ..] => {
            (utf16(rest, u16::from_le_bytes).ok_or_else(|| wrong(0))?.into(), true)
        }
        _ => {
            let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.valid_up_to()))?;
            (text.trim_start_matches('\u{feff}').into(), false)
        }
    };
    if let Some(declared) = declared_encoding(&text) {
        let known = match declared.as_str() {
            "utf-8" | "us-ascii" => !is_utf16,
            "utf-16" => is_utf16,
            _ => false,
        };
        if !known {
            let text = "the declared encoding is not the real one, or neither UTF-8 nor UTF-16";
            return Err(fatal(bytes, 0, "xml-encoding", text));
        }
    }
    Ok(text)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let units: Vec<u16> =
        bytes.chunks(2).map(|pair| pair.try_into().ok().map(unit)).collect::<Option<_>>()?;
    String::from_utf16(&units).ok()
}

/// `encoding="…"` of an XML declaration, in lower case.
fn declared_encoding(text: &str) -> Option<String> {
    let declaration = text.trim_start().strip_prefix("<?xml")?.split_once("?>")?.0;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(value.get(1..)?.split_once(quote)?.0.to_ascii_lowercase())
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    nodes: usize,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fail<T>(&self, rule: &'static str, text: &str) -> Result<T, Issue> {
        Err(fatal(self.text.as_bytes(), self.at, rule, text))
    }

    /// Moves behind the next `end`, which must be there.
    fn skip_past(&mut self, end: &str) -> Result<(), Issue> {
        match self.rest().find(end) {
            Some(length) => {
                self.at = self.at.saturating_add(length).saturating_add(end.len());
                Ok(())
            }
            None => self.fail("xml-truncated", "the document ends inside of markup"),
        }
    }

    fn run(mut self) -> Result<(), Issue> {
        loop {
            let run = self.rest();
            let length = run.find('<').unwrap_or(run.len());
            self.references(run.get(..length).unwrap_or_default())?;
            self.at = self.at.saturating_add(length);
            let rest = self.rest();
            if rest.is_empty() {
                break;
            }
            self.nodes = self.nodes.saturating_add(1);
            if self.nodes > MAX_NODES {
                return self.fail("xml-limit", "more than 2000000 nodes");
            }
            if rest.starts_with("<!--") {
                self.at = self.at.saturating_add(4);
                self.skip_past("-->")?;
            } else if rest.starts_with("<![CDATA[") {
                self.skip_past("]]>")?;
            } else if rest.starts_with("<!") {
                return self.fail("xml-doctype", "a DOCTYPE or other declaration; none is allowed");
            } else if rest.starts_with("<?") {
                self.skip_past("?>")?;
            } else if rest.starts_with("</") {
                self.skip_past(">")?;
                self.depth = self.depth.saturating_sub(1);
            } else {
                self.start_tag()?;
            }
        }
        if self.depth > 0 {
            return self.fail("xml-truncated", "the document ends inside of an element");
        }
        Ok(())
    }

    fn start_tag(&mut self) -> Result<(), Issue> {
        let (mut attributes, mut namespaces, mut end) = (0usize, 0usize, None);
        let mut quote = None;
        let mut value_at = 0;
        let rest = self.rest();
        for (index, byte) in rest.bytes().enumerate().skip(1) {
            match (quote, byte) {
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    value_at = index;
                    attributes = attributes.saturating_add(1);
                    let before = rest.get(..index).unwrap_or_default();
                    let name_at = before.rfind(char::is_whitespace).unwrap_or(0);
                    let name = before.get(name_at..).unwrap_or_default().trim_start();
                    if name.starts_with("xmlns") {
                        namespaces = namespaces.saturating_add(1);
                    }
                    if attributes > MAX_ATTRIBUTES || namespaces > MAX_NAMESPACES {
                        return self
                            .fail("xml-limit", "too many attributes or namespaces in a tag");
                    }
                }
                (Some(open), _) if byte == open => {
                    quote = None;
                    self.references(rest.get(value_at..index).unwrap_or_default())?;
                }
                (None, b'>') => {
                    end = Some(index);
                    break;
                }
                (None, b'<') => break,
                _ => {}
            }
        }
        let Some(end) = end else {
            return self.fail("xml-truncated", "a tag that does not end");
        };
        if !rest.get(..end).is_some_and(|tag| tag.ends_with('/')) {
            self.depth = self.depth.saturating_add(1);
            if self.depth > MAX_DEPTH {
                return self.fail("xml-limit", "more than 256 open elements");
            }
        }
        self.at = self.at.saturating_add(end).saturating_add(1);
        Ok(())
    }

    /// Character references must name characters that XML 1.0 allows; entity references only XML's five.
    fn references(&self, run: &str) -> Result<(), Issue> {
        let is_raw_control = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
        if run.contains(is_raw_control) {
            return self.fail("xml-character", "a control character");
        }
        for reference in run.split('&').skip(1) {
            let Some((name, _)) = reference.split_once(';') else {
                return self.fail("xml-reference", "an ampersand that begins no reference");
            };
            let code = match name.strip_prefix('#') {
                None if matches!(name, "lt" | "gt" | "amp" | "quot" | "apos") => continue,
                None => return self.fail("xml-entity", "an entity other than XML's five"),
                Some(digits) => match digits.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => digits.parse::<u32>(),
                },
            };
            let character = code.ok().and_then(char::from_u32);
            if character.is_none_or(|c| is_raw_control(c) || matches!(c, '\u{fffe}' | '\u{ffff}')) {
                return self.fail("xml-reference", "a reference to no character");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rules_by_name() {
        let deep = "<a>".repeat(MAX_DEPTH + 1);
        let cases = [
            ("<!DOCTYPE a><a/>", "xml-doctype"),
            ("<a>&#xD800;</a>", "xml-reference"),
            ("<a b='&#1;'/>", "xml-reference"),
            ("<a>&x;</a>", "xml-entity"),
            ("<?xml version='1.0' encoding='utf-7'?><a/>", "xml-encoding"),
            ("<a><![CDATA[x", "xml-truncated"),
            ("<a b='", "xml-truncated"),
            (deep.as_str(), "xml-limit"),
        ];
        for (text, rule) in cases {
            assert_eq!(screen(text.as_bytes()).expect_err(rule).rule, rule, "{rule}");
        }
        assert!(screen(b"<a b='x &lt; y' c=\"&#x41;\"><!-- <!DOCTYPE --><b/></a>").is_ok());
    }

    #[test]
    fn utf16_is_read_and_still_screened() {
        let utf16: Vec<u8> =
            "\u{feff}<!DOCTYPE a><a/>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(screen(&utf16).expect_err("doctype").rule, "xml-doctype");
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(text in "[<>/!?&;#x'\"= a\\[\\]-]{0,80}", raw: Vec<u8>) {
            let _ = screen(text.as_bytes());
            let _ = screen(&raw);
        }
    }
}
