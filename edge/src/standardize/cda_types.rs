//! CDA data types → FHIR data types: II, PN, AD, TEL, CD, PQ, TS, IVL_TS.
//!
//! A [`CdaReader`] takes values out of a document and writes what it took to the ledger.
use super::coverage::{Fate, Ledger};
use super::draft::{coding, set};
use super::time::{FhirTime, from_hl7};
use crate::ingest::ccda::{children, first};
use crate::model::json::Value;
use crate::model::{At, Identifier, Issue, Severity};
use crate::terminology::ucum;
use roxmltree::Node;

/// Code systems by OID.
const SYSTEMS: [(&str, &str); 16] = [
    ("2.16.840.1.113883.6.1", "http://loinc.org"),
    ("2.16.840.1.113883.6.96", "http://snomed.info/sct"),
    ("2.16.840.1.113883.6.88", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("2.16.840.1.113883.6.90", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("2.16.840.1.113883.6.3", "http://hl7.org/fhir/sid/icd-10"),
    ("2.16.840.1.113883.6.103", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("2.16.840.1.113883.6.4", "http://www.cms.gov/Medicare/Coding/ICD10"),
    ("2.16.840.1.113883.12.292", "http://hl7.org/fhir/sid/cvx"),
    ("2.16.840.1.113883.6.12", "http://www.ama-assn.org/go/cpt"),
    ("2.16.840.1.113883.6.69", "http://hl7.org/fhir/sid/ndc"),
    ("2.16.840.1.113883.4.9", "http://fdasis.nlm.nih.gov"),
    ("2.16.840.1.113883.3.26.1.1", "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"),
    (
        "2.16.840.1.113883.5.83",
        "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
    ),
    ("2.16.840.1.113883.5.4", "http://terminology.hl7.org/CodeSystem/v3-ActCode"),
    ("2.16.840.1.113883.5.2", "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"),
    ("2.16.840.1.113883.6.8", "http://unitsofmeasure.org"),
];

/// nullFlavor → data-absent-reason.
const NULL_FLAVORS: [(&str, &str); 10] = [
    ("UNK", "unknown"),
    ("NI", "unknown"),
    ("ASKU", "asked-unknown"),
    ("NAV", "temp-unknown"),
    ("NASK", "not-asked"),
    ("MSK", "masked"),
    ("NA", "not-applicable"),
    ("OTH", "unsupported"),
    ("NINF", "negative-infinity"),
    ("PINF", "positive-infinity"),
];

/// Takes values out of one document.
pub(crate) struct CdaReader<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) issues: Vec<Issue>,
    /// Narrative elements by their ID, for `#id` references.
    pub(crate) by_id: std::collections::HashMap<&'a str, Node<'a, 'a>>,
    /// Offset of the document's own time.
    pub(crate) zone: Option<String>,
}

/// An element of the document.
pub(crate) type Element<'a> = Node<'a, 'a>;

impl<'a> CdaReader<'a> {
    /// An attribute's value, taken.
    pub(crate) fn attribute(&self, node: Element<'a>, name: &str) -> Option<&'a str> {
        let attribute = node.attributes().find(|a| a.name() == name && a.namespace().is_none())?;
        let value = attribute.value().trim();
        self.ledger.report(attribute.range(), Fate::Mapped);
        (!value.is_empty()).then_some(value)
    }

    /// All text below a node, taken.
    pub(crate) fn text(&self, node: Element<'a>) -> Option<String> {
        let mut words: Vec<&str> = Vec::new();
        for part in node.descendants().filter(Node::is_text) {
            self.ledger.report(part.range(), Fate::Mapped);
            words.extend(part.text().unwrap_or_default().split_whitespace());
        }
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// The text of `node`, or of the narrative element that its reference points to.
    pub(crate) fn text_or_reference(&self, node: Element<'a>) -> Option<String> {
        self.text(node).or_else(|| {
            let link = self.attribute(first(node, "reference")?, "value")?.strip_prefix('#')?;
            self.text(*self.by_id.get(link)?)
        })
    }

    /// The data-absent-reason of a nullFlavor.
    pub(crate) fn absent_reason(&self, node: Element<'a>) -> Option<&'static str> {
        let flavor = self.attribute(node, "nullFlavor")?;
        Some(NULL_FLAVORS.iter().find(|(name, _)| *name == flavor).map_or("unknown", |(_, r)| r))
    }

    /// TS.
    pub(crate) fn time(&mut self, node: Element<'a>) -> Option<FhirTime> {
        let text = self.attribute(node, "value")?;
        let time = from_hl7(text, self.zone.as_deref());
        if time.is_none() {
            self.ledger.report(node.range(), Fate::Raw);
            let at = At { byte: node.range().start, ..At::path(path_of(node)) };
            let text = "not a time; left out";
            self.issues.push(Issue::new(Severity::Warning, "value", "ccda-time", at, text));
        }
        time
    }

    /// IVL_TS: value, or low and high. Sets `<name>DateTime` or `<name>Period`.
    pub(crate) fn set_times(&mut self, out: &mut Value, name: &str, node: Element<'a>) {
        if let Some(time) = self.time(node) {
            return out.set(&format!("{name}DateTime"), time.text.into());
        }
        let period = self.period(node);
        match (period.str_at("start"), period.str_at("end")) {
            (Some(start), None) if name != "effective" => {
                out.set(&format!("{name}DateTime"), start.into());
            }
            (None, None) => {}
            _ => {
                super::types::set_period(out, period);
                if let Some(period) = out.remove("period") {
                    out.set(&format!("{name}Period"), period);
                }
            }
        }
    }

    /// low and high of IVL_TS.
    pub(crate) fn period(&mut self, node: Element<'a>) -> Value {
        let mut period = Value::object([]);
        for (name, member) in [("low", "start"), ("high", "end")] {
            if let Some(time) = first(node, name).and_then(|bound| self.time(bound)) {
                period.set(member, time.text.into());
            }
        }
        period
    }

    /// II.
    pub(crate) fn identifier(&self, node: Element<'a>) -> Option<Identifier> {
        let root = self.attribute(node, "root")?;
        Some(match self.attribute(node, "extension") {
            Some(value) => Identifier { system: urn(root), value: value.to_owned() },
            None => Identifier { system: "urn:ietf:rfc:3986".into(), value: urn(root) },
        })
    }

    /// The identifiers of an element.
    pub(crate) fn identifiers(&self, node: Element<'a>) -> Vec<Value> {
        children(node, "id")
            .filter_map(|id| self.identifier(id))
            .map(|id| identifier_value(&id))
            .collect()
    }

    /// PN.
    pub(crate) fn name(&self, node: Element<'a>) -> Option<Value> {
        let mut out = Value::object([]);
        if self.attribute(node, "use") == Some("L") {
            out.set("use", "official".into());
        }
        let family: Vec<String> = children(node, "family").filter_map(|n| self.text(n)).collect();
        if !family.is_empty() {
            out.set("family", family.join(" ").into());
        }
        for name in ["given", "prefix", "suffix"] {
            for part in children(node, name).filter_map(|n| self.text(n)) {
                out.push(name, part.into());
            }
        }
        if out.get("family").is_none() && out.get("given").is_none() {
            set(&mut out, "text", self.text(node));
        }
        ["family", "given", "text"].iter().any(|n| out.get(n).is_some()).then_some(out)
    }

    /// AD.
    pub(crate) fn address(&self, node: Element<'a>) -> Option<Value> {
        let mut out = Value::object([]);
        let usage = match self.attribute(node, "use") {
            Some("HP" | "H") => Some("home"),
            Some("WP") => Some("work"),
            Some("TMP") => Some("temp"),
            _ => None,
        };
        for line in children(node, "streetAddressLine").filter_map(|n| self.text(n)) {
            out.push("line", line.into());
        }
        for (cda, fhir) in [
            ("city", "city"),
            ("county", "district"),
            ("state", "state"),
            ("postalCode", "postalCode"),
            ("country", "country"),
        ] {
            set(&mut out, fhir, first(node, cda).and_then(|n| self.text(n)));
        }
        let said = out.as_object().is_some_and(|members| !members.is_empty());
        set(&mut out, "use", usage);
        said.then_some(out)
    }

    /// TEL.
    pub(crate) fn telecom(&self, node: Element<'a>) -> Option<Value> {
        let value = self.attribute(node, "value")?;
        let (system, value) = match value.split_once(':') {
            Some(("tel", number)) => ("phone", number),
            Some(("fax", number)) => ("fax", number),
            Some(("mailto", address)) => ("email", address),
            Some(("http" | "https", _)) => ("url", value),
            _ => ("phone", value),
        };
        let mut out = Value::object([("system", system.into()), ("value", value.into())]);
        let usage = match self.attribute(node, "use") {
            Some("HP" | "H" | "HV") => Some("home"),
            Some("WP") => Some("work"),
            Some("MC") => Some("mobile"),
            _ => None,
        };
        set(&mut out, "use", usage);
        (!value.is_empty()).then_some(out)
    }

    /// CD, CE, CV: code, translations and original text.
    pub(crate) fn concept(&self, node: Element<'a>) -> Option<Value> {
        let mut out = Value::object([]);
        let mut codings: Vec<Value> = Vec::new();
        let mut title = None;
        for part in std::iter::once(node).chain(children(node, "translation")) {
            let display = self.attribute(part, "displayName");
            if title.is_none() {
                title = display;
            }
            let Some(code) = self.attribute(part, "code") else { continue };
            let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut entry = match self.attribute(part, "codeSystem").map(system_uri) {
                Some(system) => coding(&system, &code),
                None => Value::object([("code", code.into())]),
            };
            // HL7's own systems have one official name per code, which senders often do not use.
            let is_hl7 = entry.str_at("system").is_some_and(|s| s.contains("terminology.hl7.org"));
            if !is_hl7 {
                set(&mut entry, "display", display);
            }
            if !codings.contains(&entry) {
                codings.push(entry);
            }
        }
        super::draft::set_list(&mut out, "coding", codings);
        let original = first(node, "originalText").and_then(|n| self.text_or_reference(n));
        set(&mut out, "text", original.or(title.map(str::to_owned)));
        (!out.as_object()?.is_empty()).then_some(out)
    }

    /// PQ as a Quantity; a unit is coded only if UCUM has it (CDA says UCUM, senders often do not).
    pub(crate) fn quantity(&self, node: Element<'a>) -> Option<Value> {
        let number = number(self.attribute(node, "value")?)?;
        let mut out = Value::object([("value", number)]);
        if let Some(unit) = self.attribute(node, "unit").filter(|unit| *unit != "1") {
            out.set("unit", unit.into());
            if let Some(code) = ucum::code(unit) {
                out.set("system", "http://unitsofmeasure.org".into());
                out.set("code", code.into());
            }
        }
        Some(out)
    }
}

/// The root of an instance identifier as a URN: an OID, a UUID, or a name that is neither.
pub(crate) fn urn(root: &str) -> String {
    let is_uuid = root.len() == 36
        && root.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    match root {
        oid if super::types::is_oid(oid) => format!("urn:oid:{oid}"),
        uuid if is_uuid => format!("urn:uuid:{}", uuid.to_ascii_lowercase()),
        other => format!("urn:id:{}", super::types::uri_part(other)),
    }
}

/// `{"system": …, "value": …}`
pub(crate) fn identifier_value(id: &Identifier) -> Value {
    Value::object([("system", id.system.as_str().into()), ("value", id.value.as_str().into())])
}

/// A FHIR decimal with the digits as they stand.
pub(crate) fn number(text: &str) -> Option<Value> {
    let padded = if text.starts_with('.') { format!("0{text}") } else { text.to_owned() };
    match crate::model::json::parse(padded.as_bytes()) {
        Ok(number @ Value::Number(_)) => Some(number),
        _ => None,
    }
}

fn system_uri(oid: &str) -> String {
    let known = SYSTEMS.iter().find(|(known, _)| *known == oid);
    known.map_or_else(
        || format!("urn:oid:{}", super::types::uri_part(oid)),
        |(_, uri)| (*uri).to_owned(),
    )
}

/// `/ClinicalDocument/component[1]/…`
pub(crate) fn path_of(node: Element<'_>) -> String {
    let mut steps: Vec<String> = Vec::new();
    for step in node.ancestors().filter(Node::is_element) {
        let name = step.tag_name().name();
        let before = step.prev_siblings().filter(|s| s.tag_name().name() == name).count();
        steps.push(if before > 1 { format!("{name}[{before}]") } else { name.to_owned() });
    }
    steps.reverse();
    format!("/{}", steps.join("/"))
}
