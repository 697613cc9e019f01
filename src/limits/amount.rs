//! Values of limits: as numbers, and as texts.

use bytesize::ByteSize;
use jiff::SignedDuration;
use serde::Serialize;
use std::time::Duration;

/// Units of sizes, the largest first.
const SIZES: [(&str, u64); 5] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// The unit of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A size in bytes.
    Bytes,
    /// A number of things.
    Count,
    /// A time, in milliseconds.
    Time,
}

impl Unit {
    /// Parses a value: a number, or a text with a unit such as `256 MiB` or `2s`. Returns `None` if
    /// it is neither.
    pub(super) fn read(self, value: &toml::Value) -> Option<u64> {
        match (self, value) {
            (Unit::Bytes | Unit::Count, toml::Value::Integer(number)) => (*number).try_into().ok(),
            (Unit::Bytes, toml::Value::String(text)) => {
                text.parse().ok().map(|ByteSize(bytes)| bytes)
            }
            (Unit::Time, toml::Value::String(text)) => {
                let time: SignedDuration = text.parse().ok()?;
                time.as_millis().try_into().ok()
            }
            _ => None,
        }
    }

    /// Formats a value so that it can be parsed again.
    pub(super) fn write(self, number: u64) -> String {
        match self {
            Unit::Bytes => {
                let whole =
                    |(_, size): &&(&str, u64)| number >= *size && number.is_multiple_of(*size);
                let unit = SIZES.iter().find(whole);
                let (name, size) = unit.copied().unwrap_or(("B", 1));
                format!("{} {name}", number / size)
            }
            Unit::Count => number.to_string(),
            Unit::Time => {
                let millis = i64::try_from(number).unwrap_or(i64::MAX);
                format!("{:#}", SignedDuration::from_millis(millis))
            }
        }
    }

    /// Returns an example of a value.
    pub(super) fn example(self) -> &'static str {
        match self {
            Unit::Bytes => "a number of bytes, or a text such as \"256 MiB\"",
            Unit::Count => "a whole number",
            Unit::Time => "a text such as \"2s\" or \"1m 30s\"",
        }
    }
}

/// A value of a limit.
pub(super) trait Amount {
    fn from_number(number: u64) -> Self;
    fn number(self) -> u64;
}

impl Amount for u64 {
    fn from_number(number: u64) -> u64 {
        number
    }

    fn number(self) -> u64 {
        self
    }
}

impl Amount for usize {
    fn from_number(number: u64) -> usize {
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    fn number(self) -> u64 {
        self as u64
    }
}

impl Amount for Duration {
    fn from_number(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn number(self) -> u64 {
        u64::try_from(self.as_millis()).unwrap_or(u64::MAX)
    }
}
