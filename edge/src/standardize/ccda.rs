//! C-CDA documents → Patient, one DocumentReference with the narrative, and the entries of the mapped sections
//! (`edge/data/ccda/map.tsv`: section, path to the statement, resource, rule; after HL7's C-CDA on FHIR).
//!
//! Rules worth knowing: a problem status observation (33999-4) counts before the act's status; `negationInd` makes a problem
//! or allergy *refuted* and a procedure or immunization *not done*; a nullFlavor becomes a data-absent-reason.
use super::ccda_entries as entries;
use super::cda_types::{CdaReader, Element, identifier_value, urn};
use super::coverage::{Fate, Ledger};
use super::draft::{Drafts, concept, reference, resource, set, set_list};
use super::note::patient_key;
use super::tables::Tables;
use crate::ingest::ccda::{self, children, first};
use crate::model::json::Value;
use crate::model::{At, Coverage, Identifier, Issue, Item, Severity, ids};
use crate::terminology::LOINC;
use base64::Engine as _;

/// What every rule needs to know about the document.
pub(crate) struct Context {
    /// Whose document.
    pub(crate) patient: Identifier,
    /// Reference to the Patient.
    pub(crate) subject: String,
    /// For statements without an id.
    pub(crate) item_key: String,
}

pub(crate) fn map(
    item: &Item,
    tables: &Tables,
    drafts: &mut Drafts<'_>,
) -> Result<Coverage, Issue> {
    let text = ccda::text(&item.bytes)?;
    let document = ccda::parse(&text)?;
    let root = document.root_element();
    let ledger = Ledger::default();
    let by_id =
        document.descendants().filter_map(|node| Some((node.attribute("ID")?, node))).collect();
    let zone = first(root, "effectiveTime").and_then(|time| time.attribute("value"));
    let zone = zone.and_then(super::time::zone_of).map(str::to_owned);
    let mut reader = CdaReader { ledger: &ledger, issues: Vec::new(), by_id, zone };
    let patient = the_patient(root)?;
    let key = patient_key(&patient.system, &patient.value);
    let context = Context {
        subject: drafts.reference("Patient", &key),
        patient,
        item_key: ids::uuid_text(&item.item_id),
    };
    map_patient(root, &mut reader, &context, drafts);
    map_document(root, &mut reader, &context, tables, drafts);
    map_sections(root, &mut reader, &context, tables, drafts);
    report_structure(&document, &ledger);
    let recorded = first(root, "effectiveTime").and_then(|time| reader.time(time));
    let recorded = recorded.filter(super::time::FhirTime::is_instant).map(|time| time.text);
    let custodian =
        first(root, "custodian/assignedCustodian/representedCustodianOrganization/name");
    let agent = custodian.and_then(|name| reader.text(name)).unwrap_or_else(|| item.source.clone());
    drafts.issues.append(&mut reader.issues);
    drafts.add_provenance(item, &agent, recorded.as_deref());
    let leaves = ccda::leaves(&document);
    drafts.unmapped_leaves(&ledger, &leaves, |byte| path_at(&document, byte));
    Ok(ledger.count(&leaves))
}

fn the_patient(root: Element<'_>) -> Result<Identifier, Issue> {
    let fatal = |rule, text: &str| {
        Err(Issue::new(
            Severity::Fatal,
            "business-rule",
            rule,
            At::path("/ClinicalDocument/recordTarget"),
            text,
        ))
    };
    if children(root, "recordTarget").count() > 1 {
        return fatal("ccda-multi-patient", "more than one record target");
    }
    let role = first(root, "recordTarget/patientRole");
    let id = role.and_then(|role| {
        let ids: Vec<Element<'_>> = children(role, "id").collect();
        ids.into_iter()
            .find(|id| id.attribute("extension").is_some() && id.attribute("root").is_some())
    });
    // Read without the ledger: `map_patient` takes the same ids.
    let found = id.and_then(|id| {
        let value = id.attribute("extension")?.trim().to_owned();
        Some(Identifier { system: urn(id.attribute("root")?), value })
    });
    match found {
        Some(identifier) if !identifier.value.is_empty() => Ok(identifier),
        _ => fatal("ccda-no-patient", "no patient identifier with root and extension"),
    }
}

fn map_patient<'a>(
    root: Element<'a>,
    r: &mut CdaReader<'a>,
    context: &Context,
    drafts: &mut Drafts<'_>,
) {
    let Some(role) = first(root, "recordTarget/patientRole") else { return };
    let mut out = resource("Patient");
    set_list(&mut out, "identifier", r.identifiers(role));
    if let Some(patient) = first(role, "patient") {
        set_list(&mut out, "name", children(patient, "name").filter_map(|n| r.name(n)).collect());
        set_list(
            &mut out,
            "telecom",
            children(role, "telecom").filter_map(|n| r.telecom(n)).collect(),
        );
        let gender =
            first(patient, "administrativeGenderCode").and_then(|n| r.attribute(n, "code"));
        let gender = match gender {
            Some("F") => Some("female"),
            Some("M") => Some("male"),
            Some("UN") => Some("other"),
            _ => None,
        };
        set(&mut out, "gender", gender);
        let birth = first(patient, "birthTime").and_then(|n| r.time(n));
        set(&mut out, "birthDate", birth.map(|time| time.date()));
        set_list(
            &mut out,
            "address",
            children(role, "addr").filter_map(|n| r.address(n)).collect(),
        );
        let marital = first(patient, "maritalStatusCode").and_then(|n| r.concept(n));
        set(&mut out, "maritalStatus", marital);
    }
    let key = patient_key(&context.patient.system, &context.patient.value);
    drafts.add(&key, Some(&context.patient), out);
}

/// The document itself: its type, time and narrative as plain text, section by section.
fn map_document<'a>(
    root: Element<'a>,
    r: &mut CdaReader<'a>,
    context: &Context,
    tables: &Tables,
    drafts: &mut Drafts<'_>,
) {
    let mut text = String::new();
    for section in root.descendants().filter(|n| n.has_tag_name((ccda::HL7, "section"))) {
        let title = first(section, "title").and_then(|n| r.text(n)).unwrap_or_default();
        let Some(narrative) = first(section, "text") else { continue };
        let body = lines(narrative, r);
        if !body.trim().is_empty() {
            text.push_str(&format!("{}:\n{body}\n", title.trim_end_matches(':')));
        }
    }
    let mut out = resource("DocumentReference");
    if let Some(id) = first(root, "id").and_then(|id| r.identifier(id)) {
        out.set("masterIdentifier", identifier_value(&id));
    }
    out.set("status", "current".into());
    if let Some(code) = first(root, "code").and_then(|n| r.concept(n)) {
        out.set("type", code);
    }
    if out.get("type").is_none() {
        let mut summary = concept(LOINC, "34133-9");
        set(&mut summary, "text", tables.terminology.display(LOINC, "34133-9"));
        out.set("type", summary);
    }
    out.set("subject", reference(&context.subject));
    if let Some(time) = first(root, "effectiveTime").and_then(|n| r.time(n)) {
        if time.is_instant() {
            out.set("date", time.text.as_str().into());
        }
        let period = Value::object([("start", time.text.into())]);
        out.set("context", Value::object([("period", period)]));
    }
    set(&mut out, "description", first(root, "title").and_then(|n| r.text(n)));
    let mut attachment = Value::object([("contentType", "text/plain; charset=utf-8".into())]);
    if text.is_empty() {
        attachment.set("title", "the document has no narrative".into());
    } else {
        attachment.set("data", base64::engine::general_purpose::STANDARD.encode(text).into());
    }
    let content = Value::object([("attachment", attachment)]);
    out.set("content", Value::Array(vec![content]));
    drafts.add(&context.item_key, Some(&context.patient), out);
}

/// Narrative as lines: paragraphs, items, table rows and breaks end a line. Scripts are no narrative.
fn lines<'a>(narrative: Element<'a>, r: &CdaReader<'a>) -> String {
    let mut out = String::new();
    for node in narrative.descendants() {
        let name = node.tag_name().name();
        if matches!(name, "paragraph" | "item" | "tr" | "br" | "caption" | "list" | "table") {
            out.push('\n');
        }
        let hidden = node.ancestors().any(|a| matches!(a.tag_name().name(), "script" | "style"));
        if node.is_text() && !hidden {
            let words: Vec<&str> = node.text().unwrap_or_default().split_whitespace().collect();
            if !words.is_empty() {
                r.ledger.report(node.range(), Fate::Mapped);
                out.push_str(&words.join(" "));
                out.push(if node.ancestors().any(|a| matches!(a.tag_name().name(), "td" | "th")) {
                    '\t'
                } else {
                    ' '
                });
            }
        }
    }
    out.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn map_sections<'a>(
    root: Element<'a>,
    r: &mut CdaReader<'a>,
    context: &Context,
    tables: &Tables,
    drafts: &mut Drafts<'_>,
) {
    for section in root.descendants().filter(|n| n.has_tag_name((ccda::HL7, "section"))) {
        let Some(code) = first(section, "code").and_then(|n| n.attribute("code")) else { continue };
        for row in tables.ccda(code) {
            for entry in children(section, "entry") {
                for statement in follow(entry, &row.path) {
                    entries::map(&row.rule, statement, r, context, drafts);
                }
            }
        }
    }
}

/// All elements that a path of names leads to.
fn follow<'a>(node: Element<'a>, path: &str) -> Vec<Element<'a>> {
    path.split('/').fold(vec![node], |nodes, name| {
        let step = |node: Element<'a>| {
            node.children().filter(|c| c.has_tag_name((ccda::HL7, name))).collect::<Vec<_>>()
        };
        nodes.into_iter().flat_map(step).collect()
    })
}

/// The path of the text or attribute that begins at a byte, with its line.
fn path_at(document: &roxmltree::Document<'_>, byte: usize) -> String {
    let mut path = String::new();
    let mut node = document.root();
    while let Some(child) = node.children().find(|n| n.is_element() && n.range().contains(&byte)) {
        let same = |n: &roxmltree::Node<'_, '_>| n.is_element() && n.tag_name() == child.tag_name();
        path.push('/');
        path.push_str(child.tag_name().name());
        if node.children().filter(same).count() > 1 {
            let index = node.children().filter(same).position(|n| n == child).unwrap_or(0);
            path.push_str(&format!("[{}]", index + 1));
        }
        node = child;
    }
    if let Some(attribute) = node.attributes().find(|a| a.range().start == byte) {
        path.push_str(&format!("/@{}", attribute.name()));
    }
    At::in_bytes(document.input_text().as_bytes(), byte, path).to_string()
}

/// Templates, types and class codes carry structure and no record of their own.
fn report_structure(document: &roxmltree::Document<'_>, ledger: &Ledger) {
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let is_structure = matches!(node.tag_name().name(), "templateId" | "typeId" | "realmCode");
        for attribute in node.attributes() {
            let name = attribute.name();
            let is_schema =
                attribute.namespace() == Some("http://www.w3.org/2001/XMLSchema-instance");
            if is_structure
                || is_schema
                || matches!(name, "classCode" | "typeCode" | "codeSystemName" | "ID")
            {
                ledger.report(attribute.range(), Fate::Dropped);
            }
        }
    }
}
