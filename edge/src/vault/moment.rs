//! Dates and times of day as numbers, and back to the same text or not at all.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

const DAY_SECS: i64 = 86_400;
/// Days from 1 January of year 0 (proleptic Gregorian) to 1 January 1970.
const EPOCH_DAYS: i64 = 719_528;

/// A FHIR dateTime or instant with seconds and a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Instant<'a> {
    /// Seconds since 1970, UTC.
    pub(super) seconds: i64,
    /// How many digits stand behind the point; 0 = there is no point.
    pub(super) digits: u64,
    /// Those digits as a number.
    pub(super) fraction: u64,
    /// `Z` or `±hh:mm`.
    pub(super) zone: &'a [u8],
}

/// Reads `yyyy-mm-ddThh:mm:ss[.f…](Z|±hh:mm)`, if writing it again gives the same text.
pub(super) fn instant(text: &[u8]) -> Option<Instant<'_>> {
    let (date, time) = text.split_at_checked(10)?;
    let (clock, rest) = time.split_at_checked(9)?;
    let days = date_days(date)?;
    let [b'T', h1, h2, b':', m1, m2, b':', s1, s2] = clock else { return None };
    let two = |a: &u8, b: &u8| number(&[*a, *b]);
    let local = two(h1, h2)?
        .checked_mul(3_600)?
        .checked_add(two(m1, m2)?.checked_mul(60)?)?
        .checked_add(two(s1, s2)?)?;
    let behind = rest.strip_prefix(b".").unwrap_or_default();
    let digits = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let fraction = if digits > 0 { number(behind.get(..digits)?)? } else { 0 };
    let zone = if digits > 0 { behind.get(digits..)? } else { rest };
    let seconds = days
        .checked_mul(DAY_SECS)?
        .checked_add(i64::try_from(local).ok()?)?
        .checked_sub(offset(zone)?)?;
    let read = Instant { seconds, digits: digits as u64, fraction, zone };
    let mut again = Vec::with_capacity(text.len());
    write_instant(read, &mut again)?;
    (again == text).then_some(read)
}

/// Writes what [`instant`] read; `None` for what it never returns.
pub(super) fn write_instant(instant: Instant<'_>, out: &mut Vec<u8>) -> Option<()> {
    let local = instant.seconds.checked_add(offset(instant.zone)?)?;
    write_date(local.div_euclid(DAY_SECS), out)?;
    let second = local.rem_euclid(DAY_SECS);
    let (hour, minute) = (second.div_euclid(3_600), second.div_euclid(60).rem_euclid(60));
    for (mark, part) in [(b'T', hour), (b':', minute), (b':', second.rem_euclid(60))] {
        out.push(mark);
        push_padded(out, part.cast_unsigned(), 2);
    }
    if instant.digits > 0 {
        out.push(b'.');
        push_padded(out, instant.fraction, usize::try_from(instant.digits).ok()?.min(18));
    }
    out.extend_from_slice(instant.zone);
    Some(())
}

/// Reads `yyyy-mm-dd` as days since 1970, if there is such a day.
pub(super) fn date(text: &[u8]) -> Option<i64> {
    date_days(text).filter(|days| {
        let mut again = Vec::with_capacity(10);
        write_date(*days, &mut again).is_some() && again == text
    })
}

/// Seconds since 1970 of an instant, or of the start of a day (UTC).
pub(super) fn moment(text: &[u8]) -> Option<i64> {
    match instant(text) {
        Some(instant) => Some(instant.seconds),
        None => date(text)?.checked_mul(DAY_SECS),
    }
}

/// Writes a day as `yyyy-mm-dd`; `None` outside of the years 0 to 9999.
pub(super) fn write_date(days: i64, out: &mut Vec<u8>) -> Option<()> {
    let (year, month, day) = civil(days)?;
    if !(0..=9_999).contains(&year) {
        return None;
    }
    push_padded(out, year.cast_unsigned(), 4);
    for part in [month, day] {
        out.push(b'-');
        push_padded(out, part.cast_unsigned(), 2);
    }
    Some(())
}

fn date_days(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let year = number(&[*y1, *y2, *y3, *y4])?;
    let (month, day) = (number(&[*m1, *m2])?, number(&[*d1, *d2])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    days(i64::try_from(year).ok()?, i64::try_from(month).ok()?, i64::try_from(day).ok()?)
}

/// Days since 1970 of a day of the Gregorian calendar; years are counted from March, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let (year, month) = if month > 2 {
        (year, month.checked_sub(3)?)
    } else {
        (year.checked_sub(1)?, month.checked_add(9)?)
    };
    let leaps =
        year.div_euclid(4).checked_sub(year.div_euclid(100))?.checked_add(year.div_euclid(400))?;
    let of_months = month.checked_mul(153)?.checked_add(2)?.div_euclid(5);
    // 1 March of year 0 is day 60 of the proleptic calendar's year 0.
    year.checked_mul(365)?
        .checked_add(leaps)?
        .checked_add(of_months)?
        .checked_add(day)?
        .checked_add(59)?
        .checked_sub(EPOCH_DAYS)
}

/// The inverse of [`days`].
fn civil(day_no: i64) -> Option<(i64, i64, i64)> {
    let from_march = day_no.checked_add(EPOCH_DAYS)?.checked_sub(60)?;
    let cycle = from_march.div_euclid(146_097);
    let of_cycle = from_march.rem_euclid(146_097);
    let fixed = of_cycle
        .checked_sub(of_cycle.div_euclid(1_460))?
        .checked_add(of_cycle.div_euclid(36_524))?
        .checked_sub(of_cycle.div_euclid(146_096))?;
    let year = fixed.div_euclid(365);
    let before = year
        .checked_mul(365)?
        .checked_add(year.div_euclid(4))?
        .checked_sub(year.div_euclid(100))?;
    let of_year = of_cycle.checked_sub(before)?;
    let month = of_year.checked_mul(5)?.checked_add(2)?.div_euclid(153);
    let day = of_year
        .checked_sub(month.checked_mul(153)?.checked_add(2)?.div_euclid(5))?
        .checked_add(1)?;
    let year = cycle.checked_mul(400)?.checked_add(year)?;
    Some(if month < 10 {
        (year, month.checked_add(3)?, day)
    } else {
        (year.checked_add(1)?, month.checked_sub(9)?, day)
    })
}

fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = i64::try_from(number(&[*h1, *h2])?).ok()?;
            let minutes = i64::try_from(number(&[*m1, *m2])?).ok()?;
            let seconds = hours.checked_mul(3_600)?.checked_add(minutes.checked_mul(60)?)?;
            if *sign == b'-' { seconds.checked_neg() } else { Some(seconds) }
        }
        _ => None,
    }
}

/// Up to 18 digits.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

fn push_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    out.extend_from_slice(format!("{value:0width$}").as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn again(text: &str) -> Option<String> {
        let mut out = Vec::new();
        write_instant(instant(text.as_bytes())?, &mut out)?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn instants_of_every_form_come_back() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2011-07-28T15:02:18.131-04:00",
            "0000-03-01T00:00:00+00:00",
            "2020-02-29T23:59:59.000000001+14:00",
            "9999-12-31T00:00:00-00:00",
        ] {
            assert_eq!(again(text).as_deref(), Some(text));
        }
        for text in [
            "2011-07-28",
            "2011-02-30T00:00:00Z",
            "2011-01-01T00:00:00",
            "2011-01-01T25:00:00Z",
            "2011-01-01T00:00:00.Z",
        ] {
            assert_eq!(instant(text.as_bytes()), None, "{text}");
        }
        assert_eq!(moment(b"1970-01-02"), Some(86_400));
        assert_eq!(moment(b"1970-01-01T01:00:00+01:00"), Some(0));
    }

    proptest! {
        #[test]
        fn days_count_one_by_one(day in -719_528_i64..2_932_896) {
            let (mut one, mut next) = (Vec::new(), Vec::new());
            write_date(day, &mut one).expect("a year of four digits");
            prop_assert_eq!(date(&one), Some(day));
            if write_date(day.saturating_add(1), &mut next).is_some() {
                prop_assert!(one < next);
            }
        }

        #[test]
        fn foreign_texts_never_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (instant(&text), date(&text));
        }
    }
}
