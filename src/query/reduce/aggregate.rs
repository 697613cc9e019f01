//! What is told of the values in a bucket.

use std::fmt;

/// One number that stands for the values of a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregate {
    /// Their mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Their sum.
    Sum,
    /// How many there are.
    Count,
    /// The first in time.
    First,
    /// The last in time.
    Last,
    /// Half of them are not above it: percentile 50.
    Median,
    /// The standard deviation of a sample; of one value there is none.
    Stddev,
    /// This many percent of them are not above it, with linear interpolation between neighbours.
    Percentile(f64),
}

impl Aggregate {
    /// The aggregate of a name; nothing if there is none.
    pub fn named(name: &str) -> Option<Aggregate> {
        Some(match name {
            "avg" | "mean" => Aggregate::Avg,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            "sum" => Aggregate::Sum,
            "count" => Aggregate::Count,
            "first" => Aggregate::First,
            "last" => Aggregate::Last,
            "median" => Aggregate::Median,
            "stddev" => Aggregate::Stddev,
            _ => {
                let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
                let known = (0.0..=100.0).contains(&percent);
                return known.then_some(Aggregate::Percentile(percent));
            }
        })
    }

    /// Whether all values have to be kept to tell it.
    pub(super) fn needs_values(self) -> bool {
        matches!(self, Aggregate::Median | Aggregate::Percentile(_))
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Aggregate::Avg => "avg",
            Aggregate::Min => "min",
            Aggregate::Max => "max",
            Aggregate::Sum => "sum",
            Aggregate::Count => "count",
            Aggregate::First => "first",
            Aggregate::Last => "last",
            Aggregate::Median => "median",
            Aggregate::Stddev => "stddev",
            Aggregate::Percentile(percent) => return write!(f, "p{percent}"),
        })
    }
}

/// What is known of the values of one column in one bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stat {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// The sum of squared differences from the mean.
    pub(super) spread: f64,
    /// The first and the last in time, with their times.
    pub(super) first: (i64, f64),
    pub(super) last: (i64, f64),
}

impl Stat {
    /// Of no value.
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

    /// Of values that follow each other, with their times.
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

    /// Adds values that come later among the inputs. (The spread: Chan, Golub, LeVeque 1979.)
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

    /// What an aggregate tells, of these values if it needs them, sorted; nothing where there is no value.
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
            Aggregate::Median => percentile(sorted, 50.0),
            Aggregate::Percentile(percent) => percentile(sorted, percent),
        }
    }
}

fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let at = percent / 100.0 * sorted.len().checked_sub(1)? as f64;
    let below = *sorted.get(at.floor() as usize)?;
    let above = *sorted.get(at.ceil() as usize)?;
    Some(below + (above - below) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_tell_what_the_whole_tells() {
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
        assert_eq!(percentile(&sorted, 50.0), Some(3.0));
        assert_eq!(percentile(&sorted, 0.0), Some(1.0));
        assert_eq!(percentile(&sorted, 100.0), Some(8.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn aggregates_have_names() {
        for name in [
            "avg", "min", "max", "sum", "count", "first", "last", "median", "stddev", "p95",
            "p99.9",
        ] {
            assert_eq!(Aggregate::named(name).unwrap().to_string(), name);
        }
        assert_eq!(Aggregate::named("p101"), None);
        assert_eq!(Aggregate::named("mode"), None);
    }
}
