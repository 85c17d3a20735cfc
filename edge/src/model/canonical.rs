//! `msnet-c14n/1`: the bytes of a resource that are hashed.
//!
//! UTF-8 JSON without white space; members sorted and strings escaped as in RFC 8785 (names by their UTF-16 code units);
//! **numbers copied digit for digit**, because in FHIR 1.0 is not 1 and RFC 8785 would make it so. Equal to RFC 8785
//! wherever numbers are already in their ECMAScript form.
use super::json::{Value, write_string};

/// The canonical bytes of a value.
pub fn to_bytes(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    write(value, &mut out);
    out.into_bytes()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => write_object(members, out),
        scalar => scalar.write_to(out),
    }
}

fn write_object(members: &[(String, Value)], out: &mut String) {
    let mut sorted: Vec<&(String, Value)> = members.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;
    use proptest::prelude::*;

    const JCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/jcs");

    /// Equal byte for byte once the only number not in ECMAScript form, `56.0`, is written as RFC 8785 wants it.
    /// (`values.json` is about number forms alone, which we copy, and is left out.)
    #[test]
    fn vectors_of_rfc_8785() {
        for name in ["arrays", "french", "structures", "unicode", "weird"] {
            let input = std::fs::read(format!("{JCS}/input/{name}.json")).expect("vector");
            let output =
                std::fs::read_to_string(format!("{JCS}/output/{name}.json")).expect("vector");
            let got = to_bytes(&json::parse(&input).expect("vectors parse"));
            let got = String::from_utf8(got).expect("UTF-8");
            assert_eq!(got.replace(":56.0,", ":56,"), output, "{name}");
        }
    }

    #[test]
    fn numbers_stay_as_written() {
        let value = json::parse(br#"{"b":1.0,"a":[1E3,-0,0.10]}"#).expect("json");
        assert_eq!(to_bytes(&value), br#"{"a":[1E3,-0,0.10],"b":1.0}"#);
    }

    proptest! {
        #[test]
        fn canonical_is_a_fixed_point(value in json::tests::any_value()) {
            let bytes = to_bytes(&value);
            let again = json::parse(&bytes).expect("own output parses");
            prop_assert_eq!(to_bytes(&again), bytes);
        }
    }
}
