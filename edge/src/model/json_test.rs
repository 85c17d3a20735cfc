use super::*;
use base64::Engine as _;
use proptest::prelude::*;

const VECTORS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../test/vectors/json/test_parsing.jsonl");

/// `expect: accept` cases of JSONTestSuite that fall to a rule of ours that is stricter than RFC 8259.
const STRICTER: [(&str, &str); 3] = [
    ("y_object_duplicated_key.json", "a duplicate member name"),
    ("y_object_duplicated_key_and_value.json", "a duplicate member name"),
    ("", ""),
];

#[test]
fn json_test_suite() {
    let lines = std::fs::read_to_string(VECTORS).expect("vectors");
    let (mut accepted, mut rejected) = (0, 0);
    for line in lines.lines() {
        let case = parse(line.as_bytes()).expect("the list itself is JSON");
        let name = case.str_at("name").expect("name");
        let encoded = case.str_at("base64").expect("base64");
        let text = base64::engine::general_purpose::STANDARD.decode(encoded).expect("base64");
        let result = parse(&text);
        match case.str_at("expect").expect("expect") {
            "accept" => match &result {
                Ok(_) => accepted += 1,
                Err(error) => assert!(
                    STRICTER.contains(&(name, error.rule)),
                    "{name} must be accepted, but: {error}"
                ),
            },
            "reject" => {
                assert!(result.is_err(), "{name} must be refused");
                rejected += 1;
            }
            _ => {}
        }
    }
    assert_eq!((accepted, rejected), (93, 188));
}

#[test]
fn errors_have_a_position_and_a_rule() {
    let cases: [(&[u8], &str, (usize, usize)); 8] = [
        (b"{\"a\":1,\n \"a\":2}", "a duplicate member name", (2, 2)),
        (b"\"\\ud800\"", "a lone surrogate", (1, 8)),
        (b"\"\\ud800\\u0041\"", "a lone surrogate", (1, 14)),
        (b"{} x", "text after the value", (1, 4)),
        (b"[01]", "a number that begins with 0", (1, 3)),
        (b"\"a\tb\"", "a control character inside a string", (1, 3)),
        (b"[1,]", "a character that starts no value", (1, 4)),
        (b"\xff", "bytes that are not UTF-8", (1, 1)),
    ];
    for (text, rule, position) in cases {
        let error = parse(text).expect_err(rule);
        assert_eq!((error.rule, (error.line, error.column)), (rule, position));
    }
}

#[test]
fn depth_is_bounded_exactly() {
    let nest = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(parse(&nest(MAX_DEPTH)).is_ok());
    let error = parse(&nest(MAX_DEPTH + 1)).expect_err("too deep");
    assert_eq!(error.rule, format!("more than {MAX_DEPTH} levels of nesting"));
    assert!(parse(&vec![b'['; 1 << 20]).is_err());
}

#[test]
fn breadth_is_bounded() {
    let many = format!("[{}0]", "0,".repeat(MAX_ITEMS));
    let error = parse(many.as_bytes()).expect_err("too many");
    assert_eq!(error.rule, format!("more than {MAX_ITEMS} items in an array"));
    let members: Vec<String> = (0..=MAX_MEMBERS).map(|n| format!("\"{n}\":0")).collect();
    let error = parse(format!("{{{}}}", members.join(",")).as_bytes()).expect_err("too many");
    assert_eq!(error.rule, format!("more than {MAX_MEMBERS} members in an object"));
}

#[test]
fn paths_and_edits() {
    let mut value = parse(br#"{"code":{"coding":[{"code":"E11.9"}]},"n":1.50}"#).expect("json");
    assert_eq!(value.str_at("code.coding.0.code"), Some("E11.9"));
    assert_eq!(value.at("n").and_then(Value::as_number), Some("1.50"));
    assert_eq!(value.at("code.coding.1.code"), None);
    value.set("n", Value::Null);
    value.push("list", "x".into());
    value.push("list", "y".into());
    assert!(value.remove("code").is_some());
    assert_eq!(value.to_string(), r#"{"n":null,"list":["x","y"]}"#);
}

/// Any JSON value that our reader accepts.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?".prop_map(Value::Number),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            proptest::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn print_then_parse_is_the_same(value in any_value()) {
        prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value));
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn json_like_text_never_panics(text in "[\\[\\]{}\",:0-9eE.\\\\u+\\- tfn]{0,80}") {
        let _ = parse(text.as_bytes());
    }
}
