use super::super::{DOID, Equivalence, ICD10CM, LOINC, RXNORM, SNOMED, Terminology};
use super::*;
use proptest::prelude::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(path, text).expect("written");
    }
    dir
}

fn loaded(kind: &str, dir: &tempfile::TempDir) -> System {
    let files: TermFiles = format!("{kind}={}", dir.path().display()).parse().expect("a setting");
    load(&files).expect("loaded")
}

/// Two disorders as an RF2 release writes them; numbers as SNOMED CT's, words are ours.
fn snomed() -> tempfile::TempDir {
    let concept = "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n\
        64572001\t20240301\t1\tm\td\n22298006\t20240301\t1\tm\td\n57054005\t20240301\t1\tm\td\n999\t20240301\t0\tm\td\n";
    let description = "id\teffectiveTime\tactive\tmoduleId\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId\n\
        1\t20240301\t1\tm\t22298006\ten\t900000000000003001\tBroken heart engine (disorder)\tc\n\
        2\t20240301\t1\tm\t22298006\ten\t900000000000013009\tBroken heart engine\tc\n\
        3\t20240301\t1\tm\t22298006\ten\t900000000000013009\tHeart engine gone\tc\n\
        4\t20240301\t0\tm\t22298006\ten\t900000000000013009\tRetired words\tc\n\
        5\t20240301\t1\tm\t57054005\ten\t900000000000003001\tSudden broken heart engine (disorder)\tc\n\
        6\t20240301\t1\tm\t64572001\ten\t900000000000003001\tAnything wrong (navigational concept)\tc\n\
        7\tcut line\n";
    let language = "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\tacceptabilityId\n\
        a\t20240301\t1\tm\tr\t2\t900000000000548007\nb\t20240301\t1\tm\tr\t3\t900000000000549004\n";
    let relationship = "id\teffectiveTime\tactive\tmoduleId\tsourceId\tdestinationId\trelationshipGroup\ttypeId\tcharacteristicTypeId\tmodifierId\n\
        1\t20240301\t1\tm\t22298006\t64572001\t0\t116680003\tc\tm\n2\t20240301\t1\tm\t57054005\t22298006\t0\t116680003\tc\tm\n\
        3\t20240301\t1\tm\t57054005\t64572001\t0\t363698007\tc\tm\n4\t20240301\t0\tm\t57054005\t64572001\t0\t116680003\tc\tm\n";
    let map = "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\tmapGroup\tmapPriority\tmapRule\tmapAdvice\tmapTarget\tcorrelationId\tmapCategoryId\n\
        x\t20240301\t1\tm\t6011000124106\t22298006\t1\t1\tTRUE\tALWAYS\tI21.9\tc\tk\n\
        y\t20240301\t1\tm\t6011000124106\t57054005\t1\t1\tIFA 445518008\tIF\tI22.9\tc\tk\n";
    folder(&[
        ("Snapshot/Terminology/sct2_Concept_Snapshot_US1000124_20240301.txt", concept),
        ("Snapshot/Terminology/sct2_Description_Snapshot-en_US1000124_20240301.txt", description),
        ("Snapshot/Terminology/sct2_Relationship_Snapshot_US1000124_20240301.txt", relationship),
        (
            "Snapshot/Refset/Language/der2_cRefset_LanguageSnapshot-en_US1000124_20240301.txt",
            language,
        ),
        ("Snapshot/Refset/Map/der2_iisssccRefset_ExtendedMapSnapshot_US1000124_20240301.txt", map),
    ])
}

#[test]
fn snomed_gives_names_hierarchy_and_maps() {
    let system = loaded("snomed", &snomed());
    assert_eq!((system.len(), system.source.version.as_str()), (3, "20240301"));
    assert_eq!(system.display("22298006"), Some("Broken heart engine"));
    assert_eq!(system.display("57054005"), Some("Sudden broken heart engine (disorder)"));
    assert_eq!(system.display("999"), None);
    let names: Vec<&str> = system.names().map(|(name, _)| name).collect();
    assert!(names.contains(&"Heart engine gone") && !names.contains(&"Retired words"));
    assert!(names.iter().all(|name| !name.starts_with("Anything")));

    let terms = Terminology::with(vec![system]);
    assert_eq!(terms.display(SNOMED, "22298006"), Some("Broken heart engine"));
    let heart = terms.preferred(SNOMED, "22298006");
    assert_eq!((heart.code.as_str(), heart.equivalence), ("DOID:5844", Equivalence::Wider));
    let sudden = terms.preferred(SNOMED, "57054005");
    assert_eq!(sudden.code, "57054005", "a map that asks about the patient is not followed");
    assert_eq!(terms.ancestors(SNOMED, "57054005"), ["22298006", "64572001"]);
    assert_eq!(terms.narrower(SNOMED, "64572001"), ["22298006", "57054005"]);
    let to_icd = terms.translate(SNOMED, "22298006", ICD10CM);
    assert_eq!((to_icd[0].code.as_str(), to_icd[0].equivalence), ("I21.9", Equivalence::Wider));
    let found = terms.find(&super::super::normalise::tokens("a heart engine gone, sadly"));
    assert_eq!(found[0].0.code, "DOID:5844");
    assert_ne!(terms.id(), Terminology::shipped().id(), "another terminology has another id");
    assert_eq!(terms.id(), Terminology::with(vec![loaded("snomed", &snomed())]).id());
}

#[test]
fn rxnorm_leads_from_brands_and_drugs_to_ingredients() {
    let row =
        |code: &str, kind: &str, name: &str, suppress: &str| {
            format!("{code}|ENG|P|L|PF|S|Y|A|||C|RXNORM|{kind}|{code}|{name}||{suppress}||\n")
                .replacen("|||C|RXNORM", "|||C|RXNORM", 1)
        };
    let conso = [
        row("1191", "IN", "Aspirin", "N"),
        row("202", "BN", "Painaway", "N"),
        row("315", "SCDC", "Aspirin 325 MG", "N"),
        row("212", "SCD", "Aspirin 325 MG Oral Tablet", "N"),
        row("77", "IN", "Otherin", "N"),
        row("900", "SCD", "Aspirin / Otherin Oral Tablet", "N"),
        row("901", "SCDC", "Otherin 5 MG", "N"),
        row("400", "IN", "Withdrawn", "O"),
    ]
    .concat();
    let rel = |right: &str, left: &str, how: &str| {
        format!("{right}||CUI|RO|{left}||CUI|{how}|1||RXNORM|RXNORM|||||\n")
    };
    let relations = [
        rel("1191", "202", "tradename_of"),
        rel("1191", "315", "has_ingredient"),
        rel("315", "212", "consists_of"),
        rel("77", "901", "has_ingredient"),
        rel("315", "900", "consists_of"),
        rel("901", "900", "consists_of"),
    ]
    .concat();
    let dir = folder(&[("rrf/RXNCONSO.RRF", &conso), ("rrf/RXNREL.RRF", &relations)]);
    let terms = Terminology::with(vec![loaded("rxnorm", &dir)]);
    for (code, want, equivalence) in [
        ("1191", "1191", Equivalence::Equivalent),
        ("202", "1191", Equivalence::Wider),
        ("212", "1191", Equivalence::Wider),
        ("900", "900", Equivalence::Equivalent),
    ] {
        let got = terms.preferred(RXNORM, code);
        assert_eq!((got.code.as_str(), got.equivalence), (want, equivalence), "{code}");
    }
    assert_eq!(terms.parents(RXNORM, "900"), ["1191", "77"]);
    let aspirin = terms.find(&super::super::normalise::tokens("took Painaway"));
    assert_eq!(aspirin[0].0.code, "1191", "the gap of the shipped list is closed");
    assert_eq!(terms.display(RXNORM, "400"), None);
}

#[test]
fn loinc_icd_cvx_and_tables() {
    let loinc = folder(&[(
        "Loinc.csv",
        "\"LOINC_NUM\",\"COMPONENT\",\"CLASS\",\"STATUS\",\"SHORTNAME\",\"LONG_COMMON_NAME\",\"VersionLastChanged\"\n\
         \"4548-4\",\"x\",\"CHEM\",\"ACTIVE\",\"short, it is\",\"A long \"\"common\"\" name\",\"2.73\"\n\
         \"1-8\",\"y\",\"CHEM\",\"ACTIVE\",\"\",\"Another\",\"2.9\"\n",
    )]);
    let system = loaded("loinc", &loinc);
    assert_eq!(system.display("4548-4"), Some("A long \"common\" name"));
    assert_eq!((system.source.version.as_str(), system.names().count()), ("2.9", 0));
    let terms = Terminology::with(vec![system]);
    assert_eq!(terms.display(LOINC, "1-8"), Some("Another"));

    let line = |number: usize, code: &str, title: &str| {
        format!("{number:05} {code:<7} 1 {:<60} {title}\n", "short")
    };
    let order = [line(1, "E11", "Sugar"), line(2, "E119", "Sugar without more")].concat();
    let tabular = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY y \"z\">]><ICD10CM.tabular><diag><name>E11</name><desc>Sugar</desc>\
         <diag><name>E11.9</name><desc>no</desc><inclusionTerm><note>Sweet blood</note></inclusionTerm></diag></diag></ICD10CM.tabular>";
    let cms = folder(&[("icd10cm_order_2024.txt", &order), ("icd10cm_tabular_2024.xml", tabular)]);
    let system = loaded("icd10cm", &cms);
    assert_eq!(system.display("E11.9"), Some("Sugar without more"));
    assert_eq!(system.parents("E11.9").collect::<Vec<_>>(), ["E11"]);
    assert!(system.names().any(|(name, code)| (name, code) == ("Sweet blood", "E11.9")));
    let terms = Terminology::with(vec![system]);
    assert_eq!(terms.preferred(ICD10CM, "E11.9").system, DOID);

    let claml = "<ClaML version=\"2.0.0\"><Title name=\"ICD\" version=\"2019\">x</Title>\
         <Class code=\"I\" kind=\"chapter\"><Rubric kind=\"preferred\"><Label>Chapter</Label></Rubric></Class>\
         <Class code=\"A00\" kind=\"category\"><SuperClass code=\"I\"/><Rubric kind=\"preferred\"><Label>Ill <b>ness</b></Label></Rubric>\
         <Rubric kind=\"inclusion\"><Label>Badly</Label></Rubric></Class></ClaML>";
    let system = loaded("icd@urn:national", &folder(&[("icd.xml", claml)]));
    assert_eq!(
        (system.source.system.as_str(), system.source.version.as_str()),
        ("urn:national", "2019")
    );
    assert_eq!(system.names().collect::<Vec<_>>(), [("Ill ness", "A00"), ("Badly", "A00")]);
    assert_eq!(system.children("I").collect::<Vec<_>>(), ["A00"]);

    let system = loaded("cvx", &folder(&[("cvx.txt", "08 |HepB|hepatitis B vaccine|n|Active\n")]));
    assert_eq!(system.display("08"), Some("hepatitis B vaccine"));
    let tsv =
        "code\tdisplay\tsynonyms\tparent\nL1\tour test\tmy test|mine\tL0\nL0\tall tests\t\t\n";
    let system = loaded("table@urn:lab", &folder(&[("lab_20240101.tsv", tsv)]));
    assert_eq!(system.source.version, "20240101");
    let terms = Terminology::with(vec![system]);
    assert_eq!(terms.find(&super::super::normalise::tokens("My test"))[0].0.system, "urn:lab");
    assert_eq!(terms.ancestors("urn:lab", "L1"), ["L0"]);
}

#[test]
fn settings_and_foreign_files_are_refused_with_a_sentence() {
    for (text, why) in [("snomed", "KIND=PATH"), ("umls=/x", "snomed, loinc"), ("table=/x", "URI")]
    {
        assert!(text.parse::<TermFiles>().expect_err("refused").contains(why), "{text}");
    }
    for (kind, name, text, why) in [
        ("snomed", "readme.txt", "", "no file sct2_Concept_Snapshot"),
        ("loinc", "Loinc.csv", "a,b\n1,2\n", "no column"),
        ("loinc", "Loinc.csv", "\"open", "quote"),
        ("rxnorm", "x", "", "RXNCONSO"),
        ("icd10cm", "icd10cm_order.txt", "hello\n", "line 1"),
        ("icd", "x.xml", "<a/>", "ClaML"),
        ("icd", "x.xml", "<a", "not XML"),
        ("cvx", "cvx.txt", "one|two\n", "line 1"),
        ("cvx", "cvx.txt", "", "no code"),
        ("table@urn:x", "x.tsv", "code\tname\n", "no column display"),
        ("table@urn:x", "x.tsv", "code\tdisplay\tsynonyms\tparent\n", "no code"),
    ] {
        let dir = folder(&[(name, text)]);
        let files: TermFiles = format!("{kind}={}", dir.path().display()).parse().expect("setting");
        let error = load(&files).expect_err("refused").to_string();
        assert!(error.contains(why), "{kind} {text:?}: {error}");
    }
    let missing: TermFiles = "cvx=/nowhere/at/all".parse().expect("setting");
    assert!(matches!(load(&missing), Err(EdgeError::Io { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in a file, it is loaded or refused.
    #[test]
    fn any_text_is_loaded_or_refused(
        kind in 0usize..7,
        text in "(code|display|synonyms|parent|LOINC_NUM|id|active|<ClaML>|<diag>|00001 E119    1|RXNORM|N|[|\t\n\",<>/a-zé0-9 ]){0,60}",
    ) {
        let (kind, names): (&str, &[&str]) = [
            ("snomed", &["sct2_Concept_Snapshot_1.txt", "sct2_Description_Snapshot_1.txt"][..]),
            ("loinc", &["Loinc.csv"]),
            ("rxnorm", &["RXNCONSO.RRF", "RXNREL.RRF"]),
            ("icd10cm", &["icd10cm.txt", "icd10cm.xml"]),
            ("icd", &["x.xml"]),
            ("cvx", &["cvx.txt"]),
            ("table@urn:x", &["x.tsv"]),
        ][kind];
        let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, text.as_str())).collect();
        let dir = folder(&files);
        let files: TermFiles = format!("{kind}={}", dir.path().display()).parse().expect("setting");
        if let Ok(system) = load(&files) {
            prop_assert!(!system.is_empty());
            for (_, code) in system.names() {
                prop_assert!(system.display(code).is_some());
            }
        }
    }
}
