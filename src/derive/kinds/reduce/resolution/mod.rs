//! The widths of buckets in documents, such as `15m`, `1 day` or `1q`.
//!
//! Invariant: buckets of one width cover all times without gap or overlap, and depend on nothing
//! but the width.
//!
//! Fixed widths count from 1970-01-01T00:00 UTC, weeks from Monday 1970-01-05, months from January
//! of the year 0. So quarters, years and decades begin as in the calendar. A month, a quarter and a
//! year are those of the calendar; `30d` is 30 days.

use crate::query::Width;
use crate::resource::DurationError;
use crate::resource::duration::{LengthVisitor, SECOND, Sum, WEEK};
use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use std::fmt;

/// The width of buckets, with its text in the name of the directory `res=TEXT`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Resolution {
    text: String,
    width: Width,
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

impl Serialize for Resolution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Resolution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Resolution, D::Error> {
        deserializer.deserialize_str(LengthVisitor(Resolution::new))
    }
}

#[cfg(test)]
mod tests;
