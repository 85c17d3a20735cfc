//! FHIR R4 in, FHIR R4 out: ids become stable ids, references within the item follow them, the rest stays as it was.
//!
//! The server's own elements (`meta.versionId`, `meta.lastUpdated`) and narrative with active content are dropped. A resource
//! that is not R4 is left out of a Bundle with an issue; alone, it refuses the item.
use super::coverage::Fate;
use super::draft::{Drafts, absent};
use super::note::patient_key;
use super::types::uri_part;
use super::validate::validate;
use crate::ingest::fhir;
use crate::ingest::hl7v2::is_bidi_or_invisible;
use crate::model::json::Value;
use crate::model::{At, Coverage, Identifier, Issue, Item, Severity};
use std::collections::HashMap;

/// What a reference in the source leads to.
type Targets = HashMap<String, String>;

/// One resource on its way.
struct Entry {
    resource: Value,
    resource_type: String,
    /// Natural key: a patient's identifier, else type and id.
    key: String,
    full_url: Option<String>,
    /// `Type/id` in the source.
    local: Option<String>,
}

pub(crate) fn map(item: &Item, drafts: &mut Drafts<'_>) -> Result<Coverage, Issue> {
    let value = fhir::parse(&item.bytes)?;
    let total = leaves(&value);
    let is_bundle = value.str_at("resourceType") == Some("Bundle");
    let mut coverage = Coverage::default();
    let mut entries: Vec<Entry> = Vec::new();
    for (index, (full_url, resource)) in fhir::resources(&value).into_iter().enumerate() {
        let path =
            if is_bundle { format!("Bundle.entry[{index}].resource") } else { String::new() };
        let mut resource = resource.clone();
        let before = leaves(&resource);
        clean(&mut resource, &path, drafts);
        let findings = validate(&resource);
        if let Some(first) = findings.into_iter().next() {
            if !is_bundle {
                return Err(Issue { severity: Severity::Fatal, ..first });
            }
            drafts.unmapped(Fate::Raw, || format!("{path}: {before} values of a refused resource"));
            let at = At::path(format!("{path}: {}", first.at.path));
            drafts.issues.push(Issue { at, ..first });
            continue;
        }
        coverage.mapped += leaves(&resource);
        let dropped = before - leaves(&resource);
        coverage.dropped += dropped;
        if dropped > 0 {
            drafts.unmapped(Fate::Dropped, || format!("{path}: {dropped} values, see its issues"));
        }
        entries.push(entry(item, resource, full_url, index));
    }
    if is_bundle {
        let envelope = envelope_leaves(&value);
        coverage.dropped += envelope;
        drafts.unmapped(Fate::Dropped, || format!("Bundle: {envelope} values of the envelope"));
    }
    if entries.is_empty() {
        let text = "no usable resource";
        return Err(Issue::new(Severity::Fatal, "structure", "fhir-bundle", At::default(), text));
    }
    add_all(item, entries, drafts);
    coverage.raw = total.saturating_sub(coverage.mapped + coverage.dropped);
    Ok(coverage)
}

fn add_all(item: &Item, entries: Vec<Entry>, drafts: &mut Drafts<'_>) {
    let mut targets = Targets::new();
    let mut patients: HashMap<String, Identifier> = HashMap::new();
    for entry in &entries {
        let reference = drafts.reference(&entry.resource_type, &entry.key);
        for name in entry.full_url.iter().chain(&entry.local) {
            targets.insert(name.clone(), reference.clone());
        }
        for id in entry.resource.items("identifier") {
            if let (Some(system), Some(value)) = (id.str_at("system"), id.str_at("value")) {
                let query = format!("{}?identifier={system}|{value}", entry.resource_type);
                targets.insert(query, reference.clone());
            }
        }
        if entry.resource_type == "Patient" {
            patients.insert(reference, patient_identifier(item, &entry.resource));
        }
    }
    let only = (patients.len() == 1).then(|| patients.values().next().cloned()).flatten();
    for mut entry in entries {
        rewrite(&mut entry.resource, &targets);
        let reference = drafts.reference(&entry.resource_type, &entry.key);
        let subject = subject_of(&entry.resource).map(str::to_owned);
        let owner = patients.get(&reference).cloned().or_else(|| {
            let subject = subject.as_deref()?;
            patients.get(subject).cloned().or_else(|| outside_patient(item, subject))
        });
        let owner = owner.or_else(|| only.clone());
        drafts.add(&entry.key, owner.as_ref(), entry.resource);
    }
    drafts.add_provenance(item, &item.source, None);
}

fn entry(item: &Item, resource: Value, full_url: Option<&str>, index: usize) -> Entry {
    let resource_type = resource.str_at("resourceType").unwrap_or_default().to_owned();
    let local = resource.str_at("id").map(|id| format!("{resource_type}/{id}"));
    let key = if resource_type == "Patient" {
        let id = patient_identifier(item, &resource);
        patient_key(&id.system, &id.value)
    } else {
        let position = || format!("{}/{index}", crate::model::ids::uuid_text(&item.item_id));
        local.clone().or(full_url.map(str::to_owned)).unwrap_or_else(position)
    };
    Entry { resource, resource_type, key, full_url: full_url.map(str::to_owned), local }
}

/// The best identifier of a patient: a medical record number first, else the first that has a system; else its id here.
fn patient_identifier(item: &Item, patient: &Value) -> Identifier {
    let usable = || {
        patient.items("identifier").iter().filter_map(|id| {
            let is_record_number = id.str_at("type.coding.0.code") == Some("MR");
            let identifier = Identifier {
                system: id.str_at("system")?.into(),
                value: id.str_at("value")?.into(),
            };
            Some((is_record_number, identifier))
        })
    };
    let best = usable().find(|(is_record_number, _)| *is_record_number).or_else(|| usable().next());
    let id = patient.str_at("id").unwrap_or("unnamed");
    best.map_or_else(|| local_patient(item, id), |(_, identifier)| identifier)
}

fn local_patient(item: &Item, id: &str) -> Identifier {
    Identifier {
        system: format!("urn:id:{}", uri_part(&item.source)),
        value: format!("Patient/{id}"),
    }
}

/// A patient who is referred to and does not travel in this item.
fn outside_patient(item: &Item, reference: &str) -> Option<Identifier> {
    let id = reference.rsplit_once("Patient/")?.1;
    (!id.is_empty()).then(|| local_patient(item, id))
}

/// The element that says whose a resource is.
fn subject_of(resource: &Value) -> Option<&str> {
    ["subject", "patient", "beneficiary", "individual", "for"]
        .iter()
        .find_map(|name| resource.get(name)?.str_at("reference"))
}

/// Follows references within the item; a search as reference becomes an identifier; all others keep their text.
fn rewrite(value: &mut Value, targets: &Targets) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, targets)),
        Value::Object(members) => {
            let mut logical = None;
            for (name, member) in members.iter_mut() {
                if let ("reference", Value::String(text)) = (name.as_str(), &*member) {
                    if let Some(target) = targets.get(text) {
                        *member = target.as_str().into();
                    } else {
                        logical = as_search(text);
                    }
                } else {
                    rewrite(member, targets);
                }
            }
            if let Some((kind, system, code)) = logical {
                members.retain(|(name, _)| name != "reference");
                let id = Value::object([("system", system.into()), ("value", code.into())]);
                value.set("type", kind.into());
                value.set("identifier", id);
            }
        }
        _ => {}
    }
}

/// `Practitioner?identifier=system|value`
fn as_search(reference: &str) -> Option<(String, String, String)> {
    let (kind, query) = reference.split_once("?identifier=")?;
    let (system, value) = query.split_once('|')?;
    Some((kind.to_owned(), system.to_owned(), value.to_owned()))
}

/// Drops what is not the source's to say or not safe to show.
fn clean(resource: &mut Value, path: &str, drafts: &mut Drafts<'_>) {
    let mut note = |rule, text: &str| {
        drafts.issues.push(Issue::new(Severity::Warning, "value", rule, At::path(path), text));
    };
    if let Some(meta) = resource.get_mut("meta") {
        meta.remove("versionId");
        meta.remove("lastUpdated");
        if meta.as_object().is_some_and(<[_]>::is_empty) {
            resource.remove("meta");
        }
    }
    if resource.str_at("text.div").is_some_and(|div| !is_safe_narrative(div)) {
        resource.remove("text");
        note("fhir-narrative", "narrative with active or outside content was dropped");
    }
    if any_string(resource, &|text| text.contains(is_bidi_or_invisible)) {
        note("fhir-bidi", "invisible or direction-changing characters");
    }
    if resource.str_at("resourceType") == Some("Provenance") && resource.get("recorded").is_none() {
        resource.set("_recorded", absent("unknown"));
    }
}

fn any_string(value: &Value, test: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => test(text),
        Value::Array(items) => items.iter().any(|item| any_string(item, test)),
        Value::Object(members) => members.iter().any(|(_, member)| any_string(member, test)),
        _ => false,
    }
}

/// XHTML of FHIR narrative: text markup only, no handlers, no script, nothing loaded from elsewhere.
fn is_safe_narrative(div: &str) -> bool {
    const TAGS: [&str; 48] = [
        "a",
        "abbr",
        "acronym",
        "b",
        "big",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "li",
        "ol",
        "p",
        "pre",
        "q",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "ul",
        "var",
    ];
    let mut rest = div;
    while let Some((_, from)) = rest.split_once('<') {
        let Some((tag, after)) = from.split_once('>') else { return false };
        rest = after;
        let tag = tag.trim_start_matches('/').trim_end_matches('/');
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        if name.starts_with("!--") {
            continue;
        }
        let attributes = attributes.to_ascii_lowercase();
        let names = attributes.split('=').filter_map(|part| part.split_whitespace().next_back());
        let active = names.clone().any(|name| name.starts_with("on") || name == "srcset")
            || ["javascript:", "vbscript:", "data:text", "&#", "expression("]
                .iter()
                .any(|s| attributes.contains(s));
        let outside = name == "img"
            && !attributes.contains("src=\"#")
            && !attributes.contains("src=\"data:image/");
        if !TAGS.contains(&name) || active || outside {
            return false;
        }
    }
    true
}

/// Scalars of a value.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Object(members) => members.iter().map(|(_, member)| leaves(member)).sum(),
        _ => 1,
    }
}

/// Leaves of a Bundle that carry the resources and say nothing of their own.
fn envelope_leaves(bundle: &Value) -> usize {
    let own: usize = ["resourceType", "type", "total", "link", "id", "meta"]
        .iter()
        .filter_map(|name| bundle.get(name))
        .map(leaves)
        .sum();
    let entries = bundle.items("entry").iter();
    let around = entries.flat_map(|entry| {
        ["fullUrl", "request", "search", "response", "link"].map(|name| entry.get(name))
    });
    own + around.flatten().map(leaves).sum::<usize>()
}
