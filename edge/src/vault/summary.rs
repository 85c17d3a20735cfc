//! A record's summary: what others may see of it under an agreement or grant. Codes only, no text, no day.
//!
//! `{"format", "handle", "keywords": [{"code", "score"}], "kind", "prev"?, "type", "v", "year"?}` in canonical bytes; its
//! commitment stands in the leaf. Keywords are affirmed concepts as `system|code`, the strongest first, at most 32; the
//! score is the concept's weight up to 15.
use super::RecordMeta;
use crate::model::{Assertion, Keyword, canonical, json::Value};

const MAX_KEYWORDS: usize = 32;
const MAX_SCORE: u32 = 15;
/// Leaf format 1: `msnet-c14n/1` JSON.
const FORMAT: u32 = 1;
const DAY_SECS: i64 = 86_400;

/// The canonical bytes of a record's summary.
pub(super) fn to_bytes(meta: &RecordMeta, keywords: &[Keyword]) -> Vec<u8> {
    let number = |n: u32| Value::Number(n.to_string());
    let mut affirmed: Vec<&Keyword> = keywords
        .iter()
        .filter(|k| matches!(k.assertion, Assertion::Present | Assertion::Past))
        .collect();
    affirmed.sort_by(|a, b| {
        b.weight.cmp(&a.weight).then_with(|| (&a.system, &a.code).cmp(&(&b.system, &b.code)))
    });
    affirmed.dedup_by(|a, b| (&a.system, &a.code) == (&b.system, &b.code));
    let keywords = affirmed.into_iter().take(MAX_KEYWORDS).map(|keyword| {
        let code = format!("{}|{}", keyword.system, keyword.code);
        let score = keyword.weight.min(MAX_SCORE);
        Value::object([("code", Value::string(code)), ("score", number(score))])
    });
    let mut summary = Value::object([
        ("v", number(1)),
        ("handle", Value::string(meta.handle.to_string())),
        ("kind", number(meta.kind.code().into())),
        ("type", Value::string(meta.resource_type.clone())),
        ("format", number(FORMAT)),
        ("keywords", Value::Array(keywords.collect())),
    ]);
    if let Some(prev) = meta.prev {
        summary.set("prev", Value::string(prev.to_string()));
    }
    if let Some(date) = meta.date {
        summary.set("year", Value::Number(year(date).to_string()));
    }
    canonical::to_bytes(&summary)
}

/// The Gregorian year (UTC) of a moment, by the 400-year cycle of 146,097 days counted from 1 March 2000.
fn year(seconds: i64) -> i64 {
    let day = seconds.div_euclid(DAY_SECS) - 11_017;
    let (cycle, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    2000 + 400 * cycle + year + i64::from(day_of_year >= 306) // January and February end the year that began in March
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Handle, Kind, PatientNo};

    #[test]
    fn years_turn_at_midnight() {
        for (seconds, expected) in [
            (0, 1970),
            (-1, 1969),
            (946_684_799, 1999),
            (946_684_800, 2000),
            (951_782_400, 2000), // 29 February
            (1_798_761_599, 2026),
            (1_798_761_600, 2027),
            (-2_208_988_801, 1899),
            (-2_208_988_800, 1900),
        ] {
            assert_eq!(year(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_summary_holds_codes_and_a_year() {
        let keyword = |code: &str, assertion, weight| Keyword {
            system: "s".into(),
            code: code.into(),
            display: "Name of a disease".into(),
            assertion,
            weight,
        };
        let meta = RecordMeta {
            handle: Handle([0xab; 16]),
            prev: None,
            kind: Kind::Condition,
            patient_no: PatientNo(1),
            local_no: 1,
            resource_type: "Condition".into(),
            first_no: 1,
            quality: 0,
            date: Some(1_798_761_600),
            confidentiality: 0,
            current: true,
        };
        let keywords = [
            keyword("low", Assertion::Present, 1),
            keyword("high", Assertion::Present, 40),
            keyword("not", Assertion::Negated, 40),
        ];
        let text = String::from_utf8(to_bytes(&meta, &keywords)).expect("text");
        assert_eq!(
            text,
            r#"{"format":1,"handle":"abababababababababababababababab","keywords":[{"code":"s|high","score":15},{"code":"s|low","score":1}],"kind":3,"type":"Condition","v":1,"year":2027}"#
        );
    }
}
