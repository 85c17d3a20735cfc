//! ICD: the order file and tabular XML of CMS (ICD-10-CM), and ClaML (EN 14463; WHO and national editions).
use super::super::ICD10CM;
use super::super::system::{Row, Rows};
use super::{Found, ICD10, Input, version_in};
use crate::error::EdgeError;
use roxmltree::{Document, Node, ParsingOptions};
use std::path::Path;

/// Order file: positions 7–13 code without its point, 15 billable, 17–76 short title, from 78 on long title; tabular XML:
/// inclusion terms. Either is enough.
pub(super) fn load_cms(input: &mut Input) -> Result<Found, EdgeError> {
    let order = input.named("icd10cm", ".txt").or_else(|| input.named("icd10cm-order", ".txt"));
    let tabular = input.named("icd10cm", ".xml");
    let Some(first) = order.as_ref().or(tabular.as_ref()).cloned() else {
        let fix = "give icd10cm_order_YEAR.txt, icd10cm_tabular_YEAR.xml or a folder with both";
        return Err(input.wrong("no file of CMS", fix));
    };
    let mut rows = Rows::default();
    if let Some(path) = order {
        let text = input.read(&path)?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let code = line.get(6..13).map(str::trim).filter(|code| is_code(code));
            let title = line.get(77..).map(str::trim).filter(|title| !title.is_empty());
            let (Some(code), Some(title)) = (code, title) else {
                let what = format!("line {}: not a line of the order file", number + 1);
                return Err(input.wrong(what, "give icd10cm_order_YEAR.txt"));
            };
            let row = rows.at(&with_point(code));
            row.display = title.to_owned();
            if code.len() > 3 {
                row.parents = vec![with_point(&code[..code.len() - 1])];
            }
        }
    }
    if let Some(path) = tabular {
        let text = input.read(&path)?;
        let document = parse(&text, &path)?;
        for diagnosis in document.descendants().filter(|node| node.has_tag_name("diag")) {
            let Some(code) = child_text(diagnosis, "name") else { continue };
            let row = rows.at(&code);
            if row.display.is_empty() {
                row.display = child_text(diagnosis, "desc").unwrap_or_default();
            }
            let terms = diagnosis.children().filter(|node| node.has_tag_name("inclusionTerm"));
            let notes = terms.flat_map(|node| node.children()).filter(|n| n.has_tag_name("note"));
            row.synonyms.extend(notes.filter_map(text_of));
            row.is_named = true;
            if let Some(parent) = diagnosis.parent().filter(|node| node.has_tag_name("diag"))
                && row.parents.is_empty()
            {
                row.parents.extend(child_text(parent, "name"));
            }
        }
    }
    Ok(Found { system: ICD10CM, version: version_in(&first), rows: rows.into_rows() })
}

/// `<Class code kind><SuperClass code/><Rubric kind="preferred"><Label>…`.
pub(super) fn load_claml(input: &mut Input) -> Result<Found, EdgeError> {
    let path = input.named("", ".xml");
    let path = path.ok_or_else(|| input.wrong("no XML file", "give a ClaML file"))?;
    let text = input.read(&path)?;
    let document = parse(&text, &path)?;
    if !document.root_element().has_tag_name("ClaML") {
        return Err(input.wrong("the root is not ClaML", "give a ClaML file"));
    }
    let title = document.descendants().find(|node| node.has_tag_name("Title"));
    let version = title.and_then(|node| node.attribute("version")).map(str::to_owned);
    let mut rows = Vec::new();
    for class in document.descendants().filter(|node| node.has_tag_name("Class")) {
        let Some(code) = class.attribute("code") else { continue };
        let mut row = Row {
            code: code.to_owned(),
            is_named: class.attribute("kind") == Some("category"),
            ..Row::default()
        };
        for node in class.children() {
            if node.has_tag_name("SuperClass") {
                row.parents.extend(node.attribute("code").map(str::to_owned));
            } else if node.has_tag_name("Rubric") {
                let label = node.children().find(|n| n.has_tag_name("Label")).and_then(text_of);
                match (node.attribute("kind"), label) {
                    (Some("preferred"), Some(label)) => row.display = label,
                    (Some("inclusion"), Some(label)) => row.synonyms.push(label),
                    _ => {}
                }
            }
        }
        rows.push(row);
    }
    Ok(Found { system: ICD10, version: version.unwrap_or_else(|| version_in(&path)), rows })
}

/// These files begin with a DOCTYPE; entities beyond XML's five are within roxmltree's bounds, and nothing is fetched.
fn parse<'a>(text: &'a str, path: &Path) -> Result<Document<'a>, EdgeError> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| {
        EdgeError::input(format!("not XML: {error}"), path.display().to_string(), "check the file")
    })
}

fn child_text(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.children().find(|child| child.has_tag_name(name)).and_then(text_of)
}

/// All text below a node, white space joined.
fn text_of(node: Node<'_, '_>) -> Option<String> {
    let texts = node.descendants().filter(Node::is_text).filter_map(|node| node.text());
    let words: Vec<&str> = texts.flat_map(str::split_whitespace).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn is_code(code: &str) -> bool {
    (3..=7).contains(&code.len())
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && code.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// `E119` → `E11.9`
fn with_point(code: &str) -> String {
    match code.split_at_checked(3) {
        Some((category, rest)) if !rest.is_empty() => format!("{category}.{rest}"),
        _ => code.to_owned(),
    }
}
