//! Lengths of time in documents, such as `90m`, `1 day`, `1h 30m` or `1q`.
//!
//! A [`Resolution`] is the width of a series' buckets, a [`Span`] a fixed length of time.
//!
//! Invariant: buckets of one width cover all times without gap or overlap, and depend on nothing
//! but the width.
//!
//! Fixed widths count from 1970-01-01T00:00 UTC, weeks from Monday 1970-01-05, months from January
//! of the year 0. So quarters, years and decades begin as in the calendar. A month, a quarter and a
//! year are those of the calendar; `30d` is 30 days.

use crate::query::Width;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
const WEEK: i64 = 7 * DAY;

/// The width of buckets, with its text in the name of the directory `res=TEXT`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Resolution {
    text: String,
    width: Width,
}

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
    text: String,
    what: &'static str,
    help: &'static str,
}

impl Resolution {
    /// Parses a resolution: a sum of seconds, minutes, hours, days and weeks, or one of months,
    /// quarters and years. Whole weeks count from Monday.
    pub fn new(text: &str) -> Result<Resolution, DurationError> {
        let help = "write 15m, 1h, 1d, 1w, 1mo, 1q or 1y";
        let wrong = |help| DurationError {
            text: text.to_owned(),
            what: "resolution",
            help,
        };
        let sum = Sum::read(text).ok_or_else(|| wrong(help))?;
        let width = match sum {
            Sum { fine: true, .. } => return Err(wrong("one second is the finest, `1s`")),
            Sum {
                micros: 0, months, ..
            } if months > 0 => {
                Width::Months(u32::try_from(months).map_err(|_| wrong("it is too long"))?)
            }
            Sum { months, .. } if months > 0 => {
                return Err(wrong(
                    "months, quarters and years do not add up with shorter units",
                ));
            }
            Sum { micros, .. } if micros < SECOND => return Err(wrong(help)),
            Sum { micros, .. } if micros % WEEK == 0 => {
                Width::Weeks(u32::try_from(micros / WEEK).map_err(|_| wrong("it is too long"))?)
            }
            Sum { micros, .. } => Width::Fixed(micros),
        };
        Ok(Resolution {
            text: text.to_owned(),
            width,
        })
    }

    /// Returns the text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the width of the buckets.
    pub fn width(&self) -> Width {
        self.width
    }
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
struct Sum {
    micros: i64,
    months: i64,
    /// Whether a unit below the second was used.
    fine: bool,
}

impl Sum {
    /// Parses terms, each a number and a unit, with optional spaces between.
    fn read(text: &str) -> Option<Sum> {
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

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.text, self.width)
    }
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

impl Serialize for Resolution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Parses a text inside the visit, so that an error has a position.
struct Text<T>(fn(&str) -> Result<T, DurationError>);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as 1h")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Resolution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Resolution, D::Error> {
        deserializer.deserialize_str(Text(Resolution::new))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(Text(Span::new))
    }
}

#[cfg(test)]
mod tests;
