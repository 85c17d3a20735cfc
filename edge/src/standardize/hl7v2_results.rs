//! The result segments of a message: OBR → DiagnosticReport, OBX and its NTE → Observation, SPM → Specimen.
use super::coverage::Fate;
use super::draft::{absent, concept, reference, resource, set, set_list};
use super::hl7v2::Walk;
use super::types::{Reader, set_period};
use crate::ingest::hl7v2::Segment;
use crate::model::json::Value;
use crate::terminology::ucum;

impl<'a> Walk<'a, '_> {
    pub(super) fn report(&mut self, obr: Segment<'a>) {
        let mut out = resource("DiagnosticReport");
        self.observation = None;
        let mut identifiers = Vec::new();
        let mut key = None;
        for (number, kind) in [(2, "PLAC"), (3, "FILL")] {
            if let Some(mut identifier) = self.reader.entity_identifier(obr.field(number)) {
                let text = identifier.to_string();
                identifier
                    .set("type", concept("http://terminology.hl7.org/CodeSystem/v2-0203", kind));
                identifiers.push(identifier);
                key = Some(text);
            }
        }
        self.order_key = format!(
            "{}|{}",
            key.unwrap_or_else(|| self.position_key(obr)),
            self.reader.text(obr.field(4).component(1)).unwrap_or_default(),
        );
        set_list(&mut out, "identifier", identifiers);
        let r = &mut self.reader;
        let status = r.mapped(obr.field(25), "ResultStatus[Non-Queries]");
        out.set("status", status.unwrap_or_else(|| "unknown".into()).into());
        let category = "http://terminology.hl7.org/CodeSystem/v2-0074";
        if let Some(code) = r.text(obr.field(24)) {
            out.set("category", Value::Array(vec![concept(category, &code)]));
        }
        match r.concept(obr.field(4), None) {
            Some(code) => out.set("code", code),
            None => out.set("code", absent("unknown")),
        }
        out.set("subject", reference(&self.subject));
        if let Some(encounter) = &self.encounter {
            out.set("encounter", reference(encounter));
        }
        if obr.field(8).is_valued() {
            let mut period = Value::object([]);
            self.reader.set_time(&mut period, "start", obr.field(7));
            self.reader.set_time(&mut period, "end", obr.field(8));
            set_period(&mut out, period);
            if let Some(period) = out.remove("period") {
                out.set("effectivePeriod", period);
            }
        } else {
            self.reader.set_time(&mut out, "effectiveDateTime", obr.field(7));
        }
        if let Some(time) = self.reader.time(obr.field(22)) {
            if time.is_instant() {
                out.set("issued", time.text.into());
            } else {
                self.reader.ledger.report(obr.field(22).range(), Fate::Raw);
            }
        }
        let key = self.order_key.clone();
        self.report = Some(self.add(&key, out));
    }

    pub(super) fn observation(&mut self, obx: Segment<'a>) {
        let mut out = resource("Observation");
        let r = &mut self.reader;
        let status = r.mapped(obx.field(11), "ObservationResultStatusCodesInterpretation");
        let status = status.unwrap_or_else(|| "unknown".into());
        out.set("status", status.as_str().into());
        let code = r.concept(obx.field(3), None);
        let code_text = code.as_ref().map(Value::to_string).unwrap_or_default();
        out.set("code", code.unwrap_or_else(|| absent("unknown")));
        out.set("subject", reference(&self.subject));
        if let Some(encounter) = &self.encounter {
            out.set("encounter", reference(encounter));
        }
        self.reader.set_time(&mut out, "effectiveDateTime", obx.field(14));
        if out.get("effectiveDateTime").is_none()
            && let Some(report) =
                self.report.clone().and_then(|report| self.drafts.get_mut(&report))
        {
            for name in ["effectiveDateTime", "effectivePeriod"] {
                let value = report.get(name).cloned();
                set(&mut out, name, value);
            }
        }
        if let Some(performer) =
            obx.field(16).repetitions().next().and_then(|n| self.practitioner(n))
        {
            out.set("performer", Value::Array(vec![performer]));
        }
        self.value(obx, &mut out);
        let r = &mut self.reader;
        let flags = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
        let mut interpretations = Vec::new();
        for node in obx.field(8).repetitions() {
            if let Some(target) =
                r.text(node.component(1)).and_then(|c| r.tables.code("InterpretationCodes", &c))
            {
                let system = if target.system.is_empty() { flags } else { &target.system };
                interpretations.push(concept(system, &target.code));
            } else {
                r.ledger.report(node.range(), Fate::Raw);
            }
        }
        set_list(&mut out, "interpretation", interpretations);
        if let Some(method) = r.concept(obx.field(17), None) {
            out.set("method", method);
        }
        if let Some(range) = r.text(obx.field(7)) {
            let range = Value::object([("text", range.into())]);
            out.set("referenceRange", Value::Array(vec![range]));
        }
        let sub_id = r.text(obx.field(4)).unwrap_or_default();
        r.ledger.report(obx.field(4).range(), Fate::Raw);
        let order =
            if self.report.is_some() { self.order_key.clone() } else { self.item_key.clone() };
        let mut key = format!("{order}|{code_text}|{sub_id}");
        // The same code twice in one order without sub-ids: the position keeps them apart.
        let count = self.drafts.len();
        let mut added = self.add(&key, out.clone());
        if self.drafts.len() == count {
            key.push_str(&format!("|{}", self.position_key(obx)));
            added = self.add(&key, out);
        }
        if let Some(report) = self.report.clone().and_then(|report| self.drafts.get_mut(&report)) {
            report.push("result", reference(&added));
        }
        self.observation = Some(added);
    }

    /// OBX-5 by the type in OBX-2, with the unit of OBX-6.
    fn value(&mut self, obx: Segment<'a>, out: &mut Value) {
        let r = &mut self.reader;
        let kind = r.text(obx.field(2)).unwrap_or_default();
        r.ledger.report(obx.field(2).range(), Fate::Dropped);
        let field = obx.field(5);
        let absent_code = match (field.is_valued(), out.str_at("status")) {
            (true, _) => None,
            (false, Some("cancelled")) => Some("not-performed"),
            (false, _) => Some("unknown"),
        };
        if let Some(code) = absent_code {
            let system = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
            out.set("dataAbsentReason", concept(system, code));
            return;
        }
        match kind.as_str() {
            "NM" => match r.number(field) {
                Some(number) => {
                    let quantity = quantity(r, obx, number, None);
                    out.set("valueQuantity", quantity);
                }
                None => {
                    let text = r.text(field).unwrap_or_default();
                    r.problem(
                        field,
                        "hl7v2-number",
                        "no number where one was announced; kept as text",
                    );
                    r.ledger.report(field.range(), Fate::Mapped);
                    out.set("valueString", text.into());
                }
            },
            "SN" => {
                let comparator = r
                    .text(field.component(1))
                    .filter(|c| matches!(c.as_str(), "<" | "<=" | ">" | ">="));
                let plain = !field.component(3).is_valued()
                    && (comparator.is_some() || matches!(field.component(1).raw(), b"" | b"="));
                let number = if plain { r.number(field.component(2)) } else { None };
                match number {
                    Some(number) => {
                        let quantity = quantity(r, obx, number, comparator);
                        out.set("valueQuantity", quantity);
                    }
                    None => {
                        let parts: Vec<String> =
                            (1..=4).filter_map(|n| r.text(field.component(n))).collect();
                        out.set("valueString", parts.join(" ").into());
                    }
                }
            }
            "CE" | "CWE" | "CNE" | "CF" => {
                if let Some(concept) = r.concept(field, None) {
                    out.set("valueCodeableConcept", concept);
                }
            }
            "IS" | "ID" => {
                let concept = r.text(field).map(|text| Value::object([("text", text.into())]));
                set(out, "valueCodeableConcept", concept);
            }
            "DT" | "DTM" | "TS" => r.set_time(out, "valueDateTime", field),
            "RP" | "ED" => r.problem(
                field,
                "hl7v2-pointer",
                "attached or pointed-to data stays in the original",
            ),
            _ => {
                let lines: Vec<String> = field.repetitions().filter_map(|n| r.text(n)).collect();
                if !lines.is_empty() {
                    out.set("valueString", lines.join("\n").into());
                }
            }
        }
        let said =
            out.as_object().unwrap_or_default().iter().any(|(name, _)| name.starts_with("value"));
        if !said {
            let system = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
            out.set("dataAbsentReason", concept(system, "unsupported"));
        }
    }

    /// NTE belongs to the segment before it; only those of results have a place in R4.
    pub(super) fn note(&mut self, nte: Segment<'a>) {
        let lines: Vec<_> = nte.field(3).repetitions().collect();
        let Some(observation) = self.observation.clone() else { return };
        let texts: Vec<String> = lines.into_iter().filter_map(|n| self.reader.text(n)).collect();
        if let Some(target) = self.drafts.get_mut(&observation)
            && !texts.is_empty()
        {
            target.push("note", Value::object([("text", texts.join("\n").into())]));
        }
    }

    pub(super) fn specimen(&mut self, spm: Segment<'a>) {
        let mut out = resource("Specimen");
        let Some(kind) = self.reader.concept(spm.field(4), None) else { return };
        out.set("type", kind);
        out.set("subject", reference(&self.subject));
        if let Some(time) = self.reader.time(spm.field(17).component(1)) {
            out.set("collection", Value::object([("collectedDateTime", time.text.into())]));
        }
        let key = self.position_key(spm);
        let specimen = self.add(&key, out);
        if let Some(report) = self.report.clone().and_then(|report| self.drafts.get_mut(&report)) {
            report.push("specimen", reference(&specimen));
        }
    }
}

/// A Quantity with the unit of OBX-6: coded only if the sender says UCUM.
fn quantity(
    r: &mut Reader<'_>,
    obx: Segment<'_>,
    number: Value,
    comparator: Option<String>,
) -> Value {
    let mut out = Value::object([("value", number)]);
    set(&mut out, "comparator", comparator);
    let unit = r.text(obx.field(6).component(1));
    let name = r.text(obx.field(6).component(2));
    let system = r.text(obx.field(6).component(3));
    let is_ucum = system.as_deref().is_some_and(|system| system.eq_ignore_ascii_case("UCUM"));
    if let Some(unit) = unit {
        out.set("unit", name.unwrap_or_else(|| unit.clone()).into());
        if let Some(code) = ucum::code(&unit).filter(|_| is_ucum) {
            out.set("system", "http://unitsofmeasure.org".into());
            out.set("code", code.into());
        }
    }
    out
}
