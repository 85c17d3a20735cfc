//! Is it FHIR R4? Structure by the published tables: unknown element, cardinality, JSON type, choice, primitive form, codes of
//! required bindings. Invariants (FHIRPath) are checked by the peers in `test/edge`.
use crate::model::json::Value;
use crate::model::{At, Issue, Severity};
use crate::terminology::lists::List;
use base64::Engine as _;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

/// Findings of one resource that are reported; more of the same help nobody.
const MAX_FINDINGS: usize = 32;

struct Element {
    required: bool,
    many: bool,
    types: Vec<String>,
    content: Option<String>,
    value_set: Option<String>,
}

struct Schema {
    elements: HashMap<String, Element>,
    /// Path → names of its child elements.
    children: HashMap<String, Vec<String>>,
    resources: HashSet<String>,
    codes: HashMap<String, HashSet<String>>,
}

fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let list = List::unpack(include_bytes!("../../data/fhir-r4/elements.tsv.gz"));
        let sets = List::unpack(include_bytes!("../../data/fhir-r4/required_value_sets.tsv.gz"));
        let mut out = Schema {
            elements: HashMap::new(),
            children: HashMap::new(),
            resources: HashSet::new(),
            codes: HashMap::new(),
        };
        for row in sets.rows() {
            let [set, _, code, ..] = row.as_slice() else { continue };
            out.codes.entry((*set).into()).or_default().insert((*code).into());
        }
        for row in list.rows() {
            let [kind, path, min, max, types, content, binding, set, ..] = row.as_slice() else {
                continue;
            };
            let Some((parent, name)) = path.rsplit_once('.') else {
                if *kind == "r" {
                    out.resources.insert((*path).into());
                }
                continue;
            };
            out.children.entry(parent.into()).or_default().push(name.into());
            let strip = |t: &str| t.split('(').next().unwrap_or_default().to_owned();
            let element = Element {
                required: *min != "0",
                many: *max != "1" && *max != "0",
                types: types.split('|').map(strip).collect(),
                content: (!content.is_empty()).then(|| content.trim_start_matches('#').to_owned()),
                value_set: (*binding == "required").then(|| (*set).to_owned()),
            };
            out.elements.insert((*path).into(), element);
        }
        out
    })
}

/// The structural errors of a resource; none for a good one.
pub fn validate(resource: &Value) -> Vec<Issue> {
    let mut check = Check { schema: schema(), issues: Vec::new() };
    check.resource(resource, "");
    check.issues
}

/// The type of an element by its path within a resource, and for each step whether it is a list.
pub(crate) fn type_of(resource_type: &str, names: &[&str]) -> Option<(String, Vec<bool>)> {
    let check = Check { schema: schema(), issues: Vec::new() };
    let (mut path, mut kind, mut many) = (resource_type.to_owned(), String::new(), Vec::new());
    for name in names {
        let (key, found) = check.find(&path, name)?;
        many.push(check.schema.elements.get(&key)?.many);
        let is_own = matches!(found.as_str(), "BackboneElement" | "Element");
        path = if is_own { key } else { found.clone() };
        kind = found;
    }
    Some((kind, many))
}

struct Check {
    schema: &'static Schema,
    issues: Vec<Issue>,
}

impl Check {
    fn fail(&mut self, code: &'static str, at: &str, text: &str) {
        if self.issues.len() < MAX_FINDINGS {
            let issue = Issue::new(Severity::Error, code, "fhir-structure", At::path(at), text);
            self.issues.push(issue);
        }
    }

    fn resource(&mut self, value: &Value, at: &str) {
        let kind = value.str_at("resourceType").unwrap_or_default();
        let at = if at.is_empty() { kind } else { at };
        if !self.schema.resources.contains(kind) {
            return self.fail("structure", at, "not a resource type of R4");
        }
        self.object(value, kind, at);
    }

    /// An object whose elements are those under `path` in the tables.
    fn object(&mut self, value: &Value, path: &str, at: &str) {
        let Some(members) = value.as_object() else {
            return self.fail("structure", at, "a value where an object belongs");
        };
        let is_root = !path.contains('.') && self.schema.resources.contains(path);
        for (name, member) in members {
            if is_root && name == "resourceType" {
                continue;
            }
            let bare = name.strip_prefix('_').unwrap_or(name);
            let here = format!("{at}.{name}");
            let Some((key, kind)) = self.find(path, bare) else {
                self.fail("structure", &here, "an element that R4 does not have here");
                continue;
            };
            if bare == name {
                self.element(member, &key, &kind, &here);
            }
        }
        let schema = self.schema;
        for name in schema.children.get(path).into_iter().flatten() {
            let required =
                schema.elements.get(&format!("{path}.{name}")).is_some_and(|e| e.required);
            let base = name.trim_end_matches("[x]");
            let is_choice = base.len() < name.len();
            let present = members.iter().any(|(member, _)| {
                let member = member.strip_prefix('_').unwrap_or(member);
                member == base || is_choice && member.starts_with(base)
            });
            if required && !present {
                self.fail("required", &format!("{at}.{name}"), "a required element is missing");
            }
        }
    }

    /// The table's path and the type of a member; choices carry their type in their name.
    fn find(&self, path: &str, name: &str) -> Option<(String, String)> {
        let key = format!("{path}.{name}");
        if let Some(element) = self.schema.elements.get(&key) {
            return Some((key, element.types.first()?.clone()));
        }
        self.schema.children.get(path)?.iter().find_map(|child| {
            let base = child.strip_suffix("[x]")?;
            let suffix = name.strip_prefix(base)?;
            let key = format!("{path}.{child}");
            let types = &self.schema.elements.get(&key)?.types;
            let kind = types.iter().find(|t| {
                let mut letters = t.chars();
                let upper = letters.next().map(|first| first.to_ascii_uppercase());
                upper.into_iter().chain(letters).eq(suffix.chars())
            })?;
            Some((key, kind.clone()))
        })
    }

    fn element(&mut self, value: &Value, key: &str, kind: &str, at: &str) {
        let schema = self.schema;
        let Some(element) = schema.elements.get(key) else { return };
        match (value, element.many) {
            (Value::Array(items), true) => {
                for (index, item) in items.iter().enumerate() {
                    self.one(item, element, key, kind, &format!("{at}[{index}]"));
                }
            }
            (Value::Array(_), false) => {
                self.fail("structure", at, "an array where one value belongs")
            }
            (_, true) => self.fail("structure", at, "one value where an array belongs"),
            (one, false) => self.one(one, element, key, kind, at),
        }
    }

    fn one(&mut self, value: &Value, element: &Element, key: &str, kind: &str, at: &str) {
        if let Some(content) = &element.content {
            return self.object(value, content, at);
        }
        match kind {
            "Resource" => self.resource(value, at),
            "BackboneElement" | "Element" => self.object(value, key, at),
            complex if complex.starts_with(|c: char| c.is_ascii_uppercase()) => {
                self.object(value, complex, at);
            }
            primitive => {
                if !matches!(value, Value::Null) && !is_primitive(value, primitive) {
                    self.fail("value", at, "not a value of its type");
                }
                let set = element.value_set.as_ref().filter(|_| primitive == "code");
                let codes = set.and_then(|set| self.schema.codes.get(set));
                if let (Some(codes), Some(code)) = (codes, value.as_str())
                    && !codes.contains(code)
                {
                    self.fail(
                        "code-invalid",
                        at,
                        "a code that its required value set does not have",
                    );
                }
            }
        }
    }
}

fn is_primitive(value: &Value, kind: &str) -> bool {
    match (kind, value) {
        ("boolean", Value::Bool(_)) | ("decimal", Value::Number(_)) => true,
        ("integer" | "positiveInt" | "unsignedInt", Value::Number(text)) => {
            let least = match kind {
                "positiveInt" => 1,
                "unsignedInt" => 0,
                _ => i32::MIN,
            };
            text.parse::<i32>().is_ok_and(|number| number >= least)
        }
        ("boolean" | "decimal" | "integer" | "positiveInt" | "unsignedInt", _) => false,
        ("date" | "dateTime" | "instant", Value::String(text)) => is_time(text, kind),
        ("base64Binary", Value::String(text)) => {
            let compact: String = text.split_ascii_whitespace().collect();
            base64::engine::general_purpose::STANDARD.decode(compact).is_ok()
        }
        ("code", Value::String(text)) => {
            !text.is_empty()
                && !text.starts_with(' ')
                && !text.ends_with(' ')
                && !text.contains("  ")
        }
        ("uri" | "url" | "canonical" | "oid" | "uuid", Value::String(text)) => {
            !text.contains(char::is_whitespace)
        }
        (_, Value::String(text)) => !text.is_empty(),
        _ => false,
    }
}

fn is_time(text: &str, kind: &str) -> bool {
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let plain: String = date.split('-').collect();
    let date_ok = date.is_ascii()
        && matches!(date.len(), 4 | 7 | 10)
        && super::time::from_hl7(&plain, None).is_some();
    if time.is_empty() {
        return date_ok && kind != "instant" && !text.ends_with('T');
    }
    let clock: String = time.trim_end_matches('Z').split(':').collect();
    let zoned = time.ends_with('Z') || time.contains(['+', '-']);
    date_ok
        && date.len() == 10
        && kind != "date"
        && zoned
        && super::time::from_hl7(&format!("{plain}{clock}"), None).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::json::parse;

    #[test]
    fn structural_rules() {
        let cases = [
            (r#"{"resourceType":"Patient","name":[{"family":"A"}],"birthDate":"1970-02"}"#, ""),
            (r#"{"resourceType":"Patient","name":{"family":"A"}}"#, "Patient.name"),
            (r#"{"resourceType":"Patient","nam":"A"}"#, "Patient.nam"),
            (r#"{"resourceType":"Patient","birthDate":"0000"}"#, "Patient.birthDate"),
            (r#"{"resourceType":"Patient","gender":"m"}"#, "Patient.gender"),
            (r#"{"resourceType":"Patient","deceasedBoolean":"yes"}"#, "Patient.deceasedBoolean"),
            (r#"{"resourceType":"Patient","deceasedCode":"yes"}"#, "Patient.deceasedCode"),
            (r#"{"resourceType":"Spaceship"}"#, "Spaceship"),
            (r#"{"resourceType":"Observation","code":{"text":"x"}}"#, "Observation.status"),
            (
                r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"issued":"2015-06-30T23:59:60Z"}"#,
                "",
            ),
            (r#"{"resourceType":"Patient","photo":[{"data":"%%%"}]}"#, "Patient.photo[0].data"),
        ];
        for (text, path) in cases {
            let issues = validate(&parse(text.as_bytes()).expect("json"));
            let first = issues.first().map_or("", |issue| issue.at.path.as_str());
            assert_eq!(first, path, "{text}: {issues:?}");
        }
    }
}
