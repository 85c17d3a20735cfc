//! One C-CDA statement → one resource: the rules that `edge/data/ccda/map.tsv` names.
use super::ccda::Context;
use super::cda_types::{CdaReader, Element, number};
use super::draft::{ABSENT, Drafts, absent, concept, reference, resource, set, set_list};
use crate::ingest::ccda::{children, first};
use crate::model::json::Value;
use crate::model::{At, Issue, Severity};

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Applies a rule to a statement.
pub(crate) fn map<'a>(
    rule: &str,
    statement: Element<'a>,
    r: &mut CdaReader<'a>,
    context: &Context,
    drafts: &mut Drafts<'_>,
) {
    let made = match rule {
        "problem" => problem(statement, r),
        "allergy" => allergy(statement, r),
        "medication" => medication(statement, r),
        "immunization" => immunization(statement, r),
        "result" => observation(statement, r, "laboratory"),
        "vital" => observation(statement, r, "vital-signs"),
        "social" => observation(statement, r, "social-history"),
        "procedure" => procedure(statement, r),
        "encounter" => encounter(statement, r),
        other => unreachable!("map.tsv names the rule {other}, which a test would have caught"),
    };
    let Some(mut out) = made else {
        let at =
            At { byte: statement.range().start, ..At::path(super::cda_types::path_of(statement)) };
        let text = "a statement without a code; kept raw";
        r.issues.push(Issue::new(Severity::Warning, "required", "ccda-code", at, text));
        return;
    };
    let owner = match out.str_at("resourceType") {
        Some("AllergyIntolerance" | "Immunization") => "patient",
        _ => "subject",
    };
    out.set(owner, reference(&context.subject));
    let ids = r.identifiers(statement);
    let key = ids.first().map_or_else(
        || format!("{}/{}", context.item_key, statement.range().start),
        |id| format!("{id}|{rule}"),
    );
    set_list(&mut out, "identifier", ids);
    drafts.add(&key, Some(&context.patient), out);
}

fn is_negated<'a>(statement: Element<'a>, r: &CdaReader<'a>) -> bool {
    r.attribute(statement, "negationInd") == Some("true")
}

fn status<'a>(statement: Element<'a>, r: &CdaReader<'a>) -> &'a str {
    first(statement, "statusCode").and_then(|n| r.attribute(n, "code")).unwrap_or_default()
}

/// The statements related to this one.
fn related<'a>(statement: Element<'a>, kind: &'a str) -> Vec<Element<'a>> {
    let relations = children(statement, "entryRelationship");
    relations
        .filter(|rel| rel.attribute("typeCode") == Some(kind))
        .filter_map(|rel| first(rel, "observation"))
        .collect()
}

/// Of a status observation (33999-4) among the related ones, what its value says.
fn status_observation<'a>(statement: Element<'a>, r: &CdaReader<'a>) -> Option<&'static str> {
    let found = related(statement, "REFR")
        .into_iter()
        .find(|o| first(*o, "code").and_then(|c| c.attribute("code")) == Some("33999-4"))?;
    match r.attribute(first(found, "value")?, "code")? {
        "55561003" => Some("active"),
        "73425007" => Some("inactive"),
        "413322009" => Some("resolved"),
        _ => None,
    }
}

fn problem<'a>(statement: Element<'a>, r: &mut CdaReader<'a>) -> Option<Value> {
    let mut out = resource("Condition");
    let code = first(statement, "value").and_then(|value| r.concept(value));
    let code = code.or_else(|| {
        Some(Value::object([("text", r.text_or_reference(first(statement, "text")?)?.into())]))
    })?;
    let act = statement.ancestors().find(|n| n.tag_name().name() == "act");
    let act_status = act.map(|act| status(act, r)).unwrap_or_default();
    let period = first(statement, "effectiveTime").map(|time| r.period(time));
    let end = period.as_ref().and_then(|p| p.str_at("end"));
    let ended_unknown = first(statement, "effectiveTime/high").is_some();
    let clinical =
        match (status_observation(statement, r), end.is_some() || ended_unknown, act_status) {
            (Some(said), _, _) => said,
            (None, true, _) => "resolved",
            (None, false, "completed") => "inactive",
            _ => "active",
        };
    out.set(
        "clinicalStatus",
        concept("http://terminology.hl7.org/CodeSystem/condition-clinical", clinical),
    );
    let verified = if is_negated(statement, r) { "refuted" } else { "confirmed" };
    out.set(
        "verificationStatus",
        concept("http://terminology.hl7.org/CodeSystem/condition-ver-status", verified),
    );
    let category =
        concept("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item");
    out.set("category", Value::Array(vec![category]));
    out.set("code", code);
    if let Some(period) = &period {
        set(&mut out, "onsetDateTime", period.str_at("start"));
        // An end contradicts "active": then the status observation is the newer word.
        if clinical != "active" {
            set(&mut out, "abatementDateTime", period.str_at("end"));
        }
    }
    Some(out)
}

fn allergy<'a>(statement: Element<'a>, r: &mut CdaReader<'a>) -> Option<Value> {
    let mut out = resource("AllergyIntolerance");
    let kind = first(statement, "value").and_then(|n| r.attribute(n, "code"));
    let substance = first(statement, "participant/participantRole/playingEntity/code");
    let substance = substance.and_then(|code| r.concept(code));
    let negated = is_negated(statement, r);
    let code = match (substance, negated) {
        (Some(code), _) => code,
        // Negated without a substance: no known allergy.
        (None, true) => concept("http://snomed.info/sct", "716186003"),
        (None, false) => first(statement, "value").and_then(|n| r.concept(n))?,
    };
    let act = statement.ancestors().find(|n| n.tag_name().name() == "act");
    let act_status = act.map(|act| status(act, r)).unwrap_or_default();
    let clinical = status_observation(statement, r).unwrap_or(if act_status == "completed" {
        "resolved"
    } else {
        "active"
    });
    out.set(
        "clinicalStatus",
        concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", clinical),
    );
    let is_no_known = code.str_at("coding.0.code") == Some("716186003");
    let verified = if negated && !is_no_known { "refuted" } else { "confirmed" };
    out.set(
        "verificationStatus",
        concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-verification", verified),
    );
    let (allergy_type, category) = match kind {
        Some("416098002") => (Some("allergy"), Some("medication")),
        Some("419511003") => (None, Some("medication")),
        Some("59037007") => (Some("intolerance"), Some("medication")),
        Some("414285001") => (Some("allergy"), Some("food")),
        Some("418471000") => (None, Some("food")),
        Some("235719002") => (Some("intolerance"), Some("food")),
        Some("232347008" | "426232007") => (Some("allergy"), Some("environment")),
        _ => (None, None),
    };
    set(&mut out, "type", allergy_type);
    set_list(&mut out, "category", category.map(Value::from).into_iter().collect());
    out.set("code", code);
    let period = first(statement, "effectiveTime").map(|time| r.period(time));
    set(&mut out, "onsetDateTime", period.as_ref().and_then(|p| p.str_at("start")));
    let mut reactions = Vec::new();
    for reaction in related(statement, "MFST") {
        let Some(sign) = first(reaction, "value").and_then(|v| r.concept(v)) else { continue };
        let mut entry = Value::object([("manifestation", Value::Array(vec![sign]))]);
        let severity = related(reaction, "SUBJ").into_iter().find_map(|o| {
            match r.attribute(first(o, "value")?, "code")? {
                "255604002" => Some("mild"),
                "6736007" => Some("moderate"),
                "24484000" => Some("severe"),
                _ => None,
            }
        });
        set(&mut entry, "severity", severity);
        reactions.push(entry);
    }
    set_list(&mut out, "reaction", reactions);
    Some(out)
}

fn product<'a>(statement: Element<'a>, r: &CdaReader<'a>) -> Option<Value> {
    let material = first(statement, "consumable/manufacturedProduct/manufacturedMaterial")?;
    r.concept(first(material, "code")?)
}

/// Event mood: what the patient takes; intent: what was ordered.
fn medication<'a>(statement: Element<'a>, r: &mut CdaReader<'a>) -> Option<Value> {
    let is_event = r.attribute(statement, "moodCode") == Some("EVN");
    let code = product(statement, r)?;
    let state = match (is_negated(statement, r), status(statement, r)) {
        (true, _) if is_event => "not-taken",
        (_, "active") => "active",
        (_, "completed") => "completed",
        (_, "aborted") => "stopped",
        (_, "suspended") => "on-hold",
        _ => "unknown",
    };
    let mut dosage = dosage(statement, r);
    let mut out = if is_event {
        let mut out = resource("MedicationStatement");
        out.set("status", state.into());
        out.set("medicationCodeableConcept", code);
        if let Some(times) = first(statement, "effectiveTime") {
            r.set_times(&mut out, "effective", times);
        }
        out
    } else {
        let mut out = resource("MedicationRequest");
        out.set("status", state.into());
        out.set("intent", "order".into());
        out.set("medicationCodeableConcept", code);
        let author = first(statement, "author/time").and_then(|n| r.time(n));
        set(&mut out, "authoredOn", author.map(|time| time.text));
        out
    };
    if let Some(dosage) = dosage.take() {
        out.set(if is_event { "dosage" } else { "dosageInstruction" }, Value::Array(vec![dosage]));
    }
    Some(out)
}

fn dosage<'a>(statement: Element<'a>, r: &mut CdaReader<'a>) -> Option<Value> {
    let mut out = Value::object([]);
    set(&mut out, "text", first(statement, "text").and_then(|n| r.text_or_reference(n)));
    set(&mut out, "route", first(statement, "routeCode").and_then(|n| r.concept(n)));
    if let Some(dose) = first(statement, "doseQuantity").and_then(|n| r.quantity(n)) {
        out.set("doseAndRate", Value::Array(vec![Value::object([("doseQuantity", dose)])]));
    }
    (!out.as_object()?.is_empty()).then_some(out)
}

fn immunization<'a>(statement: Element<'a>, r: &mut CdaReader<'a>) -> Option<Value> {
    let mut out = resource("Immunization");
    let state = match (is_negated(statement, r), status(statement, r)) {
        (true, _) => "not-done",
        (false, "completed") => "completed",
        // Still planned: R4 has no status for that.
        _ => return None,
    };
    out.set("status", state.into());
    out.set("vaccineCode", product(statement, r)?);
    let time = first(statement, "effectiveTime");
    let moment = time.and_then(|n| r.time(n)).or_else(|| {
        let low = first(time?, "low")?;
        r.time(low)
    });
    match moment {
        Some(time) => out.set("occurrenceDateTime", time.text.into()),
        None => out.set("_occurrenceDateTime", absent("unknown")),
    }
    let material =
        first(statement, "consumable/manufacturedProduct/manufacturedMaterial/lotNumberText");
    set(&mut out, "lotNumber", material.and_then(|n| r.text(n)));
    set(&mut out, "route", first(statement, "routeCode").and_then(|n| r.concept(n)));
    set(&mut out, "doseQuantity", first(statement, "doseQuantity").and_then(|n| r.quantity(n)));
    Some(out)
}

fn observation<'a>(statement: Element<'a>, r: &mut CdaReader<'a>, category: &str) -> Option<Value> {
    let mut out = resource("Observation");
    let state = match status(statement, r) {
        "completed" => "final",
        "active" => "preliminary",
        "aborted" | "cancelled" => "cancelled",
        "held" | "new" => "registered",
        _ => "unknown",
    };
    out.set("status", state.into());
    let system = "http://terminology.hl7.org/CodeSystem/observation-category";
    out.set("category", Value::Array(vec![concept(system, category)]));
    out.set("code", first(statement, "code").and_then(|n| r.concept(n))?);
    // An organizer's time holds for its observations.
    let organizer = statement.ancestors().find(|n| n.tag_name().name() == "organizer");
    for holder in [Some(statement), organizer].into_iter().flatten() {
        let has_time =
            ["effectiveDateTime", "effectivePeriod"].iter().any(|n| out.get(n).is_some());
        if let Some(times) = first(holder, "effectiveTime").filter(|_| !has_time) {
            r.set_times(&mut out, "effective", times);
        }
    }
    if let Some(value) = first(statement, "value") {
        set_value(value, &mut out, r);
    }
    let has_value = out.as_object()?.iter().any(|(name, _)| name.starts_with("value"));
    if !has_value {
        let reason =
            first(statement, "value").and_then(|v| r.absent_reason(v)).unwrap_or("unknown");
        out.set(
            "dataAbsentReason",
            concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", reason),
        );
    }
    let flags = children(statement, "interpretationCode").filter_map(|n| r.concept(n)).collect();
    set_list(&mut out, "interpretation", flags);
    let method = first(statement, "methodCode").and_then(|n| r.concept(n));
    set(&mut out, "method", method);
    let ranges =
        children(statement, "referenceRange").filter_map(|n| reference_range(n, r)).collect();
    set_list(&mut out, "referenceRange", ranges);
    Some(out)
}

/// Only a range for normal values is the reference range.
fn reference_range<'a>(node: Element<'a>, r: &CdaReader<'a>) -> Option<Value> {
    let range = first(node, "observationRange")?;
    if first(range, "interpretationCode")
        .and_then(|n| n.attribute("code"))
        .is_some_and(|code| code != "N")
    {
        return None;
    }
    let mut out = Value::object([]);
    if let Some(value) = first(range, "value") {
        set(&mut out, "low", first(value, "low").and_then(|n| r.quantity(n)));
        set(&mut out, "high", first(value, "high").and_then(|n| r.quantity(n)));
    }
    set(&mut out, "text", first(range, "text").and_then(|n| r.text_or_reference(n)));
    (!out.as_object()?.is_empty()).then_some(out)
}

fn set_value<'a>(value: Element<'a>, out: &mut Value, r: &mut CdaReader<'a>) {
    let kind = value.attribute((XSI, "type")).unwrap_or_default();
    let kind = kind.rsplit(':').next().unwrap_or_default();
    match kind {
        "PQ" => set(out, "valueQuantity", r.quantity(value)),
        "CD" | "CE" | "CV" | "CO" | "CS" => set(out, "valueCodeableConcept", r.concept(value)),
        "ST" | "ED" => set(out, "valueString", r.text_or_reference(value)),
        "INT" => {
            let whole = r.attribute(value, "value").filter(|v| v.parse::<i32>().is_ok());
            set(out, "valueInteger", whole.and_then(number));
        }
        "REAL" => {
            let real = r.attribute(value, "value").and_then(number);
            set(out, "valueQuantity", real.map(|n| Value::object([("value", n)])));
        }
        "IVL_PQ" => {
            let mut range = Value::object([]);
            set(&mut range, "low", first(value, "low").and_then(|n| r.quantity(n)));
            set(&mut range, "high", first(value, "high").and_then(|n| r.quantity(n)));
            if range.as_object().is_some_and(|members| !members.is_empty()) {
                out.set("valueRange", range);
            }
        }
        "TS" => {
            let time = r.time(value);
            set(out, "valueDateTime", time.map(|time| time.text));
        }
        _ => {}
    }
}

fn procedure<'a>(statement: Element<'a>, r: &mut CdaReader<'a>) -> Option<Value> {
    let mut out = resource("Procedure");
    let is_event = r.attribute(statement, "moodCode") == Some("EVN");
    let state = match (is_negated(statement, r), is_event, status(statement, r)) {
        (true, _, _) | (_, _, "cancelled") => "not-done",
        (_, false, _) => "preparation",
        (_, _, "completed") => "completed",
        (_, _, "active") => "in-progress",
        (_, _, "aborted") => "stopped",
        _ => "unknown",
    };
    out.set("status", state.into());
    out.set("code", first(statement, "code").and_then(|n| r.concept(n))?);
    if let Some(times) = first(statement, "effectiveTime") {
        r.set_times(&mut out, "performed", times);
    }
    let sites = children(statement, "targetSiteCode").filter_map(|n| r.concept(n)).collect();
    set_list(&mut out, "bodySite", sites);
    Some(out)
}

fn encounter<'a>(statement: Element<'a>, r: &mut CdaReader<'a>) -> Option<Value> {
    let mut out = resource("Encounter");
    let is_event = r.attribute(statement, "moodCode") == Some("EVN");
    out.set("status", if is_event { "finished" } else { "planned" }.into());
    let class = Value::object([(
        "extension",
        Value::Array(vec![Value::object([
            ("url", ABSENT.into()),
            ("valueCode", "unknown".into()),
        ])]),
    )]);
    out.set("class", class);
    let kind = first(statement, "code").and_then(|n| r.concept(n));
    set_list(&mut out, "type", kind.into_iter().collect());
    if let Some(times) = first(statement, "effectiveTime") {
        match r.time(times) {
            Some(time) => out.set("period", Value::object([("start", time.text.into())])),
            None => {
                let period = r.period(times);
                super::types::set_period(&mut out, period);
            }
        }
    }
    Some(out)
}
