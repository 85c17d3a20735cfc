//! HL7 v2 data types → FHIR data types (v2-to-FHIR guide 1.0.0, `datatypes.tsv`): CX, XPN, XAD, XTN, CWE, XCN, HD, DTM, NM.
//!
//! A [`Reader`] takes values out of a message, writes each taken byte range to the ledger and each problem to the issues.
use super::coverage::{Fate, Ledger};
use super::draft::set;
use super::tables::Tables;
use super::time::{FhirTime, from_hl7};
use crate::ingest::hl7v2::Node;
use crate::model::json::Value;
use crate::model::{At, Identifier, Issue, Severity};

/// HL7's tables of identifier types.
const ID_TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// Coding systems by their v2 names (table 0396).
const SYSTEMS: [(&str, &str); 18] = [
    ("LN", "http://loinc.org"),
    ("LOINC", "http://loinc.org"),
    ("SCT", "http://snomed.info/sct"),
    ("SNM", "http://snomed.info/sct"),
    ("SNOMED", "http://snomed.info/sct"),
    ("SNOMED-CT", "http://snomed.info/sct"),
    ("I10", "http://hl7.org/fhir/sid/icd-10"),
    ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD10CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD-10-CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CDX", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("CVX", "http://hl7.org/fhir/sid/cvx"),
    ("NDC", "http://hl7.org/fhir/sid/ndc"),
    ("UCUM", "http://unitsofmeasure.org"),
    ("CPT", "http://www.ama-assn.org/go/cpt"),
    ("C4", "http://www.ama-assn.org/go/cpt"),
];

/// Takes values out of one message.
pub(crate) struct Reader<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) ledger: &'a Ledger,
    pub(crate) issues: Vec<Issue>,
    /// Offset of MSH-7, for times without one.
    pub(crate) zone: Option<String>,
    /// For identifiers without an assigner.
    pub(crate) source: String,
    pub(crate) bytes: &'a [u8],
}

impl Reader<'_> {
    /// Notes a problem at a node; its leaves stay raw.
    pub(crate) fn problem(&mut self, node: Node<'_>, rule: &'static str, text: &str) {
        self.ledger.report(node.range(), Fate::Raw);
        let at = At::in_bytes(self.bytes, node.range().start, "");
        self.issues.push(Issue::new(Severity::Warning, "value", rule, at, text));
    }

    /// The text of a node, taken.
    pub(crate) fn text(&mut self, node: Node<'_>) -> Option<String> {
        let text = node.text(&mut self.issues)?;
        self.ledger.report(node.range(), Fate::Mapped);
        Some(text)
    }

    /// A code: no white space inside or around.
    fn code(&mut self, node: Node<'_>) -> Option<String> {
        let text = self.text(node)?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The target of a coded value in one of the guide's maps; a code that it does not have stays raw.
    pub(crate) fn mapped(&mut self, node: Node<'_>, map: &str) -> Option<String> {
        let code = self.code(node)?;
        let target = self.tables.code(map, &code).map(|target| target.code.clone());
        if target.is_none() {
            self.ledger.report(node.range(), Fate::Raw);
        }
        target
    }

    /// A CWE through one of the guide's maps; a code that it does not have is kept as text.
    pub(crate) fn mapped_concept(&mut self, node: Node<'_>, map: &str) -> Option<Value> {
        let code = self.code(node.component(1));
        let text = self.text(node.component(2)).or_else(|| self.text(node.component(9)));
        let target = code.as_ref().and_then(|code| self.tables.code(map, code));
        let mut out = match target {
            Some(target) => super::draft::concept(&target.system, &target.code),
            None => Value::object([]),
        };
        let unmapped = if target.is_none() { code } else { None };
        set(&mut out, "text", text.or(unmapped));
        (!out.as_object()?.is_empty()).then_some(out)
    }

    /// DTM.
    pub(crate) fn time(&mut self, node: Node<'_>) -> Option<FhirTime> {
        let text = self.text(node.component(1).subcomponent(1))?;
        let time = from_hl7(&text, self.zone.as_deref());
        match &time {
            None => self.problem(node, "hl7v2-time", "not a time; left out"),
            Some(time) if time.cut => {
                let text = "a clock time without a zone was cut to its day";
                let at = At::in_bytes(self.bytes, node.range().start, "");
                self.issues.push(Issue::new(
                    Severity::Information,
                    "value",
                    "hl7v2-zone",
                    at,
                    text,
                ));
            }
            Some(_) => {}
        }
        time
    }

    /// Sets `name` to a dateTime.
    pub(crate) fn set_time(&mut self, target: &mut Value, name: &str, node: Node<'_>) {
        if let Some(time) = self.time(node) {
            target.set(name, time.text.into());
        }
    }

    /// HD: a URI for an assigning authority.
    fn system(&mut self, node: Node<'_>) -> Option<String> {
        let namespace = self.text(node.subcomponent(1));
        let universal = self.text(node.subcomponent(2));
        let kind = self.text(node.subcomponent(3)).unwrap_or_default().to_ascii_uppercase();
        match universal {
            Some(id) if is_oid(&id) => Some(format!("urn:oid:{id}")),
            Some(id) if kind == "UUID" => Some(format!("urn:uuid:{}", id.to_ascii_lowercase())),
            Some(id) if kind == "URI" && !id.contains(char::is_whitespace) => Some(id),
            Some(id) => Some(format!("urn:id:{}", uri_part(&id))),
            None => namespace.map(|name| format!("urn:id:{}", uri_part(&name))),
        }
    }

    /// CX or EI-like: value, type and system.
    pub(crate) fn identifier(&mut self, node: Node<'_>) -> Option<(Identifier, Value)> {
        let value = self.text(node.component(1).subcomponent(1))?;
        let system = self.system(node.component(4));
        let system = system.unwrap_or_else(|| format!("urn:id:{}", uri_part(&self.source)));
        let mut out = Value::object([]);
        if let Some(code) = self.code(node.component(5)) {
            let is_known = self.tables.code("IdentifierType", &code).is_some();
            let kind = match is_known {
                true => super::draft::concept(ID_TYPES, &code),
                false => Value::object([("text", code.into())]),
            };
            out.set("type", kind);
        }
        out.set("system", system.as_str().into());
        out.set("value", value.as_str().into());
        let mut period = Value::object([]);
        self.set_time(&mut period, "start", node.component(7));
        self.set_time(&mut period, "end", node.component(8));
        set_period(&mut out, period);
        Some((Identifier { system, value }, out))
    }

    /// EI: entity identifier, namespace, universal id and its type as components.
    pub(crate) fn entity_identifier(&mut self, node: Node<'_>) -> Option<Value> {
        let value = self.text(node.component(1).subcomponent(1))?;
        let mut out = Value::object([]);
        let namespace = self.text(node.component(2));
        let universal = self.text(node.component(3));
        let system = match universal.filter(|id| is_oid(id)) {
            Some(oid) => Some(format!("urn:oid:{oid}")),
            None => namespace.map(|name| format!("urn:id:{}", uri_part(&name))),
        };
        set(&mut out, "system", system);
        out.set("value", value.into());
        Some(out)
    }

    /// XPN, and XCN from its second component on (`first` = 2).
    pub(crate) fn name(&mut self, node: Node<'_>, first: usize, use_at: usize) -> Option<Value> {
        let mut out = Value::object([]);
        set(&mut out, "use", self.mapped(node.component(use_at), "NameType"));
        set(&mut out, "family", self.text(node.component(first).subcomponent(1)));
        for at in [first + 1, first + 2] {
            if let Some(given) = self.text(node.component(at)) {
                out.push("given", given.into());
            }
        }
        for at in [first + 3, first + 5] {
            if let Some(suffix) = self.text(node.component(at)) {
                out.push("suffix", suffix.into());
            }
        }
        if let Some(prefix) = self.text(node.component(first + 4)) {
            out.push("prefix", prefix.into());
        }
        let said = out.get("family").is_some() || out.get("given").is_some();
        said.then_some(out)
    }

    /// XAD.
    pub(crate) fn address(&mut self, node: Node<'_>) -> Option<Value> {
        let mut out = Value::object([]);
        set(&mut out, "use", self.mapped(node.component(7), "AddressType[Use]"));
        if let Some(kind) = self.mapped(node.component(7), "AddressType[Type]") {
            self.ledger.report(node.component(7).range(), Fate::Mapped);
            out.set("type", kind.into());
        }
        for line in [
            node.component(1).subcomponent(1),
            node.component(1).subcomponent(2),
            node.component(2),
        ] {
            if let Some(line) = self.text(line) {
                out.push("line", line.into());
            }
        }
        for (at, name) in
            [(3, "city"), (9, "district"), (4, "state"), (5, "postalCode"), (6, "country")]
        {
            set(&mut out, name, self.text(node.component(at).subcomponent(1)));
        }
        let said = out.as_object().is_some_and(|members| {
            members.iter().any(|(name, _)| !matches!(name.as_str(), "use" | "type"))
        });
        said.then_some(out)
    }

    /// XTN.
    pub(crate) fn telecom(&mut self, node: Node<'_>, default_use: &str) -> Option<Value> {
        let equipment = self.mapped(node.component(3), "TelecommunicationEquipmentType");
        let usage = self.mapped(node.component(2), "TelecommunicationUseCode");
        let email = self.text(node.component(4));
        let area = self.text(node.component(6));
        let local = self.text(node.component(7));
        let country = self.text(node.component(5));
        let whole = self.text(node.component(12)).or_else(|| self.text(node.component(1)));
        let built = local.map(|local| {
            let country = country.map(|c| format!("+{c}"));
            [country, area, Some(local)].into_iter().flatten().collect::<Vec<_>>().join(" ")
        });
        let is_email = equipment.as_deref() == Some("email") || whole.is_none() && built.is_none();
        let value = if is_email { email } else { whole.or(built) }?;
        let mut out = Value::object([]);
        let is_mobile = equipment.as_deref() == Some("mobile");
        let system = match equipment.as_deref() {
            Some("mobile") => "phone",
            Some(known) => known,
            None if is_email => "email",
            None => "phone",
        };
        out.set("system", system.into());
        out.set("value", value.into());
        let usage = if is_mobile { Some("mobile".to_owned()) } else { usage };
        let usage = usage.or_else(|| (!default_use.is_empty()).then(|| default_use.to_owned()));
        set(&mut out, "use", usage);
        Some(out)
    }

    /// CWE, CE, CNE: up to two codings and the original text; `fallback` is the system of a code that names none.
    pub(crate) fn concept(&mut self, node: Node<'_>, fallback: Option<&str>) -> Option<Value> {
        let mut out = Value::object([]);
        for first in [1, 4] {
            let code = self.code(node.component(first));
            let display = self.text(node.component(first + 1));
            let system = self
                .coding_system(node.component(first + 2))
                .or_else(|| fallback.map(str::to_owned));
            let Some(code) = code else {
                if let Some(display) = display {
                    out.set("text", display.into());
                }
                continue;
            };
            let mut coding = Value::object([]);
            if let Some(system) = &system {
                coding.set("system", system.as_str().into());
            }
            coding.set("code", code.as_str().into());
            // Other people's names of a code are kept as text: they are often not the code system's own.
            if let Some(display) = display
                && out.get("text").is_none()
            {
                out.set("text", display.into());
            }
            out.push("coding", coding);
        }
        if let Some(text) = self.text(node.component(9)) {
            out.set("text", text.into());
        }
        (!out.as_object()?.is_empty()).then_some(out)
    }

    fn coding_system(&mut self, node: Node<'_>) -> Option<String> {
        let name = self.text(node)?;
        let upper = name.to_ascii_uppercase();
        if let Some((_, uri)) = SYSTEMS.iter().find(|(known, _)| *known == upper) {
            return Some((*uri).to_owned());
        }
        Some(match upper.strip_prefix("HL7") {
            Some(number) if number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()) => {
                format!("http://terminology.hl7.org/CodeSystem/v2-{number}")
            }
            _ if is_oid(&name) => format!("urn:oid:{name}"),
            _ => format!("urn:id:{}", uri_part(&name)),
        })
    }

    /// NM: the digits as they were written.
    pub(crate) fn number(&mut self, node: Node<'_>) -> Option<Value> {
        let text = self.text(node)?;
        let plain = text.strip_prefix('+').unwrap_or(&text);
        let plain = if plain.starts_with('.') { format!("0{plain}") } else { plain.to_owned() };
        let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |d| ("-", d));
        let unpadded = digits.trim_start_matches('0');
        let digits = match unpadded.chars().next() {
            Some('0'..='9') => unpadded.to_owned(),
            _ => format!("0{unpadded}"),
        };
        let digits = digits.strip_suffix('.').unwrap_or(&digits);
        let is_number = !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && digits.matches('.').count() <= 1
            && text.bytes().any(|b| b.is_ascii_digit());
        is_number.then(|| Value::Number(format!("{sign}{digits}")))
    }
}

/// Sets `period` unless it is empty or ends before it begins.
pub(crate) fn set_period(target: &mut Value, period: Value) {
    use super::time::epoch_seconds;
    let bounds = (
        period.str_at("start").and_then(epoch_seconds),
        period.str_at("end").and_then(epoch_seconds),
    );
    let in_order = !matches!(bounds, (Some(start), Some(end)) if start > end);
    if in_order && period.as_object().is_some_and(|members| !members.is_empty()) {
        target.set("period", period);
    }
}

/// Three arcs or more, none with a leading zero, the first 0, 1 or 2.
pub(crate) fn is_oid(text: &str) -> bool {
    let is_arc = |arc: &str| {
        !arc.is_empty()
            && arc.bytes().all(|b| b.is_ascii_digit())
            && (arc == "0" || !arc.starts_with('0'))
    };
    let first = text.split('.').next().unwrap_or_default();
    matches!(first, "0" | "1" | "2") && text.split('.').count() > 2 && text.split('.').all(is_arc)
}

/// Characters that may stand in a URN, the rest as percent codes.
pub(crate) fn uri_part(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
