//! HL7 v2 messages → resources, segment by segment in the order of the message (v2-to-FHIR guide 1.0.0).
//!
//! PID → Patient; PV1 → Encounter, Practitioner, Location; AL1 → AllergyIntolerance; DG1 → Condition; OBR → DiagnosticReport;
//! OBX → Observation (with NTE); SPM → Specimen; MRG → `Patient.link`. Other segments stay raw. A message must be about one patient: another PID
//! with other identifiers refuses it, so that a result never lands on the wrong person.
use super::coverage::{Fate, Ledger};
use super::draft::{Drafts, absent, coding, concept, reference, resource, set, set_list};
use super::note::patient_key;
use super::tables::Tables;
use super::types::{Reader, is_oid, set_period};
use crate::ingest::hl7v2::{Message, Segment, readable};
use crate::model::json::Value;
use crate::model::{At, Coverage, Identifier, Issue, Item, Severity, ids};

/// HL7 table 0076, message types.
const MESSAGE_TYPES: &str = "ADT ARD BAR BPS BRP BRT BTS CCF CCI CCM CCQ CCU CQU CRM CSU DBC DBU DEL DEO DER DFT DOC DPR \
    DRC EAC EAN EAR EHC ESR ESU INR INU LSR LSU MDM OMB OMD OMG OMI OML OMN OMP OMQ OMS OPL OPU ORD ORM ORU OSM OSU OUL \
    PEX PGL PIN PMU PPG PPP PPR PPT PPV PRR RAS RDE RDS REF RGV RRI SIU SSR SSU TCU UDM VXU VXR";

/// Events that merge patients, or change what one is called (MRG holds the former identifier).
const MERGES: &str = "A18 A30 A34 A36 A39 A40 A46 A47";

/// Messages that order services.
const ORDERS: &str = "ORM OMG OML OMI OMP OMN OMS OMD OMB";

/// State while walking the segments.
pub(super) struct Walk<'a, 'd> {
    pub(super) reader: Reader<'a>,
    pub(super) drafts: &'a mut Drafts<'d>,
    pub(super) patient: Identifier,
    pub(super) subject: String,
    pub(super) event: String,
    pub(super) item_key: String,
    pub(super) encounter: Option<String>,
    pub(super) report: Option<String>,
    /// OBR-3, or its position; makes observations of different orders different.
    pub(super) order_key: String,
    pub(super) observation: Option<String>,
    pub(super) conditions: Vec<String>,
    /// All segments of the message.
    pub(super) segments: Vec<Segment<'a>>,
    /// Whether the message orders something, instead of telling results.
    pub(super) is_order: bool,
}

pub(crate) fn map(
    item: &Item,
    tables: &Tables,
    drafts: &mut Drafts<'_>,
) -> Result<Coverage, Issue> {
    let text = readable(&item.bytes);
    let (message, issues) = Message::of(&text)?;
    drafts.issues.extend(issues);
    let ledger = Ledger::default();
    let mut reader = Reader {
        tables,
        ledger: &ledger,
        issues: Vec::new(),
        zone: None,
        source: item.source.clone(),
        bytes: text.bytes(),
    };
    let header = read_header(&message, &mut reader)?;
    let patient = the_patient(&message, &mut reader)?;
    let subject = drafts.reference("Patient", &patient_key(&patient.system, &patient.value));
    let mut walk = Walk {
        reader,
        drafts,
        patient,
        subject,
        event: header.event,
        item_key: ids::uuid_text(&item.item_id),
        encounter: None,
        report: None,
        order_key: String::new(),
        observation: None,
        conditions: Vec::new(),
        segments: message.segments().collect(),
        is_order: ORDERS.split_whitespace().any(|kind| kind == header.kind),
    };
    let segments = walk.segments.clone();
    for segment in &segments {
        walk.segment(*segment);
        walk.by_tables(*segment, &segments);
    }
    walk.link_conditions();
    let issues = std::mem::take(&mut walk.reader.issues);
    drafts.issues.extend(issues);
    drafts.add_provenance(item, &header.agent, header.recorded.as_deref());
    let leaves = message.leaves();
    drafts.unmapped_leaves(&ledger, &leaves, |byte| message.path_at(byte));
    Ok(ledger.count(&leaves))
}

struct Header {
    kind: String,
    event: String,
    agent: String,
    recorded: Option<String>,
}

fn read_header(message: &Message<'_>, reader: &mut Reader<'_>) -> Result<Header, Issue> {
    let Some(msh) = message.segment("MSH") else {
        return Err(Issue::new(Severity::Fatal, "structure", "hl7v2-msh", At::default(), "no MSH"));
    };
    let kind = reader.text(msh.field(9).component(1)).unwrap_or_default();
    if !MESSAGE_TYPES.split_whitespace().any(|known| known == kind) {
        let at = At::in_bytes(message.bytes(), msh.field(9).range().start, "MSH-9");
        let text = "not a message type of table 0076 that carries records";
        return Err(Issue::new(Severity::Fatal, "not-supported", "hl7v2-message-type", at, text));
    }
    let event = reader.text(msh.field(9).component(2)).unwrap_or_default();
    let sent = reader.text(msh.field(7)).unwrap_or_default();
    reader.zone = super::time::zone_of(&sent).map(str::to_owned);
    let recorded = reader.time(msh.field(7)).filter(super::time::FhirTime::is_instant);
    let agent =
        reader.text(msh.field(4).component(1)).or_else(|| reader.text(msh.field(3).component(1)));
    for number in [1usize, 2] {
        let start = msh.range().start + if number == 1 { 3 } else { 4 };
        reader.ledger.report(start..start + 1, Fate::Dropped);
    }
    for number in [9, 10, 12] {
        reader.ledger.report(msh.field(number).range(), Fate::Dropped);
    }
    Ok(Header {
        kind,
        event,
        agent: agent.unwrap_or_else(|| reader.source.clone()),
        recorded: recorded.map(|time| time.text),
    })
}

/// The one patient of the message: a record number first, else the first identifier of PID-3 (or PID-2, before v2.4).
fn the_patient(message: &Message<'_>, reader: &mut Reader<'_>) -> Result<Identifier, Issue> {
    let fatal = |at: usize, rule, text: &str| {
        Err(Issue::new(
            Severity::Fatal,
            "business-rule",
            rule,
            At::in_bytes(message.bytes(), at, "PID"),
            text,
        ))
    };
    let mut found: Option<(Identifier, Vec<Identifier>)> = None;
    // The same fields are read again for the Patient; their issues count once.
    let before = reader.issues.len();
    for pid in message.segments().filter(|segment| segment.name() == "PID") {
        let mut ids: Vec<(bool, Identifier)> = Vec::new();
        for node in pid.field(3).repetitions().chain(pid.field(2).repetitions()) {
            let is_record_number = node.component(5).raw() == b"MR";
            if let Some((identifier, _)) = reader.identifier(node) {
                ids.push((is_record_number, identifier));
            }
        }
        let best = ids.iter().find(|(is_record_number, _)| *is_record_number).or(ids.first());
        let Some((_, best)) = best.cloned() else {
            return fatal(
                pid.range().start,
                "hl7v2-no-pid3",
                "no usable patient identifier in PID-3",
            );
        };
        let all: Vec<Identifier> = ids.into_iter().map(|(_, identifier)| identifier).collect();
        match &found {
            None => found = Some((best, all)),
            Some((_, first)) if all.iter().any(|id| first.contains(id)) => {}
            Some(_) => {
                let text = "a second patient in one message; send one message per patient";
                return fatal(pid.range().start, "hl7v2-multi-patient", text);
            }
        }
    }
    reader.issues.truncate(before);
    match found {
        Some((best, _)) => Ok(best),
        None => fatal(0, "hl7v2-no-pid", "no PID segment: nobody this message is about"),
    }
}

impl<'a> Walk<'a, '_> {
    fn segment(&mut self, segment: Segment<'a>) {
        // Set ids count segments and say nothing else.
        if matches!(
            segment.name(),
            "PID"
                | "PV1"
                | "AL1"
                | "DG1"
                | "OBR"
                | "OBX"
                | "NTE"
                | "SPM"
                | "NK1"
                | "IN1"
                | "PR1"
                | "IAM"
                | "TXA"
        ) {
            self.reader.ledger.report(segment.field(1).range(), Fate::Dropped);
        }
        match segment.name() {
            "PID" => self.patient(segment),
            "PV1" => self.encounter(segment),
            "AL1" => self.allergy(segment),
            "DG1" => self.condition(segment),
            "OBR" => self.report(segment),
            "OBX" => self.observation(segment),
            "NTE" => self.note(segment),
            "SPM" => self.specimen(segment),
            "MRG" => self.merge(segment),
            _ => {}
        }
    }

    /// A natural key for things without an identifier of their own: item and position.
    pub(super) fn position_key(&self, segment: Segment<'_>) -> String {
        format!("{}/{}", self.item_key, segment.index)
    }

    pub(super) fn add(&mut self, key: &str, value: Value) -> String {
        let patient = self.patient.clone();
        self.drafts.add(key, Some(&patient), value)
    }

    fn patient(&mut self, pid: Segment<'a>) {
        let r = &mut self.reader;
        let mut out = resource("Patient");
        let mut identifiers: Vec<Value> = Vec::new();
        for node in [2, 3, 4].into_iter().flat_map(|n| pid.field(n).repetitions()) {
            if let Some((_, identifier)) = r.identifier(node)
                && !identifiers.contains(&identifier)
            {
                identifiers.push(identifier);
            }
        }
        set_list(&mut out, "identifier", identifiers);
        let names = [5, 9].into_iter().flat_map(|n| pid.field(n).repetitions());
        set_list(&mut out, "name", names.filter_map(|node| r.name(node, 1, 7)).collect());
        let home: Vec<Value> =
            pid.field(13).repetitions().filter_map(|n| r.telecom(n, "home")).collect();
        let work: Vec<Value> =
            pid.field(14).repetitions().filter_map(|n| r.telecom(n, "work")).collect();
        set_list(&mut out, "telecom", [home, work].concat());
        set(&mut out, "gender", r.mapped(pid.field(8).component(1), "AdministrativeSex"));
        set(&mut out, "birthDate", r.time(pid.field(7)).map(|time| time.date()));
        match r.time(pid.field(29)) {
            Some(time) => out.set("deceasedDateTime", time.text.into()),
            None => match r.text(pid.field(30)).as_deref() {
                Some("Y") => out.set("deceasedBoolean", Value::Bool(true)),
                Some("N") => out.set("deceasedBoolean", Value::Bool(false)),
                _ => r.ledger.report(pid.field(30).range(), Fate::Raw),
            },
        }
        let addresses = pid.field(11).repetitions();
        set_list(&mut out, "address", addresses.filter_map(|node| r.address(node)).collect());
        set(&mut out, "maritalStatus", r.mapped_concept(pid.field(16), "MaritalStatus"));
        // FHIR wants a BCP 47 tag, v2 sends names and codes of many kinds: the words are kept, no tag is guessed.
        let words =
            r.text(pid.field(15).component(2)).or_else(|| r.text(pid.field(15).component(1)));
        if let Some(words) = words {
            let language = Value::object([("text", words.into())]);
            let communication = Value::object([("language", language)]);
            out.set("communication", Value::Array(vec![communication]));
        }
        let key = patient_key(&self.patient.system, &self.patient.value);
        self.add(&key, out);
    }

    /// A merge says which identifier the patient had besides: that record is replaced by this one. Whether the two are
    /// joined is not decided here.
    fn merge(&mut self, mrg: Segment<'a>) {
        if !MERGES.split_whitespace().any(|event| event == self.event) {
            return;
        }
        let key = patient_key(&self.patient.system, &self.patient.value);
        let patient = self.drafts.reference("Patient", &key);
        let mut links = Vec::new();
        for node in mrg.field(1).repetitions() {
            let Some((other, identifier)) = self.reader.identifier(node) else { continue };
            if other != self.patient {
                let other = Value::object([("type", "Patient".into()), ("identifier", identifier)]);
                links.push(Value::object([("other", other), ("type", "replaces".into())]));
            }
        }
        if let Some(patient) = self.drafts.get_mut(&patient) {
            set_list(patient, "link", links);
        }
    }

    /// A person of XCN type; without an id the name travels in the reference only.
    pub(super) fn practitioner(&mut self, node: crate::ingest::hl7v2::Node<'a>) -> Option<Value> {
        let id = self.reader.text(node.component(1));
        let name = self.reader.name(node, 2, 10);
        let Some(id) = id else {
            let name = name?;
            let given = name.items("given").iter().filter_map(Value::as_str);
            let parts: Vec<&str> = given.chain(name.str_at("family")).collect();
            return Some(Value::object([("display", parts.join(" ").into())]));
        };
        let mut out = resource("Practitioner");
        let mut identifier = Value::object([]);
        let authority = self.reader.text(node.component(9).subcomponent(2));
        let system = match authority.filter(|id| is_oid(id)) {
            Some(oid) => format!("urn:oid:{oid}"),
            None => {
                let namespace = self.reader.text(node.component(9).subcomponent(1));
                let namespace = namespace.unwrap_or_else(|| self.reader.source.clone());
                format!("urn:id:{}", super::types::uri_part(&namespace))
            }
        };
        identifier.set("system", system.as_str().into());
        identifier.set("value", id.as_str().into());
        out.set("identifier", Value::Array(vec![identifier]));
        set_list(&mut out, "name", name.into_iter().collect());
        Some(reference(&self.add(&format!("{system}|{id}"), out)))
    }

    fn encounter(&mut self, pv1: Segment<'a>) {
        let mut out = resource("Encounter");
        let number = pv1.field(19).repetitions().next().and_then(|n| self.reader.identifier(n));
        let key = number.as_ref().map_or_else(
            || self.position_key(pv1),
            |(identifier, _)| patient_key(&identifier.system, &identifier.value),
        );
        set_list(&mut out, "identifier", number.map(|(_, value)| value).into_iter().collect());
        let class = pv1.field(2).component(1);
        let class_code = self.reader.text(class);
        let tables = self.reader.tables;
        let by_event = tables.code("Event[EncounterStatus]", &self.event).map(|t| t.code.clone());
        let by_class =
            class_code.as_ref().and_then(|code| tables.code("PatientClass[EncounterStatus]", code));
        let status =
            by_event.filter(|status| status != "unknown").or(by_class.map(|t| t.code.clone()));
        out.set("status", status.unwrap_or_else(|| "unknown".into()).into());
        let target = class_code.and_then(|code| tables.code("PatientClass[EncounterClass]", &code));
        match target {
            Some(target) => out.set("class", coding(&target.system, &target.code)),
            None => {
                self.reader.ledger.report(class.range(), Fate::Raw);
                out.set("class", absent("unknown"));
            }
        }
        out.set("subject", reference(&self.subject.clone()));
        let mut participants = Vec::new();
        for (number, role) in [(7, "ATND"), (8, "REF"), (9, "CON"), (17, "ADM")] {
            for node in pv1.field(number).repetitions() {
                if let Some(individual) = self.practitioner(node) {
                    let role =
                        concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", role);
                    participants.push(Value::object([
                        ("type", Value::Array(vec![role])),
                        ("individual", individual),
                    ]));
                }
            }
        }
        set_list(&mut out, "participant", participants);
        let mut period = Value::object([]);
        self.reader.set_time(&mut period, "start", pv1.field(44));
        self.reader.set_time(&mut period, "end", pv1.field(45));
        set_period(&mut out, period);
        if let Some(location) = self.location(pv1) {
            let location = Value::object([("location", location)]);
            out.set("location", Value::Array(vec![location]));
        }
        self.encounter = Some(self.add(&key, out));
    }

    /// PL: the parts that are named, from facility down to bed.
    fn location(&mut self, pv1: Segment<'a>) -> Option<Value> {
        self.place_named(pv1.field(3))
    }

    /// A location by the parts of a PL.
    pub(super) fn place_named(&mut self, node: crate::ingest::hl7v2::Node<'a>) -> Option<Value> {
        let mut parts = Vec::new();
        for at in [4, 7, 8, 1, 2, 3] {
            if let Some(part) = self.reader.text(node.component(at).subcomponent(1)) {
                parts.push(part);
            }
        }
        if parts.is_empty() {
            return None;
        }
        let mut out = resource("Location");
        out.set("mode", "instance".into());
        out.set("name", parts.join(", ").into());
        Some(reference(&self.add(&parts.join("|"), out)))
    }

    fn allergy(&mut self, al1: Segment<'a>) {
        let r = &mut self.reader;
        let Some(code) = r.concept(al1.field(3), None) else { return };
        let mut out = resource("AllergyIntolerance");
        out.set(
            "clinicalStatus",
            concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active"),
        );
        let kind = al1.field(2).component(1);
        set(&mut out, "type", r.mapped(kind, "AllergyType"));
        if let Some(category) = r.mapped(kind, "AllergenType[AllergyIntoleranceCategory]") {
            out.set("category", Value::Array(vec![category.into()]));
        }
        if out.get("type").is_some() {
            r.ledger.report(kind.range(), Fate::Mapped);
        }
        out.set("code", code.clone());
        out.set("patient", reference(&self.subject));
        self.reader.set_time(&mut out, "onsetDateTime", al1.field(6));
        let r = &mut self.reader;
        let severity = r.mapped(
            al1.field(4).component(1),
            "AllergySeverity[AllergyIntolerance.reaction.severity]",
        );
        let manifestations: Vec<Value> = al1
            .field(5)
            .repetitions()
            .filter_map(|node| r.text(node.component(1)))
            .map(|text| Value::object([("text", text.into())]))
            .collect();
        if severity.is_some() || !manifestations.is_empty() {
            let unknown = Value::object([(
                "extension",
                Value::Array(vec![Value::object([
                    ("url", super::draft::ABSENT.into()),
                    ("valueCode", "unknown".into()),
                ])]),
            )]);
            let manifestations =
                if manifestations.is_empty() { vec![unknown] } else { manifestations };
            let mut reaction = Value::object([("manifestation", Value::Array(manifestations))]);
            set(&mut reaction, "severity", severity);
            out.set("reaction", Value::Array(vec![reaction]));
        }
        let key = format!("{}|{code}", patient_key(&self.patient.system, &self.patient.value));
        self.add(&key, out);
    }

    fn condition(&mut self, dg1: Segment<'a>) {
        let r = &mut self.reader;
        // Before v2.3 the coding method stood in DG1-2 (I10, I9).
        let method = match r.text(dg1.field(2)).as_deref() {
            Some("I10") => Some("http://hl7.org/fhir/sid/icd-10-cm"),
            Some("I9" | "I9C" | "ICD9") => Some("http://hl7.org/fhir/sid/icd-9-cm"),
            _ => {
                r.ledger.report(dg1.field(2).range(), Fate::Raw);
                None
            }
        };
        let mut code = r.concept(dg1.field(3), method);
        if let Some(description) = r.text(dg1.field(4)) {
            let target = code.get_or_insert_with(|| Value::object([]));
            target.set("text", description.into());
        }
        let Some(code) = code else { return };
        let mut out = resource("Condition");
        if r.text(dg1.field(21)).as_deref() == Some("D") {
            let system = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
            out.set("verificationStatus", concept(system, "entered-in-error"));
        }
        let category = concept(
            "http://terminology.hl7.org/CodeSystem/condition-category",
            "encounter-diagnosis",
        );
        out.set("category", Value::Array(vec![category]));
        out.set("code", code.clone());
        out.set("subject", reference(&self.subject));
        if let Some(encounter) = &self.encounter {
            out.set("encounter", reference(encounter));
        }
        self.reader.set_time(&mut out, "onsetDateTime", dg1.field(5));
        self.reader.set_time(&mut out, "recordedDate", dg1.field(19));
        if let Some(asserter) =
            dg1.field(16).repetitions().next().and_then(|n| self.practitioner(n))
        {
            out.set("asserter", asserter);
        }
        let encounter = self.encounter.clone().unwrap_or_else(|| self.item_key.clone());
        let key = format!("{encounter}|{code}");
        let condition = self.add(&key, out);
        if !self.conditions.contains(&condition) {
            self.conditions.push(condition);
        }
    }

    /// `Encounter.diagnosis` names the conditions of the message.
    fn link_conditions(&mut self) {
        let conditions: Vec<Value> = self
            .conditions
            .iter()
            .map(|condition| Value::object([("condition", reference(condition))]))
            .collect();
        if let Some(encounter) = self.encounter.clone().and_then(|e| self.drafts.get_mut(&e)) {
            set_list(encounter, "diagnosis", conditions);
        }
    }
}
