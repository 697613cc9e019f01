//! The ways to name a version.
//!
//! | written | the version |
//! |---|---|
//! | `1841` | of that number |
//! | `latest`, `latest~2` | the newest, the second before it |
//! | `2026-11`, `2026-11-23`, `2026-11-23T14:30` | the last one committed by the start of that |
//! | `…T14:30:05.25+01:00`, `20261123T143005Z` | the last one committed at or before then |
//! | `90s-ago`, `15m-ago`, `3h-ago`, `2d-ago`, `1w-ago` | the last one at or before then |
//! | any other name | the one with that tag |
//!
//! Times without a zone are in UTC. A number alone is always the number of a version, so a year
//! alone needs a zone: `2026Z`.

use super::tags::is_tag_name;
use crate::tinyfs::{Time, Version};
use jiff::civil::{Date, Time as Clock};
use jiff::tz::Offset;
use std::time::Duration;

/// A version as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A version number.
    Number(Version),
    /// This number of versions before the newest one.
    Latest(u64),
    /// The last one committed at or before a time.
    Time(Time),
    /// The last one committed at least this long ago.
    Ago(Duration),
    /// The name of a tag.
    Tag(String),
}

impl Reference {
    /// Parses a reference as a user writes it; `None` where the text cannot name a version.
    pub fn parse(text: &[u8]) -> Option<Reference> {
        let text = std::str::from_utf8(text).ok()?;
        if let Some(number) = plain_number(text) {
            return Some(Reference::Number(Version(number)));
        }
        if let Some(back) = text.strip_prefix("latest") {
            return match back.strip_prefix('~') {
                Some(back) => plain_number(back).map(Reference::Latest),
                None => back.is_empty().then_some(Reference::Latest(0)),
            };
        }
        if let Some(ago) = ago(text) {
            return Some(Reference::Ago(ago));
        }
        if let Some(time) = time(text) {
            return Some(Reference::Time(time));
        }
        is_tag_name(text).then(|| Reference::Tag(text.to_owned()))
    }
}

/// Parses a number as it is listed: no sign, no leading zeros.
fn plain_number(text: &str) -> Option<u64> {
    let plain =
        text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn ago(text: &str) -> Option<Duration> {
    let length = text.strip_suffix("-ago")?;
    let unit = length.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let count = plain_number(length.strip_suffix(unit)?)?;
    count.checked_mul(seconds).map(Duration::from_secs)
}

fn time(text: &str) -> Option<Time> {
    let (text, offset) = zone(text)?;
    let (date, clock) = match text.split_once(['T', 't', ' ', '_']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let (date, clock) = match (date.len(), clock) {
        // The compact form, in which no part may be missing.
        (8, Some(clock)) if clock.len() == 6 => {
            let (year, rest) = date.split_at_checked(4)?;
            let (month, day) = rest.split_at_checked(2)?;
            let (hour, rest) = clock.split_at_checked(2)?;
            let (minute, second) = rest.split_at_checked(2)?;
            let clock = Clock::new(digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?, 0);
            (day_of(year, month, day)?, clock.ok()?)
        }
        (_, clock) => {
            let mut parts = date.split('-');
            let (year, month, day) = (parts.next()?, parts.next(), parts.next());
            // `T` needs a day before it.
            if parts.next().is_some() || (clock.is_some() && day.is_none()) {
                return None;
            }
            let date = day_of(year, month.unwrap_or("01"), day.unwrap_or("01"))?;
            let clock = match clock {
                Some(clock) => clock_of(clock)?,
                None => Clock::midnight(),
            };
            (date, clock)
        }
    };
    let time = offset.to_timestamp(date.to_datetime(clock)).ok()?;
    Some(Time::from_micros(time.as_microsecond()))
}

/// Splits a text into the part before the zone and the zone.
fn zone(text: &str) -> Option<(&str, Offset)> {
    if let Some(text) = text.strip_suffix(['Z', 'z']) {
        return Some((text, Offset::UTC));
    }
    let at = text.len().saturating_sub(6);
    let Some((rest, zone)) = text.split_at_checked(at) else {
        return Some((text, Offset::UTC));
    };
    let signed = match zone.split_at_checked(1) {
        Some(("+", zone)) => Some((1, zone)),
        Some(("-", zone)) => Some((-1, zone)),
        _ => None,
    };
    match signed.and_then(|(sign, zone)| Some((sign, zone.split_once(':')?))) {
        Some((sign, (hours, minutes))) => {
            let seconds = digits::<i32>(hours, 2)? * 3_600 + digits::<i32>(minutes, 2)? * 60;
            Some((rest, Offset::from_seconds(sign * seconds).ok()?))
        }
        None => Some((text, Offset::UTC)),
    }
}

fn day_of(year: &str, month: &str, day: &str) -> Option<Date> {
    Date::new(digits(year, 4)?, digits(month, 2)?, digits(day, 2)?).ok()
}

/// Parses `hh[:mm[:ss[.fraction]]]`.
fn clock_of(text: &str) -> Option<Clock> {
    let (text, nanos) = match text.split_once('.') {
        Some((text, fraction)) => {
            let width = fraction.len();
            if text.matches(':').count() != 2 || !(1..=9).contains(&width) {
                return None;
            }
            let scale = 10_i32.pow(9 - width as u32);
            (text, digits::<i32>(fraction, width)? * scale)
        }
        None => (text, 0),
    };
    let mut parts = text.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = parts.next().map_or(Some(0), |text| digits(text, 2))?;
    let second = parts.next().map_or(Some(0), |text| digits(text, 2))?;
    match parts.next() {
        None => Clock::new(hour, minute, second, nanos).ok(),
        Some(_) => None,
    }
}

/// Parses a number of exactly `width` digits.
fn digits<T: std::str::FromStr>(text: &str, width: usize) -> Option<T> {
    let plain = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<String> {
        match Reference::parse(text.as_bytes()) {
            Some(Reference::Time(time)) => Some(
                jiff::Timestamp::from_microsecond(time.micros())
                    .unwrap()
                    .to_string(),
            ),
            _ => None,
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_listed() {
        let number = |text: &str| match Reference::parse(text.as_bytes()) {
            Some(Reference::Number(version)) => Some(version.0),
            _ => None,
        };
        assert_eq!(
            (number("0"), number("1841"), number("2026")),
            (Some(0), Some(1841), Some(2026))
        );
        for other in ["", "01", "+1", "-1", "1 ", "99999999999999999999"] {
            assert_eq!(Reference::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn times_may_be_cut_short_and_are_utc_without_a_zone() {
        for (text, time) in [
            ("2026Z", "2026-01-01T00:00:00Z"),
            ("2026-11", "2026-11-01T00:00:00Z"),
            ("2026-11-23", "2026-11-23T00:00:00Z"),
            ("2026-11-23T14", "2026-11-23T14:00:00Z"),
            ("2026-11-23T14:30", "2026-11-23T14:30:00Z"),
            ("2026-11-23 14:30:05", "2026-11-23T14:30:05Z"),
            ("2026-11-23T14:30:05.25Z", "2026-11-23T14:30:05.25Z"),
            ("2026-11-23T14:30+01:00", "2026-11-23T13:30:00Z"),
            ("2026-11-23T00:15-05:30", "2026-11-23T05:45:00Z"),
            ("2026-11-23+01:00", "2026-11-22T23:00:00Z"),
            ("20261123T143005Z", "2026-11-23T14:30:05Z"),
        ] {
            assert_eq!(at(text).as_deref(), Some(time), "{text}");
        }
        for wrong in [
            "2026-13",
            "2026-02-30",
            "2026-1-1",
            "2026-11-23T25",
            "2026-11T10",
            "2026-11-23T1:2",
            "2026-11-23T14:30:05.",
            "2026-11-23-01",
            "2026-11-23T14:30+25:99",
        ] {
            assert_eq!(Reference::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn latest_ages_and_tags() {
        let parse = |text: &str| Reference::parse(text.as_bytes());
        assert_eq!(parse("latest"), Some(Reference::Latest(0)));
        assert_eq!(parse("latest~12"), Some(Reference::Latest(12)));
        assert_eq!(
            parse("3h-ago"),
            Some(Reference::Ago(Duration::from_secs(10_800)))
        );
        assert_eq!(
            parse("1w-ago"),
            Some(Reference::Ago(Duration::from_secs(604_800)))
        );
        assert_eq!(
            parse("before_fix"),
            Some(Reference::Tag("before_fix".into()))
        );
        for wrong in ["latest~", "latest~x", "latestx", "a b", "9lives", "ä"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #![proptest_config(crate::fuzz_tests::config())]

        #[test]
        fn fuzz_references_of_any_bytes(text: Vec<u8>) {
            let (_, most) = crate::fuzz_tests::peak(|| Reference::parse(&text));
            proptest::prop_assert!(most <= 2 * text.len() + 64, "{most}");
        }

        #[test]
        fn fuzz_references_that_are_nearly_right(
            text in "(latest|[0-9]{1,22}|[0-9]{0,21}[smhdw]?)(~|-ago|Z|-)?[0-9]{0,22}([T_ ][0-9:.]{0,14})?([+-][0-9:]{0,6}|z)?",
        ) {
            let parsed = Reference::parse(text.as_bytes());
            proptest::prop_assert_eq!(&parsed, &Reference::parse(text.as_bytes()));
            if let Some(Reference::Number(number)) = parsed {
                proptest::prop_assert_eq!(number.to_string(), text);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text: Vec<u8>) {
            let _ = Reference::parse(&text);
        }

        #[test]
        fn no_date_is_too_strange(text in "[0-9TZ:.+~ -]{0,30}") {
            let _ = Reference::parse(text.as_bytes());
        }
    }
}
