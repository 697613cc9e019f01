//! What is computed of the values in a bucket.
//!
//! Role: the names that a document and the columns of its result use. In: `avg`, `p99.9`. Out: an
//! [`Aggregate`]. Holds always: two aggregates with the same name are equal.

use super::field::FromText;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What is computed of the values of one column in one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aggregate {
    /// The mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The sum.
    Sum,
    /// How many there are.
    Count,
    /// The earliest.
    First,
    /// The latest.
    Last,
    /// The one in the middle.
    Median,
    /// The standard deviation of a sample.
    Stddev,
    /// The one that so many thousandths of a percent are not above: 0 to 100,000.
    Percentile(u32),
}

const NAMED: [(&str, Aggregate); 9] = [
    ("avg", Aggregate::Avg),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("sum", Aggregate::Sum),
    ("count", Aggregate::Count),
    ("first", Aggregate::First),
    ("last", Aggregate::Last),
    ("median", Aggregate::Median),
    ("stddev", Aggregate::Stddev),
];

/// What is computed if a document does not say.
pub(super) fn usual() -> Vec<Aggregate> {
    vec![Aggregate::Avg, Aggregate::Min, Aggregate::Max]
}

impl Aggregate {
    /// Reads the name of an aggregate.
    pub fn new(text: &str) -> Result<Aggregate, String> {
        let named = NAMED.iter().find(|(name, _)| *name == text);
        let aggregate = named.map(|(_, aggregate)| *aggregate);
        aggregate.or_else(|| percentile(text)).ok_or_else(|| {
            let names = NAMED.map(|(name, _)| name).join(", ");
            format!(
                "{text:?} is not an aggregate; write {names}, or a percentile such as p95 or p99.9"
            )
        })
    }

    /// The part of the values that a percentile is not below, from 0 to 1; 0.5 for the median.
    pub fn fraction(&self) -> Option<f64> {
        match self {
            Aggregate::Percentile(thousandths) => Some(f64::from(*thousandths) / 100_000.0),
            Aggregate::Median => Some(0.5),
            _ => None,
        }
    }
}

fn percentile(text: &str) -> Option<Aggregate> {
    let digits = text.strip_prefix('p')?;
    let (whole, part) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, part)) => (whole, part),
        None => (digits, ""),
    };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let leading = whole.len() > 1 && whole.starts_with('0');
    if whole.is_empty() || leading || part.len() > 3 || !plain(whole) || !plain(part) {
        return None;
    }
    let thousandths = format!("{whole}{part:0<3}").parse::<u32>().ok()?;
    (thousandths <= 100_000).then_some(Aggregate::Percentile(thousandths))
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Aggregate::Percentile(thousandths) = self {
            let (whole, part) = (thousandths / 1_000, thousandths % 1_000);
            write!(f, "p{whole}")?;
            return match part {
                0 => Ok(()),
                _ => write!(f, ".{}", format!("{part:03}").trim_end_matches('0')),
            };
        }
        let named = NAMED.iter().find(|(_, aggregate)| aggregate == self);
        named.map_or(Ok(()), |(name, _)| f.write_str(name))
    }
}

impl Serialize for Aggregate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Aggregate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Aggregate, D::Error> {
        deserializer.deserialize_str(FromText::new("an aggregate such as avg", Aggregate::new))
    }
}

#[cfg(test)]
mod tests {
    use super::{Aggregate, NAMED};

    #[test]
    fn names_come_back() {
        let percentiles = ["p0", "p5", "p50", "p99.9", "p99.999", "p100", "p0.05"];
        for name in NAMED.map(|(name, _)| name).iter().chain(&percentiles) {
            assert_eq!(Aggregate::new(name).unwrap().to_string(), *name);
        }
        assert_eq!(Aggregate::new("p50.0").unwrap().to_string(), "p50");
        assert_eq!(Aggregate::new("p99.9").unwrap().fraction(), Some(0.999));
        assert_eq!(Aggregate::new("median").unwrap().fraction(), Some(0.5));
    }

    #[test]
    fn others_are_refused() {
        for name in [
            "mean", "p", "p101", "p100.1", "p-1", "p1.", "p.5", "p05", "p1.2345", "P5", "", "p+5",
            "p1e1",
        ] {
            let error = Aggregate::new(name).unwrap_err();
            assert!(
                error.contains("is not an aggregate; write avg, min,"),
                "{error}"
            );
        }
    }
}
