//! Aggregates of the values in a bucket, and the statistics from which they are computed.

use std::fmt;

/// An aggregate of the values of one column in one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aggregate {
    /// The mean.
    Avg,
    /// The minimum.
    Min,
    /// The maximum.
    Max,
    /// The sum.
    Sum,
    /// The number of values.
    Count,
    /// The earliest value.
    First,
    /// The latest value.
    Last,
    /// The median.
    Median,
    /// The sample standard deviation.
    Stddev,
    /// A percentile, in thousandths of a percent: 0 to 100,000.
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

impl Aggregate {
    /// Parses the name of an aggregate.
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

    /// Returns whether all values are needed to compute it.
    pub(super) fn needs_values(self) -> bool {
        self.fraction().is_some()
    }

    /// Returns the quantile from 0 to 1: 0.5 for the median, `None` unless it is the median or a
    /// percentile.
    pub(super) fn fraction(self) -> Option<f64> {
        match self {
            Aggregate::Percentile(thousandths) => Some(f64::from(thousandths) / 100_000.0),
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

/// Statistics of the values of one column in one bucket. Statistics of parts can be added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stat {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// The sum of squared differences from the mean.
    pub(super) spread: f64,
    /// The earliest and the latest value, with their times.
    pub(super) first: (i64, f64),
    pub(super) last: (i64, f64),
}

impl Stat {
    /// Statistics of no value.
    pub(super) const NONE: Stat = Stat {
        count: 0,
        sum: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        spread: 0.0,
        first: (i64::MAX, 0.0),
        last: (i64::MIN, 0.0),
    };

    fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// Returns the statistics of values that follow each other, with their times.
    pub(super) fn of(values: &[(i64, f64)]) -> Stat {
        let mut stat = Stat::NONE;
        for (_, value) in values {
            stat.sum += value;
            stat.min = stat.min.min(*value);
            stat.max = stat.max.max(*value);
        }
        stat.count = values.len() as u64;
        let mean = stat.mean();
        stat.spread = values.iter().map(|(_, value)| (value - mean).powi(2)).sum();
        for (time, value) in values {
            if *time < stat.first.0 {
                stat.first = (*time, *value);
            }
            if *time >= stat.last.0 {
                stat.last = (*time, *value);
            }
        }
        stat
    }

    /// Adds the statistics of values that come later among the inputs. (The spread: Chan, Golub,
    /// LeVeque 1979.)
    pub(super) fn add(&mut self, other: &Stat) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let apart = other.mean() - self.mean();
        self.spread += other.spread + apart * apart * a * b / (a + b);
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.first.0 < self.first.0 {
            self.first = other.first;
        }
        if other.last.0 >= self.last.0 {
            self.last = other.last;
        }
    }

    /// Returns an aggregate, or `None` without values. `sorted` are the values, if the aggregate
    /// needs them.
    pub(super) fn tell(&self, aggregate: Aggregate, sorted: &[f64]) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        match aggregate {
            Aggregate::Avg => Some(self.mean()),
            Aggregate::Min => Some(self.min),
            Aggregate::Max => Some(self.max),
            Aggregate::Sum => Some(self.sum),
            Aggregate::Count => Some(self.count as f64),
            Aggregate::First => Some(self.first.1),
            Aggregate::Last => Some(self.last.1),
            Aggregate::Stddev if self.count == 1 => None,
            Aggregate::Stddev => Some((self.spread / (self.count - 1) as f64).sqrt()),
            Aggregate::Median | Aggregate::Percentile(_) => below(sorted, aggregate.fraction()?),
        }
    }
}

/// Returns the quantile `part` of sorted values, interpolated linearly between neighbours.
fn below(sorted: &[f64], part: f64) -> Option<f64> {
    let at = part * sorted.len().checked_sub(1)? as f64;
    let below = *sorted.get(at.floor() as usize)?;
    let above = *sorted.get(at.ceil() as usize)?;
    Some(below + (above - below) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_parts_add_up_to_those_of_the_whole() {
        let values: Vec<(i64, f64)> = (0..50)
            .map(|n| (n, f64::from((n * 37 % 23) as u32) - 7.5))
            .collect();
        let whole = Stat::of(&values);
        let mut parts = Stat::NONE;
        for part in values.chunks(7) {
            parts.add(&Stat::of(part));
        }
        for aggregate in [Aggregate::Avg, Aggregate::Stddev, Aggregate::Sum] {
            let (a, b) = (
                whole.tell(aggregate, &[]).unwrap(),
                parts.tell(aggregate, &[]).unwrap(),
            );
            assert!((a - b).abs() < 1e-9, "{aggregate}: {a} {b}");
        }
        assert_eq!(
            (whole.min, whole.max, whole.count),
            (parts.min, parts.max, parts.count)
        );
        assert_eq!((whole.first, whole.last), (parts.first, parts.last));
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(below(&sorted, 0.5), Some(3.0));
        assert_eq!(below(&sorted, 0.0), Some(1.0));
        assert_eq!(below(&sorted, 1.0), Some(8.0));
        assert_eq!(below(&[], 0.5), None);
    }

    #[test]
    fn aggregate_names_round_trip() {
        let percentiles = ["p0", "p5", "p50", "p99.9", "p99.999", "p100", "p0.05"];
        for name in NAMED.map(|(name, _)| name).iter().chain(&percentiles) {
            assert_eq!(Aggregate::new(name).unwrap().to_string(), *name);
        }
        assert_eq!(Aggregate::new("p50.0").unwrap().to_string(), "p50");
        assert_eq!(Aggregate::new("p99.9").unwrap().fraction(), Some(0.999));
        assert_eq!(Aggregate::new("median").unwrap().fraction(), Some(0.5));
    }

    #[test]
    fn unknown_aggregates_are_refused() {
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
