//! Segments that the guide's tables describe well enough to be mapped row by row (`segments.tsv`, `overrides.tsv`).
//!
//! | segment | becomes | with |
//! |---|---|---|
//! | NK1 | RelatedPerson | |
//! | IN1 | Coverage | Organization |
//! | PR1 | Procedure | Practitioner |
//! | IAM | AllergyIntolerance | |
//! | RXA | Immunization | ORC before it, RXR behind it |
//! | TXA | DocumentReference | the text of OBX behind it |
//! | SCH | Appointment | AIS behind it; its participants from AIP and AIL |
//! | ORC of an order | ServiceRequest, MedicationRequest | OBR; RXO, RXE, RXR |
//! | RXD | MedicationDispense | |
//! | PD1, PV2 | more of Patient, Encounter | |
//!
//! A row is used if its condition follows the guide's formal wording and holds, and if its path is a plain one: extensions,
//! parts of other resources and fixed codings beside a value are left, and what a row does not take stays raw. The type of a
//! value is the R4 element's own. What does not validate is taken out again, and its field is raw.
use super::coverage::Fate;
use super::draft::{absent, concept, reference, resource, set};
use super::hl7v2::Walk;
use super::tables::SegmentRow;
use super::validate::{type_of, validate};
use crate::ingest::hl7v2::{Node, Segment};
use crate::model::json::Value;
use base64::Engine as _;
use std::ops::Range;

/// Rounds of taking out what does not validate.
const MAX_REPAIRS: usize = 16;

/// A resource while rows fill it, and which bytes went into which of its elements.
struct Filled {
    value: Value,
    from: Vec<(String, Range<usize>)>,
}

impl<'a> Walk<'a, '_> {
    /// Maps a segment that the tables describe; others are left alone.
    pub(super) fn by_tables(&mut self, segment: Segment<'a>, all: &[Segment<'a>]) {
        let behind = |stop: &[&str]| -> Vec<Segment<'a>> {
            let rest = all.iter().skip(segment.index + 1);
            rest.take_while(|s| !stop.contains(&s.name())).copied().collect()
        };
        match segment.name() {
            "NK1" => self.one("RelatedPerson", &[("NK1[RelatedPerson]", segment)], segment),
            "IN1" => self.one("Coverage", &[("IN1[Coverage]", segment)], segment),
            "PR1" => self.one("Procedure", &[("PR1[Procedure]", segment)], segment),
            "IAM" => {
                self.one("AllergyIntolerance", &[("IAM[AllergyIntolerance]", segment)], segment)
            }
            "TXA" => self.one("DocumentReference", &[("TXA[DocumentReference]", segment)], segment),
            "RXA" => {
                let before = all.iter().take(segment.index).rev();
                let order = before.take_while(|s| s.name() != "RXA").find(|s| s.name() == "ORC");
                let mut parts = vec![("RXA[Immunization]", segment)];
                parts.extend(order.map(|orc| ("ORC[Immunization]", *orc)));
                let route = behind(&["RXA", "ORC"]).into_iter().find(|s| s.name() == "RXR");
                parts.extend(route.map(|rxr| ("RXR[Immunization]", rxr)));
                self.one("Immunization", &parts, segment);
            }
            "SCH" => {
                let mut parts = vec![("SCH[Appointment]", segment)];
                let service = behind(&["SCH"]).into_iter().find(|s| s.name() == "AIS");
                parts.extend(service.map(|ais| ("AIS[Appointment]", ais)));
                self.one("Appointment", &parts, segment);
            }
            "ORC" => {
                let own = behind(&["ORC"]);
                let find = |name: &str| own.iter().find(|s| s.name() == name).copied();
                if let Some(order) = find("RXE").or(find("RXO")) {
                    let map = if order.name() == "RXE" {
                        "RXE[MedicationRequest]"
                    } else {
                        "RXO[MedicationRequest]"
                    };
                    let mut parts = vec![(map, order), ("ORC[MedicationRequest]", segment)];
                    parts.extend(find("RXR").map(|rxr| ("RXR[MedicationRequest]", rxr)));
                    self.one("MedicationRequest", &parts, segment);
                } else if let Some(obr) = find("OBR").filter(|_| self.is_order) {
                    let parts = [("OBR[ServiceRequest]", obr), ("ORC[ServiceRequest]", segment)];
                    self.one("ServiceRequest", &parts, segment);
                }
            }
            "RXD" => {
                self.reader.ledger.report(segment.field(1).range(), Fate::Dropped);
                self.one("MedicationDispense", &[("RXD[MedicationDispense]", segment)], segment);
            }
            "PD1" => {
                let subject = self.subject.clone();
                self.more(&subject, "PD1[Patient]", segment);
            }
            "PV2" => {
                if let Some(encounter) = self.encounter.clone() {
                    self.more(&encounter, "PV2[Encounter]", segment);
                }
            }
            _ => {}
        }
    }

    /// Makes one resource of some segments, the first row that names an element first.
    fn one(&mut self, kind: &str, parts: &[(&str, Segment<'a>)], main: Segment<'a>) {
        let mut out = Filled { value: resource(kind), from: Vec::new() };
        // The stable id takes this place; an empty one would not validate.
        out.value.set("id", "draft".into());
        for (map, segment) in parts {
            self.fill(&mut out, map, *segment);
        }
        let said = out.from.len();
        self.complete(&mut out.value, kind, main, parts);
        if said == 0 || !self.repair(&mut out) {
            out.from
                .iter()
                .for_each(|(_, range)| self.reader.ledger.report(range.clone(), Fate::Raw));
            return;
        }
        let key = out.value.items("identifier").first().filter(|_| kind != "RelatedPerson");
        let key = key.map_or_else(|| self.position_key(main), |id| format!("{id}|{}", main.index));
        self.add(&key, out.value);
    }

    /// Adds what a segment says to a resource that is there.
    fn more(&mut self, target: &str, map: &str, segment: Segment<'a>) {
        let Some(value) = self.drafts.get_mut(target).cloned() else { return };
        let mut out = Filled { value, from: Vec::new() };
        self.fill(&mut out, map, segment);
        if self.repair(&mut out)
            && let Some(place) = self.drafts.get_mut(target)
        {
            *place = out.value;
        }
    }

    fn fill(&mut self, out: &mut Filled, map: &str, segment: Segment<'a>) {
        let tables = self.reader.tables;
        for row in tables.segment(map) {
            // A map may name fields of other segments, too.
            let own = row.field_number().filter(|_| row.field.starts_with(segment.name()));
            let Some(number) = own else { continue };
            let node = segment.field(number);
            if !node.is_valued() || row.condition_holds(segment) != Some(true) {
                continue;
            }
            self.row(out, row, node);
        }
    }

    fn row(&mut self, out: &mut Filled, row: &SegmentRow, node: Node<'a>) {
        let kind = out.value.str_at("resourceType").unwrap_or_default().to_owned();
        let Some((names, target)) = row.path() else { return };
        let path: Vec<&str> = names.iter().map(String::as_str).collect();
        let Some((value_type, many)) = type_of(&kind, &path) else { return };
        let Some(is_list) = many.last().copied() else { return };
        if !is_list && is_set(&out.value, &path) {
            return;
        }
        for part in node.repetitions().take(if is_list { usize::MAX } else { 1 }) {
            let value = match target {
                Some(target) if value_type == "Reference" => self.target(part, target),
                Some(_) => None,
                None => self.value_of(row, part, &value_type),
            };
            if let Some(value) = value {
                place(&mut out.value, &path, &many, value);
                out.from.push((names[0].clone(), part.range()));
            }
        }
    }

    /// A reference to a thing that the field itself describes.
    fn target(&mut self, node: Node<'a>, target: &str) -> Option<Value> {
        match target {
            "Practitioner" | "PractitionerRole" | "PractitionerRole.practitioner" => {
                self.practitioner(node)
            }
            "Organization" => {
                let name = self.reader.text(node.component(1));
                let name = name.or_else(|| self.reader.text(node.component(2)))?;
                let mut out = resource("Organization");
                out.set("name", name.as_str().into());
                Some(reference(&self.add(&name, out)))
            }
            "Location" => self.place_named(node),
            _ => None,
        }
    }

    fn value_of(&mut self, row: &SegmentRow, node: Node<'a>, value_type: &str) -> Option<Value> {
        let r = &mut self.reader;
        if let Some(fixed) = row.fixed() {
            // The field decides that the row applies; its own value is taken by another row, or stays raw.
            return (value_type == "code").then(|| fixed.into());
        }
        match (value_type, row.v2_type.as_str()) {
            ("CodeableConcept", _) if r.tables.has_map(&row.vocabulary) => {
                r.mapped_concept(node, &row.vocabulary)
            }
            ("CodeableConcept", "ST") => {
                r.text(node).map(|text| Value::object([("text", text.into())]))
            }
            ("CodeableConcept", _) => r.concept(node, None),
            ("Identifier", "EI") => r.entity_identifier(node),
            ("Identifier", "ST") => {
                r.text(node).map(|text| Value::object([("value", text.into())]))
            }
            ("Identifier", "CX") => r.identifier(node).map(|(_, value)| value),
            ("Identifier", _) => {
                r.text(node.component(1)).map(|text| Value::object([("value", text.into())]))
            }
            ("HumanName", "XCN") => r.name(node, 2, 10),
            ("HumanName", _) => r.name(node, 1, 7),
            ("Address", _) => r.address(node),
            ("ContactPoint", _) => r.telecom(node, ""),
            ("date", _) => r.time(node).map(|time| time.date().into()),
            ("dateTime", _) => r.time(node).map(|time| time.text.into()),
            ("instant", _) => r.time(node).filter(|t| t.is_instant()).map(|time| time.text.into()),
            ("string" | "markdown", "ST") => r.text(node).map(Value::from),
            ("string" | "markdown", _) => {
                r.text(node.component(2)).or_else(|| r.text(node.component(1))).map(Value::from)
            }
            ("code", _) if r.tables.has_map(&row.vocabulary) => {
                r.mapped(node.component(1), &row.vocabulary).map(Value::from)
            }
            ("boolean", _) => match r.text(node.component(1)).as_deref() {
                Some("Y") => Some(Value::Bool(true)),
                Some("N") => Some(Value::Bool(false)),
                _ => None,
            },
            ("decimal" | "integer" | "positiveInt" | "unsignedInt", _) => {
                r.number(node.component(1))
            }
            ("Quantity", _) => {
                let unit = r.text(node.component(2)).or_else(|| r.text(node.component(1)))?;
                Some(Value::object([("unit", unit.into())]))
            }
            _ => None,
        }
    }

    /// What a resource must have besides: who it is about, what was sent, what nobody said.
    fn complete(
        &mut self,
        out: &mut Value,
        kind: &str,
        main: Segment<'a>,
        parts: &[(&str, Segment<'a>)],
    ) {
        let subject = reference(&self.subject.clone());
        let unsaid = |out: &mut Value, name: &str| {
            if out.get(name).is_none() {
                out.set(&format!("_{name}"), absent("unknown"));
            }
        };
        match kind {
            "RelatedPerson" => out.set("patient", subject),
            "Coverage" => {
                out.set("beneficiary", subject);
                // The value set has no word for "not said", and no validator takes an absent one; a plan that is sent is one
                // in force.
                out.set("status", "active".into());
                if out.get("payor").is_none() {
                    out.set("payor", Value::Array(vec![absent("unknown")]));
                }
            }
            "Procedure" => {
                out.set("subject", subject);
                out.set("status", "unknown".into());
            }
            "AllergyIntolerance" => {
                let system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
                out.set("clinicalStatus", concept(system, "active"));
                out.set("patient", subject);
            }
            "Immunization" => {
                out.set("patient", subject);
                unsaid(out, "status");
                unsaid(out, "occurrenceDateTime");
                if out.get("vaccineCode").is_none() {
                    out.set("vaccineCode", absent("unknown"));
                }
            }
            "DocumentReference" => {
                out.set("status", "current".into());
                out.set("subject", subject);
                let attachment = match self.texts_behind(main) {
                    Some(text) => Value::object([
                        ("contentType", "text/plain; charset=utf-8".into()),
                        ("data", base64::engine::general_purpose::STANDARD.encode(text).into()),
                    ]),
                    None => absent("unknown"),
                };
                out.set("content", Value::Array(vec![Value::object([("attachment", attachment)])]));
            }
            "MedicationDispense" => {
                out.set("status", "unknown".into());
                out.set("subject", subject);
                if out.get("medicationCodeableConcept").is_none() {
                    out.set("medicationCodeableConcept", absent("unknown"));
                }
            }
            "Appointment" => self.complete_appointment(out, main, subject),
            "ServiceRequest" | "MedicationRequest" => {
                out.set("subject", subject);
                if let Some(encounter) = &self.encounter {
                    out.set("encounter", reference(encounter));
                }
                for (name, code) in [("status", "unknown"), ("intent", "order")] {
                    if out.get(name).is_none() {
                        out.set(name, code.into());
                    }
                }
                if kind == "MedicationRequest" {
                    let order = parts.first().map_or(main, |(_, order)| *order);
                    let at = if order.name() == "RXE" { 2 } else { 1 };
                    let drug = self.reader.concept(order.field(at), None);
                    let drug = drug.unwrap_or_else(|| absent("unknown"));
                    out.set("medicationCodeableConcept", drug);
                }
            }
            _ => {}
        }
    }

    /// The status is SCH-25's, else the event's. R4 wants both times of all but proposed, waitlisted and cancelled ones:
    /// a time that is not known to the second is said to be unknown.
    fn complete_appointment(&mut self, out: &mut Value, main: Segment<'a>, subject: Value) {
        for (name, component) in [("start", 4), ("end", 5)] {
            let time = self.reader.time(main.field(11).component(component));
            set(out, name, time.filter(|t| t.is_instant()).map(|t| t.text));
        }
        let by_event = match self.event.as_str() {
            "S12" | "S13" | "S14" => Some("booked"),
            "S15" => Some("cancelled"),
            "S17" => Some("entered-in-error"),
            "S26" => Some("noshow"),
            _ => None,
        };
        if out.get("status").is_none() {
            match by_event {
                Some(status) => out.set("status", status.into()),
                // As for a plan: the value set has no word for "not said".
                None => out.set("status", "proposed".into()),
            }
        }
        let may_lack_times =
            matches!(out.str_at("status"), Some("proposed" | "waitlist" | "cancelled"));
        let has_one = out.get("start").is_some() || out.get("end").is_some();
        if has_one || !may_lack_times {
            for name in ["start", "end"] {
                if out.get(name).is_none() {
                    out.set(&format!("_{name}"), absent("unknown"));
                }
            }
        }
        let of_people =
            |actor: Value| Value::object([("actor", actor), ("status", "needs-action".into())]);
        let mut participants = vec![of_people(subject)];
        for segment in self.segments.clone() {
            let actor = match segment.name() {
                "AIP" => segment.field(3).repetitions().next().and_then(|n| self.practitioner(n)),
                "AIL" => segment.field(3).repetitions().next().and_then(|n| self.place_named(n)),
                _ => None,
            };
            participants.extend(actor.map(of_people));
        }
        out.set("participant", Value::Array(participants));
    }

    /// The lines of the OBX segments behind a TXA. The segments themselves become observations, too.
    fn texts_behind(&self, main: Segment<'a>) -> Option<String> {
        let rest = self.segments.iter().skip(main.index + 1).take_while(|s| s.name() != "TXA");
        let texts =
            rest.filter(|s| s.name() == "OBX" && matches!(s.field(2).raw(), b"TX" | b"FT" | b"ST"));
        let lines: Vec<String> =
            texts.filter_map(|obx| obx.field(5).text(&mut Vec::new())).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Takes out what does not validate; `false` if something required is missing.
    fn repair(&mut self, out: &mut Filled) -> bool {
        for _ in 0..MAX_REPAIRS {
            let findings = validate(&out.value);
            let Some(first) = findings.first() else { return true };
            let Some(name) = first.at.path.split('.').nth(1) else { return false };
            let name = name.split('[').next().unwrap_or_default().to_owned();
            if out.value.remove(&name).is_none() {
                return false;
            }
            for (element, range) in &out.from {
                if *element == name {
                    self.reader.ledger.report(range.clone(), Fate::Raw);
                }
            }
        }
        false
    }
}

fn is_set(value: &Value, path: &[&str]) -> bool {
    value.at(&path.join(".")).is_some()
}

/// Sets or appends a value at a path; of lists on the way the first item is meant.
pub(super) fn place(target: &mut Value, path: &[&str], many: &[bool], value: Value) {
    let [name, rest @ ..] = path else { return };
    let is_list = many.first().copied().unwrap_or(false);
    if rest.is_empty() {
        if !is_list {
            target.set(name, value);
        } else if !target.items(name).contains(&value) {
            target.push(name, value);
        }
        return;
    }
    let mut inner =
        if is_list { target.items(name).first().cloned() } else { target.get(name).cloned() }
            .unwrap_or_else(|| Value::object([]));
    place(&mut inner, rest, many.get(1..).unwrap_or_default(), value);
    if !is_list {
        target.set(name, inner);
        return;
    }
    let mut items = target.items(name).to_vec();
    match items.first_mut() {
        Some(first) => *first = inner,
        None => items.push(inner),
    }
    target.set(name, Value::Array(items));
}
