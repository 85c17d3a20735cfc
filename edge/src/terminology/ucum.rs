//! Is it a UCUM unit? Read from the unmodified `ucum-essence.xml` at run time, because its licence forbids derived tables.
//!
//! Grammar (UCUM, section "Full syntax", case sensitive): terms joined by `.` and `/`; a term is a number, a unit atom with
//! an optional prefix (metric atoms only) and exponent, or a term in parentheses; annotations stand in braces. Values are
//! not converted here.
use std::collections::HashMap;
use std::sync::OnceLock;

/// Units as people write them, and the UCUM code they mean.
const WRITTEN: [(&str, &str); 12] = [
    ("mmHg", "mm[Hg]"),
    ("mm Hg", "mm[Hg]"),
    ("beats/minute", "/min"),
    ("beats/min", "/min"),
    ("bpm", "/min"),
    ("breaths/minute", "/min"),
    ("breaths/min", "/min"),
    ("mcg", "ug"),
    ("kg/m²", "kg/m2"),
    ("°C", "Cel"),
    ("°F", "[degF]"),
    ("percent", "%"),
];

/// Longest unit that is looked at; real ones stay below 30 characters.
const MAX_LENGTH: usize = 128;
/// Parentheses within each other.
const MAX_DEPTH: usize = 8;

struct Ucum {
    /// Atom → whether it takes prefixes.
    atoms: HashMap<String, bool>,
    prefixes: Vec<String>,
}

fn ucum() -> &'static Ucum {
    static UCUM: OnceLock<Ucum> = OnceLock::new();
    UCUM.get_or_init(|| {
        let text = include_str!("../../data/vocab/ucum/ucum-essence.xml");
        let document = roxmltree::Document::parse(text).expect("the file compiled in is XML");
        let mut out = Ucum { atoms: HashMap::new(), prefixes: Vec::new() };
        for node in document.descendants() {
            let Some(code) = node.attribute("Code") else { continue };
            match node.tag_name().name() {
                "prefix" => out.prefixes.push(code.to_owned()),
                "base-unit" => {
                    out.atoms.insert(code.to_owned(), true);
                }
                // The element `unit` inside of a definition's value has no isMetric.
                "unit" => {
                    if let Some(metric) = node.attribute("isMetric") {
                        out.atoms.insert(code.to_owned(), metric == "yes");
                    }
                }
                _ => {}
            }
        }
        out
    })
}

/// The UCUM code of a unit: itself if it is one, what it means if it is a common way to write one, else `None`.
pub fn code(unit: &str) -> Option<&str> {
    let meant = WRITTEN.iter().find(|(written, _)| *written == unit).map(|(_, code)| *code);
    meant.or_else(|| is_unit(unit).then_some(unit))
}

/// Whether a text is a unit of UCUM.
pub fn is_unit(text: &str) -> bool {
    if text.is_empty() || text.len() > MAX_LENGTH || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return false;
    }
    term(text.strip_prefix('/').unwrap_or(text), 0)
}

/// Components joined by `.` and `/`.
fn term(text: &str, depth: usize) -> bool {
    let (mut level, mut start, mut bracket, mut brace) = (0usize, 0, false, false);
    for (index, mark) in text.char_indices() {
        match mark {
            '{' => brace = true,
            '}' => brace = false,
            _ if brace => {}
            '[' => bracket = true,
            ']' => bracket = false,
            _ if bracket => {}
            '(' => level += 1,
            ')' if level == 0 => return false,
            ')' => level -= 1,
            '.' | '/' if level == 0 => {
                if !component(&text[start..index], depth) {
                    return false;
                }
                start = index + 1;
            }
            _ => {}
        }
    }
    level == 0 && !brace && !bracket && component(&text[start..], depth)
}

fn component(text: &str, depth: usize) -> bool {
    if let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return depth < MAX_DEPTH && term(inner.strip_prefix('/').unwrap_or(inner), depth + 1);
    }
    let (unit, annotated) = match text.split_once('{') {
        Some((unit, rest)) => {
            (unit, rest.ends_with('}') && !rest.trim_end_matches('}').contains(['{', '}']))
        }
        None => (text, true),
    };
    if !annotated || unit.is_empty() {
        return annotated && unit.len() < text.len();
    }
    if unit.bytes().all(|b| b.is_ascii_digit()) || atom(unit) {
        return true;
    }
    let base = unit.trim_end_matches(|c: char| c.is_ascii_digit());
    let base = base.strip_suffix(['+', '-']).unwrap_or(base);
    base.len() < unit.len() && atom(base)
}

fn atom(text: &str) -> bool {
    let ucum = ucum();
    ucum.atoms.contains_key(text)
        || ucum.prefixes.iter().any(|prefix| {
            text.strip_prefix(prefix.as_str())
                .is_some_and(|rest| ucum.atoms.get(rest) == Some(&true))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units() {
        for good in [
            "%",
            "mg/dL",
            "mm[Hg]",
            "10*3/uL",
            "/min",
            "[degF]",
            "Cel",
            "kg/m2",
            "{score}",
            "mmol/(8.h.kg)",
            "m.s-2",
            "1",
            "ug{total}",
            "[IU]/L",
            "1/2",
        ] {
            assert!(is_unit(good), "{good}");
        }
        for bad in [
            "",
            "mmHg",
            "mcg",
            "mg/actuat",
            "beats/minute",
            "mg dL",
            "mg//dL",
            "(mg",
            "mg)",
            "{open",
            "percent",
            "MG/DL/",
        ] {
            assert!(!is_unit(bad), "{bad}");
        }
        assert_eq!(code("mmHg"), Some("mm[Hg]"));
        assert!(WRITTEN.iter().all(|(_, code)| is_unit(code)));
        assert_eq!(code("furlongs per fortnight"), None);
    }

    proptest! {
        #[test]
        fn any_text_never_panics(text in "[a-zA-Z0-9./(){}\\[\\]+*-]{0,40}", other: String) {
            let _ = (is_unit(&text), is_unit(&other));
        }
    }
}
