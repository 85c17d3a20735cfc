//! A mapping file drafted from a table's header and first rows; a person corrects and confirms it.
use crate::ingest::csv;
use crate::model::Issue;

/// Rows that a draft looks at.
const DRAFT_ROWS: usize = 10_000;

/// Headers that tell what a column holds: words, the resource, the setting.
const SYNONYMS: [(&[&str], &str, &str); 14] = [
    (&["dob", "birth_date", "birthdate", "date_of_birth"], "Patient", "birthDate"),
    (&["sex", "gender"], "Patient", "gender"),
    (&["hgb", "hb", "hemoglobin"], "718-7", "g/dL"),
    (&["hba1c", "a1c"], "4548-4", "%"),
    (&["glucose", "glu"], "2345-7", "mg/dL"),
    (&["creatinine", "scr", "crea"], "2160-0", "mg/dL"),
    (&["bun", "urea_nitrogen"], "3094-0", "mg/dL"),
    (&["tg", "triglycerides"], "2571-8", "mg/dL"),
    (&["wt", "weight", "weight_kg"], "29463-7", "kg"),
    (&["ht", "height", "height_cm"], "8302-2", "cm"),
    (&["sodium", "na"], "2951-2", "mmol/L"),
    (&["potassium", "k"], "2823-3", "mmol/L"),
    (&["wbc", "leukocytes"], "6690-2", "10*3/uL"),
    (&["plt", "platelets"], "777-3", "10*3/uL"),
];

/// Headers of a patient's identifier.
const PATIENT_COLUMNS: [&str; 8] =
    ["mrn", "patient_id", "patientid", "person_id", "patient", "seqn", "subject_id", "id"];

/// Tables of the OMOP CDM 5.4, known by two columns that no other has together, and their mapping.
const OMOP: [([&str; 2], &str); 8] = [
    (["person_id", "year_of_birth"], include_str!("../../../data/csv/omop/person.toml")),
    (["person_id", "death_date"], include_str!("../../../data/csv/omop/death.toml")),
    (
        ["visit_concept_id", "visit_start_datetime"],
        include_str!("../../../data/csv/omop/visit_occurrence.toml"),
    ),
    (
        ["condition_concept_id", "condition_start_datetime"],
        include_str!("../../../data/csv/omop/condition_occurrence.toml"),
    ),
    (
        ["drug_concept_id", "drug_exposure_start_datetime"],
        include_str!("../../../data/csv/omop/drug_exposure.toml"),
    ),
    (
        ["measurement_concept_id", "measurement_datetime"],
        include_str!("../../../data/csv/omop/measurement.toml"),
    ),
    (
        ["observation_concept_id", "observation_datetime"],
        include_str!("../../../data/csv/omop/observation.toml"),
    ),
    (
        ["procedure_concept_id", "procedure_datetime"],
        include_str!("../../../data/csv/omop/procedure_occurrence.toml"),
    ),
];

/// Drafts a mapping: a table of the OMOP CDM has one already, others get one from header names and the first rows, with a
/// confidence per guess; unusable until a person confirms it.
///
/// # Errors
/// As [`csv::read`].
pub fn draft(bytes: &[u8]) -> Result<String, Issue> {
    let text = csv::decode(bytes, "utf-8")?;
    let first = text.lines().next().unwrap_or_default();
    let delimiter = [',', ';', '\t', '|'].into_iter().max_by_key(|d| first.matches(*d).count());
    let delimiter = delimiter.unwrap_or(',');
    let table = csv::read(&text, delimiter)?;
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let names: Vec<&str> = table.header.cells.iter().map(|name| name.trim()).collect();
    let omop = OMOP.iter().find(|(columns, _)| columns.iter().all(|c| names.contains(c)));
    if let Some((_, mapping)) = omop {
        return Ok((*mapping).to_owned());
    }
    let is_called = |name: &str, words: &[&str]| words.contains(&name.to_lowercase().as_str());
    let patient = PATIENT_COLUMNS
        .iter()
        .find_map(|word| names.iter().find(|name| name.to_lowercase() == **word));
    let mut out = format!(
        "# Drafted from {} rows. Read each line, correct it, then write true.\nconfirmed = false\n\
         table = {{ delimiter = {}, encoding = \"utf-8\", decimal = \".\", null = [\"\"], patient = {{ column = {}, system = \"urn:example:replace-me\" }} }}\n\
         unmapped = {{ policy = \"raw\" }}\n",
        table.rows.len().min(DRAFT_ROWS),
        quoted(&delimiter.to_string()),
        quoted(patient.copied().unwrap_or_default()),
    );
    for (at, name) in names.iter().enumerate() {
        let Some((_, what, how)) = SYNONYMS.iter().find(|(words, ..)| is_called(name, words))
        else {
            continue;
        };
        let cells: Vec<&str> = table
            .rows
            .iter()
            .take(DRAFT_ROWS)
            .filter_map(|row| row.cells.get(at).map(|cell| cell.trim()))
            .filter(|cell| !cell.is_empty())
            .collect();
        let numbers = cells.iter().filter(|cell| cell.parse::<f64>().is_ok()).count();
        let percent = (numbers * 100).checked_div(cells.len()).unwrap_or(0);
        if *what == "Patient" {
            out.push_str(&format!(
                "\n[[map]] # confidence: the header's name alone; declare its format or its values\n\
                 resource = \"Patient\"\nkey = []\nset.{how} = {{ column = {} }}\n",
                quoted(name)
            ));
            continue;
        }
        out.push_str(&format!(
            "\n[[map]] # confidence: the header's name, and {percent} % of its values are numbers; the unit is a guess\n\
             resource = \"Observation\"\nkey = [{}]\nwhen = {}\n\
             set.status = {{ const = \"unknown\" }}\nset.code = {{ system = \"http://loinc.org\", code = \"{what}\" }}\n\
             set.valueQuantity = {{ column = {}, unit = \"{how}\" }}\n",
            quoted(&format!("={name}")),
            quoted(&format!("{name} not null")),
            quoted(name),
        ));
    }
    Ok(out)
}
