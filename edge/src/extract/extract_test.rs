use super::*;
use crate::model::json::parse;
use crate::terminology::SNOMED;

fn said(text: &str, code: &str) -> Vec<Assertion> {
    let note = parse(br#"{"resourceType":"DocumentReference","status":"current"}"#).expect("json");
    let found = keywords(&note, text, &Terminology::shipped());
    found.into_iter().filter(|k| k.code == code).map(|k| k.assertion).collect()
}

const DIABETES: &str = "DOID:9351";
const INFARCTION: &str = "DOID:5844";

#[test]
fn context_decides() {
    let fever = "SYMP:0000613";
    for (text, code, want) in [
        ("The patient has fever.", fever, Assertion::Present),
        ("No fever.", fever, Assertion::Negated),
        ("Patient denies chest pain, cough or fever.", fever, Assertion::Negated),
        ("Denies cough but has fever.", fever, Assertion::Present),
        ("There is a family history of diabetes mellitus.", DIABETES, Assertion::Family),
        ("FAMILY HISTORY: Diabetes mellitus.", DIABETES, Assertion::Family),
        ("His mother had a heart attack.", INFARCTION, Assertion::Family),
        ("Possible heart attack.", INFARCTION, Assertion::Possible),
        ("History of heart attack.", INFARCTION, Assertion::Past),
        ("Past Medical History:\nheart attack", INFARCTION, Assertion::Past),
        ("He was admitted with a heart attack.", INFARCTION, Assertion::Present),
    ] {
        assert_eq!(said(text, code), [want], "{text}");
    }
}

#[test]
fn structured_codes_lead_to_preferred_concepts() {
    let condition = parse(
        br#"{"resourceType":"Condition","code":{"coding":[
            {"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"E11.9"},
            {"system":"http://snomed.info/sct","code":"44054006"}],"text":"Type 2 diabetes mellitus"}}"#,
    )
    .expect("json");
    let found = keywords(&condition, "", &Terminology::shipped());
    let diabetes = found.iter().find(|k| k.code == "DOID:9352").expect("diabetes");
    assert_eq!((diabetes.weight, diabetes.assertion), (5, Assertion::Present));
    assert!(
        found.iter().any(|k| k.system == SNOMED && k.code == "44054006" && k.display.is_empty())
    );
}

#[test]
fn status_decides_for_structured_codes() {
    let check = |status: &str, want: &[Assertion]| {
        let text = format!(
            r#"{{"resourceType":"Condition",{status},"code":{{"coding":[{{"system":"{ICD10CM}","code":"I21.9"}}]}}}}"#
        );
        let condition = parse(text.as_bytes()).expect("json");
        let got: Vec<Assertion> = keywords(&condition, "", &Terminology::shipped())
            .into_iter()
            .map(|k| k.assertion)
            .collect();
        assert_eq!(got, want, "{status}");
    };
    check(r#""verificationStatus":{"coding":[{"code":"refuted"}]}"#, &[Assertion::Negated]);
    check(r#""verificationStatus":{"coding":[{"code":"entered-in-error"}]}"#, &[]);
    check(r#""clinicalStatus":{"coding":[{"code":"resolved"}]}"#, &[Assertion::Past]);
    check(r#""clinicalStatus":{"coding":[{"code":"active"}]}"#, &[Assertion::Present]);
}

#[test]
fn words_of_a_search_become_codes() {
    let terms = Terminology::shipped();
    let has = |text, system: &str, code: &str| {
        query_terms(text, &terms).contains(&(system.to_owned(), code.to_owned()))
    };
    assert!(has("heart attack", DOID, INFARCTION));
    assert!(has("heart attack", DOID, "DOID:9408"), "narrower: acute myocardial infarction");
    assert!(
        has("type 2 diabetes", DOID, "DOID:9352"),
        "an incomplete name still finds its concept"
    );
    assert!(has("E11.9", DOID, "DOID:9352"));
    assert!(has("4548-4", LOINC, "4548-4"));
    assert!(query_terms("xyzzy", &terms).is_empty());
}
