use super::cell::by_format;
use super::*;

const MAPPING: &str = r#"
confirmed = true
table = { delimiter = ";", encoding = "utf-8", decimal = ",", null = ["", "NA"], patient = { column = "mrn", system = "urn:oid:1.2.3.4" } }
unmapped = { policy = "raw", drop = { row_no = "export artefact" } }
[[map]]
resource = "Observation"
key = ["sample", "=hgb"]
when = "hgb not null"
set.status = { const = "final" }
set.code = { system = "http://loinc.org", code = "718-7" }
set.valueQuantity = { column = "hgb", unit = "g/dL" }
set.effectiveDateTime = { column = "taken", format = "%d.%m.%Y" }
[[map]]
resource = "Patient"
key = []
when = "sex in (\"1\", \"2\")"
set.gender = { column = "sex", values = { "1" = "male", "2" = "female" } }
"#;

fn run(rows: &str) -> Vec<RowOutcome> {
    let text = format!("row_no;mrn;sample;hgb;taken;sex;remark\n{rows}");
    let mapping = Mapping::parse(MAPPING).expect("mapping");
    standardize_table(text.as_bytes(), &mapping, "urn:test:source", &Tables::shipped())
        .expect("table")
}

#[test]
fn a_row_becomes_records() {
    let rows = run(
        "1;007;S1;13,70;05.03.2024;2;fine\n2;7;S1;14;2024;;\n3;8;S3;1.300;05.03.2024;;\n4;;S4;1;05.03.2024;;\n5;9;S5;NA;;1;\n",
    );
    let (done, unmapped) = rows[0].as_ref().expect("a row");
    let observation = &done.records[0].resource;
    assert_eq!(observation.at("valueQuantity.value").and_then(Value::as_number), Some("13.70"));
    assert_eq!(observation.str_at("valueQuantity.code"), Some("g/dL"));
    assert_eq!(observation.str_at("effectiveDateTime"), Some("2024-03-05"));
    assert_eq!(observation.str_at("subject.identifier.value"), Some("007"), "identifiers are text");
    let gender = done.records.iter().find_map(|record| record.resource.str_at("gender"));
    assert_eq!(gender, Some("female"));
    assert_eq!(done.coverage, Coverage { mapped: 4, raw: 2, dropped: 1 }, "{unmapped:?}");
    let why = |index: usize| rows[index].as_ref().expect_err("quarantined").to_string();
    assert!(why(1).contains("row 3, column \"taken\""), "{}", why(1));
    assert!(why(2).contains("column \"hgb\""), "no thousands: {}", why(2));
    assert!(why(3).contains("no patient"), "{}", why(3));
    assert_eq!(rows[4].as_ref().expect("the last").0.records.len(), 2, "a patient, its source");
}

#[test]
fn mappings_are_read_by_a_person_first() {
    let rule = |text: &str| Mapping::parse(text).expect_err("refused").rule;
    assert_eq!(rule(&MAPPING.replace("confirmed = true", "confirmed = false")), "csv-unconfirmed");
    assert_eq!(rule(&MAPPING.replace("set.gender", "set.gendre")), "csv-mapping");
    assert_eq!(rule(&MAPPING.replace("unit =", "unti =")), "csv-mapping");
    let mapping = Mapping::parse(MAPPING).expect("mapping");
    let lacking = standardize_table(b"a;b\n1;2\n", &mapping, "s", &Tables::shipped());
    assert_eq!(lacking.expect_err("columns").rule, "csv-column");
}

#[test]
fn a_draft_is_a_mapping_that_waits() {
    let table = b"SEQN,WT,HT,BUN,SEX\n93703,13.7,88.6,,1\n93704,13.9,94.2,x,2\n";
    let drafted = draft(table).expect("draft");
    assert_eq!(Mapping::parse(&drafted).expect_err("waits").rule, "csv-unconfirmed");
    assert!(drafted.contains("29463-7") && drafted.contains("100 %"), "{drafted}");
    let confirmed = drafted.replace("confirmed = false", "confirmed = true").replace(
        "set.gender = { column = \"SEX\" }",
        "set.gender = { column = \"SEX\", values = { \"1\" = \"male\", \"2\" = \"female\" } }",
    );
    let mapping = Mapping::parse(&confirmed).expect("confirmed");
    let rows = standardize_table(table, &mapping, "s", &Tables::shipped()).expect("table");
    assert_eq!((rows[0].is_ok(), rows[1].is_err()), (true, true), "{rows:?}");
}

/// `11-leading-zero-id.csv` of `test/vectors/attacks/csv`.
#[test]
fn leading_zeros_are_part_of_an_identifier() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/attacks/csv/11-leading-zero-id.csv");
    let mapping = "confirmed = true\ntable = { delimiter = \",\", encoding = \"utf-8\", decimal = \".\", \
                       patient = { column = \"patient_id\", system = \"urn:test\" } }\n\
                       [[map]]\nresource = \"Patient\"\nkey = []\nset.active = { const = true }\n";
    let mapping = Mapping::parse(mapping).expect("mapping");
    let bytes = std::fs::read(path).expect("case");
    let rows = standardize_table(&bytes, &mapping, "s", &Tables::shipped()).expect("rows");
    let records = rows.into_iter().flat_map(|row| row.expect("a row").0.records);
    let patients = records.filter(|record| record.resource_type == "Patient");
    let ids: std::collections::BTreeSet<[u8; 16]> = patients.map(|r| r.stable_id).collect();
    assert_eq!(ids.len(), 2, "two patients");
}

/// A row may point to what another map makes of it, and bring its own unit.
#[test]
fn rows_refer_to_records_and_bring_their_units() {
    let mapping = r#"
confirmed = true
table = { delimiter = ",", encoding = "utf-8", decimal = ".", patient = { column = "mrn", system = "urn:s" } }
[[map]]
resource = "Encounter"
key = ["visit"]
set.status = { const = "unknown" }
set.class = { system = "http://terminology.hl7.org/CodeSystem/v3-ActCode", code = "AMB" }
[[map]]
resource = "Observation"
key = ["visit", "=weight"]
set.status = { const = "final" }
set.code = { system = "http://loinc.org", code = "29463-7" }
set.valueQuantity = { column = "value", unit_column = "unit" }
set.encounter = { column = "visit", reference = "Encounter" }
"#;
    let mapping = Mapping::parse(mapping).expect("mapping");
    let text = "mrn,visit,value,unit\n1,v7,48.10,kg\n";
    let rows = standardize_table(text.as_bytes(), &mapping, "s", &Tables::shipped());
    let (done, _) = rows.expect("table").remove(0).expect("row");
    assert_eq!((done.coverage.mapped, done.coverage.raw), (4, 0));
    let of = |kind: &str| done.records.iter().find(|r| r.resource_type == kind).expect(kind);
    let encounter = of("Encounter").resource.str_at("id").expect("id");
    let observation = &of("Observation").resource;
    let want = format!("Encounter/{encounter}");
    assert_eq!(observation.str_at("encounter.reference"), Some(want.as_str()));
    assert_eq!(observation.str_at("valueQuantity.code"), Some("kg"));
    assert_eq!(observation.at("valueQuantity.value").and_then(Value::as_number), Some("48.10"));
}

#[test]
fn formats_are_followed_to_the_letter() {
    assert_eq!(by_format("5.3.2024 07:09", "%d.%m.%Y %H:%M").as_deref(), Some("202403050709"));
    for (text, format) in [("05/03/24", "%d/%m/%Y"), ("2024", "%Y-%m"), ("x", "%d"), ("07", "%H")] {
        assert_eq!(by_format(text, format), None, "{text}");
    }
}

/// Every row of the samples is mapped, by the mapping that is drafted for OMOP and by our own for NHANES.
#[test]
fn samples_are_mapped_row_by_row() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../test/samples/csv");
    let mut files: Vec<std::path::PathBuf> = std::fs::read_dir(folder.join("omop"))
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .collect();
    files.sort();
    files.push(folder.join("nhanes_2017_2018.csv"));
    let tables = Tables::shipped();
    let (mut rows, mut coverage) = (0, Coverage::default());
    for path in &files {
        let bytes = std::fs::read(path).expect("table");
        let drafted = draft(&bytes).expect("draft");
        assert!(Mapping::parse(&drafted).is_err(), "a draft is confirmed by a person");
        let mapping = match std::fs::read_to_string(path.with_extension("toml")) {
            Ok(text) => text,
            Err(_) => drafted.replace("confirmed = false", "confirmed = true"),
        };
        let mapping =
            Mapping::parse(&mapping).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let done = standardize_table(&bytes, &mapping, "urn:test:source", &tables).expect("table");
        for row in done {
            let (row, _) = row.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(row.records.iter().all(|r| validate(&r.resource).is_empty()));
            coverage.mapped += row.coverage.mapped;
            coverage.raw += row.coverage.raw;
            coverage.dropped += row.coverage.dropped;
            rows += 1;
        }
    }
    assert!(
        rows > 900 && coverage.dropped == 0 && coverage.mapped > rows * 4,
        "{rows} {coverage:?}"
    );
}
