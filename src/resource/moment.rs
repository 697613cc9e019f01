//! Points in time in documents: RFC 3339, or a date for its start in UTC.
//!
//! Invariant: a [`Moment`] is ordered and compared by time, however it was written.

use super::field::FromText;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Timestamp);

impl Moment {
    /// Parses a point in time.
    pub fn new(text: &str) -> Result<Moment, String> {
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Ok(Moment(timestamp));
        }
        // The parser would accept a date with a time but without an offset, and ignore the time.
        let date = (text.len() == "2024-05-01".len())
            .then(|| text.parse::<Date>().ok())
            .flatten()
            .and_then(|date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok());
        match date {
            Some(timestamp) => Ok(Moment(timestamp)),
            None => Err(format!(
                "{text:?} is not a time; write 2024-05-01T12:00:00Z, or 2024-05-01 for its start in UTC"
            )),
        }
    }

    /// Returns microseconds since 1970 UTC.
    pub fn micros(&self) -> i64 {
        self.0.as_microsecond()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        deserializer.deserialize_str(FromText::new("a time such as 2024-05-01", Moment::new))
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn equal_by_time() {
        let noon = Moment::new("2024-05-01T12:00:00Z").unwrap();
        assert_eq!(noon, Moment::new("2024-05-01T14:00:00+02:00").unwrap());
        assert_eq!(noon.micros(), 1_714_564_800_000_000);
        assert_eq!(
            Moment::new("2024-05-01").unwrap().micros(),
            1_714_521_600_000_000
        );
        for text in [
            "",
            "2024",
            "2024-05-01T12:00:00",
            "2024-13-01",
            "yesterday",
            "20240501",
        ] {
            assert!(
                Moment::new(text).unwrap_err().contains("is not a time"),
                "{text}"
            );
        }
    }
}
