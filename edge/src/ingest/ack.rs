//! Acknowledgements of HL7 v2 messages (HL7 v2.9, chapter 2, "message processing rules").
//!
//! | what became of it | original mode | MSH-15 or MSH-16 valued | ERR |
//! |---|---|---|---|
//! | stored, with or without warnings, or known already | AA | CA | – |
//! | its content is unusable; kept in quarantine | AE | CE | one a grave issue |
//! | unknown type, version or processing id, broken header, over a limit, or storage does not accept | AR | CR | one |
//!
//! MSH-15 says when to answer: AL always (also any other word), ER for errors, SU for success, NE never; where it is NE and
//! MSH-16 is valued, the answer is the application's (AA, AE, AR) by the rule of MSH-16. The answer is made of the sender's own separators
//! and of its application, facility, processing id, version and control id; nothing else of the message is quoted.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use super::hl7v2::{self, Delimiters};
use crate::model::{Issue, Severity};

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<'a> {
    /// It is on disk.
    Stored,
    /// Its content is unusable; the bytes are in quarantine.
    Unusable(&'a [Issue]),
    /// It is not taken, for the reason of the last issue.
    Refused(&'a [Issue]),
}

/// Longest field of the sender that is repeated in the answer; HL7 v2.9 allows 227 (HD).
const MAX_ECHO: usize = 512;
/// ERR segments of one answer; the first ones help, thousands would not.
const MAX_ERRORS: usize = 20;
/// Processing ids of table 0103.
const PROCESSING: [&[u8]; 3] = [b"P", b"T", b"D"];

/// Rules whose breach means that the sender has to send something else, or later: AR instead of AE.
const REJECTED: [&str; 10] = [
    "hl7v2-msh",
    "hl7v2-separators",
    "hl7v2-message-type",
    "hl7v2-version",
    "hl7v2-processing-id",
    "hl7v2-charset",
    "limit",
    "empty",
    "unknown-form",
    "form-contradicts",
];

/// Whether what refused a message is answered by AR: nothing is kept, the sender has to change something and send again.
pub fn is_rejected(issue: &Issue) -> bool {
    issue.severity == Severity::Fatal && REJECTED.contains(&issue.rule)
}

/// Version and processing id of a header, as a listener asks for them: a 2.x, and one of table 0103.
///
/// # Errors
/// The fatal issue that rejects the message. A header that cannot be read is not judged here.
pub fn check_header(message: &[u8]) -> Result<(), Issue> {
    let Some(header) = Header::read(message) else { return Ok(()) };
    let refuse = |rule, path, text| {
        let at = crate::model::At::path(path);
        Err(Issue::new(Severity::Fatal, "not-supported", rule, at, text))
    };
    let version = header.first_component(12);
    let is_known = matches!(version, [b'2', b'.', b'1'..=b'9', rest @ ..]
        if matches!(rest, [] | [b'.', b'0'..=b'9']));
    if !version.is_empty() && !is_known {
        return refuse("hl7v2-version", "MSH-12", "not a version 2.x");
    }
    let processing = header.first_component(11);
    if !processing.is_empty() && !PROCESSING.contains(&processing) {
        return refuse("hl7v2-processing-id", "MSH-11", "not a processing id of table 0103");
    }
    Ok(())
}

/// The answer to a message, without its frame; `None` if the sender wants none.
///
/// `number` names the answer (MSH-10), `now` is an HL7 time (MSH-7).
pub fn acknowledge(
    message: &[u8],
    outcome: Outcome<'_>,
    number: &str,
    now: &str,
) -> Option<Vec<u8>> {
    let header = Header::read(message).unwrap_or_default();
    let code = header.code(outcome)?;
    let Delimiters { field, component, repetition, escape, subcomponent } = header.delimiters;
    let mut out = Answer { bytes: Vec::new(), delimiters: header.delimiters };
    out.bytes.extend_from_slice(b"MSH");
    out.bytes.extend_from_slice(&[field, component, repetition, escape, subcomponent]);
    for from in [5, 6, 3, 4] {
        out.field(header.echo(from));
    }
    out.field(now.as_bytes());
    out.field(b"");
    let event = header.second_component(9);
    let kind = [&b"ACK"[..], event, b"ACK"].join(&component);
    out.field(if event.is_empty() { b"ACK" } else { &kind });
    out.field(number.as_bytes());
    out.field(or(header.echo(11), b"P"));
    out.field(or(header.echo(12), b"2.5.1"));
    out.bytes.extend_from_slice(b"\rMSA");
    out.field(code.as_bytes());
    out.field(header.echo(10));
    let issues = match outcome {
        Outcome::Stored => &[],
        Outcome::Unusable(issues) | Outcome::Refused(issues) => issues,
    };
    let grave = issues.iter().filter(|issue| issue.severity >= Severity::Error);
    // The one that refused the message stands last; it is told first.
    for issue in grave.rev().take(MAX_ERRORS) {
        if header.is_before_2_5() { out.old_error(issue) } else { out.error(issue) }
    }
    out.bytes.push(b'\r');
    Some(out.bytes)
}

/// An HL7 time (`YYYYMMDDHHMMSS+0000`) of seconds since 1970.
pub fn time_of(epoch_secs: u64) -> String {
    let (days, second) = (epoch_secs / 86_400, epoch_secs % 86_400);
    // Days since 0000-03-01, so that leap days stand at a year's end (H. Hinnant, "chrono-compatible date algorithms").
    let days = days.saturating_add(719_468);
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let leaps = day_of_era / 36_524;
    let year_of_era = (day_of_era
        .saturating_sub(day_of_era / 1_460)
        .saturating_add(leaps)
        .saturating_sub(day_of_era / 146_096))
        / 365;
    let before = year_of_era
        .saturating_mul(365)
        .saturating_add(year_of_era / 4)
        .saturating_sub(year_of_era / 100);
    let day_of_year = day_of_era.saturating_sub(before);
    let month = day_of_year.saturating_mul(5).saturating_add(2) / 153;
    let passed = month.saturating_mul(153).saturating_add(2) / 5;
    let day = day_of_year.saturating_sub(passed).saturating_add(1);
    let (month, next) =
        if month < 10 { (month.saturating_add(3), 0) } else { (month.saturating_sub(9), 1) };
    let year = era.saturating_mul(400).saturating_add(year_of_era).saturating_add(next);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}+0000")
}

fn or<'a>(text: &'a [u8], default: &'a [u8]) -> &'a [u8] {
    if text.is_empty() { default } else { text }
}

/// The fields of MSH that an answer needs.
struct Header<'a> {
    delimiters: Delimiters,
    fields: Vec<&'a [u8]>,
}

impl Default for Header<'_> {
    /// For an answer to something whose header cannot be read.
    fn default() -> Self {
        let delimiters = Delimiters {
            field: b'|',
            component: b'^',
            repetition: b'~',
            escape: b'\\',
            subcomponent: b'&',
        };
        Self { delimiters, fields: Vec::new() }
    }
}

impl<'a> Header<'a> {
    /// The first MSH of a message or batch.
    fn read(message: &'a [u8]) -> Option<Self> {
        let starts = std::iter::once(0)
            .chain(memchr::memchr2_iter(b'\r', b'\n', message).map(|at| at.saturating_add(1)));
        let lines = starts.filter_map(|start| message.get(start..));
        let line = lines.into_iter().find(|line| line.starts_with(b"MSH"))?;
        let (delimiters, fields) = hl7v2::header(line)?;
        Some(Self { delimiters, fields })
    }

    /// Field `number` of MSH; empty if it is not there.
    fn field(&self, number: usize) -> &'a [u8] {
        self.fields.get(number.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// A field as it may be repeated: short, printable ASCII.
    fn echo(&self, number: usize) -> &'a [u8] {
        let text = self.field(number);
        let is_plain = text.len() <= MAX_ECHO && text.iter().all(|b| matches!(b, b' '..=b'~'));
        if is_plain { text } else { b"" }
    }

    fn component(&self, number: usize, component: usize) -> &'a [u8] {
        let text = self.echo(number);
        let mut parts = text.split(|byte| *byte == self.delimiters.component);
        parts.nth(component).unwrap_or_default().trim_ascii()
    }

    fn first_component(&self, number: usize) -> &'a [u8] {
        self.component(number, 0)
    }

    fn second_component(&self, number: usize) -> &'a [u8] {
        self.component(number, 1)
    }

    fn is_before_2_5(&self) -> bool {
        matches!(self.first_component(12), [b'2', b'.', b'1'..=b'4', ..])
    }

    /// The code of MSA-1; `None` if no answer is wanted.
    fn code(&self, outcome: Outcome<'_>) -> Option<&'static str> {
        let (accept, application) = (self.first_component(15), self.first_component(16));
        let is_original = accept.is_empty() && application.is_empty();
        let is_wanted = |when: &[u8]| match when {
            b"NE" => false,
            b"ER" => outcome != Outcome::Stored,
            b"SU" => outcome == Outcome::Stored,
            _ => true,
        };
        let by_application = accept == b"NE" && !application.is_empty();
        let when = if by_application { application } else { accept };
        if !is_original && !is_wanted(when) {
            return None;
        }
        Some(match (outcome, is_original || by_application) {
            (Outcome::Stored, true) => "AA",
            (Outcome::Unusable(_), true) => "AE",
            (Outcome::Refused(_), true) => "AR",
            (Outcome::Stored, false) => "CA",
            (Outcome::Unusable(_), false) => "CE",
            (Outcome::Refused(_), false) => "CR",
        })
    }
}

struct Answer {
    bytes: Vec<u8>,
    delimiters: Delimiters,
}

impl Answer {
    fn field(&mut self, text: &[u8]) {
        self.bytes.push(self.delimiters.field);
        self.bytes.extend_from_slice(text);
    }

    /// Text of ours, its separators escaped.
    fn escaped(&self, text: &str) -> Vec<u8> {
        let Delimiters { field, component, repetition, escape, subcomponent } = self.delimiters;
        let mut out = Vec::new();
        for byte in text.bytes() {
            let letter = match byte {
                b if b == field => b'F',
                b if b == component => b'S',
                b if b == repetition => b'R',
                b if b == escape => b'E',
                b if b == subcomponent => b'T',
                b'\r' | b'\n' => b' ',
                other => {
                    out.push(other);
                    continue;
                }
            };
            if letter == b' ' { out.push(letter) } else { out.extend([escape, letter, escape]) }
        }
        out
    }

    /// `ERR||location|code|severity||||text`, from v2.5 on.
    fn error(&mut self, issue: &Issue) {
        let (number, name) = condition(issue);
        let component = [self.delimiters.component];
        self.bytes.extend_from_slice(b"\rERR");
        self.field(b"");
        let location =
            location(&issue.at.path).join(std::str::from_utf8(&component).unwrap_or("^"));
        self.field(location.as_bytes());
        self.field(&[number.as_bytes(), name.as_bytes(), b"HL70357"].join(&component[..]));
        self.field(b"E");
        for _ in 0..3 {
            self.field(b"");
        }
        let text = self.escaped(&issue.text);
        self.field(&text);
    }

    /// `ERR|segment^sequence^field^code&name&table`, before v2.5.
    fn old_error(&mut self, issue: &Issue) {
        let (number, name) = condition(issue);
        let Delimiters { component, subcomponent, .. } = self.delimiters;
        let mut parts: Vec<Vec<u8>> =
            location(&issue.at.path).into_iter().map(String::into_bytes).collect();
        parts.resize(3, Vec::new());
        parts.push([number.as_bytes(), name.as_bytes(), b"HL70357"].join(&[subcomponent][..]));
        self.bytes.extend_from_slice(b"\rERR");
        self.field(&parts.join(&[component][..]));
    }
}

/// Table 0357, message error conditions.
fn condition(issue: &Issue) -> (&'static str, &'static str) {
    match (issue.rule, issue.code) {
        ("hl7v2-message-type", "required") | (_, "required") => ("101", "Required field missing"),
        ("hl7v2-message-type", _) => ("200", "Unsupported message type"),
        ("hl7v2-version", _) => ("203", "Unsupported version id"),
        ("hl7v2-processing-id", _) => ("202", "Unsupported processing id"),
        ("hl7v2-no-pid3", _) => ("101", "Required field missing"),
        ("hl7v2-no-pid", _) | (_, "structure") => ("100", "Segment sequence error"),
        ("storage", _) => ("207", "Application error"),
        (_, "too-long") => ("104", "Value too long"),
        (_, "value" | "invalid") => ("102", "Data type error"),
        _ => ("207", "Application error"),
    }
}

/// `PID[1]-3[2].4.1` as the components of ERL: segment, sequence, field, repetition, component, subcomponent.
fn location(path: &str) -> Vec<String> {
    let (segment, rest) = path.split_once('-').unwrap_or((path, ""));
    let (name, sequence) = indexed(segment);
    let is_name =
        name.len() == 3 && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if !is_name {
        return Vec::new();
    }
    let mut out = vec![name.to_owned(), sequence.unwrap_or("1").to_owned()];
    let mut parts = rest.split('.');
    let (field, repetition) = indexed(parts.next().unwrap_or_default());
    if !field.is_empty() {
        out.extend([field.to_owned(), repetition.unwrap_or("1").to_owned()]);
        out.extend(parts.map(str::to_owned));
    }
    out
}

/// `PID[1]` as name and number.
fn indexed(text: &str) -> (&str, Option<&str>) {
    match text.split_once('[') {
        Some((name, rest)) => (name, rest.strip_suffix(']')),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::At;
    use proptest::prelude::*;

    fn answer(message: &str, outcome: Outcome<'_>) -> Option<String> {
        let bytes = acknowledge(message.as_bytes(), outcome, "N1", "20240305101112+0000")?;
        Some(String::from_utf8(bytes).expect("ASCII"))
    }

    fn issue(rule: &'static str, code: &'static str, path: &str) -> Issue {
        Issue::new(Severity::Fatal, code, rule, At::path(path), "one | of ours")
    }

    const SENT: &str = "MSH|^~\\&|LAB|A|EDGE|B|20240305||ORU^R01^ORU_R01|77|P|2.5.1\rPID|1\r";

    #[test]
    fn answers_read_as_the_standard_writes_them() {
        let stored = answer(SENT, Outcome::Stored).expect("an answer");
        assert_eq!(
            stored,
            "MSH|^~\\&|EDGE|B|LAB|A|20240305101112+0000||ACK^R01^ACK|N1|P|2.5.1\rMSA|AA|77\r"
        );
        let issues = [issue("hl7v2-no-pid3", "business-rule", "PID[1]-3[2].4.1")];
        let unusable = answer(SENT, Outcome::Unusable(&issues)).expect("an answer");
        assert!(unusable.contains("\rMSA|AE|77\r"), "{unusable}");
        let error =
            "\rERR||PID^1^3^2^4^1|101^Required field missing^HL70357|E||||one \\F\\ of ours\r";
        assert!(unusable.ends_with(error), "{unusable}");
        let refused = [issue("hl7v2-message-type", "not-supported", "MSH-9")];
        let old = SENT.replace("2.5.1", "2.3");
        let refused = answer(&old, Outcome::Refused(&refused)).expect("an answer");
        let error = "\rMSA|AR|77\rERR|MSH^1^9^200&Unsupported message type&HL70357\r";
        assert!(refused.ends_with(error), "{refused}");
    }

    #[test]
    fn enhanced_mode_answers_when_it_is_asked_to() {
        let bad = [issue("limit", "too-long", "")];
        let code = |accept: &str, application: &str, outcome| {
            let message = SENT.replace("|2.5.1", &format!("|2.5.1|||{accept}|{application}"));
            let text = answer(&message, outcome)?;
            Some(text.split("MSA|").nth(1)?[..2].to_owned())
        };
        for (accept, application, stored, refused) in [
            ("", "", Some("AA"), Some("AR")),
            ("AL", "NE", Some("CA"), Some("CR")),
            ("ER", "NE", None, Some("CR")),
            ("SU", "", Some("CA"), None),
            ("NE", "AL", Some("AA"), Some("AR")),
            ("NE", "ER", None, Some("AR")),
            ("NE", "", None, None),
            ("", "AL", Some("CA"), Some("CR")),
        ] {
            let got = code(accept, application, Outcome::Stored);
            assert_eq!(got.as_deref(), stored, "{accept} {application}");
            let got = code(accept, application, Outcome::Refused(&bad));
            assert_eq!(got.as_deref(), refused, "{accept} {application}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_read_is_answered_too() {
        let bad = [issue("hl7v2-msh", "structure", "")];
        let text = answer("GET / HTTP/1.1", Outcome::Refused(&bad)).expect("an answer");
        assert!(text.starts_with("MSH|^~\\&|||||") && text.contains("|ACK|N1|P|2.5.1\rMSA|AR|\r"));
        let odd = answer("MSH#*!%$#A\x1b#B\r", Outcome::Stored).expect("an answer");
        assert!(odd.starts_with("MSH#*!%$####B#"), "{odd}");
    }

    #[test]
    fn headers_are_judged() {
        let check = |from: &str, to: &str| check_header(SENT.replace(from, to).as_bytes());
        assert_eq!(check("", ""), Ok(()));
        assert_eq!(check("|P|2.5.1", "|T^A|2.9"), Ok(()));
        assert_eq!(check("2.5.1", "3.0").expect_err("refused").rule, "hl7v2-version");
        assert_eq!(check("|P|", "|X|").expect_err("refused").rule, "hl7v2-processing-id");
        assert_eq!(check_header(b"MSH"), Ok(()));
    }

    #[test]
    fn times_are_of_the_calendar() {
        for (secs, want) in [
            (0, "19700101000000+0000"),
            (951_782_400, "20000229000000+0000"),
            (1_709_633_472, "20240305101112+0000"),
            (4_102_444_799, "20991231235959+0000"),
        ] {
            assert_eq!(time_of(secs), want);
        }
    }

    proptest! {
        /// Whatever is answered, the answer is one frame of plain text with at least MSH and MSA.
        #[test]
        fn any_message_can_be_answered(tail in proptest::collection::vec(any::<u8>(), 0..120)) {
            for head in [&b""[..], b"MSH", b"MSH|^~\\&|A|B|C|D|1||ORU^R01|7|P|2.5||"] {
                let message = [head, &tail].concat();
                let issues = [issue("limit", "too-long", "PID[1]-3")];
                let _ = check_header(&message);
                if let Some(answer) = acknowledge(&message, Outcome::Refused(&issues), "1", "2024") {
                    prop_assert!(answer.iter().all(|b| matches!(b, b' '..=b'~' | b'\r')));
                    prop_assert!(hl7v2::Message::parse(&answer).is_ok());
                }
            }
        }
    }
}
