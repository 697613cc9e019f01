//! Lengths of time in documents, such as `90m`, `1 day` or `1h 30m`.
//!
//! A [`Span`] is a fixed length of time. [`Sum`] parses the units of all lengths, also those of
//! kinds that know calendar months.
//!
//! Invariant: a length is exact; a text that is no whole number of microseconds is refused.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;
pub(crate) const WEEK: i64 = 7 * DAY;

/// A fixed length of time, such as the step of a series.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Span {
    text: String,
    micros: i64,
}

/// The reason why a text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}; {help}")]
pub struct DurationError {
    pub(crate) text: String,
    pub(crate) what: &'static str,
    pub(crate) help: &'static str,
}

impl Span {
    /// Parses a length of time, in units from weeks to microseconds.
    pub fn new(text: &str) -> Result<Span, DurationError> {
        let wrong = |help| DurationError {
            text: text.to_owned(),
            what: "length of time",
            help,
        };
        let help = "write for example 500ms, 10s, 15m, 1h, 1d or 1w";
        match Sum::read(text) {
            Some(Sum { months, .. }) if months > 0 => {
                Err(wrong("months and years differ in length: write days"))
            }
            Some(Sum { micros, .. }) if micros > 0 => Ok(Span {
                text: text.to_owned(),
                micros,
            }),
            _ => Err(wrong(help)),
        }
    }

    /// Returns the text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the length in microseconds, at least 1.
    pub fn micros(&self) -> i64 {
        self.micros
    }
}

/// The sum of the terms of a text.
pub(crate) struct Sum {
    pub(crate) micros: i64,
    pub(crate) months: i64,
    /// Whether a unit below the second was used.
    pub(crate) fine: bool,
}

impl Sum {
    /// Parses terms, each a number and a unit, with optional spaces between.
    pub(crate) fn read(text: &str) -> Option<Sum> {
        let mut sum = Sum {
            micros: 0,
            months: 0,
            fine: false,
        };
        if text.is_empty() || text.trim() != text {
            return None;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let number = take(&mut rest, |c| c.is_ascii_digit() || c == '.')?;
            let unit = take(&mut rest, char::is_alphabetic)?;
            let (micros, months) = match unit {
                "us" | "usec" | "µs" => (1, 0),
                "ms" | "msec" | "millis" => (1_000, 0),
                "s" | "sec" | "secs" | "second" | "seconds" => (SECOND, 0),
                "m" | "min" | "mins" | "minute" | "minutes" => (60 * SECOND, 0),
                "h" | "hr" | "hrs" | "hour" | "hours" => (3_600 * SECOND, 0),
                "d" | "day" | "days" => (DAY, 0),
                "w" | "wk" | "wks" | "week" | "weeks" => (WEEK, 0),
                "M" | "mo" | "month" | "months" => (0, 1),
                "q" | "quarter" | "quarters" => (0, 3),
                "y" | "yr" | "yrs" | "year" | "years" => (0, 12),
                _ => return None,
            };
            sum.fine |= micros > 0 && micros < SECOND;
            sum.micros = sum.micros.checked_add(scale(number, micros)?)?;
            sum.months = sum.months.checked_add(scale(number, months)?)?;
        }
        Some(sum)
    }
}

/// Takes the longest prefix of matching characters, and the spaces behind it.
fn take<'a>(rest: &mut &'a str, fits: impl Fn(char) -> bool) -> Option<&'a str> {
    let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
    let (taken, tail) = rest.split_at(end);
    *rest = tail.trim_start();
    (!taken.is_empty()).then_some(taken)
}

/// Returns `number` units, if that is a whole number of the smaller unit.
fn scale(number: &str, unit: i64) -> Option<i64> {
    let (whole, part) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, part)) => (whole, part.trim_end_matches('0')),
        None => (number, ""),
    };
    let mut total = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    if !part.is_empty() {
        let tenth = 10_i64.checked_pow(u32::try_from(part.len()).ok()?)?;
        let scaled = part.parse::<i64>().ok()?.checked_mul(unit)?;
        if scaled % tenth != 0 {
            return None;
        }
        total = total.checked_add(scaled / tenth)?;
    }
    Some(total)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Parses a text inside the visit, so that an error has a position.
pub(crate) struct LengthVisitor<T>(pub(crate) fn(&str) -> Result<T, DurationError>);

impl<T> Visitor<'_> for LengthVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as 1h")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(LengthVisitor(Span::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_fixed() {
        assert_eq!(Span::new("10s").unwrap().micros(), 10 * SECOND);
        assert_eq!(Span::new("250us").unwrap().micros(), 250);
        assert_eq!(Span::new("1w").unwrap().micros(), WEEK);
        assert!(Span::new("1mo").is_err() && Span::new("0s").is_err() && Span::new("1ns").is_err());
    }
}
