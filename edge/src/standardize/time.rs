//! HL7 times (v2 DTM, CDA TS) → FHIR dates and times, with the precision that was sent and no zone that was not.
//!
//! `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]`. FHIR wants a zone as soon as there is a clock time; where neither the value nor
//! its message names one, the value is cut to the day and reported as cut, so that the caller can keep the original text.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// A time as FHIR writes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FhirTime {
    /// `2024`, `2024-03`, `2024-03-05` or `2024-03-05T10:11:12.5+01:00`.
    pub(crate) text: String,
    /// Whether a clock time was sent that could not be kept.
    pub(crate) cut: bool,
}

impl FhirTime {
    /// The date alone.
    pub(crate) fn date(&self) -> String {
        self.text.split('T').next().unwrap_or_default().to_owned()
    }

    /// Whether it has clock time and zone (FHIR `instant`).
    pub(crate) fn is_instant(&self) -> bool {
        self.text.contains('T')
    }
}

/// Reads an HL7 time; `zone` is the offset to use when the value has none, such as that of MSH-7.
///
/// `None` if it is no time: month 13, 30 February, an offset beyond 14 hours.
pub(crate) fn from_hl7(text: &str, zone: Option<&str>) -> Option<FhirTime> {
    let text = text.trim();
    let sign = text.find(['+', '-']);
    let (digits, own_zone) = text.split_at_checked(sign.unwrap_or(text.len()))?;
    let own_zone = if own_zone.is_empty() { None } else { Some(fhir_zone(own_zone)?) };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |s: &str| s.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let two = |at: usize| whole.get(at..at.saturating_add(2))?.parse::<u8>().ok();
    let year: u16 = whole.get(..4)?.parse().ok().filter(|year| *year > 0)?;
    let year_text = whole.get(..4)?;
    let done = |text: String, cut| Some(FhirTime { text, cut });
    if whole.len() == 4 {
        return done(year_text.to_owned(), false);
    }
    let month = two(4).filter(|month| (1..=12).contains(month))?;
    if whole.len() == 6 {
        return done(format!("{year_text}-{month:02}"), false);
    }
    let day = two(6).filter(|day| (1..=days_in(year, month)).contains(day))?;
    let date = format!("{year_text}-{month:02}-{day:02}");
    if whole.len() == 8 {
        return done(date, false);
    }
    let hour = two(8).filter(|hour| *hour < 24)?;
    let minute = match whole.len() {
        10 => None,
        _ => Some(two(10).filter(|minute| *minute < 60)?),
    };
    let second = match whole.len() {
        10 | 12 => 0,
        14 => two(12).filter(|second| *second <= 60)?,
        _ => return None,
    };
    let zone = own_zone.or_else(|| zone.and_then(fhir_zone));
    let (Some(minute), Some(zone)) = (minute, zone) else {
        // A bare midnight is how many systems write a day.
        return done(date, hour != 0 || minute.is_some_and(|m| m != 0) || second != 0);
    };
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    done(format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"), false)
}

/// The offset of an HL7 time, `+0115`, if it has one.
pub(crate) fn zone_of(text: &str) -> Option<&str> {
    text.find(['+', '-']).and_then(|at| text.get(at..)).filter(|zone| fhir_zone(zone).is_some())
}

/// `+0115` → `+01:15`.
fn fhir_zone(zone: &str) -> Option<String> {
    let (sign, digits) = zone.split_at_checked(1)?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (h, m): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (h < 14 && m < 60 || h == 14 && m == 0).then(|| format!("{sign}{hours}:{minutes}"))
}

fn days_in(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Seconds since 1970 UTC of a FHIR date, dateTime or instant; the beginning of what is imprecise.
pub(crate) fn epoch_seconds(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let year = parts.next().flatten()?;
    let month = parts.next().flatten().unwrap_or(1);
    let day = parts.next().flatten().unwrap_or(1);
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut seconds = days_since_1970(year, month, day)?.checked_mul(86_400)?;
    if time.is_empty() {
        return Some(seconds);
    }
    let (clock, zone) = match time.find(['Z', '+', '-']) {
        Some(at) => time.split_at_checked(at)?,
        None => (time, "Z"),
    };
    let units = [3_600i64, 60, 1];
    for (part, unit) in clock.split(':').zip(units) {
        let whole = part.split('.').next()?.parse::<i64>().ok()?;
        seconds = seconds.checked_add(whole.checked_mul(unit)?)?;
    }
    let mut offset = 0i64;
    for (part, unit) in zone.get(1..)?.split(':').zip(units).filter(|(part, _)| !part.is_empty()) {
        offset = offset.checked_add(part.parse::<i64>().ok()?.checked_mul(unit)?)?;
    }
    if zone.starts_with('-') { seconds.checked_add(offset) } else { seconds.checked_sub(offset) }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; years are counted from March, so that leap days come last.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let from_march = month.checked_add(9)?.checked_rem(12)?;
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let leap_days = year
        .checked_div(4)?
        .checked_sub(year.checked_div(100)?)?
        .checked_add(year.checked_div(400)?)?;
    let in_year = from_march.checked_mul(153)?.checked_add(2)?.checked_div(5)?.checked_add(day)?;
    // 719_469 days lie between 0000-02-29 and 1970-01-01.
    year.checked_mul(365)?.checked_add(leap_days)?.checked_add(in_year)?.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn precision_is_kept_and_zones_are_not_invented() {
        for (text, zone, want, cut) in [
            ("2024", None, "2024", false),
            ("202403", None, "2024-03", false),
            ("20240305", None, "2024-03-05", false),
            ("2024030510", Some("+0100"), "2024-03-05", true),
            ("202403051011", None, "2024-03-05", true),
            ("20240305000000", None, "2024-03-05", false),
            ("202403051011", Some("+0100"), "2024-03-05T10:11:00+01:00", false),
            ("20240305101112.50-0500", Some("+0100"), "2024-03-05T10:11:12.50-05:00", false),
        ] {
            let got = from_hl7(text, zone).expect(text);
            assert_eq!((got.text.as_str(), got.cut), (want, cut), "{text}");
        }
        for text in [
            "",
            "20241301",
            "20240230",
            "2024030525",
            "20240305101112+9999",
            "0000",
            "2024-03-05",
            "x",
        ] {
            assert_eq!(from_hl7(text, None), None, "{text}");
        }
    }

    #[test]
    fn seconds_since_1970() {
        for (text, want) in [
            ("1970-01-01", 0),
            ("2000-03-01", 951_868_800),
            ("2024-02-29T12:00:00+01:00", 1_709_204_400),
            ("1969-12-31T23:59:59Z", -1),
            ("2024", 1_704_067_200),
        ] {
            assert_eq!(epoch_seconds(text), Some(want), "{text}");
        }
        assert_eq!(epoch_seconds("soon"), None);
    }

    proptest! {
        #[test]
        fn any_text_never_panics(text in "[0-9.+:TZ-]{0,30}", other: String) {
            for text in [text, other] {
                let _ = from_hl7(&text, Some(&text));
                let _ = epoch_seconds(&text);
            }
        }

        #[test]
        fn days_go_up_by_one(year in 1i64..9999, month in 1i64..=12, day in 1i64..=27) {
            let today = days_since_1970(year, month, day).expect("in range");
            let tomorrow = days_since_1970(year, month, day.saturating_add(1));
            prop_assert_eq!(tomorrow, today.checked_add(1));
        }
    }
}
