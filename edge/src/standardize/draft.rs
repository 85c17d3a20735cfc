//! The resources of one item while they are made: stable ids, references, issues; finished into records at the end.
use super::coverage::{Fate, Ledger, Unmapped};
use super::time::epoch_seconds;
use crate::extract;
use crate::model::json::Value;
use crate::model::{Identifier, Issue, Item, Kind, Severity, StandardRecord, ids};
use crate::terminology::Terminology;
use base64::Engine as _;
use std::ops::Range;

/// Value of `data-absent-reason` for what the source does not say.
pub(crate) const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// Types that belong to no patient.
const SHARED: [&str; 8] = [
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "Medication",
    "Substance",
    "HealthcareService",
    "Endpoint",
];

/// Types about people, whose texts are names and must not become search words.
const PEOPLE: [&str; 4] = ["Patient", "Practitioner", "RelatedPerson", "Person"];

/// One resource and whose it is.
#[derive(Debug)]
struct Draft {
    id: [u8; 16],
    patient: Option<Identifier>,
    resource: Value,
}

/// The resources of one item.
#[derive(Debug)]
pub(crate) struct Drafts<'a> {
    source: &'a str,
    drafts: Vec<Draft>,
    /// What was noticed.
    pub(crate) issues: Vec<Issue>,
    /// The source fields that are not mapped, if somebody wants to know.
    pub(crate) unmapped: Option<Vec<Unmapped>>,
}

/// `{"resourceType": …, "id": ""}`, to be filled and given to [`Drafts::add`].
pub(crate) fn resource(resource_type: &str) -> Value {
    Value::object([("resourceType", resource_type.into()), ("id", "".into())])
}

/// A resource's or element's member, if there is a value for it.
pub(crate) fn set(target: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        target.set(name, value.into());
    }
}

/// Sets an array member unless it is empty.
pub(crate) fn set_list(target: &mut Value, name: &str, items: Vec<Value>) {
    if !items.is_empty() {
        target.set(name, Value::Array(items));
    }
}

/// `{"reference": …}`
pub(crate) fn reference(target: &str) -> Value {
    Value::object([("reference", target.into())])
}

/// `{"system": …, "code": …}`
pub(crate) fn coding(system: &str, code: &str) -> Value {
    Value::object([("system", system.into()), ("code", code.into())])
}

/// A CodeableConcept with one coding.
pub(crate) fn concept(system: &str, code: &str) -> Value {
    Value::object([("coding", Value::Array(vec![coding(system, code)]))])
}

/// `{"extension": [data-absent-reason]}`, for an element whose value is not known.
pub(crate) fn absent(reason: &str) -> Value {
    let extension = Value::object([("url", ABSENT.into()), ("valueCode", reason.into())]);
    Value::object([("extension", Value::Array(vec![extension]))])
}

impl<'a> Drafts<'a> {
    /// No resources yet.
    pub(crate) const fn new(source: &'a str) -> Self {
        Self { source, drafts: Vec::new(), issues: Vec::new(), unmapped: None }
    }

    /// The stable id that a natural key gives here.
    pub(crate) fn id(&self, resource_type: &str, key: &str) -> [u8; 16] {
        ids::stable_id(self.source, resource_type, key)
    }

    /// The reference that a natural key gives here.
    pub(crate) fn reference(&self, resource_type: &str, key: &str) -> String {
        format!("{resource_type}/{}", ids::uuid_text(&self.id(resource_type, key)))
    }

    /// Adds a resource under its natural key and returns the reference to it. A second one with the same key is dropped.
    pub(crate) fn add(
        &mut self,
        key: &str,
        patient: Option<&Identifier>,
        mut resource: Value,
    ) -> String {
        let resource_type = resource.str_at("resourceType").unwrap_or_default().to_owned();
        let id = self.id(&resource_type, key);
        let reference = self.reference(&resource_type, key);
        resource.set("id", ids::uuid_text(&id).into());
        if !self.drafts.iter().any(|draft| draft.id == id) {
            let patient = patient.filter(|_| !SHARED.contains(&resource_type.as_str())).cloned();
            self.drafts.push(Draft { id, patient, resource });
        }
        reference
    }

    /// The resource behind a reference, to complete it.
    pub(crate) fn get_mut(&mut self, reference: &str) -> Option<&mut Value> {
        let id = reference.split_once('/')?.1;
        self.drafts
            .iter_mut()
            .find(|draft| ids::uuid_text(&draft.id) == id)
            .map(|draft| &mut draft.resource)
    }

    /// Lists a field that is not mapped, if somebody wants to know.
    pub(crate) fn unmapped(&mut self, fate: Fate, at: impl FnOnce() -> String) {
        if let Some(list) = &mut self.unmapped
            && fate != Fate::Mapped
        {
            list.push(Unmapped { at: at(), fate: fate.as_str() });
        }
    }

    /// Lists the leaves of a ledger that are not mapped, if somebody wants to know.
    pub(crate) fn unmapped_leaves(
        &mut self,
        ledger: &Ledger,
        leaves: &[Range<usize>],
        at: impl Fn(usize) -> String,
    ) {
        if self.unmapped.is_some() {
            for (leaf, fate) in leaves.iter().zip(ledger.fates(leaves)) {
                self.unmapped(fate, || at(leaf.start));
            }
        }
    }

    /// How many resources there are.
    pub(crate) fn len(&self) -> usize {
        self.drafts.len()
    }

    /// Adds one Provenance per patient: what was made of which bytes, by whom. `recorded` is the source's own time.
    pub(crate) fn add_provenance(&mut self, item: &Item, agent: &str, recorded: Option<&str>) {
        let mut owners: Vec<Option<Identifier>> = Vec::new();
        for draft in &self.drafts {
            if !owners.contains(&draft.patient) {
                owners.push(draft.patient.clone());
            }
        }
        let hash = format!("urn:sha256:{}", ids::sha256_hex(&item.bytes));
        for (index, owner) in owners.into_iter().enumerate() {
            let mine = self.drafts.iter().filter(|draft| draft.patient == owner);
            let targets = mine.map(|draft| {
                let kind = draft.resource.str_at("resourceType").unwrap_or_default();
                reference(&format!("{kind}/{}", ids::uuid_text(&draft.id)))
            });
            let mut provenance = resource("Provenance");
            provenance.set("target", Value::Array(targets.collect()));
            match recorded {
                Some(time) => provenance.set("recorded", time.into()),
                None => provenance.set("_recorded", absent("unknown")),
            }
            let who = Value::object([("who", Value::object([("display", agent.into())]))]);
            provenance.set("agent", Value::Array(vec![who]));
            let what = Value::object([(
                "identifier",
                Value::object([
                    ("system", "urn:ietf:rfc:3986".into()),
                    ("value", hash.as_str().into()),
                ]),
            )]);
            let entity = Value::object([("role", "source".into()), ("what", what)]);
            provenance.set("entity", Value::Array(vec![entity]));
            let key = format!("{}/{index}", ids::uuid_text(&item.item_id));
            self.add(&key, owner.as_ref(), provenance);
        }
    }

    /// Records with keywords, text, date and quality, and the issues.
    pub(crate) fn finish(self, terminology: &Terminology) -> (Vec<StandardRecord>, Vec<Issue>) {
        let penalty: u32 = self
            .issues
            .iter()
            .map(|issue| match issue.severity {
                Severity::Information => 0,
                Severity::Warning => 2,
                Severity::Error | Severity::Fatal => 10,
            })
            .sum();
        let records = self.drafts.into_iter().map(|draft| finish(draft, penalty, terminology));
        (records.collect(), self.issues)
    }
}

fn finish(draft: Draft, penalty: u32, terminology: &Terminology) -> StandardRecord {
    let resource = draft.resource;
    let resource_type = resource.str_at("resourceType").unwrap_or_default().to_owned();
    let (mut words, running) = texts(&resource);
    let keywords = extract::keywords(&resource, &running, terminology);
    words.push(running);
    let absent = resource.to_string().matches(ABSENT).count();
    let absent = u32::try_from(absent).unwrap_or(u32::MAX).saturating_mul(5);
    StandardRecord {
        kind: Kind::from_resource_type(&resource_type),
        stable_id: draft.id,
        patient: draft.patient,
        date: date_of(&resource),
        text: words.join("\n").trim().to_owned(),
        quality: 100u32.saturating_sub(penalty.saturating_add(absent)),
        keywords,
        resource_type,
        resource,
    }
}

/// The displays and titles of a resource, and what somebody wrote in sentences; nothing of people.
pub(crate) fn texts(resource: &Value) -> (Vec<String>, String) {
    let (mut words, mut running) = (Vec::new(), Vec::new());
    if !PEOPLE.contains(&resource.str_at("resourceType").unwrap_or_default()) {
        collect(resource, &mut words, &mut running);
    }
    (words, running.join("\n"))
}

/// Displays and titles go to `words`, what somebody wrote in sentences to `running`; names of people to neither.
fn collect(value: &Value, words: &mut Vec<String>, running: &mut Vec<String>) {
    for (name, member) in value.as_object().unwrap_or_default() {
        match (name.as_str(), member) {
            ("text", Value::Object(narrative)) if narrative.iter().any(|(n, _)| n == "div") => {
                if let Some(div) = member.str_at("div") {
                    words.push(without_tags(div));
                }
            }
            ("display" | "title" | "text", Value::String(text)) => words.push(text.clone()),
            (
                "valueString" | "conclusion" | "description" | "patientInstruction",
                Value::String(text),
            ) => {
                running.push(text.clone());
            }
            ("note", Value::Array(notes)) => {
                running.extend(notes.iter().filter_map(|n| n.str_at("text")).map(str::to_owned));
            }
            ("attachment" | "presentedForm", _) => attached_text(member, running),
            // References carry names of people in their displays.
            (_, Value::Object(_)) if member.get("reference").is_none() => {
                collect(member, words, running);
            }
            (_, Value::Array(items)) => {
                let items = items.iter().filter(|item| item.get("reference").is_none());
                items.for_each(|item| collect(item, words, running));
            }
            _ => {}
        }
    }
}

/// Plain text that travels inside of an attachment.
fn attached_text(value: &Value, running: &mut Vec<String>) {
    for attachment in value.as_array().unwrap_or(std::slice::from_ref(value)) {
        let is_text = attachment.str_at("contentType").is_some_and(|t| t.starts_with("text/plain"));
        let data = attachment.str_at("data").filter(|_| is_text);
        let bytes = data.and_then(|d| base64::engine::general_purpose::STANDARD.decode(d).ok());
        if let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            running.push(text);
        }
    }
}

fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut in_tag = false;
    for character in html.chars() {
        match character {
            '<' => {
                in_tag = true;
                out.push(' ');
            }
            '>' => in_tag = false,
            other if !in_tag => out.push(other),
            _ => {}
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The clinically relevant moment of a resource.
fn date_of(resource: &Value) -> Option<i64> {
    const PATHS: [&str; 15] = [
        "effectiveDateTime",
        "effectivePeriod.start",
        "effectiveInstant",
        "onsetDateTime",
        "onsetPeriod.start",
        "performedDateTime",
        "performedPeriod.start",
        "occurrenceDateTime",
        "period.start",
        "authoredOn",
        "recordedDate",
        "issued",
        "date",
        "context.period.start",
        "started",
    ];
    PATHS.iter().find_map(|path| epoch_seconds(resource.str_at(path)?))
}
