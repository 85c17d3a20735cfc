#![expect(clippy::indexing_slicing, reason = "a test that indexes wrongly fails, as it should")]
use super::*;
use proptest::prelude::*;

const MESSAGE: &str = "MSH|^~\\&|LAB|A|||20240101||ORU^R01|1|P|2.5.1\rPID|1||7^^^A&1.2&ISO~8||Doe&van^Jo\rOBX|1|ST|x||a\\F\\b\\.br\\c|\"\"||\r";

fn text(
    message: &Message<'_>,
    node: impl Fn(Segment<'_>) -> Node<'_>,
    segment: &str,
) -> Option<String> {
    let mut issues = Vec::new();
    node(message.segment(segment)?).text(&mut issues)
}

#[test]
fn fields_count_as_the_standard_does() {
    let (message, issues) = Message::parse(MESSAGE.as_bytes()).expect("message");
    assert!(issues.is_empty());
    assert_eq!(text(&message, |s| s.field(3), "MSH").as_deref(), Some("LAB"));
    assert_eq!(text(&message, |s| s.field(9).component(2), "MSH").as_deref(), Some("R01"));
    assert_eq!(
        text(&message, |s| s.field(3).component(4).subcomponent(2), "PID").as_deref(),
        Some("1.2")
    );
    assert_eq!(
        text(&message, |s| s.field(5).component(1).subcomponent(2), "PID").as_deref(),
        Some("van")
    );
    assert_eq!(text(&message, |s| s.field(99), "PID"), None);
    let pid = message.segment("PID").expect("PID");
    assert_eq!(pid.field(3).repetitions().count(), 2);
}

#[test]
fn escapes_null_and_empty() {
    let (message, _) = Message::parse(MESSAGE.as_bytes()).expect("message");
    assert_eq!(text(&message, |s| s.field(5), "OBX").as_deref(), Some("a|b\nc"));
    let obx = message.segment("OBX").expect("OBX");
    assert!(obx.field(6).is_null() && !obx.field(6).is_valued());
    assert!(!obx.field(7).is_null() && !obx.field(7).is_valued());
}

#[test]
fn bad_escapes_stay_literal_with_an_issue() {
    for value in ["a\\Q\\b", "a\\X4\\b", "open\\F"] {
        let bytes = format!("MSH|^~\\&|LAB|A|||1||ORU^R01|1|P|2.5.1\rNTE|1||{value}\r");
        let (message, _) = Message::parse(bytes.as_bytes()).expect("message");
        let mut issues = Vec::new();
        let nte = message.segment("NTE").expect("NTE");
        assert_eq!(nte.field(3).text(&mut issues).as_deref(), Some(value));
        assert_eq!(issues.len(), 1, "{value}");
    }
}

#[test]
fn leaves_are_the_non_empty_parts() {
    let (message, _) = Message::parse(b"MSH|^~\\&|A||B&&C^^D~E\rZZZ|||x").expect_or_type();
    let leaves: Vec<String> = message
        .leaves()
        .into_iter()
        .map(|range| String::from_utf8_lossy(&message.bytes()[range]).into_owned())
        .collect();
    assert_eq!(leaves, ["|", "^~\\&", "A", "B", "C", "D", "E", "MSG", "x"]);
}

trait ExpectOrType<'a> {
    fn expect_or_type(self) -> (Message<'a>, Vec<Issue>);
}
impl<'a> ExpectOrType<'a> for Result<(Message<'a>, Vec<Issue>), Issue> {
    /// The message above has no type, so it is refused; the same with one is read.
    fn expect_or_type(self) -> (Message<'a>, Vec<Issue>) {
        assert_eq!(self.expect_err("no type").rule, "hl7v2-message-type");
        Message::parse(b"MSH|^~\\&|A||B&&C^^D~E||||MSG\rZZZ|||x").expect("message")
    }
}

#[test]
fn batches_are_split_and_counted() {
    let one = "MSH|^~\\&|A||||||ADT^A01|1|P|2.5\rPID|1\r";
    let batch = format!("FHS|^~\\&\rBHS|^~\\&\r{one}{one}BTS|3\rFTS|1\r");
    let mut issues = Vec::new();
    let parts = split(batch.as_bytes(), &mut issues).expect("batch");
    assert_eq!(parts, [one.as_bytes(), one.as_bytes()]);
    assert_eq!(issues.len(), 1);
    assert_eq!(issues[0].rule, "hl7v2-batch-count");
}

#[test]
fn bytes_have_paths() {
    let text = "MSH|^~\\&|A|B|||||ADT^A01\rPID|1||7^^^X&1.2&ISO~8^^^Y\rPID|2";
    let (message, _) = Message::parse(text.as_bytes()).expect("message");
    for (part, want) in [
        ("|^~", "MSH[1]-1"),
        ("A|B", "MSH[1]-3"),
        ("A01", "MSH[1]-9.2"),
        ("7^^^X", "PID[1]-3"),
        ("1.2&", "PID[1]-3.4.2"),
        ("Y\r", "PID[1]-3[2].4"),
    ] {
        assert_eq!(message.path_at(text.find(part).expect("part")), want);
    }
    assert_eq!(message.path_at(text.len() - 1), "PID[2]-1");
}

proptest! {
    #[test]
    fn any_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        for head in [&b""[..], b"MSH", b"MSH|^~\\&|A||||||ORU^R01|1|P|2.5\r"] {
            let bytes = [head, &tail].concat();
            let mut issues = Vec::new();
            let _ = split(&bytes, &mut issues);
            let Ok((message, _)) = Message::parse(&bytes) else { continue };
            for segment in message.segments() {
                for number in 0..8 {
                    let field = segment.field(number);
                    let _ = field.text(&mut issues);
                    for repetition in field.repetitions() {
                        let _ = repetition.component(2).subcomponent(2).text(&mut issues);
                    }
                }
            }
            let leaves = message.leaves();
            prop_assert!(leaves.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }

    /// What is written with escapes is read back as it was.
    #[test]
    fn escape_round_trip(value in "[a-z|^~\\\\&]{1,30}") {
        let escaped: String = value.chars().map(|c| match c {
            '|' => "\\F\\".to_owned(),
            '^' => "\\S\\".to_owned(),
            '~' => "\\R\\".to_owned(),
            '\\' => "\\E\\".to_owned(),
            '&' => "\\T\\".to_owned(),
            other => other.to_string(),
        }).collect();
        let bytes = format!("MSH|^~\\&|A||||||ORU^R01|1|P|2.5\rNTE|1||{escaped}\r");
        let (message, _) = Message::parse(bytes.as_bytes()).expect("message");
        let mut issues = Vec::new();
        let nte = message.segment("NTE").expect("NTE");
        prop_assert_eq!(nte.field(3).text(&mut issues), Some(value));
    }
}
