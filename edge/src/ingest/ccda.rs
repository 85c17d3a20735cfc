//! C-CDA documents (R2.1 and 3.0): screened, parsed, and known by their root element.
//!
//! The bytes pass the screen of `xml.rs` before `roxmltree` reads them, so no DOCTYPE, entity or foreign encoding gets
//! through and nothing is fetched. Undeclared prefixes are fatal with their position.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use super::xml;
use crate::model::{At, Issue, Severity};
use roxmltree::{Document, Node, ParsingOptions};
use std::borrow::Cow;
use std::ops::Range;

/// The namespace of CDA.
pub const HL7: &str = "urn:hl7-org:v3";

/// Screens the bytes and returns the text to parse with [`parse`].
///
/// # Errors
/// A fatal issue with its position.
pub fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Issue> {
    xml::screen(bytes)
}

/// Parses screened text; the root must be `{urn:hl7-org:v3}ClinicalDocument`.
///
/// # Errors
/// A fatal issue with its position: not well-formed, or another kind of document.
pub fn parse(text: &str) -> Result<Document<'_>, Issue> {
    let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let position = error.pos();
        let at = At {
            line: usize::try_from(position.row).unwrap_or(0),
            column: usize::try_from(position.col).unwrap_or(0),
            ..At::default()
        };
        Issue::new(Severity::Fatal, "structure", "xml", at, "not well-formed XML")
    })?;
    let root = document.root_element();
    if root.tag_name().namespace() != Some(HL7) || root.tag_name().name() != "ClinicalDocument" {
        let at = At::in_bytes(text.as_bytes(), root.range().start, "/");
        let text = "the root element is not ClinicalDocument of urn:hl7-org:v3";
        return Err(Issue::new(Severity::Fatal, "not-supported", "ccda-root", at, text));
    }
    Ok(document)
}

/// Every non-empty leaf: attribute values and text that is not white space, with its position in the text.
pub fn leaves(document: &Document<'_>) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    for node in document.descendants() {
        if node.is_text() && !node.text().unwrap_or_default().trim().is_empty() {
            out.push(node.range());
        }
        out.extend(node.attributes().filter(|a| !a.value().is_empty()).map(|a| a.range()));
    }
    out.sort_by_key(|range| range.start);
    out
}

/// The child elements of a name in CDA's namespace.
pub fn children<'a, 'i>(
    node: Node<'a, 'i>,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    node.children().filter(move |child| child.has_tag_name((HL7, name)))
}

/// Follows a path of element names, `a/b/c`, taking the first of each.
pub fn first<'a, 'i>(node: Node<'a, 'i>, path: &str) -> Option<Node<'a, 'i>> {
    path.split('/')
        .try_fold(node, |node, name| node.children().find(|child| child.has_tag_name((HL7, name))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_clinical_documents() {
        let good =
            text(b"<ClinicalDocument xmlns='urn:hl7-org:v3'><id root='1'/>x</ClinicalDocument>")
                .expect("text");
        let document = parse(&good).expect("document");
        assert_eq!(leaves(&document).len(), 2);
        assert_eq!(parse("<ClinicalDocument/>").expect_err("root").rule, "ccda-root");
        assert_eq!(parse("<a:b/>").expect_err("prefix").rule, "xml");
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(tail in "[<>/!?&;#x'\"= a\\[\\]-]{0,80}") {
            let bytes = format!("<ClinicalDocument xmlns='urn:hl7-org:v3'>{tail}</ClinicalDocument>");
            if let Ok(text) = text(bytes.as_bytes()) && let Ok(document) = parse(&text) {
                let _ = leaves(&document);
            }
        }
    }
}
