use super::*;
use crate::model::json;

const ATTACKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/attacks");

fn rule(declared: Option<Form>, bytes: &[u8]) -> &'static str {
    read("s", declared, bytes).expect_err("refused").rule
}

#[test]
fn forms_are_detected_and_never_guessed() {
    let form = |bytes: &[u8]| read("s", None, bytes).expect("items")[0].form;
    assert_eq!(form(b"MSH|^~\\&|\r"), Form::Hl7v2);
    assert_eq!(form(b"\xef\xbb\xbf {}"), Form::FhirJson);
    assert_eq!(form(b"<a/>"), Form::Ccda);
    assert_eq!(rule(None, b""), "empty");
    assert_eq!(rule(None, b"\x0bMSH|"), "mllp");
    assert_eq!(rule(None, b"hello"), "unknown-form");
    assert_eq!(rule(Some(Form::Ccda), b"{}"), "form-contradicts");
    assert_eq!(rule(Some(Form::Hl7v2), b"hello"), "form-contradicts");
    assert_eq!(read("s", Some(Form::Note), b"{ x").expect("note")[0].form, Form::Note);
    assert_eq!(declared_by_name("a/b.NDJSON"), Some(Form::FhirJson));
    assert_eq!(declared_by_name("README"), None);
}

#[test]
fn two_messages_are_two_items() {
    let message = "MSH|^~\\&|A||||||ADT^A01|1|P|2.5\rPID|1\r";
    let items = read("s", None, format!("{message}{message}").as_bytes()).expect("items");
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].item_id, items[1].item_id);
}

/// Hostile inputs by their manifests; what standardizing must refuse is tested there, in `standardize/attacks_test.rs`.
#[test]
fn hostile_xml() {
    let manifest = std::fs::read(format!("{ATTACKS}/xml/manifest.json")).expect("manifest");
    let manifest = json::parse(&manifest).expect("manifest");
    let mut judged = 0;
    for case in manifest.as_array().expect("cases") {
        let file = case.str_at("file").expect("file");
        let bytes = std::fs::read(format!("{ATTACKS}/xml/{file}")).expect("case");
        let screened = ccda::text(&bytes);
        let accepted = screened.and_then(|text| ccda::parse(&text).map(|_| ()));
        if case.str_at("expect") == Some("reject") {
            assert!(accepted.is_err(), "{file}");
            judged += 1;
        }
    }
    assert_eq!(judged, 23);
}
